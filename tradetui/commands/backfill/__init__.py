"""`tradetui backfill`: past candles of the broker into ``market.duckdb``.

Works session by session: what is settled is not asked for again, so it can be stopped or killed at any moment and
called again, and calling it twice changes nothing. While `tradetui run` holds the store, the running engine does
it for us, and leaves half of the rate limits to everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui.commands.backfill.progress import Progress, progress_for
from tradetui.commands.backfill.text import check_lines, summary_lines
from tradetui.commands.shared import NO_URLS, Flags, Setting, prepare, token_from_pipe
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import UsageError
from tradetui.storage.lock import DataInUse, DataLock
from tradetui.wiring.backfill.ask import Ask, range_of
from tradetui.wiring.backfill.report import Summary
from tradetui.wiring.backfill.universe import NAMES, read_list

STOPPED: Final = 130
"""Exit code after Ctrl-C or SIGTERM."""
CLOSE_S: Final = 300.0
"""Longest wait for the store at the end: millions of new rows are folded into its file then."""


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """Flags of ``tradetui backfill``; see `cli.backfill`."""

    symbols: tuple[str, ...] = ()
    universe: str = ""
    interval: str = "1m"
    first: date | None = None
    last: date | None = None
    days: int = 0
    check: bool = False
    verify: bool = False
    replace: bool = False
    expired: str = ""
    home: str | None = None
    urls: Flags = NO_URLS
    as_json: bool = False
    events: bool = False
    token_stdin: bool = False


def run_backfill(options: BackfillOptions) -> int:
    """Fetch and store, or only look; returns 0 when everything is there, 1 when something is missing, 130 when stopped.

    Raises:
        UsageError: Interval, dates, symbols or universe make no sense.
        TradeTuiError: The broker cannot be reached, or the store cannot be used.
    """
    ask = ask_of(options)
    token = token_from_pipe(options.token_stdin, "backfill")
    setting = prepare(options.home)
    hosts = setting.hosts(options.urls)
    if hosts is None or not hosts.is_loopback:
        # A simulator may live on another day than we do; it is asked below.
        range_of(ask.first, ask.last, ist_date(time.time_ns()), days=ask.days)
    try:
        lock = DataLock(setting.place.data_dir, "tradetui backfill")
    except DataInUse as held:
        from tradetui.commands.backfill.engine import through_engine

        return through_engine(options, ask, setting, held)
    with lock:
        return _alone(options, ask, setting, token)


def ask_of(options: BackfillOptions) -> Ask:
    """What the flags ask for, with the lines of a file read in.

    Raises:
        UsageError: They make no sense, or there is no such file.
    """
    universe, name = options.universe, ""
    lines: tuple[tuple[int, str], ...] = ()
    if universe and universe not in NAMES:
        path = Path(universe).expanduser()
        universe, lines, name = "", tuple(read_list(path)), path.name
    if not (options.symbols or universe or lines):
        raise UsageError(
            "which instruments?", f"name some, or --universe {', '.join(NAMES)}, or a file's path"
        )
    if options.check and (options.verify or options.replace or options.expired):
        raise UsageError("--check only looks: it goes with none of --verify, --replace, --expired")
    ask = Ask(
        options.symbols, universe, lines, name, options.interval, options.first, options.last, options.days,
        options.verify, options.replace, options.expired,
    )  # fmt: skip
    ask.check()
    return ask


def finish(options: BackfillOptions, data: Mapping[str, Any]) -> int:
    """Print what a backfill came to; returns the exit code."""
    if options.as_json or options.events:
        print(json.dumps(data))
    else:
        print("\n".join(summary_lines(data)))
    if data["stopped"]:
        return STOPPED
    return 0 if data["complete"] else 1


def finish_check(options: BackfillOptions, data: Mapping[str, Any]) -> int:
    """Print what is missing; returns the exit code."""
    print(json.dumps(data) if options.as_json or options.events else "\n".join(check_lines(data)))
    return 0 if data["complete"] else 1


# --- without an engine --------------------------------------------------------------------------------


def _alone(options: BackfillOptions, ask: Ask, setting: Setting, token: str) -> int:
    summary = Summary(ask.interval)
    progress = progress_for(sys.stderr, as_json=options.as_json or options.check, events=options.events)
    found: dict[str, Any] = {}
    try:
        asyncio.run(_guarded(_backfill(options, ask, setting, token, summary, progress, found)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        summary.stopped = True
    if options.check:
        return STOPPED if summary.stopped else finish_check(options, found)
    return finish(options, summary.as_data())


async def _guarded(work: Any) -> None:
    """Run the work so that SIGTERM ends it as orderly as Ctrl-C does."""
    task = asyncio.ensure_future(work)
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


async def _backfill(
    options: BackfillOptions,
    ask: Ask,
    setting: Setting,
    token: str,
    summary: Summary,
    progress: Progress,
    found: dict[str, Any],
) -> None:
    from tradetui.brokers.upstox.api import UpstoxApi
    from tradetui.brokers.upstox.governor import BUDGET_FOLDER, Governor
    from tradetui.brokers.upstox.master_sync import MasterFile
    from tradetui.storage.store import Store
    from tradetui.wiring import Request
    from tradetui.wiring.account import find_account
    from tradetui.wiring.backfill.desk import Backfiller
    from tradetui.wiring.calendars import usable_calendar

    place, settings = setting.place, setting.config
    async with contextlib.AsyncExitStack() as stack:
        cleanup: list[Callable[[], Any]] = []
        stack.push_async_callback(_run_all, cleanup)
        account = await find_account(
            Request(
                place, settings, options.urls, token=token,
                sim_seed=settings.simulator.seed, sim_speed=settings.simulator.speed,
            ),
            cleanup,
        )  # fmt: skip
        summary.account = account.folder
        synced = await asyncio.to_thread(
            MasterFile(place.data_dir / "instruments", account.hosts).sync,
            ist_date(account.clock.now_ns()),
            force=account.hosts.is_loopback,
        )
        stack.callback(synced.master.close)
        folder = place.account_dir(account.folder)
        store = await asyncio.to_thread(Store.open, folder, [])
        stack.push_async_callback(asyncio.to_thread, store.close, CLOSE_S)
        # What was spent is shared with every other process of the account, and outlives a kill.
        governor = Governor(folder=folder / BUDGET_FOLDER)
        api = UpstoxApi(
            account.hosts, account.token, governor=governor, read_s=settings.history.timeout,
            now_ns=account.clock.now_ns,
        )  # fmt: skip
        stack.push_async_callback(api.close)
        filler = Backfiller(
            api, store, usable_calendar(place, settings, account.hosts), account.clock, synced.master, settings.watch.symbols, account.folder,
            parallel=settings.history.parallel, attempts=settings.history.attempts,
        )  # fmt: skip
        if options.check:
            found.update(await filler.check(ask))
            return
        with progress:
            await filler.run(ask, summary, progress.tell)


async def _run_all(steps: list[Callable[[], Any]]) -> None:
    for step in reversed(steps):
        await asyncio.to_thread(step)
