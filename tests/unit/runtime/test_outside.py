"""The kill file and the lease as the running engine sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runtime.parts import Bench
from tradetui.domain.errors import TransportError
from tradetui.domain.events import Event, OperatorEvent, OperatorKind
from tradetui.domain.order import Product
from tradetui.risk.facts import RiskState
from tradetui.runtime.core import Runtime
from tradetui.runtime.outside import KillWatch
from tradetui.storage.kill_file import KILL_FILE, KillOrder, clear_kill_file, write_kill_file
from tradetui.storage.lease import Fenced


class Watched:
    """A watch over a folder, and what it asked the engine."""

    def __init__(self, folder: Path | None) -> None:
        self.taken: list[OperatorEvent] = []
        self.watch = KillWatch(folder, self._take, lambda: 7)

    def _take(self, event: Event) -> None:
        assert isinstance(event, OperatorEvent)
        self.taken.append(event)

    @property
    def kinds(self) -> list[OperatorKind]:
        return [event.kind for event in self.taken]

    def look(self) -> None:
        for _ in range(4):
            self.watch.tick()


def test_no_folder_and_no_file_ask_for_nothing(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        watched = Watched(folder)
        watched.look()
        assert watched.taken == []


def test_a_file_is_obeyed_once_and_a_stronger_word_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / KILL_FILE).touch()
    watched.look()
    watched.look()
    assert watched.kinds == [OperatorKind.KILL]
    write_kill_file(tmp_path, KillOrder(True, (Product.DELIVERY,)))
    watched.look()
    assert watched.kinds == [OperatorKind.KILL, OperatorKind.FLATTEN]
    assert watched.taken[-1].include == (Product.DELIVERY,)
    assert watched.taken[-1].t_ns == 7
    write_kill_file(tmp_path, KillOrder())
    watched.look()
    assert len(watched.taken) == 2, "a weaker word takes nothing back"


def test_resuming_while_the_file_stands_halts_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_kill_file(tmp_path, KillOrder(flatten=True))
    watched.look()
    watched.watch.heard(OperatorEvent(8, OperatorKind.RESUME))
    assert watched.kinds == [OperatorKind.FLATTEN, OperatorKind.KILL]
    assert "still stands" in watched.taken[-1].note
    assert "tradetui kill --clear" in watched.taken[-1].note
    clear_kill_file(tmp_path)
    watched.look()
    watched.watch.heard(OperatorEvent(9, OperatorKind.RESUME))
    watched.look()
    assert len(watched.taken) == 2
    (tmp_path / KILL_FILE).touch()
    watched.look()
    assert watched.kinds[-1] is OperatorKind.KILL, "a new file is a new kill"


class HandLease:
    """A lease that only notes what it is told."""

    def __init__(self) -> None:
        self.beats: list[tuple[int, int]] = []
        self.released = 0
        self.taken_over = False

    def beat(self, steps: int, exposed: int) -> None:
        if self.taken_over:
            raise Fenced("not sent: the watchdog has taken over")
        self.beats.append((steps, exposed))

    def release(self) -> None:
        self.released += 1


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the lease has no event for it
            await asyncio.sleep(0.01)


async def test_the_loop_beats_and_a_good_end_gives_the_lease_back() -> None:
    bench, lease = Bench(), HandLease()
    bench.parts.lease = lease
    runtime = Runtime(bench.parts)
    run = asyncio.create_task(runtime.run())
    await until(lambda: len(lease.beats) > 2)
    assert lease.beats[-1][1] == 0, "nothing is open"
    runtime.stop()
    await run
    assert lease.released == 1


async def test_a_run_that_breaks_keeps_the_lease_so_that_the_watchdog_looks_after_what_is_open() -> None:
    bench, lease = Bench(), HandLease()
    bench.parts.lease = lease
    bench.feed.put(TransportError("the feed broke"))
    with pytest.raises(TransportError):
        await Runtime(bench.parts).run()
    assert lease.released == 0


async def test_a_run_that_was_overtaken_ends() -> None:
    bench, lease = Bench(), HandLease()
    bench.parts.lease = lease
    run = asyncio.create_task(Runtime(bench.parts).run())
    await until(lambda: bool(lease.beats))
    lease.taken_over = True
    with pytest.raises(Fenced, match="has taken over"):
        await run
    assert lease.released == 0


async def test_a_kill_file_that_stands_at_the_start_halts_before_anything_else(tmp_path: Path) -> None:
    bench = Bench()
    bench.parts.kill_dir = tmp_path
    write_kill_file(tmp_path, KillOrder())
    runtime = Runtime(bench.parts)
    run = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    assert runtime.engine.desk.books.state is RiskState.HALTED
    assert "kill file" in runtime.engine.desk.books.state_reason
    runtime.stop()
    await run
