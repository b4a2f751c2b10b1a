"""What a full-mode feed message says: last price, day's bar, book levels, price band."""

from __future__ import annotations

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, ceil_to_tick, floor_to_tick, to_price
from tradetui.exchange.book import Quote
from tradetui.exchange.rules import Band
from tradetui.pb.market_feed_v3_pb2 import LTPC, OHLC, Feed, MarketFullFeed

BAND_PCT = 20
"""Price band of the day around the previous close, percent; options get that of their underlying."""


def ltpc_of(feed: Feed) -> LTPC:
    """Last price and previous close, of an index or anything else."""
    full = feed.fullFeed
    return full.indexFF.ltpc if full.HasField("indexFF") else full.marketFF.ltpc


def day_bar_of(feed: Feed) -> OHLC | None:
    """The broker's own bar of the session."""
    full = feed.fullFeed
    bars = full.indexFF.marketOHLC.ohlc if full.HasField("indexFF") else full.marketFF.marketOHLC.ohlc
    return next((bar for bar in bars if bar.interval == "1d"), None)


def band_of(instrument: Instrument, close: Price) -> Band:
    """Price limits of the day; none for an index or without a previous close."""
    if not instrument.tradable or not close:
        return Band()
    tick = instrument.tick_size
    if instrument.is_option:
        # An option moves with its underlying, whose band is measured on its own, much higher price.
        reach = (instrument.strike or close) * BAND_PCT // 100
        return Band(tick, floor_to_tick(Price(close + reach), tick))
    away = close * BAND_PCT // 100
    low = max(ceil_to_tick(Price(close - away), tick), tick)
    return Band(Price(low), floor_to_tick(Price(close + away), tick))


def quotes_of(market: MarketFullFeed) -> tuple[list[Quote], list[Quote]]:
    """Bids and asks, best first, without the empty levels."""
    levels = market.marketLevel.bidAskQuote
    bids = [(to_price(row.bidP), row.bidQ) for row in levels if row.bidQ and row.bidP > 0]
    asks = [(to_price(row.askP), row.askQ) for row in levels if row.askQ and row.askP > 0]
    return bids, asks
