"""What is written to ``market.duckdb``: instruments, ticks, bars, day figures. Runs on the writer's thread.

Bars have no primary key: an index over four columns of millions of rows would not fit the memory limit. One
writer, and a delete before each insert within one transaction, keep them unique instead; the delete is bounded
by the batch's own time range, which the file's zone maps turn into a look at the last few blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import ist_date
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import interval_name
from tradetui.domain.market_data import BarSource, Candle
from tradetui.storage.columns import MAX_MS, MIN_MS, Room, TickChunk, to_arrow
from tradetui.storage.past import Put, put_block

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NS_PER_MS: Final = 1_000_000
_DELETE_BARS: Final = """
    DELETE FROM bars USING bar_batch b
    WHERE bars.instrument_id = b.instrument_id AND bars."interval" = b."interval" AND bars.start = b.start
      AND (bars.source = 'broker') = (b.source = 'broker')
      AND bars.start BETWEEN ? AND ?
"""

_SUPERSEDE: Final = """
    INSERT INTO superseded_bars
    SELECT DISTINCT b.instrument_id, b."interval", b.start, b.source = 'broker' FROM {batch} b
    WHERE b.session IN (SELECT session FROM archive_files WHERE kind = 'bars')
"""
"""A bar of an archived day that is written again stands for the one in the archive."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of bars that were merged in.

    Attributes:
        inserted: New ones.
        same: Already there, equal in every figure.
        different: Already there with other figures, which were replaced.
    """

    inserted: int
    same: int
    different: int


@dataclass(frozen=True, slots=True)
class DayStats:
    """What a session of one instrument ended with; floats in rupees, 0 where not known.

    Attributes:
        slot: Instrument slot of this run.
        session: IST date.
        prev_close: Close of the session before.
        official_close: Price after continuous trading ended; not part of any bar.
        atp: Average traded price.
        volume: Units, all phases.
        oi: Open interest, units.
    """

    slot: int
    session: date
    prev_close: float = 0.0
    official_close: float = 0.0
    atp: float = 0.0
    volume: int = 0
    oi: float = 0.0


class MarketWriter:
    """Writes market data through one connection, on one thread.

    Args:
        connection: The writer's own.
        instruments: Instruments by slot; may grow while in use.
        depth: Keep depth levels 2 to 5 of every tick.
    """

    def __init__(
        self, connection: DuckDBPyConnection, instruments: Sequence[Instrument], depth: bool = True
    ) -> None:
        self._con = connection
        self._instruments = instruments
        self._depth = depth
        self._room = Room()
        self.unknown = 0
        """Rows of slots that name no instrument, left out."""
        self.forget()

    def forget(self) -> None:
        """Read ids from the file: at the start, and after a transaction that made some was rolled back."""
        rows = self._con.execute("SELECT instrument_id, key, expiry FROM instruments").fetchall()
        self._ids: dict[tuple[str, date | None], int] = {(key, expiry): n for n, key, expiry in rows}
        self._seen: set[int] = set()
        self._by_slot = np.full(0, -1, np.int32)

    def warm(self) -> None:
        """Load what the first write would load, so that it does not stall later."""
        chunk = TickChunk(1)
        chunk.rows = 1
        self._con.register("tick_batch", to_arrow(chunk, np.zeros(1, np.int32), self._depth))
        self._con.execute("SELECT count(*) FROM tick_batch").fetchall()
        self._con.unregister("tick_batch")

    # --- instruments ----------------------------------------------------------------------------------

    def id_of(self, instrument: Instrument, t_ns: int) -> int:
        """The stored id of an instrument; made now when it is new. Exchanges reuse keys after expiry."""
        number = self._ids.get((instrument.key, instrument.expiry))
        if number is None or number not in self._seen:
            self._know({(instrument.key, instrument.expiry): (instrument, t_ns)})
            number = self._ids[instrument.key, instrument.expiry]
        return number

    def _know(self, met: Mapping[tuple[str, date | None], tuple[Instrument, int]]) -> None:
        """Write down instruments that this run meets for the first time, with the moment; others are left alone.

        All in one statement: one each takes milliseconds, and a run may meet thousands in its first frame.
        """
        import pyarrow as pa

        new = {key: pair for key, pair in met.items() if self._ids.get(key, -1) not in self._seen}
        if not new:
            return
        following = max(self._ids.values(), default=0) + 1
        numbers = []
        for key in new:
            numbers.append(self._ids.get(key, following))
            following += numbers[-1] == following
        times = pa.array([t_ns // 1000 for _, t_ns in new.values()], pa.int64()).view(
            pa.timestamp("us", "UTC")
        )
        columns = zip(*(_terms(instrument) for instrument, _ in new.values()), strict=True)
        terms = {
            name: pa.array(column, kind)
            for (name, kind), column in zip(_term_types(pa), columns, strict=True)
        }
        table = pa.table(
            {
                "instrument_id": pa.array(numbers, pa.int32()),
                "key": pa.array([key for key, _ in new]),
                "expiry": pa.array([expiry for _, expiry in new], pa.date32()),
                "first_seen": times,
                "last_seen": times,
                **terms,
            }
        )
        self._con.register("instrument_batch", table)
        try:
            self._con.execute(
                "INSERT INTO instruments BY NAME SELECT * FROM instrument_batch "
                "ON CONFLICT (instrument_id) DO UPDATE SET "
                "last_seen = greatest(last_seen, EXCLUDED.last_seen), symbol = EXCLUDED.symbol, "
                "name = EXCLUDED.name, kind = EXCLUDED.kind, series = EXCLUDED.series, lot_size = EXCLUDED.lot_size, "
                "tick_size = EXCLUDED.tick_size, freeze_qty = EXCLUDED.freeze_qty"
            )
        finally:
            self._con.unregister("instrument_batch")
        self._ids.update(zip(new, numbers, strict=True))
        self._seen.update(numbers)

    def _ids_by_slot(self, slots: NDArray[np.int32], t_ns: int) -> NDArray[np.int32]:
        known = len(self._instruments)
        if len(self._by_slot) < known:
            fresh = np.full(known - len(self._by_slot), -1, np.int32)
            self._by_slot = np.concatenate([self._by_slot, fresh])
        inside = (slots >= 0) & (slots < known)
        safe = np.where(inside, slots, 0)
        met = np.unique(safe[inside & (self._by_slot[safe] < 0)] if known else safe[:0]).tolist()
        named = [self._instruments[slot] for slot in met]
        self._know({(one.key, one.expiry): (one, t_ns) for one in named})
        for slot, one in zip(met, named, strict=True):
            self._by_slot[slot] = self._ids[one.key, one.expiry]
        if not known:
            return np.full(len(slots), -1, np.int32)
        return np.where(inside, self._by_slot[safe], -1).astype(np.int32)

    # --- writing --------------------------------------------------------------------------------------

    def write_ticks(self, chunk: TickChunk) -> int:
        """Write a chunk; return how many rows were written."""
        slots = chunk.head[0, : chunk.rows]
        ids = self._ids_by_slot(slots, int(chunk.stamp[0, 0]))
        unknown = int((ids < 0).sum())
        self._insert("ticks", "tick_batch", to_arrow(chunk, ids, self._depth, self._room))
        self.unknown += unknown
        return chunk.rows - unknown

    def write_bars(self, candles: Iterable[Candle]) -> int:
        """Write bars; each replaces what is stored of the same kind. Returns how many were written."""
        last: dict[tuple[int, int, int, bool], Candle] = {}
        wanted = []
        for candle in candles:
            if 0 <= candle.slot < len(self._instruments) and MIN_MS <= candle.start_ms <= MAX_MS:
                wanted.append((self._instruments[candle.slot], candle))
            else:
                self.unknown += 1
        met: dict[tuple[str, date | None], tuple[Instrument, int]] = {}
        for one, candle in wanted:
            met.setdefault((one.key, one.expiry), (one, candle.start_ms * _NS_PER_MS))
        self._know(met)
        for one, candle in wanted:
            number = self._ids[one.key, one.expiry]
            last[number, candle.interval_s, candle.start_ms, candle.source is BarSource.BROKER] = candle
        if last:
            self._replace_bars([key[0] for key in last], list(last.values()))
        return len(last)

    def merge_bars(self, instrument: Instrument, interval_s: int, candles: Iterable[Candle]) -> Merged:
        """Put in the broker's own bars of one instrument, each once; slots in ``candles`` are ignored."""
        last = {c.start_ms: c for c in candles if MIN_MS <= c.start_ms <= MAX_MS}
        if not last:
            return Merged(0, 0, 0)
        self._con.execute("BEGIN")
        try:
            number = self.id_of(instrument, min(last) * _NS_PER_MS)
            stored = {
                row[0]: row[1:]
                for row in self._stored(number, interval_name(interval_s), min(last), max(last))
            }
            same = {ms for ms, c in last.items() if stored.get(ms) == _figures(c)}
            wanted = [c for ms, c in last.items() if ms not in same]
            if wanted:
                self._replace_bars([number] * len(wanted), wanted, interval_s, BarSource.BROKER)
            self._con.execute("COMMIT")
        except BaseException:
            self._con.execute("ROLLBACK")
            self.forget()
            raise
        inserted = sum(ms not in stored for ms in last)
        return Merged(inserted, len(same), len(last) - inserted - len(same))

    def put_block(
        self,
        instrument: Instrument,
        interval: str,
        block: CandleBlock,
        asked: Mapping[date, int],
        asked_ns: int,
        *,
        replace: bool,
    ) -> Put:
        """Put in one answer of the broker's past bars, whole or not at all; see `past.put_block`."""
        self._con.execute("BEGIN")
        try:
            number = self.id_of(instrument, int(block.start_ms[0]) * _NS_PER_MS if len(block) else asked_ns)
            put = put_block(self._con, number, interval, block, asked, asked_ns // 1000, replace=replace)
            self._con.execute("COMMIT")
        except BaseException:
            self._con.execute("ROLLBACK")
            self.forget()
            raise
        return put

    def write_day_stats(self, stats: Iterable[DayStats]) -> int:
        """Write what sessions ended with, replacing what is stored of the same session."""
        count = 0
        for row in stats:
            number = self.id_of(self._instruments[row.slot], _noon_ns(row.session))
            self._con.execute(
                "DELETE FROM day_stats WHERE instrument_id = ? AND session = ?", [number, row.session]
            )
            figures = [row.prev_close, row.official_close, row.atp, row.volume, row.oi]
            self._con.execute(
                "INSERT INTO day_stats VALUES (?, ?, ?, ?, ?, ?, ?)",
                [number, row.session, *(value or None for value in figures)],
            )
            count += 1
        return count

    def _stored(self, number: int, interval: str, first_ms: int, last_ms: int) -> list[tuple[Any, ...]]:
        columns = self._con.execute(
            "SELECT epoch_ms(start) AS ms, open, high, low, close, volume, oi FROM whole.bars "
            "WHERE instrument_id = ? AND \"interval\" = ? AND source = 'broker' "
            "AND start BETWEEN make_timestamptz(?) AND make_timestamptz(?) AND session BETWEEN ? AND ?",
            [
                number,
                interval,
                first_ms * 1000,
                last_ms * 1000,
                ist_date(first_ms * _NS_PER_MS),
                ist_date(last_ms * _NS_PER_MS),
            ],
        ).fetchnumpy()
        return list(zip(*(columns[name].tolist() for name in columns), strict=True))

    def _replace_bars(
        self,
        ids: list[int],
        candles: list[Candle],
        interval_s: int = 0,
        source: BarSource | None = None,
    ) -> None:
        import pyarrow as pa

        starts = np.array([c.start_ms for c in candles], np.int64) * 1000
        table = pa.table(
            {
                "instrument_id": pa.array(ids, pa.int32()),
                "interval": pa.array([interval_name(interval_s or c.interval_s) for c in candles]),
                "start": pa.array(starts).view(pa.timestamp("us", "UTC")),
                "session": pa.array([ist_date(c.start_ms * _NS_PER_MS) for c in candles], pa.date32()),
                "open": pa.array([c.open for c in candles], pa.float64()),
                "high": pa.array([c.high for c in candles], pa.float64()),
                "low": pa.array([c.low for c in candles], pa.float64()),
                "close": pa.array([c.close for c in candles], pa.float64()),
                "volume": pa.array([c.volume for c in candles], pa.int64()),
                "oi": pa.array([c.oi for c in candles], pa.float64()),
                "source": pa.array([(source or c.source).value for c in candles]),
                "gap": pa.array([c.gap for c in candles], pa.bool_()),
            }
        )
        self._con.register("bar_batch", table)
        try:
            low, high = int(starts.min()), int(starts.max())
            self._con.execute(_DELETE_BARS.replace("?", "make_timestamptz(?)"), [low, high])
            self._con.execute("INSERT INTO bars BY NAME SELECT * FROM bar_batch")
            self._con.execute(_SUPERSEDE.format(batch="bar_batch"))
        finally:
            self._con.unregister("bar_batch")

    def _insert(self, table: str, view: str, data: Any) -> None:
        self._con.register(view, data)
        try:
            self._con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {view}")  # noqa: S608 - names of ours
        finally:
            self._con.unregister(view)


def _figures(candle: Candle) -> tuple[float, float, float, float, int, float]:
    return candle.open, candle.high, candle.low, candle.close, candle.volume, candle.oi


def _noon_ns(day: date) -> int:
    from tradetui.domain.calendar import ns

    return ns(day, "12:00")


def _term_types(pa: Any) -> list[tuple[str, Any]]:
    """Columns of `_terms` with their Arrow types; columns that are all NULL have none of their own."""
    words, number = pa.string(), pa.int64()
    return [
        ("symbol", words), ("name", words), ("segment", words), ("exchange", words), ("kind", words),
        ("series", words), ("lot_size", number), ("tick_size", number), ("freeze_qty", number), ("strike", number),
        ("underlying_key", words), ("isin", words), ("exchange_token", words), ("multiplier", pa.int32()),
    ]  # fmt: skip


def _terms(i: Instrument) -> list[Any]:
    return [
        i.symbol, i.name, i.segment, i.exchange, i.kind.value, i.series, i.lot_size, i.tick_size, i.freeze_qty,
        i.strike, i.underlying_key, i.isin, i.exchange_token, i.multiplier,
    ]  # fmt: skip
