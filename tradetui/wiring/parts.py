"""What wiring joins and the runtime runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tradetui.brokers.upstox.governor import Budget
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.events import AskedQuote, DayBand, Event
from tradetui.domain.instrument import Instrument
from tradetui.domain.lists import DatedLists
from tradetui.domain.market_data import Candle, TickBatch
from tradetui.domain.records import Record
from tradetui.domain.replay import ReplayView, Steer
from tradetui.domain.view import Mode
from tradetui.engine import Engine
from tradetui.indicators import Spec, parse_spec
from tradetui.journal import ContentHash
from tradetui.market.universe import Universe
from tradetui.ports import Broker, Clock, Feed, Inquiries
from tradetui.storage.market import DayStats
from tradetui.storage.writer import Load
from tradetui.wiring.backfill.desk import EngineBackfills
from tradetui.wiring.login import Login


class StorePort(Protocol):
    """What the runtime needs of storage. Calls return at once unless they say otherwise; threads do the work."""

    def ticks(self, t_ns: int, batch: TickBatch) -> None:
        """Keep the ticks of one frame."""

    def bars(self, candles: Sequence[Candle]) -> None:
        """Keep finished or revised bars."""

    def day_stats(self, stats: Sequence[DayStats]) -> int:
        """Keep what sessions ended with. Waits for the writer: not on the loop."""
        ...

    def queued(self) -> int:
        """Rows that wait for the writers."""
        ...

    def dropped(self) -> int:
        """Rows that were given up."""
        ...

    def load(self) -> Load:
        """How the writing keeps up."""
        ...

    def close(self) -> None:
        """Write what waits, then close."""


class JournalPort(Protocol):
    """What the runtime needs of a journal. What is added to it reaches the ledger, where there is one."""

    content: ContentHash

    def append(self, record: Record) -> None:
        """Add a record."""

    def sync(self) -> None:
        """Make everything added durable."""

    def use_reserve(self) -> bool:
        """Add to the emergency reserve until `recover`; ``False`` when there is none that can be written."""
        ...

    def recover(self) -> None:
        """After a failure: try to catch up."""

    def close(self) -> None:
        """Sync and close."""


class LeasePort(Protocol):
    """What the runtime needs of the lease (`storage.lease`)."""

    def beat(self, steps: int, exposed: int) -> None:
        """Show that the loop turns; raises when somebody else has taken over."""

    def release(self) -> None:
        """Nobody writes orders any more, and nobody needs to watch."""


class ReplayPort(Protocol):
    """What the runtime needs of a replay. On the loop only."""

    def view(self) -> ReplayView:
        """How it stands."""
        ...

    def steer(self, steer: Steer) -> str:
        """Do what was asked, and say it in words; raises `UsageError` when it cannot be done."""
        ...

    async def rest(self) -> None:
        """Return when it stands still."""


@dataclass(slots=True)
class Parts:
    """The parts of one run.

    Attributes:
        mode: Which world the orders go to.
        account: Label of the account, fit for the screen (no full id).
        host: Host that the broker's requests go to.
        watch: Instruments to stream from the start.
        lookup: Key to terms, from the instrument list.
        search: Words and limit to instruments.
        warm_up: Bars from before now, for one instrument.
        record_event: Records every event in the order of processing.
        cleanup: Called last, in reverse order.
        ends: Stop when the feed's world ends.
        overlays: Lines that the chart draws over its bars.
        timed_by_feed: The feed itself makes `TimeEvent`s (replays).
        fault: Switches a fault of the inner simulator.
        lease: The right to write orders, and the sign that the loop turns.
        kill_dir: Where a kill file may appear; ``None`` looks nowhere.
        new_login: Told of every new login, beside the broker.
        run_info: For the journal: version, settings that matter.
        login: The token, and where a new one comes from; ``None`` where none is needed.
        lists: Reads the dated lists that are in force.
        bands: Asks the broker for the price bands of some instruments.
        budgets: Requests used of the broker's limits, orders first.
        inquiries: Questions about the account that people ask.
        ask_quotes: Asks the broker for last prices, where the stream is silent.
        ask_status: Asks the broker what an exchange does now.
        minutes: The broker's own minutes of today, for bars that were seen in part.
        replay: Steers the recording that is played; ``None`` where nothing is replayed.
    """

    mode: Mode
    account: str
    host: str
    engine: Engine
    universe: Universe
    clock: Clock
    feed: Feed
    broker: Broker
    journal: JournalPort
    store: StorePort | None
    watch: list[Instrument]
    lookup: Callable[[str], Instrument | None]
    search: Callable[[str, int], list[Instrument]]
    warm_up: Callable[[Instrument], Any] | None = None
    record_event: Callable[[Event], None] | None = None
    cleanup: list[Callable[[], Any]] = field(default_factory=list)
    ends: bool = False
    overlays: tuple[Spec, ...] = (parse_spec("ema(20)"), parse_spec("vwap"))
    timed_by_feed: bool = False
    fault: Callable[[str, dict[str, object]], str] | None = None
    lease: LeasePort | None = None
    kill_dir: Path | None = None
    new_login: list[Callable[[AccessToken], None]] = field(default_factory=list)
    run_info: dict[str, Any] = field(default_factory=dict)
    login: Login | None = None
    lists: Callable[[], DatedLists] | None = None
    bands: Callable[[Sequence[str]], Awaitable[Sequence[DayBand]]] | None = None
    budgets: Callable[[], tuple[Budget, ...]] | None = None
    inquiries: Inquiries | None = None
    ask_quotes: Callable[[Sequence[str]], Awaitable[Sequence[AskedQuote]]] | None = None
    ask_status: Callable[[str], Awaitable[tuple[str, int]]] | None = None
    minutes: Callable[[Instrument], Awaitable[Sequence[Candle]]] | None = None
    backfills: EngineBackfills | None = None
    replay: ReplayPort | None = None
