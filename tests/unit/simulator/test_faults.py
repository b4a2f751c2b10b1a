"""The switchboard, and each fault as a client meets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import Member, place_body, write_recording
from tradetui.domain.errors import UsageError
from tradetui.simulator.faults import FAULTS, Faults, parse_fault
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path))
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


# --- the switchboard -----------------------------------------------------------------------------------


def test_a_fault_strikes_one_in_n_and_ends_after_its_count() -> None:
    faults = Faults()
    faults.set("429", {"every": 3, "count": 2})
    struck = [faults.strike("429") is not None for _ in range(9)]
    assert struck == [False, False, True, False, False, True, False, False, False]
    assert faults.active("429") is None
    assert faults.listing()["strikes"] == {"429": 2}


def test_a_fault_can_be_bound_to_a_path_and_switched_off() -> None:
    faults = Faults()
    faults.set("hang", {"path": "/order/"})
    assert faults.strike("hang", "/v2/user/profile") is None
    assert faults.strike("hang", "/v3/order/place") is not None
    faults.set("hang", {"off": True})
    assert faults.strike("hang", "/v3/order/place") is None


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nope", {}),
        ("delay", {"msec": 1}),
        ("delay", {"ms": "soon"}),
        ("429", {"every": 0}),
        ("429", {"count": -1}),
        ("hang", {"path": 3}),
    ],
)
def test_unknown_names_and_arguments_are_refused(name: str, args: dict[str, int | str]) -> None:
    with pytest.raises(UsageError):
        Faults().set(name, args)


def test_every_fault_is_documented() -> None:
    assert all(len(kind.what) > 15 for kind in FAULTS.values())


async def test_waiting_ends_at_the_next_switch_only() -> None:
    faults = Faults()
    faults.set("stall")
    waiting = asyncio.create_task(faults.wait_change())
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.clear("stall")
    await asyncio.wait_for(waiting, 5)


def test_the_command_line_form() -> None:
    assert parse_fault("delay:ms=250,every=2") == ("delay", {"ms": 250, "every": 2})
    assert parse_fault("drop:stream=market") == ("drop", {"stream": "market"})
    with pytest.raises(UsageError):
        parse_fault("delay:250")


# --- as a client meets them ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("401", 401, "UDAPI100050"),
        ("429", 429, "UDAPI10005"),
        ("403-static-ip", 403, "UDAPI1154"),
        ("service-hours", 423, "UDAPI100074"),
        ("maintenance-503", 503, "UDAPI100500"),
    ],
)
async def test_a_refused_order_never_reaches_the_exchange(
    member: Member, fault: str, status: int, code: str
) -> None:
    await member.control("/faults", {"name": fault})
    answer = await member.place()
    assert (answer.status, answer.code) == (status, code)
    assert (await member.control("/state"))["orders"] == []
    await member.control("/faults", {"name": "none"})
    assert (await member.place()).status == 200


async def test_reads_pass_where_only_order_writes_are_refused(member: Member) -> None:
    await member.control("/faults", {"name": "403-static-ip"})
    assert (await member.get("/v2/order/retrieve-all")).status == 200


async def test_the_edge_answers_without_an_envelope(member: Member) -> None:
    url = member.sim.urls.main + "/v2/user/profile"
    head = {"Authorization": f"Bearer {member.token}"}
    for fault, status, kind, needle in (
        ("html-403", 403, "text/html", "Error 1010"),
        ("empty-400", 400, "text/plain", ""),
    ):
        await member.control("/faults", {"name": fault, "args": {"count": 1}})
        async with member.http.get(url, headers=head) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (status, kind)
            assert (needle in text) if needle else text == ""
        assert (await member.get("/v2/user/profile")).status == 200


@pytest.mark.parametrize(("fault", "orders"), [("lost-ack-before", 0), ("lost-ack-after", 1)])
async def test_a_lost_acknowledgement_hides_whether_the_order_exists(
    member: Member, fault: str, orders: int
) -> None:
    await member.control("/faults", {"name": fault, "args": {"count": 1}})
    with pytest.raises(aiohttp.ClientConnectionError):
        await member.place(tag="lost")
    assert len((await member.control("/state"))["orders"]) == orders
    found = await member.get("/v2/order/history", tag="lost")
    assert bool(found.data) == bool(orders)


@pytest.mark.parametrize(("after", "orders"), [(0, 0), (1, 1)])
async def test_a_hung_order_is_never_answered(member: Member, after: int, orders: int) -> None:
    await member.control("/faults", {"name": "hang", "args": {"after": after, "path": "/order/place"}})
    url = member.sim.urls.order + "/v3/order/place"
    head = {"Authorization": f"Bearer {member.token}"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), member.http.post(url, json=place_body(), headers=head):
            pass
    assert len((await member.control("/state"))["orders"]) == orders


async def test_lifting_a_hang_drops_who_waits(member: Member) -> None:
    # A POST, since HTTP clients silently repeat a GET whose connection drops.
    await member.control("/faults", {"name": "hang"})
    waiting = asyncio.create_task(member.place())
    while "hang" not in (await member.control("/state"))["faults"]["strikes"]:
        assert not waiting.done()
    await member.control("/faults", {"name": "none"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await asyncio.wait_for(waiting, 5)


async def test_a_delayed_answer_is_late_and_right(member: Member) -> None:
    loop = asyncio.get_running_loop()
    await member.control("/faults", {"name": "delay", "args": {"ms": 120}})
    started = loop.time()
    assert (await member.get("/v2/user/profile")).status == 200
    assert loop.time() - started >= 0.12


async def test_every_second_order_is_rejected_after_its_acknowledgement(member: Member) -> None:
    await member.control("/faults", {"name": "reject", "args": {"every": 2, "message": "RMS: no"}})
    ids = [(await member.place()).data["order_ids"][0] for _ in range(2)]
    rows = {row["order_id"]: row for row in (await member.get("/v2/order/retrieve-all")).data}
    assert [rows[one]["status"] for one in ids] == ["open", "rejected"]
    assert rows[ids[1]]["status_message"] == "RMS: no"


async def test_protection_is_needed_unless_the_rule_is_lifted(member: Member) -> None:
    bare: dict[str, Any] = {"order_type": "MARKET", "price": 0}
    assert (await member.place(**bare)).code == "UDAPI1158"
    await member.control("/faults", {"name": "lax-protection"})
    assert (await member.place(**bare)).status == 200


async def test_a_new_token_ends_the_old_one_only_on_the_switch(member: Member) -> None:
    first = member.token
    second = await member.login()
    assert member.sim.state.tokens.valid(first)
    await member.control("/faults", {"name": "single-token"})
    third = await member.login()
    valid = member.sim.state.tokens.valid
    assert [valid(first), valid(second), valid(third)] == [False, False, True]


async def test_a_wrong_fault_is_explained(member: Member) -> None:
    told = await member.control("/faults", {"name": "nope"})
    assert "no fault named 'nope'" in told["error"]
    known = (await member.control("/faults"))["known"]
    assert set(known) == set(FAULTS)
