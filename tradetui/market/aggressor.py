"""Which side began a trade: the quote rule against the book before it, then the tick rule.

The feed does not say who crossed the spread, so it is inferred, as in C. M. C. Lee and M. J. Ready,
"Inferring Trade Direction from Intraday Data", Journal of Finance 46 (1991), pages 733-746:

* *Quote rule.* Above the middle of the prevailing best bid and ask a buyer began the trade, below it a seller.
* *Tick rule*, for what the quotes leave open (a trade at the middle; no book, or a crossed one): a price above
  the last different price is a buyer's, below it a seller's.

Where only one side of the book has orders nobody can have begun a trade against the empty one: with bids alone
a seller did, with offers alone a buyer did (shares locked at a price band).

The feed is conflated: one row may stand for many trades. The whole step of the volume is given the side of its
last price. Studies of single trades find Lee and Ready right in about 85% of cases; sums over minutes are what
these figures are good for, not single rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64

Sides = NDArray[np.int8]
"""1: a buyer began it, -1: a seller, 0: not known."""

_AT_MIDDLE = 1e-5
"""Twice the distance from the middle, rupees, below which a trade is at the middle; the finest tick is 0.0025."""


def quote_rule(price: F64, bid: F64, ask: F64) -> Sides:
    """Side by the prevailing book; 0 where the book does not tell.

    Args:
        price: Rupees.
        bid: Best bid before the trade, rupees; 0 where there was none.
        ask: Best offer before the trade, rupees; 0 where there was none.
    """
    lower, upper = bid > 0, ask > 0
    above = price + price - bid - ask
    # The middle of two decimal prices is not exact in binary, so "at the middle" needs a width.
    sides = (above > _AT_MIDDLE).astype(np.int8) - (above < -_AT_MIDDLE).astype(np.int8)
    both = lower & upper
    if both.all():
        if (bid < ask).all():
            return sides
        return np.where(bid < ask, sides, np.int8(0))
    sides = np.where(both & (bid < ask), sides, np.int8(0))
    sides[lower & ~upper] = -1
    sides[upper & ~lower] = 1
    return sides


def tick_rule(begins: NDArray[np.bool_], price: F64, price_before: F64, side_before: Sides) -> Sides:
    """Side by the last different price of the same instrument; 0 while the price has never changed.

    Args:
        begins: Where the rows of an instrument begin; rows of one instrument stand together, oldest first.
        price: Rupees.
        price_before: At the beginnings: the instrument's last price before these rows, 0 for none.
        side_before: At the beginnings: the side that the tick rule gave its last price change.
    """
    before = np.empty_like(price)
    before[1:] = price[:-1]
    before[begins] = price_before
    sides = (price > before).astype(np.int8) - (price < before).astype(np.int8)
    sides[begins & (before <= 0)] = 0
    # A price that did not change takes the side of the last one that did.
    standing = begins & (sides == 0)
    sides[standing] = side_before[standing[begins]]
    changed = (sides != 0) | begins
    latest = np.maximum.accumulate(np.where(changed, np.arange(len(price)), 0))
    return sides[latest]
