"""Rules beyond the gate's first table: bands, lists, expiry, holdings, sizes, counts, stops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.risk.test_gate import AUTO, OPTION, SHARE, blocked_by, facts, req
from tradetui.domain.instrument import InstrumentKind
from tradetui.domain.money import Price, to_money, to_price
from tradetui.domain.order import OrderType, Product, Side, Validity
from tradetui.domain.view import Verdict
from tradetui.risk.facts import PHASE_UNKNOWN, Facts, Listed
from tradetui.risk.gate import judge
from tradetui.risk.limits import Limits

INDEX_OPTION = replace(OPTION, underlying_key="NSE_INDEX|Nifty 50", strike=to_price(26_000))
STOCK_OPTION = replace(
    OPTION,
    symbol="RELIANCE 1300 CE",
    underlying_key="NSE_EQ|INE002A01018",
    strike=to_price(1_300),
    freeze_qty=0,
)
STOCK_FUTURE = replace(STOCK_OPTION, kind=InstrumentKind.FUTURE, strike=None)
BSE_FUTURE = replace(
    STOCK_FUTURE, exchange="BSE", segment="BSE_FO", underlying_key="BSE_INDEX|SENSEX", tick_size=Price(500)
)
CRUDE = replace(STOCK_FUTURE, exchange="MCX", segment="MCX_FO", underlying_key="")
LOT = req(qty=65)
MARKET = req(order_type=OrderType.MARKET, price=Price(0), protection_pct=-1)
SELL_D = req(side=Side.SELL, product=Product.DELIVERY)


def stop(price: float, trigger: float, side: Side = Side.SELL, **more: Any) -> Any:
    return req(
        side=side, order_type=OrderType.SL, price=to_price(price), trigger_price=to_price(trigger), **more
    )


def verdict(rule: str, f: Facts) -> Verdict:
    return next(check.verdict for check in judge(f) if check.rule == rule)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("segment", {"segment_locked": True}),
        ("mcx", {"instrument": CRUDE, "request": LOT, "live": True, "armed": True}),
        ("form", {"instrument": CRUDE, "request": replace(LOT, validity=Validity.IOC)}),
        ("freeze", {"instrument": OPTION, "request": req(qty=28 * 65), "sliceable": False}),
        ("trigger range", {"request": stop(95.0, 99.0)}),
        ("trigger range", {"request": stop(75.0, 95.05, qty=65), "instrument": INDEX_OPTION}),
        ("trigger range", {"request": stop(9_700, 9_901, qty=65), "instrument": BSE_FUTURE, "last": to_price(9_950)}),
        ("phase", {"phase": "closed", "request": req()}),
        ("phase", {"phase": "continuous", "request": req(amo=True)}),
        ("phase", {"phase": "closed", "request": replace(AUTO, amo=True)}),
        ("phase", {"phase": "closed", "request": req(amo=True, validity=Validity.IOC)}),
        ("phase", {"phase": "pre-open", "request": LOT, "instrument": OPTION}),
        ("phase", {"phase": "pre-open", "stage": "match"}),
        ("phase", {"phase": "pre-open", "stage": "buffer"}),
        ("phase", {"phase": "closing auction", "stage": "reference"}),
        ("phase", {"phase": "closing auction", "stage": "match"}),
        ("phase", {"phase": "closing auction", "stage": "match", "position_qty": 10, "request": req(side=Side.SELL)}),
        ("phase", {"phase": "pre-open", "stage": "limit only", "request": MARKET}),
        ("phase", {"phase": "closing auction", "stage": "limit only", "request": MARKET}),
        ("phase", {"phase": "pre-open", "stage": "entry", "request": req(amo=True)}),
        ("positions agree", {"differs": ((Product.INTRADAY, 10, 0),)}),
        ("positions agree", {"differs": ((Product.DELIVERY, 0, 5),)}),
        ("square-off", {"second_of_day": 15 * 3600}),
        ("band", {"band": (to_price(90), to_price("99.95"))}),
        ("LPP", {"instrument": INDEX_OPTION, "request": req(qty=65, price=to_price("140.05"))}),
        ("LPP", {"instrument": INDEX_OPTION, "request": req(qty=65, price=to_price("30.1")), "last": to_price(10)}),
        ("usual size", {"usual_qty": 0.5, "request": req(qty=6)}),
        ("trade risk", {"request": replace(AUTO, stop=to_price(98), qty=251)}),
        ("trade risk", {"request": req(stop=to_price(98), qty=251), "limits": Limits(block_trade_risk=True)}),
        ("holdings", {"request": SELL_D, "free_qty": 9}),
        ("holdings", {"request": SELL_D, "free_qty": None, "live": True, "armed": True}),
        ("rate", {"orders_last_second": 8}),
        ("losing run", {"request": AUTO, "losses_in_a_row": 3, "loss_age_s": 1_799.0}),
        ("losing run", {"request": AUTO, "losses_in_a_row": 3, "limits": Limits(loss_pause_s=0), "loss_age_s": 9e9}),
        ("F&O ban", {"instrument": STOCK_FUTURE, "request": LOT, "listed": Listed(banned=True)}),
        ("intraday list", {"listed": Listed(intraday=False)}),
        ("surveillance", {"listed": Listed(surveillance="ESM 2", trade_for_trade=True)}),
        ("T2T", {"request": SELL_D, "instrument": replace(SHARE, series="BE"), "free_qty": 12, "t1_qty": 3}),
        ("expiry", {"instrument": STOCK_FUTURE, "request": LOT, "expiry_days": 0}),
        ("expiry", {"instrument": STOCK_OPTION, "request": LOT, "expiry_days": 1, "underlying_last": to_price(1_301)}),
        ("expiry", {"instrument": STOCK_OPTION, "request": LOT, "expiry_days": 1}),
        ("expiry", {"instrument": INDEX_OPTION, "request": LOT, "expiry_days": -1}),
    ],
)  # fmt: skip
def test_each_rule_refuses_what_it_is_for(rule: str, changes: dict[str, Any]) -> None:
    assert rule in blocked_by(facts(**changes))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("phase", {"phase": "closed", "request": req(amo=True)}),
        ("phase", {"phase": "closing auction"}),
        ("phase", {"phase": "closed", "request": req(amo=True, source="script:x")}),
        ("phase", {"phase": "pre-open", "stage": "entry", "request": MARKET}),
        ("phase", {"phase": "pre-open", "stage": "limit only"}),
        ("phase", {"phase": "closing auction", "stage": "entry", "request": MARKET}),
        ("phase", {"phase": "closing auction", "stage": "limit only", "may_end": True}),
        ("band", {
            "band": (to_price(101), to_price(120)), "position_qty": 10, "request": req(side=Side.SELL),
        }),
        ("positions agree", {
            "differs": ((Product.INTRADAY, 10, 0),), "position_qty": 10, "request": req(side=Side.SELL),
        }),
        ("books", {"odd_rows": 1}),
        ("usual size", {"usual_qty": 2.0, "request": req(qty=10)}),
        ("trade risk", {"request": req(stop=to_price(98), qty=251)}),
        ("holdings", {"request": SELL_D, "free_qty": 12, "t1_qty": 5, "may_sell_holdings": True}),
        ("holdings", {"request": SELL_D, "free_qty": 12, "may_sell_holdings": False}),
        ("holdings", {"request": SELL_D, "free_qty": None}),
        ("losing run", {"losses_in_a_row": 3}),
        ("F&O ban", {"instrument": STOCK_FUTURE, "request": LOT}),
        ("surveillance", {"listed": Listed(surveillance="ASM 1")}),
        ("expiry", {"instrument": STOCK_FUTURE, "request": LOT, "expiry_days": 3}),
        (
            "expiry",
            {"instrument": INDEX_OPTION, "request": replace(LOT, side=Side.SELL), "expiry_days": 0},
        ),
        ("funds", {"live": True, "armed": True}),
        ("segment", {"segment_locked": True, "position_qty": 10, "request": req(side=Side.SELL)}),
        ("LPP", {
            "instrument": INDEX_OPTION, "position_qty": 65, "last": to_price(200),
            "request": req(side=Side.SELL, qty=65),
        }),
    ],
)  # fmt: skip
def test_each_rule_warns_where_a_person_may_know_better(rule: str, changes: dict[str, Any]) -> None:
    f = facts(**changes)
    assert verdict(rule, f) is Verdict.WARN
    assert rule not in blocked_by(f)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("freeze", {"instrument": OPTION, "request": req(qty=25 * 27 * 65)}),
        ("trigger range", {"request": stop(97.0, 99.0)}),
        ("trigger range", {"request": stop(76.0, 95.0, qty=65), "instrument": INDEX_OPTION}),
        (
            "trigger range",
            {"request": stop(9_701, 9_901, qty=65), "instrument": BSE_FUTURE, "last": to_price(9_950)},
        ),
        ("square-off", {"second_of_day": 15 * 3600, "request": req(product=Product.DELIVERY)}),
        ("square-off", {"second_of_day": 15 * 3600, "request": req(side=Side.SELL), "position_qty": 10}),
        ("square-off", {"second_of_day": 20 * 3600, "instrument": CRUDE, "request": LOT}),
        ("band", {"band": (to_price(90), to_price(100))}),
        ("band", {"band": None}),
        ("band", {"band": (to_price(90), to_price("99.95")), "phase": "closed", "request": req(amo=True)}),
        ("books", {"odd_rows": 2, "position_qty": 10, "request": req(side=Side.SELL)}),
        ("LPP", {"instrument": INDEX_OPTION, "request": req(qty=65, price=to_price(140))}),
        ("usual size", {"usual_qty": 4.0}),
        ("usual size", {"usual_qty": None, "request": req(qty=400)}),
        ("trade risk", {"request": replace(AUTO, qty=250)}),
        ("losing run", {"request": AUTO, "losses_in_a_row": 3, "loss_age_s": 1_800.0}),
        ("losing run", {"request": AUTO, "losses_in_a_row": 2, "loss_age_s": 1.0}),
        ("F&O ban", {"instrument": INDEX_OPTION, "request": LOT, "listed": Listed(banned=True)}),
        ("expiry", {"instrument": INDEX_OPTION, "request": LOT, "expiry_days": 0}),
        (
            "intraday list",
            {"listed": Listed(intraday=False), "position_qty": 10, "request": req(side=Side.SELL)},
        ),
        ("T2T", {"request": SELL_D, "instrument": replace(SHARE, series="BE"), "free_qty": 13, "t1_qty": 3}),
        ("positions", {"open_positions": 6, "intraday_positions": 2, "counted": True}),
        ("positions", {"open_positions": 6, "member": True}),
        ("mcx", {"instrument": CRUDE, "request": LOT}),
    ],
)
def test_each_rule_lets_through_what_it_is_not_for(rule: str, changes: dict[str, Any]) -> None:
    assert verdict(rule, facts(**changes)) is Verdict.PASS


def test_an_option_out_of_the_money_may_be_bought_the_day_before_its_expiry() -> None:
    f = facts(instrument=STOCK_OPTION, request=LOT, expiry_days=1, underlying_last=to_price(1_299))
    assert verdict("expiry", f) is Verdict.WARN


def test_what_is_not_known_is_said() -> None:
    said = {check.rule: check.words for check in judge(facts())}
    assert "not known" in said["band"]
    assert "no intraday list" in said["intraday list"]
    assert "no surveillance list" in said["surveillance"]


def test_an_auction_says_why_it_takes_nothing_and_that_it_may_end() -> None:
    def words(**changes: Any) -> str:
        return next(check.words for check in judge(facts(**changes)) if check.rule == "phase")

    assert "reference price" in words(phase="closing auction", stage="reference")
    assert "being matched" in words(phase="pre-open", stage="match")
    assert "may end at any moment" in words(phase="pre-open", stage="limit only", may_end=True)
    assert "may end" not in words(phase="pre-open", stage="limit only")


def test_the_sale_of_free_shares_is_an_exit() -> None:
    sale = facts(
        request=SELL_D, free_qty=10, day_loss=to_money(10_000), open_positions=9, available=to_money(0)
    )
    assert sale.reducing
    assert sale.effect == "sells 10 of 10 in the demat account"
    assert blocked_by(sale) == set()
    short = facts(request=SELL_D, free_qty=9)
    assert not short.reducing


def test_shares_bought_today_are_sold_as_a_position_not_out_of_the_demat_account() -> None:
    sale = facts(request=SELL_D, position_qty=10, free_qty=10)
    assert not sale.sells_holdings
    assert sale.effect == "closes 10 of 10"


def test_a_day_that_the_calendar_does_not_know_stops_new_risk_and_lets_an_exit_try() -> None:
    assert verdict("phase", facts(phase=PHASE_UNKNOWN)) is Verdict.BLOCK
    leaving = facts(phase=PHASE_UNKNOWN, request=req(side=Side.SELL), position_qty=10)
    assert verdict("phase", leaving) is Verdict.WARN
