"""The inbox: the journal comes before the wire, accounts before markets, and nothing is lost on a full disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import LIMITS, SECOND, Rig, tick_batch
from tests.unit.exchange.support import SHARE, order
from tradetui.domain.errors import StorageError
from tradetui.domain.events import (
    Event,
    JournalEvent,
    OperatorEvent,
    OperatorKind,
    RequestAccepted,
    TickEvent,
    TimeEvent,
)
from tradetui.domain.order import Order, OrderStatus, Product
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.requests import CancelOrder, Command, PlaceOrder, Reconcile
from tradetui.engine import Outcome
from tradetui.journal import ContentHash
from tradetui.runtime.pump import Pump


class DiskJournal:
    """A journal whose disk a test can break."""

    def __init__(self) -> None:
        self.content = ContentHash()
        self.written: list[Record] = []
        self.synced = 0
        self.full = False
        self.sync_fails = False
        self.room = 0
        """Records that the emergency reserve still takes."""
        self.reserved: list[Record] = []
        self.reserving = False

    def append(self, record: Record) -> None:
        if self.reserving:
            if len(self.reserved) >= self.room:
                raise StorageError("the emergency reserve is used up")
            self.reserved.append(record)
            self.content.add(record)
            return
        if self.full:
            raise StorageError("no space left")
        self.written.append(record)
        self.content.add(record)

    def sync(self) -> None:
        if self.reserving:
            return
        if self.full or self.sync_fails:
            raise StorageError("cannot sync")
        self.synced = len(self.written)

    def use_reserve(self) -> bool:
        self.reserving = self.room > 0
        return self.reserving

    def recover(self) -> None:
        if self.full:
            raise StorageError("no space left")
        self.written += self.reserved
        self.reserved.clear()
        self.reserving = False

    def close(self) -> None:
        pass


class SpyBroker:
    """Writes down what it was told, and what the journal held by then."""

    name = "spy"
    live = False

    def __init__(self, journal: DiskJournal) -> None:
        self._journal = journal
        self.got: list[Command] = []
        self.durable: list[list[Record]] = []
        self.seen: list[Event] = []
        self.on_submit: Callable[[Command], None] = lambda command: None
        self.on_observe: Callable[[Event], None] = lambda event: None

    async def start(self, sink: Callable[[Event], None]) -> None:
        pass

    def submit(self, command: Command) -> None:
        self.got.append(command)
        self.durable.append(self._journal.written[: self._journal.synced])
        self.on_submit(command)

    def observe(self, event: TickEvent | TimeEvent) -> None:
        self.seen.append(event)
        self.on_observe(event)

    async def close(self) -> None:
        pass


class Bench:
    """A pump with all its parts."""

    def __init__(self) -> None:
        self.rig = Rig(limits=replace(LIMITS, orders_per_second=1_000))
        self.journal = DiskJournal()
        self.broker = SpyBroker(self.journal)
        self.recorded: list[Event] = []
        self.heard: list[tuple[Event, Outcome]] = []
        self.pump = Pump(
            self.rig.engine,
            self.broker,
            self.journal,
            self.recorded.append,
            lambda event, outcome: self.heard.append((event, outcome)),
        )
        self.vtt = 0

    @property
    def now_ns(self) -> int:
        return self.rig.engine.now_ns

    def tick(self, price: float = 100.0) -> TickEvent:
        self.vtt += 10
        event = TickEvent(self.now_ns, tick_batch(self.rig.universe, SHARE, price, self.now_ns, self.vtt))
        self.pump.take(event)
        return event

    def wish(self, kind: OperatorKind = OperatorKind.PLACE, **more: object) -> OperatorEvent:
        if kind is OperatorKind.PLACE:
            more.setdefault("request", order(price=99.0))
        return OperatorEvent(self.now_ns, kind, **more)  # type: ignore[arg-type]

    def order(self) -> Order:
        return list(self.rig.engine.desk.manager.orders.values())[-1]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.tick()
    return bench


def broken(bench: Bench) -> bool:
    return bench.pump.journal_error is not None


def test_the_intent_is_on_the_disk_before_the_order_leaves(bench: Bench) -> None:
    bench.pump.take(bench.wish())
    (command,) = bench.broker.got
    assert isinstance(command, PlaceOrder)
    (durable,) = bench.broker.durable
    intents = [record for record in durable if record.kind is RecordKind.INTENT]
    assert [record.data["tag"] for record in intents] == [command.tag]


def test_without_a_journal_no_order_leaves_and_cancels_do(bench: Bench) -> None:
    bench.pump.take(bench.wish())
    tag = bench.order().tag
    bench.pump.take(RequestAccepted(bench.now_ns, "place", tag, "b1"))
    bench.journal.full = True
    bench.pump.take(bench.wish(request=order(price=98.0)))
    assert len(bench.broker.got) == 1
    refused = bench.order()
    assert refused.status is OrderStatus.REJECTED
    assert refused.message == "not sent: no space left"
    bench.pump.take(bench.wish(OperatorKind.MODIFY, tag=tag, price=order(price=97.0).price))
    assert not bench.rig.engine.desk.manager.orders[tag].modify_pending
    bench.pump.take(bench.wish(OperatorKind.CANCEL, tag=tag))
    assert [type(command) for command in bench.broker.got] == [PlaceOrder, CancelOrder]
    assert broken(bench)


def test_when_space_returns_everything_is_written_in_order_and_trading_goes_on(bench: Bench) -> None:
    bench.journal.full = True
    bench.pump.take(bench.wish())
    bench.pump.flush()
    assert broken(bench)
    before = len(bench.journal.written)
    bench.journal.full = False
    bench.pump.flush()
    assert not broken(bench)
    noted = [record for _, outcome in bench.heard for record in outcome.records]
    assert bench.journal.written == noted
    assert len(noted) > before
    assert bench.journal.synced == len(noted)
    bench.pump.take(bench.wish(request=order(price=98.0)))
    assert len(bench.broker.got) == 1


def test_a_failed_sync_counts_like_a_failed_write(bench: Bench) -> None:
    bench.journal.sync_fails = True
    bench.pump.take(bench.wish())
    assert bench.broker.got == []
    assert bench.order().status is OrderStatus.REJECTED
    bench.journal.sync_fails = False
    bench.pump.flush()
    bench.pump.take(bench.wish(request=order(price=98.0)))
    assert len(bench.broker.got) == 1


def exits(bench: Bench) -> list[PlaceOrder]:
    return [one for one in bench.broker.got if isinstance(one, PlaceOrder) and one.request.is_exit]


def test_r6_on_a_full_disk_an_exit_leaves_with_its_intent_in_the_reserve(bench: Bench) -> None:
    bench.rig.hold(10)
    bench.journal.full, bench.journal.room = True, 100
    bench.pump.take(bench.wish())
    assert bench.broker.got == []
    bench.pump.take(bench.wish(OperatorKind.EXIT, instrument_key=SHARE.key))
    (sent,) = exits(bench)
    kept = [record.data["tag"] for record in bench.journal.reserved if record.kind is RecordKind.INTENT]
    assert sent.tag in kept
    assert broken(bench), "new risk still waits for the day file"
    bench.journal.full = False
    bench.pump.flush()
    noted = [record for _, outcome in bench.heard for record in outcome.records]
    assert bench.journal.written == noted
    assert not broken(bench)


def test_r6_an_exit_leaves_even_when_the_reserve_is_used_up_and_it_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.rig.hold(10)
    bench.journal.full, bench.journal.room = True, 1
    bench.pump.take(bench.wish(OperatorKind.EXIT, instrument_key=SHARE.key))
    assert len(exits(bench)) == 1
    assert "recorded in memory only" in caplog.text
    bench.journal.full = False
    bench.pump.flush()
    noted = [record for _, outcome in bench.heard for record in outcome.records]
    assert bench.journal.written == noted, "what was in memory is written in order afterwards"


def test_r6_closing_out_with_a_full_disk_sends_each_exit_once(bench: Bench) -> None:
    bench.rig.hold(10)
    bench.journal.full = True
    bench.pump.take(bench.wish(OperatorKind.FLATTEN, include=tuple(Product)))
    bench.pump.take(TimeEvent(bench.now_ns + SECOND))
    assert len(bench.recorded) < 20
    assert len(exits(bench)) == 1


def test_r6_the_trouble_is_said_once_not_at_every_try(bench: Bench) -> None:
    bench.journal.full = True
    bench.pump.take(bench.wish())
    bench.pump.flush()
    bench.pump.flush()
    assert [one.problem for one in bench.recorded if isinstance(one, JournalEvent)] == ["no space left"]
    bench.journal.full = False
    bench.pump.flush()
    assert [one.problem for one in bench.recorded if isinstance(one, JournalEvent)] == ["no space left", ""]


def test_the_broker_sees_a_tick_before_the_engine_and_its_news_come_first(bench: Bench) -> None:
    news = bench.wish(OperatorKind.DISARM)
    bench.broker.on_observe = lambda event: bench.pump.take(news) if isinstance(event, TickEvent) else None
    tick = bench.tick(101.0)
    assert bench.recorded[-2:] == [news, tick]


def test_accounts_go_before_markets_that_wait(bench: Bench) -> None:
    late, early = TimeEvent(bench.now_ns + 2), bench.wish(OperatorKind.DISARM)
    bench.broker.on_observe = lambda event: None

    def answer(command: Command) -> None:
        if isinstance(command, PlaceOrder):
            bench.pump.take(late)
            bench.pump.take(early)

    bench.broker.on_submit = answer
    wish = bench.wish()
    bench.pump.take(wish)
    assert bench.recorded[-3:] == [wish, early, late]


def test_an_event_that_comes_while_one_is_worked_on_waits_for_its_end(bench: Bench) -> None:
    open_calls = 0
    deepest = 0

    def answer(command: Command) -> None:
        nonlocal open_calls, deepest
        open_calls += 1
        deepest = max(deepest, open_calls)
        if isinstance(command, PlaceOrder) and len(bench.broker.got) < 50:
            bench.pump.take(bench.wish(request=order(price=98.0, qty=len(bench.broker.got))))
        open_calls -= 1

    bench.broker.on_submit = answer
    bench.pump.take(bench.wish())
    assert deepest == 1
    assert len(bench.broker.got) == 50


def test_an_error_in_one_event_leaves_the_pump_usable(bench: Bench) -> None:
    def fail(command: Command) -> None:
        raise RuntimeError("spy broke")

    bench.broker.on_submit = fail
    with pytest.raises(RuntimeError, match="spy broke"):
        bench.pump.take(bench.wish())
    bench.broker.on_submit = lambda command: None
    bench.pump.take(bench.wish(request=order(price=98.0)))
    assert len(bench.broker.got) == 2


def test_a_replay_sends_nothing(bench: Bench) -> None:
    journal = DiskJournal()
    rig = Rig(limits=replace(LIMITS, orders_per_second=1_000))
    pump = Pump(rig.engine, None, journal)
    for event in bench.recorded:
        pump.take(event)
    pump.take(bench.wish())
    pump.take(TimeEvent(rig.engine.now_ns + 120 * SECOND))
    assert len(rig.orders(OrderStatus.SENT)) + len(rig.orders(OrderStatus.UNKNOWN)) == 1
    assert RecordKind.INTENT in {record.kind for record in journal.written}


def test_reads_of_the_account_leave_without_a_place(bench: Bench) -> None:
    bench.pump.take(TimeEvent(bench.now_ns + 120 * SECOND))
    assert [type(command) for command in bench.broker.got] == [Reconcile]
