"""What was dropped or odd in this run, by name: one place that screen, summary and status read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradetui.domain.view import Gauge, Verdict
from tradetui.ports import PlannedFeed

if TYPE_CHECKING:
    from tradetui.runtime.core import Runtime

_OF_THE_FEED: Final = (
    "dropped", "bad_frames", "oversize", "bad_rows", "unknown_keys", "unknown_types", "duplicates", "texts",
    "refusals", "reconnects", "lowered", "over_limit",
)  # fmt: skip
_WARN_SHARE: Final = 0.9


def oddities(runtime: Runtime) -> dict[str, int]:
    """Every count of something dropped or odd since the start, zeros included, always in the same order."""
    counters, engine = runtime.parts.feed.counters(), runtime.engine
    store = runtime.parts.store
    return {
        **{name: counters.get(name, 0) for name in _OF_THE_FEED},
        "store_dropped": store.dropped() if store is not None else 0,
        "out_of_order": engine.quotes.out_of_order,
        "from_future": engine.quotes.from_future,
        "outside_session": engine.candles.outside,
        "late_trades": engine.candles.late,
        "late_dropped": engine.candles.late_dropped,
        "bars_flagged": runtime.mending.flagged,
        "bars_mended": runtime.mending.mended,
        "asked_by_rest": len(runtime.supervision.asked_for),
    }


def key_gauges(runtime: Runtime) -> tuple[Gauge, ...]:
    """Instruments streamed in each mode against the account's limits; what found no room is said in words."""
    feed = runtime.parts.feed
    if not isinstance(feed, PlannedFeed):
        return ()
    counters = feed.counters()
    lowered, over = counters.get("lowered", 0), counters.get("over_limit", 0)
    rows = []
    for mode, used, limit in feed.key_use():
        text = f"{used:,} / {limit:,}"
        if mode != "ltpc" and lowered:
            text += f", {lowered:,} more by price alone"
        short = used >= limit or bool(lowered)
        verdict = Verdict.WARN if short or used >= _WARN_SHARE * limit else Verdict.PASS
        rows.append(Gauge(f"Keys {mode}", used, limit, text, verdict))
    if over:
        rows.append(Gauge("Keys left out", over, 0, f"{over:,} do not stream: no room", Verdict.WARN))
    return tuple(rows)
