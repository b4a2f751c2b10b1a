"""What the compositor shows, as plain text, at three sizes: small files that a reviewer can read.

After a wanted change: ``SNAPSHOT_UPDATE=1 pytest tests/snapshot``, then read the difference before committing.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.fake_handle import RELIANCE, T0_NS, WATCH, FakeHandle
from tests.fixtures.screen import Screen, screen
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Side
from tradetui.domain.view import Check, Mode, PositionRow, Verdict
from tradetui.tui.app import UiSettings

HERE = Path(__file__).parent / "text"
SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


def compare(name: str, text: str) -> None:
    path = HERE / f"{name}.txt"
    if os.environ.get("SNAPSHOT_UPDATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text + "\n", f"{name}: the screen changed"


def busy(mode: Mode = Mode.SIM) -> FakeHandle:
    """A morning with a position, a stop, a rejection and an order in doubt."""
    handle = FakeHandle(mode)

    def order(tag: str, side: Side, qty: int, status: OrderStatus, **terms: object) -> Order:
        filled = qty if status is OrderStatus.FILLED else 0
        request = OrderRequest(RELIANCE.key, side, qty, **terms)  # type: ignore[arg-type]
        return Order(tag, request, status, T0_NS - 65_000_000_000, T0_NS - 64_000_000_000, filled_qty=filled)

    handle.orders = [
        replace(
            order("1", Side.BUY, 20, OrderStatus.FILLED, price=to_price(1501)),
            average_price=to_price("1500.85"),
        ),
        order(
            "2",
            Side.SELL,
            20,
            OrderStatus.TRIGGER_PENDING,
            order_type=OrderType.SL_M,
            trigger_price=to_price(1490),
            source="vote",
        ),
        replace(
            order("3", Side.BUY, 500, OrderStatus.REJECTED, price=to_price(1502)),
            message="margin [not] enough",
        ),
        order("4", Side.BUY, 5, OrderStatus.UNKNOWN, price=to_price(1499)),
        order("5", Side.BUY, 10, OrderStatus.OPEN, price=to_price("1498.50")),
    ]
    handle.positions = [
        PositionRow(
            RELIANCE.key,
            "RELIANCE",
            "I",
            20,
            to_price("1500.85"),
            1502.35,
            0,
            to_price(30),
            to_price(30),
            to_price("18.42"),
        ),
        PositionRow(
            "NSE_FO|53001",
            "NIFTY FUT 25 NOV 25",
            "D",
            -75,
            to_price(26240),
            26231.0,
            0,
            to_price(675),
            to_price(675),
            to_price("61.1"),
            True,
        ),
    ]
    handle.notice("order 1 filled 20 @ 1500.85")
    return handle


async def prepare(s: Screen) -> None:
    await s.press("j", "j")


@pytest.mark.parametrize("size", SIZES)
async def test_trading(size: str) -> None:
    async with screen(SIZES[size], busy()) as s:
        await prepare(s)
        compare(f"trading-{size}", s.text())


@pytest.mark.parametrize("size", SIZES)
async def test_ticket_under_review(size: str) -> None:
    handle = busy()
    handle.checks = (
        *handle.checks[:4],
        Check("distance", Verdict.WARN, "price is 2.1% above the last trade, more than the usual 1%"),
        Check("capital", Verdict.BLOCK, "needs 37,560.00, free 12,250.00"),
    )
    async with screen(SIZES[size], handle) as s:
        await prepare(s)
        await s.press("b", "2", "5", "enter")
        s.ms += 400
        await s.settle()
        compare(f"review-{size}", s.text())


@pytest.mark.parametrize("pane", ["2", "3", "5", "6", "7", "8", "9"])
async def test_panes_alone(pane: str) -> None:
    async with screen((80, 24), busy()) as s:
        await prepare(s)
        await s.press(pane, "f")
        compare(f"pane-{pane}-80x24", s.text())


async def test_ascii_set() -> None:
    async with screen((120, 40), busy(), settings=UiSettings(watch=WATCH, ascii=True)) as s:
        await prepare(s)
        text = s.text()
        assert text.isascii()
        compare("ascii-120x40", text)


async def test_live_and_armed() -> None:
    handle = busy(Mode.LIVE)
    handle.armed_until_ns = T0_NS + 872_000_000_000
    async with screen((120, 40), handle) as s:
        await prepare(s)
        text = s.text()
        assert text.startswith("[## LIVE ARMED 14:32 ##]")
        compare("live-120x40", text)


async def test_search_and_help() -> None:
    async with screen((80, 24), busy()) as s:
        await s.press("slash")
        await s.type("nifty")
        compare("search-80x24", s.text())
        await s.press("escape", "question_mark")
        compare("help-80x24", s.text())


@pytest.mark.parametrize(
    "size", [(58, 18), (40, 10), (25, 5), (120, 20), (99, 60)], ids=lambda s: f"{s[0]}x{s[1]}"
)
async def test_odd_sizes(size: tuple[int, int]) -> None:
    async with screen(size, busy()) as s:
        await prepare(s)
        compare(f"odd-{size[0]}x{size[1]}", s.text())


@pytest.mark.parametrize("theme", ["dark", "light", "contrast", "16"])
async def test_pictures_are_whole_in_every_theme(theme: str) -> None:
    async with screen((120, 40), busy(), settings=UiSettings(watch=WATCH, theme=theme)) as s:
        await prepare(s)
        picture = s.app.picture()
        assert picture.startswith("<svg")
        assert "RELIANCE" in picture
        assert "4ABCD" not in picture
