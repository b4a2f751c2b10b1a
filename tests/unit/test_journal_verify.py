"""`verify` names the first damage; the chain goes from file to file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradetui.domain.errors import JournalDamaged
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, everything, files, read, read_days, verify

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST
DAY = 86_400 * 10**9


def three_days(folder: Path, each: int = 3) -> list[Path]:
    journal = Journal(folder)
    for day in range(3):
        for number in range(each):
            journal.append(Record(DAY_NS + day * DAY + number, RecordKind.OPERATOR, {"n": day * 10 + number}))
    journal.close()
    return files(folder)


def test_a_whole_journal_is_counted(tmp_path: Path) -> None:
    three_days(tmp_path)
    found = verify(tmp_path)
    assert found.whole
    assert (found.records, [file.records for file in found.files]) == (9, [3, 3, 3])


def test_r5_every_flipped_byte_of_every_file_is_named_by_file_record_and_byte(tmp_path: Path) -> None:
    for path in three_days(tmp_path, each=2):
        data = path.read_bytes()
        starts = [stored.offset for stored in read(path)]
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
            found = verify(tmp_path)
            assert not found.whole
            assert found.file == path.name
            assert found.number == max(1, sum(start <= at for start in starts))
            assert found.offset == (starts[found.number - 1] if at >= starts[0] else 0)
        path.write_bytes(data)


def test_r5_a_cut_at_every_byte_is_found_except_between_two_records(tmp_path: Path) -> None:
    path = three_days(tmp_path)[-1]
    data = path.read_bytes()
    clean = {stored.offset for stored in read(path)} | {len(data)}
    for size in range(8, len(data)):
        path.write_bytes(data[:size])
        found = verify(tmp_path)
        assert found.whole == (size in clean), size
        assert found.whole or (found.cut and found.file == path.name)


def test_r5_a_cut_between_two_records_of_an_older_day_breaks_the_chain(tmp_path: Path) -> None:
    first, second, _ = three_days(tmp_path)
    first.write_bytes(first.read_bytes()[: list(read(first))[-1].offset])
    found = verify(tmp_path)
    assert (found.file, found.number, found.offset) == (second.name, 1, 8)
    with pytest.raises(JournalDamaged, match="the file before"):
        list(read_days(tmp_path))


def test_a_day_that_was_taken_out_is_found(tmp_path: Path) -> None:
    _, second, third = three_days(tmp_path)
    second.unlink()
    assert verify(tmp_path).file == third.name


def test_a_journal_whose_old_days_were_moved_away_is_whole_and_says_where_it_begins(tmp_path: Path) -> None:
    first, *_ = three_days(tmp_path)
    first.unlink()
    found = verify(tmp_path)
    assert found.whole
    assert set(found.begins_at) != {"0"}
    assert len(list(read_days(tmp_path))) == 6


def test_reading_from_a_day_on_checks_what_it_follows(tmp_path: Path) -> None:
    first, second, third = three_days(tmp_path)
    assert [day for day, _ in read_days(tmp_path, third.stem)] == [third.stem] * 3
    second.write_bytes(second.read_bytes()[: list(read(second))[-1].offset])
    with pytest.raises(JournalDamaged):
        list(read_days(tmp_path, third.stem))
    assert first.exists()


def test_a_file_without_records_does_not_break_the_chain(tmp_path: Path) -> None:
    _, _, third = three_days(tmp_path)
    # Made at midnight, then the process was killed before its first record.
    fourth = tmp_path / "2025-11-24.journal"
    fourth.write_bytes(third.read_bytes()[:8])
    journal = Journal(tmp_path)
    journal.append(Record(DAY_NS + 3 * DAY, RecordKind.OPERATOR, {"n": 99}))
    journal.close()
    assert verify(tmp_path).whole
    assert verify(tmp_path).records == 10


def test_reading_everything_goes_on_behind_damage_and_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, second, _ = three_days(tmp_path)
    data = bytearray(second.read_bytes())
    data[list(read(second))[1].offset + 12] ^= 1
    second.write_bytes(data)
    kept = [record.data["n"] for _, _, record in everything(tmp_path)]
    assert kept == [0, 1, 2, 10, 20, 21, 22]
    assert "fails its checksum" in caplog.text
    assert "does not follow" in caplog.text
