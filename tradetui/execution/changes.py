"""Modifies under way: what was asked, whether the broker took it, and when a statement shows that it is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradetui.domain.events import OrderUpdate
from tradetui.domain.money import Price
from tradetui.domain.order import Order, OrderType
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

    def begin(
        self,
        order: Order,
        t_ns: int,
        qty: int | None,
        price: Price | None,
        trigger: Price | None,
        order_type: OrderType | None,
        *,
        urgent: bool,
    ) -> ModifyOrder:
        """A modify goes out: the command with all its terms; ``None`` keeps one."""
        request = order.request
        # A stop that only moves along with the price yields to whatever cannot wait.
        trails = (
            request.is_resting_stop
            and trigger is not None
            and qty in (None, request.qty)
            and order_type in (None, request.order_type)
        )
        command = ModifyOrder(
            t_ns,
            order.tag,
            order.broker_id,
            request.qty if qty is None else qty,
            request.price if price is None else price,
            request.trigger_price if trigger is None else trigger,
            request.order_type if order_type is None else order_type,
            request.validity,
            request.disclosed_qty,
            request.protection_pct,
            urgent or (request.is_exit and not trails),
            trails and not urgent,
        )
        self._changes[order.tag] = _Change(command)
        return command

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
