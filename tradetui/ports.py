"""Every place where the outside world plugs in, on one page: `Clock`, `Feed`, `Broker`.

Each port has a handful of implementations, chosen in `wiring.py`. All are used on the runtime's own
asyncio loop; none is called from the screen's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from tradetui.domain.events import Event, TickEvent, TimeEvent
from tradetui.domain.requests import Command

EventSink = Callable[[Event], None]
"""Where feeds and brokers put events: synchronous, never blocks, called on the runtime's loop only."""


class FeedMode(StrEnum):
    """How much of an instrument to stream."""

    LTPC = "ltpc"
    """Last price, its time and quantity, previous close."""
    FULL = "full"
    """Everything: five levels, Greeks, session and minute bars."""
    OPTION_GREEKS = "option_greeks"
    """Last price, best level, Greeks."""


class Clock(Protocol):
    """The only source of time outside event fields."""

    def now_ns(self) -> int:
        """Engine time now, UTC ns."""
        ...

    async def sleep_until(self, t_ns: int) -> None:
        """Return when engine time has reached ``t_ns``."""
        ...


class Feed(Protocol):
    """A source of market events. Owns subscribe, reconnect and staleness of the stream itself."""

    async def run(self, sink: EventSink) -> None:
        """Stream into ``sink`` until cancelled or until the world ends (`FeedState.ENDED`).

        Raises:
            AuthError: The token was refused; reconnecting is no use.
        """
        ...

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None:
        """Add instruments or change their mode. Works before and while running; sends only the difference."""
        ...

    def unsubscribe(self, keys: Iterable[str]) -> None:
        """Drop instruments."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Counts since start: ``frames``, ``ticks``, ``dropped``, ``reconnects``, ``bad_frames``."""
        ...


class Broker(Protocol):
    """An account. Outcomes never come as return values: they arrive as events."""

    @property
    def name(self) -> str:
        """Short name for screen and journal: ``paper``, ``upstox``."""
        ...

    @property
    def live(self) -> bool:
        """Whether orders reach a real exchange. Derived from the actual base URL, never from a flag."""
        ...

    async def start(self, sink: EventSink) -> None:
        """Connect and put one `AccountSnapshot` into ``sink`` before returning.

        Raises:
            AuthError: The token was refused.
            TransportError: The broker cannot be reached.
        """
        ...

    def submit(self, command: Command) -> None:
        """Take a command and return at once. The journal already holds what it depends on."""
        ...

    def observe(self, event: TickEvent | TimeEvent) -> None:
        """See a market event before the engine does; only the paper broker cares."""
        ...

    async def close(self) -> None:
        """Finish what is in flight (bounded), then disconnect."""
        ...
