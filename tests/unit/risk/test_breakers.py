"""Losses of day, week and month, and when a breaker's time is over."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.money import Money, to_money
from tradetui.risk.breakers import Latch, Span, losses, reached
from tradetui.risk.limits import Limits

FRIDAY = date(2026, 11, 20)
LIMITS = Limits(capital=to_money(100_000))


def rupees(**days: int) -> dict[date, Money]:
    return {date(2026, 11, int(day[1:])): to_money(net) for day, net in days.items()}


def test_a_week_is_what_its_days_and_today_came_to() -> None:
    found = losses(rupees(d13=-9_000, d16=-2_000, d18=500), FRIDAY, to_money(-1_000))
    assert (found.day, found.week) == (to_money(1_000), to_money(2_500)), "the 13th was another week"


def test_a_drawdown_is_measured_from_the_best_days_end_of_the_month() -> None:
    found = losses(rupees(d02=3_000, d03=4_000, d04=-2_000), FRIDAY, to_money(-6_000))
    assert found.month == to_money(8_000), "7,000 at its best, -1,000 now"
    assert losses(rupees(d02=3_000), FRIDAY, to_money(1)).month == 0, "a new high"
    october = {date(2026, 10, 30): to_money(50_000)}
    assert losses(october, FRIDAY, to_money(-5)).month == to_money(5), "another month's gains are gone"


def test_limits_are_reached_at_the_rupee_and_zero_switches_one_off() -> None:
    assert reached(losses({}, FRIDAY, Money(to_money(-3_000) + 1)), LIMITS) == ()
    assert reached(losses({}, FRIDAY, to_money(-3_000)), LIMITS) == (Span.DAY,)
    assert reached(losses({}, FRIDAY, to_money(-10_000)), LIMITS) == (Span.DAY, Span.WEEK, Span.MONTH)
    off = Limits(capital=to_money(100_000), weekly_loss_pct=0, monthly_drawdown_pct=0)
    assert reached(losses({}, FRIDAY, to_money(-10_000)), off) == (Span.DAY,)


def test_what_was_waived_counts_no_more() -> None:
    found = losses({}, FRIDAY, to_money(-3_500)).less({Span.DAY: to_money(3_000)})
    assert found.day == to_money(500)
    assert found.week == to_money(3_500)


def test_a_breaker_holds_for_its_own_time() -> None:
    week = Latch(Span.WEEK, Span.WEEK.of(FRIDAY), "")
    assert week.holds(date(2026, 11, 22)), "Sunday"
    assert not week.holds(date(2026, 11, 23)), "Monday"
    assert Span.WEEK.of(date(2027, 1, 1)) == Span.WEEK.of(date(2026, 12, 31)), "a week over the year's end"
    month = Latch(Span.MONTH, Span.MONTH.of(FRIDAY), "")
    assert month.holds(date(2026, 11, 30))
    assert not month.holds(date(2026, 12, 1))


@given(
    st.dictionaries(st.dates(date(2026, 10, 1), FRIDAY), st.integers(-(10**9), 10**9), max_size=30),
    st.integers(-(10**9), 10**9),
)
def test_a_drawdown_is_never_less_than_the_months_loss(rows: dict[date, int], net: int) -> None:
    results = {day: Money(value) for day, value in rows.items()}
    found = losses(results, FRIDAY, Money(net))
    month = net + sum(v for d, v in rows.items() if d < FRIDAY and Span.MONTH.of(d) == "2026-11")
    assert found.month >= max(0, -month)
    assert found.week == -(net + sum(v for d, v in rows.items() if date(2026, 11, 16) <= d < FRIDAY))
