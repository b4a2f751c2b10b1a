"""Live trading rehearsed in a real terminal against a simulator of its own: arming, stops, changes, kill, a cut network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.moves import armed, command, last_price, mark_order, order_row, program, reviewed, search
from tests.e2e.terminal import Terminal, environment, tmux_missing
from tests.fixtures.processes import Exchange, exchange

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(tmux_missing()), reason=tmux_missing() or "-"),
]


@pytest.fixture
def sim() -> Iterator[Exchange]:
    with exchange() as one:
        yield one


def opened(terminal: Terminal) -> None:
    """Wait for the workstation: live in all but the money, and disarmed."""
    terminal.until(lambda text: "[REHEARSAL disarmed]" in text and "feed up" in text, "a disarmed start", 60)
    terminal.until(lambda text: re.search(r"RELIANCE +[~+p]* *[\d,]+\.\d\d", text) is not None, "prices", 60)


def header(text: str) -> str:
    return text.splitlines()[0] if text else ""


def above(terminal: Terminal, pct: float) -> str:
    """A price of ITC so far above the last one, on the tick."""
    return f"{round(last_price(terminal, 'ITC') * (1 + pct / 100), 1):.2f}"


def sent(terminal: Terminal) -> None:
    """Press send until the ticket is gone: it is dead for a moment after the review was painted."""
    assert terminal.press_until("F9", lambda text: "Ticket" not in text), "the ticket was never sent"


def traded(sim: Exchange, order_id: str, qty: int) -> None:
    """Somebody else trades against a resting order."""
    sim.call("POST", sim.told["control"] + "/orders", {"action": "fill", "order_id": order_id, "qty": qty})


def stop_price(terminal: Terminal, qty: int) -> float:
    """Trigger of the stop that rests for so many units."""
    pattern = rf"SELL +0/{qty} ITC +SL ([\d,]+\.\d\d)\S* WAITING"
    found = order_row(terminal, pattern, f"the stop of {qty} to rest at the exchange")
    return float(found[1].replace(",", ""))


def test_a_day_of_live_trading_without_its_money(sim: Exchange, tmp_path: Path, repo_root: Path) -> None:
    artefacts = repo_root / "artefacts" / "e2e" / "rehearsal"
    with Terminal(120, 40, artefacts, environment(tmp_path)) as terminal:
        terminal.run(program(tmp_path / "home", "--live", "--url-main", sim.main))
        opened(terminal)
        search(terminal, "itc", "ITC")

        # Disarmed: the ticket says so, and send does nothing.
        price, stop = above(terminal, 0.5), above(terminal, -3)
        reviewed(terminal, "b", "BUY", 10, "ITC", price=price, stop=stop, ready="BLOCK arming")
        refused = "not sent: blocked by arming"
        assert terminal.press_until("F9", lambda text: refused in text), "no word why it cannot be sent"
        terminal.keep("disarmed")
        terminal.press("Escape")
        terminal.until(lambda text: "Ticket" not in text, "the ticket to be dropped")
        assert sim.orders() == []

        # Arming asks for the square-off time first.
        command(terminal, "arm 5")
        account = order_row(terminal, r"arms REHEARSAL orders on \S+ \*\*(\w{4})", "the question")[1]
        terminal.type(account)
        terminal.press("Enter")
        terminal.until(lambda text: "confirm the square-off time first" in text, "what is missing")
        assert "disarmed" in header(terminal.text())
        armed(terminal, 5)
        terminal.keep("armed")

        # Four of ten fill: the stop protects those four, then what the changed order gets.
        price, stop = above(terminal, -1.5), above(terminal, -4)
        reviewed(terminal, "b", "BUY", 10, "ITC", price=price, stop=stop)
        sent(terminal)
        order_row(terminal, r"BUY +0/10 ITC +[\d,.]+ OPEN", "the order to rest")
        (entry,) = sim.working()
        traded(sim, entry, 4)
        order_row(terminal, r"BUY +4/10 ITC +[\d,.]+ OPEN", "a partial fill")
        assert stop_price(terminal, 4) == pytest.approx(float(stop))
        terminal.keep("partial")
        mark_order(terminal, r"BUY +4/10 ITC")
        terminal.type("e8")
        terminal.until(lambda text: "[8" in text, "the new quantity")
        terminal.press("Enter")
        terminal.until(
            lambda text: "CHANGE BUY 8 ITC" in text and "F9 = SEND CHANGE" in text, "the change to review"
        )
        terminal.keep("change")
        sent(terminal)
        order_row(terminal, r"BUY +4/8 ITC +[\d,.]+ OPEN", "the changed order")
        traded(sim, entry, 4)
        order_row(terminal, r"BUY +8/8 ITC +[\d,.]+ FILLED", "the rest to fill")
        first = stop_price(terminal, 8)
        terminal.keep("filled")

        # The stop trails, and follows the market up.
        terminal.type("5")
        terminal.press("j")
        terminal.type("t")
        terminal.until(lambda text: "\n :trail _" in text, "the line for the trail")
        terminal.type("1%")
        terminal.press("Enter")
        terminal.until(lambda text: "trail 1%" in text, "the plan to say so")
        terminal.until(lambda _: stop_price(terminal, 8) > first, "the stop to move up")
        second = stop_price(terminal, 8)
        sim.fault("gap", instrument="ITC", pct=1.0)
        terminal.until(lambda _: stop_price(terminal, 8) > second, "the stop to follow the market")
        terminal.keep("trailed")

        # Kill: what adds risk goes, the stop stays; then everything goes.
        reviewed(terminal, "b", "BUY", 3, "ITC", price=above(terminal, -4))
        sent(terminal)
        order_row(terminal, r"BUY +0/3 ITC +[\d,.]+ OPEN", "an order to rest")
        terminal.press("F12")
        order_row(terminal, r"BUY +0/3 ITC +[\d,.]+ CANCELLED", "stage 1 to cancel it")
        shown = terminal.until(lambda text: "HALTED" in header(text), "the header to say HALTED")
        assert "[REHEARSAL disarmed]" in header(shown)
        assert re.search(r"ITC +INTRA +\+8", shown), "stage 1 leaves the position"
        stop_price(terminal, 8)
        terminal.keep("stage-1")
        command(terminal, "resume")
        terminal.until(lambda text: "Risk active" in text, "trading again")
        terminal.press("F12")
        terminal.until(lambda text: "Again within 5 s" in text, "the offer of stage 2")
        closing = re.compile(r"FLATTEN|flat: no position")
        assert terminal.press_until("F12", lambda text: closing.search(text) is not None), "no stage 2"
        terminal.until(
            lambda text: "flat: no position and no order is open" in text, "the word that all is flat"
        )
        order_row(terminal, r"ITC +INTRA +flat", "a flat position")
        order_row(terminal, r"SELL +0/8 ITC .* CANCELLED", "the stop, which went before the position")
        terminal.keep("stage-2")
        assert (sim.held(), sim.working()) == ({}, [])
        terminal.type("q")
        assert terminal.until_ended() == 0


def test_the_network_goes_in_the_middle_of_an_order(sim: Exchange, tmp_path: Path, repo_root: Path) -> None:
    artefacts = repo_root / "artefacts" / "e2e" / "rehearsal-cut"
    with Terminal(80, 24, artefacts, environment(tmp_path)) as terminal:
        terminal.run(program(tmp_path / "home", "--live", "--url-main", sim.main))
        opened(terminal)
        search(terminal, "itc", "ITC")
        armed(terminal)
        price, stop = above(terminal, 0.5), above(terminal, -3)
        reviewed(terminal, "b", "BUY", 10, "ITC", price=price, stop=stop)
        sent(terminal)
        terminal.type("6")
        stop_price(terminal, 10)
        terminal.keep("protected")

        # The exchange takes the next order, and the network goes before it can say so.
        sim.fault("slow-push", ms=600_000)
        sim.fault("hang", after=1, path="/order/place")
        reviewed(terminal, "b", "BUY", 3, "ITC", price=above(terminal, -4))
        sent(terminal)
        terminal.until(lambda _: len(sim.working()) == 2, "the exchange to have it")
        sim.fault("unreachable")
        terminal.until(
            lambda text: "UNKNOWN" in header(text) and "feed" in header(text), "a doubt in the header"
        )
        order_row(terminal, r"BUY +0/3 ITC .*UNKNOWN", "the doubtful order")
        shown = terminal.until(
            lambda text: "feed DOWN" in header(text) and "disarmed" in header(text), "no feed, and disarmed"
        )
        terminal.keep("cut")
        assert "1 UNKNOWN" in header(shown)
        terminal.type("b1")
        terminal.press("Enter")
        terminal.until(lambda text: "BLOCKED: cannot be sent" in text, "new risk to be blocked")
        terminal.keep("blocked")
        terminal.press("Escape")
        terminal.until(lambda text: "Ticket" not in text, "the ticket to be dropped")

        # The network is back: the exchange's own book tells.
        sim.fault("none")
        terminal.until(
            lambda text: "feed up" in header(text) and "UNKNOWN" not in header(text), "the doubt to end", 90
        )
        order_row(terminal, r"BUY +0/3 ITC +[\d,.]+ OPEN", "the order as it is")
        assert "disarmed" in header(terminal.text()), "arming is for people"
        stop_price(terminal, 10)
        assert len(sim.working()) == 2, "nothing was sent twice"
        terminal.keep("back")

        # Both stages of kill, with the feed dead.
        sim.fault("feed-403")
        sim.fault("drop", stream="market")
        # Not only down: no price is fresh any more, so no exit can be priced from the feed.
        terminal.until(
            lambda text: "feed DOWN" in header(text) and re.search(r"ITC +\+p[~R]", text) is not None,
            "a dead feed, and old prices",
        )
        terminal.press("F12")
        order_row(terminal, r"BUY +0/3 ITC +[\d,.]+ CANCELLED", "stage 1")
        terminal.until(lambda text: "HALTED" in header(text), "the header to say HALTED")
        stop_price(terminal, 10)
        terminal.keep("dead-feed-stage-1")
        closing = re.compile(r"FLATTEN|flat: no position")
        assert terminal.press_until("F12", lambda text: closing.search(text) is not None), "no stage 2"
        terminal.until(
            lambda text: "flat: no position and no order is open" in text, "flat, without a feed", 90
        )
        terminal.keep("dead-feed-flat")
        assert (sim.held(), sim.working()) == ({}, [])
        terminal.type("q")
        assert terminal.until_ended() == 0
