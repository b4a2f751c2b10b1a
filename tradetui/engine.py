"""The hot path, top to bottom: quotes -> candles -> indicators -> strategies -> sizing -> risk -> orders.

The engine is to trading what a sans-I/O protocol is to bytes: synchronous and pure. An event goes in, an
`Outcome` comes out: commands for the broker, records for the journal, finished bars for the store. Time is a
field of the event. The same engine runs live, on paper, on the simulator, in replays and back-tests; only
clock, feed and broker are swapped, in `wiring.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from tradetui.desk import Desk, Market, price_of
from tradetui.domain.calendar import Calendar, PhaseKind, Segment, Stage, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import (
    BandsEvent,
    Event,
    FeedEvent,
    FeedState,
    GapEvent,
    HistoryEvent,
    ListsEvent,
    MarketStatusEvent,
    OperatorEvent,
    OperatorKind,
    PastDaysEvent,
    QuotesEvent,
    TickEvent,
    TimeEvent,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle, Px
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.requests import Command
from tradetui.market.bar_book import BarBook
from tradetui.market.candles import DEFAULT_INTERVALS, CandleBuilder
from tradetui.market.history import HISTORY_BARS, History
from tradetui.market.liveness import MISSING_STREAM, Liveness
from tradetui.market.microstructure import Microstructure
from tradetui.market.periods import sessions_of
from tradetui.market.prices import Prices
from tradetui.market.quotes import Quotes
from tradetui.market.universe import Universe
from tradetui.risk.facts import PHASE_UNKNOWN
from tradetui.risk.limits import Limits
from tradetui.signals import Signals
from tradetui.strategies.base import Signal, Strategy
from tradetui.strategies.runner import StrategyRunner

SECOND: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
_EXPIRY_FAR_DAYS: Final = 30
"""Calendar days beyond which nobody asks how many trading days are left."""
_PHASE_WORDS: Final = {
    PhaseKind.CLOSED: "closed",
    PhaseKind.PRE_OPEN: "pre-open",
    PhaseKind.CANCEL_ONLY: "cancel only",
    PhaseKind.CONTINUOUS: "continuous",
    PhaseKind.CLOSING_AUCTION: "closing auction",
    PhaseKind.POST_CLOSE: "post-close",
}
_STAGE_WORDS: Final = {stage: stage.value.lower().replace("_", " ") for stage in Stage}
_CLOSED_SAID: Final = frozenset({"NORMAL_CLOSE", "CLOSING_START", "CLOSING_END"})

Charge = Callable[[Instrument, Product, Side, int, Price, int], Money]
"""Charges of one executed order: instrument, product, side, units, price, time."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is made with.

    Attributes:
        limits: Risk limits.
        live: Orders reach a real exchange.
        tag_prefix: Beginning of our order tags, unique to installation, account and day.
        intervals: Bar intervals in seconds.
        silence_s: Seconds without any frame, while the market trades, after which the feed counts as down.
    """

    limits: Limits = Limits()
    live: bool = False
    tag_prefix: str = "tt"
    intervals: tuple[int, ...] = DEFAULT_INTERVALS
    silence_s: float = 15.0


@dataclass(slots=True)
class Outcome:
    """What one event led to.

    Attributes:
        commands: For the broker, in order; their records are among ``records``.
        records: For the journal, in order.
        candles: Bars that finished.
        revised: Finished bars that the broker's figures corrected later.
        more: Bars are due that were left for the next event, so that none takes long; a `TimeEvent` goes on.
    """

    commands: list[Command] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    candles: list[Candle] = field(default_factory=list)
    revised: list[Candle] = field(default_factory=list)
    more: bool = False


class Engine:
    """See the module's docstring.

    Args:
        settings: Limits and names.
        calendar: Sessions.
        universe: Instruments and slots of this run; shared with the decoder.
        charge: Estimates charges.
        strategies: Suggest what to hold.
        looks_at: Whether strategies look at an instrument.
    """

    def __init__(
        self,
        settings: EngineSettings,
        calendar: Calendar,
        universe: Universe,
        charge: Charge,
        strategies: Sequence[Strategy] = (),
        looks_at: Callable[[Instrument], bool] = lambda instrument: instrument.tradable,
    ) -> None:
        self.settings = settings
        self.calendar = calendar
        self.universe = universe
        self.quotes = Quotes(self._continuous)
        self.microstructure = Microstructure(self.quotes, universe.tick_rupees)
        self.candles = CandleBuilder(self.quotes, intervals=settings.intervals)
        self.liveness = Liveness(self.quotes)
        self.prices = Prices(self.quotes, universe.slots)
        self.history = History(HISTORY_BARS)
        self.book = BarBook(self.candles, self.history, settings.intervals, sessions_of(calendar, universe))
        self.signals = Signals()
        self.runner = StrategyRunner(
            strategies,
            self.quotes,
            self.history,
            lambda slot: looks_at(universe.instruments[slot]),
            lambda slot: self.desk.portfolio.net_qty(universe.instruments[slot].key),
            self.candles.gaps,
        )
        self._out = Outcome()
        self.now_ns = 0
        self.feed = FeedEvent(0, FeedState.CONNECTING)
        self.last_frame_ns = 0
        self._up_since_ns = 0
        self.market_status: dict[str, str] = {}
        self._segments: dict[str, Segment] = {}
        self._segments_day: date | None = None
        self._phases: dict[str, tuple[str, str, bool]] = {}
        self._phases_minute = 0
        self._down_since_ns = 0
        self._silent = False
        self._killed: set[str] = set()
        self.desk = Desk(
            limits=settings.limits,
            live=settings.live,
            instrument=universe.get,
            market=self.market,
            charge=charge,
            emit=self._emit,
            note=self._note,
            tag_prefix=settings.tag_prefix,
            bars=self._finished_bars,
            closes_ns=self._closes_ns,
        )
        self.desk.books.days_left = self._days_left
        self.desk.books.last_price = self._last_price

    def begin(self, t_ns: int) -> None:
        """Engine time before the first event."""
        self.now_ns = self.desk.books.now_ns = t_ns

    # --- the line -------------------------------------------------------------------------------------

    def step(self, event: Event) -> Outcome:
        """Take in one event; hand out what follows from it, and what was noted since the last one (restart)."""
        if event.t_ns > self.now_ns:
            self.now_ns = self.desk.books.now_ns = event.t_ns
        match event:
            case TickEvent():
                self._on_tick(event)
            case TimeEvent():
                self._on_time(event.t_ns)
            case HistoryEvent():
                self._on_history(event)
            case FeedEvent():
                self._on_feed(event)
            case MarketStatusEvent():
                self.market_status.update(event.status)
            case ListsEvent():
                self.desk.books.lists = event.lists
                self._note(RecordKind.RISK, {"lists": dict(event.lists.files)})
            case PastDaysEvent():
                self.microstructure.take_past(event)
            case BandsEvent():
                self.desk.books.take_bands(event)
            case GapEvent():
                self.candles.mark_gap(event.from_ns, event.t_ns)
            case QuotesEvent():
                self.prices.take(event)
                if self.desk.watches_prices:
                    self.desk.on_prices()
            case OperatorEvent():
                self._on_operator(event)
            case _:
                self.desk.on_account(event)
        outcome, self._out = self._out, Outcome()
        # Only what moved may ask for more: a clock that was set back must not turn the loop for nothing.
        outcome.more = self.candles.behind and bool(outcome.candles)
        return outcome

    def _on_tick(self, event: TickEvent) -> None:
        """One frame, straight through."""
        self.last_frame_ns = event.t_ns
        if self._silent:
            self._end_silence()
        trades = self.microstructure.apply(event.batch, event.t_ns)
        finished = self.candles.on_batch(event.t_ns, event.batch, trades)
        if self.desk.watches_prices:
            self.desk.on_prices()
        if finished:
            self._on_candles(finished)
        for signal in self.runner.on_trades(trades, self.now_ns // NS_PER_MS, self._strategy_failed):
            self._on_signal(signal)
        self._take_revised()

    def _take_revised(self) -> None:
        """Bars that the broker's figures corrected: stored and shown; indicators are not rewound (ADR 0004)."""
        for revised in self.candles.take_revised():
            self._out.revised.append(revised)
            self.history.revise(revised)

    def _on_candles(self, finished: list[Candle]) -> None:
        """Finished bars: history, then indicators and strategies, then what they say becomes orders or not."""
        bars = self.book.take(finished)
        self._out.candles.extend(finished)
        for signal in self.runner.on_candles(bars, self.now_ns // NS_PER_MS, self._strategy_failed):
            self._on_signal(signal)

    def _on_signal(self, signal: Signal) -> None:
        """A suggestion: sized, recorded, and sent through the gate if its strategy may trade."""
        instrument = self.universe.instruments[signal.slot]
        request = self.signals.request_of(signal, instrument, self.desk)
        row = self.signals.add(signal, instrument, request, self.now_ns)
        self._note(RecordKind.SIGNAL, row)
        if self.runner.switches[signal.strategy].auto:
            self._act(row["id"])

    def _act(self, signal_id: str) -> None:
        """Turn a signal into an order, if the gate lets it."""
        known = self.signals.known.get(signal_id)
        if known is None or known.request is None:
            return
        order = self.desk.request(known.request, known.signal.score)
        if order is not None:
            known.state = f"refused: {order.message}" if order.status is OrderStatus.REFUSED else "ordered"

    def _strategy_failed(self, name: str, error: str) -> None:
        self._note(RecordKind.STRATEGY, {"name": name, "what": f"suspended: {error}", "error": error})

    def _on_time(self, t_ns: int) -> None:
        """Time passed: silence, bars that close without a trade, probes, arming."""
        self._watch_silence(t_ns)
        self.microstructure.turn(t_ns)
        finished = self.candles.on_time(t_ns)
        if finished:
            self._on_candles(finished)
        self._take_revised()
        self.desk.on_time(t_ns)

    def _on_history(self, event: HistoryEvent) -> None:
        """Bars from before the first live one, or that fill a gap."""
        loaded = self.history.load(event)
        if loaded.added or loaded.rebuild:
            self.runner.restart(event.slot, event.interval_s, self.history.bars(event.slot, event.interval_s))

    # --- feed -----------------------------------------------------------------------------------------

    def _on_feed(self, event: FeedEvent) -> None:
        was_up, up = self.feed.state is FeedState.UP, event.state is FeedState.UP
        self.feed = event
        self.desk.books.feed_up = up
        if was_up and not up:
            self._down_since_ns = self.last_frame_ns or event.t_ns
            if event.state is not FeedState.ENDED:
                self.desk.disarm("the feed is down")
        elif up:
            self._silent, self._up_since_ns = False, event.t_ns
            self.liveness.skip(event.t_ns)
            if self._down_since_ns:
                self.candles.mark_gap(self._down_since_ns, event.t_ns)
                self._down_since_ns = 0
                self.desk.manager.reconcile_soon()
        if event.state is FeedState.ENDED:
            # The world is over: nothing will come that could close the last bars.
            self._on_candles(self.candles.finish_day())
            self._take_revised()
        self._note(RecordKind.FEED, {"state": event.state.value, "reason": event.reason})

    def _watch_silence(self, t_ns: int) -> None:
        """A stream that is connected but silent while the market trades is as good as down."""
        if self.feed.state is not FeedState.UP or self._silent:
            return  # when frames flow again on the same line, all of it was a quiet time, and is learned
        # A connection that was just made has not been silent for as long as the one before it was down.
        heard_ns = max(self.last_frame_ns, self._up_since_ns)
        if t_ns - heard_ns <= self.settings.silence_s * SECOND or self._explained(t_ns, heard_ns):
            self.liveness.on_time(t_ns)
            return
        self._silent = True
        self.desk.books.feed_up = False
        self._down_since_ns = heard_ns
        words = f"no frame for {self.settings.silence_s:g} s while the market trades"
        self.desk.disarm(words)
        self._note(RecordKind.FEED, {"state": "silent", "reason": words})

    def _end_silence(self) -> None:
        self._silent = False
        self.desk.books.feed_up = self.feed.state is FeedState.UP
        self.candles.mark_gap(self._down_since_ns, self.now_ns)
        self._down_since_ns = 0
        self._note(RecordKind.FEED, {"state": self.feed.state.value, "reason": "frames flow again"})

    @property
    def silent(self) -> bool:
        """Connected, but no frame for too long while the market trades."""
        return self._silent

    def _explained(self, t_ns: int, heard_ns: int) -> bool:
        """Whether a silence means nothing: the market is shut, or what is streamed is that quiet."""
        quiet = heard_ns > self._up_since_ns and self.liveness.missing(t_ns, heard_ns) < MISSING_STREAM
        return quiet or not self._anything_trades()

    def _anything_trades(self) -> bool:
        return any(self.phase(instrument) == "continuous" for instrument in self.universe.instruments)

    # --- operator -------------------------------------------------------------------------------------

    def _on_operator(self, event: OperatorEvent) -> None:
        self.desk.on_account(event)
        switches = self.runner.switches.get(event.name)
        match event.kind:
            case OperatorKind.ACT:
                self._act(event.name)
            case OperatorKind.KILL | OperatorKind.FLATTEN:
                for name, state in self.runner.switches.items():
                    self._killed.update([name] if state.running else [])
                    self._switch(name, running=False, auto=False, what="paused: kill")
            case OperatorKind.RESUME:
                # They look again; none of them trades until a person turns its auto on.
                for name in sorted(self._killed):
                    self._switch(name, running=True, what="running")
                self._killed.clear()
            case OperatorKind.STRATEGY_RUN if switches is not None:
                switches.error = ""
                self._switch(event.name, running=True, what="running")
            case OperatorKind.STRATEGY_PAUSE if switches is not None:
                self._switch(event.name, running=False, auto=False, what="paused")
            case OperatorKind.AUTO_ON if switches is not None:
                self._switch(
                    event.name, auto=switches.running, what="auto on" if switches.running else "not running"
                )
            case OperatorKind.AUTO_OFF if switches is not None:
                self._switch(event.name, auto=False, what="auto off")
            case _:
                pass

    def _switch(self, name: str, *, what: str, running: bool | None = None, auto: bool | None = None) -> None:
        switches = self.runner.switches[name]
        before = (switches.running, switches.auto)
        if running is not None:
            switches.running = running
        if auto is not None:
            switches.auto = auto
        if before != (switches.running, switches.auto):
            self._note(RecordKind.STRATEGY, {"name": name, "what": what})

    # --- market facts ---------------------------------------------------------------------------------

    def market(self, key: str) -> Market:
        """What is known about one instrument's market now."""
        slot = self.universe.slots.get(key)
        if slot is None or slot >= self.quotes.capacity:
            return Market()
        quotes = self.quotes
        phase, stage, may_end = self._phase_of(self.universe.instruments[slot])
        asked = self.prices.asked(slot)
        return Market(
            last=asked.last if asked is not None else price_of(quotes.px.item(slot, Px.LTP)),
            bid=price_of(quotes.depth.item(slot, 0, 0)),
            ask=price_of(quotes.depth.item(slot, 2, 0)),
            age_s=self.prices.age_s(slot, self.now_ns, trading=phase == _PHASE_WORDS[PhaseKind.CONTINUOUS]),
            traded=self.prices.traded(slot),
            asked=asked is not None,
            phase=phase,
            stage=stage,
            may_end=may_end,
            prev_close=price_of(quotes.px.item(slot, Px.CLOSE)),
        )

    def _last_price(self, key: str) -> Price | None:
        slot = self.universe.slots.get(key)
        if slot is None or slot >= self.quotes.capacity:
            return None
        asked = self.prices.asked(slot)
        return asked.last if asked is not None else price_of(self.quotes.px.item(slot, Px.LTP))

    def phase(self, instrument: Instrument) -> str:
        """Session phase of an instrument now, in words. What the broker says closes, never opens, a market."""
        return self._phase_of(instrument)[0]

    def _phase_of(self, instrument: Instrument) -> tuple[str, str, bool]:
        """Phase and stage of an instrument in words, and whether order entry may end at any moment."""
        # Timetables change on the minute, and every order asks for many instruments.
        minute = self.now_ns // (60 * SECOND)
        if minute != self._phases_minute:
            self._phases_minute = minute
            self._phases.clear()
        found = self._phases.get(instrument.key)
        if found is None:
            found = self._phases[instrument.key] = self._look_up_phase(instrument)
        if found[0] == "continuous" and self.market_status.get(instrument.segment, "") in _CLOSED_SAID:
            return "closed", "", False
        return found

    def _look_up_phase(self, instrument: Instrument) -> tuple[str, str, bool]:
        try:
            phase = self.calendar.phase(self._segment(instrument, ist_date(self.now_ns)), self.now_ns)
        except (CalendarUnknown, ValueError):
            return PHASE_UNKNOWN, "", False
        if phase is None:
            return _PHASE_WORDS[PhaseKind.CLOSED], "", False
        may_end = phase.random_close_ns is not None and self.now_ns >= phase.random_close_ns
        return _PHASE_WORDS[phase.kind], _STAGE_WORDS[phase.stage], may_end

    def _days_left(self, instrument: Instrument) -> int | None:
        """Trading days until a contract expires, 0 on its last; negative afterwards; ``None`` where nobody knows."""
        today, expiry = ist_date(self.now_ns), instrument.expiry
        if expiry is None:
            return None
        if expiry <= today:
            return (expiry - today).days
        if (expiry - today).days > _EXPIRY_FAR_DAYS:
            return _EXPIRY_FAR_DAYS
        try:
            return len(self.calendar.trading_days(self._segment(instrument, today), today, expiry)) - 1
        except (CalendarUnknown, ValueError):
            return None

    def _segment(self, instrument: Instrument, day: date) -> Segment:
        """Timetable class of an instrument, looked up once a day."""
        if day != self._segments_day:
            self._segments_day = day
            self._segments.clear()
        segment = self._segments.get(instrument.key)
        if segment is None:
            segment = self._segments[instrument.key] = segment_of(self.calendar, instrument, day)
        return segment

    def _continuous(self, slot: int, day: date) -> tuple[int, int] | None:
        try:
            return self.calendar.continuous(
                segment_of(self.calendar, self.universe.instruments[slot], day), day
            )
        except (CalendarUnknown, ValueError):
            return None

    def bars(self, slot: int, interval_s: int, count: int) -> list[Candle]:
        """The newest bars of an instrument, the forming one last."""
        return self.book.newest(slot, interval_s, count)

    def _finished_bars(self, key: str, interval_s: int, count: int) -> list[Candle]:
        """The newest finished bars of an instrument, for trails."""
        slot = self.universe.slots.get(key)
        return [] if slot is None else self.history.candles(slot, interval_s)[-count:]

    def _closes_ns(self, key: str) -> int | None:
        """When continuous trading of an instrument ends today; ``None`` when that is not known."""
        slot = self.universe.slots.get(key)
        window = None if slot is None else self._continuous(slot, ist_date(self.now_ns))
        return window[1] if window else None

    # --- inside ---------------------------------------------------------------------------------------

    def _emit(self, command: Command) -> None:
        self._out.commands.append(command)

    def _note(self, kind: RecordKind, data: Any) -> None:
        self._out.records.append(Record(self.now_ns, kind, data))
