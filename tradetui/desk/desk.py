"""The desk itself: takes requests, events and operator acts, and hands them to its parts.

It stands between the engine's line (which makes signals) and `execution` (which makes commands). Nothing
reaches a broker without passing `Desk.request`; exits, cancels and kill take the same road and are let
through by the gate's own rules, never around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tradetui.desk.books import Books, Market
from tradetui.desk.closing import Closing
from tradetui.desk.facts import FactsGatherer
from tradetui.desk.figures import Figures
from tradetui.desk.guard import Guard
from tradetui.domain.events import (
    AccountEvent,
    AccountSnapshot,
    FillEvent,
    JournalEvent,
    OperatorEvent,
    OperatorKind,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, ceil_to_tick, floor_to_tick
from tradetui.domain.order import (
    EXIT_SOURCE,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Product,
    Side,
)
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import Command
from tradetui.domain.view import Preview
from tradetui.execution import exits
from tradetui.execution.manager import OrderManager
from tradetui.risk.facts import RiskState
from tradetui.risk.gate import judge, refusal
from tradetui.risk.limits import Limits


class Desk:
    """See the module's docstring.

    Args:
        limits: Risk limits.
        live: Whether orders reach a real exchange.
        instrument: Key to terms.
        market: Key to market facts at the desk's current time.
        charge: Charges of one order: instrument, product, side, units, price, time.
        emit: Takes commands for the broker.
        note: Takes journal records.
        tag_prefix: Beginning of our order tags.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        live: bool,
        instrument: Callable[[str], Instrument | None],
        market: Callable[[str], Market],
        charge: Callable[[Instrument, Product, Side, int, Price, int], Money],
        emit: Callable[[Command], None],
        note: Callable[[RecordKind, Any], None],
        tag_prefix: str,
    ) -> None:
        self._charge = charge
        self._note = note
        self.portfolio = Portfolio(lambda key: found.multiplier if (found := instrument(key)) else 1)
        self.manager = OrderManager(self.portfolio, emit, note, tag_prefix)
        self.books = Books(limits, live, instrument, market, note, self.portfolio, self.manager)
        self.figures = Figures(self.books, charge)
        self.guard = Guard(self.books, self.figures, self._on_loss)
        self.facts = FactsGatherer(self.books, self.figures, self.guard)
        self.closing = Closing(self.books, self.request)
        self.watched = exits.Watcher()

    # --- asking ---------------------------------------------------------------------------------------

    def request(self, request: OrderRequest, score: float | None = None) -> Order | None:
        """Judge a request and place it, or record why not. ``None`` when its client id was used before."""
        if self.manager.was_asked(request):
            return None
        facts = self.facts.of(request, score)
        results = judge(facts)
        words = refusal(results)
        if words:
            self._note(RecordKind.DECISION, {"request": freeze(request), "refused": words})
            return self.manager.refuse(request, self.books.now_ns, words)
        self.guard.entering(facts)
        order = self.manager.place(request, self.books.now_ns)
        if order is not None:
            self.facts.sent(facts)
        return order

    def preview(self, request: OrderRequest) -> Preview:
        """What would happen if the request were sent now."""
        facts = self.facts.of(request)
        instrument, reference = facts.instrument, facts.reference
        if instrument is None or not reference or request.qty <= 0:
            return Preview(request, judge(facts), effect=facts.effect)
        worst = Price(0)
        if request.order_type in (OrderType.MARKET, OrderType.SL_M) and facts.last:
            worst = self.worst_price(request, instrument, request.trigger_price or facts.last)
        price = worst or reference
        return Preview(
            request,
            judge(facts),
            value=reference * request.qty * instrument.multiplier,
            margin=0 if facts.reducing else facts.margin_needed,
            charges=self._charge(
                instrument, request.product, request.side, request.qty, price, self.books.now_ns
            ),
            worst_price=worst,
            effect=facts.effect,
        )

    def worst_price(self, request: OrderRequest, instrument: Instrument, last: Price) -> Price:
        """Worst price at which a protected market order may fill: last price widened by its protection."""
        pct = (
            request.protection_pct if request.protection_pct > 0 else self.books.limits.market_protection_pct
        )
        away = int(last * pct / 100)
        if request.side is Side.BUY:
            return floor_to_tick(Price(last + away), instrument.tick_size)
        return ceil_to_tick(Price(max(last - away, instrument.tick_size)), instrument.tick_size)

    # --- hearing --------------------------------------------------------------------------------------

    def on_account(self, event: AccountEvent) -> Fill | None:
        """Take in what the broker or the operator said. Returns the fill when one was booked just now."""
        match event:
            case OrderUpdate():
                self.manager.on_update(event)
            case RequestAccepted():
                self.manager.on_accepted(event)
            case RequestRefused():
                self.manager.on_refused(event)
            case RequestUnknown():
                self.manager.on_unknown(event)
            case TagAbsence():
                self.manager.on_absence(event)
            case FillEvent():
                if self.manager.on_fill(event):
                    self._on_booked(event.fill)
                    self.guard.after_fills()
                    return event.fill
            case AccountSnapshot():
                known = len(self.portfolio.fills)
                self.manager.on_snapshot(event)
                # In the order of booking: a set's order differs from process to process.
                for fill in list(self.portfolio.fills.values())[known:]:
                    self._on_booked(fill)
                if event.available is not None:
                    self.facts.funds_read(event.asked_ns)
                self.guard.on_snapshot(event)
                self.guard.after_fills()
            case JournalEvent():
                self.books.journal_problem = event.problem
            case OperatorEvent():
                self.on_operator(event)
        self.closing.go_on()
        return None

    def rebook(self, fill: Fill) -> None:
        """Book a trade of an earlier run of the day, read back from the journal: nothing is recorded again.

        Its order has been given back before, so that a stop that was watched is watched again.
        """
        if self.portfolio.book(fill):
            self._on_booked(fill)
            self.guard.count_round_trips()

    def remember(self, order: Order) -> None:
        """Take an order of an earlier run of the day into account."""
        self.facts.remember(order)

    def _on_booked(self, fill: Fill) -> None:
        order = self.manager.orders.get(self.manager_tag(fill))
        self.figures.on_fill(fill)
        self.guard.on_fill(fill)
        if order is not None and order.request.source != "manual" and order.request.stop:
            self.watched.on_fill(fill, order.request)
        if not self.portfolio.qty(fill.instrument_key, fill.product):
            self.watched.drop(fill.instrument_key, fill.product)

    def manager_tag(self, fill: Fill) -> str:
        """Our tag of the order that a fill belongs to."""
        booked = self.portfolio.fills.get((fill.trade_id, fill.broker_id), fill)
        return booked.tag

    def on_time(self, t_ns: int) -> None:
        """Time passed: probes, reconciliation, arming, watched stops."""
        # Engine time never runs backwards, whatever a clock does.
        t_ns = self.books.now_ns = max(self.books.now_ns, t_ns)
        if self.books.armed_until_ns and t_ns >= self.books.armed_until_ns:
            self.disarm("arming ran out")
        self.guard.on_time(t_ns)
        self.manager.on_time(t_ns)
        self.closing.go_on()

    def on_prices(self) -> None:
        """Prices moved: watched stops and targets may be hit."""
        hits = self.watched.hits(self.books.market)
        for hit in hits:
            self.closing.want(hit.instrument_key, hit.product, hit.words)
        if hits:
            self.closing.go_on()

    # --- operator -------------------------------------------------------------------------------------

    def on_operator(self, event: OperatorEvent) -> None:
        """Do what a person asked for, and record it."""
        self._note(RecordKind.OPERATOR, freeze(replace(event, t_ns=0)))
        match event.kind:
            case OperatorKind.PLACE if event.request is not None:
                self.request(event.request)
            case OperatorKind.MODIFY:
                self._say(self._modify(event), event)
            case OperatorKind.CANCEL:
                self._say(self.manager.cancel(event.tag, self.books.now_ns), event)
            case OperatorKind.CANCEL_ALL:
                for order in self.manager.working(event.instrument_key):
                    self.manager.cancel(order.tag, self.books.now_ns)
            case OperatorKind.EXIT:
                self.closing.want(event.instrument_key, event.product, "exit")
                self.closing.go_on()
            case OperatorKind.KILL:
                self.kill(event.note or "operator")
            case OperatorKind.FLATTEN:
                self.kill(event.note or "operator")
                # What still works may fill yet: those are closed too.
                held = [(p.instrument_key, p.product) for p in self.portfolio.open_positions()]
                asked = [order.request for order in self.manager.working()]
                for key, product in (*held, *((one.instrument_key, one.product) for one in asked)):
                    self.closing.want(key, product, "flatten")
                self.closing.go_on()
            case OperatorKind.RESUME:
                self.closing.clear()
                self._say(self.guard.resume(event.note), event)
                self._set_state(*self.guard.state_now())
            case OperatorKind.LIMITS:
                self._say(self.guard.change_limit(event), event)
            case OperatorKind.SQUARE_OFF_OK:
                self.guard.confirm_square_off()
            case OperatorKind.ARM if why := self.guard.why_not_arm():
                self._say(why, event)
            case OperatorKind.ARM:
                self.books.armed_until_ns = event.until_ns
                self._note(RecordKind.RISK, {"armed_until_ns": event.until_ns})
            case OperatorKind.DISARM:
                self.disarm(event.note or "operator")
            case _:
                pass

    def _modify(self, event: OperatorEvent) -> str:
        """Change a working order, if the gate lets its new terms through. Returns why not, or nothing."""
        order = self.manager.orders.get(event.tag)
        if order is None or order.status.terminal:
            return "the order is finished" if order else f"no order {event.tag}"
        old = order.request
        new = replace(
            old,
            qty=old.qty if event.qty is None else event.qty,
            price=old.price if event.price is None else event.price,
            trigger_price=old.trigger_price if event.trigger_price is None else event.trigger_price,
        )
        if new.qty <= order.filled_qty:
            return f"{order.filled_qty} have filled already: cancel the rest instead"
        # A person asks, whoever placed it. A stop that has triggered is a limit order by now.
        left = replace(new, qty=new.qty - order.filled_qty, source="manual")
        if order.status is OrderStatus.OPEN and new.order_type is OrderType.SL:
            left = replace(left, order_type=OrderType.LIMIT, trigger_price=Price(0))
        facts = self.facts.of(left)
        # The order is not measured against itself: its units, its margin and its entry are counted already.
        blocked = self.facts.of(replace(old, qty=order.pending_qty)).margin_needed
        facts = replace(
            facts,
            pending_qty=facts.pending_qty - order.pending_qty,
            margin_needed=Money(max(0, facts.margin_needed - blocked)),
            exposure=Money(facts.exposure - self.facts.entering_value(order)),
            counted=True,
            same_recent=False,
            sliceable=False,
        )
        words = refusal(judge(facts))
        return words or self.manager.modify(
            event.tag, self.books.now_ns, event.qty, event.price, event.trigger_price
        )

    def disarm(self, reason: str) -> None:
        """Take live trading's permission to add risk away. Exits stay possible."""
        if self.books.armed_until_ns:
            self.books.armed_until_ns = 0
            self._note(RecordKind.RISK, {"armed_until_ns": 0, "reason": reason})

    def kill(self, who: str) -> None:
        """Stage 1: no new risk, every working order cancelled except those that only protect a position."""
        self._set_state(RiskState.HALTED, f"kill pulled by {who}")
        self.disarm("kill")
        for order in self.manager.working():
            if not self.protects(order):
                self.manager.cancel(order.tag, self.books.now_ns)

    def protects(self, order: Order) -> bool:
        """Whether a working order is a stop, or an exit of ours, that can only make a position smaller."""
        request = order.request
        held = self.portfolio.qty(request.instrument_key, request.product)
        closing = request.order_type in (OrderType.SL, OrderType.SL_M) or request.source == EXIT_SOURCE
        return closing and held * request.side.sign < 0

    def _on_loss(self, words: str) -> None:
        """A loss limit was reached: nothing that would add risk may rest; positions go where the settings say so."""
        for order in self.manager.working():
            if not self.protects(order):
                self.manager.cancel(order.tag, self.books.now_ns)
        if self.books.limits.flatten_on_loss:
            for position in self.portfolio.open_positions():
                instrument = self.books.instrument(position.instrument_key)
                derivative = instrument is not None and instrument.is_derivative
                # Shares bought to keep are left out, as in any flattening, unless they are named.
                if derivative or position.product is Product.INTRADAY:
                    self.closing.want(position.instrument_key, position.product, words)
            self.closing.go_on()

    def _set_state(self, state: RiskState, reason: str) -> None:
        if (state, reason) != (self.books.state, self.books.state_reason):
            self.books.state, self.books.state_reason = state, reason
            self._note(RecordKind.RISK, {"state": state.value, "reason": reason})

    def _say(self, words: str, event: OperatorEvent) -> None:
        if words:
            self._note(RecordKind.DECISION, {"refused": words, "kind": event.kind.value, "tag": event.tag})
