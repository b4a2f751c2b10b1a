"""Past minutes folded into longer bars, as live bars would have been."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.calendar import ns
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.warmup import fold_minutes

DAY, NEXT = date(2026, 11, 19), date(2026, 11, 20)
MINUTE_MS = 60_000


def start_ms(day: date) -> int | None:
    return ns(day, "09:15") // 1_000_000


def minute(day: date, number: int, price: float, volume: int = 10, *, gap: bool = False) -> Candle:
    at = (start_ms(day) or 0) + number * MINUTE_MS
    return Candle(3, 60, at, price, price + 2, price - 1, price + 1, volume, 7.0, BarSource.BROKER, gap)


def test_bars_are_anchored_to_the_sessions_start() -> None:
    minutes = [minute(DAY, n, 100.0 + n) for n in range(7)]
    first, second = fold_minutes(minutes, 300, start_ms)
    assert (first.start_ms, second.start_ms) == (start_ms(DAY), (start_ms(DAY) or 0) + 300_000)
    assert (first.open, first.high, first.low, first.close, first.volume) == (100.0, 106.0, 99.0, 105.0, 50)
    assert (second.open, second.close, second.volume) == (105.0, 107.0, 20)
    assert (first.slot, first.interval_s, first.source, first.oi) == (3, 300, BarSource.MERGED, 7.0)


def test_a_bar_never_crosses_a_night() -> None:
    minutes = [minute(DAY, 374, 100.0), minute(NEXT, 0, 200.0)]
    last, first = fold_minutes(minutes, 3_600, start_ms)
    assert (last.close, last.start_ms) == (101.0, (start_ms(DAY) or 0) + 360 * MINUTE_MS)
    assert (first.open, first.start_ms) == (200.0, start_ms(NEXT))


def test_minutes_before_the_open_and_of_closed_days_are_left_out() -> None:
    minutes = [minute(DAY, -7, 100.0), minute(DAY, 0, 101.0)]
    (bar,) = fold_minutes(minutes, 900, start_ms)
    assert bar.open == 101.0
    assert fold_minutes(minutes, 900, lambda day: None) == []
    assert fold_minutes([], 900, start_ms) == []


@pytest.mark.parametrize("where", [0, 2])
def test_a_gap_in_any_minute_marks_the_bar(where: int) -> None:
    minutes = [minute(DAY, n, 100.0, gap=n == where) for n in range(5)]
    assert fold_minutes(minutes, 300, start_ms)[0].gap
    assert not fold_minutes([minute(DAY, 0, 100.0)], 300, start_ms)[0].gap


@given(
    st.lists(st.tuples(st.integers(0, 374), st.floats(1, 1e5), st.integers(0, 10**6)), max_size=60),
    st.sampled_from([300, 900, 3_600]),
)
def test_nothing_is_lost_and_nothing_invented(rows: list[tuple[int, float, int]], interval_s: int) -> None:
    by_minute = {number: minute(DAY, number, price, volume) for number, price, volume in rows}
    minutes = [by_minute[number] for number in sorted(by_minute)]
    bars = fold_minutes(minutes, interval_s, start_ms)
    assert sum(bar.volume for bar in bars) == sum(one.volume for one in minutes)
    assert max((bar.high for bar in bars), default=0) == max((one.high for one in minutes), default=0)
    assert min((bar.low for bar in bars), default=0) == min((one.low for one in minutes), default=0)
    assert [bar.start_ms for bar in bars] == sorted({bar.start_ms for bar in bars})
