"""Seed and durations of the long tests, from the environment.

``TRADETUI_SEED`` repeats a run: a whole number. ``TRADETUI_LONG_S`` replaces the duration of each timed test,
in real seconds. Both are read when this is imported, because every test begins with a clean environment.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

SEED: int = int(os.environ.get("TRADETUI_SEED") or random.SystemRandom().randrange(2**31))
"""Seed of everything random in this run; printed at the end of it."""

_ASKED_S: float | None = float(os.environ["TRADETUI_LONG_S"]) if os.environ.get("TRADETUI_LONG_S") else None

FIGURES: list[str] = []
"""What the tests measured, one line each; printed at the end of the run."""

SLACK_S = 240.0
"""Allowed beyond a timed test's duration: starting, stopping, the last example, a busy machine."""


def seconds(usual: float) -> float:
    """Duration of a timed test: its usual one, or the one that was asked for."""
    return usual if _ASKED_S is None else _ASKED_S


def limit(usual: float) -> float:
    """Time-out of a test that runs for `seconds` of that."""
    return seconds(usual) + SLACK_S


def generator(name: str) -> random.Random:
    """A generator of one test's own, so that a test repeats whichever others run beside it."""
    return random.Random(f"{SEED}/{name}")


def rounds(duration_s: float) -> Iterator[int]:
    """0, 1, 2, ... until the time is up; at least one."""
    end_s = time.monotonic() + duration_s
    number = 0
    while not number or time.monotonic() < end_s:
        yield number
        number += 1


def figure(words: str) -> None:
    """Keep what was measured for the end of the run."""
    FIGURES.append(words)
    print(words)
