"""A small market for strategies: minutes in, longer bars merged, indicators and history kept, signals out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tradetui.domain.calendar import ns
from tradetui.domain.market_data import Candle
from tradetui.indicators import IndicatorSet
from tradetui.market.folding import Ohlcv, merge
from tradetui.market.history import History
from tradetui.market.quotes import Quotes
from tradetui.strategies import MarketContext, Signal, Strategy

DAY = date(2026, 10, 1)
OPEN_MS = ns(DAY, "09:15") // 1_000_000
MINUTE_MS = 60_000
LONGER = (300, 900, 3600)
_DAY_MS = 86_400_000


class Desk:
    """Runs one strategy on one instrument, as the engine does: all bars of a moment first, then the calls."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.history = History()
        self.indicators = IndicatorSet(strategy.indicators())
        self.quotes = Quotes(lambda slot, day: (ns(day, "09:15"), ns(day, "15:30")))
        self.position = 0
        self.context = MarketContext(self.quotes, self.indicators, self.history, lambda slot: self.position)
        self.signals: list[Signal] = []
        self._longer: dict[int, tuple[int, Ohlcv]] = {}

    def minute(self, candle: Candle) -> Signal | None:
        """Take in a finished minute; return the signal, if any."""
        end_ms = candle.start_ms + MINUTE_MS
        self.context.t_ms = end_ms
        self.quotes.sessions.roll(candle.start_ms)
        session_ms = self.context.session_start_ms(0)
        finished = [candle]
        bar: Ohlcv = (candle.open, candle.high, candle.low, candle.close, float(candle.volume))
        for interval_s in LONGER:
            length_ms = interval_s * 1000
            start_ms = session_ms + (candle.start_ms - session_ms) // length_ms * length_ms
            known = self._longer.get(interval_s)
            whole = merge(known[1], bar) if known and known[0] == start_ms else bar
            self._longer[interval_s] = (start_ms, whole)
            if end_ms == min(start_ms + length_ms, session_ms + 375 * MINUTE_MS):
                finished.append(Candle(0, interval_s, start_ms, *whole[:4], int(whole[4])))
        for each in finished:
            self.history.append(each)
            self.indicators.on_candle(each)
        for each in finished:
            if each.interval_s in self.strategy.intervals:
                signal = self.strategy.on_candle(self.context, each)
                if signal is not None:
                    self.signals.append(signal)
                    return signal
        return None

    def run(self, candles: Iterable[Candle]) -> list[Signal]:
        """Take in many minutes; return all signals."""
        for candle in candles:
            self.minute(candle)
        return self.signals


def minute(
    at: int, close: float, *, low: float | None = None, high: float | None = None, day: int = 0
) -> Candle:
    """One minute, ``at`` minutes after the open of the ``day``-th day."""
    start_ms = OPEN_MS + day * _DAY_MS + at * MINUTE_MS
    return Candle(0, 60, start_ms, close, high or close, low or close, close, 1_000)


def walk(days: int, seed: int, drift: float = 0.0) -> list[Candle]:
    """A seeded random walk over whole sessions, with spells of trend; rupees near 1,000."""
    rng = np.random.default_rng(seed)
    price, candles = 1_000.0, []
    for day in range(days):
        for at in range(375):
            spell = np.sin((day * 375 + at) / 45) * 0.35
            steps = rng.normal(drift + spell, 0.6, 4)
            path = price + np.cumsum(steps)
            o, h, low, c = price, max(price, path.max()), min(price, path.min()), float(path[-1])
            start_ms = OPEN_MS + day * _DAY_MS + at * MINUTE_MS
            candles.append(
                Candle(0, 60, start_ms, o, float(h), float(low), c, int(rng.integers(100, 10_000)))
            )
            price = c
    return candles


def reliance(shared_data: Path, days: int) -> list[Candle]:
    """Recorded minutes of RELIANCE, whole days only."""
    table = pl.read_parquet(shared_data / "bars" / "nse_1m_2025-12_2026-04.parquet")
    symbol = next(name for name in ("symbol", "trading_symbol", "ticker") if name in table.columns)
    stamp = next(name for name in table.columns if table.schema[name].is_temporal())
    rows = table.filter(pl.col(symbol) == "RELIANCE").sort(stamp)
    rows = rows.with_columns(ms=pl.col(stamp).dt.epoch("ms"))
    first = rows[stamp].dt.date().min()
    assert isinstance(first, date)
    kept = rows.filter(pl.col(stamp).dt.date() <= first + timedelta(days=days))
    return [
        Candle(0, 60, r["ms"], r["open"], r["high"], r["low"], r["close"], int(r["volume"]))
        for r in kept.iter_rows(named=True)
    ]
