"""Volume at price: point of control and value area by hand, bins against a plain dictionary."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.market.profile import BINS, Profile, Profiles


def profile(volume: list[int], low: float = 100.0, tick: float = 0.05) -> Profile:
    return Profile(np.round(low + tick * np.arange(len(volume)), 4), tick, np.array(volume), tick)


def test_value_area_by_hand() -> None:
    """The worked way of the book: two prices above against two below, the larger pair first, until 70%."""
    #                  100.00 .05 .10 .15 .20 .25 .30 .35 .40
    found = profile([5, 10, 15, 30, 50, 40, 20, 10, 5])
    assert found.total == 185  # 70% are 129.5
    assert found.control == 100.20
    # 50; above 40+20=60 against below 30+15=45: up, 110; above 10+5=15 against 45: down, 155.
    assert found.value_area() == (100.10, 100.30)
    assert found.value_area(0.5) == (100.20, 100.30)
    assert found.value_area(1.0) == (100.00, 100.40)


def test_ties_go_to_the_middle_then_down_and_the_value_area_up() -> None:
    assert profile([7, 1, 7, 1, 1]).control == 100.10
    assert profile([1, 7, 1, 7, 1]).control == 100.05
    assert profile([4, 4, 9, 4, 4]).value_area(0.5) == (100.10, 100.20)


def test_the_value_area_stops_at_the_ends() -> None:
    assert profile([90, 1, 1]).value_area() == (100.00, 100.00)
    assert profile([60, 30, 10]).value_area() == (100.00, 100.10)
    assert profile([10, 30, 60]).value_area() == (100.00, 100.10)
    assert profile([100]).value_area() == (100.00, 100.00)


def test_nothing_traded() -> None:
    empty = Profiles(lambda slot: 0.05, 4).of(2)
    assert (empty.total, len(empty.price)) == (0, 0)
    assert math.isnan(empty.control)
    assert all(math.isnan(price) for price in empty.value_area())


def test_bins_widen_when_the_range_outgrows_them() -> None:
    profiles = Profiles(lambda slot: 0.05, 4)
    profiles.add(np.array([1, 1]), np.array([100.0, 100.05]), np.array([10, 20]))
    one = profiles.of(1)
    assert (one.price.tolist(), one.volume.tolist(), one.width) == ([100.0, 100.05], [10, 20], 0.05)
    # 40 rupees away are 800 ticks: two to a bin.
    profiles.add(np.array([1]), np.array([140.05]), np.array([5]))
    two = profiles.of(1)
    assert two.width == 0.10
    assert (two.price[0], two.price[-1]) == (100.0, 140.0)
    assert two.total == 35
    assert two.volume[0] == 30
    assert two.control == pytest.approx(100.025)
    assert list(two.value_area()) == pytest.approx([100.0, 100.05])


def test_slots_apart_and_a_new_session() -> None:
    profiles = Profiles(lambda slot: 0.05 if slot else 0.0, 2)
    profiles.grow(8)
    profiles.add(np.array([0, 7, 7]), np.array([10.01, 55.0, 55.0]), np.array([1, 2, 3]))
    assert profiles.of(7).volume.tolist() == [5]
    assert profiles.of(0).price.tolist() == [10.01]  # no step known: paise
    assert profiles.control(np.array([7, 3]))[0] == 55.0
    profiles.reset()
    assert profiles.of(7).total == 0
    profiles.add(np.array([7]), np.array([80.0]), np.array([4]))
    assert (profiles.of(7).price.tolist(), profiles.of(7).volume.tolist()) == ([80.0], [4])


@given(
    trades=st.lists(st.tuples(st.integers(1, 4_000), st.integers(1, 1_000)), min_size=1, max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=4),
)
def test_any_trades_in_any_portions(trades: list[tuple[int, int]], cuts: list[int]) -> None:
    """Bins hold exactly what traded in them; their width follows from the range alone."""
    profiles = Profiles(lambda slot: 0.05, 4)
    edges = sorted({0, *(cut for cut in cuts if cut < len(trades)), len(trades)})
    for first, last in pairwise(edges):
        part = trades[first:last]
        profiles.add(
            np.full(len(part), 2),
            np.array([round(ticks * 0.05, 2) for ticks, _ in part]),
            np.array([volume for _, volume in part]),
        )
    found = profiles.of(2)
    low, high = min(t for t, _ in trades), max(t for t, _ in trades)
    shift = 0
    while (high >> shift) - (low >> shift) >= BINS:
        shift += 1
    assert found.width == round(0.05 * 2**shift, 4)
    expected = [0] * ((high >> shift) - (low >> shift) + 1)
    for ticks, volume in trades:
        expected[(ticks >> shift) - (low >> shift)] += volume
    assert found.volume.tolist() == expected
    lowest, highest = found.value_area()
    inside = (found.price >= lowest - 1e-9) & (found.price <= highest + 1e-9)
    assert found.volume[inside].sum() >= 0.7 * found.total
    assert lowest <= found.control <= highest
