"""How long things take, measured while they run: tick-to-state latency and loop lag; and what is left to spend."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import Final

import numpy as np

from tradetui.brokers.upstox.governor import Budget
from tradetui.domain.view import Gauge, Verdict

_WARN_SHARE: Final = 0.7
"""Share of what ordinary requests may use from which a gauge warns."""
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


def budget_gauges(budgets: tuple[Budget, ...]) -> tuple[Gauge, ...]:
    """Requests used of each window of the order account, and of the fullest read endpoint.

    Args:
        budgets: Orders first, then reads, the fullest first.
    """
    rows: list[Gauge] = []
    for budget in budgets[:2]:
        what = f"Reads {_endpoint(budget.account)}" if budget.account else "Orders"
        for use in budget.windows:
            span = f"{use.seconds / 60:.0f} min" if use.seconds >= 60 else "1 s"
            text = f"{use.used} / {use.allowed}" + (f" +{use.reserve} exits" if use.reserve else "")
            share = use.used / use.allowed
            verdict = Verdict.BLOCK if share >= 1 else Verdict.WARN if share >= _WARN_SHARE else Verdict.PASS
            rows.append(Gauge(f"{what} {span}", use.used, use.allowed, text, verdict))
        if waiting := sum(budget.waiting):
            rows.append(Gauge(f"{what} waiting", waiting, 0, f"{waiting}", Verdict.WARN))
        if budget.pause_s:
            words = f"{budget.pause_s:.0f} s more: the broker said too many requests"
            rows.append(Gauge(f"{what} pause", budget.pause_s, 0, words, Verdict.BLOCK))
    return tuple(rows)


def _endpoint(path: str) -> str:
    """The last part of an endpoint's path that says what it is: no placeholder."""
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return parts[-1] if parts else path
