"""The desk itself: takes requests, events and the time, and hands them to its parts.

It stands between the engine's line (which makes signals) and `execution` (which makes commands). Nothing
reaches a broker without passing the gate here; exits, cancels and kill take the same road and are let
through by the gate's own rules, never around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tradetui.desk.acts import Acts
from tradetui.desk.books import AfterAuction, Books, Market
from tradetui.desk.closing import Closing
from tradetui.desk.facts import FactsGatherer
from tradetui.desk.figures import Figures
from tradetui.desk.groups import Groups, Part
from tradetui.desk.guard import Guard
from tradetui.desk.protection import Naked, Protection
from tradetui.desk.slices import slices_of
from tradetui.desk.sparing import spared
from tradetui.desk.times import Times, terms_of
from tradetui.desk.trails import Bars
from tradetui.domain.events import (
    AccountEvent,
    AccountSnapshot,
    FillEvent,
    GttUpdate,
    JournalEvent,
    OperatorEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, ceil_to_tick, floor_to_tick, format_rupees
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import Command
from tradetui.domain.view import Check, Preview, Verdict
from tradetui.execution.manager import OrderManager
from tradetui.risk.facts import Facts, RiskState
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
        bars: Gives finished bars, for trails that measure the market's range.
        closes_ns: Key to the end of today's continuous trading, UTC ns; ``None`` when not known.
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
        bars: Bars = lambda key, interval_s, count: (),
        closes_ns: Callable[[str], int | None] = lambda key: None,
    ) -> None:
        self._charge = charge
        self._note = note
        self.portfolio = Portfolio(lambda key: found.multiplier if (found := instrument(key)) else 1)
        self.times = Times(market, terms_of(instrument), lambda: self.books.now_ns, note)
        self.manager = OrderManager(self.portfolio, emit, self.times.noted, tag_prefix)
        self.books = Books(limits, live, instrument, market, note, self.portfolio, self.manager)
        if limits.watch_in_auction:
            self.books.after_auction = AfterAuction.WATCH
        self.figures = Figures(self.books, charge)
        self.guard = Guard(self.books, self.figures, self._on_loss)
        self.facts = FactsGatherer(self.books, self.figures, self.guard)
        self.books.gtts, self.books.closes_ns = self.manager.gtts, closes_ns
        self.closing = Closing(self.books, self.send_exit, self.amend)
        self._close_later: tuple[str, tuple[Product, ...]] | None = None
        self.protection = Protection(self.books, self.closing, self.send_exit, self.amend, bars)
        self.groups = Groups(self.books, tag_prefix, self._place_part)
        self.acts = Acts(self)

    # --- asking ---------------------------------------------------------------------------------------

    def request(self, request: OrderRequest, score: float | None = None) -> Order | None:
        """Judge a request and place it, or record why not. ``None`` when its client id was used before."""
        if self.manager.was_asked(request):
            return None
        facts = self.facts.of(request, score)
        words, becomes_exit = self._beside_its_exit(facts)
        if becomes_exit:
            key, product = request.instrument_key, request.product
            why = f"{request.side.value.lower()} by {request.source}"
            words = self.closing.want_part(key, product, why, request.qty) or words
        words = words or refusal(judge(facts))
        if words:
            self._note(RecordKind.DECISION, {"request": freeze(request), "refused": words})
            refused = self.manager.refuse(request, self.books.now_ns, words)
            self.closing.go_on()  # what was asked for may have become an exit
            return refused
        slices = slices_of(request, facts.instrument)
        if len(slices) > 1:
            parent = self.groups.begin("slices", [Part(one, reducing=facts.reducing) for one in slices])
            return self.manager.orders[parent.tags[0]] if parent.tags else None
        return self._place(facts)

    def _place(self, facts: Facts) -> Order | None:
        """Place what the gate has let through."""
        self.guard.entering(facts)
        order = self.manager.place(facts.request, self.books.now_ns)
        if order is not None:
            self.facts.sent(facts)
            self.protection.entry_placed(order)
        return order

    def _place_part(self, request: OrderRequest, reducing: bool) -> Order | None:
        """Place one part of a parent that was let through as a whole; one that was to reduce must do so still."""
        facts = self.facts.of(request, member=True)
        return None if reducing and not facts.reducing else self._place(facts)

    def send_exit(self, request: OrderRequest) -> tuple[Order | None, str]:
        """Send an exit of ours through the gate: the order, or why not."""
        facts = self.facts.of(request)
        words = refusal(judge(facts))
        if words or not facts.reducing:
            return None, words or "it could turn the position round"
        order = self._place(facts)
        return order, order.message if order is not None else ""

    def _beside_its_exit(self, facts: Facts) -> tuple[str, bool]:
        """What an order beside the exit that rests for its position leads to, and whether it becomes an exit itself.

        No words: it may go as it is. Two exits that rest together could turn the position round.
        """
        request, held = facts.request, facts.position_qty
        at = (request.instrument_key, request.product)
        managed = self.protection.plans.get(at)
        rests = managed is not None and (
            self.protection.resting.stops(managed) or self.protection.resting.gtts(managed)
        )
        if request.is_exit or held * request.side.sign >= 0 or not (rests or self.closing.active(*at)):
            return "", False
        if request.qty > abs(held):
            return (
                f"an exit of {abs(held)} rests for this position: close it first, then open the other side",
                False,
            )
        away = (request.price - (facts.last or 0)) * request.side.sign
        if request.order_type is OrderType.MARKET or (facts.last and request.price and away >= 0):
            return (
                "its stop is taken away first, then the position is closed",
                True,
            )
        return (
            "a second resting exit beside the stop could turn the position round: "
            "set this price as the target of the position"
        ), False

    def preview(self, request: OrderRequest, modifies: str = "") -> Preview:
        """What would happen if the request were sent now.

        Args:
            request: The terms.
            modifies: Tag of the working order that shall get them; empty for a new order.
        """
        if modifies:
            return self._preview_change(request, modifies)
        facts = self.facts.of(request)
        words, becomes_exit = self._beside_its_exit(facts)
        if becomes_exit:
            facts = replace(facts, pending_qty=0)
        checks = judge(facts)
        if words:
            # Getting out must not cost one more act: what happens to the stop is said, not asked.
            checks += (Check("stop", Verdict.PASS if becomes_exit else Verdict.BLOCK, words),)
        effect = f"{facts.effect}; {words}" if becomes_exit else facts.effect
        instrument, reference = facts.instrument, facts.reference
        if instrument is None or not reference or request.qty <= 0:
            return Preview(request, checks, effect=effect)
        worst = Price(0)
        if request.order_type in (OrderType.MARKET, OrderType.SL_M) and facts.last:
            worst = self.worst_price(request, instrument, request.trigger_price or facts.last)
        price = worst or reference
        return Preview(
            request,
            checks,
            value=reference * request.qty * instrument.multiplier,
            margin=0 if facts.reducing else facts.margin_needed,
            charges=self._charge(
                instrument, request.product, request.side, request.qty, price, self.books.now_ns
            ),
            worst_price=worst,
            effect=effect,
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
        self.times.hear(event)
        match event:
            case FillEvent():
                if self.manager.on_fill(event):
                    self._on_booked(event.fill)
                    self.guard.after_fills()
                    self._go_on()
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
                if self.manager.positions.compared:
                    self.protection.account_seen()
                    if self._close_later is not None:
                        self.close_all(*self._close_later)
            case JournalEvent():
                self.books.journal_problem = event.problem
            case OperatorEvent():
                self.acts.take(event)
            case _:
                self._hear_broker(event)
        self._go_on()
        return None

    def _hear_broker(self, event: AccountEvent) -> None:
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
            case GttUpdate():
                self.manager.on_gtt_update(event)
            case _:
                pass

    def _go_on(self) -> None:
        """Every part does its next step: stops first, then exits, then what waits to be placed."""
        self.protection.go_on()
        self.closing.go_on()
        self.groups.go_on()

    def rebook(self, fill: Fill) -> None:
        """Book a trade of an earlier run of the day, read back from the journal: nothing is recorded again."""
        if self.portfolio.book(fill):
            self._on_booked(fill)
            self.guard.count_round_trips()

    def remember(self, order: Order) -> None:
        """Take an order of an earlier run of the day into account."""
        self.facts.remember(order)

    def _on_booked(self, fill: Fill) -> None:
        self.figures.on_fill(fill)
        self.guard.on_fill(fill)

    def on_time(self, t_ns: int) -> None:
        """Time passed: probes, reconciliation, arming, time exits, square-off, chases."""
        # Engine time never runs backwards, whatever a clock does.
        t_ns = self.books.now_ns = max(self.books.now_ns, t_ns)
        if self.books.armed_until_ns and t_ns >= self.books.armed_until_ns:
            self.disarm("arming ran out")
        self.guard.on_time(t_ns)
        self.manager.on_time(t_ns)
        self.protection.on_time()
        self._go_on()

    def on_prices(self) -> None:
        """Prices moved: trails follow, targets and watched stops may strike."""
        if self.protection.on_prices():
            self._go_on()

    @property
    def watches_prices(self) -> bool:
        """Whether any exit plan waits for a price."""
        return bool(self.protection.plans)

    # --- changing -------------------------------------------------------------------------------------

    def amend(
        self, order: Order, qty: int | None = None, price: int | None = None, trigger: int | None = None
    ) -> str:
        """Change a working order, if the gate lets its new terms through. Returns why not, or nothing."""
        if order.status.terminal:
            return "the order is finished"
        new = _changed(order, qty, price, trigger)
        if new.qty <= order.filled_qty:
            return _too_few(order)
        order_type = new.order_type
        words = refusal(judge(self._facts_of_change(order, new)))
        return words or self.manager.modify(
            order.tag,
            self.books.now_ns,
            qty,
            None if price is None else Price(price),
            new.trigger_price if trigger is not None or order_type is not order.request.order_type else None,
            order_type=order_type,
        )

    def _preview_change(self, request: OrderRequest, tag: str) -> Preview:
        """What changing a working order to the terms of ``request`` would do."""
        order = self.manager.orders.get(tag)
        if order is None or order.status.terminal:
            return Preview(request, (Check("order", Verdict.BLOCK, "the order is finished"),))
        old, name = order.request, self.books.symbol(order.request.instrument_key)
        if old.is_resting_stop:
            words = self.protection.why_not_moved(order, request.trigger_price)
            verdict = Verdict.BLOCK if words else Verdict.PASS
            effect = f"moves the stop of {name} from {format_rupees(old.trigger_price)} to "
            effect += f"{format_rupees(request.trigger_price)}; its limit follows"
            return Preview(request, (Check("stop", verdict, words),), effect=effect)
        new = _changed(order, request.qty, request.price or None, request.trigger_price or None)
        words = _too_few(order) if new.qty <= order.filled_qty else _same(old, new)
        if words:
            return Preview(request, (Check("change", Verdict.BLOCK, words),), effect=_change_words(old, new))
        facts = self._facts_of_change(order, new)
        checks = judge(facts)
        instrument, reference = facts.instrument, facts.reference
        if instrument is None or not reference:
            return Preview(request, checks, effect=_change_words(old, new))
        return Preview(
            request,
            checks,
            value=reference * new.qty * instrument.multiplier,
            margin=0 if facts.reducing else facts.margin_needed,
            charges=self._charge(instrument, new.product, new.side, new.qty, reference, self.books.now_ns),
            effect=_change_words(old, new),
        )

    def _facts_of_change(self, order: Order, new: OrderRequest) -> Facts:
        """Facts for the new terms of a working order, which is not measured against itself."""
        # A person asks, whoever placed it.
        source = new.source if new.is_exit else "manual"
        # An after-market order is an order like any other once the market has opened.
        amo = new.amo and self.books.market(new.instrument_key).phase == "closed"
        facts = self.facts.of(replace(new, qty=new.qty - order.filled_qty, source=source, amo=amo))
        blocked = self.facts.of(replace(order.request, qty=order.pending_qty)).margin_needed
        return replace(
            facts,
            pending_qty=facts.pending_qty - order.pending_qty,
            margin_needed=Money(max(0, facts.margin_needed - blocked)),
            exposure=Money(facts.exposure - self.facts.entering_value(order)),
            counted=True,
            same_recent=False,
            sliceable=False,
        )

    # --- risk state -----------------------------------------------------------------------------------

    def disarm(self, reason: str) -> None:
        """Take live trading's permission to add risk away. Exits stay possible."""
        if self.books.armed_until_ns:
            self.books.armed_until_ns = 0
            self._note(RecordKind.RISK, {"armed_until_ns": 0, "reason": reason})

    def kill(self, who: str) -> None:
        """Stage 1: no new risk, every working order cancelled except those that only protect a position."""
        self.set_state(RiskState.HALTED, f"kill pulled by {who}")
        self.disarm("kill")
        self._cancel_what_adds_risk("kill pulled")

    def flatten(self, who: str, include: tuple[Product, ...] = ()) -> None:
        """Stage 2: kill, and every position closed, shorts before longs.

        Args:
            who: Who pulled it.
            include: Products beyond intraday and derivatives that are closed too.
        """
        self.kill(who)
        self.close_all("flatten", include)

    def close_all(self, why: str, include: tuple[Product, ...] = ()) -> None:
        """Close every position; delivery and MTF shares only when named.

        Before the broker has shown its positions nobody knows all of them: then it is done again when it has.
        """
        self._close_later = None if self.manager.positions.compared else (why, include)
        held = [(p.instrument_key, p.product) for p in self.portfolio.open_positions()]
        # What still works may fill yet: those are closed too.
        asked = [(o.request.instrument_key, o.request.product) for o in self.manager.working()]
        for key, product in dict.fromkeys((*held, *asked)):
            if self.closes_with_all(key, product, include):
                self.closing.want(key, product, why, covers_first=True)
        self.closing.go_on()

    def call_back(self) -> None:
        """What was to be closed with everything else is not wanted any more."""
        self._close_later = None
        self.closing.clear()

    def closes_with_all(self, key: str, product: Product, include: tuple[Product, ...]) -> bool:
        """Whether a position goes when everything goes: shares that were bought to keep stay, unless named."""
        instrument = self.books.instrument(key)
        derivative = instrument.is_derivative if instrument else key.partition("|")[0].endswith("_FO")
        position = self.portfolio.positions.get((key, product))
        if position is not None and self.books.sold_from_demat(position):
            return False
        return derivative or product is Product.INTRADAY or product in include

    def _cancel_what_adds_risk(self, why: str) -> None:
        self.groups.stop(why)
        kept = spared(self.books)
        for order in self.manager.working():
            if order.tag not in kept:
                self.manager.cancel(order.tag, self.books.now_ns)
        for gtt in self.manager.gtts.working():
            request = gtt.request
            if self.books.held(request.instrument_key, request.product) * request.side.sign >= 0:
                self.manager.gtts.cancel(gtt.tag, self.books.now_ns)

    def naked(self) -> list[Naked]:
        """Positions that are naked right now, and why in words."""
        return self.protection.naked()

    def _on_loss(self, words: str) -> None:
        """A loss limit was reached: nothing that would add risk may rest; positions go where the settings say so."""
        self._cancel_what_adds_risk(words)
        if self.books.limits.flatten_on_loss:
            self.close_all(words)

    def set_state(self, state: RiskState, reason: str) -> None:
        """Change what the gate lets through, and record it."""
        if (state, reason) != (self.books.state, self.books.state_reason):
            self.books.state, self.books.state_reason = state, reason
            self._note(RecordKind.RISK, {"state": state.value, "reason": reason})


def _changed(order: Order, qty: int | None, price: int | None, trigger: int | None) -> OrderRequest:
    """The terms of a working order after a change; what is ``None`` stays."""
    old = order.request
    new = replace(
        old,
        qty=old.qty if qty is None else qty,
        price=old.price if price is None else Price(price),
        trigger_price=old.trigger_price if trigger is None else Price(trigger),
    )
    # A stop that has triggered is a limit order by now, and so is what rests of a protected market order.
    market = old.order_type is OrderType.MARKET
    triggered = order.status is OrderStatus.OPEN and old.order_type is OrderType.SL
    if price is not None and (market or triggered):
        new = replace(new, order_type=OrderType.LIMIT, trigger_price=Price(0))
    return new


def _too_few(order: Order) -> str:
    return f"{order.filled_qty} have filled already: cancel the rest instead"


def _same(old: OrderRequest, new: OrderRequest) -> str:
    return "nothing is changed yet" if old == new else ""


def _change_words(old: OrderRequest, new: OrderRequest) -> str:
    """What a change changes: `quantity 10 becomes 8, price 100.00 becomes 99.50`."""
    parts = [f"quantity {old.qty} becomes {new.qty}"] if old.qty != new.qty else []
    for name, before, after in (
        ("price", old.price, new.price),
        ("trigger", old.trigger_price, new.trigger_price),
    ):
        if before != after:
            parts.append(f"{name} {format_rupees(before)} becomes {format_rupees(after)}")
    return ", ".join(parts)
