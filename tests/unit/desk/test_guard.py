"""Breakers, counts, losing runs, locks and changed limits, through the whole engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.fixtures.engine_rig import DAY, LIMITS, SECOND, Rig
from tests.unit.exchange.support import CALL, SHARE, order, rs
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import AccountSnapshot, Holding, ListsEvent, OperatorKind
from tradetui.domain.lists import DatedLists
from tradetui.domain.money import to_money
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.domain.records import RecordKind
from tradetui.risk.breakers import Span
from tradetui.risk.facts import RiskState
from tradetui.risk.limits import Limits

SMALL = Limits(capital=to_money(10_000), max_order_value=to_money(100_000), max_leverage=20)
"""Three percent are 300 rupees: 10 shares that fall by 30."""
FREE = replace(
    LIMITS, max_positions=50, max_intraday_positions=50, max_underlying_positions=50, max_losses_in_a_row=0
)


def state(rig: Rig) -> RiskState:
    return rig.engine.desk.books.state


def lose(rig: Rig, rupees: float) -> None:
    """A round trip of ten shares that loses so much, before charges."""
    rig.hold(10, 100.0)
    out = rig.place(order(Side.SELL, 10, 100.0 - rupees / 10))
    rig.fill(out, 100.0 - rupees / 10)


def last_risk(rig: Rig, name: str) -> dict[str, object]:
    return next(dict(r.data) for r in reversed(rig.of(RecordKind.RISK)) if name in r.data)


# --- breakers -----------------------------------------------------------------------------------------


def test_the_days_limit_trips_on_an_open_position_and_latches() -> None:
    rig = Rig(limits=SMALL)
    rig.hold(10, 100.0)
    resting = rig.place(order(Side.BUY, 1, 99.0))
    rig.accept(resting)
    rig.tick(69.0)
    rig.time(1)
    assert state(rig) is RiskState.REDUCING
    assert "loss of the day 311 has reached the limit of 300" in rig.engine.desk.books.state_reason
    assert rig.cancelled() == [resting.tag], "what could still add risk is taken back"
    assert last_risk(rig, "breaker")["until"] == DAY.isoformat()
    rig.tick(100.0)
    rig.time(2)
    assert state(rig) is RiskState.REDUCING, "a recovery does not release it"
    assert "reducing only" in rig.place(order(price=100.0)).message
    assert rig.place(order(Side.SELL, 10, 100.0)).status is OrderStatus.SENT


def test_it_may_flatten_where_the_settings_say_so() -> None:
    rig = Rig(limits=replace(SMALL, flatten_on_loss=True))
    rig.hold(10, 100.0)
    rig.tick(69.0)
    rig.time(1)
    sent = [command.request for command in rig.placed()]
    assert [(one.side, one.qty, one.is_exit) for one in sent] == [(Side.SELL, 10, True)]


def test_only_a_typed_reason_releases_it_and_the_next_loss_counts_from_there() -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 310)
    assert state(rig) is RiskState.REDUCING
    rig.ask(OperatorKind.RESUME)
    assert state(rig) is RiskState.REDUCING
    assert "typed reason" in rig.of(RecordKind.DECISION)[-1].data["refused"]
    rig.ask(OperatorKind.RESUME, note="the stop was a slip, I watch it now")
    assert state(rig) is RiskState.ACTIVE
    assert last_risk(rig, "released")["reason"] == "the stop was a slip, I watch it now"
    lose(rig, 200)
    assert state(rig) is RiskState.ACTIVE
    lose(rig, 100)
    assert state(rig) is RiskState.REDUCING


def test_a_kill_outranks_it_and_resume_goes_back_to_it() -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 310)
    rig.ask(OperatorKind.KILL, note="me")
    assert state(rig) is RiskState.HALTED
    rig.time(2)
    rig.ask(OperatorKind.RESUME)
    assert state(rig) is RiskState.REDUCING


def test_midnight_ends_the_days_breaker_and_keeps_the_weeks() -> None:
    rig = Rig(limits=replace(SMALL, weekly_loss_pct=4.0))
    lose(rig, 310)
    rig.ask(OperatorKind.RESUME, note="on")
    lose(rig, 100)
    assert list(rig.engine.desk.guard.latches) == [Span.WEEK]
    rig.now_ns = ns(DAY, "23:59") + 90 * SECOND
    rig.time()
    desk = rig.engine.desk
    assert desk.books.entries_today == 0
    assert desk.figures.net() == 0, "yesterday's profit is not today's"
    assert desk.guard.results[DAY] < to_money(-410)
    assert state(rig) is RiskState.REDUCING, "Saturday is the same week"
    rig.time(2 * 86_400)
    assert state(rig) is RiskState.ACTIVE
    assert last_risk(rig, "breaker_over")["breaker_over"] == "week"


def test_what_is_carried_over_midnight_counts_from_the_mark() -> None:
    rig = Rig()
    rig.hold(10, 100.0)
    rig.tick(105.0)
    rig.now_ns = ns(DAY, "23:59") + 90 * SECOND
    rig.time()
    rig.tick(104.0)
    figures, (position,) = rig.engine.desk.figures, rig.engine.desk.portfolio.open_positions()
    assert figures.day_pnl() == to_money(-10)
    assert figures.since_entry(position) == to_money(40)
    assert figures.day_charges() == 0


def test_the_days_result_is_recorded_where_it_changes() -> None:
    rig = Rig()
    rig.hold(10, 100.0)
    first = last_risk(rig, "day")
    assert (first["day"], first["gross"]) == (DAY.isoformat(), 0)
    rig.tick(101.0)
    rig.time(30)
    assert last_risk(rig, "day") == first, "prices alone: once a minute"
    rig.time(31)
    assert last_risk(rig, "day")["gross"] == to_money(10)
    known = len(rig.of(RecordKind.RISK))
    rig.time(120)
    assert len(rig.of(RecordKind.RISK)) == known, "nothing moved"


# --- counts -------------------------------------------------------------------------------------------


def test_working_entries_count_as_positions() -> None:
    rig = Rig(limits=replace(LIMITS, max_intraday_positions=1))
    rig.tick(100.0)
    rig.tick(100.0, CALL)
    first = rig.place(order(price=99.0))
    assert first.status is OrderStatus.SENT
    second = rig.place(replace(order(price=99.0), instrument_key=CALL.key, qty=65))
    assert "1 intraday positions are open" in second.message
    assert rig.place(order(price=98.5)).status is OrderStatus.SENT, "more of what is counted already"
    assert rig.engine.desk.books.entries_today == 1


def test_a_losing_run_pauses_strategies_and_ends_with_a_win() -> None:
    rig = Rig(limits=replace(FREE, max_losses_in_a_row=2))
    lose(rig, 10)
    lose(rig, 10)
    guard = rig.engine.desk.guard
    assert guard.losses_in_a_row == 2
    auto = replace(order(price=100.0), source="said", stop=rs(99), target=rs(103))
    assert "2 losing trades in a row" in _words(rig, auto)
    rig.time(1_800)
    rig.tick(100.0)
    assert "losing trades" not in _words(rig, auto)
    lose(rig, -50)
    assert guard.losses_in_a_row == 0


def test_a_gain_that_its_charges_eat_is_a_loss() -> None:
    rig = Rig(limits=FREE)
    lose(rig, -0.5)
    assert rig.engine.desk.guard.losses_in_a_row == 1


def test_a_quantity_far_from_the_usual_is_refused() -> None:
    rig = Rig(limits=FREE)
    for _ in range(5):
        rig.hold(2, 100.0)
        rig.time(10)
    rig.tick(100.0)
    assert "10.5 times the usual 2" in _words(rig, order(qty=21, price=100.0))
    assert rig.place(order(qty=20, price=100.0)).status is OrderStatus.SENT


def test_more_than_a_few_orders_a_second_are_refused() -> None:
    rig = Rig(limits=FREE)
    rig.tick(100.0)
    sent = [rig.place(order(price=99.0 + n / 20)) for n in range(9)]
    assert [one.status for one in sent] == [OrderStatus.SENT] * 8 + [OrderStatus.REFUSED]
    rig.time(1)
    assert rig.place(order(price=98.0)).status is OrderStatus.SENT


def _words(rig: Rig, request: object) -> str:
    facts = rig.engine.desk.preview(request)  # type: ignore[arg-type]
    return "; ".join(check.words for check in facts.checks if check.verdict.value == "block")


# --- locks --------------------------------------------------------------------------------------------


def snapshot(rig: Rig, **more: object) -> AccountSnapshot:
    empty = AccountSnapshot(rig.now_ns, rig.now_ns, (), ())
    return replace(empty, **more)  # type: ignore[arg-type]


def test_O18_a_kill_switch_pulled_at_the_broker_stops_its_segment_and_is_recorded() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.step(snapshot(rig, locked_segments=("NSE_EQ",)))
    assert "closed by the kill switch of your account" in rig.place(order(price=100.0)).message
    assert last_risk(rig, "locked_segments")["locked_segments"] == ["NSE_EQ"]
    rig.tick(100.0, CALL)
    call = replace(order(price=100.0), instrument_key=CALL.key, qty=65)
    assert rig.place(call).status is OrderStatus.SENT, "the other segments trade on"
    rig.step(snapshot(rig, locked_segments=None))
    assert "kill switch" in rig.place(order(price=99.0)).message, "not read is not open"
    rig.step(snapshot(rig, locked_segments=()))
    assert rig.place(order(price=99.5)).status is OrderStatus.SENT


def test_a_delivery_sale_takes_free_holdings_only() -> None:
    rig = Rig()
    rig.tick(100.0)
    sale = order(Side.SELL, 6, 100.0, product=Product.DELIVERY)
    assert "have not been read" in "".join(c.words for c in rig.engine.desk.preview(sale).checks)
    held = Holding(SHARE.key, 8, 2, 3, rs(90))
    rig.step(snapshot(rig, holdings=(held,), may_sell_holdings=True))
    assert "only 7 are free" in rig.place(replace(sale, qty=8)).message
    placed = rig.place(sale)
    assert placed.status is OrderStatus.SENT
    assert "only 4 are free" in rig.place(replace(sale, qty=5)).message, "what rests is spoken for"
    rig.fill(placed, 100.0)
    assert rig.engine.desk.figures.exposure() == 0, "no short position"
    assert rig.engine.desk.figures.day_pnl() == 0
    assert rig.engine.desk.preview(order(price=100.0)).blocked is False


def test_a_ban_list_that_arrives_while_running_counts_at_once() -> None:
    rig = Rig()
    stock_call = replace(
        CALL,
        key="NSE_FO|9",
        symbol="RELIANCE 1300 CE 29 DEC 26",
        underlying_key=SHARE.key,
        expiry=date(2026, 12, 29),
    )
    rig.universe.add(stock_call)
    rig.tick(100.0, stock_call)
    wish = replace(order(price=100.0), instrument_key=stock_call.key, qty=65)
    rig.step(ListsEvent(rig.now_ns, DatedLists(fo_ban={"RELIANCE": ""}, files={"fo_ban": "fo_ban-x.csv"})))
    assert "F&O ban period" in rig.place(wish).message
    rig.step(ListsEvent(rig.now_ns, DatedLists(fo_ban={}, files={"fo_ban": "fo_ban-y.csv"})))
    assert rig.place(wish).status is OrderStatus.SENT


# --- limits -------------------------------------------------------------------------------------------


def test_a_limit_changed_while_live_needs_a_typed_reason_and_holds_at_once() -> None:
    rig = Rig(live=True)
    rig.ask(OperatorKind.LIMITS, name="daily_loss", value=1.0)
    assert rig.engine.desk.books.limits == LIMITS
    assert "typed reason" in rig.of(RecordKind.DECISION)[-1].data["refused"]
    rig.ask(OperatorKind.LIMITS, name="daily_loss", value=1.0, note="a bad week")
    assert rig.engine.desk.books.limits.daily_loss_pct == 1.0
    assert rig.of(RecordKind.LIMITS)[-1].data == {
        "name": "daily_loss", "old": 3.0, "new": 1.0, "reason": "a bad week",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "words"), [("daily_los", 1.0, "did you mean"), ("daily_loss", 99.0, "0.1 to 50")]
)
def test_a_limit_that_cannot_be_is_refused_in_words(name: str, value: float, words: str) -> None:
    rig = Rig()
    rig.ask(OperatorKind.LIMITS, name=name, value=value, note="why")
    assert words in rig.of(RecordKind.DECISION)[-1].data["refused"]
    assert rig.of(RecordKind.LIMITS) == []


def test_a_limit_made_tighter_than_the_loss_trips_at_once() -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 150)
    rig.ask(OperatorKind.LIMITS, name="daily_loss", value=1.0)
    assert state(rig) is RiskState.REDUCING


# --- breakeven ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_breakeven_is_the_first_tick_that_leaves_no_loss(side: Side) -> None:
    rig = Rig(limits=replace(LIMITS, max_leverage=20))
    rig.tick(1_500.0)
    rig.fill(rig.place(order(side, 100, 1_500.0)), 1_500.0)
    figures, (position,) = rig.engine.desk.figures, rig.engine.desk.portfolio.open_positions()
    found = figures.breakeven(position)
    assert found is not None
    assert found.ticks is not None
    assert found.ticks * SHARE.tick_size == abs(found.price - rs(1_500))

    def net(price: int) -> int:
        out = Rig(limits=replace(LIMITS, max_leverage=20))
        out.tick(1_500.0)
        out.fill(out.place(order(side, 100, 1_500.0)), 1_500.0)
        closing = out.place(order(side.opposite, 100, price / 10_000))
        out.fill(closing, price / 10_000)
        return out.engine.desk.figures.net()

    better = SHARE.tick_size * side.sign
    assert net(found.price) >= 0 > net(found.price - better)
