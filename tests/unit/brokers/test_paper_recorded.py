"""The paper broker on twenty recorded minutes: its fills against what the recording proves possible."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fixtures.upstox_frames import recorded_frames
from tests.unit.exchange.support import SHARE
from tradetui.brokers.paper import PaperBroker
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.domain.events import Event, FillEvent, OrderUpdate, RequestRefused, TickEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Has, Px, Qty, TickBatch
from tradetui.domain.money import Price, to_money, to_price
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Side
from tradetui.domain.requests import PlaceOrder

KEYS = (
    "NSE_EQ|INE118H01025",
    "NSE_EQ|INE027H01010",
    "NSE_EQ|INE01EA01019",
    "NSE_FO|51414",
    "NSE_FO|51460",
    "NSE_FO|51461",
    "NSE_FO|60166",
)
LATENCY_NS = 150_000_000
EVERY_NS = 30_000_000_000


def instruments() -> list[Instrument]:
    # A paisa as tick: the day's own ticks differ by price and do not matter here.
    return [replace(SHARE, key=key, symbol=key, tick_size=Price(100)) for key in KEYS]


def frames(shared: Path) -> list[TickEvent]:
    decoder = Decoder({key: slot for slot, key in enumerate(KEYS)})
    events, now_ms = [], 0
    for frame in recorded_frames(shared):
        batch = decoder.decode(frame)
        assert isinstance(batch, TickBatch)
        now_ms = max(now_ms, batch.server_ms)
        events.append(TickEvent(now_ms * 1_000_000, batch))
    return events


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> list[TickEvent]:
    return frames(shared_data)


@dataclass
class Sent:
    """An order of the experiment, and what the recording says about it."""

    side: Side
    limit: Price
    due_ns: int
    must_fill: bool = False
    may_fill: bool = False


def run(recorded: list[TickEvent]) -> tuple[list[Event], dict[str, Sent]]:
    """Every thirty seconds: a buy one paisa under the bid and a sell one paisa over the ask, everywhere."""
    out: list[Event] = []
    broker = PaperBroker(instruments(), lambda _i, _t: "CONTINUOUS", capital=to_money(10_000_000_000))
    asyncio.run(broker.start(out.append))
    sent: dict[str, Sent] = {}
    known_ltt = [0] * len(KEYS)
    next_ns = [0] * len(KEYS)
    for event in recorded:
        t_ns, batch = event.t_ns, event.batch
        broker.observe(event)
        for row, slot in enumerate(batch.slot.tolist()):
            ltt, mask = int(batch.qty[row, Qty.LTT_MS]), int(batch.mask[row])
            traded = bool(mask & Has.LTPC) and ltt >= known_ltt[slot]
            last = to_price(float(batch.px[row, Px.LTP])) if traded else None
            known_ltt[slot] = max(known_ltt[slot], ltt)
            if not mask & Has.DEPTH:
                continue
            bid, ask = (to_price(float(batch.depth[row, side, 0])) for side in (0, 2))
            judge(sent, slot, t_ns, bid, ask, last)
            if t_ns >= next_ns[slot] and bid and ask:
                next_ns[slot] = t_ns + EVERY_NS
                for side, limit in ((Side.BUY, Price(bid - 100)), (Side.SELL, Price(ask + 100))):
                    tag = f"{slot}-{len(sent)}"
                    sent[tag] = Sent(side, limit, t_ns + LATENCY_NS)
                    broker.submit(PlaceOrder(t_ns, tag, OrderRequest(KEYS[slot], side, 1, price=limit)))
    return out, sent


def judge(sent: dict[str, Sent], slot: int, t_ns: int, bid: Price, ask: Price, last: Price | None) -> None:
    """Note what one frame proves about orders that had arrived: crossed (must fill) or touched (may)."""
    for tag, order in sent.items():
        if not tag.startswith(f"{slot}-") or t_ns < order.due_ns:
            continue
        far = ask if order.side is Side.BUY else bid
        sign = order.side.sign
        order.must_fill |= bool(far) and sign * far <= sign * order.limit
        order.may_fill |= order.must_fill or (last is not None and sign * last <= sign * order.limit)


def test_fills_are_what_the_recording_proves(recorded: list[TickEvent]) -> None:
    out, sent = run(recorded)
    assert len(sent) > 500
    assert not [event for event in out if isinstance(event, RequestRefused)]
    rejected = [e for e in out if isinstance(e, OrderUpdate) and e.status is OrderStatus.REJECTED]
    assert not rejected
    filled = {event.fill.tag: event.fill for event in out if isinstance(event, FillEvent)}
    for tag, order in sent.items():
        if tag in filled:
            sign = order.side.sign
            assert sign * filled[tag].price <= sign * order.limit
            assert filled[tag].time_ns >= order.due_ns
            assert order.may_fill, (tag, order)
        else:
            assert not order.must_fill, (tag, order)
    # The oracle must have something to say on both sides.
    assert sum(order.must_fill for order in sent.values()) > 100
    assert any(not order.may_fill for order in sent.values())


def test_the_same_recording_gives_the_same_events(recorded: list[TickEvent]) -> None:
    assert run(recorded)[0] == run(recorded)[0]


def test_a_market_order_pays_the_recorded_ask(recorded: list[TickEvent]) -> None:
    out: list[Event] = []
    broker = PaperBroker(
        instruments(), lambda _i, _t: "CONTINUOUS", capital=to_money(1_000_000), latency_ms=0
    )
    asyncio.run(broker.start(out.append))
    asked: Price | None = None
    for event in recorded:
        row = [i for i, slot in enumerate(event.batch.slot.tolist()) if slot == 0]
        if row and event.batch.mask[row[0]] & Has.DEPTH and event.batch.mask[row[0]] & Has.LTPC:
            ask = float(event.batch.depth[row[0], 2, 0])
            if ask:
                asked = to_price(ask)
                market = OrderRequest(KEYS[0], Side.BUY, 1, order_type=OrderType.MARKET)
                broker.submit(PlaceOrder(event.t_ns, "m", market))
                broker.observe(event)
                break
        broker.observe(event)
    (fill,) = [event.fill for event in out if isinstance(event, FillEvent)]
    assert fill.price == asked
