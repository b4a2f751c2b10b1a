"""The governor across lanes, cancellations, restarts and processes: no window is ever exceeded."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetui.brokers.upstox.governor import ORDER_WINDOWS, PAUSE_S, Governor, Lane, Window
from tradetui.domain.errors import RateLimited

SMALL = (Window(1.0, 5, 3), Window(10.0, 12, 9), Window(60.0, 30, 24))
NS_PER_MS = 1_000_000


class World:
    """Real time in ms that only sleepers move; each process has its own monotonic origin, the wall may be set."""

    def __init__(self, wall_ms: int = 1_765_770_300_000) -> None:
        self.now_ms = 0
        self.wall_ms = wall_ms
        """Wall clock at ``now_ms`` 0."""

    def governor(self, folder: Path, windows: tuple[Window, ...] = SMALL, origin_ms: int = 0) -> Governor:
        return Governor(
            windows,
            now_s=lambda: (self.now_ms + origin_ms) / 1000,
            sleep=self.sleep,
            folder=folder,
            wall_ns=lambda: (self.wall_ms + self.now_ms) * NS_PER_MS,
        )

    async def sleep(self, seconds: float) -> None:
        until = self.now_ms + max(1, round(seconds * 1000))
        for _ in range(5):
            await asyncio.sleep(0)
        self.now_ms = max(self.now_ms, until)


steps = st.lists(
    st.tuples(
        st.integers(0, 4000),  # pause before, ms
        st.sampled_from(list(Lane)),
        st.integers(1, 4),  # how many at once
        st.integers(1, 3),  # weight
        st.sampled_from(["", "cancel", "restart", "other process"]),
        st.integers(0, 10**9),  # monotonic origin of a new process, ms
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 4_000_000_000_000))
def test_property_windows_are_never_exceeded_under_restarts_cancels_and_two_processes(
    script: list[tuple[int, Lane, int, int, str, int]], wall_ms: int
) -> None:
    world = World(wall_ms)
    granted: list[tuple[int, Lane, int]] = []

    async def one(held: Governor, lane: Lane, weight: int) -> None:
        await held.acquire("", lane, weight=min(weight, 1 if lane is Lane.TRAIL else 3))
        granted.append((world.now_ms, lane, min(weight, 1 if lane is Lane.TRAIL else 3)))

    async def run(folder: Path) -> None:
        first, second = world.governor(folder), world.governor(folder, origin_ms=77)
        for pause_ms, lane, burst, weight, what, origin in script:
            world.now_ms += pause_ms
            if what == "restart":
                first.close()
                first = world.governor(folder, origin_ms=origin)
            held = second if what == "other process" else first
            tasks = [asyncio.ensure_future(one(held, lane, weight)) for _ in range(burst)]
            tasks += [asyncio.ensure_future(one(second, Lane.EXIT, 1))]
            if what == "cancel":
                await asyncio.sleep(0)
                tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        first.close()
        second.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
    for window in SMALL:
        span = round(window.seconds * 1000)
        for index, (t_ms, lane, _) in enumerate(granted):
            inside = sum(w for other, _, w in granted[: index + 1] if t_ms - other < span)
            assert inside <= window.allowed(lane)


async def test_what_was_used_before_a_restart_counts_after_it(tmp_path: Path) -> None:
    world = World()
    before = world.governor(tmp_path, ORDER_WINDOWS)
    for _ in range(8):
        await before.acquire()
    world.now_ms += 500  # killed, and started again: nothing is closed
    after = world.governor(tmp_path, ORDER_WINDOWS, origin_ms=123_456)
    assert after.used() == ((8, 10), (8, 500), (8, 2000))
    with pytest.raises(RateLimited, match="not sent"):
        await after.acquire(max_wait_s=0.2)
    await after.acquire(lane=Lane.EXIT, max_wait_s=0)
    world.now_ms += 30 * 60_000
    assert world.governor(tmp_path, ORDER_WINDOWS).used() == ((0, 10), (0, 500), (0, 2000))


async def test_a_wall_clock_set_back_between_runs_frees_nothing(tmp_path: Path) -> None:
    world = World()
    for _ in range(8):
        await world.governor(tmp_path, ORDER_WINDOWS).acquire()
    world.wall_ms -= 3_600_000
    again = world.governor(tmp_path, ORDER_WINDOWS, origin_ms=5)
    assert again.used()[0] == (8, 10)
    world.now_ms += 1200
    assert again.used()[0] == (0, 10)  # and blocks nothing for longer than the window


async def test_a_wall_clock_set_while_running_changes_nothing(tmp_path: Path) -> None:
    world = World()
    held = world.governor(tmp_path, ORDER_WINDOWS)
    for _ in range(8):
        await held.acquire()
    for jump_ms in (3_600_000, -9_000_000):
        world.wall_ms += jump_ms
        with pytest.raises(RateLimited):
            await held.acquire(max_wait_s=0)
    world.now_ms += 1100
    await held.acquire(max_wait_s=0)


def test_a_killed_process_leaves_its_requests_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from tradetui.brokers.upstox.governor import Governor\n"
        "held = Governor(folder=Path(sys.argv[1]))\n"
        "async def go():\n"
        "    for _ in range(7): await held.acquire()\n"
        "asyncio.run(go()); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert Governor(folder=tmp_path).used()[1] == (7, 500)


async def test_first_come_first_served_inside_a_lane() -> None:
    world = World()
    held = Governor(SMALL, now_s=lambda: world.now_ms / 1000, sleep=world.sleep)
    for _ in range(3):
        await held.acquire()
    order: list[str] = []

    async def one(name: str, lane: Lane) -> None:
        await held.acquire(lane=lane)
        order.append(name)

    waiting = [asyncio.ensure_future(one(name, Lane.NORMAL)) for name in "abc"]
    await asyncio.sleep(0)
    world.now_ms += 1000  # room for three, and a newcomer asks before the sleepers wake
    waiting.append(asyncio.ensure_future(one("late", Lane.NORMAL)))
    await asyncio.gather(*waiting)
    assert order == ["a", "b", "c", "late"]


async def test_trailing_steps_yield_to_everything_and_use_half() -> None:
    world = World()
    held = Governor(ORDER_WINDOWS, now_s=lambda: world.now_ms / 1000, sleep=world.sleep)
    for _ in range(4):
        await held.acquire(lane=Lane.TRAIL, max_wait_s=0)
    with pytest.raises(RateLimited):
        await held.acquire(lane=Lane.TRAIL, max_wait_s=0.5)
    for _ in range(4):
        await held.acquire(max_wait_s=0)
    order: list[Lane] = []

    async def one(lane: Lane) -> None:
        await held.acquire(lane=lane)
        order.append(lane)

    waiting = [asyncio.ensure_future(one(lane)) for lane in (Lane.TRAIL, Lane.NORMAL)]
    await asyncio.gather(*waiting)
    assert order == [Lane.NORMAL, Lane.TRAIL]


async def test_a_multi_order_counts_each_line_and_too_many_never_fit() -> None:
    held = Governor()
    await held.acquire(weight=6)
    with pytest.raises(RateLimited):
        await held.acquire(weight=3, max_wait_s=0)
    await held.acquire(weight=2, max_wait_s=0)
    with pytest.raises(RateLimited, match="9 orders at once"):
        await held.acquire(weight=9)
    assert held.used()[0] == (8, 10)


async def test_after_a_429_ordinary_orders_pause_and_exits_go_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    held = world.governor(tmp_path, ORDER_WINDOWS)
    await held.acquire()
    with caplog.at_level(logging.WARNING):
        assert held.refused() == PAUSE_S
    assert "pause for 30 s, exits and cancels go one a second" in caplog.text
    with pytest.raises(RateLimited, match="too fast"):
        await held.acquire(max_wait_s=5)
    world.now_ms += 1100
    await held.acquire(lane=Lane.EXIT, max_wait_s=0)
    with pytest.raises(RateLimited):
        await held.acquire(lane=Lane.EXIT, max_wait_s=0)
    world.now_ms += 1100
    await held.acquire(lane=Lane.EXIT, max_wait_s=0)
    # Another process, and this one after a restart, keep to it too.
    assert world.governor(tmp_path, ORDER_WINDOWS, origin_ms=9).budget().pause_s == pytest.approx(27.8)
    assert held.refused() < PAUSE_S  # the same burst counts once
    world.now_ms += 30_000
    await held.acquire(max_wait_s=0)
    assert held.refused() == 2 * PAUSE_S


async def test_the_budget_says_what_is_used_kept_and_waited_for() -> None:
    world = World()
    held = Governor(ORDER_WINDOWS, now_s=lambda: world.now_ms / 1000, sleep=asyncio.sleep)
    for _ in range(8):
        await held.acquire()
    waiting = asyncio.ensure_future(held.acquire())
    await asyncio.sleep(0)
    budget = held.budget()
    assert [(one.used, one.allowed, one.reserve) for one in budget.windows] == [
        (8, 8, 2), (8, 480, 20), (8, 1900, 100),
    ]  # fmt: skip
    assert budget.waiting == (0, 1, 0)
    assert budget.next_slot_s == pytest.approx(1.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert held.budget().waiting == (0, 0, 0)
    await held.acquire("/book")
    assert [one.account for one in held.budgets()] == ["", "/book"]


async def test_a_damaged_or_unwritable_file_is_said_and_counting_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "orders.spent").write_bytes(b"something else")
    held = Governor(folder=tmp_path)
    assert "begins anew" in caplog.text
    await held.acquire()
    assert Governor(folder=tmp_path).used()[0] == (1, 10)
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    alone = Governor(folder=blocked / "folder")
    assert "by this process alone" in caplog.text
    for _ in range(8):
        await alone.acquire()
    with pytest.raises(RateLimited):
        await alone.acquire(max_wait_s=0)
