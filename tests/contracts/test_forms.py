"""Order forms, races, conversions, strangers and lost answers, the same at every broker."""

from __future__ import annotations

from dataclasses import replace

from tests.contracts.harness import Harness, rupees
from tests.contracts.test_broker import limit, resting, share, was_turned_down
from tradetui.domain.events import RequestAccepted, RequestRefused, RequestUnknown
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger, RuleStatus
from tradetui.domain.money import Price
from tradetui.domain.order import OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.requests import CancelOrder, Command, ConvertPosition, ModifyOrder, PlaceGtt, ProbeTag


def change(harness: Harness, tag: str, broker_id: str, qty: int, price: float) -> ModifyOrder:
    return ModifyOrder(
        harness.now_ns(), tag, broker_id, qty, Price(rupees(price)), Price(0), OrderType.LIMIT, Validity.DAY
    )


async def answered(harness: Harness, kind: str, tag: str) -> RequestAccepted | RequestRefused:
    """Wait for the answer to a change."""

    def found() -> list[RequestAccepted | RequestRefused]:
        said: list[RequestAccepted | RequestRefused] = [
            *harness.of(RequestAccepted),
            *harness.of(RequestRefused),
        ]
        return [one for one in said if (one.kind, one.tag) == (kind, tag)]

    await harness.until(lambda _: bool(found()))
    return found()[0]


async def held(harness: Harness) -> dict[Product, int]:
    snapshot = await harness.snapshot()
    assert snapshot.positions is not None
    return {p.product: p.qty for p in snapshot.positions if p.qty}


# --- forms --------------------------------------------------------------------------------------------


async def test_a_disclosed_quantity_fills_whole_and_too_little_is_turned_down(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    shown = replace(limit(share(harness), Side.BUY, 100, 100.05), disclosed_qty=20)
    tag = harness.place(shown)
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: sum(qty for qty, _ in harness.fills(tag)) == 100)
    tiny = harness.place(replace(shown, disclosed_qty=5))
    await harness.until(lambda _: was_turned_down(harness, tiny))


async def test_products_are_kept_apart(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    for number, product in enumerate(Product, 1):
        tag = harness.place(replace(limit(share(harness), Side.BUY, number, 100.05), product=product))
        await harness.until_status(tag, OrderStatus.FILLED)
    assert await held(harness) == {Product.INTRADAY: 1, Product.DELIVERY: 2, Product.MTF: 3}


async def test_an_ioc_that_meets_nothing_is_cancelled_whole(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag = harness.place(replace(limit(share(harness), Side.BUY, 10, 99), validity=Validity.IOC))
    ended = await harness.until_status(tag, OrderStatus.CANCELLED)
    assert not ended.filled_qty
    assert harness.fills(tag) == []


async def test_a_stop_market_fills_protected_once_its_trigger_trades(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    request = replace(
        limit(share(harness), Side.SELL, 10, 0),
        order_type=OrderType.SL_M,
        trigger_price=Price(rupees(99)),
        protection_pct=3,
    )
    tag = harness.place(request)
    await harness.until_status(tag, OrderStatus.TRIGGER_PENDING)
    await harness.set_book(share(harness).key, [(98.9, 50)], [(99.1, 50)])
    await harness.print_trade(share(harness).key, 98.95, 1)
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: harness.fills(tag) == [(10, 98.9)])


async def test_o24_a_stop_limit_that_is_gapped_over_rests_unfilled_and_can_be_chased(
    harness: Harness,
) -> None:
    await harness.normal_market(share(harness).key)
    stop = replace(
        limit(share(harness), Side.SELL, 10, 98.5), order_type=OrderType.SL, trigger_price=Price(rupees(99))
    )
    tag = harness.place(stop)
    waiting = await harness.until_status(tag, OrderStatus.TRIGGER_PENDING)
    await harness.normal_market(share(harness).key, 97.0)
    await harness.until_status(tag, OrderStatus.OPEN)
    assert harness.fills(tag) == []
    harness.submit(change(harness, tag, waiting.broker_id, 10, 96.9))
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: harness.fills(tag) == [(10, 96.95)])


async def test_an_after_market_order_waits_can_be_changed_and_cancelled(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    await harness.close_market()
    request = replace(limit(share(harness), Side.BUY, 10, 99), product=Product.DELIVERY, amo=True)
    tag = harness.place(request)
    await harness.until(lambda _: bool(harness.updates(tag)))
    waiting = harness.updates(tag)[-1]
    assert (waiting.status, waiting.raw_status) == (OrderStatus.PENDING, "after market order req received")
    assert harness.fills(tag) == []
    harness.submit(change(harness, tag, waiting.broker_id, 20, 98.5))
    assert isinstance(await answered(harness, "modify", tag), RequestAccepted)
    (order,) = (await harness.snapshot()).orders
    assert (order.status, order.qty, order.price) == (OrderStatus.PENDING, 20, rupees(98.5))
    harness.submit(CancelOrder(harness.now_ns(), tag, waiting.broker_id))
    assert isinstance(await answered(harness, "cancel", tag), RequestAccepted)
    (order,) = (await harness.snapshot()).orders
    assert (order.status, order.raw_status) == (OrderStatus.CANCELLED, "cancelled after market order")


# --- races --------------------------------------------------------------------------------------------


async def test_o10_a_change_of_a_filled_order_is_refused_and_changes_nothing(harness: Harness) -> None:
    tag, update = await resting(harness)
    await harness.print_trade(share(harness).key, 98.9, 50)
    await harness.until_status(tag, OrderStatus.FILLED)
    for command, kind in (
        (change(harness, tag, update.broker_id, 20, 99), "modify"),
        (CancelOrder(harness.now_ns(), tag, update.broker_id), "cancel"),
    ):
        harness.submit(command)
        answer = await answered(harness, kind, tag)
        assert isinstance(answer, RequestRefused)
        assert answer.message
    snapshot = await harness.snapshot()
    assert [(u.status, u.filled_qty) for u in snapshot.orders] == [(OrderStatus.FILLED, 10)]
    assert sum(fill.qty for fill in snapshot.fills) == 10


async def test_o9_a_modify_and_a_fill_at_once_add_up(harness: Harness) -> None:
    tag, update = await resting(harness, 10, 99.0)
    harness.submit(change(harness, tag, update.broker_id, 30, 99.0))
    await harness.print_trade(share(harness).key, 98.9, 4)
    await answered(harness, "modify", tag)
    snapshot = await harness.snapshot()
    (order,) = snapshot.orders
    assert order.qty == 30
    assert order.filled_qty == sum(fill.qty for fill in snapshot.fills)
    assert (await held(harness)).get(Product.INTRADAY, 0) == order.filled_qty


async def test_a_cancel_and_a_modify_at_once_end_in_one_state(harness: Harness) -> None:
    tag, update = await resting(harness)
    for command in (
        CancelOrder(harness.now_ns(), tag, update.broker_id),
        change(harness, tag, update.broker_id, 20, 98),
    ):
        harness.submit(command)
    await answered(harness, "cancel", tag)
    await answered(harness, "modify", tag)
    snapshot = await harness.snapshot()
    assert [u.status for u in snapshot.orders] == [OrderStatus.CANCELLED]
    assert not snapshot.used


async def test_a_modify_of_nobodys_order_is_refused(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    harness.submit(change(harness, "ghost", "261120000009999", 10, 99))
    assert isinstance(await answered(harness, "modify", "ghost"), RequestRefused)
    harness.submit(CancelOrder(harness.now_ns(), "ghost", "261120000009999"))
    assert isinstance(await answered(harness, "cancel", "ghost"), RequestRefused)


# --- conversions --------------------------------------------------------------------------------------


async def bought(harness: Harness, qty: int = 10) -> None:
    await harness.normal_market(share(harness).key)
    tag = harness.place(limit(share(harness), Side.BUY, qty, 100.05))
    await harness.until_status(tag, OrderStatus.FILLED)


def to_delivery(harness: Harness, qty: int, tag: str = "c1") -> ConvertPosition:
    return ConvertPosition(
        harness.now_ns(), tag, share(harness).key, Side.BUY, qty, Product.INTRADAY, Product.DELIVERY
    )


async def test_units_change_their_product_without_a_trade(harness: Harness) -> None:
    await bought(harness)
    harness.submit(to_delivery(harness, 4))
    assert isinstance(await answered(harness, "convert", "c1"), RequestAccepted)
    snapshot = await harness.snapshot()
    assert snapshot.positions is not None
    found = {p.product: (p.qty, p.average_price) for p in snapshot.positions}
    at = rupees(100.05)
    assert found == {Product.INTRADAY: (6, at), Product.DELIVERY: (4, at)}
    assert len(snapshot.fills) == 1
    assert sum(p.realised for p in snapshot.positions) == 0


async def test_more_than_there_is_cannot_be_converted(harness: Harness) -> None:
    await bought(harness)
    harness.submit(to_delivery(harness, 11))
    answer = await answered(harness, "convert", "c1")
    assert isinstance(answer, RequestRefused)
    assert answer.message
    assert await held(harness) == {Product.INTRADAY: 10}


# --- strangers, lost answers --------------------------------------------------------------------------


async def test_o14_an_order_from_elsewhere_is_told_of(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    broker_id = await harness.elsewhere(limit(share(harness), Side.BUY, 10, 99))
    await harness.until(lambda _: any(u.status is OrderStatus.OPEN for u in harness.by_id(broker_id)))
    said = harness.by_id(broker_id)[-1]
    assert (said.tag, said.side, said.qty, said.instrument_key) == ("", Side.BUY, 10, share(harness).key)
    harness.submit(CancelOrder(harness.now_ns(), f"x-{broker_id}", broker_id))
    await harness.until(lambda _: any(u.status is OrderStatus.CANCELLED for u in harness.by_id(broker_id)))


async def test_a_stranger_is_found_by_the_brokers_id(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    broker_id = await harness.elsewhere(limit(share(harness), Side.BUY, 10, 99))
    await harness.until(lambda _: bool(harness.by_id(broker_id)))
    before = len(harness.by_id(broker_id))
    harness.submit(ProbeTag(harness.now_ns(), f"x-{broker_id}", share(harness).key, broker_id))
    await harness.until(lambda _: len(harness.by_id(broker_id)) > before)


async def test_o1_a_lost_answer_is_said_and_what_was_asked_shows_up(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    rule = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, Price(rupees(90)), protection_pct=2)
    request = GttRequest(share(harness).key, Side.BUY, 10, Product.DELIVERY, (rule,))
    harness.lose_answer("/order/gtt/place")
    harness.submit(PlaceGtt(harness.now_ns(), "lost-gtt", request))
    await harness.until(lambda _: len(harness.of(RequestUnknown)) == 1)
    snapshot = await harness.snapshot(gtts=True)
    assert snapshot.gtts is not None
    assert [one.rules[0].status for one in snapshot.gtts] == [RuleStatus.SCHEDULED]
    await bought(harness)
    lost: list[tuple[str, str, Command]] = [
        ("/convert-position", "convert", to_delivery(harness, 4, "lost-convert"))
    ]
    for path, _, command in lost:
        harness.lose_answer(path)
        harness.submit(command)
    await harness.until(lambda _: len(harness.of(RequestUnknown)) == 2)
    assert [(e.kind, e.tag) for e in harness.of(RequestUnknown)] == [
        ("gtt place", "lost-gtt"), ("convert", "lost-convert"),
    ]  # fmt: skip
    assert await held(harness) == {Product.INTRADAY: 6, Product.DELIVERY: 4}
