"""R6: on a full or failing disk the journal loses nothing, and what exits depend on still gets onto the disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tradetui.domain.errors import JournalDamaged, StorageError
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, Reserve, everything, files, read_days, verify
from tradetui.journal.reserve import RESERVE_NAME

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST
NEXT_DAY_NS = DAY_NS + 86_400 * 10**9


def record(number: int, t_ns: int = DAY_NS, kind: RecordKind = RecordKind.ORDER) -> Record:
    return Record(t_ns + number, kind, {"number": number, "text": "₹ ok"})


class Disk:
    """Stands between a journal and its day files, and is full, or loses what was not synced, when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
        self.full = False
        self.broken = False
        self.journal = journal
        disk, sync = self, os.fdatasync

        class File:
            def __init__(self, real: IO[bytes]) -> None:
                self.real = real

            def __getattr__(self, name: str) -> object:
                return getattr(self.real, name)

            def write(self, data: bytes) -> int:
                if disk.full:
                    self.real.write(data[:5])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return self.real.write(data)

        begin = Journal._begin_file

        def begin_file(self: Journal) -> None:
            if disk.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            begin(self)
            self._file = File(self._file)  # type: ignore[arg-type,assignment]

        def synced(fd: int) -> None:
            if disk.broken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            sync(fd)

        monkeypatch.setattr(Journal, "_begin_file", begin_file)
        monkeypatch.setattr(os, "fdatasync", synced)
        if journal._file is not None:
            journal._file = File(journal._file)  # type: ignore[assignment]


def numbers(folder: Path) -> list[int]:
    return [row.data["number"] for _, _, row in everything(folder)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    journal.append(record(0))
    journal.sync()
    yield journal
    with contextlib.suppress(StorageError):
        journal.close()


def test_r6_the_reserve_takes_what_the_full_disk_does_not_and_gives_it_back_in_order(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, journal)
    disk.full = True
    with pytest.raises(StorageError, match="No space"):
        journal.append(record(1))
    assert journal.use_reserve()
    journal.append(record(1))
    journal.append(record(2))
    journal.sync()
    assert numbers(tmp_path) == [0, 1, 2], "a reader sees them already"
    with pytest.raises(StorageError):
        journal.recover()
    disk.full = False
    journal.recover()
    journal.append(record(3))
    journal.close()
    assert [stored.record.data["number"] for _, stored in read_days(tmp_path)] == [0, 1, 2, 3]
    assert verify(tmp_path).whole
    assert verify(tmp_path).reserved == 0


def test_r6_a_run_that_ended_on_a_full_disk_leaves_its_exits_to_the_next(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, journal)
        disk.full = True
        assert journal.use_reserve()
        journal.append(record(1))
        journal.sync()
        journal.close()
    assert verify(tmp_path).reserved == 1
    again = Journal(tmp_path)
    again.append(record(2))
    again.close()
    assert [stored.record.data["number"] for _, stored in read_days(tmp_path)] == [0, 1, 2]
    assert verify(tmp_path).reserved == 0


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_r6_killed_while_the_reserve_is_emptied_nothing_comes_twice(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    disk = Disk(monkeypatch, journal)
    disk.full = True
    journal.use_reserve()
    for number in (1, 2):
        journal.append(record(number))
    journal.sync()
    kept = (tmp_path / RESERVE_NAME).read_bytes()
    disk.full = False
    journal.recover()
    journal.close()
    # As SIGKILL leaves it: the reserve not cleared yet, part of its frames in the day file.
    (day,) = files(tmp_path)
    rows = list(read_days(tmp_path))
    day.write_bytes(day.read_bytes()[: rows[moved][1].end])
    (tmp_path / RESERVE_NAME).write_bytes(kept)
    assert numbers(tmp_path) == [0, 1, 2]
    Journal(tmp_path).close()
    assert [stored.record.data["number"] for _, stored in read_days(tmp_path)] == [0, 1, 2]


def test_r6_midnight_on_a_full_disk_begins_the_new_day_in_the_reserve(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, journal)
    disk.full = True
    journal.use_reserve()
    journal.append(record(1))
    journal.append(record(2, NEXT_DAY_NS))
    journal.append(record(3, NEXT_DAY_NS))
    journal.sync()
    expected = [("2025-11-21", 1), ("2025-11-21", 2), ("2025-11-22", 1), ("2025-11-22", 2)]
    assert [(day, number) for day, number, _ in everything(tmp_path)] == expected
    disk.full = False
    journal.recover()
    journal.close()
    assert [(day, stored.number) for day, stored in read_days(tmp_path)] == expected


def test_r6_after_a_failed_sync_what_was_appended_is_written_again(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, journal)
    journal.append(record(1))
    disk.broken = True
    with pytest.raises(StorageError, match="sync"):
        journal.sync()
    with pytest.raises(StorageError):
        journal.append(record(2))
    # The kernel takes the pages for clean after a failed sync, and may have lost them.
    (day,) = files(tmp_path)
    size = day.stat().st_size
    with day.open("r+b") as file:
        file.seek(size - 20)
        file.write(b"\0" * 20)
    disk.broken = False
    journal.recover()
    journal.append(record(2))
    journal.close()
    assert [stored.record.data["number"] for _, stored in read_days(tmp_path)] == [0, 1, 2]


def test_r6_what_a_failed_sync_left_in_doubt_goes_into_the_reserve_too(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, journal)
    journal.append(record(1))
    disk.broken = True
    with pytest.raises(StorageError):
        journal.sync()
    disk.broken = False
    assert journal.use_reserve()
    journal.append(record(2))
    journal.sync()
    # The power fails, and the day file has lost what was never synced.
    (day,) = files(tmp_path)
    day.write_bytes(day.read_bytes()[: next(iter(read_days(tmp_path)))[1].end])
    assert numbers(tmp_path) == [0, 1, 2]
    Journal(tmp_path).close()
    assert [stored.record.data["number"] for _, stored in read_days(tmp_path)] == [0, 1, 2]


def test_r6_a_reserve_that_is_used_up_says_so_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, reserve_bytes=1024)
    journal.append(record(0))
    journal.sync()
    disk = Disk(monkeypatch, journal)
    disk.full = True
    journal.use_reserve()
    kept = 0
    with contextlib.suppress(StorageError):
        while kept < 100:
            journal.append(record(kept + 1))
            kept += 1
    assert 0 < kept < 10
    with pytest.raises(StorageError, match="used up"):
        journal.append(record(kept + 1))
    assert numbers(tmp_path) == list(range(kept + 1))
    assert (tmp_path / RESERVE_NAME).stat().st_size == 1024
    journal.close()


def test_raw_replies_leave_the_reserve_to_orders(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, journal).full = True
    journal.use_reserve()
    with pytest.raises(StorageError):
        journal.append(record(1, kind=RecordKind.WIRE))


def test_a_reserve_of_another_journal_is_refused(tmp_path: Path, journal: Journal) -> None:
    journal.close()
    other = Journal(tmp_path / "other")
    other.append(record(7))
    other.use_reserve()
    other.append(record(8))
    other.sync()
    other.close()
    (tmp_path / "other" / RESERVE_NAME).replace(tmp_path / RESERVE_NAME)
    with pytest.raises(JournalDamaged, match="does not follow"):
        Journal(tmp_path)
    assert not verify(tmp_path).whole


def test_every_cut_of_the_reserves_last_frame_keeps_the_frames_before(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 4096)
    journal = Journal(tmp_path / "j")
    journal.append(record(0))
    journal.close()
    from tradetui.journal.frames import frame_of
    from tradetui.journal.reserve import payloads_in

    frames = [frame_of(b'{"d":1}'), frame_of(b'{"d":22}')]
    for frame in frames:
        reserve.append(frame)
    reserve.sync()
    reserve.close()
    whole = reserve.path.read_bytes()
    begins = 8 + len(frames[0])
    for at in range(begins, begins + len(frames[1])):
        torn = whole[:at] + b"\xff" * (begins + len(frames[1]) - at) + whole[begins + len(frames[1]) :]
        reserve.path.write_bytes(torn)
        assert payloads_in(reserve.path) == [b'{"d":1}']


def test_a_reserve_that_cannot_be_made_is_said_and_the_journal_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Reserve, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Reserve, "_fill", full)
    journal = Journal(tmp_path)
    journal.append(record(0))
    assert not journal.use_reserve()
    journal.close()
    assert "no emergency reserve" in caplog.text
