"""A past day played into the engine: paced, paused, stepped and jumped, always the same events in the same order.

However it is steered, the engine gets one and the same sequence; steering only decides when. So two replays of one
recording with the same acts at the same places write the same journal, at whatever speed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tradetui.domain.calendar import DAY_NS, day_start_ns, ist_date
from tradetui.domain.errors import FeedError, UsageError
from tradetui.domain.events import Event, FeedEvent, FeedState, TickEvent, TimeEvent
from tradetui.domain.replay import MAX_SPEED, Act, ReplayView, Steer, speed_words
from tradetui.feeds.replay import NS_PER_S, Decode, crossed, market_event
from tradetui.ports import EventSink, FeedMode

Moment = tuple[int, "bytes | Event"]
"""Engine time (UTC ns), and a frame as it came off the socket, or another event."""

_TURN_S: Final = 0.01
"""At full speed other tasks get a turn this often."""
_LEAST_WAIT_S: Final = 0.001
_FACTOR: Final = 2.0
_BELOW_MAX: Final = 64.0
"""The first pace below "as fast as it goes"."""
_STEP_NS: Final = {"second": NS_PER_S, "minute": 60 * NS_PER_S}


@dataclass(frozen=True, slots=True)
class Span:
    """What is played.

    Attributes:
        name: For people.
        first_ns, last_ns: Engine time of its first and last frame.
        from_ns: Where pacing begins: what lies before is played at full speed first.
    """

    name: str
    first_ns: int
    last_ns: int
    from_ns: int = 0


class Player:
    """A recording as the `Feed` port, with the means to steer it. Used on the runtime's loop only.

    Every whole second of the recording is a `TimeEvent`, as a runtime's timer would have made it.

    Args:
        span: What is played.
        moments: Makes a fresh iterator over the recording, in order of time.
        decode: Frame to columns.
        prelude: Events before the first frame: bars of earlier days, and the like.
        speed: Times real time; 0 plays as fast as it is taken.
        paused: Stand still at ``span.from_ns`` until told to go on.
        on_time: Told the event time (ns) before each event: moves an `EventClock`.
        on_frame: Told each frame's time and bytes before its event: the recorder of a replay.
        now_s: Real seconds, for the pace.
    """

    def __init__(
        self,
        span: Span,
        moments: Callable[[], Iterable[Moment]],
        decode: Decode,
        *,
        prelude: Sequence[Event] = (),
        speed: float = 1.0,
        paused: bool = False,
        on_time: Callable[[int], None] = lambda t_ns: None,
        on_frame: Callable[[int, bytes], None] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._span = span
        self._moments = moments
        self._decode = decode
        self._prelude = prelude
        self._speed = speed
        self._paused = paused
        self._on_time = on_time
        self._on_frame = on_frame
        self._now_s = now_s
        self._t_ns = span.first_ns
        self._to_ns = max(span.from_ns, span.first_ns)
        self._frames_left = 0
        self._ended = False
        self._anchor: tuple[float, int] | None = None
        self._changed = asyncio.Event()
        self._resting = asyncio.Event()
        self._turn_s = 0.0
        self._count = dict.fromkeys(("frames", "ticks", "dropped", "reconnects", "bad_frames"), 0)
        self.received_ns = 0
        """When the newest frame was handed on: monotonic ns."""

    # --- ports.Feed -----------------------------------------------------------------------------------

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Everything that was recorded is played, whoever asks for it."""

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Nothing: see `subscribe`."""

    def counters(self) -> Mapping[str, int]:
        """Counts since start: ``frames``, ``ticks``, ``dropped``, ``reconnects``, ``bad_frames``."""
        return dict(self._count)

    async def run(self, sink: EventSink) -> None:
        """Play the recording to its end, which is announced by `FeedState.ENDED`."""
        for event in self._prelude:
            self._say(sink, event)
        self._say(sink, FeedEvent(self._t_ns, FeedState.UP))
        for t_ns, what in self._moments():
            t_ns = max(self._t_ns, t_ns)
            for second_ns in crossed(self._t_ns, t_ns):
                if not self._free(second_ns):
                    await self._gate(second_ns)
                self._t_ns = second_ns
                self._say(sink, TimeEvent(second_ns))
            if not self._free(t_ns):
                await self._gate(t_ns)
            self._t_ns = t_ns
            if isinstance(what, bytes):
                self._play(sink, t_ns, what)
                self._frames_left -= self._frames_left > 0
            else:
                self._say(sink, what)
            if self._now_s() - self._turn_s > _TURN_S:
                await asyncio.sleep(0)
                self._turn_s = self._now_s()
        self._ended, self._to_ns = True, 0
        self._resting.set()
        self._say(sink, FeedEvent(self._t_ns, FeedState.ENDED, "end of recording"))

    def _play(self, sink: EventSink, t_ns: int, frame: bytes) -> None:
        self._count["frames"] += 1
        self.received_ns = time.perf_counter_ns()
        if self._on_frame is not None:
            self._on_frame(t_ns, frame)
        try:
            event = market_event(t_ns, self._decode(frame))
        except FeedError:
            self._count["bad_frames"] += 1
            return
        if event is None:
            return
        if isinstance(event, TickEvent):
            self._count["ticks"] += len(event.batch)
        self._say(sink, event)

    def _say(self, sink: EventSink, event: Event) -> None:
        self._on_time(event.t_ns)
        sink(event)

    # --- when -----------------------------------------------------------------------------------------

    def _free(self, t_ns: int) -> bool:
        """Whether the next event may go without a wait."""
        if t_ns <= self._to_ns or self._frames_left:
            self._anchor = None
            return True
        return not self._speed and not self._paused and not self._to_ns

    async def _gate(self, t_ns: int) -> None:
        """Return when the event at ``t_ns`` is due, however often the pace changes until then."""
        while True:
            self._changed.clear()
            if self._to_ns and t_ns > self._to_ns:
                self._to_ns = 0  # arrived
            if self._free(t_ns):
                return
            if self._paused:
                self._anchor = None
                self._resting.set()
                await self._changed.wait()
                self._resting.clear()
                continue
            if self._anchor is None:
                self._anchor = (self._now_s(), self._t_ns)
            since_s, since_ns = self._anchor
            ahead_s = (t_ns - since_ns) / NS_PER_S / self._speed - (self._now_s() - since_s)
            if ahead_s <= _LEAST_WAIT_S:
                return
            try:
                async with asyncio.timeout(ahead_s):
                    await self._changed.wait()
            except TimeoutError:
                return

    # --- steering -------------------------------------------------------------------------------------

    def view(self) -> ReplayView:
        """How it stands."""
        jumping = self._to_ns if self._to_ns > self._t_ns else 0
        span = self._span
        return ReplayView(
            span.name,
            span.first_ns,
            span.last_ns,
            self._t_ns,
            self._speed,
            self._paused,
            jumping,
            self._ended,
        )

    def steer(self, steer: Steer) -> str:
        """Do what was asked; returns it in words.

        Raises:
            UsageError: It cannot be done; the words say why.
        """
        refusal = self.view().refuses(steer)
        if refusal:
            raise UsageError(refusal)
        if steer.act is Act.STATUS:
            return self._words()
        words = self._steer(steer)
        self._anchor = None
        self._changed.set()
        return words

    def _steer(self, steer: Steer) -> str:
        match steer.act:
            case Act.STEP:
                self._paused = True
                if steer.step == "frame":
                    self._frames_left += 1
                else:
                    self._to_ns = max(self._to_ns, self._t_ns + _STEP_NS[steer.step])
                self._resting.clear()
                return f"one {steer.step}"
            case Act.JUMP:
                return self._jump(steer.clock_s)
            case Act.SPEED:
                self._speed = steer.speed
            case Act.FASTER | Act.SLOWER:
                self._speed = _changed(self._speed, faster=steer.act is Act.FASTER)
            case Act.PAUSE:
                # A jump that is under way ends where it is.
                self._paused, self._to_ns, self._frames_left = True, 0, 0
                return "paused"
            case Act.TOGGLE if not self._paused:
                self._paused, self._to_ns = True, 0
                return "paused"
            case _:
                self._paused = False
        self._resting.clear()
        return f"playing at {speed_words(self._speed)}" if not self._paused else self._words()

    def _jump(self, clock_s: int) -> str:
        self._to_ns = self.view().moment_ns(clock_s)
        self._resting.clear()
        return f"jumping to {clock_of(self._to_ns)}"

    def _words(self) -> str:
        return f"{self.view().words} at {clock_of(self._t_ns)}"

    async def rest(self) -> None:
        """Return when it stands still: paused where a step or jump led to, or at the end."""
        await self._resting.wait()


def _changed(speed: float, *, faster: bool) -> float:
    """The next pace up or down; above "as fast as it goes" (0) there is none."""
    if not speed:
        return 0.0 if faster else _BELOW_MAX
    return min(max(speed * (_FACTOR if faster else 1 / _FACTOR), 0.125), MAX_SPEED)


def clock_of(t_ns: int) -> str:
    """Time of day in India."""
    second = (t_ns - day_start_ns(ist_date(t_ns))) % DAY_NS // NS_PER_S
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def in_order(parts: Iterable[Iterable[Moment]]) -> Iterator[Moment]:
    """Several recordings of one day, one after the other."""
    for part in parts:
        yield from part
