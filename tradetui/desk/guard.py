"""What the risk limits must remember: results of the days, breakers, entries, losing runs, locks.

All of it survives a restart: whatever changes is recorded, and `Guard.give_back` takes what
`wiring/restore_risk.py` folded out of the journal. The rules themselves are pure and live in `risk/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from tradetui.desk.books import Books
from tradetui.desk.figures import Figures
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import DomainError
from tradetui.domain.events import AccountSnapshot, OperatorEvent
from tradetui.domain.money import Money, format_rupees
from tradetui.domain.order import Fill
from tradetui.domain.position import PositionKey
from tradetui.domain.records import RecordKind
from tradetui.execution.doubts import SECOND
from tradetui.risk import breakers
from tradetui.risk.breakers import Latch, Losses, Span
from tradetui.risk.facts import Facts, RiskState
from tradetui.risk.limits import change, value_of
from tradetui.risk.rules.market import hhmm

CHECK_EVERY_NS: Final = SECOND
"""How often open positions are measured against the loss limits."""
NOTE_EVERY_NS: Final = 60 * SECOND
"""How often the day's result is recorded while it moves without a trade."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What an earlier run left. Plain data: it is written into recordings too.

    Attributes:
        results: Day (ISO) -> net result, 1/10,000 rupee.
        latches: Breakers that had tripped.
        waived: Span -> what a person has waived with a typed reason, 1/10,000 rupee.
        entries: Entries of the day.
        changes: Limits changed today: name and value, oldest first.
        locked_segments: Segments closed by the account's kill switch at the broker.
        square_off_ok: Square-off times that the user has confirmed, as they were then.
        sizes: Instrument key -> quantities of the user's last orders there, before today.
        groups: Instrument key, tab, product -> basket that it was last entered with, before today.
    """

    results: dict[str, int] = field(default_factory=dict)
    latches: tuple[Latch, ...] = ()
    waived: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    changes: tuple[tuple[str, float], ...] = ()
    locked_segments: tuple[str, ...] = ()
    square_off_ok: str = ""
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


class Guard:
    """See the module's docstring.

    Args:
        books: What the desk knows.
        figures: Profit and charges.
        on_loss: Called when a breaker trips, with its words: cancels what would add risk, and closes positions
            where the settings say so.
    """

    def __init__(self, books: Books, figures: Figures, on_loss: Callable[[str], None]) -> None:
        self._books = books
        self._figures = figures
        self._on_loss = on_loss
        self.results: dict[date, Money] = {}
        self.latches: dict[Span, Latch] = {}
        self.waived: dict[Span, Money] = {}
        self.losses_in_a_row = 0
        self.last_loss_ns = 0
        self._today: date | None = None
        self._checked_ns = self._noted_ns = 0
        self._noted: tuple[int, int] | None = None
        self._touched: dict[PositionKey, int] = {}
        self._earned: dict[PositionKey, int] = {}
        self._sides: dict[PositionKey, int] = {}
        self._groups: set[str] = set()
        self._square_off_ok = ""

    # --- reading --------------------------------------------------------------------------------------

    def losses(self) -> Losses:
        """Losses of day, week and month by now, without what was waived."""
        day = self._today or ist_date(self._books.now_ns)
        return breakers.losses(self.results, day, self._figures.net()).less(self.waived)

    def state_now(self) -> tuple[RiskState, str]:
        """The gate's state while no kill is pulled, and why."""
        if not self.latches:
            return RiskState.ACTIVE, ""
        return RiskState.REDUCING, "; ".join(latch.words for latch in self.latches.values())

    def why_not_arm(self) -> str:
        """What a person has to do before live trading can be armed; empty when nothing is left to do."""
        if not self._books.live or self._square_off_ok == self._square_off_times():
            return ""
        return (
            f"confirm the square-off time first: ours is {self._square_off_times()} (shares and F&O, MCX), and must "
            "lie before your broker's own cut-off; look that up, then type :square-off ok"
        )

    # --- orders and fills -----------------------------------------------------------------------------

    def entering(self, facts: Facts) -> None:
        """An order that opens a position is about to be recorded: counted first, so that a crash counts it too."""
        request = facts.request
        if facts.reducing or facts.counted or request.is_exit:
            return
        if request.group:
            if request.group in self._groups:
                return
            self._groups.add(request.group)
        self._books.entries_today += 1
        self._books.note(RecordKind.RISK, {"entries": self._books.entries_today})

    def on_fill(self, fill: Fill) -> None:
        """A trade was booked."""
        self._touched[fill.instrument_key, fill.product] = fill.time_ns

    def after_fills(self) -> None:
        """Trades were booked just now: count round trips, measure, and record the day's result."""
        if self._touched:
            self.count_round_trips()
            self.check()
            self._note_day(self._books.now_ns)

    def count_round_trips(self) -> None:
        """A position that is flat now, or has changed sides, was a win or a loss, net of its charges."""
        portfolio = self._books.portfolio
        for key, t_ns in self._touched.items():
            position = portfolio.positions[key]
            earned = int(position.realised) - self._figures.charges_of(*key)
            now, carried = _sign(position.qty), _sign(portfolio.carried_qty(key))
            before = self._sides.get(key, carried)
            self._sides[key] = now
            if now == before and (now or earned == self._earned.get(key, 0)):
                continue  # added to, or only made smaller
            if not before and now:
                continue  # opened
            result, self._earned[key] = earned - self._earned.get(key, 0), earned
            self.losses_in_a_row = self.losses_in_a_row + 1 if result < 0 else 0
            self.last_loss_ns = t_ns if result < 0 else self.last_loss_ns
        self._touched.clear()

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """What the account may do, as the broker says."""
        books = self._books
        if snapshot.may_sell_holdings is not None:
            books.may_sell_holdings = snapshot.may_sell_holdings
        if snapshot.locked_segments is None:
            return
        locked = frozenset(snapshot.locked_segments)
        if locked != books.locked_segments:
            books.locked_segments = locked
            books.note(RecordKind.RISK, {"locked_segments": sorted(locked)})

    # --- time -----------------------------------------------------------------------------------------

    def on_time(self, t_ns: int) -> None:
        """Time passed: a new day, and open positions that move without a trade."""
        today = ist_date(t_ns)
        if self._today is None:
            self._today = today
        elif today > self._today:
            self._turn_day(self._today, today)
        if t_ns - self._checked_ns >= CHECK_EVERY_NS:
            self.check()
        if t_ns - self._noted_ns >= NOTE_EVERY_NS:
            self._note_day(t_ns)

    def check(self) -> None:
        """Measure the losses against their limits, and trip what is reached."""
        self._checked_ns = self._books.now_ns
        if self._today is None:
            self._today = ist_date(self._books.now_ns)
        found = self.losses()
        for span in breakers.reached(found, self._books.limits):
            if span not in self.latches:
                self._trip(span, found.of(span))

    def _trip(self, span: Span, loss: Money) -> None:
        assert self._today is not None
        limit = breakers.limit_of(self._books.limits, span)
        name = "drawdown" if span is Span.MONTH else "loss"
        words = f"{name} of the {span.value} {format_rupees(loss, 0)} has reached the limit of {format_rupees(limit, 0)}"
        latch = self.latches[span] = Latch(span, span.of(self._today), words)
        self._books.note(
            RecordKind.RISK,
            {"breaker": span.value, "until": latch.until, "words": words, "loss": loss, "limit": limit},
        )
        self._settle_state()
        self._on_loss(words)

    def _note_day(self, t_ns: int) -> None:
        """Record the day's result where it changed: week and month stand on it after a restart."""
        gross, charges = self._figures.day_pnl(), self._figures.day_charges()
        if self._today is None or (gross, charges) == (self._noted or (0, 0)):
            return
        self._noted, self._noted_ns = (gross, charges), t_ns
        self._books.note(
            RecordKind.RISK,
            {"day": self._today.isoformat(), "gross": gross, "charges": charges, "net": gross - charges},
        )

    def _turn_day(self, old: date, new: date) -> None:
        """Midnight in India: yesterday's result is kept, and everything that holds for a day begins anew."""
        books = self._books
        self._note_day(books.now_ns)
        self.results[old] = self._figures.net()
        books.portfolio.turn_day(lambda key: books.market(key).last)
        self._figures.turn_day()
        self._today, self._noted = new, None
        books.entries_today = 0
        self.losses_in_a_row = self.last_loss_ns = 0
        self._earned.clear()
        self._sides.clear()
        self._groups.clear()
        self._end_spans(new)

    def _end_spans(self, today: date) -> None:
        for span in Span:
            latch = self.latches.get(span)
            if latch is not None and not latch.holds(today):
                del self.latches[span]
                self._books.note(RecordKind.RISK, {"breaker_over": span.value, "until": latch.until})
        old = max(self.results, default=None)
        if old is not None:
            self.waived = {s: m for s, m in self.waived.items() if s.of(old) == s.of(today)}
        self._settle_state()

    # --- operator -------------------------------------------------------------------------------------

    def resume(self, note: str) -> str:
        """A person wants to go on: breakers are released by a typed reason only. Returns why not, or nothing."""
        if not self.latches:
            return ""
        reason = note.strip()
        if not reason:
            said = "; ".join(latch.words for latch in self.latches.values())
            return f"{said}: it holds until its time is over, or resume with a typed reason"
        found = breakers.losses(
            self.results, self._today or ist_date(self._books.now_ns), self._figures.net()
        )
        for span in self.latches:
            self.waived[span] = found.of(span)
        released = {span.value: int(self.waived[span]) for span in self.latches}
        self.latches.clear()
        self._books.note(RecordKind.RISK, {"released": released, "reason": reason})
        return ""

    def change_limit(self, event: OperatorEvent) -> str:
        """Change a limit while running, at once. Returns why it was not, or nothing."""
        books, reason = self._books, event.note.strip()
        if books.live and not reason:
            return "a limit of live trading is changed with a typed reason only"
        try:
            changed = change(books.limits, event.name, event.value)
        except DomainError as error:
            return error.message
        old = value_of(books.limits, event.name)
        books.limits = changed
        books.note(
            RecordKind.LIMITS,
            {"name": event.name, "old": old, "new": value_of(changed, event.name), "reason": reason},
        )
        self.check()
        return ""

    def confirm_square_off(self) -> None:
        """The user has looked up the broker's cut-off and says that ours lies before it."""
        self._square_off_ok = self._square_off_times()
        self._books.note(RecordKind.RISK, {"square_off_ok": self._square_off_ok})

    # --- restart --------------------------------------------------------------------------------------

    def give_back(self, memory: Memory, today: date) -> None:
        """Take over what an earlier run left. Orders and trades of the day have been given back before."""
        books = self._books
        self._today = today
        self.results = {date.fromisoformat(day): Money(net) for day, net in memory.results.items()}
        self.latches = {latch.span: latch for latch in memory.latches if latch.holds(today)}
        self.waived = {Span(span): Money(loss) for span, loss in memory.waived.items()}
        books.entries_today = memory.entries
        for name, value in memory.changes:
            books.limits = change(books.limits, name, value)
        books.locked_segments = frozenset(memory.locked_segments)
        self._square_off_ok = memory.square_off_ok
        if books.state is not RiskState.HALTED:
            books.state, books.state_reason = self.state_now()
        self._noted = (self._figures.day_pnl(), self._figures.day_charges())

    def confirmed_before(self) -> None:
        """The settings say that the square-off time has been confirmed."""
        self._square_off_ok = self._square_off_times()

    # --- inside ---------------------------------------------------------------------------------------

    def _settle_state(self) -> None:
        """The state that the breakers ask for; a kill outranks it."""
        books = self._books
        if books.state is RiskState.HALTED:
            return
        state, reason = self.state_now()
        if (state, reason) != (books.state, books.state_reason):
            books.state, books.state_reason = state, reason
            books.note(RecordKind.RISK, {"state": state.value, "reason": reason})

    def _square_off_times(self) -> str:
        limits = self._books.limits
        return f"{hhmm(limits.square_off_s)}, {hhmm(limits.square_off_mcx_s)}"


def _sign(qty: int) -> int:
    return (qty > 0) - (qty < 0)
