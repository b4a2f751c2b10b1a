"""One stop rests for each position; what is watched strikes once; bad days end closed or are said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.desk.support import DAY, KEY, LIMITS, OPTION, SHARE, Floor, S, plan, rs
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import OperatorKind, RequestAccepted
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, ConvertPosition, ModifyOrder, PlaceOrder
from tradetui.domain.view import Verdict


@pytest.fixture
def floor() -> Floor:
    return Floor()


# --- the resting stop ---------------------------------------------------------------------------------


def test_a_persons_entry_with_a_stop_gets_one_resting_stop(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), target=rs(110))
    (stop,) = floor.stops()
    request = stop.request
    assert (request.side, request.qty, request.product) == (Side.SELL, 10, Product.INTRADAY)
    assert (request.order_type, request.trigger_price) == (OrderType.SL, rs(95))
    assert request.price == rs(92.15), "three percent beyond the trigger, the exchange's range for shares"
    assert floor.naked() == []
    floor.wait(60)
    assert len(floor.sent(PlaceOrder)) == 2, "the target rests nowhere"


def test_a_short_is_protected_by_a_buy_stop(floor: Floor) -> None:
    floor.hold(-10, stop=rs(105))
    (stop,) = floor.stops()
    assert (stop.request.side, stop.request.trigger_price, stop.request.price) == (
        Side.BUY, rs(105), rs(108.15),
    )  # fmt: skip


def test_an_options_stop_may_lie_further_from_its_trigger(floor: Floor) -> None:
    floor.hold(65, instrument_key=OPTION.key, stop=rs(40))
    (stop,) = floor.stops()
    assert (stop.request.trigger_price, stop.request.price) == (rs(40), rs(30)), "Rs 10 is the greater range"


def test_the_stop_grows_with_the_fills_and_shrinks_with_part_exits(floor: Floor) -> None:
    entry = floor.place(Side.BUY, 10, 100, stop=rs(95))
    floor.fill(entry, 4)
    assert [stop.request.qty for stop in floor.stops()] == [4]
    floor.fill(entry, 6)
    floor.wait(1)
    assert [stop.request.qty for stop in floor.stops()] == [10], "by modify"
    assert len(floor.sent(ModifyOrder)) == 1
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=3)
    assert [stop.request.qty for stop in floor.stops()] == [7], "made smaller before the exit leaves"
    floor.fill(floor.exits()[-1])
    floor.wait(1)
    assert (floor.held, [stop.request.qty for stop in floor.stops()]) == (7, [7])


def test_cancelling_the_entry_keeps_protection_for_what_filled(floor: Floor) -> None:
    entry = floor.place(Side.BUY, 10, 100, stop=rs(95), target=rs(120))
    floor.fill(entry, 4)
    floor.ask(OperatorKind.CANCEL, tag=entry.tag)
    floor.wait(5)
    assert [stop.request.qty for stop in floor.stops()] == [4]
    assert floor.naked() == []


def test_a_stop_above_the_freeze_quantity_rests_in_slices(floor: Floor) -> None:
    floor.instruments[KEY] = replace(SHARE, freeze_qty=4)
    for _ in range(3):
        floor.hold(4, stop=rs(95))
    floor.wait(1)
    assert sorted(stop.request.qty for stop in floor.stops()) == [4, 4, 4]


def test_a_position_that_went_flat_loses_its_stop_and_its_plan(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.elsewhere(Side.SELL, 10)
    assert floor.stops() == []
    assert floor.broker.of(stop.tag).status is OrderStatus.CANCELLED, "an orphan would open a short"
    assert floor.desk.protection.plans == {}


# --- watched ------------------------------------------------------------------------------------------


def test_a_target_takes_the_stop_away_first_and_measures_the_gap(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), target=rs(110))
    floor.hold_back = True
    floor.tick(110.0)
    (cancel,) = floor.queue
    assert isinstance(cancel, CancelOrder)
    assert not floor.exits()
    floor.now += S // 10
    floor.hold_back = False
    floor.settle()
    (sent,) = floor.exits()
    assert (sent.request.qty, sent.request.reason) == (10, "target 110.00 hit")
    assert sent.request.order_type is OrderType.LIMIT
    assert rs(109) < sent.request.price < rs(110)
    gaps = [record.data["gap_ns"] for record in floor.of(RecordKind.PLAN) if "gap_ns" in record.data]
    assert gaps == [0], "the fake broker answers in no time"
    floor.fill(sent)
    floor.wait(60)
    assert (floor.held, len(floor.exits()), floor.stops()) == (0, 1, [])


def test_o25_the_stop_fills_while_the_target_takes_it_away(floor: Floor) -> None:
    """Stop and target race: one fills, the other is gone before it could open a reverse position."""
    floor.hold(10, stop=rs(95), target=rs(110))
    (stop,) = floor.stops()
    floor.hold_back = True
    floor.tick(110.0)
    floor.fill(stop, price=95)
    floor.hold_back = False
    floor.settle()
    floor.wait(30)
    assert (floor.held, floor.exits()) == (0, [])


def test_o12_the_exit_fills_while_its_stop_is_changed(floor: Floor) -> None:
    """The stop fills while it is being moved: no new stop, no reverse position."""
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.hold_back = True
    floor.ask(OperatorKind.MODIFY, tag=stop.tag, trigger_price=rs(97))
    floor.wait(3)
    floor.fill(stop, price=95)
    floor.hold_back = False
    floor.settle()
    floor.wait(30)
    assert floor.held == 0
    assert [o for o in floor.broker.orders.values() if o.status.working] == []


def test_a_time_exit_closes_at_its_second_without_any_price() -> None:
    floor = Floor(up=False)
    floor.hold_blind()
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95, time_exit_s=10 * 3600 + 60))
    floor.wait(59)
    assert not floor.exits()
    floor.wait(1)
    (sent,) = floor.exits()
    assert (sent.request.order_type, sent.request.reason) == (OrderType.MARKET, "time exit 10:01")


def test_intraday_positions_are_squared_off_before_the_closing_auction(floor: Floor) -> None:
    floor.hold(10, stop=rs(90))
    held = floor.place(Side.BUY, 5, 100, product=Product.DELIVERY)
    floor.fill(held)
    resting = floor.place(Side.BUY, 5, 98)
    floor.now = ns(DAY, "15:00") - S
    floor.wait(0)
    assert not floor.exits()
    floor.wait(1)
    (sent,) = floor.exits()
    assert (sent.request.qty, sent.request.reason) == (10, "square-off at 15:00")
    assert floor.broker.of(resting.tag).status is OrderStatus.CANCELLED
    floor.fill(sent)
    floor.wait(300)
    assert floor.broker.qty == {(KEY, Product.INTRADAY): 0, (KEY, Product.DELIVERY): 5}


def test_who_wants_to_watch_the_auction_keeps_the_position_and_sees_it_naked() -> None:
    floor = Floor(limits=replace(LIMITS, watch_in_auction=True, square_off_s=0))
    floor.hold(10, stop=rs(90))
    floor.closes_ns = floor.now + 100 * S
    floor.wait(99)
    assert not floor.exits(), "nobody asked for that exit"
    floor.phase = "closing auction"
    floor.cancelled_elsewhere(floor.stops()[0], "SL not allowed in CAS")
    floor.wait(5)
    assert floor.naked() == ["no stop can rest while the market is closing auction; watched by us"]


def test_a_short_session_is_left_before_its_end(floor: Floor) -> None:
    floor.hold(10)
    floor.closes_ns = floor.now + 200 * S
    floor.wait(10)
    assert not floor.exits()
    floor.wait(10)
    assert floor.exits()[0].request.reason == "continuous trading ends, and resting stops with it"


# --- plans --------------------------------------------------------------------------------------------


def test_a_plan_can_be_given_changed_and_taken_away(floor: Floor) -> None:
    floor.hold(10)
    assert floor.naked() == ["no stop"]
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95))
    assert [stop.request.trigger_price for stop in floor.stops()] == [rs(95)]
    floor.wait(3)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(97, 120))
    floor.wait(1)
    assert [stop.request.trigger_price for stop in floor.stops()] == [rs(97)]
    assert len(floor.sent(PlaceOrder)) == 2, "by modify, never a second one"
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan())
    assert floor.stops() == []
    assert floor.naked() == ["no stop"]


@pytest.mark.parametrize(
    ("given", "words"),
    [(plan(101), "strike at once"), (plan(95, 90), "winning side"), (plan(95, 99), "reached already")],
)
def test_a_plan_on_the_wrong_side_is_refused(floor: Floor, given: object, words: str) -> None:
    floor.hold(10)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=given)
    assert words in floor.words()[-1]
    assert floor.stops() == []


def test_cancelling_the_stop_leaves_the_rest_of_the_plan(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), target=rs(110))
    floor.ask(OperatorKind.CANCEL, tag=floor.stops()[0].tag)
    floor.wait(30)
    assert floor.stops() == []
    assert floor.naked() == ["its exit plan has no stop"]
    floor.tick(110.0)
    assert len(floor.exits()) == 1


def test_a_sale_beside_the_stop_takes_its_place_or_is_refused(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    refused = floor.place(Side.SELL, 10, 105)
    assert (refused.status, "second resting exit" in refused.message) == (OrderStatus.REFUSED, True)
    assert len(floor.stops()) == 1
    turned = floor.place(Side.SELL, 4)
    assert "taken away first" in turned.message
    assert [(one.request.qty, one.request.side) for one in floor.exits()] == [(4, Side.SELL)]
    floor.fill(floor.exits()[0])
    floor.wait(2)
    assert (floor.held, [stop.request.qty for stop in floor.stops()]) == (6, [6])


# --- bad days -----------------------------------------------------------------------------------------


def test_a_stop_that_was_refused_is_watched_and_listed_and_tried_again(floor: Floor) -> None:
    floor.refuse["stop"] = "RMS: not allowed"
    floor.hold(10, stop=rs(95))
    assert floor.naked() == ["the stop was refused: RMS: not allowed; watched by us"]
    assert not floor.exits(), "it is watched: nobody sells in a fright"
    floor.wait(1)
    assert len([one for one in floor.sent(PlaceOrder) if one.request.is_resting_stop]) == 1
    floor.refuse.clear()
    floor.wait(3)
    assert len(floor.stops()) == 1
    assert floor.naked() == []


def test_a_refused_stop_strikes_by_our_own_watch(floor: Floor) -> None:
    floor.refuse["stop"] = "no"
    floor.hold(10, stop=rs(95))
    floor.tick(95.05)
    assert not floor.exits()
    floor.tick(95.0)
    assert [one.request.reason for one in floor.exits()] == ["stop 95.00 hit"]


def test_a_refused_stop_that_nobody_can_watch_closes_the_position() -> None:
    floor = Floor(up=False)
    floor.hold_blind()
    floor.refuse["stop"] = "no"
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95))
    assert floor.exits()[0].request.reason.startswith("emergency")


def test_o11_cancel_replace_of_a_stop_that_fails_closes_the_position(floor: Floor) -> None:
    """A stop that cannot be changed is made anew; when the new one is refused, the position is closed."""
    floor.hold(10, stop=rs(95))
    floor.wait(5)
    floor.refuse.update(modify="no change now", stop="nor a new one")
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(97))
    for _ in range(12):
        floor.wait(1)
    (sent,) = floor.exits()
    assert sent.request.reason == "emergency: the stop could not be set again: nor a new one"
    floor.fill(sent)
    floor.wait(10)
    assert (floor.held, len(floor.exits())) == (0, 1)


def test_o22_the_exchange_cancels_stops_at_the_closing_auction(floor: Floor) -> None:
    """Resting stops die at the auction: a carried position is listed as naked, and protected again afterwards."""
    entry = floor.place(Side.BUY, 10, 100, product=Product.DELIVERY, stop=rs(95))
    floor.fill(entry)
    floor.phase = "closing auction"
    floor.cancelled_elsewhere(floor.stops()[0], "SL not allowed in CAS")
    floor.wait(5)
    assert floor.stops() == []
    assert floor.naked() == ["no stop can rest while the market is closing auction; watched by us"]
    floor.tick(90.0)
    assert not floor.exits(), "an auction's price is no price for stops"
    floor.phase = "continuous"
    floor.tick(99.0)
    floor.wait(5)
    assert len(floor.stops()) == 1


def test_o14_a_stop_that_a_phone_cancels_is_set_again(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.cancelled_elsewhere(floor.stops()[0])
    floor.wait(4)
    assert len(floor.stops()) == 1


def test_o24_a_triggered_stop_that_does_not_fill_is_chased_then_replaced(floor: Floor) -> None:
    """The price gaps through the stop's limit: the limit follows twice, then an exit takes its place."""
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.prices[KEY] = 90.0
    floor.trigger(stop)
    assert floor.naked() == ["the stop has triggered and is not filled yet"]
    for _ in range(3):
        floor.wait(1)
    moved = [one.price for one in floor.sent(ModifyOrder)]
    assert len(moved) == 1
    assert rs(87) < moved[0] < rs(90)
    for _ in range(6):
        floor.wait(1)
    (sent,) = floor.exits()
    assert sent.request.reason == "the stop triggered and did not fill"
    assert floor.broker.of(stop.tag).status is OrderStatus.CANCELLED
    floor.fill(sent)
    assert floor.held == 0


def test_a_stop_of_unknown_outcome_is_never_doubled(floor: Floor) -> None:
    entry = floor.place(Side.BUY, 10, 100, stop=rs(95))
    floor.hold_back = True
    floor.fill(entry)
    floor.lose_answer(floor.queue.pop(), reached=True)
    floor.hold_back = False
    assert floor.naked() == ["whether its stop reached the broker is not known"]
    floor.hold_back = True
    floor.tick(94.0)
    floor.wait(5)
    assert not floor.exits(), "the lost one may fill: no exit beside it"
    floor.hold_back = False
    floor.settle()  # the broker's book shows it
    floor.wait(1)
    assert [one.left for one in floor.broker.orders.values() if one.left] == [10]
    floor.fill(floor.exits()[0])
    floor.wait(60)
    assert (floor.held, floor.stops()) == (0, [])


def test_a_price_far_beyond_a_stop_that_does_not_trigger_is_not_believed(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.tick(94.0)
    floor.wait(4)
    floor.tick(94.0)
    assert not floor.exits()
    floor.wait(2)
    floor.tick(94.0)
    assert len(floor.exits()) == 1


# --- restart ------------------------------------------------------------------------------------------


def test_plans_and_their_stops_survive_a_restart(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), target=rs(110), time_exit_s=14 * 3600)
    before = dict(floor.desk.protection.plans)
    floor.restart()
    assert floor.desk.protection.plans == before
    floor.wait(10)
    assert len(floor.stops()) == 1
    assert len(floor.sent(PlaceOrder)) == 2
    floor.tick(110.0)
    assert [one.request.reason for one in floor.exits()] == ["target 110.00 hit"]


def test_an_orphan_of_an_earlier_run_is_swept_once_the_account_is_known(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    (stop,) = floor.stops()
    floor.queue.clear()
    gone = floor.broker.place("", OrderRequest(KEY, Side.SELL, 10, price=rs(100)))
    floor.broker.trade(gone, 10, rs(100), floor.now)
    floor.restart()
    floor.wait(1)
    floor.wait(1)
    assert floor.broker.of(stop.tag).status is OrderStatus.CANCELLED
    assert (floor.held, floor.desk.protection.plans) == (0, {})


def test_a_converted_position_keeps_its_plan(floor: Floor) -> None:
    floor.hold(10, stop=rs(95), target=rs(120))
    (old,) = floor.stops()
    floor.ask(OperatorKind.CONVERT, instrument_key=KEY, to_product=Product.DELIVERY)
    (sent,) = floor.sent(ConvertPosition)
    floor.broker.qty = {(KEY, Product.DELIVERY): 10}
    floor.hear(RequestAccepted(floor.now, "convert", sent.tag, ""))
    floor.wait(1)
    assert floor.broker.of(old.tag).status is OrderStatus.CANCELLED, "an exit carries its position's product"
    (new,) = floor.stops()
    assert (new.request.product, new.request.trigger_price) == (Product.DELIVERY, rs(95))
    assert floor.naked() == []


def test_the_ticket_says_what_becomes_of_an_order_beside_a_stop(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    market = OrderRequest(KEY, Side.SELL, 10, order_type=OrderType.MARKET)
    (said,) = [check for check in floor.desk.preview(market).checks if "taken away first" in check.words]
    assert said.verdict is Verdict.PASS, "getting out costs no further act"
    assert "taken away first" in floor.desk.preview(market).effect
    passive = OrderRequest(KEY, Side.SELL, 10, price=rs(105))
    assert any("second resting exit" in check.words for check in floor.desk.preview(passive).checks)
    assert not floor.exits(), "looking changes nothing"


def test_entries_that_still_rest_at_the_square_off_are_cancelled(floor: Floor) -> None:
    resting = floor.place(Side.BUY, 5, 98)
    kept = floor.place(Side.BUY, 5, 98, product=Product.DELIVERY)
    floor.now = ns(DAY, "15:00")
    floor.wait(0)
    assert floor.broker.of(resting.tag).status is OrderStatus.CANCELLED
    assert floor.broker.of(kept.tag).status is OrderStatus.OPEN


def test_an_exit_of_nothing_is_said(floor: Floor) -> None:
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    assert floor.words() == ["no intraday position in X"]
    assert floor.desk.closing.wanted == {}
