"""Modifies under way: what was asked, whether the broker took it, and when a statement shows that it is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradetui.domain.events import OrderUpdate
from tradetui.domain.order import Order
from tradetui.domain.requests import ModifyOrder
from tradetui.execution import evidence


@dataclass(slots=True)
class _Change:
    asked: ModifyOrder
    taken_ns: int = 0


class Changes:
    """Modifies under way, by tag; at most one for each order."""

    def __init__(self) -> None:
        self._changes: dict[str, _Change] = {}

    def begin(self, command: ModifyOrder) -> None:
        """A modify goes out."""
        self._changes[command.tag] = _Change(command)

    def taken(self, tag: str, t_ns: int) -> None:
        """The broker took it; whether the exchange does is another matter."""
        if tag in self._changes:
            self._changes[tag].taken_ns = t_ns

    def end(self, tag: str) -> None:
        """It was refused, or the order has ended."""
        self._changes.pop(tag, None)

    def decided(self, order: Order, settled: Order, update: OrderUpdate, asked_ns: int | None) -> Order:
        """The order with its modify ended, if a statement shows that it has been decided.

        Args:
            order: The order before the statement.
            settled: The order after it.
            update: The statement.
            asked_ns: For a book: when its reading began.
        """
        change = self._changes.get(order.tag)
        made = change is not None and evidence.shows(update, change.asked)
        taken_ns = change.taken_ns if change else 0
        if not made and not evidence.modify_is_over(order, update, asked_ns, taken_ns):
            return settled
        self.end(order.tag)
        if change is not None and made:
            request = replace(settled.request, order_type=change.asked.order_type)
            settled = replace(settled, request=request)
        return replace(settled, modify_pending=False)
