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
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Side
from tradetui.engine import Outcome
from tradetui.runtime.core import Runtime

PACKAGE = str(Path(tradetui.__file__).parent) + os.sep
KEY = "NSE_EQ|INE002A01018"
QUIET_S = 0.6
"""Real seconds after the act's end in which late steps (a fill's trades, a reconciliation) are still seen."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run does.

    Attributes:
        home, url: Data directory and main URL of the simulator.
        act: ``submit`` (rests), ``fill`` (fills at once), ``modify``, ``cancel``; ``start`` and ``stop`` of a run
            with an order that rests; ``lost``: an answer that never comes, until the books have told.
        kill: Number of the moment in `moments()`; -1 for none.
        occurrence: At which time the moment is reached, from 1.
    """

    home: str
    url: str
    act: str
    kill: int
    occurrence: int


class Tracer:
    """Follows the code of the order path line by line once armed."""

    def __init__(self, listed: list[Moment], kill: int, occurrence: int) -> None:
        self.hits: dict[int, int] = {}
        self.armed = False
        self._kill, self._occurrence = kill, occurrence
        self._at: dict[str, dict[int, list[tuple[int, Moment]]]] = {}
        for number, moment in enumerate(listed):
            self._at.setdefault(PACKAGE + moment.file.replace("/", os.sep), {}).setdefault(
                moment.first, []
            ).append((number, moment))
        self._open: dict[FrameType, list[tuple[int, Moment]]] = {}

    def install(self) -> None:
        threading.settrace(self.enter)
        sys.settrace(self.enter)

    def enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.step if frame.f_code.co_filename in self._at else None

    def step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not self.armed:
            return self.step
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
        self._begun = self._placed = False
        self.over = asyncio.Event()
        runtime.listeners.append(self.hear)

    def hear(self, event: Event, outcome: Outcome) -> None:
        engine = self._runtime.engine
        if engine.market(KEY).last is None:
            return
        if not self._placed:
            self._placed = True
            if self._act == "start":
                self.over.set()
                return
            at_once = self._act in ("submit", "fill", "lost")
            self._tracer.armed = self._begun = at_once
            price = to_price(100.05 if self._act == "fill" else 99)
            request = OrderRequest(KEY, Side.BUY, 10, price=price, client_id="c1")
            self._ask(OperatorKind.PLACE, request=request)
            return
        if not engine.desk.manager.orders:
            return
        order = next(iter(engine.desk.manager.orders.values()))
        if not self._begun and order.status is OrderStatus.OPEN:
            self._begun = self._tracer.armed = True
            if self._act == "stop":
                self.over.set()
                return
            kind = OperatorKind.CANCEL if self._act == "cancel" else OperatorKind.MODIFY
            terms: dict[str, Any] = {"price": to_price(98), "qty": 12} if self._act == "modify" else {}
            self._ask(kind, tag=order.tag, **terms)
        elif self._begun and self._is_over(order):
            self.over.set()

    def _is_over(self, order: Order) -> bool:
        if self._act in ("submit", "lost"):
            return order.status is OrderStatus.OPEN
        if self._act == "fill":
            return bool(self._runtime.engine.desk.portfolio.fills)
        if self._act == "cancel":
            return order.status is OrderStatus.CANCELLED
        return order.request.qty == 12 and not order.modify_pending

    def _ask(self, kind: OperatorKind, **fields: Any) -> None:
        self._runtime.take(OperatorEvent(self._runtime.parts.clock.now_ns(), kind, **fields))


async def live(job: Job, tracer: Tracer) -> None:
    """Run until the act is over and its late steps are done."""
    place = Home(Path(job.home), Path(job.home))
    settings = Config(watch=Watch(symbols=("RELIANCE",)))
    tracer.armed = job.act == "start"
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
        tracer.armed = False
    runtime.stop()
    await running


def child(job: Job, out: int) -> None:
    """In the forked process."""
    tracer = Tracer(moments(), job.kill, job.occurrence)
    tracer.install()
    try:
        asyncio.run(live(job, tracer))
    except BaseException as error:
        os.write(out, json.dumps({"error": repr(error)}).encode())
        os._exit(1)
    os.write(out, json.dumps({"hits": tracer.hits}).encode())
    os._exit(0)


def main() -> None:
    """Serve jobs until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        inlet, outlet = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(inlet)
            child(job, outlet)
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
