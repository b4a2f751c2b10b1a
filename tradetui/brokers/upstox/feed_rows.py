"""The rows of one frame, read a field at a time: for small frames, and for what the columns cannot be sure of.

Every field is read once, into flat lists, and each list becomes an array in one call. Groups that a frame does not
carry (depth, Greeks, bars, auction) cost nothing. What is believed, and what is not, is in `decoder.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from operator import attrgetter
from struct import pack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import DEPTH_LEVELS, F64, Auction, FrameKind, Greek, Has, Px, Qty, TickBatch
from tradetui.pb.market_feed_v3_pb2 import (
    LTPC,
    OHLC,
    Feed,
    FirstLevelWithGreeks,
    IndexFullFeed,
    MarketFullFeed,
)

MAX_PRICE: Final = 1e9
"""Rupees. The dearest share ever listed in India was under 1e6."""
MAX_QTY: Final = 1e15
"""Units; far below 2**53, so float64 columns are exact."""
MAX_MS: Final = 4_102_444_800_000
"""1 January 2100: later stamps are damage."""
MAX_GREEK: Final = 1e9
MAX_IV: Final = 1e4
"""As a fraction: 1,000,000 percent."""

# Cells of a core row, what every tick may have: slot, mask, then `Px` and `Qty` in their order.
_SLOT, _MASK = 0, 1
_PX = slice(2, 2 + len(Px))
_QTY = slice(_PX.stop, _PX.stop + len(Qty))
_CORE: Final = _QTY.stop
_LTPC_CELLS: Final = [2 + Px.LTP, 2 + Px.CLOSE, _QTY.start + Qty.LTT_MS, _QTY.start + Qty.LTQ]

_READY_ROWS: Final = 1024
"""Frames up to this many instruments find their bounds and blank groups ready made."""


class _Bounds:
    """Lowest and highest believable value of each column of a group, repeated for many rows."""

    def __init__(self, high: Sequence[float], signed: Container[int] = ()) -> None:
        self.width = len(high)
        low = [-value if column in signed else 0.0 for column, value in enumerate(high)]
        self._one: F64 = np.array([low, high], np.float64)
        self._ready = np.tile(self._one, _READY_ROWS)

    def upto(self, rows: int) -> F64:
        """Bounds of the cells of ``rows`` rows, row after row: [2, rows * width]."""
        return self._ready[:, : rows * self.width] if rows <= _READY_ROWS else np.tile(self._one, rows)


def _core_high() -> list[float]:
    """Highest believable value of each cell of a core row."""
    high = [MAX_QTY] * _CORE
    for column in (Px.LTP, Px.CLOSE, Px.ATP):
        high[_PX.start + column] = MAX_PRICE
    high[_PX.start + Px.IV] = MAX_IV
    high[_QTY.start + Qty.LTT_MS] = MAX_MS
    return high


_BAR_BOUNDS = _Bounds([*[MAX_PRICE] * 4, MAX_QTY, MAX_MS])
_BOUNDS: Final = (
    _Bounds(_core_high()),
    _Bounds([MAX_PRICE, MAX_QTY] * 2 * DEPTH_LEVELS),
    _Bounds([MAX_GREEK] * len(Greek), signed=range(len(Greek))),
    _BAR_BOUNDS,
    _BAR_BOUNDS,
    # The sign of an imbalance is its side.
    _Bounds([MAX_PRICE, MAX_PRICE, *[MAX_QTY] * 3], signed=(Auction.IMBALANCE, Auction.IMBALANCE_MARKET)),
)
"""Core, depth, Greeks, day, minute, auction: the order of the groups everywhere below."""

_NO_GREEKS: Final = (0.0,) * len(Greek)
_NO_LEVELS: Final = tuple((0.0,) * (4 * missing) for missing in range(DEPTH_LEVELS + 1))

# Arrays of groups that a frame does not carry: cut from one, instead of made each time.
_BLANK: Final = {bounds.width: np.zeros((_READY_ROWS, bounds.width)) for bounds in _BOUNDS}
for _array in _BLANK.values():
    _array.setflags(write=False)

# Plain integers: `Has` members cost a call for every `|`.
_LTPC, _DEPTH, _GREEKS, _DAY = int(Has.LTPC), int(Has.DEPTH), int(Has.GREEKS), int(Has.DAY)
_MINUTE, _FULL, _AUCTION, _INDEX = int(Has.MINUTE), int(Has.FULL), int(Has.AUCTION), int(Has.INDEX)
_BEST: Final = int(Has.BEST)
_BITS: Final = (_DEPTH | _BEST, _GREEKS, _DAY, _MINUTE, _AUCTION)

_greeks_of = attrgetter("delta", "gamma", "theta", "vega", "rho")
_bar_of = attrgetter("open", "high", "low", "close", "vol", "ts")


class _Group:
    """Cells of one optional group as they are read: a flat list, and the row each belongs to."""

    __slots__ = ("cells", "rows")

    def __init__(self) -> None:
        self.cells: list[float] = []
        self.rows: list[int] = []


class Rows:
    """The rows of one frame while they are read.

    Args:
        deep: Slots of which levels two to five and Greeks are read; ``None`` for all.
    """

    __slots__ = ("auction", "bad", "core", "day", "deep", "depth", "greeks", "minute", "n")

    def __init__(self, deep: Container[int] | None = None) -> None:
        self.deep = deep
        self.core: list[float] = []
        self.depth = _Group()
        self.greeks = _Group()
        self.day = _Group()
        self.minute = _Group()
        self.auction = _Group()
        self.n = 0
        self.bad: set[int] = set()

    def feed(self, slot: int, feed: Feed) -> None:
        """Whatever an instrument sent."""
        if feed.HasField("fullFeed"):
            full = feed.fullFeed
            if full.HasField("indexFF"):
                self.index(slot, full.indexFF)
            else:
                self.market(slot, full.marketFF)
        elif feed.HasField("firstLevelWithGreeks"):
            self.first_level(slot, feed.firstLevelWithGreeks)
        else:
            self.last(slot, feed.ltpc)

    def market(self, slot: int, full: MarketFullFeed) -> None:
        """A tradable instrument in full mode: the hot path, so its groups are read in place.

        Reading an absent message costs less than asking whether it is there, and gives zeros.
        """
        n = self.n
        deep = self.deep is None or slot in self.deep
        mask, most = (_FULL, DEPTH_LEVELS) if deep else (_FULL | _BEST, 1)
        cells = self.depth.cells
        levels = 0
        for quote in full.marketLevel.bidAskQuote:
            cells += (quote.bidP, quote.bidQ, quote.askP, quote.askQ)
            levels += 1
            if levels == most:
                break
        if levels or full.HasField("marketLevel"):
            if levels < DEPTH_LEVELS:
                cells += _NO_LEVELS[DEPTH_LEVELS - levels]
            self.depth.rows.append(n)
            mask |= _DEPTH
        else:
            mask = _FULL
        greeks = _greeks_of(full.optionGreeks) if deep else _NO_GREEKS
        if greeks != _NO_GREEKS:
            self.greeks.cells += greeks
            self.greeks.rows.append(n)
            mask |= _GREEKS
        mask |= self._bars(full.marketOHLC.ohlc)
        last = full.ltpc
        ltp = last.ltp
        if ltp:
            mask |= _LTPC
        iep = full.iep or (last.iep.value if last.HasField("iep") else 0.0)
        if iep or full.rp or full.ieq or full.iiqTotal or full.iiqM:
            self._auction(iep, full.rp, full.ieq, full.iiqTotal, full.iiqM)
            mask |= _AUCTION
        self.core += (
            slot, mask, ltp, last.cp, full.atp, full.oi, full.iv, full.tbq, full.tsq,
            last.ltt, last.ltq, full.vtt,
        )  # fmt: skip
        self.n = n + 1

    def index(self, slot: int, full: IndexFullFeed) -> None:
        """An index in full mode: a level and bars."""
        self.last(slot, full.ltpc, _INDEX | self._bars(full.marketOHLC.ohlc))

    def first_level(self, slot: int, feed: FirstLevelWithGreeks) -> None:
        """The short form for option chains; the book it carries is one level deep."""
        mask = _FULL
        if feed.HasField("firstDepth"):
            best = feed.firstDepth
            self.depth.cells += (best.bidP, best.bidQ, best.askP, best.askQ, *_NO_LEVELS[DEPTH_LEVELS - 1])
            self.depth.rows.append(self.n)
            mask |= _DEPTH
        deep = self.deep is None or slot in self.deep
        greeks = _greeks_of(feed.optionGreeks) if deep else _NO_GREEKS
        if greeks != _NO_GREEKS:
            self.greeks.cells += greeks
            self.greeks.rows.append(self.n)
            mask |= _GREEKS
        self.last(slot, feed.ltpc, mask, feed.oi, feed.iv, feed.vtt)

    def last(
        self, slot: int, last: LTPC, mask: int = 0, oi: float = 0.0, iv: float = 0.0, vtt: int = 0
    ) -> None:
        """Last price, and what little may come with it."""
        if last.HasField("iep") and last.iep.value:
            self._auction(last.iep.value, 0.0, 0, 0, 0)
            mask |= _AUCTION
        ltp = last.ltp
        if ltp:
            mask |= _LTPC
        self.core += (slot, mask, ltp, last.cp, 0.0, oi, iv, 0.0, 0.0, last.ltt, last.ltq, vtt)
        self.n += 1

    def _bars(self, bars: Iterable[OHLC]) -> int:
        """Take the first `1d` and the first `I1`; a second of the same name is noise."""
        mask = 0
        for bar in bars:
            name = bar.interval
            if name == "1d" and not mask & _DAY:
                mask |= _DAY
                group = self.day
            elif name == "I1" and not mask & _MINUTE:
                mask |= _MINUTE
                group = self.minute
            else:
                continue
            group.cells += _bar_of(bar)
            group.rows.append(self.n)
        return mask

    def _auction(self, iep: float, reference: float, ieq: int, total: int, market: int) -> None:
        self.auction.cells += (iep, reference, ieq, total, market)
        self.auction.rows.append(self.n)

    def batch(self, kind: FrameKind, server_ms: int) -> TickBatch:
        """The rows as columns. What cannot be true is taken out, and its row noted in ``bad``."""
        n = self.n
        groups = (self.depth, self.greeks, self.day, self.minute, self.auction)
        counts = [n, *(len(group.rows) for group in groups)]
        cells = self.core
        for group in groups:
            cells += group.cells
        # Packing is half again as fast as np.array, and one check of everything as fast as one of a part.
        flat = np.frombuffer(bytearray(pack(f"{len(cells)}d", *cells)), np.float64)
        bounds = np.concatenate(
            [known.upto(count) for known, count in zip(_BOUNDS, counts, strict=True)], axis=1
        )
        believable = (flat >= bounds[0]) & (flat <= bounds[1])
        core = flat[: n * _CORE].reshape(n, _CORE)
        tables = []
        start = n * _CORE
        for group, known in zip(groups, _BOUNDS[1:], strict=True):
            stop = start + len(group.cells)
            tables.append(flat[start:stop].reshape(-1, known.width))
            start = stop
        if not believable.all():
            self._mend(core, tables, believable)
        depth, greeks, day, minute, auction = (
            self._spread(group, table) for group, table in zip(groups, tables, strict=True)
        )
        return TickBatch(
            kind,
            server_ms,
            core[:, _SLOT].astype(np.int32),
            core[:, _MASK].astype(np.int32),
            core[:, _PX],
            core[:, _QTY].astype(np.int64),
            depth.reshape(n, DEPTH_LEVELS, 4).transpose(0, 2, 1),
            greeks,
            day,
            minute,
            auction,
        )

    def _mend(self, core: F64, tables: list[F64], believable: NDArray[np.bool_]) -> None:
        """Blank what cannot be true.

        A core row loses single cells, but a bad last price takes its time and quantity along. A row of an
        optional group is lost as a whole, with its bit.
        """
        good = believable[: core.size].reshape(core.shape)
        for row in np.flatnonzero(~good.all(axis=1)).tolist():
            self.bad.add(row)
            core[row, ~good[row]] = 0.0
            if not good[row, _LTPC_CELLS].all():
                core[row, _LTPC_CELLS] = 0.0
                core[row, _MASK] = int(core[row, _MASK]) & ~_LTPC
        start = core.size
        groups = (self.depth, self.greeks, self.day, self.minute, self.auction)
        for group, table, bit in zip(groups, tables, _BITS, strict=True):
            good = believable[start : start + table.size].reshape(table.shape)
            start += table.size
            for at in np.flatnonzero(~good.all(axis=1)).tolist():
                row = group.rows[at]
                self.bad.add(row)
                table[at] = 0.0
                core[row, _MASK] = int(core[row, _MASK]) & ~bit

    def _spread(self, group: _Group, table: F64) -> F64:
        """One array row for each row of the frame."""
        n = self.n
        if len(table) == n:
            return table
        width = table.shape[1]
        if not group.rows:
            return _BLANK[width][:n] if n <= _READY_ROWS else np.zeros((n, width))
        whole: F64 = np.zeros((n, width))
        whole[group.rows] = table
        return whole
