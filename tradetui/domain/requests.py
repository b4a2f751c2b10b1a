"""Everything the engine asks of a broker. Frozen; made only by `execution.manager` after risk said yes."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, OrderType, Validity


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
    """Change a working order. All five terms are sent, changed or not (`upstox.md` 2.4)."""

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


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a working order."""

    t_ns: int
    tag: str
    broker_id: str


@dataclass(frozen=True, slots=True)
class ProbeTag:
    """Find out whether an order with this tag exists at the broker (book and history, by tag)."""

    t_ns: int
    tag: str
    instrument_key: str


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Read order book, trades, positions and funds, and report them as an `AccountSnapshot`."""

    t_ns: int


Command = PlaceOrder | ModifyOrder | CancelOrder | ProbeTag | Reconcile
"""Everything a broker can be asked."""
