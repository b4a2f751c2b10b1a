"""The ticks inside one minute of bars: a path that touches open, high, low and close, with its trades and quotes.

The path runs from open to close by way of both extremes (low first in a rising minute), with noise between;
the first trade is at the open, the last at the close, one each at the extremes, so that a bar built from the
ticks is the bar they were made from. Other trades are at the bid or the ask of their moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradetui.simulator.worlds.books import STEPS_A_SECOND, BookTerms, Touch, touch

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Flags = NDArray[np.bool_]

STEPS = 60 * STEPS_A_SECOND
"""Steps of a minute."""

STEP_NS = 1_000_000_000 // STEPS_A_SECOND
_SMOOTH = 0.4
_OPEN_BY, _CLOSE_FROM = 16, 224
_TURN = (24, 120, 216)
_EVERY_STEP = np.arange(STEPS)[:, None]


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Bars of one minute, by row."""

    open: F64
    high: F64
    low: F64
    close: F64
    volume: I64
    trades: I64


@dataclass(frozen=True, slots=True)
class Turns:
    """Steps of the four marks of a path: open, first and second extreme, close; ``[4, row]``."""

    at: I64


def draw_turns(rng: np.random.Generator, rows: int) -> Turns:
    """When each path opens, turns and closes."""
    return Turns(
        np.stack(
            [
                rng.integers(0, _OPEN_BY, rows),
                rng.integers(_TURN[0], _TURN[1], rows),
                rng.integers(_TURN[1], _TURN[2], rows),
                rng.integers(_CLOSE_FROM, STEPS, rows),
            ]
        )
    )


def _through(turns: Turns, values: F64) -> F64:
    """Straight lines through four marks, ``[step, row]``; flat before the first and after the last."""
    at = turns.at.astype(np.float64)
    out = np.broadcast_to(values[0], (STEPS, values.shape[1])).copy()
    for leg in range(3):
        part = np.clip((_EVERY_STEP - at[leg]) / (at[leg + 1] - at[leg]), 0.0, 1.0)
        out += (values[leg + 1] - values[leg]) * part
    return out


def paths(rng: np.random.Generator, bars: MinuteBars, turns: Turns, *, smooth: float = _SMOOTH) -> F64:
    """Fair prices by step, ``[step, row]``, inside each bar's range."""
    rising = bars.close >= bars.open
    marks = np.stack(
        [bars.open, np.where(rising, bars.low, bars.high), np.where(rising, bars.high, bars.low), bars.close]
    )
    noise = np.cumsum(rng.standard_normal((STEPS, len(rising))), axis=0) / np.sqrt(STEPS)
    columns = np.arange(len(rising))
    noise -= _through(turns, noise[turns.at, columns])
    path = _through(turns, marks) + noise * (smooth * (bars.high - bars.low))
    return np.asarray(np.clip(path, bars.low, bars.high))


@dataclass(frozen=True, slots=True)
class Tape:
    """Trades of one minute, ``[step, row]``.

    Attributes:
        traded: Whether there is a trade.
        price: Its price, rupees.
        qty: Its units.
        best: The book's best prices, ticks.
    """

    traded: Flags
    price: F64
    qty: I64
    best: Touch


def trade(rng: np.random.Generator, bars: MinuteBars, turns: Turns, fair: F64, terms: BookTerms) -> Tape:
    """Put a minute's trades on a path.

    Args:
        rng: Source of chance.
        bars: What the trades must add up to.
        turns: The paths' marks.
        fair: Fair prices by step.
        terms: How books look.
    """
    rows = fair.shape[1]
    columns = np.arange(rows)
    best = touch(terms, slice(None), fair)
    buys = (rng.random((STEPS, rows)) < 0.5) | (best.bid == 0)
    price = np.where(buys, best.ask, best.bid) * terms.tick
    price = np.clip(price, bars.low, bars.high)
    first_is_high = fair[turns.at[1], columns] >= fair[turns.at[2], columns]
    high_at = np.where(first_is_high, turns.at[1], turns.at[2])
    low_at = np.where(first_is_high, turns.at[2], turns.at[1])
    score = rng.random((STEPS, rows))
    score[(turns.at[0] >= _EVERY_STEP) | (turns.at[3] <= _EVERY_STEP)] = 2.0
    body_high = np.maximum(bars.open, bars.close)
    n = bars.trades
    forced = (
        (turns.at[0], n >= 2, bars.open),
        (high_at, (n >= 4) | ((n == 3) & (bars.high > body_high)), bars.high),
        (low_at, (n >= 4) | ((n == 3) & (bars.high <= body_high)), bars.low),
        (turns.at[3], n >= 1, bars.close),
    )
    for step, wanted, at_price in forced:
        score[step[wanted], columns[wanted]] = -1.0
        price[step[wanted], columns[wanted]] = at_price[wanted]
    ordered = np.sort(score, axis=0)
    bound = ordered[np.clip(n - 1, 0, STEPS - 1), columns]
    traded = (score <= bound) & (n > 0)
    return Tape(traded, np.round(price, 4), _split(rng, bars.volume // terms.lot, traded) * terms.lot, best)


def _split(rng: np.random.Generator, lots: I64, traded: Flags) -> I64:
    """Share out a minute's lots among its trades, at least one each."""
    weights = np.exp(rng.standard_normal(traded.shape)) * traded
    total = np.maximum(weights.sum(axis=0), 1e-12)
    spare = np.maximum(lots - traded.sum(axis=0), 0)
    bound = np.floor(np.cumsum(weights, axis=0) / total * spare + 1e-9).astype(np.int64)
    qty = np.diff(bound, axis=0, prepend=np.zeros((1, traded.shape[1]), np.int64)) + 1
    return np.asarray(np.where(traded & (lots > 0), qty, 0))
