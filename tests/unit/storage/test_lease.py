"""The lease: one holder, fenced by an epoch, across real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPO_ROOT
from tradetui.storage.lease import Fenced, Holder, Lease, LeaseBusy, process_exists, start_mark

CHILD = """
import sys
from pathlib import Path
from tradetui.storage.lease import Fenced, Holder, Lease
lease = Lease(Path(sys.argv[1]))
lease.take(Holder[sys.argv[2]])
print("took", lease.epoch, flush=True)
for line in sys.stdin:
    what = line.strip()
    try:
        if what == "write":
            with lease.writing():
                print("wrote", flush=True)
        elif what == "hang":
            with lease.writing():
                print("in the middle", flush=True)
                sys.stdin.readline()
        elif what == "yield":
            while not lease.asked():
                pass
            lease.release()
            print("released", flush=True)
    except Fenced as error:
        print("fenced:", error.message, flush=True)
"""


class Other:
    """Another process with the lease."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def other(folder: Path, holder: Holder) -> Iterator[Other]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), holder.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO_ROOT)},
    )
    one = Other(process)
    try:
        assert one.hear().startswith("took")
        yield one
    finally:
        process.kill()
        process.communicate()


def test_a_fresh_directory_belongs_to_nobody(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "data")
    seen = lease.look()
    assert (seen.holder, seen.epoch, seen.alive, lease.held) == (Holder.NOBODY, 0, False, False)
    with pytest.raises(Fenced), lease.writing():
        pass
    lease.close()


def test_the_holder_writes_beats_and_gives_back(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    assert lease.take(Holder.ENGINE) == 1
    with lease.writing(), lease.writing():
        lease.beat(7, 2)
    seen = lease.look()
    assert (seen.holder, seen.pid, seen.beats, seen.steps, seen.exposed) == (
        Holder.ENGINE, os.getpid(), 1, 7, 2,
    )  # fmt: skip
    assert seen.alive
    lease.release()
    assert Lease(tmp_path).look().holder is Holder.NOBODY
    with pytest.raises(Fenced):
        lease.beat(8, 0)


def test_a_living_engine_is_not_overtaken_unless_somebody_insists(tmp_path: Path) -> None:
    with other(tmp_path, Holder.ENGINE) as engine:
        lease = Lease(tmp_path)
        with pytest.raises(LeaseBusy, match="the engine"):
            lease.take(Holder.KILL, wait_s=0)
        engine.say("write")
        assert engine.hear() == "wrote"
        epoch = lease.look().epoch
        assert lease.take(Holder.WATCHDOG, expect=epoch, force=True) == epoch + 1
        engine.say("write")
        assert engine.hear().startswith("fenced: not sent: the watchdog")
        with pytest.raises(Fenced):
            lease.take(Holder.WATCHDOG, expect=epoch, force=True)


def test_a_stopped_engine_that_wakes_up_writes_nothing(tmp_path: Path) -> None:
    with other(tmp_path, Holder.ENGINE) as engine:
        engine.process.send_signal(signal.SIGSTOP)
        lease = Lease(tmp_path)
        lease.take(Holder.WATCHDOG, force=True)
        engine.say("write")
        engine.process.send_signal(signal.SIGCONT)
        assert engine.hear().startswith("fenced")
        with lease.writing():
            pass


def test_one_that_hangs_in_the_middle_of_a_request_is_ended(tmp_path: Path) -> None:
    with other(tmp_path, Holder.ENGINE) as engine:
        engine.say("hang")
        assert engine.hear() == "in the middle"
        engine.process.send_signal(signal.SIGSTOP)
        lease = Lease(tmp_path)
        lease.take(Holder.WATCHDOG, force=True, grace_s=0.05)
        assert engine.process.wait(10) == -signal.SIGKILL
        assert lease.held


def test_a_request_under_way_is_waited_for(tmp_path: Path) -> None:
    with other(tmp_path, Holder.ENGINE) as engine:
        engine.say("hang")
        assert engine.hear() == "in the middle"
        lease = Lease(tmp_path)
        taken = threading.Thread(target=lambda: lease.take(Holder.WATCHDOG, force=True, grace_s=60))
        taken.start()
        before = lease.held
        engine.say("answered")
        taken.join(10)
        assert (before, lease.held) == (False, True)
        assert engine.process.poll() is None


def test_a_watchdog_is_asked_to_let_go_and_waited_for(tmp_path: Path) -> None:
    with other(tmp_path, Holder.WATCHDOG) as watchdog:
        lease = Lease(tmp_path)
        with pytest.raises(LeaseBusy, match="the watchdog"):
            lease.take(Holder.ENGINE, wait_s=0.05)
        watchdog.say("yield")
        assert lease.take(Holder.ENGINE, wait_s=30) == 2
        assert watchdog.hear() == "released"
        assert not lease.asked()


def test_a_dead_holder_needs_no_asking(tmp_path: Path) -> None:
    with other(tmp_path, Holder.ENGINE) as engine:
        engine.process.kill()
        engine.process.wait()
        lease = Lease(tmp_path)
        assert not lease.look().alive
        assert lease.take(Holder.ENGINE, wait_s=0) == 2


def test_a_process_number_used_again_is_somebody_else() -> None:
    mark = start_mark(os.getpid())
    assert process_exists(os.getpid(), mark)
    assert process_exists(os.getpid(), 0)
    if mark:
        assert not process_exists(os.getpid(), mark + 1)
    assert not process_exists(0, 0)
