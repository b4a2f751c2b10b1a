"""A position and how it is to be left: what the desk keeps, records, and gives back after a restart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, Product, Side
from tradetui.domain.position import PositionKey


@dataclass(frozen=True, slots=True)
class Managed:
    """One position under an exit plan.

    Attributes:
        side: Side on which the position was opened: BUY for a long one.
        plan: What was asked for.
        stop: Stop in force; a trail has moved it from the plan's. 0 for none.
        best: Best price since the plan began, for trails; 0 before any was seen.
        source: Who opened the position: ``manual`` or the name of a strategy.
    """

    instrument_key: str
    product: Product
    side: Side
    plan: ExitPlan
    stop: Price = Price(0)
    best: Price = Price(0)
    source: str = "manual"

    @property
    def at(self) -> PositionKey:
        """Which position."""
        return (self.instrument_key, self.product)

    @property
    def in_force(self) -> ExitPlan:
        """The plan with its stop where it stands now."""
        return replace(self.plan, stop=self.stop)


@dataclass(frozen=True, slots=True)
class Move:
    """A conversion that was asked for.

    Attributes:
        new: What the units become.
        qty: Units.
        since_ns: When it was asked for.
    """

    new: Product
    qty: int
    since_ns: int


def plan_of(request: OrderRequest) -> ExitPlan:
    """The exit plan that an entry carries; empty when it carries none."""
    return ExitPlan(request.stop, request.target, request.trail, request.time_exit_s, request.overnight)
