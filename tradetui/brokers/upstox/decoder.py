"""One frame of the market feed V3 into columns (`upstox.md` section 3, proto/market_feed_v3.proto).

`decode` is the one way in. The official runtime parses the bytes; frames of many instruments are read as columns
(`feed_columns.py`), small and odd ones row by row (`feed_rows.py`), and the batch is the same, bit for bit
(`reference_decoder.py` says slowly and obviously what it is).

What is believed, and what is not:

- proto3 sends no zeros, so a zero means "not carried". A last price of zero (never traded) leaves
  ``Has.LTPC`` unset; the previous close is in its column all the same.
- An empty Greeks message (cash shares) or bar is "not carried". A book message without levels *is*
  carried: the book is empty.
- A number that cannot be true (NaN, infinite, negative, 1e18) makes its group "not carried" and its row is
  counted in `Decoder.bad_rows`; the reader keeps the last good value. Greeks may be negative.
- Rows are in the order of slots, whatever the order on the wire.
- A key without a slot is counted in `Decoder.unknown_keys`, an unknown kind of frame in
  `Decoder.unknown_types`. Unknown fields are skipped by the runtime.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from google.protobuf.message import DecodeError

from tradetui.brokers.upstox.feed_columns import read
from tradetui.brokers.upstox.feed_marks import NotPlain
from tradetui.brokers.upstox.feed_rows import MAX_MS, Rows
from tradetui.domain.errors import FeedError
from tradetui.domain.market_data import FrameKind, TickBatch
from tradetui.domain.text import clean
from tradetui.pb.market_feed_v3_pb2 import FeedResponse, MarketStatus, StatusInfo, Type
from tradetui.pb.market_feed_v3_pb2 import MarketInfo as PbMarketInfo

MAX_FRAME_BYTES: Final = 10_000_000
"""Largest frame taken: 2,000 instruments of thirty levels are 2.1 MB; anything larger is not a feed frame."""
_COLUMNS_FROM: Final = 4096
"""Bytes from which on a frame is read as columns: about twelve instruments, where both ways take as long."""


class FrameError(FeedError):
    """A frame that is too large or is not a feed message. The stream itself may go on."""


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """A `market_info` frame: the phase of each segment.

    Attributes:
        server_ms: The sender's clock, epoch ms UTC; 0 if unknown.
        status: Segment (``NSE_EQ``) to the broker's word (``NORMAL_OPEN``), sorted by segment.
        cas: The same for the closing auction session; free words.
        pre_open: The same for the pre-open session; free words.
    """

    server_ms: int
    status: tuple[tuple[str, str], ...]
    cas: tuple[tuple[str, str], ...] = ()
    pre_open: tuple[tuple[str, str], ...] = ()


Decoded = TickBatch | MarketInfo

_MARKET_INFO: Final = int(Type.market_info)
_PHASES: Final = {number: name for name, number in MarketStatus.items()}
_by_slot = itemgetter(0)


class Decoder:
    """Decodes frames and counts what was odd about them.

    Args:
        slots: Instrument key to slot. Looked at in every frame, so it may grow while in use.
        deep: Slots of which levels two to five of the book and Greeks are read; ``None`` for all. A row of another
            slot has ``Has.BEST`` beside ``Has.DEPTH`` and never ``Has.GREEKS``. It may change while in use.
        columns_from: Bytes from which on a frame is read as columns; what comes out does not depend on it.
    """

    def __init__(
        self,
        slots: Mapping[str, int],
        columns_from: int = _COLUMNS_FROM,
        *,
        deep: Container[int] | None = None,
    ) -> None:
        self._slots = slots
        self.deep = deep
        self._columns_from = columns_from
        self.unknown_keys = 0
        """Ticks of instruments without a slot (left over after an unsubscribe, or a confused server)."""
        self.unknown_types = 0
        """Frames, modes and phases with a number that the schema does not name."""
        self.bad_rows = 0
        """Ticks of which at least one group could not be true and was left out."""

    def decode(self, frame: bytes) -> Decoded:
        """Turn one frame into columns, or into the phases of the segments.

        Raises:
            FrameError: The frame is over `MAX_FRAME_BYTES`, cut short, or not a feed message.
        """
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameError(f"frame of {len(frame):,} bytes; the largest believable is {MAX_FRAME_BYTES:,}")
        if len(frame) >= self._columns_from:
            try:
                columns = read(frame, self._slots, self.deep)
            except NotPlain:
                pass
            else:
                self.unknown_keys += columns.unknown
                self.bad_rows += columns.bad
                return columns.batch
        return self._by_rows(frame)

    def _by_rows(self, frame: bytes) -> Decoded:
        try:
            message = FeedResponse.FromString(frame)
        except DecodeError:
            raise FrameError(f"frame of {len(frame):,} bytes is not a feed message") from None
        kind = message.type
        server_ms = message.currentTs
        if not 0 < server_ms <= MAX_MS:
            server_ms = 0
        if kind == _MARKET_INFO or (message.HasField("marketInfo") and not message.feeds):
            return self._market_info(message.marketInfo, server_ms)
        if not 0 <= kind <= FrameKind.LIVE:
            self.unknown_types += 1
        rows = self._read(message)
        batch = rows.batch(FrameKind.LIVE if kind else FrameKind.SNAPSHOT, server_ms)
        self.bad_rows += len(rows.bad)
        return batch

    def _read(self, message: FeedResponse) -> Rows:
        """Read every instrument of a frame that has a slot, in the order of slots.

        A protobuf map comes in an order that differs from process to process (its hash is seeded by an
        address); the same frame must give the same batch, or no run could be repeated.
        """
        slots = self._slots
        feeds = []
        for key, feed in message.feeds.items():
            slot = slots.get(key)
            if slot is None:
                self.unknown_keys += 1
            else:
                feeds.append((slot, feed))
        if len(feeds) > 1:
            feeds.sort(key=_by_slot)
        rows = Rows(self.deep)
        for slot, feed in feeds:
            rows.feed(slot, feed)
        return rows

    def _market_info(self, info: PbMarketInfo, server_ms: int) -> MarketInfo:
        """Name the phases; a number without a name is shown as a number."""
        status = []
        for segment, number in info.segmentStatus.items():
            name = _PHASES.get(number)
            if name is None:
                self.unknown_types += 1
                name = f"PHASE_{number}"
            status.append((clean(segment, 32), name))
        return MarketInfo(
            server_ms, tuple(sorted(status)), _words(info.casMarketStatus), _words(info.preOpenSessionStatus)
        )


def _words(states: Mapping[str, StatusInfo]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((clean(name, 32), clean(info.status, 64)) for name, info in states.items()))


def decode(frame: bytes, slots: Mapping[str, int]) -> Decoded:
    """Decode one frame without keeping counts. See `Decoder.decode`."""
    return Decoder(slots).decode(frame)
