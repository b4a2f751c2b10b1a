"""Estimated charges of what has filled, order by order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side


class OrderCharges:
    """Charges are per executed order, so each fill re-estimates its whole order.

    Args:
        estimate: Charges of one order: instrument, product, side, units, price, time.
    """

    def __init__(self, estimate: Callable[[Instrument, Product, Side, int, Price, int], Money]) -> None:
        self._estimate = estimate
        self._filled: dict[str, tuple[int, int]] = {}
        self._charges: dict[str, Money] = {}

    def add(self, fill: Fill, instrument: Instrument) -> None:
        """Take one more fill into account."""
        qty, value = self._filled.get(fill.broker_id, (0, 0))
        qty, value = qty + fill.qty, value + fill.qty * fill.price
        self._filled[fill.broker_id] = (qty, value)
        average = Price((2 * value + qty) // (2 * qty))
        self._charges[fill.broker_id] = self._estimate(
            instrument, fill.product, fill.side, qty, average, fill.time_ns
        )

    def total(self) -> Money:
        """Charges of everything so far."""
        return Money(sum(self._charges.values()))

    def of(self, broker_ids: Iterable[str]) -> Money:
        """Charges of some orders, by the broker's ids."""
        return Money(sum(self._charges.get(broker_id, 0) for broker_id in broker_ids))
