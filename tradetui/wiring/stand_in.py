"""Joins a stand-in: engine, broker and a journal of its own, without prices, store or screen.

For the watchdog and for ``tradetui kill`` when no engine answers. It is the same engine with the same desk, given
back the same day from the journal, so that what it does is what the engine would have done; it has no feed, and
nothing it does needs prices. Whoever joins one holds the lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tradetui import __version__
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.auth import about_simulator
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.governor import BUDGET_FOLDER, Governor
from tradetui.brokers.upstox.master_sync import MasterFile
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.clock import FollowedClock, WallClock
from tradetui.config import Config, Home
from tradetui.desk import Desk
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import StorageError, TradeTuiError
from tradetui.domain.instrument import Instrument
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal
from tradetui.market.universe import Universe
from tradetui.ports import EventSink, FeedMode
from tradetui.storage.lease import Lease
from tradetui.wiring.calendars import usable_calendar
from tradetui.wiring.hand_over import Whereabouts
from tradetui.wiring.inbox import Beginning
from tradetui.wiring.journals import every_record, stand_in_dir, tag_prefix
from tradetui.wiring.parts import Parts
from tradetui.wiring.permits import permit_for
from tradetui.wiring.restore import Past, read_past
from tradetui.wiring.settings import limits_from
from tradetui.wiring.wire_notes import WireNotes

log = logging.getLogger(__name__)


def instruments_of(place: Home, where: Whereabouts) -> Callable[[str], Instrument | None]:
    """Terms by key, out of the instrument list that a run left on the disk."""
    master = MasterFile(place.data_dir / "instruments", where.hosts).load()
    return master.get if master is not None else lambda key: None


def desk_of(place: Home, settings: Config, where: Whereabouts) -> Desk:
    """The account as its journals tell it, read and not touched."""
    records = list(every_record(place.account_dir(where.folder)))
    newest_ns = max((record.t_ns for record in records), default=0)
    past = read_past(records, ist_date(newest_ns), "")
    engine = _beginning(settings, where, newest_ns, "", Universe(), past).engine(
        usable_calendar(place, settings, where.hosts), Universe()
    )
    return engine.desk


def _beginning(
    settings: Config, where: Whereabouts, begin_ns: int, prefix: str, universe: Universe, past: Past
) -> Beginning:
    live = where.mode.needs_arming
    return Beginning(
        begin_ns=begin_ns,
        live=live,
        tag_prefix=prefix,
        limits=limits_from(settings, live=live and settings.account.live_capital > 0),
        settings=settings,
        instruments=tuple(universe.instruments),
    ).with_past(past)


class NoFeed:
    """No market data: whoever stands in does without."""

    async def run(self, sink: EventSink) -> None:
        """Nothing comes."""
        await asyncio.Event().wait()

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Nothing to subscribe to."""

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Nothing was subscribed."""

    def counters(self) -> Mapping[str, int]:
        """Nothing was counted."""
        return {}


async def join_stand_in(
    place: Home, settings: Config, where: Whereabouts, token: AccessToken, lease: Lease, who: str
) -> Parts:
    """Join a stand-in for the account that a run traded on.

    Args:
        place: Directories.
        settings: Settings.
        where: Where the run traded.
        token: A login there.
        lease: Held by the caller.
        who: Who stands in, for journal and halt.

    Raises:
        TradeTuiError: Something is missing or refused; the words say what.
    """
    cleanup: list[Callable[[], Any]] = []
    try:
        return await _joined(place, settings, where, token, lease, who, cleanup)
    except BaseException:
        for step in reversed(cleanup):
            result = step()
            if asyncio.iscoroutine(result):
                await result
        raise


async def _joined(
    place: Home,
    settings: Config,
    where: Whereabouts,
    token: AccessToken,
    lease: Lease,
    who: str,
    cleanup: list[Callable[[], Any]],
) -> Parts:
    clock = await _clock(where)
    today = ist_date(clock.now_ns())
    folder = place.account_dir(where.folder)
    master_file = MasterFile(place.data_dir / "instruments", where.hosts)
    result = await asyncio.to_thread(master_file.sync, today, force=where.hosts.is_loopback)
    master = result.master
    cleanup.append(master.close)

    # A letter of its own: its numbers must not meet those of the engine that it stands in for.
    prefix = tag_prefix(place.data_dir, today.strftime("%y%m%d"), "w")
    past = await asyncio.to_thread(lambda: read_past(every_record(folder), today, prefix))
    keys = {order.request.instrument_key for order in past.last_order_states()}
    keys |= {fill.instrument_key for fill in past.fills} | {key for key, _ in past.carried}
    universe = Universe()
    for key in sorted(keys):
        if (found := master.get(key)) is not None:
            universe.add(found)

    journal = await asyncio.to_thread(Journal, stand_in_dir(folder))
    cleanup.append(journal.close)
    api = UpstoxApi(
        where.hosts,
        token,
        note=_notes(journal, clock.now_ns),
        permit=permit_for(where.mode, lease),
        governor=Governor(folder=folder / BUDGET_FOLDER),
        now_ns=clock.now_ns,
    )
    cleanup.append(api.close)
    beginning = _beginning(settings, where, clock.now_ns(), prefix, universe, past)
    return Parts(
        mode=where.mode,
        account=where.label,
        host=where.hosts.label,
        engine=beginning.engine(usable_calendar(place, settings, where.hosts), universe),
        universe=universe,
        clock=clock,
        feed=NoFeed(),
        broker=UpstoxBroker(api, clock),
        journal=journal,
        store=None,
        watch=[],
        lookup=master.get,
        search=lambda text, limit: master.search(text, limit, today),
        cleanup=cleanup,
        run_info={"version": __version__, "mode": where.mode.value, "host": where.hosts.label, "who": who},
    )


async def _clock(where: Whereabouts) -> WallClock | FollowedClock:
    """Engine time: the machine's, or the simulator's own."""
    if not where.hosts.is_loopback:
        return WallClock()
    about = await about_simulator(where.hosts)
    if about is None:
        raise TradeTuiError(
            f"the simulator at {where.hosts.label} cannot be reached",
            "one that ran inside the program ended with it",
        )
    now_ns = WallClock().now_ns() + about.ahead_ns
    clock = FollowedClock(now_ns, where.speed)
    clock.observe(now_ns // 1_000_000)
    return clock


def _notes(journal: Journal, now_ns: Callable[[], int]) -> WireNotes:
    def write(data: dict[str, Any]) -> None:
        try:
            journal.append(Record(now_ns(), RecordKind.WIRE, data))
        except StorageError as error:
            log.error("a request or reply could not be kept: %s", error)  # noqa: TRY400 - words say it all

    return WireNotes(write)
