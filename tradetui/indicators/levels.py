"""Levels that a day takes from the day before, or from its own beginning: pivots, CPR, opening range.

They hold from the first bar of a session to its last. On a series of days each day is a session of its own, so
today's levels come from yesterday's bar. There are none on the first session of a series, and none on the second one
if the first began later in the day than it: a series may begin in the middle of a session, and half a session has
no high and low.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import NamedTuple

from tradetui.indicators.bars import BarValues, time_of_day
from tradetui.indicators.base import Indicator, Params, Value
from tradetui.indicators.steps import step_indicator

_INPUTS = ("high", "low", "close", "session", "start_ms")
_CAMARILLA = (1.1 / 12.0, 1.1 / 6.0, 1.1 / 4.0, 1.1 / 2.0)
_FIBONACCI = (0.382, 0.618, 1.0)


class _Days(NamedTuple):
    """The running session, and the levels that the one before it gave.

    ``opened_ms`` is when the series' first session began, from midnight; 0 for later sessions, which are whole.
    """

    session: int
    high: float
    low: float
    close: float
    levels: Value
    opened_ms: int = 0


Levels = Callable[[float, float, float], Value]
"""High, low and close of a session, rupees, into levels of the next one."""


def _levels_indicator(
    name: str, title: str, outputs: tuple[str, ...], about: str, levels: Levels
) -> Indicator:
    none: Value = (nan,) * len(outputs)

    @step_indicator(name, title, family="levels", inputs=_INPUTS, outputs=outputs, warmup=1, about=about)
    def made(state: _Days | None, bar: BarValues, params: Params) -> tuple[_Days, Value]:
        if state is None:
            known = _Days(bar.session, bar.high, bar.low, bar.close, none, time_of_day(bar.start_ms))
        elif bar.session != state.session and state.opened_ms > time_of_day(bar.start_ms):
            known = _Days(bar.session, bar.high, bar.low, bar.close, none)
        elif bar.session != state.session:
            known = _Days(
                bar.session, bar.high, bar.low, bar.close, levels(state.high, state.low, state.close)
            )
        else:
            known = state._replace(
                high=max(state.high, bar.high), low=min(state.low, bar.low), close=bar.close
            )
        return known, known.levels

    return made


def _classic(high: float, low: float, close: float) -> Value:
    pivot = (high + low + close) / 3.0
    reach = high - low
    return (
        pivot,
        2.0 * pivot - low,
        pivot + reach,
        high + 2.0 * (pivot - low),
        2.0 * pivot - high,
        pivot - reach,
        low - 2.0 * (high - pivot),
    )


def _camarilla(high: float, low: float, close: float) -> Value:
    reach = high - low
    steps = [reach * share for share in _CAMARILLA]
    return ((high + low + close) / 3.0, *(close + step for step in steps), *(close - step for step in steps))


def _fibonacci(high: float, low: float, close: float) -> Value:
    pivot, reach = (high + low + close) / 3.0, high - low
    steps = [reach * share for share in _FIBONACCI]
    return (pivot, *(pivot + step for step in steps), *(pivot - step for step in steps))


def _central(high: float, low: float, close: float) -> Value:
    pivot, middle = (high + low + close) / 3.0, (high + low) / 2.0
    other = 2.0 * pivot - middle
    return (pivot, max(middle, other), min(middle, other))


PIVOTS = _levels_indicator(
    "pivots",
    "Pivot points, classic",
    ("pivot", "r1", "r2", "r3", "s1", "s2", "s3"),
    "from high, low and close of the session before",
    _classic,
)
CAMARILLA = _levels_indicator(
    "camarilla",
    "Pivot points, Camarilla",
    ("pivot", "r1", "r2", "r3", "r4", "s1", "s2", "s3", "s4"),
    "close of the session before, plus and minus 1.1/12, 1.1/6, 1.1/4 and 1.1/2 of its range",
    _camarilla,
)
FIBONACCI = _levels_indicator(
    "fibonacci",
    "Pivot points, Fibonacci",
    ("pivot", "r1", "r2", "r3", "s1", "s2", "s3"),
    "pivot plus and minus 38.2%, 61.8% and 100% of the range of the session before",
    _fibonacci,
)
CPR = _levels_indicator(
    "cpr",
    "Central pivot range",
    ("pivot", "top", "bottom"),
    "pivot, and the middle of the range with its mirror image at the pivot, of the session before",
    _central,
)


class _Opening(NamedTuple):
    """The beginning of a session so far."""

    session: int
    end_ms: int
    high: float
    low: float


@step_indicator(
    "opening_range",
    "Opening range",
    family="levels",
    inputs=("high", "low", "session", "start_ms"),
    outputs=("high", "low"),
    params={"minutes": 15},
    about="of the bars that start in the first minutes of the session, counted from its first bar; grows until then",
)
def opening_range(state: _Opening | None, bar: BarValues, params: Params) -> tuple[_Opening, Value]:
    """High and low of the session's beginning; while it lasts, of what there is of it."""
    if state is None or state.session != bar.session:
        known = _Opening(bar.session, bar.start_ms + int(params["minutes"]) * 60_000, bar.high, bar.low)
    elif bar.start_ms < state.end_ms:
        known = state._replace(high=max(state.high, bar.high), low=min(state.low, bar.low))
    else:
        known = state
    return known, (known.high, known.low)
