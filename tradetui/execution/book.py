"""All orders of one account, to look at: which rest, what they may still fill, whose trades are missing."""

from __future__ import annotations

from datetime import date

from tradetui.domain.calendar import ist_date
from tradetui.domain.events import OrderUpdate
from tradetui.domain.order import Fill, Order, Product, Side
from tradetui.domain.portfolio import Portfolio


class OrderBook:
    """The reading side of `execution.manager.OrderManager`.

    Args:
        portfolio: Where fills are booked.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self.orders: dict[str, Order] = {}
        """Every order by our tag."""
        self._tag_of: dict[str, str] = {}
        # A day may have a thousand orders, and these questions are asked for every order and every frame.
        self._open: dict[str, Order] = {}
        self._owing: dict[str, Order] = {}

    def working(self, key: str = "", product: Product | None = None) -> list[Order]:
        """Orders that rest or may rest at the broker, oldest first."""
        return [
            order
            for order in self._open.values()
            if (not key or order.request.instrument_key == key)
            and (product is None or order.request.product is product)
        ]

    def pending_qty(self, key: str, product: Product, side: Side) -> int:
        """Units that working orders on one side may still fill."""
        return sum(o.pending_qty for o in self.working(key, product) if o.request.side is side)

    def in_group(self, group: str) -> list[Order]:
        """Slices of one parent, legs of one basket, or children of one GTT, in the order they were made."""
        return [order for order in self.orders.values() if group and order.request.group == group]

    def fills_missing(self, key: str, product: Product) -> bool:
        """Whether an order of this position reports more than its trades add up to.

        A broker says ``filled`` on one stream and sends the trade on another: until it is booked the position
        is older than the order, and an exit measured by it would be sent twice.
        """
        return any(
            order.request.instrument_key == key and order.request.product is product
            for order in self._incomplete()
        )

    def unbooked_qty(self, key: str, product: Product) -> int:
        """Signed units by which a position will move once the trades of what is reported filled are booked."""
        booked = self._portfolio.filled_by_order
        return sum(
            order.request.side.sign * max(0, order.filled_qty - booked.get(order.broker_id, 0))
            for order in self._incomplete()
            if order.request.instrument_key == key and order.request.product is product
        )

    def _fills_complete(self) -> bool:
        return not any(order.broker_id for order in self._incomplete())

    def _incomplete(self) -> list[Order]:
        """Orders that report more than their trades add up to."""
        booked = self._portfolio.filled_by_order
        for tag, order in list(self._owing.items()):
            if order.filled_qty <= booked.get(order.broker_id, 0):
                del self._owing[tag]
        return list(self._owing.values())

    def _end_owing(self, day: date) -> list[str]:
        """Trades of a day that is over come no more: what they lack shows in what was carried over night."""
        words = []
        for order in self._incomplete():
            if order.broker_id and ist_date(order.updated_ns) <= day:
                lacks = order.filled_qty - self._portfolio.filled_by_order.get(order.broker_id, 0)
                words.append(
                    f"{lacks} units of {order.tag} were reported filled, and their trades never came"
                )
                self._portfolio.counted_before(order.broker_id, order.filled_qty)
        return words

    def _put(self, order: Order) -> None:
        """Keep an order's state."""
        self.orders[order.tag] = order
        if order.status.working:
            self._open[order.tag] = order
        else:
            self._open.pop(order.tag, None)
        if order.filled_qty > self._portfolio.filled_by_order.get(order.broker_id, 0):
            self._owing[order.tag] = order
        else:
            self._owing.pop(order.tag, None)

    def _drop(self, tag: str) -> None:
        """Forget an order that never was one of its own."""
        for kept in (self.orders, self._open, self._owing):
            kept.pop(tag, None)

    # --- finding --------------------------------------------------------------------------------------

    def by_broker_id(self, broker_id: str) -> Order | None:
        """The order with an id of the broker."""
        return self.orders.get(self._tag_of.get(broker_id, ""))

    def _find(self, update: OrderUpdate) -> Order | None:
        tag = self._tag_of.get(update.broker_id)
        if tag is None and update.tag in self.orders:
            candidate = self.orders[update.tag]
            # The same tag under another broker id is another order (somebody re-used our label).
            if not candidate.broker_id or candidate.broker_id == update.broker_id:
                tag = update.tag
        return self.orders.get(tag) if tag is not None else None

    def _tag_of_fill(self, fill: Fill) -> str:
        """Our tag of a trade's order: by the broker's id first, since anybody may re-use a label."""
        known = self._tag_of.get(fill.broker_id)
        if known is not None:
            return known
        labelled = self.orders.get(fill.tag)
        other = labelled is not None and labelled.broker_id not in ("", fill.broker_id)
        return "" if other else fill.tag
