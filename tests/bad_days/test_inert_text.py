"""Text from outside never acts on the terminal: names, tags and messages full of escapes, markup and overrides."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fixtures.fake_handle import RELIANCE, FakeHandle
from tests.unit.brokers.upstox.test_parse import ORDER
from tradetui.brokers.upstox import parse
from tradetui.domain.events import Evidence
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Side
from tradetui.domain.text import clean
from tradetui.domain.view import LogRow, Look
from tradetui.tui.layout import Pane
from tradetui.tui.panes import orders, positions
from tradetui.tui.panes.bottom import notice
from tradetui.tui.state import Frame, Notice, Ui

ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\x1b\x07\x9b\u202e\u2066\u200b\r\n\t[]{}\\$()"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)
TRICKS = "\x1b]52;c;aGk=\x07[red]\u202eevil[/red]\x1b[2J"


def harmless(text: str) -> bool:
    """Whether a terminal would only show it."""
    return not any(unicodedata.category(char) in ACTING for char in text)


@settings(max_examples=300)
@given(HOSTILE, HOSTILE)
@example(TRICKS, TRICKS)
def test_property_inert_what_the_broker_says_of_an_order_is_plain_text(message: str, tag: str) -> None:
    row: dict[str, Any] = json.loads(
        json.dumps({**ORDER, "status_message": message, "tag": tag, "status": message})
    )
    update = parse.order_update(row, 1, Evidence.STREAM)
    assert update is not None
    for text in (update.message, update.tag, update.raw_status, update.exchange_id):
        assert harmless(text)


@settings(max_examples=200)
@given(HOSTILE)
@example(TRICKS)
def test_property_inert_no_pane_lets_text_from_outside_act(text: str) -> None:
    handle = FakeHandle()
    handle.look(Look(watch=(RELIANCE.key,)))
    request = OrderRequest(RELIANCE.key, Side.BUY, 1, source=text, reason=text)
    handle.orders = [Order(text, request, OrderStatus.REJECTED, 1, 1, raw_status=text, message=text)]
    snap = handle.snapshot()
    assert snap is not None
    row = LogRow(1, 1, "INFO", text)
    snap = replace(snap, notices=(row,), risk_reason=text)
    ui = Ui(recent=(Pane.ORDERS,))
    ui.notice = Notice(clean(text))
    frame = Frame(snap, ui, 0, False, snap)
    shown = [*orders.body(frame, 120, 10), *positions.body(frame, 120, 10), *notice(frame, 80, 1)]
    title, lines = orders.details(handle.orders[0], "RELIANCE")
    assert all(harmless(span[0]) for line in shown for span in line)
    assert all(map(harmless, (title, *lines)))
