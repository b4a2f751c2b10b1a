from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse, MarketStatus, RequestMode, Type
from tradetui.simulator.feed import ENTRY_PATH, SOCKET_PATH
from tradetui.simulator.feed_connection import SLOW_BYTES
from tradetui.simulator.feed_wire import Cutter, frame, varint
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.recording import RECORDER_LAG_MS
from tradetui.simulator.worlds.replay import ReplayWorld

SHARE, OPTION, INDEX = "NSE_EQ|INE000A01011", "NSE_FO|99001", "NSE_INDEX|Example 50"
START = ns(date(2026, 11, 20), "09:15")
MS = 1_000_000


def market(ltp: float, vtt: int = 100, *, depth: bool = True, greeks: bool = True, ltpc: bool = True) -> Feed:
    feed = Feed(requestMode=RequestMode.full_d5)
    full = feed.fullFeed.marketFF
    if ltpc:
        full.ltpc.ltp, full.ltpc.ltt, full.ltpc.ltq, full.ltpc.cp = ltp, START // MS + vtt, 5, 99.0
    if depth:
        for level in range(5):
            full.marketLevel.bidAskQuote.add(
                bidQ=10, bidP=ltp - 0.05 * level, askQ=20, askP=ltp + 0.05 * level
            )
    if greeks:
        full.optionGreeks.delta, full.optionGreeks.theta = 0.5, -4.0
    full.vtt, full.oi, full.iv, full.atp = vtt, 1300.0, 0.13, ltp
    return feed


def index(ltp: float) -> Feed:
    feed = Feed(requestMode=RequestMode.full_d5)
    feed.fullFeed.indexFF.ltpc.ltp = ltp
    return feed


class Pit:
    """A world whose updates the test makes."""

    def __init__(self, keys: Sequence[str] = (SHARE, OPTION, INDEX)) -> None:
        self.instruments = [
            Instrument(key, key.split("|")[0], "NSE", key, key, InstrumentKind.EQUITY) for key in keys
        ]
        self.snapshots = {key: index(24_500.0) if "INDEX" in key else market(100.0) for key in keys}
        self.start_ns = START
        self.end_ns = None
        self.waits_for_subscriber = False

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        return []

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        return iter(())

    def skip(self, to_ns: int) -> None:
        return None

    def next_ns(self) -> int | None:
        return None

    def snapshot(self, key: str) -> Feed | None:
        return self.snapshots.get(key)

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        return ()

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        return ()

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        return None


def update(t_ms: int, **feeds: Feed) -> WorldUpdate:
    names = {"share": SHARE, "option": OPTION, "index": INDEX}
    return WorldUpdate(START + t_ms * MS, {names[name]: feed for name, feed in feeds.items()})


async def test_market_info_then_snapshot_then_changes(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect(info=False)
        info = await client.next()
        assert info.type == Type.market_info
        assert info.marketInfo.segmentStatus["NSE_EQ"] == MarketStatus.NORMAL_OPEN
        assert info.marketInfo.casMarketStatus["NSE_EQ"].status == "CTS_OPEN"
        assert info.currentTs == START // MS
        await client.ask("sub", [SHARE, INDEX])
        first = await client.next()
        assert first.type == Type.initial_feed
        assert dict(first.feeds) == {SHARE: stage.world.snapshot(SHARE), INDEX: stage.world.snapshot(INDEX)}
        await stage.publish(update(250, share=market(101.0, 120), option=market(9.0)))
        live = await client.next()
        assert live.type == Type.live_feed
        assert dict(live.feeds) == {SHARE: market(101.0, 120)}
        assert live.currentTs == START // MS + 250


async def test_a_late_snapshot_is_the_merged_state(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        await stage.publish(update(100, share=market(102.0, 150, depth=False, greeks=False)))
        await stage.publish(update(200, share=market(0, 0, ltpc=False)))
        client = await stage.connect()
        await client.ask("sub", [SHARE])
        full = (await client.next()).feeds[SHARE].fullFeed.marketFF
        assert (full.ltpc.ltp, full.vtt, len(full.marketLevel.bidAskQuote)) == (102.0, 150, 5)
        assert full.optionGreeks.delta == 0.5


async def test_modes_are_cut_from_the_full_message(stage_for: Any) -> None:
    async with stage_for(Pit(), plus=True) as stage:
        client = await stage.connect()
        seen = {}
        for mode in ("ltpc", "option_greeks", "full_d30"):
            await client.ask("sub", [OPTION, INDEX], mode)
            seen[mode] = (await client.next()).feeds
        full = stage.world.snapshot(OPTION).fullFeed.marketFF
        assert seen["ltpc"][OPTION] == Feed(ltpc=full.ltpc)
        assert seen["ltpc"][INDEX].ltpc.ltp == 24_500.0
        greeks = seen["option_greeks"][OPTION]
        assert greeks.requestMode == RequestMode.option_greeks
        assert greeks.firstLevelWithGreeks.firstDepth == full.marketLevel.bidAskQuote[0]
        assert greeks.firstLevelWithGreeks.optionGreeks == full.optionGreeks
        assert (greeks.firstLevelWithGreeks.vtt, greeks.firstLevelWithGreeks.oi) == (100, 1300.0)
        assert seen["option_greeks"][INDEX].firstLevelWithGreeks.ltpc.ltp == 24_500.0
        assert seen["full_d30"][OPTION].requestMode == RequestMode.full_d30
        deep = seen["full_d30"][OPTION].fullFeed.marketFF.marketLevel.bidAskQuote
        assert len(deep) == 30
        assert list(deep[:5]) == list(full.marketLevel.bidAskQuote)
        assert all(a.bidP > b.bidP and a.askP < b.askP for a, b in pairwise(deep))
        assert not seen["full_d30"][INDEX].fullFeed.HasField("marketFF")


async def test_partial_updates_stay_partial(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE], "full")
        await client.ask("sub", [OPTION], "option_greeks")
        await client.next()
        await client.next()
        await stage.publish(
            update(1, share=market(100.0, depth=False), option=market(9.0, depth=False, ltpc=False))
        )
        feeds = (await client.next()).feeds
        assert not feeds[SHARE].fullFeed.marketFF.HasField("marketLevel")
        first = feeds[OPTION].firstLevelWithGreeks
        assert not first.HasField("firstDepth")
        assert not first.HasField("ltpc")
        assert first.HasField("optionGreeks")


async def test_a_book_change_says_nothing_in_ltpc_mode(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE], None)
        assert (await client.next()).feeds[SHARE].HasField("ltpc")
        await stage.publish(update(1, share=market(101.0, 110)))
        await stage.publish(update(2, share=market(101.0, 110)))
        await stage.publish(update(3, share=market(0, ltpc=False)))
        await stage.publish(update(4, share=market(102.0, 120)))
        assert [(await client.next()).feeds[SHARE].ltpc.ltp for _ in range(2)] == [101.0, 102.0]


async def test_change_mode_and_unsub(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        await client.ask("sub", [SHARE, OPTION], "ltpc")
        await client.next()
        await client.ask("change_mode", [SHARE, INDEX], "full")
        changed = await client.next()
        assert changed.type == Type.initial_feed
        assert list(changed.feeds) == [SHARE]  # the index was never asked for
        assert changed.feeds[SHARE].HasField("fullFeed")
        await client.ask("unsub", [OPTION], None)
        await client.ask("sub", [INDEX], "ltpc")  # an answer to wait for
        await client.next()
        await stage.publish(update(1, share=market(101.0), option=market(11.0)))
        assert list((await client.next()).feeds) == [SHARE]


async def test_mistakes_meet_silence(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        client = await stage.connect()
        good = {"guid": "g", "method": "sub", "data": {"mode": "full", "instrumentKeys": [SHARE]}}
        await client.ws.send_str(json.dumps(good))
        for bad in (
            b"\xff\xfe", b"[]", b"{}", b'{"method":"sub"}', b'{"method":"sub","data":{"instrumentKeys":"X"}}',
            b'{"method":"sub","data":{"instrumentKeys":[1]}}',
            json.dumps({**good, "method": "dance"}).encode(),
            json.dumps({**good, "data": {"mode": "everything", "instrumentKeys": [SHARE]}}).encode(),
            json.dumps({**good, "data": {"mode": "full_d30", "instrumentKeys": [SHARE]}}).encode(),
            json.dumps({**good, "data": {"mode": "full", "instrumentKeys": ["NSE_EQ|NOBODY"]}}).encode(),
        ):  # fmt: skip
            await client.ws.send_bytes(bad)
        await client.ask("sub", [OPTION, "NSE_EQ|NOBODY"])
        assert list((await client.next()).feeds) == [OPTION]
        assert stage.state.counts["feed:malformed"] == 6


async def test_limits_per_mode_cut_silently(stage_for: Any) -> None:
    keys = [f"NSE_EQ|INE{i:06d}011" for i in range(2_100)]
    async with stage_for(Pit(keys)) as stage:
        client = await stage.connect()
        await client.ask("sub", keys, "full")
        assert len((await client.next()).feeds) == 2_000
        other = await stage.connect()
        await other.ask("sub", keys[:60], "full")  # the account's room is used up
        await other.ask("sub", keys[:60], "ltpc")
        assert len((await other.next()).feeds[keys[0]].ltpc.ListFields()) > 0
        assert stage.state.counts["feed:over-limit"] == 160


@pytest.mark.parametrize("plus", [False, True])
async def test_connections_per_user(stage_for: Any, plus: bool) -> None:
    async with stage_for(Pit(), plus=plus) as stage:
        clients = [await stage.connect() for _ in range(5 if plus else 2)]
        assert await stage.refusal() == 403
        await clients[0].ws.close()
        await stage.connect()


async def test_codes_work_once_and_tokens_are_checked(stage_for: Any) -> None:
    async with stage_for(Pit(), speed=0) as stage:
        url = await stage.authorize()
        assert SOCKET_PATH in url
        async with stage.session.ws_connect(url):
            assert await stage.refusal(url) == 403
        stale = await stage.authorize()
        stage.state.tokens._monotonic_ns = lambda: time.monotonic_ns() + 61_000_000_000
        assert await stage.refusal(stale) == 403
        fresh = await stage.authorize()
        stage.state.tokens.revoke()
        assert await stage.refusal(fresh) == 401


async def test_the_entry_redirects(stage_for: Any) -> None:
    async with stage_for(Pit()) as stage:
        entry = stage.base + ENTRY_PATH
        async with stage.session.get(entry, allow_redirects=False) as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {stage.token}"}
        async with stage.session.get(entry, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 302
            location = answer.headers["Location"]
        async with stage.session.ws_connect(location) as ws:
            message = await ws.receive(5)
            assert FeedResponse.FromString(message.data).type == Type.market_info


async def test_session_changes_are_announced(stage_for: Any) -> None:
    pit = Pit()
    pit.start_ns = ns(date(2026, 11, 20), "15:14")
    async with stage_for(pit, speed=0) as stage:
        client = await stage.connect()
        await asyncio.sleep(0)
        told = {}
        for wall in ("15:15", "15:30", "15:40", "15:50", "16:00"):
            stage.state.clock.jump(ns(date(2026, 11, 20), wall))
            info = (await client.next()).marketInfo
            told[wall] = (
                MarketStatus.Name(info.segmentStatus["NSE_EQ"]),
                MarketStatus.Name(info.segmentStatus["NSE_FO"]),
                info.casMarketStatus["NSE_EQ"].status,
            )
        assert told == {
            "15:15": ("NORMAL_OPEN", "NORMAL_OPEN", "CAS_REFERENCE_PRICE"),
            "15:30": ("NORMAL_CLOSE", "NORMAL_OPEN", "CAS_MATCHING"),
            "15:40": ("NORMAL_CLOSE", "NORMAL_CLOSE", "CTS_CLOSE"),
            "15:50": ("CLOSING_START", "NORMAL_CLOSE", "POST_CLOSE_OPEN"),
            "16:00": ("CLOSING_END", "NORMAL_CLOSE", "CTS_CLOSE"),
        }


class TestFaults:
    async def test_403_at_the_handshake_although_authorize_said_200(self, stage_for: Any) -> None:
        async with stage_for(Pit()) as stage:
            stage.state.faults.set("feed-403", {"count": 1})
            assert await stage.refusal() == 403
            await stage.connect()

    async def test_drop_without_goodbye_and_with_a_code(self, stage_for: Any) -> None:
        async with stage_for(Pit()) as stage:
            client = await stage.connect()
            stage.state.faults.set("drop", {"stream": "portfolio"})
            stage.state.faults.set("drop", {"stream": "market"})
            await client.until_closed()
            assert client.ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
            client = await stage.connect()
            stage.state.faults.set("drop", {"code": 1000})
            await client.until_closed()
            assert client.ws.close_code == 1000

    async def test_stall_is_silent_but_alive(self, stage_for: Any) -> None:
        async with stage_for(Pit()) as stage:
            client = await stage.connect()
            await client.ask("sub", [SHARE])
            await client.next()
            stage.state.faults.set("stall")
            await stage.publish(update(1, share=market(101.0)))
            await client.ws.ping(b"there?")
            stage.state.faults.clear("stall")
            await stage.publish(update(2, share=market(102.0)))
            assert (await client.next()).feeds[SHARE].fullFeed.marketFF.ltpc.ltp == 102.0
            assert not client.ws.closed

    async def test_duplicate_disorder_malformed(self, stage_for: Any) -> None:
        async with stage_for(Pit()) as stage:
            client = await stage.connect()
            await client.ask("sub", [SHARE])
            await client.next()
            stage.state.faults.set("duplicate", {"count": 1})
            await stage.publish(update(1, share=market(101.0)))
            stage.state.faults.set("disorder", {"count": 1})
            await stage.publish(update(2, share=market(102.0)))
            await stage.publish(update(3, share=market(103.0)))
            prices = [(await client.next()).feeds[SHARE].fullFeed.marketFF.ltpc.ltp for _ in range(4)]
            assert prices == [101.0, 101.0, 103.0, 102.0]
            stage.state.faults.set("malformed", {"count": 1})
            good = market(104.0)
            await stage.publish(update(4, share=good))
            message = await client.ws.receive(5)
            assert len(message.data) == 48


async def test_a_slow_client_gets_the_newest_state_and_the_rest_is_counted(
    stage_for: Any, wait_for: Callable[..., Any]
) -> None:
    """In paced time nobody waits for a client; it loses the steps in between, never the last word."""
    keys = [f"NSE_EQ|INE{i:06d}011" for i in range(1_000)]
    async with stage_for(Pit(keys), speed=1.0) as stage:
        client = await stage.connect()
        await client.ask("sub", keys)
        await client.next()
        connection = stage.hub._connections[0]
        client.ws._reader._protocol.pause_reading()  # a client that has stopped reading
        rounds = 0
        while not connection.conflated:
            rounds += 1
            feeds = dict.fromkeys(keys, market(100.0 + rounds, 100 + rounds))
            await asyncio.wait_for(stage.publish(WorldUpdate(START + rounds * MS, feeds)), 1)
            assert rounds < 200
        assert connection._transport.get_write_buffer_size() > SLOW_BYTES
        client.ws._reader._protocol.resume_reading()
        last = 0.0
        while last < 100.0 + rounds:
            frame_ = await client.next()
            last = frame_.feeds[keys[-1]].fullFeed.marketFF.ltpc.ltp
        await wait_for(lambda: not connection.slow)
        assert len(client.of(Type.live_feed)) < rounds
        assert stage.hub.conflated >= len(keys)


async def test_at_full_speed_a_slow_client_is_waited_for(stage_for: Any) -> None:
    keys = [f"NSE_EQ|INE{i:06d}011" for i in range(200)]
    async with stage_for(Pit(keys)) as stage:
        client = await stage.connect()
        await client.ask("sub", keys)
        await client.next()
        client.ws._reader._protocol.pause_reading()
        count = 400  # some 25 MB, more than any buffer on the way holds

        async def publish_all() -> None:
            for number in range(count):
                feeds = dict.fromkeys(keys, market(100.0 + number, number + 1))
                await stage.publish(WorldUpdate(START + number * MS, feeds))

        publisher = asyncio.create_task(publish_all())
        done, _ = await asyncio.wait([publisher], timeout=2)
        assert not done
        client.ws._reader._protocol.resume_reading()
        for number in range(count):
            assert (await client.next()).feeds[keys[-1]].fullFeed.marketFF.ltpc.ltp == 100.0 + number
        await publisher
        assert stage.hub.conflated == 0


async def test_a_recorded_world_waits_arrives_whole_and_says_goodbye(stage_for: Any, tmp_path: Path) -> None:
    for name, key, offset in (("EXMPL", SHARE, 0), ("EXIDX_24500_CE_30_DEC_25", OPTION, 3)):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as stream:
            for i in range(50):
                ltpc = {"ltp": 100.0 + i, "ltt": str(1_765_771_373_000 + i), "ltq": "5", "cp": 99.0}
                feed = {"fullFeed": {"marketFF": {"ltpc": ltpc}}, "requestMode": "full_d5"}
                row = {
                    "rx_ms": 1_765_771_369_000 + 10 * i + offset,
                    "type": "live_feed",
                    "feeds": {key: feed},
                }
                stream.write(json.dumps(row) + "\n")
    async with stage_for(ReplayWorld(tmp_path)) as stage:
        player = asyncio.create_task(stage.play())
        client = await stage.connect()
        assert stage.world.next_ns() == (1_765_771_369_010 + RECORDER_LAG_MS) * MS
        await client.ask("sub", [SHARE])
        await client.ask("sub", [OPTION])  # asked for a moment later, misses nothing
        await client.until_closed()
        await player
        for key in (SHARE, OPTION):
            prices = [f.feeds[key].fullFeed.marketFF.ltpc.ltp for f in client.frames if key in f.feeds]
            assert prices == [100.0 + i for i in range(50)]
        stamps = [frame.currentTs for frame in client.frames]
        assert stamps == sorted(stamps)
        assert stamps[-1] == 1_765_771_369_493 + RECORDER_LAG_MS
        farewell = client.frames[-1]
        assert farewell.type == Type.market_info
        assert set(farewell.marketInfo.segmentStatus.values()) == {MarketStatus.CLOSING_END}
        assert client.ws.close_code == 1000


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1_795_544_999_000])
def test_frames_joined_from_pieces_are_what_the_library_writes(value: int) -> None:
    feeds = {SHARE: market(100.0, value), INDEX: index(1.0)}
    pieces = [Cutter().snapshot(key, feed, "full") for key, feed in feeds.items()]
    for kind in (Type.initial_feed, Type.live_feed):
        assert FeedResponse.FromString(frame(kind, pieces, value)) == FeedResponse(
            type=kind, feeds=feeds, currentTs=value
        )
    assert varint(value) == FeedResponse(currentTs=value).SerializeToString()[1:] or value == 0
