"""The ledger is what the journal says: once, in order, and the same however it got there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.storage.samples import (
    ALL,
    CALL,
    DAY,
    RELIANCE,
    T0_NS,
    a_day,
    fill,
    numbered,
    order,
    reader,
    record,
)
from tradetui.domain.errors import JournalDamaged
from tradetui.domain.order import Fill, OrderStatus, Product, Side
from tradetui.domain.portfolio import Opening, Portfolio
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.journal import Journal
from tradetui.journal import files as journal_files
from tradetui.journal import read as read_journal
from tradetui.storage.database import Settings, open_database
from tradetui.storage.ledger import TABLES, Ledger, Numbered
from tradetui.storage.schema import LEDGER
from tradetui.storage.store import Store

DAY_NS = 86_400 * 1_000_000_000


def contents(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    return {name: sorted(ledger._con.sql(f"FROM {name}").pl().rows(), key=repr) for name in TABLES}


def of_store(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {name: sorted(store.ledger_frame(f"SELECT * FROM {name}").rows(), key=repr) for name in TABLES}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    opened = open_database(None, LEDGER, Settings(memory_mb=64))
    yield Ledger(opened.connection)
    opened.connection.close()


def wiped(ledger: Ledger) -> Ledger:
    """The same ledger, empty: making one from nothing for every example takes too long."""
    for name in TABLES:
        ledger._con.execute(f"DELETE FROM {name}")
    return Ledger(ledger._con)


def test_each_kind_has_its_table(ledger: Ledger) -> None:
    assert ledger.project(numbered(a_day())) == 15
    counts = {name: len(rows) for name, rows in contents(ledger).items()}
    assert {name: count for name, count in counts.items() if count} == {
        "intents": 1, "orders": 1, "fills": 3, "openings": 1, "signals": 1, "decisions": 2, "risk": 1,
        "journal": 15, "positions": 2,
    }  # fmt: skip
    assert ledger.odd == 0
    status, updated = ledger._con.execute("SELECT status, updated_ns FROM orders").fetchall()[0]
    assert (status, updated) == ("filled", T0_NS + 8)
    assert ledger._con.execute("SELECT kind, words FROM decisions ORDER BY ALL").fetchall() == [
        ("decision", "daily loss"),
        ("risk", "kill pulled by me"),
    ]
    assert ledger._con.execute("SELECT score, data->>'id' FROM signals").fetchall() == [(71.5, "s1")]


def test_two_equal_records_at_one_instant_are_two(ledger: Ledger) -> None:
    ledger.project(numbered(a_day()))
    rows = ledger._con.execute("SELECT count(*) FROM journal WHERE kind = 'feed'").fetchall()
    assert rows == [(2,)]


def test_an_order_may_come_back_to_an_earlier_state_within_one_instant(ledger: Ledger) -> None:
    calm, asked = (
        order(status=OrderStatus.OPEN, at=5),
        replace(order(status=OrderStatus.OPEN, at=5), cancel_pending=True),
    )
    for item in numbered([record(RecordKind.ORDER, one, 5) for one in (calm, asked, calm)]):
        ledger.project([item])
    assert ledger._con.execute("SELECT cancel_pending FROM orders").fetchall() == [(False,)]


def test_a_record_nobody_understands_is_kept_and_the_rest_goes_on(ledger: Ledger) -> None:
    odd = [
        record(RecordKind.ORDER, {"tag": "x"}),
        record(RecordKind.FILL, {**a_day()[5].data, "side": "SIDEWAYS"}),
        record(
            RecordKind.OPENING, {"instrument_key": "K", "product": "I", "qty": "many", "average_price": 1}
        ),
        record(RecordKind.FILL, fill(9)),
    ]
    assert ledger.project(numbered(odd)) == 4
    assert ledger.odd == 3
    assert ledger._con.execute("SELECT trade_id FROM fills").fetchall() == [("t9",)]
    assert ledger._con.execute("SELECT count(*) FROM journal").fetchall() == [(4,)]


def test_nothing_half_is_kept_when_a_batch_fails(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ledger._insert

    def insert(name: str, rows: list[dict[str, Any]]) -> None:
        if name == "journal":
            raise OSError(28, "No space left on device")
        original(name, rows)

    monkeypatch.setattr(ledger, "_insert", insert)
    with pytest.raises(OSError, match="No space"):
        ledger.project(numbered(a_day()))
    assert all(not rows for rows in contents(ledger).values())
    monkeypatch.undo()
    assert ledger.project(numbered(a_day())) == 15


def test_a_commodity_counts_its_multiplier_and_a_rebuild_remembers_it(ledger: Ledger) -> None:
    known = Ledger(ledger._con, lambda key: 100 if key == CALL.key else 1)
    day = numbered([record(RecordKind.FILL, fill(1, qty=2, price=1000, key=CALL.key))])
    known.project(day)
    forgetful = Ledger(ledger._con)
    assert forgetful.rebuild(day) == 1
    cost, multiplier = ledger._con.execute("SELECT cost, multiplier FROM positions").fetchall()[0]
    assert (cost, multiplier) == (200_000, 100)


steps = st.lists(
    st.tuples(
        st.sampled_from([RELIANCE.key, CALL.key]),
        st.sampled_from(list(Side)),
        st.integers(1, 5000),
        st.integers(1, 60_000_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=steps, again=st.lists(st.integers(0, 11), max_size=6))
def test_property_sum_positions_are_the_domains_fold_under_any_duplication(
    ledger: Ledger, drawn: list[tuple[str, Side, int, int, bool]], again: list[int]
) -> None:
    records: list[Record] = []
    # What was carried lies under the day's trades; a second opening of a position adds to the first.
    drawn.sort(key=lambda one: not one[4])
    for number, (key, side, qty, price, carried) in enumerate(drawn):
        if carried:
            opening = {"instrument_key": key, "product": "I", "qty": side.sign * qty, "average_price": price}
            records.append(record(RecordKind.OPENING, opening, number))
        else:
            records.append(record(RecordKind.FILL, fill(number, side, qty, price, key), number))
    fills = [one for one in records if one.kind is RecordKind.FILL]
    records += [fills[n % len(fills)] for n in again if fills]
    book = Portfolio()
    for one in records:
        if one.kind is RecordKind.FILL:
            book.book(thaw(Fill, one.data))
        else:
            data = dict(one.data)
            book.open_with(
                Opening(data["instrument_key"], Product.INTRADAY, data["qty"], data["average_price"])
            )
    ledger = wiped(ledger)
    ledger.project(numbered(records))
    rows = ledger._con.execute(
        "SELECT instrument_key, qty, average_price, cost, realised, buy_qty, sell_qty, buy_value, sell_value "
        "FROM positions ORDER BY ALL"
    ).fetchall()
    assert rows == sorted(
        (
            p.instrument_key,
            p.qty,
            p.average_price,
            p.cost,
            p.realised,
            p.buy_qty,
            p.sell_qty,
            p.buy_value,
            p.sell_value,
        )
        for p in book.positions.values()
    )


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 15), max_size=6))
def test_any_cutting_and_any_repetition_gives_what_a_rebuild_gives(ledger: Ledger, cuts: list[int]) -> None:
    day = numbered(a_day())
    ledger = wiped(ledger)
    for cut in cuts:
        ledger.project(day[:cut])  # again from the start, a little further or less far
    ledger.project(day)
    assert ledger.project(day) == 0
    before = contents(ledger)
    assert ledger.rebuild(day) == 15
    assert contents(ledger) == before


# --- with the journal ---------------------------------------------------------------------------------


def reader_of(folder: Path) -> Any:
    """Reads a real journal from a day on, as the program does."""

    def read(day: str, number: int = 0) -> Iterator[Numbered]:
        for path in journal_files(folder):
            if path.stem >= day:
                for stored in read_journal(path):
                    yield path.stem, stored.number, stored.record

    return read


def three_days() -> list[Record]:
    """Records over midnight IST, some of them with a clock that steps back a day."""
    out = [replace(one, t_ns=one.t_ns + DAY_NS * n) for n in range(3) for one in a_day()]
    return [*out, replace(record(RecordKind.RUN, {"what": "stop"}), t_ns=T0_NS)]


def test_live_numbers_are_the_journals_numbers(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    store = Store.open(tmp_path, ALL, journal=reader_of(tmp_path / "journal"))
    for one in three_days():
        journal.append(one)
        store.records([one])
    journal.sync()
    store.flush()
    places = store.ledger_frame("SELECT journal_day, journal_number, t_ns FROM journal ORDER BY ALL").rows()
    assert places == [
        (date.fromisoformat(day), number, one.t_ns)
        for day, number, one in reader_of(tmp_path / "journal")("")
    ]
    live = of_store(store)
    assert store.rebuild(reader_of(tmp_path / "journal")("")) == 46
    assert of_store(store) == live
    store.close()
    journal.close()


def test_a_start_catches_up_with_what_the_journal_has_beyond(tmp_path: Path) -> None:
    records = a_day()
    Store.open(tmp_path, ALL, journal=reader(records[:6])).close()
    store = Store.open(tmp_path, ALL, journal=reader(records))
    assert store.notices == []
    assert len(store.fills(DAY)) == 3
    store.records([record(RecordKind.FILL, fill(4), 99)])
    store.flush()
    assert store.ledger_frame("SELECT max(journal_number) FROM journal").item() == 16
    store.close()


@pytest.mark.parametrize(
    ("name", "journal"),
    [
        ("ends earlier", a_day()[:9]),
        ("says something else there", [*a_day()[:14], record(RecordKind.FEED, {"state": "down"}, 13)]),
        ("is empty", []),
    ],
)
def test_a_ledger_that_disagrees_is_set_aside_and_made_anew(
    name: str, journal: list[Record], tmp_path: Path
) -> None:
    Store.open(tmp_path, ALL, journal=reader(a_day())).close()
    store = Store.open(tmp_path, ALL, journal=reader(journal))
    assert any("did not agree" in words and "superseded-1" in words for words in store.notices)
    assert (tmp_path / "ledger.duckdb.superseded-1").exists()
    rows = of_store(store)
    assert len(rows["journal"]) == len(journal)
    store.close()


def test_a_damaged_journal_is_named_at_the_start(tmp_path: Path) -> None:
    def broken(day: str, number: int) -> Iterator[Numbered]:
        yield from numbered(a_day()[:3])
        raise JournalDamaged("2025-12-15.journal: record 4 at byte 900 fails its checksum")

    with pytest.raises(JournalDamaged, match="record 4"):
        Store.open(tmp_path, ALL, journal=broken)
    Store.open(tmp_path, ALL, journal=reader(a_day())).close()  # nothing is left locked


def test_records_beyond_the_bound_are_read_back_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradetui.storage.threads.MAX_RECORDS", 4)
    records: list[Record] = []
    store = Store.open(tmp_path, ALL, journal=reader(records))
    gate = threading.Event()
    held = store._ledger.submit(gate.wait)
    for one in a_day():
        records.append(one)
        store.records([one])
    assert store.queued() <= 4
    gate.set()
    held.result(10)
    store.flush()
    store.flush()
    assert len(of_store(store)["journal"]) == 15
    store.records([record(RecordKind.FILL, fill(4), 99)])
    records.append(record(RecordKind.FILL, fill(4), 99))
    store.flush()
    assert len(store.fills()) == 4
    live = of_store(store)
    store.rebuild(numbered(records))
    assert of_store(store) == live
    store.close()
