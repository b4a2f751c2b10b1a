"""Positions, holdings, funds, and what an order would cost (`upstox.md` 2.8, 2.9)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tradetui.domain.calendar import ist_date
from tradetui.domain.charges import Leg, broker_plan, charge_class, estimate
from tradetui.domain.errors import DomainError, TradeTuiError
from tradetui.domain.money import Money, Price, to_price, to_rupees
from tradetui.domain.order import Product, Side
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.rest.rows import holding_row, position_row
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue

_PLAN = "upstox"
_EMPTY_PURSE = (
    "available_margin", "used_margin", "payin_amount", "span_margin", "exposure_margin", "adhoc_margin",
    "notional_cash",
)  # fmt: skip


class PortfolioApi:
    """Handlers of ``/portfolio``, funds and brokerage.

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
        router.add_get("/v2/user/get-funds-and-margin", self.funds_v2)
        router.add_get("/v3/user/get-funds-and-margin", self.funds_v3)
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

    async def funds_v2(self, request: web.Request) -> web.Response:
        """Both purses; since July 2025 one holds everything."""
        funds = self._venue.funds()
        purses = {
            "equity": {
                **dict.fromkeys(_EMPTY_PURSE, 0.0),
                "available_margin": to_rupees(funds.available),
                "used_margin": to_rupees(funds.used),
            },
            "commodity": dict.fromkeys(_EMPTY_PURSE, 0.0),
        }
        names = {"SEC": "equity", "COM": "commodity"}
        segment = request.query.get("segment")
        if segment is None:
            return success(purses)
        if segment not in names:
            raise ApiError("UDAPI100036", property_path="segment", invalid_value=segment)
        return success({names[segment]: purses[names[segment]]})

    async def funds_v3(self, _request: web.Request) -> web.Response:
        """The tree of what may be used and what may not."""
        funds = self._venue.funds()
        opening, available, used = (to_rupees(v) for v in (funds.opening, funds.available, funds.used))
        realised = to_rupees(funds.realised)
        paid = round(to_rupees(Money(funds.opening + funds.realised - funds.cash)), 4)
        loss = -min(0.0, realised)
        margin_used = {
            "total": used + max(0.0, paid),
            "mtf": 0.0,
            "span_exposure": used,
            "cash_margin_var_elm": 0.0,
            "premium_present": 0.0,
            "delivery_margin": {"total": paid, "equity": paid, "fo_settlement": 0.0},
        }
        pledge_used = {
            **dict.fromkeys(margin_used, 0.0),
            "delivery_margin": _zero("total", "equity", "fo_settlement"),
        }
        return success(
            {
                "available_to_trade": {
                    "total": available,
                    "cash_available_to_trade": {
                        "total": available,
                        "cash": {
                            "opening_balance": opening,
                            "added_today": 0.0,
                            "withdrawn_today": 0.0,
                            "amount_from_stock_sale": max(0.0, -paid),
                            "unpaid_charges": 0.0,
                        },
                        "margin_used": {
                            **margin_used,
                            "loss": {"total": loss, "realised": loss, "unrealised": 0.0},
                        },
                    },
                    "pledge_available_to_trade": {
                        "total": 0.0,
                        "margin_from_pledge": _zero("total", "equity", "mutual_funds"),
                        "margin_used": pledge_used,
                    },
                },
                "unavailable_to_trade": {
                    "cash_unavailable_to_trade": {
                        "unsettled_profit": {"todays_profit": 0.0, "previous_days": 0.0}
                    },
                    "pledge_unavailable_to_trade": _zero("equity", "mutual_funds"),
                },
            }
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

    def _positions(self, *, mtf: bool) -> list[dict[str, Any]]:
        venue = self._venue
        return [
            position_row(
                position,
                venue.instruments[position.instrument_key],
                venue.last_of(position.instrument_key),
                venue.close_of(position.instrument_key),
            )
            for position in venue.exchange.positions(USER_ID)
            if (position.product is Product.MTF) is mtf
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


def _zero(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 0.0)
