"""Volume: what was traded, and at what average price."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tradetui.domain.market_data import F64
from tradetui.indicators.base import (
    BarValues,
    Columns,
    Indicator,
    Live,
    Params,
    Value,
    register,
    talib_indicator,
)

if TYPE_CHECKING:
    import polars as pl

OBV = talib_indicator("obv", "On-balance volume", "OBV", params={}, inputs=("close", "volume"))


class _VwapLive:
    """Sums of the session so far; turnover is three times the typical price by volume."""

    __slots__ = ("_session", "_turnover", "_volume", "value")

    def __init__(self) -> None:
        self._session = -1
        self._turnover = 0.0
        self._volume = 0.0
        self.value: Value = (nan,)

    def _sums(self, bar: BarValues) -> tuple[float, float]:
        # The same operations in the same order as the columns and the expressions, so that all agree to the
        # last bit. The division by 3 comes last, by a column: Polars turns a division by a constant into a
        # multiplication with its inverse, which rounds differently.
        turnover = (bar.high + bar.low + bar.close) * bar.volume
        if bar.session != self._session:
            return turnover, bar.volume
        return self._turnover + turnover, self._volume + bar.volume

    def update(self, bar: BarValues) -> Value:
        self._turnover, self._volume = self._sums(bar)
        self._session = bar.session
        self.value = (self._turnover / (self._volume * 3.0) if self._volume else nan,)
        return self.value

    def peek(self, bar: BarValues) -> Value:
        turnover, volume = self._sums(bar)
        return (turnover / (volume * 3.0) if volume else nan,)


def _batch(columns: Columns, params: Params) -> tuple[F64, ...]:
    turnover = (columns.high + columns.low + columns.close) * columns.volume
    value = np.full(len(columns), nan)
    starts = np.flatnonzero(np.diff(columns.session, prepend=-1)).tolist()
    for begin, end in zip(starts, [*starts[1:], len(columns)], strict=True):
        volume = np.cumsum(columns.volume[begin:end])
        np.divide(np.cumsum(turnover[begin:end]), volume * 3.0, out=value[begin:end], where=volume > 0)
    return (value,)


def _live(params: Params) -> Live:
    return _VwapLive()


def _expressions(params: Params) -> list[pl.Expr]:
    import polars as pl

    high, low, close, volume = (pl.col(name).cast(pl.Float64) for name in ("high", "low", "close", "volume"))
    turnover = ((high + low + close) * volume).cum_sum().over("session")
    total = volume.cum_sum().over("session")
    return [pl.when(total > 0).then(turnover / (total * 3.0)).otherwise(nan)]


VWAP = register(
    Indicator(
        "vwap",
        "Volume-weighted average price, anchored to the session's start",
        {},
        ("high", "low", "close", "volume", "session"),
        ("value",),
        lambda params: 0,
        _batch,
        _live,
        _expressions,
    )
)
"""Typical price (H + L + C) / 3 weighted by volume, from the day's first bar; NaN without volume (an index).

The exchange's own average traded price is exact where the feed carries it; this one is for bars.
"""
