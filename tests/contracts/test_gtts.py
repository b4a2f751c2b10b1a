"""GTTs at every broker: rules that rest, fire, become orders, change and end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.harness import Harness, rupees
from tests.contracts.test_broker import share
from tradetui.domain.events import RequestAccepted, RequestRefused
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger, RuleStatus
from tradetui.domain.money import Price
from tradetui.domain.order import OrderStatus, Product, Side
from tradetui.domain.requests import CancelGtt, ModifyGtt, PlaceGtt

ENTRY, STOP, TARGET = GttStrategy.ENTRY, GttStrategy.STOPLOSS, GttStrategy.TARGET
OVER = (RuleStatus.CANCELLED, RuleStatus.COMPLETED)


def price(value: float) -> Price:
    return Price(rupees(value))


def entry(at: float, trigger: GttTrigger = GttTrigger.BELOW) -> GttRule:
    return GttRule(ENTRY, trigger, price(at), protection_pct=2)


def exit_rule(strategy: GttStrategy, at: float, gap: float = 0) -> GttRule:
    return GttRule(strategy, GttTrigger.IMMEDIATE, price(at), price(gap), protection_pct=2)


def gtt(
    harness: Harness, *rules: GttRule, product: Product = Product.DELIVERY, side: Side = Side.BUY
) -> GttRequest:
    return GttRequest(share(harness).key, side, 10, product, rules)


async def bought(harness: Harness, *exits: GttRule) -> str:
    """A MULTIPLE whose entry has fired and filled at about 99; its id."""
    await harness.normal_market(share(harness).key)
    _, gtt_id = await harness.place_gtt(gtt(harness, entry(99), *exits))
    await harness.normal_market(share(harness).key, 98.9)
    await harness.until_rule(gtt_id, ENTRY, RuleStatus.COMPLETED)
    return gtt_id


async def test_a_single_waits_fires_and_fills(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    request = gtt(harness, entry(99))
    tag, gtt_id = await harness.place_gtt(request)
    waiting = await harness.until_rule(gtt_id, ENTRY, RuleStatus.SCHEDULED)
    said = harness.gtt(gtt_id)
    assert said is not None
    assert (said.instrument_key, said.side, said.qty, said.product) == (
        request.instrument_key, Side.BUY, 10, Product.DELIVERY,
    )  # fmt: skip
    assert (waiting.rule.trigger, waiting.rule.trigger_price) == (GttTrigger.BELOW, price(99))
    assert 0 < said.created_ns <= harness.now_ns() < said.expires_ns
    await harness.normal_market(share(harness).key, 98.9)
    done = await harness.until_rule(gtt_id, ENTRY, RuleStatus.COMPLETED)
    assert done.order_id
    await harness.until(lambda _: any(u.status is OrderStatus.FILLED for u in harness.by_id(done.order_id)))
    child = harness.by_id(done.order_id)[-1]
    assert (child.side, child.qty, child.filled_qty, child.product) == (Side.BUY, 10, 10, Product.DELIVERY)
    assert child.tag != tag, "the broker keeps no label of ours"
    snapshot = await harness.snapshot(gtts=True)
    assert snapshot.positions is not None
    assert [p.qty for p in snapshot.positions] == [10]
    assert snapshot.gtts is not None
    assert gtt_id in [one.gtt_id for one in snapshot.gtts]


@pytest.mark.parametrize(("last", "won", "lost"), [(94.9, STOP, TARGET), (110.1, TARGET, STOP)])
async def test_o25_of_a_stop_and_a_target_one_fires_and_the_other_is_gone(
    harness: Harness, last: float, won: GttStrategy, lost: GttStrategy
) -> None:
    gtt_id = await bought(harness, exit_rule(STOP, 95), exit_rule(TARGET, 110))
    await harness.normal_market(share(harness).key, last)
    await harness.until_rule(gtt_id, won, RuleStatus.COMPLETED)
    other = await harness.until_rule(gtt_id, lost, RuleStatus.CANCELLED)
    assert not other.order_id
    snapshot = await harness.snapshot()
    assert snapshot.positions is not None
    assert [p.qty for p in snapshot.positions] == [0]


async def test_exits_wait_for_the_entry(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    _, gtt_id = await harness.place_gtt(gtt(harness, entry(99), exit_rule(STOP, 95), exit_rule(TARGET, 110)))
    await harness.until_rule(gtt_id, STOP, RuleStatus.INACTIVE)
    await harness.normal_market(share(harness).key, 110.1)
    await harness.snapshot(gtts=True)
    assert {one.status for one in harness.rules(gtt_id).values()} == {
        RuleStatus.SCHEDULED,
        RuleStatus.INACTIVE,
    }


async def test_a_trailing_stop_follows_and_never_goes_back(harness: Harness) -> None:
    gtt_id = await bought(harness, exit_rule(STOP, 95, gap=3))
    for last in (100.0, 104.0, 102.0):
        await harness.normal_market(share(harness).key, last)
    await harness.snapshot(gtts=True)
    moved = harness.rules(gtt_id)[STOP].rule.trigger_price
    assert price(100) <= moved <= price(101.5), "104 less 3"
    await harness.normal_market(share(harness).key, moved / 10_000 - 0.5)
    await harness.until_rule(gtt_id, STOP, RuleStatus.COMPLETED)


async def test_a_cancel_ends_it(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag, gtt_id = await harness.place_gtt(gtt(harness, entry(99)))
    harness.submit(CancelGtt(harness.now_ns(), tag, gtt_id))
    await harness.until(lambda _: any(e.kind == "gtt cancel" for e in harness.of(RequestAccepted)))
    await harness.until_rule(gtt_id, ENTRY, RuleStatus.CANCELLED)
    await harness.normal_market(share(harness).key, 98.9)
    snapshot = await harness.snapshot(gtts=True)
    assert snapshot.orders == ()


async def test_a_modify_replaces_quantity_and_rules(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    request = gtt(harness, entry(99))
    tag, gtt_id = await harness.place_gtt(request)
    lower = replace(request, qty=7, rules=(entry(97),))
    harness.submit(ModifyGtt(harness.now_ns(), tag, gtt_id, lower))
    await harness.until(
        lambda _: (
            (said := harness.gtt(gtt_id)) is not None
            and (said.qty, said.rules[0].rule.trigger_price) == (7, price(97))
        )
    )
    await harness.normal_market(share(harness).key, 98.0)
    await harness.snapshot(gtts=True)
    assert harness.rules(gtt_id)[ENTRY].status is RuleStatus.SCHEDULED
    await harness.normal_market(share(harness).key, 96.9)
    done = await harness.until_rule(gtt_id, ENTRY, RuleStatus.COMPLETED)
    assert harness.by_id(done.order_id)[-1].qty == 7


async def test_o10_a_cancel_after_it_has_ended_is_refused_in_words(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    tag, gtt_id = await harness.place_gtt(gtt(harness, entry(99)))
    await harness.normal_market(share(harness).key, 98.9)
    await harness.until_rule(gtt_id, ENTRY, RuleStatus.COMPLETED)
    harness.submit(CancelGtt(harness.now_ns(), tag, gtt_id))
    await harness.until(lambda _: bool(harness.of(RequestRefused)))
    (refused,) = harness.of(RequestRefused)
    assert (refused.kind, refused.tag) == ("gtt cancel", tag)
    assert refused.message


def answered(harness: Harness, tag: str) -> bool:
    refused = any(e.tag == tag for e in harness.of(RequestRefused))
    return refused or any(e.tag == tag for e in harness.of(RequestAccepted))


async def test_bad_gtts_are_turned_down_in_words(harness: Harness) -> None:
    await harness.normal_market(share(harness).key)
    bad = [
        gtt(harness, exit_rule(STOP, 95)),
        gtt(harness, entry(99), entry(98)),
        gtt(harness, entry(99), replace(exit_rule(STOP, 95), trigger=GttTrigger.BELOW)),
        gtt(harness, entry(0)),
        replace(gtt(harness, entry(99)), qty=0),
    ]
    for number, request in enumerate(bad, 1):
        tag = f"bad-{number}"
        harness.submit(PlaceGtt(harness.now_ns(), tag, request))
        await harness.until(
            lambda _, tag=tag: answered(harness, tag)  # type: ignore[misc]
        )
        (refused,) = [e for e in harness.of(RequestRefused) if e.tag == tag]
        assert refused.kind == "gtt place", request
        assert refused.message
    snapshot = await harness.snapshot(gtts=True)
    assert snapshot.gtts == ()
