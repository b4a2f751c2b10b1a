"""Market hours, pre-open and closing auctions, holidays, expiries and Indian Standard Time.

There is no single "market close": hours depend on the class of instrument and the date, and live in
``sessions.toml`` and ``days.toml``, never in code::

    calendar = Calendar.default()
    segment = session_class("NSE_EQ", has_derivatives=True)
    calendar.phase_at(segment, t_ns)
"""

from tradetui.domain.calendar.broker import from_broker
from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.expiry import (
    days_to_expiry,
    is_pre_open_future,
    last_trade_ns,
    next_monthly_expiry,
    next_weekly_expiry,
    segment_of,
    shift_expiry,
    years_to_expiry,
)
from tradetui.domain.calendar.ist import (
    DAY_NS,
    IST,
    MINUTE_NS,
    day_start_ns,
    ist_date,
    ist_datetime,
    minute_of_day,
    next_token_expiry_ns,
    ns,
)
from tradetui.domain.calendar.phases import Group, Phase, PhaseKind, Segment, Stage, session_class
from tradetui.domain.calendar.tables import Hours, PhaseSpec, SessionRow, SpecialDay, YearDays
from tradetui.domain.errors import CalendarUnknown

__all__ = [
    "DAY_NS",
    "IST",
    "MINUTE_NS",
    "Calendar",
    "CalendarUnknown",
    "Group",
    "Hours",
    "Phase",
    "PhaseKind",
    "PhaseSpec",
    "Segment",
    "SessionRow",
    "SpecialDay",
    "Stage",
    "YearDays",
    "day_start_ns",
    "days_to_expiry",
    "from_broker",
    "is_pre_open_future",
    "ist_date",
    "ist_datetime",
    "last_trade_ns",
    "minute_of_day",
    "next_monthly_expiry",
    "next_token_expiry_ns",
    "next_weekly_expiry",
    "ns",
    "segment_of",
    "session_class",
    "shift_expiry",
    "years_to_expiry",
]
