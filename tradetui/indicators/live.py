"""The indicators that run: one state for every series and indicator, moved by finished bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tradetui.domain.market_data import Candle
from tradetui.indicators.base import Live, Spec, Value, bar_values


@dataclass(slots=True)
class _Series:
    """States of one instrument and interval."""

    states: dict[Spec, Live]
    origin_ms: int = 0
    last_ms: int = 0
    bars: int = 0


class IndicatorSet:
    """Live indicators by slot and interval. States open with the first bar of a series.

    Args:
        wanted: Indicators by interval in seconds.
    """

    def __init__(self, wanted: Mapping[int, Iterable[Spec]]) -> None:
        # Sorted, and each once: the order of updates is part of what must be the same in every run.
        self._wanted = {interval_s: tuple(sorted(set(specs))) for interval_s, specs in wanted.items()}
        self._series: dict[tuple[int, int], _Series] = {}

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
        specs = self._wanted.get(candle.interval_s)
        if not specs:
            return False
        key = (candle.slot, candle.interval_s)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series({spec: spec.live() for spec in specs})
        if candle.start_ms <= series.last_ms:
            return False
        values = bar_values(candle)
        for state in series.states.values():
            state.update(values)
        series.origin_ms = series.origin_ms or candle.start_ms
        series.last_ms = candle.start_ms
        series.bars += 1
        return True

    def restart(self, slot: int, interval_s: int, candles: Iterable[Candle]) -> None:
        """Forget a series and start it again from ``candles``, oldest first: its history has changed.

        Raises:
            DomainError: A figure of a bar is not finite.
        """
        self._series.pop((slot, interval_s), None)
        for candle in candles:
            self.on_candle(candle)

    def value(self, slot: int, interval_s: int, spec: Spec) -> Value:
        """Values at the last finished bar; empty if the series or indicator does not run."""
        series = self._series.get((slot, interval_s))
        state = series.states.get(spec) if series else None
        return state.value if state else ()

    def peek(self, candle: Candle, spec: Spec) -> Value:
        """Values if the forming bar ended now; empty if the series or indicator does not run.

        Raises:
            DomainError: A figure of the bar is not finite.
        """
        series = self._series.get((candle.slot, candle.interval_s))
        state = series.states.get(spec) if series else None
        return state.peek(bar_values(candle)) if state else ()

    def last_ms(self, slot: int, interval_s: int) -> int:
        """Start of the last bar taken in, epoch ms; 0 if none."""
        series = self._series.get((slot, interval_s))
        return series.last_ms if series else 0

    def origin_ms(self, slot: int, interval_s: int) -> int:
        """Start of the first bar taken in, epoch ms; 0 if none. Recursive indicators depend on it."""
        series = self._series.get((slot, interval_s))
        return series.origin_ms if series else 0

    def bars(self, slot: int, interval_s: int) -> int:
        """How many bars were taken in."""
        series = self._series.get((slot, interval_s))
        return series.bars if series else 0
