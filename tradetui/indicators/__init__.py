"""Indicators: columns in, columns out; Polars and TA-Lib live here.

Importing the package registers every family; the catalogue adds every function of TA-Lib that no family declares.
"""

from tradetui.indicators import catalogue, levels, momentum, trend, volatility, volume
from tradetui.indicators.bars import BarValues, Columns
from tradetui.indicators.base import REGISTRY, Indicator, Live, Spec, Value, lookup, parse_spec, spec
from tradetui.indicators.live import IndicatorSet
from tradetui.indicators.scan import scan

FAMILIES = {
    "trend": trend,
    "momentum": momentum,
    "volatility": volatility,
    "volume": volume,
    "levels": levels,
    "catalogue": catalogue,
}
"""File name to its module."""

__all__ = [
    "FAMILIES",
    "REGISTRY",
    "BarValues",
    "Columns",
    "Indicator",
    "IndicatorSet",
    "Live",
    "Spec",
    "Value",
    "lookup",
    "parse_spec",
    "scan",
    "spec",
]
