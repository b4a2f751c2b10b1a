"""The order desk: previews, getting out, exit plans, kill, and the day's limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import LIMITS, SECOND, Rig
from tests.unit.exchange.support import SHARE, order, rs
from tradetui.desk import EXIT_RETRY_NS
from tradetui.desk.sparing import spared
from tradetui.domain.events import AccountSnapshot, FillEvent, OperatorKind, RequestAccepted, RequestRefused
from tradetui.domain.exit_plan import Trail, TrailKind
from tradetui.domain.money import Money, Price, to_money
from tradetui.domain.order import Fill, Order, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import ModifyOrder
from tradetui.domain.view import Verdict
from tradetui.risk.facts import RiskState


def stop_of(rig: Rig, side: Side = Side.SELL, trigger: float = 95.0, qty: int = 10) -> Order:
    """A protective stop that rests at the broker."""
    placed = rig.place(order(side, qty, trigger - 1, kind=OrderType.SL, trigger=trigger))
    broker_id = rig.accept(placed)
    rig.update(placed, OrderStatus.TRIGGER_PENDING, broker_id)
    rig.commands.clear()
    return placed


# --- preview ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "side", "qty", "words"),
    [
        (0, Side.BUY, 10, "opens long 10"),
        (0, Side.SELL, 10, "opens short 10"),
        (10, Side.BUY, 5, "adds to long 5"),
        (10, Side.SELL, 4, "closes 4 of 10"),
        (10, Side.SELL, 10, "closes 10 of 10"),
        (10, Side.SELL, 15, "closes 10 and opens new short 5"),
    ],
)
def test_a_preview_says_what_an_order_does_to_the_position(
    held: int, side: Side, qty: int, words: str
) -> None:
    rig = Rig()
    rig.tick(100.0)
    if held:
        rig.hold(held)
    assert rig.engine.desk.preview(order(side, qty, 100.0)).effect == words


def test_a_preview_counts_value_margin_charges_and_the_worst_price() -> None:
    rig = Rig()
    rig.tick(100.0)
    preview = rig.engine.desk.preview(order(qty=10, kind=OrderType.MARKET))
    assert preview.value == to_money(1_000)
    assert preview.margin == to_money(200), "intraday needs a fifth"
    assert preview.worst_price == rs(103.0), "three percent of protection, cut to the tick"
    assert preview.charges > 0
    assert all(check.verdict is not Verdict.BLOCK for check in preview.checks)
    sold = rig.engine.desk.preview(order(Side.SELL, 10, kind=OrderType.MARKET, protection_pct=1))
    assert sold.worst_price == rs(99.0)
    assert rig.records[-1].kind is RecordKind.FEED, "looking changes nothing"


def test_a_preview_without_a_price_blocks_and_counts_nothing() -> None:
    rig = Rig()
    preview = rig.engine.desk.preview(order(kind=OrderType.MARKET))
    assert (preview.value, preview.margin, preview.charges) == (0, 0, 0)
    assert any(check.verdict is Verdict.BLOCK for check in preview.checks)


# --- asking -------------------------------------------------------------------------------------------


def test_a_refused_request_is_recorded_with_its_reason_and_never_sent() -> None:
    rig = Rig()
    rig.tick(100.0)
    refused = rig.place(order(qty=0, price=100.0))
    assert (refused.status, rig.placed()) == (OrderStatus.REFUSED, [])
    assert rig.of(RecordKind.DECISION)[0].data["refused"] == refused.message
    assert rig.of(RecordKind.INTENT) == []


def test_one_review_sends_one_order() -> None:
    rig = Rig()
    rig.tick(100.0)
    for _ in range(20):
        rig.ask(OperatorKind.PLACE, request=order(price=99.0, client_id="ticket-1"))
    assert len(rig.placed()) == 1


def test_live_orders_need_arming_and_exits_do_not() -> None:
    rig = Rig(live=True)
    rig.tick(100.0)
    assert "disarmed" in rig.place(order(price=100.0)).message
    rig.ask(OperatorKind.ARM, until_ns=rig.now_ns + 10 * SECOND)
    assert rig.engine.desk.books.armed_until_ns == 0, "the square-off time was never confirmed"
    assert "square-off" in rig.of(RecordKind.DECISION)[-1].data["refused"]
    rig.ask(OperatorKind.SQUARE_OFF_OK)
    rig.ask(OperatorKind.ARM, until_ns=rig.now_ns + 10 * SECOND)
    held = rig.place(order(price=100.0))
    rig.fill(held, 100.0)
    rig.time(10.0)
    assert rig.engine.desk.books.armed_until_ns == 0
    assert rig.of(RecordKind.RISK)[-1].data["reason"] == "arming ran out"
    rig.tick(100.0)
    assert "disarmed" in rig.place(order(price=99.0)).message
    assert rig.place(order(Side.SELL, price=100.0)).status is OrderStatus.SENT


# --- getting out --------------------------------------------------------------------------------------


def test_an_exit_waits_until_its_own_sides_orders_are_cancelled() -> None:
    rig = Rig()
    rig.hold(10)
    stop = stop_of(rig)
    rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key, product=Product.INTRADAY)
    assert rig.cancelled() == [stop.tag]
    assert rig.placed() == [], "two sells could turn the position round"
    rig.time(1.0)
    assert rig.placed() == []
    rig.update(stop, OrderStatus.CANCELLED, rig.engine.desk.manager.orders[stop.tag].broker_id)
    (sent,) = rig.placed()
    request = sent.request
    assert (request.side, request.qty, request.order_type) == (Side.SELL, 10, OrderType.LIMIT)
    assert (request.source, request.price) == ("exit", rs(99.45)), "half a percent below the best bid"
    rig.fill(rig.engine.desk.manager.orders[sent.tag], 99.9)
    rig.time(60.0)
    assert rig.qty() == 0
    assert len(rig.placed()) == 1, "one exit"


def test_flatten_pulls_kill_and_closes_everything() -> None:
    rig = Rig()
    rig.hold(10)
    rig.ask(OperatorKind.FLATTEN, note="me")
    assert rig.engine.desk.books.state is RiskState.HALTED
    (sent,) = rig.placed()
    rig.fill(rig.engine.desk.manager.orders[sent.tag], 99.0)
    assert rig.qty() == 0
    assert rig.place(order(price=100.0)).status is OrderStatus.REFUSED
    rig.ask(OperatorKind.RESUME)
    assert rig.place(order(price=99.0)).status is OrderStatus.SENT


def test_kill_cancels_what_adds_risk_and_leaves_what_protects() -> None:
    rig = Rig()
    rig.hold(10)
    stop = stop_of(rig)
    resting = rig.place(order(Side.BUY, 5, 98.0))
    rig.accept(resting)
    rig.commands.clear()
    rig.ask(OperatorKind.KILL, note="me")
    assert rig.cancelled() == [resting.tag]
    assert stop.tag in spared(rig.engine.desk.books)
    words = [record.data for record in rig.of(RecordKind.RISK)]
    assert words[-1] == {"state": "halted", "reason": "kill pulled by me"}
    assert rig.place(order(Side.SELL, 10, kind=OrderType.MARKET)).status is OrderStatus.REFUSED, (
        "the stop covers it"
    )


def test_a_failed_exit_is_tried_again_after_a_pause_not_on_every_answer() -> None:
    rig = Rig()
    rig.hold(10)
    rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key, product=Product.INTRADAY)
    for attempt in range(1, 4):
        assert len(rig.placed()) == attempt
        tag = rig.placed()[-1].tag
        rig.step(RequestRefused(rig.now_ns, "place", tag, "UDAPI1", "no"))
        rig.tick(100.0)
        rig.time(1.0)
        assert len(rig.placed()) == attempt
        rig.time(EXIT_RETRY_NS / SECOND)
    assert rig.qty() == 10


def test_an_exit_above_the_freeze_quantity_goes_in_slices() -> None:
    rig = Rig()
    slot = rig.universe.slots[SHARE.key]
    rig.universe.instruments[slot] = replace(SHARE, freeze_qty=4)
    rig.tick(100.0)
    for _ in range(3):
        held = rig.place(order(qty=4, price=100.0))
        rig.fill(held, 100.0)
    rig.commands.clear()
    rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key, product=Product.INTRADAY)
    for _ in range(3):
        sent = rig.placed()[-1]
        assert sent.request.qty == 4
        rig.fill(rig.engine.desk.manager.orders[sent.tag], 99.0)
        rig.time(EXIT_RETRY_NS / SECOND + 1)
    assert rig.qty() == 0
    assert len(rig.placed()) == 3


# --- exit plans ---------------------------------------------------------------------------------------


def rest(rig: Rig) -> Order:
    """The broker takes the stop that was placed last."""
    placed = rig.orders()[-1]
    assert placed.request.is_resting_stop
    rig.step(RequestAccepted(rig.now_ns, "place", placed.tag, f"b-{placed.tag}"))
    rig.update(placed, OrderStatus.TRIGGER_PENDING, f"b-{placed.tag}")
    rig.commands.clear()
    return placed


@pytest.mark.parametrize("source", ["said", "manual"])
def test_an_entry_with_a_stop_gets_a_resting_one_whoever_asks(source: str) -> None:
    rig = Rig()
    rig.hold(10, source=source, stop=rs(90.0), target=rs(120.0))
    stop = rest(rig)
    assert (stop.request.side, stop.request.qty, stop.request.trigger_price) == (Side.SELL, 10, rs(90.0))
    for price in (90.05, 119.95):
        rig.tick(price)
    assert not rig.placed()
    assert not rig.cancelled()


def test_a_target_exits_once_after_the_stop_is_gone() -> None:
    rig = Rig()
    rig.hold(10, source="said", stop=rs(90.0), target=rs(120.0))
    stop = rest(rig)
    for _ in range(2):
        rig.tick(120.0)
    assert (rig.cancelled(), rig.placed()) == ([stop.tag], [])
    rig.update(stop, OrderStatus.CANCELLED, f"b-{stop.tag}")
    (sent,) = rig.placed()
    assert sent.request.reason == "target 120.00 hit"
    rig.fill(rig.engine.desk.manager.orders[sent.tag], 120.0)
    rig.tick(120.0)
    rig.time(10.0)
    assert len(rig.placed()) == 1
    assert rig.engine.desk.protection.plans == {}


def test_selling_by_hand_takes_the_stop_away_first() -> None:
    rig = Rig()
    rig.hold(10, source="said", stop=rs(90.0), target=rs(120.0))
    stop = rest(rig)
    said = rig.place(order(Side.SELL, 10, 99.0))
    assert "taken away first" in said.message
    assert (rig.cancelled(), rig.placed()) == ([stop.tag], [])
    rig.update(stop, OrderStatus.CANCELLED, f"b-{stop.tag}")
    assert [(sent.request.source, sent.request.qty) for sent in rig.placed()] == [("exit", 10)]


def test_a_trail_moves_the_resting_stop_in_steps() -> None:
    rig = Rig()
    rig.hold(10, trail=Trail(TrailKind.POINTS, rs(5.0)))
    rig.tick(100.0)
    assert rig.placed()[0].request.trigger_price == rs(95.0)
    rest(rig)
    rig.time(3.0)
    rig.tick(110.0)
    rig.time(3.0)
    (moved,) = [command for command in rig.commands if isinstance(command, ModifyOrder)]
    assert (moved.trigger_price, moved.qty) == (rs(105.0), 10)


# --- the day ------------------------------------------------------------------------------------------


def test_the_days_loss_blocks_new_risk_also_with_a_flat_book() -> None:
    rig = Rig(limits=replace(LIMITS, capital=to_money(50_000)))
    rig.hold(100, 100.0)
    sold = rig.place(order(Side.SELL, 100, 84.0, kind=OrderType.MARKET))
    rig.tick(84.0)
    rig.fill(sold, 84.0)
    assert rig.engine.desk.figures.day_pnl() == to_money(-1_600)
    assert "loss of the day" in rig.place(order(qty=1, price=84.0)).message


def test_open_losses_count_and_exits_stay_possible() -> None:
    rig = Rig(limits=replace(LIMITS, capital=to_money(50_000)))
    rig.hold(100, 100.0)
    rig.tick(84.0)
    assert "loss of the day" in rig.place(order(qty=1, price=84.0)).message
    assert rig.place(order(Side.SELL, 100, kind=OrderType.MARKET)).status is OrderStatus.SENT


def test_entries_are_counted_by_the_day() -> None:
    rig = Rig(limits=replace(LIMITS, max_trades_per_day=1))
    rig.time()
    rig.hold(10)
    rig.fill(rig.place(order(Side.SELL, 10, 100.0)), 100.0)
    assert "entries today" in rig.place(order(price=99.0)).message
    rig.now_ns += 3 * 86_400 * SECOND  # Monday, the same time
    rig.time()
    rig.tick(100.0)
    assert rig.place(order(price=99.0)).status is OrderStatus.SENT


def test_charges_are_of_whole_orders() -> None:
    rig = Rig()
    rig.tick(100.0)
    placed = rig.place(order(qty=10, price=100.0))
    rig.fill(placed, 100.0, 4)
    part = rig.engine.desk.figures.day_charges()
    rig.fill(rig.engine.desk.manager.orders[placed.tag], 100.0, 6)
    whole = rig.engine.desk.figures.day_charges()
    assert 0 < part < whole
    other = Rig()
    other.hold(10)
    assert other.engine.desk.figures.day_charges() == whole, "however it was sliced"
    assert rig.engine.desk.figures.charges_of(SHARE.key, Product.INTRADAY) == whole


def test_fills_that_only_the_book_tells_of_are_booked_charged_and_watched() -> None:
    rig = Rig()
    rig.tick(100.0)
    placed = rig.place(order(qty=10, price=100.0, source="said", stop=rs(90.0), target=rs(120.0)))
    broker_id = rig.accept(placed)
    fills = tuple(
        Fill(f"z{n}", broker_id, placed.tag, SHARE.key, Side.BUY, 5, rs(100.0), Product.INTRADAY, rig.now_ns)
        for n in (2, 1)
    )
    rig.step(AccountSnapshot(rig.now_ns, rig.now_ns, (), fills, available=Money(5), used=Money(2)))
    assert rig.qty() == 10
    assert rig.engine.desk.figures.available() == 5
    assert rig.engine.desk.figures.day_charges() > 0
    assert len(rig.engine.desk.protection.plans) == 1
    rig.step(FillEvent(rig.now_ns, fills[0]))
    assert rig.qty() == 10, "a trade is booked once"


def test_exposure_is_the_value_of_what_is_held() -> None:
    rig = Rig()
    assert rig.engine.desk.figures.exposure() == 0
    rig.hold(10)
    rig.tick(110.0)
    assert rig.engine.desk.figures.exposure() == to_money(1_100)
    position = rig.engine.desk.portfolio.open_positions()[0]
    assert rig.engine.desk.figures.unrealised(position) == to_money(100)
    assert Price(position.average_price) == rs(100.0)
