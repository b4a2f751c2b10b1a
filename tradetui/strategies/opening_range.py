"""Opening-range breakout (`india-markets.md` 8): trade the first close outside the day's first N minutes.

Buy a close above the range's high plus a buffer, sell one below its low minus the buffer. A range that is too
wide (the move has run) or too narrow (noise) is not traded, nor one of which a minute is missing or was seen
only in part. One entry a side and day, none after the exit time, none on a side that is already held.

The score: 60 points for the break itself, up to 20 for a narrow range, 20 for being on the right side of the
day's VWAP (against: minus 20).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, isfinite

import numpy as np

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.order import Side
from tradetui.indicators import Spec, parse_spec
from tradetui.strategies.base import Context, Signal, Strategy, Vote, clip

_MINUTE_S, _MINUTE_MS = 60, 60_000
_IST_MS, _DAY_MS = 19_800_000, 86_400_000
_TICKS = list(BarSource).index(BarSource.TICKS)
_VWAP = parse_spec("vwap")
_BREAK, _WIDTH, _SIDE = 60.0, 20.0, 20.0


class StopAt(StrEnum):
    """Where the stop goes."""

    OPPOSITE = "opposite"
    """The other end of the range."""
    MIDDLE = "middle"


@dataclass(frozen=True, slots=True)
class OpeningRangeSettings:
    """Settings of the breakout.

    Attributes:
        minutes: Length of the opening range.
        interval_s: Bars whose close breaks it, seconds.
        buffer_pct: How far beyond the range a close must be, percent of the level.
        min_width_pct: Narrowest range that is traded, percent of its middle.
        max_width_pct: Widest.
        stop: Where the stop goes.
        reward_risk: Distance to the target in distances to the stop.
        min_reward_risk: Least allowed value of it.
        exit_minute: Minute of the day (IST) after which nothing is entered and positions should be closed.

    Raises:
        DomainError: A setting makes no sense.
    """

    minutes: int = 15
    interval_s: int = 300
    buffer_pct: float = 0.05
    min_width_pct: float = 0.2
    max_width_pct: float = 1.0
    stop: StopAt = StopAt.OPPOSITE
    reward_risk: float = 2.0
    min_reward_risk: float = 1.5
    exit_minute: int = 15 * 60 + 5

    def __post_init__(self) -> None:
        rules = {
            "minutes must be 1 to 120": 1 <= self.minutes <= 120,
            "interval_s must be whole minutes": self.interval_s >= 60 and self.interval_s % 60 == 0,
            "buffer_pct must be 0 to 5": 0 <= self.buffer_pct <= 5,
            "0 <= min_width_pct < max_width_pct": 0 <= self.min_width_pct < self.max_width_pct < 100,
            "reward_risk must be at least min_reward_risk": self.reward_risk >= self.min_reward_risk > 0,
            "exit_minute must be a minute of the day": 0 < self.exit_minute < 24 * 60,
        }
        for rule, holds in rules.items():
            if not holds:
                raise DomainError(f"opening_range: {rule}")


@dataclass(frozen=True, slots=True)
class Range:
    """An opening range: high and low in rupees, width in percent of the middle."""

    high: float
    low: float

    @property
    def middle(self) -> float:
        """Half way, rupees."""
        return (self.high + self.low) / 2

    @property
    def width_pct(self) -> float:
        """Width, percent of the middle."""
        return (self.high - self.low) / self.middle * 100


class OpeningRangeBreakout(Strategy):
    """See the module.

    Args:
        settings: Lengths and limits.
    """

    name = "opening_range"
    title = "Opening-range breakout"

    def __init__(self, settings: OpeningRangeSettings | None = None) -> None:
        self.settings = settings or OpeningRangeSettings()
        self.intervals = (self.settings.interval_s,)
        self._day = 0
        self._entered: set[tuple[int, Side]] = set()

    def indicators(self) -> Mapping[int, tuple[Spec, ...]]:
        """VWAP of the minutes."""
        return {_MINUTE_S: (_VWAP,)}

    def opening_range(self, ctx: Context, slot: int) -> Range | None:
        """Today's range; None while it forms, or when a minute of it is missing or was seen in part."""
        start_ms = ctx.session_start_ms(slot)
        bars = ctx.bars(slot, _MINUTE_S)
        first, end = np.searchsorted(
            bars.start_ms, [start_ms, start_ms + self.settings.minutes * _MINUTE_MS]
        ).tolist()
        if not start_ms or end - first != self.settings.minutes:
            return None
        if (bars.gap[first:end] & (bars.source[first:end] == _TICKS)).any():
            return None
        return Range(float(bars.high[first:end].max()), float(bars.low[first:end].min()))

    def on_candle(self, ctx: Context, candle: Candle) -> Signal | None:
        """Look for the first close outside the range."""
        rules = self.settings
        if candle.interval_s != rules.interval_s:
            return None
        end_ms = candle.start_ms + candle.interval_s * 1000
        day = (candle.start_ms + _IST_MS) // _DAY_MS
        if day != self._day:
            self._day = day
            self._entered.clear()
        midnight_ms = day * _DAY_MS - _IST_MS
        exit_ms = midnight_ms + rules.exit_minute * _MINUTE_MS
        opened_ms = ctx.session_start_ms(candle.slot)
        if not opened_ms + rules.minutes * _MINUTE_MS < end_ms <= exit_ms or opened_ms < midnight_ms:
            return None
        found = self.opening_range(ctx, candle.slot)
        if found is None or not rules.min_width_pct <= found.width_pct <= rules.max_width_pct:
            return None
        buffer = rules.buffer_pct / 100
        if candle.close > found.high * (1 + buffer):
            side = Side.BUY
        elif candle.close < found.low * (1 - buffer):
            side = Side.SELL
        else:
            return None
        if (candle.slot, side) in self._entered or ctx.position_units(candle.slot) * side.sign > 0:
            return None
        self._entered.add((candle.slot, side))
        return self._signal(ctx, candle, found, side, exit_ms)

    def _signal(self, ctx: Context, candle: Candle, found: Range, side: Side, exit_ms: int) -> Signal:
        rules = self.settings
        far = found.low if side is Side.BUY else found.high
        stop = far if rules.stop is StopAt.OPPOSITE else found.middle
        target = candle.close + rules.reward_risk * (candle.close - stop)
        votes = self._votes(ctx, candle, found, side)
        score = max(0.0, min(100.0, side.sign * fsum(vote.points for vote in votes)))
        return Signal(
            candle.slot,
            self.name,
            side,
            score,
            candle.close,
            stop,
            target,
            candle.interval_s,
            candle.start_ms,
            votes,
            exit_ms,
        )

    def _votes(self, ctx: Context, candle: Candle, found: Range, side: Side) -> tuple[Vote, ...]:
        rules = self.settings
        narrow = (rules.max_width_pct - found.width_pct) / (rules.max_width_pct - rules.min_width_pct)
        level = found.high if side is Side.BUY else found.low
        at = (candle.interval_s, candle.start_ms)
        label = f"range {rules.minutes}m"
        votes = [
            Vote(f"{label} break", at[0], float(side.sign), _BREAK, level, at[1]),
            Vote(f"{label} width %", at[0], side.sign * clip(narrow), _WIDTH, found.width_pct, at[1]),
        ]
        (vwap,) = ctx.indicator(candle.slot, _MINUTE_S, _VWAP) or (float("nan"),)
        if isfinite(vwap):
            above = float((candle.close > vwap) - (candle.close < vwap))
            votes.append(
                Vote(str(_VWAP), _MINUTE_S, above, _SIDE, vwap, ctx.bar_start_ms(candle.slot, _MINUTE_S))
            )
        return tuple(votes)
