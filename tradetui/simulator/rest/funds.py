"""Funds, and the margin a basket would need (`upstox.md` 2.9). Derivative margins are estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, to_price, to_rupees
from tradetui.domain.order import Product, Side
from tradetui.domain.span import NO_MARGIN, SpanLeg, SpanMargin
from tradetui.exchange.margins import derivatives_to_hold, premium_of, share_to_open
from tradetui.simulator.rest.envelope import ApiError, json_body, success
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.rest.terms import read_price, read_whole, read_word
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue

MAX_LEGS: Final = 20
_PURSE = (
    "available_margin", "used_margin", "payin_amount", "span_margin", "exposure_margin", "adhoc_margin",
    "notional_cash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Leg:
    """One line of a margin request."""

    instrument: Instrument
    product: Product
    side: Side
    qty: int
    price: Price


class FundsApi:
    """Handlers of funds and ``/charges/margin``.

    Args:
        state: The simulator's state.
        venue: Holds the account.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._clock = state.clock
        self._venue = venue

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/user/get-funds-and-margin", self.funds_v2)
        router.add_get("/v3/user/get-funds-and-margin", self.funds_v3)
        router.add_post("/v2/charges/margin", self.margin)

    # --- funds ---------------------------------------------------------------------------------------

    async def funds_v2(self, request: web.Request) -> web.Response:
        """Both purses; since July 2025 one holds everything."""
        funds, use = self._venue.funds(), self._venue.exchange.margin_use(USER_ID)
        purses = {
            "equity": {
                **dict.fromkeys(_PURSE, 0.0),
                "available_margin": to_rupees(funds.available),
                "used_margin": to_rupees(funds.used),
                "span_margin": to_rupees(use.span),
                "exposure_margin": to_rupees(Money(use.exposure + use.additional)),
            },
            "commodity": dict.fromkeys(_PURSE, 0.0),
        }
        names = {"SEC": "equity", "COM": "commodity"}
        segment = request.query.get("segment")
        if segment is None:
            return success(purses)
        if segment not in names:
            raise ApiError("UDAPI100036", property_path="segment", invalid_value=segment)
        return success({names[segment]: purses[names[segment]]})

    async def funds_v3(self, _request: web.Request) -> web.Response:
        """The tree of what may be used and what may not.

        ``available = opening_balance + amount_from_stock_sale - margin_used.total - loss.total``: a profit
        of the day counts as a loss below zero, and shares sold from the demat account bring cash.
        """
        funds, use = self._venue.funds(), self._venue.exchange.margin_use(USER_ID)
        available, loss = to_rupees(funds.available), to_rupees(Money(-funds.realised))
        sold, delivery = max(0, -use.delivery), max(0, use.delivery)
        paid = to_rupees(Money(delivery))
        used = {
            "total": to_rupees(Money(use.total + sold)),
            "mtf": to_rupees(use.mtf),
            "span_exposure": to_rupees(Money(use.span + use.exposure + use.additional)),
            "cash_margin_var_elm": to_rupees(use.intraday),
            "premium_present": to_rupees(use.premium),
            "loss": {"total": loss, "realised": loss, "unrealised": 0.0},
            "delivery_margin": {"total": paid, "equity": paid, "fo_settlement": 0.0},
        }
        pledged = {
            **dict.fromkeys((name for name in used if name != "loss"), 0.0),
            "delivery_margin": _zero("total", "equity", "fo_settlement"),
        }
        cash = {
            "opening_balance": to_rupees(funds.opening),
            "added_today": 0.0,
            "withdrawn_today": 0.0,
            "amount_from_stock_sale": to_rupees(Money(sold)),
            "unpaid_charges": 0.0,
        }
        return success(
            {
                "available_to_trade": {
                    "total": available,
                    "cash_available_to_trade": {"total": available, "cash": cash, "margin_used": used},
                    "pledge_available_to_trade": {
                        "total": 0.0,
                        "margin_from_pledge": _zero("total", "equity", "mutual_funds"),
                        "margin_used": pledged,
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

    # --- margin --------------------------------------------------------------------------------------

    async def margin(self, request: web.Request) -> web.Response:
        """What a basket needs: each leg alone, and all of it together. Positions held do not count."""
        rows = (await json_body(request)).get("instruments")
        if not isinstance(rows, list) or not rows:
            raise ApiError("UDAPI100036", property_path="instruments")
        if len(rows) > MAX_LEGS:
            raise ApiError("UDAPI1102", property_path="instruments")
        legs: list[_Leg] = []
        for row in rows:
            leg = self._leg(row)
            if any(one.instrument.key == leg.instrument.key for one in legs):
                raise ApiError("UDAPI1103", property_path="instrument_key", invalid_value=leg.instrument.key)
            legs.append(leg)
        self._venue.exchange.risk.at(self._clock.now_ns())
        margins = [self._alone(leg) for leg in legs]
        return success(
            {
                "margins": margins,
                "required_margin": round(sum(row["total_margin"] for row in margins), 4),
                "final_margin": to_rupees(Money(self._together(legs))),
            }
        )

    def _leg(self, row: Any) -> _Leg:
        if not isinstance(row, Mapping):
            raise ApiError("UDAPI100036", property_path="instruments")
        instrument = one_key(
            str(row.get("instrument_key") or ""),
            self._venue.instruments,
            malformed="UDAPI1098",
            unknown="UDAPI1099",
        )
        if not instrument.tradable:
            raise ApiError("UDAPI1099", property_path="instrument_key", invalid_value=instrument.key)
        qty = read_whole(row, "quantity", missing="UDAPI1096")
        if qty <= 0:
            raise ApiError("UDAPI1096", property_path="quantity", invalid_value=qty)
        if qty % instrument.lot_size:
            raise ApiError("UDAPI1097", property_path="quantity", invalid_value=qty)
        price = read_price({"price": 0, **row}, "price", missing="UDAPI1061")
        return _Leg(
            instrument,
            read_word(Product, row, "product", "UDAPI1054"),
            read_word(Side, row, "transaction_type", "UDAPI1057"),
            qty,
            price or to_price(self._venue.last_of(instrument.key) or self._venue.close_of(instrument.key)),
        )

    def _span(self, legs: Sequence[_Leg]) -> SpanMargin:
        """Margin of derivative legs on one underlying, as the exchange reckons it for its accounts."""
        risk = self._venue.exchange.risk
        return derivatives_to_hold(
            [
                SpanLeg(leg.instrument, leg.side.sign * leg.qty, risk.price(leg.instrument.key) or leg.price)
                for leg in legs
            ],
            risk,
        )

    def _alone(self, leg: _Leg) -> dict[str, float]:
        """One leg without the others. Premium received pays a part of a short option's margin."""
        premium, span, equity = 0, NO_MARGIN, Money(0)
        if leg.instrument.is_derivative:
            premium = premium_of(leg.instrument, leg.side, leg.qty, leg.price)
            span = self._span([leg])
        else:
            equity = share_to_open(leg.instrument, leg.product, leg.side, leg.qty, leg.price).amount
        scan = max(0, span.scan + min(0, premium))
        total = scan + span.exposure + span.calendar + span.expiry + equity + max(0, premium)
        return {
            "span_margin": to_rupees(Money(scan)),
            "exposure_margin": to_rupees(Money(span.exposure + span.calendar)),
            "equity_margin": to_rupees(equity),
            "net_buy_premium": to_rupees(Money(max(0, premium))),
            "additional_margin": to_rupees(span.expiry),
            "tender_margin": 0.0,
            "total_margin": to_rupees(Money(total)),
        }

    def _together(self, legs: Sequence[_Leg]) -> int:
        """All legs with what they do for each other: one portfolio for each underlying."""
        groups: dict[str, list[_Leg]] = {}
        total = 0
        for leg in legs:
            if leg.instrument.is_derivative:
                key = leg.instrument.underlying_key or leg.instrument.key
                groups.setdefault(key, []).append(leg)
            else:
                need = share_to_open(leg.instrument, leg.product, leg.side, leg.qty, leg.price)
                total += need.amount
        for group in groups.values():
            premium = sum(premium_of(leg.instrument, leg.side, leg.qty, leg.price) for leg in group)
            total += max(0, self._span(group).total + premium)
        return total


def _zero(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 0.0)
