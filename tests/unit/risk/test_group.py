"""A basket is judged as one: its money together, its counts once, all of it or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.risk.test_gate import OPTION, facts
from tests.unit.risk.test_rules import INDEX_OPTION
from tradetui.domain.instrument import InstrumentKind
from tradetui.domain.money import to_money, to_price
from tradetui.domain.order import OrderRequest, Side
from tradetui.risk.facts import Facts
from tradetui.risk.gate import judge, judge_group, refusal, refusal_of_group
from tradetui.risk.limits import Limits

PUT = replace(INDEX_OPTION, key="NSE_FO|2", kind=InstrumentKind.PUT)
BUY_LEG = OrderRequest(OPTION.key, Side.BUY, 65, price=to_price(100))
SELL_LEG = OrderRequest(PUT.key, Side.SELL, 65, price=to_price(100))


def legs(**changes: Any) -> list[Facts]:
    return [
        facts(
            **{"request": BUY_LEG, "instrument": INDEX_OPTION, "margin_needed": to_money(6_500), **changes}
        ),
        facts(**{"request": SELL_LEG, "instrument": PUT, "margin_needed": to_money(40_000), **changes}),
    ]


def test_the_last_free_place_is_enough_for_all_its_legs() -> None:
    group = legs(open_positions=5, intraday_positions=1)
    assert refusal_of_group(judge_group(group, to_money(10_000))) == ""
    full = legs(intraday_positions=2)
    assert "leg 1: 2 intraday positions are open: limit 2" in refusal_of_group(judge_group(full))


def test_its_margin_is_counted_once_and_after_the_hedge() -> None:
    group = legs(available=to_money(20_000))
    assert refusal(judge(group[1])), "alone the short leg needs too much"
    assert refusal_of_group(judge_group(group, to_money(15_000))) == ""
    assert "needs about 46,500" in refusal_of_group(judge_group(group)), "nobody knows the hedge: the sum"


def test_its_exposure_is_that_of_all_legs() -> None:
    limits = Limits(max_leverage=0.2)  # 10,000 rupees
    assert "total exposure would be 13,000" in refusal_of_group(judge_group(legs(limits=limits)))
    assert refusal_of_group(judge_group(legs(limits=limits)[:1])) == ""


def test_a_fault_of_any_leg_stops_them_all_and_is_named() -> None:
    group = legs()
    group[1] = replace(group[1], request=replace(SELL_LEG, qty=64))
    assert refusal_of_group(judge_group(group)).startswith("leg 2: quantity 64 is not a multiple")


def test_legs_that_only_reduce_are_judged_alone() -> None:
    exits = [replace(leg, position_qty=-65 * leg.request.side.sign) for leg in legs(available=to_money(0))]
    assert refusal_of_group(judge_group(exits)) == ""


def test_an_entry_after_an_exit_is_the_one_that_is_counted() -> None:
    first, second = legs(intraday_positions=2)
    mixed = [replace(first, position_qty=-65), second]
    assert "leg 2: 2 intraday positions" in refusal_of_group(judge_group(mixed))
