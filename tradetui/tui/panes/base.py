"""The one base class of everything on the screen.

A pure function builds lines of styled text from the frame; they are compared with the last ones, and only
lines that changed are repainted (`tui.md` 0.4). No DataTable, no markup, no message per tick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tradetui.domain.view import Mode
from tradetui.tui.layout import NUMBERS, Pane, Rect
from tradetui.tui.spans import BLANK, Line, line_width, pad, restyle
from tradetui.tui.state import Frame, Ui
from tradetui.tui.theme import Palette

Build = Callable[[Frame, int, int], list[Line]]
"""Lines of a widget from frame, width and height."""

_BOX = ("┌", "─", "┐", "│", "└", "┘")
_BOX_ASCII = ("+", "-", "+", "|", "+", "+")


@dataclass(frozen=True, slots=True)
class PaneSpec:
    """A pane: who it is, how often it is built, and from what.

    Attributes:
        pane: Its place and number.
        title: Left and right part of the title line.
        body: The lines inside the frame.
        hz: Most builds a second.
    """

    pane: Pane
    title: Callable[[Frame, int], tuple[Line, Line]]
    body: Build
    hz: float = 4.0


def boxed(spec: PaneSpec) -> Build:
    """A pane's lines with its frame, title and number around them."""

    def build(frame: Frame, width: int, height: int) -> list[Line]:
        if width < 4 or height < 2:
            return [BLANK] * height
        left, right = spec.title(frame, width - 8)
        focused = frame.ui.focus is spec.pane
        body = spec.body(frame, width - 2, height - 2)
        return enclose(frame, (str(NUMBERS[spec.pane]), left, right), body, (width, height), focused=focused)

    return build


def enclose(
    frame: Frame,
    title: tuple[str, Line, Line],
    body: list[Line],
    size: tuple[int, int],
    *,
    focused: bool = False,
    edge_style: str = "",
) -> list[Line]:
    """Put a frame around lines.

    Args:
        frame: For glyphs and the mode's colour.
        title: Number, left part, right part.
        body: Lines inside; cut or filled.
        size: Outer width and height.
        focused: Draw the frame brightly.
        edge_style: Style of the frame; by default from focus and mode.
    """
    width, height = size
    tl, bar, tr, side, bl, br = _BOX_ASCII if frame.ascii else _BOX
    edge = edge_style or _edge_style(frame, focused)
    number, left, right = title
    name_style = "focus+bold" if focused else "title"
    if frame.ui.frozen is not None and number:
        right = ((f" PAUSED {int(frame.paused_s)}s ", "paused"),)
    head: list[tuple[str, str]] = [(tl + bar, edge), (f" {number} " if number else " ", name_style), *left]
    used = line_width(tuple(head)) + 1
    room = width - used - 2
    if right and line_width(right) + 2 <= room:
        gap = room - line_width(right)
        top = pad([*head, (" ", edge), (bar * gap, edge), *right, (bar, edge), (tr, edge)], width)
    else:
        inner = pad([*head, (" ", edge), (bar * max(room + 1, 0), edge)], width - 1, edge)
        top = (*inner, (tr, edge))
    lines = [top]
    for y in range(height - 2):
        content = body[y] if y < len(body) else BLANK
        lines.append(((side, edge), *pad(content, width - 2), (side, edge)))
    lines.append(((bl + bar * (width - 2) + br, edge),))
    return lines


def _edge_style(frame: Frame, focused: bool) -> str:
    if frame.live.mode.needs_arming:
        return "error" if frame.live.armed_until_ns else "warn"
    if frame.live.mode is Mode.REPLAY:
        return "focus" if focused else "accent"
    return "focus" if focused else "border"


def window(ui: Ui, pane: Pane, index: int, count: int, height: int) -> int:
    """First row to show so that row ``index`` is in sight; moves as little as possible."""
    start = ui.scroll.get(pane, 0)
    if index >= 0:
        start = min(start, index)
        start = max(start, index - height + 1)
    start = max(0, min(start, count - height))
    ui.scroll[pane] = start
    return start


def marked(line: Line, width: int, *, cursor: bool, focused: bool, ascii_only: bool = False) -> Line:
    """A row with its cursor: a sign in the first column, and a ground colour where the pane has the focus."""
    del ascii_only  # the sign is plain
    sign = (">", "focus+bold") if cursor else (" ", "text")
    full = pad((sign, *line), width)
    return restyle(full, "cursor") if cursor and focused else full


class LinePane(Widget, can_focus=False):
    """A rectangle of lines that repaints only what changed.

    Args:
        name: Identity in the tree.
        build: Makes the lines.
        palette: Styles by name.
        hz: Most builds a second; 0 for every frame.
    """

    DEFAULT_CSS = "LinePane { position: absolute; padding: 0; margin: 0; border: none; }"
    ALLOW_SELECT = False

    def __init__(self, name: str, build: Build, palette: Palette, hz: float = 0.0) -> None:
        super().__init__(id=name)
        self._build = build
        self.palette = palette
        self._period_ms = 1000.0 / hz - 5 if hz else 0.0
        self._built_ms = float("-inf")
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self.rect = Rect(0, 0, 0, 0)

    @property
    def lines(self) -> list[Line]:
        """The lines on the screen, for tests and for copying."""
        return self._lines

    def place(self, rect: Rect | None) -> None:
        """Stand at ``rect``, or hide."""
        if rect is None or rect.width <= 0 or rect.height <= 0:
            self.display = False
            self.rect = Rect(0, 0, 0, 0)
            return
        self.display = True
        if rect != self.rect:
            self.rect = rect
            self.styles.offset = (rect.x, rect.y)
            self.styles.width = rect.width
            self.styles.height = rect.height
            self._lines = []
            self._strips.clear()
            self.refresh()

    def pull(self, frame: Frame, *, force: bool = False) -> int:
        """Build, compare, repaint what differs.

        Args:
            frame: What to show.
            force: Build even if the pane's own rate says it is too early.

        Returns:
            How many lines changed.
        """
        rect = self.rect
        if not rect.width or (not force and frame.now_ms - self._built_ms < self._period_ms):
            return 0
        self._built_ms = frame.now_ms
        new = self._build(frame, rect.width, rect.height)[: rect.height]
        old = self._lines
        changed = [y for y, line in enumerate(new) if y >= len(old) or old[y] != line]
        changed += range(len(new), len(old))
        self._lines = new
        if changed:
            for y in changed:
                self._strips.pop(y, None)
            self.refresh(*(Region(0, y, rect.width, 1) for y in changed))
        return len(changed)

    def repaint(self) -> None:
        """Forget everything painted; the next frame draws it all (a new theme, a redraw)."""
        self._strips.clear()
        self._built_ms = float("-inf")
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line as Textual wants it."""
        strip = self._strips.get(y)
        if strip is None:
            width = self.rect.width
            line = self._lines[y] if y < len(self._lines) else BLANK
            style = self.palette.style
            strip = Strip([Segment(text, style(name)) for text, name in pad(line, width)], width)
            self._strips[y] = strip
        return strip
