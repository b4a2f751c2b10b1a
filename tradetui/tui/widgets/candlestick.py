"""Candles as characters: two price steps a cell, one to three columns a candle.

The glyphs are half-cell strokes (`tui.md` e8): a heavy stroke is the body, a light one the wick. On fonts
without them a plain set is used, which also spells the direction: ``O`` for a bar that rose, ``#`` for one
that fell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tradetui.tui.spans import Line, Span

_HEAVY, _LIGHT, _NONE = 2, 1, 0
_GLYPHS = {
    (_HEAVY, _HEAVY): "┃",
    (_LIGHT, _LIGHT): "│",
    (_LIGHT, _HEAVY): "╽",
    (_HEAVY, _LIGHT): "╿",
    (_NONE, _HEAVY): "╻",
    (_HEAVY, _NONE): "╹",
    (_NONE, _LIGHT): "╷",
    (_LIGHT, _NONE): "╵",
    (_NONE, _NONE): " ",
}
_Level = Callable[[float], int]
"""From a price to its half-cell row."""

_BARS = " ▁▂▃▄▅▆▇█"
_BARS_ASCII = " .:-=+*##"


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars to draw, oldest first, and what is drawn over them. Prices in any one unit.

    Attributes:
        overlays: Style name and one value a bar; NaN leaves a gap.
        marks: Label, price and style of horizontal lines.
        labels: Time labels: index of a bar and its text.
    """

    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    volume: Sequence[float]
    overlays: Sequence[tuple[str, Sequence[float]]] = ()
    marks: Sequence[tuple[str, float, str]] = ()
    labels: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """How to draw.

    Attributes:
        width: Columns, with the price axis.
        height: Rows, with volume and time axis.
        decimals: Digits behind the point on the axis.
        step: Columns a candle.
        volume_rows: Rows of the volume bars; 0 for none.
        ascii: Plain characters only.
        times: Draw the time axis.
    """

    width: int
    height: int
    decimals: int = 2
    step: int = 1
    volume_rows: int = 2
    ascii: bool = False
    times: bool = True


def columns(look: Look) -> int:
    """Columns for candles, without the price axis."""
    return max(0, look.width - axis_width(look))


def axis_width(look: Look) -> int:
    """Columns of the price axis."""
    return 11 if look.width >= 40 else 10


def price_range(bars: Bars) -> tuple[float, float]:
    """Lowest and highest price to show; marks are taken in only when they are near the bars."""
    lows = [v for v in bars.low if math.isfinite(v)]
    highs = [v for v in bars.high if math.isfinite(v)]
    if not lows or not highs:
        return 0.0, 1.0
    low, high = min(lows), max(highs)
    span = high - low or abs(high) * 0.001 or 1.0
    for _, price, _ in bars.marks:
        if low - span / 2 <= price <= high + span / 2:
            low, high = min(low, price), max(high, price)
    if high == low:
        low, high = low - span / 2, high + span / 2
    return low, high


def draw(bars: Bars, look: Look) -> list[Line]:
    """Lines of the chart, top first."""
    count = len(bars.close)
    plot = look.height - look.volume_rows - look.times
    wide = columns(look)
    if plot < 2 or wide < 2 or not count:
        return []
    low, high = price_range(bars)
    grid = [[(" ", "text")] * wide for _ in range(plot)]
    scale = (plot * 2 - 1) / (high - low)

    def level(price: float) -> int:
        """Half-cell row of a price, 0 at the bottom."""
        return round((price - low) * scale)

    rules = _marks(grid, bars, level, ascii_only=look.ascii)
    _overlays(grid, bars, look, level)
    _candles(grid, bars, look, level)
    for y, label, style in rules:
        for x, char in enumerate(label[: wide // 3]):
            grid[y][x] = (char, f"{style}+bold")
    axis = _axis(bars, look, plot, low, high)
    lines: list[Line] = [(*_merge(cells), *axis[y]) for y, cells in enumerate(grid)]
    lines += _volume(bars, look, wide)
    return [*lines, _times(bars, look, wide)] if look.times else lines


def _x(i: int, count: int, look: Look, wide: int) -> int:
    """Column of bar ``i``: the newest stands at the right."""
    return wide - 1 - (count - 1 - i) * look.step


def _candles(grid: list[list[Span]], bars: Bars, look: Look, level: _Level) -> None:
    plot, wide, count = len(grid), len(grid[0]), len(bars.close)
    for i in range(count):
        x = _x(i, count, look, wide)
        if x < 0 or not all(
            math.isfinite(v) for v in (bars.open[i], bars.high[i], bars.low[i], bars.close[i])
        ):
            continue
        up = bars.close[i] >= bars.open[i]
        style = "gain" if up else "loss"
        top, bottom = level(bars.high[i]), level(bars.low[i])
        body_top = level(max(bars.open[i], bars.close[i]))
        body_bottom = level(min(bars.open[i], bars.close[i]))
        for cell in range(bottom // 2, top // 2 + 1):
            y = plot - 1 - cell
            if not 0 <= y < plot:
                continue
            upper = _weight(cell * 2 + 1, bottom, top, body_bottom, body_top)
            lower = _weight(cell * 2, bottom, top, body_bottom, body_top)
            grid[y][x] = (_glyph(upper, lower, up=up, ascii_only=look.ascii), style)


def _weight(half: int, bottom: int, top: int, body_bottom: int, body_top: int) -> int:
    if body_bottom <= half <= body_top:
        return _HEAVY
    return _LIGHT if bottom <= half <= top else _NONE


def _glyph(upper: int, lower: int, *, up: bool, ascii_only: bool) -> str:
    if not ascii_only:
        return _GLYPHS[(upper, lower)]
    if _HEAVY in (upper, lower):
        return "O" if up else "#"
    return "|" if _LIGHT in (upper, lower) else " "


def _overlays(grid: list[list[Span]], bars: Bars, look: Look, level: _Level) -> None:
    plot, wide, count = len(grid), len(grid[0]), len(bars.close)
    for style, values in bars.overlays:
        for i, value in enumerate(values[-count:]):
            x = _x(i, count, look, wide)
            if x < 0 or not math.isfinite(value):
                continue
            half = level(value)
            y = plot - 1 - half // 2
            if 0 <= y < plot:
                glyph = "." if look.ascii else ("˙" if half % 2 else ".")
                grid[y][x] = (glyph, style)


def _marks(
    grid: list[list[Span]], bars: Bars, level: _Level, *, ascii_only: bool
) -> list[tuple[int, str, str]]:
    """Draw the lines below everything else; their labels, returned with row and style, go on top."""
    plot, wide = len(grid), len(grid[0])
    rules: list[tuple[int, str, str]] = []
    dash = "-" if ascii_only else "┄"
    for label, price, style in bars.marks:
        y = plot - 1 - level(price) // 2
        if 0 <= y < plot:
            grid[y] = [(dash, style)] * wide
            rules.append((y, label, style))
    return rules


def _axis(bars: Bars, look: Look, plot: int, low: float, high: float) -> list[Line]:
    """Prices at the right; the last price is marked by an arrow and drawn brightly."""
    room = axis_width(look)
    every = 4 if plot >= 12 else 3 if plot >= 6 else 2
    last = bars.close[-1]
    last_y = plot - 1 - round((last - low) * (plot * 2 - 1) / (high - low)) // 2
    out: list[Line] = []
    for y in range(plot):
        if y == last_y:
            up = last >= bars.open[-1]
            text = ("<" if look.ascii else "◂") + f"{last:.{look.decimals}f}"
            out.append(((text[:room].ljust(room), ("gain" if up else "loss") + "+bold"),))
        elif (plot - 1 - y) % every == 0 and abs(y - last_y) > 0:
            price = low + ((plot - 1 - y) * 2 + 0.5) / (plot * 2 - 1) * (high - low)
            out.append(((f" {price:.{look.decimals}f}"[:room].ljust(room), "dim"),))
        else:
            out.append(((" " * room, "dim"),))
    return out


def _volume(bars: Bars, look: Look, wide: int) -> list[Line]:
    rows = look.volume_rows
    if not rows:
        return []
    count = len(bars.close)
    glyphs = _BARS_ASCII if look.ascii else _BARS
    first = max(0, count - 1 - (wide - 1) // look.step)
    top = max((v for v in bars.volume[first:] if math.isfinite(v)), default=0)
    grid: list[list[Span]] = [[(" ", "text")] * wide for _ in range(rows)]
    for i in range(first, count):
        eighths = round(bars.volume[i] / top * rows * 8) if top else 0
        style = "bar" if bars.close[i] >= bars.open[i] else "bar2"
        x = _x(i, count, look, wide)
        for row in range(rows):
            fill = min(max(eighths - row * 8, 0), 8)
            if fill:
                grid[rows - 1 - row][x] = (glyphs[fill], style)
    room = axis_width(look)
    label = [(" vol".ljust(room) if y == rows - 1 else " " * room, "dim") for y in range(rows)]
    return [(*_merge(cells), label[y]) for y, cells in enumerate(grid)]


def _times(bars: Bars, look: Look, wide: int) -> Line:
    count = len(bars.close)
    cells = [" "] * wide
    free = 0
    for i, text in bars.labels:
        x = _x(i, count, look, wide)
        if x < free or x + len(text) > wide:
            continue
        cells[x : x + len(text)] = list(text)
        free = x + len(text) + 2
    return (("".join(cells), "dim"), (" " * axis_width(look), "dim"))


def _merge(cells: list[Span]) -> list[Span]:
    """Join neighbours of one style: fewer segments to compare and to paint."""
    out: list[Span] = []
    text, style = "", ""
    for char, name in cells:
        if name == style:
            text += char
        else:
            if text:
                out.append((text, style))
            text, style = char, name
    return [*out, (text, style)] if text else out
