"""The Upstox broker against the simulator: GTTs, conversions, locks, lanes, and readings that can be relied on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.brokers.upstox.session import KEY, Session, session
from tests.unit.exchange.support import order, rs
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import requests_out
from tradetui.brokers.upstox.governor import Governor, Lane, Window
from tradetui.domain.conversion import ConversionStatus
from tradetui.domain.errors import RateLimited
from tradetui.domain.events import (
    AccountSnapshot,
    GttUpdate,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    RequestUnknown,
)
from tradetui.domain.gtt import Gtt, GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.money import Price
from tradetui.domain.order import EXIT_SOURCE, STOP_SOURCE, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    ConvertPosition,
    ModifyGtt,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
    Reconcile,
)

GTT_BOOK, KILL = "GET /v3/order/gtt", "GET /v2/user/kill-switch"
GTT_PLACE, GTT_CANCEL = "POST /v3/order/gtt/place", "DELETE /v3/order/gtt/cancel"
ENTRY = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, rs(98), protection_pct=2)
REQUEST = GttRequest(KEY, Side.BUY, 10, Product.DELIVERY, (ENTRY,), source=STOP_SOURCE)


def place(s: Session) -> str:
    placed = s.manager.gtts.place(REQUEST, s.now_ns())
    assert placed is not None
    return placed.tag


def gtt(s: Session, tag: str) -> Gtt:
    return s.manager.gtts.gtts[tag]


def reads(s: Session) -> int:
    """How often the GTT book has been read."""
    return sum(one.gtts is not None for one in s.of(AccountSnapshot))


async def snapshots(s: Session, count: int) -> AccountSnapshot:
    await s.until(lambda _: len(s.of(AccountSnapshot)) >= count)
    return s.of(AccountSnapshot)[-1]


# --- GTTs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_o1_a_gtt_whose_answer_is_lost_is_found_by_its_terms(stream: bool) -> None:
    async with session() as s:
        if not stream:
            await s.lose_stream()
        s.market.fault("lost-ack-after", count=1, path="/gtt/place")
        tag = place(s)
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        if not stream:
            assert gtt(s, tag).status is GttStatus.UNKNOWN
            await s.pass_time(2)
        await s.until(lambda _: gtt(s, tag).status is GttStatus.ACTIVE)
        assert gtt(s, tag).gtt_id
        assert list(s.manager.gtts.gtts) == [tag]
        assert s.market.asked(GTT_PLACE) == 1


async def test_o3_a_gtt_that_never_arrived_is_unknown_until_absence_is_proven() -> None:
    async with session() as s:
        s.market.fault("lost-ack-before", count=1, path="/gtt/place")
        tag = place(s)
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        for seconds in (5, 6, 4, 4):
            assert gtt(s, tag).status is GttStatus.UNKNOWN
            before = reads(s)
            await s.pass_time(seconds)
            await s.until(lambda _, n=before: reads(s) > n)  # type: ignore[misc]
        await s.until(lambda _: gtt(s, tag).status is GttStatus.ABSENT)
        assert s.market.asked(GTT_PLACE) == 1


async def test_a_gtt_fires_and_its_child_is_no_stranger() -> None:
    async with session() as s:
        tag = place(s)
        await s.until(lambda _: gtt(s, tag).status is GttStatus.ACTIVE)
        s.market.normal(KEY, 97.9)
        await s.until(lambda _: gtt(s, tag).status is GttStatus.DONE)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.DELIVERY) == 10)
        (child,) = s.manager.in_group(tag)
        assert not child.foreign
        assert (child.status, child.request.source) == (OrderStatus.FILLED, STOP_SOURCE)


async def test_o17_a_gtt_that_fired_while_the_program_was_away_is_found_at_start() -> None:
    async with session() as s:
        tag = place(s)
        await s.until(lambda _: bool(gtt(s, tag).gtt_id))
        left = gtt(s, tag)
        await s.lose_stream()
        s.market.normal(KEY, 97.9)
        again = Session()
        again.manager.gtts.restore([left], s.now_ns())
        again.market, again.api, again.broker = s.market, s.api, s.broker
        s.submit(Reconcile(s.now_ns(), gtts=True))
        again.hear(await snapshots(s, 2))
        assert gtt(again, tag).status is GttStatus.DONE
        assert [child.filled_qty for child in again.manager.in_group(tag)] == [10]
        assert not any(one.foreign for one in again.manager.orders.values())
        assert again.portfolio.qty(KEY, Product.DELIVERY) == 10


async def test_o19_a_gtt_cancel_is_never_sent_twice() -> None:
    async with session() as s:
        tag = place(s)
        await s.until(lambda _: bool(gtt(s, tag).gtt_id))
        s.market.fault("lost-ack-after", count=1, path="/gtt/cancel")
        s.manager.gtts.cancel(tag, s.now_ns())
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        await s.pass_time(3)
        await s.until(lambda _: gtt(s, tag).status is GttStatus.CANCELLED)
        assert s.market.asked(GTT_CANCEL) == 1


async def test_the_gtt_book_is_read_seldom_without_gtts_and_every_time_with_one() -> None:
    async with session() as s:
        assert s.of(AccountSnapshot)[0].gtts == ()
        reads = s.market.asked(GTT_BOOK)
        for count in (2, 3):
            s.submit(Reconcile(s.now_ns()))
            assert (await snapshots(s, count)).gtts is None, "not due"
        assert s.market.asked(GTT_BOOK) == reads
        s.submit(Reconcile(s.now_ns(), gtts=True))
        assert (await snapshots(s, 4)).gtts == ()
        await s.advance(31)
        s.submit(Reconcile(s.now_ns()))
        assert (await snapshots(s, 5)).gtts == ()
        tag = place(s)
        await s.until(lambda _: bool(gtt(s, tag).gtt_id))
        for count in (6, 7, 8):
            s.submit(Reconcile(s.now_ns()))
            said = (await snapshots(s, count)).gtts
            assert said is not None
            assert len(said) == 1


async def test_o14_a_gtt_from_a_phone_is_pushed_and_adopted() -> None:
    async with session() as s:
        made = s.market.venue.place_gtt(replace(REQUEST, source="manual"))
        assert made.refusal is None
        await s.until(lambda _: bool(s.of(GttUpdate)))
        (stranger,) = s.manager.gtts.working(KEY)
        assert stranger.foreign
        assert stranger.tag == f"x-{stranger.gtt_id}"


# --- conversions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["", "lost-ack-after", "lost-ack-before"])
async def test_a_conversion_is_decided_by_its_answer_or_by_the_positions(fault: str) -> None:
    async with session() as s:
        bought = s.send(price=100.05)
        await s.until_order(bought, OrderStatus.FILLED)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 10)
        if fault:
            s.market.fault(fault, count=1, path="/convert-position")
        conversions = s.manager.conversions
        assert conversions.convert(KEY, Product.INTRADAY, Product.DELIVERY, 4, s.now_ns()) == ""
        (tag,) = conversions.conversions
        if fault:
            await s.until(lambda _: bool(s.of(RequestUnknown)))
        for seconds in (2, 11, 4, 4, 4):
            if not conversions.under_way(KEY):
                break
            before = len(s.of(AccountSnapshot))
            await s.pass_time(seconds)

            def heard(_: object, n: int = before) -> bool:
                return len(s.of(AccountSnapshot)) > n or not conversions.under_way(KEY)

            await s.until(heard)
        await s.until(lambda _: not conversions.under_way(KEY))
        moved = 0 if fault == "lost-ack-before" else 4
        expected = ConversionStatus.NOT_DONE if fault == "lost-ack-before" else ConversionStatus.DONE
        assert conversions.conversions[tag].status is expected
        assert s.portfolio.qty(KEY, Product.DELIVERY) == moved
        assert not s.manager.positions.differences
        assert s.market.asked("PUT /v2/portfolio/convert-position") == 1


# --- locks, rights, odd rows --------------------------------------------------------------------------


async def test_o18_a_kill_switch_pulled_at_the_broker_is_told_within_a_minute() -> None:
    async with session() as s:
        assert s.of(AccountSnapshot)[0].locked_segments == ()
        s.market.fault("broker-kill-switch", segment="NSE_EQ")
        s.submit(Reconcile(s.now_ns()))
        assert (await snapshots(s, 2)).locked_segments is None, "not due"
        await s.advance(61)
        s.submit(Reconcile(s.now_ns()))
        assert (await snapshots(s, 3)).locked_segments == ("NSE_EQ",)
        assert s.market.asked(KILL) == 2


async def test_whether_holdings_may_be_sold_comes_with_the_account() -> None:
    async with session() as s:
        assert s.of(AccountSnapshot)[0].may_sell_holdings is not None


async def test_a_host_that_lacks_a_call_is_not_asked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with session() as s:
        monkeypatch.setattr(ep, "GTT_BOOK", ep.Endpoint("GET", "/v3/order/no-such-call"))
        for count in (2, 3):
            s.submit(Reconcile(s.now_ns(), gtts=True))
            assert (await snapshots(s, count)).gtts is None
        assert s.market.asked("GET ?") + s.market.asked("GET /v3/order/no-such-call") == 1


async def test_o21_an_odd_row_keeps_absence_from_being_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    async with session() as s:
        call = s.api.call

        async def odd(endpoint: ep.Endpoint, **options: Any) -> Any:
            reply = await call(endpoint, **options)
            return (
                replace(reply, data=[*reply.data, {"status": "open"}]) if endpoint is ep.ORDER_BOOK else reply
            )

        monkeypatch.setattr(s.api, "call", odd)
        s.market.fault("lost-ack-before", count=1)
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        for _ in range(5):
            before = len(s.of(AccountSnapshot))
            await s.pass_time(11)
            await s.until(lambda _, n=before: len(s.of(AccountSnapshot)) > n)  # type: ignore[misc]
        assert s.order(tag).status is OrderStatus.UNKNOWN
        assert s.of(AccountSnapshot)[-1].odd_rows == ('{"status": "open"}',)


# --- out ----------------------------------------------------------------------------------------------


async def test_the_moment_of_sending_is_told_before_the_answer() -> None:
    async with session() as s:
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestAccepted)))
        kinds = [
            type(e).__name__ for e in s.events if getattr(e, "tag", "") == tag and not hasattr(e, "status")
        ]
        assert kinds == ["RequestSent", "RequestAccepted"]
        assert [(e.kind, e.tag) for e in s.of(RequestSent)] == [("place", tag)]


async def test_an_order_leaves_before_submit_returns() -> None:
    async with session() as s:
        s.send()
        [flight] = s.broker._writes
        assert s.api.governor.used()[0][0] == 1
        assert any(isinstance(note, dict) and note.get("dir") == "request" for note in s.notes[-1:])
        await flight
        assert len(s.of(RequestAccepted)) == 1


async def test_a_surprise_behind_the_sending_makes_an_order_unknown_and_never_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with session() as s:
        told = s.api._tell

        def fails(number: int, data: Any) -> None:
            if data["dir"] == "request" and data["method"] == "POST":
                raise ValueError("nobody foresaw this")
            told(number, data)

        monkeypatch.setattr(s.api, "_tell", fails)
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        monkeypatch.undo()
        await s.until(lambda _: len(s.truth()) == 1)
        await s.until_order(tag, OrderStatus.OPEN)
        assert len(s.truth()) == 1


async def test_what_is_never_sent_is_not_told_as_sent() -> None:
    async with session() as s:
        s.api._token = None
        s.send()
        await s.until(lambda _: bool(s.of(RequestRefused)))
        assert not s.of(RequestSent)


def _modify(urgent: bool) -> ModifyOrder:
    return ModifyOrder(1, "t", "B", 5, Price(1), Price(0), OrderType.LIMIT, Validity.DAY, urgent=urgent)


@pytest.mark.parametrize(
    ("command", "lane"),
    [
        (PlaceOrder(1, "t", order(price=1)), Lane.NORMAL),
        (PlaceOrder(1, "t", order(price=1, source=EXIT_SOURCE)), Lane.EXIT),
        (PlaceOrder(1, "t", order(price=1, source=STOP_SOURCE)), Lane.EXIT),
        (_modify(urgent=False), Lane.NORMAL),
        (_modify(urgent=True), Lane.EXIT),
        (replace(_modify(urgent=False), trailing=True), Lane.TRAIL),
        (CancelOrder(1, "t", "B"), Lane.EXIT),
        (PlaceGtt(1, "t", REQUEST), Lane.EXIT),
        (PlaceGtt(1, "t", replace(REQUEST, source="manual")), Lane.NORMAL),
        (ModifyGtt(1, "t", "G", replace(REQUEST, source="manual")), Lane.NORMAL),
        (CancelGtt(1, "t", "G"), Lane.EXIT),
        (ConvertPosition(1, "t", KEY, Side.BUY, 1, Product.INTRADAY, Product.DELIVERY), Lane.NORMAL),
    ],
)
def test_what_protects_or_closes_may_use_the_reserve(command: requests_out.Write, lane: Lane) -> None:
    assert requests_out.prepare(command).lane is lane


async def test_r1_a_start_waits_for_our_own_limit_on_requests_that_a_killed_run_used_up() -> None:
    s = Session()
    await s.open_market()
    now, waited = 0.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waited.append(seconds)
        await asyncio.sleep(0)

    s.api.governor = Governor(reads=(Window(60.0, 3, 3),), now_s=lambda: now, sleep=sleep)
    for _ in range(3):
        await s.api.governor.acquire(ep.ORDER_BOOK.path)
    try:
        await s.broker.start(s.hear)
        assert s.of(AccountSnapshot), "the account was read all the same"
        assert sum(waited) == pytest.approx(60.0), "longer than a running program waits"
        await s.broker._reader.orders()
        await s.broker._reader.orders()
        with pytest.raises(RateLimited):
            await s.broker._reader.orders()
    finally:
        await s.stop()
