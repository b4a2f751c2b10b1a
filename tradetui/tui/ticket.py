"""The order ticket: a pure state machine, keys in, state out.

It knows no terminal and reads no clock, so no key can be lost or leak: whatever arrives after the key that
opened the ticket goes into it, in order (`tui.md` b4). Three rules hold for every sequence of keys:

* only `send` sends, and only a review that was painted at least 300 ms ago, with `send` untouched since;
* a block cannot be passed; a warning costs retyping the quantity;
* a market order is reviewed again if its worst price got worse by more than a fifth of a percent; a limit review does not expire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tradetui.domain.errors import DomainError
from tradetui.domain.money import Price, format_rupees, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.view import InstrumentRow, Preview, Verdict

SEND = "ticket.send"
"""Id of the only action that sends."""
DEAD_MS = 300
"""Send is dead this long after the review was painted, and after any press of send."""
_DERIVATIVES = frozenset({"FUT", "CE", "PE"})
_LONGEST = 12


class Field(StrEnum):
    """The fields, in the order Tab visits them."""

    QTY = "qty"
    TYPE = "type"
    PRICE = "price"
    TRIGGER = "trigger"
    PRODUCT = "product"
    VALIDITY = "validity"


Choice = OrderType | Product | Validity
"""What a field of fixed choices may hold."""


WORST_SLACK_BP = 20
"""How much worse the worst price may get after it was read, in 1/100 percent: it is percents away from the market
as it is, and follows it tick by tick; asking again at every tick would teach people not to read."""


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
        stop, target: Levels of the signal the ticket came from.
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
    stop: Price = Price(0)
    target: Price = Price(0)

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
        skip = (() if priced else (Field.PRICE,)) + (() if stopped else (Field.TRIGGER,))
        return tuple(field for field in Field if field not in skip)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a key did.

    Attributes:
        ticket: The ticket after the key; ``None`` when it is closed.
        send: The order to place, at most once in a ticket's life.
    """

    ticket: Ticket | None
    send: OrderRequest | None = None


def open_ticket(
    instrument: InstrumentRow,
    side: Side,
    client_id: str,
    *,
    price: str = "",
    product: Product = Product.INTRADAY,
) -> Ticket:
    """A fresh ticket with the cursor in the quantity; derivatives start in lots."""
    lots = instrument.lot > 1
    return Ticket(instrument, side, client_id, price=price, product=product, lots=lots)


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
        stop=stop,
        target=target,
    )


def refuse(ticket: Ticket, message: str, now_ms: int) -> Ticket:
    """Send was pressed where nothing can be sent."""
    return replace(ticket, message=message, pressed_ms=now_ms)


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
        made = _typed_price(ticket.price)
        if made is None:
            return Field.PRICE, "type a price in rupees"
        price = made
    if Field.TRIGGER in ticket.fields:
        made = _typed_price(ticket.trigger)
        if made is None:
            return Field.TRIGGER, "type a trigger price in rupees"
        trigger = made
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
        stop=ticket.stop,
        target=ticket.target,
        client_id=ticket.client_id,
    )


def _typed_price(text: str) -> Price | None:
    try:
        value = to_price(text) if text.strip(".") else Price(0)
    except (DomainError, ArithmeticError, ValueError):
        return None
    return value if value > 0 else None


def asked(ticket: Ticket) -> OrderRequest | None:
    """The order to have judged now: the one under review, or the one typed so far if it is complete."""
    if ticket.request is not None:
        return ticket.request
    made = build(ticket)
    return made if isinstance(made, OrderRequest) else None


def answers(ticket: Ticket, preview: Preview | None) -> Preview | None:
    """``preview`` if it judges exactly what this ticket asks, else ``None``."""
    if preview is None or preview.request != asked(ticket):
        return None
    return preview


def painted(ticket: Ticket, preview: Preview | None, now_ms: int) -> Ticket:
    """Note that the review and its checks were put on the terminal. Only the first time counts."""
    answer = answers(ticket, preview)
    if ticket.phase is not Phase.REVIEW or ticket.painted_ms >= 0 or answer is None:
        return ticket
    return replace(ticket, painted_ms=now_ms, reviewed_worst=answer.worst_price)


def unpainted(ticket: Ticket) -> Ticket:
    """The picture of the review was lost (a resize): it has to be painted and read again."""
    return replace(ticket, painted_ms=-1) if ticket.painted_ms >= 0 else ticket


def missing(ticket: Ticket) -> str:
    """What is still to be typed, in words; empty when the order is complete."""
    made = build(ticket)
    return "" if isinstance(made, OrderRequest) else made[1]


def review(ticket: Ticket) -> Ticket:
    """Ask for the review, or put the cursor on what is missing."""
    made = build(ticket)
    if not isinstance(made, OrderRequest):
        field, words = made
        return replace(ticket, field=field, fresh=True, message=words)
    return replace(
        ticket, phase=Phase.REVIEW, request=made, painted_ms=-1, reviewed_worst=0, retyped="", message=""
    )


def edit(ticket: Ticket) -> Ticket:
    """From review back to the fields."""
    return replace(ticket, phase=Phase.EDIT, request=None, painted_ms=-1, retyped="", fresh=True, message="")


def send(ticket: Ticket, preview: Preview | None, now_ms: int) -> Outcome:
    """Press send: the order goes out, or the ticket says why not."""
    held = ticket.pressed_ms >= 0 and now_ms - ticket.pressed_ms < DEAD_MS
    ticket = replace(ticket, pressed_ms=now_ms)
    if ticket.phase is not Phase.REVIEW or ticket.request is None:
        return Outcome(replace(ticket, message="review first: Enter"))
    answer = answers(ticket, preview)
    if ticket.painted_ms < 0 or answer is None:
        return Outcome(replace(ticket, message="not sent: the checks have not answered yet"))
    if held or now_ms - ticket.painted_ms < DEAD_MS:
        return Outcome(replace(ticket, message="not sent: read the review, then press send once"))
    if answer.blocked:
        rules = ", ".join(check.rule for check in answer.checks if check.verdict is Verdict.BLOCK)
        return Outcome(replace(ticket, message=f"not sent: blocked by {rules}"))
    if _worse(ticket, answer):
        words = f"worst price moved to {price_text(answer.worst_price)}: read again, then send"
        return Outcome(replace(ticket, painted_ms=-1, reviewed_worst=0, retyped="", message=words))
    if not _retyped(ticket, answer):
        return Outcome(
            replace(ticket, message=f"warning above: type the quantity {ticket.qty} again, then send")
        )
    return Outcome(None, ticket.request)


def locked(ticket: Ticket, preview: Preview | None, now_ms: int) -> str:
    """Why send would do nothing now, in words; empty when the next press sends."""
    if ticket.phase is not Phase.REVIEW:
        return "review first"
    answer = answers(ticket, preview)
    if answer is None:
        return "waiting for the checks"
    if answer.blocked:
        return "BLOCKED: cannot be sent"
    if not _retyped(ticket, answer):
        return f"type {ticket.qty} again to pass the warning"
    dead_since = max(ticket.painted_ms, ticket.pressed_ms if ticket.pressed_ms >= 0 else -DEAD_MS)
    if ticket.painted_ms < 0 or now_ms - dead_since < DEAD_MS:
        return "reading"
    if _worse(ticket, answer):
        return "the worst price moved"
    return ""


def _retyped(ticket: Ticket, answer: Preview) -> bool:
    """Whether no warning asks for the quantity, or it was typed again."""
    return not needs_retype(answer) or bool(ticket.retyped and int(ticket.retyped) == int(ticket.qty or 0))


def needs_retype(answer: Preview) -> bool:
    """Whether a warning asks for one extra act."""
    return any(check.verdict is Verdict.WARN for check in answer.checks)


def _worse(ticket: Ticket, answer: Preview) -> bool:
    if not ticket.reviewed_worst or not answer.worst_price:
        return bool(answer.worst_price) != bool(ticket.reviewed_worst)
    worse = (answer.worst_price - ticket.reviewed_worst) * ticket.side.sign
    return worse * 10_000 > WORST_SLACK_BP * ticket.reviewed_worst


def press(ticket: Ticket, action: str, char: str, preview: Preview | None, now_ms: int) -> Outcome:
    """One key.

    Args:
        ticket: State before the key.
        action: Id of the ticket action on the key, or empty.
        char: The printable character it types, or empty.
        preview: The newest answer of the risk checks.
        now_ms: A clock that only grows.
    """
    if action == SEND:
        return send(ticket, preview, now_ms)
    if action == "ticket.drop":
        return Outcome(None)
    if action == "ticket.checks":
        return Outcome(replace(ticket, all_checks=not ticket.all_checks))
    if ticket.phase is Phase.REVIEW:
        return Outcome(_press_review(ticket, action, char))
    handler = _EDIT.get(action)
    if handler is not None and not (action == "ticket.lots" and ticket.field is not Field.QTY):
        return Outcome(handler(ticket))
    return Outcome(_type(ticket, char) if char else ticket)


def _press_review(ticket: Ticket, action: str, char: str) -> Ticket:
    if char.isdigit():
        return replace(ticket, retyped=(ticket.retyped + char)[-_LONGEST:], message="")
    if action in ("ticket.next", "ticket.previous"):
        return edit(ticket)
    if action == "ticket.erase":
        return replace(ticket, retyped=ticket.retyped[:-1]) if ticket.retyped else edit(ticket)
    if action == "ticket.clear":
        return replace(ticket, retyped="")
    if action == "ticket.review":
        return ticket
    return replace(ticket, message="under review: send, drop, or Tab to edit")


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
    if ticket.field in (Field.PRICE, Field.TRIGGER):
        tick = max(ticket.instrument.tick, 1)
        typed = _typed_price(getattr(ticket, ticket.field.value)) or Price(0)
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
    if ticket.field is Field.QTY:
        return replace(ticket, qty=text, fresh=False)
    if ticket.field is Field.PRICE:
        return replace(ticket, price=text, fresh=False)
    return replace(ticket, trigger=text, fresh=False)


def _type(ticket: Ticket, char: str) -> Ticket:
    ticket = replace(ticket, message="")
    if ticket.field in (Field.TYPE, Field.PRODUCT, Field.VALIDITY):
        choices = _choices(ticket)
        start = choices.index(_chosen(ticket)) + 1
        wanted = [value for value in [*choices[start:], *choices[:start]] if word(value)[:1] == char.upper()]
        return _choose(ticket, wanted[0]) if wanted else ticket
    old = "" if ticket.fresh else str(getattr(ticket, ticket.field.value))
    if char == "." and ticket.field is not Field.QTY and "." not in old:
        return _with(ticket, old + char)
    if char.isascii() and char.isdigit() and len(old) < _LONGEST:
        return _with(ticket, old + char)
    return ticket


def _erase(ticket: Ticket) -> Ticket:
    if ticket.field in (Field.TYPE, Field.PRODUCT, Field.VALIDITY):
        return ticket
    return _with(ticket, str(getattr(ticket, ticket.field.value))[:-1])


def _clear(ticket: Ticket) -> Ticket:
    return ticket if ticket.field in (Field.TYPE, Field.PRODUCT, Field.VALIDITY) else _with(ticket, "")


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
        ticket = replace(ticket, order_type=OrderType.LIMIT)
    return replace(ticket, field=Field.PRICE, fresh=True, message="")


def word(value: Choice) -> str:
    """A choice as the screen spells it."""
    if isinstance(value, Product):
        return {"I": "INTRADAY", "D": "DELIVERY", "MTF": "MTF"}[value.value]
    return value.value


_EDIT = {
    "ticket.review": review,
    "ticket.next": lambda ticket: _step_field(ticket, 1),
    "ticket.previous": lambda ticket: _step_field(ticket, -1),
    "ticket.more": lambda ticket: _step_value(ticket, 1),
    "ticket.less": lambda ticket: _step_value(ticket, -1),
    "ticket.lots": _toggle_lots,
    "ticket.price": _to_price,
    "ticket.erase": _erase,
    "ticket.clear": _clear,
}
