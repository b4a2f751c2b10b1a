"""Quantity of a trade from the money that may be lost at its stop."""

from __future__ import annotations

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price


def quantity(
    instrument: Instrument, entry: Price, stop: Price, budget: Money, cash: Money, leverage: float = 1.0
) -> int:
    """Units to trade: whole lots, within budget at the stop, within cash, within the freeze limit.

    Fixed-fractional sizing: ``budget / |entry - stop|``.

    Args:
        instrument: Terms: lot, freeze, multiplier.
        entry: Expected entry price.
        stop: Price at which the trade is given up.
        budget: Money that may be lost at the stop.
        cash: Cash that may be tied up.
        leverage: Value allowed per rupee of cash (5 for intraday shares, 1 otherwise).

    Returns:
        Units; 0 when not even one lot fits.
    """
    risk = abs(entry - stop) * instrument.multiplier
    if risk == 0 or entry <= 0:
        return 0
    by_risk = budget // risk
    by_cash = int(cash * leverage) // (entry * instrument.multiplier)
    units = max(0, min(by_risk, by_cash))
    if instrument.max_order_qty:
        units = min(units, instrument.max_order_qty)
    return units // instrument.lot_size * instrument.lot_size
