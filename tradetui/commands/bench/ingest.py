"""``bench ingest``: frames from our own server's process over loopback, through decoder, state and bars to the store.

The server works off a schedule and stamps each frame with the moment it was due. Latency is counted from that
moment to the moment when state, bars and store have the frame, both by the machine's monotonic clock, so a server
or client that falls behind cannot hide it (no coordinated omission). The stamp has whole milliseconds and is
rounded down: what is shown is up to one millisecond too much.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.domain.events import Event
    from tradetui.engine import Outcome
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import Parts

LIMITS: Final = {"dropped": 0.0, "tick_to_state_p99_ms": 20.0, "engine_cpu_pct": 60.0}
"""What the figures must not exceed."""
FEEDS_A_FRAME: Final = 100
SETTLE_S: Final = 2.0
"""Between the first frames and the measured stretch: snapshots, first pages, caches."""
PATIENCE_S: Final = 30.0
"""Longest wait for the frames of the measured stretch after its end."""
_MINUTES_IN: Final = 46
"""The minute that ends inside the measured stretch, counted from the open."""
_KEPT_FRAMES: Final = 400
_ROUNDS: Final = 7
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the server's frames are due, and what is measured of it.

    Attributes:
        start_ns: Exchange time of frame 0.
        frame_ns: Between two frames.
        feeds: Updates in a frame.
        first_ms: First stamp that counts.
        end_ms: First stamp that no longer does.
    """

    start_ns: int
    frame_ns: float
    feeds: int
    first_ms: int
    end_ms: int

    @property
    def offered(self) -> int:
        """Updates due in the measured stretch."""
        return (self._frames_before(self.end_ms) - self._frames_before(self.first_ms)) * self.feeds

    def _frames_before(self, ms: int) -> int:
        """Frames with a stamp below ``ms``: those due before it began."""
        number = max(0, math.ceil((ms * _NS_PER_MS - self.start_ns) / self.frame_ns))
        # The due time is rounded to a nanosecond, so the neighbours are looked at.
        while self._stamp(number) < ms:
            number += 1
        while number > 0 and self._stamp(number - 1) >= ms:
            number -= 1
        return number

    def _stamp(self, number: int) -> int:
        return (self.start_ns + round(number * self.frame_ns)) // _NS_PER_MS


@dataclass(slots=True)
class Meter:
    """Listens to the runtime and counts what belongs to the measured stretch.

    Attributes:
        exchange_to_monotonic_ns: What turns the exchange's clock into the machine's.
        schedule: Set when the measured stretch is known.
        taken: Updates of it that have arrived.
        latencies_ms: From due to done, a frame each.
        frames: Raw frames kept for the bare decoder.
    """

    exchange_to_monotonic_ns: int = 0
    schedule: Schedule | None = None
    taken: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    first_ns: int = 0
    last_ns: int = 0
    newest_ms: int = 0
    snapshots: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, event: Event, _outcome: Outcome) -> None:
        """The runtime has worked an event off: state, bars and store have it."""
        batch = getattr(event, "batch", None)
        if batch is None:
            return
        if not batch.kind:
            self.snapshots += len(batch)
            return
        self.newest_ms = max(self.newest_ms, batch.server_ms)
        schedule = self.schedule
        if schedule is None or batch.server_ms < schedule.first_ms:
            return
        if batch.server_ms >= schedule.end_ms:
            self.over.set()
            return
        now = time.monotonic_ns()
        self.first_ns = self.first_ns or now
        self.last_ns = now
        self.taken += len(batch)
        self.latencies_ms.append((now - batch.server_ms * _NS_PER_MS - self.exchange_to_monotonic_ns) / 1e6)

    def keep(self, _t_ns: int, raw: bytes) -> None:
        """Keep some raw frames of the measured stretch."""
        if self.schedule is not None and len(self.frames) < _KEPT_FRAMES:
            self.frames.append(raw)


def bench(options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: The server did not start, or its frames never came.
    """
    from tradetui.runtime.handle import loop_factory

    with (
        tempfile.TemporaryDirectory(prefix="tradetui-bench-") as folder,
        _server(options) as server,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        meter, figures = runner.run(_measure(options, Path(folder), server))
    bare_us = bare_decode_us(meter.frames)
    result = Result("ingest", figures, limits=dict(LIMITS))
    result.bounds["bare_fromstring_us_per_feed"] = bare_us
    if bare_us:
        figures["cpu_ratio_to_bare"] = figures["cpu_us_per_feed"] / bare_us
    return result


class Server:
    """The server's process: listens at once, begins to send when told.

    Args:
        options: What to offer.
        unlimited: It takes any number of requests.
    """

    def __init__(self, options: BenchOptions, *, unlimited: bool = False) -> None:
        # A minute ends well inside the measured stretch, so that bars close while it is measured.
        into_s = _MINUTES_IN * 60 - SETTLE_S - min(0.4 * options.seconds, 50.0)
        numbers = (str(options.instruments), str(options.rate), str(into_s))
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-m",
                "tradetui.commands.bench.server",
                *numbers,
                *(["open"] if unlimited else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.main = str(self._answer()["main"])

    def begin(self) -> int:
        """Start its clock; returns what turns the exchange's clock into the machine's, ns."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        clocks = self._answer()
        return int(clocks["monotonic_ns"]) - int(clocks["exchange_ns"])

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise TradeTuiError("the server of the benchmark did not start", "try `tradetui sim` by itself")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def _server(options: BenchOptions) -> Iterator[Server]:
    server = Server(options)
    try:
        yield server
    finally:
        server.stop()


async def _measure(options: BenchOptions, folder: Path, server: Server) -> tuple[Meter, dict[str, float]]:
    from tradetui.runtime.core import Runtime

    meter = Meter()
    async with _parts(options, folder, server.main, meter) as parts:
        runtime = Runtime(parts)
        runtime.listeners.append(meter.heard)
        running = asyncio.create_task(runtime.run())
        try:
            await _or_raise(runtime.started.wait(), running)
            await _or_raise(_until(lambda: meter.snapshots >= options.instruments), running)
            meter.exchange_to_monotonic_ns = await asyncio.to_thread(server.begin)
            await _or_raise(_until(lambda: meter.newest_ms > 0), running)
            await asyncio.sleep(SETTLE_S)
            figures = await _stretch(options, meter, runtime, running)
        finally:
            runtime.stop()
            await asyncio.gather(running, return_exceptions=True)
        store = parts.store
        assert store is not None
        figures["dropped"] += store.dropped()
    return meter, figures


async def _stretch(
    options: BenchOptions, meter: Meter, runtime: Runtime, running: asyncio.Task[None]
) -> dict[str, float]:
    """The measured stretch."""
    from tradetui.commands.bench.server import session_open_ns
    from tradetui.runtime.telemetry import Latency, rss_mb

    first_ms = meter.newest_ms + 100
    meter.schedule = schedule = Schedule(
        session_open_ns(),
        FEEDS_A_FRAME * 1e9 / options.rate,
        FEEDS_A_FRAME,
        first_ms,
        first_ms + round(options.seconds * 1000),
    )
    runtime.lag.samples, runtime.lag.max_ms = Latency(), 0.0
    bars_before = sum(runtime.bars.values())
    cpu, began = time.process_time(), time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(options.seconds + PATIENCE_S):
            await _or_raise(meter.over.wait(), running)
    cpu, wall = time.process_time() - cpu, time.monotonic() - began
    counters = runtime.parts.feed.counters()
    taken_s = max((meter.last_ns - meter.first_ns) / 1e9, 1e-9)
    ordered = sorted(meter.latencies_ms) or [math.inf]
    return {
        "offered_per_s": schedule.offered / options.seconds,
        "taken_per_s": meter.taken / taken_s,
        "dropped": float(schedule.offered - meter.taken + counters["bad_frames"] + counters["dropped"]),
        "tick_to_state_p50_ms": percentile(ordered, 50),
        "tick_to_state_p99_ms": percentile(ordered, 99),
        "tick_to_state_max_ms": ordered[-1],
        "loop_lag_p99_ms": runtime.lag.samples.percentile_us(99) / 1000,
        "loop_lag_max_ms": runtime.lag.max_ms,
        "engine_cpu_pct": 100 * cpu / wall,
        "cpu_us_per_feed": 1e6 * cpu / max(meter.taken, 1),
        "decode_to_store_p50_us": runtime.latency.percentile_us(50),
        "decode_to_store_p99_us": runtime.latency.percentile_us(99),
        "frames": float(len(meter.latencies_ms)),
        "bars": float(sum(runtime.bars.values()) - bars_before),
        "rss_mb": rss_mb(),
    }


async def _until(true: Callable[[], bool]) -> None:
    """Return when something that the listener counts has come about.

    Raises:
        TradeTuiError: It never did.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            # Asked now and then: an event set for each frame would cost what is being measured.
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TradeTuiError("the frames of the benchmark's server never came") from None


async def _or_raise(waiting: Any, running: asyncio.Task[None]) -> None:
    """Wait for something, or for the runtime's failure, whichever comes first."""
    wanted = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({wanted, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            raise TradeTuiError("the runtime ended before the measurement")
        wanted.result()
    finally:
        wanted.cancel()


@contextlib.asynccontextmanager
async def _parts(options: BenchOptions, folder: Path, main: str, meter: Meter) -> AsyncIterator[Parts]:
    """The client: the parts that `run` uses for an account on paper."""
    from tradetui.brokers.paper import PaperBroker
    from tradetui.brokers.upstox.api import UpstoxApi
    from tradetui.brokers.upstox.auth import login_simulator
    from tradetui.brokers.upstox.feed import UpstoxFeed
    from tradetui.brokers.upstox.master_sync import MasterFile
    from tradetui.brokers.upstox.reads import feed_address
    from tradetui.clock import FollowedClock
    from tradetui.commands.bench.server import DAY
    from tradetui.config import Config
    from tradetui.domain.calendar import Calendar
    from tradetui.domain.money import Money, to_money
    from tradetui.domain.view import Mode
    from tradetui.engine import Engine, EngineSettings
    from tradetui.journal import Journal
    from tradetui.market.universe import Universe
    from tradetui.ports import FeedMode
    from tradetui.storage.store import Store
    from tradetui.wiring.journals import Projected
    from tradetui.wiring.parts import Parts
    from tradetui.wiring.settings import charge_from, limits_from

    login = await login_simulator(main)
    clock, calendar, universe, settings = (
        FollowedClock(login.clock_ms * _NS_PER_MS), Calendar.default(), Universe(), Config(),
    )  # fmt: skip
    master = (await asyncio.to_thread(MasterFile(folder, login.hosts).sync, DAY, force=True)).master
    for instrument in master:
        universe.add(instrument)
    engine = Engine(
        EngineSettings(limits_from(settings, live=False)), calendar, universe, charge_from(settings)
    )
    engine.begin(clock.now_ns())
    api = UpstoxApi(login.hosts, login.token)
    feed = UpstoxFeed(
        login.hosts, lambda: feed_address(api), universe.slots, clock,
        on_frame=meter.keep, on_server_time=clock.observe,
    )  # fmt: skip
    feed.subscribe(dict.fromkeys(universe.slots, FeedMode(options.mode)))
    store = await asyncio.to_thread(Store.open, folder, universe.instruments)
    journal = Projected(Journal(folder / "journal"), store.records)
    broker = PaperBroker(
        universe.instruments, lambda _one, _t_ns: "CONTINUOUS", capital=Money(to_money(50_000)),
        start_ns=clock.now_ns(),
    )  # fmt: skip
    try:
        yield Parts(
            mode=Mode.PAPER, account="", host=login.hosts.label, engine=engine, universe=universe, clock=clock,
            feed=feed, broker=broker, journal=journal, store=store, watch=[], lookup=master.get,
            search=master.search,
        )  # fmt: skip
    finally:
        await asyncio.to_thread(store.close)
        journal.close()
        await api.close()
        master.close()


def bare_decode_us(frames: list[bytes]) -> float:
    """What bare ``FeedResponse.FromString`` needs for a feed of these frames, us; the median of some rounds."""
    from tradetui.pb.market_feed_v3_pb2 import FeedResponse

    feeds = sum(len(FeedResponse.FromString(raw).feeds) for raw in frames)
    if not feeds:
        return 0.0
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for raw in frames:
            FeedResponse.FromString(raw)
        rounds.append(time.process_time() - began)
    return 1e6 * statistics.median(rounds) / feeds


def percentile(ordered: list[float], pct: float) -> float:
    """A percentile of numbers in ascending order, by the nearest rank."""
    return ordered[min(len(ordered) - 1, max(0, math.ceil(len(ordered) * pct / 100) - 1))]
