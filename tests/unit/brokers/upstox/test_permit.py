"""No order write reaches a real exchange without a permit, whatever called for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import transport as wire
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.endpoints import Endpoint
from tradetui.brokers.upstox.hosts import LIVE, Hosts
from tradetui.brokers.upstox.permit import (
    NotPermitted,
    needs_permit,
    no_live_orders,
    no_orders,
    real_orders,
    simulators_only,
)
from tradetui.brokers.upstox.tokens import make_token
from tradetui.storage.lease import Fenced

LOCAL = Hosts("http://127.0.0.1:9", "http://127.0.0.1:9", "ws://127.0.0.1:9", "http://127.0.0.1:9")
WRITES = [
    one
    for one in vars(ep).values()
    if isinstance(one, Endpoint) and one.write and one not in (ep.TOKEN, ep.LOGOUT)
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have left: the SDK's client is replaced, so nothing can."""
    left: list[str] = []

    def send(
        self: wire.Transport, client: Any, endpoint: Endpoint, *rest: Any
    ) -> tuple[int, dict[str, str], bytes]:
        left.append(endpoint.path)
        return 200, {"Content-Type": "application/json"}, b'{"status":"success","data":{}}'

    monkeypatch.setattr(wire.Transport, "_send", send)
    return left


@pytest.mark.parametrize("endpoint", WRITES, ids=lambda one: f"{one.method} {one.path}")
async def test_a_write_to_a_real_exchange_needs_a_permit(endpoint: Endpoint, sent: list[str]) -> None:
    assert needs_permit(endpoint)
    api = UpstoxApi(LIVE, make_token("t", LIVE, 0))
    with pytest.raises(NotPermitted, match="this run is not live"):
        await api.call(endpoint, path={"gtt_id": "1", "key": "k"})
    assert sent == []
    await api.call(ep.PROFILE)
    await api.close()
    assert sent == [ep.PROFILE.path], "reads need none"


@pytest.mark.parametrize(
    ("permit", "hosts", "allowed"),
    [
        (no_live_orders, LIVE, False),
        (no_live_orders, LOCAL, True),
        (no_live_orders, Hosts.sandbox(), True),
        (simulators_only, LIVE, False),
        (simulators_only, Hosts.sandbox(), False),
        (simulators_only, LOCAL, True),
        (no_orders, LIVE, False),
        (no_orders, LOCAL, False),
        (real_orders, LIVE, True),
        (real_orders, LOCAL, False),
    ],
)
async def test_each_mode_has_its_hosts(permit: Any, hosts: Hosts, allowed: bool, sent: list[str]) -> None:
    api = UpstoxApi(hosts, make_token("t", hosts, 0), permit=permit)
    if allowed:
        await api.call(ep.PLACE, body={})
    else:
        with pytest.raises(NotPermitted):
            await api.call(ep.PLACE, body={})
    await api.close()
    assert sent == ([ep.PLACE.path] if allowed else [])


async def test_a_permit_is_held_while_the_request_is_under_way(sent: list[str]) -> None:
    held: list[str] = []

    @contextlib.contextmanager
    def permit(endpoint: Endpoint, hosts: Hosts) -> Iterator[None]:
        held.append(f"before: {len(sent)} sent")
        yield
        held.append(f"after: {len(sent)} sent")

    api = UpstoxApi(LOCAL, make_token("t", LOCAL, 0), permit=permit)
    await api.call(ep.CANCEL)
    await api.close()
    assert held == ["before: 0 sent", "after: 1 sent"]


async def test_whoever_was_overtaken_sends_nothing(sent: list[str]) -> None:
    @contextlib.contextmanager
    def permit(endpoint: Endpoint, hosts: Hosts) -> Iterator[None]:
        if endpoint.write:
            raise Fenced("not sent: the watchdog has taken over")
        yield

    api = UpstoxApi(LOCAL, make_token("t", LOCAL, 0), permit=permit)
    with pytest.raises(Fenced):
        await api.call(ep.PLACE, body={})
    await api.close()
    assert sent == []
