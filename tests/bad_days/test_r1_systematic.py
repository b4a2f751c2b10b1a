"""R1, systematic: a run is killed with SIGKILL at every moment of the order path, and the next run takes over.

The moments are read off the code (`crash_points.py`). A first run goes through with each act and says which moments
it passed; then one run after another dies at one of them. After each, a new run must agree with the exchange on every
order, fill and position, and nothing may have been sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.bad_days.crash_child import ACTS
from tests.bad_days.crash_points import NOT_ORDERS, PACKAGE, Moment, moments
from tests.conftest import REPO_ROOT
from tests.fixtures.ledgers import unlike
from tests.fixtures.scripted_world import Market, scripted_market
from tests.fixtures.workstation import CANCEL, KEY, MODIFY, PLACE, Workstation, running
from tests.long.knobs import figure, generator, limit, rounds, seconds
from tradetui.domain.order import OrderStatus, Side
from tradetui.simulator.tokens import USER_ID

EVERYWHERE: Final = ("submit", "modify", "cancel")
"""Acts that are killed at each moment of a write's way; at the other moments, and in the other acts, only where no act
before was. The long test draws from all of them."""
WAY_OF_A_WRITE: Final = frozenset(
    {
        "brokers/upstox/api.py:_hand_over",
        "brokers/upstox/api.py:finish",
        "brokers/upstox/broker.py:_write",
        "brokers/upstox/transport.py:_send",
        "brokers/upstox/transport.py:submit",
        "journal/writer.py:_sync",
        "journal/writer.py:_write",
        "runtime/pump.py:_send",
        "runtime/pump.py:_write_backlog",
    }
)
OCCURRENCES: Final = 3
"""How often a moment's passing counts in the long test: the first, the second, the third."""
LONG_S: Final = 900.0
AT_ONCE: Final = 2
"""Runs beside each other."""
TRIES: Final = 5
"""A step that belongs to a race (a push before its answer) may not come up every time."""

GTT_PLACE, GTT_CANCEL = "POST /v3/order/gtt/place", "DELETE /v3/order/gtt/cancel"

NEVER_PASSED: Final = {
    "brokers/upstox/account.py:_funds": "the older form of the funds, read where the newer one is refused",
    "brokers/upstox/account.py:orders": "rows of the book that cannot be read are asked for once more",
    "brokers/upstox/api.py:_warm": "keeps an idle connection open; no order waits for it",
    "brokers/upstox/broker.py:_new_login": "a login that is renewed in mid-run: R7 plays it",
    "brokers/upstox/broker.py:_snapshot": "a second read, when fills come in between two reads of a start",
    "brokers/upstox/broker.py:_send": "an order that has to wait for the limits; the others leave at once",
    "brokers/upstox/broker.py:close": "waits for writes under way; a stop with none has nothing to wait for",
    "brokers/upstox/fills.py:_fetch": "the pause before a trade list that lags is read again",
    "brokers/upstox/governor.py:acquire": "the wait when the limits are used up",
    "brokers/upstox/portfolio_stream.py:_session": "the end of a stream that the broker closes",
    "brokers/upstox/portfolio_stream.py:run": "the pause before a stream that was lost is opened again",
    "brokers/upstox/spent.py:set_pause": "the pause after the broker refused us for going too fast",
    "journal/reserve.py:append": "the reserve is for a full disk: R6 plays it",
    "journal/reserve.py:clear": "as above",
    "journal/reserve.py:sync": "as above",
    "journal/writer.py:_sync": "writes again what a failed sync may have lost: R6 plays it",
    "journal/writer.py:_write": "takes back half a frame that a full disk left: R6 plays it",
    "runtime/pump.py:_write_in_reserve": "the reserve is for a full disk: R6 plays it",
    "storage/lease.py:take": "asks a watchdog to let go, where there is one",
    "wiring/journals.py:adopt": "takes over what a watchdog wrote, where there was one",
}
"""Functions of the order path with moments that no act above passes, and why."""


class Nursery:
    """Runs that are there to be killed; see `crash_child.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(
        self, market: Market, home: Path, act: str, kill: int = -1, occurrence: int = 1
    ) -> dict[str, Any]:
        """One run; returns its report."""
        job = {
            "home": str(home),
            "url": market.sim.urls.main,
            "act": act,
            "kill": kill,
            "occurrence": occurrence,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        async with asyncio.timeout(60):
            report: dict[str, Any] = json.loads(await self._process.stdout.readline())
        assert "error" not in report, report["error"]
        return report


@contextlib.asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """A nursery, ready to fork."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bad_days.crash_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPO_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPO_ROOT)},
        limit=1 << 24,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield Nursery(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Jobs:
    """Kills that are left to do, worked off by several nurseries beside each other.

    Args:
        folder: Where the runs live.
        jobs: Act, number of the moment, and at which time it is reached.
    """

    def __init__(self, folder: Path, jobs: list[tuple[str, int, int]]) -> None:
        self._folder = folder
        self._jobs = jobs
        self._listed = moments()
        self.failures: list[str] = []
        self.killed: Counter[str] = Counter()

    async def work(self, nurse: Nursery, duration_s: float = math.inf) -> None:
        """Kill, one after the other, until nothing is left or the time is up."""
        for _ in rounds(duration_s):
            if not self._jobs:
                return
            act, number, turn = self._jobs.pop()
            try:
                await self._kill(nurse, act, number, turn)
            except (AssertionError, TimeoutError) as wrong:
                self.failures.append(f"{act}, {self._listed[number]}, time {turn}: {wrong!r}")

    async def _kill(self, nurse: Nursery, act: str, number: int, turn: int) -> None:
        for attempt in range(TRIES):
            home = self._folder / f"{act.replace(' ', '-')}-{number}-{turn}-{attempt}"
            report = await run_once(nurse, home, act, number, turn)
            if report["killed"]:
                self.killed[act] += 1
                return
        raise AssertionError(f"not reached in {TRIES} tries")


async def run_once(
    nurse: Nursery, home: Path, act: str, kill: int = -1, occurrence: int = 1
) -> dict[str, Any]:
    """One market, one run in it, and the run that takes over. Returns the first run's report."""
    async with scripted_market() as market:
        market.normal(KEY)
        if act == "start":
            await nurse.run(market, home, "submit")
            tear(home)
        if act in ("lost", "gone"):
            market.fault("lost-ack-after" if act == "lost" else "lost-ack-before", count=1)
        passing = asyncio.create_task(time_passes(market)) if act == "gone" else None
        try:
            report = await nurse.run(market, home, act, kill, occurrence)
        finally:
            if passing is not None:
                passing.cancel()
        market.sim.faults.clear()
        async with running(market, home) as w:
            await settled(w, act)
            truthful(w, act)
    assert not unlike(home), "the ledger is not what the journal says"
    return report


def tear(home: Path) -> None:
    """Leave half a record at the end of the journal, as a cut of the power does."""
    (day,) = home.glob("accounts/*/journal/*.journal")
    with day.open("ab") as file:
        file.write(b"\x40\x00\x00\x00half a record")


async def time_passes(market: Market) -> None:
    """Let the exchange's time run ahead, so that the polls that prove an absence come soon."""
    while True:
        await market.sim.jump(market.now_ns() + 4_000_000_000)
        await market.publish()
        await asyncio.sleep(0.1)


async def settled(w: Workstation, act: str) -> None:
    """Let time pass until no order's outcome is unknown and nothing is under way."""
    for _ in range(8):
        await w.polls()
        manager = w.runtime.engine.desk.manager
        pending: list[object] = [one for one in w.orders.values() if _open(one)]
        pending += [one for one in manager.gtts.gtts.values() if one.status.working and not one.rules]
        if not pending and w.agrees() and gtts_agree(w) and guarded(w, act):
            return
        await w.pass_time(11)
    raise AssertionError(f"never settled: {list(w.orders.values())} against {w.truth()}")


def _open(order: Any) -> bool:
    unknown = order.status in (OrderStatus.UNKNOWN, OrderStatus.SENT, OrderStatus.PENDING)
    return bool(unknown or order.modify_pending or order.cancel_pending)


def gtts_agree(w: Workstation) -> bool:
    """Whether the ledger's GTTs that may still fire are the broker's."""
    ours = w.runtime.engine.desk.manager.gtts.gtts.values()
    theirs = w.market.venue.exchange.gtts(USER_ID)
    mine = sorted(one.gtt_id for one in ours if one.status.working)
    return mine == sorted(one.gtt_id for one in theirs if one.active)


def guarded(w: Workstation, act: str) -> bool:
    """Whether a position that was to have a stop has one and only one, and nothing else would sell."""
    sales = [one for one in w.truth() if one.request.side is Side.SELL]
    resting = [one.request.qty for one in sales if not one.status.terminal]
    return resting == ([w.held()] if act == "protect" and w.held() else [])


def truthful(w: Workstation, act: str) -> None:
    """Ledger and exchange agree, nothing was sent twice, nothing is lost."""
    asked, truth = w.market.asked, w.truth()
    entries = [one for one in truth if one.request.side is Side.BUY]
    # A request that was cut in half is asked for and does not arrive.
    assert len(entries) <= 1, f"doubled: {entries}"
    assert len(w.market.venue.exchange.gtts(USER_ID)) <= 1, "doubled"
    if act in ("modify", "cancel", "start", "stop"):
        assert len(entries) == 1, "lost"
    if act != "protect":  # a stop that did not arrive is placed anew by the next run
        assert asked(PLACE) <= 1
    assert max(asked(MODIFY), asked(CANCEL), asked(GTT_PLACE), asked(GTT_CANCEL)) <= 1
    assert not any(order.foreign for order in w.orders.values()), "our own order was not known again"
    for ours in w.orders.values():
        if not ours.broker_id:
            assert ours.status in (OrderStatus.ABSENT, OrderStatus.REFUSED)
            continue
        theirs = next(one for one in truth if one.order_id == ours.broker_id)
        assert (ours.request.qty, ours.request.price) == (theirs.request.qty, theirs.request.price)


async def passed_moments(nurse: Nursery, folder: Path, act: str) -> dict[int, int]:
    """Which moments an act passes, and how often."""
    report = await run_once(nurse, folder / f"{act.replace(' ', '-')}-whole", act)
    return {int(number): count for number, count in report["hits"].items()}


@contextlib.asynccontextmanager
async def nurseries() -> AsyncIterator[list[Nursery]]:
    """Some beside each other."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(nursery()) for _ in range(AT_ONCE)]


async def all_passed(nurses: list[Nursery], folder: Path) -> dict[str, dict[int, int]]:
    """`passed_moments` of every act."""
    left, passed = list(ACTS), dict[str, dict[int, int]]()

    async def work(nurse: Nursery) -> None:
        while left:
            act = left.pop()
            passed[act] = await passed_moments(nurse, folder, act)

    await asyncio.gather(*(work(nurse) for nurse in nurses))
    return passed


def first_times(passed: dict[str, dict[int, int]]) -> list[tuple[str, int, int]]:
    """Every moment once, and those of a write's way in each act that writes."""
    way = {number for number, moment in enumerate(moments()) if _place(moment) in WAY_OF_A_WRITE}
    done: set[int] = set()
    jobs = []
    for act in ACTS:
        fresh = {
            number for number in passed[act] if number not in done or (act in EVERYWHERE and number in way)
        }
        jobs += [(act, number, 1) for number in sorted(fresh)]
        done |= fresh
    return jobs


@pytest.mark.timeout(1800)
async def test_r1_killed_at_every_moment_of_the_order_path_ledger_and_exchange_agree(
    tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program is killed at any moment of placing, changing or cancelling an order.

    Seen: after the next start the order stands where the exchange has it; one whose answer was lost is shown as
      unknown until the broker's book has told, and is never sent again by itself. A stop that had not arrived is
      placed; one that had is the only one.
    """
    async with nurseries() as nurses:
        passed = await all_passed(nurses, tmp_path)
        unexplained = _left_out(passed)
        assert not unexplained, "no act passes:\n" + "\n".join(unexplained)
        todo = first_times(passed)
        jobs = Jobs(tmp_path, todo[::-1])
        count = len(todo)
        await asyncio.gather(*(jobs.work(nurse) for nurse in nurses))
    killed = jobs.killed.total()
    record_property("moments_killed", killed)
    with capsys.disabled():
        places = len({number for act in passed for number in passed[act]})
        print(f"\nR1: killed {killed} times of {count}, at {places} moments of the code: {dict(jobs.killed)}")
    assert not jobs.failures, "\n".join(jobs.failures)
    assert killed == count > 0
    assert not holding(tmp_path), "a process was left behind"


@pytest.mark.long
@pytest.mark.timeout(limit(LONG_S))
async def test_r1_killed_at_random_moments_again_and_again(tmp_path: Path) -> None:
    """The same at moments drawn by chance, also when they come up for the second and the third time."""
    async with nurseries() as nurses:
        passed = await all_passed(nurses, tmp_path)
        todo = [
            (act, number, turn)
            for act, numbers in sorted(passed.items())
            for number, times in sorted(numbers.items())
            for turn in range(1, min(times, OCCURRENCES) + 1)
        ]
        count = len(todo)
        generator("r1").shuffle(todo)
        jobs = Jobs(tmp_path, todo)
        await asyncio.gather(*(jobs.work(nurse, seconds(LONG_S)) for nurse in nurses))
    figure(f"R1: killed {jobs.killed.total()} times of {count} possible: {dict(jobs.killed)}")
    # How often a moment comes up is a matter of chance where answers and pushes race: those do not count.
    failures = [words for words in jobs.failures if "not reached" not in words]
    assert not failures, "\n".join(failures)
    assert jobs.killed.total() > 0


def _left_out(passed: dict[str, dict[int, int]]) -> list[str]:
    """Functions with moments that no act passes, and that nobody explains."""
    reached = {number for act in passed for number in passed[act]}
    left = {_place(moment) for number, moment in enumerate(moments()) if number not in reached}
    return sorted(left - set(NEVER_PASSED))


def test_r1_what_is_explained_is_there() -> None:
    """No explanation outlives the code that it explains."""
    assert set(NEVER_PASSED) <= {_place(moment) for moment in moments()}
    assert set(NOT_ORDERS) <= {path.stem for path in (PACKAGE / "brokers" / "upstox").glob("*.py")}
    assert set(EVERYWHERE) < set(ACTS)
    assert {_place(moment) for moment in moments()} >= WAY_OF_A_WRITE


def holding(folder: Path) -> list[str]:
    """Other processes that have files of a folder open: a watchdog that was left behind would be one."""
    out = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            links = [str(link.readlink()) for link in (path / "fd").iterdir()]
            if path.name != str(os.getpid()) and any(link.startswith(str(folder)) for link in links):
                out.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return out


def _place(moment: Moment) -> str:
    return f"{moment.file}:{moment.function}"
