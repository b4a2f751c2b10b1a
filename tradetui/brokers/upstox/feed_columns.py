"""A whole frame into columns at once, by the official runtime (proto/market_feed_v3_columns.proto, ADR 0013).

What costs time is not parsing but taking field after field into Python (`perf.md` 1: 93% of it). Here the runtime
makes the columns: marks are put between the instruments' bytes, everything is parsed as one message of repeated
numbers, and each column is an array. The last number behind the mark of a row is its value, as the format says; no
number behind it means that it was not sent. The same is done once for all levels of all books and for all bars.

Nothing is guessed. Whatever does not look as the broker's own encoder writes it (a mark among the data, a number
sent as a list, two kinds of feed in one) raises `NotPlain`, and the frame is read row by row (`feed_rows.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

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
from tradetui.pb.market_feed_v3_pb2 import OHLC, Feed, Quote

MARK: Final = (1 << 39) - 1
"""The number before each row's in a column. No price or quantity is so high and no time of trading so early."""
_ROW: Final = (1 << 38) - 1
"""Bid quantity of the quote that is put before each row's book."""
_KEY, _NAME, _NEW_ROW = "\x00", "\x00", "\x01"
"""Marks among the keys and the bars' names; the bar of the last name is put before each row's bars."""
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
_BOOK_HIGH: Final = np.array([MAX_PRICE, MAX_QTY, MAX_PRICE, MAX_QTY]).reshape(4, 1)
_BAR_HIGH: Final = np.array([*[MAX_PRICE] * 4, MAX_QTY, MAX_MS]).reshape(6, 1, 1)
_AUCTION_HIGH: Final = np.array([MAX_PRICE, MAX_PRICE, *[MAX_QTY] * 3]).reshape(5, 1)
_AUCTION_LOW: Final = np.array([0.0, 0.0, 0.0, -MAX_QTY, -MAX_QTY]).reshape(5, 1)

_HAS_LTPC, _HAS_DEPTH, _HAS_GREEKS = int(Has.LTPC), int(Has.DEPTH), int(Has.GREEKS)
_HAS_DAY, _HAS_MINUTE, _HAS_FULL, _HAS_AUCTION = (
    int(Has.DAY),
    int(Has.MINUTE),
    int(Has.FULL),
    int(Has.AUCTION),
)

Mask = NDArray[np.bool_]


class NotPlain(Exception):
    """The frame must be read row by row: it is damaged, or it holds what columns cannot tell apart."""


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


# --- marks --------------------------------------------------------------------------------------------


def _marked(message: Any, *, auction: bool) -> None:
    """Set every number of a message to the mark; those of the auction only if asked for."""
    for field in message.DESCRIPTOR.fields:
        rare = field.name in ("iep", "rp", "ieq", "iiqTotal", "iiqM")
        if field.message_type is None and field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_INT64):
            if auction or not rare:
                setattr(message, field.name, MARK)
        elif rare and auction:
            message.iep.value = MARK


_BOOK: Final = Quote(bidQ=_ROW, bidP=1.0, askQ=1, askP=1.0).SerializeToString()
"""The quote before each row's book."""
_BARS: Final = OHLC(
    interval=_NEW_ROW, open=1.0, high=1.0, low=1.0, close=1.0, vol=1, ts=1
).SerializeToString()
"""The bar before each row's bars."""


def _mark_of_row(*, auction: bool) -> bytes:
    """What is put before the bytes of each instrument: an entry of marks, merged with what follows."""
    entry = Entry(key=_KEY)
    market = entry.value.fullFeed.marketFF
    for part in (market, market.ltpc, market.optionGreeks):
        _marked(part, auction=auction)
    market.marketLevel.bidAskQuote.append(Quote.FromString(_BOOK))
    market.marketOHLC.ohlc.append(OHLC.FromString(_BARS))
    return entry.SerializeToString()


_ROW_MARK: Final = _mark_of_row(auction=False)
_ROW_MARK_AUCTION: Final = _mark_of_row(auction=True)
_QUOTE_MARK: Final = Quote(bidQ=MARK, bidP=MARK, askQ=MARK, askP=MARK).SerializeToString()
_BAR_MARK: Final = OHLC(
    interval=_NAME, open=MARK, high=MARK, low=MARK, close=MARK, vol=MARK, ts=MARK
).SerializeToString()
_BAR_NAMES: Final = [_NAME, "1d", _NAME, "I1"]
"""Names of a row's bars, marks among them, as the broker sends them to everybody."""


def _table(columns: Sequence[Any], rows: int) -> F64:
    """Columns of marks and values as an array [columns, rows]; 0 where a row has none, else its last value.

    Raises:
        NotPlain: A mark is missing, or there are too many.
    """
    table = np.zeros((len(columns), rows))
    by_length: dict[int, list[int]] = {}
    for at, column in enumerate(columns):
        by_length.setdefault(len(column), []).append(at)
    for length, group in by_length.items():
        if length == rows:
            continue  # nothing but marks
        part = np.empty((len(group), length))
        for place, at in enumerate(group):
            part[place] = columns[at]
        if length == 2 * rows and (part[:, ::2] == MARK).all():
            found = part[:, 1::2]
            if len(group) == len(columns):
                return found
            table[group] = found
        else:
            table[group] = _sparse(part, rows)
    return table


def _sparse(part: F64, rows: int) -> F64:
    """Columns of one length in which not every row has a value."""
    marked = part == MARK
    marks = marked[0].nonzero()[0]
    if len(marks) != rows or marks[0] != 0:
        raise NotPlain
    if not (marked == marked[0]).all():
        return np.concatenate([_sparse(column[None], rows) for column in part])
    last = np.empty_like(marks)
    last[:-1], last[-1] = marks[1:], part.shape[1]
    last -= 1
    return np.where(last > marks, part[:, last], 0.0)


# --- a frame ------------------------------------------------------------------------------------------


def read(frame: bytes, slots: Mapping[str, int]) -> Columns:
    """Read a frame as columns.

    Raises:
        NotPlain: It has to be read row by row.
    """
    try:
        outside = Frame.FromString(frame)
        entries = outside.feeds[:]
        if outside.type not in (0, 1) or outside.marketInfo or not entries:
            raise NotPlain
        _check(Merged.FromString(frame))
        market, keys, others = _parse(entries, _ROW_MARK)
        auction = (
            market.iep or market.rp or market.ieq or market.iiqTotal or market.iiqM or market.ltpc.iep.value
        )
        if auction:
            market, keys, others = _parse(entries, _ROW_MARK_AUCTION)
        kind = FrameKind.LIVE if outside.type else FrameKind.SNAPSHOT
        server_ms = outside.currentTs if 0 < outside.currentTs <= MAX_MS else 0
        return _Reader(entries, market, kind, server_ms).columns(keys, slots, others, auction=bool(auction))
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
    if len(keys) != 2 * len(entries) or keys[::2] != [_KEY] * len(entries):
        raise NotPlain
    feeds, full = whole.value, whole.value.fullFeed
    return full.marketFF, keys[1::2], len(feeds.ltpc) + len(feeds.firstLevelWithGreeks) + len(full.indexFF)


class _Reader:
    """The market rows of one frame, in the order of the wire."""

    def __init__(
        self, entries: list[bytes], market: MarketFullFeeds, kind: FrameKind, server_ms: int
    ) -> None:
        self.entries = entries
        self.market = market
        self.kind = kind
        self.server_ms = server_ms
        self.n = len(entries)
        last, greeks = market.ltpc, market.optionGreeks
        self.numbers = _table(
            (
                last.ltp, last.cp, market.atp, market.oi, market.iv, market.tbq, market.tsq,
                last.ltt, last.ltq, market.vtt,
                greeks.delta, greeks.gamma, greeks.theta, greeks.vega, greeks.rho,
            ),
            self.n,
        )  # fmt: skip
        self.mask: NDArray[np.int32] = np.full(self.n, _HAS_FULL, np.int32)
        self.bad: Mask = np.zeros(self.n, np.bool_)

    def columns(self, keys: list[str], slots: Mapping[str, int], others: int, *, auction: bool) -> Columns:
        """Everything, in the order of slots."""
        places: list[Any] = list(map(slots.get, keys))
        slot = np.array(
            [-1 if place is None else place for place in places] if None in places else places, np.int32
        )
        # A key twice is one entry to the schema, the later; an instrument is one row.
        if len(set(keys)) != self.n:
            raise NotPlain
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
            table[:, _GREEKS_FROM:],
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
        rows = Rows()
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
        if levels > 0 and quotes[:: levels + 1] == [_BOOK] * self.n and len(quotes) == (levels + 1) * self.n:
            kept = min(levels, DEPTH_LEVELS)
            if kept == levels:
                del quotes[:: levels + 1]
            else:  # thirty levels: only what is kept is parsed
                every, quotes = quotes, [b""] * (kept * self.n)
                for level in range(kept):
                    quotes[level::kept] = every[level + 1 :: levels + 1]
            table = self._quotes(quotes)
            if (table[1] == _ROW).any():
                raise NotPlain  # a mark among the data: the others may stand at the wrong places
            good = (table >= 0.0) & (table <= _BOOK_HIGH)
            book = table.reshape(4, self.n, kept)
            filled: Mask = np.ones(self.n, np.bool_)
        else:
            table = self._quotes(quotes)
            book, filled = self._odd_books(table, silent)
            good = (book >= 0.0) & (book <= _BOOK_HIGH.reshape(4, 1, 1))
        self.mask[filled] |= _HAS_DEPTH
        if not good.all():
            lost: Mask = np.logical_not(good.reshape(book.shape).all(axis=(0, 2)))
            book = np.where(lost[None, :, None], 0.0, book)
            self._lose(lost, _HAS_DEPTH)
        if book.shape[2] < DEPTH_LEVELS:
            short, book = book, np.zeros((4, self.n, DEPTH_LEVELS))
            book[:, :, : short.shape[2]] = short
        return book.transpose(1, 0, 2)

    @staticmethod
    def _quotes(chunks: list[bytes]) -> F64:
        """Quotes as columns: bid price, bid quantity, ask price, ask quantity."""
        quotes = Quotes.FromString(_QUOTE_MARK + _QUOTE_MARK.join(chunks))
        return _table((quotes.bidP, quotes.bidQ, quotes.askP, quotes.askQ), len(chunks))

    def _odd_books(self, table: F64, silent: Mask) -> tuple[F64, Mask]:
        """Books of different depths [4, n, 5], and which rows carried one."""
        marks = (table[1] == _ROW).nonzero()[0]
        if len(marks) != self.n or marks[0] != 0:
            raise NotPlain
        row = np.repeat(np.arange(self.n), np.diff(np.append(marks, table.shape[1])))
        level = np.arange(len(row)) - marks[row] - 1
        take = (level >= 0) & (level < DEPTH_LEVELS)
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

    def _bars(self, *, plain: bool = True) -> tuple[F64, F64]:
        """The broker's day and last finished minute: [n, 6] each."""
        chunks = self.market.marketOHLC.ohlc[:]
        plain = plain and len(chunks) == 3 * self.n and chunks[::3] == [_BARS] * self.n
        if plain:
            del chunks[::3]
        bars = OHLCs.FromString(_BAR_MARK + _BAR_MARK.join(chunks))
        table = _table((bars.open, bars.high, bars.low, bars.close, bars.vol, bars.ts), len(chunks))
        names = bars.interval[:]
        if plain and names == _BAR_NAMES * self.n:
            both = table.reshape(6, self.n, 2)
            self.mask |= _HAS_DAY | _HAS_MINUTE
        else:
            if plain:  # two bars each, but not these two
                return self._bars(plain=False)
            both = self._odd_bars(table, names)
        good = (both >= 0.0) & (both <= _BAR_HIGH)
        if not good.all():
            lost: Mask = np.logical_not(good.all(axis=0))
            both = np.where(lost[None], 0.0, both)
            self._lose(lost[:, 0], _HAS_DAY)
            self._lose(lost[:, 1], _HAS_MINUTE)
        day, minute = both.transpose(2, 1, 0)
        return day, minute

    def _odd_bars(self, table: F64, names: list[str]) -> F64:
        """The first bar of either name of each row: [6, n, 2]."""
        found: list[list[int]] = []
        at = -1
        name = _NAME
        # The last name behind a mark is the bar's; a bar without a name is noise.
        for word in [*names[1:], _NAME]:
            if word != _NAME:
                name = word
                continue
            at += 1
            if name == _NEW_ROW:
                found.append([-1, -1])
            elif found and name in ("1d", "I1"):
                which = name == "I1"
                if found[-1][which] < 0:
                    found[-1][which] = at
            name = ""
        if len(found) != self.n or at + 1 != table.shape[1] or names[0] != _NAME:
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
        table = _table(
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
        good = (numbers >= _LOW) & (numbers <= _HIGH)
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
