"""Runs strategies over finished bars: indicators first, then each strategy, errors suspended, switches kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from tradetui.domain.market_data import Candle
from tradetui.indicators import Columns, IndicatorSet, Spec
from tradetui.market.event_bars import EventBars, parse_rule
from tradetui.market.folding import Gaps
from tradetui.market.history import Bars, History
from tradetui.market.quotes import Quotes, Trades
from tradetui.strategies.base import Signal, Strategy
from tradetui.strategies.context import MarketContext


@dataclass(slots=True)
class Switches:
    """State of one strategy.

    Attributes:
        running: Its signals are computed.
        auto: Its signals may become orders; off until a person turns it on.
        signals: How many it gave in this run.
        error: Why it was suspended; empty while it is fine.
    """

    running: bool = True
    auto: bool = False
    signals: int = 0
    error: str = ""


class StrategyRunner:
    """All strategies of a run.

    Args:
        strategies: In the order in which they are called.
        quotes, history: Market state, brought up to date before `on_candles`.
        looks_at: Whether strategies look at an instrument (by slot); indicators run for these only.
        position_units: Units held by slot.
        gaps: When the feed was down, for bars that end with what was traded.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        quotes: Quotes,
        history: History,
        looks_at: Callable[[int], bool],
        position_units: Callable[[int], int],
        gaps: Gaps | None = None,
    ) -> None:
        self.strategies = tuple(strategies)
        self.switches = {strategy.name: Switches() for strategy in self.strategies}
        self._looks_at = looks_at
        self._known: dict[int, bool] = {}
        wanted: dict[int, list[Spec]] = {}
        self._asked: dict[int, list[Strategy]] = {}
        for strategy in self.strategies:
            for interval_s in set(strategy.intervals):
                self._asked.setdefault(interval_s, []).append(strategy)
            for interval_s, specs in strategy.indicators().items():
                wanted.setdefault(interval_s, []).extend(specs)
        self.indicators = IndicatorSet(wanted, looks_at)
        rules = sorted({parse_rule(text) for strategy in self.strategies for text in strategy.event_bars})
        self._event_bars = [
            (
                EventBars(rule, quotes.sessions.bounds, gaps),
                [s for s in self.strategies if rule in map(parse_rule, s.event_bars)],
            )
            for rule in rules
        ]
        self._context = MarketContext(quotes, self.indicators, history, position_units)

    def on_candles(
        self, candles: Iterable[Candle], t_ms: int, failed: Callable[[str, str], None]
    ) -> list[Signal]:
        """Take in the bars that finished together; return what the strategies say to them.

        All indicators move before any strategy is asked, so that a five-minute bar that ended with a
        one-minute bar is seen by both.

        Args:
            candles: Ordered by interval and slot.
            t_ms: Engine time, epoch ms.
            failed: Told the name and the error of a strategy that raised; it is suspended.
        """
        if not isinstance(candles, Sequence):
            candles = tuple(candles)
        self.indicators.on_candles(candles)
        self._context.t_ms = t_ms
        signals: list[Signal] = []
        for candle in candles if self._asked else ():
            for strategy in self._asked.get(candle.interval_s, ()):
                if self.switches[strategy.name].running and self._is_looked_at(candle.slot):
                    signal = self._ask(strategy, partial(strategy.on_candle, self._context, candle), failed)
                    if signal is not None:
                        signals.append(signal)
        return signals

    def on_trades(self, trades: Trades, t_ms: int, failed: Callable[[str, str], None]) -> list[Signal]:
        """Take in the trades of one frame; return what the strategies say to the bars that these have ended.

        Args:
            trades: What `Quotes.apply` returned.
            t_ms: Engine time, epoch ms.
            failed: As in `on_candles`.
        """
        signals: list[Signal] = []
        for builder, strategies in self._event_bars:
            for bar in builder.on_trades(trades):
                self._context.t_ms = t_ms
                for strategy in strategies:
                    if self.switches[strategy.name].running and self._is_looked_at(bar.slot):
                        signal = self._ask(
                            strategy, partial(strategy.on_event_bar, self._context, bar), failed
                        )
                        if signal is not None:
                            signals.append(signal)
        return signals

    def _is_looked_at(self, slot: int) -> bool:
        """Asked once for an instrument: its terms stay for the run, and a close asks for thousands."""
        known = self._known.get(slot)
        if known is None:
            known = self._known[slot] = self._looks_at(slot)
        return known

    def _ask(
        self, strategy: Strategy, question: Callable[[], Signal | None], failed: Callable[[str, str], None]
    ) -> Signal | None:
        switches = self.switches[strategy.name]
        try:
            signal = question()
        except Exception as error:  # a strategy is the user's own code: it may fail, the engine may not
            switches.running, switches.auto = False, False
            switches.error = f"{type(error).__name__}: {error}"
            failed(strategy.name, switches.error)
            return None
        if signal is not None:
            switches.signals += 1
        return signal

    def restart(self, slot: int, interval_s: int, bars: Bars) -> None:
        """History before the live bars changed: indicators of the series start again from it."""
        columns = Columns.of(bars.start_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
        self.indicators.restart(slot, interval_s, columns)
