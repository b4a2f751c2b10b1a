"""What the screen remembers between keys: modes, cursors, choices. No terminal, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradetui.domain import intervals
from tradetui.domain.order import Order, OrderStatus
from tradetui.domain.view import InstrumentRow, LogRow, PositionRow, Preview, SignalRow, Snapshot, WatchRow
from tradetui.tui.layout import Pane
from tradetui.tui.ticket import Ticket

INTERVALS = tuple(intervals.INTERVALS)
"""Chart intervals, shortest first."""


class UiMode(StrEnum):
    """Who gets the keys."""

    NORMAL = "normal"
    TICKET = "ticket"
    SEARCH = "search"
    COMMAND = "command"
    PALETTE = "palette"
    ARM = "arm"
    """The last four characters of the account are being typed."""
    TEXT = "text"
    """Help, or another text over the panes."""
    QUIT = "quit"
    """Asked whether to quit with orders or positions open."""
    CONFIRM = "confirm"
    """Something other than a ticket is under review: a GTT, a conversion, a limit."""


class Sort(StrEnum):
    """Orders of the watchlist."""

    OWN = "own order"
    SYMBOL = "symbol"
    CHANGE = "change %"
    VOLUME = "volume"


@dataclass(slots=True)
class Prompt:
    """A line being typed, and what it found.

    Attributes:
        rows: Hits of the search, or names of the palette.
        index: The marked hit.
    """

    text: str = ""
    rows: tuple[InstrumentRow, ...] = ()
    names: tuple[str, ...] = ()
    index: int = 0
    message: str = ""


@dataclass(slots=True)
class Notice:
    """The line at the bottom: level ``INFO``, ``WARNING`` or ``ERROR``, text, and when it was said.

    Until ``hold_ms`` the engine's news wait behind it: it asks for a second press.
    """

    text: str = ""
    level: str = "INFO"
    at_ms: int = 0
    hold_ms: int = 0


@dataclass(slots=True)
class Pending:
    """A first step that waits for its second: action, what it was aimed at, and until when."""

    action: str
    target: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Something other than a ticket that waits for the send key.

    Attributes:
        title, lines: What is read before it is sent.
        kind, fields: The operator event it becomes.
        painted_ms: When it was first painted; -1 before.
        pressed_ms: Last press of send; -1 before.
    """

    title: str
    lines: tuple[str, ...]
    kind: str
    fields: Mapping[str, Any]
    painted_ms: int = -1
    pressed_ms: int = -1


@dataclass(slots=True)
class Ui:
    """Everything the panes need besides the snapshot.

    Attributes:
        recent: Panes by last use; the first has the focus.
        keys: Instrument keys of the watchlist, in the user's order.
        known: Terms of instruments met so far, by key.
        selected: The instrument that depth and chart follow.
        cursors: Marked row of a pane, by identity (order tag, position, signal id), never by index.
        scroll: First visible row of a pane.
        held: Row order of the watchlist while the cursor moves, and until when.
        frozen: The snapshot shown while paused.
        texts: Title and lines of the text over the panes.
        flattening: All positions are being closed, and the screen says how far it got.
    """

    mode: UiMode = UiMode.NORMAL
    recent: tuple[Pane, ...] = (Pane.WATCH,)
    zoom: bool = False
    keys: list[str] = field(default_factory=list)
    known: dict[str, InstrumentRow] = field(default_factory=dict)
    selected: str = ""
    interval: str = "1m"
    cursors: dict[Pane, str] = field(default_factory=dict)
    scroll: dict[Pane, int] = field(default_factory=dict)
    sort: Sort = Sort.OWN
    descending: bool = False
    held: tuple[str, ...] = ()
    held_until_ms: int = 0
    chart_offset: int = 0
    chart_step: int = 1
    ticket: Ticket | None = None
    preview: Preview | None = None
    prompt: Prompt = field(default_factory=Prompt)
    history: list[str] = field(default_factory=list)
    history_at: int = 0
    notice: Notice = field(default_factory=Notice)
    pending: Pending | None = None
    confirm: Confirm | None = None
    frozen: Snapshot | None = None
    paused_ms: int = 0
    texts: tuple[str, tuple[str, ...]] = ("", ())
    text_scroll: int = 0
    slow_hz: float = 0.0
    flattening: bool = False
    status: str = "starting"
    error: str = ""

    @property
    def focus(self) -> Pane:
        """The pane that gets the movement keys."""
        return self.recent[0]

    def look_at(self, pane: Pane) -> None:
        """Give a pane the focus."""
        self.recent = (pane, *(other for other in self.recent if other is not pane))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a pane is built from.

    Attributes:
        snap: The snapshot to show: the newest, or the frozen one while paused.
        live: The newest snapshot, also while paused.
        now_ms: The screen's own growing clock.
        ascii: Draw with plain characters only.
    """

    snap: Snapshot
    ui: Ui
    now_ms: int = 0
    ascii: bool = False
    live: Snapshot = field(default_factory=Snapshot)

    @property
    def t_ms(self) -> int:
        """Engine time of what is shown, epoch ms."""
        return self.snap.t_ns // 1_000_000

    @property
    def paused_s(self) -> float:
        """Seconds since the display was frozen; 0 when it is live."""
        return (self.now_ms - self.ui.paused_ms) / 1000 if self.ui.frozen is not None else 0.0


def position_id(row: PositionRow) -> str:
    """Identity of a position row."""
    return f"{row.key}/{row.product}"


def sorted_orders(orders: Sequence[Order]) -> list[Order]:
    """Orders as shown: those that work or wait first, then the rest, newest first."""
    busy = [order for order in orders if not order.status.terminal]
    unknown = [order for order in busy if order.status is OrderStatus.UNKNOWN]
    rest = [order for order in busy if order.status is not OrderStatus.UNKNOWN]
    return unknown + rest + [order for order in orders if order.status.terminal]


def watch_rows(snap: Snapshot, ui: Ui, now_ms: int) -> list[tuple[str, WatchRow | None]]:
    """Watchlist lines in the order shown; ``None`` where the engine has not sent a row yet."""
    have = {row.key: row for row in snap.watch}
    if ui.held and now_ms < ui.held_until_ms:
        order = [key for key in ui.held if key in ui.keys] + [key for key in ui.keys if key not in ui.held]
        return [(key, have.get(key)) for key in order]
    rows = [(key, have.get(key)) for key in ui.keys]
    if ui.sort is Sort.SYMBOL:
        rows.sort(key=lambda item: name_of(snap, ui, item[0]), reverse=ui.descending)
    elif ui.sort is Sort.CHANGE:
        rows.sort(key=lambda item: _number(item[1], "change_pct"), reverse=not ui.descending)
    elif ui.sort is Sort.VOLUME:
        rows.sort(key=lambda item: _number(item[1], "volume"), reverse=not ui.descending)
    elif ui.descending:
        rows.reverse()
    return rows


def _number(row: WatchRow | None, name: str) -> float:
    value = getattr(row, name) if row is not None else None
    return float("-inf") if value is None else float(value)


def name_of(snap: Snapshot, ui: Ui, key: str) -> str:
    """Symbol of an instrument key, as well as it is known."""
    found = snap.symbols.get(key)
    if found:
        return found
    known = ui.known.get(key)
    return known.symbol if known is not None else key.rpartition("|")[2] or key


def ids_of(pane: Pane, snap: Snapshot, ui: Ui, now_ms: int) -> list[str]:
    """Identities of the rows of a pane, in the order shown; empty for panes without a cursor."""
    if pane is Pane.WATCH:
        return [key for key, _ in watch_rows(snap, ui, now_ms)]
    if pane is Pane.POSITIONS:
        return [position_id(row) for row in snap.positions]
    if pane is Pane.ORDERS:
        return [order.tag for order in sorted_orders(snap.orders)]
    if pane is Pane.SIGNALS:
        return [row.id for row in signals_shown(snap)]
    return []


def signals_shown(snap: Snapshot) -> list[SignalRow]:
    """Signals, newest first."""
    return sorted(snap.signals, key=lambda row: row.t_ns, reverse=True)


def level_of(row: LogRow) -> str:
    """Style of a log record by its level."""
    if row.level in ("ERROR", "CRITICAL"):
        return "error"
    return "warn" if row.level == "WARNING" else "text"
