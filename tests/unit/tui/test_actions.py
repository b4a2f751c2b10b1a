"""Actions that touch the account, through the app, at two sizes."""

from __future__ import annotations

import pytest

from tests.fixtures.fake_handle import CALL, FUTURE, INFY, NIFTY, RELIANCE, T0_NS, FakeHandle
from tests.fixtures.screen import Screen, screen
from tradetui.domain.events import OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.view import Check, Mode, PositionRow, Verdict
from tradetui.tui.actions import ACTIONS, Context
from tradetui.tui.layout import Pane
from tradetui.tui.state import UiMode

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def kinds(s: Screen) -> list[OperatorKind]:
    return [event.kind for event in s.handle.submitted]


async def on_reliance(s: Screen) -> None:
    await s.press("j", "j")
    assert s.app.controller.ui.selected == RELIANCE.key


def resting(tag: str, **terms: object) -> Order:
    base = {"instrument_key": RELIANCE.key, "side": Side.BUY, "qty": 10, "price": to_price(1400)}
    request = OrderRequest(**{**base, **terms})  # type: ignore[arg-type]
    status = OrderStatus.TRIGGER_PENDING if request.trigger_price else OrderStatus.OPEN
    return Order(tag, request, status, T0_NS - 5_000_000_000, T0_NS)


def held(qty: int = 10, product: str = "I") -> PositionRow:
    return PositionRow(
        RELIANCE.key, "RELIANCE", product, qty, to_price(1500), 1502.35, 0, 0, to_price(23.5), 0, True
    )


def test_every_action_has_a_handler() -> None:
    from tradetui.tui.actions import KeyMap
    from tradetui.tui.controller import Controller
    from tradetui.tui.desk import Desk
    from tradetui.tui.layout import arrange

    made = Controller(Desk(), KeyMap(), geometry=lambda: arrange(80, 24, (Pane.WATCH,)))
    for action in ACTIONS:
        if action.context in (Context.NORMAL, Context.ANY):
            assert action.id in made._trading or action.id in made.nav.actions, action.id


@SIZES
async def test_buy_and_sell_a_stock(size: tuple[int, int]) -> None:
    async with screen(size) as s:
        await on_reliance(s)
        await s.press("b", "1", "0", "enter")
        assert "BUY 10 RELIANCE LIMIT 1,502.40 INTRADAY DAY" in s.text()
        assert "opens long 10" in s.text()
        assert "reading… F9 is still locked" in s.text()
        assert "F9 locked" in s.text()
        s.ms += 301
        await s.settle()
        assert "F9 = SEND BUY" in s.text()
        await s.press("f9")
        assert kinds(s) == [OperatorKind.PLACE]
        assert s.handle.submitted[0].t_ns == 0
        assert "+10" in s.text()
        await s.press("f9")
        assert kinds(s) == [OperatorKind.PLACE]
        await s.press("s", "1", "0", "enter")
        assert "closes 10" in s.text()
        await s.press("ctrl+x")
        first, second = (event.request for event in s.handle.submitted)
        assert first is not None
        assert second is not None
        assert second.side is Side.SELL
        assert first.client_id != second.client_id
        assert "flat" in s.text()


@SIZES
async def test_double_and_early_f9_send_once_or_not_at_all(size: tuple[int, int]) -> None:
    async with screen(size) as s:
        await on_reliance(s)
        await s.press("b", "5", "enter")
        await s.press("f9", wait_ms=100)
        assert kinds(s) == []
        assert "not sent" in s.text()
        await s.press("f9", wait_ms=250)
        assert kinds(s) == []
        await s.press("f9", wait_ms=301)
        await s.press("f9", wait_ms=10)
        await s.press("f9", wait_ms=400)
        assert kinds(s) == [OperatorKind.PLACE]


async def test_blocks_and_warnings_are_spelled_out() -> None:
    async with screen((80, 24)) as s:
        await on_reliance(s)
        s.handle.checks = (
            Check("lot", Verdict.PASS),
            Check("capital", Verdict.BLOCK, "needs 1,20,000, free 41,250"),
            Check("distance", Verdict.WARN, "2.1% from the last price"),
        )
        await s.press("b", "9", "enter")
        text = s.text()
        assert "BLOCK capital: needs 1,20,000, free 41,250" in text
        assert "WARN  distance: 2.1% from the last price" in text
        assert "1 of 3 pass" in text
        await s.press("v")
        assert "pass  lot" in s.text()
        assert "BLOCKED: cannot be sent" in text
        await s.press("f9")
        assert kinds(s) == []
        s.handle.checks = s.handle.checks[::2]
        await s.settle()
        assert "type 9 again" in s.text()
        await s.press("f9")
        assert kinds(s) == []
        await s.press("9", "f9")
        assert kinds(s) == [OperatorKind.PLACE]


async def test_checks_that_never_answer_keep_send_shut() -> None:
    async with screen((80, 24)) as s:
        s.handle.answering = False
        await on_reliance(s)
        await s.press("b", "9", "enter", "f9", "f9")
        assert kinds(s) == []
        assert "waiting for the checks" in s.text()


async def test_resize_and_engine_loss_during_confirm() -> None:
    async with screen((120, 40)) as s:
        await on_reliance(s)
        await s.press("b", "9", "enter")
        s.ms += 1000
        await s.pilot.resize_terminal(90, 26)
        await s.press("f9", wait_ms=10)
        assert kinds(s) == []
        s.handle.ended = RuntimeError("engine fell over")
        await s.press("f9", wait_ms=1000)
        assert kinds(s) == []
        assert "engine fell over" in s.text()
        await s.press("j", "b", "f9")
        assert kinds(s) == []


async def test_too_small_a_terminal_cannot_review() -> None:
    async with screen((58, 8)) as s:
        await on_reliance(s)
        await s.press("b", "9", "enter", "f9")
        assert kinds(s) == []
        assert "enlarge the terminal" in s.text()
        await s.pilot.resize_terminal(80, 24)
        await s.settle()
        await s.press("f9")
        assert kinds(s) == [OperatorKind.PLACE]


async def test_an_index_and_an_unknown_quote_open_no_blind_ticket() -> None:
    async with screen((80, 24)) as s:
        assert s.app.controller.ui.selected == NIFTY.key
        await s.press("b")
        assert "cannot be traded" in s.notice
        assert s.app.controller.ui.mode is UiMode.NORMAL


async def test_derivatives_start_in_lots() -> None:
    async with screen((120, 40)) as s:
        await s.press("j")
        await s.press("S", "2")
        assert "lots = 150" in s.text()
        await s.press("enter")
        assert "SELL 150 (2 lots) NIFTY FUT 25 NOV 25" in s.text()
        await s.press("f9")
        request = s.handle.submitted[0].request
        assert request is not None
        assert request.qty == 150


@SIZES
async def test_search_adds_and_selects(size: tuple[int, int]) -> None:
    async with screen(size) as s:
        await s.press("slash")
        await s.type("26100 nif")
        assert CALL.symbol in s.text()
        await s.press("enter")
        ui = s.app.controller.ui
        assert ui.selected == CALL.key
        assert ui.keys[-1] == CALL.key
        assert s.handle.view.watch[-1] == CALL.key
        assert s.handle.view.selected == CALL.key
        await s.press("delete")
        assert CALL.key not in ui.keys
        await s.press("slash", "z", "q", "enter")
        assert "nothing selected" in s.notice
        await s.press("slash", "i", "escape")
        assert ui.mode is UiMode.NORMAL


async def test_search_hits_are_walked_with_arrows() -> None:
    async with screen((80, 24)) as s:
        await s.press("slash")
        await s.type("nifty")
        await s.press("down", "enter")
        assert s.app.controller.ui.selected == FUTURE.key


@SIZES
async def test_cancel_and_cancel_all(size: tuple[int, int]) -> None:
    handle = FakeHandle()
    handle.orders = [resting("A"), resting("B"), resting("C", instrument_key=INFY.key)]
    async with screen(size, handle) as s:
        await on_reliance(s)
        if size == (80, 24):
            await s.press("x")
            assert "orders shown" in s.notice
            assert kinds(s) == []
        await s.press("6", "j", "x")
        assert [(e.kind, e.tag) for e in handle.submitted] == [(OperatorKind.CANCEL, "C")]
        await s.press("1", "X")
        assert "cancel all 2 orders of RELIANCE" in s.notice
        assert len(handle.submitted) == 1
        await s.press("X", wait_ms=100)
        assert len(handle.submitted) == 1
        await s.press("X", wait_ms=400)
        assert len(handle.submitted) == 2
        assert (handle.submitted[1].kind, handle.submitted[1].instrument_key) == (
            OperatorKind.CANCEL_ALL,
            RELIANCE.key,
        )


async def test_the_second_step_must_come_in_time_and_at_the_same_aim() -> None:
    handle = FakeHandle()
    handle.orders = [resting("A"), resting("C", instrument_key=INFY.key)]
    async with screen((120, 40), handle) as s:
        await on_reliance(s)
        await s.press("X")
        await s.press("X", wait_ms=5100)
        assert kinds(s) == []
        await s.press("j", "j", "X")
        assert s.app.controller.ui.selected == INFY.key
        assert kinds(s) == []


async def test_cancelling_a_protective_stop_takes_two_steps() -> None:
    handle = FakeHandle()
    handle.orders = [
        resting(
            "S", side=Side.SELL, order_type=OrderType.SL_M, trigger_price=to_price(1480), price=to_price(0)
        )
    ]
    handle.positions = [held()]
    async with screen((120, 40), handle) as s:
        await s.press("6", "j", "x")
        assert "protects a position" in s.notice
        assert kinds(s) == []
        await s.press("x", wait_ms=350)
        assert kinds(s) == [OperatorKind.CANCEL]


@SIZES
async def test_exit_is_two_steps_and_a_review(size: tuple[int, int]) -> None:
    handle = FakeHandle()
    handle.positions = [held(-20, "D")]
    async with screen(size, handle) as s:
        await s.press("5", "j", "z")
        assert "press again" in s.notice
        await s.press("z", wait_ms=120)
        assert s.app.controller.ui.ticket is None
        await s.press("z", wait_ms=400)
        assert "BUY 20 RELIANCE MARKET (protected) DELIVERY" in s.text()
        assert "worst 1,510.00" in s.text()
        assert kinds(s) == []
        handle.worst = 1515.0
        await s.press("f9")
        assert kinds(s) == []
        assert "worst price moved to 1515.00" in s.text()
        await s.press("f9")
        request = handle.submitted[0].request
        assert request is not None
        assert (request.qty, request.side, request.product) == (20, Side.BUY, Product.DELIVERY)
        assert request.reason == "exit"


@pytest.mark.parametrize("key", ["f12", "ctrl+k"])
@pytest.mark.parametrize(
    "before",
    [(), ("b", "1"), ("b", "1", "enter"), ("slash", "i"), ("colon", "a"), ("question_mark",), ("ctrl+p",)],
)
async def test_kill_works_everywhere_and_in_two_stages(key: str, before: tuple[str, ...]) -> None:
    handle = FakeHandle()
    handle.positions = [held()]
    async with screen((80, 24), handle) as s:
        await on_reliance(s)
        await s.press(*before)
        await s.press(key)
        assert kinds(s) == [OperatorKind.KILL]
        # Held down: a burst of the same key is one press.
        for _ in range(20):
            await s.press(key, wait_ms=33)
        assert kinds(s) == [OperatorKind.KILL]
        await s.press(key, wait_ms=400)
        assert kinds(s) == [OperatorKind.KILL, OperatorKind.FLATTEN]


async def test_a_late_second_kill_is_a_first_one_and_typed_words_work() -> None:
    async with screen((80, 24)) as s:
        await s.press("f12")
        await s.press("f12", wait_ms=5100)
        assert kinds(s) == [OperatorKind.KILL, OperatorKind.KILL]
        s.ms += 6000
        await s.command("flatten")
        assert "capitals" in s.notice
        await s.command("FLATTEN")
        await s.command("kill")
        await s.command("resume")
        assert kinds(s)[2:] == [OperatorKind.FLATTEN, OperatorKind.KILL, OperatorKind.RESUME]


async def test_arming_is_typed_and_disarming_is_one_key() -> None:
    async with screen((120, 40), FakeHandle(Mode.LIVE)) as s:
        assert "[LIVE disarmed]" in s.text()
        await s.command("arm 15")
        assert kinds(s) == []
        await s.type("1234", enter=True)
        assert kinds(s) == []
        assert "not armed" in s.notice
        await s.command("arm 15")
        await s.type("4821", enter=True)
        assert kinds(s) == [OperatorKind.ARM]
        assert s.handle.submitted[0].until_ns == T0_NS + 15 * 60 * 1_000_000_000
        await s.settle()
        assert "[## LIVE ARMED 15:00 ##]" in s.text()
        await s.press("A")
        assert kinds(s)[-1] is OperatorKind.DISARM
        assert "[LIVE disarmed]" in s.text()


async def test_there_is_nothing_to_arm_in_a_simulation() -> None:
    async with screen((80, 24)) as s:
        await s.command("arm 5")
        assert "nothing to arm" in s.notice
        await s.command("arm 90")
        assert "from 1 to 60" in s.notice
        assert kinds(s) == []


@pytest.mark.parametrize(
    ("mode", "word"),
    [(Mode.SIM, "[SIM]"), (Mode.PAPER, "[PAPER]"), (Mode.REPLAY, "[REPLAY]"), (Mode.LIVE, "[LIVE disarmed]")],
)
async def test_the_mode_is_always_on_the_screen(mode: Mode, word: str) -> None:
    async with screen((80, 24), FakeHandle(mode)) as s:
        for keys in ((), ("f",), ("slash",), ("escape", "question_mark"), ("escape", "j", "b")):
            await s.press(*keys)
            assert s.text().startswith(word)
