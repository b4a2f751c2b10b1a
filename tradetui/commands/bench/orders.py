"""``bench orders``: from the key that confirms a ticket to the request's bytes, the risk gate, and a restart.

Key to wire: this process is `run`'s own runtime on its own thread, at a simulator in another process that sends
10,000 updates a second. The main thread stands in for the screen: it takes the time, puts the order in as the
ticket does (`RuntimeHandle.submit`), and the sending thread takes the time again when the whole request is in the
system's hands: behind the gate, the record in the journal with its fdatasync, the rate limits and the HTTP client.
The receiving end would add the simulator's own delays, and its share of two cores. Between orders a bare
fdatasync of a record's size is done in the same folder and timed.

Restart: a child process fills a day with 1,000 orders and is killed; a second one is timed from its start until
the broker's book, trades and positions are compared with the journal and no order is in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.ingest import Server, percentile
from tradetui.commands.bench.report import Result
from tradetui.commands.bench.trader import joined, resting_order
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.brokers.upstox.endpoints import Endpoint
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import JournalPort, Parts

LIMITS: Final = {
    "key_to_wire_p50_ms": 3.0,
    "key_to_wire_p99_ms": 10.0,
    "gate_us": 200.0,
    "recover_s": 3.0,
}
"""What the figures must not exceed."""
ORDERS_PER_S: Final = 6.0
"""Below what the rate limits let through, so that no order waits for them."""
ORDERS_IN_DAY: Final = 1_000
_SETTLE_S: Final = 3.0
_SHARES: Final = 20
_RECORD_BYTES: Final = 900
"""An intent and an order record with their frames."""
_GATE_ROUNDS: Final = 1_000
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Timed:
    """The journal of the run, each of its syncs timed."""

    inner: JournalPort
    syncs_ns: list[int] = field(default_factory=list)

    def sync(self) -> None:
        """Make everything added durable, and note how long it took."""
        began = time.perf_counter_ns()
        self.inner.sync()
        self.syncs_ns.append(time.perf_counter_ns() - began)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def bench(options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: The simulator did not start, an order was refused, or a child did not answer.
    """
    result = Result("orders", limits=dict(LIMITS))
    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as folder:
        # Our own limits hold. Those of a server that stalls on a busy machine would see bursts that nobody sent.
        with _server(options, unlimited=True) as server:
            server.begin()
            _key_to_wire(options, server.main, Path(folder) / "wire", result)
        # A quiet market: how fast books are read and compared is measured here, not the feed.
        with _server(replace(options, instruments=200, rate=200), unlimited=True) as server:
            server.begin()
            _recover(server.main, Path(folder) / "day", result)
    return result


@contextlib.contextmanager
def _server(options: BenchOptions, *, unlimited: bool) -> Iterator[Server]:
    server = Server(options, unlimited=unlimited)
    try:
        yield server
    finally:
        server.stop()


# --- key to wire --------------------------------------------------------------------------------------


def _key_to_wire(options: BenchOptions, main: str, home: Path, result: Result) -> None:
    from tradetui.domain.view import Look
    from tradetui.runtime.handle import RuntimeHandle

    wire: queue.SimpleQueue[int] = queue.SimpleQueue()
    journal: list[Timed] = []

    async def make() -> Parts:
        parts = await joined(main, home)
        timed = Timed(parts.journal)
        journal.append(timed)
        parts.journal = timed
        assert parts.login is not None
        parts.login.api.on_wire = _placed(wire)
        return parts

    handle = RuntimeHandle(make, deque())
    handle.start()
    try:
        runtime = handle.runtime
        assert runtime is not None
        shares = _stream(runtime, options.instruments)
        handle.look(Look(watch=tuple(shares), selected=shares[0]))
        _wait(lambda: all(runtime.engine.market(key).last is not None for key in shares))
        time.sleep(_SETTLE_S)
        journal[0].syncs_ns.clear()
        ticks, began = runtime.ticks, time.monotonic()
        taken_ms, bare_ms, synced_ms = _orders(
            handle.submit, runtime, shares, wire, journal[0], options, home
        )
        taken = (runtime.ticks - ticks) / (time.monotonic() - began)
        gate_us = _on_loop(runtime, lambda: _gate_us(runtime, shares))
        lag_ms = runtime.lag.samples.percentile_us(99) / 1000
    finally:
        handle.stop()
        handle.join(_PATIENCE_S)
    ordered, bare, synced = sorted(taken_ms), sorted(bare_ms), sorted(synced_ms)
    result.figures |= {
        "key_to_wire_p50_ms": percentile(ordered, 50),
        "key_to_wire_p99_ms": percentile(ordered, 99),
        "key_to_wire_max_ms": ordered[-1],
        "gate_us": gate_us,
        "orders": float(len(ordered)),
        "taken_per_s": taken,
        "loop_lag_p99_ms": lag_ms,
        "journal_sync_p50_ms": percentile(synced, 50),
        "journal_sync_p99_ms": percentile(synced, 99),
        "journal_share": percentile(synced, 50) / percentile(ordered, 50),
    }
    result.bounds |= {
        "fdatasync_p50_ms": percentile(bare, 50),
        "fdatasync_p99_ms": percentile(bare, 99),
        "fdatasync_share": percentile(bare, 50) / percentile(ordered, 50),
    }


def _placed(wire: queue.SimpleQueue[int]) -> Callable[[Endpoint, int], None]:
    from tradetui.brokers.upstox.endpoints import PLACE

    def told(endpoint: Endpoint, t_ns: int) -> None:
        if endpoint is PLACE:
            wire.put(t_ns)

    return told


def _stream(runtime: Runtime, count: int) -> list[str]:
    """Stream everything; returns the shares to trade."""
    found = runtime.parts.search("BENCH", count)

    def watch() -> None:
        for instrument in found:
            runtime.watch(instrument)

    _on_loop(runtime, watch)
    return [one.key for one in found if one.segment == "NSE_EQ"][:_SHARES]


def _orders(
    submit: Callable[[Any], None],
    runtime: Runtime,
    shares: list[str],
    wire: queue.SimpleQueue[int],
    journal: Timed,
    options: BenchOptions,
    home: Path,
) -> tuple[list[float], list[float], list[float]]:
    """Send orders at uneven moments; milliseconds to the wire, of bare syncs, and of the journal's own."""
    from tradetui.domain.events import OperatorEvent, OperatorKind

    chance = random.Random(1)
    taken, synced, bare = [], [], []
    with (home / "bare").open("wb", buffering=0) as file:
        for number in range(max(20, round(options.seconds * ORDERS_PER_S))):
            event = OperatorEvent(
                0, OperatorKind.PLACE, resting_order(runtime, shares[number % len(shares)], f"key-{number}")
            )
            before = len(journal.syncs_ns)
            began = time.perf_counter_ns()
            submit(event)
            try:
                taken.append((wire.get(timeout=10) - began) / 1e6)
            except queue.Empty:
                last = next(reversed(runtime.engine.desk.manager.orders.values()), None)
                words = last.message if last is not None else "it was not taken"
                raise TradeTuiError(f"an order of the benchmark did not leave: {words}") from None
            # Of the syncs since then the longest was the one before the order; others had nothing to write.
            synced.append(max(journal.syncs_ns[before:], default=0) / 1e6)
            time.sleep(0.3 / ORDERS_PER_S)
            file.write(bytes(_RECORD_BYTES))
            at = time.perf_counter_ns()
            getattr(os, "fdatasync", os.fsync)(file.fileno())
            bare.append((time.perf_counter_ns() - at) / 1e6)
            time.sleep(chance.uniform(0.4, 1.0) / ORDERS_PER_S)
    return taken, bare, synced


def _gate_us(runtime: Runtime, shares: list[str]) -> float:
    """Median time of one judgement of the risk gate, its facts gathered anew, us."""
    from tradetui.risk.gate import judge

    desk = runtime.engine.desk
    requests = [resting_order(runtime, key, f"gate-{key}") for key in shares]
    took = []
    for number in range(_GATE_ROUNDS):
        request = requests[number % len(requests)]
        began = time.perf_counter_ns()
        judge(desk.facts.of(request))
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1000


def _on_loop(runtime: Runtime, work: Callable[[], Any]) -> Any:
    """Do something on the runtime's thread and wait for it."""
    loop = runtime.loop
    assert loop is not None

    async def done() -> Any:
        return work()

    return asyncio.run_coroutine_threadsafe(done(), loop).result(_PATIENCE_S)


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TradeTuiError("the benchmark's simulator sent no prices")
        time.sleep(0.02)


# --- restart ------------------------------------------------------------------------------------------


def _recover(main: str, home: Path, result: Result) -> None:
    """Fill a day, kill the process, and time the next one."""
    first = _Trader(main, home, ORDERS_IN_DAY)
    try:
        filled = first.answer()
    finally:
        first.kill()
    began = time.perf_counter()
    second = _Trader(main, home, 0)
    try:
        found = second.answer()
        result.figures["recover_s"] = time.perf_counter() - began
    finally:
        second.kill()
    if found["orders"] != filled["orders"]:
        raise TradeTuiError(f"{filled['orders']} orders before the kill, {found['orders']} after it")
    result.figures["recover_orders"] = float(found["orders"])
    result.bounds["recover_inside_s"] = float(found["inside_s"])


class _Trader:
    """A child that trades, and is killed with SIGKILL."""

    def __init__(self, main: str, home: Path, count: int) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradetui.commands.bench.trader", main, str(home), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def answer(self) -> dict[str, Any]:
        """Its line.

        Raises:
            TradeTuiError: None came, or it says what went wrong.
        """
        assert self._process.stdout is not None
        patience = threading.Timer(_PATIENCE_S * 2, self._process.kill)
        patience.start()
        line = self._process.stdout.readline()
        patience.cancel()
        if not line:
            raise TradeTuiError("a process of the benchmark ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TradeTuiError(f"a process of the benchmark ended: {answer['error']}")
        return answer

    def kill(self) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
