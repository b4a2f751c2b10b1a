"""SIGKILL and a full disk, for real: a child process writes, dies or starves, and the files are opened again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.conftest import REPO_ROOT
from tests.unit.storage.samples import ALL, RELIANCE
from tradetui.journal import files as journal_files
from tradetui.journal import read as read_journal
from tradetui.storage.ledger import JournalReader, Numbered
from tradetui.storage.store import Store

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.unit.storage.samples import ALL, T0_NS, bar, fill, frame, record
from tradetui.domain.order import Side
from tradetui.domain.records import RecordKind
from tradetui.journal import Journal
from tradetui.storage.store import Store

home = Path(sys.argv[1])
journal = Journal(home / "journal")
store = Store.open(home, list(ALL))
print("open", flush=True)
step = 0
while True:
    for _ in range(20):
        store.ticks(T0_NS + step, frame(300, step))
        one = record(RecordKind.FILL, fill(step, Side.BUY if step % 2 else Side.SELL, 1 + step % 7), step)
        journal.append(one)
        store.records([one])
        store.bars([bar(step), replace(bar(step), close=100.5)])
        step += 1
    journal.sync()
    store.flush()
    print(step, flush=True)
"""

STARVED = """
import resource, signal, sys
from pathlib import Path
from tests.unit.storage.samples import ALL, T0_NS, bar, frame
from tradetui.storage.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit fails like one on a full disk
store = Store.open(Path(sys.argv[1]), list(ALL))
store.bars([bar(0)])
store.flush()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
size = (Path(sys.argv[1]) / "market.duckdb.wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, most))
sent = 0
while not store.figures()["market"].error:
    store.ticks(T0_NS + sent, frame(300, sent))
    store.bars([bar(1 + sent)])
    sent += 1
print("refused", store.figures()["market"].error, flush=True)
store.ticks(T0_NS + sent, frame(300, sent))
sent += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
while True:
    try:
        store.flush()
        break
    except Exception as error:
        print("waiting", error, flush=True)
        store._market._wake.wait(0.2)
print("sent", sent * 300, "dropped", store.dropped(), flush=True)
store.close()
"""


def reader_of(folder: Path) -> JournalReader:
    """Reads the journal as far as it is whole, from a day on."""

    def read(day: str, number: int) -> list[Numbered]:
        return [
            (path.stem, stored.number, stored.record)
            for path in journal_files(folder)
            if path.stem >= day
            for stored in read_journal(path)
        ]

    return read


def said(stream: IO[str], count: int) -> int:
    """Read ``count`` lines of the child; return the number on the last one."""
    line = ""
    for _ in range(count):
        line = stream.readline()
        assert line, "the child ended by itself"
    return int(line) if line.strip().isdigit() else 0


@pytest.mark.parametrize("seed", range(4))
def test_R5_nothing_flushed_is_lost_by_a_kill(seed: int, tmp_path: Path) -> None:
    from tradetui.journal import Journal

    luck = random.Random(seed)
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        flushed = said(child.stdout, 2 + luck.randrange(4))
        # Burn an odd amount of time, so that the signal falls anywhere: into a copy, a commit, a journal write.
        for _ in range(luck.randrange(200_000)):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    Journal(tmp_path / "journal").close()  # sets a cut record aside, as every start does
    store = Store.open(tmp_path, list(ALL), journal=reader_of(tmp_path / "journal"))

    ticks = store.market_frame("SELECT count(*) AS n, count(DISTINCT (engine_ts, ltp)) AS d FROM ticks").row(
        0
    )
    assert ticks[0] >= flushed * 300
    assert ticks[0] % 300 == 0, "whole frames only"
    bars = store.read_bars(RELIANCE.key, "1m")
    assert bars.height >= flushed
    assert bars["start"].is_unique().all()
    assert store.market_frame("SELECT count(*) FROM bars").item() == bars.height

    journal = list(reader_of(tmp_path / "journal")("", 0))
    assert len(journal) >= flushed
    assert len(store.fills()) == len(journal)
    live = store.ledger_frame("SELECT * FROM positions").rows()
    store.rebuild(journal)
    assert store.ledger_frame("SELECT * FROM positions").rows() == live
    assert not list(tmp_path.glob("*superseded*"))
    assert not list(tmp_path.glob("*.duckdb.damaged*"))
    store.close()


def test_R6_a_disk_that_fills_up_and_empties_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(tmp_path)],
        cwd=REPO_ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("refused") for line in lines)
    words = lines[-1].split()
    sent, dropped = int(words[1]), int(words[3])
    store = Store.open(tmp_path, list(ALL))
    kept = store.market_frame("SELECT count(*) FROM ticks").item()
    bars = store.read_bars(RELIANCE.key, "1m").height
    assert kept + (bars - 1) + dropped == sent + sent // 300 - 1
    assert not list(tmp_path.glob("*.duckdb.damaged*")), (
        "a sound file is not called damaged because a disk was full"
    )
    store.close()
