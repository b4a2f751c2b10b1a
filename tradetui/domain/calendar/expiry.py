"""Expiry days shifted by holidays.

The instrument master is the truth about expiries; these helpers name the day a rule leads to, for the
simulator, for tests and for checking a master. When the nominal day does not trade, the contract expires on
the previous trading day (NSE FAOP68747 25Jun25). A Muhurat day is a holiday for this purpose.
"""

from __future__ import annotations

from datetime import date, timedelta

from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.phases import Segment, session_class
from tradetui.domain.instrument import Instrument, InstrumentKind

_FUTURES_WEEKDAY = {"NSE_FO": 1, "BSE_FO": 3}
"""Nominal weekday of monthly expiries since Sep 2025 (NSE FAOP68747, BSE 20250623-59); Monday is 0."""

_PRE_OPEN_ROLL_DAYS = 5
_PRE_OPEN_HORIZON_DAYS = 45
"""Five weeks between expiries and the roll before them: nothing farther is in, whatever the holidays."""


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


def is_pre_open_future(calendar: Calendar, instrument: Instrument, day: date) -> bool:
    """Whether a future takes part in the derivatives pre-open of a day.

    The current month's does; the next month's too in the last five trading days before the current one expires
    (NSE FAOP71092 3Nov25; "days" read as trading days).

    Raises:
        CalendarUnknown: No data for the year.
    """
    weekday = _FUTURES_WEEKDAY.get(instrument.segment)
    expiry = instrument.expiry
    if weekday is None or expiry is None or instrument.kind is not InstrumentKind.FUTURE or day > expiry:
        return False
    if (expiry - day).days > _PRE_OPEN_HORIZON_DAYS:
        return False
    before = expiry.replace(day=1) - timedelta(days=1)
    previous = shift_expiry(calendar, _last_weekday(before.year, before.month, weekday))
    if day > previous:
        return True
    first = previous
    for _ in range(_PRE_OPEN_ROLL_DAYS - 1):
        first = calendar.previous_trading_day(Segment.FNO, first)
    return day >= first


def segment_of(calendar: Calendar, instrument: Instrument, day: date) -> Segment:
    """The timetable class of an instrument on a day.

    Farm commodities are not told apart here: the instrument master does not mark them, so every MCX contract
    gets the hours of metals and energy. Use `session_class` where it is known.

    Raises:
        CalendarUnknown: No data for the year.
        ValueError: The exchange segment has no timetable.
    """
    return session_class(
        instrument.segment,
        has_derivatives=instrument.cas_eligible,
        is_index_contract=instrument.underlying_key.partition("|")[0].endswith("_INDEX"),
        is_near_future=is_pre_open_future(calendar, instrument, day),
        is_expiry_day=instrument.expiry == day,
    )
