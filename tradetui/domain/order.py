"""Orders, fills, and the table of allowed status moves.

Life of an order: ``INTENT`` (journaled with our tag, nothing sent) -> ``SENT`` (bytes may have left) ->
what the broker says. A time-out, an empty or foreign body, or a dropped connection leads to ``UNKNOWN``,
which only evidence from the broker, matched by tag, can leave. `design.md` 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tradetui.domain.exit_plan import Trail
from tradetui.domain.money import Price

EXIT_SOURCE: Final = "exit"
"""`OrderRequest.source` of our own exits: they only ever make a position smaller."""
STOP_SOURCE: Final = "exit-stop"
"""`OrderRequest.source` of the one protective order that rests for a position."""
SCRIPT_SOURCE: Final = "script:"
"""Beginning of `OrderRequest.source` of orders that another program sent through the control socket."""


class Side(StrEnum):
    """Buy or sell."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """Order types of the Indian exchanges."""

    MARKET = "MARKET"
    """Through the API only with market protection: in truth a limit near the market."""
    LIMIT = "LIMIT"
    SL = "SL"
    """Stop-limit: becomes a LIMIT when the trigger price trades."""
    SL_M = "SL-M"
    """Stop-market: becomes a protected MARKET when the trigger price trades; not on options, not on BSE."""


class Product(StrEnum):
    """What the order is for; an exit carries the product of the position it closes."""

    INTRADAY = "I"
    DELIVERY = "D"
    """Delivery in cash, carry-forward in derivatives."""
    MTF = "MTF"
    """Margin trading facility."""


class Validity(StrEnum):
    """How long an order may rest."""

    DAY = "DAY"
    IOC = "IOC"
    """Fill what is there at once, cancel the rest."""


class OrderStatus(StrEnum):
    """Our status of an order. The broker's own string is kept beside it."""

    INTENT = "intent"
    """In the journal; nothing sent yet."""
    SENT = "sent"
    """Handed to the broker's edge; bytes may have left."""
    UNKNOWN = "unknown"
    """Sent, and the answer never came or made no sense."""
    PENDING = "pending"
    """The broker has it; exchange and risk checks still run."""
    OPEN = "open"
    """Working at the exchange; may be partly filled."""
    TRIGGER_PENDING = "trigger pending"
    """A stop that waits for its trigger price."""
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Ended by a cancel; may have fills."""
    REJECTED = "rejected"
    """Refused by the broker or the exchange."""
    REFUSED = "refused"
    """Refused by our own risk gate; never sent."""
    ABSENT = "absent"
    """Proven never to have reached the broker."""

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in _TERMINAL

    @property
    def working(self) -> bool:
        """Whether the order rests, or may rest, at the broker."""
        return self in _WORKING


_TERMINAL = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.REFUSED, OrderStatus.ABSENT}
)
_WORKING = frozenset(
    {
        OrderStatus.SENT,
        OrderStatus.UNKNOWN,
        OrderStatus.PENDING,
        OrderStatus.OPEN,
        OrderStatus.TRIGGER_PENDING,
    }
)

_BROKER_SAYS = frozenset(
    {
        OrderStatus.PENDING,
        OrderStatus.OPEN,
        OrderStatus.TRIGGER_PENDING,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
    }
)

ALLOWED: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.INTENT: frozenset({OrderStatus.SENT, OrderStatus.REFUSED}),
    # A push may beat the acknowledgement, so anything the broker says may follow SENT directly.
    OrderStatus.SENT: _BROKER_SAYS | {OrderStatus.UNKNOWN},
    # Only broker evidence, or proof of absence, leaves UNKNOWN.
    OrderStatus.UNKNOWN: _BROKER_SAYS | {OrderStatus.ABSENT},
    # A working order that the broker's book suddenly lacks is UNKNOWN, here and below.
    OrderStatus.PENDING: (_BROKER_SAYS - {OrderStatus.PENDING}) | {OrderStatus.UNKNOWN},
    # A modify takes an open order through validation again, hence back to PENDING.
    OrderStatus.OPEN: frozenset(
        {
            OrderStatus.PENDING,
            OrderStatus.UNKNOWN,
            OrderStatus.TRIGGER_PENDING,
            OrderStatus.FILLED,
            OrderStatus.CANCELLED,
            OrderStatus.REJECTED,
        }
    ),
    OrderStatus.TRIGGER_PENDING: frozenset(
        {
            OrderStatus.PENDING,
            OrderStatus.UNKNOWN,
            OrderStatus.OPEN,
            OrderStatus.FILLED,
            OrderStatus.CANCELLED,
            OrderStatus.REJECTED,
        }
    ),
    OrderStatus.FILLED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    # A refused request that the broker's book shows all the same; an order that the broker itself has
    # rejected (it has an id) stays rejected.
    OrderStatus.REJECTED: _BROKER_SAYS - {OrderStatus.REJECTED},
    OrderStatus.REFUSED: frozenset(),
    # The proof of absence was wrong after all (a book that lags by minutes): evidence always wins.
    OrderStatus.ABSENT: _BROKER_SAYS,
}
"""Allowed moves: status -> statuses that may follow."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What somebody wants done, before risk has looked at it.

    Attributes:
        instrument_key: What to trade.
        side: Buy or sell.
        qty: Units (lots times lot size for derivatives).
        product: Intraday, delivery or MTF.
        order_type: MARKET, LIMIT, SL or SL-M.
        price: Limit price for LIMIT and SL; 0 otherwise.
        trigger_price: Trigger for SL and SL-M; 0 otherwise.
        validity: DAY or IOC.
        disclosed_qty: Units shown in the book; 0 shows all.
        protection_pct: Market protection in percent for MARKET and SL-M, 1 to 25; -1 lets the broker choose.
        source: ``manual`` or the name of a strategy.
        reason: Why, in words a person can read.
        stop: Protective stop that the position should get; 0 for none.
        target: Price at which to take the profit; 0 for none.
        client_id: Made when the ticket opened, so that one review sends at most one order; may be empty.
        trail: How the stop shall follow the price; ``None`` for a fixed one.
        time_exit_s: Second of the day, IST, at which the position shall be closed; 0 for none.
        group: Label shared by the slices of one parent order, or by the legs of one basket; empty for neither.
        overnight: The stop shall outlive the day: it rests as a GTT.
        amo: The person knows that the market is closed and wants an after-market order.
    """

    instrument_key: str
    side: Side
    qty: int
    product: Product = Product.INTRADAY
    order_type: OrderType = OrderType.LIMIT
    price: Price = Price(0)
    trigger_price: Price = Price(0)
    validity: Validity = Validity.DAY
    disclosed_qty: int = 0
    protection_pct: int = -1
    source: str = "manual"
    reason: str = ""
    stop: Price = Price(0)
    target: Price = Price(0)
    client_id: str = ""
    trail: Trail | None = None
    time_exit_s: int = 0
    group: str = ""
    overnight: bool = False
    amo: bool = False

    @property
    def is_exit(self) -> bool:
        """Whether it is one of our own exits, a resting stop included."""
        return self.source.startswith(EXIT_SOURCE)

    @property
    def is_resting_stop(self) -> bool:
        """Whether it is the protective order that rests for a position."""
        return self.source == STOP_SOURCE


@dataclass(frozen=True, slots=True)
class Order:
    """An order as we know it now.

    Attributes:
        tag: Our unique label, sent with the order; for foreign orders a label made from the broker's id.
        request: What was asked, as last confirmed (a confirmed modify changes it).
        status: Our status.
        created_ns: Engine time of the intent, UTC ns.
        updated_ns: Engine time of the last change, UTC ns.
        broker_id: The broker's order id; empty until known.
        exchange_id: The exchange's order id; empty until known.
        filled_qty: Units filled.
        average_price: Average price of the fills.
        raw_status: The broker's own status string.
        message: Why it was refused or rejected, in words.
        foreign: Placed elsewhere (phone, web) and adopted here.
        cancel_pending: We asked for a cancel and have no answer yet.
        modify_pending: We asked for a modify and have no answer yet.
    """

    tag: str
    request: OrderRequest
    status: OrderStatus
    created_ns: int
    updated_ns: int
    broker_id: str = ""
    exchange_id: str = ""
    filled_qty: int = 0
    average_price: Price = Price(0)
    raw_status: str = ""
    message: str = ""
    foreign: bool = False
    cancel_pending: bool = False
    modify_pending: bool = False

    @property
    def pending_qty(self) -> int:
        """Units that may still fill."""
        return 0 if self.status.terminal else self.request.qty - self.filled_qty


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours at the exchange; booked once by ``trade_id``.

    Attributes:
        trade_id: The exchange's trade id, unique within account and day.
        broker_id: The broker's order id.
        tag: Our order's tag; empty when the order is foreign and not yet adopted.
        instrument_key: What was traded.
        side: Buy or sell.
        qty: Units.
        price: Price of this fill.
        product: Product of the order.
        time_ns: When it traded, UTC ns.
    """

    trade_id: str
    broker_id: str
    tag: str
    instrument_key: str
    side: Side
    qty: int
    price: Price
    product: Product
    time_ns: int
