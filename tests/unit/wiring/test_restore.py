"""What a killed run left in the journal, given back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.fixtures.engine_rig import DAY, SECOND, TEN_NS, Rig
from tests.unit.exchange.support import SHARE, order, rs
from tradetui.domain.events import OperatorKind, RequestUnknown
from tradetui.domain.money import to_money
from tradetui.domain.order import OrderStatus, OrderType, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.requests import ProbeTag
from tradetui.journal import Journal
from tradetui.risk.facts import RiskState
from tradetui.wiring.restore import Past, give_back, read_past

PREFIX = "tt-"


def again(past: Past) -> Rig:
    """A new engine with the day so far."""
    rig = Rig(up=False)
    give_back(past, rig.engine.desk, rig.now_ns)
    return rig


def through_the_disk(rig: Rig, folder: Path) -> list[Record]:
    """The records as a new process reads them back."""
    journal = Journal(folder)
    for record in rig.records:
        journal.append(record)
    journal.close()
    back = Journal(folder)
    try:
        return list(back.records())
    finally:
        back.close()


def test_orders_trades_and_positions_come_back_equal(tmp_path: Path) -> None:
    rig = Rig()
    rig.hold(10, 100.0)
    resting = rig.place(order(Side.BUY, 5, 98.0))
    rig.accept(resting)
    sold = rig.place(order(Side.SELL, 4, 101.0))
    rig.fill(sold, 101.0, 2)
    rig.place(order(qty=0, price=1.0))
    past = read_past(through_the_disk(rig, tmp_path), DAY, PREFIX)
    new = again(past)
    assert new.engine.desk.manager.orders == rig.engine.desk.manager.orders
    assert new.engine.desk.portfolio.positions == rig.engine.desk.portfolio.positions
    assert new.engine.desk.portfolio.fills == rig.engine.desk.portfolio.fills
    assert new.engine.desk.figures.day_charges() == rig.engine.desk.figures.day_charges()
    assert new.engine.desk.figures.day_pnl() != 0
    assert new.records == [], "nothing is recorded a second time"


def test_tags_go_on_where_they_stopped(tmp_path: Path) -> None:
    rig = Rig()
    rig.hold(10)
    rig.place(order(price=99.0))
    new = again(read_past(rig.records, DAY, PREFIX))
    new.feed(rig.engine.feed.state)
    new.tick(100.0)
    tag = new.place(order(Side.SELL, 10, 101.0)).tag
    assert tag == "tt-00003"
    assert tag not in rig.engine.desk.manager.orders


def test_what_was_under_way_is_unknown_and_asked_for() -> None:
    rig = Rig()
    rig.tick(100.0)
    sent = rig.place(order(price=99.0))
    lost = rig.place(order(price=98.0))
    rig.step(RequestUnknown(rig.now_ns, "place", lost.tag, "timed out"))
    # Killed between the intent and the moment when it was marked as sent.
    records = [r for r in rig.records if not (r.kind is RecordKind.ORDER and r.data["tag"] == sent.tag)]
    new = again(read_past(records, DAY, PREFIX))
    states = {order.tag: order.status for order in new.orders()}
    assert states == {sent.tag: OrderStatus.UNKNOWN, lost.tag: OrderStatus.UNKNOWN}
    new.now_ns += 11 * SECOND
    outcome = new.time()
    noted = [record.data["status"] for record in outcome.records if record.kind is RecordKind.ORDER]
    assert noted == ["unknown", "unknown"], "and the journal says so"
    probes = {command.tag for command in new.commands if isinstance(command, ProbeTag)}
    assert probes == set(states)


def test_a_halt_the_loss_and_the_entries_survive() -> None:
    rig = Rig()
    rig.hold(10)
    rig.fill(rig.place(order(Side.SELL, 10, 90.0)), 90.0)
    rig.ask(OperatorKind.KILL, note="me")
    new = again(read_past(rig.records, DAY, PREFIX))
    desk = new.engine.desk
    assert (desk.books.state, desk.books.state_reason) == (RiskState.HALTED, "kill pulled by me")
    assert desk.figures.day_pnl() == to_money(-100)
    assert desk.books.entries_today >= 1


def test_an_exit_plan_is_in_force_again_and_a_closed_one_is_not() -> None:
    rig = Rig()
    rig.hold(10, source="said", stop=rs(90.0), target=rs(120.0))
    stop = rig.orders()[-1]
    rig.update(stop, OrderStatus.TRIGGER_PENDING, rig.accept(stop))
    new = again(read_past(rig.records, DAY, PREFIX))
    assert new.engine.desk.protection.plans == rig.engine.desk.protection.plans != {}
    new.feed(rig.engine.feed.state)
    new.tick(120.0)
    assert (new.cancelled(), new.placed()) == ([stop.tag], []), "the stop goes before the exit leaves"
    rig.fill(rig.engine.desk.manager.orders[stop.tag], 90.0)
    assert again(read_past(rig.records, DAY, PREFIX)).engine.desk.protection.plans == {}


def test_yesterday_is_carried_as_a_position_and_its_profit_as_cash() -> None:
    rig = Rig()
    rig.hold(10, 100.0, product=Product.DELIVERY)
    rig.fill(rig.place(order(Side.SELL, 4, 110.0, product=Product.DELIVERY)), 110.0)
    past = read_past(rig.records, date(2026, 11, 23), PREFIX)
    assert past.orders == {}
    assert past.fills == []
    assert past.risk.entries == 0
    assert past.earned == to_money(40)
    position = past.carried[SHARE.key, Product.DELIVERY]
    assert (position.qty, position.average_price, position.realised) == (6, rs(100.0), 0)


def test_a_closed_position_is_not_carried_and_openings_are() -> None:
    rig = Rig()
    rig.hold(10)
    rig.fill(rig.place(order(Side.SELL, 10, 100.0)), 100.0)
    opening = {"instrument_key": SHARE.key, "product": "D", "qty": -3, "average_price": rs(50.0)}
    records = [*rig.records, Record(TEN_NS, RecordKind.OPENING, opening)]
    past = read_past(records, date(2026, 11, 23), PREFIX)
    assert [(key, p.qty, p.average_price) for key, p in past.carried.items()] == [
        ((SHARE.key, Product.DELIVERY), -3, rs(50.0))
    ]


@pytest.mark.parametrize("times", [1, 3])
def test_a_fill_in_the_journal_twice_counts_once(times: int) -> None:
    rig = Rig()
    rig.hold(10)
    past = read_past(rig.records * times, DAY, PREFIX)
    assert len(past.fills) == 1
    assert again(past).qty() == 10


def test_foreign_tags_do_not_move_our_numbers() -> None:
    rig = Rig()
    rig.tick(100.0)
    rig.place(order(price=99.0, kind=OrderType.LIMIT))
    assert read_past(rig.records, DAY, "other-").sequence == 0
    assert read_past(rig.records, DAY, PREFIX).sequence == 1
