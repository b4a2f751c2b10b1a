"""Warm-up bars of every interval from what broker and store have: minutes folded up, days folded to weeks and months."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, cast

import numpy as np

from tests.unit.exchange.support import SHARE
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.clock import EventClock
from tradetui.domain.calendar import Calendar, Segment, day_start_ns, ns
from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.universe import Universe
from tradetui.storage.store import Store
from tradetui.wiring.history import HistoryLoader

CALENDAR = Calendar.default()
TODAY = date(2026, 11, 18)
"""A Wednesday."""
NOW_NS = ns(TODAY, "10:00")


class Broker:
    """Answers with a bar for every minute and day that was traded."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, date, date]] = []

    async def fetch(self, key: str, interval: str, first: date, last: date) -> list[Candle]:
        self.asked.append((interval, first, last))
        days = CALENDAR.trading_days(Segment.EQ_OTHER, first, last)
        if interval == "1d":
            starts = [day_start_ns(day) // 1_000_000 for day in days]
        else:
            starts = [
                at
                for day in days
                for at in range(ns(day, "09:15") // 1_000_000, ns(day, "15:15") // 1_000_000, 60_000)
            ]
        return [bar(INTERVALS[interval], at) for at in starts]


def bar(interval_s: int, at_ms: int) -> Candle:
    return Candle(-1, interval_s, at_ms, 100.0, 105.0, 95.0, 101.0, 10, source=BarSource.BROKER)


class Kept:
    """A store that holds what was put in."""

    def __init__(self) -> None:
        self.bars: list[Candle] = []

    def broker_bar_starts(self, instrument: Instrument, interval: str, first: date, last: date) -> Any:
        return np.zeros(0, np.int64)

    def merge_bars(self, instrument: Instrument, interval_s: int, bars: Sequence[Candle]) -> None:
        self.bars += bars

    def recent_bars(self, of: Instrument, interval: str, count: int, before_ms: int) -> list[Candle]:
        return [one for one in self.bars if one.start_ms < before_ms][-count:]


async def test_every_interval_is_warmed_from_minutes_and_days() -> None:
    universe = Universe()
    universe.add(SHARE)
    clock = EventClock(NOW_NS)
    loader = HistoryLoader(cast("UpstoxApi", object()), cast("Store", Kept()), CALENDAR, universe, clock)
    broker = Broker()
    loader._candles = broker  # type: ignore[assignment]
    events = await loader.load(SHARE)
    assert [event.interval_s for event in events] == list(INTERVALS.values())
    assert len(broker.asked) == 3, "past minutes, today's, and days"
    for event in events:
        assert {one.slot for one in event.candles} == {0}
        starts = [one.start_ms for one in event.candles]
        assert starts == sorted(set(starts))
    by = {event.interval_s: event.candles for event in events}
    assert by[60][-1].start_ms == ns(TODAY, "09:59") // 1_000_000
    assert by[180][-1].start_ms == ns(TODAY, "09:57") // 1_000_000
    assert by[1800][-1].start_ms == ns(TODAY, "09:15") // 1_000_000, "the half hour from 09:45 still forms"
    assert by[86_400][-1].start_ms == day_start_ns(TODAY - timedelta(days=1)) // 1_000_000
    week, month = by[INTERVALS["1w"]], by[INTERVALS["1M"]]
    assert week[-1].start_ms == day_start_ns(date(2026, 11, 9)) // 1_000_000, "the running week still forms"
    assert month[-1].start_ms == day_start_ns(date(2026, 10, 1)) // 1_000_000
    assert (len(week) >= 150, len(month) >= 35) == (True, True)
    assert week[-1].volume == 10 * len(
        CALENDAR.trading_days(Segment.EQ_OTHER, date(2026, 11, 9), date(2026, 11, 15))
    )
