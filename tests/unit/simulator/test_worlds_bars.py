from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import InstrumentKind
from tradetui.simulator.board import Board
from tradetui.simulator.worlds.bars import BarsWorld
from tradetui.simulator.worlds.bench import BenchWorld

FOREVER = 1 << 62
IST = timezone(timedelta(hours=5, minutes=30))
SHARE = "NSE_EQ|EXMPL"
INDEX = "NSE_INDEX|Nifty 50"
MS = 1_000_000


def bar_file(tmp_path: Path, *, first: str = "09:15", minutes: int = 20, gap: int | None = None) -> Path:
    """Two days of a share and an index, named by start or by end."""
    rows = []
    for day in (date(2026, 3, 5), date(2026, 3, 6)):
        begin = datetime.fromisoformat(f"{day}T{first}").replace(tzinfo=IST)
        for minute in range(minutes):
            if minute == gap and day.day == 6:
                continue
            base = 100.0 + minute % 7 + day.day
            rows.append(
                (
                    "EXMPL",
                    begin + timedelta(minutes=minute),
                    base,
                    base + 0.8,
                    base - 0.55,
                    base + 0.25,
                    900 + minute,
                )
            )
            rows.append(
                (
                    "NIFTY",
                    begin + timedelta(minutes=minute),
                    25_000.0 + base,
                    25_001.0 + base,
                    24_990.05 + base,
                    24_995.0 + base,
                    0,
                )
            )
    frame = pl.DataFrame(
        rows, schema=["symbol", "ts", "open", "high", "low", "close", "volume"], orient="row"
    )
    path = tmp_path / "bars.parquet"
    frame.with_columns(pl.col("ts").dt.cast_time_unit("us")).write_parquet(path)
    return path


def played(world: BarsWorld) -> tuple[Board, dict[int, list[float]]]:
    """The board after the whole day, and the share's minutes as its trades show them."""
    board = Board(world)
    bars: dict[int, list[float]] = {}
    vtt = 0
    for update in world.advance(FOREVER):
        board.apply(update)
        if SHARE not in update.feeds:
            continue
        market = update.feeds[SHARE].fullFeed.marketFF
        if market.vtt > vtt:
            price = market.ltpc.ltp
            bar = bars.setdefault(market.ltpc.ltt // 60_000 * 60_000, [price, price, price, price, 0])
            bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
            bar[4] += market.vtt - vtt
            vtt = market.vtt
    return board, bars


def test_the_ticks_add_up_to_the_bars(tmp_path: Path) -> None:
    world = BarsWorld(bar_file(tmp_path, gap=4))
    assert world.start_ns == ns(date(2026, 3, 6), "09:15")
    board, bars = played(world)
    source = pl.read_parquet(tmp_path / "bars.parquet").filter(
        (pl.col("symbol") == "EXMPL") & (pl.col("ts").dt.date() == date(2026, 3, 6))
    )
    expected = {int(ts.timestamp() * 1000): values for _, ts, *values in source.iter_rows()}
    assert bars == expected
    assert len(bars) == 19
    assert {
        b.start_ms: [b.open, b.high, b.low, b.close, b.volume] for b in board.minutes(SHARE, date(2026, 3, 6))
    } == expected
    state = board.feed(SHARE)
    assert state is not None
    day = state.fullFeed.marketFF.marketOHLC.ohlc[0]
    assert (day.high, day.low, day.vol) == (
        max(v[1] for v in expected.values()), min(v[2] for v in expected.values()), sum(v[4] for v in expected.values()),
    )  # fmt: skip
    assert (
        state.fullFeed.marketFF.ltpc.cp
        == [b.close for b in world.history(SHARE, 60, date(2026, 3, 5), date(2026, 3, 5))][-1]
    )
    assert world.next_ns() is None


def test_the_path_goes_by_way_of_the_nearer_extreme_first(tmp_path: Path) -> None:
    """A rising minute sees its low before its high."""
    world = BarsWorld(bar_file(tmp_path))
    feeds = [u.feeds[SHARE] for u in world.advance(ns(date(2026, 3, 6), "09:16") - 1) if SHARE in u.feeds]
    markets = [feed.fullFeed.marketFF for feed in feeds]
    prices = [market.ltpc.ltp for market in markets if market.vtt and market.HasField("ltpc")]
    assert prices.index(min(prices)) < prices.index(max(prices))


@pytest.mark.parametrize(
    ("first", "label"), [("09:16", "auto"), ("09:16", "end"), ("09:15", "start"), ("09:15", "auto")]
)
def test_bars_named_by_either_end_mean_the_same_minutes(tmp_path: Path, first: str, label: str) -> None:
    world = BarsWorld(bar_file(tmp_path, first=first), label=label)
    assert world.start_ns == ns(date(2026, 3, 6), "09:15")
    assert world.end_ns == ns(date(2026, 3, 6), "09:35") + 1_000_000_000


def test_an_index_has_neither_book_nor_volume(tmp_path: Path) -> None:
    world = BarsWorld(bar_file(tmp_path))
    board, _ = played(world)
    index, share = (next(i for i in world.instruments if i.key == key) for key in (INDEX, SHARE))
    assert index.kind is InstrumentKind.INDEX
    assert (share.kind, share.tick_size) == (InstrumentKind.EQUITY, 500)
    state = board.feed(INDEX)
    assert state is not None
    assert state.fullFeed.HasField("indexFF")


def test_days_before_are_history(tmp_path: Path) -> None:
    world = BarsWorld(bar_file(tmp_path))
    first, last = date(2026, 3, 1), date(2026, 3, 31)
    minutes = world.history(SHARE, 60, first, last)
    assert len(minutes) == 20
    (day,) = world.history(SHARE, 86_400, first, last)
    assert (day.open, day.close) == (minutes[0].open, minutes[-1].close)
    assert day.volume == sum(bar.volume for bar in minutes)
    assert [bar.start_ms for bar in world.history(SHARE, 900, first, last)] == [
        ns(date(2026, 3, 5), wall) // MS for wall in ("09:15", "09:30")
    ]


def test_skip_leads_where_playing_leads(tmp_path: Path) -> None:
    path = bar_file(tmp_path)
    world, twin = BarsWorld(path), BarsWorld(path)
    board = Board(world)
    stop = ns(date(2026, 3, 6), "09:22")
    for update in world.advance(stop):
        board.apply(update)
    twin.skip(stop)
    assert twin.next_ns() == world.next_ns()
    known, seen = twin.snapshot(SHARE), board.feed(SHARE)
    assert known is not None
    assert seen is not None
    assert known.fullFeed.marketFF.ltpc == seen.fullFeed.marketFF.ltpc
    assert known.fullFeed.marketFF.vtt == seen.fullFeed.marketFF.vtt
    assert len(twin.minutes(SHARE, date(2026, 3, 6))) == 7


def test_real_bars_come_out_as_they_went_in(shared_data: Path) -> None:
    path = shared_data / "bars/nse_1m_2025-12_2026-04.parquet"
    day = date(2026, 2, 2)
    world = BarsWorld(path, day=day, symbols=["RELIANCE"])
    key = "NSE_EQ|INE002A01018"
    assert [i.key for i in world.instruments] == [key]
    board = Board(world)
    for update in world.advance(FOREVER):
        board.apply(update)
    rows = pl.read_parquet(path).filter((pl.col("symbol") == "RELIANCE") & (pl.col("ts").dt.date() == day))
    bars = board.minutes(key, day)
    assert len(bars) == rows.height == 375
    for bar, (_, ts, *values) in zip(bars, rows.iter_rows(), strict=True):
        assert (bar.start_ms, [bar.open, bar.high, bar.low, bar.close, bar.volume]) == (
            ts.timestamp() * 1000,
            values,
        )


def test_files_that_are_no_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a file of bars"):
        BarsWorld(tmp_path / "none.parquet")
    pl.DataFrame({"symbol": ["A"], "open": [1.0]}).write_parquet(tmp_path / "odd.parquet")
    with pytest.raises(UsageError, match="has no column"):
        BarsWorld(tmp_path / "odd.parquet")
    path = bar_file(tmp_path)
    with pytest.raises(UsageError, match="no bars of 2026-03-08"):
        BarsWorld(path, day=date(2026, 3, 8))
    with pytest.raises(UsageError, match="no bars of the asked symbols"):
        BarsWorld(path, symbols=["NOBODY"])
    with pytest.raises(UsageError, match="not a way to name bars"):
        BarsWorld(path, label="middle")


def test_five_minute_bars_are_refused(shared_data: Path) -> None:
    with pytest.raises(UsageError, match="one-minute"):
        BarsWorld(shared_data / "bars/nse_5m_2025-12_2026-06.parquet")


def test_the_measuring_world_keeps_its_rate() -> None:
    start = ns(date(2026, 11, 20), "10:00")
    world = BenchWorld(start, count=500, rate=10_000, feeds_per_frame=50)
    updates = list(world.advance(start + 999_999_999))
    assert sum(len(u.feeds) for u in updates) == 10_000
    assert [b.t_ns - a.t_ns for a, b in pairwise(updates)] == [5_000_000] * 199
    counts: dict[str, int] = {}
    for update in updates:
        for key in update.feeds:
            counts[key] = counts.get(key, 0) + 1
    assert set(counts.values()) == {20}
    assert len(counts) == len(world.instruments) == 500


def test_the_measuring_world_is_a_lawful_market() -> None:
    world = BenchWorld(ns(date(2026, 11, 20), "10:00"), count=100, rate=1_000, feeds_per_frame=10)
    vtt: dict[str, int] = {}
    for update in world.advance(world.start_ns + 2_000_000_000):
        for key, feed in update.feeds.items():
            market = feed.fullFeed.marketFF
            assert market.vtt > vtt.get(key, 0)
            vtt[key] = market.vtt
            best, day = market.marketLevel.bidAskQuote[0], market.marketOHLC.ohlc[0]
            assert best.bidP < best.askP
            assert day.low <= market.ltpc.ltp <= day.high
            assert market.ltpc.ltt == update.t_ns // MS
    due = world.next_ns()
    assert due is not None
    world.skip(due + 1_000_000_000)
    assert (world.next_ns() or 0) > due + 1_000_000_000
    with pytest.raises(UsageError, match="not a measurable world"):
        BenchWorld(0, count=0)
