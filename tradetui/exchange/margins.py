"""What an order or a position needs in funds, with the words that explain it.

The shares themselves are `domain.margin`'s, so that a preview and the exchange never disagree. What needs a
SPAN calculation cannot be reckoned offline and says in its basis that it is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain import margin
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side


@dataclass(frozen=True, slots=True)
class Requirement:
    """Funds needed.

    Attributes:
        amount: 1/10,000 rupee.
        basis: How it was reckoned, in words.
        estimate: A rule of thumb, not the exchange's calculation.
    """

    amount: Money
    basis: str
    estimate: bool = False


NOTHING = Requirement(Money(0), "nothing")


def is_paid_in_full(instrument: Instrument, product: Product) -> bool:
    """Whether a trade moves its whole value in cash (shares for delivery, option premium)."""
    return instrument.is_option or (not instrument.is_derivative and product is not Product.INTRADAY)


def to_open(instrument: Instrument, product: Product, side: Side, qty: int, price: Price) -> Requirement:
    """Funds needed to open ``qty`` units at ``price``."""
    if not qty:
        return NOTHING
    if not instrument.is_derivative and product is not Product.INTRADAY and side is Side.SELL:
        # Such a sale needs shares, not money; that check is `rules.refuse_delivery_sale`.
        return NOTHING
    amount = margin.estimate(instrument, product, side, qty, price)
    pct = margin.share_pct(instrument, product, side)
    if instrument.is_option and side is Side.SELL:
        return Requirement(amount, f"estimate: {pct}% of strike value", estimate=True)
    if instrument.is_derivative and not instrument.is_option:
        return Requirement(amount, f"estimate: {pct}% of contract value", estimate=True)
    return Requirement(amount, "full value" if pct == 100 else f"{pct}% of value")


def to_hold(instrument: Instrument, product: Product, qty: int, average: Price) -> Requirement:
    """Funds that a position of ``qty`` units (negative is short) keeps in use, beyond what was paid for it."""
    if not qty or (is_paid_in_full(instrument, product) and not (instrument.is_option and qty < 0)):
        return NOTHING
    return to_open(instrument, product, Side.BUY if qty > 0 else Side.SELL, abs(qty), average)
