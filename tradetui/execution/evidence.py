"""What a statement of the broker about an order proves: pure functions over the order and the statement.

A statement may be old: the order book is read while pushes arrive, and what a push said after the read began
is newer. ``asked_ns`` below is the engine time at which the read of the book began; ``None`` for statements
that are not a book.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tradetui.domain.events import Evidence, OrderUpdate
from tradetui.domain.money import Price
from tradetui.domain.order import ALLOWED, Order, OrderRequest, OrderStatus, OrderType, Product, Validity
from tradetui.domain.text import clean

CANCEL_SHOWS_NS: Final = 2_000_000_000
"""A book read so long after a cancel was asked for, and still showing the order open, says: not cancelled."""


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
    return replace(
        request,
        qty=update.qty or request.qty,
        # A protected MARKET comes back as a LIMIT with a price: the type we asked for stays.
        price=update.price
        if update.price is not None and request.order_type is not OrderType.MARKET
        else request.price,
        trigger_price=request.trigger_price if update.trigger_price is None else update.trigger_price,
    )


def modify_is_over(order: Order, update: OrderUpdate, asked_ns: int | None) -> bool:
    """Whether a statement shows that a modify under way has been decided."""
    silent = update.evidence is Evidence.ACK or update.status is OrderStatus.PENDING
    if silent or is_old(order, asked_ns):
        return False
    return update.t_ns > order.updated_ns or update.evidence is Evidence.STREAM


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
        source="foreign",
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
