"""What a statement of the broker about an order proves: pure functions over the order and the statement.

A statement may be old: the order book is read while pushes arrive, and what a push said after the read began
is newer. ``asked_ns`` below is the engine time at which the read of the book began; ``None`` for statements
that are not a book.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.events import Evidence, OrderUpdate
from tradetui.domain.money import Price
from tradetui.domain.order import ALLOWED, Order, OrderRequest, OrderStatus, OrderType, Product, Validity
from tradetui.domain.requests import ModifyOrder
from tradetui.domain.text import clean

CANCEL_SHOWS_NS: Final = 2_000_000_000
"""A book read so long after a change was asked for, and showing none, says that it was not made."""
FOREIGN_SOURCE: Final = "foreign"
"""`OrderRequest.source` of what was placed elsewhere (phone, web)."""
BROKER_SOURCE: Final = "broker"
"""`OrderRequest.source` of what the broker placed itself (its square-off)."""


def next_status(order: Order, update: OrderUpdate, asked_ns: int | None) -> OrderStatus:
    """The order's status after a statement: forward only, by `domain.order.ALLOWED`."""
    said, now = update.status, order.status
    if now is OrderStatus.REJECTED and order.broker_id:
        return now
    if said is now or said not in ALLOWED[now]:
        return now
    if is_old(order, asked_ns) and not said.terminal:
        return now
    backwards = said is OrderStatus.PENDING and now in (OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING)
    if backwards and not order.modify_pending:
        return now
    return said


def confirmed_terms(order: Order, update: OrderUpdate, asked_ns: int | None) -> OrderRequest:
    """The order's terms as the broker states them (a confirmed modify changes them)."""
    request = order.request
    silent = update.evidence is Evidence.ACK or update.status is OrderStatus.PENDING
    if silent or is_old(order, asked_ns):
        return request
    if order.foreign:
        # Somebody else's order may have changed its form too.
        request = replace(
            request,
            order_type=update.order_type or request.order_type,
            validity=update.validity or request.validity,
        )
    return replace(
        request,
        qty=update.qty or request.qty,
        # A protected MARKET comes back as a LIMIT with a price: the type we asked for stays.
        price=update.price
        if update.price is not None and request.order_type is not OrderType.MARKET
        else request.price,
        trigger_price=request.trigger_price if update.trigger_price is None else update.trigger_price,
    )


def shows(update: OrderUpdate, asked: ModifyOrder) -> bool:
    """Whether a statement shows the terms that a modify asked for."""
    if update.evidence is Evidence.ACK or update.status is OrderStatus.PENDING or update.qty != asked.qty:
        return False
    # A protected MARKET comes back as a LIMIT at a price that the broker chose.
    protected = asked.order_type in (OrderType.MARKET, OrderType.SL_M)
    return (protected or update.price == asked.price) and (update.trigger_price or 0) == asked.trigger_price


def modify_is_over(order: Order, update: OrderUpdate, asked_ns: int | None, taken_ns: int) -> bool:
    """Whether a statement that shows other terms proves that a modify under way has been decided.

    Only a book can: a push may tell of something that happened before. It must have been read after the broker
    took the request, or, without any answer, long enough after it was sent.

    Args:
        order: The order; it was last changed when the modify was sent, or later.
        update: The statement.
        asked_ns: When the reading of the book began; ``None`` for a push.
        taken_ns: When the broker said that it took the request; 0 for not (yet).
    """
    silent = update.evidence is Evidence.ACK or update.status is OrderStatus.PENDING
    if silent or asked_ns is None or is_old(order, asked_ns):
        return False
    return asked_ns > taken_ns if taken_ns else asked_ns - order.updated_ns >= CANCEL_SHOWS_NS


def day_is_over(order: Order, now_ns: int) -> bool:
    """Whether an order cannot rest any more, because the day that it was for has passed.

    An after-market order is for the next session, whatever the date on which it was placed; and one whose state
    the broker has never told may be such a one.
    """
    raw = order.raw_status.lower()
    told = bool(raw) or order.status in (OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING)
    waits = not told or raw.startswith(("after market", "modify after market"))
    return ist_date(order.created_ns) < ist_date(now_ns) and not waits


def cancel_failed(order: Order, update: OrderUpdate, asked_ns: int | None) -> bool:
    """Whether the book, read well after a cancel was asked for, shows the order working all the same."""
    return (
        asked_ns is not None
        and asked_ns - order.updated_ns >= CANCEL_SHOWS_NS
        and bool(order.broker_id)
        and update.status in (OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING)
    )


def is_old(order: Order, asked_ns: int | None) -> bool:
    """Whether a book was read before what we know of an order."""
    return asked_ns is not None and order.updated_ns > asked_ns


def ended_with_its_day(order: Order, t_ns: int) -> Order:
    """The order once a book of a later day lacks it."""
    words = "its day is over: the exchange keeps no such order over night"
    return replace(order, status=OrderStatus.CANCELLED, message=words, updated_ns=t_ns)


@dataclass(frozen=True, slots=True)
class Child:
    """What an order owes to the GTT it came out of.

    Attributes:
        group: The GTT's label.
        source: What it is for, as `OrderRequest.source` says it.
        reason: Why, in words.
        foreign: The GTT was placed elsewhere.
    """

    group: str
    source: str
    reason: str
    foreign: bool


def as_child(order: Order, child: Child) -> Order:
    """An adopted order, known to have come out of a GTT."""
    request = replace(order.request, group=child.group, source=child.source, reason=child.reason)
    return replace(order, request=request, foreign=child.foreign)


def as_ours(order: Order, tag: str) -> Order:
    """An adopted order that carries a label which only we give out: the record of it was lost (case R5)."""
    request = replace(
        order.request, source="manual", reason="found in the broker's book; its record here was lost"
    )
    return replace(order, tag=tag, request=request, foreign=False)


def what_was_found(order: Order, *, taken: bool) -> str:
    """What an adopted order is, in words; ``taken``: its label is on another one of ours."""
    if taken:
        return "a second order under our label"
    if not order.foreign:
        return "an order of ours whose record is lost"
    return "order of the broker" if order.request.source == BROKER_SOURCE else "foreign order"


def merged(order: Order, twin: Order) -> Order:
    """Our order with what a push without our label had told of it under another name."""
    return replace(
        order,
        status=twin.status,
        exchange_id=twin.exchange_id,
        filled_qty=max(order.filled_qty, twin.filled_qty),
        average_price=twin.average_price or order.average_price,
        raw_status=twin.raw_status,
        message=twin.message,
    )


def never_was(twin: Order, tag: str) -> Order:
    """The last state of a stranger that turned out to be our order ``tag``."""
    return replace(twin, status=OrderStatus.ABSENT, message=f"it is {tag}", broker_id="")


def adopted(update: OrderUpdate) -> Order | None:
    """The order that a statement about a stranger describes; ``None`` when it says too little."""
    if not update.broker_id or not update.instrument_key or update.side is None:
        return None
    request = OrderRequest(
        instrument_key=update.instrument_key,
        side=update.side,
        qty=update.qty or update.filled_qty or 0,
        product=update.product or Product.INTRADAY,
        order_type=update.order_type or OrderType.LIMIT,
        price=update.price or Price(0),
        trigger_price=update.trigger_price or Price(0),
        validity=update.validity or Validity.DAY,
        source=BROKER_SOURCE if update.by_broker else FOREIGN_SOURCE,
        reason="placed by the broker" if update.by_broker else "",
    )
    return Order(
        tag=f"x-{update.broker_id}",
        request=request,
        status=update.status,
        created_ns=update.exchange_time_ns or update.t_ns,
        updated_ns=update.t_ns,
        broker_id=update.broker_id,
        exchange_id=update.exchange_id,
        filled_qty=update.filled_qty or 0,
        average_price=update.average_price or Price(0),
        raw_status=clean(update.raw_status),
        message=clean(update.message),
        foreign=True,
    )
