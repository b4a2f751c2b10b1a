"""A nursery of runs that kill themselves: imports the program once, then forks a run for every order it is given.

A run does one thing with an order (`Job.act`), and at a chosen moment of the code sends itself SIGKILL: nothing is
flushed, nothing closed. Without a moment it goes through with it and reports which moments it passed.

Talks lines of JSON on standard input and output: a job in, one report out.
"""

from __future__ import annotations

import asyncio
import dis
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import upstox_client  # noqa: F401 - imported before the fork, so that no run waits for it
import urllib3.exceptions  # noqa: F401 - as above

import tradetui
from tests.bad_days.crash_points import Moment, moments
from tradetui import wiring
from tradetui.config import Config, Home, Watch
from tradetui.domain.events import Event, OperatorEvent, OperatorKind
from tradetui.domain.gtt import GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderRequest, OrderStatus, Product, Side
from tradetui.engine import Outcome
from tradetui.runtime.core import Runtime

PACKAGE = str(Path(tradetui.__file__).parent) + os.sep
KEY = "NSE_EQ|INE002A01018"
QUIET_S = 0.6
"""Real seconds after the act's end in which late steps (a fill's trades, a reconciliation) are still seen."""


ACTS = {
    "submit": "an order that rests",
    "fill": "an order that fills at once",
    "modify": "a new price and quantity for an order that rests",
    "cancel": "an order that rests is taken back",
    "protect": "an order fills at once, and its stop is placed",
    "gtt place": "a GTT is placed",
    "gtt cancel": "a GTT is taken back",
    "lost": "an order that arrives and whose answer never comes, until the books have told",
    "gone": "the same of an order that never arrives",
    "begin": "the very first start, up to an order",
    "start": "a start with an order that rests, and a torn journal",
    "stop": "the end of a run with an order that rests",
}
"""What a run can do, and be killed in the middle of."""
FROM_THE_START = ("begin", "start")
"""Acts that begin with the run itself, before there is a price."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run does.

    Attributes:
        home, url: Data directory and main URL of the simulator.
        act: One of `ACTS`.
        kill: Number of the moment in `moments()`; -1 for none.
        occurrence: At which time the moment is reached, from 1.
    """

    home: str
    url: str
    act: str
    kill: int
    occurrence: int


class Tracer:
    """Follows the code of the order path line by line once armed. Before that it costs next to nothing."""

    def __init__(self, listed: list[Moment], kill: int, occurrence: int) -> None:
        self.hits: dict[int, int] = {}
        self._armed = False
        self._kill, self._occurrence = kill, occurrence
        self._at: dict[str, dict[int, list[tuple[int, Moment]]]] = {}
        for number, moment in enumerate(listed):
            self._at.setdefault(PACKAGE + moment.file.replace("/", os.sep), {}).setdefault(
                moment.first, []
            ).append((number, moment))
        self._open: dict[FrameType, list[tuple[int, Moment]]] = {}
        # Threads that send requests may begin before the act does.
        threading.settrace(self.enter)

    def arm(self) -> None:
        """Begin to count, and to kill."""
        if not self._armed:
            self._armed = True
            sys.settrace(self.enter)

    def disarm(self) -> None:
        """Count no more."""
        self._armed = False
        sys.settrace(None)

    def enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        """A function begins, or a coroutine goes on."""
        return self.step if self._armed and frame.f_code.co_filename in self._at else None

    def step(self, frame: FrameType, event: str, argument: Any) -> Any:
        """A line begins, or a function ends."""
        if not self._armed:
            return None
        if event == "line":
            line = frame.f_lineno
            self._close(frame, lambda moment: not moment.first <= line <= moment.last)
            for number, moment in self._at[frame.f_code.co_filename].get(line, ()):
                if not moment.after:
                    self._pass(number)
                elif (number, moment) not in self._open.get(frame, []):
                    self._open.setdefault(frame, []).append((number, moment))
        elif event == "exception" or (event == "return" and not _suspended(frame)):
            self._close(frame, lambda moment: True)
        return self.step

    def _close(self, frame: FrameType, is_over: Any) -> None:
        waiting = self._open.get(frame)
        if not waiting:
            return
        self._open[frame] = [one for one in waiting if not is_over(one[1])]
        for number, moment in waiting:
            if is_over(moment):
                self._pass(number)

    def _pass(self, number: int) -> None:
        self.hits[number] = self.hits.get(number, 0) + 1
        if number == self._kill and self.hits[number] == self._occurrence:
            os.kill(os.getpid(), signal.SIGKILL)


_OPCODES: dict[CodeType, bytes] = {}


def _suspended(frame: FrameType) -> bool:
    """Whether a frame returns only for a while: a coroutine that waits."""
    code = _OPCODES.setdefault(frame.f_code, frame.f_code.co_code)
    return dis.opname[code[frame.f_lasti]] in ("YIELD_VALUE", "INSTRUMENTED_YIELD_VALUE")


class Run:
    """One run: waits for a price, gets its order where the act begins, arms the tracer, acts."""

    def __init__(self, runtime: Runtime, act: str, tracer: Tracer) -> None:
        self._runtime = runtime
        self._act = act
        self._tracer = tracer
        self._placed = self._begun = False
        self.over = asyncio.Event()
        runtime.listeners.append(self.hear)

    def hear(self, event: Event, outcome: Outcome) -> None:
        """Go one step on whenever the engine has heard something."""
        engine = self._runtime.engine
        if engine.market(KEY).last is None:
            return
        if not self._placed:
            self._placed = True
            self._place()
        elif not self._begun:
            if self._rests():
                self._begin()
                self._change()
        elif self._is_over():
            self.over.set()

    def _begin(self) -> None:
        self._begun = True
        self._tracer.arm()

    def _place(self) -> None:
        if self._act == "start":
            self.over.set()
            return
        if self._act not in ("modify", "cancel", "gtt cancel", "stop"):
            self._begin()
        if self._act.startswith("gtt"):
            rule = GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, to_price(99))
            self._ask(OperatorKind.GTT_PLACE, gtt=GttRequest(KEY, Side.BUY, 10, Product.INTRADAY, (rule,)))
            return
        fills = self._act in ("fill", "protect")
        stop = to_price(98) if self._act == "protect" else to_price(0)
        price = to_price(100.05 if fills else 99)
        self._ask(
            OperatorKind.PLACE,
            request=OrderRequest(KEY, Side.BUY, 10, price=price, stop=stop, client_id="c1"),
        )

    def _rests(self) -> bool:
        manager = self._runtime.engine.desk.manager
        return any(order.status is OrderStatus.OPEN for order in manager.orders.values()) or any(
            gtt.status is GttStatus.ACTIVE for gtt in manager.gtts.gtts.values()
        )

    def _change(self) -> None:
        manager = self._runtime.engine.desk.manager
        match self._act:
            case "stop":
                self.over.set()
            case "gtt cancel":
                self._ask(OperatorKind.GTT_CANCEL, tag=next(iter(manager.gtts.gtts)))
            case "cancel":
                self._ask(OperatorKind.CANCEL, tag=next(iter(manager.orders)))
            case _:
                tag = next(iter(manager.orders))
                self._ask(OperatorKind.MODIFY, tag=tag, price=to_price(98), qty=12)

    def _is_over(self) -> bool:
        manager = self._runtime.engine.desk.manager
        orders, gtts = list(manager.orders.values()), list(manager.gtts.gtts.values())
        match self._act:
            case "submit" | "lost" | "begin":
                return orders[0].status is OrderStatus.OPEN
            case "fill":
                return bool(self._runtime.engine.desk.portfolio.fills)
            case "modify":
                return orders[0].request.qty == 12 and not orders[0].modify_pending
            case "cancel":
                return orders[0].status is OrderStatus.CANCELLED
            case "protect":
                return any(order.status is OrderStatus.TRIGGER_PENDING for order in orders)
            case "gtt place":
                return gtts[0].status is GttStatus.ACTIVE
            case "gtt cancel":
                return gtts[0].status is GttStatus.CANCELLED
            case _:
                return orders[0].status is OrderStatus.ABSENT

    def _ask(self, kind: OperatorKind, **fields: Any) -> None:
        self._runtime.take(OperatorEvent(self._runtime.parts.clock.now_ns(), kind, **fields))


async def live(job: Job, tracer: Tracer) -> None:
    """Run until the act is over and its late steps are done."""
    place = Home(Path(job.home), Path(job.home))
    settings = Config(watch=Watch(symbols=("RELIANCE",)))
    if job.act in FROM_THE_START:
        tracer.arm()
    runtime = Runtime(await wiring.join(wiring.Request(place, settings, (job.url, None, None, None))))
    run = Run(runtime, job.act, tracer)
    running = asyncio.create_task(runtime.run())
    done, _ = await asyncio.wait(
        [running, asyncio.create_task(run.over.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    if running in done:
        running.result()
    if job.act != "stop":
        await asyncio.sleep(QUIET_S)
        tracer.disarm()
    runtime.stop()
    await running


def child(job: Job, listed: list[Moment], out: int) -> None:
    """In the forked process: one run, and what it has to say about it."""
    tracer = Tracer(listed, job.kill, job.occurrence)
    try:
        asyncio.run(live(job, tracer))
    except BaseException as error:
        os.write(out, json.dumps({"error": repr(error)}).encode())
        os._exit(1)
    os.write(out, json.dumps({"hits": tracer.hits}).encode())
    os._exit(0)


def main() -> None:
    """Serve jobs until standard input ends."""
    listed = moments()
    print("ready", flush=True)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        inlet, outlet = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(inlet)
            child(job, listed, outlet)
        os.close(outlet)
        said = b""
        while part := os.read(inlet, 65536):
            said += part
        os.close(inlet)
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        report = json.loads(said) if said else {}
        print(json.dumps({"killed": killed, **report}), flush=True)


if __name__ == "__main__":
    main()
