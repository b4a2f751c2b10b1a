"""What the exchanges say about themselves: the status of every segment at a moment of exchange time."""

from __future__ import annotations

from tradetui.domain.calendar import (
    DAY_NS,
    Calendar,
    Phase,
    PhaseKind,
    Segment,
    Stage,
    day_start_ns,
    ist_date,
)
from tradetui.domain.errors import CalendarUnknown
from tradetui.pb.market_feed_v3_pb2 import MarketInfo, MarketStatus

SEGMENTS: dict[str, Segment] = {
    "NSE_EQ": Segment.EQ_OTHER,
    "BSE_EQ": Segment.EQ_OTHER,
    "NSE_INDEX": Segment.EQ_OTHER,
    "BSE_INDEX": Segment.EQ_OTHER,
    "NSE_FO": Segment.FNO,
    "BSE_FO": Segment.FNO,
    "NCD_FO": Segment.CDS,
    "BCD_FO": Segment.CDS,
    "MCX_FO": Segment.MCX_NONAGRI,
    "MCX_INDEX": Segment.MCX_NONAGRI,
    "NSE_COM": Segment.NSE_COM,
}
"""Segments that `market_info` names, with the timetable each follows. Shares with derivatives leave continuous
trading earlier; the closing auction has a map of its own."""

_STATUS = {
    "PRE_OPEN_START": MarketStatus.PRE_OPEN_START,
    "PRE_OPEN_END": MarketStatus.PRE_OPEN_END,
    "NORMAL_OPEN": MarketStatus.NORMAL_OPEN,
    "NORMAL_CLOSE": MarketStatus.NORMAL_CLOSE,
    "CLOSING_START": MarketStatus.CLOSING_START,
    "CLOSING_END": MarketStatus.CLOSING_END,
}

_CAS_STATUS = {
    (PhaseKind.CLOSING_AUCTION, Stage.REFERENCE): "CAS_REFERENCE_PRICE",
    (PhaseKind.CLOSING_AUCTION, Stage.ENTRY): "CAS_OPEN",
    (PhaseKind.CLOSING_AUCTION, Stage.LIMIT_ONLY): "CAS_LIMIT_ONLY",
    (PhaseKind.CLOSING_AUCTION, Stage.MATCH): "CAS_MATCHING",
    (PhaseKind.CONTINUOUS, Stage.NONE): "CTS_OPEN",
    (PhaseKind.POST_CLOSE, Stage.NONE): "POST_CLOSE_OPEN",
}
"""Free text on the real wire; only ``CTS_CLOSE`` has been seen (`upstox.md` 2.2)."""


def segment_status(calendar: Calendar, exchange_segment: str, t_ns: int) -> str:
    """The status of a segment as the broker words it: ``NORMAL_OPEN`` and so on.

    A day that the calendar knows nothing of has no session: ``CLOSING_END``.
    """
    segment = SEGMENTS.get(exchange_segment, Segment.EQ_OTHER)
    try:
        phases = calendar.sessions(segment, ist_date(t_ns))
    except CalendarUnknown:
        phases = ()
    current = next((phase for phase in phases if phase.start_ns <= t_ns < phase.end_ns), None)
    if current is not None:
        return _status_in(current)
    before = [phase for phase in phases if phase.end_ns <= t_ns]
    if not before:
        return "CLOSING_END"
    if not any(phase.kind is PhaseKind.CONTINUOUS for phase in before):
        return "PRE_OPEN_END"
    return "NORMAL_CLOSE" if len(before) < len(phases) else _after(before[-1])


def _status_in(phase: Phase) -> str:
    match phase.kind:
        case PhaseKind.PRE_OPEN:
            return "PRE_OPEN_END" if phase.stage in (Stage.MATCH, Stage.BUFFER) else "PRE_OPEN_START"
        case PhaseKind.CANCEL_ONLY:
            return "PRE_OPEN_START"
        case PhaseKind.CONTINUOUS:
            return "NORMAL_OPEN"
        case _:
            return "CLOSING_START"


def _after(last: Phase) -> str:
    """After the last phase of a day: an end of the closing session only where there is one."""
    return "NORMAL_CLOSE" if last.kind is PhaseKind.CONTINUOUS else "CLOSING_END"


def market_info(calendar: Calendar, t_ns: int, *, ended: bool = False) -> MarketInfo:
    """The `market_info` of a moment.

    Args:
        calendar: Sessions.
        t_ns: Exchange time.
        ended: The world is over: every segment has closed for good.
    """
    info = MarketInfo()
    for name in SEGMENTS:
        status = "CLOSING_END" if ended else segment_status(calendar, name, t_ns)
        info.segmentStatus[name] = _STATUS[status]
    cas = "CTS_CLOSE" if ended else cas_status(calendar, t_ns)
    for name in ("NSE_EQ", "BSE_EQ") if cas else ():
        info.casMarketStatus[name].status = cas
        info.casMarketStatus[name].updatedTime = t_ns // 1_000_000
    return info


def cas_status(calendar: Calendar, t_ns: int) -> str:
    """Where the shares of the closing auction stand; empty on days without one."""
    try:
        phases = calendar.sessions(Segment.EQ_FNO_UNDERLYING, ist_date(t_ns))
    except CalendarUnknown:
        return ""
    if not any(phase.kind is PhaseKind.CLOSING_AUCTION for phase in phases):
        return ""
    for phase in phases:
        if phase.start_ns <= t_ns < phase.end_ns:
            return _CAS_STATUS.get((phase.kind, phase.stage), "CTS_CLOSE")
    return "CTS_CLOSE"


def next_change_ns(calendar: Calendar, t_ns: int) -> int:
    """The next moment at which some segment may change its status; at the latest the next midnight IST."""
    day = ist_date(t_ns)
    moments = [day_start_ns(day) + DAY_NS]
    for segment in {*SEGMENTS.values(), Segment.EQ_FNO_UNDERLYING}:
        try:
            phases = calendar.sessions(segment, day)
        except CalendarUnknown:
            continue
        moments += [edge for phase in phases for edge in (phase.start_ns, phase.end_ns) if edge > t_ns]
    return min(moments)
