"""Margins by scenario: what must hold whatever the ranges are, and rough agreement with market practice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.margin import estimate, estimate_on, share_pct
from tradetui.domain.money import Price, to_money, to_price
from tradetui.domain.order import Product, Side
from tradetui.domain.span import (
    NO_MARGIN,
    SpanLeg,
    SpanMargin,
    implied_vol,
    netted,
    option_value,
    span_margin,
)

DAY = date(2026, 11, 20)
NEAR, FAR = date(2026, 11, 24), date(2026, 12, 29)
SPOT = to_price(26_000)
LOT = 65


def future(expiry: date = NEAR) -> Instrument:
    return _contract(f"F{expiry:%m%d}", InstrumentKind.FUTURE, None, expiry)


def option(strike: int, kind: InstrumentKind = InstrumentKind.CALL, expiry: date = NEAR) -> Instrument:
    return _contract(f"{kind.value}{strike}{expiry:%m%d}", kind, to_price(strike), expiry)


def _contract(token: str, kind: InstrumentKind, strike: Price | None, expiry: date) -> Instrument:
    return Instrument(
        key=f"NSE_FO|{token}", segment="NSE_FO", exchange="NSE", symbol=token, name=token, kind=kind,
        lot_size=LOT, expiry=expiry, strike=strike, underlying_key="NSE_INDEX|Nifty 50",
    )  # fmt: skip


def leg(instrument: Instrument, lots: int, price: float) -> SpanLeg:
    return SpanLeg(instrument, lots * LOT, to_price(price))


def margin(*legs: SpanLeg, day: date = DAY) -> SpanMargin:
    return span_margin(legs, SPOT, day)


def rupees(value: float) -> float:
    return to_money(value)


def test_a_future_needs_about_twelve_percent() -> None:
    need = margin(leg(future(), 1, 26_000))
    notional = 26_000 * LOT
    assert need.scan == rupees(0.10 * notional)
    assert need.exposure == rupees(0.02 * notional)
    assert margin(leg(future(), -1, 26_000)) == need


def test_a_short_option_at_the_money_needs_what_the_market_asks() -> None:
    need = margin(leg(option(26_000), -1, 150))
    after_premium = need.total - rupees(150 * LOT)
    assert 0.11 <= after_premium / rupees(26_000 * LOT) <= 0.13
    assert margin(leg(option(29_000), -1, 1), day=DAY).total < need.total


def test_a_bought_option_needs_its_premium_only() -> None:
    assert margin(leg(option(26_000), 2, 150)).total == 0


def test_a_spread_needs_no_more_than_its_worst_case_and_the_exposure() -> None:
    sold, bought = leg(option(26_000), -1, 150), leg(option(26_300), 1, 60)
    need = margin(sold, bought)
    width = rupees(300 * LOT)
    assert need.scan <= width
    assert need.scan > 0.95 * width
    assert need.exposure == rupees(0.02 * 26_000 * LOT)
    assert need.total < 0.5 * margin(sold).total


def test_a_debit_spread_has_nothing_left_to_lose() -> None:
    assert margin(leg(option(26_000), 1, 150), leg(option(26_300), -1, 60)).scan == 0


def test_a_calendar_spread_is_cheap_until_the_day_the_near_leg_expires() -> None:
    spread = (leg(future(NEAR), 1, 26_000), leg(future(FAR), -1, 26_100))
    outright = margin(spread[0]).total
    assert margin(*spread).total < outright / 3
    assert margin(*spread).calendar > 0
    assert margin(*spread, day=NEAR).total == margin(spread[0]).total + margin(spread[1]).total


def test_short_index_options_need_two_percent_more_on_their_last_day_hedged_or_not() -> None:
    naked = margin(leg(option(26_000), -1, 150), day=NEAR)
    hedged = margin(leg(option(26_000), -1, 150), leg(option(26_300), 1, 60), day=NEAR)
    assert naked.expiry == hedged.expiry == rupees(0.02 * 26_000 * LOT)
    assert margin(leg(option(26_000), -1, 150)).expiry == 0


def test_it_depends_on_neither_order_nor_parts() -> None:
    a, b, c = leg(option(26_000), -2, 150), leg(option(26_300), 1, 60), leg(future(), 1, 26_000)
    whole = margin(a, b, c)
    half = SpanLeg(a.instrument, a.qty // 2, a.price)
    assert margin(c, half, b, half) == whole
    assert margin(a, SpanLeg(a.instrument, -a.qty, a.price)) == NO_MARGIN
    assert [one.qty for one in netted([c, a, b])] == [one.qty for one in netted([b, c, a])]


@pytest.mark.parametrize("strike", [25_000, 26_000, 27_500])
@pytest.mark.parametrize("is_call", [True, False])
def test_the_implied_volatility_gives_the_price_back(strike: int, is_call: bool) -> None:
    price = option_value(26_000.0, strike, 10 / 365, 0.17, is_call)
    if price < 0.05:
        return
    found = implied_vol(price, 26_000.0, strike, 10 / 365, is_call)
    assert found == pytest.approx(0.17, abs=1e-4)
    assert implied_vol(max(0.0, 26_000.0 - 20_000) - 1, 26_000.0, 20_000.0, 0.02, True) is None


def test_the_preview_agrees_with_it_and_falls_back_on_shares_of_the_value() -> None:
    sold = option(26_000)
    price = to_price(150)
    whole = margin(leg(sold, -1, 150)).total
    given = estimate_on(sold, Product.DELIVERY, Side.SELL, LOT, price, underlying=SPOT, day=DAY)
    assert given == whole - rupees(150 * LOT)
    without = estimate_on(sold, Product.DELIVERY, Side.SELL, LOT, price, underlying=None, day=DAY)
    assert without == estimate(sold, Product.DELIVERY, Side.SELL, LOT, price)
    bought = estimate_on(sold, Product.DELIVERY, Side.BUY, LOT, price, underlying=SPOT, day=DAY)
    assert bought == rupees(150 * LOT)


def test_shares_of_the_value_follow_the_ranges_of_the_underlying() -> None:
    index, stock = future(), replace(future(), underlying_key="NSE_EQ|INE002A01018")
    assert [share_pct(one, Product.DELIVERY, Side.SELL) for one in (index, stock)] == [12, 19]
    call = option(26_000)
    assert [share_pct(call, Product.DELIVERY, side) for side in Side] == [100, 13]
    share = replace(future(), kind=InstrumentKind.EQUITY, segment="NSE_EQ", underlying_key="")
    assert {one: share_pct(share, one, Side.BUY) for one in (Product.INTRADAY, Product.MTF)} == {
        Product.INTRADAY: 20,
        Product.MTF: 25,
    }
    assert share_pct(share, Product.DELIVERY, Side.BUY) == 100
