"""Expired contracts (`upstox.md` 2.14): expiries, contracts, candles. For accounts with the Plus plan only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from aiohttp import web

from tradetui.domain.calendar import ist_date
from tradetui.domain.market_data import Candle
from tradetui.simulator.rest.candles import add_months, aggregate, bar_row, date_of
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.rest.history_trouble import HistoryTrouble
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.state import SimState
from tradetui.simulator.venue import Venue
from tradetui.simulator.worlds.expired import ExpiredContracts
from tradetui.simulator.worlds.synthetic import SyntheticWorld

_MINUTES = {"1minute": 1, "3minute": 3, "5minute": 5, "15minute": 15, "30minute": 30}
_DAY_S = 86_400
_SPAN_MONTHS = {"1minute": 1, "3minute": 1, "5minute": 1, "15minute": 1, "30minute": 3, "day": 120}
_BASE = "/v2/expired-instruments"


class ExpiredApi:
    """Handlers of ``/v2/expired-instruments``.

    Args:
        state: The simulator's state.
        venue: Lists what is written on.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._world = venue.world
        self._listed = venue.instruments
        self._trouble = HistoryTrouble(state.faults)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get(f"{_BASE}/expiries", self.expiries)
        router.add_get(f"{_BASE}/option/contract", self.options)
        router.add_get(f"{_BASE}/future/contract", self.futures)
        candles = f"{_BASE}/historical-candle/{{key}}/{{interval}}/{{to}}/{{first}}"
        router.add_get(candles, self._trouble.around(self.candles))

    async def expiries(self, request: web.Request) -> web.Response:
        """Past expiries of an underlying."""
        world, key = self._past(), self._underlying(request)
        found = world.expiries(key, self._today()) if world is not None else []
        return success([day.isoformat() for day in found])

    async def options(self, request: web.Request) -> web.Response:
        """Options that expired on a day."""
        return success(self._contracts(request, ("CE", "PE")))

    async def futures(self, request: web.Request) -> web.Response:
        """Futures that expired on a day."""
        return success(self._contracts(request, ("FUT",)))

    async def candles(self, request: web.Request) -> web.Response:
        """Bars of an expired contract, newest first."""
        path = request.match_info
        world = self._past()
        key, expiry = _three_parts(path["key"])
        word = path["interval"]
        if word not in _SPAN_MONTHS:
            raise ApiError("UDAPI1147", property_path="interval", invalid_value=word)
        first, last = date_of(path["first"], "from_date"), date_of(path["to"], "to_date")
        if last < first:
            raise ApiError("UDAPI1015", property_path="to_date", invalid_value=path["to"])
        if add_months(first, _SPAN_MONTHS[word]) < last:
            raise ApiError("UDAPI1148", property_path="from_date", invalid_value=path["first"])
        seconds = _DAY_S if word == "day" else 60
        gone = expiry < self._today()
        bars: Sequence[Candle] | None = (
            world.bars(key, expiry, seconds, first, last) if world is not None and gone else None
        )
        if bars is None:
            raise ApiError("UDAPI100011", property_path="instrument_key", invalid_value=path["key"])
        if _MINUTES.get(word, 1) > 1:
            bars = aggregate(bars, 60 * _MINUTES[word])
        return success({"candles": [bar_row(bar) for bar in reversed(bars)]})

    def _contracts(self, request: web.Request, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        world, key = self._past(), self._underlying(request)
        expiry = date_of(request.query.get("expiry_date", ""), "expiry_date")
        if world is None or expiry >= self._today():
            return []
        return [dict(row) for row in world.contracts(key, expiry) if row["instrument_type"] in kinds]

    def _past(self) -> ExpiredContracts | None:
        """Expired contracts; ``None`` in a world that keeps none.

        Raises:
            ApiError: The account's plan does not include them.
        """
        if self._state.faults.active("plus-plan") is None:
            raise ApiError("UDAPI1149", 403)
        return self._world.expired if isinstance(self._world, SyntheticWorld) else None

    def _underlying(self, request: web.Request) -> str:
        text = request.query.get("instrument_key", "")
        if not text:
            raise ApiError("UDAPI1026", property_path="instrument_key")
        return one_key(text, self._listed, malformed="UDAPI1021").key

    def _today(self) -> date:
        return ist_date(self._state.clock.now_ns())


def _three_parts(text: str) -> tuple[str, date]:
    """Key and expiry out of ``SEGMENT|token|dd-mm-yyyy``.

    Raises:
        ApiError: It is none such.
    """
    key, _, day = text.rpartition("|")
    try:
        return key, datetime.strptime(day, "%d-%m-%Y").date()  # noqa: DTZ007 - a date only
    except ValueError as error:
        raise ApiError("UDAPI1021", property_path="instrument_key", invalid_value=text) from error
