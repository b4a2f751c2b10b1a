"""The day's bars: our own from trades, and the broker's own row beside it."""

from __future__ import annotations

import numpy as np

from tradetui.domain.market_data import F64, I64, Bar, BarSource, Candle, Px
from tradetui.market.folding import Gaps, Ohlcv, sane, with_late_trade
from tradetui.market.quotes import Quotes

DAY_S = 86_400
_FAR = 1 << 62


class DayBars:
    """Bars of one session by slot, labelled with midnight IST. Part of `candles.CandleBuilder`.

    Args:
        quotes: Market state: the broker's session row, open interest, session times.
        gaps: When the feed was down.
        settle_ms: How long after the end of continuous trading the bars wait for post-close volume.

    Attributes:
        bar: float64 [capacity, 5], open, high, low, close of continuous trading; open 0 before the first trade.
        vtt: int64, the exchange's volume of the day, all phases, units.
    """

    def __init__(self, quotes: Quotes, gaps: Gaps, settle_ms: int) -> None:
        self._quotes = quotes
        self._gaps = gaps
        self._settle_ms = settle_ms
        self.bar: F64 = np.zeros((quotes.capacity, 5))
        self.vtt: I64 = np.zeros(quotes.capacity, np.int64)
        self.reset()

    def reset(self) -> None:
        """Begin the day that the session table is at."""
        self.bar[:] = 0.0
        self.vtt[:] = 0
        self._done: set[int] = set()
        self._due_ms = _FAR
        self._midnight_ms = self._quotes.sessions.midnight_ms

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` slots."""
        more = capacity - len(self.vtt)
        self.bar = np.concatenate([self.bar, np.zeros((more, 5))])
        self.vtt = np.concatenate([self.vtt, np.zeros(more, np.int64)])

    def trade(self, slot: int, price: float, end_ms: int, late: bool) -> None:
        """Take in a trade of continuous trading, which ends today at ``end_ms``."""
        o, h, low, c, _ = self.bar[slot].tolist()
        if o:
            self.bar[slot] = with_late_trade((o, h, low, c, 0.0), price, 0, newest=not late)
        else:
            self.bar[slot] = (price, price, price, price, 0.0)
            self._due_ms = min(self._due_ms, end_ms + self._settle_ms)

    def settle(self, t_ms: int, out: list[Candle]) -> None:
        """Close the bars whose session has been over for long enough."""
        if t_ms < self._due_ms:
            return
        self._due_ms = _FAR
        for slot in np.flatnonzero(self.bar[:, Bar.OPEN]).tolist():
            due_ms = self._quotes.sessions.bounds(slot)[1] + self._settle_ms
            if slot in self._done:
                continue
            if due_ms <= t_ms:
                self.finish(slot, out)
            else:
                self._due_ms = min(self._due_ms, due_ms)

    def finish(self, slot: int, out: list[Candle]) -> None:
        """Close the bars of one slot, once."""
        if slot in self._done:
            return
        if self.bar[slot, Bar.OPEN]:
            out.append(self.own(slot))
            self._done.add(slot)
        row = self._quotes.day[slot].tolist()
        bar: Ohlcv = (row[0], row[1], row[2], row[3], row[4])
        if int(row[Bar.TS_MS]) == self._midnight_ms and sane(bar):
            self._done.add(slot)
            out.append(self._candle(slot, bar, BarSource.BROKER, False))

    def own(self, slot: int) -> Candle:
        """Our own bar so far."""
        o, h, low, c, _ = self.bar[slot].tolist()
        start_ms, end_ms = self._quotes.sessions.bounds(slot)
        # The day's volume is the exchange's own count, so trades we missed are in it; prices may not be.
        gap = self._gaps.overlap(self._quotes.since_ms.item(slot), start_ms, end_ms)
        return self._candle(slot, (o, h, low, c, float(self.vtt.item(slot))), BarSource.TICKS, gap)

    def _candle(self, slot: int, bar: Ohlcv, source: BarSource, gap: bool) -> Candle:
        oi = self._quotes.px.item(slot, Px.OI)
        return Candle(slot, DAY_S, self._midnight_ms, *bar[:4], int(bar[4]), oi, source, gap)
