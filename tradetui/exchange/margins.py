"""What an order or a position needs in funds, with the words that explain it.

Shares by a part of their value (`domain.margin`); derivatives of one underlying together, by the scenarios
of `domain.span`. Without a price of the underlying the rule of thumb of `domain.margin` stands in. Whatever
is reckoned for derivatives says in its basis that it is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tradetui.domain import margin
from tradetui.domain.calendar import day_start_ns, ist_date
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side
from tradetui.domain.span import SpanLeg, SpanMargin, netted, span_margin

_MINUTE_NS: Final = 60_000_000_000
_RISK_FILE_MINUTES: Final = (660, 750, 840, 930)
"""New risk prices at 11:00, 12:30, 14:00 and 15:30 IST: "several times a day" (`india-markets.md` 5)."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Funds needed.

    Attributes:
        amount: 1/10,000 rupee.
        basis: How it was reckoned, in words.
        estimate: Not the exchange's own calculation.
    """

    amount: Money
    basis: str
    estimate: bool = False


NOTHING = Requirement(Money(0), "nothing")


@dataclass(frozen=True, slots=True)
class MarginUse:
    """Where an account's money is, 1/10,000 rupee. Working orders count with what they hold back.

    Attributes:
        span: Scenario part of the margin on derivatives.
        exposure: Its exposure part, calendar charge included.
        additional: The expiry-day part.
        intraday: On intraday shares.
        mtf: Own part of shares on margin funding.
        delivery: Paid for shares bought for delivery, less what sold shares brought.
        premium: Paid for options, less what sold options brought.
    """

    span: Money = Money(0)
    exposure: Money = Money(0)
    additional: Money = Money(0)
    intraday: Money = Money(0)
    mtf: Money = Money(0)
    delivery: Money = Money(0)
    premium: Money = Money(0)

    @property
    def total(self) -> Money:
        """All of it."""
        return Money(
            self.span
            + self.exposure
            + self.additional
            + self.intraday
            + self.mtf
            + self.delivery
            + self.premium
        )


class RiskPrices:
    """Prices that margins are reckoned with: each fixed when first asked for, until the next risk file.

    Args:
        last: Last traded prices, the source unless `source` is set to a better one.
    """

    def __init__(self, last: Mapping[str, Price]) -> None:
        self.source: Callable[[str], Price | None] = last.get
        self.day: date | None = None
        self.version = 0
        self._file = 0
        self._fixed: dict[str, Price] = {}

    def at(self, t_ns: int) -> None:
        """Let time pass: a new file forgets the fixed prices."""
        number = risk_file(t_ns)
        if number > self._file:
            self._file = number
            self._fixed.clear()
            self.day = ist_date(t_ns)
            self.version += 1

    def price(self, key: str) -> Price | None:
        """Price to reckon with; ``None`` when nothing is known."""
        known = self._fixed.get(key)
        if known is None:
            known = self.source(key)
            if known:
                self._fixed[key] = known
        return known or None


def risk_file(t_ns: int) -> int:
    """Number of the risk file in force at an instant; it grows with time."""
    day = ist_date(t_ns)
    minute = (t_ns - day_start_ns(day)) // _MINUTE_NS
    return day.toordinal() * 10 + sum(minute >= one for one in _RISK_FILE_MINUTES)


def is_paid_in_full(instrument: Instrument, product: Product) -> bool:
    """Whether a trade moves its whole value in cash (shares for delivery, option premium)."""
    return instrument.is_option or (not instrument.is_derivative and product is Product.DELIVERY)


def share_to_open(
    instrument: Instrument, product: Product, side: Side, qty: int, price: Price
) -> Requirement:
    """Funds needed to open ``qty`` shares at ``price``."""
    if not qty:
        return NOTHING
    if product is not Product.INTRADAY and side is Side.SELL:
        # Such a sale needs shares, not money; that check is `rules.refuse_delivery_sale`.
        return NOTHING
    amount = margin.estimate(instrument, product, side, qty, price)
    pct = margin.share_pct(instrument, product, side)
    return Requirement(amount, "full value" if pct == 100 else f"{pct}% of value")


def share_to_hold(instrument: Instrument, product: Product, qty: int, average: Price) -> Requirement:
    """Funds that ``qty`` shares (negative is short) keep in use, beyond what was paid for them."""
    if not qty or is_paid_in_full(instrument, product):
        return NOTHING
    return share_to_open(instrument, product, Side.BUY if qty > 0 else Side.SELL, abs(qty), average)


def derivatives_to_hold(legs: Iterable[SpanLeg], risk: RiskPrices) -> SpanMargin:
    """Margin that derivative positions of one underlying keep in use together.

    Without a price of the underlying: a share of the notional of each leg, under `SpanMargin.scan`.
    """
    net = netted(legs)
    if not net:
        return SpanMargin()
    underlying = _underlying(net, risk)
    if underlying is None or risk.day is None:
        return SpanMargin(scan=Money(sum(_by_thumb(leg) for leg in net)))
    return span_margin(net, underlying, risk.day)


def _underlying(legs: Sequence[SpanLeg], risk: RiskPrices) -> Price | None:
    """Price of the underlying, or that of the nearest future on it."""
    known = risk.price(legs[0].instrument.underlying_key)
    if known is not None:
        return known
    futures = [leg for leg in legs if not leg.instrument.is_option]
    nearest = min(futures, key=lambda leg: leg.instrument.expiry or date.max, default=None)
    return nearest.price if nearest is not None else None


def _by_thumb(leg: SpanLeg) -> int:
    if leg.instrument.is_option and leg.qty > 0:
        return 0
    side = Side.BUY if leg.qty > 0 else Side.SELL
    return margin.estimate(leg.instrument, Product.DELIVERY, side, abs(leg.qty), leg.price)


def premium_of(instrument: Instrument, side: Side, qty: int, price: Price) -> int:
    """Premium that an option trade costs, negative when it brings some; 0 for anything else."""
    return side.sign * qty * price * instrument.multiplier if instrument.is_option else 0
