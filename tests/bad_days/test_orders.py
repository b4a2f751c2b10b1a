"""Bad days of orders (O): the real runtime against the simulator over sockets, with the fault by its name."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.simulated import Member
from tests.fixtures.workstation import CANCEL, KEY, MODIFY, PLACE, workstation
from tradetui.domain.events import (
    FillEvent,
    OperatorKind,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderRequest, OrderStatus, Side
from tradetui.domain.records import RecordKind


async def test_o1_a_lost_acknowledgement_of_an_open_order_is_adopted_by_its_tag(tmp_path: Path) -> None:
    """The connection drops instead of an answer, and the broker has the order open.

    Seen: UNKNOWN in alarm colour with "outcome unknown, asking the broker"; within seconds the same row is OPEN.
    """
    async with workstation(tmp_path) as w:
        w.fault("lost-ack-after", count=1)
        tag = w.send()
        await w.until(lambda: bool(w.of(RequestUnknown)))
        await w.until_order(tag, OrderStatus.OPEN)
        assert w.agrees()
        assert len(w.orders) == w.market.asked(PLACE) == 1


async def test_o1_while_the_outcome_is_unknown_new_risk_is_locked_there(tmp_path: Path) -> None:
    """A second order in the same instrument while the first one's outcome is not known.

    Seen: it is REFUSED: "an order in this instrument has an unknown outcome: wait until the broker's book tells".
    """
    async with workstation(tmp_path) as w:
        w.fault("lost-ack-before", count=1)
        w.send()
        await w.until(lambda: bool(w.of(RequestUnknown)))
        second = w.send(qty=11)
        assert w.orders[second].status is OrderStatus.REFUSED
        assert "unknown outcome" in w.orders[second].message
        assert w.market.asked(PLACE) == 1


async def test_o2_a_lost_acknowledgement_of_an_order_that_filled_is_booked_once(tmp_path: Path) -> None:
    """The acknowledgement is lost, and the order has filled meanwhile.

    Seen: UNKNOWN, then FILLED; the position has the units once.
    """
    async with workstation(tmp_path) as w:
        w.fault("lost-ack-after", count=1)
        tag = w.send(price=100.05)
        await w.until_order(tag, OrderStatus.FILLED)
        await w.until(w.agrees)
        await w.polls(2)
        assert (w.fills, w.held(), w.market.asked(PLACE)) == (1, 10, 1)
        assert w.agrees()


async def test_o3_an_order_that_never_arrived_stays_unknown_until_three_polls_miss_it(tmp_path: Path) -> None:
    """The connection drops before the order reaches the broker.

    Seen: UNKNOWN for some seconds, then ABSENT with "never reached the broker: not in its book in three polls". Nothing is
    sent again.
    """
    async with workstation(tmp_path) as w:
        w.fault("lost-ack-before", count=1)
        tag = w.send()
        await w.until(lambda: w.orders[tag].status is OrderStatus.UNKNOWN)
        await w.pass_time(5)
        assert not w.of(TagAbsence)
        await w.pass_time(6)
        for polls in (1, 2, 3):
            await w.until(lambda polls=polls: len(w.of(TagAbsence)) >= polls)  # type: ignore[misc]
            assert w.orders[tag].status is (OrderStatus.ABSENT if polls == 3 else OrderStatus.UNKNOWN)
            if polls < 3:
                await w.pass_time(4)
        assert w.truth() == []
        assert w.market.asked(PLACE) == 1, "sent again only by the user"


@pytest.mark.parametrize("form", ["empty", "html", "null", "502"])
async def test_o4_a_senseless_answer_to_an_accepted_order_is_no_rejection(tmp_path: Path, form: str) -> None:
    """The broker took the order and answers with nothing, a web page, null or a 502.

    Seen: UNKNOWN, then OPEN; never REJECTED.
    """
    async with workstation(tmp_path) as w:
        w.fault("garbled-ack", form=form, count=1)
        tag = w.send()
        await w.until(lambda: bool(w.of(RequestUnknown)))
        await w.until_order(tag, OrderStatus.OPEN)
        assert w.agrees()
        assert w.market.asked(PLACE) == 1
        assert not w.of(RequestRefused)


async def test_o6_a_fill_that_is_pushed_before_the_acknowledgement_is_one_order_and_one_fill(
    tmp_path: Path,
) -> None:
    """The push of a fill overtakes the acknowledgement, which then never comes.

    Seen: one row, FILLED; one position.
    """
    async with workstation(tmp_path) as w:
        w.fault("hang", after=1, count=1, path="/order/place")
        tag = w.send(price=100.05)
        await w.until_order(tag, OrderStatus.FILLED)
        await w.until(lambda: w.held() == 10)
        assert not w.of(RequestAccepted)
        w.market.sim.faults.clear()  # the server lets the request go
        await w.until(lambda: bool(w.of(RequestUnknown)))
        assert (len(w.orders), w.fills) == (1, 1)
        assert w.orders[tag].status is OrderStatus.FILLED
        assert w.agrees()


async def test_o7_duplicate_and_disordered_pushes_change_nothing(tmp_path: Path) -> None:
    """Every push comes twice, and in swapped pairs.

    Seen: nothing: the order list and the position are as without it.
    """
    async with workstation(tmp_path) as w:
        w.fault("duplicate")
        w.fault("disorder")
        resting, filled = w.send(qty=7), w.send(price=100.05)
        await w.until(lambda: bool(w.orders[resting].broker_id))
        w.ask(OperatorKind.CANCEL, tag=resting)
        await w.until(lambda: any(one.kind == "cancel" for one in w.of(RequestAccepted)))
        await w.polls()  # a frame that waits to be swapped may wait for ever
        await w.until(lambda: w.orders[resting].status is OrderStatus.CANCELLED)
        await w.until_order(filled, OrderStatus.FILLED)
        await w.until(w.agrees)
        assert w.held() == 10


async def test_o8_a_fill_whose_push_is_missing_is_found_by_the_poll(tmp_path: Path) -> None:
    """The push of a fill is lost while the stream looks alive.

    Seen: the order OPEN for a few seconds, then FILLED, with its position.
    """
    async with workstation(tmp_path) as w:
        tag = w.send()
        await w.until_order(tag, OrderStatus.OPEN)
        w.fault("stall")
        w.market.print_trade(KEY, 98.9, 50)
        assert [one.status.value for one in w.truth()] == ["complete"]
        w.market.sim.faults.clear()
        await w.polls()
        await w.until(w.agrees)
        assert w.held() == 10


async def test_o9_a_partial_fill_a_modify_and_the_rest_add_up(tmp_path: Path) -> None:
    """Four of ten units fill, the order is raised to twenty, and the rest fills.

    Seen: 4/10, MODIFYING, then 20/20 FILLED, and a position of 20.
    """
    async with workstation(tmp_path) as w:
        tag = w.send(price=100.0)
        await w.until_order(tag, OrderStatus.OPEN)
        w.market.print_trade(KEY, 100.0, 4)
        await w.until(lambda: w.orders[tag].filled_qty == 4)
        w.ask(OperatorKind.MODIFY, tag=tag, qty=20, price=to_price(100.05))
        await w.until_order(tag, OrderStatus.FILLED)
        await w.until(w.agrees)
        assert (w.held(), w.orders[tag].request.qty, w.orders[tag].modify_pending) == (20, 20, False)
        assert sum(event.fill.qty for event in w.of(FillEvent)) == 20


async def test_o10_a_cancel_that_is_refused_because_it_filled_shows_as_filled(tmp_path: Path) -> None:
    """A cancel arrives after the order has filled.

    Seen: CANCELLING, then FILLED; the position is there.
    """
    async with workstation(tmp_path) as w:
        tag = w.send()
        await w.until_order(tag, OrderStatus.OPEN)
        w.fault("stall")
        w.market.print_trade(KEY, 98.9, 50)
        w.ask(OperatorKind.CANCEL, tag=tag)
        await w.until(lambda: any(one.kind == "cancel" for one in w.of(RequestRefused)))
        w.market.sim.faults.clear()
        await w.polls()
        order = await w.until_order(tag, OrderStatus.FILLED)
        await w.until(w.agrees)
        assert not order.cancel_pending


async def test_o13_a_send_key_that_is_held_makes_one_order(tmp_path: Path) -> None:
    """The send key repeats twenty times for one review.

    Seen: one row in the order list.
    """
    async with workstation(tmp_path) as w:
        request = OrderRequest(KEY, Side.BUY, 10, price=to_price(99), client_id="ticket-1")
        for _ in range(20):
            w.ask(OperatorKind.PLACE, request=request)
        await w.until(lambda: any(one.status is OrderStatus.OPEN for one in w.orders.values()))
        assert len(w.orders) == len(w.truth()) == w.market.asked(PLACE) == 1


async def test_o14_a_phone_places_modifies_and_cancels_and_is_followed(tmp_path: Path) -> None:
    """The account's phone app places an order, changes it, and it fills in part.

    Seen: "reconcile: foreign order", the row marked "foreign" with its new terms and fills; it can be cancelled from here.
    """
    async with workstation(tmp_path) as w, aiohttp.ClientSession() as http:
        phone = Member(w.market.sim, http)
        await phone.login()
        broker_id = (await phone.place(KEY, quantity=5, price=98.0, tag="")).data["order_ids"][0]
        tag = f"x-{broker_id}"
        await w.until(lambda: tag in w.orders)
        order = await w.until_order(tag, OrderStatus.OPEN)
        assert order.foreign
        terms = {"order_id": broker_id, "quantity": 6, "validity": "DAY", "price": 98.5,
                 "order_type": "LIMIT", "disclosed_quantity": 0, "trigger_price": 0}  # fmt: skip
        assert (await phone.call("PUT", "/v3/order/modify", host="order", body=terms)).status == 200
        await w.until(lambda: w.orders[tag].request.qty == 6)
        assert w.orders[tag].request.price == to_price(98.5)
        w.market.print_trade(KEY, 98.4, 2)
        await w.until(lambda: w.held() == 2)
        w.ask(OperatorKind.CANCEL, tag=tag)  # and it can be ended from here
        await w.until_order(tag, OrderStatus.CANCELLED)
        await w.until(w.agrees)


@pytest.mark.parametrize("fault", ["lost-ack-before", "lost-ack-after"])
async def test_o19_a_modify_or_cancel_on_a_dropped_connection_is_sent_once(
    tmp_path: Path, fault: str
) -> None:
    """The connection drops under a modify and a cancel.

    Seen: MODIFYING or CANCELLING until the broker's book tells; never two requests.
    """
    async with workstation(tmp_path) as w:
        tag = w.send()
        await w.until_order(tag, OrderStatus.OPEN)
        w.fault(fault)
        w.ask(OperatorKind.MODIFY, tag=tag, price=to_price(98))
        await w.until(lambda: len(w.of(RequestUnknown)) == 1)
        await w.polls()
        await w.until(lambda: not w.orders[tag].modify_pending)
        w.ask(OperatorKind.CANCEL, tag=tag)
        await w.until(lambda: len(w.of(RequestUnknown)) == 2)
        w.market.sim.faults.clear()
        await w.polls(2)
        await w.until(lambda: not w.orders[tag].cancel_pending)
        await w.until(w.agrees)
        assert (w.market.asked(MODIFY), w.market.asked(CANCEL)) == (1, 1)
        assert w.orders[tag].status is (
            OrderStatus.CANCELLED if fault == "lost-ack-after" else OrderStatus.OPEN
        )


O20 = [
    ("403-static-ip", "UDAPI1154", "address"),
    ("401", "UDAPI100050", "tradetui auth"),
    ("service-hours", "UDAPI100074", "05:30"),
    ("429", "UDAPI10005", "order list"),
]


@pytest.mark.parametrize(("fault", "code", "words"), O20)
async def test_o20_every_refusal_of_a_write_has_its_own_words_and_is_not_repeated(
    tmp_path: Path, fault: str, code: str, words: str
) -> None:
    """The broker refuses an order for the address, the token, the hour or the rate.

    Seen: REJECTED, each with its own words and what to do about it; nothing is sent again.
    """
    async with workstation(tmp_path) as w:
        w.fault(fault, path="/order/place")
        tag = w.send()
        order = await w.until_order(tag, OrderStatus.REJECTED)
        assert words in order.message
        assert [one.code for one in w.of(RequestRefused)] == [code]
        w.market.sim.faults.clear()
        await w.polls()
        assert w.truth() == []
        assert w.market.asked(PLACE) == 1


async def test_o20_r7_a_login_that_ends_while_running_is_said_and_stops_new_risk_only(tmp_path: Path) -> None:
    """The login ends while a position is open.

    Seen: "the account cannot be read ...: tradetui auth", once. New risk is REFUSED with it; an exit is let through, and the
    broker's refusal is shown. After a new login everything goes on by itself.
    """
    async with workstation(tmp_path) as w:
        w.send(price=100.05)
        await w.until(lambda: w.held() == 10)
        manager = w.runtime.engine.desk.manager
        w.fault("401", path="/order/")
        await w.pass_time(61)
        await w.until(lambda: bool(manager.account_trouble))
        refused = w.send()
        assert w.orders[refused].status is OrderStatus.REFUSED
        assert "tradetui auth" in w.orders[refused].message
        closing = w.send(Side.SELL, 10, price=99.9)
        order = await w.until_order(closing, OrderStatus.REJECTED)
        assert "tradetui auth" in order.message, "the exit was let through, and the broker said why not"
        said = [one.data["found"] for one in w.records if one.kind is RecordKind.RECONCILE]
        assert len(said) == 1
        w.market.sim.faults.clear()
        await w.pass_time(61)
        await w.until(lambda: not manager.account_trouble)
        await w.until_order(w.send(Side.SELL, 10, price=99.9), OrderStatus.FILLED)
