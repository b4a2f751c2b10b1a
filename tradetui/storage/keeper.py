"""Housekeeping beside a run: days that have closed leave the database for the archive, old ones leave the archive.

It works on a thread of its own and on a connection of its own, slice by slice, and stops between two slices when the
run ends. "Closed" is judged by the engine's time, never by the machine's clock: a day is closed when the newest frame
belongs to a later one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import StorageError
from tradetui.storage.archive import Archive, Archived
from tradetui.storage.upkeep import clean_up

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

FIRST_S: Final = 120.0
"""A start has better things to do."""
EVERY_S: Final = 1800.0
_JOIN_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept; 0 is for ever.

    Attributes:
        ticks_days: Days of ticks that stay in the database; older ones go to the archive.
        bars_days: The same for bars.
        archive_ticks_days: Days of ticks that stay in the archive; older ones are deleted.
    """

    ticks_days: int = 0
    bars_days: int = 0
    archive_ticks_days: int = 0

    def bound(self, kind: str, sessions: list[date], today: date | None) -> date | None:
        """The day before which rows of a kind leave the database; ``None`` when nothing does.

        Args:
            kind: ``ticks`` or ``bars``.
            sessions: Days in the database, oldest first.
            today: The newest frame's day, which never leaves; ``None`` when none came yet.
        """
        days = self.ticks_days if kind == "ticks" else self.bars_days
        closed = [day for day in sessions if today is None or day < today]
        if not days or len(closed) <= days:
            return None
        return closed[-days]


def archive_closed(archive: Archive, keep: Keep, today: date | None) -> list[Archived]:
    """Move what has been in the database for long enough, and drop what has been in the archive for long enough.

    Raises:
        StorageError: The disk refuses.
    """
    done: list[Archived] = []
    for kind in ("ticks", "bars"):
        before = keep.bound(kind, archive.sessions(kind), today)
        if before is not None:
            done += archive.move(kind, before)
    for path in archive.expire("ticks", keep.archive_ticks_days):
        log.info("%s was kept for %d days and is deleted now", path, keep.archive_ticks_days)
    return done


class Keeper(threading.Thread):
    """Does the housekeeping of one market database.

    Args:
        cursor: A connection of one's own to it.
        folder: The archive's folder.
        keep: How long things are kept.
        newest_ns: Engine time of the newest frame, UTC ns; 0 before the first.
        turn: Held while files of the archive are written or deleted.
        first_s, every_s: Seconds before the first round, and between rounds.
    """

    def __init__(
        self,
        cursor: Callable[[], DuckDBPyConnection],
        folder: Path,
        keep: Keep,
        newest_ns: Callable[[], int],
        turn: threading.Lock,
        first_s: float = FIRST_S,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(name="archive keeper", daemon=True)
        self._cursor = cursor
        self._folder = folder
        self._keep = keep
        self._newest_ns = newest_ns
        self._turn = turn
        self._first_s, self._every_s = first_s, every_s
        self._ending = threading.Event()
        self.moved = 0
        """Rows moved into the archive."""
        self.error = ""
        """Why the last round failed; empty when it did not."""

    def run(self) -> None:
        """Work until stopped."""
        pause = self._first_s
        while not self._ending.wait(pause):
            pause = self._every_s
            try:
                self._round()
                self.error = ""
            except Exception as error:
                self.error = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                log.log(
                    logging.WARNING if isinstance(error, StorageError) else logging.ERROR,
                    "closed days could not be archived: %s",
                    self.error,
                )

    def _round(self) -> None:
        newest = self._newest_ns()
        if not newest:
            return  # nobody knows yet which day it is
        with self._turn, self._cursor() as cursor:
            for path in clean_up(cursor, self._folder):
                log.info("%s of the archive was left by a kill, and is deleted", path)
            archive = Archive(cursor, self._folder, self._ending.is_set)
            for one in archive_closed(archive, self._keep, ist_date(newest)):
                self.moved += one.rows
                log.info("archived %d %s of %s, %s", one.rows, one.kind, one.session, one.segment)

    def stop(self) -> None:
        """End after the slice under way."""
        self._ending.set()
        if self.is_alive():
            self.join(_JOIN_S)
