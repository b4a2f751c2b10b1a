"""Candles V3: past sessions and today, oldest first, inside the broker's spans and rate limits (`upstox.md` 2.14).

Used by backfill and by the warm-up of indicators. Reads are repeated with growing pauses; they are public, so
they need no login.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.domain.calendar import DAY_NS, IST, day_start_ns, ist_date
from tradetui.domain.errors import RateLimited, TransportError, UsageError
from tradetui.domain.intervals import INTERVALS, interval_name
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[int, int, int], None]
"""Told (spans done, spans in all, candles so far)."""

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pauses between attempts of one read."""

DATA_SINCE: Final = {
    "minutes": date(2022, 1, 1), "hours": date(2022, 1, 1), "days": date(2000, 1, 1), "weeks": date(2000, 1, 1),
    "months": date(2000, 1, 1),
}  # fmt: skip
"""How far back the broker's candles reach."""

_DAY: Final = timedelta(days=1)
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Unit:
    """How an interval is asked for.

    Attributes:
        unit: Word of the path.
        count: Number of the path.
        span_days: Days, first and last included, that one request may cover. The broker counts a month, a
            quarter and a decade; these fit into the shortest of each.
        span_months: The same in calendar months, as the broker counts; 0 for no limit.
        has_today: Finished bars of today exist, and another endpoint serves them.
    """

    unit: str
    count: int
    span_days: int
    span_months: int
    has_today: bool = True


def unit_named(interval: str) -> Unit:
    """How to ask for an interval by its name, weeks and months included.

    Raises:
        UsageError: There is no such interval.
    """
    if interval == "1w":
        return Unit("weeks", 1, 0, 0, has_today=False)
    if interval == "1M":
        return Unit("months", 1, 0, 0, has_today=False)
    return unit_of(_seconds(interval))


def unit_of(interval_s: int) -> Unit:
    """How to ask for an interval.

    Raises:
        UsageError: The broker has no candles of that length.
    """
    if interval_s == _DAY_S:
        return Unit("days", 1, 3650, 120, has_today=False)
    if interval_s % 3600 == 0 and 1 <= interval_s // 3600 <= 5:
        return Unit("hours", interval_s // 3600, 89, 3)
    if interval_s % 60 == 0 and 1 <= interval_s // 60 <= 300:
        minutes = interval_s // 60
        return Unit("minutes", minutes, 28, 1) if minutes <= 15 else Unit("minutes", minutes, 89, 3)
    known = ", ".join(INTERVALS)
    raise UsageError(f"the broker has no candles of {interval_s} s", f"Intervals: {known}")


def spans(first: date, last: date, span_days: int) -> list[tuple[date, date]]:
    """Cut a range of dates, both included, into requests, oldest first."""
    out = []
    while first <= last:
        end = min(last, first + timedelta(days=span_days - 1))
        out.append((first, end))
        first = end + _DAY
    return out


@dataclass(frozen=True, slots=True)
class Stretch:
    """The candles of one request.

    Attributes:
        first, last: Dates asked for, both included.
        candles: Oldest first; ``slot`` is -1.
    """

    first: date
    last: date
    candles: tuple[Candle, ...]


class CandleClient:
    """Fetches candles.

    Args:
        api: REST interface; a token is not needed.
        now_ns: Engine time: decides what "today" is.
        sleep: Waits between attempts.
        pauses_s: How long, attempt by attempt.
    """

    def __init__(
        self,
        api: UpstoxApi,
        now_ns: Callable[[], int],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._api = api
        self._now_ns = now_ns
        self._sleep = sleep
        self._pauses_s = pauses_s

    async def fetch(
        self, key: str, interval: str | int, first: date, last: date, on_progress: Progress | None = None
    ) -> list[Candle]:
        """Finished candles of a range of dates, both included, today's joined on.

        Args:
            key: Instrument key.
            interval: Name (``5m``) or length in seconds.
            first: First date, IST.
            last: Last date, IST.
            on_progress: Told after every request.

        Raises:
            UsageError: The dates are in the wrong order, or the interval is unknown.
            BrokerError: The broker refused (an unknown key, for example).
            TransportError: It could not be reached, in spite of several attempts.
        """
        total = len(self.plan(interval, first, last))
        out: list[Candle] = []
        done = 0
        async for stretch in self.stretches(key, interval, first, last):
            out += stretch.candles
            done += 1
            if on_progress is not None:
                on_progress(done, total, len(out))
        return out

    def plan(self, interval: str | int, first: date, last: date) -> list[tuple[date, date]]:
        """The requests that `stretches` will make, oldest first; the future and the time before data are cut off.

        Raises:
            UsageError: The dates are in the wrong order, or the interval is unknown.
        """
        unit = unit_of(_seconds(interval))
        if first > last:
            raise UsageError(f"the range ends before it begins: {first} to {last}")
        today = ist_date(self._now_ns())
        first = max(first, DATA_SINCE[unit.unit])
        plan = spans(first, min(last, today - _DAY), unit.span_days)
        return [*plan, (today, today)] if first <= today <= last else plan

    async def stretches(
        self, key: str, interval: str | int, first: date, last: date
    ) -> AsyncIterator[Stretch]:
        """The same as `fetch`, request by request, so that the caller can keep what it has."""
        seconds = _seconds(interval)
        unit = unit_of(seconds)
        today = ist_date(self._now_ns())
        before: Candle | None = None
        for begin, end in self.plan(interval, first, last):
            if begin == today:
                rows = await self._today(key, unit)
            else:
                rows = await self._past(key, unit, begin, end)
            candles = self._finished(candles_of(rows, seconds, begin, end))
            if before is not None:
                candles = [candle for candle in candles if candle.start_ms > before.start_ms]
            before = candles[-1] if candles else before
            yield Stretch(begin, end, tuple(candles))

    async def _past(self, key: str, unit: Unit, first: date, last: date) -> Any:
        path = {
            "key": key, "unit": unit.unit, "interval": str(unit.count),
            "to_date": last.isoformat(), "from_date": first.isoformat(),
        }  # fmt: skip
        return await self._patiently(lambda: self._rows(ep.CANDLES, path))

    async def _today(self, key: str, unit: Unit) -> Any:
        path = {"key": key, "unit": unit.unit, "interval": str(unit.count)}
        return await self._patiently(lambda: self._rows(ep.INTRADAY_CANDLES, path))

    async def _rows(self, endpoint: ep.Endpoint, path: dict[str, str]) -> Any:
        data = (await self._api.call(endpoint, path=path)).data
        return data.get("candles") if isinstance(data, dict) else None

    async def _patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        return await patiently(read, self._sleep, self._pauses_s)

    def _finished(self, candles: list[Candle]) -> list[Candle]:
        """Leave out a bar that is still forming; a session's bar counts as finished with its date."""
        now_ms = self._now_ns() // 1_000_000
        return [c for c in candles if _end_ms(c) <= now_ms]


async def patiently(
    read: Callable[[], Awaitable[T]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    pauses_s: Sequence[float] = PAUSES_S,
) -> T:
    """Repeat a read that met a rate limit or a failure, with growing pauses.

    Raises:
        RateLimited: Still, after the last pause.
        TransportError: Still, after the last pause.
    """
    for pause_s in pauses_s:
        try:
            return await read()
        except (RateLimited, TransportError) as error:
            log.info("read failed, next attempt in %.0f s: %s", pause_s, error.message)
            await sleep(pause_s)
    return await read()


def candles_of(rows: Any, interval_s: int, first: date, last: date) -> list[Candle]:
    """Rows ``[ISO start, open, high, low, close, volume, oi]`` as candles, oldest first, each start once.

    Rows outside the dates are left out: today's list may hold yesterday's bars around the open
    (`upstox.md` 2.14). Rows that make no sense are left out and counted in the log.
    """
    begin_ms = day_start_ns(first) // 1_000_000
    end_ms = (day_start_ns(last) + DAY_NS) // 1_000_000
    found: dict[int, Candle] = {}
    odd = 0
    for row in rows if isinstance(rows, list) else ():
        candle = _candle(row, interval_s)
        if candle is None:
            odd += 1
        elif begin_ms <= candle.start_ms < end_ms:
            found[candle.start_ms] = candle
    if odd:
        log.warning("%d odd %s candles from the broker left out", odd, interval_name(interval_s))
    return [found[start] for start in sorted(found)]


def _candle(row: Any, interval_s: int) -> Candle | None:
    if not isinstance(row, list) or len(row) < 6:
        return None
    try:
        start = datetime.fromisoformat(clean(row[0], 40))
    except ValueError:
        return None
    if start.tzinfo is None:
        start = start.replace(tzinfo=IST)
    numbers = [parse.number(value) for value in row[1:6]]
    if any(value is None or not math.isfinite(value) for value in numbers):
        return None
    opened, high, low, close, volume = (float(value or 0) for value in numbers)
    if not (0 < low <= min(opened, close) and max(opened, close) <= high) or volume < 0:
        return None
    oi = parse.number(row[6]) if len(row) > 6 else 0.0
    return Candle(
        slot=-1,
        interval_s=interval_s,
        start_ms=int(start.timestamp() * 1000),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=int(volume),
        oi=max(0.0, oi or 0.0),
        source=BarSource.BROKER,
    )


def _end_ms(candle: Candle) -> int:
    return candle.start_ms + candle.interval_s * 1000


def _seconds(interval: str | int) -> int:
    if isinstance(interval, int):
        return interval
    if interval not in INTERVALS:
        raise UsageError(f"no such interval: {clean(interval, 20)!r}", f"Intervals: {', '.join(INTERVALS)}")
    return INTERVALS[interval]
