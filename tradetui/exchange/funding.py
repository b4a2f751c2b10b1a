"""What working derivative orders hold back, given the positions on the same underlying.

An order that has not filled helps nobody: a hedge lowers the margin only once it is bought. So each order is
added to the positions and to the orders before it that need margin; what the margin grows by, and what its
premium costs, is what it holds back. Orders that gain when the underlying rises and those that gain when it
falls are reckoned apart, since they may not both fill. A part that closes its own position may use the
margin it sets free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price
from tradetui.domain.order import Product, Side
from tradetui.domain.span import NO_MARGIN, SpanLeg, SpanMargin
from tradetui.exchange.margins import RiskPrices, derivatives_to_hold, premium_of
from tradetui.exchange.orders import OrderState


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Funds for working orders of one underlying, 1/10,000 rupee.

    Attributes:
        amount: All of it.
        margin: How the margin would grow, without what premium received pays of it.
    """

    amount: int = 0
    margin: SpanMargin = NO_MARGIN


@dataclass(frozen=True, slots=True)
class _Part:
    """Units of one order that either close its own position or open."""

    instrument: Instrument
    side: Side
    qty: int
    price: Price
    closes: bool

    def leg(self, risk: RiskPrices) -> SpanLeg:
        """As a position."""
        price = risk.price(self.instrument.key) or self.price
        return SpanLeg(self.instrument, self.side.sign * self.qty, price)


def held_back(
    orders: Sequence[tuple[Instrument, OrderState]],
    held: Sequence[SpanLeg],
    closable: dict[tuple[str, Product, Side], int],
    risk: RiskPrices,
) -> HeldBack:
    """Funds for working orders, oldest first, of one underlying.

    Args:
        orders: Each with its instrument.
        held: Positions on the underlying.
        closable: Units of each position that an order of a side would close; used up on the way.
        risk: Prices to reckon with.
    """
    parts = [part for instrument, order in orders for part in _parts(instrument, order, closable)]
    amount, margin = 0, NO_MARGIN
    for rising in (True, False):
        book = list(held)
        now = derivatives_to_hold(book, risk)
        for part in (one for one in parts if _gains_when_rising(one) is rising):
            premium = premium_of(part.instrument, part.side, part.qty, part.price)
            if part.side is Side.BUY and part.instrument.is_option and not part.closes:
                # A bought option can only lower the margin, and not before it has filled.
                amount += premium
                continue
            then = derivatives_to_hold([*book, part.leg(risk)], risk)
            grows = then.total - now.total
            need = premium + (grows if part.closes else max(0, grows))
            amount += max(0, need)
            if grows > 0:
                margin = margin.plus(_less(then, now))
                book.append(part.leg(risk))
                now = then
    return HeldBack(amount, margin)


def _parts(
    instrument: Instrument, order: OrderState, closable: dict[tuple[str, Product, Side], int]
) -> Iterable[_Part]:
    side = order.request.side
    key = (order.key, order.request.product, side)
    closing = min(order.remaining, closable.get(key, 0))
    if closing:
        closable[key] -= closing
        yield _Part(instrument, side, closing, order.block_price, closes=True)
    if order.remaining > closing:
        yield _Part(instrument, side, order.remaining - closing, order.block_price, closes=False)


def _gains_when_rising(part: _Part) -> bool:
    return (part.side is Side.BUY) is not (part.instrument.kind is InstrumentKind.PUT)


def _less(one: SpanMargin, other: SpanMargin) -> SpanMargin:
    return one.plus(other.times(-1))
