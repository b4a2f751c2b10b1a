"""When the disk refuses: said, kept within bounds, counted beyond them, tried again; never the loop's problem."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.storage.samples import ALL, RELIANCE, T0_NS, a_day, bar, frame, reader, record
from tradetui.domain.errors import StorageError
from tradetui.domain.records import RecordKind
from tradetui.storage.columns import TickChunk
from tradetui.storage.store import Store
from tradetui.storage.threads import MAX_CHUNKS


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again at once, so that no test waits out a back-off."""
    monkeypatch.setattr("tradetui.storage.writer._BACKOFF_S", (0.01,))


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that a writer thread brings about."""
    gate = threading.Event()
    for _ in range(2000):
        if condition():
            return
        gate.wait(0.01)
    pytest.fail("it never came to be")


class FullDisk:
    """Makes a method raise until told that there is room again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, target: object, name: str, error: Exception) -> None:
        self.full = True
        self.refused = 0
        original = getattr(target, name)

        def method(*args: Any, **kw: Any) -> Any:
            if self.full:
                self.refused += 1
                raise error
            return original(*args, **kw)

        monkeypatch.setattr(target, name, method)


NO_SPACE = duckdb.IOException("IO Error: Could not write file: No space left on device")


def test_ticks_wait_for_room_within_bounds_and_drops_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.in_memory(list(ALL), chunk_rows=100, lossless=False)
    disk = FullDisk(monkeypatch, store._market.market, "write_ticks", NO_SPACE)
    taken = 0
    for step in range(50):
        store.ticks(T0_NS, frame(60, step))
        taken += 60
        until(lambda: store.figures()["market"].errors > 0)
    assert store.queued() <= MAX_CHUNKS * 100
    assert "No space left" in store.figures()["market"].error
    with pytest.raises(StorageError, match="No space left"):
        store.flush()
    disk.full = False
    until(lambda: not store.figures()["market"].error)
    store.flush()
    stored = store.market_frame("SELECT count(*) FROM ticks").item()
    assert store.dropped() > 0
    assert stored + store.dropped() == taken
    assert store.queued() == 0
    before = store.dropped()
    store.ticks(T0_NS, frame(60))
    store.flush()
    assert store.market_frame("SELECT count(*) FROM ticks").item() == stored + 60
    assert store.dropped() == before
    store.close()


@pytest.mark.parametrize("lossless", [True, False])
def test_a_world_that_can_wait_loses_nothing_and_a_live_one_counts(lossless: bool) -> None:
    store = Store.in_memory(list(ALL), chunk_rows=50, lossless=lossless)
    batch = frame(70)
    for step in range(200):  # much faster than any disk
        store.ticks(T0_NS + step, batch)
    store.flush()
    stored = store.market_frame("SELECT count(*) FROM ticks").item()
    assert stored + store.dropped() == 14_000
    assert (store.dropped() == 0) is lossless
    store.close()


def test_a_busy_market_file_does_not_hold_up_the_ledger() -> None:
    store = Store.in_memory(list(ALL))
    gate, busy = threading.Event(), threading.Event()

    def checkpoint() -> None:
        busy.set()
        gate.wait()

    held = store._market.submit(checkpoint)
    busy.wait(10)
    store.ticks(T0_NS, frame(3))
    store.records(a_day())
    until(lambda: len(store.fills()) == 3)
    assert store._market.queued() == 3
    gate.set()
    held.result(10)
    store.close()


def test_records_are_written_when_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.in_memory(list(ALL))
    disk = FullDisk(monkeypatch, store._ledger.ledger, "project", OSError(28, "No space left on device"))
    store.records(a_day())
    until(lambda: disk.refused > 3)
    assert store.queued() == 15
    disk.full = False
    store.flush()
    assert len(store.fills()) == 3
    assert store.dropped() == 0
    store.close()


def test_rows_that_can_never_be_written_do_not_block_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.in_memory(list(ALL))
    disk = FullDisk(
        monkeypatch, store._market.market, "write_ticks", duckdb.ConversionException("no such number")
    )
    store.ticks(T0_NS, frame(7))
    until(lambda: store.dropped() == 7)
    disk.full = False
    store.ticks(T0_NS, frame(3))
    store.flush()
    assert store.market_frame("SELECT count(*) FROM ticks").item() == 3
    store.close()


def test_records_given_up_are_read_back_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[Any] = []
    store = Store.open(tmp_path, ALL, journal=reader(records))
    disk = FullDisk(monkeypatch, store._ledger.ledger, "project", ValueError("nonsense"))
    records.extend(a_day())
    store.records(a_day())
    until(lambda: store.figures()["ledger"].dropped == 15)
    disk.full = False
    until(lambda: len(store.fills()) == 3)
    records.append(record(RecordKind.FEED, {"state": "down"}, 50))
    store.records(records[-1:])
    store.flush()
    assert store.ledger_frame("SELECT count(*) FROM journal").item() == 16
    store.close()


def test_a_dead_database_object_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path, list(ALL))
    store.bars([bar(0)])
    store.flush()
    FullDisk(monkeypatch, store._market.market, "write_bars", duckdb.FatalException("has been invalidated"))
    store.bars([bar(1)])
    store.ticks(T0_NS, frame(3))
    until(lambda: store.figures()["market"].errors > 0 and store.queued() == 0)
    store.flush()
    assert store.read_bars(RELIANCE.key, "1m").height == 2
    assert store.market_frame("SELECT count(*) FROM ticks").item() == 3
    store.close()


def test_closing_while_the_disk_refuses_ends_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.in_memory(list(ALL))
    FullDisk(monkeypatch, store._market.market, "write_bars", NO_SPACE)
    store.bars([bar(n) for n in range(5)])
    store._market.stop(0.3)
    assert not store._market.is_alive()
    assert store.dropped() == 5
    store.close()


def test_too_many_bars_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradetui.storage.threads.MAX_BARS", 10)
    store = Store.in_memory(list(ALL))
    gate = threading.Event()
    held = store._market.submit(gate.wait)
    until(lambda: not store._market._jobs)
    store.bars([bar(n) for n in range(8)])
    store.bars([bar(n) for n in range(8, 16)])
    assert store.dropped() == 6
    gate.set()
    held.result(10)
    store.flush()
    assert store.read_bars(RELIANCE.key, "1m").height == 10
    store.close()


def test_a_chunk_hands_back_what_did_not_fit() -> None:
    chunk = TickChunk(10)
    assert chunk.append(T0_NS, frame(8)) == 8
    assert chunk.append(T0_NS, frame(8, 1)) == 2
    assert chunk.rows == 10
    assert chunk.append(T0_NS, frame(8, 1), 2) == 2
