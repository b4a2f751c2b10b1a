"""Exit plans: which position is to be left how, and who watches what.

The stop rests at the broker (`resting.py`). Target, trail and time exit are watched here; when one strikes, the
position goes to `closing.py`, which takes the stop away, waits for its confirmed end, and sends one exit. A stop
that does not rest, for whatever reason, is watched here too, and the position is listed as naked with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tradetui.desk.books import AfterAuction, Books
from tradetui.desk.closing import Amend, Closing, Send
from tradetui.desk.plans import Managed, Move, plan_of
from tradetui.desk.resting import Resting
from tradetui.desk.stop_terms import reached, stop_trigger, struck
from tradetui.desk.trails import Bars, smallest_step, trailed
from tradetui.domain.calendar import DAY_NS, day_start_ns, ist_date
from tradetui.domain.conversion import ConversionStatus
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.money import Price, format_rupees
from tradetui.domain.order import STOP_SOURCE, Order, OrderStatus, OrderType, Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.records import RecordKind, freeze
from tradetui.execution.doubts import SECOND

TRAIL_EVERY_NS: Final = 2 * SECOND
STRUCK_GRACE_NS: Final = 5 * SECOND
"""How long the price may stand beyond a resting stop before we no longer believe that it will trigger."""
ASK_AGAIN_NS: Final = 60 * SECOND
"""How long we wait before we try to close a position again that could not be closed."""
MOVE_WAITS_NS: Final = 15 * SECOND
"""How long a conversion waits until nothing rests for the units that are to move."""
EXIT_BEFORE_CLOSE_NS = 180 * SECOND
"""How long before the end of continuous trading intraday positions are closed at the latest."""


@dataclass(frozen=True, slots=True)
class Naked:
    """A position without full protection right now."""

    instrument_key: str
    product: Product
    why: str


class Protection:
    """All exit plans.

    Args:
        books: What the desk knows.
        closing: Closes positions.
        send: Takes an exit through the gate.
        amend: Changes a working order of ours.
        bars: Gives finished bars, for trails that measure the market's range.
    """

    def __init__(self, books: Books, closing: Closing, send: Send, amend: Amend, bars: Bars) -> None:
        self._books = books
        self._closing = closing
        self._bars = bars
        self.resting = Resting(books, send, amend, self._close, self._moved_elsewhere)
        self.plans: dict[PositionKey, Managed] = {}
        books.manager.positions.kept = self.plans.__contains__
        self._entries: dict[str, int] = {}
        self._trailed_ns: dict[PositionKey, int] = {}
        self._struck_ns: dict[PositionKey, int] = {}
        self._asked_ns: dict[PositionKey, int] = {}
        self._unsure = False
        self.moves: dict[PositionKey, Move] = {}
        """Conversions that wait until nothing rests for the units that are to move."""

    # --- plans ----------------------------------------------------------------------------------------

    def entry_placed(self, order: Order) -> None:
        """An order left that may open a position: its exit plan comes into force with its fills."""
        if not order.request.is_exit and not plan_of(order.request).empty:
            self._entries[order.tag] = 0

    def protect(self, key: str, product: Product, plan: ExitPlan, source: str = "manual") -> str:
        """Give a position an exit plan, or change it; an empty one takes it away. Returns why not, or nothing."""
        held = self._books.held(key, product)
        if not held:
            return f"no {product.name.lower()} position in {self._books.symbol(key)}"
        at = (key, product)
        if plan.empty:
            self._drop(at)
            return ""
        side = Side.BUY if held > 0 else Side.SELL
        words = self._wrong_side(key, side.sign, plan)
        if words:
            return words
        old = self.plans.get(at)
        self._set(self._fresh(key, product, side, plan, old.source if old else source))
        return ""

    def stop_moved(self, order: Order, trigger: Price) -> str:
        """A person has moved a resting stop: the plan follows. Returns why not, or nothing."""
        at = (order.request.instrument_key, order.request.product)
        managed = self.plans.get(at)
        if managed is None:
            return "the position has no exit plan any more: cancel this stop"
        return self.protect(*at, replace(managed.plan, stop=trigger))

    def _moved_elsewhere(self, managed: Managed, trigger: Price) -> None:
        """A resting stop was moved on a phone: where it rests is where it stands now, right or wrong."""
        self._set(replace(managed, plan=replace(managed.plan, stop=trigger), stop=trigger))

    def why_not_moved(self, order: Order, trigger: Price) -> str:
        """Why a resting stop could not be moved there, in words; empty when it could."""
        managed = self.plans.get((order.request.instrument_key, order.request.product))
        if managed is None:
            return "the position has no exit plan any more: cancel this stop"
        if trigger == order.request.trigger_price:
            return "nothing is changed yet"
        plan = replace(managed.plan, stop=trigger)
        return self._wrong_side(order.request.instrument_key, managed.side.sign, plan)

    def convert(self, key: str, product: Product, new: Product, qty: int | None) -> str:
        """Move units to another product, once no exit rests for them. Returns why not, or nothing.

        A stop that stayed behind would open a position when it strikes: it shrinks first, and follows the units.
        """
        words = self._books.manager.conversions.why_not(key, product, new, qty)
        if words:
            return words
        at, held = (key, product), abs(self._books.portfolio.qty(key, product))
        units = held if qty is None else qty
        ours = self._resting_exits(at, ours=True) if at in self.plans else 0
        others = self._resting_exits(at) - ours
        if others > held - units:
            return f"exits over {others} units rest for this position: cancel them first, or convert fewer"
        self.moves[at] = Move(new, units, self._books.now_ns)
        self._books.note(RecordKind.PLAN, {**_name(at), "moving": new.value})
        return ""

    def _resting_exits(self, at: PositionKey, *, ours: bool = False) -> int:
        """Units that orders and GTTs on the exit's side may still take."""
        books, held = self._books, self._books.held(*at)
        return sum(
            order.pending_qty
            for order in books.manager.working(*at)
            if order.request.side.sign * held < 0 and (order.request.is_resting_stop or not ours)
        ) + sum(
            gtt.request.qty
            for gtt in books.gtts_of(*at)
            if gtt.request.side.sign * held < 0 and (gtt.request.source == STOP_SOURCE or not ours)
        )

    def _send_moves(self) -> None:
        books = self._books
        for at, move in list(self.moves.items()):
            words = ""
            if self._closing.active(*at):
                words = "the position is being closed"
            elif self._resting_exits(at) + move.qty <= abs(books.portfolio.qty(*at)):
                words = books.manager.conversions.convert(*at, move.new, move.qty, books.now_ns)
            elif books.now_ns - move.since_ns < MOVE_WAITS_NS:
                continue
            else:
                words = "its stop could not be taken away first"
            del self.moves[at]
            self._moved(at, words)

    def _moved(self, at: PositionKey, words: str) -> None:
        """A conversion waits no more: it has left, or why it has not."""
        self._books.note(RecordKind.PLAN, {**_name(at), "moving": None})
        if words:
            data = {"refused": f"not converted: {words}", "kind": "convert", **_name(at)}
            self._books.note(RecordKind.DECISION, data)

    def without_stop(self, key: str, product: Product) -> None:
        """A person has cancelled the stop: the plan goes on without one."""
        managed = self.plans.get((key, product))
        if managed is None:
            return
        plan = replace(managed.plan, stop=Price(0), trail=None, overnight=False)
        if plan.empty:
            self._drop((key, product))
        else:
            self._set(replace(managed, plan=plan, stop=Price(0)))

    def _wrong_side(self, key: str, sign: int, plan: ExitPlan) -> str:
        last = self._books.market(key).last
        if plan.stop < 0 or plan.target < 0:
            return "a stop or target below zero"
        if plan.stop and plan.target and (plan.target - plan.stop) * sign <= 0:
            return "the target must lie on the winning side of the stop"
        if last is not None and struck(sign, plan.stop, last):
            return f"the stop {format_rupees(plan.stop)} would strike at once: the last price is {format_rupees(last)}"
        if last is not None and reached(sign, plan.target, last):
            return f"the target {format_rupees(plan.target)} is reached already: use exit"
        return ""

    def _fresh(self, key: str, product: Product, side: Side, plan: ExitPlan, source: str) -> Managed:
        instrument = self._books.instrument(key)
        stop = plan.stop
        if stop and instrument is not None:
            stop = stop_trigger(instrument, side.sign, stop)
        best = self._books.market(key).last or self._average(key, product)
        return Managed(key, product, side, plan, stop, best, source)

    def _average(self, key: str, product: Product) -> Price:
        found = self._books.portfolio.positions.get((key, product))
        return found.average_price if found else Price(0)

    def _set(self, managed: Managed) -> None:
        if self.plans.get(managed.at) != managed:
            self.plans[managed.at] = managed
            self._books.note(RecordKind.PLAN, {**_name(managed.at), "managed": freeze(managed)})

    def _drop(self, at: PositionKey) -> None:
        if self.plans.pop(at, None) is not None:
            self._books.note(RecordKind.PLAN, {**_name(at), "managed": None})
        self.resting.forget(at)
        for known in (self._trailed_ns, self._struck_ns, self._asked_ns):
            known.pop(at, None)

    # --- restart --------------------------------------------------------------------------------------

    def restore(self, plans: list[Managed], decided: frozenset[PositionKey]) -> None:
        """Go on with the plans of an earlier run, after its orders and trades were given back.

        Args:
            plans: Plans in force.
            decided: Positions about whose plan the journal says anything, be it that there is none any more.
        """
        for managed in plans:
            self.plans[managed.at] = managed
            self.resting.take_over(managed)
        for order in self._books.manager.orders.values():
            request = order.request
            if order.foreign or request.is_exit or plan_of(request).empty:
                continue
            # What filled on an earlier day has its plan in the journal, or has none any more.
            old = ist_date(order.created_ns) < ist_date(self._books.now_ns)
            known = old or (request.instrument_key, request.product) in decided
            if order.status.working or (order.filled_qty and not known):
                self._entries[order.tag] = order.filled_qty if known else 0
        # What is carried over night shows only with the broker's first answer: until then nothing is an orphan.
        self._unsure = bool(plans) or any(o.request.is_exit for o in self._books.manager.working())

    def forgotten(self, moves: Iterable[PositionKey]) -> None:
        """Conversions that an earlier run had not sent yet: a person decides anew."""
        for at in moves:
            self._moved(at, "the program stopped before its stop was away; ask again")

    def account_seen(self) -> None:
        """The broker has shown its positions: from now on what we hold is known."""
        self._unsure = False

    # --- working --------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Bring plans into force, make the broker's stops match, and sweep orphans."""
        if self._entries:
            self._adopt()
        for at in sorted(self.plans):
            managed = self.plans[at]
            if self._closing.active(*at):
                continue  # it takes the stop away, or makes it smaller, itself
            held = self._books.held(*at)
            moving = self._books.manager.conversions.leaving(*at)
            if moving or at in self.moves:
                moving = moving or self.moves[at].qty * managed.side.sign
                self.resting.keep(managed, 0 if abs(moving) >= abs(held) else held - moving)
                continue
            if held * managed.side.sign <= 0:
                if not self._unsure and not self._books.manager.fills_missing(*at):
                    self._move_with_its_units(managed)
                    self._drop(at)
                continue
            self.resting.keep(managed, held)
        if self.moves:
            self._send_moves()
        self._sweep()

    def _move_with_its_units(self, managed: Managed) -> None:
        """A position that was converted whole keeps its plan under its new product."""
        for one in self._books.manager.conversions.conversions.values():
            to = (one.instrument_key, one.new)
            moved = one.status is ConversionStatus.DONE and (one.instrument_key, one.old) == managed.at
            if moved and to not in self.plans and self._books.held(*to) * managed.side.sign > 0:
                self._set(replace(managed, product=one.new))

    def _adopt(self) -> None:
        """Entries with a plan that have filled, wholly or in part."""
        for tag, seen in list(self._entries.items()):
            order = self._books.manager.orders[tag]
            if order.filled_qty > seen:
                self._entries[tag] = order.filled_qty
                self._take_plan(order, first=not seen)
            if order.status.terminal:
                del self._entries[tag]

    def _take_plan(self, order: Order, *, first: bool) -> None:
        request = order.request
        at = (request.instrument_key, request.product)
        held = self._books.held(*at)
        if held * request.side.sign <= 0:
            return  # it only made a position smaller
        managed, plan = self.plans.get(at), plan_of(request)
        known = managed is not None and (managed.plan, managed.side) == (plan, request.side)
        # Slices of one parent carry the same plan: a stop that has trailed does not fall back.
        if managed is None or managed.side is not request.side or (first and not known):
            self._set(self._fresh(*at, request.side, plan, request.source))

    def _sweep(self) -> None:
        """Cancel stops and GTTs of ours whose position or plan is gone: each would open a new position."""
        if self._unsure:
            return
        manager = self._books.manager
        for order in manager.working():
            request = order.request
            at = (request.instrument_key, request.product)
            if not request.is_resting_stop or order.cancel_pending or manager.fills_missing(*at):
                continue
            managed = self.plans.get(at)
            if self._books.is_child_of_gtt(order) and self._books.held(*at) * request.side.sign < 0:
                continue  # a GTT has triggered, and closes what is held
            if managed is None or managed.side is request.side:
                if self._closing.active(*at):
                    continue  # it cancels them itself, and waits
                self._books.cancel(order)
        if self._books.gtts is None:
            return
        for gtt in self._books.gtts.working():
            at = (gtt.request.instrument_key, gtt.request.product)
            ours = gtt.request.source.startswith("exit") and not gtt.cancel_pending
            managed = self.plans.get(at)
            wrong = managed is None or managed.side is gtt.request.side or not managed.plan.overnight
            if ours and wrong and not self._closing.active(*at):
                self._books.cancel(gtt)

    # --- watching -------------------------------------------------------------------------------------

    def on_prices(self) -> bool:
        """Prices moved: trails follow, targets and unprotected stops may strike. Whether anything is to be done."""
        struck_any = False
        for at in sorted(self.plans):
            if self._closing.active(*at):
                continue
            managed, market = self.plans[at], self._books.market(at[0])
            if market.last is None or market.phase != "continuous" or not market.traded:
                continue  # an auction's price is no price for stops, and neither is yesterday's
            moved = self._trail(managed, market.last)
            struck_any |= moved.stop != managed.stop
            struck_any |= self._watch(moved, market.last)
        return struck_any

    def _watch(self, managed: Managed, last: Price) -> bool:
        sign, at = managed.side.sign, managed.at
        if reached(sign, managed.plan.target, last):
            return self._close(managed, f"target {format_rupees(managed.plan.target)} hit")
        if not struck(sign, managed.stop, last):
            self._struck_ns.pop(at, None)
            return False
        if self.resting.stops(managed) and not self._unknown_stop(managed):
            since_ns = self._struck_ns.setdefault(at, self._books.now_ns)
            if self._books.now_ns - since_ns < STRUCK_GRACE_NS:
                return False
        return self._close(managed, f"stop {format_rupees(managed.stop)} hit")

    def _unknown_stop(self, managed: Managed) -> bool:
        return any(order.status is OrderStatus.UNKNOWN for order in self.resting.stops(managed))

    def _trail(self, managed: Managed, last: Price) -> Managed:
        """The stop follows the best price, in steps worth a request."""
        sign, trail = managed.side.sign, managed.plan.trail
        if trail is None:
            return managed
        best = last if not managed.best or (last - managed.best) * sign > 0 else managed.best
        if best != managed.best:
            # Kept at once, recorded with the next move of the stop: the journal is no tick store.
            managed = self.plans[managed.at] = replace(managed, best=best)
        moved_ns = self._trailed_ns.get(managed.at)
        instrument = self._books.instrument(managed.instrument_key)
        if instrument is None or (moved_ns is not None and self._books.now_ns - moved_ns < TRAIL_EVERY_NS):
            return managed
        at = trailed(trail, sign, best, managed.instrument_key, managed.product, self._bars)
        if at is None:
            return managed
        stop = stop_trigger(instrument, sign, at) if at % instrument.tick_size else at
        least = smallest_step(trail, best, instrument.tick_size)
        if struck(sign, stop, last) or (managed.stop and (stop - managed.stop) * sign < least):
            return managed
        self._trailed_ns[managed.at] = self._books.now_ns
        moved = replace(managed, stop=stop)
        self.plans[managed.at] = moved
        self._books.note(RecordKind.PLAN, {**_name(moved.at), "managed": freeze(moved)})
        return moved

    def _close(self, managed: Managed, why: str) -> bool:
        """Close a position, unless that could not be done a moment ago."""
        now_ns, asked_ns = self._books.now_ns, self._asked_ns.get(managed.at)
        if asked_ns is not None and now_ns - asked_ns < ASK_AGAIN_NS:
            return False
        self._asked_ns[managed.at] = now_ns
        self._closing.want(*managed.at, why)
        return True

    # --- time -----------------------------------------------------------------------------------------

    def on_time(self) -> None:
        """Time exits of plans, and the end-of-day square-off of intraday positions."""
        now_ns = self._books.now_ns
        second = (now_ns - day_start_ns(ist_date(now_ns))) % DAY_NS // SECOND
        for managed in list(self.plans.values()):
            at_s = managed.plan.time_exit_s
            if at_s and second >= at_s and self._trades(managed.instrument_key):
                self._close(managed, f"time exit {at_s // 3600:02d}:{at_s // 60 % 60:02d}")
        self._square_off(second)

    def _square_off(self, second: int) -> None:
        """Close what is open intraday, and cancel what could still open it, where the time for that has come."""
        books, due = self._books, dict[str, str]()

        def why(key: str) -> str:
            # Hours are looked up once for an instrument, not for each of a thousand orders.
            if key not in due:
                due[key] = self.square_off_due(key, second) if self._trades(key) else ""
            return due[key]

        for position in books.portfolio.open_positions():
            at = (position.instrument_key, position.product)
            if at[1] is not Product.INTRADAY or self._closing.active(*at) or not why(at[0]):
                continue
            asked_ns = self._asked_ns.get(at)
            if asked_ns is None or books.now_ns - asked_ns >= ASK_AGAIN_NS:
                self._asked_ns[at] = books.now_ns
                self._closing.want(*at, why(at[0]))
        for order in books.manager.working():
            request = order.request
            enters = request.product is Product.INTRADAY and not request.is_exit
            if enters and why(request.instrument_key):
                books.cancel(order)

    def square_off_due(self, key: str, second: int) -> str:
        """Why intraday positions of an instrument are to be closed by now; empty while they need not be."""
        books, limits = self._books, self._books.limits
        instrument = books.instrument(key)
        segment = instrument.segment if instrument else key.partition("|")[0]
        at_s = limits.square_off_mcx_s if segment.startswith("MCX") else limits.square_off_s
        if at_s and second >= at_s:
            return f"square-off at {at_s // 3600:02d}:{at_s // 60 % 60:02d}"
        closes_ns = books.closes_ns(key)
        before = books.after_auction is AfterAuction.EXIT_BEFORE and closes_ns is not None
        if before and closes_ns is not None and books.now_ns >= closes_ns - EXIT_BEFORE_CLOSE_NS:
            return "continuous trading ends, and resting stops with it"
        return ""

    def _trades(self, key: str) -> bool:
        return self._books.market(key).phase in ("continuous", "closing auction")

    # --- words ----------------------------------------------------------------------------------------

    def naked(self) -> list[Naked]:
        """Positions that are naked right now, and why in words."""
        out = []
        for position in self._books.portfolio.open_positions():
            why = self.why_naked(position)
            if why:
                out.append(Naked(position.instrument_key, position.product, why))
        return out

    def why_naked(self, position: Position) -> str:
        """Why no protective order covers a position; empty when one does, or when it needs none."""
        at = (position.instrument_key, position.product)
        held = self._books.held(*at)
        if not held:
            return ""
        if self._books.sold_from_demat(position):
            return self._books.why_oversold(position)
        working = self._books.manager.working(*at)
        side = Side.SELL if held > 0 else Side.BUY
        by_hand = sum(
            order.pending_qty
            for order in working
            if order.request.side is side
            and order.request.order_type in (OrderType.SL, OrderType.SL_M)
            and order.status is OrderStatus.TRIGGER_PENDING
        )
        by_hand += self._books.guarded_by_gtt(*at, held)
        if by_hand >= abs(held):
            return ""
        want = self._closing.wanted.get(at)
        if want is not None and want.gave_up:
            return f"could not be closed: {want.gave_up}"
        if want is not None and not want.keep:
            return f"being closed: {want.why}"
        managed = self.plans.get(at)
        if managed is None:
            return f"a stop covers {by_hand} of {abs(held)}" if by_hand else "no stop"
        return self.resting.why_naked(managed, held)


def _name(at: PositionKey) -> dict[str, str]:
    return {"instrument_key": at[0], "product": at[1].value}
