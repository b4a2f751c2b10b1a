"""Many bars of one instrument and interval as columns: what a history answer is, and what storage takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from tradetui.domain.market_data import F64, I64


@dataclass(frozen=True, slots=True)
class CandleBlock:
    """Bars by column, oldest first, each start once. Do not write to the arrays.

    Attributes:
        start_ms: Starts, epoch ms UTC, ascending.
        open, high, low, close: Rupees.
        volume: Units.
        oi: Open interest at the end, units; 0 where there is none.
        odd_ms: Starts of rows that made no sense and were left out, epoch ms; -1 where not even the start could be
            read.
    """

    start_ms: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: I64
    oi: F64
    odd_ms: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.start_ms)

    @classmethod
    def empty(cls, odd_ms: tuple[int, ...] = ()) -> Self:
        """A block without bars."""
        none, units = np.zeros(0), np.zeros(0, np.int64)
        return cls(units, none, none, none, none, units, none, odd_ms)

    def between(self, first_ms: int, last_ms: int) -> CandleBlock:
        """The bars that start from ``first_ms`` up to, but without, ``last_ms``."""
        begin, end = np.searchsorted(self.start_ms, [first_ms, last_ms])
        if begin == 0 and end == len(self):
            return self
        cut = slice(int(begin), int(end))
        return CandleBlock(
            self.start_ms[cut], self.open[cut], self.high[cut], self.low[cut], self.close[cut], self.volume[cut],
            self.oi[cut], self.odd_ms,
        )  # fmt: skip
