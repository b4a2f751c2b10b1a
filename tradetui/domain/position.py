"""Position arithmetic from fills: average price, realised and unrealised profit.

A position is one (instrument, product). Average cost: adding to a position moves its average, reducing it
realises profit against the average, crossing zero closes the old side and opens the new one at the fill.
All integers in 1/10,000 rupee; the average is kept as a cost total so that nothing is rounded away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tradetui.domain.errors import DomainError
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side


@dataclass(frozen=True, slots=True)
class Position:
    """Net position in one instrument and product.

    Attributes:
        instrument_key: What is held.
        product: Intraday, delivery or MTF.
        qty: Net units; negative is short.
        cost: Signed cost of the net quantity (units times price); zero when flat.
        realised: Profit booked by reducing, gross of charges.
        buy_qty, sell_qty: Units bought and sold in all.
        buy_value, sell_value: Money of those.
        multiplier: Money per point and unit.
    """

    instrument_key: str
    product: Product
    qty: int = 0
    cost: Money = Money(0)
    realised: Money = Money(0)
    buy_qty: int = 0
    sell_qty: int = 0
    buy_value: Money = Money(0)
    sell_value: Money = Money(0)
    multiplier: int = 1

    @property
    def average_price(self) -> Price:
        """Average price of the net quantity, rounded half up; 0 when flat."""
        if not self.qty:
            return Price(0)
        cost, qty = abs(self.cost), abs(self.qty) * self.multiplier
        return Price((2 * cost + qty) // (2 * qty))

    def unrealised(self, last: Price) -> Money:
        """Profit of the net quantity if it were closed at ``last``, gross of charges."""
        return Money(self.qty * last * self.multiplier - self.cost)

    def afresh(self) -> Position:
        """The position at the start of a new day: its cost stays, the profit of old days is cash now."""
        return Position(self.instrument_key, self.product, self.qty, self.cost, multiplier=self.multiplier)

    def give(self, qty: int) -> tuple[Position, Money]:
        """The position without ``qty`` signed units, and the cost that goes with them: nothing is realised.

        Raises:
            DomainError: There are not so many units on that side.
        """
        if not qty or qty * self.qty < 0 or abs(qty) > abs(self.qty):
            raise DomainError(f"cannot take {qty} units out of {self.qty}")
        cost = Money(int(self.cost) * qty // self.qty if qty != self.qty else int(self.cost))
        return replace(self, qty=self.qty - qty, cost=Money(self.cost - cost)), cost

    def take(self, qty: int, cost: Money) -> Position:
        """The position with ``qty`` signed units more that cost ``cost``; against the other side it realises."""
        if self.qty * qty >= 0:
            return replace(self, qty=self.qty + qty, cost=Money(self.cost + cost))
        closing = min(abs(self.qty), abs(qty))
        ours = int(self.cost) * closing // abs(self.qty)
        theirs = int(cost) * closing // abs(qty)
        return replace(
            self,
            qty=self.qty + qty,
            cost=Money(self.cost - ours + cost - theirs),
            realised=Money(self.realised - ours - theirs),
        )

    def apply(self, side: Side, qty: int, price: Price) -> Position:
        """The position after one more fill of ``qty`` units at ``price``."""
        value = qty * price * self.multiplier
        signed = side.sign * qty
        cost, realised = int(self.cost), int(self.realised)
        if self.qty * signed >= 0:
            cost += side.sign * value
        else:
            closing = min(qty, abs(self.qty))
            # Exact share of the cost for whole closes; for part closes the remainder stays in the cost.
            closed_cost = cost * closing // abs(self.qty) if closing < abs(self.qty) else cost
            realised -= closed_cost + side.sign * closing * price * self.multiplier
            cost -= closed_cost
            if qty > closing:
                cost = side.sign * (qty - closing) * price * self.multiplier
        buys = side is Side.BUY
        return replace(
            self,
            qty=self.qty + signed,
            cost=Money(cost),
            realised=Money(realised),
            buy_qty=self.buy_qty + (qty if buys else 0),
            sell_qty=self.sell_qty + (0 if buys else qty),
            buy_value=Money(self.buy_value + (value if buys else 0)),
            sell_value=Money(self.sell_value + (0 if buys else value)),
        )


PositionKey = tuple[str, Product]
"""(instrument key, product)."""


def positions_from(fills: Iterable[Fill]) -> dict[PositionKey, Position]:
    """Fold fills into positions; a trade id counts once however often it appears."""
    book: dict[PositionKey, Position] = {}
    seen: set[tuple[str, str]] = set()
    for fill in fills:
        if (fill.trade_id, fill.broker_id) in seen:
            continue
        seen.add((fill.trade_id, fill.broker_id))
        key = (fill.instrument_key, fill.product)
        book[key] = book.get(key, Position(*key)).apply(fill.side, fill.qty, fill.price)
    return book
