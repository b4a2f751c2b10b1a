"""Past bars in bulk: one request, one block of columns; bounded attempts; which of them met what (`upstox.md` 2.14).

`candles.CandleClient` serves warm-up with objects; this serves backfill, whose answers are thousands of rows.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import Reply, UpstoxApi
from tradetui.brokers.upstox.candles import DATA_SINCE, PAUSES_S, patiently, unit_named
from tradetui.brokers.upstox.governor import Lane
from tradetui.domain.calendar import DAY_NS, IST, day_start_ns, ist_date
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.errors import RateLimited, TransportError
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

_DAY: Final = timedelta(days=1)
_IST_MS: Final = 330 * 60_000
_STAMP: Final = 25
"""Characters of ``2026-11-20T09:15:00+05:30``, as every start of the broker's looks."""
_OFFSET: Final = "+05:30"
_COLUMNS: Final = 7

Trouble = Callable[[str, float], None]
"""Told of an attempt that failed: why, and how many seconds until the next."""


def earliest_of(interval: str) -> Callable[[date], date]:
    """Last date of a request -> the first date that the same request may reach back to.

    Raises:
        UsageError: The broker has no such interval.
    """
    unit = unit_named(interval)
    since = DATA_SINCE[unit.unit]
    months = unit.span_months
    return lambda last: max(since, back(last, months)) if months else since


def data_since(interval: str) -> date:
    """How far back the broker's bars of an interval reach.

    Raises:
        UsageError: The broker has no such interval.
    """
    return DATA_SINCE[unit_named(interval).unit]


def has_today(interval: str) -> bool:
    """Whether another endpoint serves finished bars of today.

    Raises:
        UsageError: The broker has no such interval.
    """
    return unit_named(interval).has_today


def back(day: date, months: int) -> date:
    """The day after the one so many months earlier: a range from there to ``day`` is never longer than that."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - _DAY).day
    return date(year, month + 1, min(day.day, last)) + _DAY


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer.

    Attributes:
        block: The finished bars of the dates asked for.
        attempts: Requests that it took.
    """

    block: CandleBlock
    attempts: int


async def patient(read: Callable[[], Awaitable[Reply]]) -> Any:
    """The data of a read that is repeated when it fails, a bounded number of times.

    Raises:
        TradeTuiError: It was refused, or failed every time.
    """
    return (await patiently(read)).data


class PastBars:
    """Asks for past bars.

    Args:
        api: REST interface. Candles are public; expired contracts need a login.
        now_ns: Engine time: decides what "today" is.
        lane: Whether others go first: `Lane.TRAIL` leaves half of the limits to a running workstation.
        sleep: Waits between attempts.
        pauses_s: How long, attempt by attempt; one attempt more than there are pauses.
    """

    def __init__(
        self,
        api: UpstoxApi,
        now_ns: Callable[[], int],
        *,
        lane: Lane = Lane.NORMAL,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._api = api
        self._now_ns = now_ns
        self._lane = lane
        self._sleep = sleep
        self._pauses_s = pauses_s

    @property
    def today(self) -> date:
        """Today at the exchange."""
        return ist_date(self._now_ns())

    @property
    def attempts(self) -> int:
        """How often one span is asked for before it counts as failed."""
        return len(self._pauses_s) + 1

    async def fetch(
        self, key: str, interval: str, first: date, last: date, trouble: Trouble = lambda words, wait: None
    ) -> Answer:
        """The bars of a span that one request may cover; today stands alone.

        Args:
            key: Instrument key; three parts for an expired contract.
            interval: Name, such as ``5m``.
            first: First date, IST.
            last: Last date, IST, included.
            trouble: Told of every attempt that failed and is followed by another.

        Raises:
            BrokerError: The broker refused: an unknown key, for example.
            RateLimited: Still too fast after the last attempt.
            TransportError: No answer with sense after the last attempt.
        """
        unit = unit_named(interval)
        expired = key.count("|") == 2
        if expired:
            endpoint = ep.EXPIRED_CANDLES
            path = {"key": key, "interval": expired_word(interval), "to_date": last.isoformat()}
            path["from_date"] = first.isoformat()
        elif unit.has_today and first == self.today:
            endpoint = ep.INTRADAY_CANDLES
            path = {"key": key, "unit": unit.unit, "interval": str(unit.count)}
        else:
            endpoint = ep.CANDLES
            path = {"key": key, "unit": unit.unit, "interval": str(unit.count), "to_date": last.isoformat()}
            path["from_date"] = first.isoformat()
        attempt = 0
        while True:
            attempt += 1
            try:
                rows = await self._rows(endpoint, path)
            except (RateLimited, TransportError) as error:
                if attempt > len(self._pauses_s):
                    raise
                pause_s = self._pauses_s[attempt - 1]
                log.info("bars of %s: %s; next attempt in %.1f s", key, error.message, pause_s)
                trouble(error.message, pause_s)
                await self._sleep(pause_s)
                continue
            block = block_of(rows, first, last)
            return Answer(self._finished(block, interval), attempt)

    async def _rows(self, endpoint: ep.Endpoint, path: Mapping[str, str]) -> list[Any]:
        """The rows of one answer; no data is no rows, and anything but rows is an error.

        Raises:
            TransportError: There are no rows where rows should be.
        """
        data = (await self._api.call(endpoint, path=path, lane=self._lane)).data
        rows = data.get("candles", False) if isinstance(data, Mapping) else data
        if rows is None:
            return []  # the broker's form of "nothing" (`upstox.md` 7, no. 17)
        if not isinstance(rows, list):
            raise TransportError("the broker's answer makes no sense (no rows of bars)", "Try again later")
        return rows

    def _finished(self, block: CandleBlock, interval: str) -> CandleBlock:
        """Leave out a bar that is still forming; a bar of a day or more is finished when its dates are over."""
        now_ms = self._now_ns() // 1_000_000
        seconds = INTERVALS[interval]
        if seconds < 86_400:
            return block.between(0, now_ms - seconds * 1000 + 1)
        over = [
            period_end(interval, ist_date(int(start) * 1_000_000)) < self.today for start in block.start_ms
        ]
        return block if all(over) else block.between(0, int(block.start_ms[over.index(False)]))


def period_end(interval: str, start: date) -> date:
    """Last date of a bar of a day, a week or a month that begins on ``start``."""
    if interval == "1w":
        return start + 6 * _DAY
    if interval == "1M":
        following = date(start.year + start.month // 12, start.month % 12 + 1, 1)
        return following - _DAY
    return start


def expired_word(interval: str) -> str:
    """How an interval is named on the endpoint of expired contracts.

    Raises:
        UsageError: There is none of that length.
    """
    from tradetui.domain.errors import UsageError

    words = {
        "1m": "1minute",
        "3m": "3minute",
        "5m": "5minute",
        "15m": "15minute",
        "30m": "30minute",
        "1d": "day",
    }
    if interval not in words:
        raise UsageError(f"expired contracts have no {interval} bars", "there are: " + ", ".join(words))
    return words[interval]


# --- reading the answer -------------------------------------------------------------------------------


def block_of(rows: Sequence[Any], first: date, last: date) -> CandleBlock:
    """Rows ``[ISO start, open, high, low, close, volume, oi]`` as columns, oldest first, each start once.

    Rows outside the dates are left out: today's list may hold yesterday's bars around the open. Rows that make no
    sense are left out too, and their starts are told: such an answer settles nothing about its day.
    """
    if not rows:
        return CandleBlock.empty()
    begin_ms, end_ms = day_start_ns(first) // 1_000_000, (day_start_ns(last) + DAY_NS) // 1_000_000
    found = _quick(rows)
    block = _slow(rows) if found is None else found
    return block.between(begin_ms, end_ms)


def _quick(rows: Sequence[Any]) -> CandleBlock | None:
    """The usual case in a few vector operations; ``None`` when anything at all is unusual."""
    try:
        if any(type(row) is not list or len(row) != _COLUMNS for row in rows):
            return None
        columns = list(zip(*rows, strict=True))
        stamps = columns[0]
        if any(len(text) != _STAMP or not text.endswith(_OFFSET) for text in stamps):
            return None
        if any({type(value) for value in column} - {int, float} for column in columns[1:]):
            return None  # text, null or a truth value among the numbers
        # The offset is cut away: it is the same in every row, and is taken off below.
        local = np.array([text[:19] for text in stamps], "datetime64[ms]").astype(np.int64)
        opened, high, low, close, volume, oi = (np.array(column, np.float64) for column in columns[1:])
    except (TypeError, ValueError, AttributeError):
        return None
    numbers = np.vstack([opened, high, low, close, volume, oi])
    body_low, body_high = np.minimum(opened, close), np.maximum(opened, close)
    sound = np.isfinite(numbers).all() and bool(
        ((low > 0) & (low <= body_low) & (body_high <= high) & (volume >= 0) & (oi >= 0)).all()
    )
    if not sound:
        return None
    return _ordered(local - _IST_MS, opened, high, low, close, volume, oi)


def _ordered(starts: Any, *columns: Any, odd: tuple[int, ...] = ()) -> CandleBlock:
    """Columns in order of time, the last row of each start kept."""
    if len(starts) > 1 and bool((np.diff(starts) < 0).all()):
        order = np.arange(len(starts))[::-1]  # newest first, as the broker sends them
    else:
        order = np.argsort(starts, kind="stable")
        ordered = starts[order]
        order = order[np.append(ordered[1:] != ordered[:-1], True)] if len(ordered) else order
    opened, high, low, close, volume, oi = (column[order] for column in columns)
    return CandleBlock(starts[order], opened, high, low, close, volume.astype(np.int64), oi, odd)


def _slow(rows: Sequence[Any]) -> CandleBlock:
    """Row by row: what can be read is kept, the rest is named."""
    good: list[tuple[int, list[float]]] = []
    odd: list[int] = []
    for row in rows:
        start = _start_ms(row)
        numbers = _numbers(row) if start >= 0 else None
        if numbers is None:
            odd.append(start)
        else:
            good.append((start, numbers))
    if odd:
        log.warning("%d of %d bars from the broker make no sense and were left out", len(odd), len(rows))
    if not good:
        return CandleBlock.empty(tuple(odd))
    columns = np.array([numbers for _, numbers in good], np.float64).T
    starts = np.array([start for start, _ in good], np.int64)
    return _ordered(starts, *columns, odd=tuple(odd))


def _start_ms(row: Any) -> int:
    if not isinstance(row, list) or len(row) < _COLUMNS - 1:
        return -1
    try:
        start = datetime.fromisoformat(clean(row[0], 40))
    except ValueError:
        return -1
    if start.tzinfo is None:
        start = start.replace(tzinfo=IST)
    return int(start.timestamp() * 1000)


def _numbers(row: list[Any]) -> list[float] | None:
    values = [parse.number(value) for value in row[1:6]]
    if any(value is None or not math.isfinite(value) for value in values):
        return None
    opened, high, low, close, volume = (float(value or 0) for value in values)
    if not (0 < low <= min(opened, close) and max(opened, close) <= high) or volume < 0:
        return None
    oi = parse.number(row[6]) if len(row) > _COLUMNS - 1 else 0.0
    return [opened, high, low, close, volume, max(0.0, oi or 0.0)]
