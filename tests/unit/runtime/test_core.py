"""The runtime's life: start, events, ends of every kind, and what it leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.unit.runtime.parts import Bench
from tradetui.domain.errors import AuthError, StorageError, TradeTuiError, TransportError
from tradetui.domain.events import Event, HistoryEvent, OperatorEvent, OperatorKind, TickEvent, TimeEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Bar, Candle
from tradetui.domain.records import Record, RecordKind
from tradetui.engine import Outcome
from tradetui.runtime.core import Runtime
from tradetui.runtime.day_end import day_stats


async def until(done: object) -> None:
    """Let the loop go on until something holds."""
    assert callable(done)
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - any state may be waited for, and none of it has an event
            await asyncio.sleep(0)


async def test_a_world_that_ends_ends_the_run_and_everything_is_kept() -> None:
    bench = Bench(ends=True)
    for price in (100.0, 101.0, 102.0):
        bench.feed.put(bench.tick(price))
    bench.feed.put(None)
    runtime = Runtime(bench.parts)
    await runtime.run()
    assert runtime.feed_ended
    summary = runtime.summary()
    assert (summary["frames"], summary["ticks"], summary["reconnects"]) == (3, 3, 2)
    assert summary["dropped"] == 1 + 3 + 4, "given up by feed, decoder and store"
    assert summary["mode"] == "paper"
    assert summary["bars"] == dict.fromkeys(("1m", "3m", "5m", "15m", "30m", "1h", "1d", "1w"), 1)
    assert summary["tick_to_state_p99_us"] >= summary["tick_to_state_p50_us"] > 0
    assert summary["journal_sha256"] == bench.journal.content.hexdigest()
    assert len(bench.store.rows) == 3
    assert len(bench.store.candles) == 8
    assert [r.data["what"] for r in bench.journal.kept if r.kind is RecordKind.RUN] == ["start", "stop"]
    assert bench.closed == ["second", "first"], "the last made is the first closed"
    assert [row.volume for row in bench.store.days] == [30]


async def test_without_ends_it_stays_up_after_the_world_is_over() -> None:
    bench = Bench()
    runtime = Runtime(bench.parts)
    task = asyncio.create_task(runtime.run())
    bench.feed.put(None)
    await until(lambda: runtime.feed_ended)
    await asyncio.sleep(0)
    assert not task.done()
    runtime.stop()
    await task
    assert bench.closed


async def test_a_stop_before_the_start_counts() -> None:
    bench = Bench()
    runtime = Runtime(bench.parts)
    runtime.stop()
    async with asyncio.timeout(10):
        await runtime.run()
    assert bench.closed == ["second", "first"]


async def test_what_breaks_the_feed_ends_the_run_with_its_words() -> None:
    bench = Bench()
    bench.feed.put(TransportError("the line is cut"))
    with pytest.raises(TransportError, match="the line is cut"):
        await Runtime(bench.parts).run()
    assert bench.closed == ["second", "first"]


async def test_a_refused_token_keeps_the_screen_up() -> None:
    bench = Bench()
    runtime = Runtime(bench.parts, stay_up=True)
    task = asyncio.create_task(runtime.run())
    bench.feed.put(AuthError("log in again"))
    await runtime.started.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    runtime.stop()
    await task


async def test_a_refused_token_ends_a_run_without_a_screen() -> None:
    bench = Bench()
    bench.feed.put(AuthError("log in again"))
    with pytest.raises(AuthError):
        await Runtime(bench.parts).run()


async def test_one_part_that_does_not_close_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ends=True)

    def fail() -> None:
        raise StorageError("no space left")

    bench.parts.cleanup.append(fail)
    bench.feed.put(None)
    await Runtime(bench.parts).run()
    assert bench.closed == ["second", "first"]
    assert "no space left" in caplog.text


async def test_a_journal_that_cannot_be_opened_for_the_start_closes_everything() -> None:
    bench = Bench()

    def fail(record: Record) -> None:
        raise StorageError("no space left")

    bench.journal.append = fail  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        await Runtime(bench.parts).run()
    assert bench.closed == ["second", "first"]


async def test_what_a_full_disk_held_back_is_written_at_the_end() -> None:
    bench = Bench(ends=True)
    append = bench.journal.append
    full = True

    def sometimes(record: Record) -> None:
        if full and record.kind is not RecordKind.RUN:
            raise StorageError("no space left")
        append(record)

    bench.journal.append = sometimes  # type: ignore[method-assign]
    runtime = Runtime(bench.parts)

    def heard(event: Event, outcome: Outcome) -> None:
        nonlocal full
        full = not runtime.feed_ended

    runtime.listeners.append(heard)
    bench.feed.put(OperatorEvent(bench.rig.now_ns, OperatorKind.KILL))
    bench.feed.put(None)
    await runtime.run()
    kinds = [record.kind for record in bench.journal.kept]
    assert kinds.count(RecordKind.OPERATOR) == 1
    assert kinds.count(RecordKind.FEED) == 2
    assert kinds[-1] is RecordKind.RUN


async def test_history_comes_behind_the_stream_and_a_failure_is_only_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    start_ms = bench.rig.now_ns // 60_000_000_000 * 60_000 - 300_000

    async def load(instrument: Instrument) -> list[HistoryEvent]:
        if instrument.symbol == "INFY":
            raise TradeTuiError("the broker has none")
        bars = tuple(Candle(0, 60, start_ms + 60_000 * n, 1.0, 2.0, 0.5, 1.5, 10) for n in range(3))
        return [HistoryEvent(bench.rig.now_ns, 0, 60, bars)]

    bench.parts.warm_up = load
    runtime = Runtime(bench.parts)
    task = asyncio.create_task(runtime.run())
    await until(lambda: len(bench.rig.engine.history.candles(0, 60)) == 3)
    runtime.watch_more(bench.extra)
    await until(lambda: "no history for INFY" in caplog.text)
    assert bench.extra.key in bench.feed.wanted
    runtime.stop()
    await task


async def test_listeners_hear_every_event_with_its_outcome() -> None:
    bench = Bench(ends=True)
    runtime = Runtime(bench.parts)
    heard: list[str] = []
    runtime.listeners.append(lambda event, outcome: heard.append(type(event).__name__))
    bench.feed.put(bench.tick(100.0))
    bench.feed.put(OperatorEvent(bench.rig.now_ns, OperatorKind.KILL))
    bench.feed.put(None)
    await runtime.run()
    assert heard == ["AccountSnapshot", "FeedEvent", "TickEvent", "OperatorEvent", "FeedEvent"]


def test_a_quote_read_on_a_saturday_is_fridays() -> None:
    bench = Bench()
    bench.rig.tick(100.0)
    (row,) = day_stats(bench.rig.engine)
    assert row.session.isoformat() == "2026-11-20"
    friday_ms = bench.rig.now_ns // 1_000_000
    bench.rig.engine.quotes.day[0, Bar.TS_MS] = friday_ms - 86_400_000
    (row,) = day_stats(bench.rig.engine)
    assert row.session.isoformat() == "2026-11-19", "the broker's own day bar says which session it was"
    assert (row.prev_close, row.official_close, row.volume) == (99.0, 0.0, bench.rig.vtt)


async def test_a_large_close_goes_on_in_slices_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    runtime = Runtime(replace(bench.parts, timed_by_feed=False))
    step, left, seen = runtime.engine.step, [4], list[Event]()

    def sliced(event: Event) -> Outcome:
        outcome = step(event)
        if isinstance(event, TickEvent | TimeEvent):
            left[0] -= 1
            outcome.more = left[0] > 0
            seen.append(event)
        return outcome

    task = asyncio.create_task(runtime.run())
    await until(runtime.started.is_set)
    monkeypatch.setattr(runtime.engine, "step", sliced)
    runtime.take(bench.tick(100.0))
    await until(lambda: len(seen) >= 4)
    assert [type(event) for event in seen] == [TickEvent, *[TimeEvent] * 3]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(seen) == 4, "and no further"
    runtime.stop()
    await task
