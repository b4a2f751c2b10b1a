"""Upstox's REST interface as one asynchronous function, `UpstoxApi.call`.

Every request passes it, and every answer is judged there, once:

=====================================  ============================  =================================
what came back                         a read                        a write
=====================================  ============================  =================================
``status: success`` with data          `Reply`                       `Reply`
an error envelope                      `BrokerError`, `RateLimited`  the same: nothing was done
401                                    `AuthError`                   `AuthError` when in an envelope
5xx, 408                               `TransportError`              `OutcomeUnknown`
empty, HTML, bad JSON, ``data: null``  `TransportError` (null: ok)   `OutcomeUnknown`
time-out, dropped connection           `TransportError`              `OutcomeUnknown`
no connection at all                   `TransportError`              `TransportError`: nothing was sent
=====================================  ============================  =================================

Nothing is ever sent twice here. Callers may repeat reads; writes of unknown outcome are settled by evidence
from the broker (`design.md` 4).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tradetui.brokers.upstox.endpoints import Endpoint
from tradetui.brokers.upstox.errors import AuthRefused, first_error, refusal
from tradetui.brokers.upstox.governor import Governor, Lane
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.permit import Permit, no_live_orders
from tradetui.brokers.upstox.redact import redact, redact_text
from tradetui.brokers.upstox.tokens import AccessToken, check_bound, in_ist
from tradetui.brokers.upstox.transport import Broken, RawReply, Transport, Workers
from tradetui.domain.errors import (
    AuthError,
    BrokerError,
    OutcomeUnknown,
    RateLimited,
    TradeTuiError,
    TransportError,
)
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

WireNote = Callable[[Mapping[str, Any]], None]
"""Takes one redacted request or reply for the journal (`RecordKind.WIRE`); called on the event loop."""

_SERVER_ERRORS: Final = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_KEEP_WRITE: Final = 16_384
_KEEP_READ: Final = 1_000
"""Characters of a raw reply that go into the journal."""
_ORDER_WORKERS: Final = 8
"""As many orders as may go out in a second can wait for their answers at once."""
_READ_WORKERS: Final = 4
_GRACE_S: Final = 5.0
_STAND_ASIDE_S: Final = 0.01
"""Longest time for which the loop leaves the interpreter to the thread that sends an order; half a millisecond on a
machine that is not busy (ADR 0012)."""
_WARM_EVERY_S: Final = 20.0
"""Between looks whether a connection to the order host is open: servers close idle ones after a minute or so."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer.

    Attributes:
        data: The ``data`` member, or the whole body where there is no envelope.
        status: HTTP status; 207 means that some lines of a batch failed.
        body: Everything beside ``data`` (``metadata``, ``errors``, ``summary``, paging).
    """

    data: Any
    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def latency_ms(self) -> int:
        """The broker's own latency, ms; 0 when not said."""
        meta = self.body.get("metadata")
        value = meta.get("latency") if isinstance(meta, Mapping) else None
        return int(value) if isinstance(value, int | float) else 0


@dataclass(frozen=True, slots=True)
class Flight:
    """A request on its way.

    Attributes:
        number: Of the request, in the journal's notes.
        endpoint: What was called.
        future: Its answer.
    """

    number: int
    endpoint: Endpoint
    future: Future[RawReply]


class UpstoxApi:
    """The REST interface of one set of hosts, for one token.

    Order writes and reads have threads of their own, so that a slow read never holds up an order.

    Args:
        hosts: Base URLs.
        token: Access token; None for what is public.
        governor: Rate limits.
        connect_s: Seconds to wait for a connection.
        read_s: Seconds to wait for each piece of an answer.
        note: Takes redacted requests and replies.
        permit: Asked before every write leaves; without one, nothing is sent to a real exchange.
        now_ns: Clock of the host's world, UTC ns, against which the token's end is held; without one it is not.

    Attributes:
        on_wire: Told the endpoint, and `time.perf_counter_ns`, when a whole request is in the system's hands; called
            on the thread that sends.

    Raises:
        AuthError: The token was issued by another host.
    """

    def __init__(
        self,
        hosts: Hosts,
        token: AccessToken | None = None,
        *,
        governor: Governor | None = None,
        connect_s: float = 5.0,
        read_s: float = 10.0,
        note: WireNote | None = None,
        permit: Permit = no_live_orders,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        self.hosts = hosts
        self._now_ns = now_ns
        self.on_wire: Callable[[Endpoint, int], None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self.governor = governor or Governor()
        self.note = note
        self._token: AccessToken | None = None
        if token is not None:
            self.use_token(token)
        self._transport = Transport(hosts, connect_s=connect_s, read_s=read_s, permit=permit)
        self._order_workers = Workers(_ORDER_WORKERS, "upstox-orders")
        self._read_workers = Workers(_READ_WORKERS, "upstox-reads")
        self._deadline_s = connect_s + read_s + _GRACE_S
        self._sequence = 0

    @property
    def token(self) -> AccessToken | None:
        """The token in use."""
        return self._token

    def use_token(self, token: AccessToken) -> None:
        """Use another token from now on (a new login while running).

        Raises:
            AuthError: It was issued by another host.
        """
        check_bound(token, self.hosts)
        self._token = token

    def keep_warm(self) -> None:
        """From now on have a connection to the order host ready. Needs a running loop; ends with `close`."""
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm(), name="warm connection")

    async def _warm(self) -> None:
        while True:
            with contextlib.suppress(RuntimeError):  # closed already
                await asyncio.wrap_future(self._order_workers.submit(self._transport.warm))
            await asyncio.sleep(_WARM_EVERY_S)

    async def close(self) -> None:
        """End the threads and close idle connections. Requests under way finish unheard."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        self._order_workers.close()
        self._read_workers.close()
        await asyncio.to_thread(self._transport.close)
        self.governor.close()

    async def call(
        self,
        endpoint: Endpoint,
        *,
        path: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        form: Sequence[tuple[str, str]] | None = None,
        lane: Lane = Lane.NORMAL,
        max_wait_s: float | None = None,
        weight: int = 1,
        sending: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request, once, and judge its answer.

        Args:
            endpoint: What to call.
            path: Values for the ``{name}`` parts of the path.
            query: Query parameters.
            body: JSON body.
            form: Form body, instead of ``body``.
            lane: Who asks, for the order limits.
            max_wait_s: Longest wait for our own rate limits.
            weight: Orders in it: lines of a multi-order call count one each.
            sending: Called once, right before the bytes go out.

        Raises:
            AuthError: No token, a token of another host, or a refused one.
            RateLimited: The broker's limit, or ours, is used up; nothing was done.
            BrokerError: The broker refused; nothing was done.
            OutcomeUnknown: A write was sent and has no clear answer.
            TransportError: A read failed, or nothing could be sent.
        """
        if not endpoint.public:
            self._bearer(lane)
        await self.governor.acquire(_account_of(endpoint), lane, max_wait_s, weight)
        return await self.finish(self._hand_over(endpoint, path or {}, query, body, form, lane, sending))

    def begin(
        self,
        endpoint: Endpoint,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        lane: Lane = Lane.NORMAL,
        sending: Callable[[], None] | None = None,
    ) -> Flight | None:
        """Send one request now if nothing speaks against it: no task, no turn of the loop, no frame comes between.

        Arguments are those of `call`.

        Returns:
            What `finish` takes; ``None`` when the request has to wait or cannot go, which is `call`'s to do and tell.
        """
        try:
            self._bearer(lane)
            if not self.governor.take_now(_account_of(endpoint), lane):
                return None
            return self._hand_over(endpoint, {}, query, body, None, lane, sending)
        except TradeTuiError:
            return None

    async def finish(self, flight: Flight) -> Reply:
        """Wait for the answer to a request that is on its way, and judge it.

        Raises:
            TradeTuiError: See `call`.
        """
        number, endpoint, future = flight.number, flight.endpoint, flight.future
        try:
            async with asyncio.timeout(self._deadline_s):
                raw = await asyncio.wrap_future(future)
        except TimeoutError:
            # A job that never began did nothing: `cancel` tells.
            broken = Broken("no answer within the time-out", sent=not future.cancel())
            raise self._lost(number, endpoint, broken) from None
        except Broken as broken:
            raise self._lost(number, endpoint, broken) from None
        if raw.status == 429:
            # Of orders our own longer pause holds whatever is said: those who go over are suspended.
            self.governor.refused(_account_of(endpoint), 0.0 if endpoint.is_order else raw.retry_after_s)
        return self._judge(number, endpoint, raw)

    def _hand_over(
        self,
        endpoint: Endpoint,
        path: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        body: Any,
        form: Sequence[tuple[str, str]] | None,
        lane: Lane,
        sending: Callable[[], None] | None,
    ) -> Flight:
        """Give a request that may go now to the thread that sends it."""
        # Looked up now: a new login, or its end, may have come while the request waited.
        bearer = None if endpoint.public else self._bearer(lane)
        sent = threading.Event()
        send = partial(
            self._transport.exchange,
            endpoint, bearer=bearer, path=path, query=query, body=body, form=form,
            sent=self._wire_hook(endpoint, sent),
        )  # fmt: skip
        if sending is not None:
            sending()
        try:
            future = (self._order_workers if endpoint.is_order else self._read_workers).submit(send)
        except RuntimeError as error:
            raise TransportError(str(error)) from None
        if endpoint.is_order:
            # Frames would keep the interpreter from the thread that sends for milliseconds (ADR 0012).
            sent.wait(_STAND_ASIDE_S)
        self._sequence += 1
        request = {"path": dict(path), "query": [list(pair) for pair in query], "body": body}
        self._tell(
            self._sequence, {"dir": "request", "method": endpoint.method, "call": endpoint.path, **request}
        )
        return Flight(self._sequence, endpoint, future)

    def _wire_hook(self, endpoint: Endpoint, sent: threading.Event) -> Callable[[], None]:
        """What the sending thread calls when a request is out."""
        told = self.on_wire

        def out() -> None:
            if told is not None:
                told(endpoint, time.perf_counter_ns())
            sent.set()

        return out

    @property
    def login_ended(self) -> str:
        """Why the token is of no use any more, in words; empty while it is good or its end is not known."""
        token = self._token
        if token is None or self._now_ns is None or not token.expired(self._now_ns()):
            return ""
        return f"the login at {self.hosts.label} ended {in_ist(token.expires_ns)}"

    def _bearer(self, lane: Lane) -> Any:
        if self._token is None:
            raise AuthError("not logged in", "Log in: tradetui auth")
        check_bound(self._token, self.hosts)
        # Exits and cancels go all the same: a clock of ours that is wrong must not keep anybody in a position, and
        # the broker refuses a dead token by itself.
        if lane is not Lane.EXIT and (words := self.login_ended):
            raise AuthError(
                f"not sent: {words}", "Log in: tradetui auth (this program goes on by itself then)"
            )
        return self._token.secret

    def _lost(self, number: int, endpoint: Endpoint, broken: Broken) -> TradeTuiError:
        """The error for a request that got no whole answer."""
        self._tell(number, {"dir": "lost", "why": broken.words, "sent": broken.sent})
        place = endpoint_host(self.hosts, endpoint)
        words = f"{place}: {broken.words}"
        if endpoint.write and broken.sent:
            return OutcomeUnknown(words, "The broker may have acted on it; its books will tell")
        remedy = "Nothing was sent; check the network" if endpoint.write else "Check the network"
        return TransportError(words, remedy)

    def _judge(self, number: int, endpoint: Endpoint, raw: RawReply) -> Reply:
        body = decode_body(raw.body)
        self._tell(
            number,
            {
                "dir": "reply",
                "status": raw.status,
                "ms": round(raw.elapsed_ms, 1),
                "body": raw_for_journal(raw.body, body, _KEEP_WRITE if endpoint.write else _KEEP_READ),
            },
        )
        return judge(endpoint, raw, body)

    def _tell(self, number: int, data: Mapping[str, Any]) -> None:
        if self.note is not None:
            self.note(redact({"n": number, **data}))


def _account_of(endpoint: Endpoint) -> str:
    """The governor's account that a request is counted in."""
    return "" if endpoint.is_order else endpoint.path


def endpoint_host(hosts: Hosts, endpoint: Endpoint) -> str:
    """Host name that a request goes to, for people (the SDK's own routing rule, `upstox.md` 1.1)."""
    single = any(part in endpoint.path for part in ("/order/place", "/order/modify", "/order/cancel"))
    return (hosts.order if single else hosts.main).partition("://")[2]


def decode_body(content: bytes) -> Any:
    """The body as plain JSON data; None when it is empty or is not JSON at all."""
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def raw_for_journal(content: bytes, body: Any, limit: int) -> Any:
    """The reply as the journal keeps it: redacted, and cut when it is long."""
    if body is not None and len(content) <= limit:
        return redact(body)
    return clean(redact_text(content[: limit * 4].decode("utf-8", "replace")), limit)


def judge(endpoint: Endpoint, raw: RawReply, body: Any) -> Reply:
    """Decide what an answer means; the table is in the module's docstring.

    Raises:
        TradeTuiError: Anything but a good answer.
    """
    if raw.status in _SERVER_ERRORS or raw.status >= 500:
        code, words = first_error(body) if isinstance(body, Mapping) else ("", "")
        said = f": {words}" if words else ""
        raise _senseless(endpoint, f"the broker failed (HTTP {raw.status}{' ' + code if code else ''}){said}")
    envelope = isinstance(body, Mapping) and (body.get("status") is not None or "errors" in body)
    failed = isinstance(body, Mapping) and (
        body.get("status") == "error" or (body.get("errors") and body.get("status") != "partial_success")
    )
    if isinstance(body, Mapping) and failed and (raw.status >= 400 or raw.status < 300):
        raise refusal(endpoint, raw.status, body)
    if not 200 <= raw.status < 300:
        raise _odd_status(endpoint, raw)
    if not endpoint.enveloped and isinstance(body, Mapping) and body:
        return Reply(body, raw.status, body)
    if not isinstance(body, Mapping) or not envelope or "data" not in body:
        raise _senseless(endpoint, f"the broker's answer makes no sense ({_looks_like(raw)})")
    if body["data"] is None and endpoint.write:
        raise _senseless(endpoint, "the broker's answer is empty (data: null)")
    return Reply(body["data"], raw.status, {key: value for key, value in body.items() if key != "data"})


def _odd_status(endpoint: Endpoint, raw: RawReply) -> TradeTuiError:
    """The error for a bad status without an error envelope."""
    looks = _looks_like(raw)
    if endpoint.write:
        return _senseless(endpoint, f"HTTP {raw.status} with {looks}")
    if raw.status == 401:
        return AuthRefused("the broker refused the token", "", 401, "Log in again: tradetui auth")
    if raw.status == 429:
        return RateLimited("too many requests", "", 429, "Wait a moment")
    if raw.status == 403:
        remedy = "The broker's edge blocks this machine or program for now; do not hammer it"
        return BrokerError(f"blocked before the broker (HTTP 403 with {looks})", "", 403, remedy)
    return TransportError(f"the broker answered HTTP {raw.status} with {looks}", "Try again later")


def _senseless(endpoint: Endpoint, words: str) -> TransportError:
    if endpoint.write:
        return OutcomeUnknown(words, "The broker may have acted on it; its books will tell")
    return TransportError(words, "Try again later")


def _looks_like(raw: RawReply) -> str:
    """What a body without sense looks like, in words; never its text."""
    start = raw.body.lstrip()[:64].lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype", b"<html")) or "html" in raw.content_type:
        return "a web page instead of data"
    return "a body that is not the API's"
