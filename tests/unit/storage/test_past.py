"""Past bars in bulk: once each, differences told, and what was asked kept beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import F64
from tradetui.storage.past import FIGURES
from tradetui.storage.store import Store

SHARE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
CONTRACT = Instrument(
    "NSE_FO|35001", "NSE_FO", "NSE", "A FUT", "A", InstrumentKind.FUTURE, expiry=date(2025, 12, 30)
)
DAY = date(2025, 12, 15)
ASKED_NS = ns(date(2025, 12, 20), "10:00")


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.in_memory([])
    yield made
    made.close()


def minutes(day: date = DAY, count: int = 375, price: float = 100.0) -> CandleBlock:
    starts = ns(day, "09:15") // 1_000_000 + np.arange(count, dtype=np.int64) * 60_000
    level: F64 = np.full(count, price) + np.arange(count, dtype=np.float64)
    volume = np.arange(count, dtype=np.int64) + 5
    return CandleBlock(starts, level, level + 1, level - 1, level, volume, level * 0)


def rows(store: Store) -> list[tuple[object, ...]]:
    names = ", ".join(FIGURES)
    return store.market_frame(
        f'SELECT instrument_id, "interval", epoch_ms(start), session, {names}, source, gap FROM bars ORDER BY ALL'
    ).rows()


def test_a_block_is_stored_as_it_is_and_a_second_time_changes_nothing(store: Store) -> None:
    block = minutes()
    first = store.put_block(SHARE, "1m", block, {}, ASKED_NS)
    assert (first.inserted, first.same, first.different) == (375, 0, 0)
    before = rows(store)
    assert [row[2] for row in before] == block.start_ms.tolist()
    assert {row[3] for row in before} == {DAY}
    assert [row[4] for row in before] == block.open.tolist()
    assert [row[8] for row in before] == block.volume.tolist()
    assert {row[-2:] for row in before} == {("broker", False)}
    again = store.put_block(SHARE, "1m", block, {}, ASKED_NS)
    assert (again.inserted, again.same, again.different) == (0, 375, 0)
    assert rows(store) == before


def test_only_what_is_missing_is_put_in(store: Store) -> None:
    whole = minutes()
    store.put_block(SHARE, "1m", minutes(count=100), {}, ASKED_NS)
    put = store.put_block(SHARE, "1m", whole, {}, ASKED_NS)
    assert (put.inserted, put.same) == (275, 100)
    assert [row[2] for row in rows(store)] == whole.start_ms.tolist()


def test_a_difference_is_told_and_what_is_stored_stays_unless_it_is_to_be_replaced(store: Store) -> None:
    block = minutes()
    store.put_block(SHARE, "1m", block, {}, ASKED_NS)
    before = rows(store)
    close = block.close.copy()
    close[[7, 9]] += 0.5
    other = replace(block, close=close)
    kept = store.put_block(SHARE, "1m", other, {}, ASKED_NS)
    assert (kept.inserted, kept.same, kept.different, kept.replaced) == (0, 373, 2, 0)
    one = kept.examples[0]
    assert (one.start_ms, one.stored[3], one.broker[3]) == (block.start_ms[7], 107.0, 107.5)
    assert rows(store) == before
    taken = store.put_block(SHARE, "1m", other, {}, ASKED_NS, replace=True)
    assert (taken.different, taken.replaced) == (2, 2)
    assert [row[7] for row in rows(store)] == close.tolist()
    assert len(rows(store)) == 375


def test_differences_beyond_the_first_few_are_counted_only(store: Store) -> None:
    block = minutes()
    store.put_block(SHARE, "1m", block, {}, ASKED_NS)
    put = store.put_block(SHARE, "1m", replace(block, volume=block.volume + 1), {}, ASKED_NS)
    assert put.different == 375
    assert len(put.examples) == 20


def test_intervals_and_instruments_and_our_own_bars_are_kept_apart(store: Store) -> None:
    store.put_block(SHARE, "1m", minutes(), {}, ASKED_NS)
    assert store.put_block(SHARE, "5m", minutes(count=75), {}, ASKED_NS).inserted == 75
    assert store.put_block(CONTRACT, "1m", minutes(price=50.0), {}, ASKED_NS).inserted == 375


def test_what_was_asked_is_kept_and_the_latest_answer_counts(store: Store) -> None:
    thin, empty = date(2025, 12, 16), date(2025, 12, 17)
    store.put_block(SHARE, "1m", minutes(thin, 40), {thin: 40, empty: 0}, ASKED_NS)
    assert store.asked_days(SHARE, "1m", DAY, empty) == {thin: 40, empty: 0}
    assert store.asked_days(SHARE, "1m", DAY, thin) == {thin: 40}
    assert store.asked_days(SHARE, "5m", DAY, empty) == {}
    assert store.asked_days(CONTRACT, "1m", DAY, empty) == {}
    store.put_block(SHARE, "1m", minutes(thin, 41), {thin: 41}, ASKED_NS)
    assert store.asked_days(SHARE, "1m", DAY, empty) == {thin: 41, empty: 0}
    frame = store.market_frame(
        "SELECT epoch_ns(asked_at) AS ns, count(*) AS n FROM history_asked GROUP BY ALL"
    )
    assert frame.rows() == [(ASKED_NS, 2)]


def test_an_answer_without_bars_settles_its_days(store: Store) -> None:
    put = store.put_block(CONTRACT, "1m", CandleBlock.empty(), {DAY: 0}, ASKED_NS)
    assert put.inserted == 0
    assert store.asked_days(CONTRACT, "1m", DAY, DAY) == {DAY: 0}


def test_bars_and_what_was_asked_come_together_or_not_at_all(store: Store) -> None:
    store.put_block(SHARE, "1m", minutes(), {}, ASKED_NS)
    before = rows(store)
    with pytest.raises(duckdb.Error):
        store.put_block(SHARE, "1m", minutes(date(2025, 12, 16), 40), {DAY: 1 << 40}, ASKED_NS)
    assert rows(store) == before
    assert store.asked_days(SHARE, "1m", DAY, date(2025, 12, 31)) == {}
    assert store.put_block(SHARE, "1m", minutes(date(2025, 12, 16), 40), {DAY: 1}, ASKED_NS).inserted == 40
