"""Orders and their states: approved requests into commands, what the broker says into states.

Rules kept here (`design.md` 4): an intent is recorded before its command exists; states move only through
`domain.order.ALLOWED`; an order of unknown outcome is resolved only by evidence, matched by tag; absence is
proven by three polls without the tag, the first at least ten seconds after the time-out; fills are booked
once, by trade id. Writes are never repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from tradetui.domain.events import (
    AccountSnapshot,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.money import Price
from tradetui.domain.order import ALLOWED, Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.position import PositionKey
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import CancelOrder, Command, ModifyOrder, PlaceOrder, ProbeTag, Reconcile
from tradetui.domain.text import clean
from tradetui.execution import evidence

SECOND: Final = 1_000_000_000
FIRST_PROBE_NS: Final = 10 * SECOND
PROBE_EVERY_NS: Final = 3 * SECOND
PROBES_TO_PROVE: Final = 3
RECONCILE_EVERY_NS: Final = 5 * SECOND
"""While anything works at the broker."""
IDLE_RECONCILE_NS: Final = 60 * SECOND
ANSWER_DUE_NS: Final = 30 * SECOND
"""A request without any answer for so long counts as unknown, whatever the broker's edge believes."""

Note = Callable[[RecordKind, Any], None]
Emit = Callable[[Command], None]


@dataclass(slots=True)
class _Doubt:
    """What is known about an order of unknown outcome."""

    since_ns: int
    next_probe_ns: int
    misses: int = 0


class OrderManager:
    """All orders of one account.

    Args:
        portfolio: Where fills are booked.
        emit: Takes commands for the broker.
        note: Takes journal records.
        tag_prefix: Beginning of our tags: unique to this installation, account and day.
    """

    def __init__(self, portfolio: Portfolio, emit: Emit, note: Note, tag_prefix: str) -> None:
        self._portfolio = portfolio
        self._emit = emit
        self._note = note
        self._prefix = tag_prefix
        self._sequence = 0
        self.orders: dict[str, Order] = {}
        self._tag_of: dict[str, str] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._cancel_wanted: set[str] = set()
        self._next_reconcile_ns = 0
        self._reconcile_wanted = False
        self._last_reconcile_ns = 0
        self._client_ids: set[str] = set()
        self._differences: dict[PositionKey, tuple[int, int]] = {}
        self._compared = False
        self.account_trouble = ""
        """Why the broker does not show us the account, while it does not."""

    # --- asking ---------------------------------------------------------------------------------------

    def was_asked(self, request: OrderRequest) -> bool:
        """Whether a request with this client id has been decided before."""
        return bool(request.client_id) and request.client_id in self._client_ids

    def place(self, request: OrderRequest, t_ns: int) -> Order | None:
        """Record an intent and emit its command. ``None`` when this client id was used before."""
        if self.was_asked(request):
            return None
        self._client_ids.add(request.client_id)
        self._sequence += 1
        tag = f"{self._prefix}{self._sequence:05d}"
        order = Order(tag, request, OrderStatus.INTENT, t_ns, t_ns)
        self._note(RecordKind.INTENT, freeze(order))
        self._store(replace(order, status=OrderStatus.SENT))
        self._emit(PlaceOrder(t_ns, tag, request))
        return self.orders[tag]

    def refuse(self, request: OrderRequest, t_ns: int, words: str) -> Order:
        """Record a request that our own gate refused, so that the order list can say why."""
        self._client_ids.add(request.client_id)
        self._sequence += 1
        tag = f"{self._prefix}{self._sequence:05d}"
        order = Order(tag, request, OrderStatus.REFUSED, t_ns, t_ns, message=words)
        self._store(order)
        return order

    def modify(self, tag: str, t_ns: int, qty: int | None, price: Price | None, trigger: Price | None) -> str:
        """Emit a modify. Returns why it cannot be done, or an empty string."""
        order = self.orders.get(tag)
        if order is None or order.status.terminal:
            return "the order is finished" if order else f"no order {tag}"
        if not order.broker_id:
            return "the broker has not confirmed this order yet"
        if order.modify_pending or order.cancel_pending:
            return "a change of this order is already under way"
        request = order.request
        self._store(replace(order, modify_pending=True, updated_ns=t_ns))
        self._emit(
            ModifyOrder(
                t_ns,
                tag,
                order.broker_id,
                request.qty if qty is None else qty,
                request.price if price is None else price,
                request.trigger_price if trigger is None else trigger,
                request.order_type,
                request.validity,
                request.disclosed_qty,
                request.protection_pct,
            )
        )
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
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind == "place":
            status = order.status
            if status in (OrderStatus.SENT, OrderStatus.UNKNOWN, OrderStatus.ABSENT):
                status = OrderStatus.PENDING
            self._settle(replace(order, status=status, broker_id=event.broker_id, updated_ns=event.t_ns))
        else:
            # An accepted change shows in the book later; ask soon in case the push is lost.
            self._want_reconcile()

    def on_refused(self, event: RequestRefused) -> None:
        """The broker refused a request: nothing was done."""
        words = clean(event.message)
        if event.kind == "read":
            self._account_refused(words)
            return
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind == "place":
            if order.broker_id:
                # The broker has told of this order under its own id: that outranks a refusal of the request.
                self._want_reconcile()
            elif OrderStatus.REJECTED in ALLOWED[order.status]:
                self._settle(
                    replace(order, status=OrderStatus.REJECTED, message=words, updated_ns=event.t_ns)
                )
            return
        order = replace(order, message=words, updated_ns=event.t_ns)
        if event.kind == "modify":
            self._store(replace(order, modify_pending=False))
        else:
            self._store(replace(order, cancel_pending=False))
        # Most often it was refused because the order had just filled.
        self._want_reconcile()

    def on_unknown(self, event: RequestUnknown) -> None:
        """An answer never came or made no sense."""
        order = self.orders.get(event.tag)
        if order is None:
            return
        if event.kind != "place":
            self._store(replace(order, message=clean(event.message), updated_ns=event.t_ns))
            self._want_reconcile()
            return
        if order.status is OrderStatus.SENT:
            # Otherwise a push has told already what became of it, and evidence outranks a lost answer.
            self._doubt(order, event.t_ns, clean(event.message))

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
        if status is OrderStatus.FILLED:
            filled = max(filled, update.qty or order.request.qty)
        settled = replace(
            order,
            status=status,
            broker_id=order.broker_id or update.broker_id,
            exchange_id=update.exchange_id or order.exchange_id,
            filled_qty=filled,
            average_price=update.average_price
            if update.average_price and (update.filled_qty or 0) >= order.filled_qty
            else order.average_price,
            raw_status=clean(update.raw_status) or order.raw_status,
            message=clean(update.message) or order.message,
            request=evidence.confirmed_terms(order, update, stale_before_ns),
        )
        if order.modify_pending and evidence.modify_is_over(order, update, stale_before_ns):
            settled = replace(settled, modify_pending=False)
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
        self._note(RecordKind.FILL, freeze(fill))
        order = self.orders.get(tag)
        if order is not None:
            booked = self._portfolio.filled_by_order[fill.broker_id]
            if booked > order.filled_qty:
                self._store(replace(order, filled_qty=booked, updated_ns=event.t_ns))
        return True

    def on_absence(self, event: TagAbsence) -> None:
        """One poll found no trace of a tag."""
        order, doubt = self.orders.get(event.tag), self._doubts.get(event.tag)
        if order is None or doubt is None or order.status is not OrderStatus.UNKNOWN:
            return
        if event.t_ns - doubt.since_ns < FIRST_PROBE_NS:
            return
        doubt.misses += 1
        if doubt.misses >= PROBES_TO_PROVE:
            what = "the broker no longer knows it" if order.broker_id else "never reached the broker"
            words = f"{what}: not in its book in three polls"
            self._settle(replace(order, status=OrderStatus.ABSENT, message=words, updated_ns=event.t_ns))

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Compare the broker's account with ours: adopt, repair, and say what was found."""
        portfolio = self._portfolio
        self.account_trouble = ""
        for update in snapshot.orders:
            self.on_update(update, stale_before_ns=snapshot.asked_ns)
        for fill in snapshot.fills:
            self.on_fill(FillEvent(snapshot.t_ns, fill))
        if snapshot.available is not None:
            portfolio.available, portfolio.used = snapshot.available, snapshot.used
        if snapshot.holdings is not None:
            portfolio.holdings = snapshot.holdings
        seen = {update.broker_id for update in snapshot.orders}
        for order in list(self.orders.values()):
            if (
                order.status.working
                and order.status is not OrderStatus.UNKNOWN
                and order.updated_ns < snapshot.asked_ns
                and order.broker_id not in seen
            ):
                self._doubt(order, snapshot.t_ns, "not in the broker's order book")
        if snapshot.positions is not None and self._fills_complete():
            self._compare_positions(snapshot)
        self._reconcile_wanted = not self._fills_complete()
        self._next_reconcile_ns = snapshot.t_ns + RECONCILE_EVERY_NS

    # --- time -----------------------------------------------------------------------------------------

    def on_time(self, t_ns: int) -> None:
        """Probe doubtful orders and ask for the book when it is due."""
        for tag, doubt in self._doubts.items():
            if t_ns >= doubt.next_probe_ns:
                doubt.next_probe_ns = t_ns + PROBE_EVERY_NS
                self._emit(ProbeTag(t_ns, tag, self.orders[tag].request.instrument_key))
        for order in list(self.orders.values()):
            if order.status is OrderStatus.SENT and t_ns - order.updated_ns >= ANSWER_DUE_NS:
                self._doubt(order, t_ns, "no answer from the broker")
        since = t_ns - self._last_reconcile_ns
        if (self._reconcile_wanted and since >= SECOND) or t_ns >= self._next_reconcile_ns:
            self._last_reconcile_ns = t_ns
            self._reconcile_wanted = False
            busy = any(order.status.working for order in self.orders.values())
            self._next_reconcile_ns = t_ns + (RECONCILE_EVERY_NS if busy else IDLE_RECONCILE_NS)
            self._emit(Reconcile(t_ns))

    def reconcile_soon(self) -> None:
        """Ask for the broker's book at the next chance (after a reconnect)."""
        self._want_reconcile()

    # --- restart --------------------------------------------------------------------------------------

    def restore(self, orders: list[Order], sequence: int, t_ns: int) -> None:
        """Take over the orders of an earlier run of the same day.

        Whatever was under way when that run ended has an unknown outcome until the broker tells.
        """
        self._sequence = sequence
        for order in orders:
            self.orders[order.tag] = order
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
                if order.status is OrderStatus.INTENT:
                    self.orders[order.tag] = order = replace(order, status=OrderStatus.SENT)
                self._doubt(order, t_ns, order.message or "the program stopped before the answer came")

    # --- reading --------------------------------------------------------------------------------------

    def working(self, key: str = "", product: Product | None = None) -> list[Order]:
        """Orders that rest or may rest at the broker, oldest first."""
        return [
            order
            for order in self.orders.values()
            if order.status.working
            and (not key or order.request.instrument_key == key)
            and (product is None or order.request.product is product)
        ]

    def pending_qty(self, key: str, product: Product, side: Side) -> int:
        """Units that working orders on one side may still fill."""
        return sum(o.pending_qty for o in self.working(key, product) if o.request.side is side)

    def has_unknown(self, key: str) -> bool:
        """Whether an order of unknown outcome exists in an instrument."""
        return any(self.orders[tag].request.instrument_key == key for tag in self._doubts)

    # --- inside ---------------------------------------------------------------------------------------

    def _store(self, order: Order) -> None:
        self.orders[order.tag] = order
        self._note(RecordKind.ORDER, freeze(order))

    def _settle(self, order: Order) -> None:
        """Store an order after evidence: doubts end, wishes that waited for the broker's id go out."""
        if order.status.terminal:
            order = replace(order, modify_pending=False, cancel_pending=False)
        self._store(order)
        if order.broker_id:
            self._tag_of[order.broker_id] = order.tag
        if order.status is not OrderStatus.UNKNOWN:
            self._doubts.pop(order.tag, None)
        if order.tag in self._cancel_wanted and (order.broker_id or order.status.terminal):
            self._cancel_wanted.discard(order.tag)
            if not order.status.terminal:
                self._emit(CancelOrder(order.updated_ns, order.tag, order.broker_id))
        if order.filled_qty > self._portfolio.filled_by_order.get(order.broker_id, 0):
            self._want_reconcile()

    def _doubt(self, order: Order, t_ns: int, words: str) -> None:
        moved = replace(order, status=OrderStatus.UNKNOWN, message=words, updated_ns=t_ns)
        self._store(moved)
        self._doubts.setdefault(order.tag, _Doubt(t_ns, t_ns + FIRST_PROBE_NS))
        self._want_reconcile()

    def _account_refused(self, words: str) -> None:
        """The broker will not show us the account (a login that ended): say so once, and trust nothing new."""
        if words != self.account_trouble:
            self.account_trouble = words
            self._note(RecordKind.RECONCILE, {"found": f"the account cannot be read: {words}"})

    def _tag_of_fill(self, fill: Fill) -> str:
        """Our tag of a trade's order: by the broker's id first, since anybody may re-use a label."""
        known = self._tag_of.get(fill.broker_id)
        if known is not None:
            return known
        labelled = self.orders.get(fill.tag)
        other = labelled is not None and labelled.broker_id not in ("", fill.broker_id)
        return "" if other else fill.tag

    def _want_reconcile(self) -> None:
        self._reconcile_wanted = True

    def fills_missing(self, key: str, product: Product) -> bool:
        """Whether an order of this position reports more than its trades add up to.

        A broker says ``filled`` on one stream and sends the trade on another: until it is booked the position
        is older than the order, and an exit measured by it would be sent twice.
        """
        booked = self._portfolio.filled_by_order
        return any(
            order.filled_qty > booked.get(order.broker_id, 0)
            for order in self.orders.values()
            if order.request.instrument_key == key and order.request.product is product
        )

    def unbooked_qty(self, key: str, product: Product) -> int:
        """Signed units by which a position will move once the trades of what is reported filled are booked."""
        booked = self._portfolio.filled_by_order
        return sum(
            order.request.side.sign * max(0, order.filled_qty - booked.get(order.broker_id, 0))
            for order in self.orders.values()
            if order.request.instrument_key == key and order.request.product is product
        )

    def _fills_complete(self) -> bool:
        booked = self._portfolio.filled_by_order
        return all(o.filled_qty <= booked.get(o.broker_id, 0) for o in self.orders.values() if o.broker_id)

    def _find(self, update: OrderUpdate) -> Order | None:
        tag = self._tag_of.get(update.broker_id)
        if tag is None and update.tag in self.orders:
            candidate = self.orders[update.tag]
            # The same tag under another broker id is another order (somebody re-used our label).
            if not candidate.broker_id or candidate.broker_id == update.broker_id:
                tag = update.tag
        return self.orders.get(tag) if tag is not None else None

    def _adopt(self, update: OrderUpdate) -> None:
        """Take in an order that was not placed here, so that it is seen and can be cancelled."""
        order = evidence.adopted(update)
        if order is not None:
            self._note(RecordKind.RECONCILE, {"found": "foreign order", "broker_id": update.broker_id})
            self._settle(order)

    def _compare_positions(self, snapshot: AccountSnapshot) -> None:
        """Compare positions; at the first time of a run, what no trade of today explains was carried over."""
        assert snapshot.positions is not None
        theirs = {(p.instrument_key, p.product): p for p in snapshot.positions}
        first, self._compared = not self._compared, True
        differences = self._portfolio.unexplained(snapshot.positions)
        for key, (ours, said) in list(differences.items()):
            found = theirs.get(key)
            if first and found is not None:
                opening = self._portfolio.carried(found)
                self._portfolio.open_with(opening)
                self._note(RecordKind.OPENING, freeze(opening))
                del differences[key]
            elif self._differences.get(key) != (ours, said):
                self._note(
                    RecordKind.RECONCILE,
                    {
                        "found": "position differs",
                        "instrument_key": key[0],
                        "product": key[1].value,
                        "ours": ours,
                        "theirs": said,
                    },
                )
        self._differences = differences
