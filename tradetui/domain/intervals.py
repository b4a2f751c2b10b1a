"""Lengths of bars by name. Nothing is imported here: settings and screen need the names before anything heavy is loaded."""

from __future__ import annotations

INTERVALS: dict[str, int] = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "1d": 86_400,
    "1w": 604_800,
    "1M": 2_592_000,
}
"""Bar intervals by name, in seconds. A day stands for one session; ``1w`` and ``1M`` for the sessions of a calendar
week and month, whose seconds are a name, not a length."""


def interval_name(interval_s: int) -> str:
    """The short name of an interval: ``300`` is ``5m``."""
    for name, seconds in INTERVALS.items():
        if seconds == interval_s:
            return name
    return f"{interval_s}s"
