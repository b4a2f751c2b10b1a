"""Upstox's JSON rows into our values, row by row and tolerantly (`upstox.md` 2.1, 2.2, 2.7, 2.8, 4; case O21).

An unknown enum leaves that one field unsaid; a row that lacks what it cannot do without is dropped, logged
with its text, and never takes its neighbours along.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from tradetui.brokers.upstox.errors import advice
from tradetui.brokers.upstox.redact import redact
from tradetui.domain.calendar import IST
from tradetui.domain.errors import DomainError
from tradetui.domain.events import BrokerPosition, Evidence, GttUpdate, Holding, OrderUpdate
from tradetui.domain.gtt import GttRule, GttStrategy, GttTrigger, RuleState, RuleStatus
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import Fill, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_STATUS: Final = {
    # In transit, and the steps of a change: the order goes on, and the next row says how. They map to
    # PENDING because that never takes an order back from a state it has reached.
    "put order req received": OrderStatus.PENDING,
    "validation pending": OrderStatus.PENDING,
    "open pending": OrderStatus.PENDING,
    "after market order req received": OrderStatus.PENDING,
    "modify validation pending": OrderStatus.PENDING,
    "modify pending": OrderStatus.PENDING,
    "modify after market order req received": OrderStatus.PENDING,
    "modified": OrderStatus.PENDING,
    "not modified": OrderStatus.PENDING,
    "cancel pending": OrderStatus.PENDING,
    "not cancelled": OrderStatus.PENDING,
    "open": OrderStatus.OPEN,
    "trigger pending": OrderStatus.TRIGGER_PENDING,
    "complete": OrderStatus.FILLED,
    "rejected": OrderStatus.REJECTED,
    "cancelled": OrderStatus.CANCELLED,
    "cancelled after market order": OrderStatus.CANCELLED,
}
_PRODUCTS: Final = {"CO": Product.INTRADAY, "OCO": Product.INTRADAY}
"""Cover and bracket legs are intraday positions (`upstox.md` 2.2)."""
_TIMES: Final = ("%Y-%m-%d %H:%M:%S", "%d-%b-%Y %H:%M:%S")


# --- fields -------------------------------------------------------------------------------------------


def status_of(text: object) -> OrderStatus:
    """Our status for the broker's; an unknown word counts as working (`upstox.md` 2.2)."""
    word = clean(text, 60).strip().lower()
    if word not in _STATUS:
        log.warning("unknown order status %r: treated as working", word)
    return _STATUS.get(word, OrderStatus.PENDING)


def time_ns(text: object) -> int:
    """UTC ns of a time of the wire: IST without a zone in both spellings, or ISO 8601; 0 when it is none."""
    if not isinstance(text, str) or not text.strip():
        return 0
    text = text.strip()
    for form in _TIMES:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=IST)
        except ValueError:
            continue
        return int(moment.timestamp()) * 1_000_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    return round(moment.timestamp() * 1_000_000) * 1000


def number(value: object) -> float | None:
    """A finite number, also out of a string; None for anything else, empty strings and null included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def units(value: object) -> int | None:
    """A whole number of units; None when it is not one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    got = number(value)
    return int(got) if got is not None and got == int(got) else None


def price(value: object) -> Price | None:
    """A price in rupees as ours; None when it is not one."""
    got = number(value)
    try:
        return None if got is None else to_price(got)
    except DomainError:
        return None


def money(value: object) -> Money | None:
    """An amount in rupees as ours; None when it is not one."""
    got = number(value)
    try:
        return None if got is None else to_money(got)
    except DomainError:
        return None


def word(kind: type[E], value: object) -> E | None:
    """A member of an enum; None for unknown words, which are logged."""
    if value is None or value == "":
        return None
    try:
        return kind(str(value))
    except ValueError:
        log.warning("unknown %s %r", kind.__name__, clean(value, 40))
        return None


def product(value: object) -> Product | None:
    """The product; cover and bracket orders count as intraday."""
    return _PRODUCTS.get(str(value)) or word(Product, value)


def _key(row: Row) -> str:
    return clean(row.get("instrument_token") or row.get("instrument_key"), 120)


# --- rows ---------------------------------------------------------------------------------------------


def order_update(row: Row, t_ns: int, evidence: Evidence, holder: str = "") -> OrderUpdate | None:
    """One row of the book, of a history, or a push frame; None when it has no order id.

    Args:
        row: The row.
        t_ns: Engine time at which it arrived.
        evidence: Where it comes from.
        holder: User id of the account's holder: what somebody else placed was placed by the broker.
    """
    broker_id = clean(row.get("order_id"), 60)
    if not broker_id:
        return None
    status, placed_by = status_of(row.get("status")), clean(row.get("placed_by"), 60)
    return OrderUpdate(
        t_ns=t_ns,
        evidence=evidence,
        tag=clean(row.get("tag"), 60),
        broker_id=broker_id,
        status=status,
        raw_status=clean(row.get("status"), 60),
        exchange_id=clean(row.get("exchange_order_id"), 60),
        instrument_key=_key(row),
        side=word(Side, row.get("transaction_type")),
        product=product(row.get("product")),
        order_type=word(OrderType, row.get("order_type")),
        validity=word(Validity, row.get("validity")),
        qty=units(row.get("quantity")),
        price=price(row.get("price")),
        trigger_price=price(row.get("trigger_price")),
        filled_qty=units(row.get("filled_quantity")),
        average_price=price(row.get("average_price")),
        message=_words_of(row, status),
        exchange_time_ns=time_ns(row.get("exchange_timestamp")) or time_ns(row.get("order_timestamp")),
        by_broker=bool(holder and placed_by and placed_by != holder),
    )


def _words_of(row: Row, status: OrderStatus) -> str:
    """The broker's own words; after those of a rejection stands what to do about it."""
    words = clean(row.get("status_message") or row.get("status_message_raw"))
    hint = advice(words) if status is OrderStatus.REJECTED else ""
    return f"{words.rstrip('. ')}. {hint}" if hint else words


def fill(row: Row, t_ns: int, tag_of: Mapping[str, str]) -> Fill | None:
    """One trade; None when it lacks what booking it needs.

    Args:
        row: Row of a trade list.
        t_ns: Used where the row has no time.
        tag_of: Our tag by broker id, where known.
    """
    trade_id, broker_id = clean(row.get("trade_id"), 60), clean(row.get("order_id"), 60)
    side, qty = word(Side, row.get("transaction_type")), units(row.get("quantity"))
    paid, key = price(row.get("average_price")), _key(row)
    if not (trade_id and broker_id and key and side is not None and qty and qty > 0) or paid is None:
        return None
    return Fill(
        trade_id=trade_id,
        broker_id=broker_id,
        tag=tag_of.get(broker_id, ""),
        instrument_key=key,
        side=side,
        qty=qty,
        price=paid,
        product=product(row.get("product")) or Product.INTRADAY,
        time_ns=time_ns(row.get("exchange_timestamp")) or time_ns(row.get("order_timestamp")) or t_ns,
    )


def position(row: Row) -> BrokerPosition | None:
    """One position, flat ones included; None when its quantity or product is not said."""
    key, qty, held = _key(row), units(row.get("quantity")), product(row.get("product"))
    if not key or qty is None or held is None:
        return None
    average = price(row.get("average_price"))
    if average is None or (qty and not average):
        # Some rows leave it empty and give the side's own average.
        average = price(row.get("buy_price" if qty > 0 else "sell_price")) or Price(0)
    return BrokerPosition(
        key,
        held,
        qty,
        average,
        money(row.get("realised")) or Money(0),
        price(row.get("close_price")) or Price(0),
        units(row.get("overnight_quantity")) or 0,
    )


def gtt_update(row: Row, t_ns: int, evidence: Evidence) -> GttUpdate | None:
    """One GTT of the book, or a push; None when it lacks its id, its instrument or every rule."""
    gtt_id, key = clean(row.get("gtt_order_id"), 60), _key(row)
    qty, held = units(row.get("quantity")), product(row.get("product"))
    rules = row.get("rules")
    read = (
        [(rule, _rule(rule)) for rule in rules if isinstance(rule, Mapping)]
        if isinstance(rules, list)
        else []
    )
    states = tuple(state for _, state in read if state is not None)
    # The side of the entry; a book whose entry is gone tells it by the exits, which take the other one.
    sides = {state.rule.strategy: word(Side, rule.get("transaction_type")) for rule, state in read if state}
    side = sides.get(GttStrategy.ENTRY) or word(Side, row.get("transaction_type"))
    if side is None and (exit_side := next((one for one in sides.values() if one), None)):
        side = exit_side.opposite
    if not gtt_id or not key or qty is None or held is None or side is None or not states:
        return None
    return GttUpdate(
        t_ns=t_ns,
        evidence=evidence,
        gtt_id=gtt_id,
        instrument_key=key,
        side=side,
        qty=qty,
        product=held,
        rules=states,
        created_ns=(units(row.get("created_at")) or 0) * 1000,
        expires_ns=(units(row.get("expires_at")) or 0) * 1000,
    )


def _rule(row: Row) -> RuleState | None:
    """One rule; None when its strategy or its trigger price is not said."""
    strategy, at = word(GttStrategy, row.get("strategy")), price(row.get("trigger_price"))
    if strategy is None or at is None:
        return None
    raw = clean(row.get("status"), 40)
    return RuleState(
        GttRule(
            strategy,
            word(GttTrigger, row.get("trigger_type")) or GttTrigger.IMMEDIATE,
            at,
            price(row.get("trailing_gap")) or Price(0),
            units(row.get("market_protection")) or -1,
        ),
        word(RuleStatus, raw.upper()) or RuleStatus.SCHEDULED,
        raw,
        clean(row.get("order_id"), 60),
        clean(row.get("message")),
    )


def locked_segments(rows: Iterable[Row]) -> tuple[str, ...]:
    """Segments that the account's own kill switch at the broker has closed, sorted."""
    return tuple(
        sorted({clean(row.get("segment"), 20) for row in rows if row.get("kill_switch_enabled") is True})
    )


def may_sell_holdings(profile: Row) -> bool | None:
    """Whether delivery sales need no further authorisation; None when the profile says neither."""
    said = [profile.get(name) for name in ("ddpi", "poa")]
    return None if all(one is None for one in said) else any(one is True for one in said)


def holding(row: Row) -> Holding | None:
    """Shares in the demat account; None when the quantity is not said."""
    key, qty = _key(row), units(row.get("quantity"))
    if not key or qty is None:
        return None
    return Holding(
        key,
        qty,
        units(row.get("t1_quantity")) or 0,
        units(row.get("cnc_used_quantity")) or 0,
        price(row.get("average_price")) or Price(0),
    )


def funds_v3(data: object) -> tuple[Money, Money] | None:
    """(available, used) out of the v3 tree; None when it is not said."""
    available = money(_at(data, "available_to_trade", "total"))
    if available is None:
        return None
    cash = money(_at(data, "available_to_trade", "cash_available_to_trade", "margin_used", "total"))
    pledged = money(_at(data, "available_to_trade", "pledge_available_to_trade", "margin_used", "total"))
    return available, Money((cash or 0) + (pledged or 0))


def funds_v2(data: object) -> tuple[Money, Money] | None:
    """(available, used) out of the v2 purses; both are one under ``equity`` since July 2025."""
    available = money(_at(data, "equity", "available_margin"))
    return None if available is None else (available, money(_at(data, "equity", "used_margin")) or Money(0))


def _at(data: object, *path: str) -> object:
    for name in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


# --- lists --------------------------------------------------------------------------------------------


def rows_of(data: object) -> list[Row]:
    """The rows of a list reply; null and foreign shapes give none, a single object is a list of one."""
    if isinstance(data, Mapping):
        return [data]
    if not isinstance(data, list):
        return []
    rows = [row for row in data if isinstance(row, Mapping)]
    for odd in (row for row in data if not isinstance(row, Mapping)):
        log.warning("odd row from the broker left out: %s", clean(odd, 200))
    return rows


def each(rows: Iterable[Row], read: Callable[[Row], T | None], what: str) -> list[T]:
    """Read every row that can be read; log the others with their text."""
    return each_and_odd(rows, read, what)[0]


def each_and_odd(
    rows: Iterable[Row], read: Callable[[Row], T | None], what: str
) -> tuple[list[T], list[str]]:
    """What `each` reads, and the text of the rows that could not be read, redacted."""
    out, odd = [], []
    for row in rows:
        try:
            value = read(row)
        except (TypeError, ValueError, OverflowError, DomainError):
            value = None
        if value is None:
            shown = clean(json.dumps(redact(row), default=str), 400)
            log.warning("odd %s from the broker left out: %s", what, shown)
            odd.append(shown)
        else:
            out.append(value)
    return out, odd
