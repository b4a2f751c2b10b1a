"""Ticks into bars: one minute from trades, longer ones from finished minutes, the day from trades (weeks: `periods`).

The bar policy (ADR "Bars: what closes a minute and who is right about it" has the measurements):

* **Which trades.** Only those of continuous trading: pre-open, closing auction and post-close prices never
  enter a bar (``outside`` counts them; the day's volume still includes theirs). The first sight of an
  instrument is a baseline: its volume until then belongs to the day, not to a minute.
* **Which bar.** By the exchange's trade time, in buckets anchored to the start of continuous trading. Minutes
  without trades are absent. The last bar of a session may be cut short by its end.
* **When a minute closes.** When the broker's own figures for it (`I1`) arrive; else when the exchange's clock
  (the newest trade time of the whole feed) has passed its end by ``grace_ms``; else, when the market is
  silent, when engine time has passed it by ``patience_ms``. The exchange's clock comes first because the
  local clock may be seconds off and the feed may lag: bars wait for a feed that lags, not for our watch.
* **Who is right.** The broker: `I1` replaces what we counted, all five fields, because frames are conflated
  and hide trades. If it arrives after the minute was handed out, a revised bar follows in `take_revised`,
  and one for every longer bar it ends; indicators are not rewound.
* **Late trades** (out of order, or after the minute closed). In the forming or waiting minute they extend high,
  low and volume; in the last finished minute too, unless the broker's figures are in it already, and the
  revised bar is handed out when the next minute closes. Older ones go into the day only (``late_dropped``).
* **Longer bars** merge finished minutes. They close with their last minute, or by the clocks above.
* **The day** from trades: open of the first we saw, high, low, last; volume is the exchange's day volume.
  Beside it the broker's own `1d` row as a second bar with ``source`` BROKER. Both are labelled with
  midnight IST and close at `finish_day`, or ``settle_ms`` after the session's end, or when the date changes.
* **Gaps.** A bar that began before we joined, or that overlaps a time the feed was down (`mark_gap`), says
  ``gap``, whoever's figures it holds. The volume stepped over by a gap belongs to the day, not to the
  minute that shows it, unless the gap began in the same minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np

from tradetui.domain.errors import DomainError
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import F64, I64, Bar, BarSource, Candle, Has, Px, TickBatch
from tradetui.market.days import DAY_S, DayBars
from tradetui.market.folding import MINUTE_MS, Fold, Gaps, Minutes, Ohlcv, merge, sane, with_late_trade
from tradetui.market.quotes import Quotes, Trade, TradeColumns, Trades
from tradetui.market.sessions import NS_PER_MS

MINUTE_S = 60
DEFAULT_INTERVALS = tuple(INTERVALS.values())

_FAR = 1 << 62
_SCALAR_ROWS = 12
CLOSE_LIMIT = 200
"""Bars the clock closes in one call: with history and indicators about two milliseconds of work."""
_HAS_MINUTE, _HAS_INDEX = int(Has.MINUTE), int(Has.INDEX)
_V, _TS, _OI = int(Bar.VOLUME), int(Bar.TS_MS), int(Px.OI)


class CandleBuilder:
    """Builds the bars of every instrument. Feed it frames and time in the order of events.

    Args:
        quotes: Market state that `Quotes.apply` has already brought up to date when a frame arrives here.
        intervals: Seconds; multiples of 60, at least 60 itself, and 86,400 for the day. Longer ones are made
            of days, by `periods`.
        grace_ms: How long to wait for the broker's minute, by the exchange's clock.
        patience_ms: How long to wait by engine time when the exchange's clock stands still.
        settle_ms: How long after the session's end the day's bars wait for the official close and post-close
            volume.

    Attributes:
        outside: Trades outside continuous trading.
        late: Trades that arrived out of order or after their minute had closed.
        late_dropped: Those too old for any minute that can still be revised.
        confirmed: Minutes closed by the clock whose broker's figures, coming later, were the same.
        gaps: When the feed was down.
        behind: More bars are due than one call closes; call again soon, with a frame or the time.

    Raises:
        DomainError: An interval is not a positive multiple of 60 seconds.
    """

    def __init__(
        self,
        quotes: Quotes,
        *,
        intervals: Sequence[int] = DEFAULT_INTERVALS,
        grace_ms: int = 3_000,
        patience_ms: int = 15_000,
        settle_ms: int = 30 * MINUTE_MS,
    ) -> None:
        if MINUTE_S not in intervals or any(s <= 0 or s % MINUTE_S for s in intervals):
            raise DomainError(f"intervals must be multiples of 60 seconds with 60 among them: {intervals}")
        self.quotes = quotes
        self.intervals = tuple(sorted(set(intervals)))
        self._higher = tuple(s for s in self.intervals if MINUTE_S < s < DAY_S)
        self._grace_ms = grace_ms
        self._patience_ms = patience_ms
        self.outside = self.late = self.late_dropped = self.confirmed = 0
        self.behind = False
        self._revised: list[Candle] = []
        self.gaps = Gaps()
        self._days = DayBars(quotes, self.gaps, settle_ms)
        self._day: date | None = None
        self._allocate(quotes.capacity)
        self._reset()

    def _allocate(self, capacity: int) -> None:
        self._start: I64 = np.zeros(capacity, np.int64)
        self._bar: F64 = np.zeros((capacity, 5))
        self._resync = np.zeros(capacity, np.bool_)
        self._told: F64 = np.zeros((capacity, len(Bar)))
        self._fold_end: I64 = np.full((capacity, len(self._higher)), _FAR, np.int64)
        self._minutes = [self._new_minutes() for _ in range(capacity)]

    def _new_minutes(self) -> Minutes:
        return Minutes([Fold() for _ in self._higher])

    def _grow(self, capacity: int) -> None:
        old = len(self._start)
        more = capacity - old
        for name in ("_start", "_bar", "_resync", "_told", "_fold_end"):
            column = getattr(self, name)
            fill = _FAR if name == "_fold_end" else 0
            extra = np.full((more, *column.shape[1:]), fill, column.dtype)
            setattr(self, name, np.concatenate([column, extra]))
        self._minutes.extend(self._new_minutes() for _ in range(more))
        self._days.grow(capacity)

    def _reset(self) -> None:
        """Forget the day. Gaps and what is known of the feed's continuity stay."""
        self._start[:] = 0
        self._fold_end[:] = _FAR
        for slot in range(len(self._minutes)):
            self._minutes[slot] = self._new_minutes()
        self._waiting: set[int] = set()
        self._due_ms = _FAR
        self.behind = False

    # --- what the engine calls ---

    def on_batch(self, t_ns: int, batch: TickBatch, trades: Trades) -> list[Candle]:
        """Take in one frame; return the bars it finished, ordered by interval, slot and start.

        Args:
            t_ns: Engine time.
            batch: The frame, for the broker's finished minutes.
            trades: What `Quotes.apply` returned for it.
        """
        out: list[Candle] = []
        self._turn_day(out)
        if len(self._start) < self.quotes.capacity:
            self._grow(self.quotes.capacity)
        if isinstance(trades, list):
            for trade in trades:
                self._trade(trade, out)
        else:
            self._trade_columns(trades, out)
        self._broker_minutes(t_ns // NS_PER_MS, batch, out)
        self._pass_time(t_ns // NS_PER_MS, out)
        return _ordered(out)

    def on_time(self, t_ns: int) -> list[Candle]:
        """Let time pass without a frame; return the bars it finished."""
        out: list[Candle] = []
        self.quotes.sessions.roll(t_ns // NS_PER_MS)
        self._turn_day(out)
        self._pass_time(t_ns // NS_PER_MS, out)
        return _ordered(out)

    def mark_gap(self, from_ns: int, to_ns: int | None = None) -> None:
        """Say that the feed was down. ``to_ns`` None: it still is; call again with its end."""
        from_ms = from_ns // NS_PER_MS
        self.gaps.mark(from_ms, _FAR if to_ns is None else -(-to_ns // NS_PER_MS))
        self._resync[:] = True

    def take_revised(self) -> list[Candle]:
        """Bars handed out before whose figures were corrected since; each call empties the list."""
        revised, self._revised = self._revised, []
        return _ordered(revised)

    def forming(self, slot: int, interval_s: int) -> Candle | None:
        """The unfinished bar, minutes that wait for the broker included; None if there is none.

        Raises:
            DomainError: The interval is not built.
        """
        if interval_s not in self.intervals:
            raise DomainError(f"no bars of {interval_s} seconds are built")
        if slot >= len(self._start):
            return None
        if interval_s == DAY_S:
            return self._days.own(slot) if self._days.bar[slot, 0] else None
        minutes = self._minutes[slot]
        parts = [(minutes.pending_ms, minutes.pending)] if minutes.pending_ms else []
        if self._start[slot]:
            parts.append((self._start.item(slot), _ohlcv(self._bar, slot)))
        if interval_s == MINUTE_S:
            return self._candle(slot, MINUTE_S, *parts[-1], False) if parts else None
        fold = minutes.folds[self._higher.index(interval_s)]
        bar = fold.bar if fold.open else None
        start_ms = fold.start_ms
        for minute_ms, part in parts:
            bucket = self._bucket(slot, interval_s, minute_ms)
            bar = merge(bar, part) if bar is not None and bucket == start_ms else part
            start_ms = bucket
        return None if bar is None else self._candle(slot, interval_s, start_ms, bar, False)

    def finish_day(self) -> list[Candle]:
        """Close everything: the day is over, or the feed has ended for good."""
        out: list[Candle] = []
        self._close_due(_FAR - 1, out, limit=_FAR)
        for slot in range(len(self._minutes)):
            self._flush_dirty(slot)
            if DAY_S in self.intervals:
                self._days.finish(slot, out)
        self._reset()
        self._days.reset()
        return _ordered(out)

    # --- trades ---

    def _turn_day(self, out: list[Candle]) -> None:
        sessions = self.quotes.sessions
        if sessions.day == self._day:
            return
        if self._day is not None:
            out.extend(self.finish_day())
        self._day = sessions.day
        self._days.reset()
        self.gaps.forget(sessions.midnight_ms)

    def _trade_columns(self, trades: TradeColumns, out: list[Candle]) -> None:
        slot, ltt_ms, price = trades.slot, trades.ltt_ms, trades.price
        into_ms = ltt_ms - self._start[slot]
        # Within the forming minute, unless the session's end cuts it short; without one it is far beyond.
        plain = (into_ms >= 0) & (into_ms < MINUTE_MS) & (ltt_ms < self.quotes.sessions.end_ms[slot])
        plain &= ~(trades.first | trades.late | self._resync[slot])
        if not plain.all():
            rest = trades.rows(~plain)
            trades = trades.where(plain)
            slot, price = trades.slot, trades.price
        else:
            rest = ()
        for bars in (self._bar, self._days.bar):
            bar = bars[slot]
            np.maximum(bar[:, Bar.HIGH], price, out=bar[:, Bar.HIGH])
            np.minimum(bar[:, Bar.LOW], price, out=bar[:, Bar.LOW])
            bar[:, Bar.CLOSE] = price
            if bars is self._bar:
                bar[:, _V] += trades.volume
            bars[slot] = bar
        self._days.vtt[slot] = trades.vtt
        for trade in rest:
            self._trade(trade, out)

    def _trade(self, trade: Trade, out: list[Candle]) -> None:
        slot, ltt_ms, price, volume, vtt, first, late = trade
        start_ms, end_ms = self.quotes.sessions.bounds(slot)
        self._days.vtt[slot] = vtt
        if not start_ms <= ltt_ms < end_ms:
            self.outside += 1
            return
        self._days.trade(slot, price, end_ms, late)
        if first:
            return
        minute_ms = start_ms + (ltt_ms - start_ms) // MINUTE_MS * MINUTE_MS
        forming_ms = self._start.item(slot)
        if self._resync[slot] and not late:
            self._resync[slot] = False
            volume = volume if minute_ms == forming_ms else 0
        minutes = self._minutes[slot]
        if minute_ms == forming_ms:
            bar = self._bar[slot].tolist()
            self._bar[slot] = with_late_trade(bar, price, volume, newest=not late)
            self.late += late
        elif not late and minute_ms > max(forming_ms, minutes.pending_ms, minutes.done_ms):
            if forming_ms:
                self._wait_for_broker(slot, out)
            self._start[slot] = minute_ms
            self._bar[slot] = (price, price, price, price, volume)
            self._due_ms = min(self._due_ms, minute_ms + MINUTE_MS)
        else:
            self._late_trade(slot, minute_ms, price, volume, newest=not (late or forming_ms))

    def _wait_for_broker(self, slot: int, out: list[Candle]) -> None:
        """The next minute has begun: put the forming one aside until its `I1` or the grace is over."""
        minutes = self._minutes[slot]
        if minutes.pending_ms:
            self._finish_pending(slot, out)
        minutes.pending_ms = self._start.item(slot)
        minutes.pending = _ohlcv(self._bar, slot)
        self._start[slot] = 0
        self._waiting.add(slot)

    def _late_trade(self, slot: int, minute_ms: int, price: float, volume: int, newest: bool) -> None:
        self.late += 1
        minutes = self._minutes[slot]
        if minutes.pending_ms and minute_ms == minutes.pending_ms:
            minutes.pending = with_late_trade(minutes.pending, price, volume, newest=newest)
        elif minute_ms == minutes.done_ms and minute_ms:
            if not minutes.done_broker:
                newest = newest and not minutes.pending_ms
                minutes.done = with_late_trade(minutes.done, price, volume, newest=newest)
                minutes.dirty = True
        else:
            self.late_dropped += 1

    # --- the broker's minutes ---

    def _broker_minutes(self, t_ms: int, batch: TickBatch, out: list[Candle]) -> None:
        if len(batch) <= _SCALAR_ROWS:
            rows: Iterable[int] = range(len(batch))
        else:
            news = (batch.mask & _HAS_MINUTE) != 0
            news &= (batch.minute != self._told[batch.slot]).any(axis=1)
            rows = np.flatnonzero(news).tolist()
        now_ms = max(t_ms, batch.server_ms, self.quotes.clock_ms)
        for row in rows:
            mask = batch.mask.item(row)
            if not mask & _HAS_MINUTE:
                continue
            slot = batch.slot.item(row)
            told = batch.minute[row].tolist()
            # A stamp whose minute is not over is looked at again: it may be a forming bar.
            if told[_TS] + MINUTE_MS > now_ms or told == self._told[slot].tolist():
                continue
            self._told[slot] = told
            self._broker_minute(slot, told, bool(mask & _HAS_INDEX), out)

    def _broker_minute(self, slot: int, told: list[float], index: bool, out: list[Candle]) -> None:
        start_ms, end_ms = self.quotes.sessions.bounds(slot)
        minute_ms = int(told[_TS])
        bar: Ohlcv = (told[0], told[1], told[2], told[3], told[_V])
        if not start_ms <= minute_ms < end_ms or (minute_ms - start_ms) % MINUTE_MS or not sane(bar):
            return
        minutes = self._minutes[slot]
        if minute_ms == minutes.done_ms:
            if bar == minutes.done and not minutes.dirty:
                self.confirmed += not minutes.done_broker
                minutes.done_broker = True
            else:
                self._revise(slot, bar)
        elif minute_ms > minutes.done_ms:
            if minutes.pending_ms and minutes.pending_ms < minute_ms:
                self._finish_pending(slot, out)
            forming_ms = self._start.item(slot)
            if forming_ms and forming_ms < minute_ms:
                self._finish_forming(slot, out)
            traded = minute_ms in (minutes.pending_ms, forming_ms)
            if minute_ms == minutes.pending_ms:
                minutes.pending_ms = 0
                self._waiting.discard(slot)
            elif minute_ms == forming_ms:
                self._start[slot] = 0
            if traded or index or bar[4]:  # a flat bar without volume is a minute without trades
                self._finish_minute(slot, minute_ms, bar, True, out)

    def _revise(self, slot: int, bar: Ohlcv) -> None:
        """The broker's figures for a minute that was handed out already."""
        minutes = self._minutes[slot]
        minutes.done = bar
        minutes.done_broker = True
        minutes.dirty = True
        self._flush_dirty(slot)

    def _flush_dirty(self, slot: int) -> None:
        """Hand out the last finished minute again, and the longer bars that end with it."""
        minutes = self._minutes[slot]
        if not minutes.dirty:
            return
        minutes.dirty = False
        broker = minutes.done_broker
        self._revised.append(self._candle(slot, MINUTE_S, minutes.done_ms, minutes.done, broker))
        for interval_s, fold in zip(self._higher, minutes.folds, strict=True):
            fold.revise(minutes.done, broker)
            if not fold.open:
                self._revised.append(self._fold_candle(slot, interval_s, fold))

    # --- closing ---

    def _pass_time(self, t_ms: int, out: list[Candle]) -> None:
        horizon_ms = max(self.quotes.clock_ms - self._grace_ms, t_ms - self._patience_ms)
        if horizon_ms >= self._due_ms:
            self._close_due(horizon_ms, out)
        if DAY_S in self.intervals:
            self._days.settle(t_ms, out)

    def _close_due(self, horizon_ms: int, out: list[Candle], limit: int = CLOSE_LIMIT) -> None:
        """Close bars that ended at or before ``horizon_ms``: about ``limit`` of them, the rest next time."""
        last_ms, full = horizon_ms - MINUTE_MS, len(out) + limit
        self.behind = True  # until all is done: a long loop would hold up the frames behind it
        for slot in [slot for slot in sorted(self._waiting) if self._minutes[slot].pending_ms <= last_ms]:
            if len(out) >= full:
                return
            self._finish_pending(slot, out)
        for slot in np.flatnonzero((self._start > 0) & (self._start <= last_ms)).tolist():
            if len(out) >= full:
                return
            self._finish_forming(slot, out)
        for slot, which in np.argwhere(self._fold_end <= horizon_ms).tolist():
            if len(out) >= full:
                return
            self._close_fold(slot, which, out)
        self.behind = False
        forming = self._start[self._start > 0]
        ends = [int(forming.min()) + MINUTE_MS] if len(forming) else []
        ends += [self._minutes[slot].pending_ms + MINUTE_MS for slot in self._waiting]
        if self._fold_end.size:
            ends.append(int(self._fold_end.min()))
        self._due_ms = min(ends, default=_FAR)

    def _finish_pending(self, slot: int, out: list[Candle]) -> None:
        minutes = self._minutes[slot]
        minute_ms, minutes.pending_ms = minutes.pending_ms, 0
        self._waiting.discard(slot)
        self._finish_minute(slot, minute_ms, minutes.pending, False, out)

    def _finish_forming(self, slot: int, out: list[Candle]) -> None:
        minute_ms = self._start.item(slot)
        if self._minutes[slot].pending_ms:
            self._finish_pending(slot, out)
        self._start[slot] = 0
        self._finish_minute(slot, minute_ms, _ohlcv(self._bar, slot), False, out)

    def _finish_minute(self, slot: int, minute_ms: int, bar: Ohlcv, broker: bool, out: list[Candle]) -> None:
        self._flush_dirty(slot)
        minutes = self._minutes[slot]
        minutes.done_ms = minute_ms
        minutes.done = bar
        minutes.done_broker = broker
        out.append(self._candle(slot, MINUTE_S, minute_ms, bar, broker))
        anchor_ms, end_ms = self.quotes.sessions.bounds(slot)
        over_ms = minute_ms + MINUTE_MS
        folds = minutes.folds
        for which, interval_s in enumerate(self._higher):
            fold = folds[which]
            length_ms = interval_s * 1000
            start_ms = minute_ms - (minute_ms - anchor_ms) % length_ms
            if fold.start_ms == start_ms:
                fold.add(bar, broker)
                if not fold.open:  # a minute that came after the clock had closed the longer bar
                    self._revised.append(self._fold_candle(slot, interval_s, fold))
                    continue
            else:
                if fold.open:
                    self._close_fold(slot, which, out)
                fold.begin(start_ms, min(start_ms + length_ms, end_ms), bar, broker)
                self._fold_end[slot, which] = fold.end_ms
                self._due_ms = min(self._due_ms, fold.end_ms)
            if over_ms >= fold.end_ms:
                self._close_fold(slot, which, out)

    def _close_fold(self, slot: int, which: int, out: list[Candle]) -> None:
        fold = self._minutes[slot].folds[which]
        fold.open = False
        self._fold_end[slot, which] = _FAR
        out.append(self._fold_candle(slot, self._higher[which], fold))

    # --- candles ---

    def _bucket(self, slot: int, interval_s: int, minute_ms: int) -> int:
        anchor_ms = self.quotes.sessions.bounds(slot)[0]
        return minute_ms - (minute_ms - anchor_ms) % (interval_s * 1000)

    def _fold_candle(self, slot: int, interval_s: int, fold: Fold) -> Candle:
        source = BarSource.MERGED if fold.broker or fold.last_broker else BarSource.TICKS
        return self._candle(slot, interval_s, fold.start_ms, fold.bar, False, source)

    def _candle(
        self,
        slot: int,
        interval_s: int,
        start_ms: int,
        bar: Ohlcv,
        broker: bool,
        source: BarSource | None = None,
    ) -> Candle:
        o, h, low, c, volume = bar
        quotes = self.quotes
        return Candle(
            slot,
            interval_s,
            start_ms,
            o,
            h,
            low,
            c,
            int(volume),
            quotes.px.item(slot, _OI),
            source or (BarSource.BROKER if broker else BarSource.TICKS),
            self.gaps.overlap(quotes.since_ms.item(slot), start_ms, start_ms + interval_s * 1000),
        )


def _ohlcv(columns: F64, slot: int) -> Ohlcv:
    o, h, low, c, v = columns[slot].tolist()
    return o, h, low, c, v


def _ordered(candles: list[Candle]) -> list[Candle]:
    if len(candles) > 1:
        candles.sort(key=lambda c: (c.interval_s, c.slot, c.start_ms, c.source))
    return candles
