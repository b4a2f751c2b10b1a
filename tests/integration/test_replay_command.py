"""`tradetui replay` and `run --replay` as people use them, and a recording served by the simulator over sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.program import told
from tests.long.watched import content_sha256, journal_of
from tradetui.commands.run import RunOptions, run_workstation
from tradetui.domain.errors import UsageError
from tradetui.storage.recording import InboxReader, RecordKind

pytestmark = [pytest.mark.timeout(240), pytest.mark.e2e]
NAME = "2025-12-15-1000"
TICKS = 10_113
SETTINGS = "[scripts]\nenabled = true\n[account]\ncapital = 2_000_000\n"


@pytest.fixture(scope="module")
def home(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home into which the twenty minutes were imported."""
    place = tmp_path_factory.mktemp("home")
    (place / "config.toml").write_text(SETTINGS)
    source = shared_data / "feed" / "upstox_v3_2025-12-15" / "frames_10h00.pb.gz"
    code, out, err = told(place, "replay", "import", str(source), "--json")
    assert code == 0, err
    row = json.loads(out)
    assert (row["name"], row["date"], row["instruments"], row["whole"]) == (NAME, "2025-12-15", 7, True)
    return place


@contextmanager
def running(home: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """`tradetui` in the background."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tradetui", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPO_ROOT,
        env={
            **os.environ,
            "TRADETUI_HOME": str(home),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        },
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def answer(home: Path, *args: str) -> dict[str, Any]:
    """What a command says with ``--json``."""
    code, out, err = told(home, *args, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_list_and_show_say_what_there_is(home: Path) -> None:
    listed = answer(home, "replay", "list")
    (row,) = [one for one in listed["rows"] if one["name"] == NAME]
    assert (row["from"], row["to"]) == ("10:00:05", "10:20:05")
    assert row["span_s"] == pytest.approx(1_200.171)
    assert (row["gaps"], row["kind"], row["mode"]) == (0, "market", "import")
    assert row["size_mb"] > 0.1
    shown = answer(home, "replay", "show", "2025-12-15")["rows"][0]
    assert shown["frames"] == row["frames"]
    assert {one["key"] for one in shown["instruments"]} >= {"NSE_EQ|INE118H01025", "NSE_FO|51460"}
    assert "tradetui" in shown["versions"]
    code, out, _ = told(home, "replay", "list")
    assert code == 0
    assert NAME in out
    code, _, err = told(home, "replay", "show", "2025-12-16")
    assert code == 2
    assert "nothing was recorded on 2025-12-16" in err


def test_a_cut_recording_is_shown_as_what_it_is_and_plays_to_its_cut(home: Path, tmp_path: Path) -> None:
    whole = (home / "recordings" / f"{NAME}.inbox.zst").read_bytes()
    cut = tmp_path / "cut.inbox.zst"
    cut.write_bytes(whole[: len(whole) // 2])
    code, out, _ = told(home, "replay", "show", str(cut), "--json")
    row = json.loads(out)["rows"][0]
    assert code == 1
    assert not row["whole"]
    assert row["damage"]
    assert 1_000 < row["frames"] < 7_000
    ran = answer(tmp_path, "run", "--replay", str(cut), "--speed", "max", "--headless", "--until-end")
    assert ran["frames"] == row["frames"]


def steered(home: Path, speed: str) -> dict[str, Any]:
    """One replay with the same acts from another terminal at the same places; its summary."""
    own = str(home / "replay")
    with running(
        home, "run", "--replay", NAME, "--from", "10:02", "--paused", "--speed", speed, "--headless", "--json", "--until-end"
    ) as run:  # fmt: skip
        until(lambda: told(home, "replay", "status")[0] == 0, run)
        # Wherever it stood when it was asked first: `pause` waits until it has come to rest.
        at = answer(home, "replay", "pause")
        assert at["at"] == "10:02:00"
        order = ("NSE_FO|51460", "buy", "35", "--type", "MARKET", "--product", "I", "--wait", "0")
        # Nobody answers while time stands still: the order waits in the book of the day.
        code, out, err = told(home, "place", *order, "--home", own, "--client-id", "one", "--json")
        assert (code, json.loads(out)["status"]) == (1, "sent"), out + err
        assert answer(home, "replay", "step", "minute")["at"] == "10:03:00"
        (held,) = answer(home, "positions", "--home", own)["rows"]
        assert held["qty"] == 35
        code, _, err = told(home, "replay", "jump", "10:01")
        assert code == 2
        assert "lies behind" in err
        answer(home, "replay", "jump", "10:10")
        answer(home, "replay", "resume")
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def until(holds: Any, run: subprocess.Popen[str]) -> None:
    """Wait for something that a running program brings about."""
    end_s = time.monotonic() + 60
    while not holds():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end_s


def test_a_replay_is_steered_and_traded_from_another_terminal_and_repeats_to_the_byte(home: Path) -> None:
    first, second = steered(home, "max"), steered(home, "900")
    assert first["mode"] == "replay"
    assert first["ticks"] == second["ticks"] == TICKS
    assert first["orders"] == second["orders"] == {"filled": 1}
    assert first["fills"] >= 1
    assert first["journal_sha256"] == second["journal_sha256"]
    runs = sorted((home / "replay" / "runs").iterdir())
    kept = journal_of(runs[-1] / "journal")
    assert content_sha256(record for _, _, record in kept) == second["journal_sha256"]
    # No account was touched: there is none.
    assert not (home / "accounts").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replay": NAME, "live": True}, "on paper"),
        ({"replay": NAME, "urls": ("http://127.0.0.1:1", None, None, None)}, "no broker"),
        ({"replay": NAME, "start": "late"}, "type a time"),
        ({"replay": "2025-12-16"}, "nothing was recorded"),
        ({"replay": "nonsense"}, "no recording is called"),
        ({"replay": NAME, "start": "15:00"}, "ends at 10:20:05"),
        ({"start": "10:00"}, "belong to --replay"),
        ({"speed": "max"}, "belongs to --replay"),
        ({"replay": NAME, "speed": "fast"}, "times real time"),
    ],
)
def test_wrong_words_are_refused(home: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_workstation(RunOptions(home=str(home), headless=True, **options))


def test_steering_needs_a_replay(home: Path) -> None:
    code, _, err = told(home, "replay", "pause")
    assert code == 1
    assert "no `tradetui run` is working" in err


def test_the_simulator_serves_the_recording_and_a_run_records_it_again(home: Path, tmp_path: Path) -> None:
    served = home / "recordings" / f"{NAME}.inbox.zst"
    with running(tmp_path, "sim", "--replay", str(served), "--speed", "max", "--until-stdin-closes") as sim:
        assert sim.stdout is not None
        main = json.loads(sim.stdout.readline())["main"]
        ran = answer(tmp_path, "run", "--headless", "--until-end", "--record", "--url-main", main)
    assert ran["ticks"] == TICKS
    assert ran["dropped"] == ran["reconnects"] == 0
    (row,) = answer(tmp_path, "replay", "list")["rows"]
    assert (row["kind"], row["mode"], row["whole"], row["date"]) == ("run", "SIM", True, "2025-12-15")
    (again,) = (tmp_path / "recordings").glob("*.inbox.zst")
    frames = sum(record.kind is RecordKind.FRAME for record in InboxReader(again))
    assert frames == row["frames"] >= ran["frames"]
    # What came over sockets and was recorded plays in process to the same ticks, and to the same bars of a minute.
    played = answer(tmp_path, "run", "--replay", row["name"], "--speed", "max", "--headless", "--until-end")
    assert played["ticks"] == TICKS
    assert played["bars"]["1m"] == ran["bars"]["1m"]
