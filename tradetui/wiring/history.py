"""Bars from before now: what the store has, completed by the broker's candle endpoint."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import date, timedelta
from typing import Final

from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.candles import CandleClient
from tradetui.domain.calendar import Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import HistoryEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import Candle
from tradetui.market.periods import PERIODS, fold_days, start_ms_of
from tradetui.market.universe import Universe
from tradetui.market.warmup import fold_minutes
from tradetui.ports import Clock
from tradetui.storage.store import Store

log = logging.getLogger(__name__)

SESSIONS: Final = 5
"""Past sessions of minutes: 375 x 5 minutes warm a one-hour indicator of 26 bars."""
DAYS: Final = 3 * 365
"""Calendar days of daily bars: 36 months and 156 weeks, one request."""
_DAY_S: Final = 86_400
_FOLDED: Final = tuple(seconds for seconds in INTERVALS.values() if 60 < seconds < _DAY_S)
_MS: Final = 1_000_000


class HistoryLoader:
    """Loads warm-up bars of one instrument: minutes, the intervals folded from them, and days.

    Args:
        api: REST, for what the store lacks.
        store: Where bars are kept; new ones are put in.
        calendar: Sessions.
        universe: Slots of this run.
        clock: Engine time.
    """

    def __init__(
        self, api: UpstoxApi, store: Store, calendar: Calendar, universe: Universe, clock: Clock
    ) -> None:
        self._candles = CandleClient(api, clock.now_ns)
        self._store = store
        self._calendar = calendar
        self._universe = universe
        self._clock = clock

    async def load(self, instrument: Instrument) -> list[HistoryEvent]:
        """History events of one instrument, shortest interval first; empty where nothing is known.

        Raises:
            TradeTuiError: The broker cannot be asked.
        """
        slot = self._universe.slots[instrument.key]
        now_ns = self._clock.now_ns()
        today = ist_date(now_ns)
        first = self._sessions_ago(instrument, today)
        minutes = await self._past_minutes(instrument, first, today - timedelta(days=1))
        minutes += await self._candles.fetch(instrument.key, "1m", today, today)
        minutes = [_at(bar, slot) for bar in minutes if bar.start_ms + 60_000 <= now_ns // _MS]
        days = await self._candles.fetch(
            instrument.key, "1d", today - timedelta(days=DAYS), today - timedelta(days=1)
        )
        events = [self._event(slot, 60, minutes, now_ns)]
        for interval_s in _FOLDED:
            folded = fold_minutes(minutes, interval_s, lambda day: self._start_ms(instrument, day))
            done = [bar for bar in folded if bar.start_ms + interval_s * 1000 <= now_ns // _MS]
            events.append(self._event(slot, interval_s, done, now_ns))
        days = [_at(bar, slot) for bar in days]
        events.append(self._event(slot, _DAY_S, days, now_ns))
        for interval_s in PERIODS:
            # The running week is made of its days when it ends; it is not history yet.
            running_ms = start_ms_of(today, interval_s)
            past = [bar for bar in fold_days(days, interval_s) if bar.start_ms < running_ms]
            events.append(self._event(slot, interval_s, past, now_ns))
        return [event for event in events if event.candles]

    async def _past_minutes(self, instrument: Instrument, first: date, last: date) -> list[Candle]:
        """Minutes of past sessions: stored ones first; the broker is asked for sessions that lack some."""
        store, key = self._store, instrument.key
        starts = await asyncio.to_thread(store.broker_bar_starts, instrument, "1m", first, last)
        stored = Counter(ist_date(int(ms) * _MS) for ms in starts)
        lacking = [
            day
            for day in self._sessions(instrument, first, last)
            if stored[day] < self._minutes_of(instrument, day)
        ]
        if lacking:
            fetched = await self._candles.fetch(key, "1m", lacking[0], lacking[-1])
            if fetched:
                await asyncio.to_thread(store.merge_bars, instrument, 60, fetched)
        frame_from = day_start_ns(first) // _MS
        bars = await asyncio.to_thread(
            store.recent_bars,
            instrument,
            "1m",
            (SESSIONS + 1) * 400,
            day_start_ns(last + timedelta(days=1)) // _MS,
        )
        return [bar for bar in bars if bar.start_ms >= frame_from]

    def _sessions(self, instrument: Instrument, first: date, last: date) -> tuple[date, ...]:
        try:
            return self._calendar.trading_days(segment_of(self._calendar, instrument, last), first, last)
        except CalendarUnknown:
            return (first, last)

    def _minutes_of(self, instrument: Instrument, day: date) -> int:
        try:
            return self._calendar.expected_minutes(segment_of(self._calendar, instrument, day), day)
        except (CalendarUnknown, ValueError):
            return 1

    def _sessions_ago(self, instrument: Instrument, today: date) -> date:
        segment = segment_of(self._calendar, instrument, today)
        day = today
        try:
            for _ in range(SESSIONS):
                day = self._calendar.previous_trading_day(segment, day)
        except CalendarUnknown:
            log.info("the calendar does not reach back %d sessions from %s", SESSIONS, today)
        return day

    def _start_ms(self, instrument: Instrument, day: date) -> int | None:
        try:
            hours = self._calendar.continuous(segment_of(self._calendar, instrument, day), day)
        except (CalendarUnknown, ValueError):
            return None
        return hours[0] // _MS if hours else None

    @staticmethod
    def _event(slot: int, interval_s: int, bars: list[Candle], now_ns: int) -> HistoryEvent:
        return HistoryEvent(now_ns, slot, interval_s, tuple(bars))


def _at(bar: Candle, slot: int) -> Candle:
    return Candle(
        slot,
        bar.interval_s,
        bar.start_ms,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.oi,
        bar.source,
    )
