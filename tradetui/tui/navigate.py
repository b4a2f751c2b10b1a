"""Looking around: focus, cursors, chart, sorting, pausing, copying. Nothing here can touch the account."""

from __future__ import annotations

from collections.abc import Callable

from tradetui.domain.view import InstrumentRow, Snapshot
from tradetui.tui import fmt
from tradetui.tui.layout import NUMBERS, Geometry, Pane
from tradetui.tui.panes.orders import details
from tradetui.tui.panes.signals import explanation
from tradetui.tui.state import (
    INTERVALS,
    Sort,
    Ui,
    UiMode,
    ids_of,
    name_of,
    position_id,
    sorted_orders,
    watch_rows,
)

HOLD_MS = 2000
"""The watchlist keeps its order this long after the cursor moved: rows must not jump away from an aim."""
_BY_NUMBER = {number: pane for pane, number in NUMBERS.items()}


class Navigator:
    """Actions that change only what is shown.

    Args:
        ui: State of the screen.
        shown: The snapshot on the screen now.
        geometry: The layout on the screen now.
        say: Puts a notice on the screen.
        effect: Asks the app for something only it can do, such as ``copy``.
    """

    def __init__(
        self,
        ui: Ui,
        shown: Callable[[], Snapshot],
        geometry: Callable[[], Geometry],
        say: Callable[..., None],
        effect: Callable[[str, str], None],
    ) -> None:
        self.ui = ui
        self._shown = shown
        self._geometry = geometry
        self._say = say
        self._effect = effect
        self.actions: dict[str, Callable[[int], None]] = {
            **{f"pane.{n}": self._focus_on(pane) for n, pane in _BY_NUMBER.items()},
            "pane.next": lambda _: self._cycle(1),
            "pane.previous": lambda _: self._cycle(-1),
            "zoom": lambda _: self._zoom(),
            "interval.shorter": lambda _: self._interval(-1),
            "interval.longer": lambda _: self._interval(1),
            "chart.back": lambda _: self._pan(10),
            "chart.forward": lambda _: self._pan(-10),
            "chart.in": lambda _: self._widen(1),
            "chart.out": lambda _: self._widen(-1),
            "chart.reset": lambda _: self._reset(),
            "down": lambda now: self.move(1, now),
            "up": lambda now: self.move(-1, now),
            "left": lambda _: self._sideways(-1),
            "right": lambda _: self._sideways(1),
            "page.down": lambda now: self.move(self._page(), now),
            "page.up": lambda now: self.move(-self._page(), now),
            "top": lambda now: self.move(-1_000_000, now),
            "bottom": lambda now: self.move(1_000_000, now),
            "open": lambda _: self.open(),
            "watch.remove": lambda now: self.remove(self.ui.selected, now),
            "sort": lambda _: self._sort(),
            "sort.reverse": lambda _: self._reverse(),
            "pause": self._pause,
            "copy": lambda _: self._copy(),
            "close": lambda _: self._close(),
            "redraw": lambda _: self._effect("redraw", ""),
        }

    def visible(self) -> tuple[Pane, ...]:
        """Panes on the screen now."""
        return tuple(self._geometry().panes)

    def _focus_on(self, pane: Pane) -> Callable[[int], None]:
        return lambda _: self.ui.look_at(pane)

    def _cycle(self, step: int) -> None:
        shown = list(Pane) if self.ui.zoom else [pane for pane in Pane if pane in self._geometry().panes]
        if len(shown) < 2:
            shown = list(Pane)
        here = shown.index(self.ui.focus) if self.ui.focus in shown else 0
        self.ui.look_at(shown[(here + step) % len(shown)])

    def _zoom(self) -> None:
        self.ui.zoom = not self.ui.zoom

    def _interval(self, step: int) -> None:
        at = INTERVALS.index(self.ui.interval) + step
        if 0 <= at < len(INTERVALS):
            self.set_interval(INTERVALS[at])

    def set_interval(self, interval: str) -> None:
        """Show the chart at another interval."""
        self.ui.interval = interval
        self.ui.chart_offset = 0
        self._say(f"chart interval {interval}")

    def _pan(self, bars: int) -> None:
        chart = self._shown().chart
        most = max(0, len(chart.start_ms) - 10) if chart is not None else 0
        self.ui.chart_offset = min(max(0, self.ui.chart_offset + bars), most)

    def _widen(self, step: int) -> None:
        self.ui.chart_step = min(max(1, self.ui.chart_step + step), 4)

    def _reset(self) -> None:
        self.ui.chart_offset, self.ui.chart_step = 0, 1

    def _page(self) -> int:
        rect = self._geometry().panes.get(self.ui.focus)
        return max(1, rect.height - 4) if rect is not None else 10

    def move(self, step: int, now_ms: int) -> None:
        """Move the cursor of the focused pane by rows; the log scrolls instead, the chart pans."""
        ui, pane, snap = self.ui, self.ui.focus, self._shown()
        if pane is Pane.LOG:
            most = max(0, len(snap.log) - 1)
            ui.scroll[pane] = min(max(0, ui.scroll.get(pane, 0) - step), most)
            return
        target = pane if pane in (Pane.POSITIONS, Pane.ORDERS, Pane.SIGNALS) else Pane.WATCH
        ids = ids_of(target, snap, ui, now_ms)
        if not ids:
            return
        mark = ui.selected if target is Pane.WATCH else ui.cursors.get(target, "")
        if mark in ids:
            at = min(max(0, ids.index(mark) + step), len(ids) - 1)
        else:
            at = 0 if step > 0 else len(ids) - 1
        if target is Pane.WATCH:
            ui.held = tuple(ids)
            ui.held_until_ms = now_ms + HOLD_MS
            self.select(ids[at])
        else:
            ui.cursors[target] = ids[at]

    def _sideways(self, step: int) -> None:
        if self.ui.focus is Pane.CHART:
            self._pan(-step)
        else:
            self._cycle(step)

    def select(self, key: str) -> None:
        """Let depth and chart follow an instrument."""
        if key != self.ui.selected:
            self.ui.selected = key
            self.ui.chart_offset = 0

    def add(self, row: InstrumentRow) -> None:
        """Put an instrument on the watchlist and select it."""
        self.ui.known[row.key] = row
        if row.key not in self.ui.keys:
            self.ui.keys.append(row.key)
        self.select(row.key)
        self.ui.held = ()

    def remove(self, key: str, now_ms: int) -> None:
        """Take an instrument off the watchlist; the cursor goes to its neighbour."""
        ui = self.ui
        if key not in ui.keys:
            self._say("that instrument is not on the watchlist", "WARNING")
            return
        snap = self._shown()
        order = ids_of(Pane.WATCH, snap, ui, now_ms)
        at = order.index(key)
        ui.keys.remove(key)
        order.remove(key)
        if ui.selected == key:
            self.select(order[min(at, len(order) - 1)] if order else "")
        self._say(f"{name_of(snap, ui, key)} is off the watchlist")

    def open(self) -> None:
        """Open the row under the cursor."""
        ui, pane, snap = self.ui, self.ui.focus, self._shown()
        if pane is Pane.WATCH:
            ui.look_at(Pane.CHART)
        elif pane is Pane.SIGNALS:
            row = next((row for row in snap.signals if row.id == ui.cursors.get(pane)), None)
            if row is None:
                self._say("mark a signal first")
                return
            ui.texts = explanation(row)
            ui.text_scroll = 0
            ui.mode = UiMode.TEXT
        else:
            self._open_row()

    def _open_row(self) -> None:
        """Let depth and chart follow the row's instrument; an order also says all that is known of it."""
        ui, snap = self.ui, self._shown()
        key = self.target_key()
        if key:
            self.select(key)
            if key not in ui.keys:
                ui.keys.append(key)
        order = next((order for order in snap.orders if order.tag == ui.cursors.get(Pane.ORDERS)), None)
        if ui.focus is Pane.ORDERS and order is not None:
            ui.texts = details(order, name_of(snap, ui, order.request.instrument_key))
            ui.text_scroll = 0
            ui.mode = UiMode.TEXT

    def target_key(self) -> str:
        """The instrument that trading keys are aimed at: the marked row's, else the selected one."""
        ui, snap = self.ui, self._shown()
        mark = ui.cursors.get(ui.focus, "")
        if ui.focus is Pane.POSITIONS:
            return next((row.key for row in snap.positions if position_id(row) == mark), ui.selected)
        if ui.focus is Pane.ORDERS:
            return next((o.request.instrument_key for o in snap.orders if o.tag == mark), ui.selected)
        if ui.focus is Pane.SIGNALS:
            return next((row.key for row in snap.signals if row.id == mark), ui.selected)
        return ui.selected

    def _sort(self) -> None:
        order = list(Sort)
        self.ui.sort = order[(order.index(self.ui.sort) + 1) % len(order)]
        self.ui.held = ()
        self._say(f"watchlist by {self.ui.sort.value}")

    def _reverse(self) -> None:
        self.ui.descending = not self.ui.descending
        self.ui.held = ()

    def _pause(self, now_ms: int) -> None:
        if self.ui.frozen is not None:
            self.ui.frozen = None
            self._say("display runs again")
        else:
            self.ui.frozen = self._shown()
            self.ui.paused_ms = now_ms
            self._say("PAUSED: this is an old picture; the feed and your orders go on", "WARNING")

    def _copy(self) -> None:
        text = self._row_text()
        if text:
            self._effect("copy", text)
            self._say(f"copied: {text.replace(chr(9), '  ')[:60]}")
        else:
            self._say("nothing to copy here")

    def _row_text(self) -> str:
        ui, pane, snap = self.ui, self.ui.focus, self._shown()
        mark = ui.cursors.get(pane, "")
        if pane is Pane.POSITIONS:
            rows = [r for r in snap.positions if position_id(r) == mark]
            return (
                "\t".join(
                    (
                        rows[0].symbol,
                        rows[0].product,
                        str(rows[0].qty),
                        fmt.money(rows[0].average),
                        fmt.money(rows[0].pnl),
                    )
                )
                if rows
                else ""
            )
        if pane is Pane.ORDERS:
            found = [o for o in sorted_orders(snap.orders) if o.tag == mark]
            if not found:
                return ""
            request = found[0].request
            name = name_of(snap, ui, request.instrument_key)
            return "\t".join(
                (
                    found[0].tag,
                    request.side.value,
                    str(request.qty),
                    name,
                    fmt.money(request.price),
                    found[0].status.value,
                )
            )
        if pane is Pane.LOG:
            return snap.log[-1 - min(ui.scroll.get(pane, 0), len(snap.log) - 1)].text if snap.log else ""
        row = next((row for key, row in watch_rows(snap, ui, 0) if key == self.target_key()), None)
        if row is None:
            return ""
        return "\t".join(
            (row.symbol, fmt.price(row.ltp, row.decimals), fmt.percent(row.change_pct), str(row.volume))
        )

    def _close(self) -> None:
        self.ui.zoom = False
