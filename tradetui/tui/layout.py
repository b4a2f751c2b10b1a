"""Where everything stands: one pure function from the terminal's size to rectangles.

Three classes of size (`tui.md` d): small (80x24), medium (120x40), large (200x60). Under 60x20 one pane and
the header; under 30x8 a message only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Pane(StrEnum):
    """The panes, by the name that focus and settings use."""

    WATCH = "watch"
    CHART = "chart"
    DEPTH = "depth"
    POSITIONS = "positions"
    ORDERS = "orders"
    SIGNALS = "signals"
    RISK = "risk"
    LOG = "log"


NUMBERS: dict[Pane, int] = {
    Pane.WATCH: 1,
    Pane.CHART: 2,
    Pane.DEPTH: 3,
    Pane.POSITIONS: 5,
    Pane.ORDERS: 6,
    Pane.SIGNALS: 7,
    Pane.RISK: 8,
    Pane.LOG: 9,
}
"""The digit of each pane, the same in every layout. 4 is kept for the option chain."""


class Size(StrEnum):
    """Class of the terminal's size."""

    NONE = "none"
    TINY = "tiny"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of cells; top left is (0, 0)."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """Rectangles of one layout. What is not in ``panes`` is hidden."""

    size: Size
    header: Rect
    tabs: Rect | None
    panes: dict[Pane, Rect]
    ticket: Rect
    overlay: Rect
    notice: Rect
    hint: Rect
    hidden: tuple[Pane, ...] = field(default=())


_BOTTOM = (Pane.POSITIONS, Pane.ORDERS, Pane.SIGNALS, Pane.RISK, Pane.LOG)


def size_class(width: int, height: int) -> Size:
    """The class of a terminal of ``width`` columns and ``height`` rows."""
    if width < 30 or height < 8:
        return Size.NONE
    if width < 60 or height < 20:
        return Size.TINY
    if width < 100 or height < 34:
        return Size.SMALL
    if width < 160 or height < 50:
        return Size.MEDIUM
    return Size.LARGE


def fits_ticket(rect: Rect) -> bool:
    """Whether a review can be read in ``rect``: an order that cannot be read cannot be sent."""
    return rect.width >= 44 and rect.height >= 10


def newest(candidates: tuple[Pane, ...], recent: tuple[Pane, ...]) -> Pane:
    """Of panes that share a place, the one that was looked at last."""
    for pane in recent:
        if pane in candidates:
            return pane
    return candidates[0]


def arrange(width: int, height: int, recent: tuple[Pane, ...], *, zoom: bool = False) -> Geometry:
    """Lay out a terminal.

    Args:
        width: Columns.
        height: Rows.
        recent: Panes by last use, the focused one first.
        zoom: Show only the focused pane.
    """
    size = size_class(width, height)
    header = Rect(0, 0, width, 1)
    notice, hint = Rect(0, height - 2, width, 1), Rect(0, height - 1, width, 1)
    tabs = Rect(0, 1, width, 1) if size in (Size.SMALL, Size.TINY) else None
    top = 2 if tabs else 1
    body = Rect(0, top, width, max(height - top - 2, 0))
    focused = recent[0] if recent else Pane.WATCH
    if size is Size.NONE:
        panes: dict[Pane, Rect] = {}
    elif zoom or size is Size.TINY:
        panes = {focused: body}
    elif size is Size.SMALL:
        panes = _small(body, recent)
    elif size is Size.MEDIUM:
        panes = _medium(body, recent)
    else:
        panes = _large(body, recent)
    hidden = tuple(pane for pane in Pane if pane not in panes)
    return Geometry(
        size, header, tabs, panes, _ticket(size, body), _overlay(size, body), notice, hint, hidden
    )


def _small(body: Rect, recent: tuple[Pane, ...]) -> dict[Pane, Rect]:
    """Little room: the pane in use gets more of it, and what it shares the side with steps back."""
    focused = recent[0] if recent else Pane.WATCH
    low = body.height // 2 if focused in _BOTTOM else max(5, body.height // 4)
    high = body.height - low
    left = body.width * 9 // 16
    x, right = left, body.width - left
    panes = {
        Pane.WATCH: Rect(0, body.y, left, high),
        newest(_BOTTOM, recent): Rect(0, body.y + high, body.width, low),
    }
    if high >= 14 and focused is not Pane.CHART:
        panes[Pane.DEPTH] = Rect(x, body.y, right, 9)
        panes[Pane.CHART] = Rect(x, body.y + 9, right, high - 9)
    else:
        panes[newest((Pane.DEPTH, Pane.CHART), recent)] = Rect(x, body.y, right, high)
    return panes


def _medium(body: Rect, recent: tuple[Pane, ...]) -> dict[Pane, Rect]:
    high = body.height * 11 // 20
    middle = (body.height - high) // 2
    low = body.height - high - middle
    left = 42 + max(0, (body.width - 120) // 4)
    depth = 30
    chart = body.width - left - depth
    half = body.width * 11 // 20
    y2, y3 = body.y + high, body.y + high + middle
    return {
        Pane.WATCH: Rect(0, body.y, left, high),
        Pane.CHART: Rect(left, body.y, chart, high),
        Pane.DEPTH: Rect(left + chart, body.y, depth, high),
        Pane.POSITIONS: Rect(0, y2, half, middle),
        Pane.RISK: Rect(half, y2, body.width - half, middle),
        Pane.ORDERS: Rect(0, y3, half, low),
        newest((Pane.LOG, Pane.SIGNALS), recent): Rect(half, y3, body.width - half, low),
    }


def _large(body: Rect, recent: tuple[Pane, ...]) -> dict[Pane, Rect]:
    """Everything has a place of its own: market above, account and signals side by side below."""
    del recent
    high = body.height * 16 // 25
    low = body.height - high
    upper = low // 2
    left, right = 58 if body.width >= 190 else 54, 42
    chart = body.width - left - right
    ladder = min(high - 10, 20)
    half = body.width // 2
    y2, y3 = body.y + high, body.y + high + upper
    return {
        Pane.WATCH: Rect(0, body.y, left, high),
        Pane.CHART: Rect(left, body.y, chart, high),
        Pane.DEPTH: Rect(left + chart, body.y, right, ladder),
        Pane.RISK: Rect(left + chart, body.y + ladder, right, high - ladder),
        Pane.POSITIONS: Rect(0, y2, half, upper),
        Pane.ORDERS: Rect(0, y3, half, low - upper),
        Pane.SIGNALS: Rect(half, y2, body.width - half, upper),
        Pane.LOG: Rect(half, y3, body.width - half, low - upper),
    }


def _ticket(size: Size, body: Rect) -> Rect:
    """The ticket covers the lower part, so that watchlist and depth stay in sight while it is open."""
    bottom = body.y + body.height
    if size in (Size.NONE, Size.TINY):
        return body
    if size is Size.SMALL:
        height = min(body.height, 14)
        return Rect(0, bottom - height, body.width, height)
    width = body.width - body.width * 11 // 20 if size is Size.MEDIUM else 84
    height = min(body.height, 17 if size is Size.MEDIUM else 14)
    return Rect(body.width - width, bottom - height, width, height)


def _overlay(size: Size, body: Rect) -> Rect:
    if size in (Size.NONE, Size.TINY, Size.SMALL):
        return body
    width = min(body.width - 4, 96)
    height = min(body.height - 2, 30)
    return Rect((body.width - width) // 2, body.y + 1, width, height)
