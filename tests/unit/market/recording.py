"""The recorded day as `TickBatch`es, one row a frame, straight from its JSON (no decoder involved)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tradetui.domain.calendar import ns
from tradetui.domain.market_data import FrameKind, Greek, Has, Px, Qty, TickBatch

DAY = date(2025, 12, 15)
OPEN_NS = ns(DAY, "09:15")
CLOSE_NS = ns(DAY, "15:30")
RECORDER_SLOW_MS = 5_950
"""The recorder's clock was slow by this much (README of the data)."""

_GREEKS = {
    "delta": Greek.DELTA,
    "gamma": Greek.GAMMA,
    "theta": Greek.THETA,
    "vega": Greek.VEGA,
    "rho": Greek.RHO,
}


class Frame(NamedTuple):
    """One recorded frame: engine time, and its only instrument's message."""

    t_ns: int
    key: str
    message: dict[str, Any]


def continuous(slot: int, day: date) -> tuple[int, int] | None:
    """Continuous trading of the recorded day: all seven instruments traded 09:15 to 15:30."""
    return (OPEN_NS, CLOSE_NS) if day == DAY else None


def files(shared_data: Path) -> list[Path]:
    """The seven full-day files."""
    return sorted((shared_data / "feed" / "upstox_v3_2025-12-15").glob("*.jsonl.gz"))


def frames(path: Path) -> Iterator[Frame]:
    """Frames of one file, in the order they were received."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            ((key, feed),) = record["feeds"].items()
            yield Frame((record["rx_ms"] + RECORDER_SLOW_MS) * 1_000_000, key, feed["fullFeed"]["marketFF"])


def fill(batch: TickBatch, row: int, slot: int, message: dict[str, Any]) -> None:
    """Write one message into a row of a batch."""
    has = Has.FULL
    ltpc = message.get("ltpc", {})
    if ltpc:
        has |= Has.LTPC
        batch.px[row, Px.LTP] = ltpc.get("ltp", 0.0)
        batch.px[row, Px.CLOSE] = ltpc.get("cp", 0.0)
        batch.qty[row, Qty.LTT_MS] = int(ltpc.get("ltt", 0))
        batch.qty[row, Qty.LTQ] = int(ltpc.get("ltq", 0))
    for name, column in (("atp", Px.ATP), ("oi", Px.OI), ("iv", Px.IV), ("tbq", Px.TBQ), ("tsq", Px.TSQ)):
        batch.px[row, column] = message.get(name, 0.0)
    batch.qty[row, Qty.VTT] = int(message.get("vtt", 0))
    if "marketLevel" in message:
        has |= Has.DEPTH
        for level, quote in enumerate(message["marketLevel"]["bidAskQuote"][:5]):
            for line, name in enumerate(("bidP", "bidQ", "askP", "askQ")):
                batch.depth[row, line, level] = float(quote.get(name, 0))
    if message.get("optionGreeks"):
        has |= Has.GREEKS
        for name, greek in _GREEKS.items():
            batch.greeks[row, greek] = message["optionGreeks"].get(name, 0.0)
    for bar in message.get("marketOHLC", {}).get("ohlc", ()):
        has |= Has.DAY if bar["interval"] == "1d" else Has.MINUTE
        target = batch.day if bar["interval"] == "1d" else batch.minute
        target[row] = [float(bar.get(name, 0)) for name in ("open", "high", "low", "close", "vol", "ts")]
    batch.slot[row] = slot
    batch.mask[row] = int(has)


def batch_of(slot: int, message: dict[str, Any], kind: FrameKind = FrameKind.LIVE) -> TickBatch:
    """A batch of one row."""
    batch = TickBatch.zeros(kind, 0, 1)
    fill(batch, 0, slot, message)
    return batch


def same(a: TickBatch, b: TickBatch) -> bool:
    """Whether two batches carry the same columns."""
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("slot", "mask", "px", "qty", "depth", "greeks", "day", "minute", "auction")
    )
