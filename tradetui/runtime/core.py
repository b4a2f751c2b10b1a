"""The runtime: one asyncio loop that owns engine, feed, broker, journal and store.

Start order: store, broker (with a first reconciliation), warm-up history, feed. Stop is the reverse, with a
deadline. The loop may live on its own thread (under the screen) or on the main one (headless); `handle.py`
has the screen's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

from tradetui.brokers.upstox.errors import SHUT_CODES
from tradetui.brokers.upstox.tokens import AccessToken, in_ist
from tradetui.domain.errors import AuthError, TradeTuiError
from tradetui.domain.events import Event, FeedEvent, FeedState, TickEvent, TimeEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.records import Record, RecordKind
from tradetui.engine import Outcome
from tradetui.runtime.bands import keep_bands
from tradetui.runtime.day_end import day_stats
from tradetui.runtime.interest import Interest
from tradetui.runtime.lists import keep_lists
from tradetui.runtime.mending import Mending
from tradetui.runtime.oddities import oddities
from tradetui.runtime.outside import KillWatch
from tradetui.runtime.pump import Pump
from tradetui.runtime.supervision import Supervision
from tradetui.runtime.telemetry import Latency, LoopLag, rss_mb
from tradetui.wiring.login import Login
from tradetui.wiring.parts import Parts

log = logging.getLogger(__name__)

NS_PER_S: Final = 1_000_000_000
_TIMER_S: Final = 0.1
_STOP_DEADLINE_S: Final = 10.0
_DAY_STATS_EVERY_S: Final = 300.0
"""A run that goes on over night keeps what the session ended with long before the next one begins."""
_SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter while another wants it; the default of 5 ms is an order's whole time."""
_LOGIN_EVERY_S: Final = 2.0
"""Between looks for a new login while one is needed."""
_LOGIN_WARN_NS: Final = 15 * 60 * NS_PER_S
"""How long before its end a login is called short."""


class Service(Protocol):
    """Something that runs beside the engine, on its loop, for as long as it runs."""

    async def start(self) -> None:
        """Begin; an error of ours is said and leaves the run without it."""

    async def close(self) -> None:
        """End."""


class Runtime:
    """Runs the parts until told to stop, until the world ends, or until something breaks.

    Args:
        parts: What to run.
        stay_up: A refused token does not end the run: somebody looks at a screen that says so.
    """

    def __init__(self, parts: Parts, *, stay_up: bool = False) -> None:
        self.parts = parts
        self._stay_up = stay_up
        self.engine = parts.engine
        self.latency = Latency()
        self.lag = LoopLag()
        self.frames = self.ticks = 0
        self.bars: dict[int, int] = {}
        self.signals = 0
        self.listeners: list[Callable[[Event, Outcome], None]] = []
        self.services: list[Service] = []
        self.pump = Pump(self.engine, parts.broker, parts.journal, parts.record_event, self._heard)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted = False
        self._arrived_ns = 0
        self._loading: set[asyncio.Task[None]] = set()
        self._going_on = False
        self.started = asyncio.Event()
        self.feed_ended = False
        self.login_trouble = ""
        """Why a new login is needed, in words; empty while none is."""
        self._feed_was_up = False
        self._new_login = asyncio.Event()
        self.steps = 0
        self._outside = KillWatch(parts.kill_dir, self.take, parts.clock.now_ns)
        self.interest = Interest(self.engine, parts.feed, [one.key for one in parts.watch])
        self.supervision = Supervision(
            self.engine, parts.feed, self.interest, parts.clock, self.take, parts.ask_quotes, parts.ask_status
        )
        keep = parts.store.bars if parts.store is not None else None
        self.mending = Mending(
            self.engine, parts.clock, self.take, keep, parts.minutes, self.interest.important
        )
        self.listeners.append(self.mending.heard)

    # --- events ---------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """The sink of feeds and brokers: called on the loop, works the event off before it returns."""
        if isinstance(event, TickEvent):
            self._arrived_ns = getattr(self.parts.feed, "received_ns", 0) or time.perf_counter_ns()
        elif isinstance(event, FeedEvent):
            self._feed_was_up |= event.state is FeedState.UP
            self.feed_ended |= event.state is FeedState.ENDED
        self.pump.take(event)

    def _heard(self, event: Event, outcome: Outcome) -> None:
        self.steps += 1
        if outcome.commands:
            with contextlib.suppress(TradeTuiError):
                self._beat()  # whoever watches knows of an order as soon as there may be one
        self._outside.heard(event)
        store = self.parts.store
        if isinstance(event, TickEvent):
            self.frames += 1
            self.ticks += len(event.batch)
            if store is not None:
                store.ticks(event.t_ns, event.batch)
            self.latency.add(time.perf_counter_ns() - self._arrived_ns)
        for candle in outcome.candles:
            self.bars[candle.interval_s] = self.bars.get(candle.interval_s, 0) + 1
        if store is not None:
            if outcome.candles:
                store.bars(outcome.candles)
            if outcome.revised:
                store.bars(outcome.revised)
        self.signals += sum(record.kind is RecordKind.SIGNAL for record in outcome.records)
        for listener in self.listeners:
            listener(event, outcome)
        # A close of thousands of bars goes on in slices, frames in between. A replay makes its own time.
        if outcome.more and not self._going_on and self._loop is not None and not self.parts.timed_by_feed:
            self._going_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """The next slice of a large close."""
        self._going_on = False
        if not self._stop.is_set():
            self.take(TimeEvent(self.parts.clock.now_ns()))

    # --- life -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin an orderly stop. Safe from any thread, and before `run`."""
        self._stop_wanted = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: stopped already
                self._loop.call_soon_threadsafe(self._stop.set)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it runs on; ``None`` before `run`."""
        return self._loop

    async def run(self) -> None:
        """Start, run until stopped or ended, stop.

        Raises:
            TradeTuiError: Something that the run stands on broke; what was written is safe.
        """
        self._loop = asyncio.get_running_loop()
        if self._stop_wanted:
            self._stop.set()
        sys.setswitchinterval(_SWITCH_S)
        async with self._opened():
            self._outside.look()
            tasks = [
                asyncio.create_task(self._run_feed(), name="feed"),
                asyncio.create_task(self._tick_time(), name="timer"),
                asyncio.create_task(self.lag.watch(), name="lag"),
                asyncio.create_task(self._keep_days(), name="day figures"),
                asyncio.create_task(self._watch_login(), name="login"),
                asyncio.create_task(self.supervision.run(), name="supervision"),
                asyncio.create_task(self.mending.run(), name="mending"),
            ]
            if self.parts.lists is not None:
                lists = keep_lists(self.parts.lists, self.parts.clock, self.take)
                tasks.append(asyncio.create_task(lists, name="dated lists"))
            if self.parts.bands is not None:
                universe = self.parts.universe
                bands = keep_bands(
                    self.parts.bands, lambda: tuple(universe.instruments), self.parts.clock, self.take
                )
                tasks.append(asyncio.create_task(bands, name="price bands"))
            stop = asyncio.create_task(self._stop.wait(), name="stop")
            warm_up = asyncio.create_task(self._warm_up(self.parts.watch), name="warm-up")
            gc.collect()
            gc.freeze()
            self.started.set()
            try:
                for service in self.services:
                    with _said("a service of this run could not be started"):
                        await service.start()
                await self._until_over(tasks, stop)
            finally:
                for service in self.services:
                    await service.close()
                for task in [*tasks, stop, warm_up]:
                    task.cancel()
                await asyncio.gather(*tasks, stop, warm_up, return_exceptions=True)

    async def _until_over(self, tasks: list[asyncio.Task[Any]], stop: asyncio.Task[Any]) -> None:
        feed = tasks[0]
        while True:
            await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return
            for task in [task for task in tasks if task.done()]:
                if task is not feed:
                    task.result()  # raises what broke
                    raise TradeTuiError(f"the {task.get_name()} task ended by itself")
                refused = task.exception()
                if refused is not None and not (self._stay_up and isinstance(refused, AuthError)):
                    raise refused
                if self.parts.ends:
                    return
                # A world that ended, or a refused token: stay up, so that it can be looked at and mended.
                tasks.remove(task)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        parts, well = self.parts, False
        try:
            self._note(RecordKind.RUN, {"what": "start", **parts.run_info})
            await parts.broker.start(self.take)
            for instrument in parts.watch:
                parts.universe.add(instrument)
            self.interest.turn()
            yield
            well = True
        finally:
            await self._close(well=well)

    async def _close(self, *, well: bool) -> None:
        parts = self.parts
        try:
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await parts.broker.close()
        except TimeoutError:
            log.warning("the broker connection did not close in time")
        await self._keep_day_stats()
        # One part that cannot be closed well (a full disk, say) must not keep the others open.
        self.pump.flush()
        with _said("the journal's last record could not be written"):
            self._note(RecordKind.RUN, {"what": "stop"})
        if well and parts.lease is not None:
            # Only after an end in good order; after a failure the watchdog has to look after what is open.
            with _said("the lease could not be given back"):
                await asyncio.to_thread(parts.lease.release)
        for step in reversed(parts.cleanup):
            with _said("a part did not close well"):
                result = await asyncio.to_thread(step) if not asyncio.iscoroutinefunction(step) else step()
                if asyncio.iscoroutine(result):
                    await result
        gc.unfreeze()

    def remark(self, data: dict[str, Any]) -> None:
        """Put something about this run into the journal that the engine has no part in.

        Raises:
            StorageError: It cannot be written.
        """
        if self.pump.journal_error is not None:
            raise self.pump.journal_error
        self._note(RecordKind.RUN, data)

    def _note(self, kind: RecordKind, data: dict[str, Any]) -> None:
        self.parts.journal.append(Record(self.parts.clock.now_ns(), kind, data))
        self.parts.journal.sync()

    async def _keep_day_stats(self) -> None:
        """Store what the session has come to. The wait for the writer is on another thread."""
        store = self.parts.store
        rows = day_stats(self.engine) if store is not None else []
        if store is None or not rows:
            return
        try:
            await asyncio.to_thread(store.day_stats, rows)
        except TradeTuiError as error:
            log.warning("the day's closing figures could not be kept: %s", error)

    async def _keep_days(self) -> None:
        while True:
            await asyncio.sleep(_DAY_STATS_EVERY_S)
            await self._keep_day_stats()

    # --- login ----------------------------------------------------------------------------------------

    async def _run_feed(self) -> None:
        """Stream; after a refused token, again with the next one.

        A run without a screen whose very first token is refused ends instead: nobody would see why it waits.
        """
        while True:
            try:
                await self.parts.feed.run(self.take)
            except AuthError:
                if self.parts.login is None or not (self._stay_up or self._feed_was_up):
                    raise
                await self._new_login.wait()
                self._new_login.clear()
            else:
                return

    async def _watch_login(self) -> None:
        """Ask for a new login in plain words when one is needed, and go on with it as soon as it is there."""
        login = self.parts.login
        said, warned_ns = "", 0
        while True:
            await asyncio.sleep(_LOGIN_EVERY_S)
            if login is None:
                continue
            self.login_trouble = self._needs_login(login)
            if not self.login_trouble:
                said = ""
                left_ns = login.expires_ns - self.parts.clock.now_ns()
                if 0 < left_ns < _LOGIN_WARN_NS and warned_ns != login.expires_ns:
                    warned_ns = login.expires_ns
                    log.warning("the login ends in %d minutes: tradetui auth", left_ns // (60 * NS_PER_S) + 1)
                continue
            if said != self.login_trouble:
                said = self.login_trouble
                log.error(
                    "%s; log in in another terminal: tradetui auth; this run goes on by itself then", said
                )
            try:
                token = await login.look()
                if token is not None:
                    self.use_token(token)
            except TradeTuiError as error:
                if said != str(error):
                    said = str(error)
                    log.warning("no new login yet: %s", error)

    def _needs_login(self, login: Login) -> str:
        """Why the login does not serve any more; empty while it does."""
        feed = self.engine.feed
        refused = feed.reason if feed.state is FeedState.REFUSED else ""
        manager = self.engine.desk.manager
        # At night the account cannot be read whoever is logged in.
        trouble = "" if manager.account_code in SHUT_CODES else manager.account_trouble
        return login.ended or trouble or refused

    def use_token(self, token: AccessToken) -> None:
        """Go on with a new login, without a restart. On the loop only.

        Raises:
            AuthError: It was issued by another host.
        """
        if self.parts.login is None:
            return
        self.parts.login.use(token)
        for hear in self.parts.new_login:
            hear(token)
        log.warning("logged in again at %s until %s", self.parts.login.label, in_ist(token.expires_ns))
        self.login_trouble = ""
        self._new_login.set()

    # --- instruments ----------------------------------------------------------------------------------

    def watch(self, instrument: Instrument) -> None:
        """Stream an instrument from now on; in which mode, its importance decides."""
        self.parts.universe.add(instrument)
        self.interest.turn()

    def watch_more(self, instrument: Instrument) -> None:
        """Stream one more instrument while running, and load its history. On the loop only."""
        self.watch(instrument)
        task = asyncio.create_task(self._warm_up([instrument]))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _warm_up(self, instruments: list[Instrument]) -> None:
        """Load history behind the live stream: indicators start again from it when it arrives."""
        load = self.parts.warm_up
        if load is None:
            return
        for instrument in instruments:
            try:
                events = await load(instrument)
            except TradeTuiError as error:
                log.warning("no history for %s: %s", instrument.symbol, error)
                continue
            for event in events:
                self.take(event)
        gc.freeze()  # thousands of indicator states that stay: nothing for the collector to look through

    async def _tick_time(self) -> None:
        """Turn real time into `TimeEvent`s, and make what was journaled durable."""
        clock, last = self.parts.clock, 0
        while True:
            await asyncio.sleep(_TIMER_S)
            self.pump.flush()
            self._beat()
            self._outside.tick()
            if self.parts.timed_by_feed:
                continue
            now = clock.now_ns()
            if now - last >= NS_PER_S or now < last:
                last = now
                self.take(TimeEvent(now))

    def _beat(self) -> None:
        """Show from this loop that it turns, and how much there is to look after.

        Raises:
            StorageError: Somebody else has taken over; this run is over.
        """
        lease = self.parts.lease
        if lease is None:
            return
        desk = self.engine.desk
        working = sum(order.status.working for order in desk.manager.orders.values())
        resting = working + len(desk.manager.gtts.working())
        lease.beat(self.steps, resting + len(desk.portfolio.open_positions()))

    # --- figures --------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """The object that ``--json`` prints at the end (`design.md` 11)."""
        from tradetui.domain.intervals import interval_name

        counters = self.parts.feed.counters()
        orders: dict[str, int] = {}
        for order in self.engine.desk.manager.orders.values():
            orders[order.status.value] = orders.get(order.status.value, 0) + 1
        return {
            "mode": self.parts.mode.value.lower(),
            "frames": self.frames,
            "ticks": self.ticks,
            "bars": {interval_name(k): v for k, v in sorted(self.bars.items())},
            "signals": self.signals,
            "orders": orders,
            "fills": len(self.engine.desk.portfolio.fills),
            "dropped": (self.parts.store.dropped() if self.parts.store else 0)
            + counters.get("dropped", 0)
            + counters.get("bad_frames", 0),
            "reconnects": counters.get("reconnects", 0),
            "tick_to_state_p50_us": round(self.latency.percentile_us(50), 1),
            "tick_to_state_p99_us": round(self.latency.percentile_us(99), 1),
            "max_loop_lag_ms": round(self.lag.max_ms, 2),
            "rss_mb": round(rss_mb(), 1),
            "journal_sha256": self.parts.journal.content.hexdigest(),
            "odd": oddities(self),
        }


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    """Log an error of ours instead of raising it."""
    try:
        yield
    except TradeTuiError as error:
        log.error("%s: %s", what, error)  # noqa: TRY400 - words say it all
