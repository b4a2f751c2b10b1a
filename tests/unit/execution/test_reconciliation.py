"""Twins, changes, days that turn, and the properties of reconciliation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.execution.test_manager import BUY, Bench, S
from tradetui.domain.events import (
    AccountSnapshot,
    BrokerPosition,
    Event,
    Evidence,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Order, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, ModifyOrder, PlaceOrder, ProbeTag
from tradetui.domain.thawing import thaw
from tradetui.execution.manager import OrderManager
from tradetui.execution.tags import Tags

KEY = "NSE_EQ|X"
EVENING = 1_795_149_000 * S + 11 * 3600 * S  # Friday 20 November 2026, 21:00 IST
MORNING = EVENING + 12 * 3600 * S
HOUR = 3600 * S


@pytest.fixture
def bench() -> Bench:
    return Bench()


def row(t_ns: int, status: OrderStatus, broker_id: str = "B1", **said: Any) -> OrderUpdate:
    fields: dict[str, Any] = {
        "tag": "tt00001", "instrument_key": KEY, "side": Side.BUY, "qty": 100, "price": Price(1_000_000),
        "order_type": OrderType.LIMIT, "product": Product.INTRADAY, "filled_qty": 0,
    } | said  # fmt: skip
    return OrderUpdate(t_ns, Evidence.POLL, broker_id=broker_id, status=status, **fields)


def push(t_ns: int, status: OrderStatus, broker_id: str = "B1", **said: Any) -> OrderUpdate:
    return replace(row(t_ns, status, broker_id, **said), evidence=Evidence.STREAM)


def book(bench: Bench, t_ns: int, *rows: OrderUpdate, **more: Any) -> None:
    bench.manager.on_snapshot(AccountSnapshot(t_ns, t_ns, rows, (), **more))


# --- twins --------------------------------------------------------------------------------------------


def test_o6_a_push_without_our_label_before_the_answer_makes_no_twin(bench: Bench) -> None:
    bench.place()
    bench.manager.on_update(push(2 * S, OrderStatus.OPEN, tag="", filled_qty=30))
    assert len(bench.manager.orders) == 2, "it looks like a stranger's until the answer names it"
    bench.manager.on_accepted(RequestAccepted(3 * S, "place", "tt00001", "B1"))
    assert list(bench.manager.orders) == ["tt00001"]
    order = bench.order()
    assert (order.status, order.filled_qty, order.broker_id) == (OrderStatus.OPEN, 30, "B1")
    assert len(bench.manager.working()) == 1
    last = [
        thaw(Order, data) for kind, data in bench.records if kind is RecordKind.ORDER and data["foreign"]
    ][-1]
    assert (last.status, last.message) == (OrderStatus.ABSENT, "it is tt00001")
    again = Bench()
    again.manager.restore([last, order], 1, 9 * S)
    assert list(again.manager.orders) == ["tt00001"]


def test_a_second_order_under_our_label_is_said_and_kept_apart(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    bench.manager.on_update(push(3 * S, OrderStatus.OPEN, "B2"))
    found = [data["found"] for kind, data in bench.records if kind is RecordKind.RECONCILE]
    assert found == ["a second order under our label"]
    assert [order.broker_id for order in bench.manager.working()] == ["B1", "B2"]


def test_r5_an_order_of_ours_whose_record_is_lost_is_no_stranger(bench: Bench) -> None:
    book(bench, 2 * S, row(2 * S, OrderStatus.OPEN, tag="tt00007"))
    order = bench.manager.orders["tt00007"]
    assert (order.foreign, order.broker_id, order.status) == (False, "B1", OrderStatus.OPEN)
    assert "record here was lost" in order.request.reason
    assert bench.place(3 * S).tag == "tt00008", "no label is given out twice"


def test_o16_what_the_broker_placed_itself_is_shown_as_its_own(bench: Bench) -> None:
    bench.manager.on_update(push(2 * S, OrderStatus.FILLED, "B9", tag="", side=Side.SELL, by_broker=True))
    order = bench.manager.by_broker_id("B9")
    assert order is not None
    assert (order.foreign, order.request.source, order.request.reason) == (
        True,
        "broker",
        "placed by the broker",
    )


def test_a_stranger_that_vanishes_is_looked_for_by_the_brokers_id(bench: Bench) -> None:
    book(bench, 2 * S, row(2 * S, OrderStatus.OPEN, "B7", tag=""))
    book(bench, 5 * S)
    bench.manager.on_time(16 * S)
    assert bench.sent(ProbeTag) == [ProbeTag(16 * S, "x-B7", KEY, "B7")]


def test_o14_a_phone_changes_the_terms_and_the_form_of_its_order(bench: Bench) -> None:
    book(bench, 2 * S, row(2 * S, OrderStatus.OPEN, "B7", tag=""))
    changed = {
        "qty": 60,
        "price": Price(990_000),
        "trigger_price": Price(995_000),
        "order_type": OrderType.SL,
    }
    book(
        bench, 7 * S, row(7 * S, OrderStatus.TRIGGER_PENDING, "B7", tag="", validity=Validity.DAY, **changed)
    )
    order = bench.manager.by_broker_id("B7")
    assert order is not None
    request = order.request
    assert (request.qty, request.price, request.trigger_price, request.order_type) == (
        60, 990_000, 995_000, OrderType.SL,
    )  # fmt: skip
    book(bench, 12 * S, row(12 * S, OrderStatus.CANCELLED, "B7", tag=""))
    assert not bench.manager.working()


def test_o21_a_row_that_makes_no_sense_is_shown_raw_and_once(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    for t in (5, 10):
        book(bench, t * S, row(t * S, OrderStatus.OPEN), odd_rows=('{"status": "open"}',))
    assert list(bench.manager.odd_rows.rows) == ['{"status": "open"}']
    assert [d["row"] for k, d in bench.records if k is RecordKind.RECONCILE] == ['{"status": "open"}']
    assert bench.order().status is OrderStatus.OPEN


def test_r3_open_orders_that_no_fill_explains_are_kept(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN)
    again = Bench()
    again.manager.restore([bench.order()], 1, 60 * S)
    book(again, 61 * S, row(61 * S, OrderStatus.OPEN, filled_qty=40), positions=())
    assert [(o.tag, o.pending_qty) for o in again.manager.working()] == [("tt00001", 60)]
    assert again.manager.fills_missing(KEY, Product.INTRADAY)
    assert again.portfolio.qty(KEY, Product.INTRADAY) == 0


# --- changes ------------------------------------------------------------------------------------------


def changing(bench: Bench) -> None:
    bench.place()
    bench.update(OrderStatus.OPEN, qty=100, price=Price(1_000_000))
    assert bench.manager.modify("tt00001", 3 * S, 60, Price(995_000), None) == ""


def test_o9_a_push_of_a_fill_does_not_end_a_modify_that_is_under_way(bench: Bench) -> None:
    changing(bench)
    bench.manager.on_update(push(4 * S, OrderStatus.OPEN, filled_qty=30))
    assert bench.order().modify_pending, "the push tells of the time before"
    assert bench.order().filled_qty == 30
    bench.manager.on_update(push(5 * S, OrderStatus.OPEN, filled_qty=30, qty=60, price=Price(995_000)))
    assert not bench.order().modify_pending
    assert (bench.order().request.qty, bench.order().pending_qty) == (60, 30)


def test_o9_a_book_read_after_the_answer_decides_a_modify(bench: Bench) -> None:
    changing(bench)
    book(bench, int(3.5 * S), row(4 * S, OrderStatus.OPEN))
    assert bench.order().modify_pending
    bench.manager.on_accepted(RequestAccepted(4 * S, "modify", "tt00001", "B1"))
    book(bench, 6 * S, row(6 * S, OrderStatus.OPEN))
    assert not bench.order().modify_pending
    assert bench.order().request.qty == 100, "the exchange did not take it: the book is right"


def test_a_lost_answer_to_a_modify_is_decided_by_a_later_book(bench: Bench) -> None:
    changing(bench)
    bench.manager.on_unknown(RequestUnknown(4 * S, "modify", "tt00001", "time-out"))
    book(bench, 5 * S, row(5 * S, OrderStatus.OPEN))
    assert bench.order().modify_pending
    book(bench, 7 * S, row(7 * S, OrderStatus.OPEN))
    assert not bench.order().modify_pending
    assert len(bench.sent(ModifyOrder)) == 1


def test_a_chase_may_change_the_form_and_uses_the_reserve(bench: Bench) -> None:
    stop = replace(BUY, order_type=OrderType.SL, trigger_price=Price(990_000), source="exit-stop")
    bench.manager.place(stop, S)
    bench.update(OrderStatus.OPEN)
    bench.manager.modify("tt00001", 3 * S, None, Price(1_010_000), Price(0), order_type=OrderType.LIMIT)
    (command,) = bench.sent(ModifyOrder)
    assert isinstance(command, ModifyOrder)
    assert command.urgent
    bench.manager.on_update(push(4 * S, OrderStatus.OPEN, price=Price(1_010_000), trigger_price=Price(0)))
    assert bench.order().request.order_type is OrderType.LIMIT


def test_a_stop_that_only_trails_yields_and_one_that_covers_more_does_not(bench: Bench) -> None:
    stop = replace(BUY, order_type=OrderType.SL, trigger_price=Price(990_000), source="exit-stop")
    bench.manager.place(stop, S)
    bench.update(OrderStatus.TRIGGER_PENDING)
    for qty, trails in ((stop.qty, True), (stop.qty + 1, False)):
        words = bench.manager.modify(
            "tt00001", 3 * S, qty, Price(1_005_000), Price(995_000), order_type=OrderType.SL
        )
        assert not words
        command = bench.sent(ModifyOrder)[-1]
        assert isinstance(command, ModifyOrder)
        assert (command.trailing, command.urgent) == (trails, not trails)
        bench.manager.on_refused(RequestRefused(4 * S, "modify", "tt00001", "", "no"))


# --- the day turns ------------------------------------------------------------------------------------


def over_night(status: OrderStatus = OrderStatus.OPEN, raw: str = "open") -> Bench:
    bench = Bench()
    bench.place(EVENING)
    bench.update(status, t_ns=EVENING + S, raw_status=raw)
    bench.manager.on_time(EVENING + 2 * S)
    return bench


def test_day_orders_of_yesterday_end_by_proof() -> None:
    bench = over_night()
    book(bench, EVENING + HOUR, row(EVENING + HOUR, OrderStatus.OPEN))
    assert bench.order().status is OrderStatus.OPEN
    bench.manager.on_time(MORNING)
    book(bench, MORNING + S)
    assert bench.order().status is OrderStatus.CANCELLED
    assert "its day is over" in bench.order().message
    assert not bench.sent(ProbeTag)


def test_an_after_market_order_lives_on() -> None:
    waits = "after market order req received"
    bench = over_night(OrderStatus.PENDING, waits)
    bench.manager.on_time(MORNING)
    book(bench, MORNING + S, row(MORNING + S, OrderStatus.PENDING, raw_status=waits))
    assert bench.order().status is OrderStatus.PENDING
    book(bench, MORNING + 5 * S)
    assert bench.order().status is OrderStatus.UNKNOWN, "missing is no proof for one that waits"


def test_one_that_was_taken_at_midnight_and_never_told_of_may_be_an_after_market_order() -> None:
    bench = Bench()
    bench.place(EVENING)
    bench.manager.on_accepted(RequestAccepted(EVENING + S, "place", "tt00001", "B1"))
    book(bench, MORNING)
    assert bench.order().status is OrderStatus.UNKNOWN
    book(
        bench,
        MORNING + 5 * S,
        row(MORNING + 5 * S, OrderStatus.PENDING, raw_status="after market order req received"),
    )
    assert bench.order().status is OrderStatus.PENDING


def test_an_order_of_an_earlier_day_that_a_restart_brings_back_ends_by_proof() -> None:
    old = over_night()
    again = Bench()
    again.manager.restore([old.order()], 0, MORNING)
    book(again, MORNING + S)
    assert again.order().status is OrderStatus.CANCELLED


def test_one_that_was_never_seen_stays_unknown_over_night_until_it_is_proven_absent() -> None:
    bench = Bench()
    bench.place(EVENING)
    bench.manager.on_unknown(RequestUnknown(EVENING + S, "place", "tt00001", "time-out"))
    book(bench, MORNING)
    assert bench.order().status is OrderStatus.UNKNOWN
    for t in (1, 5, 9):
        bench.manager.on_absence(TagAbsence(MORNING + t * S, "tt00001"))
    assert bench.order().status is OrderStatus.ABSENT


def test_labels_begin_anew_with_the_day() -> None:
    tags = Tags("tt261120abcd-")
    assert [tags.next(EVENING), tags.next(EVENING + S)] == ["tt261120abcd-00001", "tt261120abcd-00002"]
    assert tags.next(MORNING) == "tt261121abcd-00001"
    assert tags.next(EVENING) == "tt261121abcd-00002", "a clock that steps back re-uses nothing"
    tags.restore(41)
    assert tags.next(MORNING) == "tt261121abcd-00042"


def test_shares_that_move_into_the_demat_account_over_night_are_no_difference(bench: Bench) -> None:
    held = BrokerPosition(KEY, Product.DELIVERY, 100, Price(1_000_000), Money(0))
    bench.manager.on_time(EVENING)
    book(bench, EVENING + S, positions=(held,))
    bench.manager.on_time(MORNING)
    book(bench, MORNING + S, positions=(held,))
    assert bench.portfolio.qty(KEY, Product.DELIVERY) == 100
    book(bench, MORNING + 60 * S, positions=())
    assert bench.portfolio.qty(KEY, Product.DELIVERY) == 0
    assert not bench.manager.positions.differences
    assert bench.portfolio.positions[KEY, Product.DELIVERY].realised == 0
    # A restart of that day folds the same: what the day began with, and what moved.
    openings = [data["qty"] for kind, data in bench.records if kind is RecordKind.OPENING]
    assert openings == [100, 100, -100]


# --- properties ---------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING, OrderStatus.FILLED,
        OrderStatus.CANCELLED, OrderStatus.REJECTED,
    ]
)  # fmt: skip


@st.composite
def accounts(draw: st.DrawFn) -> tuple[tuple[OrderUpdate, ...], tuple[Fill, ...], tuple[BrokerPosition, ...]]:
    """A book, trades and positions that agree with one another."""
    rows, fills, net = [], [], 0
    for number in range(draw(st.integers(0, 6))):
        side, qty = draw(st.sampled_from(list(Side))), draw(st.integers(1, 50))
        parts: list[int] = []
        for units in draw(st.lists(st.integers(1, qty), max_size=3)):
            parts += [units] if sum(parts) + units <= qty else []
        done = sum(parts)
        status = (
            OrderStatus.FILLED
            if done == qty
            else draw(st.sampled_from([OrderStatus.OPEN, OrderStatus.CANCELLED]))
        )
        ours = number == 0 and draw(st.booleans())
        rows.append(
            row(
                9 * S,
                status,
                f"B{number}",
                tag="tt00001" if ours else "",
                side=side,
                qty=qty,
                filled_qty=done,
            )
        )
        for part, units in enumerate(parts):
            fills.append(
                Fill(f"T{part}", f"B{number}", "", KEY, side, units, Price(1_000_000), Product.INTRADAY, S)
            )
        net += side.sign * done
    return tuple(rows), tuple(fills), (BrokerPosition(KEY, Product.INTRADAY, net, Price(0), Money(0)),)


@given(accounts(), st.booleans())
def test_property_reconcile_converges_in_one_pass_and_the_second_is_a_no_op(
    account: Any, started: bool
) -> None:
    bench = Bench()
    if started:
        bench.place()
    rows, fills, positions = account
    snapshot = AccountSnapshot(9 * S, 8 * S, rows, fills, positions)
    bench.manager.on_snapshot(snapshot)
    assert bench.portfolio.qty(KEY, Product.INTRADAY) == positions[0].qty
    assert not bench.manager.positions.differences
    for said in rows:
        order = bench.manager.by_broker_id(said.broker_id)
        assert order is not None
        assert (order.status, order.filled_qty) == (said.status, said.filled_qty)
    before, noted = dict(bench.manager.orders), len(bench.records)
    bench.manager.on_snapshot(replace(snapshot, t_ns=9 * S + 1))
    assert bench.manager.orders == before
    assert len(bench.records) == noted


def _events() -> st.SearchStrategy[Event]:
    tags, ids = st.sampled_from(["tt00001", ""]), st.sampled_from(["B1", "B2"])
    seconds = st.integers(2, 60)
    return st.one_of(
        st.builds(lambda t, w, i, g: push(t * S, w, i, tag=g), seconds, WORDS, ids, tags),
        st.builds(lambda t: TagAbsence(t * S, "tt00001"), seconds),
        st.builds(lambda t: RequestUnknown(t * S, "place", "tt00001", "lost"), seconds),
        st.builds(lambda t, i: RequestAccepted(t * S, "place", "tt00001", i), seconds, ids),
        st.builds(lambda t: AccountSnapshot(t * S, t * S, (), ()), seconds),
    )


def _feed(manager: OrderManager, event: Event) -> None:
    match event:
        case OrderUpdate():
            manager.on_update(event)
        case TagAbsence():
            manager.on_absence(event)
        case RequestUnknown():
            manager.on_unknown(event)
        case RequestAccepted():
            manager.on_accepted(event)
        case AccountSnapshot():
            manager.on_snapshot(event)
        case _:
            raise AssertionError(event)


@settings(max_examples=200)
@given(st.lists(_events(), max_size=25))
def test_property_unknown_is_left_only_with_evidence(events: list[Event]) -> None:
    bench = Bench()
    bench.place(S)
    misses = 0
    for event in sorted(events, key=lambda one: one.t_ns):
        was = bench.manager.orders["tt00001"].status
        _feed(bench.manager, event)
        now = bench.manager.orders["tt00001"].status
        misses += isinstance(event, TagAbsence)
        if was is OrderStatus.UNKNOWN and now is not was:
            told = isinstance(event, OrderUpdate | RequestAccepted)
            proven = isinstance(event, TagAbsence) and misses >= 3 and now is OrderStatus.ABSENT
            assert told or proven, (event, now)
        assert len(bench.sent(PlaceOrder)) == 1
    assert not bench.sent(CancelOrder)


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=12), st.booleans())
def test_fills_are_booked_once_in_any_order_and_however_often(
    order: list[int], more: list[int], late: bool
) -> None:
    bench = Bench()
    bench.place()
    fills = [
        Fill(f"T{n}", "B1", "", KEY, Side.BUY, n + 1, Price(1_000_000), Product.INTRADAY, S) for n in range(6)
    ]
    if not late:
        bench.update(OrderStatus.OPEN)
    booked = [bench.manager.on_fill(FillEvent(3 * S, fills[n])) for n in (*order, *more)]
    bench.manager.on_snapshot(
        AccountSnapshot(9 * S, 8 * S, (row(9 * S, OrderStatus.OPEN, filled_qty=21),), tuple(fills))
    )
    assert sum(booked) == 6
    assert bench.portfolio.qty(KEY, Product.INTRADAY) == 21
    assert bench.order().filled_qty == 21
    assert not bench.manager.fills_missing(KEY, Product.INTRADAY)
    live = Portfolio()
    for kind, data in bench.records:
        if kind is RecordKind.FILL:
            live.book(thaw(Fill, data))
    assert live.positions == bench.portfolio.positions, "the journal replays to the same book"
