"""Profit, charges, exposure and breakeven of the account, at the prices of now. Money in 1/10,000 rupee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tradetui.desk.books import Books
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, ceil_to_tick, floor_to_tick
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.execution.charges import OrderCharges

_STEPS = 400
"""Most ticks a breakeven is searched over: charges move by less than one tick in almost every case."""


@dataclass(frozen=True, slots=True)
class Breakeven:
    """Where a position has earned its charges.

    Attributes:
        price: First price on the tick at which closing everything leaves no loss.
        ticks: Ticks that the last price still has to move; 0 or less once there; ``None`` without a last price.
    """

    price: Price
    ticks: int | None


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
        self._charge = charge
        self._charges = OrderCharges(charge)
        self._charged = 0
        self._moves: list[tuple[int, str, Product, Product, int]] = []
        books.portfolio.on_convert = self._on_convert
        self._breakevens: dict[PositionKey, tuple[Position, int, Price]] = {}

    def on_fill(self, fill: Fill) -> None:
        """A trade was booked: its charges count from now on."""
        instrument = self._books.instrument(fill.instrument_key)
        if instrument is not None:
            self._charges.add(fill, instrument)
        self._charged += 1
        self._move()

    def _on_convert(self, key: str, old: Product, new: Product, qty: int) -> None:
        """Units stand under another product, and are charged as such."""
        # Trades are booked before they come here: those that were there by now have to be charged first.
        self._moves.append((len(self._books.portfolio.fills), key, old, new, qty))
        self._move()

    def _move(self) -> None:
        while self._moves and self._moves[0][0] <= self._charged:
            _, key, old, new, qty = self._moves.pop(0)
            self._charges.convert(key, old, new, qty)

    def turn_day(self) -> None:
        """A new day: the charges of yesterday are paid."""
        self._charges.clear()
        self._moves.clear()
        self._breakevens.clear()

    # --- profit ---------------------------------------------------------------------------------------

    def unrealised(self, position: Position) -> Money:
        """Profit of an open position since entry at the last price; 0 while no price was seen."""
        last = self._books.last(position.instrument_key)
        if last is None or self._books.sold_from_demat(position):
            return Money(0)
        return position.unrealised(last)

    def since_entry(self, position: Position) -> Money:
        """Realised plus unrealised profit against the average price, gross of charges."""
        return Money(position.realised + self.unrealised(position))

    def day_profit(self, position: Position) -> Money:
        """Profit of one position today, gross: what was carried counts from the previous close."""
        portfolio, key = self._books.portfolio, position.instrument_key
        carried = portfolio.carried_qty((key, position.product))
        if not position.qty and not carried:
            return position.realised
        last = position.average_price if self._books.sold_from_demat(position) else self._books.last(key)
        return portfolio.day_profit(position, last, self._books.market(key).prev_close if carried else None)

    def day_pnl(self) -> Money:
        """Profit of the day, gross of charges: realised, and open marked from the previous close (ADR 0009)."""
        return Money(sum(self.day_profit(p) for p in self._books.portfolio.positions.values()))

    def day_charges(self) -> Money:
        """Estimated charges of everything that filled today."""
        return self._charges.total()

    def net(self) -> Money:
        """Profit of the day, net of charges."""
        return Money(self.day_pnl() - self.day_charges())

    def charges_of(self, key: str, product: Product) -> Money:
        """Estimated charges of one position's fills of today; of those that were converted, where they stand now."""
        return self._charges.of_position(key, product)

    # --- value ----------------------------------------------------------------------------------------

    def exposure(self) -> Money:
        """Value of all open positions at their last, else average, price."""
        total = 0
        for position in self._books.portfolio.open_positions():
            if not self._books.sold_from_demat(position):
                price = self._books.last(position.instrument_key) or position.average_price
                total += abs(position.qty) * price * position.multiplier
        return Money(total)

    def available(self) -> Money:
        """Cash for new orders: what the broker says, else the capital."""
        known = self._books.portfolio.available
        return self._books.limits.capital if known is None else known

    # --- breakeven ------------------------------------------------------------------------------------

    def breakeven(self, position: Position) -> Breakeven | None:
        """Where closing the whole position in one order leaves no loss, charges of both ways counted.

        ``None`` when it is flat, sold out of the demat account, or of unknown terms.
        """
        instrument = self._books.instrument(position.instrument_key)
        if not position.qty or instrument is None or self._books.sold_from_demat(position):
            return None
        key = (position.instrument_key, position.product)
        entry = self._entry_charges(position, instrument)
        known = self._breakevens.get(key)
        if known is None or known[:2] != (position, entry):
            known = (position, entry, self._search(position, instrument, entry))
            self._breakevens[key] = known
        price, last = known[2], self._books.last(position.instrument_key)
        if last is None:
            return Breakeven(price, None)
        away = (price - last) if position.qty > 0 else (last - price)
        return Breakeven(price, -(-away // instrument.tick_size))

    def _entry_charges(self, position: Position, instrument: Instrument) -> int:
        """Charges of getting in: as booked while nothing was closed or carried, else estimated as one order."""
        key = (position.instrument_key, position.product)
        one_way = not (position.sell_qty if position.qty > 0 else position.buy_qty)
        if one_way and not self._books.portfolio.carried_qty(key):
            return self.charges_of(*key)
        side = Side.BUY if position.qty > 0 else Side.SELL
        return self._charge(
            instrument, position.product, side, abs(position.qty), position.average_price, self._books.now_ns
        )

    def _search(self, position: Position, instrument: Instrument, entry: int) -> Price:
        """The price nearest to the average, on the losing side's end, at which the net result is not negative."""
        long, qty, tick = position.qty > 0, abs(position.qty), instrument.tick_size
        side, better = (Side.SELL, tick) if long else (Side.BUY, -tick)

        def net(price: int) -> int:
            leaving = self._charge(instrument, position.product, side, qty, Price(price), self._books.now_ns)
            return position.unrealised(Price(price)) - entry - leaving

        average = position.average_price
        missing = -net(average)
        away = -(-missing // (qty * position.multiplier))
        guess = Price(max(tick, average + away if long else average - away))
        price = int(ceil_to_tick(guess, tick) if long else floor_to_tick(guess, tick))
        for _ in range(_STEPS):
            if net(price) >= 0 or price + better <= 0:
                break
            price += better
        for _ in range(_STEPS):
            if net(price - better) < 0:
                break
            price -= better
        return Price(price)
