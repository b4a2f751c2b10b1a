"""The watchdog as the engine sees it: a child that outlives its parent."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from typing import Final

from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.wiring.hand_over import HandOver, token_data

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0
_END_S: Final = 3.0


class WatchdogProcess:
    """Keeps a watchdog running for as long as the engine runs.

    It is a session of its own, so that neither a hang-up of the terminal nor the end of our process group takes
    it along, and it gets the login over a pipe that only the two of us hold.

    Args:
        hand_over: What it needs to know.
    """

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._token = hand_over.token
        self._start()
        threading.Thread(target=self._keep, name="watchdog keeper", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id; 0 when it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def use_token(self, token: AccessToken) -> None:
        """Hand over a new login."""
        with self._lock:
            self._token = token
            self._say(json.dumps(token_data(token)).encode() + b"\n")

    def close(self) -> None:
        """Wait for its end: it goes by itself when the lease is given back. Else it stays, and watches."""
        self._closing.set()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _start(self) -> None:
        with self._lock:
            self._process = subprocess.Popen(
                # Past the command table: its libraries are twice the size of what watches.
                [sys.executable, "-m", "tradetui.commands.watchdog"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._say(self._hand_over.line())
            if self._token is not self._hand_over.token:
                self._say(json.dumps(token_data(self._token)).encode() + b"\n")

    def _say(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError as error:
            log.error("the watchdog cannot be told: %s", error.strerror)  # noqa: TRY400 - words say it all

    def _keep(self) -> None:
        """Start it again if somebody ends it while we run."""
        while not self._closing.is_set():
            process = self._process
            assert process is not None
            code = process.wait()
            if code == 0 or self._closing.wait(_AGAIN_S):
                return  # the lease was given back, or taken: it is not needed
            log.error("the watchdog ended by itself (code %d); starting another", code)
            self._start()
