"""The weighted vote of indicators over several timeframes.

Each of six indicators votes on each interval with a direction from -1 to +1, in the sense of following the
move: all six can agree, and a score of 100 means that they all do, fully, on every interval.

* RSI: distance from 50, full at ``rsi_full``; none at all beyond ``rsi_exhausted`` (the move has run).
* MACD: the histogram in units of ATR, full at ``macd_full``.
* Bollinger: where the close lies between the middle (0) and a band (1).
* ADX: the side of the stronger directional indicator, from ``adx_floor`` (0) to ``adx_full`` (1).
* Stochastic: distance of %K from 50, full at ``stoch_full``.
* ATR: the body of the bar in units of ATR: does the bar that closed go along?

What is not warm yet does not vote and counts as silence, so the score of a young series is low. A signal comes
when the score passes ``threshold``, once; the side is armed again when the score has fallen below ``rearm``.
Thresholds are common retail readings (`india-markets.md` 8), no edge is claimed for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from math import fsum, isfinite

from tradetui.domain.errors import DomainError
from tradetui.domain.intervals import interval_name
from tradetui.domain.market_data import Candle
from tradetui.domain.order import Side
from tradetui.indicators import Spec, parse_spec
from tradetui.strategies.base import Context, Signal, Strategy, Vote, clip

_RSI, _MACD, _BBANDS = parse_spec("rsi(14)"), parse_spec("macd(12,26,9)"), parse_spec("bbands(20,2,2)")
_ADX, _PLUS, _MINUS = parse_spec("adx(14)"), parse_spec("plus_di(14)"), parse_spec("minus_di(14)")
_STOCH, _ATR = parse_spec("stoch(14,3,3)"), parse_spec("atr(14)")
_SPECS = (_RSI, _MACD, _BBANDS, _ADX, _PLUS, _MINUS, _STOCH, _ATR)


@dataclass(frozen=True, slots=True)
class VoteWeights:
    """Weights of the six; only their proportions matter."""

    rsi: float = 25.0
    macd: float = 25.0
    bollinger: float = 20.0
    adx: float = 15.0
    stochastic: float = 10.0
    atr: float = 5.0


@dataclass(frozen=True, slots=True)
class VoteSettings:
    """Settings of the vote.

    Attributes:
        weights: Weights of the indicators.
        intervals: Timeframes that vote, seconds; the shortest one calls the vote at each of its closes.
        threshold: Least score of a signal, points of 100.
        rearm: Score below which the same side may signal again.
        rsi_full: RSI of a full vote up (100 minus it: down).
        rsi_exhausted: RSI beyond which it does not vote.
        macd_full: Histogram of a full vote, ATRs.
        adx_floor: ADX up to which there is no trend.
        adx_full: ADX of a full vote.
        stoch_full: %K of a full vote up.
        stop_atr: Distance of the stop, ATRs of the shortest interval.
        target_atr: Distance of the target, ATRs.
        min_reward_risk: Least ratio of the two.

    Raises:
        DomainError: A setting makes no sense.
    """

    weights: VoteWeights = VoteWeights()
    intervals: tuple[int, ...] = (300, 900, 3600)
    threshold: float = 60.0
    rearm: float = 40.0
    rsi_full: float = 65.0
    rsi_exhausted: float = 85.0
    macd_full: float = 0.1
    adx_floor: float = 15.0
    adx_full: float = 30.0
    stoch_full: float = 80.0
    stop_atr: float = 1.5
    target_atr: float = 3.0
    min_reward_risk: float = 1.5

    def __post_init__(self) -> None:
        weights = astuple(self.weights)
        rules = {
            "weights must be zero or more, and one of them above zero": all(
                isfinite(w) and w >= 0 for w in weights
            )
            and sum(weights) > 0,
            "intervals must be given, each once, in whole minutes": bool(self.intervals)
            and len(set(self.intervals)) == len(self.intervals)
            and all(s >= 60 and s % 60 == 0 for s in self.intervals),
            "0 <= rearm < threshold <= 100": 0 <= self.rearm < self.threshold <= 100,
            "50 < rsi_full < rsi_exhausted <= 100": 50 < self.rsi_full < self.rsi_exhausted <= 100,
            "macd_full must be above 0": self.macd_full > 0,
            "0 <= adx_floor < adx_full <= 100": 0 <= self.adx_floor < self.adx_full <= 100,
            "50 < stoch_full <= 100": 50 < self.stoch_full <= 100,
            "stop_atr must be above 0": self.stop_atr > 0,
            "target_atr must be at least min_reward_risk times stop_atr": self.min_reward_risk > 0
            and self.target_atr >= self.min_reward_risk * self.stop_atr,
        }
        for rule, holds in rules.items():
            if not holds:
                raise DomainError(f"vote: {rule}")


class WeightedVote(Strategy):
    """See the module.

    Args:
        settings: Weights, intervals and thresholds.
    """

    name = "vote"
    title = "Weighted vote of indicators"

    def __init__(self, settings: VoteSettings | None = None) -> None:
        self.settings = settings or VoteSettings()
        self._voting = tuple(sorted(self.settings.intervals))
        self.intervals = (self._voting[0],)
        share = 100.0 / (sum(astuple(self.settings.weights)) * len(self._voting))
        self._weights = VoteWeights(*(weight * share for weight in astuple(self.settings.weights)))
        self._said: dict[int, Side] = {}

    def indicators(self) -> Mapping[int, tuple[Spec, ...]]:
        """All six on every interval."""
        return dict.fromkeys(self._voting, _SPECS)

    def on_candle(self, ctx: Context, candle: Candle) -> Signal | None:
        """Take the vote at the close of a bar of the shortest interval."""
        if candle.interval_s != self.intervals[0]:
            return None
        votes = self.votes(ctx, candle.slot)
        total = fsum(vote.points for vote in votes)
        side = Side.BUY if total > 0 else Side.SELL
        if abs(total) < self.settings.rearm or self._said.get(candle.slot) is not side:
            self._said.pop(candle.slot, None)
        if abs(total) < self.settings.threshold or candle.slot in self._said:
            return None
        atr = self._one(ctx, candle.slot, candle.interval_s, _ATR)
        stop = candle.close - side.sign * self.settings.stop_atr * atr
        target = candle.close + side.sign * self.settings.target_atr * atr
        if not (atr > 0 and stop > 0 and target > 0):
            return None
        self._said[candle.slot] = side
        return Signal(
            candle.slot,
            self.name,
            side,
            min(abs(total), 100.0),
            candle.close,
            stop,
            target,
            candle.interval_s,
            candle.start_ms,
            votes,
        )

    def votes(self, ctx: Context, slot: int) -> tuple[Vote, ...]:
        """What everybody says now, in the order of intervals and indicators."""
        return tuple(vote for interval_s in self._voting for vote in self._interval(ctx, slot, interval_s))

    def _interval(self, ctx: Context, slot: int, interval_s: int) -> list[Vote]:
        bars = ctx.bars(slot, interval_s, 1)
        if not len(bars.close):
            return []
        rules, weights = self.settings, self._weights
        opened, close = bars.open.item(-1), bars.close.item(-1)
        rsi = self._one(ctx, slot, interval_s, _RSI)
        atr = self._one(ctx, slot, interval_s, _ATR)
        adx = self._one(ctx, slot, interval_s, _ADX)
        lean = self._one(ctx, slot, interval_s, _PLUS) - self._one(ctx, slot, interval_s, _MINUS)
        histogram = self._one(ctx, slot, interval_s, _MACD, 2)
        upper, middle = (self._one(ctx, slot, interval_s, _BBANDS, output) for output in (0, 1))
        place = _ratio(close - middle, upper - middle)
        k = self._one(ctx, slot, interval_s, _STOCH)
        exhausted = abs(rsi - 50) > rules.rsi_exhausted - 50
        trend = clip(max(0.0, (adx - rules.adx_floor) / (rules.adx_full - rules.adx_floor)))
        said = (
            (_RSI, rsi, 0.0 if exhausted else (rsi - 50) / (rules.rsi_full - 50), weights.rsi),
            (_MACD, histogram, _ratio(histogram, rules.macd_full * atr), weights.macd),
            (_BBANDS, place, place, weights.bollinger),
            (_ADX, adx, trend * ((lean > 0) - (lean < 0)), weights.adx),
            (_STOCH, k, (k - 50) / (rules.stoch_full - 50), weights.stochastic),
            (_ATR, atr, _ratio(close - opened, atr), weights.atr),
        )
        start_ms = ctx.bar_start_ms(slot, interval_s)
        return [
            Vote(str(spec), interval_s, clip(direction), weight, value, start_ms)
            for spec, value, direction, weight in said
            if isfinite(value) and isfinite(direction) and weight > 0
        ]

    @staticmethod
    def _one(ctx: Context, slot: int, interval_s: int, spec: Spec, output: int = 0) -> float:
        """One value of an indicator; NaN if there is none."""
        values = ctx.indicator(slot, interval_s, spec)
        return values[output] if values else float("nan")

    def __repr__(self) -> str:
        return f"WeightedVote({', '.join(interval_name(s) for s in self._voting)})"


def _ratio(part: float, whole: float) -> float:
    """``part`` in units of ``whole``; 0 when there is no whole (a price that does not move says nothing)."""
    return part / whole if whole else 0.0 * part
