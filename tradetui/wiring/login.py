"""The login of a run, and how the run goes on with a new one (`upstox.md` 1.6: every token ends at 03:30 IST).

``tradetui auth`` in another terminal puts a new token into the keyring; a run whose token has ended or was refused
looks there every few seconds. A simulator on this machine is logged in to again at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.auth import login_simulator
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.brokers.upstox.vault import Vault
from tradetui.domain.errors import AuthError
from tradetui.ports import Broker

FindToken = Callable[[], Awaitable[AccessToken | None]]
"""The newest login that is kept for the account; may block on a thread of its own."""


def token_finder(hosts: Hosts) -> FindToken:
    """Where a new login at these hosts comes from: a simulator's own dialog, or the keyring."""

    async def from_simulator() -> AccessToken | None:
        return (await login_simulator(hosts.main)).token

    async def from_keyring() -> AccessToken | None:
        return await asyncio.to_thread(Vault(hosts.label).load_token)

    return from_simulator if hosts.is_loopback else from_keyring


class Login:
    """The token of a run.

    Args:
        api: Carries the token.
        broker: Has a stream of its own that must hear of a new one.
        find: Where new tokens come from.
        now_ns: Clock of the host's world, UTC ns.
    """

    def __init__(self, api: UpstoxApi, broker: Broker, find: FindToken, now_ns: Callable[[], int]) -> None:
        self._api = api
        self._broker = broker
        self._find = find
        self._now_ns = now_ns

    @property
    def api(self) -> UpstoxApi:
        """What carries it."""
        return self._api

    @property
    def label(self) -> str:
        """Host that it is a login of, for people."""
        return self._api.hosts.label

    @property
    def ended(self) -> str:
        """Why the token is of no use any more, in words; empty while it is not known to be."""
        return self._api.login_ended

    @property
    def expires_ns(self) -> int:
        """When the token in use ends, UTC ns; 0 when there is none."""
        return self._api.token.expires_ns if self._api.token is not None else 0

    async def look(self) -> AccessToken | None:
        """A token that is not the one in use and still good; ``None`` when there is no such.

        Raises:
            AuthError: The place where tokens are kept cannot be read, or the login there is another user's.
            TransportError: The simulator cannot be reached.
        """
        found = await self._find()
        used = self._api.token
        if found is None or found.expired(self._now_ns()):
            return None
        if used is not None and found.secret.reveal() == used.secret.reveal():
            return None
        if used is not None and used.user_id and found.user_id and used.user_id != found.user_id:
            raise AuthError("the new login is another user's", "End this run, then start it again")
        return found

    def use(self, token: AccessToken) -> None:
        """Go on with another token: requests, and the broker's stream.

        Raises:
            AuthError: It was issued by another host.
        """
        if isinstance(self._broker, UpstoxBroker):
            self._broker.use_token(token)
        else:
            self._api.use_token(token)
