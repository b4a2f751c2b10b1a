"""What has been spent of a rate limit, in a small file that all processes of one data directory share.

The file is a ring of the moments (wall clock, UTC ns) at which requests left, as many as the longest window can
hold. A request is written down *before* it leaves. That is the safe order: a crash between the two counts one
request too many, never one too few. It costs a few microseconds, because it is a write into the system's page
cache and not an `fsync`: what is there survives SIGKILL of this process. A power cut may lose the last seconds of
it; by the time the machine is up again the short windows are empty anyway, and the half hour is short of those
seconds only. Counting the journal's requests instead was the other choice; it knows neither reads nor what the
watchdog sent, and would have to be read to its end by every process before its first request.

Inside a process moments are kept on the monotonic clock, so that a clock that is set neither frees nor blocks
anything. Only at start, and for requests of other processes, is the wall clock believed, and a moment in its
future counts as now.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_MAGIC: Final = b"TTSPENT1"
_HEAD: Final = struct.Struct("<8sQqq")
"""Magic, requests ever written, end of the pause after a refusal (UTC ns), refusals in a row."""
_ENTRY: Final = struct.Struct("<q")
_LOCK_TRIES: Final = 20
_LOCK_PAUSE_S: Final = 0.0001
_NS: Final = 1_000_000_000


class Spent:
    """One ring file. Errors of the disk are said once; the process then counts by itself.

    Args:
        path: The file; made if missing, with its folder.
        room: Requests that the longest window may hold.
        wall_ns: Wall clock, UTC ns.
    """

    def __init__(self, path: Path, room: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._room = room
        self._wall_ns = wall_ns
        self._seen = 0
        self._fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self.locked():
                self._begin()
        except OSError as error:
            self._give_up(error)

    def _begin(self) -> None:
        head = os.pread(self._fd, _HEAD.size, 0)
        size = _HEAD.size + self._room * _ENTRY.size
        if len(head) == _HEAD.size and head.startswith(_MAGIC) and os.fstat(self._fd).st_size == size:
            self._seen = max(0, _HEAD.unpack(head)[1] - self._room)
            return
        if head:
            log.warning(
                "%s was not readable and begins anew: earlier requests are not counted", self._path.name
            )
        os.ftruncate(self._fd, 0)
        # Written out rather than left as a hole: a full disk shows now, not when the first order leaves.
        os.pwrite(self._fd, _HEAD.pack(_MAGIC, 0, 0, 0) + bytes(self._room * _ENTRY.size), 0)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out, for microseconds.

        A process that was stopped inside must not keep our exits back: after two milliseconds we go on without.
        """
        held = False
        if self._fd >= 0:
            for _ in range(_LOCK_TRIES):
                try:
                    fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held = True
                    break
                except BlockingIOError:
                    time.sleep(_LOCK_PAUSE_S)
                except OSError:
                    break
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(OSError):
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def news(self) -> tuple[list[float], float, int]:
        """What others have written, read in one go: an order waits for it.

        Returns:
            Ages, in seconds, of the requests written since the last look, oldest first (ours are not among them);
            seconds for which the broker's refusal still holds; how many refusals there were in a row.
        """
        if self._fd < 0:
            return [], 0.0, 0
        try:
            head = os.pread(self._fd, _HEAD.size, 0)
            if len(head) < _HEAD.size:
                return [], 0.0, 0
            _, total, until_ns, strikes = _HEAD.unpack(head)
            now = self._wall_ns()
            first, ages = max(self._seen, total - self._room), []
            if total > self._seen:
                stamps = (self._stamp(number) for number in range(first, total))
                ages = [max(0, now - stamp) / _NS for stamp in stamps if stamp]
                self._seen = total
        except (OSError, struct.error) as error:
            self._give_up(error)
            return [], 0.0, 0
        return ages, max(0.0, (until_ns - now) / _NS), strikes

    def _stamp(self, number: int) -> int:
        at = _HEAD.size + number % self._room * _ENTRY.size
        return int(_ENTRY.unpack(os.pread(self._fd, _ENTRY.size, at))[0])

    def add(self, count: int) -> None:
        """Write down that ``count`` requests are about to leave. Call after `news`, under the same lock."""
        if self._fd < 0:
            return
        try:
            stamp = _ENTRY.pack(self._wall_ns())
            for _ in range(count):
                os.pwrite(self._fd, stamp, _HEAD.size + self._seen % self._room * _ENTRY.size)
                self._seen += 1
            # The count last: a kill in between leaves an entry that nobody counts, of a request that never left.
            os.pwrite(self._fd, struct.pack("<Q", self._seen), len(_MAGIC))
        except OSError as error:
            self._give_up(error)

    def set_pause(self, seconds: float, strikes: int) -> None:
        """Write down that the broker refused us for going too fast."""
        if self._fd >= 0:
            until_ns = self._wall_ns() + int(seconds * _NS)
            try:
                os.pwrite(self._fd, struct.pack("<qq", until_ns, strikes), len(_MAGIC) + 8)
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning(
            "requests are counted by this process alone and only while it runs: %s: %s",
            self._path.name,
            getattr(error, "strerror", None) or error,
        )
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
