"""One client of the market feed: what it asked for, and how frames reach it.

In paced time the feed never waits for a client: while a client's buffer is full its updates are conflated
(the newest state per instrument) and counted. At full speed the feed waits instead, so that a recorded day
arrives whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from aiohttp import web

from tradetui.pb.market_feed_v3_pb2 import Feed, Type
from tradetui.simulator.faults import Faults
from tradetui.simulator.feed_wire import Cutter, frame
from tradetui.simulator.merging import merge
from tradetui.simulator.spoil import spoil

SLOW_BYTES = 1 << 20
"""A client with more than this unread is slow."""

_BUFFER_HIGH = 4 << 20
_RECOVERED_BYTES = 1 << 18
_POLL_S = 0.02
_BARRIER = b"read up to here"


class Connection:
    """A client's socket with its subscriptions.

    Args:
        ws: The open socket.
        transport: What it writes to.
        token: The bearer it came with.
        faults: The switchboard.
        path: Path of the request, for faults that strike by path.
    """

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, token: str, faults: Faults, path: str
    ) -> None:
        self.ws = ws
        self.token = token
        self.modes: dict[str, str] = {}
        self.conflated = 0
        self.frames = 0
        self._transport = transport
        self._faults = faults
        self._path = path
        self._held: bytes | None = None
        self._pending: dict[str, Feed] = {}
        self._pending_ms = 0
        self._flusher: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()
        # Room enough that a write in paced time returns at once; see SLOW_BYTES.
        transport.set_write_buffer_limits(high=_BUFFER_HIGH, low=SLOW_BYTES)

    @property
    def slow(self) -> bool:
        """Whether the client does not keep up."""
        return bool(self._pending) or self._transport.get_write_buffer_size() > SLOW_BYTES

    @property
    def _dead(self) -> bool:
        stall = self._faults.active("stall")
        return stall is not None and not stall["pongs"]

    async def send(self, data: bytes) -> None:
        """Send one frame, with whatever faults are on; a client that has gone is not an error."""
        faults = self._faults
        if faults.active("stall") is not None:
            faults.strike("stall", self._path)
            return
        if faults.strike("lost-frames", self._path):
            return
        if malformed := faults.strike("malformed", self._path):
            data = spoil(data, str(malformed["form"]))
        if faults.strike("disorder", self._path) and self._held is None:
            self._held = data
            return
        await self._write(data)
        if faults.strike("duplicate", self._path):
            await self._write(data)
        if self._held is not None:
            held, self._held = self._held, None
            await self._write(held)

    def conflate(self, feeds: Mapping[str, Feed], cutter: Cutter, ts_ms: int) -> None:
        """Keep only the newest state of each subscribed instrument until the client has caught up."""
        self._pending_ms = ts_ms
        for key, feed in feeds.items():
            if key not in self.modes:
                continue
            state = self._pending.get(key)
            if state is None:
                self._pending[key] = state = Feed()
            else:
                self.conflated += 1
            merge(state, feed)
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_when_read(cutter))

    def abort(self) -> None:
        """Cut the connection without a goodbye; the client sees 1006."""
        self._transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye properly."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.ws.close(code=code, message=reason.encode())

    async def read_up_to_here(self, timeout_s: float) -> None:
        """Return when the client has read everything sent so far: it answers a ping in its turn."""
        self._caught_up.clear()
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            await self.ws.ping(_BARRIER)
            async with asyncio.timeout(timeout_s):
                await self._caught_up.wait()

    def ponged(self, payload: bytes) -> None:
        """The client answered a ping."""
        if payload == _BARRIER:
            self._caught_up.set()

    async def pong(self, payload: bytes) -> None:
        """Answer a ping of the client's, unless the stall is one without pongs."""
        if self._dead:
            return
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.ws.pong(payload)

    async def ping(self) -> None:
        """Send a WebSocket ping; the pong is not insisted on."""
        if self._dead:
            return
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.ws.ping()

    def release(self) -> None:
        """Stop background work; the socket is gone."""
        self._caught_up.set()
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None
        self._pending.clear()

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.ws.send_bytes(data)
            self.frames += 1

    async def _flush_when_read(self, cutter: Cutter) -> None:
        # The transport tells nobody how far its buffer has drained, so ask.
        while self._transport.get_write_buffer_size() > _RECOVERED_BYTES:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        pending, self._pending = self._pending, {}
        self._flusher = None
        entries = [
            cutter.snapshot(key, feed, mode)
            for key, feed in pending.items()
            if (mode := self.modes.get(key)) is not None
        ]
        await self.send(frame(Type.live_feed, entries, self._pending_ms))
