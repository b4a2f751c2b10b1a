"""Order writes and reads (`upstox.md` 2.4, 2.7)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from tradetui.exchange.orders import OrderState, Trade
from tradetui.simulator.odd import odd_rows
from tradetui.simulator.rest.envelope import ApiError, json_body, success
from tradetui.simulator.rest.rows import order_row, step_row, trade_row
from tradetui.simulator.rest.terms import read_modify, read_order_id, read_place, slices_of
from tradetui.simulator.rest.writes import accepted, check_algo, protect
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue


class OrdersApi:
    """Handlers of ``/order``.

    Args:
        state: The simulator's state.
        venue: Where orders go.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._venue = venue

    def add_write_routes(self, router: web.UrlDispatcher) -> None:
        """Register place, modify and cancel. Both listeners take them, as both real hosts do."""
        router.add_post("/v3/order/place", self.place)
        router.add_post("/v2/order/place", self.place_v2)
        for version in ("v2", "v3"):
            router.add_put(f"/{version}/order/modify", self.modify)
            router.add_delete(f"/{version}/order/cancel", self.cancel)

    def add_read_routes(self, router: web.UrlDispatcher) -> None:
        """Register book, details, history and trades."""
        router.add_get("/v2/order/retrieve-all", self.book)
        router.add_get("/v2/order/details", self.details)
        router.add_get("/v2/order/history", self.history)
        router.add_get("/v2/order/trades/get-trades-for-day", self.trades)
        router.add_get("/v2/order/trades", self.trades_of_order)

    # --- writes --------------------------------------------------------------------------------------

    async def place(self, request: web.Request) -> web.Response:
        """Place v3: a list of order ids, one for each slice."""
        started = time.perf_counter()
        order_ids = await self._place(request)
        return success({"order_ids": order_ids}, metadata=_latency(started))

    async def place_v2(self, request: web.Request) -> web.Response:
        """Place v2 (deprecated upstream): never sliced."""
        return success({"order_id": (await self._place(request, sliced=False))[0]})

    async def _place(self, request: web.Request, *, sliced: bool = True) -> list[str]:
        check_algo(request)
        body = await json_body(request)
        instrument, terms, tag = read_place(body, self._venue.instruments)
        terms = protect(self._state.faults, terms)
        wants_slices = sliced and body.get("slice") is True
        parts = slices_of(instrument, terms.qty) if wants_slices else [terms.qty]
        # The terms are the same for each part, so either the first is refused at the door or none is.
        return [accepted(self._venue.place(replace(terms, qty=qty), tag)) for qty in parts]

    async def modify(self, request: web.Request) -> web.Response:
        """New terms for a working order."""
        started = time.perf_counter()
        check_algo(request)
        body = await json_body(request)
        order = self._order(read_order_id(body.get("order_id"), "UDAPI1003"))
        order_id = accepted(self._venue.modify(order.order_id, read_modify(body, order)))
        return self._written(request, order_id, started)

    async def cancel(self, request: web.Request) -> web.Response:
        """End a working order. The SDK sends ``{}`` along; nobody reads it."""
        started = time.perf_counter()
        check_algo(request)
        order_id = read_order_id(request.query.get("order_id"), "UDAPI1010")
        return self._written(request, accepted(self._venue.cancel(order_id)), started)

    def _written(self, request: web.Request, order_id: str, started: float) -> web.Response:
        if request.path.startswith("/v2/"):
            return success({"order_id": order_id})
        return success({"order_id": order_id}, metadata=_latency(started))

    # --- reads ---------------------------------------------------------------------------------------

    async def book(self, request: web.Request) -> web.Response:
        """Today's orders."""
        rows = [self._row(order) for order in self._venue.orders()]
        return success(odd_rows(rows, self._state.faults, request.path))

    async def details(self, request: web.Request) -> web.Response:
        """One order as it stands."""
        return success(self._row(self._order(read_order_id(request.query.get("order_id"), "UDAPI1010"))))

    async def history(self, request: web.Request) -> web.Response:
        """Every state of an order, or of all orders with a tag."""
        order_id, tag = request.query.get("order_id"), request.query.get("tag")
        if not order_id and not tag:
            raise ApiError("UDAPI100059")
        orders: Sequence[OrderState]
        if order_id:
            orders = [self._order(read_order_id(order_id, "UDAPI1010"))]
            if tag and orders[0].tag != tag:
                raise ApiError("UDAPI100010")
        else:
            orders = [order for order in self._venue.orders() if order.tag == tag]
        steps: list[dict[str, Any]] = []
        for order in orders:
            instrument = self._venue.instruments[order.key]
            steps += [
                step_row(step, instrument) for step in self._venue.exchange.history(USER_ID, order.order_id)
            ]
        return success(steps)

    async def trades(self, request: web.Request) -> web.Response:
        """Today's fills."""
        rows = [self._trade(trade, named_month=True) for trade in self._venue.trades()]
        return success(odd_rows(rows, self._state.faults, request.path))

    async def trades_of_order(self, request: web.Request) -> web.Response:
        """The fills of one order."""
        order = self._order(read_order_id(request.query.get("order_id"), "UDAPI1010"))
        return success(
            [self._trade(trade, named_month=False) for trade in self._venue.trades(order.order_id)]
        )

    def _order(self, order_id: str) -> OrderState:
        order = next((one for one in self._venue.orders() if one.order_id == order_id), None)
        if order is None:
            raise ApiError("UDAPI100010", property_path="order_id", invalid_value=order_id)
        return order

    def _row(self, order: OrderState) -> dict[str, Any]:
        return order_row(order, self._venue.instruments[order.key])

    def _trade(self, trade: Trade, *, named_month: bool) -> dict[str, Any]:
        return trade_row(trade, self._venue.instruments[trade.instrument_key], named_month=named_month)


def _latency(started: float) -> dict[str, int]:
    return {"latency": round((time.perf_counter() - started) * 1000)}
