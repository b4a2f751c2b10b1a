"""Good-till-triggered orders: rules that rest at the broker and become orders there (`upstox.md` 2.6).

What a GTT is not: it is no exit-only pair. Every GTT has an ENTRY rule, so "stop and target for what I hold" as
MULTIPLE would first open a new position. It has no limit price: the child is a LIMIT at the trigger, widened by
the market protection, so the price must come twice, to trigger and to fill. And it carries no label of ours:
an order whose answer was lost is found by its terms and its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradetui.domain.money import Price
from tradetui.domain.order import Product, Side


class GttStrategy(StrEnum):
    """What a rule is for."""

    ENTRY = "ENTRY"
    TARGET = "TARGET"
    STOPLOSS = "STOPLOSS"


class GttTrigger(StrEnum):
    """When a rule fires. Exits know only ``IMMEDIATE``: they wait from the entry's fill on."""

    ABOVE = "ABOVE"
    BELOW = "BELOW"
    IMMEDIATE = "IMMEDIATE"


class RuleStatus(StrEnum):
    """The broker's word for one rule."""

    SCHEDULED = "SCHEDULED"
    TRIGGERED = "TRIGGERED"
    PENDING = "PENDING"
    OPEN = "OPEN"
    INACTIVE = "INACTIVE"
    """An exit rule before the entry has filled."""
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to the rule any more."""
        return self in (
            RuleStatus.COMPLETED,
            RuleStatus.CANCELLED,
            RuleStatus.EXPIRED,
            RuleStatus.FAILED,
        )


@dataclass(frozen=True, slots=True)
class GttRule:
    """One rule of a GTT.

    Attributes:
        strategy: Entry, target or stop; each at most once in a GTT, an entry always.
        trigger: When it fires.
        trigger_price: Price that fires it.
        trailing_gap: STOPLOSS: distance at which the stop follows the price; 0 for a fixed one. At least a tenth
            of the gap between the last price and the stop (UDAPI1151).
        protection_pct: How far the child's limit may lie beyond the trigger, 1 to 25 percent; -1 lets the broker
            choose.
    """

    strategy: GttStrategy
    trigger: GttTrigger
    trigger_price: Price
    trailing_gap: Price = Price(0)
    protection_pct: int = -1


@dataclass(frozen=True, slots=True)
class GttRequest:
    """A GTT that somebody wants.

    Attributes:
        side: Side of the entry; exits take the other one.
        qty: Units.
        product: An intraday GTT lives one day, others up to one year.
        rules: One rule makes it SINGLE, two or three MULTIPLE.
        source: ``manual``, the name of a strategy, or one of our own exits.
        reason: Why, in words a person can read.
        client_id: Made when the ticket opened, so that one review sends at most one; may be empty.
    """

    instrument_key: str
    side: Side
    qty: int
    product: Product
    rules: tuple[GttRule, ...]
    source: str = "manual"
    reason: str = ""
    client_id: str = ""

    @property
    def kind(self) -> str:
        """The broker's type: ``SINGLE`` or ``MULTIPLE``."""
        return "SINGLE" if len(self.rules) == 1 else "MULTIPLE"

    def rule(self, strategy: GttStrategy) -> GttRule | None:
        """The rule of one strategy; ``None`` when there is none."""
        return next((rule for rule in self.rules if rule.strategy is strategy), None)


@dataclass(frozen=True, slots=True)
class RuleState:
    """What the broker says about one rule.

    Attributes:
        rule: Its terms in force (a trailing stop moves its trigger).
        status: Our reading; unknown words count as ``SCHEDULED`` and are shown raw.
        raw_status: The broker's own string.
        order_id: The child order; empty before it triggered.
        message: Why it failed, in the broker's words.
    """

    rule: GttRule
    status: RuleStatus
    raw_status: str = ""
    order_id: str = ""
    message: str = ""


class GttStatus(StrEnum):
    """Our status of a GTT as a whole."""

    SENT = "sent"
    """Handed to the broker's edge; bytes may have left."""
    UNKNOWN = "unknown"
    """Sent, and the answer never came or made no sense: only the broker's GTT book tells."""
    ACTIVE = "active"
    """At the broker; some rule may still fire."""
    DONE = "done"
    """Every rule has ended, at least one by triggering."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REFUSED = "refused"
    """Refused by our own gate; never sent."""
    ABSENT = "absent"
    """Proven never to have reached the broker."""

    @property
    def working(self) -> bool:
        """Whether it rests, or may rest, at the broker."""
        return self in (GttStatus.SENT, GttStatus.UNKNOWN, GttStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class Gtt:
    """A GTT as we know it now.

    Attributes:
        tag: Our label; it stays here (the broker keeps none). ``x-`` and the id for foreign ones.
        request: What was asked, as last confirmed.
        rules: What the broker says about each rule; empty before it has said anything.
        gtt_id: The broker's id; empty until known.
        created_ns, updated_ns: Engine time of the intent and of the last change, UTC ns.
        expires_ns: When the broker drops it, UTC ns; 0 when not said.
        message: Why it was refused or failed, in words.
        foreign: Placed elsewhere and adopted here.
        cancel_pending, modify_pending: Asked for, no answer yet.
    """

    tag: str
    request: GttRequest
    status: GttStatus
    created_ns: int
    updated_ns: int
    gtt_id: str = ""
    rules: tuple[RuleState, ...] = ()
    expires_ns: int = 0
    message: str = ""
    foreign: bool = False
    cancel_pending: bool = False
    modify_pending: bool = False
