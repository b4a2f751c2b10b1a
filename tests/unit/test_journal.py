"""The journal shows every cut and every flipped bit, and loses nothing before it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.errors import JournalDamaged, StorageError
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import GENESIS, ContentHash, Journal, MemoryJournal, day_of, encode, files, read
from tradetui.journal.frames import payload_of

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST


def record(number: int, t_ns: int = DAY_NS) -> Record:
    return Record(t_ns + number, RecordKind.OPERATOR, {"number": number, "text": "₹ ok"})


def written(folder: Path, count: int) -> Path:
    journal = Journal(folder)
    for number in range(count):
        journal.append(record(number))
    journal.close()
    return files(folder)[0]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    assert [stored.record for stored in read(path)] == [record(n) for n in range(5)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_appending_goes_on_after_a_reopen(tmp_path: Path) -> None:
    written(tmp_path, 3)
    journal = Journal(tmp_path)
    journal.append(record(3))
    journal.close()
    assert [stored.number for stored in read(files(tmp_path)[0])] == [1, 2, 3, 4]


def test_a_new_day_gets_a_new_file_chained_to_the_old(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(record(0))
    journal.append(record(1, DAY_NS + 86_400 * 10**9))
    journal.close()
    first, second = files(tmp_path)
    assert next(iter(read(second))).previous == list(read(first))[-1].sha256


def test_r5_every_cut_of_the_last_record_is_detected_and_the_rest_kept(tmp_path: Path) -> None:
    path = written(tmp_path, 4)
    data = path.read_bytes()
    last = list(read(path))[-1]
    for size in range(last.offset + 1, last.end):
        path.write_bytes(data[:size])
        with pytest.raises(JournalDamaged):
            list(read(path))
        journal = Journal(tmp_path)
        assert journal.torn is not None
        assert journal.torn.read_bytes() == data[last.offset : size]
        journal.torn.unlink()
        journal.append(record(99))
        journal.close()
        kept = [stored.record for stored in read(path)]
        assert kept == [record(0), record(1), record(2), record(99)]
        path.write_bytes(data)


def test_r5_every_flipped_byte_is_detected(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    data = path.read_bytes()
    starts = [stored.offset for stored in read(path)]
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        with pytest.raises(JournalDamaged):
            list(read(path))
        good = sum(1 for start in starts[1:] if start <= at)
        assert len(list(_before(path))) == good


def _before(path: Path) -> list[Record]:
    out: list[Record] = []
    with contextlib.suppress(JournalDamaged):
        out.extend(stored.record for stored in read(path))
    return out


def test_damage_in_the_middle_is_refused_not_cut_away(tmp_path: Path) -> None:
    path = written(tmp_path, 4)
    data = bytearray(path.read_bytes())
    second = list(read(path))[1]
    data[second.offset + 12] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="damaged at byte"):
        Journal(tmp_path)
    assert path.read_bytes() == bytes(data)


def test_a_changed_length_in_the_middle_is_damage_not_a_cut_tail(tmp_path: Path) -> None:
    path = written(tmp_path, 4)
    data = bytearray(path.read_bytes())
    data[list(read(path))[1].offset + 1] ^= 0x40  # claims 16 kB more than it has
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="damaged at byte"):
        Journal(tmp_path)
    assert path.read_bytes() == bytes(data)


def test_a_removed_record_breaks_the_chain(tmp_path: Path) -> None:
    path = written(tmp_path, 4)
    rows = list(read(path))
    data = path.read_bytes()
    path.write_bytes(data[: rows[1].offset] + data[rows[2].offset :])
    with pytest.raises(JournalDamaged):
        list(read(path))


def test_r6_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(record(0))
    real = journal._file
    assert real is not None
    write = real.write

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            write(data[:7])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(StorageError, match="No space"):
        journal.append(record(1))
    monkeypatch.setattr(journal, "_file", real)
    journal.append(record(2))
    journal.close()
    assert [stored.record for stored in read(files(tmp_path)[0])] == [record(0), record(2)]


def test_a_failing_sync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(record(0))

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(StorageError, match="sync"):
        journal.sync()
    monkeypatch.undo()
    journal.close()


def test_content_hash_leaves_timing_out(tmp_path: Path) -> None:
    one, two = ContentHash(), ContentHash()
    one.add(record(1))
    two.add(Record(DAY_NS, RecordKind.WIRE, {"latency": 3}))
    two.add(Record(DAY_NS + 1, RecordKind.OPERATOR, {"number": 1, "text": "₹ ok"}, {"sent_ns": 5}))
    assert one.hexdigest() == two.hexdigest()


@given(
    data=st.dictionaries(
        st.text(max_size=8), st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
    ),
    meta=st.dictionaries(st.text(max_size=8), st.integers(), max_size=2),
    t_ns=st.integers(-(2**60), 2**62),
    number=st.integers(1, 10**9),
)
def test_a_payload_is_the_canonical_json_of_all_its_parts(
    data: dict[str, Any], meta: dict[str, Any], t_ns: int, number: int
) -> None:
    made = payload_of(Record(t_ns, RecordKind.OPERATOR, data, meta), number, GENESIS)
    whole = {"n": number, "t": t_ns, "k": "operator", "d": data, "m": meta, "p": GENESIS}
    assert made == encode(whole)
    assert made == payload_of(Record(t_ns, RecordKind.OPERATOR, data, meta), number, GENESIS, encode(data))


def test_memory_journal_agrees_with_the_file(tmp_path: Path) -> None:
    memory, disk = MemoryJournal(), Journal(tmp_path)
    for number in range(3):
        memory.append(record(number))
        disk.append(record(number))
    disk.close()
    assert memory.content.hexdigest() == disk.content.hexdigest()
    assert list(memory.records()) == list(disk.records())


def test_r6_a_file_that_was_made_on_a_full_disk_is_begun_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(record(0))
    tomorrow = Record(record(0).t_ns + 86_400_000_000_000, RecordKind.OPERATOR, {"n": 1})
    path = tmp_path / f"{day_of(tomorrow.t_ns)}.journal"
    path.write_bytes(b"TTJ")  # as much of the first bytes as the disk took
    journal.append(tomorrow)
    journal.close()
    assert [stored.record for stored in read(path)] == [tomorrow]
