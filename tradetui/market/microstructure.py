"""What trades and book tell beyond the last price, for all instruments by slot.

`Microstructure.apply` goes around `Quotes.apply`. It only writes the frame's trades down, each with the best bid and
ask that stood *before* the frame, and takes over the new ones. The sums (`trade_flow`, `profile`) are made of many
frames at once, when the notes are full or somebody reads; what comes out is the same to the last bit however they
were cut. What follows from the present book, the day's bar or past sessions (`book_measures`, `day_measures`,
`relative_volume`) is worked out when it is read.

What counts:

* The *session* is the IST day of engine time. Trades stamped before it do not count, and with the first event of a
  new day all sums begin again.
* Volume is the step of the day's volume (`Quotes`). The part that traded before the first frame, or while the
  connection was down, was not seen: it counts with the broker's average price in `vwap`, and nowhere else. So
  volume seen and unseen together are the day's, but for the exchange's own corrections.
* Trades outside continuous trading (auctions, after the close) count for volume, VWAP and profile, but nobody
  crossed a spread. The same holds for late trades: the book before them is not known any more.
"""

from __future__ import annotations

from struct import pack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import DAY_NS, day_start_ns, ist_date
from tradetui.domain.events import PastDaysEvent
from tradetui.domain.market_data import F64, I64, FrameKind, Has, Px, TickBatch
from tradetui.market.book_measures import BookMeasures, book_measures
from tradetui.market.growing import longer
from tradetui.market.past_days import PastDays
from tradetui.market.profile import Profile, Profiles, TickSize
from tradetui.market.quotes import Quotes, TradeColumns, Trades
from tradetui.market.sessions import NS_PER_MS
from tradetui.market.trade_flow import Portion, TradeFlow

NOTES: Final = 2048
"""Trades that are written down before they are summed up, all at once."""

_SLOT, _PRICE, _VOLUME, _LTT, _LATE, _BID, _ASK = range(7)
_WIDTH: Final = 7
_FULL, _DEPTH, _BEST = int(Has.FULL), int(Has.DEPTH), int(Has.BEST)
_SNAPSHOT: Final = FrameKind.SNAPSHOT
_BEST_BID_AT, _BEST_ASK_AT = 0, 10
"""Where the best prices stand in a book of 4 x 5 numbers laid out in one row."""
_FEW: Final = 16
"""Rows up to which one by one is faster than vector operations."""
_SHORT_SLOTS: Final = 1 << 16
"""Slots below this fit into 16 bits, which numpy sorts by digits instead of by comparison: nine times as fast."""


class Microstructure:
    """Trade flow of the session by slot. See the module for what counts.

    Args:
        quotes: Market state; read after each frame was merged.
        tick_size: Price step of a slot, rupees; asked once a slot.

    Attributes:
        first_oi: float64 by slot, first open interest of the session, units; 0 before it.
        first_price: float64 by slot, last price at that moment, rupees.
        past: What past sessions came to.
    """

    def __init__(self, quotes: Quotes, tick_size: TickSize) -> None:
        self._quotes = quotes
        self._tick_size = tick_size
        self.capacity = quotes.capacity
        self._flow = TradeFlow(self.capacity)
        self._profiles = Profiles(tick_size, self.capacity)
        self.past = PastDays(self.capacity)
        # Written now: the first touch of fresh pages costs tens of microseconds each.
        self._notes: F64 = np.full((_WIDTH, NOTES), 0.0)
        self._noted = 0
        self._cells: list[float] = []  # of trades that came one by one, row after row
        self._best_bid: F64 = np.zeros(self.capacity)
        self._best_ask: F64 = np.zeros(self.capacity)
        # Slots of which a full-mode row came this session: what traded before it is known.
        self._based: NDArray[np.bool_] = np.zeros(self.capacity, np.bool_)
        # Slots of whose book only the best level is read: four more are zero because nobody looked.
        self._shallow: NDArray[np.bool_] = np.zeros(self.capacity, np.bool_)
        self._any_shallow = False
        self._tick: F64 = np.zeros(self.capacity)
        self._from_ns = self._until_ns = 0
        self.first_oi: F64 = np.zeros(self.capacity)
        self.first_price: F64 = np.zeros(self.capacity)

    # --- taking in ------------------------------------------------------------------------------------

    def apply(self, batch: TickBatch, t_ns: int) -> Trades:
        """Merge one frame into the market state at engine time ``t_ns``, and take in what it told."""
        self.turn(t_ns)
        trades = self._quotes.apply(batch, t_ns)
        self.update(batch, trades)
        return trades

    def turn(self, t_ns: int) -> None:
        """Turn to the session of ``t_ns``. To be called before the market state takes in anything of that time."""
        if self._from_ns <= t_ns < self._until_ns:
            return
        if self._until_ns:
            self.past.add_day(self._quotes, self.midnight_ms)
        self._from_ns = day_start_ns(ist_date(t_ns))
        self._until_ns = self._from_ns + DAY_NS
        # Nobody read the rest of the old session, and nobody can any more.
        self._noted = 0
        self._cells.clear()
        self._flow.reset()
        self._profiles.reset()
        for column in (self._based, self._best_bid, self._best_ask, self.first_oi, self.first_price):
            column[:] = 0

    def update(self, batch: TickBatch, trades: Trades) -> None:
        """Take in one frame that ``quotes`` has just merged, with the trades it told of."""
        quotes = self._quotes
        if quotes.capacity > self.capacity:
            self._grow(quotes.capacity)
        if not len(batch):
            return
        snapshot = batch.kind is _SNAPSHOT
        if isinstance(trades, TradeColumns):
            self._note_columns(trades, snapshot)
        elif trades:
            bids, asks, cells = self._best_bid.item, self._best_ask.item, self._cells
            for slot, ltt_ms, price, volume, _, _, late in trades:
                cells += (
                    slot,
                    price,
                    0 if snapshot else volume,
                    ltt_ms,
                    late,
                    bids(slot),
                    asks(slot),
                )
            if self._noted * _WIDTH + len(cells) >= NOTES * _WIDTH:
                self.settle()
        # From here on the new book is the one that stands before the next frame.
        slots = batch.slot
        if len(slots) > _FEW:
            book = quotes.depth.reshape(self.capacity, -1).take(slots, axis=0)
            self._best_bid[slots] = book[:, _BEST_BID_AT]
            self._best_ask[slots] = book[:, _BEST_ASK_AT]
            based = bool(self._based.take(slots).all())
            if self._any_shallow or (batch.mask & _BEST).any():
                self._any_shallow = True
                books = (batch.mask & _DEPTH) != 0
                self._shallow[slots[books]] = (batch.mask[books] & _BEST) != 0
        else:
            depth, based = quotes.depth.item, True
            for slot, mask in zip(slots.tolist(), batch.mask.tolist(), strict=True):
                self._best_bid[slot] = depth(slot, 0, 0)
                self._best_ask[slot] = depth(slot, 2, 0)
                based = based and self._based.item(slot)
                if mask & _BEST or (self._any_shallow and mask & _DEPTH):
                    self._any_shallow = True
                    self._shallow[slot] = mask & _BEST != 0
        if snapshot or not based:
            self._rebase(batch, snapshot)

    def _note_columns(self, trades: TradeColumns, snapshot: bool) -> None:
        if self._cells:
            self._note_cells()
        done, total = 0, len(trades)
        while done < total:
            if self._noted == NOTES:
                self._sum_up()
            here = slice(self._noted, self._noted + min(NOTES - self._noted, total - done))
            part = slice(done, done + here.stop - here.start)
            slots, notes = trades.slot[part], self._notes
            notes[_SLOT, here] = slots
            notes[_PRICE, here] = trades.price[part]
            notes[_VOLUME, here] = 0.0 if snapshot else trades.volume[part]
            notes[_LTT, here] = trades.ltt_ms[part]
            notes[_LATE, here] = trades.late[part]
            notes[_BID, here] = self._best_bid.take(slots)
            notes[_ASK, here] = self._best_ask.take(slots)
            self._noted, done = here.stop, part.stop

    def _note_cells(self) -> None:
        """Move the trades that came one by one to the others."""
        cells = self._cells
        # Packing is twice as fast as np.array, and plain numbers keep the garbage collector asleep.
        rows = np.frombuffer(pack(f"{len(cells)}d", *cells), np.float64).reshape(-1, _WIDTH).T
        cells.clear()
        done, total = 0, rows.shape[1]
        while done < total:
            if self._noted == NOTES:
                self._sum_up()
            count = min(NOTES - self._noted, total - done)
            self._notes[:, self._noted : self._noted + count] = rows[:, done : done + count]
            self._noted, done = self._noted + count, done + count

    def settle(self) -> None:
        """Sum up what was written down. Every read does it first."""
        if self._cells:
            self._note_cells()
        if self._noted:
            self._sum_up()

    def _sum_up(self) -> None:
        self._add(self._notes[:, : self._noted])
        self._noted = 0

    def _add(self, notes: F64) -> None:
        slots = notes[_SLOT].astype(np.uint16 if self.capacity <= _SHORT_SLOTS else np.int64)
        # Stable: the trades of an instrument stay in their order.
        notes = notes.take(np.argsort(slots, kind="stable"), axis=1)
        midnight_ms = self.midnight_ms
        if notes[_LTT].min() < midnight_ms:
            notes = notes[:, notes[_LTT] >= midnight_ms]
            if not notes.shape[1]:
                return
        slot, ltt = notes[_SLOT].astype(np.int64), notes[_LTT]
        sessions = self._quotes.sessions
        sessions.fill(slot.astype(np.int32))
        portion = Portion(
            slot,
            notes[_PRICE],
            notes[_VOLUME].astype(np.int64),
            notes[_BID],
            notes[_ASK],
            notes[_LATE] != 0,
            (ltt >= sessions.start_ms.take(slot)) & (ltt < sessions.end_ms.take(slot)),
        )
        counted = self._flow.add(portion)
        if counted.all():
            self._profiles.add(slot, portion.price, portion.volume)
        elif counted.any():
            self._profiles.add(slot[counted], portion.price[counted], portion.volume[counted])

    def _rebase(self, batch: TickBatch, snapshot: bool) -> None:
        """Take over from the broker what traded unseen: with a snapshot, and a slot's first row of the session."""
        full = (batch.mask & _FULL) != 0
        rows = full if snapshot else full & ~self._based[batch.slot]
        if not rows.any():
            return
        self.settle()
        quotes, slots = self._quotes, batch.slot[rows].astype(np.int64)
        today = quotes.ltt_ms[slots] >= self.midnight_ms
        self._flow.rebase(slots, np.where(today, quotes.vtt[slots], 0), quotes.atp[slots])
        self._based[slots] = True
        oi = quotes.oi[slots]
        new = (self.first_oi[slots] == 0) & (oi > 0)
        self.first_oi[slots[new]] = oi[new]
        self.first_price[slots[new]] = quotes.px[slots[new], Px.LTP]

    def take_past(self, event: PastDaysEvent) -> None:
        """Take in what past sessions of one instrument came to."""
        if event.slot >= self.capacity:
            # Heard of before its first frame: the columns of the market state are not that long yet.
            self.past.grow_for(event.slot)
        self.past.take(event)

    def _grow(self, capacity: int) -> None:
        for name in ("_best_bid", "_best_ask", "_based", "_shallow", "_tick", "first_oi", "first_price"):
            setattr(self, name, longer(getattr(self, name), capacity))
        self._flow.grow(capacity)
        self._profiles.grow(capacity)
        self.past.grow_for(capacity - 1)
        self.capacity = capacity

    # --- reading --------------------------------------------------------------------------------------

    @property
    def midnight_ms(self) -> int:
        """Midnight IST at which the session's day began, epoch ms; 0 before the first event."""
        return self._from_ns // NS_PER_MS

    @property
    def flow(self) -> TradeFlow:
        """Sums of the session by slot, up to now. Do not write to the columns."""
        self.settle()
        return self._flow

    def profile(self, slot: int) -> Profile:
        """Volume at price of one instrument, this session."""
        self.settle()
        return self._profiles.of(slot)

    def delta(self, slots: I64) -> I64:
        """Cumulative volume delta of the session, units: what buyers began less what sellers began."""
        flow = self.flow
        return flow.buy_volume[slots] - flow.sell_volume[slots]

    def unclassified(self, slots: I64) -> I64:
        """Units seen of which nobody can say who began the trade."""
        flow = self.flow
        return flow.volume[slots] - flow.buy_volume[slots] - flow.sell_volume[slots]

    def vwap(self, slots: I64) -> F64:
        """Average price of the session weighted by volume, rupees; NaN without any.

        Of the trades seen, and of the unseen volume as the broker's average told it when it was noticed.
        """
        flow = self.flow
        volume = flow.volume[slots] + flow.base_volume[slots]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(volume > 0, (flow.value(slots) + flow.base_value[slots]) / volume, np.nan)

    def vwap_seen(self, slots: I64) -> F64:
        """The same of the trades seen alone, rupees; NaN without any."""
        flow = self.flow
        with np.errstate(invalid="ignore", divide="ignore"):
            volume = flow.volume[slots]
            return np.where(volume > 0, flow.value(slots) / volume, np.nan)

    def deviation(self, slots: I64) -> F64:
        """Standard deviation of the price of the units seen, rupees; NaN without any.

        VWAP plus and minus one and two of it are the usual bands.
        """
        return np.sqrt(self.flow.variance(slots))

    def vwap_band(self, slots: I64, deviations: float) -> F64:
        """VWAP plus a number of standard deviations (negative: below it), rupees."""
        return self.vwap(slots) + deviations * self.deviation(slots)

    def book(self, slots: I64) -> BookMeasures:
        """Spread, microprice and imbalance of the present books; of five levels only where five are read."""
        return book_measures(self._quotes.depth[slots], self.tick_size(slots), self._shallow[slots])

    def tick_size(self, slots: I64) -> F64:
        """Price step of each, rupees; 0 where none is known."""
        for slot in slots[self._tick[slots] == 0].tolist():
            self._tick[slot] = self._tick_size(slot)
        return self._tick[slots]
