"""Frames of the market feed that no client should have to read, and will."""

from __future__ import annotations

import os
from typing import Final

from google.protobuf.message import DecodeError

from tradetui.domain.errors import UsageError
from tradetui.pb.market_feed_v3_pb2 import FeedResponse
from tradetui.simulator.feed_wire import varint

FORMS: Final = ("random", "truncated", "huge", "enum", "nan", "zero", "negative", "vast")
_PRICES = {"nan": float("nan"), "zero": 0.0, "negative": -1.0, "vast": 1e18}
_RANDOM_BYTES = 48
_HUGE_BYTES = 10 << 20
_UNKNOWN_FIELD = b"\xfa\x07"
"""Tag of a length-delimited field 127, which the schema does not have."""
_TYPE_FIELD = b"\x08"


def spoil(data: bytes, form: str) -> bytes:
    """A frame made bad.

    Args:
        data: The frame as it should be.
        form: One of `FORMS`: random bytes; cut in the middle; 10 MB; a type nobody knows; or prices that are not
            numbers, zero, below zero, or 1e18.

    Raises:
        UsageError: No such form.
    """
    if form not in FORMS:
        raise UsageError(f"no malformed form {form!r}", "It is one of: " + ", ".join(FORMS))
    if form == "random":
        return os.urandom(_RANDOM_BYTES)
    if form == "truncated":
        return data[: max(1, len(data) * 2 // 3)]
    if form == "huge":
        return data + _UNKNOWN_FIELD + varint(_HUGE_BYTES) + bytes(_HUGE_BYTES)
    if form == "enum":
        return data + _TYPE_FIELD + varint(99)
    return _with_prices(data, _PRICES[form])


def _with_prices(data: bytes, price: float) -> bytes:
    response = FeedResponse()
    try:
        response.ParseFromString(data)
    except DecodeError:
        return data
    for feed in response.feeds.values():
        full = feed.fullFeed
        for holder in (feed, full.indexFF, full.marketFF):
            if holder.HasField("ltpc"):
                holder.ltpc.ltp = price
        for row in full.marketFF.marketLevel.bidAskQuote:
            row.bidP = row.askP = price
    return response.SerializeToString()
