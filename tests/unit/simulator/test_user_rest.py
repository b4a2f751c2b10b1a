"""Static IP and kill switch: what they refuse, and what they do to orders and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import OPTION, SHARE, Answer, Member, write_recording
from tradetui.domain.money import to_price
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

MARKET: dict[str, Any] = {"order_type": "MARKET", "price": 0, "market_protection": -1}


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path), faults=("no-limits",))
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


async def switch(member: Member, **actions: str) -> Answer:
    rows = [{"segment": segment, "action": action} for segment, action in actions.items()]
    return await member.call("POST", "/v2/user/kill-switch", body=rows)


async def locked(member: Member) -> set[str]:
    rows = (await member.get("/v2/user/kill-switch")).data
    return {row["segment"] for row in rows if row["kill_switch_enabled"]}


async def test_a_switched_off_segment_cancels_and_refuses_orders(member: Member) -> None:
    resting = (await member.place(OPTION)).data["order_ids"][0]
    share = (await member.place(SHARE)).data["order_ids"][0]
    assert (await switch(member, NSE_FO="DISABLE")).status == 200
    assert await locked(member) == {"NSE_FO"}
    states = {row["order_id"]: row["status"] for row in (await member.get("/v2/order/retrieve-all")).data}
    assert states == {resting: "cancelled", share: "open"}
    refused = await member.place(OPTION)
    assert (refused.status, refused.code) == (400, "UDAPI100058")
    assert "NSE_FO" in refused.body["errors"][0]["message"]
    assert (await member.place(SHARE)).status == 200


async def test_open_positions_forbid_it_and_a_request_is_all_or_nothing(member: Member) -> None:
    await member.place(SHARE, **MARKET)
    resting = (await member.place(OPTION)).data["order_ids"][0]
    answer = await switch(member, NSE_FO="DISABLE", NSE_EQ="DISABLE")
    assert (answer.status, answer.code) == (400, "UDAPI1184")
    assert await locked(member) == set()
    assert (await member.get("/v2/order/details", order_id=resting)).data["status"] == "open"


async def test_it_stays_off_twelve_hours_and_opens_with_a_new_token(member: Member) -> None:
    await switch(member, NSE_FO="DISABLE")
    assert (await switch(member, NSE_FO="ENABLE")).code == "UDAPI1185"
    await member.control("/clock", {"jump": "2025-12-15T21:50:00"})
    assert (await switch(member, NSE_FO="ENABLE")).code == "UDAPI1185"
    await member.control("/clock", {"jump": "2025-12-15T22:05:00"})
    assert (await switch(member, NSE_FO="ENABLE")).status == 200
    assert await locked(member) == set()
    assert (await member.place(OPTION)).code == "UDAPI100058"
    await member.login()
    assert (await member.place(OPTION)).status == 200


async def test_a_pending_order_that_fills_instead_stops_it(member: Member) -> None:
    await member.place(OPTION)
    await member.control("/faults", {"name": "late-cancel", "args": {"count": 1}})
    assert (await switch(member, NSE_FO="DISABLE")).code == "UDAPI1187"
    assert await locked(member) == set()
    assert (await switch(member, NSE_FO="DISABLE")).code == "UDAPI1184"


@pytest.mark.parametrize(
    ("segment", "action", "code"),
    [
        ("NSE", "DISABLE", "UDAPI1186"),
        ("NSE_FO", "OFF", "UDAPI1188"),
        ("MCX_FO", "DISABLE", "UDAPI100058"),
    ],
)
async def test_words_it_does_not_know_are_refused(
    member: Member, segment: str, action: str, code: str
) -> None:
    assert (await switch(member, **{segment: action})).code == code
    assert (await member.call("POST", "/v2/user/kill-switch", body=[])).code == "UDAPI100036"


async def test_the_broker_may_pull_it_with_positions_open(member: Member) -> None:
    await member.place(OPTION, **MARKET)
    await member.control("/faults", {"name": "broker-kill-switch", "args": {"segment": "NSE_FO"}})
    assert await locked(member) == {"NSE_FO"}
    assert (await member.place(OPTION, **MARKET, transaction_type="SELL")).code == "UDAPI100058"
    wrong = await member.control("/faults", {"name": "broker-kill-switch", "args": {"segment": "X"}})
    assert "no segment" in wrong["error"]


async def test_a_gtt_that_fires_in_a_locked_segment_fails(member: Member) -> None:
    gtt = {
        "type": "SINGLE", "quantity": 1, "product": "D", "instrument_token": SHARE,
        "transaction_type": "BUY",
        "rules": [{"strategy": "ENTRY", "trigger_type": "ABOVE", "trigger_price": 2725.0}],
    }  # fmt: skip
    placed = await member.call("POST", "/v3/order/gtt/place", body=gtt)
    await member.control("/faults", {"name": "broker-kill-switch", "args": {"segment": "NSE_EQ"}})
    assert (await member.call("POST", "/v3/order/gtt/place", body=gtt)).code == "UDAPI100058"
    venue = member.sim.venue
    venue.exchange.external_trade(SHARE, to_price(2726.0), 1, venue.now_ns())
    (row,) = (await member.get("/v3/order/gtt", gtt_order_id=placed.data["gtt_order_ids"][0])).data
    assert row["rules"][0]["status"] == "FAILED"
    assert "switched off" in row["rules"][0]["message"]


async def change_ip(member: Member, **body: str) -> Answer:
    return await member.call("PUT", "/v2/user/ip", body=body)


async def test_a_new_static_ip_ends_tokens_and_shuts_this_machine_out(member: Member) -> None:
    answer = await change_ip(member, primary_ip="203.0.113.7")
    assert answer.data["access_tokens_invalidated"] is True
    assert (await member.get("/v2/user/profile")).code == "UDAPI100050"
    await member.login()
    assert (await member.get("/v2/user/ip")).data["primary_ip"] == "203.0.113.7"
    refused = await member.place()
    assert (refused.status, refused.code) == (403, "UDAPI1154")
    for method, path in (
        ("POST", "/v2/order/multi/place"),
        ("DELETE", "/v2/order/multi/cancel"),
        ("POST", "/v2/order/positions/exit"),
    ):
        assert (await member.call(method, path, body=[])).code == "UDAPI1154"
    assert (await member.get("/v2/order/retrieve-all")).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "UDAPI1182"),
        ({"primary_ip": "localhost"}, "UDAPI1183"),
        ({"primary_ip": "203.0.113.7", "secondary_ip": "300.1.1.1"}, "UDAPI1183"),
        ({"primary_ip": "203.0.113.7", "secondary_ip": "203.0.113.7"}, "UDAPI1184"),
    ],
)
async def test_a_bad_address_is_refused(member: Member, body: dict[str, str], code: str) -> None:
    assert (await change_ip(member, **body)).code == code


async def test_the_address_changes_once_in_a_calendar_week(member: Member) -> None:
    assert (await change_ip(member, primary_ip="127.0.0.1", secondary_ip="2001:db8::1")).status == 200
    await member.login()
    assert (await change_ip(member, primary_ip="127.0.0.1")).code == "UDAPI1185"
    await member.control("/clock", {"jump": "2025-12-22T10:00:00"})  # the next Monday
    await member.login()
    assert (await change_ip(member, primary_ip="127.0.0.1")).status == 200
