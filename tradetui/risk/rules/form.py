"""The order's own terms: what exchange or broker refuse anyway is said here, before sending."""

from __future__ import annotations

from tradetui.domain.instrument import InstrumentKind
from tradetui.domain.money import decimals_of, format_rupees, is_on_tick
from tradetui.domain.order import OrderType, Product, Side, Validity
from tradetui.domain.price_rules import TRADE_TO_TRADE, trigger_range
from tradetui.domain.view import Check
from tradetui.risk.facts import Facts
from tradetui.risk.limits import MAX_SLICES
from tradetui.risk.rules.answers import block, noted, ok

_STOPS = (OrderType.SL, OrderType.SL_M)


def lot(f: Facts) -> Check:
    """Quantity is positive and a whole number of lots."""
    assert f.instrument is not None
    qty, size = f.request.qty, f.instrument.lot_size
    if qty <= 0:
        return block("lot", "quantity must be at least 1")
    if qty % size:
        return block(
            "lot",
            f"quantity {qty} is not a multiple of the lot of {size}: try {max(size, qty // size * size)}",
        )
    return ok("lot")


def freeze(f: Facts) -> Check:
    """More than the exchange's freeze quantity, cut to whole lots, goes out in slices; beyond 25 of them not at all."""
    assert f.instrument is not None
    most = f.instrument.max_order_qty
    if not most or f.request.qty <= most:
        return ok("freeze")
    slices = -(-f.request.qty // most)
    if not f.sliceable:
        return block("freeze", f"quantity {f.request.qty} is above the freeze limit: at most {most} an order")
    if slices > MAX_SLICES:
        return block(
            "freeze",
            f"quantity {f.request.qty} is above the freeze limit: at most {most} an order in {MAX_SLICES} slices, "
            f"{most * MAX_SLICES} in all",
        )
    return noted("freeze", f"above the freeze limit of {most}: goes out as {slices} orders")


def tick(f: Facts) -> Check:
    """Prices lie on the instrument's tick and belong to the order type."""
    assert f.instrument is not None
    request, size = f.request, f.instrument.tick_size
    places = decimals_of(size)
    wants_price = request.order_type in (OrderType.LIMIT, OrderType.SL)
    if wants_price and request.price <= 0:
        return block("tick", f"a {request.order_type.value} order needs a price")
    if request.order_type in _STOPS and request.trigger_price <= 0:
        return block("tick", f"a {request.order_type.value} order needs a trigger price")
    for name, price in (("price", request.price), ("trigger", request.trigger_price)):
        if price and not is_on_tick(price, size):
            return block(
                "tick", f"{name} {format_rupees(price, 4)} is not a multiple of {format_rupees(size, places)}"
            )
    return ok("tick")


def stop_side(f: Facts) -> Check:
    """A stop's trigger lies on the adverse side, and its limit beyond the trigger (india-markets 3)."""
    request = f.request
    if request.order_type not in _STOPS:
        return ok("stop")
    buy = request.side is Side.BUY
    if request.order_type is OrderType.SL and (
        request.price < request.trigger_price if buy else request.price > request.trigger_price
    ):
        return block(
            "stop",
            f"the limit of a {'buy' if buy else 'sell'} stop must be {'at or above' if buy else 'at or below'} its trigger",
        )
    if f.last is not None and (request.trigger_price <= f.last if buy else request.trigger_price >= f.last):
        return block(
            "stop",
            f"the trigger is already {'below' if buy else 'above'} the last price: it would fire at once",
        )
    return ok("stop")


def trigger_distance(f: Facts) -> Check:
    """A stop's limit lies within the exchange's range of its trigger (NSE/CM/57613; BSE 20260114-28)."""
    assert f.instrument is not None
    request = f.request
    if request.order_type is not OrderType.SL or request.trigger_price <= 0:
        return ok("trigger range")
    most = trigger_range(f.instrument, request.trigger_price)
    if abs(request.price - request.trigger_price) <= most:
        return ok("trigger range")
    return block(
        "trigger range",
        f"the limit lies {format_rupees(abs(request.price - request.trigger_price))} from the trigger: "
        f"the exchange allows {format_rupees(most)}",
    )


def order_form(f: Facts) -> Check:
    """Forms that exchange or broker refuse anyway: said here, before sending (india-markets 3)."""
    assert f.instrument is not None
    request, instrument = f.request, f.instrument
    if request.order_type is OrderType.SL_M and (instrument.is_option or instrument.exchange == "BSE"):
        return block("form", "SL-M is not allowed on options, nor on BSE: use SL with a limit")
    if request.order_type in (OrderType.MARKET, OrderType.SL_M) and not (
        request.protection_pct == -1 or 1 <= request.protection_pct <= 25
    ):
        return block("form", "market orders need market protection: -1 (broker's choice) or 1 to 25 percent")
    if request.validity is Validity.IOC:
        if request.order_type in _STOPS:
            return block("form", "a stop cannot be IOC")
        if instrument.exchange == "MCX":
            return block("form", "MCX takes no IOC orders by API")
    if request.product is Product.MTF and instrument.kind is not InstrumentKind.EQUITY:
        return block("form", "MTF exists for shares only")
    if (
        request.product is Product.INTRADAY
        and instrument.kind is InstrumentKind.EQUITY
        and instrument.series in TRADE_TO_TRADE
    ):
        return block("form", f"series {instrument.series} is trade-for-trade: delivery only")
    return ok("form")


def disclosed(f: Facts) -> Check:
    """Disclosed quantity: shares only, 10% to 100% of the quantity, not with IOC (india-markets 3)."""
    assert f.instrument is not None
    request, shown = f.request, f.request.disclosed_qty
    if not shown:
        return ok("disclosed")
    if f.instrument.is_derivative:
        return block("disclosed", "disclosed quantity is not allowed in derivatives")
    if request.validity is Validity.IOC:
        return block("disclosed", "an IOC order cannot have a disclosed quantity")
    if shown * 10 < request.qty or shown > request.qty:
        return block("disclosed", "disclosed quantity must be 10% to 100% of the quantity")
    return ok("disclosed")
