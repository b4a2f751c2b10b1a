"""Positions, trades and funds as one fold over account events. The ledger on disk is the same fold."""

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
    """A position that was there before the first fill we know of."""

    instrument_key: str
    product: Product
    qty: int
    average_price: Price


class Portfolio:
    """What we hold, and what it cost.

    Args:
        multiplier: Instrument key to money per point and unit.
    """

    def __init__(self, multiplier: Callable[[str], int] = lambda _: 1) -> None:
        self._multiplier = multiplier
        self.positions: dict[PositionKey, Position] = {}
        self.fills: dict[FillKey, Fill] = {}
        self.filled_by_order: dict[str, int] = {}
        """Broker order id to units booked."""
        self.holdings: tuple[Holding, ...] = ()
        self.available: Money | None = None
        self.used: Money | None = None

    def book(self, fill: Fill) -> bool:
        """Book a fill once; ``False`` when it was booked before."""
        key = (fill.trade_id, fill.broker_id)
        if key in self.fills:
            return False
        self.fills[key] = fill
        self.filled_by_order[fill.broker_id] = self.filled_by_order.get(fill.broker_id, 0) + fill.qty
        position = self._position(fill.instrument_key, fill.product)
        self.positions[fill.instrument_key, fill.product] = position.apply(fill.side, fill.qty, fill.price)
        return True

    def open_with(self, opening: Opening) -> None:
        """Put a carried position under the fills of today."""
        side = Side.BUY if opening.qty > 0 else Side.SELL
        position = self._position(opening.instrument_key, opening.product)
        self.positions[opening.instrument_key, opening.product] = position.apply(
            side, abs(opening.qty), opening.average_price
        )

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
        return Opening(theirs.instrument_key, theirs.product, qty, Price(price))

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

    def unexplained(self, theirs: Iterable[BrokerPosition]) -> dict[PositionKey, tuple[int, int]]:
        """Positions where the broker's quantity differs from ours: key -> (ours, theirs)."""
        said = {(p.instrument_key, p.product): p.qty for p in theirs}
        out: dict[PositionKey, tuple[int, int]] = {}
        for key in sorted(set(said) | set(self.positions)):
            ours = self.qty(*key)
            if ours != said.get(key, 0):
                out[key] = (ours, said.get(key, 0))
        return out
