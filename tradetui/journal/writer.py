"""The journal of one account, open for appending."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tradetui.domain.errors import JournalDamaged, StorageError
from tradetui.domain.records import Record, RecordKind
from tradetui.journal.content import ContentHash
from tradetui.journal.frames import (
    GENESIS,
    MAGIC,
    day_of,
    encode,
    files,
    frame_of,
    is_cut,
    last_hash,
    nothing,
    payload_of,
    read,
    read_days,
)
from tradetui.journal.merge import Waiting, waiting_in
from tradetui.journal.reserve import RESERVE_BYTES, Reserve, payloads_in

log = logging.getLogger(__name__)


class Journal:
    """The journal of one account, open for appending.

    Args:
        folder: Where the day files live; made if missing, private to the user.
        reserve_bytes: Size of the emergency reserve; 0 for none.

    Raises:
        JournalDamaged: The newest file is damaged other than by a cut tail.
        StorageError: The folder or file cannot be opened.
    """

    def __init__(self, folder: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._day = ""
        self._number = 0
        self._end = 0
        self._previous = GENESIS
        self._unsynced: list[bytes] = []
        self._synced_end = 0
        self._suspect = False
        self._reserve: Reserve | None = None
        self._reserving: Waiting | None = None
        self.content = ContentHash()
        self.torn: Path | None = None
        """Where a cut tail was put when this journal was opened."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"cannot make the folder {folder}: {error.strerror}") from error
        if days := files(folder):
            self._resume(days)
        if reserve_bytes:
            self._open_reserve(reserve_bytes)

    # --- opening --------------------------------------------------------------------------------------

    def _resume(self, days: list[Path]) -> None:
        path, good = days[-1], len(MAGIC)
        try:
            for stored in read(path, wanted=nothing):
                good, self._number, self._previous = stored.end, stored.number, stored.sha256
        except JournalDamaged:
            self._set_tail_aside(path, good)
        if not self._number:
            # A file without a record says nothing about what came before it.
            self._previous = last_hash(days[:-1]) or GENESIS
        self._day = path.stem

    def _set_tail_aside(self, path: Path, good: int) -> None:
        data = path.read_bytes()
        if len(data) < len(MAGIC) and MAGIC.startswith(data):
            good = 0  # cut while the file was being made
        tail = data[good:]
        if (good and data[: len(MAGIC)] != MAGIC) or (good and not is_cut(tail)):
            raise JournalDamaged(
                f"{path.name} is damaged at byte {good} of {len(data)}",
                "keep a copy of it and move it away; the records before that byte are intact",
                file=path.name,
                number=self._number + 1,
                offset=good,
            )
        self.torn = path.with_suffix(f".{good}.torn")
        self.torn.write_bytes(tail)
        if good == 0:
            path.unlink()
            return
        with path.open("r+b") as file:
            file.truncate(good)
            os.fsync(file.fileno())

    def _open_reserve(self, size: int) -> None:
        try:
            self._reserve = Reserve(self._folder, size)
        except OSError as error:
            log.warning(
                "no emergency reserve for the journal in %s (%s): on a full disk not even exits can be recorded",
                self._folder,
                error.strerror,
            )
            return
        payloads = payloads_in(self._reserve.path)
        waiting = waiting_in(payloads, self._day, self._number, self._previous)
        if waiting is None:
            self._reserve.close()
            raise JournalDamaged(
                f"{self._reserve.path.name} does not follow the journal beside it",
                "keep a copy of it and move it away; it holds what was recorded while the disk was full",
                file=self._reserve.path.name,
            )
        if payloads:
            self._reserving = waiting
            try:
                self.recover()
            except StorageError as error:
                log.warning("the journal's emergency reserve cannot be emptied yet: %s", error)

    # --- writing --------------------------------------------------------------------------------------

    def append(self, record: Record) -> None:
        """Add a record. It is durable only after `sync`.

        Raises:
            StorageError: The disk refuses (full, failing). The record counts as not written.
        """
        data = encode(record.data)
        try:
            if self._reserving is not None:
                self._append_reserved(record)
            elif self._suspect:
                raise OSError(errno.EIO, "the last sync failed")
            else:
                self._append(record, data)
        except OSError as error:
            raise StorageError(f"cannot write the journal in {self._folder}: {error.strerror}") from error
        self.content.add(record, data)

    def _append(self, record: Record, data: bytes) -> None:
        day = day_of(record.t_ns)
        if self._file is None or day > self._day:
            self._open(max(day, self._day))
        self._write(payload_of(record, self._number + 1, self._previous, data))

    def _write(self, payload: bytes) -> None:
        assert self._file is not None
        start = self._end
        frame = frame_of(payload)
        try:
            if self._file.write(frame) != len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            # Half a frame on the disk would make every later record unreadable.
            self._file.truncate(start)
            self._file.seek(start)
            raise
        self._end = start + len(frame)
        self._number += 1
        self._previous = hashlib.sha256(payload).hexdigest()
        self._unsynced.append(frame)

    def _open(self, day: str) -> None:
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None
        path = self._folder / f"{day}.journal"
        # Unbuffered: a write either reaches the kernel whole or raises here, where it can be undone.
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: SIM115, PTH123
        try:
            self._begin_file()
        except OSError:
            # Not begun: the next append has to come by here again.
            self._file.close()
            self._file = None
            raise
        if day != self._day:
            self._number = 0
        self._day = day
        self._synced_end = self._end

    def _begin_file(self) -> None:
        assert self._file is not None
        self._end = self._file.seek(0, os.SEEK_END)
        if self._end < len(MAGIC):
            # New, or the disk was full when it was made.
            self._file.truncate(0)
            self._file.seek(0)
            if self._file.write(MAGIC) != len(MAGIC):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._end = len(MAGIC)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def sync(self) -> None:
        """Return when everything appended is on the disk.

        Raises:
            StorageError: The disk refuses. Nothing that depends on these records may be sent.
        """
        try:
            if self._reserving is not None and self._reserve is not None:
                self._reserve.sync()
            else:
                self._sync()
        except OSError as error:
            raise StorageError(f"cannot sync the journal in {self._folder}: {error.strerror}") from error

    def _sync(self) -> None:
        if not self._unsynced or self._file is None:
            return
        if self._suspect:
            # After a failed sync the kernel may take the pages for clean and lost: only writing them again helps.
            self._file.seek(self._synced_end)
            again = b"".join(self._unsynced)
            if self._file.write(again) != len(again):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._suspect = True
        getattr(os, "fdatasync", os.fsync)(self._file.fileno())
        self._suspect = False
        self._unsynced.clear()
        self._synced_end = self._end

    # --- a full disk ----------------------------------------------------------------------------------

    def use_reserve(self) -> bool:
        """From now on, until `recover`, append to the emergency reserve.

        Returns:
            Whether there is one that can be written.
        """
        if self._reserve is None or self._reserving is not None:
            return self._reserving is not None
        try:
            # What was appended but never synced may be lost in the day file.
            for frame in self._unsynced:
                self._reserve.append(frame)
            self._reserve.sync()
        except OSError as error:
            log.error("the journal's emergency reserve cannot be used: %s", error.strerror)  # noqa: TRY400
            return False
        self._reserving = Waiting([], self._day, self._number, self._previous)
        log.warning("the journal goes into its emergency reserve: %d bytes of room", self._reserve.free)
        return True

    def _append_reserved(self, record: Record) -> None:
        assert self._reserve is not None
        assert self._reserving is not None
        if record.kind is RecordKind.WIRE:
            # Raw replies are large; the room is for what orders and positions depend on.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        payload = self._reserving.next(record)
        self._reserve.append(frame_of(payload))
        self._reserving.add(payload, record.t_ns)

    def recover(self) -> None:
        """After a failure: make sure of what was appended, and move the reserve's frames into the day file.

        Raises:
            StorageError: The disk still refuses; nothing is lost, and it can be tried again.
        """
        try:
            if self._suspect:
                self._sync()
            if self._reserving is not None:
                self._empty_reserve()
        except OSError as error:
            raise StorageError(f"cannot write the journal in {self._folder}: {error.strerror}") from error

    def _empty_reserve(self) -> None:
        assert self._reserve is not None
        assert self._reserving is not None
        left = self._reserving.payloads
        while left:
            day, payload = left[0]
            if self._file is None or day > self._day:
                self._open(day)
            self._write(payload)
            left.pop(0)
        self._sync()
        self._reserve.clear()
        self._reserving = None

    # --- reading and closing --------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Every record of every day, oldest first, those in the reserve last.

        Raises:
            JournalDamaged: At the first thing that is wrong.
        """
        for _, stored in read_days(self._folder):
            yield stored.record
        if self._reserving is not None:
            for _, _, record in self._reserving.numbered():
                yield record

    def close(self) -> None:
        """Sync and close. What could not be moved out of the reserve is moved when the journal is opened again.

        Raises:
            StorageError: The disk refuses.
        """
        try:
            if self._suspect:
                self.recover()
            self.sync()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._reserve is not None:
                self._reserve.close()
                self._reserve = None
