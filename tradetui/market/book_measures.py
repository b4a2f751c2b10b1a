"""Measures of the order book as it stands, for many instruments at once.

Nothing is kept: they are read off the depth when somebody looks. Of a book without one of its sides most say
NaN; of a crossed one (bid at or above ask: the frame is stale or damaged) the spread is zero or negative, and the
reader sees that it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64

_BID_PRICE, _BID_QTY, _ASK_PRICE, _ASK_QTY = range(4)
_BASIS_POINTS = 10_000.0


@dataclass(frozen=True, slots=True)
class BookMeasures:
    """Measures by row of the depth they were read from. Spread and microprice are NaN without both sides.

    Attributes:
        spread_rupees: Best ask less best bid.
        spread_ticks: The same in price steps.
        spread_bps: The same in 1/10,000 of the middle.
        microprice: Middle weighted with the quantities of the *other* side, rupees: with many units bid and few
            offered it lies near the ask, where the next trade is likely. This is the weighted mid-price that
            S. Stoikov, "The Micro-Price", Quantitative Finance 18 (2018), pages 1959-1966, starts from; his own
            adds a correction fitted to each instrument's past, which is not made here.
        imbalance_1: (bid - ask) / (bid + ask) of the best quantities, -1 to 1: above 0 more is bid. With one side
            empty it is -1 or 1, with both NaN.
        imbalance_5: The same of all units in five levels; NaN where only the best one is read.
    """

    spread_rupees: F64
    spread_ticks: F64
    spread_bps: F64
    microprice: F64
    imbalance_1: F64
    imbalance_5: F64


def book_measures(depth: F64, tick_rupees: F64, best_only: NDArray[np.bool_] | None = None) -> BookMeasures:
    """Measure the books of some instruments.

    Args:
        depth: [n, 4, 5] as in `TickBatch`.
        tick_rupees: Price step of each, rupees; 0 where none is known.
        best_only: Where only the best level was read: nothing is known of the other four.
    """
    bid, ask = depth[:, _BID_PRICE, 0], depth[:, _ASK_PRICE, 0]
    bid_qty, ask_qty = depth[:, _BID_QTY, 0], depth[:, _ASK_QTY, 0]
    both = (bid > 0) & (ask > 0)
    spread: F64 = np.where(both, ask - bid, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Whole ticks as whole numbers; a spread off the grid keeps its fraction.
        ticks: F64 = np.where(tick_rupees > 0, spread / tick_rupees, np.nan)
        share = bid_qty / (bid_qty + ask_qty)
        microprice = np.where(both, ask * share + bid * (1.0 - share), np.nan)
        five = _imbalance(depth[:, _BID_QTY].sum(axis=1), depth[:, _ASK_QTY].sum(axis=1))
        return BookMeasures(
            spread_rupees=spread.round(6),
            spread_ticks=ticks.round(6),
            spread_bps=spread / ((bid + ask) / 2) * _BASIS_POINTS,
            microprice=microprice,
            imbalance_1=_imbalance(bid_qty, ask_qty),
            imbalance_5=five if best_only is None else np.where(best_only, np.nan, five),
        )


def _imbalance(bid_qty: F64, ask_qty: F64) -> F64:
    return (bid_qty - ask_qty) / (bid_qty + ask_qty)
