"""Feed messages of generated worlds, filled field by field."""

from __future__ import annotations

import numpy as np

from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed, MarketOHLC, RequestMode
from tradetui.simulator.worlds.books import BOOK_BEHIND, Depth
from tradetui.simulator.worlds.rows import DayState, Rows, Says


def live_message(
    rows: Rows, at: int, state: DayState, minute: list[float], *, is_index: bool, whole: bool = False
) -> Feed:
    """The message of one update, partial as its ``says`` tells.

    Args:
        rows: Updates of a minute.
        at: Which one.
        state: The day, for what does not change inside a minute.
        minute: Last finished bar of the instrument.
        is_index: The instrument is an index.
        whole: Leave nothing out: the instrument's state at that moment.
    """
    feed = Feed(requestMode=RequestMode.full_d5)
    row, says = rows.row[at], rows.says[at]
    if whole:
        says = (
            Says.LTPC
            | Says.BOOK
            | (Says.GREEKS if rows.iv[at] else 0)
            | (Says.BARS if rows.day[at][0] else 0)
        )
    if is_index:
        index = feed.fullFeed.indexFF
        index.ltpc.ltp, index.ltpc.ltt, index.ltpc.cp = rows.ltp[at], rows.ltt_ms[at], state.prev_close[row]
        _bars(index.marketOHLC, rows.day[at], rows.ltp[at], 0, state.day_ms, minute)
        return feed
    market = feed.fullFeed.marketFF
    if says & Says.LTPC:
        ltpc = market.ltpc
        ltpc.ltp, ltpc.ltt, ltpc.ltq, ltpc.cp = (
            rows.ltp[at],
            rows.ltt_ms[at],
            rows.ltq[at],
            state.prev_close[row],
        )
    if says & Says.BOOK:
        _levels(market, rows.bid_qty[at], rows.bid_price[at], rows.ask_qty[at], rows.ask_price[at])
        market.tbq, market.tsq = rows.tbq[at], rows.tsq[at]
    if says & Says.GREEKS:
        put_greeks(market, rows.greeks[at], rows.iv[at])
    market.vtt = rows.vtt[at]
    if says & Says.BARS:
        _bars(market.marketOHLC, rows.day[at], rows.ltp[at], rows.vtt[at], state.day_ms, minute)
        market.atp, market.oi = rows.atp[at], rows.oi[at]
    return feed


def put_greeks(market: MarketFullFeed, values: list[float], vol: float) -> None:
    """Put Greeks (in the wire's order) and volatility into a message."""
    greeks = market.optionGreeks
    greeks.delta, greeks.theta, greeks.gamma, greeks.vega, greeks.rho = values
    market.iv = vol


def put_book(market: MarketFullFeed, book: Depth, at: int) -> None:
    """Put one book of a `Depth` into a message."""
    bid_qty, ask_qty = book.bid_qty[at].tolist(), book.ask_qty[at].tolist()
    _levels(market, bid_qty, book.bid_price[at].tolist(), ask_qty, book.ask_price[at].tolist())
    market.tbq, market.tsq = float(sum(bid_qty) * BOOK_BEHIND), float(sum(ask_qty) * BOOK_BEHIND)


def _levels(
    market: MarketFullFeed, bid_q: list[int], bid_p: list[float], ask_q: list[int], ask_p: list[float]
) -> None:
    add = market.marketLevel.bidAskQuote.add
    for level in range(len(ask_q)):
        add(bidQ=bid_q[level], bidP=bid_p[level], askQ=ask_q[level], askP=ask_p[level])


def _bars(
    message: MarketOHLC, day: list[float], close: float, volume: int, day_ms: int, minute: list[float]
) -> None:
    add = message.ohlc.add
    add(interval="1d", open=day[0], high=day[1], low=day[2], close=close, vol=volume, ts=day_ms)
    if minute[5]:
        add(
            interval="I1",
            open=minute[0],
            high=minute[1],
            low=minute[2],
            close=minute[3],
            vol=int(minute[4]),
            ts=int(minute[5]),
        )


def state_message(state: DayState, row: int, *, is_index: bool) -> Feed:
    """The state of an instrument without its book: last trade, bars, volume."""
    feed = Feed(requestMode=RequestMode.full_d5)
    index, market = feed.fullFeed.indexFF if is_index else None, None if is_index else feed.fullFeed.marketFF
    message = index if index is not None else market
    assert message is not None
    ltpc = message.ltpc
    ltpc.ltp, ltpc.ltt, ltpc.cp = state.ltp[row], int(state.ltt_ms[row]), state.prev_close[row]
    if state.open[row]:
        day = [state.open[row], state.high[row], state.low[row]]
        _bars(
            message.marketOHLC,
            day,
            state.ltp[row],
            int(state.vtt[row]),
            state.day_ms,
            state.minute[row].tolist(),
        )
    if market is not None:
        market.ltpc.ltq, market.vtt = int(state.ltq[row]), int(state.vtt[row])
        if state.vtt[row]:
            market.atp = float(np.round(state.value[row] / state.vtt[row], 2))
    return feed
