"""Recording the inbox of a run, and building the engine that plays it back.

Beside the events, a recording says what the engine was made with and which instrument has which slot (notes of
`feeds.recorder`), so that a fresh engine, fed with the recorded events, writes the same journal. What the
broker answered is among the events; the replay talks to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tradetui.brokers.upstox.decoder import Decoder
from tradetui.config import Config
from tradetui.desk.guard import Memory
from tradetui.domain.calendar import IST, Calendar
from tradetui.domain.calendar.layers import CalendarLayers
from tradetui.domain.conversion import Conversion
from tradetui.domain.errors import StorageError
from tradetui.domain.events import Event
from tradetui.domain.gtt import Gtt
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import Fill, Order
from tradetui.domain.portfolio import Opening
from tradetui.domain.position import Position
from tradetui.domain.records import freeze
from tradetui.domain.thawing import decode_event, encode, encode_event, thaw
from tradetui.engine import Engine, EngineSettings
from tradetui.feeds.recorder import InboxRecorder
from tradetui.feeds.replay import recorded_events
from tradetui.market.universe import Universe
from tradetui.risk.facts import RiskState
from tradetui.risk.limits import Limits
from tradetui.storage.recording import MAX_BYTES, SUFFIX, InboxReader, InboxRecord, RecordKind
from tradetui.wiring.restore import Past, give_back
from tradetui.wiring.restore_plans import Plans
from tradetui.wiring.settings import charge_from, strategies_from

VERSION: Final = 1
"""Of the notes; a recording of another version is refused."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What an engine is made with: everything that decides what it makes of events.

    Attributes:
        begin_ns: Engine time before the first event.
        live: Orders reach a real exchange.
        tag_prefix: Beginning of our order tags.
        limits: Risk limits.
        settings: The user's settings (no secrets are among them).
        instruments: Known from the start, by slot.
        looked_at: Keys that strategies look at; empty means every tradable instrument.
        silence_s: Exchange seconds without a frame after which the feed counts as down.
        orders, openings, carried, filled_before, fills, sequence, risk_state, risk_reason, risk: The day so far; see `restore.Past`.
        signals: How many the day has had, so that their numbers go on.
        calendar: What was laid over the shipped calendar.
        gtts, conversions, moves, plans: As in `restore.Past`; ``moves_after`` says how many trades came before each move.
    """

    begin_ns: int
    live: bool
    tag_prefix: str
    limits: Limits
    settings: Config
    instruments: tuple[Instrument, ...]
    looked_at: tuple[str, ...] = ()
    silence_s: float = 15.0
    orders: tuple[Order, ...] = ()
    openings: tuple[Opening, ...] = ()
    carried: tuple[Position, ...] = ()
    filled_before: dict[str, int] = field(default_factory=dict)
    fills: tuple[Fill, ...] = ()
    sequence: int = 0
    risk_state: RiskState = RiskState.ACTIVE
    risk_reason: str = ""
    risk: Memory = field(default_factory=Memory)
    signals: int = 0
    gtts: tuple[Gtt, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    moves: tuple[Conversion, ...] = ()
    moves_after: tuple[int, ...] = ()
    plans: Plans = field(default_factory=Plans)
    calendar: CalendarLayers = field(default_factory=CalendarLayers)

    def with_past(self, past: Past) -> Beginning:
        """The same with the day so far."""
        return replace(
            self,
            orders=tuple(past.last_order_states()),
            openings=tuple(past.openings),
            carried=tuple(past.carried.values()),
            filled_before=dict(past.filled_before),
            fills=tuple(past.fills),
            sequence=past.sequence,
            risk_state=past.risk_state,
            risk_reason=past.risk_reason,
            risk=past.risk,
            signals=len(past.signals),
            gtts=tuple(past.gtts.values()),
            conversions=tuple(past.conversions.values()),
            moves=tuple(one for _, one in past.moves),
            moves_after=tuple(after for after, _ in past.moves),
            plans=past.plans,
        )

    def engine(self, calendar: Calendar, universe: Universe) -> Engine:
        """The engine that begins here. More instruments may join the universe later."""
        for instrument in self.instruments:
            universe.add(instrument)
        looked_at = frozenset(self.looked_at)
        engine = Engine(
            EngineSettings(self.limits, live=self.live, tag_prefix=self.tag_prefix, silence_s=self.silence_s),
            calendar,
            universe,
            charge_from(self.settings),
            strategies_from(self.settings),
            lambda instrument: instrument.tradable and (not looked_at or instrument.key in looked_at),
        )
        engine.begin(self.begin_ns)
        engine.signals.go_on_from(self.signals)
        past = Past(
            orders={order.tag: order for order in self.orders},
            openings=list(self.openings),
            carried={(one.instrument_key, one.product): one for one in self.carried},
            filled_before=dict(self.filled_before),
            fills=list(self.fills),
            sequence=self.sequence,
            risk_state=self.risk_state,
            risk_reason=self.risk_reason,
            risk=self.risk,
            gtts={gtt.tag: gtt for gtt in self.gtts},
            conversions={one.tag: one for one in self.conversions},
            moves=list(zip(self.moves_after, self.moves, strict=True)),
            plans=self.plans,
        )
        give_back(past, engine.desk, self.begin_ns)
        if self.settings.account.square_off_confirmed:
            engine.desk.guard.confirmed_before()
        return engine


# --- recording ----------------------------------------------------------------------------------------


class InboxTap:
    """Records every event that the engine takes, and the instruments it knew by then.

    Args:
        path: The file to make.
        beginning: What the engine was made with.
        universe: Instruments by slot; may grow while running.
        about: What people want to know of the recording; see `wiring.recordings`.
        lossless: Wait for a slow disk instead of ending the recording.
        max_bytes: Size on the disk at which it ends.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        beginning: Beginning,
        universe: Universe,
        about: Mapping[str, Any] | None = None,
        *,
        lossless: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.path = path
        self.recorder = InboxRecorder(path, encode_event, lossless=lossless, max_bytes=max_bytes)
        self._universe = universe
        self._known = len(beginning.instruments)
        header = {"version": VERSION, "about": dict(about or {}), "beginning": freeze(beginning)}
        self._note(beginning.begin_ns, header)

    def __call__(self, event: Event) -> None:
        """Write an event that the engine is about to take."""
        while self._known < len(self._universe):
            instrument = self._universe.instruments[self._known]
            self._note(event.t_ns, {"slot": self._known, "instrument": freeze(instrument)})
            self._known += 1
        self.recorder.record(event)

    def _note(self, t_ns: int, data: Mapping[str, Any]) -> None:
        self.recorder.note(t_ns, encode(data))


def recording_path(folder: Path, t_ns: int) -> Path:
    """A free name for a recording that begins now: ``2025-12-15-0932.inbox.zst``.

    Raises:
        StorageError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error.strerror}") from error
    stem = datetime.fromtimestamp(t_ns / 1e9, IST).strftime("%Y-%m-%d-%H%M")
    number, path = 1, folder / f"{stem}{SUFFIX}"
    while path.exists():
        # A simulated day may be run, and recorded, many times.
        number += 1
        path = folder / f"{stem}-{number}{SUFFIX}"
    return path


# --- playing back -------------------------------------------------------------------------------------


class RecordedRun:
    """A recording opened for playing back: a fresh engine, and the events to feed it with.

    Args:
        path: The recording.

    Raises:
        StorageError: It is no recording, or of another version, or damaged before the first event.
    """

    def __init__(self, path: Path) -> None:
        self.reader = InboxReader(path)
        self.universe = Universe()
        self._records = iter(self.reader)
        self.beginning = self._beginning(path)
        self.engine = self.beginning.engine(self.beginning.calendar.calendar(), self.universe)

    def events(self) -> Iterator[Event]:
        """Every event in the order in which it was taken. Once only.

        Afterwards ``reader.clean`` tells whether the recording was whole.
        """
        yield from recorded_events(
            self._records, Decoder(self.universe.slots).decode, decode_event, self._noted
        )

    def _beginning(self, path: Path) -> Beginning:
        first: InboxRecord | None = next(self._records, None)
        if first is None or first.kind is not RecordKind.NOTE:
            raise StorageError(f"{path.name} does not say how its run began")
        said = json.loads(first.payload)
        if said.get("version") != VERSION:
            raise StorageError(f"{path.name} was recorded by another version of this program")
        if "beginning" not in said:
            raise StorageError(
                f"{path.name} holds market data only: no run, and so no journal, belongs to it"
            )
        beginning: Beginning = thaw(Beginning, said["beginning"])
        return beginning

    def _noted(self, payload: bytes) -> None:
        said = json.loads(payload)
        self.universe.add(thaw(Instrument, said["instrument"]))
