"""What is missing, and fetching it: a few requests side by side, each stored whole before it counts as done."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from tradetui.brokers.upstox.candles import CandleClient, unit_of
from tradetui.domain.calendar import DAY_NS, Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import AuthError, BrokerError, CalendarUnknown, RateLimited
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import I64, Candle, interval_name
from tradetui.storage.store import Store

if TYPE_CHECKING:
    from tradetui.commands.backfill import Report
    from tradetui.commands.backfill.progress import Progress

SIDE_BY_SIDE: Final = 3
"""Requests under way at a time: the broker's limits allow more, its answers come no faster."""

_DAY: Final = timedelta(days=1)
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Piece:
    """One range of dates to ask for.

    Attributes:
        instrument: Of what.
        first, last: Dates, both included.
        sessions: Trading days in it.
    """

    instrument: Instrument
    first: date
    last: date
    sessions: int


Windows = tuple[tuple[int, int], ...]
"""Stretches of time as (start_ns, end_ns)."""


def windows_of(calendar: Calendar, instrument: Instrument, day: date) -> Windows | None:
    """When a day should have bars; empty on a holiday, ``None`` where nobody knows."""
    try:
        segment = segment_of(calendar, instrument, day)
        windows = calendar.continuous_windows(segment, day)
    except (CalendarUnknown, ValueError):
        return None
    return windows


def is_complete(windows: Windows, starts: I64, interval_s: int) -> bool:
    """Whether a bar is stored for every interval of a session.

    Args:
        windows: When there should be bars.
        starts: Starts of the stored ones, epoch ms, ascending.
        interval_s: Length of a bar; a session's own bar begins at midnight.
    """
    if interval_s >= _DAY_S:
        midnight = day_start_ns(ist_date(windows[0][0]))
        windows = ((midnight, midnight + DAY_NS),)
    for start_ns, end_ns in windows:
        wanted = math.ceil((end_ns - start_ns) / (interval_s * 1_000_000_000))
        first, last = np.searchsorted(starts, [start_ns // 1_000_000, end_ns // 1_000_000])
        if last - first < wanted:
            return False
    return True


def missing_days(
    windows: dict[date, Windows | None], starts: I64, interval_s: int, today: date
) -> tuple[list[date], int]:
    """The days to ask for, and how many need not be.

    A day is complete when one of the broker's bars is stored for every interval of its session. A thinly traded
    instrument has fewer, so its days are asked for again each time; that stores nothing twice. Today is never
    complete; a day of which nobody knows whether it trades is always asked for.

    Args:
        windows: Day to when it should have bars.
        starts: Starts of the stored bars, epoch ms, ascending.
        interval_s: Length of a bar.
        today: Today in India.
    """
    missing, complete = [], 0
    for day, hours in windows.items():
        if hours == ():
            continue
        if hours is not None and day < today and is_complete(hours, starts, interval_s):
            complete += 1
        else:
            missing.append(day)
    return missing, complete


def pieces_of(
    instrument: Instrument, missing: Sequence[date], trading: Collection[date], span_days: int
) -> list[Piece]:
    """Missing days as few ranges as can be: neighbours, with nothing but holidays between them, go together.

    Args:
        instrument: Of what.
        missing: Days to ask for, oldest first.
        trading: Every day that has or may have a session.
        span_days: Most dates in one request.
    """
    pieces: list[Piece] = []
    for day in missing:
        last = pieces[-1] if pieces else None
        if last is not None and (day - last.first).days < span_days and not _between(last.last, day, trading):
            pieces[-1] = Piece(instrument, last.first, day, last.sessions + 1)
        else:
            pieces.append(Piece(instrument, day, day, 1))
    return pieces


def _between(first: date, last: date, days: Collection[date]) -> bool:
    """Whether one of ``days`` lies between two dates."""
    return any(first + _DAY * step in days for step in range(1, (last - first).days))


class Worker:
    """Fetches what is missing.

    Args:
        client: Asks the broker.
        store: Keeps what comes.
        today: Today in India (the exchange's).
        interval_s: Length of a bar.
        progress: Told how it goes.
        calendar: Sessions.
    """

    def __init__(
        self,
        client: CandleClient,
        store: Store,
        today: date,
        interval_s: int,
        progress: Progress,
        calendar: Calendar | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._today = today
        self._interval_s = interval_s
        self._progress = progress
        self._calendar = calendar or Calendar.default()
        self._counting = threading.Lock()

    async def run(
        self, instruments: Sequence[Instrument], reports: Sequence[Report], first: date, last: date
    ) -> None:
        """Fetch every missing piece of every instrument, oldest first.

        Args:
            instruments: Of what.
            reports: One for each, filled in as it goes.
            first: First date.
            last: Last date.

        Raises:
            TransportError: The broker cannot be reached, in spite of several attempts.
            AuthError: The broker refused the login.
            StorageError: What came cannot be stored.
        """
        last = min(last, self._today)
        queue: deque[tuple[Report, Piece]] = deque()
        for instrument, report in zip(instruments, reports, strict=True):
            pieces = await asyncio.to_thread(self.plan, instrument, report, first, last)
            self._progress.add(instrument.symbol, len(pieces))
            queue.extend((report, piece) for piece in pieces)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(SIDE_BY_SIDE, len(queue))):
                group.create_task(self._drain(queue))

    def plan(self, instrument: Instrument, report: Report, first: date, last: date) -> list[Piece]:
        """What is to be asked for. Blocks on the database."""
        days = [first + _DAY * step for step in range((last - first).days + 1)]
        if not days:
            return []
        windows = {day: windows_of(self._calendar, instrument, day) for day in days}
        starts = self._store.broker_bar_starts(instrument, interval_name(self._interval_s), first, last)
        missing, report.stored_before = missing_days(windows, starts, self._interval_s, self._today)
        report.sessions = report.stored_before + len(missing)
        trading = {day for day, hours in windows.items() if hours != ()}
        return pieces_of(instrument, missing, trading, unit_of(self._interval_s).span_days)

    async def _drain(self, queue: deque[tuple[Report, Piece]]) -> None:
        while queue:
            report, piece = queue.popleft()
            if report.error:
                # The broker refused this instrument: it would refuse the rest as well.
                self._progress.done(piece.instrument.symbol, 0)
                continue
            try:
                await self._fetch(report, piece)
            except (AuthError, RateLimited):
                raise
            except BrokerError as error:
                report.error = f"{piece.first} to {piece.last}: {error}"
                self._progress.done(piece.instrument.symbol, 0)

    async def _fetch(self, report: Report, piece: Piece) -> None:
        key, interval = piece.instrument.key, self._interval_s
        async for stretch in self._client.stretches(key, interval, piece.first, piece.last):
            report.requests += 1
            await asyncio.to_thread(self._keep, report, piece.instrument, stretch.candles)
            self._progress.got(len(stretch.candles))
        self._progress.done(piece.instrument.symbol, 1)

    def _keep(self, report: Report, instrument: Instrument, candles: Sequence[Candle]) -> None:
        """Store and count in one go: a stop in between would leave bars that no figure shows."""
        merged = self._store.merge_bars(instrument, self._interval_s, candles)
        with self._counting:
            report.bars += len(candles)
            report.inserted += merged.inserted
            report.same += merged.same
            report.different += merged.different
