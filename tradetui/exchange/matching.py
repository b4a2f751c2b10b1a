"""The machine room: orders into books, trades out of them, stops, sessions, and the record of every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tradetui.domain.calendar.ist import day_number
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.domain.order import OrderType, Side, Validity
from tradetui.exchange import auction, rules
from tradetui.exchange.accounts import Account
from tradetui.exchange.book import Book, Match
from tradetui.exchange.orders import ExchangeEvent, OrderChanged, OrderState, RawStatus, Trade, Traded
from tradetui.exchange.rules import NO_BAND, Band, RuleBook
from tradetui.exchange.sessions import Phase, cancelled_at_auction

_EXPIRED = "expired: validity DAY ended with the session"
_IOC_REST = "IOC: what could not fill at once was cancelled"
_UNMATCHED = "cancelled by the exchange: not matched in the closing auction"
_SELF_TRADE = "cancelled: would trade with an order of the same account (self-trade prevention)"


class Matcher:
    """Orders, books, trades and stops of all instruments. Accounts are told of every change.

    The caller has checked every order (`rules`); here nothing is refused any more. Events collect until
    `drain`.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        accounts: Mapping[str, Account],
        bands: Mapping[str, Band],
        rule_book: RuleBook,
        depth_levels: int,
        first_serial: int,
    ) -> None:
        self.orders: dict[str, OrderState] = {}
        self.history: dict[str, list[OrderState]] = {}
        self.last: dict[str, Price] = {}
        self.working_by_key: dict[str, dict[str, None]] = {}
        self._instruments = instruments
        self._accounts = accounts
        self._bands = bands
        self._rules = rule_book
        self._depth_levels = depth_levels
        self._books: dict[str, Book] = {}
        self._phases: dict[str, tuple[Phase, int]] = {}
        self.references: dict[str, Price] = {}
        self._out: list[ExchangeEvent] = []
        self._seq = 0
        self._exchange_serial = first_serial
        self._trade_serial = first_serial

    # --- record ---------------------------------------------------------------------------------------

    def drain(self) -> tuple[ExchangeEvent, ...]:
        """Everything that happened since the last call."""
        events, self._out = tuple(self._out), []
        return events

    def put(self, order: OrderState) -> OrderState:
        """Record a new state of an order and report it."""
        self.orders[order.order_id] = order
        self.history.setdefault(order.order_id, []).append(order)
        self._out.append(OrderChanged(order.updated_ns, order))
        return order

    def tell(self, event: ExchangeEvent) -> None:
        """Report something that happened."""
        self._out.append(event)

    def requeue(self, events: Sequence[ExchangeEvent]) -> None:
        """Give events back that a nested call has drained: they are told with the outer one's."""
        self._out.extend(events)

    def next_seq(self) -> int:
        """The next arrival number."""
        self._seq += 1
        return self._seq

    def book(self, key: str) -> Book:
        """The book of an instrument, made when first needed."""
        found = self._books.get(key)
        if found is None:
            found = self._books[key] = Book(self._depth_levels)
        return found

    def busy_keys(self) -> list[str]:
        """Instruments in which orders work."""
        return list(self.working_by_key)

    def meets_own(self, order: OrderState) -> bool:
        """Whether an order would cross a resting one of its own account."""
        price, buys = order.request.price, order.request.side is Side.BUY
        for other_id in self.working_by_key.get(order.key, ()):
            other = self.orders[other_id]
            if other.account_id != order.account_id or other.request.side is order.request.side:
                continue
            if not other.waits_for_trigger and (
                price >= other.request.price if buys else price <= other.request.price
            ):
                return True
        return False

    # --- life of an order -----------------------------------------------------------------------------

    def accept(self, order: OrderState, t_ns: int, *, matching: bool) -> None:
        """Let a checked order into the exchange: number it, then rest, match, or wait for its trigger."""
        order = replace(order, exchange_order_id=f"11{self._exchange_serial:014d}", exchange_ns=t_ns)
        self._exchange_serial += 1
        order = self._settle(self.put(order.step(RawStatus.OPEN_PENDING, t_ns)))
        self._seat(order, t_ns, matching=matching)

    def restore(self, order: OrderState) -> None:
        """Seat an order of an earlier run; nothing is reported."""
        order = replace(order, seq=self.next_seq())
        self.orders[order.order_id] = order
        self.history[order.order_id] = [order]
        self._settle(order)
        if not order.waits_for_trigger:
            self._rest(order, self._limit(order))

    def amend(self, old: OrderState, wanted: OrderState, t_ns: int, *, matching: bool) -> None:
        """Put checked new terms in force."""
        before, after = old.request, wanted.request
        keeps_place = replace(before, qty=after.qty) == after and after.qty <= before.qty
        wanted = replace(wanted, exchange_ns=t_ns)
        if keeps_place:
            wanted = self._settle(self.put(wanted.step(RawStatus.MODIFIED, t_ns)))
            if not old.waits_for_trigger:
                self.book(old.key).reduce(old.order_id, before.side, wanted.remaining)
            self._settle(self.put(wanted.step(old.status, t_ns)))
            return
        if not old.waits_for_trigger:
            self.book(old.key).remove(old.order_id, before.side)
        triggered = old.triggered and after.order_type is OrderType.SL
        wanted = replace(wanted, seq=self.next_seq(), triggered=triggered)
        wanted = self._settle(self.put(wanted.step(RawStatus.MODIFIED, t_ns)))
        self._seat(wanted, t_ns, matching=matching)

    def cancel(self, order_id: str, t_ns: int, message: str) -> None:
        """End a working order."""
        order = self.orders[order_id]
        if not order.waits_for_trigger:
            self.book(order.key).remove(order_id, order.request.side)
        self._end(order, t_ns, message)

    def hit(self, order_id: str, qty: int, t_ns: int) -> None:
        """Another participant trades against one resting order, at its own price."""
        order = self.orders[order_id]
        self.book(order.key).hit(order_id, order.request.side, qty)
        price = self._limit(order)
        buys = order.request.side is Side.BUY
        self._trade(order.key, Match(order_id if buys else "", "" if buys else order_id, price, qty), t_ns)
        self.last[order.key] = price
        self._fire(order.key, t_ns)

    def note_phase(self, key: str, phase: Phase, t_ns: int) -> None:
        """Remember the phase in which an order came, so that the end of an auction is noticed."""
        self._phases[key] = (phase, day_number(t_ns))

    def enter_phase(self, key: str, phase: Phase, t_ns: int) -> None:
        """Apply what a phase means for the working orders of an instrument."""
        today = day_number(t_ns)
        known = self._phases.get(key)
        if known == (Phase.CONTINUOUS, today) and phase is Phase.CONTINUOUS:
            return
        before, day = known or (phase, today)
        self._phases[key] = (phase, today)
        ended = day == today and before.collects and not (phase.collects and phase.closing is before.closing)
        if ended:
            self._hold_auction(key, t_ns)
        for order_id in list(self.working_by_key.get(key, ())):
            order = self.orders[order_id]
            if ended and before.closing:
                self.cancel(order_id, t_ns, _UNMATCHED)
            elif not phase.keeps_orders or day_number(order.placed_ns) != today:
                self.cancel(order_id, t_ns, _EXPIRED)
            elif phase.closing:
                message = cancelled_at_auction(order.request, triggered=order.triggered)
                if message:
                    self.cancel(order_id, t_ns, message)
        if phase is Phase.CONTINUOUS and before is not phase:
            self.cross(key, t_ns)

    def _hold_auction(self, key: str, t_ns: int) -> None:
        """Match at one price what has collected."""
        price, matches = auction.hold(self.book(key), self.references.get(key) or self.last.get(key))
        for match in matches:
            self._trade(key, match, t_ns)
        if price is not None:
            self.last[key] = price

    # --- matching -------------------------------------------------------------------------------------

    def cross(self, key: str, t_ns: int) -> None:
        """Trade resting orders that the book crosses now, then fire stops."""
        book = self.book(key)
        if book.has_users:
            for match in book.cross(self._same_account):
                self._trade(key, match, t_ns)
                self.last[key] = match.price
        self._fire(key, t_ns)

    def external_trade(self, key: str, price: Price, qty: int, t_ns: int) -> None:
        """Fill by a print of the rest of the market, then fire stops at its price."""
        book = self._books.get(key)
        if book is not None and qty:
            for match in book.external_trade(price, qty):
                self._trade(key, match, t_ns)
        self.last[key] = price
        self._fire(key, t_ns)

    def _seat(self, order: OrderState, t_ns: int, *, matching: bool) -> None:
        if order.waits_for_trigger:
            self._settle(self.put(order.step(RawStatus.TRIGGER_PENDING, t_ns)))
            return
        self._work(self._settle(self.put(order.step(RawStatus.OPEN, t_ns))), t_ns, matching=matching)
        self._fire(order.key, t_ns)

    def _work(self, order: OrderState, t_ns: int, *, matching: bool) -> None:
        """Match an open order against the book; rest, cancel or convert what is left of it."""
        request, key = order.request, order.key
        limit, stopped = self._limit(order), False
        if matching:
            account = order.account_id
            matches, stopped = self.book(key).take(
                order.order_id,
                request.side,
                limit,
                order.remaining,
                lambda other: self.orders[other].account_id == account,
            )
            for match in matches:
                self._trade(key, match, t_ns)
                self.last[key] = match.price
        order = self.orders[order.order_id]
        if order.status.terminal:
            return
        if stopped or request.validity is Validity.IOC:
            self._end(order, t_ns, _SELF_TRADE if stopped else _IOC_REST)
            return
        if request.order_type in (OrderType.MARKET, OrderType.SL_M):
            # What a protected market order could not fill rests as a limit at its protection price.
            rest = replace(request, order_type=OrderType.LIMIT, price=limit, trigger_price=Price(0))
            order = self._settle(self.put(replace(order, request=rest, block_price=limit, updated_ns=t_ns)))
        self._rest(order, limit)

    def _rest(self, order: OrderState, limit: Price) -> None:
        request = order.request
        self.book(order.key).rest(
            order.order_id, request.side, limit, order.remaining, order.seq, request.disclosed_qty
        )

    def _limit(self, order: OrderState) -> Price:
        """Worst price an order may trade at now."""
        request = order.request
        if request.order_type in (OrderType.LIMIT, OrderType.SL):
            return request.price
        return rules.protected_price(
            self._instruments[order.key],
            request.side,
            self.last[order.key],
            request.protection_pct,
            self._bands.get(order.key, NO_BAND),
        )

    def _fire(self, key: str, t_ns: int) -> None:
        """Trigger stops that the last price reached, oldest first, until none is left."""
        while (stop := self._next_stop(key)) is not None:
            stop = replace(stop, triggered=True, seq=self.next_seq(), exchange_ns=t_ns)
            refusal = self._refuse_triggered(stop)
            if refusal:
                self._settle(self.put(stop.step(RawStatus.REJECTED, t_ns, refusal)))
                continue
            stop = self._settle(self.put(stop.step(RawStatus.OPEN, t_ns)))
            self._work(stop, t_ns, matching=True)

    def _refuse_triggered(self, stop: OrderState) -> str:
        """Why the exchange rejects a stop at the moment it triggers; empty when it does not.

        Its limit price was not checked before: a wide one is refused at the worst moment.
        """
        if stop.request.order_type is not OrderType.SL or not self._rules.check_lpp:
            return ""
        key = stop.key
        band = self._bands.get(key, NO_BAND)
        found = rules.band_refusal(self._instruments[key], stop.request.price, self.last.get(key), band)
        return found.message if found is not None else ""

    def _next_stop(self, key: str) -> OrderState | None:
        last = self.last.get(key)
        if last is None:
            return None
        due = [
            order
            for order in map(self.orders.__getitem__, self.working_by_key.get(key, ()))
            if order.status is RawStatus.TRIGGER_PENDING and _is_hit(order, last)
        ]
        return min(due, key=lambda order: order.seq, default=None)

    def _trade(self, key: str, match: Match, t_ns: int) -> None:
        """Book one match with every user side of it."""
        trade_id = f"{self._trade_serial:08d}"
        self._trade_serial += 1
        for order_id in (match.buy_id, match.sell_id):
            if not order_id:
                continue
            order = self.orders[order_id]
            request = order.request
            trade = Trade(
                trade_id,
                order_id,
                order.exchange_order_id,
                order.account_id,
                order.tag,
                key,
                request.side,
                request.product,
                request.order_type,
                match.qty,
                match.price,
                t_ns,
            )
            self._accounts[order.account_id].book(trade)
            self._out.append(Traded(t_ns, trade))
            order = replace(
                order,
                filled_qty=order.filled_qty + match.qty,
                filled_value=order.filled_value + match.qty * match.price,
                exchange_ns=t_ns,
            )
            status = RawStatus.COMPLETE if not order.remaining else RawStatus.OPEN
            self._settle(self.put(order.step(status, t_ns)))

    # --- bookkeeping ----------------------------------------------------------------------------------

    def _same_account(self, one: str, other: str) -> bool:
        return self.orders[one].account_id == self.orders[other].account_id

    def _end(self, order: OrderState, t_ns: int, message: str) -> None:
        ended = replace(order, exchange_ns=t_ns).step(RawStatus.CANCELLED, t_ns, message)
        self._settle(self.put(ended))

    def _settle(self, order: OrderState) -> OrderState:
        """Keep the indexes of working orders and the account's reservations in step with an order."""
        working = self.working_by_key.setdefault(order.key, {})
        if order.status.terminal:
            working.pop(order.order_id, None)
        else:
            working[order.order_id] = None
        if not working:
            del self.working_by_key[order.key]
        self._accounts[order.account_id].update(order)
        return order


def _is_hit(order: OrderState, last: Price) -> bool:
    trigger = order.request.trigger_price
    return last >= trigger if order.request.side is Side.BUY else last <= trigger
