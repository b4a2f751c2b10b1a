"""The market data feed V3: authorize, redirect, and the protobuf socket (`upstox.md` 3).

Requests are JSON in *binary* frames; text is ignored, and so is everything wrong in a request: the real feed
acknowledges nothing and answers mistakes with silence. A client first gets `market_info`, after each
subscription one `initial_feed`, then `live_feed` frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import WSMsgType, web

from tradetui.domain.calendar import Calendar
from tradetui.pb.market_feed_v3_pb2 import MarketInfo, Type
from tradetui.simulator.board import Board
from tradetui.simulator.faults import Args
from tradetui.simulator.feed_connection import Connection
from tradetui.simulator.feed_wire import MODES, Cutter, aged, frame, info_frame
from tradetui.simulator.market_status import market_info, next_change_ns
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import bearer_of
from tradetui.simulator.worlds.base import World, WorldUpdate

ENTRY_PATH = "/v3/feed/market-data-feed"
SOCKET_PATH = "/market-data-feeder/v3/upstox-developer-api/feeds"

_MS = 1_000_000
_PING_S = 10.0
_SETTLE_S = 0.25
_CLOSE_S = 2.0
_LAST_PONG_S = 300.0
"""Longest wait for a client to have read a recording to its end."""
_YIELD_EVERY = 32
_TICKET = "market"
_LIMITS = {"ltpc": (5000, 2000), "option_greeks": (3000, 2000), "full": (2000, 1500), "full_d30": (50, 1500)}
"""Keys per mode, used alone and mixed with other modes (`upstox.md` 3.2)."""


class FeedHub:
    """Everybody who listens to the market.

    Args:
        state: The simulator's state.
        world: Gives the listed instruments.
        board: Gives the snapshots. Whoever publishes applies the update to it first, in the same breath.
        calendar: Sessions, for `market_info`.
        plus: The account has the paid plan: thirty levels, five connections.
    """

    def __init__(
        self, state: SimState, world: World, board: Board, calendar: Calendar, *, plus: bool = False
    ) -> None:
        self._state = state
        self._clock = state.clock
        self._world = world
        self._board = board
        self._calendar = calendar
        self._plus = plus
        self._connections: list[Connection] = []
        self._cutter = Cutter()
        self._ts_ms = world.start_ns // _MS
        self._ended = False
        self._asked = asyncio.Event()
        self._published = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._listed = {instrument.key for instrument in world.instruments}
        self._closed_conflated = 0
        self._bursts: set[asyncio.Task[None]] = set()
        state.faults.on_sudden("drop", self._drop)
        state.faults.on_sudden("burst", self._burst)

    # ---- life ------------------------------------------------------------------------------------------

    def add_rest_routes(self, router: web.UrlDispatcher) -> None:
        """Routes of the REST listener (behind its guard, which checks the bearer)."""
        router.add_get(ENTRY_PATH + "/authorize", self._authorize)

    def add_feed_routes(self, router: web.UrlDispatcher) -> None:
        """Routes of the feed listener."""
        router.add_get(ENTRY_PATH, self._entry)
        router.add_get(SOCKET_PATH, self._socket)

    def start(self) -> None:
        """Begin to ping, and to announce changes of session."""
        self._tasks = [asyncio.create_task(self._ping_all()), asyncio.create_task(self._watch_sessions())]

    async def close(self) -> None:
        """Stop, and cut whoever is still connected."""
        for task in (*self._tasks, *self._bursts):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for connection in tuple(self._connections):
            connection.release()
            connection.abort()

    # ---- the market ------------------------------------------------------------------------------------

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody listens to any instrument."""
        return any(connection.modes for connection in self._connections)

    @property
    def conflated(self) -> int:
        """Updates that slow clients did not get one by one."""
        return self._closed_conflated + sum(connection.conflated for connection in self._connections)

    def relist(self) -> None:
        """Read the world's instruments anew, after a change of day."""
        self._listed = {instrument.key for instrument in self._world.instruments}

    async def wait_for_subscriber(self) -> None:
        """Return once somebody listens and has finished asking.

        A client may subscribe in several requests, so the last one must be a quarter of a second old, unless
        every listed instrument is already asked for.
        """
        while not self.has_subscribers:
            self._asked.clear()
            await self._asked.wait()
        while not self._all_asked():
            self._asked.clear()
            try:
                await asyncio.wait_for(self._asked.wait(), _SETTLE_S)
            except TimeoutError:
                return

    async def publish(self, update: WorldUpdate) -> None:
        """Send an update to everybody who asked for any of it.

        In paced time this never waits for a client; at full speed it does.
        """
        self._ts_ms = ts_ms = max(self._ts_ms, update.t_ns // _MS)
        full_speed = self._clock.full_speed
        # Who gets what is settled before the first wait: whoever subscribes meanwhile has it in the snapshot.
        for connection, data in list(self._frames(update, ts_ms, full_speed=full_speed)):
            await connection.send(data)
        self._published += 1
        if full_speed and self._published % _YIELD_EVERY == 0:
            # Writes that meet no full buffer never give the loop a turn: let pongs and requests through.
            await asyncio.sleep(0)

    async def broadcast(self, data: bytes) -> None:
        """Send a frame that was made elsewhere to everybody who asked for anything; waits for slow clients."""
        for connection in tuple(self._connections):
            if connection.modes:
                await connection.send(data)

    async def refresh(self) -> None:
        """Send everybody the current state as live data, after the world skipped a stretch of time."""
        self._ts_ms = max(self._ts_ms, self._clock.now_ns() // _MS)
        for connection in tuple(self._connections):
            entries = self._snapshots(connection, connection.modes)
            if entries:
                await connection.send(frame(Type.live_feed, entries, self._ts_ms))

    async def finish(self, reason: str = "end of recording") -> None:
        """The world is over: tell every client that the markets have closed, and close with code 1000."""
        self._ended = True
        info = info_frame(market_info(self._calendar, self._ts_ms * _MS, ended=True), self._ts_ms)
        connections = tuple(self._connections)
        for connection in connections:
            await connection.send(info)
        await asyncio.gather(*(self._dismiss(connection, reason) for connection in connections))

    async def _dismiss(self, connection: Connection, reason: str) -> None:
        """Close once the client has read everything: a close while megabytes wait would lose them."""
        await connection.read_up_to_here(_LAST_PONG_S)
        await connection.close(1000, reason)

    def _frames(
        self, update: WorldUpdate, ts_ms: int, *, full_speed: bool
    ) -> Iterator[tuple[Connection, bytes]]:
        shared: dict[tuple[str, str], bytes] = {}
        for connection in self._connections:
            modes = connection.modes
            if not modes:
                continue
            if not full_speed and connection.slow:
                connection.conflate(update.feeds, self._cutter, ts_ms)
                continue
            entries = []
            for key, feed in update.feeds.items():
                mode = modes.get(key)
                if mode is None:
                    continue
                entry = shared.get((key, mode))
                if entry is None:
                    entry = shared[key, mode] = self._cutter.live(key, feed, mode)
                if entry:
                    entries.append(entry)
            if entries:
                yield connection, frame(Type.live_feed, entries, ts_ms)

    def _all_asked(self) -> bool:
        asked: set[str] = set()
        for connection in self._connections:
            asked.update(connection.modes)
        return asked >= self._listed

    def _now_ms(self) -> int:
        """The exchange's clock for frames that are no update. A recorded world may be standing still."""
        if not self._world.waits_for_subscriber:
            self._ts_ms = max(self._ts_ms, self._clock.now_ns() // _MS)
        return self._ts_ms

    def _info(self) -> MarketInfo:
        return market_info(self._calendar, self._now_ms() * _MS, ended=self._ended)

    # ---- handlers --------------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.Response:
        """`GET /v3/feed/market-data-feed/authorize`: a URL with a one-use code."""
        url = self._socket_url(bearer_of(request.headers.get("Authorization", "")))
        return success({"authorizedRedirectUri": url, "authorized_redirect_uri": url})

    async def _entry(self, request: web.Request) -> web.StreamResponse:
        """`GET /v3/feed/market-data-feed` on the feed host: a redirect to the socket."""
        token = bearer_of(request.headers.get("Authorization", ""))
        if not self._token_ok(token, request.path):
            return ApiError("UDAPI100050", 401).response()
        raise web.HTTPFound(self._socket_url(token))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """The socket itself."""
        ticket = self._state.tokens.redeem_ticket(_TICKET, request.query.get("code", ""))
        self._state.counts["feed:handshake"] += 1
        if self._state.faults.strike("feed-403", request.path) or ticket is None:
            return web.Response(status=403)
        if not self._token_ok(ticket.detail, request.path):
            return web.Response(status=401)
        for status in (423, 429):
            if self._state.faults.strike(f"feed-{status}", request.path):
                return web.Response(status=status)
        if len(self._connections) >= (5 if self._paid else 2):
            return web.Response(status=403)
        ws = web.WebSocketResponse(compress=False, autoping=False, timeout=_CLOSE_S, max_msg_size=1 << 20)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws
        connection = Connection(ws, transport, ticket.detail, self._state.faults, request.path)
        self._connections.append(connection)
        try:
            await connection.send(info_frame(self._info(), self._now_ms()))
            if self._ended:
                await connection.close(1000, "end of recording")
            async for message in ws:
                if message.type is WSMsgType.BINARY:
                    await self._request(connection, message.data)
                elif message.type is WSMsgType.PING:
                    await connection.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    connection.ponged(message.data)
        finally:
            self._connections.remove(connection)
            self._closed_conflated += connection.conflated
            connection.release()
        return ws

    def _token_ok(self, token: str, path: str) -> bool:
        return not self._state.faults.strike("401", path) and self._state.tokens.valid(token)

    def _socket_url(self, token: str) -> str:
        code = self._state.tokens.issue_ticket(_TICKET, token)
        return f"{self._state.urls.feed}{SOCKET_PATH}?requestId={uuid.uuid4()}&code={code}"

    # ---- requests --------------------------------------------------------------------------------------

    async def _request(self, connection: Connection, raw: bytes) -> None:
        """Handle one request. Whatever is wrong with it meets silence."""
        method, mode, keys = _parse(raw)
        self._state.counts[f"feed:{method or 'malformed'}"] += 1
        modes = connection.modes
        if method == "unsub":
            for key in keys:
                modes.pop(key, None)
            return
        if mode not in MODES or (mode == "full_d30" and not self._paid):
            return
        if not self._listed.issuperset(keys):
            # The list may have changed with the day.
            self.relist()
        wanted = [key for key in keys if (key in self._listed if method == "sub" else key in modes)]
        if method not in ("sub", "change_mode") or not wanted:
            return
        granted = self._within_limits(connection, wanted, mode)
        modes.update(dict.fromkeys(granted, mode))
        entries = self._snapshots(
            connection, granted, old=self._state.faults.strike("cached-quote") is not None
        )
        self._asked.set()
        if entries:
            await connection.send(frame(Type.initial_feed, entries, self._now_ms()))

    def _snapshots(self, connection: Connection, keys: Iterable[str], *, old: bool = False) -> list[bytes]:
        """Full states; ``old`` ones are weeks old, as a cache in front of the feed may give them."""
        entries = []
        for key in keys:
            state = self._board.feed(key)
            if state is not None and old:
                state = aged(state)
            if state is not None:
                entries.append(self._cutter.snapshot(key, state, connection.modes[key]))
        return entries

    @property
    def _paid(self) -> bool:
        return self._plus or self._state.faults.active("plus-plan") is not None

    def _within_limits(self, asking: Connection, keys: list[str], mode: str) -> list[str]:
        """The keys that the account's limits leave room for, counted over all its connections."""
        used: Counter[str] = Counter()
        each = self._state.faults.active("keys-by-connection") is not None
        for connection in (asking,) if each else self._connections:
            used.update(connection.modes.values())
        alone, mixed = _LIMITS[mode]
        limit = mixed if any(other != mode and count for other, count in used.items()) else alone
        room = max(0, limit - used[mode])
        if len(keys) > room:
            self._state.counts["feed:over-limit"] += len(keys) - room
        return keys[:room]

    # ---- background ------------------------------------------------------------------------------------

    async def _ping_all(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for connection in tuple(self._connections):
                if not self._state.tokens.valid(connection.token):
                    connection.abort()
                else:
                    await connection.ping()

    async def _watch_sessions(self) -> None:
        last = self._info()
        while True:
            await self._clock.wait_until(next_change_ns(self._calendar, self._clock.now_ns()))
            info = market_info(self._calendar, self._clock.now_ns(), ended=self._ended)
            if info.segmentStatus == last.segmentStatus and info.casMarketStatus == last.casMarketStatus:
                continue
            last = info
            for connection in tuple(self._connections):
                await connection.send(info_frame(info, self._now_ms()))

    def _burst(self, args: Args) -> None:
        """The fault of that name: the present state of everything, many times over."""
        task = asyncio.get_running_loop().create_task(self._send_burst(int(args["frames"])))
        self._bursts.add(task)
        task.add_done_callback(self._bursts.discard)

    async def _send_burst(self, frames: int) -> None:
        for number in range(frames):
            for connection in tuple(self._connections):
                entries = self._snapshots(connection, connection.modes)
                if entries:
                    await connection.send(frame(Type.live_feed, entries, self._now_ms()))
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _drop(self, args: Args) -> None:
        """The fault of that name: cut or close the market sockets."""
        if args["stream"] not in ("market", "all"):
            return
        for connection in tuple(self._connections):
            if args["code"]:
                task = asyncio.get_running_loop().create_task(connection.close(int(args["code"])))
                self._tasks.append(task)
            else:
                connection.abort()


def _parse(raw: bytes) -> tuple[str, str, list[str]]:
    """Method, mode and keys of a request; empty method for anything that is not one."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        body: Any = json.loads(raw)
        data = body["data"]
        keys = data["instrumentKeys"]
        if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
            return str(body["method"]), str(data.get("mode") or "ltpc"), list(dict.fromkeys(keys))
    return "", "", []
