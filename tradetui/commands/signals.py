"""Signals of `tradetui run`: kill from outside, and a terminal that goes away.

| signal | what happens |
|---|---|
| SIGUSR1 | kill, stage 1: new risk blocked, orders cancelled except protective ones |
| SIGUSR2 | kill, stage 2: positions closed too (delivery and MTF left out) |
| SIGHUP | the terminal hung up: the engine goes on headless while there is something to look after |
| SIGTERM, SIGINT | an orderly stop |
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from tradetui.storage.kill_file import KillOrder

if TYPE_CHECKING:
    from tradetui.domain.events import OperatorEvent
    from tradetui.domain.view import Snapshot
    from tradetui.runtime.core import Runtime
    from tradetui.runtime.handle import RuntimeHandle

log = logging.getLogger(__name__)

_KILLS: Final = {signal.SIGUSR1: KillOrder(), signal.SIGUSR2: KillOrder(flatten=True)}


class KillSignals:
    """Takes the kill signals from the first moment on; one that comes before the engine runs waits for it."""

    def __init__(self) -> None:
        self._submit: Callable[[OperatorEvent], None] | None = None
        self._early: list[int] = []
        for number in _KILLS:
            signal.signal(number, self._on_signal)

    def attach(self, submit: Callable[[OperatorEvent], None]) -> None:
        """The engine runs: what came before goes to it now."""
        self._submit = submit
        early, self._early = self._early, []
        for number in early:
            self.pull(number)

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear them on a loop that runs on the main thread: a loop in C would not let a plain handler run."""
        for number in _KILLS:
            loop.add_signal_handler(number, self.pull, number)

    def pull(self, number: int) -> None:
        """Act on one signal."""
        if self._submit is None:
            self._early.append(number)
            return
        from tradetui.runtime.outside import kill_event

        name = signal.Signals(number).name
        log.critical("signal %s: %s", name, _KILLS[signal.Signals(number)].words)
        self._submit(kill_event(_KILLS[signal.Signals(number)], f"signal {name}", 0))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.pull(number)


def leave_terminal() -> None:
    """Read and write nowhere from now on: a terminal that is gone answers every write with an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.dup2(nowhere, fd)
    os.close(nowhere)


def ignore_hang_up() -> None:
    """A second hang-up (the shell's, after the terminal's) must not end us."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def worth_staying(snapshot: Snapshot | None) -> bool:
    """Whether the engine has something to look after: orders may be live, or an order or position is open."""
    if snapshot is None:
        return False
    return (
        snapshot.mode.needs_arming
        or any(order.status.working for order in snapshot.orders)
        or any(row.qty for row in snapshot.positions)
    )


def runtime_worth_staying(runtime: Runtime | None) -> bool:
    """The same, asked of a runtime on this thread."""
    if runtime is None:
        return False
    desk = runtime.engine.desk
    return (
        runtime.parts.mode.needs_arming
        or bool(desk.manager.working())
        or bool(desk.portfolio.open_positions())
    )


class HangUp:
    """What a hang-up of the terminal does to a run with a screen.

    Args:
        stay: The setting: go on headless while there is something to look after.
        handle: The engine, once it runs.
    """

    def __init__(self, stay: bool, handle: Callable[[], RuntimeHandle | None]) -> None:
        self._stay = stay
        self._handle = handle
        self.stayed = False

    def __call__(self) -> bool:
        """The terminal is gone. Returns whether the engine goes on. On the screen's loop only."""
        leave_terminal()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # A loop that closes takes its handlers along, and the next signal would end us.
            loop.remove_signal_handler(number)
        ignore_hang_up()
        handle = self._handle()
        self.stayed = self._stay and handle is not None and worth_staying(handle.snapshot())
        if not self.stayed or handle is None:
            log.warning("the terminal hung up: stopping")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the stop is under way already
            return False
        log.warning(
            "the terminal hung up: process %d goes on without a screen, with its stops; look with `tradetui status`, "
            "end it with `kill %d`", os.getpid(), os.getpid(),
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: handle.stop())
        # The screen's own end may hang on the dead terminal; the process must end with the engine all the same.
        threading.Thread(target=_end_with, args=(handle,), name="after hang-up", daemon=True).start()
        return True


def _end_with(handle: RuntimeHandle) -> None:
    handle.wait()
    logging.shutdown()
    os._exit(0 if handle.stopped() is True else 1)


def hang_up_headless(stay: bool, runtime: Callable[[], Runtime | None], stop: Callable[[], Any]) -> None:
    """The same for a run without a screen, on its own loop."""
    if not stay or not runtime_worth_staying(runtime()):
        stop()
        return
    leave_terminal()
    log.warning("hung up: process %d goes on; end it with `kill %d`", os.getpid(), os.getpid())
    sys.stdout.flush()
