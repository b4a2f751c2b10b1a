"""The two threads that write: the ledger's, fed with journal records, and the market's, fed with ticks and bars."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.errors import StorageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle, TickBatch
from tradetui.domain.records import Record
from tradetui.storage import archive, upkeep
from tradetui.storage.columns import CHUNK_ROWS, TickChunk
from tradetui.storage.database import Opened, Settings, open_database, set_aside
from tradetui.storage.ledger import JournalReader, Ledger, Numbered, Numbering
from tradetui.storage.market import MarketWriter
from tradetui.storage.schema import LEDGER, MARKET
from tradetui.storage.writer import Writer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

FLUSH_ROWS: Final = 10_000
"""Ticks that are written at once without waiting for the interval."""
MAX_CHUNKS: Final = 8
"""Chunks of ticks in all: 131,072 rows, 46 MB."""
MAX_BARS: Final = 200_000
MAX_RECORDS: Final = 100_000
FOLD_EVERY_S: Final = 30.0
LEAST_FOLDED: Final = 20_000
"""Ticks that are worth folding: 7 MB of memory."""
MOST_FOLDED: Final = 100_000
"""In `FOLD_EVERY_S`; more than that is a busy market."""
_PATIENCE_S: Final = 5.0
_SETTLE_S: Final = 0.02
"""Records come while their order is being sent, which needs the interpreter more for some milliseconds."""


class LedgerThread(Writer):
    """Projects journal records.

    Args:
        path: The file; ``None`` for memory.
        settings: Memory, threads.
        multiplier: Instrument key to money per point and unit.
        reader: Reads the journal, to catch up from; ``None`` where there is none.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        multiplier: Callable[[str], int],
        reader: JournalReader | None,
        interval_s: float = 0.5,
    ) -> None:
        super().__init__("ledger writer", path, LEDGER, settings, interval_s)
        self.settle_s = _SETTLE_S
        self._multiplier = multiplier
        self._reader = reader
        self._queue: deque[Numbered] = deque()
        self._numbering = Numbering()
        self._behind = False
        self.caught_up = 0
        """Records taken from the journal, not from the run."""

    def put(self, records: Sequence[Record]) -> None:
        """Queue records of this run, in the order of the journal."""
        with self._lock:
            for record in records:
                numbered = self._numbering.next(record)
                # After a gap nothing is queued: the ledger must stay a beginning of the journal.
                if self._behind or len(self._queue) >= MAX_RECORDS:
                    self._behind = True
                    self.figures.dropped += 1
                else:
                    self._queue.append(numbered)
        if not self._failures:
            self._wake.set()

    def queued(self) -> int:
        """Records that wait."""
        return len(self._queue)

    def _begin(self, opened: Opened) -> None:
        import pyarrow  # noqa: F401 - loaded now, so that the first record does not wait for it

        first = not self.opened.done()
        self.ledger = Ledger(opened.connection, self._multiplier)
        if self._reader is not None:
            new = self.ledger.follow(self._reader)
            if new is None:
                self._start_over(opened)
                new = self.ledger.catch_up(self._reader)
            self.caught_up += new
        elif opened.created and not first:
            self._behind = True
        if first:
            self._numbering = Numbering(*self.ledger.last)

    def _start_over(self, opened: Opened) -> Opened:
        """The journal says something else: it is right, and the ledger is made anew from it."""
        assert self.path is not None, "a ledger in memory begins empty"
        opened.connection.close()
        kept = set_aside(self.path, "superseded")
        self._open = fresh = open_database(self.path, self._schema, self._settings)
        fresh.notices[:0] = opened.notices
        fresh.notices.append(
            f"the ledger did not agree with the journal and was rebuilt from it; the old one is {kept.name}"
        )
        self.ledger = Ledger(fresh.connection, self._multiplier)
        return fresh

    def _drain(self) -> None:
        while self._queue:
            batch = [self._queue[i] for i in range(min(len(self._queue), 5000))]
            with self._timed(len(batch)):
                self.ledger.project(batch)
            for _ in batch:
                self._queue.popleft()
        if self._behind and self._reader is not None:
            self._fill_gap(self._reader)

    def _fill_gap(self, reader: JournalReader) -> None:
        try:
            self.caught_up += self.ledger.catch_up(reader)
        except StorageError as error:  # its last record is being written right now; the next round sees it
            log.info("the journal cannot be read to its end yet: %s", error)
            return
        with self._lock:
            if self.ledger.last >= (self._numbering.day, self._numbering.number):
                self._behind = False

    def _discard_head(self) -> int:
        with self._lock:
            count = len(self._queue)
            self._queue.clear()
            self._behind = True
        return count


class MarketThread(Writer):
    """Writes ticks and bars.

    Args:
        path: The file; ``None`` for memory.
        settings: Memory, threads.
        instruments: Instruments by slot; may grow.
        depth: Keep depth levels 2 to 5.
        interval_s: Longest wait of a row.
        chunk_rows: Rows of one buffer.
        lossless: Wait for room, within reason, instead of dropping: for worlds that can wait.
        ticks: Keep ticks at all.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        instruments: Sequence[Instrument],
        depth: bool = True,
        interval_s: float = 0.5,
        chunk_rows: int = CHUNK_ROWS,
        lossless: bool = False,
        ticks: bool = True,
    ) -> None:
        super().__init__("market writer", path, MARKET, settings, interval_s)
        self._instruments = instruments
        self._depth = depth
        self._flush_rows = min(FLUSH_ROWS, chunk_rows)
        self._chunk_rows = chunk_rows
        self._lossless = lossless
        self._ticks = ticks
        self._room = threading.Condition(self._lock)
        self._made = 2
        self._current: TickChunk | None = TickChunk(chunk_rows)
        self._spare: list[TickChunk] = [TickChunk(chunk_rows)]
        self._full: deque[TickChunk] = deque()
        self._bars: deque[Candle] = deque()
        self._since: deque[float] = deque()
        """When the first row of each chunk that waits came, and at the end that of the current one."""
        self._bars_since = 0.0
        self._folded_rows, self._folded_s = 0, time.monotonic()
        self.archive = path.parent / archive.FOLDER if path is not None else None
        """Folder of the Parquet files; ``None`` for a database in memory."""
        self.newest_ns = 0
        """Engine time of the newest frame."""

    def put_ticks(self, t_ns: int, batch: TickBatch) -> None:
        """Copy the ticks of a frame."""
        self.newest_ns = max(self.newest_ns, t_ns)
        if not self._ticks:
            return
        size = len(batch.slot)
        with self._lock:
            first = 0
            while first < size:
                chunk = self._current
                if chunk is None or chunk.rows == chunk.capacity:
                    chunk = self._next_chunk()
                    if chunk is None:
                        self.figures.dropped += size - first
                        return
                if not chunk.rows:
                    self._since.append(time.monotonic())
                first = chunk.append(t_ns, batch, first)
            current = self._current
            wake = current is not None and current.rows >= self._flush_rows
        if wake and not self._failures:
            self._wake.set()

    def _next_chunk(self) -> TickChunk | None:
        if self._current is not None:
            self._full.append(self._current)
            self._current = None
        self._wake.set()
        if not self._spare and self._made < MAX_CHUNKS:
            # The writer makes spare chunks ahead of need; in a burst beyond that a stall of some
            # milliseconds is better than a loss.
            self._spare.append(TickChunk(self._chunk_rows))
            self._made += 1
        if not self._spare and self._lossless and not self._failures:
            self._room.wait_for(lambda: self._spare or self._failures or self._closed, _PATIENCE_S)
        self._current = self._spare.pop() if self._spare else None
        return self._current

    def put_bars(self, candles: Sequence[Candle]) -> None:
        """Queue bars."""
        room = MAX_BARS - len(self._bars)
        if not self._bars:
            self._bars_since = time.monotonic()
        self._bars.extend(candles[:room] if room < len(candles) else candles)
        if room < len(candles):
            self.figures.dropped += len(candles) - max(room, 0)

    def queued(self) -> int:
        """Ticks and bars that wait."""
        current = self._current
        ticks = sum(chunk.rows for chunk in list(self._full)) + (current.rows if current else 0)
        return ticks + len(self._bars)

    def lag_s(self) -> float:
        """How long the oldest row that waits has waited, seconds; 0 when none does."""
        waiting = [self._bars_since] if self._bars else []
        with contextlib.suppress(IndexError):  # written in this moment
            waiting.append(self._since[0])
        return max(0.0, time.monotonic() - min(waiting)) if waiting else 0.0

    def _readable(self) -> tuple[Path, ...]:
        return (self.archive,) if self.archive is not None else ()

    def _begin(self, opened: Opened) -> None:
        if self.archive is not None:
            opened.notices += upkeep.take_up(opened, self.archive)
        self.market = MarketWriter(opened.connection, self._instruments, self._depth)
        self.market.warm()

    def _drain(self) -> None:
        while self._full:
            self._write_chunk()
        with self._lock:
            chunk = self._current
            if chunk is not None and chunk.rows:
                self._full.append(chunk)
                self._current = self._spare.pop() if self._spare else None
        if self._full:
            self._tend()
            self._write_chunk()
        if count := len(self._bars):
            batch = [self._bars[i] for i in range(count)]
            with self._timed(count):
                self._transaction(lambda: self.market.write_bars(batch))
            for _ in range(count):
                self._bars.popleft()
        self._fold()

    def _fold(self) -> None:
        """Fold the log into the file when little is written: until then DuckDB holds those rows in memory.

        A busy market reaches the log's own threshold soon enough, and is not held up here.
        """
        import duckdb

        rows, now_s = self.figures.written - self._folded_rows, time.monotonic()
        if self.path is None or now_s - self._folded_s < FOLD_EVERY_S or rows < LEAST_FOLDED:
            return
        self._folded_rows, self._folded_s = self.figures.written, now_s
        if rows <= MOST_FOLDED and not self._full:
            with contextlib.suppress(duckdb.TransactionException):  # somebody reads: the next time
                self._connection.execute("CHECKPOINT")

    def _write_chunk(self) -> None:
        chunk = self._full[0]
        with self._timed(chunk.rows):
            self._transaction(lambda: self.market.write_ticks(chunk))
        with self._lock:
            self._full.popleft()
            self._since.popleft()
            chunk.rows = 0
            self._spare.append(chunk)
            self._room.notify()

    def _tend(self) -> None:
        """Keep a spare chunk ready, made here: filling fresh memory would stall the loop."""
        with self._lock:
            make = not self._spare and self._made < MAX_CHUNKS
            self._made += make
        if make:
            fresh = TickChunk(self._chunk_rows)
            with self._lock:
                self._spare.append(fresh)
                self._room.notify()
        with self._lock:
            if self._current is None and self._spare:
                self._current = self._spare.pop()

    def _transaction(self, work: Callable[[], Any]) -> None:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            work()
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):
                connection.execute("ROLLBACK")
            with contextlib.suppress(Exception):
                self.market.forget()
            raise

    @property
    def _connection(self) -> DuckDBPyConnection:
        if self._open is None:
            raise StorageError("the store is closed")
        return self._open.connection

    def _discard_head(self) -> int:
        with self._lock:
            if self._full:
                chunk = self._full.popleft()
                self._since.popleft()
                count, chunk.rows = chunk.rows, 0
                self._spare.append(chunk)
                return count
            count = len(self._bars)
            self._bars.clear()
            return count
