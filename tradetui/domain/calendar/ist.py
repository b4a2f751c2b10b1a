"""Indian Standard Time as integer nanoseconds UTC.

India has kept UTC+5:30 without summer time since 1945, so a fixed offset is exact for every market day
and needs no time-zone database. Nothing here reads the machine's own zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

IST: Final = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time, for aware datetimes at the edges."""

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 24 * 60 * MINUTE_NS
IST_OFFSET_NS: Final = 330 * MINUTE_NS

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_TOKEN_EXPIRY_MINUTE: Final = 3 * 60 + 30


def minute_of_day(text: str) -> int:
    """Minutes since midnight of a wall time such as ``"09:15"``; ``"24:00"`` is the end of the day.

    Raises:
        ValueError: Not a time of the form HH:MM.
    """
    hours, _, minutes = text.partition(":")
    if (
        len(hours) != 2
        or len(minutes) != 2
        or not (hours + minutes).isascii()
        or not (hours + minutes).isdigit()
    ):
        raise ValueError(f"not a time of the form HH:MM: {text!r}")
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > 24 * 60:
        raise ValueError(f"not a time of the day: {text!r}")
    return total


def day_start_ns(day: date) -> int:
    """Midnight IST at the start of ``day``, in nanoseconds UTC."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_NS - IST_OFFSET_NS


def ns(day: date, wall: str) -> int:
    """The instant of a wall time (``"HH:MM"`` IST) on ``day``, in nanoseconds UTC.

    Raises:
        ValueError: ``wall`` is not of the form HH:MM.
    """
    return day_start_ns(day) + minute_of_day(wall) * MINUTE_NS


def day_number(t_ns: int) -> int:
    """Days from 1970-01-01 to the IST date of an instant: a cheap key for per-day caches."""
    return (t_ns + IST_OFFSET_NS) // DAY_NS


def date_of_number(number: int) -> date:
    """The date that `day_number` stands for."""
    return date.fromordinal(number + _EPOCH_ORDINAL)


def ist_date(t_ns: int) -> date:
    """The date in India at an instant in nanoseconds UTC."""
    return date_of_number(day_number(t_ns))


def ist_datetime(t_ns: int) -> datetime:
    """An aware IST datetime for showing an instant to a person; below microseconds is cut off."""
    seconds, rest = divmod(t_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).astimezone(IST) + timedelta(microseconds=rest // 1000)


def next_token_expiry_ns(t_ns: int) -> int:
    """When an Upstox access token issued at ``t_ns`` dies: the next 03:30 IST strictly after it.

    A token issued between midnight and 03:30 dies the same morning (Upstox documentation, get-token).
    """
    expiry = day_number(t_ns) * DAY_NS - IST_OFFSET_NS + _TOKEN_EXPIRY_MINUTE * MINUTE_NS
    return expiry if t_ns < expiry else expiry + DAY_NS
