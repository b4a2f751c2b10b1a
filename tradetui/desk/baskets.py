"""Several orders as one group: judged together, what protects goes first, no leg is stranded in silence."""

from __future__ import annotations

from collections.abc import Sequence

from tradetui.desk.groups import Part
from tradetui.desk.slices import slices_of
from tradetui.domain.order import Side
from tradetui.risk.facts import Facts


def in_order(legs: Sequence[Facts]) -> list[Facts]:
    """The legs in the order of sending: what reduces, then what is bought, then what is sold.

    A bought option bounds the loss of the sold one beside it and frees its margin.
    """
    return sorted(legs, key=_stage)


def parts_of(legs: Sequence[Facts]) -> list[Part]:
    """The orders of a basket, freeze-sliced, with their stages; ``legs`` are in the order of sending."""
    return [
        Part(request, _stage(leg), leg.reducing)
        for leg in legs
        for request in slices_of(leg.request, leg.instrument)
    ]


def _stage(leg: Facts) -> int:
    if leg.reducing:
        return 0
    return 1 if leg.request.side is Side.BUY else 2
