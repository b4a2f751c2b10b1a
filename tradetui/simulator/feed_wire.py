"""Frames of the V3 feed, cut to the mode a client asked for and built from pieces that all clients share.

A frame is the concatenation of its fields, so an instrument's map entry is serialized once per mode and
then joined into as many frames as there are clients (Protocol Buffers encoding: the order and grouping of
fields of one message are free).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from tradetui.pb.market_feed_v3_pb2 import (
    LTPC,
    Feed,
    FeedResponse,
    FirstLevelWithGreeks,
    MarketInfo,
    Quote,
    RequestMode,
    Type,
)

MODES: Final = ("ltpc", "full", "option_greeks", "full_d30")
"""Words a request may use."""

DEEP_LEVELS: Final = 30

_FIVE_WEEKS_MS: Final = 35 * 86_400_000
_TYPE_TAG: Final = b"\x08"
_TS_TAG: Final = b"\x18"


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, least significant group first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Cutter:
    """Cuts full-mode messages down to modes. One for the whole feed: it remembers what is worth sending."""

    def __init__(self) -> None:
        self._names: dict[str, bytes] = {}
        self._last_ltpc: dict[str, bytes] = {}

    def live(self, key: str, feed: Feed, mode: str) -> bytes:
        """The map entry of a live update; empty if nothing of it belongs to the mode.

        In `ltpc` mode an update that only moved the book says nothing new.
        """
        if mode == "ltpc":
            last = _ltpc_of(feed)
            if last is None:
                return b""
            body = last.SerializeToString()
            if self._last_ltpc.get(key) == body:
                return b""
            self._last_ltpc[key] = body
            # The mode is the zero value, which is never on the wire.
            return self._entry(key, b"\x0a" + varint(len(body)) + body)
        return self.snapshot(key, feed, mode)

    def snapshot(self, key: str, feed: Feed, mode: str) -> bytes:
        """The map entry of a full state."""
        if mode == "full":
            return self._entry(key, feed.SerializeToString())
        cut = Feed()
        if mode == "ltpc":
            last = _ltpc_of(feed)
            if last is not None:
                cut.ltpc.CopyFrom(last)
        elif mode == "option_greeks":
            _first_level(cut.firstLevelWithGreeks, feed)
            cut.requestMode = RequestMode.option_greeks
        else:
            cut.CopyFrom(feed)
            cut.requestMode = RequestMode.full_d30
            _deepen(cut.fullFeed.marketFF.marketLevel.bidAskQuote)
        return self._entry(key, cut.SerializeToString())

    def _entry(self, key: str, body: bytes) -> bytes:
        name = self._names.get(key)
        if name is None:
            raw = key.encode()
            name = self._names[key] = b"\x0a" + varint(len(raw)) + raw
        entry = b"%b\x12%b%b" % (name, varint(len(body)), body)
        return b"\x12%b%b" % (varint(len(entry)), entry)


def frame(kind: Type, entries: Iterable[bytes], ts_ms: int) -> bytes:
    """One frame from map entries; ``ts_ms`` is the exchange's clock, epoch ms."""
    # The zero value (`initial_feed`) is never on the wire.
    head = _TYPE_TAG + varint(kind) if kind else b""
    return b"%b%b%b%b" % (head, b"".join(entries), _TS_TAG, varint(ts_ms))


def info_frame(info: MarketInfo, ts_ms: int) -> bytes:
    """A `market_info` frame."""
    return FeedResponse(type=Type.market_info, currentTs=ts_ms, marketInfo=info).SerializeToString()


def _ltpc_of(feed: Feed) -> LTPC | None:
    full = feed.fullFeed
    if full.HasField("indexFF"):
        return full.indexFF.ltpc if full.indexFF.HasField("ltpc") else None
    return full.marketFF.ltpc if full.marketFF.HasField("ltpc") else None


def aged(feed: Feed) -> Feed:
    """The same state as it would have stood five weeks ago: its last trade is that old."""
    old = Feed()
    old.CopyFrom(feed)
    last = old.fullFeed.indexFF.ltpc if old.fullFeed.HasField("indexFF") else old.fullFeed.marketFF.ltpc
    last.ltt -= _FIVE_WEEKS_MS
    return old


def _deepen(levels: RepeatedCompositeFieldContainer[Quote]) -> None:
    """Continue a book of a few levels to thirty, at its own distances and quantities.

    No world knows more than five levels; a paid client still gets the shape it asked for.
    """
    known = len(levels)
    if known < 2 or not levels[-1].askQ:
        return
    bid_step = max(levels[-2].bidP - levels[-1].bidP, 0.0)
    ask_step = levels[-1].askP - levels[-2].askP
    for depth in range(1, DEEP_LEVELS - known + 1):
        like = levels[depth % known]
        bid = round(levels[known - 1].bidP - depth * bid_step, 4)
        there = bid > 0 and bid_step > 0
        levels.add(
            bidQ=like.bidQ if there else 0,
            bidP=bid if there else 0.0,
            askQ=like.askQ,
            askP=round(levels[known - 1].askP + depth * ask_step, 4),
        )


def _first_level(cut: FirstLevelWithGreeks, feed: Feed) -> None:
    cut.SetInParent()
    last = _ltpc_of(feed)
    if last is not None:
        cut.ltpc.CopyFrom(last)
    market = feed.fullFeed.marketFF
    if market.HasField("marketLevel"):
        cut.firstDepth.SetInParent()
        if market.marketLevel.bidAskQuote:
            cut.firstDepth.CopyFrom(market.marketLevel.bidAskQuote[0])
    if market.HasField("optionGreeks"):
        cut.optionGreeks.CopyFrom(market.optionGreeks)
    cut.vtt, cut.oi, cut.iv = market.vtt, market.oi, market.iv
