"""SIGKILL while days are archived or the file is compacted, and disks that fill up meanwhile: processes for real.

The limit on the size of a file (``RLIMIT_FSIZE``) stands in for the full disk: nothing is mounted here.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import duckdb
import pytest

from tests.conftest import REPO_ROOT
from tests.unit.storage.samples import ALL
from tradetui.storage import archive, upkeep
from tradetui.storage.store import Store

DAYS = 4
FRAMES = 60
ROWS = 250
FILL = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.unit.storage.samples import ALL, T0_NS, bar, frame
from tradetui.storage.store import Store

def fill(home, days, frames, rows):
    store = Store.open(Path(home), list(ALL))
    for day in range(days):
        for step in range(frames):
            store.ticks(T0_NS + day * 86_400_000_000_000 + step * 61_000_000_000, frame(rows, step))
        store.bars([
            replace(bar(minute, slot=slot), start_ms=bar(minute).start_ms + day * 86_400_000)
            for minute in range(60) for slot in range(3)
        ])
        store.flush()
    return store
"""
ARCHIVER = (
    FILL
    + """
from datetime import date, timedelta
from tests.unit.storage.samples import DAY
from tradetui.storage import archive
archive.SLICE_ROWS = 4000
store = fill(sys.argv[1], int(sys.argv[2]), 60, 250)
print("filled", flush=True)
step = 1000
for day in range(1, int(sys.argv[2])):
    for one in store.archive(DAY + timedelta(days=day)):
        pass
    # Ticks go on beside it, and a bar of a day that has left is written again.
    store.ticks(T0_NS + (int(sys.argv[2]) - 1) * 86_400_000_000_000 + step * 1_000_000, frame(30, step))
    store.bars([bar(day, close=101.5)])
    store.flush()
    step += 1
    print(day, flush=True)
print("done", flush=True)
sys.stdin.readline()
"""
)
COMPACTER = """
import sys
from pathlib import Path
from tradetui.storage import upkeep
print("filled", flush=True)
for n in range(50):
    upkeep.compact(Path(sys.argv[1]))
    print(n, flush=True)
"""
STARVED = (
    FILL
    + """
import resource, signal
from datetime import timedelta
from tests.unit.storage.samples import DAY
from tradetui.domain.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit fails like one on a full disk
store = fill(sys.argv[1], 3, 60, 250)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
try:
    store.archive(DAY + timedelta(days=2))
    print("it went well", flush=True)
except StorageError as error:
    print("refused", str(error), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store.flush()
print(store.market_frame("SELECT count(*) FROM whole.ticks").item(), flush=True)
moved = store.archive(DAY + timedelta(days=2))
print(sum(one.rows for one in moved if one.kind == "ticks"), flush=True)
store.close()
"""
)


def lines_until(stream: IO[str], word: str) -> list[str]:
    """What a child says up to a line that begins so."""
    said: list[str] = []
    while True:
        line = stream.readline()
        assert line, "the child ended by itself"
        said.append(line.strip())
        if said[-1].startswith(word):
            return said


def child_of(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=REPO_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill_after(child: subprocess.Popen[str], seconds: float) -> None:
    """SIGKILL at a moment that falls anywhere: into a copy, a rename, a commit."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and child.poll() is None:
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize("seed", range(6))
def test_R5_a_kill_while_archiving_loses_and_doubles_nothing(seed: int, tmp_path: Path) -> None:
    luck = random.Random(seed)
    child = child_of(ARCHIVER, str(tmp_path), str(DAYS))
    with child:
        assert child.stdout is not None
        lines_until(child.stdout, "filled")
        acknowledged = luck.randrange(DAYS - 1)
        if acknowledged:
            lines_until(child.stdout, str(acknowledged))
        kill_after(child, luck.random() * 0.6)

    store = Store.open(tmp_path, list(ALL))
    assert not list(tmp_path.glob("*.damaged*"))
    extra = store.market_frame("SELECT count(*) FROM whole.ticks").item() - DAYS * FRAMES * ROWS
    assert extra >= acknowledged * 30
    assert extra % 30 == 0, "whole frames only"
    by_frame = store.market_frame("SELECT count(*) AS n FROM whole.ticks GROUP BY engine_ts, server_ts")
    assert set(by_frame["n"]) <= {ROWS, 30}
    assert by_frame.height == DAYS * FRAMES + extra // 30
    bars = store.market_frame("SELECT instrument_id, start, close FROM whole.bars")
    assert bars.height == DAYS * 60 * 3
    assert bars.unique(["instrument_id", "start"]).height == bars.height
    assert (bars["close"] == 101.5).sum() >= acknowledged
    with store._market.cursor() as cursor:
        upkeep.clean_up(cursor, tmp_path / "archive")
        named = {row[0] for row in cursor.execute("SELECT path FROM archive_files").fetchall()}
    assert set(archive.files_in(tmp_path / "archive")) == named, "what a kill left has been taken away"
    store.close()
    assert upkeep.check(tmp_path).findings == ()


@pytest.mark.parametrize("seed", range(4))
def test_R5_a_kill_while_compacting_leaves_one_whole_file(seed: int, tmp_path: Path) -> None:
    luck = random.Random(seed)
    filler = FILL + "\nfill(sys.argv[1], 2, 60, 250).close()"
    subprocess.run([sys.executable, "-c", filler, str(tmp_path)], cwd=REPO_ROOT, check=True)
    with duckdb.connect(str(tmp_path / "market.duckdb"), read_only=True) as file:
        before = file.execute("SELECT count(*), sum(hash(t)::HUGEINT) FROM main.ticks t").fetchone()
    child = child_of(COMPACTER, str(tmp_path))
    with child:
        assert child.stdout is not None
        lines_until(child.stdout, "filled")
        kill_after(child, 0.2 + luck.random() * 1.5)
    assert upkeep.check(tmp_path).sound
    store = Store.open(tmp_path, list(ALL))
    assert store.market_frame("SELECT count(*), sum(hash(t)::HUGEINT) FROM main.ticks t").row(0) == before
    store.close()
    upkeep.compact(tmp_path)
    assert [path.name for path in tmp_path.glob("market*")] == ["market.duckdb"]


def test_R6_a_disk_that_is_full_while_archiving_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(tmp_path)],
        cwd=REPO_ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    refused, whole, moved = done.stdout.splitlines()
    assert refused.startswith("refused cannot archive ticks of 2025-12-15")
    assert int(whole) == 3 * FRAMES * ROWS
    assert int(moved) == 2 * FRAMES * ROWS
    assert upkeep.check(tmp_path).findings == ()
