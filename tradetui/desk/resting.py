"""The one protective order that rests at the broker for a position: placed, resized, moved, chased, replaced.

Exactly one stop rests for each position (or its freeze slices): never more units than the position has, so that it
can never open a reverse one. Everything is a change of that order by modify; only when a change is refused is it
cancelled, and after the confirmed cancel a new one is placed. When that is refused too, the position is closed.
A stop that has triggered and does not fill is chased within bounds, and then replaced by an exit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tradetui.desk.books import Books, GttBook
from tradetui.desk.closing import Amend, Send
from tradetui.desk.plans import Managed
from tradetui.desk.stop_terms import exit_price, stop_limit, struck
from tradetui.domain.gtt import Gtt, GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, format_rupees
from tradetui.domain.order import STOP_SOURCE, Order, OrderRequest, OrderStatus, OrderType
from tradetui.domain.position import PositionKey
from tradetui.execution.doubts import SECOND

STOP_RETRY_NS: Final = 3 * SECOND
STOP_TRIES: Final = 3
"""Refusals after which a stop that never rested is only watched by us for a while."""
STOP_REST_NS: Final = 60 * SECOND
RESIZE_EVERY_NS: Final = SECOND // 2
MOVE_EVERY_NS: Final = 2 * SECOND
"""At most one move of a stop's price in this time: trails must not eat the broker's order budget."""
CHASE_AFTER_NS: Final = 2 * SECOND
CHASES: Final = 2
"""Moves of a triggered stop before it is replaced by an exit."""
GTT_PROTECTION_PCT: Final = 5
"""How far beyond its trigger the child of a protective GTT may go, percent."""

_TAKEN: Final = frozenset({OrderStatus.TRIGGER_PENDING, OrderStatus.OPEN})


@dataclass(slots=True)
class _Rest:
    """What happened to the stop of one position; made anew after a restart."""

    live: dict[str, set[Price]] = field(default_factory=dict)
    """Stops that rest, with every trigger that we ever asked for: at any other one somebody else has moved it."""
    cancelled: set[str] = field(default_factory=set)
    acknowledged: bool = False
    refused: int = 0
    changes_refused: int = 0
    words: str = ""
    next_ns: int = 0
    changed_ns: int = 0
    asked: tuple[str, int, int] | None = None
    triggered_ns: int = 0
    chases: int = 0
    gtt_tag: str = ""
    gtts_refused: int = 0


class Resting:
    """Makes what rests at the broker match what is managed.

    Args:
        books: What the desk knows.
        send: Takes an exit through the gate.
        amend: Changes a working order of ours.
        want: Closes a position: who it is about, and why.
        moved: Told that somebody else has moved the stop of a position, and where to.
    """

    def __init__(
        self,
        books: Books,
        send: Send,
        amend: Amend,
        want: Callable[[Managed, str], bool],
        moved: Callable[[Managed, Price], None],
    ) -> None:
        self._books = books
        self._send = send
        self._amend = amend
        self._want = want
        self._moved = moved
        self._rests: dict[PositionKey, _Rest] = {}
        self._gtt_next_ns: dict[PositionKey, int] = {}

    def stops(self, managed: Managed) -> list[Order]:
        """Our stops that rest or may rest for a position, oldest first."""
        return [
            order
            for order in self._books.manager.working(*managed.at)
            if order.request.is_resting_stop and order.request.side is managed.side.opposite
        ]

    def forget(self, at: PositionKey) -> None:
        """The position is gone."""
        self._rests.pop(at, None)
        self._gtt_next_ns.pop(at, None)

    def take_over(self, managed: Managed) -> None:
        """Go on with the stop of an earlier run."""
        rest = self._rests[managed.at] = _Rest()
        for order in self.stops(managed):
            rest.live[order.tag] = {order.request.trigger_price, managed.stop}
            rest.acknowledged |= order.status in _TAKEN

    def keep(self, managed: Managed, held: int) -> None:
        """Do the next step so that one stop rests for ``held`` units."""
        rest = self._rests.setdefault(managed.at, _Rest())
        stops = self.stops(managed)
        self._look_back(managed, rest)
        fired = next((o for o in stops if self._books.is_child_of_gtt(o)), None)
        if fired is not None:
            # A GTT has triggered: its order is the stop now, and nothing is put beside it.
            self._keep_fired(managed, held, rest, fired, stops)
            return
        if managed.plan.overnight and self._books.gtts is not None:
            self._without(rest, stops)
            if not stops:
                self._keep_gtt(managed, held, self._books.gtts, rest)
            return
        old = self.gtts(managed)
        for gtt in old:
            self._books.cancel(gtt)
        if old and not stops:
            rest.words = "its GTT is taken away first"
            return
        if not managed.stop:
            self._without(rest, stops)
            return
        if any(order.status is OrderStatus.TRIGGER_PENDING for order in stops):
            rest.acknowledged, rest.refused = True, 0
        if any(_busy(order) for order in stops):
            return
        if not self._changes_taken(rest, stops):
            return
        triggered = next((order for order in stops if order.status is OrderStatus.OPEN), None)
        if triggered is not None:
            self._chase(managed, rest, triggered)
            return
        rest.triggered_ns, rest.chases = 0, 0
        if self._books.now_ns < rest.next_ns:
            return
        desired = max(0, abs(held) - self._other_exits(managed, held))
        covered = sum(order.pending_qty for order in stops)
        if covered > desired:
            self._shrink(rest, stops, covered - desired)
        elif covered < desired:
            self._grow(managed, rest, stops, desired - covered)
        else:
            self._move(managed, rest, stops)

    def _keep_fired(self, managed: Managed, held: int, rest: _Rest, fired: Order, stops: list[Order]) -> None:
        """The order of a GTT has the size that the GTT had: never more than the position, and chased."""
        if _busy(fired) or not self._changes_taken(rest, stops):
            return
        over = sum(order.pending_qty for order in stops) + self._other_orders(managed) - abs(held)
        if over > 0:
            self._shrink(rest, [fired], over)
        elif fired.status is OrderStatus.OPEN:
            self._chase(managed, rest, fired)

    # --- sizes ----------------------------------------------------------------------------------------

    def _other_exits(self, managed: Managed, held: int) -> int:
        """Units that other working orders on the exit side may still take, or a GTT guards at the broker."""
        return self._books.guarded_by_gtt(*managed.at, held) + self._other_orders(managed)

    def _other_orders(self, managed: Managed) -> int:
        return sum(
            order.pending_qty
            for order in self._books.manager.working(*managed.at)
            if order.request.side is managed.side.opposite and not order.request.is_resting_stop
        )

    def _shrink(self, rest: _Rest, stops: list[Order], over: int) -> None:
        newest = stops[-1]
        if newest.pending_qty <= over:
            self._cancel(rest, newest)
        else:
            self._change(rest, newest, newest.request.qty - over, newest.request.trigger_price)

    def _grow(self, managed: Managed, rest: _Rest, stops: list[Order], missing: int) -> None:
        books = self._books
        instrument = books.instrument(managed.instrument_key)
        most = instrument.max_order_qty if instrument else 0
        newest = stops[-1] if stops else None
        if newest is not None and (not most or newest.request.qty < most):
            if books.now_ns - rest.changed_ns >= RESIZE_EVERY_NS:
                qty = newest.request.qty + missing
                self._change(rest, newest, min(qty, most) if most else qty, newest.request.trigger_price)
            return
        phase = books.market(managed.instrument_key).phase
        if phase != "continuous":
            rest.words = f"no stop can rest while the market is {phase}"
            rest.acknowledged = False
            return
        last = books.market(managed.instrument_key).last
        if last is not None and struck(managed.side.sign, managed.stop, last):
            self._want(managed, f"stop {format_rupees(managed.stop)} hit")
            return
        self._place(managed, rest, min(missing, most) if most else missing, instrument)

    def _place(self, managed: Managed, rest: _Rest, qty: int, instrument: Instrument | None) -> None:
        if instrument is None:
            rest.words = "the terms of the instrument are not known"
            return
        band = self._books.band(instrument, self._books.market(instrument.key).prev_close)
        if band is not None and not band[0] <= managed.stop <= band[1]:
            # The exchange refuses it, and the price cannot come there today.
            rest.words = f"its stop lies outside the day's price band {format_rupees(band[0])} to {format_rupees(band[1])}"
            rest.acknowledged, rest.next_ns = False, self._books.now_ns + STOP_REST_NS
            return
        order, words = self._send(
            OrderRequest(
                managed.instrument_key,
                managed.side.opposite,
                qty,
                managed.product,
                OrderType.SL,
                price=stop_limit(instrument, managed.side.sign, managed.stop, band),
                trigger_price=managed.stop,
                source=STOP_SOURCE,
                reason=f"stop of {abs(qty)}",
            )
        )
        if order is None or not order.status.working:
            self._refused(managed, rest, words)
            return
        rest.live[order.tag] = {managed.stop}
        rest.changed_ns, rest.words = self._books.now_ns, ""

    def _move(self, managed: Managed, rest: _Rest, stops: list[Order]) -> None:
        """A trail or a person has moved the stop: the order follows, one slice after the other.

        Where the order itself was moved, on a phone, the plan follows: nobody is fought for the price of a stop.
        """
        for order in stops:
            known = rest.live.setdefault(order.tag, {order.request.trigger_price})
            if order.request.trigger_price not in known:
                known.add(order.request.trigger_price)
                self._moved(managed, order.request.trigger_price)
                return
        behind = next((order for order in stops if order.request.trigger_price != managed.stop), None)
        if behind is None:
            rest.words = ""
        elif self._books.now_ns - rest.changed_ns >= MOVE_EVERY_NS or behind is not stops[0]:
            self._change(rest, behind, behind.request.qty, managed.stop)

    # --- changes --------------------------------------------------------------------------------------

    def _change(self, rest: _Rest, order: Order, qty: int, trigger: Price) -> None:
        request = order.request
        instrument = self._books.instrument(request.instrument_key)
        price = request.price
        if trigger != request.trigger_price and instrument is not None:
            band = self._books.band(instrument, self._books.market(instrument.key).prev_close)
            price = stop_limit(instrument, -request.side.sign, trigger, band)
        rest.changed_ns = self._books.now_ns
        words = self._amend(order, qty, price, trigger)
        if words:
            self._change_refused(rest, order, words, smaller=qty < request.qty)
        else:
            rest.asked = (order.tag, qty, trigger)
            rest.live.setdefault(order.tag, {request.trigger_price}).add(trigger)

    def _changes_taken(self, rest: _Rest, stops: list[Order]) -> bool:
        """Whether the last change was taken; one that was refused is counted."""
        asked, rest.asked = rest.asked, None
        order = next((order for order in stops if asked and order.tag == asked[0]), None)
        if asked is None or order is None:
            return True
        if (order.request.qty, order.request.trigger_price) == asked[1:]:
            rest.changes_refused, rest.words = 0, ""
            return True
        words = order.message or "the broker did not take the change"
        self._change_refused(rest, order, words, smaller=asked[1] < order.request.qty)
        return False

    def _change_refused(self, rest: _Rest, order: Order, words: str, *, smaller: bool) -> None:
        rest.words = f"the stop could not be changed: {words}"
        rest.changes_refused += 1
        rest.next_ns = self._books.now_ns + STOP_RETRY_NS
        if smaller or rest.changes_refused >= STOP_TRIES:
            # Too large a stop could turn the position round; one that cannot follow is made anew.
            self._cancel(rest, order)
            rest.next_ns, rest.changes_refused = 0, 0

    def _cancel(self, rest: _Rest, order: Order) -> None:
        rest.cancelled.add(order.tag)
        self._books.cancel(order)

    def _without(self, rest: _Rest, stops: list[Order]) -> None:
        for order in stops:
            self._cancel(rest, order)

    # --- bad days -------------------------------------------------------------------------------------

    def _look_back(self, managed: Managed, rest: _Rest) -> None:
        """Stops that ended since the last look: refused, cancelled by somebody else, or filled."""
        for tag in list(rest.live):
            order = self._books.manager.orders[tag]
            if order.status.working:
                continue
            del rest.live[tag]
            if order.status is OrderStatus.FILLED or tag in rest.cancelled:
                rest.cancelled.discard(tag)
            elif order.status is OrderStatus.CANCELLED:
                why = f": {order.message}" if order.message else ""
                rest.words = f"the stop was cancelled by the exchange or elsewhere{why}"
                rest.next_ns = self._books.now_ns + (STOP_RETRY_NS if rest.refused else 0)
                rest.refused += 1
            else:
                words = order.message or f"the stop was {order.status.value}"
                self._refused(managed, rest, words)

    def _refused(self, managed: Managed, rest: _Rest, words: str) -> None:
        """A stop was refused: watched by us at once, tried again, and closed where nobody can watch."""
        rest.words = f"the stop was refused: {words}"
        rest.refused += 1
        rest.next_ns = self._books.now_ns + STOP_RETRY_NS
        watched = self._books.feed_up and self._books.market(managed.instrument_key).last is not None
        if rest.acknowledged:
            rest.acknowledged = False
            self._want(managed, f"emergency: the stop could not be set again: {words}")
        elif not watched:
            self._want(
                managed, f"emergency: the stop was refused and no price is known to watch it by: {words}"
            )
        elif rest.refused >= STOP_TRIES:
            rest.refused, rest.next_ns = 0, self._books.now_ns + STOP_REST_NS

    def _chase(self, managed: Managed, rest: _Rest, order: Order) -> None:
        """The stop has triggered: fill it, within bounds, or replace it by an exit."""
        books = self._books
        if not rest.triggered_ns:
            rest.triggered_ns = rest.changed_ns = books.now_ns
            return
        if books.now_ns - rest.changed_ns < CHASE_AFTER_NS:
            return
        rest.changed_ns = books.now_ns
        instrument, market = books.instrument(managed.instrument_key), books.market(managed.instrument_key)
        price = None
        if instrument is not None and rest.chases < CHASES:
            sign = managed.side.sign
            band = books.band(instrument, market.prev_close)
            price = exit_price(instrument, market, books.limits, sign, rest.chases + 1, band)
        further = price is not None and (price - order.request.price) * order.request.side.sign > 0
        rest.chases += 1
        if price is None or not further or self._amend(order, None, price, None):
            self._want(managed, "the stop triggered and did not fill")

    # --- GTT ------------------------------------------------------------------------------------------

    def _keep_gtt(self, managed: Managed, held: int, gtts: GttBook, rest: _Rest) -> None:
        """One SINGLE GTT on the exit side, for the whole position.

        It knows nothing of positions: it is an order that would open one if ours is gone by then, so it is
        cancelled as soon as ours is flat.
        """
        at, now_ns = managed.at, self._books.now_ns
        if not managed.stop or now_ns < self._gtt_next_ns.get(at, 0) or self._books.journal_problem:
            return
        ours = self.gtts(managed)
        trigger = GttTrigger.BELOW if managed.side.sign > 0 else GttTrigger.ABOVE
        rule = GttRule(GttStrategy.ENTRY, trigger, managed.stop, protection_pct=GTT_PROTECTION_PCT)
        qty = max(0, abs(held) - self._other_exits(managed, held))
        request = GttRequest(
            managed.instrument_key, managed.side.opposite, qty, managed.product, (rule,),
            source=STOP_SOURCE, reason=f"stop of {qty}",
        )  # fmt: skip
        self._gtt_next_ns[at] = now_ns + MOVE_EVERY_NS
        if not ours:
            if qty and not self._gtt_failed(at, rest):
                placed = gtts.place(request, now_ns)
                rest.gtt_tag = placed.tag if placed is not None else ""
            return
        rest.gtts_refused, rest.words = 0, ""
        for extra in ours[1:] if qty else ours:
            self._books.cancel(extra)
        first = ours[0]
        busy = first.status is not GttStatus.ACTIVE or first.cancel_pending or first.modify_pending
        if qty and not busy and (first.request.qty, first.request.rules) != (qty, (rule,)):
            gtts.modify(first.tag, now_ns, request)

    def _gtt_failed(self, at: PositionKey, rest: _Rest) -> bool:
        """Whether the last GTT came to nothing, and the next has to wait: a broker that says no is not asked in a circle."""
        last = self._books.manager.gtts.gtts.get(rest.gtt_tag)
        if last is None:
            return False
        rest.gtt_tag, rest.words = "", f"its GTT was {last.status.value}: {last.message}".rstrip(": ")
        rest.gtts_refused += 1
        tired = rest.gtts_refused % STOP_TRIES == 0
        self._gtt_next_ns[at] = self._books.now_ns + (STOP_REST_NS if tired else STOP_RETRY_NS)
        return True

    def gtts(self, managed: Managed) -> list[Gtt]:
        """Our protective GTTs of a position."""
        return [
            gtt
            for gtt in self._books.gtts_of(*managed.at)
            if gtt.request.source == STOP_SOURCE and gtt.request.side is managed.side.opposite
        ]

    # --- words ----------------------------------------------------------------------------------------

    def why_naked(self, managed: Managed, held: int) -> str:
        """Why no stop covers the whole position right now; empty when one does."""
        rest = self._rests.get(managed.at, _Rest())
        if managed.plan.overnight and self._books.gtts is not None:
            return self._why_no_gtt(managed, held, rest)
        stops = self.stops(managed)
        resting = [order for order in stops if order.status is OrderStatus.TRIGGER_PENDING]
        covered = sum(order.pending_qty for order in resting)
        if covered >= abs(held):
            return ""
        if not managed.stop:
            return "its exit plan has no stop"
        if any(order.status is OrderStatus.OPEN for order in stops):
            return "the stop has triggered and is not filled yet"
        if any(order.status is OrderStatus.UNKNOWN for order in stops):
            return "whether its stop reached the broker is not known"
        if covered:
            more = f": {rest.words}" if rest.words else ""
            return f"the stop covers {covered} of {abs(held)}{more}"
        if stops:
            return "the stop is not acknowledged yet"
        return f"{rest.words}; watched by us" if rest.words else "no stop has been sent yet; watched by us"

    def _why_no_gtt(self, managed: Managed, held: int, rest: _Rest) -> str:
        ours = [gtt for gtt in self.gtts(managed) if gtt.status is GttStatus.ACTIVE]
        resting = [gtt for gtt in ours if not any(one.order_id for one in gtt.rules)]
        if len(resting) < len(ours):
            return "its GTT has triggered and is not filled yet"
        covered = sum(gtt.request.qty for gtt in resting)
        if covered >= abs(held):
            return ""
        if covered:
            return f"the GTT covers {covered} of {abs(held)}"
        return f"{rest.words}; watched by us" if rest.words else "its GTT is not at the broker yet"


def _busy(order: Order) -> bool:
    return order.cancel_pending or order.modify_pending or order.status not in _TAKEN
