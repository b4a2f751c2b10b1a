"""Candles V3: history and today (`upstox.md` 2.14). Newest first; history never includes today."""

from __future__ import annotations

import calendar as months
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from aiohttp import web

from tradetui.domain.calendar import IST, ist_date
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.rest.history_trouble import HistoryTrouble
from tradetui.simulator.rest.keys import one_key
from tradetui.simulator.state import SimState
from tradetui.simulator.venue import Venue

_DAY_S = 86_400
_SESSION_OFFSET_MS = (9 * 60 + 15) * 60_000
_IST_MS = 330 * 60_000
_DAY_MS = _DAY_S * 1000


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit of the path.

    Attributes:
        most: Highest interval.
        seconds: Length of one, 0 where it is no fixed length.
        span_months: Longest request in months by interval bound: ``((up to, months), ...)``; None for no limit.
    """

    most: int
    seconds: int
    span_months: tuple[tuple[int, int | None], ...]


_UNITS = {
    "minutes": _Unit(300, 60, ((15, 1), (300, 3))),
    "hours": _Unit(5, 3600, ((5, 3),)),
    "days": _Unit(1, _DAY_S, ((1, 120),)),
    "weeks": _Unit(1, 0, ((1, None),)),
    "months": _Unit(1, 0, ((1, None),)),
}
_INTRADAY_UNITS = frozenset({"minutes", "hours", "days"})
_EPOCH = date(1970, 1, 1)
_SINCE = date(2000, 1, 1)
"""Daily data reach back this far."""


class CandlesApi:
    """Handlers of ``/v3/historical-candle``.

    Args:
        state: The simulator's state.
        venue: Lists the instruments; knows past sessions and today.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._clock = state.clock
        self._world = venue.world
        self._board = venue.board
        self._listed = venue.instruments
        self._trouble = HistoryTrouble(state.faults)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        around = self._trouble.around
        router.add_get("/v3/historical-candle/intraday/{key}/{unit}/{interval}", around(self.intraday))
        router.add_get("/v3/historical-candle/{key}/{unit}/{interval}/{to}", around(self.history))
        router.add_get("/v3/historical-candle/{key}/{unit}/{interval}/{to}/{first}", around(self.history))

    async def history(self, request: web.Request) -> web.Response:
        """Finished bars of past sessions."""
        path = request.match_info
        instrument = one_key(path["key"], self._listed, malformed="UDAPI1021")
        unit, interval = _interval(path["unit"], path["interval"], _UNITS.keys())
        last = date_of(path["to"], "to_date")
        span = _span_months(unit, interval)
        if "first" in path:
            first = date_of(path["first"], "from_date")
            if last < first:
                raise ApiError("UDAPI1015", property_path="to_date", invalid_value=path["to"])
            if span is not None and add_months(first, span) < last:
                raise ApiError("UDAPI1148", property_path="from_date", invalid_value=path["first"])
        else:
            first = _SINCE if span is None else add_months(last, -span)
        last = min(last, ist_date(self._clock.now_ns()) - timedelta(days=1))
        if last < first:
            return success({"candles": []})
        bars = self._finished(instrument, unit, interval, first, last)
        return success({"candles": [bar_row(bar) for bar in reversed(bars)]})

    async def intraday(self, request: web.Request) -> web.Response:
        """Bars of the current session, the forming one first."""
        path = request.match_info
        instrument = one_key(path["key"], self._listed, malformed="UDAPI1021")
        unit, interval = _interval(path["unit"], path["interval"], _INTRADAY_UNITS)
        today = ist_date(self._clock.now_ns())
        minutes = self._board.minutes(instrument.key, today)
        bars = aggregate(minutes, _UNITS[unit].seconds * interval)
        return success({"candles": [bar_row(bar) for bar in reversed(bars)]})

    def _finished(
        self, instrument: Instrument, unit: str, interval: int, first: date, last: date
    ) -> Sequence[Candle]:
        seconds = _UNITS[unit].seconds
        if seconds == _DAY_S:
            return self._world.history(instrument.key, _DAY_S, first, last)
        if seconds:
            minutes = self._world.history(instrument.key, 60, first, last)
            return aggregate(minutes, seconds * interval)
        days = self._world.history(instrument.key, _DAY_S, first, last)
        return _group(days, lambda start: _week(start) if unit == "weeks" else start.replace(day=1))


def aggregate(minutes: Iterable[Candle], interval_s: int) -> list[Candle]:
    """Minute bars of any sessions into longer bars, named by their start and counted from 09:15 IST.

    Bars never reach over midnight; a day's bar is named by midnight IST.
    """
    step_ms = interval_s * 1000
    done: list[Candle] = []
    for bar in minutes:
        midnight = (bar.start_ms + _IST_MS) // _DAY_MS * _DAY_MS - _IST_MS
        anchor = midnight if interval_s >= _DAY_S else midnight + _SESSION_OFFSET_MS
        start = anchor + (bar.start_ms - anchor) // step_ms * step_ms
        if done and done[-1].start_ms == start:
            done[-1] = _join(done[-1], bar)
        else:
            done.append(_restart(bar, interval_s, start))
    return done


def add_months(day: date, count: int) -> date:
    """The same day of another month, or that month's last day."""
    month = day.year * 12 + day.month - 1 + count
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, months.monthrange(year, index + 1)[1]))


def _group(days: Iterable[Candle], start_of: Callable[[date], date]) -> list[Candle]:
    done: list[Candle] = []
    for bar in days:
        day = start_of(ist_date(bar.start_ms * 1_000_000))
        start = int(datetime(day.year, day.month, day.day, tzinfo=IST).timestamp() * 1000)
        if done and done[-1].start_ms == start:
            done[-1] = _join(done[-1], bar)
        else:
            done.append(_restart(bar, bar.interval_s, start))
    return done


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _restart(bar: Candle, interval_s: int, start_ms: int) -> Candle:
    return Candle(
        bar.slot, interval_s, start_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.oi, bar.source
    )


def _join(bar: Candle, later: Candle) -> Candle:
    return Candle(
        bar.slot,
        bar.interval_s,
        bar.start_ms,
        bar.open,
        max(bar.high, later.high),
        min(bar.low, later.low),
        later.close,
        bar.volume + later.volume,
        later.oi,
        bar.source,
    )


def _interval(unit: str, text: str, allowed: Iterable[str]) -> tuple[str, int]:
    if unit not in set(allowed):
        raise ApiError("UDAPI1146", property_path="unit", invalid_value=unit)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _UNITS[unit].most:
        raise ApiError("UDAPI1147", property_path="interval", invalid_value=text)
    return unit, int(text)


def _span_months(unit: str, interval: int) -> int | None:
    return next(span for most, span in _UNITS[unit].span_months if interval <= most)


def date_of(text: str, name: str) -> date:
    """A date of the path.

    Raises:
        ApiError: It is none.
    """
    try:
        return date.fromisoformat(text) if len(text) == 10 else date.fromisoformat("")
    except ValueError as error:
        raise ApiError(
            "UDAPI1088", message=f"The '{name}' must be YYYY-MM-DD", property_path=name, invalid_value=text
        ) from error


_WALL = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:00+05:30" for minute in range(1440))


@lru_cache(maxsize=4096)
def _date_text(number: int) -> str:
    """The IST date of a day counted from 1970."""
    return (_EPOCH + timedelta(days=number)).isoformat()


def bar_row(bar: Candle) -> list[Any]:
    """A bar as the candle endpoints send it."""
    number, ms = divmod(bar.start_ms + _IST_MS, _DAY_MS)
    start = _date_text(number) + _WALL[ms // 60_000]  # bars start on whole minutes
    return [start, bar.open, bar.high, bar.low, bar.close, bar.volume, int(bar.oi)]
