"""The judge of the soak sees what it is there to see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fixtures.scripted_world import DAY
from tests.soak.day import over
from tests.soak.judge import Watch
from tests.unit.exchange.support import CALL, FUTURE, SHARE
from tradetui.domain.calendar.ist import ns
from tradetui.domain.money import to_price
from tradetui.domain.order import EXIT_SOURCE, Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind, freeze

TEN = ns(DAY, "10:00")
PATH = [(TEN - 1, {one.key: 100.0 for one in (SHARE, CALL, FUTURE)})]
ENTRY = OrderRequest(SHARE.key, Side.BUY, 10, price=to_price(100))


def intent(request: OrderRequest, t_ns: int = TEN) -> Record:
    return Record(t_ns, RecordKind.INTENT, freeze(Order("t1", request, OrderStatus.INTENT, t_ns, t_ns)))


def fill(request: OrderRequest) -> Record:
    trade = Fill(
        request.instrument_key, "b1", "", request.instrument_key, request.side, request.qty, to_price(100),
        request.product, TEN,
    )  # fmt: skip
    return Record(TEN, RecordKind.FILL, freeze(trade))


def breaches(*records: Record) -> list[str]:
    watch = Watch(PATH)
    watch.read(records)
    return watch.breaches


def test_an_order_that_may_go_is_judged_and_let_go() -> None:
    watch = Watch(PATH)
    watch.read([intent(ENTRY)])
    assert (watch.breaches, watch.judged) == ([], 1)


HALTED = Record(TEN, RecordKind.RISK, {"state": "halted", "reason": "kill"})
EXIT = replace(ENTRY, side=Side.SELL, source=EXIT_SOURCE)
CASES: dict[str, tuple[list[Record], str]] = {
    "halted": ([HALTED, intent(ENTRY)], "halted"),
    "value": ([intent(replace(ENTRY, qty=100_000))], "above the limit"),
    "exposure": ([fill(replace(ENTRY, qty=74_999)), intent(replace(ENTRY, qty=40))], "exposure"),
    "price": ([intent(replace(ENTRY, price=to_price(150)))], "far from the market"),
    "late": ([intent(ENTRY, ns(DAY, "15:01"))], "square-off"),
    "third": (
        [
            fill(replace(ENTRY, instrument_key=CALL.key)),
            fill(replace(ENTRY, instrument_key=FUTURE.key)),
            intent(ENTRY),
        ],
        "open already",
    ),
    "reverse": ([fill(ENTRY), intent(replace(EXIT, qty=11))], "an exit of 11"),
    "rate": ([intent(replace(ENTRY, price=to_price(100 + n / 10))) for n in range(9)], "within a second"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_an_order_that_may_not_go_is_named(case: str) -> None:
    records, words = CASES[case]
    assert any(words in said for said in breaches(*records)), breaches(*records)


def test_what_makes_a_position_smaller_goes_whatever_holds() -> None:
    closing = replace(ENTRY, side=Side.SELL, product=Product.INTRADAY)
    assert breaches(fill(ENTRY), HALTED, intent(closing), intent(EXIT)) == []


@pytest.mark.parametrize(("writes", "found"), [(10, 0), (11, 1)])
def test_the_budget_is_counted_in_its_windows(writes: int, found: int) -> None:
    times: list[Any] = [100 + number / 20 for number in range(writes)]
    assert len(over(times, [])) == found
    assert over(times, [(99.9, 100.4)]) == [], "what came while nobody looked says nothing"
    slow = [number * 0.119 for number in range(510)]
    assert all("within 60 s" in words for words in over(slow, []))
    assert over(slow, [])
