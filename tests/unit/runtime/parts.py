"""A runtime's parts in memory: a feed that a test feeds, the paper broker, a journal that is gone afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tests.fixtures.engine_rig import TEN_NS, Rig, tick_batch
from tests.unit.exchange.support import SHARE
from tradetui.brokers.paper import PaperBroker
from tradetui.clock import EventClock
from tradetui.domain.events import Event, FeedEvent, FeedState, TickEvent, TimeEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle, TickBatch
from tradetui.domain.view import Mode
from tradetui.journal import MemoryJournal
from tradetui.ports import EventSink, FeedMode
from tradetui.storage.market import DayStats
from tradetui.storage.writer import Load
from tradetui.wiring.parts import Parts

SECOND = 1_000_000_000


class HandFeed:
    """A feed that says what is put into it, on the runtime's loop."""

    def __init__(self, clock: EventClock) -> None:
        self._clock = clock
        self._queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        self.wanted: dict[str, FeedMode] = {}

    def put(self, item: Event | BaseException | None) -> None:
        """An event; an error to raise; ``None`` to end the stream."""
        self._queue.put_nowait(item)

    async def run(self, sink: EventSink) -> None:
        sink(FeedEvent(self._clock.now_ns(), FeedState.UP))
        while (item := await self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._clock.move(item.t_ns)
            sink(item)
        sink(FeedEvent(self._clock.now_ns(), FeedState.ENDED, "over"))

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        self.wanted.update(keys)

    def unsubscribe(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.wanted.pop(key, None)

    def counters(self) -> Mapping[str, int]:
        return {"reconnects": 2, "dropped": 1, "bad_frames": 3}


class ListStore:
    """A store that keeps everything in lists."""

    def __init__(self) -> None:
        self.rows: list[TickBatch] = []
        self.candles: list[Candle] = []
        self.days: list[DayStats] = []
        self.closed = False

    def ticks(self, t_ns: int, batch: TickBatch) -> None:
        self.rows.append(batch)

    def bars(self, candles: Sequence[Candle]) -> None:
        self.candles += candles

    def day_stats(self, stats: Sequence[DayStats]) -> int:
        self.days = list(stats)
        return len(stats)

    def queued(self) -> int:
        return 7

    def dropped(self) -> int:
        return 4

    def load(self) -> Load:
        return Load(queued=7, dropped=4, lag_s=0.25, flush_ms=12.5, flushed_ago_s=0.5, problem="")

    def close(self) -> None:
        self.closed = True


class Bench:
    """Parts, and what to look at."""

    def __init__(self, *, ends: bool = False) -> None:
        self.rig = Rig(up=False)
        self.clock = EventClock(TEN_NS)
        self.feed = HandFeed(self.clock)
        self.store = ListStore()
        self.journal = MemoryJournal()
        self.closed: list[str] = []
        self.vtt = 0
        universe = self.rig.universe
        self.extra = replace(SHARE, key="NSE_EQ|INE009A01021", symbol="INFY")
        self.parts = Parts(
            mode=Mode.PAPER,
            account="**42",
            host="nowhere",
            engine=self.rig.engine,
            universe=universe,
            clock=self.clock,
            feed=self.feed,
            broker=PaperBroker(universe.instruments, lambda one, t_ns: "CONTINUOUS", start_ns=TEN_NS),
            journal=self.journal,
            store=self.store,
            watch=[universe.instruments[0]],
            lookup={self.extra.key: self.extra, **{one.key: one for one in universe.instruments}}.get,
            search=self._search,
            cleanup=[lambda: self.closed.append("first"), lambda: self.closed.append("second")],
            ends=ends,
            timed_by_feed=True,
        )

    def _search(self, text: str, limit: int) -> list[Instrument]:
        found = [*self.rig.universe.instruments, self.extra]
        return [one for one in found if text.upper() in one.symbol][:limit]

    def tick(self, price: float, seconds: float = 1.0) -> TickEvent:
        """The next tick of the share."""
        self.rig.now_ns += round(seconds * SECOND)
        self.vtt += 10
        batch = tick_batch(self.rig.universe, SHARE, price, self.rig.now_ns, self.vtt)
        return TickEvent(self.rig.now_ns, batch)

    def time(self, seconds: float) -> TimeEvent:
        """Time passes."""
        self.rig.now_ns += round(seconds * SECOND)
        return TimeEvent(self.rig.now_ns)
