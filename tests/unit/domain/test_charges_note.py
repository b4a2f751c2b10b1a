"""The contract note of a day, and samples of outside brokers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradetui.domain.charges import ChargeClass, Charges, Leg, Trade, broker_plan, day_note, estimate
from tradetui.domain.errors import DomainError
from tradetui.domain.money import Money, to_money, to_price
from tradetui.domain.order import Side

ZERODHA, UPSTOX = broker_plan("zerodha"), broker_plan("upstox")
TODAY = date(2026, 11, 20)
BEFORE_BUDGET_2026 = date(2026, 3, 31)
BUY, SELL = Side.BUY, Side.SELL
DELIVERY, INTRADAY, OPTION = ChargeClass.DELIVERY, ChargeClass.INTRADAY, ChargeClass.OPTION


def leg(kind: ChargeClass, side: Side, qty: int, price: str, day: date = TODAY, **more: Any) -> Leg:
    return Leg(more.pop("venue", "NSE"), kind, side, qty, to_price(price), day, **more)


def pair(kind: ChargeClass, qty: int, buy: str, sell: str, day: date = TODAY, **more: Any) -> tuple[Leg, Leg]:
    return leg(kind, BUY, qty, buy, day, **more), leg(kind, SELL, qty, sell, day, **more)


def test_e15_stt_is_levied_on_the_days_average_price() -> None:
    trades = [
        Trade(leg(DELIVERY, BUY, 500, "100", security="X"), "1"),
        Trade(leg(DELIVERY, SELL, 500, "105", security="X"), "2"),
        Trade(leg(DELIVERY, BUY, 200, "110", security="X"), "3"),
    ]
    note = day_note(trades, ZERODHA)
    (line,) = note.lines
    assert (line.bought_qty, line.sold_qty, line.intraday_qty) == (700, 500, 500)
    assert line.stt_intraday == to_money(13)
    assert line.stt_delivery == to_money(21)
    assert note.charges.stt == to_money(34)
    assert note.charges.dp == 0


def test_brokerage_is_per_order_not_per_fill() -> None:
    fills = [Trade(leg(OPTION, BUY, 65, "100", security="C"), "A") for _ in range(5)]
    assert day_note(fills, UPSTOX).charges.brokerage == to_money(20)
    others = [replace(fill, order_id=str(n)) for n, fill in enumerate(fills)]
    assert day_note(others, UPSTOX).charges.brokerage == to_money(100)


def test_same_day_delivery_orders_are_taxed_as_intraday() -> None:
    trades = [
        Trade(leg(DELIVERY, BUY, 100, "1500", security="X"), "1"),
        Trade(leg(DELIVERY, SELL, 100, "1510", security="X"), "2"),
    ]
    charges = day_note(trades, ZERODHA).charges
    assert charges.stt == to_money(38)
    assert charges.stamp == to_money(5)
    assert charges.dp == 0
    assert charges.brokerage == 0


def test_trade_for_trade_securities_do_not_net() -> None:
    trades = [
        Trade(leg(DELIVERY, BUY, 100, "1500", security="X"), "1", trade_for_trade=True),
        Trade(leg(DELIVERY, SELL, 100, "1510", security="X"), "2", trade_for_trade=True),
    ]
    note = day_note(trades, ZERODHA)
    assert note.lines[0].intraday_qty == 0
    assert note.charges.stt == to_money(301)
    assert note.charges.dp == to_money("15.34")


def test_dp_charge_is_per_security_with_a_delivery_sale() -> None:
    trades = [
        Trade(leg(DELIVERY, SELL, 10, "100", security="X"), "1"),
        Trade(leg(DELIVERY, SELL, 10, "101", security="X"), "2"),
        Trade(leg(DELIVERY, SELL, 10, "102", security="Y"), "3"),
    ]
    assert day_note(trades, ZERODHA).charges.dp == to_money("30.68")


def test_stt_is_rounded_per_security_and_not_on_the_sum() -> None:
    # 0.40 rupee of tax each: rounded away twice, where the sum would have been 1.
    trades = [Trade(leg(INTRADAY, SELL, 16, "100", security=name), name) for name in ("X", "Y")]
    trades += [Trade(leg(INTRADAY, BUY, 16, "100", security=name), name + "b") for name in ("X", "Y")]
    assert day_note(trades, UPSTOX).charges.stt == 0
    assert estimate(leg(INTRADAY, SELL, 32, "100"), UPSTOX).stt == to_money(1)


def test_derivatives_pay_on_what_was_sold() -> None:
    trades = [Trade(one, str(n)) for n, one in enumerate(pair(OPTION, 65, "100", "120", security="C"))]
    charges = day_note(trades, UPSTOX).charges
    assert charges.stt == to_money(12)
    assert charges.stamp == 0, "0.195 rupee, in whole rupees"
    assert charges.exchange_txn == to_money("5.08")


def test_an_exercise_adds_only_its_tax() -> None:
    bought = Trade(leg(OPTION, BUY, 65, "100", security="C"), "1")
    exercised = Trade(leg(OPTION, SELL, 65, "150", security="C", is_exercise=True), "")
    alone, both = day_note([bought], UPSTOX).charges, day_note([bought, exercised], UPSTOX).charges
    assert both.stt == to_money(15)
    assert replace(both, stt=Money(0)) == alone


def test_a_note_covers_one_day_and_orders_one_security() -> None:
    first = Trade(leg(OPTION, BUY, 65, "100", security="C"), "1")
    with pytest.raises(DomainError, match="one day"):
        day_note([first, replace(first, leg=replace(first.leg, day=BEFORE_BUDGET_2026))], UPSTOX)
    with pytest.raises(DomainError, match="order 1"):
        day_note([first, replace(first, leg=replace(first.leg, security="D"))], UPSTOX)


def test_a_day_without_trades_costs_nothing() -> None:
    assert day_note([], UPSTOX).charges == Charges()


# ---- outside samples --------------------------------------------------------------------------------


def close_to(ours: int, theirs: Decimal | float, paise: str) -> bool:
    return abs(Decimal(ours) / 10_000 - Decimal(str(theirs))) <= Decimal(paise) / 100


def summed(expected: dict[str, float], *names: str) -> Decimal:
    return sum((Decimal(str(expected[name])) for name in names), Decimal(0))


@pytest.fixture
def cases(shared_data: Path) -> dict[str, dict[str, Any]]:
    rows = json.loads((shared_data / "reference" / "charges" / "cases.json").read_text())
    return {row["id"]: row for row in rows}


def test_upstox_documentation_sample_of_2023(cases: dict[str, dict[str, Any]]) -> None:
    """Every line but GST, which the sample levies on the exchange's charge alone; ours adds SEBI and IPFT."""
    expected = cases["upstox-doc-delivery-buy"]["expected"]
    charges = estimate(leg(DELIVERY, BUY, 1, "174850", date(2023, 6, 1)), ZERODHA)
    assert charges.stt == to_money(str(expected["stt"]))
    assert charges.stamp == to_money(str(expected["stamp_duty"]))
    assert close_to(charges.exchange_txn, summed(expected, "transaction", "ipft"), "1")
    assert charges.sebi == to_money(str(expected["sebi_turnover"]))
    assert close_to(charges.gst, expected["gst"], "7")


def test_option_contract_note_of_2024_25(cases: dict[str, dict[str, Any]]) -> None:
    """The note's IPFT is Rs 10 per crore where NSE's circular has Rs 50 for options: 3 paise and their GST."""
    expected = cases["mstock-nifty-option-buy"]["expected"]
    day = date(2025, 1, 2)
    charges = estimate(leg(OPTION, BUY, 75, "120.5", day), UPSTOX)
    assert charges.brokerage == to_money(str(expected["brokerage"]))
    assert charges.sebi == to_money(str(expected["sebi_turnover"]))
    assert charges.stamp == to_money(str(expected["stamp_duty"]))
    assert charges.stt == 0
    assert close_to(charges.exchange_txn, summed(expected, "transaction", "ipft"), "3")
    assert close_to(charges.gst, expected["gst"], "1")
    assert close_to(charges.total, expected["total"], "4")
    sale = cases["mstock-nifty-option-sell-stt"]["expected"]
    sold = estimate(leg(OPTION, SELL, 75, "120.5", day), UPSTOX)
    assert sold.stt == to_money(round(sale["stt"])), "the note has not rounded 9.04 to the rupee yet"
    assert sold.stamp == 0


def test_kite_virtual_contract_note_of_2023(shared_data: Path) -> None:
    """Its lines are unrounded; and it shows no stamp duty on a buy, which the law has levied since 2020."""
    path = shared_data / "reference" / "charges" / "kite_virtual_contract_note.json"
    rows = json.loads(path.read_text())["virtual_contract_note"]
    assert len(rows) == 3
    kinds = {"NSE": DELIVERY, "MCX": ChargeClass.COMMODITY_FUTURE, "NFO": OPTION}
    for row in rows:
        kind, theirs = kinds[row["exchange"]], row["charges"]
        venue = "MCX" if row["exchange"] == "MCX" else "NSE"
        ours = estimate(
            leg(
                kind,
                Side(row["transaction_type"]),
                row["quantity"],
                str(row["price"]),
                date(2023, 7, 3),
                venue=venue,
            ),
            ZERODHA,
            with_dp=False,
        )
        assert close_to(ours.exchange_txn, theirs["exchange_turnover_charge"], "0.5")
        assert close_to(ours.sebi, theirs["sebi_turnover_charge"], "0.5")
        assert close_to(ours.brokerage, theirs["brokerage"], "0.5")
        assert close_to(ours.gst, theirs["gst"]["total"], "1")
        assert close_to(ours.stt, theirs["transaction_tax"], "0.5" if venue == "MCX" else "50")
