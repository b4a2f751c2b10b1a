"""Two replays of one recording with the same acts at the same places write the same journal, at any speed."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradetui.config import Config, Home, parse
from tradetui.domain.calendar import ns
from tradetui.domain.calendar.ist import ist_date
from tradetui.domain.events import OperatorEvent, OperatorKind, TickEvent
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.replay import Steer, steer_of
from tradetui.domain.view import Mode
from tradetui.journal import encode, read
from tradetui.pb.market_feed_v3_pb2 import FeedResponse
from tradetui.runtime.core import Runtime
from tradetui.storage.recording import InboxReader
from tradetui.storage.recording import RecordKind as Kind
from tradetui.wiring.recordings import import_market, of_day
from tradetui.wiring.replay import ReplayRequest, join_replay

pytestmark = pytest.mark.timeout(240)
TICKS = 10_113
SETTINGS = """
[account]
capital = 2_000_000
[risk]
max_positions = 20
max_intraday_positions = 20
min_score = 45
max_ltp_distance = 5
[strategies.vote]
intervals = ["1m"]
"""


@pytest.fixture(scope="module")
def recording(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded twenty minutes, imported once."""
    source = shared_data / "feed" / "upstox_v3_2025-12-15" / "frames_10h00.pb.gz"
    return import_market(tmp_path_factory.mktemp("imported"), source)


@dataclass
class Ran:
    """What a replay left behind."""

    sha256: str
    records: list[Record]
    ticks: int
    folder: Path
    orders: list[OrderStatus]

    def content(self) -> list[bytes]:
        return [encode([r.t_ns, r.kind.value, r.data]) for r in self.records if r.kind is not RecordKind.RUN]


class Steered:
    """A replay that is driven as a person would, from standstill to standstill."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def do(self, line: str) -> None:
        asked = steer_of(line.split())
        assert isinstance(asked, Steer)
        replay = self.runtime.parts.replay
        assert replay is not None
        replay.steer(asked)
        await replay.rest()

    def take(self, kind: OperatorKind, **terms: object) -> None:
        now_ns = self.runtime.parts.clock.now_ns()
        self.runtime.take(OperatorEvent(now_ns, kind, **terms))  # type: ignore[arg-type]

    def buy(self, key: str, client_id: str) -> None:
        instrument = self.runtime.engine.universe.get(key)
        assert instrument is not None
        self.take(
            OperatorKind.PLACE,
            request=OrderRequest(
                key, Side.BUY, instrument.lot_size, Product.INTRADAY, OrderType.MARKET, client_id=client_id
            ),
        )


async def play(
    home: Path, what: str, speed: float, *, trade: bool = True, settings: Config | None = None
) -> Ran:
    """One replay from 10:05, with the same acts at the same places."""
    home.mkdir(exist_ok=True)
    request = ReplayRequest(
        Home(home, home),
        settings or parse(SETTINGS),
        what,
        speed=speed,
        from_s=36_300,
        paused=trade,
        ends=True,
    )
    parts = await join_replay(request)
    assert parts.mode is Mode.REPLAY
    runtime = Runtime(parts)
    records: list[Record] = []
    runtime.listeners.append(lambda event, outcome: records.extend(outcome.records))
    task = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    assert parts.replay is not None
    if trade:
        await parts.replay.rest()
        await _trade(Steered(runtime))
    await task
    (folder,) = sorted((home / "replay" / "runs").iterdir())[-1:]
    orders = [order.status for order in runtime.engine.desk.manager.orders.values()]
    return Ran(runtime.summary()["journal_sha256"], records, runtime.ticks, folder, orders)


async def _trade(person: Steered) -> None:
    keys = [one.key for one in person.runtime.engine.universe.instruments]
    person.take(OperatorKind.AUTO_ON, name="vote")
    person.buy(keys[0], "a")
    await person.do("step frame")
    await person.do("step second")
    person.buy(keys[4], "b")
    await person.do("step minute")
    await person.do("jump 10:12")
    person.take(OperatorKind.EXIT, instrument_key=keys[0], product=Product.INTRADAY)
    await person.do("step minute")
    person.take(OperatorKind.FLATTEN, note="test")
    replay = person.runtime.parts.replay
    assert replay is not None
    asked = steer_of(["resume"])
    assert isinstance(asked, Steer)
    replay.steer(asked)


async def test_the_same_keys_give_the_same_journal_at_any_speed(recording: Path, tmp_path: Path) -> None:
    first = await play(tmp_path / "one", str(recording), 0)
    assert first.ticks == TICKS
    assert first.orders.count(OrderStatus.FILLED) >= 4
    kinds = [record.kind for record in first.records]
    assert kinds.count(RecordKind.FILL) >= 4
    for number, speed in enumerate((300.0, 2_000.0)):
        again = await play(tmp_path / str(number), str(recording), speed)
        assert again.content() == first.content()
        assert again.sha256 == first.sha256
    # What is on the disk is that, too.
    stored = [
        one.record for path in sorted((first.folder / "journal").glob("*.journal")) for one in read(path)
    ]
    assert [
        encode([r.t_ns, r.kind.value, r.data]) for r in stored if r.kind is not RecordKind.RUN
    ] == first.content()


async def test_other_keys_give_another_journal_and_the_same_home_starts_afresh(
    recording: Path, tmp_path: Path
) -> None:
    traded = await play(tmp_path / "home", str(recording), 0)
    idle = await play(tmp_path / "home", str(recording), 0, trade=False)
    again = await play(tmp_path / "home", str(recording), 0)
    assert idle.sha256 != traded.sha256
    assert not idle.orders
    assert again.sha256 == traded.sha256
    assert len({traded.folder, idle.folder, again.folder}) == 3
    # Nothing but the replays' own folder was written.
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"replay"}


async def test_a_day_without_a_recording_is_played_from_its_stored_ticks(
    recording: Path, tmp_path: Path
) -> None:
    first = await play(tmp_path / "home", str(recording), 0, trade=False)
    account = tmp_path / "home" / "accounts" / "paper-test"
    account.mkdir(parents=True)
    shutil.copy(first.folder / "market.duckdb", account)
    told = await play(tmp_path / "home", "2025-12-15", 0)
    assert told.ticks == TICKS
    (made,) = of_day(tmp_path / "home", ist_date(ns(ist_date(1_765_772_000_000_000_000), "10:00")))
    assert (made.kind, made.mode, made.account) == ("market", "ticks", "paper-test")
    assert made.whole
    # Every instrument's ticks come at their moments and in their order; which shared a frame is not stored.
    assert _ticks(made.path) == _ticks(recording)
    again = await play(tmp_path / "home", "2025-12-15", 500.0)
    assert again.sha256 == told.sha256


def _ticks(path: Path) -> dict[str, list[tuple[int, float, int, float, int]]]:
    """Time (us), last price, volume, average price and number of bids of every tick, by instrument."""
    found: dict[str, list[tuple[int, float, int, float, int]]] = {}
    for record in InboxReader(path):
        if record.kind is Kind.FRAME:
            for key, feed in FeedResponse.FromString(record.payload).feeds.items():
                full = feed.fullFeed.marketFF
                bids = sum(quote.bidP > 0 for quote in full.marketLevel.bidAskQuote)
                tick = (record.t_ns // 1_000, full.ltpc.ltp, full.vtt, full.atp, bids)
                found.setdefault(key, []).append(tick)
    return found


async def test_what_lay_before_the_start_is_there(recording: Path, tmp_path: Path) -> None:
    """At 10:05 the five minutes before it are bars, and indicators have seen them."""
    request = ReplayRequest(
        Home(tmp_path, tmp_path), parse(SETTINGS), str(recording), from_s=36_300, paused=True, ends=True
    )
    parts = await join_replay(request)
    runtime = Runtime(parts)
    ticks = []
    runtime.listeners.append(
        lambda event, outcome: ticks.append(event.t_ns) if isinstance(event, TickEvent) else None
    )
    task = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    assert parts.replay is not None
    await parts.replay.rest()
    at_ns = parts.clock.now_ns()
    assert ns(ist_date(at_ns), "10:04") < at_ns <= ns(ist_date(at_ns), "10:05")
    bars = runtime.engine.bars(0, 60, 100)
    assert len(bars) >= 5
    assert len(ticks) > 1_000
    runtime.stop()
    await task
