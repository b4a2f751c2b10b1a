"""What every broker must do, whatever is behind it."""

from __future__ import annotations

from dataclasses import replace

from tests.contracts.harness import Harness, rupees
from tradetui.domain.events import (
    AccountSnapshot,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    TagAbsence,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.requests import CancelOrder, ModifyOrder, ProbeTag, Reconcile

REFUSED = (OrderStatus.REJECTED, OrderStatus.REFUSED)


def share(harness: Harness) -> Instrument:
    return next(i for i in harness.instruments if i.segment == "NSE_EQ" and i.lot_size == 1)


def option(harness: Harness) -> Instrument:
    return next(i for i in harness.instruments if i.is_option)


def limit(instrument: Instrument, side: Side, qty: int, price: float) -> OrderRequest:
    return OrderRequest(instrument.key, side, qty, Product.INTRADAY, OrderType.LIMIT, Price(rupees(price)))


def was_turned_down(harness: Harness, tag: str) -> bool:
    """Refused at the door, or taken and then rejected."""
    refused = any(e.tag == tag and e.kind == "place" for e in harness.of(RequestRefused))
    return refused or any(update.status is OrderStatus.REJECTED for update in harness.updates(tag))


async def resting(harness: Harness, qty: int = 10, price: float = 99.0) -> tuple[str, OrderUpdate]:
    """A limit buy that rests: its tag and the statement that it is open."""
    await harness.normal_market(share(harness).key)
    tag = harness.place(limit(share(harness), Side.BUY, qty, price))
    return tag, await harness.until_status(tag, OrderStatus.OPEN)


async def test_start_reports_the_account_once(harness: Harness) -> None:
    (snapshot,) = harness.of(AccountSnapshot)
    assert snapshot.orders == ()
    assert snapshot.fills == ()
    assert snapshot.available is not None
    assert snapshot.available > 0
    assert snapshot.asked_ns <= snapshot.t_ns
    assert harness.broker.name
    assert harness.broker.live is False


async def test_a_limit_order_is_acknowledged_and_rests(harness: Harness) -> None:
    tag, update = await resting(harness)
    accepted = [e for e in harness.of(RequestAccepted) if e.tag == tag]
    assert [e.kind for e in accepted] == ["place"]
    assert update.broker_id == accepted[0].broker_id != ""
    assert (update.qty, update.price, update.filled_qty) == (10, rupees(99), 0)
    assert update.raw_status == "open"
    assert harness.fills(tag) == []


async def test_a_marketable_limit_fills_at_the_book_not_at_its_limit(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag = harness.place(limit(share(harness), Side.BUY, 150, 101))
    done = await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: sum(qty for qty, _ in harness.fills(tag)) == 150)
    assert sum(qty * price for qty, price in harness.fills(tag)) == 100 * 100.05 + 50 * 100.15
    assert done.filled_qty == 150
    assert done.average_price is not None
    assert abs(done.average_price - rupees(100.0833)) <= 100


async def test_a_partial_fill_then_a_cancel(harness: Harness) -> None:
    tag, update = await resting(harness, 10, 100.0)
    await harness.print_trade(share(harness).key, 100.0, 4)
    await harness.until(lambda _: any(u.filled_qty == 4 for u in harness.updates(tag)))
    harness.submit(CancelOrder(harness.now_ns(), tag, update.broker_id))
    ended = await harness.until_status(tag, OrderStatus.CANCELLED)
    assert ended.filled_qty == 4
    await harness.until(lambda _: harness.fills(tag) == [(4, 100.0)])


async def test_a_finished_order_cannot_be_cancelled(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag = harness.place(limit(share(harness), Side.BUY, 10, 100.05))
    done = await harness.until_status(tag, OrderStatus.FILLED)
    harness.submit(CancelOrder(harness.now_ns(), tag, done.broker_id))
    await harness.until(lambda _: bool(harness.of(RequestRefused)))
    (refused,) = harness.of(RequestRefused)
    assert (refused.kind, refused.tag) == ("cancel", tag)
    assert refused.message


async def test_a_modify_changes_the_terms_and_can_fill(harness: Harness) -> None:
    tag, update = await resting(harness)
    terms = ModifyOrder(
        harness.now_ns(),
        tag,
        update.broker_id,
        20,
        Price(rupees(99.5)),
        Price(0),
        OrderType.LIMIT,
        Validity.DAY,
    )
    harness.submit(terms)
    await harness.until(lambda _: any(u.qty == 20 and u.price == rupees(99.5) for u in harness.updates(tag)))
    harness.submit(replace(terms, t_ns=harness.now_ns(), price=Price(rupees(100.05))))
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: harness.fills(tag) == [(20, 100.05)])


async def test_a_stop_waits_for_its_trigger(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    request = replace(
        limit(share(harness), Side.SELL, 10, 98.5), order_type=OrderType.SL, trigger_price=Price(rupees(99))
    )
    tag = harness.place(request)
    waiting = await harness.until_status(tag, OrderStatus.TRIGGER_PENDING)
    assert waiting.raw_status == "trigger pending"
    await harness.set_book(share(harness).key, [(98.9, 50)], [(99.1, 50)])
    assert harness.fills(tag) == []
    await harness.print_trade(share(harness).key, 98.95, 1)
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: harness.fills(tag) == [(10, 98.9)])


async def test_ioc_cancels_the_rest(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag = harness.place(replace(limit(share(harness), Side.BUY, 150, 100.05), validity=Validity.IOC))
    ended = await harness.until_status(tag, OrderStatus.CANCELLED)
    assert ended.filled_qty == 100


async def test_a_protected_market_order_fills(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    market = replace(limit(share(harness), Side.BUY, 10, 0), order_type=OrderType.MARKET, protection_pct=2)
    tag = harness.place(market)
    await harness.until_status(tag, OrderStatus.FILLED)
    await harness.until(lambda _: harness.fills(tag) == [(10, 100.05)])


async def test_bad_orders_are_turned_down_in_words(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    await harness.normal_market(option(harness).key)
    good = limit(share(harness), Side.BUY, 10, 99)
    bad = [
        replace(good, order_type=OrderType.MARKET, price=Price(0), protection_pct=0),
        replace(good, price=Price(rupees(99.01))),
        replace(good, qty=0),
        replace(good, product=Product.DELIVERY, side=Side.SELL),
        replace(good, qty=1_000_000),
        limit(option(harness), Side.BUY, option(harness).lot_size + 1, 99),
        replace(
            limit(option(harness), Side.BUY, option(harness).lot_size, 0),
            order_type=OrderType.SL_M,
            trigger_price=Price(rupees(101)),
        ),
    ]
    for request in bad:
        tag = harness.place(request)
        await harness.until(lambda _, tag=tag: was_turned_down(harness, tag))  # type: ignore[misc]
        refusals = [e.message for e in harness.of(RequestRefused) if e.tag == tag]
        assert all(refusals or [u.message for u in harness.updates(tag) if u.status in REFUSED]), request
        assert harness.fills(tag) == []


async def test_reconcile_agrees_with_what_was_reported(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    filled = harness.place(limit(share(harness), Side.BUY, 10, 100.05))
    await harness.until_status(filled, OrderStatus.FILLED)
    open_tag = harness.place(limit(share(harness), Side.BUY, 5, 99))
    await harness.until_status(open_tag, OrderStatus.OPEN)
    asked = harness.now_ns()
    harness.submit(Reconcile(asked))
    await harness.until(lambda _: len(harness.of(AccountSnapshot)) == 2)
    first, now = harness.of(AccountSnapshot)
    assert now.asked_ns >= asked
    assert {u.tag: u.status for u in now.orders} == {filled: OrderStatus.FILLED, open_tag: OrderStatus.OPEN}
    assert [(fill.qty, fill.price) for fill in now.fills] == [(10, rupees(100.05))]
    assert now.positions is not None
    assert [(p.instrument_key, p.qty) for p in now.positions if p.qty] == [(share(harness).key, 10)]
    assert now.available is not None
    assert first.available is not None
    assert now.available < first.available
    assert now.used


async def test_a_round_trip_ends_flat_and_releases_the_margin(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    bought = harness.place(limit(share(harness), Side.BUY, 10, 100.05))
    await harness.until_status(bought, OrderStatus.FILLED)
    sold = harness.place(limit(share(harness), Side.SELL, 10, 99.95))
    await harness.until_status(sold, OrderStatus.FILLED)
    harness.submit(Reconcile(harness.now_ns()))
    await harness.until(lambda _: len(harness.of(AccountSnapshot)) == 2)
    now = harness.of(AccountSnapshot)[-1]
    assert now.positions is not None
    assert [p.qty for p in now.positions] == [0]
    assert now.positions[0].realised == -10 * rupees(0.1)
    assert not now.used


async def test_probing_a_tag_finds_it_or_says_so(harness: Harness) -> None:
    tag, update = await resting(harness)
    before = len(harness.updates(tag))
    harness.submit(ProbeTag(harness.now_ns(), tag, share(harness).key))
    await harness.until(lambda _: len(harness.updates(tag)) > before)
    assert harness.updates(tag)[-1].broker_id == update.broker_id
    harness.submit(ProbeTag(harness.now_ns(), "never-sent", share(harness).key))
    await harness.until(lambda _: bool(harness.of(TagAbsence)))
    assert [e.tag for e in harness.of(TagAbsence)] == ["never-sent"]


async def test_tags_come_back(harness: Harness) -> None:
    tag, _ = await resting(harness)
    assert {update.tag for update in harness.updates(tag)} == {tag}
