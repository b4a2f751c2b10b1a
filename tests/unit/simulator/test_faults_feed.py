"""The faults of the market feed, frame by frame."""

from __future__ import annotations

import math
from typing import Any

import aiohttp
import pytest
from google.protobuf.message import DecodeError

from tests.unit.simulator.test_feed import SHARE, Pit, market, update
from tradetui.domain.errors import UsageError
from tradetui.pb.market_feed_v3_pb2 import FeedResponse, Type
from tradetui.simulator.faults import Faults
from tradetui.simulator.spoil import FORMS, spoil


def a_frame() -> bytes:
    response = FeedResponse(type=Type.live_feed, currentTs=5)
    response.feeds[SHARE].CopyFrom(market(101.0))
    return response.SerializeToString()


def price_in(data: bytes) -> float:
    return float(FeedResponse.FromString(data).feeds[SHARE].fullFeed.marketFF.ltpc.ltp)


def test_F6_every_form_of_a_bad_frame() -> None:
    good = a_frame()
    bad = {form: spoil(good, form) for form in FORMS}
    assert len(bad["random"]) == 48
    with pytest.raises(DecodeError):
        FeedResponse.FromString(bad["truncated"])
    assert len(bad["huge"]) > 10 << 20
    assert price_in(bad["huge"]) == 101.0
    assert FeedResponse.FromString(bad["enum"]).type == 99
    assert math.isnan(price_in(bad["nan"]))
    assert [price_in(bad[form]) for form in ("zero", "negative", "vast")] == [0.0, -1.0, 1e18]
    with pytest.raises(UsageError):
        spoil(good, "rotten")


async def test_F6_the_form_is_chosen_by_the_switch(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE])
        await client.next()
        stage.state.faults.set("malformed", {"form": "vast", "count": 1})
        await stage.publish(update(1, share=market(101.0)))
        assert (await client.next()).feeds[SHARE].fullFeed.marketFF.ltpc.ltp == 1e18


async def test_F2_a_stall_without_pongs(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        stage.state.faults.set("stall", {"pongs": 0})
        await client.ws.ping(b"there?")
        await client.ask("sub", [SHARE])
        with pytest.raises(TimeoutError):
            await client.ws.receive(0.1)
        stage.state.faults.clear("stall")
        await stage.publish(update(1, share=market(101.0)))
        message = await client.ws.receive(5)
        # The first thing heard is the price, not the pong of before.
        assert message.type is aiohttp.WSMsgType.BINARY


async def test_F5_frames_are_lost(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE])
        await client.next()
        stage.state.faults.set("lost-frames", {"count": 2})
        for number, price in enumerate((101.0, 102.0, 103.0), 1):
            await stage.publish(update(number, share=market(price)))
        assert (await client.next()).feeds[SHARE].fullFeed.marketFF.ltpc.ltp == 103.0


async def test_F7_the_first_quote_may_be_weeks_old(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        stage.state.faults.set("cached-quote", {"count": 1})
        fresh = stage.board.feed(SHARE).fullFeed.marketFF.ltpc.ltt
        await client.ask("sub", [SHARE])
        first = (await client.next()).feeds[SHARE].fullFeed.marketFF.ltpc
        assert fresh - first.ltt == 35 * 86_400_000
        assert stage.board.feed(SHARE).fullFeed.marketFF.ltpc.ltt == fresh


async def test_F8_a_burst_of_frames(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE])
        await client.next()
        stage.state.faults.set("burst", {"frames": 500})
        for _ in range(500):
            assert (await client.next()).type == Type.live_feed


def test_skip_lets_the_first_occasions_through() -> None:
    faults = Faults()
    faults.set("reject", {"skip": 2, "count": 1})
    assert [faults.strike("reject") is not None for _ in range(5)] == [False, False, True, False, False]
    faults.set("reject", {"skip": 1, "every": 2})
    assert [faults.strike("reject") is not None for _ in range(5)] == [False, False, True, False, True]
    with pytest.raises(UsageError):
        faults.set("reject", {"skip": -1})
