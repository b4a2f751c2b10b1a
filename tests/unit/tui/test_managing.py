"""Changing orders, exit plans, GTTs, conversions and limits from the keyboard."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.fixtures.fake_handle import T0_NS
from tests.fixtures.screen import Screen, screen
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.domain.exit_plan import ExitPlan, Trail, TrailKind
from tradetui.domain.gtt import Gtt, GttStatus
from tradetui.domain.money import to_price
from tradetui.domain.order import STOP_SOURCE, OrderStatus, OrderType, Product, Side
from tradetui.tui.state import UiMode


async def bought(s: Screen, qty: str = "10") -> None:
    """Select RELIANCE and buy it at its limit."""
    await s.command("reliance")
    await s.press("b")
    await s.type(qty, enter=True)
    await s.press("f9")


def last(s: Screen) -> OperatorEvent:
    return s.handle.submitted[-1]


async def test_a_ticket_takes_stop_target_and_trail_and_the_review_reads_them() -> None:
    async with screen((120, 40)) as s:
        await s.command("reliance")
        await s.press("b")
        await s.type("10")
        await s.press(*["up"] * 3)
        await s.type("1450")
        await s.press("tab")
        await s.type("1600")
        await s.press("tab")
        await s.type("1%", enter=True)
        text = s.text()
        assert "1,450.00 target 1,600.00 trail 1%" in text
        await s.press("f9")
        request = last(s).request
        assert request is not None
        assert (request.stop, request.target) == (to_price(1450), to_price(1600))
        assert request.trail == Trail(TrailKind.PERCENT, 100)


async def test_an_order_is_changed_through_a_reviewed_ticket() -> None:
    async with screen((120, 40)) as s:
        s.handle.fill = False
        await bought(s)
        await s.press("6", "j", "e")
        assert "a change of a working order" in s.text()
        await s.press("tab")
        await s.type("1490.5", enter=True)
        assert s.handle.looks[-1].modifies == "TT0001"
        await s.press("f9")
        assert last(s).kind is OperatorKind.MODIFY
        assert (last(s).tag, last(s).price, last(s).qty) == ("TT0001", to_price(1490.5), 10)
        assert "sent: change of BUY 10 RELIANCE LIMIT" in s.notice
        await s.press("u")
        assert (last(s).kind, last(s).tag) == (OperatorKind.CANCEL, "TT0001")
        await s.press("e")
        assert "cannot be changed" in s.notice
        await s.press("u")
        assert "not open any more" in s.notice


async def test_a_plan_is_typed_for_the_position_under_the_cursor() -> None:
    async with screen((120, 40)) as s:
        await s.command("stop 1400")
        assert "no position there" in s.notice
        await bought(s)
        await s.command("stop 1450 target 1600")
        assert last(s).plan == ExitPlan(to_price(1450), to_price(1600))
        assert (last(s).kind, last(s).product) == (OperatorKind.PROTECT, Product.INTRADAY)
        s.handle.positions = [replace(s.handle.positions[0], plan=last(s).plan)]
        await s.settle()
        await s.press("t")
        await s.type("2atr", enter=True)
        assert last(s).plan == ExitPlan(to_price(1450), to_price(1600), Trail(TrailKind.ATR, 200))
        count = len(s.handle.submitted)
        await s.command("stop 1700")
        assert "must lie below" in s.notice
        await s.command("target 1400")
        assert "must lie above" in s.notice
        await s.command("overnight on")
        assert "convert it first" in s.notice
        await s.command("trail sideways")
        assert "type 2.5 (points)" in s.notice
        assert len(s.handle.submitted) == count
        await s.command("plan off")
        assert "would have no stop any more" in s.notice
        assert len(s.handle.submitted) == count, "taking a stop away takes two steps"
        await s.command("plan off")
        assert last(s).plan == ExitPlan()
        assert "nothing protects it" in s.notice


async def test_everything_is_cancelled_or_closed_only_when_asked_twice() -> None:
    async with screen((120, 40)) as s:
        for empty in ("cancel all", "exit all"):
            await s.command(empty)
        assert not s.handle.submitted
        await bought(s)
        s.handle.fill = False
        await bought(s, "5")
        await s.command("exit all")
        assert "again within 5 s" in s.notice
        await s.command("exit all mtf")
        assert "again within 5 s" in s.notice, "another scope is another question"
        await s.command("exit all mtf")
        assert (last(s).kind, last(s).include) == (OperatorKind.EXIT_ALL, (Product.MTF,))
        await s.press("Z", wait_ms=6000)
        await s.press("Z")
        assert (last(s).kind, last(s).include) == (OperatorKind.EXIT_ALL, ())
        await s.command("cancel all")
        await s.command("cancel all with stops")
        await s.command("cancel all with stops")
        assert (last(s).kind, last(s).name) == (OperatorKind.CANCEL_ALL, "with stops")


async def test_a_gtt_is_reviewed_before_it_goes_and_can_be_cancelled() -> None:
    async with screen((120, 40)) as s:
        await s.command("reliance")
        await s.command("gtt buy 10 above 1600 stop 1550")
        assert s.app.controller.ui.mode is UiMode.CONFIRM
        text = s.text()
        assert "OPENS a position" in text
        assert "rises to 1,600.00" in text
        await s.press("f9", wait_ms=10)
        assert "read the review" in s.notice
        await s.press("f9")
        event = last(s)
        assert event.kind is OperatorKind.GTT_PLACE
        assert event.gtt is not None
        assert (event.gtt.qty, event.gtt.product, event.gtt.kind) == (10, Product.DELIVERY, "MULTIPLE")
        await s.command("gtt buy 10 above 1600")
        await s.press("escape")
        assert s.handle.submitted[-1] is event
        assert "nothing sent" in s.notice
        await s.command("gtt cancel")
        assert "open: none" in s.notice
        s.handle.gtts = (Gtt("g1", event.gtt, GttStatus.ACTIVE, T0_NS, T0_NS, "GTT-1"),)
        await s.settle()
        assert re.search(r"BUY +10 RELIANCE +GTT 1,600.00 ACTIVE +#TT-1", s.text())
        await s.command("gtt cancel GTT-1")
        assert (last(s).kind, last(s).tag) == (OperatorKind.GTT_CANCEL, "g1")


async def test_a_conversion_and_a_limit_are_reviewed_before_they_go() -> None:
    async with screen((80, 24)) as s:
        await bought(s)
        await s.press("5")
        await s.command("convert Q")
        assert "convert I|D|MTF" in s.notice
        await s.command("convert D 4")
        assert "convert 4 RELIANCE from INTRADAY to DELIVERY" in s.text()
        await s.press("f9")
        assert (last(s).kind, last(s).to_product, last(s).qty) == (OperatorKind.CONVERT, Product.DELIVERY, 4)
        await s.command("limit daily_loss")
        assert "limit NAME VALUE REASON" in s.notice
        await s.command("limit daily_loss 2.5 calmer day")
        await s.press("f9")
        assert (last(s).kind, last(s).name, last(s).value, last(s).note) == (
            OperatorKind.LIMITS, "daily_loss", 2.5, "calmer day",
        )  # fmt: skip
        await s.command("square-off ok")
        assert last(s).kind is OperatorKind.SQUARE_OFF_OK


async def test_a_basket_is_read_as_a_whole_before_it_goes() -> None:
    async with screen((120, 40)) as s:
        await s.command("basket buy 1l NIFTY 26100 CE 25 NOV 25 @101.5")
        assert "basket buy QTY SYMBOL" in s.notice, "one leg is no basket"
        await s.command("basket buy 1 NOSUCH; sell 1 INFY")
        assert "no such instrument" in s.notice
        await s.command("basket buy 2l NIFTY 26100 CE 25 NOV 25 @101.5; sell 10 INFY as D")
        text = s.text()
        assert "BUY 150 (2 lots) NIFTY 26100 CE 25 NOV 25 LIMIT 101.50" in text
        assert "SELL 10 INFY MARKET (protected) DELIVERY" in text
        await s.press("f9")
        event = last(s)
        assert event.kind is OperatorKind.BASKET
        assert [(leg.side, leg.qty, leg.product) for leg in event.basket] == [
            (Side.BUY, 150, Product.INTRADAY), (Side.SELL, 10, Product.DELIVERY),
        ]  # fmt: skip
        assert len({leg.client_id for leg in event.basket}) == 2
        assert event.basket[0].instrument_key in s.handle.looks[-1].watch


async def test_positions_say_their_plan_and_why_they_are_naked() -> None:
    async with screen((200, 60)) as s:
        await bought(s)
        row = s.handle.positions[0]
        s.handle.positions = [replace(row, naked=True, naked_why="stop cancelled by the exchange")]
        await s.settle()
        assert "naked: stop cancelled by the exchange" in s.text()
        s.handle.positions = [
            replace(row, plan=ExitPlan(to_price(1450)), breakeven=to_price(1503.1), breakeven_ticks=14.0)
        ]
        await s.settle()
        text = s.text()
        assert "stop 1,450.00" in text
        assert "even 1,503.10" in text


async def test_the_kill_key_works_while_something_is_under_review() -> None:
    async with screen((80, 24)) as s:
        await s.command("reliance")
        await s.command("gtt buy 10 above 1600")
        await s.press("f12")
        assert last(s).kind is OperatorKind.KILL
        await s.press("escape")
        assert s.app.controller.ui.mode is UiMode.NORMAL


async def test_a_stop_is_moved_by_its_trigger_alone() -> None:
    async with screen((80, 24)) as s:
        s.handle.fill = False
        await bought(s)
        entry = s.handle.orders[0]
        stop = replace(
            entry.request, side=Side.SELL, order_type=OrderType.SL, price=to_price(1440),
            trigger_price=to_price(1450), source=STOP_SOURCE,
        )  # fmt: skip
        s.handle.orders = [replace(entry, request=stop, status=OrderStatus.TRIGGER_PENDING)]
        await s.press("6", "j", "e")
        text = s.text()
        assert "trigger [1450.00" in text
        assert "qty [" not in text
        await s.press("tab", "@")
        await s.type("1460", enter=True)
        text = s.text()
        assert "CHANGE stop of 10 RELIANCE to 1,460.00" in text
        await s.press("f9")
        event = last(s)
        assert (event.kind, event.trigger_price) == (OperatorKind.MODIFY, to_price(1460))
        assert (event.qty, event.price) == (None, None), (
            "its units follow the position, its limit the trigger"
        )


async def test_a_stop_that_has_triggered_is_changed_as_the_limit_order_it_is() -> None:
    async with screen((120, 40)) as s:
        s.handle.fill = False
        await bought(s)
        entry = s.handle.orders[0]
        stop = replace(
            entry.request, order_type=OrderType.SL, price=to_price(1440), trigger_price=to_price(1450),
            source=STOP_SOURCE,
        )  # fmt: skip
        s.handle.orders = [replace(entry, request=stop, status=OrderStatus.OPEN)]
        await s.press("6", "j", "e", "@")
        await s.type("1435", enter=True)
        await s.press("f9")
        event = last(s)
        assert (event.price, event.trigger_price, event.qty) == (to_price(1435), None, 10)


async def test_gtts_stay_in_sight_below_many_orders() -> None:
    async with screen((80, 24)) as s:
        s.handle.fill = False
        for _ in range(12):
            await bought(s, "1")
        await s.command("gtt buy 10 above 1600 stop 1550")
        await s.press("f9")
        request = last(s).gtt
        assert request is not None
        s.handle.gtts = tuple(
            Gtt(f"g{n}", request, GttStatus.ACTIVE, T0_NS, T0_NS, f"GTT-C10{n}") for n in (1, 2)
        )
        await s.press("6")
        await s.press("end")
        rows = [line for line in s.text().splitlines() if "GTT 1,600.00" in line]
        assert len(rows) == 2
        assert "#C101" in rows[0]
        assert "then stop 1,5" in rows[0], "what follows, as far as there is room"
        await s.command("gtt cancel")
        assert "open: GTT-C101, GTT-C102" in s.notice
        await s.command("gtt cancel 102")
        assert (last(s).kind, last(s).tag) == (OperatorKind.GTT_CANCEL, "g2")
