"""Slices and baskets: sent one after the other, stopped at the first refusal, said plainly, never resumed blindly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.desk.support import KEY, OPTION, PUT, SHARE, Floor, rs
from tradetui.desk.groups import Parent
from tradetui.desk.slices import slices_of
from tradetui.domain.events import OperatorKind
from tradetui.domain.order import OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import PlaceOrder


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.instruments[KEY] = replace(SHARE, freeze_qty=4)
    return floor


def parent(floor: Floor) -> Parent:
    (found,) = floor.desk.groups.parents.values()
    return found


def leg(side: Side, instrument_key: str, qty: int = 65, **more: object) -> OrderRequest:
    return OrderRequest(instrument_key, side, qty, Product.DELIVERY, price=rs(100), **more)  # type: ignore[arg-type]


# --- slices -------------------------------------------------------------------------------------------


def test_slices_are_whole_lots_and_add_up() -> None:
    big = OrderRequest(OPTION.key, Side.BUY, 65 * 60, price=rs(100), client_id="c")
    slices = slices_of(big, OPTION)
    assert [one.qty for one in slices] == [1755, 1755, 390]
    assert [one.client_id for one in slices] == ["c", "", ""]
    assert slices_of(replace(big, qty=65), OPTION) == (replace(big, qty=65),)


def test_a_large_order_goes_out_slice_after_slice(floor: Floor) -> None:
    floor.hold_back = True
    floor.desk.request(OrderRequest(KEY, Side.BUY, 10, price=rs(100), client_id="ticket"))
    assert len(floor.queue) == 1, "the next one waits for the answer"
    floor.hold_back = False
    floor.settle()
    assert [one.request.qty for one in floor.sent(PlaceOrder)] == [4, 4, 2]
    assert {one.request.group for one in floor.sent(PlaceOrder)} == {parent(floor).label}
    assert parent(floor).state == "done"
    assert floor.desk.books.entries_today == 1, "one entry, however it is sliced"
    assert floor.desk.request(OrderRequest(KEY, Side.BUY, 10, price=rs(100), client_id="ticket")) is None


def test_o15_a_refused_slice_stops_the_rest_and_keeps_what_was_placed(floor: Floor) -> None:
    floor.hold_back = True
    floor.desk.request(OrderRequest(KEY, Side.BUY, 20, price=rs(100)))
    for _ in range(2):
        floor.answer(floor.queue.pop(0))
    floor.refuse["entry"] = "RMS: margin"
    floor.answer(floor.queue.pop(0))
    floor.hold_back = False
    floor.settle()
    floor.wait(5)
    assert [order.request.qty for order in floor.broker.orders.values()] == [4, 4]
    assert parent(floor).state == "stopped"
    assert floor.words()[-1] == (
        f"slices {parent(floor).label}: slice 3 of 5 was refused: RMS: margin; "
        "2 of 5 stand, the rest is not sent; kept: tt-00001, tt-00002"
    )


def test_too_many_slices_are_refused_by_the_gate(floor: Floor) -> None:
    refused = floor.place(Side.BUY, 101, 100)
    assert (refused.status, "25 slices" in refused.message) == (OrderStatus.REFUSED, True)
    assert floor.desk.groups.parents == {}


def test_kill_stops_slices(floor: Floor) -> None:
    floor.hold_back = True
    floor.desk.request(OrderRequest(KEY, Side.BUY, 12, price=rs(100)))
    floor.ask(OperatorKind.KILL)
    floor.hold_back = False
    floor.settle()
    floor.wait(5)
    assert len(floor.sent(PlaceOrder)) == 1
    assert "kill pulled" in parent(floor).words
    assert all(order.status is OrderStatus.CANCELLED for order in floor.broker.orders.values())


def test_cancelling_the_parent_cancels_its_slices(floor: Floor) -> None:
    floor.place(Side.BUY, 12, 100)
    floor.ask(OperatorKind.CANCEL, tag=parent(floor).label)
    assert {order.status for order in floor.broker.orders.values()} == {OrderStatus.CANCELLED}


def test_every_slice_carries_the_exit_plan_and_one_protection_covers_all(floor: Floor) -> None:
    floor.place(Side.BUY, 10, 100, stop=rs(95))
    for order in list(floor.desk.manager.working()):
        floor.fill(order)
    floor.wait(3)
    assert sum(stop.pending_qty for stop in floor.stops()) == 10
    assert floor.naked() == []


def test_after_a_restart_an_unfinished_parent_places_nothing_more(floor: Floor) -> None:
    floor.hold_back = True
    floor.desk.request(OrderRequest(KEY, Side.BUY, 12, price=rs(100)))
    floor.answer(floor.queue.pop(0))
    floor.restart()
    floor.hold_back = False
    for _ in range(20):
        floor.wait(1)
    assert parent(floor).state == "stopped"
    assert "the program stopped" in parent(floor).words
    assert len(floor.broker.orders) <= 2
    label = parent(floor).label
    floor.place(Side.BUY, 8, 100)
    assert len(floor.desk.groups.parents) == 2
    assert label in floor.desk.groups.parents, "labels go on where they stopped"


# --- baskets ------------------------------------------------------------------------------------------


def test_a_basket_sends_the_bought_leg_first_and_sells_once_it_filled(floor: Floor) -> None:
    floor.ask(OperatorKind.BASKET, basket=(leg(Side.SELL, PUT.key), leg(Side.BUY, OPTION.key)))
    (first,) = floor.sent(PlaceOrder)
    assert (first.request.side, first.request.instrument_key) == (Side.BUY, OPTION.key)
    floor.wait(5)
    assert len(floor.sent(PlaceOrder)) == 1, "no uncovered sale"
    floor.fill(floor.desk.manager.orders[first.tag])
    assert [one.request.side for one in floor.sent(PlaceOrder)] == [Side.BUY, Side.SELL]
    assert parent(floor).state == "done"
    assert floor.desk.books.entries_today == 1


def test_when_one_leg_is_refused_by_the_gate_nothing_is_sent(floor: Floor) -> None:
    floor.ask(OperatorKind.BASKET, basket=(leg(Side.BUY, OPTION.key), leg(Side.SELL, PUT.key, 64)))
    assert floor.sent(PlaceOrder) == []
    assert floor.words()[-1].startswith("nothing of the basket was sent: leg 2: quantity 64")


def test_a_later_leg_that_the_broker_refuses_leaves_what_protects_and_says_so(floor: Floor) -> None:
    floor.ask(OperatorKind.BASKET, basket=(leg(Side.SELL, PUT.key), leg(Side.BUY, OPTION.key)))
    floor.refuse["entry"] = "margin"
    floor.fill(floor.desk.manager.orders[floor.sent(PlaceOrder)[0].tag])
    assert parent(floor).state == "stopped"
    assert "leg 2 of 2 was refused: margin" in floor.words()[-1]
    assert "kept: tt-00001" in floor.words()[-1]
    assert floor.broker.qty == {(OPTION.key, Product.DELIVERY): 65}


def test_a_basket_that_waits_long_says_what_for(floor: Floor) -> None:
    floor.ask(OperatorKind.BASKET, basket=(leg(Side.SELL, PUT.key), leg(Side.BUY, OPTION.key)))
    for _ in range(40):
        floor.wait(1)
    said = [words for words in floor.words() if "wait until tt-00001 has filled" in words]
    assert len(said) == 1


def test_what_reduces_goes_first(floor: Floor) -> None:
    floor.hold(65, instrument_key=OPTION.key, product=Product.DELIVERY)
    floor.commands.clear()
    floor.ask(OperatorKind.BASKET, basket=(leg(Side.BUY, PUT.key), leg(Side.SELL, OPTION.key)))
    assert floor.sent(PlaceOrder)[0].request.instrument_key == OPTION.key


def test_a_basket_sent_twice_leaves_once(floor: Floor) -> None:
    basket = (leg(Side.BUY, OPTION.key, client_id="b1"), leg(Side.BUY, PUT.key))
    for _ in range(3):
        floor.ask(OperatorKind.BASKET, basket=basket)
    assert len(floor.desk.groups.parents) == 1
    assert floor.of(RecordKind.GROUP)
