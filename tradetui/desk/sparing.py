"""Which working orders a kill and a cancel of everything spare: those that together can only close what is held."""

from __future__ import annotations

from tradetui.desk.books import Books
from tradetui.domain.order import Order, OrderType
from tradetui.domain.position import PositionKey


def spared(books: Books) -> set[str]:
    """Tags of the stops, and of our own exits, that protect; never more of them than the position has units.

    Two stops that are each right alone, a person's and a phone's, would turn the position round together: of those
    the later one is not spared. An exit under way comes first, then the stop that we rest ourselves.
    """
    room: dict[PositionKey, int] = {}
    out = set[str]()
    for order in sorted(books.manager.working(), key=_rank):
        request = order.request
        at = (request.instrument_key, request.product)
        held = books.held(*at)
        left = room.setdefault(at, abs(held))
        closing = request.order_type in (OrderType.SL, OrderType.SL_M) or request.is_exit
        if closing and held * request.side.sign < 0 and order.pending_qty <= left:
            room[at] = left - order.pending_qty
            out.add(order.tag)
    return out


def _rank(order: Order) -> int:
    """Exits under way, our stops, anybody's; each in the order they were placed."""
    if order.request.is_resting_stop:
        # One that is on its way out makes room for the exit that takes its place.
        return 3 if order.cancel_pending else 1
    return 0 if order.request.is_exit else 2
