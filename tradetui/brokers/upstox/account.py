"""Reads the account by REST: order book, trades, positions, holdings, funds, GTTs, locks (`upstox.md` 2.6 to 2.12).

What changes seldom is not read with every snapshot: each part has its own period below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import Reply, UpstoxApi
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, TradeTuiError, TransportError
from tradetui.domain.events import AccountSnapshot, BrokerPosition, Evidence, GttUpdate, Holding, OrderUpdate
from tradetui.domain.money import Money
from tradetui.domain.order import Fill
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

T = TypeVar("T")

_READ_WAIT_S: Final = 20.0
"""Longest wait for our own limit on requests while the program runs: the next reading comes soon enough."""
_HOLDINGS_EVERY_NS: Final = 120 * 1_000_000_000
_GTTS_EVERY_NS: Final = 30 * 1_000_000_000
"""Without a GTT of ours at work; with one, the book is read with every snapshot."""
_LOCKS_EVERY_NS: Final = 60 * 1_000_000_000
_NO_SUCH_CALL: Final = frozenset({"UDAPI10000", "UDAPI100060"})


@dataclass(slots=True)
class _Marks:
    """When what was read last, engine time in ns, and what need not be asked for again."""

    holdings_ns: int = 0
    gtts_ns: int = 0
    gtts_work: bool = False
    gtts_wanted: bool = True
    locks_ns: int = 0
    missing: set[str] = field(default_factory=set)
    mtf_wanted: bool = True
    funds_v3: bool = True


class AccountReader:
    """Reads the account, and remembers which order has which tag.

    Args:
        api: REST interface.
        now_ns: Engine time.
    """

    def __init__(self, api: UpstoxApi, now_ns: Callable[[], int]) -> None:
        self._api = api
        self._now_ns = now_ns
        self._marks = _Marks()
        self.tag_of: dict[str, str] = {}
        """Our tag by the broker's order id."""
        self._holder = ""
        self.patience_s = _READ_WAIT_S
        """Longest wait for our own limit on requests, seconds."""
        self.may_sell_holdings: bool | None = None
        """Delivery sales need no further authorisation (DDPI or POA); ``None`` when not known."""

    async def profile(self) -> Mapping[str, Any]:
        """Who the account belongs to, and what it may do.

        Raises:
            TradeTuiError: It could not be read.
        """
        profile = profile_of((await self._api.call(ep.PROFILE)).data)
        self._holder = clean(profile.get("user_id"), 60)
        self.may_sell_holdings = parse.may_sell_holdings(profile)
        self._marks.missing.clear()
        return profile

    def holdings_changed(self) -> None:
        """Read the holdings next time."""
        self._marks.holdings_ns = 0

    def gtts_changed(self) -> None:
        """Read the GTT book next time."""
        self._marks.gtts_wanted = True

    async def snapshot(self, asked_ns: int) -> AccountSnapshot:
        """The whole account. Order book and trades must be readable; what else fails is left out.

        Args:
            asked_ns: Engine time from which on orders may rightly be missing.

        Raises:
            TradeTuiError: Order book or trades could not be read.
        """
        began, marks = self._now_ns(), self._marks
        holdings = (
            partial(self._holdings, began) if _due(began, marks.holdings_ns, _HOLDINGS_EVERY_NS) else _nothing
        )
        gtts_due = marks.gtts_wanted or marks.gtts_work or _due(began, marks.gtts_ns, _GTTS_EVERY_NS)
        gtts = partial(self._gtts, began) if gtts_due else _nothing
        locks = partial(self._locks, began) if _due(began, marks.locks_ns, _LOCKS_EVERY_NS) else _nothing
        # The book first and the trades after it: a fill in between shows as a trade too many, which is booked,
        # never as one too few.
        orders, odd = await self._book()
        fills, positions, held, funds, rules, locked = await asyncio.gather(
            self.fills(),
            self._optional(self.positions, "positions"),
            self._optional(holdings, "holdings"),
            self._optional(self._funds, "funds"),
            self._optional(gtts, "GTTs"),
            self._optional(locks, "the kill switch"),
        )
        available, used = funds if funds is not None else (None, None)
        return AccountSnapshot(
            t_ns=self._now_ns(),
            asked_ns=asked_ns,
            orders=tuple(orders),
            fills=tuple(fills),
            positions=None if positions is None else tuple(positions),
            holdings=None if held is None else tuple(held),
            available=available,
            used=used,
            gtts=None if rules is None else tuple(rules[0]),
            locked_segments=locked,
            may_sell_holdings=self.may_sell_holdings,
            odd_rows=(*odd, *(rules[1] if rules else ())),
        )

    async def orders(self) -> list[OrderUpdate]:
        """Today's order book."""
        return (await self._book())[0]

    def update_of(self, row: Mapping[str, Any], evidence: Evidence) -> OrderUpdate | None:
        """A row or a push about an order, as a statement of now; None when it has no order id."""
        return parse.order_update(row, self._now_ns(), evidence, self._holder)

    async def _book(self) -> tuple[list[OrderUpdate], list[str]]:
        """Today's order book, and the text of the rows in it that make no sense."""
        data = (await self._read(ep.ORDER_BOOK)).data
        rows = parse.rows_of(data)
        updates, odd = parse.each_and_odd(rows, lambda row: self.update_of(row, Evidence.POLL), "order row")
        if isinstance(data, list):
            odd += [clean(row, 200) for row in data if not isinstance(row, Mapping)]
        self.remember(updates)
        return updates, odd

    async def fills(self) -> list[Fill]:
        """Today's trades."""
        return self._fills_in(await self._read(ep.TRADES))

    async def fills_of(self, broker_id: str) -> list[Fill]:
        """The trades of one order."""
        return self._fills_in(await self._read(ep.ORDER_TRADES, ("order_id", broker_id)))

    async def positions(self) -> list[BrokerPosition]:
        """Today's positions, those on margin funding included."""
        rows = parse.rows_of((await self._read(ep.POSITIONS)).data)
        if self._marks.mtf_wanted:
            try:
                rows += parse.rows_of((await self._read(ep.MTF_POSITIONS)).data)
            except RateLimited:
                raise
            except BrokerError as error:
                # Accounts without margin funding get a refusal; there is nothing to ask for again.
                log.info("positions on margin funding are not read: %s", error.message)
                self._marks.mtf_wanted = False
        found = parse.each(rows, parse.position, "position row")
        # One row for each instrument and product, should both lists name it.
        return list({(item.instrument_key, item.product): item for item in found}.values())

    async def by_tag(self, tag: str, broker_id: str = "") -> list[OrderUpdate]:
        """Every order under a tag or under a broker id, from the book and from the order's history.

        Raises:
            TradeTuiError: One of the two could not be read whole, so that finding nothing would prove nothing.
        """
        updates, odd = await self._book()
        book = [one for one in updates if one.tag == tag or (broker_id and one.broker_id == broker_id)]
        steps: list[OrderUpdate] = []
        for query in (("tag", tag), ("order_id", broker_id)):
            if not query[1] or (query[0] == "tag" and broker_id and tag.startswith("x-")):
                continue  # a label that we made up ourselves was never sent
            try:
                rows = parse.rows_of((await self._read(ep.ORDER_HISTORY, query)).data)
            except BrokerError as error:
                if error.code != "UDAPI100010":  # not found
                    raise
                rows = []
            some, strange = parse.each_and_odd(
                rows, lambda row: self.update_of(row, Evidence.POLL), "history row"
            )
            steps, odd = steps + some, odd + strange
        self.remember(steps)
        # In the order of time, whichever way the broker lists them: a later step replaces an earlier one.
        steps.sort(key=lambda step: (step.exchange_time_ns, step.status.terminal))
        found = {step.broker_id: step for step in steps}
        found.update({update.broker_id: update for update in book})
        if not found and odd:
            raise TransportError("rows that could not be read may be the order that is looked for")
        return list(found.values())

    def remember(self, updates: list[OrderUpdate]) -> None:
        """Note which broker id has which tag."""
        for update in updates:
            if update.tag:
                self.tag_of[update.broker_id] = update.tag

    def _fills_in(self, reply: Reply) -> list[Fill]:
        now = self._now_ns()
        rows = parse.rows_of(reply.data)
        return parse.each(rows, lambda row: parse.fill(row, now, self.tag_of), "trade row")

    async def _holdings(self, began_ns: int) -> list[Holding]:
        rows = parse.rows_of((await self._read(ep.HOLDINGS)).data)
        self._marks.holdings_ns = began_ns
        return parse.each(rows, parse.holding, "holding row")

    async def _gtts(self, began_ns: int) -> tuple[list[GttUpdate], list[str]] | None:
        self._marks.gtts_wanted = False
        try:
            data = await self._supported(ep.GTT_BOOK)
            if data is None:
                return None
            rows = parse.rows_of(data)
            now = self._now_ns()
            found, odd = parse.each_and_odd(
                rows, lambda row: parse.gtt_update(row, now, Evidence.POLL), "GTT row"
            )
        except TradeTuiError:
            self._marks.gtts_wanted = True
            raise
        self._marks.gtts_ns = began_ns
        self._marks.gtts_work = any(not s.status.terminal for one in found for s in one.rules)
        return found, odd

    async def _locks(self, began_ns: int) -> tuple[str, ...] | None:
        data = await self._supported(ep.KILL_SWITCH)
        self._marks.locks_ns = began_ns
        return None if data is None else parse.locked_segments(parse.rows_of(data))

    async def _supported(self, endpoint: ep.Endpoint) -> object | None:
        """The answer of a call that a host may lack (the sandbox does); ``None`` then, and it is not asked again."""
        if endpoint.path in self._marks.missing:
            return None
        try:
            data = (await self._read(endpoint)).data
        except BrokerError as error:
            if error.status != 404 and error.code not in _NO_SUCH_CALL:
                raise
            log.info("%s is not served here", endpoint.path)
            self._marks.missing.add(endpoint.path)
            return None
        return [] if data is None else data

    async def _funds(self) -> tuple[Money, Money] | None:
        if self._marks.funds_v3:
            try:
                funds = parse.funds_v3((await self._read(ep.FUNDS)).data)
            except RateLimited:
                raise
            except BrokerError as error:
                if error.status != 404 and error.code not in _NO_SUCH_CALL:
                    raise
                funds = None
            if funds is not None:
                return funds
            self._marks.funds_v3 = False
        return parse.funds_v2((await self._read(ep.FUNDS_V2)).data)

    async def _read(self, endpoint: ep.Endpoint, *query: tuple[str, str]) -> Reply:
        return await self._api.call(endpoint, query=query, max_wait_s=self.patience_s)

    async def _optional(self, read: Callable[[], Awaitable[T | None]], what: str) -> T | None:
        try:
            return await read()
        except AuthError:
            raise
        except TradeTuiError as error:
            log.warning("%s could not be read: %s", what, error.message)
            return None


async def _nothing() -> None:
    return None


def _due(now_ns: int, last_ns: int, every_ns: int) -> bool:
    """Whether something that was last read then, or never (0), is to be read now."""
    return not last_ns or now_ns - last_ns >= every_ns


def profile_of(data: object) -> Mapping[str, Any]:
    """The profile's fields; empty when the broker said nothing."""
    return data if isinstance(data, Mapping) else {}
