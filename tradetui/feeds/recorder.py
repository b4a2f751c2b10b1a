"""The recorded inbox: every event of a run in the order in which the engine took it, replayable bit for bit.

Frames are kept as the bytes that came off the socket, so a recording also tests the decoder. A run writes one
file; it is never appended to.

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
- *event*: any other event, in the encoding that the caller brings (JSON).
- *note*: not an event; what a replay must know besides (slots, settings), in the caller's encoding.
- *end*: no payload; written by `InboxRecorder.close`. A file without it was cut: everything up to the last
  `InboxRecorder.flush` is there, and a reader says that the end is missing.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final
from zlib import crc32

import zstandard

from tradetui.domain.errors import StorageError
from tradetui.domain.events import Event, MarketStatusEvent, TickEvent, TimeEvent
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

MAGIC: Final = b"TTINBOX1"
SUFFIX: Final = ".inbox.zst"

_HEAD: Final = struct.Struct("<BqI")
_CRC: Final = struct.Struct("<I")
_MAX_PAYLOAD: Final = 64 * 1024 * 1024
_LEVEL: Final = 1  # 7.6 MB/s of full-mode frames cost two percent of a core at this level
_HELD: Final = 1024
_CHUNK: Final = 1 << 16
_FLUSH_S: Final = 0.5


class RecordKind(IntEnum):
    """What a record is."""

    END = 0
    FRAME = 1
    TIME = 2
    EVENT = 3
    NOTE = 4


@dataclass(frozen=True, slots=True)
class InboxRecord:
    """One record of a recorded inbox."""

    kind: RecordKind
    t_ns: int
    payload: bytes = b""


class InboxRecorder:
    """Writes a recorded inbox. Used on the runtime's loop only.

    The feed hands over each raw frame (`hold`) before it hands on the event made of it; the runtime hands over
    each event when the engine takes it (`record`). So the file has the engine's order, with the socket's bytes.

    A disk that fails ends the recording, not the run: see `error`.

    Args:
        path: The file to make; must not exist.
        encode: Any event that is neither a frame nor a `TimeEvent` as bytes.
        now_s: Real seconds: with a `TimeEvent`, but at most every half second, what was recorded is flushed.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self, path: Path, encode: Callable[[Event], bytes], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._encode = encode
        self._now_s = now_s
        self._held: deque[tuple[int, bytes]] = deque(maxlen=_HELD)
        self.records = 0
        """Records written."""
        self.missing = 0
        """Frame events whose bytes were never handed over: the recording cannot be replayed exactly."""
        self.error = ""
        """Why the recording ended early; empty while it goes on."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StorageError(f"the recording cannot be made: {clean(error.strerror, 120)}") from error
        self._file: BinaryIO | None = os.fdopen(handle, "wb")
        self._pack = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._flushed_s = 0.0
        self._put(MAGIC)
        self.flush()

    def hold(self, t_ns: int, raw: bytes) -> None:
        """Take the bytes of a frame that was stamped ``t_ns``, before its event is taken."""
        self._held.append((t_ns, raw))

    def record(self, event: Event) -> None:
        """Write an event that the engine is about to take."""
        if isinstance(event, TimeEvent):
            self._write(RecordKind.TIME, event.t_ns)
            if self._now_s() - self._flushed_s >= _FLUSH_S:
                self.flush()
            return
        if isinstance(event, TickEvent | MarketStatusEvent):
            raw = self._bytes_of(event.t_ns)
            if raw is not None:
                self._write(RecordKind.FRAME, event.t_ns, raw)
                return
            if isinstance(event, TickEvent):
                self.missing += 1
                return
        self._write(RecordKind.EVENT, event.t_ns, self._encode(event))

    def note(self, t_ns: int, payload: bytes) -> None:
        """Write something a replay must know that is not an event."""
        self._write(RecordKind.NOTE, t_ns, payload)

    def flush(self) -> None:
        """Hand everything so far to the operating system: a crash of ours loses nothing before this point."""
        if self._file is None:
            return
        self._flushed_s = self._now_s()
        try:
            self._file.write(self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Write the end and make the file durable. May be called again."""
        self._write(RecordKind.END, 0)
        if self._file is None:
            return
        try:
            self._file.write(self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._give_up(error)
            return
        self._file.close()
        self._file = None

    def _bytes_of(self, t_ns: int) -> bytes | None:
        """The newest held frame stamped ``t_ns``; those before it made no event (damaged, unknown keys).

        The feed hands over a frame and at once its event, so of two with the same stamp the newer one is meant.
        """
        found = None
        while self._held and self._held[0][0] <= t_ns:
            stamp, raw = self._held.popleft()
            if stamp == t_ns:
                found = raw
        return found

    def _write(self, kind: RecordKind, t_ns: int, payload: bytes = b"") -> None:
        if self._file is None:
            return
        head = _HEAD.pack(kind, t_ns, len(payload))
        self._put(b"".join((head, payload, _CRC.pack(crc32(payload, crc32(head))))))
        self.records += kind is not RecordKind.END

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(self._pack.compress(data))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = clean(error.strerror or error, 120)
        log.error("the recording ended early: %s", self.error)
        file, self._file = self._file, None
        if file is not None:
            # Closing flushes once more, and fails once more, but it lets go of the file.
            try:
                file.close()
            except OSError as again:
                log.debug("closing the recording: %s", again)


class InboxReader:
    """Reads a recorded inbox from the beginning, as often as it is iterated.

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
            StorageError: There is no such file, or it is not a recorded inbox.
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
