"""What each phase of a trading day lets an order do.

Phases come as plain words from whoever owns the calendar, so that the exchange keeps no dates of its own.
Sources: NSE CMTR74466 and FAOP71092 (`india-markets` 1.1, 1.2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from tradetui.domain.instrument import Instrument
from tradetui.domain.order import OrderRequest, OrderType, Validity
from tradetui.exchange.orders import Refusal


class Phase(StrEnum):
    """Phase words; the same as the calendar's."""

    CLOSED = "CLOSED"
    PRE_OPEN = "PRE_OPEN"
    CANCEL_ONLY = "CANCEL_ONLY"
    CONTINUOUS = "CONTINUOUS"
    CLOSING_AUCTION = "CLOSING_AUCTION"
    POST_CLOSE = "POST_CLOSE"

    @property
    def keeps_orders(self) -> bool:
        """Whether orders of the day may rest; outside, they expire."""
        return self in (Phase.PRE_OPEN, Phase.CANCEL_ONLY, Phase.CONTINUOUS, Phase.CLOSING_AUCTION)


PhaseOf = Callable[[Instrument, int], str]
"""(instrument, UTC ns) -> phase word. Instruments of one segment differ: only shares with derivatives have a
closing auction."""

_REFUSED = {
    Phase.CLOSED: "the market is closed",
    Phase.CANCEL_ONLY: "only cancels are taken before the open",
    Phase.POST_CLOSE: "the session is over; trading at the closing price is not offered",
}


def refuse_in_phase(request: OrderRequest, phase: Phase) -> Refusal | None:
    """The reason why an order of this form cannot enter in this phase, or ``None``."""
    words = _REFUSED.get(phase)
    if words is not None:
        return Refusal("UDAPI1113", f"Market is closed: {words}")
    if phase is Phase.CONTINUOUS:
        return None
    name = "pre-open" if phase is Phase.PRE_OPEN else "closing auction"
    if request.order_type is not OrderType.LIMIT:
        return Refusal(
            "EXCHANGE", f"{request.order_type.value} orders are not taken in the {name}; use LIMIT"
        )
    if request.validity is Validity.IOC:
        return Refusal("EXCHANGE", f"IOC orders are not taken in the {name}")
    if request.disclosed_qty:
        return Refusal("EXCHANGE", f"disclosed quantity is not allowed in the {name}")
    return None


def cancelled_at_auction(request: OrderRequest, *, triggered: bool) -> str:
    """Why the exchange cancels this resting order when the closing auction begins; empty when it stays.

    Pending stops and disclosed-quantity orders go, plain limits carry over (NSE CMTR74466, BSE 20260610-41).
    """
    if request.order_type in (OrderType.SL, OrderType.SL_M) and not triggered:
        return "cancelled by the exchange: stop orders do not enter the closing auction"
    if request.disclosed_qty:
        return "cancelled by the exchange: disclosed-quantity orders do not enter the closing auction"
    return ""
