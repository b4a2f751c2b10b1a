"""Ticks on their way to the file: pre-allocated columns that the loop fills, and their Arrow form.

The loop's side must cost microseconds, so a frame is copied as a handful of 2-D slices, whatever its length; all
reshaping happens on the writer's thread. First touch of fresh memory stalls for tens of milliseconds (measured),
hence every chunk is written once when it is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import DEPTH_LEVELS, I64, Auction, Greek, Has, Px, Qty, TickBatch

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS: Final = 16_384
"""Rows of one chunk (352 bytes each): six megabytes."""

MIN_MS: Final = 946_684_800_000
"""2000-01-01: no time of trading is older."""
MAX_MS: Final = 4_102_444_800_000
"""2100-01-01."""
_SIDES: Final = ("bid{}_px", "bid{}_qty", "ask{}_px", "ask{}_qty")
_WHEN_SAID: Final = {
    "oi": Px.OI,
    "atp": Px.ATP,
    "prev_close": Px.CLOSE,
    "iv": Px.IV,
    "tbq": Px.TBQ,
    "tsq": Px.TSQ,
}
_GREEKS: Final = {
    "delta": Greek.DELTA,
    "gamma": Greek.GAMMA,
    "theta": Greek.THETA,
    "vega": Greek.VEGA,
    "rho": Greek.RHO,
}
_AUCTION: Final = {
    "iep": Auction.IEP,
    "reference_price": Auction.REFERENCE,
    "ieq": Auction.IEQ,
    "imbalance": Auction.IMBALANCE,
    "imbalance_market": Auction.IMBALANCE_MARKET,
}

Mask = NDArray[np.bool_]


class TickChunk:
    """Room for ticks, filled by one thread, read by another after it was handed over."""

    __slots__ = ("auction", "capacity", "depth", "greeks", "head", "px", "qty", "rows", "stamp")

    def __init__(self, capacity: int = CHUNK_ROWS) -> None:
        self.capacity = capacity
        self.rows = 0
        self.stamp: I64 = np.full((capacity, 3), 0, np.int64)  # engine ns, server ms, frame kind
        self.head = np.full((2, capacity), 0, np.int32)  # slot, mask
        self.px = np.full((capacity, len(Px)), 0.0)
        self.qty: I64 = np.full((capacity, len(Qty)), 0, np.int64)
        self.depth = np.full((capacity, 4, DEPTH_LEVELS), 0.0)
        self.greeks = np.full((capacity, len(Greek)), 0.0)
        self.auction = np.full((capacity, len(Auction)), 0.0)

    def append(self, t_ns: int, batch: TickBatch, first: int = 0) -> int:
        """Copy rows of a batch from ``first`` on, as many as fit; return the index of the next one."""
        at, size = self.rows, len(batch.slot)
        count = min(size - first, self.capacity - at)
        end, last = at + count, first + count
        self.stamp[at:end] = (t_ns, batch.server_ms, batch.kind)
        self.head[0, at:end] = batch.slot[first:last]
        self.head[1, at:end] = batch.mask[first:last]
        self.px[at:end] = batch.px[first:last]
        self.qty[at:end] = batch.qty[first:last]
        self.depth[at:end] = batch.depth[first:last]
        self.greeks[at:end] = batch.greeks[first:last]
        self.auction[at:end] = batch.auction[first:last]
        self.rows = end
        return last


class Room:
    """Memory that one conversion after the other uses: fresh pages would cost more than all the rest of it."""

    __slots__ = ("_arrays",)

    def __init__(self) -> None:
        self._arrays: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}

    def of(self, name: str, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Two arrays for rows like ``values``: as they are, and column by column."""
        found = self._arrays.get(name)
        if found is None or len(found[0]) < len(values):
            found = np.empty_like(values), np.empty(values.shape[::-1], values.dtype)
            self._arrays[name] = found
        return found


def to_arrow(
    chunk: TickChunk, ids: NDArray[np.int32], depth: bool = True, room: Room | None = None
) -> pa.Table:
    """A chunk as a table with the columns of ``ticks``, the rows of one instrument beside each other, in their order.

    So the file is a fifth smaller (ADR 0015); the order of time holds from batch to batch.

    Args:
        chunk: What to convert.
        ids: int32 [rows], instrument id by row; negative rows are left out.
        depth: Keep levels 2 to 5.
        room: Memory to use; the table holds until the next conversion that uses it. ``None`` takes fresh memory.
    """
    import pyarrow as pa

    room = room or Room()
    order = _side_by_side(ids)
    mask, stamp = chunk.head[1][order], chunk.stamp[order]
    px, qty, book = (_by_column(getattr(chunk, name), order, room, name) for name in ("px", "qty", "depth"))
    last, deep = (mask & Has.LTPC) == 0, (mask & Has.DEPTH) == 0
    unread = deep | ((mask & Has.BEST) != 0)
    greeks, auction = (mask & Has.GREEKS) == 0, (mask & Has.AUCTION) == 0
    columns: dict[str, Any] = {
        "instrument_id": pa.array(ids[order]),
        "ts": _times(qty[Qty.LTT_MS], last),
        "server_ts": _times(stamp[:, 1]),
        "engine_ts": pa.array(stamp[:, 0] // 1000).view(pa.timestamp("us", "UTC")),
        "kind": pa.array(stamp[:, 2].astype(np.int8)),
        "mask": pa.array(mask),
        "ltp": _column(px[Px.LTP], last),
        "ltq": _column(qty[Qty.LTQ], last),
        "vtt": _column(qty[Qty.VTT], qty[Qty.VTT] == 0),
    }
    for name, place in _WHEN_SAID.items():
        columns[name] = _column(px[place], px[place] == 0.0)
    for level in range(DEPTH_LEVELS if depth else 1):
        for side, pattern in enumerate(_SIDES):
            columns[pattern.format(level + 1)] = _column(
                book[side * DEPTH_LEVELS + level], unread if level else deep
            )
    for what, named, values, missing in (
        ("greeks", _GREEKS, chunk.greeks, greeks),
        ("auction", _AUCTION, chunk.auction, auction),
    ):
        found = values[: len(order)].T if missing.all() else _by_column(values, order, room, what)
        for name, at in named.items():
            columns[name] = _column(found[int(at)], missing)
    return pa.table(columns)


def _side_by_side(ids: NDArray[np.int32]) -> NDArray[np.intp]:
    """Places of rows by id, equal ids in their order, without the negative ones. Of 16 bits it sorts ten times as fast."""
    narrow = len(ids) > 0 and int(ids.max()) < 1 << 15 and int(ids.min()) >= -1
    order = np.argsort(ids.astype(np.int16) if narrow else ids, kind="stable")
    return order[np.count_nonzero(ids < 0) :]


def _by_column(values: NDArray[Any], order: NDArray[np.intp], room: Room, name: str) -> NDArray[Any]:
    """Rows in an order, column by column: one transposition costs a third of copying the columns one by one."""
    flat = values.reshape(len(values), -1)
    rows, columns = room.of(name, flat)
    count = len(order)
    np.take(flat, order, axis=0, out=rows[:count], mode="clip")
    np.copyto(columns[:, :count], rows[:count].T)
    return columns[:, :count]


def _column(values: NDArray[Any], missing: Mask) -> Any:
    import pyarrow as pa

    if not missing.any():
        return pa.array(np.ascontiguousarray(values))
    if missing.all():
        return pa.nulls(len(values), pa.from_numpy_dtype(values.dtype))
    return pa.array(np.ascontiguousarray(values), mask=missing)


def _times(ms: I64, missing: Mask | None = None) -> Any:
    """Epoch milliseconds as times; what cannot be a time of trading becomes NULL."""
    import pyarrow as pa

    odd = (ms < MIN_MS) | (ms > MAX_MS)
    if missing is not None:
        odd |= missing
    us = np.where(odd, 0, ms) * 1000
    return pa.array(us.astype("datetime64[us]"), mask=odd).cast(pa.timestamp("us", "UTC"))
