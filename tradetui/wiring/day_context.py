"""What past sessions came to, for the measures that compare with them: read from stored bars, asked for where none are.

Yearly high and low and the last open interest come from daily bars, the usual course of the volume from minutes.
It happens where indicators are warmed up, and reaches the engine as an event, so that a recording has it too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tradetui.domain.calendar import Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown, TradeTuiError
from tradetui.domain.events import HistoryEvent, PastDaysEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.market.relative_volume import usual_volume
from tradetui.market.universe import Universe
from tradetui.ports import Clock
from tradetui.storage import reads
from tradetui.storage.store import Store
from tradetui.wiring.past_bars import market_files, reading

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)

WEEKS: Final = 52
SESSIONS: Final = 20
"""Past sessions that the usual volume is the mean of, at most; it needs three."""
_HOLIDAYS: Final = 15
"""Days beyond two for each session in which that many sessions are found."""
_WEEK: Final = timedelta(weeks=1)
_DAY_S: Final = 86_400
_MS: Final = 1_000_000

Read = Callable[[str, int, int], "pl.DataFrame"]
"""Stored bars of one instrument: interval, from and up to but without a moment in epoch ms."""
Load = Callable[[Instrument], Awaitable[list[HistoryEvent]]]
"""Warm-up bars of one instrument."""


class Day(NamedTuple):
    """A daily bar: its date, range in rupees, and open interest at its end, units."""

    session: date
    high: float
    low: float
    oi: float


class DayContext:
    """Warm-up that brings the past's figures along with the bars.

    Args:
        load: Loads the bars; its daily ones serve here too.
        store: Stored bars.
        calendar: Sessions.
        universe: Slots of this run.
        clock: Engine time.
    """

    def __init__(
        self, load: Load, store: Store, calendar: Calendar, universe: Universe, clock: Clock
    ) -> None:
        self._load = load
        self._store = store
        self._calendar = calendar
        self._universe = universe
        self._clock = clock

    async def load(self, instrument: Instrument) -> list[HistoryEvent | PastDaysEvent]:
        """History of one instrument, and what its past came to. Stored figures come even if nobody can be asked."""
        events: list[HistoryEvent] = []
        try:
            events = await self._load(instrument)
        except TradeTuiError as error:
            log.warning("no history for %s: %s", instrument.symbol, error)
        asked = [bar for event in events if event.interval_s == _DAY_S for bar in event.candles]
        slot, t_ns = self._universe.slots[instrument.key], self._clock.now_ns()

        def read(interval: str, first_ms: int, last_ms: int) -> pl.DataFrame:
            return self._store.read_bars(instrument.key, interval, first_ms, last_ms)

        try:
            past = await asyncio.to_thread(past_days, self._calendar, instrument, slot, t_ns, read, asked)
        except TradeTuiError as error:
            log.warning("no figures of past days for %s: %s", instrument.symbol, error)
            past = None
        return [*events, past] if past is not None else list(events)


def past_days(
    calendar: Calendar,
    instrument: Instrument,
    slot: int,
    t_ns: int,
    read: Read,
    asked: Sequence[Candle] = (),
) -> PastDaysEvent | None:
    """What the past of one instrument came to before the day of ``t_ns``; ``None`` when nothing is known.

    Args:
        calendar: Sessions.
        instrument: Whose.
        slot: Its slot of this run.
        t_ns: Engine time.
        read: Reads stored bars.
        asked: Daily bars that the broker was asked for; they go before stored ones.
    """
    today = ist_date(t_ns)
    days = _days(read, today - WEEKS * _WEEK, today, asked)
    usual = _usual_volume(calendar, instrument, today, read)
    if not days and not usual:
        return None
    return PastDaysEvent(
        t_ns,
        slot,
        high_rupees=max((day.high for day in days), default=0.0),
        low_rupees=min((day.low for day in days), default=0.0),
        oi=_last_oi(calendar, instrument, today, days),
        volume_by_minute=usual,
    )


def _days(read: Read, first: date, today: date, asked: Sequence[Candle]) -> list[Day]:
    """Daily bars from ``first`` up to but without ``today``, oldest first, one for each day."""
    frame = read("1d", _midnight_ms(first), _midnight_ms(today))
    columns = [frame[name].to_list() for name in ("session", "high", "low", "oi")]
    found = {row[0]: Day(*row) for row in zip(*columns, strict=True)}
    for bar in asked:
        session = ist_date(bar.start_ms * _MS)
        if first <= session < today:
            found[session] = Day(session, bar.high, bar.low, bar.oi)
    return [found[session] for session in sorted(found) if found[session].low > 0]


def _last_oi(calendar: Calendar, instrument: Instrument, today: date, days: list[Day]) -> float:
    """Open interest at the end of the last session; 0 when that session is not among the bars."""
    if not days:
        return 0.0
    try:
        last = calendar.previous_trading_day(segment_of(calendar, instrument, today), today)
    except (CalendarUnknown, ValueError):
        return 0.0
    return days[-1].oi if days[-1].session == last else 0.0


def _usual_volume(calendar: Calendar, instrument: Instrument, today: date, read: Read) -> tuple[float, ...]:
    """Mean cumulative volume by minute of the last sessions; empty when too few are stored."""
    hours = _hours(calendar, instrument, today)
    if hours is None:
        return ()
    back = (today - timedelta(days=count) for count in range(1, 2 * SESSIONS + _HOLIDAYS))
    windows = (window for day in back if (window := _hours(calendar, instrument, day)) is not None)
    opens = [window[0] // _MS for window in islice(windows, SESSIONS)]
    if not opens:
        return ()
    frame = read("1m", day_start_ns(ist_date(opens[-1] * _MS)) // _MS, _midnight_ms(today))
    start_ms = frame["start"].dt.epoch("ms").to_numpy()
    minutes = (hours[1] - hours[0]) // (60 * 1000 * _MS)
    return usual_volume(start_ms, frame["volume"].to_numpy().astype(np.int64), opens, minutes)


def _hours(calendar: Calendar, instrument: Instrument, day: date) -> tuple[int, int] | None:
    """Start and end of a day's continuous trading, ns; ``None`` without any, or when its hours are not known."""
    try:
        return calendar.continuous(segment_of(calendar, instrument, day), day)
    except (CalendarUnknown, ValueError):
        return None


def stored_past_days(
    data_dir: Path, account: str, instruments: Sequence[Instrument], t_ns: int
) -> list[PastDaysEvent]:
    """What the pasts of some instruments came to before the day of ``t_ns``, for a replay. Reads only.

    Every instrument is taken from the first database that knows it.
    """
    calendar = Calendar.default()
    found: dict[int, PastDaysEvent] = {}
    for path in market_files(data_dir, account):
        with reading(path) as connection:
            if connection is None:
                continue
            for slot, instrument in enumerate(instruments):
                if slot in found or not instrument.key:
                    continue

                read = partial(reads.bars, connection, instrument.key)
                past = past_days(calendar, instrument, slot, t_ns, read)
                if past is not None:
                    found[slot] = past
    return [found[slot] for slot in sorted(found)]


def _midnight_ms(day: date) -> int:
    return day_start_ns(day) // _MS
