"""Profit, charges and exposure of the account, at the prices of now. Money in 1/10,000 rupee."""

from __future__ import annotations

from collections.abc import Callable

from tradetui.desk.books import Books
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import Position
from tradetui.execution.charges import OrderCharges


class Figures:
    """See the module's docstring.

    Args:
        books: What the desk knows.
        charge: Charges of one order: instrument, product, side, units, price, time.
    """

    def __init__(
        self, books: Books, charge: Callable[[Instrument, Product, Side, int, Price, int], Money]
    ) -> None:
        self._books = books
        self._charges = OrderCharges(charge)

    def on_fill(self, fill: Fill) -> None:
        """A trade was booked: its charges count from now on."""
        instrument = self._books.instrument(fill.instrument_key)
        if instrument is not None:
            self._charges.add(fill, instrument)

    def unrealised(self, position: Position) -> Money:
        """Profit of an open position at the last price; 0 while no price was seen."""
        last = self._books.market(position.instrument_key).last
        return position.unrealised(last) if last is not None else Money(0)

    def day_pnl(self) -> Money:
        """Realised plus unrealised profit, gross of charges."""
        positions = self._books.portfolio.positions.values()
        return Money(sum(p.realised + self.unrealised(p) for p in positions))

    def day_charges(self) -> Money:
        """Estimated charges of everything that filled today."""
        return self._charges.total()

    def charges_of(self, key: str, product: Product) -> Money:
        """Estimated charges of one position's fills."""
        fills = self._books.portfolio.fills.values()
        return self._charges.of(
            {f.broker_id for f in fills if (f.instrument_key, f.product) == (key, product)}
        )

    def exposure(self) -> Money:
        """Value of all open positions at their last, else average, price."""
        total = 0
        for position in self._books.portfolio.open_positions():
            price = self._books.market(position.instrument_key).last or position.average_price
            total += abs(position.qty) * price * position.multiplier
        return Money(total)

    def available(self) -> Money:
        """Cash for new orders: what the broker says, else the capital."""
        known = self._books.portfolio.available
        return self._books.limits.capital if known is None else known
