"""`Calendar`: which days trade, and what the market does at an instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from tradetui.domain.calendar.ist import MINUTE_NS, date_of_number, day_number, day_start_ns, ist_date
from tradetui.domain.calendar.phases import Group, Phase, PhaseKind, Segment, Stage
from tradetui.domain.calendar.tables import (
    Hours,
    PhaseSpec,
    SessionRow,
    SpecialDay,
    Tables,
    YearDays,
    shipped_tables,
)
from tradetui.domain.errors import CalendarUnknown

_DAY = timedelta(days=1)
_SEARCH_DAYS = 40
_EVENING_MINUTE = 17 * 60
_INDEX_KINDS = frozenset({PhaseKind.CONTINUOUS, PhaseKind.CLOSING_AUCTION})
_AGRI = frozenset({Segment.MCX_AGRI, Segment.MCX_AGRI_INTL})
_REMEDY = "Fetch the broker's holidays and timings, or update the shipped calendar"

_DayEntry = tuple[tuple[Phase, ...], list[int]]


class Calendar:
    """Sessions and holidays of the Indian markets, effective-dated.

    Immutable: the ``with_`` methods return a new calendar. Answers depend on the arguments only, never on
    the machine's clock or zone. Days are IST dates; instants are nanoseconds UTC. Every question about a
    year or a session without data raises `CalendarUnknown`.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        # Keyed by class and IST day number: `phase_at` is asked many times a second for the same day.
        self._cache: dict[tuple[Segment, int], _DayEntry] = {}

    @staticmethod
    def default() -> Calendar:
        """The calendar that comes with the program. One shared instance."""
        return _shipped_calendar()

    def sessions(self, segment: Segment, day: date) -> tuple[Phase, ...]:
        """The phases of a day in order of time, without overlap; empty when the market is closed.

        Raises:
            CalendarUnknown: No data for the year, for hours that old, or for this special session's hours.
        """
        return self._entry(segment, day_number(day_start_ns(day)))[0]

    def is_trading_day(self, segment: Segment, day: date) -> bool:
        """Whether there is any continuous trading: an hour of Muhurat counts.

        Raises:
            CalendarUnknown: No data for the year.
        """
        special = self._tables.specials.get((day, segment.group))
        if special is not None and special.hours is Hours.UNKNOWN:
            return True
        return any(phase.kind is PhaseKind.CONTINUOUS for phase in self.sessions(segment, day))

    def is_regular_day(self, segment: Segment, day: date) -> bool:
        """Whether it is an ordinary trading weekday: neither a weekend nor a Muhurat day.

        Contracts expire on such days only: NIFTY's of Tue 21 Oct 2025 (Muhurat) expired on the 20th.

        Raises:
            CalendarUnknown: No data for the year.
        """
        special = self._tables.specials.get((day, segment.group))
        muhurat = special is not None and special.kind == "muhurat"
        return day.weekday() < 5 and not muhurat and self.is_trading_day(segment, day)

    def phase_at(self, segment: Segment, t_ns: int) -> PhaseKind:
        """What the market does at an instant; ``CLOSED`` outside every phase.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        phase = self.phase(segment, t_ns)
        return PhaseKind.CLOSED if phase is None else phase.kind

    def phase(self, segment: Segment, t_ns: int) -> Phase | None:
        """The phase that holds an instant, with its stage and its ends; None when closed.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        phases, starts = self._entry(segment, day_number(t_ns))
        index = bisect_right(starts, t_ns) - 1
        if index < 0 or t_ns >= phases[index].end_ns:
            return None
        return phases[index]

    def continuous_windows(self, segment: Segment, day: date) -> tuple[tuple[int, int], ...]:
        """Every stretch of continuous trading of a day as (start_ns, end_ns): two on a recovery-site test.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        return tuple(
            (phase.start_ns, phase.end_ns)
            for phase in self.sessions(segment, day)
            if phase.kind is PhaseKind.CONTINUOUS
        )

    def continuous(self, segment: Segment, day: date) -> tuple[int, int] | None:
        """First start and last end of continuous trading; None on a day without any.

        A midday break lies inside; `continuous_windows` shows it.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        windows = self.continuous_windows(segment, day)
        return (windows[0][0], windows[-1][1]) if windows else None

    def expected_minutes(self, segment: Segment, day: date) -> int:
        """How many one-minute bars continuous trading makes on a day: 375 on a classic equity day.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        return sum((end - start) // MINUTE_NS for start, end in self.continuous_windows(segment, day))

    def block_windows(self, segment: Segment, day: date) -> tuple[tuple[int, int], ...]:
        """Block-deal windows of a regular cash day as (start_ns, end_ns). They run beside the phases.

        Raises:
            CalendarUnknown: As `sessions`.
        """
        cash = segment in (Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER)
        if not cash or day < self._tables.block_windows_from or not self.is_regular_day(segment, day):
            return ()
        midnight = day_start_ns(day)
        return tuple(
            (midnight + a * MINUTE_NS, midnight + b * MINUTE_NS) for a, b in self._tables.block_windows
        )

    def next_open(self, segment: Segment, t_ns: int) -> int:
        """Start of the first stretch of continuous trading at or after an instant, nanoseconds UTC.

        Raises:
            CalendarUnknown: A day on the way has no data.
        """
        day = ist_date(t_ns)
        for _ in range(_SEARCH_DAYS):
            for start, _end in self.continuous_windows(segment, day):
                if start >= t_ns:
                    return start
            day += _DAY
        raise CalendarUnknown(
            f"no session of {segment} within {_SEARCH_DAYS} days after {ist_date(t_ns)}", _REMEDY
        )

    def next_trading_day(self, segment: Segment, day: date) -> date:
        """The first trading day after ``day``.

        Raises:
            CalendarUnknown: A day on the way has no data.
        """
        return self._walk(segment, day + _DAY, _DAY)

    def previous_trading_day(self, segment: Segment, day: date) -> date:
        """The last trading day before ``day``.

        Raises:
            CalendarUnknown: A day on the way has no data.
        """
        return self._walk(segment, day - _DAY, -_DAY)

    def last_trading_day(self, segment: Segment, day: date) -> date:
        """``day`` itself if it trades, else the last trading day before it.

        Raises:
            CalendarUnknown: A day on the way has no data.
        """
        return self._walk(segment, day, -_DAY)

    def trading_days(self, segment: Segment, first: date, last: date) -> tuple[date, ...]:
        """The trading days from ``first`` to ``last``, both inclusive.

        Raises:
            CalendarUnknown: A day in the range has no data.
        """
        span = range(first.toordinal(), last.toordinal() + 1)
        return tuple(day for day in map(date.fromordinal, span) if self.is_trading_day(segment, day))

    def is_settlement_holiday(self, day: date) -> bool:
        """Whether a day trades (or may trade) but settles nothing, such as the budget Sunday of 2026."""
        return day in self._tables.settlement_closed

    def settlement_day(self, trade_day: date, lag: int = 1) -> date:
        """The cash settlement day: ``lag`` settling days after the trade (T+1 since 27 Jan 2023).

        Raises:
            CalendarUnknown: A day on the way has no data.
        """
        day = trade_day
        for _ in range(lag):
            day += _DAY
            while not self.is_regular_day(Segment.EQ_OTHER, day) or self.is_settlement_holiday(day):
                day += _DAY
        return day

    def special(self, segment: Segment, day: date) -> SpecialDay | None:
        """The special session or override that rules a day, with its source; None on ordinary days."""
        return self._tables.specials.get((day, segment.group))

    def source(self, segment: Segment, day: date) -> str:
        """Where the hours of a day come from: circulars by number and date.

        Raises:
            CalendarUnknown: There is no row for a day that old.
        """
        special = self.special(segment, day)
        if special is not None and special.hours is not Hours.REGULAR:
            return special.source
        return self._row(segment, day).source

    def with_override(
        self, days: Iterable[SpecialDay], complete_years: Collection[tuple[Group, int]] = ()
    ) -> Calendar:
        """A calendar in which the given days rule over the shipped ones.

        Args:
            days: One entry per day and group; later ones win.
            complete_years: Years for which the given days are the full holiday list of a group, so that
                every other weekday of the year trades. Years already known are left as they are.
        """
        specials = dict(self._tables.specials)
        specials.update({(special.day, special.group): special for special in days})
        years = {group: dict(known) for group, known in self._tables.years.items()}
        for group, year in complete_years:
            years[group].setdefault(year, YearDays(frozenset()))
        return Calendar(replace(self._tables, specials=specials, years=years))

    def with_rows(self, rows: Mapping[Segment, Iterable[SessionRow]]) -> Calendar:
        """A calendar with more rows in its timetable. On days of the same date the given ones rule."""
        timetable = dict(self._tables.rows)
        for segment, more in rows.items():
            # Sorting keeps the order of equals: the given rows stand first.
            merged = [*more, *timetable[segment]]
            timetable[segment] = tuple(sorted(merged, key=lambda row: row.effective_from, reverse=True))
        return Calendar(replace(self._tables, rows=timetable))

    def with_years(self, years: Mapping[tuple[Group, int], YearDays]) -> Calendar:
        """A calendar in which these holiday lists stand in place of the shipped ones."""
        lists = {group: dict(known) for group, known in self._tables.years.items()}
        for (group, year), days in years.items():
            lists[group][year] = days
        return Calendar(replace(self._tables, years=lists))

    def knows(self, group: Group, year: int) -> bool:
        """Whether there is a list of holidays for a year."""
        return year in self._tables.years[group]

    @property
    def specials(self) -> tuple[SpecialDay, ...]:
        """Every day that does not follow weekday and holiday list, in order of date."""
        found = self._tables.specials
        return tuple(found[at] for at in sorted(found))

    def _walk(self, segment: Segment, day: date, step: timedelta) -> date:
        for _ in range(_SEARCH_DAYS):
            if self.is_trading_day(segment, day):
                return day
            day += step
        raise CalendarUnknown(f"no trading day of {segment} within {_SEARCH_DAYS} days of {day}", _REMEDY)

    def _entry(self, segment: Segment, number: int) -> _DayEntry:
        entry = self._cache.get((segment, number))
        if entry is None:
            day = date_of_number(number)
            phases = tuple(spec.on(day) for spec in self._specs(segment, day))
            entry = (phases, [phase.start_ns for phase in phases])
            self._cache[segment, number] = entry
        return entry

    def _specs(self, segment: Segment, day: date) -> tuple[PhaseSpec, ...]:
        """The phases of a day by wall time: special sessions first, then weekday, holiday list and era."""
        special = self._tables.specials.get((day, segment.group))
        if special is not None:
            return self._special_specs(segment, special)
        year = self._tables.years[segment.group].get(day.year)
        if year is None:
            raise CalendarUnknown(f"no list of {segment.group} holidays for {day.year}", _REMEDY)
        if day.weekday() >= 5 or day in year.closed:
            return ()
        specs = self.era_specs(segment, day)
        if day in year.morning_closed:
            return _from_evening(specs)
        if day in year.evening_closed:
            return _until_evening(specs)
        return specs

    def _special_specs(self, segment: Segment, special: SpecialDay) -> tuple[PhaseSpec, ...]:
        if special.hours is Hours.CLOSED:
            return ()
        if special.hours is Hours.REGULAR:
            return self.era_specs(segment, special.day)
        if special.hours is Hours.UNKNOWN:
            raise CalendarUnknown(
                f"the hours of the {special.kind} session on {special.day} are not known", _REMEDY
            )
        if special.kind == "broker" and segment in _AGRI:
            return _clip_to_class(self.era_specs(segment, special.day), special.phases)
        if segment is Segment.INDEX:
            return tuple(spec for spec in special.phases if spec.kind in _INDEX_KINDS)
        return special.phases

    def era_specs(self, segment: Segment, day: date) -> tuple[PhaseSpec, ...]:
        """The normal phases in force on a date, whether or not the day itself trades.

        Raises:
            CalendarUnknown: There is no row for that date.
        """
        return self._row(segment, day).phases

    def _row(self, segment: Segment, day: date) -> SessionRow:
        """The newest row of the timetable that is in force on a day."""
        for row in self._tables.rows[segment]:
            if row.rules(day):
                return row
        raise CalendarUnknown(f"no hours of {segment} for {day}", _REMEDY)


@cache
def _shipped_calendar() -> Calendar:
    return Calendar(shipped_tables())


def _from_evening(specs: tuple[PhaseSpec, ...]) -> tuple[PhaseSpec, ...]:
    """Only the evening session of a commodity day: continuous trading from 17:00 on."""
    return tuple(
        replace(spec, start_minute=max(spec.start_minute, _EVENING_MINUTE), stage=Stage.NONE)
        for spec in specs
        if spec.kind is PhaseKind.CONTINUOUS and spec.end_minute > _EVENING_MINUTE
    )


def _until_evening(specs: tuple[PhaseSpec, ...]) -> tuple[PhaseSpec, ...]:
    """Only the morning session of a commodity day: until 17:00."""
    return tuple(
        replace(spec, end_minute=min(spec.end_minute, _EVENING_MINUTE))
        for spec in specs
        if spec.start_minute < _EVENING_MINUTE
    )


def _clip_to_class(era: tuple[PhaseSpec, ...], listed: tuple[PhaseSpec, ...]) -> tuple[PhaseSpec, ...]:
    """The part of an exchange-wide window in which a class with shorter hours trades."""
    hours = [spec for spec in era if spec.kind is PhaseKind.CONTINUOUS]
    return tuple(
        replace(
            spec,
            start_minute=max(spec.start_minute, own.start_minute),
            end_minute=min(spec.end_minute, own.end_minute),
        )
        for spec in listed
        for own in hours
        if max(spec.start_minute, own.start_minute) < min(spec.end_minute, own.end_minute)
    )
