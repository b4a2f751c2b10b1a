"""The decoder against a slow, obvious one made of the official protobuf-to-dictionary route."""

from __future__ import annotations

import contextlib
import json
import math
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fixtures.busy_frames import BUSY_KEYS, BUSY_SLOTS, busy_frame, market, tagged, varint
from tests.fixtures.reference_decoder import GROUPS, agrees, assert_same
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
from tradetui.brokers.upstox.feed_columns import read
from tradetui.brokers.upstox.feed_marks import NotPlain
from tradetui.domain.market_data import Auction, FrameKind, Has, Px, Qty, TickBatch
from tradetui.pb import market_feed_v3_pb2 as pb

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


# ---- frames of many instruments --------------------------------------------------------------------------


def test_busy_frames_decode_as_the_official_route_says_odd_ones_among_them() -> None:
    rng = random.Random(11)
    as_columns = refused = 0
    for _ in range(400):
        frame = busy_frame(rng)
        refused += agrees(frame, Decoder(BUSY_SLOTS), BUSY_SLOTS) == "refused"
        with contextlib.suppress(NotPlain):
            as_columns += len(read(frame, BUSY_SLOTS).batch) > 0
    assert as_columns > 200
    assert refused < 40


def test_recorded_ticks_of_all_instruments_joined_into_frames(shared_data: Path) -> None:
    folder = shared_data / "feed/upstox_v3_2025-12-15"
    slots: dict[str, int] = {}
    decoder = Decoder(slots, columns_from=0)
    for lines in islice(
        zip(*map(recorded_lines, sorted(folder.glob("*.jsonl.gz"))), strict=False), 0, 8_000, 20
    ):
        shape = {"type": "live_feed", "feeds": {}, "currentTs": "1765771373598"}
        for line in lines:
            shape["feeds"] |= line["feeds"]
        for key in shape["feeds"]:
            slots.setdefault(key, len(slots))
        assert len(assert_same(from_dict(shape), decoder, slots)) == len(shape["feeds"]) == 7
    assert decoder.bad_rows == 0


def test_columns_are_not_guessed_from_bytes_that_only_look_alike() -> None:
    """Each of these would shift a column if it were taken for what it looks like."""
    rng = random.Random(3)
    plain = [market(rng) for _ in range(3)]
    for odd in (
        varint(5 << 3 | 2) + varint(8) + bytes(8),  # a price as a list of one: the schema does not know it
        varint(6 << 3 | 2) + b"\x01\x07",
        tagged(2, tagged(1, varint(1 << 3 | 2) + b"\x01\x05")),
        tagged(4, tagged(1, varint(6 << 3 | 2) + b"\x01\x05")),
    ):
        feeds = [full.SerializeToString() for full in plain]
        plain[1].ClearField("atp")
        feeds[1] = plain[1].SerializeToString() + odd
        frame = b"\x08\x01" + b"".join(
            tagged(2, tagged(1, key.encode()) + tagged(2, tagged(2, tagged(1, feed))))
            for key, feed in zip(BUSY_KEYS, feeds, strict=False)
        )
        with pytest.raises(NotPlain):
            read(frame, BUSY_SLOTS)
        assert_same(frame, Decoder(BUSY_SLOTS), BUSY_SLOTS)


def test_books_that_nobody_looks_into_are_read_to_the_best_level_whichever_way() -> None:
    """Also when what was not read could not be true; and who looks may change from frame to frame."""
    rng = random.Random(5)
    deep: set[int] = set()
    ways = [Decoder(BUSY_SLOTS, columns_from, deep=deep) for columns_from in (0, 1 << 40)]
    whole = Decoder(BUSY_SLOTS)
    for number in range(150):
        frame = busy_frame(rng)
        deep.clear()
        deep.update(rng.sample(sorted(BUSY_SLOTS.values()), rng.choice([0, 0, 2, 24])))
        try:
            everything = whole.decode(frame)
        except FrameError:
            continue
        columns, rows = (way.decode(frame) for way in ways)
        assert isinstance(columns, TickBatch)
        assert isinstance(rows, TickBatch)
        assert isinstance(everything, TickBatch)
        for name in ("slot", "mask", *GROUPS):
            assert getattr(columns, name).tolist() == getattr(rows, name).tolist(), (number, name)
        read_all = np.isin(columns.slot, list(deep))
        assert (columns.mask[read_all] == everything.mask[read_all]).all()
        assert (columns.depth[read_all] == everything.depth[read_all]).all()
        assert not columns.depth[~read_all][:, :, 1:].any()
        assert not (columns.mask[~read_all] & Has.GREEKS).any()
        assert ((columns.mask[read_all] & Has.BEST) == 0).all()
    assert ways[0].bad_rows == ways[1].bad_rows
