"""Pane 8: risk figures against their limits, what is left to send, and the state of the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tradetui.domain.text import clean
from tradetui.domain.view import Gauge, Health, Verdict
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec
from tradetui.tui.spans import Line, Span, fit, line_width, pad
from tradetui.tui.state import Frame

_STYLES: Final = {Verdict.PASS: "good", Verdict.WARN: "warn", Verdict.BLOCK: "error"}
_URGENCY: Final = {Verdict.BLOCK: 0, Verdict.WARN: 1, Verdict.PASS: 2}
_NAME: Final = 15
"""Columns of a gauge's name, and of one in a narrow pane."""
_NARROW_NAME: Final = 13
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_LEVELS_ASCII: Final = "01234567"
_SHORT_NAME: Final = 10
_LATE_S: Final = 3.0
_SHORT: Final = (
    (" min", "m"),
    (" 1 s", " 1s"),
    ("Month drawdown", "Month loss"),
    ("Unknown orders", "UNKNOWN"),
)
_ODD: Final = {
    "bad_rows": "bad",
    "unknown_keys": "unknown",
    "out_of_order": "late",
    "duplicates": "twice",
    "asked_by_rest": "by REST",
    "over_limit": "left out",
}
_ROOMY: Final = 38
"""Least width of a column with long names."""
_TWO_COLUMNS: Final = 50
"""Least width at which two gauges fit beside each other."""


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """The gate's state in words."""
    del width
    if not frame.snap.seq:
        return (("Risk", "title"),), ()
    state = frame.snap.risk_state
    style = "good" if state == "active" else "alarm"
    return (("Risk ", "title"), (state, style)), ()


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """What stands in the way first, then the other gauges, then funds and health."""
    snap = frame.snap
    if not snap.seq:
        return [((" not known yet", "dim"),)]
    lines: list[Line] = []
    if snap.risk_reason:
        lines.append(((f" {clean(snap.risk_reason)}", "warn"),))
    if snap.login:
        lines.append(((f" login: {clean(snap.login)}", "error"),))
    # Losses and the broker's limits matter most of what is all right; sorting keeps their order.
    gauges = sorted(_in_order(snap.gauges, snap.budgets), key=lambda gauge: _URGENCY[gauge.verdict])
    facts = _facts(frame)
    room = height - len(lines)
    if len(gauges) + len(facts) <= room or width < _TWO_COLUMNS:
        lines += _one_column(frame, gauges, width)
    else:
        lines += _two_columns(frame, gauges, width)
    # Whether data was lost, the first of the facts, is never pushed out where there is any room.
    kept = lines[: height - 1] if height >= 4 else lines
    return [*kept, *facts][:height]


def _in_order(gauges: tuple[Gauge, ...], budgets: tuple[Gauge, ...]) -> list[Gauge]:
    """Gauges as they come, with what is left to send behind the first of them: losses, then the budget."""
    losses = sum(1 for gauge in gauges if "loss" in gauge.name or "drawdown" in gauge.name)
    start = next((n for n, gauge in enumerate(gauges) if "loss" in gauge.name), 0)
    at = start + losses
    # Of the windows for reading, the fullest tells enough; those for orders are shown one by one.
    orders = [gauge for gauge in budgets if not gauge.name.startswith("Reads")]
    reads = sorted((gauge for gauge in budgets if gauge.name.startswith("Reads")), key=_share)
    fullest = [replace(gauge, name="Reads") for gauge in reads[-1:]]
    return [*gauges[:at], *orders, *gauges[at:], *fullest]


def _facts(frame: Frame) -> list[Line]:
    snap, health = frame.snap, frame.snap.health
    bad = health.dropped + health.bad_frames
    return [
        (
            (" feed  ", "dim"),
            (f"{fmt.compact(health.ticks)} ticks", "text"),
            (f"  lost {bad}", "error" if bad else "dim"),
            (f"  reconnects {health.reconnects}", "warn" if health.reconnects else "dim"),
            *_odd(frame),
        ),
        (
            (" funds ", "dim"),
            (fmt.money(snap.available, places=0), "text"),
            (" free of ", "dim"),
            (fmt.money(snap.capital, places=0), "text"),
        ),
        (
            (" state ", "dim"),
            (f"p50 {health.tick_to_state_p50_us:.0f}us p99 {health.tick_to_state_p99_us:.0f}us", "text"),
            (f"  lag {health.max_loop_lag_ms:.0f}ms", "warn" if health.max_loop_lag_ms > 100 else "dim"),
        ),
        (
            (" store ", "dim"),
            (f"{health.store_queue} rows wait", "text"),
            *_store_trouble(health),
            (f"  {health.rss_mb:.0f} MB", "dim"),
        ),
    ]


def _store_trouble(health: Health) -> Line:
    """What is wrong with the writing of what is stored: nothing on a good day."""
    out: Line = ()
    if health.store_lag_s >= _LATE_S:
        out += ((f"  {health.store_lag_s:.0f}s behind", "warn"),)
    if health.store_dropped:
        out += ((f"  {health.store_dropped} dropped", "warn"),)
    return out


def _odd(frame: Frame) -> tuple[Span, ...]:
    """What else was odd, in a word each; a reconnect and a drop are said already."""
    health = frame.snap.health
    said = [f"  {_ODD[name]} {count}" for name, count in health.odd if name in _ODD]
    return (("".join(said), "warn"),) if said else ()


def _one_column(frame: Frame, gauges: list[Gauge], width: int) -> list[Line]:
    """A line each, with a bar; a long text takes the bar's place, and only its own."""
    name = _NAME if width >= _TWO_COLUMNS else _NARROW_NAME
    words = [len(clean(gauge.text)) + _mark(gauge) for gauge in gauges]
    usual = max((length for length in words if length <= 24), default=0)
    bar = max(3, min(30, width - name - 3 - usual))
    return [
        _gauge(frame, gauge, name, min(bar, max(0, width - name - 3 - length)))
        for gauge, length in zip(gauges, words, strict=True)
    ]


def _mark(gauge: Gauge) -> int:
    return 6 if gauge.verdict is not Verdict.PASS else 0


def _share(gauge: Gauge) -> float:
    return min(abs(gauge.value / gauge.limit), 1.0) if gauge.limit else float(bool(gauge.value))


def _gauge(frame: Frame, gauge: Gauge, columns: int, room: int) -> Line:
    """One limit; ``columns`` are for its name, ``room`` is the length of the bar."""
    share = _share(gauge)
    full = min(room, max(round(share * room), 1 if share > 0 else 0))
    on, off = ("#", ".") if frame.ascii else ("█", "░")
    style = _STYLES[gauge.verdict]
    word = "" if gauge.verdict is Verdict.PASS else f" {gauge.verdict.value.upper()}"
    return (
        (" " + fit(_short_name(gauge.name, columns), columns), "dim"),
        (on * full, style),
        (off * (room - full), "faint"),
        (f" {clean(gauge.text)}", "text"),
        (word, style + "+bold"),
    )


def _two_columns(frame: Frame, gauges: list[Gauge], width: int) -> list[Line]:
    """Two gauges a line, each with one sign for its level; what is too long gets a line of its own."""
    half = width // 2
    lines: list[Line] = []
    waiting: list[Span] | None = None
    for gauge in gauges:
        cell = _cell(frame, gauge, half)
        if line_width(tuple(cell)) > half:
            lines.append(tuple(cell))
        elif waiting is None:
            waiting = cell
        else:
            lines.append((*pad(waiting, half), *cell))
            waiting = None
    if waiting is not None:
        lines.append(tuple(waiting))
    return lines


def _cell(frame: Frame, gauge: Gauge, room: int) -> list[Span]:
    levels = _LEVELS_ASCII if frame.ascii else _LEVELS
    style = _STYLES[gauge.verdict]
    level = levels[min(len(levels) - 1, int(_share(gauge) * len(levels)))]
    loud = "" if gauge.verdict is Verdict.PASS else "+bold"
    text = clean(gauge.text)
    columns = _NAME if room >= _ROOMY else _SHORT_NAME
    name = _short_name(gauge.name, columns)
    if len(text) + columns + 4 > room:
        text = text.partition(" +")[0]  # what is kept for exits stands in the wide pane
    return [
        (" " + fit(name, columns) + " ", "dim"),
        (level, style),
        (f" {text}", (style if loud else "text") + loud),
    ]


def _short_name(name: str, columns: int) -> str:
    if len(name) > columns:
        for long, short in _SHORT:
            name = name.replace(long, short)
    return name


SPEC = PaneSpec(Pane.RISK, title, body, 2.0)
