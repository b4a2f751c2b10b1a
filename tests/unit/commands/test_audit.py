"""`tradetui audit`: the first damage by file, record and byte; records as lines and cells."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path

import pytest

from tradetui.commands.audit import run_export, run_verify
from tradetui.domain.errors import JournalDamaged, StorageError, UsageError
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, files, read

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST
NEXT_NS = 86_400 * 10**9


def home_with(tmp_path: Path, account: str = "sim-a", days: int = 2) -> Path:
    journal = Journal(tmp_path / "accounts" / account / "journal")
    for day in range(days):
        journal.append(Record(DAY_NS + day * NEXT_NS, RecordKind.INTENT, {"tag": f"=t{day}", "qty": -1}))
        journal.append(Record(DAY_NS + day * NEXT_NS + 1, RecordKind.FILL, {"tag": f"=t{day}"}))
    journal.close()
    return tmp_path / "accounts" / account / "journal"


def test_a_whole_journal_is_exit_code_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path)
    assert run_verify(str(tmp_path), "", as_json=False) == 0
    assert "whole: 4 records in 2 files of sim-a" in capsys.readouterr().out


def test_r5_damage_is_exit_code_one_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home_with(tmp_path)
    path = files(folder)[0]
    second = list(read(path))[1]
    data = bytearray(path.read_bytes())
    data[second.offset + 10] ^= 1
    path.write_bytes(data)
    assert run_verify(str(tmp_path), "", as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["file"], told["record"], told["offset"]) == (False, path.name, 2, second.offset)
    assert run_verify(str(tmp_path), "", as_json=False) == 1
    assert f"record 2 at byte {second.offset}" in capsys.readouterr().out
    with pytest.raises(JournalDamaged):
        run_export(str(tmp_path), "", None, None, "jsonl", ())
    assert len(capsys.readouterr().out.splitlines()) == 1, "what was good has been printed"


def test_a_cut_tail_is_called_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = files(home_with(tmp_path))[-1]
    path.write_bytes(path.read_bytes()[:-3])
    assert run_verify(str(tmp_path), "", as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["cut_tail"]


def test_the_newest_account_is_taken_unless_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    old = home_with(tmp_path, "paper-a")
    home_with(tmp_path, "sim-b")
    for path in files(old):
        os.utime(path, (1, 1))
    run_verify(str(tmp_path), "", as_json=True)
    assert json.loads(capsys.readouterr().out)["account"] == "sim-b"
    run_verify(str(tmp_path), "paper-a", as_json=True)
    assert json.loads(capsys.readouterr().out)["account"] == "paper-a"
    with pytest.raises(UsageError, match="paper-a, sim-b"):
        run_verify(str(tmp_path), "live", as_json=True)


def test_without_a_journal_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="tradetui run"):
        run_verify(str(tmp_path), "", as_json=True)


def test_days_and_kinds_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path, days=3)
    run_export(str(tmp_path), "", date(2025, 11, 22), date(2025, 11, 22), "jsonl", ("fill",))
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    assert (row["day"], row["kind"], row["number"]) == ("2025-11-22", "fill", 2)


def test_cells_never_start_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path)
    run_export(str(tmp_path), "", None, None, "csv", ())
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["tag"] for row in rows] == ["'=t0", "'=t0", "'=t1", "'=t1"]
    assert json.loads(rows[0]["data"])["qty"] == -1


@pytest.mark.parametrize(
    ("first", "last", "form", "kinds"),
    [
        (date(2025, 2, 2), date(2025, 2, 1), "jsonl", ()),
        (None, None, "xml", ()),
        (None, None, "csv", ("secrets",)),
    ],
)
def test_wrong_use(
    tmp_path: Path, first: date | None, last: date | None, form: str, kinds: tuple[str, ...]
) -> None:
    home_with(tmp_path)
    with pytest.raises(UsageError):
        run_export(str(tmp_path), "", first, last, form, kinds)
