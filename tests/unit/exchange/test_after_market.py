"""Orders that wait for the open: what each phase does with them."""

from __future__ import annotations

import pytest

from tests.unit.exchange.support import ACCOUNT, Desk, order, rs
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.exchange.orders import Amendment, RawStatus
from tradetui.exchange.rules import RuleBook


@pytest.fixture
def desk() -> Desk:
    one = Desk(rules=RuleBook(after_market=True))
    one.normal()
    one.phase = "CLOSED"
    return one


@pytest.mark.parametrize("phase", ["CLOSED", "POST_CLOSE"])
def test_an_order_waits_and_blocks_nothing(desk: Desk, phase: str) -> None:
    desk.phase = phase
    state = desk.place(order(qty=10, price=99))
    assert (state.status, state.after_market) == (RawStatus.AMO_RECEIVED, True)
    assert desk.exchange.funds(ACCOUNT).blocked == 0
    desk.exchange.advance(desk.t_ns)
    assert desk.now(state).status is RawStatus.AMO_RECEIVED


def test_without_the_rule_it_is_rejected_as_before() -> None:
    desk = Desk()
    desk.phase = "CLOSED"
    assert "closed" in desk.rejected(order(qty=10, price=99))


def test_the_minutes_before_the_open_still_refuse(desk: Desk) -> None:
    desk.phase = "CANCEL_ONLY"
    assert "only cancels" in desk.rejected(order(qty=10, price=99))


@pytest.mark.parametrize(
    ("request_", "phase", "after"),
    [
        (order(qty=10, price=99), "PRE_OPEN", RawStatus.OPEN),
        (order(qty=10, price=99), "PRE_OPEN:MATCH", RawStatus.AMO_RECEIVED),
        (order(qty=10, price=99), "CLOSING_AUCTION", RawStatus.AMO_RECEIVED),
        (order(qty=10, price=99), "CONTINUOUS", RawStatus.OPEN),
        (order(qty=10, kind=OrderType.MARKET), "PRE_OPEN", RawStatus.AMO_RECEIVED),
        (order(qty=10, kind=OrderType.MARKET), "CONTINUOUS", RawStatus.COMPLETE),
        (
            order(Side.SELL, 10, 98, kind=OrderType.SL, trigger=98.5),
            "PRE_OPEN",
            RawStatus.AMO_RECEIVED,
        ),
        (
            order(Side.SELL, 10, 98, kind=OrderType.SL, trigger=98.5),
            "CONTINUOUS",
            RawStatus.TRIGGER_PENDING,
        ),
    ],
)
def test_it_is_let_in_when_the_session_takes_its_form(
    desk: Desk, request_: OrderRequest, phase: str, after: RawStatus
) -> None:
    state = desk.place(request_)
    desk.phase = phase
    desk.t_ns += 10**9
    assert bool(desk.exchange.due_keys(desk.t_ns)) == (after is not RawStatus.AMO_RECEIVED)
    desk.exchange.advance(desk.t_ns)
    assert desk.now(state).status is after


def test_it_belongs_to_the_day_it_is_let_in_and_dies_with_its_session(desk: Desk) -> None:
    state = desk.place(order(qty=10, price=99))
    desk.t_ns += 24 * 3600 * 10**9
    assert [one.order_id for one in desk.exchange.orders(ACCOUNT, desk.t_ns)] == [state.order_id]
    desk.phase = "CONTINUOUS"
    desk.exchange.advance(desk.t_ns)
    desk.exchange.advance(desk.t_ns + 10**9)
    assert desk.now(state).status is RawStatus.OPEN
    assert [one.order_id for one in desk.exchange.orders(ACCOUNT, desk.t_ns)] == [state.order_id]
    desk.phase = "CLOSED"
    desk.exchange.advance(desk.t_ns + 2 * 10**9)
    assert desk.now(state).status is RawStatus.CANCELLED


def test_it_is_judged_when_it_is_let_in(desk: Desk) -> None:
    state = desk.place(order(qty=20_000, price=99, product=Product.DELIVERY))
    assert state.status is RawStatus.AMO_RECEIVED
    desk.phase = "CONTINUOUS"
    desk.exchange.advance(desk.t_ns)
    assert desk.now(state).status is RawStatus.REJECTED
    assert "margin" in desk.now(state).message


def test_a_wrong_form_is_refused_at_once(desk: Desk) -> None:
    assert "IOC" in desk.rejected(order(qty=10, price=99, validity=Validity.IOC))
    assert desk.refused(order(qty=0, price=99)) == "UDAPI1052"


def test_modify_and_cancel_while_it_waits(desk: Desk) -> None:
    state = desk.place(order(qty=10, price=99))
    terms = Amendment(5, rs(98.5), rs(0), OrderType.LIMIT)
    assert desk.exchange.modify(ACCOUNT, state.order_id, terms, desk.t_ns).refusal is None
    assert (desk.now(state).request.qty, desk.now(state).request.price) == (5, rs(98.5))
    bad = Amendment(5, rs(98.5), rs(0), OrderType.LIMIT, Validity.IOC)
    assert desk.exchange.modify(ACCOUNT, state.order_id, bad, desk.t_ns).refusal is not None
    assert desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns).refusal is None
    assert desk.now(state).status is RawStatus.AMO_CANCELLED
    assert desk.now(state).status.terminal
    again = desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns)
    assert again.refusal is not None
    assert again.refusal.code == "UDAPI100040"
    desk.phase = "CONTINUOUS"
    desk.exchange.advance(desk.t_ns)
    assert desk.now(state).status is RawStatus.AMO_CANCELLED


def test_a_restart_lets_it_wait_on(desk: Desk) -> None:
    state = desk.place(order(qty=10, price=99))
    again = Desk(rules=RuleBook(after_market=True))
    again.normal()
    again.exchange.restore(state)
    again.exchange.remember([desk.exchange.history(ACCOUNT, state.order_id)], [])
    again.exchange.advance(again.t_ns)
    walk = [one.status for one in again.exchange.history(ACCOUNT, state.order_id)]
    assert walk[:2] == [RawStatus.RECEIVED, RawStatus.AMO_RECEIVED]
    assert walk[-1] is RawStatus.OPEN
