"""Good-till-triggered orders over REST, on the main host (`upstox.md` 2.6)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger
from tradetui.domain.order import Product, Side
from tradetui.exchange.orders import GttState
from tradetui.simulator.rest.envelope import ApiError, json_body, success
from tradetui.simulator.rest.gtt_rows import gtt_row
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.rest.terms import read_price, read_protection, read_whole
from tradetui.simulator.rest.writes import accepted, check_algo
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue

_GTT_ID = re.compile(r"^GTT-[A-Z0-9]{1,32}$")
_COUNTS = {"SINGLE": (1, 1, "UDAPI1136"), "MULTIPLE": (2, 3, "UDAPI1137")}
"""Rules of each type: least, most, and the code of a wrong number."""
_Word = TypeVar("_Word", bound=StrEnum)


class GttApi:
    """Handlers of ``/v3/order/gtt``.

    Args:
        state: The simulator's state.
        venue: Where GTTs go.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._venue = venue

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_post("/v3/order/gtt/place", self.place)
        router.add_put("/v3/order/gtt/modify", self.modify)
        router.add_delete("/v3/order/gtt/cancel", self.cancel)
        router.add_get("/v3/order/gtt", self.book)

    async def place(self, request: web.Request) -> web.Response:
        """A new GTT."""
        started = time.perf_counter()
        check_algo(request)
        body = await json_body(request)
        key = body.get("instrument_token")
        if not isinstance(key, str) or not key:
            raise ApiError("UDAPI1026", property_path="instrument_token", invalid_value=key)
        one_key(key, self._venue.instruments, malformed="UDAPI1011")
        asked = GttRequest(
            instrument_key=key,
            side=_word(Side, body, "transaction_type", "UDAPI1057"),
            qty=read_whole(body, "quantity", missing="UDAPI1064"),
            product=_word(Product, body, "product", "UDAPI1054"),
            rules=_rules(body),
        )
        return _written(accepted(self._venue.place_gtt(asked)), started)

    async def modify(self, request: web.Request) -> web.Response:
        """New quantity and rules; all of them."""
        started = time.perf_counter()
        check_algo(request)
        body = await json_body(request)
        gtt_id = _read_id(body.get("gtt_order_id"))
        qty = read_whole(body, "quantity", missing="UDAPI1064")
        return _written(accepted(self._venue.modify_gtt(gtt_id, qty, _rules(body))), started)

    async def cancel(self, request: web.Request) -> web.Response:
        """The end of a GTT; its id is in the body of the DELETE."""
        started = time.perf_counter()
        check_algo(request)
        gtt_id = _read_id((await json_body(request)).get("gtt_order_id"))
        return _written(accepted(self._venue.cancel_gtt(gtt_id)), started)

    async def book(self, request: web.Request) -> web.Response:
        """One GTT, or all of them, ended ones included."""
        started = time.perf_counter()
        gtts = self._venue.exchange.gtts(USER_ID)
        wanted = request.query.get("gtt_order_id")
        if wanted:
            gtt_id = _read_id(wanted)
            gtts = [gtt for gtt in gtts if gtt.gtt_id == gtt_id]
            if not gtts:
                raise ApiError("UDAPI100010", property_path="gtt_order_id", invalid_value=gtt_id)
        return success([self._row(gtt) for gtt in gtts], metadata=_latency(started))

    def _row(self, gtt: GttState) -> dict[str, Any]:
        return gtt_row(gtt, self._venue.instruments[gtt.key])


def _rules(body: Mapping[str, Any]) -> tuple[GttRule, ...]:
    """The rules of a body, as many as its type allows.

    Raises:
        ApiError: The type, the number of rules or a field of one is wrong.
    """
    counts = _COUNTS.get(str(body.get("type")))
    if counts is None:
        raise ApiError("UDAPI1126", property_path="type", invalid_value=body.get("type"))
    rows = body.get("rules")
    if not isinstance(rows, Sequence) or not all(isinstance(row, dict) for row in rows):
        raise ApiError("UDAPI100036", property_path="rules")
    least, most, code = counts
    if not least <= len(rows) <= most:
        raise ApiError(code, property_path="rules", invalid_value=len(rows))
    return tuple(_rule(row) for row in rows)


def _rule(row: Mapping[str, Any]) -> GttRule:
    return GttRule(
        _word(GttStrategy, row, "strategy", "UDAPI100036"),
        _word(GttTrigger, row, "trigger_type", "UDAPI100036"),
        read_price(row, "trigger_price", missing="UDAPI1060"),
        read_price({"trailing_gap": 0, **_given(row)}, "trailing_gap", missing="UDAPI100036"),
        read_protection(row, default=0),
    )


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _word(kind: type[_Word], body: Mapping[str, Any], name: str, code: str) -> _Word:
    value = body.get(name)
    try:
        return kind(str(value))
    except ValueError as error:
        raise ApiError(code, property_path=name, invalid_value=value) from error


def _read_id(value: object) -> str:
    if value is None or value == "":
        raise ApiError("UDAPI1134", property_path="gtt_order_id")
    if not isinstance(value, str) or not _GTT_ID.match(value):
        raise ApiError("UDAPI1135", property_path="gtt_order_id", invalid_value=value)
    return value


def _written(gtt_id: str, started: float) -> web.Response:
    return success({"gtt_order_ids": [gtt_id]}, metadata=_latency(started))


def _latency(started: float) -> dict[str, int]:
    return {"latency": round((time.perf_counter() - started) * 1000)}
