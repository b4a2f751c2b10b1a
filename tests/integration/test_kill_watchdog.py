"""The watchdog: a process of its own that acts when the engine falls silent, and keeps it from acting afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.processes import (
    Exchange,
    data_dir,
    exchange,
    process_gone,
    records,
    run,
    settings,
    tail,
    until,
    watchdog_of,
)
from tradetui.domain.records import RecordKind
from tradetui.storage.lease import Holder

pytestmark = pytest.mark.timeout(180)


def quick(home: Path, policy: str, after: float = 1.0) -> None:
    settings(home, f'[watchdog]\nafter = {after}\npolicy = "{policy}"\n')


def stood_in(home: Path) -> bool:
    """Whether a stand-in has finished: the lease belongs to nobody and its journal says that it stopped."""
    runs = [one.data for one in records(home, "stand-in") if one.kind is RecordKind.RUN]
    return bool(runs) and runs[-1]["what"] == "stop"


def open_day(sim: Exchange) -> tuple[str, str]:
    """A long position of 10 with its stop, and a buy order that rests: the stop's id and the order's."""
    sim.hold(10)
    return sim.stop(10), sim.rest()


def test_killed_engine_with_policy_cancel_loses_its_entry_and_keeps_its_stop(tmp_path: Path) -> None:
    quick(tmp_path, "cancel")
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        stop, entry = open_day(sim)
        engine.until_exposed(3)
        assert watchdog_of(engine.process.pid)
        engine.kill()
        until(lambda: sim.status(entry) == "cancelled", "the watchdog cancels the entry")
        until(lambda: stood_in(tmp_path), "the watchdog ends")
        assert sim.status(stop) == "trigger pending"
        assert list(sim.held().values()) == [10]
        assert sim.asked("DELETE /v3/order/cancel") == 1, "exactly once"


def test_killed_engine_with_policy_flatten_ends_flat_and_the_next_engine_knows(tmp_path: Path) -> None:
    quick(tmp_path, "flatten")
    with exchange() as sim:
        with run(tmp_path, sim, "--live") as engine:
            stop, entry = open_day(sim)
            engine.until_exposed(3)
            engine.kill()
            until(lambda: sim.held() == {} and not sim.working(), "flat, nothing working")
            until(lambda: stood_in(tmp_path), "the watchdog ends")
            assert sim.status(stop) == sim.status(entry) == "cancelled"
        exits = [row for row in sim.orders() if row["tag"] != "phone"]
        assert [(row["side"], row["qty"], row["status"]) for row in exits] == [("SELL", 10, "complete")]
        assert "w-" in exits[0]["tag"], "numbers of its own"
        with run(tmp_path, sim, "--live") as engine:
            engine.until_exposed(0)
            engine.signal(signal.SIGTERM)
            assert engine.wait() == 0
        ours = records(tmp_path)
        fills = [one.data["trade_id"] for one in ours if one.kind is RecordKind.FILL]
        assert len(fills) == len(set(fills)) == len(sim.state()["fills"]), "booked once each"
        states = [one.data["state"] for one in ours if one.kind is RecordKind.RISK and "state" in one.data]
        assert states[-1] == "halted", "and it starts halted"
        assert not records(tmp_path, "stand-in"), "adopted: nothing is left there"
        assert not [row for row in sim.orders() if row["status"] == "rejected"]


def test_policy_warn_only_says_so(tmp_path: Path) -> None:
    quick(tmp_path, "warn")
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        _, entry = open_day(sim)
        engine.until_exposed(3)
        guard = watchdog_of(engine.process.pid)
        epoch = engine.seen().epoch
        engine.kill()
        until(lambda: "policy warn does nothing" in tail(tmp_path, "watchdog"), "it is written down")
        assert sim.status(entry) == "open"
        assert engine.seen().epoch == epoch
        os.kill(guard, signal.SIGKILL)


def test_hung_engine_that_wakes_up_after_the_take_over_sends_nothing(tmp_path: Path) -> None:
    quick(tmp_path, "cancel")
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        _, entry = open_day(sim)
        engine.until_exposed(3)
        epoch = engine.seen().epoch
        engine.signal(signal.SIGSTOP)
        until(lambda: sim.status(entry) == "cancelled", "the watchdog acts")
        until(lambda: stood_in(tmp_path) and engine.seen().holder is Holder.NOBODY, "and ends")
        assert engine.seen().epoch > epoch
        writes = sum(
            sim.asked(what) for what in ("POST /v3/order/place", "DELETE /v3/order", "PUT /v3/order")
        )
        # It wakes up with a kill waiting: it would flatten, were it not fenced.
        engine.signal(signal.SIGUSR2)
        engine.signal(signal.SIGCONT)
        assert engine.wait() == 1
        assert "has taken over" in engine.said()
        after = sum(sim.asked(what) for what in ("POST /v3/order/place", "DELETE /v3/order", "PUT /v3/order"))
        assert after == writes
        assert list(sim.held().values()) == [10]


def test_clean_end_leaves_nothing_behind(tmp_path: Path) -> None:
    quick(tmp_path, "flatten")
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        stop, entry = open_day(sim)
        engine.until_exposed(3)
        guard = watchdog_of(engine.process.pid)
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0
        until(lambda: process_gone(guard), "the watchdog ends with it")
        assert (sim.status(stop), sim.status(entry)) == ("trigger pending", "open")


def test_new_engine_within_the_silence_takes_over_and_the_old_watchdog_goes(tmp_path: Path) -> None:
    quick(tmp_path, "flatten", after=30.0)
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        open_day(sim)
        engine.until_exposed(3)
        old = watchdog_of(engine.process.pid)
        engine.kill()
        with run(tmp_path, sim, "--live") as again:
            again.until_exposed(3)
            until(lambda: process_gone(old), "the old watchdog goes")
            assert watchdog_of(again.process.pid) != old
            again.signal(signal.SIGTERM)
            assert again.wait() == 0


def test_watchdog_that_dies_is_replaced(tmp_path: Path) -> None:
    quick(tmp_path, "cancel")
    with exchange() as sim, run(tmp_path, sim, "--live") as engine:
        first = watchdog_of(engine.process.pid)
        os.kill(first, signal.SIGKILL)
        second: Any = until(
            lambda: (found := watchdog_of(engine.process.pid)) != first and found, "another watchdog"
        )
        assert os.getsid(second) == second, "in a session of its own"
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0


def test_simulation_without_live_has_no_watchdog_and_still_a_lease(tmp_path: Path) -> None:
    with exchange() as sim, run(tmp_path, sim) as engine:
        assert watchdog_of(engine.process.pid) == 0
        assert engine.seen().holder is Holder.ENGINE
        engine.signal(signal.SIGTERM)
        assert engine.wait() == 0
        assert engine.seen().holder is Holder.NOBODY
        assert not (data_dir(tmp_path) / "KILL").exists()


def test_engine_that_starts_while_the_watchdog_acts_waits_for_its_step_and_goes_on_from_there(
    tmp_path: Path,
) -> None:
    quick(tmp_path, "flatten")
    with exchange() as sim:
        with run(tmp_path, sim, "--live") as engine:
            open_day(sim)
            engine.until_exposed(3)
            guard = watchdog_of(engine.process.pid)
            sim.fault("hang", path="/order/cancel")
            engine.kill()
            until(lambda: sim.asked("DELETE /v3/order/cancel"), "the watchdog is in the middle of it")
            assert engine.seen().holder is Holder.WATCHDOG
        with run(tmp_path, sim, "--live") as again:
            until(lambda: process_gone(guard), "the watchdog has let go")
            sim.fault("none")
            assert any("adopted" in str(one.data.get("what")) for one in records(tmp_path))
            asked = sim.asked("DELETE /v3/order/cancel")
            again.signal(signal.SIGUSR2)
            until(lambda: sim.held() == {} and not sim.working(), "the engine goes on from there")
            assert sim.asked("DELETE /v3/order/cancel") > asked
            again.signal(signal.SIGTERM)
            assert again.wait() == 0
