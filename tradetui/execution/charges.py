"""Estimated charges of what has filled, order by order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import PositionKey


@dataclass(slots=True)
class _Filled:
    """What has filled of one order.

    Attributes:
        units: Product -> units that stand under it by now: a conversion moves them.
        charges: Product -> their share of the order's charges.
    """

    instrument: Instrument
    side: Side
    time_ns: int
    value: int = 0
    units: dict[Product, int] = field(default_factory=dict)
    charges: dict[Product, Money] = field(default_factory=dict)


class OrderCharges:
    """Charges are per executed order, so each fill re-estimates its whole order.

    What a conversion has moved is charged as what it has become: an order whose units stand under two products is
    reckoned as a whole for each of them, and each takes its share by units.

    Args:
        estimate: Charges of one order: instrument, product, side, units, price, time.
    """

    def __init__(self, estimate: Callable[[Instrument, Product, Side, int, Price, int], Money]) -> None:
        self._estimate = estimate
        self._orders: dict[str, _Filled] = {}
        self._of_position: dict[PositionKey, int] = {}
        self._total = 0

    def add(self, fill: Fill, instrument: Instrument) -> Money:
        """Take one more fill into account. Returns by how much the charges grew."""
        order = self._orders.get(fill.broker_id)
        if order is None:
            order = self._orders[fill.broker_id] = _Filled(instrument, fill.side, fill.time_ns)
        order.units[fill.product] = order.units.get(fill.product, 0) + fill.qty
        order.value += fill.qty * fill.price
        order.time_ns = fill.time_ns
        return self._reckon(order)

    def convert(self, key: str, old: Product, new: Product, qty: int) -> Money:
        """Units of a position stand under another product now. Returns by how much the charges grew.

        The newest ones move first. What was carried over night has no order of today and no charges.

        Args:
            key: Instrument.
            old: Product of the units before.
            new: What they have become.
            qty: Signed units.
        """
        side, left, more = Side.BUY if qty > 0 else Side.SELL, abs(qty), 0
        for order in reversed(list(self._orders.values())):
            units = order.units.get(old, 0)
            if not left:
                break
            if order.instrument.key != key or order.side is not side or not units:
                continue
            moved = min(left, units)
            left -= moved
            order.units[old] = units - moved
            order.units[new] = order.units.get(new, 0) + moved
            more += self._reckon(order)
        return Money(more)

    def clear(self) -> None:
        """Forget everything: a new day."""
        self._orders.clear()
        self._of_position.clear()
        self._total = 0

    def total(self) -> Money:
        """Charges of everything so far."""
        return Money(self._total)

    def of_position(self, key: str, product: Product) -> Money:
        """Charges of what stands, or stood, under one instrument and product."""
        return Money(self._of_position.get((key, product), 0))

    def of(self, broker_ids: Iterable[str]) -> Money:
        """Charges of some orders, by the broker's ids."""
        found = (self._orders[one] for one in broker_ids if one in self._orders)
        return Money(sum(sum(order.charges.values()) for order in found))

    def _reckon(self, order: _Filled) -> Money:
        """Estimate an order anew. Returns by how much its charges grew."""
        qty, more = sum(order.units.values()), 0
        average = Price((2 * order.value + qty) // (2 * qty))
        for product, units in order.units.items():
            whole = (
                self._estimate(order.instrument, product, order.side, qty, average, order.time_ns)
                if units
                else 0
            )
            share = Money((2 * whole * units + qty) // (2 * qty))
            grown = share - order.charges.get(product, 0)
            order.charges[product] = share
            at = (order.instrument.key, product)
            self._of_position[at] = self._of_position.get(at, 0) + grown
            more += grown
        self._total += more
        return Money(more)
