"""Getting out: shorts first, near the market, in steps up to a bound, and a plain word when it cannot be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.desk.support import KEY, OPTION, PUT, SHARE, Floor, plan, rs
from tradetui.desk.closing import COVER_WAIT_NS, EXIT_TRIES
from tradetui.domain.events import Evidence, GttUpdate, OperatorKind
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger, RuleState, RuleStatus
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelGtt, ModifyOrder, PlaceGtt, PlaceOrder
from tradetui.risk.facts import RiskState


@pytest.fixture
def floor() -> Floor:
    return Floor()


def spread(floor: Floor) -> None:
    """A long option beside a short one."""
    floor.hold(65, instrument_key=OPTION.key)
    floor.hold(-65, instrument_key=PUT.key)
    floor.commands.clear()


def placed(floor: Floor) -> list[tuple[str, Side, int]]:
    return [(c.request.instrument_key, c.request.side, c.request.qty) for c in floor.sent(PlaceOrder)]


# --- order of things ----------------------------------------------------------------------------------


def test_flatten_covers_shorts_before_it_sells_longs(floor: Floor) -> None:
    spread(floor)
    floor.ask(OperatorKind.FLATTEN, note="me")
    assert floor.desk.books.state is RiskState.HALTED
    assert placed(floor) == [(PUT.key, Side.BUY, 65)]
    floor.wait(1)
    assert len(placed(floor)) == 1, "the sale waits for the cover"
    floor.fill(floor.exits()[0])
    assert placed(floor)[1:] == [(OPTION.key, Side.SELL, 65)]
    floor.fill(floor.exits()[1])
    floor.wait(5)
    assert set(floor.broker.qty.values()) == {0}


def test_a_cover_that_does_not_fill_holds_the_sale_up_for_a_while_only(floor: Floor) -> None:
    spread(floor)
    floor.ask(OperatorKind.FLATTEN)
    floor.wait(COVER_WAIT_NS / 1e9 + 0.1)
    assert [key for key, side, _ in placed(floor) if side is Side.SELL] == [OPTION.key]


def test_shares_bought_to_keep_stay_unless_they_are_named(floor: Floor) -> None:
    floor.hold(5, product=Product.DELIVERY)
    floor.hold(65, instrument_key=OPTION.key, product=Product.DELIVERY)
    floor.ask(OperatorKind.EXIT_ALL)
    assert [one.request.instrument_key for one in floor.exits()] == [OPTION.key], "carried derivatives go"
    floor.ask(OperatorKind.FLATTEN, include=(Product.DELIVERY,))
    assert (KEY, Side.SELL, 5) in placed(floor)


def test_flatten_takes_stops_and_gtts_away_first(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    rule = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, rs(90))
    floor.desk.manager.gtts.place(GttRequest(KEY, Side.SELL, 10, Product.INTRADAY, (rule,)), floor.now)
    floor.hold_back = True
    floor.ask(OperatorKind.FLATTEN)
    assert not floor.exits()
    while floor.queue and not floor.exits():
        floor.answer(floor.queue.pop(0))
    assert not floor.exits(), "the GTT has not been answered: it may fire yet"
    (gtt,) = floor.desk.manager.gtts.gtts.values()
    assert gtt.cancel_pending


def test_kill_stage_one_leaves_what_protects(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    entry = floor.place(Side.BUY, 5, 98)
    gtt = GttRequest(
        KEY, Side.BUY, 5, Product.DELIVERY, (GttRule(GttStrategy.ENTRY, GttTrigger.ABOVE, rs(120)),)
    )
    floor.desk.manager.gtts.place(gtt, floor.now)
    floor.settle()
    floor.ask(OperatorKind.KILL)
    assert floor.broker.of(entry.tag).status is OrderStatus.CANCELLED
    assert len(floor.stops()) == 1
    assert next(iter(floor.desk.manager.gtts.gtts.values())).cancel_pending, "it would open a position"
    assert floor.naked() == []


def test_kill_spares_no_more_stops_than_the_position_has_units(floor: Floor) -> None:
    floor.hold(10)
    stop = OrderRequest(KEY, Side.SELL, 10, Product.INTRADAY, OrderType.SL, rs(93), rs(94))
    by_phone = [floor.broker.place("", stop) for _ in range(2)]
    for one in by_phone:
        floor.push(one)
    floor.ask(OperatorKind.KILL)
    states = [one.status for one in by_phone]
    assert states == [OrderStatus.TRIGGER_PENDING, OrderStatus.CANCELLED], (
        "both would turn the position round"
    )


def test_cancel_all_spares_stops_unless_they_are_named(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    entry = floor.place(Side.BUY, 5, 98)
    floor.ask(OperatorKind.CANCEL_ALL)
    assert floor.broker.of(entry.tag).status is OrderStatus.CANCELLED
    assert len(floor.stops()) == 1
    floor.ask(OperatorKind.CANCEL_ALL, name="with stops")
    floor.wait(30)
    assert floor.stops() == []
    assert floor.naked() == ["no stop"], "and it is not set again"


# --- prices -------------------------------------------------------------------------------------------


def test_an_unfilled_exit_is_chased_in_steps_up_to_a_bound(floor: Floor) -> None:
    floor.hold(10)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    prices = [floor.exits()[0].request.price]
    for _ in range(12):
        floor.wait(1)
    prices += [command.price for command in floor.sent(ModifyOrder)]
    assert prices == [rs(99.45), rs(98.95), rs(97.95), rs(96.95)], (
        "half, one, two, three percent below the bid"
    )
    assert len(floor.exits()) == 1


def test_an_exit_that_never_fills_is_said_and_not_tried_for_ever(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    for _ in range(120):
        floor.wait(1)
    assert f"could not close X: {EXIT_TRIES} exits did not get through" in floor.words()[-1]
    assert floor.naked()[0].startswith("could not be closed")
    assert len(floor.exits()) == 1
    floor.fill(floor.exits()[0])
    floor.wait(2)
    assert (floor.held, floor.desk.closing.wanted) == (0, {})


def test_a_refused_limit_is_followed_by_a_protected_market_order(floor: Floor) -> None:
    floor.hold(10)
    floor.refuse["exit"] = "outside the circuit"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    floor.refuse.clear()
    floor.wait(3)
    kinds = [one.request.order_type for one in floor.exits()]
    assert kinds == [OrderType.LIMIT, OrderType.MARKET]
    assert floor.exits()[-1].request.protection_pct == 3


def test_after_so_many_refusals_the_stop_is_set_again(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.refuse["exit"] = "the market is halted"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    for _ in range(40):
        floor.wait(1)
    assert len(floor.exits()) == EXIT_TRIES
    assert (
        floor.words()[-1]
        == f"could not close X: {EXIT_TRIES} exits did not get through: the market is halted"
    )
    assert len(floor.stops()) == 1, "the position has its stop back"


def test_a_closed_market_is_said_at_once(floor: Floor) -> None:
    floor.hold(10)
    floor.phase = "closed"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    assert not floor.exits()
    assert floor.words() == ["could not close X: the market is closed for this instrument"]
    floor.phase = "continuous"
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    assert len(floor.exits()) == 1, "asked again, tried again"


def test_everything_works_without_any_price() -> None:
    floor = Floor(up=False)
    floor.hold_blind()
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95))
    assert floor.naked() == []
    floor.desk.flatten("watchdog")
    floor.settle()
    (sent,) = floor.exits()
    assert (sent.request.order_type, sent.request.protection_pct) == (OrderType.MARKET, 3)
    for _ in range(4):
        floor.wait(1)
    assert floor.broker.of(sent.tag).status is OrderStatus.CANCELLED, "what rests of it is taken back"
    for _ in range(4):
        floor.wait(1)
    floor.fill(floor.exits()[-1])
    floor.wait(5)
    assert (floor.held, len(floor.exits())) == (0, 2)


# --- parts, slices, restart ---------------------------------------------------------------------------


def test_an_exit_above_the_freeze_quantity_leaves_in_slices(floor: Floor) -> None:
    floor.hold(10)
    floor.instruments[KEY] = replace(SHARE, freeze_qty=4)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    assert [one.request.qty for one in floor.exits()] == [4, 4, 2]
    for one in floor.exits():
        floor.fill(one)
    floor.wait(5)
    assert (floor.held, len(floor.exits())) == (0, 3)


def test_a_part_exit_leaves_the_rest_protected(floor: Floor) -> None:
    floor.hold(10, stop=rs(95))
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=4)
    assert [stop.request.qty for stop in floor.stops()] == [6]
    floor.fill(floor.exits()[0])
    floor.wait(5)
    assert (floor.held, len(floor.exits()), floor.naked()) == (6, 1, [])
    floor.ask(OperatorKind.EXIT, instrument_key=KEY, qty=7)
    assert floor.words()[-1] == "the position has 6 units, not 7"


def test_r1_a_flatten_goes_on_after_a_crash(floor: Floor) -> None:
    spread(floor)
    floor.ask(OperatorKind.FLATTEN, note="me")
    floor.fill(floor.exits()[0])
    floor.restart()
    assert floor.desk.books.state is RiskState.HALTED
    for _ in range(3):
        floor.wait(1)
    floor.fill(floor.exits()[-1])
    floor.wait(3)
    assert set(floor.broker.qty.values()) == {0}
    assert len(floor.exits()) == 2, "nothing was sent twice"
    floor.restart()
    assert floor.desk.closing.wanted == {}, "what is done is not done again"


def test_resume_ends_a_flatten(floor: Floor) -> None:
    spread(floor)
    floor.ask(OperatorKind.FLATTEN)
    floor.ask(OperatorKind.RESUME)
    floor.wait(20)
    assert [one.status for one in floor.exits()] == [OrderStatus.CANCELLED], "nobody wants it any more"


def test_cancelling_an_exit_ends_it(floor: Floor) -> None:
    floor.hold(10)
    floor.ask(OperatorKind.EXIT, instrument_key=KEY)
    floor.ask(OperatorKind.CANCEL, tag=floor.exits()[0].tag)
    floor.wait(20)
    assert len(floor.exits()) == 1
    assert floor.held == 10


# --- GTTs ---------------------------------------------------------------------------------------------


def test_an_overnight_stop_rests_as_a_gtt_and_goes_with_its_position(floor: Floor) -> None:
    floor.hold(10, product=Product.DELIVERY, stop=rs(95), overnight=True)
    floor.wait(3)
    assert floor.stops() == [], "one protective order, not two"
    (sent,) = floor.sent(PlaceGtt)
    assert (sent.request.kind, sent.request.side, sent.request.qty) == ("SINGLE", Side.SELL, 10)
    assert sent.request.rules[0].trigger_price == rs(95)
    assert floor.naked() == ["its GTT is not at the broker yet"]
    floor.gtt_taken(sent, "GTT-1")
    assert floor.naked() == []
    floor.elsewhere(Side.SELL, 10, Product.DELIVERY)
    floor.wait(1)
    assert [one.gtt_id for one in floor.sent(CancelGtt)] == ["GTT-1"], "it would open a short position"


def test_a_gtt_that_would_turn_a_position_round_is_refused_with_words(floor: Floor) -> None:
    floor.hold(10, product=Product.DELIVERY)
    rules = (
        GttRule(GttStrategy.ENTRY, GttTrigger.ABOVE, rs(110)),
        GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, rs(120)),
    )
    floor.ask(OperatorKind.GTT_PLACE, gtt=GttRequest(KEY, Side.SELL, 10, Product.DELIVERY, rules))
    assert "every GTT begins with an entry" in floor.words()[-1]
    assert not floor.sent(PlaceGtt)
    assert floor.of(RecordKind.GTT)[-1].data["status"] == "refused"


def gtt_update(gtt_id: str, side: Side, *rules: tuple[GttRule, RuleStatus, str], t_ns: int) -> GttUpdate:
    states = tuple(RuleState(rule, status, status.value, order_id) for rule, status, order_id in rules)
    return GttUpdate(t_ns, Evidence.STREAM, gtt_id, KEY, side, 10, Product.DELIVERY, states)


def test_o17_the_order_of_a_triggered_gtt_is_the_stop_and_is_not_cancelled(floor: Floor) -> None:
    floor.hold(10, product=Product.DELIVERY, stop=rs(95), overnight=True)
    floor.wait(3)
    (sent,) = floor.sent(PlaceGtt)
    floor.gtt_taken(sent, "GTT-1")
    child = floor.broker.place("", replace(order_of_gtt(Side.SELL), price=rs(95)))
    (rule,) = sent.request.rules
    floor.hear(gtt_update("GTT-1", Side.SELL, (rule, RuleStatus.TRIGGERED, child.id), t_ns=floor.now))
    floor.push(child)
    floor.wait(1)
    assert child.status is OrderStatus.OPEN, "it closes the position"
    assert len(floor.sent(PlaceGtt)) == 1, "and nothing rests beside it"
    floor.fill_there(child)
    floor.wait(5)
    assert floor.broker.qty[KEY, Product.DELIVERY] == 0
    assert not [order for order in floor.broker.orders.values() if order.left]


def order_of_gtt(side: Side) -> OrderRequest:
    return OrderRequest(KEY, side, 10, Product.DELIVERY)


def test_a_position_that_a_gtt_guards_gets_no_second_stop(floor: Floor) -> None:
    entry = GttRule(GttStrategy.ENTRY, GttTrigger.ABOVE, rs(100))
    stop = GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, rs(95))
    floor.hold(10, product=Product.DELIVERY)
    assert floor.naked() == ["no stop"]
    floor.hear(
        gtt_update(
            "GTT-9", Side.BUY, (entry, RuleStatus.COMPLETED, "E1"), (stop, RuleStatus.SCHEDULED, ""),
            t_ns=floor.now,
        )
    )  # fmt: skip
    assert floor.naked() == []
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, product=Product.DELIVERY, plan=plan(94))
    floor.wait(5)
    assert floor.stops() == [], "two exits could turn it round"
