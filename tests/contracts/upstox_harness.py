"""The Upstox broker under the contract suite: REST and portfolio stream of a real simulator over loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from tests.contracts.harness import Harness, Level
from tests.fixtures.scripted_world import Market, scripted_market
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.link import Backoff
from tradetui.domain.events import Event
from tradetui.domain.order import OrderRequest

PATIENCE_S = 15.0


class _ExchangeClock:
    """Engine time is the simulated exchange's."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def now_ns(self) -> int:
        return self._market.now_ns()

    async def sleep_until(self, t_ns: int) -> None:
        await self._market.sim.state.clock.wait_until(t_ns)


class UpstoxHarness(Harness):
    """Also the tool of the Upstox broker's own tests."""

    broker: UpstoxBroker
    market: Market
    api: UpstoxApi

    def __init__(self, read_s: float = 5.0) -> None:
        self.events = []
        self.read_s = read_s
        self.notes: list[object] = []
        self._heard = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    def now_ns(self) -> int:
        return self.market.now_ns()

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._heard.set()

    async def open_market(self) -> None:
        """The simulator alone, before the broker connects."""
        self.market = await self._stack.enter_async_context(scripted_market())
        self.instruments = self.market.world.instruments
        api = UpstoxApi(self.market.hosts, self.market.token(), read_s=self.read_s, note=self.notes.append)
        self.api = api
        # Short pauses, so that a test of a reconnect takes milliseconds.
        self.broker = UpstoxBroker(api, _ExchangeClock(self.market), backoff=Backoff(0.01, 0.05, 0.05))

    async def start(self) -> None:
        await self.open_market()
        await self.broker.start(self.hear)

    async def stop(self) -> None:
        await self.broker.close()
        await self._stack.aclose()

    async def set_book(self, key: str, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.market.book(key, bids, asks)

    async def print_trade(self, key: str, price: float, qty: int) -> None:
        self.market.print_trade(key, price, qty)

    async def elsewhere(self, request: OrderRequest) -> str:
        reply = self.market.venue.place(request, "")
        assert reply.refusal is None, reply.refusal
        return reply.order_id

    async def close_market(self) -> None:
        # From ten in the morning to eight in the evening: long after the close, within the hours of the order API.
        await self.advance(10 * 3600)

    def lose_answer(self, path: str) -> None:
        self.market.fault("lost-ack-after", count=1, path=path)

    async def advance(self, seconds: float) -> None:
        await self.market.sim.jump(self.now_ns() + int(seconds * 1e9))

    async def until(self, predicate: Callable[[list[Event]], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not predicate(self.events):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen; last events: {self.events[-6:]}") from None
