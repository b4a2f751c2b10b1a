"""Exit plans, exits under way and parent orders, folded out of the journal and given back to a desk."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.desk import Desk
from tradetui.desk.closing import Want
from tradetui.desk.groups import Parent
from tradetui.desk.plans import Managed
from tradetui.domain.order import Product
from tradetui.domain.position import PositionKey
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw


@dataclass(frozen=True, slots=True)
class Plans:
    """What was planned when the last run ended. Plain data: it is written into recordings too.

    Attributes:
        managed: Exit plans in force.
        decided: Positions about whose plan the journal of today says anything, be it that there is none any more.
        wants: Positions that were being closed, finished by the next run: to finish an exit adds no risk.
        parents: Slices and baskets of the day.
        moving: Conversions that were asked for and had not left.
    """

    managed: tuple[Managed, ...] = ()
    decided: tuple[PositionKey, ...] = ()
    wants: tuple[Want, ...] = ()
    parents: tuple[Parent, ...] = ()
    moving: tuple[PositionKey, ...] = ()


class PlanFold:
    """Takes records in order; `plans` is what they come to."""

    def __init__(self) -> None:
        self._managed: dict[PositionKey, tuple[bool, Managed | None]] = {}
        self._wants: dict[PositionKey, Want] = {}
        self._parents: dict[str, Parent] = {}
        self._moving: dict[PositionKey, None] = {}

    def take(self, record: Record, *, is_today: bool) -> None:
        """Take one record in."""
        if record.kind is RecordKind.GROUP and is_today:
            parent = thaw(Parent, record.data)
            self._parents[parent.label] = parent
        if record.kind is not RecordKind.PLAN:
            return
        at = (record.data["instrument_key"], Product(record.data["product"]))
        if "managed" in record.data:
            data = record.data["managed"]
            self._managed[at] = (is_today, None if data is None else thaw(Managed, data))
        if "moving" in record.data and is_today:
            self._moving.pop(at, None)
            if record.data["moving"] is not None:
                self._moving[at] = None
        if "closing" in record.data and is_today:
            data = record.data["closing"]
            self._wants.pop(at, None)
            if data is not None:
                self._wants[at] = thaw(Want, data)

    def plans(self) -> Plans:
        """Plans in force: those of today, and of earlier days for what is carried over night."""
        return Plans(
            managed=tuple(
                found
                for at, (today, found) in self._managed.items()
                if found is not None and (today or at[1] is not Product.INTRADAY)
            ),
            decided=tuple(at for at, (today, _) in self._managed.items() if today),
            wants=tuple(self._wants.values()),
            parents=tuple(self._parents.values()),
            moving=tuple(self._moving),
        )


def give_plans_back(plans: Plans, desk: Desk) -> None:
    """Put plans into a desk whose orders and trades have been given back."""
    desk.closing.restore(list(plans.wants))
    desk.protection.restore(list(plans.managed), frozenset(plans.decided))
    desk.protection.forgotten(plans.moving)
    desk.groups.restore(plans.parents)
