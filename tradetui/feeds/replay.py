"""Recordings played back in process: the same events from the same file, at any speed.

Two kinds. A *market recording* (somebody's capture of the feed) has frames only: `ReplayFeed` stamps them with
exchange time and makes the `TimeEvent`s that a runtime's timer would have made. A *recorded inbox* (ours,
`tradetui.feeds.recorder`) has everything the engine took, in order: `recorded_events` gives it back.

How to decode is handed in, because feeds know no broker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from tradetui.domain.errors import FeedError
from tradetui.domain.events import Event, FeedEvent, FeedState, MarketStatusEvent, TickEvent, TimeEvent
from tradetui.domain.market_data import TickBatch
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse, Type
from tradetui.ports import EventSink, FeedMode
from tradetui.storage.recording import InboxRecord, RecordKind

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

_LONG_GAP_S: Final = 3_600
"""In a longer gap (a night between two recorded days) time passes by the minute."""
_FRAMES_PER_TURN: Final = 64
"""Frames played before other tasks get a turn, at full speed."""


class StatusFrame(Protocol):
    """What a decoder makes of a frame without ticks."""

    @property
    def status(self) -> tuple[tuple[str, str], ...]:
        """Segment to the broker's word for its phase."""
        ...


Decode = Callable[[bytes], TickBatch | StatusFrame]
"""A frame into columns. Raises `FeedError` for a frame that is none."""


class Recorded(Protocol):
    """One frame of a market recording."""

    @property
    def t_ms(self) -> int:
        """Exchange time as recorded, epoch ms; may step back."""
        ...

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """Instrument key to its message."""
        ...


class Wire:
    """Makes the wire frames that carry a recorded frame: snapshots of new instruments, then changes.

    Attributes:
        wanted: Instruments that are let through.
    """

    def __init__(self, wanted: Iterable[str] = ()) -> None:
        self.wanted: set[str] = set(wanted)
        self._shown: set[str] = set()

    def forget(self, key: str) -> None:
        """Let an instrument through no more; if it comes back it begins with a snapshot."""
        self.wanted.discard(key)
        self._shown.discard(key)

    def frames(self, feeds: Mapping[str, Feed], server_ms: int) -> Iterator[bytes]:
        """The bytes of one recorded frame, as the broker would have sent them."""
        snapshot: FeedResponse | None = None
        changes: FeedResponse | None = None
        for key, feed in feeds.items():
            if key not in self.wanted:
                continue
            if key not in self._shown:
                self._shown.add(key)
                snapshot = snapshot or FeedResponse(type=Type.initial_feed, currentTs=server_ms)
                snapshot.feeds[key].CopyFrom(feed)
            else:
                changes = changes or FeedResponse(type=Type.live_feed, currentTs=server_ms)
                changes.feeds[key].CopyFrom(feed)
        for message in (snapshot, changes):
            if message is not None:
                # The order of a map differs from process to process; the same recording must give the same bytes.
                yield message.SerializeToString(deterministic=True)


class ReplayFeed:
    """A market recording as the `Feed` port.

    Each subscribed instrument's first frame arrives as a snapshot, as it would from the broker; the others are
    changes. Event time never runs backwards: ``max(previous, recorded)`` (`design.md` 8). Before a frame there
    is a `TimeEvent` for every whole second that passed since the one before it.

    Args:
        frames: Makes a fresh iterator over the recording, in order of time.
        decode: Frame to columns.
        speed: Times real time; ``None`` plays as fast as it is taken.
        on_time: Told the event time (ns) before each event: moves an `EventClock`.
        now_s: Real seconds, for the pace.
        sleep: Waits real seconds.
    """

    def __init__(
        self,
        frames: Callable[[], Iterable[Recorded]],
        decode: Decode,
        *,
        speed: float | None = None,
        on_time: Callable[[int], None] | None = None,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self._frames = frames
        self._decode = decode
        self._speed = speed
        self._on_time = on_time or (lambda t_ns: None)
        self._now_s = now_s
        self._sleep = sleep
        self._wire = Wire()
        self._t_ns = 0
        self._count = dict.fromkeys(("frames", "ticks", "dropped", "reconnects", "bad_frames"), 0)
        self.received_ns = 0
        """`time.perf_counter_ns` when the frame being handed on was read."""

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Let instruments through from now on; all of what was recorded of them, whatever the mode."""
        self._wire.wanted.update(keys)

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Stop letting instruments through; if they come back they begin with a snapshot."""
        for key in keys:
            self._wire.forget(key)

    def counters(self) -> Mapping[str, int]:
        """Counts since start: ``frames``, ``ticks``, ``dropped``, ``reconnects``, ``bad_frames``."""
        return dict(self._count)

    async def run(self, sink: EventSink) -> None:
        """Play the recording to its end, which is announced by `FeedState.ENDED`."""
        began_s = self._now_s()
        first_ns = 0
        for turn, recorded in enumerate(self._frames(), 1):
            t_ns = max(self._t_ns, recorded.t_ms * NS_PER_MS)
            if not first_ns:
                first_ns = self._t_ns = t_ns
                self._say(sink, FeedEvent(t_ns, FeedState.UP))
            if self._speed is not None:
                ahead = (t_ns - first_ns) / NS_PER_S / self._speed - (self._now_s() - began_s)
                if ahead > 0:
                    await self._sleep(ahead)
            for second_ns in crossed(self._t_ns, t_ns):
                self._say(sink, TimeEvent(second_ns))
            self._t_ns = t_ns
            self.received_ns = time.perf_counter_ns()
            for frame in self._wire.frames(recorded.feeds, t_ns // NS_PER_MS):
                self._play(sink, t_ns, frame)
            if turn % _FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
        self._say(sink, FeedEvent(self._t_ns, FeedState.ENDED, "end of recording"))

    def _play(self, sink: EventSink, t_ns: int, frame: bytes) -> None:
        self._count["frames"] += 1
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


def crossed(before_ns: int, now_ns: int) -> Iterator[int]:
    """The whole seconds after ``before_ns`` up to and including ``now_ns``, in ns.

    In a gap of more than an hour only whole minutes, and the last second.
    """
    first, last = before_ns // NS_PER_S + 1, now_ns // NS_PER_S
    if last - first > _LONG_GAP_S:
        for minute in range(-(-first // 60), last // 60 + 1):
            if minute * 60 != last:
                yield minute * 60 * NS_PER_S
        first = last
    for second in range(first, last + 1):
        yield second * NS_PER_S


def market_event(t_ns: int, decoded: TickBatch | StatusFrame) -> TickEvent | MarketStatusEvent | None:
    """A decoded frame as an event; ``None`` when it says nothing (no instrument of ours)."""
    if not isinstance(decoded, TickBatch):
        return MarketStatusEvent(t_ns, decoded.status)
    return TickEvent(t_ns, decoded) if len(decoded) else None


def recorded_events(
    records: Iterable[InboxRecord],
    decode: Decode,
    decode_event: Callable[[bytes], Event],
    on_note: Callable[[bytes], None] | None = None,
) -> Iterator[Event]:
    """A recorded inbox as the events that the engine took, in their order.

    Args:
        records: From an `InboxReader`.
        decode: Frame to columns, with the slots of the recorded run.
        decode_event: The inverse of the recorder's ``encode``.
        on_note: Takes notes as they come (before the events that need them).

    Raises:
        FeedError: A recorded frame cannot be decoded: the decoder is not the one it was recorded with.
    """
    for record in records:
        if record.kind is RecordKind.FRAME:
            event = market_event(record.t_ns, decode(record.payload))
            if event is not None:
                yield event
        elif record.kind is RecordKind.TIME:
            yield TimeEvent(record.t_ns)
        elif record.kind is RecordKind.EVENT:
            yield decode_event(record.payload)
        elif on_note is not None:
            on_note(record.payload)
