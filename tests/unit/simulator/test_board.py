from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, RequestMode
from tradetui.simulator.board import Board
from tradetui.simulator.merging import merge
from tradetui.simulator.worlds.base import WorldUpdate

DAY = date(2026, 11, 20)
KEY = "NSE_EQ|INE000A01011"
MS = 1_000_000


class Still:
    """A world in which nothing happens, with what it knows given by the test."""

    instruments: Sequence[Instrument] = ()
    start_ns = 0
    end_ns = None
    waits_for_subscriber = False

    def __init__(self, snapshot: Feed | None = None, known: Sequence[Candle] = ()) -> None:
        self._snapshot = snapshot
        self._known = known

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        return []

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        return iter(())

    def skip(self, to_ns: int) -> None:
        return None

    def next_ns(self) -> int | None:
        return None

    def snapshot(self, key: str) -> Feed | None:
        return self._snapshot

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        return ()

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        return self._known

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        return None


def at(wall: str, second: int = 0) -> int:
    """Epoch ms of a wall time of the day."""
    return ns(DAY, wall) // MS + second * 1000


def tick(ltp: float, ltt: int, vtt: int, oi: float = 0.0, i1: tuple[int, float] | None = None) -> Feed:
    feed = Feed(requestMode=RequestMode.full_d5)
    market = feed.fullFeed.marketFF
    market.ltpc.ltp, market.ltpc.ltt, market.vtt, market.oi = ltp, ltt, vtt, oi
    if i1 is not None:
        start, close = i1
        market.marketOHLC.ohlc.add(interval="I1", open=1.0, high=9.0, low=0.5, close=close, vol=77, ts=start)
    return feed


def board_after(*feeds: Feed, world: Still | None = None) -> Board:
    board = Board(world or Still())
    for number, feed in enumerate(feeds):
        board.apply(WorldUpdate(number, {KEY: feed}))
    return board


def bars(board: Board, day: date = DAY) -> list[tuple[int, float, float, float, float, int]]:
    return [(b.start_ms, b.open, b.high, b.low, b.close, b.volume) for b in board.minutes(KEY, day)]


@pytest.mark.parametrize("name", ["ltpc", "marketLevel", "optionGreeks", "marketOHLC"])
def test_a_missing_part_is_kept_and_a_sent_part_replaces(name: str) -> None:
    full = Feed(requestMode=RequestMode.full_d5)
    market = full.fullFeed.marketFF
    market.ltpc.ltp = 100.0
    market.marketLevel.bidAskQuote.add(bidP=99.0)
    market.marketLevel.bidAskQuote.add(bidP=98.0)
    market.optionGreeks.delta = 0.5
    market.marketOHLC.ohlc.add(interval="1d")
    market.vtt, market.iv = 500, 0.2
    state = Feed()
    merge(state, full)
    assert state == full
    merge(state, Feed(requestMode=RequestMode.full_d5, fullFeed={"marketFF": {"vtt": 501}}))
    assert state.fullFeed.marketFF.vtt == 501
    assert state.fullFeed.marketFF.iv == 0.2
    empty = Feed(requestMode=RequestMode.full_d5)
    getattr(empty.fullFeed.marketFF, name).SetInParent()
    merge(state, empty)
    for part in ("ltpc", "marketLevel", "optionGreeks", "marketOHLC"):
        kept = getattr(state.fullFeed.marketFF, part).ByteSize() > 0
        assert kept == (part != name)


def test_minutes_are_built_from_trades_only() -> None:
    board = board_after(
        tick(100.0, at("10:00", 1), 50),
        tick(103.0, at("10:00", 1), 50),  # neither time nor volume moved: no trade
        tick(101.0, at("10:00", 30), 60),
        tick(99.5, at("10:00", 59), 75),
        tick(102.0, at("10:01", 2), 80),
    )
    assert bars(board) == [
        (at("10:00"), 100.0, 101.0, 99.5, 99.5, 25),
        (at("10:01"), 102.0, 102.0, 102.0, 102.0, 5),
    ]


def test_the_reported_minute_wins_even_when_it_comes_first_or_changes() -> None:
    board = board_after(
        tick(100.0, at("10:00", 30), 60),
        tick(102.0, at("10:01", 2), 80, i1=(at("10:00"), 3.0)),
        tick(104.0, at("10:00", 59), 90),  # late
        tick(103.0, at("10:01", 3), 95, i1=(at("10:00"), 4.0)),
    )
    first, second = board.minutes(KEY, DAY)
    assert (first.open, first.close, first.volume, first.source) == (1.0, 4.0, 77, BarSource.BROKER)
    assert second.source is BarSource.TICKS


def test_a_new_day_starts_empty() -> None:
    board = board_after(tick(100.0, at("15:00"), 60), tick(100.0, at("15:00") + 86_400_000, 5))
    assert not bars(board)
    assert [b[0] for b in bars(board, date(2026, 11, 21))] == [at("15:00") + 86_400_000]


def test_what_the_world_knows_fills_the_gaps_of_a_jump() -> None:
    known = [
        Candle(-1, 60, at(wall), 5.0, 6.0, 4.0, 5.5, 10, 0.0, BarSource.BROKER) for wall in ("09:15", "09:16")
    ]
    board = board_after(
        tick(100.0, at("09:16", 50), 60), tick(101.0, at("09:17", 1), 61), world=Still(known=known)
    )
    assert [b[0] for b in bars(board)] == [at("09:15"), at("09:16"), at("09:17")]
    assert bars(board)[1][4] == 5.5  # half seen, so the world's own
    assert bars(board)[2][4] == 101.0


def test_open_interest_has_its_range() -> None:
    board = board_after(
        *(tick(1.0, at("10:00", n), 50 + n, oi) for n, oi in enumerate((500.0, 650.0, 0.0, 400.0)))
    )
    assert board.oi_range(KEY) == (650.0, 400.0)
    assert board.oi_range("NSE_EQ|OTHER") == (0.0, 0.0)


def test_the_snapshot_stands_until_something_happens_and_after_a_skip() -> None:
    world = Still(tick(100.0, at("10:00"), 50))
    board = Board(world)
    state = board.feed(KEY)
    assert state is not None
    assert state is not world.snapshot(KEY)  # a copy: updates must not write into the world
    board.apply(WorldUpdate(1, {KEY: tick(101.0, at("10:00", 5), 60)}))
    assert state.fullFeed.marketFF.ltpc.ltp == 101.0
    board.reload()
    fresh = board.feed(KEY)
    assert fresh is not None
    assert fresh.fullFeed.marketFF.ltpc.ltp == 100.0
    assert Board(Still()).feed(KEY) is None
