"""After-market orders by the clock, and the hours in which orders and funds are served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import Member, place_body
from tradetui.domain.instrument import InstrumentKind
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

EVENING, NIGHT, NEXT_DAY = "2026-11-18T19:00:00", "2026-11-19T02:00:00", "2026-11-19"


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    """The synthetic world in the evening after its session, standing still."""
    options = SimOptions(
        auto_approve=True, speed=0, day=date(2026, 11, 18), jump_to_open=True, faults=("no-limits",),
        state_file=tmp_path / "kept.json",
    )  # fmt: skip
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        await jump(one, EVENING)
        yield one


async def jump(member: Member, moment: str) -> None:
    await member.control("/clock", {"jump": moment})
    await member.login()


def share(member: Member) -> tuple[str, float]:
    """A share and a price below its last one, on its tick."""
    listed = member.sim.venue.instruments.values()
    one = next(one for one in listed if one.kind is InstrumentKind.EQUITY and one.isin)
    tick = one.tick_size / 10_000
    return one.key, round(round(0.97 * member.sim.venue.last_of(one.key) / tick) * tick, 2)


async def place(member: Member, **changes: Any) -> str:
    key, price = share(member)
    answer = await member.place(key, **{"price": price, **changes})
    return str(answer.data["order_ids"][0])


async def row(member: Member, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await member.get("/v2/order/details", order_id=order_id)).data
    return found


async def walk(member: Member, order_id: str) -> list[str]:
    return [step["status"] for step in (await member.get("/v2/order/history", order_id=order_id)).data]


async def test_out_of_hours_an_order_waits_whatever_is_amo_says(member: Member) -> None:
    for said in (True, False):
        waiting = await row(member, await place(member, is_amo=said))
        assert (waiting["status"], waiting["variety"], waiting["is_amo"]) == (
            "after market order req received", "AMO", True,
        )  # fmt: skip
    assert (await member.get("/v2/user/get-funds-and-margin")).data["equity"]["used_margin"] == 0


async def test_in_market_hours_is_amo_is_ignored(member: Member) -> None:
    await jump(member, f"{NEXT_DAY}T10:00:00")
    placed = await row(member, await place(member, is_amo=True))
    assert (placed["status"], placed["variety"], placed["is_amo"]) == ("open", "SIMPLE", False)


async def test_it_is_let_in_at_the_next_open(member: Member) -> None:
    limit = await place(member)
    market = await place(member, order_type="MARKET", price=0, market_protection=-1)
    await jump(member, f"{NEXT_DAY}T08:55:00")
    assert (await row(member, limit))["status"] == "after market order req received"
    await jump(member, f"{NEXT_DAY}T09:03:00")
    assert (await row(member, limit))["status"] == "open"
    # The pre-open takes no stops and, by our calendar's first minutes, no bare market orders from here.
    assert (await row(member, market))["status"] == "after market order req received"
    await jump(member, f"{NEXT_DAY}T09:20:00")
    assert "after market" not in (await row(member, market))["status"]
    assert await walk(member, limit) == [
        "put order req received", "after market order req received", "validation pending",
        "open pending", "open",
    ]  # fmt: skip
    assert {one["order_id"] for one in (await member.get("/v2/order/retrieve-all")).data} == {limit, market}
    assert (await row(member, limit))["is_amo"] is True


async def test_it_can_be_modified_and_cancelled_while_it_waits(member: Member) -> None:
    order_id = await place(member, quantity=3)
    _, price = share(member)
    body = {"order_id": order_id, "quantity": 2, "price": price}
    assert (await member.call("PUT", "/v3/order/modify", host="order", body=body)).status == 200
    assert (await row(member, order_id))["quantity"] == 2
    done = await member.call("DELETE", f"/v3/order/cancel?order_id={order_id}", host="order", body={})
    assert done.status == 200
    assert await walk(member, order_id) == [
        "put order req received", "after market order req received",
        "modify after market order req received", "after market order req received",
        "cancelled after market order",
    ]  # fmt: skip
    again = await member.call("DELETE", f"/v3/order/cancel?order_id={order_id}", host="order", body={})
    assert again.code == "UDAPI100040"


async def test_cancel_all_reaches_it(member: Member) -> None:
    order_id = await place(member)
    answer = await member.call("DELETE", "/v2/order/multi/cancel", body={})
    assert answer.data["order_ids"] == [order_id]


async def test_it_is_judged_when_it_is_let_in(member: Member) -> None:
    too_dear = await place(member, product="D", quantity=50_000)
    ioc = await place(member, validity="IOC")
    assert (await row(member, ioc))["status"] == "rejected"
    assert "IOC" in (await row(member, ioc))["status_message"]
    await jump(member, f"{NEXT_DAY}T09:20:00")
    refused = await row(member, too_dear)
    assert refused["status"] == "rejected"
    assert "margin" in refused["status_message"]


async def test_a_restart_keeps_it_waiting(member: Member) -> None:
    order_id = await place(member)
    options = replace(member.sim.options, jump_to_open=False)
    await member.sim.close()
    async with SimulatorServer(options) as sim:
        again = Member(sim, member.http)
        await again.login()
        assert (await row(again, order_id))["status"] == "after market order req received"
        await jump(again, f"{NEXT_DAY}T09:20:00")
        assert (await row(again, order_id))["status"] in ("open", "complete")


async def test_orders_and_funds_are_served_from_half_past_five_to_midnight(member: Member) -> None:
    await jump(member, NIGHT)
    key, price = share(member)
    refused = await member.call("POST", "/v3/order/place", host="order", body=place_body(key, price=price))
    assert (refused.status, refused.code) == (423, "UDAPI100074")
    assert (await member.call("POST", "/v2/order/multi/place", body=[])).code == "UDAPI100074"
    assert (await member.get("/v2/user/get-funds-and-margin")).code == "UDAPI100072"
    assert (await member.get("/v2/user/profile")).status == 200
    await jump(member, f"{NEXT_DAY}T05:30:00")
    assert (await row(member, await place(member)))["variety"] == "AMO"
    assert (await member.get("/v2/user/get-funds-and-margin")).status == 200
