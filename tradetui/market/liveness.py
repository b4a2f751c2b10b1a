"""How often each instrument is heard of, and whether its silence now is more than that explains.

A share that trades twice an hour is quiet; one that ticks four times a second and has said nothing for half a minute
is silent, and something is wrong. So each instrument has a rate of its own, learned while its market trades
continuously, and silence is judged by the updates that are missing: with a rate r, a silence of t seconds is worth
r * t updates. Updates come at random moments, so n missing ones happen by chance once in e**n times.

Looked at once a second, for all instruments at once; nothing of it is on the way of a tick.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tradetui.domain.market_data import F64, I64
from tradetui.market.quotes import Quotes

MISSING_STREAM: Final = 5.0
"""Missing updates of all instruments together from which the stream counts as silent: one chance in 150."""
MISSING_ONE: Final = 12.0
"""Missing updates of one instrument from which it counts as silent: one chance in 160,000, and there are thousands."""
LEAST_S: Final = 20.0
"""No single instrument is called silent sooner: a conflated feed may skip a few seconds."""
_TAU_S: Final = 300.0
"""Memory of the rate: a lull at noon is learned in minutes."""
_PRIOR_S: Final = 60.0
"""So many seconds at one update a second are taken for granted before anything is known: alarms come early, not late."""
_NS: Final = 1e9
_NS_PER_MS: Final = 1_000_000


class Liveness:
    """Rates by slot.

    Args:
        quotes: Market state; its ``version`` counts what is heard.
    """

    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes
        self._seen: I64 = np.zeros(0, np.int64)
        self._seconds: F64 = np.zeros(0)
        self._updates: F64 = np.zeros(0)
        self._at_ns = 0

    def on_time(self, t_ns: int) -> None:
        """Learn from the time since the last call. Not to be called while the stream is down or silent."""
        quotes = self._quotes
        self._grow(quotes.capacity)
        passed_s = (t_ns - self._at_ns) / _NS if self._at_ns else 0.0
        self._at_ns = t_ns
        news = quotes.version - self._seen
        self._seen[:] = quotes.version
        if passed_s <= 0:
            return
        open_ = self._open(t_ns)
        fade = np.exp(-passed_s / _TAU_S)
        self._seconds[open_] = self._seconds[open_] * fade + passed_s
        self._updates[open_] = self._updates[open_] * fade + news[open_]

    def skip(self, t_ns: int) -> None:
        """Let time pass that says nothing about rates: the stream was down, or is silent."""
        self._grow(self._quotes.capacity)
        self._at_ns = t_ns
        self._seen[:] = self._quotes.version

    def rate(self, slot: int) -> float:
        """Updates a second of one instrument while its market trades."""
        return float(self._updates[slot] / self._seconds[slot]) if slot < len(self._seconds) else 1.0

    def missing(self, t_ns: int, since_ns: int) -> float:
        """Updates that all trading instruments together should have brought since a moment."""
        self._grow(self._quotes.capacity)
        open_ = self._open(t_ns) & (self._quotes.last_seen_ns > 0)
        rates = self._updates[open_] / self._seconds[open_]
        return float(rates.sum()) * max(0, t_ns - since_ns) / _NS

    def silent(self, t_ns: int) -> tuple[int, ...]:
        """Slots that trade, were heard of before, and are silent for longer than their rate explains."""
        quotes = self._quotes
        self._grow(quotes.capacity)
        seen = quotes.last_seen_ns
        age_s = (t_ns - seen) / _NS
        missing = self._updates / self._seconds * age_s
        found = self._open(t_ns) & (seen > 0) & (age_s >= LEAST_S) & (missing >= MISSING_ONE)
        return tuple(np.flatnonzero(found).tolist())

    def _open(self, t_ns: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        sessions, t_ms = self._quotes.sessions, t_ns // _NS_PER_MS
        is_open: np.ndarray[tuple[int], np.dtype[np.bool_]] = (sessions.start_ms <= t_ms) & (
            t_ms < sessions.end_ms
        )
        return is_open

    def _grow(self, capacity: int) -> None:
        more = capacity - len(self._seen)
        if more > 0:
            self._seen = np.concatenate([self._seen, np.zeros(more, np.int64)])
            self._seconds = np.concatenate([self._seconds, np.full(more, _PRIOR_S)])
            self._updates = np.concatenate([self._updates, np.full(more, _PRIOR_S)])
