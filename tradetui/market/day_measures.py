"""Where a price stands in its day and its year, and what open interest says beside it. Pure functions of columns."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.market_data import F64

LEAST_PRICE_MOVE: Final = 0.001
"""Share of the price below which a move is none, for the build-up."""
LEAST_OI_MOVE: Final = 0.01
"""Share of the open interest below which a change is none, for the build-up."""


class BuildUp(IntEnum):
    """What price and open interest together are commonly called.

    A name, not a finding: open interest has no sign, for every long there is a short.
    """

    NONE = 0
    """One of the two did not move enough, or is not known."""
    LONG = 1
    """Price up, open interest up: long build-up."""
    SHORT = 2
    """Price down, open interest up: short build-up."""
    COVERING = 3
    """Price up, open interest down: short covering."""
    UNWINDING = 4
    """Price down, open interest down: long unwinding."""


def range_position(last: F64, low: F64, high: F64) -> F64:
    """Where the price stands in a range: 0 at its low, 1 at its high; NaN without a range.

    A price beyond the range counts as at its end: the broker's bar may be a frame behind.
    """
    width = high - low
    known = (last > 0) & (low > 0) & (width > 0)
    return np.where(known, np.clip((last - low) / np.where(known, width, 1.0), 0.0, 1.0), np.nan)


def percent_from(last: F64, reference: F64) -> F64:
    """How far a price lies from another, percent; negative below it; NaN where one of them is 0 (not known)."""
    known = (last > 0) & (reference > 0)
    return np.where(known, (last / np.where(known, reference, 1.0) - 1.0) * 100.0, np.nan)


def oi_change(oi: F64, reference: F64) -> F64:
    """Change of the open interest, units; NaN where one of them is 0 (not known)."""
    return np.where((oi > 0) & (reference > 0), oi - reference, np.nan)


def build_up(last: F64, price_before: F64, oi: F64, oi_before: F64) -> NDArray[np.int8]:
    """Class of the move since a common moment in the past (`BuildUp`), by row.

    Args:
        last: Last price, rupees.
        price_before: Price at that moment, rupees; 0 where not known.
        oi: Open interest, units.
        oi_before: Open interest at that moment, units; 0 where not known.
    """
    price, interest = percent_from(last, price_before) / 100.0, percent_from(oi, oi_before) / 100.0
    # Half a millionth below: 0.1% of a price in binary is rarely exact. NaN compares as False.
    near = 1.0 - 5e-7
    moved = (np.abs(price) >= LEAST_PRICE_MOVE * near) & (np.abs(interest) >= LEAST_OI_MOVE * near)
    name = np.where(
        interest > 0,
        np.where(price > 0, BuildUp.LONG, BuildUp.SHORT),
        np.where(price > 0, BuildUp.COVERING, BuildUp.UNWINDING),
    )
    return np.where(moved, name, BuildUp.NONE).astype(np.int8)
