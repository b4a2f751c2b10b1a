"""The market data feed V3: one verified web socket, kept open (`upstox.md` 3, cases F).

Each attempt asks for a fresh single-use address (`authorize`), so the bearer goes to the REST host only and
never to the feed's host. A lost connection is tried again without end, with growing, jittered pauses; only
a refused token ends the stream. Life is any byte from the server (a frame, a ping, a pong): a quiet market
is not a dead link. Whether quiet data is wrong for the hour is the engine's question; it has
`UpstoxFeed.last_message_ns`.

Nothing is queued here: a frame is decoded and handed on before the next one is read, and when we are slow the
socket's own window holds the server back, so memory stays bounded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from websockets.exceptions import ConnectionClosed

from tradetui.brokers.upstox.decoder import Decoded, Decoder, FrameError
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.link import (
    END_OF_RECORDING,
    REFUSALS,
    Backoff,
    Connection,
    Lost,
    goodbye,
    is_end_of_recording,
    loop_s,
    open_socket,
    was_too_big,
    words,
)
from tradetui.brokers.upstox.subscriptions import KeyLimits, Subscriptions
from tradetui.domain.errors import AuthError, BrokerError, FeedError, RateLimited, TransportError
from tradetui.domain.events import FeedEvent, FeedState, MarketStatusEvent, TickEvent
from tradetui.domain.market_data import TickBatch
from tradetui.domain.text import clean
from tradetui.ports import Clock, EventSink, FeedMode

log = logging.getLogger(__name__)

_FRAMES_PER_TURN: Final = 1
"""Frames handled before other tasks get a turn. One: a full frame takes milliseconds, and behind sixteen of them an
order waited for 50 ms where it now waits for four (`bench orders` on a busy machine, ADR 0012)."""
_LARGE_FRAME: Final = 8192
"""Bytes from which on others get a turn between decoding a frame and handing it on: half the wait of an order."""
_LOGGED_BAD_FRAMES: Final = 5


class UpstoxFeed:
    """Upstox's market data feed as the `Feed` port.

    Args:
        hosts: Where we talk to; decides which addresses may be opened.
        authorize: Asks the REST host for a fresh feed address. Raises `AuthError` when the token is refused.
        slots: Instrument key to slot; may grow while running.
        clock: Stamps events.
        on_frame: Called with (engine time in ns, raw bytes) for every binary frame, before its event: the
            recorder. Frames that cannot be decoded are passed too.
        on_server_time: Called with the sender's clock (epoch ms) before a frame is stamped, so that the
            engine's clock can follow a simulated exchange.
        backoff: Pauses between attempts.
        limits: Most keys by mode.
        ping_interval_s: Our own pings; they find a half-open link.
        dead_after_s: Without any sign of life for so long, the link is dropped and made anew.
        stable_s: A connection that lasted so long starts the pauses from the beginning.
        open_timeout_s: For connecting and the handshake.
        sleep: Waits between attempts.
        chance: Uniform in [0, 1), for the jitter.
    """

    def __init__(  # one argument for each thing wiring or a test swaps
        self,
        hosts: Hosts,
        authorize: Callable[[], Awaitable[str]],
        slots: Mapping[str, int],
        clock: Clock,
        *,
        on_frame: Callable[[int, bytes], None] | None = None,
        on_server_time: Callable[[int], None] | None = None,
        backoff: Backoff | None = None,
        limits: KeyLimits | None = None,
        ping_interval_s: float = 15.0,
        dead_after_s: float = 25.0,
        stable_s: float = 10.0,
        open_timeout_s: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._hosts = hosts
        self._authorize = authorize
        self._clock = clock
        self._on_frame = on_frame
        self._on_server_time = on_server_time
        self._backoff = backoff or Backoff()
        self._ping_interval_s = ping_interval_s
        self._dead_after_s = dead_after_s
        self._stable_s = stable_s
        self._open_timeout_s = open_timeout_s
        self._sleep = sleep
        self._chance = chance
        self._decoder = Decoder(slots)
        self._subscriptions = Subscriptions(slots, limits)
        self._changed = asyncio.Event()
        self._count = dict.fromkeys(("frames", "ticks", "dropped", "reconnects", "bad_frames", "texts"), 0)
        self._connected_before = False
        self._connection: Connection | None = None
        self._up_since_s: float | None = None
        self._cut_reason = ""
        self.received_ns = 0
        """`time.perf_counter_ns` when the frame being handed on was taken off the socket."""
        self.last_message_ns = 0
        """Engine time of the last binary frame; 0 before the first."""

    # ---- the port ----------------------------------------------------------------------------------------

    async def run(self, sink: EventSink) -> None:
        """Stream until cancelled, or until a simulator's recording is over.

        Raises:
            AuthError: The token was refused, here or at the REST host.
        """
        failures = 0
        while True:
            self._tell(sink, FeedState.CONNECTING, "", failures + 1)
            self._up_since_s = None
            try:
                await self._session(sink)
            except Lost as lost:
                if self._was_stable():
                    failures = 0
                failures += 1
                self._tell(sink, FeedState.DOWN, lost.reason, failures)
                await self._sleep(self._backoff.pause_s(failures, lost.slow, self._chance()))
            except AuthError as refused:
                self._tell(sink, FeedState.REFUSED, str(refused), failures + 1)
                raise
            else:
                self._tell(sink, FeedState.ENDED, END_OF_RECORDING, failures)
                return

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Add instruments or change their mode; only differences are sent."""
        self._subscriptions.want(keys)
        self._changed.set()

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Drop instruments."""
        self._subscriptions.drop(keys)
        self._changed.set()

    def counters(self) -> Mapping[str, int]:
        """Counts since start.

        ``frames`` taken off the wire, ``ticks`` handed on, ``dropped`` (always 0: back-pressure goes to the
        socket), ``reconnects``, ``bad_frames`` (not feed messages), ``bad_rows`` (ticks with a group that
        could not be true), ``unknown_keys``, ``unknown_types``, ``texts`` (text frames), ``over_limit``
        (keys that do not fit the broker's limits).
        """
        decoder = self._decoder
        return {
            **self._count,
            "bad_rows": decoder.bad_rows,
            "unknown_keys": decoder.unknown_keys,
            "unknown_types": decoder.unknown_types,
            "over_limit": len(self._subscriptions.over_limit),
        }

    # ---- beyond the port ---------------------------------------------------------------------------------

    def silent_keys(self, after_s: float = 10.0) -> tuple[str, ...]:
        """Keys subscribed at least ``after_s`` seconds ago on this connection that never had a snapshot."""
        return self._subscriptions.silent(after_s)

    def over_limit_keys(self) -> tuple[str, ...]:
        """Keys that were asked for but do not fit the broker's limits."""
        return tuple(self._subscriptions.over_limit)

    def reconnect(self, reason: str) -> None:
        """Drop the connection, if there is one, and make it anew: the stall alarm's last resort."""
        if self._connection is not None:
            self._cut(self._connection, reason)

    def _was_stable(self) -> bool:
        """Whether the last attempt made a connection that lasted."""
        return self._up_since_s is not None and loop_s() - self._up_since_s >= self._stable_s

    # ---- one connection ----------------------------------------------------------------------------------

    async def _session(self, sink: EventSink) -> None:
        """One connection from authorize to its end. Returns when a simulator's recording is over.

        Raises:
            Lost: It could not be made, or was lost.
            AuthError: The token was refused.
        """
        connection = await open_socket(
            self._hosts,
            await self._address(),
            ping_interval_s=self._ping_interval_s,
            open_timeout_s=self._open_timeout_s,
        )
        self._connection, self._cut_reason = connection, ""
        self._up_since_s = connection.last_byte_s = loop_s()
        self._count["reconnects"] += self._connected_before
        self._connected_before = True
        self._subscriptions.reconnected()
        helpers = [
            asyncio.create_task(self._send_subscriptions(connection), name="feed-subscriptions"),
            asyncio.create_task(self._watch(connection), name="feed-watch"),
        ]
        self._tell(sink, FeedState.UP, "", 0)
        try:
            await self._read(connection, sink)
        except ConnectionClosed as closed:
            if self._cut_reason:
                raise Lost(self._cut_reason) from None
            self._count["bad_frames"] += was_too_big(closed)
            if not (self._hosts.is_loopback and is_end_of_recording(closed)):
                raise Lost(goodbye(closed)) from None
        finally:
            self._connection = None
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await connection.close()

    async def _address(self) -> str:
        """A fresh, checked, single-use address."""
        try:
            return self._hosts.check_stream_url(await self._authorize())
        except AuthError:
            raise
        except (RateLimited, FeedError) as error:
            raise Lost(str(error), slow=True) from None
        except BrokerError as error:
            raise Lost(str(error), slow=error.status in REFUSALS) from None
        except (TransportError, OSError, TimeoutError) as error:
            raise Lost(f"the broker cannot be reached: {words(error)}") from None

    async def _send_subscriptions(self, connection: Connection) -> None:
        """Send the difference between wanted and told, now and whenever it changes."""
        while True:
            self._changed.clear()
            for request in self._subscriptions.requests():
                await connection.send(request)  # bytes: a binary frame; text frames are ignored
            await self._changed.wait()

    async def _watch(self, connection: Connection) -> None:
        """Cut a link that shows no sign of life; our pings make a living one answer."""
        while True:
            left = self._dead_after_s - (loop_s() - connection.last_byte_s)
            if left <= 0:
                self._cut(connection, f"no sign of life for {self._dead_after_s:g} s, pings included")
                return
            await asyncio.sleep(left)

    def _cut(self, connection: Connection, reason: str) -> None:
        self._cut_reason = reason
        connection.transport.abort()

    # ---- frames ------------------------------------------------------------------------------------------

    async def _read(self, connection: Connection, sink: EventSink) -> None:
        """Take frames until the connection ends, which raises `ConnectionClosed`."""
        turn = 0
        while True:
            message = await connection.recv()
            self.received_ns = time.perf_counter_ns()
            if isinstance(message, bytes):
                decoded = self._decode(message)
                if len(message) > _LARGE_FRAME:
                    await asyncio.sleep(0)
                if decoded is not None:
                    self._frame(message, decoded, sink)
            else:
                self._text(message)
            turn += 1
            if turn == _FRAMES_PER_TURN:
                turn = 0
                await asyncio.sleep(0)

    def _decode(self, raw: bytes) -> Decoded | None:
        """One binary frame, decoded; ``None``, said and recorded, when it is not a feed message."""
        self._count["frames"] += 1
        try:
            return self._decoder.decode(raw)
        except FrameError as error:
            self._count["bad_frames"] += 1
            if self._count["bad_frames"] <= _LOGGED_BAD_FRAMES:
                log.warning("feed: %s", error)
            if self._on_frame is not None:
                self._on_frame(self._clock.now_ns(), raw)
            return None

    def _frame(self, raw: bytes, decoded: Decoded, sink: EventSink) -> None:
        """Stamp, record and hand on what a frame holds."""
        if decoded.server_ms and self._on_server_time is not None:
            self._on_server_time(decoded.server_ms)
        t_ns = self.last_message_ns = self._clock.now_ns()
        if self._on_frame is not None:
            self._on_frame(t_ns, raw)
        if not isinstance(decoded, TickBatch):
            sink(MarketStatusEvent(t_ns, decoded.status))
        elif len(decoded):
            self._count["ticks"] += len(decoded)
            self._subscriptions.heard(decoded)
            sink(TickEvent(t_ns, decoded))

    def _text(self, message: str) -> None:
        """A text frame is not data; a refusal may come this way (`upstox.md` 3.3)."""
        self._count["texts"] += 1
        try:
            said = json.loads(message)
        except ValueError:
            said = None
        if isinstance(said, dict) and (said.get("error") or said.get("status") == "error"):
            what = clean(said.get("method"), 40)
            log.warning("feed: the broker refused %s: %s", what or "a request", clean(said.get("error"), 300))
        else:
            log.info("feed: a text frame of %d characters was ignored", len(message))

    def _tell(self, sink: EventSink, state: FeedState, reason: str, attempt: int) -> None:
        if state is not FeedState.CONNECTING:
            log.debug("feed %s%s%s", state.value, ": " if reason else "", reason)
        sink(FeedEvent(self._clock.now_ns(), state, reason, attempt))
