"""Numbers and times as the screen writes them: fixed decimals, Indian grouping, IST."""

from __future__ import annotations

import math

from tradetui.domain.money import format_rupees, group_indian

_IST_MS = (5 * 60 + 30) * 60_000
"""Indian Standard Time is UTC+05:30 all year."""

NEVER = "--"
"""Shown where there is no value yet."""


def price(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """A price in rupees with Indian grouping; ``--`` when never seen.

    Args:
        value: Rupees.
        decimals: Digits behind the point.
        sign: Put a plus sign before positive values.
    """
    if value is None or not math.isfinite(value):
        return NEVER
    text = f"{abs(value):.{decimals}f}"
    whole, _, tail = text.partition(".")
    body = group_indian(whole) + (f".{tail}" if tail else "")
    if value < 0 and float(text):
        return "-" + body
    return "+" + body if sign and float(text) else body


def percent(value: float | None) -> str:
    """A signed percentage with two digits and no percent sign."""
    if value is None or not math.isfinite(value):
        return NEVER
    return f"{value:+.2f}"


def units(value: int) -> str:
    """A quantity in full with Indian grouping."""
    return ("-" if value < 0 else "") + group_indian(str(abs(value)))


def signed_units(value: int) -> str:
    """A quantity with its sign: long ``+``, short ``-``."""
    return ("+" if value > 0 else "") + units(value)


def compact(value: float) -> str:
    """A large number in at most six columns, seven with a minus: ``1.2Cr``, ``84.1L``, ``12.3K``."""
    size = abs(value)
    for limit, scale, word in (
        (9.9995e10, 1e12, "LCr"),
        (9.995e6, 1e7, "Cr"),
        (99_950.0, 1e5, "L"),
        (9_999.5, 1e3, "K"),
    ):
        if size >= limit:
            scaled = value / scale
            text = f"{scaled:.1f}{word}"
            return text if len(text.lstrip("-")) <= 6 and abs(scaled) < 99.95 else f"{scaled:.0f}{word}"
    return f"{value:.0f}"


def money(value: int, *, sign: bool = False, places: int = 2) -> str:
    """Money in 1/10,000 rupee, with Indian grouping."""
    return format_rupees(value, places, sign=sign)


def clock(t_ms: int, *, seconds: bool = True) -> str:
    """Time of day in IST of a moment in epoch ms."""
    total = (t_ms + _IST_MS) // 1000 % 86_400
    text = f"{total // 3600:02d}:{total // 60 % 60:02d}"
    return f"{text}:{total % 60:02d}" if seconds else text


def day(t_ms: int) -> str:
    """Date in IST as ``DD-MM`` of a moment in epoch ms."""
    days = (t_ms + _IST_MS) // 86_400_000
    # Civil date from days since 1970-01-01 (Howard Hinnant's algorithm), without importing datetime.
    days += 719_468
    era = days // 146_097
    doe = days - era * 146_097
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    month_index = (5 * doy + 2) // 153
    month = month_index + 3 if month_index < 10 else month_index - 9
    return f"{doy - (153 * month_index + 2) // 5 + 1:02d}-{month:02d}"


def age(seconds: float) -> str:
    """An age in at most five columns: ``38ms``, ``4.2s``, ``3m05``, ``2h10``."""
    if not math.isfinite(seconds):
        return NEVER
    if seconds < 0.9995:
        return f"{max(seconds, 0.0) * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}"
    return f"{whole // 3600}h{whole // 60 % 60:02d}" if whole < 360_000 else f"{whole // 86_400}d"


def countdown(seconds: float) -> str:
    """Time left as ``mm:ss``, never negative, rounded up."""
    whole = max(0, math.ceil(seconds))
    return f"{whole // 60:02d}:{whole % 60:02d}"


def short(text: str, width: int) -> str:
    """Text cut to ``width`` characters, with dots where something is missing."""
    return text if len(text) <= width else text[: max(0, width - 2)].rstrip() + ".."


def masked(account: str) -> str:
    """An account id with all but its last four characters hidden."""
    return f"**{account[-4:]}" if account else ""
