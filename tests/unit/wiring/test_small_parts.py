"""Wire notes, the first watchlist, settings into limits and strategies, recording files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.engine_rig import DAY, LIMITS, TEN_NS, Rig
from tests.unit.exchange.support import CALL, FUTURE, INDEX, SHARE, order
from tradetui.brokers.upstox.instruments import Master
from tradetui.config import Config, parse
from tradetui.domain.calendar import Calendar
from tradetui.domain.errors import ConfigError, DomainError, StorageError, UnknownInstrument
from tradetui.domain.events import FeedEvent, FeedState, TimeEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_money
from tradetui.domain.order import Product, Side
from tradetui.domain.records import RecordKind
from tradetui.feeds.recorder import InboxRecorder
from tradetui.journal import MemoryJournal
from tradetui.market.universe import Universe
from tradetui.runtime.pump import Pump
from tradetui.wiring.inbox import Beginning, InboxTap, RecordedRun, recording_path
from tradetui.wiring.restore import read_past
from tradetui.wiring.settings import charge_from, interval_seconds, limits_from, strategies_from
from tradetui.wiring.watchlist import WHOLE_LIST, choose, find
from tradetui.wiring.wire_notes import WireNotes

# --- wire notes ---------------------------------------------------------------------------------------


@pytest.fixture
def kept() -> list[dict[str, Any]]:
    return []


def test_order_writes_are_kept_with_their_answers(kept: list[dict[str, Any]]) -> None:
    note = WireNotes(kept.append)
    said: list[dict[str, Any]] = [
        {"n": 1, "dir": "request", "call": "POST /v3/order/place"},
        {"n": 1, "dir": "reply", "status": 200},
        {"dir": "push", "body": {}},
    ]
    for data in said:
        note(data)
    assert kept == said


def test_answered_reads_say_nothing_and_failed_ones_are_kept_whole(kept: list[dict[str, Any]]) -> None:
    note = WireNotes(kept.append)
    note({"n": 1, "dir": "request", "call": "GET /v2/order/retrieve-all"})
    note({"n": 1, "dir": "reply", "status": 200})
    assert kept == []
    note({"n": 2, "dir": "request", "call": "GET /v2/user/profile"})
    note({"n": 3, "dir": "request", "call": "GET /v2/order/retrieve-all"})
    note({"n": 2, "dir": "reply", "status": 401})
    note({"n": 3, "dir": "no answer", "why": "timed out"})
    assert [(row["n"], row["dir"]) for row in kept] == [
        (2, "request"), (2, "reply"), (3, "request"), (3, "no answer"),
    ]  # fmt: skip


def test_reads_that_never_end_are_let_go(kept: list[dict[str, Any]]) -> None:
    note = WireNotes(kept.append)
    for number in range(5_000):
        note({"n": number, "dir": "request", "call": "GET /v2/user/profile"})
    note({"n": 0, "dir": "no answer"})
    note({"n": 4_999, "dir": "no answer"})
    assert [row["n"] for row in kept] == [0, 4_999, 4_999], "the newest still have their request"


# --- watchlist ----------------------------------------------------------------------------------------


def share(isin: str, symbol: str) -> Instrument:
    return replace(SHARE, key=f"NSE_EQ|{isin}", symbol=symbol, name=symbol, isin=isin)


def future(token: int, symbol: str, expiry: date) -> Instrument:
    return replace(FUTURE, key=f"NSE_FO|{token}", symbol=symbol, expiry=expiry)


NEAR = future(1, "NIFTY FUT 24 NOV 26", date(2026, 11, 24))
FAR = future(2, "NIFTY FUT 29 DEC 26", date(2026, 12, 29))
RELIANCE = share("INE002A01018", "RELIANCE")


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    rows = [
        INDEX,
        RELIANCE,
        share("INE009A01021", "INFY"),
        NEAR,
        FAR,
        replace(CALL, key="NSE_FO|3"),
        future(4, "NIFTY FUT OLD", date(2026, 9, 29)),
    ]
    made = Master.build(rows, DAY, tmp_path / "master.sqlite")
    yield made
    made.close()


def test_a_small_list_is_streamed_whole_indices_first_and_the_expired_left_out(master: Master) -> None:
    symbols = [one.symbol for one in choose(master, (), DAY)]
    assert symbols[0] == "NIFTY"
    assert set(symbols[1:3]) == {"NIFTY FUT 24 NOV 26", "NIFTY FUT 29 DEC 26"}
    assert set(symbols[3:5]) == {"INFY", "RELIANCE"}
    assert "NIFTY FUT OLD" not in symbols


def test_the_users_own_list_replaces_ours_and_what_is_held_comes_too(master: Master) -> None:
    chosen = choose(master, ("INFY", "NSE_EQ|INE002A01018", "INFY"), DAY, ["NSE_FO|3", "NSE_FO|999"])
    assert [one.symbol for one in chosen] == ["INFY", "RELIANCE", CALL.symbol]


def test_a_large_list_gives_indices_near_futures_and_well_known_shares(tmp_path: Path) -> None:
    rows = [INDEX, RELIANCE, NEAR, FAR]
    rows += [share(f"INE{n:09d}", f"SMALL{n}") for n in range(WHOLE_LIST)]
    master = Master.build(rows, DAY, tmp_path / "large.sqlite")
    try:
        assert [one.symbol for one in choose(master, (), DAY)] == ["NIFTY", "NIFTY FUT 24 NOV 26", "RELIANCE"]
    finally:
        master.close()


def test_an_unknown_symbol_names_the_nearest(master: Master) -> None:
    with pytest.raises(UnknownInstrument, match="NOSUCH"):
        find(master, "NOSUCH")
    with pytest.raises(UnknownInstrument) as caught:
        find(master, "RELIANC")
    assert "RELIANCE" in str(caught.value)


# --- settings -----------------------------------------------------------------------------------------


def test_every_risk_setting_reaches_its_limit() -> None:
    text = """
    [account]
    capital = 100_000
    live_capital = 20_000
    [risk]
    risk_per_trade = 2
    daily_loss = 5
    max_positions = 7
    max_intraday_positions = 6
    max_order_value = 30_000
    max_leverage = 3
    min_score = 70
    min_reward_risk = 2
    window_start = "10:00"
    window_end = "14:30"
    cooldown = 60
    duplicate = 9
    stale_warn = 11
    stale_block = 99
    max_ltp_distance = 4
    max_trades = 12
    market_protection = 2
    """
    limits = limits_from(parse(text), live=False)
    assert limits.capital == to_money(100_000)
    assert limits_from(parse(text), live=True).capital == to_money(20_000)
    assert replace(limits, capital=to_money(0)) == replace(
        LIMITS, capital=to_money(0), risk_per_trade_pct=2, daily_loss_pct=5, max_positions=7,
        max_intraday_positions=6, max_order_value=to_money(30_000), max_leverage=3, min_score=70,
        min_reward_risk=2, window_start_s=36_000, window_end_s=52_200, cooldown_s=60, duplicate_s=9,
        stale_warn_s=11, stale_block_s=99, max_ltp_distance_pct=4, max_trades_per_day=12,
        market_protection_pct=2,
    )  # fmt: skip
    assert set(limits.__dataclass_fields__) == set(LIMITS.__dataclass_fields__)


def test_strategies_are_those_switched_on_with_their_settings() -> None:
    vote, opening = strategies_from(Config())
    assert (vote.name, opening.name) == ("vote", "opening_range")
    assert vote.intervals[0] == 300
    only = strategies_from(
        parse('[strategies.vote]\nintervals = ["1m", "1h"]\n[strategies.opening_range]\nenabled = false')
    )
    assert [one.name for one in only] == ["vote"]
    assert 60 in only[0].indicators()
    assert (
        strategies_from(
            parse("[strategies.vote]\nenabled = false\n[strategies.opening_range]\nenabled = false")
        )
        == []
    )
    with pytest.raises((ConfigError, DomainError)):
        interval_seconds("2m")


def test_charges_are_estimated_and_unknown_rates_are_nothing() -> None:
    charge = charge_from(Config())
    assert charge(SHARE, Product.INTRADAY, Side.SELL, 10, order(price=100.0).price, TEN_NS) > 0
    odd = replace(SHARE, exchange="XYZ", segment="XYZ_EQ")
    assert charge(odd, Product.INTRADAY, Side.SELL, 10, order(price=100.0).price, TEN_NS) == 0


# --- recording ----------------------------------------------------------------------------------------


def beginning(**more: Any) -> Beginning:
    base = Beginning(TEN_NS, False, "tt-", LIMITS, Config(), (SHARE,))
    return replace(base, **more)


def test_recordings_have_names_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    first = recording_path(folder, TEN_NS)
    assert first.name == "2026-11-20-1000.inbox.zst"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    first.touch()
    assert recording_path(folder, TEN_NS).name == "2026-11-20-1000-2.inbox.zst"
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        recording_path(tmp_path / "file" / "below", TEN_NS)


def test_slots_terms_and_the_day_so_far_come_back(tmp_path: Path) -> None:
    rig = Rig()
    rig.hold(10)
    past = read_past(rig.records, DAY, "tt-")
    universe = Universe()
    began = beginning(looked_at=(SHARE.key,)).with_past(past)
    engine = began.engine(Calendar.default(), universe)
    tap = InboxTap(tmp_path / "run.inbox.zst", began, universe)
    journal = MemoryJournal()
    pump = Pump(engine, None, journal, tap)
    pump.take(FeedEvent(TEN_NS, FeedState.UP))
    universe.add(CALL)
    pump.take(TimeEvent(TEN_NS + 1))
    tap.recorder.close()
    run = RecordedRun(tap.path)
    assert run.beginning == began
    assert run.engine.desk.manager.orders == engine.desk.manager.orders
    assert run.universe.instruments == [SHARE]
    assert list(run.events()) == [FeedEvent(TEN_NS, FeedState.UP), TimeEvent(TEN_NS + 1)]
    assert run.universe.instruments == [SHARE, CALL]
    assert run.reader.clean
    assert RecordKind.FEED in {record.kind for record in journal.kept}


@pytest.mark.parametrize("notes", [[], [b'{"version":99,"beginning":{}}']])
def test_a_recording_that_does_not_say_how_it_began_is_refused(tmp_path: Path, notes: list[bytes]) -> None:
    path = tmp_path / "odd.inbox.zst"
    recorder = InboxRecorder(path, lambda event: b"")
    for note in notes:
        recorder.note(1, note)
    recorder.record(TimeEvent(1))
    recorder.close()
    with pytest.raises(StorageError):
        RecordedRun(path)
