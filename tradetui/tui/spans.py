"""Lines of styled text: what pure functions hand to the widgets, and what tests compare.

A span is text and a style name. A style name is a colour of the theme followed by modifiers, joined by
``+``: ``gain+bold``, ``text+cursor``. Names become Rich styles once per theme (`tradetui.tui.theme`).
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
Line = tuple[Span, ...]

BLANK: Line = ()
"""A line without text."""


def width_of(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int) -> str:
    """Cut or pad ``text`` on the right to exactly ``width`` columns."""
    if width <= 0:
        return ""
    if text.isascii():
        return text[:width].ljust(width)
    return set_cell_size(text, width)


def right(text: str, width: int) -> str:
    """Pad ``text`` on the left to ``width`` columns; a number that does not fit shows ``#``, never fewer digits."""
    have = width_of(text)
    if have > width:
        return "#" * max(width, 0)
    return " " * (width - have) + text


def line_width(line: Line) -> int:
    """Columns that a line takes."""
    return sum(width_of(text) for text, _ in line)


def pad(line: Iterable[Span], width: int, style: str = "text") -> Line:
    """Cut or fill a line to exactly ``width`` columns."""
    out: list[Span] = []
    left = width
    for text, name in line:
        if left <= 0:
            break
        have = width_of(text)
        if have > left:
            text, have = fit(text, left), left
        if have:
            out.append((text, name))
        left -= have
    if left > 0:
        out.append((" " * left, style))
    return tuple(out)


def plain(line: Line) -> str:
    """The text of a line without styles."""
    return "".join(text for text, _ in line)


def restyle(line: Line, modifier: str) -> Line:
    """Add a modifier, such as ``cursor``, to every span."""
    return tuple((text, f"{name}+{modifier}") for text, name in line)


def split(left: Line, right_side: Line, width: int) -> Line:
    """One line with ``left`` at its start and ``right_side`` at its end; the right side gives way first."""
    gap = width - line_width(left) - line_width(right_side)
    if gap < 1:
        return pad(left, width)
    return (*left, (" " * gap, "text"), *right_side)


def wrap(text: str, width: int) -> list[str]:
    """Break ``text`` into lines of at most ``width`` columns, at spaces where there are any."""
    if width <= 0:
        return []
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        while width_of(word) > width:
            room = width - width_of(current) - (1 if current else 0)
            if room < 1:
                lines.append(current)
                current = ""
                continue
            head = fit(word, room).rstrip() or word[:1]
            current = f"{current} {head}" if current else head
            word = word[len(head) :]
            lines.append(current)
            current = ""
        joined = f"{current} {word}" if current else word
        if width_of(joined) <= width:
            current = joined
        else:
            lines.append(current)
            current = word
    return [*lines, current] if current or not lines else lines
