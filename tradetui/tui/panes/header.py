"""The header: which world, which account, how it stands, whether the data is alive."""

from __future__ import annotations

from tradetui.domain.gtt import GttStatus
from tradetui.domain.order import OrderStatus
from tradetui.domain.text import clean
from tradetui.domain.view import Mode, Snapshot
from tradetui.tui import fmt
from tradetui.tui.layout import NUMBERS, Geometry, Pane
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import Line, Span, line_width, pad
from tradetui.tui.state import Frame


def mode_word(snap: Snapshot) -> tuple[str, str]:
    """The mode as text and style. It is on the screen at all times."""
    if snap.mode.needs_arming:
        word, style = snap.mode.value, f"mode.{snap.mode.value.lower()}"
        left = (snap.armed_until_ns - snap.t_ns) / 1e9
        if snap.armed_until_ns and left > 0:
            # Only real orders get the colour of real danger.
            armed = "mode.armed" if snap.mode is Mode.LIVE else style
            return f"[## {word} ARMED {fmt.countdown(left)} ##]", armed
        return f"[{word} disarmed]", style
    if snap.replay is not None:
        return f"[{snap.mode.value} {snap.replay.words}]", f"mode.{snap.mode.value.lower()}"
    return f"[{snap.mode.value}]", f"mode.{snap.mode.value.lower()}"


def _feed(frame: Frame, snap: Snapshot) -> list[Span]:
    state = snap.feed_state
    style = "good" if state == "up" else "dim" if state in ("connecting", "ended") else "error+bold"
    spans: list[Span] = [(f"feed {state.upper() if style.startswith('error') else state}", style)]
    if state == "up":
        spans.append((f" {fmt.age(snap.feed_age_s):>5}", "warn" if snap.feed_age_s > 3 else "dim"))
    if snap.stale_count:
        spans.append((f" ~{snap.stale_count}/{snap.subscribed}", "warn"))
    if frame.ui.slow_hz:
        spans.append((f" screen slowed to {frame.ui.slow_hz:g}Hz", "warn"))
    return spans


def _parts(frame: Frame, width: int) -> list[tuple[int, list[Span]]]:
    """Parts from left to right, each with its importance (0 stays longest)."""
    snap = frame.live
    badge: list[Span] = [mode_word(snap) if snap.seq else ("[tradetui]", "title+bold")]
    if frame.ui.frozen is not None:
        badge += [(" ", "text"), (f" PAUSED {fmt.age(frame.paused_s)} ", "paused")]
    if snap.risk_state != "active":
        # Little room: the risk pane says why.
        why = (
            f": {fmt.short(clean(snap.risk_reason), width // 6)}" if snap.risk_reason and width >= 110 else ""
        )
        badge += [(" ", "text"), (f" {snap.risk_state.upper()}{why} ", "alarm")]
    parts: list[tuple[int, list[Span]]] = [(0, badge), *_trouble(snap, width)]
    # The simulator's account is nobody's: its name is shown whole, a real one is masked.
    own = snap.mode in (Mode.SIM, Mode.REHEARSAL, Mode.REPLAY)
    account = snap.account if own else f"{snap.broker} {fmt.masked(snap.account)}".strip()
    if account:
        parts.append((9, [(account, "dim")]))
    for rank, (name, last, change) in enumerate(snap.indices):
        parts.append(
            (
                3 + rank * 2,
                [(f"{name} ", "dim"), (fmt.price(last), "text"), (f" {change:+.2f}%", tone(change))]
                if last
                else [(f"{name} {fmt.NEVER}", "dim")],
            )
        )
    if not snap.seq:
        # Nothing is known yet: no figure is better than a zero.
        return [*parts, (1, [(clean(frame.ui.status), "error+bold" if frame.ui.error else "warn")])]
    net = snap.day_pnl - snap.day_charges
    label = "day net " if width >= 110 else "net "
    parts.append((2, [(label, "dim"), (fmt.money(net, sign=True), f"{tone(net)}+bold")]))
    if snap.capital:
        share = 100 * snap.used / snap.capital
        parts.append((6, [("margin ", "dim"), (f"{share:.0f}%", "warn" if share > 80 else "text")]))
    if snap.phase:
        parts.append((4, [(snap.phase, "dim")]))
    if snap.t_ns:
        # A simulated exchange has a day of its own; elsewhere its clock is everybody's.
        clock = fmt.clock(frame.live.t_ns // 1_000_000)
        parts.append((1, [("exch ", "dim"), (clock, "text")] if own else [(clock, "text"), (" IST", "dim")]))
    dead = snap.feed_state not in ("up", "connecting", "ended")
    feed = _feed(frame, snap) if frame.ui.status == "running" else [(frame.ui.status, "warn")]
    parts.append((0 if dead else 1, feed))
    return [(rank, spans) for rank, spans in parts if spans]


def _trouble(snap: Snapshot, width: int) -> list[tuple[int, list[Span]]]:
    """What needs a person: a login that ended, orders in doubt, positions without a stop."""
    parts: list[tuple[int, list[Span]]] = []
    if snap.login:
        words = f": {fmt.short(clean(snap.login), width // 6)}" if width >= 110 else ""
        parts.append((0, [(f" LOGIN ENDED{words} ", "alarm")]))
    doubts = sum(1 for order in snap.orders if order.status is OrderStatus.UNKNOWN)
    doubts += sum(1 for gtt in snap.gtts if gtt.status is GttStatus.UNKNOWN)
    if doubts:
        parts.append((0, [(f" {doubts} UNKNOWN ", "alarm")]))
    naked = sum(1 for row in snap.positions if row.naked and row.qty)
    if naked:
        parts.append((1, [(f"{naked} NAKED", "warn+bold")]))
    return parts


def build(frame: Frame, width: int, height: int) -> list[Line]:
    """One line; the least important parts give way first."""
    del height
    parts = _parts(frame, width)
    gap = "  " if width < 110 else " │ " if not frame.ascii else " | "

    room = width + len(gap)
    kept: list[int] = []
    for i in sorted(range(len(parts)), key=lambda n: (parts[n][0], n)):
        need = line_width(tuple(parts[i][1])) + len(gap)
        if need <= room or not kept:
            kept.append(i)
            room -= need
    parts = [parts[i] for i in sorted(kept)]
    line: list[Span] = []
    for i, (_, spans) in enumerate(parts):
        if i:
            line.append((gap, "border"))
        line.extend(spans)
    return [pad(line, width)]


_NAMES = {
    Pane.WATCH: "Watch",
    Pane.CHART: "Chart",
    Pane.DEPTH: "Depth",
    Pane.POSITIONS: "Pos",
    Pane.ORDERS: "Orders",
    Pane.SIGNALS: "Signals",
    Pane.RISK: "Risk",
    Pane.LOG: "Log",
}


def tabs(frame: Frame, geometry: Geometry, width: int) -> list[Line]:
    """The line of pane names in small layouts; what is on the screen is brighter, the focus is marked."""
    line: list[Span] = []
    for pane, number in NUMBERS.items():
        name = _NAMES[pane]
        focused = pane is frame.ui.focus
        style = "focus+bold" if focused else "text" if pane in geometry.panes else "dim"
        count = _count(frame, pane)
        text = f"[{number}{name}{count}]" if focused else f" {number}{name}{count} "
        line.append((text, style))
    if geometry.size.value == "tiny":
        line.append(("  small terminal: one pane; 80x24 shows more", "warn"))
    return [pad(line, width)]


def _count(frame: Frame, pane: Pane) -> str:
    if pane is Pane.POSITIONS:
        n = sum(1 for row in frame.snap.positions if row.qty)
    elif pane is Pane.ORDERS:
        n = sum(1 for order in frame.snap.orders if not order.status.terminal)
    elif pane is Pane.SIGNALS:
        n = sum(1 for row in frame.snap.signals if row.state == "new")
    else:
        n = 0
    return f" {n}" if n else ""
