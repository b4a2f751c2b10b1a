"""Steering a replay of a past day: what can be asked, as it is typed, and what is shown of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tradetui.domain.calendar.ist import day_start_ns, ist_date

MAX_SPEED: Final = 100_000.0
"""Times real time; beyond that say ``max``."""
STEPS: Final = ("frame", "second", "minute")
USAGE: Final = (
    "replay pause, resume, step [frame|second|minute], jump HH:MM[:SS], speed N|max, faster, slower, status"
)
_CLOCK: Final = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$")


class Act(StrEnum):
    """What a replay can be asked to do."""

    PAUSE = "pause"
    RESUME = "resume"
    TOGGLE = "toggle"
    """Pause, or go on."""
    STEP = "step"
    JUMP = "jump"
    SPEED = "speed"
    FASTER = "faster"
    SLOWER = "slower"
    STATUS = "status"
    """Say where it stands; changes nothing."""


@dataclass(frozen=True, slots=True)
class Steer:
    """One thing asked of a replay.

    Attributes:
        act: What.
        step: How far a step goes: ``frame``, ``second`` or ``minute``.
        clock_s: Second of the day, IST, to jump to.
        speed: Times real time; 0 for as fast as it goes.
    """

    act: Act
    step: str = "frame"
    clock_s: int = 0
    speed: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplayView:
    """How a replay stands, for screens and commands. Times are exchange time, UTC ns.

    Attributes:
        name: Of the recording.
        first_ns, last_ns: First and last frame.
        at_ns: What was played last; 0 before anything.
        speed: Times real time; 0 for as fast as it goes.
        paused: Stands still until asked.
        to_ns: It runs at full speed to there: a jump, or the way to ``--from``; 0 when it does not.
        ended: Everything has been played.
    """

    name: str
    first_ns: int
    last_ns: int
    at_ns: int = 0
    speed: float = 1.0
    paused: bool = False
    to_ns: int = 0
    ended: bool = False

    def refuses(self, steer: Steer) -> str:
        """Why something cannot be done as it stands; empty when it can."""
        if steer.act is Act.STATUS:
            return ""
        if self.ended:
            return "the recording has ended: start the replay again to see more"
        if steer.act is not Act.JUMP:
            return ""
        clock = f"{steer.clock_s // 3600:02d}:{steer.clock_s // 60 % 60:02d}"
        target_ns = self.moment_ns(steer.clock_s)
        if target_ns <= self.at_ns:
            return (
                f"{clock} lies behind, and what was traded since cannot be undone: "
                f"start the replay again with --from {clock}"
            )
        return f"{clock} is after the end of the recording" if target_ns > self.last_ns else ""

    def moment_ns(self, clock_s: int) -> int:
        """A time of day (IST) of the recorded day, UTC ns."""
        return day_start_ns(ist_date(self.first_ns)) + clock_s * 1_000_000_000

    @property
    def words(self) -> str:
        """How it goes, in a word or two: ``10x``, ``max``, ``PAUSED``, ``jumping``, ``ended``."""
        if self.ended:
            return "ended"
        if self.to_ns:
            return "jumping"
        return "PAUSED" if self.paused else speed_words(self.speed)


def speed_words(speed: float) -> str:
    """``10x``, or ``max``."""
    return f"{speed:g}x" if speed else "max"


def clock_seconds(text: str) -> int | None:
    """Second of the day in ``10:05`` or ``10:05:30``; ``None`` when it is no time of day."""
    found = _CLOCK.match(text.strip())
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


def speed_of(text: str) -> float | None:
    """Times real time in ``10``, ``2.5x`` or ``max`` (0); ``None`` when it is none, or out of bounds."""
    word = text.strip().lower()
    if word == "max":
        return 0.0
    try:
        value = float(word.removesuffix("x"))
    except ValueError:
        return None
    return value if 0.01 <= value <= MAX_SPEED else None


def steer_of(words: Sequence[str]) -> Steer | str:
    """What typed words ask of a replay, or what is wrong with them."""
    given = [word.lower() for word in words]
    name, rest = (given[0], given[1:]) if given else ("", [])
    if name in (Act.PAUSE, Act.RESUME, Act.TOGGLE, Act.FASTER, Act.SLOWER, Act.STATUS) and not rest:
        return Steer(Act(name))
    if name == Act.STEP and len(rest) <= 1:
        step = rest[0] if rest else "frame"
        return Steer(Act.STEP, step=step) if step in STEPS else f"step {' or '.join(STEPS)}"
    if name == Act.JUMP and len(rest) == 1:
        clock_s = clock_seconds(rest[0])
        return f"{rest[0]} is no time such as 10:05" if clock_s is None else Steer(Act.JUMP, clock_s=clock_s)
    if name == Act.SPEED and len(rest) == 1:
        speed = speed_of(rest[0])
        words_ = f"speed from 0.01 to {MAX_SPEED:,.0f}, or max"
        return words_ if speed is None else Steer(Act.SPEED, speed=speed)
    return USAGE
