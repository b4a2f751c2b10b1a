"""Last quote, depth and staleness per instrument, as columns by slot.

How a row is merged (`upstox.md` 3.6; the wire is partial and proto3 drops zeros):

* A group that the row does not carry stays as it was; a group that it carries replaces the old one, empty
  depth levels included. Of the scalars of the full mode only values that are not zero count.
* A **snapshot** replaces everything, so there zeros count and a missing book means an empty book.
* An **out-of-order** row (the trade time steps back, or the day's volume does at the same trade time) is
  counted. It is older than what is known, so nothing of it is merged; what it tells about a past trade goes
  to the bars as a late trade. A volume that steps back while the trade time goes on is the exchange's
  correction: it is taken, and counts as no volume.
* A row whose trade time lies more than `FUTURE_MS` ahead of both clocks is counted and not merged: one
  such time would make every true trade after it look out of order.
* A **trade** happened only if the trade time or the day's volume moved (an index has no volume and a coarse
  time: there a new level is enough). Volume is the step of the day's volume, never the sum of last
  quantities, and never negative; it may come in a second frame after the price.
* After the end of continuous trading the price on the wire steps to the official close. It goes to
  ``official_close``; ``ltp`` keeps the last price of the session, unless nothing was known before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import (
    DEPTH_LEVELS,
    F64,
    I32,
    I64,
    Auction,
    Bar,
    FrameKind,
    Greek,
    Has,
    Px,
    Qty,
    TickBatch,
)
from tradetui.market.sessions import NS_PER_MS, Continuous, SessionTable

FUTURE_MS = 120_000
"""How far a trade time may lie ahead of the engine's and the sender's clock, ms."""

_IST_MS = 19_800_000
_DAY_MS = 86_400_000
_SCALAR_ROWS = 20
"""Frames of up to so many rows are merged row by row (7 us each): vector operations take 140 us to start."""

_LTPC, _DEPTH, _GREEKS = int(Has.LTPC), int(Has.DEPTH), int(Has.GREEKS)
_DAY, _MINUTE, _FULL = int(Has.DAY), int(Has.MINUTE), int(Has.FULL)
_AUCTION, _INDEX = int(Has.AUCTION), int(Has.INDEX)
_PLAIN = _LTPC | _FULL
_LTP = int(Px.LTP)
_LTT, _LTQ, _VTT = int(Qty.LTT_MS), int(Qty.LTQ), int(Qty.VTT)
_TS = int(Bar.TS_MS)
_DAY_SCALARS = slice(int(Px.ATP), len(Px))


class Trade(NamedTuple):
    """What one row told about trading.

    Attributes:
        slot: Instrument.
        ltt_ms: Time of the trade at the exchange, epoch ms.
        price: Rupees.
        volume: Step of the day's volume, units; 0 when it is not known how much of it belongs here.
        vtt: The day's volume after it, units.
        first: First sight of this instrument, or a snapshot of it on a new day: ``volume`` is 0, ``vtt`` the
            baseline.
        late: Older than a trade already seen.
    """

    slot: int
    ltt_ms: int
    price: float
    volume: int
    vtt: int
    first: bool
    late: bool


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades of one frame as columns, fields as in `Trade`."""

    slot: I32
    ltt_ms: I64
    price: F64
    volume: I64
    vtt: I64
    first: NDArray[np.bool_]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.slot)

    def where(self, which: NDArray[np.bool_]) -> TradeColumns:
        """Some of the trades."""
        return TradeColumns(
            self.slot[which], self.ltt_ms[which], self.price[which], self.volume[which], self.vtt[which],
            self.first[which], self.late[which],
        )  # fmt: skip

    def rows(self, which: NDArray[np.bool_]) -> Iterable[Trade]:
        """Some of the trades as objects."""
        return map(
            Trade,
            self.slot[which].tolist(),
            self.ltt_ms[which].tolist(),
            self.price[which].tolist(),
            self.volume[which].tolist(),
            self.vtt[which].tolist(),
            self.first[which].tolist(),
            self.late[which].tolist(),
        )


Trades = list[Trade] | TradeColumns
"""Objects for small frames, columns for large ones."""


class Quotes:
    """Market state by slot. Read the columns freely; only `apply` writes them.

    Args:
        continuous: When a slot trades continuously; see `SessionTable`.
        capacity: Slots to start with; doubles when a frame names a higher one.

    Attributes:
        px: float64 [capacity, 7], columns `Px`.
        qty: int64 [capacity, 3], columns `Qty`. The trade time includes trades after the session.
        depth: float64 [capacity, 4, 5], as in `TickBatch`.
        greeks, day, minute, auction: float64, columns as in `TickBatch`.
        official_close: float64, price after continuous trading ended today; 0 before.
        since_ms: int64, from when on the trades of a slot are known: the last trade before the first row, or
            the time of that row if there was none; epoch ms, 0 if never seen.
        last_seen_ns: int64, engine time of the last row of any kind; 0 if never.
        last_trade_ns: int64, engine time of the last row that told of a new trade; 0 if never.
        version: int64, counts merged rows: a reader repaints a slot when it differs.
        out_of_order, from_future: Rows not merged, and why.
        clock_ms: The exchange's clock as the feed shows it: the newest believable trade time of all slots.
        sessions: Today's continuous trading by slot, shared with the bar builder.
    """

    def __init__(self, continuous: Continuous, capacity: int = 64) -> None:
        self.sessions = SessionTable(continuous, capacity)
        self.capacity = capacity
        self.out_of_order = 0
        self.from_future = 0
        self.clock_ms = 0
        self.px: F64 = np.zeros((capacity, len(Px)))
        self.qty: I64 = np.zeros((capacity, len(Qty)), np.int64)
        self.depth: F64 = np.zeros((capacity, 4, DEPTH_LEVELS))
        self.greeks: F64 = np.zeros((capacity, len(Greek)))
        self.day: F64 = np.zeros((capacity, len(Bar)))
        self.minute: F64 = np.zeros((capacity, len(Bar)))
        self.auction: F64 = np.zeros((capacity, len(Auction)))
        self.official_close: F64 = np.zeros(capacity)
        self.since_ms: I64 = np.zeros(capacity, np.int64)
        self.last_seen_ns: I64 = np.zeros(capacity, np.int64)
        self.last_trade_ns: I64 = np.zeros(capacity, np.int64)
        self.version: I64 = np.zeros(capacity, np.int64)

    # Columns by name; views, so they are always current. Do not keep them across `apply`: it may grow.

    @property
    def ltp(self) -> F64:
        """Last traded price of continuous trading, rupees; 0 if none is known."""
        return self.px[:, Px.LTP]

    @property
    def close(self) -> F64:
        """Close of the previous session, rupees."""
        return self.px[:, Px.CLOSE]

    @property
    def atp(self) -> F64:
        """Average traded price of the day, rupees."""
        return self.px[:, Px.ATP]

    @property
    def oi(self) -> F64:
        """Open interest, units."""
        return self.px[:, Px.OI]

    @property
    def iv(self) -> F64:
        """Implied volatility as a fraction."""
        return self.px[:, Px.IV]

    @property
    def tbq(self) -> F64:
        """Total quantity bid, units."""
        return self.px[:, Px.TBQ]

    @property
    def tsq(self) -> F64:
        """Total quantity offered, units."""
        return self.px[:, Px.TSQ]

    @property
    def ltt_ms(self) -> I64:
        """Time of the last trade, epoch ms."""
        return self.qty[:, Qty.LTT_MS]

    @property
    def ltq(self) -> I64:
        """Quantity of the last trade, units."""
        return self.qty[:, Qty.LTQ]

    @property
    def vtt(self) -> I64:
        """Volume traded today, units."""
        return self.qty[:, Qty.VTT]

    def age_ns(self, t_ns: int) -> I64:
        """How long ago each slot was last heard of, in engine time, ns; -1 for never."""
        return np.where(self.last_seen_ns > 0, t_ns - self.last_seen_ns, -1)

    def apply(self, batch: TickBatch, t_ns: int) -> Trades:
        """Merge one frame at engine time ``t_ns``; return the trades it told of."""
        if not len(batch):
            return []
        highest = int(batch.slot.max())
        if highest >= self.capacity:
            self._grow(highest + 1)
        t_ms = t_ns // NS_PER_MS
        if self.sessions.roll(t_ms):
            self.official_close[:] = 0.0
        latest_ms = max(t_ms, batch.server_ms) + FUTURE_MS
        if len(batch) > _SCALAR_ROWS:
            self.sessions.fill(batch.slot)
            plain = self._apply_plain(batch, t_ns, latest_ms)
            return plain if plain is not None else self._apply_columns(batch, t_ns, latest_ms)
        trades: list[Trade] = []
        for row in range(len(batch)):
            trade = self._apply_row(batch, row, t_ns, latest_ms)
            if trade is not None:
                trades.append(trade)
        return trades

    def _apply_row(self, batch: TickBatch, row: int, t_ns: int, latest_ms: int) -> Trade | None:
        slot = batch.slot.item(row)
        mask = batch.mask.item(row)
        snapshot = batch.kind is FrameKind.SNAPSHOT
        self.last_seen_ns[slot] = t_ns
        new_ltt, new_ltq, new_vtt = batch.qty[row].tolist()
        price = batch.px.item(row, _LTP) if mask & _LTPC else 0.0
        if not mask & _LTPC:
            new_ltt = 0
        if not mask & _FULL:
            new_vtt = 0
        old_ltt, old_ltq, old_vtt = self.qty[slot].tolist()
        if new_ltt > latest_ms:
            self.from_future += 1
            return None
        self.clock_ms = max(self.clock_ms, new_ltt)
        next_day = bool(old_ltt) and (new_ltt + _IST_MS) // _DAY_MS > (old_ltt + _IST_MS) // _DAY_MS
        unseen = not self.since_ms[slot]
        first = unseen or (next_day and snapshot)
        if unseen:
            self.since_ms[slot] = new_ltt or t_ns // NS_PER_MS
        back = new_ltt < old_ltt or (new_ltt <= old_ltt and new_vtt < old_vtt and new_vtt > 0)
        if back and new_ltt and not (first or snapshot):
            self.out_of_order += 1
            volume = max(new_vtt - old_vtt, 0) if old_vtt else 0
            if volume:
                self.qty[slot, Qty.VTT] = new_vtt
            late = Trade(slot, new_ltt, price, volume, old_vtt + volume, first=False, late=True)
            return late if price else None
        stepped = new_ltt > old_ltt or new_vtt > old_vtt
        old_price = self.px.item(slot, _LTP)
        moved = stepped or bool(mask & _INDEX and price and price != old_price)
        end_ms = self.sessions.bounds(slot)[1]
        ltt = new_ltt or old_ltt
        after = (
            end_ms > 0
            and price > 0
            and (ltt >= end_ms or (t_ns >= end_ms * NS_PER_MS and not stepped and price != old_price))
        )
        self._merge_row(batch, row, slot, mask, snapshot)
        if after:
            self.official_close[slot] = price
            if old_price:
                self.px[slot, _LTP] = old_price
            moved = stepped
        vtt = new_vtt if new_vtt or next_day or (snapshot and mask & _FULL) else old_vtt
        self.qty[slot] = (ltt, new_ltq if mask & _LTPC and new_ltq else old_ltq, vtt)
        self.version[slot] += 1
        if not (moved or (first and new_ltt)):
            return None
        self.last_trade_ns[slot] = t_ns
        volume = _step(first, next_day, old_ltt, old_vtt, vtt)
        return Trade(slot, ltt, price or old_price, volume, vtt, first, late=False)

    def _merge_row(self, batch: TickBatch, row: int, slot: int, mask: int, snapshot: bool) -> None:
        new = batch.px[row].tolist()
        merged = [value or old for value, old in zip(new, self.px[slot].tolist(), strict=True)]
        if snapshot and mask & _FULL:
            merged[_DAY_SCALARS] = new[_DAY_SCALARS]
        self.px[slot] = merged
        if mask & _DEPTH:
            self.depth[slot] = batch.depth[row]
        elif snapshot:  # also of prices alone: nobody tells of the book any more
            self.depth[slot] = 0.0
        if mask & _GREEKS:
            self.greeks[slot] = batch.greeks[row]
        if mask & _DAY:
            self.day[slot] = batch.day[row]
        if mask & _MINUTE and batch.minute.item(row, _TS) >= self.minute.item(slot, _TS):
            self.minute[slot] = batch.minute[row]
        if mask & _AUCTION:
            self.auction[slot] = batch.auction[row]

    def _apply_plain(self, batch: TickBatch, t_ns: int, latest_ms: int) -> TradeColumns | None:
        """`_apply_columns` for the frames of an ordinary minute, with a third of its steps.

        Every row is a live one of a known instrument in full mode, within today's continuous trading, and
        neither its time nor its volume steps back. ``None``, and nothing done, when any of that does not hold.
        """
        slot, mask = batch.slot, batch.mask
        carried = int(np.bitwise_and.reduce(mask))
        if batch.kind is FrameKind.SNAPSHOT or carried & _PLAIN != _PLAIN:
            return None
        old, new = self.qty[slot], batch.qty
        step = new - old
        ltt = new[:, _LTT]
        newest, oldest = int(ltt.max()), int(old[:, _LTT].min())
        end_ms = int(self.sessions.end_ms[slot].min())
        if (
            int(step[:, _LTT].min()) < 0
            or int(step[:, _VTT].min()) < 0
            or oldest <= 0
            or int(old[:, _VTT].min()) <= 0
            or (newest + _IST_MS) // _DAY_MS != (oldest + _IST_MS) // _DAY_MS
            or newest > latest_ms
            or max(newest, t_ns // NS_PER_MS) >= end_ms
            or not int(self.since_ms[slot].min())
        ):
            return None
        self.last_seen_ns[slot] = t_ns
        self.clock_ms = max(self.clock_ms, newest)
        px = batch.px
        self.px[slot] = np.where(px != 0.0, px, self.px[slot])
        ltq = new[:, _LTQ]
        old[:, _LTT], old[:, _VTT], old[:, _LTQ] = ltt, new[:, _VTT], np.where(ltq != 0, ltq, old[:, _LTQ])
        self.qty[slot] = old
        self.version[slot] += 1
        told = int(np.bitwise_or.reduce(mask))
        for bit, mine, theirs in self._groups(batch):
            if carried & bit:
                mine[slot] = theirs
            elif told & bit:
                rows = np.flatnonzero(mask & bit)
                mine[slot[rows]] = theirs[rows]
        if told & _MINUTE:
            newer = batch.minute[:, _TS] >= self.minute[slot, _TS]
            rows = np.flatnonzero(newer if carried & _MINUTE else newer & ((mask & _MINUTE) != 0))
            self.minute[slot[rows]] = batch.minute[rows]
        volume = step[:, _VTT]
        traded = (step[:, _LTT] > 0) | (volume > 0)
        none = np.zeros(len(slot), np.bool_)
        trades = TradeColumns(slot, ltt, px[:, _LTP], volume, new[:, _VTT], none, none)
        if not traded.all():
            trades = trades.where(traded)
        self.last_trade_ns[trades.slot] = t_ns
        return trades

    def _groups(self, batch: TickBatch) -> tuple[tuple[int, F64, F64], ...]:
        """Groups that replace the old one: their bit, ours, and the batch's."""
        return (
            (_DEPTH, self.depth, batch.depth),
            (_GREEKS, self.greeks, batch.greeks),
            (_DAY, self.day, batch.day),
            (_AUCTION, self.auction, batch.auction),
        )

    def _apply_columns(self, batch: TickBatch, t_ns: int, latest_ms: int) -> TradeColumns:
        """The same as `_apply_row` for every row of a frame at once."""
        slot, mask = batch.slot, batch.mask
        snapshot = batch.kind is FrameKind.SNAPSHOT
        self.last_seen_ns[slot] = t_ns
        ltpc, full = (mask & _LTPC) != 0, (mask & _FULL) != 0
        new_ltt = np.where(ltpc, batch.qty[:, Qty.LTT_MS], 0)
        new_vtt = np.where(full, batch.qty[:, Qty.VTT], 0)
        price = np.where(ltpc, batch.px[:, _LTP], 0.0)
        old_ltt, old_ltq, old_vtt = self.qty[slot].T
        old_price = self.px[slot, _LTP]
        future = new_ltt > latest_ms
        self.from_future += int(np.count_nonzero(future))
        self.clock_ms = max(self.clock_ms, int(np.max(new_ltt, where=~future, initial=0)))
        next_day = (old_ltt > 0) & ((new_ltt + _IST_MS) // _DAY_MS > (old_ltt + _IST_MS) // _DAY_MS)
        unseen = self.since_ms[slot] == 0
        first = unseen | (next_day & snapshot)
        joins = np.where(new_ltt > 0, new_ltt, t_ns // NS_PER_MS)
        self.since_ms[slot[unseen & ~future]] = joins[unseen & ~future]
        back = (new_ltt < old_ltt) | ((new_ltt <= old_ltt) & (new_vtt > 0) & (new_vtt < old_vtt))
        stale = back & (new_ltt > 0) & ~first & ~future & (not snapshot)
        self.out_of_order += int(np.count_nonzero(stale))
        fresh = ~(stale | future)
        ltt = np.where(new_ltt > 0, new_ltt, old_ltt)
        stepped = (new_ltt > old_ltt) | (new_vtt > old_vtt)
        end_ms = self.sessions.end_ms[slot]
        closed = (end_ms > 0) & (price > 0)
        after = closed & ((ltt >= end_ms) | ((t_ns >= end_ms * NS_PER_MS) & ~stepped & (price != old_price)))
        level = ((mask & _INDEX) != 0) & (price > 0) & (price != old_price) & ~after
        keep_vtt = (new_vtt == 0) & ~next_day & ~(full & snapshot)
        vtt = np.where(keep_vtt, old_vtt, new_vtt)
        self._merge_columns(batch, fresh, after & (old_price > 0), snapshot)
        self.official_close[slot[after & fresh]] = price[after & fresh]
        new_ltq = batch.qty[:, Qty.LTQ]
        ltq = np.where(ltpc & (new_ltq != 0), new_ltq, old_ltq)
        self.qty[slot[fresh]] = np.column_stack([ltt, ltq, vtt])[fresh]
        newest_vtt = np.where(old_vtt > 0, np.maximum(new_vtt, old_vtt), 0)
        self.qty[slot[stale], Qty.VTT] = newest_vtt[stale]
        self.version[slot[fresh]] += 1
        traded = fresh & (stepped | level | (first & (new_ltt > 0)))
        self.last_trade_ns[slot[traded]] = t_ns
        told = traded | (stale & (new_ltt > 0) & (price > 0))
        known = (old_vtt > 0) | (old_ltt == 0) | next_day
        before = np.where(next_day, 0, old_vtt)
        volume = np.where(first | ~known, 0, np.maximum(np.where(stale, new_vtt, vtt) - before, 0))
        return TradeColumns(
            slot[told],
            ltt[told],
            np.where(price > 0, price, old_price)[told],
            volume[told],
            np.where(stale, newest_vtt, vtt)[told],
            first[told],
            stale[told],
        )

    def _merge_columns(
        self, batch: TickBatch, fresh: NDArray[np.bool_], keep_price: NDArray[np.bool_], snapshot: bool
    ) -> None:
        slot, mask = batch.slot, batch.mask
        full = (mask & _FULL) != 0
        take = batch.px != 0.0
        if snapshot:
            take[full, _DAY_SCALARS] = True
        take[keep_price, _LTP] = False
        self.px[slot[fresh]] = np.where(take, batch.px, self.px[slot])[fresh]
        groups = ((_GREEKS, self.greeks, batch.greeks), (_DAY, self.day, batch.day))
        for bit, mine, theirs in (*groups, (_AUCTION, self.auction, batch.auction)):
            rows = np.flatnonzero(((mask & bit) != 0) & fresh)
            mine[slot[rows]] = theirs[rows]
        book = (mask & _DEPTH) != 0
        if snapshot:
            book = np.ones_like(
                book
            )  # rows without a book are zero: an empty one, or one nobody tells of any more
        rows = np.flatnonzero(book & fresh)
        self.depth[slot[rows]] = batch.depth[rows]
        newer = batch.minute[:, _TS] >= self.minute[slot, _TS]
        rows = np.flatnonzero(((mask & _MINUTE) != 0) & fresh & newer)
        self.minute[slot[rows]] = batch.minute[rows]

    def _grow(self, needed: int) -> None:
        capacity = self.capacity
        while capacity < needed:
            capacity *= 2
        for name in ("px", "qty", "depth", "greeks", "day", "minute", "auction"):
            setattr(self, name, _longer(getattr(self, name), capacity))
        for name in ("official_close", "since_ms", "last_seen_ns", "last_trade_ns", "version"):
            setattr(self, name, _longer(getattr(self, name), capacity))
        self.sessions.grow(capacity)
        self.capacity = capacity


def _step(first: bool, next_day: bool, old_ltt: int, old_vtt: int, vtt: int) -> int:
    """How much of the day's volume is new with this row.

    None of it at first sight, nor when the first volume comes long after the first price (the subscription
    went from prices to full); all of it on a new day of a stream that never broke.
    """
    if next_day:
        return 0 if first else vtt
    known = old_vtt > 0 or old_ltt == 0
    return max(vtt - old_vtt, 0) if known and not first else 0


def _longer(column: NDArray[Any], rows: int) -> NDArray[Any]:
    longer = np.zeros((rows, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer
