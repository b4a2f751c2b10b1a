"""GTTs, conversions and orders of earlier days that a killed run left behind, given back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fixtures.engine_rig import DAY, SECOND, Rig
from tests.unit.exchange.support import SHARE, order, rs
from tests.unit.wiring.test_restore import PREFIX, again, through_the_disk
from tradetui.domain.conversion import ConversionStatus
from tradetui.domain.events import (
    AccountSnapshot,
    Evidence,
    GttUpdate,
    OperatorEvent,
    OperatorKind,
    RequestAccepted,
    RequestUnknown,
)
from tradetui.domain.gtt import (
    GttRequest,
    GttRule,
    GttStatus,
    GttStrategy,
    GttTrigger,
    RuleState,
    RuleStatus,
)
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.domain.requests import ConvertPosition, PlaceGtt, Reconcile
from tradetui.wiring.restore import read_past

TOMORROW = DAY + timedelta(days=1)
ENTRY = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, rs(98))
REQUEST = GttRequest(SHARE.key, Side.BUY, 10, Product.DELIVERY, (ENTRY,))


def place_gtt(rig: Rig) -> str:
    rig.tick(100.0)
    rig.step(OperatorEvent(rig.now_ns, OperatorKind.GTT_PLACE, gtt=REQUEST))
    (command,) = [one for one in rig.commands if isinstance(one, PlaceGtt)]
    return command.tag


def says(rig: Rig, status: RuleStatus, child: str = "") -> GttUpdate:
    state = RuleState(ENTRY, status, status.value, child)
    return GttUpdate(
        rig.now_ns, Evidence.STREAM, "GTT-1", SHARE.key, Side.BUY, 10, Product.DELIVERY, (state,), rig.now_ns
    )


@pytest.mark.parametrize("answer", ["none", "lost", "accepted"])
def test_r1_a_gtt_comes_back_as_it_was_left(answer: str, tmp_path: Path) -> None:
    rig = Rig()
    tag = place_gtt(rig)
    if answer == "lost":
        rig.step(RequestUnknown(rig.now_ns, "gtt place", tag, "time-out"))
    if answer == "accepted":
        rig.step(RequestAccepted(rig.now_ns, "gtt place", tag, "GTT-1"))
    new = again(read_past(through_the_disk(rig, tmp_path), DAY, PREFIX))
    found = new.engine.desk.manager.gtts.gtts[tag]
    assert found.request == REQUEST
    assert found.status is (GttStatus.ACTIVE if answer == "accepted" else GttStatus.UNKNOWN)
    assert new.engine.desk.manager.has_unknown(SHARE.key) is (answer != "accepted")
    new.time(2)
    assert any(isinstance(one, Reconcile) and one.gtts for one in new.commands)
    assert not any(isinstance(one, PlaceGtt) for one in new.commands)


def test_a_gtt_outlives_the_day_and_a_finished_one_does_not(tmp_path: Path) -> None:
    rig = Rig()
    tag = place_gtt(rig)
    rig.step(RequestAccepted(rig.now_ns, "gtt place", tag, "GTT-1"))
    records = through_the_disk(rig, tmp_path)
    assert list(read_past(records, TOMORROW, PREFIX).gtts) == [tag]
    rig.step(says(rig, RuleStatus.COMPLETED, "C1"))
    records = through_the_disk(rig, tmp_path / "done")
    assert list(read_past(records, DAY, PREFIX).gtts) == [tag]
    assert read_past(records, TOMORROW, PREFIX).gtts == {}


def test_a_conversion_is_booked_again_between_the_same_trades(tmp_path: Path) -> None:
    rig = Rig()
    rig.hold(10, 100.0)
    rig.step(
        OperatorEvent(
            rig.now_ns, OperatorKind.CONVERT, instrument_key=SHARE.key, qty=4, to_product=Product.DELIVERY
        )
    )
    (command,) = [one for one in rig.commands if isinstance(one, ConvertPosition)]
    rig.step(RequestAccepted(rig.now_ns, "convert", command.tag, ""))
    rig.hold(10, 120.0)
    new = again(read_past(through_the_disk(rig, tmp_path), DAY, PREFIX))
    assert new.engine.desk.portfolio.positions == rig.engine.desk.portfolio.positions
    assert new.engine.desk.portfolio.positions[SHARE.key, Product.DELIVERY].average_price == rs(100)
    assert new.engine.desk.portfolio.positions[SHARE.key, Product.INTRADAY].qty == 16
    (one,) = new.engine.desk.manager.conversions.conversions.values()
    assert one.status is ConversionStatus.DONE
    assert new.records == [], "nothing is recorded a second time"


def test_a_conversion_of_yesterday_is_in_what_was_carried(tmp_path: Path) -> None:
    rig = Rig()
    rig.hold(10, 100.0)
    rig.engine.desk.manager.conversions.convert(
        SHARE.key, Product.INTRADAY, Product.DELIVERY, None, rig.now_ns
    )
    rig.time(1)
    (command,) = [one for one in rig.commands if isinstance(one, ConvertPosition)]
    rig.step(RequestAccepted(rig.now_ns, "convert", command.tag, ""))
    past = read_past(through_the_disk(rig, tmp_path), TOMORROW, PREFIX)
    assert {key: held.qty for key, held in past.carried.items()} == {(SHARE.key, Product.DELIVERY): 10}


def test_a_working_order_of_yesterday_comes_back_and_ends_by_proof(tmp_path: Path) -> None:
    rig = Rig()
    rig.tick(100.0)
    resting = rig.place(order(Side.BUY, 5, 98.0))
    rig.accept(resting)
    done = rig.place(order(Side.BUY, 5, 98.0))
    rig.accept(done)
    rig.fill(done, 98.0, 5)
    past = read_past(through_the_disk(rig, tmp_path), TOMORROW, PREFIX)
    assert list(past.orders) == [resting.tag]
    new = again(past)
    morning = new.now_ns + 24 * 3600 * SECOND
    new.step(AccountSnapshot(morning, morning, (), ()))
    found = new.engine.desk.manager.orders[resting.tag]
    assert found.status is OrderStatus.CANCELLED
    assert "its day is over" in found.message


def test_labels_of_gtts_and_conversions_count_too(tmp_path: Path) -> None:
    rig = Rig()
    tag = place_gtt(rig)
    past = read_past(through_the_disk(rig, tmp_path), DAY, PREFIX)
    assert past.sequence == int(tag.removeprefix(PREFIX))
    assert again(past).place(order(Side.BUY, 5, 98.0)).tag not in {tag}
