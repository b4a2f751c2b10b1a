"""Decision times: what the market said at each step, and what the road cost."""

from __future__ import annotations

from typing import Any

from tradetui.desk.books import Market
from tradetui.desk.times import OrderTimes, Times
from tradetui.domain.events import RequestAccepted, RequestRefused, RequestSent
from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.thawing import thaw

KEY = "NSE_EQ|INE002A01018"
MS = 1_000_000


class Book:
    """A market that a test moves."""

    def __init__(self, multiplier: int = 1) -> None:
        self.now_ns = 0
        self.quote = Market(Price(1_000_000), Price(999_500), Price(1_000_500))
        self.noted: list[tuple[RecordKind, Any]] = []
        self.times = Times(
            lambda _: self.quote,
            lambda _: (Price(500), multiplier),
            lambda: self.now_ns,
            lambda kind, data: self.noted.append((kind, data)),
        )

    def decide(self, side: Side = Side.BUY) -> None:
        order = Order("t1", OrderRequest(KEY, side, 10), OrderStatus.INTENT, self.now_ns, self.now_ns)
        self.times.noted(RecordKind.INTENT, freeze(order))

    def fill(self, qty: int, price: int, side: Side = Side.BUY, tag: str = "t1") -> None:
        one = Fill("x", "b", tag, KEY, side, qty, Price(price), Product.INTRADAY, 0)
        self.times.noted(RecordKind.FILL, freeze(one))

    def at(self, ms: int, bid: int, ask: int) -> None:
        self.now_ns = ms * MS
        self.quote = Market(Price(bid), Price(bid), Price(ask))

    @property
    def last(self) -> OrderTimes:
        times: OrderTimes = thaw(OrderTimes, self.noted[-1][1])
        return times


def test_each_step_keeps_its_moment_and_its_middle() -> None:
    book = Book()
    book.at(10, 999_500, 1_000_500)
    book.decide()
    book.at(12, 999_700, 1_000_500)
    book.times.hear(RequestSent(12 * MS, "place", "t1"))
    book.at(40, 1_000_000, 1_001_000)
    book.times.hear(RequestAccepted(40 * MS, "place", "t1", "b", 7))
    book.at(55, 1_000_500, 1_001_000)
    book.fill(4, 1_001_000)
    book.at(60, 1_001_500, 1_002_000)
    book.fill(6, 1_001_500)
    kinds = [kind for kind, _ in book.noted]
    assert kinds == [
        RecordKind.INTENT, RecordKind.TIMES, RecordKind.FILL, RecordKind.TIMES, RecordKind.FILL, RecordKind.TIMES,
    ]  # fmt: skip
    times = book.last
    assert (times.decided_ns, times.sent_ns, times.acked_ns) == (10 * MS, 12 * MS, 40 * MS)
    assert (times.decided_mid, times.sent_mid, times.acked_mid) == (1_000_000, 1_000_100, 1_000_500)
    assert times.decided_spread == 1_000
    assert (times.first_fill_ns, times.first_fill_mid, times.last_fill_ns) == (55 * MS, 1_000_750, 60 * MS)
    assert times.filled_qty == 10
    # 4 x 100 ticks/500... in 1/10,000 rupee: 4 x 1,000 + 6 x 1,500 above the middle at the decision.
    assert times.slippage == 13_000
    assert times.slippage_ticks == 2.6


def test_a_sale_below_the_middle_is_a_cost_and_a_multiplier_counts() -> None:
    book = Book(multiplier=100)
    book.decide(Side.SELL)
    book.fill(2, 999_000, Side.SELL)
    assert book.last.slippage == 2 * 1_000 * 100
    assert book.last.slippage_ticks == 2.0
    book.fill(2, 1_002_000, Side.SELL)
    assert book.last.slippage < 0


def test_without_both_sides_the_last_price_stands_in_and_without_any_nothing_is_said() -> None:
    book = Book()
    book.quote = Market(Price(1_000_000), None, Price(1_000_500))
    book.decide()
    assert book.times.orders["t1"].decided_mid == 1_000_000
    assert book.times.orders["t1"].decided_spread == 0
    unknown = Book()
    unknown.quote = Market()
    unknown.decide()
    unknown.fill(10, 1_000_000)
    assert unknown.last.slippage == 0
    assert unknown.last.slippage_ticks is None


def test_a_refusal_is_an_end_too_and_strangers_are_left_alone() -> None:
    book = Book()
    book.decide()
    book.times.hear(RequestRefused(5, "modify", "t1", "", "no"))
    book.times.hear(RequestRefused(6, "place", "other", "", "no"))
    assert len(book.noted) == 1
    book.times.hear(RequestRefused(7, "place", "t1", "", "no"))
    assert book.last.answer == "refused"
    book.times.hear(RequestAccepted(9, "place", "t1", "b"))
    assert book.times.orders["t1"].answer == "refused"
    book.fill(1, 1, tag="foreign")
    assert book.noted[-1][0] is RecordKind.FILL
