"""Positions, trades and funds as one fold over account events. The ledger on disk is the same fold.

Two bases of profit are kept side by side. *Since entry*: against the average price, over all days. *Of the day*:
what was carried over night is bought (sold) anew at the previous close, as the exchange's own settlement does;
loss limits look at this one (ADR 0009).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tradetui.domain.events import BrokerPosition, Holding
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import Position, PositionKey

FillKey = tuple[str, str]
"""(trade id, broker order id): trade ids are unique within an exchange's day only."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A position that was there before the first fill we know of.

    Attributes:
        prev_close: Close of the previous session, the day's mark of what was carried; 0 when not known.
    """

    instrument_key: str
    product: Product
    qty: int
    average_price: Price
    prev_close: Price = Price(0)


@dataclass(frozen=True, slots=True)
class Carried:
    """What one position brought into the day.

    Attributes:
        qty: Signed units.
        average: Their average price since entry.
        close: Close of the previous session; 0 when not known.
    """

    qty: int
    average: Price
    close: Price = Price(0)


class Portfolio:
    """What we hold, and what it cost.

    Args:
        multiplier: Instrument key to money per point and unit.
    """

    def __init__(self, multiplier: Callable[[str], int] = lambda _: 1) -> None:
        self._multiplier = multiplier
        self.positions: dict[PositionKey, Position] = {}
        self.carried_over: dict[PositionKey, Carried] = {}
        """What was there when the day began."""
        self.fills: dict[FillKey, Fill] = {}
        self.filled_by_order: dict[str, int] = {}
        """Broker order id to units booked."""
        self.holdings: tuple[Holding, ...] = ()
        self.holdings_known = False
        """Whether the holdings were ever read."""
        self.available: Money | None = None
        self.used: Money | None = None
        self.on_convert: Callable[[str, Product, Product, int], None] = lambda key, old, new, qty: None
        """Told of every conversion: instrument, from, to, signed units."""
        self._flow: dict[PositionKey, int] = {}

    def book(self, fill: Fill) -> bool:
        """Book a fill once; ``False`` when it was booked before."""
        key = (fill.trade_id, fill.broker_id)
        if key in self.fills:
            return False
        self.fills[key] = fill
        self.filled_by_order[fill.broker_id] = self.filled_by_order.get(fill.broker_id, 0) + fill.qty
        at = (fill.instrument_key, fill.product)
        position = self._position(*at)
        self.positions[at] = position.apply(fill.side, fill.qty, fill.price)
        cash = -fill.side.sign * fill.qty * fill.price * position.multiplier
        self._flow[at] = self._flow.get(at, 0) + cash
        return True

    def counted_before(self, broker_id: str, qty: int) -> None:
        """``qty`` units of an order traded on an earlier day: they are part of what was carried over night."""
        self.filled_by_order[broker_id] = max(qty, self.filled_by_order.get(broker_id, 0))

    def open_with(self, opening: Opening) -> None:
        """Put a carried position under the fills of today."""
        side = Side.BUY if opening.qty > 0 else Side.SELL
        key = (opening.instrument_key, opening.product)
        self.positions[key] = self._position(*key).apply(side, abs(opening.qty), opening.average_price)
        before = self.carried_over.get(key, Carried(0, Price(0)))
        self.carried_over[key] = Carried(
            before.qty + opening.qty, opening.average_price, opening.prev_close or before.close
        )

    def convert(self, key: str, old: Product, new: Product, qty: int) -> None:
        """Move ``qty`` signed units from one product to another at their average price: no trade, no profit.

        What the two products have earned together, and are worth together, stays the same.

        Raises:
            DomainError: There are not so many units on that side.
        """
        left, cost = self._position(key, old).give(qty)
        self.positions[key, old] = left
        self.positions[key, new] = self._position(key, new).take(qty, cost)
        # As if one had sold to the other at the average price.
        self._flow[key, old] = self._flow.get((key, old), 0) + cost
        self._flow[key, new] = self._flow.get((key, new), 0) - cost
        self.on_convert(key, old, new, qty)

    def day_profit(self, position: Position, last: Price | None, prev_close: Price | None = None) -> Money:
        """Profit of one position today, gross: its trades of today, and its units from mark to mark.

        Whatever the averaging, that is cash that came in today, plus what is held now at ``last``, less what was
        carried at the previous close.

        Args:
            position: The position.
            last: Price of what is held now; ``None`` values it at what it was carried or bought for.
            prev_close: Previous close as the market data says, used where the broker did not say it.
        """
        key = (position.instrument_key, position.product)
        carried = self.carried_over.get(key)
        mark = (carried.close or prev_close or carried.average) if carried else 0
        now = last or mark or position.average_price
        worth = position.qty * now - (carried.qty * mark if carried else 0)
        return Money(self._flow.get(key, 0) + worth * position.multiplier)

    def carried_qty(self, key: PositionKey) -> int:
        """Signed units of a position that were there when the day began."""
        found = self.carried_over.get(key)
        return found.qty if found else 0

    def turn_day(self, mark: Callable[[str], Price | None]) -> None:
        """Begin a new day: what is open is carried at ``mark``, and yesterday's profit is cash.

        Trades stay known, so that a broker who reports one again is not believed twice.
        """
        self.carried_over = {
            key: Carried(p.qty, p.average_price, mark(p.instrument_key) or Price(0))
            for key, p in self.positions.items()
            if p.qty
        }
        self.positions = {key: p.afresh() for key, p in self.positions.items() if p.qty}
        self._flow.clear()

    def carried(self, theirs: BrokerPosition) -> Opening:
        """What must lie under the fills of today, so that they add up to the broker's position.

        Its price makes our average the broker's. A position that is flat by now has no average there: then our
        own is taken, so that nothing is called profit or loss that nobody knows.
        """
        ours = self._position(theirs.instrument_key, theirs.product)
        qty, price = theirs.qty - ours.qty, int(theirs.average_price)
        if not price:
            price = ours.average_price
        elif ours.qty * qty > 0:
            cost = theirs.qty * price - ours.cost // ours.multiplier
            share = (2 * abs(cost) + abs(qty)) // (2 * abs(qty))
            price = share if cost * qty > 0 else price
        return Opening(theirs.instrument_key, theirs.product, qty, Price(price), theirs.close_price)

    def _position(self, key: str, product: Product) -> Position:
        found = self.positions.get((key, product))
        return found or Position(key, product, multiplier=self._multiplier(key))

    def qty(self, key: str, product: Product) -> int:
        """Net units of one position; 0 when there is none."""
        found = self.positions.get((key, product))
        return found.qty if found else 0

    def net_qty(self, key: str) -> int:
        """Net units of an instrument over all products."""
        return sum(position.qty for (held, _), position in self.positions.items() if held == key)

    def open_positions(self) -> list[Position]:
        """Positions that are not flat, in the order they were opened."""
        return [position for position in self.positions.values() if position.qty]

    def holding(self, key: str) -> Holding | None:
        """The shares in the demat account, if there are any."""
        return next((held for held in self.holdings if held.instrument_key == key), None)

    def unexplained(self, theirs: Iterable[BrokerPosition]) -> dict[PositionKey, tuple[int, int]]:
        """Positions where the broker's quantity differs from ours: key -> (ours, theirs)."""
        said = {(p.instrument_key, p.product): p.qty for p in theirs}
        out: dict[PositionKey, tuple[int, int]] = {}
        for key in sorted(set(said) | set(self.positions)):
            ours = self.qty(*key)
            if ours != said.get(key, 0):
                out[key] = (ours, said.get(key, 0))
        return out
