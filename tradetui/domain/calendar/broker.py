"""The broker's own holidays and timings laid over the shipped calendar.

Shapes are Upstox's ``/v2/market/holidays`` and ``/v2/market/timings/{date}``: one window per exchange, epoch
milliseconds. A window that fits the shipped phases keeps them, since ours know the auctions and theirs do
not. A window that does not fit wins, as plain continuous trading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from tradetui.domain.calendar.core import Calendar
from tradetui.domain.calendar.ist import MINUTE_NS, day_start_ns
from tradetui.domain.calendar.own_days import MUHURAT_MINUTES
from tradetui.domain.calendar.phases import Group, PhaseKind, Segment, Stage
from tradetui.domain.calendar.tables import Hours, PhaseSpec, SpecialDay
from tradetui.domain.errors import CalendarUnknown, DomainError

_EXCHANGES = {
    # The first exchange that is named decides: NSE and BSE keep the same hours.
    Group.EQ: ("NSE", "BSE"),
    Group.FNO: ("NFO", "BFO"),
    Group.CDS: ("CDS", "BCD"),
    Group.COM: ("MCX",),
}
_LEADING = {
    # Classes whose hours a broker's window may name. Farm commodities stop earlier than the exchange does.
    Group.EQ: (Segment.EQ_OTHER, Segment.EQ_FNO_UNDERLYING),
    Group.FNO: (Segment.FNO,),
    Group.CDS: (Segment.CDS,),
    Group.COM: (Segment.MCX_NONAGRI,),
}
_Window = tuple[int, int]


def from_broker(
    calendar: Calendar,
    *,
    holidays: Sequence[Mapping[str, Any]] = (),
    timings: Mapping[date, Sequence[Mapping[str, Any]]] | None = None,
    complete_years: Collection[int] = (),
) -> Calendar:
    """Lay the broker's word over a calendar.

    Args:
        calendar: What to start from, usually `Calendar.default`.
        holidays: Rows with ``date``, ``description``, ``holiday_type``, ``closed_exchanges`` and
            ``open_exchanges`` (each ``exchange``, ``start_time``, ``end_time``). Judged exchange by exchange; a
            trading holiday that names no exchange at all closes all of them.
        timings: Rows with ``exchange``, ``start_time``, ``end_time`` by date. An empty list, or an exchange left
            out of a list, means closed. Timings rule over holidays.
        complete_years: Years for which ``holidays`` is the whole list, so that a year without shipped data
            becomes known.

    Raises:
        DomainError: A row lacks a field, or a window does not lie on its day.
    """
    days: list[SpecialDay] = []
    for row in holidays:
        days.extend(_holiday_days(calendar, row))
    for day, rows in (timings or {}).items():
        windows = _windows_by_exchange(day, rows)
        for group in Group:
            found = _window_of(group, windows)
            days.append(_closed(day, group) if found is None else _open(calendar, day, group, found))
    return calendar.with_override(days, [(group, year) for group in Group for year in complete_years])


def _holiday_days(calendar: Calendar, row: Mapping[str, Any]) -> list[SpecialDay]:
    try:
        day = date.fromisoformat(row["date"])
        closed = set(row.get("closed_exchanges") or ())
        opened = row.get("open_exchanges") or ()
        kind = str(row.get("holiday_type", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise DomainError(f"not a holiday row of the broker: {error!r}") from error
    if not closed and not opened:
        return [_closed(day, group) for group in Group] if kind == "TRADING_HOLIDAY" else []
    windows = _windows_by_exchange(day, opened)
    days = []
    for group in Group:
        found = _window_of(group, windows)
        if found is not None:
            days.append(_open(calendar, day, group, found))
        elif closed.intersection(_EXCHANGES[group]):
            days.append(_closed(day, group))
    return days


def _windows_by_exchange(day: date, rows: Sequence[Mapping[str, Any]]) -> dict[str, _Window]:
    """Minutes since midnight IST by exchange."""
    midnight_ms = day_start_ns(day) // 1_000_000
    windows: dict[str, _Window] = {}
    for row in rows:
        try:
            exchange = str(row["exchange"])
            start, end = ((int(row[key]) - midnight_ms) // 60_000 for key in ("start_time", "end_time"))
        except (KeyError, TypeError, ValueError) as error:
            raise DomainError(f"not a timing row of the broker: {error!r}") from error
        if not 0 <= start < end <= 24 * 60:
            raise DomainError(f"the broker's hours of {exchange} do not lie on {day}")
        windows[exchange] = (start, end)
    return windows


def _window_of(group: Group, windows: Mapping[str, _Window]) -> _Window | None:
    return next((windows[name] for name in _EXCHANGES[group] if name in windows), None)


def _closed(day: date, group: Group) -> SpecialDay:
    return SpecialDay(day=day, group=group, kind="broker", hours=Hours.CLOSED, source="broker")


def _open(calendar: Calendar, day: date, group: Group, window: _Window) -> SpecialDay:
    """The day as the broker has it, with our phases where they agree with its window."""
    for segment in _LEADING[group]:
        shipped = _shipped_specs(calendar, segment, day)
        if shipped and _fits(shipped, window):
            special = calendar.special(segment, day)
            if special is not None:
                return special
            hours = Hours.REGULAR if shipped == _era_specs(calendar, segment, day) else Hours.LISTED
            phases = shipped if hours is Hours.LISTED else ()
            return SpecialDay(
                day=day, group=group, kind="broker", hours=hours, phases=phases, source="broker"
            )
    for segment in _LEADING[group]:
        if _fits(_era_specs(calendar, segment, day), window):
            return SpecialDay(day=day, group=group, kind="broker", hours=Hours.REGULAR, source="broker")
    spec = PhaseSpec(PhaseKind.CONTINUOUS, Stage.NONE, *window)
    kind = "muhurat" if window[1] - window[0] <= MUHURAT_MINUTES else "broker"
    return SpecialDay(day=day, group=group, kind=kind, hours=Hours.LISTED, phases=(spec,), source="broker")


def _shipped_specs(calendar: Calendar, segment: Segment, day: date) -> tuple[PhaseSpec, ...]:
    midnight = day_start_ns(day)
    try:
        phases = calendar.sessions(segment, day)
    except CalendarUnknown:
        return ()
    return tuple(
        PhaseSpec(
            kind=phase.kind,
            stage=phase.stage,
            start_minute=(phase.start_ns - midnight) // MINUTE_NS,
            end_minute=(phase.end_ns - midnight) // MINUTE_NS,
            random_close_minute=None
            if phase.random_close_ns is None
            else (phase.random_close_ns - midnight) // MINUTE_NS,
        )
        for phase in phases
    )


def _era_specs(calendar: Calendar, segment: Segment, day: date) -> tuple[PhaseSpec, ...]:
    try:
        return calendar.era_specs(segment, day)
    except CalendarUnknown:
        return ()


def _fits(specs: tuple[PhaseSpec, ...], window: _Window) -> bool:
    """Whether a window runs from the start of one of the phases to the end of one at or after continuous trading."""
    continuous = [spec for spec in specs if spec.kind is PhaseKind.CONTINUOUS]
    if not continuous:
        return False
    starts = {spec.start_minute for spec in specs if spec.start_minute <= continuous[0].start_minute}
    ends = {spec.end_minute for spec in specs if spec.end_minute >= continuous[-1].end_minute}
    return window[0] in starts and window[1] in ends
