"""The order book of one instrument: price-time priority, with the rest of the market as anonymous quantity.

Our users' orders rest in the same queues as the quantity that a depth snapshot shows. What the snapshot
cannot tell is decided by fixed rules, each leaning against the user, so that paper results do not flatter:

- A level that shows **more** than before: the new quantity joins the tail, behind resting orders.
- A level that shows **less**: cancellations come off the tail first, so they improve a resting order's place
  only when nothing is left behind it. (Quantity that traded was already taken off the head by its print.)
- A level outside the snapshot's window keeps its queue but cannot be traded against. A level seen for the
  first time with an order already resting on it: all that it shows stands ahead of that order.
- Quantity that a user's order took stays taken while the snapshot goes on showing it; when the level
  shrinks, the taken part leaves first. One resting quote is never filled twice.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tradetui.domain.market_data import DEPTH_LEVELS
from tradetui.domain.money import Price
from tradetui.domain.order import Side

Quote = tuple[Price, int]
"""(price, quantity) of one level of a depth snapshot."""


@dataclass(frozen=True, slots=True)
class Match:
    """A trade inside the book; an empty id stands for the rest of the market."""

    buy_id: str
    sell_id: str
    price: Price
    qty: int


@dataclass(slots=True, eq=False)
class _Entry:
    """One place in a queue. ``order_id`` is empty for anonymous quantity."""

    order_id: str
    qty: int
    seq: int = 0
    hidden: int = 0
    peak: int = 0

    @property
    def total(self) -> int:
        return self.qty + self.hidden


@dataclass(slots=True)
class _Level:
    """The queue at one price.

    ``visible``: inside the window of the last snapshot. ``seen``: was visible at some time since the level
    exists. ``taken``: displayed quantity that users' orders have already taken.
    """

    price: Price
    visible: bool
    seen: bool
    taken: int = 0
    entries: list[_Entry] = field(default_factory=list)

    @property
    def anonymous(self) -> int:
        return sum(entry.qty for entry in self.entries if not entry.order_id)

    @property
    def has_users(self) -> bool:
        return any(entry.order_id for entry in self.entries)

    def show(self, qty: int) -> None:
        """Bring the anonymous quantity in line with a snapshot; the rules are in the module's docstring."""
        self.visible = True
        if not self.seen:
            self.seen = True
            if qty:
                self.entries.insert(0, _Entry("", qty))
            return
        known = self.anonymous + self.taken
        if qty > known:
            if self.entries and not self.entries[-1].order_id:
                self.entries[-1].qty += qty - known
            else:
                self.entries.append(_Entry("", qty - known))
        elif qty < known:
            leaving = known - qty
            from_taken = min(self.taken, leaving)
            self.taken -= from_taken
            self._leave_from_tail(leaving - from_taken)

    def _leave_from_tail(self, leaving: int) -> None:
        for entry in reversed(self.entries):
            if not entry.order_id:
                gone = min(entry.qty, leaving)
                entry.qty -= gone
                leaving -= gone
        self.entries = [entry for entry in self.entries if entry.qty]

    def hide(self) -> None:
        """The snapshot no longer reaches this level."""
        self.visible = False
        self.taken = 0

    def at_auction(self) -> int:
        """Units that take part in an auction."""
        return sum(entry.total for entry in self.entries if entry.order_id or self.visible)

    def first(self) -> _Entry | None:
        """Who trades next, or ``None``. Anonymous quantity outside the window does not trade."""
        for entry in self.entries:
            if entry.order_id or self.visible:
                return entry
        return None

    def consume(self, entry: _Entry, qty: int, *, mark: bool) -> None:
        """Trade ``qty`` units of ``entry``; ``mark`` remembers anonymous quantity as taken by a user.

        A disclosed-quantity order whose shown part is used up shows the next part at the queue's end.
        """
        entry.qty -= qty
        if mark and not entry.order_id:
            self.taken += qty
        if entry.qty == 0:
            self.entries.remove(entry)
            if entry.hidden:
                entry.qty = min(entry.peak, entry.hidden)
                entry.hidden -= entry.qty
                self.entries.append(entry)


class _Half:
    """Bids or asks. Keys are prices signed so that the best comes first in ascending order."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = -side.sign
        self.levels: dict[int, _Level] = {}
        self.keys: list[int] = []
        self.where: dict[str, int] = {}
        self._known = False
        self._complete = False
        self._edge: int | None = None

    def key(self, price: Price) -> int:
        return self._sign * price

    def _sees(self, key: int) -> bool:
        return self._known and (self._complete or (self._edge is not None and key <= self._edge))

    def level(self, key: int) -> _Level:
        found = self.levels.get(key)
        if found is None:
            sees = self._sees(key)
            found = self.levels[key] = _Level(Price(self._sign * key), sees, sees)
            insort(self.keys, key)
        return found

    def prune(self, key: int) -> None:
        level = self.levels[key]
        if not level.entries and not level.taken:
            del self.levels[key]
            del self.keys[bisect_left(self.keys, key)]

    def show(self, quotes: Sequence[Quote], full_depth: int) -> None:
        fresh = {self.key(price): qty for price, qty in quotes if price > 0 and qty > 0}
        self._known = True
        self._complete = len(fresh) < full_depth
        self._edge = max(fresh, default=None)
        for key in list(self.keys):
            if key in fresh:
                continue
            level = self.levels[key]
            if self._sees(key):
                level.show(0)
                level.taken = 0
            else:
                level.hide()
                if not level.has_users:
                    level.entries.clear()
            self.prune(key)
        for key, qty in fresh.items():
            self.level(key).show(qty)

    def forget(self) -> None:
        self._known = self._complete = False
        self._edge = None
        for key in list(self.keys):
            level = self.levels[key]
            level.entries = [entry for entry in level.entries if entry.order_id]
            level.taken, level.visible, level.seen = 0, False, False
            self.prune(key)

    def rest(self, order_id: str, price: Price, qty: int, peak: int, seq: int) -> None:
        key = self.key(price)
        shown = min(peak, qty) if peak else qty
        self.level(key).entries.append(_Entry(order_id, shown, seq, qty - shown, peak))
        self.where[order_id] = key

    def entry(self, order_id: str) -> tuple[_Level, _Entry]:
        level = self.levels[self.where[order_id]]
        return level, next(entry for entry in level.entries if entry.order_id == order_id)

    def remove(self, order_id: str) -> None:
        level, entry = self.entry(order_id)
        level.entries.remove(entry)
        self.prune(self.where.pop(order_id))

    def consume(self, key: int, entry: _Entry, qty: int, *, mark: bool) -> None:
        self.levels[key].consume(entry, qty, mark=mark)
        if entry.order_id and not entry.total:
            del self.where[entry.order_id]

    def users(self) -> list[_Entry]:
        """Users' orders, first in priority first."""
        return [e for key in self.keys for e in self.levels[key].entries if e.order_id]

    def best(self) -> Price | None:
        """Best price somebody can trade against."""
        for key in self.keys:
            if self.levels[key].first() is not None:
                return self.levels[key].price
        return None


class Book:
    """Order book of one instrument; see the module's docstring for its rules.

    Args:
        full_depth: Levels a side that a full snapshot carries. Fewer levels mean that the side ends there.
    """

    def __init__(self, full_depth: int = DEPTH_LEVELS) -> None:
        self._full_depth = full_depth
        self._bids = _Half(Side.BUY)
        self._asks = _Half(Side.SELL)

    def _half(self, side: Side) -> _Half:
        return self._bids if side is Side.BUY else self._asks

    @property
    def has_users(self) -> bool:
        """Whether any user's order rests here."""
        return bool(self._bids.where or self._asks.where)

    @property
    def has_marks(self) -> bool:
        """Whether displayed quantity counts as taken by users."""
        return any(level.taken for half in (self._bids, self._asks) for level in half.levels.values())

    def best(self, side: Side) -> Price | None:
        """Best price of a side that can be traded against; ``None`` when the side is empty."""
        return self._half(side).best()

    def depth(self, side: Side, levels: int) -> list[tuple[Price, int, int]]:
        """Shown (price, units, orders) of a side, best first; anonymous quantity counts as one order."""
        rows: list[tuple[Price, int, int]] = []
        half = self._half(side)
        for key in half.keys:
            level = half.levels[key]
            shown = [e for e in level.entries if e.order_id or level.visible]
            if shown:
                rows.append((level.price, sum(e.qty for e in shown), len(shown)))
            if len(rows) == levels:
                break
        return rows

    def ahead_of(self, order_id: str) -> int:
        """Units that stand before a resting order at its own price.

        Raises:
            KeyError: The order does not rest here.
        """
        half = self._bids if order_id in self._bids.where else self._asks
        total = 0
        for entry in half.levels[half.where[order_id]].entries:
            if entry.order_id == order_id:
                return total
            total += entry.qty
        return total

    def rest(self, order_id: str, side: Side, price: Price, qty: int, seq: int, peak: int = 0) -> None:
        """Put an order at the tail of its level. ``peak`` is the disclosed quantity, 0 shows all."""
        self._half(side).rest(order_id, price, qty, peak, seq)

    def remove(self, order_id: str, side: Side) -> None:
        """Take a resting order out.

        Raises:
            KeyError: The order does not rest here.
        """
        self._half(side).remove(order_id)

    def reduce(self, order_id: str, side: Side, qty: int) -> None:
        """Cut a resting order down to ``qty`` remaining units; it keeps its place."""
        _, entry = self._half(side).entry(order_id)
        entry.hidden = max(0, qty - entry.qty)
        entry.qty = qty - entry.hidden

    def take(
        self, order_id: str, side: Side, limit: Price, qty: int, own: Callable[[str], bool]
    ) -> tuple[list[Match], bool]:
        """Match an incoming order against the other side, best price first, then first come.

        ``limit`` is the worst price it may trade at; ``own`` says whether a resting order is of the same
        account, where matching stops.

        Returns:
            The trades, at the resting side's prices, and whether an order of the same account stopped it.
        """
        half = self._half(side.opposite)
        reach = half.key(limit)
        matches: list[Match] = []
        for key in list(half.keys):
            if key > reach or not qty:
                break
            level = half.levels[key]
            while qty and (entry := level.first()) is not None:
                if entry.order_id and own(entry.order_id):
                    return matches, True
                traded = min(qty, entry.qty)
                half.consume(key, entry, traded, mark=True)
                qty -= traded
                matches.append(_match(side, order_id, entry.order_id, level.price, traded))
            half.prune(key)
        return matches, False

    def interest(self, side: Side) -> list[Quote]:
        """(price, units) of everything that would take part in an auction, best first."""
        half = self._half(side)
        rows = ((level.price, level.at_auction()) for level in map(half.levels.__getitem__, half.keys))
        return [(price, qty) for price, qty in rows if qty]

    def take_best(self, side: Side, qty: int) -> list[tuple[str, int]]:
        """Take ``qty`` units off a side by price, then time: (order id or empty, units) of each part."""
        half = self._half(side)
        parts: list[tuple[str, int]] = []
        for key in list(half.keys):
            level = half.levels[key]
            while qty and (entry := level.first()) is not None:
                traded = min(qty, entry.qty)
                order_id = entry.order_id
                half.consume(key, entry, traded, mark=False)
                qty -= traded
                parts.append((order_id, traded))
            half.prune(key)
        return parts

    def hit(self, order_id: str, side: Side, qty: int) -> None:
        """Let another participant trade ``qty`` units of one resting order, out of its turn.

        Raises:
            KeyError: The order does not rest here.
        """
        half = self._half(side)
        key = half.where[order_id]
        while qty:
            entry = half.entry(order_id)[1]
            traded = min(qty, entry.qty)
            half.consume(key, entry, traded, mark=False)
            qty -= traded
        half.prune(key)

    def rests(self, order_id: str) -> bool:
        """Whether an order stands in this book."""
        return order_id in self._bids.where or order_id in self._asks.where

    def set_external(self, bids: Sequence[Quote], asks: Sequence[Quote]) -> None:
        """Reconcile anonymous quantity with a depth snapshot. `cross` then trades what crosses."""
        self._bids.show(bids, self._full_depth)
        self._asks.show(asks, self._full_depth)

    def forget_external(self) -> None:
        """Drop all anonymous quantity: what the rest of the market shows is no longer known."""
        self._bids.forget()
        self._asks.forget()

    def cross(self, same_account: Callable[[str, str], bool]) -> list[Match]:
        """Trade users' resting orders that the other side now reaches, in priority order.

        Against anonymous quantity the price is the resting order's own (the newcomer hit it); between two
        users it is the older order's.
        """
        return [*self._cross(Side.BUY, same_account), *self._cross(Side.SELL, same_account)]

    def _cross(self, side: Side, same_account: Callable[[str, str], bool]) -> Iterator[Match]:
        near, far = self._half(side), self._half(side.opposite)
        # One shown quantity at a time: a disclosed-quantity order goes to the tail after each.
        while (pair := _next_pair(near, far, same_account)) is not None:
            entry, near_key, met, far_key = pair
            price = near.levels[near_key].price
            if met.order_id and met.seq < entry.seq:
                price = far.levels[far_key].price
            qty = min(entry.qty, met.qty)
            far.consume(far_key, met, qty, mark=True)
            near.consume(near_key, entry, qty, mark=False)
            far.prune(far_key)
            near.prune(near_key)
            yield _match(side, entry.order_id, met.order_id, price, qty)

    def external_trade(self, price: Price, qty: int) -> list[Match]:
        """A print of the rest of the market fills resting orders that had priority over it.

        Orders at a strictly better price fill first (whatever stood ahead of them there must be gone); at
        the print's price the anonymous quantity ahead is used up first. Never more than ``qty`` in all.
        """
        return [*self._print(self._bids, price, qty), *self._print(self._asks, price, qty)]

    def _print(self, half: _Half, price: Price, qty: int) -> Iterator[Match]:
        at = half.key(price)
        for key in list(half.keys):
            if key > at or not qty:
                return
            level = half.levels[key]
            if key < at:
                level.entries = [e for e in level.entries if e.order_id]
            elif not level.seen:
                # Nobody knows what stands ahead of us here: only a trade through the level proves a fill.
                return
            while qty and level.entries:
                entry = level.entries[0]
                traded = min(qty, entry.qty)
                half.consume(key, entry, traded, mark=False)
                qty -= traded
                if entry.order_id:
                    yield _match(half.side, entry.order_id, "", level.price, traded)
            half.prune(key)


def _next_pair(
    near: _Half, far: _Half, same_account: Callable[[str, str], bool]
) -> tuple[_Entry, int, _Entry, int] | None:
    """First resting user order of ``near`` that ``far`` reaches, and whom it meets, each with its key."""
    if not near.where:
        return None
    for key in near.keys:
        level = near.levels[key]
        reach = far.key(level.price)
        if not far.keys or far.keys[0] > reach:
            return None
        for entry in level.entries:
            if not entry.order_id:
                continue
            for far_key in far.keys:
                if far_key > reach:
                    break
                met = far.levels[far_key].first()
                if met is None:
                    continue
                if met.order_id and same_account(entry.order_id, met.order_id):
                    break
                return entry, key, met, far_key
    return None


def _match(side: Side, order_id: str, other_id: str, price: Price, qty: int) -> Match:
    if side is Side.BUY:
        return Match(order_id, other_id, price, qty)
    return Match(other_id, order_id, price, qty)
