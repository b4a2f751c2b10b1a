"""What each phase of a trading day lets an order do.

Phases come as plain words from whoever owns the calendar, so that the exchange keeps no dates of its own.
Sources: NSE CMTR74466 and FAOP71092 (`india-markets` 1.1, 1.2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from tradetui.domain.calendar.phases import Phase as CalendarPhase
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import OrderRequest, OrderType, Validity
from tradetui.exchange.orders import Refusal


class Phase(StrEnum):
    """Phase words: those of the calendar, with the stage of an auction behind a colon where it matters."""

    CLOSED = "CLOSED"
    PRE_OPEN = "PRE_OPEN"
    PRE_OPEN_MATCH = "PRE_OPEN:MATCH"
    CANCEL_ONLY = "CANCEL_ONLY"
    CONTINUOUS = "CONTINUOUS"
    CLOSING_REFERENCE = "CLOSING_AUCTION:REFERENCE"
    CLOSING_AUCTION = "CLOSING_AUCTION"
    CLOSING_MATCH = "CLOSING_AUCTION:MATCH"
    POST_CLOSE = "POST_CLOSE"

    @classmethod
    def of(cls, word: str) -> Phase:
        """The phase that a word means: a calendar's phase, with or without its stage.

        Raises:
            ValueError: No such phase.
        """
        kind, _, stage = word.partition(":")
        return cls(f"{kind}:{_STAGES[kind, stage]}") if (kind, stage) in _STAGES else cls(kind)

    @property
    def keeps_orders(self) -> bool:
        """Whether orders of the day may rest; outside, they expire."""
        return self not in (Phase.CLOSED, Phase.POST_CLOSE)

    @property
    def closing(self) -> bool:
        """Whether it belongs to the closing auction."""
        return self in (Phase.CLOSING_REFERENCE, Phase.CLOSING_AUCTION, Phase.CLOSING_MATCH)

    @property
    def collects(self) -> bool:
        """Whether orders collect for an auction that is still to be held."""
        return self in (Phase.PRE_OPEN, Phase.CLOSING_REFERENCE, Phase.CLOSING_AUCTION)


_STAGES = {
    ("PRE_OPEN", "MATCH"): "MATCH",
    ("PRE_OPEN", "BUFFER"): "MATCH",
    ("CLOSING_AUCTION", "REFERENCE"): "REFERENCE",
    ("CLOSING_AUCTION", "MATCH"): "MATCH",
}
"""Stages that let an order do something else than their phase does."""


def phase_word(phase: CalendarPhase | None) -> str:
    """The word for a phase of the calendar; ``None`` is a closed market."""
    if phase is None:
        return Phase.CLOSED.value
    return f"{phase.kind.value}:{phase.stage.value}" if phase.stage.value else phase.kind.value


PhaseOf = Callable[[Instrument, int], str]
"""(instrument, UTC ns) -> phase word (`phase_word`). Instruments of one segment differ: only shares with derivatives have a
closing auction."""

_REFUSED = {
    Phase.CLOSED: "the market is closed",
    Phase.CANCEL_ONLY: "only cancels are taken before the open",
    Phase.PRE_OPEN_MATCH: "the pre-open orders are being matched",
    Phase.CLOSING_REFERENCE: "the closing auction takes orders once its reference price is out",
    Phase.CLOSING_MATCH: "the closing auction is being matched",
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
