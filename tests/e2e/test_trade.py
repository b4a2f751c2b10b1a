"""Done-when 2: in a real terminal, keyboard only, from an empty home to a round trip and back after a restart."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from tests.e2e.moves import program, search, send_market
from tests.e2e.terminal import Terminal, environment, tmux_missing

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(tmux_missing()), reason=tmux_missing() or "-"),
]

SIZES = [(80, 24), (120, 40)]


def prices_move(terminal: Terminal) -> None:
    """Two different prices of one line of the watchlist."""
    line = re.compile(r"RELIANCE +[~+p]* *([\d,]+\.\d\d)")
    first = terminal.until(lambda text: line.search(text) is not None, "a price for RELIANCE", 60)
    before = line.search(first)
    assert before is not None
    terminal.until(
        lambda text: (now := line.search(text)) is not None and now[1] != before[1], "the price to move"
    )


@pytest.mark.parametrize(("width", "height"), SIZES, ids=str)
def test_buy_see_it_move_sell_and_find_it_in_the_ledger(
    width: int, height: int, tmp_path: Path, repo_root: Path
) -> None:
    artefacts = repo_root / "artefacts" / "e2e" / f"{width}x{height}"
    home = tmp_path / "home"
    with Terminal(width, height, artefacts, environment(tmp_path)) as terminal:
        terminal.run(program(home))
        terminal.until(lambda text: "[SIM]" in text and "feed up" in text, "the workstation", 60)
        prices_move(terminal)
        terminal.keep("open")
        search(terminal, "infos", "INFY")
        send_market(terminal, "b", "BUY", 7, "INFY")
        terminal.keep("bought")

        position = re.compile(r"INFY +INTRA +\+7 +([\d,.]+) +([\d,.]+) +([+-]?[\d,.]+)")
        shown = terminal.until(lambda text: position.search(text) is not None, "the position")
        before = position.search(shown)
        assert before is not None
        terminal.until(
            lambda text: (now := position.search(text)) is not None and now[3] != before[3], "the P&L to move"
        )
        terminal.keep("position")
        send_market(terminal, "s", "SELL", 7, "INFY")
        terminal.until(lambda text: re.search(r"INFY +INTRA +flat", text) is not None, "a flat position")
        terminal.keep("flat")
        terminal.type("q")
        assert terminal.until_ended() == 0

        fills = stored_fills(home)
        assert [(side, qty) for side, qty, _ in fills] == [("BUY", 7), ("SELL", 7)]

        terminal.run(program(home))
        terminal.until(lambda text: "[SIM]" in text and "feed up" in text, "the workstation again", 60)
        terminal.type("6")
        terminal.until(lambda text: text.count("7/7 INFY") == 2, "the orders of the first run")
        terminal.keep("again")
        terminal.type("q")
        assert terminal.until_ended() == 0
    assert stored_fills(home) == fills


def stored_fills(home: Path) -> list[tuple[str, int, int]]:
    (ledger,) = home.glob("accounts/*/ledger.duckdb")
    with duckdb.connect(str(ledger), read_only=True) as con:
        rows = con.execute("SELECT side, qty, price FROM fills ORDER BY t_ns").fetchall()
        left = con.execute("SELECT sum(qty) FROM positions").fetchone()
    assert left is not None
    assert left[0] in (0, None)
    return [(str(side), int(qty), int(price)) for side, qty, price in rows]
