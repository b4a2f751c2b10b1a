"""Pane 5: positions with their profit net of charges; the day's gross, charges and net in the title."""

from __future__ import annotations

from tradetui.domain.text import clean
from tradetui.domain.view import PositionRow
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec, marked, window
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import Line, Span, fit, right
from tradetui.tui.state import Frame, position_id
from tradetui.tui.words import plan_text

_PRODUCTS = {"I": "INTRA", "D": "DELIV", "MTF": "MTF"}


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """How many are open, and the day: gross, charges, net."""
    snap = frame.snap
    held = sum(1 for row in snap.positions if row.qty)
    net = snap.day_pnl - snap.day_charges
    side: Line = ((" net ", "dim"), (fmt.money(net, sign=True), tone(net)), (" ", "dim"))
    if width > 52:
        side = (
            (" gross ", "dim"),
            (fmt.money(snap.day_pnl, sign=True), tone(snap.day_pnl)),
            (f" charges {fmt.money(snap.day_charges)}", "dim"),
            *side,
        )
    return ((f"Positions {held}", "title"),), side


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Column heads and rows; flat positions of the day stay, dimmed."""
    wide, full = width >= 58, width >= 84
    symbol = width - (1 + 6 + 8 + 10 + (10 if wide else 0) + 12) - (30 if full else 2)
    head = " " + fit("SYMBOL", symbol) + fit("PROD", 6) + right("QTY", 8) + right("AVG", 10)
    head += right("LTP", 10) if wide else ""
    head += right("GROSS", 12) + right("CHARGES", 10) if full else ""
    head += right("NET P&L", 12)
    lines: list[Line] = [((fit(head, width), "dim"),)]
    rows = frame.snap.positions
    if not rows:
        return [*lines, ((" no positions today" if frame.snap.seq else " not known yet", "dim"),)]
    cursor = frame.ui.cursors.get(Pane.POSITIONS, "")
    index = next((i for i, row in enumerate(rows) if position_id(row) == cursor), -1)
    start = window(frame.ui, Pane.POSITIONS, index, len(rows), height - 1)
    focused = frame.ui.focus is Pane.POSITIONS
    open_rows = sum(1 for row in rows if row.qty)
    roomy = height - 1 >= len(rows) + open_rows
    for row in rows[start : start + height - 1]:
        here = position_id(row) == cursor
        lines.append(marked(_row(row, symbol, wide=wide, full=full), width, cursor=here, focused=focused))
        note = _note(row) if row.qty and (roomy or (here and len(lines) < height)) else ()
        if note:
            lines.append(note)
    return lines[:height]


def _row(row: PositionRow, symbol: int, *, wide: bool, full: bool) -> Line:
    flat = row.qty == 0
    base = "dim" if flat else "text"
    spans = [
        (fit(fit(row.symbol, symbol - 1), symbol), base),
        (fit(_PRODUCTS.get(row.product, row.product), 6), "dim"),
        (right(fmt.signed_units(row.qty) if row.qty else "flat", 8), base if flat else tone(row.qty)),
        (right(fmt.money(row.average) if row.average else fmt.NEVER, 10), base),
    ]
    if wide:
        spans.append((right(("~" if row.stale else "") + fmt.price(row.last), 10), base))
    if full:
        spans.append((right(fmt.money(row.pnl, sign=True), 12), tone(row.pnl)))
        spans.append((right(fmt.money(row.charges), 10), "dim"))
    net = row.pnl - row.charges
    spans.append((right(fmt.money(net, sign=True), 12), tone(net) + ("" if flat else "+bold")))
    if row.naked and row.qty:
        spans.append((" no stop" if full else " !", "warn"))
    return tuple(spans)


def _note(row: PositionRow) -> Line:
    """How a position is to be left, what is not protected and why, and where it breaks even."""
    spans: list[Span] = []
    if row.naked and row.naked_why:
        spans.append((f" naked: {clean(row.naked_why)} ", "warn"))
    plan = plan_text(row.plan)
    if plan:
        spans.append((f" {plan} ", "accent"))
    if row.breakeven:
        ticks = "" if row.breakeven_ticks is None else f" {row.breakeven_ticks:+.0f} ticks"
        spans.append((f" even {fmt.money(row.breakeven)}{ticks}", "dim"))
    return (("   ", "dim"), *spans) if spans else ()


SPEC = PaneSpec(Pane.POSITIONS, title, body, 4.0)
