"""What the trades of the session add up to, by slot: value, spread of prices, and who began them.

Trades are taken in many at a time (`TradeFlow.add`), instruments mixed, oldest first. Sums run over the trades
of an instrument strictly one after the other, so the state does not depend on how they were cut into portions.

Mean and variance of the price, weighted by volume, are kept as sums of differences from the session's first
price (T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for Computing the Sample Variance", The American
Statistician 37 (1983), pages 242-247): sums of squared prices would lose what is left after subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64, I64
from tradetui.market.aggressor import Sides, quote_rule, tick_rule
from tradetui.market.growing import longer

_COLUMNS = (
    "volume", "buy_volume", "sell_volume", "trades", "reference", "moment1", "moment2", "last_price", "side",
    "base_volume", "base_value", "aggressor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Portion:
    """Trades, those of one instrument together and oldest first.

    Attributes:
        slot: Instrument.
        price: Rupees; 0 where it is not known.
        volume: Units.
        bid, ask: Best prices before the trade, rupees; 0 for none.
        late: Told after a younger trade.
        timed: Inside continuous trading: in an auction nobody crosses a spread.
    """

    slot: I64
    price: F64
    volume: I64
    bid: F64
    ask: F64
    late: NDArray[np.bool_]
    timed: NDArray[np.bool_]


class TradeFlow:
    """Sums of the session by slot.

    Args:
        capacity: Slots to start with.

    Attributes:
        volume: int64, units of the trades seen.
        buy_volume, sell_volume: int64, units of those that a buyer and a seller began.
        trades: int64, rows that told of volume; one row may stand for many trades.
        reference: float64, price of the first trade, rupees; 0 before it.
        moment1, moment2: float64, sums of volume times the difference from ``reference``, and its square.
        last_price: float64, newest price, rupees; 0 before the first.
        side: int8, side that the tick rule gave the last change of the price; 0 before the first.
        aggressor: int8, who began the newest trade: 1 a buyer, -1 a seller, 0 not known or none yet.
        base_volume: int64, units that traded while nobody looked.
        base_value: float64, what they were worth by the broker's average, rupees.
    """

    def __init__(self, capacity: int) -> None:
        self.volume: I64 = np.zeros(capacity, np.int64)
        self.buy_volume: I64 = np.zeros(capacity, np.int64)
        self.sell_volume: I64 = np.zeros(capacity, np.int64)
        self.trades: I64 = np.zeros(capacity, np.int64)
        self.reference: F64 = np.zeros(capacity)
        self.moment1: F64 = np.zeros(capacity)
        self.moment2: F64 = np.zeros(capacity)
        self.last_price: F64 = np.zeros(capacity)
        self.side: Sides = np.zeros(capacity, np.int8)
        self.aggressor: Sides = np.zeros(capacity, np.int8)
        self.base_volume: I64 = np.zeros(capacity, np.int64)
        self.base_value: F64 = np.zeros(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` slots."""
        for name in _COLUMNS:
            setattr(self, name, longer(getattr(self, name), capacity))

    def reset(self) -> None:
        """A new session: everything begins again. The tick rule does not reach back over a night either."""
        for name in _COLUMNS:
            getattr(self, name)[:] = 0

    def add(self, portion: Portion) -> NDArray[np.bool_]:
        """Take in trades; return which of them carried volume at a known price."""
        slot, price, volume = portion.slot, portion.price, portion.volume
        sides = self._sides(portion)
        begins = np.concatenate(([True], slot[1:] != slot[:-1]))
        starts = np.flatnonzero(begins)
        mine = slot[starts]
        self.buy_volume[mine] += np.add.reduceat(np.where(sides > 0, volume, 0), starts)
        self.sell_volume[mine] += np.add.reduceat(np.where(sides < 0, volume, 0), starts)
        counted = (volume > 0) & (price > 0)
        if not counted.all():
            slot, price, volume, sides = slot[counted], price[counted], volume[counted], sides[counted]
            if not len(slot):
                return counted
            starts = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
            mine = slot[starts]
        self.volume[mine] += np.add.reduceat(volume, starts)
        ends = np.append(starts[1:], len(slot))
        self.trades[mine] += ends - starts
        self.aggressor[mine] = sides[ends - 1]
        known = self.reference[mine]
        self.reference[mine] = np.where(known > 0, known, price[starts])
        away = price - self.reference[slot]
        weighted = away * volume
        # `add.at` adds one after the other: the same sums whatever the portions.
        np.add.at(self.moment1, slot, weighted)
        np.add.at(self.moment2, slot, weighted * away)
        return counted

    def _sides(self, portion: Portion) -> Sides:
        """Who began each trade; 0 where that cannot be told. Moves the last prices on."""
        in_order = ~portion.late & (portion.price > 0)
        whole = bool(in_order.all())
        slot = portion.slot if whole else portion.slot[in_order]
        if not len(slot):
            return np.zeros(len(portion.slot), np.int8)
        price = portion.price if whole else portion.price[in_order]
        begins = np.concatenate(([True], slot[1:] != slot[:-1]))
        mine = slot[begins]
        ticked = tick_rule(begins, price, self.last_price[mine], self.side[mine])
        ends = np.concatenate((begins[1:], [True]))
        self.last_price[mine], self.side[mine] = price[ends], ticked[ends]
        bid, ask = (portion.bid, portion.ask) if whole else (portion.bid[in_order], portion.ask[in_order])
        quoted = quote_rule(price, bid, ask)
        sides = np.where(quoted != 0, quoted, ticked)
        if whole:
            return np.where(portion.timed, sides, np.int8(0))
        told = np.zeros(len(portion.slot), np.int8)
        told[in_order] = np.where(portion.timed[in_order], sides, np.int8(0))
        return told

    def rebase(self, slots: I64, volume: I64, average: F64) -> None:
        """Take what traded unseen from the broker's figures of the day.

        Args:
            slots: Instruments.
            volume: The day's volume by the broker, units.
            average: The day's average price by the broker, rupees; 0 where it gives none.
        """
        unseen = np.maximum(volume - self.volume[slots], 0)
        value = average * volume - self.value(slots)
        told = (unseen > 0) & (average > 0)
        self.base_volume[slots] = np.where(told, unseen, 0)
        self.base_value[slots] = np.where(told, value, 0.0)

    def value(self, slots: I64) -> F64:
        """Value of the trades seen, rupees (units times price, without a contract's multiplier)."""
        return self.reference[slots] * self.volume[slots] + self.moment1[slots]

    def variance(self, slots: I64) -> F64:
        """Variance of the price over the units seen, squared rupees; NaN without any."""
        volume = self.volume[slots].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.moment1[slots] / volume
            return np.maximum(self.moment2[slots] / volume - mean * mean, 0.0)
