"""A real terminal for tests: tmux with a server of its own, typed into and read like a person would."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.05


def tmux_missing() -> str:
    """Why tmux cannot be used; empty when it can."""
    return "" if shutil.which("tmux") else "tmux is not installed (scripts/test-setup.sh installs it)"


class Terminal:
    """A terminal of a given size that runs one command after another.

    Args:
        width, height: Size in cells.
        artefacts: Folder for captures.
        environment: Variables for the commands.
    """

    def __init__(self, width: int, height: int, artefacts: Path, environment: dict[str, str]) -> None:
        self._socket = f"tt-{uuid.uuid4().hex[:8]}"
        self._artefacts = artefacts
        self._count = 0
        self.exits = 0
        artefacts.mkdir(parents=True, exist_ok=True)
        shell = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), "sh"]
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), shlex.join(shell)
        )
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self._tmux("set-option", "-g", "history-limit", "5000")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.keep("failed")
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], check=True, capture_output=True, text=True, timeout=20
        )
        return done.stdout

    def run(self, command: Sequence[str]) -> None:
        """Type a shell command; its exit code is printed when it ends."""
        self.exits += 1
        self.type(f"clear; {shlex.join(command)}; echo ended-{self.exits}-code-$?")
        self.press("Enter")

    def type(self, text: str) -> None:
        """Type characters."""
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press named keys: ``Enter``, ``F9``, ``Tab``."""
        self._tmux("send-keys", *keys)

    def text(self) -> str:
        """What the terminal shows."""
        return self._tmux("capture-pane", "-p")

    def keep(self, name: str) -> str:
        """Keep what the terminal shows as an artefact; return it."""
        self._count += 1
        text = self.text()
        (self._artefacts / f"{self._count:02d}-{name}.txt").write_text(text, encoding="utf-8")
        coloured = self._tmux("capture-pane", "-p", "-e")
        (self._artefacts / f"{self._count:02d}-{name}.ansi").write_text(coloured, encoding="utf-8")
        return text

    def until(self, condition: Callable[[str], bool], what: str, timeout_s: float = 40.0) -> str:
        """Wait until the terminal shows something; return it.

        Raises:
            AssertionError: It never did; the message has the last screen.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            text = self.text()
            if condition(text):
                return text
            if time.monotonic() > deadline:
                raise AssertionError(f"not seen within {timeout_s:g} s: {what}\n{text}")
            time.sleep(POLL_S)

    def press_until(self, key: str, condition: Callable[[str], bool], tries: int = 10) -> bool:
        """Press a key, give it a second to work, and try again if it did not."""
        for _ in range(tries):
            self.press(key)
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                if condition(self.text()):
                    return True
                time.sleep(POLL_S)
        return False

    def until_ended(self, timeout_s: float = 30.0) -> int:
        """Wait for the running command to end; return its exit code."""
        mark = f"ended-{self.exits}-code-"
        text = self.until(lambda shown: f"\n{mark}" in f"\n{shown}", "the command to end", timeout_s)
        line = next(line for line in text.splitlines() if line.startswith(mark))
        return int(line.removeprefix(mark))


def environment(home: Path) -> dict[str, str]:
    """A clean environment with a home of its own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "tmux-256color",
        "COLORTERM": "truecolor",
        # No desktop session: the keyring must not be somebody's real one.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
