"""Columns by slot that grow together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def longer(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """A copy with ``rows`` rows; the new ones are zero."""
    grown = np.zeros((rows, *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown


def room_for(capacity: int, slot: int) -> int:
    """The capacity doubled until it holds ``slot``."""
    while capacity <= slot:
        capacity *= 2
    return capacity
