from __future__ import annotations

import asyncio
from datetime import date

import pytest

from tradetui.domain.calendar import Calendar, CalendarUnknown, ns
from tradetui.domain.errors import UsageError
from tradetui.simulator.clock import SimClock, last_session_open_ns

S = 1_000_000_000


class Machine:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.t = 0

    def __call__(self) -> int:
        return self.t


def test_time_runs_at_the_given_pace() -> None:
    machine = Machine()
    clock = SimClock(1000 * S, speed=60.0, monotonic_ns=machine)
    machine.t = 2 * S
    assert clock.now_ns() == 1120 * S
    clock.set_speed(0.5)
    machine.t = 4 * S
    assert clock.now_ns() == 1121 * S


def test_a_pause_holds_and_resume_takes_the_old_pace_up() -> None:
    machine = Machine()
    clock = SimClock(0, speed=10.0, monotonic_ns=machine)
    machine.t = S
    clock.pause()
    machine.t = 5 * S
    assert clock.now_ns() == 10 * S
    clock.resume()
    machine.t = 6 * S
    assert clock.now_ns() == 20 * S


async def test_a_jump_wakes_those_it_passes_and_nobody_else() -> None:
    clock = SimClock(0, speed=0)
    early, late = asyncio.create_task(clock.wait_until(5 * S)), asyncio.create_task(clock.wait_until(50 * S))
    await asyncio.sleep(0)
    clock.jump(10 * S)
    await asyncio.wait_for(early, 1)
    assert clock.now_ns() == 10 * S
    assert not late.done()
    late.cancel()


async def test_a_jump_back_is_refused() -> None:
    clock = SimClock(10 * S, speed=0)
    with pytest.raises(UsageError, match="cannot go back"):
        clock.jump(9 * S)


async def test_a_change_of_speed_reaches_those_who_wait() -> None:
    clock = SimClock(0, speed=0.001)
    waiter = asyncio.create_task(clock.wait_until(100 * S))
    await asyncio.sleep(0)
    clock.set_speed(1e6)
    await asyncio.wait_for(waiter, 1)
    assert clock.now_ns() >= 100 * S


async def test_full_speed_passes_deadlines_in_order_on_the_way() -> None:
    clock = SimClock(0, speed=None)
    seen: list[tuple[str, int]] = []

    async def note(name: str, t_ns: int) -> None:
        await clock.wait_until(t_ns)
        seen.append((name, clock.now_ns()))

    tasks = [
        asyncio.create_task(note(name, t)) for name, t in (("b", 7200 * S), ("a", 3600 * S), ("c", 9999 * S))
    ]
    await asyncio.sleep(0)
    await clock.drive_to(8000 * S)
    assert seen == [("a", 3600 * S), ("b", 7200 * S)]
    assert clock.now_ns() == 8000 * S
    tasks[2].cancel()


async def test_full_speed_without_a_driver_still_wakes_a_waiter() -> None:
    clock = SimClock(0, speed=None)
    await asyncio.wait_for(clock.wait_until(S // 100), 1)
    assert clock.now_ns() == S // 100


async def test_full_speed_time_stands_still_between_events() -> None:
    machine = Machine()
    clock = SimClock(5 * S, speed=None, monotonic_ns=machine)
    machine.t = 100 * S
    assert clock.now_ns() == 5 * S


async def test_a_cancelled_waiter_is_forgotten() -> None:
    clock = SimClock(0, speed=None)
    waiter = asyncio.create_task(clock.wait_until(S))
    await asyncio.sleep(0)
    waiter.cancel()
    await clock.drive_to(2 * S)
    assert clock.now_ns() == 2 * S


@pytest.mark.parametrize("speed", [-1.0, float("nan"), 1e9])
def test_nonsense_speeds_are_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="not a speed"):
        SimClock(0, speed=speed)


@pytest.mark.parametrize(
    ("now", "open_day"),
    [
        ((date(2026, 11, 21), "15:43"), date(2026, 11, 20)),  # Saturday
        ((date(2026, 11, 24), "11:00"), date(2026, 11, 23)),  # holiday
        ((date(2026, 11, 23), "07:00"), date(2026, 11, 23)),  # before the open of a trading day
        ((date(2026, 11, 9), "10:00"), date(2026, 11, 9)),
        ((date(2026, 11, 8), "10:00"), date(2026, 11, 6)),  # Sunday, a ceremonial session of unknown hours
        ((date(2025, 10, 21), "14:00"), date(2025, 10, 20)),  # ceremonial hour on a weekday
    ],
)
def test_jump_to_open_finds_the_last_session(now: tuple[date, str], open_day: date) -> None:
    assert last_session_open_ns(Calendar.default(), ns(*now)) == ns(open_day, "09:15")


def test_jump_to_open_refuses_an_unknown_year() -> None:
    with pytest.raises(CalendarUnknown):
        last_session_open_ns(Calendar.default(), ns(date(2031, 1, 6), "10:00"))
