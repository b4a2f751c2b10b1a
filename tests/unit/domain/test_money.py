"""Money is exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.errors import DomainError
from tradetui.domain.money import (
    SCALE,
    Price,
    ceil_to_tick,
    decimals_of,
    floor_to_tick,
    format_rupees,
    is_on_tick,
    nearest_tick,
    to_price,
    to_rupees,
)

ticks = st.sampled_from([25, 100, 500, 1000, 5000, 10000, 50000]).map(Price)
prices = st.integers(0, 10**11).map(Price)


@pytest.mark.parametrize(
    ("rupees", "scaled"),
    [
        (2720.1, 27_201_000),
        ("0.05", 500),
        (0.0025, 25),
        (Decimal("88.00005"), 880_001),
        (7, 70_000),
        (-1.5, -15_000),
    ],
)
def test_rupees_become_integers_exactly(rupees: float | str | Decimal, scaled: int) -> None:
    assert to_price(rupees) == scaled


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e18])
def test_values_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(DomainError):
        to_price(bad)


@given(prices)
def test_floats_of_the_wire_come_back(price: Price) -> None:
    assert to_price(to_rupees(price)) == price


@given(prices, ticks)
def test_tick_rounding_brackets_the_price(price: Price, tick: Price) -> None:
    low, high, near = floor_to_tick(price, tick), ceil_to_tick(price, tick), nearest_tick(price, tick)
    assert low <= price <= high
    assert high - low in (0, tick)
    assert near in (low, high)
    assert all(is_on_tick(p, tick) for p in (low, high, near))


@pytest.mark.parametrize(
    ("value", "places", "sign", "text"),
    [
        (1_234_567_8900, 2, False, "12,34,567.89"),
        (999 * SCALE, 2, False, "999.00"),
        (-1_000 * SCALE, 0, False, "-1,000"),
        (5, 4, False, "0.0005"),
        (49, 2, True, "0.00"),
        (50, 2, True, "+0.01"),
        (-50, 2, False, "-0.01"),
        (-49, 2, False, "0.00"),
        (1_00_00_000 * SCALE, 0, True, "+1,00,00,000"),
    ],
)
def test_rupees_for_people(value: int, places: int, sign: bool, text: str) -> None:
    assert format_rupees(value, places, sign=sign) == text


def test_currency_ticks_need_four_digits() -> None:
    assert decimals_of(to_price("0.0025")) == 4
    assert decimals_of(to_price("0.05")) == 2
