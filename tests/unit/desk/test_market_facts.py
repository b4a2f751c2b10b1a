"""What the desk knows of an instrument's day: its band, the stages of its auctions, whether positions agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.fixtures.engine_rig import DAY, Rig
from tests.unit.exchange.support import CALL, SHARE, order, rs
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import (
    AccountSnapshot,
    BandsEvent,
    BrokerPosition,
    DayBand,
    ListsEvent,
    OperatorKind,
)
from tradetui.domain.lists import DatedLists
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Order, OrderStatus, Product, Side
from tradetui.domain.view import Verdict

AUCTIONED = replace(SHARE, key="NSE_EQ|CAS", symbol="CASCO", cas_eligible=True)
ERA_3 = date(2026, 12, 8)


def verdict(rig: Rig, rule: str, *, side: Side = Side.BUY, price: float = 100.0) -> tuple[Verdict, str]:
    preview = rig.engine.desk.preview(order(side, 10, price))
    check = next(check for check in preview.checks if check.rule == rule)
    return check.verdict, check.words


def bands(rig: Rig, low: float, high: float, key: str = SHARE.key) -> None:
    rig.step(BandsEvent(rig.now_ns, (DayBand(key, rs(low), rs(high)),)))


# --- bands --------------------------------------------------------------------------------------------


def test_the_brokers_band_reaches_the_gate() -> None:
    rig = Rig()
    rig.tick(100.0)
    assert "not known" in verdict(rig, "band")[1]
    bands(rig, 95.0, 104.0)
    assert verdict(rig, "band")[0] is Verdict.PASS
    assert verdict(rig, "band", price=104.05)[0] is Verdict.BLOCK
    assert "95.00 to 104.00" in verdict(rig, "band", price=94.95)[1]
    assert rig.place(order(Side.BUY, 10, 104.05)).status is OrderStatus.REFUSED


def test_a_band_that_was_moved_during_the_day_replaces_the_old_one_and_no_other() -> None:
    rig = Rig()
    rig.tick(100.0)
    bands(rig, 95.0, 104.0)
    bands(rig, 50.0, 60.0, CALL.key)
    bands(rig, 95.0, 108.0)
    assert verdict(rig, "band", price=106.0)[0] is Verdict.PASS
    assert rig.engine.desk.books.bands[CALL.key] == (rs(50), rs(60))


def test_the_brokers_band_outranks_the_dated_list() -> None:
    rig = Rig()
    rig.tick(100.0)  # the previous close is 99
    rig.step(ListsEvent(rig.now_ns, DatedLists(price_bands={SHARE.symbol.upper(): 2.0})))
    assert verdict(rig, "band", price=102.0)[0] is Verdict.BLOCK
    bands(rig, 95.0, 104.0)
    assert verdict(rig, "band", price=102.0)[0] is Verdict.PASS


def test_yesterdays_band_is_not_todays() -> None:
    rig = Rig()
    rig.tick(100.0)
    bands(rig, 95.0, 104.0)
    rig.time(3 * 86_400)
    rig.tick(100.0)
    assert "not known" in verdict(rig, "band", price=110.0)[1]
    bands(rig, 90.0, 120.0, CALL.key)
    assert SHARE.key not in rig.engine.desk.books.bands


# --- auctions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "wall", "known"),
    [
        (DAY, "08:59", ("closed", "", False)),
        (DAY, "09:04", ("pre-open", "entry", False)),
        (DAY, "09:05", ("pre-open", "limit only", False)),
        (DAY, "09:08", ("pre-open", "limit only", True)),
        (DAY, "09:10", ("pre-open", "match", False)),
        (DAY, "09:12", ("pre-open", "buffer", False)),
        (DAY, "09:15", ("continuous", "", False)),
        (DAY, "15:15", ("closing auction", "reference", False)),
        (DAY, "15:20", ("closing auction", "entry", False)),
        (DAY, "15:26", ("closing auction", "limit only", False)),
        (DAY, "15:29", ("closing auction", "limit only", True)),
        (DAY, "15:31", ("closing auction", "match", False)),
        (ERA_3, "15:29", ("continuous", "", False)),
        (ERA_3, "15:30", ("closing auction", "reference", False)),
        (ERA_3, "15:35", ("closing auction", "entry", False)),
        (ERA_3, "15:36", ("closing auction", "limit only", False)),
        (ERA_3, "15:39", ("closing auction", "limit only", True)),
        (date(2026, 8, 4), "09:06", ("pre-open", "entry", False)),
    ],
)
def test_the_stage_of_an_auction_is_the_one_in_force_on_that_date(
    day: date, wall: str, known: tuple[str, str, bool]
) -> None:
    rig = Rig()
    rig.universe.add(AUCTIONED)
    rig.engine.now_ns = ns(day, wall)
    market = rig.engine.market(AUCTIONED.key)
    assert (market.phase, market.stage, market.may_end) == known


def test_the_gate_follows_the_stages_minute_by_minute() -> None:
    rig = Rig()
    rig.now_ns = rig.engine.now_ns = ns(DAY, "09:04")
    found = []
    for minutes in (0, 1, 5, 1, 4):
        rig.now_ns += minutes * 60 * 10**9
        rig.time()
        rig.tick(100.0)
        found.append(verdict(rig, "phase"))
    assert [kind for kind, _ in found] == [
        Verdict.WARN, Verdict.WARN, Verdict.BLOCK, Verdict.BLOCK, Verdict.PASS,
    ]  # fmt: skip


# --- positions that differ ----------------------------------------------------------------------------


def say(rig: Rig, qty: int, product: Product = Product.INTRADAY) -> None:
    """The broker's own count."""
    found = (BrokerPosition(SHARE.key, product, qty, Price(0), Money(0)),)
    rig.now_ns += 10**9
    rig.step(AccountSnapshot(rig.now_ns, rig.now_ns, (), (), found))


def differing() -> tuple[Rig, Order]:
    """We count 10, the broker counts 4."""
    rig = Rig()
    say(rig, 0)
    held = rig.hold(10, 100.0)
    say(rig, 4)
    rig.tick(100.0)
    return rig, held


def test_new_risk_waits_while_the_broker_counts_other_units_than_we_do() -> None:
    rig, _ = differing()
    kind, words = verdict(rig, "positions agree")
    assert kind is Verdict.BLOCK
    assert "I: we count 10, the broker 4" in words
    assert rig.place(order(Side.BUY, 5, 100.0)).status is OrderStatus.REFUSED


def test_exits_and_other_instruments_go_on_while_positions_differ() -> None:
    rig, _ = differing()
    rig.tick(100.0, CALL)
    other = replace(order(Side.BUY, 65, 100.0), instrument_key=CALL.key)
    assert rig.place(other).status is OrderStatus.SENT
    assert verdict(rig, "positions agree", side=Side.SELL)[0] is Verdict.WARN
    rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key, product=Product.INTRADAY)
    assert [command.request.side for command in rig.placed()][-1] is Side.SELL


def test_new_risk_is_let_through_again_once_they_agree() -> None:
    rig, _ = differing()
    say(rig, 10)
    assert verdict(rig, "positions agree")[0] is Verdict.PASS


def test_rows_that_could_not_be_read_are_a_warning() -> None:
    rig = Rig()
    rig.tick(100.0)
    assert verdict(rig, "books")[0] is Verdict.PASS
    rig.step(AccountSnapshot(rig.now_ns, rig.now_ns, (), (), odd_rows=("{'order': 7}",)))
    assert verdict(rig, "books")[0] is Verdict.WARN
