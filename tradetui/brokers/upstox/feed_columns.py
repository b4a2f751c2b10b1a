"""A whole frame into columns at once, by the official runtime (proto/market_feed_v3_columns.proto, ADR 0013).

What costs time is not parsing but taking field after field into Python (`perf.md` 1: 93% of it). Here the runtime
makes the columns: marks are put between the instruments' bytes, everything is parsed as one message of repeated
numbers, and each column is an array. The last number behind the mark of a row is its value, as the format says; no
number behind it means that it was not sent. The same is done once for all levels of all books and for all bars.

Nothing is guessed. Whatever does not look as the broker's own encoder writes it (a mark among the data, a number
sent as a list, two kinds of feed in one) raises `NotPlain`, and the frame is read row by row (`feed_rows.py`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

from tradetui.brokers.upstox.feed_marks import (
    BAR_MARK,
    BAR_NAMES,
    BARS,
    BOOK,
    KEY,
    NAME,
    NEW_ROW,
    QUOTE_MARK,
    ROW,
    ROW_MARK,
    ROW_MARK_AUCTION,
    NotPlain,
    table_of,
)  # fmt: skip
from tradetui.brokers.upstox.feed_rows import MAX_GREEK, MAX_IV, MAX_MS, MAX_PRICE, MAX_QTY, Rows
from tradetui.domain.market_data import DEPTH_LEVELS, F64, Bar, FrameKind, Greek, Has, Px, Qty, TickBatch
from tradetui.pb.market_feed_v3_columns_pb2 import (
    Entries,
    Entry,
    Frame,
    MarketFullFeeds,
    Merged,
    OHLCs,
    Quotes,
)
from tradetui.pb.market_feed_v3_pb2 import Feed

_LENGTH_DELIMITED: Final = 2

# Columns of the table of numbers that every instrument may send.
_LTP, _CLOSE, _ATP, _OI, _IV, _TBQ, _TSQ = range(len(Px))
_LTT, _LTQ, _VTT = range(len(Px), len(Px) + len(Qty))
_GREEKS_FROM: Final = len(Px) + len(Qty)
_WIDTH: Final = _GREEKS_FROM + len(Greek)
_LTPC_CELLS: Final = [_LTP, _CLOSE, _LTT, _LTQ]

_HIGH: Final = np.full((_WIDTH, 1), MAX_QTY)
_HIGH[[_LTP, _CLOSE, _ATP]], _HIGH[_IV], _HIGH[_LTT], _HIGH[_GREEKS_FROM:] = (
    MAX_PRICE,
    MAX_IV,
    MAX_MS,
    MAX_GREEK,
)
_LOW: Final = np.zeros((_WIDTH, 1))
_LOW[_GREEKS_FROM:] = -MAX_GREEK
_BOOK_HIGH: Final = np.array([MAX_PRICE, MAX_QTY, MAX_PRICE, MAX_QTY]).reshape(4, 1, 1)
_BAR_HIGH: Final = np.array([*[MAX_PRICE] * 4, MAX_QTY, MAX_MS]).reshape(6, 1, 1)
_AUCTION_HIGH: Final = np.array([MAX_PRICE, MAX_PRICE, *[MAX_QTY] * 3]).reshape(5, 1)
_AUCTION_LOW: Final = np.array([0.0, 0.0, 0.0, -MAX_QTY, -MAX_QTY]).reshape(5, 1)

_HAS_LTPC, _HAS_DEPTH, _HAS_GREEKS, _HAS_BEST = int(Has.LTPC), int(Has.DEPTH), int(Has.GREEKS), int(Has.BEST)
_HAS_DAY, _HAS_MINUTE, _HAS_FULL, _HAS_AUCTION = (
    int(Has.DAY),
    int(Has.MINUTE),
    int(Has.FULL),
    int(Has.AUCTION),
)

Mask = NDArray[np.bool_]


class Columns(NamedTuple):
    """What `read` made of a frame.

    Attributes:
        batch: Rows of known instruments, in the order of slots.
        unknown: Entries of keys without a slot.
        bad: Rows of which something could not be true.
    """

    batch: TickBatch
    unknown: int
    bad: int


# --- a frame ------------------------------------------------------------------------------------------


def read(
    frame: bytes,
    slots: Mapping[str, int],
    deep: Container[int] | None = None,
) -> Columns:
    """Read a frame as columns.

    Args:
        frame: Its bytes.
        slots: Instrument key to slot.
        deep: Slots of which levels two to five and Greeks are read; ``None`` for all.

    Raises:
        NotPlain: It has to be read row by row.
    """
    try:
        outside = Frame.FromString(frame)
        entries = outside.feeds[:]
        if outside.type not in (0, 1) or outside.marketInfo or not entries:
            raise NotPlain
        _check(Merged.FromString(frame))
        market, keys, others = _parse(entries, ROW_MARK)
        auction = (
            market.iep or market.rp or market.ieq or market.iiqTotal or market.iiqM or market.ltpc.iep.value
        )
        if auction:
            market, keys, others = _parse(entries, ROW_MARK_AUCTION)
        kind = FrameKind.LIVE if outside.type else FrameKind.SNAPSHOT
        server_ms = outside.currentTs if 0 < outside.currentTs <= MAX_MS else 0
        places: list[Any] = list(map(slots.get, keys))
        # A key twice is one entry to the schema, the later; an instrument is one row.
        if len(set(keys)) != len(entries):
            raise NotPlain
        which = None if deep is None else [at for at, place in enumerate(places) if place in deep]
        reader = _Reader(entries, market, (kind, server_ms), which)
        return reader.columns(places, others, auction=bool(auction))
    except DecodeError:
        raise NotPlain from None


def _check(merged: Merged) -> None:
    """Refuse a frame in which a number was sent as a list: a column takes it, the schema does not."""
    market = merged.feeds.value.fullFeed.marketFF
    # The runtime leaves out an entry of the map that has anything but a key and a value.
    if not merged.feeds.value.fullFeed.HasField("marketFF") or len(UnknownFieldSet(merged.feeds)):
        raise NotPlain
    for part in (
        market, market.ltpc, market.ltpc.iep, market.optionGreeks, market.marketLevel.bidAskQuote,
        market.marketOHLC.ohlc,
    ):  # fmt: skip
        left_over = UnknownFieldSet(part)
        if len(left_over):
            known = part.DESCRIPTOR.fields_by_number
            fields = (left_over[at] for at in range(len(left_over)))
            if any(one.wire_type == _LENGTH_DELIMITED and one.field_number in known for one in fields):
                raise NotPlain


def _parse(entries: list[bytes], mark: bytes) -> tuple[MarketFullFeeds, list[str], int]:
    """The merged numbers, the keys, and how often something else than a tradable instrument was sent."""
    whole = Entries.FromString(mark + mark.join(entries))
    keys = whole.key[:]
    if len(keys) != 2 * len(entries) or keys[::2] != [KEY] * len(entries):
        raise NotPlain
    feeds, full = whole.value, whole.value.fullFeed
    return full.marketFF, keys[1::2], len(feeds.ltpc) + len(feeds.firstLevelWithGreeks) + len(full.indexFF)


def _plain_bars(chunks: list[bytes]) -> F64 | None:
    """Bars as columns [6, n]; ``None`` unless they are a day and a minute in turn."""
    bars = OHLCs.FromString(BAR_MARK + BAR_MARK.join(chunks))
    if bars.interval[:] != BAR_NAMES * (len(chunks) // 2):
        return None
    return table_of((bars.open, bars.high, bars.low, bars.close, bars.vol, bars.ts), len(chunks))


class _Reader:
    """The market rows of one frame, in the order of the wire."""

    def __init__(
        self,
        entries: list[bytes],
        market: MarketFullFeeds,
        head: tuple[FrameKind, int],
        deep: list[int] | None,
    ) -> None:
        self.entries = entries
        self.market = market
        self.kind, self.server_ms = head
        self.deep = deep
        self.n = len(entries)
        last, greeks = market.ltpc, market.optionGreeks
        columns: tuple[Any, ...] = (
            last.ltp, last.cp, market.atp, market.oi, market.iv, market.tbq, market.tsq, last.ltt, last.ltq, market.vtt,
        )  # fmt: skip
        if deep is None or deep:
            columns += (greeks.delta, greeks.gamma, greeks.theta, greeks.vega, greeks.rho)
        self.numbers = table_of(columns, self.n)
        if deep:
            rows = np.ones(self.n, np.bool_)
            rows[deep] = False
            self.numbers[_GREEKS_FROM:, rows] = 0.0
        self.mask: NDArray[np.int32] = np.full(self.n, _HAS_FULL, np.int32)
        self.bad: Mask = np.zeros(self.n, np.bool_)

    def columns(self, places: list[Any], others: int, *, auction: bool) -> Columns:
        """Everything, in the order of slots."""
        known = places if None not in places else [-1 if place is None else place for place in places]
        slot = np.array(known, np.int32)
        silent: Mask = (self.numbers == 0.0).all(axis=0)
        rest = np.flatnonzero(silent).tolist()
        if others or rest:
            self._check_rest(rest, others)
        depth = self._depth(silent)
        day, minute = self._bars()
        auctions = self._auctions() if auction else np.zeros((self.n, 5))
        self._believe()
        order = np.argsort(slot)
        wanted = order[np.searchsorted(slot[order], 0) :]
        unknown = self.n - len(wanted)
        if rest:
            wanted = wanted[~silent[wanted]]
        table = self.numbers.T[wanted]
        batch = TickBatch(
            self.kind,
            self.server_ms,
            slot[wanted],
            self.mask[wanted],
            table[:, : len(Px)],
            table[:, len(Px) : _GREEKS_FROM].astype(np.int64),
            depth[wanted],
            table[:, _GREEKS_FROM:] if table.shape[1] > _GREEKS_FROM else np.zeros((len(wanted), len(Greek))),
            day[wanted],
            minute[wanted],
            auctions[wanted],
        )
        bad = int(np.count_nonzero(self.bad[wanted]))
        if rest:
            batch, more = self._with_rest(batch, [at for at in rest if places[at] is not None], places)
            bad += more
        return Columns(batch, unknown, bad)

    # --- rows of other kinds ---

    def _check_rest(self, rest: list[int], others: int) -> None:
        """See that rows without a number are those that are something else than a tradable instrument.

        Raises:
            NotPlain: A row is two things at once, or most rows are something else.
        """
        if 2 * len(rest) > self.n:
            raise NotPlain
        self.feeds: dict[int, Feed] = {at: Entry.FromString(self.entries[at]).value for at in rest}
        kinds = [
            feed.HasField("ltpc")
            or feed.HasField("firstLevelWithGreeks")
            or feed.fullFeed.HasField("indexFF")
            for feed in self.feeds.values()
        ]
        if sum(kinds) != others:
            raise NotPlain

    def _with_rest(self, batch: TickBatch, rest: Iterable[int], places: list[int]) -> tuple[TickBatch, int]:
        """The batch and the rows of other kinds, in the order of slots; and how many of those were bad."""
        rows = Rows(None if self.deep is None else {places[at] for at in self.deep})
        for slot, at in sorted((places[at], at) for at in rest):
            rows.feed(slot, self.feeds[at])
        more = rows.batch(self.kind, self.server_ms)
        order = np.argsort(np.concatenate([batch.slot, more.slot]))
        joined: list[Any] = [
            np.concatenate([getattr(batch, name), getattr(more, name)])[order]
            for name in ("slot", "mask", "px", "qty", "depth", "greeks", "day", "minute", "auction")
        ]
        return TickBatch(self.kind, self.server_ms, *joined), len(rows.bad)

    # --- books ---

    def _depth(self, silent: Mask) -> F64:
        """The first five levels of every book: [n, 4, 5]."""
        quotes = self.market.marketLevel.bidAskQuote[:]
        levels = len(quotes) // self.n - 1
        if levels > 0 and quotes[:: levels + 1] == [BOOK] * self.n and len(quotes) == (levels + 1) * self.n:
            book = self._plain_books(quotes, levels)
            good = (book >= 0.0) & (book <= _BOOK_HIGH)
            filled: Mask = np.ones(self.n, np.bool_)
        else:
            table = self._quotes(quotes)
            book, filled = self._odd_books(table, silent)
            good = (book >= 0.0) & (book <= _BOOK_HIGH)
        self.mask[filled] |= _HAS_DEPTH
        if self.deep is not None:
            best = filled.copy()
            best[self.deep] = False
            self.mask[best] |= _HAS_BEST
        if not good.all():
            lost: Mask = np.logical_not(good.all(axis=(0, 2)))
            book = np.where(lost[None, :, None], 0.0, book)
            self._lose(lost, _HAS_DEPTH | _HAS_BEST)
        if book.shape[2] < DEPTH_LEVELS:
            short, book = book, np.zeros((4, self.n, DEPTH_LEVELS))
            book[:, :, : short.shape[2]] = short
        return book.transpose(1, 0, 2)

    def _plain_books(self, quotes: list[bytes], levels: int) -> F64:
        """Books of as many levels each, a mark before each: [4, n, up to 5].

        Raises:
            NotPlain: A mark stands among the data, so that the others may stand at the wrong places.
        """
        kept, n = min(levels, DEPTH_LEVELS), self.n
        first = 1 if self.deep is not None else kept
        if kept == levels and first == kept:
            del quotes[:: levels + 1]
            wanted = quotes
        else:  # of thirty levels, and of books that nobody looks into, only what is kept is parsed
            wanted = [b""] * (first * n)
            for level in range(first):
                wanted[level::first] = quotes[level + 1 :: levels + 1]
        for row in self.deep or ():
            begin = row * (levels + 1) + 1
            wanted += quotes[begin + first : begin + kept]
        table = self._quotes(wanted)
        if (table[1] == ROW).any():
            raise NotPlain
        book = table[:, : first * n].reshape(4, n, first)
        if self.deep:
            whole = np.zeros((4, n, kept))
            whole[:, :, :first] = book
            whole[:, self.deep, first:] = table[:, first * n :].reshape(4, len(self.deep), kept - first)
            return whole
        return book

    @staticmethod
    def _quotes(chunks: list[bytes]) -> F64:
        """Quotes as columns: bid price, bid quantity, ask price, ask quantity."""
        quotes = Quotes.FromString(QUOTE_MARK + QUOTE_MARK.join(chunks))
        return table_of((quotes.bidP, quotes.bidQ, quotes.askP, quotes.askQ), len(chunks))

    def _odd_books(self, table: F64, silent: Mask) -> tuple[F64, Mask]:
        """Books of different depths [4, n, 5], and which rows carried one."""
        marks = (table[1] == ROW).nonzero()[0]
        if len(marks) != self.n or marks[0] != 0:
            raise NotPlain
        row = np.repeat(np.arange(self.n), np.diff(np.append(marks, table.shape[1])))
        level = np.arange(len(row)) - marks[row] - 1
        most = np.full(self.n, DEPTH_LEVELS)
        if self.deep is not None:
            most[:] = 1
            most[self.deep] = DEPTH_LEVELS
        take = (level >= 0) & (level < most[row])
        book = np.zeros((4, self.n, DEPTH_LEVELS))
        book[:, row[take], level[take]] = table[:, take]
        filled = np.zeros(self.n, np.bool_)
        filled[row[level >= 0]] = True
        # A book without levels is an empty book if it was sent at all, which the columns cannot tell.
        for at in np.flatnonzero(~filled & ~silent).tolist():
            feed = Entry.FromString(self.entries[at]).value
            filled[at] = feed.fullFeed.marketFF.HasField("marketLevel")
        return book, filled

    # --- bars ---

    def _bars(self) -> tuple[F64, F64]:
        """The broker's day and last finished minute: [n, 6] each."""
        chunks = self.market.marketOHLC.ohlc[:]
        both = None
        if len(chunks) == 3 * self.n and chunks[::3] == [BARS] * self.n:
            del chunks[::3]
            both = _plain_bars(chunks)
            if both is None:
                chunks = self.market.marketOHLC.ohlc[:]
            else:
                both = both.reshape(6, self.n, 2)
                self.mask |= _HAS_DAY | _HAS_MINUTE
        if both is None:
            both = self._odd_bars(chunks)
        good = (both >= 0.0) & (both <= _BAR_HIGH)
        if not good.all():
            lost: Mask = np.logical_not(good.all(axis=0))
            both = np.where(lost[None], 0.0, both)
            self._lose(lost[:, 0], _HAS_DAY)
            self._lose(lost[:, 1], _HAS_MINUTE)
        day, minute = both.transpose(2, 1, 0)
        return day, minute

    def _odd_bars(self, chunks: list[bytes]) -> F64:
        """The first bar of either name of each row: [6, n, 2]."""
        bars = OHLCs.FromString(BAR_MARK + BAR_MARK.join(chunks))
        table = table_of((bars.open, bars.high, bars.low, bars.close, bars.vol, bars.ts), len(chunks))
        names = bars.interval[:]
        found: list[list[int]] = []
        at = -1
        name = NAME
        # The last name behind a mark is the bar's; a bar without a name is noise.
        for word in [*names[1:], NAME]:
            if word != NAME:
                name = word
                continue
            at += 1
            if name == NEW_ROW:
                found.append([-1, -1])
            elif found and name in ("1d", "I1"):
                which = name == "I1"
                if found[-1][which] < 0:
                    found[-1][which] = at
            name = ""
        if len(found) != self.n or at + 1 != table.shape[1] or names[0] != NAME:
            raise NotPlain
        place = np.array(found)
        both: F64 = np.where(place >= 0, table[:, place], 0.0)
        self.mask[place[:, 0] >= 0] |= _HAS_DAY
        self.mask[place[:, 1] >= 0] |= _HAS_MINUTE
        return both

    # --- auctions and belief ---

    def _auctions(self) -> F64:
        """What the auctions show: [n, 5]."""
        market = self.market
        table = table_of(
            (market.iep, market.rp, market.ieq, market.iiqTotal, market.iiqM, market.ltpc.iep.value), self.n
        )
        auction = table[:5].copy()
        auction[0] = np.where(auction[0] == 0.0, table[5], auction[0])
        told = (auction != 0.0).any(axis=0)
        good = (auction >= _AUCTION_LOW) & (auction <= _AUCTION_HIGH)
        lost: Mask = np.logical_not(good.all(axis=0))
        auction[:, lost] = 0.0
        self.mask[told] |= _HAS_AUCTION
        self._lose(lost, _HAS_AUCTION)
        return auction.T

    def _believe(self) -> None:
        """Blank numbers that cannot be true: a bad cell alone, but a bad last price with its time and quantity."""
        numbers = self.numbers
        width = len(numbers)
        good = (numbers >= _LOW[:width]) & (numbers <= _HIGH[:width])
        if width > _GREEKS_FROM:
            self.mask[(numbers[_GREEKS_FROM:] != 0.0).any(axis=0)] |= _HAS_GREEKS
        if not good.all():
            greeks: Mask = np.logical_not(good[_GREEKS_FROM:].all(axis=0))
            numbers[_GREEKS_FROM:, greeks] = 0.0
            self._lose(greeks, _HAS_GREEKS)
            core = good[:_GREEKS_FROM]
            numbers[:_GREEKS_FROM][~core] = 0.0
            last = ~core[_LTPC_CELLS].all(axis=0)
            for cell in _LTPC_CELLS:
                numbers[cell, last] = 0.0
            self.bad |= ~core.all(axis=0)
        self.mask[numbers[_LTP] != 0.0] |= _HAS_LTPC

    def _lose(self, rows: Mask, bit: int) -> None:
        """Rows that lost a group because it could not be true."""
        self.mask[rows] &= ~bit
        self.bad |= rows


assert tuple(range(6)) == (Bar.OPEN, Bar.HIGH, Bar.LOW, Bar.CLOSE, Bar.VOLUME, Bar.TS_MS)
