"""Two bases of profit: since entry, and of the day from the previous close."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.events import BrokerPosition
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.portfolio import Opening, Portfolio

KEY = "NSE_EQ|X"
AT = (KEY, Product.DELIVERY)


def fill(number: int, side: Side, qty: int, price: Price) -> Fill:
    return Fill(f"t{number}", f"b{number}", "", KEY, side, qty, price, Product.DELIVERY, number)


def carried(qty: int = 10, average: float = 90, close: float = 100) -> Portfolio:
    portfolio = Portfolio()
    portfolio.open_with(Opening(KEY, Product.DELIVERY, qty, to_price(average), to_price(close)))
    return portfolio


def day(portfolio: Portfolio, last: float | None, close: float | None = None) -> Money:
    return portfolio.day_profit(
        portfolio.positions[AT],
        None if last is None else to_price(last),
        None if close is None else to_price(close),
    )


def test_what_was_carried_counts_from_the_previous_close_and_since_entry_beside_it() -> None:
    portfolio = carried()
    assert day(portfolio, 103) == to_money(30)
    assert portfolio.positions[AT].unrealised(to_price(103)) == to_money(130)
    portfolio.book(fill(1, Side.SELL, 10, to_price(104)))
    assert day(portfolio, 1) == to_money(40), "closed: the last price no longer matters"
    assert portfolio.positions[AT].realised == to_money(140)


def test_a_position_added_to_today_counts_each_part_from_its_own_start() -> None:
    portfolio = carried()
    portfolio.book(fill(1, Side.BUY, 5, to_price(102)))
    assert day(portfolio, 103) == to_money(30 + 5)
    portfolio.book(fill(2, Side.SELL, 12, to_price(101)))
    assert day(portfolio, 103) == to_money(10 * 1 + 5 * -1 + 3 * 2)


def test_a_close_the_broker_did_not_say_is_taken_from_the_market_else_from_the_average() -> None:
    portfolio = carried(close=0)
    assert day(portfolio, 103, 101) == to_money(20)
    assert day(portfolio, 103) == to_money(130)
    assert day(portfolio, None, 101) == 0, "no price seen: nothing is called profit"


def test_the_brokers_close_goes_into_the_opening() -> None:
    theirs = BrokerPosition(KEY, Product.DELIVERY, 10, to_price(90), Money(0), to_price(100), 10)
    assert Portfolio().carried(theirs).prev_close == to_price(100)


def test_a_new_day_begins_at_the_mark_and_keeps_the_average_price() -> None:
    portfolio = carried()
    portfolio.book(fill(1, Side.SELL, 4, to_price(104)))
    portfolio.turn_day(lambda key: to_price(105))
    position = portfolio.positions[AT]
    assert (position.qty, position.average_price, position.realised) == (6, to_price(90), 0)
    assert portfolio.carried_qty(AT) == 6
    assert day(portfolio, 106) == to_money(6)
    assert not portfolio.book(fill(1, Side.SELL, 4, to_price(104))), "yesterday's trade is not believed twice"
    portfolio.book(fill(2, Side.SELL, 6, to_price(107)))
    portfolio.turn_day(lambda key: None)
    assert portfolio.positions == {}


TRADES = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(1, 10**6)), max_size=20)


@given(TRADES, TRADES, st.integers(1, 10**6), st.integers(1, 10**6))
def test_property_sum_of_the_days_profits_is_profit_since_entry(
    first: list[tuple[Side, int, int]], second: list[tuple[Side, int, int]], mark: int, last: int
) -> None:
    portfolio = Portfolio()
    for number, (side, qty, price) in enumerate(first):
        portfolio.book(fill(number, side, qty, Price(price)))
    cash = sum(-side.sign * qty * price for side, qty, price in first + second)
    one = sum(portfolio.day_profit(p, Price(mark)) for p in portfolio.positions.values())
    portfolio.turn_day(lambda key: Price(mark))
    for number, (side, qty, price) in enumerate(second):
        portfolio.book(fill(100 + number, side, qty, Price(price)))
    two = sum(portfolio.day_profit(p, Price(last)) for p in portfolio.positions.values())
    assert one + two == cash + portfolio.qty(*AT) * last
