"""Weeks and months: bars made of days, cut where the trading calendar cuts them.

A week begins on Monday, a month on the first, whichever days of it trade; both are labelled with midnight IST of that
date, as the broker labels them. They finish with their last *session*: the Thursday bar finishes a week whose
Friday is a holiday, and a session on a Saturday or Sunday belongs to the week of its date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from tradetui.domain.calendar import Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.days import DAY_S
from tradetui.market.history import History
from tradetui.market.sessions import NS_PER_MS
from tradetui.market.universe import Universe

WEEK_S: Final = INTERVALS["1w"]
MONTH_S: Final = INTERVALS["1M"]
"""A name for a month, not its length: months have 28 to 31 days."""
PERIODS: Final = (WEEK_S, MONTH_S)

NextSession = Callable[[int, date], date | None]
"""Slot and date to the date of the next session after it; None where nobody knows."""


def sessions_of(calendar: Calendar, universe: Universe) -> NextSession:
    """The calendar as `PeriodBars` asks it, for the instruments of a run."""

    def following(slot: int, day: date) -> date | None:
        try:
            return calendar.next_trading_day(segment_of(calendar, universe.instruments[slot], day), day)
        except (CalendarUnknown, ValueError):
            return None

    return following


def period_start(day: date, interval_s: int) -> date:
    """First date of the week or month that a date belongs to."""
    return day - timedelta(days=day.weekday()) if interval_s == WEEK_S else day.replace(day=1)


def start_ms_of(day: date, interval_s: int) -> int:
    """The label of the week or month that a date belongs to, epoch ms."""
    return day_start_ns(period_start(day, interval_s)) // NS_PER_MS


def fold_days(days: Iterable[Candle], interval_s: int) -> list[Candle]:
    """Daily bars of one instrument into weeks or months.

    Args:
        days: One bar a session, oldest first.
        interval_s: `WEEK_S` or `MONTH_S`.

    Returns:
        Bars, oldest first. The last one may still lack days; the calendar knows.
    """
    return [
        _folded(list(part), interval_s, start_ms)
        for start_ms, part in groupby(days, key=lambda bar: start_ms_of(_date(bar), interval_s))
    ]


def _folded(days: list[Candle], interval_s: int, start_ms: int) -> Candle:
    first, last = days[0], days[-1]
    return Candle(
        first.slot,
        interval_s,
        start_ms,
        first.open,
        max(day.high for day in days),
        min(day.low for day in days),
        last.close,
        sum(day.volume for day in days),
        last.oi,
        BarSource.MERGED,
        any(day.gap for day in days),
    )


def _date(bar: Candle) -> date:
    return ist_date(bar.start_ms * NS_PER_MS)


class PeriodBars:
    """Weeks and months of a run, from the daily bars that are in its history.

    Args:
        history: Daily bars, the one that just finished among them.
        intervals: Which of `PERIODS` are wanted.
        next_session: The trading calendar.
    """

    def __init__(self, history: History, intervals: Iterable[int], next_session: NextSession) -> None:
        self._history = history
        self.intervals = tuple(s for s in PERIODS if s in set(intervals))
        self._next_session = next_session

    def finished(self, day: Candle) -> list[Candle]:
        """The weeks and months that end with a finished daily bar, or that were left open before it."""
        today = _date(day)
        following = self._next_session(day.slot, today) if self.intervals else None
        out: list[Candle] = []
        for interval_s in self.intervals:
            known_ms = self._history.last_ms(day.slot, interval_s)
            now_ms = start_ms_of(today, interval_s)
            over = following is not None and start_ms_of(following, interval_s) != now_ms
            # A period that nobody closed (a calendar that ended, a restart) closes with the next one's first day.
            days = [bar for bar in self._days(day.slot) if start_ms_of(_date(bar), interval_s) > known_ms]
            folded = fold_days(days, interval_s)
            out += [bar for bar in folded if bar.start_ms < now_ms or (over and bar.start_ms == now_ms)]
        return out

    def forming(self, slot: int, interval_s: int, today: Candle | None) -> Candle | None:
        """The unfinished week or month, the forming day in it; None if there is none."""
        days = self._days(slot)
        if today is not None and (not days or today.start_ms > days[-1].start_ms):
            days.append(today)
        folded = fold_days(days[-31:], interval_s)
        return (
            folded[-1] if folded and folded[-1].start_ms > self._history.last_ms(slot, interval_s) else None
        )

    def _days(self, slot: int) -> list[Candle]:
        return self._history.candles(slot, DAY_S)
