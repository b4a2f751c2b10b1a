"""Facts for the gate: counted right whatever rests, and without looking at every order's market again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import LIMITS, SECOND, Rig
from tests.unit.exchange.support import SHARE, order, rs
from tradetui.desk.books import Market, price_of
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import EXIT_SOURCE, OrderStatus, OrderType, Product, Side

MANY = 40
ROOM = replace(
    LIMITS, max_positions=500, max_swing_positions=500, max_intraday_positions=500, max_leverage=20.0
)


def shares() -> list[Instrument]:
    return [replace(SHARE, key=f"NSE_EQ|S{n}", symbol=f"S{n}", isin=f"IN{n}") for n in range(MANY)]


@pytest.fixture
def rig() -> Rig:
    """Entries resting in many shares; the first five are held, too."""
    one = Rig(limits=ROOM)
    for number, share in enumerate(shares()):
        one.universe.add(share)
        one.now_ns += SECOND
        one.time()
        one.tick(100.0, share)
        if number < 5:
            one.fill(one.place(replace(order(Side.BUY, 2, 100.0), instrument_key=share.key)), 100.0)
        placed = one.place(replace(order(Side.BUY, number + 1, 99.0), instrument_key=share.key))
        assert placed.status is OrderStatus.SENT, placed.message
        one.accept(placed)
    one.tick(100.0)
    return one


def test_facts_add_up_what_is_held_and_what_rests(rig: Rig) -> None:
    facts = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    assert facts.open_positions == facts.intraday_positions == MANY
    assert facts.swing_positions == 0
    assert not facts.counted
    assert facts.exposure == 5 * 2 * rs(100) + sum(range(1, MANY + 1)) * rs(99)


def test_a_change_of_an_order_changes_what_rests(rig: Rig) -> None:
    before = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    last = rig.orders()[-1]
    rig.fill(last, 99.0, 10)
    part = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    # Ten of forty are held now, at the last price; the rest rests at its own.
    assert part.exposure - before.exposure == 10 * (rs(100) - rs(99))
    known = rig.engine.desk.manager.orders[last.tag]
    rig.update(known, OrderStatus.CANCELLED, known.broker_id, known.filled_qty)
    gone = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    assert gone.exposure == part.exposure - 30 * rs(99)
    assert gone.open_positions == MANY


def test_exits_and_orders_against_a_position_enter_nothing(rig: Rig) -> None:
    before = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    held = shares()[0].key
    rig.now_ns += SECOND
    rig.time()
    rig.accept(rig.place(replace(order(Side.SELL, 2, 101.0), instrument_key=held)))
    ours = replace(order(Side.SELL, 2, 101.0), instrument_key=shares()[1].key, source=EXIT_SOURCE)
    rig.engine.desk.request(ours)
    after = rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    assert (after.exposure, after.open_positions) == (before.exposure, before.open_positions)


def test_a_market_order_that_rests_is_worth_what_the_market_says_now() -> None:
    rig = Rig()
    rig.tick(100.0)
    market = replace(order(Side.BUY, 10, 0.0), order_type=OrderType.MARKET, price=Price(0), protection_pct=-1)
    rig.place(market)
    wish = order(Side.BUY, 1, 100.0, product=Product.DELIVERY)
    assert rig.engine.desk.facts.of(wish).exposure == 10 * rs(100)
    rig.tick(103.0)
    assert rig.engine.desk.facts.of(wish).exposure == 10 * rs(103)


def test_what_rests_is_not_looked_up_in_the_market_for_every_order(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, asked = rig.engine.desk.books, Counter[str]()

    def counted(key: str) -> Market:
        asked[key] += 1
        return rig.engine.market(key)

    rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    monkeypatch.setattr(books, "market", counted)
    rig.engine.desk.facts.of(order(Side.BUY, 1, 100.0))
    assert asked == {SHARE.key: 1}


@pytest.mark.parametrize("rupees", [0.05, 0.0025, 1_501.35, 99_999.95, 26_013.3])
def test_a_price_is_the_same_whole_number_the_first_time_and_ever_after(rupees: float) -> None:
    assert price_of(rupees) == price_of(rupees) == to_price(rupees)
    assert price_of(float("nan")) is None
    assert price_of(0.0) is None
    assert price_of(float("inf")) is None
