"""`tradetui backfill` while `tradetui run` holds the store: the engine does it, within its own account and limits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.processes import Exchange, environment, exchange, run, settings, until
from tests.fixtures.program import told

PLAIN = '[watch]\nsymbols = ["RELIANCE"]\n'
SPAN = ("--from", "2026-11-02", "--to", "2026-11-19")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def sim() -> Iterator[Exchange]:
    with exchange("--variant", "wide", "--date", "2026-11-20") as one:
        yield one


@pytest.fixture(scope="module")
def home(sim: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("beside")
    settings(made, PLAIN)
    with run(made, sim):
        yield made


def backfill(home: Path, *words: str) -> tuple[int, Any, str]:
    code, out, errors = told(home, "backfill", *words)
    return code, json.loads(out.splitlines()[-1]) if out.strip().endswith("}") else out, errors


def test_the_running_engine_fetches_and_the_command_tells_what_came(home: Path, sim: Exchange) -> None:
    symbols = ("TCS", "CROWD001", "CROWD004")
    code, data, errors = backfill(home, *symbols, *SPAN, "--json")
    assert (code, errors) == (0, "")
    assert (data["complete"], data["requests"]) == (True, 3)
    assert data["inserted"] == data["bars"] > 10_000
    code, out, errors = backfill(home, *symbols, *SPAN)
    assert code == 0
    assert "3 instruments, 2026-11-02 to 2026-11-19" in errors
    assert "0 new bars in 0 requests" in out
    code, data, _ = backfill(home, *symbols, *SPAN, "--check", "--json")
    assert (code, data["complete"], data["missing"]) == (0, True, 0)
    assert data["not_traded"] > 0


def test_events_and_refusals_come_through(home: Path, sim: Exchange) -> None:
    code, out, _ = told(home, "backfill", "CROWD002", *SPAN, "--events")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["event"] for row in rows[:-1]] == ["chosen", "planned", "stored"]
    assert rows[-1]["complete"] is True
    code, out, errors = backfill(home, "NOSUCHTHING", *SPAN)
    assert (code, out) == (2, "")
    assert "NOSUCHTHING" in errors
    assert errors.count("\n") == 1
    listed = home / "mine.txt"
    listed.write_text("CROWD003\nNOSUCHTHING\n")
    code, out, errors = backfill(home, "--universe", str(listed), *SPAN)
    assert (code, out) == (2, "")
    assert "mine.txt line 2" in errors


def test_another_base_url_is_refused_beside_a_running_engine(home: Path, sim: Exchange) -> None:
    code, out, errors = backfill(home, "TCS", *SPAN, "--url-main", sim.main)
    assert (code, out) == (1, "")
    assert "it works with its own account" in errors
    assert errors.count("\n") == 1


def test_a_command_that_is_stopped_stops_the_engines_work(home: Path, sim: Exchange) -> None:
    sim.fault("history-hang")
    before = sim.asked("historical-candle")
    command = [sys.executable, "-m", "tradetui", "backfill", "CROWD010", "CROWD011", *SPAN, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(TRADETUI_HOME=str(home)), cwd=REPO_ROOT
    ) as process:
        until(lambda: sim.asked("historical-candle") > before, "the engine asks")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=40)
    sim.fault("history-hang", off=True)
    assert process.returncode == 130
    assert json.loads(out)["stopped"] is True
    code, data, _ = backfill(home, "CROWD010", "CROWD011", *SPAN, "--json")
    assert (code, data["complete"]) == (0, True)
