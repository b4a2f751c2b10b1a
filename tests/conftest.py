"""What every test runs under: a clean environment, a home of its own, and no network but loopback."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPO_ROOT = Path(__file__).resolve().parent.parent

# A shared machine is slow in bursts, so an example has no deadline of its own (the test's time-out holds);
# a failure prints how to repeat it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


class NonLoopbackConnection(ConnectionError):
    """A test tried to reach another machine."""


class NetworkGuard:
    """Refuses and remembers every attempt to reach anything but loopback while it is armed.

    It listens to the interpreter's audit events, so it sees every user of the `socket` module, in whichever
    thread. An audit hook cannot be taken out again, hence `armed`.
    """

    def __init__(self) -> None:
        self.armed = False
        self.attempts: list[str] = []

    def refuse(self, target: str) -> None:
        """Remember an attempt and raise."""
        self.attempts.append(target)
        raise NonLoopbackConnection(f"tests may talk to loopback only, not to {target}")

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        """Handle one audit event; see the table of audit events in the Python documentation."""
        if not self.armed or not event.startswith("socket."):
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = args[1]
            if isinstance(address, tuple) and not is_loopback(str(address[0])):
                self.refuse(f"{address[0]}:{address[1]}")
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = args[0].decode() if isinstance(args[0], bytes) else args[0]
            if isinstance(host, str) and not (is_literal(host) or is_loopback(host)):
                self.refuse(host)


def is_literal(host: str) -> bool:
    """Tell whether `host` is an address already, so that resolving it asks nobody."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether `host` can only mean this machine."""
    if host in ("", "localhost", socket.gethostname()):
        return True
    return is_literal(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback


_GUARD = NetworkGuard()
sys.addaudithook(_GUARD.hook)


@pytest.fixture(autouse=True)
def network_guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkGuard]:
    """Fail the test that reaches for another machine, even where the code swallows the error."""
    _GUARD.attempts.clear()
    _guard_uvloop(monkeypatch)
    _GUARD.armed = True
    yield _GUARD
    _GUARD.armed = False
    if _GUARD.attempts:
        pytest.fail(f"connection attempted to: {', '.join(_GUARD.attempts)}")


def _guard_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard uvloop too: it opens connections in C, without an audit event."""
    try:
        import uvloop
    except ImportError:
        return
    connect = uvloop.Loop.create_connection

    async def guarded(
        self: object, factory: object, host: object = None, *args: object, **kw: object
    ) -> object:
        if isinstance(host, str) and not is_loopback(host):
            _GUARD.refuse(host)
        return await connect(self, factory, host, *args, **kw)  # type: ignore[call-overload]

    monkeypatch.setattr(uvloop.Loop, "create_connection", guarded)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Take our own settings and any proxy out of the environment; point the user's folders elsewhere."""
    for name in list(os.environ):
        if name.startswith("TRADETUI_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded market data beside the repository, or a skip that says so."""
    folder = REPO_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("recorded market data (../shared/data, beside the repository) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The repository's root."""
    return REPO_ROOT
