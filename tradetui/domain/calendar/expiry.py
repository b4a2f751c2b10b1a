"""Expiry days shifted by holidays.

The instrument master is the truth about expiries; these helpers name the day a rule leads to, for the
simulator, for tests and for checking a master. When the nominal day does not trade, the contract expires on
the previous trading day (NSE FAOP68747 25Jun25). A Muhurat day is a holiday for this purpose.
"""

from __future__ import annotations

from datetime import date, timedelta

from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.phases import Segment


def shift_expiry(calendar: Calendar, nominal: date, segment: Segment = Segment.FNO) -> date:
    """The day on which a contract with this nominal expiry really expires.

    Raises:
        CalendarUnknown: No data for the year.
    """
    day = nominal
    while not calendar.is_regular_day(segment, day):
        day -= timedelta(days=1)
    return day


def next_weekly_expiry(
    calendar: Calendar, on_or_after: date, weekday: int, segment: Segment = Segment.FNO
) -> date:
    """The first weekly expiry on or after a day.

    Args:
        calendar: Holidays.
        on_or_after: The day asked on.
        weekday: Nominal expiry weekday, Monday is 0 (NIFTY Tuesday 1, SENSEX Thursday 3).
        segment: Whose holidays count.

    Raises:
        CalendarUnknown: No data for the year.
    """
    nominal = on_or_after + timedelta(days=(weekday - on_or_after.weekday()) % 7)
    while (day := shift_expiry(calendar, nominal, segment)) < on_or_after:
        nominal += timedelta(days=7)
    return day


def next_monthly_expiry(
    calendar: Calendar, on_or_after: date, weekday: int, segment: Segment = Segment.FNO
) -> date:
    """The first monthly expiry (last nominal weekday of the month) on or after a day.

    Raises:
        CalendarUnknown: No data for the year.
    """
    year, month = on_or_after.year, on_or_after.month
    while (day := shift_expiry(calendar, _last_weekday(year, month, weekday), segment)) < on_or_after:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return day


def _last_weekday(year: int, month: int, weekday: int) -> date:
    first_of_next = date(year + 1, 1, 1) if month == 12 else date(year, month + 1, 1)
    last = first_of_next - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)
