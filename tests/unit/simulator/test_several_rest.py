"""Several orders in one call: multi-place, cancel-all, exit-all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import OPTION, SHARE, Answer, Member, place_body, write_recording
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


def line(name: str, key: str = SHARE, **changes: Any) -> dict[str, Any]:
    return {**place_body(key), "correlation_id": name, "slice": False, **changes}


async def multi(member: Member, *lines: dict[str, Any]) -> Answer:
    return await member.call("POST", "/v2/order/multi/place", body=list(lines))


async def cancel_all(member: Member, **filters: str) -> Answer:
    return await member.call("DELETE", "/v2/order/multi/cancel", params=filters, body={})


async def exit_all(member: Member, **filters: str) -> Answer:
    return await member.call("POST", "/v2/order/positions/exit", params=filters, body={})


async def book(member: Member) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await member.get("/v2/order/retrieve-all")).data
    return rows


async def test_all_buys_go_before_all_sells(member: Member) -> None:
    answer = await multi(
        member,
        line("s1", transaction_type="SELL", price=2800.0),
        line("b1", tag="one"),
        line("s2", transaction_type="SELL", price=2801.0),
        line("b2"),
    )
    assert answer.status == 200
    assert answer.body["summary"] == {"total": 4, "payload_error": 0, "success": 4, "error": 0}
    assert [row["correlation_id"] for row in answer.data] == ["b1", "b2", "s1", "s2"]
    rows = await book(member)
    assert [row["order_id"] for row in rows] == [row["order_id"] for row in answer.data]
    assert [row["transaction_type"] for row in rows] == ["BUY", "BUY", "SELL", "SELL"]
    assert rows[0]["tag"] == "one"


async def test_a_sliced_line_comes_back_numbered(member: Member) -> None:
    answer = await multi(member, line("x", OPTION, quantity=1225, price=1.0, slice=True))
    assert [row["correlation_id"] for row in answer.data] == ["x_1", "x_2", "x_3"]
    assert [row["quantity"] for row in await book(member)] == [595, 595, 35]
    assert answer.body["summary"]["total"] == 3


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"correlation_id": ""}, "UDAPI1115"),
        ({"correlation_id": "x" * 21}, "UDAPI1116"),
        ({"correlation_id": "good"}, "UDAPI1117"),
        ({"slice": None}, "UDAPI100036"),
        ({"product": "CNC"}, "UDAPI1054"),
        ({"quantity": 0}, "UDAPI1052"),
        ({"tag": "x" * 41}, "UDAPI1119"),
        ({"order_type": "MARKET", "price": 0, "market_protection": 0}, "UDAPI1158"),
        ({"instrument_token": OPTION, "quantity": 595 * 25 + 35, "slice": True, "price": 1.0}, "UDAPI1118"),
    ],
)
async def test_one_malformed_line_stops_the_whole_batch(
    member: Member, wrong: dict[str, Any], code: str
) -> None:
    answer = await multi(member, line("good"), line("bad", **wrong))
    assert (answer.status, answer.code) == (400, code)
    assert answer.body["errors"][0]["correlation_id"] == {**line("bad"), **wrong}["correlation_id"]
    assert answer.body["summary"] == {"total": 2, "payload_error": 1, "success": 0, "error": 0}
    assert await book(member) == []


async def test_the_batch_itself_must_be_an_array_of_one_to_ten(member: Member) -> None:
    assert (await multi(member)).code == "UDAPI1114"
    too_long = await multi(member, *(line(f"l{number}") for number in range(11)))
    assert (too_long.status, too_long.code) == (400, "UDAPI1118")
    assert (await member.call("POST", "/v2/order/multi/place", body={})).code == "UDAPI100036"
    assert await book(member) == []


async def test_some_lines_refused_is_207_and_all_refused_is_400(member: Member) -> None:
    await member.control("/faults", {"name": "broker-kill-switch", "args": {"segment": "NSE_FO"}})
    partly = await multi(member, line("share"), line("option", OPTION))
    assert partly.status == 207
    assert partly.body["status"] == "partial_success"
    (error,) = partly.body["errors"]
    assert (error["correlation_id"], error["error_code"]) == ("option", "UDAPI100058")
    assert partly.body["summary"] == {"total": 2, "payload_error": 0, "success": 1, "error": 1}
    wholly = await multi(member, line("option", OPTION))
    assert (wholly.status, wholly.code, wholly.body["data"]) == (400, "UDAPI100058", None)


async def test_each_line_counts_against_the_order_limit(member: Member) -> None:
    await member.control("/faults", {"name": "no-limits", "args": {"off": True}})
    assert (await multi(member, *(line(f"a{n}") for n in range(8)))).status == 200
    over = await multi(member, *(line(f"b{n}") for n in range(3)))
    assert (over.status, over.code) == (429, "UDAPI10005")
    assert (await multi(member, *(line(f"c{n}") for n in range(2)))).status == 200
    assert len(await book(member)) == 10


async def test_cancel_all_takes_filters_and_at_most_ten(member: Member) -> None:
    assert (await cancel_all(member)).code == "UDAPI1109"
    assert (await cancel_all(member, segment="NSE")).code == "UDAPI1108"
    await multi(member, line("a", tag="x"), line("b", OPTION, tag="x"), line("c", tag="y"))
    by_tag_and_segment = await cancel_all(member, tag="x", segment="NSE_FO")
    assert by_tag_and_segment.body["summary"] == {"total": 1, "success": 1, "error": 0}
    assert [row["status"] for row in await book(member)] == ["open", "cancelled", "open"]
    for number in range(9):
        await member.place(tag=f"n{number}")
    assert (await cancel_all(member)).code == "UDAPI1110"
    assert len((await cancel_all(member, tag="x")).data["order_ids"]) == 1
    assert len((await cancel_all(member)).data["order_ids"]) == 10
    assert {row["status"] for row in await book(member)} == {"cancelled"}


async def test_exit_all_buys_shorts_back_first_and_leaves_delivery(member: Member) -> None:
    assert (await exit_all(member)).code == "UDAPI1111"
    assert (await exit_all(member, segment="X")).code == "UDAPI1108"
    await member.place(**MARKET, quantity=2, product="D")
    await member.place(**MARKET, quantity=3)
    await member.place(OPTION, **MARKET, transaction_type="SELL")
    answer = await exit_all(member)
    assert answer.body["summary"] == {"total": 2, "success": 2, "error": 0}
    exits = (await book(member))[-2:]
    assert [(row["transaction_type"], row["instrument_token"], row["product"]) for row in exits] == [
        ("BUY", OPTION, "I"),
        ("SELL", SHARE, "I"),
    ]
    assert {row["status"] for row in exits} == {"complete"}
    left = {row["product"]: row["quantity"] for row in await positions(member)}
    assert left == {"D": 2, "I": 0}
    assert (await exit_all(member)).code == "UDAPI1111"


async def positions(member: Member) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await member.get("/v2/portfolio/short-term-positions")).data
    return rows


async def test_exit_all_by_tag_and_by_segment(member: Member) -> None:
    await member.place(**MARKET, quantity=3, tag="x")
    await member.place(**MARKET, quantity=2, tag="y")
    await member.place(OPTION, **MARKET, tag="y")
    assert (await exit_all(member, tag="nobody")).code == "UDAPI1111"
    assert len((await exit_all(member, tag="x")).data["order_ids"]) == 1
    assert {row["instrument_token"]: row["quantity"] for row in await positions(member)} == {
        SHARE: 2,
        OPTION: 35,
    }
    assert len((await exit_all(member, segment="NSE_FO")).data["order_ids"]) == 1
    assert {row["instrument_token"]: row["quantity"] for row in await positions(member)} == {
        SHARE: 2,
        OPTION: 0,
    }


async def test_exit_all_slices_by_the_freeze_quantity(member: Member) -> None:
    for _ in range(3):
        await member.place(OPTION, **MARKET, quantity=350)
    held = (await positions(member))[0]["quantity"]
    assert held > 595
    answer = await exit_all(member)
    quantities = [
        row["quantity"] for row in await book(member) if row["order_id"] in answer.data["order_ids"]
    ]
    assert quantities == [595, held - 595]


async def test_exit_all_works_in_market_hours_only(member: Member) -> None:
    await member.place(**MARKET, quantity=3)
    await member.control("/clock", {"jump": "15:45"})
    answer = await exit_all(member)
    assert (answer.status, answer.code) == (400, "UDAPI1113")
    assert answer.body["errors"][0]["instrument_key"] == SHARE
    assert "market hours" in answer.body["errors"][0]["message"]
