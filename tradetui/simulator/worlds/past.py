"""Past sessions of the synthetic market as bars."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from tradetui.domain.calendar import day_start_ns
from tradetui.domain.market_data import BarSource, Candle
from tradetui.simulator.worlds.calm import OpenInterest
from tradetui.simulator.worlds.daily import ASSETS, DailyModel
from tradetui.simulator.worlds.session import Session, make_session, share_volumes

_KEEP = 24
_DAY_S = 86_400
_LONGEST_LIFE_DAYS = 70
"""No contract here is listed longer than this before it expires."""


class Past:
    """Sessions on demand, a few of them kept.

    Args:
        model: Daily prices.
        seed: Seed of the world.
    """

    def __init__(self, model: DailyModel, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._kept: OrderedDict[date, Session] = OrderedDict()

    def session(self, day: date) -> Session:
        """A session.

        Raises:
            KeyError: There is none on that day.
        """
        found = self._kept.get(day)
        if found is None:
            found = self._kept[day] = make_session(self._model, self._seed, day)
            if len(self._kept) > _KEEP:
                self._kept.popitem(last=False)
        self._kept.move_to_end(day)
        return found

    def bars(self, today: Session, row: int, interval_s: int, first: date, last: date) -> list[Candle]:
        """Bars of an instrument of today's listing in the sessions before today, oldest first.

        Args:
            today: The running session.
            row: Row of the instrument in its listing.
            interval_s: Length; 86,400 for sessions.
            first: First day, inclusive.
            last: Last day, inclusive.
        """
        last = min(last, today.day - timedelta(days=1))
        if interval_s >= _DAY_S:
            return self._days(today, row, first, last)
        minutes: list[Candle] = []
        for session, at in self._listed(today, row, first, last):
            bars = self.minute_bars(session, at, 0, session.minutes)
            minutes += bars if interval_s == 60 else _joined(bars, interval_s, session.start_ns // 1_000_000)
        return minutes

    def contract_bars(
        self, last_session: Session, row: int, interval_s: int, first: date, last: date
    ) -> list[Candle]:
        """Bars of a contract that has expired, oldest first; its last session is among them.

        Args:
            last_session: The session in which it expired.
            row: Its row in that session's listing.
            interval_s: 60, or 86,400 for sessions.
            first: First day, inclusive.
            last: Last day, inclusive.
        """
        found = self._listed(last_session, row, first, min(last, last_session.day))
        if interval_s >= _DAY_S:
            return [_whole(session, at, self._seed) for session, at in found]
        return [bar for session, at in found for bar in self.minute_bars(session, at, 0, session.minutes)]

    def minute_bars(
        self, session: Session, row: int, first: int, stop: int, source: BarSource = BarSource.BROKER
    ) -> list[Candle]:
        """Minute bars of part of a session; minutes without a trade are absent."""
        interest = OpenInterest(session, self._seed)
        start_ms = session.start_ns // 1_000_000
        bars = []
        for minute in map(int, np.flatnonzero(session.trades[first:stop, row]) + first):
            open_, high, low, close = (
                float(part[minute, row]) for part in (session.open, session.high, session.low, session.close)
            )
            oi = float(interest.at(minute + 1)[row]) if row >= len(ASSETS) else 0.0
            volume = int(session.volume[minute, row])
            bars.append(
                Candle(-1, 60, start_ms + minute * 60_000, open_, high, low, close, volume, oi, source)
            )
        return bars

    def _listed(self, today: Session, row: int, first: date, last: date) -> Iterator[tuple[Session, int]]:
        """Sessions in which the very same instrument was listed; a token alone may mean an older contract."""
        listing = today.listing
        key = listing.rows[row]["instrument_key"]
        contract = listing.contracts[row - len(ASSETS)] if row >= len(ASSETS) else None
        if contract is not None:
            first = max(first, contract.expiry - timedelta(days=_LONGEST_LIFE_DAYS))
        days = self._model.days
        for day in days[bisect_left(days, first) :]:
            if day > last:
                return
            session = self.session(day)
            at = session.listing.at.get(key)
            if at is not None and (
                contract is None or session.listing.contracts[at - len(ASSETS)] == contract
            ):
                yield session, at

    def _days(self, today: Session, row: int, first: date, last: date) -> list[Candle]:
        if row >= len(ASSETS):
            return [_whole(session, at, self._seed) for session, at in self._listed(today, row, first, last)]
        model, bars = self._model, []
        for at in range(bisect_left(model.days, first), len(model.days)):
            day = model.days[at]
            if day > last:
                break
            tick = model.tick_of_share(row, day) if row < len(ASSETS) - 3 else 0.05
            high, low = (
                max(model.high[at, row], model.close[at, row]),
                min(model.low[at, row], model.close[at, row]),
            )
            open_, top, bottom, close = (
                round(round(float(price) / tick) * tick, 4)
                for price in (model.open[at, row], high, low, model.close[at, row])
            )
            volume, start_ms = share_volumes(model, day, row), day_start_ns(day) // 1_000_000
            bars.append(
                Candle(-1, _DAY_S, start_ms, open_, top, bottom, close, volume, 0.0, BarSource.BROKER)
            )
        return bars


def _whole(session: Session, row: int, seed: int) -> Candle:
    """A session's bar from its minutes."""
    done = session.trades[:, row] > 0
    some = bool(done.any())
    open_ = float(session.open[done, row][0]) if some else float(session.prev_close[row])
    close = float(session.close[done, row][-1]) if some else open_
    high = float(session.high[done, row].max()) if some else open_
    low = float(session.low[done, row].min()) if some else open_
    oi = float(OpenInterest(session, seed).at(session.minutes)[row])
    start_ms = day_start_ns(session.day) // 1_000_000
    return Candle(
        -1, _DAY_S, start_ms, open_, high, low, close, int(session.volume[:, row].sum()), oi, BarSource.BROKER
    )


def _joined(bars: Sequence[Candle], interval_s: int, start_ms: int) -> list[Candle]:
    """Longer bars from minutes, anchored at the session's start."""
    length_ms = interval_s * 1000
    groups: dict[int, list[Candle]] = {}
    for bar in bars:
        groups.setdefault((bar.start_ms - start_ms) // length_ms * length_ms + start_ms, []).append(bar)
    return [
        Candle(
            -1, interval_s, at, group[0].open, max(bar.high for bar in group), min(bar.low for bar in group),
            group[-1].close, sum(bar.volume for bar in group), group[-1].oi, BarSource.BROKER,
        )
        for at, group in groups.items()
    ]  # fmt: skip
