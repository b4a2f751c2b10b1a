"""Keeps us under the broker's and SEBI's rate limits, in three windows at once (`upstox.md` 6.1, 1.8).

Counts requests in sliding windows, which no burst can cheat (a refilled bucket lets two bursts into one
second). Order writes share one account of 10 a second: ordinary ones may use eight of them, the other two
are kept for cancels and exits. Reads are counted per endpoint, as the broker does.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from tradetui.domain.errors import RateLimited


class Lane(IntEnum):
    """Who goes first; a smaller number does."""

    EXIT = 0
    """Cancels and orders that reduce risk: they may use the reserve."""
    NORMAL = 1


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``limit`` requests in any ``seconds``, of which ordinary ones may use ``normal``."""

    seconds: float
    limit: int
    normal: int


# A tenth more than a second, since the network may squeeze requests together on their way.
ORDER_WINDOWS: Final = (Window(1.1, 10, 8), Window(60.0, 500, 480), Window(1800.0, 2000, 1900))
READ_WINDOWS: Final = (Window(1.1, 50, 50), Window(60.0, 500, 480), Window(1800.0, 2000, 1950))


@dataclass(slots=True)
class _Account:
    """Requests of one kind."""

    windows: tuple[Window, ...]
    taken: deque[float] = field(default_factory=deque)
    waiting: list[int] = field(default_factory=lambda: [0] * len(Lane))

    def wait_s(self, lane: Lane, now: float) -> float:
        """Seconds until a request of this lane fits into every window; 0 when it does now."""
        longest = self.windows[-1].seconds
        while self.taken and now - self.taken[0] >= longest:
            self.taken.popleft()
        wait = 0.0
        for window in self.windows:
            allowed = window.limit if lane is Lane.EXIT else window.normal
            if len(self.taken) >= allowed:
                # The request that must have left the window before ours may come.
                wait = max(wait, self.taken[-allowed] + window.seconds - now)
        return wait


class Governor:
    """Grants requests, in order of lane and then of arrival.

    Args:
        orders: Windows of order writes.
        reads: Windows of every read endpoint.
        now_s: Monotonic seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        orders: tuple[Window, ...] = ORDER_WINDOWS,
        reads: tuple[Window, ...] = READ_WINDOWS,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now_s = now_s
        self._sleep = sleep
        self._orders = _Account(orders)
        self._reads = reads
        self._accounts: dict[str, _Account] = {}

    async def acquire(
        self, account: str = "", lane: Lane = Lane.NORMAL, max_wait_s: float | None = None
    ) -> None:
        """Wait until one more request fits, and count it.

        Args:
            account: Read endpoint, or empty for an order write.
            lane: Who asks.
            max_wait_s: Refuse at once if the wait would be longer; ``None`` waits as long as it takes.

        Raises:
            RateLimited: The wait would be longer than ``max_wait_s``. Nothing is counted.
        """
        mine = self._orders if not account else self._accounts.setdefault(account, _Account(self._reads))
        deadline = None if max_wait_s is None else self._now_s() + max_wait_s
        mine.waiting[lane] += 1
        try:
            while True:
                now = self._now_s()
                wait = mine.wait_s(lane, now)
                yields = lane is Lane.NORMAL and mine.waiting[Lane.EXIT] > 0
                if wait <= 0 and not yields:
                    mine.taken.append(now)
                    return
                if deadline is not None and now + wait > deadline:
                    raise RateLimited(
                        "not sent: our own limit on requests is used up",
                        remedy=f"Next slot in {max(wait, 0.1):.1f} s; the broker suspends those who go over",
                    )
                await self._sleep(max(wait, 0.01))
        finally:
            mine.waiting[lane] -= 1

    def used(self, account: str = "") -> tuple[tuple[int, int], ...]:
        """For the quota meter: requests used and allowed, per window."""
        mine = self._orders if not account else self._accounts.get(account)
        if mine is None:
            return tuple((0, window.limit) for window in self._reads)
        now = self._now_s()
        return tuple(
            (sum(now - t < window.seconds for t in mine.taken), window.limit) for window in mine.windows
        )
