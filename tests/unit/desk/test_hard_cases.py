"""Positions between two stools: a GTT and a stop, an exit in part, slices, a restart with yesterday's orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.desk.support import DAY, KEY, OPTION, Floor, S, plan, rs
from tradetui.domain.events import (
    AccountSnapshot,
    BandsEvent,
    DayBand,
    Evidence,
    FillEvent,
    GttUpdate,
    OperatorKind,
    RequestAccepted,
    RequestRefused,
)
from tradetui.domain.gtt import RuleState, RuleStatus
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    Command,
    ConvertPosition,
    ModifyGtt,
    PlaceGtt,
    PlaceOrder,
)
from tradetui.wiring.restore import give_back, read_past


@pytest.fixture
def floor() -> Floor:
    return Floor()


class WithGtts(Floor):
    """A floor whose broker keeps GTTs; it answers their requests when `gtts_answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: dict[str, tuple[Any, int, RuleStatus]] = {}
        self.no_gtts = ""
        self.gtts_answer = True

    def answer(self, command: Command) -> None:
        if not isinstance(command, PlaceGtt | ModifyGtt | CancelGtt):
            super().answer(command)
            return
        self.commands.append(command)
        if not self.gtts_answer:
            return
        if isinstance(command, PlaceGtt):
            if self.no_gtts:
                self.hear(RequestRefused(self.now, "gtt place", command.tag, "X", self.no_gtts))
                return
            name = f"G{len(self.rests) + 1}"
            self.rests[name] = (command.request, command.request.qty, RuleStatus.SCHEDULED)
            self.hear(RequestAccepted(self.now, "gtt place", command.tag, name))
        elif isinstance(command, ModifyGtt):
            self.rests[command.gtt_id] = (command.request, command.request.qty, RuleStatus.SCHEDULED)
            self.hear(RequestAccepted(self.now, "gtt modify", command.tag, command.gtt_id))
            self.hear(self.gtt_update(command.gtt_id))
        else:
            request, qty, _ = self.rests[command.gtt_id]
            self.rests[command.gtt_id] = (request, qty, RuleStatus.CANCELLED)
            self.hear(RequestAccepted(self.now, "gtt cancel", command.tag, command.gtt_id))
            self.hear(self.gtt_update(command.gtt_id))

    def gtt_update(self, name: str, child: str = "") -> GttUpdate:
        request, qty, status = self.rests[name]
        (rule,) = request.rules
        return GttUpdate(
            self.now, Evidence.STREAM, name, request.instrument_key, request.side, qty, request.product,
            (RuleState(rule, status, order_id=child),),
        )  # fmt: skip

    def fire(self, name: str) -> str:
        """A GTT triggers: a child order without our label rests at the broker."""
        request, qty, _ = self.rests[name]
        self.rests[name] = (request, qty, RuleStatus.OPEN)
        child = self.broker.place(
            "", OrderRequest(request.instrument_key, request.side, qty, request.product, price=rs(90))
        )
        self.hear(self.gtt_update(name, child.id))
        self.push(child)
        return child.id

    def guarded(self) -> int:
        """Units that GTTs may still sell at the broker."""
        return sum(qty for _, qty, status in self.rests.values() if not status.terminal)

    def on_sale(self) -> int:
        return sum(one.left for one in self.broker.orders.values() if one.request.side is Side.SELL)


OVERNIGHT: dict[str, Any] = {"product": Product.DELIVERY, "stop": rs(95), "overnight": True}


# --- GTTs ---------------------------------------------------------------------------------------------


def test_a_part_exit_makes_the_gtt_smaller_before_the_exit_leaves() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    assert floor.guarded() == 10
    floor.gtts_answer = False
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, product=Product.DELIVERY, qty=6)
    assert not floor.exits(), "a GTT over ten and an exit over six could sell sixteen"
    floor.gtts_answer = True
    for command in [c for c in floor.commands if isinstance(c, ModifyGtt)]:
        floor.commands.remove(command)
        floor.answer(command)
    floor.wait(1)
    assert floor.guarded() + floor.on_sale() == 10
    assert [one.request.qty for one in floor.exits()] == [6]


def test_a_stop_does_not_rest_beside_the_gtt_that_it_replaces() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.gtts_answer = False
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, product=Product.DELIVERY, plan=plan(96))
    floor.wait(1)
    assert floor.stops() == [], "the GTT may still fire"
    floor.gtts_answer = True
    command = floor.sent(CancelGtt)[0]
    floor.answer(command)
    floor.wait(1)
    assert (len(floor.stops()), floor.guarded()) == (1, 0)


def test_a_refused_gtt_is_not_sent_again_in_a_circle() -> None:
    floor = WithGtts()
    floor.no_gtts = "service hours"
    floor.hold(10, **OVERNIGHT)
    for _ in range(120):
        floor.wait(1)
    assert 2 <= len(floor.sent(PlaceGtt)) <= 8
    assert "service hours" in floor.naked()[0]


def test_the_order_of_a_gtt_never_sells_more_than_is_held() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.elsewhere(Side.SELL, 6, Product.DELIVERY)
    child = floor.fire("G1")
    floor.wait(1)
    assert floor.broker.orders[child].left <= 4


def test_a_part_exit_goes_on_beside_a_gtt_that_has_triggered() -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    child = floor.fire("G1")
    assert "has triggered" in floor.naked()[0]
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, product=Product.DELIVERY, qty=6)
    floor.wait(8)
    assert floor.broker.orders[child].left == 4
    assert [one.pending_qty for one in floor.exits() if one.tag.startswith("tt-")] == [6]


# --- closing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["closed", "post-close"])
def test_what_cannot_be_closed_now_keeps_its_protection(phase: str) -> None:
    floor = WithGtts()
    floor.hold(10, **OVERNIGHT)
    floor.wait(3)
    floor.phase = phase
    floor.ask(OperatorKind.FLATTEN, include=(Product.DELIVERY,))
    floor.wait(2)
    assert floor.sent(CancelGtt) == [], "no exit can follow it now"
    assert "the market is" in floor.words()[-1]


def test_an_entry_that_fills_during_a_part_exit_is_not_sold_too(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    entry = floor.place(Side.BUY, 20, 99)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=4)
    floor.fill(entry)
    floor.wait(2)
    assert sum(one.pending_qty for one in floor.exits()) == 4, "four were to be sold"
    floor.fill(floor.exits()[0])
    floor.wait(3)
    assert floor.held == 26
    assert sum(stop.pending_qty for stop in floor.stops()) == 26


def test_a_second_part_exit_is_not_lost(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=3)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=3)
    floor.wait(1)
    for one in floor.exits():
        floor.fill(one)
    floor.wait(2)
    said = [words for words in floor.words() if "exit" in words]
    assert floor.held == 4 or said, "done, or said that it is not"


def test_resume_does_not_call_back_the_exit_of_a_stop(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.refuse["stop"] = "no"
    floor.cancelled_elsewhere(floor.stops()[0])
    floor.wait(1)
    assert floor.desk.closing.active(KEY, Product.INTRADAY), "an emergency exit is under way"
    floor.ask(OperatorKind.RESUME)
    assert floor.desk.closing.active(KEY, Product.INTRADAY)


def frozen(floor: Floor, qty: int) -> None:
    """A position of several freeze quantities."""
    for _ in range(qty // OPTION.max_order_qty):
        floor.hold(OPTION.max_order_qty, instrument_key=OPTION.key)


def test_every_slice_of_an_exit_is_chased(floor: Floor) -> None:
    most = OPTION.max_order_qty
    frozen(floor, 2 * most)
    floor.ask(OperatorKind.EXIT, instrument_key=OPTION.key)
    first = [one.request.price for one in floor.exits()]
    assert [one.request.qty for one in floor.exits()] == [most, most]
    floor.wait(4)
    assert all(one.request.price < first[0] for one in floor.exits()), "the second slice too"


def test_slices_that_the_exchange_refuses_later_are_not_sent_without_end(floor: Floor) -> None:
    frozen(floor, 2 * OPTION.max_order_qty)
    floor.ask(OperatorKind.EXIT, instrument_key=OPTION.key)
    for _ in range(100):
        live = [one for one in floor.exits() if one.status is OrderStatus.OPEN]
        if not live:
            break
        there = floor.broker.of(live[0].tag)
        there.status = OrderStatus.REJECTED
        floor.push(there, message="outside the circuit")
    assert len(floor.exits()) <= 12, "a pause comes after a refusal"


def test_an_exit_that_our_own_limit_kept_back_is_no_failure(floor: Floor) -> None:
    floor.hold(10)
    floor.refuse["exit"] = "not sent: our own limit on requests is used up"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    for _ in range(60):
        floor.wait(1)
    assert floor.desk.closing.active(KEY, Product.INTRADAY), "it goes on once there is room"
    floor.refuse.clear()
    floor.wait(4)
    floor.fill(floor.exits()[-1])
    assert floor.held == 0


def banded(floor: Floor, low: float, high: float) -> None:
    band = DayBand(KEY, rs(low), rs(high))
    floor.desk.books.take_bands(BandsEvent(floor.now, (band,)))


def test_stops_and_exits_stay_inside_the_days_band(floor: Floor) -> None:
    banded(floor, 95, 105)
    floor.hold(10, stop=rs(96))
    (stop,) = floor.stops()
    assert (stop.request.trigger_price, stop.request.price) == (rs(96), rs(95)), "not three percent below"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    floor.prices[KEY] = 95.1
    for _ in range(12):
        floor.wait(1)
    assert floor.broker.of(floor.exits()[0].tag).request.price == rs(95)


def test_a_stop_outside_the_days_band_is_watched_and_not_sent(floor: Floor) -> None:
    banded(floor, 95, 105)
    floor.hold(10, stop=rs(92))
    floor.wait(10)
    assert floor.stops() == []
    assert "outside the day's price band 95.00 to 105.00; watched by us" in floor.naked()[0]
    banded(floor, 90, 110)
    floor.wait(60)
    assert [stop.request.trigger_price for stop in floor.stops()] == [rs(92)], "the band was moved"


# --- conversions --------------------------------------------------------------------------------------


def test_the_stop_is_gone_before_its_units_move_to_another_product(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.hold_back = True
    floor.ask(OperatorKind.CONVERT, instrument_key=KEY, to_product=Product.DELIVERY)
    assert [type(one) for one in floor.queue] == [CancelOrder], "a stop left behind would open a short"
    floor.answer(floor.queue.pop(0))
    (command,) = floor.queue
    assert isinstance(command, ConvertPosition)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    floor.wait(3)
    assert floor.exits() == [], "where the units stand is not known now"
    floor.hold_back = False
    floor.queue.clear()
    floor.broker.qty = {(KEY, Product.INTRADAY): 0, (KEY, Product.DELIVERY): 10}
    floor.hear(RequestAccepted(floor.now, "convert", command.tag, ""))
    floor.wait(3)
    assert [(one.request.product, one.pending_qty) for one in floor.stops()] == [(Product.DELIVERY, 10)]


def test_units_that_another_exit_is_waiting_for_are_not_converted(floor: Floor) -> None:
    floor.hold(10)
    floor.place(Side.SELL, 6, 104)
    floor.ask(OperatorKind.CONVERT, instrument_key=KEY, to_product=Product.DELIVERY)
    assert "cancel them first" in floor.words()[-1]
    floor.ask(OperatorKind.CONVERT, instrument_key=KEY, to_product=Product.DELIVERY, qty=4)
    assert len(floor.sent(ConvertPosition)) == 1


# --- entries ------------------------------------------------------------------------------------------


def test_slices_that_were_to_close_a_position_never_open_the_other_side(floor: Floor) -> None:
    most = OPTION.max_order_qty
    frozen(floor, 3 * most)
    floor.hold_back = True
    floor.desk.request(
        OrderRequest(OPTION.key, Side.SELL, 3 * most, order_type=OrderType.LIMIT, price=rs(100))
    )
    foreign = floor.broker.place("", OrderRequest(OPTION.key, Side.SELL, 2 * most, price=rs(100)))
    floor.hear(floor.update(foreign, Evidence.STREAM))
    fill = floor.broker.trade(foreign, 2 * most, rs(100), floor.now)
    floor.hear(floor.update(foreign, Evidence.STREAM))
    floor.hear(FillEvent(floor.now, fill))
    floor.hold_back = False
    floor.settle()
    floor.wait(1)
    held = floor.broker.qty[OPTION.key, Product.INTRADAY]
    on_sale = sum(one.left for one in floor.broker.orders.values() if one.request.side is Side.SELL)
    assert on_sale <= held


def test_a_reversal_in_one_fill_brings_the_new_plan_into_force(floor: Floor) -> None:
    floor.hold(10, target=rs(120))
    order = floor.place(Side.SELL, 20, 100, stop=rs(105))
    floor.fill(order, 5)
    floor.fill(order, 15)
    floor.wait(1)
    assert floor.held == -10
    assert [stop.request.side for stop in floor.stops()] == [Side.BUY]


# --- restart ------------------------------------------------------------------------------------------


def next_day(floor: Floor) -> None:
    """Three days later, a new process; the broker's books of the day are empty."""
    floor.queue.clear()
    floor.now += 3 * 86_400 * S
    past = read_past(list(floor.records), DAY + timedelta(days=3), "tt-")
    floor.desk = floor.new_desk()
    give_back(past, floor.desk, floor.now)
    floor.broker.orders.clear()
    floor.broker.fills.clear()


def test_an_order_of_yesterday_that_was_sold_again_leaves_nothing_to_close(floor: Floor) -> None:
    order = floor.place(Side.BUY, 10, 100, product=Product.DELIVERY)
    floor.fill(order, 4)
    sold = floor.place(Side.SELL, 4, 100, product=Product.DELIVERY)
    floor.fill(sold)
    next_day(floor)
    for _ in range(5):
        floor.wait(10)
    assert floor.desk.books.held(KEY, Product.DELIVERY) == 0
    floor.ask(OperatorKind.EXIT_ALL, include=(Product.DELIVERY,))
    floor.wait(5)
    assert floor.exits() == []


def test_what_filled_yesterday_of_an_order_that_still_worked_is_not_counted_again(floor: Floor) -> None:
    order = floor.place(Side.BUY, 10, 100, product=Product.DELIVERY, stop=rs(95))
    floor.fill(order, 4)
    next_day(floor)
    for _ in range(5):
        floor.wait(10)
    assert floor.desk.books.held(KEY, Product.DELIVERY) == 4
    assert sum(stop.pending_qty for stop in floor.stops()) == 4
    assert [c for c in floor.sent(CancelOrder) if c.tag == order.tag] == []


def test_a_carried_plan_waits_until_positions_could_be_compared(floor: Floor) -> None:
    floor.hold(10, product=Product.DELIVERY, stop=rs(95))
    next_day(floor)
    # A phone trades in another instrument: its order is in the book, its trade not yet in the trade list.
    other = floor.broker.place("", OrderRequest(OPTION.key, Side.BUY, 65, price=rs(100)))
    floor.broker.trade(other, 65, rs(100), floor.now)
    whole = floor.snapshot()
    floor.hear(AccountSnapshot(whole.t_ns, whole.asked_ns, whole.orders, (), whole.positions))
    assert (KEY, Product.DELIVERY) in floor.desk.protection.plans
    floor.wait(10)
    assert sum(stop.pending_qty for stop in floor.stops()) == 10
    assert len([c for c in floor.sent(PlaceOrder) if c.request.is_resting_stop]) == 2, "yesterday's, today's"


def test_units_whose_trades_never_came_do_not_block_the_next_day(floor: Floor) -> None:
    floor.wait(1)
    order = floor.place(Side.BUY, 10, 100, product=Product.DELIVERY)
    there = floor.broker.of(order.tag)
    floor.broker.trade(there, 10, rs(100), floor.now)
    floor.broker.fills.clear()
    floor.push(there)
    assert floor.desk.books.held(KEY, Product.DELIVERY) == 10, "reported filled, not booked"
    floor.broker.orders.clear()
    floor.now += 86_400 * S
    for _ in range(3):
        floor.wait(20)
    assert floor.desk.portfolio.qty(KEY, Product.DELIVERY) == 10, "carried, as the broker shows it"
    assert floor.desk.books.held(KEY, Product.DELIVERY) == 10


def test_O6_a_trade_that_comes_before_every_answer_counts_once(floor: Floor) -> None:
    floor.hold_back = True
    order = floor.place(Side.BUY, 10, 100, stop=rs(95))
    there = floor.broker.place(order.tag, order.request)
    fill = floor.broker.trade(there, 4, rs(100), floor.now)
    floor.hear(FillEvent(floor.now, fill))
    assert floor.desk.books.held(KEY, Product.INTRADAY) == 4
    assert [stop.request.qty for stop in floor.stops()] == [4]


def test_a_plan_that_was_taken_away_yesterday_stays_away(floor: Floor) -> None:
    order = floor.place(Side.BUY, 10, 100, product=Product.DELIVERY, stop=rs(95))
    floor.fill(order, 4)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, product=Product.DELIVERY, plan=plan())
    next_day(floor)
    floor.hear(floor.snapshot())
    for _ in range(3):
        floor.wait(10)
    assert floor.desk.books.held(KEY, Product.DELIVERY) == 4
    assert floor.stops() == []
    assert floor.naked() == ["no stop"]
