"""Trend: where the price is heading, and how firmly."""

from __future__ import annotations

from tradetui.indicators.base import talib_indicator

SMA = talib_indicator("sma", "Simple moving average", "SMA", params={"timeperiod": 20}, inputs=("close",))
EMA = talib_indicator(
    "ema", "Exponential moving average", "EMA", params={"timeperiod": 20}, inputs=("close",)
)
MACD = talib_indicator(
    "macd",
    "Moving average convergence divergence",
    "MACD",
    params={"fastperiod": 12, "slowperiod": 26, "signalperiod": 9},
    inputs=("close",),
    outputs=("macd", "signal", "histogram"),
)
ADX = talib_indicator(
    "adx",
    "Average directional index (Wilder)",
    "ADX",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
PLUS_DI = talib_indicator(
    "plus_di",
    "Plus directional indicator (Wilder)",
    "PLUS_DI",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
MINUS_DI = talib_indicator(
    "minus_di",
    "Minus directional indicator (Wilder)",
    "MINUS_DI",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
