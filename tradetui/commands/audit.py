"""`tradetui audit`: is the journal whole, and what does it say. Reads the files; an engine may be writing them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui import config
from tradetui.commands.output import safe_cell
from tradetui.control.rows import moment
from tradetui.domain.errors import StorageError, UsageError

if TYPE_CHECKING:
    from tradetui.journal import StoredRecord, Verdict

_TRIES: Final = 5
"""Looks at a tail that may only be half written right now."""
FORMATS: Final = ("jsonl", "csv")


def journal_folder(place: config.Home, wanted: str = "") -> Path:
    """The journal of an account: the one named, else the one written last.

    Raises:
        UsageError: There is no such account.
        StorageError: There is none at all.
    """
    root = place.data_dir / "accounts"
    known = sorted(path for path in root.glob("*/journal") if any(path.glob("*.journal")))
    if wanted:
        for folder in known:
            if folder.parent.name == wanted:
                return folder
        names = ", ".join(folder.parent.name for folder in known) or "none yet"
        raise UsageError(f"no account {wanted!r} with a journal", f"there are: {names}")
    if not known:
        raise StorageError(f"there is no journal in {place.data_dir} yet", "start `tradetui run`")
    return max(known, key=lambda folder: max(path.stat().st_mtime_ns for path in folder.glob("*.journal")))


def run_verify(home: str | None, account: str, *, as_json: bool) -> int:
    """Check frames, numbers, hashes and the chain from file to file; exit code 1 at the first damage."""
    from tradetui.journal import verify

    folder = journal_folder(config.home(home), account)
    verdict = verify(folder)
    for _ in range(_TRIES):
        if not verdict.cut:
            break
        verdict = verify(folder)  # an engine may have been in the middle of that record
    if as_json:
        print(json.dumps(_as_data(folder, verdict)))
    else:
        for file in verdict.files:
            print(f"{file.name}  {file.records:9,} records  {file.size:12,} bytes  {file.last[:16]}")
        if verdict.reserved:
            print(f"{verdict.reserved} records wait in the emergency reserve for space on the disk")
        if verdict.whole:
            print(f"whole: {verdict.records:,} records in {len(verdict.files)} files of {folder.parent.name}")
        else:
            print(f"DAMAGED: {verdict.damage}")
            if verdict.cut:
                print("it is a cut tail, as after a power failure: `tradetui run` sets it aside")
    return 0 if verdict.whole else 1


def _as_data(folder: Path, verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": verdict.whole,
        "account": folder.parent.name,
        "records": verdict.records,
        "reserved": verdict.reserved,
        "damage": verdict.damage,
        "file": verdict.file,
        "record": verdict.number,
        "offset": verdict.offset,
        "cut_tail": verdict.cut,
        "begins_at": verdict.begins_at,
        "files": [
            {"name": one.name, "records": one.records, "bytes": one.size, "sha256": one.last}
            for one in verdict.files
        ],
    }


def run_export(
    home: str | None, account: str, first: date | None, last: date | None, form: str, kinds: tuple[str, ...]
) -> int:
    """Print the journal's records as JSON lines or CSV, checked on the way.

    Raises:
        UsageError: No such format or kind of record, or the days are the wrong way round.
        JournalDamaged: At the first thing that is wrong; everything before it has been printed.
    """
    from tradetui.domain.records import RecordKind

    if form not in FORMATS:
        raise UsageError(f"no format {form!r}", f"there are: {', '.join(FORMATS)}")
    if first and last and first > last:
        raise UsageError("--from lies behind --to")
    known = {kind.value for kind in RecordKind}
    if not set(kinds) <= known:
        raise UsageError(
            f"no kind {sorted(set(kinds) - known)[0]!r}", f"there are: {', '.join(sorted(known))}"
        )
    folder = journal_folder(config.home(home), account)
    rows = _rows(folder, first, last, frozenset(kinds))
    if form == "csv":
        _csv(rows)
    else:
        for day, stored in rows:
            record = stored.record
            line = {
                "day": day, "number": stored.number, "time": moment(record.t_ns), "t_ns": record.t_ns,
                "kind": record.kind.value, "data": record.data, "meta": record.meta, "sha256": stored.sha256,
            }  # fmt: skip
            print(json.dumps(line, ensure_ascii=False))
    return 0


def _rows(
    folder: Path, first: date | None, last: date | None, kinds: frozenset[str]
) -> Iterator[tuple[str, StoredRecord]]:
    from tradetui.journal import read_days

    for day, stored in read_days(folder, first.isoformat() if first else ""):
        if last and day > last.isoformat():
            return
        if not kinds or stored.record.kind.value in kinds:
            yield day, stored


def _csv(rows: Iterator[tuple[str, StoredRecord]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["day", "number", "time", "t_ns", "kind", "tag", "data", "sha256"])
    for day, stored in rows:
        record = stored.record
        cells = [
            day, stored.number, moment(record.t_ns), record.t_ns, record.kind.value, record.data.get("tag", ""),
            json.dumps(record.data, ensure_ascii=False), stored.sha256,
        ]  # fmt: skip
        writer.writerow([safe_cell(cell) for cell in cells])
