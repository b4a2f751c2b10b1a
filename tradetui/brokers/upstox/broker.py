"""The Upstox account as the `Broker` port: requests out, evidence in (`design.md` 4).

Orders go out by REST, once; what becomes of them comes in by the portfolio stream, and by reading the account
whenever the engine asks or the stream was away. A push that shows new fills makes us read the order's trades,
because pushes carry no trade ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.account import AccountReader, profile_of
from tradetui.brokers.upstox.api import Flight, Reply, UpstoxApi
from tradetui.brokers.upstox.errors import SHUT_CODES
from tradetui.brokers.upstox.fills import FillReader
from tradetui.brokers.upstox.link import Backoff
from tradetui.brokers.upstox.portfolio_stream import UPDATE_TYPES, PortfolioStream
from tradetui.brokers.upstox.redact import redact
from tradetui.brokers.upstox.requests_out import WRITES, Write, answer_id, kind_of, prepare
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.errors import AuthError, BrokerError, OutcomeUnknown, TradeTuiError
from tradetui.domain.events import (
    AccountSnapshot,
    Event,
    Evidence,
    FillEvent,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    RequestUnknown,
    TagAbsence,
    TickEvent,
    TimeEvent,
)
from tradetui.domain.requests import Command, ProbeTag, Reconcile
from tradetui.domain.text import clean
from tradetui.ports import Clock, EventSink

log = logging.getLogger(__name__)

_STREAM_WAIT_S: Final = 5.0
_CLOSE_WAIT_S: Final = 5.0
_MORE_READS: Final = 2
_START_WAIT_S: Final = 150.0
"""A start waits longer for our own limit on requests, which an earlier run may have used up: positions may be open."""
_SAY_SLOW_S: Final = 3.0


class UpstoxBroker:
    """See the module's docstring. Everything happens on the loop that `start` runs on.

    Args:
        api: REST interface with a token; its `note` also gets the pushes. Closed with the broker.
        clock: Stamps events on arrival.
        backoff: Pauses between attempts to connect the stream.
    """

    def __init__(self, api: UpstoxApi, clock: Clock, *, backoff: Backoff | None = None) -> None:
        self._api = api
        self._clock = clock
        self._reader = AccountReader(api, clock.now_ns)
        self._stream = PortfolioStream(
            api.hosts, self._authorize, self._on_push, self._on_up, self._on_down, backoff=backoff
        )
        self._sink: EventSink | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._stream_task: asyncio.Task[None] | None = None
        self._in_flight: dict[int, Write] = {}
        self._flight = 0
        self._newest: dict[str, tuple[int, int, int]] = {}
        self._fills = FillReader(
            self._reader,
            lambda fill: self._put(FillEvent(self._now(), fill)),
            lambda work: self._spawn(work, self._tasks),
        )
        self._reading: asyncio.Lock = asyncio.Lock()
        self._snapshots_waiting = 0
        self._started = self._closed = False
        self.profile: Mapping[str, Any] = {}

    # --- the port -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Short name."""
        return "upstox"

    @property
    def live(self) -> bool:
        """Whether orders reach a real exchange, read off the base URL they are sent to."""
        return self._api.hosts.is_live

    async def start(self, sink: EventSink) -> None:
        """Check the token, connect the stream, and report the account once.

        Raises:
            AuthError: The token was refused.
            TransportError: The broker cannot be reached.
            BrokerError: It refused to say who we are or how the account stands, and not because it is night.
        """
        self._sink = sink
        self.profile = await self._reader.profile()
        if self.profile.get("is_active") is False:
            log.warning("the broker says that this account is not active")
        self._stream_task = asyncio.create_task(self._stream.run(), name="portfolio stream")
        with contextlib.suppress(TimeoutError):
            # Connected before the first read, so that nothing can fall between the two.
            async with asyncio.timeout(_STREAM_WAIT_S):
                await self._stream.connected.wait()
        try:
            await self._first_snapshot()
        except BrokerError as error:
            if error.code not in SHUT_CODES:
                raise
            # At night the books are shut, and a program can be started all the same: they are read when they open.
            self._say_unread(error, "at the start")
        self._started = True

    async def _first_snapshot(self) -> None:
        usual, self._reader.patience_s = self._reader.patience_s, _START_WAIT_S
        slow = asyncio.get_running_loop().call_later(
            _SAY_SLOW_S,
            log.warning,
            "the account is still being read: the broker is slow, or our own limit on requests is used up for a while",
        )
        try:
            await self._snapshot(patient=True)
        finally:
            slow.cancel()
            self._reader.patience_s = usual

    def submit(self, command: Command) -> None:
        """Take a command and return at once."""
        if isinstance(command, Reconcile):
            self._spawn(self._reconcile(command), self._tasks)
        elif isinstance(command, ProbeTag):
            self._spawn(self._probe(command), self._tasks)
        elif isinstance(command, WRITES):
            # Under way from now on, not from when its task first runs: a read may begin in between.
            self._flight += 1
            self._in_flight[self._flight] = command
            begun = None if self._closed else self._begin(command)
            self._spawn(self._write(command, self._flight, begun), self._writes)

    def observe(self, event: TickEvent | TimeEvent) -> None:
        """Market events do not concern a real account."""

    async def close(self) -> None:
        """Wait a little for answers under way, then disconnect. What has no answer stays unknown."""
        self._closed = True
        if self._stream_task is not None:
            self._stream_task.cancel()
        if self._writes:
            await asyncio.wait(self._writes, timeout=_CLOSE_WAIT_S)
        rest = [task for task in (*self._writes, *self._tasks, self._stream_task) if task is not None]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._api.close()

    def use_token(self, token: AccessToken) -> None:
        """Go on with a new login, without a restart.

        Raises:
            AuthError: It was issued by another host.
        """
        self._api.use_token(token)
        self._stream.login_changed()
        self._spawn(self._new_login(), self._tasks)

    # --- out ------------------------------------------------------------------------------------------

    def _begin(self, command: Write) -> Flight | Exception | None:
        """Send a request before `submit` returns, if it need not wait; ``None`` leaves it to its task.

        An exception that nobody foresaw says nothing about what left: the task reports it, and sends nothing.
        """
        try:
            out = prepare(command)
            leaving = partial(self._leaving, kind_of(command), command.tag)
            return self._api.begin(
                out.endpoint, body=out.body, query=out.query, lane=out.lane, sending=leaving
            )
        except Exception as error:
            return error

    async def _write(self, command: Write, flight: int, begun: Flight | Exception | None) -> None:
        """Send one request, unless that is done, and report what its answer means."""
        kind = kind_of(command)
        try:
            if isinstance(begun, Exception):
                raise begun
            reply = await (self._send(command, kind) if begun is None else self._api.finish(begun))
            broker_id = answer_id(kind, reply.data)
            if kind == "place":
                self._reader.tag_of[broker_id] = command.tag
            self._put(RequestAccepted(self._now(), kind, command.tag, broker_id, reply.latency_ms))
        except OutcomeUnknown as error:
            self._put(RequestUnknown(self._now(), kind, command.tag, str(error)))
        except TradeTuiError as error:
            # Refused by the broker, or never sent: either way nothing was done.
            code = clean(getattr(error, "code", ""), 40)
            self._put(RequestRefused(self._now(), kind, command.tag, code, str(error)))
        except Exception:
            log.exception("a %s request failed in a way nobody foresaw", kind)
            self._put(RequestUnknown(self._now(), kind, command.tag, "internal error; see the log"))
        finally:
            del self._in_flight[flight]
            if kind.startswith("gtt"):
                self._reader.gtts_changed()

    async def _send(self, command: Write, kind: str) -> Reply:
        out = prepare(command)
        return await self._api.call(
            out.endpoint,
            body=out.body,
            query=out.query,
            lane=out.lane,
            max_wait_s=out.max_wait_s,
            sending=partial(self._leaving, kind, command.tag),
        )

    def _leaving(self, kind: str, tag: str) -> None:
        """Bytes are about to go out. The moment is taken now, and told when they are gone."""
        asyncio.get_running_loop().call_soon(self._put, RequestSent(self._now(), kind, tag))

    # --- in: reads ------------------------------------------------------------------------------------

    async def _new_login(self) -> None:
        with contextlib.suppress(TradeTuiError):
            # What it may do can have changed; the account's own reading says what else is wrong.
            self.profile = await self._reader.profile()
        await self._read_account("after the new login")

    async def _reconcile(self, command: Reconcile) -> None:
        if command.gtts:
            self._reader.gtts_changed()
        if self._snapshots_waiting:
            return  # one that has not begun yet answers this too
        await self._read_account("for reconciliation")

    async def _read_account(self, why: str) -> None:
        try:
            await self._snapshot()
        except AuthError as error:
            self._say_unread(error, why)
        except TradeTuiError as error:
            if getattr(error, "code", "") in SHUT_CODES:
                self._say_unread(error, why)
            else:
                log.warning("the account could not be read %s: %s", why, error.message)

    def _say_unread(self, error: TradeTuiError, why: str) -> None:
        """The broker will not show us the account for now: nothing that adds risk may leave meanwhile."""
        log.error("the account cannot be read %s: %s", why, error)
        code = clean(getattr(error, "code", ""), 40)
        self._put(RequestRefused(self._now(), "read", "", code, str(error)))

    async def _snapshot(self, *, patient: bool = False) -> None:
        """Read the account and report it.

        Args:
            patient: Read again while fills come in between the reads, for positions that can be relied on.
        """
        self._snapshots_waiting += 1
        async with self._reading:
            self._snapshots_waiting -= 1
            moves, snapshot = await self._read_once()
            for _ in range(_MORE_READS if patient else 0):
                if moves == self._fills.moves:
                    break
                moves, snapshot = await self._read_once()
            if moves != self._fills.moves:
                # Positions and trades were read at different moments of a moving account.
                snapshot = replace(snapshot, positions=None)
            self._fills.reported(snapshot.fills)
            self._put(snapshot)

    async def _read_once(self) -> tuple[int, AccountSnapshot]:
        """The account, and how many moves had been seen when the read began."""
        moves = self._fills.moves
        # A request under way may not be in the book yet: judge absence only of what is older.
        asked_ns = min([self._clock.now_ns(), *(one.t_ns for one in self._in_flight.values())])
        return moves, await self._reader.snapshot(asked_ns)

    async def _probe(self, command: ProbeTag) -> None:
        try:
            found = await self._reader.by_tag(command.tag, command.broker_id)
        except TradeTuiError as error:
            # A failed look proves nothing, so nothing is reported.
            log.warning("order %s could not be looked up: %s", command.tag, error.message)
            return
        for update in found:
            self._put(update)
            self._fills.want(update)
        under_way = any(one.tag == command.tag for one in self._in_flight.values())
        if not found and not under_way:
            self._put(TagAbsence(self._now(), command.tag))

    # --- in: pushes -----------------------------------------------------------------------------------

    async def _authorize(self) -> str:
        query = [("update_types", UPDATE_TYPES)]
        data = profile_of((await self._api.call(ep.PORTFOLIO_AUTHORIZE, query=query)).data)
        return str(data.get("authorized_redirect_uri") or data.get("authorizedRedirectUri") or "")

    def _on_up(self) -> None:
        log.info("portfolio stream connected")
        self._reader.gtts_changed()
        if self._started:
            self._spawn(self._read_account("after the stream came back"), self._tasks)

    def _on_down(self, reason: str) -> None:
        if self._api.note is not None:
            self._api.note({"dir": "stream down", "why": clean(reason)})

    def _on_push(self, frame: Mapping[str, Any]) -> None:
        if self._api.note is not None:
            self._api.note({"dir": "push", "body": redact(frame)})
        match frame.get("update_type"):
            case "order":
                self._on_order_push(frame)
            case "gtt_order":
                self._on_gtt_push(frame)
            case "holding":
                self._reader.holdings_changed()
            case _:
                pass

    def _on_order_push(self, frame: Mapping[str, Any]) -> None:
        for update in parse.each(
            [frame], lambda row: self._reader.update_of(row, Evidence.STREAM), "order push"
        ):
            if self._is_stale(update, frame):
                continue
            self._reader.remember([update])
            self._put(update)
            self._fills.want(update)

    def _on_gtt_push(self, frame: Mapping[str, Any]) -> None:
        for update in parse.each(
            [frame], lambda row: parse.gtt_update(row, self._now(), Evidence.STREAM), "GTT push"
        ):
            self._put(update)
        # Pushes may come in the wrong order and carry no number: the book says which one is the newest.
        self._reader.gtts_changed()

    def _is_stale(self, update: OrderUpdate, frame: Mapping[str, Any]) -> bool:
        """Whether a newer push of the same order has been seen (pushes may be swapped, `upstox.md` 4)."""
        mark = (
            parse.units(frame.get("order_request_id")) or 0,
            update.filled_qty or 0,
            1 if update.status.terminal else 0,
        )
        newest = self._newest.get(update.broker_id, (0, 0, 0))
        if any(ours < theirs for ours, theirs in zip(mark, newest, strict=True)):
            return True
        self._newest[update.broker_id] = mark
        return False

    # --- inside ---------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self._clock.now_ns()

    def _put(self, event: Event) -> None:
        if self._sink is not None:
            self._sink(event)

    def _spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        group.add(task)
        task.add_done_callback(group.discard)
        task.add_done_callback(_complain)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a task of the broker ended by itself", exc_info=error)
