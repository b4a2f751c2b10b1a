"""A program under observation: its memory and file handles sampled, its end and its files looked at."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.conftest import REPO_ROOT
from tradetui.domain.records import Record
from tradetui.journal import GENESIS, ContentHash, files, read
from tradetui.storage.database import Settings, open_database
from tradetui.storage.ledger import TABLES, Ledger
from tradetui.storage.schema import LEDGER

END_S = 60.0
"""A program that was told to end has so long."""
_SETTLING = 0.1
"""Part of the run, from its beginning, in which the program is still filling its buffers."""


@dataclass(slots=True)
class Samples:
    """What a process used, sample by sample."""

    rss_mb: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def take(self, pid: int) -> None:
        """One sample; nothing when the process has ended."""
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            handles = sum(_counts(path) for path in Path(f"/proc/{pid}/fd").iterdir())
        except FileNotFoundError:
            return
        line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), None)
        if line is not None:  # a process that has ended and was not waited for has none
            self.rss_mb.append(int(line.split()[1]) / 1024)
            self.handles.append(handles)

    def halves(self, of: str) -> tuple[list[float], list[float]]:
        """First and second half of the settled samples of ``rss_mb`` or ``handles``."""
        values: list[float] = getattr(self, of)
        settled = values[int(len(values) * _SETTLING) :]
        middle = len(settled) // 2
        return settled[:middle], settled[middle:]

    def growth(self, of: str) -> float:
        """By how much the second half's median is above the first's."""
        first, second = self.halves(of)
        return statistics.median(second) - statistics.median(first)

    def peak_growth(self, of: str) -> float:
        """By how much the second half's peak is above the first's."""
        first, second = self.halves(of)
        return max(second) - max(first)

    def words(self) -> str:
        """The samples in one line."""
        return (
            f"RSS {self.rss_mb[0]:.0f} MB at the start, {self.rss_mb[-1]:.0f} at the end, "
            f"{max(self.rss_mb):.0f} at most, second half {self.growth('rss_mb'):+.1f} (median) "
            f"{self.peak_growth('rss_mb'):+.1f} (peak); handles {self.handles[0]} to {self.handles[-1]}, "
            f"{max(self.handles)} at most"
        )


def _counts(handle: Path) -> bool:
    """Whether a handle is one that must not multiply.

    DuckDB's spill files are not: it opens a handful, one for each size of block, when its memory limit is
    reached, and keeps them until it is closed.
    """
    try:
        return ".duckdb.tmp/" not in str(handle.readlink())
    except FileNotFoundError:  # closed meanwhile
        return False


class Watched:
    """`tradetui` as a process with its own home.

    Args:
        home: Its home; None for a program without one.
        arguments: Its command line.
    """

    def __init__(self, home: Path | None, *arguments: str) -> None:
        environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        if home is not None:
            environment["TRADETUI_HOME"] = str(home)
        self.home = home
        self.samples = Samples()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tradetui", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=REPO_ROOT,
            start_new_session=True,
        )

    def sample(self) -> None:
        """Look at the process once."""
        self.samples.take(self.process.pid)

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return self.process.poll() is None

    def first_line(self) -> dict[str, str]:
        """The line that a simulator prints when it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.end()
        told = json.loads(line)
        assert isinstance(told, dict)
        return told

    def watch(self, lasting_s: float, every_s: float = 1.0) -> None:
        """Sample until the process ends by itself, at most so long."""
        for _ in range(int(lasting_s / every_s) + 1):
            self.sample()
            try:
                self.process.wait(every_s)
            except subprocess.TimeoutExpired:
                continue
            return

    def end(self) -> tuple[int, str, str]:
        """Exit code, output and errors, after asking it to end if it has not."""
        if self.running:
            self.process.send_signal(signal.SIGINT)
        try:
            out, err = self.process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"did not end within {END_S:g} s of being asked: {out}{err}") from None
        return self.process.returncode, out, err

    def kill(self) -> None:
        """End it for sure."""
        if self.running:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()

    # --- what it left behind --------------------------------------------------------------------------

    def only(self, pattern: str) -> Path:
        """The one file below its home of that name."""
        assert self.home is not None
        (path,) = self.home.glob(f"**/{pattern}")
        return path

    def log(self) -> str:
        """Everything it logged, rotated files included."""
        assert self.home is not None
        return "".join(
            path.read_text(encoding="utf-8") for path in sorted(self.home.glob("**/tradetui.log*"))
        )


def journal_of(folder: Path) -> list[tuple[str, int, Record]]:
    """Every record with its place; verifies frames, numbers, and hashes across the day files too.

    Raises:
        JournalDamaged: Something in a file is not as it was written.
    """
    out: list[tuple[str, int, Record]] = []
    before = GENESIS
    for path in files(folder):
        for stored in read(path):
            assert stored.previous == before, f"{path.name}: record {stored.number} follows something else"
            before = stored.sha256
            out.append((path.stem, stored.number, stored.record))
    return out


def content_sha256(records: Iterator[Record]) -> str:
    """What `run` prints as ``journal_sha256``, made from what is on the disk."""
    content = ContentHash()
    for record in records:
        content.add(record)
    return content.hexdigest()


def check_books(run: Watched, scratch: Path) -> list[tuple[str, int, Record]]:
    """The journal verifies from end to end, and the ledger is what the journal says; returns the journal."""
    ledger_path = run.only("ledger.duckdb")
    kept = journal_of(ledger_path.parent / "journal")
    assert kept[0][2].data["what"] == "start"
    assert kept[-1][2].data["what"] == "stop"
    copy = scratch / "ledger.duckdb"
    shutil.copy(ledger_path, copy)
    opened = open_database(copy, LEDGER, Settings(memory_mb=64))
    try:
        assert not opened.notices
        ledger = Ledger(opened.connection)
        before = contents(opened.connection)
        assert ledger.last == kept[-1][:2]
        assert ledger.agrees(lambda day, _: [item for item in kept if item[0] >= day])
        assert ledger.rebuild(kept) == len(kept)
        assert contents(opened.connection) == before
    finally:
        opened.connection.close()
    return kept


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with connection.cursor() as cursor:
        return {name: sorted(cursor.sql(f"FROM {name}").pl().rows(), key=repr) for name in TABLES}
