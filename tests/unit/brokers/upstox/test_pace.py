"""The ceiling on order writes where the bytes leave."""

from __future__ import annotations

import threading
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tradetui.brokers.upstox.pace import MOST, WINDOW_S, Pace


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@given(st.lists(st.floats(0, 2, allow_nan=False), max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_and_nothing_waits_without_need(gaps: list[float], most: int) -> None:
    world = Time()
    pace = Pace(most, 1.0, now_s=world.now_s, sleep=world.sleep)
    passed: list[float] = []
    for gap in gaps:
        world.now += gap
        before = len(world.slept)
        asked = world.now
        pace.wait()
        passed.append(world.now)
        if len(world.slept) > before:
            assert asked - passed[-1 - most] < 1.0, "it would have been one too many"
    for at in range(most, len(passed)):
        assert passed[at] - passed[at - most] >= 1.0 - 1e-9


def test_threads_that_come_together_leave_in_pace() -> None:
    pace, left = Pace(3, 0.05), list[float]()
    ready = threading.Barrier(9)

    def send() -> None:
        ready.wait()
        pace.wait()
        left.append(time.monotonic())

    threads = [threading.Thread(target=send) for _ in range(9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Counter(pace._passed).total() == 3, "the newest window"
    assert max(left) - min(left) >= 0.1, "nine in three windows"


def test_the_ceiling_is_the_brokers_and_the_window_a_little_longer_than_its_second() -> None:
    assert (MOST, WINDOW_S > 1.0) == (10, True)
