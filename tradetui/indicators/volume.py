"""Volume: what was traded, and at what average price."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from math import nan

import numpy as np

from tradetui.domain.calendar.ist import IST
from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import F64
from tradetui.indicators.bars import BarValues, Columns
from tradetui.indicators.base import Params, Value
from tradetui.indicators.steps import step_indicator
from tradetui.indicators.talib_gears import talib_indicator

_INPUTS = ("high", "low", "close", "volume")
_Sums = tuple[int, float, float]
"""Where the sums began (session or anchor), turnover times three, units."""

OBV = talib_indicator(
    "obv", "On-balance volume", "OBV", family="volume", params={}, inputs=("close", "volume")
)
VWAP_ALL = talib_indicator(
    "vwap_all",
    "Volume-weighted average price of the whole series",
    "VWAP",
    family="volume",
    params={},
    inputs=_INPUTS,
    about="TA-Lib's VWAP, which never starts anew; `vwap` is the session's, `avwap` the anchored one",
)


def _added(known: _Sums | None, since: int, bar: BarValues) -> tuple[_Sums, Value]:
    """The sums with a bar in them; turnover is three times the typical price by volume.

    The same operations in the same order as the columns, so that both agree to the last bit. The division by
    three comes last.
    """
    turnover, volume = (bar.high + bar.low + bar.close) * bar.volume, bar.volume
    if known is not None and known[0] == since:
        turnover, volume = known[1] + turnover, known[2] + volume
    return (since, turnover, volume), (turnover / (volume * 3.0) if volume else nan,)


def _summed(columns: Columns, begin: int, end: int, out: F64) -> None:
    """Averages from row ``begin`` on, up to ``end``."""
    rows = slice(begin, end)
    turnover = (columns.high[rows] + columns.low[rows] + columns.close[rows]) * columns.volume[rows]
    volume = np.cumsum(columns.volume[rows])
    np.divide(np.cumsum(turnover), volume * 3.0, out=out[rows], where=volume > 0)


def _by_session(columns: Columns, params: Params) -> tuple[F64, ...]:
    out = np.full(len(columns), nan)
    starts = np.flatnonzero(np.diff(columns.session, prepend=-1)).tolist()
    for begin, end in zip(starts, [*starts[1:], len(columns)], strict=True):
        _summed(columns, begin, end, out)
    return (out,)


@step_indicator(
    "vwap",
    "Volume-weighted average price, anchored to the session's start",
    family="volume",
    inputs=(*_INPUTS, "session"),
    batch=_by_session,
    about="typical price (H + L + C) / 3 weighted by volume; none without volume (an index)",
)
def vwap(state: _Sums | None, bar: BarValues, params: Params) -> tuple[_Sums, Value]:
    """From the day's first bar. The exchange's own average is exact where the feed has it; this is for bars."""
    return _added(state, bar.session, bar)


@lru_cache(maxsize=256)
def anchor_ms(anchor: int) -> int:
    """An anchor as people write it, ``20251215`` or ``202512150930`` (IST), as epoch ms; 0 for the first bar.

    Raises:
        DomainError: Not a date, or not a time of day.
    """
    if anchor == 0:
        return 0
    text = str(anchor)
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M"}.get(len(text))
    try:
        when = datetime.strptime(text, form or "").replace(tzinfo=IST)
    except ValueError:
        raise DomainError(f"avwap: no such moment: {anchor}", "write 20251215 or 202512150930") from None
    return int(when.timestamp()) * 1000


def _from_anchor(columns: Columns, params: Params) -> tuple[F64, ...]:
    out = np.full(len(columns), nan)
    _summed(
        columns, int(np.searchsorted(columns.start_ms, anchor_ms(int(params["anchor"])))), len(columns), out
    )
    return (out,)


@step_indicator(
    "avwap",
    "Anchored volume-weighted average price",
    family="volume",
    inputs=(*_INPUTS, "start_ms"),
    params={"anchor": 0},
    least={"anchor": 0},
    check=lambda params: anchor_ms(int(params["anchor"])),
    batch=_from_anchor,
    about="from the first bar that starts at the anchor or later: 20251215 or 202512150930, India; 0: the first bar",
)
def avwap(state: _Sums | None, bar: BarValues, params: Params) -> tuple[_Sums | None, Value]:
    """As `vwap`, but from one moment on, over all sessions since."""
    return (None, (nan,)) if bar.start_ms < anchor_ms(int(params["anchor"])) else _added(state, 0, bar)
