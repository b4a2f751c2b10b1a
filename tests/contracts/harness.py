"""What a broker must be given to be put through the contract suite.

A harness owns one broker, the market it trades in, and the way time passes. The suite never asks which
broker it is: it sets books, prints trades, submits commands and waits for events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from tradetui.domain.events import (
    AccountSnapshot,
    Event,
    FillEvent,
    GttUpdate,
    OrderUpdate,
    RequestAccepted,
)
from tradetui.domain.gtt import GttRequest, GttStrategy, RuleState, RuleStatus
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderRequest, OrderStatus
from tradetui.domain.requests import Command, PlaceGtt, PlaceOrder, Reconcile
from tradetui.ports import Broker

T = TypeVar("T", bound=Event)
Level = tuple[float, int]
"""(rupees, units)."""


class Harness(ABC):
    """See the module's docstring.

    Attributes:
        instruments: At least one cash share of lot 1 and one option, all tradable now, in a normal session.
        events: Everything the broker reported, in order; grows while time passes.
    """

    instruments: Sequence[Instrument]
    events: list[Event]
    broker: Broker
    _tags: int = 0

    @abstractmethod
    def now_ns(self) -> int:
        """Engine time now, UTC ns."""

    @abstractmethod
    async def start(self) -> None:
        """Bring the broker up; it reports into `events`."""

    @abstractmethod
    async def stop(self) -> None:
        """Close the broker and whatever stands behind it."""

    @abstractmethod
    async def set_book(self, key: str, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Replace what the rest of the market shows."""

    @abstractmethod
    async def print_trade(self, key: str, price: float, qty: int) -> None:
        """Let the rest of the market trade; moves the last traded price."""

    @abstractmethod
    async def elsewhere(self, request: OrderRequest) -> str:
        """Somebody places an order on the same account from elsewhere, without a label; returns its id.

        Skips the test where the account cannot be reached from elsewhere.
        """

    @abstractmethod
    async def close_market(self) -> None:
        """Let the session end: from now on orders wait for the next one."""

    @abstractmethod
    def lose_answer(self, path: str) -> None:
        """The next answer to a call with this in its path gets lost, and what was asked is done all the same.

        Skips the test where nothing can get lost on the way.
        """

    @abstractmethod
    async def advance(self, seconds: float) -> None:
        """Let engine time pass."""

    @abstractmethod
    async def until(self, predicate: Callable[[list[Event]], bool]) -> None:
        """Let time pass until ``predicate(events)`` holds; fail when it does not within a fair time."""

    def submit(self, command: Command) -> None:
        """Hand a command to the broker."""
        self.broker.submit(command)

    def place(self, request: OrderRequest) -> str:
        """Submit a new order under a fresh tag, and return the tag."""
        self._tags += 1
        tag = f"contract-{self._tags}"
        self.submit(PlaceOrder(self.now_ns(), tag, request))
        return tag

    def of(self, kind: type[T]) -> list[T]:
        """Events of one type so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def updates(self, tag: str) -> list[OrderUpdate]:
        """Statements about one order, found by tag or by the broker id that some statement tied to it."""
        ids = {update.broker_id for update in self.of(OrderUpdate) if update.tag == tag}
        return [u for u in self.of(OrderUpdate) if u.tag == tag or u.broker_id in ids]

    def fills(self, tag: str) -> list[tuple[int, float]]:
        """(units, rupees) of the distinct trades of one order."""
        ids = {update.broker_id for update in self.updates(tag)}
        seen = {e.fill.trade_id: e.fill for e in self.of(FillEvent) if e.fill.broker_id in ids}
        return [(fill.qty, fill.price / 10_000) for fill in seen.values()]

    async def until_status(self, tag: str, status: OrderStatus) -> OrderUpdate:
        """Wait until the broker says that an order has a status; returns that statement."""
        await self.until(lambda _: any(update.status is status for update in self.updates(tag)))
        return next(update for update in reversed(self.updates(tag)) if update.status is status)

    async def place_gtt(self, request: GttRequest) -> tuple[str, str]:
        """Submit a new GTT under a fresh tag; its tag and the broker's id."""
        self._tags += 1
        tag = f"contract-{self._tags}"
        self.submit(PlaceGtt(self.now_ns(), tag, request))
        await self.until(lambda _: any(e.tag == tag for e in self.of(RequestAccepted)))
        (accepted,) = [e for e in self.of(RequestAccepted) if e.tag == tag]
        assert accepted.kind == "gtt place"
        return tag, accepted.broker_id

    def gtt(self, gtt_id: str) -> GttUpdate | None:
        """The newest statement about a GTT, pushed or read."""
        said: GttUpdate | None = None
        for event in self.events:
            if isinstance(event, GttUpdate) and event.gtt_id == gtt_id:
                said = event
            elif isinstance(event, AccountSnapshot) and event.gtts is not None:
                said = next((one for one in event.gtts if one.gtt_id == gtt_id), said)
        return said

    def rules(self, gtt_id: str) -> dict[GttStrategy, RuleState]:
        """The newest states of a GTT's rules."""
        said = self.gtt(gtt_id)
        return {one.rule.strategy: one for one in said.rules} if said else {}

    async def until_rule(self, gtt_id: str, strategy: GttStrategy, *wanted: RuleStatus) -> RuleState:
        """Wait until a rule has one of these statuses."""
        await self.until(lambda _: strategy in (r := self.rules(gtt_id)) and r[strategy].status in wanted)
        return self.rules(gtt_id)[strategy]

    def by_id(self, broker_id: str) -> list[OrderUpdate]:
        """Statements about one order, pushed or read, by the broker's id."""
        out: list[OrderUpdate] = []
        for event in self.events:
            if isinstance(event, OrderUpdate) and event.broker_id == broker_id:
                out.append(event)
            elif isinstance(event, AccountSnapshot):
                out += [one for one in event.orders if one.broker_id == broker_id]
        return out

    async def snapshot(self, *, gtts: bool = False) -> AccountSnapshot:
        """Ask for the account and wait for it."""
        before = len(self.of(AccountSnapshot))
        self.submit(Reconcile(self.now_ns(), gtts=gtts))
        await self.until(lambda _: len(self.of(AccountSnapshot)) > before)
        return self.of(AccountSnapshot)[-1]

    async def normal_market(self, key: str, last: float = 100.0) -> None:
        """Five levels of 100 units a side, 0.1 apart around ``last``, and a trade at ``last``."""
        await self.set_book(
            key,
            [(round(last - 0.05 - 0.1 * i, 2), 100) for i in range(5)],
            [(round(last + 0.05 + 0.1 * i, 2), 100) for i in range(5)],
        )
        await self.print_trade(key, last, 1)


def rupees(value: float) -> int:
    """Shorthand for prices in expectations."""
    return to_price(value)
