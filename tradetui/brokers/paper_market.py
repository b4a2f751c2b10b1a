"""What the paper broker remembers of the live market: latest prices and depth by slot.

Kept as columns. Frames of many instruments are merged at once, but for instruments with paper orders; rows of those,
and of small frames, are merged one by one and tell what they prove.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tradetui.domain.calendar.ist import DAY_NS, day_start_ns, ist_date
from tradetui.domain.market_data import DEPTH_LEVELS, F64, I64, FrameKind, Has, Px, Qty, TickBatch
from tradetui.domain.money import Price, to_price
from tradetui.exchange.book import Quote

_INDEX, _LTPC, _FULL, _DEPTH = int(Has.INDEX), int(Has.LTPC), int(Has.FULL), int(Has.DEPTH)
_LTP = int(Px.LTP)
_LTT, _LTQ, _VTT = int(Qty.LTT_MS), int(Qty.LTQ), int(Qty.VTT)
_ROWS = 8
"""Frames of up to so many rows are merged one by one: columns take as long for one row as for a hundred."""
_NS_PER_MS = 1_000_000
_MOST_RUPEES = 1e9
_MOST_UNITS = 1e12
_FIRST_CAPACITY = 64


@dataclass(frozen=True, slots=True)
class Print:
    """A trade of the rest of the market, as far as the feed shows it.

    Attributes:
        price: Its price; when one frame covers several trades, the last one's.
        qty: Units traded since the frame before; 0 when that is not known.
    """

    price: Price
    qty: int


class LatestMarket:
    """Latest known market by slot."""

    def __init__(self) -> None:
        self._ltp: F64 = np.zeros(0)
        self._ltt_ms: I64 = np.zeros(0, np.int64)
        self._vtt: I64 = np.zeros(0, np.int64)
        self._depth_ns: I64 = np.zeros(0, np.int64)
        self._depth: F64 = np.zeros((0, 4, DEPTH_LEVELS))
        self._midnight_ns = 0

    def last(self, slot: int) -> Price | None:
        """Last traded price; ``None`` before the first."""
        if slot >= len(self._ltp):
            return None
        return _price(self._ltp.item(slot))

    def depth_ns(self, slot: int) -> int:
        """Engine time of the latest depth, UTC ns; 0 when there is none to trust."""
        return self._depth_ns.item(slot) if slot < len(self._depth_ns) else 0

    def depth(self, slot: int) -> tuple[list[Quote], list[Quote]]:
        """Bids and asks, best first, without empty or impossible levels."""
        if slot >= len(self._depth):
            return [], []
        bid_price, bid_qty, ask_price, ask_qty = self._depth[slot].tolist()
        return _quotes(bid_price, bid_qty), _quotes(ask_price, ask_qty)

    def take(self, batch: TickBatch, t_ns: int, hot: Collection[int]) -> list[tuple[int, Print | None, bool]]:
        """Merge a frame, group by group as each row's mask allows.

        Returns:
            For rows of ``hot`` slots: slot, the print that the row proves (if any), whether depth changed.
        """
        if not len(batch):
            return []
        top = int(batch.slot.max())
        if top >= len(self._ltp):
            self._grow(top + 1)
        if not self._midnight_ns <= t_ns < self._midnight_ns + DAY_NS:
            self._midnight_ns = day_start_ns(ist_date(t_ns))
        midnight_ms = self._midnight_ns // _NS_PER_MS
        if len(batch) <= _ROWS:
            return self._take_rows(batch, range(len(batch)), t_ns, midnight_ms, hot)
        alone = [row for row, slot in enumerate(batch.slot.tolist()) if slot in hot] if hot else []
        self._take_columns(batch, alone, t_ns, midnight_ms)
        return self._take_rows(batch, alone, t_ns, midnight_ms, hot)

    def _take_columns(self, batch: TickBatch, alone: list[int], t_ns: int, midnight_ms: int) -> None:
        """Merge all rows but those of ``alone``, as `_take_rows` does it."""
        snapshot = batch.kind is FrameKind.SNAPSHOT
        wanted = (batch.mask & _INDEX) == 0
        wanted[alone] = False
        slot, mask, qty = batch.slot, batch.mask, batch.qty
        known_ms, known_vtt, old_ltp = self._ltt_ms[slot], self._vtt[slot], self._ltp[slot]
        priced = (mask & _LTPC) != 0
        ltp = np.where(priced, batch.px[:, _LTP], old_ltp)
        ltt_ms = np.where(priced, qty[:, _LTT], known_ms)
        vtt = qty[:, _VTT]
        vtt = np.where(((mask & _FULL) != 0) & (vtt > 0) & (vtt < _MOST_UNITS), vtt, 0)
        moved = ltt_ms > known_ms
        known_vtt[moved & (known_ms < midnight_ms) & (ltt_ms >= midnight_ms)] = 0
        last = qty[:, _LTQ]
        traded = np.where(moved & (last > 0) & (last < _MOST_UNITS), last, 0)
        trailing = np.where(known_vtt > 0, known_vtt + traded, 0)
        both = (vtt > 0) & (known_vtt > 0)
        volume = np.where(both, np.maximum(vtt, known_vtt), np.where(vtt > 0, vtt, trailing))
        good = wanted & (ltt_ms >= known_ms) & (ltp > 0) & (ltp < _MOST_RUPEES)
        to = slot[good]
        self._ltp[to], self._ltt_ms[to], self._vtt[to] = ltp[good], ltt_ms[good], volume[good]
        deep = wanted & ((mask & _DEPTH) != 0)
        if snapshot:
            # A snapshot may be weeks old: only an instrument that traded today counts as quoted now.
            self._depth_ns[slot[wanted]] = 0
            self._depth_ns[slot[deep & (self._ltt_ms[slot] >= midnight_ms)]] = t_ns
        else:
            self._depth_ns[slot[deep]] = t_ns
        self._depth[slot[deep]] = batch.depth[deep]

    def _take_rows(
        self, batch: TickBatch, rows: Iterable[int], t_ns: int, midnight_ms: int, hot: Container[int]
    ) -> list[tuple[int, Print | None, bool]]:
        """Merge some rows one by one; see `take`."""
        snapshot = batch.kind is FrameKind.SNAPSHOT
        told: list[tuple[int, Print | None, bool]] = []
        for row in rows:
            slot, mask, ltp = batch.slot.item(row), batch.mask.item(row), batch.px.item(row, _LTP)
            if mask & _INDEX:
                continue
            ltt_ms, ltq, vtt = batch.qty[row].tolist()
            known_ms = self._ltt_ms.item(slot)
            qty = self._merge(slot, mask, ltp, ltt_ms, ltq, vtt, midnight_ms)
            if mask & _DEPTH:
                self._depth[slot] = batch.depth[row]
                self._depth_ns[slot] = 0 if snapshot and self._ltt_ms[slot] < midnight_ms else t_ns
            elif snapshot:
                self._depth_ns[slot] = 0
            if slot in hot:
                seen = None
                # The first thing ever heard may be weeks old as well: then it triggers nothing.
                if qty >= 0 and (known_ms or ltt_ms >= midnight_ms):
                    seen = Print(to_price(self._ltp.item(slot)), 0 if snapshot or not known_ms else qty)
                told.append((slot, seen, bool(mask & _DEPTH) or snapshot))
        return told

    def _merge(
        self, slot: int, mask: int, ltp: float, ltt_ms: int, ltq: int, vtt: int, midnight_ms: int
    ) -> int:
        """Take in price, trade time and volume of one row; return the units it shows as traded, -1 for no trade.

        A trade happened only if trade time or volume moved. Volume is the difference of the day's volume,
        never the sum of last quantities (frames are conflated); where a row has no volume its last quantity
        counts, and is taken off the next difference (volume may trail by a frame). A row older than what is
        known proves nothing.
        """
        known_ms = self._ltt_ms.item(slot)
        if not mask & _LTPC:
            ltt_ms, ltp = known_ms, self._ltp.item(slot)
        if ltt_ms < known_ms or not 0 < ltp < _MOST_RUPEES:
            return -1
        if not mask & _FULL or not 0 < vtt < _MOST_UNITS:
            vtt = 0
        moved = ltt_ms > known_ms
        # The day's volume starts again with the day.
        known_vtt = 0 if moved and known_ms < midnight_ms <= ltt_ms else self._vtt.item(slot)
        self._ltp[slot] = ltp
        self._ltt_ms[slot] = ltt_ms
        if vtt and known_vtt:
            self._vtt[slot] = max(vtt, known_vtt)
            return max(0, vtt - known_vtt) if moved or vtt > known_vtt else -1
        qty = ltq if moved and 0 < ltq < _MOST_UNITS else 0
        self._vtt[slot] = vtt or (known_vtt + qty if known_vtt else 0)
        return qty if moved else -1

    def _grow(self, needed: int) -> None:
        size = max(needed, 2 * len(self._ltp), _FIRST_CAPACITY)
        more = size - len(self._ltp)
        self._ltp = np.concatenate([self._ltp, np.zeros(more)])
        for name in ("_ltt_ms", "_vtt", "_depth_ns"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, np.int64)]))
        self._depth = np.concatenate([self._depth, np.zeros((more, 4, DEPTH_LEVELS))])


def _price(rupees: float) -> Price | None:
    # The comparison is false for NaN too.
    return to_price(rupees) if 0 < rupees < _MOST_RUPEES else None


def _quotes(prices: Sequence[float], qtys: Sequence[float]) -> list[Quote]:
    return [
        (to_price(price), int(qty))
        for price, qty in zip(prices, qtys, strict=True)
        if 0 < price < _MOST_RUPEES and 0 < qty < _MOST_UNITS
    ]
