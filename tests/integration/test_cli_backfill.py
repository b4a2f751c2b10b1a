"""`tradetui backfill` against a simulator: complete, idempotent, resumable, and clear about what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.program import program, told
from tradetui.domain.calendar import ist_date
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions
from tradetui.storage.lock import DataLock

SYMBOLS = ("RELIANCE", "NIFTY")
LATE_S = 50

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(SimOptions(day=date(2025, 12, 15))) as made:
        yield made


async def backfill(home: Path, sim: SimulatorServer, *flags: str) -> tuple[int, dict[str, Any]]:
    code, out, err = await asyncio.to_thread(
        told, home, "backfill", *SYMBOLS, "--json", "--url-main", sim.urls.main, *flags
    )
    assert err == ""
    data = json.loads(out)
    assert isinstance(data, dict)
    return code, data


def days(sim: SimulatorServer, back: int, until: int = 1) -> tuple[str, str, str, str]:
    today = ist_date(sim.state.clock.now_ns())
    return "--from", str(today - timedelta(days=back)), "--to", str(today - timedelta(days=until))


def stored(home: Path, account: str, sql: str) -> list[Any]:
    path = home / "accounts" / account / "market.duckdb"
    with duckdb.connect(str(path)) as connection:
        return connection.execute(sql).fetchall()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LATE_S):
        while not true():  # noqa: ASYNC110 - what another process does raises no event here
            await asyncio.sleep(0.01)


def candle_requests(sim: SimulatorServer) -> int:
    return sum(count for kind, count in sim.state.counts.items() if "historical-candle" in kind)


async def test_every_bar_comes_once_and_a_second_call_asks_for_nothing(
    sim: SimulatorServer, tmp_path: Path
) -> None:
    code, first = await backfill(tmp_path, sim, *days(sim, 12, until=5))
    assert (code, first["complete"], first["different"]) == (0, True, 0)
    assert first["inserted"] == first["bars"] > 0
    asked = candle_requests(sim)
    code, second = await backfill(tmp_path, sim, *days(sim, 12, until=5))
    assert (code, second["complete"], second["inserted"], second["requests"]) == (0, True, 0, 0)
    assert second["settled_before"] == second["sessions"] == first["sessions"]
    assert candle_requests(sim) == asked

    world = sim._venue.world if sim._venue else None
    assert world is not None
    key = "NSE_EQ|INE002A01018"
    begin, end = date.fromisoformat(first["from"]), date.fromisoformat(first["to"])
    truth = [(bar.start_ms, bar.open, bar.close, bar.volume) for bar in world.history(key, 60, begin, end)]
    rows = stored(
        tmp_path,
        first["account"],
        "SELECT epoch_ms(start), open, close, volume FROM bars JOIN instruments USING (instrument_id) "
        f"WHERE key = '{key}' AND source = 'broker' ORDER BY start",
    )
    assert rows == truth


async def test_holes_are_listed_without_asking_anybody(sim: SimulatorServer, tmp_path: Path) -> None:
    span = days(sim, 12, until=5)
    code, empty = await backfill(tmp_path, sim, *span, "--check")
    assert (code, empty["complete"], empty["full"]) == (1, False, 0)
    assert empty["missing"] == sum(day["missing"] for row in empty["instruments"] for day in row["holes"])
    assert candle_requests(sim) == 0


async def test_events_are_json_lines_and_the_final_object_is_the_last(
    sim: SimulatorServer, tmp_path: Path
) -> None:
    code, out, err = await asyncio.to_thread(
        told, tmp_path, "backfill", *SYMBOLS, "--events", "--url-main", sim.urls.main, *days(sim, 12, until=5)
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["event"] for row in rows[:-1]] == ["chosen", "planned", "planned", "stored", "stored"]
    assert rows[-1]["complete"] is True


async def test_a_pipe_gets_plain_lines_and_the_reasons(sim: SimulatorServer, tmp_path: Path) -> None:
    sim.faults.set("history-5xx", {"count": 1})
    code, out, err = await asyncio.to_thread(
        told, tmp_path, "backfill", *SYMBOLS, "--url-main", sim.urls.main, *days(sim, 12, until=5)
    )
    assert code == 0
    assert err.splitlines()[0].startswith("2 instruments, ")
    assert "the broker failed (HTTP 503" in err
    assert "asked again 1x: the broker failed (HTTP 503" in out
    assert "\x1b" not in out + err


async def test_it_can_be_stopped_and_called_again(sim: SimulatorServer, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "tradetui", "backfill", *SYMBOLS, "--json", "--url-main", sim.urls.main,
        *days(sim, 75),
    ]  # fmt: skip
    # Every fourth answer comes so late that the signal finds it under way.
    sim.faults.set("delay", {"ms": 600_000, "every": 4, "path": "historical-candle"})
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "TRADETUI_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPO_ROOT,
    )
    try:
        await until(lambda: candle_requests(sim) >= 4)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LATE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, err) == (130, b"")
    cut = json.loads(out)
    assert (cut["stopped"], cut["complete"]) == (True, False)
    assert cut["inserted"] == stored(tmp_path, cut["account"], "SELECT count(*) FROM bars")[0][0]
    sim.faults.clear()
    code, rest = await backfill(tmp_path, sim, *days(sim, 75))
    assert (code, rest["complete"]) == (0, True)
    total = cut["inserted"] + rest["inserted"]
    assert total == stored(tmp_path, cut["account"], "SELECT count(*) FROM bars")[0][0]
    assert cut["sessions"] == rest["sessions"]
    assert rest["inserted"] > 0
    if cut["inserted"]:
        assert rest["requests"] < 6


async def test_bars_are_drawn_on_a_terminal(sim: SimulatorServer, tmp_path: Path) -> None:
    flags = ("--home", str(tmp_path), "--url-main", sim.urls.main, *days(sim, 12, until=5))

    def watch() -> tuple[int, str]:
        with program("backfill", *SYMBOLS, *flags, size=(120, 30)) as term:
            code = term.ended(30)
            return code, term.plain()

    code, text = await asyncio.to_thread(watch)
    assert code == 0
    assert "RELIANCE" in text
    assert "━" in text
    assert "bars, " in text
    assert "new bars in" in text


def test_somebody_else_on_the_same_data_keeps_it_out(tmp_path: Path) -> None:
    with DataLock(tmp_path, "tradetui backfill"):
        code, out, err = told(tmp_path, "backfill", "RELIANCE")
    assert (code, out) == (1, "")
    assert "in use by tradetui backfill" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "needle"),
    [
        (("RELIANCE", "--interval", "7m"), "known: 1m"),
        (("RELIANCE", "--from", "2026-10-05", "--to", "2026-10-01"), "is after"),
        (("RELIANCE", "--to", "2999-01-01"), "lies in the future"),
        (("NOSUCHTHING",), "NOSUCHTHING"),
        ((), "which instruments?"),
        (("--universe", "nosuchfile"), "no universe 'nosuchfile'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(tmp_path: Path, flags: tuple[str, ...], needle: str) -> None:
    code, out, err = told(tmp_path, "backfill", *flags)
    assert (code, out) == (2, "")
    assert needle in err
    assert err.count("\n") == 1
