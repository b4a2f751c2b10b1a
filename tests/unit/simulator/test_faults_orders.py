"""The faults of orders, market and streams, each as a client of the simulator meets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fixtures.scripted_world import Market, scripted_market
from tests.fixtures.simulated import Member
from tests.unit.exchange.support import CALL, FUTURE, SHARE
from tradetui.simulator.portfolio import ENTRY_PATH

KEY = SHARE.key
PATIENCE_S = 10


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    async with scripted_market() as one:
        one.normal(KEY)
        yield one


@pytest.fixture
async def member(market: Market) -> AsyncIterator[Member]:
    async with aiohttp.ClientSession() as session:
        one = Member(market.sim, session)
        await one.login()
        yield one


async def placed(member: Member, key: str = KEY, **changes: Any) -> str:
    terms = {"quantity": 10, "price": 99.0, **changes}
    answer = await member.place(key, **terms)
    return str(answer.data["order_ids"][0])


async def order(member: Member, order_id: str) -> dict[str, Any]:
    row: dict[str, Any] = (await member.get("/v2/order/details", order_id=order_id)).data
    return row


async def status(member: Member, order_id: str) -> tuple[str, int]:
    row = await order(member, order_id)
    return row["status"], row["filled_quantity"]


async def switch(member: Member, name: str, **args: Any) -> dict[str, Any]:
    told: dict[str, Any] = await member.control("/faults", {"name": name, "args": args})
    assert "error" not in told, told
    return told


async def stream(member: Member, types: str = "order") -> aiohttp.ClientWebSocketResponse:
    answer = await member.get(ENTRY_PATH + "/authorize", update_types=types)
    return await member.http.ws_connect(answer.data["authorized_redirect_uri"])


async def heard(ws: aiohttp.ClientWebSocketResponse, until: str) -> list[tuple[str, str, int]]:
    """(kind, order id, filled units) of each frame, up to an order's status."""
    frames: list[tuple[str, str, int]] = []
    while True:
        frame = await ws.receive_json(timeout=PATIENCE_S)
        frames.append((frame["update_type"], frame.get("order_id", ""), frame.get("filled_quantity", 0)))
        if frame.get("status") == until:
            return frames


def stop(trigger: float, limit: float) -> dict[str, Any]:
    return {"transaction_type": "SELL", "order_type": "SL", "trigger_price": trigger, "price": limit}


# --- orders --------------------------------------------------------------------------------------------


async def test_O15_the_third_child_of_five_is_refused_and_the_others_stand(member: Member) -> None:
    member.sim.venue.instruments[CALL.key] = CALL
    await member.control(
        "/price", {"instrument": CALL.symbol, "price": 100, "bids": [[99, 9000]], "asks": [[101, 9000]]}
    )
    await switch(member, "reject", skip=2, count=1, instrument=CALL.symbol, message="RMS: child refused")
    ids = (await member.place(CALL.key, quantity=1755 * 4 + 65, price=90.0, slice=True, product="D")).data[
        "order_ids"
    ]
    said = [(await order(member, one))["status"] for one in ids]
    assert said == ["open", "open", "rejected", "open", "open"]
    assert (await order(member, ids[2]))["status_message"] == "RMS: child refused"


async def test_a_partial_fill_waits_until_the_fault_is_lifted(member: Member, market: Market) -> None:
    await switch(member, "partial", percent=40)
    order_id = await placed(member, price=100.05)
    assert await status(member, order_id) == ("open", 4)
    market.normal(KEY)
    assert await status(member, order_id) == ("open", 4)
    await switch(member, "none")
    market.book(KEY, [(100, 50)], [(100.05, 80)])
    market.book(KEY, [(100, 50)], [(100.0, 80)])
    assert await status(member, order_id) == ("complete", 10)


async def test_O10_an_order_fills_just_before_its_cancel(member: Member) -> None:
    order_id = await placed(member)
    await switch(member, "late-cancel", count=1)
    answer = await member.call("DELETE", f"/v3/order/cancel?order_id={order_id}", host="order", body={})
    assert answer.code == "UDAPI100040"
    assert await status(member, order_id) == ("complete", 10)


async def test_O24_the_market_jumps_through_a_stop_and_its_limit(member: Member) -> None:
    order_id = await placed(member, **stop(98, 97.5))
    await switch(member, "no-fill-trigger", pct=1)
    assert await status(member, order_id) == ("open", 0)
    assert member.sim.venue.last_of(KEY) == pytest.approx(97.5 * 0.99, abs=0.05)


async def test_a_gap_moves_price_and_book_for_good(member: Member, market: Market) -> None:
    order_id = await placed(member, **stop(98, 97.5))
    await switch(member, "gap", instrument=SHARE.symbol, pct=-2.2)
    assert member.sim.venue.last_of(KEY) == 97.8
    assert await status(member, order_id) == ("complete", 10)
    feed = market.venue.bend
    assert feed.factors == {KEY: pytest.approx(0.978)}


async def test_O16_the_broker_squares_off_now(member: Member) -> None:
    await placed(member, price=100.05)
    pending = await placed(member)
    await switch(member, "square-off")
    book = (await member.get("/v2/order/retrieve-all")).data
    closing = book[-1]
    assert (closing["placed_by"], closing["transaction_type"], closing["status"]) == (
        "RMS",
        "SELL",
        "complete",
    )
    assert "auto square-off" in closing["status_message"]
    assert "auto square-off" in (await order(member, pending))["status_message"]
    late = await placed(member)
    assert (await status(member, late))[0] == "rejected"


async def test_O16_the_cut_off_may_be_a_time_of_day(member: Member, market: Market) -> None:
    await switch(member, "square-off", at="10:05")
    order_id = await placed(member)
    assert (await status(member, order_id))[0] == "open"
    await market.sim.jump(market.now_ns() + 6 * 60_000_000_000)
    assert (await status(member, order_id))[0] == "cancelled"


async def test_O14_a_phone_places_changes_and_cancels(member: Member) -> None:
    made = await member.control(
        "/orders", {"action": "place", "instrument": SHARE.symbol, "side": "BUY", "qty": 5, "price": 98.0}
    )
    assert (made["status"], made["tag"]) == ("open", "")
    changed = await member.control(
        "/orders", {"action": "modify", "order_id": made["order_id"], "price": 98.5}
    )
    assert changed["price"] == 98.5
    filled = await member.control("/orders", {"action": "fill", "order_id": made["order_id"], "qty": 2})
    assert filled["filled_qty"] == 2
    await switch(member, "phone", action="cancel")
    assert await status(member, made["order_id"]) == ("cancelled", 2)
    await switch(member, "phone", instrument=SHARE.symbol, side="SELL", price=101.0, qty=3)
    assert (await member.control("/state"))["orders"][-1]["price"] == 101.0
    assert "error" in await member.control("/orders", {"action": "dance"})
    assert "error" in await member.control("/orders", {"action": "cancel", "order_id": "1"})


# --- the market ----------------------------------------------------------------------------------------


async def test_a_halt_keeps_orders_and_refuses_market_until_lifted(member: Member) -> None:
    await switch(member, "halt", message="trading is halted by the market-wide breaker")
    resting = await placed(member, price=100.5)
    assert await status(member, resting) == ("open", 0)
    refused = await placed(member, order_type="MARKET", price=0, market_protection=-1)
    assert "breaker" in (await order(member, refused))["status_message"]
    await switch(member, "none")
    assert (await status(member, resting))[0] == "complete"


async def test_at_the_lower_circuit_nobody_buys(member: Member, market: Market) -> None:
    await placed(member, price=100.05)
    await switch(member, "circuit", instrument=SHARE.symbol, side="lower")
    order_id = await placed(
        member, transaction_type="SELL", order_type="MARKET", price=0, market_protection=-1
    )
    assert await status(member, order_id) == ("open", 0)
    await switch(member, "none")
    market.normal(KEY)
    market.book(KEY, [(100, 50)], [(100.1, 50)])
    assert (await status(member, order_id))[0] == "complete"


async def test_O22_the_closing_auction_begins_on_the_switch(member: Member) -> None:
    stopped, resting = await placed(member, **stop(98, 97.5)), await placed(member)
    await switch(member, "auction-now")
    assert "closing auction" in (await order(member, stopped))["status_message"]
    assert (await status(member, resting))[0] == "open"
    buyer = await placed(member, price=100.5)
    assert await status(member, buyer) == ("open", 0)
    await switch(member, "auction-now", stage="MATCH")
    assert (await status(member, buyer))[0] == "complete"
    assert (await status(member, resting))[0] == "cancelled"


async def test_O23_bands_are_reset_on_the_switch(member: Member, market: Market) -> None:
    market.normal(FUTURE.key)
    order_id = await placed(member, FUTURE.key, quantity=65, price=95.0)
    await switch(member, "band-reset", instrument=FUTURE.symbol)
    row = await order(member, order_id)
    assert (row["status"], "price band that was reset" in row["status_message"]) == ("cancelled", True)


async def test_somebody_sets_the_market_and_holds_it(member: Member, market: Market) -> None:
    told = await member.control(
        "/price",
        {
            "instrument_key": KEY,
            "price": 105.0,
            "qty": 20,
            "bids": [[104.9, 5]],
            "asks": [[105.1, 5]],
            "hold": True,
        },
    )
    assert told == {"instrument_key": KEY, "last": 105.0, "held": True}
    quote = (await member.get("/v2/market-quote/quotes", instrument_key=KEY)).data
    (row,) = quote.values()
    assert (row["last_price"], row["depth"]["sell"][0]["price"]) == (105.0, 105.1)
    order_id = await placed(member, price=105.1, quantity=8)
    assert await status(member, order_id) == ("open", 5)
    told = await member.control("/price", {"instrument": SHARE.symbol, "release": True})
    assert told["held"] is False
    assert "error" in await member.control("/price", {"instrument": "NOBODY", "price": 1})
    assert "error" in await member.control("/price", {"instrument": SHARE.symbol, "price": -1})


# --- GTTs ----------------------------------------------------------------------------------------------

GTT = {
    "type": "SINGLE", "quantity": 10, "product": "D", "instrument_token": KEY, "transaction_type": "BUY",
    "rules": [{"strategy": "ENTRY", "trigger_type": "ABOVE", "trigger_price": 101.0}],
}  # fmt: skip


async def test_a_gtt_fails_on_the_switch(member: Member, market: Market) -> None:
    await switch(member, "gtt-fail", message="RMS: the payout has emptied the account")
    assert (await member.call("POST", "/v3/order/gtt/place", body=GTT)).status == 200
    market.print_trade(KEY, 101.0, 1)
    ((gtt,),) = [(await member.get("/v3/order/gtt")).data]
    assert [(one["status"], one["message"]) for one in gtt["rules"]] == [
        ("FAILED", "RMS: the payout has emptied the account")
    ]


async def test_holdings_cannot_be_sold_without_ddpi(member: Member) -> None:
    bought = await placed(member, price=100.05, product="D")
    assert (await status(member, bought))[0] == "complete"
    await switch(member, "no-ddpi")
    sold = await placed(member, transaction_type="SELL", price=101.0, product="D")
    assert "DDPI" in (await order(member, sold))["status_message"]


# --- answers and streams -------------------------------------------------------------------------------


async def test_O6_pushes_come_before_the_acknowledgement(member: Member) -> None:
    await switch(member, "early-push", ms=5000, count=1)
    async with await stream(member) as ws:
        waiting = asyncio.create_task(member.place(KEY, quantity=10, price=100.05))
        await heard(ws, "complete")
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_O7_the_oldest_push_comes_again_after_each(member: Member) -> None:
    await switch(member, "stale-push")
    async with await stream(member) as ws:
        await placed(member)
        first = await ws.receive_json(timeout=PATIENCE_S)
        second = await ws.receive_json(timeout=PATIENCE_S)
        third = await ws.receive_json(timeout=PATIENCE_S)
    assert second["status"] != first["status"]
    assert third == first


async def test_O8_the_pushes_of_a_fill_are_missing_and_the_next_come(member: Member, market: Market) -> None:
    async with await stream(member, "order,position,holding") as ws:
        order_id = await placed(member, product="D")
        await heard(ws, "open")
        await switch(member, "missing-fill", count=1)
        market.print_trade(KEY, 98.9, 4)
        market.print_trade(KEY, 98.9, 6)
        frames = await heard(ws, "complete")
    assert frames == [("position", "", 0), ("order", order_id, 10)]


async def test_the_portfolio_stream_alone_is_refused(member: Member) -> None:
    await switch(member, "portfolio-403")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await stream(member)
    assert refused.value.status == 403


async def test_slow_pushes_come_late(member: Member) -> None:
    loop = asyncio.get_running_loop()
    await switch(member, "slow-push", ms=150)
    async with await stream(member) as ws:
        started = loop.time()
        await placed(member)
        await ws.receive_json(timeout=PATIENCE_S)
        assert loop.time() - started >= 0.15


@pytest.mark.parametrize(
    ("form", "field", "odd"),
    [
        ("status", "status", "frozen by the exchange"),
        ("enum", "order_type", "ICEBERG"),
        ("missing", "quantity", None),
        ("type", "quantity", "ten"),
    ],
)
async def test_O21_one_row_of_the_order_book_is_odd(
    member: Member, form: str, field: str, odd: object
) -> None:
    await placed(member)
    await placed(member)
    await switch(member, "odd-row", form=form)
    first, second = (await member.get("/v2/order/retrieve-all")).data
    assert first.get(field) == odd
    assert second[field] not in (odd, None)


async def test_O5_nothing_answers_until_the_network_is_back(member: Member) -> None:
    async with await stream(member) as ws:
        await switch(member, "unreachable")
        assert (await ws.receive(PATIENCE_S)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    for host in ("main", "order", "feed", "assets"):
        url = member.sim.ready_line()[host].replace("ws", "http")
        with pytest.raises(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as fresh, fresh.get(url):
                pass
    await switch(member, "none")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert (await member.get("/v2/user/profile")).status == 200
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0)
