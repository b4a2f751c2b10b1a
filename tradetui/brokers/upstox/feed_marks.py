"""The marks that `feed_columns.py` puts between rows, and the columns read back by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tradetui.domain.market_data import F64
from tradetui.pb.market_feed_v3_columns_pb2 import Entry
from tradetui.pb.market_feed_v3_pb2 import OHLC, Quote

MARK: Final = (1 << 39) - 1
"""The number before each row's in a column. No price or quantity is so high and no time of trading so early."""
ROW: Final = (1 << 38) - 1
"""Bid quantity of the quote that is put before each row's book."""
KEY, NAME, NEW_ROW = "\x00", "\x00", "\x01"
"""Marks among the keys and the bars' names; the bar of the last name is put before each row's bars."""


class NotPlain(Exception):
    """The frame must be read row by row: it is damaged, or it holds what columns cannot tell apart."""


def _marked(message: Any, *, auction: bool) -> None:
    """Set every number of a message to the mark; those of the auction only if asked for."""
    for field in message.DESCRIPTOR.fields:
        rare = field.name in ("iep", "rp", "ieq", "iiqTotal", "iiqM")
        if field.message_type is None and field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_INT64):
            if auction or not rare:
                setattr(message, field.name, MARK)
        elif rare and auction:
            message.iep.value = MARK


BOOK: Final = Quote(bidQ=ROW, bidP=1.0, askQ=1, askP=1.0).SerializeToString()
"""The quote before each row's book."""
BARS: Final = OHLC(interval=NEW_ROW, open=1.0, high=1.0, low=1.0, close=1.0, vol=1, ts=1).SerializeToString()
"""The bar before each row's bars."""


def _mark_of_row(*, auction: bool) -> bytes:
    """What is put before the bytes of each instrument: an entry of marks, merged with what follows."""
    entry = Entry(key=KEY)
    market = entry.value.fullFeed.marketFF
    for part in (market, market.ltpc, market.optionGreeks):
        _marked(part, auction=auction)
    market.marketLevel.bidAskQuote.append(Quote.FromString(BOOK))
    market.marketOHLC.ohlc.append(OHLC.FromString(BARS))
    return entry.SerializeToString()


ROW_MARK: Final = _mark_of_row(auction=False)
ROW_MARK_AUCTION: Final = _mark_of_row(auction=True)
QUOTE_MARK: Final = Quote(bidQ=MARK, bidP=MARK, askQ=MARK, askP=MARK).SerializeToString()
BAR_MARK: Final = OHLC(
    interval=NAME, open=MARK, high=MARK, low=MARK, close=MARK, vol=MARK, ts=MARK
).SerializeToString()
BAR_NAMES: Final = [NAME, "1d", NAME, "I1"]
"""Names of a row's bars, marks among them, as the broker sends them to everybody."""


def table_of(columns: Sequence[Any], rows: int) -> F64:
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
