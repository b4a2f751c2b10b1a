"""The store of one account: what the runtime writes at full speed, and what charts and restarts read back.

Two files in one folder, each with a thread of its own: ``ledger.duckdb`` (a projection of the journal) and
``market.duckdb`` (ticks, bars, instruments). The methods that the loop calls return in microseconds; everything
else waits and belongs on another thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tradetui.domain.calendar import ist_date
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.errors import StorageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import I64, Candle, TickBatch
from tradetui.domain.order import Fill, Order
from tradetui.domain.records import Record
from tradetui.storage import reads
from tradetui.storage.archive import KINDS, Archive, Archived
from tradetui.storage.columns import CHUNK_ROWS
from tradetui.storage.database import Settings
from tradetui.storage.keeper import Keep, Keeper, archive_closed
from tradetui.storage.ledger import JournalReader, Numbered
from tradetui.storage.market import DayStats, Merged
from tradetui.storage.past import Put, asked_days
from tradetui.storage.questions import Past, look_at_whole
from tradetui.storage.threads import LedgerThread, MarketThread
from tradetui.storage.upkeep import Checked, check_open
from tradetui.storage.writer import CLOSE_S, Figures, Load

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)

LEDGER_FILE = "ledger.duckdb"
MARKET_FILE = "market.duckdb"
_LEDGER_LOG_MB = 4
"""Log of the ledger at which it is folded into the file, MB. A start after a kill reads it back, at 30 MB a second."""
_READ_TIMEOUT_S = 30.0


class Store:
    """Opened by `Store.open` or `Store.in_memory`; has to be closed.

    Attributes:
        notices: What the user should know about the opening (damage, a changed layout), one line each.
    """

    def __init__(self, ledger: LedgerThread, market: MarketThread, keep: Keep | None = None) -> None:
        self._ledger = ledger
        self._market = market
        self._keep = keep
        self._turn = threading.Lock()
        self._keeper: Keeper | None = None
        self.notices: list[str] = []
        ledger.start()
        market.start()
        try:
            for writer in (ledger, market):
                self.notices += writer.opened.result().notices
        except BaseException:
            self.close()
            raise
        for words in self.notices:
            log.warning("%s", words)
        if keep is not None and market.archive is not None:
            self._keeper = Keeper(market.cursor, market.archive, keep, lambda: market.newest_ns, self._turn)
            self._keeper.start()

    @classmethod
    def open(
        cls,
        folder: Path,
        instruments: Sequence[Instrument],
        *,
        journal: JournalReader | None = None,
        multiplier: Callable[[str], int] = lambda _: 1,
        depth: bool = True,
        memory_mb: int = 128,
        interval_s: float = 0.5,
        chunk_rows: int = CHUNK_ROWS,
        lossless: bool = False,
        ticks: bool = True,
        keep: Keep | None = None,
    ) -> Store:
        """Open the files in a folder, making what is missing; returns when both can be used.

        Args:
            folder: Directory of the account.
            instruments: Instruments by slot, the live list of this run.
            journal: Reads the journal from a day on; the ledger catches up from it now.
            multiplier: Instrument key to money per point and unit.
            depth: Keep depth levels 2 to 5 of every tick.
            memory_mb: Memory limit of the market database, MB.
            interval_s: Longest wait of a row before it is written, seconds.
            chunk_rows: Ticks in one of the buffers.
            lossless: When the buffers are full, `ticks` waits (5 s at most) instead of dropping: for replays at
                full speed and back-tests, whose world can wait. A live run drops, counts and goes on.
            ticks: Keep ticks at all.
            keep: How long things are kept, for the housekeeping beside a run; ``None`` for none.

        Raises:
            StorageError: A file is in use by another program, is from a newer version, or the disk refuses.
            JournalDamaged: The journal cannot be read; the ledger has everything before the damage.
        """
        return cls(
            LedgerThread(
                folder / LEDGER_FILE,
                Settings(memory_mb=64, checkpoint_mb=_LEDGER_LOG_MB),
                multiplier,
                journal,
            ),
            MarketThread(
                folder / MARKET_FILE,
                Settings(memory_mb=memory_mb),
                instruments,
                depth,
                interval_s,
                chunk_rows,
                lossless,
                ticks,
            ),
            keep,
        )

    @classmethod
    def in_memory(
        cls,
        instruments: Sequence[Instrument],
        *,
        multiplier: Callable[[str], int] = lambda _: 1,
        chunk_rows: int = CHUNK_ROWS,
        lossless: bool = True,
    ) -> Store:
        """A store that is gone with the process: for back-tests and tests."""
        return cls(
            LedgerThread(None, Settings(memory_mb=64), multiplier, None),
            MarketThread(None, Settings(), instruments, chunk_rows=chunk_rows, lossless=lossless),
        )

    # --- the loop's side: returns at once -------------------------------------------------------------

    def ticks(self, t_ns: int, batch: TickBatch) -> None:
        """Keep the ticks of one frame."""
        self._market.put_ticks(t_ns, batch)

    def bars(self, candles: Sequence[Candle]) -> None:
        """Keep finished or revised bars; each replaces what is stored of its kind and start."""
        self._market.put_bars(candles)

    def records(self, records: Sequence[Record]) -> None:
        """Project records into the ledger. Every record of the journal, once, in the journal's order."""
        self._ledger.put(records)

    def queued(self) -> int:
        """Rows that wait for the writers."""
        return self._ledger.queued() + self._market.queued()

    def dropped(self) -> int:
        """Rows that were given up; 0 on a good day."""
        return self.figures()["ledger"].dropped + self.figures()["market"].dropped

    def figures(self) -> dict[str, Figures]:
        """What the two writers have done, and why they cannot write, if so."""
        return {"ledger": self._ledger.figures, "market": self._market.figures}

    def load(self) -> Load:
        """How the writing keeps up, for status lines; returns at once."""
        market = self._market.figures
        problems = [f"{name}: {one.error}" for name, one in self.figures().items() if one.error]
        if self._keeper is not None and self._keeper.error:
            problems.append(f"archive: {self._keeper.error}")
        return Load(
            queued=self.queued(),
            dropped=self.dropped(),
            lag_s=self._market.lag_s(),
            flush_ms=market.last_flush_ms,
            flushed_ago_s=time.monotonic() - market.flushed_at_s if market.flushed_at_s else None,
            problem="; ".join(problems),
        )

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write what waits, then close both files.

        Args:
            timeout_s: Longest wait for each of them, seconds. Folding in the log of millions of new rows may take
                longer than a run should take to end.
        """
        if self._keeper is not None:
            self._keeper.stop()
        self._ledger.stop(timeout_s)
        self._market.stop(timeout_s)

    # --- waits for the writer -------------------------------------------------------------------------

    def flush(self, timeout_s: float = _READ_TIMEOUT_S) -> None:
        """Return when everything put in so far can be read.

        Raises:
            StorageError: It cannot be written now.
            TimeoutError: It took too long.
        """
        for writer in (self._ledger, self._market):
            writer.submit(lambda: None).result(timeout_s)

    def merge_bars(self, instrument: Instrument, interval_s: int, candles: Iterable[Candle]) -> Merged:
        """Put in the broker's own bars of one instrument, each once, however often they are handed in.

        Raises:
            StorageError: They cannot be written now.
        """
        job = self._market.submit(lambda: self._market.market.merge_bars(instrument, interval_s, candles))
        return job.result()

    def put_block(
        self,
        instrument: Instrument,
        interval: str,
        block: CandleBlock,
        asked: Mapping[date, int],
        asked_ns: int,
        *,
        replace: bool = False,
    ) -> Put:
        """Put in one answer of the broker's past bars and what it settles, in one transaction.

        Args:
            instrument: Whose.
            interval: Name of the interval.
            block: The answer.
            asked: Days that it settles although they are not full, with its number of bars.
            asked_ns: When the broker was asked, UTC ns.
            replace: Let the broker's figures take the place of stored ones that differ.

        Raises:
            StorageError: It cannot be written now.
        """
        market = self._market
        job = market.submit(
            lambda: market.market.put_block(instrument, interval, block, asked, asked_ns, replace=replace)
        )
        return job.result()

    def day_stats(self, stats: Sequence[DayStats]) -> int:
        """Keep what sessions ended with, official closes among it."""
        return self._market.submit(lambda: self._market.market.write_day_stats(stats)).result()

    def rebuild(self, records: Iterable[Numbered]) -> int:
        """Make the ledger anew from the whole journal; returns the number of records."""
        return self._ledger.submit(lambda: self._ledger.ledger.rebuild(records)).result()

    @property
    def folder(self) -> Path:
        """Directory of the account.

        Raises:
            StorageError: A store in memory has none.
        """
        if self._market.path is None:
            raise StorageError("a store in memory has no folder")
        return self._market.path.parent

    # --- reads ----------------------------------------------------------------------------------------

    def read_bars(
        self,
        key: str,
        interval: str,
        first_ms: int = 0,
        last_ms: int = 1 << 42,
        *,
        expiry: date | None = None,
        own: bool | None = None,
    ) -> pl.DataFrame:
        """Bars of one instrument; see `reads.bars`."""
        with self._market.cursor() as cursor:
            return reads.bars(cursor, key, interval, first_ms, last_ms, expiry, own)

    def read_day(self, session: date, interval: str) -> pl.DataFrame:
        """Bars of every instrument on one IST date; see `reads.day_bars`."""
        with self._market.cursor() as cursor:
            return reads.day_bars(cursor, session, interval)

    def recent_bars(
        self, key: str | Instrument, interval: str, count: int, before_ms: int = 1 << 42, slot: int = 0
    ) -> list[Candle]:
        """The last bars before a moment, oldest first; see `reads.recent_bars`."""
        with self._market.cursor() as cursor:
            return reads.recent_bars(cursor, key, interval, count, before_ms, slot)

    def broker_bar_starts(self, instrument: Instrument, interval: str, first: date, last: date) -> I64:
        """Starts of the broker's own stored bars, epoch ms; see `reads.broker_bar_starts`."""
        with self._market.cursor() as cursor:
            return reads.broker_bar_starts(cursor, instrument.key, interval, first, last, instrument.expiry)

    def asked_days(self, instrument: Instrument, interval: str, first: date, last: date) -> dict[date, int]:
        """Days that are settled although they are not full; see `past.asked_days`."""
        with self._market.cursor() as cursor:
            return asked_days(cursor, instrument.key, instrument.expiry, interval, first, last)

    def last_tick(self, key: str) -> reads.LastTick | None:
        """The newest stored tick of an instrument."""
        with self._market.cursor() as cursor:
            return reads.last_tick(cursor, key)

    def day_totals(self, key: str, session: date) -> reads.DayTotals:
        """What the stored ticks of one IST date amount to."""
        with self._market.cursor() as cursor:
            return reads.day_totals(cursor, key, session)

    def archive(self, before: date | None = None) -> list[Archived]:
        """Move every day before ``before`` into the archive, but never the newest frame's; see `archive.Archive`.

        Args:
            before: ``None`` for what has been in the database for longer than is set.

        Raises:
            StorageError: There is no file, or the disk refuses.
        """
        if self._market.archive is None:
            raise StorageError("a store in memory has no archive")
        newest = self._market.newest_ns
        today = ist_date(newest) if newest else None
        with self._turn, self._market.cursor() as cursor:
            archive = Archive(cursor, self._market.archive)
            if before is None:
                return archive_closed(archive, self._keep or Keep(), today)
            before = min(before, today) if today else before
            return [one for kind in KINDS for one in archive.move(kind, before)]

    def check(self) -> Checked:
        """Look at structure and sizes of the market database and its archive, beside the writing."""
        if self._market.archive is None:
            raise StorageError("a store in memory has no archive")
        with self._market.cursor() as cursor:
            return check_open(cursor, self._market.archive, deep=False)

    def fills(self, day: date | None = None) -> list[Fill]:
        """Fills of a journal day, or all, in the order they were booked."""
        with self._ledger.cursor() as cursor:
            return reads.fills(cursor, day)

    def orders(self, day: date | None = None) -> list[Order]:
        """Orders created on an IST date, or all, oldest first."""
        with self._ledger.cursor() as cursor:
            return reads.orders(cursor, day)

    def on_past(self, work: Callable[[Past], Answer]) -> Answer:
        """Let a function read both databases through cursors of its own."""
        with self._market.cursor() as market, self._ledger.cursor() as ledger:
            return work(Past(look_at_whole(market), ledger))

    def on_ledger(self, work: Callable[[DuckDBPyConnection], Answer]) -> Answer:
        """Let a function read the ledger through a cursor of its own."""
        with self._ledger.cursor() as cursor:
            return work(cursor)

    def ledger_frame(self, sql: str, params: Sequence[Any] = ()) -> pl.DataFrame:
        """Answer of the ledger to a query of the program's own; never text from the user."""
        with self._ledger.cursor() as cursor:
            frame: pl.DataFrame = cursor.sql(sql, params=list(params)).pl()
            return frame

    def market_frame(self, sql: str, params: Sequence[Any] = ()) -> pl.DataFrame:
        """Answer of the market database to a query of the program's own; never text from the user."""
        with self._market.cursor() as cursor:
            frame: pl.DataFrame = cursor.sql(sql, params=list(params)).pl()
            return frame
