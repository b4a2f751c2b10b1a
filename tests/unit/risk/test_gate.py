"""Every rule refuses what it should, lets exits through, and fails closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.view import Verdict
from tradetui.risk import gate
from tradetui.risk.facts import Facts, RiskState
from tradetui.risk.gate import judge, refusal
from tradetui.risk.limits import Limits

SHARE = Instrument(
    "NSE_EQ|X", "NSE_EQ", "NSE", "X", "X Ltd", InstrumentKind.EQUITY, "EQ", 1, to_price("0.05"), 1000
)
OPTION = Instrument(
    "NSE_FO|1",
    "NSE_FO",
    "NSE",
    "NIFTY 26000 CE",
    "NIFTY",
    InstrumentKind.CALL,
    "CE",
    65,
    to_price("0.05"),
    1800,
)
INDEX = Instrument("NSE_INDEX|N", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
BUY = OrderRequest("NSE_EQ|X", Side.BUY, 10, price=to_price(100))
NOON = 12 * 3600


def facts(**changes: Any) -> Facts:
    base = Facts(
        request=BUY,
        instrument=SHARE,
        limits=Limits(),
        last=to_price(100),
        quote_age_s=1.0,
        available=to_money(50_000),
        second_of_day=NOON,
        margin_needed=to_money(200),
    )
    return replace(base, **changes)


def blocked_by(f: Facts) -> set[str]:
    return {check.rule for check in judge(f) if check.verdict is Verdict.BLOCK}


def test_a_plain_order_passes_every_rule() -> None:
    results = judge(facts())
    assert refusal(results) == ""
    assert len(results) == len(gate.RULES)
    assert {check.verdict for check in results} == {Verdict.PASS}


def req(**changes: Any) -> OrderRequest:
    return replace(BUY, **changes)


AUTO = req(source="vote", stop=to_price(98), target=to_price(104))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("instrument", {"instrument": None}),
        ("instrument", {"instrument": INDEX}),
        ("state", {"state": RiskState.HALTED}),
        ("state", {"state": RiskState.REDUCING}),
        ("journal", {"journal_problem": "cannot write the journal: No space left on device"}),
        ("arming", {"live": True}),
        ("lot", {"request": req(qty=0)}),
        ("lot", {"request": req(qty=66), "instrument": OPTION}),
        ("freeze", {"request": req(qty=25 * 27 * 65 + 65), "instrument": OPTION}),
        ("tick", {"request": req(price=to_price("100.03"))}),
        ("tick", {"request": req(price=Price(0))}),
        ("tick", {"request": req(order_type=OrderType.SL, price=to_price(101))}),
        ("stop", {"request": req(order_type=OrderType.SL, price=to_price(101), trigger_price=to_price(102))}),
        ("stop", {"request": req(order_type=OrderType.SL, price=to_price(101), trigger_price=to_price(99))}),
        (
            "form",
            {
                "request": req(order_type=OrderType.SL_M, qty=65, trigger_price=to_price(101)),
                "instrument": OPTION,
            },
        ),
        ("form", {"request": req(order_type=OrderType.MARKET, price=Price(0), protection_pct=0)}),
        ("disclosed", {"request": req(disclosed_qty=5, qty=100)}),
        ("form", {"request": req(product=Product.MTF, qty=65), "instrument": OPTION}),
        ("form", {"instrument": replace(SHARE, series="BE")}),
        ("phase", {"phase": "closed"}),
        ("phase", {"phase": "closing auction", "request": req(validity=Validity.IOC)}),
        ("feed", {"feed_up": False}),
        ("quote", {"last": None, "quote_age_s": None}),
        ("quote", {"quote_age_s": 301.0, "request": req(order_type=OrderType.MARKET, price=Price(0))}),
        ("unknown", {"unknown_order": True}),
        ("distance", {"request": req(price=to_price(111))}),
        ("value", {"request": req(qty=900, price=to_price(300)), "last": to_price(300)}),
        ("funds", {"margin_needed": to_money(50_001)}),
        ("day loss", {"day_loss": to_money(1_500)}),
        ("week loss", {"week_loss": to_money(3_000)}),
        ("month loss", {"month_drawdown": to_money(5_000)}),
        ("positions", {"open_positions": 6}),
        ("positions", {"swing_positions": 4, "request": req(product=Product.DELIVERY)}),
        ("positions", {"underlying_positions": 2}),
        ("positions", {"open_positions": 2, "intraday_positions": 2}),
        ("exposure", {"exposure": to_money(249_500)}),
        ("trades", {"limits": Limits(max_trades_per_day=3), "entries_today": 3}),
        ("duplicate", {"request": AUTO, "same_recent": True}),
        ("holding", {"request": AUTO, "position_qty": 5}),
        ("holding", {"request": AUTO, "pending_qty": 5}),
        ("cooldown", {"request": AUTO, "strategy_idle_s": 299.0}),
        ("window", {"request": AUTO, "second_of_day": 15 * 3600}),
        ("score", {"request": AUTO, "score": 59.9}),
        ("reward:risk", {"request": replace(AUTO, target=to_price("102.95")), "score": 80.0}),
        ("reward:risk", {"request": replace(AUTO, stop=to_price(101)), "score": 80.0}),
        ("reward:risk", {"request": BUY, "score": 80.0}),
    ],
)
def test_each_rule_refuses_what_it_is_for(rule: str, changes: dict[str, Any]) -> None:
    assert rule in blocked_by(facts(**changes))


def test_a_person_is_warned_of_a_duplicate_not_stopped() -> None:
    results = judge(facts(same_recent=True))
    assert refusal(results) == ""
    assert [c.rule for c in results if c.verdict is Verdict.WARN] == ["duplicate"]


def test_exits_pass_when_everything_that_limits_risk_says_no() -> None:
    worst = facts(
        request=req(side=Side.SELL),
        position_qty=10,
        state=RiskState.HALTED,
        live=True,
        feed_up=False,
        last=None,
        quote_age_s=None,
        unknown_order=True,
        day_loss=to_money(10_000),
        available=Money(0),
        margin_needed=to_money(10**6),
        open_positions=9,
        intraday_positions=9,
        exposure=to_money(10**9),
    )
    assert blocked_by(worst) == set()


@pytest.mark.parametrize(
    ("held", "side", "qty", "pending", "reducing"),
    [
        (10, Side.SELL, 10, 0, True),
        (10, Side.SELL, 11, 0, False),
        (10, Side.SELL, 5, 5, True),
        (10, Side.SELL, 6, 5, False),
        (10, Side.BUY, 1, 0, False),
        (-10, Side.BUY, 10, 0, True),
        (0, Side.SELL, 1, 0, False),
    ],
)
def test_reducing_counts_the_exits_that_already_work(
    held: int, side: Side, qty: int, pending: int, reducing: bool
) -> None:
    assert facts(request=req(side=side, qty=qty), position_qty=held, pending_qty=pending).reducing is reducing


def test_a_rule_that_breaks_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Facts) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(gate, "RULES", (*gate.RULES, broken))
    assert "the rule failed: ZeroDivisionError" in refusal(judge(facts()))


def test_the_words_of_a_refusal_are_one_line_each() -> None:
    words = refusal(
        judge(facts(feed_up=False, state=RiskState.HALTED, state_reason="kill pulled by operator"))
    )
    assert "kill pulled by operator" in words
    assert "\n" not in words
