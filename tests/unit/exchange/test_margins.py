"""Funds of an account with derivatives: groups by underlying, hedges, working orders, and conversions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.exchange.support import ACCOUNT, CALL, DAY, FUTURE, INDEX, SHARE, Desk, order, rs
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, to_money
from tradetui.domain.order import Product, Side
from tradetui.domain.span import SpanLeg, span_margin
from tradetui.exchange.margins import risk_file
from tradetui.exchange.orders import RawStatus, Reply

LOT = 65
HEDGE = replace(CALL, key="NSE_FO|40003", symbol="NIFTY 26300 CE", strike=rs(26_300))
PUT = replace(CALL, key="NSE_FO|40004", symbol="NIFTY 26000 PE", kind=InstrumentKind.PUT, series="PE")


@pytest.fixture
def desk() -> Desk:
    one = Desk(cash=2_000_000)
    one.exchange.set_last(INDEX.key, rs(26_000))
    for contract in (HEDGE, PUT):
        one.exchange.list_instrument(contract)
    for contract, last in ((CALL, 150), (HEDGE, 60), (PUT, 150), (FUTURE, 26_000)):
        one.normal(contract, last)
    return one


def available(desk: Desk) -> Money:
    funds, use = desk.exchange.funds(ACCOUNT), desk.exchange.margin_use(ACCOUNT)
    # The two ways to reckon it never differ.
    assert funds.available == funds.opening + funds.realised - use.total
    return funds.available


def needs(desk: Desk, contract: Instrument, side: Side, price: float, qty: int = LOT) -> int:
    before = available(desk)
    state = desk.place(order(side, qty, price, instrument=contract, product=Product.DELIVERY))
    assert state.status is not RawStatus.REJECTED, state.message
    return before - available(desk)


def scenario(*legs: tuple[Instrument, int, float]) -> int:
    parts = [SpanLeg(contract, qty, rs(price)) for contract, qty, price in legs]
    return int(span_margin(parts, rs(26_000), DAY).total)


def test_a_short_option_holds_its_margin_less_the_premium_working_or_filled(desk: Desk) -> None:
    resting = needs(desk, CALL, Side.SELL, 150.45)
    assert resting == scenario((CALL, -LOT, 150)) - rs(150.45) * LOT
    desk.print(150.45, 10_000, CALL)
    assert desk.exchange.funds(ACCOUNT).blocked == 0
    assert to_money(2_000_000) - available(desk) == resting


def test_a_bought_hedge_makes_the_short_leg_cheap(desk: Desk) -> None:
    naked = needs(twin(desk), CALL, Side.SELL, 149.95)
    needs(desk, HEDGE, Side.BUY, 60.05)
    hedged = needs(desk, CALL, Side.SELL, 149.95)
    assert hedged == scenario((CALL, -LOT, 150), (HEDGE, LOT, 60)) - rs(149.95) * LOT
    assert hedged < naked / 2


def twin(desk: Desk) -> Desk:
    """A second desk in the same market."""
    other = Desk(cash=2_000_000)
    other.exchange.set_last(INDEX.key, rs(26_000))
    other.normal(CALL, 150)
    assert available(other) == available(desk)
    return other


def test_a_hedge_that_only_works_helps_nobody_and_is_not_given_up_for_nothing(desk: Desk) -> None:
    assert needs(desk, HEDGE, Side.BUY, 59.0) == rs(59) * LOT
    assert needs(desk, CALL, Side.SELL, 150.45) == scenario((CALL, -LOT, 150)) - rs(150.45) * LOT


def test_selling_the_hedge_first_needs_the_money_of_a_naked_short(desk: Desk) -> None:
    needs(desk, HEDGE, Side.BUY, 60.05)
    needs(desk, CALL, Side.SELL, 149.95)
    out = needs(desk, HEDGE, Side.SELL, 60.45)
    spread = scenario((CALL, -LOT, 150), (HEDGE, LOT, 60))
    assert out == scenario((CALL, -LOT, 150)) - spread - rs(60.45) * LOT


def test_buying_a_short_back_is_paid_by_the_margin_it_sets_free(desk: Desk) -> None:
    needs(desk, CALL, Side.SELL, 149.95)
    assert needs(desk, CALL, Side.BUY, 149.0) == 0
    desk.print(148.9, 10_000, CALL)
    assert available(desk) == to_money(2_000_000) + desk.exchange.funds(ACCOUNT).realised


def test_two_orders_that_cannot_both_be_a_hedge_do_not_share_one(desk: Desk) -> None:
    needs(desk, HEDGE, Side.BUY, 60.05)
    first = needs(desk, CALL, Side.SELL, 150.45)
    second = needs(desk, CALL, Side.SELL, 150.45)
    assert second > first
    assert first + second == scenario((CALL, -2 * LOT, 150), (HEDGE, LOT, 60)) - rs(150.45) * 2 * LOT


def test_both_sides_of_a_quote_are_held_back(desk: Desk) -> None:
    one = needs(desk, FUTURE, Side.BUY, 25_990)
    assert one == scenario((FUTURE, LOT, 26_000))
    assert needs(desk, FUTURE, Side.SELL, 26_010) == one


def test_a_strangle_costs_less_than_its_legs_once_it_is_on(desk: Desk) -> None:
    call = needs(desk, CALL, Side.SELL, 149.95)
    put = needs(desk, PUT, Side.SELL, 149.95)
    assert put < call / 2


def test_without_a_price_of_the_underlying_a_rule_of_thumb_stands_in() -> None:
    desk = Desk(cash=2_000_000)
    desk.normal(CALL, 150)
    got = needs(desk, CALL, Side.SELL, 150.45)
    assert got == 65 * rs(26_000) * 13 // 100 - rs(150.45) * LOT


def test_prices_are_fixed_until_the_next_risk_file(desk: Desk) -> None:
    held = needs(desk, FUTURE, Side.BUY, 26_000.05)
    desk.exchange.set_last(FUTURE.key, rs(26_500))
    desk.exchange.set_last(INDEX.key, rs(26_500))
    assert to_money(2_000_000) - available(desk) == held
    before, noon = risk_file(desk.t_ns), desk.t_ns + int(timedelta(hours=2).total_seconds()) * 10**9
    assert risk_file(noon) > before
    desk.exchange.risk.at(noon)
    assert to_money(2_000_000) - available(desk) > held
    assert desk.exchange.risk.day == DAY


# --- conversion ----------------------------------------------------------------------------------------


def convert(desk: Desk, qty: int, old: Product, new: Product, side: Side = Side.BUY) -> Reply:
    return desk.exchange.convert(ACCOUNT, SHARE.key, side, qty, old, new, desk.t_ns)


def held(desk: Desk) -> dict[Product, tuple[int, int, int]]:
    return {
        one.product: (one.qty, one.average_price, one.realised) for one in desk.exchange.positions(ACCOUNT)
    }


def test_a_conversion_keeps_cost_and_realises_nothing(desk: Desk) -> None:
    desk.normal()
    desk.place(order(qty=10, price=100.05))
    assert convert(desk, 4, Product.INTRADAY, Product.DELIVERY).refusal is None
    assert held(desk) == {
        Product.INTRADAY: (6, rs(100.05), 0),
        Product.DELIVERY: (4, rs(100.05), 0),
    }
    assert to_money(2_000_000) - available(desk) == rs(100.05) * 4 + rs(100.05) * 6 // 5


def test_what_an_exit_order_claims_cannot_be_converted(desk: Desk) -> None:
    desk.normal()
    desk.place(order(qty=10, price=100.05))
    desk.place(order(Side.SELL, 8, 101))
    refusal = convert(desk, 3, Product.INTRADAY, Product.DELIVERY).refusal
    assert refusal is not None
    assert refusal.code == "UDAPI1033"
    assert convert(desk, 2, Product.INTRADAY, Product.DELIVERY).refusal is None


def test_delivery_becomes_intraday_only_on_the_day_it_was_bought(desk: Desk) -> None:
    desk.normal()
    desk.place(order(qty=10, price=100.05, product=Product.DELIVERY))
    assert convert(desk, 10, Product.DELIVERY, Product.INTRADAY).refusal is None
    assert convert(desk, 10, Product.INTRADAY, Product.DELIVERY).refusal is None
    desk.t_ns += 24 * 3600 * 10**9
    refusal = convert(desk, 1, Product.DELIVERY, Product.INTRADAY).refusal
    assert refusal is not None
    assert refusal.code == "UDAPI1035"


def test_a_short_sale_of_shares_cannot_become_delivery(desk: Desk) -> None:
    desk.normal()
    desk.place(order(Side.SELL, 10, 99.95))
    refusal = convert(desk, 5, Product.INTRADAY, Product.DELIVERY, Side.SELL).refusal
    assert refusal is not None
    assert refusal.code == "UDAPI1034"


def test_the_day_split_adds_up_over_a_night(desk: Desk) -> None:
    desk.normal()
    desk.place(order(qty=10, price=100.05, product=Product.DELIVERY))
    desk.t_ns += 24 * 3600 * 10**9
    desk.place(order(Side.SELL, 4, 99.95, product=Product.DELIVERY))
    (row,) = desk.exchange.day_figures(ACCOUNT, desk.t_ns, lambda _key: rs(99))
    assert (row.overnight_qty, row.buy_qty, row.sell_qty, row.position.qty) == (10, 0, 4, 6)
    assert row.overnight_value == 10 * rs(100.05)
    # Today's profit counts from the close, the position's own from its entry.
    assert row.today.realised == 4 * (rs(99.95) - rs(99))
    assert row.position.realised == 4 * (rs(99.95) - rs(100.05))
