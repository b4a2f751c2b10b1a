"""Closed days as Parquet files beside the database, and the views that show both as one.

A day leaves the database in slices. Each slice is one transaction: its rows are copied into a file under a new name,
sorted by instrument and time; the file is made durable, read back and held against the rows by number and checksum;
then the rows are deleted and the file is named in `archive_files`, in one commit. A kill at any moment leaves the
rows in exactly one place that counts: a file that is not named is a left-over, and `clean_up` takes it away.

Layout: ``archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0001.parquet``. The files hold key, expiry and symbol
beside the id, so that any other tool can read them, and a lost database can be told what they are (`adopt`).
"""

# ruff: noqa: S608 - names, dates and paths of our own; nothing that a user typed

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.calendar import ns
from tradetui.domain.errors import StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

FOLDER: Final = "archive"
KINDS: Final = ("ticks", "bars")
SLICE_ROWS: Final = 1_000_000
"""Ticks in one file, about: what can be sorted within the memory limit without much spilling."""
_PART: Final = ".part"
_LEVEL: Final = 3
_GROUP_ROWS: Final = 122_880
_DAY_US: Final = 86_400_000_000
_SLOT_US: Final = 60_000_000
_IST_DAY: Final = "DATE '1970-01-01' + ((epoch_us(engine_ts) + 19800000000) // 86400000000)::INTEGER"
_NAMES: Final = ("key", "expiry", "symbol")
"""Columns that the files have and the tables do not."""
_NOTE: Final = {
    "ticks": "Ticks of this file and of the archive, with the IST date of engine_ts as session: name it, and only "
    "that day''s files are read",
    "bars": "Bars of this file and of the archive",
}
_SORT: Final = {
    "ticks": "t.instrument_id, t.engine_ts",
    "bars": 't.instrument_id, t."interval", t.start, t.source',
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that go into one file.

    Attributes:
        kind: ``ticks`` or ``bars``.
        session: IST date.
        segment: Segment of their instruments.
        first_us, last_us: Engine time of ticks from and up to, epoch microseconds; not used for bars.
    """

    kind: str
    session: date
    segment: str
    first_us: int = 0
    last_us: int = 0


@dataclass(frozen=True, slots=True)
class Archived:
    """One file that was written.

    Attributes:
        kind: ``ticks`` or ``bars``.
        session: IST date.
        segment: Segment.
        path: Below the archive's folder.
        rows: Rows in it.
        size: Bytes.
    """

    kind: str
    session: date
    segment: str
    path: str
    rows: int
    size: int

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind,
            "session": self.session.isoformat(),
            "segment": self.segment,
            "path": self.path,
            "rows": self.rows,
            "bytes": self.size,
        }


class Archive:
    """Moves closed days of one market database into Parquet files.

    Args:
        connection: Of the market database; a cursor of its own, on the calling thread.
        folder: The archive's folder.
        stop: Asked between slices; ``True`` ends the work early.
    """

    def __init__(
        self, connection: DuckDBPyConnection, folder: Path, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._con = connection
        self._folder = folder
        self._stop = stop

    # --- moving ---------------------------------------------------------------------------------------

    def sessions(self, kind: str) -> list[date]:
        """IST dates of which the database itself holds rows, oldest first."""
        day = _IST_DAY if kind == "ticks" else "session"
        found = self._con.execute(f"SELECT DISTINCT {day} AS day FROM main.{kind} ORDER BY day").fetchall()
        return [row[0] for row in found]

    def move(self, kind: str, before: date) -> Iterator[Archived]:
        """Move every day before ``before`` out of the database, oldest first; yields each file as it is done.

        Raises:
            StorageError: The disk refuses, or what was read back differs. What was moved before stays moved.
        """
        for session in self.sessions(kind):
            if session >= before:
                return
            for piece in self._slices(kind, session):
                if self._stop():
                    return
                done = self._move(piece)
                if done is not None:
                    yield done

    def _slices(self, kind: str, session: date) -> list[Slice]:
        if kind == "bars":
            found = self._con.execute(
                "SELECT DISTINCT segment FROM main.bars JOIN instruments USING (instrument_id) "
                "WHERE session = ? ORDER BY segment",
                [session],
            ).fetchall()
            return [Slice("bars", session, segment) for (segment,) in found]
        first = ns(session, "00:00") // 1000
        found = self._con.execute(
            "SELECT segment, epoch_us(engine_ts) // ? AS slot, count(*) FROM main.ticks "
            "JOIN instruments USING (instrument_id) "
            "WHERE engine_ts >= make_timestamptz(?) AND engine_ts < make_timestamptz(?) "
            "GROUP BY ALL ORDER BY ALL",
            [_SLOT_US, first, first + _DAY_US],
        ).fetchall()
        return _cut(session, found)

    def _move(self, piece: Slice) -> Archived | None:
        import duckdb

        folder = Path(piece.kind) / f"date={piece.session.isoformat()}" / f"segment={_safe(piece.segment)}"
        target, old = None, list[str]()
        try:
            self._con.execute("BEGIN")
            try:
                name = self._next_name(folder)
                target = self._folder / name
                written = self._write(piece, target)
                if written is None:
                    self._con.execute("ROLLBACK")
                    return None
                rows, size, digest = written
                if piece.kind == "bars":
                    old = self._forget_files(piece)
                self._delete(piece)
                self._con.execute(
                    "INSERT INTO archive_files VALUES (?, ?, ?, ?, ?, ?, ?, now())",
                    [str(name), piece.kind, piece.session, piece.segment, rows, size, digest],
                )
                refresh_views(self._con, self._folder, (piece.kind,))
                self._con.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    self._con.execute("ROLLBACK")
                if target is not None:
                    with contextlib.suppress(OSError):
                        target.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StorageError(f"cannot archive {piece.kind} of {piece.session}: {error.strerror}") from error
        except duckdb.Error as error:
            words = str(error).splitlines()[0]
            raise StorageError(f"cannot archive {piece.kind} of {piece.session}: {words}") from error
        for path in old:
            with contextlib.suppress(OSError):  # not named any more: a left-over that `clean_up` finds
                (self._folder / path).unlink()
        return Archived(piece.kind, piece.session, piece.segment, str(name), rows, size)

    def _next_name(self, folder: Path) -> Path:
        place = self._folder / folder
        taken = {path.name for path in place.glob("part-*")} if place.is_dir() else set()
        taken |= {
            Path(row[0]).name
            for row in self._con.execute(
                "SELECT path FROM archive_files WHERE starts_with(path, ?)", [f"{folder}/"]
            ).fetchall()
        }
        number = 1
        while any(name.startswith(f"part-{number:04}.") for name in taken):
            number += 1
        return folder / f"part-{number:04}.parquet"

    def _write(self, piece: Slice, target: Path) -> tuple[int, int, str] | None:
        """Copy a slice into a durable file and hold it against the rows; ``None`` when there are none.

        Returns:
            Rows, bytes, SHA-256.
        """
        columns = columns_of(self._con, piece.kind)
        # Merged with what an earlier file of the day holds, where bars are concerned: `whole` is the union.
        source = "whole.bars" if piece.kind == "bars" else "main.ticks"
        chosen = (
            f"FROM {source} t JOIN instruments i ON i.instrument_id = t.instrument_id WHERE i.segment = {_text(piece.segment)}"
            f" AND {_where(piece)}"
        )
        wanted = self._con.execute(f"SELECT {_checksum(columns)} {chosen}").fetchone()
        if wanted is None or not wanted[0]:
            return None
        made = _make_folder(target.parent, self._folder)
        part = target.with_name(target.name + _PART)
        names = ", ".join(f't."{name}"' for name in columns)
        keys = ", ".join(f"i.{name}" for name in _NAMES)
        try:
            self._con.execute(
                f"COPY (SELECT {names}, {keys} {chosen} ORDER BY {_SORT[piece.kind]}) TO {_text(str(part))} "
                f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {_LEVEL}, ROW_GROUP_SIZE {_GROUP_ROWS})"
            )
            _sync(part)
            found = self._con.execute(
                f"SELECT {_checksum(columns)} FROM read_parquet({_text(str(part))}, hive_partitioning = false) t"
            ).fetchone()
            if found != wanted:
                raise StorageError(
                    f"{piece.kind} of {piece.session} came back different from the disk "
                    f"({found[0] if found else 0} of {wanted[0]} rows): nothing was deleted"
                )
            size, digest = part.stat().st_size, sha256_of(part)
            part.rename(target)
            _sync(target.parent)
            for folder in made:
                _sync(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        return int(wanted[0]), size, digest

    def _delete(self, piece: Slice) -> None:
        of_segment = (
            f"instrument_id IN (SELECT instrument_id FROM instruments WHERE segment = {_text(piece.segment)})"
        )
        self._con.execute(f"DELETE FROM main.{piece.kind} AS t WHERE {_where(piece)} AND {of_segment}")
        if piece.kind == "bars":
            first = ns(piece.session, "00:00") // 1000
            self._con.execute(
                f"DELETE FROM superseded_bars WHERE {of_segment} "
                "AND start >= make_timestamptz(?) AND start < make_timestamptz(?)",
                [first, first + _DAY_US],
            )

    def _forget_files(self, piece: Slice) -> list[str]:
        where = "WHERE kind = ? AND session = ? AND segment = ?"
        terms = [piece.kind, piece.session, piece.segment]
        old = self._con.execute(f"SELECT path FROM archive_files {where}", terms).fetchall()
        self._con.execute(f"DELETE FROM archive_files {where}", terms)
        return [row[0] for row in old]

    # --- retention ------------------------------------------------------------------------------------

    def expire(self, kind: str, keep_days: int) -> list[str]:
        """Delete the oldest archived days beyond ``keep_days``; returns the files that went."""
        days = self._con.execute(
            "SELECT DISTINCT session FROM archive_files WHERE kind = ? ORDER BY session DESC", [kind]
        ).fetchall()
        if keep_days <= 0 or len(days) <= keep_days:
            return []
        last = days[keep_days][0]
        self._con.execute("BEGIN")
        try:
            where = "WHERE kind = ? AND session <= ?"
            gone = self._con.execute(f"SELECT path FROM archive_files {where}", [kind, last]).fetchall()
            self._con.execute(f"DELETE FROM archive_files {where}", [kind, last])
            refresh_views(self._con, self._folder, (kind,))
            self._con.execute("COMMIT")
        except BaseException:
            self._con.execute("ROLLBACK")
            raise
        for (path,) in gone:
            with contextlib.suppress(OSError):
                (self._folder / path).unlink()
        _drop_empty(self._folder)
        return [path for (path,) in gone]


# --- views --------------------------------------------------------------------------------------------


def refresh_views(
    connection: DuckDBPyConnection, folder: Path | None, kinds: tuple[str, ...] = KINDS
) -> list[str]:
    """Make `whole.ticks` and `whole.bars` again over the table and the archive's files.

    Returns:
        Paths of named files that are not there or cannot be read: their rows are missing in the views.
    """
    missing: list[str] = []
    for kind in kinds:
        named = connection.execute(
            "SELECT path FROM archive_files WHERE kind = ? ORDER BY path", [kind]
        ).fetchall()
        there = []
        for (path,) in named:
            if folder is not None and (folder / path).is_file():
                there.append(str((folder / path).absolute()))
            else:
                missing.append(path)
        unread = _make(connection, f"CREATE OR REPLACE VIEW whole.{kind} AS", kind, there)
        missing += [str(Path(path).relative_to(folder.absolute())) for path in unread if folder is not None]
        connection.execute(f"COMMENT ON VIEW whole.{kind} IS '{_NOTE[kind]}'")
    return missing


def temporary_views(connection: DuckDBPyConnection, folder: Path) -> None:
    """The same views for one connection to a file that is not to be changed: its folder may have been moved."""
    if not columns_of(connection, "archive_files"):
        return  # an older layout
    (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    for kind in KINDS:
        named = connection.execute(
            "SELECT path FROM archive_files WHERE kind = ? ORDER BY path", [kind]
        ).fetchall()
        there = [str((folder / path).absolute()) for (path,) in named if (folder / path).is_file()]
        # Qualified, since the database of temporary things has a schema called main too.
        _make(connection, f"CREATE TEMP VIEW {kind} AS", kind, there, f'"{name}".main')


def _make(
    connection: DuckDBPyConnection, head: str, kind: str, files: list[str], place: str = "main"
) -> list[str]:
    """Make a view; returns the files that it leaves out because they cannot be read: one would spoil all of it."""
    import duckdb

    columns = columns_of(connection, kind)
    try:
        connection.execute(f"{head} {_body(kind, columns, files, place)}")
        return []
    except duckdb.Error:
        unread = [path for path in files if not _is_readable(connection, path)]
        if not unread:
            raise
    sound = [path for path in files if path not in unread]
    connection.execute(f"{head} {_body(kind, columns, sound, place)}")
    return unread


def _is_readable(connection: DuckDBPyConnection, path: str) -> bool:
    import duckdb

    try:
        connection.execute(f"SELECT * FROM read_parquet({_text(path)}) LIMIT 0")
    except duckdb.Error:
        return False
    return True


def _body(kind: str, columns: list[str], files: list[str], place: str = "main") -> str:
    names = ", ".join(f't."{name}"' for name in columns)
    own = (
        f"SELECT {names}"
        + (f", {_IST_DAY} AS session" if kind == "ticks" else "")
        + f" FROM {place}.{kind} t"
    )
    if not files:
        return own
    # The day from the folder's name, so that files of other days are not even opened.
    names = ", ".join(f'a."{name}"' if name != "session" else 'a."date" AS session' for name in columns)
    if kind == "ticks":
        names += ', a."date" AS session'
    listed = ", ".join(_text(path) for path in files)
    archived = (
        f" UNION ALL SELECT {names} FROM read_parquet([{listed}], hive_partitioning = true, "
        "hive_types = {'date': DATE, 'segment': VARCHAR}) a"
    )
    if kind == "bars":
        archived += (
            f" ANTI JOIN {place}.superseded_bars s ON a.instrument_id = s.instrument_id "
            'AND a."interval" = s."interval" AND a.start = s.start AND (a.source = \'broker\') = s.from_broker'
        )
    return own + archived


def columns_of(connection: DuckDBPyConnection, table: str) -> list[str]:
    """Columns of a table of ours, in their order."""
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ? "
        "AND database_name = current_database() ORDER BY column_index",
        [table],
    ).fetchall()
    return [row[0] for row in found]


# --- small parts --------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_in(folder: Path) -> dict[str, Path]:
    """Every Parquet file and left-over below the archive's folder, by its relative path."""
    if not folder.is_dir():
        return {}
    found = sorted([*folder.rglob("*.parquet"), *folder.rglob(f"*{_PART}")])
    return {str(path.relative_to(folder)): path for path in found if path.is_file()}


def is_part(path: str) -> bool:
    """Whether a file is one that was never finished."""
    return path.endswith(_PART)


def _cut(session: date, counted: list[tuple[str, int, int]]) -> list[Slice]:
    """Slices of about `SLICE_ROWS` from counts by segment and minute."""
    out: list[Slice] = []
    segment, first, rows = "", 0, 0
    end = 0
    for name, slot, count in counted:
        if segment and (name != segment or rows + count > SLICE_ROWS):
            out.append(Slice("ticks", session, segment, first * _SLOT_US, end * _SLOT_US))
            segment = ""
        if not segment:
            segment, first, rows = name, slot, 0
        rows, end = rows + count, slot + 1
    if segment:
        out.append(Slice("ticks", session, segment, first * _SLOT_US, end * _SLOT_US))
    return out


def _where(piece: Slice) -> str:
    if piece.kind == "bars":
        return f"t.session = DATE '{piece.session.isoformat()}'"
    return f"t.engine_ts >= make_timestamptz({piece.first_us}) AND t.engine_ts < make_timestamptz({piece.last_us})"


def _checksum(columns: list[str]) -> str:
    names = ", ".join(f't."{name}"' for name in columns)
    return f"count(*), sum(hash({names})::HUGEINT)"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _safe(segment: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in segment) or "NONE"


def _make_folder(folder: Path, root: Path) -> list[Path]:
    """Make a folder below ``root``; returns the folders whose entries have to be made durable."""
    made = []
    place = folder
    while place != root.parent and not place.exists():
        made.append(place.parent)
        place = place.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return made


def _drop_empty(root: Path) -> None:
    for folder in sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
