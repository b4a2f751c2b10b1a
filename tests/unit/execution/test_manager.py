"""Order states: by the table, on evidence, once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tradetui.domain.order import ALLOWED, Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, Command, ModifyOrder, PlaceOrder, ProbeTag, Reconcile
from tradetui.domain.thawing import thaw
from tradetui.execution.manager import OrderManager

S = 1_000_000_000
BUY = OrderRequest("NSE_EQ|X", Side.BUY, 100, price=Price(1_000_000))


class Bench:
    """A manager with everything it says."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.records: list[tuple[RecordKind, Any]] = []
        self.portfolio = Portfolio()
        self.manager = OrderManager(
            self.portfolio, self.commands.append, lambda kind, data: self.records.append((kind, data)), "tt"
        )

    def place(self, t_ns: int = S) -> Order:
        order = self.manager.place(BUY, t_ns)
        assert order is not None
        return order

    def order(self) -> Order:
        return next(iter(self.manager.orders.values()))

    def update(self, status: OrderStatus, filled: int = 0, **kw: Any) -> None:
        fields: dict[str, Any] = {
            "t_ns": 2 * S,
            "evidence": Evidence.STREAM,
            "tag": "tt00001",
            "broker_id": "B1",
        } | kw
        self.manager.on_update(OrderUpdate(status=status, filled_qty=filled, **fields))

    def fill(self, trade: str, qty: int, broker_id: str = "B1", tag: str = "tt00001") -> bool:
        row = Fill(
            trade, broker_id, tag, "NSE_EQ|X", Side.BUY, qty, Price(1_000_000), Product.INTRADAY, 3 * S
        )
        return self.manager.on_fill(FillEvent(3 * S, row))

    def cancel(self) -> None:
        self.manager.cancel("tt00001", S)

    def sent(self, kind: type[Command]) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_intent_is_recorded_before_the_command_exists(bench: Bench) -> None:
    seen: list[int] = []
    manager = OrderManager(
        Portfolio(),
        lambda _: seen.append(len(bench.records)),
        lambda k, d: bench.records.append((k, d)),
        "tt",
    )
    manager.place(BUY, S)
    assert seen == [2]
    assert [kind for kind, _ in bench.records] == [RecordKind.INTENT, RecordKind.ORDER]
    assert thaw(Order, bench.records[0][1]).status is OrderStatus.INTENT


def test_o13_one_client_id_makes_one_order(bench: Bench) -> None:
    request = OrderRequest("NSE_EQ|X", Side.BUY, 1, price=Price(5), client_id="c1")
    assert bench.manager.place(request, S) is not None
    assert [bench.manager.place(request, S + n) for n in range(20)] == [None] * 20
    assert len(bench.sent(PlaceOrder)) == 1


def test_a_whole_life(bench: Bench) -> None:
    order = bench.place()
    bench.manager.on_accepted(RequestAccepted(2 * S, "place", order.tag, "B1"))
    assert bench.order().status is OrderStatus.PENDING
    bench.update(OrderStatus.OPEN)
    bench.update(OrderStatus.OPEN, 40)
    bench.fill("T1", 40)
    bench.update(OrderStatus.FILLED, 100)
    bench.fill("T2", 60)
    assert bench.order().status is OrderStatus.FILLED
    assert bench.portfolio.qty("NSE_EQ|X", Product.INTRADAY) == 100


def test_o6_the_push_beats_the_acknowledgement(bench: Bench) -> None:
    order = bench.place()
    bench.update(OrderStatus.FILLED, 100)
    bench.fill("T1", 100)
    bench.manager.on_accepted(RequestAccepted(3 * S, "place", order.tag, "B1"))
    assert bench.order().status is OrderStatus.FILLED
    assert len(bench.manager.orders) == 1
    assert bench.portfolio.qty("NSE_EQ|X", Product.INTRADAY) == 100


def test_o1_an_unknown_order_is_adopted_by_tag_when_the_book_shows_it(bench: Bench) -> None:
    order = bench.place()
    bench.manager.on_unknown(RequestUnknown(2 * S, "place", order.tag, "time-out"))
    assert bench.manager.has_unknown("NSE_EQ|X")
    bench.update(OrderStatus.OPEN, evidence=Evidence.POLL)
    assert bench.order().status is OrderStatus.OPEN
    assert bench.order().broker_id == "B1"
    assert not bench.manager.has_unknown("NSE_EQ|X")
    assert len(bench.manager.orders) == 1


def test_o3_absence_needs_three_polls_ten_seconds_after_the_time_out(bench: Bench) -> None:
    order = bench.place(0)
    bench.manager.on_unknown(RequestUnknown(0, "place", order.tag, "time-out"))
    bench.manager.on_time(9 * S)
    assert not bench.sent(ProbeTag)
    for t in range(3):
        bench.manager.on_absence(TagAbsence(t * S, order.tag))
    assert bench.order().status is OrderStatus.UNKNOWN
    for n, t in enumerate((10, 13, 16)):
        bench.manager.on_time(t * S)
        assert len(bench.sent(ProbeTag)) == n + 1
        assert bench.order().status is OrderStatus.UNKNOWN
        bench.manager.on_absence(TagAbsence(t * S + 1, order.tag))
    assert bench.order().status is OrderStatus.ABSENT
    assert len(bench.sent(PlaceOrder)) == 1, "nothing is ever sent again by itself"


def test_evidence_wins_even_over_proven_absence(bench: Bench) -> None:
    test_o3_absence_needs_three_polls_ten_seconds_after_the_time_out(bench)
    bench.update(OrderStatus.FILLED, 100)
    assert bench.order().status is OrderStatus.FILLED


def test_o4_a_refusal_with_an_envelope_is_a_rejection(bench: Bench) -> None:
    order = bench.place()
    bench.manager.on_refused(RequestRefused(2 * S, "place", order.tag, "UDAPI1154", "static\x1b[2J IP"))
    assert bench.order().status is OrderStatus.REJECTED
    assert bench.order().message == "static[2J IP"


def test_o10_cancel_refused_because_it_filled(bench: Bench) -> None:
    order = bench.place()
    bench.update(OrderStatus.OPEN)
    assert bench.manager.cancel(order.tag, 3 * S) == ""
    bench.manager.on_refused(RequestRefused(4 * S, "cancel", order.tag, "UDAPI100040", "finished"))
    bench.manager.on_time(5 * S)
    assert bench.sent(Reconcile)
    bench.update(OrderStatus.FILLED, 100, t_ns=5 * S)
    assert bench.order().status is OrderStatus.FILLED
    assert not bench.order().cancel_pending


def test_a_cancel_waits_for_the_broker_id(bench: Bench) -> None:
    order = bench.place()
    assert bench.manager.cancel(order.tag, 2 * S) == ""
    assert not bench.sent(CancelOrder)
    bench.manager.on_accepted(RequestAccepted(3 * S, "place", order.tag, "B1"))
    assert bench.sent(CancelOrder) == [CancelOrder(3 * S, order.tag, "B1")]


def test_o7_older_and_duplicate_pushes_change_nothing(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, 40, average_price=Price(10))
    state = bench.order()
    bench.update(OrderStatus.PENDING, 0)
    bench.update(OrderStatus.OPEN, 0, average_price=Price(0))
    bench.update(OrderStatus.OPEN, 40, average_price=Price(10))
    assert bench.order() == state
    bench.update(OrderStatus.CANCELLED, 40)
    bench.update(OrderStatus.OPEN, 40)
    assert bench.order().status is OrderStatus.CANCELLED


def test_o9_an_older_row_of_the_book_does_not_change_what_filled(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, qty=100, raw_status="open")
    bench.manager.modify("tt00001", 2 * S, 90, None, None)
    bench.update(OrderStatus.OPEN, qty=90, raw_status="open", t_ns=3 * S)
    bench.update(OrderStatus.FILLED, 90, qty=90, raw_status="complete", t_ns=4 * S)
    # Read before the change, told after the fill.
    bench.update(OrderStatus.OPEN, 0, qty=100, raw_status="open", t_ns=5 * S, evidence=Evidence.POLL)
    order = bench.order()
    assert (order.status, order.filled_qty, order.raw_status) == (OrderStatus.FILLED, 90, "complete")


def test_o8_a_missing_fill_is_asked_for(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.FILLED, 100)
    bench.manager.on_time(4 * S)
    assert bench.sent(Reconcile)
    row = Fill("T9", "B1", "", "NSE_EQ|X", Side.BUY, 100, Price(5), Product.INTRADAY, 1)
    snapshot = AccountSnapshot(5 * S, 4 * S, (), (row,), (), None, Money(7), Money(1))
    bench.manager.on_snapshot(snapshot)
    bench.manager.on_snapshot(snapshot)
    assert bench.portfolio.qty("NSE_EQ|X", Product.INTRADAY) == 100
    assert next(iter(bench.portfolio.fills.values())).tag == "tt00001"


def test_what_is_reported_filled_counts_before_its_trade_is_booked(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, 40)
    bench.fill("T1", 15)
    assert bench.manager.unbooked_qty("NSE_EQ|X", Product.INTRADAY) == 25
    assert bench.manager.unbooked_qty("NSE_EQ|X", Product.DELIVERY) == 0
    bench.fill("T2", 25)
    assert bench.manager.unbooked_qty("NSE_EQ|X", Product.INTRADAY) == 0


def test_o14_a_foreign_order_is_adopted_and_can_be_cancelled(bench: Bench) -> None:
    bench.update(
        OrderStatus.OPEN,
        tag="",
        broker_id="P7",
        instrument_key="NSE_EQ|X",
        side=Side.SELL,
        qty=5,
        price=Price(9),
    )
    order = bench.order()
    assert order.foreign
    assert bench.manager.cancel(order.tag, 3 * S) == ""
    assert bench.sent(CancelOrder) == [CancelOrder(3 * S, order.tag, "P7")]


def test_a_re_used_tag_under_another_id_is_another_order(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    bench.update(OrderStatus.OPEN, broker_id="B2", instrument_key="NSE_EQ|X", side=Side.BUY, qty=5)
    assert len(bench.manager.orders) == 2


def test_a_working_order_missing_from_the_book_becomes_unknown(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, t_ns=2 * S)
    bench.manager.on_snapshot(AccountSnapshot(9 * S, 8 * S, (), ()))
    assert bench.order().status is OrderStatus.UNKNOWN


def test_an_order_younger_than_the_read_may_be_missing_from_it(bench: Bench) -> None:
    bench.place(9 * S)
    bench.manager.on_snapshot(AccountSnapshot(10 * S, 8 * S, (), ()))
    assert bench.order().status is OrderStatus.SENT


def test_a_carried_position_opens_the_book_and_a_difference_is_said_once(bench: Bench) -> None:
    held = (BrokerPosition("NSE_EQ|X", Product.DELIVERY, 7, Price(50), Money(0)),)
    bench.manager.on_snapshot(AccountSnapshot(S, S, (), (), held))
    assert bench.portfolio.qty("NSE_EQ|X", Product.DELIVERY) == 7
    for t in range(2, 5):
        bench.manager.on_snapshot(AccountSnapshot(t * S, t * S, (), (), ()))
    said = [data for kind, data in bench.records if kind is RecordKind.RECONCILE]
    assert [(d["ours"], d["theirs"]) for d in said] == [(7, 0)]


def test_modify_sends_all_terms_and_waits_for_the_answer(bench: Bench) -> None:
    order = bench.place()
    assert "not confirmed" in bench.manager.modify(order.tag, S, 50, None, None)
    bench.update(OrderStatus.OPEN)
    assert bench.manager.modify(order.tag, 3 * S, None, Price(999_500), None) == ""
    assert "under way" in bench.manager.modify(order.tag, 3 * S, 50, None, None)
    (command,) = bench.sent(ModifyOrder)
    assert isinstance(command, ModifyOrder)
    assert (command.qty, command.price) == (100, 999_500)
    bench.update(OrderStatus.OPEN, t_ns=4 * S, price=Price(999_500), qty=100)
    assert not bench.order().modify_pending
    assert bench.order().request.price == 999_500


def test_r_restart_asks_about_whatever_was_under_way(bench: Bench) -> None:
    order = bench.place()
    again = Bench()
    again.manager.restore([order], 1, 60 * S)
    assert again.order().status is OrderStatus.UNKNOWN
    again.manager.on_time(70 * S)
    assert again.sent(ProbeTag)
    assert again.manager.place(BUY, 71 * S).tag == "tt00002"  # type: ignore[union-attr]


MOVES: list[Callable[[Bench, int], None]] = [
    lambda b, n: b.update(OrderStatus.PENDING),
    lambda b, n: b.update(OrderStatus.OPEN, n),
    lambda b, n: b.update(OrderStatus.TRIGGER_PENDING),
    lambda b, n: b.update(OrderStatus.CANCELLED, n),
    lambda b, n: b.update(OrderStatus.FILLED, 100),
    lambda b, n: b.update(OrderStatus.REJECTED),
    lambda b, n: b.manager.on_accepted(RequestAccepted(S, "place", "tt00001", "B1")),
    lambda b, n: b.manager.on_unknown(RequestUnknown(S, "place", "tt00001", "x")),
    lambda b, n: b.manager.on_absence(TagAbsence(60 * S, "tt00001")),
    lambda b, n: b.manager.on_refused(RequestRefused(S, "place", "tt00001", "", "no")),
    lambda b, n: b.manager.on_time(n * S),
    lambda b, n: b.manager.on_snapshot(AccountSnapshot(n * S, n * S, (), ())),
    lambda b, n: b.cancel(),
]


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 100)), max_size=25))
def test_states_move_by_the_table_only_and_quantities_never_shrink(
    steps: list[tuple[Callable[[Bench, int], None], int]],
) -> None:
    bench = Bench()
    bench.place()
    for move, n in steps:
        before = bench.order()
        move(bench, n)
        walked = [thaw(Order, data) for kind, data in bench.records if kind is RecordKind.ORDER]
        for old, new in itertools.pairwise(walked):
            assert old.status is new.status or new.status in ALLOWED[old.status]
        assert bench.order().filled_qty >= before.filled_qty
    assert len(bench.sent(PlaceOrder)) == 1
