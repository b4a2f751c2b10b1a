"""Somebody else trades on the same account: a phone moves our stop, sells what our stop sells too, or came first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.desk.support import KEY, OPTION, PUT, Floor, rs
from tradetui.domain.events import Holding, OperatorKind
from tradetui.domain.exit_plan import Trail, TrailKind
from tradetui.domain.order import Order, OrderRequest, Product, Side, Validity

AT = (KEY, Product.INTRADAY)


@pytest.fixture
def floor() -> Floor:
    return Floor()


def moved_on_a_phone(floor: Floor, order: Order, trigger: float) -> None:
    """A stop's trigger is changed at the broker."""
    found = floor.broker.of(order.tag)
    found.request = replace(found.request, trigger_price=rs(trigger), price=rs(trigger - 0.5))
    floor.push(found)


def triggers(floor: Floor) -> list[int]:
    return [one.request.trigger_price for one in floor.stops()]


def test_o14_a_stop_that_is_moved_on_a_phone_stays_where_it_was_put(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    moved_on_a_phone(floor, floor.stops()[0], 93)
    floor.wait(10)
    assert triggers(floor) == [rs(93)]
    managed = floor.desk.protection.plans[AT]
    assert (managed.stop, managed.plan.stop) == (rs(93), rs(93)), "the plan followed, and says so"
    assert floor.naked() == []
    floor.restart()
    floor.wait(10)
    assert triggers(floor) == [rs(93)]


def test_o14_a_stop_that_is_moved_while_the_program_is_down_stays_too(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.restart()
    moved_on_a_phone(floor, stop, 92)
    floor.hear(floor.snapshot())
    floor.wait(10)
    assert triggers(floor) == [rs(92)]
    assert floor.desk.protection.plans[AT].stop == rs(92)


def test_our_own_move_that_is_answered_late_is_not_taken_for_a_phones(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.ask(
        OperatorKind.PROTECT,
        instrument_key=KEY,
        plan=replace(floor.desk.protection.plans[AT].plan, stop=rs(96)),
    )
    floor.wait(3)
    floor.ask(
        OperatorKind.PROTECT,
        instrument_key=KEY,
        plan=replace(floor.desk.protection.plans[AT].plan, stop=rs(97)),
    )
    moved_on_a_phone(floor, stop, 96)  # an older push of the first change
    floor.wait(10)
    assert triggers(floor) == [rs(97)]
    assert floor.desk.protection.plans[AT].stop == rs(97)


def test_a_trail_goes_on_from_where_a_phone_put_the_stop(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), trail=Trail(TrailKind.POINTS, rs(5)))
    moved_on_a_phone(floor, floor.stops()[0], 98)
    floor.wait(3)
    floor.tick(101)
    floor.wait(3)
    assert triggers(floor) == [rs(98)], "tighter than the trail: it waits until the price has gone further"
    floor.tick(106)
    floor.wait(3)
    assert triggers(floor) == [rs(101)]


def test_shares_sold_twice_are_listed_as_naked(floor: Floor) -> None:
    floor.hear(replace(floor.snapshot(), holdings=(Holding(KEY, 10, 0, 0, rs(90)),)))
    floor.elsewhere(Side.SELL, 10, Product.DELIVERY)
    assert floor.naked() == [], "sold out of the demat account"
    floor.elsewhere(Side.SELL, 4, Product.DELIVERY)
    (words,) = floor.naked()
    assert words == "4 more were sold than are held: buy them back today, or they go to auction"


def test_flatten_before_the_account_was_read_closes_what_is_found_then(floor: Floor) -> None:
    floor.broker.qty[OPTION.key, Product.INTRADAY] = 65
    floor.ask(OperatorKind.FLATTEN, note="me")
    assert floor.exits() == [], "nobody knows yet what there is"
    floor.hear(floor.snapshot())
    floor.wait(1)
    (sent,) = floor.exits()
    assert (sent.request.instrument_key, sent.request.side, sent.request.qty) == (OPTION.key, Side.SELL, 65)


def test_what_resume_called_back_is_not_closed_by_a_later_reading(floor: Floor) -> None:
    floor.broker.qty[OPTION.key, Product.INTRADAY] = 65
    floor.ask(OperatorKind.FLATTEN, note="me")
    floor.ask(OperatorKind.RESUME)
    floor.hear(floor.snapshot())
    floor.wait(1)
    assert floor.exits() == []


def test_a_flatten_of_everything_known_closes_nothing_that_comes_later(floor: Floor) -> None:
    floor.hear(floor.snapshot())
    floor.ask(OperatorKind.FLATTEN, note="me")
    floor.broker.qty[OPTION.key, Product.INTRADAY] = 65
    floor.hear(floor.snapshot())
    floor.wait(1)
    assert floor.exits() == []


def test_a_basket_stops_when_an_ioc_leg_fills_in_part(floor: Floor) -> None:
    legs = (
        OrderRequest(PUT.key, Side.BUY, 130, Product.DELIVERY, price=rs(100), validity=Validity.IOC),
        OrderRequest(OPTION.key, Side.SELL, 130, Product.DELIVERY, price=rs(100)),
    )
    floor.ask(OperatorKind.BASKET, basket=legs)
    (bought,) = [one for one in floor.desk.manager.working() if one.request.side is Side.BUY]
    floor.fill(bought, 65)
    floor.cancelled_elsewhere(bought, "IOC")
    floor.wait(1)
    (parent,) = floor.desk.groups.parents.values()
    assert parent.state == "stopped"
    assert "leg 1 of 2 filled 65 of 130" in parent.words
    assert not [one for one in floor.desk.manager.orders.values() if one.request.side is Side.SELL]
