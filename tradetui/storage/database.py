"""Open a DuckDB file: settings, who holds it, what is damaged, which layout it has.

DuckDB says little by itself about a torn file: a write-ahead log cut in its last record is read without a word,
and a cut data file may open and fail hours later. So the file is held against its own header (`blocks.py`), a log
that is left over from a crash is said, and what cannot be opened is set aside under a name of its own, never deleted.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tradetui.domain.errors import StorageError
from tradetui.storage.blocks import Damaged, check_blocks
from tradetui.storage.schema import Schema, check_version, create, migrate, version_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

_FRAME = struct.Struct("<QQ")  # payload size, checksum
_LOG_HEAD = bytes.fromhex("640062650002")  # entry "version" of the log, version 2
_LOCKED = re.compile(r"Conflicting lock is held in (?P<program>\S+)(?: \(PID (?P<pid>\d+)\))?")
_OUTSIDE = re.compile(
    r"no space left|file too large|permission denied|read-only file|input/output error|too many open files|"
    r"disk quota|cannot allocate|out of memory",
    re.IGNORECASE,
)
"""Words of the system about the disk, not about the file: such a file is never called damaged."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of the machine a database may use.

    Attributes:
        memory_mb: Memory limit in MB (128 held 228 MB of process where the default grew to 612).
        checkpoint_mb: Size of the write-ahead log at which it is folded into the file, MB.
        threads: Threads of the database.
    """

    memory_mb: int = 128
    checkpoint_mb: int = 256
    threads: int = 1

    def config(self) -> dict[str, str | bool | int | float | list[str]]:
        """In DuckDB's words. Extensions are never fetched or loaded behind our back."""
        return {
            "memory_limit": f"{self.memory_mb}MB",
            "checkpoint_threshold": f"{self.checkpoint_mb}MB",
            "threads": self.threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }


@dataclass(slots=True)
class Opened:
    """An open database.

    Attributes:
        connection: For the one thread that writes; readers use `cursor` of it.
        created: It was made new just now.
        notices: What the user should know about the opening, one line each.
    """

    connection: DuckDBPyConnection
    created: bool
    notices: list[str] = field(default_factory=list)


def confine(connection: DuckDBPyConnection, folders: Iterable[Path] = ()) -> None:
    """Close a database off from the machine's files but some folders, for good: users' questions are put to it.

    Args:
        connection: Of the database; holds for every connection to it.
        folders: Where Parquet files of ours lie.
    """
    listed = [f"{folder.absolute()}/" for folder in folders]
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in listed)
    connection.execute("SET GLOBAL python_enable_replacements = false")
    connection.execute(f"SET GLOBAL allowed_directories = [{names}]")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


def is_outside(error: BaseException) -> bool:
    """Whether an error is the disk's or the memory's, so that the same work may succeed later."""
    import duckdb

    lasting = (duckdb.IOException, duckdb.OutOfMemoryException, OSError, MemoryError)
    return isinstance(error, lasting) or is_fatal(error) or _OUTSIDE.search(str(error)) is not None


def is_fatal(error: BaseException) -> bool:
    """Whether the database object is of no use any more and has to be opened again."""
    import duckdb

    return (
        isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.ConnectionException)
        or "has been invalidated" in str(error)
        or "Connection already closed" in str(error)
    )


def set_aside(path: Path, word: str = "damaged") -> Path:
    """Rename a file, and its log, to the first free ``<name>.<word>-<n>``; return the new name of the file."""
    number = 1
    while (target := path.with_name(f"{path.name}.{word}-{number}")).exists():
        number += 1
    path.rename(target)
    log_file = _log_of(path)
    if log_file.exists():
        log_file.rename(_log_of(target))
    return target


def open_database(path: Path | None, schema: Schema, settings: Settings) -> Opened:
    """Open or make a database in the newest layout.

    Args:
        path: The file; ``None`` for one in memory.
        schema: Its layout.
        settings: Memory, threads.

    Raises:
        StorageError: Another process holds it, it is newer than this program, or the disk refuses.
    """
    if path is None:
        connection = _connect(":memory:", settings)
        create(connection, schema)
        return Opened(connection, created=True)
    notices: list[str] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if not path.exists() and _log_of(path).exists():
        stray = _log_of(path).rename(_free(_log_of(path)))
        notices.append(f"{path.name} is missing while its log is not; the log is kept as {stray.name}")
    if path.exists():
        found = _open_existing(path, schema, settings, notices)
        if found is not None:
            return found
    connection = _connect(str(path), settings)
    with contextlib.suppress(OSError):
        path.chmod(0o600)
    create(connection, schema)
    return Opened(connection, True, notices)


def check_file(path: Path, schema: Schema) -> str:
    """Look into a database without changing it.

    Returns:
        Why it cannot be used; empty when it can.
    """
    import duckdb

    try:
        check_blocks(path)
        with duckdb.connect(str(path), read_only=True, config=Settings(memory_mb=64).config()) as connection:
            version = version_of(connection)
            check_version(schema, version, path.name)
            if not version and _holds_tables(connection):
                return "it is a database, but not one of tradetui's"
    except (StorageError, Damaged) as error:
        return str(error)
    except duckdb.Error as error:
        held = _LOCKED.search(str(error))
        return f"in use by another program ({held['program']})" if held else _first_line(error)
    return ""


def _open_existing(path: Path, schema: Schema, settings: Settings, notices: list[str]) -> Opened | None:
    """The open file, or ``None`` after it was set aside."""
    unclean = _log_of(path).exists() and _log_of(path).stat().st_size > 0
    words = _keep_if_cut(_log_of(path)) if unclean else ""
    try:
        connection, version = _try(path, settings)
        if unclean:
            words = words or "its log was read back"
            notices.append(f"{path.name} was not closed properly last time; {words}")
    except Damaged as damage:
        salvaged = _without_log(path, settings, notices) if unclean else None
        if salvaged is None:
            kept = set_aside(path)
            notices.append(f"{path.name} is damaged ({damage}) and was set aside as {kept.name}")
            return None
        connection, version = salvaged
    if version:
        return _in_newest_layout(path, schema, settings, notices, connection, version)
    if _holds_tables(connection):
        connection.close()
        raise StorageError(f"{path} is a database, but not one of tradetui's")
    create(connection, schema)
    return Opened(connection, True, notices)


def _without_log(path: Path, settings: Settings, notices: list[str]) -> tuple[DuckDBPyConnection, int] | None:
    """Open a file without its log, which may be what is damaged; the file alone is one checkpoint old."""
    kept = _log_of(path).rename(_free(_log_of(path)))
    try:
        found = _try(path, settings)
    except Damaged:
        kept.rename(_log_of(path))
        return None
    notices.append(
        f"the log of {path.name} is damaged and was set aside as {kept.name}; "
        "what was written since the last checkpoint is in it"
    )
    return found


def _in_newest_layout(
    path: Path,
    schema: Schema,
    settings: Settings,
    notices: list[str],
    connection: DuckDBPyConnection,
    version: int,
) -> Opened:
    try:
        check_version(schema, version, path.name)
    except StorageError:
        connection.close()
        raise
    if version < schema.version:
        connection.close()  # folds the log in, so that one copy holds everything
        backup = path.with_name(f"{path.name}.layout-{version}")
        try:
            shutil.copy2(path, backup)
        except OSError as error:
            raise StorageError(f"cannot copy {path.name} before changing it: {error.strerror}") from error
        connection = _connect(str(path), settings)
        migrate(connection, schema, version)
        notices.append(
            f"{path.name} was brought from layout {version} to {schema.version}; a copy is {backup.name}"
        )
    return Opened(connection, False, notices)


def _try(path: Path, settings: Settings) -> tuple[DuckDBPyConnection, int]:
    """Connect to an existing file and read its version.

    Raises:
        Damaged: It is no sound database.
        StorageError: It is locked, or the disk refuses.
    """
    import duckdb

    check_blocks(path)
    try:
        connection = _connect(str(path), settings)
    except duckdb.Error as error:
        raise Damaged(_first_line(error)) from error
    try:
        return connection, version_of(connection)
    except duckdb.Error as error:
        with contextlib.suppress(duckdb.Error):
            connection.close()
        raise Damaged(_first_line(error)) from error


def _connect(path: str, settings: Settings) -> DuckDBPyConnection:
    import duckdb

    try:
        connection = duckdb.connect(path, config=settings.config())
    except duckdb.Error as error:
        held = _LOCKED.search(str(error))
        if held:
            who = f"process {held['pid']}, {held['program']}" if held["pid"] else held["program"]
            raise StorageError(
                f"{Path(path).name} is in use by another program ({who})",
                "close that program (a database shell?) and try again",
            ) from error
        if _OUTSIDE.search(str(error)):
            raise StorageError(f"cannot open {path}: {_first_line(error)}") from error
        raise
    # Global, so that cursors of this connection have it too: never the machine's own zone.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _keep_if_cut(log_file: Path) -> str:
    """Copy a log that DuckDB would cut off without a word; say so, or nothing when the log is whole.

    After a head of its own the log is a row of frames: size (u64), checksum (u64), payload. A changed frame is
    found by DuckDB; one that stops in the middle is dropped silently.
    """
    try:
        size = log_file.stat().st_size
        with log_file.open("rb") as file:
            head = file.read(256)
            end = head.find(b"\xff\xff", len(_LOG_HEAD)) + 2
            if head.startswith(_LOG_HEAD) and end >= 2:
                at = end
                while at + _FRAME.size <= size:
                    file.seek(at)
                    step = _FRAME.size + _FRAME.unpack(file.read(_FRAME.size))[0]
                    if at + step > size:
                        break
                    at += step
                if at == size:
                    return ""
            elif head.startswith(_LOG_HEAD[:3]):
                return ""  # a version of the log whose frames we do not know: DuckDB's to judge
            else:
                at = 0
        copy = _free(log_file)
        shutil.copy2(log_file, copy)
    except OSError as error:
        raise StorageError(f"cannot read or copy {log_file}: {error.strerror}") from error
    return f"its log is cut or damaged at byte {at} of {size}, what follows is lost; a copy is {copy.name}"


def _holds_tables(connection: DuckDBPyConnection) -> bool:
    row = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
    return bool(row and row[0])


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _free(path: Path, word: str = "damaged") -> Path:
    number = 1
    while (target := path.with_name(f"{path.name}.{word}-{number}")).exists():
        number += 1
    return target


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
