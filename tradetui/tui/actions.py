"""The one table of actions. Hints, help, palette and key handling are all made from it.

A key is written as the character it types (``b``, ``/``, ``?``) or by Textual's name for it (``f9``,
``ctrl+k``, ``enter``). Keys that terminals, tmux or window managers take for themselves are not used
(`tui.md` b2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Context(StrEnum):
    """Where a key is looked up."""

    ANY = "any"
    """In every mode, also inside fields."""
    NORMAL = "normal"
    """On the panes, when nothing is being typed."""
    TICKET = "ticket"
    PROMPT = "prompt"
    """Search, command line, palette."""
    HELP = "help"
    """Help and other full-screen texts."""


class Danger(StrEnum):
    """What a key can do to the account."""

    NONE = "none"
    REDUCES = "reduces risk"
    RISK = "adds risk"


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key can do.

    Attributes:
        id: Name used by remapping.
        keys: Default keys.
        words: What it does, for help and palette.
        hint: One or two words for the hint line; empty keeps it out.
        context: Where its keys are looked up.
        danger: What it can do to the account. Keys that are not harmless are taken once, then dead until
            300 ms have passed without that key: an ordinary terminal cannot tell a held key from presses.
        rank: Order in the hint line; lower stays longer when there is no room.
    """

    id: str
    keys: tuple[str, ...]
    words: str
    hint: str = ""
    context: Context = Context.NORMAL
    danger: Danger = Danger.NONE
    rank: int = 50


def _normal(id_: str, keys: str, words: str, hint: str = "", rank: int = 50) -> Action:
    return Action(id_, tuple(keys.split(" ")), words, hint, rank=rank)


def _inside(context: Context, id_: str, keys: str, words: str, hint: str = "", rank: int = 50) -> Action:
    return Action(id_, tuple(keys.split(" ")), words, hint, context, rank=rank)


TICKET_SEND = "ticket.send"
KILL = "kill"

ACTIONS: tuple[Action, ...] = (
    Action(
        KILL,
        ("f12", "ctrl+k"),
        "kill: block new orders, pause strategies, cancel open orders; again within 5 s: close positions",
        "KILL",
        Context.ANY,
        Danger.REDUCES,
        0,
    ),
    _inside(Context.ANY, "redraw", "ctrl+l", "redraw the whole screen"),
    _inside(Context.ANY, "interrupt", "ctrl+c", "twice within 3 s: quit"),
    Action("buy", ("b", "B"), "buy ticket for the selected instrument", "Buy", danger=Danger.RISK, rank=1),
    Action("sell", ("s", "S"), "sell ticket for the selected instrument", "Sell", danger=Danger.RISK, rank=2),
    _normal("search", "/", "find an instrument; adds it to the watchlist", "Search", 3),
    _normal("command", ":", "command line", "Cmd", 4),
    _normal("help", "? f1", "help, made from this table", "Help", 5),
    Action("cancel", ("x",), "cancel the order under the cursor", "Cancel", danger=Danger.REDUCES, rank=6),
    Action(
        "cancel.all",
        ("X",),
        "cancel all orders of this instrument (two steps)",
        "Cancel all",
        danger=Danger.REDUCES,
        rank=16,
    ),
    Action(
        "exit",
        ("z",),
        "exit the position under the cursor (two steps, then a reviewed ticket)",
        "Exit",
        danger=Danger.REDUCES,
        rank=9,
    ),
    Action(
        "exit.all",
        ("Z",),
        "close all positions but delivery and MTF (two steps)",
        "Exit all",
        danger=Danger.REDUCES,
        rank=19,
    ),
    Action(
        "cancel.last",
        ("u",),
        "cancel the order that was sent last, if it is open",
        "Undo",
        danger=Danger.REDUCES,
        rank=20,
    ),
    Action(
        "edit",
        ("e",),
        "change the order under the cursor, reviewed again",
        "Edit",
        danger=Danger.RISK,
        rank=21,
    ),
    _normal("trail", "t", "trail the stop of the position under the cursor", "Trail", 22),
    Action("disarm", ("A",), "disarm live trading at once", "Disarm", danger=Danger.REDUCES, rank=8),
    _normal("pane.next", "tab", "next pane", "Pane", 7),
    _normal("pane.previous", "shift+tab", "previous pane"),
    _normal("pane.1", "1", "watchlist"),
    _normal("pane.2", "2 c C", "chart", "", 13),
    _normal("pane.3", "3 d D", "depth", "", 12),
    _normal("pane.5", "5", "positions"),
    _normal("pane.6", "6", "orders"),
    _normal("pane.7", "7", "signals and strategies"),
    _normal("pane.8", "8", "risk gauges"),
    _normal("pane.9", "9", "log"),
    _normal("zoom", "f", "this pane over the whole screen, and back", "Full", 10),
    _normal("interval.shorter", "[", "chart: shorter interval"),
    _normal("interval.longer", "]", "chart: longer interval", "", 14),
    _normal("chart.back", "<", "chart: pan to older bars"),
    _normal("chart.forward", ">", "chart: pan to newer bars"),
    _normal("chart.in", "+", "chart: wider bars"),
    _normal("chart.out", "-", "chart: narrower bars"),
    _normal("chart.reset", "0", "chart: newest bars, default width"),
    _normal("down", "down j", "down one row"),
    _normal("up", "up k", "up one row"),
    _normal("left", "left h", "pane to the left; on the chart: older bars"),
    _normal("right", "right l", "pane to the right; on the chart: newer bars"),
    _normal("page.down", "pagedown", "down one page"),
    _normal("page.up", "pageup", "up one page"),
    _normal("top", "g home", "first row"),
    _normal("bottom", "G end", "last row"),
    _normal("open", "enter", "open the row: chart of an instrument, facts of an order, votes of a signal"),
    _normal("order.from", "o O", "signals: open a ticket from the suggestion"),
    _normal("watch.remove", "delete", "take the instrument off the watchlist"),
    _normal("sort", "r", "watchlist: sort by the next column", "", 18),
    _normal("sort.reverse", "R", "watchlist: reverse the order"),
    _normal("pause", "p", "freeze the display; the feed goes on", "Pause", 11),
    _normal("replay.pause", "space", "replay: stand still, or go on", "", 23),
    _normal("replay.frame", ".", "replay: play one frame, then stand still"),
    _normal("replay.second", ",", "replay: play one second, then stand still"),
    _normal("replay.minute", ";", "replay: play one minute, then stand still"),
    _normal("replay.jump", "J", "replay: run to a time of day at full speed"),
    _normal("replay.faster", "}", "replay: twice the pace"),
    _normal("replay.slower", "{", "replay: half the pace"),
    _normal("copy", "y", "copy the row to the clipboard (OSC 52)", "Copy", 15),
    _normal("palette", "ctrl+p", "all actions by name"),
    _normal("close", "escape", "leave full screen or a message; never touches an order"),
    _normal("quit", "q", "quit; asks when orders or positions are open", "Quit", 17),
    Action(
        TICKET_SEND,
        ("f9", "ctrl+x"),
        "send what is under review: the only key that sends",
        "SEND",
        Context.TICKET,
        Danger.RISK,
        2,
    ),
    _inside(Context.TICKET, "ticket.review", "enter", "review the order", "Review", 1),
    _inside(Context.TICKET, "ticket.drop", "escape", "drop the ticket; nothing is sent", "Drop", 3),
    _inside(Context.TICKET, "ticket.next", "tab down", "next field", "Next field", 4),
    _inside(Context.TICKET, "ticket.previous", "shift+tab up", "previous field"),
    _inside(
        Context.TICKET, "ticket.more", "right + =", "next choice, or one lot or tick more", "+/- step", 5
    ),
    _inside(Context.TICKET, "ticket.less", "left -", "previous choice, or one lot or tick less"),
    _inside(Context.TICKET, "ticket.lots", "l L", "derivatives: type lots or units", "Lots/units", 6),
    _inside(Context.TICKET, "ticket.price", "@", "jump to the price", "Price", 7),
    _inside(
        Context.TICKET, "ticket.checks", "v V", "name every check, or only count those that pass", "Checks", 8
    ),
    _inside(Context.TICKET, "ticket.erase", "backspace", "erase one character; from a review: edit again"),
    _inside(Context.TICKET, "ticket.clear", "ctrl+u", "erase the field"),
    _inside(Context.PROMPT, "prompt.accept", "enter", "take it", "Take", 1),
    _inside(Context.PROMPT, "prompt.close", "escape", "leave", "Leave", 2),
    _inside(Context.PROMPT, "prompt.next", "down ctrl+n", "next line or newer entry", "Move", 3),
    _inside(Context.PROMPT, "prompt.previous", "up", "previous line or older entry"),
    _inside(Context.PROMPT, "prompt.complete", "tab", "complete the word", "Complete", 4),
    _inside(Context.PROMPT, "prompt.erase", "backspace", "erase one character"),
    _inside(Context.PROMPT, "prompt.clear", "ctrl+u", "erase the line"),
    _inside(Context.HELP, "help.close", "escape q ? f1 enter", "close", "Close", 1),
    _inside(Context.HELP, "help.down", "down j", "scroll down", "Scroll", 2),
    _inside(Context.HELP, "help.up", "up k", "scroll up"),
    _inside(Context.HELP, "help.page.down", "pagedown space", "one page down"),
    _inside(Context.HELP, "help.page.up", "pageup", "one page up"),
)
"""Every action, in the order help shows them."""

BY_ID = {action.id: action for action in ACTIONS}
"""Action by its id."""

_SHOWN = {
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "backspace": "Backspace",
    "delete": "Del",
    "home": "Home",
    "end": "End",
    "space": "Space",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
}


def shown(key: str) -> str:
    """A key as people read it: ``Ctrl+K``, ``F9``, ``Esc``."""
    if key in _SHOWN:
        return _SHOWN[key]
    if key.startswith("ctrl+"):
        return "Ctrl+" + key[5:].upper()
    return key.upper() if len(key) > 1 and key[0] == "f" and key[1:].isdigit() else key


class KeyMap:
    """Keys to actions, after the user's own choices.

    A remap that would leave a safety key unusable is refused and the default kept: kill and send must have
    a key, send must not be a key that types or reviews.

    Args:
        remap: Action id to its new keys.

    Attributes:
        problems: What was refused or is ambiguous, one sentence each.
    """

    def __init__(self, remap: Mapping[str, tuple[str, ...] | list[str]] | None = None) -> None:
        self.problems: list[str] = []
        self._keys: dict[str, tuple[str, ...]] = {action.id: action.keys for action in ACTIONS}
        for id_, keys in (remap or {}).items():
            refusal = self._refusal(id_, tuple(keys))
            if refusal:
                self.problems.append(refusal)
            else:
                self._keys[id_] = tuple(keys)
        self._table: dict[tuple[Context, str], Action] = {}
        for action in ACTIONS:
            for key in self._keys[action.id]:
                self._add(action, key)

    def _refusal(self, id_: str, keys: tuple[str, ...]) -> str:
        if id_ not in BY_ID:
            return f"keys: no action is called {id_!r}"
        if id_ in (KILL, TICKET_SEND):
            if not keys:
                return f"keys: {id_} must keep a key"
            bad = [key for key in keys if len(key) == 1 or key in ("enter", "escape", "tab", "space")]
            if bad:
                return f"keys: {id_} cannot be on {shown(bad[0])}, which types, reviews or leaves"
        return ""

    def _add(self, action: Action, key: str) -> None:
        places = list(Context) if action.context is Context.ANY else [action.context]
        for place in places:
            taken = self._table.get((place, key)) or self._table.get((Context.ANY, key))
            if taken is not None and taken.id != action.id:
                self.problems.append(
                    f"keys: {shown(key)} is both {taken.id} and {action.id} ({place}); {taken.id} keeps it"
                )
                return
        for place in places:
            self._table[(place, key)] = action

    def find(self, context: Context, key: str) -> Action | None:
        """The action on ``key`` in a context, or ``None``."""
        return self._table.get((context, key))

    def keys_of(self, id_: str) -> tuple[str, ...]:
        """Keys that reach an action."""
        action = BY_ID[id_]
        return tuple(key for key in self._keys[id_] if self._table.get((action.context, key)) is action)

    def key_text(self, id_: str) -> str:
        """First key of an action, as people read it; empty when it has none."""
        keys = self.keys_of(id_)
        return shown(keys[0]) if keys else ""

    def hints(self, context: Context) -> list[tuple[str, str]]:
        """Key and word pairs for the hint line, most important first; kill is always the first."""
        found = [action for action in ACTIONS if action.hint and action.context in (context, Context.ANY)]
        found.sort(key=lambda action: action.rank)
        return [(self.key_text(action.id), action.hint) for action in found if self.key_text(action.id)]
