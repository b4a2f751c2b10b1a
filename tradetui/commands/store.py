"""``tradetui store``: size, check, archive, compact and repair of what is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui import config
from tradetui.commands.output import table
from tradetui.commands.stored import account_folder
from tradetui.control.client import NotRunning, ask
from tradetui.domain.errors import StorageError, TradeTuiError
from tradetui.storage import archive, upkeep
from tradetui.storage.lock import DataInUse, DataLock

_PARTS: Final = (
    ("ticks, bars", "market.duckdb"),
    ("their log", "market.duckdb.wal"),
    ("ledger", "ledger.duckdb"),
    ("its log", "ledger.duckdb.wal"),
    ("archived ticks", "archive/ticks"),
    ("archived bars", "archive/bars"),
    ("journal", "journal"),
)
_COUNTS: Final = (
    "SELECT (SELECT count(*) FROM main.ticks) AS ticks, (SELECT count(*) FROM main.bars) AS bars, "
    "(SELECT coalesce(sum(row_count), 0)::BIGINT FROM archive_files WHERE kind = 'ticks') AS archived_ticks, "
    "(SELECT coalesce(sum(row_count), 0)::BIGINT FROM archive_files WHERE kind = 'bars') AS archived_bars"
)


def run_size(home: str | None, account: str, *, as_json: bool) -> int:
    """Say what takes how much room; returns the exit code."""
    place = config.home(home)
    folder = account_folder(place, account)
    rows: list[dict[str, Any]] = []
    for words, name in _PARTS:
        files = _files(folder / name)
        if files:
            rows.append({"what": words, "files": len(files), "bytes": sum(files), "place": name})
    kept = [path for path in folder.glob("*") if path.is_file() and any(w in path.name for w in _KEPT)]
    if kept:
        total = sum(path.stat().st_size for path in kept)
        rows.append({"what": "set aside", "files": len(kept), "bytes": total, "place": folder.name})
    counts = _counts(place, folder, account)
    data = {"account": folder.name, "bytes": sum(row["bytes"] for row in rows), **counts, "rows": rows}
    if as_json:
        print(json.dumps(data))
        return 0
    print(
        table([{**row, "MiB": row["bytes"] / 2**20} for row in rows], ("what", "files", "MiB", "place")),
        f"\n{data['bytes'] / 2**20:.1f} MiB in {folder}",
        sep="\n",
    )
    for name, count in counts.items():
        if count is not None:
            print(f"{name.replace('_', ' ')}: {count}")
    return 0


_KEPT: Final = (".damaged", ".layout-", ".superseded")


def _files(path: Path) -> list[int]:
    """Sizes of a file, or of everything below a folder."""
    if path.is_file():
        return [path.stat().st_size]
    return [one.stat().st_size for one in path.rglob("*") if one.is_file()] if path.is_dir() else []


def _counts(place: config.Home, folder: Path, account: str) -> dict[str, int | None]:
    """Rows by kind, from the engine or the file; ``None`` where neither says."""
    names = ("ticks", "bars", "archived_ticks", "archived_bars")
    try:
        if not account:
            found = ask(place.data_dir, "sql", {"statement": _COUNTS})
            return {name: found["rows"][0][name] for name in names}
    except TradeTuiError:
        pass
    from tradetui.storage.questions import ask as question
    from tradetui.storage.questions import files_of

    try:
        with files_of(folder) as past:
            row = question(past, _COUNTS).rows[0]
        return {name: row[name] for name in names}
    except TradeTuiError:
        return dict.fromkeys(names)


def run_check(home: str | None, account: str, *, quick: bool, as_json: bool) -> int:
    """Look into everything; returns 1 when something is damaged or missing."""
    place = config.home(home)
    if not account:
        try:
            return _print_check(ask(place.data_dir, "check", {}, 300.0), as_json)
        except NotRunning:
            pass
    folder = account_folder(place, account)
    found = upkeep.check(folder, deep=not quick)
    return _print_check({"source": "files", "account": folder.name, **found.as_data()}, as_json)


def _print_check(data: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(data))
    else:
        for name, count in data["tables"].items():
            print(f"{name:20} {count} rows")
        print(f"{'archive':20} {data['files']} files, {data['archived_rows']} rows")
        for one in data["rows"]:
            print(f"{'DAMAGED' if one['bad'] else 'note'}: {one['place']}: {one['words']}")
        print("everything is whole" if data["sound"] else "see `tradetui store repair`")
    return 0 if data["sound"] else 1


def run_archive(home: str | None, account: str, before: date | None, *, as_json: bool) -> int:
    """Move closed days into the archive; returns the exit code.

    Raises:
        StorageError: The disk refuses, or another program holds the data.
    """
    place = config.home(home)
    rows = None
    if not account:
        try:
            args = {"before": before.isoformat()} if before else {}
            rows = ask(place.data_dir, "archive", args, 3600.0)["rows"]
        except NotRunning:
            pass
    if rows is None:
        rows = _archive_files(place, account_folder(place, account), before)
    if as_json:
        print(json.dumps({"files": len(rows), "rows": rows}))
    elif rows:
        print(table(rows, ("kind", "session", "segment", "rows", "bytes", "path")))
    else:
        print("no closed day has to leave the database")
    return 0


def _archive_files(place: config.Home, folder: Path, before: date | None) -> list[dict[str, Any]]:
    from tradetui.storage.database import Settings, open_database
    from tradetui.storage.keeper import Keep, archive_closed
    from tradetui.storage.schema import MARKET

    storage = config.load(place.config_file).storage
    with DataLock(place.data_dir, "tradetui store archive"):
        opened = open_database(folder / "market.duckdb", MARKET, Settings(memory_mb=upkeep.MEMORY_MB))
        try:
            upkeep.take_up(opened, folder / archive.FOLDER)
            box = archive.Archive(opened.connection, folder / archive.FOLDER)
            if before is not None:
                done = [one for kind in archive.KINDS for one in box.move(kind, before)]
            else:
                keep = Keep(storage.ticks_days, storage.bars_days, storage.archive_days)
                done = archive_closed(box, keep, None)
            opened.connection.execute("CHECKPOINT")
        finally:
            opened.connection.close()
    return [one.as_data() for one in done]


def run_compact(home: str | None, account: str, *, as_json: bool) -> int:
    """Write the market database anew; returns the exit code.

    Raises:
        StorageError: The disk refuses, or another program holds the data.
    """
    place = config.home(home)
    folder = account_folder(place, account)
    with _held(place, "tradetui store compact"):
        before, after = upkeep.compact(folder)
    if as_json:
        print(json.dumps({"account": folder.name, "bytes_before": before, "bytes_after": after}))
    else:
        print(f"market.duckdb of {folder.name}: {before / 2**20:.1f} MiB before, {after / 2**20:.1f} MiB now")
    return 0


def run_repair(home: str | None, account: str, *, as_json: bool) -> int:
    """Mend what can be mended; returns the exit code.

    Raises:
        StorageError: The disk refuses, or another program holds the data.
    """
    place = config.home(home)
    folder = account_folder(place, account)
    with _held(place, "tradetui store repair"):
        done = upkeep.repair(folder)
        sound = upkeep.check(folder).sound
    if as_json:
        print(json.dumps({"account": folder.name, "done": done, "sound": sound}))
    else:
        for words in done or ["nothing had to be done"]:
            print(words)
    return 0 if sound else 1


def _held(place: config.Home, purpose: str) -> DataLock:
    try:
        return DataLock(place.data_dir, purpose)
    except DataInUse as error:
        raise StorageError(f"{error.message}: this needs the files for itself", error.remedy) from None
