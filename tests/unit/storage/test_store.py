"""What goes into the store comes out of it, from the loop's calls to the reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.unit.storage.samples import ALL, CALL, DAY, NIFTY, RELIANCE, T0_MS, T0_NS, a_day, bar, frame
from tradetui.domain.errors import StorageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, FrameKind, Has, Px, TickBatch
from tradetui.storage.market import DayStats, Merged
from tradetui.storage.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.in_memory(list(ALL))
    yield store
    store.close()


def test_a_frame_is_stored_field_by_field(store: Store) -> None:
    store.ticks(T0_NS + 1500, frame(3))
    store.flush()
    rows = store.market_frame(
        "SELECT * FROM ticks JOIN instruments USING (instrument_id) ORDER BY instrument_id"
    )
    share = rows.row(0, named=True)
    assert rows["key"].to_list() == [RELIANCE.key, NIFTY.key, CALL.key]
    assert share["ltp"] == 100.05
    assert share["ltq"] == 5
    assert share["vtt"] == 1000
    assert (share["bid1_px"], share["bid5_px"], share["bid1_qty"], share["ask1_px"], share["ask5_qty"]) == (
        1, 5, 6, 11, 20,
    )  # fmt: skip
    assert share["ts"].timestamp() * 1000 == T0_MS
    assert share["server_ts"].timestamp() * 1000 == T0_MS + 7
    assert share["engine_ts"].microsecond == 1
    assert share["mask"] == Has.LTPC | Has.DEPTH | Has.FULL
    assert share["kind"] == FrameKind.LIVE
    assert str(rows.schema["ts"]) == "Datetime(time_unit='us', time_zone='UTC')"


def test_what_a_frame_did_not_carry_is_null(store: Store) -> None:
    batch = frame(3)
    batch.mask[1] = Has.AUCTION
    batch.auction[1, 0] = 99.5
    store.ticks(T0_NS, batch)
    store.flush()
    rows = store.market_frame("SELECT * FROM ticks ORDER BY instrument_id").rows(named=True)
    share, index, call = rows
    assert share["delta"] is None
    assert share["iep"] is None
    assert share["oi"] is None
    assert (index["ltp"], index["ltq"], index["ts"], index["vtt"], index["bid1_px"]) == (None,) * 5
    assert index["iep"] == 99.5
    assert call["delta"] == 0.5
    assert call["oi"] == 350


def test_times_that_cannot_be_are_null_and_the_row_is_kept(store: Store) -> None:
    batch = replace(frame(3), server_ms=0)
    batch.qty[:, 0] = [10**18, -5, 0]
    batch.px[:, Px.LTP] = [float("nan"), 1e18, float("inf")]
    store.ticks(T0_NS, batch)
    store.flush()
    rows = store.market_frame("SELECT ts, server_ts, ltp FROM ticks")
    assert rows["ts"].null_count() == rows["server_ts"].null_count() == rows.height == 3


def test_rows_of_unknown_slots_are_left_out(store: Store) -> None:
    batch = frame(3)
    batch.slot[:] = [0, 77, -1]
    store.ticks(T0_NS, batch)
    store.bars([bar(0, slot=77), bar(0)])
    store.flush()
    assert store.market_frame("SELECT count(*) FROM ticks").item() == 1
    assert store.market_frame("SELECT count(*) FROM bars").item() == 1


def test_a_frame_longer_than_a_buffer_is_split_and_nothing_is_lost() -> None:
    store = Store.in_memory(list(ALL), chunk_rows=64)
    for step in range(3):
        store.ticks(T0_NS + step, frame(100, step))
        store.flush()
    # One instrument's rows stand in the order in which they came; instruments are put side by side.
    rows = store.market_frame("SELECT ltp FROM ticks ORDER BY instrument_id, rowid")
    prices = [frame(100, step).px[slot::3, Px.LTP] for slot in range(3) for step in range(3)]
    assert rows["ltp"].to_list() == np.concatenate(prices).tolist()
    assert store.dropped() == 0
    store.close()


def test_an_instrument_may_join_while_the_store_runs(store: Store) -> None:
    live: list[Instrument] = [RELIANCE]
    other = Store.in_memory(live)
    one = frame(1)
    other.ticks(T0_NS, one)
    other.flush()
    live.append(NIFTY)
    one.slot[:] = 1
    other.ticks(T0_NS + 1, one)
    other.flush()
    assert other.market_frame("SELECT key FROM instruments ORDER BY instrument_id")["key"].to_list() == [
        RELIANCE.key,
        NIFTY.key,
    ]
    other.close()


def test_a_reused_token_is_another_instrument(tmp_path: Path) -> None:
    later = replace(CALL, expiry=date(2026, 1, 27), symbol="OTHER")
    for contract in (CALL, later, later):
        store = Store.open(tmp_path, [contract])
        store.bars([bar(0, slot=0)])
        store.close()
    store = Store.open(tmp_path, [later])
    assert store.market_frame("SELECT instrument_id, symbol FROM instruments ORDER BY ALL").rows() == [
        (1, CALL.symbol),
        (2, "OTHER"),
    ]
    assert store.read_bars(CALL.key, "1m", expiry=CALL.expiry).height == 1
    assert store.market_frame("SELECT count(*) FROM bars").item() == 2
    store.close()


def test_a_revised_bar_replaces_its_forerunner_and_the_brokers_stands_beside_ours(store: Store) -> None:
    store.bars([bar(0, 101.0), bar(1)])
    store.flush()
    store.bars([bar(0, 105.0, source=BarSource.MERGED, gap=True), bar(0, 104.0, source=BarSource.BROKER)])
    store.flush()
    rows = store.market_frame("SELECT close, source, gap FROM bars ORDER BY start, source").rows()
    assert rows == [(104.0, "broker", False), (105.0, "merged", True), (101.0, "ticks", False)]
    assert store.read_bars(RELIANCE.key, "1m")["close"].to_list() == [104.0, 101.0]
    assert store.read_bars(RELIANCE.key, "1m", own=True)["close"].to_list() == [105.0, 101.0]
    assert store.read_bars(RELIANCE.key, "1m", own=False)["close"].to_list() == [104.0]


def test_the_last_of_several_statements_in_one_batch_wins(store: Store) -> None:
    store.bars([bar(0, close) for close in (101.0, 102.0, 103.0)])
    store.flush()
    assert store.read_bars(RELIANCE.key, "1m")["close"].to_list() == [103.0]


def test_merging_says_what_was_new_and_never_doubles(store: Store) -> None:
    rows = [bar(n, source=BarSource.TICKS) for n in range(5)]
    store.bars([bar(2, 107.0)])
    assert store.merge_bars(RELIANCE, 60, rows) == Merged(5, 0, 0)
    assert store.merge_bars(RELIANCE, 60, rows) == Merged(0, 5, 0)
    assert store.merge_bars(RELIANCE, 60, [*rows[3:], bar(5), replace(rows[0], close=99.5)]) == Merged(
        1, 2, 1
    )
    assert store.merge_bars(RELIANCE, 60, []) == Merged(0, 0, 0)
    got = store.read_bars(RELIANCE.key, "1m", own=False)
    assert got["close"].to_list() == [99.5, *[101.0] * 5]
    assert store.market_frame("SELECT count(*) FROM bars").item() == 7


def test_bars_are_read_by_range_and_count(store: Store) -> None:
    store.bars([bar(n) for n in range(10)])
    store.flush()
    some = store.read_bars(RELIANCE.key, "1m", T0_MS + 2 * 60_000, T0_MS + 5 * 60_000)
    assert some["volume"].to_list() == [12, 13, 14]
    assert some["session"].unique().to_list() == [DAY]
    last = store.recent_bars(RELIANCE.key, "1m", 3, T0_MS + 8 * 60_000, slot=9)
    assert last == [replace(bar(n), slot=9) for n in (5, 6, 7)]
    assert store.recent_bars("NSE_EQ|INE000000000", "1m", 3) == []


def test_last_tick_and_day_totals(store: Store) -> None:
    assert store.last_tick(RELIANCE.key) is None
    assert store.day_totals(RELIANCE.key, DAY).ticks == 0
    for step in range(4):
        store.ticks(T0_NS + step * 1_000_000, frame(1, step))
    store.flush()
    tick = store.last_tick(RELIANCE.key)
    assert tick is not None
    assert (tick.ltp, tick.vtt) == (103.05, 1003)
    totals = store.day_totals(RELIANCE.key, DAY)
    assert (totals.ticks, totals.volume, totals.high, totals.low) == (4, 1003, 103.05, 100.05)
    assert store.day_totals(RELIANCE.key, date(2025, 12, 16)).ticks == 0


def test_the_official_close_is_a_field_of_its_own(store: Store) -> None:
    for close in (100.5, 101.5):
        assert store.day_stats([DayStats(0, DAY, prev_close=99.0, official_close=close)]) == 1
    rows = store.market_frame("SELECT prev_close, official_close, oi FROM day_stats").rows()
    assert rows == [(99.0, 101.5, None)]
    assert store.read_bars(RELIANCE.key, "1d").height == 0


def test_a_run_is_shown_again_after_a_restart(tmp_path: Path) -> None:
    store = Store.open(tmp_path, list(ALL))
    store.ticks(T0_NS, frame(3))
    store.bars([bar(0)])
    store.records(a_day())
    store.close()
    again = Store.open(tmp_path, [CALL, RELIANCE])  # other slots: nothing stored may name one
    assert again.notices == []
    again.bars([bar(1, slot=1)])
    again.flush()
    assert again.read_bars(RELIANCE.key, "1m").height == 2
    assert [fill.trade_id for fill in again.fills()] == ["t1", "t2", "t3"]
    assert [order.status.value for order in again.orders(DAY)] == ["filled"]
    assert again.orders(date(2025, 12, 16)) == []
    again.close()
    assert (tmp_path / "ledger.duckdb").stat().st_mode & 0o077 == 0
    assert (tmp_path / "market.duckdb").stat().st_mode & 0o077 == 0


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.read_bars(RELIANCE.key, "1m")
    with pytest.raises(StorageError, match="closed"):
        store.flush()


def test_money_columns_say_their_scale_and_times_have_a_zone(store: Store) -> None:
    sql = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'main'"
    )
    ledger = store.ledger_frame(sql).rows()
    money = {
        "price",
        "trigger_price",
        "stop",
        "target",
        "average_price",
        "cost",
        "realised",
        "buy_value",
        "sell_value",
    }
    found = [row for row in ledger if row[1] in money]
    assert len(found) >= 15
    assert [row for row in found if row[2] != "BIGINT" or "1/10,000 rupee" not in (row[3] or "")] == []
    both = ledger + store.market_frame(sql).rows()
    assert [
        row for row in both if row[2].startswith("TIMESTAMP") and row[2] != "TIMESTAMP WITH TIME ZONE"
    ] == []


def test_appending_from_the_loop_costs_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.in_memory(list(ALL))
    one, many, rows = frame(1), frame(2000), 180_000
    took = np.empty(rows, np.int64)
    for i in range(rows):
        start = time.perf_counter_ns()
        store.ticks(T0_NS + i, one)
        took[i] = time.perf_counter_ns() - start
        while store.queued() > 60_000:  # as fast as the writer can, no faster
            store.flush()
    start = time.perf_counter_ns()
    store.ticks(T0_NS, many)
    frame_us = (time.perf_counter_ns() - start) / 1000
    store.flush()
    with capsys.disabled():
        p50, p99 = np.percentile(took, [50, 99]) / 1000
        print(f"\n  one row: p50 {p50:.1f} us, p99 {p99:.1f} us; a frame of 2000: {frame_us:.0f} us")
    assert store.market_frame("SELECT count(*) FROM ticks").item() == rows + 2000
    assert store.dropped() == 0
    store.close()


def test_reading_while_writing(store: Store) -> None:
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(store.read_bars(RELIANCE.key, "1m").height)

    reader = threading.Thread(target=read)
    reader.start()
    for minute in range(200):
        store.bars([bar(minute)])
        store.ticks(T0_NS, TickBatch.zeros(FrameKind.LIVE, 0, 3))
        if minute % 20 == 0:
            store.flush()
    store.flush()
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert store.read_bars(RELIANCE.key, "1m").height == 200
