"""The opening-range breakout, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.strategies.desk import OPEN_MS, Desk, minute, walk
from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.order import Side
from tradetui.strategies import OpeningRangeBreakout, OpeningRangeSettings, StopAt

HIGH, LOW = 1_003.0, 997.0


def opening(width: float = 3.0) -> list[Candle]:
    """Fifteen minutes between 1000 - width and 1000 + width."""
    return [minute(at, 1_000.0, low=1_000 - width, high=1_000 + width) for at in range(15)]


def then(close: float, start: int = 15, count: int = 5) -> list[Candle]:
    return [minute(at, close) for at in range(start, start + count)]


def desk(**settings: object) -> Desk:
    return Desk(OpeningRangeBreakout(OpeningRangeSettings(**settings)))  # type: ignore[arg-type]


def test_the_first_close_above_the_range_is_bought() -> None:
    market = desk()
    (signal,) = market.run([*opening(), *then(1_005.0)])
    assert signal.side is Side.BUY
    assert (signal.price, signal.stop, signal.target) == (1_005.0, LOW, 1_005 + 2 * 8)
    assert signal.bar_start_ms == OPEN_MS + 15 * 60_000
    assert signal.exit_by_ms == OPEN_MS + (15 * 60 + 5 - 9 * 60 - 15) * 60_000
    assert signal.reward_risk == pytest.approx(2.0)
    # Width 0.6%, half way between the limits: 60 for the break, 10 for the width, 20 for the side of VWAP.
    assert signal.score == pytest.approx(60 + 10 + 20)
    assert sum(vote.points for vote in signal.votes) == pytest.approx(signal.score)
    assert "range 15m break 5m 1003: up 1.00 x 60.0 = +60.0" in signal.explain()


def test_the_first_close_below_is_sold_and_each_side_enters_once() -> None:
    market = desk()
    signals = market.run(
        [*opening(), *then(995.0), *then(1_005.0, 20), *then(994.0, 25), *then(1_006.0, 30), *then(993.0, 35)]
    )
    assert [signal.side for signal in signals] == [Side.SELL, Side.BUY]
    assert (signals[0].stop, signals[0].target) == (HIGH, 995 - 2 * 8)
    assert sum(vote.points for vote in signals[0].votes) == pytest.approx(-signals[0].score)


def test_a_new_day_may_enter_again() -> None:
    market = desk()
    first = [*opening(), *then(1_005.0)]
    signals = market.run([*first, *(replace(c, start_ms=c.start_ms + 86_400_000) for c in first)])
    assert [signal.side for signal in signals] == [Side.BUY, Side.BUY]


def test_closes_within_the_buffer_are_not_a_break() -> None:
    assert desk(buffer_pct=0.05).run([*opening(), *then(HIGH + 0.5)]) == []
    assert len(desk(buffer_pct=0.0).run([*opening(), *then(HIGH + 0.5)])) == 1


@pytest.mark.parametrize(("width", "trades"), [(0.9, 0), (1.1, 1), (4.9, 1), (5.1, 0)])
def test_width_limits(width: float, trades: int) -> None:
    assert len(desk().run([*opening(width), *then(1_008.0)])) == trades


def test_a_range_with_a_missing_or_partly_seen_minute_is_not_traded() -> None:
    missing = [c for c in opening() if c.start_ms != OPEN_MS + 240_000]
    assert desk().run([*missing, *then(1_005.0)]) == []
    partly = [replace(c, gap=c.start_ms == OPEN_MS) for c in opening()]
    assert desk().run([*partly, *then(1_005.0)]) == []
    filled = [replace(c, source=BarSource.BROKER) for c in partly]
    assert len(desk().run([*filled, *then(1_005.0)])) == 1


def test_no_entry_after_the_exit_time_or_on_a_side_already_held() -> None:
    assert desk(exit_minute=9 * 60 + 34).run([*opening(), *then(1_005.0)]) == []
    assert len(desk(exit_minute=9 * 60 + 35).run([*opening(), *then(1_005.0)])) == 1
    held = desk()
    held.position = 10
    assert held.run([*opening(), *then(1_005.0)]) == []
    held = desk()
    held.position = -10
    assert len(held.run([*opening(), *then(1_005.0)])) == 1


def test_the_range_itself_never_signals() -> None:
    market = desk(minutes=5)
    assert market.run([minute(at, 1_000.0 + at, low=999, high=1_000 + at) for at in range(5)]) == []
    assert len(market.run(then(1_009.0, 5))) == 1


def test_middle_stop() -> None:
    (signal,) = desk(stop=StopAt.MIDDLE).run([*opening(), *then(1_005.0)])
    assert (signal.stop, signal.target) == (1_000.0, 1_015.0)


def test_against_vwap_scores_less() -> None:
    # Heavy volume far above, earlier in the day: the break down is below VWAP, the break up still under it.
    heavy = replace(minute(15, 1_030.0), volume=10_000_000)
    signals = desk().run([*opening(), heavy, *then(1_000.0, 16, 4), *then(1_005.0, 20)])
    assert signals[0].score == pytest.approx(60 + 10 - 20)


@pytest.mark.parametrize("cut", [21, 90, 400, 800])
def test_cutting_the_future_changes_no_earlier_signal(cut: int) -> None:
    candles = walk(4, seed=8)
    wide = {"max_width_pct": 5.0}
    whole, part = desk(**wide).run(candles), desk(**wide).run(candles[:cut])
    end_ms = candles[cut - 1].start_ms + 60_000
    assert part == [s for s in whole if s.bar_start_ms + 300_000 <= end_ms]
    assert len(whole) >= 3


@pytest.mark.parametrize(
    "bad",
    [
        {"minutes": 0},
        {"minutes": 121},
        {"interval_s": 90},
        {"buffer_pct": -0.1},
        {"min_width_pct": 2.0},
        {"reward_risk": 1.0},
        {"exit_minute": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(DomainError, match="opening_range: "):
        OpeningRangeSettings(**bad)  # type: ignore[arg-type]
