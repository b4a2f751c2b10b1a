"""The bars of a run: those that finished, in their history, and the one that is forming."""

from __future__ import annotations

from collections.abc import Iterable

from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.candles import CandleBuilder
from tradetui.market.days import DAY_S
from tradetui.market.history import History
from tradetui.market.periods import NextSession, PeriodBars


class BarBook:
    """Keeps finished bars and makes weeks and months of the days.

    Args:
        candles: Builds bars of up to a day.
        history: Where finished bars are kept.
        intervals: All that are wanted, seconds.
        next_session: The trading calendar, for the ends of weeks and months.
    """

    def __init__(
        self, candles: CandleBuilder, history: History, intervals: Iterable[int], next_session: NextSession
    ) -> None:
        self._candles = candles
        self._history = history
        self._periods = PeriodBars(history, intervals, next_session)

    def take(self, finished: list[Candle]) -> list[Candle]:
        """Keep bars that finished together; weeks and months that end with them are put behind them.

        Args:
            finished: Ordered by interval; longer bars are appended to it.

        Returns:
            What indicators and strategies see: everything but the broker's own day, which is kept beside ours in
            the store only.
        """
        append, bars = self._history.append, []
        days: list[Candle] = []
        for candle in finished:
            if candle.interval_s == DAY_S:
                if candle.source is BarSource.BROKER:
                    continue
                days.append(candle)
            append(candle)
            bars.append(candle)
        longer = [bar for day in days for bar in self._periods.finished(day)]
        longer.sort(key=lambda bar: (bar.interval_s, bar.slot, bar.start_ms))
        for candle in longer:
            append(candle)
        finished += longer
        return bars + longer

    def newest(self, slot: int, interval_s: int, count: int) -> list[Candle]:
        """The newest bars of an instrument, the forming one last."""
        found = self._history.candles(slot, interval_s)[-count:]
        forming = self.forming(slot, interval_s)
        if forming is not None and (not found or forming.start_ms > found[-1].start_ms):
            found.append(forming)
        return found

    def forming(self, slot: int, interval_s: int) -> Candle | None:
        """The unfinished bar; None if there is none."""
        if interval_s in self._periods.intervals:
            return self._periods.forming(slot, interval_s, self._candles.forming(slot, DAY_S))
        return self._candles.forming(slot, interval_s)
