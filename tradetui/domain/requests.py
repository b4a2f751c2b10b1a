"""Everything the engine asks of a broker. Frozen; made only by `execution.manager` after risk said yes."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.gtt import GttRequest
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send a new order. Its intent is in the journal, synced, before this leaves the process.

    Attributes:
        t_ns: Engine time of the decision.
        tag: Our unique label, at most 40 characters.
        request: Terms of the order.
    """

    t_ns: int
    tag: str
    request: OrderRequest


@dataclass(frozen=True, slots=True)
class ModifyOrder:
    """Change a working order. All five terms are sent, changed or not (`upstox.md` 2.4).

    Attributes:
        qty: The new total, filled units included.
        urgent: It protects or closes a position: it may use the reserve of the rate limit.
        trailing: A stop that follows the price: it yields to everything else.
    """

    t_ns: int
    tag: str
    broker_id: str
    qty: int
    price: Price
    trigger_price: Price
    order_type: OrderType
    validity: Validity
    disclosed_qty: int = 0
    protection_pct: int = -1
    urgent: bool = False
    trailing: bool = False


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a working order."""

    t_ns: int
    tag: str
    broker_id: str


@dataclass(frozen=True, slots=True)
class ProbeTag:
    """Find out whether an order with this tag exists at the broker (book and history, by tag).

    Attributes:
        broker_id: The broker's id, where known: an order that carries no label of ours is looked up by it.
    """

    t_ns: int
    tag: str
    instrument_key: str
    broker_id: str = ""


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Read order book, trades, positions and funds, and report them as an `AccountSnapshot`.

    Attributes:
        gtts: Read the GTT book too, even if it is not due: something about a GTT is not known.
    """

    t_ns: int
    gtts: bool = False


@dataclass(frozen=True, slots=True)
class PlaceGtt:
    """Send a new GTT. Its intent is in the journal, synced, before this leaves the process."""

    t_ns: int
    tag: str
    request: GttRequest


@dataclass(frozen=True, slots=True)
class ModifyGtt:
    """Replace quantity and rules of a GTT; all of them are sent."""

    t_ns: int
    tag: str
    gtt_id: str
    request: GttRequest


@dataclass(frozen=True, slots=True)
class CancelGtt:
    """Cancel a GTT."""

    t_ns: int
    tag: str
    gtt_id: str


@dataclass(frozen=True, slots=True)
class ConvertPosition:
    """Move units of a position from one product to another.

    Attributes:
        side: Side that the position was opened on.
        qty: Units, positive.
    """

    t_ns: int
    tag: str
    instrument_key: str
    side: Side
    qty: int
    old: Product
    new: Product


Command = (
    PlaceOrder
    | ModifyOrder
    | CancelOrder
    | PlaceGtt
    | ModifyGtt
    | CancelGtt
    | ConvertPosition
    | ProbeTag
    | Reconcile
)
"""Everything a broker can be asked."""
