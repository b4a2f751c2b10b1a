"""The safety of the desk in a real terminal: finding, cancelling, killing, a feed that breaks, a second program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.moves import command, fault, last_price, opened, program, search, send_limit, send_market
from tests.e2e.terminal import Terminal, environment, tmux_missing

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(tmux_missing()), reason=tmux_missing() or "-"),
]


def terminal_for(name: str, width: int, height: int, tmp_path: Path, repo_root: Path) -> Terminal:
    return Terminal(width, height, repo_root / "artefacts" / "e2e" / name, environment(tmp_path))


def prose(text: str) -> str:
    """The words of a screen in one line: without frames, and whatever the width broke them at."""
    return re.sub(r"[\s│]+", " ", text)


def exchange_seconds(terminal: Terminal) -> int:
    """The exchange's time of day in the header."""
    found = re.search(r"exch (\d\d):(\d\d):(\d\d)", terminal.text())
    return (
        sum(int(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True))
        if found
        else 0
    )


def leave(terminal: Terminal, *, open_things: bool = False) -> int:
    terminal.type("q")
    if open_things:
        terminal.until(lambda text: "Quit?" in text, "the question before quitting")
        terminal.type("y")
    return terminal.until_ended()


def test_find_an_option_and_cancel_a_resting_order(tmp_path: Path, repo_root: Path) -> None:
    with terminal_for("cancel", 80, 24, tmp_path, repo_root) as terminal:
        terminal.run(program(tmp_path / "home"))
        opened(terminal)
        # Words in any order; what is found joins the watchlist and gets a price of its own.
        before = terminal.until(lambda text: re.search(r"Watch \d+", text) is not None, "the watchlist")
        count = re.search(r"Watch (\d+)", before)
        assert count is not None
        terminal.type("/")
        terminal.until(lambda text: "Find an instrument" in text, "the search")
        terminal.type("ce nifty")
        terminal.until(lambda text: re.search(r">NIFTY \d+ CE", text) is not None, "a call to be found")
        terminal.press("Enter")
        more = int(count[1]) + 1
        terminal.until(lambda text: f"Watch {more}" in text, "one more instrument on the watchlist")
        terminal.until(
            lambda text: re.search(r">NIFTY \d+ CE[^│]*\d\.\d\d", text) is not None, "a price of the call"
        )
        terminal.keep("option-added")

        search(terminal, "itc", "ITC")
        price = f"{last_price(terminal, 'ITC') * 0.95:.1f}0"
        send_limit(terminal, "b", "BUY", 3, "ITC", price)
        terminal.keep("resting")
        terminal.press("j")
        terminal.type("x")
        terminal.until(lambda text: re.search(r"0/3 ITC +[\d,.]+ CANCELLED", text) is not None, "the cancel")
        terminal.keep("cancelled")
        assert leave(terminal) == 0


def test_kill_in_two_stages_and_resume(tmp_path: Path, repo_root: Path) -> None:
    with terminal_for("kill", 120, 40, tmp_path, repo_root) as terminal:
        terminal.run(program(tmp_path / "home"))
        opened(terminal)
        search(terminal, "itc", "ITC")
        send_market(terminal, "b", "BUY", 4, "ITC")
        price = f"{last_price(terminal, 'ITC') * 0.95:.1f}0"
        send_limit(terminal, "b", "BUY", 3, "ITC", price)

        terminal.press("F12")
        terminal.until(
            lambda text: "HALTED" in text and re.search(r"0/3 ITC +[\d,.]+ CANCELLED", text) is not None,
            "stage 1: halted, and the resting order cancelled",
        )
        text = terminal.keep("stage-1")
        assert re.search(r"ITC +INTRA +\+4", text), "stage 1 must not touch the position"
        terminal.type("1b1")
        terminal.press("Enter")
        terminal.until(lambda text: "BLOCKED" in text and "halted" in text, "new risk to be blocked")
        terminal.press("Escape")
        terminal.until(lambda text: "Ticket" not in text, "the ticket to be dropped")
        command(terminal, "resume")
        terminal.until(lambda text: "HALTED" not in text and "Risk active" in text, "trading again")

        # Both stages: the second press within five seconds closes what is held, and only that.
        terminal.press("F12")
        terminal.until(lambda text: "Again within 5 s" in text, "the offer of stage 2")
        # A held key counts once: the second press has to be a press of its own.
        closing = re.compile(r"FLATTEN|flat: no position")
        assert terminal.press_until("F12", lambda text: closing.search(text) is not None), "no stage 2"
        terminal.until(lambda text: re.search(r"ITC +INTRA +flat", text) is not None, "a flat position")
        text = terminal.keep("stage-2")
        assert text.count("4/4 ITC") == 2, f"one entry and one exit, no more:\n{text}"
        assert "HALTED" in text
        assert leave(terminal) == 0


def test_a_broken_feed_is_seen_and_seen_to_come_back(tmp_path: Path, repo_root: Path) -> None:
    with terminal_for("feed", 120, 40, tmp_path, repo_root) as terminal:
        terminal.run(program(tmp_path / "home", "--speed", "5"))
        opened(terminal)
        terminal.type("9")
        # A cut alone is mended in no time: the log tells of it, and the counter.
        command(terminal, "fault drop stream=market")
        terminal.until(
            lambda text: "feed down" in text and "reconnects 1" in text and "feed up  " in text, "the cut"
        )
        terminal.keep("cut")
        moved = last_price(terminal, "NIFTY")
        clock = exchange_seconds(terminal)
        terminal.until(
            lambda _: exchange_seconds(terminal) >= clock + 3 and last_price(terminal, "NIFTY") != moved,
            "the market to go on after the cut",
        )
        fault(terminal, "feed-403", "on now: feed-403")
        command(terminal, "fault drop stream=market")
        terminal.until(lambda text: "feed DOWN" in text, "the feed to be down in the header")
        terminal.until(lambda text: re.search(r"RELIANCE +[~R] ", text) is not None, "stale marks")
        terminal.keep("down")
        command(terminal, "fault none")
        terminal.until(lambda text: "no fault is on" in text or "feed up" in text, "the fault to be lifted")
        terminal.until(
            lambda text: "feed up  " in text and re.search(r"RELIANCE +[\d,]+\.", text) is not None,
            "the feed to be back, without stale marks",
            60,
        )
        terminal.keep("back")
        assert leave(terminal) == 0


def test_a_second_program_on_the_same_data_is_refused_in_words(tmp_path: Path, repo_root: Path) -> None:
    home = tmp_path / "home"
    with (
        terminal_for("second", 80, 24, tmp_path, repo_root) as first,
        terminal_for("second", 80, 24, tmp_path, repo_root) as second,
    ):
        first.run(program(home))
        opened(first)
        second.run(program(home))
        second.until(lambda text: "could not start" in text and "is in use by" in prose(text), "the refusal")
        second.keep("refused")
        second.type("q")
        assert second.until_ended() == 1
        assert "is in use by" in prose(second.text())
        assert "Traceback" not in second.text()
        assert leave(first) == 0
