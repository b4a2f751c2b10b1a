"""What the paper broker remembers of the live market: latest prices and depth by slot.

Kept as plain lists and one array, written once a row, so that a tick of an instrument without paper orders
costs a microsecond or so and builds nothing.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from tradetui.domain.calendar.ist import DAY_NS, day_start_ns, ist_date
from tradetui.domain.market_data import DEPTH_LEVELS, F64, FrameKind, Has, Px, TickBatch
from tradetui.domain.money import Price, to_price
from tradetui.exchange.book import Quote

_INDEX, _LTPC, _FULL, _DEPTH = int(Has.INDEX), int(Has.LTPC), int(Has.FULL), int(Has.DEPTH)
_LTP = int(Px.LTP)
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
        self._ltp: list[float] = []
        self._ltt_ms: list[int] = []
        self._vtt: list[int] = []
        self._depth_ns: list[int] = []
        self._depth: F64 = np.zeros((0, 4, DEPTH_LEVELS))
        self._midnight_ns = 0

    def last(self, slot: int) -> Price | None:
        """Last traded price; ``None`` before the first."""
        if slot >= len(self._ltp):
            return None
        return _price(self._ltp[slot])

    def depth_ns(self, slot: int) -> int:
        """Engine time of the latest depth, UTC ns; 0 when there is none to trust."""
        return self._depth_ns[slot] if slot < len(self._depth_ns) else 0

    def depth(self, slot: int) -> tuple[list[Quote], list[Quote]]:
        """Bids and asks, best first, without empty or impossible levels."""
        if slot >= len(self._depth):
            return [], []
        bid_price, bid_qty, ask_price, ask_qty = self._depth[slot].tolist()
        return _quotes(bid_price, bid_qty), _quotes(ask_price, ask_qty)

    def take(self, batch: TickBatch, t_ns: int, hot: Container[int]) -> list[tuple[int, Print | None, bool]]:
        """Merge a frame, group by group as each row's mask allows.

        Returns:
            For rows of ``hot`` slots: slot, the print that the row proves (if any), whether depth changed.
        """
        slots: list[int] = batch.slot.tolist()
        if not slots:
            return []
        top = max(slots)
        if top >= len(self._ltp):
            self._grow(top + 1)
        if not self._midnight_ns <= t_ns < self._midnight_ns + DAY_NS:
            self._midnight_ns = day_start_ns(ist_date(t_ns))
        midnight_ms = self._midnight_ns // _NS_PER_MS
        snapshot = batch.kind is FrameKind.SNAPSHOT
        depth_ns = self._depth_ns
        told: list[tuple[int, Print | None, bool]] = []
        deep: list[int] = []
        columns = zip(slots, batch.mask.tolist(), batch.px[:, _LTP].tolist(), batch.qty.tolist(), strict=True)
        for row, (slot, mask, ltp, (ltt_ms, ltq, vtt)) in enumerate(columns):
            if mask & _INDEX:
                continue
            known_ms = self._ltt_ms[slot]
            qty = self._merge(slot, mask, ltp, ltt_ms, ltq, vtt, midnight_ms)
            if mask & _DEPTH:
                deep.append(row)
                # A snapshot may be weeks old: only an instrument that traded today counts as quoted now.
                depth_ns[slot] = 0 if snapshot and self._ltt_ms[slot] < midnight_ms else t_ns
            elif snapshot:
                depth_ns[slot] = 0
            if slot in hot:
                seen = None
                # The first thing ever heard may be weeks old as well: then it triggers nothing.
                if qty >= 0 and (known_ms or ltt_ms >= midnight_ms):
                    seen = Print(to_price(self._ltp[slot]), 0 if snapshot or not known_ms else qty)
                told.append((slot, seen, bool(mask & _DEPTH) or snapshot))
        if len(deep) == 1:
            self._depth[slots[deep[0]]] = batch.depth[deep[0]]
        elif deep:
            self._depth[batch.slot[deep]] = batch.depth[deep]
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
        known_ms = self._ltt_ms[slot]
        if not mask & _LTPC:
            ltt_ms, ltp = known_ms, self._ltp[slot]
        if ltt_ms < known_ms or not 0 < ltp < _MOST_RUPEES:
            return -1
        if not mask & _FULL or not 0 < vtt < _MOST_UNITS:
            vtt = 0
        moved = ltt_ms > known_ms
        # The day's volume starts again with the day.
        known_vtt = 0 if moved and known_ms < midnight_ms <= ltt_ms else self._vtt[slot]
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
        self._ltp += [0.0] * more
        self._ltt_ms += [0] * more
        self._vtt += [0] * more
        self._depth_ns += [0] * more
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
