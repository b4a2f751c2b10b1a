"""Trades of orders that pushes tell of: pushes carry no trade ids, so the trades are read by REST."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from tradetui.brokers.upstox.account import AccountReader
from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import OrderUpdate
from tradetui.domain.order import Fill

log = logging.getLogger(__name__)

_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between looks for a fill that the stream told of and the trade list does not show yet."""


class FillReader:
    """Reads an order's trades until they add up to what was pushed, and reports each once.

    Args:
        reader: Reads the account.
        report: Takes each new trade.
        spawn: Starts a task.
    """

    def __init__(
        self,
        reader: AccountReader,
        report: Callable[[Fill], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._reader = reader
        self._report = report
        self._spawn = spawn
        self._targets: dict[str, int] = {}
        self._booked: dict[str, dict[str, int]] = {}
        self.moves = 0
        """How often a push or a probe told of units that had not been reported."""

    def reported(self, fills: Iterable[Fill]) -> None:
        """These trades have been reported by another road (a snapshot)."""
        for fill in fills:
            self._booked.setdefault(fill.broker_id, {})[fill.trade_id] = fill.qty

    def want(self, update: OrderUpdate) -> None:
        """Read an order's trades if it has more fills than were reported."""
        target, broker_id = update.filled_qty or 0, update.broker_id
        if target <= max(self._targets.get(broker_id, 0), self._reported(broker_id)):
            return
        self.moves += 1
        reading = broker_id in self._targets
        self._targets[broker_id] = target
        if not reading:
            self._spawn(self._fetch(broker_id))

    def _reported(self, broker_id: str) -> int:
        return sum(self._booked.get(broker_id, {}).values())

    async def _fetch(self, broker_id: str) -> None:
        """Read trades until they add up to what was pushed; at last leave it to the reconciliation."""
        try:
            for pause_s in (*_PAUSES_S, 0.0):
                try:
                    fills = await self._reader.fills_of(broker_id)
                except TradeTuiError as error:
                    log.warning("trades of order %s could not be read: %s", broker_id, error.message)
                    fills = []
                booked = self._booked.setdefault(broker_id, {})
                for fill in fills:
                    if fill.trade_id not in booked:
                        booked[fill.trade_id] = fill.qty
                        self._report(fill)
                if self._reported(broker_id) >= self._targets[broker_id]:
                    return
                await asyncio.sleep(pause_s)
            log.error("the broker shows fewer trades of order %s than it reported", broker_id)
        finally:
            del self._targets[broker_id]
