"""Closed days leave the database for Parquet files, and nothing is lost, doubled or hidden on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.storage.samples import ALL, CALL, DAY, NIFTY, RELIANCE, T0_NS, bar, frame
from tests.unit.storage.test_writer import until
from tradetui.domain.errors import StorageError
from tradetui.domain.market_data import BarSource
from tradetui.storage import archive, upkeep
from tradetui.storage.keeper import Keep, Keeper, archive_closed
from tradetui.storage.store import Store

DAY_NS = 86_400_000_000_000
NEXT = DAY + timedelta(days=1)
TICKS = "SELECT * EXCLUDE (session) FROM whole.ticks ORDER BY ALL"
BARS = "SELECT * FROM whole.bars ORDER BY ALL"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path, list(ALL))
    for step in range(40):
        store.ticks(T0_NS + step * 1_000_000_000, frame(30, step))
        store.ticks(T0_NS + DAY_NS + step * 1_000_000_000, frame(3, step))
    store.bars([bar(minute, slot=slot) for minute in range(10) for slot in range(3)])
    store.bars([replace(bar(minute), start_ms=bar(minute).start_ms + 86_400_000) for minute in range(5)])
    store.flush()
    yield store
    store.close()


def rows(store: Store, sql: str) -> list[Any]:
    return store.market_frame(sql).rows()


def count(store: Store, table: str) -> int:
    return int(store.market_frame(f"SELECT count(*) FROM {table}").item())


def test_a_closed_day_moves_and_every_reader_still_sees_it(store: Store, tmp_path: Path) -> None:
    ticks, bars = rows(store, TICKS), rows(store, BARS)
    frame_before = store.read_bars(RELIANCE.key, "1m")
    totals, last = store.day_totals(RELIANCE.key, DAY), store.last_tick(CALL.key)
    done = store.archive(NEXT)
    assert {(one.kind, one.session, one.segment, one.rows) for one in done} == {
        ("ticks", DAY, "NSE_EQ", 400), ("ticks", DAY, "NSE_INDEX", 400), ("ticks", DAY, "NSE_FO", 400),
        ("bars", DAY, "NSE_EQ", 10), ("bars", DAY, "NSE_INDEX", 10), ("bars", DAY, "NSE_FO", 10),
    }  # fmt: skip
    assert (count(store, "main.ticks"), count(store, "main.bars")) == (120, 5)
    assert rows(store, TICKS) == ticks
    assert rows(store, BARS) == bars
    assert store.read_bars(RELIANCE.key, "1m").equals(frame_before)
    assert store.day_totals(RELIANCE.key, DAY) == totals
    assert store.last_tick(CALL.key) == last
    assert (tmp_path / "archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0001.parquet").is_file()
    assert store.archive(NEXT) == []


def test_a_file_can_be_read_by_itself_and_is_sorted(store: Store, tmp_path: Path) -> None:
    store.archive(NEXT)
    for path in (tmp_path / "archive/ticks").rglob("*.parquet"):
        found = duckdb.execute(f"SELECT key, instrument_id, epoch_us(engine_ts) FROM '{path}'").fetchall()
        assert [row[1:] for row in found] == sorted(row[1:] for row in found)
        assert {row[0] for row in found} == {
            {"NSE_EQ": RELIANCE.key, "NSE_INDEX": NIFTY.key, "NSE_FO": CALL.key}[path.parent.name[8:]]
        }
        about = duckdb.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").fetchall()
        assert about == [("ZSTD",)]


def test_the_archive_is_there_after_a_restart_and_after_the_folder_has_moved(
    store: Store, tmp_path: Path
) -> None:
    ticks = rows(store, TICKS)
    store.archive(NEXT)
    store.close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("market.duckdb", "ledger.duckdb", "archive"):
        (tmp_path / name).rename(moved / name)
    again = Store.open(moved, list(ALL))
    assert again.notices == []
    assert rows(again, TICKS) == ticks
    again.close()


def test_ticks_that_come_late_for_an_archived_day_are_added(store: Store, tmp_path: Path) -> None:
    store.archive(NEXT)
    store.ticks(T0_NS + 99_000_000_000, frame(3, 99))
    store.flush()
    ticks = rows(store, TICKS)
    assert len(ticks) == 1323
    store.archive(NEXT)
    assert rows(store, TICKS) == ticks
    assert (tmp_path / "archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0002.parquet").is_file()


def test_a_bar_that_is_written_again_stands_for_the_archived_one(store: Store, tmp_path: Path) -> None:
    store.archive(NEXT)
    store.bars([bar(3, close=101.5)])
    store.flush()

    def closes() -> dict[int, float]:
        found = store.read_bars(RELIANCE.key, "1m")
        assert found["start"].is_unique().all()
        return {n: close for n, close in enumerate(found["close"].to_list()) if n < 10}

    assert closes() == {n: 101.5 if n == 3 else 101.0 for n in range(10)}
    assert count(store, "whole.bars") == 35
    store.archive(NEXT)
    assert closes() == {n: 101.5 if n == 3 else 101.0 for n in range(10)}
    assert (count(store, "whole.bars"), count(store, "superseded_bars")) == (35, 0)
    files = sorted(p.name for p in (tmp_path / "archive/bars/date=2025-12-15/segment=NSE_EQ").iterdir())
    assert files == ["part-0002.parquet"], "one file a day and segment, the older one is gone"


def test_the_brokers_bars_are_compared_with_archived_ones(store: Store) -> None:
    theirs = [bar(n, source=BarSource.BROKER) for n in range(10)]
    assert store.merge_bars(RELIANCE, 60, theirs).inserted == 10
    store.archive(NEXT)
    merged = store.merge_bars(RELIANCE, 60, [*theirs[:9], bar(9, close=101.9, source=BarSource.BROKER)])
    assert (merged.inserted, merged.same, merged.different) == (0, 9, 1)
    assert store.read_bars(RELIANCE.key, "1m")["close"].to_list()[9] == 101.9
    assert count(store, "main.bars") == 5 + 1, "only what differs was written"
    assert store.broker_bar_starts(RELIANCE, "1m", DAY, DAY).size == 10


@pytest.mark.parametrize("what", ["copy", "rename", "fsync", "came back different"])
def test_R6_a_disk_that_refuses_while_archiving_loses_nothing(
    what: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks, bars = rows(store, TICKS), rows(store, BARS)
    words = what if what.startswith("came") else "cannot archive"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if what == "copy":
            (tmp_path / "archive").mkdir()
            (tmp_path / "archive" / "ticks").write_text("a file where a folder should be")
        elif what == "rename":
            patch.setattr(Path, "rename", refuse)
        elif what == "fsync":
            patch.setattr(os, "fsync", refuse)
        else:
            patch.setattr(archive, "_sync", falsify)
        with pytest.raises(StorageError, match=words):
            store.archive(NEXT)
    assert rows(store, TICKS) == ticks
    assert rows(store, BARS) == bars
    assert count(store, "archive_files") == 0
    if what == "copy":
        (tmp_path / "archive" / "ticks").unlink()
    assert not [path for path in archive.files_in(tmp_path / "archive") if not archive.is_part(path)]
    store.archive(NEXT)
    assert rows(store, TICKS) == ticks
    assert count(store, "main.ticks") == 120


def falsify(path: Path) -> None:
    """What a disk does that forgets: one price of the file differs."""
    if path.suffix == ".part":
        changed = "CASE WHEN ltp = (SELECT max(ltp) FROM old) THEN ltp + 0.05 ELSE ltp END AS ltp"
        copy = path.with_suffix(".other")
        with duckdb.connect() as memory:
            memory.execute(f"CREATE TABLE old AS FROM read_parquet('{path}')")
            memory.execute(f"COPY (SELECT * REPLACE ({changed}) FROM old) TO '{copy}' (FORMAT parquet)")
        copy.replace(path)


def test_retention_counts_days_that_hold_ticks(store: Store, tmp_path: Path) -> None:
    for days in (4, 5, 8):
        store.ticks(T0_NS + days * DAY_NS, frame(3, days))
    store.flush()
    last = DAY + timedelta(days=8)
    with store._market.cursor() as cursor:
        box = archive.Archive(cursor, tmp_path / "archive")
        sessions = box.sessions("ticks")
        assert sessions == [DAY + timedelta(days=n) for n in (0, 1, 4, 5, 8)]
        keep = Keep(ticks_days=2)
        assert keep.bound("ticks", sessions, last) == DAY + timedelta(days=4)
        assert keep.bound("bars", sessions, last) is None
        done = archive_closed(box, keep, last)
        assert {one.session for one in done} == {DAY, NEXT}
        assert box.sessions("ticks") == [DAY + timedelta(days=n) for n in (4, 5, 8)], (
            "today and two closed days"
        )
        assert archive_closed(box, keep, last) == []
        gone = box.expire("ticks", 1)
        assert {Path(path).parts[1] for path in gone} == {"date=2025-12-15"}
    assert not (tmp_path / "archive/ticks/date=2025-12-15").exists()
    assert store.day_totals(RELIANCE.key, DAY).ticks == 0
    assert store.day_totals(RELIANCE.key, NEXT).ticks == 40


def test_the_keeper_archives_beside_a_run(tmp_path: Path) -> None:
    store = Store.open(tmp_path, list(ALL))
    market = store._market
    left = tmp_path / "archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0007.parquet.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    newest, turn = lambda: market.newest_ns, threading.Lock()
    keeper = Keeper(market.cursor, tmp_path / "archive", Keep(ticks_days=1), newest, turn, 0, 0.01)
    keeper.start()
    for days in range(3):
        store.ticks(T0_NS + days * DAY_NS, frame(30, days))
    store.flush()
    until(lambda: count(store, "main.ticks") == 60)
    assert count(store, "whole.ticks") == 90
    store.ticks(T0_NS + 3 * DAY_NS, frame(3))
    store.flush()
    until(lambda: count(store, "main.ticks") == 33)
    assert count(store, "whole.ticks") == 93
    assert (keeper.moved, keeper.error) == (60, "")
    assert not left.exists(), "what a kill left is taken away"
    keeper.stop()
    store.close()


def both_days(store: Store) -> None:
    """Archive both days; the newest frame's own day never leaves."""
    store.ticks(T0_NS + 9 * DAY_NS, frame(3))
    store.flush()
    assert len(store.archive(date(2025, 12, 31))) == 10


def test_naming_the_day_opens_only_that_days_files(store: Store, tmp_path: Path) -> None:
    both_days(store)
    for path in (tmp_path / "archive/ticks/date=2025-12-16").rglob("*.parquet"):
        path.write_bytes(b"not Parquet any more")
    assert store.day_totals(RELIANCE.key, DAY).ticks == 400
    with pytest.raises(duckdb.Error):
        store.day_totals(RELIANCE.key, NEXT)


# --- upkeep -------------------------------------------------------------------------------------------


def test_a_lost_database_takes_its_archive_over(store: Store, tmp_path: Path) -> None:
    ticks, bars = rows(store, TICKS), rows(store, BARS)
    both_days(store)
    store.close()
    (tmp_path / "market.duckdb").unlink()
    again = Store.open(tmp_path, list(ALL))
    assert again.notices == ["10 files of the archive were taken over"]
    assert rows(again, TICKS) == ticks
    assert rows(again, BARS) == bars
    again.ticks(T0_NS + 9 * DAY_NS, frame(3))
    again.flush()
    kinds = rows(again, "SELECT key, kind, symbol FROM instruments ORDER BY instrument_id")
    assert sorted(kinds) == sorted((one.key, one.kind.value, one.symbol) for one in ALL)
    again.close()


def test_check_finds_what_repair_mends(store: Store, tmp_path: Path) -> None:
    store.archive(NEXT)
    store.close()
    assert upkeep.check(tmp_path).findings == ()
    assert (upkeep.check(tmp_path).files, upkeep.check(tmp_path).archived_rows) == (6, 1230)
    place = tmp_path / "archive/ticks/date=2025-12-15"
    damaged = place / "segment=NSE_EQ/part-0001.parquet"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged.write_bytes(data)
    (place / "segment=NSE_FO/part-0001.parquet").unlink()
    (place / "segment=NSE_FO/part-0009.parquet.part").write_bytes(b"half")
    found = {one.place: one for one in upkeep.check(tmp_path).findings}
    assert not upkeep.check(tmp_path).sound
    assert "damaged" in found["archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0001.parquet"].words
    assert (
        "400 rows are lost" in found["archive/ticks/date=2025-12-15/segment=NSE_FO/part-0001.parquet"].words
    )
    assert not found["archive/ticks/date=2025-12-15/segment=NSE_FO/part-0009.parquet.part"].bad
    said = "\n".join(upkeep.repair(tmp_path))
    assert "set aside as part-0001.parquet.damaged" in said
    assert damaged.with_name("part-0001.parquet.damaged").read_bytes() == bytes(data)
    assert upkeep.check(tmp_path).sound
    again = Store.open(tmp_path, list(ALL))
    assert count(again, "whole.ticks") == 120 + 400
    again.close()


def test_a_file_without_its_end_is_said_and_left_out(store: Store, tmp_path: Path) -> None:
    store.archive(NEXT)
    store.close()
    first = tmp_path / "archive/ticks/date=2025-12-15/segment=NSE_EQ/part-0001.parquet"
    first.write_bytes(first.read_bytes()[:-9])
    again = Store.open(tmp_path, list(ALL))
    (words,) = again.notices
    assert "1 files of the archive are missing or damaged, ticks/date=2025-12-15/segment=NSE_EQ" in words
    assert count(again, "whole.ticks") == 120 + 800
    again.close()
    assert not upkeep.check(tmp_path).sound
    upkeep.repair(tmp_path)
    assert upkeep.check(tmp_path).sound


def test_a_file_that_a_kill_left_is_deleted_only_when_its_rows_are_elsewhere(
    store: Store, tmp_path: Path
) -> None:
    ticks = rows(store, TICKS)
    store.archive(NEXT)
    place = tmp_path / "archive/ticks/date=2025-12-15/segment=NSE_EQ"
    copy, strange = place / "part-0002.parquet", place / "part-0003.parquet"
    copy.write_bytes((place / "part-0001.parquet").read_bytes())
    duckdb.sql(
        f"COPY (SELECT * REPLACE (ltp + 1 AS ltp) FROM '{place / 'part-0001.parquet'}') TO '{strange}' "
        "(FORMAT parquet)"
    )
    with store._market.cursor() as cursor:
        assert upkeep.clean_up(cursor, tmp_path / "archive") == [str(copy.relative_to(tmp_path / "archive"))]
    assert strange.exists()
    assert rows(store, TICKS) == ticks, "a file that is not named does not count"


def test_compact_keeps_every_row_and_gives_space_back(store: Store, tmp_path: Path) -> None:
    for step in range(100, 400):
        store.ticks(T0_NS + step * 1_000_000_000, frame(300, step))
    store.flush()
    store.archive(NEXT)
    ticks, bars = rows(store, TICKS), rows(store, BARS)
    store.close()
    before, after = upkeep.compact(tmp_path)
    assert after < before
    assert upkeep.check(tmp_path).findings == ()
    again = Store.open(tmp_path, list(ALL))
    assert again.notices == []
    assert rows(again, TICKS) == ticks
    assert rows(again, BARS) == bars
    again.close()


def test_compact_leaves_the_file_alone_when_the_disk_refuses(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    whole = (tmp_path / "market.duckdb").read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="No space left"):
        upkeep.compact(tmp_path)
    assert (tmp_path / "market.duckdb").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.glob("market*")) == ["market.duckdb"]
