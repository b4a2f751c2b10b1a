"""The screen's side of a runtime that lives on its own thread.

Only two things cross: the screen reads the newest snapshot (one attribute, swapped whole), and puts what it
wants into the loop with ``call_soon_threadsafe``. No lock is held while painting; a screen that stops
reading delays nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import OperatorEvent
from tradetui.domain.replay import steer_of
from tradetui.domain.view import InstrumentRow, LogRow, Look, Snapshot
from tradetui.runtime.core import Runtime
from tradetui.runtime.notices import NoticeBoard
from tradetui.runtime.views import ViewBuilder, instrument_row
from tradetui.wiring.parts import Parts

log = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR_S: Final = 1.0
MakeParts = Callable[[], Coroutine[Any, Any, Parts]]
"""Joins the parts; awaited on the runtime's own loop."""


class RuntimeHandle:
    """A runtime on its own thread; implements `domain.view.Handle`.

    Args:
        make: Joins the parts.
        log_rows: Ring of log records for the log pane.
        prepare: Gets the runtime before it starts, on its thread: adds services.
    """

    def __init__(
        self,
        make: MakeParts,
        log_rows: deque[LogRow],
        prepare: Callable[[Runtime], None] = lambda runtime: None,
    ) -> None:
        self._make = make
        self._prepare = prepare
        self._log_rows = log_rows
        self._latest: Snapshot | None = None
        self._look = Look()
        self._runtime: Runtime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outcome: BaseException | bool | None = False
        self._stop_asked = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="runtime", daemon=True)

    def start(self, timeout_s: float = 60.0) -> RuntimeHandle:
        """Start the thread; return when the runtime is up.

        Raises:
            TradeTuiError: It could not start; the words say why.
        """
        self._thread.start()
        self._ready.wait(timeout_s)
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        if self._runtime is None:
            raise TradeTuiError(f"the engine did not start within {timeout_s:g} s", "see the log file")
        return self

    # --- the runtime's thread -------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._run())
            self._outcome = True
        except BaseException as error:
            if not isinstance(error, TradeTuiError):
                log.exception("the engine stopped on an unexpected error")
            self._outcome = error
        finally:
            self._ready.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        parts = await self._make()
        runtime = self._runtime = Runtime(parts, stay_up=True)
        self._prepare(runtime)
        board = NoticeBoard(parts.universe)
        runtime.listeners.append(board.heard)
        if self._stop_asked:
            runtime.stop()
        views = asyncio.create_task(self._publish(runtime, board))
        try:
            await runtime.run()
        finally:
            views.cancel()

    async def _publish(self, runtime: Runtime, board: NoticeBoard) -> None:
        builder = ViewBuilder(runtime, self._log_rows, board.rows)
        await runtime.started.wait()
        while True:
            began = time.perf_counter()
            try:
                self._latest = builder.build(self._look)
            except Exception:
                # A screen that cannot be drawn must not stop trading, and must not stand still unsaid.
                log.exception("the screen's view could not be made")
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
            finally:
                self._ready.set()
            took = time.perf_counter() - began
            await asyncio.sleep(max(0.01, 1 / self._look.hz - took))

    # --- the screen's thread --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot | None:
        """The newest snapshot; ``None`` before the first."""
        return self._latest

    def look(self, look: Look) -> None:
        """Say what to show next; instruments not yet streamed are subscribed."""
        self._look = look
        self._call(lambda: self._follow(look))

    def _follow(self, look: Look) -> None:
        runtime = self._runtime
        if runtime is None or runtime.parts is None:
            return
        for key in (*look.watch, look.selected):
            if key and key not in runtime.parts.universe.slots:
                instrument = runtime.parts.lookup(key)
                if instrument is not None:
                    runtime.watch_more(instrument)
        runtime.interest.look(look)

    def submit(self, event: OperatorEvent) -> None:
        """Put what a person asked for into the inbox; engine time is stamped on arrival."""

        def put() -> None:
            runtime = self._runtime
            if runtime is not None:
                runtime.take(replace(event, t_ns=runtime.parts.clock.now_ns()))

        self._call(put)

    def _call(self, function: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function)

    def search(self, text: str, limit: int = 20) -> Sequence[InstrumentRow]:
        """Instruments that match all words of ``text``, best first."""
        runtime = self._runtime
        if runtime is None:
            return []
        return [instrument_row(found) for found in runtime.parts.search(text, limit)]

    def instrument(self, key: str) -> InstrumentRow | None:
        """Terms of one instrument."""
        runtime = self._runtime
        found = runtime.parts.lookup(key) if runtime is not None else None
        return instrument_row(found) if found is not None else None

    def fault(self, name: str, args: dict[str, object]) -> str:
        """Switch a fault of the inner simulator; returns what happened, in words."""
        runtime = self._runtime
        if runtime is None or runtime.parts.fault is None:
            return "faults exist on the simulator only"
        return runtime.parts.fault(name, args)

    def replay(self, words: Sequence[str]) -> str:
        """Steer the replay; returns what was asked, in words. A refusal comes in the log."""
        asked = steer_of(words)
        if isinstance(asked, str):
            return asked

        def put() -> None:
            replay = self._runtime.parts.replay if self._runtime is not None else None
            if replay is not None:
                try:
                    log.info("replay: %s", replay.steer(asked))
                except TradeTuiError as error:
                    log.warning("replay: %s", error)

        self._call(put)
        return " ".join(words)

    def stop(self) -> None:
        """Begin an orderly stop; returns at once."""
        self._stop_asked = True
        if self._runtime is not None:
            self._runtime.stop()

    def stopped(self) -> BaseException | bool | None:
        """``False`` while running, ``True`` after a clean stop, the exception after a failure."""
        return self._outcome

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; ``False`` when it did not in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait for the thread to end, however long that takes; signals are handled meanwhile."""
        while not self.join(0.5):
            pass

    @property
    def runtime(self) -> Runtime | None:
        """The runtime, for the final summary."""
        return self._runtime


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """A uvloop where it exists: fewer microseconds per wake-up, same behaviour."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
