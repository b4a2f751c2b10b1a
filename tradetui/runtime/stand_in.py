"""What the watchdog and ``tradetui kill`` do in an engine's place: pull the kill, see it through, say what became of it.

It runs the ordinary runtime on parts without a feed (`wiring.stand_in`), asks it once what a person at the screen
would ask, and waits for evidence: orders that may add risk are gone, positions that are to be closed are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from tradetui.desk import Desk
from tradetui.desk.sparing import spared
from tradetui.domain.events import Event
from tradetui.domain.gtt import Gtt
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import Order, OrderStatus
from tradetui.domain.position import Position
from tradetui.engine import Outcome
from tradetui.risk.facts import RiskState
from tradetui.runtime.core import Runtime
from tradetui.runtime.outside import kill_event
from tradetui.storage.kill_file import KillOrder
from tradetui.wiring.parts import Parts

log = logging.getLogger(__name__)

PATIENCE_S: Final = {False: 45.0, True: 120.0}
"""How long each stage is seen through before it is said that it could not be done."""
_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, and what could not be.

    Attributes:
        by: Who did it: ``engine``, ``watchdog`` or ``kill``.
        mode, host, account: Where.
        stage: 1 or 2.
        found: How many working orders and open positions there were.
        cancelled: Orders that were cancelled.
        kept: Protective orders that were left.
        closed: Positions that were closed.
        left_out: Positions that stage 2 leaves alone unless they are named.
        failed: What could not be done, and why.
    """

    by: str
    mode: str
    host: str
    account: str
    stage: int
    found: int = 0
    cancelled: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether everything that was asked for has happened."""
        return not self.failed

    def as_data(self) -> dict[str, Any]:
        """As plain data, for ``--json``."""
        return {"done": self.done, **asdict(self)}

    def lines(self) -> list[str]:
        """For a person."""
        where = " ".join(filter(None, (self.mode, self.account, f"at {self.host}" if self.host else "")))
        lines = [f"kill stage {self.stage} by {self.by}: {where}"]
        for words, rows in (
            ("cancelled", self.cancelled),
            ("left, because it protects a position:", self.kept),
            ("closed", self.closed),
            ("left alone (name it with --include):", self.left_out),
            ("NOT DONE:", self.failed),
        ):
            lines += [f"  {words} {row}" for row in rows]
        if len(lines) == 1:
            lines.append("  nothing was open")
        return lines


async def stand_in(
    parts: Parts,
    order: KillOrder,
    by: str,
    who: str,
    *,
    asked_to_stop: Callable[[], bool] = lambda: False,
    patience_s: float = 0.0,
) -> Report:
    """Pull the kill in an engine's place.

    Args:
        parts: From `wiring.stand_in`; closed at the end.
        order: Which stage, and what it includes.
        by: For the report.
        who: For the journal and the halt that the next engine starts with.
        asked_to_stop: An engine wants the lease: finish what is under way and let go.
        patience_s: Longest wait for evidence; 0 for the stage's own.

    Raises:
        TradeTuiError: The account cannot be read, or something broke.
    """
    runtime = Runtime(parts)
    runtime.listeners.append(_Progress())
    run = asyncio.create_task(runtime.run(), name="stand-in")
    started = asyncio.create_task(runtime.started.wait())
    await asyncio.wait([run, started], return_when=asyncio.FIRST_COMPLETED)
    try:
        if run.done():
            run.result()
        task = Task(runtime.engine.desk, Scene.of(parts), order, by)
        if task.anything:
            runtime.take(kill_event(order, who, parts.clock.now_ns()))
            deadline = time.monotonic() + (patience_s or PATIENCE_S[order.flatten])
            while not task.over() and time.monotonic() < deadline and not run.done():
                if asked_to_stop():
                    log.warning("an engine wants to take over: stopping with what is done so far")
                    break
                await asyncio.sleep(_LOOK_S)
        return task.report()
    finally:
        started.cancel()
        runtime.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await run


class _Progress:
    """Writes what the engine records about orders and risk into the log."""

    def __call__(self, event: Event, outcome: Outcome) -> None:
        for record in outcome.records:
            if record.kind.value in ("risk", "decision"):
                words = ", ".join(str(value) for value in record.data.values() if value)
                log.warning("%s: %s", record.kind.value, words)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a kill is pulled, for the report.

    Attributes:
        mode, host, account: As people call them.
        lookup: Key to terms.
    """

    mode: str
    host: str
    account: str
    lookup: Callable[[str], Instrument | None]

    @classmethod
    def of(cls, parts: Parts) -> Scene:
        """That of a runtime's parts."""
        return cls(parts.mode.value, parts.host, parts.account, parts.lookup)


class Task:
    """One kill, from what was found to what became of it.

    Args:
        desk: The account as it is before the kill.
        scene: Where.
        order: Which stage, and what it includes.
        by: For the report.

    Attributes:
        desk: The account as it is now; whoever watches another process puts a newer one here.
    """

    def __init__(self, desk: Desk, scene: Scene, order: KillOrder, by: str) -> None:
        self.desk = desk
        self._scene = scene
        self._order = order
        self._by = by
        self._orders = [one.tag for one in desk.manager.working()]
        self._gtts = {one.tag: one for one in desk.manager.gtts.working()}
        self._positions = {(p.instrument_key, p.product): p for p in desk.portfolio.open_positions()}

    @property
    def anything(self) -> bool:
        """Whether there is anything to look after."""
        return bool(self._orders or self._positions or self._gtts)

    @property
    def halted(self) -> bool:
        """Whether the account takes no new risk now."""
        return self.desk.books.state is RiskState.HALTED

    def _to_close(self) -> list[Position]:
        if not self._order.flatten:
            return []
        return [p for p in self.desk.portfolio.open_positions() if not self._left_out(p)]

    def _left_out(self, position: Position) -> bool:
        """Whether a position stays open by the desk's own rule."""
        at = (position.instrument_key, position.product)
        return not self.desk.closes_with_all(*at, self._order.include)

    def _risky_gtts(self) -> list[Gtt]:
        """GTTs that may open or add to a position; one that closes what is held may stay."""
        books = self.desk.books
        return [
            one
            for one in self.desk.manager.gtts.working()
            if books.held(one.request.instrument_key, one.request.product) * one.request.side.sign >= 0
        ]

    def _risky(self) -> list[Order]:
        kept = spared(self.desk.books)
        return [one for one in self.desk.manager.working() if one.tag not in kept]

    def over(self) -> bool:
        """Whether nothing is left to do, by the broker's own word."""
        if self._to_close() or self._risky() or self._risky_gtts():
            return False
        manager = self.desk.manager
        asked = {(o.request.instrument_key, o.request.product) for o in manager.orders.values()}
        # A fill that is reported but not booked yet may still open a position that has to be closed.
        return not any(manager.fills_missing(*key) for key in sorted(asked))

    def report(self) -> Report:
        """What became of everything."""
        desk, scene = self.desk, self._scene
        now = desk.manager.orders
        gone = [now[tag] for tag in self._orders if tag in now and now[tag].status is OrderStatus.CANCELLED]
        protecting = spared(desk.books)
        kept = [one for one in desk.manager.working() if one.tag in protecting]
        closed = [
            p for key, p in self._positions.items() if not desk.portfolio.qty(*key) and self._order.flatten
        ]
        left_out = [p for p in desk.portfolio.open_positions() if self._order.flatten and self._left_out(p)]
        gtts = {one.tag for one in desk.manager.gtts.working()}
        failed = [self._order_words(one, reason=True) for one in self._risky()]
        failed += [
            f"{self._gtt_words(one)} is {one.status.value}: {one.message}" for one in self._risky_gtts()
        ]
        failed += [f"{self._position_words(p)} is still open{self._why(p)}" for p in self._to_close()]
        return Report(
            self._by,
            scene.mode,
            scene.host,
            scene.account,
            2 if self._order.flatten else 1,
            len(self._orders) + len(self._positions) + len(self._gtts),
            (
                *map(self._order_words, gone),
                *(self._gtt_words(one) for tag, one in self._gtts.items() if tag not in gtts),
            ),
            (
                *map(self._order_words, kept),
                *(
                    self._gtt_words(one)
                    for one in desk.manager.gtts.working()
                    if one not in self._risky_gtts()
                ),
            ),
            tuple(map(self._position_words, closed)),
            tuple(map(self._position_words, left_out)),
            tuple(failed),
        )

    def _why(self, position: Position) -> str:
        """The last words about an order of ours in a position that could not be closed."""
        said = [
            one.message
            for one in self.desk.manager.orders.values()
            if one.request.instrument_key == position.instrument_key and one.message
        ]
        return f": {said[-1]}" if said else ""

    def _name(self, key: str) -> str:
        found = self._scene.lookup(key)
        return found.symbol if found is not None else key

    def _order_words(self, order: Order, *, reason: bool = False) -> str:
        request = order.request
        words = (
            f"{request.side.value} {request.qty} {self._name(request.instrument_key)} {request.product.value}"
        )
        if not reason:
            return words
        return f"{words} is {order.status.value}" + (f": {order.message}" if order.message else "")

    def _gtt_words(self, gtt: Gtt) -> str:
        request = gtt.request
        name = self._name(request.instrument_key)
        return f"GTT {request.side.value} {request.qty} {name} {request.product.value}"

    def _position_words(self, position: Position) -> str:
        return f"{position.qty:+d} {self._name(position.instrument_key)} {position.product.value}"
