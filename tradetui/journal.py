r"""The journal: the durable truth about orders, append-only, framed, checksummed and hash-chained.

DuckDB is not enough for this: cut in the middle of its last write, its log re-opens without a word. Here a
cut or a flipped bit shows. One file a day, ``YYYY-MM-DD.journal``:

* the file starts with the 8 bytes ``TTJRNL1\n``;
* each record is a frame: payload length (u32, little endian), CRC-32 of the payload (u32), payload;
* the payload is canonical JSON: ``n`` number in the file from 1, ``t`` engine time (UTC ns), ``k`` kind, ``d``
  data, ``m`` meta, ``p`` SHA-256 of the payload before (in hex; of the last record of the previous file for
  the first one), so that nothing can be taken out or put in between.

`Journal.sync` is an ``fdatasync``: it returns when the records are on the disk. Order commands leave the
process only after it.

A cut tail (power failed while appending) is moved to ``*.torn`` next to the file and said; damage anywhere
else is an error that names the place, and the file is left as it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

from tradetui.domain.errors import JournalDamaged, StorageError
from tradetui.domain.records import NOT_HASHED, Record, RecordKind

MAGIC = b"TTJRNL1\n"
_FRAME = struct.Struct("<II")
_PAYLOAD_BEGINS = b'{"d":'
"""Keys of a payload are sorted, so every record begins like this."""
MAX_PAYLOAD = 16 * 1024 * 1024
"""Most bytes in one record; a longer length field can only be damage."""

_IST = timezone(timedelta(hours=5, minutes=30))
GENESIS = "0" * 64
"""What stands for the record before the very first one."""


def encode(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. The same data always gives the same bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


class ContentHash:
    """SHA-256 over what was decided, without latency stamps: equal for equal runs."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.records = 0

    def add(self, record: Record) -> None:
        """Take one record into account, unless its kind depends on timing."""
        if record.kind in NOT_HASHED:
            return
        self._sha.update(encode([record.t_ns, record.kind.value, record.data]) + b"\n")
        self.records += 1

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._sha.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as read back, with its number and place.

    Attributes:
        number: Number in its file, from 1.
        offset: Byte at which its frame begins.
        end: Byte behind its frame.
        sha256: Hash of its payload, which the next record names.
    """

    record: Record
    number: int
    offset: int
    end: int
    previous: str
    sha256: str


def day_of(t_ns: int) -> str:
    """The IST date that a moment belongs to, ISO format."""
    return datetime.fromtimestamp(t_ns / 1e9, _IST).date().isoformat()


def read(path: Path) -> Iterator[StoredRecord]:
    """Read a journal file, checking every frame, number and hash.

    Raises:
        JournalDamaged: At the first thing that is wrong; everything before it has been yielded.
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _read(file, path.name)
    except OSError as error:
        raise StorageError(f"cannot read the journal {path}: {error.strerror}") from error


def _read(file: IO[bytes], name: str) -> Iterator[StoredRecord]:
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise JournalDamaged(f"{name}: not a journal, or its first bytes are damaged")
    offset, number, previous = len(MAGIC), 0, None
    while head := file.read(_FRAME.size):
        number += 1
        where = f"{name}: record {number} at byte {offset}"
        if len(head) < _FRAME.size:
            raise JournalDamaged(f"{where} is cut")
        size, crc = _FRAME.unpack(head)
        if size > MAX_PAYLOAD:
            raise JournalDamaged(f"{where} has an impossible length")
        payload = file.read(size)
        if len(payload) < size:
            raise JournalDamaged(f"{where} is cut")
        if zlib.crc32(payload) != crc:
            raise JournalDamaged(f"{where} fails its checksum")
        try:
            row = json.loads(payload)
            record = Record(row["t"], RecordKind(row["k"]), row["d"], row["m"])
            said, said_number = row["p"], row["n"]
        except (ValueError, KeyError, TypeError) as error:
            raise JournalDamaged(f"{where} is not a record of ours") from error
        if said_number != number:
            raise JournalDamaged(f"{where} says it is number {said_number}")
        if previous is not None and said != previous:
            raise JournalDamaged(f"{where} does not follow the record before it")
        previous = hashlib.sha256(payload).hexdigest()
        end = offset + _FRAME.size + size
        yield StoredRecord(record, number, offset, end, said, previous)
        offset = end


def files(folder: Path) -> list[Path]:
    """Journal files in a folder, oldest day first."""
    return sorted(folder.glob("????-??-??.journal"))


class Journal:
    """The journal of one account, open for appending.

    Args:
        folder: Where the day files live; made if missing, private to the user.

    Raises:
        JournalDamaged: The newest file is damaged other than by a cut tail.
        StorageError: The folder or file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._day = ""
        self._number = 0
        self._end = 0
        self._previous = GENESIS
        self._dirty = False
        self.content = ContentHash()
        self.torn: Path | None = None
        """Where a cut tail was put when this journal was opened."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"cannot make the folder {folder}: {error.strerror}") from error
        if days := files(folder):
            self._resume(days[-1])

    def _resume(self, path: Path) -> None:
        good = len(MAGIC)
        try:
            for stored in read(path):
                good, self._number, self._previous = stored.end, stored.number, stored.sha256
        except JournalDamaged:
            self._set_tail_aside(path, good)
        self._day = path.stem

    def _set_tail_aside(self, path: Path, good: int) -> None:
        data = path.read_bytes()
        if len(data) < len(MAGIC) and MAGIC.startswith(data):
            good = 0  # cut while the file was being made
        tail = data[good:]
        if (good and data[: len(MAGIC)] != MAGIC) or (good and not _is_cut(tail)):
            raise JournalDamaged(
                f"{path.name} is damaged at byte {good} of {len(data)}",
                "keep a copy of it and move it away; the records before that byte are intact",
            )
        self.torn = path.with_suffix(f".{good}.torn")
        self.torn.write_bytes(tail)
        if good == 0:
            path.unlink()
            return
        with path.open("r+b") as file:
            file.truncate(good)
            os.fsync(file.fileno())

    def append(self, record: Record) -> None:
        """Add a record. It is durable only after `sync`.

        Raises:
            StorageError: The disk refuses (full, failing). The record counts as not written.
        """
        day = day_of(record.t_ns)
        try:
            if self._file is None or day > self._day:
                self._open(max(day, self._day))
            payload = encode(
                {
                    "n": self._number + 1,
                    "t": record.t_ns,
                    "k": record.kind.value,
                    "d": record.data,
                    "m": record.meta,
                    "p": self._previous,
                }
            )
            assert self._file is not None
            start = self._end
            try:
                frame = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
                if self._file.write(frame) != len(frame):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                # Half a frame on the disk would make every later record unreadable.
                self._file.truncate(start)
                self._file.seek(start)
                raise
        except OSError as error:
            raise StorageError(f"cannot write the journal in {self._folder}: {error.strerror}") from error
        self._end = start + len(frame)
        self._number += 1
        self._previous = hashlib.sha256(payload).hexdigest()
        self._dirty = True
        self.content.add(record)

    def _open(self, day: str) -> None:
        if self._file is not None:
            self.sync()
            self._file.close()
        path = self._folder / f"{day}.journal"
        # Unbuffered: a write either reaches the kernel whole or raises here, where it can be undone.
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: SIM115, PTH123
        self._end = self._file.seek(0, os.SEEK_END)
        if self._end < len(MAGIC):
            # New, or the disk was full when it was made.
            self._file.truncate(0)
            self._file.seek(0)
            self._end = self._file.write(MAGIC)
            if self._end != len(MAGIC):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        if day != self._day:
            self._number = 0
        self._day = day

    def sync(self) -> None:
        """Return when everything appended is on the disk.

        Raises:
            StorageError: The disk refuses. Nothing that depends on these records may be sent.
        """
        if not self._dirty or self._file is None:
            return
        try:
            getattr(os, "fdatasync", os.fsync)(self._file.fileno())
        except OSError as error:
            raise StorageError(f"cannot sync the journal in {self._folder}: {error.strerror}") from error
        self._dirty = False

    def records(self) -> Iterator[Record]:
        """Every record of every day, oldest first.

        Raises:
            JournalDamaged: At the first thing that is wrong.
        """
        for path in files(self._folder):
            for stored in read(path):
                yield stored.record

    def close(self) -> None:
        """Sync and close."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None


class MemoryJournal:
    """A journal that is gone with the process: for back-tests, parity checks and tests."""

    def __init__(self) -> None:
        self.content = ContentHash()
        self.kept: list[Record] = []
        self.torn: Path | None = None

    def append(self, record: Record) -> None:
        """Keep a record."""
        encode(record.data)
        self.kept.append(record)
        self.content.add(record)

    def sync(self) -> None:
        """Nothing to wait for."""

    def records(self) -> Iterator[Record]:
        """Every record, oldest first."""
        return iter(self.kept)

    def close(self) -> None:
        """Nothing to close."""


def is_cut_tail(path: Path, good: int) -> bool:
    """Whether a file is whole up to byte ``good`` and then stops in the middle of a record, as after a power cut."""
    data = path.read_bytes()
    if len(data) < len(MAGIC):
        return MAGIC.startswith(data)
    return data.startswith(MAGIC) and _is_cut(data[max(good, len(MAGIC)) :])


def _is_cut(tail: bytes) -> bool:
    """Whether ``tail`` looks like a frame that stopped in the middle (as opposed to one that was changed)."""
    if len(tail) < _FRAME.size:
        return True
    size, _ = _FRAME.unpack_from(tail)
    stopped = size <= MAX_PAYLOAD and len(tail) < _FRAME.size + size
    # A changed length may claim more than there is, too; but nothing follows a record that was cut.
    return (stopped and not _holds_a_record(tail)) or not any(tail)


def _holds_a_record(tail: bytes) -> bool:
    """Whether a whole record of ours is anywhere in ``tail``."""
    at = tail.find(_PAYLOAD_BEGINS)
    while at >= 0:
        if at >= _FRAME.size:
            size, crc = _FRAME.unpack_from(tail, at - _FRAME.size)
            if at + size <= len(tail) and zlib.crc32(tail[at : at + size]) == crc:
                return True
        at = tail.find(_PAYLOAD_BEGINS, at + 1)
    return False
