"""Indicators: columns in, columns out; Polars and TA-Lib live here.

Importing the package registers every family.
"""

from tradetui.indicators import momentum, trend, volatility, volume
from tradetui.indicators.base import REGISTRY, Columns, Indicator, Live, Spec, Value, lookup, parse_spec, spec
from tradetui.indicators.live import IndicatorSet

FAMILIES = {"trend": trend, "momentum": momentum, "volatility": volatility, "volume": volume}
"""Family name to its module."""

__all__ = [
    "FAMILIES",
    "REGISTRY",
    "Columns",
    "Indicator",
    "IndicatorSet",
    "Live",
    "Spec",
    "Value",
    "lookup",
    "parse_spec",
    "spec",
]
