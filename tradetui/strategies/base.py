"""What a strategy is, what it sees, and what it says.

A strategy is called with each finished bar of its intervals and returns a `Signal` or nothing. It is pure and
deterministic: it reads the `Context` and its own memory, never a clock, a file or a random number. The engine
catches what it raises, suspends it and goes on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Protocol

from tradetui.domain.intervals import interval_name
from tradetui.domain.market_data import Candle
from tradetui.domain.order import Side
from tradetui.indicators import Spec, Value
from tradetui.market.event_bars import EventBar
from tradetui.market.history import Bars


class Context(Protocol):
    """What a strategy may look at, at the moment its bar finished. Read only."""

    @property
    def t_ms(self) -> int:
        """Engine time, epoch ms UTC."""
        ...

    def indicator(self, slot: int, interval_s: int, spec: Spec) -> Value:
        """Values at the last finished bar, NaN while warming up; empty if the series has no bar yet."""
        ...

    def bar_start_ms(self, slot: int, interval_s: int) -> int:
        """Start of the bar those values belong to, epoch ms; 0 if there is none."""
        ...

    def bars(self, slot: int, interval_s: int, count: int | None = None) -> Bars:
        """Finished bars of the recent past, oldest first."""
        ...

    def last_price(self, slot: int) -> float:
        """Last traded price, rupees; 0 if unknown."""
        ...

    def session_start_ms(self, slot: int) -> int:
        """Start of today's continuous trading, epoch ms; 0 if there is none."""
        ...

    def position_units(self, slot: int) -> int:
        """Units held, negative when short."""
        ...


@dataclass(frozen=True, slots=True)
class Vote:
    """What one indicator on one interval says.

    Attributes:
        indicator: Its name with parameters: ``rsi(14)``.
        interval_s: Length of the bar it looked at, seconds.
        direction: -1 (down) to +1 (up); 0 says nothing.
        weight: Its share of the whole, points of 100.
        value: The figure it judged, in the indicator's own unit.
        bar_start_ms: Start of the bar it looked at, epoch ms.
    """

    indicator: str
    interval_s: int
    direction: float
    weight: float
    value: float
    bar_start_ms: int

    @property
    def points(self) -> float:
        """What it adds to the score of a buy (and takes from that of a sell)."""
        return self.direction * self.weight

    def words(self) -> str:
        """For a person: ``rsi(14) 5m 63.2: up 0.88 x 8.3 = +7.3``."""
        way = "up" if self.direction > 0 else "down" if self.direction < 0 else "flat"
        return (
            f"{self.indicator} {interval_name(self.interval_s)} {self.value:.4g}: "
            f"{way} {abs(self.direction):.2f} x {self.weight:.1f} = {self.points:+.1f}"
        )


@dataclass(frozen=True, slots=True)
class Signal:
    """A suggestion to enter. The score is how far the votes agree: not a probability, not advice.

    Attributes:
        slot: Instrument.
        strategy: Name of the strategy.
        side: Buy or sell.
        score: 0 to 100; the votes' points add up to it (with the sign of the side).
        price: Close of the bar that led to it, rupees.
        stop: Where the idea is given up, rupees.
        target: Where the profit is taken, rupees.
        interval_s: Interval of that bar, seconds.
        bar_start_ms: Start of that bar, epoch ms.
        votes: Everything that was said, in a fixed order.
        exit_by_ms: When a position from it should be closed, epoch ms; 0 leaves it to the house rules.
    """

    slot: int
    strategy: str
    side: Side
    score: float
    price: float
    stop: float
    target: float
    interval_s: int
    bar_start_ms: int
    votes: tuple[Vote, ...]
    exit_by_ms: int = 0

    @property
    def reward_risk(self) -> float:
        """Distance to the target in distances to the stop."""
        risk = abs(self.price - self.stop)
        return abs(self.target - self.price) / risk if risk else 0.0

    def explain(self) -> tuple[str, ...]:
        """Why, line by line: the votes, then their sum."""
        total = fsum(vote.points for vote in self.votes)
        lines = [vote.words() for vote in self.votes]
        lines.append(
            f"sum {total:+.1f}: {self.side.value.lower()} with score {self.score:.1f}, "
            f"stop {self.stop:.2f}, target {self.target:.2f}, reward:risk {self.reward_risk:.2f}"
        )
        return tuple(lines)


class Strategy(ABC):
    """Base of all strategies.

    Attributes:
        name: Short name, as in the configuration and on the screen.
        title: In words.
        intervals: Bars it wants to be called with, seconds.
        event_bars: Tick, volume and range bars it wants to be called with: ``100t``, ``50000v``, ``2.5r``; what
            they are made of is in `market.event_bars`.
    """

    name: str
    title: str
    intervals: tuple[int, ...]
    event_bars: tuple[str, ...] = ()

    @abstractmethod
    def indicators(self) -> Mapping[int, tuple[Spec, ...]]:
        """Indicators it reads, by interval in seconds."""

    @abstractmethod
    def on_candle(self, ctx: Context, candle: Candle) -> Signal | None:
        """Judge a finished bar. The indicators of every interval already include bars that ended with it."""

    def on_event_bar(self, ctx: Context, bar: EventBar) -> Signal | None:
        """Judge a bar that what was traded has ended. Nothing unless a strategy says otherwise."""
        return None


def clip(value: float) -> float:
    """``value`` held between -1 and 1; NaN becomes 0."""
    return max(-1.0, min(1.0, value)) if value == value else 0.0
