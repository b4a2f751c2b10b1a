"""An indicator, declared once; two ways to run it that agree bit for bit.

*Batch*: whole columns at once, for warm-up, scans and back-tests: NumPy arrays (`Indicator.batch`) or Polars
expressions over many instruments (`Indicator.expressions`). *Live*: one finished bar at a time, and a peek at
the forming one (`Indicator.live`). All three are TA-Lib, whose streaming state gives the batch's values to the
last bit from the same first bar. Values are NaN while an indicator warms up.

To add one, write a declaration in a family file; see docs/how-to/add-an-indicator.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import talib
from talib import abstract, stream

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import F64, I64, Candle

if TYPE_CHECKING:
    import polars as pl

Value = tuple[float, ...]
"""One value for each output of an indicator, in the order of its ``outputs``; NaN while it warms up."""

Param = int | float
Params = Mapping[str, Param]

_IST_MS = 19_800_000
_DAY_MS = 86_400_000
_TOO_SHORT: type[Exception] = talib.InsufficientHistory  # type: ignore[attr-defined]  # its stubs forgot it
_SPEC = re.compile(r"([a-z][a-z0-9_]*)(?:\(([^()]*)\))?")


class BarValues(NamedTuple):
    """What an indicator sees of one bar: rupees, units, and the trading day as days since the epoch in IST."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    session: int


def bar_values(candle: Candle) -> BarValues:
    """The figures of a candle.

    Raises:
        DomainError: A figure is not finite: it would spoil every later value.
    """
    values = BarValues(
        candle.open, candle.high, candle.low, candle.close, float(candle.volume), session_of(candle.start_ms)
    )
    if not isfinite(sum(values)):
        raise DomainError(f"a bar with a figure that is not finite: {candle}")
    return values


def session_of(start_ms: int) -> int:
    """The trading day of a bar: days since 1970-01-01 in India."""
    return (start_ms + _IST_MS) // _DAY_MS


@dataclass(frozen=True, slots=True)
class Columns:
    """What an indicator sees of a series: as `BarValues`, one array a field, oldest first."""

    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    session: I64

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
        )

    def __len__(self) -> int:
        return len(self.close)


class Live(Protocol):
    """The running state of an indicator on one series."""

    @property
    def value(self) -> Value:
        """Values at the last finished bar."""
        ...

    def update(self, bar: BarValues) -> Value:
        """Take in a finished bar; return the values at it."""
        ...

    def peek(self, bar: BarValues) -> Value:
        """The values if ``bar``, which is still forming, ended now. Changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Indicator:
    """A declaration: everything that is known of an indicator before it runs.

    Attributes:
        name: As people write it: ``rsi``.
        title: In words.
        params: Parameter names and defaults, in order.
        inputs: Fields of a bar it needs, in order.
        outputs: What it computes, in order.
        warmup: How many bars give no value yet, from the parameters.
        batch: All values of a series from its columns, one array an output.
        live: A new running state.
        expressions: Polars expressions, one an output, over columns named as the inputs; ``session`` is
            an integer column.
    """

    name: str
    title: str
    params: Params
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    warmup: Callable[[Params], int]
    batch: Callable[[Columns, Params], tuple[F64, ...]]
    live: Callable[[Params], Live]
    expressions: Callable[[Params], list[pl.Expr]]


@dataclass(frozen=True, slots=True, order=True)
class Spec:
    """An indicator with its parameters; make it with `spec` or `parse_spec`."""

    name: str
    values: tuple[Param, ...] = ()

    @property
    def indicator(self) -> Indicator:
        """Its declaration."""
        return lookup(self.name)

    @property
    def params(self) -> dict[str, Param]:
        """Parameters by name."""
        return dict(zip(self.indicator.params, self.values, strict=True))

    @property
    def warmup(self) -> int:
        """How many bars give no value yet."""
        return self.indicator.warmup(self.params)

    def __str__(self) -> str:
        return f"{self.name}({','.join(f'{value:g}' for value in self.values)})" if self.values else self.name

    def batch(self, columns: Columns) -> tuple[F64, ...]:
        """All values of a series, one array an output."""
        return self.indicator.batch(columns, self.params)

    def live(self) -> Live:
        """A new running state."""
        return self.indicator.live(self.params)

    def expressions(self) -> list[pl.Expr]:
        """Polars expressions, one an output, named ``rsi(14)`` or ``macd(12,26,9).signal``."""
        outputs = self.indicator.outputs
        names = [str(self)] if len(outputs) == 1 else [f"{self}.{output}" for output in outputs]
        found = self.indicator.expressions(self.params)
        return [expression.alias(name) for expression, name in zip(found, names, strict=True)]


REGISTRY: dict[str, Indicator] = {}
"""Every indicator by name; the family files fill it."""


def register(indicator: Indicator) -> Indicator:
    """Make an indicator known.

    Raises:
        DomainError: The name is taken.
    """
    if indicator.name in REGISTRY:
        raise DomainError(f"two indicators are called {indicator.name!r}")
    REGISTRY[indicator.name] = indicator
    return indicator


def lookup(name: str) -> Indicator:
    """The declaration of an indicator.

    Raises:
        DomainError: No such indicator.
    """
    try:
        return REGISTRY[name]
    except KeyError:
        raise DomainError(f"no indicator {name!r}", f"known: {', '.join(sorted(REGISTRY))}") from None


def spec(name: str, **params: Param) -> Spec:
    """An indicator with some of its parameters set, the others at their defaults.

    Raises:
        DomainError: No such indicator or parameter, or a value that is not positive.
    """
    known = lookup(name).params
    unknown = params.keys() - known.keys()
    if unknown:
        raise DomainError(f"{name} has no parameter {sorted(unknown)[0]!r}", f"it has: {', '.join(known)}")
    values = tuple(params.get(key, default) for key, default in known.items())
    for key, value, default in zip(known, values, known.values(), strict=True):
        if isinstance(default, int) and not isinstance(value, int):
            raise DomainError(f"{name}: {key} must be a whole number, not {value}")
        if not (isfinite(value) and value > 0):
            raise DomainError(f"{name}: {key} must be above zero, not {value}")
    return Spec(name, values)


def parse_spec(text: str) -> Spec:
    """An indicator as people write it: ``rsi``, ``rsi(21)``, ``macd(12,26,9)``.

    Raises:
        DomainError: Not of that form, or as `spec`.
    """
    found = _SPEC.fullmatch(text.replace(" ", "").lower())
    if found is None:
        raise DomainError(f"not an indicator: {text!r}", "write rsi, rsi(21) or macd(12,26,9)")
    known = lookup(found[1]).params
    words = found[2].split(",") if found[2] else []
    if len(words) > len(known):
        raise DomainError(f"{found[1]} takes at most {len(known)} parameters, not {len(words)}")
    params: dict[str, Param] = {}
    for (key, default), word in zip(known.items(), words, strict=False):
        try:
            params[key] = int(word) if isinstance(default, int) else float(word)
        except ValueError:
            raise DomainError(f"{found[1]}: {key} is not a number: {word!r}") from None
    return spec(found[1], **params)


def talib_indicator(
    name: str,
    title: str,
    function: str,
    *,
    params: Params,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...] = ("value",),
    fixed: Params | None = None,
) -> Indicator:
    """Declare and register an indicator that TA-Lib computes.

    Args:
        name: As people write it.
        title: In words.
        function: TA-Lib's name of it.
        params: TA-Lib's parameter names with our defaults.
        inputs: Fields of a bar in TA-Lib's order.
        outputs: Our names of TA-Lib's outputs, in TA-Lib's order.
        fixed: TA-Lib parameters that are not ours to vary.
    """
    compute = getattr(talib, function)
    handle = getattr(stream, function)
    constant = dict(fixed or {})
    lookbacks: dict[tuple[Param, ...], int] = {}

    def warmup(given: Params) -> int:
        key = tuple(given.values())
        if key not in lookbacks:
            declaration = _declaration(function)
            declaration.parameters = {**constant, **given}
            lookbacks[key] = int(declaration.lookback)
        return lookbacks[key]

    def batch(columns: Columns, given: Params) -> tuple[F64, ...]:
        if len(columns) <= warmup(given):
            return tuple(np.full(len(columns), nan) for _ in outputs)
        found = compute(*(getattr(columns, field) for field in inputs), **constant, **given)
        return found if isinstance(found, tuple) else (found,)

    def live(given: Params) -> Live:
        return _TalibLive(handle, inputs, len(outputs), warmup(given), {**constant, **given})

    def expressions(given: Params) -> list[pl.Expr]:
        import polars as pl
        import polars_talib

        columns = [pl.col(field).cast(pl.Float64) for field in inputs]
        found: pl.Expr = getattr(polars_talib, function.lower())(*columns, **constant, **given)
        if len(outputs) == 1:
            return [found]
        return [found.struct.field(field) for field in _declaration(function).output_names]

    return register(Indicator(name, title, params, inputs, outputs, warmup, batch, live, expressions))


def _declaration(function: str) -> Any:
    """TA-Lib's own description of a function; its stubs do not know the class."""
    return abstract.Function(function)  # type: ignore[attr-defined]


class _TalibLive:
    """Keeps the first bars until TA-Lib's streaming state can open on them, then only that state."""

    __slots__ = ("_fields", "_handle", "_history", "_make", "_none", "_params", "_single", "_warmup", "value")

    def __init__(
        self, make: Callable[..., Any], inputs: tuple[str, ...], outputs: int, warmup: int, params: Params
    ) -> None:
        self._make = make
        self._fields = tuple(BarValues._fields.index(field) for field in inputs)
        self._history: list[list[float]] = []
        self._handle: Any = None
        self._warmup = warmup
        self._params = params
        self._single = outputs == 1
        self._none: Value = (nan,) * outputs
        self.value: Value = self._none

    def update(self, bar: BarValues) -> Value:
        figures = [bar[field] for field in self._fields]
        if self._handle is None:
            self._history.append(figures)
            self._handle = self._open(self._history)
            if self._handle is None:
                return self.value
            self._history = []
            found = self._handle.value
        else:
            found = self._handle.update(*figures)
        self.value = (found,) if self._single else found
        return self.value

    def peek(self, bar: BarValues) -> Value:
        figures = [bar[field] for field in self._fields]
        if self._handle is None:
            trial = self._open([*self._history, figures])
            if trial is None:
                return self._none
            found = trial.value
        else:
            found = self._handle.peek(*figures)
        return (found,) if self._single else found

    def _open(self, history: list[list[float]]) -> Any:
        if len(history) <= self._warmup:
            return None
        columns = np.array(history, np.float64).T
        try:
            return self._make(*(np.ascontiguousarray(column) for column in columns), **self._params)
        except _TOO_SHORT:
            return None  # seeding needs a little more than the lookback says
