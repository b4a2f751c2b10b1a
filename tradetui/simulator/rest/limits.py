"""The rate limits that hold for every client (`upstox.md` 6.1): three windows, per endpoint.

Measured in real time, whatever the exchange's clock does: they protect a server, not a market.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Quota:
    """Requests allowed per second, per minute and per half hour."""

    per_s: int
    per_min: int
    per_30min: int


ORDER_QUOTA = Quota(10, 500, 2000)
READ_QUOTA = Quota(50, 500, 2000)

_WINDOWS_S = (1.0, 60.0, 1800.0)


@dataclass(slots=True)
class _Bucket:
    quota: Quota
    taken: tuple[deque[float], ...] = field(default_factory=lambda: (deque(), deque(), deque()))
    refused: int = 0


@dataclass(slots=True)
class _Arrivals:
    """Everything that came for one endpoint, whatever became of it."""

    recent: tuple[deque[float], ...] = field(default_factory=lambda: (deque(), deque(), deque()))
    peaks: list[int] = field(default_factory=lambda: [0, 0, 0])


class Governor:
    """Counts requests per endpoint over sliding windows.

    Args:
        now_s: Real monotonic seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._buckets: dict[str, _Bucket] = {}
        self._arrivals: dict[str, _Arrivals] = {}

    def arrived(self, endpoint: str) -> None:
        """Count a request that came in, before any fault or limit."""
        seen = self._arrivals.setdefault(endpoint, _Arrivals())
        now = self._now_s()
        for at, (window_s, recent) in enumerate(zip(_WINDOWS_S, seen.recent, strict=True)):
            recent.append(now)
            while now - recent[0] >= window_s:
                recent.popleft()
            seen.peaks[at] = max(seen.peaks[at], len(recent))

    def listing(self) -> dict[str, dict[str, object]]:
        """By endpoint: the most requests that came in any second, minute and half hour, and how many were too many."""
        return {
            endpoint: {
                "peak": list(seen.peaks),
                "refused": bucket.refused if (bucket := self._buckets.get(endpoint)) else 0,
            }
            for endpoint, seen in sorted(self._arrivals.items())
        }

    def take(self, endpoint: str, quota: Quota, weight: int = 1) -> bool:
        """Take ``weight`` requests from an endpoint's quota; False, and nothing taken, when it is used up."""
        bucket = self._buckets.setdefault(endpoint, _Bucket(quota))
        now = self._now_s()
        limits = (quota.per_s, quota.per_min, quota.per_30min)
        for window_s, limit, taken in zip(_WINDOWS_S, limits, bucket.taken, strict=True):
            while taken and now - taken[0] >= window_s:
                taken.popleft()
            if len(taken) + weight > limit:
                bucket.refused += 1
                return False
        for taken in bucket.taken:
            taken.extend([now] * weight)
        return True
