"""Backfills end to end, for the command and for a running engine alike; and the engine's own, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.governor import Lane
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.past_bars import PastBars
from tradetui.domain.calendar import Calendar, ist_date
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.ports import Clock
from tradetui.storage.store import Store
from tradetui.wiring.backfill.ask import Ask, range_of
from tradetui.wiring.backfill.check import check_all
from tradetui.wiring.backfill.expired import expired_contracts
from tradetui.wiring.backfill.job import Job, Tell, Wanted
from tradetui.wiring.backfill.report import Summary
from tradetui.wiring.backfill.universe import Chosen, choose_universe, from_file

log = logging.getLogger(__name__)

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Pauses between attempts of one request; as many as the setting allows are taken."""
UNHEARD_S: Final = 60.0
"""A job of the engine ends when nobody has asked for it for so long: the command that began it is gone."""
_MOST_EVENTS: Final = 5_000


class Backfiller:
    """Joins what a backfill needs.

    Args:
        api: REST interface.
        store: Keeps bars.
        calendar: Sessions.
        clock: Engine time.
        master: The instrument list.
        watch: The watchlist of the settings.
        account: Data folder of the account.
        parallel: Requests under way at a time.
        attempts: How often one span is asked for.
        lane: Who goes first at the rate limits.
    """

    def __init__(
        self,
        api: UpstoxApi,
        store: Store,
        calendar: Calendar,
        clock: Clock,
        master: Master,
        watch: tuple[str, ...],
        account: str,
        *,
        parallel: int,
        attempts: int,
        lane: Lane = Lane.NORMAL,
    ) -> None:
        self._api = api
        self._store = store
        self._calendar = calendar
        self._clock = clock
        self._master = master
        self._watch = watch
        self._account = account
        self._parallel = parallel
        self._client = PastBars(api, clock.now_ns, lane=lane, pauses_s=PAUSES_S[: max(0, attempts - 1)])

    def choose(self, ask: Ask) -> Chosen:
        """The instruments that are asked for. Blocks on the instrument list.

        Raises:
            UsageError: There are none such.
        """
        today = ist_date(self._clock.now_ns())
        if not ask.lines:
            return choose_universe(self._master, ask.symbols, ask.universe, self._watch, today)
        path = Path(ask.file or "list")
        listed = from_file(self._master, path, ask.lines)
        chosen = (
            choose_universe(self._master, ask.symbols, "", (), today)
            if ask.symbols
            else Chosen(words=path.name)
        )
        chosen.instruments = list({one.key: one for one in [*chosen.instruments, *listed]}.values())
        return chosen

    def dates(self, ask: Ask) -> tuple[date, date]:
        """The range that is asked for.

        Raises:
            UsageError: It lies in the future, or ends before it begins.
        """
        today = ist_date(self._clock.now_ns())
        return range_of(ask.first, ask.last, today, ist_date(time.time_ns()), ask.days)

    async def run(self, ask: Ask, summary: Summary, tell: Tell) -> None:
        """Fetch and store; fills in the summary as it goes.

        Raises:
            UsageError: What is asked for makes no sense.
            TradeTuiError: It cannot begin, or what came cannot be stored.
        """
        began = time.monotonic()
        chosen = await asyncio.to_thread(self.choose, ask)
        summary.account, summary.unknown = self._account, chosen.unknown
        summary.first, summary.last = self.dates(ask)
        instruments = chosen.instruments
        keys: dict[tuple[str, date | None], str] = {}
        if ask.expired:
            found = await expired_contracts(
                self._api,
                instruments,
                ask.expired,
                summary.first,
                summary.last,
                ist_date(self._clock.now_ns()),
            )
            instruments, keys = [one for one, _ in found], {(one.key, one.expiry): key for one, key in found}
        wanted = Wanted(
            tuple(instruments), ask.interval, summary.first, summary.last, ask.verify, ask.replace, keys
        )
        job = Job(
            wanted, self._client, self._store, self._calendar, self._clock.now_ns, tell,
            parallel=self._parallel, slot_wait_s=self._slot_wait_s,
        )  # fmt: skip
        summary.reports = job.reports
        tell({"event": "chosen", "instruments": len(instruments), "words": chosen.words,
              "from": summary.first.isoformat(), "to": summary.last.isoformat()})  # fmt: skip
        try:
            await job.run()
        finally:
            summary.halted = job.halted
            summary.seconds = time.monotonic() - began

    async def check(self, ask: Ask) -> dict[str, Any]:
        """What is missing, by instrument and day; nothing is asked of the broker.

        Raises:
            UsageError: What is asked for makes no sense.
        """
        chosen = await asyncio.to_thread(self.choose, ask)
        first, last = self.dates(ask)
        found = await asyncio.to_thread(
            check_all, self._store, self._calendar, chosen, ask.interval, first, last, self._clock.now_ns()
        )
        return {"account": self._account, **found}

    def _slot_wait_s(self) -> float:
        """Seconds until the limits of the candle endpoints let the next request go."""
        return self._api.governor.budget(ep.CANDLES.path).next_slot_s


class EngineBackfills:
    """Backfills that a running engine does for a command, one at a time, with progress to be asked for.

    Args:
        filler: Does them.
        unheard_s: End a job that nobody has asked for so long.
        now_s: Monotonic seconds.
    """

    def __init__(
        self,
        filler: Backfiller,
        *,
        unheard_s: float = UNHEARD_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._filler = filler
        self._unheard_s = unheard_s
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._summary = Summary("")
        self._events: list[dict[str, Any]] = []
        self._dropped = 0
        self._failure: TradeTuiError | None = None
        self._heard_s = 0.0

    def start(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a backfill.

        Raises:
            UsageError: It makes no sense.
            TradeTuiError: Another one is under way.
        """
        ask = Ask.of(args)
        if self._task is not None and not self._task.done():
            raise TradeTuiError("a backfill is under way in the running engine", "wait for it to end")
        self._number = next(self._numbers)
        self._summary, self._events, self._dropped = Summary(ask.interval), [], 0
        self._failure, self._heard_s = None, self._now_s()
        self._task = asyncio.create_task(self._run(ask), name="backfill")
        self._watch = asyncio.create_task(self._end_when_unheard(self._task), name="backfill watch")
        return {"job": self._number}

    def state(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """What became of a job so far: events since a number, and the summary when it is over.

        Raises:
            UsageError: There is no such job.
            TradeTuiError: It could not be done.
        """
        task, since = self._of(args), args.get("since", 0)
        self._heard_s = self._now_s()
        if not isinstance(since, int) or since < 0:
            raise UsageError("since must be a whole number")
        events = self._events[max(0, since - self._dropped) :]
        if not task.done():
            return {"running": True, "events": events, "next": self._dropped + len(self._events)}
        if self._failure is not None:
            raise self._failure
        return {
            "running": False,
            "events": events,
            "next": self._dropped + len(self._events),
            "summary": self._summary.as_data(),
        }

    async def stop(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """End a job; what came is stored.

        Raises:
            UsageError: There is no such job.
        """
        task = self._of(args)
        if not task.done():
            self._summary.stopped = True
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return {"summary": self._summary.as_data()}

    async def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """What is missing; see `Backfiller.check`."""
        return await self._filler.check(Ask.of(args))

    async def close(self) -> None:
        """End what is under way."""
        for task in (self._watch, self._task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _of(self, args: Mapping[str, Any]) -> asyncio.Task[None]:
        if self._task is None or args.get("job") != self._number:
            raise UsageError("no such backfill")
        return self._task

    async def _run(self, ask: Ask) -> None:
        try:
            await self._filler.run(ask, self._summary, self._tell)
        except TradeTuiError as error:
            self._failure = error
        except Exception:
            log.exception("a backfill failed")
            self._failure = TradeTuiError("the backfill failed", "see the log file")

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._events.append(dict(event))
        if len(self._events) > _MOST_EVENTS:
            del self._events[:1000]
            self._dropped += 1000

    async def _end_when_unheard(self, task: asyncio.Task[None]) -> None:
        while not task.done():
            left = self._heard_s + self._unheard_s - self._now_s()
            if left <= 0:
                log.warning("nobody asks for the backfill any more: it ends; what came is stored")
                self._summary.stopped = True
                task.cancel()
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), left)
