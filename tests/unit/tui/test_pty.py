"""The screen in a pseudo-terminal: what is typed in one burst lands where it was meant."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import REPO_ROOT

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;:?<=>]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][A-B0]|[=>78])"
)


class Terminal:
    """A child in a pseudo-terminal, read until something is seen."""

    def __init__(self, child: subprocess.Popen[bytes], fd: int) -> None:
        self.child = child
        self.fd = fd
        self.raw = b""

    def write(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    def plain(self) -> str:
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    def pump(self, seconds: float) -> bool:
        """Read once; whether the child still has the terminal open."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        return bool(data)

    def until(self, *words: str, seconds: float = 20.0) -> None:
        """Read until all words were written since the last call of `forget`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if all(word in self.plain() for word in words):
                return
            if not self.pump(0.05):
                break
        missing = [word for word in words if word not in self.plain()]
        raise AssertionError(f"never shown: {missing}; last: {self.plain()[-800:]!r}")

    def forget(self) -> None:
        self.raw = b""

    def ended(self, seconds: float = 15.0) -> int:
        """Read to the end; the child's exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.pump(0.02)
            code = self.child.poll()
            if code is not None:
                while select.select([self.fd], [], [], 0.05)[0] and self.pump(0):
                    pass
                return code
        raise AssertionError(f"did not end; last: {self.plain()[-800:]!r}")


@contextmanager
def terminal(*args: str, size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    fd, inner = pty.openpty()
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fixtures.fake_handle", *args],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=REPO_ROOT,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(inner)
    made = Terminal(child, fd)
    try:
        yield made
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        os.close(fd)


@contextmanager
def running(size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    """The screen with prices on it and RELIANCE selected."""
    with terminal(size=size) as term:
        term.until("[SIM]", "RELIANCE", "F12", "KILL")
        term.write(b":reliance\r")
        term.until("3 RELIANCE", "TBQ")
        term.forget()
        yield term


def test_a_ticket_typed_in_one_read_is_reviewed_with_every_digit() -> None:
    with running() as term:
        term.write(b"b75\r")
        term.until("BUY 75 RELIANCE LIMIT", "SEND BUY")


def test_send_in_the_same_read_as_the_review_does_not_send() -> None:
    with running() as term:
        term.write(b"b75\r\x1b[20~")
        term.until("BUY 75 RELIANCE LIMIT", "not sent")
        assert "sent: BUY" not in term.plain().replace("not sent", "")


def test_a_whole_round_trip_by_keyboard() -> None:
    with running() as term:
        term.write(b"b10\r")
        term.until("SEND BUY")
        term.write(b"\x1b[20~")
        term.until("filled 10", "Positions 1", "+10")
        term.forget()
        term.write(b"s10\r")
        term.until("SEND SELL", "closes 10")
        term.write(b"\x18")  # Ctrl+X, the other send key
        term.until("Positions 0", "flat")
        term.write(b"q")
        assert term.ended() == 0


def test_fields_typed_in_one_read_keep_their_order() -> None:
    with running() as term:
        term.write(b"b12@100\x15150.5\t\t\r")
        term.until("BUY 12 RELIANCE LIMIT 150.50")


def test_a_bracketed_paste_fires_no_hot_key() -> None:
    with running() as term:
        term.write(b"\x1b[200~bs75\rq\x1b[201~")
        term.until("paste ignored")
        assert "Ticket" not in term.plain()


def test_a_plain_paste_of_many_keys_is_dropped() -> None:
    with running() as term:
        term.write(b"jkjkjkjkjkjkjkjkjkbs")
        term.until("burst of keys was dropped")
        assert "Ticket" not in term.plain()


def test_the_terminal_is_restored_after_quitting() -> None:
    with running() as term:
        term.write(b"q")
        assert term.ended() == 0
        assert b"\x1b[?1049l" in term.raw
        assert b"\x1b[?25h" in term.raw


def test_ctrl_c_twice_quits() -> None:
    with running() as term:
        term.write(b"\x03")
        term.until("Ctrl+C again")
        term.write(b"\x03")
        assert term.ended() == 0
        assert b"\x1b[?1049l" in term.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(number: int) -> None:
    with running() as term:
        term.child.send_signal(number)
        assert term.ended() == 0
        assert b"\x1b[?1049l" in term.raw


def test_an_engine_that_does_not_start_leaves_a_message_and_exit_code_1() -> None:
    with terminal("--fail") as term:
        term.until("port 8765 is in use", "Nothing runs, nothing was changed")
        term.write(b"q")
        assert term.ended() == 1
