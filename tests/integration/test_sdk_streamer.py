"""The SDK's own market streamer, unmodified but for the host its URL names (`upstox.md` 8.4), as the judge."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import upstox_client as sdk
import websocket

from tests.fixtures.simulated import OPTION, SHARE, Member, write_recording
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

PATIENCE_S = 20

pytestmark = [
    # websocket-client follows a redirect without closing the socket that it came from.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
NIFTY = "NSE_INDEX|Nifty 50"
RELIANCE = "NSE_EQ|INE002A01018"


@asynccontextmanager
async def simulated(options: SimOptions) -> AsyncIterator[Member]:
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        yield member


class Judge:
    """The streamer with everything it reported, awaited from the test's loop."""

    def __init__(self, member: Member, keys: list[str], mode: str) -> None:
        self._member = member
        configuration = sdk.Configuration()
        configuration.access_token = member.token
        self.client = sdk.ApiClient(configuration)
        self.streamer = sdk.MarketDataStreamerV3(self.client, keys, mode)
        self.messages: list[dict[str, Any]] = []
        self.events: list[tuple[str, Any]] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._before = set(threading.enumerate())
        self.streamer.on("message", lambda message: self._tell(self.messages, message))
        for name in ("open", "close", "error", "reconnecting", "autoReconnectStopped"):
            self.streamer.on(name, lambda *args, name=name: self._tell(self.events, (name, args)))
        self.streamer.connect()

    def _tell(self, where: list[Any], what: Any) -> None:
        def note() -> None:
            where.append(what)
            self._news.set()

        self._loop.call_soon_threadsafe(note)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def call(self, method: Callable[..., Any], *args: Any) -> None:
        await asyncio.to_thread(method, *args)

    def named(self, name: str) -> list[Any]:
        return [args for event, args in self.events if event == name]

    def feeds(self, key: str, kind: str | None = None) -> list[dict[str, Any]]:
        return [
            message["feeds"][key]
            for message in self.messages
            if key in message.get("feeds", {})
            and (kind is None or message.get("type", "initial_feed") == kind)
        ]

    async def end(self) -> None:
        """End the line, and see that no thread of the SDK stays behind."""
        self.streamer.disconnect_valid = True
        # Cut from the far side: its own disconnect() leaves its reader in a ten-second select on a quiet line.
        self._member.sim.faults.set("drop", {"stream": "market"})
        self.client.pool.close()
        self.client.pool.join()
        workers = [
            thread
            for thread in threading.enumerate()
            if thread not in self._before and not thread.daemon and "asyncio" not in thread.name
        ]
        for thread in workers:
            await asyncio.to_thread(thread.join, PATIENCE_S)
        assert not any(thread.is_alive() for thread in workers)
        gc.collect()  # while the leak that `pytestmark` names is still forgiven


@pytest.fixture
def to_loopback(monkeypatch: pytest.MonkeyPatch) -> Callable[[Member], None]:
    """Send the SDK's sockets to a simulator."""

    def divert(member: Member) -> None:
        class Loop(websocket.WebSocketApp):
            def __init__(self, url: str, **kw: Any) -> None:
                super().__init__(url.replace("wss://api.upstox.com", member.sim.urls.feed), **kw)

        monkeypatch.setattr(websocket, "WebSocketApp", Loop)

    return divert


async def test_a_recorded_day_reaches_the_sdk_whole(
    to_loopback: Callable[[Member], None], tmp_path: Path
) -> None:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path), speed=None)
    async with simulated(options) as member:
        to_loopback(member)
        judge = Judge(member, [SHARE, OPTION], "full")
        await judge.until(lambda: bool(judge.named("close")))
        assert judge.named("close") == [(1000, "end of recording")]
        first, *_, last = judge.messages
        assert first["type"] == last["type"] == "market_info"
        assert first["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
        assert set(last["marketInfo"]["segmentStatus"].values()) == {"CLOSING_END"}
        ticks = Counter(key for message in judge.messages for key in message.get("feeds", {}))
        assert ticks == {SHARE: 36, OPTION: 36}
        assert len(judge.feeds(SHARE, "initial_feed")) == len(judge.feeds(OPTION, "initial_feed")) == 1
        market = judge.feeds(OPTION)[0]["fullFeed"]["marketFF"]
        assert market["optionGreeks"]["delta"] == 0.6
        assert len(market["marketLevel"]["bidAskQuote"]) == 5
        stamps = [int(message["currentTs"]) for message in judge.messages]
        assert stamps == sorted(stamps)
        assert not judge.named("reconnecting")  # a clean goodbye ends the SDK's streamer for good
        await judge.end()


async def test_modes_and_keys_change_on_the_sdks_word(to_loopback: Callable[[Member], None]) -> None:
    options = SimOptions(auto_approve=True, jump_to_open=True, variant="thin", speed=20.0)
    async with simulated(options) as member:
        to_loopback(member)
        judge = Judge(member, [RELIANCE], "ltpc")
        await judge.until(lambda: len(judge.feeds(RELIANCE, "live_feed")) > 3)
        assert all(set(feed) <= {"ltpc", "requestMode"} for feed in judge.feeds(RELIANCE))
        await judge.call(judge.streamer.subscribe, [NIFTY], "full")
        await judge.until(lambda: len(judge.feeds(NIFTY)) > 3)
        assert judge.feeds(NIFTY)[0]["fullFeed"]["indexFF"]["ltpc"]["ltp"] > 10_000
        await judge.call(judge.streamer.change_mode, [RELIANCE], "full")
        await judge.until(lambda: any("fullFeed" in feed for feed in judge.feeds(RELIANCE, "live_feed")))
        await judge.call(judge.streamer.change_mode, [RELIANCE], "option_greeks")
        await judge.until(
            lambda: any("firstLevelWithGreeks" in feed for feed in judge.feeds(RELIANCE, "live_feed"))
        )
        await judge.call(judge.streamer.unsubscribe, [RELIANCE])
        await judge.until(lambda: member.sim.state.counts["feed:unsub"] == 1)
        # One more round trip, so that everything sent before the request was taken has arrived.
        seen = len(judge.feeds(NIFTY, "initial_feed"))
        await judge.call(judge.streamer.subscribe, [NIFTY], "ltpc")
        await judge.until(lambda: len(judge.feeds(NIFTY, "initial_feed")) > seen)
        done = len(judge.feeds(RELIANCE))
        after = len(judge.feeds(NIFTY))
        await judge.until(lambda: len(judge.feeds(NIFTY)) > after + 3)
        assert len(judge.feeds(RELIANCE)) == done
        await judge.end()


async def test_a_cut_line_is_mended_and_subscribed_again(to_loopback: Callable[[Member], None]) -> None:
    options = SimOptions(auto_approve=True, jump_to_open=True, variant="thin", speed=20.0)
    async with simulated(options) as member:
        to_loopback(member)
        judge = Judge(member, [RELIANCE, NIFTY], "full")
        await judge.until(lambda: len(judge.feeds(RELIANCE, "live_feed")) > 3)
        member.sim.faults.set("drop", {"stream": "market"})
        await judge.until(lambda: len(judge.named("open")) == 2)
        await judge.until(lambda: len(judge.feeds(NIFTY, "initial_feed")) == 2)
        seen = len(judge.feeds(RELIANCE))
        await judge.until(lambda: len(judge.feeds(RELIANCE)) > seen + 3)
        assert judge.named("close")[0] == (None, None)
        await judge.end()


async def test_a_refused_handshake_is_given_up_as_the_sdk_does(to_loopback: Callable[[Member], None]) -> None:
    options = SimOptions(auto_approve=True, jump_to_open=True, variant="thin", faults=("feed-403",))
    async with simulated(options) as member:
        to_loopback(member)
        judge = Judge(member, [RELIANCE], "full")
        await judge.until(lambda: bool(judge.named("error")))
        assert "403" in str(judge.named("error")[0][0])
        assert not judge.messages
        await judge.end()
