"""The exchange's clock: real time, sped up, or as fast as the world's events allow.

Three gears. *Paced*: exchange time runs ``speed`` times as fast as the machine's. *Full speed*
(``speed is None``): time stands still until whoever drives the world moves it to the next event, and it
passes every waiter's deadline on the way, in order. *Paused*: time stands still. Time never goes back.

At full speed a waiter that nobody drives past (the world waits for a subscriber, or has ended) still wakes:
after as much real time as it asked for, exchange time moves to its deadline.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count

from tradetui.domain.calendar import Calendar, Segment, ist_date
from tradetui.domain.errors import CalendarUnknown, UsageError

_SEARCH_DAYS = 40
NS = 1_000_000_000


def last_session_open_ns(calendar: Calendar, now_ns: int) -> int:
    """The open of continuous trading (09:15 IST) on the last trading day, today included, whatever the hour.

    Raises:
        CalendarUnknown: The calendar has no data for the year.
    """
    day = ist_date(now_ns)
    for _ in range(_SEARCH_DAYS):
        # Ordinary days only: a ceremonial hour is no day to practise on.
        if calendar.is_regular_day(Segment.EQ_OTHER, day):
            window = calendar.continuous(Segment.EQ_OTHER, day)
            assert window is not None
            return window[0]
        day -= timedelta(days=1)
    raise CalendarUnknown(f"no trading day within {_SEARCH_DAYS} days before {ist_date(now_ns)}")


class SimClock:
    """Exchange time. Belongs to one event loop; see the module's docstring.

    Args:
        start_ns: Exchange time at the start, UTC ns.
        speed: Exchange seconds per real second; ``None`` for full speed, 0 to start paused.
        monotonic_ns: The machine's clock, for tests.
    """

    def __init__(
        self, start_ns: int, *, speed: float | None = 1.0, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        _check_speed(speed)
        self._monotonic_ns = monotonic_ns
        self._base_ns = start_ns
        self._base_real_ns = monotonic_ns()
        self._speed = speed
        self._resume_speed: float | None = 1.0 if speed == 0 else speed
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def speed(self) -> float | None:
        """Exchange seconds per real second; ``None`` at full speed, 0 while paused."""
        return self._speed

    @property
    def full_speed(self) -> bool:
        """Whether time is moved by events instead of by the machine's clock."""
        return self._speed is None

    @property
    def paused(self) -> bool:
        """Whether time stands still until `resume`."""
        return self._speed == 0

    def now_ns(self) -> int:
        """Exchange time, UTC ns."""
        if not self._speed:
            return self._base_ns
        return self._base_ns + int((self._monotonic_ns() - self._base_real_ns) * self._speed)

    def set_speed(self, speed: float | None) -> None:
        """Change gear from now on: ``None`` is full speed, 0 pauses.

        Raises:
            UsageError: The speed is negative or not a number.
        """
        _check_speed(speed)
        self._rebase(self.now_ns())
        self._speed = speed
        if speed != 0:
            self._resume_speed = speed
        self._arm()

    def pause(self) -> None:
        """Stop time."""
        self.set_speed(0)

    def resume(self) -> None:
        """Let time run again in the gear it had before `pause`."""
        if self.paused:
            self.set_speed(self._resume_speed)

    def jump(self, to_ns: int) -> None:
        """Move forward to a moment; everybody who waited for anything before it wakes.

        Raises:
            UsageError: The moment has passed: exchange time never goes back.
        """
        if to_ns < self.now_ns():
            raise UsageError(
                "the exchange clock cannot go back", "start a new simulator for an earlier moment"
            )
        self._rebase(to_ns)
        self._fire()

    async def wait_until(self, t_ns: int) -> None:
        """Return once exchange time has reached ``t_ns``; changes of speed and jumps count at once."""
        if t_ns <= self.now_ns():
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (t_ns, next(self._order), future))
        self._arm()
        try:
            await future
        finally:
            if not future.done():
                future.cancel()

    async def drive_to(self, t_ns: int) -> None:
        """For whoever advances the world: wait for ``t_ns``, or at full speed move time there.

        At full speed the deadlines on the way are passed in order, and each waiter gets a turn of the loop
        before time moves on.
        """
        while self._speed is None:
            self._drop_cancelled()
            if not self._waiters or self._waiters[0][0] > t_ns:
                self._base_ns = max(self._base_ns, t_ns)
                return
            self._base_ns = max(self._base_ns, self._waiters[0][0])
            self._fire()
            await asyncio.sleep(0)
        await self.wait_until(t_ns)

    def _rebase(self, t_ns: int) -> None:
        self._base_ns = max(self._base_ns, t_ns)
        self._base_real_ns = self._monotonic_ns()

    def _drop_cancelled(self) -> None:
        while self._waiters and self._waiters[0][2].done():
            heapq.heappop(self._waiters)

    def _fire(self) -> None:
        now = self.now_ns()
        while self._waiters and self._waiters[0][0] <= now:
            future = heapq.heappop(self._waiters)[2]
            if not future.done():
                future.set_result(None)
        self._arm()

    def _arm(self) -> None:
        """Set the one timer for the earliest deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop_cancelled()
        if not self._waiters or self.paused:
            return
        remaining_ns = max(0, self._waiters[0][0] - self.now_ns())
        real_s = remaining_ns / NS / (self._speed or 1.0)
        self._timer = asyncio.get_running_loop().call_later(real_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._drop_cancelled()
        if self._speed is None and self._waiters:
            # Nobody drove past it in time: see the module's docstring.
            self._base_ns = max(self._base_ns, self._waiters[0][0])
        self._fire()


def _check_speed(speed: float | None) -> None:
    if speed is not None and not 0 <= speed <= 1e6:
        raise UsageError(f"not a speed: {speed!r}", "give a number from 0 to 1000000, or max")
