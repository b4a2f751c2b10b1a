"""Kill from outside: command, file and signal; with an engine, with one that hangs, and without any."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fixtures.processes import (
    Exchange,
    Run,
    data_dir,
    exchange,
    kill_command,
    records,
    run,
    until,
)
from tradetui.domain.records import RecordKind
from tradetui.storage.kill_file import KillOrder, write_kill_file
from tradetui.storage.lease import Holder

pytestmark = pytest.mark.timeout(180)


def open_day(sim: Exchange) -> tuple[str, str]:
    """A long position of 10 with its stop, and a buy order that rests: the stop's id and the order's."""
    sim.hold(10)
    return sim.stop(10), sim.rest()


def risk_states(home: Path) -> list[tuple[str, str]]:
    """Every change of the risk state in the journal: state and reason."""
    return [
        (one.data["state"], one.data["reason"])
        for one in records(home)
        if one.kind is RecordKind.RISK and "state" in one.data
    ]


def end(engine: Run) -> None:
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 0, engine.said()


# --- signals ------------------------------------------------------------------------------------------


def test_signals_pull_stage_one_then_stage_two_with_the_feed_dead(tmp_path: Path) -> None:
    with exchange() as sim, run(tmp_path, sim) as engine:
        stop, entry = open_day(sim)
        engine.until_exposed(3)
        sim.fault("stall")
        engine.signal(signal.SIGUSR1)
        until(lambda: sim.status(entry) == "cancelled", "stage 1 cancels the entry")
        assert sim.status(stop) == "trigger pending", "and leaves the stop"
        assert list(sim.held().values()) == [10]
        engine.signal(signal.SIGUSR2)
        until(lambda: sim.held() == {} and not sim.working(), "stage 2 closes")
        end(engine)
        assert risk_states(tmp_path)[0] == ("halted", "kill pulled by signal SIGUSR1")


def test_a_signal_before_the_engine_runs_is_not_lost_and_ends_nothing(tmp_path: Path) -> None:
    with exchange() as sim:
        entry = sim.rest()
        with run(tmp_path, sim, up=False) as engine:
            until(lambda: engine.seen().pid == engine.process.pid, "it has begun")
            engine.signal(signal.SIGUSR1)
            until(lambda: sim.status(entry) == "cancelled", "it is obeyed once there is an account")
            engine.until_up()
            end(engine)


# --- the file -----------------------------------------------------------------------------------------


def test_the_kill_file_is_obeyed_and_halts_the_next_start_too(tmp_path: Path) -> None:
    with exchange() as sim:
        with run(tmp_path, sim) as engine:
            stop, entry = open_day(sim)
            engine.until_exposed(3)
            (data_dir(tmp_path) / "KILL").touch()
            until(lambda: sim.status(entry) == "cancelled", "an empty file is stage 1")
            assert sim.status(stop) == "trigger pending"
            write_kill_file(data_dir(tmp_path), KillOrder(flatten=True))
            until(lambda: sim.held() == {} and not sim.working(), "and flatten is stage 2")
            end(engine)
        later = sim.rest()
        with run(tmp_path, sim) as engine:
            until(lambda: sim.status(later) == "cancelled", "the file stands at the next start")
            end(engine)
        code, said, _ = kill_command(tmp_path, "--clear")
        assert (code, said) == (0, {"cleared": True})
        assert not (data_dir(tmp_path) / "KILL").exists()
        kept = sim.rest()
        with run(tmp_path, sim) as engine:
            engine.until_exposed(1)
            assert sim.status(kept) == "open"
            end(engine)


# --- the command --------------------------------------------------------------------------------------


def test_the_command_goes_through_a_running_engine_and_says_what_was_done(tmp_path: Path) -> None:
    with exchange() as sim, run(tmp_path, sim) as engine:
        stop, entry = open_day(sim)
        engine.until_exposed(3)
        code, said, errors = kill_command(tmp_path)
        assert code == 0, errors
        assert (said["by"], said["stage"], said["done"], len(said["cancelled"])) == ("engine", 1, True, 1)
        assert len(said["kept"]) == 1
        assert (sim.status(entry), sim.status(stop)) == ("cancelled", "trigger pending")
        code, said, errors = kill_command(tmp_path, "--flatten")
        assert code == 0, errors
        assert (said["stage"], said["closed"], said["failed"]) == (2, ["+10 RELIANCE I"], [])
        assert sim.held() == {}
        end(engine)


def test_without_an_engine_the_command_acts_itself_and_the_next_engine_adopts_it(tmp_path: Path) -> None:
    with exchange() as sim:
        with run(tmp_path, sim) as engine:
            stop, entry = open_day(sim)
            engine.until_exposed(3)
            end(engine)
        code, said, errors = kill_command(tmp_path)
        assert code == 0, errors
        assert (said["by"], said["stage"], len(said["cancelled"]), len(said["kept"])) == ("kill", 1, 1, 1)
        assert (sim.status(entry), sim.status(stop)) == ("cancelled", "trigger pending")
        code, said, errors = kill_command(tmp_path, "--flatten")
        assert code == 0, errors
        assert said["closed"] == ["+10 RELIANCE I"]
        assert sim.held() == {}
        assert not sim.working()
        assert records(tmp_path, "stand-in")
        with run(tmp_path, sim) as engine:
            engine.until_exposed(0)
            end(engine)
        assert not records(tmp_path, "stand-in")
        assert risk_states(tmp_path)[-1][0] == "halted"
        fills = [one.data["trade_id"] for one in records(tmp_path) if one.kind is RecordKind.FILL]
        assert sorted(fills) == sorted(row["trade_id"] for row in sim.state()["fills"])


def test_an_engine_that_hangs_is_overtaken_by_the_command(tmp_path: Path) -> None:
    with exchange() as sim, run(tmp_path, sim) as engine:
        _, entry = open_day(sim)
        engine.until_exposed(3)
        engine.signal(signal.SIGSTOP)
        code, said, errors = kill_command(tmp_path, "--flatten")
        assert code == 0, errors
        assert said["by"] == "kill"
        assert sim.held() == {}
        assert sim.status(entry) == "cancelled"
        writes = sim.asked("POST /v3/order/place")
        engine.signal(signal.SIGCONT)
        assert engine.wait() == 1
        assert sim.asked("POST /v3/order/place") == writes
        assert engine.seen().holder is Holder.NOBODY


def test_delivery_is_left_alone_unless_it_is_named(tmp_path: Path) -> None:
    with exchange() as sim:
        with run(tmp_path, sim) as engine:
            sim.hold(5, product="D")
            sim.hold(10)
            engine.until_exposed(2)
            end(engine)
        code, said, errors = kill_command(tmp_path, "--flatten")
        assert code == 0, errors
        assert (said["closed"], said["left_out"]) == (["+10 RELIANCE I"], ["+5 RELIANCE D"])
        assert list(sim.held().values()) == [5]
        code, said, errors = kill_command(tmp_path, "--flatten", "--include", "delivery")
        assert code == 0, errors
        assert sim.held() == {}


def test_what_could_not_be_done_is_said_and_the_exit_code_shows_it(tmp_path: Path) -> None:
    with exchange() as sim:
        with run(tmp_path, sim) as engine:
            sim.rest()
            engine.until_exposed(1)
            end(engine)
        sim.process.terminate()
        sim.process.wait(20)
        code, said, errors = kill_command(tmp_path)
        assert (code, said) == (1, None)
        assert "cannot be reached" in errors


def test_it_acts_on_nothing_that_it_was_not_told_of(tmp_path: Path) -> None:
    code, said, errors = kill_command(tmp_path)
    assert (code, said) == (2, None)
    assert "nothing has traded from this data directory" in errors
    assert kill_command(tmp_path, "--include", "delivery")[0] == 2
    assert kill_command(tmp_path, "--flatten", "--include", "everything")[0] == 2
