"""A crowd of further shares with a past: for clients that fetch years of bars of hundreds of instruments.

They are listed, have every session's minutes before today, and do not trade today. A minute depends on seed, share
and date only, so that any range gives the same bars however it is cut. Some trade in every minute, some thinly, a
few hardly ever: their minutes without a trade, and whole days, are absent, as on the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import Calendar, Segment, day_start_ns
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.universes import nifty50
from tradetui.simulator.worlds.companies import COMPANIES
from tradetui.simulator.worlds.inference import MasterRow

F64 = NDArray[np.float64]

_STREAM: Final = 41
_DAY_S: Final = 86_400
_TICK: Final = 0.05
_SIGMA: Final = 0.0006
"""Standard deviation of a minute."""


class Crowd:
    """See the module's docstring.

    Args:
        seed: Seed of the world.
        count: Shares.
        calendar: Days and hours.
    """

    def __init__(self, seed: int, count: int, calendar: Calendar) -> None:
        self._seed = seed
        self._calendar = calendar
        listed = {company.symbol for company in COMPANIES}
        known = [symbol for symbol in nifty50().symbols if symbol not in listed]
        symbols = (known + [f"CROWD{number:03d}" for number in range(1, count + 1)])[:count]
        self.rows: list[MasterRow] = [_row(number, symbol) for number, symbol in enumerate(symbols)]
        self._at = {row["instrument_key"]: number for number, row in enumerate(self.rows)}

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """Minute or session bars of past sessions, oldest first."""
        number = self._at[key]
        out: list[Candle] = []
        day = first
        while day <= last:
            minutes = self._minutes(number, day)
            if minutes and interval_s >= _DAY_S:
                out.append(_whole(minutes, day))
            else:
                out += minutes
            day += timedelta(days=1)
        return out

    def _minutes(self, number: int, day: date) -> list[Candle]:
        try:
            window = self._calendar.continuous(Segment.EQ_OTHER, day)
        except CalendarUnknown:
            return []
        if window is None:
            return []
        start_ms, count = window[0] // 1_000_000, (window[1] - window[0]) // 60_000_000_000
        rng = np.random.default_rng([self._seed, _STREAM, number, day.toordinal()])
        steps = rng.standard_normal((count, 4)) * _SIGMA
        traded = rng.random(count) < _busy(number, day)
        units = rng.integers(1, 5000, count)
        level = _level(number, day) * np.exp(np.cumsum(steps[:, 0]))
        opened = np.append(level[:1], level[:-1])
        high = np.maximum(opened, level) * (1 + np.abs(steps[:, 1]))
        low = np.minimum(opened, level) * (1 - np.abs(steps[:, 2]))
        prices = [_on_tick(part).tolist() for part in (opened, high, low, level)]
        return [
            Candle(
                -1, 60, start_ms + minute * 60_000, prices[0][minute], prices[1][minute], prices[2][minute],
                prices[3][minute], int(units[minute]), 0.0, BarSource.BROKER,
            )
            for minute in np.flatnonzero(traded).tolist()
        ]  # fmt: skip


def _busy(number: int, day: date) -> float:
    """The chance that a minute has a trade."""
    if number % 25 == 24:  # hardly ever, and on some days never
        return 0.0 if (day.toordinal() + number) % 4 == 0 else 0.01
    return 0.55 if number % 5 == 4 else 1.0


def _level(number: int, day: date) -> float:
    """Where a share opens: a slow wave of its own around its usual price."""
    usual = 40.0 + (number * 137) % 3900
    phase = day.toordinal() / (17.0 + number % 11) + number
    return float(usual * np.exp(0.08 * np.sin(phase)))


def _on_tick(price: F64) -> F64:
    return np.maximum(np.round(np.rint(price / _TICK) * _TICK, 2), _TICK)


def _whole(minutes: Sequence[Candle], day: date) -> Candle:
    return Candle(
        -1, _DAY_S, day_start_ns(day) // 1_000_000, minutes[0].open, max(bar.high for bar in minutes),
        min(bar.low for bar in minutes), minutes[-1].close, sum(bar.volume for bar in minutes), 0.0,
        BarSource.BROKER,
    )  # fmt: skip


def _row(number: int, symbol: str) -> dict[str, Any]:
    isin = f"INE{number + 100:03d}W0101{number % 10}"
    return {
        "segment": "NSE_EQ", "name": f"{symbol} LIMITED", "exchange": "NSE", "isin": isin, "instrument_type": "EQ",
        "instrument_key": f"NSE_EQ|{isin}", "lot_size": 1, "freeze_quantity": 100_000.0,
        "exchange_token": str(60_000 + number), "tick_size": 5.0, "trading_symbol": symbol, "short_name": symbol,
        "security_type": "NORMAL", "qty_multiplier": 1.0,
    }  # fmt: skip
