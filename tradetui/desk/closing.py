"""Getting out: a position that is to be closed loses its resting exits first, then one exit is sent.

Only an order on the exit's own side can turn the position round, so only such a one is waited for: its cancel is
confirmed, or it fills, before anything else leaves. The exit is a limit near the market where a price is known,
else a protected market order; what does not fill is chased by modify, wider step by step up to a bound. Attempts
are counted: when the market (circuit, auction, halt, close) prevents the exit, that is said, and nothing is sent
in a circle. What is wanted is in the journal, so that a flatten goes on after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tradetui.desk.books import Books
from tradetui.desk.gtt_exits import fired_of, may_close
from tradetui.desk.stop_terms import LAST_STEP, exit_price
from tradetui.domain.money import Price, format_rupees
from tradetui.domain.order import (
    EXIT_SOURCE,
    STOP_SOURCE,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Product,
    Side,
)
from tradetui.domain.position import PositionKey
from tradetui.domain.records import RecordKind, freeze
from tradetui.execution.doubts import SECOND
from tradetui.risk.facts import PHASE_UNKNOWN

CLOSING_PROTECTION_PCT: Final = 3
"""Market protection of our own exits, percent: wide enough to fill, bounded all the same."""
EXIT_RETRY_NS: Final = 3 * SECOND
CHASE_EVERY_NS: Final = 3 * SECOND
EXIT_TRIES: Final = 10
"""Exits that may fail, or chases at the bound that may stay unfilled, before we say that it cannot be done."""
NEVER_LEFT: Final = "not sent: "
"""Beginning of the words for a request that never left this machine (`brokers/upstox`)."""
UNSENT_TRIES: Final = 100
COVER_WAIT_NS: Final = 10 * SECOND
"""How long the sale of longs waits for shorts to be covered: a covered short frees margin and never adds risk."""
FILLS_DUE_NS: Final = 10 * SECOND
"""How long an exit waits for the trades of an order that is reported filled."""
GTT_SHOWS_NS: Final = 5 * SECOND
"""How long a GTT may take to show a change that the broker has taken, before it is cancelled instead."""
TRADES_IN: Final = frozenset({"continuous", "pre-open", "closing auction", PHASE_UNKNOWN})
"""Phases in which an exit can be tried at all."""

Send = Callable[[OrderRequest], tuple[Order | None, str]]
"""Takes an exit through the gate: the order, or why not."""
Amend = Callable[[Order, int | None, int | None, int | None], str]
"""Changes quantity, price and trigger of a working order of ours: why not, or nothing."""


@dataclass(frozen=True, slots=True)
class Want:
    """A position that is to be closed.

    Attributes:
        why: In words.
        keep: Units that shall remain; what an entry adds meanwhile remains too.
        qty: Units to be closed where some remain; 0 where all go.
        covers_first: One of many: shorts go before longs.
        since_ns: When it was asked for.
        tries: Exits that failed so far.
        gave_up: Why nothing is tried any more; empty while it goes on.
    """

    instrument_key: str
    product: Product
    why: str
    keep: int = 0
    covers_first: bool = False
    since_ns: int = 0
    tries: int = 0
    gave_up: str = ""
    qty: int = 0


@dataclass(slots=True)
class _Progress:
    """How far one exit has come; made anew after a restart."""

    exit_tag: str = ""
    sent: dict[str, None] = field(default_factory=dict)
    next_ns: int = 0
    chased_ns: int = 0
    step: int = 0
    missing_since_ns: int = 0
    stop_gone_ns: int = 0
    had_stop: bool = False
    said: str = ""
    unsent: int = 0


class Closing:
    """Positions that are to be closed, and how far that has come.

    Args:
        books: What the desk knows.
        send: Takes an exit through the gate.
        amend: Changes a working order of ours.
    """

    def __init__(self, books: Books, send: Send, amend: Amend) -> None:
        self._books = books
        self._send = send
        self._amend = amend
        self.wanted: dict[PositionKey, Want] = {}
        self._progress: dict[PositionKey, _Progress] = {}
        self._made_smaller: dict[str, tuple[int, int]] = {}

    # --- asking ---------------------------------------------------------------------------------------

    def want(self, key: str, product: Product, why: str, *, covers_first: bool = False) -> None:
        """Close a position whole. An earlier reason stands while it is worked on."""
        at, old = (key, product), self.wanted.get((key, product))
        if old is not None and not old.gave_up:
            if not old.keep:
                return
            why = old.why  # asked for in part before, now for more
        self._progress[at] = _Progress()
        self._set(Want(key, product, why, 0, covers_first, self._books.now_ns))

    def want_part(self, key: str, product: Product, why: str, qty: int) -> str:
        """Close ``qty`` units of a position, on top of what is being closed already. Returns why not, or nothing."""
        at, old, held = (key, product), self.wanted.get((key, product)), abs(self._books.held(key, product))
        open_ = old if old is not None and not old.gave_up else None
        if open_ is not None and not open_.keep:
            return f"the position is being closed already: {open_.why}"
        left = held - (self._surplus(at, open_) if open_ is not None else 0)
        if not 0 < qty <= left:
            return f"{left} of {held} units are left to close, not {qty}"
        if qty == left:
            self.want(key, product, why)
        elif open_ is not None:
            self._set(replace(open_, keep=left - qty, qty=open_.qty + qty if open_.qty else 0))
        else:
            self._progress[at] = _Progress()
            self._set(Want(key, product, why, left - qty, False, self._books.now_ns, qty=qty))
        return ""

    def active(self, key: str, product: Product) -> bool:
        """Whether a position is being closed whole right now, so that nothing else may touch its exits."""
        found = self.wanted.get((key, product))
        return found is not None and not found.gave_up

    def stop(self, at: PositionKey) -> None:
        """A person does not want a position closed after all."""
        if at in self.wanted:
            self._drop(at)

    def clear(self) -> None:
        """Call back what was to be closed with everything else; an exit of its own (a stop, a person's) goes on."""
        for at in sorted(at for at, want in self.wanted.items() if want.covers_first):
            self._drop(at)

    def restore(self, wants: list[Want]) -> None:
        """Go on with what an earlier run was closing: to finish an exit adds no risk."""
        for want in wants:
            self.wanted[want.instrument_key, want.product] = want

    def _set(self, want: Want) -> None:
        at = (want.instrument_key, want.product)
        self.wanted[at] = want
        self._books.note(RecordKind.PLAN, {**_name(at), "closing": freeze(want)})

    def _drop(self, at: PositionKey) -> None:
        del self.wanted[at]
        self._progress.pop(at, None)
        self._books.note(RecordKind.PLAN, {**_name(at), "closing": None})

    # --- working --------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Do the next step for every position that is to be closed; exits that nobody wants any more are cancelled."""
        self._sweep()
        if not self.wanted:
            return
        short = [at for at, want in self.wanted.items() if want.covers_first and not want.gave_up]
        covering = any(self._books.held(*at) < 0 for at in short)
        # Shorts first, then by name: the same on every machine.
        for at in sorted(self.wanted, key=lambda at: (self._books.held(*at) >= 0, *at)):
            want = self.wanted.get(at)
            if want is not None:
                self._step(at, want, covering)

    def _sweep(self) -> None:
        """An exit whose wish was called back would close what is kept, or open what is gone by then."""
        books = self._books
        for order in books.manager.working():
            request = order.request
            at = (request.instrument_key, request.product)
            if request.source == EXIT_SOURCE and at not in self.wanted and not books.is_child_of_gtt(order):
                books.cancel(order)

    def _step(self, at: PositionKey, want: Want, covering: bool) -> None:
        books, manager = self._books, self._books.manager
        progress = self._progress.setdefault(at, _Progress())
        if manager.fills_missing(*at):
            # The position is older than its orders: what is left to close is not known yet.
            progress.missing_since_ns = progress.missing_since_ns or books.now_ns
            if books.now_ns - progress.missing_since_ns < FILLS_DUE_NS:
                return
        else:
            progress.missing_since_ns = 0
        held, working = books.held(*at), manager.working(*at)
        surplus = self._surplus(at, want)
        if manager.conversions.leaving(*at):
            return  # an exit now could close units that stand under another product
        if surplus <= 0:
            if self._cleared(at, want, held, working):
                self._drop(at)
            return
        if want.gave_up:
            self._no_larger(working, held, surplus)
            return
        side = Side.SELL if held > 0 else Side.BUY
        if not want.keep:
            for order in working:
                if order.request.side is not side:
                    self._books.cancel(order)
        waits = want.covers_first and held > 0 and covering
        if waits and books.now_ns - want.since_ns < COVER_WAIT_NS:
            return
        exits = [order for order in working if order.request.side is side]
        ours = [order for order in exits if order.request.source == EXIT_SOURCE]
        phase = books.market(at[0]).phase
        if phase not in TRADES_IN and not ours:
            # Before anything that protects is taken away: no exit could follow it.
            self._give_up(want, f"the market is {phase} for this instrument")
            return
        others = [order for order in exits if order.request.source != EXIT_SOURCE]
        progress.had_stop |= bool(others)
        if not self._made_room(at, 0 if not want.keep else abs(held) - surplus, held, others):
            return
        if progress.had_stop and not progress.stop_gone_ns:
            progress.stop_gone_ns = books.now_ns
        self._exit(at, want, surplus, ours)

    def _no_larger(self, working: list[Order], held: int, surplus: int) -> None:
        """Exits of a wish that was given up may rest on, but not for more than there is to close."""
        ours = [o for o in working if o.request.source == EXIT_SOURCE and o.request.side.sign * held < 0]
        if sum(order.pending_qty for order in ours) > surplus:
            self._books.cancel(ours[-1])

    def _surplus(self, at: PositionKey, want: Want) -> int:
        """Units that are still to be closed."""
        surplus = abs(self._books.held(*at)) - want.keep
        if not want.keep or not want.qty:
            return surplus
        done = sum(
            order.filled_qty
            for order in self._books.manager.orders.values()
            if order.request.source == EXIT_SOURCE
            and (order.request.instrument_key, order.request.product) == at
            and order.created_ns >= want.since_ns
        )
        # An entry that fills meanwhile was not meant.
        return min(surplus, want.qty - done)

    def _cleared(self, at: PositionKey, want: Want, held: int, working: list[Order]) -> bool:
        """The position is as small as it shall be: whether nothing of it works any more."""
        self._measure(at)
        left = [order for order in working if not want.keep or order.request.source == EXIT_SOURCE]
        for order in left:
            self._books.cancel(order)
        gtts = False if held else self._gtts_cancelled(at)
        return not left and not gtts

    def _made_room(self, at: PositionKey, keep: int, held: int, others: list[Order]) -> bool:
        """Whether resting exits leave the units free that are to be closed; takes them away where not."""
        if not keep:
            gtts = self._gtts_cancelled(at)
            for order in others:
                self._books.cancel(order)
            return not others and not gtts
        gtts_fit = self._gtts_fit(at, keep, held)
        over = sum(order.pending_qty for order in others) - keep
        if over <= 0:
            return gtts_fit and not any(order.modify_pending or order.cancel_pending for order in others)
        for order in sorted(others, key=lambda order: not order.request.is_resting_stop):
            if over <= 0:
                break
            left = order.pending_qty - over
            if left > 0 and order.request.is_resting_stop:
                self._make_smaller(order, left)
            else:
                self._books.cancel(order)
            over -= order.pending_qty - max(0, left)
        return False

    def _make_smaller(self, order: Order, left: int) -> None:
        """Leave ``left`` units of a stop; a change that is refused leaves the cancel, which always makes room."""
        if order.modify_pending or order.cancel_pending:
            return
        wanted, now_ns = order.filled_qty + left, self._books.now_ns
        asked_qty, _ = self._made_smaller.get(order.tag, (0, 0))
        if asked_qty == wanted or self._amend(order, wanted, None, None):
            self._books.cancel(order)
        self._made_smaller[order.tag] = (wanted, now_ns)

    def _gtts_fit(self, at: PositionKey, keep: int, held: int) -> bool:
        """Whether GTTs would sell no more than what remains: our own are made smaller, others cancelled."""
        gtts, fit, now_ns = self._books.gtts, True, self._books.now_ns
        for gtt in self._books.gtts_of(*at):
            if not may_close(gtt, held):
                continue  # it would add to the position
            if fired := fired_of(gtt, held):
                # Its order is among the others, as soon as that is known too.
                fit &= all(self._books.manager.by_broker_id(order_id) is not None for order_id in fired)
                continue
            if gtt.request.qty <= keep and not (gtt.modify_pending or gtt.cancel_pending):
                continue
            fit = False
            asked_qty, asked_ns = self._made_smaller.get(gtt.tag, (0, 0))
            if gtt.modify_pending or (asked_qty == keep and now_ns - asked_ns < GTT_SHOWS_NS):
                continue  # its book tells soon
            ours = gtt.request.source == STOP_SOURCE and gtts is not None and asked_qty != keep
            if not ours or gtts is None or gtts.modify(gtt.tag, now_ns, replace(gtt.request, qty=keep)):
                self._books.cancel(gtt)
            self._made_smaller[gtt.tag] = (keep, now_ns)
        return fit

    def _gtts_cancelled(self, at: PositionKey) -> bool:
        """Cancel the GTTs of a position: once it is gone, each would open a new one. Whether any may still rest."""
        resting = self._books.gtts_of(*at)
        for gtt in resting:
            self._books.cancel(gtt)
        return bool(resting)

    # --- the exit -------------------------------------------------------------------------------------

    def _exit(self, at: PositionKey, want: Want, surplus: int, ours: list[Order]) -> None:
        """Send, chase or take back exits until they add up to what is to be closed."""
        books, progress = self._books, self._progress[at]
        self._measure(at)
        want = self._count_failure(at, want)
        if want.gave_up or any(order.status in _UNDER_WAY for order in ours):
            return
        pending = sum(order.pending_qty for order in ours)
        if pending > surplus:
            # Something else made the position smaller.
            self._books.cancel(ours[-1])
            return
        if any(order.cancel_pending or order.modify_pending for order in ours):
            return
        if pending == surplus:
            self._chase(at, want, ours)
            return
        if books.now_ns < progress.next_ns:
            return
        sent, words = self._send(self._request(at, want, surplus - pending))
        if sent is None or not sent.status.working:
            progress.next_ns = books.now_ns + EXIT_RETRY_NS
            self._say(at, words)
            self._failed(want, words)
            return
        progress.exit_tag, progress.chased_ns = sent.tag, books.now_ns
        progress.sent[sent.tag] = None

    def _request(self, at: PositionKey, want: Want, qty: int) -> OrderRequest:
        """The next exit: a limit near the market while prices are known, else a protected market order."""
        books, progress = self._books, self._progress[at]
        instrument = books.instrument(at[0])
        held = books.held(*at)
        most = instrument.max_order_qty if instrument else 0
        sign = 1 if held > 0 else -1
        price = None
        # A limit that was refused (outside a band we do not know) is not sent a second time.
        if instrument is not None and not want.tries % 2:
            market = books.market(at[0])
            band = books.band(instrument, market.prev_close)
            price = exit_price(instrument, market, books.limits, sign, progress.step, band)
        return OrderRequest(
            at[0],
            Side.SELL if held > 0 else Side.BUY,
            min(qty, most) if most else qty,
            at[1],
            OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price or Price(0),
            protection_pct=CLOSING_PROTECTION_PCT if price is None else -1,
            source=EXIT_SOURCE,
            reason=want.why,
        )

    def _chase(self, at: PositionKey, want: Want, ours: list[Order]) -> None:
        """Exits rest unfilled: all of them nearer to the other side, step by step, up to the bound."""
        books, progress = self._books, self._progress[at]
        # Fills in part do not put the chase off: what is left is what matters.
        if books.now_ns - (progress.chased_ns or ours[0].updated_ns) < CHASE_EVERY_NS:
            return
        progress.chased_ns = books.now_ns
        limits = [order for order in ours if order.request.order_type is OrderType.LIMIT]
        for order in ours:
            if order not in limits:
                # What is left of a protected market order rests at its bound: take it back and send it anew.
                books.cancel(order)
        if not limits:
            return
        at_bound = progress.step >= LAST_STEP
        progress.step = min(progress.step + 1, LAST_STEP)
        if at_bound:
            words = f"the exit rests unfilled at {format_rupees(limits[0].request.price)}"
            if self._failed(want, words).gave_up:
                return
        instrument, sign = books.instrument(at[0]), -limits[0].request.side.sign
        market = books.market(at[0])
        price = None
        if instrument is not None:
            band = books.band(instrument, market.prev_close)
            price = exit_price(instrument, market, books.limits, sign, progress.step, band)
        for order in limits:
            if price is None:
                books.cancel(order)
            elif (price - order.request.price) * order.request.side.sign > 0:
                words = self._amend(order, None, price, None)
                if words:
                    self._say(at, words)

    def _count_failure(self, at: PositionKey, want: Want) -> Want:
        """Look at the exits that ended: one without any fill is counted, and the next waits a little."""
        progress = self._progress[at]
        for tag in list(progress.sent):
            last = self._books.manager.orders[tag]
            if not last.status.terminal:
                continue
            del progress.sent[tag]
            if progress.exit_tag == tag:
                progress.exit_tag = ""
            if last.filled_qty or want.gave_up:
                continue
            progress.next_ns = last.updated_ns + EXIT_RETRY_NS
            progress.unsent += last.message.startswith(NEVER_LEFT)
            if last.message.startswith(NEVER_LEFT) and progress.unsent <= UNSENT_TRIES:
                self._say(at, last.message)
                continue  # no market and no broker said no: many exits wait for our own limit
            want = self._failed(want, last.message or f"the exit was {last.status.value}")
        return want

    def _failed(self, want: Want, words: str) -> Want:
        want = replace(want, tries=want.tries + 1)
        if want.tries >= EXIT_TRIES:
            return self._give_up(want, f"{want.tries} exits did not get through: {words}")
        self._set(want)
        return want

    def _give_up(self, want: Want, words: str) -> Want:
        """Say plainly that the position could not be closed, and stop trying."""
        want = replace(want, gave_up=words)
        self._set(want)
        self._books.note(
            RecordKind.DECISION,
            {
                "refused": f"could not close {self._books.symbol(want.instrument_key)}: {words}",
                "kind": "exit",
                **_name((want.instrument_key, want.product)),
            },
        )
        return want

    def _say(self, at: PositionKey, words: str) -> None:
        progress = self._progress[at]
        if words and words != progress.said:
            progress.said = words
            self._books.note(RecordKind.DECISION, {"refused": words, "kind": "exit", **_name(at)})

    def _measure(self, at: PositionKey) -> None:
        """Once the exit is acknowledged: how long no exit rested at the broker."""
        progress = self._progress.setdefault(at, _Progress())
        order = self._books.manager.orders.get(progress.exit_tag)
        if order is None or not progress.stop_gone_ns or order.status in _UNDER_WAY:
            return
        if order.status not in (OrderStatus.REJECTED, OrderStatus.REFUSED, OrderStatus.ABSENT):
            gap_ns = self._books.now_ns - progress.stop_gone_ns
            self._books.note(RecordKind.PLAN, {**_name(at), "gap_ns": gap_ns})
            progress.stop_gone_ns, progress.had_stop = 0, False


_UNDER_WAY: Final = frozenset({OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.UNKNOWN})


def _name(at: PositionKey) -> dict[str, str]:
    return {"instrument_key": at[0], "product": at[1].value}
