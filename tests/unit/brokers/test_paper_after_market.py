"""Paper orders placed while the market is shut: they wait, survive a restart, and go in at the open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.paper_harness import PaperHarness
from tests.unit.exchange.support import SHARE, order
from tradetui.domain.order import Order, OrderStatus, OrderType, Product, Side

WAITS = "after market order req received"


async def waiting(kind: OrderType) -> tuple[PaperHarness, Order]:
    """An order placed in a shut market, as the engine would know it."""
    harness = PaperHarness()
    await harness.start()
    await harness.normal_market(SHARE.key)
    await harness.close_market()
    price = 101 if kind is OrderType.LIMIT else 0
    request = replace(
        order(Side.BUY, 10, price, product=Product.DELIVERY), order_type=kind, protection_pct=3, amo=True
    )
    tag = harness.place(request)
    await harness.until(lambda _: bool(harness.updates(tag)))
    said = harness.updates(tag)[-1]
    assert (said.status, said.raw_status) == (OrderStatus.PENDING, WAITS)
    known = Order(
        tag,
        request,
        said.status,
        harness.now_ns(),
        harness.now_ns(),
        said.broker_id,
        raw_status=said.raw_status,
    )
    return harness, known


async def opened(harness: PaperHarness, tag: str) -> None:
    """The market opens, and the order fills at what it finds."""
    harness.phase = "CONTINUOUS"
    await harness.normal_market(SHARE.key)
    await harness.until(lambda _: sum(qty for qty, _ in harness.fills(tag)) == 10)
    assert harness.fills(tag) == [(10, 100.05)]


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
async def test_it_goes_in_at_the_open(kind: OrderType) -> None:
    harness, known = await waiting(kind)
    await opened(harness, known.tag)


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
async def test_it_survives_a_restart(kind: OrderType) -> None:
    _, known = await waiting(kind)
    again = PaperHarness(orders=[known])
    again.phase = "CLOSED"
    await again.start()
    # The feed's first picture after the start: the last price is known, nothing trades.
    await again.normal_market(SHARE.key)
    snapshot = await again.snapshot()
    assert [(one.tag, one.raw_status) for one in snapshot.orders] == [(known.tag, WAITS)]
    await opened(again, known.tag)
