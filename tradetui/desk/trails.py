"""Trailing stops: where a stop should stand now. It only ever moves in the position's favour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from tradetui.domain.exit_plan import Trail, TrailKind
from tradetui.domain.market_data import Candle
from tradetui.domain.money import Price, format_rupees, to_price
from tradetui.domain.order import Product

Bars = Callable[[str, int, int], Sequence[Candle]]
"""Instrument key, interval in seconds, how many: the newest finished bars, oldest first."""

ATR_BARS: Final = 14
CHANDELIER_BARS: Final = 22
"""Chuck LeBeau's Chandelier exit looks at 22 bars, a month of days."""
_WARM_UP: Final = 100
"""Bars from which an ATR is made: Wilder's smoothing has forgotten its beginning by then."""
INTRADAY_BAR_S: Final = 300
_DAY_S: Final = 86_400


def bar_seconds(product: Product) -> int:
    """Interval of the bars that a trail looks at: five minutes for intraday positions, days for carried ones."""
    return INTRADAY_BAR_S if product is Product.INTRADAY else _DAY_S


def atr(bars: Sequence[Candle], length: int) -> float | None:
    """Average true range in rupees, by Wilder's smoothing; ``None`` with fewer than ``length`` + 1 bars.

    The first value is the mean of ``length`` true ranges, as in TA-Lib.
    """
    ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)]
    if len(ranges) < length:
        return None
    value = sum(ranges[:length]) / length
    for one in ranges[length:]:
        value = (value * (length - 1) + one) / length
    return float(value)


def trailed(trail: Trail, sign: int, best: Price, key: str, product: Product, bars: Bars) -> Price | None:
    """Where the trail puts the stop, not yet on the tick; ``None`` while it cannot say (bars are missing).

    Args:
        trail: Kind and distance.
        sign: +1 for a long position.
        best: Best price since the trail began.
        key: Instrument key.
        product: Product of the position.
        bars: Gives finished bars.
    """
    match trail.kind:
        case TrailKind.POINTS:
            away = trail.by
        case TrailKind.PERCENT:
            away = best * trail.by // 10_000
        case TrailKind.ATR:
            value = atr(bars(key, bar_seconds(product), _WARM_UP), ATR_BARS)
            if value is None:
                return None
            away = to_price(value) * trail.by // 100
        case _:
            found = bars(key, bar_seconds(product), _WARM_UP)
            value = atr(found, CHANDELIER_BARS)
            if value is None:
                return None
            newest = found[-CHANDELIER_BARS:]
            best = to_price(float(max(b.high for b in newest) if sign > 0 else min(b.low for b in newest)))
            away = to_price(value) * trail.by // 100
    price = best - sign * away
    return Price(price) if price > 0 else None


def smallest_step(trail: Trail, best: Price, tick: Price) -> int:
    """By how much a stop must move before it is worth a request: a twentieth of the distance, at least a tick."""
    match trail.kind:
        case TrailKind.POINTS:
            away = trail.by
        case TrailKind.PERCENT:
            away = best * trail.by // 10_000
        case _:
            away = best // 100
    return max(tick, away // 20)


def trail_words(trail: Trail | None) -> str:
    """A trail as a person reads it."""
    if trail is None:
        return ""
    match trail.kind:
        case TrailKind.POINTS:
            return f"{format_rupees(trail.by)} points"
        case TrailKind.PERCENT:
            return f"{trail.by / 100:g}%"
        case TrailKind.ATR:
            return f"{trail.by / 100:g} x ATR({ATR_BARS})"
        case TrailKind.CHANDELIER:
            return f"Chandelier {trail.by / 100:g} x ATR({CHANDELIER_BARS})"
