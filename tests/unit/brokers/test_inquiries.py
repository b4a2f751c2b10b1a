"""Questions that people ask: the same answers in form, told by the broker or reckoned here and labelled so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.upstox_harness import UpstoxHarness
from tests.unit.exchange.support import CALL, SHARE, order
from tradetui.brokers.paper_inquiries import PaperInquiries
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import Reply
from tradetui.brokers.upstox.inquiries import UpstoxInquiries
from tradetui.domain.calendar.ist import ns
from tradetui.domain.charges import broker_plan
from tradetui.domain.errors import BrokerError, TransportError, UnknownInstrument, UsageError
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side


class OneAnswer:
    """An API that answers everything with the same data, and keeps what it was asked."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.asked: list[tuple[ep.Endpoint, dict[str, Any]]] = []

    async def call(self, endpoint: ep.Endpoint, **ask: Any) -> Reply:
        self.asked.append((endpoint, ask))
        return Reply(self.data)


def upstox(data: Any) -> tuple[UpstoxInquiries, OneAnswer]:
    api = OneAnswer(data)
    return UpstoxInquiries(api), api  # type: ignore[arg-type]


def paper(last: Price | None = None) -> PaperInquiries:
    from tests.unit.exchange.support import DAY

    known = {one.key: one for one in (SHARE, CALL)}
    return PaperInquiries(known.get, lambda _: last, broker_plan("upstox"), lambda: ns(DAY, "10:00"))


MARGINS = {
    "margins": [
        {"total_margin": 120.5, "span_margin": 100, "exposure_margin": 20.5},
        {"total_margin": 80.0, "equity_margin": 80.0, "net_buy_premium": None},
    ],
    "required_margin": 200.5,
    "final_margin": 150.25,
}


async def test_margins_are_read_with_the_benefit_of_the_hedge() -> None:
    ask, api = upstox(MARGINS)
    answer = await ask.margin([order(Side.SELL, 65, 10.0, instrument=CALL), order(price=99.0)])
    assert (answer.required, answer.final, answer.benefit) == (
        to_money("200.5"), to_money("150.25"), to_money("50.25"),
    )  # fmt: skip
    assert [(leg.instrument_key, leg.total, leg.span) for leg in answer.legs] == [
        (CALL.key, to_money("120.5"), to_money(100)),
        (SHARE.key, to_money(80), Money(0)),
    ]
    assert not answer.estimate
    endpoint, said = api.asked[0]
    assert endpoint is ep.MARGIN
    assert not endpoint.write, "a question, although it is posted"
    assert said["body"]["instruments"][1] == {
        "instrument_key": SHARE.key, "quantity": 10, "product": "I", "transaction_type": "BUY", "price": 99.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "data", [None, {}, {"margins": [], "required_margin": 1}, {"margins": MARGINS["margins"]}]
)
async def test_an_answer_about_margins_without_sense_is_no_zero(data: Any) -> None:
    with pytest.raises(TransportError, match="makes no sense"):
        await upstox(data)[0].margin([order()])


async def test_too_many_legs_are_refused_here() -> None:
    ask, api = upstox(MARGINS)
    for legs in ([], [order()] * 21):
        with pytest.raises(UsageError):
            await ask.margin(legs)
    assert not api.asked


async def test_charges_are_read_with_the_lines_that_the_sdk_loses() -> None:
    ask, api = upstox(
        {
            "charges": {
                "total": 61.37, "brokerage": 40.0,
                "taxes": {"gst": 7.5, "stt": 10.0, "stamp_duty": 1.0},
                "other_charges": {"transaction": 2.0, "clearing": 0.1, "ipft": 0.02, "sebi_turnover": 0.75},
                "dp_plan": {"name": "SILVER", "min_expense": 18.5},
            }
        }
    )  # fmt: skip
    answer = await ask.charges(CALL.key, 65, Product.DELIVERY, Side.SELL, to_price("26000.05"))
    assert (answer.total, answer.brokerage, answer.stt) == (to_money("61.37"), to_money(40), to_money(10))
    assert (answer.transaction, answer.clearing, answer.ipft) == (
        to_money(2),
        to_money("0.1"),
        to_money("0.02"),
    )
    assert (answer.dp_plan, answer.dp_min) == ("SILVER", to_money("18.5"))
    assert dict(api.asked[0][1]["query"])["price"] == "26000.05"


async def test_the_kill_switch_is_told_and_set_in_the_brokers_words() -> None:
    rows = [
        {"segment": "NSE_EQ", "segment_status": "ACTIVE", "kill_switch_enabled": True},
        {"segment": "MCX_FO", "segment_status": "INACTIVE", "kill_switch_enabled": False},
        {"odd": 1},
    ]
    ask, api = upstox(rows)
    locks = await ask.kill_switch()
    assert [(one.segment, one.active, one.locked) for one in locks] == [
        ("NSE_EQ", True, True), ("MCX_FO", False, False),
    ]  # fmt: skip
    await ask.set_kill_switch("NSE_EQ", True)
    await ask.set_kill_switch("NSE_EQ", False)
    assert [said["body"] for _, said in api.asked[1:]] == [
        [{"segment": "NSE_EQ", "action": "DISABLE"}], [{"segment": "NSE_EQ", "action": "ENABLE"}],
    ]  # fmt: skip
    assert api.asked[1][0].write, "never repeated, and without an answer its outcome is unknown"


async def test_the_simulator_answers_every_question() -> None:
    harness = UpstoxHarness()
    await harness.start()
    try:
        await harness.normal_market(SHARE.key)
        ask = UpstoxInquiries(harness.api)
        margin = await ask.margin([order(Side.BUY, 10, 100.0)])
        assert 0 < margin.final <= to_money(1000)
        charges = await ask.charges(SHARE.key, 10, Product.INTRADAY, Side.BUY, to_price(100))
        reckoned = await paper().charges(SHARE.key, 10, Product.INTRADAY, Side.BUY, to_price(100))
        assert (charges.total, charges.brokerage) == (reckoned.total, reckoned.brokerage)
        assert not any(lock.locked for lock in await ask.kill_switch())
        locks = await ask.set_kill_switch("NSE_EQ", True)
        assert [lock.segment for lock in locks if lock.locked] == ["NSE_EQ"]
        with pytest.raises(BrokerError) as refused:
            await ask.set_kill_switch("MOON_EQ", True)
        assert "segment" in refused.value.remedy
        assert (await ask.static_ip()).primary
    finally:
        await harness.stop()


async def test_paper_labels_its_answers_as_estimates() -> None:
    ask = paper(to_price(100))
    market = OrderRequest(SHARE.key, Side.BUY, 10, order_type=OrderType.MARKET)
    margin = await ask.margin([market, order(Side.BUY, 10, 50.0, product=Product.DELIVERY)])
    assert margin.estimate
    assert [leg.total for leg in margin.legs] == [to_money(200), to_money(500)]
    charges = await ask.charges(SHARE.key, 10, Product.DELIVERY, Side.SELL, to_price(100))
    assert charges.estimate
    assert charges.dp_min > 0
    assert charges.total > 0
    assert await ask.kill_switch() == ()
    assert (await ask.static_ip()).primary == ""
    with pytest.raises(UsageError, match="no kill switch"):
        await ask.set_kill_switch("NSE_EQ", True)
    with pytest.raises(UnknownInstrument):
        await ask.margin([OrderRequest("NSE_EQ|NONE", Side.BUY, 1)])
    with pytest.raises(UsageError, match="no price"):
        await paper(None).margin([market])
