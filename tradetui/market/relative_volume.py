"""Relative volume by time of day: today's volume against the usual one up to this minute.

1.0 is usual, 2.0 twice as much as past sessions had by now. Volume has its own course through the day (much at the
open and at the close), so a comparison with a whole day's average would say nothing before the close.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64, I64
from tradetui.market.growing import longer

MINUTES = 1024
"""Longest session that is kept, minutes: commodities trade 09:00 to 23:55, which is 895."""

FEWEST_SESSIONS = 3
"""Past sessions that make a usual one."""

_MINUTE_MS = 60_000
_IST_MS = 19_800_000
_DAY_MS = 86_400_000


def usual_volume(start_ms: I64, volume: I64, opens_ms: Sequence[int], minutes: int) -> tuple[float, ...]:
    """Mean cumulative volume by minute since the start of continuous trading, units; empty when it cannot be said.

    Args:
        start_ms: Starts of one-minute bars, epoch ms.
        volume: Their volumes, units.
        opens_ms: Start of continuous trading of each past session, epoch ms; other days do not count.
        minutes: Length of today's session. A past one counts if its bars reach nine tenths of that: an hour of
            Muhurat trading, or half a day, is not a usual day.

    Bars from before a session's start (an opening auction's) count with its first minute.
    """
    days = _ist_day(start_ms)
    curves = []
    for open_ms in opens_ms:
        mine = days == _ist_day(np.array([open_ms]))[0]
        places = (start_ms[mine] - open_ms) // _MINUTE_MS
        if not len(places) or places.max() + 1 < 0.9 * minutes:
            continue
        by_minute = np.zeros(minutes)
        np.add.at(by_minute, np.clip(places, 0, minutes - 1), volume[mine])
        curves.append(np.cumsum(by_minute))
    if len(curves) < FEWEST_SESSIONS:
        return ()
    mean: F64 = np.mean(curves, axis=0)
    return tuple(mean.tolist()) if mean[-1] > 0 else ()


def _ist_day(t_ms: I64) -> I64:
    return (t_ms + _IST_MS) // _DAY_MS


class RelativeVolume:
    """Usual courses of the volume by slot.

    Args:
        capacity: Slots to start with.
    """

    def __init__(self, capacity: int) -> None:
        # Most slots of a long watchlist never learn theirs: rows are handed out as they come.
        self._row: I64 = np.full(capacity, -1, np.int64)
        # Seven digits are plenty for a mean, and 2,000 instruments take 8 MB instead of 16.
        self._curves: NDArray[np.float32] = np.zeros((0, MINUTES + 1), np.float32)
        self._minutes: I64 = np.zeros(0, np.int64)
        self._used = 0

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` slots."""
        self._row = np.concatenate([self._row, np.full(capacity - len(self._row), -1, np.int64)])

    def learn(self, slot: int, volume_by_minute: Sequence[float]) -> None:
        """Take the usual cumulative volume of one instrument, units by minute; nothing forgets it."""
        minutes = min(len(volume_by_minute), MINUTES)
        if not minutes:
            self._row[slot] = -1
            return
        row = int(self._row[slot])
        if row < 0:
            row, self._used = self._used, self._used + 1
            if row == len(self._curves):
                self._curves = longer(self._curves, max(16, 2 * row))
                self._minutes = longer(self._minutes, max(16, 2 * row))
            self._row[slot] = row
        curve = np.asarray(volume_by_minute[:minutes], np.float32)
        self._curves[row, 1 : minutes + 1] = curve
        self._curves[row, minutes + 1 :] = curve[-1]
        self._minutes[row] = minutes

    def ratio(self, slots: I64, volume: I64, since_start_ms: I64) -> F64:
        """Today's volume over the usual one by now; NaN before the start, or where no usual one is known.

        Args:
            slots: Instruments.
            volume: Their volume of the day, units.
            since_start_ms: Time since each one's continuous trading began, ms. Within a minute the usual volume
                grows evenly; after the last one it stays.
        """
        rows = self._row[slots]
        known = (rows >= 0) & (since_start_ms > 0)
        ratio = np.full(len(slots), np.nan)
        if known.any():
            row = rows[known]
            minute = np.minimum(since_start_ms[known] / _MINUTE_MS, self._minutes[row])
            whole = np.minimum(minute.astype(np.int64), MINUTES - 1)
            before, after = (self._curves[row, at].astype(np.float64) for at in (whole, whole + 1))
            usual = before + (after - before) * (minute - whole)
            ratio[known] = np.where(usual > 0, volume[known] / np.where(usual > 0, usual, 1.0), np.nan)
        return ratio
