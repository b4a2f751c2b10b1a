"""Shares that are held over night leave the broker's positions for the demat account: their exit plan stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.desk.support import KEY, Floor, rs
from tests.unit.desk.test_hard_cases import OVERNIGHT, WithGtts
from tradetui.domain.events import AccountSnapshot, Holding, OperatorKind
from tradetui.domain.order import Product, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelGtt

AT = (KEY, Product.DELIVERY)
S_PER_DAY = 86_400


def next_day(floor: Floor, t1: int, sold: int = 0) -> AccountSnapshot:
    """The broker's account as it shows it on the morning after: bought shares are holdings."""
    floor.broker.qty[AT] = -sold
    floor.broker.orders, floor.broker.fills = {}, []
    return replace(floor.snapshot(), holdings=(Holding(KEY, 0, t1, sold, rs(100)),), orders=(), fills=())


def differs(floor: Floor) -> bool:
    return any(
        one.data.get("found") == "position differs"
        for one in floor.records
        if one.kind is RecordKind.RECONCILE
    )


@pytest.mark.parametrize("restart", [False, True])
def test_r8_an_overnight_stop_outlives_the_day_on_which_the_shares_arrive(restart: bool) -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    assert floor.guarded() == 10
    floor.wait(S_PER_DAY)
    if restart:
        floor.restart()
    floor.hear(next_day(floor, 10))
    floor.wait(5)
    assert floor.desk.portfolio.qty(*AT) == 10, "held as before"
    assert (floor.guarded(), floor.sent(CancelGtt), floor.naked()) == (10, [], [])
    assert not differs(floor)


def test_r8_what_is_sold_from_the_demat_account_closes_the_position() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.wait(S_PER_DAY)
    floor.hear(next_day(floor, 10))
    floor.elsewhere(Side.SELL, 10, Product.DELIVERY)
    floor.wait(1)
    assert floor.desk.portfolio.qty(*AT) == 0
    assert floor.guarded() == 0, "the GTT would sell what is gone"
    floor.hear(replace(floor.snapshot(), holdings=(Holding(KEY, 0, 10, 10, rs(100)),)))
    assert floor.desk.portfolio.qty(*AT) == 0
    assert not differs(floor)
    assert floor.naked() == []


@pytest.mark.parametrize("restart", [False, True])
def test_shares_without_an_exit_plan_move_into_the_holdings(restart: bool) -> None:
    floor = Floor()
    floor.hold(10, product=Product.DELIVERY)
    floor.wait(S_PER_DAY)
    if restart:
        floor.restart()
    floor.hear(next_day(floor, 10))
    assert floor.desk.portfolio.qty(*AT) == 0
    assert not differs(floor)
    assert floor.naked() == []


def test_shares_that_are_nowhere_are_said_and_kept() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.restart()
    floor.hear(next_day(floor, 4))
    assert floor.desk.portfolio.qty(*AT) == 10
    assert differs(floor), "six of ten are missing: nothing is booked away"


def test_r8_a_start_that_cannot_read_the_holdings_takes_nothing_away() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.wait(S_PER_DAY)
    floor.restart()
    floor.hear(replace(next_day(floor, 10), holdings=None))
    floor.wait(5)
    assert (floor.guarded(), floor.sent(CancelGtt)) == (10, []), "nobody knows yet whether they are held"
    floor.hear(next_day(floor, 10))
    floor.wait(5)
    assert (floor.desk.portfolio.qty(*AT), floor.guarded(), floor.naked()) == (10, 10, [])


def test_a_conversion_that_waited_for_its_stop_is_said_after_a_restart() -> None:
    floor = Floor()
    floor.hold(10, stop=rs(95))
    floor.hold_back = True
    floor.ask(OperatorKind.CONVERT, instrument_key=KEY, to_product=Product.DELIVERY)
    floor.hold_back = False
    floor.restart()
    floor.wait(1)
    assert floor.words()[-1] == "not converted: the program stopped before its stop was away; ask again"
    floor.restart()
    before = len(floor.words())
    floor.wait(1)
    assert len(floor.words()) == before, "said once"
