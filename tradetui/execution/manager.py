"""Orders and their states: approved requests into commands, what the broker says into states.

Rules kept here (`design.md` 4): an intent is recorded before its command exists; states move only through
`domain.order.ALLOWED`; an order of unknown outcome is resolved only by evidence, matched by tag; absence is
proven by three polls without the tag, the first at least ten seconds after the time-out; fills are booked
once, by trade id. Writes are never repeated. GTTs and conversions of the account hang on the same rules, the
same labels and the same reading of the account: `gtts`, `conversions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.events import (
    AccountSnapshot,
    FillEvent,
    GttUpdate,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.gtt import Gtt, GttStrategy
from tradetui.domain.money import Price
from tradetui.domain.order import ALLOWED, Order, OrderRequest, OrderStatus, OrderType
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import CancelOrder, Command, PlaceOrder, ProbeTag, Reconcile
from tradetui.domain.text import clean
from tradetui.execution import evidence
from tradetui.execution.book import OrderBook
from tradetui.execution.changes import Changes
from tradetui.execution.conversions import Conversions
from tradetui.execution.doubts import SECOND, Doubts
from tradetui.execution.gtt_evidence import child_source
from tradetui.execution.gtts import GttManager
from tradetui.execution.reconciliation import OddRows, PositionCheck
from tradetui.execution.tags import Tags

RECONCILE_EVERY_NS: Final = 5 * SECOND
"""While anything works at the broker."""
IDLE_RECONCILE_NS: Final = 60 * SECOND
ANSWER_DUE_NS: Final = 30 * SECOND
"""A request without any answer for so long counts as unknown, whatever the broker's edge believes."""

Note = Callable[[RecordKind, Any], None]
Emit = Callable[[Command], None]


class OrderManager(OrderBook):
    """All orders of one account.

    Args:
        portfolio: Where fills are booked.
        emit: Takes commands for the broker.
        note: Takes journal records.
        tag_prefix: Beginning of our tags: unique to this installation, account and day.
    """

    def __init__(self, portfolio: Portfolio, emit: Emit, note: Note, tag_prefix: str) -> None:
        super().__init__(portfolio)
        self._emit = emit
        self._note = note
        self._tags = Tags(tag_prefix)
        self._doubts = Doubts()
        self._cancel_wanted: set[str] = set()
        self._changes = Changes()
        self._children: dict[str, evidence.Child] = {}
        self._next_reconcile_ns = 0
        self._reconcile_wanted = False
        self._last_reconcile_ns = 0
        self._today: date | None = None
        self._client_ids: set[str] = set()
        self.odd_rows = OddRows(note)
        """Rows of the broker's books that make no sense, as they came."""
        self._traded_ns = 0
        self.account_trouble = ""
        """Why the broker does not show us the account, while it does not."""
        self.account_code = ""
        """The broker's code for that."""
        self.gtts = GttManager(self, emit, note, self._tags)
        """Every GTT of the account."""
        self.conversions = Conversions(portfolio, emit, note, self._tags)
        """Every conversion of the day."""
        self.positions = PositionCheck(portfolio, self.conversions, note)
        """Our positions against the broker's."""

    # --- asking ---------------------------------------------------------------------------------------

    def was_asked(self, request: OrderRequest) -> bool:
        """Whether a request with this client id has been decided before."""
        return bool(request.client_id) and request.client_id in self._client_ids

    def place(self, request: OrderRequest, t_ns: int) -> Order | None:
        """Record an intent and emit its command. ``None`` when this client id was used before."""
        if self.was_asked(request):
            return None
        self._client_ids.add(request.client_id)
        tag = self._tags.next(t_ns)
        order = Order(tag, request, OrderStatus.INTENT, t_ns, t_ns)
        self._note(RecordKind.INTENT, freeze(order))
        self._store(replace(order, status=OrderStatus.SENT))
        self._emit(PlaceOrder(t_ns, tag, request))
        return self.orders[tag]

    def refuse(self, request: OrderRequest, t_ns: int, words: str) -> Order:
        """Record a request that our own gate refused, so that the order list can say why."""
        self._client_ids.add(request.client_id)
        tag = self._tags.next(t_ns)
        order = Order(tag, request, OrderStatus.REFUSED, t_ns, t_ns, message=words)
        self._store(order)
        return order

    def modify(
        self,
        tag: str,
        t_ns: int,
        qty: int | None,
        price: Price | None,
        trigger: Price | None,
        *,
        order_type: OrderType | None = None,
        urgent: bool = False,
    ) -> str:
        """Emit a modify; ``None`` keeps a term.

        Args:
            tag: Which order.
            t_ns: Engine time.
            qty: New total, filled units included.
            price: New limit price.
            trigger: New trigger price.
            order_type: New type (a stop that is chased becomes a LIMIT).
            urgent: It protects or closes a position; for our own exits that is understood.

        Returns:
            Why it cannot be done, or an empty string.
        """
        order = self.orders.get(tag)
        if order is None or order.status.terminal:
            return "the order is finished" if order else f"no order {tag}"
        if not order.broker_id:
            return "the broker has not confirmed this order yet"
        if order.modify_pending or order.cancel_pending:
            return "a change of this order is already under way"
        command = self._changes.begin(order, t_ns, qty, price, trigger, order_type, urgent=urgent)
        self._store(replace(order, modify_pending=True, updated_ns=t_ns))
        self._emit(command)
        return ""

    def cancel(self, tag: str, t_ns: int) -> str:
        """Emit a cancel, now or as soon as the broker's id is known. Returns why not, or an empty string."""
        order = self.orders.get(tag)
        if order is None:
            return f"no order {tag}"
        if order.status.terminal:
            return f"the order is {order.status.value} already"
        if order.cancel_pending:
            return ""
        self._store(replace(order, cancel_pending=True, updated_ns=t_ns))
        if order.broker_id:
            self._emit(CancelOrder(t_ns, tag, order.broker_id))
        else:
            self._cancel_wanted.add(tag)
        return ""

    # --- hearing --------------------------------------------------------------------------------------

    def on_accepted(self, event: RequestAccepted) -> None:
        """The broker took a request."""
        if (part := self._part(event.kind)) is not None:
            part.on_accepted(event)
            return
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind == "place":
            order = self._take_over(order, event.broker_id)
            if order.broker_id != event.broker_id:
                # The answer names another one than a push with our label did: that one is a stranger.
                self._tag_of.pop(order.broker_id, None)
            status = order.status
            if status in (OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.ABSENT):
                status = OrderStatus.PENDING
            broker_id = event.broker_id or order.broker_id
            self._settle(replace(order, status=status, broker_id=broker_id, updated_ns=event.t_ns))
            return
        if event.kind == "modify":
            self._changes.taken(event.tag, event.t_ns)
        # An accepted change shows in the book later; ask soon in case the push is lost.
        self.reconcile_soon()

    def on_refused(self, event: RequestRefused) -> None:
        """The broker refused a request: nothing was done."""
        words = clean(event.message)
        if event.kind == "read":
            self._account_refused(words, event.code)
            return
        if (part := self._part(event.kind)) is not None:
            part.on_refused(event)
            return
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind == "place":
            if order.broker_id:
                # The broker has told of this order under its own id: that outranks a refusal of the request.
                self.reconcile_soon()
            elif OrderStatus.REJECTED in ALLOWED[order.status]:
                self._settle(
                    replace(order, status=OrderStatus.REJECTED, message=words, updated_ns=event.t_ns)
                )
            return
        order = replace(order, message=words, updated_ns=event.t_ns)
        if event.kind == "modify":
            self._changes.end(event.tag)
            self._store(replace(order, modify_pending=False))
        else:
            self._store(replace(order, cancel_pending=False))
        # Most often it was refused because the order had just filled.
        self.reconcile_soon()

    def on_unknown(self, event: RequestUnknown) -> None:
        """An answer never came or made no sense."""
        if (part := self._part(event.kind)) is not None:
            part.on_unknown(event)
            return
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind != "place":
            self._store(replace(order, message=clean(event.message), updated_ns=event.t_ns))
            self.reconcile_soon()
            return
        if order.status is OrderStatus.SENT:
            # Otherwise a push has told already what became of it, and evidence outranks a lost answer.
            self._doubt(order, event.t_ns, clean(event.message))

    def on_gtt_update(self, update: GttUpdate) -> None:
        """Apply a push about a GTT."""
        self.gtts.on_update(update)

    def on_update(self, update: OrderUpdate, *, stale_before_ns: int | None = None) -> None:
        """Apply a statement of the broker about one order, forward only.

        Args:
            update: The statement.
            stale_before_ns: For the order book: when the read began. What we learned later is newer.
        """
        order = self._find(update)
        if order is None:
            self._adopt(update)
            return
        status = evidence.next_status(order, update, stale_before_ns)
        filled = max(order.filled_qty, update.filled_qty or 0)
        if update.status is OrderStatus.FILLED and status is OrderStatus.FILLED:
            # An older row that still shows the size before a change says nothing about what filled.
            filled = max(filled, update.filled_qty or update.qty or order.request.qty)
        settled = replace(
            order,
            status=status,
            broker_id=order.broker_id or update.broker_id,
            exchange_id=update.exchange_id or order.exchange_id,
            filled_qty=filled,
            average_price=update.average_price
            if update.average_price and (update.filled_qty or 0) >= order.filled_qty
            else order.average_price,
            raw_status=(clean(update.raw_status) if status is update.status else "") or order.raw_status,
            # What was said of a doubt is over with it.
            message=clean(update.message) or ("" if order.status is OrderStatus.UNKNOWN else order.message),
            request=evidence.confirmed_terms(order, update, stale_before_ns),
        )
        if order.modify_pending:
            settled = self._changes.decided(order, settled, update, stale_before_ns)
        if order.cancel_pending and evidence.cancel_failed(order, update, stale_before_ns):
            settled = replace(settled, cancel_pending=False)
        if settled != order:
            self._settle(replace(settled, updated_ns=update.t_ns))

    def on_fill(self, event: FillEvent) -> bool:
        """Book a trade once; ``False`` when it was booked before."""
        fill = event.fill
        tag = self._tag_of_fill(fill)
        fill = replace(fill, tag=tag)
        if not self._portfolio.book(fill):
            return False
        self._traded_ns = max(self._traded_ns, event.t_ns)
        self._note(RecordKind.FILL, freeze(fill))
        order = self.orders.get(tag)
        if order is not None:
            booked = self._portfolio.filled_by_order[fill.broker_id]
            if booked > order.filled_qty:
                # Its id too: a trade may be the first word of it, and units of an order without one count twice.
                broker_id = order.broker_id or fill.broker_id
                self._settle(replace(order, filled_qty=booked, broker_id=broker_id, updated_ns=event.t_ns))
        return True

    def on_absence(self, event: TagAbsence) -> None:
        """One poll found no trace of a tag."""
        order = self.orders.get(event.tag)
        if order is None or order.status is not OrderStatus.UNKNOWN:
            return
        if self._doubts.missed(event.tag, event.t_ns):
            what = "the broker no longer knows it" if order.broker_id else "never reached the broker"
            words = f"{what}: not in its book in three polls"
            self._settle(replace(order, status=OrderStatus.ABSENT, message=words, updated_ns=event.t_ns))

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Compare the broker's account with ours: adopt, repair, and say what was found."""
        portfolio, traded_ns = self._portfolio, self._traded_ns
        self.account_trouble = self.account_code = ""
        self._turn_day(snapshot.t_ns)
        # GTTs first: they say which orders of the book came out of them.
        self.gtts.on_snapshot(snapshot)
        for update in snapshot.orders:
            self.on_update(update, stale_before_ns=snapshot.asked_ns)
        for fill in snapshot.fills:
            self.on_fill(FillEvent(snapshot.t_ns, fill))
        if snapshot.available is not None:
            portfolio.available, portfolio.used = snapshot.available, snapshot.used
        if snapshot.holdings is not None:
            portfolio.holdings, portfolio.holdings_known = snapshot.holdings, True
        self.odd_rows.say(snapshot.odd_rows)
        seen = {update.broker_id for update in snapshot.orders}
        for order in self.working():
            if order.updated_ns < snapshot.asked_ns and order.broker_id not in seen:
                self._missing(order, snapshot)
        # Positions that were read before the newest trade we heard of are older than ours.
        if snapshot.positions is not None and self._fills_complete() and snapshot.asked_ns > traded_ns:
            self.conversions.on_snapshot(snapshot)
            self.positions.compare(snapshot.positions, snapshot.t_ns)
        self._reconcile_wanted = not self._fills_complete()
        self._next_reconcile_ns = snapshot.t_ns + RECONCILE_EVERY_NS

    # --- time -----------------------------------------------------------------------------------------

    def on_time(self, t_ns: int) -> None:
        """Probe doubtful orders and ask for the book when it is due."""
        self._turn_day(t_ns)
        for tag in self._doubts.due(t_ns):
            order = self.orders[tag]
            self._emit(ProbeTag(t_ns, tag, order.request.instrument_key, order.broker_id))
        for order in self.working():
            if order.status is OrderStatus.SENT and t_ns - order.updated_ns >= ANSWER_DUE_NS:
                self._doubt(order, t_ns, "no answer from the broker")
        self.gtts.on_time(t_ns)
        self.conversions.on_time(t_ns)
        if self.conversions.read_wanted:
            self.conversions.read_wanted = False
            self.reconcile_soon()
        since = t_ns - self._last_reconcile_ns
        if (self._reconcile_wanted and since >= SECOND) or t_ns >= self._next_reconcile_ns:
            self._last_reconcile_ns = t_ns
            self._reconcile_wanted = False
            busy = bool(self._open)
            self._next_reconcile_ns = t_ns + (RECONCILE_EVERY_NS if busy else IDLE_RECONCILE_NS)
            self._emit(Reconcile(t_ns))

    def reconcile_soon(self) -> None:
        """Ask for the broker's book at the next chance (after a reconnect)."""
        self._reconcile_wanted = True

    # --- restart --------------------------------------------------------------------------------------

    def restore(self, orders: list[Order], sequence: int, t_ns: int) -> None:
        """Take over the orders of an earlier run of the same day, and those of earlier days that still worked.

        Whatever was under way when that run ended has an unknown outcome until the broker tells.
        """
        self._tags.restore(sequence)
        for order in orders:
            if order.foreign and order.status is OrderStatus.ABSENT:
                continue  # it turned out to be one of ours
            self._put(order)
            if order.request.client_id:
                self._client_ids.add(order.request.client_id)
            if order.broker_id:
                self._tag_of[order.broker_id] = order.tag
            if order.cancel_pending and not order.broker_id and order.status.working:
                # That cancel waited for the broker's id and never left: it still goes out when the id is known.
                self._cancel_wanted.add(order.tag)
            elif order.status.working and (order.cancel_pending or order.modify_pending):
                order = replace(order, cancel_pending=False, modify_pending=False)
                self._store(order)
            if order.status in (OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.UNKNOWN):
                self._doubt(order, t_ns, order.message or "the program stopped before the answer came")

    # --- reading --------------------------------------------------------------------------------------

    def has_unknown(self, key: str) -> bool:
        """Whether an order, a GTT or a conversion of unknown outcome exists in an instrument."""
        doubtful = any(self.orders[tag].request.instrument_key == key for tag in self._doubts)
        return doubtful or self.gtts.has_unknown(key) or self.conversions.under_way(key)

    def _part(self, kind: str) -> GttManager | Conversions | None:
        """Who looks after requests of a kind; ``None``: we do."""
        if kind == "convert":
            return self.conversions
        return self.gtts if kind.startswith("gtt") else None

    # --- inside ---------------------------------------------------------------------------------------

    def _store(self, order: Order) -> None:
        self._put(order)
        self._note(RecordKind.ORDER, freeze(order))

    def _settle(self, order: Order) -> None:
        """Store an order after evidence: doubts end, wishes that waited for the broker's id go out."""
        if order.status.terminal:
            order = replace(order, modify_pending=False, cancel_pending=False)
            self._changes.end(order.tag)
        self._store(order)
        if order.broker_id:
            self._tag_of[order.broker_id] = order.tag
        if order.status is not OrderStatus.UNKNOWN:
            self._doubts.end(order.tag)
        if order.tag in self._cancel_wanted and (order.broker_id or order.status.terminal):
            self._cancel_wanted.discard(order.tag)
            if not order.status.terminal:
                self._emit(CancelOrder(order.updated_ns, order.tag, order.broker_id))
        if order.filled_qty > self._portfolio.filled_by_order.get(order.broker_id, 0):
            self.reconcile_soon()

    def _doubt(self, order: Order, t_ns: int, words: str) -> None:
        moved = replace(order, status=OrderStatus.UNKNOWN, message=words, updated_ns=t_ns)
        self._store(moved)
        self._doubts.begin(order.tag, t_ns)
        self.reconcile_soon()

    def _account_refused(self, words: str, code: str) -> None:
        """The broker will not show us the account (a login that ended, night): say so once, and trust nothing new."""
        self.account_code = code
        if words != self.account_trouble:
            self.account_trouble = words
            self._note(RecordKind.RECONCILE, {"found": f"the account cannot be read: {words}"})

    def link(self, broker_id: str, gtt: Gtt, strategy: GttStrategy) -> None:
        """An order came out of a rule of a GTT: it carries no label of ours and is no stranger all the same."""
        child = evidence.Child(gtt.tag, child_source(gtt, strategy), gtt.request.reason, gtt.foreign)
        if self._children.get(broker_id) == child:
            return
        self._children[broker_id] = child
        order = self.by_broker_id(broker_id)
        if order is None:
            self.reconcile_soon()
        elif order.request.group != child.group:
            self._store(evidence.as_child(order, child))

    def _adopt(self, update: OrderUpdate) -> None:
        """Take in an order that was not placed here, so that it is seen and can be cancelled."""
        order, child = evidence.adopted(update), self._children.get(update.broker_id)
        if order is None:
            return
        if child is not None:
            self._settle(evidence.as_child(order, child))
            return
        taken = update.tag in self.orders
        if self._tags.seen(update.tag) and not taken:
            order = evidence.as_ours(order, update.tag)
        found = evidence.what_was_found(order, taken=taken)
        self._note(RecordKind.RECONCILE, {"found": found, "broker_id": update.broker_id})
        self._settle(order)

    def _take_over(self, order: Order, broker_id: str) -> Order:
        """The order with what is known of a stranger that turns out to be it (its push came without our label)."""
        twin = self.by_broker_id(broker_id)
        if twin is None or twin.tag == order.tag or not twin.foreign:
            return order
        self._drop(twin.tag)
        self._doubts.end(twin.tag)
        self._note(RecordKind.ORDER, freeze(evidence.never_was(twin, order.tag)))
        return evidence.merged(order, twin)

    def _missing(self, order: Order, snapshot: AccountSnapshot) -> None:
        """An order that ought to be in the book is not."""
        if order.broker_id and not snapshot.odd_rows and evidence.day_is_over(order, snapshot.asked_ns):
            self._settle(evidence.ended_with_its_day(order, snapshot.t_ns))
        elif order.status is not OrderStatus.UNKNOWN:
            self._doubt(order, snapshot.t_ns, "not in the broker's order book")

    def _turn_day(self, t_ns: int) -> None:
        today = ist_date(t_ns)
        if self._today is not None and today > self._today:
            self.positions.turn_day(today)
            for words in self._end_owing(self._today):
                self._note(RecordKind.RECONCILE, {"found": words})
            self.reconcile_soon()
        self._today = max(today, self._today or today)
