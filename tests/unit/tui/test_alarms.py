"""What needs a person is said in the header and on top of the risk pane, in every size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.fake_handle import GAUGES, RELIANCE, T0_NS
from tradetui.domain.gtt import Gtt, GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.money import to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.view import Gauge, Mode, PositionRow, Snapshot, Verdict
from tradetui.tui.panes import header, orders, risk
from tradetui.tui.spans import plain
from tradetui.tui.state import Frame, Ui

REQUEST = OrderRequest(RELIANCE.key, Side.BUY, 10, price=to_price(1500))
ORDER = Order("T1", REQUEST, OrderStatus.UNKNOWN, T0_NS, T0_NS)
RULE = GttRule(GttStrategy.ENTRY, GttTrigger.ABOVE, to_price(1600))
GTT = Gtt(
    "g", GttRequest(RELIANCE.key, Side.BUY, 10, Product.DELIVERY, (RULE,)), GttStatus.UNKNOWN, T0_NS, T0_NS
)
NAKED = PositionRow(RELIANCE.key, "RELIANCE", "I", 10, 0, None, 0, 0, 0, 0, naked=True)
BUDGETS = (
    Gauge("Orders 1 s", 2, 8, "2 / 8 +2 exits"),
    Gauge("Orders 30 min", 40, 1900, "40 / 1900 +100 exits"),
    Gauge("Reads positions 1 s", 1, 50, "1 / 50"),
    Gauge("Reads positions 30 min", 900, 1950, "900 / 1950"),
)
BASE = Snapshot(
    seq=1, t_ns=T0_NS, mode=Mode.LIVE, account="4ABCD4821", gauges=GAUGES, budgets=BUDGETS, feed_state="up"
)


def head(snap: Snapshot, width: int) -> str:
    ui = Ui()
    ui.status = "running"
    (line,) = header.build(Frame(snap, ui, live=snap), width, 1)
    assert sum(len(text) for text, _ in line) == width
    return plain(line)


def shown(snap: Snapshot, width: int, height: int) -> list[str]:
    return [plain(line) for line in risk.body(Frame(snap, Ui(), live=snap), width, height)]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_troubles_stay_in_the_header_in_every_width(width: int) -> None:
    snap = replace(
        BASE, orders=(ORDER,), gtts=(GTT,), positions=(NAKED, replace(NAKED, qty=0)),
        login="the token ended at 03:30", feed_state="down", risk_state="halted", risk_reason="kill pulled by the watchdog",
    )  # fmt: skip
    text = head(snap, width)
    for words in ("[LIVE disarmed]", "HALTED", "LOGIN ENDED", "2 UNKNOWN", "1 NAKED", "feed DOWN"):
        assert words in text
    assert ("kill pulled" in text) == (width >= 110)
    quiet = head(BASE, width)
    for words in ("UNKNOWN", "NAKED", "LOGIN", "HALTED", "DOWN"):
        assert words not in quiet


def test_what_blocks_comes_first_then_losses_and_the_order_budget() -> None:
    loud = (Gauge("Unknown orders", 1, 0, "1: the broker's book will tell", Verdict.BLOCK), *GAUGES)
    rows = shown(replace(BASE, gauges=loud), 78, 40)
    names = [row.strip().split("  ")[0] for row in rows]
    assert names[0].startswith("Unknown orders")
    assert names.index("Orders 1 s") < names.index("positions")
    assert sum(name.startswith("Reads") for name in names) == 1, "the fullest window for reading is enough"
    assert any("900 / 1950" in row for row in rows)


@pytest.mark.parametrize(("width", "height"), [(52, 6), (78, 8), (40, 14), (64, 8), (24, 5)])
def test_gauges_fit_where_there_is_little_room(width: int, height: int) -> None:
    many = (*GAUGES, *(Gauge(f"Gauge {n}", n, 10, f"{n} / 10") for n in range(6)))
    rows = shown(replace(BASE, gauges=many, login="ended"), width, height)
    assert len(rows) <= height
    assert "login: ended" in rows[0]
    if width >= 50:
        assert any(row.count(" / ") == 2 for row in rows), "two columns where one is too long"


def test_a_trigger_is_never_shown_as_hashes() -> None:
    stop = replace(
        REQUEST, order_type=OrderType.SL, price=to_price(123456.75), trigger_price=to_price(124000.05)
    )
    waiting = replace(ORDER, request=stop, status=OrderStatus.TRIGGER_PENDING)
    for width in (60, 62, 64, 78, 98, 160):
        snap = replace(BASE, orders=(waiting,))
        rows = [plain(line) for line in orders.body(Frame(snap, Ui(), live=snap), width, 6)]
        assert "1,24,000.05" in rows[1]
        assert "#" not in rows[1]
