"""Units that change their product: no trade, no profit, and lost answers decided by the broker's positions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.execution.test_manager import Bench, S
from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.errors import DomainError
from tradetui.domain.events import (
    AccountSnapshot,
    BrokerPosition,
    FillEvent,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
)
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import ConvertPosition, Reconcile
from tradetui.domain.thawing import thaw

KEY = "NSE_EQ|X"
DAY, D, MTF = Product.INTRADAY, Product.DELIVERY, Product.MTF


class Floor(Bench):
    """A manager that holds an intraday position."""

    def __init__(self, qty: int = 100) -> None:
        super().__init__()
        self.manager.on_snapshot(AccountSnapshot(0, 0, (), (), ()))
        side = Side.BUY if qty > 0 else Side.SELL
        row = Fill("T1", "P1", "", KEY, side, abs(qty), Price(1_000_000), DAY, S)
        self.manager.on_fill(FillEvent(S, row))
        self.records.clear()

    def convert(self, qty: int | None = 40, new: Product = D) -> str:
        return self.manager.conversions.convert(KEY, DAY, new, qty, 2 * S)

    def held(self) -> tuple[int, int]:
        return self.portfolio.qty(KEY, DAY), self.portfolio.qty(KEY, D)

    def book(self, t_s: float, **qty: int) -> None:
        """The broker's positions, read at that second."""
        at = int(t_s * S)
        rows = tuple(
            BrokerPosition(KEY, Product(name), units, Price(1_000_000), Money(0))
            for name, units in qty.items()
        )
        self.manager.on_snapshot(AccountSnapshot(at, at, (), (), rows))

    def one(self) -> Conversion:
        return next(iter(self.manager.conversions.conversions.values()))

    def noted(self) -> list[ConversionStatus]:
        return [thaw(Conversion, d).status for k, d in self.records if k is RecordKind.CONVERSION]


def test_the_intent_is_recorded_and_the_units_move_when_the_broker_says_so() -> None:
    floor = Floor()
    assert floor.convert() == ""
    assert floor.noted() == [ConversionStatus.SENT]
    (command,) = floor.sent(ConvertPosition)
    assert command == ConvertPosition(2 * S, "tt00001", KEY, Side.BUY, 40, DAY, D)
    assert floor.held() == (100, 0)
    floor.manager.on_accepted(RequestAccepted(3 * S, "convert", "tt00001", ""))
    assert floor.held() == (60, 40)
    assert floor.portfolio.positions[KEY, D].average_price == 1_000_000
    assert floor.noted() == [ConversionStatus.SENT, ConversionStatus.DONE]
    floor.manager.on_accepted(RequestAccepted(4 * S, "convert", "tt00001", ""))
    assert floor.held() == (60, 40), "an answer that comes twice moves nothing twice"
    floor.book(5, I=60, D=40)
    assert not floor.manager.positions.differences


def test_what_cannot_be_converted_is_said_and_not_sent() -> None:
    floor = Floor()
    assert "intraday already" in floor.convert(new=DAY)
    assert "100 units" in floor.convert(qty=101)
    assert "100 units" in floor.convert(qty=0)
    assert "no delivery position" in floor.manager.conversions.convert(KEY, D, DAY, None, S)
    assert floor.convert() == ""
    assert "under way" in floor.convert()
    assert len(floor.sent(ConvertPosition)) == 1


def test_a_refused_one_moves_nothing() -> None:
    floor = Floor()
    floor.convert()
    floor.manager.on_refused(RequestRefused(3 * S, "convert", "tt00001", "UDAPI1034", "not bought today"))
    assert (floor.one().status, floor.one().message) == (ConversionStatus.REJECTED, "not bought today")
    assert floor.held() == (100, 0)


def lost() -> Floor:
    floor = Floor()
    floor.convert()
    floor.manager.on_unknown(RequestUnknown(3 * S, "convert", "tt00001", "time-out"))
    assert floor.manager.has_unknown(KEY)
    return floor


def test_a_lost_answer_is_decided_by_positions_that_moved() -> None:
    floor = lost()
    floor.manager.on_time(4 * S)
    assert floor.sent(Reconcile)
    floor.book(5, I=60, D=40)
    assert floor.one().status is ConversionStatus.DONE
    assert floor.held() == (60, 40)
    assert not floor.manager.has_unknown(KEY)


def test_a_lost_answer_is_not_done_only_by_proof() -> None:
    floor = lost()
    for t in (5, 9, 12):
        floor.book(t, I=100)
    assert floor.one().status is ConversionStatus.UNKNOWN
    for t in (14, 17, 20):
        assert floor.one().status is ConversionStatus.UNKNOWN
        floor.book(t, I=100)
    assert floor.one().status is ConversionStatus.NOT_DONE
    assert floor.held() == (100, 0)
    assert RecordKind.RECONCILE not in [kind for kind, _ in floor.records]


def test_positions_that_fit_neither_prove_nothing() -> None:
    floor = lost()
    for t in range(14, 60, 3):
        floor.book(t, I=90)
    assert floor.one().status is ConversionStatus.UNKNOWN


def test_r1_one_under_way_at_the_end_is_decided_after_the_restart() -> None:
    before, floor = lost(), Floor()
    floor.manager.conversions.restore([before.one()], 60 * S)
    floor.book(61, I=60, D=40)
    assert floor.one().status is ConversionStatus.DONE
    assert floor.held() == (60, 40)


def test_one_without_any_answer_becomes_unknown() -> None:
    floor = Floor()
    floor.convert()
    floor.manager.on_time(62 * S)
    assert floor.one().status is ConversionStatus.UNKNOWN


def test_o14_a_conversion_from_a_phone_is_found_in_two_readings() -> None:
    floor = Floor()
    floor.book(2, I=100)
    floor.book(5, I=70, D=30)
    assert floor.held() == (100, 0), "it may have been read in the middle"
    floor.book(8, I=70, D=30)
    assert floor.held() == (70, 30)
    assert floor.one().foreign
    assert not floor.manager.positions.differences
    assert not floor.sent(ConvertPosition)


def test_a_short_position_converts_too() -> None:
    floor = Floor(-100)
    assert floor.convert(None, MTF) == ""
    floor.manager.on_accepted(RequestAccepted(3 * S, "convert", "tt00001", ""))
    assert floor.portfolio.qty(KEY, MTF) == -100
    assert floor.held()[0] == 0


UNITS = st.integers(-50, 50).filter(bool)
TRADES = st.lists(
    st.tuples(st.sampled_from([DAY, D]), UNITS, st.integers(1, 3_000_000)), min_size=1, max_size=12
)


@given(TRADES, st.integers(1, 100), st.integers(1, 3_000_000))
def test_a_conversion_leaves_the_sum_of_profits_as_it_was(trades: Any, share: int, last: int) -> None:
    book = Portfolio(lambda _: 3)
    for number, (product, units, price) in enumerate(trades):
        side = Side.BUY if units > 0 else Side.SELL
        book.book(Fill(f"T{number}", "B", "", KEY, side, abs(units), Price(price), product, S))
    held = book.qty(KEY, DAY)

    def worth() -> tuple[int, int, int]:
        rows = list(book.positions.values())
        earned = sum(p.realised + p.unrealised(Price(last)) for p in rows)
        return earned, sum(book.day_profit(p, Price(last)) for p in rows), sum(p.qty for p in rows)

    before = worth()
    units = held * share // 100
    if not units:
        with pytest.raises(DomainError):
            book.convert(KEY, DAY, D, held + (1 if held >= 0 else -1))
    else:
        book.convert(KEY, DAY, D, units)
        assert book.qty(KEY, DAY) == held - units
    assert worth() == before
