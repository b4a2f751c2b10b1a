"""Prices of our own exits: pure functions from a market and an instrument to prices on the tick."""

from __future__ import annotations

from typing import Final

from tradetui.desk.books import Market
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, ceil_to_tick, floor_to_tick
from tradetui.domain.price_rules import trigger_range
from tradetui.risk.limits import Limits

_WIDEN: Final = (50, 100, 200, 300)
"""How far beyond the market an exit may go, step by step, in hundredths of a percent."""
_WIDEN_OPTIONS: Final = (100, 200, 500, 1_000)
"""The same for options, whose books are thin (`india-markets.md` 3: 1% or two ticks is the usual beginning)."""
LAST_STEP: Final = len(_WIDEN) - 1


Band = tuple[Price, Price] | None
"""Lowest and highest price of the day; ``None``: not known."""


def stop_limit(instrument: Instrument, sign: int, trigger: Price, band: Band = None) -> Price:
    """Limit price of a resting stop: as far beyond its trigger as the exchange allows, inside the day's band.

    The widest limit fills most gaps; what it does not fill is chased.

    Args:
        instrument: Terms.
        sign: +1 when a long position is protected (the stop sells).
        trigger: Trigger price, on the tick.
        band: The day's price band; outside it the exchange refuses.
    """
    tick = instrument.tick_size
    away = trigger_range(instrument, trigger)
    low, high = band or (tick, Price(trigger + away))
    if sign > 0:
        return ceil_to_tick(Price(max(trigger - away, tick, min(low, trigger))), tick)
    return floor_to_tick(Price(min(trigger + away, max(high, trigger))), tick)


def stop_trigger(instrument: Instrument, sign: int, price: Price) -> Price:
    """A trigger on the tick, rounded towards the market: never a larger loss than asked for."""
    tick = instrument.tick_size
    return ceil_to_tick(price, tick) if sign > 0 else floor_to_tick(price, tick)


def struck(sign: int, stop: Price, last: Price) -> bool:
    """Whether the last price is at or beyond a stop."""
    return bool(stop) and (last - stop) * sign <= 0


def reached(sign: int, target: Price, last: Price) -> bool:
    """Whether the last price is at or beyond a target."""
    return bool(target) and (last - target) * sign >= 0


def exit_price(
    instrument: Instrument, market: Market, limits: Limits, sign: int, step: int, band: Band = None
) -> Price | None:
    """Limit price of an exit near the market, bounded; ``None`` while no fresh price is known.

    Args:
        instrument: Terms.
        market: What is known about its market.
        limits: For the age at which a price no longer counts.
        sign: +1 when a long position is closed (the exit sells).
        step: How often it has been widened, from 0 to `LAST_STEP`.
        band: The day's price band; at its edge an exit rests, beyond it the exchange refuses.
    """
    if market.last is None or market.age_s is None or market.age_s > limits.stale_warn_s:
        return None
    best = market.bid if sign > 0 else market.ask
    base, tick = best or market.last, instrument.tick_size
    ladder = _WIDEN_OPTIONS if instrument.is_option else _WIDEN
    step = min(step, LAST_STEP)
    away = max(base * ladder[step] // 10_000, 2 * (step + 1) * tick)
    low, high = band or (tick, Price(base + away))
    if sign > 0:
        return (
            floor_to_tick(Price(max(base - away, tick)), tick)
            if base - away >= low
            else ceil_to_tick(low, tick)
        )
    return ceil_to_tick(Price(base + away), tick) if base + away <= high else floor_to_tick(high, tick)
