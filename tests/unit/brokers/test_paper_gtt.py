"""GTTs, conversions and the day's end with the paper broker: the same exchange as the simulator's."""

from __future__ import annotations

from typing import Any

from tests.contracts.paper_harness import PaperHarness
from tests.unit.exchange.support import FUTURE, OPEN_NS, SHARE, rs
from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.events import (
    AccountSnapshot,
    Evidence,
    FillEvent,
    GttUpdate,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestSent,
)
from tradetui.domain.gtt import (
    Gtt,
    GttRequest,
    GttRule,
    GttStatus,
    GttStrategy,
    GttTrigger,
    RuleState,
    RuleStatus,
)
from tradetui.domain.order import Fill, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.requests import (
    CancelGtt,
    ConvertPosition,
    ModifyGtt,
    PlaceGtt,
    Reconcile,
)

KEY = SHARE.key
ENTRY, TARGET, STOP = GttStrategy.ENTRY, GttStrategy.TARGET, GttStrategy.STOPLOSS
ABOVE, NOW = GttTrigger.ABOVE, GttTrigger.IMMEDIATE


def asked(*rules: GttRule, qty: int = 10) -> GttRequest:
    return GttRequest(KEY, Side.BUY, qty, Product.DELIVERY, rules)


WAITING = asked(
    GttRule(ENTRY, ABOVE, rs(101), protection_pct=0), GttRule(STOP, NOW, rs(99), protection_pct=0)
)


async def started(**args: Any) -> PaperHarness:
    harness = PaperHarness(**args)
    await harness.start()
    return harness


def said(harness: PaperHarness) -> list[list[str]]:
    return [[rule.status.value for rule in one.rules] for one in harness.of(GttUpdate)]


async def test_a_gtt_is_placed_triggers_and_guards_what_it_bought() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    harness.submit(PlaceGtt(harness.now_ns(), "g1", WAITING))
    await harness.advance(1)
    (accepted,) = harness.of(RequestAccepted)
    assert (accepted.kind, accepted.tag) == ("gtt place", "g1")
    (sent,) = harness.of(RequestSent)
    assert (sent.kind, sent.tag) == ("gtt place", "g1")
    assert accepted.t_ns - sent.t_ns >= 150_000_000
    assert said(harness) == [["SCHEDULED", "INACTIVE"]]
    await harness.set_book(KEY, [(100.9, 50)], [(101.0, 50)])
    await harness.print_trade(KEY, 101.0, 5)
    assert said(harness)[-1] == ["COMPLETED", "OPEN"]
    update = harness.of(GttUpdate)[-1]
    assert (update.gtt_id, update.evidence) == (accepted.broker_id, Evidence.STREAM)
    child = next(one for one in harness.of(OrderUpdate) if one.broker_id == update.rules[0].order_id)
    assert (child.tag, child.order_type, child.price) == ("", OrderType.LIMIT, rs(101))
    await harness.set_book(KEY, [(99.0, 50)], [(99.1, 50)])
    await harness.print_trade(KEY, 99.0, 5)
    assert said(harness)[-1] == ["COMPLETED", "COMPLETED"]
    assert [event.fill.side for event in harness.of(FillEvent)] == [Side.BUY, Side.SELL]
    harness.submit(Reconcile(harness.now_ns()))
    await harness.advance(1)
    snapshot = harness.of(AccountSnapshot)[-1]
    assert snapshot.gtts is not None
    assert [(one.gtt_id, one.evidence) for one in snapshot.gtts] == [(update.gtt_id, Evidence.POLL)]


async def test_modify_cancel_and_refusals_of_gtts_are_answered_by_kind() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    harness.submit(PlaceGtt(harness.now_ns(), "g1", WAITING))
    await harness.advance(1)
    gtt_id = harness.of(RequestAccepted)[0].broker_id
    changed = asked(GttRule(ENTRY, ABOVE, rs(102), protection_pct=0), qty=7)
    harness.submit(ModifyGtt(harness.now_ns(), "g1", gtt_id, changed))
    await harness.advance(1)
    assert harness.of(GttUpdate)[-1].qty == 7
    harness.submit(CancelGtt(harness.now_ns(), "g1", gtt_id))
    harness.submit(CancelGtt(harness.now_ns(), "g1", gtt_id))
    harness.submit(PlaceGtt(harness.now_ns(), "g2", asked(GttRule(TARGET, NOW, rs(102)))))
    harness.submit(
        PlaceGtt(harness.now_ns(), "g3", GttRequest("NSE_EQ|GONE", Side.BUY, 1, Product.DELIVERY, ()))
    )
    await harness.advance(1)
    assert said(harness)[-1] == ["CANCELLED"]
    refused = [(one.kind, one.tag, one.code) for one in harness.of(RequestRefused)]
    assert refused == [
        ("gtt cancel", "g1", "UDAPI100040"),
        ("gtt place", "g2", "UDAPI1141"),
        ("gtt place", "g3", "UDAPI100011"),
    ]


async def test_a_restart_takes_gtts_up_and_arms_what_filled_meanwhile() -> None:
    entry = RuleState(WAITING.rules[0], RuleStatus.OPEN, "OPEN", "261120000000004")
    stop = RuleState(WAITING.rules[1], RuleStatus.INACTIVE, "INACTIVE")
    gtt = Gtt("g1", WAITING, GttStatus.ACTIVE, OPEN_NS, OPEN_NS, "GTT-C26112000000004", (entry, stop))
    ended = Gtt("g0", WAITING, GttStatus.CANCELLED, OPEN_NS, OPEN_NS, "GTT-C26112000000001")
    fill = Fill("00000900", "261120000000004", "", KEY, Side.BUY, 10, rs(101), Product.DELIVERY, OPEN_NS)
    harness = await started(gtts=[gtt, ended], fills=[fill])
    (snapshot,) = harness.of(AccountSnapshot)
    assert snapshot.gtts is not None
    assert [(one.gtt_id, [r.status.value for r in one.rules]) for one in snapshot.gtts] == [
        ("GTT-C26112000000004", ["COMPLETED", "OPEN"])
    ]
    harness.t_ns += 1_000_000
    await harness.set_book(KEY, [(98.9, 50)], [(99.1, 50)])
    await harness.print_trade(KEY, 98.9, 5)
    assert said(harness)[-1] == ["COMPLETED", "TRIGGERED"]
    child = harness.of(OrderUpdate)[-1]
    assert (child.side, child.qty, child.status) == (Side.SELL, 10, OrderStatus.OPEN)


async def test_a_position_is_converted_and_stays_so_over_a_restart() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    tag = harness.place(OrderRequest(KEY, Side.BUY, 10, price=rs(100.05)))
    await harness.advance(1)
    assert harness.fills(tag) == [(10, 100.05)]
    change = ConvertPosition(harness.now_ns(), "c1", KEY, Side.BUY, 4, Product.INTRADAY, Product.DELIVERY)
    harness.submit(change)
    harness.submit(
        ConvertPosition(harness.now_ns(), "c2", KEY, Side.BUY, 40, Product.INTRADAY, Product.DELIVERY)
    )
    harness.submit(Reconcile(harness.now_ns()))
    await harness.advance(1)
    assert [(one.kind, one.tag) for one in harness.of(RequestAccepted)][-1] == ("convert", "c1")
    assert [(one.kind, one.code) for one in harness.of(RequestRefused)] == [("convert", "UDAPI1033")]

    def held(one: PaperHarness) -> dict[Product, int]:
        positions = one.of(AccountSnapshot)[-1].positions
        assert positions is not None
        return {position.product: position.qty for position in positions}

    assert held(harness) == {Product.INTRADAY: 6, Product.DELIVERY: 4}
    fills = [event.fill for event in harness.of(FillEvent)]
    done = Conversion(
        "c1", KEY, Side.BUY, 4, Product.INTRADAY, Product.DELIVERY, ConversionStatus.DONE, OPEN_NS, OPEN_NS
    )
    again = await started(fills=fills, conversions=[(1, done)])
    assert held(again) == {Product.INTRADAY: 6, Product.DELIVERY: 4}


async def test_O22_the_closing_auction_takes_the_stop_and_matches_the_limit_at_one_price() -> None:
    harness = await started()
    await harness.normal_market(KEY)
    stop = OrderRequest(KEY, Side.SELL, 5, order_type=OrderType.SL, price=rs(97.5), trigger_price=rs(98))
    stopped, resting = harness.place(stop), harness.place(OrderRequest(KEY, Side.BUY, 10, price=rs(99)))
    await harness.advance(1)
    harness.phase = "CLOSING_AUCTION:REFERENCE"
    await harness.advance(1)
    gone = harness.updates(stopped)[-1]
    assert (gone.status, "closing auction" in gone.message) == (OrderStatus.CANCELLED, True)
    assert harness.updates(resting)[-1].status is OrderStatus.OPEN
    harness.phase = "CLOSING_AUCTION:ENTRY"
    buyer = harness.place(OrderRequest(KEY, Side.BUY, 10, price=rs(101)))
    await harness.advance(1)
    assert harness.fills(buyer) == []
    harness.phase = "CLOSING_AUCTION:MATCH"
    await harness.advance(1)
    assert harness.fills(buyer) == [(10, 100.05)]
    assert harness.updates(resting)[-1].status is OrderStatus.CANCELLED


async def test_O23_a_futures_order_outside_the_reset_band_is_cancelled() -> None:
    phases = {FUTURE.key: "CONTINUOUS"}
    harness = PaperHarness(start_ns=OPEN_NS)
    harness.broker._phase_of = lambda instrument, _t: phases.get(instrument.key, "CLOSING_AUCTION:REFERENCE")
    await harness.start()
    await harness.normal_market(FUTURE.key)
    inside = harness.place(OrderRequest(FUTURE.key, Side.BUY, 65, price=rs(97)))
    await harness.advance(1)
    # The band holds from the first moment the exchange looks at a working order.
    outside = harness.place(OrderRequest(FUTURE.key, Side.BUY, 65, price=rs(96.95)))
    await harness.advance(1)
    assert harness.updates(inside)[-1].status is OrderStatus.OPEN
    refused = harness.updates(outside)[-1]
    assert (refused.status, "outside circuit: 97.00 to 103.00" in refused.message) == (
        OrderStatus.REJECTED,
        True,
    )


async def test_O16_the_broker_squares_off_at_its_cut_off() -> None:
    harness = await started(square_off_s=9 * 3600 + 20 * 60)
    await harness.normal_market(KEY)
    harness.place(OrderRequest(KEY, Side.BUY, 10, price=rs(100.05)))
    waiting = harness.place(OrderRequest(KEY, Side.BUY, 10, price=rs(99)))
    await harness.advance(1)
    await harness.advance(300)
    last = harness.of(FillEvent)[-1].fill
    assert (last.side, last.qty, last.tag) == (Side.SELL, 10, "")
    assert "auto square-off" in harness.updates(waiting)[-1].message
    closing = [one for one in harness.of(OrderUpdate) if one.broker_id == last.broker_id][-1]
    assert "auto square-off" in closing.message
    late = harness.place(OrderRequest(KEY, Side.BUY, 1, price=rs(99)))
    await harness.advance(1)
    assert "square-off time" in harness.updates(late)[-1].message
