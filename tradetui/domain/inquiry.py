"""What a broker answers to questions that people ask: margins, charges, locks, addresses. Never the engine's path."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.money import Money


@dataclass(frozen=True, slots=True)
class LegMargin:
    """What one leg would block by itself, in 1/10,000 rupee."""

    instrument_key: str
    total: Money
    span: Money = Money(0)
    exposure: Money = Money(0)
    equity: Money = Money(0)
    premium: Money = Money(0)
    additional: Money = Money(0)
    tender: Money = Money(0)


@dataclass(frozen=True, slots=True)
class MarginAnswer:
    """What orders would block together.

    Attributes:
        legs: Each leg by itself.
        required: Their sum.
        final: After the benefit of legs that hedge each other.
        estimate: Reckoned here, not told by a broker.
    """

    legs: tuple[LegMargin, ...]
    required: Money
    final: Money
    estimate: bool = False

    @property
    def benefit(self) -> Money:
        """What the hedge saves."""
        return Money(max(0, self.required - self.final))


@dataclass(frozen=True, slots=True)
class ChargesAnswer:
    """What one executed order would cost, line by line, in 1/10,000 rupee.

    Attributes:
        total: All lines that the broker adds up.
        transaction: Exchange transaction charges.
        clearing, ipft, sebi: Clearing, investor protection fund, SEBI turnover fee.
        dp_plan: Name of the plan for depository charges; empty when the broker says none.
        dp_min: Least depository charge of a delivery sale under that plan; not part of ``total``.
        estimate: Reckoned here, not told by a broker.
    """

    total: Money
    brokerage: Money
    gst: Money
    stt: Money
    stamp: Money
    transaction: Money
    clearing: Money = Money(0)
    ipft: Money = Money(0)
    sebi: Money = Money(0)
    dp_plan: str = ""
    dp_min: Money = Money(0)
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class SegmentLock:
    """One segment, as the account's own kill switch at the broker has it.

    Attributes:
        segment: ``NSE_EQ`` and the like.
        active: The account has this segment at all.
        locked: The kill switch has closed it: for at least 12 hours, and until a new login.
    """

    segment: str
    active: bool
    locked: bool


@dataclass(frozen=True, slots=True)
class StaticIp:
    """The addresses registered for order writes; empty when there is none."""

    primary: str
    secondary: str
