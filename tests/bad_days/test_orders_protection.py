"""Bad days of the one protective order (O11, O12, O22, O24, O25), over sockets against the real exchange."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fixtures.workstation import KEY, MODIFY, PLACE, Workstation, workstation
from tradetui.domain.events import OperatorKind, RequestRefused
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderStatus, Product, Side
from tradetui.domain.records import RecordKind

GAP_MOST_NS = 5_000_000_000
"""Longest time without any exit at the broker that the desk may take while everything answers."""


def first_ns(w: Workstation, order: Order, status: OrderStatus) -> int:
    """When an order was first recorded in a state."""
    return next(
        one.t_ns
        for one in w.records
        if one.kind is RecordKind.ORDER and (one.data["tag"], one.data["status"]) == (order.tag, status.value)
    )


def never_short(w: Workstation) -> bool:
    """Whether the exchange's trades never turned the position round, at any moment."""
    held = 0
    for trade in w.market.venue.trades():
        held += trade.qty * trade.side.sign
        if held < 0:
            return False
    return True


# --- O11 ----------------------------------------------------------------------------------------------


async def test_o11_a_target_swaps_the_stop_for_an_exit_and_measures_the_gap(tmp_path: Path) -> None:
    """The target is reached: the stop is cancelled, its end confirmed, and only then the exit leaves.

    Seen: the stop CANCELLED, the exit FILLED with "target 110.00 hit"; the time between without any exit at the broker
    is in the journal.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95, target=to_price(110))
        await w.price(110.0)
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        (left,) = w.exits()
        assert (left.request.reason, w.orders[stop.tag].status) == (
            "target 110.00 hit",
            OrderStatus.CANCELLED,
        )
        assert first_ns(w, stop, OrderStatus.CANCELLED) <= left.created_ns
        (gap_ns,) = [one.data["gap_ns"] for one in w.records if "gap_ns" in one.data]
        assert 0 <= gap_ns < GAP_MOST_NS
        assert w.working() == []


async def test_o11_a_stop_that_cannot_be_changed_is_made_anew_within_a_bounded_gap(tmp_path: Path) -> None:
    """The broker refuses every change of the stop: it is cancelled, and a new one rests at the new price.

    Seen: the refusals in words, the old stop CANCELLED, a new one WAITING; meanwhile the position is listed as naked.
    """
    async with workstation(tmp_path) as w:
        old = await w.protected(10, stop=95)
        w.fault("403-static-ip", path="/order/modify")
        w.protect(stop=to_price(97))
        for _ in range(8):
            await w.pass_time(4)
            if len(w.stops()) > 1:
                break
        await w.until(lambda: len(w.stops()) > 1 and w.stops()[-1].status is OrderStatus.TRIGGER_PENDING)
        new = w.stops()[-1]
        assert w.orders[old.tag].status is OrderStatus.CANCELLED
        gap_ns = first_ns(w, new, OrderStatus.TRIGGER_PENDING) - first_ns(w, old, OrderStatus.CANCELLED)
        assert 0 <= gap_ns < GAP_MOST_NS
        assert [(one.request.trigger_price, one.remaining) for one in w.working()] == [(to_price(97), 10)]
        assert not w.shown().naked
        assert w.agrees()


async def test_o11_when_the_new_stop_is_refused_the_position_is_closed(tmp_path: Path) -> None:
    """The stop had to be cancelled to be replaced, and the exchange refuses the new one.

    Seen: the new stop REJECTED, then an exit with "emergency: the stop could not be set again" and the broker's words.
    """
    async with workstation(tmp_path) as w:
        await w.protected(10, stop=95)
        w.fault("403-static-ip", path="/order/modify")
        w.fault("reject", count=1, message="RMS: not now")
        w.protect(stop=to_price(97))
        for _ in range(8):
            await w.pass_time(4)
            if w.exits():
                break
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        await w.polls()
        assert w.exits()[0].request.reason.startswith(
            "emergency: the stop could not be set again: RMS: not now"
        )
        assert w.said("rejected SELL 10 RELIANCE: RMS: not now")
        assert (w.working(), len(w.exits()), never_short(w)) == ([], 1, True)


# --- O12 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1])
async def test_o12_a_sale_elsewhere_while_the_stop_is_made_opens_no_reverse_position(
    tmp_path: Path, after: int
) -> None:
    """The position is sold in the phone's app while the request for its stop is on its way.

    Seen: the position flat; the stop, if it ever rested, CANCELLED at once: it would open a short one.
    """
    async with workstation(tmp_path) as w:
        await w.hold(10)
        w.fault("hang", after=after, count=1, path="/order/place")
        w.protect(stop=to_price(95))
        await w.until(lambda: w.market.asked(PLACE) == 2)
        w.fault("phone", instrument=KEY, side="SELL", qty=10, price=99.9)
        await w.until(lambda: w.held() == 0)
        w.market.sim.faults.clear()
        await w.polls(6)
        await w.until(lambda: not w.working())
        await w.price(94.0)
        await w.polls()
        assert (w.held(), never_short(w)) == (0, True)
        assert w.agrees()
        assert all(one.status.terminal for one in w.stops())


@pytest.mark.parametrize("after", [0, 1])
async def test_o12_the_stop_fires_while_it_is_made_smaller_for_an_exit(tmp_path: Path, after: int) -> None:
    """Part of a position is to be sold; the stop fires while the request that makes it smaller has no answer.

    Seen: whatever the stop sold counts; the exit leaves only for units that are still held.
    """
    async with workstation(tmp_path) as w:
        await w.protected(10, stop=95)
        w.fault("hang", after=after, count=1, path="/order/modify")
        w.ask(OperatorKind.EXIT, instrument_key=KEY, qty=4)
        await w.until(lambda: w.market.asked(MODIFY) == 1)
        await w.price(94.0)
        await w.until(lambda: w.held() < 10)
        w.market.sim.faults.clear()
        for _ in range(6):
            await w.pass_time(4)
        await w.until(w.agrees)
        assert never_short(w)
        assert w.held() + sum(o.remaining * o.request.side.sign for o in w.working()) >= 0
        assert w.held() in (0, 6 if not after else 0)


# --- O22 ----------------------------------------------------------------------------------------------


async def test_o22_stops_that_die_at_the_closing_auction_leave_a_position_that_is_listed_as_naked(
    tmp_path: Path,
) -> None:
    """Shares that are kept over night, with a stop of the day: at 15:15 the exchange cancels it.

    Seen: the stop CANCELLED with the exchange's reason; "naked: no stop can rest while the market is closing auction;
    watched by us". No order is sent that the auction would refuse.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95, product=Product.DELIVERY)
        await w.pass_time(5 * 3600 + 14 * 60)
        assert not w.shown().naked
        await w.pass_time(120)
        order = await w.until_order(stop.tag, OrderStatus.CANCELLED)
        await w.polls(3)
        assert "closing auction" in order.message
        assert w.said(order.message)
        assert "no stop can rest while the market is closing auction; watched by us" in w.shown().naked_why
        assert (w.market.asked(PLACE), w.held(Product.DELIVERY)) == (2, 10)
        assert w.agrees()


async def test_o22_intraday_positions_are_closed_before_their_stops_die(tmp_path: Path) -> None:
    """An intraday position with its stop, on a day on which nobody closes it by hand.

    Seen: at our own square-off time the stop is cancelled and the position sold: "square-off at 15:00".
    """
    async with workstation(tmp_path) as w:
        await w.protected(10, stop=95)
        await w.pass_time(5 * 3600 + 1)
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        assert [one.request.reason for one in w.exits()] == ["square-off at 15:00"]
        assert w.working() == []


async def test_o22_an_auction_that_no_calendar_knew_of_ends_in_an_exit(tmp_path: Path) -> None:
    """The exchange begins a closing auction in mid-session: the stop dies, and the new one is refused.

    Seen: "emergency: the stop could not be set again"; the position is naked ("being closed") until the exit fills.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95)
        w.fault("auction-now", instrument=KEY)
        await w.until_order(stop.tag, OrderStatus.CANCELLED)
        await w.until(lambda: bool(w.exits()))
        assert w.exits()[0].request.reason.startswith("emergency: the stop could not be set again")
        assert "being closed" in w.shown().naked_why
        w.market.sim.faults.clear()
        for _ in range(10):
            await w.pass_time(4)
            if not w.held():
                break
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        assert (w.working(), never_short(w)) == ([], True)


# --- O24 ----------------------------------------------------------------------------------------------


async def test_o24_a_stop_that_is_gapped_over_is_chased_until_it_fills(tmp_path: Path) -> None:
    """The price gaps through trigger and limit of the stop: it rests above the market and does not fill.

    Seen: the stop OPEN, the position "naked: the stop has triggered and is not filled yet"; its limit follows the
    market, and it fills; where following twice is not enough, an exit takes its place.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95)
        await w.price(91.2)
        await w.until_order(stop.tag, OrderStatus.OPEN)
        assert "the stop has triggered and is not filled yet" in w.shown().naked_why
        for _ in range(8):
            await w.pass_time(3)
            # Reported as filled, its trade not told yet: then nothing is held that could be naked.
            if not w.runtime.engine.desk.books.held(KEY, Product.INTRADAY):
                break
            assert w.shown().naked, "a stop that rests beyond the market protects nothing"
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        assert w.market.asked(MODIFY) >= 1, "it is moved, not left"
        assert w.orders[stop.tag].status is OrderStatus.FILLED or len(w.exits()) == 1
        assert (w.working(), never_short(w)) == ([], True)


async def test_o24_a_stop_that_cannot_fill_is_escalated_and_never_shown_as_protection(tmp_path: Path) -> None:
    """The share falls to its lower circuit: no buyers, and the triggered stop cannot fill however far it follows.

    Seen: naked all the time with the reason; after bounded attempts "could not close RELIANCE". When buyers come back,
    the exit that rests fills, or the next one does.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95)
        w.market.book(KEY, [], [(91.2, 10_000)])
        w.market.print_trade(KEY, 91.2, 1)
        await w.market.publish()
        await w.until_order(stop.tag, OrderStatus.OPEN)
        for _ in range(60):
            await w.pass_time(4)
            assert w.shown().naked
            if w.said("could not close"):
                break
        assert w.said("could not close RELIANCE")
        assert "could not be closed" in w.shown().naked_why
        asked = w.market.asked(PLACE)
        assert asked <= 14, "attempts are bounded"
        await w.price(91.0)
        for _ in range(25):
            if not w.held():
                break
            await w.pass_time(4)
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)
        assert (w.working(), never_short(w)) == ([], True)


# --- O25 ----------------------------------------------------------------------------------------------


async def test_o25_the_stop_fires_while_the_target_takes_it_away(tmp_path: Path) -> None:
    """The target strikes, and before the cancel of the stop is answered the price falls and the stop fills.

    Seen: the stop FILLED, the position flat, and no exit beside it.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95, target=to_price(110))
        w.fault("hang", count=1, path="/order/cancel")
        await w.price(110.0)
        await w.until(lambda: w.orders[stop.tag].cancel_pending)
        await w.price(94.0)
        await w.until_order(stop.tag, OrderStatus.FILLED)
        w.market.sim.faults.clear()
        await w.polls(3)
        assert (w.held(), w.exits(), w.working()) == (0, [], [])
        assert w.agrees()


async def test_o25_both_strike_in_one_frame_and_the_cancel_is_refused_because_it_filled(
    tmp_path: Path,
) -> None:
    """The price touches the stop and the target between two frames: we see only the target, the exchange has sold.

    Seen: the cancel refused because the stop had filled; the position flat; no second sale.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95, target=to_price(110))
        w.fault("missing-fill")
        w.market.normal(KEY, 94.0)
        assert [one.status.value for one in w.truth()] == ["complete", "complete"]
        await w.price(110.0)
        await w.until(lambda: any(one.kind == "cancel" for one in w.of(RequestRefused)))
        w.market.sim.faults.clear()
        await w.until_order(stop.tag, OrderStatus.FILLED)
        await w.until(lambda: w.held() == 0)
        await w.polls(3)
        assert (w.exits(), w.working(), never_short(w)) == ([], [], True)
        assert w.agrees()


@pytest.mark.parametrize("seed", range(12))
async def test_o25_in_no_order_of_events_do_stop_and_target_open_a_reverse_position(
    tmp_path: Path, seed: int
) -> None:
    """Stop and target race, with lost answers, slow, missing, doubled and swapped pushes, in any order.

    Seen: flat in the end, by one of the two; never a short position, at no moment.
    """
    dice = random.Random(seed)
    faults: list[tuple[str, dict[str, int | str]]] = [
        ("hang", {"after": 0, "count": 1, "path": "/order/cancel"}),
        ("hang", {"after": 1, "count": 1, "path": "/order/cancel"}),
        ("lost-ack-after", {"count": 1}),
        ("lost-ack-before", {"count": 1}),
        ("garbled-ack", {"form": "502", "count": 1}),
        ("missing-fill", {}),
        ("slow-push", {"ms": 50}),
        ("stale-push", {}),
        ("duplicate", {}),
    ]
    async with workstation(tmp_path) as w:
        await w.protected(10, stop=95, target=to_price(110))
        for name, args in dice.sample(faults, 3):
            w.fault(name, **args)
        for _ in range(6):
            price = dice.choice([94.0, 95.0, 96.0, 109.5, 110.0, 111.0])
            if dice.random() < 0.5:
                w.market.normal(KEY, price)  # the exchange trades, and we hear of it with the next frame
            else:
                await w.price(price)
            if dice.random() < 0.3:
                await w.pass_time(3)
            assert never_short(w)
        w.market.sim.faults.clear()
        await w.price(111.0)
        for _ in range(25):
            if not w.held() and not w.working():
                break
            await w.pass_time(4)
        await w.until(lambda: w.held() == 0)
        await w.polls(2)
        await w.until(w.agrees)
        assert (w.held(), w.working(), never_short(w)) == (0, [], True)
        assert sum(t.qty for t in w.market.venue.trades() if t.side is Side.SELL) == 10
