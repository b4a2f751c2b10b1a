"""Getting out: a position that is to be closed loses its resting orders first, then one exit is sent.

Only an order on the exit's own side can turn the position round, so only such a one is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradetui.desk.books import Books
from tradetui.domain.order import EXIT_SOURCE, Order, OrderRequest, OrderType, Product, Side
from tradetui.domain.position import PositionKey
from tradetui.execution.manager import SECOND

CLOSING_PROTECTION_PCT: Final = 3
"""Market protection of our own exits, percent: wide enough to fill, bounded all the same."""
EXIT_RETRY_NS: Final = 3 * SECOND


class Closing:
    """Positions that are to be closed, and how far that has come.

    Args:
        books: What the desk knows.
        request: Takes an exit through the gate.
    """

    def __init__(self, books: Books, request: Callable[[OrderRequest], Order | None]) -> None:
        self._books = books
        self._request = request
        self.wanted: dict[PositionKey, str] = {}
        """(instrument key, product) -> why."""
        self._cancel_tried: dict[str, int] = {}
        self._last_exit: dict[PositionKey, str] = {}

    def want(self, key: str, product: Product, why: str) -> None:
        """Close a position; an earlier reason stands."""
        self.wanted.setdefault((key, product), why)

    def clear(self) -> None:
        """Close nothing any more."""
        self.wanted.clear()

    def go_on(self) -> None:
        """Do the next step for every position that is to be closed."""
        portfolio, manager = self._books.portfolio, self._books.manager
        for (key, product), why in sorted(self.wanted.items()):
            held = portfolio.qty(key, product)
            working = manager.working(key, product)
            if manager.fills_missing(key, product):
                continue  # the position is older than its orders: what is left to close is not known yet
            if not held and not working:
                del self.wanted[key, product]
            for order in working:
                if order.request.source != EXIT_SOURCE:
                    self._cancel_again(order)
            if held and not self._exit(key, product, why):
                del self.wanted[key, product]

    def _cancel_again(self, order: Order) -> None:
        """Cancel, and after a refusal pause: a broker that says no must not be asked in a circle."""
        now_ns, tried_ns = self._books.now_ns, self._cancel_tried.get(order.tag)
        if not order.cancel_pending and (tried_ns is None or now_ns - tried_ns >= EXIT_RETRY_NS):
            self._cancel_tried[order.tag] = now_ns
            self._books.manager.cancel(order.tag, now_ns)

    def _exit(self, key: str, product: Product, why: str) -> bool:
        """Send one protected market order that closes a position. ``False`` when it was refused.

        One that failed is tried again after a pause, not on every frame and every answer.
        """
        held = self._books.portfolio.qty(key, product)
        side = Side.SELL if held > 0 else Side.BUY
        pending = self._books.manager.pending_qty(key, product, side)
        if not held or pending or self._exit_just_failed(key, product):
            return True
        instrument = self._books.instrument(key)
        most = instrument.max_order_qty if instrument else 0
        order = self._request(
            OrderRequest(
                key,
                side,
                min(abs(held), most) if most else abs(held),
                product,
                OrderType.MARKET,
                protection_pct=CLOSING_PROTECTION_PCT,
                source=EXIT_SOURCE,
                reason=why,
            )
        )
        if order is None:
            return False
        self._last_exit[key, product] = order.tag
        return order.status.working

    def _exit_just_failed(self, key: str, product: Product) -> bool:
        last = self._books.manager.orders.get(self._last_exit.get((key, product), ""))
        if last is None or not last.status.terminal or last.filled_qty:
            return False
        return self._books.now_ns < last.updated_ns + EXIT_RETRY_NS
