"""The user's own rates, and our estimate beside the broker's answer."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tradetui.config import Config, parse
from tradetui.domain.calendar import ns
from tradetui.domain.charges import (
    ChargeClass,
    Leg,
    broker_plan,
    differences,
    estimate,
    overridden,
    shipped_schedule,
)
from tradetui.domain.errors import DomainError
from tradetui.domain.inquiry import ChargesAnswer
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, to_money
from tradetui.domain.order import Product, Side
from tradetui.wiring.settings import charge_from

UPSTOX = broker_plan("upstox")
SOLD = Leg("NSE", ChargeClass.OPTION, Side.SELL, 65, Price(1_200_000), date(2026, 11, 20))
BEFORE = date(2026, 11, 19)


def test_a_rate_of_the_user_holds_from_its_date_and_says_its_source() -> None:
    rates = overridden(
        shipped_schedule(),
        {
            "2026-11-20 stt.sell.OPTION": "30000; Budget",
            "2026-11-20 exchange.NSE.OPTION": "4000",
            "2026-11-20 stamp.OPTION": "400",
            "2026-11-20 sebi": "20",
            "2026-11-20 gst": "28; GST council",
        },
    )
    assert rates.tax(date(2026, 11, 20)).sell[ChargeClass.OPTION] == 30_000
    assert rates.tax(date(2026, 11, 20)).source == "Budget"
    assert rates.tax(date(2026, 11, 20)).sell[ChargeClass.FUTURE] == 5_000  # the rest of the row stays
    assert rates.tax(BEFORE) == shipped_schedule().tax(BEFORE)
    assert rates.exchange_rate("NSE", ChargeClass.OPTION, date(2026, 11, 20)) == 4_000
    assert rates.exchange_rate("BSE", ChargeClass.FUTURE, date(2026, 11, 20)) == 0
    assert rates.stamp(date(2026, 11, 20)).buy[ChargeClass.OPTION] == 400
    assert (rates.sebi_rate(date(2026, 11, 20)), rates.gst_percent(date(2026, 11, 20))) == (20, 28)
    # 65 x 120 = 7,800: STT 0.3 % is 23.40, to the rupee.
    assert estimate(SOLD, UPSTOX, rates).stt == to_money(23)
    assert estimate(SOLD, UPSTOX).stt == to_money(12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stt.sell.OPTION", "1"),
        ("2026-11-20 stt.sell.SHOES", "1"),
        ("2026-11-20 stt.hold.OPTION", "1"),
        ("2026-11-20 exchange.LSE.OPTION", "1"),
        ("2026-11-20 gst", "much"),
        ("2026-11-20 gst", "-1"),
        ("1999-01-01 stt.sell.OPTION", "1"),
        ("20 Nov gst", "1"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(DomainError, match="not a rate"):
        overridden(shipped_schedule(), {name: value})


def test_nothing_differs_from_an_answer_that_is_the_same() -> None:
    ours = estimate(SOLD, UPSTOX)
    same = ChargesAnswer(
        total=ours.total,
        brokerage=ours.brokerage,
        gst=ours.gst,
        stt=ours.stt,
        stamp=ours.stamp,
        transaction=Money(ours.exchange_txn - 400),
        ipft=Money(400),
        sebi=ours.sebi,
    )
    assert differences(ours, same) == ()


def test_each_line_that_differs_is_told_with_what_it_may_be() -> None:
    ours = estimate(SOLD, UPSTOX)
    theirs = ChargesAnswer(
        total=Money(ours.total + to_money("9.70")),
        brokerage=Money(ours.brokerage + to_money(10)),
        gst=ours.gst,
        stt=Money(ours.stt - to_money("0.30")),
        stamp=ours.stamp,
        transaction=ours.exchange_txn,
        sebi=Money(ours.sebi + 99),  # less than a paisa is nothing
    )
    found = differences(ours, theirs)
    assert [one.line for one in found] == ["brokerage", "STT", "total"]
    assert found[0].text.startswith("brokerage: ours 20.00, the broker's 30.00")
    assert found[1].words == "one of them is rounded to the rupee"


def test_every_shared_case_has_its_test(shared_data: Path) -> None:
    """A case that is added there must be looked at here."""
    folder = shared_data / "reference" / "charges"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cases.json",
        "kite_virtual_contract_note.json",
    ]
    looked_at = Path(__file__).with_name("test_charges_note.py").read_text(encoding="utf-8")
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        assert f'"{case["id"]}"' in looked_at


def test_rates_come_from_the_settings() -> None:
    settings = parse('[charges.rates]\n"2026-11-20 gst" = "0; a dream"\n')
    share = Instrument("K", "NSE_EQ", "NSE", "X", "X", InstrumentKind.EQUITY)
    terms = (share, Product.INTRADAY, Side.BUY, 100, Price(15_000_000), ns(date(2026, 11, 20), "10:00"))
    dear, cheap = charge_from(Config())(*terms), charge_from(settings)(*terms)
    assert dear - cheap == to_money("4.46")  # 18 % of 20.00 + 4.61 + 0.15
