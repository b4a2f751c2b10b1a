"""Expiry days shifted by holidays.

The instrument master is the truth about expiries; these helpers name the day a rule leads to, for the
simulator, for tests and for checking a master. When the nominal day does not trade, the contract expires on
the previous trading day (NSE FAOP68747 25Jun25). A Muhurat day is a holiday for this purpose.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.ist import MINUTE_NS, day_start_ns
from tradetui.domain.calendar.phases import PhaseKind, Segment, session_class
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.instrument import Instrument, InstrumentKind

_FUTURES_WEEKDAY = {"NSE_FO": 1, "BSE_FO": 3}
"""Nominal weekday of monthly expiries since Sep 2025 (NSE FAOP68747, BSE 20250623-59); Monday is 0."""

_LINKED_ABROAD = frozenset({"COTTON", "COTTONCNDY", "COTTONCANDY", "CPO", "CRUDEPALMOIL", "KAPAS"})
_FARM = frozenset({"CARDAMOM", "CASTORSEED", "COTTONOIL", "MENTHAOIL", "PEPPER", "RUBBER"})
"""Farm commodities of MCX by what their contracts are called: those with markets abroad, and the others."""

_VOLATILITY = frozenset({"NSE_INDEX|India VIX"})

YEAR_MINUTES = 525_600
"""Minutes of a calendar year, the unit of time to expiry."""

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

    The instrument list does not mark farm commodities; they are known by name, and one that is not known gets the
    hours of metals and energy.

    Raises:
        CalendarUnknown: No data for the year.
        ValueError: The exchange segment has no timetable.
    """
    linked = _root(instrument) in _LINKED_ABROAD
    return session_class(
        instrument.segment,
        has_derivatives=instrument.cas_eligible,
        is_agri=linked or _root(instrument) in _FARM,
        is_linked_abroad=linked,
        is_index_contract=instrument.underlying_key.partition("|")[0].endswith("_INDEX"),
        is_near_future=is_pre_open_future(calendar, instrument, day),
        is_expiry_day=instrument.expiry == day,
        is_volatility=instrument.key in _VOLATILITY,
    )


def _root(instrument: Instrument) -> str:
    """What a commodity contract is on, in capitals without blanks; empty for anything else."""
    return instrument.name.upper().replace(" ", "") if instrument.segment.startswith("MCX_") else ""


def last_trade_ns(calendar: Calendar, instrument: Instrument) -> int:
    """The end of a contract's last continuous session, UTC ns: where its time value ends.

    15:30 until July 2026 and 15:40 from August for equity derivatives; from 7 Dec 2026 15:30 for expiring index
    contracts and 15:45 for those on shares (`india-markets.md` 1.2, 7). The expiry of the instrument list is
    taken as it is; if it does not trade, the contract ended on the trading day before. A year without a holiday
    list does not stand in the way: the hours in force are known long before its holidays are.

    Raises:
        CalendarUnknown: No hours are known for a day that far back.
        ValueError: Not a contract, or its exchange segment has no timetable.
    """
    expiry = instrument.expiry
    if expiry is None:
        raise ValueError(f"{instrument.symbol} does not expire")
    try:
        day = _last_session(calendar, segment_of(calendar, instrument, expiry), expiry)
        window = calendar.continuous(segment_of(calendar, replace(instrument, expiry=day), day), day)
    except CalendarUnknown:
        day, window = expiry, None
    if window is not None:
        return window[1]
    segment = session_class(
        instrument.segment,
        is_index_contract=instrument.underlying_key.partition("|")[0].endswith("_INDEX"),
        is_expiry_day=True,
    )
    minute = max(
        spec.end_minute for spec in calendar.era_specs(segment, day) if spec.kind is PhaseKind.CONTINUOUS
    )
    return day_start_ns(day) + minute * MINUTE_NS


def _last_session(calendar: Calendar, segment: Segment, day: date) -> date:
    while not calendar.is_trading_day(segment, day):
        day -= timedelta(days=1)
    return day


def years_to_expiry(calendar: Calendar, instrument: Instrument, t_ns: int) -> float:
    """Time to expiry as option formulas want it: calendar minutes over 525,600 (`india-markets.md` 7).

    While the contract trades never less than a minute, or implied volatility explodes; 0 once it has stopped.

    Args:
        calendar: Days and hours.
        instrument: The contract.
        t_ns: Now, UTC ns.

    Raises:
        CalendarUnknown: As `last_trade_ns`.
        ValueError: As `last_trade_ns`.
    """
    left_ns = last_trade_ns(calendar, instrument) - t_ns
    return max(left_ns, MINUTE_NS) / (MINUTE_NS * YEAR_MINUTES) if left_ns > 0 else 0.0


def days_to_expiry(calendar: Calendar, instrument: Instrument, today: date) -> int:
    """Trading days from ``today`` until a contract's expiry; 0 on the day itself and after it.

    Raises:
        CalendarUnknown: No data for a year in between.
        ValueError: Not a contract, or its exchange segment has no timetable.
    """
    expiry = instrument.expiry
    if expiry is None:
        raise ValueError(f"{instrument.symbol} does not expire")
    if expiry <= today:
        return 0
    segment = segment_of(calendar, instrument, today)
    return len(calendar.trading_days(segment, today + timedelta(days=1), expiry))
