"""Market status, timings and holidays (`upstox.md` 2.15), told from the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from aiohttp import web

from tradetui.domain.calendar import Calendar, Segment, day_start_ns, ist_date
from tradetui.domain.errors import CalendarUnknown
from tradetui.simulator.market_status import cas_status, segment_status
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.state import SimState

_EXCHANGES = {
    # Exchange of the order endpoints -> segment whose status it tells, and the class whose hours it keeps.
    "MCX": ("MCX_FO", Segment.MCX_NONAGRI),
    "NSE": ("NSE_EQ", Segment.EQ_OTHER),
    "NFO": ("NSE_FO", Segment.FNO),
    "CDS": ("NCD_FO", Segment.CDS),
    "BSE": ("BSE_EQ", Segment.EQ_OTHER),
    "BCD": ("BCD_FO", Segment.CDS),
    "BFO": ("BSE_FO", Segment.FNO),
    "NSCOM": ("NSE_COM", Segment.NSE_COM),
}
_WITH_CAS = frozenset({"NSE", "BSE"})
_MS = 1_000_000
_DAY = timedelta(days=1)


def last_edge_ms(calendar: Calendar, segment: Segment, t_ns: int) -> int:
    """When the status of a class last changed, epoch ms: the last edge of a phase, or midnight IST."""
    day = ist_date(t_ns)
    try:
        phases = calendar.sessions(segment, day)
    except CalendarUnknown:
        phases = ()
    edges = [edge for phase in phases for edge in (phase.start_ns, phase.end_ns) if edge <= t_ns]
    return max(edges, default=day_start_ns(day)) // _MS


class SessionsApi:
    """Handlers of ``/v2/market/status``, ``/timings`` and ``/holidays``.

    Args:
        state: The simulator's state.
        calendar: The days and hours of the simulated exchanges.
    """

    def __init__(self, state: SimState, calendar: Calendar) -> None:
        self._clock = state.clock
        self._calendar = calendar

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/market/status/{exchange}", self.status)
        router.add_get("/v2/market/timings/{date}", self.timings)
        router.add_get("/v2/market/holidays", self.holidays)
        router.add_get("/v2/market/holidays/{date}", self.holiday)

    async def status(self, request: web.Request) -> web.Response:
        """What an exchange does now."""
        name = request.match_info["exchange"]
        if name not in _EXCHANGES:
            raise ApiError("UDAPI1089", property_path="exchange", invalid_value=name)
        exchange_segment, segment = _EXCHANGES[name]
        now_ns = self._clock.now_ns()
        data: dict[str, Any] = {
            "exchange": name,
            "status": segment_status(self._calendar, exchange_segment, now_ns),
            "last_updated": last_edge_ms(self._calendar, segment, now_ns),
        }
        if name in _WITH_CAS and (word := cas_status(self._calendar, now_ns)):
            since_ms = last_edge_ms(self._calendar, Segment.EQ_FNO_UNDERLYING, now_ns)
            data["cas_eligible_status"] = {"status": word, "last_updated": since_ms}
        return success(data)

    async def timings(self, request: web.Request) -> web.Response:
        """Hours of every exchange on a date; an empty list when all are closed."""
        return success(self._windows(_day(request)))

    async def holidays(self, _request: web.Request) -> web.Response:
        """Every unusual day of the current year."""
        day = date(ist_date(self._clock.now_ns()).year, 1, 1)
        rows = []
        while day.year == ist_date(self._clock.now_ns()).year:
            if row := self._unusual(day):
                rows.append(row)
            day += _DAY
        return success(rows)

    async def holiday(self, request: web.Request) -> web.Response:
        """One date: an empty list on a normal day."""
        row = self._unusual(_day(request))
        return success([row] if row else [])

    def _windows(self, day: date) -> list[dict[str, Any]]:
        windows = []
        for name, (_, segment) in _EXCHANGES.items():
            window = self._window(segment, day)
            if window is not None:
                windows.append({"exchange": name, "start_time": window[0], "end_time": window[1]})
        return windows

    def _window(self, segment: Segment, day: date) -> tuple[int, int] | None:
        try:
            window = self._calendar.continuous(segment, day)
        except CalendarUnknown:
            return None
        return None if window is None else (window[0] // _MS, window[1] // _MS)

    def _unusual(self, day: date) -> dict[str, Any] | None:
        special = self._calendar.special(Segment.EQ_OTHER, day)
        open_rows = self._windows(day)
        opened = {row["exchange"] for row in open_rows}
        if special is None and (day.weekday() >= 5 or "NSE" in opened):
            if day.weekday() < 5 and self._calendar.is_settlement_holiday(day):
                return _row(day, "Settlement holiday", "SETTLEMENT_HOLIDAY", open_rows)
            return None
        if special is not None and opened:
            return _row(day, f"Special session: {special.kind}", "SPECIAL_TIMING", open_rows)
        return _row(day, "Trading holiday", "TRADING_HOLIDAY", open_rows)


def _row(day: date, description: str, kind: str, open_rows: list[dict[str, Any]]) -> dict[str, Any]:
    opened = {row["exchange"] for row in open_rows}
    return {
        "date": day.isoformat(),
        "description": description,
        "holiday_type": kind,
        "closed_exchanges": [name for name in _EXCHANGES if name not in opened],
        "open_exchanges": open_rows,
    }


def _day(request: web.Request) -> date:
    text = request.match_info["date"]
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ApiError("UDAPI1088", property_path="date", invalid_value=text) from error
