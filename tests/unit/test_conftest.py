"""The guards that every other test relies on."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.conftest import is_loopback

# Addresses set aside for documentation (RFC 5737, RFC 2606): nobody answers there.
FOREIGN = "192.0.2.1"
FOREIGN_NAME = "feed.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        (FOREIGN, False),
        ("0.0.0.0", False),
        (FOREIGN_NAME, False),
        ("127.0.0.1.example", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_connection_to_another_machine_is_refused_and_remembered(network_guard: object) -> None:
    attempts: list[str] = network_guard.attempts  # type: ignore[attr-defined]
    with socket.socket() as plain, pytest.raises(ConnectionError, match="loopback only"):
        plain.connect((FOREIGN, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as datagram, pytest.raises(ConnectionError):
        datagram.sendto(b"x", (FOREIGN, 53))
    with pytest.raises(ConnectionError):
        socket.getaddrinfo(FOREIGN_NAME, 443)
    assert attempts == [f"{FOREIGN}:80", f"{FOREIGN}:53", FOREIGN_NAME]
    attempts.clear()  # else this test would fail for it, as any other does


def test_uvloop_is_guarded_too(network_guard: object) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this platform")
    attempts: list[str] = network_guard.attempts  # type: ignore[attr-defined]

    async def reach_out() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(asyncio.Protocol, FOREIGN, 80)

    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(ConnectionError, match="loopback only"),
    ):
        runner.run(reach_out())
    assert attempts == [FOREIGN]
    attempts.clear()


async def test_loopback_stays_open() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def test_the_environment_is_clean_and_home_is_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not [name for name in os.environ if name.startswith("TRADETUI_")]
    assert Path.home().is_relative_to(tmp_path_factory.getbasetemp())
