"""What the screen may see, and what it may ask for.

The screen pulls one immutable `Snapshot` per frame and submits `OperatorEvent`s and a `Look` (what it wants
to see next). Nothing else crosses between the engine's thread and the screen's. This module imports
neither numpy nor Polars: the first paint must not wait for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from tradetui.domain.measures import MarketMeasures, ProfileView
from tradetui.domain.replay import ReplayView

if TYPE_CHECKING:
    from tradetui.domain.events import OperatorEvent
    from tradetui.domain.exit_plan import ExitPlan
    from tradetui.domain.gtt import Gtt
    from tradetui.domain.order import Order, OrderRequest


class Mode(StrEnum):
    """Which world the orders go to. Shown at all times."""

    SIM = "SIM"
    """Simulated exchange, its own orders."""
    PAPER = "PAPER"
    """Live data, paper orders."""
    LIVE = "LIVE"
    """Real orders."""
    REHEARSAL = "REHEARSAL"
    """As live (disarmed start, arming, watchdog), on a simulator: no order is real."""
    REPLAY = "REPLAY"
    """A past day, paper orders."""

    @property
    def needs_arming(self) -> bool:
        """Whether new risk has to be armed by hand, and a watchdog stands by: live, and its rehearsal."""
        return self in (Mode.LIVE, Mode.REHEARSAL)


class Verdict(StrEnum):
    """Outcome of one risk check."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Check:
    """One risk rule's answer.

    Attributes:
        rule: Short name of the rule, such as ``lot``.
        verdict: Pass, warn or block.
        words: Why, and what to do about it.
    """

    rule: str
    verdict: Verdict
    words: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen if a ticket were sent now. Money and prices in 1/10,000 rupee.

    Attributes:
        request: The ticket that was judged.
        checks: All rules, in order.
        value: Quantity times price.
        margin: Estimated margin or cash needed.
        charges: Estimated charges of this order.
        worst_price: Worst price a protected market order may fill at; 0 when not a market order.
        effect: In words: ``opens long 10``, ``closes 10``, ``closes 10 and opens new short 5``.
    """

    request: OrderRequest
    checks: tuple[Check, ...]
    value: int = 0
    margin: int = 0
    charges: int = 0
    worst_price: int = 0
    effect: str = ""

    @property
    def blocked(self) -> bool:
        """Whether any rule says no."""
        return any(check.verdict is Verdict.BLOCK for check in self.checks)


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """An instrument as search shows it. ``tick`` and ``strike`` in 1/10,000 rupee; ``expiry`` ISO date or empty."""

    key: str
    symbol: str
    name: str
    segment: str
    kind: str
    lot: int
    tick: int
    freeze: int = 0
    expiry: str = ""
    strike: int = 0
    tradable: bool = True


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One line of the watchlist. Prices in rupees; ``None`` means never seen.

    Attributes:
        age_s: Seconds of engine time since the last frame for this instrument.
        stale: Too old to trade on.
        asked: The price was asked for by REST, because the stream is silent.
        position_qty: Our net units.
        decimals: Digits behind the point.
        trend: A few recent prices for a sparkline, oldest first.
        measures: Microstructure; ``None`` when never seen.
    """

    key: str
    symbol: str
    ltp: float | None
    change: float | None
    change_pct: float | None
    volume: int
    bid: float | None
    ask: float | None
    oi: float
    age_s: float
    stale: bool
    position_qty: int = 0
    decimals: int = 2
    trend: tuple[float, ...] = ()
    asked: bool = False
    measures: MarketMeasures | None = None


@dataclass(frozen=True, slots=True)
class DepthLevel:
    """One price level: price in rupees (0 when empty), units."""

    price: float
    qty: int


@dataclass(frozen=True, slots=True)
class DepthView:
    """Book and day figures of the selected instrument. Prices in rupees, quantities in units, times in ms."""

    instrument: InstrumentRow
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    ltp: float | None
    ltq: int
    ltt_ms: int
    atp: float
    open: float
    high: float
    low: float
    prev_close: float
    volume: int
    oi: float
    total_bid: float
    total_ask: float
    iv: float = 0.0
    delta: float = 0.0
    gamma: float = 0.0
    theta: float = 0.0
    vega: float = 0.0
    age_s: float = 0.0
    stale: bool = False
    auction_price: float = 0.0
    own: tuple[tuple[str, float, int], ...] = ()
    """Our resting orders: side word, price, pending units."""
    measures: MarketMeasures | None = None
    """Microstructure; ``None`` when never seen."""
    profile: ProfileView | None = None
    """Where the session's volume traded; ``None`` when nothing was seen to trade."""


@dataclass(frozen=True, slots=True)
class ChartView:
    """Bars of the selected instrument, oldest first; the last may still be forming. Rupees, units, epoch ms."""

    key: str
    symbol: str
    interval: str
    start_ms: tuple[int, ...]
    open: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...]
    close: tuple[float, ...]
    volume: tuple[int, ...]
    overlays: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Name and one value a bar; NaN where not warm yet."""
    marks: tuple[tuple[str, float], ...] = ()
    """Horizontal lines: label (``avg``, ``stop``, ``BUY 10``) and price."""
    decimals: int = 2


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One position. Money in 1/10,000 rupee.

    Attributes:
        pnl: Realised plus unrealised, gross.
        charges: Estimated charges so far.
        naked: No protective order rests for it.
        naked_why: Why not, in words.
        plan: How it is to be left; ``None`` when nobody said.
        day_pnl: Profit of today, gross: what was carried counts from the previous close.
        carried_qty: Signed units carried over night.
        breakeven: Price at which closing it now would leave nothing after charges; 0 when not known.
        breakeven_ticks: How many ticks away that is; negative when the price is past it already.
    """

    key: str
    symbol: str
    product: str
    qty: int
    average: int
    last: float | None
    realised: int
    unrealised: int
    pnl: int
    charges: int
    naked: bool = False
    stale: bool = False
    naked_why: str = ""
    plan: ExitPlan | None = None
    day_pnl: int = 0
    carried_qty: int = 0
    breakeven: int = 0
    breakeven_ticks: float | None = None


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A strategy's suggestion: a score of an unregistered tool, not a probability and not advice.

    Attributes:
        votes: Each indicator's vote in words: name, direction, weight, value, bar.
        state: ``new``, ``ordered``, ``refused: reason``, ``expired``.
    """

    id: str
    t_ns: int
    strategy: str
    key: str
    symbol: str
    side: str
    score: float
    price: float
    stop: float
    target: float
    qty: int
    state: str
    votes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """A strategy and its switches."""

    name: str
    running: bool
    auto: bool
    signals: int
    pnl: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A risk figure against its limit, with a ready-made text such as ``-412 / -1,500``."""

    name: str
    value: float
    limit: float
    text: str
    verdict: Verdict = Verdict.PASS


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log record: number, epoch ms, level name, text (already cleaned and redacted)."""

    seq: int
    t_ms: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Health:
    """Counters and timings of the engine."""

    frames: int = 0
    ticks: int = 0
    dropped: int = 0
    reconnects: int = 0
    bad_frames: int = 0
    tick_to_state_p50_us: float = 0.0
    tick_to_state_p99_us: float = 0.0
    max_loop_lag_ms: float = 0.0
    rss_mb: float = 0.0
    stored_rows: int = 0
    store_queue: int = 0
    odd: tuple[tuple[str, int], ...] = ()
    """Counts of what was dropped or odd, by name; only those that are not zero."""
    silence: str = ""
    """What the present silence of the whole stream is, in words; empty while there is none."""
    store_dropped: int = 0
    store_lag_s: float = 0.0
    store_problem: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the screen shows, at one moment. Money in 1/10,000 rupee unless a field says rupees.

    Attributes:
        seq: Grows by one per snapshot.
        t_ns: Engine time, UTC ns: the exchange's clock, not this machine's.
        risk_state: ``active``, ``reducing only`` or ``halted``.
        armed_until_ns: Engine time when arming runs out; 0 when disarmed.
        login: Why a new login is needed, in words; empty while none is.
        feed_state: A `FeedState` value.
        feed_age_s: Seconds since the last frame.
        phase: Session phase in words, such as ``continuous`` or ``closed``.
        indices: Symbol, last, percent change for the header.
        day_pnl, day_charges: Gross profit of the day and charges so far.
        capital: Capital that limits are measured against.
        subscribed, stale_count: Instruments streamed, and how many of them are stale.
    """

    seq: int = 0
    t_ns: int = 0
    mode: Mode = Mode.SIM
    account: str = ""
    host: str = ""
    broker: str = ""
    risk_state: str = "active"
    risk_reason: str = ""
    armed_until_ns: int = 0
    login: str = ""
    feed_state: str = "connecting"
    feed_reason: str = ""
    feed_age_s: float = 0.0
    phase: str = ""
    indices: tuple[tuple[str, float, float], ...] = ()
    day_pnl: int = 0
    day_charges: int = 0
    capital: int = 0
    available: int = 0
    used: int = 0
    subscribed: int = 0
    stale_count: int = 0
    watch: tuple[WatchRow, ...] = ()
    depth: DepthView | None = None
    chart: ChartView | None = None
    positions: tuple[PositionRow, ...] = ()
    orders: tuple[Order, ...] = ()
    """Newest first."""
    gtts: tuple[Gtt, ...] = ()
    """Newest first."""
    budgets: tuple[Gauge, ...] = ()
    """Requests used of each window of the broker's limits."""
    symbols: dict[str, str] = field(default_factory=dict)
    """Instrument key to symbol, for every key that rows above name."""
    signals: tuple[SignalRow, ...] = ()
    strategies: tuple[StrategyRow, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    log: tuple[LogRow, ...] = ()
    """The newest records, oldest first."""
    notices: tuple[LogRow, ...] = ()
    """Fills, rejections, kills: what deserves a line at the bottom of the screen; newest last."""
    preview: Preview | None = None
    health: Health = Health()
    replay: ReplayView | None = None
    """How the replay stands; ``None`` when this is none."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the screen wants in the next snapshots.

    Attributes:
        watch: Instrument keys of the visible watchlist; they get subscribed in full mode.
        selected: Key of the instrument under the cursor (depth and chart follow it).
        interval: Chart interval, such as ``1m``.
        bars: Most bars to send.
        ticket: Request being typed, to be previewed; ``None`` when no ticket is open.
        modifies: Tag of the working order that the ticket changes; empty for a new one.
        hz: Snapshots a second.
    """

    watch: tuple[str, ...] = ()
    selected: str = ""
    interval: str = "1m"
    bars: int = 240
    ticket: OrderRequest | None = None
    modifies: str = ""
    hz: float = 10.0


class Handle(Protocol):
    """What the screen holds of a running engine. Every method is safe from the screen's thread and returns at once."""

    def snapshot(self) -> Snapshot | None:
        """The newest snapshot; ``None`` before the first."""
        ...

    def look(self, look: Look) -> None:
        """Say what to show next."""
        ...

    def submit(self, event: OperatorEvent) -> None:
        """Ask for something. Its ``t_ns`` is overwritten by the engine's clock on arrival."""
        ...

    def search(self, text: str, limit: int = 20) -> Sequence[InstrumentRow]:
        """Instruments that match all words of ``text``, best first."""
        ...

    def instrument(self, key: str) -> InstrumentRow | None:
        """Terms of one instrument."""
        ...

    def fault(self, name: str, args: dict[str, object]) -> str:
        """Switch a fault of the inner simulator on or off; returns what happened, in words."""
        ...

    def replay(self, words: Sequence[str]) -> str:
        """Steer the replay, such as ``("step", "minute")``; returns what was asked, in words."""
        ...

    def stop(self) -> None:
        """Begin an orderly stop; returns at once."""
        ...

    def stopped(self) -> BaseException | bool | None:
        """``False`` while running, ``True`` after a clean stop, the exception after a failure."""
        ...
