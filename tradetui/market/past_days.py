"""What past sessions came to, by slot: yearly high and low, last open interest, usual course of the volume.

It comes from stored bars (`PastDaysEvent`), and is carried on when the day changes under a running engine.
"""

from __future__ import annotations

import numpy as np

from tradetui.domain.events import PastDaysEvent
from tradetui.domain.market_data import F64, I64, Bar, Px
from tradetui.market.growing import longer, room_for
from tradetui.market.quotes import Quotes
from tradetui.market.relative_volume import RelativeVolume

_COLUMNS = ("high_rupees", "low_rupees", "oi")


class PastDays:
    """Figures of past sessions by slot.

    Args:
        capacity: Slots to start with.

    Attributes:
        high_rupees, low_rupees: float64, of the last 52 weeks without today, rupees; 0 where not known.
        oi: float64, open interest at the end of the last session, units; 0 where not known.
        volume: The usual course of the day's volume.
    """

    def __init__(self, capacity: int) -> None:
        self.high_rupees: F64 = np.zeros(capacity)
        self.low_rupees: F64 = np.zeros(capacity)
        self.oi: F64 = np.zeros(capacity)
        self.volume = RelativeVolume(capacity)

    def grow_for(self, slot: int) -> None:
        """Make room for a slot."""
        if slot < len(self.oi):
            return
        capacity = room_for(len(self.oi), slot)
        for name in _COLUMNS:
            setattr(self, name, longer(getattr(self, name), capacity))
        self.volume.grow(capacity)

    def take(self, event: PastDaysEvent) -> None:
        """Take in the figures of one instrument; they replace what was known."""
        slot = event.slot
        self.grow_for(slot)
        self.high_rupees[slot], self.low_rupees[slot] = event.high_rupees, event.low_rupees
        self.oi[slot] = event.oi
        self.volume.learn(slot, event.volume_by_minute)

    def add_day(self, quotes: Quotes, midnight_ms: int) -> None:
        """A day is over that began at ``midnight_ms``: its range and open interest become the past's.

        Only for instruments that have a past: one day is no year.
        """
        count = min(len(self.oi), quotes.capacity)
        bar: I64 = np.flatnonzero(
            (quotes.day[:count, Bar.TS_MS] == midnight_ms)
            & (self.high_rupees[:count] > 0)
            & (quotes.day[:count, Bar.LOW] > 0)
        )
        self.high_rupees[bar] = np.maximum(self.high_rupees[bar], quotes.day[bar, Bar.HIGH])
        self.low_rupees[bar] = np.minimum(self.low_rupees[bar], quotes.day[bar, Bar.LOW])
        oi = quotes.px[:count, Px.OI]
        self.oi[:count] = np.where(oi > 0, oi, self.oi[:count])
