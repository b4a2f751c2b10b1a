"""One session of the synthetic market as minute bars of everything listed.

Minutes are Brownian bridges between the day's prices (`daily`), with a market factor inside each minute, so
that correlation holds at every scale. Futures follow their underlying at a basis; options are Black-76 on the
forward with a smile, at the four prices of the underlying's bar. Past and present sessions come from here
alike, and the live ticks (`ticks`) are drawn inside these very bars: history and feed cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import Segment
from tradetui.simulator.worlds import black76
from tradetui.simulator.worlds.companies import COMPANIES
from tradetui.simulator.worlds.daily import (
    ASSETS,
    AT_BANK,
    AT_NIFTY,
    AT_VIX,
    BANK_UNITS,
    HAS_DERIVATIVES,
    INTRADAY_BETA,
    INTRADAY_MARKET_VOL,
    INTRADAY_OWN_VOL,
    INTRADAY_VOL,
    N_SHARES,
    NIFTY_UNITS,
    DailyModel,
    DayPrices,
    activity,
    auction_phase,
    bridge_extreme,
    session_span,
    share_stops,
)
from tradetui.simulator.worlds.listing import Listing, make_listing

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Flags = NDArray[np.bool_]

MINUTE_NS = 60_000_000_000
CARRY = 0.055
"""Yearly rate at which futures stand above spot."""

AUCTION_SHARE = 0.06
"""Part of a day's volume that the closing auction takes."""

_STREAM_SESSION, _STREAM_DERIVED = 21, 22
_JUMP_CHANCE, _JUMP_SIZE = 0.03, 9.0
_MAX_TRADES = 150
_INDEX_STEPS = 60
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Session:
    """Minute bars of a session; arrays are ``[minute, row of the listing]``.

    Attributes:
        day: The session's date.
        start_ns: Start of the first minute.
        listing: What is listed.
        open, high, low, close: Rupees, on the tick.
        volume: Units; 0 for an index.
        trades: How many ticks the bar is made of; 0 where nothing happened.
        active: Whether the instrument's class trades in that minute.
        forward_factor: Forward against underlying, by contract.
        years: Years to expiry, ``[minute, contract]``.
        vol: At-the-money volatility by minute, a fraction.
        prev_close: Previous close on the tick, by row.
        auction: Closing price in the auction, of shares that are in it and of indices; NaN for the rest.
        auction_volume: Units traded in it.
        auction_ns: Start and matching time of the auction; zeros without one.
    """

    day: date
    start_ns: int
    listing: Listing
    open: F64
    high: F64
    low: F64
    close: F64
    volume: I64
    trades: I64
    active: Flags
    forward_factor: F64
    years: F64
    vol: F64
    prev_close: F64
    auction: F64
    auction_volume: I64
    auction_ns: tuple[int, int]

    @property
    def match_rows(self) -> NDArray[np.intp]:
        """Rows whose last price comes from the closing auction: its shares, and the indices made of them."""
        computed = ~np.isnan(self.auction)
        computed[:N_SHARES] = False
        return np.flatnonzero(computed | (self.auction_volume > 0))

    @property
    def minutes(self) -> int:
        """Length in minutes."""
        return len(self.vol)

    @property
    def end_ns(self) -> int:
        """End of the last minute."""
        return self.start_ns + self.minutes * MINUTE_NS


def make_session(model: DailyModel, seed: int, day: date) -> Session:
    """Compute a session; the same seed and date always give the same one.

    Raises:
        KeyError: There is no session on that day.
    """
    listing = make_listing(model, day)
    prices = model.prices(day)
    start_ns, end_ns = session_span(model.calendar, day)
    minutes = (end_ns - start_ns) // MINUTE_NS
    active = _active(model, listing, start_ns, minutes)
    shape = activity(minutes)
    rng = np.random.default_rng([seed, _STREAM_SESSION, day.toordinal()])
    logs = _asset_bars(rng, prices, active[:, : len(ASSETS)], share_stops(model.calendar, day), shape)
    assets = tuple(np.exp(part) for part in logs)
    vol = assets[3][:, AT_VIX] / 100.0
    years = _years(model, listing, start_ns, minutes)
    factor = np.exp(CARRY * years[0]) if len(listing.contracts) else np.empty(0)
    derived = _derived_bars(listing, assets, factor, years, vol)
    tick = listing.tick
    bars = [np.round(np.rint(np.hstack(pair) / tick) * tick, 4) for pair in zip(assets, derived, strict=True)]
    bars = [np.maximum(bar, tick) for bar in bars]
    volume, trades, auction_volume = _volumes(seed, listing, prices, active, shape, bars[3])
    # A share that is shut has flat bars; an index goes on unseen, for its derivatives follow it.
    drawn = trades.copy()
    drawn[:, [AT_NIFTY, AT_BANK]] = _INDEX_STEPS
    _fit_to_trades(bars, drawn)
    phases = auction_phase(model.calendar, day)
    in_auction = np.array([segment is Segment.EQ_FNO_UNDERLYING for segment in listing.segments]) & bool(
        phases
    )
    closes = in_auction | (bool(phases) & np.isin(np.arange(len(tick)), (AT_NIFTY, AT_BANK)))
    closing = np.where(closes, _on_tick(_padded(prices.close, len(tick)), tick), np.nan)
    return Session(
        day=day,
        start_ns=start_ns,
        listing=listing,
        open=bars[0],
        high=bars[1],
        low=bars[2],
        close=bars[3],
        volume=volume,
        trades=trades,
        active=active,
        forward_factor=factor,
        years=years,
        vol=vol,
        prev_close=_previous_closes(model, listing, prices, day),
        auction=closing,
        auction_volume=np.where(in_auction, auction_volume, 0),
        auction_ns=(phases[0].start_ns, phases[-1].start_ns) if phases else (0, 0),
    )


def _on_tick(price: F64, tick: F64) -> F64:
    return np.asarray(np.round(np.rint(price / tick) * tick, 4))


def _padded(values: F64, length: int) -> F64:
    return np.concatenate([values, np.full(length - len(values), np.nan)])


def _active(model: DailyModel, listing: Listing, start_ns: int, minutes: int) -> Flags:
    grid = start_ns + np.arange(minutes) * MINUTE_NS
    by_class: dict[Segment, Flags] = {}
    for segment in set(listing.segments):
        flags = np.zeros(minutes, bool)
        for start, end in model.calendar.continuous_windows(segment, listing.day):
            flags |= (grid >= start) & (grid < end)
        by_class[segment] = flags
    return np.column_stack([by_class[segment] for segment in listing.segments])


def _bridged(increments: F64, part: F64) -> F64:
    """Turn increments into a bridge from zero to zero, by minute nodes (one more than minutes)."""
    nodes = np.vstack([np.zeros((1, increments.shape[1])), np.cumsum(increments, axis=0)])
    return np.asarray(nodes - part[:, None] * nodes[-1])


def _nodes(rng: np.random.Generator, prices: DayPrices, stops: tuple[int, int], shape: F64) -> F64:
    """Log prices of shares and the volatility index at minute boundaries."""
    minutes, columns = len(shape), N_SHARES + 1
    z = rng.standard_normal((minutes, columns + 1))
    jumps = rng.random(columns + 1) < _JUMP_CHANCE
    where = rng.integers(5, minutes - 5, columns + 1)
    z[where[jumps], np.flatnonzero(jumps)] += _JUMP_SIZE * np.sign(z[where[jumps], np.flatnonzero(jumps)])
    noise = INTRADAY_MARKET_VOL * INTRADAY_BETA * z[:, -1:] + INTRADAY_OWN_VOL * z[:, :-1]
    noise *= np.sqrt(shape)[:, None]
    use = [*range(N_SHARES), AT_VIX]
    opens, ends, closes = (np.log(part[use]) for part in (prices.open, prices.end, prices.close))
    out = np.empty((minutes + 1, columns))
    # The volatility index knows no auction: one bridge from open to close.
    groups = ((stops[0], HAS_DERIVATIVES), (stops[1], ~HAS_DERIVATIVES), (minutes, np.zeros(N_SHARES, bool)))
    for stop, shares in groups:
        group = np.append(shares, not shares.any())
        for first, last, a, b in ((0, stop, opens, ends), (stop, minutes, ends, closes)):
            if first == last:
                continue
            part = np.concatenate([[0.0], np.cumsum(shape[first:last]) / shape[first:last].sum()])
            line = a[group] + part[:, None] * (b - a)[group]
            still = first == stop and not HAS_DERIVATIVES[shares].any()
            out[first : last + 1, group] = line + (0.0 if still else _bridged(noise[first:last, group], part))
    return out


def _asset_bars(
    rng: np.random.Generator, prices: DayPrices, active: Flags, stops: tuple[int, int], shape: F64
) -> tuple[F64, F64, F64, F64]:
    """Log open, high, low, close of the assets by minute, with the day's extremes attained exactly."""
    nodes = _nodes(rng, prices, stops, shape)
    shares = np.exp(nodes[:, :N_SHARES])
    indices = np.log(np.column_stack([shares @ NIFTY_UNITS, shares @ BANK_UNITS]))
    path = np.column_stack([nodes[:, :N_SHARES], indices, nodes[:, -1]])
    a, b = path[:-1], path[1:]
    variance = INTRADAY_VOL**2 * shape[:, None]
    u = 1.0 - rng.random((2, *a.shape))
    high, low = bridge_extreme(a, b, variance, u[0]), -bridge_extreme(-a, -b, variance, u[1])
    parts = [a.copy(), high, low, b.copy()]
    for column in range(len(ASSETS)):
        flags = active[:, column]
        _stretch(parts, flags, column, np.log(prices.high[column]), np.log(prices.low[column]))
    return parts[0], parts[1], parts[2], parts[3]


def _stretch(parts: list[F64], flags: Flags, column: int, day_high: float, day_low: float) -> None:
    """Scale what lies outside open and close of the day so that its extremes are exactly those given."""
    open_, high, low, close = (part[flags, column] for part in parts)
    top, bottom = max(open_[0], close[-1]), min(open_[0], close[-1])
    up, down = high.max() - top, bottom - low.min()
    up_scale = (day_high - top) / up if up > 0 else 1.0
    down_scale = (bottom - day_low) / down if down > 0 else 1.0
    for part, values in zip(parts, (open_, high, low, close), strict=True):
        values = np.where(values > top, top + (values - top) * up_scale, values)
        part[flags, column] = np.where(values < bottom, bottom - (bottom - values) * down_scale, values)


def _years(model: DailyModel, listing: Listing, start_ns: int, minutes: int) -> F64:
    """Years from the start of each minute to each contract's last moment, at least one minute."""
    cuts = {contract.expiry: 0 for contract in listing.contracts}
    for expiry in cuts:
        window = model.calendar.continuous(Segment.FNO_EXPIRING_INDEX, expiry)
        assert window is not None
        cuts[expiry] = window[1]
    ends = np.array([cuts[contract.expiry] for contract in listing.contracts], np.float64)
    grid = start_ns + np.arange(minutes, dtype=np.float64) * MINUTE_NS
    return np.asarray(np.maximum((ends[None, :] - grid[:, None]) / MINUTE_NS, 1.0) / black76.YEAR_MINUTES)


@dataclass(frozen=True, slots=True)
class Terms:
    """Contracts as columns."""

    asset: NDArray[np.intp]
    strike: F64
    is_call: Flags
    is_option: Flags


def terms_of(listing: Listing) -> Terms:
    """The contracts of a listing as columns."""
    contracts = listing.contracts
    return Terms(
        np.array([contract.asset for contract in contracts], np.intp),
        np.array([contract.strike for contract in contracts]),
        np.array([contract.is_call for contract in contracts], bool),
        np.array([contract.is_option for contract in contracts], bool),
    )


def fair_prices(terms: Terms, underlying: F64, factor: F64, years: F64, vol: F64) -> F64:
    """Fair prices of the contracts, ``[time, contract]``.

    Args:
        terms: The contracts.
        underlying: Their underlyings' prices, ``[time, contract]``.
        factor: Forward against underlying, by contract.
        years: Years to expiry, ``[time, contract]``.
        vol: At-the-money volatility, ``[time, 1]``.
    """
    forward = underlying * factor
    out = forward.copy()
    options = terms.is_option
    f, k, t = forward[:, options], terms.strike[options], years[:, options]
    # The smile hangs on the forward of the minute's start, so that a bar's extremes map to extremes.
    out[:, options] = black76.price(f, k, t, black76.smile(f, k, t, vol), terms.is_call[options])
    return out


def _derived_bars(
    listing: Listing, assets: tuple[F64, ...], factor: F64, years: F64, vol: F64
) -> tuple[F64, F64, F64, F64]:
    terms = terms_of(listing)
    at = [fair_prices(terms, part[:, terms.asset], factor, years, vol[:, None]) for part in assets]
    # A put is highest where its underlying is lowest; so may a call be, by a hair of the smile's movement.
    return at[0], np.maximum.reduce(at), np.minimum.reduce(at), at[3]


def _previous_closes(model: DailyModel, listing: Listing, prices: DayPrices, day: date) -> F64:
    before = prices.prev_close
    terms = terms_of(listing)
    row = model.row(day)
    assert row is not None
    years = np.empty((1, len(listing.contracts)))
    if len(listing.contracts):
        last = model.days[row - 1] if row else day
        end_ns = session_span(model.calendar, last)[1]
        years[:] = _years(model, listing, end_ns, 1)
    fair = fair_prices(
        terms,
        before[None, terms.asset],
        np.exp(CARRY * years[0]),
        years,
        before[AT_VIX : AT_VIX + 1, None] / 100,
    )
    return np.maximum(_on_tick(np.concatenate([before, fair[0]]), listing.tick), listing.tick)


def _volumes(
    seed: int, listing: Listing, prices: DayPrices, active: Flags, shape: F64, close: F64
) -> tuple[I64, I64, I64]:
    """Units and number of trades by minute, and the units of the closing auction."""
    minutes, rows = active.shape
    rng = np.random.default_rng([seed, _STREAM_DERIVED, listing.day.toordinal()])
    noise = np.exp(0.45 * rng.standard_normal((minutes, rows)))
    weights = active * shape[:, None] * noise
    weights /= np.maximum(weights.sum(axis=0), 1e-12)
    daily = _daily_lots(listing, prices, close)
    auction = np.zeros(rows, np.int64)
    shares = [at for at, company in enumerate(COMPANIES) if company.lot]
    auction[shares] = np.floor(daily[shares] * AUCTION_SHARE).astype(np.int64)
    bound = np.floor(np.cumsum(weights, axis=0) * daily + _EPSILON).astype(np.int64)
    lots = np.diff(bound, axis=0, prepend=np.zeros((1, rows), np.int64))
    rate = np.clip(daily**0.62 / 110.0, 0.0, 60.0) * weights * minutes
    trades = np.minimum(np.minimum(np.ceil(rate).astype(np.int64), _MAX_TRADES), lots)
    # Shares trade often enough for an open, a high, a low and a close.
    trades[:, :N_SHARES] = np.maximum(trades[:, :N_SHARES], np.minimum(4, lots[:, :N_SHARES]))
    indices = slice(N_SHARES, len(ASSETS))
    trades[:, indices] = np.where(active[:, indices], _INDEX_STEPS, 0)
    lots[trades == 0] = 0
    volume = lots * listing.lot
    volume[:, indices] = 0
    return volume, trades, auction


def _daily_lots(listing: Listing, prices: DayPrices, close: F64) -> F64:
    """Usual volume of a day in lots: of shares their own, of futures by money, of options by moneyness."""
    rows = len(listing.rows)
    lots = np.zeros(rows)
    lots[:N_SHARES] = [company.daily_qty for company in COMPANIES] * prices.volume_factor[:N_SHARES]
    terms = terms_of(listing)
    nearest = min((contract.expiry for contract in listing.contracts), default=listing.day)
    for at, contract in enumerate(listing.contracts, len(ASSETS)):
        if contract.is_option:
            distance = abs(contract.strike / float(close[0, AT_NIFTY]) - 1.0)
            near = 120_000.0 if contract.expiry == nearest else 18_000.0
            lots[at] = near * np.exp(-((distance / 0.012) ** 1.2))
        elif contract.asset >= N_SHARES:
            lots[at] = 60_000.0 / (1 + 3 * (contract.expiry != nearest))
        else:
            lots[at] = 0.5 * COMPANIES[contract.asset].daily_qty / listing.lot[at]
    assert len(terms.asset) == rows - len(ASSETS)
    return np.maximum(lots, 1.0)


def share_volumes(model: DailyModel, day: date, row: int) -> int:
    """Units of a share traded on a day, auction included: what its minutes add up to. 0 for an index."""
    if row >= N_SHARES:
        return 0
    daily = max(COMPANIES[row].daily_qty * float(model.prices(day).volume_factor[row]), 1.0)
    has_auction = bool(COMPANIES[row].lot) and bool(auction_phase(model.calendar, day))
    return int(np.floor(daily + _EPSILON)) + (int(np.floor(daily * AUCTION_SHARE)) if has_auction else 0)


def _fit_to_trades(bars: list[F64], trades: I64) -> None:
    """Bars of fewer than four trades cannot have four different prices: open, farther extreme, close."""
    open_, high, low, close = bars
    one, two, three = trades <= 1, trades == 2, trades == 3
    open_[one] = close[one]
    body_high, body_low = np.maximum(open_, close), np.minimum(open_, close)
    up_is_farther = high - body_high >= body_low - low
    flat = one | two
    high[flat], low[flat] = body_high[flat], body_low[flat]
    no_high, no_low = three & ~up_is_farther, three & up_is_farther
    high[no_high], low[no_low] = body_high[no_high], body_low[no_low]
