"""Backfills joined to a simulator over sockets, in this process: intervals, differences, failures, the engine's jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.auth import login_simulator
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.master_rows import parse_rows
from tradetui.clock import FollowedClock
from tradetui.domain.calendar import Calendar
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions
from tradetui.storage.store import Store
from tradetui.wiring.backfill import desk
from tradetui.wiring.backfill.ask import Ask
from tradetui.wiring.backfill.desk import Backfiller, EngineBackfills
from tradetui.wiring.backfill.report import Summary

DAY = date(2025, 12, 15)
SYMBOLS = ("CROWD001", "CROWD002")
"""Shares that trade in every minute."""
KEY = "NSE_EQ|INE002A01018"
WEEK: dict[str, Any] = {"first": date(2025, 12, 3), "last": date(2025, 12, 10)}


@dataclass
class Bench:
    """A simulator and a backfiller that is logged in at it."""

    sim: SimulatorServer
    store: Store
    filler: Backfiller
    events: list[Mapping[str, Any]] = field(default_factory=list)

    async def fill(self, **more: Any) -> Summary:
        ask = Ask(**{"symbols": SYMBOLS, **WEEK, **more})
        ask.check()
        summary = Summary(ask.interval)
        await self.filler.run(ask, summary, self.events.append)
        return summary

    async def check(self, **more: Any) -> dict[str, Any]:
        return await self.filler.check(Ask(**{"symbols": SYMBOLS, **WEEK, **more}))

    def change(self, sql: str) -> None:
        market = self.store._market
        market.submit(lambda: market._connection.execute(sql)).result()


@contextlib.asynccontextmanager
async def bench_of(attempts: int = 4, timeout_s: float = 10.0) -> AsyncIterator[Bench]:
    async with SimulatorServer(SimOptions(day=DAY, variant="wide")) as sim:
        login = await login_simulator(sim.urls.main)
        clock = FollowedClock(login.clock_ms * 1_000_000, 1.0)
        api = UpstoxApi(login.hosts, login.token, read_s=timeout_s, now_ns=clock.now_ns)
        store = Store.in_memory([])
        rows = sim.venue.world.master_rows()
        with contextlib.closing(Master.build(parse_rows(rows), DAY)) as master:
            filler = Backfiller(
                api, store, Calendar.default(), clock, master, (), "sim-test", parallel=4, attempts=attempts
            )
            try:
                yield Bench(sim, store, filler)
            finally:
                await asyncio.to_thread(store.close)
                await api.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once; the governor's own pauses stay."""
    monkeypatch.setattr(desk, "PAUSES_S", (0.0,) * 6)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with bench_of() as made:
        yield made


@pytest.mark.parametrize(
    ("interval", "requests", "least"),
    [("1m", 8, 65 * 375), ("30m", 4, 60 * 13), ("1h", 4, 60 * 6), ("1d", 2, 65), ("1w", 2, 13), ("1M", 2, 3)],
)
async def test_every_interval_comes_once_in_as_few_requests_as_the_broker_allows(
    bench: Bench, interval: str, requests: int, least: int
) -> None:
    span = {"first": date(2025, 9, 1), "last": date(2025, 12, 12), "interval": interval}
    first = await bench.fill(**span)
    assert (first.complete, first.total("requests")) == (True, requests)
    assert first.total("inserted") == first.total("bars") >= 2 * least
    again = await bench.fill(**span)
    assert (again.complete, again.total("requests")) == (True, 0)
    found = await bench.check(**span)
    assert (found["complete"], found["missing"]) == (True, 0)


async def test_the_store_holds_what_the_exchange_says(bench: Bench) -> None:
    await bench.fill(symbols=("RELIANCE",))
    truth = bench.sim.venue.world.history(KEY, 60, WEEK["first"], WEEK["last"])
    frame = bench.store.read_bars(KEY, "1m")
    assert frame["start"].dt.epoch("ms").to_list() == [bar.start_ms for bar in truth]
    for name in ("open", "high", "low", "close", "volume", "oi"):
        assert frame[name].to_list() == [getattr(bar, name) for bar in truth]


async def test_differences_are_reported_and_left_unless_the_brokers_are_wanted(bench: Bench) -> None:
    await bench.fill()
    bench.change("DELETE FROM bars WHERE rowid = (SELECT min(rowid) FROM bars)")
    bench.change("UPDATE bars SET close = close + 1 WHERE rowid = (SELECT min(rowid) FROM bars)")
    before = bench.store.market_frame("SELECT * FROM bars ORDER BY ALL").rows()
    again = await bench.fill()
    assert (again.total("inserted"), again.total("different"), again.total("replaced")) == (1, 1, 0)
    (row,) = [one for one in again.as_data()["instruments"] if one["different"]]
    (one,) = row["differences"]
    assert one["stored"]["close"] == pytest.approx(one["broker"]["close"] + 1)
    after = bench.store.market_frame("SELECT * FROM bars ORDER BY ALL").rows()
    assert len(after) == len(before) + 1
    assert set(before) < set(after)
    # Nothing is missing any more: only who asks for it gets a comparison again, and the broker's bars.
    assert (await bench.fill()).total("requests") == 0
    taken = await bench.fill(verify=True, replace=True)
    assert (taken.total("different"), taken.total("replaced")) == (1, 1)
    assert (await bench.fill(verify=True)).total("different") == 0


async def test_holes_are_listed_and_then_filled(bench: Bench) -> None:
    empty = await bench.check()
    assert (empty["complete"], empty["full"], empty["missing"]) == (False, 0, 2 * 6 * 375)
    assert [day["ranges"] for day in empty["instruments"][0]["holes"]] == [[["09:15", "15:29", 375]]] * 6
    await bench.fill()
    full = await bench.check()
    assert (full["complete"], full["missing"], full["full"]) == (True, 0, 12)
    (start,) = bench.store.market_frame("SELECT epoch_ms(min(start)) AS ms FROM bars")["ms"].to_list()
    bench.change(f"DELETE FROM bars WHERE epoch_ms(start) = {start}")
    holes = await bench.check()
    assert (holes["complete"], holes["missing"]) == (False, 2)
    (hole,) = holes["instruments"][0]["holes"]
    assert (hole["missing"], hole["ranges"]) == (1, [["09:15", "09:15", 1]])
    assert (await bench.fill()).total("inserted") == 2
    assert (await bench.check())["complete"]


@pytest.mark.parametrize(
    ("fault", "args", "words"),
    [
        ("history-429", {"retry_after": 1}, "Too Many"),
        ("history-5xx", {"status": 502}, "HTTP 502"),
        ("history-hang", {}, "no answer within the time-out"),
        ("history-truncated", {}, "makes no sense"),
        ("history-html", {}, "a web page"),
    ],
)
async def test_a_request_that_fails_is_repeated_and_the_reason_told(
    fault: str, args: dict[str, Any], words: str
) -> None:
    async with bench_of(timeout_s=1.0) as bench:
        bench.sim.faults.set(fault, {"count": 2, **args})
        summary = await bench.fill()
        assert summary.complete
        assert summary.total("retries") >= 2
        told = [why for report in summary.reports for why in report.troubles]
        assert any(words in why for why in told)
        assert [event["event"] for event in bench.events].count("retry") == summary.total("retries")
        assert summary.total("inserted") == 2 * 6 * 375


async def test_what_does_not_come_in_all_attempts_is_told_and_comes_the_next_time() -> None:
    async with bench_of(attempts=2) as bench:
        keys = [one.key for one in bench.filler.choose(Ask(symbols=SYMBOLS)).instruments]
        bench.sim.faults.set("history-truncated", {"path": keys[0].partition("|")[2]})
        cut = await bench.fill()
        assert not cut.complete
        bad, good = cut.reports
        assert (bad.complete, good.complete) == (False, True)
        assert "makes no sense" in bad.error
        assert "in 2 attempts" in bad.error
        bench.sim.faults.clear()
        rest = await bench.fill()
        assert (rest.complete, rest.total("requests")) == (True, 1)


async def test_a_bar_without_sense_is_left_out_told_and_asked_for_again(bench: Bench) -> None:
    bench.sim.faults.set("history-odd", {"count": 1})
    odd = await bench.fill()
    assert (odd.complete, odd.total("odd")) == (False, 1)
    rest = await bench.fill()
    assert (rest.complete, rest.total("inserted")) == (True, 1)


async def test_no_data_is_the_brokers_last_word(bench: Bench) -> None:
    bench.sim.faults.set("history-null")
    empty = await bench.fill()
    assert (empty.complete, empty.total("bars")) == (True, 0)
    bench.sim.faults.clear()
    assert (await bench.fill()).total("requests") == 0
    assert (await bench.check())["not_traded"] == 2 * 6 * 375
    assert (await bench.fill(verify=True)).total("inserted") == 2 * 6 * 375


async def test_thin_shares_are_settled_by_the_brokers_word(bench: Bench) -> None:
    symbols = ("RELIANCE", "TRENT", *[f"CROWD{number:03d}" for number in range(1, 30)])
    first = await bench.fill(symbols=symbols)
    assert first.complete
    found = await bench.check(symbols=symbols)
    assert found["complete"]
    thin = [row for row in found["instruments"] if row["not_traded"]]
    assert len(thin) >= 5
    assert any(day["stored"] == 0 for row in thin for day in row["thin_days"])
    assert (await bench.fill(symbols=symbols)).total("requests") == 0


async def test_whole_universes_come(bench: Bench) -> None:
    members = await bench.fill(symbols=(), universe="nifty50", interval="1d")
    assert (members.complete, len(members.reports), members.unknown) == (True, 50, [])
    derivatives = await bench.fill(symbols=(), universe="fno", interval="1w")
    assert derivatives.complete
    assert "NIFTY" in [report.symbol for report in derivatives.reports]


# --- while an engine runs -----------------------------------------------------------------------------


async def ended(engine: EngineBackfills, job: int) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (state := engine.state({"job": job}))["running"]:  # noqa: ASYNC110 - asked for, as the command does
            await asyncio.sleep(0.01)
    return state


async def test_the_engine_does_it_and_tells_how_far_it_is(bench: Bench) -> None:
    engine = EngineBackfills(bench.filler)
    asked = Ask(symbols=SYMBOLS, **WEEK).as_data()
    job = engine.start(asked)["job"]
    with pytest.raises(TradeTuiError, match="under way"):
        engine.start(asked)
    with pytest.raises(UsageError, match="no such backfill"):
        engine.state({"job": job + 1})
    state = await ended(engine, job)
    assert state["summary"]["complete"] is True
    names = [event["event"] for event in state["events"]]
    assert names == ["chosen", "planned", "planned", "stored", "stored"]
    assert engine.state({"job": job, "since": 3})["events"] == state["events"][3:]
    assert (await engine.check(asked))["complete"] is True
    assert engine.start(asked)["job"] == job + 1
    await engine.close()


async def test_a_refusal_of_the_engines_job_reaches_who_asked(bench: Bench) -> None:
    engine = EngineBackfills(bench.filler)
    job = engine.start(Ask(symbols=("NOSUCHTHING",), **WEEK).as_data())["job"]
    with pytest.raises(UsageError, match="NOSUCHTHING"):
        await ended(engine, job)
    with pytest.raises(UsageError, match="not a backfill"):
        engine.start({"symbols": ["A"], "days": "many"})


async def test_a_job_ends_when_it_is_stopped_or_nobody_asks_for_it_any_more(bench: Bench) -> None:
    bench.sim.faults.set("history-hang")
    now = [0.0]
    engine = EngineBackfills(bench.filler, unheard_s=0.2, now_s=lambda: now[0])
    asked = Ask(symbols=SYMBOLS, **WEEK).as_data()
    job = engine.start(asked)["job"]
    stopped = (await engine.stop({"job": job}))["summary"]
    assert (stopped["stopped"], stopped["complete"]) == (True, False)
    job = engine.start(asked)["job"]
    now[0] = 1.0
    assert (await ended_quietly(engine, job))["stopped"] is True
    await engine.close()


async def ended_quietly(engine: EngineBackfills, job: int) -> dict[str, Any]:
    """Wait for the end without being heard."""
    assert engine._task is not None
    async with asyncio.timeout(20):
        await asyncio.gather(engine._task, return_exceptions=True)
    summary: dict[str, Any] = engine.state({"job": job})["summary"]
    return summary


# --- expired contracts --------------------------------------------------------------------------------


async def test_expired_contracts_need_the_plus_plan_and_that_is_said_politely(bench: Bench) -> None:
    with pytest.raises(UsageError, match="Plus plan") as caught:
        await bench.fill(
            symbols=("NIFTY",), expired="futures", first=date(2025, 11, 1), last=date(2025, 12, 10)
        )
    assert "leave --expired away" in caught.value.remedy


async def test_expired_futures_and_options_come_under_their_own_expiry(bench: Bench) -> None:
    bench.sim.faults.set("plus-plan")
    span = {"symbols": ("NIFTY",), "first": date(2025, 11, 24), "last": date(2025, 11, 26)}
    summary = await bench.fill(expired="futures", **span)
    assert summary.complete
    (future,) = summary.reports
    assert future.bars > 0
    known = bench.store.market_frame("SELECT key, symbol, expiry, kind FROM instruments").rows()
    assert [(row[2], row[3]) for row in known] == [(date(2025, 11, 25), "FUT")]
    assert known[0][0].count("|") == 1
    assert (await bench.fill(expired="futures", **span)).total("requests") == 0
    options = await bench.fill(expired="options", interval="15m", **span)
    assert options.complete
    assert len(options.reports) > 20
    with pytest.raises(UsageError, match="nothing expired between"):
        await bench.fill(symbols=("NIFTY",), expired="all", first=date(2025, 11, 26), last=date(2025, 11, 26))
    with pytest.raises(UsageError, match="no 1h bars"):
        await bench.fill(expired="futures", interval="1h", **span)


async def test_bars_of_an_expired_contract_are_those_it_had_while_it_lived(bench: Bench) -> None:
    bench.sim.faults.set("plus-plan")
    await bench.fill(symbols=("NIFTY",), expired="futures", first=date(2025, 11, 24), last=date(2025, 11, 25))
    frame = bench.store.market_frame("SELECT epoch_ms(start) AS ms, close, volume FROM bars ORDER BY 1")
    async with SimulatorServer(SimOptions(day=date(2025, 11, 25), variant="wide")) as before:
        key = str(bench.store.market_frame("SELECT key FROM instruments")["key"][0])
        lived = before.venue.world.history(key, 60, date(2025, 11, 24), date(2025, 11, 24))
    day_ms = lived[0].start_ms + 86_400_000 - 1
    ours = [row for row in frame.rows() if row[0] <= day_ms - 3_600_000 * 10]
    assert ours == [(bar.start_ms, bar.close, bar.volume) for bar in lived]
