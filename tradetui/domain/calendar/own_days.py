"""Days and hours of the user's own: from settings (short lines) and from a ``calendar.toml`` (whole tables).

Short lines, as they stand under ``[calendar]`` in the settings::

    closed = ["2026-12-31", "2027-01-15 EQ FNO"]
    open = ["2026-11-08 EQ FNO 18:15-19:15"]
    hours = { "2027-01-04 FNO" = "09:15-15:50" }

A file may hold the tables of the shipped ``sessions.toml`` and ``days.toml``: ``[[special]]`` for single days,
``[[row]]`` for hours from a date on, ``[[year]]`` for a whole list of holidays. Groups are EQ (cash and index
values), FNO, CDS and COM; classes are those of `Segment`. Whatever is wrong is said in one line that names the
entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.phases import Group, PhaseKind, Segment, Stage
from tradetui.domain.calendar.tables import (
    Hours,
    PhaseSpec,
    SessionRow,
    SpecialDay,
    YearDays,
    parse_phases,
)
from tradetui.domain.errors import DomainError

MUHURAT_MINUTES: Final = 120
"""A session this short is a ceremonial one: a trading day, but not an expiry day."""

_T = TypeVar("_T")

_SOURCE: Final = "your own calendar"
_TABLES: Final = {
    "special": frozenset({"date", "groups", "hours", "phases", "windows", "kind", "source"}),
    "row": frozenset({"classes", "from", "to", "us_time", "phases", "windows", "source"}),
    "year": frozenset({"year", "groups", "closed", "morning_closed", "evening_closed", "source"}),
}
_WHOLE: Final = {"closed": list, "open": list, "hours": dict}


@dataclass(frozen=True, slots=True)
class OwnDays:
    """What a user says about the calendar, checked.

    Attributes:
        days: Single days.
        rows: Hours from a date on, by class.
        years: Whole lists of holidays.
    """

    days: tuple[SpecialDay, ...] = ()
    rows: tuple[tuple[Segment, SessionRow], ...] = ()
    years: tuple[tuple[Group, int, YearDays], ...] = ()

    def hours_on(self, calendar: Calendar) -> Calendar:
        """A calendar with the hours and lists of holidays; the broker's word may still be laid over it."""
        rows: dict[Segment, list[SessionRow]] = {}
        for segment, row in self.rows:
            rows.setdefault(segment, []).append(row)
        years = {(group, year): days for group, year, days in self.years}
        return calendar.with_rows(rows).with_years(years)

    def days_on(self, calendar: Calendar) -> Calendar:
        """A calendar in which the single days rule over everything else."""
        return calendar.with_override(self.days)


def parse_own_days(tables: Mapping[str, Any]) -> OwnDays:
    """The user's days and hours from tables as TOML gives them (dates as dates or as ISO texts).

    Raises:
        DomainError: One line: which entry, and what is wrong with it.
    """
    for name in tables:
        if name not in _TABLES and name not in _WHOLE:
            known = ", ".join([*_WHOLE, *(f"[[{table}]]" for table in _TABLES)])
            raise DomainError(f"calendar: unknown entry {name!r}", f"known: {known}")
    for name, kind in _WHOLE.items():
        if name in tables and not isinstance(tables[name], kind):
            raise DomainError(f"calendar: {name} must be a {'list' if kind is list else 'table'} of texts")
    days = [
        *_each("closed", tables.get("closed", ()), _closed),
        *_each("open", tables.get("open", ()), _open),
        *_each("[[special]]", _listed(tables, "special"), _special),
    ]
    rows = [
        *_each("hours", [f"{at} {hours}" for at, hours in tables.get("hours", {}).items()], _hours),
        *_each("[[row]]", _listed(tables, "row"), _row),
    ]
    years = _each("[[year]]", _listed(tables, "year"), _year)
    return OwnDays(
        tuple(one for some in days for one in some),
        tuple(one for some in rows for one in some),
        tuple(one for some in years for one in some),
    )


def dump_own_days(tables: Mapping[str, Any]) -> str:
    """The tables as JSON, for a recording or another process; empty for none."""
    return json.dumps(tables, default=_iso, sort_keys=True) if any(tables.values()) else ""


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise DomainError(f"calendar: {value!r} is neither a text, a number nor a date")


def _listed(tables: Mapping[str, Any], name: str) -> Sequence[Any]:
    entries = tables.get(name, ())
    if not isinstance(entries, list | tuple) or not all(isinstance(one, Mapping) for one in entries):
        raise DomainError(f"calendar: write {name} as [[{name}]]")
    for entry in entries:
        if unknown := sorted(set(entry) - _TABLES[name]):
            raise DomainError(
                f"calendar: [[{name}]] has an unknown key {unknown[0]!r}",
                f"known: {', '.join(sorted(_TABLES[name]))}",
            )
    return entries


def _each(what: str, entries: Iterable[Any], read: Callable[[Any], _T]) -> list[_T]:
    """Read every entry; an error names the one it is in."""
    out = []
    for number, entry in enumerate(entries, 1):
        try:
            out.append(read(entry))
        except KeyError as error:
            raise DomainError(f"calendar: {what} number {number} lacks {error.args[0]!r}") from None
        except (DomainError, ValueError, TypeError, AttributeError) as error:
            raise DomainError(f"calendar: {what} number {number}: {error}") from None
    return out


# ---- short lines -----------------------------------------------------------------------------------------


def _closed(text: str) -> list[SpecialDay]:
    day, *names = _words(text)
    return [SpecialDay(_day(day), group, "own", Hours.CLOSED, (), _SOURCE) for group in _groups(names)]


def _open(text: str) -> list[SpecialDay]:
    day, *rest = _words(text)
    windows = [word for word in rest if "-" in word]
    groups = _groups([word for word in rest if "-" not in word and word.lower() not in _KINDS])
    kind = next((word.lower() for word in rest if word.lower() in _KINDS), "")
    if not windows:
        return [SpecialDay(_day(day), group, kind or "own", Hours.REGULAR, (), _SOURCE) for group in groups]
    phases = _windows([window.split("-") for window in windows])
    return [
        SpecialDay(_day(day), group, kind or _kind(phases), Hours.LISTED, phases, _SOURCE) for group in groups
    ]


_KINDS: Final = frozenset({"muhurat", "full"})


def _hours(text: str) -> list[tuple[Segment, SessionRow]]:
    day, *rest = _words(text)
    windows = [word.split("-") for word in rest if "-" in word]
    if not windows:
        raise DomainError(f"{text!r} names no hours such as 09:15-15:30")
    row = SessionRow(_day(day), None, _windows(windows), _SOURCE)
    return [(segment, row) for segment in _classes([word for word in rest if "-" not in word])]


# ---- tables ----------------------------------------------------------------------------------------------


def _special(entry: Mapping[str, Any]) -> list[SpecialDay]:
    phases = _phases(entry)
    hours = Hours(entry.get("hours", "listed" if phases else "regular"))
    if hours is Hours.UNKNOWN:
        raise DomainError('hours must be "regular", "closed" or "listed"')
    if (hours is Hours.LISTED) != bool(phases):
        raise DomainError('phases or windows go with hours = "listed", and with nothing else')
    kind = str(entry.get("kind") or (_kind(phases) if phases else "own"))
    source = str(entry.get("source", _SOURCE))
    return [
        SpecialDay(_day(entry["date"]), group, kind, hours, phases, source)
        for group in _groups(entry.get("groups", ()))
    ]


def _row(entry: Mapping[str, Any]) -> list[tuple[Segment, SessionRow]]:
    phases = _phases(entry)
    if not phases:
        raise DomainError("it has neither phases nor windows")
    until = entry.get("to")
    row = SessionRow(
        _day(entry["from"]),
        None if until is None else _day(until),
        phases,
        str(entry.get("source", _SOURCE)),
        str(entry.get("us_time", "")),
    )
    if row.us_time not in ("", "summer", "winter"):
        raise DomainError('us_time must be "summer" or "winter"')
    if row.effective_to is not None and row.effective_to < row.effective_from:
        raise DomainError("it ends before it begins")
    return [(segment, row) for segment in _classes(entry["classes"])]


def _year(entry: Mapping[str, Any]) -> list[tuple[Group, int, YearDays]]:
    year = entry["year"]
    if isinstance(year, bool) or not isinstance(year, int) or not 1990 <= year <= 2100:
        raise DomainError(f"{year!r} is no year")

    def dates(name: str) -> frozenset[date]:
        texts = entry.get(name, ())
        if isinstance(texts, str):
            raise DomainError(f"{name} must be a list of MM-DD texts")
        return frozenset(_day(f"{year}-{text}") for text in texts)

    if "closed" not in entry:
        raise KeyError("closed")
    days = YearDays(dates("closed"), dates("morning_closed"), dates("evening_closed"))
    return [(group, year, days) for group in _groups(entry.get("groups", ()))]


def _phases(entry: Mapping[str, Any]) -> tuple[PhaseSpec, ...]:
    if "phases" in entry and "windows" in entry:
        raise DomainError("give phases or windows, not both")
    if "windows" in entry:
        return _windows(entry["windows"])
    return parse_phases(entry.get("phases", ()))


def _windows(pairs: Iterable[Sequence[str]]) -> tuple[PhaseSpec, ...]:
    """Stretches of plain continuous trading."""
    return parse_phases(
        [(PhaseKind.CONTINUOUS.value, Stage.NONE.value, start, end, "") for start, end in pairs]
    )


# ---- words -----------------------------------------------------------------------------------------------


def _words(text: Any) -> list[str]:
    words = text.replace(",", " ").split() if isinstance(text, str) else []
    if not words:
        raise DomainError(f"{text!r} is no text that begins with a date")
    return words


def _day(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DomainError(f"{value!r} is no date such as 2026-12-31") from None


def _groups(names: Iterable[str]) -> list[Group]:
    """Groups by name; none named means all of them."""
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in Group.__members__]
    if unknown:
        raise DomainError(f"{unknown[0]!r} is no group: EQ, FNO, CDS or COM")
    return [Group[name] for name in names] or list(Group)


def _classes(names: Iterable[str]) -> list[Segment]:
    """Classes by name; a group stands for all of its classes."""
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise DomainError("it names no group and no class")
    found: list[Segment] = []
    for name in names:
        if name in Group.__members__:
            found += [segment for segment in Segment if segment.group is Group[name]]
        elif name in Segment.__members__:
            found.append(Segment[name])
        else:
            raise DomainError(f"{name!r} is neither a group nor a class: {', '.join(Segment)}")
    return found


def _kind(phases: Sequence[PhaseSpec]) -> str:
    return "muhurat" if phases[-1].end_minute - phases[0].start_minute <= MUHURAT_MINUTES else "own"
