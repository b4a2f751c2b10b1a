"""A past day played: however it is steered, the engine gets the same events in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures.feed_server import Collector
from tests.fixtures.upstox_frames import KEYS, SLOTS, frame, full_tick
from tests.unit.feeds.test_replay import story
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.domain.calendar import ns
from tradetui.domain.calendar.ist import ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.events import Event, FeedEvent, FeedState, TickEvent, TimeEvent
from tradetui.domain.replay import Steer, clock_seconds, speed_of, steer_of
from tradetui.feeds.player import Moment, Player, Span

DAY = ist_date(1_765_771_200_000_000_000)
START_NS = ns(DAY, "10:00")
SECOND = 1_000_000_000


def recording(seconds: int = 130) -> list[Moment]:
    """Three frames a second, and the feed lost for a while."""
    moments: list[Moment] = []
    for third in range(seconds * 3):
        t_ns = START_NS + third * SECOND // 3
        moments.append((t_ns, frame({KEYS[0]: full_tick(100 + third / 100, third + 1, third)}, 1)))
        if third == 200:
            moments.append((t_ns, FeedEvent(t_ns, FeedState.DOWN, "lost", 1)))
            moments.append((t_ns + 5, FeedEvent(t_ns + 5, FeedState.UP)))
    return moments


class Played:
    """A player and what it played."""

    def __init__(self, moments: list[Moment] | None = None, from_ns: int = 0, **options: Any) -> None:
        moments = moments or recording()
        self.clock_ns = 0
        self.frames = 0
        self.sink = Collector()
        self.player = Player(
            Span("test", moments[0][0], moments[-1][0], from_ns),
            lambda: iter(moments),
            Decoder(SLOTS).decode,
            on_time=self._moved,
            on_frame=self._seen,
            **options,
        )

    def _moved(self, t_ns: int) -> None:
        assert t_ns >= self.clock_ns
        self.clock_ns = t_ns

    def _seen(self, t_ns: int, raw: bytes) -> None:
        self.frames += 1

    @property
    def story(self) -> list[tuple[object, ...]]:
        return story(self.sink)

    async def steered(self, *lines: str) -> None:
        """Play, and give each line once it stands still."""
        task = asyncio.create_task(self.player.run(self.sink))
        for line in lines:
            await self.player.rest()
            self.do(line)
        await task

    def do(self, line: str) -> str:
        asked = steer_of(line.split())
        assert isinstance(asked, Steer), asked
        return self.player.steer(asked)


async def plain() -> list[tuple[object, ...]]:
    played = Played(speed=0)
    await played.player.run(played.sink)
    return played.story


async def test_every_way_of_playing_gives_the_same_events() -> None:
    whole = await plain()
    assert len(whole) == 390 + 129 + 2 + 2
    assert whole[0][1:] == ("up",)
    assert whole[-1][1:] == ("ended",)
    ways: list[Callable[[Played], Awaitable[None]]] = [
        lambda p: p.steered(),
        lambda p: p.steered("step", "step second", "step minute", "jump 10:01:30", "speed max", "resume"),
        lambda p: p.steered(*["step"] * 380, "resume"),
        lambda p: p.steered("speed 5000", "toggle"),
    ]
    for number, way in enumerate(ways):
        played = Played(speed=20_000.0, paused=number > 0)
        await way(played)
        assert played.story == whole, number
        assert played.frames == 390


async def test_a_step_plays_a_frame_a_second_or_a_minute_and_no_more() -> None:
    played = Played(speed=1.0, paused=True)
    task = asyncio.create_task(played.player.run(played.sink))
    await played.player.rest()
    assert played.frames == 1  # where it starts
    for line, frames in (("step", 2), ("step frame", 3), ("step second", 6), ("step minute", 186)):
        before_ns = played.clock_ns
        played.do(line)
        await played.player.rest()
        assert played.frames == frames
        assert played.player.view().paused
        if line == "step minute":
            assert 59 * SECOND < played.clock_ns - before_ns <= 60 * SECOND
    played.do("speed max")
    played.do("resume")
    await task


async def test_what_lies_before_the_start_is_played_at_once_and_a_jump_lands_where_it_should() -> None:
    played = Played(from_ns=START_NS + 60 * SECOND, speed=0.01, paused=True)
    task = asyncio.create_task(played.player.run(played.sink))
    await played.player.rest()
    assert played.clock_ns == START_NS + 60 * SECOND
    assert played.do("jump 10:01:20") == "jumping to 10:01:20"
    await played.player.rest()
    assert played.clock_ns == START_NS + 80 * SECOND
    view = played.player.view()
    assert (view.words, view.at_ns, view.to_ns) == ("PAUSED", played.clock_ns, 0)
    with pytest.raises(UsageError, match=r"lies behind.*--from 10:01"):
        played.do("jump 10:01")
    with pytest.raises(UsageError, match="after the end"):
        played.do("jump 12:00")
    assert played.do("status") == "PAUSED at 10:01:20"
    played.do("speed max")
    played.do("resume")
    await task
    assert played.player.view().words == "ended"
    with pytest.raises(UsageError, match="has ended"):
        played.do("pause")


async def test_the_pace_is_the_recordings_times_the_speed_and_can_change_on_the_way() -> None:
    moments = recording(4)
    played = Played(moments, speed=40.0)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await played.player.run(played.sink)
    took_s = loop.time() - began_s
    # The last frame is 3.67 s after the first.
    assert took_s >= 3.6 / 40
    slow = Played(moments, speed=0.01)
    began_s = loop.time()
    task = asyncio.create_task(slow.player.run(slow.sink))
    await asyncio.sleep(0)
    slow.do("speed 400")
    await task
    assert loop.time() - began_s < 30, "at a hundredth of real time this takes six minutes"
    assert slow.story == played.story


async def test_at_full_speed_it_can_be_stopped() -> None:
    played = Played(recording(3_000), speed=0)
    task = asyncio.create_task(played.player.run(played.sink))
    while played.frames < 10:  # noqa: ASYNC110 - the player gives turns of its own accord
        await asyncio.sleep(0)
    assert played.do("pause") == "paused"
    await played.player.rest()
    assert played.frames < 9_000
    played.do("resume")
    await task
    assert played.frames == 9_000


async def test_what_comes_first_comes_before_the_first_frame() -> None:
    early: list[Event] = [TimeEvent(START_NS)]
    played = Played(recording(2), speed=0, prelude=early)
    await played.player.run(played.sink)
    kinds = [type(event) for event in played.sink.events[:3]]
    assert kinds == [TimeEvent, FeedEvent, TickEvent]


async def test_a_damaged_frame_is_counted_and_the_day_goes_on() -> None:
    moments = recording(2)
    moments[2] = (moments[2][0], b"\xff\xff not a frame")
    played = Played(moments, speed=0)
    await played.player.run(played.sink)
    assert played.player.counters()["bad_frames"] == 1
    assert len(played.sink.ticks) == 5


async def test_paces_go_up_and_down_by_two() -> None:
    played = Played(speed=1.0, paused=True)
    assert [played.do("faster") for _ in range(2)] == ["PAUSED at 10:00:00"] * 2
    assert played.player.view().speed == 4.0
    for _ in range(9):
        played.do("slower")
    assert played.player.view().speed == 0.125
    played.do("speed max")
    played.do("faster")
    assert played.player.view().speed == 0.0
    played.do("slower")
    assert played.player.view().speed == 64.0


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("", "replay pause"),
        ("fly", "replay pause"),
        ("step hour", "step frame or second or minute"),
        ("jump noon", "no time such as"),
        ("jump 25:00", "no time such as"),
        ("speed 0", "speed from"),
        ("speed nan", "speed from"),
        ("speed", "replay pause"),
        ("pause now", "replay pause"),
    ],
)
def test_what_cannot_be_understood_is_said(line: str, wrong: str) -> None:
    said = steer_of(line.split())
    assert isinstance(said, str)
    assert wrong in said


def test_times_and_paces_are_read_as_people_type_them() -> None:
    assert clock_seconds("9:15") == 33_300
    assert clock_seconds("15:29:59") == 55_799
    assert clock_seconds("15:60") is None
    assert (speed_of("10x"), speed_of("MAX"), speed_of("2.5"), speed_of("-1")) == (10.0, 0.0, 2.5, None)
