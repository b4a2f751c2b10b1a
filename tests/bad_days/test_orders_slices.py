"""Bad days of large orders (O15): one slice above the freeze quantity is refused, through the real broker path."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.workstation import PLACE, workstation
from tests.unit.exchange.support import CALL
from tradetui.domain.events import OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderStatus, Product, Side

MOST = CALL.max_order_qty
"""Units in one order: the freeze quantity in whole lots."""


async def test_o15_the_third_of_five_slices_is_refused_and_the_first_two_stand(tmp_path: Path) -> None:
    """An order of five freeze quantities; the exchange refuses the third.

    Seen: REJECTED with the broker's words on the third slice, the first two OPEN, and a warning "slice 3 of 5 was
    refused ...; 2 of 5 stand, the rest is not sent" with their labels. Cancelling the parent takes both back.
    """
    async with workstation(tmp_path, also=[CALL]) as w:
        await w.price(2.0, CALL.key)
        w.fault("reject", instrument=CALL.key, skip=2, count=1, message="RMS: margin exceeds")
        first = w.send(qty=5 * MOST, price=1.9, key=CALL.key)
        await w.until(lambda: any(one.status is OrderStatus.REJECTED for one in w.orders.values()))
        label = w.orders[first].request.group
        await w.until(lambda: w.parent(label).state == "stopped")
        await w.polls(2)
        statuses = [order.status for order in w.orders.values()]
        assert statuses == [OrderStatus.OPEN, OrderStatus.OPEN, OrderStatus.REJECTED]
        assert w.market.asked(PLACE) == len(w.truth()) == 3, "slices 4 and 5 were never sent"
        assert w.said("slice 3 of 5 was refused: RMS: margin exceeds")
        assert w.said("2 of 5 stand, the rest is not sent; kept: " + ", ".join(list(w.orders)[:2]))
        assert w.agrees()
        w.ask(OperatorKind.CANCEL, tag=label)
        await w.until(lambda: not w.working())
        await w.until(w.agrees)


async def test_o15_what_the_first_slices_bought_is_protected(tmp_path: Path) -> None:
    """The first two slices fill, the third is refused: what they bought is a position like any other.

    Seen: the position has the units of two slices and is naked; with a stop asked for, slices of it rest for exactly
    those units.
    """
    async with workstation(tmp_path, also=[CALL], capital=500_000) as w:
        await w.price(30.0, CALL.key)
        w.market.book(CALL.key, [(29.95, 10 * MOST)], [(30.05, 10 * MOST)])
        w.fault("reject", instrument=CALL.key, skip=2, count=1)
        first = w.send(qty=5 * MOST, price=30.1, key=CALL.key, product=Product.DELIVERY)
        await w.until(lambda: w.said("slice 3 of 5 was refused"))
        await w.until(lambda: w.shown(CALL.key).qty == 2 * MOST)
        assert (w.orders[first].status, w.shown(CALL.key).naked_why) == (OrderStatus.FILLED, "no stop")
        w.protect(Product.DELIVERY, key=CALL.key, stop=to_price(25))
        await w.until(lambda: sum(one.remaining for one in w.working()) == 2 * MOST)
        await w.until(lambda: not w.shown(CALL.key).naked)
        await w.until(w.agrees)
        assert {one.request.side for one in w.working()} == {Side.SELL}
        assert len(w.stops()) == 2, "none above the freeze quantity"
