"""The screen's side: a runtime on its own thread, reached through snapshots and commands only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.unit.exchange.support import SHARE, order
from tests.unit.runtime.parts import Bench
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.domain.order import OrderStatus
from tradetui.domain.view import Look, Snapshot
from tradetui.runtime.handle import RuntimeHandle
from tradetui.runtime.views import ViewBuilder
from tradetui.wiring.parts import Parts


def seen(handle: RuntimeHandle, holds: Callable[[Snapshot], bool]) -> Snapshot:
    """The first snapshot for which something holds."""
    pause = threading.Event()
    for _ in range(1_000):
        snapshot = handle.snapshot()
        if snapshot is not None and holds(snapshot):
            return snapshot
        pause.wait(0.01)
    raise AssertionError(f"never seen; last: {handle.snapshot()}")


@contextmanager
def running(bench_of: Callable[[], Bench] = Bench) -> Iterator[tuple[RuntimeHandle, Bench]]:
    made: list[Bench] = []

    async def make() -> Parts:
        made.append(bench_of())
        return made[0].parts

    handle = RuntimeHandle(make, deque()).start(30)
    try:
        handle.look(Look(hz=100, watch=(SHARE.key,), selected=SHARE.key))
        yield handle, made[0]
    finally:
        handle.stop()
        assert handle.join(30)


def put(handle: RuntimeHandle, bench: Bench, *items: object) -> None:
    """Put something into the feed, on its own loop."""
    for item in items:
        handle._call(lambda item=item: bench.feed.put(item))  # type: ignore[misc]


def test_a_snapshot_arrives_and_a_stop_is_clean() -> None:
    with running() as (handle, bench):
        assert handle.stopped() is False
        put(handle, bench, bench.tick(100.0))
        snapshot = seen(handle, lambda s: bool(s.watch) and s.watch[0].ltp == 100.0)
        assert snapshot.mode.value == "PAPER"
        assert snapshot.feed_state == "up"
    assert handle.stopped() is True
    assert bench.closed == ["second", "first"]


def test_a_command_goes_in_and_its_order_shows() -> None:
    with running() as (handle, bench):
        put(handle, bench, bench.tick(100.0))
        seen(handle, lambda s: bool(s.watch) and s.watch[0].ltp == 100.0)
        handle.submit(OperatorEvent(0, OperatorKind.PLACE, request=order(price=101.0)))
        placed = seen(handle, lambda s: bool(s.orders)).orders[0]
        assert placed.status is OrderStatus.SENT
        assert placed.created_ns == bench.clock.now_ns(), "stamped on arrival"
        put(handle, bench, bench.tick(100.0), bench.tick(100.0))
        filled = seen(handle, lambda s: bool(s.orders) and s.orders[0].status is OrderStatus.FILLED)
        assert filled.positions[0].qty == 10
        assert any(row.text.startswith("filled BUY 10 RELIANCE") for row in filled.notices)


def test_an_error_on_the_start_surfaces_with_its_words() -> None:
    async def fail() -> Parts:
        raise UsageError("no such thing", "try another")

    handle = RuntimeHandle(fail, deque())
    with pytest.raises(UsageError, match="no such thing"):
        handle.start(30)
    assert handle.join(30)
    assert isinstance(handle.stopped(), UsageError)
    handle.submit(OperatorEvent(0, OperatorKind.KILL))
    assert handle.search("REL") == []
    assert handle.instrument(SHARE.key) is None
    assert handle.fault("drop", {}) == "faults exist on the simulator only"


def test_a_start_that_takes_too_long_is_said() -> None:
    free = threading.Event()

    async def hang() -> Parts:
        free.wait(30)
        raise TradeTuiError("late")

    handle = RuntimeHandle(hang, deque())
    with pytest.raises(TradeTuiError, match=r"did not start within 0\.05 s"):
        handle.start(0.05)
    free.set()
    assert handle.join(30)


def test_what_breaks_while_running_is_kept_for_the_screen() -> None:
    with running() as (handle, bench):
        put(handle, bench, TradeTuiError("the line is cut"))
        assert handle.join(30)
        outcome = handle.stopped()
        assert isinstance(outcome, TradeTuiError)
        assert outcome.message == "the line is cut"


def test_an_instrument_that_is_looked_at_is_streamed() -> None:
    with running() as (handle, bench):
        assert [row.symbol for row in handle.search("infy")] == ["INFY"]
        assert handle.instrument(bench.extra.key) is not None
        handle.look(Look(hz=100, watch=(SHARE.key, bench.extra.key, "NSE_EQ|NONE"), selected=SHARE.key))
        snapshot = seen(handle, lambda s: len(s.watch) == 2)
        assert snapshot.watch[1].symbol == "INFY"
        assert bench.extra.key in bench.feed.wanted


def test_a_view_that_fails_stops_nothing_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build, broken = ViewBuilder.build, threading.Event()

    def fail_once(self: ViewBuilder, look: Look) -> Snapshot:
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError
        return build(self, look)

    monkeypatch.setattr(ViewBuilder, "build", fail_once)
    with running() as (handle, _):
        assert seen(handle, lambda s: s.seq > 0).seq
    assert "view could not be made" in caplog.text


def test_a_stop_while_it_starts_is_not_lost() -> None:
    made: list[Bench] = []

    async def make() -> Parts:
        made.append(Bench())
        handle.stop()  # the user quits before the engine is up
        return replace(made[0].parts)

    handle = RuntimeHandle(make, deque())
    handle.start(30)
    assert handle.join(30)
    assert handle.stopped() is True
    assert made[0].closed == ["second", "first"]
