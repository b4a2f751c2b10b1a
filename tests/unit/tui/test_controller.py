"""All keys at once: whatever is pressed, nothing that adds risk leaves without a painted review."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.fake_handle import RELIANCE, WATCH, FakeHandle
from tradetui.domain.events import OperatorKind
from tradetui.domain.view import Look
from tradetui.tui.actions import ACTIONS, KeyMap
from tradetui.tui.controller import Controller
from tradetui.tui.desk import Desk
from tradetui.tui.layout import Pane, arrange
from tradetui.tui.state import UiMode
from tradetui.tui.ticket import DEAD_MS, Phase

KEYS = sorted({key for action in ACTIONS for key in action.keys} | set("0123456789abcyn "))
REDUCING = {
    OperatorKind.CANCEL,
    OperatorKind.CANCEL_ALL,
    OperatorKind.KILL,
    OperatorKind.FLATTEN,
    OperatorKind.DISARM,
    OperatorKind.EXIT_ALL,
}


def made() -> tuple[Controller, FakeHandle]:
    handle = FakeHandle()
    desk = Desk()
    desk.handle = handle
    controller = Controller(desk, KeyMap(), watch=WATCH, geometry=lambda: arrange(120, 40, (Pane.WATCH,)))
    controller.ui.selected = RELIANCE.key
    pull(controller, handle, 0)
    return controller, handle


def pull(controller: Controller, handle: FakeHandle, now: int) -> None:
    """One frame: the engine answers the last look."""
    handle.look(controller.look(10))
    snap = handle.snapshot()
    assert snap is not None
    controller.take(snap, now)


LINES = ["gtt buy 5 above 1600", "gtt sell 2 below 1400 stop 1500", "convert D", "limit daily_loss 2 calm", "stop 1400",
         "exit all", "cancel all", "trail 1%", "basket buy 1 INFY; sell 2 TCS @4000"]  # fmt: skip
STEP = st.one_of(
    st.tuples(st.sampled_from(KEYS), st.integers(0, 500)),
    st.tuples(st.sampled_from(["b", "s", "enter", "f9", "5", "z", "x", "e", "escape"]), st.integers(0, 500)),
    st.tuples(st.sampled_from(["<pull>", "<paint>", "<paste>"]), st.integers(0, 200)),
    st.tuples(st.sampled_from(LINES), st.integers(0, 500)),
)
REVIEWED = {OperatorKind.BASKET, OperatorKind.GTT_PLACE, OperatorKind.CONVERT, OperatorKind.LIMITS}


def read_now(controller: Controller, now: int) -> object:
    """What was painted for the first time just now and waits for the send key; ``None`` when nothing did."""
    confirm, ticket = controller.ui.confirm, controller.ui.ticket
    if confirm is not None:
        return confirm.lines if confirm.painted_ms == now else None
    if ticket is not None and ticket.phase is Phase.REVIEW and ticket.painted_ms == now:
        return ticket.request
    return None


@settings(max_examples=400)
@given(st.booleans(), st.lists(STEP, max_size=80))
def test_property_review_no_keys_however_mad_add_risk_that_was_not_read(
    fills: bool, steps: list[tuple[str, int]]
) -> None:
    controller, handle = made()
    handle.fill = fills
    now = 1000
    read: dict[object, int] = {}
    for key, wait in steps:
        now += wait
        before = len(handle.submitted)
        under = controller.ui.confirm.lines if controller.ui.confirm is not None else None
        ticket = controller.ui.ticket
        if key == "<pull>":
            pull(controller, handle, now)
        elif key == "<paint>":
            controller.painted(now)
            seen = read_now(controller, now)
            if seen is not None:
                read[seen] = now
        elif key == "<paste>":
            controller.paste("bs75\rx5", now)
            assert len(handle.submitted) == before
        elif key in LINES:
            if controller.ui.mode is UiMode.NORMAL:
                controller.now_ms = now
                controller.run(key)
        else:
            controller.key(key, key if len(key) == 1 else "", now)
        for event in handle.submitted[before:]:
            if event.kind is OperatorKind.PLACE:
                assert event.request is not None
                assert key in ("f9", "ctrl+x")
                assert now - read[event.request] >= DEAD_MS
            elif event.kind is OperatorKind.MODIFY:
                assert ticket is not None
                assert ticket.modifies == event.tag
                assert key in ("f9", "ctrl+x")
                assert now - read[ticket.request] >= DEAD_MS
            elif event.kind in REVIEWED:
                assert key in ("f9", "ctrl+x")
                assert now - read[under] >= DEAD_MS
            else:
                assert event.kind in REDUCING or controller.ui.history
    ids = [e.request.client_id for e in handle.submitted if e.kind is OperatorKind.PLACE and e.request]
    assert len(ids) == len(set(ids))


def test_a_burst_of_more_than_six_keys_is_dropped_and_said() -> None:
    controller, _ = made()
    before = controller.ui.selected
    for char in "jkjkjkjbjs":
        controller.key(char, char, 1000)
    assert "ticket" not in controller.ui.mode
    assert "paste" in controller.ui.notice.text
    controller.key("b", "b", 1040)
    assert controller.ui.ticket is not None
    assert before in controller.ui.keys


def test_a_long_ticket_typed_in_no_time_is_not_a_paste() -> None:
    controller, _ = made()
    for char in "b1234@1502.35":
        controller.key(char, char, 1000)
    controller.key("enter", "", 1000)
    ticket = controller.ui.ticket
    assert ticket is not None
    assert ticket.request is not None
    assert (ticket.request.qty, ticket.request.price) == (1234, 15_023_500)


def test_three_tickets_in_one_read() -> None:
    controller, _ = made()
    seen = []
    for keys in (("b", "7", "5", "enter"), ("escape", "s", "1", "2", "enter"), ("escape", "b", "9", "enter")):
        for key in keys:
            controller.key(key, key if len(key) == 1 else "", 1000)
        ticket = controller.ui.ticket
        assert ticket is not None
        assert ticket.request is not None
        seen.append((ticket.request.side.value, ticket.request.qty, ticket.request.client_id))
    assert [(side, qty) for side, qty, _ in seen] == [("BUY", 75), ("SELL", 12), ("BUY", 9)]
    assert len({client_id for *_, client_id in seen}) == 3


def test_paste_goes_into_a_line_or_a_number_field_only() -> None:
    controller, handle = made()
    controller.paste("q", 1000)
    assert controller.effects == []
    controller.key("slash", "/", 1000)
    controller.paste("info\n", 1000)
    assert controller.ui.prompt.text == "info"
    controller.key("escape", "", 1000)
    controller.key("b", "b", 1000)
    controller.paste("1,250", 1000)
    assert controller.ui.ticket is not None
    assert controller.ui.ticket.qty == "1250"
    controller.paste("12x\r", 1000)
    assert controller.ui.ticket.qty == "1250"
    assert handle.submitted == []


def test_the_engines_own_watchlist_is_taken_once() -> None:
    controller, handle = made()
    for key in WATCH:
        controller.nav.remove(key, 1000)
    pull(controller, handle, 1000)
    handle.look(Look(watch=WATCH))
    snap = handle.snapshot()
    assert snap is not None
    controller.take(snap, 1100)
    assert controller.ui.keys == []
    desk = Desk()
    desk.handle = handle
    empty = Controller(desk, KeyMap(), geometry=lambda: arrange(120, 40, (Pane.WATCH,)))
    empty.take(snap, 1000)
    assert tuple(empty.ui.keys) == WATCH
    assert empty.ui.selected == WATCH[0]
