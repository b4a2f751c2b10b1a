"""The SDK's own portfolio streamer, unmodified but for the host its URL names (`upstox.md` 8.4)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import upstox_client as sdk
import websocket

from tests.fixtures.simulated import Member, write_recording
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

PATIENCE_S = 10


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path))
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


@pytest.fixture
def loopback(member: Member, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Send the SDK's socket to the simulator; the list collects the sockets it opened."""
    opened: list[Any] = []

    class Loop(websocket.WebSocketApp):
        def __init__(self, url: str, **kw: Any) -> None:
            super().__init__(url.replace("wss://api.upstox.com", member.sim.urls.feed), **kw)
            opened.append(self)

    monkeypatch.setattr(websocket, "WebSocketApp", Loop)
    return opened


class Heard:
    """Messages that the streamer's thread delivered, awaited from the test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.opened = asyncio.Event()

    def on_open(self) -> None:
        self._loop.call_soon_threadsafe(self.opened.set)

    def on_message(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, json.loads(text))

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while not got or not wanted(got[-1]):
                got.append(await self._queue.get())
        return got


async def test_the_streamer_follows_the_redirect_and_hears_a_fill(
    member: Member, loopback: list[Any]
) -> None:
    before = set(threading.enumerate())
    configuration = sdk.Configuration()
    configuration.access_token = member.token
    client = sdk.ApiClient(configuration)
    streamer = sdk.PortfolioDataStreamer(client, order_update=True, position_update=True)
    streamer.auto_reconnect(False)
    heard = Heard()
    streamer.on("open", heard.on_open)
    streamer.on("message", heard.on_message)
    streamer.connect()
    await asyncio.wait_for(heard.opened.wait(), PATIENCE_S)
    placed = await member.place(order_type="MARKET", price=0, market_protection=-1, quantity=3)
    (order_id,) = placed.data["order_ids"]
    got = await heard.until(lambda row: row.get("status") == "complete")
    assert {row["order_id"] for row in got if row["update_type"] == "order"} == {order_id}
    assert [row["quantity"] for row in got if row["update_type"] == "position"] == [3]
    streamer.disconnect_valid = True
    # Cut from the far side: its own disconnect() leaves its reader in a ten-second select on a quiet line.
    member.sim.faults.set("drop", {"stream": "portfolio"})
    client.pool.close()
    client.pool.join()
    # Its socket's thread is no daemon: it must end, or it would keep a program alive.
    workers = [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.daemon and "asyncio" not in thread.name
    ]
    for thread in workers:
        await asyncio.to_thread(thread.join, PATIENCE_S)
    assert not any(thread.is_alive() for thread in workers)
