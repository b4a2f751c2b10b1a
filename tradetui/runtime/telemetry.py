"""How long things take, measured while they run: tick-to-state latency and loop lag."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import Final

import numpy as np

_KEPT: Final = 1 << 16


class Latency:
    """The newest 65,536 durations, in a ring that is written to before first use (no page faults later)."""

    def __init__(self) -> None:
        self._ring = np.zeros(_KEPT)
        self._ring.fill(0.0)
        self.count = 0

    def add(self, duration_ns: int) -> None:
        """Note one duration."""
        self._ring[self.count % _KEPT] = duration_ns
        self.count += 1

    def percentile_us(self, pct: float) -> float:
        """A percentile of what is kept, in microseconds; 0 when nothing is."""
        filled = min(self.count, _KEPT)
        return float(np.percentile(self._ring[:filled], pct)) / 1e3 if filled else 0.0


class LoopLag:
    """How late the event loop wakes a sleeper: what every other task on the loop suffers too."""

    _EVERY_S: Final = 0.02

    def __init__(self) -> None:
        self.max_ms = 0.0
        self.samples = Latency()

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.perf_counter_ns() + int(self._EVERY_S * 1e9)
            await asyncio.sleep(self._EVERY_S)
            late = max(0, time.perf_counter_ns() - due)
            self.samples.add(late)
            self.max_ms = max(self.max_ms, late / 1e6)


def rss_mb() -> float:
    """Memory of this process in MiB: now where the system tells (Linux), else its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - called often, kept cheap
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
