"""The format of a journal file: frames, payloads, hashes, and how they are checked when read."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Final

from tradetui.domain.errors import JournalDamaged, StorageError
from tradetui.domain.records import Record, RecordKind

MAGIC: Final = b"TTJRNL1\n"
FRAME: Final = struct.Struct("<II")
"""Head of a frame: length of the payload, CRC-32 of the payload."""
_PAYLOAD_BEGINS: Final = b'{"d":'
"""Keys of a payload are sorted, so every record begins like this."""
MAX_PAYLOAD: Final = 16 * 1024 * 1024
"""Most bytes in one record; a longer length field can only be damage."""
GENESIS: Final = "0" * 64
"""What stands for the record before the very first one."""

_TAIL: Final = re.compile(rb',"k":"([a-z_]+)","m":\{\},"n":(\d+),"p":"([0-9a-f]{64})","t":(-?\d+)\}\Z')
"""What a payload ends with when its record has no ``meta``. Keys are sorted, and inside a string every quote has a
backslash before it, so nothing in ``data`` can look like this."""
_TAIL_BYTES: Final = 200

Wanted = Callable[[RecordKind, int], bool]
"""Whether the content of a record of this kind, with this number in its file, is of interest to the reader."""

_IST = timezone(timedelta(hours=5, minutes=30))


_encoder: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. The same data always gives the same bytes."""
    return _encoder.encode(value).encode()


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as read back, with its number and place.

    Attributes:
        number: Number in its file, from 1.
        offset: Byte at which its frame begins.
        end: Byte behind its frame.
        previous: Hash that it names as the payload before it.
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


def payload_of(record: Record, number: int, previous: str, data: bytes | None = None) -> bytes:
    """The payload of a record's frame: canonical JSON, put together around what is encoded already.

    Args:
        record: What to write.
        number: In its file, from 1.
        previous: Hash of the payload before it.
        data: `encode` of the record's data, if it is at hand.
    """
    return b'{"d":%b,"k":"%b","m":%b,"n":%d,"p":"%b","t":%d}' % (
        encode(record.data) if data is None else data,
        record.kind.value.encode(),
        encode(record.meta) if record.meta else b"{}",
        number,
        previous.encode(),
        record.t_ns,
    )


def frame_of(payload: bytes) -> bytes:
    """A payload in its frame."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def files(folder: Path) -> list[Path]:
    """Journal files in a folder, oldest day first."""
    return sorted(folder.glob("????-??-??.journal"))


def read(path: Path, follows: str | None = None, wanted: Wanted | None = None) -> Iterator[StoredRecord]:
    """Read a journal file, checking every frame, number and hash.

    Args:
        path: The file.
        follows: Hash of the last record of the file before, which the first record must name; ``None`` leaves
            that unchecked.
        wanted: Other records may come without their content, empty: JSON is most of the work of a start.
            Their frames, numbers and hashes are checked all the same. ``None`` wants everything.

    Raises:
        JournalDamaged: At the first thing that is wrong; everything before it has been yielded.
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _read(file, path.name, follows, wanted)
    except OSError as error:
        raise StorageError(f"cannot read the journal {path}: {error.strerror}") from error


def _read(file: IO[bytes], name: str, previous: str | None, wanted: Wanted | None) -> Iterator[StoredRecord]:
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise JournalDamaged(f"{name}: not a journal, or its first bytes are damaged", file=name)
    offset, number = len(MAGIC), 0
    while head := file.read(FRAME.size):
        number += 1
        stored, wrong = _next(file, head, number, offset, previous, wanted)
        if stored is None:
            words = f"{name}: record {number} at byte {offset} {wrong}"
            raise JournalDamaged(words, file=name, number=number, offset=offset)
        yield stored
        previous, offset = stored.sha256, stored.end


def _next(
    file: IO[bytes], head: bytes, number: int, offset: int, previous: str | None, wanted: Wanted | None
) -> tuple[StoredRecord | None, str]:
    """The record behind a head; ``None`` and what is wrong when there is none that can be trusted."""
    if len(head) < FRAME.size:
        return None, "is cut"
    size, crc = FRAME.unpack(head)
    if size > MAX_PAYLOAD:
        return None, "has an impossible length"
    payload = file.read(size)
    if len(payload) < size:
        return None, "is cut"
    if zlib.crc32(payload) != crc:
        return None, "fails its checksum"
    try:
        record, said_number, said = _record_in(payload, wanted)
    except (ValueError, KeyError, TypeError):
        return None, "is not a record of ours"
    if said_number != number:
        return None, f"says it is number {said_number}"
    if previous is not None and said != previous:
        before = "the record before it" if number > 1 else "the last record of the file before"
        return None, f"does not follow {before}"
    sha256 = hashlib.sha256(payload).hexdigest()
    return StoredRecord(record, number, offset, offset + FRAME.size + size, said, sha256), ""


def _record_in(payload: bytes, wanted: Wanted | None) -> tuple[Record, int, str]:
    """A payload's record, the number that it claims, and the hash that it names.

    Raises:
        ValueError, KeyError, TypeError: It is none of ours.
    """
    if wanted is not None:
        tail = _TAIL.search(payload, max(0, len(payload) - _TAIL_BYTES))
        if tail is not None:
            kind, number = RecordKind(tail[1].decode()), int(tail[2])
            if not wanted(kind, number):
                return Record(int(tail[4]), kind, {}), number, tail[3].decode()
    row = json.loads(payload)
    return Record(row["t"], RecordKind(row["k"]), row["d"], row["m"]), row["n"], row["p"]


def read_days(folder: Path, first: str = "") -> Iterator[tuple[str, StoredRecord]]:
    """Read the files of a folder from a day on, checking also that each follows the one before it.

    Args:
        folder: Where the day files live.
        first: ISO date of the first file wanted; empty for all. The last record before it is read for the chain.

    Yields:
        The file's day and the record.

    Raises:
        JournalDamaged: At the first thing that is wrong; everything before it has been yielded.
    """
    days = files(folder)
    wanted = [path for path in days if path.stem >= first]
    earlier = [path for path in days if path.stem < first]
    # Files of an older past may have been moved away: then there is nothing to hold the first one against.
    previous = GENESIS if not earlier else last_hash(earlier)
    if wanted and not earlier and _first_names(wanted[0]) != GENESIS:
        previous = None
    for path in wanted:
        for stored in read(path, previous):
            yield path.stem, stored
            previous = stored.sha256


def last_hash(paths: list[Path]) -> str | None:
    """Hash of the last record of files in order; ``None`` when their end cannot be trusted."""
    for path in reversed(paths):
        found = ""
        try:
            for stored in read(path, wanted=nothing):
                found = stored.sha256
        except JournalDamaged:
            return None
        if found:
            return found
    return GENESIS


def nothing(kind: RecordKind, number: int) -> bool:
    """Wants no record's content: only where the file ends, and its hash."""
    return False


def _first_names(path: Path) -> str:
    """Hash that a file's first record names; the beginning's when it holds none that can be read."""
    try:
        return next((stored.previous for stored in read(path)), GENESIS)
    except JournalDamaged:
        return GENESIS


def is_cut_tail(path: Path, good: int) -> bool:
    """Whether a file is whole up to byte ``good`` and then stops in the middle of a record, as after a power cut."""
    data = path.read_bytes()
    if len(data) < len(MAGIC):
        return MAGIC.startswith(data)
    return data.startswith(MAGIC) and is_cut(data[max(good, len(MAGIC)) :])


def is_cut(tail: bytes) -> bool:
    """Whether ``tail`` looks like a frame that stopped in the middle (as opposed to one that was changed)."""
    if len(tail) < FRAME.size:
        return True
    size, _ = FRAME.unpack_from(tail)
    stopped = size <= MAX_PAYLOAD and len(tail) < FRAME.size + size
    # A changed length may claim more than there is, too; but nothing follows a record that was cut.
    return (stopped and not _holds_a_record(tail)) or not any(tail)


def _holds_a_record(tail: bytes) -> bool:
    """Whether a whole record of ours is anywhere in ``tail``."""
    at = tail.find(_PAYLOAD_BEGINS)
    while at >= 0:
        if at >= FRAME.size:
            size, crc = FRAME.unpack_from(tail, at - FRAME.size)
            if at + size <= len(tail) and zlib.crc32(tail[at : at + size]) == crc:
                return True
        at = tail.find(_PAYLOAD_BEGINS, at + 1)
    return False
