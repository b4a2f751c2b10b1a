"""One program at a time on one data directory, and the second is told who the first is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tradetui.domain.errors import StorageError
from tradetui.storage.lock import DataLock


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    words = rf"in use by tradetui run \(process {os.getpid()}, since 20"
    with DataLock(tmp_path / "home", "tradetui run"), pytest.raises(StorageError, match=words):
        DataLock(tmp_path / "home")
    DataLock(tmp_path / "home").release()


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tradetui.storage.lock import DataLock; "
        "held = DataLock(Path(sys.argv[1]), 'other'); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=f"process {child.pid}"):
            DataLock(tmp_path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    with DataLock(tmp_path):
        pass


def test_a_holder_without_words_is_still_a_holder(tmp_path: Path) -> None:
    with DataLock(tmp_path) as lock:
        lock.path.write_text("{ nonsense")
        with pytest.raises(StorageError, match="in use by another program"):
            DataLock(tmp_path)


def test_releasing_twice_is_harmless(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    lock.release()
    lock.release()
    assert lock.path.stat().st_mode & 0o077 == 0


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot use the data directory"):
        DataLock(tmp_path / "file" / "home")
