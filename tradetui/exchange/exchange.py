"""The exchange with the broker's risk control in front of it: accounts, orders, books, trades.

Sans-I/O and deterministic: no clock, no chance, no I/O. Time is an argument, ids come from counters, and
each call returns what it caused as a tuple of events. The simulator runs it with many accounts and prices
from a world; the paper broker runs it with one account and live quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tradetui.domain.calendar.ist import day_number, ist_date
from tradetui.domain.errors import DomainError
from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import DEPTH_LEVELS
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.domain.position import Position
from tradetui.exchange import rules
from tradetui.exchange.accounts import Account
from tradetui.exchange.book import Book, Quote
from tradetui.exchange.matching import Matcher
from tradetui.exchange.orders import (
    Amendment,
    ExchangeEvent,
    Funds,
    OrderState,
    RawStatus,
    Refusal,
    Reply,
    Trade,
)
from tradetui.exchange.rules import NO_BAND, Band, RuleBook
from tradetui.exchange.sessions import Phase, PhaseOf, refuse_in_phase

_UNKNOWN_KEY = "UDAPI100011"
_NOT_FOUND = "UDAPI100010"
_CANCEL_FINISHED = "UDAPI100040"
_MODIFY_FINISHED = "UDAPI100041"


class Exchange:
    """Front door of the exchange; matching itself is `matching.Matcher`.

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
        self._rules = rule_book or RuleBook()
        self._bands: dict[str, Band] = {}
        self._accounts: dict[str, Account] = {}
        self._serial = first_serial
        self._matcher = Matcher(self._instruments, self._accounts, self._bands, depth_levels, first_serial)

    # --- set-up ---------------------------------------------------------------------------------------

    def list_instrument(self, instrument: Instrument) -> None:
        """Add or replace an instrument."""
        self._instruments[instrument.key] = instrument

    def set_band(self, key: str, band: Band) -> None:
        """Set the price limits of the day of one instrument."""
        self._bands[key] = band

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
        self._accounts[account_id] = Account(account_id, opening, self._instruments, positions, holdings)

    def restore(self, order: OrderState) -> None:
        """Seat a working order of an earlier run again, at the end of its queue and without new checks.

        Raises:
            DomainError: The order is finished, or its id is in use.
        """
        if order.status.terminal or order.order_id in self._matcher.orders:
            raise DomainError(f"order {order.order_id} cannot be restored")
        self._matcher.restore(order)

    def remember(self, histories: Iterable[Sequence[OrderState]], trades: Iterable[Trade]) -> None:
        """Know the orders and trades of an earlier run again, for reading; `restore` seats what still works.

        Args:
            histories: Every step of each order, oldest first.
            trades: Fills, whose positions `add_account` was given.
        """
        for steps in histories:
            order_id = steps[-1].order_id
            # Taken out and put back, so that the book keeps the order of arrival.
            self._matcher.orders[order_id] = self._matcher.orders.pop(order_id, steps[-1])
            self._matcher.history[order_id] = list(steps)
        for trade in trades:
            self._account(trade.account_id).trades.append(trade)

    # --- orders ---------------------------------------------------------------------------------------

    def place(
        self, account_id: str, request: OrderRequest, tag: str, t_ns: int, *, veto: Refusal | None = None
    ) -> Reply:
        """Take a new order through request checks, risk control and the exchange's own checks to the book.

        A ``veto`` is the caller's own reason to reject the order after it was taken, for rehearsals.
        """
        account = self._account(account_id)
        instrument = self._instruments.get(request.instrument_key)
        if instrument is None:
            return Reply(refusal=Refusal(_UNKNOWN_KEY, f"unknown instrument key {request.instrument_key}"))
        refusal = rules.refuse_request(instrument, request, tag, self._rules)
        if refusal is not None:
            return Reply(refusal=refusal)
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
        )
        self._matcher.put(order)
        order = self._matcher.put(order.step(RawStatus.VALIDATING, t_ns))
        reason = veto or self._refuse(account, instrument, order, t_ns)
        if reason is not None:
            self._matcher.put(order.step(RawStatus.REJECTED, t_ns, reason.message))
        else:
            account.update(order)
            self._matcher.accept(order, t_ns, matching=self._continuous(instrument, t_ns))
        return Reply(order_id, events=self._matcher.drain())

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
        return Reply(order_id, events=self._matcher.drain())

    def cancel(self, account_id: str, order_id: str, t_ns: int) -> Reply:
        """Cancel a working order; what has filled stays filled."""
        order = self._own(account_id, order_id)
        if order is None:
            return Reply(refusal=Refusal(_NOT_FOUND, f"order {order_id} not found"))
        self._roll(self._instruments[order.key], t_ns)
        order = self._matcher.orders[order_id]
        if order.status.terminal:
            refusal = Refusal(_CANCEL_FINISHED, f"order {order_id} is already {order.status.value}")
            return Reply(order_id, refusal, self._matcher.drain())
        self._matcher.put(order.step(RawStatus.CANCEL_PENDING, t_ns))
        self._matcher.cancel(order_id, t_ns, "cancelled by the user")
        return Reply(order_id, events=self._matcher.drain())

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
        return self._matcher.drain()

    def external_trade(self, key: str, price: Price, qty: int, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Take in a print of the rest of the market: fills by priority, then moves the last price.

        ``qty`` is in units; 0 when unknown, then only the last price moves (and stops trigger).
        """
        instrument = self._instruments[key]
        self._roll(instrument, t_ns)
        if self._continuous(instrument, t_ns):
            self._matcher.external_trade(key, price, qty, t_ns)
        return self._matcher.drain()

    def forget_external(self, key: str) -> None:
        """Drop the anonymous quantity of a book: its depth is too old to trade against."""
        self._matcher.book(key).forget_external()

    def set_last(self, key: str, price: Price) -> None:
        """Set the last traded price without a trade: what was known before the first print."""
        self._matcher.last[key] = price

    def advance(self, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Let time pass: sessions begin and end, orders of the day expire. Cheap while nothing works."""
        for key in self._matcher.busy_keys():
            self._roll(self._instruments[key], t_ns)
        return self._matcher.drain()

    # --- reading --------------------------------------------------------------------------------------

    @property
    def accounts(self) -> tuple[str, ...]:
        """Ids of all accounts."""
        return tuple(self._accounts)

    def order(self, account_id: str, order_id: str) -> OrderState | None:
        """One order of an account, ``None`` when it has no such order."""
        return self._own(account_id, order_id)

    def orders(self, account_id: str, day_ns: int | None = None) -> list[OrderState]:
        """Orders of an account in order of arrival; with ``day_ns`` those placed on that IST day only."""
        day = None if day_ns is None else day_number(day_ns)
        return [
            order
            for order in self._matcher.orders.values()
            if order.account_id == account_id and (day is None or day_number(order.placed_ns) == day)
        ]

    def by_tag(self, account_id: str, tag: str) -> list[OrderState]:
        """Orders of an account that carry a tag."""
        return [order for order in self.orders(account_id) if order.tag == tag]

    def history(self, account_id: str, order_id: str) -> list[OrderState]:
        """Every step of an order, oldest first; empty when the account has no such order."""
        return list(self._matcher.history[order_id]) if self._own(account_id, order_id) else []

    def trades(self, account_id: str, order_id: str = "", day_ns: int | None = None) -> list[Trade]:
        """Trades of an account, of one order if given, of one IST day if given."""
        day = None if day_ns is None else day_number(day_ns)
        return [
            trade
            for trade in self._account(account_id).trades
            if (not order_id or trade.order_id == order_id) and (day is None or day_number(trade.t_ns) == day)
        ]

    def positions(self, account_id: str) -> list[Position]:
        """Positions of an account, closed ones included."""
        return list(self._account(account_id).positions.values())

    def holdings(self, account_id: str) -> list[Holding]:
        """Demat holdings of an account."""
        return self._account(account_id).holdings()

    def funds(self, account_id: str) -> Funds:
        """Cash, margins, and what is free."""
        return self._account(account_id).funds()

    def book(self, key: str) -> Book:
        """The order book of one instrument (read it, do not change it)."""
        return self._matcher.book(key)

    def last(self, key: str) -> Price | None:
        """Last traded price, ``None`` when nothing has traded."""
        return self._matcher.last.get(key)

    def has_working(self, key: str) -> bool:
        """Whether any order works in the instrument: market events for it then matter."""
        return key in self._matcher.working_by_key

    # --- inside ---------------------------------------------------------------------------------------

    def _account(self, account_id: str) -> Account:
        found = self._accounts.get(account_id)
        if found is None:
            raise DomainError(f"no account {account_id}")
        return found

    def _own(self, account_id: str, order_id: str) -> OrderState | None:
        order = self._matcher.orders.get(order_id)
        return order if order is not None and order.account_id == account_id else None

    def _phase(self, instrument: Instrument, t_ns: int) -> Phase:
        return Phase(self._phase_of(instrument, t_ns))

    def _continuous(self, instrument: Instrument, t_ns: int) -> bool:
        return self._phase(instrument, t_ns) is Phase.CONTINUOUS

    def _roll(self, instrument: Instrument, t_ns: int) -> None:
        if instrument.key in self._matcher.working_by_key:
            self._matcher.enter_phase(instrument.key, self._phase(instrument, t_ns), t_ns)

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
        reason = refuse_in_phase(request, self._phase(instrument, t_ns)) or rules.refuse_order(
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
