"""Instruments from day to day: renames, splits, reused tokens, the roll of futures, odd series, search at the money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fixtures.master_rows import FAR, NEAR, TODAY, contract, index, share, small_file
from tests.unit.brokers.upstox.test_master_sync import Assets, packed
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.master_rows import parse_row, parse_rows
from tradetui.brokers.upstox.master_sync import MasterFile
from tradetui.commands.bench.instruments import COUNT, DAY, key_costs, made_up_rows
from tradetui.domain.errors import StorageError, UnknownInstrument
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.storage import listings
from tradetui.storage.listings import read_listings, write_listings

TOMORROW = TODAY + timedelta(days=3)
NIFTY = "NSE_INDEX|Nifty 50"


@pytest.fixture
def assets() -> Iterator[Assets]:
    made = Assets()
    yield made
    made.close()


@pytest.fixture
def file(assets: Assets, tmp_path: Path) -> MasterFile:
    return MasterFile(tmp_path / "cache", Hosts(assets=assets.url), timeout_s=5)


def next_list(assets: Assets, file: MasterFile, rows: list[dict[str, Any]], on: date = TOMORROW) -> Master:
    assets.body, assets.etag = packed(rows), f'"{on.isoformat()}-{len(rows)}"'
    result = file.sync(on)
    assert result.changed, result.message
    return result.master


def symbols(found: list[Instrument]) -> list[str]:
    return [one.symbol for one in found]


# ---- names ---------------------------------------------------------------------------------------------------


def test_a_renamed_share_keeps_its_key_and_is_found_by_its_old_name(assets: Assets, file: MasterFile) -> None:
    was = share("ZOMATO", 50, "ZOMATO LIMITED")
    file.sync(TODAY)
    next_list(assets, file, [*small_file(), was])
    renamed = was | {"trading_symbol": "ETERNAL", "name": "ETERNAL LIMITED", "short_name": "Eternal"}
    master = next_list(assets, file, [*small_file(), renamed], date(2026, 11, 24))
    assert master.by_symbol("zomato").key == was["instrument_key"]
    assert symbols(master.search("ZOMATO")) == ["ETERNAL"]
    assert [(one.name, one.until) for one in master.former_names(was["instrument_key"])] == [
        ("ZOMATO", TOMORROW)
    ]
    # Known for good: the list after the next one still knows.
    later = next_list(assets, file, [*small_file(), renamed, share("NEWCO", 77)], date(2026, 11, 25))
    assert later.by_symbol("ZOMATO").symbol == "ETERNAL"
    told = read_listings(file.table, was["instrument_key"])
    assert [(one.symbol, one.first_day, one.last_day) for one in told] == [
        ("ETERNAL", date(2026, 11, 24), None),
        ("ZOMATO", TOMORROW, TOMORROW),
    ]


def test_a_name_that_somebody_else_bears_now_means_that_one(assets: Assets, file: MasterFile) -> None:
    old, other = share("ABC", 50), share("XYZ", 51)
    file.sync(TODAY)
    next_list(assets, file, [*small_file(), old, other])
    rows = [*small_file(), old | {"trading_symbol": "DEF"}, other | {"trading_symbol": "ABC"}]
    master = next_list(assets, file, rows, date(2026, 11, 24))
    assert master.by_symbol("ABC").key == other["instrument_key"]
    assert symbols(master.search("abc"))[:2] == ["ABC", "DEF"]
    assert master.by_symbol("XYZ").symbol == "ABC"


def test_a_split_gives_a_new_isin_and_the_old_key_is_remembered(assets: Assets, file: MasterFile) -> None:
    was = share("SPLIT", 50)
    file.sync(TODAY)
    next_list(assets, file, [*small_file(), was])
    key = "NSE_EQ|INE050A01029"
    now = was | {"instrument_key": key, "isin": "INE050A01029"}
    master = next_list(assets, file, [*small_file(), now], date(2026, 11, 24))
    assert (
        master.get(was["instrument_key"]) is None
    )  # prices before and after do not compare: nothing is joined
    assert [one.name for one in master.former_names(key)] == [was["instrument_key"].upper()]
    assert master.search(was["instrument_key"])[0].key == key


def test_a_reused_token_is_another_contract_and_no_rename(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    other = contract("BANKNIFTY", 50001, FAR, "PE", 59000.0, underlying_key="NSE_INDEX|Nifty Bank")
    rows = [row for row in small_file() if row["instrument_key"] != "NSE_FO|50001"] + [other]
    master = next_list(assets, file, rows)
    assert master.by_key("NSE_FO|50001").symbol == "BANKNIFTY 59000 PE 29 DEC 26"
    assert master.former_names() == []
    with pytest.raises(UnknownInstrument):
        master.by_symbol("NIFTY 24500 CE 24 NOV 26")
    told = read_listings(file.table, "NSE_FO|50001")
    assert [(one.symbol, one.expiry, one.last_day) for one in told] == [
        ("BANKNIFTY 59000 PE 29 DEC 26", FAR, None),
        ("NIFTY 24500 CE 24 NOV 26", NEAR, TODAY),
    ]


def test_nearest_future_rolls_by_itself() -> None:
    master = Master.build(parse_rows(small_file()), TODAY)
    assert master.by_symbol("nifty fut").expiry == NEAR
    assert master.by_symbol("NIFTY FUT2").expiry == FAR
    assert master.by_symbol("NIFTY FUT", on=NEAR).expiry == NEAR  # on its last day it is still the one
    assert master.by_symbol("NIFTY FUT", on=NEAR + timedelta(days=1)).expiry == FAR
    with pytest.raises(UnknownInstrument):
        master.by_symbol("NIFTY FUT3")
    with pytest.raises(UnknownInstrument):
        master.by_symbol("NOSUCH FUT")


# ---- terms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("series", ["BE", "BZ", "SM", "ST", "RR", "IV", "GB", "N1", "T0"])
def test_every_series_is_taken_and_found(series: str) -> None:
    rows = [share("ODD", 9, instrument_type=series, lot_size=250), share("ODDMENT", 8)]
    master = Master.build(parse_rows(rows), TODAY)
    found = master.by_symbol("odd")
    assert (found.series, found.lot_size) == (series, 250)
    assert symbols(master.search("odd")) == ["ODD", "ODDMENT"]


def test_trusts_stand_with_the_shares_and_debt_behind_the_options() -> None:
    rows = [
        share("EMBASSY", 9, instrument_type="RR", isin="INE041025011", instrument_key="NSE_EQ|INE041025011"),
        contract("EMB", 3, NEAR, "CE", 100.0),
        share("EMBDEBT", 7, instrument_type="N1", isin="INE041007011", instrument_key="NSE_EQ|INE041007011"),
    ]
    assert symbols(Master.build(parse_rows(rows), TODAY).search("emb"))[-2:] == ["EMBASSY", "EMBDEBT"]
    assert symbols(list(Master.build(parse_rows(rows), TODAY)))[0] == "EMBASSY"


@pytest.mark.parametrize(
    ("paise", "tick"),
    [(5.0, 500), (1.0, 100), (10.0, 1_000), (0.25, 25), (100.0, 10_000), (2_000.0, 200_000)],
)
def test_tick_sizes_come_in_paise(paise: float, tick: int) -> None:
    assert parse_row(share("X", 1, tick_size=paise)).tick_size == Price(tick)


def test_marks_of_the_list_are_kept(tmp_path: Path) -> None:
    rows = [
        share("SLOW", 9, security_type="PCA", mtf_enabled=True),
        contract("NIFTY", 1, NEAR, "CE", 24500.0, weekly=True, price_quote_unit="X"),
    ]
    expected = {one.key: one for one in parse_rows(rows)}
    master = Master.build(expected.values(), TODAY, tmp_path / "a.sqlite")
    assert {one.key: one for one in master} == expected
    slow = master.by_symbol("SLOW")
    assert (slow.security_type, slow.mtf) == ("PCA", True)
    assert master.by_key("NSE_FO|1").weekly


# ---- the table -----------------------------------------------------------------------------------------------


def test_the_whole_list_is_a_table(file: MasterFile) -> None:
    file.sync(TODAY)
    with duckdb.connect(str(file.table), read_only=True) as table:
        kinds = dict(table.execute("SELECT kind, count(*) FROM instruments GROUP BY 1").fetchall())
        strike = table.execute("SELECT strike, expiry FROM instruments WHERE key = 'NSE_FO|50001'").fetchone()
    assert kinds == {"FUT": 4, "CE": 3, "PE": 1, "EQ": 5, "INDEX": 3}
    assert strike == (245_000_000, NEAR)


def test_terms_have_a_past(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    rows = [
        row | {"lot_size": 75} if row["instrument_key"] == "NSE_FO|50004" else row for row in small_file()
    ]
    next_list(assets, file, rows)
    told = read_listings(file.table, "NSE_FO|50004")
    assert [(one.lot_size, one.first_day, one.last_day) for one in told] == [
        (75, TOMORROW, None),
        (65, TODAY, TODAY),
    ]
    assert len(read_listings(file.table, "NSE_FO|50005")) == 1


def test_a_damaged_table_is_made_anew_and_a_reader_is_not_disturbed(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    reader = duckdb.connect(str(file.table), read_only=True)
    next_list(assets, file, [*small_file(), share("NEWCO", 77)])
    row = reader.execute("SELECT count(*) FROM instruments").fetchone()
    assert row == (16,)
    reader.close()
    file.table.write_bytes(b"damage" * 5_000)
    with pytest.raises(StorageError, match="cannot be read"):
        read_listings(file.table, "NSE_FO|50004")
    master = next_list(
        assets, file, [*small_file(), share("NEWCO", 77), share("MORE", 78)], date(2026, 11, 24)
    )
    assert len(read_listings(file.table, master.by_symbol("MORE").key)) == 1


def test_a_table_that_cannot_be_written_costs_no_list(
    assets: Assets, file: MasterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(listings, "_fill", refuse)
    result = file.sync(TODAY)
    assert result.changed
    assert "the table of instruments cannot be written" in result.message
    assert len(result.master) == 16
    monkeypatch.undo()
    assert file.sync(TODAY).message == "unchanged: 16 instruments"
    assert file.table.exists()
    assert read_listings(file.table.with_name("none.duckdb"), NIFTY) == []
    write_listings(file.table, iter(()), TOMORROW)
    assert read_listings(file.table, NIFTY)[0].last_day == TODAY  # an empty list closes everything


# ---- search at the money -------------------------------------------------------------------------------------


def chain(root: str, first_token: int, day: date, strikes: range, key: str = NIFTY) -> list[dict[str, Any]]:
    return [
        contract(root, first_token + 2 * at + (kind == "PE"), day, kind, float(strike), underlying_key=key)
        for at, strike in enumerate(strikes)
        for kind in ("CE", "PE")
    ]


def test_the_strikes_at_the_money_of_the_nearest_expiry_come_first() -> None:
    rows = [
        index("NIFTY", "Nifty 50"), contract("NIFTY", 1, NEAR), contract("NIFTY", 2, FAR),
        *chain("NIFTY", 1_000, FAR, range(22_000, 27_001, 100)),
        *chain("NIFTY", 5_000, NEAR, range(22_000, 27_001, 50)),
        share("RELIANCE", 2),
    ]  # fmt: skip
    master = Master.build(parse_rows(rows), TODAY)
    middle = symbols(master.search("nifty ce", 4))
    assert middle == [f"NIFTY {strike} CE 24 NOV 26" for strike in (24_500, 24_450, 24_550, 24_400)]
    at = {NIFTY: Price(26_120 * 10_000)}
    near = symbols(master.search("nifty", 7, levels=at.get))
    assert near == [
        "NIFTY", "NIFTY FUT 24 NOV 26", "NIFTY FUT 29 DEC 26", "NIFTY 26100 CE 24 NOV 26",
        "NIFTY 26100 PE 24 NOV 26", "NIFTY 26150 CE 24 NOV 26", "NIFTY 26150 PE 24 NOV 26",
    ]  # fmt: skip
    assert symbols(master.search("pe nifty dec", 2, levels=at.get)) == [
        "NIFTY 26100 PE 29 DEC 26", "NIFTY 26200 PE 29 DEC 26",
    ]  # fmt: skip
    for text in ("nifty 24350 ce", "ce 24350 nifty", "24350 nifty ce", "nif 24350 c"):
        assert symbols(master.search(text, 1, levels=at.get)) == ["NIFTY 24350 CE 24 NOV 26"], text


def test_shares_come_before_their_derivatives_and_months_are_words() -> None:
    key = "NSE_EQ|INE002A01011"
    rows = [
        *chain("RELIANCE", 10, NEAR, range(1_400, 1_461, 20), key), contract("RELIANCE", 5, NEAR, underlying_key=key),
        contract("RELIANCE", 6, FAR, underlying_key=key), share("RELIANCE", 2, "RELIANCE INDUSTRIES LTD"),
    ]  # fmt: skip
    master = Master.build(parse_rows(rows), TODAY)
    assert symbols(master.search("reliance", 3)) == [
        "RELIANCE",
        "RELIANCE FUT 24 NOV 26",
        "RELIANCE FUT 29 DEC 26",
    ]
    assert symbols(master.search("reliance fut nov")) == ["RELIANCE FUT 24 NOV 26"]
    assert symbols(master.search("fut dec reliance")) == ["RELIANCE FUT 29 DEC 26"]


# ---- speed ---------------------------------------------------------------------------------------------------


def test_search_as_you_type_over_127000_entries_takes_under_5_ms_a_key(tmp_path: Path) -> None:
    master = Master.build(parse_rows(made_up_rows()), DAY, tmp_path / "list.sqlite")
    assert len(master) == COUNT
    levels = {NIFTY: Price(261_200_000), "NSE_INDEX|Nifty Bank": Price(590_000_000)}.get
    costs = key_costs(lambda keys: master.search(keys, 20, levels=levels))
    assert len(costs) > 100
    assert {keys: round(ms, 1) for keys, ms in costs.items() if ms >= 5.0} == {}
    assert symbols(master.search("nifty 26000 ce", 1)) == ["NIFTY 26000 CE 23 NOV 26"]
    assert symbols(master.search("reliance", 1)) == ["RELIANCE"]
