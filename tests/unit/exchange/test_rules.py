"""Refusals: each rule fires, and its neighbour that is allowed passes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.exchange.support import (
    ACCOUNT,
    BSE_SHARE,
    CALL,
    CLOSE_TRADED,
    CRUDE,
    FUTURE,
    INDEX,
    SHARE,
    Desk,
    order,
    rs,
)
from tradetui.domain.money import to_money
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.price_rules import trigger_range
from tradetui.exchange.orders import RawStatus
from tradetui.exchange.rules import NO_BAND, Band, RuleBook, protected_price

M, SL, SLM = OrderType.MARKET, OrderType.SL, OrderType.SL_M


@pytest.fixture
def desk() -> Desk:
    desk = Desk(cash=10_000_000)
    for instrument in (SHARE, CLOSE_TRADED, BSE_SHARE, CALL, FUTURE):
        desk.normal(instrument)
    return desk


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (order(qty=0, price=100), "UDAPI1052"),
        (order(qty=-5, price=100), "UDAPI1052"),
        (order(qty=64, price=100, instrument=CALL), "UDAPI1064"),
        (order(price=0), "UDAPI1061"),
        (order(price=100, kind=M), "UDAPI1062"),
        (order(price=101, kind=SL), "UDAPI1063"),
        (order(price=100, trigger=99), "UDAPI1065"),
        (order(price=101, trigger=101, kind=SL, validity=Validity.IOC), "UDAPI1057"),
        (order(kind=M, protection_pct=0), "UDAPI1158"),
        (order(kind=SLM, trigger=101, protection_pct=0), "UDAPI1158"),
        (order(kind=M, protection_pct=26), "UDAPI1159"),
        (order(kind=M, protection_pct=-2), "UDAPI1159"),
        (order(qty=100, price=100, disclosed_qty=9), "UDAPI1060"),
        (order(qty=100, price=100, disclosed_qty=101), "UDAPI1060"),
        (order(qty=65, price=100, disclosed_qty=65, instrument=CALL), "UDAPI1060"),
        (order(qty=100, price=100, instrument=CRUDE), "UDAPI1161"),
        (order(price=100, instrument=INDEX), "UDAPI100011"),
    ],
)
def test_request_refusals(desk: Desk, request_: OrderRequest, code: str) -> None:
    assert desk.refused(request_) == code


@pytest.mark.parametrize(
    "request_",
    [
        order(qty=65, price=100, instrument=CALL),
        order(kind=M, protection_pct=25),
        order(kind=M, protection_pct=1),
        order(qty=100, price=100, disclosed_qty=10),
        order(qty=1755, price=60, instrument=CALL),
        order(price=100, instrument=CLOSE_TRADED, product=Product.DELIVERY),
        order(price=102, trigger=101, kind=SL),
        order(price=101, trigger=101, kind=SL),
        order(Side.SELL, price=99, trigger=99.5, kind=SL),
        order(Side.SELL, price=99, trigger=99.5, kind=SL, instrument=BSE_SHARE),
        order(trigger=101, kind=SLM),
        order(price=119.8, trigger=101, kind=SL, qty=65, instrument=CALL),
    ],
)
def test_neighbours_that_pass(desk: Desk, request_: OrderRequest) -> None:
    assert desk.place(request_).status is not RawStatus.REJECTED


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (order(qty=1820, price=1, instrument=CALL), "freeze"),
        (order(price=100.01), "multiple of the tick 0.05"),
        (order(price=102, trigger=101.01, kind=SL), "trigger price must be a multiple"),
        (order(price=100, instrument=CLOSE_TRADED), "delivery only"),
        (order(price=100, qty=65, instrument=CALL, product=Product.MTF), "MTF is for shares"),
        (order(trigger=101, kind=SLM, qty=65, instrument=CALL), "not allowed on options"),
        (order(trigger=101, kind=SLM, instrument=BSE_SHARE), "not allowed on BSE"),
        (order(price=101, trigger=102, kind=SL), "cannot be above its limit"),
        (order(Side.SELL, price=99, trigger=98, kind=SL), "cannot be below its limit"),
        (order(price=105, trigger=101, kind=SL), "too far from the trigger"),
        (order(price=121.3, trigger=101, kind=SL, qty=65, instrument=CALL), "too far from the trigger"),
        (order(price=100, trigger=100, kind=SL), "must be above the last price"),
        (order(Side.SELL, price=100, trigger=100, kind=SL), "must be below the last price"),
        (order(Side.SELL, price=100, product=Product.DELIVERY), "short needs intraday"),
        (order(Side.SELL, price=100, product=Product.MTF), "short needs intraday"),
    ],
)
def test_order_rejections(desk: Desk, request_: OrderRequest, words: str) -> None:
    message = desk.rejected(request_)
    assert words in message
    assert desk.exchange.funds(ACCOUNT).blocked == 0


def test_rejected_order_keeps_its_walk(desk: Desk) -> None:
    state = desk.place(order(price=100.01))
    assert desk.walk(state) == ["put order req received", "validation pending", "rejected"]
    assert state.exchange_order_id == ""


def test_price_band(desk: Desk) -> None:
    desk.exchange.set_band(SHARE.key, Band(rs(95), rs(105)))
    assert "outside circuit" in desk.rejected(order(price=105.05))
    assert desk.place(order(price=105)).status is RawStatus.COMPLETE


def test_mcx_switch_can_be_turned_on() -> None:
    desk = Desk(cash=10_000_000, rules=RuleBook(mcx_by_api=True))
    assert desk.place(order(qty=100, price=100, instrument=CRUDE)).status is RawStatus.OPEN


def test_market_order_without_a_last_price_is_rejected() -> None:
    desk = Desk()
    desk.market([(99, 1)], [(100, 1)])
    assert "has not traded" in desk.rejected(order(kind=M))


def test_tag_and_unknown_key(desk: Desk) -> None:
    assert desk.exchange.place(ACCOUNT, order(price=100), "x" * 41, desk.t_ns).refusal is not None
    unknown = OrderRequest("NSE_EQ|INE999Z99999", Side.BUY, 1, price=rs(1))
    reply = desk.exchange.place(ACCOUNT, unknown, "t", desk.t_ns)
    assert reply.refusal is not None
    assert reply.refusal.code == "UDAPI100011"


@pytest.mark.parametrize(
    ("instrument", "last", "pct", "buy", "sell"),
    [
        (SHARE, 100, -1, 102, 98),
        (SHARE, 1000, -1, 1010, 990),
        (SHARE, 2000, -1, 2010, 1990),
        (SHARE, 101.35, 3, 104.35, 98.35),
        (CALL, 120, -1, 125, 115),
        (CALL, 700, -1, 710, 690),
        (CALL, 1500, -1, 1515, 1485),
        (CALL, 2, -1, 7, 0.05),
    ],
)
def test_protection_slabs(instrument: Any, last: float, pct: int, buy: float, sell: float) -> None:
    assert protected_price(instrument, Side.BUY, rs(last), pct, NO_BAND) == rs(buy)
    assert protected_price(instrument, Side.SELL, rs(last), pct, NO_BAND) == rs(sell)


def test_protection_stays_inside_the_band() -> None:
    band = Band(rs(99), rs(101))
    assert protected_price(SHARE, Side.BUY, rs(100), -1, band) == rs(101)
    assert protected_price(SHARE, Side.SELL, rs(100), -1, band) == rs(99)


def test_trigger_range_by_venue_and_kind() -> None:
    from dataclasses import replace

    assert trigger_range(SHARE, rs(1000)) == rs(30)
    assert trigger_range(SHARE, rs(10)) == rs(1.5)
    assert trigger_range(CALL, rs(100)) == rs(20)
    assert trigger_range(CALL, rs(10)) == rs(10)
    assert trigger_range(replace(FUTURE, exchange="BSE"), rs(5000)) == rs(200)


def test_funds_delivery_pays_all_and_intraday_a_fifth() -> None:
    desk = Desk(cash=1000)
    desk.normal()
    full = order(qty=11, price=100, product=Product.DELIVERY)
    assert "needs 1,100.00 (full value), available 1,000.00" in desk.rejected(full)
    state = desk.place(order(qty=50, price=99))
    assert desk.exchange.funds(ACCOUNT).blocked == to_money(990)
    assert "margin" in desk.rejected(order(qty=1, price=99))
    desk.exchange.cancel(ACCOUNT, state.order_id, desk.t_ns)
    assert desk.exchange.funds(ACCOUNT).available == to_money(1000)


def test_funds_closing_needs_nothing_and_reversing_does() -> None:
    desk = Desk(cash=1000)
    desk.normal()
    desk.place(order(qty=49, price=100.05))
    assert desk.place(order(Side.SELL, 49, 101)).status is RawStatus.OPEN
    assert "margin" in desk.rejected(order(Side.SELL, 10, 101.5))


def test_written_option_and_future_are_estimates() -> None:
    desk = Desk(cash=1_000_000)
    desk.normal(CALL)
    desk.place(order(Side.SELL, 65, 99.95, instrument=CALL, product=Product.DELIVERY))
    funds = desk.exchange.funds(ACCOUNT)
    assert funds.estimated
    assert funds.margin == 65 * rs(26_000) * 13 // 100
    assert funds.cash == to_money(1_000_000) + 65 * rs(99.95)
    poor = Desk(cash=1000)
    poor.normal(FUTURE, 26_000)
    assert "estimate" in poor.rejected(order(qty=65, price=26_000, instrument=FUTURE))
