"""Joins the workstation on a past day: a recording in place of the feed, paper orders, folders of its own.

Nothing of it touches an account: journal, ledger and market data of a replay are in ``replay`` of the data directory,
a folder a replay, with a lock and a control socket of their own, so that it may run beside a live session.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

from tradetui import __version__
from tradetui.brokers.paper import PaperBroker
from tradetui.brokers.paper_inquiries import PaperInquiries
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.clock import EventClock
from tradetui.config import Config, Home
from tradetui.domain.calendar import Calendar, day_start_ns, ist_date
from tradetui.domain.charges import broker_plan
from tradetui.domain.errors import UsageError
from tradetui.domain.events import (
    BandsEvent,
    Event,
    FeedEvent,
    FeedState,
    HistoryEvent,
    ListsEvent,
    MarketStatusEvent,
    PastDaysEvent,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.lists import DatedLists
from tradetui.domain.thawing import decode_event
from tradetui.domain.view import Mode
from tradetui.exchange.rules import RuleBook
from tradetui.feeds.player import Moment, Player, Span, clock_of
from tradetui.journal import Journal, everything
from tradetui.market.universe import Universe
from tradetui.simulator.worlds.recording import is_recording
from tradetui.storage.lists import read_lists
from tradetui.storage.lock import DataLock
from tradetui.storage.recording import InboxReader, RecordKind
from tradetui.storage.store import Store
from tradetui.wiring.calendars import stored_layers
from tradetui.wiring.day_context import stored_past_days
from tradetui.wiring.inbox import Beginning, InboxTap, recording_path
from tradetui.wiring.journals import Projected
from tradetui.wiring.paper import paper_phase
from tradetui.wiring.parts import Parts
from tradetui.wiring.past_bars import past_bars
from tradetui.wiring.recordings import Recording, about, describe, folder_of, import_market, named, of_day
from tradetui.wiring.settings import limits_from, overlays_from
from tradetui.wiring.stored_day import recording_of_ticks

log = logging.getLogger(__name__)

FOLDER: Final = "replay"
KEPT: Final = 10
"""Folders of earlier replays that are kept."""
WATCHED: Final = 60
"""Instruments on the screen's first list; all are there, `/` finds them."""
_MARKET_EVENTS: Final = (FeedEvent, MarketStatusEvent, HistoryEvent, ListsEvent, BandsEvent)
"""What a recorded run heard of the market and its data; what its own account did is not played."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What `join_replay` is asked for.

    Attributes:
        place: Directories of the installation.
        settings: Settings of today: strategies, limits, paper capital.
        what: A date, or a file.
        speed: Times real time; 0 for as fast as it goes.
        from_s: Second of the day, IST, to start at; ``None`` for the beginning.
        paused: Stand still there.
        ends: Stop at the end of the recording.
        record: Record the replay itself.
    """

    place: Home
    settings: Config
    what: str
    speed: float = 1.0
    from_s: int | None = None
    paused: bool = False
    ends: bool = False
    record: bool = False


def replay_home(place: Home) -> Home:
    """Where replays keep their lock, socket and folders."""
    return Home(place.config_dir, place.data_dir / FOLDER)


def found(place: Home, what: str) -> list[Recording]:
    """The recordings to play; captures of others are imported, and a day of stored ticks is made into one.

    Raises:
        UsageError: There is nothing of that name or day.
        StorageError: A recording is damaged at its beginning, or one cannot be made.
    """
    path = named(place.data_dir, what)
    if path is not None:
        if path.is_dir() or not is_recording(path):
            log.info("importing %s", path.name)
            path = import_market(place.data_dir, path)
            log.info("imported as %s", path.name)
        return [_opened(path)]
    try:
        day = date.fromisoformat(what)
    except ValueError:
        raise UsageError(
            f"no recording is called {what!r}", "give a date such as 2025-12-15, or a file; see `replay list`"
        ) from None
    recorded = of_day(place.data_dir, day)
    if recorded:
        return [_opened(one.path) for one in recorded]
    made = recording_of_ticks(place.data_dir, day)
    if made is None:
        raise UsageError(
            f"nothing was recorded on {day}, and no ticks of it are stored",
            "see `tradetui replay list`; `tradetui run --record` records a day",
        )
    return [describe(made)]


def _opened(path: Path) -> Recording:
    """A recording with every instrument of it: those of a run may have joined later."""
    one = describe(path)
    return describe(path, deep=True) if one.kind == "run" else one


async def join_replay(request: ReplayRequest) -> Parts:
    """Join everything that a replay needs.

    Raises:
        TradeTuiError: Something is missing or refused; the words say what and how to mend it.
    """
    recordings = await asyncio.to_thread(found, request.place, request.what)
    home = replay_home(request.place)
    home.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    cleanup: list[Callable[[], Any]] = [DataLock(home.data_dir, "tradetui run --replay").release]
    try:
        return await _joined(request, home, recordings, cleanup)
    except BaseException:
        for step in reversed(cleanup):
            await asyncio.to_thread(step)
        raise


async def _joined(
    request: ReplayRequest, home: Home, recordings: Sequence[Recording], cleanup: list[Callable[[], Any]]
) -> Parts:
    settings, universe = request.settings, Universe()
    # The days as they are known now: a recording may be older than what the user has put right.
    layers = stored_layers(request.place, settings, None)
    calendar = layers.calendar()
    span = _span(request, recordings)
    day = ist_date(span.first_ns)
    for recording in recordings:
        for instrument in recording.instruments:
            universe.add(instrument)
    clock = EventClock(span.first_ns)
    folder = _own_folder(home, span.name)
    beginning = replace(_beginning(request, universe, span.first_ns, day), calendar=layers)
    engine = beginning.engine(calendar, universe)
    prelude = await asyncio.to_thread(_prelude, request, recordings, universe, span.first_ns)

    written = await asyncio.to_thread(Journal, folder / "journal")
    cleanup.append(written.close)
    store = await asyncio.to_thread(
        Store.open,
        folder,
        universe.instruments,
        journal=lambda first, number: everything(folder / "journal", first, number),
        multiplier=lambda key: one.multiplier if (one := universe.get(key)) else 1,
        lossless=True,
    )
    cleanup.append(store.close)
    tap = _tap(request, folder, beginning, universe, span.name, cleanup)
    player = Player(
        span,
        partial(_moments, recordings, universe),
        Decoder(universe.slots).decode,
        prelude=prelude,
        speed=request.speed,
        paused=request.paused,
        on_time=clock.move,
        on_frame=tap.recorder.hold if tap is not None else None,
    )
    return Parts(
        mode=Mode.REPLAY,
        account=span.name,
        host="none",
        engine=engine,
        universe=universe,
        clock=clock,
        feed=player,
        broker=_broker(request, calendar, universe, span.first_ns),
        journal=Projected(written, store.records),
        store=store,
        watch=_watched(settings, universe),
        overlays=overlays_from(settings),
        lookup=universe.get,
        search=partial(_search, universe),
        record_event=tap,
        cleanup=cleanup,
        ends=request.ends,
        timed_by_feed=True,
        inquiries=PaperInquiries(
            universe.get,
            lambda key: engine.market(key).last,
            broker_plan(settings.account.plan),
            clock.now_ns,
        ),
        replay=player,
        run_info={"version": __version__, "mode": Mode.REPLAY.value, "recording": span.name},
    )


def _span(request: ReplayRequest, recordings: Sequence[Recording]) -> Span:
    """What is played, and where pacing begins.

    Raises:
        UsageError: There is nothing to play, or it is over by then.
    """
    first_ns, last_ns = recordings[0].totals.first_ns, recordings[-1].totals.last_ns
    if not first_ns:
        raise UsageError(f"{recordings[0].name} holds no frame")
    for one in recordings:
        if not one.whole:
            log.warning("%s was cut: %s", one.name, one.damage)
    from_ns = 0
    if request.from_s is not None:
        from_ns = day_start_ns(ist_date(first_ns)) + request.from_s * 1_000_000_000
        if from_ns >= last_ns:
            raise UsageError(f"the recording ends at {clock_of(last_ns)}, before --from")
        if from_ns < first_ns:
            log.info("the recording begins at %s", clock_of(first_ns))
    name = recordings[0].name if len(recordings) == 1 else f"{recordings[0].day} ({len(recordings)} runs)"
    return Span(name, first_ns, last_ns, from_ns)


def _own_folder(home: Home, name: str) -> Path:
    """A new folder for this replay; the oldest ones beyond `KEPT` are removed."""
    runs = home.data_dir / "runs"
    runs.mkdir(parents=True, exist_ok=True, mode=0o700)
    numbers = sorted(int(one.name.partition("-")[0]) for one in runs.iterdir() if one.name[:6].isdigit())
    for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
        for old in runs.glob(f"{number:06d}-*"):
            shutil.rmtree(old, ignore_errors=True)
    plain = "".join(char if char.isalnum() or char in "-." else "-" for char in name)
    folder = runs / f"{(numbers[-1] if numbers else 0) + 1:06d}-{plain}"
    folder.mkdir(mode=0o700)
    return folder


def _beginning(request: ReplayRequest, universe: Universe, begin_ns: int, day: date) -> Beginning:
    settings = request.settings
    wanted = {text.upper() for text in settings.strategies.symbols}
    return Beginning(
        begin_ns=begin_ns,
        live=False,
        # The same in every replay of the day: its journal is compared to the byte, and no order leaves.
        tag_prefix=f"tt{day:%y%m%d}play-",
        limits=limits_from(settings, live=False),
        settings=settings,
        instruments=tuple(universe.instruments),
        looked_at=tuple(
            sorted(one.key for one in universe.instruments if {one.symbol.upper(), one.key.upper()} & wanted)
        ),
    )


def _broker(request: ReplayRequest, calendar: Calendar, universe: Universe, start_ns: int) -> PaperBroker:
    return PaperBroker(
        universe.instruments,
        paper_phase(calendar),
        capital=limits_from(request.settings, live=False).capital,
        rule_book=RuleBook(after_market=True),
        start_ns=start_ns,
    )


def _watched(settings: Config, universe: Universe) -> list[Instrument]:
    """What the screen shows first: the user's list as far as it was recorded, else what was recorded."""
    by_name = {one.symbol.upper(): one for one in universe.instruments}
    by_name |= {one.key.upper(): one for one in universe.instruments}
    own = [by_name[text.upper()] for text in settings.watch.symbols if text.upper() in by_name]
    return list(dict.fromkeys(own)) or universe.instruments[:WATCHED]


def _search(universe: Universe, text: str, limit: int) -> list[Instrument]:
    words = text.upper().split()
    hits = [
        one
        for one in universe.instruments
        if all(word in f"{one.symbol} {one.name}".upper() for word in words)
    ]
    return sorted(
        hits, key=lambda one: (not one.symbol.upper().startswith(words[0] if words else ""), one.symbol)
    )[:limit]


def _tap(
    request: ReplayRequest,
    folder: Path,
    beginning: Beginning,
    universe: Universe,
    name: str,
    cleanup: list[Callable[[], Any]],
) -> InboxTap | None:
    if not request.record:
        return None
    path = recording_path(folder_of(folder), beginning.begin_ns)
    tap = InboxTap(path, beginning, universe, about("run", Mode.REPLAY.value, name), lossless=True)
    cleanup.append(tap.recorder.close)
    return tap


# --- what is played -----------------------------------------------------------------------------------


def _prelude(
    request: ReplayRequest, recordings: Sequence[Recording], universe: Universe, t_ns: int
) -> list[Event]:
    """What the engine has to know before the first frame: dated lists, and bars of the days before."""
    events: list[Event] = []
    if recordings[0].kind != "run":
        lists = read_lists(request.place.data_dir / "lists", ist_date(t_ns))
        if lists != DatedLists():
            events.append(ListsEvent(t_ns, lists))
    if not any(isinstance(what, HistoryEvent) for _, what in _events(recordings[0], universe)):
        stored = request.place.data_dir, recordings[0].account, universe.instruments, t_ns
        events += [*past_bars(*stored), *stored_past_days(*stored)]
    return events


def _events(recording: Recording, universe: Universe) -> Iterator[tuple[int, Event]]:
    """Market events of a recording that are no frames."""
    for t_ns, what in _moments([recording], universe):
        if not isinstance(what, bytes):
            yield t_ns, what


def _moments(recordings: Sequence[Recording], universe: Universe) -> Iterator[Moment]:
    """Frames and market events of recordings, one recording after the other."""
    for recording in recordings:
        slots = [universe.slots[one.key] for one in recording.instruments]
        for record in InboxReader(recording.path):
            if record.kind is RecordKind.FRAME:
                yield record.t_ns, record.payload
            elif record.kind is RecordKind.EVENT:
                event = decode_event(record.payload)
                if isinstance(event, HistoryEvent):
                    yield record.t_ns, in_slot(event, slots[event.slot])
                elif isinstance(event, PastDaysEvent):
                    yield record.t_ns, replace(event, slot=slots[event.slot])
                elif isinstance(event, FeedEvent):
                    if event.state is not FeedState.ENDED:
                        yield record.t_ns, event
                elif isinstance(event, _MARKET_EVENTS):
                    yield record.t_ns, event
            elif record.kind is RecordKind.NOTE:
                said = json.loads(record.payload)
                if "slot" in said and said["slot"] >= len(slots):
                    slots.append(universe.slots[said["instrument"]["key"]])


def in_slot(event: HistoryEvent, slot: int) -> HistoryEvent:
    """The same bars under a slot of this run."""
    return replace(event, slot=slot, candles=tuple(replace(bar, slot=slot) for bar in event.candles))
