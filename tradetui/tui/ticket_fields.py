"""The order ticket's fields: what they hold, how keys change them, and the order they make. Pure.

`ticket.py` has the rest of its life: review, checks, send.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tradetui.domain.errors import DomainError
from tradetui.domain.money import Price, format_rupees, to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.view import InstrumentRow
from tradetui.tui.words import trail_of

_DERIVATIVES = frozenset({"FUT", "CE", "PE"})
LONGEST = 12
"""Most characters in a typed field."""


class Field(StrEnum):
    """The fields, in the order Tab visits them."""

    QTY = "qty"
    TYPE = "type"
    PRICE = "price"
    TRIGGER = "trigger"
    PRODUCT = "product"
    VALIDITY = "validity"
    DISCLOSED = "disclosed"
    STOP = "stop"
    TARGET = "target"
    TRAIL = "trail"


_CHOSEN_FIELDS = (Field.TYPE, Field.PRODUCT, Field.VALIDITY)
_PRICED_FIELDS = (Field.PRICE, Field.TRIGGER, Field.STOP, Field.TARGET)
_CHANGEABLE = (Field.QTY, Field.PRICE, Field.TRIGGER)
"""Fields of an order that works already."""
Choice = OrderType | Product | Validity
"""What a field of fixed choices may hold."""


class Phase(StrEnum):
    """Where the ticket stands."""

    EDIT = "edit"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One order being typed. Prices typed in rupees; ``tick`` in 1/10,000 rupee.

    Attributes:
        client_id: Made when the ticket opened: one ticket sends at most one order.
        field: Field with the cursor.
        fresh: The next character replaces the field instead of extending it.
        lots: The quantity field is in lots.
        message: What the last key could not do, in words.
        request: The order under review.
        painted_ms: When its review, with the answer of the risk checks, was first painted; -1 before.
        pressed_ms: Last press of send; -1 before.
        reviewed_worst: Worst price that was painted, for market orders.
        retyped: Quantity typed again to pass a warning.
        all_checks: Name every check that passed instead of counting them.
        reason: Recorded with the order.
        disclosed: Units shown in the book; empty shows all.
        stop, target, trail: How the position shall be left, as typed; empty for nobody's business.
        modifies: Tag of the working order that this ticket changes; empty for a new order.
        amo: The market was closed when it opened: the order is labelled as one for the next open.
        moves_stop: That order is the stop of a position: its units and its limit follow by themselves.
    """

    instrument: InstrumentRow
    side: Side
    client_id: str
    qty: str = ""
    order_type: OrderType = OrderType.LIMIT
    price: str = ""
    trigger: str = ""
    product: Product = Product.INTRADAY
    validity: Validity = Validity.DAY
    field: Field = Field.QTY
    fresh: bool = True
    lots: bool = False
    phase: Phase = Phase.EDIT
    message: str = ""
    request: OrderRequest | None = None
    painted_ms: int = -1
    pressed_ms: int = -1
    reviewed_worst: int = 0
    retyped: str = ""
    all_checks: bool = False
    reason: str = ""
    disclosed: str = ""
    stop: str = ""
    target: str = ""
    trail: str = ""
    modifies: str = ""
    moves_stop: bool = False
    amo: bool = False

    @property
    def derivative(self) -> bool:
        """Whether it trades in lots."""
        return self.instrument.kind in _DERIVATIVES or self.instrument.lot > 1

    @property
    def units(self) -> int:
        """Units typed; 0 when the field is empty."""
        number = int(self.qty) if self.qty.isdigit() else 0
        return number * self.instrument.lot if self.lots else number

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that this type of order has."""
        priced = self.order_type in (OrderType.LIMIT, OrderType.SL)
        stopped = self.order_type in (OrderType.SL, OrderType.SL_M)
        if self.moves_stop:
            return (Field.TRIGGER,)
        skip = (() if priced else (Field.PRICE,)) + (() if stopped else (Field.TRIGGER,))
        skip += (Field.DISCLOSED,) if self.derivative else ()
        return tuple(field for field in (_CHANGEABLE if self.modifies else Field) if field not in skip)


def open_ticket(
    instrument: InstrumentRow,
    side: Side,
    client_id: str,
    *,
    price: str = "",
    product: Product = Product.INTRADAY,
    amo: bool = False,
) -> Ticket:
    """A fresh ticket with the cursor in the quantity; derivatives start in lots."""
    lots = instrument.lot > 1
    return Ticket(instrument, side, client_id, price=price, product=product, lots=lots, amo=amo)


def filled_in(
    ticket: Ticket,
    *,
    qty: str,
    reason: str,
    lots: bool | None = None,
    product: Product | None = None,
    order_type: OrderType | None = None,
    stop: Price = Price(0),
    target: Price = Price(0),
) -> Ticket:
    """A ticket whose terms come from a position or a signal instead of the keyboard."""
    return replace(
        ticket,
        qty=qty,
        reason=reason,
        lots=ticket.lots if lots is None else lots,
        product=product or ticket.product,
        order_type=order_type or ticket.order_type,
        stop=price_text(stop, ticket.instrument.tick) if stop else "",
        target=price_text(target, ticket.instrument.tick) if target else "",
    )


def changing(ticket: Ticket, order: Order) -> Ticket:
    """A ticket that changes a working order: its terms are filled in, its type stays.

    A stop that has triggered is a limit order by now, and so is what rests of a protected market order.
    """
    request, tick = order.request, ticket.instrument.tick
    lots = ticket.lots and request.qty % ticket.instrument.lot == 0
    order_type, stop = request.order_type, request.is_resting_stop
    triggered = order.status is OrderStatus.OPEN and order_type is OrderType.SL
    if order_type is OrderType.MARKET or triggered:
        order_type, stop = OrderType.LIMIT, False
    return replace(
        ticket,
        modifies=order.tag,
        moves_stop=stop,
        lots=lots,
        qty=str(request.qty // ticket.instrument.lot if lots else request.qty),
        order_type=order_type,
        price=price_text(request.price, tick) if request.price else ticket.price,
        trigger=price_text(request.trigger_price, tick) if request.trigger_price else "",
        product=request.product,
        validity=request.validity,
        disclosed=str(request.disclosed_qty or ""),
        field=Field.TRIGGER if stop else Field.QTY,
    )


def price_text(value: int, tick: int = 500) -> str:
    """A price in 1/10,000 rupee as it is typed: no commas."""
    return format_rupees(value, 2 if tick % 100 == 0 else 4).replace(",", "")


def build(ticket: Ticket) -> OrderRequest | tuple[Field, str]:
    """The order as typed, or the field that is wrong and why."""
    qty = ticket.units
    if qty <= 0:
        return Field.QTY, "type a quantity"
    price, trigger = Price(0), Price(0)
    if Field.PRICE in ticket.fields:
        made = typed_price(ticket.price)
        if made is None:
            return Field.PRICE, "type a price in rupees"
        price = made
    if Field.TRIGGER in ticket.fields:
        made = typed_price(ticket.trigger)
        if made is None:
            return Field.TRIGGER, "type a trigger price in rupees"
        trigger = made
    left: dict[Field, Price] = {}
    for field in (Field.STOP, Field.TARGET):
        text = str(getattr(ticket, field.value))
        made = typed_price(text) if text else Price(0)
        if made is None:
            return field, f"type a {field.value} in rupees, or clear it"
        left[field] = made
    trail = trail_of(ticket.trail) if ticket.trail else None
    if ticket.trail and trail is None:
        return Field.TRAIL, "type a trail such as 2.5, 1%, 2atr or 3ch, or clear it"
    return OrderRequest(
        instrument_key=ticket.instrument.key,
        side=ticket.side,
        qty=qty,
        product=ticket.product,
        order_type=ticket.order_type,
        price=price,
        trigger_price=trigger,
        validity=ticket.validity,
        reason=ticket.reason,
        disclosed_qty=int(ticket.disclosed or 0) if Field.DISCLOSED in ticket.fields else 0,
        stop=left[Field.STOP],
        target=left[Field.TARGET],
        trail=trail,
        client_id=ticket.client_id,
        amo=ticket.amo and not ticket.modifies,
    )


def typed_price(text: str) -> Price | None:
    """A typed price above zero; ``None`` when it is none."""
    try:
        value = to_price(text) if text.strip(".") else Price(0)
    except (DomainError, ArithmeticError, ValueError):
        return None
    return value if value > 0 else None


def _step_field(ticket: Ticket, step: int) -> Ticket:
    fields = ticket.fields
    index = fields.index(ticket.field) if ticket.field in fields else 0
    return replace(ticket, field=fields[(index + step) % len(fields)], fresh=True, message="")


def _step_value(ticket: Ticket, step: int) -> Ticket:
    ticket = replace(ticket, message="")
    if ticket.field is Field.QTY:
        unit = 1 if ticket.lots else max(ticket.instrument.lot, 1)
        number = int(ticket.qty) if ticket.qty.isdigit() else 0
        return replace(ticket, qty=str(max(0, number + step * unit)), fresh=True)
    if ticket.field is Field.TRAIL:
        return ticket
    if ticket.field is Field.DISCLOSED:
        number = int(ticket.disclosed or 0)
        return replace(ticket, disclosed=str(max(0, number + step) or ""), fresh=True)
    if ticket.field in _PRICED_FIELDS:
        tick = max(ticket.instrument.tick, 1)
        typed = typed_price(getattr(ticket, ticket.field.value)) or Price(0)
        moved = max(
            tick, (typed // tick + step) * tick if typed % tick == 0 or step > 0 else typed // tick * tick
        )
        return _with(ticket, price_text(moved, tick))
    choices = _choices(ticket)
    now = choices.index(_chosen(ticket))
    return _choose(ticket, choices[(now + step) % len(choices)])


def _choices(ticket: Ticket) -> Sequence[Choice]:
    if ticket.field is Field.TYPE:
        return list(OrderType)
    if ticket.field is Field.PRODUCT:
        return [Product.INTRADAY, Product.DELIVERY] + ([] if ticket.derivative else [Product.MTF])
    return list(Validity)


def _chosen(ticket: Ticket) -> Choice:
    if ticket.field is Field.TYPE:
        return ticket.order_type
    return ticket.product if ticket.field is Field.PRODUCT else ticket.validity


def _choose(ticket: Ticket, value: Choice) -> Ticket:
    if isinstance(value, OrderType):
        return replace(ticket, order_type=value)
    if isinstance(value, Product):
        return replace(ticket, product=value)
    return replace(ticket, validity=value)


def _with(ticket: Ticket, text: str) -> Ticket:
    changed: dict[str, Any] = {ticket.field.value: text, "fresh": False}
    return replace(ticket, **changed)


def typed(ticket: Ticket, char: str) -> Ticket:
    """A character typed into the field with the cursor."""
    ticket = replace(ticket, message="")
    if ticket.field in _CHOSEN_FIELDS:
        choices = _choices(ticket)
        start = choices.index(_chosen(ticket)) + 1
        wanted = [value for value in [*choices[start:], *choices[:start]] if word(value)[:1] == char.upper()]
        return _choose(ticket, wanted[0]) if wanted else ticket
    old = "" if ticket.fresh else str(getattr(ticket, ticket.field.value))
    if char == "." and ticket.field not in (Field.QTY, Field.DISCLOSED) and "." not in old:
        return _with(ticket, old + char)
    if ticket.field is Field.TRAIL and char.lower() in "%atrch" and len(old) < LONGEST:
        return _with(ticket, old + char.lower())
    if char.isascii() and char.isdigit() and len(old) < LONGEST:
        return _with(ticket, old + char)
    return ticket


def _erase(ticket: Ticket) -> Ticket:
    if ticket.field in _CHOSEN_FIELDS:
        return ticket
    return _with(ticket, str(getattr(ticket, ticket.field.value))[:-1])


def _clear(ticket: Ticket) -> Ticket:
    return ticket if ticket.field in _CHOSEN_FIELDS else _with(ticket, "")


def _toggle_lots(ticket: Ticket) -> Ticket:
    lot = ticket.instrument.lot
    if lot <= 1:
        return replace(ticket, message="this instrument trades in single units")
    number = int(ticket.qty) if ticket.qty.isdigit() else 0
    if not ticket.lots:
        if number % lot:
            return replace(ticket, message=f"{number} is not a multiple of the lot {lot}")
        return replace(ticket, lots=True, qty=str(number // lot) if number else "", message="")
    return replace(ticket, lots=False, qty=str(number * lot) if number else "", message="")


def _to_price(ticket: Ticket) -> Ticket:
    if Field.PRICE not in ticket.fields:
        if ticket.modifies:
            return replace(ticket, field=Field.TRIGGER, fresh=True, message="")
        ticket = replace(ticket, order_type=OrderType.LIMIT)
    return replace(ticket, field=Field.PRICE, fresh=True, message="")


def word(value: Choice) -> str:
    """A choice as the screen spells it."""
    if isinstance(value, Product):
        return {"I": "INTRADAY", "D": "DELIVERY", "MTF": "MTF"}[value.value]
    return value.value


EDITS = {
    "ticket.next": lambda ticket: _step_field(ticket, 1),
    "ticket.previous": lambda ticket: _step_field(ticket, -1),
    "ticket.more": lambda ticket: _step_value(ticket, 1),
    "ticket.less": lambda ticket: _step_value(ticket, -1),
    "ticket.lots": _toggle_lots,
    "ticket.price": _to_price,
    "ticket.erase": _erase,
    "ticket.clear": _clear,
}
"""What a key does to the field with the cursor, by the id of its action."""
