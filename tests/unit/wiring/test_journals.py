"""Taking over what a stand-in wrote: all of it, once, whatever interrupts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, everything, verify
from tradetui.wiring.journals import adopt, every_record, journal_dir, stand_in_dir, tag_prefix

T = 1_795_146_300_000_000_000


def write(folder: Path, *texts: str, start: int = T) -> None:
    journal = Journal(folder)
    for number, text in enumerate(texts):
        journal.append(Record(start + number, RecordKind.DECISION, {"text": text}))
    journal.sync()
    journal.close()


def texts(folder: Path) -> list[str]:
    return [r.data["text"] for _, _, r in everything(folder) if r.kind is RecordKind.DECISION]


def test_nothing_to_take_over(tmp_path: Path) -> None:
    write(journal_dir(tmp_path), "a")
    assert adopt(tmp_path, T) == 0
    assert texts(journal_dir(tmp_path)) == ["a"]


def test_what_a_stand_in_wrote_comes_behind_and_is_put_aside(tmp_path: Path) -> None:
    write(journal_dir(tmp_path), "a", "b")
    write(stand_in_dir(tmp_path), "c", "d", start=T + 100)
    assert [r.data["text"] for r in every_record(tmp_path)] == ["a", "b", "c", "d"]
    assert adopt(tmp_path, T + 200) == 2
    assert texts(journal_dir(tmp_path)) == ["a", "b", "c", "d"]
    assert texts(stand_in_dir(tmp_path)) == []
    assert [r.data.get("text", "") for r in every_record(tmp_path)] == ["a", "b", "c", "d", ""]
    assert adopt(tmp_path, T + 300) == 0
    assert verify(journal_dir(tmp_path)).whole


def test_a_second_stand_in_of_the_day_is_taken_over_too(tmp_path: Path) -> None:
    write(journal_dir(tmp_path), "a")
    write(stand_in_dir(tmp_path), "c", start=T + 100)
    adopt(tmp_path, T + 200)
    write(stand_in_dir(tmp_path), "d", start=T + 300)
    assert adopt(tmp_path, T + 400) == 1
    assert texts(journal_dir(tmp_path)) == ["a", "c", "d"]


def test_an_interrupted_copy_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stand_in_dir(tmp_path), "a", "b", "c")
    append, count = Journal.append, 0

    def breaks(self: Journal, record: Record) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        append(self, record)

    monkeypatch.setattr(Journal, "append", breaks)
    with pytest.raises(KeyboardInterrupt):
        adopt(tmp_path, T + 200)
    monkeypatch.setattr(Journal, "append", append)
    assert texts(journal_dir(tmp_path)) == ["a", "b"]
    assert adopt(tmp_path, T + 300) == 1
    assert texts(journal_dir(tmp_path)) == ["a", "b", "c"]


def test_a_stand_in_has_tags_of_its_own(tmp_path: Path) -> None:
    engine, guard = tag_prefix(tmp_path, "261120"), tag_prefix(tmp_path, "261120", "w")
    assert engine == tag_prefix(tmp_path, "261120")
    assert not guard.startswith(engine)
    assert not engine.startswith(guard)
    assert len(guard) + 5 <= 40


def test_r1_killed_while_the_first_mark_was_written_the_next_start_has_one(tmp_path: Path) -> None:
    (tmp_path / "installation").write_text("")
    first = tag_prefix(tmp_path, "261120")
    assert len(first) == len("tt261120") + 4 + len("-")
    assert tag_prefix(tmp_path, "261120") == first
