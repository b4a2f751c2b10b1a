"""What is missing in the store, against the calendar and against what the broker can have."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from tradetui.domain.calendar import Calendar, ist_datetime
from tradetui.domain.intervals import INTERVALS
from tradetui.market.holes import Judged, ranges
from tradetui.wiring.backfill.job import Keeps, judged_cells
from tradetui.wiring.backfill.universe import Chosen

_MOST_RANGES: Final = 40


def check_all(
    store: Keeps, calendar: Calendar, chosen: Chosen, interval: str, first: date, last: date, now_ns: int
) -> dict[str, Any]:
    """Every instrument's holes by day. Blocks on the database.

    A bar that is missing is a *hole* when the broker was never asked for its day, or when the day holds fewer bars
    than the broker gave; it was *not traded* when the broker, asked after the day's end, had none for it.
    """
    rows = []
    for instrument in chosen.instruments:
        judged = judged_cells(store, calendar, instrument, interval, first, last, now_ns)
        rows.append({"symbol": instrument.symbol, "key": instrument.key, **_row(judged, interval)})
    return {
        "interval": interval,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "unknown": chosen.unknown,
        "complete": not chosen.unknown and not any(row["holes"] for row in rows),
        "sessions": sum(row["sessions"] for row in rows),
        "full": sum(row["full"] for row in rows),
        "missing": sum(row["missing"] for row in rows),
        "not_traded": sum(row["not_traded"] for row in rows),
        "instruments": rows,
    }


def _row(judged: list[Judged], interval: str) -> dict[str, Any]:
    seconds = INTERVALS[interval]
    over = [one for one in judged if not one.open]
    holes = [one for one in over if one.is_hole]
    thin = [one for one in over if one.settled and len(one.missing)]
    return {
        "sessions": len(over),
        "full": sum(one.settled and not len(one.missing) for one in over),
        "bars": sum(one.stored for one in over),
        "missing": sum(len(one.missing) for one in holes),
        "not_traded": sum(len(one.missing) for one in thin),
        "holes": [_day(one, seconds) for one in holes],
        "thin_days": [_day(one, seconds) for one in thin],
    }


def _day(one: Judged, seconds: int) -> dict[str, Any]:
    found = list(ranges(one.missing, seconds))
    form = "%H:%M" if seconds < 86_400 else "%Y-%m-%d"

    def wall(start_ms: int) -> str:
        return format(ist_datetime(start_ms * 1_000_000), form)

    return {
        "day": one.cell.day.isoformat(),
        "stored": one.stored,
        "expected": None if one.cell.expected is None else len(one.cell.expected),
        "missing": len(one.missing),
        "ranges": [[wall(low), wall(high), count] for low, high, count in found[:_MOST_RANGES]],
        "more_ranges": max(0, len(found) - _MOST_RANGES),
    }
