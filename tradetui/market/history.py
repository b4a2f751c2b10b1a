"""Finished bars of the recent past, by instrument and interval, as columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.errors import DomainError
from tradetui.domain.events import HistoryEvent
from tradetui.domain.market_data import F64, I64, BarSource, Candle

if TYPE_CHECKING:
    import polars as pl

DEFAULT_BARS = 400
"""Bars kept a series: enough for the warm-up of every usual indicator."""
HISTORY_BARS = {60: 900}
"""The same for single intervals, by seconds: minutes of two sessions, so that pivots know the whole day before."""

_SOURCES = tuple(BarSource)
_SOURCE_CODE = {source: code for code, source in enumerate(_SOURCES)}
_FIRST_ROWS = 32
_COLUMNS = 6


class Bars(NamedTuple):
    """Views of one series, oldest first. Valid until the series is next written to; do not write."""

    start_ms: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    oi: F64
    source: NDArray[np.int8]
    """Index into `BarSource`."""
    gap: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a `HistoryEvent` changed.

    Attributes:
        added: Bars that were not there.
        replaced: Bars whose figures changed.
        rebuild: Bars before the newest one changed, so indicators of the series must start again from
            `History.bars`.
    """

    added: int
    replaced: int
    rebuild: bool


class _Series:
    """A window of bars that slides through a buffer a quarter longer than itself."""

    __slots__ = ("_first", "_limit", "_marks", "_n", "_start", "_values", "origin_ms")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        rows = min(limit, _FIRST_ROWS)
        self._start: I64 = np.zeros(rows, np.int64)
        self._values: F64 = np.zeros((_COLUMNS, rows))
        self._marks: NDArray[np.int8] = np.zeros((2, rows), np.int8)
        self._first = 0
        self._n = 0
        self.origin_ms = 0

    def __len__(self) -> int:
        return self._n

    @property
    def last_ms(self) -> int:
        return self._start.item(self._first + self._n - 1) if self._n else 0

    def view(self, count: int | None = None) -> Bars:
        end = self._first + self._n
        begin = self._first if count is None else max(self._first, end - count)
        rows = slice(begin, end)
        o, h, low, c, volume, oi = (column[rows] for column in self._values)
        return Bars(
            self._start[rows],
            o,
            h,
            low,
            c,
            volume,
            oi,
            self._marks[0, rows],
            self._marks[1, rows].view(np.bool_),
        )

    def append(self, candle: Candle) -> None:
        if self._n == self._limit:
            self._first += 1
            self._n -= 1
        row = self._first + self._n
        if row == len(self._start):
            self._make_room()
            row = self._first + self._n
        self._write(row, candle)
        self._n += 1
        if not self.origin_ms:
            self.origin_ms = candle.start_ms

    def _write(self, row: int, candle: Candle) -> None:
        self._start[row] = candle.start_ms
        self._values[:, row] = _values(candle)
        self._marks[:, row] = (_SOURCE_CODE[candle.source], candle.gap)

    def _make_room(self) -> None:
        longest = self._limit + max(self._limit // 4, 1)
        rows = min(2 * len(self._start), longest)
        used = slice(self._first, self._first + self._n)
        for name in ("_start", "_values", "_marks"):
            old: NDArray[Any] = getattr(self, name)
            new = np.zeros((*old.shape[:-1], rows), old.dtype)
            new[..., : self._n] = old[..., used]
            setattr(self, name, new)
        self._first = 0

    def row_of(self, start_ms: int) -> int | None:
        rows = self._start[self._first : self._first + self._n]
        at = bisect_left(rows, start_ms)
        return self._first + at if at < self._n and rows[at] == start_ms else None

    def replace(self, candle: Candle) -> bool:
        """Put new figures into a bar that is there; tell whether any changed."""
        row = self.row_of(candle.start_ms)
        if row is None:
            return False
        changed: bool = self._values[:5, row].tolist() != list(_values(candle)[:5])
        self._write(row, candle)
        return changed

    def candles(self, slot: int, interval_s: int) -> list[Candle]:
        columns = (column.tolist() for column in self.view())
        return [
            Candle(slot, interval_s, start, o, h, low, c, int(v), oi, _SOURCES[source], gap)
            for start, o, h, low, c, v, oi, source, gap in zip(*columns, strict=True)
        ]


def _values(candle: Candle) -> tuple[float, float, float, float, float, float]:
    return (candle.open, candle.high, candle.low, candle.close, float(candle.volume), candle.oi)


class History:
    """A bounded window of finished bars for every series (slot and interval).

    Each series has one **origin**: the start of the first bar it ever held. Recursive indicators depend on
    where they began, so live values, scans and back-tests start from the same origin. It stays when old bars
    leave the window and moves only when a load brings older bars (`Loaded.rebuild`).

    Args:
        limits: Bars to keep by interval in seconds.
        default: Bars to keep for other intervals.

    Raises:
        DomainError: A limit is not positive.
    """

    def __init__(self, limits: Mapping[int, int] | None = None, default: int = DEFAULT_BARS) -> None:
        self._limits = dict(limits or {})
        self._default = default
        if min([default, *self._limits.values()]) <= 0:
            raise DomainError("a window keeps at least one bar")
        self._series: dict[tuple[int, int], _Series] = {}

    def append(self, candle: Candle) -> bool:
        """Add a finished bar at the end; False, and nothing done, if it is not newer than the last."""
        series = self._of(candle.slot, candle.interval_s)
        if candle.start_ms <= series.last_ms:
            return False
        series.append(candle)
        return True

    def revise(self, candle: Candle) -> bool:
        """Replace the figures of a bar; False if it is not in the window or nothing changed."""
        series = self._series.get((candle.slot, candle.interval_s))
        return series is not None and series.replace(candle)

    def load(self, event: HistoryEvent) -> Loaded:
        """Take in bars of storage or of the candle endpoint: warm-up, or a gap that was filled."""
        return self.merge(event.slot, event.interval_s, event.candles)

    def merge(self, slot: int, interval_s: int, candles: Iterable[Candle]) -> Loaded:
        """Put bars where they belong in time; those that are there already are replaced.

        Raises:
            DomainError: A bar of another series.
        """
        series = self._of(slot, interval_s)
        last_ms = series.last_ms
        added: dict[int, Candle] = {}
        replaced = 0
        for candle in candles:
            if (candle.slot, candle.interval_s) != (slot, interval_s):
                raise DomainError(
                    f"a bar of slot {candle.slot}, {candle.interval_s} s, is not of this series"
                )
            if series.row_of(candle.start_ms) is None:
                added[candle.start_ms] = candle
            else:
                replaced += series.replace(candle)
        newer = all(start_ms > last_ms for start_ms in added)
        if newer:
            for start_ms in sorted(added):
                series.append(added[start_ms])
        else:
            self._rebuild(slot, interval_s, added)
        return Loaded(len(added), replaced, rebuild=bool(replaced) or not newer)

    def _rebuild(self, slot: int, interval_s: int, added: Mapping[int, Candle]) -> None:
        old = self._series.pop((slot, interval_s))
        merged = {candle.start_ms: candle for candle in old.candles(slot, interval_s)} | dict(added)
        series = self._of(slot, interval_s)
        for start_ms in sorted(merged):
            series.append(merged[start_ms])
        series.origin_ms = min(old.origin_ms, series.origin_ms)

    def bars(self, slot: int, interval_s: int, count: int | None = None) -> Bars:
        """The last ``count`` bars of a series, or all; empty columns if there are none."""
        series = self._series.get((slot, interval_s))
        return (series or _Series(1)).view(count)

    def candles(self, slot: int, interval_s: int) -> list[Candle]:
        """The bars of a series as objects, for people to look at."""
        series = self._series.get((slot, interval_s))
        return series.candles(slot, interval_s) if series else []

    def last_ms(self, slot: int, interval_s: int) -> int:
        """Start of the newest bar, epoch ms; 0 if there is none."""
        series = self._series.get((slot, interval_s))
        return series.last_ms if series else 0

    def origin_ms(self, slot: int, interval_s: int) -> int:
        """Start of the first bar the series ever held, epoch ms; 0 if none."""
        series = self._series.get((slot, interval_s))
        return series.origin_ms if series else 0

    def series(self) -> list[tuple[int, int]]:
        """Slot and interval of every series that holds bars, ordered."""
        return sorted(key for key, series in self._series.items() if len(series))

    def frame(self, slot: int, interval_s: int) -> pl.DataFrame:
        """The series as a Polars frame; ``ts`` is UTC. A copy, safe to keep."""
        import polars as pl

        bars = self.bars(slot, interval_s)
        columns: dict[str, Any] = {"ts": bars.start_ms}
        for name in ("open", "high", "low", "close", "volume", "oi"):
            columns[name] = getattr(bars, name)
        columns["source"] = [str(_SOURCES[code]) for code in bars.source.tolist()]
        columns["gap"] = bars.gap
        frame = pl.DataFrame({name: np.array(column) for name, column in columns.items()})
        return frame.with_columns(
            pl.col("ts").cast(pl.Datetime("ms", "UTC")),
            pl.col("volume").cast(pl.Int64),
            pl.col("source").cast(pl.String),
        )

    def _of(self, slot: int, interval_s: int) -> _Series:
        series = self._series.get((slot, interval_s))
        if series is None:
            series = _Series(self._limits.get(interval_s, self._default))
            self._series[slot, interval_s] = series
        return series
