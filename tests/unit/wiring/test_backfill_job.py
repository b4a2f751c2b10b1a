"""A backfill's job: what is missing is asked for, newest first, once; what fails is said, and costs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tradetui.brokers.upstox.past_bars import Answer
from tradetui.domain.calendar import Calendar, ist_date, ns
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, StorageError, TransportError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.storage.store import Store
from tradetui.wiring.backfill.check import check_all
from tradetui.wiring.backfill.job import Job, Wanted
from tradetui.wiring.backfill.report import Summary
from tradetui.wiring.backfill.universe import Chosen

INDEX = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
SHARE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
MONDAY = date(2025, 12, 15)
DAY = timedelta(days=1)
WEEK = [MONDAY + DAY * step for step in range(5)]
NOW_NS = ns(MONDAY + 7 * DAY, "10:00")
CALENDAR = Calendar.default()


def minutes(days: list[date], keep: slice = slice(None), price: float = 100.0) -> CandleBlock:
    starts = [ns(day, "09:15") // 1_000_000 + np.arange(375, dtype=np.int64)[keep] * 60_000 for day in days]
    start = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    level = np.full(len(start), price)
    return CandleBlock(start, level, level, level, level, np.ones(len(start), np.int64), level * 0)


class Broker:
    """Answers with full sessions, unless told otherwise."""

    attempts = 3

    def __init__(self) -> None:
        self.asked: list[tuple[str, date, date]] = []
        self.failing: dict[str, Exception] = {}
        self.troubles: list[str] = []
        self.keep: slice = slice(None)
        self.odd: tuple[int, ...] = ()
        self.now_ns = NOW_NS
        self.before: Callable[[], Any] = lambda: None

    @property
    def today(self) -> date:
        return ist_date(self.now_ns)

    async def fetch(
        self,
        key: str,
        interval: str,
        first: date,
        last: date,
        trouble: Callable[[str, float], None] = lambda words, wait: None,
    ) -> Answer:
        self.asked.append((key, first, last))
        found = self.before()
        if asyncio.iscoroutine(found):
            await found
        for words in self.troubles:
            trouble(words, 0.0)
        if key in self.failing:
            raise self.failing[key]
        days = [day for day in WEEK if first <= day <= last]
        return Answer(replace(minutes(days, self.keep), odd_ms=self.odd), 1 + len(self.troubles))


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.in_memory([])
    yield made
    made.close()


def job_of(broker: Broker, store: Store, tell: Any = lambda event: None, **more: Any) -> Job:
    parallel = more.pop("parallel", 2)
    chosen = {"instruments": (INDEX, SHARE), "interval": "1m", "first": WEEK[0], "last": WEEK[4], **more}
    wanted = Wanted(**chosen)
    return Job(wanted, broker, store, CALENDAR, lambda: broker.now_ns, tell, parallel=parallel)


async def run(broker: Broker, store: Store, **more: Any) -> Job:
    job = job_of(broker, store, **more)
    await job.run()
    return job


def check(store: Store) -> dict[str, Any]:
    return check_all(store, CALENDAR, Chosen([SHARE]), "1m", WEEK[0], WEEK[4], NOW_NS)


async def test_what_is_stored_is_not_asked_for_again(store: Store) -> None:
    broker = Broker()
    first = (await run(broker, store)).reports
    assert [(one.inserted, one.same, one.requests, one.complete) for one in first] == [(1875, 0, 1, True)] * 2
    again = (await run(broker, store)).reports
    assert [(one.inserted, one.settled_before, one.requests) for one in again] == [(0, 5, 0)] * 2
    assert len(broker.asked) == 2


async def test_a_thin_share_is_asked_for_once_and_its_empty_minutes_are_no_holes(store: Store) -> None:
    broker = Broker()
    broker.keep = slice(None, None, 3)
    before = check(store)
    assert (before["complete"], before["missing"]) == (False, 1875)
    await run(broker, store)
    again = (await run(broker, store)).reports[1]
    assert (again.requests, again.settled_before, again.complete) == (0, 5, True)
    after = check(store)
    assert (after["complete"], after["missing"], after["not_traded"]) == (True, 0, 1250)
    day = after["instruments"][0]["thin_days"][0]
    assert (day["day"], day["stored"], day["expected"], day["missing"]) == ("2025-12-15", 125, 375, 250)
    assert day["ranges"][0] == ["09:16", "09:17", 2]


async def test_a_share_that_never_traded_is_asked_for_once(store: Store) -> None:
    broker = Broker()
    broker.keep = slice(0, 0)
    await run(broker, store)
    assert (await run(broker, store)).reports[1].requests == 0
    assert check(store)["not_traded"] == 1875


async def test_a_thin_answer_right_after_the_close_is_not_the_last_word(store: Store) -> None:
    broker = Broker()
    broker.keep = slice(None, None, 3)
    broker.now_ns = ns(WEEK[4], "23:00")
    await run(broker, store)
    broker.now_ns = NOW_NS
    broker.keep = slice(None)
    report = (await run(broker, store)).reports[1]
    # The four days before were settled by then; of the last the rest came.
    assert (report.requests, report.settled_before, report.inserted) == (1, 4, 250)


async def test_bars_that_got_lost_are_a_hole_again(store: Store) -> None:
    broker = Broker()
    broker.keep = slice(None, None, 3)
    await run(broker, store)
    store._market.submit(
        lambda: store._market._connection.execute(
            "DELETE FROM bars WHERE epoch_ms(start) = ?", [ns(WEEK[2], "09:18") // 1_000_000]
        )
    ).result()
    found = check(store)
    assert (found["complete"], [hole["day"] for hole in found["instruments"][0]["holes"]]) == (
        False,
        ["2025-12-17"],
    )
    report = (await run(broker, store)).reports[1]
    assert (report.requests, report.inserted, report.same) == (1, 1, 124)
    assert check(store)["complete"]


async def test_the_newest_month_of_everything_comes_before_any_older_one(store: Store) -> None:
    broker = Broker()
    first = MONDAY - 90 * DAY
    await run(broker, store, first=first, parallel=1)
    assert [key for key, _, _ in broker.asked[:4]] == [INDEX.key, SHARE.key] * 2
    lasts = [last for _, _, last in broker.asked]
    assert lasts == sorted(lasts, reverse=True)
    assert min(begin for _, begin, _ in broker.asked) >= first


async def test_differences_are_told_and_stored_bars_stay_unless_the_brokers_are_wanted(store: Store) -> None:
    store.put_block(SHARE, "1m", minutes([WEEK[2]], slice(0, 3), price=90.0), {}, NOW_NS)
    kept = (await run(Broker(), store)).reports[1]
    assert (kept.inserted, kept.different, kept.replaced, len(kept.differences)) == (1872, 3, 0, 3)
    assert sorted(store.read_bars(SHARE.key, "1m")["close"].unique().to_list()) == [90.0, 100.0]
    assert (await run(Broker(), store)).reports[1].requests == 0
    verified = (await run(Broker(), store, verify=True)).reports[1]
    assert (verified.requests, verified.same, verified.different) == (1, 1872, 3)
    taken = (await run(Broker(), store, verify=True, replace=True)).reports[1]
    assert (taken.different, taken.replaced) == (3, 3)
    assert store.read_bars(SHARE.key, "1m")["close"].unique().to_list() == [100.0]


async def test_a_refused_instrument_does_not_keep_the_others_from_coming(store: Store) -> None:
    broker = Broker()
    broker.failing[INDEX.key] = BrokerError("invalid instrument key", "UDAPI1021", 400)
    job = await run(broker, store, first=MONDAY - 90 * DAY, parallel=1)
    index, share = job.reports
    assert "invalid instrument key" in index.error
    assert not index.complete
    assert len([1 for key, _, _ in broker.asked if key == INDEX.key]) == 1
    assert (share.error, share.inserted) == ("", 1875)


async def test_what_fails_in_spite_of_all_attempts_is_reported_and_the_rest_goes_on(store: Store) -> None:
    broker = Broker()
    broker.failing[INDEX.key] = TransportError("the broker failed (HTTP 503)")
    index, share = (await run(broker, store)).reports
    assert index.failures == [(WEEK[0], WEEK[4], "the broker failed (HTTP 503), in 3 attempts")]
    assert (index.complete, share.complete, share.inserted) == (False, True, 1875)
    broker.failing.clear()
    assert [one.complete for one in (await run(broker, store)).reports] == [True, True]


@pytest.mark.parametrize(
    "error", [TransportError("no connection"), RateLimited("too many", "UDAPI10005", 429)]
)
async def test_a_broker_that_is_gone_is_not_asked_for_hundreds_of_ranges(
    store: Store, error: Exception
) -> None:
    broker = Broker()
    broker.failing = {INDEX.key: error, SHARE.key: error}
    job = await run(broker, store, first=MONDAY - 700 * DAY)
    assert "does not answer" in job.halted
    assert len(broker.asked) <= 5
    assert "not asked for" in job.reports[0].error or job.reports[0].failures


@pytest.mark.parametrize(
    "error", [AuthError("the login has ended"), BrokerError("blocked before the broker", "", 403)]
)
async def test_a_door_that_is_shut_ends_it_at_once(store: Store, error: Exception) -> None:
    broker = Broker()
    broker.failing = {INDEX.key: error, SHARE.key: error}
    job = await run(broker, store, first=MONDAY - 90 * DAY, parallel=1)
    assert len(broker.asked) == 1
    assert job.halted


async def test_repeated_requests_are_counted_with_their_reasons(store: Store) -> None:
    broker = Broker()
    broker.troubles = ["HTTP 503", "HTTP 503", "no answer within the time-out"]
    told: list[Mapping[str, Any]] = []
    job = job_of(broker, store, told.append)
    await job.run()
    share = job.reports[1]
    assert (share.requests, share.retries, share.complete) == (4, 3, True)
    assert share.troubles == {"HTTP 503": 2, "no answer within the time-out": 1}
    assert [event["event"] for event in told].count("retry") == 6
    assert [event["event"] for event in told].count("stored") == 2


async def test_rows_without_sense_make_it_incomplete_and_settle_nothing(store: Store) -> None:
    broker = Broker()
    broker.keep = slice(None, None, 3)
    broker.odd = (ns(WEEK[1], "09:16") // 1_000_000,)
    report = (await run(broker, store)).reports[1]
    assert (report.odd, report.complete) == (1, False)
    assert sorted(store.asked_days(SHARE, "1m", WEEK[0], WEEK[4])) == [WEEK[0], *WEEK[2:]]


async def test_today_is_asked_for_every_time_and_never_settled(store: Store) -> None:
    broker = Broker()
    broker.now_ns = ns(WEEK[4], "12:00")
    broker.keep = slice(0, 165)
    await run(broker, store)
    assert (SHARE.key, WEEK[4], WEEK[4]) in broker.asked
    broker.asked.clear()
    broker.keep = slice(0, 170)
    broker.now_ns = ns(WEEK[4], "12:05")
    report = (await run(broker, store)).reports[1]
    # The days before have fewer bars than their session: answers of noon are not the last word on the last of them.
    assert broker.asked[0][1:] == (WEEK[4], WEEK[4])
    assert report.settled_before == 4
    assert report.inserted == 5


async def test_a_stop_waits_for_the_answer_that_is_being_stored(store: Store) -> None:
    broker = Broker()
    arrived = asyncio.Event()
    broker.before = arrived.set
    job = job_of(broker, store)
    task = asyncio.create_task(job.run())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.flush()
    stored = store.market_frame("SELECT count(*) AS n FROM bars")["n"][0]
    assert stored == sum(report.inserted for report in job.reports)


async def test_a_store_that_cannot_write_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(store, "put_block", full)
    with pytest.raises(StorageError, match="disk is full"):
        await run(Broker(), store)


def test_the_summary_adds_up_and_is_complete_only_when_everything_is(store: Store) -> None:
    summary = Summary("1m", "sim-test", WEEK[0], WEEK[4], 2.0)
    job = job_of(Broker(), store)
    summary.reports = job.reports
    job.reports[0].inserted, job.reports[1].inserted, job.reports[1].same = 10, 20, 5
    data = summary.as_data()
    assert (data["inserted"], data["same"], data["complete"], data["from"]) == (30, 5, True, "2025-12-15")
    job.reports[1].pieces = 2
    assert not summary.complete
    assert summary.as_data()["instruments"][1]["error"] == "2 of 2 ranges not asked for"
    job.reports[1].pieces = 0
    summary.unknown.append("GONE: not listed")
    assert not summary.complete
