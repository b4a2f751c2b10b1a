"""The weighted vote: what it says on known series, and that it never looks ahead."""

from __future__ import annotations

from dataclasses import replace
from math import fsum
from pathlib import Path

import pytest

from tests.unit.strategies.desk import Desk, minute, reliance, walk
from tradetui.domain.errors import DomainError
from tradetui.domain.order import Side
from tradetui.strategies import VoteSettings, VoteWeights, WeightedVote

SHORT = VoteSettings(intervals=(300, 900))


def test_points_of_the_votes_add_up_to_the_score() -> None:
    signals = Desk(WeightedVote(SHORT)).run(walk(6, seed=3))
    assert {signal.side for signal in signals} == {Side.BUY, Side.SELL}
    for signal in signals:
        total = fsum(vote.points for vote in signal.votes)
        assert signal.score == pytest.approx(signal.side.sign * total)
        assert SHORT.threshold <= signal.score <= 100
        assert signal.reward_risk >= 1.5
        assert (
            (signal.target - signal.price) * signal.side.sign
            > 0
            > (signal.stop - signal.price) * signal.side.sign
        )
        lines = signal.explain()
        assert len(lines) == len(signal.votes) + 1
        assert f"score {signal.score:.1f}" in lines[-1]
        assert all(-1 <= vote.direction <= 1 for vote in signal.votes)


def test_weights_are_shares_of_one_hundred() -> None:
    desk = Desk(WeightedVote(VoteSettings(weights=VoteWeights(5, 5, 4, 3, 2, 1), intervals=(300, 900))))
    desk.run(walk(4, seed=1))
    votes = WeightedVote.votes(desk.strategy, desk.context, 0)  # type: ignore[arg-type]
    assert fsum(vote.weight for vote in votes) == pytest.approx(100)
    assert {round(v.weight, 6) for v in votes} == {12.5, 10, 7.5, 5, 2.5}


def test_a_steady_climb_is_bought_and_a_steady_fall_sold() -> None:
    for sign, side in ((1, Side.BUY), (-1, Side.SELL)):
        # Three steps on, two back: a climb whose RSI is not exhausted.
        path, price = [], 1_000.0
        for at in range(375 * 3):
            price += sign * (1.0 if at % 25 < 17 else -1.2)
            path.append(minute(at % 375, price, low=price - 0.8, high=price + 0.8, day=at // 375))
        signals = Desk(WeightedVote(SHORT)).run(path)
        assert signals
        assert {signal.side for signal in signals} == {side}


def test_a_price_that_never_moves_says_nothing() -> None:
    flat = [minute(at % 375, 100.0, day=at // 375) for at in range(375 * 4)]
    desk = Desk(WeightedVote(SHORT))
    assert desk.run(flat) == []
    votes = WeightedVote(SHORT).votes(desk.context, 0)
    assert {v.direction for v in votes if v.indicator not in ("rsi(14)", "stoch(14,3,3)")} == {0.0}


def test_no_vote_before_its_indicator_is_warm() -> None:
    desk = Desk(WeightedVote(SHORT))
    longest = max(spec.warmup for spec in desk.indicators.specs(300))
    for count, candle in enumerate(walk(3, seed=5), start=1):
        desk.minute(candle)
        for vote in WeightedVote(SHORT).votes(desk.context, 0):
            bars = desk.indicators.bars(0, vote.interval_s)
            (spec,) = (s for s in desk.indicators.specs(vote.interval_s) if str(s) == vote.indicator)
            assert bars > spec.warmup
            assert vote.bar_start_ms == desk.history.last_ms(0, vote.interval_s)
        if count <= longest * 5:
            assert (
                len({v.indicator for v in WeightedVote(SHORT).votes(desk.context, 0) if v.interval_s == 300})
                < 6
            )


def test_one_signal_until_the_score_has_fallen_back() -> None:
    strategy = WeightedVote(replace(SHORT, threshold=50.0, rearm=20.0))
    desk = Desk(strategy)
    scores: list[tuple[float, bool]] = []
    for candle in walk(6, seed=3):
        signal = desk.minute(candle)
        if (candle.start_ms // 60_000 + 1) % 5 == 0:
            scores.append((fsum(v.points for v in strategy.votes(desk.context, 0)), signal is not None))
    last = 0
    for at, (score, signalled) in enumerate(scores):
        if not signalled:
            continue
        between = [s for s, _ in scores[last + 1 : at]]
        assert abs(score) >= 50
        previous = scores[last][0]
        assert (
            at == 0 or last == 0 or score * previous < 0 or any(s * score < 20 * abs(score) for s in between)
        )
        last = at
    assert last


@pytest.mark.parametrize("cut", [400, 901, 1_333])
def test_cutting_the_future_changes_no_earlier_signal(cut: int) -> None:
    candles = walk(5, seed=11)
    whole = Desk(WeightedVote(SHORT)).run(candles)
    part = Desk(WeightedVote(SHORT)).run(candles[:cut])
    end_ms = candles[cut - 1].start_ms
    assert part == [s for s in whole if s.bar_start_ms + 300_000 <= end_ms + 60_000]
    assert len(whole) > 3
    # A different future, not only a missing one.
    bent = [*candles[:cut], *(replace(c, open=1.0, high=2.0, low=0.5, close=1.5) for c in candles[cut:])]
    other = Desk(WeightedVote(SHORT)).run(bent)
    assert other[: len(part)] == part


def test_a_long_history_before_it_moves_scores_little() -> None:
    """Recursive indicators forget: after five days of warm-up the signals no longer depend on the origin."""
    candles = walk(14, seed=21)
    from_start = Desk(WeightedVote(SHORT)).run(candles)
    later = Desk(WeightedVote(SHORT)).run(candles[375 * 4 :])
    settled_ms = candles[375 * 9].start_ms
    a = [s for s in from_start if s.bar_start_ms >= settled_ms]
    b = [s for s in later if s.bar_start_ms >= settled_ms]
    assert len(a) == len(b) > 3
    for one, two in zip(a, b, strict=True):
        assert (one.side, one.bar_start_ms) == (two.side, two.bar_start_ms)
        assert one.score == pytest.approx(two.score, abs=0.1)


def test_recorded_minutes_lead_to_signals_with_all_three_timeframes(shared_data: Path) -> None:
    signals = Desk(WeightedVote()).run(reliance(shared_data, days=30))
    late = signals[-1]
    assert {vote.interval_s for vote in late.votes} == {300, 900, 3600}
    assert len(late.votes) == 18
    assert all(60 <= signal.score <= 100 for signal in signals)


@pytest.mark.parametrize(
    "bad",
    [
        {"weights": VoteWeights(0, 0, 0, 0, 0, 0)},
        {"weights": VoteWeights(rsi=-1)},
        {"weights": VoteWeights(rsi=float("nan"))},
        {"intervals": ()},
        {"intervals": (300, 300)},
        {"intervals": (90,)},
        {"threshold": 101.0},
        {"rearm": 60.0},
        {"rsi_full": 50.0},
        {"rsi_exhausted": 60.0},
        {"macd_full": 0.0},
        {"adx_full": 15.0},
        {"stoch_full": 101.0},
        {"stop_atr": 0.0},
        {"target_atr": 2.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(DomainError, match="vote: "):
        VoteSettings(**bad)  # type: ignore[arg-type]
