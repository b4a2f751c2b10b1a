"""What is particular to the paper broker: event time, live quotes, staleness, restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.contracts.paper_harness import PaperHarness
from tests.unit.exchange.support import CALL, FUTURE, INDEX, OPEN_NS, SHARE, rs
from tradetui.brokers.paper import ACCOUNT as PAPER
from tradetui.brokers.paper import PaperBroker
from tradetui.domain.calendar.ist import DAY_NS, ist_date
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import (
    AccountSnapshot,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    TickEvent,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import FrameKind, Has, Px, Qty, TickBatch
from tradetui.domain.money import to_money
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.position import Position
from tradetui.domain.requests import CancelOrder, PlaceOrder
from tradetui.domain.span import SpanLeg, span_margin

KEY = SHARE.key


def limit(side: Side, qty: int, price: float, key: str = KEY) -> OrderRequest:
    return OrderRequest(key, side, qty, price=rs(price))


def market(side: Side, qty: int) -> OrderRequest:
    return OrderRequest(KEY, side, qty, order_type=OrderType.MARKET)


async def started(**args: Any) -> PaperHarness:
    harness = PaperHarness(**args)
    await harness.start()
    return harness


async def test_nothing_happens_before_the_latency_is_over() -> None:
    harness = await started(latency_ms=150)
    await harness.normal_market(KEY)
    sent_ns = harness.now_ns()
    harness.place(limit(Side.BUY, 10, 100.05))
    await harness.advance(0.149)
    assert harness.of(RequestAccepted) == []
    await harness.advance(0.001)
    (accepted,) = harness.of(RequestAccepted)
    assert (accepted.t_ns - sent_ns, accepted.latency_ms) == (150_000_000, 150)
    assert harness.events.index(accepted) < min(
        i for i, e in enumerate(harness.events) if isinstance(e, OrderUpdate | FillEvent)
    )


async def test_an_order_meets_the_market_of_its_arrival_not_of_its_decision() -> None:
    harness = await started(latency_ms=150)
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 100.5))
    harness.see(harness.depth_row(KEY, [(100.1, 50)], [(100.3, 50)]), after_s=0.2)
    assert harness.fills(tag) == [(10, 100.3)]


async def test_prints_of_the_arrival_frame_do_not_fill() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 99.9))
    harness.t_ns += 200_000_000
    harness.see(harness.trade_row(KEY, 99.5, 1000))
    assert harness.fills(tag) == []
    harness.t_ns += 1_000_000
    harness.see(harness.trade_row(KEY, 99.5, 4))
    assert harness.fills(tag) == [(4, 99.9)]


async def test_commands_take_effect_in_order_of_submission() -> None:
    harness = await started(latency_ms=0)
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 99))
    await harness.advance(0)
    broker_id = harness.updates(tag)[-1].broker_id
    harness.submit(CancelOrder(harness.now_ns(), tag, broker_id))
    harness.submit(CancelOrder(harness.now_ns(), tag, broker_id))
    await harness.advance(0)
    assert harness.updates(tag)[-1].status is OrderStatus.CANCELLED
    assert [e.code for e in harness.of(RequestRefused)] == ["UDAPI100040"]


async def test_market_order_without_depth_or_with_old_depth_is_refused_in_words() -> None:
    harness = await started(stale_after_s=30)
    harness.see(harness.trade_row(KEY, 100, 1))
    tag = harness.place(market(Side.BUY, 1))
    await harness.advance(1)
    assert "no live depth for RELIANCE" in harness.of(RequestRefused)[0].message
    await harness.normal_market(KEY)
    await harness.advance(31)
    late = harness.place(market(Side.BUY, 1))
    await harness.advance(1)
    assert "old" in harness.of(RequestRefused)[1].message
    assert harness.fills(tag) + harness.fills(late) == []
    assert harness.broker.exchange.orders(PAPER) == []


async def test_old_depth_fills_no_limit_order_either() -> None:
    harness = await started(stale_after_s=30)
    await harness.normal_market(KEY)
    await harness.advance(31)
    tag = harness.place(limit(Side.BUY, 10, 101))
    await harness.advance(1)
    assert harness.updates(tag)[-1].status is OrderStatus.OPEN
    harness.see(harness.depth_row(KEY, [(99, 5)], [(100, 5)]))
    assert harness.fills(tag) == [(5, 101.0)]


async def test_cached_quote_of_a_new_subscription_is_not_traded_against() -> None:
    harness = await started()
    cached = harness.depth_row(KEY, [(50, 100)], [(50.1, 100)], Has.DEPTH | Has.LTPC, FrameKind.SNAPSHOT)
    cached.px[0, Px.LTP] = 50
    cached.qty[0, Qty.LTT_MS] = (OPEN_NS - 35 * DAY_NS) // 1_000_000
    harness.see(cached)
    harness.place(market(Side.BUY, 1))
    await harness.advance(1)
    assert "no live depth" in harness.of(RequestRefused)[0].message


async def test_cached_price_does_not_trigger_a_stop() -> None:
    harness = await started()
    stop = replace(limit(Side.SELL, 10, 98.9), order_type=OrderType.SL, trigger_price=rs(99))
    tag = harness.place(stop)
    await harness.advance(1)
    assert harness.updates(tag)[-1].status is OrderStatus.TRIGGER_PENDING
    old = harness.row(KEY, Has.LTPC)
    old.px[0, Px.LTP], old.qty[0, Qty.LTT_MS] = 50, (OPEN_NS - 35 * DAY_NS) // 1_000_000
    harness.see(old)
    assert harness.updates(tag)[-1].status is OrderStatus.TRIGGER_PENDING
    harness.see(harness.trade_row(KEY, 98.95, 1))
    assert harness.updates(tag)[-1].status is OrderStatus.OPEN


async def test_depth_only_ticks_are_no_trades() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 100.0))
    await harness.advance(1)
    repeat = harness.trade_row(KEY, 99.0, 0)
    repeat.qty[0, Qty.LTT_MS] = (harness.t_ns - 1_000_000_000) // 1_000_000
    harness.see(repeat)
    assert harness.fills(tag) == []


@pytest.mark.parametrize(
    ("frames", "filled"),
    [
        pytest.param([(1, 5, 10_006)], 5, id="difference of the day's volume"),
        pytest.param([(1, 5, 10_041)], 40, id="conflated: more than the last quantity"),
        pytest.param([(1, 5, 10_001), (1, 5, 10_006)], 5, id="volume trails by a frame"),
        pytest.param([(1, 5, 0)], 5, id="no volume on the wire: last quantity"),
        pytest.param([(1, 5, 0), (1, 5, 10_006)], 5, id="counted once when volume follows"),
        pytest.param([(1, 5, 10_006), (1, 5, 10_006)], 5, id="duplicate frame"),
        pytest.param([(2, 5, 10_006), (1, 3, 10_003)], 5, id="older frame after a newer one"),
        pytest.param([(1, 5, 9_000)], 0, id="volume going backwards"),
    ],
)
async def test_volume_is_never_counted_twice(frames: list[tuple[int, int, int]], filled: int) -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 100, 100.0))
    await harness.advance(1)
    base_ms = harness.t_ns // 1_000_000
    for late_ms, ltq, vtt in frames:
        row = harness.trade_row(KEY, 99.9, ltq, vtt=vtt)
        row.qty[0, Qty.LTT_MS] = base_ms + late_ms
        harness.see(row)
    assert sum(qty for qty, _ in harness.fills(tag)) == filled


async def test_a_snapshot_moves_the_price_but_fills_nothing_by_volume() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 100.0))
    await harness.advance(1)
    row = harness.trade_row(KEY, 99.5, 500)
    harness.see(replace(row, kind=FrameKind.SNAPSHOT))
    assert harness.fills(tag) == []
    assert harness.broker.exchange.last(KEY) == rs(99.5)


async def test_snapshot_without_depth_empties_the_book() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    harness.place(limit(Side.BUY, 10, 99.0))
    await harness.advance(1)
    harness.see(replace(harness.trade_row(KEY, 100, 1), kind=FrameKind.SNAPSHOT))
    assert harness.broker.exchange.book(KEY).best(Side.SELL) is None
    harness.place(market(Side.BUY, 1))
    await harness.advance(1)
    assert "no live depth" in harness.of(RequestRefused)[0].message


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e18])
async def test_broken_numbers_touch_nothing(bad: float) -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 99.0))
    await harness.advance(1)
    row = harness.depth_row(KEY, [(bad, 5), (98, 5)], [(bad, 5)], Has.DEPTH | Has.LTPC | Has.FULL)
    row.depth[0, 1, 1] = bad
    row.px[0, Px.LTP] = bad
    row.qty[0] = (harness.t_ns // 1_000_000 + 1, 5, np.iinfo(np.int64).max)
    harness.see(row)
    assert harness.updates(tag)[-1].status is OrderStatus.OPEN
    assert harness.broker.exchange.last(KEY) == rs(100)


async def test_one_quote_is_not_filled_twice_by_two_orders() -> None:
    harness = await started()
    await harness.set_book(KEY, [(99.9, 50)], [(100.1, 50)])
    await harness.print_trade(KEY, 100, 1)
    first = harness.place(limit(Side.BUY, 50, 100.1))
    await harness.advance(1)
    await harness.set_book(KEY, [(99.9, 50)], [(100.1, 50)])
    second = harness.place(limit(Side.BUY, 50, 100.1))
    await harness.advance(1)
    assert harness.fills(first) == [(50, 100.1)]
    assert harness.fills(second) == []


async def test_the_index_is_ignored_and_cannot_be_traded() -> None:
    harness = await started()
    row = harness.row(INDEX.key, Has.LTPC | Has.INDEX)
    row.px[0, Px.LTP] = 26_000
    harness.see(row)
    harness.place(limit(Side.BUY, 1, 26_000, INDEX.key))
    harness.place(limit(Side.BUY, 1, 26_000, "NSE_EQ|UNKNOWN"))
    await harness.advance(1)
    assert [e.code for e in harness.of(RequestRefused)] == ["UDAPI100011", "UDAPI100011"]


async def test_large_frames_and_new_instruments_while_running() -> None:
    harness = await started()
    added = replace(SHARE, key="NSE_EQ|INE111A01011", symbol="NEWCO")
    assert isinstance(harness.instruments, list)
    harness.instruments += [replace(SHARE, key=f"NSE_EQ|INE9{n:06d}01") for n in range(200)] + [added]
    slot = harness.slot(added.key)
    batch = TickBatch.zeros(FrameKind.LIVE, 0, slot + 1)
    batch.slot[:] = range(slot + 1)
    batch.mask[:] = int(Has.LTPC | Has.DEPTH)
    batch.px[:, Px.LTP] = 50
    batch.qty[:, Qty.LTT_MS] = harness.t_ns // 1_000_000
    batch.depth[:, 2, 0], batch.depth[:, 3, 0] = 50.05, 10
    harness.see(batch)
    tag = harness.place(replace(market(Side.BUY, 10), instrument_key=added.key))
    await harness.advance(1)
    assert harness.fills(tag) == [(10, 50.05)]


async def test_funds_come_from_the_capital() -> None:
    harness = await started()
    (snapshot,) = harness.of(AccountSnapshot)
    assert snapshot.available == to_money(50_000)
    await harness.normal_market(KEY)
    tag = harness.place(replace(limit(Side.BUY, 506, 99), product=Product.DELIVERY))
    await harness.advance(1)
    rejected = harness.updates(tag)[-1]
    assert rejected.status is OrderStatus.REJECTED
    assert "available 50,000.00" in rejected.message


async def test_orders_expire_by_time_alone() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(limit(Side.BUY, 10, 99))
    await harness.advance(1)
    harness.phase = "CLOSED"
    await harness.advance(1)
    ended = harness.updates(tag)[-1]
    assert (ended.status, "expired" in ended.message) == (OrderStatus.CANCELLED, True)


async def test_a_year_without_calendar_data_counts_as_closed() -> None:
    def unknown(_instrument: Instrument, _t_ns: int) -> str:
        raise CalendarUnknown("no data for 2031")

    events: list[Any] = []
    broker = PaperBroker([SHARE], unknown, latency_ms=0)
    await broker.start(events.append)
    broker.submit(PlaceOrder(OPEN_NS, "t", limit(Side.BUY, 1, 100)))
    batch = TickBatch.zeros(FrameKind.LIVE, 0, 1)
    broker.observe(TickEvent(OPEN_NS, batch))
    assert "closed" in events[-1].message


def working(tag: str, request: OrderRequest, status: OrderStatus, **more: Any) -> Order:
    order = Order(tag, request, status, OPEN_NS, OPEN_NS, f"261120{len(tag):09d}", "1100000000000001")
    return replace(order, **more)


async def test_a_restart_keeps_positions_orders_and_numbers() -> None:
    position = Position(CALL.key, Product.DELIVERY).apply(Side.BUY, 65, rs(100)).apply(Side.BUY, 65, rs(110))
    orders = [
        working("rest", limit(Side.BUY, 10, 99.0), OrderStatus.OPEN, filled_qty=4, average_price=rs(99)),
        working(
            "stop",
            replace(limit(Side.SELL, 5, 97.9), order_type=OrderType.SL, trigger_price=rs(98)),
            OrderStatus.TRIGGER_PENDING,
            broker_id="261120000000777",
        ),
        working("gone", market(Side.BUY, 5), OrderStatus.OPEN, broker_id="261120000000778"),
        working("never", limit(Side.BUY, 1, 99), OrderStatus.UNKNOWN, broker_id=""),
    ]
    old = Fill("00000900", "261120000000004", "rest", KEY, Side.BUY, 4, rs(99), Product.INTRADAY, OPEN_NS)
    harness = await started(positions=[position], orders=orders, fills=[old], start_ns=OPEN_NS)
    (snapshot,) = harness.of(AccountSnapshot)
    said = {u.tag: u.status for u in snapshot.orders}
    assert said == {
        "rest": OrderStatus.OPEN,
        "stop": OrderStatus.TRIGGER_PENDING,
        "gone": OrderStatus.CANCELLED,
    }
    assert snapshot.fills == (old,)
    assert snapshot.positions is not None
    said_held = {p.instrument_key: (p.qty, p.average_price) for p in snapshot.positions}
    assert said_held == {CALL.key: (130, rs(105)), KEY: (4, rs(99))}
    assert snapshot.available == to_money(50_000) - 130 * rs(105) - snapshot.used  # type: ignore[operator]
    harness.t_ns += 1_000_000
    await harness.normal_market(KEY)
    await harness.print_trade(KEY, 98.95, 2)
    assert harness.fills("rest") == [(2, 99.0)]
    await harness.print_trade(KEY, 98.0, 50)
    assert harness.updates("stop")[-1].status is OrderStatus.OPEN
    tag = harness.place(limit(Side.BUY, 1, 90))
    await harness.advance(1)
    assert int(harness.updates(tag)[-1].broker_id[6:]) > 778
    trade_ids = [e.fill.trade_id for e in harness.of(FillEvent)]
    assert all(int(trade_id) > 900 for trade_id in trade_ids)


async def test_carried_orders_of_yesterday_are_gone_at_start() -> None:
    order = working("old", limit(Side.BUY, 10, 99.0), OrderStatus.OPEN)
    harness = await started(orders=[order], start_ns=OPEN_NS + DAY_NS)
    (snapshot,) = harness.of(AccountSnapshot)
    assert snapshot.orders == ()
    assert harness.of(OrderUpdate)[-1].status is OrderStatus.CANCELLED


async def test_what_is_no_longer_listed_is_kept_at_cost_and_closed_to_orders() -> None:
    gone = "NSE_FO|99999"
    expired = Position(gone, Product.DELIVERY).apply(Side.BUY, 65, rs(10))
    order = working("old", limit(Side.SELL, 65, 20, gone), OrderStatus.OPEN)
    harness = await started(positions=[expired], orders=[order])
    (snapshot,) = harness.of(AccountSnapshot)
    assert snapshot.positions is not None
    assert [(p.instrument_key, p.qty) for p in snapshot.positions] == [(gone, 65)]
    assert snapshot.available == to_money(50_000 - 650)
    assert [u.status for u in snapshot.orders] == [OrderStatus.CANCELLED]
    harness.place(limit(Side.SELL, 65, 1, gone))
    await harness.advance(1)
    assert "not listed" in harness.of(RequestRefused)[0].message


async def test_close_drops_what_never_arrived() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    harness.place(limit(Side.BUY, 10, 99))
    await harness.stop()
    heard = len(harness.events)
    await harness.advance(1)
    assert len(harness.events) == heard
    assert harness.broker.exchange.orders(PAPER) == []


async def test_quiet_instruments_leave_the_hot_path() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    await harness.normal_market(FUTURE.key)
    tag = harness.place(limit(Side.BUY, 10, 99))
    await harness.advance(1)
    harness.submit(CancelOrder(harness.now_ns(), tag, harness.updates(tag)[-1].broker_id))
    await harness.advance(1)
    await harness.set_book(KEY, [(90, 1)], [(110, 1)])
    # Not followed any more: the book still shows what it was when the order ended.
    assert harness.broker.exchange.book(KEY).best(Side.SELL) == rs(100.05)
    again = harness.place(limit(Side.BUY, 1, 110))
    await harness.advance(1)
    assert harness.fills(again) == [(1, 110.0)]


async def test_same_events_same_answers() -> None:
    async def run() -> list[Any]:
        harness = await started()
        await harness.normal_market(KEY)
        for i in range(20):
            harness.place(limit(Side.BUY if i % 3 else Side.SELL, 10 + i, 99.5 + (i % 5) * 0.25))
            await harness.advance(0.07)
            await harness.print_trade(KEY, 99.5 + (i % 4) * 0.25, 40)
        return harness.events

    assert await run() == await run()


async def test_margins_of_options_follow_the_price_of_their_underlying() -> None:
    harness = await started(capital=to_money(1_000_000))
    await harness.print_trade(INDEX.key, 26_000, 1)
    await harness.normal_market(CALL.key)
    harness.place(limit(Side.SELL, 65, 110, CALL.key))
    await harness.advance(1)
    scenarios = span_margin([SpanLeg(CALL, -65, rs(100))], rs(26_000), ist_date(OPEN_NS)).total
    assert harness.broker.exchange.funds(PAPER).blocked == scenarios - 65 * rs(110)
