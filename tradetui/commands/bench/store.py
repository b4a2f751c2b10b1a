"""``bench store``: what the store adds to bare DuckDB and Arrow, and what writing costs the loop.

Four parts, ours and the bare library taking turns where there is a bound: chunks of ticks into DuckDB beside an
insert from a ready Arrow table; raw frames into a recording beside an Arrow IPC stream with ``fdatasync``; a day of
minute bars of 2,000 symbols read into a frame beside the bare query; and the loop's lag while it feeds the store.

The market is made here: random walks in ticks, a book of five levels around them, 2,000 instruments in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.calendar import ns
from tradetui.domain.errors import TradeTuiError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import FrameKind, Has, Px, Qty, TickBatch
from tradetui.runtime.telemetry import LoopLag
from tradetui.storage.columns import CHUNK_ROWS, TickChunk, to_arrow
from tradetui.storage.database import Settings, open_database
from tradetui.storage.market import MarketWriter
from tradetui.storage.recording import RecordingWriter, RecordKind
from tradetui.storage.schema import MARKET
from tradetui.storage.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LIMITS: Final = {"day_read_ms": 50.0, "loop_lag_p99_ms": 5.0, "dropped": 0.0}
LEAST: Final = {"ratio_to_arrow": 0.8, "recorder_ratio_to_ipc": 0.5}
DAY: Final = date(2025, 12, 15)
OPEN_NS: Final = ns(DAY, "09:15")
ROWS: Final = 100
"""Instruments in one frame."""
_CHUNKS: Final = 6
_ROUNDS: Final = 9
_READS: Final = 9
_BARS: Final = 375
_RECORD_ROUNDS: Final = 7
_SECONDS: Final = 8.0
_RATE: Final = 50_000
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Market:
    """What is written.

    Attributes:
        instruments: By slot.
        frames: Engine time and batch, in order.
    """

    instruments: list[Instrument]
    frames: list[tuple[int, TickBatch]]


def bench(options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: What was stored is not what was put in.
    """
    rate, seconds = options.rate or _RATE, options.seconds or _SECONDS
    result = Result("store", limits=dict(LIMITS), least=dict(LEAST))
    market = made_market(options.instruments, _CHUNKS * CHUNK_ROWS)
    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as name:
        folder = Path(name)
        _ticks(result, market, folder)
        _recorder(result, market, folder)
        _bars(result, market, folder)
        asyncio.run(_lag(result, market, folder, rate, seconds))
    result.notes += [
        f"Synthetic ticks of {options.instruments} instruments with five levels, chunks of {CHUNK_ROWS:,} rows.",
        "ratio_to_arrow holds a whole flush (columns to Arrow, sorting, insert, commit) against the insert of a "
        "ready Arrow table; recorder_ratio_to_ipc holds packed, checked, durable frames against bare Arrow IPC.",
    ]
    return result


def made_market(instruments: int, rows: int) -> Market:
    """A market that walks at random, as frames of `ROWS` instruments each."""
    luck = np.random.default_rng(7)
    price = np.round(np.exp(luck.normal(6.0, 1.2, instruments)), 0) * 20  # in ticks of five paise
    volume = luck.integers(10_000, 1_000_000, instruments)
    frames = []
    for number in range(-(-rows // ROWS)):
        slots = luck.choice(instruments, min(ROWS, instruments), replace=False)
        t_ns = OPEN_NS + number * 2_000_000
        price[slots] = np.maximum(price[slots] + luck.integers(-2, 3, len(slots)), 20)
        volume[slots] += luck.integers(0, 500, len(slots))
        frames.append((t_ns, _batch(luck, t_ns // 1_000_000, slots, price[slots], volume[slots])))
    named = [
        Instrument(f"NSE_EQ|B{n:05}", "NSE_EQ", "NSE", f"B{n:05}", f"B{n:05}", InstrumentKind.EQUITY)
        for n in range(instruments)
    ]
    return Market(named, frames)


def _batch(luck: np.random.Generator, t_ms: int, slots: Any, price: Any, volume: Any) -> TickBatch:
    size = len(slots)
    batch = TickBatch.zeros(FrameKind.LIVE, t_ms, size)
    batch.slot[:] = slots
    batch.mask[:] = Has.LTPC | Has.DEPTH | Has.FULL
    batch.px[:, Px.LTP] = price / 20
    batch.px[:, Px.CLOSE] = np.round(price / 20 * 0.99, 1)
    batch.px[:, Px.ATP] = np.round(price / 20 * 1.001, 2)
    batch.px[:, Px.TBQ] = luck.integers(1_000, 500_000, size)
    batch.px[:, Px.TSQ] = luck.integers(1_000, 500_000, size)
    batch.qty[:, Qty.LTT_MS] = t_ms - luck.integers(0, 3_000, size)
    batch.qty[:, Qty.LTQ] = luck.integers(1, 500, size)
    batch.qty[:, Qty.VTT] = volume
    steps = np.cumsum(luck.integers(1, 4, (2, batch.depth.shape[2], size)), axis=1)
    for level in range(batch.depth.shape[2]):
        batch.depth[:, 0, level] = (price - steps[0, level]) / 20
        batch.depth[:, 2, level] = (price + steps[1, level]) / 20
        batch.depth[:, 1, level] = luck.integers(1, 5_000, size)
        batch.depth[:, 3, level] = luck.integers(1, 5_000, size)
    return batch


def chunks_of(market: Market) -> list[TickChunk]:
    """The frames in the buffers that the loop fills."""
    out = [TickChunk()]
    for t_ns, batch in market.frames:
        first = 0
        while first < len(batch.slot):
            if out[-1].rows == out[-1].capacity:
                out.append(TickChunk())
            first = out[-1].append(t_ns, batch, first)
    return out[:_CHUNKS]


# --- ticks --------------------------------------------------------------------------------------------


def _ticks(result: Result, market: Market, folder: Path) -> None:
    chunks = chunks_of(market)
    rows = sum(chunk.rows for chunk in chunks)
    ready = [to_arrow(chunk, chunk.head[0, : chunk.rows] + 1) for chunk in chunks]
    ours, bare = (
        open_database(folder / f"{name}.duckdb", MARKET, Settings()).connection for name in ("ours", "bare")
    )
    writer = MarketWriter(ours, market.instruments)
    writer.warm()

    def write() -> None:
        for chunk in chunks:
            ours.execute("BEGIN")
            writer.write_ticks(chunk)
            ours.execute("COMMIT")

    def insert() -> None:
        for table in ready:
            bare.register("batch", table)
            bare.execute("INSERT INTO ticks BY NAME SELECT * FROM batch")
            bare.unregister("batch")

    took: dict[str, list[float]] = {"ours": [], "bare": []}
    used = {"ours": 0.0, "bare": 0.0}
    for number in range(_ROUNDS + 1):
        for name, work in (
            (("bare", insert), ("ours", write)) if number % 2 else (("ours", write), ("bare", insert))
        ):
            began = time.process_time()
            spent = _timed(work)
            if number:  # the first round fills caches
                took[name].append(spent)
                used[name] += time.process_time() - began
        ours.execute("CHECKPOINT")
        bare.execute("CHECKPOINT")
    wanted = rows * (_ROUNDS + 1)
    for connection in (ours, bare):
        if _count(connection, "ticks") != wanted:
            raise TradeTuiError("not every tick was stored")
    result.figures["ratio_to_arrow"] = statistics.median(
        theirs / own for own, theirs in zip(took["ours"], took["bare"], strict=True)
    )
    result.figures["cpu_ratio_to_arrow"] = used["bare"] / used["ours"]
    result.figures["ticks_k_rows_s"] = rows / statistics.median(took["ours"]) / 1e3
    result.bounds["arrow_insert_k_rows_s"] = rows / statistics.median(took["bare"]) / 1e3
    for name, connection, found in (("ours", ours, result.figures), ("bare", bare, result.bounds)):
        connection.close()
        size = (folder / f"{name}.duckdb").stat().st_size
        key = "mib_per_million_ticks" if name == "ours" else "arrow_insert_mib_per_million"
        found[key] = size / _MIB / (wanted / 1e6)


# --- frames -------------------------------------------------------------------------------------------


def _recorder(result: Result, market: Market, folder: Path) -> None:
    import pyarrow as pa

    frames = [raw_frame(batch, market) for _, batch in market.frames[:300]] * 4
    size = sum(map(len, frames))
    schema = pa.schema([("t_ns", pa.int64()), ("frame", pa.binary())])
    numbers = iter(range(1 << 30))

    def record() -> None:
        writer = RecordingWriter(folder / f"{next(numbers)}.inbox.zst", lossless=True)
        for number, raw in enumerate(frames):
            writer.put(RecordKind.FRAME, OPEN_NS + number, raw)
        writer.close()
        if writer.error:
            raise TradeTuiError(writer.error)

    def stream(compression: str | None) -> None:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        path = folder / f"{next(numbers)}.arrows"
        with path.open("wb") as file, pa.ipc.new_stream(file, schema, options=options) as writer:
            for first in range(0, len(frames), 25):  # a megabyte: what the recorder makes durable at once
                part = frames[first : first + 25]
                stamps = pa.array(range(OPEN_NS + first, OPEN_NS + first + len(part)), pa.int64())
                writer.write_batch(pa.record_batch([stamps, pa.array(part, pa.binary())], schema=schema))
                file.flush()
                os.fdatasync(file.fileno())

    took: dict[str, list[float]] = {"ours": [], "bare": [], "zstd": []}
    works: dict[str, Callable[[], None]] = {
        "ours": record,
        "bare": lambda: stream(None),
        "zstd": lambda: stream("zstd"),
    }
    for number in range(_RECORD_ROUNDS + 1):
        order = list(works) if number % 2 else list(works)[::-1]
        for name in order:
            spent = _timed(works[name])
            if number:
                took[name].append(spent)
        for path in (*folder.glob("*.inbox.zst"), *folder.glob("*.arrows")):
            path.unlink()
    medians = {name: statistics.median(spent) for name, spent in took.items()}
    result.figures["recorder_ratio_to_ipc"] = medians["bare"] / medians["ours"]
    result.figures["recorder_ratio_to_ipc_zstd"] = medians["zstd"] / medians["ours"]
    result.figures["recorder_mb_s"] = size / medians["ours"] / 1e6
    result.bounds["ipc_fdatasync_mb_s"] = size / medians["bare"] / 1e6
    result.bounds["ipc_zstd_fdatasync_mb_s"] = size / medians["zstd"] / 1e6


def raw_frame(batch: TickBatch, market: Market) -> bytes:
    """A batch as the bytes that the feed would have sent."""
    from tradetui.pb.market_feed_v3_pb2 import FeedResponse

    message = FeedResponse(currentTs=batch.server_ms)
    for row in range(len(batch.slot)):
        full = message.feeds[market.instruments[int(batch.slot[row])].key].fullFeed.marketFF
        full.ltpc.ltp, full.ltpc.cp = float(batch.px[row, Px.LTP]), float(batch.px[row, Px.CLOSE])
        full.ltpc.ltt, full.ltpc.ltq = int(batch.qty[row, Qty.LTT_MS]), int(batch.qty[row, Qty.LTQ])
        full.vtt, full.atp = int(batch.qty[row, Qty.VTT]), float(batch.px[row, Px.ATP])
        for level in range(batch.depth.shape[2]):
            quote = full.marketLevel.bidAskQuote.add()
            bid_px, bid_qty, ask_px, ask_qty = batch.depth[row, :, level].tolist()
            quote.bidP, quote.bidQ, quote.askP, quote.askQ = bid_px, int(bid_qty), ask_px, int(ask_qty)
    return message.SerializeToString()


# --- bars ---------------------------------------------------------------------------------------------


def _fill_bars(market: Market, place: Path) -> None:
    """A day of minute bars of every instrument, the broker's, as a backfill leaves them: one after the other."""
    import pyarrow as pa

    luck, count = np.random.default_rng(11), len(market.instruments)
    connection = open_database(place / "market.duckdb", MARKET, Settings()).connection
    chunk = TickChunk(count)
    chunk.append(OPEN_NS, _everybody(count))
    MarketWriter(connection, market.instruments).write_ticks(chunk)
    close = (100 + np.cumsum(luck.integers(-2, 3, (count, _BARS)), axis=1) * 0.05).ravel()
    starts = OPEN_NS // 1000 + np.arange(_BARS, dtype=np.int64) * 60_000_000
    batch = pa.table(
        {
            "instrument_id": pa.array(np.repeat(np.arange(1, count + 1, dtype=np.int32), _BARS)),
            "start": pa.array(np.tile(starts, count)).view(pa.timestamp("us", "UTC")),
            "open": close, "high": close + 0.1, "low": close - 0.1, "close": close,
            "volume": luck.integers(0, 9_000, count * _BARS), "oi": np.zeros(count * _BARS),
        }
    )  # fmt: skip
    connection.register("batch", batch)
    connection.execute(
        "INSERT INTO bars BY NAME SELECT *, '1m' AS \"interval\", ?::DATE AS session, 'broker' AS source, "
        "false AS gap FROM batch",
        [DAY],
    )
    connection.close()


def _everybody(count: int) -> TickBatch:
    """A frame that names every instrument, so that each gets its id."""
    batch = TickBatch.zeros(FrameKind.SNAPSHOT, OPEN_NS // 1_000_000, count)
    batch.slot[:] = np.arange(count)
    return batch


def _bars(result: Result, market: Market, folder: Path) -> None:
    place = folder / "bars"
    _fill_bars(market, place)
    store = Store.open(place, market.instruments)
    try:
        wanted = _BARS * len(market.instruments)
        ours, bare = [], []
        sql = (
            "SELECT instrument_id, start, open, high, low, close, volume, oi FROM main.bars "
            'WHERE "interval" = ? AND session = ?'
        )
        for _ in range(_READS):
            began = time.perf_counter()
            frame = store.read_day(DAY, "1m")
            ours.append(time.perf_counter() - began)
            if frame.height != wanted:
                raise TradeTuiError("not every bar was read")
            began = time.perf_counter()
            store.market_frame(sql, ["1m", DAY])
            bare.append(time.perf_counter() - began)
        one = []
        for instrument in market.instruments[:_READS]:
            began = time.perf_counter()
            store.read_bars(instrument.key, "1m")
            one.append(time.perf_counter() - began)
    finally:
        store.close()
    result.figures["day_read_ms"] = statistics.median(ours) * 1e3
    result.figures["day_read_ratio_to_bare"] = statistics.median(ours) / statistics.median(bare)
    result.figures["one_symbol_day_read_ms"] = statistics.median(one) * 1e3
    result.figures["bars_read"] = wanted
    result.bounds["bare_day_query_ms"] = statistics.median(bare) * 1e3


# --- the loop -----------------------------------------------------------------------------------------


async def _lag(result: Result, market: Market, folder: Path, rate: int, seconds: float) -> None:
    """Feed the store from a loop at a rate, and watch how late the loop wakes a sleeper."""
    store = await asyncio.to_thread(Store.open, folder / "lag", market.instruments)
    idle, busy = LoopLag(), LoopLag()
    try:
        async with _watched(idle):
            await asyncio.sleep(min(seconds, 2.0))
        for _, batch in market.frames[:200]:  # what the first flush makes ready is not what is measured
            store.ticks(OPEN_NS, batch)
        await asyncio.to_thread(store.flush)
        sent, longest = 0, 0.0
        async with _watched(busy):
            began = time.perf_counter()
            while (spent := time.perf_counter() - began) < seconds:
                while sent < spent * rate:
                    t_ns, batch = market.frames[(sent // ROWS) % len(market.frames)]
                    store.ticks(t_ns, batch)
                    sent += len(batch.slot)
                longest = max(longest, store.load().lag_s)
                await asyncio.sleep(0.002)
        await asyncio.to_thread(store.flush)
        dropped = store.dropped()
    finally:
        await asyncio.to_thread(store.close)
    result.figures["loop_lag_p99_ms"] = busy.samples.percentile_us(99) / 1e3
    result.figures["loop_lag_max_ms"] = busy.max_ms
    result.figures["rows_per_s"] = sent / seconds
    result.figures["longest_wait_s"] = longest
    result.figures["dropped"] = dropped
    result.bounds["idle_loop_lag_p99_ms"] = idle.samples.percentile_us(99) / 1e3


@contextlib.asynccontextmanager
async def _watched(lag: LoopLag) -> AsyncIterator[None]:
    task = asyncio.create_task(lag.watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# --- small parts --------------------------------------------------------------------------------------


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _count(connection: DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a name of ours
    return int(row[0]) if row else 0
