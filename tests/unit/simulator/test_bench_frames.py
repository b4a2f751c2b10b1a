"""The ready-made frames of the measuring world: every instrument in turn, volumes that grow, minutes that agree."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tradetui.commands.bench.server import session_open_ns
from tradetui.domain.errors import UsageError
from tradetui.pb.market_feed_v3_pb2 import FeedResponse, Type
from tradetui.simulator.worlds.bench import BenchWorld

BEGIN_MS = session_open_ns() // 1_000_000 + 600_000
"""Ten minutes in: the messages are made with the first minute of the day as their last finished one."""


def test_frames_go_round_and_tell_of_the_minute_before_as_it_was() -> None:
    world = BenchWorld(session_open_ns(), count=300)
    frames = world.prepared()
    seen: dict[str, int] = defaultdict(int)
    volumes: dict[str, int] = {}
    minutes: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
    told = 0
    for number in range(360):
        t_ms = BEGIN_MS + number * 500
        frame = FeedResponse.FromString(frames.frame(number, t_ms))
        assert (frame.type, frame.currentTs, len(frame.feeds)) == (Type.live_feed, t_ms, 100)
        for key, feed in frame.feeds.items():
            market = feed.fullFeed.marketFF
            seen[key] += 1
            assert market.ltpc.ltt == t_ms
            assert market.vtt > volumes.get(key, 0)
            volumes[key] = market.vtt
            day, minute = market.marketOHLC.ohlc
            assert (day.interval, day.vol, minute.interval) == ("1d", market.vtt, "I1")
            trades = minutes.get((key, minute.ts))
            if trades is not None:
                told += 1
                prices = [price for price, _ in trades]
                assert (minute.open, minute.close) == (prices[0], prices[-1])
                assert (minute.high, minute.low) == (max(prices), min(prices))
                assert minute.vol == sum(size for _, size in trades)
            minutes[key, t_ms - t_ms % 60_000].append((market.ltpc.ltp, market.ltpc.ltq))
    assert len(seen) == 300
    assert set(seen.values()) == {120}
    assert told > 10_000


def test_instruments_must_fill_whole_frames() -> None:
    with pytest.raises(UsageError):
        BenchWorld(session_open_ns(), count=250).prepared()
