"""The end of a login, a broker that says "too many", and the connection that waits for the first order."""

from __future__ import annotations

import base64
import json
from datetime import date

import pytest

from tests.fixtures.raw_server import http, raw_server
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.governor import Lane
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.tokens import AccessToken, make_token
from tradetui.domain.calendar import ns
from tradetui.domain.errors import AuthError, RateLimited

OK = http(200, '{"status":"success","data":{"order_ids":["1"]}}')
TOO_MANY = http(429, '{"status":"error","errors":[{"error_code":"UDAPI10005","message":"too many"}]}')
DIES_NS = ns(date(2025, 12, 16), "03:30")


def jwt(hosts: Hosts, expires_ns: int) -> AccessToken:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "U1", "exp": expires_ns // 10**9}).encode()).decode()
    return make_token(f"h.{claims}.s", hosts, 0)


async def test_R7_no_order_leaves_with_a_token_that_has_ended() -> None:
    now = [DIES_NS - 5 * 60 * 10**9]  # 03:25
    async with raw_server(OK) as server:
        api = UpstoxApi(server.hosts, jwt(server.hosts, DIES_NS), now_ns=lambda: now[0])
        await api.call(ep.PLACE, body={})
        now[0] = DIES_NS
        with pytest.raises(AuthError, match=r"not sent: the login at .* ended Tue 16 Dec 03:30 IST"):
            await api.call(ep.PLACE, body={})
        with pytest.raises(AuthError, match="ended"):
            await api.call(ep.ORDER_BOOK)
        assert len(server.asked) == 1
        # Our clock may be wrong, and a position must stay closable: the broker says no to a dead token by itself.
        await api.call(ep.CANCEL, query=[("order_id", "1")], lane=Lane.EXIT)
        api.use_token(jwt(server.hosts, DIES_NS + 86_400 * 10**9))
        assert api.login_ended == ""
        await api.call(ep.PLACE, body={})
        assert len(server.asked) == 3
        await api.close()


async def test_a_429_of_the_broker_makes_ordinary_orders_pause_and_leaves_reads_alone() -> None:
    async with raw_server(TOO_MANY, OK) as server:
        api = UpstoxApi(server.hosts, server.token)
        with pytest.raises(RateLimited):
            await api.call(ep.PLACE, body={})
        with pytest.raises(RateLimited, match="too fast"):
            await api.call(ep.PLACE, body={}, max_wait_s=5)
        await api.call(ep.ORDER_BOOK)
        assert api.governor.budget().pause_s > 25
        assert len(server.asked) == 2
        await api.close()


async def test_a_warm_connection_is_open_before_the_first_order_and_carries_it() -> None:
    async with raw_server(OK) as server:
        api = UpstoxApi(server.hosts, server.token)
        told: list[str] = []
        api.on_wire = lambda endpoint, _t_ns: told.append(endpoint.path)
        assert api._transport.warm()
        pool = api._transport._ready().rest_client.pool_manager.connection_from_url(server.hosts.order)
        assert pool.num_connections == 1
        assert not server.asked
        await api.call(ep.PLACE, body={})
        assert pool.num_connections == 1
        assert told == [ep.PLACE.path]
        assert api._transport.warm()
        await api.close()


async def test_a_host_that_is_away_cannot_be_warmed_and_that_is_no_error() -> None:
    async with raw_server(OK) as server:
        hosts, token = server.hosts, server.token
    api = UpstoxApi(hosts, token, connect_s=0.2)
    assert not api._transport.warm()
    await api.close()
