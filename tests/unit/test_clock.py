"""The machine's clock, when somebody moves it."""

from __future__ import annotations

import pytest

from tradetui.clock import WallClock, since_boot_ns

HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize("step_ns", [-2 * HOUR_NS, 2 * HOUR_NS])
def test_f9_a_step_of_the_wall_clock_moves_no_timer(step_ns: int) -> None:
    wall, passed = [10 * HOUR_NS], [5]
    clock = WallClock(lambda: wall[0], lambda: passed[0])
    wall[0] += step_ns
    passed[0] += 7
    assert clock.now_ns() == 10 * HOUR_NS + 7


def test_the_clock_behind_it_only_runs_forward() -> None:
    seen = [since_boot_ns() for _ in range(100)]
    assert seen == sorted(seen)
    assert seen[0] > 0
