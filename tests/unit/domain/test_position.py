"""Position = sum of fills, in any order, under any duplication."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import Position, positions_from

trades = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(1, 10_000_000)), min_size=1, max_size=30
)


def fills_of(rows: list[tuple[Side, int, int]]) -> list[Fill]:
    return [
        Fill(f"t{n}", "o", "", "NSE_EQ|X", side, qty, Price(price), Product.INTRADAY, n)
        for n, (side, qty, price) in enumerate(rows)
    ]


@given(trades, st.integers(1, 100))
def test_quantity_and_money_add_up(rows: list[tuple[Side, int, int]], multiplier: int) -> None:
    position = Position("NSE_EQ|X", Product.INTRADAY, multiplier=multiplier)
    for side, qty, price in rows:
        position = position.apply(side, qty, Price(price))
    assert position.qty == sum(side.sign * qty for side, qty, _ in rows)
    cash = sum(-side.sign * qty * price * multiplier for side, qty, price in rows)
    last = Price(123_456)
    # Whatever the averaging, profit in all is cash that came in plus what the rest is worth.
    assert position.realised + position.unrealised(last) == cash + position.qty * last * multiplier
    if position.qty == 0:
        assert position.cost == 0
        assert position.average_price == 0
        assert position.realised == position.sell_value - position.buy_value


@given(trades, st.randoms(use_true_random=False))
def test_property_sum_order_and_duplication_do_not_change_the_quantity(
    rows: list[tuple[Side, int, int]], random: object
) -> None:
    fills = fills_of(rows)
    mixed = fills + fills[: len(fills) // 2 + 1]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, two = positions_from(fills), positions_from(mixed)
    key = ("NSE_EQ|X", Product.INTRADAY)
    assert one[key].qty == two[key].qty
    assert one[key].buy_value == two[key].buy_value
    assert one[key].sell_value == two[key].sell_value


def test_adding_moves_the_average_reducing_keeps_it() -> None:
    position = Position("k", Product.DELIVERY).apply(Side.BUY, 10, Price(100)).apply(Side.BUY, 10, Price(200))
    assert position.average_price == 150
    position = position.apply(Side.SELL, 5, Price(180))
    assert position.average_price == 150
    assert position.realised == 5 * 30


def test_crossing_zero_opens_the_other_side_at_the_fill() -> None:
    position = (
        Position("k", Product.INTRADAY).apply(Side.BUY, 10, Price(100)).apply(Side.SELL, 25, Price(120))
    )
    assert (position.qty, position.average_price, position.realised) == (-15, 120, 200)
    assert position.unrealised(Price(110)) == 150
