"""The inner simulator of `tradetui run`: the same `tradetui sim`, as a child process (ADR 0005).

A process of its own shares nothing with the engine but the sockets, so it can neither slow the engine down nor
be a short cut. It ends when our end of its standard input closes, even if we are killed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tradetui.domain.errors import TradeTuiError

READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class SimUrls:
    """Base URLs of the running simulator."""

    main: str
    order: str
    feed: str
    assets: str
    control: str


class SimChild:
    """A running inner simulator.

    Args:
        arguments: Flags of ``tradetui sim``.

    Raises:
        TradeTuiError: It did not come up; the words say why.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "tradetui", "sim", *arguments, "--until-stdin-closes"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        # A child that hangs at start must not hang us.
        timer = threading.Timer(READY_TIMEOUT_S, self._process.kill)
        timer.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        try:
            ready: Mapping[str, Any] = json.loads(line)
            self.urls = SimUrls(
                *(str(ready[name]) for name in ("main", "order", "feed", "assets", "control"))
            )
        except (ValueError, KeyError) as error:
            assert self._process.stderr is not None
            self._process.kill()
            said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            raise TradeTuiError(
                f"the inner simulator did not start: {said[-1] if said else 'no reason given'}",
                "try `tradetui sim` by itself to see what it says",
            ) from error
        # Nobody reads its words from here on; a full pipe must not stop it.
        self._drains = [
            threading.Thread(target=_drain, args=(pipe,), daemon=True)
            for pipe in (self._process.stdout, self._process.stderr)
        ]
        for drain in self._drains:
            drain.start()

    def fault(self, name: str, args: Mapping[str, object]) -> str:
        """Switch a fault (``none`` lifts all, ``list`` only names them); returns what happened, in words."""
        asked = None if name == "list" else json.dumps({"name": name, "args": dict(args)}).encode()
        request = Request(  # noqa: S310 - loopback, our own child
            f"{self.urls.control}/faults", asked, {"Content-Type": "application/json"}
        )
        try:
            with urlopen(request, timeout=3) as answer:  # noqa: S310 - as above
                return _told(name, json.loads(answer.read()))
        except HTTPError as error:
            with contextlib.suppress(OSError, ValueError):
                return _refusal(json.loads(error.read()))
            return f"the simulator refused the fault {name}: {error}"
        except (OSError, ValueError) as error:
            return f"the simulator refused the fault {name}: {error}"

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it: gently first."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for drain in self._drains:
            drain.join(_STOP_TIMEOUT_S)


def _drain(pipe: Any) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        while pipe.read(65_536):
            pass


def _told(name: str, listing: Mapping[str, Any]) -> str:
    """The switchboard's answer in words."""
    active = listing.get("active", {})
    on = f"on now: {', '.join(active)}" if active else "no fault is on"
    if name == "list":
        return f"faults: {', '.join(listing.get('known', ()))}; {on}"
    if name == "none" or name in active:
        return on
    return f"fault {name}: {'switched off' if name not in listing.get('strikes', {}) else 'done, once'}; {on}"


def _refusal(answer: Mapping[str, Any]) -> str:
    """The control URL's words for a name or an argument it does not know."""
    return str(answer.get("error") or "the simulator refused the fault")
