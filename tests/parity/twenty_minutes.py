"""The recorded twenty minutes through the whole program in process, with strategies on and a scripted trader."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import polars as pl

from tradetui.brokers.paper import PaperBroker
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.clock import EventClock
from tradetui.config import Config
from tradetui.domain.calendar import Calendar, ist_date, ns, segment_of
from tradetui.domain.events import Event, HistoryEvent, OperatorEvent, OperatorKind, TickEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.money import Price, nearest_tick, to_money
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.view import Look, Mode
from tradetui.engine import Engine, EngineSettings
from tradetui.feeds.replay import ReplayFeed
from tradetui.journal import Journal, encode
from tradetui.market.universe import Universe
from tradetui.ports import EventSink
from tradetui.risk.limits import Limits
from tradetui.runtime.core import Runtime
from tradetui.runtime.views import ViewBuilder
from tradetui.simulator.worlds.recording import RecordedFrame, read_frames
from tradetui.simulator.worlds.replay import ReplayWorld
from tradetui.strategies import OpeningRangeBreakout, OpeningRangeSettings, VoteSettings, WeightedVote
from tradetui.wiring.parts import Parts
from tradetui.wiring.settings import charge_from

SECOND = 1_000_000_000
# Wider than the defaults on purpose: what is compared is every path of an order, so that limits must not end the
# trading after a few. Losses (50% of the day, no week, no month), counts (20 positions), cooldown (60 s) and the lowest
# score (45) are loosened, and losing runs do not pause; all other rules stand as they are by default.
LIMITS = Limits(
    capital=to_money(2_000_000),
    daily_loss_pct=50.0,
    weekly_loss_pct=0.0,
    monthly_drawdown_pct=0.0,
    max_positions=20,
    max_intraday_positions=20,
    max_underlying_positions=20,
    cooldown_s=60,
    min_score=45.0,
    max_losses_in_a_row=0,
)
STRATEGIES = ("vote", "opening_range")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The twenty minutes: frames, instruments, and the broker's minutes before them."""

    frames: Sequence[RecordedFrame]
    instruments: Sequence[Instrument]
    minutes: Mapping[str, Sequence[Candle]]

    @property
    def start_ns(self) -> int:
        """Exchange time of the first frame."""
        return self.frames[0].t_ms * 1_000_000


def load(shared_data: Path) -> Recorded:
    """Read the recording."""
    folder = shared_data / "feed" / "upstox_v3_2025-12-15"
    path = folder / "frames_10h00.pb.gz"
    world = ReplayWorld(path)
    start_ms = world.start_ns // 1_000_000
    table = pl.read_parquet(folder / "I1_reported.parquet").sort("instrument_key", "ts_ms")
    minutes: dict[str, list[Candle]] = {}
    for row in table.iter_rows(named=True):
        if row["ts_ms"] + 60_000 <= start_ms:
            minutes.setdefault(row["instrument_key"], []).append(
                Candle(
                    0, 60, row["ts_ms"], row["open"], row["high"], row["low"], row["close"], row["volume"],
                    source=BarSource.BROKER,
                )
            )  # fmt: skip
    return Recorded(list(read_frames(path)), list(world.instruments), minutes)


class Trader:
    """A person who does the same things at the same moments of market time.

    Works by the engine's time only: before the first event at or after a moment, its wish is put in.
    """

    def __init__(self, engine: Engine, start_ns: int) -> None:
        self._engine = engine
        self._plan = self._made(start_ns)

    def due(self, t_ns: int) -> list[OperatorEvent]:
        """What is wanted by now."""
        wanted = []
        while self._plan and self._plan[0][0] <= t_ns:
            event = self._plan.pop(0)[1](t_ns)
            if event is not None:
                wanted.append(event)
        return wanted

    def _made(self, start_ns: int) -> list[tuple[int, Callable[[int], OperatorEvent | None]]]:
        # Three instruments are left to the strategies: they do not add to what a person holds.
        keys = [one.key for one in self._engine.universe.instruments][:4]
        plan: list[tuple[int, Callable[[int], OperatorEvent | None]]] = [
            (start_ns, lambda t, name=name: OperatorEvent(t, OperatorKind.AUTO_ON, name=name))  # type: ignore[misc]
            for name in STRATEGIES
        ]
        for number in range(19):
            at = start_ns + (30 + 60 * number) * SECOND
            key, side = keys[number % len(keys)], Side.SELL if number % 3 == 2 else Side.BUY
            plan += [
                (at, lambda t, key=key, side=side: self._place(t, key, side, OrderType.MARKET, 0.0)),  # type: ignore[misc]
                (
                    at + 7 * SECOND,
                    lambda t, key=key: self._place(t, key, Side.BUY, OrderType.LIMIT, -2.0),  # type: ignore[misc]
                ),
                (at + 11 * SECOND, lambda t: self._newest(t, OperatorKind.MODIFY)),
                (at + 19 * SECOND, lambda t: self._newest(t, OperatorKind.CANCEL)),
            ]
            if number % 4 == 3:
                plan.append((at + 41 * SECOND, lambda t, key=key: self._exit(t, key)))  # type: ignore[misc]
        plan.append(
            (start_ns + 1_150 * SECOND, lambda t: OperatorEvent(t, OperatorKind.FLATTEN, note="test"))
        )
        return sorted(plan, key=lambda item: item[0])

    def _place(
        self, t_ns: int, key: str, side: Side, order_type: OrderType, away_pct: float
    ) -> OperatorEvent | None:
        instrument, last = self._engine.universe.get(key), self._engine.market(key).last
        if instrument is None or last is None:
            return None
        price = nearest_tick(Price(round(last * (1 + away_pct / 100))), instrument.tick_size)
        request = OrderRequest(
            key, side, instrument.lot_size, Product.INTRADAY, order_type,
            price if order_type is OrderType.LIMIT else Price(0), client_id=f"c{t_ns}",
        )  # fmt: skip
        return OperatorEvent(t_ns, OperatorKind.PLACE, request=request)

    def _newest(self, t_ns: int, kind: OperatorKind) -> OperatorEvent | None:
        resting = [o for o in self._engine.desk.manager.working() if o.status is OrderStatus.OPEN]
        if not resting:
            return None
        order = resting[-1]
        instrument = self._engine.universe.get(order.request.instrument_key)
        assert instrument is not None
        price = Price(order.request.price + instrument.tick_size) if kind is OperatorKind.MODIFY else None
        return OperatorEvent(t_ns, kind, tag=order.tag, price=price)

    def _exit(self, t_ns: int, key: str) -> OperatorEvent:
        return OperatorEvent(t_ns, OperatorKind.EXIT, instrument_key=key, product=Product.INTRADAY)


class TradedFeed:
    """A replayed feed with the trader's wishes put in at their moments."""

    def __init__(self, inner: ReplayFeed, trader: Trader) -> None:
        self._inner = inner
        self._trader = trader
        self.subscribe = inner.subscribe
        self.unsubscribe = inner.unsubscribe
        self.counters = inner.counters

    async def run(self, sink: EventSink) -> None:
        """Stream, and trade."""

        def traded(event: Event) -> None:
            for wish in self._trader.due(event.t_ns):
                sink(wish)
            sink(event)

        await self._inner.run(traded)


@dataclass(slots=True)
class Told:
    """What a run left behind."""

    files: dict[str, bytes]
    records: list[Record]
    journal_sha256: str
    events: list[Event] = field(default_factory=list)

    def content(self) -> list[bytes]:
        """Every record of the content hash, as it is hashed."""
        return [
            encode([record.t_ns, record.kind.value, record.data])
            for record in self.records
            if record.kind is not RecordKind.RUN
        ]

    def count(self, kind: RecordKind) -> int:
        """Records of one kind."""
        return sum(record.kind is kind for record in self.records)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run is played: none of it may show in the journal.

    Attributes:
        speed: Times real time; ``None``: as fast as it is taken.
        jitter: Seed of disturbing tasks and random pauses; ``None`` for none.
        screen: Snapshots are built meanwhile, as for a screen.
    """

    speed: float | None = None
    jitter: int | None = None
    screen: bool = False


async def play(
    recorded: Recorded, folder: Path, manner: Manner = Manner(), *, until_ns: int | None = None
) -> Told:
    """Run the twenty minutes, or their beginning, in process: replay, decoder, engine, paper broker, journal."""
    clock, universe = EventClock(recorded.start_ns), Universe()
    for instrument in recorded.instruments:
        universe.add(instrument)
    calendar = Calendar.default()
    engine = Engine(
        EngineSettings(LIMITS, tag_prefix="tt251215test-"),
        calendar,
        universe,
        charge_from(Config()),
        [
            WeightedVote(VoteSettings(intervals=(60,), threshold=45.0, rearm=30.0)),
            OpeningRangeBreakout(OpeningRangeSettings(minutes=15)),
        ],
    )
    engine.begin(recorded.start_ns)

    def phase(instrument: Instrument, t_ns: int) -> str:
        return calendar.phase_at(segment_of(calendar, instrument, ist_date(t_ns)), t_ns).value

    broker = PaperBroker(universe.instruments, phase, capital=LIMITS.capital, start_ns=recorded.start_ns)
    feed = ReplayFeed(
        lambda: _until(recorded.frames, until_ns),
        Decoder(universe.slots).decode,
        speed=manner.speed,
        on_time=clock.move,
        sleep=_sleeper(manner.jitter),
    )
    journal = Journal(folder)
    runtime = Runtime(
        Parts(
            mode=Mode.PAPER,
            account="test",
            host="none",
            engine=engine,
            universe=universe,
            clock=clock,
            feed=TradedFeed(feed, Trader(engine, recorded.start_ns)),
            broker=broker,
            journal=journal,
            store=None,
            watch=list(recorded.instruments),
            lookup=universe.get,
            search=lambda text, limit: [],
            cleanup=[journal.close],
            ends=True,
            timed_by_feed=True,
        )
    )
    told = Told({}, [], "")
    runtime.listeners.append(lambda event, outcome: told.events.append(event))
    runtime.listeners.append(lambda event, outcome: told.records.extend(outcome.records))
    for key, minutes in recorded.minutes.items():
        bars = tuple(_in_slot(bar, universe.slots[key]) for bar in minutes)
        runtime.take(HistoryEvent(recorded.start_ns, universe.slots[key], 60, bars))
    disturbers = _disturbers(runtime, manner)
    try:
        await runtime.run()
    finally:
        for task in disturbers:
            task.cancel()
        await asyncio.gather(*disturbers, return_exceptions=True)
    told.files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.journal"))}
    told.journal_sha256 = runtime.summary()["journal_sha256"]
    return told


def _in_slot(bar: Candle, slot: int) -> Candle:
    return Candle(
        slot, bar.interval_s, bar.start_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.oi, bar.source
    )  # fmt: skip


def _until(frames: Iterable[RecordedFrame], until_ns: int | None) -> Iterable[RecordedFrame]:
    if until_ns is None:
        return frames
    return takewhile(lambda frame: frame.t_ms * 1_000_000 < until_ns, frames)


def _sleeper(jitter: int | None) -> Callable[[float], Awaitable[None]]:
    if jitter is None:
        return asyncio.sleep
    chance = random.Random(jitter)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds + chance.uniform(0, 0.002))

    return sleep


def _disturbers(runtime: Runtime, manner: Manner) -> list[asyncio.Task[None]]:
    """Tasks that take the loop away at random moments, and look at everything as the screen does."""
    tasks: list[asyncio.Task[None]] = []
    if manner.jitter is not None:
        seeds = range(manner.jitter, manner.jitter + 5)
        tasks += [asyncio.create_task(_disturb(random.Random(seed))) for seed in seeds]
    if manner.screen:
        tasks.append(asyncio.create_task(_look(runtime)))
    return tasks


async def _disturb(chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0, 0.003))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)


async def _look(runtime: Runtime) -> None:
    builder = ViewBuilder(runtime, deque(), deque())
    keys = tuple(runtime.parts.universe.slots)
    while True:
        await asyncio.sleep(0.02)
        builder.build(
            Look(
                watch=keys,
                selected=keys[0],
                ticket=OrderRequest(keys[0], Side.BUY, 1, order_type=OrderType.MARKET),
            )
        )


def ticks(events: Iterable[Event]) -> int:
    """Ticks in these events."""
    return sum(len(event.batch) for event in events if isinstance(event, TickEvent))


MIDDLE_NS = ns(ist_date(1_765_772_000 * SECOND), "10:10")
"""Half-way through the recording."""


def main() -> None:
    """``python -m tests.parity.twenty_minutes DATA FOLDER``: one run in a process of its own."""
    data, folder = Path(sys.argv[1]), Path(sys.argv[2])
    told = Told({}, [], "")

    async def run() -> None:
        # Not returned: Python 3.11 spells the task's result out, arrays and all, when its runner ends.
        nonlocal told
        told = await play(load(data), folder)

    asyncio.run(run())
    print(told.journal_sha256)


if __name__ == "__main__":
    main()
