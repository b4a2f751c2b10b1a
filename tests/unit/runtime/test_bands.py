"""Price bands are asked for at the start, for new instruments, and again after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest

from tests.unit.exchange.support import CALL, INDEX, SHARE
from tradetui.clock import EventClock
from tradetui.domain.calendar import ns
from tradetui.domain.errors import TransportError
from tradetui.domain.events import BandsEvent, DayBand, Event
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.runtime import bands

NOON_NS = ns(date(2026, 11, 20), "12:00")
NEXT_NS = ns(date(2026, 11, 23), "09:00")


def band(key: str) -> DayBand:
    return DayBand(key, Price(1), Price(2))


class Broker:
    """Answers, and lets a test act after each question and each look."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.fails = 0
        self.more = asyncio.Event()

    async def read(self, keys: Sequence[str]) -> list[DayBand]:
        self.asked.append(tuple(keys))
        self.more.set()
        if self.fails:
            self.fails -= 1
            raise TransportError("no route")
        return [band(key) for key in keys]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.asked) < count:
                self.more.clear()
                await self.more.wait()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(bands, "RETRY_S", 0.0)


async def test_every_tradable_instrument_is_asked_for_and_a_new_one_soon() -> None:
    broker, taken = Broker(), list[Event]()
    watched: list[Instrument] = [SHARE, INDEX]
    looks = 0
    seen_twice = asyncio.Event()

    def now() -> list[Instrument]:
        nonlocal looks
        looks += 1
        if looks == 4:
            seen_twice.set()
        return watched

    task = asyncio.create_task(bands.keep_bands(broker.read, now, EventClock(NOON_NS), taken.append))
    async with asyncio.timeout(30):
        await seen_twice.wait()
    assert broker.asked == [(SHARE.key,)]  # looked again, and not asked again
    watched.append(CALL)
    await broker.until(2)
    task.cancel()
    assert broker.asked[1] == (SHARE.key, CALL.key)
    assert taken[0] == BandsEvent(NOON_NS, (band(SHARE.key),))


async def test_bands_are_read_again_after_a_while_and_on_a_new_day(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, taken, clock = Broker(), list[Event](), EventClock(NOON_NS)
    task = asyncio.create_task(bands.keep_bands(broker.read, lambda: [SHARE], clock, taken.append))
    await broker.until(1)
    clock.move(NEXT_NS)
    await broker.until(2)
    monkeypatch.setattr(bands, "READ_EVERY_S", 0.0)
    await broker.until(4)
    task.cancel()
    assert [event.t_ns for event in taken[:2]] == [NOON_NS, NEXT_NS]


async def test_a_reading_that_fails_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    broker, taken = Broker(), asyncio.Queue[Event]()
    broker.fails = 3
    task = asyncio.create_task(
        bands.keep_bands(broker.read, lambda: [SHARE], EventClock(NOON_NS), taken.put_nowait)
    )
    await broker.until(4)
    assert isinstance(await asyncio.wait_for(taken.get(), 30), BandsEvent)
    task.cancel()
    assert [record.getMessage() for record in caplog.records] == [
        "the price bands of the day could not be read: no route"
    ]
