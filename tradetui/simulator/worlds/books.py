"""Order books of the synthetic market: five or more levels around a fair price, on the tick, never crossed.

A level's quantity is a hash of instrument, price, side and a few seconds of time, so that a book keeps its
shape while the price moves through it, and the same moment always has the same book.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

STEPS_A_SECOND = 4
BOOK_BEHIND = 12
"""Quantity of a whole side of the book against its first five levels."""

_BUCKET_STEPS = 12
_A, _B, _C = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(value: U64) -> U64:
    """Scramble 64-bit integers (the finaliser of SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * _B
    value = (value ^ (value >> np.uint64(27))) * _C
    return np.asarray(value ^ (value >> np.uint64(31)))


def uniform(value: U64) -> F64:
    """Scrambled integers as numbers in [0, 1)."""
    return np.asarray((value >> np.uint64(11)).astype(np.float64) * 2.0**-53)


@dataclass(frozen=True, slots=True)
class BookTerms:
    """How the books of a listing look, by row.

    Attributes:
        tick: Price step, rupees.
        lot: Quantity step, units.
        half_spread: Half the spread as a fraction of the price.
        min_half_spread: The same in ticks, at least.
        gap: Usual distance of levels, ticks.
        size: Usual quantity of a level, lots.
        seed: Part of every hash.
    """

    tick: F64
    lot: I64
    half_spread: F64
    min_half_spread: F64
    gap: I64
    size: F64
    seed: int


@dataclass(frozen=True, slots=True)
class Touch:
    """Best prices in ticks; a bid of 0 means that nobody bids."""

    bid: I64
    ask: I64


def touch(terms: BookTerms, row: NDArray[np.intp] | slice, fair: F64) -> Touch:
    """Best bid and ask around fair prices (rupees) of the given rows: always at least one tick apart."""
    ticks = fair / terms.tick[row]
    half = np.maximum(terms.min_half_spread[row], terms.half_spread[row] * ticks)
    bid = np.maximum(np.floor(ticks - half), 0).astype(np.int64)
    return Touch(bid, np.maximum(np.ceil(ticks + half).astype(np.int64), 1))


@dataclass(frozen=True, slots=True)
class Depth:
    """Levels of books, ``[book, level]``, best first; an empty level has price and quantity 0."""

    bid_price: F64
    bid_qty: I64
    ask_price: F64
    ask_qty: I64


def depth(terms: BookTerms, row: NDArray[np.intp], best: Touch, step: I64, levels: int = 5) -> Depth:
    """The books of the given rows at the given times.

    Args:
        terms: How books look.
        row: Row of each book's instrument.
        best: Best prices.
        step: Time in steps since the session's start.
        levels: Levels a side.
    """
    gap = terms.gap[row][:, None]
    number = np.arange(levels, dtype=np.int64)[None, :]
    mark = mix(
        (row.astype(np.uint64)[:, None] + np.uint64(terms.seed * int(_A) % 2**64))
        ^ (number.astype(np.uint64) * _C)
    )
    # Distances grow strictly: a whole gap for each level and less than a gap of unevenness.
    uneven = np.where(number > 0, (uniform(mark) * gap).astype(np.int64), 0)
    offset = number * gap + uneven
    bid, ask = best.bid[:, None] - offset, best.ask[:, None] + offset
    bid_qty = _quantities(terms, row, bid, step, np.uint64(1))
    ask_qty = _quantities(terms, row, ask, step, np.uint64(2))
    there = bid > 0
    tick = terms.tick[row][:, None]
    return Depth(
        np.where(there, np.round(bid * tick, 4), 0.0),
        np.where(there, bid_qty, 0),
        np.round(ask * tick, 4),
        ask_qty,
    )


def _quantities(terms: BookTerms, row: NDArray[np.intp], price: I64, step: I64, side: np.uint64) -> I64:
    place = mix(
        (price.astype(np.uint64) << np.uint64(20)) ^ (row.astype(np.uint64)[:, None] << np.uint64(2)) ^ side
    )
    # Each level changes at its own moment of the few seconds it lasts.
    bucket = (step.astype(np.uint64)[:, None] + place % np.uint64(_BUCKET_STEPS)) // np.uint64(_BUCKET_STEPS)
    mark = mix(place ^ (bucket * _A) ^ np.uint64(terms.seed))
    spread = uniform(mark) + uniform(mix(mark + _A)) + uniform(mix(mark + _B)) - 1.5
    lots = np.floor(terms.size[row][:, None] * np.exp(1.8 * spread)).astype(np.int64) + 1
    return np.asarray(lots * terms.lot[row][:, None])
