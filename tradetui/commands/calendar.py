"""`tradetui calendar`: which days trade, and when; what differs from the shipped calendar."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from tradetui.commands.output import form_of, show
from tradetui.commands.shared import Flags, Setting, prepare
from tradetui.domain.calendar import (
    Calendar,
    CalendarUnknown,
    Group,
    Phase,
    PhaseKind,
    Segment,
    ist_date,
    ist_datetime,
)
from tradetui.domain.errors import UsageError

USUAL: Final = (
    Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER, Segment.INDEX, Segment.FNO, Segment.CDS, Segment.MCX_NONAGRI,
    Segment.MCX_AGRI,
)  # fmt: skip
"""Classes that are shown when none is asked for."""
_BY_EXCHANGE: Final = {
    "NSE_EQ": (Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER),
    "BSE_EQ": (Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER),
    "NSE_INDEX": (Segment.INDEX, Segment.INDEX_VOLATILITY),
    "BSE_INDEX": (Segment.INDEX,),
    "NSE_FO": (Segment.FNO, Segment.FNO_NEAR_FUTURE),
    "BSE_FO": (Segment.FNO, Segment.FNO_NEAR_FUTURE),
    "NCD_FO": (Segment.CDS,),
    "BCD_FO": (Segment.CDS,),
    "MCX_FO": (Segment.MCX_NONAGRI, Segment.MCX_AGRI, Segment.MCX_AGRI_INTL),
    "NSE_COM": (Segment.NSE_COM,),
}
_DAYS: Final = ("day", "weekday", "segment", "state", "hours", "minutes", "auction", "source")
_PHASES: Final = ("segment", "phase", "stage", "start", "end", "random_close_from")
_MOST_DAYS: Final = 1_100


@dataclass(frozen=True, slots=True)
class CalendarOptions:
    """Flags of ``tradetui calendar``; see `commands.instruments_table.calendar`."""

    day: date | None = None
    first: date | None = None
    last: date | None = None
    segment: str = ""
    differences: bool = False
    home: str | None = None
    urls: Flags = (None, None, None, None)
    as_json: bool = False
    as_csv: bool = False


def run_calendar(options: CalendarOptions) -> int:
    """Print days and hours; returns the exit code.

    Raises:
        TradeTuiError: The settings or the user's own days cannot be read, or the flags make no sense.
    """
    form = form_of(as_json=options.as_json, as_csv=options.as_csv)
    setting = prepare(options.home)
    calendar, layers = _calendar(setting, options.urls)
    source = ", ".join(layers)
    first, last = _range(options, ist_date(time.time_ns()))
    if options.differences:
        from tradetui.domain.calendar.layers import differences

        lines = differences(Calendar.default(), calendar, first, last)
        data: dict[str, Any] = {
            "source": source,
            "layers": layers,
            "rows": [{"difference": line} for line in lines],
        }
        show(data, form, ("difference",), "nothing differs from the shipped calendar")
        return 0
    segments = segments_of(options.segment)
    rows = [
        day_row(calendar, segment, date.fromordinal(number))
        for number in range(first.toordinal(), last.toordinal() + 1)
        for segment in segments
    ]
    answer = {
        "source": source,
        "layers": layers,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "rows": rows,
    }
    if first == last and form == "table":
        _show_day(first, rows, source)
    else:
        show(answer, form, _DAYS)
    return 0


def _calendar(setting: Setting, urls: Flags) -> tuple[Calendar, list[str]]:
    """The calendar that a run would use, and what it is made of."""
    from tradetui.brokers.upstox.calendar_file import CalendarFile
    from tradetui.brokers.upstox.hosts import LIVE
    from tradetui.wiring.calendars import FOLDER, stored_layers

    hosts = setting.hosts(urls) or LIVE
    layers = stored_layers(setting.place, setting.config, hosts)
    words = ["shipped"]
    told = CalendarFile(setting.place.data_dir / FOLDER, hosts).load()
    if told is not None:
        words.append(f"{hosts.label} of {told.day.isoformat()}")
    if layers.own:
        words.append("your own days")
    return layers.calendar(), words


def _range(options: CalendarOptions, today: date) -> tuple[date, date]:
    if options.day is not None and (options.first is not None or options.last is not None):
        raise UsageError("give a day, or --from and --to, not both")
    if options.differences and options.day is None and options.first is None:
        return today, options.last or today + timedelta(days=365)
    first = options.day or options.first or options.last or today
    last = options.day or options.last or first
    if last < first:
        raise UsageError(f"--from {first} is after --to {last}", "swap them")
    if (last - first).days > _MOST_DAYS:
        raise UsageError(f"that is more than {_MOST_DAYS} days", "ask for fewer")
    return first, last


def segments_of(text: str) -> tuple[Segment, ...]:
    """The classes that a word names: a class, a group, or an exchange segment; the usual ones for none.

    Raises:
        UsageError: It names none.
    """
    word = text.upper()
    if not word:
        return USUAL
    if word in Segment.__members__:
        return (Segment[word],)
    if word in Group.__members__:
        return tuple(segment for segment in Segment if segment.group is Group[word])
    if word in _BY_EXCHANGE:
        return _BY_EXCHANGE[word]
    raise UsageError(
        f"no segment is called {text!r}",
        f"known: {', '.join([*Group, *_BY_EXCHANGE])}, or a class: {', '.join(Segment)}",
    )


def day_row(calendar: Calendar, segment: Segment, day: date) -> dict[str, Any]:
    """What a class does on a day, for people and for scripts."""
    from tradetui.domain.calendar.layers import hours_words

    row: dict[str, Any] = {
        "day": day.isoformat(), "weekday": f"{day:%a}", "segment": segment.value, "state": "unknown", "kind": "",
        "hours": "", "minutes": None, "auction": "", "regular": None, "source": "", "phases": [],
    }  # fmt: skip
    special = calendar.special(segment, day)
    if special is not None:
        row["kind"], row["source"] = special.kind, special.source
    try:
        row["regular"] = calendar.is_regular_day(segment, day)
        phases = calendar.sessions(segment, day)
        if phases:
            row["source"] = calendar.source(segment, day)
    except CalendarUnknown as error:
        row["hours"] = "hours not known"
        row["source"] = row["source"] or str(error)
        return row
    row["state"] = "open" if any(one.kind is PhaseKind.CONTINUOUS for one in phases) else "closed"
    row["hours"] = hours_words(calendar, segment, day) if phases else ""
    row["minutes"] = calendar.expected_minutes(segment, day)
    row["auction"] = _span([one for one in phases if one.kind is PhaseKind.CLOSING_AUCTION])
    row["phases"] = [_phase(one) for one in phases]
    return row


def _span(phases: list[Phase]) -> str:
    return f"{_wall(phases[0].start_ns)}-{_wall(phases[-1].end_ns)}" if phases else ""


def _wall(t_ns: int) -> str:
    return f"{ist_datetime(t_ns):%H:%M}"


def _phase(phase: Phase) -> dict[str, Any]:
    random = phase.random_close_ns
    return {
        "phase": phase.kind.value,
        "stage": phase.stage.value,
        "start": _wall(phase.start_ns),
        "end": _wall(phase.end_ns),
        "random_close_from": _wall(random) if random is not None else None,
        "start_ms": phase.start_ns // 1_000_000,
        "end_ms": phase.end_ns // 1_000_000,
    }


def _show_day(day: date, rows: list[dict[str, Any]], source: str) -> None:
    """One day for people: every phase of every class."""
    print(f"{day:%A %d %B %Y}, times in India\n")
    shown: list[dict[str, Any]] = []
    for row in rows:
        if row["phases"]:
            shown += [{"segment": row["segment"], **phase} for phase in row["phases"]]
        else:
            word = "closed" if row["state"] == "closed" else row["hours"]
            shown.append({"segment": row["segment"], "phase": word})
    show({"source": source, "rows": shown}, "table", _PHASES)
