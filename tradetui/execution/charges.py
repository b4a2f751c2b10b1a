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
        self._total = 0

    def add(self, fill: Fill, instrument: Instrument) -> Money:
        """Take one more fill into account. Returns by how much the charges grew."""
        qty, value = self._filled.get(fill.broker_id, (0, 0))
        qty, value = qty + fill.qty, value + fill.qty * fill.price
        self._filled[fill.broker_id] = (qty, value)
        average = Price((2 * value + qty) // (2 * qty))
        charges = self._estimate(instrument, fill.product, fill.side, qty, average, fill.time_ns)
        more = Money(charges - self._charges.get(fill.broker_id, 0))
        self._charges[fill.broker_id] = charges
        self._total += more
        return more

    def clear(self) -> None:
        """Forget everything: a new day."""
        self._filled.clear()
        self._charges.clear()
        self._total = 0

    def total(self) -> Money:
        """Charges of everything so far."""
        return Money(self._total)

    def of(self, broker_ids: Iterable[str]) -> Money:
        """Charges of some orders, by the broker's ids."""
        return Money(sum(self._charges.get(broker_id, 0) for broker_id in broker_ids))
