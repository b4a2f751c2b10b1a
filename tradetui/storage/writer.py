"""A thread that writes one database file. Each file has its own, so that a checkpoint of one never delays the other.

The loop's side only puts things into bounded queues; the thread owns its connection and writes batches.
When the disk refuses, what waits is kept and tried again, up to the bound; beyond it rows are counted as dropped.
An error never reaches the loop: it shows in `Figures`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tradetui.domain.errors import StorageError
from tradetui.storage.database import Opened, Settings, confine, is_fatal, is_outside, open_database
from tradetui.storage.schema import Schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

T = TypeVar("T")

_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0)
_POISON_TRIES: Final = 2
CLOSE_S: Final = 8.0
"""How long the end of a run waits for a writer, seconds."""


@dataclass(slots=True)
class Figures:
    """What a writer has done, for status lines. Read from any thread.

    Attributes:
        written: Rows written.
        dropped: Rows given up: no room while the disk refused, or refused for what they are.
        flushes: Batches written.
        errors: Attempts that failed.
        error: Why nothing can be written now, in words; empty while all is well.
        last_flush_ms: How long the last batch took.
        flushed_at_s: When it was done, by the monotonic clock; 0 before the first.
    """

    written: int = 0
    dropped: int = 0
    flushes: int = 0
    errors: int = 0
    error: str = ""
    last_flush_ms: float = 0.0
    flushed_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """How the writing of market data keeps up.

    Attributes:
        queued: Rows that wait, the ledger's records among them.
        dropped: Rows that were given up; 0 on a good day.
        lag_s: How long the oldest tick or bar that waits has waited, seconds.
        flush_ms: How long the last batch took.
        flushed_ago_s: How long ago it was written, seconds; ``None`` before the first.
        problem: Why something cannot be written now; empty while all is well.
    """

    queued: int = 0
    dropped: int = 0
    lag_s: float = 0.0
    flush_ms: float = 0.0
    flushed_ago_s: float | None = None
    problem: str = ""


class Writer(threading.Thread):
    """A thread that owns one database file and drains a queue into it.

    Args:
        name: Name of the thread.
        path: The file; ``None`` for memory.
        schema: Layout of the file.
        settings: Memory, threads.
        interval_s: Longest wait of a row before it is written.
    """

    def __init__(
        self, name: str, path: Path | None, schema: Schema, settings: Settings, interval_s: float
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.settle_s = 0.0
        """How long rows that woke it wait for company, seconds."""
        self.path = path
        self.figures = Figures()
        self.opened: Future[Opened] = Future()
        self._schema = schema
        self._settings = settings
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._stopping_by = 0.0
        self._failures = 0
        self._retry_at = 0.0
        self._closed = False
        self._open: Opened | None = None

    # --- for other threads ----------------------------------------------------------------------------

    def queued(self) -> int:
        """Rows that wait."""
        raise StorageError("a writer without a queue")

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run something on the writer's thread after everything that waits now was written."""
        done: Future[T] = Future()
        with self._lock:
            if self._closed:
                done.set_exception(StorageError("the store is closed"))
                return done
            self._jobs.append((job, done))
        self._wake.set()
        return done

    def cursor(self) -> DuckDBPyConnection:
        """A connection of one's own to the same database, for reading from any thread."""
        if self._open is None:
            raise StorageError("the store is closed")
        return self._open.connection.cursor()

    def stop(self, timeout_s: float = CLOSE_S) -> None:
        """Write what waits, close the file, end the thread."""
        self._stopping_by = time.monotonic() + timeout_s
        self._wake.set()
        self.join(timeout_s + 5.0)
        if self.is_alive():
            log.error("the %s did not end; %d rows were not written", self.name, self.queued())

    # --- the thread -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Open, drain until stopped, close."""
        try:
            self._start()
            assert self._open is not None
        except BaseException as error:
            self._end()
            self.opened.set_exception(error)
            return
        self.opened.set_result(self._open)
        try:
            while not self._round():
                pass
        finally:
            self._end()

    def _round(self) -> bool:
        """Wait, drain, run jobs; ``True`` when it is time to end."""
        woken = self._wake.wait(self._pause_s())
        if woken and self.settle_s and not (self._jobs or self._stopping_by):
            time.sleep(self.settle_s)
        self._wake.clear()
        jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
        sound = self._attempt(now=bool(jobs))
        for job, done in jobs:
            self._run_job(job, done, sound)
        if not self._stopping_by or self._jobs:
            return False
        if sound and not self.queued():
            return True
        if time.monotonic() > self._stopping_by:
            self._give_up()
            return True
        return False

    def _end(self) -> None:
        self._shut()
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
            self._jobs.clear()
        for _, done in jobs:
            done.set_exception(StorageError("the store is closed"))

    def _start(self) -> None:
        self._open = open_database(self.path, self._schema, self._settings)
        self._begin(self._open)
        confine(self._open.connection, self._readable())

    def _pause_s(self) -> float:
        if self._failures:
            return max(0.05, self._retry_at - time.monotonic())
        return 0.01 if self._stopping_by else self._interval_s

    def _attempt(self, now: bool) -> bool:
        """Drain once; on an error keep what waits and say why. After a failure not before it is time."""
        self._tend()
        if self._failures and not now and time.monotonic() < self._retry_at:
            return False
        try:
            if self._open is None:
                self._start()
            self._drain()
        except Exception as error:
            self._failed(error)
            return False
        if self._failures:
            log.warning("the %s can write again", self.name)
            self._failures, self.figures.error = 0, ""
        return True

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        pause = 0.2 if self._stopping_by else _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1]
        self._retry_at = time.monotonic() + pause
        self.figures.errors += 1
        self.figures.error = str(error).splitlines()[0][:200]
        if self._failures == 1:
            log.error("the %s cannot write: %s", self.name, self.figures.error)
        if is_fatal(error):
            self._shut()
        elif not (is_outside(error) or isinstance(error, StorageError)) and self._failures >= _POISON_TRIES:
            # The disk is not to blame, so the same rows would fail for ever and block the rest.
            count = self._discard_head()
            self.figures.dropped += count
            log.error("the %s gives up %d rows: %s", self.name, count, self.figures.error)

    def _run_job(self, job: Callable[[], Any], done: Future[Any], sound: bool) -> None:
        if not sound:
            done.set_exception(StorageError(f"{self.name} cannot write: {self.figures.error}"))
            return
        try:
            done.set_result(job())
        except Exception as error:
            done.set_exception(error)

    def _give_up(self) -> None:
        lost = self.queued()
        self.figures.dropped += lost
        log.error("the %s closes with %d rows unwritten: %s", self.name, lost, self.figures.error)

    def _shut(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            with contextlib.suppress(Exception):  # a broken database cannot be closed any better
                opened.connection.close()

    @contextlib.contextmanager
    def _timed(self, rows: int) -> Iterator[None]:
        start = time.perf_counter()
        yield
        figures = self.figures
        figures.last_flush_ms = (time.perf_counter() - start) * 1e3
        figures.flushed_at_s = time.monotonic()
        figures.written += rows
        figures.flushes += 1

    # --- for the two kinds ----------------------------------------------------------------------------

    def _begin(self, opened: Opened) -> None:
        """Set up on a fresh connection."""

    def _readable(self) -> tuple[Path, ...]:
        """Folders whose files the database may read and write."""
        return ()

    def _tend(self) -> None:
        """What has to be done also while nothing can be written."""

    def _drain(self) -> None:
        """Write everything that waits; raise on the first failure and keep the rest."""

    def _discard_head(self) -> int:
        """Give up the batch at the head of the queue; return its rows."""
        return 0
