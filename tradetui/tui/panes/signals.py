"""Pane 7: strategies with their switches, and signals with their scores.

A score is what the rules added up to: not a probability, and not advice.
"""

from __future__ import annotations

from tradetui.domain.text import clean
from tradetui.domain.view import SignalRow, StrategyRow
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec, marked, window
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import Line, fit, line_width, right
from tradetui.tui.state import Frame, signals_shown


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """Counts, and what a score is not."""
    side: Line = ((" score is no probability, no advice ", "dim"),) if width > 60 else ()
    return ((f"Signals {len(frame.snap.signals)}", "title"),), side


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Strategies first, then signals, newest first."""
    strategies = frame.snap.strategies[: max(1, height // 3)]
    lines: list[Line] = [_strategy(row, width) for row in strategies]
    symbol, source = (24 if width >= 92 else 15 if width >= 60 else 12), 14 if width >= 92 else 0
    rows = signals_shown(frame.snap)
    if not rows:
        return [*lines, ((" no signals yet: they come when a bar closes", "dim"),)]
    levels = "      STOP    TARGET" if width >= 64 else ""
    head = f" TIME  SIDE {fit('SYMBOL', symbol)}{fit('FROM', source)}SCORE     PRICE{levels} STATE"
    lines.append(((fit(head, width), "dim"),))
    room = max(1, height - len(lines))
    cursor = frame.ui.cursors.get(Pane.SIGNALS, "")
    index = next((i for i, row in enumerate(rows) if row.id == cursor), -1)
    start = window(frame.ui, Pane.SIGNALS, index, len(rows), room)
    focused = frame.ui.focus is Pane.SIGNALS
    shown = rows[start : start + room]
    return lines + [
        marked(
            _signal(row, symbol, source, width, levels=bool(levels)),
            width,
            cursor=row.id == cursor,
            focused=focused,
        )
        for row in shown
    ]


def _strategy(row: StrategyRow, width: int) -> Line:
    state, style = ("running", "good") if row.running else ("paused", "dim")
    auto = ("auto ON ", "warn+bold") if row.auto else ("auto off", "dim")
    note = clean(row.note)
    return (
        (" " + fit(clean(row.name), 16 if width < 70 else 22), "title"),
        (fit(state, 8), style),
        auto,
        (right(str(row.signals), 4) + " sig", "dim"),
        (right(fmt.money(row.pnl, sign=True), 12), tone(row.pnl)),
        (f"  {note}" if note else "", "dim"),
    )


def _signal(row: SignalRow, symbol: int, source: int, width: int, *, levels: bool) -> Line:
    spans = [
        (fmt.clock(row.t_ns // 1_000_000, seconds=False) + " ", "dim"),
        (fit(row.side, 5), "buy" if row.side == "BUY" else "sell"),
        (fit(fit(row.symbol, symbol - 1), symbol), "text"),
        (fit(fit(clean(row.strategy), max(0, source - 1)), source), "dim"),
        (right(f"{row.score:.0f}", 5), "text+bold"),
        (right(fmt.price(row.price), 10), "text"),
    ]
    if levels:
        spans += [(right(fmt.price(row.stop), 10), "dim"), (right(fmt.price(row.target), 10), "dim")]
    style = "warn" if row.state.startswith(("refused", "too small")) else "title"
    words, left = clean(row.state), width - 1 - line_width(tuple(spans))
    # The reason in full is one Enter away; a word cut in the middle tells nobody anything.
    spans.append((" " + (words if len(words) < left else words.split(":")[0]), style))
    return tuple(spans)


def explanation(row: SignalRow) -> tuple[str, tuple[str, ...]]:
    """Title and lines that say why a signal was made."""
    lines = [
        f"{row.side} {row.symbol}  score {row.score:.0f} of 100 (not a probability, not advice)",
        f"price {fmt.price(row.price)}  stop {fmt.price(row.stop)}  target {fmt.price(row.target)}  qty {fmt.units(row.qty)}",
        f"from {row.strategy} at {fmt.clock(row.t_ns // 1_000_000)} IST, state: {clean(row.state)}",
        "",
        "Votes:",
        *(f"  {clean(vote)}" for vote in row.votes),
        "",
        "o opens a ticket from this signal; nothing is sent without your review.",
        f":auto on {clean(row.strategy)} lets its signals become orders by themselves; :auto off ends that.",
    ]
    return f"Why {row.side} {row.symbol}", tuple(lines)


SPEC = PaneSpec(Pane.SIGNALS, title, body, 2.0)
