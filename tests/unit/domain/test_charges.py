"""Charges to the paisa: worked vectors, dated rates, outside samples, and properties."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.charges import (
    ChargeClass,
    Charges,
    Leg,
    Trade,
    broker_plan,
    charge_class,
    day_note,
    estimate,
    estimate_all,
    round_trip,
    shipped_schedule,
)
from tradetui.domain.charges.estimate import round_half_up
from tradetui.domain.errors import DomainError, RateUnknown
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import Product, Side

ZERODHA, UPSTOX = broker_plan("zerodha"), broker_plan("upstox")
TODAY = date(2026, 11, 20)
BEFORE_BUDGET_2026 = date(2026, 3, 31)
BUY, SELL = Side.BUY, Side.SELL
DELIVERY, INTRADAY = ChargeClass.DELIVERY, ChargeClass.INTRADAY
FUTURE, OPTION = ChargeClass.FUTURE, ChargeClass.OPTION


def leg(kind: ChargeClass, side: Side, qty: int, price: str, day: date = TODAY, **more: Any) -> Leg:
    return Leg(more.pop("venue", "NSE"), kind, side, qty, to_price(price), day, **more)


def pair(kind: ChargeClass, qty: int, buy: str, sell: str, day: date = TODAY, **more: Any) -> tuple[Leg, Leg]:
    return leg(kind, BUY, qty, buy, day, **more), leg(kind, SELL, qty, sell, day, **more)


def rupees(charges: Charges) -> tuple[str, ...]:
    """Brokerage, STT, exchange, SEBI, GST, stamp, DP, total: exact rupees with two decimals."""
    values = [charges.brokerage, charges.stt, charges.exchange_txn, charges.sebi, charges.gst, charges.stamp]
    values += [charges.dp, charges.total]
    assert all(value % 100 == 0 for value in values), "every line is in whole paise"
    return tuple(f"{Decimal(value) / 10_000:.2f}" for value in values)


# The worked vectors of the reference text, section 4.4: rates of November 2026 unless dated.
VECTORS = {
    "E1 zerodha": (ZERODHA, pair(INTRADAY, 100, "1500", "1510"), "40.00 38 9.24 0.30 8.92 4.50 0 100.96"),
    "E1 upstox": (UPSTOX, pair(INTRADAY, 100, "1500", "1510"), "40.00 38 9.24 0.30 8.92 4.50 0 100.96"),
    "E2": (ZERODHA, [leg(DELIVERY, BUY, 100, "1500")], "0 150 4.61 0.15 0.86 22.50 0 178.12"),
    "E2b": (ZERODHA, [leg(DELIVERY, SELL, 100, "1600")], "0 160 4.91 0.16 0.91 0 15.34 181.32"),
    "E3": (UPSTOX, [leg(DELIVERY, BUY, 100, "1500")], "20 150 4.61 0.15 4.46 22.50 0 201.72"),
    "E4": (UPSTOX, pair(INTRADAY, 10, "200", "201"), "4.01 1 0.12 0.00 0.74 0.06 0 5.93"),
    "E5": (ZERODHA, pair(FUTURE, 65, "26000", "26100"), "40 848 61.97 3.39 18.96 33.80 0 1006.12"),
    "E5x": (
        ZERODHA,
        pair(FUTURE, 65, "26000", "26100", BEFORE_BUDGET_2026),
        "40 339 61.97 3.39 18.96 33.80 0 497.12",
    ),
    "E6": (UPSTOX, pair(OPTION, 65, "100", "120"), "40 12 5.08 0.01 8.12 0.20 0 65.41"),
    "E6x": (UPSTOX, pair(OPTION, 65, "100", "120", BEFORE_BUDGET_2026), "40 8 5.08 0.01 8.12 0.20 0 61.41"),
    "E7": (UPSTOX, pair(OPTION, 650, "30", "80"), "40 78 25.40 0.07 11.78 0.59 0 155.84"),
    "E8": (
        UPSTOX,
        pair(OPTION, 20, "300", "350", venue="BSE", underlying="SENSEX"),
        "40 11 4.23 0.01 7.96 0.18 0 63.38",
    ),
    "E9": (UPSTOX, [leg(OPTION, SELL, 65, "50")], "20 5 1.15 0.00 3.81 0 0 29.96"),
    "E10": (
        UPSTOX,
        [leg(OPTION, BUY, 65, "100"), leg(OPTION, SELL, 65, "150", is_exercise=True)],
        "20 15 2.31 0.01 4.02 0.20 0 41.54",
    ),
    "E11": (
        UPSTOX,
        [*pair(OPTION, 1755, "10", "12"), *pair(OPTION, 845, "10", "12")],
        "80 47 20.32 0.06 18.07 0.78 0 166.23",
    ),
    "E12": (
        ZERODHA,
        pair(ChargeClass.COMMODITY_FUTURE, 100, "5500", "5550", venue="MCX"),
        "40 55.50 23.21 1.11 11.58 11.00 0 142.40",
    ),
    "E13": (
        ZERODHA,
        pair(ChargeClass.COMMODITY_OPTION, 100, "150", "170", venue="MCX"),
        "40 8.50 13.38 0.03 9.61 0.45 0 71.97",
    ),
    "E14": (
        ZERODHA,
        pair(ChargeClass.CURRENCY_FUTURE, 1000, "88.00", "88.10"),
        "40 0 0.62 0.18 7.34 0.09 0 48.23",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_worked_vectors_are_met_to_the_paisa(name: str) -> None:
    plan, legs, text = VECTORS[name]
    expected = tuple(f"{Decimal(value):.2f}" for value in text.split())
    assert rupees(estimate_all(legs, plan)) == expected


def test_break_even_points_of_the_vectors() -> None:
    def points(name: str, qty: int) -> str:
        plan, legs, _ = VECTORS[name]
        exact = Decimal(estimate_all(legs, plan).per_unit(qty)) / 10_000
        return str(exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))

    assert points("E1 zerodha", 100) == "1.01"
    assert points("E6", 65) == "1.01"
    assert points("E5", 65) == "15.48"
    assert points("E5x", 65) == "7.65"


# ---- dates, venues, plans ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "futures", "options", "exercise"),
    [
        (date(2023, 3, 31), 1000, 5000, 12500),
        (date(2023, 4, 1), 1250, 6250, 12500),
        (date(2024, 9, 30), 1250, 6250, 12500),
        (date(2024, 10, 1), 2000, 10000, 12500),
        (date(2026, 3, 31), 2000, 10000, 12500),
        (date(2026, 4, 1), 5000, 15000, 15000),
    ],
)
def test_stt_steps_on_its_dates(day: date, futures: int, options: int, exercise: int) -> None:
    row = shipped_schedule().tax(day)
    assert (row.sell[FUTURE], row.sell[OPTION], row.exercise[OPTION]) == (futures, options, exercise)
    assert row.buy == {DELIVERY: 10000}


def test_ipft_moving_into_the_charge_leaves_the_total_unchanged() -> None:
    schedule = shipped_schedule()
    for kind in (DELIVERY, INTRADAY, FUTURE, OPTION):
        before = schedule.exchange_rate("NSE", kind, date(2026, 2, 28))
        assert before == schedule.exchange_rate("NSE", kind, date(2026, 3, 1))


def test_bse_futures_pay_no_exchange_charge_but_everything_else() -> None:
    charges = round_trip(*pair(FUTURE, 20, "85000", "85100", venue="BSE"), UPSTOX)
    assert charges.exchange_txn == 0
    assert min(charges.stt, charges.sebi, charges.stamp, charges.gst, charges.brokerage) > 0


def test_bse_options_cost_by_underlying() -> None:
    rate = shipped_schedule().exchange_rate
    assert rate("BSE", OPTION, TODAY, "SENSEX") == rate("BSE", OPTION, TODAY, "bankex") == 3250
    assert rate("BSE", OPTION, TODAY, "SENSEX50") == rate("BSE", OPTION, TODAY, "RELIANCE") == 500
    assert rate("NSE", OPTION, TODAY, "SENSEX") == 3553


@pytest.mark.parametrize(
    ("venue", "kind", "day"),
    [
        ("NSE", DELIVERY, date(2020, 6, 30)),
        ("BSE", DELIVERY, date(2024, 9, 30)),
        ("MCX", ChargeClass.COMMODITY_OPTION, date(2024, 9, 30)),
        ("NSE", ChargeClass.COMMODITY_FUTURE, TODAY),
        ("XYZ", DELIVERY, TODAY),
    ],
)
def test_a_rate_that_is_not_known_is_an_error(venue: str, kind: ChargeClass, day: date) -> None:
    with pytest.raises(RateUnknown):
        estimate(leg(kind, BUY, 1, "100", day, venue=venue), ZERODHA)


def test_sebi_fee_was_halved_until_march_2021() -> None:
    big = leg(FUTURE, BUY, 1000, "10000", date(2021, 3, 31))
    assert estimate(big, ZERODHA).sebi == to_money(5)
    assert estimate(replace(big, day=date(2021, 4, 1)), ZERODHA).sebi == to_money(10)


def test_farm_commodities_pay_no_ctt() -> None:
    cotton = pair(ChargeClass.COMMODITY_FUTURE, 100, "5500", "5550", venue="MCX", is_agri=True)
    assert round_trip(*cotton, ZERODHA).stt == 0


def test_plans_can_be_changed_by_configuration() -> None:
    plus = UPSTOX.with_cap(to_money(30)).with_dp(to_money("18.50"))
    charges = estimate(leg(DELIVERY, SELL, 100, "1600"), plus)
    assert charges.brokerage == to_money(30)
    assert charges.dp == to_money("21.83")
    assert estimate(leg(DELIVERY, BUY, 100, "1600"), ZERODHA.with_cap(to_money(30))).brokerage == 0
    assert UPSTOX.rules[OPTION].cap == to_money(20)


def test_an_unknown_plan_names_the_known_ones() -> None:
    with pytest.raises(RateUnknown, match="upstox, zerodha"):
        broker_plan("nobody")


def test_women_first_holders_dp_charge_of_zerodha() -> None:
    charges = estimate(leg(DELIVERY, SELL, 1, "1000"), ZERODHA.with_dp(to_money("12.75")))
    assert charges.dp == to_money("15.05")


def test_dp_charge_can_be_left_out_when_already_paid_that_day() -> None:
    assert estimate(leg(DELIVERY, SELL, 1, "1000"), ZERODHA, with_dp=False).dp == 0


@pytest.mark.parametrize(
    ("segment", "kind", "product", "expected"),
    [
        ("NSE_EQ", InstrumentKind.EQUITY, Product.INTRADAY, INTRADAY),
        ("NSE_EQ", InstrumentKind.EQUITY, Product.DELIVERY, DELIVERY),
        ("BSE_EQ", InstrumentKind.EQUITY, Product.MTF, DELIVERY),
        ("NSE_FO", InstrumentKind.FUTURE, Product.INTRADAY, FUTURE),
        ("BSE_FO", InstrumentKind.CALL, Product.DELIVERY, OPTION),
        ("NCD_FO", InstrumentKind.FUTURE, Product.DELIVERY, ChargeClass.CURRENCY_FUTURE),
        ("BCD_FO", InstrumentKind.PUT, Product.DELIVERY, ChargeClass.CURRENCY_OPTION),
        ("MCX_FO", InstrumentKind.FUTURE, Product.DELIVERY, ChargeClass.COMMODITY_FUTURE),
        ("MCX_FO", InstrumentKind.PUT, Product.DELIVERY, ChargeClass.COMMODITY_OPTION),
    ],
)
def test_charge_class(segment: str, kind: InstrumentKind, product: Product, expected: ChargeClass) -> None:
    instrument = Instrument(f"{segment}|1", segment, segment[:3], "X", "X", kind)
    assert charge_class(instrument, product) is expected


def test_an_index_has_no_charges() -> None:
    index = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
    with pytest.raises(RateUnknown, match="NIFTY"):
        charge_class(index, Product.INTRADAY)


@pytest.mark.parametrize(
    "bad",
    [
        leg(OPTION, BUY, 0, "10"),
        leg(OPTION, BUY, -65, "10"),
        replace(leg(OPTION, BUY, 65, "10"), price=Price(-1)),
        leg(FUTURE, SELL, 65, "10", is_exercise=True),
    ],
)
def test_trades_that_cannot_be_are_refused(bad: Leg) -> None:
    with pytest.raises(DomainError):
        estimate(bad, UPSTOX)
    with pytest.raises(DomainError):
        day_note([Trade(bad, "1")], UPSTOX)


def test_a_round_trip_needs_both_sides() -> None:
    buy = leg(OPTION, BUY, 65, "10")
    with pytest.raises(DomainError):
        round_trip(buy, buy, UPSTOX)


# ---- properties -------------------------------------------------------------------------------------

PRICES = st.integers(1, 100_000).map(lambda ticks: Price(ticks * 500))
LEGS = st.builds(
    Leg,
    venue=st.sampled_from(["NSE", "BSE"]),
    kind=st.sampled_from([DELIVERY, INTRADAY, FUTURE, OPTION, ChargeClass.CURRENCY_FUTURE]),
    side=st.sampled_from([BUY, SELL]),
    qty=st.integers(1, 100_000),
    price=PRICES,
    day=st.dates(date(2024, 10, 1), TODAY),
    underlying=st.sampled_from(["", "SENSEX", "NIFTY"]),
)
PLANS = st.sampled_from([ZERODHA, UPSTOX])


@given(LEGS, PLANS, st.integers(-(10**12), 10**12))
def test_property_net_is_gross_less_every_line(one: Leg, plan: Any, gross: int) -> None:
    charges = estimate(one, plan)
    lines = [getattr(charges, field.name) for field in fields(charges)]
    assert all(line >= 0 and line % 100 == 0 for line in lines)
    assert charges.total == sum(lines)
    assert gross - sum(lines) == charges.net(Money(gross))


@given(LEGS, PLANS)
def test_every_line_is_within_half_a_step_of_exact_decimals(one: Leg, plan: Any) -> None:
    charges, schedule = estimate(one, plan), shipped_schedule()
    value = Decimal(one.qty) * Decimal(one.price) / 10_000
    crore, half_paisa = Decimal(10_000_000), Decimal("0.005")

    def near(line: int, exact: Decimal, half_step: Decimal) -> bool:
        return abs(Decimal(line) / 10_000 - exact) <= half_step

    row = schedule.tax(one.day)
    tax = (row.buy if one.side is BUY else row.sell).get(one.kind, 0)
    assert near(charges.stt, value * tax / crore, Decimal("0.5"))
    assert charges.stt % 10_000 == 0
    txn = schedule.exchange_rate(one.venue, one.kind, one.day, one.underlying)
    assert near(charges.exchange_txn, value * txn / crore, half_paisa)
    assert near(charges.sebi, value * schedule.sebi_rate(one.day) / crore, half_paisa)
    stamp = schedule.stamp(one.day).buy[one.kind] if one.side is BUY else 0
    assert near(charges.stamp, value * stamp / crore, half_paisa)
    fees = charges.brokerage + charges.exchange_txn + charges.sebi
    assert near(charges.gst, Decimal(fees) / 10_000 * 18 / 100, half_paisa)
    assert charges.brokerage <= plan.rules[one.kind].cap


@given(LEGS, PLANS)
def test_a_day_of_one_trade_costs_what_it_was_estimated_at(one: Leg, plan: Any) -> None:
    """But for stamp duty, which a note shows in whole rupees, and a lone cash leg, which is delivery."""
    kept = replace(one, kind=DELIVERY) if one.kind is INTRADAY else one
    before, after = estimate(kept, plan), day_note([Trade(kept, "1")], plan).charges
    assert replace(before, stamp=Money(0)) == replace(after, stamp=Money(0))
    assert after.stamp % 10_000 == 0
    assert abs(after.stamp - before.stamp) <= 5_050


@given(st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 500), PRICES), min_size=1, max_size=8))
def test_a_note_does_not_depend_on_the_order_of_trades(rows: list[tuple[Side, int, Price]]) -> None:
    trades = [
        Trade(Leg("NSE", DELIVERY, side, qty, price, TODAY, security="X"), str(n))
        for n, (side, qty, price) in enumerate(rows)
    ]
    assert day_note(trades, UPSTOX).charges == day_note(reversed(trades), UPSTOX).charges


@given(st.integers(0, 10**15), st.integers(1, 10**9), st.sampled_from([1, 100, 10_000]))
def test_rounding_is_half_up(numerator: int, denominator: int, step: int) -> None:
    scaled = Decimal(numerator) / Decimal(denominator * step)
    if numerator % (denominator * step) * 2 == denominator * step:
        assert round_half_up(numerator, denominator, step) > numerator / denominator
    rounded = round_half_up(numerator, denominator, step)
    assert rounded % step == 0
    assert abs(rounded * denominator - numerator) * 2 <= denominator * step
    assert abs(Decimal(rounded // step) - scaled) <= Decimal("0.5000001")
