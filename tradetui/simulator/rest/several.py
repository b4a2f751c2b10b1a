"""Several orders in one call: multi-place, cancel-all, exit-all (`upstox.md` 2.5). Normal host only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.exchange.orders import OrderState
from tradetui.exchange.rules import AUTO_PROTECTION, RuleBook, refuse_request
from tradetui.exchange.sessions import Phase
from tradetui.simulator.rest.envelope import ApiError
from tradetui.simulator.rest.terms import MAX_SLICES, parts_of, read_place, slices_of
from tradetui.simulator.rest.writes import (
    SEGMENTS,
    accepted,
    batch_reply,
    check_algo,
    json_array,
    protect,
    refused,
)
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue

MAX_LINES: Final = 10
"""Lines of one multi-order call; other copies of the documentation say 25 (`upstox.md` 2.5)."""
MAX_CANCELS: Final = 10
"""Open orders that one cancel-all ends (documentation of July 2026; other copies say 200)."""
MAX_EXITS: Final = 10
"""Positions that one exit-all closes; the same conflict."""
_MAX_CORRELATION = 20
_CLOSED = "The Exit Positions API is accessible during the market hours only."


@dataclass(frozen=True, slots=True)
class _Line:
    """One order of a batch, its payload checked."""

    correlation_id: str
    terms: OrderRequest
    tag: str
    parts: tuple[int, ...]


class SeveralApi:
    """Handlers of the calls that act on several orders.

    Args:
        state: The simulator's state.
        venue: Where orders go.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._venue = venue

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints of the main listener."""
        router.add_post("/v2/order/multi/place", self.place)
        router.add_delete("/v2/order/multi/cancel", self.cancel)
        router.add_post("/v2/order/positions/exit", self.exit)

    # --- multi-place ---------------------------------------------------------------------------------

    async def place(self, request: web.Request) -> web.Response:
        """All BUY lines, then all SELL lines; one malformed line stops the whole batch."""
        check_algo(request)
        bodies = await json_array(request)
        if not bodies:
            raise ApiError("UDAPI1114")
        if len(bodies) > MAX_LINES:
            raise ApiError("UDAPI1118", message=f"At most {MAX_LINES} orders are allowed in one request")
        lines, wrong = self._read(bodies)
        if wrong:
            summary = {"total": len(bodies), "payload_error": len(wrong), "success": 0, "error": 0}
            return batch_reply(None, wrong, summary, done=0)
        placed, errors = [], []
        for side in (Side.BUY, Side.SELL):
            for line in (one for one in lines if one.terms.side is side):
                for name, qty in _named_parts(line):
                    try:
                        order_id = accepted(self._venue.place(replace(line.terms, qty=qty), line.tag))
                    except ApiError as error:
                        errors.append({**error.item(), "correlation_id": name})
                    else:
                        placed.append({"correlation_id": name, "order_id": order_id})
        summary = {
            "total": len(placed) + len(errors),
            "payload_error": 0,
            "success": len(placed),
            "error": len(errors),
        }
        return batch_reply(placed, errors, summary, done=len(placed))

    def _read(self, bodies: Sequence[Any]) -> tuple[list[_Line], list[dict[str, Any]]]:
        """The lines, and what is wrong with those that are malformed."""
        lines: list[_Line] = []
        wrong: list[dict[str, Any]] = []
        seen: set[str] = set()
        for body in bodies:
            name = body.get("correlation_id") if isinstance(body, dict) else None
            try:
                lines.append(self._line(body, seen))
            except ApiError as error:
                wrong.append({**error.item(), "correlation_id": name})
        return lines, wrong

    def _line(self, body: Any, seen: set[str]) -> _Line:
        if not isinstance(body, Mapping):
            raise ApiError("UDAPI100036")
        name = body.get("correlation_id")
        if not isinstance(name, str) or not name:
            raise ApiError("UDAPI1115", property_path="correlation_id", invalid_value=name)
        if len(name) > _MAX_CORRELATION:
            raise ApiError("UDAPI1116", property_path="correlation_id", invalid_value=name)
        if name in seen:
            raise ApiError("UDAPI1117", property_path="correlation_id", invalid_value=name)
        seen.add(name)
        if not isinstance(body.get("slice"), bool):
            raise ApiError(
                "UDAPI100036", message="The 'slice' is required", property_path="slice",
                invalid_value=body.get("slice"),
            )  # fmt: skip
        instrument, terms, tag = read_place(body, self._venue.instruments)
        terms = protect(self._state.faults, terms)
        reason = refuse_request(instrument, terms, tag, RuleBook())
        if reason is not None:
            raise refused(reason)
        parts = slices_of(instrument, terms.qty) if body["slice"] else [terms.qty]
        return _Line(name, terms, tag, tuple(parts))

    # --- cancel-all ----------------------------------------------------------------------------------

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel every working order of a tag, a segment, or all; more than ten at once are refused."""
        check_algo(request)
        segment, tag = self._filters(request)
        chosen = [
            order
            for order in self._venue.orders()
            if not order.status.terminal and self._fits(order, segment) and (not tag or order.tag == tag)
        ]
        if not chosen:
            raise ApiError("UDAPI1109")
        if len(chosen) > MAX_CANCELS:
            raise ApiError("UDAPI1110", message=f"At most {MAX_CANCELS} orders can be cancelled at once")
        done: list[str] = []
        errors = []
        for order in chosen:
            try:
                done.append(accepted(self._venue.cancel(order.order_id)))
            except ApiError as error:
                errors.append({**error.item(), "order_id": order.order_id, "instrument_key": order.key})
        summary = {"total": len(chosen), "success": len(done), "error": len(errors)}
        return batch_reply({"order_ids": done}, errors, summary, done=len(done))

    # --- exit-all ------------------------------------------------------------------------------------

    async def exit(self, request: web.Request) -> web.Response:
        """Close positions at the market: shorts are bought back first, then longs are sold.

        Delivery and MTF shares stay. With a tag: what intraday orders of that tag opened.
        """
        check_algo(request)
        segment, tag = self._filters(request)
        open_qty = self._tagged(tag) if tag else self._netted()
        chosen = [
            (self._venue.instruments[key], product, qty)
            for (key, product), qty in open_qty.items()
            if qty and (not segment or self._venue.instruments[key].segment == segment)
        ]
        if not chosen:
            raise ApiError("UDAPI1111")
        if len(chosen) > MAX_EXITS:
            raise ApiError("UDAPI1112", message=f"At most {MAX_EXITS} positions can be exited at once")
        done: list[str] = []
        errors: list[dict[str, Any]] = []
        for side in (Side.BUY, Side.SELL):
            for instrument, product, qty in chosen:
                if (qty < 0) is (side is Side.BUY):
                    self._exit_one(instrument, product, side, abs(qty), done, errors)
        summary = {"total": len(done) + len(errors), "success": len(done), "error": len(errors)}
        return batch_reply({"order_ids": done}, errors, summary, done=len(done))

    def _exit_one(
        self,
        instrument: Instrument,
        product: Product,
        side: Side,
        qty: int,
        done: list[str],
        errors: list[dict[str, Any]],
    ) -> None:
        try:
            if self._venue.phase_now(instrument) != Phase.CONTINUOUS:
                raise ApiError("UDAPI1113", message=_CLOSED)
            for part in parts_of(instrument, qty)[:MAX_SLICES]:
                terms = OrderRequest(
                    instrument_key=instrument.key,
                    side=side,
                    qty=part,
                    product=product,
                    order_type=OrderType.MARKET,
                    price=Price(0),
                    protection_pct=AUTO_PROTECTION,
                )
                done.append(accepted(self._venue.place(terms, "")))
        except ApiError as error:
            errors.append({**error.item(), "order_id": None, "instrument_key": instrument.key})

    def _netted(self) -> dict[tuple[str, Product], int]:
        """Open quantity by instrument and product; shares only intraday."""
        return {
            (one.instrument_key, one.product): one.qty
            for one in self._venue.exchange.positions(USER_ID)
            if one.product is Product.INTRADAY or self._venue.instruments[one.instrument_key].is_derivative
        }

    def _tagged(self, tag: str) -> dict[tuple[str, Product], int]:
        """What intraday orders of a tag left open, never more than the position itself."""
        net: dict[tuple[str, Product], int] = {}
        for trade in self._venue.trades():
            if trade.tag == tag and trade.product is Product.INTRADAY:
                key: tuple[str, Product] = (trade.instrument_key, trade.product)
                net[key] = net.get(key, 0) + trade.side.sign * trade.qty
        whole = self._netted()
        capped: dict[tuple[str, Product], int] = {}
        for where, qty in net.items():
            held = whole.get(where, 0)
            capped[where] = min(qty, max(0, held)) if qty > 0 else max(qty, min(0, held))
        return capped

    # --- filters -------------------------------------------------------------------------------------

    def _filters(self, request: web.Request) -> tuple[str, str]:
        segment = request.query.get("segment", "")
        if segment and segment not in SEGMENTS:
            raise ApiError("UDAPI1108", property_path="segment", invalid_value=segment)
        return segment, request.query.get("tag", "")

    def _fits(self, order: OrderState, segment: str) -> bool:
        return not segment or self._venue.instruments[order.key].segment == segment


def _named_parts(line: _Line) -> list[tuple[str, int]]:
    """Correlation id and quantity of each child; ``_1``, ``_2`` are added when there are several."""
    if len(line.parts) == 1:
        return [(line.correlation_id, line.parts[0])]
    return [(f"{line.correlation_id}_{number}", qty) for number, qty in enumerate(line.parts, 1)]
