"""The indicators that run: one state for every series and indicator, moved by finished bars.

A minute close moves thousands of series at once, so what happens for each bar is kept to the bone: the streaming
states of TA-Lib are called directly, in groups that take the same fields; their values are read when somebody
asks. `tradetui bench indicators` watches the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import Any

from tradetui.domain.market_data import Candle
from tradetui.indicators.bars import Columns, bar_values
from tradetui.indicators.base import Live, Spec, Value
from tradetui.indicators.talib_gears import TalibLive

_CLOSE, _HLC = ("close",), ("high", "low", "close")
_FAR = 1 << 62


@dataclass(slots=True)
class _Series:
    """States of one instrument and interval.

    Attributes:
        states: By indicator, in the order of the specs.
        on_close: Updates that take the close.
        on_hlc: Updates that take high, low and close.
        on_fields: Updates that take other fields, with what picks them from a candle.
        on_bar: States that want the whole bar: our own, and those still without their first bars.
        rest: There are some on the two last lists.
        origin_ms: Start of the first bar taken in, epoch ms.
        last_ms: Start of the last one.
        bars: How many.
    """

    states: dict[Spec, Live]
    on_close: list[Callable[[float], Any]] = field(default_factory=list)
    on_hlc: list[Callable[[float, float, float], Any]] = field(default_factory=list)
    on_fields: list[tuple[Callable[..., Any], Callable[[Candle], tuple[float, ...]]]] = field(
        default_factory=list
    )
    on_bar: list[Live] = field(default_factory=list)
    rest: bool = False
    origin_ms: int = 0
    last_ms: int = 0
    bars: int = 0

    def regroup(self) -> None:
        """Sort the states anew: some of them may have opened."""
        for group in (self.on_close, self.on_hlc, self.on_fields, self.on_bar):
            group.clear()  # in place: the set's table holds the lists themselves
        for state in self.states.values():
            if not isinstance(state, TalibLive) or state.handle is None:
                self.on_bar.append(state)
            elif state.plan.fields == _CLOSE:
                self.on_close.append(state.handle.update)
            elif state.plan.fields == _HLC:
                self.on_hlc.append(state.handle.update)
            else:
                self.on_fields.append((state.handle.update, _picker(state.plan.fields)))
        self.rest = bool(self.on_fields or self.on_bar)

    def move(self, candle: Candle) -> None:
        """Take in a bar with the states that are not on the short way; some of them may be on it from then on."""
        for update, pick in self.on_fields:
            update(*pick(candle))
        if self.on_bar:
            bar = bar_values(candle)
            opened = False
            for state in self.on_bar:
                state.update(bar)
                opened = opened or (isinstance(state, TalibLive) and state.handle is not None)
            if opened:
                self.regroup()


_Entry = tuple[list[Callable[[float], Any]], list[Callable[[float, float, float], Any]], _Series]
"""A series behind the two lists that every bar needs: fewer look-ups than through the series."""


def _entry(series: _Series) -> _Entry:
    return series.on_close, series.on_hlc, series


def _picker(fields: tuple[str, ...]) -> Callable[[Candle], tuple[float, ...]]:
    """What takes the fields out of a candle, as a tuple."""
    if len(fields) > 1:
        return attrgetter(*fields)
    name = fields[0]
    return lambda candle: (getattr(candle, name),)


class IndicatorSet:
    """Live indicators by slot and interval. States open with the first bar of a series.

    Args:
        wanted: Indicators by interval in seconds.
        looks_at: Whether an instrument (by slot) has indicators at all; asked once for each.
    """

    def __init__(
        self, wanted: Mapping[int, Iterable[Spec]], looks_at: Callable[[int], bool] = lambda slot: True
    ) -> None:
        # Sorted, and each once: the order of updates is part of what must be the same in every run.
        self._wanted = {interval_s: tuple(sorted(set(specs))) for interval_s, specs in wanted.items()}
        self._makers = {
            interval_s: [(spec, spec.indicator.live, spec.params) for spec in specs]
            for interval_s, specs in self._wanted.items()
        }
        self._looks_at = looks_at
        self._series: dict[int, dict[int, _Entry]] = {
            interval_s: {} for interval_s, specs in self._wanted.items() if specs
        }

    @property
    def intervals(self) -> tuple[int, ...]:
        """Intervals with indicators, in seconds, ascending."""
        return tuple(sorted(self._wanted))

    def specs(self, interval_s: int) -> tuple[Spec, ...]:
        """Indicators of an interval."""
        return self._wanted.get(interval_s, ())

    def on_candle(self, candle: Candle) -> bool:
        """Take in a finished bar; False, and nothing done, for one that is not newer or not wanted.

        Raises:
            DomainError: A figure of the bar is not finite.
        """
        before = self.bars(candle.slot, candle.interval_s)
        self.on_candles((candle,))
        return self.bars(candle.slot, candle.interval_s) > before

    def on_candles(self, candles: Iterable[Candle]) -> None:
        """Take in finished bars, those of one series oldest first; what is not newer or not wanted is passed over.

        Raises:
            DomainError: A figure of a bar is not finite; the bars before it were taken in.
        """
        interval_s = -1
        table: dict[int, _Entry] | None = None
        for candle in candles:
            if candle.interval_s != interval_s:
                interval_s = candle.interval_s
                table = self._series.get(interval_s)
            if table is None:
                continue
            try:
                on_close, on_hlc, series = table[candle.slot]
            except KeyError:
                on_close, on_hlc, series = self._first(table, candle)
            start_ms = candle.start_ms
            if start_ms <= series.last_ms:
                continue
            high, low, close = candle.high, candle.low, candle.close
            rest = series.rest
            if rest or not (0.0 < low <= close <= high < inf):
                bar_values(candle)  # one that is not finite raises, before any state has moved
            for update in on_close:
                update(close)
            for move in on_hlc:
                move(high, low, close)
            if rest:
                series.move(candle)
            series.last_ms = start_ms
            series.bars += 1

    def _first(self, table: dict[int, _Entry], candle: Candle) -> _Entry:
        """The series that a bar begins; one that takes nothing for an instrument that is not looked at."""
        if not self._looks_at(candle.slot):
            table[candle.slot] = entry = _entry(_Series({}, last_ms=_FAR))
            return entry
        bar_values(candle)  # one that is not finite must not begin a series
        series = self._new(candle.interval_s, candle.slot, candle.start_ms)
        series.regroup()
        return table[candle.slot]

    def _new(self, interval_s: int, slot: int, start_ms: int) -> _Series:
        states = {spec: make(params) for spec, make, params in self._makers[interval_s]}
        series = _Series(states, origin_ms=start_ms)
        self._series[interval_s][slot] = _entry(series)
        return series

    def restart(self, slot: int, interval_s: int, columns: Columns) -> None:
        """Forget a series and start it again from ``columns``: its history has changed.

        Raises:
            DomainError: A figure of a bar is not finite.
        """
        table = self._series.get(interval_s)
        if table is None or not self._looks_at(slot):
            return
        table.pop(slot, None)
        if not len(columns):
            return
        columns.check()
        series = self._new(interval_s, slot, columns.start_ms.item(0))
        for state in series.states.values():
            state.begin(columns)
        series.regroup()
        series.last_ms = columns.start_ms.item(-1)
        series.bars = len(columns)

    def _of(self, slot: int, interval_s: int) -> _Series | None:
        entry = self._series.get(interval_s, {}).get(slot)
        return entry[2] if entry is not None and entry[2].states else None

    def value(self, slot: int, interval_s: int, spec: Spec) -> Value:
        """Values at the last finished bar; empty if the series or indicator does not run."""
        series = self._of(slot, interval_s)
        state = series.states.get(spec) if series is not None else None
        return state.value if state is not None else ()

    def peek(self, candle: Candle, spec: Spec) -> Value:
        """Values if the forming bar ended now; empty if the series or indicator does not run.

        Raises:
            DomainError: A figure of the bar is not finite.
        """
        series = self._of(candle.slot, candle.interval_s)
        state = series.states.get(spec) if series is not None else None
        return state.peek(bar_values(candle)) if state is not None else ()

    def last_ms(self, slot: int, interval_s: int) -> int:
        """Start of the last bar taken in, epoch ms; 0 if none."""
        series = self._of(slot, interval_s)
        return series.last_ms if series is not None else 0

    def origin_ms(self, slot: int, interval_s: int) -> int:
        """Start of the first bar taken in, epoch ms; 0 if none. Recursive indicators depend on it."""
        series = self._of(slot, interval_s)
        return series.origin_ms if series is not None else 0

    def bars(self, slot: int, interval_s: int) -> int:
        """How many bars were taken in."""
        series = self._of(slot, interval_s)
        return series.bars if series is not None else 0
