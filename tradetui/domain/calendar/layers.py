"""The calendar in use: the shipped one, the broker's word over it, the user's own over both.

The layers are kept as JSON text, so that a recording of a run can carry them: an engine that plays it back later
must hold the same calendar. `differences` says in words what the layers change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from tradetui.domain.calendar.broker import from_broker
from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.ist import ist_datetime
from tradetui.domain.calendar.own_days import parse_own_days
from tradetui.domain.calendar.phases import Group, Segment
from tradetui.domain.errors import CalendarUnknown, DomainError

LEAST_HOLIDAYS: Final = 5
"""A list with fewer trading holidays of a year than this is not taken for the whole list of that year."""

_SPEAKERS: Final = {
    # Classes whose hours stand for their group in words.
    Segment.EQ_OTHER: "cash",
    Segment.EQ_FNO_UNDERLYING: "cash with derivatives",
    Segment.FNO: "equity derivatives",
    Segment.CDS: "currency",
    Segment.MCX_NONAGRI: "commodities",
}


@dataclass(frozen=True, slots=True)
class CalendarLayers:
    """What is laid over the shipped calendar.

    Attributes:
        broker: JSON of the broker's ``holidays`` and ``timings`` (see `from_broker`); empty for none.
        own: JSON of the user's tables (see `parse_own_days`); empty for none.
    """

    broker: str = ""
    own: str = ""

    def calendar(self, shipped: Calendar | None = None) -> Calendar:
        """The calendar with its layers.

        Raises:
            DomainError: A layer holds something that cannot be right.
        """
        base = shipped or Calendar.default()
        own = parse_own_days(json.loads(self.own)) if self.own else None
        if own is not None:
            base = own.hours_on(base)
        if self.broker:
            base = _with_broker(base, json.loads(self.broker))
        return own.days_on(base) if own is not None else base


def _with_broker(base: Calendar, said: Mapping[str, Any]) -> Calendar:
    holidays = said.get("holidays", ())
    timings = {date.fromisoformat(day): rows for day, rows in said.get("timings", {}).items()}
    return from_broker(
        base, holidays=holidays, timings=timings, complete_years=sorted(complete_years(holidays))
    )


def complete_years(holidays: Iterable[Mapping[str, Any]]) -> set[int]:
    """Years of which a broker's list of holidays is taken to be whole.

    Raises:
        DomainError: A row has no date.
    """
    counts: dict[int, int] = {}
    for row in holidays:
        if str(row.get("holiday_type", "")) != "TRADING_HOLIDAY":
            continue
        try:
            year = date.fromisoformat(row["date"]).year
        except (KeyError, TypeError, ValueError) as error:
            raise DomainError(f"not a holiday row of the broker: {error!r}") from error
        counts[year] = counts.get(year, 0) + 1
    return {year for year, count in counts.items() if count >= LEAST_HOLIDAYS}


def hours_words(calendar: Calendar, segment: Segment, day: date) -> str:
    """Hours of continuous trading in words: ``09:15-15:30``, ``closed``, ``hours not known``."""
    try:
        windows = calendar.continuous_windows(segment, day)
    except CalendarUnknown:
        return "hours not known"
    texts = [f"{ist_datetime(start):%H:%M}-{_end(end)}" for start, end in windows]
    return " ".join(texts) or "closed"


def _end(t_ns: int) -> str:
    text = f"{ist_datetime(t_ns):%H:%M}"
    return "24:00" if text == "00:00" else text


def differences(shipped: Calendar, used: Calendar, first: date, last: date) -> list[str]:
    """What differs between two calendars from ``first`` to ``last``, one line a day.

    Years that the shipped calendar does not know are one line each: every day of theirs is news.
    """
    lines = []
    for year in range(first.year, last.year + 1):
        new = [group for group in Group if used.knows(group, year) and not shipped.knows(group, year)]
        if new:
            lines.append(f"{year}: holidays of {', '.join(new)} are not in the shipped calendar")
    for day in _days(first, last):
        changed: dict[str, list[str]] = {}
        for segment, name in _SPEAKERS.items():
            if used.knows(segment.group, day.year) and not shipped.knows(segment.group, day.year):
                continue
            before, now = (hours_words(one, segment, day) for one in (shipped, used))
            if before != now:
                changed.setdefault(f"{now} (shipped: {before})", []).append(name)
        if changed:
            told = "; ".join(f"{', '.join(names)} {words}" for words, names in changed.items())
            lines.append(f"{day:%a %d %b %Y}: {told}")
    return lines


def _days(first: date, last: date) -> Iterator[date]:
    for number in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(number)


def unknown_days(calendar: Calendar, first: date, days: int) -> list[date]:
    """Days from ``first`` on whose hours are not known though the year's list is: announced, times to follow."""
    return [
        day
        for day in _days(first, first + timedelta(days=days))
        if any(
            calendar.knows(segment.group, day.year)
            and hours_words(calendar, segment, day) == "hours not known"
            for segment in (Segment.EQ_OTHER, Segment.FNO, Segment.MCX_NONAGRI)
        )
    ]
