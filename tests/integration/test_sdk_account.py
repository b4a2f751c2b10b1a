"""The official SDK on the account services: several orders, margins, conversion, kill switch, static IP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import upstox_client as sdk
from upstox_client.rest import ApiException

from tests.fixtures.official import ask
from tests.fixtures.simulated import OPTION, SHARE, Member, place_body
from tests.integration.test_sdk_rest import V2, place, shape_of
from tradetui.simulator.server import SimulatorServer

MARKET: dict[str, Any] = {"order_type": "MARKET", "price": 0, "market_protection": -1}


def line(name: str, key: str = SHARE, **changes: Any) -> Any:
    return sdk.MultiOrderRequest(**{**place_body(key), "correlation_id": name, "slice": False, **changes})


async def refused(call: Any, *args: Any, **kw: Any) -> tuple[int, str]:
    with pytest.raises(ApiException) as error:
        await ask(call, *args, **kw)
    return error.value.status, json.loads(error.value.body)["errors"][0]["error_code"]


async def test_it_places_several_orders_at_once(api: Any, sim: SimulatorServer) -> None:
    orders = sdk.OrderApi(api)
    reply = await ask(
        orders.place_multi_order,
        [
            line("s", transaction_type="SELL", price=2800.0),
            line("b", OPTION, quantity=1225, price=700.0, slice=True),
        ],
    )
    assert reply.status == "success"
    assert [row.correlation_id for row in reply.data] == ["b_1", "b_2", "b_3", "s"]
    assert (reply.summary.total, reply.summary.success, reply.summary.error) == (4, 4, 0)
    # Unlike single orders, these go to the main host.
    assert sim.state.counts["host:order"] == 0
    assert await refused(orders.place_multi_order, [line("a"), line("a")]) == (400, "UDAPI1117")


async def test_it_slices_a_single_order(api: Any) -> None:
    body = sdk.PlaceOrderV3Request(**place_body(OPTION, quantity=1225, price=700.0), slice=True)
    reply = await ask(sdk.OrderApiV3(api).place_order, body)
    assert len(reply.data.order_ids) == 3
    book = (await ask(sdk.OrderApi(api).get_order_book, V2)).data
    assert [row.quantity for row in book] == [595, 595, 35]


async def test_it_cancels_and_exits_by_filter(api: Any) -> None:
    orders = sdk.OrderApi(api)
    first = await place(api, tag="x")
    await place(api, OPTION, tag="x")
    reply = await ask(orders.cancel_multi_order, tag="x", segment="NSE_EQ")
    assert (reply.data.order_ids, reply.summary.success) == ([first], 1)
    assert await refused(orders.cancel_multi_order, tag="x", segment="NSE_EQ") == (400, "UDAPI1109")
    assert await refused(orders.exit_positions) == (400, "UDAPI1111")
    await place(api, **MARKET)
    reply = await ask(orders.exit_positions, segment="NSE_EQ")
    assert (reply.status, reply.summary.total) == ("success", 1)
    (position,) = (await ask(sdk.PortfolioApi(api).get_positions, V2)).data
    assert (position.quantity, position.day_buy_quantity, position.day_sell_quantity) == (0, 1, 1)


async def test_it_asks_for_margins(api: Any) -> None:
    legs = [
        sdk.Instrument(instrument_key=SHARE, quantity=10, product="I", transaction_type="BUY", price=2700.0),
        sdk.Instrument(instrument_key=OPTION, quantity=35, product="D", transaction_type="SELL"),
    ]
    data = (await ask(sdk.ChargeApi(api).post_margin, sdk.MarginRequest(instruments=legs))).data
    share, option = data.margins
    assert share.equity_margin == share.total_margin == pytest.approx(5400.0)
    assert option.span_margin > 0
    assert data.final_margin == pytest.approx(data.required_margin)
    twice = sdk.MarginRequest(instruments=[legs[0], legs[0]])
    assert await refused(sdk.ChargeApi(api).post_margin, twice) == (400, "UDAPI1103")


async def test_it_converts_a_position(api: Any) -> None:
    await place(api, **MARKET, quantity=3)
    portfolio = sdk.PortfolioApi(api)
    change = sdk.ConvertPositionRequest(
        instrument_token=SHARE, old_product="I", new_product="D", transaction_type="BUY", quantity=2
    )
    assert (await ask(portfolio.convert_positions, change, V2)).data.status == "complete"
    rows = (await ask(portfolio.get_positions, V2)).data
    assert {row.product: row.quantity for row in rows} == {"I": 1, "D": 2}
    assert await refused(portfolio.convert_positions, change, V2) == (400, "UDAPI1033")


async def test_it_pulls_the_kill_switch(api: Any) -> None:
    user = sdk.UserApi(api)
    order_id = await place(api, OPTION)
    change = [sdk.KillSwitchSegmentUpdateRequest(segment="NSE_FO", action="DISABLE")]
    rows = (await ask(user.update_kill_switch, change)).data
    assert [row["segment"] for row in rows if row["kill_switch_enabled"]] == ["NSE_FO"]
    details = await ask(sdk.OrderApi(api).get_order_status, order_id=order_id)
    assert details.data.status == "cancelled"
    body = sdk.PlaceOrderV3Request(**place_body(OPTION))
    assert await refused(sdk.OrderApiV3(api).place_order, body) == (400, "UDAPI100058")
    change[0].action = "ENABLE"
    assert await refused(user.update_kill_switch, change) == (400, "UDAPI1185")


async def test_it_changes_the_static_ip(api: Any) -> None:
    user = sdk.UserApi(api)
    wrong = sdk.UpdateUserIpRequest(primary_ip="nowhere")
    assert await refused(user.update_user_ip, wrong) == (400, "UDAPI1183")
    reply = await ask(user.update_user_ip, sdk.UpdateUserIpRequest(primary_ip="203.0.113.7"))
    assert reply.data.access_tokens_invalidated is True
    assert await refused(user.get_user_ips) == (401, "UDAPI100050")


async def test_the_answers_have_the_fields_of_the_documented_samples(
    member: Member, shared_data: Path
) -> None:
    samples = json.loads((shared_data / "rest" / "upstox_doc_samples.json").read_text(encoding="utf-8"))

    def expect(page: str, number: int, body: Any) -> None:
        missing = shape_of(samples[page][number]["sample"]) - shape_of(body)
        assert not missing, f"{page} lacks {sorted(missing)}"

    async def multi(*lines: dict[str, Any]) -> Any:
        rows = [{**place_body(), "slice": False, **one} for one in lines]
        return (await member.call("POST", "/v2/order/multi/place", body=rows)).body

    async def post(path: str, body: Any = None, method: str = "POST") -> Any:
        return (await member.call(method, path, body=body or {})).body

    expect("cancel-multi-order", 3, await post("/v2/order/multi/cancel", method="DELETE"))
    expect("place-multi-order", 0, await multi({"correlation_id": "1"}, {"correlation_id": "2"}))
    expect("place-multi-order", 2, await multi({"correlation_id": "1", "product": "X"}))
    expect("cancel-multi-order", 0, await post("/v2/order/multi/cancel", method="DELETE"))
    await member.place(**MARKET, quantity=3)
    await member.place(**MARKET, quantity=3, product="MTF")
    expect("get-mtf-positions", 0, (await member.get("/v3/portfolio/mtf-positions")).body)
    change = {
        "instrument_token": SHARE, "old_product": "I", "new_product": "D", "transaction_type": "BUY",
        "quantity": 1,
    }  # fmt: skip
    expect("convert-positions", 0, await post("/v2/portfolio/convert-position", change, "PUT"))
    leg = {"instrument_key": SHARE, "quantity": 1, "product": "I", "transaction_type": "BUY"}
    expect("margin", 0, await post("/v2/charges/margin", {"instruments": [leg]}))
