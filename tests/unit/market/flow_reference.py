"""The trade flow worked out the slow and obvious way: one trade after the other, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradetui.domain.market_data import FrameKind, Has, Px, TickBatch
from tradetui.market.quotes import Quotes, TradeColumns, Trades


@dataclass
class One:
    """Sums of one instrument."""

    volume: int = 0
    buy: int = 0
    sell: int = 0
    trades: int = 0
    aggressor: int = 0
    reference: float = 0.0
    moment1: float = 0.0
    moment2: float = 0.0
    base_volume: int = 0
    base_value: float = 0.0
    at_price: dict[float, int] = field(default_factory=dict)
    based: bool = False
    first_oi: float = 0.0
    first_price: float = 0.0


class SlowFlow:
    """What `Microstructure` does, row by row."""

    def __init__(self) -> None:
        self.slots: dict[int, One] = {}
        self.last: dict[int, float] = {}
        self.side: dict[int, int] = {}
        self.book: dict[int, tuple[float, float]] = {}
        self.midnight_ms = 0

    def update(self, quotes: Quotes, batch: TickBatch, trades: Trades) -> None:
        if quotes.sessions.midnight_ms != self.midnight_ms:
            self.midnight_ms = quotes.sessions.midnight_ms
            for known in (self.slots, self.last, self.side, self.book):
                known.clear()
        rows = list(trades.rows(trades.slot >= 0)) if isinstance(trades, TradeColumns) else trades
        for trade in rows:
            if trade.ltt_ms < self.midnight_ms:
                continue
            one = self.slots.setdefault(trade.slot, One())
            volume = 0 if batch.kind is FrameKind.SNAPSHOT else trade.volume
            side = 0
            if not trade.late and trade.price > 0:
                side = self._side(trade.slot, trade.price)
            start_ms, end_ms = quotes.sessions.bounds(trade.slot)
            if not start_ms <= trade.ltt_ms < end_ms:
                side = 0
            if volume > 0 and trade.price > 0:
                one.volume += volume
                one.trades += 1
                one.aggressor = side
                one.buy += volume if side > 0 else 0
                one.sell += volume if side < 0 else 0
                one.reference = one.reference or trade.price
                away = trade.price - one.reference
                one.moment1 += away * volume
                one.moment2 += away * volume * away
                one.at_price[trade.price] = one.at_price.get(trade.price, 0) + volume
        for row in range(len(batch)):
            self._row(quotes, batch, row)

    def _side(self, slot: int, price: float) -> int:
        before = self.last.get(slot, 0.0)
        ticked = self.side.get(slot, 0)
        if before and price != before:
            ticked = 1 if price > before else -1
        self.last[slot], self.side[slot] = price, ticked
        bid, ask = self.book.get(slot, (0.0, 0.0))
        if bid and not ask:
            return -1
        if ask and not bid:
            return 1
        if not bid or bid >= ask or abs(2 * price - bid - ask) <= 1e-5:
            return ticked
        return 1 if 2 * price > bid + ask else -1

    def _row(self, quotes: Quotes, batch: TickBatch, row: int) -> None:
        slot = batch.slot.item(row)
        self.book[slot] = (quotes.depth.item(slot, 0, 0), quotes.depth.item(slot, 2, 0))
        one = self.slots.setdefault(slot, One())
        if not batch.mask.item(row) & Has.FULL or (one.based and batch.kind is not FrameKind.SNAPSHOT):
            return
        one.based = True
        vtt = quotes.vtt.item(slot) if quotes.ltt_ms.item(slot) >= self.midnight_ms else 0
        atp = quotes.atp.item(slot)
        one.base_volume, one.base_value = 0, 0.0
        if vtt > one.volume and atp > 0:
            one.base_volume = vtt - one.volume
            one.base_value = atp * vtt - (one.reference * one.volume + one.moment1)
        oi = quotes.oi.item(slot)
        if not one.first_oi and oi > 0:
            one.first_oi, one.first_price = oi, quotes.px.item(slot, Px.LTP)
