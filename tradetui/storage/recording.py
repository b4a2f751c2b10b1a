"""The one format of recordings: what came off the socket, and every other event, in the order it was taken.

A run with ``--record`` writes it, imports are turned into it, the workstation replays it and the simulator serves it.
One file a session; it is never appended to. ``docs/replay.md`` is for people; this is for programs.

File format, version 1. One zstd frame whose content is the magic ``TTINBOX1``, then records, little-endian:

====== ======= ====================================================================================
offset type    meaning
====== ======= ====================================================================================
0      uint8   kind: 0 end, 1 frame, 2 time, 3 event, 4 note
1      int64   engine time, UTC ns
9      uint32  length of the payload
13     bytes   payload
..     uint32  CRC-32 of everything before it in the record
====== ======= ====================================================================================

- *frame*: one binary frame of the market feed, unchanged.
- *time*: no payload; a `TimeEvent`.
- *event*: any other event, as JSON (`domain.thawing`).
- *note*: not an event; what a replay must know besides, as JSON. The first one is the header.
- *end*: no payload; written by `RecordingWriter.close`.

After the zstd frame comes a trailer of 256 bytes, a zstd *skippable frame* that other tools pass over: the magic
``TTINEND1`` and, as JSON filled up with blanks, what the file amounts to (`Totals`). A file without it was cut:
everything up to the last batch that was made durable is there, and a reader says that the end is missing.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final
from zlib import crc32

import zstandard

from tradetui.domain.errors import StorageError
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

MAGIC: Final = b"TTINBOX1"
END_MAGIC: Final = b"TTINEND1"
SUFFIX: Final = ".inbox.zst"
TRAILER_BYTES: Final = 256
GAP_NS: Final = 10_000_000_000
"""Longer than this without a frame counts as a gap."""
MAX_BYTES: Final = 20 * 2**30
"""Size at which a recording ends unless told otherwise: bytes on the disk."""

_HEAD: Final = struct.Struct("<BqI")
_CRC: Final = struct.Struct("<I")
_SKIPPABLE: Final = struct.Struct("<II")
_SKIPPABLE_MAGIC: Final = 0x184D2A5A
_MAX_PAYLOAD: Final = 64 * 1024 * 1024
_LEVEL: Final = 1  # 7.6 MB/s of full-mode frames cost two percent of a core at this level
_CHUNK: Final = 1 << 16
_BATCH_BYTES: Final = 1 << 20
_MOST_QUEUED: Final = 64 << 20
"""Bytes that wait for the disk: beyond this a live recording ends, and one that may wait waits."""
_LEAST_FREE: Final = 512 << 20
"""A recording leaves this much of the disk to the journal."""
_STOP_S: Final = 30.0


class RecordKind(IntEnum):
    """What a record is."""

    END = 0
    FRAME = 1
    TIME = 2
    EVENT = 3
    NOTE = 4


@dataclass(frozen=True, slots=True)
class InboxRecord:
    """One record of a recording."""

    kind: RecordKind
    t_ns: int
    payload: bytes = b""


@dataclass(slots=True)
class Totals:
    """What a recording amounts to.

    Attributes:
        first_ns, last_ns: Engine time of the first and the last frame; 0 when there is none.
        frames: Frames of the market feed.
        records: Records, notes included.
        gaps: Times that no frame came for more than `GAP_NS`.
        gap_ns: The longest such time.
        content: Bytes of all frames as they came off the socket.
    """

    first_ns: int = 0
    last_ns: int = 0
    frames: int = 0
    records: int = 0
    gaps: int = 0
    gap_ns: int = 0
    content: int = 0

    def add(self, kind: RecordKind, t_ns: int, size: int) -> None:
        """Count one record."""
        self.records += 1
        if kind is not RecordKind.FRAME:
            return
        self.frames += 1
        self.content += size
        if not self.first_ns:
            self.first_ns = t_ns
        elif t_ns - self.last_ns > GAP_NS:
            self.gaps += 1
            self.gap_ns = max(self.gap_ns, t_ns - self.last_ns)
        self.last_ns = max(self.last_ns, t_ns)


class RecordingWriter:
    """Writes a recording. `put` costs the caller next to nothing: a thread packs, writes and makes durable.

    Records become durable (``fdatasync``) in batches: one is handed over when it holds a megabyte, and at every
    `flush`. A disk that fails, fills up or falls behind ends the recording, not the run: see `error`.

    Args:
        path: The file to make; must not exist.
        lossless: Wait for a slow disk instead of ending: where the world can wait.
        max_bytes: Size on the disk at which the recording ends.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(self, path: Path, *, lossless: bool = False, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.totals = Totals()
        """Of everything put in, whether it is on the disk yet or not."""
        self.error = ""
        """Why the recording ended early; empty while it goes on."""
        self._max_bytes = max_bytes
        self._lossless = lossless
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StorageError(f"the recording cannot be made: {clean(error.strerror, 120)}") from error
        self._file: BinaryIO | None = os.fdopen(handle, "wb")
        self._pack = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._batch: list[tuple[RecordKind, int, bytes]] = []
        self._size = self._queued = self._written = 0
        self._less = threading.Condition()
        self._work: queue.SimpleQueue[list[tuple[RecordKind, int, bytes]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def open(self) -> bool:
        """Whether records are still taken."""
        return self._thread.is_alive() and not self.error and self._file is not None

    def put(self, kind: RecordKind, t_ns: int, payload: bytes = b"") -> None:
        """Add a record."""
        if not self.open:
            return
        self.totals.add(kind, t_ns, len(payload))
        self._batch.append((kind, t_ns, payload))
        self._size += len(payload) + _HEAD.size + _CRC.size
        if self._size >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what was put in: it is on its way to the disk, and durable soon."""
        if not self._batch or not self.open:
            return
        batch, size = self._batch, self._size
        self._batch, self._size = [], 0
        with self._less:
            if self._queued + size > _MOST_QUEUED:
                if not self._lossless:
                    self._end_early("the disk is too slow")
                    return
                self._less.wait_for(lambda: self._queued + size <= _MOST_QUEUED or not self.open)
            self._queued += size
        self._work.put(batch)

    def settle(self) -> None:
        """Return when everything put in so far is durable, or the recording has ended. Not on a loop."""
        self.flush()
        with self._less:
            self._less.wait_for(lambda: not self._queued or not self.open, _STOP_S)

    def close(self) -> None:
        """Write the end and make the file durable. May be called again."""
        if self._thread.is_alive():
            self.flush()
            self._work.put(None)
            self._thread.join(_STOP_S)

    # --- the thread's side ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._send([self._pack.compress(MAGIC)])
            while (batch := self._work.get()) is not None:
                if self._file is None or self.error:
                    return
                self._send([self._pack.compress(_packed(batch))])
                with self._less:
                    self._queued -= sum(len(one[2]) + _HEAD.size + _CRC.size for one in batch)
                    self._less.notify_all()
            if not self.error:
                self._end()
        except OSError as error:
            self._end_early(clean(error.strerror or error, 120))
        finally:
            self._let_go()

    def _send(self, parts: list[bytes]) -> None:
        """Write and make durable; also what the compressor holds back."""
        file = self._file
        assert file is not None
        data = b"".join([*parts, self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)])
        file.write(data)
        file.flush()
        _make_durable(file.fileno())
        self._written += len(data)
        if self._written > self._max_bytes:
            self._end_early(f"it has reached its largest size, {self._max_bytes / 2**30:g} GB")
        elif _free_bytes(file.fileno()) < _LEAST_FREE:
            self._end_early("the disk is almost full, and what is left is for the journal")

    def _end(self) -> None:
        file = self._file
        assert file is not None
        file.write(self._pack.compress(_packed([(RecordKind.END, 0, b"")])))
        file.write(self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
        file.write(trailer(self.totals))
        file.flush()
        os.fsync(file.fileno())

    def _end_early(self, words: str) -> None:
        if not self.error:
            self.error = words
            log.error("the recording ended early: %s", words)

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # After a failure closing flushes once more, and fails once more, but it lets go of the file.
            try:
                file.close()
            except OSError as again:
                log.debug("closing the recording: %s", again)
        with self._less:
            self._queued = 0
            self._less.notify_all()


def _packed(batch: list[tuple[RecordKind, int, bytes]]) -> bytes:
    """Records as they are in the file."""
    parts: list[bytes] = []
    for kind, t_ns, payload in batch:
        head = _HEAD.pack(kind, t_ns, len(payload))
        parts += (head, payload, _CRC.pack(crc32(payload, crc32(head))))
    return b"".join(parts)


def _make_durable(handle: int) -> None:
    sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
    sync(handle)


def _free_bytes(handle: int) -> int:
    found = os.fstatvfs(handle)
    return found.f_bavail * found.f_frsize


def trailer(totals: Totals) -> bytes:
    """The last 256 bytes of a whole recording."""
    size = TRAILER_BYTES - _SKIPPABLE.size
    body = END_MAGIC + json.dumps(asdict(totals), separators=(",", ":")).encode()
    return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, size) + body.ljust(size)


def read_trailer(path: Path) -> Totals | None:
    """What a whole recording amounts to, without reading it through; ``None`` when it was cut.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < TRAILER_BYTES:
                return None
            file.seek(-TRAILER_BYTES, os.SEEK_END)
            data = file.read(TRAILER_BYTES)
    except OSError as error:
        raise StorageError(f"the recording cannot be read: {clean(error.strerror, 120)}") from error
    body = data[_SKIPPABLE.size :]
    if _SKIPPABLE.unpack_from(data)[0] != _SKIPPABLE_MAGIC or not body.startswith(END_MAGIC):
        return None
    try:
        return Totals(**json.loads(body[len(END_MAGIC) :]))
    except (ValueError, TypeError):
        return None


class InboxReader:
    """Reads a recording from the beginning, as often as it is iterated.

    Iteration ends at the end record, at a cut, or at the first damage; what came before is whole (every record
    is checked). Afterwards `clean` and `damage` say which it was.

    Args:
        path: The recording.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.clean = False
        """The end record was reached."""
        self.damage = ""
        """Why reading stopped before the end, in words."""

    def __iter__(self) -> Iterator[InboxRecord]:
        """Yield the records.

        Raises:
            StorageError: There is no such file, or it is not a recording.
        """
        self.clean, self.damage = False, ""
        try:
            with self._path.open("rb") as file:
                stream = _Unpacked(file)
                if stream.take(len(MAGIC)) != MAGIC:
                    raise StorageError(f"not a recorded inbox: {self._path.name}")
                yield from self._records(stream)
        except zstandard.ZstdError:
            if not self._starts_like_zstd():
                raise StorageError(f"not a recorded inbox: {self._path.name}") from None
            self.damage = "the compressed stream is damaged"
        except OSError as error:
            raise StorageError(f"the recording cannot be read: {clean(error.strerror, 120)}") from error

    def _records(self, stream: _Unpacked) -> Iterator[InboxRecord]:
        count = 0
        while True:
            head = stream.take(_HEAD.size)
            if len(head) < _HEAD.size:
                self.damage = f"cut after record {count:,}"
                return
            kind, t_ns, size = _HEAD.unpack(head)
            if kind > max(RecordKind) or size > _MAX_PAYLOAD:
                self.damage = f"record {count + 1:,} is damaged"
                return
            body = stream.take(size + _CRC.size)
            if len(body) < size + _CRC.size:
                self.damage = f"cut inside record {count + 1:,}"
                return
            payload = body[:size]
            if _CRC.unpack_from(body, size)[0] != crc32(payload, crc32(head)):
                self.damage = f"record {count + 1:,} fails its check"
                return
            if kind == RecordKind.END:
                self.clean = True
                return
            count += 1
            yield InboxRecord(RecordKind(kind), t_ns, payload)

    def _starts_like_zstd(self) -> bool:
        with self._path.open("rb") as file:
            return file.read(4) == zstandard.FRAME_HEADER


class _Unpacked:
    """The content of a zstd file, as far as its bytes go.

    The library's own stream reader keeps the last block of an unfinished file to itself; this does not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpack = zstandard.ZstdDecompressor().decompressobj()
        self._ready = bytearray()
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end.

        Raises:
            zstandard.ZstdError: The stream is damaged.
        """
        while (
            len(self._ready) - self._at < size
            and not self._unpack.eof
            and (packed := self._file.read(_CHUNK))
        ):
            del self._ready[: self._at]
            self._at = 0
            self._ready += self._unpack.decompress(packed)
        taken = bytes(self._ready[self._at : self._at + size])
        self._at += len(taken)
        return taken
