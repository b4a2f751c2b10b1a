"""The composition root: mode -> clock, feed, broker, store. The one place where everything is joined.

| mode | when | clock | feed | broker | account folder |
|---|---|---|---|---|---|
| SIM | no account, or loopback URLs | the exchange's, followed | Upstox, over loopback | Upstox, over loopback | ``sim-WORLD`` |
| REHEARSAL | the same and ``--live`` | the exchange's, followed | Upstox, over loopback | Upstox, over loopback | ``sim-WORLD`` |
| PAPER | logged in | the machine's | Upstox | paper, fed with live quotes | ``paper-HOST-USER`` |
| LIVE | logged in and ``--live`` | the machine's | Upstox | Upstox | ``live-HOST-USER`` |
| REPLAY | ``--replay`` | the recording's | a recording | paper, fed with it | of its own (`wiring.replay`) |

How paper differs from live is this table and nothing else: the engine above it is the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tradetui import __version__
from tradetui.brokers.paper import PaperBroker
from tradetui.brokers.paper_inquiries import PaperInquiries
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import reads
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.candles import CandleClient
from tradetui.brokers.upstox.feed import UpstoxFeed
from tradetui.brokers.upstox.governor import BUDGET_FOLDER, Governor, Lane
from tradetui.brokers.upstox.inquiries import UpstoxInquiries
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.key_budget import budget_for
from tradetui.brokers.upstox.master_sync import MasterFile
from tradetui.brokers.upstox.tokens import AccessToken, has_plus_plan
from tradetui.config import Config, Home, Storage
from tradetui.config import Feed as FeedSettings
from tradetui.domain.calendar import Calendar, ist_date
from tradetui.domain.calendar.layers import CalendarLayers
from tradetui.domain.charges import broker_plan
from tradetui.domain.errors import StorageError, TransportError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.domain.money import Money
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.view import Mode
from tradetui.engine import Engine
from tradetui.exchange.rules import RuleBook
from tradetui.execution.evidence import day_is_over
from tradetui.journal import Journal, everything
from tradetui.market.universe import Universe
from tradetui.ports import Broker, Clock, Inquiries
from tradetui.storage.keeper import Keep
from tradetui.storage.lease import Holder, Lease
from tradetui.storage.lists import read_lists
from tradetui.storage.lock import DataLock
from tradetui.storage.store import Store
from tradetui.wiring.account import Account, find_account, whereabouts
from tradetui.wiring.backfill.desk import Backfiller, EngineBackfills
from tradetui.wiring.calendars import fresh_layers, stored_layers
from tradetui.wiring.day_context import DayContext
from tradetui.wiring.hand_over import HandOver
from tradetui.wiring.history import HistoryLoader
from tradetui.wiring.inbox import Beginning, InboxTap, recording_path
from tradetui.wiring.journals import Projected, adopt, tag_prefix
from tradetui.wiring.login import Login, token_finder
from tradetui.wiring.paper import paper_phase
from tradetui.wiring.parts import Parts
from tradetui.wiring.permits import permit_for
from tradetui.wiring.recordings import about, folder_of, prune
from tradetui.wiring.restore import NOT_NEEDED, Past, read_past
from tradetui.wiring.settings import limits_from, overlays_from
from tradetui.wiring.watchdog import WatchdogProcess
from tradetui.wiring.watchlist import choose, find, searcher
from tradetui.wiring.wire_notes import WireNotes

log = logging.getLogger(__name__)

SILENCE_S = 15.0
"""Real seconds without a frame, while the market trades, after which the feed counts as down."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `join` is asked for: flags and settings of one run.

    Attributes:
        place: Directories.
        settings: Settings.
        urls: Base URLs from flags or environment: main, order, feed, assets; ``None`` means not given.
        live: Real orders are wanted; on a simulator: their rehearsal.
        rehearse: A rehearsal is wanted, and nothing but a simulator will do.
        token: Access token handed in for this run only; empty for none.
        ends: Stop when the feed's world ends.
        record: Record the inbox.
        sim_seed, sim_speed: Of the inner simulator.
        fresh: Forget the inner simulator's day.
    """

    place: Home
    settings: Config
    urls: tuple[str | None, str | None, str | None, str | None]
    live: bool = False
    token: str = field(default="", repr=False)
    ends: bool = False
    record: bool = False
    sim_seed: int = 7
    sim_speed: float = 1.0
    fresh: bool = False
    rehearse: bool = False


async def join(request: Request) -> Parts:
    """Join everything that a run needs.

    Raises:
        TradeTuiError: Something is missing or refused; the words say what and how to mend it.
    """
    lock = DataLock(request.place.data_dir, "tradetui run")
    lease = Lease(request.place.data_dir)
    cleanup: list[Callable[[], Any]] = [lock.release, lease.close]
    try:
        # A watchdog or a kill that acts right now finishes its step first; what it did is taken over below.
        await asyncio.to_thread(lease.take, Holder.ENGINE)
        account = await find_account(request, cleanup)
        return await _joined(request, account, lease, cleanup)
    except BaseException:
        for step in reversed(cleanup):
            result = step()
            if asyncio.iscoroutine(result):
                await result
        raise


async def _joined(
    request: Request, account: Account, lease: Lease, cleanup: list[Callable[[], Any]]
) -> Parts:
    settings, clock = request.settings, account.clock
    universe = Universe()
    today = ist_date(clock.now_ns())
    folder = request.place.account_dir(account.folder)
    master = await _instruments(request, account)
    cleanup.append(master.close)

    prefix = tag_prefix(request.place.data_dir, today.strftime("%y%m%d"))
    await asyncio.to_thread(adopt, folder, clock.now_ns())
    written = await _journal(folder, cleanup)
    reading = partial(_past, folder / "journal", today, prefix)
    past, store = await _read_and_open(
        reading, _store(account, folder, master, universe, settings.storage, cleanup)
    )
    # Sorted: slots decide the order in which things are looked at, and must not differ from process to process.
    held = sorted({key for key, _ in past.carried} | {fill.instrument_key for fill in past.fills})
    journal = Projected(written, store.records)
    watch = choose(master, settings.watch.symbols, today, held)
    for instrument in watch:
        universe.add(instrument)

    governor = Governor(folder=folder / BUDGET_FOLDER)
    api = _api(account, journal, lease, governor, cleanup)
    layers = await _layers(request, account, api)
    calendar = layers.calendar()
    beginning = _beginning(request, account, prefix, universe, master, layers).with_past(past)
    engine = beginning.engine(calendar, universe)
    engine.signals.show_earlier(past.signals, master.get)
    broker = _broker(account, api, calendar, universe, past, beginning.limits.capital)
    tap = await asyncio.to_thread(_tap, request, account, beginning, universe, cleanup)

    history = HistoryLoader(api, store, calendar, universe, clock)
    new_login = _stand_by(request, account, lease, cleanup)
    return Parts(
        mode=account.mode,
        account=account.label,
        host=account.host_words,
        engine=engine,
        universe=universe,
        clock=clock,
        feed=_feed(account, api, universe, tap, settings.feed),
        broker=broker,
        journal=journal,
        store=store,
        watch=watch,
        lookup=master.get,
        search=searcher(master, engine.quotes, universe, today),
        warm_up=DayContext(history.load, store, calendar, universe, clock).load,
        lists=lambda: read_lists(request.place.data_dir / "lists", ist_date(clock.now_ns())),
        record_event=tap,
        cleanup=cleanup,
        ends=request.ends,
        overlays=overlays_from(settings),
        fault=account.fault,
        lease=lease,
        kill_dir=request.place.data_dir,
        new_login=new_login,
        login=Login(api, broker, token_finder(account.hosts), clock.now_ns),
        bands=partial(reads.day_bands, api),
        ask_quotes=partial(reads.asked_quotes, api),
        ask_status=partial(reads.market_status, api),
        minutes=partial(_minutes_of_today, CandleClient(api, clock.now_ns), clock),
        budgets=governor.budgets,
        inquiries=_inquiries(account, api, engine, settings),
        backfills=_backfills(request, account, api, store, calendar, master, cleanup),
        run_info={"version": __version__, "mode": account.mode.value, "host": account.hosts.label},
    )


def _api(
    account: Account,
    journal: Projected,
    lease: Lease,
    governor: Governor,
    cleanup: list[Callable[[], Any]],
) -> UpstoxApi:
    """The account's REST client, its connections made ahead."""
    api = UpstoxApi(
        account.hosts,
        account.token,
        note=_wire_notes(account, journal),
        permit=permit_for(account.mode, lease),
        governor=governor,
        now_ns=account.clock.now_ns,
    )
    cleanup.append(api.close)
    api.keep_warm()
    return api


async def _layers(request: Request, account: Account, api: UpstoxApi) -> CalendarLayers:
    """What is laid over the shipped calendar: the broker's word, of today if it can be had, and the user's own."""
    now_ns = account.clock.now_ns()
    if account.token.expired(now_ns):
        return stored_layers(request.place, request.settings, account.hosts)
    return await fresh_layers(request.place, request.settings, account.hosts, api, ist_date(now_ns))


def _beginning(
    request: Request,
    account: Account,
    prefix: str,
    universe: Universe,
    master: Master,
    layers: CalendarLayers,
) -> Beginning:
    """What the engine is made with, before the day so far."""
    settings, live = request.settings, account.mode.needs_arming
    # A rehearsal may use the paper capital; real orders only what the user typed for them.
    typed = account.mode is Mode.LIVE or settings.account.live_capital > 0
    return Beginning(
        begin_ns=account.clock.now_ns(),
        calendar=layers,
        live=live,
        tag_prefix=prefix,
        limits=limits_from(settings, live=live and typed),
        settings=settings,
        instruments=tuple(universe.instruments),
        # Fifteen seconds of ours: on a simulated exchange that runs fast, more of its own.
        silence_s=SILENCE_S * max(1.0, account.speed),
        looked_at=tuple(sorted({find(master, text).key for text in settings.strategies.symbols})),
    )


def _backfills(
    request: Request,
    account: Account,
    api: UpstoxApi,
    store: Store,
    calendar: Calendar,
    master: Master,
    cleanup: list[Callable[[], Any]],
) -> EngineBackfills:
    """What fetches past bars for `tradetui backfill` while this run holds the store.

    In the lane that yields to everything else: half of the limits on reads stay with the run itself.
    """
    chosen, watch = request.settings.history, request.settings.watch.symbols
    filler = Backfiller(
        api, store, calendar, account.clock, master, watch, account.folder,
        parallel=min(2, chosen.parallel), attempts=chosen.attempts, lane=Lane.TRAIL,
    )  # fmt: skip
    made = EngineBackfills(filler)
    cleanup.append(made.close)
    return made


def _inquiries(account: Account, api: UpstoxApi, engine: Engine, settings: Config) -> Inquiries:
    """Margins and charges before an order: asked of the broker, or reckoned on paper."""
    if account.mode is not Mode.PAPER:
        return UpstoxInquiries(api)
    return PaperInquiries(
        engine.universe.get,
        lambda key: engine.market(key).last,
        broker_plan(settings.account.plan),
        account.clock.now_ns,
    )


def _stand_by(
    request: Request, account: Account, lease: Lease, cleanup: list[Callable[[], Any]]
) -> list[Callable[[AccessToken], None]]:
    """Write down where this run trades, and let a watchdog stand by where orders need arming.

    Returns:
        Who has to hear of a new login.
    """
    where = whereabouts(account)
    where.save(request.place.data_dir)
    if not account.mode.needs_arming:
        return []
    chosen, place = request.settings.watchdog, request.place
    told = HandOver(
        where,
        account.token,
        str(place.config_dir),
        str(place.data_dir),
        lease.epoch,
        chosen.after,
        chosen.policy,
    )
    guard = WatchdogProcess(told)
    cleanup.append(guard.close)
    return [guard.use_token]


async def _journal(folder: Path, cleanup: list[Callable[[], Any]]) -> Journal:
    """The account's journal, open for writing; before anybody reads it.

    Opening sets a cut record aside, and empties the emergency reserve into the day file.
    """
    journal = await asyncio.to_thread(Journal, folder / "journal")
    cleanup.append(journal.close)
    if journal.torn is not None:
        log.warning("the journal's last record was cut and has been set aside as %s", journal.torn.name)
    return journal


async def _store(
    account: Account,
    folder: Path,
    master: Master,
    universe: Universe,
    storage: Storage,
    cleanup: list[Callable[[], Any]],
) -> Store:
    """The account's store, its ledger caught up with the journal."""
    store = await asyncio.to_thread(
        Store.open,
        folder,
        universe.instruments,
        journal=lambda day, number: everything(folder / "journal", day, number),
        multiplier=lambda key: found.multiplier if (found := master.get(key)) else 1,
        # A simulated day may run at any speed: rather wait for the disk than lose a tick.
        lossless=account.hosts.is_loopback,
        ticks=storage.ticks,
        depth=storage.depth,
        keep=Keep(storage.ticks_days, storage.bars_days, storage.archive_days),
    )
    cleanup.append(store.close)
    return store


async def _read_and_open(read: Callable[[], Past], opened: Coroutine[Any, Any, Store]) -> tuple[Past, Store]:
    """Open the databases while the journal is read: most of that is not Python's work."""
    opening = asyncio.create_task(opened)
    try:
        past = await asyncio.to_thread(read)
    finally:
        store = await opening
    return past, store


def _wire_notes(account: Account, journal: Projected) -> WireNotes:
    """What keeps requests, replies and pushes in the journal."""

    def write(data: dict[str, Any]) -> None:
        try:
            journal.append(Record(account.clock.now_ns(), RecordKind.WIRE, data))
        except StorageError as error:
            # The request is on the wire: its outcome must not turn into a refusal because a note of it failed.
            log.error("a request or reply could not be kept: %s", error)  # noqa: TRY400 - words say it all

    return WireNotes(write)


def _feed(
    account: Account, api: UpstoxApi, universe: Universe, tap: InboxTap | None, chosen: FeedSettings
) -> UpstoxFeed:
    """The market data stream, recorded where a recorder is given."""

    async def authorize() -> str:
        reply = (await api.call(ep.FEED_AUTHORIZE)).data or {}
        url = reply.get("authorized_redirect_uri") or reply.get("authorizedRedirectUri")
        if not url:
            raise TransportError("the broker gave no address for the market feed")
        return str(url)

    return UpstoxFeed(
        account.hosts,
        authorize,
        universe.slots,
        account.clock,
        on_frame=tap.recorder.hold if tap is not None else None,
        on_server_time=account.follow,
        budget=budget_for(
            plus=chosen.plan == "plus" or (chosen.plan == "auto" and has_plus_plan(account.token)),
            by_connection=chosen.limits == "connection",
        ),
    )


async def _minutes_of_today(candles: CandleClient, clock: Clock, instrument: Instrument) -> list[Candle]:
    """The broker's own minutes of today."""
    today = ist_date(clock.now_ns())
    return await candles.fetch(instrument.key, "1m", today, today)


def _tap(
    request: Request,
    account: Account,
    beginning: Beginning,
    universe: Universe,
    cleanup: list[Callable[[], Any]],
) -> InboxTap | None:
    """The recorder of the inbox, where one is wanted."""
    if not request.record:
        return None
    storage, data_dir = request.settings.storage, request.place.data_dir
    prune(data_dir, storage.record_keep_days, ist_date(beginning.begin_ns))
    tap = InboxTap(
        recording_path(folder_of(data_dir), beginning.begin_ns),
        beginning,
        universe,
        about("run", account.mode.value, account.folder),
        # A simulated exchange can wait for the disk; a live one must not.
        lossless=account.hosts.is_loopback,
        max_bytes=round(storage.record_max_gb * 2**30),
    )
    cleanup.append(tap.recorder.close)
    log.info("the inbox is recorded in %s", tap.path)
    return tap


def _broker(
    account: Account, api: UpstoxApi, calendar: Calendar, universe: Universe, past: Past, capital: Money
) -> Broker:
    """The broker of the mode's table: paper fed with live quotes, or the account itself."""
    if account.mode is not Mode.PAPER:
        return UpstoxBroker(api, account.clock)
    return PaperBroker(
        universe.instruments,
        paper_phase(calendar),
        capital=Money(capital + past.earned),
        positions=past.carried.values(),
        orders=[
            order
            for order in past.last_order_states()
            # No exchange keeps a day order over night, and neither does this one.
            if order.status.working and not day_is_over(order, account.clock.now_ns())
        ],
        fills=past.fills,
        gtts=past.gtts.values(),
        conversions=past.moves,
        rule_book=RuleBook(after_market=True),
        start_ns=account.clock.now_ns(),
    )


async def _instruments(request: Request, account: Account) -> Master:
    """The instrument list: today's if it can be had, else the last good one, and that is said."""
    folder = request.place.data_dir / "instruments"
    today = ist_date(account.clock.now_ns())
    master_file = MasterFile(folder, account.hosts)
    # Worlds of simulators differ at will; only a real broker's list must resemble yesterday's.
    result = await asyncio.to_thread(master_file.sync, today, force=account.hosts.is_loopback)
    (log.info if result.fresh else log.warning)("%s", result.message)
    return result.master


def _past(folder: Path, today: Any, prefix: str) -> Past:
    return read_past((record for _, _, record in everything(folder, skip=NOT_NEEDED)), today, prefix)
