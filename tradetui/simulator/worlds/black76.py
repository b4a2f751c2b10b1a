"""Black-76 on a forward, vectorised, with the Greeks in the units of the feed.

Interest is zero: the broker's printed Greeks were measured to be Black-76 with zero interest on one forward,
calendar days, expiry 15:30. Theta is per calendar day, vega per volatility point, rho per percentage point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

YEAR_MINUTES = 525_600.0
"""Minutes of a calendar year, the unit of time to expiry (`india-markets.md` 7)."""

_SQRT_2PI = float(np.sqrt(2.0 * np.pi))


def cdf(x: F64) -> F64:
    """Standard normal distribution function, error below 7.5e-8 (Abramowitz and Stegun 26.2.17)."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = pdf(x) * poly
    return np.where(x >= 0, 1.0 - upper, upper)


def pdf(x: F64) -> F64:
    """Standard normal density."""
    return np.asarray(np.exp(-0.5 * x * x) / _SQRT_2PI)


def price(forward: F64, strike: F64, years: F64, vol: F64, is_call: NDArray[np.bool_]) -> F64:
    """Option prices, rupees. All arguments broadcast; ``years`` and ``vol`` must be positive."""
    width = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / width + 0.5 * width
    call = forward * cdf(d1) - strike * cdf(d1 - width)
    value = np.where(is_call, call, call - forward + strike)
    # The approximation of the normal may leave a far strike a hair below nothing.
    return np.maximum(value, np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0))


class Greeks(NamedTuple):
    """Sensitivities in the units of the feed."""

    delta: F64
    theta: F64
    gamma: F64
    vega: F64
    rho: F64


def greeks(forward: F64, strike: F64, years: F64, vol: F64, is_call: NDArray[np.bool_]) -> Greeks:
    """Sensitivities; see the module's docstring for their units."""
    width = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / width + 0.5 * width
    d2 = d1 - width
    density = pdf(d1)
    sign = np.where(is_call, 1.0, -1.0)
    return Greeks(
        delta=np.asarray(sign * cdf(sign * d1)),
        theta=-forward * density * vol / (2.0 * np.sqrt(years)) / 365.0,
        gamma=density / (forward * width),
        vega=forward * density * np.sqrt(years) / 100.0,
        rho=np.asarray(sign * strike * years * cdf(sign * d2) / 100.0),
    )


def smile(forward: F64, strike: F64, years: F64, at_the_money: F64) -> F64:
    """Volatility by strike: a skew towards low strikes and a parabola, flat far out.

    The shape is that of an index: 25-delta puts some two points over calls.
    """
    scaled = np.clip(np.log(strike / forward) / (at_the_money * np.sqrt(years)), -4.0, 4.0)
    return np.asarray(at_the_money * np.clip(1.0 - 0.05 * scaled + 0.022 * scaled * scaled, 0.6, 2.5))
