"""One web socket to the broker: opened with verified TLS, its end put into words.

Used by the market data feed and by the portfolio stream. The pauses between attempts are here too.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tradetui.brokers.upstox.hosts import Hosts
from tradetui.domain.errors import AuthError, FeedError
from tradetui.domain.text import clean

_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.WARNING)  # at DEBUG the library writes request lines, which carry the code

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
END_OF_RECORDING: Final = "end of recording"
"""Close reason of a simulator whose recorded world is over; believed from this machine only."""

_LOGIN_AGAIN: Final = "log in again: tradetui auth"
REFUSALS: Final = {
    403: "handshake refused (403) although the login is good: too many connections (2 allowed), a stale "
    "address, or a rule at the broker's edge",
    423: "the account is locked for streaming (423)",
    429: "too many connection attempts (429)",
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts, in seconds: doubling from ``base_s`` to ``cap_s``, less up to half by chance.

    After refusals that fast attempts make worse (403, 423, 429) a pause is at least ``slow_s``.
    """

    base_s: float = 0.5
    cap_s: float = 30.0
    slow_s: float = 15.0

    def pause_s(self, failures: int, slow: bool, chance: float) -> float:
        """The pause after ``failures`` in a row (1 or more); ``chance`` is uniform in [0, 1)."""
        grown = min(self.cap_s, self.base_s * 2 ** min(failures - 1, 16))
        full: float = max(grown, self.slow_s if slow else 0.0)
        return full * (1.0 - 0.5 * chance)


class Lost(Exception):
    """The connection could not be made or is gone.

    Args:
        reason: In words, for the screen.
        slow: Fast attempts would make it worse.
    """

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.slow = slow


class Connection(ClientConnection):
    """A client connection that notes when the server last showed a sign of life."""

    last_byte_s = 0.0
    cut_reason = ""
    """Why we cut it ourselves; empty while we did not."""

    def data_received(self, data: bytes) -> None:
        """Take bytes off the socket; a ping, a pong and half a frame are life too."""
        self.last_byte_s = self.loop.time()
        super().data_received(data)


class _Connect(connect):
    """`connect` that checks a redirect's target like every other address."""

    hosts: Hosts

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow the redirect only to where we may go."""
        target = super().process_redirect(exc)
        if isinstance(target, str):
            try:
                self.hosts.check_stream_url(target)
            except FeedError as refused:
                return refused
        return target


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificate store, host names checked; read once."""
    return ssl.create_default_context()


async def open_socket(
    hosts: Hosts, url: str, *, ping_interval_s: float = 15.0, open_timeout_s: float = 10.0
) -> Connection:
    """Open a checked address (`Hosts.check_stream_url`): no compression, the library's own retries unused.

    Our pings go out every ``ping_interval_s``, but a missing pong alone ends nothing: whoever reads judges
    silence by `Connection.last_byte_s`, because a link that brings data is alive.

    Raises:
        AuthError: The handshake was answered with 401.
        Lost: It was refused otherwise, or failed.
    """
    options: dict[str, Any] = {"ssl": _tls()} if url.startswith("wss:") else {}
    opening = _Connect(
        url,
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=64,
        open_timeout=open_timeout_s,
        ping_interval=ping_interval_s,
        ping_timeout=None,
        close_timeout=1.0,
        proxy=None if hosts.is_loopback else True,
        logger=_wire_log,
        create_connection=Connection,
        **options,
    )
    opening.hosts = hosts
    try:
        connection = await opening
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status == 401:
            raise AuthError("the broker refused the token at the feed's door (401)", _LOGIN_AGAIN) from None
        raise Lost(REFUSALS.get(status, f"handshake refused ({status})"), slow=status in REFUSALS) from None
    except ssl.SSLCertVerificationError as error:
        reason = f"the feed's certificate cannot be trusted: {clean(error.verify_message, 120)}"
        raise Lost(reason, slow=True) from None
    except FeedError as redirect:
        raise Lost(str(redirect), slow=True) from None
    except (OSError, TimeoutError) as error:
        raise Lost(f"the feed cannot be reached: {words(error)}") from None
    except WebSocketException as error:  # its text may quote the address, which carries the code
        raise Lost(f"the feed's handshake failed ({type(error).__name__})") from None
    assert isinstance(connection, Connection)
    connection.last_byte_s = loop_s()
    return connection


def goodbye(closed: ConnectionClosed) -> str:
    """Why a connection ended, in words."""
    if closed.rcvd is None:
        if was_too_big(closed):
            return f"a message over {MAX_MESSAGE_BYTES >> 20} MB: not a feed message (1009)"
        return "dropped without a goodbye (1006): a network change, or the nightly cut at 03:30"
    reason = clean(closed.rcvd.reason, 120)
    return f"closed by the broker ({int(closed.rcvd.code)}{': ' if reason else ''}{reason})"


def was_too_big(closed: ConnectionClosed) -> bool:
    """Whether we ended it ourselves because of a message over `MAX_MESSAGE_BYTES`."""
    return closed.rcvd is None and closed.sent is not None and closed.sent.code == 1009


def is_end_of_recording(closed: ConnectionClosed) -> bool:
    """Whether the other side says that its recorded world is over."""
    return closed.rcvd is not None and closed.rcvd.code == 1000 and closed.rcvd.reason == END_OF_RECORDING


def loop_s() -> float:
    """The loop's own time, seconds: for pauses and silence, which are real time whatever the engine's is."""
    return asyncio.get_running_loop().time()


def words(error: BaseException) -> str:
    """An exception of the network as words fit for the screen."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return clean(text, 160) or type(error).__name__
