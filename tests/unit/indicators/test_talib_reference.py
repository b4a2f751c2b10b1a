"""Every gear against TA-Lib's recorded outputs, and against each other on any series, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetui.domain.market_data import F64
from tradetui.indicators import REGISTRY, BarValues, Columns, Spec, spec

FILES = ("RELIANCE_daily", "INFY_daily", "RELIANCE_1m_2026-04-20_30")
RECORDED: dict[str, tuple[Spec, tuple[str, ...]]] = {
    "sma": (spec("sma", timeperiod=20), ("SMA_20",)),
    "ema": (spec("ema", timeperiod=20), ("EMA_20",)),
    "ema 200": (spec("ema", timeperiod=200), ("EMA_200",)),
    "macd": (spec("macd"), ("MACD_12_26_9.a", "MACD_12_26_9.b", "MACD_12_26_9.c")),
    "adx": (spec("adx"), ("ADX_14",)),
    "plus_di": (spec("plus_di"), ("PLUS_DI_14",)),
    "minus_di": (spec("minus_di"), ("MINUS_DI_14",)),
    "rsi": (spec("rsi"), ("RSI_14",)),
    "stoch": (spec("stoch"), ("STOCH_14_3_3.a", "STOCH_14_3_3.b")),
    "bbands": (spec("bbands"), ("BBANDS_20_2.a", "BBANDS_20_2.b", "BBANDS_20_2.c")),
    "atr": (spec("atr"), ("ATR_14",)),
    "obv": (spec("obv"), ("OBV",)),
}
FIELDS = ("open", "high", "low", "close", "volume")


def bits(values: F64) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Bit patterns, all NaNs alike: the same number is the same pattern and nothing else is."""
    canonical = np.where(np.isnan(values), np.nan, values)
    return np.ascontiguousarray(canonical, np.float64).view(np.int64)


def columns_of(frame: pl.DataFrame) -> Columns:
    stamp = frame["ts" if "ts" in frame.columns else "date"].cast(pl.Datetime("us"))
    return Columns.of(stamp.dt.epoch("ms").to_numpy(), *(frame[name].to_numpy() for name in FIELDS))


def live_values(wanted: Spec, columns: Columns) -> tuple[F64, ...]:
    state = wanted.live()
    return tuple(np.array([state.update(bar) for bar in columns.rows()]).T)


def expression_values(wanted: Spec, columns: Columns) -> tuple[F64, ...]:
    frame = pl.DataFrame({name: getattr(columns, name) for name in (*FIELDS, "session", "start_ms")})
    found = frame.select(wanted.expressions())
    return tuple(found[name].fill_null(float("nan")).to_numpy() for name in found.columns)


@pytest.fixture(scope="module", params=FILES)
def reference(request: pytest.FixtureRequest, shared_data: Path) -> pl.DataFrame:
    return pl.read_parquet(shared_data / "reference" / "talib_on_nse" / f"{request.param}.parquet")


@pytest.mark.parametrize("name", RECORDED)
def test_three_gears_equal_the_recorded_outputs(reference: pl.DataFrame, name: str) -> None:
    wanted, recorded = RECORDED[name]
    columns = columns_of(reference)
    expected = [reference[column].cast(pl.Float64).fill_null(float("nan")).to_numpy() for column in recorded]
    gears = (wanted.batch(columns), live_values(wanted, columns), expression_values(wanted, columns))
    for found in gears:
        assert len(found) == len(expected)
        for theirs, ours in zip(expected, found, strict=True):
            assert np.array_equal(bits(theirs), bits(ours))
    assert all(np.isnan(column[: wanted.warmup]).all() for column in expected)
    assert all(not np.isnan(column[wanted.warmup :]).any() for column in expected)


def test_vwap_of_the_reference_minutes_is_the_textbook_sum(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "reference" / "talib_on_nse" / f"{FILES[2]}.parquet")
    columns = columns_of(frame)
    (found,) = spec("vwap").batch(columns)
    for session in np.unique(columns.session):
        rows = columns.session == session
        typical = (columns.high + columns.low + columns.close)[rows] / 3
        expected = np.cumsum(typical * columns.volume[rows]) / np.cumsum(columns.volume[rows])
        np.testing.assert_allclose(found[rows], expected, rtol=1e-13)
    assert np.array_equal(bits(found), bits(live_values(spec("vwap"), columns)[0]))
    assert np.array_equal(bits(found), bits(expression_values(spec("vwap"), columns)[0]))


bars = st.lists(
    st.tuples(
        st.floats(0.05, 99_999, allow_nan=False),
        st.floats(0, 50),
        st.floats(0, 50),
        st.floats(0, 1),
        st.integers(0, 10**9),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=120,
)


@settings(max_examples=60)
@given(bars, st.data())
def test_gears_agree_on_any_series(
    rows: list[tuple[float, float, float, float, int, int]], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(REGISTRY)), min_size=12, max_size=12, unique=True))
    low = np.array([row[0] for row in rows])
    high = low + np.array([row[1] + row[2] for row in rows])
    close = low + (high - low) * np.array([row[3] for row in rows])
    opened = low + np.array([row[1] for row in rows])
    volume = np.array([float(row[4]) for row in rows])
    start_ms = np.cumsum([60_000 + 40_000_000 * (row[5] == 9) for row in rows]) + 1_700_000_000_000
    columns = Columns.of(start_ms, opened, high, low, np.minimum(close, high), volume)
    for name in names:
        wanted = spec(name)
        batch = wanted.batch(columns)
        for gear in (live_values(wanted, columns), expression_values(wanted, columns)):
            for ours, theirs in zip(batch, gear, strict=True):
                assert np.array_equal(bits(ours), bits(theirs)), name


@settings(max_examples=40)
@given(bars, st.data())
def test_peek_is_the_update_that_did_not_happen(
    rows: list[tuple[float, float, float, float, int, int]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(REGISTRY)))
    peeked, plain = spec(name).live(), spec(name).live()
    for low, up, more, at, volume, day in rows:
        bar = BarValues(low + up, low + up + more, low, low + (up + more) * at, float(volume), day // 9)
        other = bar._replace(close=bar.low, volume=bar.volume + 1)
        first = peeked.peek(bar)
        peeked.peek(other)
        assert bits(np.array(first)).tolist() == bits(np.array(peeked.update(bar))).tolist()
        assert bits(np.array(plain.update(bar))).tolist() == bits(np.array(peeked.value)).tolist()
