"""The paper broker under the contract suite: frames by hand, time by addition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.contracts.harness import Harness, Level
from tests.unit.exchange.support import CALL, FUTURE, INDEX, OPEN_NS, SHARE
from tradetui.brokers.paper import PaperBroker
from tradetui.domain.events import Event, TickEvent, TimeEvent
from tradetui.domain.market_data import FrameKind, Has, Px, Qty, TickBatch
from tradetui.domain.order import OrderRequest
from tradetui.exchange.rules import RuleBook

STEP_S = 0.05
PATIENCE_S = 10.0


class PaperHarness(Harness):
    """Also the tool of the paper broker's own tests."""

    def __init__(self, **broker_args: Any) -> None:
        self.instruments = [SHARE, CALL, FUTURE, INDEX]
        self.events = []
        self.phase = "CONTINUOUS"
        self.t_ns = OPEN_NS
        self._volume: dict[int, int] = {}
        broker_args.setdefault("start_ns", OPEN_NS)
        broker_args.setdefault("rule_book", RuleBook(after_market=True))
        self.broker: PaperBroker = PaperBroker(
            self.instruments, lambda _instrument, _t: self.phase, **broker_args
        )

    def now_ns(self) -> int:
        return self.t_ns

    async def start(self) -> None:
        await self.broker.start(self.events.append)

    async def stop(self) -> None:
        await self.broker.close()

    def slot(self, key: str) -> int:
        return next(slot for slot, found in enumerate(self.instruments) if found.key == key)

    def row(self, key: str, mask: Has, kind: FrameKind = FrameKind.LIVE) -> TickBatch:
        """A frame of one empty row."""
        batch = TickBatch.zeros(kind, self.t_ns // 1_000_000, 1)
        batch.slot[0], batch.mask[0] = self.slot(key), int(mask)
        return batch

    def depth_row(
        self,
        key: str,
        bids: Sequence[Level],
        asks: Sequence[Level],
        mask: Has = Has.DEPTH,
        kind: FrameKind = FrameKind.LIVE,
    ) -> TickBatch:
        batch = self.row(key, mask, kind)
        for side, levels in ((0, bids), (2, asks)):
            for level, (price, qty) in enumerate(levels):
                batch.depth[0, side, level] = price
                batch.depth[0, side + 1, level] = qty
        return batch

    def trade_row(self, key: str, price: float, qty: int, *, vtt: int | None = None) -> TickBatch:
        """A frame with a trade; the day's volume grows by ``qty`` unless ``vtt`` says otherwise."""
        slot = self.slot(key)
        self._volume[slot] = self._volume.get(slot, 10_000) + qty if vtt is None else vtt
        batch = self.row(key, Has.LTPC | Has.FULL)
        batch.px[0, Px.LTP] = price
        batch.qty[0, Qty.LTT_MS] = self.t_ns // 1_000_000
        batch.qty[0, Qty.LTQ] = qty
        batch.qty[0, Qty.VTT] = self._volume[slot]
        return batch

    def see(self, batch: TickBatch, after_s: float = 0.001) -> None:
        """Let time pass a little, then show a frame."""
        self.t_ns += int(after_s * 1e9)
        self.broker.observe(TickEvent(self.t_ns, batch))

    async def set_book(self, key: str, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.see(self.depth_row(key, bids, asks))

    async def print_trade(self, key: str, price: float, qty: int) -> None:
        self.t_ns += 1_000_000
        self.see(self.trade_row(key, price, qty), 0)

    async def elsewhere(self, request: OrderRequest) -> str:
        pytest.skip("nobody else trades on a paper account: it lives in this process")

    async def close_market(self) -> None:
        self.phase = "CLOSED"

    def lose_answer(self, path: str) -> None:
        pytest.skip("no answer gets lost within one process")

    async def advance(self, seconds: float) -> None:
        self.t_ns += int(seconds * 1e9)
        self.broker.observe(TimeEvent(self.t_ns))

    async def until(self, predicate: Callable[[list[Event]], bool]) -> None:
        for _ in range(int(PATIENCE_S / STEP_S)):
            if predicate(self.events):
                return
            await self.advance(STEP_S)
        raise AssertionError(f"did not happen in {PATIENCE_S} s; last events: {self.events[-5:]}")
