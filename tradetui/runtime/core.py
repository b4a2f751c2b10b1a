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
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tradetui.domain.errors import AuthError, TradeTuiError
from tradetui.domain.events import Event, FeedEvent, FeedState, HistoryEvent, TickEvent, TimeEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle, TickBatch
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.view import Mode
from tradetui.engine import Engine, Outcome
from tradetui.market.universe import Universe
from tradetui.ports import Broker, Clock, Feed, FeedMode
from tradetui.runtime.pump import JournalPort, Pump
from tradetui.runtime.telemetry import Latency, LoopLag, rss_mb

log = logging.getLogger(__name__)

NS_PER_S: Final = 1_000_000_000
_TIMER_S: Final = 0.1
_STOP_DEADLINE_S: Final = 10.0


class StorePort(Protocol):
    """What the runtime needs of storage. Calls return at once; a writer thread does the work."""

    def ticks(self, t_ns: int, batch: TickBatch) -> None:
        """Keep the ticks of one frame."""

    def bars(self, candles: list[Candle]) -> None:
        """Keep finished or revised bars."""

    def records(self, records: list[Record]) -> None:
        """Project journal records into the ledger."""

    def queued(self) -> int:
        """Rows that wait for the writer."""

    def close(self) -> None:
        """Write what waits, then close."""


class JournalHandle(JournalPort, Protocol):
    """A journal that can also be closed and knows its content hash."""

    @property
    def content(self) -> Any:
        """The content hash so far."""

    def close(self) -> None:
        """Sync and close."""


@dataclass(slots=True)
class Parts:
    """What `wiring` joins and the runtime runs.

    Attributes:
        mode: Which world the orders go to.
        account: Label of the account, fit for the screen (no full id).
        host: Host that the broker's requests go to.
        watch: Instrument keys to stream from the start.
        lookup: Key to terms, from the instrument list.
        search: Words and limit to instruments.
        warm_up: Bars from before now, for one instrument; may take long, runs on a thread.
        cleanup: Called last, in reverse order.
        ends: Stop when the feed's world ends.
        timed_by_feed: The feed itself makes `TimeEvent`s (replays).
        fault: Switches a fault of the inner simulator.
    """

    mode: Mode
    account: str
    host: str
    engine: Engine
    universe: Universe
    clock: Clock
    feed: Feed
    broker: Broker
    journal: JournalHandle
    store: StorePort | None
    watch: list[Instrument]
    lookup: Callable[[str], Instrument | None]
    search: Callable[[str, int], list[Instrument]]
    warm_up: Callable[[Instrument], list[HistoryEvent]] | None = None
    record_event: Callable[[Event], None] | None = None
    cleanup: list[Callable[[], Any]] = field(default_factory=list)
    ends: bool = False
    timed_by_feed: bool = False
    fault: Callable[[str, dict[str, object]], str] | None = None
    run_info: dict[str, Any] = field(default_factory=dict)


class Runtime:
    """Runs the parts until told to stop, until the world ends, or until something breaks."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.engine = parts.engine
        self.latency = Latency()
        self.lag = LoopLag()
        self.frames = self.ticks = self.dropped = 0
        self.bars: dict[int, int] = {}
        self.signals = 0
        self.listeners: list[Callable[[Event, Outcome], None]] = []
        self.pump = Pump(self.engine, parts.broker, parts.journal, parts.record_event, self._heard)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived_ns = 0
        self.started = asyncio.Event()
        self.feed_ended = False

    # --- events ---------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """The sink of feeds and brokers: called on the loop, works the event off before it returns."""
        if isinstance(event, TickEvent):
            self._arrived_ns = getattr(self.parts.feed, "received_ns", 0) or time.perf_counter_ns()
        elif isinstance(event, FeedEvent) and event.state is FeedState.ENDED:
            self.feed_ended = True
        self.pump.take(event)

    def _heard(self, event: Event, outcome: Outcome) -> None:
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
            if outcome.records:
                store.records(outcome.records)
        self.signals += sum(record.kind is RecordKind.SIGNAL for record in outcome.records)
        for listener in self.listeners:
            listener(event, outcome)

    # --- life -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin an orderly stop. Safe from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: stopped already
                self._loop.call_soon_threadsafe(self._stop.set)

    def stop_soon(self) -> None:
        """Stop as soon as it runs: for a wish that came before the start. On the loop only."""
        self._stop.set()

    async def run(self) -> None:
        """Start, run until stopped or ended, stop.

        Raises:
            TradeTuiError: Something that the run stands on broke; what was written is safe.
        """
        self._loop = asyncio.get_running_loop()
        async with self._opened():
            tasks = [
                asyncio.create_task(self.parts.feed.run(self.take), name="feed"),
                asyncio.create_task(self._tick_time(), name="timer"),
                asyncio.create_task(self.lag.watch(), name="lag"),
            ]
            stop = asyncio.create_task(self._stop.wait(), name="stop")
            gc.collect()
            gc.freeze()
            self.started.set()
            try:
                await self._until_over(tasks, stop)
            finally:
                for task in [*tasks, stop]:
                    task.cancel()
                await asyncio.gather(*tasks, stop, return_exceptions=True)

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
                if refused is not None and not (isinstance(refused, AuthError) and not self.parts.ends):
                    raise refused
                if self.parts.ends:
                    return
                # A world that ended, or a refused token: stay up, so that it can be looked at and mended.
                tasks.remove(task)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        parts = self.parts
        try:
            self._note(RecordKind.RUN, {"what": "start", **parts.run_info})
            await parts.broker.start(self.take)
            for instrument in parts.watch:
                self.watch(instrument)
            await self._warm_up(parts.watch)
            yield
        finally:
            await self._close()

    async def _close(self) -> None:
        parts = self.parts
        try:
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await parts.broker.close()
        except TimeoutError:
            log.warning("the broker connection did not close in time")
        self._note(RecordKind.RUN, {"what": "stop"})
        parts.journal.close()
        if parts.store is not None:
            await asyncio.to_thread(parts.store.close)
        for step in reversed(parts.cleanup):
            result = step()
            if asyncio.iscoroutine(result):
                await result
        gc.unfreeze()

    def _note(self, kind: RecordKind, data: dict[str, Any]) -> None:
        record = Record(self.parts.clock.now_ns(), kind, data)
        self.parts.journal.append(record)
        self.parts.journal.sync()
        if self.parts.store is not None:
            self.parts.store.records([record])

    def watch(self, instrument: Instrument, mode: FeedMode = FeedMode.FULL) -> None:
        """Stream an instrument from now on."""
        self.parts.universe.add(instrument)
        self.parts.feed.subscribe({instrument.key: mode})

    async def _warm_up(self, instruments: list[Instrument]) -> None:
        load = self.parts.warm_up
        if load is None:
            return
        for instrument in instruments:
            try:
                events = await asyncio.to_thread(load, instrument)
            except TradeTuiError as error:
                log.warning("no history for %s: %s", instrument.symbol, error)
                continue
            for event in events:
                self.take(event)

    async def _tick_time(self) -> None:
        """Turn real time into `TimeEvent`s, and make what was journaled durable."""
        clock, last = self.parts.clock, 0
        while True:
            await asyncio.sleep(_TIMER_S)
            self.pump.flush()
            if self.parts.timed_by_feed:
                continue
            now = clock.now_ns()
            if now - last >= NS_PER_S or now < last:
                last = now
                self.take(TimeEvent(now))

    # --- figures --------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """The object that ``--json`` prints at the end (`design.md` 11)."""
        from tradetui.domain.market_data import interval_name

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
            "dropped": self.dropped + counters.get("dropped", 0) + counters.get("bad_frames", 0),
            "reconnects": counters.get("reconnects", 0),
            "tick_to_state_p50_us": round(self.latency.percentile_us(50), 1),
            "tick_to_state_p99_us": round(self.latency.percentile_us(99), 1),
            "max_loop_lag_ms": round(self.lag.max_ms, 2),
            "rss_mb": round(rss_mb(), 1),
            "journal_sha256": self.parts.journal.content.hexdigest(),
        }
