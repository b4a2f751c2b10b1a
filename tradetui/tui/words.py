"""Typed words for managing orders and positions, into plain values. Pure: no engine, no screen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from tradetui.domain.errors import DomainError
from tradetui.domain.exit_plan import ExitPlan, Trail, TrailKind
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger
from tradetui.domain.money import Price, format_rupees, to_price
from tradetui.domain.order import Product, Side

_TRAIL: Final = re.compile(r"^(\d+(?:\.\d{1,4})?)(%|atr|ch|chandelier)?$", re.IGNORECASE)
_CLOCK: Final = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$")
_OFF: Final = frozenset({"off", "none", "-"})
PLAN_USAGE: Final = "stop P, target P, trail 2.5|1%|2atr|3ch, leave HH:MM, overnight on; off takes one away"
_SIDES: Final = {"buy": Side.BUY, "b": Side.BUY, "sell": Side.SELL, "s": Side.SELL}
BASKET_USAGE: Final = "basket buy QTY SYMBOL [@PRICE] [as D]; sell QTY SYMBOL [@PRICE]; ... (2l is two lots)"
GTT_USAGE: Final = "gtt buy|sell QTY above|below|now PRICE [stop P] [target P] [trail P] [as D|I|MTF]"


def price_of(text: str) -> Price | None:
    """A price in rupees as typed; ``None`` when it is none, or not above zero."""
    try:
        value = to_price(text.replace(",", ""))
    except (DomainError, ArithmeticError, ValueError):
        return None
    return value if value > 0 else None


def trail_of(text: str) -> Trail | None:
    """``2.5`` points, ``1%``, ``2atr``, ``3ch`` (Chandelier); ``None`` when it is none of these."""
    found = _TRAIL.match(text.strip())
    if found is None:
        return None
    kind = {"": TrailKind.POINTS, "%": TrailKind.PERCENT, "atr": TrailKind.ATR}.get(
        (found[2] or "").lower(), TrailKind.CHANDELIER
    )
    if kind is TrailKind.POINTS:
        points = price_of(found[1])
        return Trail(kind, points) if points else None
    hundredths = round(float(found[1]) * 100)
    return Trail(kind, hundredths) if 0 < hundredths <= 5_000 else None


def trail_text(trail: Trail | None) -> str:
    """A trail as it is typed; empty for none."""
    if trail is None:
        return ""
    if trail.kind is TrailKind.POINTS:
        return format_rupees(Price(trail.by)).replace(",", "")
    unit = {TrailKind.PERCENT: "%", TrailKind.ATR: "atr", TrailKind.CHANDELIER: "ch"}[trail.kind]
    return f"{trail.by / 100:g}{unit}"


def plan_text(plan: ExitPlan | None) -> str:
    """A plan in words for the screen; empty for none."""
    if plan is None or plan.empty:
        return ""
    parts = [f"stop {format_rupees(plan.stop)}"] if plan.stop else []
    parts += [f"target {format_rupees(plan.target)}"] if plan.target else []
    parts += [f"trail {trail_text(plan.trail)}"] if plan.trail else []
    if plan.time_exit_s:
        parts.append(f"leave {plan.time_exit_s // 3600:02d}:{plan.time_exit_s // 60 % 60:02d}")
    return " ".join(parts) + (" overnight" if plan.overnight else "")


def plan_of(words: list[str], now: ExitPlan | None) -> ExitPlan | str:
    """The plan after typed changes, or what is wrong with them.

    Args:
        words: Pairs such as ``stop 95 trail 1%``; ``off`` alone takes the whole plan away.
        now: The plan in force.
    """
    if [word.lower() for word in words] == ["off"]:
        return ExitPlan()
    plan = now or ExitPlan()
    if not words or len(words) % 2:
        return PLAN_USAGE
    for name, text in zip(words[::2], words[1::2], strict=True):
        changed = _changed(plan, name.lower(), text)
        if isinstance(changed, str):
            return changed
        plan = changed
    return plan


def _changed(plan: ExitPlan, name: str, text: str) -> ExitPlan | str:
    off = text.lower() in _OFF
    if name in ("stop", "target"):
        price = Price(0) if off else price_of(text)
        if price is None:
            return f"{name} {text}: type a price in rupees, or off"
        return replace(plan, stop=price) if name == "stop" else replace(plan, target=price)
    if name == "trail":
        trail = None if off else trail_of(text)
        if trail is None and not off:
            return f"trail {text}: type 2.5 (points), 1%, 2atr, 3ch, or off"
        return replace(plan, trail=trail)
    if name == "leave":
        clock = _CLOCK.match(text)
        if clock is None and not off:
            return f"leave {text}: type a time such as 15:00, or off"
        return replace(plan, time_exit_s=int(clock[1]) * 3600 + int(clock[2]) * 60 if clock else 0)
    if name == "overnight":
        return replace(plan, overnight=text.lower() in ("on", "yes"))
    return f"{name}: {PLAN_USAGE}"


def gtt_of(words: list[str], key: str, lot: int, client_id: str) -> GttRequest | str:
    """A GTT as typed, or what is wrong with it. ``QTY`` may end in ``l`` for lots.

    Args:
        words: What follows ``gtt``.
        key: Instrument.
        lot: Its lot.
        client_id: For one review, one GTT.
    """
    if len(words) < 4 or len(words) % 2:
        return GTT_USAGE
    side = _SIDES.get(words[0].lower())
    qty = units_of(words[1], lot)
    when = {"above": GttTrigger.ABOVE, "below": GttTrigger.BELOW, "now": GttTrigger.IMMEDIATE}
    trigger, price = when.get(words[2].lower()), price_of(words[3])
    if side is None or qty is None or trigger is None or price is None:
        return GTT_USAGE
    stop: Price | None = None
    target: Price | None = None
    gap, product = Price(0), Product.DELIVERY
    for name, text in zip(words[4::2], words[5::2], strict=True):
        value = price_of(text)
        if name.lower() == "as" and text.upper() in {one.value for one in Product}:
            product = Product(text.upper())
        elif value is None or name.lower() not in ("stop", "target", "trail"):
            return f"{name} {text}: {GTT_USAGE}"
        elif name.lower() == "stop":
            stop = value
        elif name.lower() == "target":
            target = value
        else:
            gap = value
    if gap and stop is None:
        return "a trailing gap belongs to a stop: add stop P"
    rules = [GttRule(GttStrategy.ENTRY, trigger, price)]
    if target is not None:
        rules.append(GttRule(GttStrategy.TARGET, GttTrigger.IMMEDIATE, target))
    if stop is not None:
        rules.append(GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, stop, gap))
    return GttRequest(key, side, qty, product, tuple(rules), client_id=client_id)


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a basket as typed.

    Attributes:
        qty: Units, or lots with an ``l`` behind.
        symbol: What to look up.
        price: Limit; 0 for a protected market order.
    """

    side: Side
    qty: str
    symbol: str
    price: Price
    product: Product


def legs_of(text: str) -> list[Leg] | str:
    """The legs of a basket, ``;`` between them, or what is wrong with them."""
    legs: list[Leg] = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        leg = _leg_of(part.split())
        if leg is None:
            return f"{part}: {BASKET_USAGE}"
        legs.append(leg)
    if len(legs) < 2:
        return BASKET_USAGE
    return legs


def _leg_of(words: list[str]) -> Leg | None:
    product, price = Product.INTRADAY, Price(0)
    if len(words) > 2 and words[-2].lower() == "as":
        found = next((one for one in Product if one.value == words[-1].upper()), None)
        if found is None:
            return None
        product, words = found, words[:-2]
    if words and words[-1].startswith("@"):
        typed = price_of(words[-1][1:])
        if typed is None:
            return None
        price, words = typed, words[:-1]
    side = _SIDES.get(words[0].lower()) if words else None
    if side is None or len(words) < 3 or units_of(words[1], 1) is None:
        return None
    return Leg(side, words[1], " ".join(words[2:]), price, product)


def units_of(text: str, lot: int) -> int | None:
    """Units in ``130`` or ``2l``; ``None`` when it is no quantity."""
    number, times = (text[:-1], lot) if text[-1:] in ("l", "L") else (text, 1)
    return int(number) * times if number.isascii() and number.isdigit() and int(number) > 0 else None


def gtt_sentences(request: GttRequest, symbol: str) -> tuple[str, ...]:
    """A GTT in full, and what people get wrong about it (`upstox.md` 2.6)."""
    entry = request.rule(GttStrategy.ENTRY)
    assert entry is not None
    when = {GttTrigger.ABOVE: "rises to", GttTrigger.BELOW: "falls to", GttTrigger.IMMEDIATE: "is now near"}
    lines = [
        f"{request.side.value} {request.qty:,} {symbol} {request.product.value}",
        f"when the price {when[entry.trigger]} {format_rupees(entry.trigger_price)}",
    ]
    for rule in request.rules[1:]:
        name = "target" if rule.strategy is GttStrategy.TARGET else "stop"
        trail = f", trailing by {format_rupees(rule.trailing_gap)}" if rule.trailing_gap else ""
        lines.append(
            f"then {request.side.opposite.value} at the {name} {format_rupees(rule.trigger_price)}{trail}"
        )
    lines += [
        "",
        "It rests at the broker, also when this program is off.",
        "It OPENS a position: it cannot protect one that you hold already.",
        "Its order is a LIMIT near the trigger: the price must come twice, to trigger and to fill.",
    ]
    if request.product is Product.INTRADAY:
        lines.append("An intraday GTT ends with the day.")
    if any(rule.trailing_gap for rule in request.rules):
        lines.append("The broker moves the trail; each move is not told to us.")
    return tuple(lines)
