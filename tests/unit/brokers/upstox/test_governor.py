from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetui.brokers.upstox.governor import ORDER_WINDOWS, READ_WINDOWS, Governor, Lane, Window
from tradetui.domain.errors import RateLimited


class Time:
    """A clock that only sleepers move; ticks are milliseconds, so that sums are exact."""

    def __init__(self) -> None:
        self.now_ms = 0

    def now_s(self) -> float:
        return self.now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        until = self.now_ms + max(1, round(seconds * 1000))
        for _ in range(5):
            await asyncio.sleep(0)  # everybody who has come by now is heard before time moves
        self.now_ms = max(self.now_ms, until)


def governor(time: Time, windows: tuple[Window, ...] = ORDER_WINDOWS) -> Governor:
    return Governor(windows, now_s=time.now_s, sleep=time.sleep)


SMALL = (Window(1.0, 5, 3), Window(10.0, 12, 9), Window(60.0, 30, 24))


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.integers(0, 4000), st.sampled_from(list(Lane)), st.integers(1, 6)),
        min_size=1,
        max_size=25,
    )
)
def test_property_windows_none_is_ever_exceeded(script: list[tuple[int, Lane, int]]) -> None:
    time = Time()
    granted: list[tuple[int, Lane]] = []

    async def run() -> None:
        held = governor(time, SMALL)

        async def one(lane: Lane) -> None:
            await held.acquire("", lane)
            granted.append((time.now_ms, lane))

        for pause_ms, lane, burst in script:
            time.now_ms += pause_ms
            await asyncio.gather(*(one(lane) for _ in range(burst)))

    asyncio.run(run())
    assert len(granted) == sum(burst for _, _, burst in script)
    for window in SMALL:
        span = round(window.seconds * 1000)
        for index, (t_ms, lane) in enumerate(granted):
            inside = sum(1 for other, _ in granted[: index + 1] if t_ms - other < span)
            assert inside <= (window.limit if lane is Lane.EXIT else window.normal)


async def test_exits_get_the_reserve_when_ordinary_orders_used_theirs_up() -> None:
    time = Time()
    held = governor(time)
    for _ in range(8):
        await held.acquire()
    with pytest.raises(RateLimited, match="not sent"):
        await held.acquire(max_wait_s=0.5)
    await held.acquire(lane=Lane.EXIT, max_wait_s=0)
    await held.acquire(lane=Lane.EXIT, max_wait_s=0)
    with pytest.raises(RateLimited):
        await held.acquire(lane=Lane.EXIT, max_wait_s=0.5)
    assert time.now_ms == 0


async def test_an_exit_that_waits_goes_before_an_order_that_waits() -> None:
    time = Time()
    held = governor(time, (Window(1.0, 2, 2),))
    order: list[Lane] = []

    async def one(lane: Lane) -> None:
        await held.acquire(lane=lane)
        order.append(lane)

    await held.acquire()
    await held.acquire()
    waiting = [asyncio.ensure_future(one(Lane.NORMAL)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting += [asyncio.ensure_future(one(Lane.EXIT)) for _ in range(2)]
    await asyncio.gather(*waiting)
    assert order == [Lane.EXIT, Lane.EXIT, Lane.NORMAL, Lane.NORMAL]


async def test_a_refused_or_cancelled_wait_costs_nothing() -> None:
    time = Time()
    held = Governor((Window(1.0, 1, 1),), now_s=time.now_s)  # the real sleep, so that it can be cancelled
    await held.acquire()
    waiting = asyncio.ensure_future(held.acquire(lane=Lane.EXIT))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    time.now_ms = 1000
    await held.acquire(max_wait_s=0)
    assert held.used() == ((1, 1),)


async def test_reads_have_an_account_each_and_none_with_orders() -> None:
    time = Time()
    held = governor(time)
    for _ in range(50):
        await held.acquire("/book", max_wait_s=0)
    with pytest.raises(RateLimited):
        await held.acquire("/book", max_wait_s=0)
    await held.acquire("/funds", max_wait_s=0)
    await held.acquire(max_wait_s=0)
    assert [used for used, _ in held.used("/book")] == [50, 50, 50]
    assert [used for used, _ in held.used("/never")] == [0, 0, 0]
    assert [used for used, _ in held.used()] == [1, 1, 1]


def test_the_shipped_limits_are_the_brokers() -> None:
    assert [window.limit for window in ORDER_WINDOWS] == [10, 500, 2000]
    assert [window.limit for window in READ_WINDOWS] == [50, 500, 2000]
    assert ORDER_WINDOWS[0].normal == 8


async def test_what_need_not_wait_is_counted_at_once() -> None:
    held = governor(Time(), (Window(1.0, 3, 2),))
    assert [held.take_now() for _ in range(3)] == [True, True, False]
    assert [held.take_now(lane=Lane.EXIT) for _ in range(2)] == [True, False]
    assert held.used() == ((3, 3),)


async def test_what_comes_later_does_not_pass_those_who_wait() -> None:
    time = Time()
    held = governor(time, (Window(1.0, 2, 2),))
    await held.acquire()
    await held.acquire()
    waiting = asyncio.ensure_future(held.acquire())
    await asyncio.sleep(0)
    time.now_ms = 1500  # there is room again, and somebody was here first
    assert not held.take_now()
    assert held.take_now(lane=Lane.EXIT)
    await waiting
    assert held.used() == ((2, 2),)
