"""The Textual application: paints, passes keys on, pulls frames. It decides nothing.

First paint comes before the engine: header and empty panes are on the terminal while ``start`` (and its
imports of half a second) runs in a thread of its own.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Size as TextualSize
from textual.message import Message

from tradetui.domain.errors import TradeTuiError
from tradetui.domain.order import Product
from tradetui.domain.view import Handle, LogRow, Look, Snapshot
from tradetui.tui.actions import TICKET_SEND, KeyMap
from tradetui.tui.controller import Controller
from tradetui.tui.desk import Desk
from tradetui.tui.layout import Pane, Size, arrange, fits_ticket
from tradetui.tui.pace import FULL_QUEUE, RATES, SLOW_QUEUE, adapted
from tradetui.tui.panes import SPECS, bottom, header, overlay, ticket_view
from tradetui.tui.panes.base import LinePane, boxed
from tradetui.tui.spans import Line
from tradetui.tui.state import Frame, UiMode
from tradetui.tui.theme import Palette

STOP_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class UiSettings:
    """What the screen needs to know, as plain values.

    Attributes:
        watch: Instrument keys of the first watchlist.
        hz: Frames a second, 1 to 20.
        theme: ``dark``, ``light``, ``contrast`` or ``16``.
        pair: ``blue-orange`` or ``green-red``.
        ascii: Draw with plain characters only.
        product: Product that tickets start with.
        keys: Action id to its new keys.
        mouse: Take clicks.
        tune_gc: Freeze what start-up made and collect less often, once the engine runs.
        early_log: Log records while there is no engine yet: what the start is doing.
        hang_up: Called when the terminal went away; says whether the engine goes on without a screen.
        auto: Pull frames on a timer; tests turn it off and call `TradeApp.step`.
        clock_ms: A clock in ms that only grows; tests bring their own.
    """

    watch: tuple[str, ...] = ()
    hz: float = 10.0
    theme: str = "dark"
    pair: str = "blue-orange"
    ascii: bool = False
    product: Product = Product.INTRADAY
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mouse: bool = True
    tune_gc: bool = True
    early_log: Callable[[], Sequence[LogRow]] = tuple
    hang_up: Callable[[], bool] = lambda: False
    auto: bool = True
    clock_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000


class Started(Message):
    """The engine runs."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle


class NotStarted(Message):
    """The engine could not start."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class TradeApp(App[int]):
    """The workstation's screen.

    Args:
        start: Starts the engine; called on a thread of its own after the first paint. May raise.
        settings: Plain values.

    Attributes:
        first_paint_ns: ``time.perf_counter_ns`` when the first paint was handed to the terminal; 0 before.
        frame_ms: How long the last frame took to build.
        leaving: The user has quit, or a signal asked for it.
    """

    AUTO_FOCUS = None
    ENABLE_COMMAND_PALETTE = False
    ESCAPE_TO_MINIMIZE = False
    CSS = "Screen { overflow: hidden; layers: base over; } #ticket, #overlay { layer: over; }"
    TITLE = "tradetui"

    def __init__(self, start: Callable[[], Handle], settings: UiSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or UiSettings()
        self._start = start
        self._clock = self.settings.clock_ms
        self.desk = Desk()
        self.keymap = KeyMap(self.settings.keys)
        self.palette = Palette(self.settings.theme, self.settings.pair)
        self._geometry = arrange(80, 24, (Pane.WATCH,))
        self.controller = Controller(
            self.desk,
            self.keymap,
            watch=self.settings.watch,
            product=self.settings.product,
            geometry=lambda: self._geometry,
        )
        self.hz = min(max(self.settings.hz, 1.0), RATES[0])
        self.first_paint_ns = 0
        self.frame_ms = 0.0
        self.leaving = False
        self._mode_word = ""
        self._asked: Look | None = None
        # Not a worker: those are waited for at exit, and quitting must not hang on a slow start.
        self.starter = threading.Thread(target=self._run_start, name="engine-start", daemon=True)
        self._make_panes()

    # --- the tree -------------------------------------------------------------------------------------

    def _make_panes(self) -> None:
        send = self.keymap.key_text(TICKET_SEND)
        palette = self.palette
        self.panes = {spec.pane: LinePane(spec.pane.value, boxed(spec), palette, spec.hz) for spec in SPECS}
        self.header = LinePane("header", header.build, palette, 2.0)
        self.tabs = LinePane("tabs", lambda f, w, h: header.tabs(f, self._geometry, w), palette)
        self.ticket = LinePane("ticket", lambda f, w, h: ticket_view.build(f, w, h, send), palette)
        self.overlay = LinePane("overlay", lambda f, w, h: overlay.build(f, w, h, self.keymap), palette)
        self.notice = LinePane("notice", self._notice, palette)
        self.hint = LinePane("hint", lambda f, w, h: bottom.hint(f, w, h, self.keymap), palette)
        self.lines = (
            self.header,
            self.tabs,
            *self.panes.values(),
            self.notice,
            self.hint,
            self.ticket,
            self.overlay,
        )

    def _notice(self, frame: Frame, width: int, height: int) -> list[Line]:
        if self._geometry.size is Size.NONE:
            text = f" too small: {self.size.width}x{self.size.height} < 30x8"
            return [((text, "warn+bold"),)]
        return bottom.notice(frame, width, height)

    def compose(self) -> ComposeResult:
        """Everything is mounted from the start; panes are shown and hidden, never built anew."""
        yield from self.lines

    def on_mount(self) -> None:
        """Paint first, then start the engine."""
        self._use_theme()
        for problem in self.keymap.problems:
            self.controller.say(problem, "WARNING")
        self.paint()
        self._install_signals()
        self.call_after_refresh(self._first_paint)

    def _first_paint(self) -> None:
        self.first_paint_ns = time.perf_counter_ns()
        self.starter.start()
        if self.settings.auto:
            self.set_timer(1 / self.hz, self._tick)

    def _run_start(self) -> None:
        """On a thread of its own; `post_message` is the one call that is safe from there."""
        try:
            handle = self._start()
        except Exception as error:
            self.post_message(NotStarted(error))
            return
        self.desk.handle = handle
        if self.leaving:
            handle.stop()
        else:
            self.post_message(Started(handle))

    def on_started(self, message: Started) -> None:
        """The engine runs: follow it."""
        if self.leaving:
            message.handle.stop()
            return
        self.controller.ui.status = "running"
        self._ask()
        if self.settings.tune_gc:
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 50, 50)
        self.step()

    def on_not_started(self, message: NotStarted) -> None:
        """Say why there is no engine; only quitting is left."""
        self.controller.fail(words_of(message.error))
        self.step()

    def _install_signals(self) -> None:
        import asyncio

        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number, action in ((signal.SIGTERM, self.leave), (signal.SIGHUP, self.hung_up)):
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, action)

    # --- keys -----------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Every key is handled here, to the end, before the next is read (`tui.md` b4)."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            event.stop()
            char = event.character if event.is_printable and event.character else ""
            self._key(event.key, char)
            return
        if isinstance(event, events.Paste) and not event.is_forwarded:
            event.stop()
            self.controller.paste(event.text, self._clock())
            self.paint()
            return
        await super().on_event(event)

    def _key(self, key: str, char: str) -> None:
        if self.controller.ui.ticket is not None:
            # Send is judged by the newest answer of the checks, not by the last frame's.
            self._pull()
        self.controller.key(key, char, self._clock())
        self._run_effects()
        self._ask()
        self.paint()

    def _pull(self) -> None:
        """Take the newest snapshot."""
        snap = self.desk.snapshot()
        if snap is not None:
            self.controller.take(snap, self._clock())
        elif not self.desk.error:
            self.controller.starting(self.settings.early_log(), self._clock())

    def _ask(self) -> None:
        """Tell the engine what to show next, when that changed."""
        look = self.controller.look(self.hz)
        if look != self._asked and self.desk.handle is not None:
            self._asked = look
            self.desk.look(look)

    def _run_effects(self) -> None:
        effects, self.controller.effects[:] = list(self.controller.effects), []
        for name, argument in effects:
            if name == "quit":
                self.leave()
            elif name == "copy":
                self.copy_to_clipboard(argument)
            elif name == "redraw":
                self.refresh(layout=True)
                self._repaint()
            elif name == "theme":
                self.palette = Palette(argument, self.settings.pair)
                for line in self.lines:
                    line.palette = self.palette
                self._use_theme()
                self._repaint()
            elif name == "screenshot":
                self.save_picture(argument)

    def save_picture(self, path: str) -> None:
        """Write the screen as an SVG picture, and say whether it worked."""
        try:
            Path(path).expanduser().write_text(self.picture(), encoding="utf-8")
        except OSError as error:
            self.controller.say(f"no screenshot: {error.strerror or error}", "ERROR")
        else:
            self.controller.say(f"screenshot written to {path}")

    def picture(self) -> str:
        """The screen as an SVG document."""
        return self.export_screenshot(title="tradetui", simplify=True)

    def text(self) -> str:
        """The screen as plain text, as the compositor has it: what a terminal would show."""
        strips = self.screen._compositor.render_strips(TextualSize(self.size.width, self.size.height))
        return "\n".join(strip.text.rstrip() for strip in strips)

    def on_click(self, event: events.Click) -> None:
        """A click gives a pane the focus and marks the row; it never acts on the account."""
        if not self.settings.mouse or self.controller.ui.mode is not UiMode.NORMAL:
            return
        for pane, rect in self._geometry.panes.items():
            dx, dy = event.screen_x - rect.x, event.screen_y - rect.y
            if 0 <= dx < rect.width and 0 <= dy < rect.height:
                self.controller.row_clicked(pane, int(dy) - 2)
                self._ask()
                self.paint()
                return

    # --- frames ---------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """The terminal changed its size: what was under review has to be painted and read again."""
        del event
        self.controller.lost_picture()
        self.paint()

    def _place(self) -> None:
        ui = self.controller.ui
        width, height = self.size
        geometry = arrange(width, height, ui.recent, zoom=ui.zoom)
        self._geometry = geometry
        self.header.place(geometry.header)
        self.tabs.place(geometry.tabs)
        for pane, widget in self.panes.items():
            widget.place(geometry.panes.get(pane))
        self.notice.place(geometry.notice)
        self.hint.place(geometry.hint)
        self.ticket.place(geometry.ticket if ui.mode is UiMode.TICKET or ui.ticket else None)
        over = ui.mode in (UiMode.SEARCH, UiMode.PALETTE, UiMode.TEXT, UiMode.QUIT, UiMode.CONFIRM)
        rect = geometry.overlay
        if ui.mode in (UiMode.TEXT, UiMode.QUIT, UiMode.CONFIRM):
            lines = overlay.folded(overlay.text_of(ui)[1], rect.width - 2)
            rect = replace(rect, height=min(rect.height, len(lines) + 2))
        self.overlay.place(rect if over else None)

    def frame(self) -> Frame:
        """What the panes are built from now."""
        shown: Snapshot = self.controller.shown()
        return Frame(shown, self.controller.ui, self._clock(), self.settings.ascii, self.controller.live)

    def paint(self, *, force: bool = True) -> int:
        """Build every visible pane and repaint the lines that differ.

        Returns:
            How many lines changed.
        """
        started = time.perf_counter_ns()
        self._place()
        frame = self.frame()
        changed = sum(line.pull(frame, force=force) for line in self.lines)
        self.frame_ms = (time.perf_counter_ns() - started) / 1e6
        ui = self.controller.ui
        review = ui.confirm or ui.ticket
        if review is not None and review.painted_ms < 0:
            # Only what reached the terminal counts as read: the review's clock starts after the refresh.
            self.call_after_refresh(self._note_painted, review, ui.preview)
        self._title(frame.live)
        return changed

    def _note_painted(self, review: object, preview: object) -> None:
        """The lines built from this review and this preview are out; start the clock if both still hold."""
        ui = self.controller.ui
        fits = ui.confirm is review or (fits_ticket(self._geometry.ticket) and ui.preview is preview)
        if (ui.confirm or ui.ticket) is review and fits and self._queued() <= SLOW_QUEUE:
            self.controller.painted(self._clock())
            if (ui.confirm or ui.ticket) is not review:
                self.paint()

    def _title(self, live: Snapshot) -> None:
        """The mode also stands in the terminal's title."""
        armed = live.mode.needs_arming and live.armed_until_ns
        word = f"{live.mode.value} ARMED" if armed else live.mode.value
        if word != self._mode_word and self._driver is not None and not self.is_headless:
            self._mode_word = word
            self._driver.write(f"\x1b]0;tradetui [{word}]\x07")

    def step(self) -> int:
        """Pull one frame and paint it.

        Returns:
            How many lines changed.
        """
        self._pull()
        if self.desk.handle is not None and not self.desk.error:
            stopped = self.desk.handle.stopped()
            if isinstance(stopped, BaseException):
                self.controller.fail(words_of(stopped))
            elif stopped and not self.leaving:
                self.controller.fail("the engine has ended")
        self._ask()
        return self.paint(force=not self.settings.auto)

    def _tick(self) -> None:
        """One frame on the timer; the next is asked for only after this one was painted."""
        if self.leaving:
            return
        started = time.perf_counter_ns()
        queued = self._queued()
        if queued < FULL_QUEUE:
            self.step()
        self.call_after_refresh(self._paced, started, queued)

    def _paced(self, started_ns: int, queued: int) -> None:
        took_ms = (time.perf_counter_ns() - started_ns) / 1e6
        self.hz = adapted(self.hz, min(self.settings.hz, RATES[0]), took_ms, queued)
        self.controller.ui.slow_hz = self.hz if self.hz < min(self.settings.hz, 10.0) else 0.0
        self.set_timer(max(0.01, 1 / self.hz - took_ms / 1000), self._tick)

    def _queued(self) -> int:
        """Frames that wait for the terminal. A private attribute of Textual, hence the care."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return int(queue.qsize()) if queue is not None else 0

    def _use_theme(self) -> None:
        theme = self.palette.textual_theme()
        self.register_theme(theme)
        self.theme = theme.name

    def _repaint(self) -> None:
        for line in self.lines:
            line.repaint()

    def _fatal_error(self) -> None:
        """A bug of ours: leave the terminal as it was and print the stack, without local variables.

        Textual's own version prints locals, which may hold what nobody else should read.
        """
        import traceback

        from rich.text import Text

        error = self._exception
        self.panic(Text("".join(traceback.format_exception(error)) if error is not None else "unknown error"))

    def leave(self) -> None:
        """Quit: the engine begins its orderly stop, the screen goes."""
        self.leaving = True
        if self.desk.handle is not None:
            self.desk.handle.stop()
        code = 1 if self.desk.error else 0
        self.exit(code, return_code=code)

    def hung_up(self) -> None:
        """The terminal went away: the screen ends, and the engine with it unless it is worth more than that."""
        self.leaving = True
        if not self.settings.hang_up() and self.desk.handle is not None:
            self.desk.handle.stop()
        self.exit(0)


def words_of(error: BaseException) -> str:
    """An exception in words for a person."""
    if isinstance(error, TradeTuiError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def run_app(start: Callable[[], Handle], settings: UiSettings | None = None) -> int:
    """Run the screen until the user leaves, then wait a bounded time for the engine.

    Args:
        start: Starts the engine; called after the first paint. May raise.
        settings: Plain values.

    Returns:
        Exit code: 0, or 1 when the engine failed or did not stop in time.
    """
    app = TradeApp(start, settings)
    code = 1
    try:
        code = int(app.run(mouse=app.settings.mouse) or 0)
    finally:
        clean = _wait_for_engine(app)
    return code if clean and not app.return_code else 1


def _wait_for_engine(app: TradeApp) -> bool:
    """Stop the engine, whether it runs or is still starting; whether it ended cleanly in time."""
    deadline = time.monotonic() + STOP_WAIT_S
    try:
        if app.starter.ident is not None:
            app.starter.join(STOP_WAIT_S)
        handle = app.desk.handle
        if handle is None:
            return not app.starter.is_alive()
        handle.stop()
        while handle.stopped() is False and time.monotonic() < deadline:
            time.sleep(0.02)
        return handle.stopped() is True
    except KeyboardInterrupt:
        return False


__all__ = ["TradeApp", "UiSettings", "run_app", "words_of"]
