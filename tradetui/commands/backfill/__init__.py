"""`tradetui backfill`: past candles of the broker into ``market.duckdb``.

Works day by day: sessions whose bars are all stored are not asked for again, so it can be stopped at any moment
and called again, and calling it twice changes nothing. Every answer is stored before the next is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from tradetui.commands.backfill.progress import Progress, progress_for
from tradetui.commands.shared import NO_URLS, Flags, Setting, prepare, token_from_pipe
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.market_data import INTERVALS

DEFAULT_DAYS: Final = 30
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """Flags of ``tradetui backfill``; see `cli.backfill`."""

    symbols: tuple[str, ...]
    interval: str = "1m"
    first: date | None = None
    last: date | None = None
    home: str | None = None
    urls: Flags = NO_URLS
    as_json: bool = False
    token_stdin: bool = False


@dataclass(slots=True)
class Report:
    """What one instrument came to.

    Attributes:
        key, symbol: Which.
        sessions: Trading days asked about.
        stored_before: Of these, days that were complete already and not asked for.
        requests: Pieces of the range that were asked for.
        bars: Bars that came.
        inserted, same, different: What became of them; different ones replaced what was stored.
        error: Why it is not complete; empty when it is.
    """

    key: str
    symbol: str
    sessions: int = 0
    stored_before: int = 0
    requests: int = 0
    bars: int = 0
    inserted: int = 0
    same: int = 0
    different: int = 0
    error: str = ""


@dataclass(slots=True)
class Summary:
    """What the command prints at the end.

    Attributes:
        account: Data folder of the account.
        interval: Interval.
        first, last: Range, IST dates.
        seconds: How long it took.
        stopped: It was stopped before its end.
        reports: By instrument.
    """

    interval: str
    account: str = ""
    first: date = date.min
    last: date = date.min
    seconds: float = 0.0
    stopped: bool = False
    reports: list[Report] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Sum of a figure over the instruments."""
        return sum(int(getattr(report, name)) for report in self.reports)

    def as_data(self) -> dict[str, Any]:
        """The object for ``--json``."""
        figures = ("sessions", "stored_before", "requests", "bars", "inserted", "same", "different")
        return {
            "account": self.account,
            "interval": self.interval,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "complete": not self.stopped and not any(report.error for report in self.reports),
            "stopped": self.stopped,
            "seconds": round(self.seconds, 2),
            **{name: self.total(name) for name in figures},
            "instruments": [
                {
                    "key": report.key,
                    "symbol": report.symbol,
                    **{name: getattr(report, name) for name in figures},
                    "error": report.error,
                }
                for report in self.reports
            ],
        }

    def as_text(self) -> list[str]:
        """Lines for people."""
        lines = []
        for one in self.reports:
            words = f"{one.symbol:<24} {one.inserted:>9,} new  {one.same:>9,} as stored"
            if one.different:
                words += f"  {one.different:,} differed and were replaced"
            if one.stored_before:
                words += f"  ({one.stored_before} of {one.sessions} days were complete)"
            lines.append(words + (f"\n  not complete: {one.error}" if one.error else ""))
        rate = self.total("bars") / self.seconds if self.seconds else 0.0
        lines.append(
            f"{self.first} to {self.last}, {self.interval}: {self.total('inserted'):,} new bars in "
            f"{self.total('requests')} requests, {self.seconds:.1f} s ({rate:,.0f} bars/s), into {self.account}"
        )
        if self.stopped:
            lines.append("stopped; what came is stored, call it again to go on")
        return lines


def run_backfill(options: BackfillOptions) -> int:
    """Fetch and store; returns 0 when everything came, 1 when something is missing, 130 when stopped.

    Raises:
        UsageError: Interval, dates or symbols make no sense.
        DataInUse: A running `tradetui run` holds the data directory.
        TradeTuiError: The broker cannot be reached, or the store cannot be used.
    """
    check_interval(options.interval)
    if options.first is not None and options.last is not None and options.first > options.last:
        raise UsageError(f"--from {options.first} is after --to {options.last}", "swap them")
    token = token_from_pipe(options.token_stdin, "backfill")
    setting = prepare(options.home)
    hosts = setting.hosts(options.urls)
    if hosts is None or not hosts.is_loopback:
        # A simulator may live on another day than we do; it is asked below.
        range_of(options.first, options.last, ist_date(time.time_ns()))
    summary = Summary(options.interval)
    progress = progress_for(sys.stderr, wanted=not options.as_json)
    try:
        asyncio.run(_guarded(_backfill(options, setting, token, summary, progress)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        summary.stopped = True
    if options.as_json:
        print(json.dumps(summary.as_data()))
    else:
        print("\n".join(summary.as_text()))
    if summary.stopped:
        return 130
    return 1 if any(report.error for report in summary.reports) else 0


def check_interval(name: str) -> None:
    """Refuse an interval that the broker has no candles of.

    Raises:
        UsageError: It is none of the known ones.
    """
    if name not in INTERVALS:
        raise UsageError(f"no interval {name!r}", f"known: {', '.join(INTERVALS)}")


def range_of(
    first: date | None, last: date | None, today: date, latest: date | None = None
) -> tuple[date, date]:
    """The range of dates, with the defaults filled in: the thirty days up to today.

    Args:
        first: First date, if given.
        last: Last date, if given.
        today: Today at the exchange, which a simulator may have on another day than we do.
        latest: Last date that is no future; today when left out.

    Raises:
        UsageError: It lies in the future, or ends before it begins.
    """
    bound = max(today, latest or today)
    for name, day in (("--from", first), ("--to", last)):
        if day is not None and day > bound:
            raise UsageError(f"{name} {day} lies in the future: today is {bound} in India")
    end = last or max(today, first or today)
    begin = first or end - timedelta(days=DEFAULT_DAYS)
    if begin > end:
        raise UsageError(f"--from {begin} is after --to {end}", "swap them")
    return begin, end


async def _guarded(work: Any) -> None:
    """Run the work so that SIGTERM ends it as orderly as Ctrl-C does."""
    task = asyncio.ensure_future(work)
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


async def _backfill(
    options: BackfillOptions, setting: Setting, token: str, summary: Summary, progress: Progress
) -> None:
    from tradetui.brokers.upstox.api import UpstoxApi
    from tradetui.brokers.upstox.candles import CandleClient
    from tradetui.brokers.upstox.master_sync import MasterFile
    from tradetui.commands.backfill.work import Worker
    from tradetui.storage.lock import DataLock
    from tradetui.storage.store import Store
    from tradetui.wiring import Request
    from tradetui.wiring.account import find_account
    from tradetui.wiring.watchlist import find

    began = time.monotonic()
    place, settings = setting.place, setting.config
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(DataLock(place.data_dir, "tradetui backfill"))
        cleanup: list[Callable[[], Any]] = []
        stack.push_async_callback(_run_all, cleanup)
        account = await find_account(
            Request(
                place, settings, options.urls, token=token,
                sim_seed=settings.simulator.seed, sim_speed=settings.simulator.speed,
            ),
            cleanup,
        )  # fmt: skip
        today = ist_date(account.clock.now_ns())
        summary.first, summary.last = range_of(options.first, options.last, today, ist_date(time.time_ns()))
        summary.account = account.folder
        synced = await asyncio.to_thread(
            MasterFile(place.data_dir / "instruments", account.hosts).sync,
            today,
            force=account.hosts.is_loopback,
        )
        stack.callback(synced.master.close)
        chosen = {one.key: one for one in (find(synced.master, text) for text in options.symbols)}
        instruments = list(chosen.values())
        summary.reports = [Report(one.key, one.symbol) for one in instruments]
        store = await asyncio.to_thread(Store.open, place.account_dir(account.folder), instruments)
        stack.push_async_callback(asyncio.to_thread, store.close)
        api = UpstoxApi(account.hosts, account.token)
        stack.push_async_callback(api.close)
        client = CandleClient(api, account.clock.now_ns, sleep=progress.wait, pauses_s=_PAUSES_S)
        worker = Worker(client, store, today, INTERVALS[options.interval], progress)
        with progress:
            try:
                await worker.run(instruments, summary.reports, summary.first, summary.last)
            except BaseExceptionGroup as group:
                # The workers stop together; the first to fail says why.
                raise _first_of(group) from None
            finally:
                summary.seconds = time.monotonic() - began


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception in a group."""
    inner = group.exceptions[0]
    return _first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def _run_all(steps: list[Callable[[], Any]]) -> None:
    for step in reversed(steps):
        await asyncio.to_thread(step)
