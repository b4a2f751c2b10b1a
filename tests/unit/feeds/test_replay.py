"""Market recordings in process: snapshots first, time made, order kept, the same every time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.feed_server import Collector
from tests.fixtures.upstox_frames import KEYS, SLOTS, full_tick, recorded_frames
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.domain.errors import FeedError
from tradetui.domain.events import FeedEvent, FeedState, TickEvent, TimeEvent
from tradetui.domain.market_data import FrameKind, Px, TickBatch
from tradetui.feeds.replay import NS_PER_S, ReplayFeed, crossed
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse
from tradetui.ports import FeedMode

A, B = KEYS[:2]


@dataclass
class Frame:
    t_ms: int
    feeds: Mapping[str, Feed]


def tick(ltp: float) -> Feed:
    return full_tick(ltp, 1, 1)


FRAMES = [
    Frame(1_000, {A: tick(1.0)}),
    Frame(1_500, {A: tick(2.0), B: tick(10.0)}),
    Frame(1_200, {B: tick(11.0)}),
    Frame(4_100, {A: tick(3.0)}),
]


async def play(frames: list[Frame], **options: object) -> Collector:
    sink = Collector()
    feed = ReplayFeed(lambda: frames, Decoder(SLOTS).decode, **options)  # type: ignore[arg-type]
    feed.subscribe({A: FeedMode.FULL, B: FeedMode.FULL})
    await feed.run(sink)
    return sink


def story(sink: Collector) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    for event in sink.events:
        if isinstance(event, TickEvent):
            told.append((event.t_ns // 1_000_000, event.batch.kind.name, event.batch.px[:, Px.LTP].tolist()))
        elif isinstance(event, TimeEvent):
            told.append((event.t_ns // 1_000_000, "time"))
        elif isinstance(event, FeedEvent):
            told.append((event.t_ns // 1_000_000, event.state.value))
    return told


async def test_snapshots_come_first_time_passes_and_never_runs_back() -> None:
    assert story(await play(FRAMES)) == [
        (1_000, "up"),
        (1_000, "SNAPSHOT", [1.0]),
        (1_500, "SNAPSHOT", [10.0]),
        (1_500, "LIVE", [2.0]),
        (1_500, "LIVE", [11.0]),
        (2_000, "time"),
        (3_000, "time"),
        (4_000, "time"),
        (4_100, "LIVE", [3.0]),
        (4_100, "ended"),
    ]


async def test_server_time_is_event_time() -> None:
    sink = await play(FRAMES)
    assert [event.batch.server_ms for event in sink.ticks] == [1_000, 1_500, 1_500, 1_500, 4_100]


async def test_only_what_is_subscribed_comes_and_comes_back_as_a_snapshot() -> None:
    sink = Collector()
    feed = ReplayFeed(
        lambda: [Frame(1_000 * n, {A: tick(n), B: tick(n)}) for n in range(1, 6)], Decoder(SLOTS).decode
    )
    feed.subscribe({A: FeedMode.FULL})

    def steer(event: object) -> None:
        sink(event)  # type: ignore[arg-type]
        if isinstance(event, TickEvent) and event.t_ns == 2 * NS_PER_S:
            feed.unsubscribe([A, "NSE_EQ|nobody"])
        if isinstance(event, TimeEvent) and event.t_ns == 4 * NS_PER_S:
            feed.subscribe({A: FeedMode.FULL})

    await feed.run(steer)
    assert [(event.t_ns // NS_PER_S, event.batch.kind) for event in sink.ticks] == [
        (1, FrameKind.SNAPSHOT), (2, FrameKind.LIVE), (4, FrameKind.SNAPSHOT), (5, FrameKind.LIVE),
    ]  # fmt: skip
    assert feed.counters()["ticks"] == 4


async def test_the_pace_follows_the_recording() -> None:
    now = 100.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    sink = await play(FRAMES, speed=2.0, now_s=lambda: now, sleep=sleep)
    assert slept == pytest.approx([0.25, 1.3])
    assert story(sink) == story(await play(FRAMES))


async def test_a_slow_taker_is_not_waited_for_twice() -> None:
    now = 0.0

    def late() -> float:
        nonlocal now
        now += 10.0
        return now

    async def sleep(seconds: float) -> None:
        raise AssertionError("nothing to wait for: we are late")

    assert len((await play(FRAMES, speed=1.0, now_s=late, sleep=sleep)).ticks) == 5


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_senseless_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        ReplayFeed(list, Decoder(SLOTS).decode, speed=speed)


async def test_the_clock_is_moved_before_each_event() -> None:
    moved: list[int] = []
    told: list[int] = []
    feed = ReplayFeed(lambda: FRAMES, Decoder(SLOTS).decode, on_time=moved.append)
    feed.subscribe({A: FeedMode.FULL})
    await feed.run(lambda event: told.append(moved[-1] - event.t_ns))
    assert moved == sorted(moved)
    assert set(told) == {0}


async def test_a_frame_that_cannot_be_decoded_is_counted() -> None:
    decoder = Decoder(SLOTS)
    seen = 0

    def picky(raw: bytes) -> TickBatch:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise FeedError("no")
        batch = decoder.decode(raw)
        assert isinstance(batch, TickBatch)
        return batch

    feed = ReplayFeed(lambda: FRAMES, picky)
    feed.subscribe({A: FeedMode.FULL})
    await feed.run(lambda event: None)
    counters = feed.counters()
    assert (counters["frames"], counters["ticks"], counters["bad_frames"]) == (3, 2, 1)


async def test_an_empty_recording_ends() -> None:
    sink = await play([])
    assert sink.states == [FeedState.ENDED]


async def test_full_speed_leaves_turns_for_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await play([Frame(n, {A: tick(1.0)}) for n in range(1, 2_000)])
    task.cancel()
    assert turns >= 2_000 // 64


@pytest.mark.parametrize(
    ("before_s", "now_s", "expected"),
    [
        (1.0, 1.9, []),
        (1.0, 2.0, [2]),
        (1.9, 4.5, [2, 3, 4]),
        (0.0, 3_600.0, list(range(1, 3_601))),
        (30.0, 3_661.5, [60 * n for n in range(1, 62)] + [3_661]),
        (0.0, 7_200.0, [60 * n for n in range(1, 120)] + [7_200]),
    ],
)
def test_seconds_that_passed(before_s: float, now_s: float, expected: list[int]) -> None:
    got = [t_ns / NS_PER_S for t_ns in crossed(int(before_s * NS_PER_S), int(now_s * NS_PER_S))]
    assert got == expected


async def test_the_recorded_twenty_minutes_are_the_same_every_time(shared_data: Path) -> None:
    frames = []
    for raw in recorded_frames(shared_data):
        message = FeedResponse.FromString(raw)
        frames.append(Frame(message.currentTs, dict(message.feeds)))
    slots = {key: slot for slot, key in enumerate(sorted({key for frame in frames for key in frame.feeds}))}

    async def digest(jitter: bool) -> tuple[str, Mapping[str, int]]:
        seen = hashlib.sha256()
        feed = ReplayFeed(lambda: frames, Decoder(slots).decode)
        feed.subscribe(dict.fromkeys(slots, FeedMode.FULL))

        def sink(event: object) -> None:
            if isinstance(event, TickEvent):
                batch = event.batch
                for array in (
                    batch.slot,
                    batch.mask,
                    batch.px,
                    batch.qty,
                    batch.depth,
                    batch.greeks,
                    batch.day,
                ):
                    seen.update(array.tobytes())
            seen.update(repr((type(event).__name__, event.t_ns)).encode())  # type: ignore[attr-defined]

        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(50 if jitter else 0)]
        await feed.run(sink)
        await asyncio.gather(*tasks)
        return seen.hexdigest(), feed.counters()

    first, counters = await digest(jitter=False)
    second, _ = await digest(jitter=True)
    assert first == second
    assert counters["ticks"] == 10_113
    assert counters["bad_frames"] == 0
