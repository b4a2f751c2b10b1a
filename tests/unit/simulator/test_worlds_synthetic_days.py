from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from tradetui.domain.calendar import Calendar, Segment, ist_date, ns
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle
from tradetui.domain.text import clean
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed
from tradetui.simulator.board import Board
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.companies import BANKNIFTY, COMPANIES, NIFTY, VIX
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


def markets(updates: list[WorldUpdate], key: str) -> list[MarketFullFeed]:
    return [u.feeds[key].fullFeed.marketFF for u in updates if key in u.feeds]


def feed_of(board: Board, key: str) -> Feed:
    feed = board.feed(key)
    assert feed is not None
    return feed


def test_history_agrees_across_scales_and_worlds() -> None:
    w = world()
    other = SyntheticWorld(7, ns(date(2026, 9, 30), "12:00"))
    first, last = date(2026, 9, 1), date(2026, 9, 29)
    for key in (RELIANCE, NIFTY, VIX, "NSE_EQ|INE977Y01011"):
        days = w.history(key, 86_400, first, last)
        assert days == other.history(key, 86_400, first, last)
        assert len(days) == 20  # 21 weekdays less Ganesh Chaturthi
        minutes = w.history(key, 60, first, last)
        assert minutes == other.history(key, 60, first, last)
        grouped: defaultdict[date, list[Candle]] = defaultdict(list)
        for bar in minutes:
            grouped[ist_date(bar.start_ms * MS)].append(bar)
        for day in days:
            bars = grouped[ist_date(day.start_ms * MS)]
            assert day.open == bars[0].open
            # Shares close in an auction, outside every minute.
            assert day.high == max(*(b.high for b in bars), day.close)
            assert day.low == min(*(b.low for b in bars), day.close)
            assert day.volume >= sum(b.volume for b in bars)
        for before, after in pairwise(days):
            assert abs(after.open / before.close - 1) < 0.12
    hours = w.history(RELIANCE, 3600, last, last)
    assert [b.start_ms for b in hours] == [ns(last, f"{h:02d}:15") // MS for h in range(9, 15)]
    assert not w.history(RELIANCE, 60, DAY, DAY)


def test_years_of_history_stay_plausible() -> None:
    days = world().history(NIFTY, 86_400, date(2016, 1, 1), DAY)
    closes = np.array([d.close for d in days])
    returns = np.diff(np.log(closes))
    assert len(days) > 2_600
    assert 0.006 < returns.std() < 0.013
    assert 12_000 < closes.min() < closes.max() < 50_000
    assert all(d.low <= min(d.open, d.close) <= max(d.open, d.close) <= d.high for d in days)


def test_shares_move_with_the_market_and_fear_against_it() -> None:
    w = world()
    first = date(2026, 11, 2)

    def returns(key: str) -> dict[int, float]:
        bars = w.history(key, 300, first, date(2026, 11, 19))
        return {b.start_ms: float(np.log(b.close / b.open)) for b in bars}

    index = returns(NIFTY)
    shared = {key: returns(key) for key in (RELIANCE, HDFCBANK, BANKNIFTY, VIX)}

    def correlation(key: str) -> float:
        both = sorted(index.keys() & shared[key].keys())
        return float(np.corrcoef([index[t] for t in both], [shared[key][t] for t in both])[0, 1])

    assert correlation(RELIANCE) > 0.4
    assert correlation(BANKNIFTY) > 0.6
    assert correlation(VIX) < -0.3
    future = next(i for i in w.instruments if i.kind is InstrumentKind.FUTURE and i.underlying_key == NIFTY)
    shared[future.key] = returns(future.key)
    assert correlation(future.key) > 0.95


def test_terms_follow_the_exchange() -> None:
    symbols = by_symbol(world())
    future = symbols["NIFTY FUT 23 NOV 26"]  # the last Tuesday, the 24th, is a holiday
    assert (future.lot_size, future.freeze_qty, future.tick_size) == (65, 1800, 1000)
    assert future.expiry == date(2026, 11, 23)
    assert {i.expiry for i in symbols.values() if i.is_option} == {date(2026, 11, 23), date(2026, 12, 1)}
    bank = symbols["BANKNIFTY FUT 23 NOV 26"]
    assert (bank.lot_size, bank.max_order_qty) == (30, 600)
    assert symbols["MARUTI"].tick_size in (10_000, 50_000)
    assert symbols["YESBANK"].tick_size == 100
    assert symbols["BCONCEPTS"].series == "BE"
    assert symbols["RELIANCE"].cas_eligible
    assert not symbols["BCONCEPTS"].cas_eligible
    segments = {row["segment"] for row in world().master_rows()}
    assert {
        "NSE_EQ",
        "NSE_FO",
        "NSE_INDEX",
        "BSE_EQ",
        "BSE_FO",
        "BSE_INDEX",
        "NCD_FO",
        "MCX_FO",
        "NSE_COM",
    } <= segments
    keys = [i.key for i in world().instruments]
    assert len(keys) == len(set(keys))
    assert all(row.get("tick_size", 1) in (1, 5, 10, 20, 50, 100, 500, 0.25) for row in world().master_rows())


def test_tokens_are_reused_after_expiry() -> None:
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for day in (date(2026, 8, 10), date(2026, 10, 5)):
        for instrument in SyntheticWorld(7, ns(day, "09:15")).instruments:
            if instrument.segment == "NSE_FO":
                seen[instrument.key].add(instrument.symbol)
    assert any(len(symbols) > 1 for symbols in seen.values())


def test_a_session_follows_the_calendar() -> None:
    w = world(start=ns(DAY, "15:13"))
    spans: dict[str, list[int]] = {}
    auction: list[MarketFullFeed] = []
    for update in w.advance(ns(DAY, "18:00")):
        for key, feed in update.feeds.items():
            market = feed.fullFeed.marketFF
            if market.iep:
                auction.append(market)
            else:
                spans.setdefault(key, []).append(update.t_ns)
    close = {key: max(times) for key, times in spans.items()}
    symbols = by_symbol(w)

    def ends(key: str, wall: str) -> bool:
        return 0 <= close[key] - ns(DAY, wall) <= 2_000_000_000

    assert ends("NSE_EQ|INE977Y01011", "15:30")  # a share without derivatives
    assert ends(symbols["NIFTY FUT 23 NOV 26"].key, "15:40")
    assert ends(VIX, "15:40")  # computed from options
    quiet = [t for t in spans[RELIANCE] if ns(DAY, "15:15") + 2_000_000_000 < t]
    assert not quiet  # from here on shares speak through the auction only
    jump = [t for t in spans[NIFTY] if ns(DAY, "15:15") + 2_000_000_000 < t]
    assert jump == [ns(DAY, "15:30")]  # the index stands still until its shares are matched
    assert len(auction) > 1_000
    assert all(not m.HasField("ltpc") or m.ltpc.ltt == ns(DAY, "15:30") // MS for m in auction)
    assert {m.casEligible for m in auction} == {True}
    assert w.next_ns() is not None
    assert ist_date(w.next_ns() or 0) == date(2026, 11, 23)  # over the week-end


def test_an_index_has_bars_only_while_its_shares_trade() -> None:
    w, at = world(start=ns(DAY, "15:10")), Calendar.default()
    for day in (date(2026, 7, 31), date(2026, 8, 3), DAY - timedelta(days=1)):
        counts = {key: len(w.history(key, 60, day, day)) for key in (NIFTY, VIX)}
        assert counts[NIFTY] == at.expected_minutes(Segment.INDEX, day)
        assert counts[VIX] == at.expected_minutes(Segment.INDEX_VOLATILITY, day)
    board = Board(w)
    for update in w.advance(ns(DAY, "16:00")):
        board.apply(update)
    bars = [bar for bar in board.minutes(NIFTY, DAY) if bar.start_ms < ns(DAY, "15:30") // MS]
    assert bars[-1].start_ms == ns(DAY, "15:14") // MS
    index = feed_of(board, NIFTY).fullFeed.indexFF
    tomorrow = SyntheticWorld(7, ns(date(2026, 11, 23), "09:15"))
    (day_bar,) = tomorrow.history(NIFTY, 86_400, DAY, DAY)
    assert day_bar.close == index.ltpc.ltp != bars[-1].close


def test_the_closing_auction_makes_the_close() -> None:
    w = world(start=ns(DAY, "15:25"))
    board = Board(w)
    before = feed_of(board, RELIANCE).fullFeed.marketFF.vtt
    for update in w.advance(ns(DAY, "16:00")):
        board.apply(update)
    market = feed_of(board, RELIANCE).fullFeed.marketFF
    assert market.ltpc.ltt == ns(DAY, "15:30") // MS
    assert market.vtt == before + market.ltpc.ltq
    tomorrow = SyntheticWorld(7, ns(date(2026, 11, 23), "09:15"))
    (bar,) = tomorrow.history(RELIANCE, 86_400, DAY, DAY)
    assert (bar.close, bar.volume) == (market.ltpc.ltp, market.vtt)
    day = market.marketOHLC.ohlc[0]
    assert (bar.open, bar.high, bar.low) == (day.open, day.high, day.low)
    assert feed_of(Board(tomorrow), RELIANCE).fullFeed.marketFF.ltpc.cp == bar.close


def test_the_next_session_opens_by_itself() -> None:
    w = world(start=ns(DAY, "15:39"))
    updates = list(w.advance(ns(date(2026, 11, 23), "09:16")))
    monday = [u for u in updates if ist_date(u.t_ns) == date(2026, 11, 23)]
    first = markets(monday, RELIANCE)[0]
    fresh = SyntheticWorld(7, ns(date(2026, 11, 23), "09:15"))
    assert text(monday) == text(list(fresh.advance(ns(date(2026, 11, 23), "09:16"))))
    assert first.ltpc.cp > 0
    # On expiry day, options that expire are still listed, and the next weeks' have come in.
    assert {i.expiry for i in w.instruments if i.is_option} == {date(2026, 11, 23), date(2026, 12, 1)}
    w.skip(ns(date(2026, 11, 25), "09:15"))  # the 24th is a holiday
    assert {i.expiry for i in w.instruments if i.is_option} == {date(2026, 12, 1), date(2026, 12, 8)}


def test_before_the_open_there_is_yesterdays_close() -> None:
    w = world(start=ns(DAY, "08:30"))
    snapshot = w.snapshot(RELIANCE)
    assert snapshot is not None
    market = snapshot.fullFeed.marketFF
    assert market.ltpc.ltp == market.ltpc.cp > 0
    assert not market.HasField("marketOHLC")
    assert not market.HasField("marketLevel")
    assert w.next_ns() is not None
    assert OPEN <= (w.next_ns() or 0) < OPEN + 1_000_000_000
    assert w.snapshot("MCX_FO|454801") is None


def test_the_thin_market_is_small() -> None:
    w = world(variant="thin")
    assert {i.symbol for i in w.instruments} >= {"NIFTY", "BANKNIFTY", "INDIA VIX", "RELIANCE", "HDFCBANK"}
    assert len(w.instruments) == 8
    listed = {i.key for i in w.instruments}
    assert {key for u in run(w, "09:17") for key in u.feeds} == listed
    assert w.snapshot("NSE_EQ|INE467B01029") is None
    assert not w.history("NSE_EQ|INE467B01029", 86_400, date(2026, 11, 1), DAY)


def test_hostile_names_attack_and_symbols_can_still_be_typed() -> None:
    rows = world(variant="hostile").master_rows()
    names = {row["name"] for row in rows}
    assert any("\x1b" in name for name in names)
    assert any("\u202e" in name for name in names)
    assert any(name.startswith("=") for name in names)
    assert any("[bold" in name for name in names)
    assert all(
        clean(row["trading_symbol"]).startswith(("RELIANCE", "="))
        for row in rows
        if row.get("isin") == "INE002A01018"
    )
    assert [row["instrument_key"] for row in rows] == [row["instrument_key"] for row in world().master_rows()]


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="There are: full, thin, wide, hostile"):
        world(variant="fat")


@pytest.mark.parametrize(
    "day", [date(2026, 2, 1), date(2025, 10, 21), date(2026, 12, 8), date(2027, 1, 5), date(2019, 3, 5)]
)
def test_every_era_has_sessions(day: date) -> None:
    """Budget Sunday, a ceremonial hour, the era after December 2026, a year nobody lists yet, and long ago."""
    w = SyntheticWorld(7, ns(day, "00:01"))
    first = w.next_ns()
    assert first is not None
    assert ist_date(first) == day
    opened = w.calendar.continuous
    from tradetui.domain.calendar import Segment

    window = opened(Segment.EQ_OTHER, day)
    assert window is not None
    assert window[0] <= first < window[0] + 1_000_000_000
    assert len(list(w.advance(first + 30_000_000_000))) > 400


def test_companies_are_real_listings() -> None:
    def luhn(isin: str) -> bool:
        digits = "".join(str(int(c, 36)) for c in isin)
        doubled = [int(d) * (2 if place % 2 else 1) for place, d in enumerate(reversed(digits))]
        return sum(d // 10 + d % 10 for d in doubled) % 10 == 0

    assert len(COMPANIES) >= 20
    for company in COMPANIES:
        assert luhn(company.isin), company.symbol


def test_the_shipped_calendar_is_not_changed() -> None:
    world()
    assert Calendar.default() is Calendar.default()
