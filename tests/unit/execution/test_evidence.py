"""Flags that must clear, labels that lie, refusals that were none: the order manager on contradicting evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.execution.test_manager import BUY, Bench, S
from tradetui.domain.events import (
    AccountSnapshot,
    BrokerPosition,
    Evidence,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, OrderStatus, Product, Side
from tradetui.domain.portfolio import Opening
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, Reconcile

KEY = "NSE_EQ|X"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def book(bench: Bench, asked_ns: int, status: OrderStatus, **said: Any) -> None:
    """The order book with our one order, read from ``asked_ns`` on."""
    row = OrderUpdate(asked_ns + 1, Evidence.POLL, "tt00001", "B1", status, **said)
    bench.manager.on_snapshot(AccountSnapshot(asked_ns + 1, asked_ns, (row,), ()))


def held(qty: int, average: int, product: Product = Product.DELIVERY) -> tuple[BrokerPosition, ...]:
    return (BrokerPosition(KEY, product, qty, Price(average), Money(0)),)


def sold(qty: int, price: int, trade: str = "T1") -> Fill:
    return Fill(trade, "P1", "", KEY, Side.SELL, qty, Price(price), Product.DELIVERY, S)


# --- changes without an answer ------------------------------------------------------------------------


def test_o1_a_cancel_without_an_answer_can_be_asked_for_again_once_the_book_shows_the_order(
    bench: Bench,
) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    bench.manager.cancel("tt00001", 3 * S)
    bench.manager.on_unknown(RequestUnknown(4 * S, "cancel", "tt00001", "time-out"))
    book(bench, 5 * S, OrderStatus.OPEN)
    assert bench.order().cancel_pending, "one second is not long enough to say that it failed"
    book(bench, 7 * S, OrderStatus.OPEN)
    assert not bench.order().cancel_pending
    assert bench.manager.cancel("tt00001", 8 * S) == ""
    assert len(bench.sent(CancelOrder)) == 2


def test_an_old_book_does_not_undo_a_confirmed_modify(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, t_ns=2 * S, price=Price(1_000_000), qty=100)
    bench.manager.modify("tt00001", 3 * S, 60, Price(999_500), None)
    bench.update(OrderStatus.OPEN, t_ns=4 * S, price=Price(999_500), qty=60)
    book(bench, 2 * S, OrderStatus.OPEN, qty=100, price=Price(1_000_000))
    assert (bench.order().request.qty, bench.order().request.price) == (60, 999_500)


def test_an_old_book_does_not_end_a_modify_that_is_under_way(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, t_ns=2 * S)
    bench.manager.modify("tt00001", 4 * S, 60, None, None)
    book(bench, 3 * S, OrderStatus.OPEN, qty=100)
    assert bench.order().modify_pending


def test_r1_a_cancel_that_waited_for_the_broker_id_still_goes_out_after_a_restart(bench: Bench) -> None:
    bench.place()
    bench.manager.cancel("tt00001", 2 * S)
    again = Bench()
    again.manager.restore([bench.order()], 1, 60 * S)
    again.update(OrderStatus.OPEN, t_ns=61 * S)
    assert again.sent(CancelOrder) == [CancelOrder(61 * S, "tt00001", "B1")]


def test_r1_changes_under_way_at_the_end_are_asked_for_anew(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    bench.manager.cancel("tt00001", 3 * S)
    lost = replace(bench.order(), status=OrderStatus.UNKNOWN)
    for order in (bench.order(), lost):
        again = Bench()
        again.manager.restore([order], 1, 60 * S)
        assert not again.order().cancel_pending
        assert not again.sent(CancelOrder)


# --- refusals -----------------------------------------------------------------------------------------


def test_a_refusal_of_an_order_that_was_pushed_already_is_not_believed(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.PENDING)
    bench.manager.on_refused(RequestRefused(3 * S, "place", "tt00001", "UDAPI10005", "too many"))
    assert bench.order().status is OrderStatus.PENDING
    bench.manager.on_time(4 * S)
    assert bench.sent(Reconcile)


def test_a_refused_request_that_the_book_shows_all_the_same_is_taken_back(bench: Bench) -> None:
    bench.place()
    bench.manager.on_refused(RequestRefused(2 * S, "place", "tt00001", "UDAPI10005", "too many"))
    book(bench, 5 * S, OrderStatus.OPEN, qty=100)
    assert bench.order().status is OrderStatus.OPEN
    assert len(bench.manager.orders) == 1


def test_what_the_broker_itself_rejected_stays_rejected(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.REJECTED)
    bench.update(OrderStatus.OPEN)
    assert bench.order().status is OrderStatus.REJECTED


def test_an_acknowledgement_after_absence_was_proven_brings_the_order_back(bench: Bench) -> None:
    order = bench.place(0)
    bench.manager.on_unknown(RequestUnknown(0, "place", order.tag, "time-out"))
    for t in (10, 13, 16):
        bench.manager.on_absence(TagAbsence(t * S, order.tag))
    bench.manager.on_accepted(RequestAccepted(17 * S, "place", order.tag, "B1"))
    assert bench.order().status is OrderStatus.PENDING


def test_o20_an_account_that_cannot_be_read_is_said_once_until_it_can(bench: Bench) -> None:
    for t in range(3):
        bench.manager.on_refused(RequestRefused(t * S, "read", "", "UDAPI100050", "log in again"))
    assert bench.manager.account_trouble == "log in again"
    assert [kind for kind, _ in bench.records] == [RecordKind.RECONCILE]
    bench.manager.on_snapshot(AccountSnapshot(9 * S, 8 * S, (), ()))
    assert bench.manager.account_trouble == ""


# --- whose fill ---------------------------------------------------------------------------------------


def test_a_fill_of_a_stranger_with_our_label_is_not_counted_as_ours(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    bench.fill("T1", 30, broker_id="B2")
    assert bench.order().filled_qty == 0
    assert [fill.tag for fill in bench.portfolio.fills.values()] == [""]
    bench.fill("T2", 20, tag="")
    assert bench.order().filled_qty == 20


# --- carried positions --------------------------------------------------------------------------------


def test_r8_a_carried_position_that_was_partly_sold_before_the_first_look_is_whole(bench: Bench) -> None:
    bench.manager.on_snapshot(AccountSnapshot(S, S, (), (sold(40, 900_000),), held(60, 1_000_000)))
    position = bench.portfolio.positions[KEY, Product.DELIVERY]
    assert (position.qty, position.average_price) == (60, 1_000_000)
    assert position.realised == 40 * (900_000 - 1_000_000)


def test_r8_a_carried_position_added_to_has_the_brokers_average(bench: Bench) -> None:
    bought = Fill("T1", "P1", "", KEY, Side.BUY, 100, Price(1_100_000), Product.DELIVERY, S)
    bench.manager.on_snapshot(AccountSnapshot(S, S, (), (bought,), held(300, 1_050_000)))
    position = bench.portfolio.positions[KEY, Product.DELIVERY]
    assert (position.qty, position.average_price) == (300, 1_050_000)
    opened = next(data for kind, data in bench.records if kind is RecordKind.OPENING)
    assert (opened["qty"], opened["average_price"]) == (200, 1_025_000)


def test_r8_a_carried_position_that_is_sold_out_makes_no_profit_from_nothing(bench: Bench) -> None:
    bench.manager.on_snapshot(AccountSnapshot(S, S, (), (sold(40, 900_000),), held(0, 0)))
    position = bench.portfolio.positions[KEY, Product.DELIVERY]
    assert (position.qty, position.realised) == (0, 0)


def test_r8_positions_that_could_not_be_read_at_first_open_the_book_later(bench: Bench) -> None:
    bench.manager.on_snapshot(AccountSnapshot(S, S, (), (), None))
    bench.manager.on_snapshot(AccountSnapshot(2 * S, 2 * S, (), (), held(7, 50)))
    assert bench.portfolio.qty(KEY, Product.DELIVERY) == 7


def test_r8_after_a_restart_nothing_is_opened_twice(bench: Bench) -> None:
    bench.portfolio.open_with(Opening(KEY, Product.DELIVERY, 100, Price(1_000_000)))
    bench.manager.on_fill(FillEvent(S, sold(40, 900_000)))
    bench.manager.on_snapshot(AccountSnapshot(2 * S, 2 * S, (), (sold(40, 900_000),), held(60, 1_000_000)))
    assert bench.portfolio.qty(KEY, Product.DELIVERY) == 60
    assert RecordKind.OPENING not in [kind for kind, _ in bench.records]


def test_a_restored_request_is_the_same_request(bench: Bench) -> None:
    asked = replace(BUY, client_id="c1")
    assert not bench.manager.was_asked(asked)
    bench.manager.place(asked, S)
    again = Bench()
    again.manager.restore([bench.order()], 1, 2 * S)
    assert again.manager.was_asked(asked)
    assert not again.manager.was_asked(BUY), "no client id says nothing"
