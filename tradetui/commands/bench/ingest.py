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
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.commands.bench.server import FEEDS_A_FRAME, session_open_ns
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.domain.events import Event
    from tradetui.engine import Outcome
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import Parts

LIMITS: Final = {
    "dropped": 0.0,
    "tick_to_state_p99_ms": 10.0,
    "engine_cpu_pct": 60.0,
    "loop_lag_p99_ms": 10.0,
}
"""What the figures must not exceed."""
SHORT_BY: Final = 0.01
"""Share of the offered updates that may be taken later than they should: the schedule's ends are not sharp."""
RAMP: Final = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Rates tried after the measured stretch, as multiples of the asked one, until one is not sustained."""
RAMP_S: Final = 4.0
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

    @classmethod
    def after(cls, meter: Meter, start_ns: int, frame_ns: float, seconds: float) -> Schedule:
        """A stretch that begins a moment after the newest stamp."""
        first_ms = meter.newest_ms + 100
        return cls(start_ns, frame_ns, FEEDS_A_FRAME, first_ms, first_ms + round(seconds * 1000))

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

    def measure(self, schedule: Schedule) -> None:
        """Begin to count what belongs to a stretch."""
        self.taken = self.first_ns = self.last_ns = 0
        self.latencies_ms = []
        self.over.clear()
        self.schedule = schedule

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

    if options.ui:
        from tradetui.commands.bench import screen

        return screen.bench(options)
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


class Pace(Protocol):
    """A schedule of frames: exchange time of the first, and what lies between two, ns."""

    start_ns: float
    frame_ns: float


class Server:
    """The server's process: listens at once, begins to send when told.

    Args:
        options: What to offer.
        unlimited: It takes any number of requests.
        prepared: Its frames are ready made; it can begin anew at other rates.

    Attributes:
        main: Base address of its REST host.
        start_ns: Exchange time of the schedule's first frame.
        frame_ns: Between two frames.
    """

    def __init__(self, options: BenchOptions, *, unlimited: bool = False, prepared: bool = False) -> None:
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
                *(["prepared"] if prepared else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.main = str(self._answer()["main"])
        self.prepared = prepared
        self.start_ns: float = session_open_ns()
        self.frame_ns: float = FEEDS_A_FRAME * 1e9 / max(options.rate, 1)

    def begin(self) -> int:
        """Start its clock; returns what turns the exchange's clock into the machine's, ns."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        clocks = self._answer()
        self.start_ns, self.frame_ns = (
            clocks.get("start_ns", self.start_ns),
            clocks.get("frame_ns", self.frame_ns),
        )
        return int(clocks["monotonic_ns"]) - int(clocks["exchange_ns"])

    def again(self, rate: int) -> None:
        """Begin a new schedule."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"rate {rate}\n")
        self._process.stdin.flush()
        schedule = self._answer()
        self.start_ns, self.frame_ns = schedule["start_ns"], schedule["frame_ns"]

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
    # The ready-made frames are of full mode, a hundred instruments each.
    server = Server(options, prepared=options.mode == "full" and options.instruments % FEEDS_A_FRAME == 0)
    try:
        yield server
    finally:
        server.stop()


async def _measure(options: BenchOptions, folder: Path, server: Server) -> tuple[Meter, dict[str, float]]:
    from tradetui.runtime.core import Runtime

    meter = Meter()
    async with parts_at(options, folder, server.main, meter) as parts:
        runtime = Runtime(parts)
        runtime.listeners.append(meter.heard)
        running = asyncio.create_task(runtime.run())
        try:
            await _or_raise(runtime.started.wait(), running)
            await _or_raise(_until(lambda: meter.snapshots >= options.instruments), running)
            meter.exchange_to_monotonic_ns = await asyncio.to_thread(server.begin)
            await _or_raise(_until(lambda: meter.newest_ms > 0), running)
            await asyncio.sleep(SETTLE_S)
            figures = await stretch(options.seconds, meter, runtime, running, server)
            if server.prepared:
                figures["sustained_per_s"] = await _ramp(
                    options.rate, figures, meter, runtime, running, server
                )
        finally:
            runtime.stop()
            await asyncio.gather(running, return_exceptions=True)
        store = parts.store
        assert store is not None
        figures["dropped"] += store.dropped()
    return meter, figures


async def _ramp(
    rate: int,
    figures: dict[str, float],
    meter: Meter,
    runtime: Runtime,
    running: asyncio.Task[None],
    server: Server,
) -> float:
    """The highest rate that is taken without a loss and within the limit of the latency, updates a second."""
    best = 0.0
    for times in (1.0, *RAMP):
        if times > 1.0:
            await asyncio.to_thread(server.again, round(rate * times))
            await asyncio.sleep(1.0)
            figures = await stretch(RAMP_S, meter, runtime, running, server)
        late = figures["taken_per_s"] < (1 - SHORT_BY) * figures["offered_per_s"]
        if late or figures["dropped"] or figures["tick_to_state_p99_ms"] > LIMITS["tick_to_state_p99_ms"]:
            break
        best = figures["offered_per_s"]
    return best


async def stretch(
    seconds: float, meter: Meter, runtime: Runtime, running: asyncio.Task[None], server: Pace
) -> dict[str, float]:
    """A measured stretch."""
    from tradetui.runtime.telemetry import Latency, rss_mb

    meter.measure(Schedule.after(meter, int(server.start_ns), server.frame_ns, seconds))
    schedule = meter.schedule
    assert schedule is not None
    runtime.lag.samples, runtime.lag.max_ms = Latency(), 0.0
    bars_before = sum(runtime.bars.values())
    counted = dict(runtime.parts.feed.counters())
    loop_cpu, cpu, began = time.thread_time(), time.process_time(), time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + PATIENCE_S):
            await _or_raise(meter.over.wait(), running)
    loop_cpu, cpu = time.thread_time() - loop_cpu, time.process_time() - cpu
    wall = time.monotonic() - began
    counters = {name: count - counted[name] for name, count in runtime.parts.feed.counters().items()}
    taken_s = max((meter.last_ns - meter.first_ns) / 1e9, 1e-9)
    ordered = sorted(meter.latencies_ms) or [math.inf]
    return {
        "offered_per_s": schedule.offered / seconds,
        "taken_per_s": meter.taken / taken_s,
        "dropped": float(schedule.offered - meter.taken + counters["bad_frames"] + counters["dropped"]),
        "tick_to_state_p50_ms": percentile(ordered, 50),
        "tick_to_state_p99_ms": percentile(ordered, 99),
        "tick_to_state_max_ms": ordered[-1],
        "loop_lag_p99_ms": runtime.lag.samples.percentile_us(99) / 1000,
        "loop_lag_max_ms": runtime.lag.max_ms,
        "engine_cpu_pct": 100 * cpu / wall,
        "loop_cpu_pct": 100 * loop_cpu / wall,
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
async def parts_at(options: BenchOptions, folder: Path, main: str, meter: Meter) -> AsyncIterator[Parts]:
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
