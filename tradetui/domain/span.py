"""A margin in the manner of SPAN for one underlying: 16 scenarios of price and volatility, plus exposure.

The exchange's own risk files cannot be had offline (`india-markets.md` 5), so the ranges here are ours and
every figure is an estimate. They are set so that one index future needs about 12% of its value and a short
option at the money 11-13% of the notional, which that section names as market practice.

What is reckoned, for the positions of one underlying together:

- *scan*: what closing everything would cost in the worst of the 16 scenarios. A bought option counts with
  its value, so a spread with a known worst case needs no more than that;
- *exposure* on futures and short options: 2% of the notional for indices, 3.5% for shares;
- *calendar*: a charge on futures that offset each other across expiries, in place of a full margin;
- *expiry*: on the last day 2% more on every short index option, hedged or not (since 2024-11-20), and no
  offset against other expiries (index since 2025-02-01, shares since 2026-05-05).

Interest is zero and the underlying's price is taken for the forward. Money comes out as whole 1/10,000
rupees, rounded up; the same input always gives the same output.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price

_THIRDS: Final = (0, 1, -1, 2, -2, 3, -3)
SCENARIOS: Final = 2 * len(_THIRDS) + 2
EXTREME_RANGES: Final = 2.0
"""The two extreme scenarios move the price this many scan ranges..."""
EXTREME_SHARE: Final = 0.35
"""...and count this share of the loss."""
CALENDAR_PCT: Final = 1.75
"""Charge on futures offset across expiries, percent of the notional of one side; ours."""
_CALENDAR_EXPOSURE: Final = 1 / 3
EXPIRY_PCT: Final = 2.0
"""Extra margin on short index options on their last day (`india-markets.md` 5)."""
_LEAST_VOL, _MOST_VOL = 0.01, 5.0
_DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """Ranges of one class of underlying.

    Attributes:
        price_pct: Price scan range, percent of the underlying.
        vol_points: Volatility scan range, in points of annual volatility.
        exposure_pct: Exposure margin, percent of the notional.
        usual_vol: Volatility in place of one that a price does not imply.
    """

    price_pct: float
    vol_points: float
    exposure_pct: float
    usual_vol: float


INDEX_TERMS: Final = RiskTerms(10.0, 4.0, 2.0, 0.15)
STOCK_TERMS: Final = RiskTerms(15.0, 10.0, 3.5, 0.30)
CURRENCY_TERMS: Final = RiskTerms(3.0, 2.0, 1.0, 0.06)
COMMODITY_TERMS: Final = RiskTerms(12.0, 10.0, 1.0, 0.35)


@dataclass(frozen=True, slots=True)
class SpanLeg:
    """A derivative position. ``qty`` is in units, negative is short; ``price`` is the contract's own."""

    instrument: Instrument
    qty: int
    price: Price


@dataclass(frozen=True, slots=True)
class SpanMargin:
    """Funds that derivative positions keep in use, 1/10,000 rupee.

    Attributes:
        scan: Cost of closing everything in the worst scenario; premium received pays a part of it.
        exposure: On futures and short options.
        calendar: On futures offset across expiries.
        expiry: Extra on short index options on their last day.
    """

    scan: Money = Money(0)
    exposure: Money = Money(0)
    calendar: Money = Money(0)
    expiry: Money = Money(0)

    @property
    def total(self) -> Money:
        """All of it."""
        return Money(self.scan + self.exposure + self.calendar + self.expiry)

    def plus(self, other: SpanMargin) -> SpanMargin:
        """Of two portfolios that do not help each other."""
        return SpanMargin(
            Money(self.scan + other.scan),
            Money(self.exposure + other.exposure),
            Money(self.calendar + other.calendar),
            Money(self.expiry + other.expiry),
        )

    def times(self, factor: int) -> SpanMargin:
        """Each part times ``factor``."""
        return SpanMargin(
            Money(factor * self.scan),
            Money(factor * self.exposure),
            Money(factor * self.calendar),
            Money(factor * self.expiry),
        )


NO_MARGIN: Final = SpanMargin()


def terms_of(instrument: Instrument) -> RiskTerms:
    """The ranges that hold for a derivative's underlying."""
    if "_INDEX|" in instrument.underlying_key and not instrument.segment.startswith("MCX"):
        return INDEX_TERMS
    if instrument.segment in ("NSE_FO", "BSE_FO"):
        return STOCK_TERMS
    if instrument.segment in ("NCD_FO", "BCD_FO"):
        return CURRENCY_TERMS
    return COMMODITY_TERMS


def netted(legs: Iterable[SpanLeg]) -> tuple[SpanLeg, ...]:
    """One leg for each contract, in order of their keys, without those that are flat."""
    qty: dict[str, int] = {}
    last: dict[str, SpanLeg] = {}
    for leg in legs:
        qty[leg.instrument.key] = qty.get(leg.instrument.key, 0) + leg.qty
        last[leg.instrument.key] = leg
    return tuple(SpanLeg(last[key].instrument, qty[key], last[key].price) for key in sorted(qty) if qty[key])


def span_margin(legs: Iterable[SpanLeg], underlying: Price, day: date) -> SpanMargin:
    """Margin of all derivative positions on one underlying together.

    Args:
        legs: The positions; several of one contract are added up.
        underlying: Price of what they are written on.
        day: The trading day.
    """
    net = netted(legs)
    if not net:
        return NO_MARGIN
    last_day = tuple(leg for leg in net if leg.instrument.expiry == day)
    later = tuple(leg for leg in net if leg.instrument.expiry != day)
    return _portfolio(last_day, underlying, day).plus(_portfolio(later, underlying, day))


@lru_cache(maxsize=4096)
def _portfolio(legs: tuple[SpanLeg, ...], underlying: Price, day: date) -> SpanMargin:
    """Margin of positions that may offset each other."""
    if not legs:
        return NO_MARGIN
    terms = terms_of(legs[0].instrument)
    matched = _matched_futures(legs)
    exposure = calendar = expiry = 0.0
    futures = [leg for leg in legs if not leg.instrument.is_option]
    notional = sum(abs(leg.qty) * leg.price * leg.instrument.multiplier for leg in futures)
    if futures:
        # Both sides of what is matched leave the full exposure, a third of one side comes back.
        per_unit = notional / sum(abs(leg.qty) * leg.instrument.multiplier for leg in futures)
        full = notional - 2 * matched * per_unit
        exposure += (full + _CALENDAR_EXPOSURE * matched * per_unit) * terms.exposure_pct / 100
        calendar += matched * per_unit * CALENDAR_PCT / 100
    for leg in legs:
        if leg.instrument.is_option and leg.qty < 0:
            value = -leg.qty * underlying * leg.instrument.multiplier
            exposure += value * terms.exposure_pct / 100
            if leg.instrument.expiry == day and terms is INDEX_TERMS:
                expiry += value * EXPIRY_PCT / 100
    worst = min(_scenario_values(legs, underlying, day))
    return SpanMargin(_up(max(0.0, -worst)), _up(exposure), _up(calendar), _up(expiry))


def _matched_futures(legs: Sequence[SpanLeg]) -> int:
    """Units (times multiplier) of futures that are long in one expiry and short in another."""
    signed = [leg.qty * leg.instrument.multiplier for leg in legs if not leg.instrument.is_option]
    return min(sum(one for one in signed if one > 0), -sum(one for one in signed if one < 0))


def _scenario_values(legs: Sequence[SpanLeg], underlying: Price, day: date) -> list[float]:
    """What closing all legs would bring in each of the 16 scenarios; futures count their profit."""
    totals = [0.0] * SCENARIOS
    for leg in legs:
        units = leg.qty * leg.instrument.multiplier
        values = _unit_values(leg.instrument, leg.price, underlying, day)
        totals = [total + units * value for total, value in zip(totals, values, strict=True)]
    return totals


@lru_cache(maxsize=4096)
def _unit_values(instrument: Instrument, price: Price, underlying: Price, day: date) -> tuple[float, ...]:
    """One unit of a contract in each scenario; the same contract is asked for again and again."""
    terms = terms_of(instrument)

    def value(move: float, vol_shift: float) -> float:
        return _unit_value(instrument, float(price), float(underlying), move, vol_shift, terms, day)

    values = []
    for third in _THIRDS:
        move = third / 3 * terms.price_pct / 100
        values += [value(move, terms.vol_points / 100), value(move, -terms.vol_points / 100)]
    now = value(0.0, 0.0)
    for sign in (1, -1):
        far = value(sign * EXTREME_RANGES * terms.price_pct / 100, 0.0)
        values.append(now + EXTREME_SHARE * (far - now))
    return tuple(values)


def _unit_value(
    instrument: Instrument,
    price: float,
    underlying: float,
    move: float,
    vol_shift: float,
    terms: RiskTerms,
    day: date,
) -> float:
    """Value of an option, or profit of a future bought now, after a move of price and volatility."""
    if not instrument.is_option:
        return price * move
    days = max(0, (instrument.expiry - day).days) if instrument.expiry is not None else 30
    strike, is_call = float(instrument.strike or price), instrument.kind is InstrumentKind.CALL
    vol = implied_vol(price, underlying, strike, (days + 0.5) / _DAYS_A_YEAR, is_call)
    shifted = max(_LEAST_VOL, (terms.usual_vol if vol is None else vol) + vol_shift)
    # The scenarios look one day ahead.
    years = (max(0, days - 1) + 0.5) / _DAYS_A_YEAR
    return option_value(underlying * (1 + move), strike, years, shifted, is_call)


def option_value(forward: float, strike: float, years: float, vol: float, is_call: bool) -> float:
    """Black-76 price without interest, in the unit of ``forward`` and ``strike``."""
    width = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / width + width / 2
    call = forward * _cdf(d1) - strike * _cdf(d1 - width)
    return max(call if is_call else call - forward + strike, 0.0)


@lru_cache(maxsize=4096)
def implied_vol(price: float, forward: float, strike: float, years: float, is_call: bool) -> float | None:
    """Annual volatility that gives ``price``; ``None`` when no volatility does (a price below its worth)."""
    low, high = _LEAST_VOL, _MOST_VOL
    if not option_value(forward, strike, years, low, is_call) < price:
        return None
    if option_value(forward, strike, years, high, is_call) < price:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if option_value(forward, strike, years, middle, is_call) < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _up(value: float) -> Money:
    # A hair of floating point above a whole number must not cost a unit.
    return Money(math.ceil(value - 1e-6))
