"""Properties that belong to no single part: leaving needs no arming, and the journal read back is the live state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.engine_rig import SECOND, Rig
from tests.fixtures.workstation import KEY, Workstation, journal, workstation
from tests.unit.exchange.support import DAY, SHARE
from tradetui.domain.events import OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Side
from tradetui.domain.records import RecordKind
from tradetui.domain.requests import CancelOrder, PlaceOrder
from tradetui.wiring.restore import read_past

LEAVING = ("cancel", "cancel all", "exit", "exit part", "exit all", "kill", "flatten", "fall", "rise", "wait")


def disarmed_with_a_position() -> Rig:
    """A live desk that holds ten units with a stop and a target, an entry that rests, and no arming any more."""
    rig = Rig(live=True)
    rig.ask(OperatorKind.SQUARE_OFF_OK)
    rig.ask(OperatorKind.ARM, until_ns=rig.now_ns + 600 * SECOND)
    rig.tick(100.0)
    held = rig.place(
        OrderRequest(SHARE.key, Side.BUY, 10, price=to_price(100), stop=to_price(95), target=to_price(110))
    )
    rig.commands.clear()
    rig.fill(held, 100.0)
    rig.place(OrderRequest(SHARE.key, Side.BUY, 5, price=to_price(99)))
    answer(rig)
    rig.time(6)
    rig.ask(OperatorKind.DISARM)
    rig.records.clear()
    return rig


def answer(rig: Rig) -> None:
    """The broker takes everything, and fills what sells at the market."""
    while rig.commands:
        command = rig.commands.pop(0)
        orders = rig.engine.desk.manager.orders
        if isinstance(command, PlaceOrder):
            rig.accept(orders[command.tag])
            if command.request.order_type is OrderType.SL:
                rig.update(orders[command.tag], OrderStatus.TRIGGER_PENDING, orders[command.tag].broker_id)
            elif command.request.side is Side.SELL:
                rig.fill(orders[command.tag], 100.0)
        elif isinstance(command, CancelOrder):
            order = orders[command.tag]
            rig.update(order, OrderStatus.CANCELLED, order.broker_id, order.filled_qty)


def leave(rig: Rig, what: str) -> None:
    """One of the ways out."""
    kinds = {one.value: one for one in OperatorKind}
    match what:
        case "cancel":
            entry = next((o for o in rig.orders() if o.request.side is Side.BUY and o.status.working), None)
            if entry is not None:
                rig.ask(OperatorKind.CANCEL, tag=entry.tag)
        case "exit":
            rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key)
        case "exit part":
            rig.ask(OperatorKind.EXIT, instrument_key=SHARE.key, qty=3)
        case "fall" | "rise":
            rig.tick(94.0 if what == "fall" else 110.0)
        case "wait":
            rig.time(3)
        case _:
            rig.ask(kinds[what])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(LEAVING), max_size=6), st.sampled_from(("exit", "exit all", "flatten")))
def test_property_arming_is_never_needed_to_get_out(ways: list[str], last: str) -> None:
    rig = disarmed_with_a_position()
    for what in (*ways, last):
        leave(rig, what)
        assert all(one.request.is_exit for one in rig.placed()), "disarmed, nothing may add risk"
        answer(rig)
    for _ in range(10):
        rig.tick(100.0)
        rig.time(3)
        answer(rig)
    refused = [str(one.data["refused"]) for one in rig.of(RecordKind.DECISION)]
    assert not [words for words in refused if "disarmed" in words or "arm" in words.split()]
    assert rig.qty() == 0
    if "flatten" in (*ways, last) or "kill" in ways:
        assert not [one for one in rig.orders() if one.status.working]


async def busy_day(w: Workstation, dice: random.Random) -> None:
    """A dozen things that people, the market and the network do."""
    await w.protected(10, stop=95, target=to_price(120))
    for _ in range(12):
        what = dice.choice(("send", "send", "cancel", "modify", "price", "protect", "lose", "part"))
        open_tags = [tag for tag, one in w.orders.items() if one.status is OrderStatus.OPEN]
        if what == "send":
            w.send(qty=dice.randint(1, 9), price=dice.choice((98.0, 99.0, 100.6)))
        elif what == "cancel" and open_tags:
            w.ask(OperatorKind.CANCEL, tag=dice.choice(open_tags))
        elif what == "modify" and open_tags:
            w.ask(OperatorKind.MODIFY, tag=dice.choice(open_tags), price=to_price(dice.choice((97.0, 98.5))))
        elif what == "price":
            await w.price(dice.choice((99.5, 100.0, 100.5)))
        elif what == "protect":
            w.protect(stop=to_price(dice.choice((94.0, 96.0))), target=to_price(120))
        elif what == "lose":
            w.fault(dice.choice(("lost-ack-after", "lost-ack-before", "missing-fill")), count=1)
        elif what == "part":
            w.ask(OperatorKind.EXIT, instrument_key=KEY, qty=2)
        await w.pass_time(dice.choice((1, 3, 6)))
    w.market.sim.faults.clear()
    for _ in range(8):
        await w.pass_time(6)
    await w.until(lambda: not any(one.status is OrderStatus.UNKNOWN for one in w.orders.values()))
    await w.until(w.agrees)


@pytest.mark.parametrize("seed", range(4))
async def test_property_replay_the_journal_read_back_is_the_live_state(tmp_path: Path, seed: int) -> None:
    async with workstation(tmp_path) as w:
        await busy_day(w, random.Random(seed))
        desk = w.runtime.engine.desk
        w.runtime.pump.flush()
        past = read_past(journal(w.place), DAY, "")
        assert past.orders == desk.manager.orders
        assert past.fills == list(desk.portfolio.fills.values())
        assert {one.at: one for one in past.plans.managed} == desk.protection.plans
        assert {(one.instrument_key, one.product): one for one in past.plans.wants} == desk.closing.wanted
        assert past.risk.entries == desk.books.entries_today
        assert (past.risk_state, past.risk_reason) == (desk.books.state, desk.books.state_reason)
        assert past.gtts == desk.manager.gtts.gtts
