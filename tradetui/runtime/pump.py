"""The inbox: two lanes, one order, and the rule that the journal comes before the wire.

Account events go before market events that wait. The broker observes a tick before the engine does, so
that resting paper orders fill first. Everything here is synchronous: an event that arrives is worked off
before the callback that brought it returns, and events that arise meanwhile wait their turn in the lanes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import get_args

from tradetui.domain.errors import StorageError
from tradetui.domain.events import AccountEvent, Event, JournalEvent, RequestRefused, TickEvent, TimeEvent
from tradetui.domain.records import Record
from tradetui.domain.requests import Command, ModifyOrder, PlaceOrder
from tradetui.engine import Engine, Outcome
from tradetui.ports import Broker
from tradetui.wiring.parts import JournalPort

log = logging.getLogger(__name__)

_ACCOUNT = get_args(AccountEvent)


class Pump:
    """Works events off in order.

    Args:
        engine: Takes events, gives outcomes.
        broker: Takes commands; observes the market first. ``None`` replays a recorded inbox: the commands
            go nowhere, because what the broker said to them is in the recording.
        journal: Where records go before anything that depends on them leaves.
        record: Called with every event in the order of processing, before it is processed.
        heard: Called with every event and its outcome, after commands were handed over.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker | None,
        journal: JournalPort,
        record: Callable[[Event], None] | None = None,
        heard: Callable[[Event, Outcome], None] | None = None,
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._journal = journal
        self._record = record
        self._heard = heard
        self._account: deque[Event] = deque()
        self._market: deque[Event] = deque()
        self._busy = False
        self._backlog: deque[Record] = deque()
        self.journal_error: StorageError | None = None
        """Why the journal cannot be written, while it cannot."""

    def take(self, event: Event) -> None:
        """Put an event into its lane and, unless one is being worked on right now, work everything off."""
        (self._account if isinstance(event, _ACCOUNT) else self._market).append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._account or self._market:
                if self._account:
                    self._work(self._account.popleft())
                else:
                    self._work_market(self._market.popleft())
        finally:
            self._busy = False

    def _work_market(self, event: Event) -> None:
        if self._broker is not None and isinstance(event, TickEvent | TimeEvent):
            self._broker.observe(event)
            while self._account:
                self._work(self._account.popleft())
        self._work(event)

    def _work(self, event: Event) -> None:
        if self._record is not None:
            self._record(event)
        outcome = self._engine.step(event)
        if outcome.records:
            self._write(outcome.records)
        if outcome.commands:
            self._send(outcome.commands, event.t_ns)
        if self._heard is not None:
            self._heard(event, outcome)

    def _write(self, records: list[Record]) -> None:
        self._backlog.extend(records)
        if self.journal_error is None:
            self._write_backlog()

    def _write_backlog(self) -> None:
        try:
            while self._backlog:
                self._journal.append(self._backlog[0])
                self._backlog.popleft()
        except StorageError as error:
            self._journal_failed(error)

    def _send(self, commands: list[Command], t_ns: int) -> None:
        if self.journal_error is None:
            try:
                self._journal.sync()
            except StorageError as error:
                self._journal_failed(error)
        if self._broker is None:
            return
        for command in commands:
            if self.journal_error is not None and isinstance(command, PlaceOrder | ModifyOrder):
                # Without a durable intent the order must not exist. Cancels and reads still go.
                kind = "place" if isinstance(command, PlaceOrder) else "modify"
                words = f"not sent: {self.journal_error.message}"
                self._account.append(RequestRefused(t_ns, kind, command.tag, "JOURNAL", words))
            else:
                self._broker.submit(command)

    def _journal_failed(self, error: StorageError) -> None:
        log.error("the journal cannot be written, no order will be sent: %s", error)
        self.journal_error = error
        self.take(JournalEvent(self._engine.now_ns, error.message))

    def flush(self) -> None:
        """Make what was written durable; after a failure, see whether writing works again."""
        failed, self.journal_error = self.journal_error, None
        self._write_backlog()
        if self.journal_error is None:
            try:
                self._journal.sync()
            except StorageError as error:
                self._journal_failed(error)
        if failed is not None and self.journal_error is None:
            log.warning("the journal can be written again")
            self.take(JournalEvent(self._engine.now_ns, ""))
