"""One program at a time on one data directory.

Two engines on one journal would interleave their records and send each other's orders twice. The lock is the
kernel's (`flock`): it goes with the process, however that ends, so it never has to be cleaned up by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from tradetui.domain.errors import StorageError

LOCK_NAME = "tradetui.lock"


class DataInUse(StorageError):
    """Another process holds the data directory."""


class DataLock:
    """The lock of a data directory, held until `release` or the end of the process.

    Args:
        folder: The data directory; made if missing, private to the user.
        purpose: What the holder is, told to whoever comes second: ``tradetui run``.

    Raises:
        DataInUse: Another process holds it; the message says which.
        StorageError: The folder cannot be written.
    """

    def __init__(self, folder: Path, purpose: str = "tradetui") -> None:
        self.path = folder / LOCK_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"cannot use the data directory {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            words = _holder(self._fd)
            os.close(self._fd)
            raise DataInUse(
                f"the data directory {folder} is in use by {words}",
                "stop that program, or give this one another directory with --home",
            ) from error
        except OSError as error:
            os.close(self._fd)
            raise StorageError(f"cannot lock {self.path}: {error.strerror}") from error
        self._write(purpose)

    def _write(self, purpose: str) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "purpose": purpose, "since": since})
        # The words are a courtesy; a full disk must not keep the program from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text.encode(), 0)

    def release(self) -> None:
        """Give the directory free. The file stays: removing it would let two processes lock two files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> DataLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _holder(fd: int) -> str:
    """Who holds the lock, in words."""
    try:
        said = json.loads(os.pread(fd, 4096, 0))
        return f"{said['purpose']} (process {said['pid']}, since {said['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another program"
