"""Pane 8: risk figures against their limits, and the state of the machine."""

from __future__ import annotations

from tradetui.domain.text import clean
from tradetui.domain.view import Gauge, Verdict
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec
from tradetui.tui.spans import Line, Span, fit
from tradetui.tui.state import Frame

_STYLES = {Verdict.PASS: "good", Verdict.WARN: "warn", Verdict.BLOCK: "error"}


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """The gate's state in words."""
    del width
    if not frame.snap.seq:
        return (("Risk", "title"),), ()
    state = frame.snap.risk_state
    style = "good" if state == "active" else "alarm"
    return (("Risk ", "title"), (state, style)), ()


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Gauges first, then funds and health."""
    snap = frame.snap
    if not snap.seq:
        return [((" not known yet", "dim"),)]
    lines: list[Line] = []
    if snap.risk_reason:
        lines.append(((f" {clean(snap.risk_reason)}", "warn"),))
    words = max(
        (len(clean(gauge.text)) + (6 if gauge.verdict is not Verdict.PASS else 0) for gauge in snap.gauges),
        default=0,
    )
    lines += [_gauge(frame, gauge, max(3, min(30, width - 14 - words))) for gauge in snap.gauges]
    health = snap.health
    bad = health.dropped + health.bad_frames
    facts: list[list[Span]] = [
        [
            ("funds ", "dim"),
            (fmt.money(snap.available, places=0), "text"),
            (" free of ", "dim"),
            (fmt.money(snap.capital, places=0), "text"),
        ],
        [
            ("feed  ", "dim"),
            (f"{fmt.compact(health.ticks)} ticks", "text"),
            (f"  lost {bad}", "error" if bad else "dim"),
            (f"  reconnects {health.reconnects}", "warn" if health.reconnects else "dim"),
        ],
        [
            ("state ", "dim"),
            (f"p50 {health.tick_to_state_p50_us:.0f}us p99 {health.tick_to_state_p99_us:.0f}us", "text"),
            (f"  lag {health.max_loop_lag_ms:.0f}ms", "warn" if health.max_loop_lag_ms > 100 else "dim"),
        ],
        [
            ("store ", "dim"),
            (f"{health.store_queue} rows wait", "text"),
            (f"  {health.rss_mb:.0f} MB", "dim"),
        ],
    ]
    lines += [((" ", "text"), *fact) for fact in facts]
    return lines[:height]


def _gauge(frame: Frame, gauge: Gauge, room: int) -> Line:
    """One limit; ``room`` is the length of the bar."""
    share = min(abs(gauge.value / gauge.limit), 1.0) if gauge.limit else 0.0
    full = min(room, max(round(share * room), 1 if share > 0 else 0))
    on, off = ("#", ".") if frame.ascii else ("█", "░")
    style = _STYLES[gauge.verdict]
    word = "" if gauge.verdict is Verdict.PASS else f" {gauge.verdict.value.upper()}"
    return (
        (" " + fit(gauge.name, 11), "dim"),
        (on * full, style),
        (off * (room - full), "faint"),
        (f" {clean(gauge.text)}", "text"),
        (word, style + "+bold"),
    )


SPEC = PaneSpec(Pane.RISK, title, body, 2.0)
