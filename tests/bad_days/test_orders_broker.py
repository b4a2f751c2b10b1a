"""Bad days that the broker or the exchange makes (O5, O16, O17, O18, O21, O23): seen, said, and nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, PLACE, running, workstation
from tests.unit.exchange.support import FUTURE
from tradetui.domain.events import (
    OperatorKind,
    RequestAccepted,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.gtt import GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderStatus, Product, Side

# --- O5 -----------------------------------------------------------------------------------------------


async def test_o5_ten_minutes_without_the_broker_drop_nothing(tmp_path: Path) -> None:
    """The broker cannot be reached for ten minutes between the acknowledgement of an order and its status.

    Seen: "feed DOWN" in the header, the order stays PENDING in the list, new risk is refused with "the feed is down".
    When the broker is back the fill of the meantime is booked, once.
    """
    async with workstation(tmp_path) as w:
        w.fault("stall")
        tag = w.send()
        await w.until(lambda: bool(w.of(RequestAccepted)))
        w.fault("unreachable")
        await w.until(lambda: not w.runtime.engine.desk.books.feed_up)
        w.market.print_trade(KEY, 98.9, 50)
        assert [one.status.value for one in w.truth()] == ["complete"]
        for minute in range(10):
            await w.pass_time_unheard(60)
            assert w.orders[tag].status is OrderStatus.PENDING, "silence proves nothing"
            refused = w.orders[w.send(qty=11 + minute)]
            assert (refused.status, "the feed is down" in refused.message) == (OrderStatus.REFUSED, True)
        assert w.screen().feed_state in ("down", "connecting"), "it tries again all the time"
        w.market.sim.faults.clear()
        await w.until_order(tag, OrderStatus.FILLED)
        await w.until(w.agrees)
        await w.until(lambda: w.runtime.engine.desk.books.feed_up)
        await w.polls()
        assert (w.fills, w.held(), w.market.asked(PLACE)) == (1, 10, 1)
        assert w.agrees()


async def test_o5_an_order_of_unknown_outcome_is_not_absent_because_nobody_could_look(tmp_path: Path) -> None:
    """An answer is lost, and then the broker cannot be reached for ten minutes.

    Seen: the order is UNKNOWN all the time, in alarm colour; when the broker is back it is what the book says.
    """
    async with workstation(tmp_path) as w:
        w.fault("stall")
        w.fault("lost-ack-after", count=1)
        w.fault("maintenance-503", path="/v2/order/")
        tag = w.send()
        await w.until(lambda: bool(w.of(RequestUnknown)))
        w.fault("unreachable")
        await w.until(lambda: not w.runtime.engine.desk.books.feed_up)
        for _ in range(20):
            await w.pass_time_unheard(30)
            assert w.orders[tag].status is OrderStatus.UNKNOWN
        assert not w.of(TagAbsence), "a look that failed proves nothing"
        w.market.sim.faults.clear()
        await w.until_order(tag, OrderStatus.OPEN)
        await w.until(w.agrees)
        assert w.market.asked(PLACE) == 1


async def test_o5_a_stop_that_fired_meanwhile_is_found_and_nothing_is_sold_twice(tmp_path: Path) -> None:
    """A position with its stop; the price falls through it while the broker cannot be reached.

    Seen: the position with the last price known and its age; then flat, with the stop FILLED.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95)
        w.fault("unreachable")
        await w.until(lambda: not w.runtime.engine.desk.books.feed_up)
        w.market.normal(KEY, 94.0)
        for _ in range(10):
            await w.pass_time_unheard(60)
        w.market.sim.faults.clear()
        await w.until_order(stop.tag, OrderStatus.FILLED)
        await w.until(lambda: w.held() == 0)
        await w.polls(2)
        assert w.agrees()
        assert (len(w.truth()), w.working()) == (2, [])


async def test_o5_an_exit_that_cannot_leave_is_said_and_not_sent_by_itself_later(tmp_path: Path) -> None:
    """A person closes a position while the broker cannot be reached.

    Seen: "could not close RELIANCE" with the reason, the position naked with the same words. When the broker is back
    nothing leaves by itself: the exit is asked for again, by a person.
    """
    async with workstation(tmp_path) as w:
        await w.hold(10)
        w.fault("unreachable")
        await w.until(lambda: not w.runtime.engine.desk.books.feed_up)
        w.ask(OperatorKind.EXIT, instrument_key=KEY)
        for _ in range(12):
            await w.pass_time_unheard(50)
            await w.until(lambda: all(one.status.terminal for one in w.exits()))
        assert w.said("could not close RELIANCE")
        assert "could not be closed" in w.shown().naked_why
        w.market.sim.faults.clear()
        await w.until(lambda: w.runtime.engine.desk.books.feed_up)
        await w.polls(3)
        assert (w.held(), w.market.asked(PLACE)) == (10, 1), "what never left has no second chance of its own"
        w.ask(OperatorKind.EXIT, instrument_key=KEY)
        await w.until(lambda: w.held() == 0)
        await w.until(w.agrees)


# --- O16 ----------------------------------------------------------------------------------------------


async def test_o16_the_broker_squares_off_and_it_is_booked_as_its_exit(tmp_path: Path) -> None:
    """The broker closes intraday positions before we do: pending orders go first, then it sells by itself.

    Seen: "reconcile: order of the broker", the sale with source "broker" in the order list, the position flat. What
    is sent after it is refused with the broker's words.
    """
    async with workstation(tmp_path) as w:
        stop = await w.protected(10, stop=95)
        entry = w.send(qty=5, price=98)
        await w.until_order(entry, OrderStatus.OPEN)
        w.fault("square-off")
        await w.until(lambda: w.held() == 0)
        await w.until_order(entry, OrderStatus.CANCELLED)
        await w.until_order(stop.tag, OrderStatus.CANCELLED)
        await w.polls(2)
        await w.until(w.agrees)
        (sale,) = (one for one in w.orders.values() if one.request.source == "broker")
        assert (sale.request.side, sale.filled_qty, sale.foreign) == (Side.SELL, 10, True)
        assert w.said("order of the broker")
        assert w.working() == [], "no stop of a position that is gone may rest"
        assert w.runtime.engine.desk.protection.plans == {}
        late = await w.until_order(w.send(qty=5, price=98.5), OrderStatus.REJECTED)
        assert "square-off" in late.message


async def test_o16_after_the_brokers_cut_off_our_own_square_off_has_nothing_left_to_do(
    tmp_path: Path,
) -> None:
    """The broker's cut-off lies before ours: it closes the position at 14:50, and ours would come at 15:00.

    Seen: flat since 14:50; at 15:00 nothing is sold a second time.
    """
    async with workstation(tmp_path) as w:
        await w.protected(10, stop=95)
        w.fault("square-off", at="14:50")
        await w.pass_time(4 * 3600 + 51 * 60)
        await w.until(lambda: w.held() == 0)
        await w.pass_time(10 * 60)
        await w.polls(2)
        await w.until(w.agrees)
        assert (w.working(), sum(t.qty * t.side.sign for t in w.market.venue.trades())) == ([], 0)


# --- O17 ----------------------------------------------------------------------------------------------


async def test_o17_a_protective_gtt_that_fires_while_we_are_away_is_found_at_the_start(
    tmp_path: Path,
) -> None:
    """Shares with a stop that outlives the day, a GTT; it fires while the program is off.

    Seen: at the start the position is flat, the GTT "done", and its order stands in the list as FILLED.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            await w.hold(10, product=Product.DELIVERY, stop=to_price(95), overnight=True)
            await w.until(lambda: not w.shown().naked)
        market.normal(KEY, 94.0)
        assert sum(t.qty * t.side.sign for t in market.venue.trades()) == 0
        async with running(market, tmp_path) as w:
            await w.until(lambda: w.held(Product.DELIVERY) == 0)
            await w.until(w.agrees)
            (gtt,) = w.gtts.values()
            await w.until(lambda: w.gtts[gtt.tag].status is GttStatus.DONE)
            (child,) = (one for one in w.orders.values() if one.request.group == gtt.tag)
            assert (child.status, child.foreign, child.request.is_resting_stop) == (
                OrderStatus.FILLED, False, True,
            )  # fmt: skip
            await w.polls(2)
            assert w.runtime.engine.desk.protection.plans == {}
            assert (w.working(), w.exits(), len(w.truth())) == ([], [], 2)


async def test_o17_an_entry_gtt_that_fires_while_we_are_away_is_a_position_at_the_start(
    tmp_path: Path,
) -> None:
    """A GTT with entry and stop; the entry fires while the program is off.

    Seen: at the start the position is there, not naked: the stop of its GTT guards it, and none of ours is put beside.
    """
    rules = (
        GttRule(GttStrategy.ENTRY, GttTrigger.BELOW, to_price(98)),
        GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, to_price(95)),
    )
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            w.ask(OperatorKind.GTT_PLACE, gtt=GttRequest(KEY, Side.BUY, 10, Product.DELIVERY, rules))
            await w.until(lambda: any(one.status is GttStatus.ACTIVE for one in w.gtts.values()))
        market.normal(KEY, 97.9)
        async with running(market, tmp_path) as w:
            await w.until(lambda: w.held(Product.DELIVERY) == 10)
            await w.until(w.agrees)
            await w.polls()
            assert not w.shown().naked
            assert w.stops() == []
            await w.price(94.0)
            await w.until(lambda: w.held(Product.DELIVERY) == 0)
            await w.polls()
            assert w.agrees()
            assert len(w.truth()) == 2


@pytest.mark.parametrize("price", [94.0, 110.0])
async def test_o17_a_leg_that_fires_while_we_are_away_closes_the_position_and_takes_the_other_along(
    tmp_path: Path, price: float
) -> None:
    """A GTT with entry, stop and target has opened a position; a leg fires while the program is off.

    Seen: at the start the position is flat, the GTT "done", and the leg's order FILLED in the list.
    """
    rules = (
        GttRule(GttStrategy.ENTRY, GttTrigger.IMMEDIATE, to_price(100)),
        GttRule(GttStrategy.TARGET, GttTrigger.IMMEDIATE, to_price(110)),
        GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, to_price(95)),
    )
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            w.ask(OperatorKind.GTT_PLACE, gtt=GttRequest(KEY, Side.BUY, 10, Product.DELIVERY, rules))
            await w.until(lambda: bool(w.market.venue.orders()))
            w.market.normal(KEY)
            await w.until(lambda: w.held(Product.DELIVERY) == 10)
        market.normal(KEY, price)
        market.normal(KEY, price)  # a child is a limit at its trigger: the price must come twice
        assert sum(t.qty * t.side.sign for t in market.venue.trades()) == 0
        async with running(market, tmp_path) as w:
            await w.until(lambda: w.held(Product.DELIVERY) == 0)
            await w.until(lambda: all(one.status is GttStatus.DONE for one in w.gtts.values()))
            await w.polls(2)
            assert w.agrees()
            (leg,) = w.exits() + w.stops()
            assert (leg.status, leg.request.is_resting_stop) == (OrderStatus.FILLED, price < 100)
            assert (w.working(), len(w.truth())) == ([], 2), (
                "the other leg is gone, and none of ours was needed"
            )


# --- O18 ----------------------------------------------------------------------------------------------


async def test_o18_a_kill_switch_at_the_broker_is_shown_and_stops_trading_there(tmp_path: Path) -> None:
    """The account's own kill switch is pulled in the broker's app while a position with its stop is open.

    Seen: "closed by your account's kill switch at the broker: NSE_EQ", the stop CANCELLED, the position naked with the
    reason, new orders refused; exits are tried, and refused by the broker in its own words, and that is said.
    """
    async with workstation(tmp_path, also=[FUTURE]) as w:
        stop = await w.protected(10, stop=95)
        w.fault("broker-kill-switch", segment="NSE_EQ")
        await w.until_order(stop.tag, OrderStatus.CANCELLED)
        early = await w.until_order(w.send(qty=5), OrderStatus.REJECTED)
        assert "switched off by the kill switch" in early.message
        await w.pass_time(61)
        await w.until(lambda: w.said("closed by your account's kill switch at the broker: NSE_EQ"))
        asked = w.market.asked(PLACE)
        refused = w.orders[w.send(qty=6)]
        assert (refused.status, "kill switch of your account" in refused.message) == (
            OrderStatus.REFUSED,
            True,
        )
        assert w.market.asked(PLACE) == asked, "what adds risk does not even leave"
        elsewhere = w.send(qty=65, price=98, key=FUTURE.key)
        await w.until_order(elsewhere, OrderStatus.OPEN)  # other segments trade on
        for _ in range(90):
            await w.pass_time(5)
            if w.said("could not close"):
                break
        assert w.said("could not close RELIANCE")
        assert w.said("switched off by the kill switch")
        assert (w.shown().naked, w.shown().qty) == (True, 10)
        assert "could not be closed" in w.shown().naked_why
        assert w.agrees()


# --- O21 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["status", "enum", "missing", "type", "nameless"])
async def test_o21_one_odd_row_takes_no_other_order_along(tmp_path: Path, form: str) -> None:
    """The first row of the order book holds a word or a field that nobody knows.

    Seen: the other orders go on. A state with an unknown name stands beside its order as the broker wrote it. A row that
    cannot be read at all is shown raw, once ("a row that makes no sense"), and its order is looked for, never ABSENT.
    """
    async with workstation(tmp_path) as w:
        first, second = w.send(qty=7), w.send(qty=8)
        await w.until(lambda: all(w.orders[t].status is OrderStatus.OPEN for t in (first, second)))
        w.fault("odd-row", form=form)
        w.fault("missing-fill")
        w.market.print_trade(KEY, 98.9, 15)
        await w.polls(6)
        assert w.orders[second].filled_qty == 8, "by the poll, whatever the row before it says"
        if form == "nameless":
            assert not w.of(TagAbsence), "nothing is absent from a book that could not be read"
            told = [r.data["row"] for r in w.records if r.data.get("found") == "a row that makes no sense"]
            assert len(told) == 1
            assert "RELIANCE" in told[0]
            assert w.said("a row that makes no sense")
        w.market.sim.faults.clear()
        await w.polls(2)
        await w.until_order(first, OrderStatus.FILLED)
        await w.until(w.agrees)


# --- O23 ----------------------------------------------------------------------------------------------


async def test_o23_an_order_outside_the_new_band_is_cancelled_seen_and_not_sent_again(tmp_path: Path) -> None:
    """The shares go into the closing auction, the exchange sets new price bands, and a future's order lies outside.

    Seen: the order CANCELLED with the exchange's reason, the same in the line at the bottom; nothing is sent in its
    place.
    """
    async with workstation(tmp_path, also=[FUTURE]) as w:
        outside = w.send(qty=65, price=95, key=FUTURE.key, product=Product.DELIVERY)
        inside = w.send(qty=65, price=98, key=FUTURE.key, product=Product.DELIVERY)
        await w.until(lambda: all(w.orders[t].status is OrderStatus.OPEN for t in (outside, inside)))
        w.fault("band-reset", instrument=FUTURE.key)
        order = await w.until_order(outside, OrderStatus.CANCELLED)
        await w.polls(3)
        assert "band" in order.message
        assert w.said(f"filled 0: {order.message}")
        assert w.orders[inside].status is OrderStatus.OPEN
        assert w.market.asked(PLACE) == len(w.truth()) == 2
        assert w.agrees()


async def test_o23_the_band_is_reset_by_the_clock_when_the_index_leaves_continuous_trading(
    tmp_path: Path,
) -> None:
    """A carried order in a near future at 15:15, five percent away, and nobody at the screen.

    Seen: CANCELLED with the exchange's reason; one order in the book, none sent after it.
    """
    async with workstation(tmp_path, also=[FUTURE]) as w:
        tag = w.send(qty=65, price=95, key=FUTURE.key, product=Product.DELIVERY)
        await w.until_order(tag, OrderStatus.OPEN)
        await w.pass_time(5 * 3600 + 14 * 60)
        assert w.orders[tag].status is OrderStatus.OPEN
        await w.pass_time(120)
        order = await w.until_order(tag, OrderStatus.CANCELLED)
        await w.polls(2)
        assert w.said(order.message)
        assert (w.market.asked(PLACE), len(w.truth()), w.agrees()) == (1, 1, True)


async def test_o23_a_stop_outside_the_new_band_is_not_left_naked(tmp_path: Path) -> None:
    """The new band cuts off the stop of a future that is held.

    Seen: the stop CANCELLED with the exchange's reason, a new one REJECTED, and the position closed by an emergency
    exit: outside the band no stop can rest.
    """
    async with workstation(tmp_path, also=[FUTURE]) as w:
        w.send(qty=65, price=100.3, key=FUTURE.key, product=Product.DELIVERY, stop=to_price(96))
        await w.until(lambda: any(o.status is OrderStatus.TRIGGER_PENDING for o in w.stops()))
        w.fault("band-reset", instrument=FUTURE.key)
        await w.until(lambda: any(o.status is OrderStatus.CANCELLED for o in w.stops()))
        await w.until(lambda: bool(w.exits()))
        assert w.exits()[0].request.reason.startswith("emergency: the stop could not be set again")
        await w.until(lambda: w.shown(FUTURE.key).qty == 0)
        await w.polls(2)
        assert w.agrees()
        assert w.working() == []
