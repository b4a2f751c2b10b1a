"""The last look before an order write leaves: may this program write orders to this host now?

Asked on the thread that sends, right before the bytes go, with the base URLs that are really used. It fails
closed: without a permit nothing that can reach a real exchange is sent, whatever called for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from tradetui.brokers.upstox.endpoints import Endpoint
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.domain.errors import BrokerError

Permit = Callable[[Endpoint, Hosts], AbstractContextManager[None]]
"""Entered before a write leaves, left when it is answered; raises `BrokerError` or `StorageError` to stop it."""


class NotPermitted(BrokerError):
    """An order write that this run may not make; nothing was sent."""


def needs_permit(endpoint: Endpoint) -> bool:
    """Whether a call changes the account. Login and logout do not."""
    return endpoint.write and not endpoint.public and "/logout" not in endpoint.path


def no_live_orders(endpoint: Endpoint, hosts: Hosts) -> AbstractContextManager[None]:
    """What holds where nobody gave a permit: simulators and the sandbox only.

    Raises:
        NotPermitted: The host leads to a real exchange.
    """
    if hosts.is_live:
        raise NotPermitted(
            f"not sent: {endpoint.method} {endpoint.path} would reach a real exchange, and this run is not live",
            "",
            0,
            "live orders need `tradetui run --live`, and arming",
        )
    return contextlib.nullcontext()


def simulators_only(endpoint: Endpoint, hosts: Hosts) -> AbstractContextManager[None]:
    """For simulation and rehearsal.

    Raises:
        NotPermitted: The host is not on this machine.
    """
    if not hosts.is_loopback or hosts.is_live:
        raise NotPermitted(f"not sent: {hosts.label} is not a simulator on this machine")
    return contextlib.nullcontext()


def no_orders(endpoint: Endpoint, hosts: Hosts) -> AbstractContextManager[None]:
    """For paper trading and replays: their orders are not the broker's.

    Raises:
        NotPermitted: Always.
    """
    raise NotPermitted(
        f"not sent: {endpoint.method} {endpoint.path} at {hosts.label}: this run trades on paper"
    )


def real_orders(endpoint: Endpoint, hosts: Hosts) -> AbstractContextManager[None]:
    """For live trading.

    Raises:
        NotPermitted: The host is on this machine: a live login has no business there.
    """
    if hosts.is_loopback:
        raise NotPermitted(f"not sent: {hosts.label} is on this machine, and this run is live")
    return contextlib.nullcontext()
