"""Which past bars should be there, which are missing, and in how few requests they can be asked for."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.calendar import Calendar, ns
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.market.holes import (
    Judged,
    cells_of,
    expected_starts,
    judge,
    pieces,
    ranges,
    settles,
    windows_of,
)

INDEX = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
SHARE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
FUTURE = Instrument(
    "NSE_FO|36000", "NSE_FO", "NSE", "NIFTY FUT", "NIFTY", InstrumentKind.FUTURE, expiry=date(2025, 12, 16)
)
MONDAY = date(2025, 12, 15)
DAY = timedelta(days=1)
LATER_NS = ns(MONDAY + 14 * DAY, "10:00")
CALENDAR = Calendar.default()
NONE = np.zeros(0, np.int64)


def minutes(day: date, count: int = 375) -> np.ndarray:
    return ns(day, "09:15") // 1_000_000 + np.arange(count, dtype=np.int64) * 60_000


@pytest.mark.parametrize(
    ("interval", "bars"), [("1m", 375), ("5m", 75), ("15m", 25), ("30m", 13), ("1h", 7), ("1d", 1)]
)
def test_a_session_has_so_many_bars(interval: str, bars: int) -> None:
    (cell,) = cells_of(CALENDAR, SHARE, interval, MONDAY, MONDAY)
    assert cell.expected is not None
    assert len(cell.expected) == bars
    wall = "00:00" if interval == "1d" else "09:15"
    assert cell.expected[0] == ns(MONDAY, wall) // 1_000_000


def test_bars_behind_a_break_are_counted_from_the_start_of_the_session() -> None:
    windows = ((ns(MONDAY, "09:15"), ns(MONDAY, "10:00")), (ns(MONDAY, "11:37"), ns(MONDAY, "12:00")))
    starts = expected_starts(windows, 1800)
    walls = [(int(start) * 1_000_000 - ns(MONDAY, "00:00")) // 60_000_000_000 for start in starts]
    assert walls == [9 * 60 + 15, 9 * 60 + 45, 11 * 60 + 15, 11 * 60 + 45]


def test_holidays_have_no_cell_unknown_years_no_expectation_and_dead_contracts_nothing() -> None:
    assert windows_of(CALENDAR, SHARE, MONDAY - DAY) == ()
    assert windows_of(CALENDAR, SHARE, date(1999, 3, 1)) is None
    assert [cell.day for cell in cells_of(CALENDAR, SHARE, "1m", MONDAY - 2 * DAY, MONDAY)] == [MONDAY]
    (old,) = cells_of(CALENDAR, SHARE, "1m", date(1999, 3, 1), date(1999, 3, 1))
    assert old.expected is None
    assert [cell.day for cell in cells_of(CALENDAR, FUTURE, "1m", MONDAY, MONDAY + 4 * DAY)] == [
        MONDAY,
        MONDAY + DAY,
    ]


def test_weeks_and_months_are_cells_of_their_own() -> None:
    weeks = cells_of(CALENDAR, SHARE, "1w", date(2025, 12, 17), date(2025, 12, 30))
    assert [(cell.day, cell.last) for cell in weeks] == [
        (date(2025, 12, 15), date(2025, 12, 21)),
        (date(2025, 12, 22), date(2025, 12, 28)),
        (date(2025, 12, 29), date(2026, 1, 4)),
    ]
    months = cells_of(CALENDAR, SHARE, "1M", date(2025, 11, 30), date(2026, 1, 1))
    assert [(cell.day, cell.last) for cell in months] == [
        (date(2025, 11, 1), date(2025, 11, 30)),
        (date(2025, 12, 1), date(2025, 12, 31)),
        (date(2026, 1, 1), date(2026, 1, 31)),
    ]
    judged = judge(
        months, np.array([ns(date(2025, 12, 1), "00:00") // 1_000_000]), {}, ns(date(2026, 1, 5), "10:00")
    )
    assert [(one.settled, one.open) for one in judged] == [(False, False), (True, False), (False, True)]


def test_a_full_day_is_settled_and_one_that_lacks_a_minute_is_a_hole() -> None:
    cells = cells_of(CALENDAR, SHARE, "1m", MONDAY, MONDAY + 2 * DAY)
    stored = np.concatenate([minutes(MONDAY), np.delete(minutes(MONDAY + DAY), [7, 8, 100])])
    full, lacking, empty = judge(cells, stored, {}, LATER_NS)
    assert (full.settled, full.stored, len(full.missing)) == (True, 375, 0)
    assert (lacking.settled, lacking.stored) == (False, 372)
    assert list(ranges(lacking.missing, 60)) == [
        (ns(MONDAY + DAY, "09:22") // 1_000_000, ns(MONDAY + DAY, "09:23") // 1_000_000, 2),
        (ns(MONDAY + DAY, "10:55") // 1_000_000, ns(MONDAY + DAY, "10:55") // 1_000_000, 1),
    ]
    assert (empty.settled, len(empty.missing)) == (False, 375)
    assert list(ranges(NONE, 60)) == []


def test_bars_of_an_auction_do_not_make_up_for_a_hole() -> None:
    cells = cells_of(CALENDAR, INDEX, "1m", MONDAY, MONDAY)
    assert judge(cells, minutes(MONDAY, 390), {}, LATER_NS)[0].settled
    assert not judge(cells, np.delete(minutes(MONDAY, 390), 100), {}, LATER_NS)[0].settled


def test_the_brokers_word_settles_a_thin_day_until_bars_of_it_are_lost() -> None:
    cells = cells_of(CALENDAR, SHARE, "1m", MONDAY, MONDAY)
    thin = minutes(MONDAY)[::3]
    assert judge(cells, thin, {MONDAY: len(thin)}, LATER_NS)[0].settled
    assert judge(cells, NONE, {MONDAY: 0}, LATER_NS)[0].settled
    assert not judge(cells, thin[1:], {MONDAY: len(thin)}, LATER_NS)[0].settled


def test_of_a_running_session_only_what_has_begun_is_missing_and_it_is_never_settled() -> None:
    cells = cells_of(CALENDAR, SHARE, "1m", MONDAY, MONDAY)
    (now,) = judge(cells, minutes(MONDAY, 4), {MONDAY: 0}, ns(MONDAY, "09:20"))
    assert (now.open, now.settled, len(now.missing)) == (True, False, 1)


def test_an_answer_is_the_last_word_only_when_it_lacks_something_and_comes_late_enough() -> None:
    (cell,) = cells_of(CALENDAR, SHARE, "1m", MONDAY, MONDAY)
    some = minutes(MONDAY, 40)
    next_day = ns(MONDAY + DAY, "09:00")
    assert settles(cell, some, False, next_day) == 40
    assert settles(cell, NONE, False, next_day) == 0
    assert settles(cell, some, False, ns(MONDAY, "23:59")) is None
    assert settles(cell, some, True, next_day) is None
    assert settles(cell, minutes(MONDAY), False, next_day) is None
    (unknown,) = cells_of(CALENDAR, SHARE, "1m", date(1999, 3, 1), date(1999, 3, 1))
    assert settles(unknown, NONE, False, next_day) == 0


def judged(days: list[date], holes: set[date]) -> list[Judged]:
    cells = cells_of(CALENDAR, SHARE, "1m", days[0], days[-1])
    return [Judged(cell, 0, NONE, cell.day not in holes, False) for cell in cells]


def test_holes_are_covered_newest_first_with_as_few_requests_as_can_be() -> None:
    days = [MONDAY + DAY * step for step in range(19)]
    holes = {MONDAY, MONDAY + DAY, MONDAY + 4 * DAY, MONDAY + 16 * DAY}
    found = pieces(judged(days, holes), lambda last: last - 6 * DAY)
    assert found == [(MONDAY + 16 * DAY, MONDAY + 16 * DAY), (MONDAY, MONDAY + 4 * DAY)]
    assert pieces(judged(days, set()), lambda last: last) == []


def test_today_stands_alone() -> None:
    days = [MONDAY + DAY * step for step in range(5)]
    found = pieces(judged(days, set(days)), lambda last: last - 30 * DAY, today=days[-1])
    assert found == [(days[4], days[4]), (days[0], days[3])]


@given(st.sets(st.integers(0, 80), max_size=40), st.integers(1, 31))
def test_every_hole_is_asked_for_once_and_no_request_is_too_long(numbers: set[int], most: int) -> None:
    days = [MONDAY + DAY * step for step in range(81)]
    marked = judged(days, {days[number] for number in numbers})
    found = pieces(marked, lambda last: last - (most - 1) * DAY)
    for one in marked:
        inside = [1 for first, last in found if first <= one.cell.day <= last]
        assert len(inside) == 1 if one.is_hole else len(inside) <= 1
    assert all((last - first).days < most for first, last in found)
    assert [first for first, _ in found] == sorted((first for first, _ in found), reverse=True)
