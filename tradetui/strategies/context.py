"""The engine's market state as strategies see it."""

from __future__ import annotations

from collections.abc import Callable

from tradetui.domain.market_data import Px
from tradetui.indicators import IndicatorSet, Spec, Value
from tradetui.market.history import Bars, History
from tradetui.market.quotes import Quotes


class MarketContext:
    """A read-only view; implements `base.Context`.

    Args:
        quotes: Market state.
        indicators: Running indicators.
        history: Finished bars.
        position_units: Units held by slot.

    Attributes:
        t_ms: Engine time, epoch ms UTC; the engine sets it before it calls strategies.
    """

    def __init__(
        self,
        quotes: Quotes,
        indicators: IndicatorSet,
        history: History,
        position_units: Callable[[int], int] = lambda slot: 0,
    ) -> None:
        self._quotes = quotes
        self._indicators = indicators
        self._history = history
        self._position_units = position_units
        self.t_ms = 0

    def indicator(self, slot: int, interval_s: int, spec: Spec) -> Value:
        """See `base.Context`."""
        return self._indicators.value(slot, interval_s, spec)

    def bar_start_ms(self, slot: int, interval_s: int) -> int:
        """See `base.Context`."""
        return self._indicators.last_ms(slot, interval_s)

    def bars(self, slot: int, interval_s: int, count: int | None = None) -> Bars:
        """See `base.Context`."""
        return self._history.bars(slot, interval_s, count)

    def last_price(self, slot: int) -> float:
        """See `base.Context`."""
        return self._quotes.px.item(slot, Px.LTP) if slot < self._quotes.capacity else 0.0

    def session_start_ms(self, slot: int) -> int:
        """See `base.Context`."""
        known = slot < self._quotes.capacity and self._quotes.sessions.day is not None
        return self._quotes.sessions.bounds(slot)[0] if known else 0

    def position_units(self, slot: int) -> int:
        """See `base.Context`."""
        return self._position_units(slot)
