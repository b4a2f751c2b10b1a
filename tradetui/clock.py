"""Clocks: the machine's, the broker's as its stream shows it, and one moved by events.

Engine time is the exchange's time. On a live account that is the machine's clock; on a simulated exchange
(which may run fast, or start at yesterday's open) it is what the frames say, carried on between frames.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000


def since_boot_ns() -> int:
    """Nanoseconds that pass while the machine sleeps too, where the system can tell; no step ever."""
    kind = getattr(time, "CLOCK_BOOTTIME", None)
    # macOS has no CLOCK_BOOTTIME: there CLOCK_MONOTONIC goes on during sleep.
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC if kind is None else kind)


class WallClock:
    """The machine's clock as it was at the start, carried on by a clock that only runs forward.

    Whoever sets the wall clock by hours while we run moves no timer of ours; a laptop that slept has the
    right time when it wakes.
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = since_boot_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now_ns(self) -> int:
        """UTC ns."""
        return self._monotonic() + self._offset

    async def sleep_until(self, t_ns: int) -> None:
        """Return when the clock has reached ``t_ns``."""
        while (left := t_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - a clock has no event to wait for
            await asyncio.sleep(left / NS_PER_S)


class FollowedClock:
    """The exchange's clock as its frames show it, carried on between frames at the measured rate.

    It never runs backwards. Before the first frame it stands at ``start_ns``.

    Args:
        start_ns: What it shows before the first observation, UTC ns.
        rate: Exchange seconds per real second, until enough frames were seen to measure it.
        monotonic: The machine's monotonic clock, ns.
    """

    _MEASURE_NS: Final = NS_PER_S
    _GAP_NS: Final = 5 * NS_PER_S
    """Without a frame for so long (a lost feed), what comes next says nothing about the rate: it may be old."""

    def __init__(
        self, start_ns: int, rate: float = 1.0, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._monotonic = monotonic
        self._shown = start_ns
        self._server = start_ns
        self._seen_at = monotonic()
        self._first: tuple[int, int] | None = None
        self._heard_at = self._seen_at
        self._measure_from = self._seen_at
        self._started = False
        # A median: one second with an outage or an old stamp in it says little about the rate.
        self._expected = (rate, rate)
        self._measured: deque[float] = deque(maxlen=5)
        self.rate = rate

    def now_ns(self) -> int:
        """UTC ns of the exchange."""
        if self._started:
            carried = self._server + int((self._monotonic() - self._seen_at) * self.rate)
            self._shown = max(self._shown, carried)
        return self._shown

    def observe(self, server_ms: int) -> None:
        """A frame says what time it is at the exchange, epoch ms."""
        server, now = server_ms * NS_PER_MS, self._monotonic()
        if not self._started:
            self._started = True
            self._shown, self._heard_at = server, now
        if now - self._heard_at > self._GAP_NS:
            self._first, self._measure_from = None, now + self._MEASURE_NS
        self._heard_at = now
        if now < self._measure_from:
            pass  # the first second after a gap brings snapshots with old stamps
        elif self._first is None or server < self._first[0]:
            self._first = (server, now)
        elif now - self._first[1] >= self._MEASURE_NS:
            self._measured.append(max(0.0, (server - self._first[0]) / (now - self._first[1])))
            self.rate = median([*self._expected, *self._measured])
            self._first = (server, now)
        if server >= self._server:
            self._server, self._seen_at = server, now
        self._shown = max(self._shown, server)

    async def sleep_until(self, t_ns: int) -> None:
        """Return when the exchange's clock has reached ``t_ns``."""
        while (left := t_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - a clock has no event to wait for
            # Frames may carry the clock on faster than its rate says, so look again soon.
            await asyncio.sleep(min(0.05, left / NS_PER_S / max(self.rate, 1e-3)))


class EventClock:
    """A clock that only events move: for replays and back-tests."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now = start_ns
        self._moved = asyncio.Event()

    def now_ns(self) -> int:
        """Time of the last event, UTC ns."""
        return self._now

    def move(self, t_ns: int) -> None:
        """An event happened at ``t_ns``; the clock never runs backwards."""
        if t_ns > self._now:
            self._now = t_ns
            self._moved.set()
            self._moved = asyncio.Event()

    async def sleep_until(self, t_ns: int) -> None:
        """Return when an event has carried the clock to ``t_ns``."""
        while self._now < t_ns:
            await self._moved.wait()
