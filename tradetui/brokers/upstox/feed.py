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
from tradetui.brokers.upstox.deep_book import DeepBook, deep_books
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.key_budget import STANDARD, KeyBudget, Plan
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
from tradetui.brokers.upstox.subscriptions import KeyUse, Subscriptions
from tradetui.domain.errors import AuthError, BrokerError, FeedError, RateLimited, TransportError
from tradetui.domain.events import FeedEvent, FeedState, GapEvent, MarketStatusEvent, TickEvent
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
_COUNTED: Final = (
    "frames",
    "ticks",
    "dropped",
    "reconnects",
    "bad_frames",
    "oversize",
    "duplicates",
    "texts",
    "refusals",
)
_REFUSED_EXTRA: Final = 3
"""Refusals in a row after which one connection less is planned with."""


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
        budget: Most keys by mode, and connections.
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
        budget: KeyBudget = STANDARD,
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
        self._subscriptions = Subscriptions(slots, budget)
        self._changed = [asyncio.Event() for _ in range(budget.lanes)]
        self._count = dict.fromkeys(_COUNTED, 0)
        self._connections: list[Connection | None] = [None] * budget.lanes
        self._up_since_s: list[float | None] = [None] * budget.lanes
        self._lost_ns = [0] * budget.lanes
        self._last_raw = b""
        self._deep: dict[str, DeepBook] = {}
        self._deep_keys: tuple[str, ...] = ()
        self._extras: dict[int, asyncio.Task[None]] = {}
        self._sink: EventSink | None = None
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
        self._sink = sink
        try:
            await self._keep_first(sink)
        finally:
            self._sink = None
            extras = list(self._extras.values())
            self._extras.clear()
            for task in extras:
                task.cancel()
            await asyncio.gather(*extras, return_exceptions=True)

    async def _keep_first(self, sink: EventSink) -> None:
        """The connection that the state of the feed is the state of."""
        failures = 0
        while True:
            self._tell(sink, FeedState.CONNECTING, "", failures + 1)
            self._up_since_s[0] = None
            try:
                await self._session(sink)
            except Lost as lost:
                failures = 1 if self._was_stable() else failures + 1
                self._tell(sink, FeedState.DOWN, lost.reason, failures)
                await self._sleep(self._backoff.pause_s(failures, lost.slow, self._chance()))
            except AuthError as refused:
                self._tell(sink, FeedState.REFUSED, str(refused), failures + 1)
                raise
            else:
                self._tell(sink, FeedState.ENDED, END_OF_RECORDING, failures)
                return

    async def _keep_extra(self, sink: EventSink, lane: int) -> None:
        """A further connection: its loss costs the prices of its own keys, and nothing else.

        One that is refused again and again is given up, and its keys are planned anew.
        """
        failures = refusals = 0
        while True:
            self._up_since_s[lane] = None
            try:
                await self._session(sink, lane)
            except Lost as lost:
                failures = 1 if self._was_stable(lane) else failures + 1
                refusals = refusals + 1 if lost.slow else 0
                log.warning("feed: connection %d: %s", lane + 1, lost.reason)
                if refusals >= _REFUSED_EXTRA:
                    self._give_up(lane)
                    return
                await self._sleep(self._backoff.pause_s(failures, lost.slow, self._chance()))
            except AuthError:
                return  # the first connection meets it too, and says so
            else:
                return

    def _give_up(self, lane: int) -> None:
        """Go on without a connection and those behind it, until the first one is made anew."""
        log.warning("feed: going on with %d of %d connections", lane, self.budget.lanes)
        self._subscriptions.use_lanes(lane)
        for other, task in self._extras.items():
            if other > lane:
                task.cancel()
        self._announce()

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Add instruments or change their mode; only differences are sent."""
        self._subscriptions.want(keys)
        self._announce()

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Drop instruments."""
        self._subscriptions.drop(keys)
        self._announce()

    def follow(self, wanted: Mapping[str, FeedMode]) -> None:
        """Stream exactly these, the most important first; only differences are sent."""
        self._subscriptions.follow(wanted)
        self._announce()

    def _announce(self) -> None:
        """Wake whoever has a difference to send, and open connections that the plan needs."""
        needed = self._subscriptions.lanes
        for lane in range(1, needed):
            task = self._extras.get(lane)
            if self._sink is not None and self._connections[0] is not None and (task is None or task.done()):
                self._extras[lane] = asyncio.create_task(
                    self._keep_extra(self._sink, lane), name=f"feed-connection-{lane + 1}"
                )
        for changed in self._changed:
            changed.set()
        modes = self._subscriptions.plan.modes
        self._deep_keys = tuple(key for key, mode in modes.items() if mode is FeedMode.FULL_D30)
        self._deep = {key: book for key, book in self._deep.items() if key in self._deep_keys}

    def counters(self) -> Mapping[str, int]:
        """Counts since start.

        ``frames`` taken off the wire, ``ticks`` handed on, ``dropped`` (always 0: back-pressure goes to the
        socket), ``reconnects``, ``bad_frames`` (not feed messages), ``oversize`` (too large for one; counted
        among the bad ones too), ``duplicates`` (the very bytes of the frame before), ``bad_rows`` (ticks with a group that could not be true), ``unknown_keys``,
        ``unknown_types``, ``texts`` (text frames), ``refusals`` (requests that the broker refused in words),
        ``lowered`` and ``over_limit`` (keys that do not fit the broker's limits in their mode, or at all).
        """
        decoder = self._decoder
        return {
            **self._count,
            "bad_rows": decoder.bad_rows,
            "unknown_keys": decoder.unknown_keys,
            "unknown_types": decoder.unknown_types,
            "lowered": len(self._subscriptions.plan.lowered),
            "over_limit": len(self._subscriptions.plan.over),
        }

    # ---- beyond the port ---------------------------------------------------------------------------------

    def silent_keys(self, after_s: float = 10.0) -> tuple[str, ...]:
        """Keys subscribed at least ``after_s`` seconds ago on this connection that never had a snapshot."""
        return self._subscriptions.silent(after_s)

    def over_limit_keys(self) -> tuple[str, ...]:
        """Keys that were asked for but do not fit the broker's limits."""
        return self._subscriptions.plan.over

    def plan(self) -> Plan:
        """Who is streamed how."""
        return self._subscriptions.plan

    def key_use(self) -> tuple[KeyUse, ...]:
        """Keys streamed by mode, against the account's limits."""
        return self._subscriptions.use()

    def deep_book(self, key: str) -> DeepBook | None:
        """Thirty levels of an instrument that streams with so many; ``None`` before its first book."""
        return self._deep.get(key)

    def allows(self, mode: FeedMode) -> bool:
        """Whether the account may use a mode at all."""
        return self.budget.limit(mode, mixed=False) > 0

    @property
    def budget(self) -> KeyBudget:
        """What the account may stream."""
        return self._subscriptions.budget

    def reconnect(self, reason: str) -> None:
        """Drop the connections, if there are any, and make them anew: the stall alarm's last resort."""
        for connection in self._connections:
            if connection is not None:
                self._cut(connection, reason)

    def _was_stable(self, lane: int = 0) -> bool:
        """Whether the last attempt made a connection that lasted."""
        since = self._up_since_s[lane]
        return since is not None and loop_s() - since >= self._stable_s

    # ---- one connection ----------------------------------------------------------------------------------

    async def _session(self, sink: EventSink, lane: int = 0) -> None:
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
        self._connections[lane] = connection
        self._up_since_s[lane] = connection.last_byte_s = loop_s()
        self._deep.clear()
        again = self._lost_ns[lane] > 0
        self._count["reconnects"] += again
        self._subscriptions.reconnected(lane)
        if again and lane:
            # The engine sees the gaps of the first connection by its state.
            keys = tuple(self._subscriptions.plan.on(lane))
            sink(GapEvent(self._clock.now_ns(), self._lost_ns[lane], keys))
        helpers = [
            asyncio.create_task(self._send_subscriptions(connection, lane), name="feed-subscriptions"),
            asyncio.create_task(self._watch(connection), name="feed-watch"),
        ]
        if lane == 0:
            self._subscriptions.use_lanes(self.budget.lanes)
            self._tell(sink, FeedState.UP, "", 0)
            self._announce()
        try:
            await self._read(connection, sink)
        except ConnectionClosed as closed:
            if connection.cut_reason:
                raise Lost(connection.cut_reason) from None
            self._count["bad_frames"] += was_too_big(closed)
            self._count["oversize"] += was_too_big(closed)
            if not (self._hosts.is_loopback and is_end_of_recording(closed)):
                raise Lost(goodbye(closed)) from None
        finally:
            self._connections[lane] = None
            self._lost_ns[lane] = self._clock.now_ns()
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

    async def _send_subscriptions(self, connection: Connection, lane: int) -> None:
        """Send the difference between plan and told, now and whenever it changes."""
        changed = self._changed[lane]
        while True:
            changed.clear()
            for request in self._subscriptions.requests(lane):
                await connection.send(request)  # bytes: a binary frame; text frames are ignored
            await changed.wait()

    async def _watch(self, connection: Connection) -> None:
        """Cut a link that shows no sign of life; our pings make a living one answer."""
        while True:
            left = self._dead_after_s - (loop_s() - connection.last_byte_s)
            if left <= 0:
                self._cut(connection, f"no sign of life for {self._dead_after_s:g} s, pings included")
                return
            await asyncio.sleep(left)

    def _cut(self, connection: Connection, reason: str) -> None:
        connection.cut_reason = reason
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
        self._count["duplicates"] += raw == self._last_raw
        self._last_raw = raw
        t_ns = self.last_message_ns = self._clock.now_ns()
        if self._on_frame is not None:
            self._on_frame(t_ns, raw)
        if not isinstance(decoded, TickBatch):
            sink(MarketStatusEvent(t_ns, decoded.status))
        elif len(decoded):
            self._count["ticks"] += len(decoded)
            self._subscriptions.heard(decoded)
            if self._deep_keys:
                self._deep.update(deep_books(raw, self._deep_keys))
            sink(TickEvent(t_ns, decoded))

    def _text(self, message: str) -> None:
        """A text frame is not data; a refusal may come this way (`upstox.md` 3.3)."""
        self._count["texts"] += 1
        try:
            said = json.loads(message)
        except ValueError:
            said = None
        if isinstance(said, dict) and (said.get("error") or said.get("status") == "error"):
            self._count["refusals"] += 1
            what = clean(said.get("method"), 40)
            log.warning("feed: the broker refused %s: %s", what or "a request", clean(said.get("error"), 300))
        else:
            log.info("feed: a text frame of %d characters was ignored", len(message))

    def _tell(self, sink: EventSink, state: FeedState, reason: str, attempt: int) -> None:
        if state is not FeedState.CONNECTING:
            log.debug("feed %s%s%s", state.value, ": " if reason else "", reason)
        sink(FeedEvent(self._clock.now_ns(), state, reason, attempt))
