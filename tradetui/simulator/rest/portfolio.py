"""Positions, holdings, conversion, and what an order would cost (`upstox.md` 2.8, 2.9)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tradetui.domain.calendar import ist_date
from tradetui.domain.charges import Leg, broker_plan, charge_class, estimate
from tradetui.domain.errors import DomainError, TradeTuiError
from tradetui.domain.money import Price, to_price, to_rupees
from tradetui.domain.order import Product, Side
from tradetui.simulator.rest.envelope import ApiError, json_body, success
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.rest.rows import holding_row, position_row
from tradetui.simulator.rest.terms import read_whole, read_word
from tradetui.simulator.rest.writes import refused
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue

_PLAN = "upstox"


class PortfolioApi:
    """Handlers of ``/portfolio`` and brokerage.

    Args:
        state: The simulator's state.
        venue: Holds the account.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._clock = state.clock
        self._venue = venue

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/portfolio/short-term-positions", self.positions)
        router.add_get("/v3/portfolio/mtf-positions", self.mtf_positions)
        router.add_get("/v2/portfolio/long-term-holdings", self.holdings)
        router.add_put("/v2/portfolio/convert-position", self.convert)
        router.add_get("/v2/charges/brokerage", self.brokerage)

    async def positions(self, _request: web.Request) -> web.Response:
        """Positions of the day, closed ones with quantity 0."""
        return success(self._positions(mtf=False))

    async def mtf_positions(self, _request: web.Request) -> web.Response:
        """Positions on margin funding."""
        return success(self._positions(mtf=True))

    async def holdings(self, _request: web.Request) -> web.Response:
        """The demat account."""
        venue = self._venue
        return success(
            [
                holding_row(
                    holding,
                    venue.instruments[holding.instrument_key],
                    venue.last_of(holding.instrument_key),
                    venue.close_of(holding.instrument_key),
                )
                for holding in venue.exchange.holdings(USER_ID)
            ]
        )

    async def brokerage(self, request: web.Request) -> web.Response:
        """Charges of one order, by the dated schedule of rates."""
        leg, plan_product = self._leg(request)
        try:
            charges = estimate(leg, broker_plan(_PLAN))
        except TradeTuiError as error:
            raise ApiError("UDAPI100036", message=error.message) from error
        has_dp = plan_product is Product.DELIVERY and leg.kind.is_cash
        return success(
            {
                "charges": {
                    "total": to_rupees(charges.total),
                    "brokerage": to_rupees(charges.brokerage),
                    "taxes": {
                        "gst": to_rupees(charges.gst),
                        "stt": to_rupees(charges.stt),
                        "stamp_duty": to_rupees(charges.stamp),
                    },
                    "other_charges": {
                        "transaction": to_rupees(charges.exchange_txn),
                        "clearing": 0.0,
                        "ipft": 0.0,
                        "sebi_turnover": to_rupees(charges.sebi),
                    },
                    "dp_plan": {"name": "Normal", "min_expense": to_rupees(charges.dp)} if has_dp else None,
                }
            }
        )

    async def convert(self, request: web.Request) -> web.Response:
        """Move units of a position to another product."""
        body = await json_body(request)
        key = body.get("instrument_token")
        if not isinstance(key, str) or not key:
            raise ApiError("UDAPI1026", property_path="instrument_token", invalid_value=key)
        instrument = one_key(key, self._venue.instruments, malformed="UDAPI1011")
        qty = read_whole(body, "quantity", missing="UDAPI1064")
        if qty <= 0:
            raise ApiError("UDAPI1052", property_path="quantity", invalid_value=qty)
        if qty % instrument.lot_size:
            raise ApiError("UDAPI1064", message=f"The 'quantity' must be in lots of {instrument.lot_size}")
        reply = self._venue.convert(
            key,
            read_word(Side, body, "transaction_type", "UDAPI1057"),
            qty,
            read_word(Product, body, "old_product", "UDAPI1033"),
            read_word(Product, body, "new_product", "UDAPI1034"),
        )
        if reply.refusal is not None:
            raise refused(reply.refusal)
        return success({"status": "complete"})

    def _positions(self, *, mtf: bool) -> list[dict[str, Any]]:
        venue = self._venue
        return [
            position_row(
                figures,
                venue.instruments[figures.position.instrument_key],
                venue.last_of(figures.position.instrument_key),
                venue.close_of(figures.position.instrument_key),
            )
            for figures in venue.day_figures()
            if (figures.position.product is Product.MTF) is mtf
        ]

    def _leg(self, request: web.Request) -> tuple[Leg, Product]:
        query = request.query
        instrument = one_key(
            query.get("instrument_token", ""), self._venue.instruments, malformed="UDAPI1011"
        )
        try:
            product = Product(query.get("product", ""))
        except ValueError as error:
            raise ApiError("UDAPI1054", property_path="product") from error
        try:
            side = Side(query.get("transaction_type", ""))
        except ValueError as error:
            raise ApiError("UDAPI1057", property_path="transaction_type") from error
        text = query.get("quantity", "")
        if not (text.isascii() and text.isdigit() and int(text)):
            raise ApiError("UDAPI1052", property_path="quantity", invalid_value=text)
        price = _price(query.get("price", ""))
        leg = Leg(
            venue=instrument.exchange,
            kind=charge_class(instrument, product),
            side=side,
            qty=int(text),
            price=price,
            day=ist_date(self._clock.now_ns()),
            multiplier=instrument.multiplier,
            security=instrument.key,
        )
        return leg, product


def _price(text: str) -> Price:
    try:
        price = to_price(float(text))
    except (ValueError, DomainError) as error:
        raise ApiError("UDAPI1061", property_path="price", invalid_value=text) from error
    if price <= 0:
        raise ApiError("UDAPI1065", property_path="price", invalid_value=text)
    return price
