"""Recordings on the disk: what they say of themselves, which belong to a day, what is kept."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.fixtures.upstox_frames import KEYS, frame, full_tick
from tradetui.config import Home
from tradetui.domain.calendar import ns
from tradetui.domain.errors import StorageError, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price, to_price
from tradetui.domain.records import freeze
from tradetui.domain.thawing import encode
from tradetui.simulator.worlds.inference import to_instrument, to_row
from tradetui.storage.recording import RecordingWriter, RecordKind
from tradetui.wiring.inbox import RecordedRun
from tradetui.wiring.recordings import (
    MarketFile,
    about,
    describe,
    every,
    folder_of,
    import_market,
    named,
    of_day,
    prune,
)
from tradetui.wiring.replay import KEPT, _own_folder, found

DAY = date(2025, 12, 15)
SHARE = Instrument(
    KEYS[0], "NSE_EQ", "NSE", "SHARE", "Share Ltd", InstrumentKind.EQUITY, "EQ", isin="INE000000001"
)
SECOND = 1_000_000_000


def run_file(data_dir: Path, clock: str, frames: int, account: str = "paper-x", day: date = DAY) -> Path:
    """A recording as a run leaves it: ``frames`` frames, one a second."""
    folder = folder_of(data_dir)
    folder.mkdir(exist_ok=True)
    first_ns = ns(day, clock)
    path = folder / f"{day}-{clock.replace(':', '')}-{account}.inbox.zst"
    writer = RecordingWriter(path)
    header = {"version": 1, "about": about("run", "PAPER", account), "instruments": [freeze(SHARE)]}
    writer.put(RecordKind.NOTE, first_ns, encode(header))
    for number in range(frames):
        raw = frame({SHARE.key: full_tick(100.0 + number, number + 1, number)}, 1)
        writer.put(RecordKind.FRAME, first_ns + number * SECOND, raw)
        if number % 20 == 0:
            writer.settle()
    writer.close()
    return path


def test_runs_of_one_account_make_up_a_day_and_others_are_left_out(tmp_path: Path) -> None:
    first, later = run_file(tmp_path, "09:15", 120), run_file(tmp_path, "11:00", 30)
    run_file(tmp_path, "11:00", 500, account="sim-y", day=DAY + timedelta(days=1))
    run_file(tmp_path, "09:20", 20, account="sim-y")
    assert [one.path for one in of_day(tmp_path, DAY)] == [first, later]
    assert len(list(every(tmp_path))) == 4
    assert of_day(tmp_path, DAY + timedelta(days=7)) == []
    # One that began while another of the same account ran is not played after it.
    run_file(tmp_path, "09:16", 10, account="paper-x")
    assert [one.path for one in of_day(tmp_path, DAY)] == [first, later]


def test_a_recording_tells_what_it_is_whole_or_cut(tmp_path: Path) -> None:
    path = run_file(tmp_path, "09:15", 60)
    one = describe(path)
    assert (one.kind, one.mode, one.account, one.day, one.whole) == ("run", "PAPER", "paper-x", DAY, True)
    assert one.instruments == (SHARE,)
    assert one.totals == describe(path, deep=True).totals
    assert one.versions["tradetui"]
    path.write_bytes(path.read_bytes()[:-300])
    cut = describe(path)
    assert not cut.whole
    assert cut.damage
    assert 0 < cut.totals.frames <= 60
    path.write_bytes(b"")
    with pytest.raises(StorageError):
        describe(path)
    assert list(every(tmp_path)) == []


def test_old_runs_are_removed_when_that_was_asked_for_and_imports_never(tmp_path: Path) -> None:
    old, new = run_file(tmp_path, "09:15", 5), run_file(tmp_path, "09:15", 5, day=DAY + timedelta(days=30))
    out = MarketFile(tmp_path, ns(DAY, "10:00"), "import", "somebody's", [SHARE])
    out.frame(ns(DAY, "10:00"), frame({SHARE.key: full_tick(1.0, 1, 1)}, 1))
    kept = out.close()
    today = DAY + timedelta(days=31)
    assert prune(tmp_path, 0, today) == []
    assert prune(tmp_path, 10, today) == [old]
    assert new.exists()
    assert kept.exists()


def test_an_import_that_fails_leaves_nothing_and_a_recording_is_not_imported_again(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"rx_ms": 1, "feeds": {}}\nnot json\n')
    with pytest.raises(UsageError):
        import_market(tmp_path, bad)
    assert not folder_of(tmp_path).exists() or not list(folder_of(tmp_path).iterdir())
    with pytest.raises(UsageError, match="already"):
        import_market(tmp_path, run_file(tmp_path, "09:15", 5))


def test_recordings_are_found_by_name_file_and_day(tmp_path: Path) -> None:
    path = run_file(tmp_path, "09:15", 5)
    assert named(tmp_path, str(path)) == path
    assert named(tmp_path, path.name) == path
    assert named(tmp_path, path.name.removesuffix(".inbox.zst")) == path
    assert named(tmp_path, "2025-12-15") is None
    place = Home(tmp_path, tmp_path)
    assert [one.path for one in found(place, "2025-12-15")] == [path]
    with pytest.raises(UsageError, match="nothing was recorded"):
        found(place, "2025-12-16")
    with pytest.raises(UsageError, match="no recording is called"):
        found(place, "yesterday")


def test_market_data_alone_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="market data only"):
        RecordedRun(run_file(tmp_path, "09:15", 5))


def test_the_newest_replays_are_kept(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    folders = [_own_folder(home, f"day {number}/x") for number in range(KEPT + 3)]
    left = sorted((tmp_path / "runs").iterdir())
    assert left == folders[3:]
    assert folders[-1].name == "000013-day-12-x"


@pytest.mark.parametrize(
    "instrument",
    [
        SHARE,
        Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX, "INDEX"),
        Instrument(
            "NSE_FO|51414", "NSE_FO", "NSE", "BANKNIFTY 59000 CE 30 DEC 25", "BANKNIFTY", InstrumentKind.CALL, "CE",
            lot_size=35, tick_size=Price(500), freeze_qty=600, expiry=date(2025, 12, 30), strike=Price(to_price(59_000)),
            underlying_key="NSE_INDEX|Nifty Bank", exchange_token="51414",
        ),
        Instrument(
            "MCX_FO|1", "MCX_FO", "MCX", "GOLD FUT", "GOLD", InstrumentKind.FUTURE, "FUT", lot_size=1,
            tick_size=Price(10_000), expiry=date(2026, 2, 5), multiplier=100, exchange_token="1",
        ),
    ],
    ids=lambda one: one.kind.value,
)  # fmt: skip
def test_terms_go_through_the_simulators_instrument_file_unchanged(instrument: Instrument) -> None:
    again = to_instrument(to_row(instrument))
    for name in ("key", "segment", "exchange", "symbol", "name", "kind", "series", "lot_size", "freeze_qty", "expiry",
                 "strike", "underlying_key", "isin", "multiplier", "cas_eligible"):  # fmt: skip
        assert getattr(again, name) == getattr(instrument, name), name
    if instrument.tradable:
        assert again.tick_size == instrument.tick_size
