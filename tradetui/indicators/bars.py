"""What an indicator sees: one bar as plain figures, or a whole series as columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import F64, I64, Candle

_IST_MS = 19_800_000
_DAY_MS = 86_400_000


class BarValues(NamedTuple):
    """What an indicator sees of one bar.

    Prices in rupees, volume in units, the trading day as days since the epoch in IST, and the start of the bar,
    epoch ms UTC.
    """

    open: float
    high: float
    low: float
    close: float
    volume: float
    session: int
    start_ms: int = 0


def bar_values(candle: Candle) -> BarValues:
    """The figures of a candle.

    Raises:
        DomainError: A figure is not finite: it would spoil every later value.
    """
    values = BarValues(
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        float(candle.volume),
        session_of(candle.start_ms),
        candle.start_ms,
    )
    if not isfinite(sum(values)):
        raise DomainError(f"a bar with a figure that is not finite: {candle}")
    return values


def session_of(start_ms: int) -> int:
    """The trading day of a bar: days since 1970-01-01 in India."""
    return (start_ms + _IST_MS) // _DAY_MS


def time_of_day(start_ms: int) -> int:
    """Milliseconds since midnight in India."""
    return (start_ms + _IST_MS) % _DAY_MS


@dataclass(frozen=True, slots=True)
class Columns:
    """What an indicator sees of a series: as `BarValues`, one array a field, oldest first."""

    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    session: I64
    start_ms: I64

    @classmethod
    def of(cls, start_ms: I64, open_: F64, high: F64, low: F64, close: F64, volume: F64) -> Columns:
        """Columns from arrays such as those of `History.bars`; ``start_ms`` is epoch ms."""
        return cls(
            np.ascontiguousarray(open_, np.float64),
            np.ascontiguousarray(high, np.float64),
            np.ascontiguousarray(low, np.float64),
            np.ascontiguousarray(close, np.float64),
            np.ascontiguousarray(volume, np.float64),
            (start_ms + _IST_MS) // _DAY_MS,
            np.ascontiguousarray(start_ms, np.int64),
        )

    @classmethod
    def of_candles(cls, candles: Iterable[Candle]) -> Columns:
        """Columns of the bars of one series."""
        bars = list(candles)
        rows = [(c.open, c.high, c.low, c.close, float(c.volume)) for c in bars]
        table = np.ascontiguousarray(np.array(rows, np.float64).reshape(len(rows), 5).T)
        return cls.of(np.array([c.start_ms for c in bars], np.int64), *table)

    def rows(self) -> list[BarValues]:
        """The bars one by one, oldest first."""
        fields = (self.open, self.high, self.low, self.close, self.volume, self.session, self.start_ms)
        return [BarValues(*row) for row in zip(*(field.tolist() for field in fields), strict=True)]

    def part(self, begin: int, end: int) -> Columns:
        """The bars from ``begin`` up to ``end``, as views."""
        rows = slice(begin, end)
        return Columns(
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
            self.session[rows],
            self.start_ms[rows],
        )

    def check(self) -> None:
        """See that every figure is finite.

        Raises:
            DomainError: One is not: it would spoil every later value.
        """
        total = self.open + self.high + self.low + self.close + self.volume
        if not isfinite(float(total.sum())):
            at = int(np.flatnonzero(~np.isfinite(total))[0])
            raise DomainError(f"bar {at} of a series has a figure that is not finite")

    def __len__(self) -> int:
        return len(self.close)
