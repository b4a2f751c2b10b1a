"""Clocks: safe against steps, never backwards, moved by frames or by events."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.clock import EventClock, FollowedClock, WallClock, since_boot_ns

SECOND = 1_000_000_000


class Machine:
    """The machine's two clocks."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * SECOND
        self.steady = 5 * SECOND

    def run(self, seconds: float) -> None:
        self.wall += round(seconds * SECOND)
        self.steady += round(seconds * SECOND)


def test_setting_the_wall_clock_moves_nothing_and_a_sleep_counts() -> None:
    machine = Machine()
    clock = WallClock(lambda: machine.wall, lambda: machine.steady)
    start = clock.now_ns()
    assert start == machine.wall
    machine.run(10)
    assert clock.now_ns() - start == 10 * SECOND
    for step in (-7200, 7200, 1):
        before = clock.now_ns()
        machine.wall += step * SECOND
        assert clock.now_ns() == before
    machine.run(8 * 3600)  # the lid was shut for the night: the steady clock counts it
    assert clock.now_ns() - start == (10 + 8 * 3600) * SECOND


def test_the_steady_clock_only_runs_forward() -> None:
    readings = [since_boot_ns() for _ in range(1_000)]
    assert readings == sorted(readings)
    assert readings[0] > 0


async def test_sleeping_until_a_moment_that_is_past_returns_at_once() -> None:
    clock = WallClock()
    await clock.sleep_until(clock.now_ns() - SECOND)
    due = clock.now_ns() + SECOND // 50
    await clock.sleep_until(due)
    assert clock.now_ns() >= due


def test_a_followed_clock_stands_until_the_first_frame_then_goes_at_the_measured_rate() -> None:
    machine = Machine()
    clock = FollowedClock(100 * SECOND, 1.0, lambda: machine.steady)
    machine.run(50)
    assert clock.now_ns() == 100 * SECOND
    clock.observe(200_000)
    assert clock.now_ns() == 200 * SECOND
    machine.run(2)
    assert clock.now_ns() == 202 * SECOND
    for second in (220_000, 240_000, 260_000):  # twenty seconds in two, three times over: ten times
        assert clock.rate < 10.0
        clock.observe(second)
        machine.run(2)
    assert clock.rate == 10.0
    assert clock.now_ns() == 280 * SECOND


def test_one_bad_second_is_not_believed() -> None:
    machine = Machine()
    clock = FollowedClock(0, 5.0, lambda: machine.steady)
    for second in range(4):
        clock.observe(second * 5_000)
        machine.run(1)
    clock.observe(15_100)  # a snapshot after a short cut, with an old stamp
    machine.run(1)
    assert clock.rate == 5.0


def test_an_exchange_that_jumps_ahead_is_followed_at_once() -> None:
    machine = Machine()
    clock = FollowedClock(0, 1.0, lambda: machine.steady)
    clock.observe(1_000)
    clock.observe(90_000_000)
    assert clock.now_ns() == 90_000 * SECOND


def test_a_gap_and_the_old_stamps_after_it_are_no_rate() -> None:
    machine = Machine()
    clock = FollowedClock(0, 1.0, lambda: machine.steady)
    for second in range(100, 104):
        clock.observe(second * 1000)
        machine.run(1)
    machine.run(20)  # the feed is down
    assert clock.now_ns() == 124 * SECOND
    clock.observe(104_000)  # a snapshot with an old stamp
    machine.run(0.1)
    clock.observe(124_100)
    machine.run(1.5)
    assert clock.rate == 1.0
    assert clock.now_ns() == pytest.approx(125.6 * SECOND, abs=SECOND // 100)


@given(st.lists(st.tuples(st.integers(0, 10_000_000), st.floats(0, 5)), max_size=60))
def test_a_followed_clock_never_runs_backwards(frames: list[tuple[int, float]]) -> None:
    machine = Machine()
    clock = FollowedClock(0, 1.0, lambda: machine.steady)
    shown = []
    for server_ms, pause_s in frames:
        clock.observe(server_ms)
        shown.append(clock.now_ns())
        machine.run(pause_s)
        shown.append(clock.now_ns())
    assert shown == sorted(shown)


async def test_a_followed_sleeper_wakes_when_frames_carry_the_clock_on() -> None:
    machine = Machine()
    clock = FollowedClock(0, 1.0, lambda: machine.steady)
    clock.observe(1_000)
    waiter = asyncio.create_task(clock.sleep_until(60 * SECOND))
    await asyncio.sleep(0)
    assert not waiter.done()
    clock.observe(60_000)
    async with asyncio.timeout(10):
        await waiter


async def test_an_event_clock_is_moved_by_events_only() -> None:
    clock = EventClock(5)
    assert clock.now_ns() == 5
    waiters = [asyncio.create_task(clock.sleep_until(at)) for at in (7, 9)]
    await asyncio.sleep(0)
    clock.move(7)
    clock.move(6)
    assert clock.now_ns() == 7
    async with asyncio.timeout(10):
        await waiters[0]
    assert not waiters[1].done()
    clock.move(100)
    async with asyncio.timeout(10):
        await waiters[1]
