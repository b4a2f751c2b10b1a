"""Names of market segments and of the phases of a trading day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """Segments that share holidays."""

    EQ = "EQ"
    """Equity cash and index values."""
    FNO = "FNO"
    """Equity derivatives."""
    CDS = "CDS"
    """Currency derivatives."""
    COM = "COM"
    """Commodity derivatives."""


class Segment(StrEnum):
    """Classes of instruments that share a timetable. See `session_class`."""

    EQ_FNO_UNDERLYING = "EQ_FNO_UNDERLYING"
    """Cash stock on which derivatives trade: in the closing auction since 3 Aug 2026."""
    EQ_OTHER = "EQ_OTHER"
    """Any other cash security."""
    INDEX = "INDEX"
    """A computed index value: it follows its stocks, and stands still through their closing auction."""
    INDEX_VOLATILITY = "INDEX_VOLATILITY"
    """India VIX: computed from options, so it moves on while they trade."""
    FNO = "FNO"
    """Equity options, and futures outside the pre-open."""
    FNO_NEAR_FUTURE = "FNO_NEAR_FUTURE"
    """Current-month future: in the derivatives pre-open since 8 Dec 2025."""
    FNO_EXPIRING_INDEX = "FNO_EXPIRING_INDEX"
    """Index option on its expiry day."""
    FNO_EXPIRING_INDEX_FUTURE = "FNO_EXPIRING_INDEX_FUTURE"
    """Index future on its expiry day."""
    CDS = "CDS"
    """Currency derivative."""
    MCX_NONAGRI = "MCX_NONAGRI"
    """Metals and energy: the close follows US summer time."""
    MCX_AGRI = "MCX_AGRI"
    """Farm commodity."""
    MCX_AGRI_INTL = "MCX_AGRI_INTL"
    """Farm commodity with markets abroad: cotton, crude palm oil, kapas."""
    NSE_COM = "NSE_COM"
    """Commodity derivative at NSE."""

    @property
    def group(self) -> Group:
        """The holiday list this class follows."""
        return _GROUP_OF[self]


_GROUP_OF = {
    Segment.EQ_FNO_UNDERLYING: Group.EQ,
    Segment.EQ_OTHER: Group.EQ,
    Segment.INDEX: Group.EQ,
    Segment.INDEX_VOLATILITY: Group.FNO,
    Segment.FNO: Group.FNO,
    Segment.FNO_NEAR_FUTURE: Group.FNO,
    Segment.FNO_EXPIRING_INDEX: Group.FNO,
    Segment.FNO_EXPIRING_INDEX_FUTURE: Group.FNO,
    Segment.CDS: Group.CDS,
    Segment.MCX_NONAGRI: Group.COM,
    Segment.MCX_AGRI: Group.COM,
    Segment.MCX_AGRI_INTL: Group.COM,
    Segment.NSE_COM: Group.COM,
}


class PhaseKind(StrEnum):
    """What the market does."""

    CLOSED = "CLOSED"
    PRE_OPEN = "PRE_OPEN"
    """Call auction before the open."""
    CANCEL_ONLY = "CANCEL_ONLY"
    """Commodity session before the open in which orders can only be cancelled."""
    CONTINUOUS = "CONTINUOUS"
    """Normal trading."""
    CLOSING_AUCTION = "CLOSING_AUCTION"
    """Call auction at the end (CAS)."""
    POST_CLOSE = "POST_CLOSE"
    """Trading at the closing price."""


class Stage(StrEnum):
    """Where inside an auction."""

    NONE = ""
    """Not an auction, or its stages are not known."""
    REFERENCE = "REFERENCE"
    """The reference price is computed; no orders."""
    ENTRY = "ENTRY"
    """Limit and market orders."""
    LIMIT_ONLY = "LIMIT_ONLY"
    """Limit orders only; market orders are frozen."""
    MATCH = "MATCH"
    """Orders are matched at one price."""
    BUFFER = "BUFFER"
    """Transition to continuous trading."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a trading day: start inclusive, end exclusive, nanoseconds UTC."""

    kind: PhaseKind
    start_ns: int
    end_ns: int
    stage: Stage = Stage.NONE
    random_close_ns: int | None = None
    """Earliest moment at which order entry may close at random; None where it ends on time."""


_CASH = frozenset({"NSE_EQ", "BSE_EQ"})
_INDEX = frozenset({"NSE_INDEX", "BSE_INDEX"})
_EQUITY_DERIVATIVES = frozenset({"NSE_FO", "BSE_FO"})
_CURRENCY = frozenset({"NCD_FO", "BCD_FO"})
_MCX = frozenset({"MCX_FO", "MCX_INDEX"})


def session_class(
    exchange_segment: str,
    *,
    has_derivatives: bool = False,
    is_agri: bool = False,
    is_linked_abroad: bool = False,
    is_index_contract: bool = False,
    is_near_future: bool = False,
    is_expiry_day: bool = False,
    is_volatility: bool = False,
) -> Segment:
    """The timetable class of an instrument.

    Args:
        exchange_segment: Upstox segment: ``NSE_EQ``, ``BSE_FO``, ``MCX_FO`` and so on.
        has_derivatives: A cash stock that is an underlying in NSE_FO or BSE_FO (the closing auction's
            membership; BSE 20260610-41).
        is_agri: A farm commodity.
        is_linked_abroad: A farm commodity with markets abroad (to 21:00).
        is_index_contract: A derivative on an index.
        is_near_future: A future in the derivatives pre-open (NSE FAOP71092).
        is_expiry_day: The contract expires on the day asked about.
        is_volatility: A volatility index: computed from option prices.

    Raises:
        ValueError: The segment is not known.
    """
    if exchange_segment in _CASH:
        return Segment.EQ_FNO_UNDERLYING if has_derivatives else Segment.EQ_OTHER
    if exchange_segment in _INDEX:
        return Segment.INDEX_VOLATILITY if is_volatility else Segment.INDEX
    if exchange_segment in _EQUITY_DERIVATIVES:
        if is_index_contract and is_expiry_day:
            return Segment.FNO_EXPIRING_INDEX_FUTURE if is_near_future else Segment.FNO_EXPIRING_INDEX
        return Segment.FNO_NEAR_FUTURE if is_near_future else Segment.FNO
    if exchange_segment in _CURRENCY:
        return Segment.CDS
    if exchange_segment in _MCX:
        if is_linked_abroad:
            return Segment.MCX_AGRI_INTL
        return Segment.MCX_AGRI if is_agri else Segment.MCX_NONAGRI
    if exchange_segment == "NSE_COM":
        return Segment.NSE_COM
    raise ValueError(f"no timetable for exchange segment {exchange_segment!r}")
