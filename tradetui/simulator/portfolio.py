"""The portfolio stream V2: JSON frames for orders, positions and holdings (`upstox.md` 4).

No snapshot and no replay: a client that connects gets what happens from then on. Under the faults
``duplicate`` and ``disorder`` frames come twice, or in swapped pairs, since nothing else is promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiohttp import WSMsgType, web

from tradetui.domain.order import Product
from tradetui.exchange.orders import ExchangeEvent, GttChanged, OrderChanged, OrderState, Traded
from tradetui.simulator.faults import Args
from tradetui.simulator.rest.envelope import ApiError, dumps, success
from tradetui.simulator.rest.gtt_rows import gtt_update
from tradetui.simulator.rest.rows import holding_update, order_update, position_update
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID, bearer_of
from tradetui.simulator.venue import Venue

ENTRY_PATH = "/v2/feed/portfolio-stream-feed"
SOCKET_PATH = "/upstox-developer-api/order-updates/feed"

UPDATE_TYPES = ("order", "gtt_order", "position", "holding")
_TICKET = "portfolio"
_PUSH_AFTER_S = 0.003
"""A push leaves this much after its cause, so that an order's acknowledgement is usually first."""
_PING_S = 10.0
_CLOSE_S = 2.0


class _Client:
    """One socket, its filter, and what waits to be sent to it."""

    def __init__(
        self,
        state: SimState,
        ws: web.WebSocketResponse,
        request: web.Request,
        types: frozenset[str],
        token: str,
    ) -> None:
        self.ws = ws
        self.token = token
        self._state = state
        self._path = request.path
        self._transport = request.transport
        self._types = types
        self._queue: deque[tuple[float, str]] = deque()
        self._filled = asyncio.Event()
        self._held: str | None = None
        self._writer = asyncio.create_task(self._write())

    def push(self, kind: str, text: str) -> None:
        """Queue a frame if the client asked for its kind."""
        if kind in self._types:
            self._queue.append((asyncio.get_running_loop().time(), text))
            self._filled.set()

    def stop(self) -> None:
        """Send nothing more."""
        self._writer.cancel()

    def cut(self) -> None:
        """End the connection without a goodbye; the client sees 1006."""
        self.stop()
        if self._transport is not None:
            self._transport.abort()

    async def _write(self) -> None:
        loop, faults = asyncio.get_running_loop(), self._state.faults
        with contextlib.suppress(ConnectionError, RuntimeError):  # the client left; its handler ends too
            while True:
                while not self._queue:
                    self._filled.clear()
                    await self._filled.wait()
                queued_at, text = self._queue[0]
                late = faults.active("slow-push")
                wait_s = queued_at + (float(late["ms"]) / 1000 if late else _PUSH_AFTER_S) - loop.time()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                self._queue.popleft()
                if not faults.strike("stall", self._path):
                    await self._send(text)

    async def _send(self, text: str) -> None:
        faults = self._state.faults
        if self._held is None and faults.strike("disorder", self._path):
            self._held = text
            return
        await self.ws.send_str(text)
        if faults.strike("duplicate", self._path):
            await self.ws.send_str(text)
        if self._held is not None:
            held, self._held = self._held, None
            await self.ws.send_str(held)


class PortfolioStream:
    """Everybody who listens to the account.

    Args:
        state: The simulator's state.
        venue: Reports what happens to orders, positions and holdings.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._venue = venue
        self._clients: list[_Client] = []
        self._pinger: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[bool]] = set()
        self._oldest: dict[str, Mapping[str, Any]] = {}
        venue.listen(self._hear)
        venue.on_conversion(self._push_positions)
        state.faults.on_sudden("drop", self._drop)

    def add_rest_routes(self, router: web.UrlDispatcher) -> None:
        """Routes of the REST listener, behind its guard."""
        router.add_get(ENTRY_PATH + "/authorize", self._authorize)

    def add_feed_routes(self, router: web.UrlDispatcher) -> None:
        """Routes of the feed listener."""
        router.add_get(ENTRY_PATH, self._entry)
        router.add_get(SOCKET_PATH, self._socket)

    def start(self) -> None:
        """Begin to ping."""
        self._pinger = asyncio.create_task(self._ping())

    async def close(self) -> None:
        """Stop, and cut whoever is still connected."""
        if self._pinger is not None:
            self._pinger.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pinger
        for client in tuple(self._clients):
            client.cut()

    # --- what happens ---------------------------------------------------------------------------------

    def _hear(self, events: Sequence[ExchangeEvent]) -> None:
        if not self._clients:
            return
        missing: set[str] = set()
        for event in events:
            if isinstance(event, OrderChanged):
                if event.order.order_id in missing:
                    missing.discard(event.order.order_id)
                else:
                    self._push_order(event.order)
            elif isinstance(event, GttChanged):
                gtt = event.gtt
                self._push("gtt_order", gtt_update(gtt, self._venue.instruments[gtt.key]))
            elif self._state.faults.strike("missing-fill", SOCKET_PATH) is not None:
                # Nothing of this fill is pushed: not the account's frames, nor the order's that comes next.
                missing.add(event.trade.order_id)
            else:
                self._push_account(event)

    def _push_order(self, order: OrderState) -> None:
        body = order_update(order, self._venue.instruments[order.key])
        self._push("order", body)
        oldest = self._oldest.setdefault(order.order_id, body)
        if oldest is not body and self._state.faults.strike("stale-push", SOCKET_PATH) is not None:
            self._push("order", oldest)

    def _push_account(self, event: Traded) -> None:
        trade = event.trade
        self._push_positions(trade.instrument_key, (trade.product,))
        if trade.product is Product.DELIVERY:
            for holding in self._venue.exchange.holdings(USER_ID):
                if holding.instrument_key == trade.instrument_key:
                    instrument = self._venue.instruments[holding.instrument_key]
                    self._push("holding", holding_update(holding, instrument))

    def _push_positions(self, key: str, products: Collection[Product] = tuple(Product)) -> None:
        """The positions in one instrument, as they stand."""
        if not self._clients:
            return
        for figures in self._venue.day_figures():
            if figures.position.instrument_key == key and figures.position.product in products:
                self._push("position", position_update(figures, self._venue.instruments[key]))

    def _push(self, kind: str, body: Mapping[str, Any]) -> None:
        text = dumps(body)
        for client in self._clients:
            client.push(kind, text)

    # --- handlers ------------------------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.Response:
        url = self._socket_url(request)
        return success({"authorizedRedirectUri": url, "authorized_redirect_uri": url})

    async def _entry(self, request: web.Request) -> web.StreamResponse:
        token = bearer_of(request.headers.get("Authorization", ""))
        if not self._token_ok(token, request.path):
            return ApiError("UDAPI100050", 401).response()
        try:
            url = self._socket_url(request)
        except ApiError as error:
            return error.response()
        raise web.HTTPFound(url)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self._state.counts["portfolio:handshake"] += 1
        ticket = self._state.tokens.redeem_ticket(_TICKET, request.query.get("code", ""))
        faults, path = self._state.faults, request.path
        barred = faults.strike("feed-403", path) or faults.strike("portfolio-403", path)
        if barred or ticket is None:
            return web.Response(status=403)
        types, _, token = ticket.detail.partition(" ")
        if not self._token_ok(token, request.path):
            return web.Response(status=401)
        ws = web.WebSocketResponse(timeout=_CLOSE_S)
        await ws.prepare(request)
        client = _Client(self._state, ws, request, frozenset(types.split(",")), token)
        self._clients.append(client)
        try:
            async for message in ws:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            self._clients.remove(client)
            client.stop()
        return ws

    def _socket_url(self, request: web.Request) -> str:
        """A URL with a one-use code that remembers the filter and the bearer."""
        asked = [kind for kind in request.query.get("update_types", "").split(",") if kind]
        wrong = [kind for kind in asked if kind not in UPDATE_TYPES]
        if wrong:
            raise ApiError("UDAPI100036", property_path="update_types", invalid_value=wrong[0])
        token = bearer_of(request.headers.get("Authorization", ""))
        detail = f"{','.join(dict.fromkeys(asked)) or 'order'} {token}"
        code = self._state.tokens.issue_ticket(_TICKET, detail)
        return f"{self._state.urls.feed}{SOCKET_PATH}?requestId={uuid.uuid4()}&code={code}"

    def _token_ok(self, token: str, path: str) -> bool:
        return not self._state.faults.strike("401", path) and self._state.tokens.valid(token)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for client in tuple(self._clients):
                if not self._state.tokens.valid(client.token):
                    client.cut()  # around 03:30 the real socket is cut, not closed
                    continue
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await client.ws.ping()

    def _drop(self, args: Args) -> None:
        if args["stream"] not in ("portfolio", "all"):
            return
        for client in tuple(self._clients):
            if args["code"]:
                task = asyncio.get_running_loop().create_task(client.ws.close(code=int(args["code"])))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            else:
                client.cut()
