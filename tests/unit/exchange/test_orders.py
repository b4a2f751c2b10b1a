"""Order types, modifies, cancels, sessions: one scenario each."""

from __future__ import annotations

import pytest

from tests.unit.exchange.support import ACCOUNT, CALL, OTHER, SHARE, Desk, order, rs, statuses, trades_of
from tradetui.domain.calendar.ist import DAY_NS
from tradetui.domain.order import OrderType, Product, Side, Validity
from tradetui.exchange.orders import RawStatus


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.normal()
    return desk


def test_limit_order_walks_the_broker_statuses_and_fills_at_the_book(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 150, 100.15))
    assert desk.walk(state) == [
        "put order req received",
        "validation pending",
        "open pending",
        "open",
        "open",
        "complete",
    ]
    assert desk.fills(state) == [(100, 100.05), (50, 100.15)]
    assert state.average_price == (100 * rs(100.05) + 50 * rs(100.15) + 75) // 150
    assert state.order_id == "261120000000001"
    assert state.exchange_order_id
    assert state.tag == "t"


def test_resting_limit_fills_in_parts_by_prints(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 30, 99.95))
    assert state.status is RawStatus.OPEN
    assert trades_of(desk.print(99.95, 100)) == []
    assert trades_of(desk.print(99.95, 20)) == [(state.order_id, 20)]
    half = desk.now(state)
    assert (half.status, half.filled_qty, half.pending_qty) == (RawStatus.OPEN, 20, 10)
    desk.print(99.90, 10)
    assert desk.now(state).status is RawStatus.COMPLETE


def test_market_order_is_protected_and_its_rest_becomes_a_limit(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 1000, kind=OrderType.MARKET, protection_pct=-1))
    assert state.status is RawStatus.OPEN
    assert state.filled_qty == 500
    assert state.request.order_type is OrderType.LIMIT
    assert state.request.price == rs(102)
    assert max(price for _, price in desk.fills(state)) <= 102


def test_market_protection_in_percent_stops_the_walk(desk: Desk) -> None:
    desk.market([(99.5, 1)], [(100.5, 5), (101, 5), (101.5, 5)], last=100)
    state = desk.place(order(Side.BUY, 15, kind=OrderType.MARKET, protection_pct=1))
    assert desk.fills(state) == [(5, 100.5), (5, 101)]
    assert state.request.price == rs(101)


def test_ioc_cancels_what_does_not_fill_at_once(desk: Desk) -> None:
    part = desk.place(order(Side.BUY, 150, 100.05, validity=Validity.IOC))
    assert (part.status, part.filled_qty) == (RawStatus.CANCELLED, 100)
    nothing = desk.place(order(Side.BUY, 10, 99, validity=Validity.IOC))
    assert (nothing.status, nothing.filled_qty) == (RawStatus.CANCELLED, 0)


def test_stop_limit_waits_triggers_on_the_last_price_and_rests_at_its_limit(desk: Desk) -> None:
    state = desk.place(order(Side.SELL, 10, 98.5, kind=OrderType.SL, trigger=99))
    assert state.status is RawStatus.TRIGGER_PENDING
    # A quote at the trigger is no trade.
    desk.market([(98, 100)], [(98.2, 100)])
    assert desk.now(state).status is RawStatus.TRIGGER_PENDING
    desk.print(99, 1)
    gapped = desk.now(state)
    assert (gapped.status, gapped.filled_qty, gapped.triggered) == (RawStatus.OPEN, 0, True)
    desk.market([(98.5, 4)], [(98.7, 100)])
    assert desk.fills(gapped) == [(4, 98.5)]


def test_stop_market_triggers_into_a_protected_order(desk: Desk) -> None:
    state = desk.place(order(Side.SELL, 10, kind=OrderType.SL_M, trigger=99))
    desk.market([(98.9, 4), (95, 100)], [(99.1, 1)])
    desk.print(98.95, 1)
    done = desk.now(state)
    assert desk.fills(done) == [(4, 98.9)]
    assert done.request.order_type is OrderType.LIMIT
    assert done.request.price == rs(97)


def test_stops_cascade_in_order_of_arrival() -> None:
    desk = Desk()
    desk.market([(99, 5), (98, 5), (97, 50)], [(101, 100)], last=100)
    second = desk.place(order(Side.SELL, 5, 97, kind=OrderType.SL, trigger=98.5))
    first = desk.place(order(Side.SELL, 10, 97, kind=OrderType.SL, trigger=99.5))
    events = desk.print(99.5, 1)
    assert trades_of(events) == [
        (first.order_id, 5),
        (first.order_id, 5),
        (second.order_id, 5),
    ]


def test_stops_at_one_trigger_fire_first_come_first_served() -> None:
    desk = Desk()
    desk.market([(98.9, 8)], [(101, 100)], last=100)
    early, late = (desk.place(order(Side.SELL, 5, 98.5, kind=OrderType.SL, trigger=99)) for _ in range(2))
    assert trades_of(desk.print(99, 1)) == [(early.order_id, 5), (late.order_id, 3)]


def test_triggered_stop_modifies_as_a_limit(desk: Desk) -> None:
    state = desk.place(order(Side.SELL, 10, 98.9, kind=OrderType.SL, trigger=99))
    desk.market([(98, 100)], [(99.2, 100)])
    desk.print(99, 1)
    reply = desk.exchange.modify(
        ACCOUNT, state.order_id, desk.terms(desk.now(state), price=rs(98)), desk.t_ns
    )
    assert reply.refusal is None
    assert desk.fills(state) == [(10, 98)]


def test_price_time_priority_between_accounts(desk: Desk) -> None:
    late = desk.place(order(Side.BUY, 10, 99.95), OTHER)
    first = desk.place(order(Side.BUY, 10, 99.95))
    best = desk.place(order(Side.BUY, 10, 100.0), OTHER)
    taker = desk.place(order(Side.SELL, 125, 99.95))
    assert desk.fills(best) == [(10, 100)]
    assert desk.fills(late) == [(10, 99.95)]
    assert desk.fills(first) == []
    assert taker.status is RawStatus.CANCELLED
    assert "self-trade" in taker.message


def test_trade_between_accounts_shares_its_number(desk: Desk) -> None:
    desk.place(order(Side.SELL, 10, 100.0), OTHER)
    desk.place(order(Side.BUY, 10, 100.0))
    assert desk.exchange.trades(ACCOUNT)[0].trade_id == desk.exchange.trades(OTHER)[0].trade_id
    assert desk.exchange.last(SHARE.key) == rs(100)


def test_modify_down_keeps_priority_and_up_or_price_loses_it(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 20, 99.95))
    other = desk.place(order(Side.BUY, 5, 99.95), OTHER)
    reply = desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=15), desk.t_ns)
    assert statuses(reply.events) == ["modify validation pending", "modify pending", "modified", "open"]
    assert desk.exchange.book(SHARE.key).ahead_of(other.order_id) == 115
    desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=25), desk.t_ns)
    assert desk.exchange.book(SHARE.key).ahead_of(other.order_id) == 100
    assert desk.exchange.book(SHARE.key).ahead_of(state.order_id) == 105
    desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=25, price=rs(100.05)), desk.t_ns)
    assert desk.fills(state) == [(25, 100.05)]


def test_modify_counts_the_filled_part_in_the_new_total(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 20, 100.0))
    desk.print(100, 8)
    too_low = desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=8), desk.t_ns)
    assert too_low.refusal is not None
    assert statuses(too_low.events)[-2:] == ["not modified", "open"]
    desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=12), desk.t_ns)
    assert desk.now(state).pending_qty == 4
    desk.print(100, 50)
    assert desk.fills(state) == [(8, 100), (4, 100)]
    assert desk.now(state).status is RawStatus.COMPLETE


def test_modify_a_limit_into_a_market_order(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 10, 99))
    terms = desk.terms(state, price=rs(0), order_type=OrderType.MARKET, protection_pct=1)
    desk.exchange.modify(ACCOUNT, state.order_id, terms, desk.t_ns)
    assert desk.fills(state) == [(10, 100.05)]


def test_cancel_of_a_partly_filled_order_keeps_the_fills(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 20, 100.0))
    desk.print(100, 8)
    reply = desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns)
    assert statuses(reply.events) == ["cancel pending", "cancelled"]
    assert desk.now(state).filled_qty == 8
    assert desk.exchange.funds(ACCOUNT).blocked == 0
    assert not desk.exchange.book(SHARE.key).has_users


def test_finished_orders_are_neither_cancelled_nor_modified(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 10, 100.05))
    cancel = desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns)
    modify = desk.exchange.modify(ACCOUNT, state.order_id, desk.terms(state, qty=20), desk.t_ns)
    assert cancel.refusal is not None
    assert modify.refusal is not None
    assert (cancel.refusal.code, modify.refusal.code) == ("UDAPI100040", "UDAPI100041")
    assert "complete" in cancel.refusal.message


def test_orders_of_others_do_not_exist_for_us(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 10, 99), OTHER)
    reply = desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns)
    assert reply.refusal is not None
    assert reply.refusal.code == "UDAPI100010"
    assert desk.exchange.history(ACCOUNT, state.order_id) == []


def test_day_orders_expire_with_the_session(desk: Desk) -> None:
    limit = desk.place(order(Side.BUY, 10, 99))
    stop = desk.place(order(Side.SELL, 10, 98.9, kind=OrderType.SL, trigger=99))
    desk.phase = "CLOSED"
    assert statuses(desk.exchange.advance(desk.t_ns + 1)) == ["cancelled", "cancelled"]
    assert "expired" in desk.now(limit).message
    assert desk.now(stop).status is RawStatus.CANCELLED
    assert desk.exchange.funds(ACCOUNT).blocked == 0


def test_an_order_of_yesterday_expires_even_if_nobody_saw_the_close(desk: Desk) -> None:
    state = desk.place(order(Side.BUY, 10, 99))
    desk.t_ns += DAY_NS
    assert trades_of(desk.print(98, 100)) == []
    assert desk.now(state).status is RawStatus.CANCELLED


def test_closing_auction_drops_stops_and_disclosed_orders_and_keeps_limits(desk: Desk) -> None:
    stop = desk.place(order(Side.SELL, 10, 98.9, kind=OrderType.SL, trigger=99))
    shown = desk.place(order(Side.BUY, 100, 99, disclosed_qty=10))
    limit = desk.place(order(Side.BUY, 10, 99))
    desk.phase = "CLOSING_AUCTION"
    desk.exchange.advance(desk.t_ns + 1)
    assert [desk.now(s).status.value for s in (stop, shown, limit)] == ["cancelled", "cancelled", "open"]
    assert trades_of(desk.print(98, 100)) == []
    assert desk.exchange.last(SHARE.key) == rs(100)


def test_auctions_take_plain_limits_only_and_match_nothing(desk: Desk) -> None:
    desk.phase = "PRE_OPEN"
    assert "pre-open" in desk.rejected(order(Side.BUY, 10, kind=OrderType.MARKET))
    assert "IOC" in desk.rejected(order(Side.BUY, 10, 100, validity=Validity.IOC))
    state = desk.place(order(Side.BUY, 10, 100.05))
    assert state.status is RawStatus.OPEN
    assert "self-trade" in desk.rejected(order(Side.SELL, 10, 100))
    desk.phase = "CONTINUOUS"
    assert trades_of(desk.exchange.advance(desk.t_ns + 1)) == [(state.order_id, 10)]


@pytest.mark.parametrize("phase", ["CLOSED", "CANCEL_ONLY", "POST_CLOSE"])
def test_closed_market_rejects_in_words(desk: Desk, phase: str) -> None:
    desk.phase = phase
    assert "Market is closed" in desk.rejected(order(Side.BUY, 10, 100))


def test_disclosed_order_shows_its_part_only(desk: Desk) -> None:
    desk.place(order(Side.BUY, 100, 100, disclosed_qty=20))
    assert desk.exchange.book(SHARE.key).depth(Side.BUY, 1) == [(rs(100), 20, 1)]


def test_delivery_needs_no_shorting_and_options_trade_in_lots(desk: Desk) -> None:
    desk.normal(CALL, 120)
    bought = desk.place(order(Side.BUY, 65, 120.05, instrument=CALL, product=Product.DELIVERY))
    sold = desk.place(order(Side.SELL, 65, 119.95, instrument=CALL, product=Product.DELIVERY))
    assert (bought.status, sold.status) == (RawStatus.COMPLETE, RawStatus.COMPLETE)
    funds = desk.exchange.funds(ACCOUNT)
    assert funds.realised == -65 * rs(0.1)
    assert funds.available == funds.opening + funds.realised
