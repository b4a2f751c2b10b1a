"""What the screen and scripts may see of an instrument's microstructure. No numpy: the first paint imports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarketMeasures:
    """Measures of one instrument at one moment. ``None`` where something is not known or does not apply.

    Attributes:
        spread_rupees, spread_ticks, spread_bps: Best ask less best bid: rupees, price steps, 1/10,000 of the middle.
        microprice: Middle of the book weighted with the other side's quantity, rupees.
        imbalance_1, imbalance_5: Bid less ask quantity over their sum, -1 to 1: best level, five levels.
        vwap: Average price of the session weighted by volume, rupees.
        deviation: Standard deviation of the prices around it, rupees: the half width of a VWAP band.
        aggressor: ``BUY`` or ``SELL``: who began the newest trade; empty when not known.
        cumulative_delta: Units that buyers began less units that sellers began, this session, of the trades seen.
        seen_volume: Units of the trades seen this session.
        unclassified_volume: Of them, units of which nobody can say who began the trade.
        relative_volume: The day's volume over the usual one by this time of day; 1 is usual.
        day_position: 0 at the day's low, 1 at its high.
        gap_percent: Today's open from the previous close.
        from_high_percent, from_low_percent: Last price from the high (at most 0) and low (at least 0) of 52 weeks.
        oi_change, oi_change_percent: Open interest since the end of the last session: units, percent.
        oi_change_session: Open interest since the session's first frame, units.
        build_up: ``long build-up``, ``short build-up``, ``short covering`` or ``long unwinding``; empty for none, and
            for what is no derivative.
    """

    spread_rupees: float | None = None
    spread_ticks: float | None = None
    spread_bps: float | None = None
    microprice: float | None = None
    imbalance_1: float | None = None
    imbalance_5: float | None = None
    vwap: float | None = None
    deviation: float | None = None
    aggressor: str = ""
    cumulative_delta: int = 0
    seen_volume: int = 0
    unclassified_volume: int = 0
    relative_volume: float | None = None
    day_position: float | None = None
    gap_percent: float | None = None
    from_high_percent: float | None = None
    from_low_percent: float | None = None
    oi_change: float | None = None
    oi_change_percent: float | None = None
    oi_change_session: float | None = None
    build_up: str = ""


@dataclass(frozen=True, slots=True)
class ProfileView:
    """Where the session's volume traded, rupees.

    Attributes:
        control: Price with the most volume.
        value_low, value_high: Bounds of the value area: 70% of the volume around it.
    """

    control: float
    value_low: float
    value_high: float
