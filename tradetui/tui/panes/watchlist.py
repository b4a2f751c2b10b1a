"""Pane 1: the watchlist."""

from __future__ import annotations

from tradetui.domain.view import WatchRow
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec, marked, window
from tradetui.tui.panes.measures import Column, cells, columns_for, heads
from tradetui.tui.spans import Line, Span, fit, right
from tradetui.tui.state import Frame, Sort, name_of, watch_rows

_BARS = "▁▂▃▄▅▆▇█"
_BARS_ASCII = "_.-=*#"
_LEAST_SYMBOL = 18
"""Columns that the symbol keeps when a wide pane shows more figures."""


def tone(value: float | None) -> str:
    """Style of a signed number."""
    if not value:
        return "text"
    return "gain" if value > 0 else "loss"


def sparkline(values: tuple[float, ...], width: int, *, ascii_only: bool = False) -> str:
    """The last ``width`` values as block characters; blank where there are none."""
    bars = _BARS_ASCII if ascii_only else _BARS
    shown = values[-width:]
    if not shown:
        return " " * width
    low, high = min(shown), max(shown)
    span = high - low
    marks = (bars[int((v - low) / span * (len(bars) - 1) + 0.5)] if span else bars[0] for v in shown)
    return "".join(marks).rjust(width)


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """Name, count and order."""
    del width
    ui = frame.ui
    order = ui.sort.value + (" reversed" if ui.descending else "")
    side: Line = ((f" {order} ", "dim"),) if ui.sort is not Sort.OWN or ui.descending else ()
    return ((f"Watch {len(ui.keys)}", "title"),), side


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Column heads and rows."""
    trend = 8 if width >= 52 else 0
    book = width >= 76
    symbol = width - (1 + 1 + 10 + 7 + 7 + (trend + 1 if trend else 0) + (20 if book else 0))
    more = (
        columns_for(symbol - _LEAST_SYMBOL) if book and any(row.measures for row in frame.snap.watch) else ()
    )
    symbol -= sum(column.width for column in more)
    head = (
        fit(" SYMBOL", symbol + 1)
        + right("LTP", 11)
        + right("CHG%", 7)
        + (right("BID", 10) + right("ASK", 10) if book else "")
        + right("VOL", 7)
        + heads(more)
        + ("  " + fit("TREND", trend - 1) if trend else "")
    )
    lines: list[Line] = [((fit(head, width), "dim"),)]
    rows = watch_rows(frame.snap, frame.ui, frame.now_ms)
    if not rows:
        words = "/ finds an instrument and adds it here" if frame.snap.seq else "the engine is starting"
        return [*lines, ((f"  {words}", "dim"),)]
    cursor = frame.ui.selected
    index = next((i for i, (key, _) in enumerate(rows) if key == cursor), -1)
    start = window(frame.ui, Pane.WATCH, index, len(rows), height - 1)
    focused = frame.ui.focus is Pane.WATCH
    for key, row in rows[start : start + height - 1]:
        spans = _row(frame, key, row, symbol, trend, book=book, more=more)
        lines.append(marked(tuple(spans), width, cursor=key == cursor, focused=focused))
    return lines


def _row(
    frame: Frame,
    key: str,
    row: WatchRow | None,
    symbol: int,
    trend: int,
    *,
    book: bool,
    more: tuple[Column, ...],
) -> list[Span]:
    name = name_of(frame.snap, frame.ui, key) if row is None else row.symbol
    if row is None:
        return [(fit(name, symbol), "dim"), (right(fmt.NEVER, 11) + right(fmt.NEVER, 7), "dim")]
    mark = "+" if row.position_qty > 0 else "-" if row.position_qty < 0 else ""
    stale = "R" if row.asked else "~" if row.stale else " "
    quiet = row.stale or row.ltp is None
    name_style = "dim" if quiet else "text"
    if mark:
        name_cell: list[Span] = [
            (fit(name, symbol - 2), name_style),
            (f"{mark}p", "gain" if row.position_qty > 0 else "loss"),
        ]
    else:
        name_cell = [(fit(name, symbol), name_style)]
    volume = fmt.compact(row.volume) if row.volume else fmt.NEVER
    spans = [
        *name_cell,
        (stale, "warn"),
        (right(fmt.price(row.ltp, row.decimals), 10), "dim" if quiet else "text+bold"),
        (right(fmt.percent(row.change_pct), 7), "dim" if quiet else tone(row.change_pct)),
    ]
    if book:
        spans += [
            (right(fmt.price(row.bid, row.decimals), 10), "dim" if quiet else "buy"),
            (right(fmt.price(row.ask, row.decimals), 10), "dim" if quiet else "sell"),
        ]
    spans.append((right(volume, 7), "dim"))
    spans += cells(row, more, quiet=quiet)
    if trend and row.stale and row.ltp is not None:
        spans.append((right(fmt.age(row.age_s), trend + 1), "warn"))  # an old price has no trend, but an age
    elif trend:
        spans.append((" " + sparkline(row.trend, trend, ascii_only=frame.ascii), "dim"))
    return spans


SPEC = PaneSpec(Pane.WATCH, title, body, 10.0)
