"""The instrument list: rows, ranking, search."""

from __future__ import annotations

import gzip
import json
import math
import stat
import threading
from collections import Counter
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.master_rows import FAR, NEAR, TODAY, contract, index, share, small_file
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.master_rows import RowRefused, RowReport, parse_row, parse_rows, split_rows
from tradetui.commands.bench.instruments import key_costs
from tradetui.domain.errors import StorageError, UnknownInstrument
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price


def made(rows: list[dict[str, Any]], path: Path | None = None, on: date = TODAY) -> Master:
    return Master.build(parse_rows(rows), on, path)


@pytest.fixture
def small() -> Master:
    return made(small_file())


def symbols(found: list[Instrument]) -> list[str]:
    return [one.symbol for one in found]


# ---- rows ------------------------------------------------------------------------------------------------


def test_units_are_turned_into_ours() -> None:
    option = parse_row(contract("NIFTY", 50001, NEAR, "CE", 24500.5))
    assert option == Instrument(
        key="NSE_FO|50001", segment="NSE_FO", exchange="NSE", symbol="NIFTY 24500.5 CE 24 NOV 26", name="NIFTY",
        kind=InstrumentKind.CALL, series="CE", lot_size=65, tick_size=Price(500), freeze_qty=1800, expiry=NEAR,
        strike=Price(245_005_000), underlying_key="NSE_INDEX|Nifty 50", exchange_token="50001",
    )  # fmt: skip
    assert option.max_order_qty == 1755


def test_a_currency_tick_below_a_paisa_is_kept() -> None:
    row = contract(
        "USDINR", 1, NEAR, tick_size=0.25, qty_multiplier=1000.0, segment="NCD_FO", instrument_key="NCD_FO|1"
    )
    assert parse_row(row).tick_size == Price(25)
    assert parse_row(row).multiplier == 1000


def test_shares_outside_the_main_series_are_shares() -> None:
    assert parse_row(share("ODD", 9, instrument_type="BE")).kind is InstrumentKind.EQUITY
    assert parse_row(share("CAS", 9, cas_eligible=True)).cas_eligible


def test_hostile_names_are_cleaned() -> None:
    one = parse_row(share("EVIL\x1b[31m", 9, name="A\u202eB\nC", short_name="\x07"))
    assert (one.symbol, one.name, one.short_name) == ("EVIL[31m", "AB C", "")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "not an object"),
        ([], "not an object"),
        (share("X", 1, instrument_key=None), "no key, segment or symbol"),
        (share("\x1b\x07", 1), "no key, segment or symbol"),
        (share("X", 1, instrument_key="NSE_EQ"), "malformed key"),
        (share("X", 1, instrument_key="NSE_EQ|a\x1bb"), "malformed key"),
        (share("X", 1, instrument_key="BSE_EQ|INE001A01011"), "key of another segment"),
        (share("X", 1, exchange="NYSE"), "unknown exchange"),
        (contract("X", 1, NEAR, "XX"), "unknown type"),
        (share("X", 1, lot_size=0), "bad lot size"),
        (share("X", 1, lot_size=1.5), "bad lot size"),
        (share("X", 1, lot_size=True), "bad lot size"),
        (share("X", 1, lot_size="1"), "bad lot size"),
        (share("X", 1, tick_size=0.0), "bad tick size"),
        (share("X", 1, tick_size=-5.0), "bad tick size"),
        (share("X", 1, tick_size=math.nan), "bad tick size"),
        (share("X", 1, tick_size=math.inf), "bad tick size"),
        (share("X", 1, tick_size=0.001), "bad tick size"),
        (share("X", 1, freeze_quantity=-1), "bad freeze quantity"),
        (share("X", 1, qty_multiplier=0.5), "bad multiplier"),
        (contract("X", 1, NEAR, expiry=None), "bad expiry"),
        (contract("X", 1, NEAR, expiry=1), "bad expiry"),
        (contract("X", 1, NEAR, "PE", 0.0), "bad strike"),
        (contract("X", 1, NEAR, "PE", math.nan), "bad strike"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(row: Any, reason: str) -> None:
    with pytest.raises(RowRefused, match=reason):
        parse_row(row)


@given(
    st.dictionaries(
        st.sampled_from(sorted(contract("X", 1, NEAR))),
        st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.booleans(),
    )
)
def test_any_damage_to_a_row_is_refused_or_harmless(damage: dict[str, Any]) -> None:
    try:
        one = parse_row(contract("X", 1, NEAR, "CE", 100.0) | damage)
    except RowRefused:
        return
    assert one.lot_size >= 1
    assert one.tick_size >= 1
    assert all(
        text.isprintable() for text in (one.symbol, one.name, one.key, one.underlying_key, one.exchange_token)
    )


def test_refused_rows_are_counted_and_cost_nothing_else() -> None:
    rows = [share("A", 1), share("A", 1), share("B", 2, lot_size=0), share("C", 3), 7]
    report = RowReport()
    assert [one.symbol for one in parse_rows(rows, report)] == ["A", "C"]
    assert (report.rows, report.taken) == (5, 2)
    assert report.refused == {"repeated key": 1, "bad lot size": 1, "not an object": 1}
    assert report.words() == "2 instruments; left out: 1 repeated key, 1 bad lot size, 1 not an object"


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3))), st.integers(0, 3))
def test_an_array_is_taken_apart_as_the_json_module_reads_it(rows: list[Any], indent: int) -> None:
    text = json.dumps(rows, indent=indent or None)
    assert list(split_rows(text)) == rows
    cut = text.rstrip()[:-1]
    with pytest.raises(StorageError):
        list(split_rows(cut))


@pytest.mark.parametrize("text", ["", "{}", "null", "[1 2]", "[1,]", "[1,", "[nope]", "<html>"])
def test_what_is_no_array_is_said(text: str) -> None:
    with pytest.raises(StorageError, match="the instrument file"):
        list(split_rows(text))


# ---- asking ----------------------------------------------------------------------------------------------


def test_by_key_and_by_symbol(small: Master) -> None:
    assert small.by_key("NSE_FO|50005").symbol == "NIFTY FUT 24 NOV 26"
    assert small.get("NSE_FO|1") is None
    assert small.by_symbol("reliance").segment == "NSE_EQ"
    assert small.by_symbol("RELIANCE", "BSE_EQ").segment == "BSE_EQ"
    assert small.by_symbol("nifty").kind is InstrumentKind.INDEX
    assert small.by_symbol("  Nifty  24500 ce 24 nov 26 ").key == "NSE_FO|50001"
    assert small.by_symbol("NSE_INDEX|Nifty Bank").symbol == "BANKNIFTY"
    with pytest.raises(UnknownInstrument, match="near it: RELIANCE"):
        small.by_symbol("RELIANC")
    with pytest.raises(UnknownInstrument, match="no instrument has the key"):
        small.by_key("NSE_FO|1")


def test_every_field_survives_the_file(tmp_path: Path) -> None:
    expected = {one.key: one for one in parse_rows(small_file())}
    master = made(small_file(), tmp_path / "list.sqlite")
    assert {one.key: one for one in master} == expected
    assert len(master) == len(expected) == 16
    assert {field.name for field in fields(Instrument)} >= {"short_name", "cas_eligible"}
    assert stat.S_IMODE((tmp_path / "list.sqlite").stat().st_mode) == 0o600
    assert master.counts() == {"BSE_EQ": 1, "NSE_EQ": 4, "NSE_FO": 8, "NSE_INDEX": 3}


def test_search_ranks_exact_then_first_word_then_beginning_then_words(small: Master) -> None:
    assert symbols(small.search("nifty")) == [
        "NIFTY",                                                  # exact
        "NIFTY NEXT 50",                                          # its first word: index, futures, options
        "NIFTY FUT 24 NOV 26", "NIFTY FUT 29 DEC 26",
        "NIFTY 24500 CE 24 NOV 26", "NIFTY 24500 PE 24 NOV 26", "NIFTY 24500 CE 29 DEC 26",
        "NIFTYBEES", "NIFTYNXT50 24500 CE 24 NOV 26",             # begins with it
        "BANKNIFTY",                                              # a word of its name
    ]  # fmt: skip


def test_search_finds_by_words_in_any_order_and_unfinished(small: Master) -> None:
    assert symbols(small.search("nifty 24500 ce"))[:2] == [
        "NIFTY 24500 CE 24 NOV 26",
        "NIFTY 24500 CE 29 DEC 26",
    ]
    assert symbols(small.search("ce dec nifty")) == ["NIFTY 24500 CE 29 DEC 26"]
    assert symbols(small.search("mahin")) == ["M&M"]
    assert symbols(small.search("m&m")) == ["M&M"]
    assert symbols(small.search("rel infra")) == ["RELINFRA"]
    assert symbols(small.search("INE003A01011")) == ["RELINFRA"]
    assert symbols(small.search("bank fut")) == ["BANKNIFTY FUT 24 NOV 26"]
    assert small.search("NSE_FO|50001")[0].key == "NSE_FO|50001"
    assert small.search("nifty zzz") == []
    assert len(small.search("n", 4)) == 4


@pytest.mark.parametrize(
    "text",
    ["", "   ", '"', "'", "*", "\x1b", "(", "a AND", "NOT", "^", "a:b", "{", "%", "💥", "\0", "NEAR(a b)"],
)
def test_search_takes_any_text(small: Master, text: str) -> None:
    assert isinstance(small.search(text), list)


@given(st.text(max_size=30))
def test_search_takes_really_any_text(text: str) -> None:
    assert len(_SMALL.search(text, 5)) <= 5


_SMALL = made(small_file())


def test_expired_contracts_are_not_found_and_not_listed(small: Master) -> None:
    assert "NIFTY FUT 27 OCT 26" not in symbols(small.search("nifty fut"))
    assert symbols(small.search("nifty fut", on=FAR)) == ["NIFTY FUT 29 DEC 26"]
    assert small.get("NSE_FO|50006") is not None


def test_derivatives_go_by_the_underlying_s_key(small: Master) -> None:
    assert symbols(small.derivatives_of("NSE_INDEX|Nifty 50")) == [
        "NIFTY FUT 24 NOV 26", "NIFTY FUT 29 DEC 26", "NIFTY 24500 CE 24 NOV 26", "NIFTY 24500 PE 24 NOV 26",
        "NIFTY 24500 CE 29 DEC 26",
    ]  # fmt: skip
    assert small.has_derivatives("NSE_INDEX|Nifty Bank")
    assert not small.has_derivatives("NSE_INDEX|Nifty Bank", on=FAR)
    assert not small.has_derivatives("NSE_EQ|INE002A01011")
    assert not small.has_derivatives("")


def test_lists_are_asked_from_several_threads(small: Master) -> None:
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                assert small.search("nifty", 5)
                assert small.by_symbol("RELIANCE").isin == "INE002A01011"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.sqlite"
    with pytest.raises(StorageError, match="cannot be read"):
        Master.open(path)
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(StorageError, match="cannot be read"):
        Master.open(path)
    path.unlink()
    made(small_file(), path).close()
    with pytest.raises(StorageError, match="cannot be written"):
        made(small_file(), path)


# ---- the real file ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Master, RowReport]:
    text = gzip.decompress(
        (shared_data / "instruments/upstox_complete_2025-12-10.json.gz").read_bytes()
    ).decode()
    report = RowReport()
    path = tmp_path_factory.mktemp("master") / "list.sqlite"
    return Master.build(parse_rows(split_rows(text), report), date(2025, 12, 10), path), report


def test_every_real_row_is_taken(whole: tuple[Master, RowReport]) -> None:
    master, report = whole
    assert (report.rows, report.taken, dict(report.refused)) == (126_978, 126_978, {})
    assert len(master) == 126_978
    assert Counter(master.counts()) == {
        "NSE_FO": 38_752, "MCX_FO": 25_214, "NSE_COM": 18_866, "BSE_EQ": 12_689, "BCD_FO": 9_168, "NCD_FO": 8_754,
        "NSE_EQ": 8_488, "BSE_FO": 4_843, "NSE_INDEX": 134, "BSE_INDEX": 70,
    }  # fmt: skip


def test_the_recorded_feed_s_instruments_are_in_it(whole: tuple[Master, RowReport]) -> None:
    master, _ = whole
    assert master.by_key("NSE_EQ|INE118H01025").symbol == "BSE"
    option = master.by_key("NSE_FO|51461")
    assert option.symbol == "BANKNIFTY 59400 PE 30 DEC 25"
    assert (option.lot_size, option.tick_size, option.strike) == (35, Price(500), Price(594_000_000))
    assert option.expiry == date(2025, 12, 30)
    assert option.max_order_qty == 595
    assert option.underlying_key == "NSE_INDEX|Nifty Bank"
    assert master.has_derivatives("NSE_INDEX|Nifty Bank")
    assert master.by_key("NSE_EQ|INE118H01025").tick_size == Price(1000)


def test_real_searches_find_what_a_person_means(whole: tuple[Master, RowReport]) -> None:
    master, _ = whole
    first = {
        text: master.search(text, 5)[0]
        for text in ("nifty", "reliance", "hdfc bank", "banknifty fut", "nifty 26000 pe 16 dec")
    }
    assert first["nifty"].key == "NSE_INDEX|Nifty 50"
    assert first["reliance"].key == "NSE_EQ|INE002A01018"
    assert first["hdfc bank"].symbol == "HDFCBANK"
    assert first["banknifty fut"].symbol == "BANKNIFTY FUT 30 DEC 25"
    assert first["nifty 26000 pe 16 dec"].symbol == "NIFTY 26000 PE 16 DEC 25"


def test_a_key_typed_in_the_real_list_takes_under_5_ms(whole: tuple[Master, RowReport]) -> None:
    master, _ = whole
    levels = {"NSE_INDEX|Nifty 50": 258_000_000, "NSE_INDEX|Nifty Bank": 590_000_000}.get
    costs = key_costs(lambda keys: master.search(keys, 20, levels=levels))
    assert {keys: round(ms, 1) for keys, ms in costs.items() if ms >= 5.0} == {}


def test_index_and_symbol_of_another_day(small: Master) -> None:
    assert small.on == TODAY
    later = made([index("NIFTY", "Nifty 50"), contract("NIFTY", 1, NEAR)], on=FAR)
    assert symbols(list(later)) == ["NIFTY", "NIFTY FUT 24 NOV 26"]
    assert symbols(later.search("nifty fut")) == []
