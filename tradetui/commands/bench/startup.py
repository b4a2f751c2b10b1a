"""``bench startup``: how long until ``--help`` has ended, and until ``run`` has painted; and where it goes.

Fresh processes each time; ours and the bare ones take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.errors import TradeTuiError

LIMITS: Final = {"help_ms": 150.0, "first_paint_ms": 1000.0}
"""What the figures must not exceed."""
SIZE: Final = (120, 40)
PAINTED: Final = 400
"""Printable characters after which a screen counts as painted; the frame of ours has over a thousand."""
_HELP_ROUNDS: Final = 9
_PAINT_ROUNDS: Final = 5
_SHOWN: Final = 8
_PATIENCE_S: Final = 30.0
_EMPTY_APP: Final = "from textual.app import App\nApp().run()"
_IMPORT = re.compile(rb"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)")
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][A-B0]|[=>78])"
)
_ALTERNATE: Final = b"\x1b[?1049h"
"""Switches to the screen of full-screen programs."""


def bench(_options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: The program did not start or did not paint.
    """
    result = Result("startup", limits=dict(LIMITS))
    ours, bare = [], []
    for _ in range(_HELP_ROUNDS):
        bare.append(process_ms(["-c", "pass"]))
        ours.append(process_ms(["-m", "tradetui", "--help"]))
    result.figures["help_ms"] = statistics.median(ours)
    result.figures["help_min_ms"] = min(ours)
    result.bounds["bare_python_ms"] = statistics.median(bare)
    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as home:
        run = ["-m", "tradetui", "run", "--home", home]
        ours, bare = [], []
        for _ in range(_PAINT_ROUNDS):
            bare.append(first_paint_ms(["-c", _EMPTY_APP], painted=0)[0])
            ours.append(first_paint_ms(run)[0])
        result.figures["first_paint_ms"] = statistics.median(ours)
        result.figures["first_paint_min_ms"] = min(ours)
        result.bounds["empty_textual_app_ms"] = statistics.median(bare)
        paint_log = first_paint_ms(["-X", "importtime", *run])[1]
    help_log = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tradetui", "--help"], capture_output=True, check=True
    ).stderr
    for name, log in (("help", help_log), ("paint", paint_log)):
        spent = import_ms(log)
        result.figures[f"{name}_imports_ms"] = sum(spent.values())
        for package in sorted(spent, key=lambda one: -spent[one])[:_SHOWN]:
            result.figures[f"{name}_import_{package}_ms"] = spent[package]
    return result


def process_ms(arguments: Sequence[str]) -> float:
    """How long a fresh Python takes from start to end, ms.

    Raises:
        TradeTuiError: It failed.
    """
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise TradeTuiError(f"{' '.join(arguments)} ended with {done.returncode}")
    return took * 1000


def first_paint_ms(arguments: Sequence[str], painted: int = PAINTED) -> tuple[float, bytes]:
    """How long a fresh Python takes from start to its first painted screen in a pseudo-terminal, ms.

    Args:
        arguments: What Python runs.
        painted: Printable characters on the screen that count as painted; 0 for switching to the screen.

    Returns:
        The time, and everything that was written until then.

    Raises:
        TradeTuiError: It ended, or nothing was painted.
    """
    outer, inner = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    began = time.perf_counter()
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    try:
        seen = b""
        while not is_painted(seen, painted):
            piece = _read(outer, began + _PATIENCE_S - time.perf_counter())
            if not piece:
                said = _ESCAPES.sub(b"", seen).decode(errors="replace").strip().splitlines()
                raise TradeTuiError(f"nothing was painted: {said[-1] if said else 'no output'}")
            seen += piece
        return (time.perf_counter() - began) * 1000, seen
    finally:
        _end(child, outer)


def is_painted(seen: bytes, painted: int) -> bool:
    """Whether a full-screen program has put so many printable characters on its screen."""
    _, switched, after = seen.partition(_ALTERNATE)
    if not switched:
        return False
    return len(_ESCAPES.sub(b"", after)) >= painted


def _read(fd: int, seconds: float) -> bytes:
    """The next piece of output; empty when the child has gone or took too long."""
    if not select.select([fd], [], [], max(0.0, seconds))[0]:
        return b""
    try:
        return os.read(fd, 65_536)
    except OSError:
        return b""


def _end(child: subprocess.Popen[bytes], fd: int) -> None:
    """End a full-screen program: gently, reading what it still writes, since a full terminal would hold it up."""
    child.send_signal(signal.SIGTERM)
    deadline = time.perf_counter() + 5
    while child.poll() is None and time.perf_counter() < deadline:
        _read(fd, 0.05)
    if child.poll() is None:
        child.kill()
    child.wait()
    os.close(fd)


def import_ms(log: bytes) -> dict[str, float]:
    """Milliseconds by package that ``-X importtime`` reports: each module's own time, added up by its package."""
    return by_package((name.decode(), int(own)) for own, _, name in _IMPORT.findall(log))


def by_package(modules: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Own microseconds of modules as milliseconds of their packages; the standard library is one of them."""
    spent: defaultdict[str, float] = defaultdict(float)
    for name, own_us in modules:
        top = name.partition(".")[0]
        spent["stdlib" if top in sys.stdlib_module_names or top.startswith("_") else top] += own_us / 1000
    return dict(spent)
