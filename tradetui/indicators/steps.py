"""Indicators of our own, each one pure function: state and bar in, state and values out.

The function is all there is. Live updates keep its state, a peek throws the new state away, a batch folds it over
the columns: they agree because they are the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from math import nan
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import F64
from tradetui.indicators.bars import BarValues, Columns
from tradetui.indicators.base import Indicator, Params, Value, register
from tradetui.indicators.talib_gears import mapped

if TYPE_CHECKING:
    import polars as pl


class Step(Protocol):
    """One step: what was known before a bar (None before the first) and the bar, into both anew.

    It must not change ``state``: a peek uses it and keeps the old one.
    """

    def __call__(self, state: Any, bar: BarValues, params: Params) -> tuple[Any, Value]:
        """The state after the bar, and the values at it."""
        ...


Batch = Callable[[Columns, Params], tuple[F64, ...]]


def step_indicator(
    name: str,
    title: str,
    *,
    family: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...] = ("value",),
    params: Params | None = None,
    least: Params | None = None,
    warmup: int = 0,
    check: Callable[[Params], object] | None = None,
    batch: Batch | None = None,
    about: str = "",
    on_price: bool = True,
) -> Callable[[Step], Indicator]:
    """Make an indicator of a step function.

    Args:
        name: As people write it.
        title: In words.
        family: Where it stands in lists.
        inputs: Fields of a bar that the step looks at.
        outputs: Names of the values, in order.
        params: Parameter names and defaults.
        least: The least value a parameter may have; 1 for those not named.
        warmup: How many bars at least give no value yet.
        check: Raises `DomainError` for parameters that make no sense.
        batch: The same over whole columns, where a loop over bars is too slow; the tests hold it to the last bit.
        about: One line on the outputs.
        on_price: The outputs stand on the scale of prices.
    """
    known = dict(params or {})
    floors = {key: (least or {}).get(key, 1) for key in known}

    def decorate(step: Step) -> Indicator:
        def checked(given: Params) -> int:
            for key, value in given.items():
                if value < floors[key]:
                    raise DomainError(f"{name}: {key} must be at least {floors[key]}, not {value}")
            if check is not None:
                check(given)
            return warmup

        chosen = batch or partial(_folded, step, len(outputs))

        def expressions(given: Params) -> list[pl.Expr]:
            return mapped(inputs, len(outputs), lambda columns: chosen(columns, given))

        return register(
            Indicator(
                name,
                title,
                family,
                known,
                inputs,
                outputs,
                checked,
                chosen,
                lambda given: StepLive(step, given, len(outputs)),
                expressions,
                about=about,
                on_price=outputs if on_price else (),
            )
        )

    return decorate


def _folded(step: Step, outputs: int, columns: Columns, given: Params) -> tuple[F64, ...]:
    """A step function over whole columns, bar by bar."""
    out = np.full((len(columns), outputs), nan)
    state = None
    for row, bar in enumerate(columns.rows()):
        state, out[row] = step(state, bar, given)
    return tuple(np.ascontiguousarray(out.T))


class StepLive:
    """The state of a step function."""

    __slots__ = ("_params", "_state", "_step", "value")

    def __init__(self, step: Step, params: Params, outputs: int) -> None:
        self._step = step
        self._params = params
        self._state: Any = None
        self.value: Value = (nan,) * outputs

    def update(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        self._state, self.value = self._step(self._state, bar, self._params)
        return self.value

    def peek(self, bar: BarValues) -> Value:
        """See `base.Live`."""
        return self._step(self._state, bar, self._params)[1]

    def begin(self, columns: Columns) -> None:
        """See `base.Live`."""
        self._state, self.value = reduce(
            lambda known, bar: self._step(known[0], bar, self._params), columns.rows(), (None, self.value)
        )
