"""The call auction: orders collect, then everything that can trade does so at one price.

Rules of the price, in this order (NSE CMTR74466 for the closing auction, the same in the pre-open): the greatest
quantity that can trade, the least quantity left over, the price nearest to the reference. Quantity is given out
by price, then time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradetui.domain.money import Price
from tradetui.domain.order import Side
from tradetui.exchange.book import Book, Match, Quote


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """The outcome of an auction: its price, the units that trade, and what is left over (bids positive)."""

    price: Price
    volume: int
    imbalance: int


def equilibrium(bids: Sequence[Quote], asks: Sequence[Quote], reference: Price | None) -> Equilibrium | None:
    """The auction's price for the given interest; ``None`` when no buyer reaches a seller."""
    prices = {price for price, _ in (*bids, *asks)}
    if reference:
        prices.add(reference)
    best: tuple[tuple[int, int, int, int], Equilibrium] | None = None
    for price in sorted(prices):
        demand = sum(qty for level, qty in bids if level >= price)
        supply = sum(qty for level, qty in asks if level <= price)
        found = Equilibrium(price, min(demand, supply), demand - supply)
        away = abs(price - reference) if reference else 0
        rank = (-found.volume, abs(found.imbalance), away, price)
        if found.volume and (best is None or rank < best[0]):
            best = rank, found
    return best[1] if best is not None else None


def hold(book: Book, reference: Price | None) -> tuple[Price | None, list[Match]]:
    """Hold the auction of one book.

    Returns:
        The price (``None`` when nothing traded) and the trades in which a user's order took part.
    """
    found = equilibrium(book.interest(Side.BUY), book.interest(Side.SELL), reference)
    if found is None:
        return None, []
    buys = book.take_best(Side.BUY, found.volume)
    sells = book.take_best(Side.SELL, found.volume)
    return found.price, list(_pair(buys, sells, found.price))


def _pair(buys: Sequence[tuple[str, int]], sells: Sequence[tuple[str, int]], price: Price) -> Iterable[Match]:
    """Join both sides, first to first; pairs of anonymous quantity are nobody's business."""
    queue = list(sells)
    at = left = 0
    for buy_id, wanted in buys:
        while wanted:
            if not left:
                left = queue[at][1]
            qty = min(wanted, left)
            sell_id = queue[at][0]
            if buy_id or sell_id:
                yield Match(buy_id, sell_id, price, qty)
            wanted -= qty
            left -= qty
            if not left:
                at += 1
