"""Weeks and months from days, cut by the trading calendar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest

from tests.unit.market.test_candles import DAY as SESSION_DAY
from tests.unit.market.test_candles import OPEN, Market
from tradetui.domain.calendar import Calendar, Segment, day_start_ns
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.bar_book import BarBook
from tradetui.market.days import DAY_S
from tradetui.market.history import History
from tradetui.market.periods import (
    MONTH_S,
    PERIODS,
    WEEK_S,
    NextSession,
    PeriodBars,
    fold_days,
    period_start,
    start_ms_of,
)

CALENDAR = Calendar.default()


def day_bar(day: date, price: float, *, slot: int = 0, gap: bool = False) -> Candle:
    return Candle(
        slot, DAY_S, day_start_ns(day) // 1_000_000, price, price + 5, price - 5, price + 1, 100, 9.0, gap=gap
    )


def following(slot: int, day: date) -> date:
    return CALENDAR.next_trading_day(Segment.EQ_OTHER, day)


def run(
    days: Iterable[date], next_session: NextSession = following
) -> tuple[History, list[tuple[date, Candle]]]:
    """Finish daily bars one after the other; the longer bars that each of them ended."""
    history = History()
    periods = PeriodBars(history, PERIODS, next_session)
    out = []
    for n, day in enumerate(days):
        bar = day_bar(day, 100.0 + n)
        history.append(bar)
        for longer in periods.finished(bar):
            history.append(longer)
            out.append((day, longer))
    return history, out


def test_labels_are_mondays_and_firsts() -> None:
    assert period_start(date(2026, 2, 1), WEEK_S) == date(2026, 1, 26), "a Sunday belongs to the week before"
    assert period_start(date(2026, 2, 1), MONTH_S) == date(2026, 2, 1)
    assert start_ms_of(date(2026, 11, 20), WEEK_S) == day_start_ns(date(2026, 11, 16)) // 1_000_000


def test_a_week_is_the_fold_of_its_days() -> None:
    days = [day_bar(date(2026, 11, d), 100.0 + d, gap=d == 18) for d in (16, 17, 18, 19, 20)]
    (week,) = fold_days(days, WEEK_S)
    assert (week.open, week.high, week.low, week.close, week.volume, week.oi) == (
        116,
        125,
        111,
        121,
        500,
        9.0,
    )
    assert (week.interval_s, week.source, week.gap) == (WEEK_S, BarSource.MERGED, True)


def test_weeks_and_months_end_with_their_last_session() -> None:
    trading = CALENDAR.trading_days(Segment.EQ_OTHER, date(2026, 1, 1), date(2026, 11, 20))
    _, ended = run(trading)
    weeks = [(day, bar) for day, bar in ended if bar.interval_s == WEEK_S]
    months = [(day, bar) for day, bar in ended if bar.interval_s == MONTH_S]
    assert [day for day, _ in months] == [max(d for d in trading if d.month == m) for m in range(1, 11)]
    assert sum(bar.volume for _, bar in months) == 100 * sum(day.month < 11 for day in trading)
    for day, bar in weeks:
        monday = period_start(day, WEEK_S)
        inside = [d for d in trading if period_start(d, WEEK_S) == monday]
        assert (bar.start_ms, bar.volume) == (start_ms_of(day, WEEK_S), 100 * len(inside))
        assert day == inside[-1], "closed with the last session, not a day later"
    assert sum(bar.volume for _, bar in weeks) == 100 * len(trading)
    short = [day for day, _ in weeks if day.weekday() < 4]
    assert short, "some weeks of a year end before Friday"
    budget = [day for day, _ in weeks if day == date(2026, 2, 1)]
    assert budget == [date(2026, 2, 1)], "the Sunday session ends its own week"


def test_what_nobody_closed_closes_with_the_next_periods_first_day() -> None:
    trading = CALENDAR.trading_days(Segment.EQ_OTHER, date(2026, 11, 2), date(2026, 11, 16))
    _, ended = run(trading, lambda slot, day: None)
    weeks = [(day, bar.start_ms) for day, bar in ended if bar.interval_s == WEEK_S]
    assert weeks == [
        (date(2026, 11, 9), start_ms_of(date(2026, 11, 2), WEEK_S)),
        (date(2026, 11, 16), start_ms_of(date(2026, 11, 9), WEEK_S)),
    ]


def test_the_forming_week_holds_the_forming_day() -> None:
    history, _ = run([date(2026, 11, 16), date(2026, 11, 17)])
    periods = PeriodBars(history, PERIODS, following)
    week = periods.forming(0, WEEK_S, day_bar(date(2026, 11, 18), 300.0))
    assert week is not None
    assert (week.open, week.high, week.close, week.volume) == (100.0, 305.0, 301.0, 300)
    done = PeriodBars(run([date(2026, 11, 20)])[0], PERIODS, following)
    assert done.forming(0, WEEK_S, None) is None, "it has ended"
    assert PeriodBars(History(), PERIODS, following).forming(0, MONTH_S, None) is None


def test_the_book_keeps_the_brokers_day_out_of_weeks() -> None:
    market = Market()
    history = History()
    book = BarBook(market.builder, history, (60, DAY_S, WEEK_S), following)
    friday = date(2026, 11, 20)
    ours, theirs = day_bar(friday, 100.0), day_bar(friday, 200.0)
    finished = [ours, replace(theirs, source=BarSource.BROKER)]
    seen = book.take(finished)
    assert [(c.interval_s, c.open) for c in seen] == [(DAY_S, 100.0), (WEEK_S, 100.0)]
    assert [c.interval_s for c in finished] == [DAY_S, DAY_S, WEEK_S], "the store gets all"
    assert [c.interval_s for c in book.newest(0, WEEK_S, 5)] == [WEEK_S]


def test_the_book_shows_the_week_that_a_trade_of_today_began() -> None:
    market = Market()
    book = BarBook(market.builder, History(), (60, DAY_S, WEEK_S), following)
    market.see(1_000, 0, ltt=900, price=100.0, vtt=510)
    (week,) = book.newest(0, WEEK_S, 5)
    assert (week.start_ms, week.close) == (start_ms_of(SESSION_DAY, WEEK_S), 100.0)
    (minute,) = book.newest(0, 60, 5)
    assert minute.start_ms == OPEN
    assert book.forming(1, 60) is None


@pytest.mark.parametrize("interval_s", PERIODS)
def test_folding_all_days_is_folding_them_one_by_one(interval_s: int) -> None:
    trading = CALENDAR.trading_days(Segment.EQ_OTHER, date(2026, 3, 1), date(2026, 6, 30))
    history, ended = run(trading)
    live = [bar for _, bar in ended if bar.interval_s == interval_s]
    assert fold_days(history.candles(0, DAY_S), interval_s)[: len(live)] == live
