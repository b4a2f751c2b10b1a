"""Pane 2: candles, volume, overlays and own levels of the selected instrument."""

from __future__ import annotations

from tradetui.domain.view import ChartView
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import Line, Span, pad
from tradetui.tui.state import Frame
from tradetui.tui.widgets.candlestick import Bars, Look, columns, draw

_OVERLAYS = ("accent", "good", "warn", "title")
_DATED = ("1d", "1w", "1M")
"""Intervals whose bars are named by a date."""


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """Instrument, interval, and the names of the overlays in their colours."""
    view = frame.snap.chart
    interval = frame.ui.interval
    if view is None or not view.start_ms:
        return ((f"Chart {interval}", "title"),), ()
    left: list[Span] = [(f"{view.symbol} {view.interval}", "title")]
    if frame.ui.chart_offset:
        left.append((f" {frame.ui.chart_offset} bars back", "warn"))
    right: list[Span] = []
    for n, (name, _) in enumerate(view.overlays[:4] if width > 40 else ()):
        right.append((f" {name}", _OVERLAYS[n]))
    return tuple(left), (*right, (" ", "dim")) if right else ()


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Read-out of the newest bar shown, then the chart."""
    view = frame.snap.chart
    if view is None or view.key != frame.ui.selected or not view.start_ms:
        return [((" waiting for bars", "dim"),)] if frame.ui.selected else [((" nothing selected", "dim"),)]
    if view.interval != frame.ui.interval:
        return [((f" {frame.ui.interval}: waiting for bars", "dim"),)]
    end = max(1, len(view.start_ms) - frame.ui.chart_offset)
    tight = height < 6
    look = Look(
        width,
        height if tight else height - 1,
        view.decimals,
        frame.ui.chart_step,
        0 if height < 9 else 2 if height < 24 else 4,
        ascii=frame.ascii,
        times=not tight,
    )
    first = max(0, end - 1 - (columns(look) - 1) // look.step)
    shown = slice(first, end)
    marks = [(label, price, _mark_style(label)) for label, price in view.marks]
    bars = Bars(
        view.open[shown],
        view.high[shown],
        view.low[shown],
        view.close[shown],
        view.volume[shown],
        [(_OVERLAYS[n % 4], values[shown]) for n, (_, values) in enumerate(view.overlays)],
        marks,
        _labels(view, first, end),
    )
    # In very little room the candles get the rows that read-out and time axis would take.
    return draw(bars, look) if tight else [_read_out(view, end - 1, width), *draw(bars, look)]


def _mark_style(label: str) -> str:
    word = label.split(" ", 1)[0].lower()
    return {"buy": "buy", "sell": "sell", "stop": "error", "target": "good"}.get(word, "accent")


def _labels(view: ChartView, first: int, end: int) -> list[tuple[int, str]]:
    """Time labels: the date where it changes (always on days and longer), else the time of day."""
    out: list[tuple[int, str]] = []
    before = ""
    for i in range(first, end):
        today = fmt.day(view.start_ms[i])
        new_day = before not in ("", today)
        before = today
        if view.interval in _DATED or new_day:
            out.append((i - first, today))
        elif (view.start_ms[i] // 60_000) % 15 == 0 or view.interval != "1m":
            out.append((i - first, fmt.clock(view.start_ms[i], seconds=False)))
    return out


def _read_out(view: ChartView, i: int, width: int) -> Line:
    places = view.decimals
    change = view.close[i] - view.open[i]
    when = (
        fmt.day(view.start_ms[i]) if view.interval in _DATED else fmt.clock(view.start_ms[i], seconds=False)
    )
    spans: list[Span] = [(f"{when} ", "dim")]
    for name, value in (("O", view.open[i]), ("H", view.high[i]), ("L", view.low[i]), ("C", view.close[i])):
        spans += [(f"{name} ", "dim"), (f"{fmt.price(value, places)} ", "text")]
    spans.append((fmt.price(change, places, sign=True), f"{tone(change)}+bold"))
    if width < 52:
        spans = [spans[0], ("C ", "dim"), (f"{fmt.price(view.close[i], places)} ", "text"), spans[-1]]
    spans.append((f"  vol {fmt.compact(view.volume[i])}", "dim"))
    return pad(spans, width)


SPEC = PaneSpec(Pane.CHART, title, body, 10.0)
