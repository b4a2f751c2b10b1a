"""What can be read of an exchange: orders, trades, accounts, books. Reading changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradetui.domain.calendar.ist import day_number
from tradetui.domain.errors import DomainError
from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price
from tradetui.domain.position import Position
from tradetui.exchange.accounts import Account
from tradetui.exchange.book import Book
from tradetui.exchange.days import Conversion, DayFigures
from tradetui.exchange.gtt import GttDesk
from tradetui.exchange.margins import MarginUse
from tradetui.exchange.matching import Matcher
from tradetui.exchange.orders import ExchangeEvent, Funds, GttState, OrderState, RawStatus, Trade


class Readable:
    """The reading half of `exchange.Exchange`, which fills in the three attributes."""

    _accounts: dict[str, Account]
    _matcher: Matcher
    _gtts: GttDesk
    _instruments: dict[str, Instrument]

    def instrument(self, key: str) -> Instrument:
        """A listed instrument.

        Raises:
            KeyError: It is not listed.
        """
        return self._instruments[key]

    def requeue(self, events: Sequence[ExchangeEvent]) -> None:
        """Have events of a nested call told with the outer one's."""
        self._matcher.requeue(events)

    # --- reading --------------------------------------------------------------------------------------

    @property
    def accounts(self) -> tuple[str, ...]:
        """Ids of all accounts."""
        return tuple(self._accounts)

    def order(self, account_id: str, order_id: str) -> OrderState | None:
        """One order of an account, ``None`` when it has no such order."""
        return self._own(account_id, order_id)

    def orders(self, account_id: str, day_ns: int | None = None) -> list[OrderState]:
        """Orders of an account in order of arrival; with ``day_ns`` those of that IST day only.

        An order that waits for the open belongs to each day until then.
        """
        day = None if day_ns is None else day_number(day_ns)
        return [
            order
            for order in self._matcher.orders.values()
            if order.account_id == account_id
            and (day is None or day_number(order.placed_ns) == day or order.status is RawStatus.AMO_RECEIVED)
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

    def margin_use(self, account_id: str) -> MarginUse:
        """Where the money of an account is."""
        return self._account(account_id).margin_use()

    def conversions(self, account_id: str) -> list[Conversion]:
        """Every conversion of an account, oldest first."""
        return list(self._account(account_id).days.conversions)

    def day_figures(self, account_id: str, t_ns: int, close_of: Callable[[str], Price]) -> list[DayFigures]:
        """Positions of an account as the book of one day shows them; ``close_of`` gives previous closes."""
        return self._account(account_id).day_figures(t_ns, close_of)

    def book(self, key: str) -> Book:
        """The order book of one instrument (read it, do not change it)."""
        return self._matcher.book(key)

    def last(self, key: str) -> Price | None:
        """Last traded price, ``None`` when nothing has traded."""
        return self._matcher.last.get(key)

    def gtts(self, account_id: str) -> list[GttState]:
        """Good-till-triggered orders of an account, ended ones included, oldest first."""
        return [gtt for gtt in self._gtts.gtts.values() if gtt.account_id == account_id]

    def has_working(self, key: str) -> bool:
        """Whether any order works in the instrument."""
        return key in self._matcher.working_by_key

    def watches(self, key: str) -> bool:
        """Whether market events for the instrument matter: an order works in it, or a GTT watches it."""
        return key in self._matcher.working_by_key or key in self._gtts.by_key

    def _account(self, account_id: str) -> Account:
        found = self._accounts.get(account_id)
        if found is None:
            raise DomainError(f"no account {account_id}")
        return found

    def _own(self, account_id: str, order_id: str) -> OrderState | None:
        order = self._matcher.orders.get(order_id)
        return order if order is not None and order.account_id == account_id else None
