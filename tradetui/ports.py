"""Every place where the outside world plugs in, on one page: `Clock`, `Feed`, `Broker`, `Inquiries`.

Each port has a handful of implementations, chosen in `wiring.py`. All are used on the runtime's own
asyncio loop; none is called from the screen's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from tradetui.domain.events import Event, TickEvent, TimeEvent
from tradetui.domain.inquiry import ChargesAnswer, MarginAnswer, SegmentLock, StaticIp
from tradetui.domain.money import Price
from tradetui.domain.order import OrderRequest, Product, Side
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
    FULL_D30 = "full_d30"
    """As full, with thirty levels; accounts with the paid plan only."""


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


@runtime_checkable
class PlannedFeed(Feed, Protocol):
    """A feed whose broker limits what may be streamed, and that plans for it."""

    def follow(self, wanted: Mapping[str, FeedMode]) -> None:
        """Stream exactly these, the most important first, as far as the limits allow."""
        ...

    def allows(self, mode: FeedMode) -> bool:
        """Whether the account may use a mode at all."""
        ...

    def silent_keys(self, after_s: float) -> tuple[str, ...]:
        """Keys subscribed at least so many seconds ago that were never answered."""
        ...

    def deep_book(
        self, key: str
    ) -> tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]] | None:
        """Bids and asks (rupees, units), best first, of an instrument that streams with thirty levels."""
        ...

    def key_use(self) -> Sequence[tuple[str, int, int]]:
        """Mode, instruments streamed in it, and how many may be; the richest mode first."""
        ...

    def over_limit_keys(self) -> tuple[str, ...]:
        """Keys for which the limits leave no room."""
        ...

    def reconnect(self, reason: str) -> None:
        """Drop the line and make it anew."""
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


class Inquiries(Protocol):
    """Questions about an account that people ask. The engine never waits for an answer.

    Every method raises `TradeTuiError` in words when there is none.
    """

    async def margin(self, requests: Sequence[OrderRequest]) -> MarginAnswer:
        """What orders would block together."""
        ...

    async def charges(
        self, instrument_key: str, qty: int, product: Product, side: Side, price: Price
    ) -> ChargesAnswer:
        """What one executed order would cost."""
        ...

    async def kill_switch(self) -> tuple[SegmentLock, ...]:
        """Which segments the account's own kill switch at the broker has closed; empty where there is none."""
        ...

    async def set_kill_switch(self, segment: str, on: bool) -> tuple[SegmentLock, ...]:
        """Close a segment at the broker, or open it again. Closing holds for at least 12 hours."""
        ...

    async def static_ip(self) -> StaticIp:
        """The addresses from which the broker takes orders."""
        ...
