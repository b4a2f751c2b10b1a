"""A simulated day survives the simulator's end."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import SHARE, Member, write_recording
from tradetui.domain.calendar import ist_date, ist_datetime
from tradetui.domain.errors import UsageError
from tradetui.domain.money import to_money, to_price
from tradetui.domain.order import Product, Side
from tradetui.domain.position import Position
from tradetui.simulator.keep import Kept, load, without_expired
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


async def test_O17_a_gtt_is_kept_and_triggers_while_nobody_is_connected(tmp_path: Path) -> None:
    options = SimOptions(
        auto_approve=True,
        replay=write_recording(tmp_path),
        state_file=tmp_path / "sim.json",
        faults=("no-limits",),
    )
    rules = [
        {"strategy": "ENTRY", "trigger_type": "IMMEDIATE", "trigger_price": 2720.3},
        {"strategy": "TARGET", "trigger_type": "IMMEDIATE", "trigger_price": 2790.0},
        {
            "strategy": "STOPLOSS",
            "trigger_type": "IMMEDIATE",
            "trigger_price": 2690.0,
            "market_protection": -1,
        },
    ]
    body = {
        "type": "MULTIPLE", "quantity": 2, "product": "D", "instrument_token": SHARE, "transaction_type": "BUY",
        "rules": rules,
    }  # fmt: skip
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        gtt_id = (await member.call("POST", "/v3/order/gtt/place", body=body)).data["gtt_order_ids"][0]
        (before,) = (await member.get("/v3/order/gtt")).data
        assert [one["status"] for one in before["rules"]] == ["COMPLETED", "OPEN", "OPEN"]
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        assert (await member.get("/v3/order/gtt")).data == [before]
        await member.control(
            "/price", {"instrument_key": SHARE, "price": 2689.0, "bids": [[2689.0, 50]], "hold": True}
        )
        (after,) = (await member.get("/v3/order/gtt", gtt_order_id=gtt_id)).data
        assert [one["status"] for one in after["rules"]] == ["COMPLETED", "CANCELLED", "COMPLETED"]
        children = [row for row in (await member.get("/v2/order/retrieve-all")).data if row["tag"] is None]
        assert [row["transaction_type"] for row in children] == ["BUY", "SELL"]
        fresh = (await member.call("POST", "/v3/order/gtt/place", body=body)).data["gtt_order_ids"][0]
        assert fresh != gtt_id


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


async def test_a_market_left_after_its_close_goes_on_at_the_next_open(tmp_path: Path) -> None:
    options = SimOptions(
        auto_approve=True, jump_to_open=True, variant="thin", speed=0, state_file=tmp_path / "sim.json"
    )
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        before = (await member.get("/v2/portfolio/long-term-holdings")).data[0]
        key = before["instrument_token"]
        await member.control("/clock", {"jump": "10:00"})
        await member.place(key, order_type="MARKET", price=0, market_protection=-1, product="D", quantity=2)
        first = (await member.get("/v2/order/retrieve-all")).data
        await member.control("/clock", {"jump": "20:00"})
        left = ist_date(sim.state.clock.now_ns())
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        now_ns = sim.state.clock.now_ns()
        assert ist_date(now_ns) > left
        assert f"{ist_datetime(now_ns):%H:%M}" == "09:15"
        assert (await member.get("/v2/portfolio/short-term-positions")).data == [], "delivered meanwhile"
        after = (await member.get("/v2/portfolio/long-term-holdings")).data[0]
        assert (after["quantity"], after["t1_quantity"]) == (before["quantity"] + before["t1_quantity"], 2)
        assert (await member.get("/v2/order/retrieve-all")).data == []
        assert first[0]["status"] == "complete"


def test_contracts_that_ended_lapse_into_cash() -> None:
    bought = Position("NSE_FO|1", Product.DELIVERY).apply(Side.BUY, 35, to_price(10))
    kept_share = Position("NSE_EQ|INE118H01025", Product.INTRADAY).apply(Side.BUY, 1, to_price(100))
    kept = Kept("w", 0, to_money(1000), (bought, kept_share))
    left = without_expired(kept, {"NSE_EQ|INE118H01025"})
    assert left.positions == (kept_share,)
    assert left.opening == to_money(650)
