"""Margins, brokerage, conversion, positions by day and funds over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import OPTION, SHARE, Answer, Member, place_body, write_recording
from tradetui.domain.charges import Leg, broker_plan, charge_class, estimate
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import to_price, to_rupees
from tradetui.domain.order import Product, Side
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

MARKET: dict[str, Any] = {"order_type": "MARKET", "price": 0, "market_protection": -1}


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    """Two recorded instruments that stand still."""
    options = SimOptions(
        auto_approve=True, replay=write_recording(tmp_path), faults=("no-limits",), opening_cash=300_000
    )
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


@pytest.fixture
async def trader(tmp_path: Path) -> AsyncIterator[Member]:
    """The synthetic world with its options, paused in its session."""
    options = SimOptions(
        auto_approve=True, speed=0, day=date(2026, 11, 18), jump_to_open=True, faults=("no-limits",),
        opening_cash=5_000_000,
    )  # fmt: skip
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        await one.control("/clock", {"jump": "2026-11-18T10:00:00"})
        yield one


def leg(key: str, side: str, quantity: int, product: str = "D", **more: Any) -> dict[str, Any]:
    return {
        "instrument_key": key, "transaction_type": side, "quantity": quantity, "product": product, **more,
    }  # fmt: skip


async def margin(member: Member, *legs: dict[str, Any]) -> Answer:
    return await member.call("POST", "/v2/charges/margin", body={"instruments": list(legs)})


async def available(member: Member) -> float:
    funds = (await member.get("/v2/user/get-funds-and-margin")).data["equity"]
    return float(funds["available_margin"])


def contracts(member: Member) -> tuple[Instrument, Instrument, Instrument]:
    """A NIFTY future and two calls of the same expiry around the money, the lower strike first."""
    listed = member.sim.venue.instruments
    spot = member.sim.venue.last_of("NSE_INDEX|Nifty 50")
    day = date(2026, 11, 18)
    on_index = [one for one in listed.values() if one.underlying_key == "NSE_INDEX|Nifty 50"]
    futures = [one for one in on_index if one.kind is InstrumentKind.FUTURE]
    future = min(futures, key=lambda one: one.expiry or date.max)
    calls = [
        one
        for one in on_index
        if one.kind is InstrumentKind.CALL and one.expiry is not None and one.expiry > day
    ]
    nearest = min(one.expiry for one in calls if one.expiry is not None)
    chain = sorted((one for one in calls if one.expiry == nearest), key=lambda one: one.strike or 0)
    at = next(n for n, one in enumerate(chain) if to_rupees(one.strike or to_price(0)) >= spot)
    return future, chain[at], chain[at + 4]


async def farthest(member: Member, key: str, side: str) -> float:
    """The last price of one side of the depth shown: an order there rests."""
    (quote,) = (await member.get("/v2/market-quote/quotes", instrument_key=key)).data.values()
    return float(quote["depth"][side][4]["price"])


# --- margin ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (leg(SHARE, "BUY", 0), "UDAPI1096"),
        (leg(OPTION, "BUY", 30), "UDAPI1097"),
        (leg("SBIN", "BUY", 1), "UDAPI1098"),
        (leg("NSE_EQ|INE000000000", "BUY", 1), "UDAPI1099"),
        (leg(SHARE, "BUY", 1, "CNC"), "UDAPI1054"),
        (leg(SHARE, "B", 1), "UDAPI1057"),
    ],
)
async def test_a_bad_leg_is_refused_with_its_code(member: Member, row: dict[str, Any], code: str) -> None:
    assert (await margin(member, row)).code == code


async def test_too_many_or_double_legs_are_refused(member: Member) -> None:
    one = leg(SHARE, "BUY", 1)
    assert (await margin(member, *[one] * 21)).code == "UDAPI1102"
    assert (await margin(member, one, leg(SHARE, "SELL", 1))).code == "UDAPI1103"
    assert (await margin(member)).code == "UDAPI100036"


async def test_shares_need_a_fifth_a_quarter_or_all(member: Member) -> None:
    wanted = {"I": 0.2, "MTF": 0.25, "D": 1.0}
    for product, part in wanted.items():
        got = (await margin(member, leg(SHARE, "BUY", 10, product, price=2700.0))).data
        assert got["margins"][0]["equity_margin"] == pytest.approx(part * 27_000)
        assert got["required_margin"] == got["final_margin"] == got["margins"][0]["total_margin"]


async def test_an_option_bought_needs_its_premium(member: Member) -> None:
    got = (await margin(member, leg(OPTION, "BUY", 35, price=700.0))).data
    assert got["margins"][0]["net_buy_premium"] == got["final_margin"] == 24_500


async def test_a_spread_needs_far_less_than_its_legs(trader: Member) -> None:
    _, low, high = contracts(trader)
    lot = low.lot_size
    got = (await margin(trader, leg(low.key, "SELL", lot), leg(high.key, "BUY", lot))).data
    short, long = got["margins"]
    assert short["span_margin"] > 0
    assert long["span_margin"] == 0
    assert long["net_buy_premium"] > 0
    assert got["required_margin"] == pytest.approx(short["total_margin"] + long["total_margin"])
    width = to_rupees((high.strike or to_price(0)) - (low.strike or 0)) * lot
    assert got["final_margin"] < short["total_margin"] / 2
    assert got["final_margin"] <= width + short["exposure_margin"]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
async def test_the_account_is_charged_what_the_endpoint_says(trader: Member, which: int, side: str) -> None:
    contract = contracts(trader)[which]
    before = await available(trader)
    price = trader.sim.venue.last_of(contract.key)
    asked = leg(contract.key, side, contract.lot_size, price=price)
    need = (await margin(trader, asked)).data["final_margin"]
    # Far enough from the market to rest, near enough to its price to be compared by the margin's own terms.
    body = place_body(
        contract.key, transaction_type=side, quantity=contract.lot_size, product="D", price=price
    )
    placed = await trader.call("POST", "/v3/order/place", host="order", body=body)
    row = (await trader.get("/v2/order/details", order_id=placed.data["order_ids"][0])).data
    assert row["status"] in ("open", "complete"), row
    paid = row["average_price"] or price
    slip = abs(paid - price) * contract.lot_size if contract.is_option else 0.0
    assert before - await available(trader) == pytest.approx(need, abs=slip + 0.01)


async def test_a_hedge_bought_first_makes_the_short_leg_cheap(trader: Member) -> None:
    _, low, high = contracts(trader)
    before = await available(trader)
    both = (await margin(trader, leg(low.key, "SELL", 65), leg(high.key, "BUY", 65))).data["final_margin"]
    for contract, side in ((high, "BUY"), (low, "SELL")):
        await trader.place(
            contract.key, **MARKET, transaction_type=side, quantity=contract.lot_size, product="D"
        )
    rows = (await trader.get("/v2/order/retrieve-all")).data
    assert [row["status"] for row in rows] == ["complete", "complete"]
    assert before - await available(trader) == pytest.approx(both, rel=0.05)


async def test_an_unfilled_hedge_helps_nobody(trader: Member) -> None:
    _, low, high = contracts(trader)
    below, above = await farthest(trader, high.key, "buy"), await farthest(trader, low.key, "sell")
    await trader.place(high.key, quantity=high.lot_size, product="D", price=below)
    blocked = (await trader.get("/v2/user/get-funds-and-margin")).data["equity"]["used_margin"]
    assert blocked == pytest.approx(below * high.lot_size)
    alone = (await margin(trader, leg(low.key, "SELL", 65, price=above))).data["final_margin"]
    before = await available(trader)
    await trader.place(low.key, quantity=65, product="D", transaction_type="SELL", price=above)
    assert before - await available(trader) == pytest.approx(alone, abs=0.01)


# --- funds ----------------------------------------------------------------------------------------------


async def test_the_funds_tree_adds_up(trader: Member) -> None:
    future, low, high = contracts(trader)
    for contract, side in ((high, "BUY"), (low, "SELL"), (future, "BUY")):
        await trader.place(
            contract.key, **MARKET, transaction_type=side, quantity=contract.lot_size, product="D"
        )
    share = next(one for one in trader.sim.venue.instruments.values() if one.kind is InstrumentKind.EQUITY)
    for product in ("I", "D", "MTF"):
        await trader.place(share.key, **MARKET, quantity=5, product=product)
    await trader.place(share.key, **MARKET, quantity=2, product="I", transaction_type="SELL")
    tree = (await trader.get("/v3/user/get-funds-and-margin")).data["available_to_trade"]
    cash, used = (tree["cash_available_to_trade"][name] for name in ("cash", "margin_used"))
    parts = ("mtf", "span_exposure", "cash_margin_var_elm", "premium_present")
    assert used["total"] == pytest.approx(
        sum(used[name] for name in parts) + used["delivery_margin"]["total"]
    )
    assert all(used[name] for name in parts)
    assert tree["total"] == pytest.approx(
        cash["opening_balance"] + cash["amount_from_stock_sale"] - used["total"] - used["loss"]["total"]
    )
    flat = (await trader.get("/v2/user/get-funds-and-margin")).data["equity"]
    assert flat["available_margin"] == tree["total"]
    assert flat["span_margin"] + flat["exposure_margin"] == pytest.approx(used["span_exposure"])


# --- brokerage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["I", "D"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
async def test_the_brokerage_is_our_own_estimate_to_the_paisa(
    member: Member, product: str, side: str
) -> None:
    charges = (
        await member.get(
            "/v2/charges/brokerage", instrument_token=SHARE, quantity="10", product=product,
            transaction_type=side, price="2720.5",
        )
    ).data["charges"]  # fmt: skip
    instrument = member.sim.venue.instruments[SHARE]
    ours = estimate(
        Leg(
            venue="NSE", kind=charge_class(instrument, Product(product)), side=Side(side), qty=10,
            price=to_price(2720.5), day=date(2025, 12, 15), security=SHARE,
        ),
        broker_plan("upstox"),
    )  # fmt: skip
    assert charges["total"] == to_rupees(ours.total)
    other = charges["other_charges"]
    assert set(other) == {"transaction", "clearing", "ipft", "sebi_turnover"}
    dp = charges["dp_plan"]["min_expense"] if charges["dp_plan"] else 0.0
    parts = [charges["brokerage"], *charges["taxes"].values(), *other.values(), dp]
    assert sum(parts) == pytest.approx(charges["total"])
    assert (charges["dp_plan"] is not None) == (product == "D")


# --- conversion and positions by day --------------------------------------------------------------------


async def convert(member: Member, key: str, old: str, new: str, quantity: int, **changes: Any) -> Answer:
    body = {
        "instrument_token": key, "old_product": old, "new_product": new, "quantity": quantity,
        "transaction_type": "BUY", **changes,
    }  # fmt: skip
    return await member.call("PUT", "/v2/portfolio/convert-position", body=body)


async def positions(member: Member) -> dict[str, dict[str, Any]]:
    rows = (await member.get("/v2/portfolio/short-term-positions")).data
    return {row["product"]: row for row in rows}


async def test_a_conversion_moves_units_and_margin(member: Member) -> None:
    await member.place(**MARKET, quantity=10)
    before, paid = await available(member), (await positions(member))["I"]["average_price"]
    assert (await convert(member, SHARE, "I", "D", 4)).data == {"status": "complete"}
    rows = await positions(member)
    assert {name: row["quantity"] for name, row in rows.items()} == {"I": 6, "D": 4}
    assert rows["D"]["average_price"] == rows["I"]["average_price"] == paid
    assert {name: row["day_buy_quantity"] for name, row in rows.items()} == {"I": 6, "D": 4}
    assert [row["overnight_quantity"] for row in rows.values()] == [0, 0]
    assert before - await available(member) == pytest.approx(0.8 * 4 * paid)
    assert (await convert(member, SHARE, "D", "I", 4)).status == 200
    assert await available(member) == pytest.approx(before)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"old": "I", "new": "D", "quantity": 11}, "UDAPI1033"),
        ({"old": "D", "new": "I", "quantity": 1}, "UDAPI1033"),
        ({"old": "CNC", "new": "I", "quantity": 1}, "UDAPI1033"),
        ({"old": "I", "new": "CO", "quantity": 1}, "UDAPI1034"),
        ({"old": "I", "new": "I", "quantity": 1}, "UDAPI1034"),
        ({"old": "I", "new": "D", "quantity": 0}, "UDAPI1052"),
        ({"old": "I", "new": "D", "quantity": 1, "transaction_type": "SELL"}, "UDAPI1033"),
    ],
)
async def test_what_cannot_be_converted(member: Member, asked: dict[str, Any], code: str) -> None:
    await member.place(**MARKET, quantity=10)
    assert (await convert(member, SHARE, **asked)).code == code


async def test_a_conversion_needs_the_money(member: Member) -> None:
    await member.place(SHARE, **MARKET, quantity=150)
    held = (await positions(member))["I"]["quantity"]
    before = await available(member)
    answer = await convert(member, SHARE, "I", "D", held)
    assert answer.code == "UDAPI1035"
    assert "margin" in answer.body["errors"][0]["message"]
    assert await available(member) == before


async def test_a_carried_position_says_so_the_next_day(trader: Member) -> None:
    future, *_ = contracts(trader)
    await trader.place(future.key, **MARKET, quantity=future.lot_size, product="D")
    first = (await positions(trader))["D"]
    assert (first["overnight_quantity"], first["day_buy_quantity"]) == (0, future.lot_size)
    await trader.control("/clock", {"jump": "2026-11-19T10:00:00"})
    await trader.login()
    carried = (await positions(trader))["D"]
    assert (carried["overnight_quantity"], carried["day_buy_quantity"]) == (future.lot_size, 0)
    assert carried["overnight_buy_amount"] == pytest.approx(first["buy_value"])
    assert carried["average_price"] == first["average_price"]
    assert carried["pnl"] == pytest.approx(
        future.lot_size * (carried["last_price"] - carried["close_price"]), abs=0.01
    )
    assert (await convert(trader, future.key, "D", "I", future.lot_size)).code == "UDAPI1035"
    placed = await trader.place(
        future.key, **MARKET, quantity=future.lot_size, product="D", transaction_type="SELL"
    )
    await trader.control("/clock", {"speed": 10})
    async with asyncio.timeout(10):
        filled: dict[str, Any] = {"status": "open"}
        while filled["status"] == "open":
            filled = (await trader.get("/v2/order/details", order_id=placed.data["order_ids"][0])).data
    await trader.control("/clock", {"speed": 0})
    closed = (await positions(trader))["D"]
    assert (closed["quantity"], closed["overnight_quantity"]) == (0, future.lot_size)
    assert closed["realised"] == pytest.approx(
        future.lot_size * (filled["average_price"] - closed["close_price"]), abs=0.01
    )
    await trader.control("/clock", {"jump": "2026-11-20T10:00:00"})
    await trader.login()
    assert await positions(trader) == {}


async def test_a_conversion_is_pushed_for_both_products(member: Member) -> None:
    await member.place(**MARKET, quantity=10)
    path = "/v2/feed/portfolio-stream-feed/authorize?update_types=position"
    url = (await member.call("GET", path)).data["authorized_redirect_uri"]
    async with member.http.ws_connect(url) as ws, asyncio.timeout(5):
        await convert(member, SHARE, "I", "D", 4)
        frames = [json.loads(await ws.receive_str()) for _ in range(2)]
    assert {frame["product"]: frame["quantity"] for frame in frames} == {"I": 6, "D": 4}


async def test_mtf_positions_have_their_own_endpoint(member: Member) -> None:
    await member.place(**MARKET, quantity=4, product="MTF")
    assert await positions(member) == {}
    (row,) = (await member.get("/v3/portfolio/mtf-positions")).data
    assert (row["product"], row["quantity"], row["multiplier"]) == ("MTF", 4, 1.0)


async def test_a_restart_keeps_the_day_split_and_its_conversions(tmp_path: Path) -> None:
    options = SimOptions(
        auto_approve=True, replay=write_recording(tmp_path), faults=("no-limits",),
        state_file=tmp_path / "kept.json",
    )  # fmt: skip
    async with aiohttp.ClientSession() as session:
        async with SimulatorServer(options) as sim:
            member = Member(sim, session)
            await member.login()
            await member.place(**MARKET, quantity=10)
            await convert(member, SHARE, "I", "D", 4)
            before = await positions(member)
        async with SimulatorServer(options) as sim:
            member = Member(sim, session)
            await member.login()
            assert await positions(member) == before
            assert (await convert(member, SHARE, "D", "I", 4)).status == 200
