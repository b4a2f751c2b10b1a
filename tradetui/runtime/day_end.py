"""What each session ended with, for the store: official close, average price, volume, open interest."""

from __future__ import annotations

from tradetui.domain.calendar import ist_date
from tradetui.domain.market_data import Bar, Px, Qty
from tradetui.engine import Engine
from tradetui.storage.market import DayStats

_NS_PER_MS = 1_000_000


def day_stats(engine: Engine) -> list[DayStats]:
    """One row for each instrument whose session is known.

    The session is that of the broker's day bar, else of the last trade: a quote read on a Saturday is Friday's.
    """
    quotes, rows = engine.quotes, []
    for slot in range(min(len(engine.universe), quotes.capacity)):
        moment_ms = int(quotes.day[slot, Bar.TS_MS]) or int(quotes.qty[slot, Qty.LTT_MS])
        if not moment_ms:
            continue
        rows.append(
            DayStats(
                slot=slot,
                session=ist_date(moment_ms * _NS_PER_MS),
                prev_close=float(quotes.px[slot, Px.CLOSE]),
                official_close=float(quotes.official_close[slot]),
                atp=float(quotes.px[slot, Px.ATP]),
                volume=int(quotes.qty[slot, Qty.VTT]),
                oi=float(quotes.px[slot, Px.OI]),
            )
        )
    return rows
