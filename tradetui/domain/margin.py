"""What an order is likely to block, as an estimate for paper trading and previews.

Span margins cannot be computed offline (`india-markets.md` 5): live accounts ask the broker. The shares used
here: delivery and option buying 100% (SEBI, upfront premium since 2025-02-01), intraday shares 20% (VaR + ELM
floor, so leverage is at most 5), futures 12% and short options 13% of the notional, as rough market practice.
"""

from __future__ import annotations

from typing import Final

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side

INTRADAY_SHARE: Final = 20
FUTURES_SHARE: Final = 12
SHORT_OPTION_SHARE: Final = 13


def share_pct(instrument: Instrument, product: Product, side: Side) -> int:
    """Percent of the order's value (for short options: of the strike's notional) that is blocked."""
    if instrument.kind is InstrumentKind.FUTURE:
        return FUTURES_SHARE
    if instrument.is_option:
        return 100 if side is Side.BUY else SHORT_OPTION_SHARE
    return INTRADAY_SHARE if product is Product.INTRADAY else 100


def estimate(instrument: Instrument, product: Product, side: Side, qty: int, price: Price) -> Money:
    """Cash that an order which opens ``qty`` units at ``price`` is likely to block."""
    base = price
    if instrument.is_option and side is Side.SELL:
        base = instrument.strike or price
    value = base * qty * instrument.multiplier
    return Money(-(-value * share_pct(instrument, product, side) // 100))
