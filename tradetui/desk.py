"""The order desk: what people and strategies want, through the risk gate, to the order manager.

It stands between the engine's line (which makes signals) and `execution` (which makes commands). Nothing
reaches a broker without passing `Desk.request`; exits, cancels and kill take the same road and are let
through by the gate's own rules, never around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from tradetui.domain import margin
from tradetui.domain.calendar import ist_date
from tradetui.domain.events import (
    AccountEvent,
    AccountSnapshot,
    FillEvent,
    OperatorEvent,
    OperatorKind,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, ceil_to_tick, floor_to_tick, to_price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.position import Position
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import Command
from tradetui.domain.view import Preview
from tradetui.execution import exits
from tradetui.execution.charges import OrderCharges
from tradetui.execution.manager import SECOND, OrderManager
from tradetui.risk.checks import Facts, RiskState
from tradetui.risk.gate import judge, refusal
from tradetui.risk.limits import Limits

IST_OFFSET_S: Final = 19_800
CLOSING_PROTECTION_PCT: Final = 3
"""Market protection of our own exits, percent: wide enough to fill, bounded all the same."""

EXIT_RETRY_NS: Final = 3 * SECOND


@dataclass(frozen=True, slots=True)
class Market:
    """What the desk may know about one instrument's market. Prices in 1/10,000 rupee; ``None``: never seen."""

    last: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    age_s: float | None = None
    phase: str = "closed"


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
        self.limits = limits
        self.live = live
        self._instrument = instrument
        self._market = market
        self._charge = charge
        self._note = note
        self.portfolio = Portfolio(self._multiplier)
        self.manager = OrderManager(self.portfolio, emit, note, tag_prefix)
        self.state = RiskState.ACTIVE
        self.state_reason = ""
        self.journal_problem = ""
        """Why the journal cannot be written; empty while it can."""
        self.armed_until_ns = 0
        self.feed_up = False
        self.now_ns = 0
        self.entries_today = 0
        self.watched = exits.Watcher()
        self._flatten: dict[tuple[str, Product], str] = {}
        self._cancel_tried: dict[str, int] = {}
        self._charges = OrderCharges(charge)
        self._sent: dict[tuple[str, str], int] = {}
        self._last_exit: dict[tuple[str, Product], str] = {}
        self._today: date | None = None
        self._last_equal: dict[tuple[str, Side, int, OrderType, int], int] = {}

    # --- asking ---------------------------------------------------------------------------------------

    def request(self, request: OrderRequest, score: float | None = None) -> Order | None:
        """Judge a request and place it, or record why not. ``None`` when its client id was used before."""
        if self.manager.was_asked(request):
            return None
        results = judge(self.facts(request, score))
        words = refusal(results)
        if words:
            self._note(RecordKind.DECISION, {"request": freeze(request), "refused": words})
            return self.manager.refuse(request, self.now_ns, words)
        order = self.manager.place(request, self.now_ns)
        if order is not None:
            self._sent[request.source, request.instrument_key] = self.now_ns
            self._last_equal[_sameness(request)] = self.now_ns
            if not self.portfolio.qty(request.instrument_key, request.product):
                self.entries_today += 1
        return order

    def preview(self, request: OrderRequest) -> Preview:
        """What would happen if the request were sent now."""
        facts = self.facts(request)
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
            charges=self._charge(instrument, request.product, request.side, request.qty, price, self.now_ns),
            worst_price=worst,
            effect=facts.effect,
        )

    def worst_price(self, request: OrderRequest, instrument: Instrument, last: Price) -> Price:
        """Worst price at which a protected market order may fill: last price widened by its protection."""
        pct = request.protection_pct if request.protection_pct > 0 else self.limits.market_protection_pct
        away = int(last * pct / 100)
        if request.side is Side.BUY:
            return floor_to_tick(Price(last + away), instrument.tick_size)
        return ceil_to_tick(Price(max(last - away, instrument.tick_size)), instrument.tick_size)

    def facts(self, request: OrderRequest, score: float | None = None) -> Facts:
        """Everything the risk rules may look at, for one request, now."""
        key, product = request.instrument_key, request.product
        instrument = self._instrument(key)
        market = self._market(key) if instrument else Market()
        positions = self.portfolio.open_positions()
        reference = request.price or market.last
        sent = self._sent.get((request.source, key))
        equal = self._last_equal.get(_sameness(request))
        return Facts(
            request=request,
            instrument=instrument,
            limits=self.limits,
            state=self.state,
            state_reason=self.state_reason,
            journal_problem=self.journal_problem,
            # What is reported filled counts before its trade is booked: an exit must not be let through twice.
            position_qty=self.portfolio.qty(key, product) + self.manager.unbooked_qty(key, product),
            pending_qty=self.manager.pending_qty(key, product, request.side),
            pending_other_qty=self.manager.pending_qty(key, product, request.side.opposite),
            last=market.last,
            bid=market.bid,
            ask=market.ask,
            quote_age_s=market.age_s,
            feed_up=self.feed_up,
            phase=market.phase,
            available=self.available(),
            day_pnl=Money(self.day_pnl() - self.day_charges()),
            exposure=self.exposure(),
            open_positions=len(positions),
            intraday_positions=sum(p.product is Product.INTRADAY for p in positions),
            entries_today=self.entries_today,
            unknown_order=self.manager.has_unknown(key),
            account_trouble=self.manager.account_trouble,
            same_recent=equal is not None and self.now_ns - equal < self.limits.duplicate_s * SECOND,
            strategy_idle_s=None if sent is None else (self.now_ns - sent) / SECOND,
            second_of_day=(self.now_ns // SECOND + IST_OFFSET_S) % 86_400,
            live=self.live,
            armed=self.now_ns < self.armed_until_ns,
            score=score,
            margin_needed=margin.estimate(instrument, product, request.side, request.qty, reference)
            if instrument and reference and request.qty > 0
            else Money(0),
        )

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
                    return event.fill
            case AccountSnapshot():
                known = len(self.portfolio.fills)
                self.manager.on_snapshot(event)
                # In the order of booking: a set's order differs from process to process.
                for fill in list(self.portfolio.fills.values())[known:]:
                    self._on_booked(fill)
            case OperatorEvent():
                self.on_operator(event)
        self._go_on_flattening()
        return None

    def rebook(self, fill: Fill) -> None:
        """Book a trade of an earlier run of the day, read back from the journal: nothing is recorded again.

        Its order has been given back before, so that a stop that was watched is watched again.
        """
        if self.portfolio.book(fill):
            self._on_booked(fill)

    def remember(self, order: Order) -> None:
        """Take an order of an earlier run of the day into account: cooldowns go on over a restart."""
        request = order.request
        if order.status is not OrderStatus.REFUSED and not order.foreign:
            at = (request.source, request.instrument_key)
            self._sent[at] = max(order.created_ns, self._sent.get(at, 0))
            self._last_equal[_sameness(request)] = order.created_ns

    def _on_booked(self, fill: Fill) -> None:
        order = self.manager.orders.get(self.manager_tag(fill))
        instrument = self._instrument(fill.instrument_key)
        if instrument is not None:
            self._charges.add(fill, instrument)
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
        t_ns = self.now_ns = max(self.now_ns, t_ns)
        today = ist_date(t_ns)
        if self._today is not None and today != self._today:
            self.entries_today = 0
        self._today = today
        if self.armed_until_ns and t_ns >= self.armed_until_ns:
            self.disarm("arming ran out")
        self.manager.on_time(t_ns)
        self._go_on_flattening()

    def on_prices(self) -> None:
        """Prices moved: watched stops and targets may be hit."""
        hits = self.watched.hits(self._market)
        for hit in hits:
            self._flatten.setdefault((hit.instrument_key, hit.product), hit.words)
        if hits:
            self._go_on_flattening()

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
                self._say(self.manager.cancel(event.tag, self.now_ns), event)
            case OperatorKind.CANCEL_ALL:
                for order in self.manager.working(event.instrument_key):
                    self.manager.cancel(order.tag, self.now_ns)
            case OperatorKind.EXIT:
                self._flatten[event.instrument_key, event.product] = "exit"
                self._go_on_flattening()
            case OperatorKind.KILL:
                self.kill(event.note or "operator")
            case OperatorKind.FLATTEN:
                self.kill(event.note or "operator")
                # What still works may fill yet: those are closed too.
                held = [(p.instrument_key, p.product) for p in self.portfolio.open_positions()]
                asked = [order.request for order in self.manager.working()]
                for key in (*held, *((one.instrument_key, one.product) for one in asked)):
                    self._flatten[key] = "flatten"
                self._go_on_flattening()
            case OperatorKind.RESUME:
                self._flatten.clear()
                self._set_state(RiskState.ACTIVE, "")
            case OperatorKind.ARM:
                self.armed_until_ns = event.until_ns
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
        facts = self.facts(left)
        # The order is not measured against itself: its units, its margin and its entry are counted already.
        blocked = self.facts(replace(old, qty=order.pending_qty)).margin_needed
        facts = replace(
            facts,
            pending_qty=facts.pending_qty - order.pending_qty,
            margin_needed=Money(max(0, facts.margin_needed - blocked)),
            entries_today=0,
            same_recent=False,
        )
        words = refusal(judge(facts))
        return words or self.manager.modify(
            event.tag, self.now_ns, event.qty, event.price, event.trigger_price
        )

    def disarm(self, reason: str) -> None:
        """Take live trading's permission to add risk away. Exits stay possible."""
        if self.armed_until_ns:
            self.armed_until_ns = 0
            self._note(RecordKind.RISK, {"armed_until_ns": 0, "reason": reason})

    def kill(self, who: str) -> None:
        """Stage 1: no new risk, every working order cancelled except those that only protect a position."""
        self._set_state(RiskState.HALTED, f"kill pulled by {who}")
        self.disarm("kill")
        for order in self.manager.working():
            if not self.protects(order):
                self.manager.cancel(order.tag, self.now_ns)

    def protects(self, order: Order) -> bool:
        """Whether a working order is a stop, or an exit of ours, that can only make a position smaller."""
        request = order.request
        held = self.portfolio.qty(request.instrument_key, request.product)
        closing = request.order_type in (OrderType.SL, OrderType.SL_M) or request.source == exits.SOURCE
        return closing and held * request.side.sign < 0

    def _set_state(self, state: RiskState, reason: str) -> None:
        if (state, reason) != (self.state, self.state_reason):
            self.state, self.state_reason = state, reason
            self._note(RecordKind.RISK, {"state": state.value, "reason": reason})

    def _say(self, words: str, event: OperatorEvent) -> None:
        if words:
            self._note(RecordKind.DECISION, {"refused": words, "kind": event.kind.value, "tag": event.tag})

    # --- getting out ----------------------------------------------------------------------------------

    def _go_on_flattening(self) -> None:
        """Close what is to be closed: first its resting orders go, confirmed; then one exit is sent.

        Only an order on the exit's own side can turn the position round, so only such a one is waited for.
        """
        for (key, product), why in sorted(self._flatten.items()):
            held = self.portfolio.qty(key, product)
            working = self.manager.working(key, product)
            if self.manager.fills_missing(key, product):
                continue  # the position is older than its orders: what is left to close is not known yet
            if not held and not working:
                del self._flatten[key, product]
            for order in working:
                if order.request.source != exits.SOURCE:
                    self._cancel_again(order)
            if held and not self._exit(key, product, why):
                del self._flatten[key, product]

    def _cancel_again(self, order: Order) -> None:
        """Cancel, and after a refusal pause: a broker that says no must not be asked in a circle."""
        tried_ns = self._cancel_tried.get(order.tag)
        if not order.cancel_pending and (tried_ns is None or self.now_ns - tried_ns >= EXIT_RETRY_NS):
            self._cancel_tried[order.tag] = self.now_ns
            self.manager.cancel(order.tag, self.now_ns)

    def _exit(self, key: str, product: Product, why: str) -> bool:
        """Send one protected market order that closes a position. ``False`` when it was refused.

        One that failed is tried again after a pause, not on every frame and every answer.
        """
        held = self.portfolio.qty(key, product)
        side = Side.SELL if held > 0 else Side.BUY
        if not held or self.manager.pending_qty(key, product, side) or self._exit_just_failed(key, product):
            return True
        instrument = self._instrument(key)
        most = instrument.max_order_qty if instrument else 0
        order = self.request(
            OrderRequest(
                key,
                side,
                min(abs(held), most) if most else abs(held),
                product,
                OrderType.MARKET,
                protection_pct=CLOSING_PROTECTION_PCT,
                source=exits.SOURCE,
                reason=why,
            )
        )
        if order is None:
            return False
        self._last_exit[key, product] = order.tag
        return order.status.working

    def _exit_just_failed(self, key: str, product: Product) -> bool:
        last = self.manager.orders.get(self._last_exit.get((key, product), ""))
        if last is None or not last.status.terminal or last.filled_qty:
            return False
        return self.now_ns < last.updated_ns + EXIT_RETRY_NS

    # --- figures --------------------------------------------------------------------------------------

    def unrealised(self, position: Position) -> Money:
        """Profit of an open position at the last price; 0 while no price was seen."""
        last = self._market(position.instrument_key).last
        return position.unrealised(last) if last is not None else Money(0)

    def day_pnl(self) -> Money:
        """Realised plus unrealised profit, gross of charges."""
        return Money(sum(p.realised + self.unrealised(p) for p in self.portfolio.positions.values()))

    def day_charges(self) -> Money:
        """Estimated charges of everything that filled today."""
        return self._charges.total()

    def charges_of(self, key: str, product: Product) -> Money:
        """Estimated charges of one position's fills."""
        ids = {
            f.broker_id
            for f in self.portfolio.fills.values()
            if (f.instrument_key, f.product) == (key, product)
        }
        return self._charges.of(ids)

    def exposure(self) -> Money:
        """Value of all open positions at their last, else average, price."""
        total = 0
        for position in self.portfolio.open_positions():
            price = self._market(position.instrument_key).last or position.average_price
            total += abs(position.qty) * price * position.multiplier
        return Money(total)

    def available(self) -> Money:
        """Cash for new orders: what the broker says, else the capital."""
        known = self.portfolio.available
        return self.limits.capital if known is None else known

    def _multiplier(self, key: str) -> int:
        instrument = self._instrument(key)
        return instrument.multiplier if instrument else 1


def _sameness(request: OrderRequest) -> tuple[str, Side, int, OrderType, int]:
    return (request.instrument_key, request.side, request.qty, request.order_type, request.price)


def price_of(rupees: float) -> Price | None:
    """A column's float as a `Price`; zero and non-finite values mean: not known."""
    return to_price(rupees) if 0 < rupees < 1e9 else None
