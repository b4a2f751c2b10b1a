"""Losses of day, week and month against their limits, and the breakers that latch when one is reached.

How losses are measured is written down in ADR 0009. All functions are pure; `desk/guard.py` keeps the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tradetui.domain.money import Money
from tradetui.risk.limits import Limits


class Span(StrEnum):
    """What a loss limit refers to."""

    DAY = "day"
    """A day, IST."""
    WEEK = "week"
    """An ISO week: Monday to Sunday, IST."""
    MONTH = "month"
    """A calendar month, IST."""

    def of(self, day: date) -> str:
        """The span that a day lies in, as text: ``2026-11-21``, ``2026-W47``, ``2026-11``."""
        if self is Span.DAY:
            return day.isoformat()
        if self is Span.WEEK:
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02d}"
        return f"{day:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses as positive amounts, gains as negative ones; a drawdown is never negative."""

    day: Money = Money(0)
    week: Money = Money(0)
    month: Money = Money(0)

    def of(self, span: Span) -> Money:
        """The loss of one span."""
        return self.day if span is Span.DAY else self.week if span is Span.WEEK else self.month

    def less(self, waived: Mapping[Span, Money]) -> Losses:
        """What is left when a person has waived part of them with a typed reason."""
        return Losses(
            Money(self.day - waived.get(Span.DAY, 0)),
            Money(self.week - waived.get(Span.WEEK, 0)),
            Money(self.month - waived.get(Span.MONTH, 0)),
        )


def losses(results: Mapping[date, Money], today: date, net: Money) -> Losses:
    """Losses of the spans that ``today`` lies in.

    Args:
        results: Net result of each earlier day; later and today's entries are ignored.
        today: The day, IST.
        net: Today's result so far: realised and open, net of charges.
    """
    week, month = Span.WEEK.of(today), Span.MONTH.of(today)
    of_week, run, best = 0, 0, 0
    for day in sorted(results):
        if day >= today:
            break
        if Span.WEEK.of(day) == week:
            of_week += results[day]
        if Span.MONTH.of(day) == month:
            run += results[day]
            best = max(best, run)
    return Losses(Money(-net), Money(-(of_week + net)), Money(max(0, best - (run + net))))


def limit_of(limits: Limits, span: Span) -> Money:
    """The limit of one span; 0 for none."""
    if span is Span.DAY:
        return limits.daily_loss
    return limits.weekly_loss if span is Span.WEEK else limits.monthly_drawdown


def reached(found: Losses, limits: Limits) -> tuple[Span, ...]:
    """The spans whose loss has reached its limit."""
    return tuple(span for span in Span if 0 < limit_of(limits, span) <= found.of(span))


@dataclass(frozen=True, slots=True)
class Latch:
    """A breaker that has tripped: it holds until its span is over, or a person releases it with a typed reason.

    Attributes:
        span: Day, week or month.
        until: The span in which it holds, as `Span.of` writes it.
        words: What was reached.
    """

    span: Span
    until: str
    words: str

    def holds(self, day: date) -> bool:
        """Whether it still holds on a day."""
        return self.span.of(day) == self.until
