"""The night between two trading days: delivered shares leave the positions and stand in the demat account.

Shares that were bought are listed as T1 on the next trading day and as settled on the one after it; shares that were
sold are gone from the holdings (`upstox.md` 2.8, `india-markets.md` 3: settlement is T+1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price
from tradetui.domain.order import Product
from tradetui.domain.position import Position


def delivered(positions: Iterable[Position], instruments: Mapping[str, Instrument]) -> list[Position]:
    """Positions in shares that are delivered, flat ones among them."""
    return [
        one
        for one in positions
        if one.product is Product.DELIVERY and instruments[one.instrument_key].kind is InstrumentKind.EQUITY
    ]


def settled(holdings: Mapping[str, Holding], moved: Iterable[Position]) -> dict[str, Holding]:
    """The demat account on the next trading day.

    Args:
        holdings: Before, by instrument key.
        moved: Yesterday's delivery positions.
    """
    after = {
        key: replace(one, qty=one.qty + one.t1_qty, t1_qty=0, used_qty=0) for key, one in holdings.items()
    }
    for position in moved:
        key = position.instrument_key
        old = after.get(key, Holding(key, 0, 0, 0, Price(0)))
        if position.qty > 0:
            value = (old.qty + old.t1_qty) * old.average_price + position.qty * position.average_price
            units = old.qty + old.t1_qty + position.qty
            after[key] = replace(old, t1_qty=old.t1_qty + position.qty, average_price=Price(value // units))
        else:
            after[key] = replace(old, qty=max(0, old.qty + position.qty))
    return {key: one for key, one in after.items() if one.qty or one.t1_qty}
