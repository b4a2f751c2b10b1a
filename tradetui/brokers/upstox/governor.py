"""Keeps us under the broker's and SEBI's rate limits, in three windows at once (`upstox.md` 6.1, 1.8).

Counts requests in sliding windows, which no burst can cheat (a refilled bucket lets two bursts into one
second). Order writes share one account of 10 a second: ordinary ones may use eight of them, the other two
are kept for cancels and exits, and trailing stops may use only half of what ordinary ones may. Reads are counted
per endpoint, as the broker does. What is counted is shared with the other processes of the data directory and
outlives a restart (`spent.py`).

After the broker itself has said "too many" (429), ordinary requests wait for half a minute, longer when it
happens again; exits still go, one a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from tradetui.brokers.upstox.spent import Spent
from tradetui.domain.errors import RateLimited

log = logging.getLogger(__name__)


class Lane(IntEnum):
    """Who goes first; a smaller number does. Inside a lane, whoever came first."""

    EXIT = 0
    """Cancels and orders that reduce risk: they may use the reserve."""
    NORMAL = 1
    TRAIL = 2
    """Steps of a trailing stop: they yield to everything else, and a late one is replaced by the next."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``limit`` requests in any ``seconds``, of which ordinary ones may use ``normal``."""

    seconds: float
    limit: int
    normal: int

    def allowed(self, lane: Lane) -> int:
        """How many requests the window may hold when one of this lane is added."""
        if lane is Lane.EXIT:
            return self.limit
        return self.normal if lane is Lane.NORMAL else max(1, self.normal // 2)


# A tenth more than a second, since the network may squeeze requests together on their way.
ORDER_WINDOWS: Final = (Window(1.1, 10, 8), Window(60.0, 500, 480), Window(1800.0, 2000, 1900))
READ_WINDOWS: Final = (Window(1.1, 50, 50), Window(60.0, 500, 480), Window(1800.0, 2000, 1950))

BUDGET_FOLDER: Final = "budget"
"""Folder inside the account's own where what was spent is kept; all processes of the account use it."""
PAUSE_S: Final = 30.0
"""How long ordinary requests wait after the broker said "too many"; doubled each time it does so again."""
LONGEST_PAUSE_S: Final = 300.0
EXIT_GAP_S: Final = 1.1
"""Between two exits during such a pause."""
_LOOK_S: Final = 0.01
"""How often a request looks whether it is its turn."""


@dataclass(frozen=True, slots=True)
class WindowUse:
    """How far one window is used.

    Attributes:
        seconds: Its length.
        used: Requests in it now.
        allowed: Requests that ordinary traffic may bring it to.
        reserve: Further requests, for cancels and exits only.
    """

    seconds: float
    used: int
    allowed: int
    reserve: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The state of one account of requests.

    Attributes:
        account: Read endpoint; empty for order writes.
        windows: Shortest first.
        waiting: Requests that wait, by lane: exit, normal, trail.
        next_slot_s: Seconds until an ordinary request may leave; 0 when it may now.
        pause_s: Seconds for which ordinary requests still wait because the broker said "too many".
    """

    account: str
    windows: tuple[WindowUse, ...]
    waiting: tuple[int, ...]
    next_slot_s: float
    pause_s: float


@dataclass(slots=True)
class _Account:
    """Requests of one kind, in seconds of the monotonic clock."""

    windows: tuple[Window, ...]
    spent: Spent | None = None
    taken: deque[float] = field(default_factory=deque)
    queues: tuple[deque[object], ...] = field(default_factory=lambda: tuple(deque() for _ in Lane))
    looked_s: float | None = None
    paused_until_s: float = 0.0
    strikes: int = 0

    @contextlib.contextmanager
    def shared(self, now: float) -> Iterator[None]:
        """Hold the shared file, with everything in it that others have written since the last look."""
        if self.spent is None:
            yield
            return
        with self.spent.locked():
            self.learn(now)
            yield

    def learn(self, now: float) -> None:
        """Count what other processes, or this one before its restart, have sent."""
        if self.spent is None:
            return
        news, pause_s, strikes = self.spent.news()
        if news:
            # Written since the last look, so not older than that; before the first look they may be of any age.
            since = now - self.looked_s if self.looked_s is not None else self.windows[-1].seconds
            merged = sorted([*self.taken, *(now - min(age, since) for age in news)])
            self.taken = deque(merged)
        if pause_s and now + pause_s > self.paused_until_s:
            self.paused_until_s, self.strikes = now + min(pause_s, LONGEST_PAUSE_S), strikes
        self.looked_s = now

    def wait_s(self, lane: Lane, now: float, weight: int = 1) -> float:
        """Seconds until ``weight`` requests of this lane fit into every window; 0 when they do now."""
        longest = self.windows[-1].seconds
        while self.taken and now - self.taken[0] >= longest:
            self.taken.popleft()
        wait = 0.0
        for window in self.windows:
            over = len(self.taken) + weight - window.allowed(lane)
            if over > 0:
                # The request that must have left the window before ours may come.
                wait = max(wait, self.taken[over - 1] + window.seconds - now)
        if now < self.paused_until_s:
            if lane is not Lane.EXIT:
                wait = max(wait, self.paused_until_s - now)
            elif self.taken:
                wait = max(wait, self.taken[-1] + EXIT_GAP_S - now)
        return wait

    def inside(self, seconds: float, now: float) -> int:
        """Requests of the last ``seconds``; looks at no more of them than that."""
        count = 0
        for t in reversed(self.taken):
            if now - t >= seconds:
                break
            count += 1
        return count

    def is_next(self, lane: Lane, ticket: object) -> bool:
        """Whether nobody who goes first is waiting."""
        return self.queues[lane][0] is ticket and not any(self.queues[:lane])

    def take(self, weight: int, now: float) -> None:
        """Count requests that are about to leave."""
        self.taken.extend([now] * weight)
        if self.spent is not None:
            self.spent.add(weight)


class Governor:
    """Grants requests, in order of lane and then of arrival.

    Args:
        orders: Windows of order writes.
        reads: Windows of every read endpoint.
        now_s: Monotonic seconds.
        sleep: Waits for seconds.
        folder: Where what was spent is kept for restarts and other processes; ``None`` keeps it in memory.
        wall_ns: Wall clock, for that folder's files.
    """

    def __init__(
        self,
        orders: tuple[Window, ...] = ORDER_WINDOWS,
        reads: tuple[Window, ...] = READ_WINDOWS,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        folder: Path | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._now_s = now_s
        self._sleep = sleep
        self._reads = reads
        self._folder = folder
        self._wall_ns = wall_ns
        self._orders = _Account(orders, self._spent("orders", orders))
        self._orders.learn(now_s())
        self._accounts: dict[str, _Account] = {}

    def _spent(self, name: str, windows: tuple[Window, ...]) -> Spent | None:
        if self._folder is None:
            return None
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        return Spent(self._folder / f"{plain}.spent", max(w.limit for w in windows), self._wall_ns)

    def _account(self, name: str) -> _Account:
        if not name:
            return self._orders
        found = self._accounts.get(name)
        if found is None:
            found = self._accounts[name] = _Account(self._reads, self._spent(name, self._reads))
        return found

    async def acquire(
        self,
        account: str = "",
        lane: Lane = Lane.NORMAL,
        max_wait_s: float | None = None,
        weight: int = 1,
    ) -> None:
        """Wait until the request fits, and count it.

        Args:
            account: Read endpoint, or empty for an order write.
            lane: Who asks.
            max_wait_s: Refuse if the wait is longer; ``None`` waits as long as it takes.
            weight: Orders in the request: a multi-order call counts each of its lines (`upstox.md` 6.1).

        Raises:
            RateLimited: The wait would be longer than ``max_wait_s``, or so many orders never fit into one second.
                Nothing is counted.
        """
        mine = self._account(account)
        most = min(window.allowed(lane) for window in mine.windows)
        if weight > most:
            raise RateLimited(
                f"not sent: {weight} orders at once are more than may leave in a second",
                remedy=f"Send at most {most} at once",
            )
        deadline = None if max_wait_s is None else self._now_s() + max_wait_s
        ticket = object()
        mine.queues[lane].append(ticket)
        try:
            while True:
                now = self._now_s()
                with mine.shared(now):
                    wait = mine.wait_s(lane, now, weight)
                    if wait <= 0 and mine.is_next(lane, ticket):
                        mine.take(weight, now)
                        return
                if deadline is not None and now + max(wait, 0.0) >= deadline:
                    raise self._used_up(mine, wait, now)
                await self._sleep(max(wait, _LOOK_S))
        finally:
            mine.queues[lane].remove(ticket)

    def take_now(self, account: str = "", lane: Lane = Lane.NORMAL) -> bool:
        """Count one request if it may leave at once: it fits, and nobody who goes first is waiting."""
        mine = self._account(account)
        if any(mine.queues[: lane + 1]):
            return False
        now = self._now_s()
        with mine.shared(now):
            if mine.wait_s(lane, now) > 0:
                return False
            mine.take(1, now)
            return True

    def _used_up(self, mine: _Account, wait: float, now: float) -> RateLimited:
        if now < mine.paused_until_s:
            words = "not sent: the broker said that we are too fast, and ordinary requests pause"
        else:
            words = "not sent: our own limit on requests is used up"
        return RateLimited(
            words, remedy=f"Next slot in {max(wait, 0.1):.1f} s; the broker suspends those who go over"
        )

    def refused(self, account: str = "", retry_after_s: float = 0.0) -> float:
        """The broker has answered 429: let ordinary requests of that account pause.

        Args:
            account: Read endpoint, or empty for order writes.
            retry_after_s: When the broker says to come again, which it usually does not; its word is taken.

        Returns:
            Seconds of the pause.
        """
        mine = self._account(account)
        now = self._now_s()
        if now < mine.paused_until_s:
            return mine.paused_until_s - now  # another answer to the same burst
        if retry_after_s > 0:
            pause_s = min(retry_after_s, LONGEST_PAUSE_S)
        else:
            again = now - mine.paused_until_s < mine.windows[-1].seconds and mine.strikes
            mine.strikes = mine.strikes + 1 if again else 1
            pause_s = min(PAUSE_S * 2 ** (mine.strikes - 1), LONGEST_PAUSE_S)
        mine.paused_until_s = now + pause_s
        if mine.spent is not None:
            with mine.spent.locked():
                mine.spent.set_pause(pause_s, mine.strikes)
        log.warning(
            "the broker says that we send too much (%s): ordinary requests pause for %.0f s, %s",
            account or "orders",
            pause_s,
            "reads of the account are late meanwhile" if account else "exits and cancels go one a second",
        )
        return pause_s

    def budget(self, account: str = "") -> Budget:
        """State of one account, for the screen."""
        mine = self._accounts.get(account) if account else self._orders
        if mine is None:
            mine = _Account(self._reads)
        now = self._now_s()
        with mine.shared(now):
            wait = mine.wait_s(Lane.NORMAL, now)
        uses = tuple(
            WindowUse(
                window.seconds,
                mine.inside(window.seconds, now),
                window.normal,
                window.limit - window.normal,
            )
            for window in mine.windows
        )
        waiting = tuple(len(queue) for queue in mine.queues)
        return Budget(account, uses, waiting, max(0.0, wait), max(0.0, mine.paused_until_s - now))

    def budgets(self) -> tuple[Budget, ...]:
        """State of the order account, then of every read endpoint that was used, the fullest first."""
        reads = [self.budget(name) for name in self._accounts]
        reads.sort(key=lambda one: (-max(use.used / use.allowed for use in one.windows), one.account))
        return (self.budget(), *reads)

    def used(self, account: str = "") -> tuple[tuple[int, int], ...]:
        """Requests used and the limit, per window."""
        return tuple((use.used, use.allowed + use.reserve) for use in self.budget(account).windows)

    def close(self) -> None:
        """Close the files."""
        for account in (self._orders, *self._accounts.values()):
            if account.spent is not None:
                account.spent.close()
