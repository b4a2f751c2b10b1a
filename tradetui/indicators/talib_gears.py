"""Indicators that TA-Lib computes: its functions for batches, its streaming handles for live bars.

TA-Lib 0.8 has a streaming state for each of its functions. Opened on any part of a series it goes on with the
values of the batch, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import talib
from talib import abstract, stream

from tradetui.domain.market_data import F64, I64
from tradetui.indicators.bars import BarValues, Columns
from tradetui.indicators.base import Indicator, Live, Param, Params, Value, register

if TYPE_CHECKING:
    import polars as pl

_TOO_SHORT: type[Exception] = talib.InsufficientHistory  # type: ignore[attr-defined]  # its stubs forgot it
_ROUNDS_APART: Final = frozenset({"TYPPRICE"})
"""Functions that the TA-Lib inside polars-talib rounds differently in the last bit: its compiler divided by 3
otherwise. Their expressions call the same library as the other gears."""


def talib_indicator(
    name: str,
    title: str,
    function: str,
    *,
    family: str,
    params: Params,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...] = ("value",),
    about: str = "",
    on_price: tuple[str, ...] | None = None,
) -> Indicator:
    """Declare and register an indicator that TA-Lib computes.

    Args:
        name: As people write it.
        title: In words.
        function: TA-Lib's name of it.
        family: Where it stands in lists.
        params: TA-Lib's parameter names with our defaults; the rest keeps TA-Lib's.
        inputs: Fields of a bar in TA-Lib's order.
        outputs: Our names of TA-Lib's outputs, in TA-Lib's order.
        about: One line on the outputs.
        on_price: Outputs on the scale of prices; None: all or none, as TA-Lib says.
    """
    gears = _Gears(function, inputs, len(outputs))
    if on_price is None:
        on_price = outputs if scaled_as_prices(function) else ()
    return register(
        Indicator(
            name,
            title,
            family,
            params,
            inputs,
            outputs,
            gears.warmup,
            gears.batch,
            gears.live,
            gears.expressions,
            f"TA-Lib {function}",
            about,
            on_price,
        )
    )


class _Gears:
    """The ways to run one TA-Lib function, as `Indicator` has them."""

    def __init__(self, function: str, inputs: tuple[str, ...], outputs: int) -> None:
        self._function = function
        self._compute = getattr(talib, function)
        self._handle = getattr(stream, function)
        self._inputs = inputs
        self._outputs = outputs
        self._lookbacks: dict[tuple[Param, ...], int] = {}
        self._plans: dict[tuple[Param, ...], TalibPlan] = {}

    def warmup(self, given: Params) -> int:
        key = tuple(given.values())
        if key not in self._lookbacks:
            declaration = declared(self._function)
            declaration.parameters = dict(given)
            self._lookbacks[key] = int(declaration.lookback)  # -1 where TA-Lib does not take the parameters
        return self._lookbacks[key]

    def batch(self, columns: Columns, given: Params) -> tuple[F64, ...]:
        skip = self.warmup(given)
        if len(columns) <= skip:
            return tuple(np.full(len(columns), nan) for _ in range(self._outputs))
        found = self._compute(*(getattr(columns, field) for field in self._inputs), **given)
        return tuple(_floats(column, skip) for column in (found if isinstance(found, tuple) else (found,)))

    def live(self, given: Params) -> Live:
        key = tuple(given.values())
        plan = self._plans.get(key)
        if plan is None:
            plan = TalibPlan(self._handle, self._inputs, self._outputs, self.warmup(given), dict(given))
            self._plans[key] = plan
        return TalibLive(plan)

    def expressions(self, given: Params) -> list[pl.Expr]:
        import polars as pl

        if self._function in _ROUNDS_APART:
            return mapped(self._inputs, self._outputs, lambda columns: self.batch(columns, given))
        import polars_talib

        columns = [pl.col(field).cast(pl.Float64) for field in self._inputs]
        found: pl.Expr = getattr(polars_talib, self._function.lower())(*columns, **given)
        names = declared(self._function).output_names
        parts = [found] if self._outputs == 1 else [found.struct.field(field) for field in names]
        # Whole-number outputs show 0 while they warm up; ours are NaN like everybody's.
        warm = pl.int_range(pl.len()) >= self.warmup(given)
        return [pl.when(warm).then(part.cast(pl.Float64)).otherwise(nan).fill_null(nan) for part in parts]


def declared(function: str) -> Any:
    """TA-Lib's own description of a function; its stubs do not know the class."""
    return abstract.Function(function)  # type: ignore[attr-defined]


def scaled_as_prices(function: str) -> bool:
    """Whether TA-Lib says that a function's outputs have the scale of its inputs."""
    return "Output scale same as input" in (declared(function).function_flags or ())


def _floats(column: Any, skip: int) -> F64:
    """A column of TA-Lib's; whole numbers become floats that are NaN while the function warms up."""
    if column.dtype == np.float64:
        found: F64 = column
        return found
    made: F64 = column.astype(np.float64)
    made[:skip] = nan
    return made


def mapped(
    inputs: tuple[str, ...], outputs: int, batch: Callable[[Columns], tuple[F64, ...]]
) -> list[pl.Expr]:
    """Expressions that hand whole columns to ``batch``; slower than native ones, equal by construction."""
    import polars as pl

    def one(which: int) -> pl.Expr:
        def compute(series: Sequence[pl.Series]) -> pl.Series:
            given = dict(zip(inputs, series, strict=True))
            none, whole = np.zeros(len(series[0])), np.zeros(len(series[0]), np.int64)

            def figures(name: str) -> F64:
                return given[name].cast(pl.Float64).to_numpy() if name in given else none

            def numbers(name: str) -> I64:
                return given[name].cast(pl.Int64).to_numpy() if name in given else whole

            columns = Columns(
                figures("open"),
                figures("high"),
                figures("low"),
                figures("close"),
                figures("volume"),
                numbers("session"),
                numbers("start_ms"),
            )
            return pl.Series(batch(columns)[which])

        return pl.map_batches([pl.col(name) for name in inputs], compute, return_dtype=pl.Float64)

    return [one(which) for which in range(outputs)]


class TalibPlan:
    """What the streaming states of one function with the same parameters share.

    Args:
        make: TA-Lib's class of the state.
        fields: Fields of a bar in TA-Lib's order.
        outputs: How many.
        warmup: Bars without a value.
        params: By TA-Lib's names.
    """

    __slots__ = ("fields", "make", "none", "params", "places", "single", "warmup")

    def __init__(
        self, make: Callable[..., Any], fields: tuple[str, ...], outputs: int, warmup: int, params: Params
    ) -> None:
        self.make = make
        self.fields = fields
        self.places = tuple(BarValues._fields.index(field) for field in fields)
        self.warmup = warmup
        self.params = params
        self.single = outputs == 1
        self.none: Value = (nan,) * outputs

    def open(self, series: Sequence[F64]) -> Any:
        """A state on a whole series; None while there are too few bars."""
        if len(series[0]) <= self.warmup:
            return None
        try:
            return self.make(*series, **self.params)
        except _TOO_SHORT:
            return None  # seeding needs a little more than the lookback says

    def values(self, found: Any) -> Value:
        """What a state says, as floats."""
        return (float(found),) if self.single else tuple(map(float, found))


class TalibLive:
    """Keeps the first bars until TA-Lib's streaming state can open on them, then only that state.

    Attributes:
        plan: What it shares with others.
        handle: TA-Lib's streaming state; None until there are bars enough.
    """

    __slots__ = ("_history", "handle", "plan")

    def __init__(self, plan: TalibPlan) -> None:
        self.plan = plan
        self.handle: Any = None
        self._history: list[list[float]] = []

    @property
    def value(self) -> Value:
        """See `base.Live`."""
        return self.plan.none if self.handle is None else self.plan.values(self.handle.value)

    def update(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        figures = [bar[place] for place in self.plan.places]
        if self.handle is not None:
            return self.plan.values(self.handle.update(*figures))
        self._history.append(figures)
        self.handle = self._opened(self._history)
        if self.handle is not None:
            self._history = []
        return self.value

    def peek(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        figures = [bar[place] for place in self.plan.places]
        if self.handle is not None:
            return self.plan.values(self.handle.peek(*figures))
        trial = self._opened([*self._history, figures])
        return self.plan.none if trial is None else self.plan.values(trial.value)

    def begin(self, columns: Columns) -> None:
        """See `base.Live`."""
        series = [getattr(columns, field) for field in self.plan.fields]
        self.handle = self.plan.open(series)
        self._history = [] if self.handle is not None else np.array(series).T.tolist()

    def _opened(self, history: list[list[float]]) -> Any:
        if len(history) <= self.plan.warmup:
            return None
        return self.plan.open([np.ascontiguousarray(column) for column in np.array(history, np.float64).T])
