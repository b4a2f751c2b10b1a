"""Rows of GTTs, positions, locks and profiles, and what must never be made of rows that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.brokers.upstox.test_parse import ORDER
from tradetui.brokers.upstox import parse
from tradetui.domain.events import Evidence
from tradetui.domain.gtt import GttStrategy, GttTrigger, RuleStatus
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import Product, Side

GTT: dict[str, Any] = {
    "gtt_order_id": "GTT-C26112000001",
    "type": "MULTIPLE",
    "exchange": "NSE_EQ",
    "instrument_token": "NSE_EQ|INE002A01018",
    "quantity": 10,
    "product": "D",
    "created_at": 1_795_149_000_123_456,
    "expires_at": 1_826_685_000_123_456,
    "rules": [
        {
            "strategy": "ENTRY", "status": "COMPLETED", "trigger_type": "BELOW", "trigger_price": 98.05,
            "transaction_type": "BUY", "order_id": "261120000000001", "trailing_gap": None, "message": None,
        },
        {
            "strategy": "STOPLOSS", "status": "scheduled", "trigger_type": "IMMEDIATE", "trigger_price": "95",
            "transaction_type": "SELL", "order_id": None, "trailing_gap": 2.5,
        },
    ],
}  # fmt: skip


def rule(**changes: Any) -> dict[str, Any]:
    return {**GTT, "rules": [{**GTT["rules"][0], **changes}]}


def test_a_gtt_is_read_whole() -> None:
    said = parse.gtt_update(GTT, 7, Evidence.POLL)
    assert said is not None
    assert (said.gtt_id, said.side, said.qty, said.product) == (
        "GTT-C26112000001",
        Side.BUY,
        10,
        Product.DELIVERY,
    )
    assert (said.created_ns, said.expires_ns) == (1_795_149_000_123_456_000, 1_826_685_000_123_456_000)
    entry, stop = said.rules
    assert (entry.rule.strategy, entry.status, entry.order_id) == (
        GttStrategy.ENTRY, RuleStatus.COMPLETED, "261120000000001",
    )  # fmt: skip
    assert (entry.rule.trigger, entry.rule.trigger_price) == (GttTrigger.BELOW, to_price("98.05"))
    assert (stop.status, stop.raw_status, stop.order_id) == (RuleStatus.SCHEDULED, "scheduled", "")
    assert (stop.rule.trailing_gap, stop.rule.trigger_price) == (to_price("2.5"), to_price(95))


def test_an_unknown_word_for_a_rule_counts_as_waiting_and_is_shown_raw() -> None:
    said = parse.gtt_update(rule(status="DREAMING"), 7, Evidence.STREAM)
    assert said is not None
    assert (said.rules[0].status, said.rules[0].raw_status) == (RuleStatus.SCHEDULED, "DREAMING")


def test_the_side_of_a_gtt_without_its_entry_is_the_other_one_of_its_exits() -> None:
    said = parse.gtt_update({**GTT, "rules": GTT["rules"][1:]}, 7, Evidence.POLL)
    assert said is not None
    assert said.side is Side.BUY


@pytest.mark.parametrize(
    "change",
    [
        {"gtt_order_id": None}, {"instrument_token": ""}, {"quantity": "many"}, {"product": "X"}, {"rules": []},
        {"rules": None}, {"rules": "x"}, {"rules": [{"strategy": "HOPE", "trigger_price": 1}]},
    ],
)  # fmt: skip
def test_o21_a_gtt_that_cannot_be_told_is_odd_and_takes_no_neighbour_along(change: dict[str, Any]) -> None:
    read, odd = parse.each_and_odd(
        [{**GTT, **change}, GTT], lambda row: parse.gtt_update(row, 7, Evidence.POLL), "GTT row"
    )
    assert [one.gtt_id for one in read] == ["GTT-C26112000001"]
    assert len(odd) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted(GTT)), JSON),
    st.dictionaries(st.sampled_from(sorted(GTT["rules"][0])), JSON),
)
def test_o21_no_gtt_row_however_odd_raises(changes: dict[str, Any], in_rule: dict[str, Any]) -> None:
    row = {**GTT, "rules": [{**GTT["rules"][0], **in_rule}], **changes}
    parse.each_and_odd([row], lambda one: parse.gtt_update(one, 7, Evidence.POLL), "GTT row")


def test_o16_what_somebody_else_placed_was_placed_by_the_broker() -> None:
    cases = {
        ("AB1234", "AB1234"): False,
        ("RMS1", "AB1234"): True,
        ("RMS1", ""): False,
        (None, "AB1234"): False,
    }
    for (placed_by, holder), by_broker in cases.items():
        said = parse.order_update({**ORDER, "placed_by": placed_by}, 7, Evidence.POLL, holder)
        assert said is not None
        assert said.by_broker is by_broker


def test_o20_a_rejection_keeps_the_brokers_words_and_adds_what_to_do() -> None:
    row = {**ORDER, "status": "rejected", "status_message": "RMS:Margin Exceeds, Required:10.00."}
    said = parse.order_update(row, 7, Evidence.POLL)
    assert said is not None
    assert (
        said.message == "RMS:Margin Exceeds, Required:10.00. Add funds, free margin, or send a smaller order"
    )
    quiet = parse.order_update({**row, "status": "open"}, 7, Evidence.POLL)
    assert quiet is not None
    assert quiet.message == "RMS:Margin Exceeds, Required:10.00."


def test_a_position_says_what_was_carried_and_at_which_close() -> None:
    row = {
        "instrument_token": "NSE_EQ|X", "product": "D", "quantity": 15, "average_price": 100.0, "realised": 0,
        "close_price": 98.5, "overnight_quantity": 10,
    }  # fmt: skip
    said = parse.position(row)
    assert said is not None
    assert (said.close_price, said.overnight_qty) == (to_price("98.5"), 10)
    bare = parse.position({key: row[key] for key in ("instrument_token", "product", "quantity")})
    assert bare is not None
    assert (bare.close_price, bare.overnight_qty) == (Price(0), 0)


def test_o18_locked_segments_are_those_that_the_kill_switch_closed() -> None:
    rows: list[dict[str, Any]] = [
        {"segment": "NSE_FO", "segment_status": "ACTIVE", "kill_switch_enabled": True},
        {"segment": "NSE_EQ", "segment_status": "ACTIVE", "kill_switch_enabled": False},
        {"segment": "MCX_FO", "segment_status": "INACTIVE", "kill_switch_enabled": None},
        {"segment": "BSE_EQ", "kill_switch_enabled": True},
    ]
    assert parse.locked_segments(rows) == ("BSE_EQ", "NSE_FO")


@pytest.mark.parametrize(
    ("profile", "may"),
    [
        ({"ddpi": True, "poa": False}, True), ({"poa": True}, True), ({"ddpi": False, "poa": False}, False),
        ({"ddpi": False}, False), ({}, None), ({"ddpi": None, "poa": None}, None),
    ],
)  # fmt: skip
def test_whether_holdings_may_be_sold_is_known_only_when_it_is_said(
    profile: dict[str, Any], may: bool | None
) -> None:
    assert parse.may_sell_holdings(profile) is may
