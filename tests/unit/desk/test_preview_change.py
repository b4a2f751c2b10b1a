"""What the screen is told before a working order is changed: the same judgement as the change itself."""

from __future__ import annotations

from dataclasses import replace

from tests.fixtures.engine_rig import Rig
from tests.unit.exchange.support import SHARE, order, rs
from tradetui.domain.events import OperatorKind
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.order import OrderStatus, Product
from tradetui.domain.records import RecordKind
from tradetui.domain.view import Verdict


def blocks(rig: Rig, request: object, tag: str) -> list[str]:
    preview = rig.engine.desk.preview(request, tag)  # type: ignore[arg-type]
    assert preview.request == request, "the ticket knows its answer by its request"
    return [check.words for check in preview.checks if check.verdict is Verdict.BLOCK]


def resting(rig: Rig, qty: int = 10, price: float = 99.0) -> str:
    rig.tick(100.0)
    placed = rig.place(order(qty=qty, price=price))
    rig.accept(placed)
    return placed.tag


def test_an_order_is_not_measured_against_itself() -> None:
    rig = Rig()
    # 4,500 shares at 99 fill most of the capital: the same again beside them could not be paid.
    rig.tick(100.0)
    placed = rig.place(order(qty=4_500, price=99.0, product=Product.DELIVERY))
    rig.accept(placed)
    tag = placed.tag
    moved = order(qty=4_500, price=98.5, product=Product.DELIVERY)
    preview = rig.engine.desk.preview(moved, tag)
    assert blocks(rig, moved, tag) == []
    assert preview.effect == "price 99.00 becomes 98.50"
    assert preview.margin == 0, "the order holds its own margin already"
    assert rig.engine.desk.preview(replace(moved, client_id="another")).blocked, (
        "as a new order it is too much"
    )
    rig.ask(OperatorKind.MODIFY, tag=tag, qty=4_500, price=rs(98.5))
    assert not [r for r in rig.of(RecordKind.DECISION) if r.data.get("refused")], "and the change agrees"


def test_a_change_that_cannot_be_is_said_before_it_is_sent() -> None:
    rig = Rig()
    tag = resting(rig)
    assert blocks(rig, order(qty=10, price=99.0), tag) == ["nothing is changed yet"]
    rig.fill(rig.engine.desk.manager.orders[tag], 99.0, 4)
    assert blocks(rig, order(qty=4, price=99.0), tag) == ["4 have filled already: cancel the rest instead"]
    assert blocks(rig, order(qty=6, price=99.0), tag) == []
    assert blocks(rig, order(qty=10, price=99.03), tag), "off the tick"
    rig.update(rig.engine.desk.manager.orders[tag], OrderStatus.CANCELLED, "broker-1", 4)
    gone = Rig().engine.desk.preview(order(qty=6, price=99.0), "nobody")
    assert [check.words for check in gone.checks] == ["the order is finished"]


def test_moving_a_stop_is_judged_as_its_plan_would_be() -> None:
    rig = Rig()
    rig.hold(10)
    rig.ask(OperatorKind.PROTECT, instrument_key=SHARE.key, product=Product.INTRADAY, plan=ExitPlan(rs(95.0)))
    stop = next(o for o in rig.orders() if o.request.is_resting_stop)
    rig.accept(stop)
    near = replace(stop.request, trigger_price=rs(96.0))
    assert blocks(rig, near, stop.tag) == []
    assert "moves the stop" in rig.engine.desk.preview(near, stop.tag).effect
    (words,) = blocks(rig, replace(near, trigger_price=rs(101.0)), stop.tag)
    assert "would strike at once" in words
    assert blocks(rig, stop.request, stop.tag) == ["nothing is changed yet"]
