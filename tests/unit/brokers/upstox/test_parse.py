from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.brokers.upstox import parse
from tradetui.domain.calendar import ist_datetime
from tradetui.domain.events import BrokerPosition, Evidence, Holding
from tradetui.domain.money import to_money, to_price
from tradetui.domain.order import OrderStatus, OrderType, Product, Side, Validity

ORDER: dict[str, Any] = {
    "order_id": "261120000000001",
    "exchange_order_id": "1100000000000001",
    "instrument_token": "NSE_EQ|INE002A01018",
    "product": "I",
    "order_type": "LIMIT",
    "validity": "DAY",
    "transaction_type": "BUY",
    "quantity": 10,
    "filled_quantity": 4,
    "pending_quantity": 6,
    "price": 2500.05,
    "trigger_price": 0.0,
    "average_price": 2500.0,
    "status": "open",
    "status_message": None,
    "tag": "t1",
    "order_timestamp": "2026-11-20 10:15:02",
    "exchange_timestamp": "2026-11-20 10:15:03",
}
TRADE: dict[str, Any] = {
    "trade_id": "500",
    "order_id": "261120000000001",
    "instrument_token": "NSE_EQ|INE002A01018",
    "transaction_type": "SELL",
    "product": "D",
    "quantity": 4,
    "average_price": 2500.0,
    "exchange_timestamp": "20-Nov-2026 10:15:03",
}


def test_an_order_row_is_read_whole() -> None:
    update = parse.order_update(ORDER, 7, Evidence.POLL)
    assert update is not None
    assert (update.t_ns, update.evidence, update.tag) == (7, Evidence.POLL, "t1")
    assert (update.broker_id, update.exchange_id) == ("261120000000001", "1100000000000001")
    assert (update.status, update.raw_status) == (OrderStatus.OPEN, "open")
    assert (update.side, update.product) == (Side.BUY, Product.INTRADAY)
    assert (update.order_type, update.validity) == (OrderType.LIMIT, Validity.DAY)
    assert (update.qty, update.filled_qty) == (10, 4)
    assert (update.price, update.average_price) == (to_price(2500.05), to_price(2500))
    assert update.message == ""
    assert f"{ist_datetime(update.exchange_time_ns):%Y-%m-%d %H:%M:%S}" == "2026-11-20 10:15:03"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("put order req received", OrderStatus.PENDING),
        ("validation pending", OrderStatus.PENDING),
        ("open pending", OrderStatus.PENDING),
        ("after market order req received", OrderStatus.PENDING),
        ("open", OrderStatus.OPEN),
        ("trigger pending", OrderStatus.TRIGGER_PENDING),
        ("modify validation pending", OrderStatus.PENDING),
        ("modify pending", OrderStatus.PENDING),
        ("modified", OrderStatus.PENDING),
        ("not modified", OrderStatus.PENDING),
        ("modify after market order req received", OrderStatus.PENDING),
        ("cancel pending", OrderStatus.PENDING),
        ("not cancelled", OrderStatus.PENDING),
        ("cancelled", OrderStatus.CANCELLED),
        ("cancelled after market order", OrderStatus.CANCELLED),
        ("complete", OrderStatus.FILLED),
        ("rejected", OrderStatus.REJECTED),
        ("COMPLETE ", OrderStatus.FILLED),
        ("frozen by a comet", OrderStatus.PENDING),
        (None, OrderStatus.PENDING),
    ],
)
def test_every_status_of_the_broker_has_one_of_ours(text: str | None, status: OrderStatus) -> None:
    assert parse.status_of(text) is status
    assert status.working or status.terminal


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 10:15:03",
        "20-Nov-2026 10:15:03",
        "2026-11-20T10:15:03+05:30",
        "2026-11-20T04:45:03+00:00",
        "2026-11-20T10:15:03",
    ],
)
def test_every_spelling_of_a_time_is_the_same_moment(text: str) -> None:
    assert parse.time_ns(text) == 1_795_149_903 * 10**9


@pytest.mark.parametrize("text", ["", None, "soon", 5, "2026-13-40 10:00:00"])
def test_what_is_no_time_is_zero(text: object) -> None:
    assert parse.time_ns(text) == 0


def test_one_odd_row_does_not_take_its_neighbours_along(caplog: pytest.LogCaptureFixture) -> None:
    odd = {
        **ORDER,
        "order_id": "2",
        "order_type": "ICEBERG",
        "validity": "GTD",
        "product": "XYZ",
        "quantity": None,
    }
    rows = parse.rows_of(
        [ORDER, "text", odd, {**ORDER, "order_id": None, "tag": "lost"}, {**ORDER, "order_id": "3"}]
    )
    with caplog.at_level(logging.WARNING):
        got = parse.each(rows, lambda row: parse.order_update(row, 1, Evidence.POLL), "order row")
    assert [update.broker_id for update in got] == ["261120000000001", "2", "3"]
    assert (got[1].order_type, got[1].validity, got[1].product, got[1].qty) == (None, None, None, None)
    assert got[1].status is OrderStatus.OPEN
    assert "ICEBERG" in caplog.text
    assert '"tag": "lost"' in caplog.text


def test_text_from_outside_is_harmless() -> None:
    update = parse.order_update(
        {**ORDER, "tag": "a\x1b[2Jb", "status_message": "no\u202eway\n", "status": "op\x07en"},
        1,
        Evidence.POLL,
    )
    assert update is not None
    assert (update.tag, update.message, update.status) == ("a[2Jb", "noway ", OrderStatus.OPEN)


def test_a_trade_is_read_with_our_tag() -> None:
    fill = parse.fill(TRADE, 1, {"261120000000001": "t1"})
    assert fill is not None
    assert (fill.trade_id, fill.broker_id, fill.tag) == ("500", "261120000000001", "t1")
    assert (fill.side, fill.qty, fill.price, fill.product) == (Side.SELL, 4, to_price(2500), Product.DELIVERY)
    assert fill.time_ns == 1_795_149_903 * 10**9
    cover = parse.fill({**TRADE, "product": "CO", "exchange_timestamp": None}, 9, {})
    assert cover is not None
    assert (cover.product, cover.tag, cover.time_ns) == (Product.INTRADAY, "", 9)


@pytest.mark.parametrize(
    "field", ["trade_id", "order_id", "instrument_token", "transaction_type", "quantity", "average_price"]
)
@pytest.mark.parametrize("value", [None, "", "odd \x00", float("nan"), [], -1])
def test_a_trade_that_cannot_be_booked_is_left_out(field: str, value: object) -> None:
    got = parse.each([{**TRADE, field: value}], lambda row: parse.fill(row, 1, {}), "trade row")
    if got:  # ids and keys may be any text, prices any number
        assert field in ("trade_id", "order_id", "instrument_token", "average_price")


def test_positions_and_holdings() -> None:
    row = {
        "instrument_token": "NSE_EQ|X", "product": "D", "quantity": -5, "average_price": "", "sell_price": 99.5,
        "buy_price": None, "realised": -12.5,
    }  # fmt: skip
    assert parse.position(row) == BrokerPosition(
        "NSE_EQ|X", Product.DELIVERY, -5, to_price(99.5), to_money(-12.5)
    )
    flat = parse.position({**row, "quantity": 0, "sell_price": "", "realised": None})
    assert flat == BrokerPosition("NSE_EQ|X", Product.DELIVERY, 0, to_price(0), to_money(0))
    assert parse.position({**row, "quantity": None}) is None
    assert parse.position({**row, "product": "NEW"}) is None
    held = {
        "instrument_token": "NSE_EQ|X",
        "quantity": 10,
        "t1_quantity": 2,
        "cnc_used_quantity": None,
        "average_price": 7,
    }
    assert parse.holding(held) == Holding("NSE_EQ|X", 10, 2, 0, to_price(7))
    assert parse.holding({**held, "quantity": "ten"}) is None


def test_funds_in_both_shapes() -> None:
    tree = {
        "available_to_trade": {
            "total": 1000.5,
            "cash_available_to_trade": {"margin_used": {"total": 20}},
            "pledge_available_to_trade": {"margin_used": {"total": 5.25}},
        }
    }
    assert parse.funds_v3(tree) == (to_money(1000.5), to_money(25.25))
    assert parse.funds_v3({"available_to_trade": {"total": 0}}) == (0, 0)
    assert parse.funds_v2({"equity": {"available_margin": 10, "used_margin": -3}}) == (
        to_money(10),
        to_money(-3),
    )
    nothings: list[object] = [None, [], {}, {"equity": None}, {"available_to_trade": {"total": "x"}}]
    for nothing in nothings:
        assert parse.funds_v3(nothing) is None
        assert parse.funds_v2(nothing) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*ORDER, *TRADE, "instrument_key"]), JSON, max_size=18), max_size=4
    )
)
def test_no_row_however_odd_raises(rows: list[dict[str, Any]]) -> None:
    for read in (
        lambda row: parse.order_update(row, 1, Evidence.STREAM),
        lambda row: parse.fill(row, 1, {}),
        parse.position,
        parse.holding,
    ):
        for value in parse.each(parse.rows_of(rows), read, "row"):
            assert json.dumps(str(value)).isascii()
    parse.rows_of(rows[0] if rows else None)
