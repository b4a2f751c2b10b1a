"""Suggestions into orders: sized by what the stop may cost, rounded so that it never costs more."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import LIMITS, Rig
from tests.unit.exchange.support import CALL, SHARE, rs
from tradetui.domain.money import Money, to_money
from tradetui.domain.order import OrderType, Product, Side
from tradetui.signals import Signals
from tradetui.strategies.base import Signal, Vote


def signal(
    side: Side = Side.BUY, price: float = 1_000.0, stop: float = 990.0, target: float = 1_020.0
) -> Signal:
    vote = Vote("rsi(14)", 60, 0.5, 25.0, 61.0, 0)
    return Signal(0, "vote", side, 71.234, price, stop, target, 60, 1_000, (vote,))


@pytest.mark.parametrize(
    ("side", "stop", "target"), [(Side.BUY, 990.0, 1_020.0), (Side.SELL, 1_010.0, 980.0)]
)
def test_the_stop_costs_the_configured_share_of_capital(side: Side, stop: float, target: float) -> None:
    desk = Rig().engine.desk
    request = Signals().request_of(signal(side, stop=stop, target=target), SHARE, desk)
    assert request is not None
    assert request.qty * abs(request.price - request.stop) <= to_money(5_000), "one percent of 500,000"
    assert (request.qty, request.price) == (500, rs(1_000.0))
    assert (request.stop, request.target) == (rs(stop), rs(target))
    assert (request.order_type, request.product) == (OrderType.LIMIT, Product.INTRADAY)
    assert (request.source, request.reason) == ("vote", "vote score 71")


@pytest.mark.parametrize(
    ("side", "stop", "rounded"), [(Side.BUY, 990.01, 990.05), (Side.SELL, 1_009.99, 1_009.95)]
)
def test_the_stop_is_rounded_towards_the_entry(side: Side, stop: float, rounded: float) -> None:
    target = 1_020.0 if side is Side.BUY else 980.0
    request = Signals().request_of(signal(side, stop=stop, target=target), SHARE, Rig().engine.desk)
    assert request is not None
    assert request.stop == rs(rounded)


def test_cash_caps_the_quantity() -> None:
    rig = Rig()
    rig.engine.desk.portfolio.available = to_money(10_000)
    request = Signals().request_of(signal(), SHARE, rig.engine.desk)
    assert request is not None
    assert request.qty == 50, "ten thousand at a fifth of the value"
    rig.engine.desk.portfolio.available = Money(0)
    assert Signals().request_of(signal(), SHARE, rig.engine.desk) is None


def test_derivatives_go_in_whole_lots() -> None:
    request = Signals().request_of(signal(price=100.0, stop=90.0, target=130.0), CALL, Rig().engine.desk)
    assert request is not None
    assert request.qty % CALL.lot_size == 0
    small = Rig(limits=replace(LIMITS, capital=to_money(10_000)))
    assert Signals().request_of(signal(price=100.0, stop=90.0, target=130.0), CALL, small.engine.desk) is None


def test_a_signal_is_kept_with_its_votes_and_can_explain_itself() -> None:
    signals = Signals()
    data = signals.add(signal(), SHARE, None, 5)
    assert (data["id"], data["qty"], data["price"], data["interval_s"]) == ("s1", 0, rs(1_000.0), 60)
    assert data["votes"] == [
        {
            "indicator": "rsi(14)",
            "interval_s": 60,
            "direction": 0.5,
            "weight": 25.0,
            "value": 61.0,
            "bar_start_ms": 0,
        }
    ]
    (row,) = signals.rows()
    assert (row.symbol, row.side, row.t_ns) == ("RELIANCE", "BUY", 5)
    assert row.state.startswith("too small")
    assert row.votes[0] == "rsi(14) 1m 61: up 0.50 x 25.0 = +12.5"


def test_the_newest_two_hundred_are_kept_newest_first() -> None:
    signals = Signals()
    for number in range(205):
        signals.add(signal(), SHARE, None, number)
    rows = signals.rows()
    assert len(rows) == 200
    assert (rows[0].id, rows[-1].id) == ("s205", "s6")


def test_signals_of_an_earlier_run_are_shown_again_and_numbered_on() -> None:
    first, later = Signals(), Signals()
    desk = Rig().engine.desk
    data = json.loads(json.dumps(first.add(signal(), SHARE, first.request_of(signal(), SHARE, desk), 7)))
    later.go_on_from(1)
    later.show_earlier([(7, data)], lambda key: SHARE if key == SHARE.key else None)
    (row,) = later.rows()
    (was,) = first.rows()
    assert (row.id, row.t_ns, row.symbol, row.side, row.qty) == (
        was.id,
        was.t_ns,
        was.symbol,
        was.side,
        was.qty,
    )
    assert (row.score, row.price, row.stop, row.target) == (was.score, was.price, was.stop, was.target)
    assert row.votes == was.votes[:-1]
    assert row.state == "earlier run"
    assert row.id not in later.known, "too late to act on"
    assert later.add(signal(), SHARE, None, 9)["id"] == "s2"
    assert [shown.id for shown in later.rows()] == ["s2", "s1"]
