"""GTTs: intents first, lost answers settled by terms and time, children tied to their parent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tradetui.domain.events import (
    AccountSnapshot,
    Evidence,
    GttUpdate,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
)
from tradetui.domain.gtt import (
    Gtt,
    GttRequest,
    GttRule,
    GttStatus,
    GttStrategy,
    GttTrigger,
    RuleState,
    RuleStatus,
)
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import EXIT_SOURCE, STOP_SOURCE, OrderStatus, OrderType, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelGtt, Command, ModifyGtt, PlaceGtt, Reconcile
from tradetui.domain.thawing import thaw
from tradetui.execution.manager import OrderManager

S = 1_000_000_000
KEY = "NSE_EQ|X"
T0 = 1_795_149_000 * S
ENTRY = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, to_price(98))
STOP = GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, to_price(95))
TARGET = GttRule(GttStrategy.TARGET, GttTrigger.IMMEDIATE, to_price(110))
SINGLE = GttRequest(
    KEY, Side.SELL, 10, Product.DELIVERY, (ENTRY,), source=STOP_SOURCE, reason="stop over night"
)
BOTH = GttRequest(KEY, Side.BUY, 10, Product.DELIVERY, (ENTRY, STOP, TARGET), source="manual")


class Bench:
    """A manager with everything it says, and a broker whose GTT book the test writes."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.records: list[tuple[RecordKind, Any]] = []
        self.manager = OrderManager(
            Portfolio(),
            self.commands.append,
            lambda kind, data: self.records.append((kind, data)),
            "tt261120a-",
        )
        self.gtts = self.manager.gtts
        self.now = T0

    def place(self, request: GttRequest = SINGLE) -> str:
        placed = self.gtts.place(request, self.now)
        assert placed is not None
        return placed.tag

    def accept(self, tag: str, gtt_id: str = "GTT-1", kind: str = "gtt place") -> None:
        self.manager.on_accepted(RequestAccepted(self.now, kind, tag, gtt_id))

    def lose(self, tag: str, kind: str = "gtt place") -> None:
        self.manager.on_unknown(RequestUnknown(self.now, kind, tag, "time-out"))

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * S)
        self.manager.on_time(self.now)

    def says(
        self, gtt_id: str = "GTT-1", request: GttRequest = SINGLE, *, took_ns: int = 0, **rules: Any
    ) -> GttUpdate:
        """The broker's row of a GTT: status by strategy, ``(status, child)`` or a status."""
        states = []
        for rule in request.rules:
            said = rules.get(rule.strategy.value.lower(), RuleStatus.SCHEDULED)
            status, child = said if isinstance(said, tuple) else (said, "")
            states.append(RuleState(replace(rule, protection_pct=-1), status, status.value, child))
        return GttUpdate(
            self.now, Evidence.POLL, gtt_id, request.instrument_key, request.side, request.qty, request.product,
            tuple(states), took_ns or self.now,
        )  # fmt: skip

    def book(
        self, *rows: GttUpdate, asked_s: float = 0.0, orders: tuple[OrderUpdate, ...] = (), **more: Any
    ) -> None:
        """The broker's books, read now (or so many seconds ago)."""
        asked = self.now - int(asked_s * S)
        self.manager.on_snapshot(AccountSnapshot(self.now, asked, orders, (), gtts=rows, **more))

    def push(self, update: GttUpdate) -> None:
        self.manager.on_gtt_update(replace(update, evidence=Evidence.STREAM))

    def gtt(self, tag: str) -> Gtt:
        return self.gtts.gtts[tag]

    def sent(self, kind: type[Command]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def order_row(broker_id: str, status: OrderStatus = OrderStatus.OPEN, tag: str = "") -> OrderUpdate:
    return OrderUpdate(
        T0, Evidence.STREAM, tag, broker_id, status, instrument_key=KEY, side=Side.SELL, qty=10,
        product=Product.DELIVERY, order_type=OrderType.LIMIT, price=to_price(97), filled_qty=0,
    )  # fmt: skip


# --- a life -------------------------------------------------------------------------------------------


def test_the_intent_is_recorded_before_the_command_exists(bench: Bench) -> None:
    seen: list[int] = []
    manager = OrderManager(
        Portfolio(),
        lambda _: seen.append(len(bench.records)),
        lambda k, d: bench.records.append((k, d)),
        "tt",
    )
    manager.gtts.place(SINGLE, T0)
    assert seen == [1]
    kind, data = bench.records[0]
    assert kind is RecordKind.GTT
    assert thaw(Gtt, data) == manager.gtts.gtts["tt00001"]
    assert thaw(Gtt, data).status is GttStatus.SENT


def test_a_whole_life_of_a_multiple(bench: Bench) -> None:
    tag = bench.place(BOTH)
    bench.accept(tag)
    assert bench.gtt(tag).status is GttStatus.ACTIVE
    waiting: dict[str, Any] = {"stoploss": RuleStatus.INACTIVE, "target": RuleStatus.INACTIVE}
    bench.push(bench.says(request=BOTH, **waiting))
    bench.push(bench.says(request=BOTH, entry=(RuleStatus.OPEN, "C1"), **waiting))
    assert bench.gtt(tag).status is GttStatus.ACTIVE
    bench.push(bench.says(request=BOTH, entry=(RuleStatus.COMPLETED, "C1")))
    assert [gtt.tag for gtt in bench.gtts.working(KEY)] == [tag]
    done: dict[str, Any] = {"stoploss": (RuleStatus.COMPLETED, "C2"), "target": RuleStatus.CANCELLED}
    bench.push(bench.says(request=BOTH, entry=(RuleStatus.COMPLETED, "C1"), **done))
    assert bench.gtt(tag).status is GttStatus.DONE
    assert bench.gtts.working(KEY) == []


def test_one_client_id_makes_one_gtt(bench: Bench) -> None:
    request = replace(SINGLE, client_id="c1")
    assert bench.gtts.place(request, T0) is not None
    assert [bench.gtts.place(request, T0 + n) for n in range(20)] == [None] * 20
    assert len(bench.sent(PlaceGtt)) == 1


def test_a_refused_one_says_why_and_an_entry_that_fails_ends_its_exits(bench: Bench) -> None:
    tag = bench.place()
    bench.manager.on_refused(RequestRefused(bench.now, "gtt place", tag, "UDAPI1151", "the gap is too small"))
    assert (bench.gtt(tag).status, bench.gtt(tag).message) == (GttStatus.REJECTED, "the gap is too small")
    other = bench.place(BOTH)
    bench.accept(other, "GTT-2")
    bench.push(
        bench.says(
            "GTT-2", BOTH, entry=RuleStatus.FAILED, stoploss=RuleStatus.INACTIVE, target=RuleStatus.INACTIVE
        )
    )
    assert bench.gtt(other).status is GttStatus.REJECTED


# --- lost answers -------------------------------------------------------------------------------------


def test_o1_a_lost_answer_is_found_by_terms_and_time(bench: Bench) -> None:
    tag = bench.place()
    bench.lose(tag)
    assert bench.gtt(tag).status is GttStatus.UNKNOWN
    assert bench.manager.has_unknown(KEY)
    bench.wait(1)
    assert any(command.gtts for command in bench.sent(Reconcile))
    other_price = replace(SINGLE, rules=(replace(ENTRY, trigger_price=to_price(97)),))
    bench.book(
        bench.says("GTT-7", other_price),
        bench.says("GTT-8", took_ns=T0 - 3600 * S),
        bench.says("GTT-9", took_ns=T0 + S),
    )
    assert (bench.gtt(tag).status, bench.gtt(tag).gtt_id) == (GttStatus.ACTIVE, "GTT-9")
    assert [gtt.gtt_id for gtt in bench.gtts.gtts.values() if gtt.foreign] == ["GTT-7", "GTT-8"]
    assert not bench.manager.has_unknown(KEY)
    assert len(bench.sent(PlaceGtt)) == 1


def test_o1_a_gtt_that_is_known_as_another_one_is_not_taken_for_the_lost_one(bench: Bench) -> None:
    first = bench.place()
    bench.accept(first, "GTT-1")
    second = bench.place()
    bench.lose(second)
    bench.wait(2)
    bench.book(bench.says("GTT-1", took_ns=T0))
    assert bench.gtt(second).status is GttStatus.UNKNOWN
    bench.book(bench.says("GTT-1", took_ns=T0), bench.says("GTT-2", took_ns=T0))
    assert bench.gtt(second).gtt_id == "GTT-2"


def test_o3_absence_takes_three_reads_the_first_ten_seconds_after(bench: Bench) -> None:
    tag = bench.place()
    bench.lose(tag)
    for _ in range(5):
        bench.wait(1.5)
        bench.book()
    assert bench.gtt(tag).status is GttStatus.UNKNOWN, "7.5 s: too soon to prove anything"
    bench.wait(3)
    for reads in (1, 2, 3):
        assert bench.gtt(tag).status is GttStatus.UNKNOWN, reads
        bench.book()
        bench.book()  # the same moment again proves no more
        bench.wait(3)
    assert bench.gtt(tag).status is GttStatus.ABSENT
    assert not bench.gtts.working(KEY)


def test_o21_a_row_that_makes_no_sense_proves_no_absence(bench: Bench) -> None:
    tag = bench.place()
    bench.lose(tag)
    for _ in range(10):
        bench.wait(5)
        bench.book(odd_rows=('{"gtt_order_id": 5}',))
    assert bench.gtt(tag).status is GttStatus.UNKNOWN
    found = [data for kind, data in bench.records if kind is RecordKind.RECONCILE]
    assert [data["row"] for data in found] == ['{"gtt_order_id": 5}'], "said once"


def test_a_proof_of_absence_that_was_wrong_gives_way_to_evidence(bench: Bench) -> None:
    tag = bench.place()
    bench.lose(tag)
    for _ in range(8):
        bench.wait(4)
        bench.book()
    assert bench.gtt(tag).status is GttStatus.ABSENT
    bench.book(bench.says(took_ns=T0 + S))
    assert bench.gtt(tag).status is GttStatus.ACTIVE


def test_o6_a_push_before_the_answer_is_one_gtt(bench: Bench) -> None:
    tag = bench.place()
    bench.push(bench.says())
    bench.accept(tag)
    assert list(bench.gtts.gtts) == [tag]
    assert bench.gtt(tag).rules


def test_two_alike_under_way_are_sorted_out_by_their_answers(bench: Bench) -> None:
    one, two = bench.place(), bench.place()
    bench.push(bench.says("GTT-B"))  # the second one's, taken for the first one's
    assert bench.gtt(one).gtt_id == "GTT-B"
    bench.accept(two, "GTT-B")
    assert (bench.gtt(one).status, bench.gtt(one).gtt_id) == (GttStatus.UNKNOWN, "")
    bench.accept(one, "GTT-A")
    assert [bench.gtt(tag).gtt_id for tag in (one, two)] == ["GTT-A", "GTT-B"]
    assert {gtt.status for gtt in bench.gtts.gtts.values()} == {GttStatus.ACTIVE}


# --- changes ------------------------------------------------------------------------------------------


def test_a_modify_holds_once_the_book_shows_it(bench: Bench) -> None:
    tag = bench.place()
    assert bench.gtts.modify(tag, bench.now, SINGLE) == "the broker has not confirmed this GTT yet"
    bench.accept(tag)
    lower = replace(SINGLE, rules=(replace(ENTRY, trigger_price=to_price(96)),))
    assert bench.gtts.modify(tag, bench.now, lower) == ""
    assert bench.sent(ModifyGtt) == [ModifyGtt(bench.now, tag, "GTT-1", lower)]
    assert "already under way" in bench.gtts.modify(tag, bench.now, lower)
    bench.wait(1)
    bench.accept(tag, "", "gtt modify")
    bench.book(bench.says(), asked_s=1.5)
    assert bench.gtt(tag).request.rules[0].trigger_price == to_price(98), "that book is older than the answer"
    bench.wait(1)
    bench.book(bench.says(request=lower))
    assert bench.gtt(tag).request.rules[0].trigger_price == to_price(96)
    assert not bench.gtt(tag).modify_pending
    assert "cancel it" in bench.gtts.modify(tag, bench.now, replace(lower, side=Side.BUY))


def test_o19_a_cancel_without_an_answer_is_decided_by_the_book_and_never_repeated(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    bench.gtts.cancel(tag, bench.now)
    bench.lose(tag, "gtt cancel")
    for _ in range(4):
        bench.wait(1)
    assert len(bench.sent(CancelGtt)) == 1
    bench.book(bench.says())
    assert not bench.gtt(tag).cancel_pending, "the book shows it working: a person may ask again"
    assert bench.gtt(tag).status is GttStatus.ACTIVE
    bench.gtts.cancel(tag, bench.now)
    bench.wait(3)
    bench.book(bench.says(entry=RuleStatus.CANCELLED))
    assert bench.gtt(tag).status is GttStatus.CANCELLED


def test_an_accepted_cancel_is_proven_when_the_book_no_longer_lists_it(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    bench.wait(1)
    bench.gtts.cancel(tag, bench.now)
    bench.accept(tag, "GTT-1", "gtt cancel")
    assert bench.gtt(tag).status is GttStatus.ACTIVE, "an answer is not evidence"
    bench.wait(1)
    bench.book()
    assert bench.gtt(tag).status is GttStatus.CANCELLED


def test_o10_a_cancel_refused_because_it_triggered(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    bench.gtts.cancel(tag, bench.now)
    bench.manager.on_refused(RequestRefused(bench.now, "gtt cancel", tag, "", "it has triggered"))
    bench.wait(2)
    bench.book(bench.says(entry=(RuleStatus.COMPLETED, "C1")), orders=(order_row("C1", OrderStatus.FILLED),))
    assert bench.gtt(tag).status is GttStatus.DONE
    assert not bench.gtt(tag).cancel_pending


def test_a_cancel_waits_for_the_brokers_id(bench: Bench) -> None:
    tag = bench.place()
    bench.gtts.cancel(tag, bench.now)
    assert not bench.sent(CancelGtt)
    bench.accept(tag)
    assert [command.gtt_id for command in bench.sent(CancelGtt)] == ["GTT-1"]


# --- children -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gtt_first", [True, False])
def test_a_child_is_no_stranger_whichever_push_comes_first(bench: Bench, gtt_first: bool) -> None:
    tag = bench.place()
    bench.accept(tag)
    said: list[Callable[[], None]] = [
        lambda: bench.push(bench.says(entry=(RuleStatus.OPEN, "C1"))),
        lambda: bench.manager.on_update(order_row("C1")),
    ]
    for say in said if gtt_first else reversed(said):
        say()
    (child,) = bench.manager.in_group(tag)
    assert not child.foreign
    assert (child.broker_id, child.request.source) == ("C1", STOP_SOURCE)
    assert child.request.reason == "stop over night"


def test_exits_of_a_multiple_are_exits_of_ours(bench: Bench) -> None:
    tag = bench.place(BOTH)
    bench.accept(tag)
    children: dict[str, Any] = {
        "entry": (RuleStatus.COMPLETED, "C1"),
        "stoploss": (RuleStatus.CANCELLED, "C2"),
        "target": (RuleStatus.COMPLETED, "C3"),
    }
    bench.book(
        bench.says(request=BOTH, **children),
        orders=tuple(order_row(f"C{n}", OrderStatus.FILLED) for n in (1, 2, 3)),
    )
    assert [one.request.source for one in bench.manager.in_group(tag)] == ["manual", STOP_SOURCE, EXIT_SOURCE]


def test_o17_a_leg_that_triggered_while_we_were_away_is_found_at_start(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    again = Bench()
    again.gtts.restore([bench.gtt(tag)], T0)
    again.wait(3600)
    again.book(again.says(entry=(RuleStatus.COMPLETED, "C1")), orders=(order_row("C1", OrderStatus.FILLED),))
    assert again.gtt(tag).status is GttStatus.DONE
    assert [child.broker_id for child in again.manager.in_group(tag)] == ["C1"]
    assert not any(order.foreign for order in again.manager.orders.values())


# --- strangers, restarts, time ------------------------------------------------------------------------


def test_o14_gtts_from_a_phone_are_adopted_followed_and_can_be_cancelled(bench: Bench) -> None:
    bench.book(bench.says("GTT-P"))
    (stranger,) = bench.gtts.working(KEY)
    assert (stranger.tag, stranger.foreign) == ("x-GTT-P", True)
    bench.wait(5)
    wider = replace(SINGLE, qty=20)
    bench.book(bench.says("GTT-P", wider))
    assert bench.gtt("x-GTT-P").request.qty == 20
    assert bench.gtts.cancel("x-GTT-P", bench.now) == ""
    assert [command.gtt_id for command in bench.sent(CancelGtt)] == ["GTT-P"]
    bench.wait(5)
    bench.book(bench.says("GTT-P", wider, entry=RuleStatus.CANCELLED))
    assert bench.gtt("x-GTT-P").status is GttStatus.CANCELLED


def test_old_finished_gtts_of_the_book_are_not_taken_in(bench: Bench) -> None:
    bench.book(bench.says("GTT-O", entry=(RuleStatus.COMPLETED, "C9")))
    assert not bench.gtts.gtts


@pytest.mark.parametrize("when", ["sent", "active", "cancel wanted"])
def test_r1_what_was_under_way_at_the_end_is_found_again(when: str) -> None:
    bench = Bench()
    tag = bench.place()
    if when == "active":
        bench.accept(tag)
        bench.gtts.cancel(tag, bench.now)
    if when == "cancel wanted":
        bench.gtts.cancel(tag, bench.now)
    records = [thaw(Gtt, data) for kind, data in bench.records if kind is RecordKind.GTT]
    again = Bench()
    again.gtts.restore([records[-1]], T0 + 60 * S)
    again.wait(61)
    assert any(command.gtts for command in again.sent(Reconcile))
    assert not again.sent(PlaceGtt)
    again.book(again.says(took_ns=T0 + S))
    assert (again.gtt(tag).status, again.gtt(tag).gtt_id) == (GttStatus.ACTIVE, "GTT-1")
    assert len(again.sent(CancelGtt)) == (1 if when == "cancel wanted" else 0)
    assert again.gtts.working(KEY) == [again.gtt(tag)]


def test_one_that_vanishes_is_unknown_and_then_gone_by_proof(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    bench.wait(5)
    bench.book()
    assert bench.gtt(tag).status is GttStatus.UNKNOWN
    for _ in range(6):
        bench.wait(5)
        bench.book()
    assert bench.gtt(tag).status is GttStatus.ABSENT
    assert "no longer knows it" in bench.gtt(tag).message


def test_an_intraday_one_ends_with_its_day(bench: Bench) -> None:
    tag = bench.place(replace(SINGLE, product=Product.INTRADAY))
    bench.accept(tag)
    bench.wait(24 * 3600)
    bench.book()
    assert bench.gtt(tag).status is GttStatus.EXPIRED


def test_an_older_push_takes_nothing_back(bench: Bench) -> None:
    tag = bench.place()
    bench.accept(tag)
    bench.push(bench.says(entry=(RuleStatus.COMPLETED, "C1")))
    bench.push(bench.says(entry=(RuleStatus.OPEN, "C1")))
    bench.push(bench.says(entry=RuleStatus.SCHEDULED))
    assert bench.gtt(tag).status is GttStatus.DONE


def test_a_trailing_stop_that_has_moved_is_still_ours(bench: Bench) -> None:
    trailing = replace(BOTH, rules=(ENTRY, replace(STOP, trailing_gap=Price(20_000)), TARGET))
    tag = bench.place(trailing)
    bench.lose(tag)
    bench.wait(2)
    moved = replace(STOP, trailing_gap=Price(20_000), trigger_price=to_price(96.5))
    bench.book(bench.says(request=replace(trailing, rules=(ENTRY, moved, TARGET)), took_ns=T0))
    assert bench.gtt(tag).status is GttStatus.ACTIVE
    assert bench.gtt(tag).request.rules[1].trigger_price == to_price(96.5)
