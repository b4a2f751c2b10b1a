"""Charges of the day: order by order, and again where a conversion makes something else of the units."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.engine_rig import DAY, Rig
from tests.unit.exchange.support import SHARE, order, rs
from tests.unit.wiring.test_restore import PREFIX, again, through_the_disk
from tradetui.config import Config
from tradetui.domain.events import AccountSnapshot, OperatorKind, RequestAccepted
from tradetui.domain.money import Money
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.requests import ConvertPosition
from tradetui.execution.charges import OrderCharges
from tradetui.wiring.restore import read_past
from tradetui.wiring.settings import charge_from

DAILY, KEPT = Product.INTRADAY, Product.DELIVERY
CHARGE = charge_from(Config())


def fill(rig: Rig, product: Product, side: Side, qty: int, price: float = 1_000.0) -> None:
    rig.tick(price)
    rig.time(6)
    rig.tick(price)
    rig.fill(rig.place(order(side, qty, price, product=product)), price)


def convert(rig: Rig, old: Product, new: Product, qty: int | None = None) -> None:
    rig.ask(OperatorKind.CONVERT, instrument_key=SHARE.key, product=old, to_product=new, qty=qty)
    asked = [command for command in rig.commands if isinstance(command, ConvertPosition)][-1]
    rig.step(RequestAccepted(rig.now_ns, "convert", asked.tag, ""))


def charges(rig: Rig) -> dict[Product, int]:
    figures = rig.engine.desk.figures
    return {product: int(figures.charges_of(SHARE.key, product)) for product in (DAILY, KEPT)}


def of_one(product: Product, qty: int, side: Side = Side.BUY) -> int:
    """Charges of one order."""
    rig = Rig()
    return int(CHARGE(SHARE, product, side, qty, rs(1_000), rig.now_ns))


@pytest.mark.parametrize(("old", "new"), [(DAILY, KEPT), (KEPT, DAILY)])
def test_what_was_converted_is_charged_as_what_it_is_now(old: Product, new: Product) -> None:
    rig = Rig()
    fill(rig, old, Side.BUY, 100)
    assert charges(rig) == {old: of_one(old, 100), new: 0}
    convert(rig, old, new)
    assert charges(rig) == {old: 0, new: of_one(new, 100)}
    assert of_one(old, 100) != of_one(new, 100)
    assert rig.engine.desk.figures.day_charges() == of_one(new, 100)


def test_of_an_order_that_was_converted_in_part_each_product_takes_its_share() -> None:
    rig = Rig()
    fill(rig, DAILY, Side.BUY, 100)
    convert(rig, DAILY, KEPT, 40)
    assert charges(rig)[KEPT] == pytest.approx(of_one(KEPT, 100) * 0.4, abs=1)
    assert charges(rig)[DAILY] == pytest.approx(of_one(DAILY, 100) * 0.6, abs=1)
    assert rig.engine.desk.figures.day_charges() == sum(charges(rig).values())
    convert(rig, KEPT, DAILY, 40)
    assert charges(rig) == {DAILY: of_one(DAILY, 100), KEPT: 0}


def test_the_newest_units_move_first_and_those_of_the_other_side_stay() -> None:
    rig = Rig()
    fill(rig, DAILY, Side.BUY, 30)
    fill(rig, DAILY, Side.SELL, 10)
    fill(rig, DAILY, Side.BUY, 50)
    convert(rig, DAILY, KEPT, 60)
    first = of_one(DAILY, 30) * 20 / 30 + of_one(DAILY, 10, Side.SELL)
    assert charges(rig)[DAILY] == pytest.approx(first, abs=2)
    assert charges(rig)[KEPT] == pytest.approx(of_one(KEPT, 50) + of_one(KEPT, 30) * 10 / 30, abs=2)


def test_what_was_carried_over_night_costs_nothing_when_it_is_converted() -> None:
    rig = Rig()
    fill(rig, KEPT, Side.BUY, 100)
    rig.time(3 * 86_400)
    rig.tick(1_000.0)
    convert(rig, KEPT, DAILY)
    assert charges(rig) == {DAILY: 0, KEPT: 0}


def test_a_conversion_decided_with_the_trades_it_moves_is_charged_after_them() -> None:
    rig = Rig()
    rig.tick(1_000.0)
    placed = rig.place(order(Side.BUY, 10, 1_000.0))
    broker_id = rig.accept(placed)
    trade = Fill("z1", broker_id, placed.tag, SHARE.key, Side.BUY, 10, rs(1_000), DAILY, rig.now_ns)
    desk = rig.engine.desk

    def both(snapshot: AccountSnapshot) -> None:
        desk.portfolio.book(trade)
        desk.portfolio.convert(SHARE.key, DAILY, KEPT, 10)

    # As when one reading of the account shows a trade and a conversion of it.
    desk.manager.on_snapshot = both  # type: ignore[method-assign]
    rig.step(AccountSnapshot(rig.now_ns, rig.now_ns, (), (trade,)))
    assert charges(rig) == {DAILY: 0, KEPT: of_one(KEPT, 10)}


def test_r1_charges_of_a_converted_position_are_the_same_after_a_restart(tmp_path: Path) -> None:
    rig = Rig()
    fill(rig, DAILY, Side.BUY, 100)
    convert(rig, DAILY, KEPT, 70)
    fill(rig, KEPT, Side.SELL, 20)
    back = again(read_past(through_the_disk(rig, tmp_path), DAY, PREFIX))
    assert charges(back) == charges(rig)
    assert back.engine.desk.figures.day_charges() == rig.engine.desk.figures.day_charges()


def test_charges_of_named_orders_add_up() -> None:
    book = OrderCharges(CHARGE)
    rig = Rig()
    for number, qty in enumerate((5, 7)):
        book.add(
            Fill(f"t{number}", f"b{number}", "", SHARE.key, Side.BUY, qty, rs(1_000), DAILY, rig.now_ns),
            SHARE,
        )
    assert book.of(["b0", "b1", "nope"]) == book.total() == Money(of_one(DAILY, 5) + of_one(DAILY, 7))
    book.clear()
    assert book.total() == book.of_position(SHARE.key, DAILY) == 0
