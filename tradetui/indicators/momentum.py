"""Momentum: how fast the price moves against its own recent past."""

from __future__ import annotations

from tradetui.indicators.talib_gears import talib_indicator

RSI = talib_indicator(
    "rsi",
    "Relative strength index (Wilder)",
    "RSI",
    family="momentum",
    params={"timeperiod": 14},
    inputs=("close",),
)
STOCH = talib_indicator(
    "stoch",
    "Slow stochastic",
    "STOCH",
    family="momentum",
    params={"fastk_period": 14, "slowk_period": 3, "slowd_period": 3, "slowk_matype": 0, "slowd_matype": 0},
    inputs=("high", "low", "close"),
    outputs=("k", "d"),
)
