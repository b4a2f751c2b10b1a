"""Stored rows as files: whole or not at all, exact, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.unit.storage.samples import ALL, DAY, RELIANCE, T0_NS, a_day, bar, frame
from tradetui.domain.errors import StorageError, UsageError
from tradetui.domain.market_data import BarSource
from tradetui.storage import exports
from tradetui.storage.exports import KINDS, Wanted, rows_of, write_file, write_stream
from tradetui.storage.questions import Past
from tradetui.storage.store import Store

EVIL = replace(RELIANCE, key="NSE_EQ|EVIL", symbol='=cmd|"/c calc"!A1')
DAY_US = 86_400_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "account", [*ALL, EVIL])
    for step in range(40):
        store.ticks(T0_NS + step * 1_000_000_000, frame(30, step))
    store.ticks(T0_NS + DAY_US * 1000, frame(3))
    store.bars([bar(minute, slot=slot) for minute in range(10) for slot in range(4)])
    store.bars([bar(minute, close=101.5, source=BarSource.BROKER) for minute in range(5)])
    store.bars([bar(0, interval_s=300)])
    store.records(a_day())
    store.flush()
    store.archive(DAY + timedelta(days=1))
    yield store
    store.close()


def table(store: Store, wanted: Wanted) -> pl.DataFrame:
    def work(past: Past) -> pl.DataFrame:
        with rows_of(past, wanted) as reader:
            found = pl.from_arrow(reader.read_all())
        assert isinstance(found, pl.DataFrame)
        return found

    return store.on_past(work)


def test_ticks_of_file_and_archive_by_symbol_and_time(store: Store) -> None:
    every = table(store, Wanted("ticks"))
    assert every.height == 1203
    assert every.columns[:2] == ["symbol", "instrument_key"]
    assert every["engine_ts"].is_sorted()
    some = Wanted(
        "ticks", ("reliance",), first_us=T0_NS // 1000 + 10_000_000, last_us=T0_NS // 1000 + 20_000_000
    )
    found = table(store, some)
    assert found.height == 100
    assert set(found["instrument_key"]) == {RELIANCE.key}
    assert table(store, Wanted("ticks", first_us=T0_NS // 1000 + DAY_US)).height == 3


def test_bars_are_the_brokers_where_it_has_one(store: Store) -> None:
    found = table(store, Wanted("bars", (RELIANCE.key,), "1m"))
    assert found["source"].to_list() == ["broker"] * 5 + ["ticks"] * 5
    assert found["close"].to_list() == [101.5] * 5 + [101.0] * 5
    assert table(store, Wanted("bars")).height == 41


def test_money_of_the_ledger_is_exact_rupees(store: Store) -> None:
    found = table(store, Wanted("trades"))
    assert [str(price) for price in found["price"]] == ["1400.0500", "1400.1000", "1399.9000"]
    assert found["symbol"].to_list() == ["RELIANCE"] * 3


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("form", exports.FORMATS)
def test_everything_can_be_written_in_every_form(kind: str, form: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / f"out.{form}"

    def work(past: Past) -> tuple[int, int]:
        with rows_of(past, Wanted(kind)) as reader:
            return write_file(reader, path, form)

    count, size = store.on_past(work)
    expected = table(store, Wanted(kind))
    assert (count, size) == (expected.height, path.stat().st_size)
    if form == "parquet":
        assert pl.read_parquet(path, hive_partitioning=False).equals(expected)
    elif form == "arrow":
        with pa.OSFile(str(path)) as file:
            assert pa.ipc.open_file(file).read_all().num_rows == count
    else:
        with path.open(newline="") as text:
            rows = list(csv.DictReader(text))
        assert len(rows) == count
        assert list(rows[0] if rows else expected.columns) == expected.columns
    assert [one.name for one in tmp_path.glob(".*")] == []


def test_a_csv_cell_never_starts_a_formula(store: Store) -> None:
    out = io.BytesIO()

    def work(past: Past) -> int:
        with rows_of(past, Wanted("bars", (EVIL.key,))) as reader:
            return write_stream(reader, out, "csv", piped=True)

    assert store.on_past(work) == 10
    (first, *_) = csv.DictReader(io.StringIO(out.getvalue().decode()))
    assert first["symbol"] == "'" + EVIL.symbol
    assert first["start"] == "2025-12-15T03:45:00.000000Z"
    assert (first["close"], first["gap"]) == ("101", "false")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted("tikcs"), "nothing called 'tikcs'"),
        (Wanted("ticks", ("WIPRO'; DROP TABLE ticks; --",)), "nothing is stored of"),
        (Wanted("ticks", interval="1m"), "--interval is for bars"),
        (Wanted("bars", interval="7m"), "no interval '7m'. stored are: 1m, 5m"),
        (Wanted("journal", ("RELIANCE",)), "not kept by symbol"),
        (Wanted("instruments", first_us=5), "have no time"),
        (Wanted("ticks", first_us=9, last_us=5), "behind"),
    ],
)
def test_what_makes_no_sense_is_said(wanted: Wanted, words: str, store: Store) -> None:
    with pytest.raises(UsageError) as refused:
        table(store, wanted)
    assert words in str(refused.value)


def test_a_file_that_is_there_is_kept_and_a_full_disk_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("mine")

    def work(past: Past) -> object:
        with rows_of(past, Wanted("bars")) as reader:
            return write_file(reader, path, "csv", replace=force)

    force = False
    with pytest.raises(UsageError, match="is there already"):
        store.on_past(work)
    force = True

    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(StorageError, match="No space left"):
            store.on_past(work)
    assert path.read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["account", "bars.csv"]
    store.on_past(work)
    assert path.read_text().startswith('"symbol"')


def test_a_running_engine_hands_its_rows_over_in_a_file_of_its_own(store: Store) -> None:
    args = {"kind": "bars", "symbols": ["RELIANCE"], "interval": "5m"}
    answer = store.on_past(lambda past: exports.export_beside(past, store.folder, args))
    path = Path(answer["path"])
    assert (path.parent, answer["exported"]) == (store.folder / "exports", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    with pa.memory_map(str(path)) as source:
        assert pa.ipc.open_stream(source).read_all().num_rows == 1
    with pytest.raises(UsageError):
        store.on_past(lambda past: exports.export_beside(past, store.folder, {**args, "interval": "7m"}))
    assert list(path.parent.iterdir()) == [path]
