"""Which past bars should be there, and which of them are missing: the arithmetic behind backfill and its check.

A *cell* is what an answer settles as a whole: a session for bars of up to a day, a week, a month. Cells and the
starts of their bars come from the calendar. What is missing is either a *hole*, which can be asked for, or was not
traded, which the broker itself has said (`storage.past`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from tradetui.domain.calendar import DAY_NS, Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import I64

Windows = tuple[tuple[int, int], ...]
"""Stretches of time as (start_ns, end_ns)."""

_DAY: Final = timedelta(days=1)
_MS: Final = 1_000_000
_FINAL_AFTER_NS: Final = 12 * 3_600 * 1_000_000_000
"""An answer that lacks bars is final only so long after the end of its cell: the broker's history lags the market."""


def windows_of(calendar: Calendar, instrument: Instrument, day: date) -> Windows | None:
    """When a day should have bars; empty on a holiday, ``None`` where nobody knows."""
    if instrument.expiry is not None and day > instrument.expiry:
        return ()
    try:
        segment = segment_of(calendar, instrument, day)
        # An index stands still through the closing auction of its shares, and has no bars there.
        windows = calendar.continuous_windows(segment, day)
    except (CalendarUnknown, ValueError):
        return None
    return windows


@dataclass(frozen=True, slots=True)
class Cell:
    """What is asked for, and settled, as a whole.

    Attributes:
        day: Date of the bars' start: the session, the Monday, the first of the month.
        last: Its last date.
        expected: Starts of the bars there should be, epoch ms; ``None`` where nobody knows.
        end_ns: When it is over, UTC ns.
    """

    day: date
    last: date
    expected: I64 | None
    end_ns: int


def cells_of(
    calendar: Calendar, instrument: Instrument, interval: str, first: date, last: date
) -> list[Cell]:
    """The cells that begin or trade in a range of dates, both included, oldest first; holidays have none."""
    if interval in ("1w", "1M"):
        return _long_cells(interval, first, last)
    seconds = INTERVALS[interval]
    out = []
    for step in range((last - first).days + 1):
        day = first + _DAY * step
        windows = windows_of(calendar, instrument, day)
        if windows == ():
            continue
        end_ns = windows[-1][1] if windows else day_start_ns(day) + DAY_NS
        out.append(Cell(day, day, None if windows is None else expected_starts(windows, seconds), end_ns))
    return out


def _long_cells(interval: str, first: date, last: date) -> list[Cell]:
    day = first - timedelta(days=first.weekday()) if interval == "1w" else first.replace(day=1)
    out = []
    while day <= last:
        following = (
            day + 7 * _DAY if interval == "1w" else date(day.year + day.month // 12, day.month % 12 + 1, 1)
        )
        start = np.array([day_start_ns(day) // _MS], np.int64)
        out.append(Cell(day, following - _DAY, start, day_start_ns(following)))
        day = following
    return out


@lru_cache(maxsize=2048)
def expected_starts(windows: Windows, interval_s: int) -> I64:
    """Starts of the bars of a session, epoch ms; a day's own bar begins at midnight."""
    if interval_s >= 86_400:
        return np.array([day_start_ns(ist_date(windows[0][0])) // _MS], np.int64)
    step = interval_s * 1000
    anchor = windows[0][0] // _MS
    parts = []
    for start_ns, end_ns in windows:
        # Bars are counted from the session's start, also behind a break.
        first = anchor + (start_ns // _MS - anchor) // step * step
        parts.append(np.arange(first, end_ns // _MS, step, dtype=np.int64))
    return np.unique(np.concatenate(parts))


# --- what is stored against it ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell against what is stored.

    Attributes:
        cell: The cell.
        stored: Bars stored in it.
        missing: Starts of expected bars that are not stored, epoch ms; empty where nobody knows what to expect.
        settled: Nothing has to be asked: it is full, or the broker has said that there is no more.
        open: It is not over yet.
    """

    cell: Cell
    stored: int
    missing: I64
    settled: bool
    open: bool

    @property
    def is_hole(self) -> bool:
        """Bars are missing, or may be, and the broker can be asked for them."""
        return not self.settled


def judge(cells: Sequence[Cell], starts: I64, asked: Mapping[date, int], now_ns: int) -> list[Judged]:
    """Hold cells against what is stored.

    Args:
        cells: See `cells_of`.
        starts: Starts of the broker's stored bars, epoch ms, ascending.
        asked: Days that the broker has settled, with the number of bars it had; see `storage.past.asked_days`.
        now_ns: Engine time.
    """
    out = []
    now_ms = now_ns // _MS
    for cell in cells:
        begin = day_start_ns(cell.day) // _MS
        end = (day_start_ns(cell.last) + DAY_NS) // _MS
        low, high = (int(at) for at in np.searchsorted(starts, [begin, end]))
        here = starts[low:high]
        is_open = cell.end_ns > now_ns
        expected = cell.expected
        if expected is not None and is_open:
            # Of a running session only what has begun can be missing.
            expected = expected[expected < now_ms]
        missing = (
            np.zeros(0, np.int64) if expected is None else np.setdiff1d(expected, here, assume_unique=True)
        )
        full = cell.expected is not None and not len(missing)
        said = cell.day in asked and len(here) >= asked[cell.day]
        out.append(Judged(cell, len(here), missing, not is_open and (full or said), is_open))
    return out


def settles(cell: Cell, starts: I64, odd: bool, now_ns: int) -> int | None:
    """How many bars an answer has for a cell, if that is the last word although it is not full; else ``None``.

    Args:
        cell: The cell.
        starts: Starts of the bars in the answer, epoch ms, ascending.
        odd: The answer had rows in this cell that made no sense.
        now_ns: When it was asked.
    """
    if odd or now_ns < cell.end_ns + _FINAL_AFTER_NS:
        return None
    low, high = np.searchsorted(
        starts, [day_start_ns(cell.day) // _MS, (day_start_ns(cell.last) + DAY_NS) // _MS]
    )
    here = starts[int(low) : int(high)]
    if cell.expected is not None and np.isin(cell.expected, here, assume_unique=True).all():
        return None
    return len(here)


def ranges(missing: I64, interval_s: int) -> Iterator[tuple[int, int, int]]:
    """Runs of neighbouring starts as (first start, last start, how many), epoch ms."""
    if not len(missing):
        return
    breaks = np.flatnonzero(np.diff(missing) != interval_s * 1000)
    first = 0
    for end in [*breaks.tolist(), len(missing) - 1]:
        yield int(missing[first]), int(missing[end]), end - first + 1
        first = end + 1


def pieces(
    judged: Sequence[Judged], earliest: Callable[[date], date], today: date | None = None
) -> list[tuple[date, date]]:
    """Cover the holes with as few requests as can be, newest first.

    Args:
        judged: Cells, oldest first.
        earliest: Last date of a request -> the first date that the same request may reach back to.
        today: A day that another endpoint serves, and that therefore stands alone; ``None`` where there is none.
    """
    out: list[tuple[date, date]] = []
    bound = date.min
    alone = False
    for one in reversed(judged):
        if not one.is_hole:
            continue
        first, last = one.cell.day, one.cell.last
        if out and not alone and first >= bound:
            out[-1] = (first, out[-1][1])
        else:
            alone = first == today
            out.append((first, last))
            bound = earliest(last)
    return out
