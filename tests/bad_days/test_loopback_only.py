"""No order path reachable from tests, demo or paper mode leads off this machine.

Real processes run under an audit hook that sees every name lookup and every connection before it happens, in them
and in their children, and refuses what is not loopback.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.processes import environment, exchange, kill_command, run, settings, until, watchdog_of
from tests.fixtures.simulated import write_recording
from tradetui.brokers.upstox.hosts import ASSETS, MAIN, ORDER

GUARD = Path(__file__).parents[1] / "fixtures" / "loopback_guard"
pytestmark = pytest.mark.timeout(180)


def guarded(escapes: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(GUARD), "TRADETUI_TEST_ESCAPES": str(escapes)}


def escaped(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def tradetui(home: Path, escapes: Path, *args: str, said: str = "", **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tradetui", *args],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        env=environment(TRADETUI_HOME=str(home), **guarded(escapes), **more),
        cwd=REPO_ROOT,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_guard_sees_an_attempt_in_a_child_of_a_child(tmp_path: Path) -> None:
    """A connection to an outside address is refused and written down, two processes deep.

    Seen: nothing; this proves that the other tests here can fail.
    """
    escapes = tmp_path / "escapes"
    inner = "import socket; socket.create_connection(('192.0.2.1', 443), 1)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    subprocess.run(
        [sys.executable, "-c", outer], env=environment(**guarded(escapes)), capture_output=True, check=False
    )
    assert "192.0.2.1" in escaped(escapes)
    named = "import socket; socket.getaddrinfo('api.example', 443)"
    subprocess.run(
        [sys.executable, "-c", named], env=environment(**guarded(escapes)), capture_output=True, check=False
    )
    assert "api.example" in escaped(escapes)


@pytest.mark.parametrize(
    "flags", [(), ("--rehearse",), ("--record",)], ids=["demo", "rehearsal", "recorded demo"]
)
def test_the_demo_and_its_rehearsal_stay_on_this_machine(tmp_path: Path, flags: Sequence[str]) -> None:
    """A run without an account starts its own exchange and talks to nothing else.

    Seen: the workstation on the simulated exchange.
    """
    escapes = tmp_path / "escapes"
    code, said = tradetui(tmp_path, escapes, "run", "--headless", "--for", "2s", "--json", *flags)
    assert code == 0, said
    assert json.loads(said.splitlines()[-1])["frames"] > 0
    assert escaped(escapes) == ""


def test_trading_killing_and_watching_on_a_simulator_stay_on_this_machine(tmp_path: Path) -> None:
    """Orders, a kill from outside, a killed engine and its watchdog: every connection is to loopback.

    Seen: nothing leaves, whatever happens to the engine.
    """
    escapes = tmp_path / "escapes"
    settings(tmp_path, '[watchdog]\nafter = 1\npolicy = "flatten"\n')
    with exchange() as sim:
        with run(tmp_path, sim, "--live", env=guarded(escapes)) as engine:
            sim.hold(10)
            sim.rest()
            engine.until_exposed(2)
            assert watchdog_of(engine.process.pid)
            code, _, errors = kill_command(tmp_path, env=guarded(escapes))
            assert code == 0, errors
            engine.kill()
            until(lambda: sim.held() == {}, "the watchdog closes")
        sim.rest()
        code, _, errors = kill_command(tmp_path, "--url-main", sim.main, env=guarded(escapes))
        assert code == 0, errors
        assert not sim.working()
    assert escaped(escapes) == ""


def test_a_replay_stays_on_this_machine(tmp_path: Path) -> None:
    """A recorded day is played by the simulator and traded on by a run.

    Seen: the recorded day, and nothing else is asked for.
    """
    escapes, folder = tmp_path / "escapes", tmp_path / "recording"
    folder.mkdir()
    with (
        exchange("--replay", str(write_recording(folder))) as sim,
        run(tmp_path, sim, env=guarded(escapes)) as engine,
    ):
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0
    assert escaped(escapes) == ""


@pytest.mark.parametrize(
    "command", [("run", "--headless"), ("run", "--headless", "--live")], ids=["paper", "live"]
)
def test_paper_mode_reads_from_the_broker_and_never_asks_its_order_host(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Logged in at the real broker without arming: data is asked for, the order host is never looked up.

    Seen: a run that says that the network cannot be reached.
    """
    escapes = tmp_path / "escapes"
    settings(tmp_path, "[account]\nlive_capital = 100000\n")
    code, said = tradetui(
        tmp_path, escapes, *command, "--for", "2s", "--token-stdin", said="a.recorded.token\n"
    )
    assert code == 1, said
    tried = escaped(escapes)
    hosts = {
        name: url.partition("://")[2] for name, url in (("main", MAIN), ("order", ORDER), ("assets", ASSETS))
    }
    assert any(hosts[name] in tried for name in ("main", "assets")), "it did try to read"
    assert hosts["order"] not in tried
