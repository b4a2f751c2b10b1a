"""Pane 9: the newest log records; follows until scrolled."""

from __future__ import annotations

from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec
from tradetui.tui.spans import Line
from tradetui.tui.state import Frame, level_of


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """Whether it follows, and whose time it shows: this computer's, not the exchange's."""
    back = frame.ui.scroll.get(Pane.LOG, 0)
    if back:
        return (("Log", "title"),), ((f" {back} lines back, G follows ", "warn"),)
    fresh = sum(1 for row in frame.snap.signals if row.state == "new")
    side: Line = ((f" {fresh} new in 7 Signals ", "dim"),) if fresh and 40 < width < 70 else ()
    return (("Log ", "title"), ("computer's time, IST" if width >= 60 else "computer's time", "dim")), side


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Newest at the bottom."""
    del width
    rows = frame.snap.log
    if not rows:
        error = frame.ui.error
        return [((f" {error}", "error"),)] if error else [((" nothing logged yet", "dim"),)]
    back = min(frame.ui.scroll.get(Pane.LOG, 0), max(0, len(rows) - height))
    end = len(rows) - back
    lines: list[Line] = []
    for row in rows[max(0, end - height) : end]:
        style = level_of(row)
        sign = "" if style == "text" else f"{row.level} "
        lines.append(((f" {fmt.clock(row.t_ms)} ", "dim"), (f"{sign}{row.text}", style)))
    return lines


SPEC = PaneSpec(Pane.LOG, title, body, 4.0)
