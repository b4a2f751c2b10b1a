"""``bench indicators``: minute closes of many instruments with eight indicators each, as a run works them off.

The path is that of the engine: finished bars go to `StrategyRunner.on_candles`, in slices as the clock closes
them, on an event loop that gets its turn between two slices. Beside it, in the same rounds, the bare streaming
states of TA-Lib (the bound), TA-Lib's functions over whole columns and polars-talib (the peers). Afterwards every
value is compared with TA-Lib's batch over the same bars, bit for bit.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import talib
from talib import stream

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.calendar import Calendar, ns
from tradetui.domain.events import TickEvent, TimeEvent
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import F64, I64, BarSource, Candle, FrameKind, Has, Px, Qty, TickBatch
from tradetui.domain.money import Money
from tradetui.engine import Engine, EngineSettings
from tradetui.indicators import Spec, parse_spec
from tradetui.market.candles import CLOSE_LIMIT
from tradetui.market.history import Bars, History
from tradetui.market.quotes import Quotes
from tradetui.market.universe import Universe
from tradetui.strategies.base import Context, Signal, Strategy
from tradetui.strategies.runner import StrategyRunner

NAMES: Final = (
    "rsi(14)",
    "macd(12,26,9)",
    "bbands(20,2,2)",
    "adx(14)",
    "stoch(14,3,3)",
    "atr(14)",
    "sma(20)",
    "ema(20)",
)
SPECS: Final = tuple(parse_spec(name) for name in NAMES)
INTERVALS: Final = (60, 300, 900, 1800, 3600)
BARS: Final = 300
"""Bars of the warm-up."""
LIMITS: Final = {"minute_close_ms": 6.0, "five_close_ms": 25.0, "longest_slice_ms": 3.0, "warmup_s": 1.0}
_ROUNDS: Final = 15
_PEER_ROUNDS: Final = 3
_DAY: Final = date(2026, 11, 20)
_OPEN_MS: Final = ns(_DAY, "09:15") // 1_000_000
_MS: Final = 1_000_000


class Watcher(Strategy):
    """Wants indicators and says nothing.

    Args:
        intervals: Where it wants them, seconds.
    """

    name = "watcher"
    title = "Wants indicators and says nothing"

    def __init__(self, intervals: Iterable[int]) -> None:
        self.intervals = ()
        self._wanted = tuple(intervals)

    def indicators(self) -> Mapping[int, tuple[Spec, ...]]:
        """The eight of the benchmark, on every interval."""
        return dict.fromkeys(self._wanted, SPECS)

    def on_candle(self, ctx: Context, candle: Candle) -> Signal | None:
        """Never called: it wants no bars."""


class World:
    """Bars of many instruments: the warm-up, and one more for each round.

    Args:
        instruments: How many.
        rounds: Bars after the warm-up.
    """

    def __init__(self, instruments: int, rounds: int) -> None:
        rng = np.random.default_rng(1)
        shape = (instruments, BARS + rounds)
        self.close: F64 = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.002, shape), axis=1)), 2)
        self.open: F64 = np.round(self.close * (1 + rng.normal(0, 0.001, shape)), 2)
        reach = np.abs(rng.normal(0, 0.001, (2, *shape)))
        self.high: F64 = np.round(np.maximum(self.open, self.close) * (1 + reach[0]), 2)
        self.low: F64 = np.round(np.minimum(self.open, self.close) * (1 - reach[1]), 2)
        self.volume: F64 = rng.integers(1, 100_000, shape).astype(np.float64)

    def bars(self, slot: int, interval_s: int) -> Bars:
        """The warm-up of one series, as a history hands it out."""
        warm = slice(0, BARS)
        start: I64 = _OPEN_MS + (np.arange(BARS) - BARS) * interval_s * 1000
        none = np.zeros(BARS)
        return Bars(
            start, self.open[slot, warm], self.high[slot, warm], self.low[slot, warm], self.close[slot, warm],
            self.volume[slot, warm], none, none.astype(np.int8), none.astype(np.bool_),
        )  # fmt: skip

    def candles(self, interval_s: int, nth: int) -> list[Candle]:
        """Bar ``nth`` after the warm-up, of every instrument."""
        at, start_ms = BARS + nth, _OPEN_MS + nth * interval_s * 1000
        rows = zip(
            *(column[:, at].tolist() for column in (self.open, self.high, self.low, self.close, self.volume)),
            strict=True,
        )
        return [
            Candle(slot, interval_s, start_ms, o, h, low, c, int(v), source=BarSource.MERGED)
            for slot, (o, h, low, c, v) in enumerate(rows)
        ]


def bench(options: BenchOptions) -> Result:
    """Run the benchmark."""
    result = Result("indicators", limits=dict(LIMITS), least={"bit_equal": 1.0})
    count = options.instruments
    world = World(count, 2 * _ROUNDS)
    runner = StrategyRunner(
        [Watcher(INTERVALS)], Quotes(lambda slot, day: None), History(), lambda slot: True, lambda slot: 0
    )
    result.figures |= _warm(runner, world, count)
    bare = _bare_states(world, count)
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    try:
        figures, bounds = asyncio.run(_closes(runner, world, bare))
        result.figures |= figures
        result.bounds |= bounds
        result.figures |= _engine_close(count)
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
    result.figures["ratio_to_bare"] = result.figures["minute_close_ms"] / bounds["talib_streams_ms"]
    result.figures["peek_us"] = _peek_us(runner, world)
    result.figures["bit_equal"] = float(_bit_equal(runner, world, count))
    result.bounds |= _peers(world, count)
    result.notes = [
        f"{count:,} instruments, {len(SPECS)} indicators: {', '.join(NAMES)}.",
        f"Closes come in slices of {CLOSE_LIMIT} bars with a turn of the event loop in between; the sums leave the turns out.",
        "engine_ figures are whole steps of the engine at 10:15: it builds the bars of 1m to 1h, keeps them and moves the indicators.",
        "Medians; processor time of the one thread that works, so that a busy machine counts less; wall and polars_talib: by the clock.",
    ]
    return result


def _warm(runner: StrategyRunner, world: World, count: int) -> dict[str, float]:
    """Start every series from its history."""
    history = {
        interval_s: [world.bars(slot, interval_s) for slot in range(count)] for interval_s in INTERVALS
    }
    began = time.thread_time()
    for interval_s, series in history.items():
        for slot, bars in enumerate(series):
            runner.restart(slot, interval_s, bars)
    return {"warmup_s": time.thread_time() - began}


async def _closes(
    runner: StrategyRunner, world: World, bare: Sequence[_Calls]
) -> tuple[dict[str, float], dict[str, float]]:
    """Rounds of one interval and of all together, the bare states in turn with them."""
    one, walls, five, longest, plain = [], [], [], [], []
    for nth in range(_ROUNDS):
        times, wall_ms = await _sliced(runner, world.candles(60, nth))
        one.append(sum(times))
        walls.append(wall_ms)
        longest.append(max(times))
        plain.append(_bare_close(bare, world, nth))
    for nth in range(_ROUNDS):
        shorter = [world.candles(60, _ROUNDS + nth)]
        candles = [c for part in (*shorter, *(world.candles(s, nth) for s in INTERVALS[1:])) for c in part]
        times, _ = await _sliced(runner, candles)
        five.append(sum(times))
        longest.append(max(times))
    figures = {
        "minute_close_ms": statistics.median(one),
        "minute_close_wall_ms": statistics.median(walls),
        "five_close_ms": statistics.median(five),
        "longest_slice_ms": statistics.median(longest),
    }
    return figures, {"talib_streams_ms": statistics.median(plain)}


async def _sliced(runner: StrategyRunner, candles: list[Candle]) -> tuple[list[float], float]:
    """Milliseconds of each slice of a close, and of all of it by the clock on the wall."""
    times = []
    wall = 0.0
    for begin in range(0, len(candles), CLOSE_LIMIT):
        part = candles[begin : begin + CLOSE_LIMIT]
        began_s, began = time.perf_counter(), time.thread_time()
        runner.on_candles(part, _OPEN_MS, _failed)
        times.append(1e3 * (time.thread_time() - began))
        wall += 1e3 * (time.perf_counter() - began_s)
        await asyncio.sleep(0)
    return times, wall


def _failed(name: str, error: str) -> None:
    raise AssertionError(f"{name}: {error}")


# --- the bound: TA-Lib's states with nothing around them ----------------------------------------------

_Calls = tuple[list[Callable[[float], Any]], list[Callable[[float, float, float], Any]]]


def _bare_states(world: World, count: int) -> list[_Calls]:
    warm = slice(0, BARS)
    out: list[_Calls] = []
    for slot in range(count):
        close = np.ascontiguousarray(world.close[slot, warm])
        bars = (
            np.ascontiguousarray(world.high[slot, warm]),
            np.ascontiguousarray(world.low[slot, warm]),
            close,
        )
        on_close = [
            stream.RSI(close, 14), stream.MACD(close, 12, 26, 9), stream.BBANDS(close, 20, 2.0, 2.0),
            stream.SMA(close, 20), stream.EMA(close, 20),
        ]  # fmt: skip
        on_bar = [stream.ADX(*bars, 14), stream.STOCH(*bars, 14, 3, 0, 3, 0), stream.ATR(*bars, 14)]
        out.append((_updates(on_close), _updates(on_bar)))
    return out


def _updates(states: Sequence[Any]) -> list[Callable[..., Any]]:
    return [state.update for state in states]


def _bare_close(states: Sequence[_Calls], world: World, nth: int) -> float:
    """Milliseconds of updating every state once."""
    at = BARS + nth
    rows = list(
        zip(*(column[:, at].tolist() for column in (world.high, world.low, world.close)), strict=True)
    )
    began = time.thread_time()
    for (on_close, on_bar), (high, low, close) in zip(states, rows, strict=True):
        for update in on_close:
            update(close)
        for move in on_bar:
            move(high, low, close)
    return 1e3 * (time.thread_time() - began)


# --- the peers ----------------------------------------------------------------------------------------


def _peers(world: World, count: int) -> dict[str, float]:
    """The same values computed anew from whole columns: TA-Lib's functions, polars-talib."""
    import polars as pl

    warm = slice(0, BARS)
    functions, expressions = [], []
    frame = pl.DataFrame(
        {"slot": np.repeat(np.arange(count), BARS)}
        | {name: getattr(world, name)[:, warm].ravel() for name in ("open", "high", "low", "close", "volume")}
    )
    wanted = [
        expression.last().alias(name)
        for spec in SPECS
        for name, expression in zip(spec.columns, spec.expressions(), strict=True)
    ]
    for _ in range(_PEER_ROUNDS):
        began = time.thread_time()
        for slot in range(count):
            _functions(world, slot, BARS)
        functions.append(1e3 * (time.thread_time() - began))
        began = time.perf_counter()  # it works on threads of its own
        frame.group_by("slot", maintain_order=True).agg(wanted)
        expressions.append(1e3 * (time.perf_counter() - began))
    return {
        "talib_functions_ms": statistics.median(functions),
        "polars_talib_last_ms": statistics.median(expressions),
    }


def _functions(world: World, slot: int, bars: int) -> list[F64]:
    """Every output of the eight over the first ``bars`` bars, by TA-Lib itself, in the order of `SPECS`."""
    high, low, close = (column[slot, :bars] for column in (world.high, world.low, world.close))
    return [
        talib.RSI(close, 14), *talib.MACD(close, 12, 26, 9), *talib.BBANDS(close, 20, 2.0, 2.0),
        talib.ADX(high, low, close, 14), *talib.STOCH(high, low, close, 14, slowk_period=3, slowd_period=3),
        talib.ATR(high, low, close, 14), talib.SMA(close, 20), talib.EMA(close, 20),
    ]  # fmt: skip


def _bit_equal(runner: StrategyRunner, world: World, count: int) -> bool:
    """Whether every running value is TA-Lib's batch value over the same bars, to the last bit."""
    for interval_s in INTERVALS:
        bars = BARS + (2 * _ROUNDS if interval_s == INTERVALS[0] else _ROUNDS)
        for slot in range(count):
            ours = [v for spec in SPECS for v in runner.indicators.value(slot, interval_s, spec)]
            theirs = [column[-1] for column in _functions(world, slot, bars)]
            if np.array(ours).tobytes() != np.array(theirs).tobytes():
                return False
    return True


def _peek_us(runner: StrategyRunner, world: World) -> float:
    """Microseconds of looking at all eight with a bar that is still forming."""
    (candle, *_) = world.candles(60, 2 * _ROUNDS - 1)
    rounds = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        for _ in range(100):
            for spec in SPECS:
                runner.indicators.peek(candle, spec)
        rounds.append(1e4 * (time.thread_time() - began))
    return statistics.median(rounds)


# --- a whole engine -----------------------------------------------------------------------------------


def _engine_close(count: int) -> dict[str, float]:
    """An hour's end in a real engine: every instrument has traded, nothing more comes, the clock closes all.

    At 10:15 the bars of 1, 3, 5, 15, 30 and 60 minutes end together.
    """
    universe = Universe()
    share = Instrument("NSE_EQ|0", "NSE_EQ", "NSE", "S0", "Share", InstrumentKind.EQUITY, "EQ")
    for n in range(count):
        universe.add(replace(share, key=f"NSE_EQ|{n}", symbol=f"S{n}"))
    calendar = Calendar.default()
    engine = Engine(EngineSettings(), calendar, universe, lambda *_: Money(0), [Watcher(INTERVALS)])
    last_ms = _OPEN_MS + 59 * 60_000
    engine.begin(last_ms * _MS)
    warm = World(count, 0)
    for interval_s in INTERVALS:
        for slot in range(count):
            engine.runner.restart(slot, interval_s, warm.bars(slot, interval_s))
    gc.freeze()  # as the runtime does after a warm-up
    for at_ms, volume in ((last_ms, 1_000), (last_ms + 30_000, 1_500)):
        engine.step(TickEvent(at_ms * _MS, _frame(count, at_ms, volume)))
    steps, bars = [], 0
    t_ms, more = last_ms + 80_000, True
    while more:
        began = time.thread_time()
        outcome = engine.step(TimeEvent(t_ms * _MS))
        steps.append(1e3 * (time.thread_time() - began))
        bars += len(outcome.candles)
        more = outcome.more
    return {
        "engine_close_ms": sum(steps),
        "engine_bars": float(bars),
        "engine_steps": float(len(steps)),
        "engine_median_step_ms": statistics.median(steps),
        "engine_longest_step_ms": max(steps),
    }


def _frame(count: int, at_ms: int, volume: int) -> TickBatch:
    """A trade of every instrument at one moment."""
    batch = TickBatch.zeros(FrameKind.LIVE, at_ms, count)
    batch.slot[:] = np.arange(count)
    batch.mask[:] = Has.LTPC | Has.FULL
    batch.px[:, Px.LTP] = 100 + np.arange(count) % 7 + volume / 1_000
    batch.qty[:, Qty.LTT_MS] = at_ms
    batch.qty[:, Qty.VTT] = volume
    return batch
