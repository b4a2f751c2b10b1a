"""The exchange with the broker's risk control in front of it: accounts, orders, books, trades.

Sans-I/O and deterministic: no clock, no chance, no I/O. Time is an argument, ids come from counters, and
each call returns what it caused as a tuple of events. The simulator runs it with many accounts and prices
from a world; the paper broker runs it with one account and live quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tradetui.domain.calendar.ist import day_number, ist_date
from tradetui.domain.errors import DomainError
from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import DEPTH_LEVELS
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.position import Position
from tradetui.exchange import rules
from tradetui.exchange.accounts import Account
from tradetui.exchange.after_market import AfterMarket
from tradetui.exchange.book import Quote
from tradetui.exchange.days import Conversion
from tradetui.exchange.gtt import GttDesk
from tradetui.exchange.margins import RiskPrices
from tradetui.exchange.matching import Matcher
from tradetui.exchange.orders import (
    Amendment,
    ExchangeEvent,
    GttState,
    OrderState,
    RawStatus,
    Refusal,
    Reply,
    Trade,
)
from tradetui.exchange.reset_band import reset_band
from tradetui.exchange.rules import NO_BAND, Band, RuleBook
from tradetui.exchange.services import UNKNOWN_KEY, Services
from tradetui.exchange.sessions import Phase, PhaseOf, refuse_in_phase
from tradetui.exchange.square_off import SquareOff

_NOT_FOUND = "UDAPI100010"
_CANCEL_FINISHED = "UDAPI100040"
_MODIFY_FINISHED = "UDAPI100041"

Screen = Callable[[OrderState], "Refusal | None"]
"""A say of the caller's on every new order, children of GTTs included: a reason to reject it, or ``None``."""


class Exchange(Services):
    """Front door of the exchange; matching itself is `matching.Matcher`, the rest of what a broker does is `services.Services`.

    Args:
        instruments: What is listed; `list_instrument` adds more.
        phase_of: Which phase an instrument is in at an instant.
        rule_book: Switches of the rules.
        depth_levels: Levels a side that a full depth snapshot carries.
        first_serial: Where order, exchange-order and trade numbers start; a restart passes the next free one.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        phase_of: PhaseOf,
        *,
        rule_book: RuleBook | None = None,
        depth_levels: int = DEPTH_LEVELS,
        first_serial: int = 1,
    ) -> None:
        self._instruments = {instrument.key: instrument for instrument in instruments}
        self._phase_of = phase_of
        self.settled_on = 0
        """Number of the last trading day whose morning has been seen; 0 before the first."""
        self._rules = rule_book or RuleBook()
        self._bands: dict[str, Band] = {}
        self._accounts: dict[str, Account] = {}
        self._serial = first_serial
        self._reset_on: dict[str, int] = {}
        self._halts: dict[str, str] = {}
        self.screen: Screen | None = None
        self._matcher = Matcher(
            self._instruments, self._accounts, self._bands, self._rules, depth_levels, first_serial
        )
        self.risk = RiskPrices(self._matcher.last)
        self._gtts = GttDesk(self._matcher, self._instruments, self._bands, self._place_child, first_serial)
        self._square_off = SquareOff(self)
        self._after_market = AfterMarket(self._matcher)

    # --- set-up ---------------------------------------------------------------------------------------

    def list_instrument(self, instrument: Instrument) -> None:
        """Add or replace an instrument."""
        self._instruments[instrument.key] = instrument

    def set_band(self, key: str, band: Band, t_ns: int = 0) -> None:
        """Set the price limits of the day of one instrument; a band that was reset that day stays."""
        if not t_ns or self._reset_on.get(key) != day_number(t_ns):
            self._bands[key] = band

    def reset_band_of(self, key: str, t_ns: int) -> Band | None:
        """The price limits of one instrument, if they were reset today."""
        return self._bands.get(key) if self._reset_on.get(key) == day_number(t_ns) else None

    def set_reference(self, key: str, price: Price) -> None:
        """Set the price that an auction is held nearest to; without one it is the last price."""
        self._matcher.references[key] = price

    def add_account(
        self,
        account_id: str,
        opening: Money,
        positions: Iterable[Position] = (),
        holdings: Iterable[Holding] = (),
    ) -> None:
        """Open an account with ``opening`` cash, reckoned before the given positions were opened.

        Raises:
            DomainError: The account exists.
        """
        if account_id in self._accounts:
            raise DomainError(f"account {account_id} exists already")
        self._accounts[account_id] = Account(
            account_id, opening, self._instruments, positions, holdings, self.risk
        )

    def restore(self, order: OrderState) -> None:
        """Seat a working order of an earlier run again, at the end of its queue and without new checks.

        Raises:
            DomainError: The order is finished, or its id is in use.
        """
        if order.status.terminal or order.order_id in self._matcher.orders:
            raise DomainError(f"order {order.order_id} cannot be restored")
        if order.status is RawStatus.AMO_RECEIVED:
            self._after_market.restore(order)
        else:
            self._matcher.restore(order)

    def restore_gtt(self, gtt: GttState, filled: Mapping[str, int] | None = None) -> None:
        """Take a GTT of an earlier run up again. Seat its children first, or say what they have filled.

        Raises:
            DomainError: Its id is in use.
        """
        if gtt.gtt_id in self._gtts.gtts:
            raise DomainError(f"GTT {gtt.gtt_id} cannot be restored")
        self._gtts.restore(gtt, filled or {})

    def remember(
        self,
        histories: Iterable[Sequence[OrderState]],
        trades: Iterable[Trade],
        conversions: Mapping[str, Iterable[Conversion]] | None = None,
    ) -> None:
        """Know the orders and trades of an earlier run again, for reading; `restore` seats what still works.

        Args:
            histories: Every step of each order, oldest first.
            trades: Fills, whose positions `add_account` was given.
            conversions: Those of each account, which its positions contain too.
        """
        for steps in histories:
            order_id = steps[-1].order_id
            # Taken out and put back, so that the book keeps the order of arrival.
            self._matcher.orders[order_id] = self._matcher.orders.pop(order_id, steps[-1])
            self._matcher.history[order_id] = list(steps)
        for trade in trades:
            self._account(trade.account_id).trades.append(trade)
        for account_id, account in self._accounts.items():
            account.days.conversions.extend((conversions or {}).get(account_id, ()))
            account.days.restore(account.trades, account.positions)

    # --- orders ---------------------------------------------------------------------------------------

    def place(
        self, account_id: str, request: OrderRequest, tag: str, t_ns: int, *, veto: Refusal | None = None
    ) -> Reply:
        """Take a new order through request checks, risk control and the exchange's own checks to the book.

        A ``veto`` is the caller's own reason to reject the order after it was taken, for rehearsals.
        """
        made = self._admit(account_id, request, tag, t_ns, veto=veto)
        if isinstance(made, Refusal):
            return Reply(refusal=made, events=self._matcher.drain())
        return Reply(made, events=self._finish(request.instrument_key, t_ns))

    def place_for(
        self, account_id: str, request: OrderRequest, placed_by: str, note: str, t_ns: int
    ) -> Reply:
        """An order that somebody else places in the account: the broker's risk desk, with its reason."""
        made = self._admit(account_id, request, "", t_ns, placed_by=placed_by, note=note)
        if isinstance(made, Refusal):
            return Reply(refusal=made, events=self._matcher.drain())
        return Reply(made, events=self._finish(request.instrument_key, t_ns))

    def _place_child(self, account_id: str, request: OrderRequest, gtt_id: str, t_ns: int) -> str | Refusal:
        return self._admit(account_id, request, "", t_ns, gtt_id=gtt_id)

    def _admit(
        self,
        account_id: str,
        request: OrderRequest,
        tag: str,
        t_ns: int,
        *,
        veto: Refusal | None = None,
        placed_by: str = "",
        note: str = "",
        gtt_id: str = "",
    ) -> str | Refusal:
        """Make an order and let it in, or reject it; the reason when not even an order is made."""
        self.risk.at(t_ns)
        self._account(account_id)
        instrument = self._instruments.get(request.instrument_key)
        if instrument is None:
            return Refusal(UNKNOWN_KEY, f"unknown instrument key {request.instrument_key}")
        refusal = rules.refuse_request(instrument, request, tag, self._rules)
        if refusal is not None:
            return refusal
        self._roll(instrument, t_ns)
        order_id = f"{ist_date(t_ns):%y%m%d}{self._serial:09d}"
        self._serial += 1
        order = OrderState(
            order_id,
            account_id,
            tag,
            request,
            self._matcher.next_seq(),
            RawStatus.RECEIVED,
            t_ns,
            t_ns,
            block_price=self._block_price(instrument, request),
            message=note,
            note=note,
            placed_by=placed_by,
            gtt_id=gtt_id,
        )
        self._matcher.put(order)
        waits = self._rules.after_market and not placed_by and not gtt_id
        if waits and self._after_market.is_time(self._phase(instrument, t_ns)):
            reason = veto or self._after_market.refuse(request)
            if reason is not None:
                self._matcher.put(order.step(RawStatus.REJECTED, t_ns, reason.message))
            else:
                self._after_market.take(order, t_ns)
            return order_id
        self._let_in(order, t_ns, veto)
        return order_id

    def _let_in(self, order: OrderState, t_ns: int, veto: Refusal | None = None) -> None:
        """Judge a new order, then hand it to the exchange or reject it."""
        account, instrument = self._account(order.account_id), self._instruments[order.key]
        order = self._matcher.put(order.step(RawStatus.VALIDATING, t_ns))
        reason = (
            veto
            or (self.screen(order) if self.screen is not None else None)
            or self._square_off.refuse(order, t_ns)
            or self._refuse(account, instrument, order, t_ns)
        )
        if reason is not None:
            self._matcher.put(order.step(RawStatus.REJECTED, t_ns, reason.message))
        else:
            account.update(order)
            self._matcher.note_phase(instrument.key, self._phase(instrument, t_ns), t_ns)
            self._matcher.accept(order, t_ns, matching=self._continuous(instrument, t_ns))

    def modify(self, account_id: str, order_id: str, terms: Amendment, t_ns: int) -> Reply:
        """Change a working order.

        Time priority survives only when nothing but the quantity changes, and that downwards.
        """
        order = self._own(account_id, order_id)
        if order is None:
            return Reply(refusal=Refusal(_NOT_FOUND, f"order {order_id} not found"))
        instrument = self._instruments[order.key]
        self._roll(instrument, t_ns)
        order = self._matcher.orders[order_id]
        if order.status.terminal:
            refusal = Refusal(_MODIFY_FINISHED, f"order {order_id} is already {order.status.value}")
            return Reply(order_id, refusal, self._matcher.drain())
        wanted = replace(order, request=terms.over(order.request), requests=order.requests + 1)
        if order.triggered and terms.order_type is OrderType.SL:
            # A triggered stop is a limit order now: its trigger price is history.
            check = replace(wanted.request, order_type=OrderType.LIMIT, trigger_price=Price(0))
        else:
            check = wanted.request
        refused = rules.refuse_request(instrument, check, order.tag, self._rules)
        if refused is not None:
            return Reply(order_id, refused, self._matcher.drain())
        wanted = replace(wanted, block_price=self._block_price(instrument, check))
        if order_id in self._after_market:
            refused = self._after_market.refuse(check)
            if refused is None:
                self._after_market.amend(wanted, t_ns)
            return Reply(order_id, refused, self._matcher.drain())
        probe = replace(wanted, request=check)
        if check.qty <= order.filled_qty:
            refused = Refusal("RMS", f"new quantity must be above the {order.filled_qty} already filled")
        else:
            refused = self._refuse(self._account(account_id), instrument, probe, t_ns)
        self._matcher.put(order.step(RawStatus.MODIFY_VALIDATING, t_ns))
        if refused is not None:
            self._matcher.put(order.step(RawStatus.NOT_MODIFIED, t_ns, refused.message))
            self._matcher.put(order.step(order.status, t_ns))
            return Reply(order_id, refused, self._matcher.drain())
        self._matcher.put(order.step(RawStatus.MODIFY_PENDING, t_ns))
        self._matcher.amend(order, wanted, t_ns, matching=self._continuous(instrument, t_ns))
        return Reply(order_id, events=self._finish(order.key, t_ns))

    def cancel(
        self, account_id: str, order_id: str, t_ns: int, words: str = "cancelled by the user"
    ) -> Reply:
        """Cancel a working order; what has filled stays filled."""
        order = self._own(account_id, order_id)
        if order is None:
            return Reply(refusal=Refusal(_NOT_FOUND, f"order {order_id} not found"))
        self._roll(self._instruments[order.key], t_ns)
        order = self._matcher.orders[order_id]
        if order.status.terminal:
            refusal = Refusal(_CANCEL_FINISHED, f"order {order_id} is already {order.status.value}")
            return Reply(order_id, refusal, self._matcher.drain())
        if order_id in self._after_market:
            self._after_market.cancel(order_id, t_ns, words)
            return Reply(order_id, events=self._matcher.drain())
        self._matcher.put(order.step(RawStatus.CANCEL_PENDING, t_ns))
        self._matcher.cancel(order_id, t_ns, words)
        return Reply(order_id, events=self._finish(order.key, t_ns))

    def hit(self, order_id: str, qty: int, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Let another participant trade against one resting order, at its price and out of its turn.

        Raises:
            DomainError: The order does not rest in the book, or not with so much.
        """
        order = self._matcher.orders.get(order_id)
        if (
            order is None
            or not self._matcher.book(order.key).rests(order_id)
            or not 0 < qty <= order.remaining
        ):
            raise DomainError(f"order {order_id} does not rest in the book with {qty} units")
        self._matcher.hit(order_id, qty, t_ns)
        return self._finish(order.key, t_ns)

    # --- the rest of the market -----------------------------------------------------------------------

    def set_external(
        self, key: str, bids: Sequence[Quote], asks: Sequence[Quote], t_ns: int
    ) -> tuple[ExchangeEvent, ...]:
        """Take in a depth snapshot of the rest of the market; resting orders that it crosses fill."""
        instrument = self._instruments[key]
        self._roll(instrument, t_ns)
        self._matcher.book(key).set_external(bids, asks)
        if self._continuous(instrument, t_ns):
            self._matcher.cross(key, t_ns)
            if key in self._gtts.by_key:
                self._gtts.react(key, t_ns, trading=True)
        return self._matcher.drain()

    def external_trade(self, key: str, price: Price, qty: int, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Take in a print of the rest of the market: fills by priority, then moves the last price.

        ``qty`` is in units; 0 when unknown, then only the last price moves (and stops trigger).
        """
        instrument = self._instruments[key]
        self._roll(instrument, t_ns)
        if self._continuous(instrument, t_ns):
            self._matcher.external_trade(key, price, qty, t_ns)
            if key in self._gtts.by_key:
                self._gtts.react(key, t_ns, trading=True)
        return self._matcher.drain()

    def forget_external(self, key: str) -> None:
        """Drop the anonymous quantity of a book: its depth is too old to trade against."""
        self._matcher.book(key).forget_external()

    def set_last(self, key: str, price: Price) -> None:
        """Set the last traded price without a trade: what was known before the first print."""
        self._matcher.last[key] = price

    def advance(self, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Let time pass: days turn, sessions begin and end, orders of the day expire. Cheap while nothing works."""
        if day_number(t_ns) != self.settled_on:
            self._turn_day(t_ns)
        for order in self._due(t_ns):
            self._let_in(self._after_market.release(order.order_id, t_ns), t_ns)
        for key in self._matcher.busy_keys():
            self._roll(self._instruments[key], t_ns)
            if key in self._gtts.by_key:
                # A session that ends ends children too, and a GTT must know.
                self._gtts.react(key, t_ns, trading=False)
        self._gtts.expire(t_ns)
        self._square_off.advance(t_ns)
        return self._matcher.drain()

    def _turn_day(self, t_ns: int) -> None:
        share = next((one for one in self._instruments.values() if one.kind is InstrumentKind.EQUITY), None)
        if share is None or self._phase(share, t_ns) is Phase.CLOSED:
            return
        before, self.settled_on = self.settled_on, day_number(t_ns)
        for account in self._accounts.values() if before else ():
            account.settle(t_ns)

    def due_keys(self, t_ns: int) -> list[str]:
        """Instruments in which an after-market order is let in by the next `advance` to ``t_ns``."""
        return list(dict.fromkeys(order.key for order in self._due(t_ns)))

    def _due(self, t_ns: int) -> list[OrderState]:
        if not self._after_market:
            return []
        return [
            order
            for order in self._after_market
            if self._after_market.is_due(order, self._phase(self._instruments[order.key], t_ns))
        ]

    # --- inside ---------------------------------------------------------------------------------------

    def _phase(self, instrument: Instrument, t_ns: int) -> Phase:
        return Phase.of(self._phase_of(instrument, t_ns))

    def _continuous(self, instrument: Instrument, t_ns: int) -> bool:
        """Whether orders match now."""
        return self._phase(instrument, t_ns) is Phase.CONTINUOUS and not self._halted(instrument.key)

    def _roll(self, instrument: Instrument, t_ns: int) -> None:
        key = instrument.key
        if key not in self._matcher.working_by_key:
            return
        phase = self._phase(instrument, t_ns)
        if phase.keeps_orders and self._halted(key):
            # Nothing begins and nothing is matched; a session that ends does end.
            return
        self._matcher.enter_phase(key, phase, t_ns)
        if phase is Phase.CONTINUOUS and instrument.kind is InstrumentKind.FUTURE:
            self._reset(instrument, t_ns)

    def _reset(self, instrument: Instrument, t_ns: int) -> None:
        """Reset a future's band when its underlying has gone into the closing auction."""
        last = self._matcher.last.get(instrument.key)
        if last is None or self._reset_on.get(instrument.key) == day_number(t_ns):
            return
        band = reset_band(instrument, last, self._phase_of, t_ns)
        if band is not None:
            # Told with the call that noticed it.
            self._reset_on[instrument.key] = day_number(t_ns)
            self._matcher.requeue(self.narrow_band(instrument.key, band, t_ns))

    def _block_price(self, instrument: Instrument, request: OrderRequest) -> Price:
        """Price at which an order's margin is reckoned: its limit, or the protection price that stands in."""
        if request.price:
            return request.price
        base = request.trigger_price or self._matcher.last.get(instrument.key)
        if not base:
            return Price(0)
        band = self._bands.get(instrument.key, NO_BAND)
        worst = rules.protected_price(instrument, request.side, Price(base), request.protection_pct, band)
        return max(worst, Price(base))

    def _refuse(
        self, account: Account, instrument: Instrument, order: OrderState, t_ns: int
    ) -> Refusal | None:
        """Phase, terms, shares and funds, in that order."""
        request = order.request
        reason = refuse_in_phase(request, self._phase(instrument, t_ns)) or self._refuse_halted(request)
        if reason is not None:
            return reason
        reason = rules.refuse_order(
            instrument,
            request,
            self._matcher.last.get(instrument.key),
            self._bands.get(instrument.key, NO_BAND),
            self._rules,
        )
        if reason is not None:
            return reason
        owned = not instrument.is_derivative and request.product is not Product.INTRADAY
        if owned and request.side is Side.SELL:
            free = account.sellable((instrument.key, request.product), order.order_id)
            reason = rules.refuse_delivery_sale(order.remaining, free)
            if reason is not None:
                return reason
        if not self._continuous(instrument, t_ns) and self._matcher.meets_own(order):
            return Refusal(
                "EXCHANGE", "would trade with an order of the same account (self-trade prevention)"
            )
        return account.refuse_funds(order)

    def _refuse_halted(self, request: OrderRequest) -> Refusal | None:
        words = self._halted(request.instrument_key)
        resting = request.order_type in (OrderType.LIMIT, OrderType.SL) and request.validity is Validity.DAY
        if not words or resting:
            return None
        return Refusal("EXCHANGE", f"{request.order_type.value} {request.validity.value} refused: {words}")
