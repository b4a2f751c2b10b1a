"""Thirty levels of the few instruments that stream in `full_d30`, for people to look at.

The columns of market state hold five levels; nothing that trades reads more. So deep books are read beside the decoder,
only from frames that come while such an instrument streams, and kept as they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from tradetui.brokers.upstox.feed_rows import MAX_PRICE, MAX_QTY
from tradetui.pb.market_feed_v3_pb2 import FeedResponse

Level = tuple[float, float]


class DeepBook(NamedTuple):
    """Price in rupees and units by level, best first; empty levels are left out."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def deep_books(frame: bytes, keys: Iterable[str]) -> dict[str, DeepBook]:
    """The books that a frame carries of some instruments; what cannot be true is left out."""
    try:
        feeds = FeedResponse.FromString(frame).feeds
    except DecodeError:
        return {}
    out = {}
    for key in keys:
        if key not in feeds:
            continue
        market = feeds[key].fullFeed.marketFF
        if market.HasField("marketLevel"):
            rows = market.marketLevel.bidAskQuote
            out[key] = DeepBook(
                tuple((row.bidP, float(row.bidQ)) for row in rows if _believable(row.bidP, row.bidQ)),
                tuple((row.askP, float(row.askQ)) for row in rows if _believable(row.askP, row.askQ)),
            )
    return out


def _believable(price: float, qty: int) -> bool:
    return 0 < price <= MAX_PRICE and 0 <= qty <= MAX_QTY
