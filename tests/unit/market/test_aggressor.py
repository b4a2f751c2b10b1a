"""Who began a trade: the rules by hand, and against one row at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.market.aggressor import quote_rule, tick_rule


def quoted(price: float, bid: float, ask: float) -> int:
    return int(quote_rule(np.array([price]), np.array([bid]), np.array([ask]))[0])


@pytest.mark.parametrize(
    ("price", "bid", "ask", "side"),
    [
        (100.10, 100.0, 100.10, 1),
        (100.00, 100.0, 100.10, -1),
        (100.05, 100.0, 100.10, 0),  # the middle, whose binary is not exact
        (0.15, 0.1, 0.2, 0),
        (1234.575, 1234.55, 1234.60, 0),
        (100.06, 100.0, 100.10, 1),
        (100.20, 100.0, 100.10, 1),  # outside the book: it has moved since
        (99.00, 100.0, 100.10, -1),
        (100.0, 0.0, 0.0, 0),
        (100.0, 100.0, 0.0, -1),  # upper band: nobody offers
        (100.0, 0.0, 100.0, 1),  # lower band: nobody bids
        (100.0, 100.1, 100.0, 0),  # crossed
        (100.1, 100.0, 100.0, 0),  # locked
    ],
)
def test_quote_rule(price: float, bid: float, ask: float, side: int) -> None:
    assert quoted(price, bid, ask) == side
    # The same beside a row of an ordinary book.
    both = quote_rule(np.array([price, 5.0]), np.array([bid, 4.0]), np.array([ask, 5.0]))
    assert both.tolist() == [side, 1]


def test_tick_rule_by_hand() -> None:
    begins = np.array([True, False, False, False, True, True, False])
    price = np.array([10.0, 10.0, 11.0, 11.0, 5.0, 7.0, 7.0])
    sides = tick_rule(begins, price, np.array([9.0, 5.0, 0.0]), np.array([-1, -1, 1], np.int8))
    assert sides.tolist() == [1, 1, 1, 1, -1, 1, 1]
    # With no price before, an old side stays what is known; with neither, nothing is.
    assert tick_rule(np.array([True]), np.array([7.0]), np.zeros(1), np.zeros(1, np.int8)).tolist() == [0]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([9.9, 10.0, 10.1])), min_size=1, max_size=60),
    st.integers(0, 60),
)
def test_tick_rule_is_one_trade_after_the_other(trades: list[tuple[int, float]], cut: int) -> None:
    last: dict[int, float] = {}
    side: dict[int, int] = {}
    expected: dict[int, list[int]] = {}
    for slot, price in trades:
        if last.get(slot) and price != last[slot]:
            side[slot] = 1 if price > last[slot] else -1
        last[slot] = price
        expected.setdefault(slot, []).append(side.get(slot, 0))
    got: dict[int, list[int]] = {}
    before, known = np.zeros(4), np.zeros(4, np.int8)
    for part in (trades[:cut], trades[cut:]):
        ordered = sorted(part, key=lambda trade: trade[0])
        if not ordered:
            continue
        slots = np.array([slot for slot, _ in ordered])
        prices = np.array([price for _, price in ordered])
        begins = np.concatenate(([True], slots[1:] != slots[:-1]))
        sides = tick_rule(begins, prices, before[slots[begins]], known[slots[begins]])
        for slot, price, one in zip(slots.tolist(), prices.tolist(), sides.tolist(), strict=True):
            got.setdefault(slot, []).append(one)
            before[slot], known[slot] = price, one
    assert got == expected
