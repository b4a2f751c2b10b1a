r"""The emergency reserve: room on the disk that is taken in good times, so that exits stay possible on a full one.

A position that cannot be closed is worse than a missing record (ADR 0010). So a file of fixed size lies beside the
day files, written full of zeros when it is made. When the journal can no longer grow, the records that an exit
depends on go in here, as the very frames that the day file would have got: same numbers, same chain. They are
moved over, in order, as soon as there is space again, by the same run or the next.

``emergency.reserve``: the 8 bytes ``TTRSRV1\n``, frames, eight zero bytes where the frames end.
"""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Final

from tradetui.journal.frames import FRAME, MAX_PAYLOAD

RESERVE_NAME: Final = "emergency.reserve"
RESERVE_BYTES: Final = 1024 * 1024
"""Room for the records of more than a thousand order changes."""
RESERVE_MAGIC: Final = b"TTRSRV1\n"
_END: Final = b"\0" * FRAME.size


def payloads_in(path: Path) -> list[bytes]:
    """Payloads of the frames in a reserve, in order; none when there is no reserve that can be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    if data[: len(RESERVE_MAGIC)] != RESERVE_MAGIC:
        return []
    return [payload for payload, _ in _frames(data)]


def _frames(data: bytes) -> list[tuple[bytes, int]]:
    """Payloads with the byte behind each. A frame that fails its checksum was never synced: nothing hung on it."""
    found: list[tuple[bytes, int]] = []
    at = len(RESERVE_MAGIC)
    while at + FRAME.size <= len(data):
        size, crc = FRAME.unpack_from(data, at)
        payload = data[at + FRAME.size : at + FRAME.size + size]
        if not 0 < size <= MAX_PAYLOAD or len(payload) < size or zlib.crc32(payload) != crc:
            break
        at += FRAME.size + size
        found.append((payload, at))
    return found


class Reserve:
    """The reserve of one journal, open for writing.

    Args:
        folder: Folder of the journal.
        size: Bytes of a reserve that is made now.

    Raises:
        OSError: It cannot be made or opened, most likely because the disk is full already.
    """

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self.path = folder / RESERVE_NAME
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(self._fd).st_size < size and not payloads_in(self.path):
                self._fill(size)
            data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        except OSError:
            os.close(self._fd)
            raise
        self._size = len(data)
        frames = _frames(data)
        self._end = frames[-1][1] if frames else len(RESERVE_MAGIC)

    def _fill(self, size: int) -> None:
        """Write the whole file, so that its blocks are there and need no new ones later."""
        done, blank = 0, RESERVE_MAGIC + bytes(size - len(RESERVE_MAGIC))
        while done < size:
            done += os.pwrite(self._fd, blank[done:], done)
        os.fsync(self._fd)

    @property
    def free(self) -> int:
        """Bytes of frames that still fit."""
        return self._size - self._end - len(_END)

    def append(self, frame: bytes) -> None:
        """Put a frame in. It is durable only after `sync`.

        Raises:
            OSError: It does not fit, or the disk refuses.
        """
        if len(frame) > self.free:
            raise OSError(errno.ENOSPC, "the emergency reserve is used up")
        data = frame + _END
        if os.pwrite(self._fd, data, self._end) != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._end += len(frame)

    def sync(self) -> None:
        """Return when everything put in is on the disk.

        Raises:
            OSError: The disk refuses.
        """
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def clear(self) -> None:
        """Forget the frames: they are in the day file now.

        Raises:
            OSError: The disk refuses.
        """
        os.pwrite(self._fd, _END, len(RESERVE_MAGIC))
        self.sync()
        self._end = len(RESERVE_MAGIC)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
