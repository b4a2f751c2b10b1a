"""The market: session, square-off, feed, quote, price band, fat finger."""

from __future__ import annotations

from tradetui.domain.money import format_rupees
from tradetui.domain.order import OrderType, Product, Side, Validity
from tradetui.domain.price_rules import limit_price_protection
from tradetui.domain.view import Check
from tradetui.risk.facts import PHASE_UNKNOWN, Facts
from tradetui.risk.rules.answers import block, noted, ok, warn

_STOPS = (OrderType.SL, OrderType.SL_M)
_SHUT_STAGES = {
    "reference": "its reference price is being worked out",
    "match": "its orders are being matched",
    "buffer": "it is over and trading is about to begin",
}
"""Stages of an auction in which no order can be entered."""


def phase(f: Facts) -> Check:
    """The session phase takes this form of order; out of hours it goes out as an AMO, when that was asked for."""
    assert f.instrument is not None
    request = f.request
    if f.phase == "continuous":
        if request.amo:
            return block("phase", "the market is open: place it as a normal order")
        return ok("phase")
    if f.phase in ("pre-open", "closing auction"):
        return _auction(f)
    if f.phase == "closed":
        return _after_hours(f)
    if f.phase == PHASE_UNKNOWN and f.reducing:
        return warn("phase", "our calendar does not know this day: the exchange will say whether it trades")
    return block("phase", f"the market is {f.phase} for this instrument")


def _auction(f: Facts) -> Check:
    """Forms that a call auction takes, by its stage (NSE CMTR74466, CMTR74969, FAOP71092)."""
    assert f.instrument is not None
    request = f.request
    shut = _SHUT_STAGES.get(f.stage)
    if shut:
        return block("phase", f"{f.phase}: no orders are taken now, {shut}")
    if request.amo:
        return block("phase", f"{f.phase}: an after-market order cannot be placed now, a normal one can")
    if request.order_type in _STOPS or request.validity is Validity.IOC or request.disclosed_qty:
        return block("phase", f"{f.phase}: stops, IOC and disclosed quantity are not accepted")
    if f.phase == "pre-open" and f.instrument.is_option:
        return block("phase", "pre-open: options do not take part in it")
    if f.stage == "limit only" and request.order_type is OrderType.MARKET:
        return block("phase", f"{f.phase}: market orders are no longer taken, LIMIT orders still are")
    end = ", and its order entry may end at any moment" if f.may_end else ""
    return warn("phase", f"{f.phase}: the order takes part in the auction{end}")


def _after_hours(f: Facts) -> Check:
    request = f.request
    if request.amo and f.by_strategy and not f.by_script:
        return block("phase", "the market is closed: strategies send no after-market orders")
    if request.amo and request.validity is Validity.IOC:
        return block("phase", "an after-market order cannot be IOC")
    if request.amo:
        return warn("phase", "AMO: the market is closed, the order goes in at the next open")
    return block(
        "phase",
        "the market is closed for this instrument: ask for an after-market order (AMO) if you mean the next session",
    )


def square_off(f: Facts) -> Check:
    """No new intraday risk once our own square-off time has come."""
    assert f.instrument is not None
    limits = f.limits
    at = limits.square_off_mcx_s if f.instrument.exchange == "MCX" else limits.square_off_s
    if (
        f.request.product is not Product.INTRADAY
        or not at
        or f.second_of_day < at
        or f.reducing
        # An after-market order belongs to the next session.
        or f.request.amo
    ):
        return ok("square-off")
    return block(
        "square-off", f"intraday positions are squared off from {hhmm(at)}: none is opened after that"
    )


def feed(f: Facts) -> Check:
    """Without a live stream nobody knows the price: no new risk."""
    if f.feed_up:
        return ok("feed")
    if f.reducing:
        return warn("feed", "the feed is down: the price shown is old")
    return block("feed", "the feed is down: no new risk until prices flow again")


def stale(f: Facts) -> Check:
    """An old quote: a quiet instrument draws a warning, a MARKET order on a very old or unseen quote is refused."""
    if f.last is None or f.quote_age_s is None:
        if f.reducing:
            return warn("quote", "no price seen yet")
        return block("quote", "no price seen yet for this instrument")
    if (
        f.quote_age_s > f.limits.stale_block_s
        and f.request.order_type in (OrderType.MARKET, OrderType.SL_M)
        and not f.reducing
    ):
        return block("quote", f"the last price is {f.quote_age_s:.0f} s old: use a LIMIT order")
    if f.quote_age_s > f.limits.stale_warn_s:
        return warn("quote", f"the last price is {f.quote_age_s:.0f} s old")
    return ok("quote")


def price_band(f: Facts) -> Check:
    """Prices lie inside the day's circuit; where nobody knows it, that is said (india-markets 2.5)."""
    if f.band is None:
        return noted("band", "the price band of the day is not known")
    if f.request.amo:
        return noted("band", "the price band of the next session is not known yet")
    low, high = f.band
    for name, price in (("price", f.request.price), ("trigger", f.request.trigger_price)):
        if price and not low <= price <= high:
            words = (
                f"{name} {format_rupees(price)} lies outside the day's band: "
                f"{format_rupees(low)} to {format_rupees(high)}"
            )
            # Bands of shares with derivatives are moved during the day: an exit is left for the exchange to judge.
            return warn("band", words) if f.reducing else block("band", words)
    return ok("band")


def option_band(f: Facts) -> Check:
    """An option's limit price lies within the exchange's limit price protection (india-markets 2.5)."""
    assert f.instrument is not None
    if not f.instrument.is_option or not f.request.price or not f.last:
        return ok("LPP")
    low, high = limit_price_protection(f.last)
    if low <= f.request.price <= high:
        return ok("LPP")
    words = (
        f"price {format_rupees(f.request.price)} lies outside the exchange's limit price protection of about "
        f"{format_rupees(low)} to {format_rupees(high)}"
    )
    # Our reference is the last price, the exchange's a 30-second average: an exit is left for it to judge.
    return warn("LPP", words) if f.reducing else block("LPP", words)


def fat_finger(f: Facts) -> Check:
    """A limit price far from the last price on the losing side is more often a slip than a wish."""
    request = f.request
    if request.order_type not in (OrderType.LIMIT, OrderType.SL) or not f.last:
        return ok("distance")
    away = (request.price - f.last) * request.side.sign / f.last * 100
    most = f.limits.max_ltp_distance_pct
    if away <= most / 3:
        return ok("distance")
    if away <= most or request.is_exit:
        # A wide stop is far by nature, and an exit that is chased is bounded by `desk/stop_terms.py`.
        return warn("distance", f"the price is {away:.1f}% through the last price")
    word = "above" if request.side is Side.BUY else "below"
    return block("distance", f"the price is {away:.1f}% {word} the last price: limit {most:g}%")


def usual_size(f: Facts) -> Check:
    """A quantity far above what the user has lately ordered in this underlying is more often a slip than a wish."""
    if f.reducing or f.by_strategy or not f.usual_qty:
        return ok("usual size")
    times = f.request.qty / f.usual_qty
    words = f"quantity {f.request.qty} is {times:.1f} times the usual {f.usual_qty:g} here"
    if times > f.limits.quantity_block_times > 0:
        return block("usual size", f"{words}: limit {f.limits.quantity_block_times:g} times")
    if times > f.limits.quantity_warn_times > 0:
        return warn("usual size", words)
    return ok("usual size")


def hhmm(second: int) -> str:
    """A second of the day as ``HH:MM``."""
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"
