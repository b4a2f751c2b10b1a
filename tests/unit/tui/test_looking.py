"""Actions that only change what is shown, texts and commands, through the app."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.fake_handle import INFY, RELIANCE, T0_NS, FakeHandle
from tests.fixtures.screen import Screen, screen
from tradetui.domain.events import OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Side
from tradetui.domain.view import PositionRow
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


@SIZES
async def test_digits_tab_and_zoom_choose_panes(size: tuple[int, int]) -> None:
    async with screen(size) as s:
        ui = s.app.controller.ui
        for digit, pane in (
            ("2", Pane.CHART),
            ("3", Pane.DEPTH),
            ("5", Pane.POSITIONS),
            ("6", Pane.ORDERS),
            ("7", Pane.SIGNALS),
            ("8", Pane.RISK),
            ("9", Pane.LOG),
            ("1", Pane.WATCH),
        ):
            await s.press(digit)
            assert ui.recent[0] is pane
            assert s.app.panes[pane].display
        await s.press("tab")
        assert ui.recent[1] is Pane.WATCH
        await s.press("shift+tab")
        assert ui.recent[0] is Pane.WATCH
        await s.press("f")
        assert [pane for pane, widget in s.app.panes.items() if widget.display] == [Pane.WATCH]
        await s.press("tab")
        assert [pane for pane, widget in s.app.panes.items() if widget.display] == [Pane.CHART]
        await s.press("escape")
        assert sum(widget.display for widget in s.app.panes.values()) > 1
        await s.press("d")
        assert ui.recent[:2] == (Pane.DEPTH, Pane.CHART)
        await s.press("C")
        assert ui.recent[:2] == (Pane.CHART, Pane.DEPTH)


async def test_chart_keys() -> None:
    async with screen((120, 40)) as s:
        ui = s.app.controller.ui
        await on_reliance(s)
        await s.press(*["right_square_bracket"] * 3)
        assert s.handle.view.interval == "15m"
        assert "RELIANCE 15m" in s.text()
        await s.press("left_square_bracket")
        assert s.handle.view.interval == "5m"
        await s.press("less_than_sign")
        assert "10 bars back" in s.text()
        await s.press("greater_than_sign")
        assert ui.chart_offset == 0
        await s.press("+", "-", "+")
        assert ui.chart_step == 2
        await s.press("0")
        assert ui.chart_step == 1
        await s.press("2", "left")
        assert ui.chart_offset == 1
        await s.press("l")
        assert ui.chart_offset == 0


async def test_movement_keys() -> None:
    async with screen((80, 24)) as s:
        ui = s.app.controller.ui
        await s.press("G")
        assert ui.selected == ui.keys[-1]
        assert "M&M" in s.text()
        await s.press("g")
        assert ui.selected == ui.keys[0]
        await s.press("pagedown")
        assert ui.keys.index(ui.selected) > 3
        await s.press("pageup", "down", "up", "j", "k")
        assert ui.selected == ui.keys[0]
        await s.press("9", "k")
        assert "1 lines back" in s.text()
        await s.press("G")
        assert "lines back" not in s.text()
        await s.press("1", "enter")
        assert ui.focus is Pane.CHART


async def test_rows_hold_still_while_the_cursor_moves() -> None:
    async with screen((80, 24)) as s:
        await s.press("r", "r")
        assert "change %" in s.text()
        first = s.app.panes[Pane.WATCH].lines[2][2][0]
        await s.press("j", "j")
        row = s.handle.watch_row

        def flipped(key: str, n: int, step: int) -> object:
            made = row(key, n, step)
            return replace(made, change_pct=-(made.change_pct or 0))

        s.handle.watch_row = flipped  # type: ignore[assignment]
        s.ms += 500
        await s.settle()
        assert s.app.panes[Pane.WATCH].lines[2][2][0] == first
        s.ms += 2500
        await s.settle()
        assert s.app.panes[Pane.WATCH].lines[2][2][0] != first
        await s.press("R")
        assert "reversed" in s.text()


async def test_signals_explain_themselves_and_become_reviewed_tickets() -> None:
    async with screen((120, 40)) as s:
        await s.press("7", "j", "enter")
        assert "RSI 25: buy 31.2 on 5m 09:20" in s.text()
        assert "not a probability, not advice" in s.text()
        await s.press("q", "o", "enter", "f9")
        request = s.handle.submitted[0].request
        assert request is not None
        assert (request.qty, request.stop, request.target) == (20, to_price(1490), to_price(1526))
        assert request.reason == "signal S-1"


async def test_pause_is_loud_and_copy_uses_the_clipboard() -> None:
    async with screen((80, 24)) as s:
        await on_reliance(s)
        await s.press("p")
        s.ms += 12_000
        await s.settle()
        assert "PAUSED 12" in s.text().splitlines()[0]
        assert "PAUSED" in s.text().splitlines()[2]
        await s.press("p")
        assert "PAUSED" not in s.text()
        await s.press("y")
        assert s.app.clipboard.startswith("RELIANCE\t1,502.35")


async def test_quit_asks_when_something_is_open() -> None:
    handle = FakeHandle()
    handle.orders, handle.positions = [resting("A")], [held()]
    async with screen((80, 24), handle) as s:
        await s.press("q")
        text = s.text()
        assert "order BUY 10 RELIANCE open" in text
        assert "+10 RELIANCE" in text
        assert "The simulated exchange ends" in text
        await s.press("n")
        assert handle.stops == 0
        await s.press("q", "y")
        assert handle.stops >= 1
        assert s.app.return_code == 0


async def test_commands_reach_the_engine() -> None:
    async with screen((80, 24)) as s:
        await s.command("strategy run opening-range")
        await s.command("strategy pause vote")
        await s.command("auto on vote")
        await s.command("auto off VOTE")
        assert [(e.kind, e.name) for e in s.handle.submitted] == [
            (OperatorKind.STRATEGY_RUN, "opening-range"),
            (OperatorKind.STRATEGY_PAUSE, "vote"),
            (OperatorKind.AUTO_ON, "vote"),
            (OperatorKind.AUTO_OFF, "vote"),
        ]
        await s.command("auto on nobody")
        assert "no strategy is called nobody" in s.notice
        await s.command("fault drop seconds=20 hard=on")
        assert s.handle.faults == [("drop", {"seconds": 20, "hard": True})]
        assert "fault drop is on" in s.notice
        await s.command("watch remove INFY")
        assert INFY.key not in s.app.controller.ui.keys
        await s.command("watch add INFY")
        assert s.app.controller.ui.keys[-1] == INFY.key
        for interval in ("1M", "1m", "3m", "1w", "1h"):
            await s.command(f"interval {interval}")
            assert s.handle.view.interval == interval
        await s.command("reliance")
        assert s.app.controller.ui.selected == RELIANCE.key
        await s.command("nosuchthing")
        assert "no command and no instrument is called nosuchthing" in s.notice
        await s.press("colon", "up", "up", "enter")
        assert s.app.controller.ui.selected == RELIANCE.key
        await s.press("colon", "s", "t", "r", "tab", "enter")
        assert "strategy run or pause" in s.notice


async def test_palette_help_redraw_theme_and_picture(tmp_path: Path) -> None:
    async with screen((80, 24)) as s:
        await s.press("ctrl+p")
        await s.type("freeze")
        assert "freeze the display" in s.text()
        await s.press("enter")
        assert s.app.controller.ui.frozen is not None
        await s.press("p", "question_mark")
        assert "buy ticket for the selected instrument" in s.text()
        await s.press("pagedown", "down", "f1")
        assert s.app.controller.ui.mode is UiMode.NORMAL
        await s.press("ctrl+l")
        for theme in ("light", "contrast", "16", "dark"):
            await s.command(f"theme {theme}")
            assert "RELIANCE" in s.text()
        path = tmp_path / "shot.svg"
        await s.command(f"screenshot {path}")
        assert path.read_text().startswith("<svg")
        assert "4821" not in path.read_text() or "**4821" in path.read_text()
        await s.command("screenshot /nowhere/at/all.svg")
        assert "no screenshot" in s.notice


async def test_markup_and_control_characters_from_outside_stay_text() -> None:
    handle = FakeHandle()
    handle.orders = [
        replace(resting("A"), status=OrderStatus.REJECTED, message="[red]no[/red] \x1b[2J\u202emargin")
    ]
    handle.notice("[bold]x[/bold]\x1b]0;evil\x07", "ERROR")
    async with screen((120, 40), handle) as s:
        await s.press("6", "f")
        assert "[red]no[/red]" in s.text()
        assert "\x1b" not in s.text()
        assert "\u202e" not in s.text()
        assert "[bold]x[/bold]" in s.text()


async def test_an_order_says_all_that_is_known_of_it() -> None:
    handle = FakeHandle()
    handle.orders = [
        replace(resting("TT9"), status=OrderStatus.REJECTED, message="margin is short by 1,204.50")
    ]
    async with screen((80, 24), handle) as s:
        await s.press("6", "j", "enter")
        text = s.text()
        assert "margin is short by 1,204.50" in text
        assert "tag      TT9" in text
        await s.press("escape")
        assert s.app.controller.ui.selected == RELIANCE.key
