"""The synthetic market: seeded, endless, the same every time it is asked.

Three indices, some twenty shares, their near-month futures and the options of two NIFTY expiries, session
after session by the calendar. A (seed, date) pair always gives the same session: as history, as bars inside
the feed, and as ticks.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import Calendar, day_start_ns, ist_date
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed
from tradetui.simulator.worlds import auction
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.books import Touch, depth
from tradetui.simulator.worlds.calm import OpenInterest, book_terms, quote_pace
from tradetui.simulator.worlds.crowd import Crowd
from tradetui.simulator.worlds.daily import ASSETS, FIRST_YEAR, N_SHARES, DailyModel, working_calendar
from tradetui.simulator.worlds.expired import ExpiredContracts
from tradetui.simulator.worlds.inference import to_instrument
from tradetui.simulator.worlds.messages import live_message, put_book, put_greeks, state_message
from tradetui.simulator.worlds.past import Past
from tradetui.simulator.worlds.rows import DayState, OptionMarks, Rows, make_rows, option_columns
from tradetui.simulator.worlds.session import MINUTE_NS, Session, fair_prices, terms_of
from tradetui.simulator.worlds.ticks import STEPS, MinuteBars, Turns, draw_turns, paths, trade
from tradetui.simulator.worlds.variants import Variant, variant_named

F64 = NDArray[np.float64]

_STREAM_LIVE = 31
_CLOSING_DELAY_NS = 1_000_000_000


class SyntheticWorld:
    """See the module's docstring, and `World`.

    Args:
        seed: Seed; another seed is another market.
        start_ns: Exchange time at which it is entered; what happened before is history.
        calendar: Days and hours; the shipped one by default.
        variant: ``full``, ``thin`` (a handful of instruments), ``wide`` (240 further shares that have a past and do
            not trade today) or ``hostile`` (names that attack a terminal).

    Raises:
        UsageError: No such variant.
    """

    def __init__(
        self, seed: int, start_ns: int, *, calendar: Calendar | None = None, variant: str = "full"
    ) -> None:
        self._seed = seed
        self._variant: Variant = variant_named(variant)
        self._start_ns = start_ns
        last = ist_date(start_ns).year + 1
        self._model = DailyModel(
            seed, working_calendar(calendar or Calendar.default(), range(FIRST_YEAR, last + 1)), last
        )
        self._past = Past(self._model, seed)
        self._crowd = Crowd(seed, self._variant.crowd, self._model.calendar)
        self._extra: dict[int, int] = {}
        self._taken: dict[int, int] = {}
        self._special: list[tuple[int, int, int, Feed]] = []
        self._order = count()
        self._batch: Rows | None = None
        self._cursor = 0
        self._row_bars: list[list[float]] = []
        self._minute = 0
        day = ist_date(start_ns)
        if self._model.row(day) is None or self._past.session(day).end_ns <= start_ns:
            day = self._next_day(day)
        self._enter(day)
        self.skip(start_ns - 1)

    # ---- what it is ------------------------------------------------------------------------------------

    @property
    def calendar(self) -> Calendar:
        """The calendar it keeps: the shipped one, with weekdays trading in years that nobody lists yet."""
        return self._model.calendar

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Everything listed today."""
        return self._instruments

    @property
    def start_ns(self) -> int:
        """Exchange time at which it was entered."""
        return self._start_ns

    @property
    def end_ns(self) -> int | None:
        """Never ends."""
        return None

    @property
    def waits_for_subscriber(self) -> bool:
        """Goes on whether or not anybody looks."""
        return False

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        """Instrument file rows of today's listing, quiet segments included."""
        return self._rows

    # ---- time ------------------------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """Exchange time of the next update: inside this session, or the open of the next."""
        while True:
            due = self._due_ns()
            if due is not None:
                return due
            self._next_minute()

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        """Everything that happens up to and including ``to_ns``."""
        while (due := self.next_ns()) is not None and due <= to_ns:
            yield self._take(due)

    def skip(self, to_ns: int) -> None:
        """Move on without updates; average prices are then those of the minutes, not of every trade."""
        while self._session.end_ns + _CLOSING_DELAY_NS <= to_ns:
            self._enter(self._next_day(self._session.day))
        minute = min((to_ns - self._session.start_ns) // MINUTE_NS, self._session.minutes)
        if minute >= self._minute:
            self._state.catch_up(self._session, minute)
            self._minute = minute
            self._next_minute()
        while (due := self._due_ns()) is not None and due <= to_ns:
            self._take(due)

    def snapshot(self, key: str) -> Feed | None:
        """The full state of an instrument now; ``None`` if it is not listed or never trades here."""
        row = self._session.listing.at.get(key)
        if row is None or not self._allowed[row]:
            return None
        at = self._taken.get(row)
        if at is not None and self._batch is not None:
            feed = self._message(self._batch, at, whole=True)
        else:
            feed = state_message(self._shown, row, is_index=self._is_index(row))
            if not self._is_index(row):
                self._complete(feed.fullFeed.marketFF, row)
        if self._session.listing.rows[row].get("cas_eligible"):
            feed.fullFeed.marketFF.casEligible = True
        return feed

    def _complete(self, market: MarketFullFeed, row: int) -> None:
        """Add what changes without trades: the book, open interest, Greeks."""
        market.oi = float(self._oi.at(max(0, self._minute - 1))[row])
        best = self._shown.best
        if best.ask[row]:
            rows = np.array([row], np.intp)
            touch = Touch(best.bid[rows], best.ask[rows])
            put_book(market, depth(self._books, rows, touch, rows * 0 + self._minute * STEPS), 0)
        contract = row - len(ASSETS)
        if contract >= 0 and self._terms.is_option[contract]:
            minute = min(max(0, self._minute - 1), self._session.minutes - 1)
            underlying = float(self._shown.ltp[self._terms.asset[contract]])
            forward = underlying * float(self._session.forward_factor[contract])
            marks = self._marks(minute, np.full((1, len(self._terms.asset)), forward))
            values, vol = option_columns(marks, np.array([0], np.intp), np.array([row], np.intp))
            put_greeks(market, values[0].tolist(), float(vol[0]))

    # ---- the past --------------------------------------------------------------------------------------

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """Bars of sessions before the running one."""
        if key in self._crowd:
            return self._crowd.history(
                key, interval_s, first, min(last, self._session.day - timedelta(days=1))
            )
        row = self._session.listing.at.get(key)
        if row is None or not self._allowed[row]:
            return ()
        return self._past.bars(self._session, row, interval_s, first, min(last, self._session.day))

    @property
    def expired(self) -> ExpiredContracts:
        """Contracts that have expired."""
        return ExpiredContracts(self._model, self._past)

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        """Finished minutes of the running session."""
        row = self._session.listing.at.get(key)
        if row is None or day != self._session.day or not self._allowed[row]:
            return ()
        return self._past.minute_bars(self._session, row, 0, max(0, self._minute - 1), BarSource.BROKER)

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        """Show a trade of a simulated account as a print."""
        row = self._session.listing.at.get(key)
        if row is None or qty <= 0 or self._is_index(row):
            return
        now = self.snapshot(key)
        if now is None:
            return
        self._extra[row] = self._extra.get(row, 0) + qty
        for state in (self._state, self._shown):
            state.print_trade(row, price, qty, t_ns // 1_000_000)
        market = now.fullFeed.marketFF
        market.ltpc.ltp, market.ltpc.ltq, market.ltpc.ltt = price, qty, t_ns // 1_000_000
        market.vtt += qty
        heapq.heappush(self._special, (t_ns, next(self._order), row, now))

    # ---- inside ----------------------------------------------------------------------------------------

    def _is_index(self, row: int) -> bool:
        return N_SHARES <= row < len(ASSETS)

    def _next_day(self, day: date) -> date:
        if day.year + 1 > self._model.days[-1].year:
            last = day.year + 1
            calendar = working_calendar(self._model.calendar, range(FIRST_YEAR, last + 1))
            self._model = DailyModel(self._seed, calendar, last)
            self._past = Past(self._model, self._seed)
        return self._model.next_day(day)

    def _enter(self, day: date) -> None:
        self._session: Session = self._past.session(day)
        session = self._session
        self._books = book_terms(session, self._seed)
        self._pace = quote_pace(session)
        self._oi = OpenInterest(session, self._seed)
        self._terms = terms_of(session.listing)
        self._allowed = self._variant.allowed(session.listing)
        rows = [row for row, here in zip(session.listing.rows, self._allowed, strict=True) if here]
        quiet = list(session.listing.quiet_rows) if self._variant.quiet_rows else []
        self._rows = [self._variant.rename(row) for row in [*rows, *quiet, *self._crowd.rows]]
        self._instruments = [to_instrument(row) for row in self._rows]
        self._state = DayState(len(session.listing.rows), session.prev_close, day_start_ns(day) // 1_000_000)
        self._shown = self._state
        before = self._model.previous_day(day)
        closed_ms = (self._past.session(before).end_ns if before else session.start_ns) // 1_000_000
        self._state.ltt_ms[:] = closed_ms
        self._minute = 0
        self._special.clear()
        self._drop_batch()

    def _minute_start_ns(self, minute: int) -> int:
        return self._session.start_ns + minute * MINUTE_NS

    def _drop_batch(self) -> None:
        self._batch, self._cursor = None, 0
        self._special.clear()
        self._extra.clear()
        self._taken.clear()

    def _due_ns(self) -> int | None:
        times = []
        if self._batch is not None and self._cursor < len(self._batch.t_ns):
            times.append(self._batch.t_ns[self._cursor])
        if self._special:
            times.append(self._special[0][0])
        return min(times) if times else None

    def _take(self, due: int) -> WorldUpdate:
        """The update that happens at ``due``: every row of that moment."""
        feeds: dict[str, Feed] = {}
        listing = self._session.listing
        while self._special and self._special[0][0] <= due:
            _, _, row, feed = heapq.heappop(self._special)
            feeds[listing.rows[row]["instrument_key"]] = feed
        batch = self._batch
        while batch is not None and self._cursor < len(batch.t_ns) and batch.t_ns[self._cursor] <= due:
            at, row = self._cursor, batch.row[self._cursor]
            feeds[listing.rows[row]["instrument_key"]] = self._message(batch, at)
            self._taken[row] = at
            self._cursor += 1
        return WorldUpdate(due, feeds)

    def _message(self, batch: Rows, at: int, *, whole: bool = False) -> Feed:
        row = batch.row[at]
        is_index = self._is_index(row)
        feed = live_message(batch, at, self._state, self._row_bars[row], is_index=is_index, whole=whole)
        if not is_index and (extra := self._extra.get(row, 0)):
            feed.fullFeed.marketFF.vtt = batch.vtt[at] + extra
        return feed

    def _next_minute(self) -> None:
        """Go to the next minute of the session, or to the next session after its last."""
        session, minute = self._session, self._minute
        if minute > session.minutes:
            self._enter(self._next_day(session.day))
            return
        self._finish_minute(minute - 1)
        self._shown = self._state.copy()
        self._drop_batch()
        self._minute += 1
        for t_ns, row, feed in self._closings(minute):
            heapq.heappush(self._special, (t_ns, next(self._order), row, feed))
        if minute == session.minutes:
            return
        self._row_bars = self._state.minute.tolist()
        for t_ns, row, feed in auction.updates(session, self._state, minute, self._seed, self._allowed):
            heapq.heappush(self._special, (t_ns, next(self._order), row, feed))
        self._batch = self._ticks(minute)

    def _finish_minute(self, minute: int) -> None:
        """Make the bar of a finished minute the one that is reported."""
        if minute < 0:
            return
        session = self._session
        done = session.trades[minute] > 0
        bars = np.stack(
            [
                part[minute]
                for part in (session.open, session.high, session.low, session.close, session.volume)
            ]
            + [np.full(len(done), self._minute_start_ns(minute) / 1e6)],
            axis=1,
        )
        self._state.minute[done] = bars[done]

    def _closings(self, minute: int) -> Iterator[tuple[int, int, Feed]]:
        """One last message, with the last minute's bar, of everything whose session has just ended."""
        active = self._session.active
        if minute == 0:
            return
        still = active[minute] if minute < self._session.minutes else np.zeros(active.shape[1], bool)
        for row in np.flatnonzero(active[minute - 1] & ~still & self._allowed):
            feed = state_message(self._state, int(row), is_index=self._is_index(int(row)))
            yield self._minute_start_ns(minute) + _CLOSING_DELAY_NS, int(row), feed

    def _ticks(self, minute: int) -> Rows:
        """Trades and quotes of a minute."""
        session = self._session
        rng = np.random.default_rng([self._seed, _STREAM_LIVE, session.day.toordinal(), minute])
        bars = MinuteBars(
            session.open[minute], session.high[minute], session.low[minute], session.close[minute],
            session.volume[minute], np.where(self._allowed, session.trades[minute], 0),
        )  # fmt: skip
        assets = len(ASSETS)
        own = draw_turns(rng, assets)
        fair = paths(rng, _first(bars, assets), own)
        underlying = fair[:, self._terms.asset]
        years = np.broadcast_to(session.years[minute], underlying.shape)
        vol = float(session.vol[minute])
        derived = fair_prices(self._terms, underlying, session.forward_factor, years, np.full((1, 1), vol))
        fair = np.hstack([fair, derived])
        turns = Turns(np.hstack([own.at, own.at[:, self._terms.asset]]))
        tape = trade(rng, bars, turns, fair, self._books)
        quoted = (rng.random(fair.shape) < self._pace) & session.active[minute] & self._allowed
        marks = self._marks(minute, underlying * session.forward_factor)
        return make_rows(
            rng, self._state, tape, self._books, marks, quoted, self._minute_start_ns(minute), minute
        )

    def _marks(self, minute: int, forward: F64) -> OptionMarks:
        return OptionMarks(
            first=len(ASSETS),
            is_option=self._terms.is_option,
            strike=self._terms.strike,
            is_call=self._terms.is_call,
            years=self._session.years[minute],
            forward=forward,
            vol=float(self._session.vol[minute]),
            oi=self._oi.at(minute),
        )


def _first(bars: MinuteBars, rows: int) -> MinuteBars:
    return MinuteBars(
        bars.open[:rows],
        bars.high[:rows],
        bars.low[:rows],
        bars.close[:rows],
        bars.volume[:rows],
        bars.trades[:rows],
    )
