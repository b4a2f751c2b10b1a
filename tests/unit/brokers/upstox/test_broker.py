"""The Upstox broker against the simulator, on the bad days of `cases.md` O, with the order manager behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.brokers.upstox.session import KEY, Session, session
from tests.unit.exchange.support import order
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import Flight, UpstoxApi
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.governor import Governor, Window
from tradetui.brokers.upstox.hosts import LIVE, Hosts
from tradetui.domain.errors import AuthError, TransportError
from tradetui.domain.events import (
    AccountSnapshot,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.order import EXIT_SOURCE as EXIT
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.domain.requests import CancelOrder, PlaceOrder, Reconcile

PLACE, CANCEL, MODIFY = "POST /v3/order/place", "DELETE /v3/order/cancel", "PUT /v3/order/modify"


LOST = [("lost-ack-after", {}), ("hang", {"after": 1})]


@pytest.mark.parametrize(("fault", "args"), LOST)
@pytest.mark.parametrize("stream", [True, False])
async def test_o1_a_lost_acknowledgement_of_an_open_order_is_adopted_by_tag(
    fault: str, args: dict[str, int], stream: bool
) -> None:
    async with session(read_s=0.3) as s:
        if not stream:
            await s.lose_stream()
        s.market.fault(fault, count=1, path="/order/place", **args)
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        if not stream:
            assert s.order(tag).status is OrderStatus.UNKNOWN
            await s.pass_time(11)
        found = await s.until_order(tag, OrderStatus.OPEN)
        assert found.broker_id
        assert s.truth() == [("open", 0)]
        assert s.market.asked(PLACE) == 1
        assert len(s.manager.orders) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_o2_a_lost_acknowledgement_of_a_filled_order_is_booked_once(stream: bool) -> None:
    async with session() as s:
        if not stream:
            await s.lose_stream()
        s.market.fault("lost-ack-after", count=1)
        tag = s.send(price=100.05)
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        if not stream:
            await s.pass_time(11)
        await s.until_order(tag, OrderStatus.FILLED)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 10)
        s.submit(Reconcile(s.now_ns()))
        await s.until(lambda _: len(s.of(AccountSnapshot)) >= 2)
        assert s.portfolio.qty(KEY, Product.INTRADAY) == 10
        assert len(s.portfolio.fills) == 1
        assert s.market.asked(PLACE) == 1


@pytest.mark.parametrize("fault", ["lost-ack-before", "html-403", "empty-400", "maintenance-503"])
async def test_o3_o4_an_order_that_never_arrived_is_unknown_until_absence_is_proven(fault: str) -> None:
    async with session() as s:
        s.market.fault(fault, count=1, path="/order/place")
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        assert s.order(tag).status is OrderStatus.UNKNOWN
        await s.pass_time(5)
        assert not s.of(TagAbsence)
        await s.pass_time(6)
        for polls in (1, 2, 3):
            await s.until(lambda _, polls=polls: len(s.of(TagAbsence)) == polls)  # type: ignore[misc]
            assert s.order(tag).status is (OrderStatus.ABSENT if polls == 3 else OrderStatus.UNKNOWN)
            await s.pass_time(4)
        assert s.truth() == []
        assert s.market.asked(PLACE) == 1


async def test_a_poll_that_fails_proves_no_absence() -> None:
    async with session() as s:
        s.market.fault("lost-ack-before", count=1)
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestUnknown)))
        s.market.fault("maintenance-503", path="/order/history")
        asked = s.market.asked("GET /v2/order/history")
        for _ in range(4):
            await s.pass_time(11)
        async with asyncio.timeout(10):
            while s.market.asked("GET /v2/order/history") <= asked:  # noqa: ASYNC110 - counted by the server
                await asyncio.sleep(0.005)
        s.submit(Reconcile(s.now_ns()))
        await s.until(lambda _: len(s.of(AccountSnapshot)) >= 2)
        assert not s.of(TagAbsence)
        assert s.order(tag).status is OrderStatus.UNKNOWN


async def test_o6_a_fill_before_its_acknowledgement_is_one_order_and_one_fill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with session() as s:
        gate, finish = asyncio.Event(), s.api.finish

        async def late(flight: Flight) -> Any:
            reply = await finish(flight)
            if flight.endpoint is ep.PLACE:
                await gate.wait()
            return reply

        monkeypatch.setattr(s.api, "finish", late)
        tag = s.send(price=100.05)
        await s.until_order(tag, OrderStatus.FILLED)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 10)
        assert not s.of(RequestAccepted)
        gate.set()
        await s.until(lambda _: bool(s.of(RequestAccepted)))
        assert len(s.manager.orders) == len(s.portfolio.fills) == 1
        assert s.order(tag).status is OrderStatus.FILLED


@pytest.mark.parametrize("faults", [("duplicate",), ("disorder",), ("duplicate", "disorder")])
async def test_o7_duplicate_and_disordered_pushes_change_nothing(faults: tuple[str, ...]) -> None:
    async with session() as s:
        for fault in faults:
            s.market.fault(fault)
        resting = s.send(price=99.0)
        filled = s.send(price=100.05)
        await s.until(lambda _: bool(s.order(resting).broker_id and s.order(filled).broker_id))
        cancelled = s.send(price=98.0)
        await s.until(lambda _: bool(s.order(cancelled).broker_id))
        s.manager.cancel(cancelled, s.now_ns())
        await s.until(lambda _: sum(e.kind == "cancel" for e in s.of(RequestAccepted)) == 1)
        # A frame that waits to be swapped may wait for ever; the poll says what it would have said.
        await s.pass_time(6)
        await s.until_order(resting, OrderStatus.OPEN)
        await s.until_order(filled, OrderStatus.FILLED)
        await s.until_order(cancelled, OrderStatus.CANCELLED)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 10)
        assert len(s.portfolio.fills) == 1
        assert sorted(s.truth()) == [("cancelled", 0), ("complete", 10), ("open", 0)]


async def test_o8_a_missed_push_is_repaired_by_the_poll() -> None:
    async with session() as s:
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        s.market.fault("stall")
        s.market.print_trade(KEY, 98.9, 50)
        assert s.truth() == [("complete", 10)]
        await s.pass_time(6)
        await s.until_order(tag, OrderStatus.FILLED)
        assert s.portfolio.qty(KEY, Product.INTRADAY) == 10


async def test_o9_a_partial_fill_a_modify_and_the_rest_add_up() -> None:
    async with session() as s:
        tag = s.send(qty=10, price=100.0)
        await s.until_order(tag, OrderStatus.OPEN)
        s.market.print_trade(KEY, 100.0, 4)
        await s.until(lambda _: s.order(tag).filled_qty == 4)
        assert s.manager.modify(tag, s.now_ns(), 20, order(price=100.05).price, None) == ""
        await s.until_order(tag, OrderStatus.FILLED)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 20)
        assert s.order(tag).filled_qty == 20
        assert s.order(tag).request.qty == 20
        assert not s.order(tag).modify_pending
        assert s.truth() == [("complete", 20)]


async def test_o10_a_cancel_refused_because_it_filled_is_shown_as_filled() -> None:
    async with session() as s:
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        s.market.fault("stall")
        s.market.print_trade(KEY, 98.9, 50)
        s.manager.cancel(tag, s.now_ns())
        await s.until(lambda _: bool(s.of(RequestRefused)))
        [refused] = s.of(RequestRefused)
        assert refused.kind == "cancel"
        await s.pass_time(2)
        await s.until_order(tag, OrderStatus.FILLED)
        assert s.portfolio.qty(KEY, Product.INTRADAY) == 10


async def test_o14_orders_from_a_phone_are_adopted_and_followed() -> None:
    async with session() as s:
        reply = s.market.venue.place(order(price=99.0), "")
        tag = f"x-{reply.order_id}"
        await s.until(lambda _: tag in s.manager.orders)
        adopted = await s.until_order(tag, OrderStatus.OPEN)
        assert adopted.foreign
        assert adopted.request.qty == 10
        s.market.print_trade(KEY, 98.9, 3)
        await s.until(lambda _: s.portfolio.qty(KEY, Product.INTRADAY) == 3)
        s.market.venue.cancel(reply.order_id)
        await s.until_order(tag, OrderStatus.CANCELLED)


@pytest.mark.parametrize("fault", ["lost-ack-before", "lost-ack-after"])
async def test_o19_a_modify_or_cancel_is_never_sent_twice(fault: str) -> None:
    async with session() as s:
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        s.market.fault(fault)
        s.manager.modify(tag, s.now_ns(), 20, None, None)
        await s.until(lambda _: len(s.of(RequestUnknown)) == 1)
        s.submit(CancelOrder(s.now_ns(), tag, s.order(tag).broker_id))
        await s.until(lambda _: len(s.of(RequestUnknown)) == 2)
        assert (s.market.asked(MODIFY), s.market.asked(CANCEL)) == (1, 1)
        s.market.sim.faults.clear()
        await s.pass_time(6)
        done = fault == "lost-ack-after"
        await s.until_order(tag, OrderStatus.CANCELLED if done else OrderStatus.OPEN)
        assert s.order(tag).request.qty == (20 if done else 10)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("403-static-ip", "UDAPI1154", "static IP"),
        ("401", "UDAPI100050", "Log in again"),
        ("service-hours", "UDAPI100074", "05:30 to 24:00"),
        ("429", "UDAPI10005", "Wait a moment"),
    ],
)
async def test_o20_every_refusal_has_words_and_a_remedy_and_is_not_repeated(
    fault: str, code: str, words: str
) -> None:
    async with session() as s:
        s.market.fault(fault, path="/order/place")
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestRefused)))
        [refused] = s.of(RequestRefused)
        assert (refused.kind, refused.tag, refused.code) == ("place", tag, code)
        assert words in refused.message
        assert s.order(tag).status is OrderStatus.REJECTED
        await s.pass_time(20)
        assert s.market.asked(PLACE) == 1
        assert s.truth() == []


async def test_a_rejection_by_the_exchange_shows_its_words() -> None:
    async with session() as s:
        s.market.fault("reject", message="RMS: margin exceeds")
        tag = s.send()
        await s.until_order(tag, OrderStatus.REJECTED)
        assert "RMS: margin exceeds" in s.order(tag).message


async def test_a_reconnect_reads_the_account_again_with_a_fresh_address() -> None:
    async with session() as s:
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        s.market.fault("feed-403", count=2)
        s.market.fault("drop", stream="portfolio")
        s.market.print_trade(KEY, 98.9, 50)
        await s.until_order(tag, OrderStatus.FILLED)
        await s.until(lambda _: len(s.of(AccountSnapshot)) == 2)
        assert s.portfolio.qty(KEY, Product.INTRADAY) == 10
        authorized = s.market.asked("GET /v2/feed/portfolio-stream-feed/authorize")
        assert authorized == s.market.asked("portfolio:handshake") == 4


async def test_a_fill_whose_trades_cannot_be_read_at_first_is_booked_later() -> None:
    async with session() as s:
        s.market.fault("maintenance-503", count=2, path="/order/trades")
        tag = s.send(price=100.05)
        await s.until_order(tag, OrderStatus.FILLED)
        await s.until(lambda _: bool(s.of(FillEvent)))
        assert len(s.of(FillEvent)) == 1
        assert s.market.asked("GET /v2/order/trades") >= 3


async def test_a_new_login_goes_on_without_a_restart() -> None:
    async with session() as s:
        s.market.fault("revoke")
        s.market.fault("drop", stream="portfolio")
        tag = s.send()
        await s.until(lambda _: bool(s.of(RequestRefused)))
        assert s.order(tag).status is OrderStatus.REJECTED
        before = len(s.of(AccountSnapshot))
        s.broker.use_token(s.market.token())
        await s.until(lambda _: len(s.of(AccountSnapshot)) > before)
        again = s.send()
        await s.until(lambda _: bool(s.order(again).broker_id))
        # Its pushes may have gone by before the stream was back; the poll tells in any case.
        await s.pass_time(6)
        await s.until_order(again, OrderStatus.OPEN)
        await s.until(lambda _: s.broker._stream.connected.is_set())


async def test_a_request_under_way_does_not_make_its_order_doubtful() -> None:
    async with session() as s:
        s.market.fault("delay", ms=300, path="/order/place", count=1)
        tag = s.send()
        await asyncio.sleep(0)
        s.submit(Reconcile(s.now_ns()))
        await s.until(lambda _: len(s.of(AccountSnapshot)) == 2)
        assert s.of(AccountSnapshot)[-1].orders == ()
        assert s.order(tag).status is OrderStatus.SENT
        await s.until_order(tag, OrderStatus.OPEN)
        assert not s.of(RequestUnknown)


async def test_each_trade_is_reported_once_though_every_push_reads_them_all() -> None:
    async with session() as s:
        tag = s.send(qty=10, price=100.0)
        await s.until_order(tag, OrderStatus.OPEN)
        for qty, filled in ((3, 3), (4, 7), (50, 10)):
            s.market.print_trade(KEY, 100.0, qty)
            await s.until(lambda _, filled=filled: sum(e.fill.qty for e in s.of(FillEvent)) == filled)  # type: ignore[misc]
        assert [e.fill.qty for e in s.of(FillEvent)] == [3, 4, 3]
        assert {e.fill.tag for e in s.of(FillEvent)} == {tag}


async def test_an_older_push_says_nothing_new() -> None:
    async with session() as s:
        row = {
            "update_type": "order", "order_id": "77", "tag": "z", "instrument_token": KEY, "quantity": 10,
            "transaction_type": "BUY", "order_request_id": "1", "status": "open", "price": 99.0,
        }  # fmt: skip
        changed = {**row, "order_request_id": "2", "price": 99.5, "filled_quantity": 0}
        ended = {**changed, "status": "cancelled"}
        for frame, told in (
            (row, 1),
            (changed, 2),
            (row, 2),
            (changed, 3),
            (ended, 4),
            (changed, 4),
            (ended, 5),
        ):
            s.broker._on_push(frame)
            assert len(s.of(OrderUpdate)) == told


async def test_a_cancel_goes_where_a_new_order_has_to_wait() -> None:
    async with session() as s:
        s.api.governor = Governor((Window(60.0, 2, 1),))
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        late = s.send(price=98.0)
        await s.until_order(late, OrderStatus.REJECTED)
        assert "not sent: our own limit" in s.order(late).message
        s.manager.cancel(tag, s.now_ns())
        await s.until_order(tag, OrderStatus.CANCELLED)
        assert (s.market.asked(PLACE), s.market.asked(CANCEL)) == (1, 1)


async def test_an_exit_goes_where_another_order_has_to_wait() -> None:
    async with session() as s:
        s.api.governor = Governor((Window(60.0, 2, 1),))
        await s.until_order(s.send(price=100.05), OrderStatus.FILLED)
        out = s.send(Side.SELL, price=99.95, source=EXIT)
        await s.until_order(out, OrderStatus.FILLED)


async def test_holdings_are_read_again_only_when_something_says_so() -> None:
    async with session() as s:

        async def reconcile() -> AccountSnapshot:
            count = len(s.of(AccountSnapshot)) + 1
            s.submit(Reconcile(s.now_ns()))
            await s.until(lambda _: len(s.of(AccountSnapshot)) == count)
            return s.of(AccountSnapshot)[-1]

        assert (await reconcile()).holdings is None
        s.broker._on_push({"update_type": "holding", "instrument_token": KEY})
        assert (await reconcile()).holdings == ()
        assert (await reconcile()).holdings is None
        await s.advance(121)
        assert (await reconcile()).holdings == ()


async def test_what_else_fails_is_left_out_of_a_snapshot() -> None:
    async with session() as s:
        for path in ("positions", "funds"):
            s.market.fault("maintenance-503", path=path)
            s.submit(Reconcile(s.now_ns()))
            count = len(s.of(AccountSnapshot)) + 1
            await s.until(lambda _, count=count: len(s.of(AccountSnapshot)) == count)  # type: ignore[misc]
            last = s.of(AccountSnapshot)[-1]
            assert (last.positions is None) == (path == "positions")
            assert (last.available is None) == (path == "funds")
        s.market.fault("maintenance-503", path="retrieve-all")
        s.submit(Reconcile(s.now_ns()))
        s.market.fault("maintenance-503", path="retrieve-all", off=True)
        s.submit(Reconcile(s.now_ns()))
        await s.until(lambda _: len(s.of(AccountSnapshot)) >= 4)


async def test_start_says_what_is_wrong() -> None:
    made = Session()
    await made.open_market()
    made.market.fault("401")
    with pytest.raises(AuthError, match="Log in"):
        await made.broker.start(made.hear)
    made.market.sim.faults.clear()
    made.market.fault("maintenance-503")
    with pytest.raises(TransportError):
        await made.broker.start(made.hear)
    made.market.sim.faults.clear()
    await made.stop()


async def test_start_works_without_the_stream_and_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tradetui.brokers.upstox import broker

    monkeypatch.setattr(broker, "_STREAM_WAIT_S", 0.05)
    made = Session()
    await made.open_market()
    made.market.fault("feed-403")
    await made.broker.start(made.hear)
    assert len(made.of(AccountSnapshot)) == 1
    made.market.sim.faults.clear()
    await made.until(lambda _: len(made.of(AccountSnapshot)) == 2)
    await made.stop()


async def test_close_waits_for_an_answer_under_way_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from tradetui.brokers.upstox import broker

    async with session() as s:
        s.market.fault("delay", ms=200, path="/order/place", count=1)
        tag = s.send()
        await asyncio.sleep(0)
        await s.broker.close()
        assert [e.tag for e in s.of(RequestAccepted)] == [tag]
        s.submit(PlaceOrder(s.now_ns(), "late", order(price=99.0)))
    monkeypatch.setattr(broker, "_CLOSE_WAIT_S", 0.05)
    async with session() as s:
        s.market.fault("hang", path="/order/place")
        tag = s.send()
        async with asyncio.timeout(10):
            while not s.market.asked(PLACE):  # noqa: ASYNC110 - counted by the server
                await asyncio.sleep(0.005)
        async with asyncio.timeout(3):
            await s.broker.close()
        assert s.order(tag).status is OrderStatus.SENT


async def test_the_journal_gets_requests_replies_and_pushes_without_secrets() -> None:
    async with session() as s:
        tag = s.send(price=99.0)
        await s.until_order(tag, OrderStatus.OPEN)
        kinds = {note["dir"] for note in s.notes if isinstance(note, dict)}
        assert kinds >= {"request", "reply", "push"}
        token = s.api.token
        assert token is not None
        assert token.secret.reveal() not in str(s.notes)
        assert "SIM001" not in str(s.notes)
        assert tag in str(s.notes)


def test_live_is_read_off_the_address() -> None:
    class Still:
        def now_ns(self) -> int:
            return 0

        async def sleep_until(self, t_ns: int) -> None:
            """Time stands still."""

    local = Hosts(
        main="http://127.0.0.1:1",
        order="http://127.0.0.1:2",
        feed="ws://127.0.0.1:3",
        assets="http://127.0.0.1:4",
    )
    for hosts, live in ((LIVE, True), (Hosts.sandbox(), False), (local, False)):
        assert UpstoxBroker(UpstoxApi(hosts), Still()).live is live
