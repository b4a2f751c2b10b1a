"""What an order or a position needs in funds.

Delivery and bought options are paid in full; cash intraday needs 20% (`india-markets` 5). Futures and
written options need a SPAN calculation, which cannot be made offline: the rule of thumb used here says so
in its basis.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side

_PERCENT = 100
_INTRADAY_PCT = 20
_MTF_PCT = 50
_FUTURE_PCT = 12
_WRITTEN_PCT = 14
"""12% of the underlying's value plus the 2% that expiry day adds, always on: an estimate errs upwards."""


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


def _share(value: int, pct: int, basis: str, *, estimate: bool) -> Requirement:
    return Requirement(Money(-(-value * pct // _PERCENT)), basis, estimate)


def is_paid_in_full(instrument: Instrument, product: Product) -> bool:
    """Whether a trade moves its whole value in cash (shares for delivery, option premium)."""
    return instrument.is_option or (not instrument.is_derivative and product is Product.DELIVERY)


def to_open(instrument: Instrument, product: Product, side: Side, qty: int, price: Price) -> Requirement:
    """Funds needed to open ``qty`` units at ``price`` (for written options the premium is not counted in)."""
    if not qty:
        return NOTHING
    value = qty * price * instrument.multiplier
    if instrument.is_option:
        if side is Side.BUY:
            return Requirement(Money(value), "full premium")
        return _written(instrument, qty, price)
    if instrument.kind is InstrumentKind.FUTURE:
        return _share(value, _FUTURE_PCT, f"estimate: {_FUTURE_PCT}% of contract value", estimate=True)
    if product is Product.DELIVERY:
        # A delivery sale needs shares, not money; that check is `rules.refuse_delivery_sale`.
        return Requirement(Money(value), "full value") if side is Side.BUY else NOTHING
    if product is Product.MTF:
        return _share(value, _MTF_PCT, f"estimate: {_MTF_PCT}% of value", estimate=True)
    return _share(value, _INTRADAY_PCT, f"{_INTRADAY_PCT}% of value", estimate=False)


def to_hold(instrument: Instrument, product: Product, qty: int, average: Price) -> Requirement:
    """Funds that a position of ``qty`` units (negative is short) keeps in use, beyond what was paid for it."""
    if not qty or is_paid_in_full(instrument, product):
        written = instrument.is_option and qty < 0
        return _written(instrument, -qty, average) if written else NOTHING
    side = Side.BUY if qty > 0 else Side.SELL
    return to_open(instrument, product, side, abs(qty), average)


def _written(instrument: Instrument, qty: int, premium: Price) -> Requirement:
    # The strike stands in for the underlying's price, and for a deep in-the-money option the premium adds up.
    underlying = max(instrument.strike or 0, premium)
    value = qty * underlying * instrument.multiplier
    return _share(value, _WRITTEN_PCT, f"estimate: {_WRITTEN_PCT}% of strike value", estimate=True)
