"""Delivered shares move from the positions into the demat account, trading day by trading day."""

from __future__ import annotations

from datetime import date

from tests.unit.exchange.support import ACCOUNT, CALL, DAY, SHARE, Desk, order, rs
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import Holding
from tradetui.domain.order import OrderType, Product, Side

SATURDAY, MONDAY, TUESDAY = date(2026, 11, 21), date(2026, 11, 23), date(2026, 11, 24)


def to(desk: Desk, day: date, clock: str = "09:16", phase: str = "CONTINUOUS") -> None:
    """Time passes until then."""
    desk.phase, desk.t_ns = phase, ns(day, clock)
    desk.exchange.advance(desk.t_ns)


def bought(desk: Desk, qty: int, price: float = 100.0, product: Product = Product.DELIVERY) -> None:
    desk.normal(last=price)
    desk.place(order(Side.BUY, qty, price + 1, product=product))


def sold(desk: Desk, qty: int, product: Product = Product.DELIVERY) -> None:
    desk.place(order(Side.SELL, qty, kind=OrderType.MARKET, product=product))


def holdings(desk: Desk) -> list[tuple[int, int, int]]:
    """Settled, T1 and average price."""
    return [(one.qty, one.t1_qty, one.average_price) for one in desk.exchange.holdings(ACCOUNT)]


def units(desk: Desk) -> dict[Product, int]:
    return {one.product: one.qty for one in desk.exchange.positions(ACCOUNT) if one.qty}


def test_shares_that_were_bought_are_t1_on_the_next_trading_day_and_settled_on_the_one_after() -> None:
    desk = Desk()
    to(desk, DAY)
    bought(desk, 10)
    free = desk.exchange.funds(ACCOUNT).available
    to(desk, SATURDAY, phase="CLOSED")
    assert (units(desk), holdings(desk)) == ({Product.DELIVERY: 10}, []), "no trading day"
    to(desk, MONDAY)
    (held,) = holdings(desk)
    assert held[:2] == (0, 10)
    assert (units(desk), desk.exchange.funds(ACCOUNT).available) == ({}, free), "nothing is earned by a night"
    to(desk, TUESDAY)
    assert [one[:2] for one in holdings(desk)] == [(10, 0)]


def test_what_is_sold_out_of_the_holdings_is_gone_the_next_day() -> None:
    desk = Desk(holdings=[Holding(SHARE.key, 15, 5, 0, rs(80))])
    to(desk, DAY)
    desk.normal()
    sold(desk, 12)
    assert units(desk) == {Product.DELIVERY: -12}
    assert [one[:2] for one in holdings(desk)] == [(15, 5)]
    free = desk.exchange.funds(ACCOUNT).available
    to(desk, MONDAY)
    assert (units(desk), holdings(desk)) == ({}, [(8, 0, rs(80))])
    assert desk.exchange.funds(ACCOUNT).available == free, "the money of the sale stays"


def test_averages_mix_and_a_later_sale_counts_from_the_holdings() -> None:
    desk = Desk(holdings=[Holding(SHARE.key, 10, 0, 0, rs(80))])
    to(desk, DAY)
    bought(desk, 30, 99.95)
    to(desk, MONDAY)
    assert holdings(desk) == [(10, 30, rs(95))]
    desk.normal()
    sold(desk, 40)
    assert units(desk) == {Product.DELIVERY: -40}


def test_intraday_and_options_stay_positions() -> None:
    desk = Desk()
    to(desk, DAY)
    bought(desk, 5, product=Product.INTRADAY)
    desk.normal(CALL)
    desk.place(order(Side.BUY, 65, 101, product=Product.DELIVERY, instrument=CALL))
    to(desk, MONDAY)
    assert sorted(one.qty for one in desk.exchange.positions(ACCOUNT)) == [5, 65]
    assert holdings(desk) == []


def test_a_day_is_turned_once_also_over_a_restart_of_the_exchange() -> None:
    desk = Desk()
    to(desk, DAY)
    bought(desk, 10)
    to(desk, MONDAY)
    bought(desk, 3)
    old = desk.exchange
    again = Desk()
    again.exchange._accounts.clear()
    again.exchange.add_account(
        ACCOUNT, old.funds(ACCOUNT).opening, old.positions(ACCOUNT), old.holdings(ACCOUNT)
    )
    again.exchange.remember((), old.trades(ACCOUNT), {})
    again.exchange.settled_on = old.settled_on
    to(again, MONDAY, "10:00")
    assert [one[:2] for one in holdings(again)] == [(0, 10)]
    assert units(again) == {Product.DELIVERY: 3}
    to(again, TUESDAY)
    assert [one[:2] for one in holdings(again)] == [(10, 3)]
