"""What is not TA-Lib's alone: levels, anchored averages, Supertrend by its textbook, scans of a frame."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isnan, nan

import numpy as np
import polars as pl
import pytest

from tradetui.domain.errors import DomainError
from tradetui.indicators import REGISTRY, BarValues, Columns, parse_spec, scan, spec
from tradetui.indicators.volume import anchor_ms

OPEN_MS = 1_765_770_300_000
DAY_MS = 86_400_000
Row = tuple[float, float, float, float, float]


def bars(*days: list[Row]) -> Columns:
    """Minutes of days that follow each other: open, high, low, close, volume."""
    rows = [
        (OPEN_MS + day * DAY_MS + minute * 60_000, *row)
        for day, minutes in enumerate(days)
        for minute, row in enumerate(minutes)
    ]
    table = np.array([row[1:] for row in rows], np.float64).T
    return Columns.of(np.array([row[0] for row in rows], np.int64), *table)


YESTERDAY: list[Row] = [(100, 105, 99, 104, 10), (104, 110, 103, 108, 20), (108, 109, 95, 100, 30)]
TODAY: list[Row] = [(101, 103, 100, 102, 5), (102, 106, 101, 105, 5)]
"""The day before has high 110, low 95, close 100: range 15, pivot 305 / 3."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pivots", (305 / 3, 610 / 3 - 95, 305 / 3 + 15, 110 + 2 * (305 / 3 - 95),
                    610 / 3 - 110, 305 / 3 - 15, 95 - 2 * (110 - 305 / 3))),
        ("camarilla", (305 / 3, 101.375, 102.75, 104.125, 108.25, 98.625, 97.25, 95.875, 91.75)),
        ("fibonacci", (305 / 3, 305 / 3 + 5.73, 305 / 3 + 9.27, 305 / 3 + 15,
                       305 / 3 - 5.73, 305 / 3 - 9.27, 305 / 3 - 15)),
        ("cpr", (305 / 3, 102.5, 610 / 3 - 102.5)),
    ],
)  # fmt: skip
def test_levels_come_from_the_session_before(name: str, expected: tuple[float, ...]) -> None:
    found = spec(name).batch(bars(YESTERDAY, TODAY))
    assert all(np.isnan(column[:3]).all() for column in found), "nothing is known on the first day"
    for row in (3, 4):
        np.testing.assert_allclose([column[row] for column in found], expected, rtol=1e-12)


def test_levels_of_daily_bars_come_from_the_day_before() -> None:
    days = bars([(100, 110, 95, 100, 60)], [(101, 106, 100, 105, 10)])
    np.testing.assert_allclose(spec("cpr").batch(days)[0][1], 305 / 3)


def test_half_a_first_session_gives_no_levels() -> None:
    whole = bars(YESTERDAY, TODAY, TODAY)
    (pivot, *_) = spec("pivots").batch(whole.part(1, len(whole)))
    assert np.isnan(pivot[:4]).all(), "the day before was seen from its second bar on"
    assert not np.isnan(pivot[4:]).any(), "the day after is whole"
    assert pivot[-1] == spec("pivots").batch(whole)[0][-1]


def test_top_of_the_central_range_is_never_below_its_bottom() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        low, close_at = rng.uniform(10, 100), rng.uniform()
        high = low + rng.uniform(0.05, 20)
        day = [(low, high, low, low + (high - low) * close_at, 1.0)]
        pivot, top, bottom = (column[-1] for column in spec("cpr").batch(bars(day, TODAY)))
        assert bottom <= pivot <= top


def test_opening_range_grows_and_then_stands() -> None:
    day: list[Row] = [(100, 100 + n, 100 - n, 100, 1) for n in range(1, 8)]
    high, low = parse_spec("opening_range(3)").batch(bars(day, TODAY))
    assert high.tolist() == [101, 102, 103, 103, 103, 103, 103, 103, 106]
    assert low.tolist() == [99, 98, 97, 97, 97, 97, 97, 100, 100]


def test_anchored_average_begins_at_its_anchor() -> None:
    columns = bars(YESTERDAY, TODAY)
    (from_start,) = spec("avwap").batch(columns)
    (whole,) = spec("vwap_all").batch(columns)
    np.testing.assert_allclose(from_start, whole, rtol=1e-13)
    (today,) = parse_spec("avwap(20251216)").batch(columns)
    (session,) = spec("vwap").batch(columns)
    assert np.isnan(today[:3]).all()
    assert today[3:].tolist() == session[3:].tolist()
    (second,) = parse_spec("avwap(202512150916)").batch(columns)
    assert isnan(second[0])
    assert second[1] == (110 + 103 + 108) / 3


def test_anchors_are_indian_dates_or_minutes() -> None:
    assert anchor_ms(202512150915) == OPEN_MS
    assert anchor_ms(20251215) == int(datetime(2025, 12, 14, 18, 30, tzinfo=UTC).timestamp()) * 1000
    assert str(parse_spec("avwap(202512150915)")) == "avwap(202512150915)"
    for wrong in ("avwap(20251315)", "avwap(2025)", "avwap(202512152460)", "avwap(-1)"):
        with pytest.raises(DomainError, match="avwap"):
            parse_spec(wrong)


def textbook_supertrend(columns: Columns, period: int, multiplier: float) -> tuple[list[float], list[float]]:
    """Bands at the middle plus and minus ATRs (Wilder), which only tighten until the close crosses them."""
    (atr,) = spec("atr", timeperiod=period).batch(columns)
    high, low, close = columns.high.tolist(), columns.low.tolist(), columns.close.tolist()
    value, direction = [nan] * len(close), [nan] * len(close)
    upper = lower = 0.0
    up = True
    for i in range(period, len(close)):
        middle, reach = (high[i] + low[i]) / 2, multiplier * atr[i]
        first = i == period
        new_upper, new_lower = middle + reach, middle - reach
        upper = new_upper if first or new_upper < upper or close[i - 1] > upper else upper
        lower = new_lower if first or new_lower > lower or close[i - 1] < lower else lower
        if first:
            up = close[i] > upper
        elif up:
            up = close[i] >= lower
        else:
            up = close[i] > upper
        value[i], direction[i] = (lower if up else upper), (1.0 if up else -1.0)
    return value, direction


def test_supertrend_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(11)
    close = 500 * np.exp(np.cumsum(rng.normal(0, 0.003, 600)))
    reach = np.abs(rng.normal(0, 0.002, (2, 600)))
    start_ms = OPEN_MS + np.arange(600) * 60_000
    columns = Columns.of(
        start_ms, close, close * (1 + reach[0]), close * (1 - reach[1]), close, close * 0 + 1
    )
    value, direction = parse_spec("supertrend(10,3)").batch(columns)
    expected, way = textbook_supertrend(columns, 10, 3.0)
    turns = np.flatnonzero(np.diff(direction[10:]))
    assert len(turns) > 5
    # Where a series begins is a convention; after the first turn nothing is left of it.
    settled = int(turns[0]) + 11
    np.testing.assert_allclose(value[settled:], expected[settled:], rtol=1e-12)
    assert direction[settled:].tolist() == way[settled:]


def test_scan_takes_a_frame_of_many_instruments() -> None:
    when = [datetime(2025, 12, 15, 3, 45 + n, tzinfo=UTC) for n in range(4)]
    frame = pl.DataFrame(
        {"symbol": ["B"] * 4 + ["A"] * 4, "ts": when[::-1] + when,
         "open": range(8), "high": range(1, 9), "low": range(8), "close": range(8), "volume": [1] * 8, "note": ["x"] * 8}
    )  # fmt: skip
    found = scan(frame, [parse_spec("sma(2)"), parse_spec("macd")])
    assert found["symbol"].to_list() == ["A"] * 4 + ["B"] * 4
    assert found["sma(2)"].to_list()[1:4] == [4.5, 5.5, 6.5]
    assert found["sma(2)"].to_list()[5:] == [2.5, 1.5, 0.5]
    assert isnan(found["sma(2)"][4]), "the instrument before does not reach into the next"
    assert found.columns[-3:] == ["macd(12,26,9).macd", "macd(12,26,9).signal", "macd(12,26,9).histogram"]
    assert scan(frame.clear(), [parse_spec("sma(2)")]).height == 0
    with pytest.raises(DomainError, match="no column 'high'"):
        scan(frame.drop("high"), [])
    with pytest.raises(DomainError, match="missing figures"):
        scan(frame.with_columns(close=pl.lit(None, pl.Float64)), [])
    with pytest.raises(DomainError, match="not finite"):
        scan(frame.with_columns(close=pl.lit(float("inf"))), [])


def test_every_title_is_there_and_no_output_is_named_twice() -> None:
    for indicator in REGISTRY.values():
        assert indicator.title
        assert len(set(indicator.outputs)) == len(indicator.outputs) >= 1
        assert set(indicator.inputs) <= set(BarValues._fields)
