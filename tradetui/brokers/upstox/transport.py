"""One HTTP exchange through the official SDK, tamed (`upstox.md` 8.3, 8.5; `design.md` 7).

What is tamed: hosts set explicitly on every field (the SDK keeps a class-wide default configuration that
silently wins over arguments), no retries and no redirects (it would send a modify or cancel up to four
times), time-outs, raw bodies, no log handlers on the terminal, no thread pool of its own, verified TLS. The
SDK is imported on first use, on the worker thread, since that takes a fifth of a second; `Transport.warm` does
that, and opens a connection to the order host, before the first order needs them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tradetui import __version__
from tradetui.brokers.upstox.endpoints import Endpoint
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.pace import Pace
from tradetui.brokers.upstox.permit import Permit, needs_permit, no_live_orders
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

T = TypeVar("T")

USER_AGENT: Final = f"tradetui/{__version__}"
"""The edge in front of Upstox answers 403 to some libraries' own names (`upstox.md` 1.3)."""

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of an answer that we read at most."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """What came back.

    Attributes:
        status: HTTP status.
        body: The body, decompressed.
        content_type: Its declared type, lower case.
        elapsed_ms: From handing the request to the network until the body was read.
        retry_after_s: Seconds after which the server says to come again; 0 when it says nothing.
    """

    status: int
    body: bytes
    content_type: str
    elapsed_ms: float
    retry_after_s: float = 0.0


class Broken(Exception):
    """No whole answer came.

    Args:
        words: What happened, in words.
        sent: Whether any byte of the request may have left this machine.
    """

    def __init__(self, words: str, *, sent: bool) -> None:
        super().__init__(words)
        self.words = words
        self.sent = sent


class Workers:
    """A few daemon threads: a request that hangs never keeps the program from ending.

    Args:
        count: How many.
        name: Prefix of their names.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run ``job`` on one of the threads.

        Raises:
            RuntimeError: Closed already.
        """
        if self._closed:
            raise RuntimeError("the connection to the broker is closed")
        if len(self._threads) < self._count:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def close(self) -> None:
        """Let idle threads end; busy ones end after their job."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            future, job = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            # Do not hold the last answer, or the last exception's frames, while waiting for the next job.
            del future, job, item


class _Wire(threading.local):
    """What a thread wants to be told about the request that it sends.

    Attributes:
        sending: Called right before its first byte goes out.
        sent: Called when all of the request has been handed to the system.
    """

    sending: Callable[[], None] | None = None
    sent: Callable[[], None] | None = None


_wire: Final = _Wire()


class _NoPool:
    """Stands in for the thread pool that the SDK starts and never needs."""

    def close(self) -> None:
        """Nothing to close."""

    def join(self) -> None:
        """Nothing to wait for."""


class Transport:
    """The SDK's client for one set of hosts. Its methods block; call them on a worker thread.

    Args:
        hosts: Where to send.
        connect_s: Seconds to wait for a connection.
        read_s: Seconds to wait for each piece of an answer.
        permit: Asked before every write leaves.
    """

    def __init__(
        self,
        hosts: Hosts,
        *,
        connect_s: float = 5.0,
        read_s: float = 10.0,
        permit: Permit = no_live_orders,
    ) -> None:
        self._hosts = hosts
        self._permit = permit
        self._pace = Pace()
        self._timeout = (connect_s, read_s)
        self._client: Any = None
        self._lock = threading.Lock()

    def exchange(
        self,
        endpoint: Endpoint,
        *,
        bearer: Secret | None,
        path: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        body: Any = None,
        form: Sequence[tuple[str, str]] | None = None,
        sent: Callable[[], None] | None = None,
    ) -> RawReply:
        """Send one request once, and read the whole answer whatever its status.

        ``sent`` is called on this thread when the whole request is in the system's hands, before any answer.

        Raises:
            Broken: No whole answer came.
            AuthError: The SDK would have sent the bearer to another host.
            BrokerError, StorageError: This run may not write orders there, or not any more.
        """
        client = self._ready()
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer.reveal()}"
            config = client.configuration
            if (config.host, config.order_host) != (self._hosts.main, self._hosts.order):
                raise AuthError("the HTTP client points at another host than this token's: nothing was sent")
        started = time.perf_counter()
        fields = None if form is None else list(form)
        writes = needs_permit(endpoint)
        with self._permit(endpoint, self._hosts) if writes else contextlib.nullcontext():
            _wire.sent, _wire.sending = sent, self._pace.wait if writes else None
            try:
                status, said, content = self._send(
                    client, endpoint, headers, dict(path), list(query), body, fields
                )
            finally:
                _wire.sent = _wire.sending = None
        elapsed_ms = (time.perf_counter() - started) * 1000
        content_type = str(said.get("Content-Type") or "").lower()
        return RawReply(status, content, content_type, elapsed_ms, _seconds(said.get("Retry-After")))

    def warm(self) -> bool:
        """Have a connection to the order host open and idle: no order waits for a handshake.

        Nothing is sent on it. Whether one is open now; a host that cannot be reached is the first order's to tell.
        """
        import urllib3.exceptions as faults
        from urllib3.util.connection import is_connection_dropped

        pools = self._ready().rest_client.pool_manager
        pool = pools.connection_from_url(self._hosts.order)
        try:
            connection = pool._get_conn(timeout=0)
        except faults.HTTPError:
            return True  # all of them are busy: so there are some
        try:
            if getattr(connection, "sock", None) is not None and is_connection_dropped(connection):
                connection.close()
            if getattr(connection, "sock", None) is None:
                connection.timeout = self._timeout[0]
                connection.connect()
        except (faults.HTTPError, OSError):
            connection.close()
            return False
        finally:
            pool._put_conn(connection)
        return True

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            if self._client is not None:
                self._client.rest_client.pool_manager.clear()

    def _send(
        self,
        client: Any,
        endpoint: Endpoint,
        headers: dict[str, str],
        path: dict[str, str],
        query: list[tuple[str, str]],
        body: Any,
        form: list[tuple[str, str]] | None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        import urllib3.exceptions as faults
        from upstox_client.rest import ApiException

        try:
            response = client.call_api(
                endpoint.path,
                endpoint.method,
                path,
                query,
                headers,
                body=body,
                post_params=form,
                auth_settings=[],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=self._timeout,
            )
            content = response.read(MAX_BODY + 1, decode_content=True)
            if len(content) > MAX_BODY:
                response.close()
                raise Broken("the answer is larger than any real one", sent=True)
            response.release_conn()
            status, said = response.status, response.headers
        except ApiException as error:
            if not error.status:
                # The SDK's form of a TLS failure. A refused certificate means no request was sent.
                refused = "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
                words = "its certificate is not valid" if refused else "the encrypted connection failed"
                raise Broken(words, sent=not refused) from None
            status, content = int(error.status), bytes(error.body or b"")
            said = error.headers or {}
        except faults.HTTPError as error:
            raise _broken(error) from None
        except OSError as error:
            raise Broken(f"the connection failed: {clean(error.strerror or error, 120)}", sent=True) from None
        return status, said, content

    def _ready(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _tamed_client(self._hosts)
            return self._client


def _seconds(text: str | None) -> float:
    """A ``Retry-After`` in seconds; 0 for a date, or for anything else than a short number."""
    plain = (text or "").strip()
    return float(plain) if plain.isascii() and plain.isdigit() and len(plain) <= 4 else 0.0


def _tamed_client(hosts: Hosts) -> Any:
    """An SDK client with none of its hazards."""
    import upstox_client
    from urllib3.util.retry import Retry

    config = upstox_client.Configuration()
    # Whatever the cached default of the class says, every field that matters is set here.
    config.sandbox = False
    config.host, config.order_host = hosts.main, hosts.order
    config.access_token = ""
    config.api_key, config.api_key_prefix, config.refresh_api_key_hook = {}, {}, None
    config.verify_ssl, config.assert_hostname = True, None
    config.ssl_ca_cert = config.cert_file = config.key_file = config.proxy = None
    config.debug = False
    config.safe_chars_for_path_param = ""
    _silence(config)
    client = upstox_client.ApiClient(config)
    pool, client.pool = client.pool, _NoPool()
    pool.terminate()
    pool.join()
    client.user_agent = USER_AGENT
    client.rest_client.pool_manager.pool_classes_by_scheme = _pools()
    # `False`: the first failure is raised as it is; a redirect is handed back instead of followed.
    client.rest_client.pool_manager.connection_pool_kw["retries"] = Retry(False)
    return client


def _pools() -> dict[str, Any]:
    """Connection pools whose connections say when a request has been handed to the system."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Tells:
        """Asked to send, so the first byte is about to leave; asked for the answer, so the whole request is out."""

        def send(self, *args: Any, **kwargs: Any) -> Any:
            told, _wire.sending = _wire.sending, None
            if told is not None:
                told()
            return super().send(*args, **kwargs)  # type: ignore[misc]

        def getresponse(self, *args: Any, **kwargs: Any) -> Any:
            told, _wire.sent = _wire.sent, None
            if told is not None:
                told()
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    class PlainConnection(Tells, HTTPConnection):
        pass

    class TlsConnection(Tells, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


def _silence(config: Any) -> None:
    """Take the SDK's handlers off its loggers: they write to the terminal under the screen."""
    for logger in config.logger.values():
        for handler in list(logger.handlers):
            if type(handler) in (logging.StreamHandler, logging.FileHandler):
                logger.removeHandler(handler)
                with contextlib.suppress(OSError):
                    handler.flush()
        logger.addHandler(logging.NullHandler())
        # Its messages carry whole URLs; ours say the same without secrets.
        logger.propagate = False


def _broken(error: Exception) -> Broken:
    """A failure of urllib3 in words, and whether the request may have left."""
    import urllib3.exceptions as faults

    reason = getattr(error, "reason", None)
    if isinstance(error, faults.MaxRetryError) and isinstance(reason, Exception):
        return _broken(reason)
    if isinstance(error, faults.NameResolutionError):
        return Broken("its name cannot be resolved", sent=False)
    if isinstance(error, faults.NewConnectionError):
        return Broken("it does not take connections", sent=False)
    if isinstance(error, faults.ConnectTimeoutError):
        return Broken("no connection within the time-out", sent=False)
    if isinstance(error, faults.LocationParseError | faults.LocationValueError):
        return Broken("its address is not valid", sent=False)
    if isinstance(error, faults.ReadTimeoutError):
        return Broken("no answer within the time-out", sent=True)
    if isinstance(error, faults.SSLError):
        refused = "CERTIFICATE_VERIFY_FAILED" in str(error)
        words = "its certificate is not valid" if refused else "the encrypted connection failed"
        return Broken(words, sent=not refused)
    return Broken("the connection dropped before the whole answer came", sent=True)
