"""Trailing stops: where they stand, that they only ever go one way, and that they are thinned."""

from __future__ import annotations

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.desk.support import KEY, Floor, plan, rs
from tradetui.desk.trails import atr, trail_words, trailed
from tradetui.domain.events import OperatorKind
from tradetui.domain.exit_plan import Trail, TrailKind
from tradetui.domain.market_data import Candle
from tradetui.domain.money import Price
from tradetui.domain.order import Product
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import ModifyOrder


def bars(count: int, step: float = 0.5) -> list[Candle]:
    """Bars that wander about 100."""
    rng = np.random.default_rng(7)
    close = 100 + np.cumsum(rng.normal(0, step, count))
    out = []
    for n, price in enumerate(close):
        high, low = price + rng.uniform(0.1, 1), price - rng.uniform(0.1, 1)
        out.append(Candle(0, 300, n * 300_000, price, high, low, float(price), 10))
    return out


@pytest.mark.parametrize("length", [14, 22])
def test_the_average_true_range_is_talibs(length: int) -> None:
    found = bars(100)
    high, low, close = (np.array([getattr(b, name) for b in found]) for name in ("high", "low", "close"))
    assert atr(found, length) == pytest.approx(talib.ATR(high, low, close, length)[-1], rel=1e-12)
    assert atr(found[:length], length) is None


def test_where_each_kind_puts_the_stop() -> None:
    found = bars(100)
    fourteen, twenty_two = atr(found, 14), atr(found, 22)
    assert fourteen is not None
    assert twenty_two is not None
    top = max(bar.high for bar in found[-22:])
    low = min(bar.low for bar in found[-22:])

    def at(kind: TrailKind, by: int, sign: int = 1) -> float:
        stop = trailed(Trail(kind, by), sign, rs(200), KEY, Product.INTRADAY, lambda *_: found)
        assert stop is not None
        return stop / 10_000

    assert at(TrailKind.POINTS, rs(5)) == 195
    assert at(TrailKind.PERCENT, 250) == 195
    assert at(TrailKind.PERCENT, 250, -1) == 205
    assert at(TrailKind.ATR, 200) == pytest.approx(200 - 2 * fourteen, abs=0.001)
    assert at(TrailKind.CHANDELIER, 300) == pytest.approx(top - 3 * twenty_two, abs=0.001)
    assert at(TrailKind.CHANDELIER, 300, -1) == pytest.approx(low + 3 * twenty_two, abs=0.001)


def test_without_enough_bars_a_range_trail_waits() -> None:
    trail = Trail(TrailKind.ATR, 200)
    assert trailed(trail, 1, rs(100), KEY, Product.INTRADAY, lambda *_: bars(14)) is None


@given(st.lists(st.integers(1_600, 2_400), min_size=1, max_size=30), st.sampled_from([1, -1]))
@settings(max_examples=40, deadline=None)
def test_a_stop_only_ever_moves_in_the_positions_favour(prices: list[int], sign: int) -> None:
    floor = Floor()
    floor.hold(10 * sign)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(trail=Trail(TrailKind.POINTS, rs(4))))
    stops = []
    for price in prices:
        floor.wait(1.5)
        floor.tick(price * 0.05)
        managed = floor.desk.protection.plans.get((KEY, Product.INTRADAY))
        if managed is None or floor.desk.closing.wanted:
            break
        if managed.stop:
            stops.append(int(managed.stop))
        assert managed.stop % 500 == 0, "on the tick"
    assert stops == sorted(stops, reverse=sign < 0)


def test_moves_are_thinned_in_time_and_size() -> None:
    floor = Floor()
    floor.hold(10)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95, trail=Trail(TrailKind.POINTS, rs(5))))
    for n in range(100):
        floor.wait(0.1)
        floor.tick(100 + n * 0.05)
    assert 3 <= len(floor.sent(ModifyOrder)) <= 5, "ten seconds, one move in two"
    before = len(floor.sent(ModifyOrder))
    for _ in range(10):
        floor.wait(3)
        floor.tick(105.0)
    assert len(floor.sent(ModifyOrder)) <= before + 1
    assert floor.stops()[0].request.trigger_price >= rs(99.75)


def test_a_trail_goes_on_after_a_restart_where_it_stood() -> None:
    floor = Floor()
    floor.hold(10)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(95, trail=Trail(TrailKind.POINTS, rs(5))))
    floor.wait(5)
    floor.tick(110.0)
    floor.wait(5)
    assert floor.stops()[0].request.trigger_price == rs(105)
    floor.restart()
    floor.wait(1)
    floor.tick(106.0)
    floor.wait(5)
    assert floor.stops()[0].request.trigger_price == rs(105), "it does not fall back"
    floor.tick(112.0)
    floor.wait(5)
    assert floor.stops()[0].request.trigger_price == rs(107)


def test_a_range_trail_uses_finished_bars() -> None:
    floor = Floor()
    floor.bars = bars(60, 0.05)
    floor.hold(10)
    floor.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(trail=Trail(TrailKind.ATR, 200)))
    floor.tick(100.05)
    value = atr(floor.bars, 14)
    assert value is not None
    (stop,) = floor.stops()
    assert stop.request.trigger_price == pytest.approx(rs(100.05 - 2 * value), abs=500)
    assert any("managed" in record.data for record in floor.of(RecordKind.PLAN))


@pytest.mark.parametrize(
    ("trail", "words"),
    [
        (None, ""),
        (Trail(TrailKind.POINTS, Price(25_000)), "2.50 points"),
        (Trail(TrailKind.PERCENT, 150), "1.5%"),
        (Trail(TrailKind.ATR, 250), "2.5 x ATR(14)"),
        (Trail(TrailKind.CHANDELIER, 300), "Chandelier 3 x ATR(22)"),
    ],
)
def test_a_trail_in_words(trail: Trail | None, words: str) -> None:
    assert trail_words(trail) == words
