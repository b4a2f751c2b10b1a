"""Volatility: how far the price swings."""

from __future__ import annotations

from tradetui.indicators.base import talib_indicator

BBANDS = talib_indicator(
    "bbands",
    "Bollinger bands",
    "BBANDS",
    params={"timeperiod": 20, "nbdevup": 2.0, "nbdevdn": 2.0},
    inputs=("close",),
    outputs=("upper", "middle", "lower"),
    fixed={"matype": 0},
)
ATR = talib_indicator(
    "atr", "Average true range (Wilder)", "ATR", params={"timeperiod": 14}, inputs=("high", "low", "close")
)
