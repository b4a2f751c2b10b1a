"""Years of daily prices of the synthetic market: one seed, one history.

A market factor moves every share by its beta; shares add their own noise and are drawn back slowly to their
usual level, so that prices stay plausible over decades. A day's number depends on the seed and the date only,
never on what is asked first. Minute bars (`session`) are bridged between these opens and closes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import Calendar, CalendarUnknown, Group, Phase, PhaseKind, Segment
from tradetui.simulator.worlds.companies import BANKNIFTY, COMPANIES, INDICES, NIFTY, VIX, cash_tick

F64 = NDArray[np.float64]

FIRST_YEAR = 2016
MARKET_VOL = 0.0085
"""Daily standard deviation of the market factor."""

GAP = 0.35
"""Part of a day's standard deviation that happens before the open."""

_INTRADAY = float(np.sqrt(1.0 - GAP * GAP))
_PULL = 0.998
_VIX_PULL, _VIX_BETA, _VIX_OWN = 0.93, -4.0, 0.035
_STREAM_DAILY = 11

N_SHARES = len(COMPANIES)
ASSETS = (*(company.key for company in COMPANIES), NIFTY, BANKNIFTY, VIX)
"""What has a price of its own, in the order of every array's columns."""

AT_NIFTY, AT_BANK, AT_VIX = N_SHARES, N_SHARES + 1, N_SHARES + 2
_BETA = np.array([company.beta for company in COMPANIES])
HAS_DERIVATIVES = np.array([company.lot > 0 for company in COMPANIES])
_OWN = np.array([company.own_vol for company in COMPANIES])
_BASE = np.array([company.price for company in COMPANIES])


def _units(weights: list[float], level: float) -> F64:
    share = np.array(weights)
    return np.asarray(level * share / share.sum() / _BASE)


NIFTY_UNITS = _units([company.weight for company in COMPANIES], INDICES[0].level)
BANK_UNITS = _units([company.bank_weight for company in COMPANIES], INDICES[1].level)
"""Units of each share in one unit of the index."""

INTRADAY_MARKET_VOL = _INTRADAY * MARKET_VOL
INTRADAY_OWN_VOL = np.append(_INTRADAY * _OWN, _VIX_OWN)
INTRADAY_BETA = np.append(_BETA, _VIX_BETA)
"""Shares, then the volatility index."""

INTRADAY_VOL = np.concatenate(
    [
        np.sqrt((INTRADAY_BETA[:-1] * INTRADAY_MARKET_VOL) ** 2 + INTRADAY_OWN_VOL[:-1] ** 2),
        [INTRADAY_MARKET_VOL * 1.05, INTRADAY_MARKET_VOL * 1.25, 0.05],
    ]
)
"""Standard deviation of one session by asset; for the bridges of highs and lows."""


def working_calendar(calendar: Calendar, years: range) -> Calendar:
    """A calendar that answers for all these years: where no holiday list is known, every weekday trades."""
    for group, segment in ((Group.EQ, Segment.EQ_OTHER), (Group.FNO, Segment.FNO)):
        for year in years:
            try:
                calendar.is_trading_day(segment, date(year, 1, 4))
            except CalendarUnknown:
                calendar = calendar.with_override([], [(group, year)])
    return calendar


@dataclass(frozen=True, slots=True)
class DayPrices:
    """One session of every asset; arrays in the order of `ASSETS`, unrounded rupees.

    Attributes:
        prev_close: Close of the session before.
        open: First price.
        end: Price when continuous trading of shares ends (the close, where no closing auction follows, and for the
            volatility index).
        close: Last price: the closing auction's where there is one.
        high, low: Extremes of continuous trading.
        volume_factor: Volume against the usual.
    """

    prev_close: F64
    open: F64
    end: F64
    close: F64
    high: F64
    low: F64
    volume_factor: F64


class DailyModel:
    """Daily prices from `FIRST_YEAR` on.

    Args:
        seed: Seed of the world.
        calendar: Days and hours; must know every year up to ``last``.
        last: Last year to cover.
    """

    def __init__(self, seed: int, calendar: Calendar, last: int) -> None:
        self.calendar = calendar
        self.days = _trading_days(calendar, last)
        self._at = {day: row for row, day in enumerate(self.days)}
        rows = len(self.days)
        draws = _draws(seed, self.days, last)
        early = np.array([early_parts(calendar, day) for day in self.days])
        gap, first, second = _returns(draws, early)
        shares = _BASE * np.exp(_pulled(gap + first + second, _PULL))
        vix = INDICES[2].level * np.exp(_pulled(_vix_moves(draws), _VIX_PULL))
        close = np.column_stack([shares, shares @ NIFTY_UNITS, shares @ BANK_UNITS, vix])
        before = np.vstack([_BASE, shares[:-1]])
        opens = before * np.exp(gap)
        ends = opens * np.exp(first)
        vix_open = np.append(INDICES[2].level, vix[:-1]) * np.exp(0.3 * _vix_moves(draws))
        self.open = np.column_stack([opens, opens @ NIFTY_UNITS, opens @ BANK_UNITS, vix_open])
        # Every share of an index has derivatives: its value stops with them, and jumps in their auction.
        self.end = np.column_stack([ends, ends @ NIFTY_UNITS, ends @ BANK_UNITS, vix])
        self.close = close
        self.high, self.low = _extremes(self.open, self.end, draws.high, draws.low, early)
        self.volume_factor = np.exp(0.35 * draws.volume - 0.06)
        assert close.shape == (rows, len(ASSETS))

    def row(self, day: date) -> int | None:
        """Row of a session; ``None`` on a day without one."""
        return self._at.get(day)

    def next_day(self, day: date) -> date:
        """The first session after a day.

        Raises:
            IndexError: The model ends before.
        """
        return self.days[bisect_right(self.days, day)]

    def previous_day(self, day: date) -> date | None:
        """The last session before a day; ``None`` at the beginning."""
        row = bisect_left(self.days, day)
        return self.days[row - 1] if row else None

    def prices(self, day: date) -> DayPrices:
        """Prices of a session.

        Raises:
            KeyError: There is no session on that day.
        """
        row = self._at[day]
        before = self.close[row - 1] if row else self.open[0]
        return DayPrices(
            prev_close=before,
            open=self.open[row],
            end=self.end[row],
            close=self.close[row],
            high=self.high[row],
            low=self.low[row],
            volume_factor=self.volume_factor[row],
        )

    def tick_of_share(self, index: int, day: date) -> float:
        """Tick of a share on a day: set on the last close of the month before (`india-markets.md` 2.2)."""
        row = self._at[day]
        while row > 0 and self.days[row].month == day.month:
            row -= 1
        return cash_tick(float(self.close[row, index]))


@dataclass(frozen=True, slots=True)
class _Draws:
    """Standard normal (and uniform) numbers by day."""

    gap: F64
    day: F64
    late: F64
    high: F64
    low: F64
    volume: F64


def _trading_days(calendar: Calendar, last: int) -> list[date]:
    days = []
    day, end = date(FIRST_YEAR, 1, 1), date(last, 12, 31)
    while day <= end:
        try:
            if calendar.sessions(Segment.EQ_OTHER, day) and calendar.is_trading_day(Segment.FNO, day):
                days.append(day)
        except CalendarUnknown:
            pass  # a ceremonial session of unknown hours
        day += timedelta(days=1)
    return days


def share_stops(calendar: Calendar, day: date) -> tuple[int, int]:
    """Minutes of a session after which continuous trading ends: of shares with derivatives, and of others."""
    start, _ = session_span(calendar, day)
    stops = []
    for segment in (Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER):
        window = calendar.continuous(segment, day)
        assert window is not None
        stops.append((window[1] - start) // 60_000_000_000)
    return stops[0], stops[1]


def early_parts(calendar: Calendar, day: date) -> F64:
    """Part of a session's variance, by share, that happens before its continuous trading ends.

    One, except since August 2026, when derivatives go on after shares, most of which then close in an auction.
    """
    if day < date(2026, 8, 3):
        return np.ones(N_SHARES)
    start, end = session_span(calendar, day)
    shape = activity(int((end - start) // 60_000_000_000))
    in_auction, others = (float(shape[:stop].sum()) for stop in share_stops(calendar, day))
    return np.where(HAS_DERIVATIVES, in_auction, others)


def session_span(calendar: Calendar, day: date) -> tuple[int, int]:
    """First and last moment of continuous trading in any class, UTC ns."""
    windows = [calendar.continuous(segment, day) for segment in (Segment.EQ_FNO_UNDERLYING, Segment.FNO)]
    known = [window for window in windows if window is not None]
    return min(start for start, _ in known), max(end for _, end in known)


def activity(minutes: int) -> F64:
    """Share of a session's variance and volume that falls into each minute: a U with a steep start."""
    x = (np.arange(minutes) + 0.5) / minutes
    shape = 0.55 + 2.6 * np.exp(-x / 0.035) + 0.9 * (2 * x - 1) ** 4 + 0.5 * np.exp(-(1 - x) / 0.03)
    return np.asarray(shape / shape.sum())


def auction_phase(calendar: Calendar, day: date) -> list[Phase]:
    """Phases of the closing auction of shares; empty on days without one."""
    phases = calendar.sessions(Segment.EQ_FNO_UNDERLYING, day)
    return [phase for phase in phases if phase.kind is PhaseKind.CLOSING_AUCTION]


def _draws(seed: int, days: list[date], last: int) -> _Draws:
    normals, uniforms = [], []
    for year in range(FIRST_YEAR, last + 1):
        # A year's numbers depend on nothing but seed and year, a day's on its place in the year.
        rng = np.random.default_rng([seed, _STREAM_DAILY, year])
        normals.append(rng.standard_normal((367, 4, len(ASSETS) + 1)))
        uniforms.append(rng.random((367, 2, len(ASSETS))))
    z, u = np.array(normals), np.array(uniforms)
    row = np.array([day.year - FIRST_YEAR for day in days])
    of_year = np.array([day.timetuple().tm_yday for day in days])
    z, u = z[row, of_year], 1.0 - u[row, of_year]
    return _Draws(z[:, 0], z[:, 1], z[:, 2], u[:, 0], u[:, 1], z[:, 3, : len(ASSETS)])


def _returns(draws: _Draws, early: F64) -> tuple[F64, F64, F64]:
    """Log returns of shares: over night, in continuous trading, and until the close of derivatives."""

    def mixed(z: F64) -> F64:
        return np.asarray(MARKET_VOL * z[:, -1:] * _BETA + _OWN * z[:, :N_SHARES])

    first = np.sqrt(early) * _INTRADAY * mixed(draws.day)
    # A share without an auction keeps its last price.
    second = np.where(HAS_DERIVATIVES, np.sqrt(1.0 - early) * _INTRADAY * mixed(draws.late), 0.0)
    return GAP * mixed(draws.gap), first, second


def _vix_moves(draws: _Draws) -> F64:
    market = MARKET_VOL * (GAP * draws.gap[:, -1] + _INTRADAY * draws.day[:, -1])
    return np.asarray(_VIX_BETA * market + _VIX_OWN * draws.day[:, AT_VIX])


def _pulled(moves: F64, pull: float) -> F64:
    """Deviations from the usual level: each day ``pull`` times the last one, plus the day's move."""
    level = np.zeros(moves.shape[1:])
    out = np.empty_like(moves)
    for row, move in enumerate(moves):
        level = pull * level + move
        out[row] = level
    return out


def _extremes(opens: F64, ends: F64, u_high: F64, u_low: F64, early: F64) -> tuple[F64, F64]:
    """Highest and lowest point of a Brownian bridge between open and end (its exact distribution)."""
    part = np.ones((len(early), len(ASSETS)))
    part[:, :N_SHARES] = early
    part[:, AT_NIFTY] = part[:, AT_BANK] = early[:, np.flatnonzero(HAS_DERIVATIVES)[0]]
    variance = INTRADAY_VOL**2 * part
    a, b = np.log(opens), np.log(ends)
    return np.exp(bridge_extreme(a, b, variance, u_high)), np.exp(-bridge_extreme(-a, -b, variance, u_low))


def bridge_extreme(a: F64, b: F64, variance: F64, u: F64) -> F64:
    """Maximum of a Brownian bridge from ``a`` to ``b``, drawn by the uniform ``u`` in (0, 1]."""
    return np.asarray(0.5 * (a + b + np.sqrt((b - a) ** 2 - 2.0 * variance * np.log(u))))
