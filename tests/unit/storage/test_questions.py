"""A user's SQL: what it may ask, what it may not, and what holds it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.storage.samples import ALL, DAY, RELIANCE, T0_NS, a_day, bar, frame
from tradetui.domain.errors import StorageError, UsageError
from tradetui.storage.questions import Past, ask, files_of, look_at_whole
from tradetui.storage.store import Store

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path, list(ALL))
    for step in range(40):
        store.ticks(T0_NS + step * 1_000_000_000, frame(30, step))
    store.bars([bar(minute, slot=slot) for minute in range(10) for slot in range(3)])
    store.records(a_day())
    store.flush()
    yield store
    store.close()


@pytest.fixture(params=["live", "files", "files, moved"])
def past(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Past]:
    """The same stored day: half of it archived, asked beside the writers or with nobody else there."""
    store.ticks(T0_NS + 86_400_000_000_000, frame(30))
    store.flush()
    assert store.archive(NEXT)
    if request.param == "live":
        with store._market.cursor() as market, store._ledger.cursor() as ledger:
            yield Past(look_at_whole(market), ledger)
        return
    store.close()
    folder = tmp_path
    if request.param == "files, moved":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        for name in ("market.duckdb", "ledger.duckdb", "archive"):
            (tmp_path / name).rename(folder / name)
    with files_of(folder) as found:
        yield found


def one(past: Past, text: str, **more: Any) -> Any:
    (row,) = ask(past, text, **more).rows
    (value,) = row.values()
    return value


def test_ticks_and_bars_mean_file_and_archive(past: Past) -> None:
    assert one(past, "SELECT count(*) FROM ticks") == 1230
    assert one(past, f"SELECT count(*) FROM ticks WHERE session = '{DAY}'") == 1200
    assert one(past, "SELECT count(*) FROM bars") == 30
    joined = "SELECT count(*) FROM ticks JOIN instruments USING (instrument_id) WHERE symbol = 'RELIANCE'"
    assert one(past, joined) == 410


def test_the_ledger_is_asked_alone_and_together_with_the_market(past: Past) -> None:
    assert one(past, "SELECT count(*) FROM fills") == 3
    sql = (
        "SELECT f.trade_id, i.symbol FROM fills f JOIN instruments i ON i.key = f.instrument_key ORDER BY ALL"
    )
    answer = ask(past, sql)
    assert answer.columns == ["trade_id", "symbol"]
    assert answer.rows == [{"trade_id": f"t{n}", "symbol": RELIANCE.symbol} for n in (1, 2, 3)]
    assert one(past, "WITH bars AS (SELECT 1 AS x) SELECT count(*) FROM bars, fills") == 3


def test_times_are_utc_and_columns_of_one_name_are_told_apart(past: Past) -> None:
    (row,) = ask(past, "SELECT min(engine_ts) AS a, 1 AS a, 'NaN'::DOUBLE AS b FROM ticks").rows
    assert row == {"a": "2025-12-15T03:45:00+00:00", "a_2": 1, "b": None}


def test_without_a_statement_the_tables_are_listed(past: Past) -> None:
    found = {row["table"]: row for row in ask(past, " ").rows}
    assert {"ticks", "bars", "instruments", "fills", "orders", "journal"} <= set(found)
    assert found["fills"]["database"] == "ledger"
    assert "session" in found["ticks"]["columns"]


FORBIDDEN = [
    "DELETE FROM ticks",
    "INSERT INTO bars SELECT * FROM bars",
    "CREATE TABLE x AS SELECT 1",
    "DROP VIEW whole.ticks",
    "UPDATE ticks SET ltp = 1",
    "ATTACH '{file}' AS other",
    "COPY ticks TO '{file}'",
    "COPY (SELECT 1) TO '{file}' (FORMAT csv)",
    "EXPORT DATABASE '{file}'",
    "PRAGMA database_list",
    "SET threads = 4",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "BEGIN",
    "CALL checkpoint()",
    "SELECT 1; DELETE FROM ticks",
    "EXPLAIN ANALYZE DELETE FROM ticks",
    "SHOW TABLES",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM glob('{secret}')",
    "SELECT * FROM '{secret}'",
    "FROM '{secret}'",
    "SELECT (SELECT content FROM read_blob('{secret}'))",
    "SELECT * FROM ticks WHERE ltp IN (SELECT 1 FROM read_text('{secret}'))",
    "WITH x AS (FROM read_text('{secret}')) FROM x",
    "FROM query('SELECT * FROM read_text(''{secret}'')')",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "FROM pragma_database_size()",
    "FROM sniff_csv('{secret}')",
    "FROM parquet_metadata('{secret}')",
    "SELECT getenv('HOME')",
    "FROM Path",
    "FROM secret",
    "SELEC 1",
    "SELECT 'unfinished",
]


def test_nothing_but_looking_at_tables_is_allowed(past: Past, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("token\nabc\n")
    made = tmp_path / "made"
    for text in FORBIDDEN:
        with pytest.raises(UsageError) as refused:
            ask(past, text.format(secret=secret, file=made))
        assert "abc" not in str(refused.value), text
        assert not made.exists(), text
        assert one(past, "SELECT count(*) FROM ticks") == 1230, "and the next question is answered"


def test_a_python_name_is_no_table(past: Past) -> None:
    frame = [1, 2, 3]
    with pytest.raises(UsageError, match="frame does not exist"):
        ask(past, "SELECT * FROM frame")
    assert frame


def test_rows_bytes_and_time_are_bounded(past: Past) -> None:
    answer = ask(past, "SELECT * FROM range(100) t(n)", most=7)
    assert (len(answer.rows), answer.more) == (7, True)
    assert not ask(past, "SELECT * FROM range(7) t(n)", most=7).more
    with pytest.raises(UsageError, match="from 1 to"):
        ask(past, "SELECT 1", most=10_001)
    with pytest.raises(UsageError, match="larger than 8 MB"):
        ask(past, "SELECT repeat('x', 100000) FROM range(1000)")
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"longer than 0\.3 s"):
        ask(past, "SELECT count(*) FROM range(10000000) a, range(10000000) b", timeout_s=0.3)
    assert time.monotonic() - began < 10
    assert one(past, "SELECT 1") == 1


def test_writing_goes_on_beside_a_question(store: Store) -> None:
    def work(past: Past) -> int:
        before = one(past, "SELECT count(*) FROM ticks")
        store.ticks(T0_NS + 99, frame(3))
        store.bars([bar(77)])
        store.records(a_day())
        store.flush()
        return int(one(past, "SELECT count(*) FROM ticks")) - int(before)

    assert store.on_past(work) == 3


def test_a_file_that_is_held_is_said(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "market.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"DUCK?" * 5000)
    with pytest.raises(StorageError, match=r"cannot open market\.duckdb"), files_of(path.parent):
        pass
    with pytest.raises(StorageError, match="nothing of the market"), files_of(tmp_path / "nowhere"):
        pass


def test_a_file_of_an_older_layout_can_be_asked(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "market.duckdb")) as old:
        old.execute("CREATE TABLE ticks (ltp DOUBLE); INSERT INTO ticks VALUES (1.5)")
    with files_of(tmp_path) as found:
        assert one(found, "SELECT ltp FROM ticks") == 1.5
