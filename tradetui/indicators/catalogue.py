"""Every TA-Lib function that no family file declares, under TA-Lib's own name in small letters.

Parameters, their defaults, inputs and outputs are TA-Lib's.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import talib

from tradetui.domain.market_data import F64
from tradetui.indicators import momentum, trend, volatility, volume
from tradetui.indicators.bars import BarValues, Columns
from tradetui.indicators.base import Indicator, Live, Params, Value, register
from tradetui.indicators.talib_gears import TalibLive, TalibPlan, declared, mapped, talib_indicator

if TYPE_CHECKING:
    import polars as pl

_FAMILIES: Final = {
    "Cycle Indicators": "cycle",
    "Math Operators": "mathematics",
    "Math Transform": "mathematics",
    "Momentum Indicators": "momentum",
    "Overlap Studies": "trend",
    "Pattern Recognition": "pattern",
    "Price Transform": "price",
    "Statistic Functions": "statistics",
    "Volatility Indicators": "volatility",
    "Volume Indicators": "volume",
}
"""TA-Lib's groups, and ours."""
_PATTERN: Final = (
    "100 a rising pattern ended with this bar, -100 a falling one, 0 none; 200 and -200 confirm one"
)


def _inputs(about: Any) -> tuple[str, ...]:
    """Fields of a bar in the order in which TA-Lib takes them."""
    fields: list[str] = []
    for wanted in about["input_names"].values():
        fields.extend([wanted] if isinstance(wanted, str) else wanted)
    return tuple(fields)


def _declare(function: str) -> Indicator:
    about = declared(function).info
    names = tuple(about["output_names"])
    family = _FAMILIES[about["group"]]
    return talib_indicator(
        function.lower(),
        about["display_name"],
        function,
        family=family,
        params=dict(about["parameters"]),
        inputs=_inputs(about),
        outputs=("value",) if len(names) == 1 else names,
        about=_PATTERN if family == "pattern" else "",
    )


class _GrowingLive:
    """A moving average whose period is the number of bars of the day so far. The count travels as the volume."""

    __slots__ = ("_average", "_bars", "_session")

    def __init__(self, average: Live) -> None:
        self._average = average
        self._session = -1
        self._bars = 0

    @property
    def value(self) -> Value:
        """See `base.Live`."""
        return self._average.value

    def _counted(self, bar: BarValues) -> BarValues:
        return bar._replace(volume=float(self._bars + 1 if bar.session == self._session else 1))

    def update(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        counted = self._counted(bar)
        self._session, self._bars = bar.session, int(counted.volume)
        return self._average.update(counted)

    def peek(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        return self._average.peek(self._counted(bar))

    def begin(self, columns: Columns) -> None:
        """See `base.Live`."""
        counted = _counted(columns)
        if len(columns):
            self._session, self._bars = columns.session.item(-1), int(counted.volume.item(-1))
        self._average.begin(counted)


def _counted(columns: Columns) -> Columns:
    """The columns with the number of the bar in its session as the volume."""
    rows = np.arange(len(columns))
    first = np.where(np.diff(columns.session, prepend=-1) != 0, rows, 0)
    counts = (rows - np.maximum.accumulate(first) + 1).astype(np.float64)
    return Columns(
        columns.open, columns.high, columns.low, columns.close, counts, columns.session, columns.start_ms
    )


def _declare_mavp() -> Indicator:
    """TA-Lib's moving average with a period for each bar: the one function that needs a column no bar has.

    Here the period of a bar is its number in the session, held between ``minperiod`` and ``maxperiod`` by
    TA-Lib: the average of the day so far, over at most ``maxperiod`` bars.
    """
    about = declared("MAVP").info
    params: dict[str, int | float] = dict(about["parameters"])
    inputs = ("close", "session")

    def warmup(given: Params) -> int:
        declaration = declared("MAVP")
        declaration.parameters = dict(given)
        return int(declaration.lookback)

    def batch(columns: Columns, given: Params) -> tuple[F64, ...]:
        if len(columns) <= warmup(given):
            return (np.full(len(columns), nan),)
        return (talib.MAVP(columns.close, _counted(columns).volume, **given),)  # type: ignore[arg-type]

    def live(given: Params) -> Live:
        plan = TalibPlan(talib.stream.MAVP, ("close", "volume"), 1, warmup(given), given)
        return _GrowingLive(TalibLive(plan))

    def expressions(given: Params) -> list[pl.Expr]:
        return mapped(inputs, 1, lambda columns: batch(columns, given))

    return register(
        Indicator(
            "mavp",
            about["display_name"],
            "trend",
            params,
            inputs,
            ("value",),
            warmup,
            batch,
            live,
            expressions,
            "TA-Lib MAVP",
            "average of the day so far: the period of a bar is its number in the session, within the two limits",
            ("value",),
        )
    )


_TAKEN = {
    declaration.source
    for family in (momentum, trend, volatility, volume)
    for declaration in vars(family).values()
    if isinstance(declaration, Indicator)
}
REST = tuple(
    _declare_mavp() if function == "MAVP" else _declare(function)
    for function in talib.get_functions()  # type: ignore[no-untyped-call]  # its stubs leave it open
    if f"TA-Lib {function}" not in _TAKEN
)
"""What this file declares, in TA-Lib's order."""
