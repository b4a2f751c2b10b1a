"""The two last lines: the newest notice, and the hints or the line being typed."""

from __future__ import annotations

from tradetui.tui.actions import Context, KeyMap
from tradetui.tui.spans import Line, Span, line_width, pad
from tradetui.tui.state import Frame, UiMode
from tradetui.tui.ticket import DEAD_MS, Phase, Ticket, locked

_LEVELS = {"ERROR": "error+bold", "WARNING": "warn+bold"}


def notice(frame: Frame, width: int, height: int) -> list[Line]:
    """What was last said, loud when it matters."""
    del height
    said = frame.ui.notice
    style = _LEVELS.get(said.level, "text")
    if frame.ui.error and not said.text:
        return [pad([(f" {frame.ui.error}", "error+bold")], width)]
    return [pad([(f" {said.text}", style)], width)]


def context_of(mode: UiMode) -> Context:
    """Where keys are looked up in a mode."""
    if mode is UiMode.NORMAL:
        return Context.NORMAL
    if mode in (UiMode.TICKET, UiMode.CONFIRM):
        return Context.TICKET
    return Context.HELP if mode in (UiMode.TEXT, UiMode.QUIT) else Context.PROMPT


def _ticket_keys(frame: Frame, ticket: Ticket, keymap: KeyMap) -> list[tuple[str, str]]:
    """Keys that do something at this step of the ticket, and the truth about send."""
    found = {word: key for key, word in keymap.hints(Context.TICKET)}
    if ticket.phase is Phase.EDIT:
        skip = {"SEND", "KILL"} | (set() if ticket.derivative else {"Lots/units"})
        return [(key, word) for word, key in found.items() if word not in skip]
    shut = locked(ticket, frame.ui.preview, frame.now_ms)
    keys = [(found["SEND"], "locked" if shut else "SEND")] if "SEND" in found else []
    renamed = (("Drop", "Drop"), ("Next field", "Edit"), ("Checks", "Checks"))
    return keys + [(found[word], name) for word, name in renamed if word in found]


def hint(frame: Frame, width: int, height: int, keymap: KeyMap) -> list[Line]:
    """Keys that matter now, from the table; kill stands at the right end and never gives way."""
    del height
    ui = frame.ui
    if ui.mode in (UiMode.COMMAND, UiMode.ARM):
        sign = " :" if ui.mode is UiMode.COMMAND else " last four of the account: "
        tail = f"  {ui.prompt.message}" if ui.prompt.message else ""
        return [
            pad([(sign, "key+bold"), (ui.prompt.text, "text+bold"), ("_", "focus"), (tail, "dim")], width)
        ]
    kill, *rest = keymap.hints(context_of(ui.mode))
    tail_spans: list[Span] = [(f"{kill[0]}", "key+bold"), (f" {kill[1]} ", "error+bold")]
    left = width - line_width(tuple(tail_spans))
    if ui.mode is UiMode.QUIT:
        keys: list[Span] = [(" y", "key+bold"), (" quit  ", "text"), ("n", "key+bold"), (" stay", "text")]
        return [(*pad(keys, left), *tail_spans)]
    if ui.mode is UiMode.CONFIRM and ui.confirm is not None:
        send, drop = keymap.key_text("ticket.send"), keymap.key_text("ticket.drop")
        ready = 0 <= ui.confirm.painted_ms <= frame.now_ms - DEAD_MS
        word = "SEND" if ready else "locked: read it first"
        keys = [
            (f" {send}", "key+bold"),
            (f" {word}  ", "error+bold" if ready else "dim"),
            (drop, "key+bold"),
            (" drop", "text"),
        ]
        return [(*pad(keys, left), *tail_spans)]
    if ui.mode is UiMode.TICKET and ui.ticket is not None:
        rest = _ticket_keys(frame, ui.ticket, keymap)
    room = left - 1
    spans: list[Span] = []
    for key, word in rest:
        pair: list[Span] = [(f" {key}", "key+bold"), (f" {word} ", "dim")]
        if line_width((*spans, *pair)) > room:
            break
        spans += pair
    return [(*pad(spans, left), *tail_spans)]
