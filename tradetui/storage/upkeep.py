# ruff: noqa: S608 - names, dates and paths of our own; nothing that a user typed
"""Keep the market database and its archive sound: take the archive up at a start, check, repair, compact, measure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.errors import StorageError
from tradetui.storage import archive
from tradetui.storage.database import Opened, Settings, check_file, open_database
from tradetui.storage.schema import MARKET, Schema, create

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_MB: Final = 256
_COMPACT: Final = ".compact"
_ORDER: Final = {"bars": '"interval", session, instrument_id, start', "instruments": "instrument_id"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `check` found.

    Attributes:
        place: File or table.
        words: What is wrong, or what is to be known.
        bad: It is damage or loss; else only a note.
    """

    place: str
    words: str
    bad: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check looked at, and what it found.

    Attributes:
        rows: Table -> rows in the database itself.
        files: Files of the archive.
        archived_rows: Rows in them.
        findings: In the order in which they were found.
    """

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    archived_rows: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def sound(self) -> bool:
        """Nothing is damaged or lost."""
        return not any(one.bad for one in self.findings)

    def as_data(self) -> dict[str, Any]:
        """For JSON; what was found stands under ``rows``."""
        return {
            "sound": self.sound,
            "tables": self.rows,
            "files": self.files,
            "archived_rows": self.archived_rows,
            "rows": [{"place": one.place, "words": one.words, "bad": one.bad} for one in self.findings],
        }


# --- at a start ---------------------------------------------------------------------------------------


def take_up(opened: Opened, folder: Path) -> list[str]:
    """Bring the views of a database that was just opened in line with the files of its archive.

    A database that was made new beside an archive (the old one was lost or set aside) adopts its files.

    Returns:
        What the user should know, one line each.
    """
    notices = []
    connection = opened.connection
    if opened.created and (found := archive.files_in(folder)):
        adopted, words = adopt(connection, folder, found)
        notices += words
        if adopted:
            notices.append(f"{adopted} files of the archive were taken over")
    missing = archive.refresh_views(connection, folder)
    if missing:
        notices.append(
            f"{len(missing)} files of the archive are missing or damaged, {missing[0]} among them: see `tradetui store check`"
        )
    return notices


def adopt(connection: DuckDBPyConnection, folder: Path, files: Iterable[str]) -> tuple[int, list[str]]:
    """Name files of the archive that the database does not know; instruments get the ids that the files use.

    Returns:
        How many were taken over, and why others were not, one line each.
    """
    words, count = [], 0
    for path in files:
        kind, session, segment = _place(path)
        if archive.is_part(path) or kind not in archive.KINDS:
            continue
        try:
            connection.execute("BEGIN")
            count += _adopt_one(connection, folder, path, (kind, session, segment))
            connection.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(Exception):
                connection.execute("ROLLBACK")
            words.append(f"{path} of the archive was left alone: {str(error).splitlines()[0][:160]}")
    archive.refresh_views(connection, folder)
    return count, words


def _adopt_one(connection: DuckDBPyConnection, folder: Path, path: str, place: tuple[str, str, str]) -> int:
    kind, session, segment = place
    whole = folder / path
    source = f"read_parquet({_text(str(whole.absolute()))}, hive_partitioning = false)"
    clash = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT instrument_id, key, expiry FROM {source}) f "
        "JOIN instruments i ON (i.instrument_id = f.instrument_id) "
        "<> (i.key = f.key AND i.expiry IS NOT DISTINCT FROM f.expiry)"
    ).fetchone()
    if clash and clash[0]:
        raise StorageError("its instruments have other numbers in this database")
    time = "engine_ts" if kind == "ticks" else "start"
    connection.execute(
        "INSERT INTO instruments "
        "SELECT instrument_id, any_value(key), any_value(expiry), min(t), max(t), any_value(symbol), "
        "any_value(symbol), ?, split_part(?, '_', 1), ?, '', 1, 5, 0, NULL, '', '', '', 1 "
        f"FROM (SELECT instrument_id, key, expiry, symbol, {time} AS t FROM {source}) "
        "WHERE instrument_id NOT IN (SELECT instrument_id FROM instruments) GROUP BY instrument_id",
        [segment, segment, _kind_of(segment)],
    )
    rows = (connection.execute(f"SELECT count(*) FROM {source}").fetchone() or (0,))[0]
    connection.execute(
        "INSERT INTO archive_files VALUES (?, ?, ?::DATE, ?, ?, ?, ?, now())",
        [path, kind, session, segment, rows, whole.stat().st_size, archive.sha256_of(whole)],
    )
    return 1


def clean_up(connection: DuckDBPyConnection, folder: Path) -> list[str]:
    """Delete what a kill left in the archive: files that were never finished, or that the database replaced.

    A file that is not named is deleted only when every row of it is in what is named or in the database;
    returns the files that went.
    """
    named = {row[0] for row in connection.execute("SELECT path FROM archive_files").fetchall()}
    gone = []
    for path, whole in archive.files_in(folder).items():
        if path in named or not (archive.is_part(path) or _is_held(connection, path, whole)):
            continue
        whole.unlink(missing_ok=True)
        gone.append(path)
    return gone


def _is_held(connection: DuckDBPyConnection, path: str, whole: Path) -> bool:
    kind, session, _ = _place(path)
    if kind not in archive.KINDS:
        return False
    names = ", ".join(f'"{name}"' for name in archive.columns_of(connection, kind) if name != "session")
    # Bars may have been revised since: then the newer one counts, and its place is what is compared.
    keys = names if kind == "ticks" else "instrument_id, \"interval\", start, source = 'broker'"
    try:
        left = connection.execute(
            f"SELECT count(*) FROM (SELECT {keys} FROM read_parquet({_text(str(whole.absolute()))}, "
            f"hive_partitioning = false) EXCEPT ALL SELECT {keys} FROM whole.{kind} WHERE session = ?::DATE)",
            [session],
        ).fetchone()
    except Exception:  # not readable: nothing is deleted that nobody could look into
        return False
    return left is not None and not left[0]


# --- on request, while no engine runs -----------------------------------------------------------------


def check(folder: Path, schema: Schema = MARKET, deep: bool = True) -> Checked:
    """Look into the market database and every file of its archive; changes nothing.

    Args:
        folder: Directory of the account.
        schema: Layout of the database.
        deep: Read every row and every byte, not only the structure.
    """
    path = folder / "market.duckdb"
    place = folder / archive.FOLDER
    if not path.exists():
        left = [Finding(archive.FOLDER, f"{len(archive.files_in(place))} files without a database")]
        return Checked(findings=tuple(left if archive.files_in(place) else ()))
    why = check_file(path, schema)
    if why:
        return Checked(findings=(Finding(path.name, why),))
    import duckdb

    with duckdb.connect(
        str(path), read_only=True, config=Settings(memory_mb=MEMORY_MB).config()
    ) as connection:
        return check_open(connection, place, deep=deep)


def check_open(connection: DuckDBPyConnection, place: Path, *, deep: bool) -> Checked:
    """Look into an open market database and its archive.

    Args:
        connection: Of the database.
        place: The archive's folder.
        deep: Read every row and every byte.
    """
    import duckdb

    findings: list[Finding] = []
    rows: dict[str, int] = {}
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary ORDER BY 1"
    ).fetchall()
    for (name,) in tables:
        columns = ", ".join(f'"{column}"' for column in archive.columns_of(connection, name))
        look = f"count(*), sum(hash({columns})::HUGEINT)" if deep else "count(*), NULL"
        try:
            found = connection.execute(f'SELECT {look} FROM main."{name}"').fetchone()
            rows[name] = found[0] if found else 0
        except duckdb.Error as error:
            findings.append(Finding(f"market.duckdb, {name}", str(error).splitlines()[0][:200]))
    if "archive_files" not in rows:
        words = "it has an older layout, which the next `tradetui run` brings forward"
        return Checked(rows, findings=(*findings, Finding("market.duckdb", words, bad=False)))
    files, archived, more = _check_archive(connection, place, deep)
    return Checked(rows, files, archived, tuple(findings + more + _check_bars(connection)))


def _check_bars(connection: DuckDBPyConnection) -> list[Finding]:
    twice = connection.execute(
        'SELECT count(*) FROM (SELECT 1 FROM main.bars GROUP BY instrument_id, "interval", start, '
        "source = 'broker' HAVING count(*) > 1)"
    ).fetchone()
    lost = connection.execute(
        "SELECT (SELECT count(*) FROM main.bars ANTI JOIN instruments USING (instrument_id)) "
        "+ (SELECT count(*) FROM main.ticks ANTI JOIN instruments USING (instrument_id))"
    ).fetchone()
    out = []
    if twice and twice[0]:
        out.append(Finding("bars", f"{twice[0]} bars are there more than once"))
    if lost and lost[0]:
        out.append(Finding("ticks, bars", f"{lost[0]} rows name no instrument"))
    return out


def _check_archive(
    connection: DuckDBPyConnection, folder: Path, deep: bool
) -> tuple[int, int, list[Finding]]:
    out: list[Finding] = []
    named = connection.execute(
        "SELECT path, row_count, bytes, sha256 FROM archive_files ORDER BY path"
    ).fetchall()
    there = archive.files_in(folder)
    rows = 0
    for path, count, size, digest in named:
        whole = there.pop(path, None)
        rows += count
        where = f"{archive.FOLDER}/{path}"
        if whole is None:
            out.append(Finding(where, f"is missing: {count} rows are lost"))
        elif whole.stat().st_size != size or (deep and archive.sha256_of(whole) != digest):
            out.append(Finding(where, "is not the file that was written: damaged or changed"))
    for path in there:
        words = (
            "was never finished"
            if archive.is_part(path)
            else "is not named in the database and does not count"
        )
        out.append(Finding(f"{archive.FOLDER}/{path}", f"{words}: see `tradetui store repair`", bad=False))
    return len(named), rows, out


def repair(folder: Path) -> list[str]:
    """Mend what can be mended; what is damaged is set aside under a name of its own, never deleted.

    The caller holds the data directory. Returns what was done, one line each.

    Raises:
        StorageError: The disk refuses, or another program holds the database.
    """
    place = folder / archive.FOLDER
    opened = open_database(folder / "market.duckdb", MARKET, Settings(memory_mb=MEMORY_MB))
    done = [*opened.notices]
    connection = opened.connection
    try:
        done += take_up(opened, place)
        done += [f"{archive.FOLDER}/{path}: a left-over, deleted" for path in clean_up(connection, place)]
        done += _mend_archive(connection, place)
        done += _mend_bars(connection)
        connection.execute("CHECKPOINT")
    finally:
        connection.close()
    return done


def _mend_archive(connection: DuckDBPyConnection, folder: Path) -> list[str]:
    done: list[str] = []
    for path, count, digest in connection.execute(
        "SELECT path, row_count, sha256 FROM archive_files ORDER BY path"
    ).fetchall():
        whole = folder / path
        if whole.is_file() and archive.sha256_of(whole) == digest:
            continue
        connection.execute("DELETE FROM archive_files WHERE path = ?", [path])
        if whole.is_file():
            kept = whole.with_name(f"{whole.name}.damaged")
            whole.rename(kept)
            done.append(f"{archive.FOLDER}/{path} is damaged ({count} rows) and was set aside as {kept.name}")
        else:
            done.append(f"{archive.FOLDER}/{path} is missing ({count} rows): it is not asked for any more")
    named = {row[0] for row in connection.execute("SELECT path FROM archive_files").fetchall()}
    strange = [path for path in archive.files_in(folder) if path not in named]
    adopted, words = adopt(connection, folder, strange)
    if adopted:
        done.append(f"{adopted} files of the archive were taken over")
    return done + words


def _mend_bars(connection: DuckDBPyConnection) -> list[str]:
    gone = connection.execute(
        "DELETE FROM main.bars WHERE rowid NOT IN (SELECT max(rowid) FROM main.bars GROUP BY instrument_id, "
        "\"interval\", start, source = 'broker')"
    ).fetchone()
    return [f"{gone[0]} bars that were there twice: the newer one stays"] if gone and gone[0] else []


def compact(folder: Path) -> tuple[int, int]:
    """Write the market database anew without its holes, bars by instrument, and put it in the old one's place.

    The caller holds the data directory. A kill leaves the old file or the new one, each whole.

    Returns:
        Bytes before and after.

    Raises:
        StorageError: The disk refuses, another program holds the database, or the copy differs.
    """
    path = folder / "market.duckdb"
    settings = Settings(memory_mb=MEMORY_MB)
    opened = open_database(path, MARKET, settings)
    opened.connection.execute("CHECKPOINT")
    opened.connection.close()
    before = path.stat().st_size
    fresh = path.with_name(path.name + _COMPACT)
    for old in (fresh, fresh.with_name(fresh.name + ".wal")):
        old.unlink(missing_ok=True)
    try:
        _copy(path, fresh, settings)
        handle = os.open(fresh, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        log_file = path.with_name(path.name + ".wal")
        if log_file.exists() and log_file.stat().st_size:
            raise StorageError(f"{path.name} was written to meanwhile")
        log_file.unlink(missing_ok=True)
        fresh.chmod(0o600)
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"cannot compact {path.name}: {error.strerror}") from error
    finally:
        for old in (fresh, fresh.with_name(fresh.name + ".wal")):
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)
    return before, path.stat().st_size


def _copy(path: Path, fresh: Path, settings: Settings) -> None:
    import duckdb

    try:
        with duckdb.connect(str(fresh), config=settings.config()) as connection:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            create(connection, MARKET)
            connection.execute(f"ATTACH {_text(str(path))} AS old (READ_ONLY)")
            tables = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old' AND schema_name = 'main' ORDER BY 1"
            ).fetchall()
            for (name,) in tables:
                if name == "meta":
                    continue
                order = f" ORDER BY {_ORDER[name]}" if name in _ORDER else ""
                connection.execute(
                    f'INSERT INTO main."{name}" BY NAME SELECT * FROM old.main."{name}"{order}'
                )
                columns = ", ".join(f'"{one}"' for one in archive.columns_of(connection, name))
                look = f"SELECT count(*), sum(hash({columns})::HUGEINT) FROM"
                one = connection.execute(f'{look} main."{name}"').fetchone()
                other = connection.execute(f'{look} old.main."{name}"').fetchone()
                if one != other:
                    raise StorageError(f"the copy of {name} differs from it: nothing was changed")
            archive.refresh_views(connection, path.parent / archive.FOLDER)
            connection.execute("DETACH old")
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise StorageError(f"cannot compact {path.name}: {str(error).splitlines()[0]}") from error


# --- small parts --------------------------------------------------------------------------------------


def _place(path: str) -> tuple[str, str, str]:
    """Kind, day and segment of a file of the archive, from its path; empty texts where it names none."""
    parts = Path(path).parts
    if len(parts) != 4 or not parts[1].startswith("date=") or not parts[2].startswith("segment="):
        return "", "", ""
    return parts[0], parts[1].removeprefix("date="), parts[2].removeprefix("segment=")


def _kind_of(segment: str) -> str:
    """The kind of an instrument of which only the segment is known; the next run that sees it knows better."""
    words = {"INDEX": "INDEX", "FO": "FUT", "COM": "FUT", "FUT": "FUT"}
    return words.get(segment.rpartition("_")[2], "EQ")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
