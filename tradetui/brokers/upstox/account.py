"""Reads the account by REST: order book, trades, positions, holdings, funds (`upstox.md` 2.7 to 2.9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import Reply, UpstoxApi
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, TradeTuiError
from tradetui.domain.events import AccountSnapshot, BrokerPosition, Evidence, Holding, OrderUpdate
from tradetui.domain.money import Money
from tradetui.domain.order import Fill

log = logging.getLogger(__name__)

T = TypeVar("T")

_READ_WAIT_S: Final = 20.0
_HOLDINGS_EVERY_NS: Final = 120 * 1_000_000_000


@dataclass(slots=True)
class _Marks:
    """When what was read last, engine time in ns."""

    holdings_ns: int = 0
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

    def holdings_changed(self) -> None:
        """Read the holdings next time."""
        self._marks.holdings_ns = 0

    async def snapshot(self, asked_ns: int) -> AccountSnapshot:
        """The whole account. Order book and trades must be readable; what else fails is left out.

        Args:
            asked_ns: Engine time from which on orders may rightly be missing.

        Raises:
            TradeTuiError: Order book or trades could not be read.
        """
        began = self._now_ns()
        holdings_due = began - self._marks.holdings_ns >= _HOLDINGS_EVERY_NS or not self._marks.holdings_ns
        # The book first and the trades after it: a fill in between shows as a trade too many, which is booked,
        # never as one too few.
        orders = await self.orders()
        fills, positions, holdings, funds = await asyncio.gather(
            self.fills(),
            self._optional(self.positions, "positions"),
            self._optional(partial(self._holdings, began) if holdings_due else _nothing, "holdings"),
            self._optional(self._funds, "funds"),
        )
        available, used = funds if funds is not None else (None, None)
        return AccountSnapshot(
            t_ns=self._now_ns(),
            asked_ns=asked_ns,
            orders=tuple(orders),
            fills=tuple(fills),
            positions=None if positions is None else tuple(positions),
            holdings=None if holdings is None else tuple(holdings),
            available=available,
            used=used,
        )

    async def orders(self) -> list[OrderUpdate]:
        """Today's order book."""
        rows = parse.rows_of((await self._read(ep.ORDER_BOOK)).data)
        now = self._now_ns()
        updates = parse.each(rows, lambda row: parse.order_update(row, now, Evidence.POLL), "order row")
        self.remember(updates)
        return updates

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

    async def by_tag(self, tag: str) -> list[OrderUpdate]:
        """Every order under a tag, from the book and from the tag's history.

        Raises:
            TradeTuiError: One of the two could not be read, so that finding nothing would prove nothing.
        """
        book = [update for update in await self.orders() if update.tag == tag]
        try:
            rows = parse.rows_of((await self._read(ep.ORDER_HISTORY, ("tag", tag))).data)
        except BrokerError as error:
            if error.code != "UDAPI100010":  # not found
                raise
            rows = []
        now = self._now_ns()
        steps = parse.each(rows, lambda row: parse.order_update(row, now, Evidence.POLL), "history row")
        self.remember(steps)
        found = {step.broker_id: step for step in steps}  # a later step replaces an earlier one
        found.update({update.broker_id: update for update in book})
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

    async def _funds(self) -> tuple[Money, Money] | None:
        if self._marks.funds_v3:
            try:
                funds = parse.funds_v3((await self._read(ep.FUNDS)).data)
            except RateLimited:
                raise
            except BrokerError as error:
                if error.status != 404 and error.code not in ("UDAPI10000", "UDAPI100060"):
                    raise
                funds = None
            if funds is not None:
                return funds
            self._marks.funds_v3 = False
        return parse.funds_v2((await self._read(ep.FUNDS_V2)).data)

    async def _read(self, endpoint: ep.Endpoint, *query: tuple[str, str]) -> Reply:
        return await self._api.call(endpoint, query=query, max_wait_s=_READ_WAIT_S)

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


def profile_of(data: object) -> Mapping[str, Any]:
    """The profile's fields; empty when the broker said nothing."""
    return data if isinstance(data, Mapping) else {}
