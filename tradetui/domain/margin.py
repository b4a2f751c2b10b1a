"""What an order is likely to block, as an estimate for paper trading and previews.

Live accounts ask the broker. Here delivery and option buying need 100% (SEBI, upfront premium since
2025-02-01), intraday shares 20% (VaR + ELM floor, so leverage is at most 5), and shares on margin funding
25%: brokers set that by share, four times is our own middle value. Derivatives are reckoned by `span` where
the underlying's price is known; without it index futures need 12% and short index options 13% of the notional,
rough market practice (`india-markets.md` 5), and other contracts what the ranges of `span` make of them.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Final

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side
from tradetui.domain.span import INDEX_TERMS, SpanLeg, span_margin, terms_of

INTRADAY_SHARE: Final = 20
MTF_SHARE: Final = 25
SHORT_OPTION_MORE: Final = 1
"""What a short option at the money needs above a future, percent of the notional."""

_CASH_SHARES: Final = {Product.INTRADAY: INTRADAY_SHARE, Product.MTF: MTF_SHARE}


def share_pct(instrument: Instrument, product: Product, side: Side) -> int:
    """Percent of the order's value (for short options: of the strike's notional) that is blocked."""
    if instrument.is_option and side is Side.BUY:
        return 100
    if instrument.is_derivative:
        terms = terms_of(instrument) if instrument.underlying_key else INDEX_TERMS
        whole = math.ceil(terms.price_pct + terms.exposure_pct)
        return whole + SHORT_OPTION_MORE if instrument.is_option else whole
    return _CASH_SHARES.get(product, 100)


def estimate(instrument: Instrument, product: Product, side: Side, qty: int, price: Price) -> Money:
    """Cash that an order which opens ``qty`` units at ``price`` is likely to block, by shares of its value."""
    base = price
    if instrument.is_option and side is Side.SELL:
        base = instrument.strike or price
    value = base * qty * instrument.multiplier
    return Money(-(-value * share_pct(instrument, product, side) // 100))


def estimate_on(
    instrument: Instrument,
    product: Product,
    side: Side,
    qty: int,
    price: Price,
    *,
    underlying: Price | None,
    day: date,
) -> Money:
    """Like `estimate`, with the scenarios of `span` where the underlying's price is known.

    A short option's premium pays a part of its margin, so it is taken off. ``day`` is the trading day.
    """
    if not instrument.is_derivative or not underlying or (instrument.is_option and side is Side.BUY):
        return estimate(instrument, product, side, qty, price)
    need = span_margin([SpanLeg(instrument, side.sign * qty, price)], underlying, day).total
    premium = price * qty * instrument.multiplier if instrument.is_option else 0
    return Money(max(0, need - premium))
