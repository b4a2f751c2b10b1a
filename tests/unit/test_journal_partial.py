"""Reading a journal without the content that nobody wants: what comes, and that nothing is checked less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradetui.domain.errors import JournalDamaged
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, everything, files, read

T0_NS = 1_765_773_000_000_000_000
LOOKS_LIKE_AN_END = '","k":"order","m":{},"n":1,"p":"' + "0" * 64 + '","t":1}'


def written(folder: Path) -> list[Record]:
    """A journal of wire notes and orders, one of them with ``meta``, one with text that looks like an end."""
    records = [
        Record(T0_NS, RecordKind.WIRE, {"body": LOOKS_LIKE_AN_END}),
        Record(T0_NS + 1, RecordKind.ORDER, {"tag": "a-1"}),
        Record(T0_NS + 2, RecordKind.WIRE, {"body": {"k": "order", "m": {}}}),
        Record(T0_NS + 3, RecordKind.WIRE, {"n": 2}, {"adopted": "2025-12-15#1#2"}),
        Record(T0_NS + 4, RecordKind.ORDER, {"tag": "a-2"}),
    ]
    journal = Journal(folder)
    for record in records:
        journal.append(record)
    journal.close()
    return records


def test_records_that_are_not_wanted_come_empty_in_their_places(tmp_path: Path) -> None:
    records = written(tmp_path)
    found = list(everything(tmp_path, skip=frozenset({RecordKind.WIRE})))
    assert [number for _, number, _ in found] == [1, 2, 3, 4, 5]
    assert [(one.t_ns, one.kind) for _, _, one in found] == [(one.t_ns, one.kind) for one in records]
    assert [dict(one.data) for _, _, one in found] == [{}, {"tag": "a-1"}, {}, {"n": 2}, {"tag": "a-2"}]


def test_a_reader_that_knows_the_beginning_gets_the_rest_whole(tmp_path: Path) -> None:
    records = written(tmp_path)
    found = [record for _, _, record in everything(tmp_path, files(tmp_path)[0].stem, 3)]
    assert found[2:] == records[2:]
    assert not found[0].data
    assert not found[1].data


def test_hashes_numbers_and_ends_are_the_same_without_the_content(tmp_path: Path) -> None:
    written(tmp_path)
    path = files(tmp_path)[0]
    whole, partly = list(read(path)), list(read(path, wanted=lambda kind, number: False))
    places = [(one.number, one.offset, one.end, one.previous, one.sha256) for one in whole]
    assert [(one.number, one.offset, one.end, one.previous, one.sha256) for one in partly] == places


@pytest.mark.parametrize("at", [40, -30])
def test_damage_is_found_in_what_is_not_wanted_too(tmp_path: Path, at: int) -> None:
    written(tmp_path)
    path = files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="checksum"):
        list(read(path, wanted=lambda kind, number: False))
