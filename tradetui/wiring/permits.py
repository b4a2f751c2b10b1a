"""Which order writes a run may make: by its mode, by the base URL really used, and by the lease."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from tradetui.brokers.upstox.endpoints import Endpoint
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.permit import Permit, no_orders, real_orders, simulators_only
from tradetui.domain.view import Mode
from tradetui.storage.lease import Lease

_BY_MODE: Final[dict[Mode, Permit]] = {
    Mode.SIM: simulators_only,
    Mode.REHEARSAL: simulators_only,
    Mode.LIVE: real_orders,
}


def permit_for(mode: Mode, lease: Lease) -> Permit:
    """The permit of a run. Paper trading and replays get none: their orders are not the broker's."""
    by_mode = _BY_MODE.get(mode, no_orders)

    @contextlib.contextmanager
    def permit(endpoint: Endpoint, hosts: Hosts) -> Iterator[None]:
        with by_mode(endpoint, hosts), lease.writing():
            yield

    return permit
