"""Every registered indicator, in every gear, to the last bit; no look-ahead; the warm-up it declares.

An indicator that is registered is tested here, without a line for it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest

from tradetui.domain.market_data import F64, Candle
from tradetui.indicators import REGISTRY, BarValues, Columns, IndicatorSet, Spec, parse_spec, scan, spec

BARS, DAY_BARS = 300, 75
OPEN_MS = 1_765_770_300_000
"""2025-12-15 09:15 in India."""
FIELDS = ("open", "high", "low", "close", "volume")
VARIANTS = (
    "ma(10,3)", "bbands(14,1.5,2.5,1)", "stoch(5,3,3,1,2)", "macdext(5,1,9,1,4,0)", "mavp(3,20,1)", "kama(5)",
    "avwap(20251216)", "avwap(202512161000)", "opening_range(30)", "supertrend(7,2)", "sarext(0.5)",
)  # fmt: skip
EVERY = (*sorted(REGISTRY), *VARIANTS)
NOT_FOR_PRICES = frozenset({"acos", "asin", "ln", "log10", "sqrt", "cosh", "sinh", "exp"})
"""Functions that may have no value for a price: the arc sine of 100, e to the power of 1,500."""


@cache
def world(kind: str) -> Columns:
    """Bars of four days: a walk with many digits, prices on a grid with minutes that stand still, or no move at all."""
    rng = np.random.default_rng(7)
    if kind == "walk":
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, BARS)))
        opened = close * (1 + rng.normal(0, 0.001, BARS))
        reach = np.abs(rng.normal(0, 0.002, (2, BARS)))
        volume = rng.integers(1, 100_000, BARS).astype(float)
    elif kind == "grid":
        close = np.round(100 + np.cumsum(rng.integers(-2, 3, BARS)) * 0.05, 2)
        opened = np.round(close + rng.integers(-1, 2, BARS) * 0.05, 2)
        reach = rng.integers(0, 2, (2, BARS)) * 0.0005
        volume = rng.integers(0, 3, BARS).astype(float)
    else:
        close = opened = np.full(BARS, 250.0)
        reach = np.zeros((2, BARS))
        volume = np.zeros(BARS)
    high, low = np.maximum(opened, close) * (1 + reach[0]), np.minimum(opened, close) * (1 - reach[1])
    index = np.arange(BARS)
    start_ms = OPEN_MS + index // DAY_BARS * 86_400_000 + index % DAY_BARS * 60_000
    return Columns.of(start_ms, opened, high, low, close, volume)


def bits(values: F64) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Bit patterns, all NaNs alike: the same number is the same pattern and nothing else is."""
    canonical = np.where(np.isnan(values), np.nan, values)
    return np.ascontiguousarray(canonical, np.float64).view(np.int64)


def same(ours: tuple[F64, ...], theirs: tuple[F64, ...]) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(bits(a), bits(b)) for a, b in zip(ours, theirs, strict=True)
    )


def one_by_one(wanted: Spec, columns: Columns, begin: int = 0) -> tuple[F64, ...]:
    """Values of updates, bar by bar, after a start on the first ``begin`` bars at once."""
    state = wanted.live()
    if begin:
        state.begin(columns.part(0, begin))
    rows = [state.update(bar) for bar in columns.rows()[begin:]]
    return tuple(np.array(rows).T)


def frame_of(columns: Columns) -> pl.DataFrame:
    return pl.DataFrame({name: getattr(columns, name) for name in (*FIELDS, "session", "start_ms")})


def candles_of(columns: Columns, slot: int) -> list[Candle]:
    return [
        Candle(slot, 60, bar.start_ms, bar.open, bar.high, bar.low, bar.close, int(bar.volume))
        for bar in columns.rows()
    ]


def test_the_registry_holds_every_talib_function_and_more() -> None:
    import talib

    sources = {indicator.source for indicator in REGISTRY.values()}
    assert {f"TA-Lib {name}" for name in talib.get_functions()} <= sources  # type: ignore[no-untyped-call]
    assert len(talib.get_functions()) >= 201  # type: ignore[no-untyped-call]
    own = {"vwap", "avwap", "supertrend", "cpr", "pivots", "camarilla", "fibonacci", "opening_range"}
    assert own <= set(REGISTRY)


@pytest.mark.parametrize("name", EVERY)
def test_P_streaming_is_batch_bit_for_bit(name: str) -> None:
    wanted = parse_spec(name)
    for kind in ("walk", "grid", "flat"):
        columns = world(kind)
        batch = wanted.batch(columns)
        assert len(batch) == len(wanted.indicator.outputs)
        assert all(len(column) == len(columns) for column in batch)
        assert same(batch, one_by_one(wanted, columns)), kind
        for begin in (1, wanted.warmup + 1, DAY_BARS + 3, BARS - 1):
            if begin < BARS:
                tail = tuple(column[begin:] for column in batch)
                assert same(tail, one_by_one(wanted, columns, begin)), (kind, begin)


@pytest.mark.parametrize("name", EVERY)
def test_P_scan_and_expressions_are_batch_bit_for_bit(name: str) -> None:
    wanted = parse_spec(name)
    parts = {symbol: world(kind) for symbol, kind in (("A", "walk"), ("B", "grid"), ("C", "flat"))}
    table = pl.concat(frame_of(part).with_columns(symbol=pl.lit(key)) for key, part in parts.items())
    mixed = table.sample(fraction=1.0, shuffle=True, seed=3)
    scanned = scan(mixed, [wanted], time="start_ms")
    expressed = table.with_columns(expression.over("symbol") for expression in wanted.expressions())
    assert scanned.columns[-len(wanted.columns) :] == list(wanted.columns)
    for key, part in parts.items():
        batch = wanted.batch(part)
        for found in (scanned, expressed):
            rows = found.filter(pl.col("symbol") == key)
            columns = tuple(rows[column].to_numpy() for column in wanted.columns)
            assert same(batch, columns), (key, found is scanned)


@pytest.mark.parametrize("name", EVERY)
def test_P_lookahead_probe_the_future_does_not_change_what_was_said(name: str) -> None:
    wanted, columns = parse_spec(name), world("walk")
    whole = wanted.batch(columns)
    for cut in (1, wanted.warmup, wanted.warmup + 1, DAY_BARS, 2 * DAY_BARS + 1, BARS - 1):
        if 0 < cut < BARS:
            known = wanted.batch(columns.part(0, cut))
            assert same(tuple(column[:cut] for column in whole), known), cut


@pytest.mark.parametrize("name", EVERY)
def test_P_warmup_probe_no_value_before_and_one_from_then_on(name: str) -> None:
    wanted, columns = parse_spec(name), world("walk")
    first = np.array(
        [np.flatnonzero(~np.isnan(column))[:1].tolist() or [BARS] for column in wanted.batch(columns)]
    )
    assert (first >= wanted.warmup).all(), "a value while it says that it warms up"
    if wanted.indicator.family == "levels":
        expected = 0 if wanted.name == "opening_range" else DAY_BARS
    elif wanted.name == "avwap":
        expected = {"avwap(0)": 0, "avwap(20251216)": DAY_BARS}.get(str(wanted), DAY_BARS + 45)
    elif wanted.name in NOT_FOR_PRICES:
        return
    else:
        expected = wanted.warmup
    assert first.min() == expected
    late = first.ravel() > wanted.warmup
    assert wanted.indicator.family == "levels" or wanted.name == "avwap" or not late.any()


@pytest.mark.parametrize("name", EVERY)
def test_P_peek_is_the_update_that_did_not_happen(name: str) -> None:
    columns = world("walk")
    rows = columns.rows()
    for begin in (0, 5, BARS - 2):
        peeked = parse_spec(name).live()
        peeked.begin(columns.part(0, begin))
        other = rows[begin]._replace(close=rows[begin].low, volume=1.0)
        first = peeked.peek(rows[begin])
        peeked.peek(other)
        assert bits(np.array(first)).tolist() == bits(np.array(peeked.update(rows[begin]))).tolist()


@pytest.mark.parametrize("begin", [0, 1, 40, 150])
def test_P_the_set_of_a_run_says_what_the_batch_says(begin: int) -> None:
    """All indicators at once, through the path of a minute close, after a warm-up of any length."""
    specs = [parse_spec(name) for name in EVERY]
    running = IndicatorSet({60: specs})
    columns = world("walk")
    for slot in (0, 1):
        running.restart(slot, 60, columns.part(0, begin))
    for pair in zip(candles_of(columns, 0)[begin:], candles_of(columns, 1)[begin:], strict=True):
        running.on_candles(pair)
    assert (running.bars(1, 60), running.origin_ms(1, 60)) == (BARS, OPEN_MS)
    for wanted in specs:
        expected = np.array([column[-1] for column in wanted.batch(columns)])
        for slot in (0, 1):
            assert bits(np.array(running.value(slot, 60, wanted))).tolist() == bits(expected).tolist(), wanted


def test_a_gear_that_differs_in_the_last_bit_would_be_found() -> None:
    (close,) = spec("sma").batch(world("walk"))
    nudged = close.copy()
    nudged[-1] = np.nextafter(nudged[-1], np.inf)
    assert not same((close,), (nudged,))
    assert BarValues._fields[:5] == FIELDS
