"""``bench ingest --ui``: the same frames, into a process that paints the workstation's screen ten times a second.

The child is the real screen with the real runtime on its own thread, in a pseudo-terminal whose output this side reads.
It is started as ``python -m tradetui.commands.bench.screen OPTIONS MAIN IN OUT``: options as JSON, the server's address,
and two pipes: it says when it has its snapshots, is told the schedule, and says at the end what it measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.ingest import PATIENCE_S, SETTLE_S, Meter, Server, parts_at, stretch
from tradetui.commands.bench.report import Result
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import Parts

LIMITS: Final = {"dropped": 0.0, "tick_to_state_p99_ms": 20.0, "process_cpu_pct": 60.0}
"""What the figures must not exceed."""
LEAST: Final = {"paints_per_s": 9.0}
"""What the figures must reach: a screen that does not keep its pace is no load."""
SIZE: Final = (160, 50)
WATCHED: Final = 48
HZ: Final = 10.0


# --- this side ----------------------------------------------------------------------------------------


def bench(options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: The server or the screen did not start, or the frames never came.
    """
    server = Server(options, prepared=True)
    try:
        with _Child(options, server.main) as child:
            child.wait()
            to_monotonic_ns = server.begin()
            child.tell(
                {"to_monotonic_ns": to_monotonic_ns, "start_ns": server.start_ns, "frame_ns": server.frame_ns}
            )
            written, began = child.written, time.monotonic()
            figures = child.wait()
            figures["screen_kb_per_s"] = (child.written - written) / 1e3 / (time.monotonic() - began)
    finally:
        server.stop()
    result = Result("ingest-ui", figures, limits=dict(LIMITS), least=dict(LEAST))
    result.notes.append(
        f"The screen is {SIZE[0]} by {SIZE[1]} characters, {WATCHED} instruments watched, {HZ:g} Hz."
    )
    return result


class _Child:
    """The process with the screen; its output is read all the time, or it would stand still."""

    def __init__(self, options: BenchOptions, main: str) -> None:
        self.written = 0
        outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        mine_in, theirs_out = os.pipe()
        theirs_in, mine_out = os.pipe()
        given = json.dumps({**asdict(options), "save": None})
        self._tail = b""
        self._outer = outer
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-m",
                "tradetui.commands.bench.screen",
                given,
                main,
                str(theirs_in),
                str(theirs_out),
            ],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            pass_fds=(theirs_in, theirs_out),
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )
        for fd in (inner, theirs_in, theirs_out):
            os.close(fd)
        self._answers = os.fdopen(mine_in, encoding="utf-8")
        self._orders = os.fdopen(mine_out, "w", encoding="utf-8")
        threading.Thread(target=self._read, name="terminal", daemon=True).start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._orders, self._answers):
            with contextlib.suppress(OSError):
                file.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._outer)

    def wait(self) -> dict[str, float]:
        """What the child says next.

        Raises:
            TradeTuiError: It ended, or says that something failed.
        """
        line = self._answers.readline()
        if not line:
            words = self._tail.decode(errors="replace").strip()[-300:]
            raise TradeTuiError(f"the screen of the benchmark ended: {words}")
        answer = json.loads(line)
        if "error" in answer:
            raise TradeTuiError(str(answer["error"]))
        found: dict[str, float] = answer
        return found

    def tell(self, words: dict[str, float]) -> None:
        """Say something to the child."""
        self._orders.write(json.dumps(words) + "\n")
        self._orders.flush()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self._outer, 1 << 16):
                self.written += len(piece)
                self._tail = (self._tail + piece)[-2_000:]


# --- the child ----------------------------------------------------------------------------------------


class _Pace:
    """The server's schedule, as the child was told it."""

    def __init__(self, start_ns: float, frame_ns: float) -> None:
        self.start_ns, self.frame_ns = start_ns, frame_ns


class _Painter(Protocol):
    """The screen, as far as it is measured."""

    paints: int

    def leave(self) -> None:
        """End it."""

    def call_from_thread(self, callback: Callable[[], object]) -> object:
        """Call on the screen's thread."""


async def _conduct(
    options: BenchOptions, meter: Meter, runtime: Runtime, pipes: tuple[IO[str], IO[str]], app: _Painter
) -> None:
    """Say when the snapshots are there, wait for the schedule, measure, say what was measured, and end the screen."""
    orders, answers = pipes

    def answer(words: dict[str, Any]) -> None:
        answers.write(json.dumps(words) + "\n")
        answers.flush()

    try:
        await runtime.started.wait()
        async with asyncio.timeout(PATIENCE_S):
            while meter.snapshots < options.instruments:  # noqa: ASYNC110 - an event a frame would cost
                await asyncio.sleep(0.02)
        answer({"ready": 1})
        told = json.loads(await asyncio.to_thread(orders.readline))
        meter.exchange_to_monotonic_ns = int(told["to_monotonic_ns"])
        await asyncio.sleep(SETTLE_S)
        paints, began = app.paints, time.monotonic()
        never: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(86_400))
        pace = _Pace(told["start_ns"], told["frame_ns"])
        figures = await stretch(options.seconds, meter, runtime, never, pace)
        never.cancel()
        figures["paints_per_s"] = (app.paints - paints) / (time.monotonic() - began)
        figures["process_cpu_pct"] = figures.pop("engine_cpu_pct")
        answer(figures)
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
    app.call_from_thread(app.leave)


def _run(options: BenchOptions, main: str, heard: int, said: int) -> None:
    from tradetui.domain.view import Handle
    from tradetui.tui.app import TradeApp, UiSettings

    meter = Meter()
    orders, answers = os.fdopen(heard, encoding="utf-8"), os.fdopen(said, "w", encoding="utf-8")
    held: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    class Counted(TradeApp):
        """The screen; counts how often it was painted."""

        paints = 0

        def paint(self, *, force: bool = True) -> int:
            """Paint, and count it."""
            self.paints += 1
            return super().paint(force=force)

    def start() -> Handle:
        from tradetui.runtime.handle import RuntimeHandle

        stack = contextlib.AsyncExitStack()

        async def make() -> Parts:
            parts = await stack.enter_async_context(parts_at(options, folder, main, meter))
            parts.watch.extend(parts.universe.instruments[:WATCHED])
            parts.cleanup.append(stack.aclose)
            return parts

        def prepare(runtime: Runtime) -> None:
            runtime.listeners.append(meter.heard)
            tasks.append(
                asyncio.get_running_loop().create_task(
                    _conduct(options, meter, runtime, (orders, answers), app)
                )
            )

        handle = RuntimeHandle(make, deque(), prepare)
        held.append(handle)
        handle.start()
        return handle

    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as name:
        folder = Path(name)
        app = Counted(start, UiSettings(hz=HZ))
        app.run(mouse=True)
        for handle in held:
            handle.stop()
            handle.join(10.0)


if __name__ == "__main__":
    _run(BenchOptions(**json.loads(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
