"""R4 and R8: what the risk limits remember survives a restart, with a flat book too."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.fixtures.engine_rig import DAY, LIMITS, Rig
from tests.unit.desk.test_guard import FREE, SMALL, lose
from tests.unit.exchange.support import SHARE, order, rs
from tests.unit.wiring.test_restore import PREFIX, through_the_disk
from tradetui.desk.guard import Memory
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import AccountSnapshot, BrokerPosition, FeedState, OperatorKind
from tradetui.domain.money import Money, to_money
from tradetui.domain.order import OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.thawing import thaw
from tradetui.risk.breakers import Span
from tradetui.risk.facts import RiskState
from tradetui.risk.limits import Limits
from tradetui.wiring.restore import give_back, read_past


def again(rig: Rig, folder: Path, *, days: int = 0, limits: Limits | None = None, live: bool = False) -> Rig:
    """A new process over the same journal, some days later."""
    day = DAY + timedelta(days=days)
    past = read_past(through_the_disk(rig, folder), day, PREFIX)
    new = Rig(up=False, live=live, limits=limits or rig.engine.settings.limits)
    if days:
        new.now_ns = ns(day, "10:00")
        new.engine.begin(new.now_ns)
    else:
        new.now_ns = rig.now_ns
        new.engine.begin(rig.now_ns)
    new.serial = rig.serial  # the broker goes on numbering
    give_back(past, new.engine.desk, new.now_ns)
    new.feed(FeedState.UP)
    new.tick(100.0)
    return new


def test_R4_the_days_loss_and_its_breaker_survive_a_restart_with_a_flat_book(tmp_path: Path) -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 310)
    assert rig.engine.desk.portfolio.open_positions() == []
    new = again(rig, tmp_path)
    assert new.engine.desk.figures.net() == rig.engine.desk.figures.net()
    assert new.engine.desk.books.state is RiskState.REDUCING
    assert "loss of the day" in new.place(order(price=100.0)).message
    new.time(60)
    assert [r for r in new.of(RecordKind.RISK) if "breaker" in r.data] == [], "it tripped once"


def test_R4_a_latched_breaker_holds_after_a_restart_though_the_loss_has_recovered(tmp_path: Path) -> None:
    rig = Rig(limits=SMALL)
    rig.hold(10, 100.0)
    rig.tick(69.0)
    rig.time(1)
    rig.tick(100.0)
    rig.fill(rig.place(order(Side.SELL, 10, 100.0)), 100.0)
    new = again(rig, tmp_path)
    assert new.engine.desk.guard.losses().day < to_money(50)
    assert "reducing only" in new.place(order(price=100.0)).message


def test_R4_the_weeks_breaker_holds_on_the_next_day_and_is_gone_on_monday(tmp_path: Path) -> None:
    rig = Rig(limits=replace(SMALL, daily_loss_pct=50.0, weekly_loss_pct=3.0))
    lose(rig, 310)
    saturday = again(rig, tmp_path / "a", days=1)
    assert saturday.engine.desk.books.state is RiskState.REDUCING
    assert saturday.engine.desk.guard.losses().week > to_money(310)
    monday = again(rig, tmp_path / "b", days=3)
    assert monday.engine.desk.books.state is RiskState.ACTIVE
    assert monday.engine.desk.guard.losses().week == 0
    assert monday.engine.desk.guard.losses().month > to_money(310), "November goes on"


def test_R4_a_new_loss_joins_those_of_the_days_before(tmp_path: Path) -> None:
    rig = Rig(limits=replace(SMALL, daily_loss_pct=50.0, weekly_loss_pct=4.0, monthly_drawdown_pct=5.0))
    lose(rig, 310)
    monday = again(rig, tmp_path, days=3)
    lose(monday, 200)
    assert list(monday.engine.desk.guard.latches) == [Span.MONTH]
    assert "drawdown of the month" in monday.engine.desk.books.state_reason


def test_R4_what_was_released_with_a_reason_stays_released(tmp_path: Path) -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 310)
    rig.ask(OperatorKind.RESUME, note="a slip")
    new = again(rig, tmp_path)
    assert new.engine.desk.books.state is RiskState.ACTIVE
    new.time(60)
    states = [new.engine.desk.books.state]
    lose(new, 310)
    states.append(new.engine.desk.books.state)
    assert states == [RiskState.ACTIVE, RiskState.REDUCING]


def test_R4_entries_and_the_losing_run_are_counted_on(tmp_path: Path) -> None:
    rig = Rig(limits=replace(FREE, max_trades_per_day=3))
    lose(rig, 10)
    lose(rig, 10)
    rig.place(order(qty=0, price=100.0))
    new = again(rig, tmp_path)
    assert new.engine.desk.books.entries_today == 2
    guard = new.engine.desk.guard
    assert (guard.losses_in_a_row, guard.last_loss_ns) == (2, rig.engine.desk.guard.last_loss_ns)
    assert new.place(order(price=99.0)).status is OrderStatus.SENT
    new.tick(100.0)
    new.ask(OperatorKind.CANCEL_ALL)
    assert new.engine.desk.books.entries_today == 3


def test_R4_a_strategys_cooldown_and_the_users_sizes_go_on(tmp_path: Path) -> None:
    rig = Rig(limits=FREE)
    rig.hold(10, 100.0, source="said", stop=rs(99), target=rs(103))
    rig.fill(rig.place(order(Side.SELL, 10, 100.0)), 100.0)
    for _ in range(5):
        rig.time(2)
        rig.place(order(qty=2, price=99.0))
    same_day = again(rig, tmp_path / "a")
    auto = replace(order(price=100.0), source="said", stop=rs(99), target=rs(103))
    assert "cooldown" in _words(same_day, auto)
    assert "times the usual 2" in _words(same_day, order(qty=30, price=99.0))
    monday = again(rig, tmp_path / "b", days=3)
    assert "cooldown" not in _words(monday, auto)
    assert "times the usual 2" in _words(monday, order(qty=30, price=99.0))


def test_R4_locks_changed_limits_and_the_confirmed_square_off_hold(tmp_path: Path) -> None:
    rig = Rig(live=True)
    rig.step(AccountSnapshot(rig.now_ns, rig.now_ns, (), (), locked_segments=("NSE_EQ",)))
    rig.ask(OperatorKind.LIMITS, name="max_trades", value=7, note="less is more")
    rig.ask(OperatorKind.LIMITS, name="max_trades", value=5, note="still less")
    rig.ask(OperatorKind.SQUARE_OFF_OK)
    new = again(rig, tmp_path / "a", live=True)
    assert "kill switch" in new.place(order(price=100.0)).message
    assert new.engine.desk.books.limits.max_trades_per_day == 5
    assert new.engine.desk.guard.why_not_arm() == ""
    monday = again(rig, tmp_path / "b", days=3, live=True)
    assert monday.engine.desk.books.limits == LIMITS, "the settings file holds again"
    assert monday.engine.desk.guard.why_not_arm() == ""
    moved = again(rig, tmp_path / "c", live=True, limits=replace(LIMITS, square_off_s=15 * 3600 + 600))
    assert "15:10" in moved.engine.desk.guard.why_not_arm(), "another time is confirmed anew"


def test_R8_a_position_carried_over_night_keeps_its_average_price_and_product(tmp_path: Path) -> None:
    rig = Rig()
    bought = rig.place(_bought(rig))
    rig.fill(bought, 100.0)
    past = read_past(through_the_disk(rig, tmp_path), DAY + timedelta(days=3), PREFIX)
    carried = past.carried[SHARE.key, Product.DELIVERY]
    assert (carried.qty, carried.average_price, carried.realised) == (10, rs(100), 0)
    theirs = BrokerPosition(SHARE.key, Product.DELIVERY, 10, rs(100), Money(0), rs(104), 10)
    monday = again(rig, tmp_path / "b", days=3)
    monday.step(AccountSnapshot(monday.now_ns, monday.now_ns, (), (), positions=(theirs,)))
    monday.tick(105.0)
    (position,) = monday.engine.desk.portfolio.open_positions()
    assert (position.product, position.average_price) == (Product.DELIVERY, rs(100))
    figures = monday.engine.desk.figures
    assert (figures.day_pnl(), figures.since_entry(position)) == (to_money(10), to_money(50))
    later = again(monday, tmp_path / "c", days=3)
    later.tick(105.0)
    assert later.engine.desk.figures.day_pnl() == to_money(10), "and so after a restart"
    assert later.engine.desk.portfolio.positions == monday.engine.desk.portfolio.positions


def test_what_is_remembered_can_be_written_into_a_recording() -> None:
    rig = Rig(limits=SMALL)
    lose(rig, 310)
    memory = read_past(rig.records, DAY, PREFIX).risk
    assert memory.latches
    assert thaw(Memory, freeze(memory)) == memory


def _bought(rig: Rig) -> OrderRequest:
    rig.tick(100.0)
    return order(price=100.0, product=Product.DELIVERY)


def _words(rig: Rig, request: object) -> str:
    checks = rig.engine.desk.preview(request).checks  # type: ignore[arg-type]
    return "; ".join(check.words for check in checks if check.verdict.value == "block")
