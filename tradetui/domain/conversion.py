"""Moving units of a position from one product to another (`upstox.md` 2.8): no trade, same average price."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradetui.domain.order import Product, Side


class ConversionStatus(StrEnum):
    """Our status of a conversion."""

    SENT = "sent"
    """Handed to the broker's edge; bytes may have left."""
    UNKNOWN = "unknown"
    """Sent, and the answer never came or made no sense: only the broker's positions tell."""
    DONE = "done"
    """The units have moved."""
    REJECTED = "rejected"
    """The broker refused it: nothing moved."""
    NOT_DONE = "not done"
    """The broker's positions have proven that nothing moved."""

    @property
    def under_way(self) -> bool:
        """Whether the units may still move."""
        return self in (ConversionStatus.SENT, ConversionStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion as we know it now.

    Attributes:
        tag: Our label; it stays here. ``x-`` and a number for one that was made elsewhere.
        side: Side that the position was opened on.
        qty: Units, positive.
        old: Product before.
        new: Product after.
        created_ns, updated_ns: Engine time of the intent and of the last change, UTC ns.
        message: Why it was refused, in words.
        foreign: Made elsewhere (phone, web) and found in the broker's positions.
    """

    tag: str
    instrument_key: str
    side: Side
    qty: int
    old: Product
    new: Product
    status: ConversionStatus
    created_ns: int
    updated_ns: int
    message: str = ""
    foreign: bool = False

    @property
    def signed_qty(self) -> int:
        """Units that move, negative for a short position."""
        return self.side.sign * self.qty
