"""Figures of past days: from bars the broker was asked for, from stored ones, and from none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.unit.exchange.support import CALL, SHARE
from tradetui.clock import EventClock
from tradetui.domain.calendar import Calendar, day_start_ns, ns, segment_of
from tradetui.domain.errors import TransportError
from tradetui.domain.events import HistoryEvent, PastDaysEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.thawing import encode_event
from tradetui.market.universe import Universe
from tradetui.storage.recording import RecordingWriter, RecordKind
from tradetui.storage.store import Store
from tradetui.wiring.day_context import DayContext, stored_past_days
from tradetui.wiring.recordings import Recording
from tradetui.wiring.replay import _moments

TODAY = date(2026, 11, 20)
NOW_NS = ns(TODAY, "10:00")
CALENDAR = Calendar.default()
MINUTE = 60_000


def day_bar(day: date, high: float, low: float, oi: float = 0.0) -> Candle:
    return Candle(
        0, 86_400, day_start_ns(day) // 1_000_000, low, high, low, high, 1_000, oi, BarSource.BROKER
    )


def sessions_before(instrument: Instrument, count: int) -> list[date]:
    """The last trading days before today, newest first."""
    days: list[date] = []
    for _ in range(count):
        last = days[-1] if days else TODAY
        days.append(CALENDAR.previous_trading_day(segment_of(CALENDAR, instrument, TODAY), last))
    return days


def minutes_of(day: date, instrument: Instrument, volume: int) -> list[Candle]:
    """A session of minutes with the same volume in each."""
    start, end = CALENDAR.continuous(segment_of(CALENDAR, instrument, day), day) or (0, 0)
    return [
        Candle(0, 60, at, 1.0, 1.0, 1.0, 1.0, volume, 0.0, BarSource.BROKER)
        for at in range(start // 1_000_000, end // 1_000_000, MINUTE)
    ]


class Past:
    """A store, and what the broker answers."""

    def __init__(self, instrument: Instrument = SHARE) -> None:
        self.instrument = instrument
        self.universe = Universe()
        self.universe.add(CALL if instrument is SHARE else SHARE)
        self.universe.add(instrument)
        self.store = Store.in_memory([instrument])
        self.answer: Sequence[Candle] | None = ()

    def put(self, interval_s: int, bars: Sequence[Candle]) -> None:
        self.store.merge_bars(self.instrument, interval_s, bars)

    async def bars(self, instrument: Instrument) -> list[HistoryEvent]:
        if self.answer is None:
            raise TransportError("nobody answers")
        return [HistoryEvent(NOW_NS, 1, 86_400, tuple(self.answer))] if self.answer else []

    async def load(self) -> list[HistoryEvent | PastDaysEvent]:
        context = DayContext(self.bars, self.store, CALENDAR, self.universe, EventClock(NOW_NS))
        return await context.load(self.instrument)


@pytest.fixture
def past() -> Iterator[Past]:
    past = Past()
    yield past
    past.store.close()


async def test_the_year_is_52_weeks_without_today(past: Past) -> None:
    first = TODAY - timedelta(weeks=52)
    past.answer = [
        day_bar(first - timedelta(days=1), 900.0, 1.0),
        day_bar(first, 150.0, 90.0),
        day_bar(TODAY - timedelta(days=30), 140.0, 80.0),
        day_bar(TODAY, 999.0, 2.0),
    ]
    history, event = await past.load()
    assert isinstance(history, HistoryEvent)
    assert isinstance(event, PastDaysEvent)
    assert (event.slot, event.t_ns) == (1, NOW_NS)
    assert (event.high_rupees, event.low_rupees) == (150.0, 80.0)
    assert event.volume_by_minute == ()


async def test_asked_bars_go_before_stored_ones_and_both_count(past: Past) -> None:
    old, new = TODAY - timedelta(days=100), TODAY - timedelta(days=50)
    past.put(86_400, [day_bar(old, 200.0, 100.0), day_bar(new, 500.0, 100.0)])
    # The stored bar of the second day is from before a split.
    past.answer = [day_bar(new, 250.0, 50.0)]
    event = (await past.load())[-1]
    assert isinstance(event, PastDaysEvent)
    assert (event.high_rupees, event.low_rupees) == (250.0, 50.0)


async def test_open_interest_is_that_of_the_last_session_or_none() -> None:
    past = Past(CALL)
    last, before = sessions_before(CALL, 2)
    past.answer = [day_bar(before, 12.0, 9.0, 400.0), day_bar(last, 12.0, 9.0, 500.0)]
    assert (await past.load())[-1].oi == 500.0  # type: ignore[union-attr]
    past.answer = past.answer[:1]
    assert (await past.load())[-1].oi == 0.0  # type: ignore[union-attr]
    past.store.close()


async def test_the_usual_volume_needs_three_stored_sessions(past: Past) -> None:
    days = sessions_before(SHARE, 3)
    for day, volume in zip(days[:2], (10, 20), strict=True):
        past.put(60, minutes_of(day, SHARE, volume))
    assert await past.load() == []
    past.put(60, minutes_of(days[2], SHARE, 60))
    past.put(60, minutes_of(TODAY, SHARE, 100_000)[:30])
    (event,) = await past.load()
    assert isinstance(event, PastDaysEvent)
    assert event.volume_by_minute[:3] == (30.0, 60.0, 90.0)
    start, end = CALENDAR.continuous(segment_of(CALENDAR, SHARE, TODAY), TODAY) or (0, 0)
    assert len(event.volume_by_minute) == (end - start) // (MINUTE * 1_000_000)
    assert event.high_rupees == 0.0


async def test_stored_figures_come_though_nobody_answers(
    past: Past, caplog: pytest.LogCaptureFixture
) -> None:
    past.put(86_400, [day_bar(TODAY - timedelta(days=3), 120.0, 110.0)])
    past.answer = None
    (event,) = await past.load()
    assert isinstance(event, PastDaysEvent)
    assert event.high_rupees == 120.0
    assert "no history for RELIANCE: nobody answers" in caplog.text


async def test_nothing_known_is_no_event(past: Past) -> None:
    assert await past.load() == []
    past.answer = [replace(day_bar(TODAY - timedelta(days=3), 0.0, 0.0))]
    assert [type(event) for event in await past.load()] == [HistoryEvent]


def test_a_replay_reads_what_an_account_has_stored(tmp_path: Path) -> None:
    folder = tmp_path / "accounts" / "paper-x"
    folder.mkdir(parents=True)

    opened = Store.open(folder, [SHARE])
    opened.merge_bars(SHARE, 86_400, [day_bar(TODAY - timedelta(days=3), 120.0, 110.0)])
    opened.close()
    (event,) = stored_past_days(tmp_path, "paper-x", [CALL, SHARE], NOW_NS)
    assert (event.slot, event.high_rupees, event.low_rupees) == (1, 120.0, 110.0)
    assert stored_past_days(tmp_path / "elsewhere", "paper-x", [SHARE], NOW_NS) == []


def test_a_recorded_runs_figures_come_under_the_slots_of_the_replay(tmp_path: Path) -> None:
    """A replay may give out slots in another order than the run that was recorded."""
    path = tmp_path / "day.inbox.zst"
    told = PastDaysEvent(NOW_NS, 0, 120.0, 80.0, 7.0, (1.0, 2.0))
    writer = RecordingWriter(path)
    writer.put(RecordKind.EVENT, NOW_NS, encode_event(told))
    writer.close()
    universe = Universe()
    universe.add(CALL)
    universe.add(SHARE)
    recording = Recording(path, "run", TODAY, "paper", "x", {}, (SHARE,), writer.totals, whole=True)
    assert [what for _, what in _moments([recording], universe)] == [replace(told, slot=1)]
