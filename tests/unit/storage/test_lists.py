"""Dated lists: which file counts, what is in it, and that a bad one counts as missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.unit.exchange.support import CALL, SHARE, rs
from tradetui.domain.lists import DatedLists, settles_trade_by_trade
from tradetui.storage.lists import MAX_BYTES, read_lists

TODAY = date(2026, 11, 20)
STOCK_CALL = replace(CALL, symbol="RELIANCE 1300 CE 29 DEC 26", name="RELIANCE", underlying_key=SHARE.key)


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_no_folder_means_that_nobody_knows(tmp_path: Path) -> None:
    lists = read_lists(tmp_path / "lists", TODAY)
    assert lists == DatedLists()
    assert lists.banned(STOCK_CALL) is None
    assert lists.takes_intraday(SHARE) is None
    assert lists.watched(SHARE) is None
    assert lists.band(SHARE, rs(100)) is None


@pytest.mark.parametrize(
    "text",
    [
        "RELIANCE\n",
        "\ufeffSYMBOL\nreliance \n",
        "Securities in Ban For Trade Date 20-NOV-2026:\n1,RELIANCE\n2,SAIL\n",
        "# mine\nINE002A01018\n",
    ],
)
def test_a_ban_list_holds_for_its_own_day(tmp_path: Path, text: str) -> None:
    put(tmp_path, "fo_ban-2026-11-20.csv", text)
    lists = read_lists(tmp_path, TODAY)
    assert lists.banned(STOCK_CALL) is True
    assert lists.banned(CALL) is False
    assert read_lists(tmp_path, date(2026, 11, 21)).banned(STOCK_CALL) is None, "yesterday's says nothing"
    assert read_lists(tmp_path, date(2026, 11, 19)).banned(STOCK_CALL) is None, "nor does tomorrow's"


def test_an_empty_ban_list_is_known_to_be_empty(tmp_path: Path) -> None:
    put(tmp_path, "fo_ban-2026-11-20.txt", "NIL\n")
    assert read_lists(tmp_path, TODAY).banned(STOCK_CALL) is False


def test_the_newest_file_counts_for_a_week(tmp_path: Path) -> None:
    put(tmp_path, "intraday-2026-11-12.csv", "RELIANCE\n")
    assert read_lists(tmp_path, TODAY).takes_intraday(SHARE) is None, "eight days old"
    put(tmp_path, "intraday-2026-11-13.csv", "RELIANCE\n")
    put(tmp_path, "intraday-2026-11-18.csv", "OTHER\n")
    lists = read_lists(tmp_path, TODAY)
    assert lists.takes_intraday(SHARE) is False
    assert lists.files == {"intraday": "intraday-2026-11-18.csv"}


def test_surveillance_says_measure_and_stage(tmp_path: Path) -> None:
    put(tmp_path, "surveillance-2026-11-20.csv", "SYMBOL,MEASURE,STAGE\nRELIANCE,ASM,1\nSLOW,GSM,,T2T\n")
    lists = read_lists(tmp_path, TODAY)
    assert lists.watched(SHARE) == "ASM 1"
    assert lists.watched(replace(SHARE, symbol="SLOW", name="SLOW")) == "GSM T2T"
    assert lists.watched(replace(SHARE, symbol="FINE", name="FINE")) == ""


@pytest.mark.parametrize(
    ("said", "forced"),
    [("ASM 1", False), ("ASM 4", True), ("GSM 1", False), ("GSM 2", True), ("ESM 1", True), ("ASM 1 T2T", True), ("", False)],
)  # fmt: skip
def test_which_stages_settle_trade_by_trade(said: str, forced: bool) -> None:
    assert settles_trade_by_trade(said) is forced


def test_the_exchanges_own_band_file_fits(tmp_path: Path) -> None:
    text = "Symbol,Series,Security Name,Band,Remarks\nRELIANCE,EQ,Reliance,5,-\nBIG,EQ,Big,No Band,-\n"
    put(tmp_path, "price_bands-2026-11-20.csv", text)
    lists = read_lists(tmp_path, TODAY)
    assert lists.band(SHARE, rs(100.1)) == (rs(95.1), rs(105.1)), "cut to ticks inside the band"
    assert lists.band(SHARE, None) is None, "without a previous close nobody can tell"
    assert lists.band(replace(SHARE, symbol="BIG", name="BIG"), rs(100)) is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("price_bands-2026-11-20.csv", b"RELIANCE,abc\n"),
        ("price_bands-2026-11-20.csv", b"RELIANCE,-5\n"),
        ("surveillance-2026-11-20.csv", b"RELIANCE\n"),
        ("fo_ban-2026-11-20.csv", b"\xff\xfe\x00"),
        ("fo_ban-2026-11-20.csv", b"A" * (MAX_BYTES + 1)),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_and_counts_as_missing(
    tmp_path: Path, name: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_bytes(data)
    assert read_lists(tmp_path, TODAY) == DatedLists()
    assert name in caplog.text


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt", "RELIANCE\n")
    put(tmp_path, "fo_ban-2026-13-45.csv", "RELIANCE\n")
    assert read_lists(tmp_path, TODAY) == DatedLists()
