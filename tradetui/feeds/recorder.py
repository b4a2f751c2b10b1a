"""The recorder: every event of a run in the order in which the engine took it, replayable bit for bit.

Frames are kept as the bytes that came off the socket, so a recording also tests the decoder. The file's format is
`storage.recording`'s.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tradetui.domain.events import Event, MarketStatusEvent, TickEvent, TimeEvent
from tradetui.storage.recording import MAX_BYTES, RecordingWriter, RecordKind

_HELD: Final = 1024
_FLUSH_S: Final = 0.5


class InboxRecorder:
    """Records an inbox. Used on the runtime's loop only.

    The feed hands over each raw frame (`hold`) before it hands on the event made of it; the runtime hands over
    each event when the engine takes it (`record`). So the file has the engine's order, with the socket's bytes.

    A disk that fails ends the recording, not the run: see `error`.

    Args:
        path: The file to make; must not exist.
        encode: Any event that is neither a frame nor a `TimeEvent` as bytes.
        now_s: Real seconds: with a `TimeEvent`, but at most every half second, what was recorded goes to the disk.
        lossless: Wait for a slow disk instead of ending.
        max_bytes: Size on the disk at which the recording ends.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[Event], bytes],
        now_s: Callable[[], float] = time.monotonic,
        *,
        lossless: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._encode = encode
        self._now_s = now_s
        self._held: deque[tuple[int, bytes]] = deque(maxlen=_HELD)
        self._flushed_s = 0.0
        self._writer = RecordingWriter(path, lossless=lossless, max_bytes=max_bytes)
        self.missing = 0
        """Frame events whose bytes were never handed over: the recording cannot be replayed exactly."""

    @property
    def error(self) -> str:
        """Why the recording ended early; empty while it goes on."""
        return self._writer.error

    @property
    def records(self) -> int:
        """Records taken."""
        return self._writer.totals.records

    def hold(self, t_ns: int, raw: bytes) -> None:
        """Take the bytes of a frame that was stamped ``t_ns``, before its event is taken."""
        self._held.append((t_ns, raw))

    def record(self, event: Event) -> None:
        """Write an event that the engine is about to take."""
        if isinstance(event, TimeEvent):
            self._writer.put(RecordKind.TIME, event.t_ns)
            now_s = self._now_s()
            if now_s - self._flushed_s >= _FLUSH_S:
                self._flushed_s = now_s
                self._writer.flush()
            return
        if isinstance(event, TickEvent | MarketStatusEvent):
            raw = self._bytes_of(event.t_ns)
            if raw is not None:
                self._writer.put(RecordKind.FRAME, event.t_ns, raw)
                return
            if isinstance(event, TickEvent):
                self.missing += 1
                return
        self._writer.put(RecordKind.EVENT, event.t_ns, self._encode(event))

    def note(self, t_ns: int, payload: bytes) -> None:
        """Write something a replay must know that is not an event."""
        self._writer.put(RecordKind.NOTE, t_ns, payload)

    def settle(self) -> None:
        """Return when everything recorded so far is durable, or the recording has ended. Not on a loop."""
        self._writer.settle()

    def close(self) -> None:
        """Write the end and make the file durable. May be called again."""
        self._writer.close()

    def _bytes_of(self, t_ns: int) -> bytes | None:
        """The newest held frame stamped ``t_ns``; those before it made no event (damaged, unknown keys).

        The feed hands over a frame and at once its event, so of two with the same stamp the newer one is meant.
        """
        found = None
        while self._held and self._held[0][0] <= t_ns:
            stamp, raw = self._held.popleft()
            if stamp == t_ns:
                found = raw
        return found
