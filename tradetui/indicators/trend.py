"""Trend: where the price is heading, and how firmly."""

from __future__ import annotations

from functools import partial

from tradetui.indicators.talib_gears import talib_indicator

_trend = partial(talib_indicator, family="trend")

SMA = _trend("sma", "Simple moving average", "SMA", params={"timeperiod": 20}, inputs=("close",))
EMA = _trend("ema", "Exponential moving average", "EMA", params={"timeperiod": 20}, inputs=("close",))
MACD = _trend(
    "macd",
    "Moving average convergence divergence",
    "MACD",
    params={"fastperiod": 12, "slowperiod": 26, "signalperiod": 9},
    inputs=("close",),
    outputs=("macd", "signal", "histogram"),
)
ADX = _trend(
    "adx",
    "Average directional index (Wilder)",
    "ADX",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
PLUS_DI = _trend(
    "plus_di",
    "Plus directional indicator (Wilder)",
    "PLUS_DI",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
MINUS_DI = _trend(
    "minus_di",
    "Minus directional indicator (Wilder)",
    "MINUS_DI",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
SUPERTREND = _trend(
    "supertrend",
    "Supertrend",
    "SUPERTREND",
    params={"timeperiod": 10, "multiplier": 3.0},
    inputs=("high", "low", "close"),
    outputs=("value", "direction"),
    on_price=("value",),
    about="the trailing band in force, and 1 while the trend is up, -1 while it is down",
)
