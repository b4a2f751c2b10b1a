"""A market feed on real sockets around any world, without the rest of the broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tradetui.domain.calendar import Calendar
from tradetui.pb.market_feed_v3_pb2 import FeedResponse, Type
from tradetui.simulator.board import Board
from tradetui.simulator.clock import SimClock
from tradetui.simulator.faults import Faults
from tradetui.simulator.feed import ENTRY_PATH, FeedHub
from tradetui.simulator.state import App, SimOptions, SimState, Urls
from tradetui.simulator.tokens import Tokens
from tradetui.simulator.worlds.base import World, WorldUpdate


@dataclass
class Client:
    """A socket to the feed, with what it has received so far."""

    ws: aiohttp.ClientWebSocketResponse
    frames: list[FeedResponse] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def ask(self, method: str, keys: list[str], mode: str | None = "full") -> None:
        data: dict[str, Any] = {"instrumentKeys": keys}
        if mode is not None:
            data["mode"] = mode
        await self.ws.send_bytes(json.dumps({"guid": "g", "method": method, "data": data}).encode())

    async def next(self, timeout: float = 5) -> FeedResponse:
        message = await self.ws.receive(timeout)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        self.raw.append(message.data)
        self.frames.append(FeedResponse.FromString(message.data))
        return self.frames[-1]

    async def until_closed(self) -> None:
        with contextlib.suppress(AssertionError):
            while True:
                await self.next()

    def of(self, kind: Type) -> list[FeedResponse]:
        return [frame for frame in self.frames if frame.type == kind]


@dataclass
class Stage:
    """A feed hub with its world, driven by the test."""

    state: SimState
    world: World
    board: Board
    hub: FeedHub
    session: aiohttp.ClientSession
    base: str
    token: str

    async def authorize(self, token: str | None = None) -> str:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.session.get(f"{self.base}{ENTRY_PATH}/authorize", headers=headers) as answer:
            body = await answer.json()
        assert body["data"]["authorizedRedirectUri"] == body["data"]["authorized_redirect_uri"]
        url: str = body["data"]["authorized_redirect_uri"]
        return url

    async def connect(self, *, info: bool = True) -> Client:
        client = Client(await self.session.ws_connect(await self.authorize(), max_msg_size=0))
        if info:
            assert (await client.next()).type == Type.market_info
        return client

    async def refusal(self, url: str | None = None) -> int:
        """HTTP status with which a handshake is refused."""
        url = (url or await self.authorize()).replace("ws://", "http://")
        headers = {
            "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        async with self.session.get(url, headers=headers) as answer:
            return answer.status

    async def publish(self, update: WorldUpdate) -> None:
        self.board.apply(update)
        await self.hub.publish(update)

    async def play(self) -> None:
        """Play the world to its end as the simulator does at full speed."""
        await self.hub.wait_for_subscriber()
        while (t_ns := self.world.next_ns()) is not None:
            await self.state.clock.drive_to(t_ns)
            for update in self.world.advance(t_ns):
                await self.publish(update)
        await self.hub.finish()


StageFactory = Callable[..., AbstractAsyncContextManager[Stage]]


@contextlib.asynccontextmanager
async def open_stage(world: World, *, speed: float | None = None, plus: bool = False) -> AsyncIterator[Stage]:
    clock = SimClock(world.start_ns, speed=speed)
    state = SimState(
        options=SimOptions(),
        clock=clock,
        faults=Faults(),
        tokens=Tokens(clock.now_ns),
        app=App("key", "secret", "http://127.0.0.1/callback"),
        urls=Urls("", "", "", "", ""),
    )
    board = Board(world)
    hub = FeedHub(state, world, board, Calendar.default(), plus=plus)
    app = web.Application()
    hub.add_rest_routes(app.router)
    hub.add_feed_routes(app.router)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(shutdown_timeout=0.1)
    base = str(server.make_url("")).rstrip("/")
    state.urls = Urls(base, base, base.replace("http", "ws"), base, base)
    hub.start()
    async with aiohttp.ClientSession() as session:
        try:
            yield Stage(state, world, board, hub, session, base, state.tokens.issue_token())
        finally:
            await hub.close()
            await server.close()


@pytest.fixture
def stage_for() -> StageFactory:
    """Open a feed around a world: ``async with stage_for(world) as stage``."""
    return open_stage


async def eventually(condition: Callable[[], bool], timeout: float = 5) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """`eventually`, for tests that wait for the other side of a socket."""
    return eventually
