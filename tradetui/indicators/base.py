"""An indicator, declared once; the ways to run it agree bit for bit.

*Batch*: whole columns at once, for warm-up and back-tests (`Spec.batch`), for scans over many instruments
(`scan.scan`) or as Polars expressions (`Spec.expressions`). *Live*: one finished bar at a time, and a peek at the
forming one (`Spec.live`). From the same first bar all of them give the same values to the last bit. Values are
NaN while an indicator warms up.

To add one, write a declaration in a family file; see docs/how-to/add-an-indicator.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Protocol

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import F64
from tradetui.indicators.bars import BarValues, Columns

if TYPE_CHECKING:
    import polars as pl

Value = tuple[float, ...]
"""One value for each output of an indicator, in the order of its ``outputs``; NaN while it warms up."""

Param = int | float
Params = Mapping[str, Param]

_SPEC = re.compile(r"([a-z][a-z0-9_]*)(?:\(([^()]*)\))?")


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

    def begin(self, columns: Columns) -> None:
        """Start from a whole series at once: the same as updates with each of its bars on a new state."""
        ...


@dataclass(frozen=True, slots=True)
class Indicator:
    """A declaration: everything that is known of an indicator before it runs.

    Attributes:
        name: As people write it: ``rsi``.
        title: In words.
        family: Where it stands in lists: ``trend``, ``momentum`` and so on.
        params: Parameter names and defaults, in order.
        inputs: Fields of a bar it needs, in order.
        outputs: What it computes, in order.
        warmup: How many bars give no value yet, from the parameters; raises `DomainError` for parameters that
            make no sense. Indicators of past sessions need whole sessions besides.
        batch: All values of a series from its columns, one array an output.
        live: A new running state.
        expressions: Polars expressions, one an output, over columns named as the inputs; ``session`` and
            ``start_ms`` are integer columns. They may stand in ``over("symbol")``.
        source: Who computes it: ``TA-Lib RSI``, or ``tradetui``.
        about: One line on what the outputs mean, where the title does not say it.
        on_price: Outputs that stand on the scale of prices, so that a chart can draw them over its bars.
    """

    name: str
    title: str
    family: str
    params: Params
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    warmup: Callable[[Params], int]
    batch: Callable[[Columns, Params], tuple[F64, ...]]
    live: Callable[[Params], Live]
    expressions: Callable[[Params], list[pl.Expr]]
    source: str = "tradetui"
    about: str = ""
    on_price: tuple[str, ...] = ()


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

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each output: ``rsi(14)``, or ``macd(12,26,9).signal`` where there are several."""
        outputs = self.indicator.outputs
        return (str(self),) if len(outputs) == 1 else tuple(f"{self}.{output}" for output in outputs)

    def __str__(self) -> str:
        shown = list(zip(self.indicator.params.items(), self.values, strict=True))
        # Kinds of moving averages at the end are left out while they are the usual ones.
        while shown and shown[-1][0][0].endswith("matype") and shown[-1][0][1] == shown[-1][1]:
            shown.pop()
        words = [str(value) if isinstance(value, int) else f"{value:.15g}" for _, value in shown]
        return f"{self.name}({','.join(words)})" if words else self.name

    def batch(self, columns: Columns) -> tuple[F64, ...]:
        """All values of a series, one array an output."""
        return self.indicator.batch(columns, self.params)

    def live(self) -> Live:
        """A new running state."""
        return self.indicator.live(self.params)

    def expressions(self) -> list[pl.Expr]:
        """Polars expressions, one an output, named as `columns`."""
        found = self.indicator.expressions(self.params)
        return [expression.alias(name) for expression, name in zip(found, self.columns, strict=True)]


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
        raise DomainError(f"no indicator {name!r}", _known(name)) from None


def _known(name: str) -> str:
    """What somebody may have meant; all names would fill the screen."""
    from difflib import get_close_matches

    close = get_close_matches(name, REGISTRY, n=5, cutoff=0.5)
    like = f"Did you mean {', '.join(close)}? " if close else ""
    return f"{like}`tradetui indicators list` names all {len(REGISTRY)}."


def spec(name: str, **params: Param) -> Spec:
    """An indicator with some of its parameters set, the others at their defaults.

    Raises:
        DomainError: No such indicator or parameter, or a value that it does not take.
    """
    indicator = lookup(name)
    known = indicator.params
    unknown = params.keys() - known.keys()
    if unknown:
        has = f"it has: {', '.join(known)}" if known else "it has none"
        raise DomainError(f"{name} has no parameter {sorted(unknown)[0]!r}", has)
    values: list[Param] = []
    for key, default in known.items():
        value = params.get(key, default)
        if isinstance(default, int) and not isinstance(value, int):
            raise DomainError(f"{name}: {key} must be a whole number, not {value}")
        if not isfinite(value):
            raise DomainError(f"{name}: {key} must be a number, not {value}")
        values.append(value if isinstance(default, int) else float(value))
    made = Spec(name, tuple(values))
    if made.warmup < 0:
        raise DomainError(f"{name} does not take {', '.join(f'{k} {v:g}' for k, v in made.params.items())}")
    return made


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
