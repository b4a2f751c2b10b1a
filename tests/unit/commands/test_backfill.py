"""What a backfill asks for: ranges, complete days, pieces; and what it says at the end."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from typing import cast

import numpy as np
import pytest

from tradetui.brokers.upstox.candles import CandleClient, Stretch
from tradetui.commands.backfill import Report, Summary, check_interval, range_of
from tradetui.commands.backfill.progress import Progress, TerminalProgress, progress_for
from tradetui.commands.backfill.work import Worker, is_complete, missing_days, pieces_of, windows_of
from tradetui.domain.calendar import Calendar, ns
from tradetui.domain.errors import BrokerError, TransportError, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import BarSource, Candle
from tradetui.storage.store import Store

INDEX = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
SHARE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
MONDAY = date(2025, 12, 15)
DAY = timedelta(days=1)
WEEK = [MONDAY + DAY * step for step in range(5)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, (date(2025, 11, 15), MONDAY)),
        (None, date(2025, 12, 1), (date(2025, 11, 1), date(2025, 12, 1))),
        (date(2025, 12, 10), None, (date(2025, 12, 10), MONDAY)),
        (MONDAY, MONDAY, (MONDAY, MONDAY)),
    ],
)
def test_a_range_has_defaults(first: date | None, last: date | None, expected: tuple[date, date]) -> None:
    assert range_of(first, last, MONDAY) == expected


@pytest.mark.parametrize(
    ("first", "last", "needle"),
    [
        (date(2025, 12, 10), date(2025, 12, 9), "is after"),
        (None, MONDAY + DAY, "--to 2025-12-16 lies in the future"),
        (MONDAY + DAY, None, "--from 2025-12-16 lies in the future"),
    ],
)
def test_a_senseless_range_is_refused(first: date | None, last: date | None, needle: str) -> None:
    with pytest.raises(UsageError, match=needle):
        range_of(first, last, MONDAY)


def test_a_simulator_on_an_older_day_takes_dates_up_to_ours() -> None:
    assert range_of(None, MONDAY + DAY, MONDAY, latest=MONDAY + 3 * DAY)[1] == MONDAY + DAY


def test_an_unknown_interval_is_refused_with_the_known_ones() -> None:
    check_interval("15m")
    with pytest.raises(UsageError, match="known: 1m"):
        check_interval("7m")


def starts(day: date, count: int, step_s: int = 60, wall: str = "09:15") -> list[int]:
    return [ns(day, wall) // 1_000_000 + at * step_s * 1000 for at in range(count)]


@pytest.mark.parametrize(
    ("interval_s", "bars"), [(60, 375), (300, 75), (900, 25), (1800, 13), (3600, 7), (86_400, 1)]
)
def test_a_session_is_complete_with_so_many_bars(interval_s: int, bars: int) -> None:
    windows = windows_of(Calendar.default(), INDEX, MONDAY)
    assert windows
    wall = "00:00" if interval_s == 86_400 else "09:15"
    stored = np.array(starts(MONDAY, bars, interval_s, wall), np.int64)
    assert is_complete(windows, stored, interval_s)
    assert not is_complete(windows, stored[1:], interval_s)
    assert not is_complete(windows, np.delete(stored, bars // 2), interval_s)


def test_bars_of_an_auction_do_not_make_up_for_a_hole() -> None:
    windows = windows_of(Calendar.default(), INDEX, MONDAY)
    assert windows
    stored = np.array(starts(MONDAY, 390), np.int64)
    assert is_complete(windows, stored, 60)
    assert not is_complete(windows, np.delete(stored, 100), 60)


def test_holidays_have_no_hours_and_unknown_years_have_no_answer() -> None:
    calendar = Calendar.default()
    assert windows_of(calendar, INDEX, MONDAY - DAY) == ()
    assert windows_of(calendar, INDEX, date(1999, 3, 1)) is None


def test_only_incomplete_days_are_asked_for() -> None:
    calendar = Calendar.default()
    windows = {day: windows_of(calendar, SHARE, day) for day in WEEK}
    windows[WEEK[1]] = ()
    stored = starts(WEEK[0], 375) + starts(WEEK[2], 374) + starts(WEEK[4], 375)
    found = missing_days(windows, np.array(stored, np.int64), 60, today=WEEK[4])
    assert found == ([WEEK[2], WEEK[3], WEEK[4]], 1)
    unknown = missing_days({WEEK[0]: None}, np.array(starts(WEEK[0], 9), np.int64), 60, today=WEEK[4])
    assert unknown == ([WEEK[0]], 0)


def test_neighbours_go_together_over_holidays_but_not_over_stored_days() -> None:
    following = MONDAY + 7 * DAY
    trading = {*WEEK, following}

    def ranges(missing: list[date], span: int = 28) -> list[tuple[date, date, int]]:
        return [(one.first, one.last, one.sessions) for one in pieces_of(SHARE, missing, trading, span)]

    assert ranges([*WEEK, following]) == [(MONDAY, following, 6)]
    assert ranges([WEEK[0], WEEK[1], WEEK[3]]) == [(WEEK[0], WEEK[1], 2), (WEEK[3], WEEK[3], 1)]
    assert ranges([*WEEK, following], span=3) == [
        (WEEK[0], WEEK[2], 3),
        (WEEK[3], WEEK[4], 2),
        (following, following, 1),
    ]
    assert ranges([]) == []


# --- fetching -----------------------------------------------------------------------------------------


def minutes(day: date, count: int = 375, price: float = 100.0) -> list[Candle]:
    start = ns(day, "09:15") // 1_000_000
    return [
        Candle(-1, 60, start + at * 60_000, price, price, price, price, 1, source=BarSource.BROKER)
        for at in range(count)
    ]


class Broker:
    """Answers with full sessions, unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, date, date]] = []
        self.failing: dict[str, Exception] = {}
        self.count = 375

    async def stretches(self, key: str, interval: int, first: date, last: date) -> AsyncIterator[Stretch]:
        self.asked.append((key, first, last))
        if key in self.failing:
            raise self.failing[key]
        days = [day for day in WEEK if first <= day <= last]
        yield Stretch(first, last, tuple(bar for day in days for bar in minutes(day, self.count)))


async def fetched(broker: Broker, store: Store, today: date = MONDAY + 7 * DAY) -> list[Report]:
    instruments = [INDEX, SHARE]
    reports = [Report(one.key, one.symbol) for one in instruments]
    worker = Worker(cast("CandleClient", broker), store, today, 60, Progress())
    await worker.run(instruments, reports, WEEK[0], WEEK[4])
    return reports


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.in_memory([INDEX, SHARE])
    yield made
    made.close()


async def test_what_is_stored_is_not_asked_for_again(store: Store) -> None:
    broker = Broker()
    first = await fetched(broker, store)
    assert [(one.inserted, one.same, one.requests) for one in first] == [(1875, 0, 1), (1875, 0, 1)]
    again = await fetched(broker, store)
    assert [(one.inserted, one.stored_before, one.requests) for one in again] == [(0, 5, 0), (0, 5, 0)]
    assert len(broker.asked) == 2


async def test_thin_days_are_asked_for_again_and_stored_once(store: Store) -> None:
    broker = Broker()
    broker.count = 100
    await fetched(broker, store)
    again = await fetched(broker, store)
    assert [(one.inserted, one.same, one.different) for one in again] == [(0, 500, 0), (0, 500, 0)]


async def test_bars_that_differ_are_replaced_and_counted(store: Store) -> None:
    store.merge_bars(SHARE, 60, minutes(WEEK[2], 3, price=90.0))
    report = (await fetched(Broker(), store))[1]
    assert (report.inserted, report.different) == (1872, 3)
    assert store.read_bars(SHARE.key, "1m")["close"].unique().to_list() == [100.0]


async def test_a_refused_instrument_does_not_keep_the_others_from_coming(store: Store) -> None:
    broker = Broker()
    broker.failing[INDEX.key] = BrokerError("invalid instrument key", "UDAPI1021", 400)
    index, share = await fetched(broker, store)
    assert "invalid instrument key" in index.error
    assert (share.error, share.inserted) == ("", 1875)


async def test_a_broker_that_is_gone_ends_it(store: Store) -> None:
    broker = Broker()
    broker.failing[SHARE.key] = TransportError("no connection")
    with pytest.raises(ExceptionGroup) as caught:
        await fetched(broker, store)
    assert caught.group_contains(TransportError)


# --- what is said -------------------------------------------------------------------------------------


def test_the_summary_adds_up() -> None:
    summary = Summary("1m", "sim-test", WEEK[0], WEEK[4], 2.0)
    summary.reports = [
        Report("a", "A", 5, 2, 1, 10, 8, 1, 1),
        Report("b", "B", 5, 0, 2, 20, 20, error="refused"),
    ]
    data = summary.as_data()
    assert (data["bars"], data["inserted"], data["same"], data["different"]) == (30, 28, 1, 1)
    assert (data["complete"], data["from"], data["to"]) == (False, "2025-12-15", "2025-12-19")
    text = "\n".join(summary.as_text())
    assert "1 differed and were replaced" in text
    assert "not complete: refused" in text
    assert "28 new bars in 3 requests, 2.0 s (15 bars/s), into sim-test" in text


def test_bars_are_drawn_on_a_terminal_only() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert type(progress_for(io.StringIO(), wanted=True)) is Progress
    assert type(progress_for(Screen(), wanted=False)) is Progress
    screen = Screen()
    with progress_for(screen, wanted=True) as progress:
        assert isinstance(progress, TerminalProgress)
        progress.add("[bold]RELIANCE", 3)
        progress.got(1500)
        progress.done("[bold]RELIANCE", 1)
    assert "[bold]RELIANCE" in screen.getvalue()
    assert "1,500 bars" in screen.getvalue()
    assert "/s" in screen.getvalue()
