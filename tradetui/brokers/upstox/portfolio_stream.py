"""The portfolio stream: pushes about orders, positions and holdings (`upstox.md` 4).

A fresh single-use address for each attempt, reconnects without end, verified TLS. The stream replays nothing:
whoever listens reads the account by REST after every (re)connect, which is what `on_up` is for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.link import Backoff, Connection, Lost, goodbye, loop_s, open_socket
from tradetui.domain.errors import AuthError, BrokerError, FeedError, TransportError
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

UPDATE_TYPES: Final = "order,gtt_order,position,holding"
"""What we ask to be told."""

_LOGGED_BAD_FRAMES: Final = 5


class PortfolioStream:
    """Keeps one portfolio stream open.

    Args:
        hosts: Decides which addresses may be opened.
        authorize: Asks the REST host for a fresh address.
        on_frame: Takes every push, a JSON object; called on the loop.
        on_up: Called after every successful connect.
        on_down: Told the reason when the stream is lost.
        backoff: Pauses between attempts.
        ping_interval_s: Our own pings.
        dead_after_s: Without a sign of life for so long the link is made anew.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        hosts: Hosts,
        authorize: Callable[[], Awaitable[str]],
        on_frame: Callable[[Mapping[str, Any]], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        *,
        backoff: Backoff | None = None,
        ping_interval_s: float = 10.0,
        dead_after_s: float = 25.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hosts = hosts
        self._authorize = authorize
        self._on_frame = on_frame
        self._on_up = on_up
        self._on_down = on_down
        self._backoff = backoff or Backoff()
        self._ping_interval_s = ping_interval_s
        self._dead_after_s = dead_after_s
        self._sleep = sleep
        self._login_changed = asyncio.Event()
        self.connected = asyncio.Event()
        self.count = dict.fromkeys(("frames", "bad_frames", "connects"), 0)

    def login_changed(self) -> None:
        """There is a new token: try again now if the old one was refused."""
        self._login_changed.set()

    async def run(self) -> None:
        """Stream until cancelled."""
        failures = 0
        while True:
            before = self.count["connects"]
            try:
                await self._session()
            except Lost as lost:
                failures = 1 if self.count["connects"] > before else failures + 1
                self._down(lost.reason)
                await self._sleep(self._backoff.pause_s(failures, lost.slow, random.random()))
            except AuthError as refused:
                # Trying again with the same token is no use; a new login wakes us.
                self._down(str(refused))
                await self._login_changed.wait()
                failures = 0

    async def _session(self) -> None:
        self._login_changed.clear()
        try:
            url = self._hosts.check_stream_url(await self._authorize())
        except FeedError as refused:
            raise Lost(str(refused), slow=True) from None
        except (TransportError, BrokerError) as error:
            raise Lost(error.message) from None
        connection = await open_socket(self._hosts, url, ping_interval_s=self._ping_interval_s)
        try:
            self.count["connects"] += 1
            self.connected.set()
            self._on_up()
            await self._read(connection)
        except ConnectionClosed as closed:
            raise Lost(goodbye(closed)) from None
        finally:
            self.connected.clear()
            await connection.close()

    async def _read(self, connection: Connection) -> None:
        while True:
            try:
                async with asyncio.timeout_at(connection.last_byte_s + self._dead_after_s):
                    message = await connection.recv()
            except TimeoutError:
                if loop_s() - connection.last_byte_s < self._dead_after_s:
                    continue
                raise Lost(f"no sign of life for {self._dead_after_s:.0f} s") from None
            self._take(message)

    def _take(self, message: str | bytes) -> None:
        try:
            frame = json.loads(message)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            self.count["bad_frames"] += 1
            if self.count["bad_frames"] <= _LOGGED_BAD_FRAMES:
                log.warning("odd push from the broker left out (%d bytes)", len(message))
            return
        self.count["frames"] += 1
        try:
            self._on_frame(frame)
        except Exception:
            # One push that we cannot handle must not end the stream; the poll repairs what it said.
            log.exception("a push of kind %s was not handled", clean(frame.get("update_type"), 40))

    def _down(self, reason: str) -> None:
        log.warning("portfolio stream lost: %s", clean(reason))
        self._on_down(reason)
