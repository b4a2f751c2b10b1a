"""The ticket: keys in, state out. No sequence of keys sends what was not painted and read."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.fake_handle import FUTURE, RELIANCE
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.view import Check, InstrumentRow, Preview, Verdict
from tradetui.tui import ticket as tk
from tradetui.tui.actions import Context, KeyMap
from tradetui.tui.panes.ticket_view import sentence
from tradetui.tui.ticket import Field, Outcome, Phase, Ticket

KEYMAP = KeyMap()
PASS = (Check("lot", Verdict.PASS),)


def judge(ticket: Ticket, checks: tuple[Check, ...] = PASS, worst: int = 0) -> Preview | None:
    request = tk.asked(ticket)
    return Preview(request, checks, worst_price=worst) if request is not None else None


def key(ticket: Ticket, token: str, now_ms: int = 0, preview: Preview | None = None) -> Outcome:
    action = KEYMAP.find(Context.TICKET, token)
    char = token if len(token) == 1 else ""
    return tk.press(ticket, action.id if action else "", char, preview, now_ms)


def keys(ticket: Ticket, *tokens: str) -> Ticket:
    for token in tokens:
        outcome = key(ticket, token)
        assert outcome.send is None
        assert outcome.ticket is not None
        ticket = outcome.ticket
    return ticket


def fresh(instrument: InstrumentRow = RELIANCE, side: Side = Side.BUY) -> Ticket:
    return tk.open_ticket(instrument, side, "c1", price="1502.40")


def reviewed(*typed: str, at_ms: int = 1000, worst: int = 0) -> Ticket:
    ticket = keys(fresh(), *typed, "enter")
    return tk.painted(ticket, judge(ticket, worst=worst), at_ms)


def test_digits_then_enter_make_a_reviewed_limit_order() -> None:
    ticket = keys(fresh(), "7", "5", "enter")
    assert ticket.phase is Phase.REVIEW
    assert ticket.request == OrderRequest(
        RELIANCE.key, Side.BUY, 75, Product.INTRADAY, OrderType.LIMIT, to_price("1502.40"), client_id="c1"
    )


def test_send_goes_out_once_the_review_was_read() -> None:
    ticket = reviewed("1", "0")
    outcome = key(ticket, "f9", 1300, judge(ticket))
    assert outcome.ticket is None
    assert outcome.send == ticket.request


def test_the_alternate_send_key_does_the_same() -> None:
    ticket = reviewed("1", "0")
    assert key(ticket, "ctrl+x", 1300, judge(ticket)).send == ticket.request


@pytest.mark.parametrize("now_ms", [1000, 1100, 1299])
def test_send_is_dead_right_after_the_review_was_painted(now_ms: int) -> None:
    ticket = reviewed("1", "0")
    outcome = key(ticket, "f9", now_ms, judge(ticket))
    assert outcome.send is None
    assert outcome.ticket is not None
    assert "not sent" in outcome.ticket.message


def test_a_held_send_key_never_sends() -> None:
    ticket = keys(fresh(), "1", "enter")
    sent = None
    now = 900
    for n in range(100):
        now += 33
        if n == 4:
            ticket = tk.painted(ticket, judge(ticket), now)
        outcome = key(ticket, "f9", now, judge(ticket))
        sent = sent or outcome.send
        assert outcome.ticket is not None
        ticket = outcome.ticket
    assert sent is None
    # Let go, wait, press once: now it goes.
    assert key(ticket, "f9", now + 300, judge(ticket)).send is not None


def test_send_waits_for_the_checks_to_be_painted() -> None:
    ticket = keys(fresh(), "1", "enter")
    assert key(ticket, "f9", 99_000, judge(ticket)).send is None
    ticket = tk.painted(ticket, None, 1000)
    assert ticket.painted_ms == -1
    other = keys(fresh(), "2", "enter")
    assert tk.painted(ticket, judge(other), 1000).painted_ms == -1
    assert key(tk.painted(ticket, judge(ticket), 1000), "f9", 5000, None).send is None


def test_a_block_cannot_be_sent() -> None:
    checks = (Check("capital", Verdict.BLOCK, "needs 1.2L"),)
    ticket = keys(fresh(), "9", "enter")
    ticket = tk.painted(ticket, judge(ticket, checks), 1000)
    for token in ("f9", "9", "enter", "f9"):
        outcome = key(ticket, token, 9000, judge(ticket, checks))
        assert outcome.send is None
        assert outcome.ticket is not None
        ticket = outcome.ticket
    assert tk.asked(ticket) is not None


def test_a_warning_costs_typing_the_quantity_again() -> None:
    checks = (Check("distance", Verdict.WARN, "2% from the last price"),)
    ticket = keys(fresh(), "7", "5", "enter")
    ticket = tk.painted(ticket, judge(ticket, checks), 1000)
    refused = key(ticket, "f9", 2000, judge(ticket, checks))
    assert refused.send is None
    assert refused.ticket is not None
    wrong = keys(refused.ticket, "7")
    assert key(wrong, "f9", 3000, judge(ticket, checks)).send is None
    right = keys(wrong, "5")
    assert key(right, "f9", 4000, judge(ticket, checks)).send == ticket.request


def test_a_limit_review_does_not_expire() -> None:
    ticket = reviewed("1")
    assert key(ticket, "f9", 3_600_000, judge(ticket)).send is not None


@pytest.mark.parametrize(
    ("side", "now_worst", "sends"),
    [
        (Side.BUY, 1010, False),
        (Side.BUY, 1002, True),
        (Side.BUY, 1003, False),
        (Side.BUY, 1000, True),
        (Side.BUY, 990, True),
        (Side.SELL, 990, False),
        (Side.SELL, 1010, True),
    ],
)
def test_a_market_review_is_asked_again_only_if_the_worst_price_got_worse(
    side: Side, now_worst: int, sends: bool
) -> None:
    ticket = keys(fresh(side=side), "5", "tab", "m", "enter")
    ticket = tk.painted(ticket, judge(ticket, worst=to_price(1000)), 1000)
    outcome = key(ticket, "f9", 5000, judge(ticket, worst=to_price(now_worst)))
    assert (outcome.send is not None) is sends
    if not sends:
        assert outcome.ticket is not None
        again = tk.painted(outcome.ticket, judge(ticket, worst=to_price(now_worst)), 5010)
        assert key(again, "f9", 5100, judge(ticket, worst=to_price(now_worst))).send is None
        assert key(again, "f9", 5400, judge(ticket, worst=to_price(now_worst))).send is not None


def test_a_market_order_without_a_worst_price_then_with_one_is_reviewed_again() -> None:
    ticket = keys(fresh(), "5", "tab", "m", "enter")
    ticket = tk.painted(ticket, judge(ticket, worst=0), 1000)
    assert key(ticket, "f9", 5000, judge(ticket, worst=to_price(1000))).send is None


def test_a_resize_makes_the_review_unread_again() -> None:
    ticket = tk.unpainted(reviewed("1"))
    assert key(ticket, "f9", 5000, judge(ticket)).send is None


def test_escape_drops_and_sends_nothing() -> None:
    assert key(fresh(), "escape") == Outcome(None)
    assert key(reviewed("1"), "escape", 9000) == Outcome(None)


def test_empty_quantity_and_price_put_the_cursor_where_something_is_missing() -> None:
    ticket = keys(fresh(), "enter")
    assert (ticket.phase, ticket.field) == (Phase.EDIT, Field.QTY)
    ticket = keys(tk.open_ticket(RELIANCE, Side.BUY, "c"), "5", "enter")
    assert (ticket.phase, ticket.field) == (Phase.EDIT, Field.PRICE)
    assert keys(ticket, "1", "0", ".", "5", "enter").phase is Phase.REVIEW
    for bad in (".", "0", "0.0"):
        assert keys(tk.open_ticket(RELIANCE, Side.BUY, "c"), "5", "@", *bad, "enter").phase is Phase.EDIT


def test_lots_are_shown_as_units_and_toggle() -> None:
    ticket = keys(fresh(FUTURE), "2")
    assert ticket.lots
    assert ticket.units == 150
    units = keys(ticket, "l")
    assert (units.lots, units.qty, units.units) == (False, "150", 150)
    assert keys(units, "l").qty == "2"
    odd = keys(units, "ctrl+u", "7", "l")
    assert not odd.lots
    assert "multiple" in odd.message
    assert "single units" in keys(fresh(), "l").message


def test_steps_follow_lot_and_tick() -> None:
    assert keys(fresh(), "5", "+", "+", "-").qty == "6"
    assert keys(fresh(), "@", "+").price == "1502.45"
    assert keys(fresh(), "@", "-", "-").price == "1502.30"
    assert keys(fresh(), "@", "1", "0", ".", "0", "2", "-").price == "10.00"
    assert keys(fresh(), "@", "1", "0", ".", "0", "2", "+").price == "10.05"
    assert keys(fresh(FUTURE), "l", "+").units == 75


def test_letters_choose_type_product_and_validity() -> None:
    ticket = keys(fresh(), "5", "tab", "s")
    assert ticket.order_type is OrderType.SL
    assert keys(ticket, "s").order_type is OrderType.SL_M
    assert keys(ticket, "m").order_type is OrderType.MARKET
    stop = keys(ticket, "tab", "1", "0", "0", "tab", "1", "0", "1", "tab", "d", "tab", "i", "enter")
    assert stop.request == OrderRequest(
        RELIANCE.key,
        Side.BUY,
        5,
        Product.DELIVERY,
        OrderType.SL,
        to_price(100),
        to_price(101),
        Validity.IOC,
        client_id="c1",
    )


def test_derivatives_have_no_mtf() -> None:
    ticket = keys(fresh(FUTURE), *["up"] * 5)
    assert ticket.field is Field.PRODUCT
    assert keys(ticket, "m").product is Product.INTRADAY
    assert keys(fresh(), *["up"] * 6, "m").product is Product.MTF


def test_editing_after_review_needs_a_new_review() -> None:
    ticket = reviewed("1")
    edited = keys(ticket, "tab", "5", "enter")
    assert edited.request is not None
    assert edited.request.qty == 5
    assert key(edited, "f9", 9000, judge(edited)).send is None


def test_hot_keys_of_the_panes_do_nothing_in_a_review() -> None:
    ticket = reviewed("1")
    for token in ("b", "s", "x", "X", "z", "q", "A", "p", "enter"):
        outcome = key(ticket, token, 9000, judge(ticket))
        assert outcome.send is None
        assert outcome.ticket is not None
        assert outcome.ticket.request == ticket.request


TOKENS = st.sampled_from(
    [
        *"0123456789.+-@lLmsidbxzqA ",
        "enter",
        "tab",
        "shift+tab",
        "up",
        "down",
        "left",
        "right",
        "backspace",
        "ctrl+u",
        "f9",
        "f9",
        "ctrl+x",
        "escape",
        "f5",
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("key"), TOKENS, st.integers(0, 700)),
        st.tuples(st.just("paint"), st.just(""), st.integers(0, 700)),
        st.tuples(st.just("checks"), st.sampled_from(["pass", "warn", "block", "none"]), st.integers(0, 700)),
        st.tuples(st.just("worst"), st.sampled_from(["0", "1000", "1001", "999"]), st.just(0)),
    ),
    max_size=60,
)
READ = [("key", "5", 0), ("key", "enter", 0), ("paint", "", 0), ("key", "f9", 400)]
"""An honest order, so that the search starts close to what can send."""
CHECKS = {
    "pass": PASS,
    "warn": (Check("distance", Verdict.WARN, "far"),),
    "block": (Check("capital", Verdict.BLOCK, "short"),),
}


@settings(max_examples=400)
@given(
    st.builds(operator.add, st.sampled_from([READ[:n] for n in (0, 2, 3, 4)]), STEPS),
    st.sampled_from([RELIANCE, FUTURE]),
    st.sampled_from(list(Side)),
)
def test_property_review_no_sequence_of_keys_sends_without_one_that_was_painted_and_read(
    steps: list[tuple[str, str, int]], instrument: InstrumentRow, side: Side
) -> None:
    ticket: Ticket | None = tk.open_ticket(instrument, side, "c9", price="1502.40")
    now, checks, worst = 1000, "pass", 0
    painted: dict[OrderRequest, tuple[int, int]] = {}
    last_send = -10_000
    sent: list[OrderRequest] = []
    for kind, word, wait in steps:
        if ticket is None:
            break
        now += wait
        preview = judge(ticket, CHECKS[checks], worst) if checks != "none" else None
        if kind == "checks":
            checks = word
        elif kind == "worst":
            worst = int(to_price(word))
        elif kind == "paint":
            before = ticket
            ticket = tk.painted(ticket, preview, now)
            if ticket.painted_ms == now and before.painted_ms != now and ticket.request is not None:
                painted[ticket.request] = (now, worst)
        else:
            outcome = key(ticket, word, now, preview)
            if outcome.send is not None:
                at, seen_worst = painted[outcome.send]
                assert now - at >= tk.DEAD_MS
                assert now - last_send >= tk.DEAD_MS
                assert word in ("f9", "ctrl+x")
                assert preview is not None
                assert not preview.blocked
                assert preview.request == outcome.send
                assert (worst - seen_worst) * side.sign <= 0 or seen_worst == worst
                assert outcome.send.qty > 0
                assert outcome.send.client_id == "c9"
                if checks == "warn":
                    assert int(ticket.retyped) == int(ticket.qty)
                sent.append(outcome.send)
                assert outcome.ticket is None
            if word in ("f9", "ctrl+x"):
                last_send = now
            ticket = outcome.ticket
    assert len(sent) <= 1


@given(st.text(alphabet="0123456789", min_size=1, max_size=6).filter(lambda t: int(t) > 0))
def test_no_digit_is_lost_or_reordered(text: str) -> None:
    ticket = keys(fresh(), *text, "enter")
    assert ticket.request is not None
    assert ticket.request.qty == int(text)


def test_prices_on_fine_ticks_keep_four_digits() -> None:
    currency = InstrumentRow("NCD_FO|1", "USDINR", "USDINR", "NCD_FO", "FUT", 1000, 25)
    assert tk.price_text(Price(891_225), 25) == "89.1225"
    assert keys(tk.open_ticket(currency, Side.BUY, "c", price="89.1225"), "@", "+").price == "89.1250"


def test_a_ticket_opened_while_the_market_is_closed_is_labelled_as_one_for_the_next_open() -> None:
    ticket = keys(tk.open_ticket(RELIANCE, Side.BUY, "c1", price="1502.40", amo=True), "5", "enter")
    assert ticket.request is not None
    assert ticket.request.amo
    assert "AMO" in sentence(ticket.request, "RELIANCE", 1)
    plain = keys(fresh(), "5", "enter")
    assert plain.request is not None
    assert not plain.request.amo
    assert "AMO" not in sentence(plain.request, "RELIANCE", 1)
