"""When continuous trading runs today, as columns by slot, so that a whole frame is judged at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np

from tradetui.domain.calendar import DAY_NS, day_start_ns, ist_date
from tradetui.domain.market_data import I32, I64

Continuous = Callable[[int, date], tuple[int, int] | None]
"""Slot and IST day to the first start and last end of continuous trading, ns UTC; None on a day without."""

NS_PER_MS = 1_000_000
_NEVER = (0, 0)


class SessionTable:
    """Bounds of today's continuous trading by slot, asked once a slot and day.

    Attributes:
        day: IST date that the columns hold; None before the first event.
        start_ms: int64 by slot, epoch ms; 0 where there is no session or none was asked for yet.
        end_ms: int64 by slot, epoch ms; as above.
    """

    def __init__(self, continuous: Continuous, capacity: int) -> None:
        self._continuous = continuous
        self.day: date | None = None
        self.start_ms: I64 = np.zeros(capacity, np.int64)
        self.end_ms: I64 = np.zeros(capacity, np.int64)
        self._known = np.zeros(capacity, np.bool_)
        self._bounds: list[tuple[int, int] | None] = [None] * capacity  # the same, quick to read one by one
        self._from_ms = 0
        self._until_ms = 0

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` slots."""
        more = capacity - len(self.start_ms)
        self.start_ms = np.concatenate([self.start_ms, np.zeros(more, np.int64)])
        self.end_ms = np.concatenate([self.end_ms, np.zeros(more, np.int64)])
        self._known = np.concatenate([self._known, np.zeros(more, np.bool_)])
        self._bounds += [None] * more

    def roll(self, t_ms: int) -> bool:
        """Turn to the IST day that holds ``t_ms``; tell whether the day changed."""
        if self._from_ms <= t_ms < self._until_ms:
            return False
        self.day = ist_date(t_ms * NS_PER_MS)
        midnight_ns = day_start_ns(self.day)
        self._from_ms = midnight_ns // NS_PER_MS
        self._until_ms = (midnight_ns + DAY_NS) // NS_PER_MS
        self.start_ms[:] = 0
        self.end_ms[:] = 0
        self._known[:] = False
        self._bounds = [None] * len(self._bounds)
        return True

    @property
    def midnight_ms(self) -> int:
        """Midnight IST at the start of the day, epoch ms UTC: the label of session bars."""
        return self._from_ms

    def fill(self, slots: I32) -> None:
        """Look up the bounds of those of ``slots`` that were not asked for today."""
        known = self._known[slots]
        if not known.all():
            for slot in slots[~known].tolist():
                self._look_up(slot)

    def bounds(self, slot: int) -> tuple[int, int]:
        """Start and end of today's continuous trading, epoch ms; ``(0, 0)`` when there is none."""
        return self._bounds[slot] or self._look_up(slot)

    def _look_up(self, slot: int) -> tuple[int, int]:
        if self.day is None:
            raise RuntimeError("no day yet: call roll with the time of an event first")
        start_ns, end_ns = self._continuous(slot, self.day) or _NEVER
        bounds = (start_ns // NS_PER_MS, end_ns // NS_PER_MS)
        self.start_ms[slot], self.end_ms[slot] = self._bounds[slot] = bounds
        self._known[slot] = True
        return bounds
