"""Volume at price of the session: point of control and value area.

After J. P. Steidlmayer's Market Profile (J. P. Steidlmayer and K. Koy, *Markets and Market Logic*, 1986), with
volume in place of half-hour letters. The value area is found as in J. F. Dalton, E. T. Jones and R. B. Dalton,
*Mind over Markets* (1990), appendix 1: from the point of control outwards, two prices above against two below,
the pair with more volume first, until it holds 70% of the volume.

Every instrument has `BINS` bins of its own. A bin is one tick wide, until the session's range no longer fits;
then two become one, as often as it takes. So a profile says exactly how much traded in each of its bins, and its
width depends on the session's lowest and highest trade only, not on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tradetui.domain.market_data import F64, I64
from tradetui.market.growing import longer

BINS = 512
"""Bins of an instrument: a share of 1,500 rupees with a tick of 0.10 moves 3% before two ticks share a bin."""

VALUE_AREA = 0.70
"""Share of the volume in the value area: about one standard deviation either side, by convention."""

TickSize = Callable[[int], float]
"""Slot to the instrument's price step, rupees."""

_NO_TICK = 0.01


@dataclass(frozen=True, slots=True)
class Profile:
    """Volume at price of one instrument, lowest price first.

    Attributes:
        price: Lowest price of each bin, rupees.
        width: Width of a bin, rupees; a bin of one tick holds one price.
        volume: Units.
        tick: The instrument's price step, rupees.
    """

    price: F64
    width: float
    volume: I64
    tick: float

    @property
    def total(self) -> int:
        """Units in the profile."""
        return int(self.volume.sum())

    def middle_of(self, at: int) -> float:
        """Middle of the prices that a bin holds, rupees."""
        return float(self.price[at]) + (self.width - self.tick) / 2

    @property
    def control(self) -> float:
        """Point of control: price of the bin with the most volume, rupees; NaN when nothing traded.

        Of several the one nearest to the middle of the range, then the lower one.
        """
        return self.middle_of(self._fullest()) if self.total else float("nan")

    def value_area(self, share: float = VALUE_AREA) -> tuple[float, float]:
        """Lowest and highest price of the value area, rupees; NaN when nothing traded.

        Args:
            share: Of the volume that it has to hold, above 0 up to 1.
        """
        if not self.total:
            return float("nan"), float("nan")
        volume = self.volume.tolist()
        low = high = self._fullest()
        held, wanted = volume[low], share * self.total
        while held < wanted:
            below, above = sum(volume[max(low - 2, 0) : low]), sum(volume[high + 1 : high + 3])
            # The lower pair only when it holds more: a tie goes up, as does an empty pair of the two.
            if (below > above and low > 0) or high == len(volume) - 1:
                low = max(low - 2, 0)
                held += below
            else:
                high = min(high + 2, len(volume) - 1)
                held += above
        return float(self.price[low]), float(self.price[high]) + self.width - self.tick

    def _fullest(self) -> int:
        best = np.flatnonzero(self.volume == self.volume.max())
        return int(best[np.argmin(np.abs(best - (len(self.volume) - 1) / 2))])


class Profiles:
    """Volume at price by slot.

    Args:
        tick_size: Price step of a slot, rupees; asked once a slot.
        capacity: Slots to start with.
    """

    def __init__(self, tick_size: TickSize, capacity: int) -> None:
        self._tick_size = tick_size
        self._volume: I64 = np.zeros((capacity, BINS), np.int64)
        self._first: I64 = np.zeros(capacity, np.int64)  # number of the lowest bin: ticks >> shift
        self._shift: I64 = np.full(
            capacity, -1, np.int64
        )  # a bin holds 2**shift ticks; -1 before the first trade
        self._low: I64 = np.zeros(capacity, np.int64)  # lowest and highest trade, ticks
        self._high: I64 = np.zeros(capacity, np.int64)
        self._tick: F64 = np.zeros(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` slots."""
        for name in ("_volume", "_first", "_low", "_high", "_tick"):
            setattr(self, name, longer(getattr(self, name), capacity))
        more = np.full(capacity - len(self._shift), -1, np.int64)
        self._shift = np.concatenate([self._shift, more])

    def reset(self) -> None:
        """Forget the volume: a new session. Price steps stay."""
        for slot in np.flatnonzero(self._shift >= 0).tolist():
            self._volume[slot] = 0
        self._shift[:] = -1

    def add(self, slot: I64, price: F64, volume: I64) -> None:
        """Take in trades.

        Args:
            slot: Instrument of each; rows of one instrument stand together.
            price: Rupees.
            volume: Units.
        """
        starts = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
        mine = slot[starts]
        for one in mine[self._tick[mine] == 0].tolist():
            self._tick[one] = self._tick_size(one) or _NO_TICK
        ticks = np.rint(price / self._tick[slot]).astype(np.int64)
        low, high = np.minimum.reduceat(ticks, starts), np.maximum.reduceat(ticks, starts)
        new = self._shift[mine] < 0
        if new.any():
            fresh = mine[new]
            self._shift[fresh] = 0
            self._low[fresh] = self._high[fresh] = ticks[starts][new]
            self._first[fresh] = ticks[starts][new] - BINS // 2
        low, high = np.minimum(low, self._low[mine]), np.maximum(high, self._high[mine])
        self._low[mine], self._high[mine] = low, high
        shift, first = self._shift[mine], self._first[mine]
        for at in np.flatnonzero((low >> shift < first) | (high >> shift >= first + BINS)).tolist():
            self._refit(int(mine[at]))
        places = (ticks >> self._shift[slot]) - self._first[slot]
        np.add.at(self._volume.reshape(-1), slot * BINS + places, volume)

    def _refit(self, slot: int) -> None:
        """Make the bins of a slot hold its range: move them, and widen them if they must be."""
        low, high = int(self._low[slot]), int(self._high[slot])
        old_shift, old_first = int(self._shift[slot]), int(self._first[slot])
        shift = old_shift
        while (high >> shift) - (low >> shift) >= BINS:
            shift += 1
        spare = BINS - 1 - ((high >> shift) - (low >> shift))
        first = (low >> shift) - spare // 2
        full = np.flatnonzero(self._volume[slot])
        held = self._volume[slot, full]
        self._volume[slot] = 0
        np.add.at(self._volume[slot], ((full + old_first) >> (shift - old_shift)) - first, held)
        self._shift[slot], self._first[slot] = shift, first

    def of(self, slot: int) -> Profile:
        """The profile of one instrument, from its lowest trade to its highest; empty when nothing traded."""
        shift = int(self._shift[slot])
        if shift < 0:
            return Profile(np.zeros(0), 0.0, np.zeros(0, np.int64), 0.0)
        low, high = int(self._low[slot]) >> shift, int(self._high[slot]) >> shift
        tick = float(self._tick[slot])
        numbers = np.arange(low, high + 1)
        start = low - int(self._first[slot])
        volume = self._volume[slot, start : start + len(numbers)].copy()
        # Rounded as prices are: 0.1 x 3 is not 0.3 in binary.
        price = np.round((numbers << shift) * tick, 4)
        return Profile(price, round(tick * (1 << shift), 4), volume, tick)

    def control(self, slots: I64) -> F64:
        """Points of control of some instruments, rupees; NaN where nothing traded."""
        return np.array([self.of(slot).control for slot in slots.tolist()], np.float64)
