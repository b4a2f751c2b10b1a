"""The desk on bad days: exits that must go on, changes that must pass the gate, answers that say no for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tradetui.desk import EXIT_RETRY_NS, Desk, Market
from tradetui.domain.events import (
    Evidence,
    FillEvent,
    OperatorEvent,
    OperatorKind,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
)
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import (
    EXIT_SOURCE,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Product,
    Side,
)
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, Command, ModifyOrder, PlaceOrder, ProbeTag
from tradetui.risk.facts import RiskState
from tradetui.risk.limits import Limits

KEY = "NSE_EQ|X"
S = 1_000_000_000
# Noon IST of some day.
NOON_NS = (1_795_000_000 - 1_795_000_000 % 86_400 + 6 * 3600 + 1800) * S
SHARE = Instrument(KEY, "NSE_EQ", "NSE", "X", "X Ltd", InstrumentKind.EQUITY, "EQ", 1, to_price("0.05"), 100)


class Bench:
    """A desk in a market that stands where the test puts it, before a broker that says what the test says."""

    def __init__(self, *, live: bool = False) -> None:
        self.commands: list[Command] = []
        self.records: list[tuple[RecordKind, Any]] = []
        self.last = 100.0
        self.desk = Desk(
            limits=Limits(capital=to_money(1_000_000)),
            live=live,
            instrument=lambda key: SHARE if key == KEY else None,
            market=lambda key: Market(to_price(self.last), age_s=1.0, phase="continuous"),
            charge=lambda *_: Money(0),
            emit=self.commands.append,
            note=lambda kind, data: self.records.append((kind, data)),
            tag_prefix="tt",
        )
        self.desk.books.feed_up = True
        self.now = NOON_NS
        self.desk.on_time(self.now)
        self._trades = 0

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * S)
        self.desk.on_time(self.now)

    def hear(self, kind: OperatorKind, **fields: Any) -> None:
        self.desk.on_account(OperatorEvent(self.now, kind, **fields))

    def send(self, side: Side, qty: int, **terms: Any) -> Order:
        order = self.desk.request(OrderRequest(KEY, side, qty, **{"price": to_price(self.last), **terms}))
        assert order is not None
        return order

    def stop(self, qty: int) -> Order:
        """A resting sell stop below the market."""
        order = self.send(
            Side.SELL, qty, order_type=OrderType.SL, price=to_price(97), trigger_price=to_price("97.5")
        )
        self.rest(order)
        return order

    def rest(self, order: Order) -> None:
        """The broker acknowledges, and the order rests."""
        self.desk.on_account(RequestAccepted(self.now, "place", order.tag, f"B-{order.tag}"))
        stop = order.request.order_type is OrderType.SL
        self.says(order.tag, OrderStatus.TRIGGER_PENDING if stop else OrderStatus.OPEN)

    def says(self, tag: str, status: OrderStatus, filled: int = 0) -> None:
        self.desk.on_account(
            OrderUpdate(self.now, Evidence.STREAM, tag, f"B-{tag}", status, filled_qty=filled)
        )

    def fill(self, order: Order, qty: int | None = None) -> None:
        """The order fills, whole or in part."""
        qty = order.request.qty if qty is None else qty
        self._trades += 1
        self.desk.on_account(RequestAccepted(self.now, "place", order.tag, f"B-{order.tag}"))
        filled = self.desk.manager.orders[order.tag].filled_qty + qty
        whole = filled >= order.request.qty
        self.says(order.tag, OrderStatus.FILLED if whole else OrderStatus.OPEN, filled)
        request = order.request
        trade = Fill(
            f"T{self._trades}", f"B-{order.tag}", order.tag, KEY, request.side, qty, to_price(self.last),
            request.product, self.now,
        )  # fmt: skip
        self.desk.on_account(FillEvent(self.now, trade))

    def hold(self, qty: int, **terms: Any) -> None:
        """Buy a position, in parts that the freeze limit lets through."""
        while qty > 0:
            part = min(qty, SHARE.max_order_qty)
            self.fill(self.send(Side.BUY, part, **terms))
            qty -= part

    @property
    def held(self) -> int:
        return self.desk.portfolio.qty(KEY, Product.INTRADAY)

    def sent(self, kind: type[Command]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    def stops(self) -> list[Order]:
        return [order for order in self.desk.manager.working() if order.request.is_resting_stop]

    def exits(self) -> list[Order]:
        return [o for o in self.desk.manager.orders.values() if o.request.source == EXIT_SOURCE]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- getting out --------------------------------------------------------------------------------------


def test_an_exit_in_slices_goes_on_until_nothing_is_left(bench: Bench) -> None:
    bench.hold(250)
    bench.hear(OperatorKind.EXIT, instrument_key=KEY)
    for _ in range(3):
        bench.fill(bench.exits()[-1])
        bench.wait(0.5)
    assert [order.request.qty for order in bench.exits()] == [100, 100, 50]
    assert bench.held == 0


def test_an_exit_that_was_rejected_is_tried_again_after_a_pause(bench: Bench) -> None:
    bench.hold(100)
    bench.hear(OperatorKind.EXIT, instrument_key=KEY)
    for n in range(3):
        assert len(bench.exits()) == n + 1
        bench.desk.on_account(RequestRefused(bench.now, "place", bench.exits()[-1].tag, "", "no"))
        bench.wait(EXIT_RETRY_NS / S - 1)
        assert len(bench.exits()) == n + 1
        bench.wait(1)
    assert all(order.status is not OrderStatus.REFUSED for order in bench.exits())


def test_a_cancel_that_is_always_refused_is_not_asked_for_in_a_circle(bench: Bench) -> None:
    bench.hold(100)
    bench.rest(bench.send(Side.SELL, 100, price=to_price(101)))
    bench.hear(OperatorKind.EXIT, instrument_key=KEY)
    for _ in range(20):
        assert len(bench.sent(CancelOrder)) == 1
        bench.desk.on_account(RequestRefused(bench.now, "cancel", bench.sent(CancelOrder)[-1].tag, "", "no"))
    bench.wait(EXIT_RETRY_NS / S)
    assert len(bench.sent(CancelOrder)) == 2
    assert not bench.exits(), "the resting order may fill: no second one beside it"


def test_a_target_that_is_hit_first_takes_away_what_rests_on_its_side(bench: Bench) -> None:
    bench.hold(50, source="vote", stop=to_price(98), target=to_price(110))
    resting = bench.stops()[0]
    bench.rest(resting)
    bench.last = 110.0
    bench.desk.on_prices()
    assert [command.tag for command in bench.sent(CancelOrder)] == [resting.tag]
    bench.says(resting.tag, OrderStatus.CANCELLED)
    (exit_order,) = bench.exits()
    assert (exit_order.request.qty, exit_order.request.reason) == (50, "target 110.00 hit")
    bench.fill(exit_order)
    bench.wait(1)
    assert bench.held == 0
    assert len(bench.exits()) == 1


def test_a_stop_that_is_hit_ends_the_rest_of_its_entry_and_does_not_wait_for_it(bench: Bench) -> None:
    entry = bench.send(Side.BUY, 100, source="vote", stop=to_price(98), target=to_price(110))
    bench.fill(entry, 40)
    bench.desk.on_account(RequestRefused(bench.now, "place", bench.stops()[0].tag, "", "no stops here"))
    bench.last = 97.9
    bench.desk.on_prices()
    assert [command.tag for command in bench.sent(CancelOrder)] == [entry.tag]
    assert [order.request.qty for order in bench.exits()] == [40]


def test_an_order_of_unknown_outcome_on_the_other_side_does_not_hold_up_the_exit(bench: Bench) -> None:
    bench.hold(40)
    lost = bench.send(Side.BUY, 10)
    bench.desk.on_account(RequestUnknown(bench.now, "place", lost.tag, "time-out"))
    bench.hear(OperatorKind.EXIT, instrument_key=KEY)
    assert [order.request.qty for order in bench.exits()] == [40]
    bench.fill(bench.exits()[0])
    bench.fill(lost)  # it had reached the broker after all
    bench.wait(1)
    assert [order.request.qty for order in bench.exits()] == [40, 10]


def test_kill_leaves_an_exit_under_way_alone(bench: Bench) -> None:
    bench.hold(40)
    bench.hear(OperatorKind.EXIT, instrument_key=KEY)
    bench.rest(bench.exits()[0])
    entry = bench.send(Side.BUY, 5)
    bench.rest(entry)
    bench.commands.clear()
    bench.desk.kill("test")
    assert bench.exits()[0].tag not in [command.tag for command in bench.sent(CancelOrder)]


def test_flatten_also_closes_what_fills_after_it(bench: Bench) -> None:
    entry = bench.send(Side.BUY, 30)
    bench.rest(entry)
    bench.hear(OperatorKind.FLATTEN)
    bench.fill(entry)  # before the cancel reached the exchange
    bench.wait(1)
    assert [order.request.qty for order in bench.exits()] == [30]


# --- changes pass the gate ----------------------------------------------------------------------------


def test_a_modify_passes_the_gate_like_a_new_order(bench: Bench) -> None:
    entry = bench.send(Side.BUY, 10)
    bench.rest(entry)
    for change in ({"qty": 101}, {"price": to_price(150)}, {"price": Price(1_000_001)}, {"qty": 0}):
        bench.hear(OperatorKind.MODIFY, tag=entry.tag, **change)
        assert not bench.sent(ModifyOrder), change
    assert len([kind for kind, _ in bench.records if kind is RecordKind.DECISION]) == 4
    bench.hear(OperatorKind.MODIFY, tag=entry.tag, price=to_price("99.5"))
    assert len(bench.sent(ModifyOrder)) == 1


@pytest.mark.parametrize("how", ["halted", "disarmed"])
def test_stops_move_and_entries_do_not_while_trading_is_off(how: str) -> None:
    bench = Bench(live=True)
    bench.hear(OperatorKind.ARM, until_ns=bench.now + 60 * S)
    bench.hold(50)
    stop = bench.stop(50)
    entry = bench.send(Side.BUY, 10, price=to_price(99))
    bench.rest(entry)
    if how == "halted":
        bench.desk.books.state = RiskState.HALTED
    else:
        bench.hear(OperatorKind.DISARM)
    bench.hear(OperatorKind.MODIFY, tag=entry.tag, price=to_price("99.5"))
    assert not bench.sent(ModifyOrder)
    bench.hear(OperatorKind.MODIFY, tag=stop.tag, price=to_price(98), trigger_price=to_price("98.5"))
    assert [command.tag for command in bench.sent(ModifyOrder)] == [stop.tag]


def test_a_stop_that_has_triggered_can_be_chased(bench: Bench) -> None:
    bench.hold(50)
    stop = bench.stop(50)
    bench.says(stop.tag, OrderStatus.OPEN)
    bench.last = 96.0
    bench.hear(OperatorKind.MODIFY, tag=stop.tag, price=to_price("95.5"))
    assert len(bench.sent(ModifyOrder)) == 1


def test_a_closing_order_passes_while_halted_and_disarmed() -> None:
    bench = Bench(live=True)
    bench.hear(OperatorKind.ARM, until_ns=bench.now + 60 * S)
    bench.hold(50)
    bench.hear(OperatorKind.KILL)
    assert bench.send(Side.SELL, 50).status is OrderStatus.SENT
    assert bench.send(Side.SELL, 1).status is OrderStatus.REFUSED, "a second one would turn it round"
    assert bench.send(Side.BUY, 1).status is OrderStatus.REFUSED


# --- asking twice, clocks, logins, restarts -----------------------------------------------------------


def test_o13_a_key_that_is_held_makes_one_order_and_no_refusals(bench: Bench) -> None:
    bench.desk.books.limits = Limits(capital=to_money(1_000_000), max_trades_per_day=1)
    request = OrderRequest(KEY, Side.BUY, 10, price=to_price(100), client_id="ticket-1")
    for _ in range(20):
        bench.hear(OperatorKind.PLACE, request=request)
    assert len(bench.desk.manager.orders) == 1
    assert len(bench.sent(PlaceOrder)) == 1


def test_a_login_that_ended_blocks_new_risk_and_lets_exits_through(bench: Bench) -> None:
    bench.hold(10)
    bench.desk.on_account(RequestRefused(bench.now, "read", "", "UDAPI100050", "token expired: log in again"))
    entry = bench.send(Side.BUY, 5)
    assert entry.status is OrderStatus.REFUSED
    assert "log in again" in entry.message
    assert bench.send(Side.SELL, 10).status is OrderStatus.SENT


def test_f9_a_clock_that_steps_back_stops_no_timer(bench: Bench) -> None:
    lost = bench.send(Side.BUY, 10)
    bench.desk.on_account(RequestUnknown(bench.now, "place", lost.tag, "time-out"))
    bench.wait(9)
    bench.desk.on_time(bench.now - 7200 * S)
    bench.wait(2)
    assert [command.tag for command in bench.sent(ProbeTag)] == [lost.tag]


def test_r4_a_cooldown_goes_on_over_a_restart(bench: Bench) -> None:
    levels = {"source": "vote", "stop": to_price(98), "target": to_price(110)}
    entry = bench.send(Side.BUY, 10, **levels)
    bench.rest(entry)
    bench.says(entry.tag, OrderStatus.CANCELLED)
    again = Bench()
    again.desk.remember(bench.desk.manager.orders[entry.tag])
    again.wait(60)
    assert "cooldown" in again.send(Side.BUY, 20, **levels).message
    again.wait(300)
    assert again.send(Side.BUY, 20, **levels).status is OrderStatus.SENT
