"""Good-till-triggered orders: what fires when, what the child is, and what the broker refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.exchange.support import ACCOUNT, CALL, CRUDE, INDEX, OPEN_NS, SHARE, Desk, order, rs
from tradetui.domain.calendar.ist import DAY_NS
from tradetui.domain.events import Holding
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger, RuleStatus
from tradetui.domain.order import OrderType, Product, Side
from tradetui.exchange.exchange import Exchange
from tradetui.exchange.orders import ExchangeEvent, GttChanged, GttState, OrderState, RawStatus, Refusal

ENTRY, TARGET, STOP = GttStrategy.ENTRY, GttStrategy.TARGET, GttStrategy.STOPLOSS
ABOVE, BELOW, NOW = GttTrigger.ABOVE, GttTrigger.BELOW, GttTrigger.IMMEDIATE


def rule(
    strategy: GttStrategy, price: float, trigger: GttTrigger = NOW, gap: float = 0, pct: int = 0
) -> GttRule:
    return GttRule(strategy, trigger, rs(price), rs(gap), pct)


def ask(
    *rules: GttRule, side: Side = Side.BUY, qty: int = 10, product: Product = Product.DELIVERY
) -> GttRequest:
    return GttRequest(SHARE.key, side, qty, product, rules)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.normal()
    return made


def placed(desk: Desk, request: GttRequest) -> str:
    reply = desk.exchange.place_gtt(ACCOUNT, request, desk.t_ns)
    assert reply.refusal is None, reply.refusal
    return reply.order_id


def gtt(desk: Desk, gtt_id: str) -> GttState:
    return next(one for one in desk.exchange.gtts(ACCOUNT) if one.gtt_id == gtt_id)


def said(desk: Desk, gtt_id: str) -> list[str]:
    return [one.status.value for one in gtt(desk, gtt_id).rules]


def child(desk: Desk, gtt_id: str, strategy: GttStrategy) -> OrderState:
    state = gtt(desk, gtt_id).rule(strategy)
    assert state is not None
    found = desk.exchange.order(ACCOUNT, state.order_id)
    assert found is not None
    return found


def walk(events: Sequence[ExchangeEvent]) -> list[list[str]]:
    return [[one.status.value for one in e.gtt.rules] for e in events if isinstance(e, GttChanged)]


def bracket(gap: float = 0) -> GttRequest:
    return ask(rule(ENTRY, 100.05), rule(TARGET, 102), rule(STOP, 98, gap=gap))


def refused(desk: Desk, request: GttRequest) -> str:
    reply = desk.exchange.place_gtt(ACCOUNT, request, desk.t_ns)
    assert reply.refusal is not None
    assert desk.exchange.gtts(ACCOUNT) == []
    return reply.refusal.code


# --- firing --------------------------------------------------------------------------------------------


def test_an_entry_above_waits_for_the_price_and_becomes_a_limit_at_its_trigger(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    assert gtt_id.startswith("GTT-C")
    desk.print(100.95, 1)
    assert said(desk, gtt_id) == ["SCHEDULED"]
    events = desk.print(101, 1)
    assert walk(events) == [["TRIGGERED"], ["OPEN"]]
    made = child(desk, gtt_id, ENTRY)
    assert (made.tag, made.gtt_id, made.request.order_type, made.request.price) == (
        "", gtt_id, OrderType.LIMIT, rs(101),
    )  # fmt: skip
    assert walk(desk.market([(100.9, 50)], [(101, 50)])) == [["COMPLETED"]]
    assert desk.fills(made) == [(10, 101.0)]


def test_an_entry_below_fires_on_the_way_down_and_must_be_filled_by_the_price_once_more(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 99, BELOW)))
    desk.market([(98.9, 10)], [(99.4, 10)])
    desk.print(99, 1)
    assert said(desk, gtt_id) == ["OPEN"]
    assert child(desk, gtt_id, ENTRY).status is RawStatus.OPEN
    desk.print(98.95, 10)
    assert said(desk, gtt_id) == ["COMPLETED"]


@pytest.mark.parametrize(("pct", "price"), [(0, 101.0), (-1, 102.0), (5, 106.05)])
def test_protection_widens_the_childs_limit(desk: Desk, pct: int, price: float) -> None:
    desk.market([], [])
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE, pct=pct)))
    desk.print(101, 1)
    assert child(desk, gtt_id, ENTRY).request.price == rs(price)


def test_exits_are_inactive_until_the_entry_fills_then_one_triggers_and_the_other_goes(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 99.5, BELOW), rule(TARGET, 102), rule(STOP, 98)))
    assert said(desk, gtt_id) == ["SCHEDULED", "INACTIVE", "INACTIVE"]
    desk.market([(99.4, 10)], [(99.6, 10)])
    desk.print(99.5, 1)
    assert said(desk, gtt_id) == ["OPEN", "INACTIVE", "INACTIVE"]
    desk.print(99.45, 10)
    assert said(desk, gtt_id) == ["COMPLETED", "OPEN", "OPEN"]
    desk.market([(101.9, 10)], [(102.1, 10)])
    desk.print(102, 1)
    assert said(desk, gtt_id) == ["COMPLETED", "TRIGGERED", "CANCELLED"]
    target = child(desk, gtt_id, TARGET)
    assert (target.request.side, target.request.qty, target.request.price) == (Side.SELL, 10, rs(102))
    desk.print(102.05, 10)
    assert said(desk, gtt_id) == ["COMPLETED", "COMPLETED", "CANCELLED"]
    assert desk.exchange.positions(ACCOUNT)[0].qty == 0
    assert not desk.exchange.watches(SHARE.key)


def test_an_entry_at_once_is_an_order_at_once(desk: Desk) -> None:
    gtt_id = placed(desk, bracket())
    assert said(desk, gtt_id) == ["COMPLETED", "OPEN", "OPEN"]
    desk.market([(97.9, 100)], [(98.1, 100)])
    desk.print(97.95, 1)
    # The stop's child is a limit at its trigger: a gap leaves it unfilled.
    assert said(desk, gtt_id) == ["COMPLETED", "CANCELLED", "TRIGGERED"]
    assert child(desk, gtt_id, STOP).filled_qty == 0


def test_a_sell_entry_has_its_exits_the_other_way_round(desk: Desk) -> None:
    asked = ask(
        rule(ENTRY, 99.95),
        rule(TARGET, 98),
        rule(STOP, 101, pct=-1),
        side=Side.SELL,
        product=Product.INTRADAY,
    )
    gtt_id = placed(desk, asked)
    assert said(desk, gtt_id) == ["COMPLETED", "OPEN", "OPEN"]
    desk.market([(100.9, 50)], [(101.2, 50)])
    desk.print(101, 1)
    assert said(desk, gtt_id) == ["COMPLETED", "CANCELLED", "COMPLETED"]
    assert desk.exchange.positions(ACCOUNT)[0].qty == 0


def test_exits_close_only_what_the_entry_filled(desk: Desk) -> None:
    desk.market([(99.9, 10)], [(100.05, 4)])
    gtt_id = placed(desk, bracket())
    entry = child(desk, gtt_id, ENTRY)
    assert (entry.filled_qty, said(desk, gtt_id)) == (4, ["OPEN", "INACTIVE", "INACTIVE"])
    desk.exchange.cancel(ACCOUNT, entry.order_id, desk.t_ns)
    assert said(desk, gtt_id) == ["CANCELLED", "OPEN", "OPEN"]
    desk.market([(102, 100)], [])
    desk.print(102, 1)
    assert child(desk, gtt_id, TARGET).request.qty == 4


def test_an_entry_that_ends_unfilled_takes_its_exits_along(desk: Desk) -> None:
    desk.market([], [])
    gtt_id = placed(desk, bracket())
    desk.phase = "CLOSED"
    desk.t_ns += DAY_NS // 2
    desk.exchange.advance(desk.t_ns)
    assert said(desk, gtt_id) == ["CANCELLED"] * 3
    entry = gtt(desk, gtt_id).rule(ENTRY)
    assert entry is not None
    assert "expired" in entry.message


def test_a_stop_trails_behind_the_best_price_and_never_goes_back(desk: Desk) -> None:
    gtt_id = placed(desk, bracket(gap=1.5))
    stops = []
    for price in (100.4, 101.2, 100.9, 101.5):
        desk.market([], [])
        assert not walk(desk.print(price, 1)), "a stop that moves says nothing"
        state = gtt(desk, gtt_id).rule(STOP)
        assert state is not None
        stops.append(state.rule.trigger_price)
    assert stops == [rs(98.9), rs(99.7), rs(99.7), rs(100)]
    desk.print(100, 1)
    assert said(desk, gtt_id) == ["COMPLETED", "CANCELLED", "TRIGGERED"]
    assert child(desk, gtt_id, STOP).request.price == rs(100)


def test_several_gtts_of_one_instrument_fire_on_one_print(desk: Desk) -> None:
    ids = [placed(desk, ask(rule(ENTRY, 101 + i * 0.5, ABOVE), qty=5)) for i in range(3)]
    desk.market([(101.5, 50)], [(101.7, 50)])
    desk.print(101.6, 1)
    assert [said(desk, one)[0] for one in ids] == ["OPEN", "OPEN", "SCHEDULED"]
    desk.market([(100.8, 50)], [(101, 50)])
    assert [said(desk, one)[0] for one in ids] == ["COMPLETED", "COMPLETED", "SCHEDULED"]


def test_nothing_fires_outside_continuous_trading(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    desk.phase = "CLOSING_AUCTION"
    desk.print(103, 1)
    assert said(desk, gtt_id) == ["SCHEDULED"]


# --- failing -------------------------------------------------------------------------------------------


def test_a_child_without_funds_fails_the_gtt_in_words() -> None:
    desk = Desk(cash=500)
    desk.normal()
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE), rule(STOP, 90)))
    desk.print(101, 1)
    assert said(desk, gtt_id) == ["FAILED", "CANCELLED"]
    entry = gtt(desk, gtt_id).rule(ENTRY)
    assert entry is not None
    assert "available 500.00" in entry.message
    assert child(desk, gtt_id, ENTRY).status is RawStatus.REJECTED


def test_a_child_that_the_broker_screens_out_fails_the_gtt() -> None:
    desk = Desk(holdings=[Holding(SHARE.key, 10, 0, 0, rs(90))])
    desk.normal()
    words = "RMS: no DDPI, and no CDSL TPIN authorisation today"
    desk.exchange.screen = lambda made: Refusal("RMS", words) if made.gtt_id else None
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE), side=Side.SELL))
    desk.print(101, 1)
    state = gtt(desk, gtt_id).rule(ENTRY)
    assert state is not None
    assert (state.status, state.message) == (RuleStatus.FAILED, words)


# --- lifetime ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "days"), [(Product.INTRADAY, 1), (Product.DELIVERY, 365), (Product.MTF, 365)]
)
def test_an_intraday_gtt_ends_with_the_day_and_others_after_a_year(
    desk: Desk, product: Product, days: int
) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE), product=product))
    expires = gtt(desk, gtt_id).expires_ns
    assert OPEN_NS + (days - 1) * DAY_NS < expires <= OPEN_NS + days * DAY_NS
    desk.exchange.advance(expires - 1)
    assert said(desk, gtt_id) == ["SCHEDULED"]
    assert walk(desk.exchange.advance(expires)) == [["EXPIRED"]]


def test_a_cancel_ends_every_rule_and_the_working_child(desk: Desk) -> None:
    desk.market([], [])
    gtt_id = placed(desk, bracket())
    reply = desk.exchange.cancel_gtt(ACCOUNT, gtt_id, desk.t_ns)
    assert reply.order_id == gtt_id
    assert said(desk, gtt_id) == ["CANCELLED"] * 3
    assert child(desk, gtt_id, ENTRY).status is RawStatus.CANCELLED
    again = desk.exchange.cancel_gtt(ACCOUNT, gtt_id, desk.t_ns).refusal
    assert again is not None
    assert again.code == "UDAPI100040"


def test_a_waiting_gtt_changes_whole_and_an_open_one_only_in_its_exits(desk: Desk) -> None:
    exchange = desk.exchange
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    assert (
        exchange.modify_gtt(ACCOUNT, gtt_id, 7, (rule(ENTRY, 99, BELOW), rule(STOP, 97)), desk.t_ns).refusal
        is None
    )
    assert gtt(desk, gtt_id).request.qty == 7
    desk.market([(98.9, 100)], [(99, 100)])
    desk.print(99, 1)
    assert said(desk, gtt_id) == ["COMPLETED", "OPEN"]

    def code(qty: int, *rules: GttRule) -> str:
        refusal = exchange.modify_gtt(ACCOUNT, gtt_id, qty, rules, desk.t_ns).refusal
        return refusal.code if refusal is not None else ""

    assert code(8, rule(ENTRY, 99), rule(STOP, 97)) == "UDAPI1150"
    assert code(7, rule(ENTRY, 99, BELOW), rule(STOP, 97)) == "UDAPI1150"
    assert code(7, rule(ENTRY, 99), rule(STOP, 97.5), rule(TARGET, 103)) == ""
    assert said(desk, gtt_id) == ["COMPLETED", "OPEN", "OPEN"]
    desk.market([(97.5, 100)], [(97.6, 100)])
    desk.print(97.5, 1)
    assert said(desk, gtt_id) == ["COMPLETED", "COMPLETED", "CANCELLED"]
    assert code(7, rule(ENTRY, 99)) == "UDAPI100041"


def test_a_changed_entry_that_enters_at_once_does(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    desk.exchange.modify_gtt(ACCOUNT, gtt_id, 10, (rule(ENTRY, 100.05),), desk.t_ns)
    assert said(desk, gtt_id) == ["COMPLETED"]


def test_a_restart_takes_gtts_up_where_they_were(desk: Desk) -> None:
    waiting = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    desk.market([(99.9, 10)], [(100.05, 4)])
    half = placed(desk, bracket())
    first = desk.exchange
    entry = child(desk, half, ENTRY)
    desk.exchange = Exchange((SHARE,), lambda _i, _t: desk.phase, first_serial=100)
    desk.exchange.add_account(ACCOUNT, first.funds(ACCOUNT).opening, first.positions(ACCOUNT))
    for state in first.gtts(ACCOUNT):
        # The entry's child ended, partly filled, while nobody ran.
        desk.exchange.restore_gtt(state, {entry.order_id: 4})
    assert said(desk, waiting) == ["SCHEDULED"]
    assert said(desk, half) == ["CANCELLED", "OPEN", "OPEN"]
    desk.market([(102, 50)], [(102.1, 50)], last=102)
    desk.print(102, 1)
    assert said(desk, waiting) == ["OPEN"]
    assert said(desk, half) == ["CANCELLED", "COMPLETED", "CANCELLED"]
    assert child(desk, half, TARGET).request.qty == 4


# --- refusals ------------------------------------------------------------------------------------------

REFUSED = [
    (ask(rule(TARGET, 102)), "UDAPI1141"),
    (ask(), "UDAPI1137"),
    (ask(rule(ENTRY, 100), rule(ENTRY, 100)), "UDAPI1137"),
    (ask(rule(ENTRY, 100), rule(STOP, 98, BELOW)), "UDAPI1143"),
    (ask(rule(ENTRY, 99, ABOVE)), "UDAPI100036"),
    (ask(rule(ENTRY, 101, BELOW)), "UDAPI100036"),
    (ask(rule(ENTRY, 100), rule(TARGET, 99)), "UDAPI100036"),
    (ask(rule(ENTRY, 100), rule(STOP, 101)), "UDAPI100036"),
    (ask(rule(ENTRY, 0)), "UDAPI1063"),
    (ask(rule(ENTRY, 100), rule(STOP, 90, gap=0.95)), "UDAPI1151"),
    (ask(rule(ENTRY, 100, pct=26)), "UDAPI1159"),
    (ask(rule(ENTRY, 101, ABOVE), qty=0), "UDAPI1052"),
    (replace(ask(rule(ENTRY, 101, ABOVE)), instrument_key=CALL.key), "UDAPI1064"),
    (replace(ask(rule(ENTRY, 101, ABOVE)), instrument_key=INDEX.key), "UDAPI100011"),
    (replace(ask(rule(ENTRY, 101, ABOVE)), instrument_key=CRUDE.key, qty=100), "UDAPI1161"),
    (replace(ask(rule(ENTRY, 101, ABOVE)), instrument_key="NSE_EQ|NONE"), "UDAPI100011"),
]


@pytest.mark.parametrize(("asked", "code"), REFUSED)
def test_what_makes_no_gtt_is_refused_with_its_code(desk: Desk, asked: GttRequest, code: str) -> None:
    assert refused(desk, asked) == code


def test_a_trailing_gap_of_a_tenth_is_enough(desk: Desk) -> None:
    placed(desk, ask(rule(ENTRY, 99, BELOW), rule(STOP, 90, gap=1)))


def test_gtts_of_others_do_not_exist_for_us(desk: Desk) -> None:
    gtt_id = placed(desk, ask(rule(ENTRY, 101, ABOVE)))
    for refusal in (
        desk.exchange.cancel_gtt("CD5678", gtt_id, desk.t_ns).refusal,
        desk.exchange.modify_gtt("CD5678", gtt_id, 1, (rule(ENTRY, 101, ABOVE),), desk.t_ns).refusal,
    ):
        assert refusal is not None
        assert refusal.code == "UDAPI100010"


def test_an_instrument_without_gtts_costs_a_lookup_only(desk: Desk) -> None:
    placed(desk, replace(ask(rule(ENTRY, 101, ABOVE)), instrument_key="BSE_EQ|INE002A01018"))
    desk.place(order(price=99))
    assert not walk(desk.print(101, 1))
