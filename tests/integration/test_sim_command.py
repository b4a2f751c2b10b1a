"""`tradetui sim` as a process: the ready line, and every way to end it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.simulated import write_recording
from tradetui.commands.sim import sim_from_flags

END_S = 20


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def start(started: list[subprocess.Popen[str]], *flags: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tradetui", "sim", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    return process


def ready(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def test_it_prints_one_line_serves_and_ends_on_sigterm(
    started: list[subprocess.Popen[str]], recording: Path
) -> None:
    process = start(started, "--replay", str(recording), "--auto-approve", "--fault", "delay:ms=1")
    told = ready(process)
    assert set(told) == {
        "main", "order", "feed", "assets", "api_key", "api_secret", "redirect_uri", "control",
    }  # fmt: skip
    assert told["feed"].startswith("ws://127.0.0.1:")
    with urllib.request.urlopen(told["control"] + "/faults", timeout=END_S) as answer:
        assert json.load(answer)["active"]["delay"]["ms"] == 1
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=END_S)
    assert (process.returncode, out, err) == (0, "", "")


def test_it_ends_with_its_parent(started: list[subprocess.Popen[str]], recording: Path) -> None:
    process = start(started, "--replay", str(recording), "--until-stdin-closes")
    ready(process)
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=END_S) == 0


def test_it_ends_on_interrupt_even_while_a_client_hangs(
    started: list[subprocess.Popen[str]], recording: Path
) -> None:
    process = start(started, "--replay", str(recording), "--fault", "hang")
    told = ready(process)
    port = int(told["main"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /v2/user/profile HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with urllib.request.urlopen(told["control"] + "/state", timeout=END_S) as answer:
            assert json.load(answer)["world"] == "replay"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=END_S) == 0


def test_a_port_in_use_is_one_line_and_exit_code_one(
    started: list[subprocess.Popen[str]], recording: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port > 65_000:
            pytest.skip("no room above the port that was picked")
        process = start(started, "--replay", str(recording), "--port", str(port))
        out, err = process.communicate(timeout=END_S)
    assert (process.returncode, out) == (1, "")
    assert err.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is in use" in err


@pytest.mark.parametrize(
    ("flags", "needle"),
    [
        ({"speed": "fast"}, "not a speed"),
        ({"faults": ("nope",)}, "no fault named"),
        ({"replay": Path("nowhere")}, "no such recording"),
        ({"port": 80}, "not a usable port"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    flags: dict[str, Any], needle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    usual: dict[str, Any] = {
        "port": 0, "auto_approve": False, "jump_to_open": False, "seed": 1, "variant": "full", "replay": None, "bars": None,
        "speed": "1", "faults": (), "day": None, "cash": 1_000_000, "instruments": None, "state": None, "until_stdin_closes": False,
    }  # fmt: skip
    assert sim_from_flags(**{**usual, **flags}) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert needle in told.err
    assert told.err.count("\n") == 1
