"""Text over the panes: search hits, palette, help, the question before quitting."""

from __future__ import annotations

import re

from tradetui.domain.view import InstrumentRow
from tradetui.tui import fmt
from tradetui.tui.actions import ACTIONS, BY_ID, Context, Danger, KeyMap
from tradetui.tui.panes.base import enclose, marked
from tradetui.tui.spans import Line, fit, right, wrap
from tradetui.tui.state import Frame, Ui, UiMode

_COLUMN = re.compile(r" *\S.*? {2,}(?=\S)")
"""What stands before the second column of a line; what is cut goes on under that column."""


def build(frame: Frame, width: int, height: int, keymap: KeyMap) -> list[Line]:
    """The overlay of the current mode."""
    ui = frame.ui
    size = (width, height)
    if ui.mode is UiMode.SEARCH:
        return enclose(
            frame, ("", (("Find an instrument", "title"),), ()), _search(frame, size), size, focused=True
        )
    if ui.mode is UiMode.PALETTE:
        body = _palette(frame, size, keymap)
        return enclose(frame, ("", (("Actions", "title"),), ()), body, size, focused=True)
    title, text = text_of(ui)
    name, lines = title, folded(text, width - 2)
    inner = height - 2
    start = ui.text_scroll = max(0, min(ui.text_scroll, len(lines) - inner))
    body = [_prose(line) for line in lines[start : start + inner]]
    more = f" {start + inner}/{len(lines)} PgDn " if len(lines) > inner else ""
    return enclose(
        frame, ("", ((name, "title"),), ((more, "dim"),) if more else ()), body, size, focused=True
    )


def text_of(ui: Ui) -> tuple[str, tuple[str, ...]]:
    """Title and lines of the text over the panes."""
    if ui.mode is UiMode.CONFIRM and ui.confirm is not None:
        return f"Review: {ui.confirm.title}", ("", *ui.confirm.lines, "")
    return ui.texts


def folded(lines: tuple[str, ...], width: int) -> list[str]:
    """Lines cut at words where they are too long; what follows keeps the indent."""
    out: list[str] = []
    for line in lines:
        if len(line) <= width - 2:
            out.append(line)
            continue
        column = _COLUMN.match(line)
        lead = len(line) - len(line.lstrip(" "))
        hang = column.end() if column is not None and column.end() <= width // 2 else lead
        first, *rest = wrap(line[hang:], width - hang - 2) or [""]
        out += [line[:hang] + first, *(" " * hang + part for part in rest)]
    return out


def _prose(text: str) -> Line:
    style = "title+bold" if text and not text.startswith(" ") and text.endswith(":") else "text"
    return ((" " + text, style),)


def _search(frame: Frame, size: tuple[int, int]) -> list[Line]:
    width, height = size[0] - 2, size[1] - 2
    prompt = frame.ui.prompt
    lines: list[Line] = [((" / ", "key+bold"), (prompt.text, "text+bold"), ("_", "focus"))]
    lines.append(((fit(f" {'SYMBOL':<25}{'SEGMENT':<10}{'KIND':<6}{'LOT':>6}  NAME", width), "dim"),))
    if not prompt.rows:
        words = prompt.message or (
            "no such instrument" if prompt.text else "type part of a symbol or name; words in any order"
        )
        return [*lines, ((f" {words}", "dim"),)]
    room = height - 2
    start = max(0, min(prompt.index - room + 1, len(prompt.rows) - room))
    for n, row in enumerate(prompt.rows[start : start + room], start):
        lines.append(marked(_hit(row), width, cursor=n == prompt.index, focused=True))
    return lines


def _hit(row: InstrumentRow) -> Line:
    return (
        (fit(row.symbol, 25), "text+bold" if row.tradable else "dim"),
        (fit(row.segment, 10), "dim"),
        (fit(row.kind, 6), "title"),
        (right(fmt.units(row.lot), 6), "dim"),
        ("  " + (f"{row.expiry}  " if row.expiry else "") + row.name, "dim"),
        ("" if row.tradable else "  (not tradable)", "dim"),
    )


def _palette(frame: Frame, size: tuple[int, int], keymap: KeyMap) -> list[Line]:
    width, height = size[0] - 2, size[1] - 2
    prompt = frame.ui.prompt
    lines: list[Line] = [((" > ", "key+bold"), (prompt.text, "text+bold"), ("_", "focus"))]
    room = height - 1
    start = max(0, min(prompt.index - room + 1, len(prompt.names) - room))
    for n, id_ in enumerate(prompt.names[start : start + room], start):
        keys = keymap.key_text(id_)
        line: Line = ((fit(BY_ID[id_].words, width - 14), "text"), (right(keys, 11), "key"))
        lines.append(marked(line, width, cursor=n == prompt.index, focused=True))
    return lines if prompt.names else [*lines, ((" no such action", "dim"),)]


_HEADS = {
    Context.ANY: "Everywhere, also inside fields:",
    Context.NORMAL: "On the panes:",
    Context.TICKET: "In the ticket:",
    Context.PROMPT: "In search, command line and palette:",
    Context.HELP: "In texts like this one:",
}


def help_lines(keymap: KeyMap, first: Context, commands: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Help made from the table of actions, the context in use first, then the commands."""
    lines: list[str] = []
    order = [first, Context.ANY, *(c for c in Context if c not in (first, Context.ANY))]
    for context in dict.fromkeys(order):
        lines.append(_HEADS[context])
        for action in ACTIONS:
            if action.context is not context:
                continue
            keys = " ".join(shown for shown in _keys(keymap, action.id))
            mark = {Danger.REDUCES: " (only reduces risk)", Danger.RISK: ""}.get(action.danger, "")
            lines.append(f"  {fit(keys or 'no key', 16)} {action.words}{mark}")
        lines.append("")
    lines.append("Commands after : (Tab completes, Up and Down walk through the history):")
    lines += [f"  {fit(usage, 26)} {words}" for usage, words in commands]
    lines += [
        "",
        "In tmux:",
        "  set -g default-terminal tmux-256color   and   set -as terminal-features ',*:RGB'",
        "  set -g focus-events on",
        "",
        "Signs:",
        "  ~      stale: the quote is older than it should be; its age stands where the trend was",
        "  R      the stream is silent about it: the price was asked for",
        "  +p -p  we are long or short in this instrument",
        "  *      our own order rests at this price",
        "  !      naked: a position that no stop of ours protects (in wide panes: no stop)",
        "  >      the cursor",
        "  NET P&L is after charges; the header's day figure too. UNKNOWN: sent, but the broker's answer is",
        "  missing; nothing new is sent there until its own book tells.",
        "  exch is the exchange's clock; the log shows this computer's.",
    ]
    return tuple(lines)


def _keys(keymap: KeyMap, id_: str) -> list[str]:
    from tradetui.tui.actions import shown

    return [shown(key) for key in keymap.keys_of(id_)]
