"""The official SDK as an outside client: every REST call of the simulator must parse through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import upstox_client as sdk
from upstox_client.rest import ApiException

from tests.fixtures.official import ask
from tests.fixtures.simulated import OPTION, SHARE, Answer, Member, place_body
from tradetui.simulator.server import SimulatorServer

V2 = "2.0"


async def place(api: Any, key: str = SHARE, **changes: Any) -> str:
    body = sdk.PlaceOrderV3Request(**place_body(key, **changes))
    reply = await ask(sdk.OrderApiV3(api).place_order, body)
    assert reply.status == "success"
    assert reply.metadata.latency >= 0
    (order_id,) = reply.data.order_ids
    return str(order_id)


async def test_it_logs_in_and_reads_its_profile(sim: SimulatorServer, api: Any, member: Member) -> None:
    ready = sim.ready_line()
    async with member.http.get(
        ready["main"] + "/v2/login/authorization/dialog",
        params={
            "client_id": ready["api_key"],
            "redirect_uri": ready["redirect_uri"],
            "response_type": "code",
        },
        allow_redirects=False,
    ) as answer:
        code = answer.headers["Location"].partition("code=")[2]
    reply = await ask(
        sdk.LoginApi(api).token,
        V2,
        code=code,
        client_id=ready["api_key"],
        client_secret=ready["api_secret"],
        redirect_uri=ready["redirect_uri"],
        grant_type="authorization_code",
    )
    assert reply.access_token.count(".") == 2
    profile = await ask(sdk.UserApi(api).get_profile, V2)
    assert profile.data.user_id == reply.user_id
    assert profile.data.is_active is True


async def test_it_places_modifies_and_cancels(api: Any, sim: SimulatorServer) -> None:
    order_id = await place(api)
    orders = sdk.OrderApiV3(api)
    change = sdk.ModifyOrderRequest(
        order_id=order_id, order_type="LIMIT", validity="DAY", price=2695.0, trigger_price=0, quantity=2
    )
    changed = await ask(orders.modify_order, change)
    assert changed.data.order_id == order_id
    details = await ask(sdk.OrderApi(api).get_order_status, order_id=order_id)
    assert (details.data.status, details.data.price, details.data.quantity) == ("open", 2695.0, 2)
    assert (await ask(orders.cancel_order, order_id)).data.order_id == order_id
    book = await ask(sdk.OrderApi(api).get_order_book, V2)
    assert [(row.order_id, row.status, row.tag) for row in book.data] == [(order_id, "cancelled", "t1")]
    history = await ask(sdk.OrderApi(api).get_order_details, V2, tag="t1")
    walk = [row.status for row in history.data]
    assert walk[:4] == ["put order req received", "validation pending", "open pending", "open"]
    assert walk[-2:] == ["cancel pending", "cancelled"]
    # Order writes went to the order host, reads to the main one.
    assert sim.state.counts["host:order"] == 3


async def test_a_market_order_fills_and_shows_everywhere(api: Any) -> None:
    order_id = await place(api, order_type="MARKET", price=0, market_protection=-1, quantity=10)
    details = (await ask(sdk.OrderApi(api).get_order_status, order_id=order_id)).data
    assert (details.status, details.filled_quantity, details.pending_quantity) == ("complete", 10, 0)
    day = (await ask(sdk.OrderApi(api).get_trade_history, V2)).data
    mine = (await ask(sdk.OrderApi(api).get_trades_by_order, order_id, V2)).data
    assert [row.trade_id for row in day] == [row.trade_id for row in mine]
    assert sum(row.quantity for row in day) == 10
    assert day[0].exchange_timestamp == "15-Dec-2025 10:00:00"
    assert mine[0].exchange_timestamp == "2025-12-15 10:00:00"
    (position,) = (await ask(sdk.PortfolioApi(api).get_positions, V2)).data
    assert (position.quantity, position.average_price) == (10, details.average_price)
    assert position.pnl == pytest.approx(10 * (position.last_price - position.average_price))
    funds = (await ask(sdk.UserApi(api).get_user_fund_margin, V2)).data
    assert funds["equity"].used_margin == pytest.approx(0.2 * 10 * position.average_price)


async def test_the_account_reads_parse(api: Any) -> None:
    holdings = (await ask(sdk.PortfolioApi(api).get_holdings, V2)).data
    assert [(row.instrument_token, row.quantity) for row in holdings] == [(SHARE, 25)]
    assert (await ask(sdk.PortfolioApi(api).get_mtf_positions)).data == []
    tree = (await ask(sdk.UserApi(api).get_user_fund_margin_v3)).data
    assert tree.available_to_trade.total == 1_000_000.0
    switches = (await ask(sdk.UserApi(api).get_kill_switch)).data
    assert [row["segment"] for row in switches if row["kill_switch_enabled"]] == []
    assert (await ask(sdk.UserApi(api).get_user_ips)).data.primary_ip == "127.0.0.1"
    charges = (await ask(sdk.ChargeApi(api).get_brokerage, SHARE, 10, "D", "SELL", 2720.0, V2)).data.charges
    assert charges.total > charges.brokerage > 0
    assert charges.taxes.stt == pytest.approx(27.0, abs=1.0)


async def test_the_market_reads_parse(api: Any) -> None:
    quotes = sdk.MarketQuoteV3Api(api)
    full = (await ask(sdk.MarketQuoteApi(api).get_full_market_quote, f"{SHARE},{OPTION}", V2)).data
    assert set(full) == {"NSE_EQ:BSE", "NSE_FO:BANKNIFTY 59000 CE 30 DEC 25"}
    assert full["NSE_EQ:BSE"].instrument_token == SHARE
    assert len(full["NSE_EQ:BSE"].depth.buy) == len(full["NSE_EQ:BSE"].depth.sell) == 5
    rich = (await ask(quotes.get_full_market_quote_v3, instrument_key=SHARE)).data["NSE_EQ:BSE"]
    assert rich.prev_close_price == 2747.2
    assert (await ask(quotes.get_ltp, instrument_key=SHARE)).data["NSE_EQ:BSE"].last_price == 2720.0
    (ohlc,) = (await ask(quotes.get_market_quote_ohlc, "1d", instrument_key=SHARE)).data.values()
    assert (ohlc.live_ohlc.open, ohlc.prev_ohlc) == (2720.0, None)
    (greeks,) = (await ask(quotes.get_market_quote_option_greek, instrument_key=OPTION)).data.values()
    assert (greeks.delta, greeks.iv) == (0.6, 0.11)


async def test_candles_and_sessions_parse(api: Any) -> None:
    history = sdk.HistoryV3Api(api)
    today = (await ask(history.get_intra_day_candle_data, SHARE, "minutes", "1")).data.candles
    assert today[0][0] == "2025-12-15T10:00:00+05:30"
    past = await ask(history.get_historical_candle_data1, SHARE, "days", "1", "2025-12-15", "2025-12-01")
    assert past.data.candles == []
    sessions = sdk.MarketHolidaysAndTimingsApi(api)
    assert (await ask(sessions.get_market_status, "NSE")).data.status == "NORMAL_OPEN"
    timings = (await ask(sessions.get_exchange_timings, "2025-12-15")).data
    assert {row.exchange for row in timings} >= {"NSE", "NFO", "BSE", "BFO"}
    holidays = (await ask(sessions.get_holidays)).data
    assert "2025-12-25" in {f"{row._date:%Y-%m-%d}" for row in holidays}
    assert (await ask(sessions.get_holiday, "2025-12-15")).data == []


async def test_refusals_reach_the_sdk_as_its_own_exception(api: Any) -> None:
    with pytest.raises(ApiException) as refused:
        await ask(sdk.OrderApi(api).get_order_status, order_id="nobody1")
    assert refused.value.status == 400
    assert json.loads(refused.value.body)["errors"][0]["errorCode"] == "UDAPI100010"


async def test_logout_ends_the_token(api: Any) -> None:
    assert (await ask(sdk.LoginApi(api).logout, V2)).data is True
    with pytest.raises(ApiException) as refused:
        await ask(sdk.UserApi(api).get_profile, V2)
    assert refused.value.status == 401


# --- the documentation's samples as a judge of shape ---------------------------------------------------


def shape_of(value: Any) -> set[str]:
    """Keys of an object, with those of nested objects; lists are judged by their first element."""
    keys: set[str] = set()
    if isinstance(value, dict):
        for name, inner in value.items():
            keys.add(name)
            keys |= {f"{name}.{key}" for key in shape_of(inner)}
    elif isinstance(value, list) and value:
        keys |= shape_of(value[0])
    return keys


async def answers(member: Member) -> dict[str, Answer]:
    """One answer for each documentation page; the order in it has filled."""
    placed = await member.place(order_type="MARKET", price=0, market_protection=-1)
    order_id = placed.data["order_ids"][0]
    resting = (await member.place()).data["order_ids"][0]
    change = {
        "order_id": resting, "order_type": "LIMIT", "validity": "DAY", "price": 2690.0, "trigger_price": 0,
    }  # fmt: skip
    return {
        "v3/place-order": placed,
        "v3/modify-order": await member.call("PUT", "/v3/order/modify", host="order", body=change),
        "v3/cancel-order": await member.call("DELETE", f"/v3/order/cancel?order_id={resting}", host="order"),
        "get-order-details": await member.get("/v2/order/details", order_id=order_id),
        "get-order-history": await member.get("/v2/order/history", order_id=order_id),
        "get-trade-history": await member.get("/v2/order/trades/get-trades-for-day"),
        "get-positions": await member.get("/v2/portfolio/short-term-positions"),
        "get-holdings": await member.get("/v2/portfolio/long-term-holdings"),
        "get-profile": await member.get("/v2/user/profile"),
        "get-user-fund-margin": await member.get("/v2/user/get-funds-and-margin"),
        "get-market-timings": await member.get("/v2/market/timings/2025-12-15"),
        "get-market-status": await member.get("/v2/market/status/NSE"),
        "v3/get-intra-day-candle-data": await member.get(
            f"/v3/historical-candle/intraday/{SHARE.replace('|', '%7C')}/minutes/1"
        ),
    }


async def keyed_answers(member: Member) -> dict[str, Answer]:
    """Answers that are maps by symbol."""
    return {
        "get-full-market-quote": await member.get("/v2/market-quote/quotes", instrument_key=SHARE),
        "get-market-quote-ohlc-v3": await member.get(
            "/v3/market-quote/ohlc", instrument_key=SHARE, interval="I1"
        ),
        "ltp-v3": await member.get("/v3/market-quote/ltp", instrument_key=SHARE),
        "option-greek": await member.get("/v3/market-quote/option-greek", instrument_key=OPTION),
    }


async def test_answers_have_every_field_of_the_documented_samples(member: Member, shared_data: Path) -> None:
    samples = json.loads((shared_data / "rest" / "upstox_doc_samples.json").read_text(encoding="utf-8"))
    for page, answer in (await answers(member)).items():
        missing = shape_of(samples[page][0]["sample"]) - shape_of(answer.body)
        assert not missing, f"{page} lacks {sorted(missing)}"
    for page, answer in (await keyed_answers(member)).items():
        (expected,) = samples[page][0]["sample"]["data"].values()
        (given,) = answer.data.values()
        missing = shape_of(expected) - shape_of(given)
        assert not missing, f"{page} lacks {sorted(missing)}"
    book = (await member.get("/v2/order/retrieve-all")).data
    for sample in samples["get-order-book"]:
        assert shape_of(sample["sample"]) <= shape_of(book[0])
