"""Which world runs, when it begins, and what a new day changes."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.simulated import SHARE, Member, write_recording
from tradetui.domain.calendar import Calendar, ns
from tradetui.domain.errors import UsageError
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.start import build_world, start_of
from tradetui.simulator.state import SimOptions

FRIDAY = date(2026, 11, 20)
SATURDAY_NOON = ns(date(2026, 11, 21), "12:00")


def test_the_synthetic_world_begins_now_at_the_last_open_or_on_a_date() -> None:
    calendar = Calendar.default()
    assert start_of(SimOptions(), calendar, SATURDAY_NOON) == SATURDAY_NOON
    assert start_of(SimOptions(jump_to_open=True), calendar, SATURDAY_NOON) == ns(FRIDAY, "09:15")
    early = ns(FRIDAY, "08:00")
    assert start_of(SimOptions(jump_to_open=True), calendar, early) == ns(FRIDAY, "09:15")
    chosen = SimOptions(day=date(2026, 11, 18))
    assert start_of(chosen, calendar, SATURDAY_NOON) == ns(date(2026, 11, 18), "09:15")
    for closed in (date(2026, 11, 21), date(1999, 1, 4)):
        with pytest.raises(UsageError):
            start_of(SimOptions(day=closed), calendar, SATURDAY_NOON)


def test_a_recording_begins_with_its_first_frame(tmp_path: Path) -> None:
    built = build_world(SimOptions(replay=write_recording(tmp_path)), Calendar.default())
    assert (built.name, built.start_ns) == ("replay", ns(date(2025, 12, 15), "10:00"))
    with pytest.raises(UsageError, match="either"):
        build_world(SimOptions(replay=tmp_path, bars=tmp_path), Calendar.default())


async def test_a_day_of_trading_on_the_synthetic_market() -> None:
    """Trade at the open, jump to the evening, see the day's orders expire; then another day, another token."""
    options = SimOptions(auto_approve=True, day=FRIDAY, variant="thin", speed=None)
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        rows = (await member.get("/v2/portfolio/long-term-holdings")).data
        key = rows[0]["instrument_token"]
        await member.control("/clock", {"speed": 0, "jump": "10:00"})
        bought = await member.place(key, order_type="MARKET", price=0, market_protection=-1, quantity=3)
        last = (await member.get("/v3/market-quote/ltp", instrument_key=key)).data
        (price,) = (row["last_price"] for row in last.values())
        low = round(price * 0.9, 0)
        resting = (await member.place(key, price=low)).data["order_ids"][0]
        (position,) = (await member.get("/v2/portfolio/short-term-positions")).data
        assert position["quantity"] == 3
        filled = (await member.get("/v2/order/details", order_id=bought.data["order_ids"][0])).data
        assert filled["status"] == "complete"
        assert filled["average_price"] == pytest.approx(price, rel=0.01)
        await member.control("/clock", {"jump": "16:30"})
        expired = (await member.get("/v2/order/details", order_id=resting)).data
        assert expired["status"] == "cancelled"
        late = (await member.place(key, price=low)).data["order_ids"][0]
        waiting = (await member.get("/v2/order/details", order_id=late)).data
        assert waiting["status"] == "after market order req received"
        await member.control("/clock", {"jump": "2026-11-23T09:30"})
        assert (await member.get("/v2/order/retrieve-all")).code == "UDAPI100050"
        await member.login()
        (let_in,) = (await member.get("/v2/order/retrieve-all")).data
        assert (let_in["order_id"], let_in["status"]) == (late, "open")
        assert (await member.place(key, price=low)).status == 200


async def test_at_full_speed_the_market_runs_and_limits_fill() -> None:
    options = SimOptions(auto_approve=True, day=FRIDAY, variant="thin", speed=0)
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        key = (await member.get("/v2/portfolio/long-term-holdings")).data[0]["instrument_token"]
        await member.control("/clock", {"jump": "10:00"})
        quote = (await member.get("/v2/market-quote/quotes", instrument_key=key)).data
        (book,) = (row["depth"] for row in quote.values())
        bid = book["buy"][0]["price"]
        order_id = (await member.place(key, price=bid, quantity=1)).data["order_ids"][0]
        url = (await member.get("/v2/feed/portfolio-stream-feed/authorize")).data["authorized_redirect_uri"]
        async with session.ws_connect(url) as stream, asyncio.timeout(30):
            await member.control("/clock", {"speed": "max"})
            row = json.loads(await stream.receive_str())
            while row["status"] not in ("complete", "cancelled"):
                row = json.loads(await stream.receive_str())
        assert (row["order_id"], row["status"], row["average_price"]) == (order_id, "complete", bid)


async def test_a_recording_damaged_in_its_middle_ends_the_market_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its head is read at the start, so the damage is met only when the replay gets there."""
    file = write_recording(tmp_path, minutes=60) / "BSE.jsonl.gz"
    (tmp_path / "BANKNIFTY_59000_CE_30_DEC_25.jsonl.gz").unlink()
    lines = gzip.decompress(file.read_bytes()).splitlines()
    lines[600] = b'{"rx_ms": 1, "feeds": {"NSE_EQ|INE118H01025": {}}}'
    file.write_bytes(gzip.compress(b"\n".join(lines)))
    options = SimOptions(auto_approve=True, replay=file, speed=None)
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        url = (await member.get("/v3/feed/market-data-feed/authorize")).data["authorized_redirect_uri"]
        async with session.ws_connect(url) as feed:
            wanted = {"method": "sub", "data": {"mode": "ltpc", "instrumentKeys": [SHARE]}}
            await feed.send_bytes(json.dumps(wanted).encode())
            with pytest.raises(UsageError, match="damaged"):
                await asyncio.wait_for(sim.wait_failed(), 20)
        assert (await member.get("/v2/user/profile")).status == 200
    assert "the simulated market stopped" in caplog.text


async def test_minute_bars_become_a_market_to_trade_in(shared_data: Path) -> None:
    options = SimOptions(
        auto_approve=True, bars=shared_data / "bars" / "nse_1m_2025-12_2026-04.parquet", day=date(2025, 12, 15),
        speed=0,
    )  # fmt: skip
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        member = Member(sim, session)
        await member.login()
        share = next(one for one in sim.venue.instruments.values() if one.tradable)
        await member.control("/clock", {"jump": "2025-12-15T11:00"})
        placed = await member.place(share.key, order_type="MARKET", price=0, market_protection=-1)
        row = (await member.get("/v2/order/details", order_id=placed.data["order_ids"][0])).data
        assert row["status"] == "complete"
        past = await member.get(
            f"/v3/historical-candle/{share.key.replace('|', '%7C')}/minutes/1/2025-12-14/2025-12-10"
        )
        assert past.data["candles"][0][0].startswith("2025-12-12T15:")
        assert (await member.control("/state"))["world"] == "bars"


async def test_the_world_for_measuring_lists_as_many_as_asked() -> None:
    options = SimOptions(auto_approve=True, bench=(300, 1000), day=FRIDAY)
    async with SimulatorServer(options) as sim:
        assert len(sim.venue.instruments) == 300
