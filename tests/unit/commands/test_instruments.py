"""`tradetui instruments` and `tradetui calendar`: from the last good file, without network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.master_rows import FAR, NEAR, TODAY, contract, share, small_file
from tests.unit.brokers.upstox.test_master_sync import Assets, packed
from tradetui.commands.calendar import CalendarOptions, run_calendar, segments_of
from tradetui.commands.instruments import Where, run_chain, run_search, run_show, run_sync
from tradetui.domain.calendar import Segment
from tradetui.domain.errors import ConfigError, StorageError, TransportError, UnknownInstrument, UsageError
from tradetui.storage.lock import DataLock

DAY = date(2026, 11, 20)


@pytest.fixture
def assets() -> Iterator[Assets]:
    made = Assets()
    yield made
    made.close()


@pytest.fixture
def where(assets: Assets, tmp_path: Path) -> Where:
    local = "http://127.0.0.1:1"
    return Where(str(tmp_path), (local, local, "ws://127.0.0.1:1", assets.url), on=DAY, as_json=True)


@pytest.fixture
def synced(where: Where, assets: Assets, capsys: pytest.CaptureFixture[str]) -> Where:
    """A list on disk, and nobody to ask any more."""
    assert run_sync(where, force=False, as_json=True) == 0
    capsys.readouterr()
    away = "http://127.0.0.1:1"
    return replace(where, urls=(away, away, "ws://127.0.0.1:1", away))


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# ---- sync ----------------------------------------------------------------------------------------------------


def test_sync_says_what_it_did(where: Where, assets: Assets, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_sync(where, force=False, as_json=True) == 0
    first = said(capsys)
    assert (first["changed"], first["fresh"], first["instruments"]) == (True, True, 16)
    assert Path(first["path"]).exists()
    assert Path(first["table"]).exists()
    assert run_sync(where, force=False, as_json=True) == 0
    assert not said(capsys)["changed"]
    assert assets.requests[1]["If-None-Match"] == '"one"'
    assert run_sync(where, force=False, as_json=False) == 0
    assert "NSE_FO" in capsys.readouterr().out


def test_sync_without_network_keeps_the_last_list_and_says_so(
    synced: Where, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_sync(synced, force=False, as_json=True) == 1
    told = said(capsys)
    assert not told["fresh"]
    assert "kept the list of" in told["message"]
    with pytest.raises(TransportError, match="cannot be fetched"):
        run_sync(replace(synced, home=str(tmp_path / "new")), force=False, as_json=True)


# ---- search, show, chain -------------------------------------------------------------------------------------


def test_search_works_without_network_and_while_an_engine_holds_the_data(
    synced: Where, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = DataLock(tmp_path, "tradetui run")
    try:
        assert run_search(synced, "ce nifty 24500", 20, "", None) == 0
    finally:
        lock.release()
    rows = said(capsys)["rows"]
    assert [row["symbol"] for row in rows[:2]] == ["NIFTY 24500 CE 24 NOV 26", "NIFTY 24500 CE 29 DEC 26"]
    assert (rows[0]["strike"], rows[0]["tick_size"], rows[0]["expiry"]) == (24_500.0, 0.05, "2026-11-24")
    assert run_search(synced, "reliance", 20, "bse_eq", None) == 0
    assert [row["key"] for row in said(capsys)["rows"]] == ["BSE_EQ|INE002A01018"]
    assert run_search(synced, "nothing like it", 20, "", None) == 1
    assert said(capsys)["rows"] == []


def test_search_prints_a_table_or_csv(synced: Where, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_search(replace(synced, as_json=False), "nifty fut", 5, "", None) == 0
    assert "NIFTY FUT 24 NOV 26" in capsys.readouterr().out
    assert run_search(replace(synced, as_json=False, as_csv=True), "nifty fut", 5, "", None) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["key"] == "NSE_FO|50005"


def test_strikes_near_a_price_come_first(
    synced: Where, where: Where, assets: Assets, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [contract("NIFTY", 60_000 + at, NEAR, "CE", 25_000.0 + 50 * at) for at in range(40)]
    assets.body, assets.etag = packed([*small_file(), *more]), '"two"'
    assert run_sync(where, force=False, as_json=True) == 0
    capsys.readouterr()
    assert run_search(synced, "nifty ce nov", 3, "", 26_010.0) == 0
    assert [row["strike"] for row in said(capsys)["rows"]] == [26_000.0, 26_050.0, 25_950.0]


def test_show_gives_every_term_and_mark(synced: Where, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_show(synced, "NIFTY FUT") == 0
    future = said(capsys)
    wanted = {
        "key": "NSE_FO|50005", "expiry": "2026-11-24", "lot_size": 65, "tick_size": 0.05, "freeze_qty": 1800,
        "max_order_qty": 1755, "segment": "NSE_FO", "underlying_key": "NSE_INDEX|Nifty 50", "tradable": True,
        "session_class": "FNO_NEAR_FUTURE", "hours": "09:15-15:40", "trading_days_left": 1,
    }  # fmt: skip
    assert {name: future[name] for name in wanted} == wanted
    assert [state["lot_size"] for state in future["listings"]] == [65]
    assert run_show(synced, "reliance") == 0
    stock = said(capsys)
    assert (stock["closing_auction"], stock["session_class"]) == (True, "EQ_FNO_UNDERLYING")
    assert stock["surveillance"] is None  # no list at hand: nobody knows


def test_show_reads_the_lists_of_surveillance(
    synced: Where, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "surveillance-2026-11-20.csv").write_text("RELIANCE,ASM,4\n")
    (tmp_path / "lists" / "fo_ban-2026-11-20.csv").write_text("NIFTY\n")
    assert run_show(synced, "RELIANCE") == 0
    stock = said(capsys)
    assert (stock["surveillance"], stock["trade_for_trade"]) == ("ASM 4", True)
    assert run_show(synced, "NIFTY FUT") == 0
    assert said(capsys)["fo_ban"] is True


def test_show_tells_odd_series_and_old_names(
    where: Where, assets: Assets, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = share("OLDNAME", 60, instrument_type="BZ", security_type="PCA")
    assets.body, assets.etag = packed([*small_file(), odd]), '"two"'
    run_sync(where, force=False, as_json=True)
    assets.body, assets.etag = packed([*small_file(), odd | {"trading_symbol": "NEWNAME"}]), '"three"'
    run_sync(where, force=False, as_json=True)
    capsys.readouterr()
    assert run_show(where, "oldname") == 0
    found = said(capsys)
    assert (found["symbol"], found["series_words"]) == ("NEWNAME", "trade for trade, not compliant")
    assert (found["trade_for_trade"], found["security_type"]) == (True, "PCA")
    assert [one["name"] for one in found["former_names"]] == ["OLDNAME"]


def test_chain_pairs_calls_and_puts(synced: Where, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_chain(synced, "nifty", None) == 0
    near = said(capsys)
    assert (near["expiry"], near["expiries"]) == (NEAR.isoformat(), [NEAR.isoformat(), FAR.isoformat()])
    (row,) = near["rows"]
    assert (row["strike"], row["ce"], row["pe"]) == (24_500.0, "NSE_FO|50001", "NSE_FO|50002")
    assert [one["key"] for one in near["futures"]] == ["NSE_FO|50005", "NSE_FO|50004"]
    assert run_chain(synced, "NSE_INDEX|Nifty 50", FAR) == 0
    (row,) = said(capsys)["rows"]
    assert (row["ce"], row["pe"]) == ("NSE_FO|50003", None)
    assert run_chain(synced, "NIFTY FUT 24 NOV 26", None) == 0
    assert said(capsys)["underlying"] == "NSE_INDEX|Nifty 50"
    with pytest.raises(UsageError, match="there are: 2026-11-24, 2026-12-29"):
        run_chain(synced, "NIFTY", TODAY)
    with pytest.raises(UnknownInstrument, match="no options on"):
        run_chain(synced, "RELINFRA", None)


def test_chains_without_a_spot_go_by_the_name(
    where: Where, assets: Assets, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        contract("USDINR", number, NEAR, kind, 85.0 if kind != "FUT" else 0.0, segment=segment,
                 instrument_key=f"{segment}|{number}", underlying_key=None, tick_size=0.25)
        for number, (segment, kind) in enumerate(
            [("BCD_FO", "CE"), ("NCD_FO", "CE"), ("NCD_FO", "PE"), ("NCD_FO", "FUT")], 1
        )
    ]  # fmt: skip
    assets.body = packed([*small_file(), *rows])
    run_sync(where, force=False, as_json=True)
    capsys.readouterr()
    assert run_chain(where, "usdinr", None) == 0
    (row,) = said(capsys)["rows"]
    assert (row["ce"], row["pe"], row["tick_size"]) == ("NCD_FO|2", "NCD_FO|3", 0.0025)
    assert run_show(where, "USDINR FUT") == 0
    assert said(capsys)["key"] == "NCD_FO|4"


def test_without_any_list_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no instrument list yet") as caught:
        run_search(Where(str(tmp_path)), "nifty", 5, "", None)
    assert "tradetui instruments sync" in str(caught.value)


def test_without_a_list_of_the_broker_the_simulators_is_shown_and_that_is_said(
    synced: Where, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_search(Where(synced.home, as_json=True, on=DAY), "nifty", 5, "", None) == 0
    out = capsys.readouterr()
    assert "this is the simulator's" in out.err
    assert json.loads(out.out)["rows"]


# ---- calendar ------------------------------------------------------------------------------------------------


def test_a_day_is_shown_phase_by_phase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = CalendarOptions(day=date(2026, 8, 3), segment="NSE_EQ", home=str(tmp_path))
    assert run_calendar(options) == 0
    text = capsys.readouterr().out
    assert "Monday 03 August 2026" in text
    assert "LIMIT_ONLY  15:25  15:30  15:28" in text
    assert run_calendar(replace(options, as_json=True)) == 0
    (auction, plain) = said(capsys)["rows"]
    assert (auction["minutes"], auction["auction"], plain["minutes"]) == (360, "15:15-15:35", 375)
    assert auction["phases"][0]["phase"] == "PRE_OPEN"
    assert "NSE CMTR74466" in auction["source"]


def test_a_range_is_one_line_a_day_and_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = CalendarOptions(
        first=date(2026, 11, 7), last=date(2026, 11, 10), segment="MCX_NONAGRI", home=str(tmp_path), as_json=True
    )  # fmt: skip
    assert run_calendar(options) == 0
    rows = said(capsys)["rows"]
    assert [(row["state"], row["hours"]) for row in rows] == [
        ("closed", ""), ("unknown", "hours not known"), ("open", "09:00-23:55"), ("open", "17:00-23:55"),
    ]  # fmt: skip
    assert rows[1]["kind"] == "muhurat"


def test_the_users_own_days_and_the_difference_they_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[calendar]\nclosed = ["2026-12-31 EQ FNO"]\n')
    (tmp_path / "calendar.toml").write_text(
        '[[special]]\ndate = 2026-12-30\ngroups = ["EQ"]\nhours = "closed"\n'
    )
    options = CalendarOptions(
        first=date(2026, 12, 28), last=date(2026, 12, 31), differences=True, home=str(tmp_path), as_json=True
    )  # fmt: skip
    assert run_calendar(options) == 0
    told = said(capsys)
    assert told["layers"] == ["shipped", "your own days"]
    assert [row["difference"][:15] for row in told["rows"]] == ["Wed 30 Dec 2026", "Thu 31 Dec 2026"]


def test_flags_of_the_calendar_that_make_no_sense(tmp_path: Path) -> None:
    day = date(2026, 11, 20)
    for options in (
        CalendarOptions(day=day, first=day, home=str(tmp_path)),
        CalendarOptions(first=day, last=date(2026, 11, 1), home=str(tmp_path)),
        CalendarOptions(first=day, last=date(2036, 11, 1), home=str(tmp_path)),
        CalendarOptions(day=day, segment="XX", home=str(tmp_path)),
        CalendarOptions(day=day, as_json=True, as_csv=True, home=str(tmp_path)),
    ):
        with pytest.raises(UsageError):
            run_calendar(options)
    (tmp_path / "calendar.toml").write_text('closed = ["never"]\n')
    with pytest.raises(ConfigError, match="'never' is no date"):
        run_calendar(CalendarOptions(day=day, home=str(tmp_path)))


@pytest.mark.parametrize(
    ("word", "segment"), [("fno", Segment.FNO), ("NSE_INDEX", Segment.INDEX_VOLATILITY), ("CDS", Segment.CDS)]
)
def test_segments_go_by_class_group_or_exchange(word: str, segment: Segment) -> None:
    assert segment in segments_of(word)
