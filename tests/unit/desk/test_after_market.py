"""After-market orders at the desk: judged as of the next session, and orders like any other once it has begun."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import SECOND, Rig
from tests.unit.exchange.support import order
from tradetui.domain.events import OperatorKind
from tradetui.domain.order import Order, OrderStatus, Product, Side
from tradetui.domain.requests import ModifyOrder

EVENING_S = 10 * 3600
TO_MONDAY_S = 2 * 86_400 + 14 * 3600


def evening(**terms: object) -> tuple[Rig, Order]:
    """Friday at 20:00, with an after-market order that the broker has taken."""
    rig = Rig()
    rig.tick(100.0)
    rig.time(EVENING_S)
    placed = rig.place(replace(order(Side.BUY, 10, 95.0), amo=True, **terms))  # type: ignore[arg-type]
    assert placed.status is OrderStatus.SENT, placed.message
    rig.accept(placed)
    return rig, placed


def test_out_of_hours_an_order_needs_its_label() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.time(EVENING_S)
    assert "after-market order (AMO)" in rig.place(order(Side.BUY, 10, 95.0)).message
    assert (
        "strategies send no" in rig.place(replace(order(Side.BUY, 10, 95.0), amo=True, source="said")).message
    )


@pytest.mark.parametrize("hours_later", [0.0, TO_MONDAY_S / 3600])
def test_it_can_be_changed_while_it_waits_and_when_it_rests(hours_later: float) -> None:
    rig, placed = evening()
    rig.time(hours_later * 3600)
    rig.tick(100.0)
    rig.ask(OperatorKind.MODIFY, tag=placed.tag, price=placed.request.price - 500)
    assert [command.tag for command in rig.commands if isinstance(command, ModifyOrder)] == [placed.tag]


def test_one_that_rests_unfilled_is_cancelled_at_the_square_off_like_any_intraday_entry() -> None:
    rig, placed = evening()
    rig.time(TO_MONDAY_S)  # Monday at 10:00
    rig.tick(100.0)
    assert rig.cancelled() == []
    rig.time(5 * 3600 - 1)
    rig.tick(100.0)
    rig.time(2)
    assert rig.cancelled() == [placed.tag]


def test_the_square_off_of_the_same_evening_leaves_it_alone() -> None:
    rig, _ = evening()
    for _ in range(5):
        rig.now_ns += SECOND
        rig.time()
    assert rig.cancelled() == []


def test_one_in_delivery_outlives_the_square_off() -> None:
    rig, _ = evening(product=Product.DELIVERY)
    rig.time(TO_MONDAY_S + 5 * 3600 + 60)
    rig.tick(100.0)
    rig.time(2)
    assert rig.cancelled() == []
