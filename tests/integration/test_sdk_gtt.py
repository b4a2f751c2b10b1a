"""The official SDK places, changes, reads and cancels GTTs at the simulator, and hears of them on the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import upstox_client as sdk
from upstox_client.rest import ApiException

from tests.fixtures.scripted_world import Market, scripted_market
from tests.fixtures.simulated import Member
from tests.unit.exchange.support import SHARE
from tradetui.exchange.exchange import Exchange
from tradetui.simulator import keep
from tradetui.simulator.portfolio import ENTRY_PATH
from tradetui.simulator.tokens import USER_ID

KEY = SHARE.key
TIMEOUT_S = 10


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


@pytest.fixture
def api(member: Member) -> Iterator[Any]:
    """The SDK with its hosts set to the simulator (`upstox.md` 8.2); GTT calls go to the main one."""
    configuration = sdk.Configuration()
    configuration.host = member.sim.urls.main
    configuration.order_host = member.sim.urls.order
    configuration.access_token = member.token
    client = sdk.ApiClient(configuration)
    yield sdk.OrderApiV3(client)
    client.pool.close()
    client.pool.join()
    client.rest_client.pool_manager.clear()


async def ask(call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    return await asyncio.to_thread(call, *args, _request_timeout=TIMEOUT_S, **kw)


def rule(strategy: str, price: float, trigger: str = "IMMEDIATE", **more: Any) -> Any:
    return sdk.GttRule(strategy=strategy, trigger_type=trigger, trigger_price=price, **more)


def terms(*rules: Any, kind: str = "SINGLE", side: str = "BUY", qty: int = 10) -> Any:
    return sdk.GttPlaceOrderRequest(
        type=kind, quantity=qty, product="D", instrument_token=KEY, transaction_type=side, rules=list(rules)
    )


async def place(api: Any, *rules: Any, **more: Any) -> str:
    reply = await ask(api.place_gtt_order, terms(*rules, **more))
    assert reply.status == "success"
    assert reply.metadata.latency >= 0
    (gtt_id,) = reply.data.gtt_order_ids
    return str(gtt_id)


async def read(api: Any, gtt_id: str) -> Any:
    (found,) = (await ask(api.get_gtt_order_details, gtt_order_id=gtt_id)).data
    return found


async def test_a_gtt_lives_through_the_sdk_from_place_to_cancel(api: Any, market: Market) -> None:
    gtt_id = await place(api, rule("ENTRY", 101.0, "ABOVE"))
    found = await read(api, gtt_id)
    assert (found.type, found.exchange, found.trading_symbol) == ("SINGLE", "NSE_EQ", SHARE.symbol)
    assert (found.quantity, found.product, found.instrument_token) == (10, "D", KEY)
    assert found.created_at == pytest.approx(market.now_ns() // 1000, abs=60_000_000)
    assert found.expires_at - found.created_at == 365 * 86_400_000_000
    (only,) = found.rules
    assert (only.strategy, only.status, only.trigger_type, only.trigger_price) == (
        "ENTRY", "SCHEDULED", "ABOVE", 101.0,
    )  # fmt: skip
    assert (only.transaction_type, only.order_id, only.trailing_gap) == ("BUY", None, 0.0)
    change = sdk.GttModifyOrderRequest(
        gtt_order_id=gtt_id, type="MULTIPLE", quantity=7,
        rules=[rule("ENTRY", 99.0, "BELOW"), rule("STOPLOSS", 97.0, trailing_gap=0.5)],
    )  # fmt: skip
    assert (await ask(api.modify_gtt_order, change)).data.gtt_order_ids == [gtt_id]
    found = await read(api, gtt_id)
    assert (found.type, found.quantity, [one.status for one in found.rules]) == (
        "MULTIPLE", 7, ["SCHEDULED", "INACTIVE"],
    )  # fmt: skip
    assert [one.transaction_type for one in found.rules] == ["BUY", "SELL"]
    reply = await ask(api.cancel_gtt_order, sdk.GttCancelOrderRequest(gtt_order_id=gtt_id))
    assert reply.data.gtt_order_ids == [gtt_id]
    book = (await ask(api.get_gtt_order_details)).data
    assert [[one.status for one in each.rules] for each in book] == [["CANCELLED", "CANCELLED"]]
    assert market.asked("POST /v3/order/gtt/place") == market.asked("DELETE /v3/order/gtt/cancel") == 1


async def test_a_multiple_opens_guards_and_closes_while_nobody_is_connected(api: Any, market: Market) -> None:
    gtt_id = await place(
        api,
        rule("ENTRY", 101.0, "ABOVE", market_protection=2),
        rule("TARGET", 104.0),
        rule("STOPLOSS", 99.0, market_protection=-1),
        kind="MULTIPLE",
    )
    market.book(KEY, [(100.9, 50)], [(101.0, 50)])
    market.print_trade(KEY, 101.0, 5)
    found = await read(api, gtt_id)
    assert [one.status for one in found.rules] == ["COMPLETED", "OPEN", "OPEN"]
    (entry,) = market.venue.orders()
    assert (entry.order_id, entry.tag, entry.request.price) == (found.rules[0].order_id, "", 1_030_000)
    market.book(KEY, [(98.9, 50)], [(99.0, 50)])
    market.print_trade(KEY, 98.95, 5)
    found = await read(api, gtt_id)
    assert [one.status for one in found.rules] == ["COMPLETED", "CANCELLED", "COMPLETED"]
    assert [position.qty for position in market.venue.exchange.positions(USER_ID)] == [0]
    assert sum(trade.side.sign * trade.qty for trade in market.venue.trades()) == 0


REFUSED = [
    (terms(rule("ENTRY", 101, "ABOVE"), rule("STOPLOSS", 99)), "UDAPI1136"),
    (terms(rule("ENTRY", 101, "ABOVE"), kind="MULTIPLE"), "UDAPI1137"),
    (terms(rule("TARGET", 101)), "UDAPI1141"),
    (terms(rule("ENTRY", 101, "ABOVE"), rule("TARGET", 103, "ABOVE"), kind="MULTIPLE"), "UDAPI1143"),
    (terms(rule("ENTRY", 99, "BELOW"), rule("STOPLOSS", 90, trailing_gap=0.9), kind="MULTIPLE"), "UDAPI1151"),
    (terms(rule("ENTRY", 99, "ABOVE")), "UDAPI100036"),
    (terms(rule("ENTRY", 101, "ABOVE", market_protection=30)), "UDAPI1159"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED)
async def test_the_documented_rules_are_refused_with_their_codes(api: Any, body: Any, code: str) -> None:
    with pytest.raises(ApiException) as caught:
        await ask(api.place_gtt_order, body)
    assert caught.value.status == 400
    assert code in str(caught.value.body)


@pytest.mark.parametrize(
    ("gtt_id", "code"), [("", "UDAPI1134"), ("12", "UDAPI1135"), ("GTT-C1", "UDAPI100010")]
)
async def test_a_cancel_needs_the_id_of_a_gtt_that_exists(api: Any, gtt_id: str, code: str) -> None:
    with pytest.raises(ApiException) as caught:
        await ask(api.cancel_gtt_order, sdk.GttCancelOrderRequest(gtt_order_id=gtt_id))
    assert code in str(caught.value.body)


async def test_a_gtt_without_funds_says_failed_and_why(api: Any, market: Market) -> None:
    gtt_id = await place(api, rule("ENTRY", 101.0, "ABOVE"), qty=50_000)
    market.print_trade(KEY, 101.0, 5)
    (only,) = (await read(api, gtt_id)).rules
    assert (only.status, "margin" in only.message) == ("FAILED", True)


async def test_the_stream_carries_gtt_frames_to_who_asked_for_them(
    api: Any, market: Market, member: Member
) -> None:
    answer = await member.get(ENTRY_PATH + "/authorize", update_types="gtt_order")
    async with member.http.ws_connect(answer.data["authorized_redirect_uri"]) as ws:
        gtt_id = await place(api, rule("ENTRY", 101.0, "ABOVE"))
        market.book(KEY, [(100.9, 50)], [(101.0, 50)])
        market.print_trade(KEY, 101.0, 5)
        frames = [await ws.receive_json(timeout=TIMEOUT_S) for _ in range(4)]
    assert [frame["rules"][0]["status"] for frame in frames] == [
        "SCHEDULED",
        "TRIGGERED",
        "OPEN",
        "COMPLETED",
    ]
    assert {(frame["update_type"], frame["gtt_order_id"], frame["exchange"]) for frame in frames} == {
        ("gtt_order", gtt_id, "NSE_EQ")
    }
    assert all("trading_symbol" not in frame for frame in frames)


async def test_gtts_come_back_after_a_restart_of_the_simulator(api: Any, market: Market) -> None:
    gtt_id = await place(api, rule("ENTRY", 101.0, "ABOVE"), rule("STOPLOSS", 99.0), kind="MULTIPLE")
    kept = keep.snapshot("w", market.now_ns(), market.venue.exchange)
    again = Exchange((SHARE,), lambda _i, _t: "CONTINUOUS", first_serial=kept.next_serial)
    again.add_account(USER_ID, kept.opening)
    assert [gtt.gtt_id for gtt in kept.gtts] == [gtt_id]
    assert kept.next_serial > int(gtt_id[-8:])
    for gtt in kept.gtts:
        again.restore_gtt(gtt)
    assert again.watches(KEY)
