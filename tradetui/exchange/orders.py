"""Values of the exchange: order states, trades, refusals, and the events that its calls return.

All frozen: an order's history is simply the list of the states it went through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from tradetui.domain.gtt import GttRequest, GttStrategy, RuleState
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity


class RawStatus(StrEnum):
    """Status strings as the broker sends them (`upstox.md` 2.2)."""

    RECEIVED = "put order req received"
    VALIDATING = "validation pending"
    OPEN_PENDING = "open pending"
    OPEN = "open"
    TRIGGER_PENDING = "trigger pending"
    MODIFY_VALIDATING = "modify validation pending"
    MODIFY_PENDING = "modify pending"
    MODIFIED = "modified"
    NOT_MODIFIED = "not modified"
    CANCEL_PENDING = "cancel pending"
    CANCELLED = "cancelled"
    NOT_CANCELLED = "not cancelled"
    COMPLETE = "complete"
    REJECTED = "rejected"
    AMO_RECEIVED = "after market order req received"
    AMO_MODIFIED = "modify after market order req received"
    AMO_CANCELLED = "cancelled after market order"

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in _TERMINAL

    @property
    def resting(self) -> bool:
        """Whether this is a status an order stays in, not a step on the way or a row of its history."""
        return self in _TERMINAL or self in (
            RawStatus.OPEN, RawStatus.TRIGGER_PENDING, RawStatus.AMO_RECEIVED,
        )  # fmt: skip


_TERMINAL = frozenset({RawStatus.CANCELLED, RawStatus.COMPLETE, RawStatus.REJECTED, RawStatus.AMO_CANCELLED})


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order at one step of its life.

    Attributes:
        order_id: The broker's id: ``yymmdd`` and a serial number.
        account_id: Whose order it is.
        tag: The client's label, echoed back.
        request: The terms in force; a modify changes them, and the part of a MARKET or SL-M order that
            did not fill at once goes on as LIMIT at its protection price.
        seq: Arrival number at the exchange; a change that costs time priority gives a new one.
        status: The broker's own string.
        placed_ns: When it was placed, UTC ns.
        updated_ns: When this state began, UTC ns.
        exchange_order_id: The exchange's id; empty until the exchange accepted it.
        exchange_ns: When the exchange last touched it, UTC ns; 0 before.
        filled_qty: Units filled so far.
        filled_value: Sum of quantity times price of its fills, 1/10,000 rupee; exact.
        block_price: Price at which its margin is reckoned.
        triggered: A stop that has been triggered and works as a limit order now.
        requests: Place and modify requests so far (the wire's ``order_request_id``).
        message: Why it was rejected, cancelled or not changed, in words.
        note: Words that stay with it whatever happens: why the broker placed it.
        placed_by: Who placed it, when that was not the account's own user.
        gtt_id: The good-till-triggered order it came from.
        after_market: It was placed while the market was shut, and waits or waited for the open.
    """

    order_id: str
    account_id: str
    tag: str
    request: OrderRequest
    seq: int
    status: RawStatus
    placed_ns: int
    updated_ns: int
    exchange_order_id: str = ""
    exchange_ns: int = 0
    filled_qty: int = 0
    filled_value: int = 0
    block_price: Price = Price(0)
    triggered: bool = False
    requests: int = 1
    message: str = ""
    note: str = ""
    placed_by: str = ""
    gtt_id: str = ""
    after_market: bool = False

    @property
    def key(self) -> str:
        """Instrument key."""
        return self.request.instrument_key

    @property
    def remaining(self) -> int:
        """Units not filled, whatever the status."""
        return self.request.qty - self.filled_qty

    @property
    def pending_qty(self) -> int:
        """Units that may still fill."""
        return 0 if self.status.terminal else self.remaining

    @property
    def average_price(self) -> Price:
        """Average price of the fills, rounded half up; 0 without fills."""
        if not self.filled_qty:
            return Price(0)
        return Price((2 * self.filled_value + self.filled_qty) // (2 * self.filled_qty))

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it is a stop that has not been triggered."""
        return self.request.order_type in (OrderType.SL, OrderType.SL_M) and not self.triggered

    def step(self, status: RawStatus, t_ns: int, message: str = "") -> OrderState:
        """The same order in another status."""
        return replace(self, status=status, updated_ns=t_ns, message=message or self.note)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of one account.

    Attributes:
        trade_id: The exchange's number, unique in a day; both sides of a trade share it.
        qty: Units.
        price: Price of this trade.
        t_ns: When it traded, UTC ns.
    """

    trade_id: str
    order_id: str
    exchange_order_id: str
    account_id: str
    tag: str
    instrument_key: str
    side: Side
    product: Product
    order_type: OrderType
    qty: int
    price: Price
    t_ns: int


@dataclass(frozen=True, slots=True)
class Amendment:
    """New terms for a working order; all of them, changed or not (`upstox.md` 2.4).

    Attributes:
        qty: The new total, filled units included.
        price: 0 for MARKET and SL-M.
        trigger_price: 0 unless SL or SL-M.
    """

    qty: int
    price: Price
    trigger_price: Price
    order_type: OrderType
    validity: Validity = Validity.DAY
    disclosed_qty: int = 0
    protection_pct: int = -1

    def over(self, request: OrderRequest) -> OrderRequest:
        """``request`` with these terms."""
        return replace(
            request,
            qty=self.qty,
            price=self.price,
            trigger_price=self.trigger_price,
            order_type=self.order_type,
            validity=self.validity,
            disclosed_qty=self.disclosed_qty,
            protection_pct=self.protection_pct,
        )


@dataclass(frozen=True, slots=True)
class GttState:
    """A good-till-triggered order at one step of its life.

    Attributes:
        gtt_id: The broker's id.
        account_id: Whose it is.
        request: The terms in force.
        rules: Each rule with its state, in the order of the request. A trailing stop moves its trigger.
        created_ns, updated_ns: When it was placed, and when this state began, UTC ns.
        expires_ns: When it ends by itself, UTC ns.
        exit_qty: Units that the entry filled: what the exits close. 0 before.
        best: Best price since the exits are armed, which a trailing stop follows. 0 before.
    """

    gtt_id: str
    account_id: str
    request: GttRequest
    rules: tuple[RuleState, ...]
    created_ns: int
    updated_ns: int
    expires_ns: int
    exit_qty: int = 0
    best: Price = Price(0)

    @property
    def key(self) -> str:
        """Instrument key."""
        return self.request.instrument_key

    @property
    def active(self) -> bool:
        """Whether any rule may still do something."""
        return any(not rule.status.terminal for rule in self.rules)

    def rule(self, strategy: GttStrategy) -> RuleState | None:
        """The state of one rule; ``None`` when there is no such rule."""
        return next((rule for rule in self.rules if rule.rule.strategy is strategy), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no, with the reason.

    Attributes:
        code: The broker's error code (`upstox.md` 6.3), or the refusing party: ``RMS``, ``EXCHANGE``.
        message: In words a person can act on.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order reached a new state."""

    t_ns: int
    order: OrderState


@dataclass(frozen=True, slots=True)
class Traded:
    """An order of an account traded."""

    t_ns: int
    trade: Trade


@dataclass(frozen=True, slots=True)
class GttChanged:
    """A good-till-triggered order reached a new state. A stop that trails says nothing."""

    t_ns: int
    gtt: GttState


ExchangeEvent = OrderChanged | Traded | GttChanged
"""What a call on the exchange reports, in the order it happened."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a place, modify or cancel.

    Attributes:
        order_id: The order (of a GTT request: the GTT); empty when none was made.
        refusal: Set when the request itself was refused: nothing was done. A place that passes here may
            still be rejected: the order's status says so.
        events: What happened, in order.
    """

    order_id: str = ""
    refusal: Refusal | None = None
    events: tuple[ExchangeEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Funds:
    """Cash of one account, 1/10,000 rupee.

    Attributes:
        opening: Cash at the start.
        cash: Opening plus realised profit minus what was paid for what is held now.
        margin: In use by positions.
        blocked: Held back for working orders.
        realised: Profit booked, gross of charges.
        estimated: Some of ``margin`` or ``blocked`` is a rule of thumb, not a SPAN calculation.
    """

    opening: Money
    cash: Money
    margin: Money
    blocked: Money
    realised: Money
    estimated: bool

    @property
    def used(self) -> Money:
        """Margin of positions and of working orders."""
        return Money(self.margin + self.blocked)

    @property
    def available(self) -> Money:
        """Free for new orders."""
        return Money(self.cash - self.margin - self.blocked)
