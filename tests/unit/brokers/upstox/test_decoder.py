"""The decoder against a slow, obvious one made of the official protobuf-to-dictionary route."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fixtures.upstox_frames import (
    KEYS,
    SLOTS,
    from_dict,
    market_info,
    random_frames,
    recorded_frames,
    recorded_lines,
)
from tradetui.brokers.upstox.decoder import (
    MAX_FRAME_BYTES,
    Decoder,
    FrameError,
    MarketInfo,
    decode,
)
from tradetui.domain.market_data import Auction, Bar, FrameKind, Greek, Has, Px, Qty, TickBatch
from tradetui.pb import market_feed_v3_pb2 as pb

# ---- the reference ---------------------------------------------------------------------------------------


NOTHING = Has(0)


@dataclass
class Row:
    """One tick, spelled out."""

    slot: int
    mask: Has = NOTHING
    px: list[float] = field(default_factory=lambda: [0.0] * len(Px))
    qty: list[int] = field(default_factory=lambda: [0] * len(Qty))
    depth: list[list[float]] = field(default_factory=lambda: [[0.0] * 5 for _ in range(4)])
    greeks: list[float] = field(default_factory=lambda: [0.0] * len(Greek))
    day: list[float] = field(default_factory=lambda: [0.0] * len(Bar))
    minute: list[float] = field(default_factory=lambda: [0.0] * len(Bar))
    auction: list[float] = field(default_factory=lambda: [0.0] * len(Auction))
    bad: bool = False


def believable(value: float, high: float, low: float = 0.0) -> bool:
    return math.isfinite(value) and low <= value <= high


PRICE, QTY, MS, GREEK, IV = 1e9, 1e15, 4_102_444_800_000, 1e9, 1e4


def number(parent: Mapping[str, Any], name: str) -> float:
    return float(parent.get(name, 0))


def reference_row(slot: int, feed: Mapping[str, Any]) -> Row:
    row = Row(slot)
    if "fullFeed" in feed and "indexFF" in feed["fullFeed"]:
        body = feed["fullFeed"]["indexFF"]
        row.mask |= Has.INDEX
        levels = None
    elif "fullFeed" in feed:
        body = feed["fullFeed"].get("marketFF", {})
        row.mask |= Has.FULL
        levels = body["marketLevel"].get("bidAskQuote", []) if "marketLevel" in body else None
    elif "firstLevelWithGreeks" in feed:
        body = feed["firstLevelWithGreeks"]
        row.mask |= Has.FULL
        levels = [body["firstDepth"]] if "firstDepth" in body else None
    else:
        body = {"ltpc": feed.get("ltpc", {})}
        levels = None
    reference_last(row, body)
    reference_auction(row, body)
    if levels is not None:
        reference_depth(row, levels)
    greeks = [number(body.get("optionGreeks", {}), name.name.lower()) for name in Greek]
    if any(greeks):
        if all(believable(value, GREEK, -GREEK) for value in greeks):
            row.greeks, row.mask = greeks, row.mask | Has.GREEKS
        else:
            row.bad = True
    reference_bars(row, body)
    return row


def reference_last(row: Row, body: Mapping[str, Any]) -> None:
    last = body.get("ltpc", {})
    ltp, close, ltt, ltq = (number(last, name) for name in ("ltp", "cp", "ltt", "ltq"))
    if all((believable(ltp, PRICE), believable(close, PRICE), believable(ltt, MS), believable(ltq, QTY))):
        row.px[Px.LTP], row.px[Px.CLOSE] = ltp, close
        row.qty[Qty.LTT_MS], row.qty[Qty.LTQ] = int(ltt), int(ltq)
        if ltp:
            row.mask |= Has.LTPC
    else:
        row.bad = True
    for name, column, high in (
        ("atp", Px.ATP, PRICE), ("oi", Px.OI, QTY), ("iv", Px.IV, IV), ("tbq", Px.TBQ, QTY), ("tsq", Px.TSQ, QTY)
    ):  # fmt: skip
        value = number(body, name)
        if believable(value, high):
            row.px[column] = value
        else:
            row.bad = True
    if believable(number(body, "vtt"), QTY):
        row.qty[Qty.VTT] = int(body.get("vtt", 0))
    else:
        row.bad = True


def reference_auction(row: Row, body: Mapping[str, Any]) -> None:
    iep = number(body, "iep") or float(body.get("ltpc", {}).get("iep", 0.0))
    values = [iep, *(number(body, name) for name in ("rp", "ieq", "iiqTotal", "iiqM"))]
    if not any(values):
        return
    lows = (0.0, 0.0, 0.0, -QTY, -QTY)
    highs = (PRICE, PRICE, QTY, QTY, QTY)
    if all(believable(value, high, low) for value, high, low in zip(values, highs, lows, strict=True)):
        row.auction, row.mask = values, row.mask | Has.AUCTION
    else:
        row.bad = True


def reference_depth(row: Row, levels: Sequence[Mapping[str, Any]]) -> None:
    depth = [[0.0] * 5 for _ in range(4)]
    for level, quote in enumerate(levels[:5]):
        for side, (name, high) in enumerate((("bidP", PRICE), ("bidQ", QTY), ("askP", PRICE), ("askQ", QTY))):
            value = number(quote, name)
            if not believable(value, high):
                row.bad = True
                return
            depth[side][level] = value
    row.depth, row.mask = depth, row.mask | Has.DEPTH


def reference_bars(row: Row, body: Mapping[str, Any]) -> None:
    seen = set()
    for bar in body.get("marketOHLC", {}).get("ohlc", []):
        name = bar.get("interval")
        if name not in ("1d", "I1") or name in seen:
            continue
        seen.add(name)
        values = [number(bar, part) for part in ("open", "high", "low", "close", "vol", "ts")]
        highs = (PRICE, PRICE, PRICE, PRICE, QTY, MS)
        if not all(believable(value, high) for value, high in zip(values, highs, strict=True)):
            row.bad = True
        elif name == "1d":
            row.day, row.mask = values, row.mask | Has.DAY
        else:
            row.minute, row.mask = values, row.mask | Has.MINUTE


def assert_same(frame: bytes, decoder: Decoder, slots: Mapping[str, int]) -> TickBatch:
    """Decode both ways and compare every cell; return the batch."""
    shape = json_format.MessageToDict(pb.FeedResponse.FromString(frame), preserving_proto_field_name=True)
    expected = {
        slots[key]: reference_row(slots[key], feed)
        for key, feed in shape.get("feeds", {}).items()
        if key in slots
    }
    bad, unknown = decoder.bad_rows, decoder.unknown_keys
    batch = decoder.decode(frame)
    assert isinstance(batch, TickBatch)
    assert batch.slot.tolist() == sorted(expected)
    assert decoder.bad_rows - bad == sum(row.bad for row in expected.values())
    assert decoder.unknown_keys - unknown == len(shape.get("feeds", {})) - len(expected)
    for at, slot in enumerate(batch.slot.tolist()):
        row = expected[slot]
        assert Has(int(batch.mask[at])) == row.mask
        for name in ("px", "qty", "depth", "greeks", "day", "minute", "auction"):
            assert getattr(batch, name)[at].tolist() == getattr(row, name), name
    return batch


# ---- recorded frames -------------------------------------------------------------------------------------


def test_every_recorded_binary_frame_decodes_to_what_the_official_route_says(shared_data: Path) -> None:
    slots: dict[str, int] = {}
    decoder = Decoder(slots)
    frames = ticks = 0
    for frame in recorded_frames(shared_data):
        for key in pb.FeedResponse.FromString(frame).feeds:
            slots.setdefault(key, len(slots))
        batch = assert_same(frame, decoder, slots)
        assert batch.kind is FrameKind.LIVE
        frames += 1
        ticks += len(batch)
    assert (frames, ticks, len(slots)) == (7_944, 10_113, 7)
    assert (decoder.bad_rows, decoder.unknown_keys, decoder.unknown_types) == (0, 0, 0)


@pytest.mark.parametrize(
    "name", ["BSE", "MAXHEALTH", "BANKNIFTY_59400_PE_30_DEC_25", "BANKNIFTY_59000_CE_30_DEC_25"]
)
def test_recorded_json_lines_decode_to_what_they_say(shared_data: Path, name: str) -> None:
    path = shared_data / "feed/upstox_v3_2025-12-15" / f"{name}.jsonl.gz"
    slots: dict[str, int] = {}
    decoder = Decoder(slots)
    lines = 0
    for line in islice(recorded_lines(path), 5_000):
        del line["rx_ms"]
        slots.setdefault(next(iter(line["feeds"])), 0)
        assert len(assert_same(from_dict(line), decoder, slots)) == 1
        lines += 1
    assert lines == 5_000
    assert decoder.bad_rows == 0


def test_samples_of_every_shape(shared_data: Path) -> None:
    samples = json.loads((shared_data / "feed/upstox_v3_samples.json").read_text())
    info = decode(from_dict(samples[0]), {})
    assert isinstance(info, MarketInfo)
    assert dict(info.status)["NSE_EQ"] == "NORMAL_OPEN"
    assert len(info.status) == 11
    slots = {key: slot for slot, key in enumerate(sorted({k for s in samples[1:] for k in s["feeds"]}))}
    decoder = Decoder(slots)
    batches = [assert_same(from_dict(sample), decoder, slots) for sample in samples[1:]]
    assert [batch.kind for batch in batches] == [
        FrameKind.SNAPSHOT, FrameKind.LIVE, FrameKind.LIVE, FrameKind.SNAPSHOT
    ]  # fmt: skip
    assert Has(int(batches[1].mask[0])) == Has.LTPC | Has.FULL | Has.DAY | Has.MINUTE
    by_slot = dict(zip(batches[3].slot.tolist(), batches[3].mask.tolist(), strict=True))
    assert Has(by_slot[slots["NSE_INDEX|Nifty 50"]]) == Has.LTPC | Has.INDEX | Has.DAY | Has.MINUTE
    assert Has.GREEKS in Has(by_slot[slots["NSE_FO|46803"]])


# ---- random and hostile frames ---------------------------------------------------------------------------


@settings(max_examples=60)
@given(random_frames())
def test_random_messages_decode_as_the_official_route_says(frame: bytes) -> None:
    assert_same(frame, Decoder(SLOTS), SLOTS)


@settings(max_examples=60)
@given(
    st.one_of(
        st.binary(max_size=400), st.tuples(random_frames(), st.integers(0, 400)).map(lambda x: x[0][: x[1]])
    )
)
@example(b"")
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        result = decode(data, SLOTS)
    except FrameError:
        return
    if isinstance(result, TickBatch):
        for name in ("px", "qty", "depth", "greeks", "day", "minute", "auction"):
            assert np.isfinite(getattr(result, name)).all()
        assert (result.px >= 0).all()
        assert len(set(result.slot.tolist())) == len(result)


def test_wide_frames_use_no_ready_made_rows() -> None:
    slots = {f"NSE_FO|{number}": number for number in range(2_500)}
    message = pb.FeedResponse(type=pb.live_feed)
    for key, slot in slots.items():
        message.feeds[key].ltpc.ltp = slot + 0.5
    message.feeds["NSE_FO|7"].ltpc.ltp = math.nan
    decoder = Decoder(slots)
    batch = assert_same(message.SerializeToString(), decoder, slots)
    assert len(batch) == 2_500
    assert decoder.bad_rows == 1
    assert batch.depth.shape == (2_500, 4, 5)


def test_an_impossible_number_costs_its_group_not_its_neighbours() -> None:
    message = pb.FeedResponse(type=pb.live_feed, currentTs=1_765_771_373_598)
    market = message.feeds[KEYS[0]].fullFeed.marketFF
    market.ltpc.ltp, market.ltpc.cp, market.iv, market.vtt = 101.5, 100.0, math.nan, 77
    market.marketLevel.bidAskQuote.add(bidP=101.45, bidQ=5, askP=1e18, askQ=5)
    message.feeds[KEYS[1]].ltpc.ltp = 55.0
    decoder = Decoder(SLOTS)
    batch = assert_same(message.SerializeToString(), decoder, SLOTS)
    at = batch.slot.tolist().index(SLOTS[KEYS[0]])
    assert Has(int(batch.mask[at])) == Has.LTPC | Has.FULL
    assert batch.px[at, Px.LTP] == 101.5
    assert batch.px[at, Px.IV] == 0.0
    assert batch.qty[at, Qty.VTT] == 77
    assert not batch.depth[at].any()
    assert decoder.bad_rows == 1


@pytest.mark.parametrize("ltp", [math.nan, math.inf, -math.inf, -0.05, 1e18])
def test_an_impossible_last_price_leaves_no_last_trade(ltp: float) -> None:
    message = pb.FeedResponse(type=pb.live_feed)
    last = message.feeds[KEYS[0]].ltpc
    last.ltp, last.ltt, last.ltq = ltp, 1_765_771_373_598, 5
    batch = assert_same(message.SerializeToString(), Decoder(SLOTS), SLOTS)
    assert batch.mask.tolist() == [0]
    assert not batch.px.any()
    assert not batch.qty.any()


def test_a_never_traded_instrument_has_a_close_and_no_last_price() -> None:
    message = pb.FeedResponse()
    message.feeds[KEYS[0]].ltpc.cp = 12.35
    batch = decode(message.SerializeToString(), SLOTS)
    assert isinstance(batch, TickBatch)
    assert batch.mask.tolist() == [0]
    assert batch.px[0, Px.CLOSE] == 12.35


def test_an_empty_book_is_carried_and_an_absent_one_is_not() -> None:
    message = pb.FeedResponse(type=pb.live_feed)
    message.feeds[KEYS[0]].fullFeed.marketFF.marketLevel.SetInParent()
    message.feeds[KEYS[1]].fullFeed.marketFF.ltpc.ltp = 3.0
    batch = assert_same(message.SerializeToString(), Decoder(SLOTS), SLOTS)
    masks = dict(zip(batch.slot.tolist(), batch.mask.tolist(), strict=True))
    assert Has.DEPTH in Has(masks[SLOTS[KEYS[0]]])
    assert Has.DEPTH not in Has(masks[SLOTS[KEYS[1]]])


def test_thirty_levels_are_cut_to_five() -> None:
    message = pb.FeedResponse(type=pb.live_feed)
    quotes = message.feeds[KEYS[0]].fullFeed.marketFF.marketLevel.bidAskQuote
    for level in range(30):
        quotes.add(bidP=100 - level, bidQ=1, askP=101 + level, askQ=2)
    batch = assert_same(message.SerializeToString(), Decoder(SLOTS), SLOTS)
    assert batch.depth[0, 0].tolist() == [100, 99, 98, 97, 96]
    assert batch.depth[0, 2].tolist() == [101, 102, 103, 104, 105]


def test_auction_fields_never_become_a_last_price() -> None:
    message = pb.FeedResponse(type=pb.live_feed)
    market = message.feeds[KEYS[0]].fullFeed.marketFF
    market.iep, market.rp, market.ieq, market.iiqTotal, market.iiqM = 99.0, 98.0, 500, -40, 7
    message.feeds[KEYS[1]].ltpc.iep.value = 44.5
    batch = assert_same(message.SerializeToString(), Decoder(SLOTS), SLOTS)
    rows = dict(zip(batch.slot.tolist(), range(len(batch)), strict=True))
    assert batch.auction[rows[SLOTS[KEYS[0]]]].tolist() == [99.0, 98.0, 500, -40, 7]
    assert batch.auction[rows[SLOTS[KEYS[1]]], Auction.IEP] == 44.5
    assert not (batch.mask & Has.LTPC).any()
    assert not batch.px.any()


def test_a_frame_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(FrameError, match="10,000,001 bytes"):
        decode(bytes(MAX_FRAME_BYTES + 1), SLOTS)


def test_a_cut_frame_is_refused(shared_data: Path) -> None:
    frame = next(recorded_frames(shared_data))
    with pytest.raises(FrameError, match="not a feed message"):
        decode(frame[:-3], SLOTS)


def test_unknown_kinds_and_phases_are_counted_and_named() -> None:
    decoder = Decoder(SLOTS)
    message = pb.FeedResponse(type=9)  # type: ignore[arg-type]
    message.feeds[KEYS[0]].ltpc.ltp = 5.0
    batch = decoder.decode(message.SerializeToString())
    assert isinstance(batch, TickBatch)
    assert batch.kind is FrameKind.LIVE
    info = decoder.decode(market_info(NSE_EQ=2, NSE_FO=42))
    assert isinstance(info, MarketInfo)
    assert info.status == (("NSE_EQ", "NORMAL_OPEN"), ("NSE_FO", "PHASE_42"))
    assert decoder.unknown_types == 2


def test_hostile_text_in_market_info_is_cleaned() -> None:
    message = pb.FeedResponse(type=pb.market_info)
    message.marketInfo.segmentStatus["NSE\x1b[31m"] = pb.NORMAL_OPEN
    message.marketInfo.casMarketStatus["NSE_EQ"].status = "open\u202e\x07"
    info = decode(message.SerializeToString(), {})
    assert isinstance(info, MarketInfo)
    assert info.status == (("NSE[31m", "NORMAL_OPEN"),)
    assert info.cas == (("NSE_EQ", "open"),)


def test_an_absurd_server_time_is_unknown() -> None:
    for stamp in (-1, 2**62):
        batch = decode(pb.FeedResponse(type=pb.live_feed, currentTs=stamp).SerializeToString(), SLOTS)
        assert batch.server_ms == 0
