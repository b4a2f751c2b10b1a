"""What the broker and the exchange refuse, one pure function per group of rules.

Two layers, as at the real broker: `refuse_request` is the answer to the HTTP request (an error envelope,
no order is made); `refuse_order` and the others speak for risk control and the exchange (the order exists
and is rejected). Sources: `upstox.md` 2.4 and 6.3, `india-markets` 2.5 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, ceil_to_tick, floor_to_tick, format_rupees, is_on_tick, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.price_rules import (
    TRADE_TO_TRADE,
    is_index_contract,
    limit_price_protection,
    trigger_range,
)
from tradetui.exchange.orders import Refusal

MAX_TAG: Final = 40
MAX_PROTECTION_PCT: Final = 25
AUTO_PROTECTION: Final = -1
_STOPS = (OrderType.SL, OrderType.SL_M)
_MARKETABLE = (OrderType.MARKET, OrderType.SL_M)


@dataclass(frozen=True, slots=True)
class Band:
    """Price limits of the day (circuit), inclusive. 0 means no limit on that side."""

    low: Price = Price(0)
    high: Price = Price(0)


NO_BAND: Final = Band()


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Switches.

    Attributes:
        mcx_by_api: Whether MCX orders are taken; off at Upstox (``UDAPI1161``).
        check_trigger_range: Whether the exchange's cap on trigger-to-limit distance is enforced.
        check_lpp: Whether limit prices far from the last price are refused (limit price protection).
        after_market: Whether orders placed while the market is shut wait for the open, instead of being refused.
    """

    mcx_by_api: bool = False
    check_trigger_range: bool = True
    check_lpp: bool = True
    after_market: bool = False


def refuse_request(
    instrument: Instrument, request: OrderRequest, tag: str, rules: RuleBook
) -> Refusal | None:
    """Why the broker's front door refuses a place or modify, or ``None``."""
    if not instrument.tradable:
        return Refusal("UDAPI100011", f"{instrument.symbol} is an index and cannot be traded")
    if instrument.segment.startswith("MCX") and not rules.mcx_by_api:
        return Refusal("UDAPI1161", "MCX orders are not allowed via API")
    if len(tag) > MAX_TAG:
        return Refusal("UDAPI1119", f"the tag is longer than {MAX_TAG} characters")
    if request.qty <= 0:
        return Refusal("UDAPI1052", "quantity must be above zero")
    if request.qty % instrument.lot_size:
        return Refusal("UDAPI1064", f"quantity must be a multiple of the lot size {instrument.lot_size}")
    return _refuse_prices(request) or _refuse_protection(request) or _refuse_disclosed(instrument, request)


def _refuse_prices(request: OrderRequest) -> Refusal | None:
    kind = request.order_type
    if kind in (OrderType.LIMIT, OrderType.SL) and request.price <= 0:
        return Refusal("UDAPI1061", f"a {kind.value} order needs a price")
    if kind in _MARKETABLE and request.price:
        return Refusal("UDAPI1062", f"a {kind.value} order has no price; send 0")
    if kind in _STOPS and request.trigger_price <= 0:
        return Refusal("UDAPI1063", f"a {kind.value} order needs a trigger price")
    if kind not in _STOPS and request.trigger_price:
        return Refusal("UDAPI1065", f"a {kind.value} order has no trigger price; send 0")
    if kind in _STOPS and request.validity is Validity.IOC:
        return Refusal("UDAPI1057", "a stop order cannot be IOC")
    return None


def _refuse_protection(request: OrderRequest) -> Refusal | None:
    if request.order_type not in _MARKETABLE:
        return None
    pct = request.protection_pct
    if pct == 0:
        return Refusal("UDAPI1158", "market orders without market protection are not allowed via API")
    if pct != AUTO_PROTECTION and not 1 <= pct <= MAX_PROTECTION_PCT:
        return Refusal("UDAPI1159", f"market protection must be -1 or 1 to {MAX_PROTECTION_PCT} percent")
    return None


def _refuse_disclosed(instrument: Instrument, request: OrderRequest) -> Refusal | None:
    shown = request.disclosed_qty
    if not shown:
        return None
    if instrument.is_derivative:
        return Refusal("UDAPI1060", "disclosed quantity is not allowed in derivatives")
    if request.validity is Validity.IOC:
        return Refusal("UDAPI1060", "an IOC order cannot have a disclosed quantity")
    if shown < 0 or shown > request.qty or shown * 10 < request.qty:
        return Refusal(
            "UDAPI1060", "disclosed quantity must be at least 10% of the quantity and not above it"
        )
    return None


def refuse_order(
    instrument: Instrument, request: OrderRequest, last: Price | None, band: Band, rules: RuleBook
) -> Refusal | None:
    """Why risk control or the exchange rejects an order of these terms, or ``None``.

    ``last`` is the last traded price, ``None`` when nothing has traded.
    """
    limit = instrument.max_order_qty
    if limit and request.qty > limit:
        return Refusal("EXCHANGE", f"quantity above the freeze limit: at most {limit} in one order")
    return (
        refuse_product(instrument, request.product)
        or _refuse_ticks_and_band(instrument, request, band)
        or _refuse_far(instrument, request, last, rules)
        or _refuse_stop(instrument, request, last, rules)
        or _refuse_market(instrument, request, last)
    )


def refuse_product(instrument: Instrument, product: Product) -> Refusal | None:
    """Why an instrument cannot be traded, or held, in a product; or ``None``."""
    if instrument.is_derivative:
        if product is Product.MTF:
            return Refusal("RMS", "MTF is for shares only")
        return None
    if instrument.series in TRADE_TO_TRADE and product is not Product.DELIVERY:
        return Refusal("RMS", f"series {instrument.series} is settled trade by trade: delivery only")
    return None


def _refuse_ticks_and_band(instrument: Instrument, request: OrderRequest, band: Band) -> Refusal | None:
    for name, price in (("price", request.price), ("trigger price", request.trigger_price)):
        if not price:
            continue
        if not is_on_tick(price, instrument.tick_size):
            return Refusal(
                "EXCHANGE", f"{name} must be a multiple of the tick {format_rupees(instrument.tick_size)}"
            )
        if (band.high and price > band.high) or (band.low and price < band.low):
            return Refusal(
                "EXCHANGE",
                f"{name} outside circuit: {format_rupees(band.low)} to {format_rupees(band.high)}",
            )
    return None


def _refuse_far(
    instrument: Instrument, request: OrderRequest, last: Price | None, rules: RuleBook
) -> Refusal | None:
    if not rules.check_lpp or request.order_type is not OrderType.LIMIT:
        return None
    return band_refusal(instrument, request.price, last, NO_BAND)


def _refuse_stop(
    instrument: Instrument, request: OrderRequest, last: Price | None, rules: RuleBook
) -> Refusal | None:
    if request.order_type not in _STOPS:
        return None
    buy, trigger = request.side is Side.BUY, request.trigger_price
    if request.order_type is OrderType.SL_M:
        if instrument.is_option:
            return Refusal("RMS", "SL-M is not allowed on options; use SL with a limit price")
        if instrument.exchange == "BSE":
            return Refusal("RMS", "SL-M is not allowed on BSE since 9 Oct 2023; use SL with a limit price")
    elif (trigger > request.price) if buy else (trigger < request.price):
        word = "above" if buy else "below"
        return Refusal(
            "RMS", f"trigger price of a {request.side.value} stop cannot be {word} its limit price"
        )
    elif rules.check_trigger_range and abs(request.price - trigger) > trigger_range(instrument, trigger):
        return Refusal(
            "EXCHANGE",
            "limit price too far from the trigger: at most "
            f"{format_rupees(trigger_range(instrument, trigger))} is allowed",
        )
    if last is not None and ((trigger <= last) if buy else (trigger >= last)):
        word = "above" if buy else "below"
        return Refusal(
            "RMS",
            f"trigger of a {request.side.value} stop must be {word} the last price {format_rupees(last)}",
        )
    return None


def _refuse_market(instrument: Instrument, request: OrderRequest, last: Price | None) -> Refusal | None:
    if request.order_type is OrderType.MARKET and last is None:
        return Refusal("EXCHANGE", f"{instrument.symbol} has not traded: no price to protect a MARKET order")
    return None


def band_refusal(instrument: Instrument, price: Price, last: Price | None, band: Band) -> Refusal | None:
    """Why a limit price is out of reach: the price band of the day, or the limit price protection (17070).

    Checked when a limit order enters, and for a stop when it triggers, not before (NSE, 28 Oct 2022).
    """
    if (band.high and price > band.high) or (band.low and price < band.low):
        return Refusal(
            "EXCHANGE", f"price outside circuit: {format_rupees(band.low)} to {format_rupees(band.high)}"
        )
    low, high = protection_range(instrument, last) if last is not None else (Price(0), Price(0))
    if high and not low <= price <= high:
        return Refusal(
            "EXCHANGE",
            f"17070: price is out of the current LPP range {format_rupees(low)} to {format_rupees(high)}",
        )
    return None


def protection_range(instrument: Instrument, last: Price) -> tuple[Price, Price]:
    """Lowest and highest limit price the exchange takes; zeros where it has no such rule.

    Options of NSE and BSE (`india-markets` 2.5); futures on single stocks of BSE since 6 Jul 2026: 3%, at least
    Rs 1.50 (BSE 20260629-43).
    """
    if instrument.segment not in ("NSE_FO", "BSE_FO"):
        return Price(0), Price(0)
    if instrument.is_option:
        return limit_price_protection(last)
    if instrument.segment == "BSE_FO" and not is_index_contract(instrument):
        away = max(last * 3 // 100, to_price("1.5"))
        return Price(max(0, last - away)), Price(last + away)
    return Price(0), Price(0)


def refuse_delivery_sale(qty: int, sellable: int) -> Refusal | None:
    """Why a delivery sale of shares is rejected: nobody can deliver what he does not have."""
    if qty <= sellable:
        return None
    return Refusal(
        "RMS", f"delivery sale of {qty} with {max(0, sellable)} free in holdings; short needs intraday"
    )


def protected_price(instrument: Instrument, side: Side, last: Price, pct: int, band: Band) -> Price:
    """Limit price that stands in for "market".

    ``pct`` is a percentage of ``last``, the last traded price, or -1 for the automatic slab: shares and
    futures up to 100 rupees 2%, up to 1,000 1%, above 0.5%; options up to 500 rupees Rs 5, up to 1,000 Rs 10,
    above 1% (`india-markets` 3, the published table of one broker). The price is pulled inside ``band``.
    """
    if pct != AUTO_PROTECTION:
        away = last * pct // 100
    elif instrument.is_option:
        away = (
            to_price(5) if last <= to_price(500) else to_price(10) if last <= to_price(1000) else last // 100
        )
    else:
        away = last // 50 if last <= to_price(100) else last // 100 if last <= to_price(1000) else last // 200
    tick = instrument.tick_size
    away = max(away, tick)
    if side is Side.BUY:
        price = floor_to_tick(Price(last + away), tick)
        return min(price, band.high) if band.high else price
    price = max(ceil_to_tick(Price(last - away), tick), tick)
    return max(price, band.low) if band.low else price
