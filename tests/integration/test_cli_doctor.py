"""`tradetui doctor` against a running simulator, and without any."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from pathlib import Path

import pytest

from tests.fixtures.program import told
from tradetui.commands.doctor import broker, run_doctor
from tradetui.domain.errors import UsageError
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


def by_name(report: str) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(report)["checks"]}


async def test_a_simulator_on_this_machine_is_green_all_over(tmp_path: Path) -> None:
    async with SimulatorServer(SimOptions()) as sim:
        code, out, err = await asyncio.to_thread(
            told, tmp_path, "doctor", "--json", "--url-main", sim.urls.main
        )
    assert (code, err) == (0, "")
    found = by_name(out)
    assert [name for name, line in found.items() if line["light"] == "red"] == []
    assert found["hosts"]["light"] == "green"
    assert "order" in found["hosts"]["words"]
    assert found["static IP"]["words"] == "our address 127.0.0.1 is registered"
    assert found["token"]["light"] == "green"


def test_without_an_account_the_inner_simulator_is_tried_and_nothing_is_red(tmp_path: Path) -> None:
    code, out, err = told(tmp_path, "doctor", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["ok"], report["red"]) == (True, 0)
    found = by_name(out)
    assert found["world"]["light"] == "yellow"
    assert found["hosts"]["light"] == "green"
    assert {"python", "terminal", "keyring", "token", "clock", "databases", "journal", "disk"} <= set(found)
    assert not (tmp_path / "simulator").exists()


def test_a_simulator_that_is_not_there_is_red_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, out, err = told(tmp_path, "doctor", "--url-main", f"http://127.0.0.1:{port}")
    assert (code, err) == (1, "")
    (line,) = [at for at, text in enumerate(out.splitlines()) if text.startswith("RED")]
    assert "cannot be reached" in out.splitlines()[line]
    assert "tradetui sim" in out.splitlines()[line + 1]


def test_a_wrong_settings_file_is_a_red_line_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[screen]\ncolour = 3\n")
    code, out, err = told(tmp_path, "doctor", "--json")
    assert (code, err) == (1, "")
    found = by_name(out)
    assert found["settings"]["light"] == "red"
    assert "screen.colour" in found["settings"]["words"]
    assert found["disk"]["light"] == "green"


def test_a_token_that_was_announced_has_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="no token"):
        run_doctor(str(tmp_path), token_stdin=True)


async def test_a_host_that_speaks_no_http_is_told(tmp_path: Path) -> None:
    from tradetui.brokers.upstox.hosts import Hosts

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reached = await broker.reach(Hosts(url, url, url.replace("http", "ws"), url))
    assert [one.name for one in reached] == ["main", "order", "feed", "assets"]
    assert all(one.trouble for one in reached)
