"""The inbox: two lanes, one order, and the rule that the journal comes before the wire.

Account events go before market events that wait. The broker observes a tick before the engine does, so
that resting paper orders fill first. Everything here is synchronous: an event that arrives is worked off
before the callback that brought it returns, and events that arise meanwhile wait their turn in the lanes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, get_args

from tradetui.domain.errors import StorageError
from tradetui.domain.events import AccountEvent, Event, JournalEvent, RequestRefused, TickEvent, TimeEvent
from tradetui.domain.order import EXIT_SOURCE
from tradetui.domain.records import Record
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    Command,
    ConvertPosition,
    ModifyGtt,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
    Reconcile,
)
from tradetui.engine import Engine, Outcome
from tradetui.ports import Broker
from tradetui.wiring.parts import JournalPort

log = logging.getLogger(__name__)

_ACCOUNT = get_args(AccountEvent)
_WRITES: Final[dict[type, str]] = {
    PlaceOrder: "place",
    ModifyOrder: "modify",
    PlaceGtt: "gtt place",
    ModifyGtt: "gtt modify",
    ConvertPosition: "convert",
}
"""Commands that must not exist without a durable record, with the words of `RequestRefused.kind`."""


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
        self._said = ""
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
            try:
                self._write_backlog()
            except StorageError as error:
                self._journal_failed(error)

    def _write_backlog(self) -> None:
        while self._backlog:
            self._journal.append(self._backlog[0])
            self._backlog.popleft()

    def _send(self, commands: list[Command], t_ns: int) -> None:
        if self.journal_error is None:
            try:
                self._journal.sync()
            except StorageError as error:
                self._journal_failed(error)
        if self._broker is None:
            return
        if self.journal_error is not None and any(_ends_risk(command) for command in commands):
            self._write_in_reserve()
        for command in commands:
            if self.journal_error is None or isinstance(command, Reconcile) or _may_go(command):
                self._broker.submit(command)
            else:
                # Without a durable intent the order must not exist.
                words = f"not sent: {self.journal_error.message}"
                self._account.append(
                    RequestRefused(t_ns, _WRITES[type(command)], command.tag, "JOURNAL", words)
                )

    def _write_in_reserve(self) -> None:
        """Record what leads up to an exit in the journal's emergency reserve, if that still takes it."""
        try:
            if self._journal.use_reserve():
                self._write_backlog()
                self._journal.sync()
                return
            words = "there is no emergency reserve"
        except StorageError as error:
            words = error.message
        # A position that cannot be closed is worse than a missing record (ADR 0010).
        log.critical("an exit or cancel leaves though it is recorded in memory only: %s", words)

    def _journal_failed(self, error: StorageError) -> None:
        known, self.journal_error = self._said, error
        if known != error.message:
            self._said = error.message
            log.error("the journal cannot be written, no order that adds risk will be sent: %s", error)
            self.take(JournalEvent(self._engine.now_ns, error.message))

    def flush(self) -> None:
        """Make what was written durable; after a failure, see whether writing works again."""
        failed, self.journal_error = self.journal_error, None
        try:
            if failed is not None:
                self._journal.recover()
            self._write_backlog()
            self._journal.sync()
        except StorageError as error:
            self._journal_failed(error)
            return
        if failed is not None:
            self._said = ""
            log.warning("the journal can be written again")
            self.take(JournalEvent(self._engine.now_ns, ""))


def _ends_risk(command: Command) -> bool:
    """Whether a command closes or protects a position, or takes an order back."""
    match command:
        case PlaceOrder():
            return command.request.is_exit
        case ModifyOrder():
            return command.urgent
        case PlaceGtt():
            return command.request.source.startswith(EXIT_SOURCE)
        case CancelOrder() | CancelGtt():
            return True
        case _:
            return False


def _may_go(command: Command) -> bool:
    """Whether a command leaves even while the journal cannot be written: reads, cancels and exits."""
    return type(command) not in _WRITES or _ends_risk(command)
