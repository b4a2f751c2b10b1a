"""The engine's straight line: feed, silence, signals, orders, switches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import LIMITS, SECOND, Rig, long_signal
from tests.unit.exchange.support import CALL, INDEX, SHARE, order, rs
from tradetui.domain.events import FeedState, HistoryEvent, MarketStatusEvent, OperatorKind
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.order import OrderStatus, OrderType, Side
from tradetui.domain.records import RecordKind
from tradetui.strategies.base import Signal


def silent(rig: Rig) -> bool:
    return rig.engine.silent


def test_a_dead_feed_blocks_new_risk_and_lets_exits_through() -> None:
    rig = Rig()
    rig.hold(10)
    rig.feed(FeedState.DOWN, "lost")
    assert rig.place(order(price=100.0)).status is OrderStatus.REFUSED
    assert rig.place(order(Side.SELL, kind=OrderType.MARKET)).status is OrderStatus.SENT
    rig.feed(FeedState.CONNECTING)
    rig.feed(FeedState.UP)
    assert rig.place(order(price=99.0)).status is OrderStatus.SENT
    said = [record.data["state"] for record in rig.of(RecordKind.FEED)]
    assert said == ["up", "down", "connecting", "up"]


def test_a_reconnect_marks_the_bars_that_it_cut_and_asks_for_the_book() -> None:
    rig = Rig()
    rig.minute(100.0, 101.0)
    rig.tick(102.0)
    rig.now_ns += 10 * SECOND
    rig.feed(FeedState.DOWN)
    rig.now_ns += 20 * SECOND
    rig.feed(FeedState.UP)
    rig.tick(103.0)
    commands = len(rig.commands)
    finished = [bar for bar in rig.minute(104.0) if bar.interval_s == 60]
    assert [bar.gap for bar in finished] == [True]
    assert any(type(command).__name__ == "Reconcile" for command in rig.commands[commands:])
    assert [bar.gap for bar in rig.minute(104.0) if bar.interval_s == 60] == [False]


def test_silence_counts_as_down_until_frames_flow_again() -> None:
    rig = Rig(live=True)
    rig.tick(100.0)
    rig.ask(OperatorKind.SQUARE_OFF_OK)
    rig.ask(OperatorKind.ARM, until_ns=rig.now_ns + 600 * SECOND)
    rig.time(15.0)
    assert not silent(rig)
    rig.time(0.5)
    assert silent(rig)
    assert rig.engine.desk.books.armed_until_ns == 0, "a silent feed disarms"
    assert not rig.engine.desk.books.feed_up
    rig.time(5.0)
    assert [record.data["state"] for record in rig.of(RecordKind.FEED)] == ["up", "silent"]
    rig.tick(100.5)
    assert not silent(rig)
    assert rig.engine.desk.books.feed_up


def test_a_fresh_connection_is_not_silent_for_the_time_before_it() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.feed(FeedState.DOWN)
    rig.time(60.0)
    rig.feed(FeedState.UP)
    rig.time(1.0)
    assert not silent(rig)
    rig.time(15.0)
    assert silent(rig), "but it is when no frame follows"


def test_no_frame_is_no_alarm_when_nothing_trades() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.now_ns += 8 * 3600 * SECOND  # 18:00
    rig.time(60.0)
    assert not silent(rig)


def test_the_brokers_word_closes_a_market_and_never_opens_one() -> None:
    rig = Rig()
    rig.tick(100.0)
    assert rig.engine.phase(SHARE) == "continuous"
    rig.step(MarketStatusEvent(rig.now_ns, (("NSE_EQ", "NORMAL_CLOSE"),)))
    assert rig.engine.phase(SHARE) == "closed"
    assert rig.place(order(price=100.0)).status is OrderStatus.REFUSED
    rig.step(MarketStatusEvent(rig.now_ns, (("NSE_EQ", "NORMAL_OPEN"),)))
    assert rig.engine.phase(SHARE) == "continuous"
    rig.time(8 * 3600.0)
    assert rig.engine.phase(SHARE) == "closed"


def test_a_day_the_calendar_does_not_know_blocks() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.now_ns += 5 * 365 * 86_400 * SECOND
    rig.tick(100.0)
    assert rig.engine.phase(SHARE) == "unknown to the calendar"
    assert rig.place(order(price=100.0)).status is OrderStatus.REFUSED


# --- signals ------------------------------------------------------------------------------------------


def test_signals_become_orders_only_when_auto_is_on() -> None:
    rig = Rig()
    rig.strategy.next = long_signal
    rig.minute(1000.0, 1001.0)
    (row,) = rig.engine.signals.rows()
    assert (row.state, rig.placed()) == ("new", [])
    rig.ask(OperatorKind.AUTO_ON, name="said")
    rig.minute(1001.0)
    (placed,) = rig.placed()
    request = placed.request
    # One percent of 500,000 is lost at a stop ten rupees away with 500 units.
    assert (request.qty, request.order_type, request.price) == (500, OrderType.LIMIT, rs(1001.0))
    assert (request.source, request.stop, request.target) == ("said", rs(991.0), rs(1021.0))
    assert rig.engine.signals.rows()[0].state == "ordered"
    kinds = [record.kind for record in rig.records if record.kind in (RecordKind.SIGNAL, RecordKind.INTENT)]
    assert kinds == [RecordKind.SIGNAL, RecordKind.SIGNAL, RecordKind.INTENT]


@pytest.mark.parametrize(
    ("score", "reward", "words"),
    [(59.0, 20.0, "score 59"), (80.0, 14.0, "reward:risk 1.40"), (80.0, 15.0, "")],
)
def test_the_gate_judges_a_signal(score: float, reward: float, words: str) -> None:
    rig = Rig()
    rig.strategy.next = lambda candle: replace(long_signal(candle, score), target=candle.close + reward)
    rig.ask(OperatorKind.AUTO_ON, name="said")
    rig.minute(1000.0)
    (row,) = rig.engine.signals.rows()
    if words:
        assert row.state.startswith(f"refused: {words}")
        assert rig.of(RecordKind.DECISION)[-1].data["refused"].startswith(words)
        assert rig.placed() == []
    else:
        assert row.state == "ordered"
        assert len(rig.placed()) == 1


def test_a_signal_too_small_for_one_lot_says_so_and_does_nothing() -> None:
    rig = Rig(limits=replace(LIMITS, risk_per_trade_pct=0.01))
    rig.strategy.next = lambda candle: long_signal(candle, risk=100.0)
    rig.ask(OperatorKind.AUTO_ON, name="said")
    rig.minute(1000.0)
    (row,) = rig.engine.signals.rows()
    assert row.state.startswith("too small")
    assert row.qty == 0
    assert rig.placed() == []
    rig.ask(OperatorKind.ACT, name=row.id)
    assert rig.placed() == []


def test_a_person_may_act_on_a_signal_and_an_unknown_one_does_nothing() -> None:
    rig = Rig()
    rig.strategy.next = long_signal
    rig.minute(1000.0)
    rig.ask(OperatorKind.ACT, name="s99")
    assert rig.placed() == []
    rig.ask(OperatorKind.ACT, name="s1")
    assert len(rig.placed()) == 1


def test_a_strategy_that_raises_is_suspended_and_the_engine_goes_on() -> None:
    rig = Rig()
    rig.ask(OperatorKind.AUTO_ON, name="said")

    def fail(candle: Candle) -> Signal | None:
        raise ZeroDivisionError("no volume")

    rig.strategy.next = fail
    rig.minute(1000.0)
    switches = rig.engine.runner.switches["said"]
    assert (switches.running, switches.auto, switches.error) == (False, False, "ZeroDivisionError: no volume")
    assert rig.of(RecordKind.STRATEGY)[-1].data["error"] == "ZeroDivisionError: no volume"
    rig.strategy.next = long_signal
    bars = [bar for bar in rig.minute(1001.0) if bar.interval_s == 60]
    assert len(bars) == 1, "bars go on"
    assert rig.engine.signals.rows() == ()
    rig.ask(OperatorKind.AUTO_ON, name="said")
    assert not switches.auto, "not while it is suspended"
    rig.ask(OperatorKind.STRATEGY_RUN, name="said")
    assert switches.error == ""
    rig.minute(1002.0)
    assert len(rig.engine.signals.rows()) == 1


def test_switches_are_recorded_once_and_pausing_takes_auto_away() -> None:
    rig = Rig()
    for kind in (
        OperatorKind.AUTO_ON,
        OperatorKind.AUTO_ON,
        OperatorKind.STRATEGY_PAUSE,
        OperatorKind.AUTO_OFF,
    ):
        rig.ask(kind, name="said")
    assert [record.data["what"] for record in rig.of(RecordKind.STRATEGY)] == ["auto on", "paused"]
    rig.ask(OperatorKind.AUTO_ON, name="nobody")
    assert len(rig.of(RecordKind.STRATEGY)) == 2


@pytest.mark.parametrize("kind", [OperatorKind.KILL, OperatorKind.FLATTEN])
def test_kill_switches_auto_off(kind: OperatorKind) -> None:
    rig = Rig()
    rig.ask(OperatorKind.AUTO_ON, name="said")
    rig.ask(kind)
    assert not rig.engine.runner.switches["said"].auto
    rig.strategy.next = long_signal
    rig.minute(1000.0)
    assert rig.placed() == []


# --- bars ---------------------------------------------------------------------------------------------


def test_bars_close_by_time_when_nothing_trades() -> None:
    rig = Rig()
    (bar,) = [bar for bar in rig.minute(100.0, 101.0, 99.0) if bar.interval_s == 60]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100.0, 101.0, 99.0, 99.0, 30)
    assert rig.engine.bars(0, 60, 10)[-1] == bar


def test_the_end_of_the_world_closes_what_was_forming() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.now_ns += SECOND
    rig.tick(101.0)
    outcome = rig.feed(FeedState.ENDED)
    assert {bar.interval_s for bar in outcome.candles} >= {60, 300, 900, 3600, 86_400}
    assert rig.engine.desk.books.feed_up is False


def test_history_restarts_indicators_and_joins_the_bars() -> None:
    rig = Rig()
    start_ms = (rig.now_ns // (60 * SECOND) - 5) * 60_000
    bars = tuple(
        Candle(0, 60, start_ms + 60_000 * n, 100.0, 101.0, 99.0, 100.5, 10, source=BarSource.BROKER)
        for n in range(5)
    )
    rig.step(HistoryEvent(rig.now_ns, 0, 60, bars))
    rig.minute(102.0)
    got = rig.engine.bars(0, 60, 10)
    assert [bar.start_ms for bar in got[:5]] == [bar.start_ms for bar in bars]
    assert got[5].close == 102.0


def test_an_index_is_watched_and_never_traded() -> None:
    rig = Rig()
    rig.tick(26_000.0, INDEX)
    assert rig.place(order(price=26_000.0, instrument=INDEX)).status is OrderStatus.REFUSED
    rig.strategy.next = long_signal
    rig.minute(100.0)
    assert {candle.slot for candle in rig.strategy.seen} == {0}, "strategies look at what can be traded"


def test_an_instrument_that_was_never_seen_has_no_market() -> None:
    rig = Rig()
    market = rig.engine.market(CALL.key)
    assert (market.last, market.age_s) == (None, None)
    assert rig.engine.market("NSE_EQ|NONE").phase == "closed"
