from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed
from tradetui.simulator.board import Board
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.companies import NIFTY
from tradetui.simulator.worlds.synthetic import SyntheticWorld

DAY = date(2026, 11, 20)  # a Friday with a closing auction; the next monthly expiry is Monday the 23rd
OPEN = ns(DAY, "09:15")
RELIANCE = "NSE_EQ|INE002A01018"
HDFCBANK = "NSE_EQ|INE040A01034"
MS = 1_000_000


def world(seed: int = 7, start: int = OPEN, variant: str = "full") -> SyntheticWorld:
    return SyntheticWorld(seed, start, variant=variant)


def run(w: SyntheticWorld, wall: str, day: date = DAY) -> list[WorldUpdate]:
    return list(w.advance(ns(day, wall)))


def text(updates: list[WorldUpdate]) -> list[tuple[int, list[tuple[str, bytes]]]]:
    return [
        (u.t_ns, [(k, f.SerializeToString(deterministic=True)) for k, f in u.feeds.items()]) for u in updates
    ]


def by_symbol(w: SyntheticWorld) -> dict[str, Instrument]:
    return {i.symbol: i for i in w.instruments if i.exchange == "NSE"}


@pytest.fixture(scope="module")
def played() -> tuple[SyntheticWorld, list[WorldUpdate]]:
    """The first six minutes of a session."""
    w = world()
    return w, run(w, "09:21")


def markets(updates: list[WorldUpdate], key: str) -> list[MarketFullFeed]:
    return [u.feeds[key].fullFeed.marketFF for u in updates if key in u.feeds]


def test_same_seed_same_market_other_seed_another(played: tuple[SyntheticWorld, list[WorldUpdate]]) -> None:
    _, updates = played
    assert text(run(world(), "09:21")) == text(updates)
    assert text(run(world(seed=8), "09:16")) != text([u for u in updates if u.t_ns <= ns(DAY, "09:16")])


def test_updates_come_in_order_and_next_ns_names_each() -> None:
    w = world()
    times = []
    for _ in range(500):
        due = w.next_ns()
        assert due is not None
        (update,) = w.advance(due)
        assert update.t_ns == due
        times.append(due)
    assert times == sorted(set(times))
    assert times[0] >= OPEN
    assert not list(w.advance(times[-1]))


def test_the_pace_is_that_of_a_market(played: tuple[SyntheticWorld, list[WorldUpdate]]) -> None:
    w, updates = played
    per_s: defaultdict[str, float] = defaultdict(float)
    for update in updates:
        for key in update.feeds:
            per_s[key] += 1 / 360
    assert per_s[RELIANCE] > 2
    assert 0.7 < per_s[NIFTY] < 1.5
    options = [per_s[i.key] for i in w.instruments if i.is_option]
    assert 0.1 < min(options) < 1 < max(options)
    assert max(len(u.feeds) for u in updates) < 60


def test_books_are_never_crossed_and_everything_is_on_the_tick(
    played: tuple[SyntheticWorld, list[WorldUpdate]],
) -> None:
    w, updates = played
    instruments = {i.key: i for i in w.instruments}
    books = 0
    for update in updates:
        for key, feed in update.feeds.items():
            if feed.fullFeed.HasField("indexFF"):
                continue
            instrument, market = instruments[key], feed.fullFeed.marketFF
            prices = [market.ltpc.ltp] if market.HasField("ltpc") else []
            levels = market.marketLevel.bidAskQuote
            if levels:
                books += 1
                assert len(levels) == 5
                bids, asks = [q.bidP for q in levels if q.bidQ], [q.askP for q in levels]
                assert not bids or bids[0] < asks[0]
                assert all(a > b for a, b in pairwise(bids))
                assert all(a < b for a, b in pairwise(asks))
                assert all(
                    q.bidQ % instrument.lot_size == 0 and q.askQ % instrument.lot_size == 0 for q in levels
                )
                assert all((q.bidQ > 0) == (q.bidP > 0) for q in levels)
                prices += bids + asks
            for price in prices:
                assert price > 0
                assert (
                    abs(price * 10_000 / instrument.tick_size - round(price * 10_000 / instrument.tick_size))
                    < 1e-6
                )
            assert market.ltpc.ltq % instrument.lot_size == 0
            assert market.vtt % instrument.lot_size == 0
    assert books > 10_000


def test_spreads_are_realistic(played: tuple[SyntheticWorld, list[WorldUpdate]]) -> None:
    w, updates = played
    liquid = [
        (q.askP - q.bidP) / q.bidP for m in markets(updates, RELIANCE) for q in m.marketLevel.bidAskQuote[:1]
    ]
    assert np.mean(liquid) < 0.0005
    future = next(i for i in w.instruments if i.kind is InstrumentKind.FUTURE and i.underlying_key == NIFTY)
    wide = [
        (m.marketLevel.bidAskQuote[0].askP - m.marketLevel.bidAskQuote[0].bidP)
        for m in markets(updates, future.key)
        if m.HasField("marketLevel")
    ]
    assert 0.1 < np.mean(wide) < 12


def test_volume_is_the_sum_of_trades_and_live_ticks_are_partial(
    played: tuple[SyntheticWorld, list[WorldUpdate]],
) -> None:
    _, updates = played
    vtt, trades, kinds = 0, 0, set()
    for market in markets(updates, RELIANCE):
        kinds.add((market.HasField("ltpc"), market.HasField("marketLevel"), market.HasField("marketOHLC")))
        assert market.vtt >= vtt
        if market.vtt > vtt:
            assert market.ltpc.ltq == market.vtt - vtt
            trades += 1
        vtt = market.vtt
    assert trades > 200
    assert {(True, True, True), (True, False, True), (False, True, False), (True, True, False)} <= kinds


def test_the_day_bar_follows_the_trades(played: tuple[SyntheticWorld, list[WorldUpdate]]) -> None:
    _, updates = played
    prices: list[float] = []
    vtt = 0
    for market in markets(updates, RELIANCE):
        if market.vtt > vtt:
            prices.append(market.ltpc.ltp)
        vtt = market.vtt
        if market.HasField("marketOHLC"):
            day = market.marketOHLC.ohlc[0]
            assert (day.interval, day.open, day.close) == ("1d", prices[0], prices[-1])
            assert (day.high, day.low, day.vol) == (max(prices), min(prices), market.vtt)


def candles_from(updates: list[WorldUpdate], key: str) -> dict[int, list[float]]:
    """Minute bars from trades alone."""
    bars: dict[int, list[float]] = {}
    vtt = 0
    for update in updates:
        if key not in update.feeds:
            continue
        market = update.feeds[key].fullFeed.marketFF
        if market.vtt > vtt:
            price, minute = market.ltpc.ltp, market.ltpc.ltt // 60_000 * 60_000
            bar = bars.setdefault(minute, [price, price, price, price, 0])
            bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
            bar[4] += market.vtt - vtt
        vtt = max(vtt, market.vtt)
    return bars


def as_lists(bars: list[Candle]) -> dict[int, list[float]]:
    return {b.start_ms: [b.open, b.high, b.low, b.close, b.volume] for b in bars}


def test_ticks_reported_minutes_and_history_are_one_market() -> None:
    """What the feed shows minute by minute is what the same date's history says the day after."""
    w = world()
    updates = run(w, "09:24")
    tomorrow = SyntheticWorld(7, ns(date(2026, 11, 23), "09:15"))
    span = range(OPEN // MS, ns(DAY, "09:23") // MS, 60_000)
    symbols = by_symbol(w)
    keys = [RELIANCE, "NSE_EQ|INE977Y01011", symbols["NIFTY FUT 23 NOV 26"].key]
    keys += [i.key for i in w.instruments if i.is_option][::7]
    checked = 0
    for key in keys:
        from_ticks = candles_from(updates, key)
        history = as_lists(list(tomorrow.history(key, 60, DAY, DAY)))
        reported = {
            bar.ts: [bar.open, bar.high, bar.low, bar.close, bar.vol]
            for market in markets(updates, key)
            for bar in market.marketOHLC.ohlc
            if bar.interval == "I1"
        }
        for minute in span:
            assert from_ticks.get(minute) == history.get(minute), (key, minute)
            if minute in reported:
                assert reported[minute] == history[minute]
                checked += 1
        assert as_lists(list(w.minutes(key, DAY)))[OPEN // MS] == history[OPEN // MS]
    assert checked > 40


def test_put_call_parity_holds_within_the_spread() -> None:
    w = world()
    board = Board(w)
    for update in w.advance(ns(DAY, "09:18")):
        board.apply(update)
    symbols = by_symbol(w)

    def quote(key: str) -> tuple[float, float]:
        best = feed_of(board, key).fullFeed.marketFF.marketLevel.bidAskQuote[0]
        return best.bidP, best.askP

    future = sum(quote(symbols["NIFTY FUT 23 NOV 26"].key)) / 2
    pairs = 0
    for symbol, call in symbols.items():
        if " CE 23 NOV 26" not in symbol:
            continue
        put = symbols[symbol.replace(" CE ", " PE ")]
        assert call.strike is not None
        (call_bid, call_ask), (put_bid, put_ask) = quote(call.key), quote(put.key)
        gap = (call_bid + call_ask) / 2 - (put_bid + put_ask) / 2 - (future - call.strike / 10_000)
        # Books were last refreshed within a second or two of each other; the index moves meanwhile.
        assert abs(gap) < (call_ask - call_bid) + (put_ask - put_bid) + 6.0
        pairs += 1
    assert pairs >= 17


def feed_of(board: Board, key: str) -> Feed:
    feed = board.feed(key)
    assert feed is not None
    return feed


def test_options_carry_greeks_iv_and_open_interest() -> None:
    w = world()
    board = Board(w)
    for update in run(w, "09:18"):
        board.apply(update)
    options = [i for i in w.instruments if i.is_option]
    assert len(options) >= 36
    for option in options:
        market = feed_of(board, option.key).fullFeed.marketFF
        greeks = market.optionGreeks
        assert 0.05 < market.iv < 0.4
        assert market.oi > 0
        assert market.oi % option.lot_size == 0
        assert greeks.theta < 0 < greeks.vega
        assert (0 <= greeks.delta <= 1) if option.kind is InstrumentKind.CALL else (-1 <= greeks.delta <= 0)
    calls = sorted(
        (i.strike or 0, feed_of(board, i.key).fullFeed.marketFF)
        for i in options
        if i.kind is InstrumentKind.CALL and i.expiry == date(2026, 11, 23)
    )
    assert all(a[1].optionGreeks.delta >= b[1].optionGreeks.delta for a, b in pairwise(calls))
    lowest, highest = calls[0][1].iv, calls[-1][1].iv
    assert lowest > highest  # an index smile leans towards low strikes


@pytest.mark.parametrize("wall", ["09:15", "09:16", "11:07", "15:20", "15:39", "20:00"])
def test_skip_leads_where_playing_would(wall: str) -> None:
    to_ns = ns(DAY, wall)
    skipped, late = world(), world(start=to_ns)
    skipped.skip(to_ns - 1)
    assert skipped.next_ns() == late.next_ns()
    for key in (RELIANCE, NIFTY):
        assert skipped.snapshot(key) == late.snapshot(key)


def test_skip_agrees_with_the_ticks() -> None:
    w, jumped = world(), world()
    board = Board(w)
    for update in w.advance(ns(DAY, "09:18") - 1):
        board.apply(update)
    jumped.skip(ns(DAY, "09:18") - 1)
    played_, known = (
        feed_of(board, RELIANCE).fullFeed.marketFF,
        feed_of(Board(jumped), RELIANCE).fullFeed.marketFF,
    )
    assert (known.vtt, known.ltpc.ltp) == (played_.vtt, played_.ltpc.ltp)
    assert known.marketOHLC.ohlc[0] == played_.marketOHLC.ohlc[0]
    assert abs(known.atp / played_.atp - 1) < 0.001


def test_a_jump_keeps_the_minutes_of_the_day() -> None:
    w = world()
    board = Board(w)
    w.skip(ns(DAY, "11:00"))
    board.reload()
    bars = board.minutes(RELIANCE, DAY)
    assert [b.start_ms for b in bars] == list(range(OPEN // MS, ns(DAY, "11:00") // MS, 60_000))
    tomorrow = SyntheticWorld(7, ns(date(2026, 11, 23), "09:15"))
    assert as_lists(bars) == as_lists(list(tomorrow.history(RELIANCE, 60, DAY, DAY))[: len(bars)])


def test_trades_of_accounts_are_printed() -> None:
    w = world()
    board = Board(w)
    for update in w.advance(ns(DAY, "09:16")):
        board.apply(update)
    before = feed_of(board, RELIANCE).fullFeed.marketFF
    vtt, bid = before.vtt, before.marketLevel.bidAskQuote[0].bidP
    w.trade(RELIANCE, bid, 250, ns(DAY, "09:16") + 1)
    (update,) = list(w.advance(ns(DAY, "09:16") + 1))
    assert update.feeds[RELIANCE].fullFeed.marketFF.ltpc.ltq == 250
    board.apply(update)
    assert feed_of(board, RELIANCE).fullFeed.marketFF.vtt == vtt + 250
    seen = vtt + 250
    for later in w.advance(ns(DAY, "09:18")):
        board.apply(later)
        now = feed_of(board, RELIANCE).fullFeed.marketFF.vtt
        assert now >= seen
        seen = now
    undisturbed = world()
    undisturbed.skip(ns(DAY, "09:18") - 1)
    snapshot = undisturbed.snapshot(RELIANCE)
    assert snapshot is not None
    assert seen >= snapshot.fullFeed.marketFF.vtt + 250
