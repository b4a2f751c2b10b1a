"""A simulated day survives the simulator's end."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import Member, write_recording
from tradetui.domain.errors import UsageError
from tradetui.simulator.keep import load
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


async def account(member: Member) -> dict[str, Any]:
    """Everything REST tells about the account."""
    paths = (
        "/v2/order/retrieve-all",
        "/v2/order/trades/get-trades-for-day",
        "/v2/portfolio/short-term-positions",
        "/v2/portfolio/long-term-holdings",
        "/v2/user/get-funds-and-margin",
        "/v2/order/history?tag=t1",
    )
    return {path: (await member.call("GET", path)).data for path in paths}


async def test_orders_trades_positions_and_clock_come_back(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "sim.json"
    options = SimOptions(
        auto_approve=True, replay=write_recording(tmp_path), state_file=file, faults=("no-limits",)
    )
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        await member.place(order_type="MARKET", price=0, market_protection=-1, quantity=4)
        await member.place(transaction_type="SELL", product="D", quantity=5, price=2800.0)
        resting = (await member.place()).data["order_ids"][0]
        await member.control("/clock", {"jump": "10:01"})
        before = await account(member)
        left_ms = (await member.control("/clock"))["now_ms"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        assert await account(member) == before
        assert (await member.control("/clock"))["now_ms"] >= left_ms
        cancelled = await member.call("DELETE", f"/v3/order/cancel?order_id={resting}", host="order")
        assert cancelled.data["order_id"] == resting
        fresh = (await member.place()).data["order_ids"][0]
        assert fresh not in {row["order_id"] for row in before["/v2/order/retrieve-all"]}


async def test_another_world_starts_afresh(tmp_path: Path) -> None:
    file, folder, other = tmp_path / "sim.json", tmp_path / "a", tmp_path / "b"
    for one in (folder, other):
        one.mkdir()
        write_recording(one)
    for source, orders in ((folder, 0), (other, 0)):
        options = SimOptions(auto_approve=True, replay=source, state_file=file)
        async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
            member = Member(sim, session)
            await member.login()
            assert len((await member.get("/v2/order/retrieve-all")).data) == orders
            await member.place()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sim.json"
    assert load(file) is None
    for text in ("", "{}", '{"format": 9}', "[1]"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"sim\.json"):
            load(file)
