"""One backfill: what is missing of many instruments, asked for side by side, newest first.

Progress is what is in the store (`storage.past`): each answer is put in whole, together with what it settles, before
it counts as done. So a job can be killed at any moment and begun anew; it then asks for what is missing and for
nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

from tradetui.brokers.upstox.past_bars import Answer, Trouble, data_since, earliest_of, has_today
from tradetui.domain.calendar import Calendar, day_start_ns
from tradetui.domain.candle_block import CandleBlock
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, TransportError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import I64
from tradetui.market.holes import Judged, cells_of, judge, pieces, settles
from tradetui.storage.past import Put
from tradetui.wiring.backfill.report import Report

Tell = Callable[[Mapping[str, Any]], None]
"""Takes one event: a mapping with ``event`` and more, plain JSON data."""

SIDE_BY_SIDE: Final = 4
"""Requests under way at a time; the governor decides how many there are in a second."""
_LOOK_S: Final = 1.0
_REFUSED: Final = "refused"
_DAY_MS: Final = 86_400_000


class Asks(Protocol):
    """What asks the broker; `brokers.upstox.past_bars.PastBars` is one."""

    @property
    def today(self) -> date:
        """Today at the exchange."""
        ...

    @property
    def attempts(self) -> int:
        """How often one span is asked for before it counts as failed."""
        ...

    async def fetch(self, key: str, interval: str, first: date, last: date, trouble: Trouble = ...) -> Answer:
        """The bars of a span that one request may cover."""
        ...


class Keeps(Protocol):
    """What keeps bars; `storage.store.Store` is one."""

    def broker_bar_starts(self, instrument: Instrument, interval: str, first: date, last: date) -> I64:
        """Starts of the broker's stored bars."""
        ...

    def asked_days(self, instrument: Instrument, interval: str, first: date, last: date) -> dict[date, int]:
        """Days that are settled although they are not full."""
        ...

    def put_block(
        self,
        instrument: Instrument,
        interval: str,
        block: CandleBlock,
        asked: Mapping[date, int],
        asked_ns: int,
        *,
        replace: bool = False,
    ) -> Put:
        """Put in one answer and what it settles."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be there at the end.

    Attributes:
        instruments: Of what.
        interval: Name of the interval.
        first, last: Dates, both included.
        verify: Ask for what is settled too, and compare.
        replace: The broker's figures take the place of stored ones that differ.
        keys: By key and expiry, what to ask for instead of the key: expired contracts have another at the broker.
    """

    instruments: tuple[Instrument, ...]
    interval: str
    first: date
    last: date
    verify: bool = False
    replace: bool = False
    keys: Mapping[tuple[str, date | None], str] | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    report: Report
    instrument: Instrument
    first: date
    last: date


def judged_cells(
    store: Keeps,
    calendar: Calendar,
    instrument: Instrument,
    interval: str,
    first: date,
    last: date,
    now_ns: int,
) -> list[Judged]:
    """Sessions (weeks, months) of an instrument against what is stored. Blocks on the database."""
    begin = max(first, data_since(interval))
    cells = cells_of(calendar, instrument, interval, begin, last) if begin <= last else []
    if not cells:
        return []
    begin, end = cells[0].day, max(last, cells[-1].last)
    starts = store.broker_bar_starts(instrument, interval, begin, end)
    return judge(cells, starts, store.asked_days(instrument, interval, begin, end), now_ns)


class Job:
    """See the module's docstring.

    Args:
        wanted: What is to be there.
        client: Asks the broker.
        store: Keeps what comes.
        calendar: Sessions.
        now_ns: Engine time.
        tell: Takes events.
        parallel: Requests under way at a time.
        slot_wait_s: Seconds until the rate limits let the next request go.
    """

    def __init__(
        self,
        wanted: Wanted,
        client: Asks,
        store: Keeps,
        calendar: Calendar,
        now_ns: Callable[[], int],
        tell: Tell = lambda event: None,
        *,
        parallel: int = SIDE_BY_SIDE,
        slot_wait_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.wanted = wanted
        self.reports = [Report(one.key, one.symbol) for one in wanted.instruments]
        self.halted = ""
        """Why nothing more is asked; empty while all is well."""
        self._client = client
        self._store = store
        self._calendar = calendar
        self._now_ns = now_ns
        self._tell = tell
        self._parallel = parallel
        self._slot_wait_s = slot_wait_s
        self._counting = threading.Lock()
        self._queue: deque[_Piece] = deque()
        self._unreachable = 0

    async def run(self) -> None:
        """Ask for everything that is missing; what does not come is in the reports.

        Raises:
            StorageError: What came cannot be stored.
        """
        await self._plan_all()
        watch = asyncio.create_task(self._watch_limits())
        workers = [asyncio.create_task(self._work()) for _ in range(min(self._parallel, len(self._queue)))]
        try:
            for done in asyncio.as_completed(workers):
                await done
        finally:
            for task in (watch, *workers):
                task.cancel()
            await asyncio.gather(watch, *workers, return_exceptions=True)

    # --- what is missing ------------------------------------------------------------------------------

    async def _plan_all(self) -> None:
        found: list[_Piece] = []
        for instrument, report in zip(self.wanted.instruments, self.reports, strict=True):
            planned = await asyncio.to_thread(self.plan, instrument, report)
            found += [_Piece(report, instrument, first, last) for first, last in planned]
            self._tell(
                {"event": "planned", "symbol": report.symbol, "key": report.key, "pieces": report.pieces,
                 "sessions": report.sessions, "settled": report.settled_before}
            )  # fmt: skip
        # Newest first: of everything the last month, then of everything the month before. The sort is stable.
        found.sort(key=lambda piece: -piece.last.toordinal())
        self._queue.extend(found)

    def plan(self, instrument: Instrument, report: Report) -> list[tuple[date, date]]:
        """The ranges to ask for, newest first. Blocks on the database."""
        wanted, today = self.wanted, self._client.today
        interval, last = wanted.interval, min(wanted.last, self._client.today)
        judged = judged_cells(
            self._store, self._calendar, instrument, interval, wanted.first, last, self._now_ns()
        )
        if not has_today(interval):
            judged = [one for one in judged if not one.open]
        report.sessions = len(judged)
        report.settled_before = 0 if wanted.verify else sum(one.settled for one in judged)
        if wanted.verify:
            judged = [Judged(one.cell, one.stored, one.missing, False, one.open) for one in judged]
        out = pieces(judged, earliest_of(interval), today if has_today(interval) else None)
        report.pieces = len(out)
        return out

    # --- asking ---------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._queue and not self.halted:
            piece = self._queue.popleft()
            report = piece.report
            if report.failures and report.failures[-1][2].startswith(_REFUSED):
                continue  # the broker refused this instrument: it would refuse the rest as well
            try:
                await self._one(piece)
            except (TransportError, RateLimited) as error:
                self._unreachable += 1
                self._failed(piece, f"{error.message}, in {self._client.attempts} attempts")
                if self._unreachable > self._parallel:
                    self.halted = f"the broker does not answer: {error.message}"
            except AuthError as error:
                self._failed(piece, error.message)
                self.halted = str(error)
            except BrokerError as error:
                self._failed(piece, f"{_REFUSED}: {error}")
                if error.status == 403 and not error.code:
                    # The edge in front blocks this machine; asking on would make it worse.
                    self.halted = str(error)

    async def _one(self, piece: _Piece) -> None:
        report, wanted = piece.report, self.wanted
        asked_ns = self._now_ns()

        def trouble(words: str, wait_s: float) -> None:
            report.requests += 1
            report.retries += 1
            report.troubles[words] += 1
            self._tell({"event": "retry", "symbol": report.symbol, "why": words, "wait_s": wait_s})

        own = piece.instrument
        key = (wanted.keys or {}).get((own.key, own.expiry), own.key)
        try:
            answer = await self._client.fetch(key, wanted.interval, piece.first, piece.last, trouble)
        finally:
            report.requests += 1
        self._unreachable = 0
        # Shielded: once the answer is here, a stop waits for the moment it takes to put it in and count it.
        await asyncio.shield(asyncio.to_thread(self._keep, piece, answer, asked_ns))
        self._tell(
            {"event": "stored", "symbol": report.symbol, "from": piece.first.isoformat(),
             "to": piece.last.isoformat(), "bars": len(answer.block), "done": report.done, "pieces": report.pieces}
        )  # fmt: skip

    def _keep(self, piece: _Piece, answer: Answer, asked_ns: int) -> None:
        """Store and count in one go: a stop in between would leave bars that no figure shows."""
        wanted, report, block = self.wanted, piece.report, answer.block
        asked = self._settled(piece, block, asked_ns)
        put = self._store.put_block(
            piece.instrument, wanted.interval, block, asked, asked_ns, replace=wanted.replace
        )
        with self._counting:
            report.done += 1
            report.bars += len(block)
            report.inserted += put.inserted
            report.same += put.same
            report.different += put.different
            report.replaced += put.replaced
            report.odd += len(block.odd_ms)
            report.add_differences(put.examples)

    def _settled(self, piece: _Piece, block: CandleBlock, asked_ns: int) -> dict[date, int]:
        """Days that the answer settles although they are not full."""
        cells = cells_of(self._calendar, piece.instrument, self.wanted.interval, piece.first, piece.last)
        out = {}
        for cell in cells:
            begin = day_start_ns(cell.day) // 1_000_000
            odd = any(start < 0 or begin <= start < begin + _DAY_MS for start in block.odd_ms)
            count = settles(cell, block.start_ms, odd, asked_ns)
            if count is not None:
                out[cell.day] = count
        return out

    def _failed(self, piece: _Piece, why: str) -> None:
        piece.report.failures.append((piece.first, piece.last, why))
        self._tell(
            {"event": "failed", "symbol": piece.report.symbol, "from": piece.first.isoformat(),
             "to": piece.last.isoformat(), "why": why}
        )  # fmt: skip

    async def _watch_limits(self) -> None:
        """Say so when the rate limits make everybody wait."""
        while True:
            await asyncio.sleep(_LOOK_S)
            wait_s = self._slot_wait_s()
            if wait_s > _LOOK_S:
                self._tell({"event": "waiting", "wait_s": round(wait_s, 1)})
