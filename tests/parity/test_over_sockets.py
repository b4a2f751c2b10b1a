"""A run over sockets, recorded: the recorded inbox alone writes the same journal again."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from tradetui import wiring
from tradetui.config import home, parse
from tradetui.domain.calendar import ns
from tradetui.domain.errors import StorageError
from tradetui.domain.events import AccountSnapshot, Event, FillEvent, OperatorEvent, OperatorKind, TickEvent
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.engine import Outcome
from tradetui.journal import MemoryJournal, encode
from tradetui.runtime.core import Runtime
from tradetui.runtime.pump import Pump
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions
from tradetui.wiring.inbox import RecordedRun

pytestmark = pytest.mark.timeout(180)
SETTINGS = """
[account]
capital = 2_000_000
[risk]
max_positions = 20
max_intraday_positions = 20
min_score = 45
[strategies.vote]
intervals = ["1m"]
"""


@dataclass
class Ran:
    """A recorded run over sockets."""

    sha256: str
    records: list[Record]
    recording: Path
    ticks: int


class Person:
    """Trades along: one instrument after the other is bought, a far limit placed and cancelled, all sold."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ticks = 0
        runtime.listeners.append(self.heard)

    def heard(self, event: Event, outcome: Outcome) -> None:
        if not isinstance(event, TickEvent):
            return
        self._ticks += 1
        if self._ticks == 1:
            self._ask(OperatorEvent(event.t_ns, OperatorKind.AUTO_ON, name="vote"))
        if self._ticks % 400 == 200:
            self._trade(event.t_ns, self._ticks // 400)
        if self._ticks % 1600 == 0:
            self._ask(OperatorEvent(event.t_ns, OperatorKind.CANCEL_ALL))

    def _trade(self, t_ns: int, number: int) -> None:
        engine = self._runtime.engine
        instrument = engine.universe.instruments[number % 3]
        last, tick = engine.market(instrument.key).last, instrument.tick_size
        if last is None:
            return
        side = Side.BUY if number % 2 else Side.SELL
        market = number % 3 != 2
        price = Price(0) if market else Price(round(last * 0.97) // tick * tick)
        self._ask(
            OperatorEvent(
                t_ns,
                OperatorKind.PLACE,
                request=OrderRequest(
                    instrument.key,
                    side if market else Side.BUY,
                    instrument.lot_size,
                    Product.INTRADAY,
                    OrderType.MARKET if market else OrderType.LIMIT,
                    price,
                    client_id=f"c{number}",
                ),
            )
        )

    def _ask(self, wish: OperatorEvent) -> None:
        # As the screen does it: put into the inbox, taken after what is being worked on.
        asyncio.get_running_loop().call_soon(self._runtime.take, wish)


async def ran(sim: SimulatorServer, place: Path) -> Ran:
    """One recorded run to the end of the world, in the same home."""
    settings = parse(SETTINGS)
    where = home(str(place))
    parts = await wiring.join(
        wiring.Request(where, settings, (sim.urls.main, None, None, None), ends=True, record=True)
    )
    runtime = Runtime(parts)
    records: list[Record] = []
    keep: Callable[[Event, Outcome], None] = lambda event, outcome: records.extend(outcome.records)  # noqa: E731
    runtime.listeners.append(keep)
    Person(runtime)
    await runtime.run()
    (recording,) = sorted(where.data_dir.glob("**/recordings/*"), key=lambda path: path.stat().st_mtime_ns)[
        -1:
    ]
    return Ran(runtime.summary()["journal_sha256"], records, recording, runtime.ticks)


def cut_out(day: Path, folder: Path) -> Path:
    """The twenty minutes from 10:00 (recorder's clock) of the named recordings.

    The binary file of the same frames names no contracts, so its options have no expiry.
    """
    folder.mkdir()
    first_ms = ns(date(2025, 12, 15), "10:00") // 1_000_000
    for path in sorted(day.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            kept = [line for line in lines if 0 <= json.loads(line)["rx_ms"] - first_ms < 1_200_000]
        (folder / path.name).write_bytes(gzip.compress("".join(kept).encode(), 1))
    return folder


def play_back(path: Path) -> tuple[MemoryJournal, list[Event], RecordedRun]:
    """The recording through a fresh engine that talks to nobody."""
    run, journal, events = RecordedRun(path), MemoryJournal(), []
    pump = Pump(run.engine, None, journal)
    for event in run.events():
        events.append(event)
        pump.take(event)
    return journal, events, run


def content(records: list[Record]) -> list[bytes]:
    return [encode([record.t_ns, record.kind.value, record.data]) for record in records]


async def test_P_a_paper_run_of_a_recorded_day_is_its_replay_to_the_hash_of_orders_and_all(
    shared_data: Path, tmp_path: Path
) -> None:
    """There is no separate back-test: the replay of a recording through a fresh engine is the offline run."""
    world = cut_out(shared_data / "feed" / "upstox_v3_2025-12-15", tmp_path / "world")
    options = SimOptions(replay=world, speed=None, auto_approve=True)
    async with SimulatorServer(options) as sim:
        first = await ran(sim, tmp_path / "home")
    assert first.ticks == 10_113
    kinds = [record.kind for record in first.records]
    assert kinds.count(RecordKind.FILL) >= 4
    assert kinds.count(RecordKind.INTENT) >= 6
    journal, events, run = play_back(first.recording)
    assert run.reader.clean
    assert content(journal.kept) == content(first.records)
    assert journal.content.hexdigest() == first.sha256
    assert sum(len(event.batch) for event in events if isinstance(event, TickEvent)) == 10_113
    assert any(isinstance(event, AccountSnapshot) for event in events)
    assert any(isinstance(event, FillEvent) for event in events)

    # The same home again: orders, trades and positions of the day are given back, and that replays too.
    async with SimulatorServer(options) as sim:
        second = await ran(sim, tmp_path / "home")
    assert second.recording != first.recording
    again, _, run = play_back(second.recording)
    assert run.beginning.orders
    assert content(again.kept) == content(second.records)
    assert again.content.hexdigest() == second.sha256

    # A recording that misses one event is not the same run.
    journal = MemoryJournal()
    run = RecordedRun(first.recording)
    pump = Pump(run.engine, None, journal)
    gone = next(n for n, event in enumerate(events) if isinstance(event, FillEvent))
    for number, event in enumerate(run.events()):
        if number != gone:
            pump.take(event)
    assert journal.content.hexdigest() != first.sha256

    not_ours = tmp_path / "other.inbox.zst"
    not_ours.write_bytes(first.recording.read_bytes()[:3])
    with pytest.raises(StorageError):
        RecordedRun(not_ours)
