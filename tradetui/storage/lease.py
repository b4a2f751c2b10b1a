"""Who may write orders on one data directory: one holder at a time, fenced by an epoch.

The engine, its watchdog and ``tradetui kill`` may all want to act on one account. A lock alone does not keep them
apart: a process that hangs keeps its locks, and one that wakes up does not know how long it slept. So the right to
write orders is an *epoch* in a small file that all of them map into memory:

* whoever takes over raises the epoch, under an exclusive lock;
* whoever writes an order takes the same lock shared, sees whether the epoch is still its own, and keeps the lock
  until the request is answered. A process that was overtaken finds another epoch, and nothing leaves it.
* whoever takes over waits for requests under way; one that hangs in the middle of a request is ended (SIGKILL),
  since nothing else can stop bytes that it may still send.

The holder also shows that it lives: it counts up `Seen.beats` from its own event loop. Nobody compares clocks: a
watcher counts how long *it* has seen no change (`wiring` and `commands` have the watchers).

The file is `lease` in the data directory: 128 bytes, fixed places, native byte order, never removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from tradetui.domain.errors import StorageError

LEASE_NAME: Final = "lease"
_MAGIC: Final = b"TTLEASE1"
_SIZE: Final = 128
_WHOLE: Final = struct.Struct("=8sQQQQQQQ")
"""Magic, epoch, holder, process id, its start mark, beats, steps, exposure."""
_ASKED_AT: Final = 64
_Q: Final = struct.Struct("=Q")
_EPOCH_AT, _BEATS_AT = 8, 40
_BEAT: Final = struct.Struct("=QQQ")
_POLL_S: Final = 0.02
_SHARE_S: Final = 0.1
GRACE_S: Final = 3.0
"""How long a take-over waits for a request that its predecessor has under way."""
YIELD_S: Final = 30.0
"""How long a new engine waits for a watchdog or a kill to finish its step and let go."""


class Holder(IntEnum):
    """Who may write orders."""

    NOBODY = 0
    ENGINE = 1
    WATCHDOG = 2
    KILL = 3

    @property
    def words(self) -> str:
        """As people call it."""
        return {0: "nobody", 1: "the engine", 2: "the watchdog", 3: "tradetui kill"}[self.value]


class Fenced(StorageError):
    """Somebody else may write orders now: nothing was sent."""


class LeaseBusy(StorageError):
    """The holder did not let go in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease at one moment.

    Attributes:
        epoch: Grows by one with every change of holder.
        holder: Who may write orders.
        pid: Its process.
        started: Mark of that process's start, so that a number used again is not mistaken; 0 when the system
            does not tell.
        beats: Counted up by the holder's event loop.
        steps: Events that its engine has worked off.
        exposed: Open positions, working orders and GTTs when it last counted.
        asked: Process id of somebody who waits for the lease; 0 for nobody.
    """

    epoch: int
    holder: Holder
    pid: int
    started: int
    beats: int
    steps: int
    exposed: int
    asked: int

    @property
    def alive(self) -> bool:
        """Whether the holder's process exists (it may hang all the same)."""
        return self.holder is not Holder.NOBODY and process_exists(self.pid, self.started)


class Lease:
    """The lease of one data directory.

    Args:
        folder: The data directory; made if missing.

    Raises:
        StorageError: The file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEASE_NAME
        self._mine = 0
        self._writers = 0
        self._mutex = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if os.fstat(self._fd).st_size < _SIZE:
                os.ftruncate(self._fd, _SIZE)
            self._map = mmap.mmap(self._fd, _SIZE)
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot use the lease {self.path}: {error}") from error

    # --- looking --------------------------------------------------------------------------------------

    def look(self) -> Seen:
        """The lease as it is now."""
        magic, epoch, holder, pid, started, beats, steps, exposed = _WHOLE.unpack_from(self._map)
        (asked,) = _Q.unpack_from(self._map, _ASKED_AT)
        if magic != _MAGIC or holder not in set(Holder):
            return Seen(0, Holder.NOBODY, 0, 0, 0, 0, 0, 0)
        return Seen(epoch, Holder(holder), pid, started, beats, steps, exposed, asked)

    @property
    def epoch(self) -> int:
        """The epoch that was taken here; 0 before."""
        return self._mine

    @property
    def held(self) -> bool:
        """Whether the epoch taken here is still the one in force."""
        return self._mine != 0 and _Q.unpack_from(self._map, _EPOCH_AT)[0] == self._mine

    # --- taking ---------------------------------------------------------------------------------------

    def take(
        self,
        holder: Holder,
        *,
        expect: int | None = None,
        force: bool = False,
        wait_s: float = YIELD_S,
        grace_s: float = GRACE_S,
    ) -> int:
        """Take the lease. The one before is fenced from here on.

        A living watchdog or kill is asked to let go, and waited for. A living engine keeps the lease unless
        ``force``: only whoever has seen it dead or hung may overtake it.

        Args:
            holder: Who takes it.
            expect: Only if this is the epoch in force.
            force: Overtake a living holder.
            wait_s: Longest wait for one that was asked to let go.
            grace_s: Longest wait for a request under way, before its process is ended.

        Returns:
            The new epoch.

        Raises:
            Fenced: Somebody else took it first (``expect``).
            LeaseBusy: The holder lives and does not let go.
        """
        deadline = time.monotonic() + wait_s
        while True:
            with self._exclusive(grace_s):
                seen = self.look()
                if expect is not None and seen.epoch != expect:
                    raise Fenced(f"the lease belongs to {seen.holder.words} now")
                if force or not seen.alive or seen.pid == os.getpid():
                    self._mine = seen.epoch + 1
                    _WHOLE.pack_into(
                        self._map, 0, _MAGIC, self._mine, holder, os.getpid(), start_mark(os.getpid()),
                        0, 0, seen.exposed,
                    )  # fmt: skip
                    _Q.pack_into(self._map, _ASKED_AT, 0)
                    return self._mine
                _Q.pack_into(self._map, _ASKED_AT, os.getpid())
            if seen.holder is Holder.ENGINE or time.monotonic() >= deadline:
                raise LeaseBusy(
                    f"{seen.holder.words} (process {seen.pid}) may write orders on this data directory",
                    "wait until it has finished, or stop it",
                )
            time.sleep(_POLL_S)

    @contextlib.contextmanager
    def _exclusive(self, grace_s: float) -> Iterator[None]:
        """The lock alone; whoever holds it shared for too long hangs in mid-request, and is ended."""
        deadline = time.monotonic() + grace_s
        while not self._lock(fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                seen = self.look()
                if seen.pid == os.getpid() or not end_process(seen.pid, seen.started):
                    raise LeaseBusy(
                        f"{seen.holder.words} (process {seen.pid}) hangs in the middle of a request",
                        f"end it by hand: kill -9 {seen.pid}",
                    )
                deadline = time.monotonic() + grace_s
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.flock(self._fd, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                return False
            raise StorageError(f"cannot lock {self.path}: {error.strerror}") from error
        return True

    # --- holding --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write while one request is under way. Safe from any thread.

        Raises:
            Fenced: Somebody else may write orders now; the request must not leave.
        """
        with self._mutex:
            # One open file has one lock, whatever the number of threads: count them ourselves.
            if self._writers == 0:
                self._share()
            self._writers += 1
        try:
            if not self.held:
                raise self.fenced()
            yield
        finally:
            with self._mutex:
                self._writers -= 1
                if self._writers == 0:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _share(self) -> None:
        """Take the shared lock; who only looks holds the other one for microseconds, who overtakes raises the epoch."""
        deadline = time.monotonic() + _SHARE_S
        while not self._lock(fcntl.LOCK_SH):
            if not self.held or time.monotonic() >= deadline:
                raise self.fenced()
            time.sleep(0.001)

    def beat(self, steps: int, exposed: int) -> None:
        """Show that the event loop turns.

        Raises:
            Fenced: Somebody else has taken over.
        """
        if not self.held:
            raise self.fenced()
        (beats,) = _Q.unpack_from(self._map, _BEATS_AT)
        _BEAT.pack_into(self._map, _BEATS_AT, beats + 1, steps, exposed)

    def asked(self) -> bool:
        """Whether somebody waits for the lease."""
        return bool(_Q.unpack_from(self._map, _ASKED_AT)[0])

    def release(self) -> None:
        """Give the lease back, if it is still ours: nobody writes orders, and nobody needs to watch."""
        if self._mine == 0:
            return
        with self._exclusive(GRACE_S):
            seen = self.look()
            if seen.epoch == self._mine:
                _WHOLE.pack_into(
                    self._map, 0, _MAGIC, seen.epoch, Holder.NOBODY, 0, 0, seen.beats, seen.steps, 0
                )
        self._mine = 0

    def close(self) -> None:
        """Close the file. A lease that was not released stays with this process, dead or alive."""
        if self._fd >= 0:
            with contextlib.suppress(BufferError):
                self._map.close()
            os.close(self._fd)
            self._fd = -1

    def fenced(self) -> Fenced:
        """The error for somebody who was overtaken."""
        seen = self.look()
        who = f"{seen.holder.words} (process {seen.pid})" if seen.holder else "nobody"
        return Fenced(
            f"not sent: {who} has taken over the orders of this data directory",
            "this run can do nothing more; start tradetui again",
        )


def start_mark(pid: int) -> int:
    """Clock ticks between boot and a process's start; 0 where the system does not tell or it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - called twice a second
            # The name in brackets may hold anything; what follows the last bracket is numbers.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def process_exists(pid: int, started: int) -> bool:
    """Whether a process is still the one that it was (a zombie is not)."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # another user's: not one of ours
    if _is_zombie(pid):
        return False
    now = start_mark(pid)
    return not (started and now) or started == now


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False


def end_process(pid: int, started: int) -> bool:
    """SIGKILL a process of ours, and only if it surely is the one that is meant.

    Returns:
        Whether it was the one, and the signal was sent (or it was gone already).
    """
    if not process_exists(pid, started):
        return True
    if not started or start_mark(pid) != started:
        return False  # nothing proves that this number still means the same program
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return True
