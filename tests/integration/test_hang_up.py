"""A terminal that goes away: the engine stays with what it has to look after, and ends when it has nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.processes import (
    PATIENCE_S,
    Exchange,
    Run,
    environment,
    exchange,
    process_gone,
    run,
    tail,
    until,
)

pytestmark = pytest.mark.timeout(180)

_IN_TERMINAL = (
    "import fcntl, runpy, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "sys.argv[0] = 'tradetui'; runpy.run_module('tradetui', run_name='__main__', alter_sys=True)"
)


class Window:
    """A terminal window with a run in it, which can be closed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._open = True
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        while self._open:
            ready, _, _ = select.select([self._fd], [], [], 0.1)
            if ready and self._open:
                with contextlib.suppress(OSError):
                    os.read(self._fd, 65_536)

    def close(self) -> None:
        """The window is closed: the kernel hangs up on whoever has it as its terminal."""
        if self._open:
            self._open = False
            self._reader.join(5)
            os.close(self._fd)


@contextlib.contextmanager
def in_window(home: Path, sim: Exchange, *flags: str) -> Iterator[tuple[Run, Window]]:
    """`tradetui run` with its screen, in a terminal of its own."""
    master, inner = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _IN_TERMINAL, "run", "--home", str(home), "--url-main", sim.main, *flags],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environment(TERM="xterm-256color"),
        cwd=REPO_ROOT,
        start_new_session=True,
    )
    os.close(inner)
    (home / "said.txt").touch()
    window, engine = Window(master), Run(home, process)
    try:
        yield engine.until_up(), window
    finally:
        process.kill()
        process.wait(20)
        window.close()
        engine.close()


def test_closed_window_leaves_the_engine_running_with_its_stop(tmp_path: Path) -> None:
    with exchange() as sim, in_window(tmp_path, sim) as (engine, window):
        sim.hold(10)
        stop = sim.stop(10)
        engine.until_exposed(2)
        window.close()
        until(lambda: "goes on without a screen" in tail(tmp_path), "it is written down")
        beats = engine.seen().beats
        until(lambda: engine.seen().beats > beats + 20, "the loop goes on turning")
        assert sim.status(stop) == "trigger pending"
        entry = sim.rest()
        engine.until_exposed(3)
        engine.signal(signal.SIGUSR1)
        until(lambda: sim.status(entry) == "cancelled", "it can still be told to stop trading")
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0
        assert sim.status(stop) == "trigger pending", "stops stay at the broker"


def test_closed_window_with_nothing_open_ends_the_run(tmp_path: Path) -> None:
    with exchange() as sim, in_window(tmp_path, sim) as (engine, window):
        window.close()
        engine.process.wait(PATIENCE_S)
        assert engine.seen().holder.words == "nobody", "ended in good order"


def test_closed_window_while_rehearsing_live_keeps_engine_and_watchdog(tmp_path: Path) -> None:
    with exchange() as sim, in_window(tmp_path, sim, "--live") as (engine, window):
        window.close()
        until(lambda: "goes on without a screen" in tail(tmp_path), "it stays though nothing is open")
        beats = engine.seen().beats
        until(lambda: engine.seen().beats > beats + 20, "the loop goes on turning")
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0


def test_hang_up_of_a_run_without_screen(tmp_path: Path) -> None:
    with exchange() as sim:
        with run(tmp_path, sim) as engine:
            sim.rest()
            engine.until_exposed(1)
            engine.signal(signal.SIGHUP)
            until(lambda: "hung up" in tail(tmp_path), "it is written down")
            assert not process_gone(engine.process.pid)
            engine.signal(signal.SIGTERM)
            assert engine.wait() == 0
        with run(tmp_path / "other", sim) as engine:
            sim_entry = sim.working()
            for order in sim_entry:
                sim.call("DELETE", f"{sim.told['order']}/v3/order/cancel?order_id={order}")
            engine.until_exposed(0)
            engine.signal(signal.SIGHUP)
            assert engine.wait() == 0, "nothing is open: it ends"
