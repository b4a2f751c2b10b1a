"""The shipped timetable and day lists (``sessions.toml``, ``days.toml``) as typed, immutable tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from tradetui.domain.calendar.ist import MINUTE_NS, day_start_ns, minute_of_day
from tradetui.domain.calendar.phases import Group, Phase, PhaseKind, Segment, Stage
from tradetui.domain.errors import DomainError


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """A phase by wall time: minutes since midnight IST, end exclusive."""

    kind: PhaseKind
    stage: Stage
    start_minute: int
    end_minute: int
    random_close_minute: int | None = None

    def on(self, day: date) -> Phase:
        """This phase on one day."""
        midnight = day_start_ns(day)
        random_close = self.random_close_minute
        return Phase(
            kind=self.kind,
            start_ns=midnight + self.start_minute * MINUTE_NS,
            end_ns=midnight + self.end_minute * MINUTE_NS,
            stage=self.stage,
            random_close_ns=None if random_close is None else midnight + random_close * MINUTE_NS,
        )


def us_summer_time(day: date) -> bool:
    """Whether New York keeps summer time in the evening (India) of a day.

    Since 2007 from the second Sunday of March to the first Sunday of November (US Energy Policy Act of 2005).
    """
    return _sunday(day.year, 3, 2) <= day < _sunday(day.year, 11, 1)


def _sunday(year: int, month: int, number: int) -> date:
    """The first, second, ... Sunday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (number - 1))


@dataclass(frozen=True, slots=True)
class SessionRow:
    """The phases of some classes from a date on."""

    effective_from: date
    effective_to: date | None
    phases: tuple[PhaseSpec, ...]
    source: str
    us_time: str = ""
    """``summer`` or ``winter``: in force only while New York keeps that time; empty for always."""

    def rules(self, day: date) -> bool:
        """Whether this row is in force on a day, newer rows aside."""
        if day < self.effective_from or (self.effective_to is not None and day > self.effective_to):
            return False
        return not self.us_time or (self.us_time == "summer") is us_summer_time(day)


class Hours(StrEnum):
    """What is known about the hours of a special day."""

    REGULAR = "regular"
    """The era's normal phases."""
    LISTED = "listed"
    """The phases given with the day."""
    UNKNOWN = "unknown"
    """A trading day whose times are not known."""
    CLOSED = "closed"
    """No trading at all."""


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day that does not follow weekday and holiday list, for one group."""

    day: date
    group: Group
    kind: str
    hours: Hours
    phases: tuple[PhaseSpec, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class YearDays:
    """The weekdays of one year on which a group does not trade, or only in part."""

    closed: frozenset[date]
    morning_closed: frozenset[date] = frozenset()
    """Trade from 17:00 (commodities)."""
    evening_closed: frozenset[date] = frozenset()
    """Trade until 17:00 (commodities)."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the calendar knows."""

    rows: Mapping[Segment, tuple[SessionRow, ...]]
    """Newest first."""
    years: Mapping[Group, Mapping[int, YearDays]]
    specials: Mapping[tuple[date, Group], SpecialDay]
    settlement_closed: frozenset[date]
    """Days that may trade but settle nothing."""
    weekend_holidays: frozenset[date]
    """Holidays that fall on a weekend, for showing."""
    block_windows: tuple[tuple[int, int], ...]
    block_windows_from: date


def parse_phases(raw: Iterable[Sequence[str]]) -> tuple[PhaseSpec, ...]:
    """Phases from ``[kind, stage, start, end, random close]`` lists, checked to be in order.

    Raises:
        DomainError: A phase ends before it starts, or two overlap.
    """
    phases = tuple(
        PhaseSpec(
            kind=PhaseKind(kind),
            stage=Stage(stage),
            start_minute=minute_of_day(start),
            end_minute=minute_of_day(end),
            random_close_minute=minute_of_day(random_close) if random_close else None,
        )
        for kind, stage, start, end, random_close in raw
    )
    last_end = 0
    for phase in phases:
        if phase.start_minute < last_end or phase.end_minute <= phase.start_minute:
            began, ended = (
                f"{minute // 60:02d}:{minute % 60:02d}" for minute in (phase.start_minute, phase.end_minute)
            )
            raise DomainError(f"the phase {began}-{ended} runs backwards, or overlaps the one before it")
        last_end = phase.end_minute
    return phases


def _days(year: int, texts: Iterable[str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{text}") for text in texts)


def _parse_rows(raw: Iterable[Mapping[str, Any]]) -> dict[Segment, tuple[SessionRow, ...]]:
    collected: dict[Segment, list[SessionRow]] = {segment: [] for segment in Segment}
    for entry in raw:
        row = SessionRow(
            effective_from=entry["from"],
            effective_to=entry.get("to"),
            phases=parse_phases(entry["phases"]),
            source=entry["source"],
            us_time=entry.get("us_time", ""),
        )
        for name in entry["classes"]:
            collected[Segment(name)].append(row)
    return {
        segment: tuple(sorted(rows, key=lambda row: row.effective_from, reverse=True))
        for segment, rows in collected.items()
    }


def _parse_years(raw: Mapping[str, Any]) -> dict[Group, dict[int, YearDays]]:
    equity = {int(year): YearDays(_days(int(year), entry["closed"])) for year, entry in raw["equity"].items()}
    currency = {
        int(year): YearDays(equity[int(year)].closed | _days(int(year), entry["closed"]))
        for year, entry in raw["currency"].items()
    }
    commodity = {
        int(year): YearDays(
            closed=_days(int(year), entry["closed"]),
            morning_closed=_days(int(year), entry["morning_closed"]),
            evening_closed=_days(int(year), entry["evening_closed"]),
        )
        for year, entry in raw["commodity"].items()
    }
    return {Group.EQ: equity, Group.FNO: equity, Group.CDS: currency, Group.COM: commodity}


def _parse_specials(raw: Iterable[Mapping[str, Any]]) -> dict[tuple[date, Group], SpecialDay]:
    specials: dict[tuple[date, Group], SpecialDay] = {}
    for entry in raw:
        for name in entry["groups"]:
            group = Group(name)
            special = SpecialDay(
                day=entry["date"],
                group=group,
                kind=entry["kind"],
                hours=Hours(entry["hours"]),
                phases=parse_phases(entry.get("phases", ())),
                source=entry["source"],
            )
            if (special.day, group) in specials:
                raise DomainError(f"two special sessions for {group} on {special.day}")
            specials[special.day, group] = special
    return specials


@cache
def shipped_tables() -> Tables:
    """The tables that come with the program, read once."""
    # Late: only a program that asks for the time of a market pays for reading its timetable.
    import tomllib
    from importlib import resources

    here = resources.files(__package__)
    sessions = tomllib.loads(here.joinpath("sessions.toml").read_text(encoding="utf-8"))
    days = tomllib.loads(here.joinpath("days.toml").read_text(encoding="utf-8"))
    (block,) = sessions["block_window"]
    return Tables(
        rows=_parse_rows(sessions["row"]),
        years=_parse_years(days),
        specials=_parse_specials(days["special"]),
        settlement_closed=frozenset[date]().union(
            *(_days(int(year), entry["closed"]) for year, entry in days["settlement"].items())
        ),
        weekend_holidays=frozenset[date]().union(
            *(_days(int(year), entry.get("weekend_holidays", ())) for year, entry in days["equity"].items())
        ),
        block_windows=tuple((minute_of_day(start), minute_of_day(end)) for start, end in block["windows"]),
        block_windows_from=block["from"],
    )
