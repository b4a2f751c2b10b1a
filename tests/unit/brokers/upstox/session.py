"""The Upstox broker over a simulator with the order manager on top, as the engine has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.contracts.upstox_harness import UpstoxHarness
from tests.unit.exchange.support import SHARE, order
from tradetui.domain.events import (
    AccountSnapshot,
    Event,
    FillEvent,
    GttUpdate,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.order import Order, OrderStatus, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.execution.manager import OrderManager

KEY = SHARE.key


class Session(UpstoxHarness):
    """A harness with the order manager on top, as the engine has it."""

    def __init__(self, read_s: float = 5.0) -> None:
        super().__init__(read_s)
        self.portfolio = Portfolio()
        self.manager = OrderManager(self.portfolio, self.submit, lambda kind, data: None, "t-")

    def hear(self, event: Event) -> None:
        match event:
            case OrderUpdate():
                self.manager.on_update(event)
            case RequestAccepted():
                self.manager.on_accepted(event)
            case RequestRefused():
                self.manager.on_refused(event)
            case RequestUnknown():
                self.manager.on_unknown(event)
            case TagAbsence():
                self.manager.on_absence(event)
            case FillEvent():
                self.manager.on_fill(event)
            case GttUpdate():
                self.manager.on_gtt_update(event)
            case AccountSnapshot():
                self.manager.on_snapshot(event)
        super().hear(event)

    def send(self, side: Side = Side.BUY, qty: int = 10, price: float = 99.0, **more: Any) -> str:
        sent = self.manager.place(order(side, qty, price, **more), self.now_ns())
        assert sent is not None
        return sent.tag

    def order(self, tag: str) -> Order:
        return self.manager.orders[tag]

    async def until_order(self, tag: str, status: OrderStatus) -> Order:
        await self.until(lambda _: self.order(tag).status is status)
        return self.order(tag)

    async def pass_time(self, seconds: float) -> None:
        """Move exchange time on, and let the manager see it."""
        await self.advance(seconds)
        self.manager.on_time(self.now_ns())

    async def lose_stream(self) -> None:
        """Cut the portfolio stream for good."""
        self.market.fault("feed-403")
        self.market.fault("drop", stream="portfolio")
        await self.until_note("stream down")

    async def until_note(self, direction: str) -> None:
        def noted() -> bool:
            return any(isinstance(n, dict) and n.get("dir") == direction for n in self.notes)

        async with asyncio.timeout(10):
            while not noted():  # noqa: ASYNC110 - the journal has no event of its own
                await asyncio.sleep(0.005)

    def truth(self) -> list[tuple[str, int]]:
        """The exchange's own idea of our orders: (status, filled)."""
        return [(one.status.value, one.filled_qty) for one in self.market.venue.orders()]


@contextlib.asynccontextmanager
async def session(read_s: float = 5.0) -> AsyncIterator[Session]:
    made = Session(read_s)
    await made.start()
    made.market.normal(KEY)
    try:
        yield made
    finally:
        made.market.sim.faults.clear()
        await made.stop()
