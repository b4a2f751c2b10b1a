"""How a position is to be left: stop, target, trail, time. Kept per position, given back after a restart.

One part of it rests at the broker: the stop. The rest is watched by us, and takes the stop's place when it
strikes (`desk/protection.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradetui.domain.money import Price


class TrailKind(StrEnum):
    """How far behind the best price a trailing stop follows."""

    POINTS = "points"
    """A fixed distance."""
    PERCENT = "percent"
    """A share of the best price since the trail began."""
    ATR = "atr"
    """A multiple of the average true range (Wilder, 14 bars), behind the best price."""
    CHANDELIER = "chandelier"
    """A multiple of the ATR over 22 bars, behind the highest high (lowest low) of those bars (Chuck LeBeau)."""


@dataclass(frozen=True, slots=True)
class Trail:
    """A trailing stop.

    Attributes:
        kind: What the distance is measured in.
        by: POINTS: 1/10,000 rupee; PERCENT: hundredths of a percent; ATR, CHANDELIER: hundredths of the multiple.
    """

    kind: TrailKind
    by: int


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """What shall close a position.

    Attributes:
        stop: Trigger of the protective order that rests at the broker; 0 for none.
        target: Price at which the profit is taken; 0 for none.
        trail: How the stop follows the price; ``None`` for a fixed one.
        time_exit_s: Second of the day, IST, at which the position is closed; 0 for none.
        overnight: The stop shall outlive the day: it rests as a GTT.
    """

    stop: Price = Price(0)
    target: Price = Price(0)
    trail: Trail | None = None
    time_exit_s: int = 0
    overnight: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing would ever close the position."""
        return not (self.stop or self.target or self.trail or self.time_exit_s)
