"""`tradetui bench soak`: hours of market in minutes with the screen painting; memory and handles have to stay flat.

The workstation runs in a pseudo-terminal against `tradetui sim` (a thin world, sped up), both as their users start
them; all that is painted is read, as a terminal would. Memory and handles are the system's figures of the process.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.control.client import ask
from tradetui.domain.errors import TradeTuiError
from tradetui.simulator.child import SimChild

SPEED: Final = 100.0
SIZE: Final = (120, 40)
SETTLING: Final = 0.15
"""Part of the run, from its beginning, in which buffers still fill."""
SLOPE_MB: Final = 1.0
_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Samples:
    """What a process used, sample by sample.

    Attributes:
        at_s: Real seconds since the first.
        rss_mb: Memory in use.
        handles: Open files, sockets and pipes.
        painted: Bytes that the screen wrote.
        market_s: Exchange seconds that passed.
    """

    at_s: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    painted: int = 0
    market_s: float = 0.0

    def take(self, pid: int, at_s: float) -> None:
        """One sample; nothing when the process has ended."""
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            handles = sum(_counts(path) for path in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return
        line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), None)
        if line is not None:
            self.at_s.append(at_s)
            self.rss_mb.append(int(line.split()[1]) / 1024)
            self.handles.append(handles)

    def settled(self, values: Sequence[float]) -> list[float]:
        """Values without the beginning."""
        return list(values[int(len(values) * SETTLING) :])

    def growth(self, values: Sequence[float]) -> float:
        """By how much the median of the second half is above that of the first."""
        settled = self.settled(values)
        half = len(settled) // 2
        return statistics.median(settled[half:]) - statistics.median(settled[:half])

    def by_hour(self) -> list[float]:
        """Median of the memory in each whole hour of exchange time, MB."""
        hour_s = 3600 * self.at_s[-1] / max(self.market_s, 1.0)
        hours: dict[int, list[float]] = {}
        for at_s, rss in zip(self.at_s, self.rss_mb, strict=True):
            hours.setdefault(int(at_s / hour_s), []).append(rss)
        whole = int(self.market_s // 3600)
        return [statistics.median(values) for hour, values in sorted(hours.items()) if hour < whole]

    @property
    def slope_mb_per_hour(self) -> float:
        """Slope of the memory over exchange time: least squares over the settled part."""
        at, rss = self.settled(self.at_s), self.settled(self.rss_mb)
        per_s = statistics.linear_regression(at, rss).slope
        hours = self.market_s / 3600 / (self.at_s[-1] - self.at_s[0])
        return per_s / hours


def _counts(handle: Path) -> bool:
    """Whether a handle is one that must not multiply; DuckDB keeps its few spill files until it is closed."""
    try:
        return ".duckdb.tmp/" not in str(handle.readlink())
    except OSError:  # closed meanwhile
        return False


def bench(options: BenchOptions) -> Result:
    """Run the benchmark; ``options.seconds`` are real ones.

    Raises:
        TradeTuiError: The program did not start, or ended early.
    """
    if not sys.platform.startswith("linux"):
        raise TradeTuiError("memory is sampled from /proc, which only Linux has")
    samples = soak(options.seconds, SPEED)
    hours = samples.market_s / 3600
    result = Result("soak")
    result.figures.update(
        market_hours=round(hours, 2),
        real_s=round(samples.at_s[-1], 1),
        speed=round(samples.market_s / samples.at_s[-1], 1),
        rss_first_mb=round(samples.settled(samples.rss_mb)[0], 1),
        rss_last_mb=round(samples.rss_mb[-1], 1),
        rss_peak_mb=round(max(samples.rss_mb), 1),
        rss_slope_mb_per_hour=round(samples.slope_mb_per_hour, 3),
        rss_second_half_mb=round(samples.growth(samples.rss_mb), 2),
        handles_growth=samples.growth(samples.handles),
        handles_peak=max(samples.handles),
        painted_kb_s=round(samples.painted / samples.at_s[-1] / 1000, 1),
    )
    for number, median in enumerate(samples.by_hour(), 1):
        result.figures[f"rss_hour_{number}_mb"] = round(median, 1)
    result.limits.update(rss_slope_mb_per_hour=SLOPE_MB, handles_growth=0)
    result.least.update(painted_kb_s=0.1)
    result.notes += [
        f"Slope and growth leave the first {SETTLING:.0%} of the run out, in which buffers fill for the first time.",
        "DuckDB keeps blocks of its own file in the memory it is allowed (128 MB); that counts here.",
    ]
    return result


def soak(lasting_s: float, speed: float, *arguments: str) -> Samples:
    """Run the workstation with its screen for so many real seconds on a thin world at a speed.

    Args:
        lasting_s: Real seconds, counted from the first frame.
        speed: Exchange seconds in a real one.
        *arguments: More flags of ``tradetui sim``.

    Raises:
        TradeTuiError: Something did not start, or ended early.
    """
    sim = SimChild(["--auto-approve", "--jump-to-open", "--variant=thin", f"--speed={speed:g}", *arguments])
    try:
        with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as home:
            return _watched(Path(home), sim.urls.main, lasting_s)
    finally:
        sim.stop()


def _watched(home: Path, main: str, lasting_s: float) -> Samples:
    samples = Samples()
    with _screen("run", "--home", str(home), "--url-main", main) as (child, fd):
        first_ns = _up(home, child, fd)
        began_s = time.monotonic()
        next_s, last_ns = 0.0, first_ns
        while (now_s := time.monotonic() - began_s) < lasting_s:
            samples.painted += len(_read(fd, 0.05))
            if now_s >= next_s:
                samples.take(child.pid, now_s)
                next_s += _EVERY_S
            if child.poll() is not None:
                raise TradeTuiError(f"the program ended by itself with {child.returncode}")
        last_ns = _market_ns(home, child, fd)
        samples.market_s = (last_ns - first_ns) / 1e9
    return samples


def _up(home: Path, child: subprocess.Popen[bytes], fd: int) -> int:
    """Wait until frames come; the exchange's time then, UTC ns."""
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s and child.poll() is None:
        _read(fd, 0.1)
        try:
            status = ask(home, "status")
        except TradeTuiError:
            continue
        if status["feed"] == "up":
            return _market_ns(home, child, fd)
    raise TradeTuiError("the workstation did not come up")


def _market_ns(home: Path, child: subprocess.Popen[bytes], fd: int) -> int:
    """The exchange's time, as the running engine has it."""
    from datetime import datetime

    _read(fd, 0.0)
    moment = datetime.fromisoformat(str(ask(home, "status")["time"]))
    return round(moment.timestamp() * 1e9)


@contextmanager
def _screen(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`tradetui` in a pseudo-terminal."""
    outer, inner = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradetui", *arguments],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        },
        start_new_session=True,
    )
    os.close(inner)
    try:
        yield child, outer
    finally:
        # Read on while it ends: a full terminal would hold it up.
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        end_s = time.monotonic() + _PATIENCE_S
        while child.poll() is None and time.monotonic() < end_s:
            _read(outer, 0.05)
        if child.poll() is None:
            child.kill()
        child.wait()
        os.close(outer)


def _read(fd: int, seconds: float) -> bytes:
    """What was painted meanwhile; empty when nothing was, or the program has gone."""
    if not select.select([fd], [], [], seconds)[0]:
        return b""
    try:
        return os.read(fd, 65_536)
    except OSError:
        return b""
