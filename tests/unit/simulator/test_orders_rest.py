"""Order writes and reads over HTTP: words, errors, slices, and what they do to account and streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import OPTION, SHARE, Member, place_body, write_recording
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

STREAM = "/v2/feed/portfolio-stream-feed"


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path), speed=None)
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"instrument_token": ""}, "UDAPI1026"),
        ({"instrument_token": "SBIN"}, "UDAPI1011"),
        ({"instrument_token": "NSE_EQ|INE000000000"}, "UDAPI100011"),
        ({"quantity": 0}, "UDAPI1052"),
        ({"quantity": -5}, "UDAPI1052"),
        ({"quantity": None}, "UDAPI1064"),
        ({"quantity": "1"}, "UDAPI100036"),
        ({"quantity": 1.5}, "UDAPI100036"),
        ({"product": "CNC"}, "UDAPI1054"),
        ({"order_type": "STOP"}, "UDAPI1004"),
        ({"validity": "GTC"}, "UDAPI1007"),
        ({"transaction_type": "B"}, "UDAPI1057"),
        ({"price": None}, "UDAPI1061"),
        ({"price": 0}, "UDAPI1061"),
        ({"price": -1}, "UDAPI100036"),
        ({"price": 1e300}, "UDAPI100036"),
        ({"is_amo": None}, "UDAPI1063"),
        ({"tag": "x" * 41}, "UDAPI1119"),
        ({"order_type": "MARKET", "price": 0, "market_protection": 0}, "UDAPI1158"),
        ({"order_type": "MARKET", "price": 0, "market_protection": 26}, "UDAPI1159"),
    ],
)
async def test_a_bad_place_is_refused_with_the_documented_code(
    member: Member, changes: dict[str, Any], code: str
) -> None:
    answer = await member.place(**changes)
    assert (answer.status, answer.code) == (400, code)
    assert (await member.get("/v2/order/retrieve-all")).data == []


async def test_a_body_that_is_no_object_is_refused(member: Member) -> None:
    for raw in (b"", b"[]", b"{", b'"x"'):
        url = member.sim.urls.order + "/v3/order/place"
        head = {"Authorization": f"Bearer {member.token}"}
        async with member.http.post(url, data=raw, headers=head) as answer:
            assert answer.status == 400
            assert (await answer.json())["errors"][0]["error_code"] == "UDAPI100036"


async def test_an_order_above_the_freeze_quantity_is_sliced_or_rejected(member: Member) -> None:
    # BANKNIFTY: freeze 600, lot 35, so 595 units an order.
    whole = await member.place(OPTION, quantity=1225, price=1.0)
    (row,) = (await member.get("/v2/order/retrieve-all")).data
    assert (row["order_id"], row["status"]) == (whole.data["order_ids"][0], "rejected")
    assert "freeze" in row["status_message"]
    sliced = (await member.place(OPTION, quantity=1225, price=1.0, slice=True, tag="s")).data["order_ids"]
    rows = {row["order_id"]: row for row in (await member.get("/v2/order/retrieve-all")).data}
    assert [rows[one]["quantity"] for one in sliced] == [595, 595, 35]
    assert {rows[one]["tag"] for one in sliced} == {"s"}
    assert (await member.place(OPTION, quantity=595 * 25 + 35, price=1.0, slice=True)).code == "UDAPI1118"


async def test_modify_and_cancel_refuse_what_cannot_be(member: Member) -> None:
    order_id = (await member.place()).data["order_ids"][0]

    async def modify(**body: Any) -> str:
        return (await member.call("PUT", "/v3/order/modify", host="order", body=body)).code

    async def cancel(query: str) -> str:
        return (await member.call("DELETE", f"/v3/order/cancel{query}", host="order", body={})).code

    assert await modify(price=1.0) == "UDAPI1003"
    assert await modify(order_id="no such") == "UDAPI1023"
    assert await modify(order_id="261121000000999") == "UDAPI100010"
    assert await modify(order_id=order_id, order_type="MARKET", price=0) == "UDAPI1158"
    assert await cancel("") == "UDAPI1010"
    assert await cancel("?order_id=a%20b") == "UDAPI1023"
    assert await cancel("?order_id=261121000000999") == "UDAPI100010"
    done = await member.call("DELETE", f"/v3/order/cancel?order_id={order_id}", host="order", body={})
    assert done.data == {"order_id": order_id}
    assert await cancel(f"?order_id={order_id}") == "UDAPI100040"
    assert await modify(order_id=order_id, price=2701.0) == "UDAPI100041"


async def test_modify_keeps_what_it_does_not_name(member: Member) -> None:
    order_id = (await member.place(quantity=3)).data["order_ids"][0]
    body = {"order_id": order_id, "price": 2699.5}
    assert (await member.call("PUT", "/v3/order/modify", host="order", body=body)).status == 200
    row = (await member.get("/v2/order/details", order_id=order_id)).data
    assert (row["price"], row["quantity"], row["order_type"], row["order_request_id"]) == (
        2699.5, 3, "LIMIT", "2",
    )  # fmt: skip


async def test_history_wants_an_id_or_a_tag(member: Member) -> None:
    assert (await member.get("/v2/order/history")).code == "UDAPI100059"
    await member.place(tag="one")
    await member.place(tag="two")
    rows = (await member.get("/v2/order/history", tag="two")).data
    assert {row["tag"] for row in rows} == {"two"}
    assert (await member.get("/v2/order/history", tag="none")).data == []


async def test_an_algo_name_that_is_not_registered_is_refused(member: Member) -> None:
    answer = await member.call(
        "DELETE", "/v3/order/cancel?order_id=1", host="order", headers={"X-Algo-Name": "mine"}
    )
    assert answer.code == "UDAPI1156"


async def test_writes_are_taken_on_both_hosts_and_counted_by_host(member: Member) -> None:
    assert (await member.call("POST", "/v3/order/place", host="main", body=place_body())).status == 200
    assert (await member.place()).status == 200
    counts = (await member.control("/state"))["requests"]
    assert (counts["POST /v3/order/place"], counts["host:order"]) == (2, 1)
    assert (await member.call("GET", "/v2/order/retrieve-all", host="order")).code == "UDAPI10000"


async def test_unknown_paths_and_methods_get_the_envelope(member: Member) -> None:
    assert (await member.get("/v2/nothing/here")).code == "UDAPI10000"
    wrong = await member.call("DELETE", "/v2/user/profile")
    assert (wrong.status, wrong.code) == (405, "UDAPI10000")
    error = wrong.body["errors"][0]
    assert {
        "errorCode",
        "error_code",
        "propertyPath",
        "property_path",
        "invalidValue",
        "invalid_value",
    } < set(error)


async def test_a_delivery_sale_uses_the_holding(member: Member) -> None:
    answer = await member.place(transaction_type="SELL", product="D", quantity=10, price=2800.0)
    assert answer.status == 200
    (holding,) = (await member.get("/v2/portfolio/long-term-holdings")).data
    assert (holding["quantity"], holding["cnc_used_quantity"]) == (25, 10)
    too_many = await member.place(transaction_type="SELL", product="D", quantity=16, price=2800.0)
    row = (await member.get("/v2/order/details", order_id=too_many.data["order_ids"][0])).data
    assert row["status"] == "rejected"


async def test_the_exchange_rate_limit_holds_for_order_writes(member: Member) -> None:
    codes = [await member.call("DELETE", "/v3/order/cancel?order_id=1", host="order") for _ in range(11)]
    assert [one.status for one in codes] == [400] * 10 + [429]
    assert codes[-1].code == "UDAPI10005"


# --- the portfolio stream ------------------------------------------------------------------------------


async def open_stream(member: Member, types: str = "") -> aiohttp.ClientWebSocketResponse:
    path = STREAM + "/authorize" + (f"?update_types={types}" if types else "")
    url = (await member.call("GET", path)).data["authorized_redirect_uri"]
    return await member.http.ws_connect(url)


async def frames(ws: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads(await ws.receive_str()) for _ in range(count)]


async def test_the_status_walk_and_the_position_are_pushed(member: Member) -> None:
    ws = await open_stream(member, "order%2Cposition")
    placed = await member.place(order_type="MARKET", price=0, market_protection=-1, quantity=2)
    got = await frames(ws, 6)
    walk = [row["status"] for row in got if row["update_type"] == "order"]
    assert walk[:3] == ["put order req received", "validation pending", "open pending"]
    assert walk[-1] == "complete"
    (position,) = [row for row in got if row["update_type"] == "position"]
    assert (position["exchange"], position["quantity"]) == ("NSE_EQ", 2)
    assert "pnl" not in position
    assert {row["order_id"] for row in got if "order_id" in row} == set(placed.data["order_ids"])
    await ws.close()


async def test_the_filter_holds_and_nothing_is_replayed(member: Member) -> None:
    await member.place(tag="before")
    ws = await open_stream(member)  # order only, the default
    await member.place(tag="after", order_type="MARKET", price=0, market_protection=-1)
    got = await frames(ws, 5)
    assert {(row["update_type"], row["tag"]) for row in got} == {("order", "after")}
    await ws.close()
    assert (await member.call("GET", STREAM + "/authorize?update_types=fills")).code == "UDAPI100036"


async def test_duplicate_and_disorder(member: Member) -> None:
    ws = await open_stream(member)
    await member.control("/faults", {"name": "duplicate"})
    await member.place()
    doubled = [row["status"] for row in await frames(ws, 8)]
    assert doubled[0::2] == doubled[1::2]
    await member.control("/faults", {"name": "none"})
    await member.control("/faults", {"name": "disorder"})
    await member.place()
    swapped = [row["status"] for row in await frames(ws, 4)]
    assert swapped[:2] == ["validation pending", "put order req received"]
    await ws.close()


async def test_the_entry_redirects_with_a_bearer_and_codes_work_once(member: Member) -> None:
    feed = member.sim.urls.feed.replace("ws://", "http://")
    head = {"Authorization": f"Bearer {member.token}"}
    async with member.http.get(feed + STREAM, headers=head, allow_redirects=False) as answer:
        assert answer.status == 302
        target = answer.headers["Location"]
    async with member.http.get(feed + STREAM, allow_redirects=False) as answer:
        assert answer.status == 401
    assert target.startswith(member.sim.urls.feed + "/upstox-developer-api/order-updates/feed?requestId=")
    ws = await member.http.ws_connect(target)
    await ws.close()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await member.http.ws_connect(target)
    assert refused.value.status == 403


@pytest.mark.parametrize(("code", "seen"), [(0, 1006), (1000, 1000)])
async def test_drop_ends_the_stream(member: Member, code: int, seen: int) -> None:
    ws = await open_stream(member)
    await member.control("/faults", {"name": "drop", "args": {"stream": "portfolio", "code": code}})
    async with asyncio.timeout(5):
        message = await ws.receive()
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert ws.close_code == seen


async def test_orders_fill_as_the_recorded_market_moves(member: Member) -> None:
    """A resting limit meets the market only once the recording plays, which a subscription starts."""
    stream = await open_stream(member)
    placed = await member.place(transaction_type="SELL", price=2720.4)
    order_id = placed.data["order_ids"][0]
    assert (await member.get("/v2/order/details", order_id=order_id)).data["status"] == "open"
    url = (await member.call("GET", "/v3/feed/market-data-feed/authorize")).data["authorized_redirect_uri"]
    async with member.http.ws_connect(url) as feed:
        ask = {"guid": "g", "method": "sub", "data": {"mode": "full", "instrumentKeys": [SHARE, OPTION]}}
        await feed.send_bytes(json.dumps(ask).encode())
        async for _ in feed:
            pass
        assert feed.close_code == 1000
    row = (await member.get("/v2/order/details", order_id=order_id)).data
    assert (row["status"], row["average_price"]) == ("complete", 2720.4)
    statuses = [frame["status"] for frame in await frames(stream, 5)]
    assert statuses[-2:] == ["open", "complete"]
    assert (await member.control("/state"))["world_ended"] is True
    await stream.close()
