"""What the broker refuses of a GTT, with its codes (`upstox.md` 2.6 and 6.3)."""

from __future__ import annotations

from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, format_rupees
from tradetui.domain.order import Side
from tradetui.exchange.orders import GttState, Refusal

_MAX_PROTECTION_PCT = 25
_INPUT = "UDAPI100036"


def refuse_new(instrument: Instrument | None, request: GttRequest, last: Price | None) -> Refusal | None:
    """Why a GTT cannot be taken, or ``None``. ``last`` is the last traded price, if any."""
    if instrument is None:
        return Refusal("UDAPI100011", f"unknown instrument key {request.instrument_key}")
    if not instrument.tradable:
        return Refusal("UDAPI100011", f"{instrument.symbol} is an index and cannot be traded")
    if instrument.segment.startswith("MCX"):
        return Refusal("UDAPI1161", "MCX orders are not allowed via API")
    return (
        _refuse_qty(instrument, request.qty)
        or refuse_rules(request.rules)
        or _refuse_prices(request)
        or _refuse_trigger(request, last)
        or _refuse_trail(request, last)
    )


def refuse_rules(rules: tuple[GttRule, ...]) -> Refusal | None:
    """Why these rules make no GTT, whatever the prices."""
    if not 1 <= len(rules) <= 3:
        return Refusal("UDAPI1137", "a MULTIPLE GTT has two or three rules")
    strategies = [rule.strategy for rule in rules]
    if len(set(strategies)) < len(strategies):
        return Refusal("UDAPI1137", "each strategy may be given once")
    if GttStrategy.ENTRY not in strategies:
        return Refusal("UDAPI1141", "the ENTRY rule is mandatory")
    for rule in rules:
        if rule.strategy is not GttStrategy.ENTRY and rule.trigger is not GttTrigger.IMMEDIATE:
            return Refusal("UDAPI1143", f"{rule.strategy.value} allows the trigger type IMMEDIATE only")
    return None


def refuse_change(
    instrument: Instrument, gtt: GttState, wanted: GttRequest, last: Price | None
) -> Refusal | None:
    """Why the terms of a GTT whose entry is an order by now cannot become ``wanted``."""
    entry = wanted.rule(GttStrategy.ENTRY)
    if wanted.qty != gtt.request.qty:
        return Refusal("UDAPI1150", "the quantity cannot change once the entry is open")
    refusal = refuse_rules(wanted.rules)
    if refusal is not None:
        return refusal
    if entry is None or entry.trigger is not GttTrigger.IMMEDIATE:
        return Refusal("UDAPI1150", "once the entry is open, ENTRY allows the trigger type IMMEDIATE only")
    return _refuse_qty(instrument, wanted.qty) or _refuse_prices(wanted) or _refuse_trail(wanted, last)


def _refuse_qty(instrument: Instrument, qty: int) -> Refusal | None:
    if qty <= 0:
        return Refusal("UDAPI1052", "quantity must be above zero")
    if qty % instrument.lot_size:
        return Refusal("UDAPI1064", f"quantity must be a multiple of the lot size {instrument.lot_size}")
    return None


def _refuse_prices(request: GttRequest) -> Refusal | None:
    for rule in request.rules:
        if rule.trigger_price <= 0:
            return Refusal("UDAPI1063", f"{rule.strategy.value} needs a trigger price above zero")
        pct = rule.protection_pct
        if pct not in (-1, 0) and not 1 <= pct <= _MAX_PROTECTION_PCT:
            return Refusal("UDAPI1159", f"market protection must be -1 or 1 to {_MAX_PROTECTION_PCT} percent")
        if rule.trailing_gap and rule.strategy is not GttStrategy.STOPLOSS:
            return Refusal(_INPUT, "trailing_gap belongs to the STOPLOSS rule")
    entry = request.rule(GttStrategy.ENTRY)
    assert entry is not None
    sign = request.side.sign
    for strategy, way in ((GttStrategy.TARGET, sign), (GttStrategy.STOPLOSS, -sign)):
        rule_of = request.rule(strategy)
        if rule_of is not None and (rule_of.trigger_price - entry.trigger_price) * way <= 0:
            word = "above" if way > 0 else "below"
            return Refusal(
                _INPUT, f"{strategy.value} must lie {word} the entry {format_rupees(entry.trigger_price)}"
            )
    return None


def _refuse_trigger(request: GttRequest, last: Price | None) -> Refusal | None:
    entry = request.rule(GttStrategy.ENTRY)
    if entry is None or last is None or entry.trigger is GttTrigger.IMMEDIATE:
        return None
    above = entry.trigger is GttTrigger.ABOVE
    if entry.trigger_price > last if above else entry.trigger_price < last:
        return None
    word = "above" if above else "below"
    return Refusal(
        _INPUT, f"an {entry.trigger.value} trigger must lie {word} the last price {format_rupees(last)}"
    )


def _refuse_trail(request: GttRequest, last: Price | None) -> Refusal | None:
    stop = request.rule(GttStrategy.STOPLOSS)
    if stop is None or not stop.trailing_gap:
        return None
    least = abs(last - stop.trigger_price) if last is not None else 0
    if stop.trailing_gap < 0 or stop.trailing_gap * 10 < least:
        return Refusal(
            "UDAPI1151", "trailing_gap must be at least 10% of the gap between last price and stop"
        )
    return None


def side_of(request: GttRequest, strategy: GttStrategy) -> Side:
    """Side of a rule's order: exits take the other side of the entry."""
    return request.side if strategy is GttStrategy.ENTRY else request.side.opposite
