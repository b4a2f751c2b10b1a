"""Every measure of some instruments at one moment, for whoever shows or scans them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64, I64, Bar, Px
from tradetui.market import day_measures as of_day
from tradetui.market.book_measures import BookMeasures
from tradetui.market.microstructure import Microstructure
from tradetui.market.quotes import Quotes
from tradetui.market.sessions import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Measures:
    """Columns by row of the slots that were asked for. NaN where something is not known.

    Attributes:
        book: Spread, microprice, imbalance.
        vwap: Average price of the session, rupees.
        deviation: Standard deviation of the prices around it, rupees.
        aggressor: Who began the newest trade: 1 a buyer, -1 a seller, 0 not known.
        delta: Cumulative volume delta, units.
        seen: Units that the delta and the deviation are made of.
        unclassified: Of them, units of which nobody can say who began the trade.
        relative_volume: Volume over the usual one by this time of day.
        day_position: 0 at the day's low, 1 at its high.
        gap_percent: Today's open from the previous close.
        from_high_percent, from_low_percent: From the high and low of 52 weeks, today's included.
        oi_change: Change of the open interest since the end of the last session, units.
        oi_change_percent: The same in percent.
        oi_change_session: Change since the session's first frame, units.
        build_up: `BuildUp`, since the previous close; since the session's first frame where the open interest at
            that close is not known.
    """

    book: BookMeasures
    vwap: F64
    deviation: F64
    aggressor: NDArray[np.int8]
    delta: I64
    seen: I64
    unclassified: I64
    relative_volume: F64
    day_position: F64
    gap_percent: F64
    from_high_percent: F64
    from_low_percent: F64
    oi_change: F64
    oi_change_percent: F64
    oi_change_session: F64
    build_up: NDArray[np.int8]


def measure(quotes: Quotes, micro: Microstructure, slots: I64, now_ns: int) -> Measures:
    """Measure some instruments.

    Args:
        quotes: Market state.
        micro: Its trade flow; has taken in the same frames.
        slots: Instruments that have been seen (slots below the capacity).
        now_ns: Engine time.
    """
    now_ms = now_ns // NS_PER_MS
    px, day, past, flow = quotes.px[slots], quotes.day[slots], micro.past, micro.flow
    last, close, oi = px[:, Px.LTP], px[:, Px.CLOSE], px[:, Px.OI]
    # Until the first trade of a day the broker's bar is the last session's.
    today = day[:, Bar.TS_MS] >= micro.midnight_ms
    traded = quotes.ltt_ms[slots] >= micro.midnight_ms
    opened, high, low = (np.where(today, day[:, column], 0.0) for column in (Bar.OPEN, Bar.HIGH, Bar.LOW))
    year_high, year_low = past.high_rupees[slots], past.low_rupees[slots]
    known = year_high > 0
    oi_before = past.oi[slots]
    price_before = np.where(oi_before > 0, close, micro.first_price[slots])
    start_ms = quotes.sessions.start_ms[slots]
    return Measures(
        book=micro.book(slots),
        vwap=micro.vwap(slots),
        deviation=micro.deviation(slots),
        aggressor=flow.aggressor[slots],
        delta=micro.delta(slots),
        seen=flow.volume[slots],
        unclassified=micro.unclassified(slots),
        relative_volume=past.volume.ratio(
            slots, np.where(traded, quotes.vtt[slots], 0), np.where(start_ms > 0, now_ms - start_ms, 0)
        ),
        day_position=of_day.range_position(last, low, high),
        gap_percent=of_day.percent_from(opened, close),
        from_high_percent=of_day.percent_from(last, np.where(known, np.maximum(year_high, high), 0.0)),
        from_low_percent=of_day.percent_from(
            last, np.where(known, np.where(low > 0, np.minimum(year_low, low), year_low), 0.0)
        ),
        oi_change=of_day.oi_change(oi, oi_before),
        oi_change_percent=of_day.percent_from(oi, oi_before),
        oi_change_session=of_day.oi_change(oi, micro.first_oi[slots]),
        build_up=of_day.build_up(
            last, price_before, oi, np.where(oi_before > 0, oi_before, micro.first_oi[slots])
        ),
    )
