"""Volatility: how far the price swings."""

from __future__ import annotations

from tradetui.indicators.talib_gears import talib_indicator

BBANDS = talib_indicator(
    "bbands",
    "Bollinger bands",
    "BBANDS",
    family="volatility",
    params={"timeperiod": 20, "nbdevup": 2.0, "nbdevdn": 2.0, "matype": 0},
    inputs=("close",),
    outputs=("upper", "middle", "lower"),
)
ATR = talib_indicator(
    "atr",
    "Average true range (Wilder)",
    "ATR",
    family="volatility",
    params={"timeperiod": 14},
    inputs=("high", "low", "close"),
)
