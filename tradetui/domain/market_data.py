"""One frame as columns (`TickBatch`), and finished bars (`Candle`).

One WebSocket frame becomes one `TickBatch`, a structure of arrays; there is never a Python object per
tick. Live ticks are partial and proto3 drops zeros, so each row says in ``mask`` which groups of fields
it really carried; a reader merges only those.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

DEPTH_LEVELS = 5
"""Levels a side that columns keep; deeper books (30 levels, Plus accounts) are cut to these."""


class Px(IntEnum):
    """Columns of `TickBatch.px` (float64)."""

    LTP = 0
    """Last traded price, rupees; never an auction price."""
    CLOSE = 1
    """Previous session's close, rupees (`cp` on the wire)."""
    ATP = 2
    """Average traded price of the day, rupees."""
    OI = 3
    """Open interest, units."""
    IV = 4
    """Implied volatility as a fraction (0.13 = 13%)."""
    TBQ = 5
    """Total quantity bid in the book, units."""
    TSQ = 6
    """Total quantity offered in the book, units."""


class Qty(IntEnum):
    """Columns of `TickBatch.qty` (int64)."""

    LTT_MS = 0
    """Last trade time, epoch ms UTC."""
    LTQ = 1
    """Quantity of the last trade, units."""
    VTT = 2
    """Volume traded today, units."""


class Bar(IntEnum):
    """Columns of `TickBatch.day` and `TickBatch.minute` (float64)."""

    OPEN = 0
    HIGH = 1
    LOW = 2
    CLOSE = 3
    VOLUME = 4
    """Units."""
    TS_MS = 5
    """Start of the bar, epoch ms UTC (`1d`: midnight IST)."""


class Greek(IntEnum):
    """Columns of `TickBatch.greeks` (float64), in our order (the wire has theta second)."""

    DELTA = 0
    GAMMA = 1
    THETA = 2
    """Per calendar day, rupees."""
    VEGA = 3
    """Per volatility point, rupees."""
    RHO = 4


class Auction(IntEnum):
    """Columns of `TickBatch.auction` (float64). Never to be shown as a last traded price."""

    IEP = 0
    """Indicative equilibrium price, rupees."""
    REFERENCE = 1
    """Reference price of the closing auction, rupees."""
    IEQ = 2
    """Indicative equilibrium quantity, units."""
    IMBALANCE = 3
    """Imbalance, all orders, units."""
    IMBALANCE_MARKET = 4
    """Imbalance, market orders, units."""


class Has(IntFlag):
    """Which groups of fields a row carried on the wire."""

    LTPC = 1
    """``LTP``, ``LTT_MS``, ``LTQ`` and ``CLOSE``."""
    DEPTH = 2
    """The five levels; zero price marks an empty level."""
    GREEKS = 4
    DAY = 8
    """The broker's session bar (`1d`)."""
    MINUTE = 16
    """The broker's last finished minute (`I1`)."""
    FULL = 32
    """A full-mode market row: ``ATP``, ``VTT``, ``OI``, ``IV``, ``TBQ``, ``TSQ`` that are not zero."""
    AUCTION = 64
    INDEX = 128
    """A row of an index: no book, no volume."""
    BEST = 256
    """Of the book that the row carried only the best level was read; the others are zero because nobody looked."""


class FrameKind(IntEnum):
    """Kind of frame, numbered as on the wire."""

    SNAPSHOT = 0
    """Answer to a subscription: replaces what was known, book included."""
    LIVE = 1
    """A change."""


@dataclass(frozen=True, slots=True)
class TickBatch:
    """All ticks of one frame; row ``i`` is the tick of instrument ``slot[i]``. Do not write to the arrays.

    A slot appears at most once in a batch.

    Attributes:
        kind: Snapshot or live.
        server_ms: The sender's clock when the frame was made, epoch ms UTC; 0 if unknown.
        slot: int32 [n], index of the instrument in this run.
        mask: int32 [n], `Has` bits.
        px: float64 [n, 7], columns `Px`; 0.0 where the wire had none.
        qty: int64 [n, 3], columns `Qty`.
        depth: float64 [n, 4, 5]: bid price, bid quantity, ask price, ask quantity by level, best first;
            rows without ``Has.DEPTH`` are zero.
        greeks: float64 [n, 5], columns `Greek`.
        day: float64 [n, 6], columns `Bar`.
        minute: float64 [n, 6], columns `Bar`.
        auction: float64 [n, 5], columns `Auction`.
    """

    kind: FrameKind
    server_ms: int
    slot: I32
    mask: I32
    px: F64
    qty: I64
    depth: F64
    greeks: F64
    day: F64
    minute: F64
    auction: F64

    def __len__(self) -> int:
        return len(self.slot)

    @classmethod
    def zeros(cls, kind: FrameKind, server_ms: int, rows: int) -> TickBatch:
        """A batch of ``rows`` empty rows, for decoders, the simulator and tests to fill."""
        return cls(
            kind,
            server_ms,
            np.zeros(rows, np.int32),
            np.zeros(rows, np.int32),
            np.zeros((rows, len(Px))),
            np.zeros((rows, len(Qty)), np.int64),
            np.zeros((rows, 4, DEPTH_LEVELS)),
            np.zeros((rows, len(Greek))),
            np.zeros((rows, len(Bar))),
            np.zeros((rows, len(Bar))),
            np.zeros((rows, len(Auction))),
        )


class BarSource(StrEnum):
    """Where a bar's numbers come from."""

    TICKS = "ticks"
    """Built here from trades seen in the feed."""
    BROKER = "broker"
    """The broker's own bar, from the feed's `I1`/`1d` entries or the candle endpoint."""
    MERGED = "merged"
    """Built here from finer bars of which at least one is the broker's."""


@dataclass(frozen=True, slots=True)
class Candle:
    """A finished bar of one instrument; floats, because indicators take floats.

    Attributes:
        slot: Instrument slot of this run.
        interval_s: Length in seconds, as in `INTERVALS`; 86,400 stands for one session.
        start_ms: Start of the bar, epoch ms UTC. Bars are named by their start.
        open, high, low, close: Rupees.
        volume: Units.
        oi: Open interest at the end, units; 0 where there is none.
        source: Where the numbers come from.
        gap: The feed was down for part of the bar.
    """

    slot: int
    interval_s: int
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    oi: float = 0.0
    source: BarSource = BarSource.TICKS
    gap: bool = False
