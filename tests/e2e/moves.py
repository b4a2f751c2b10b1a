"""What a person does on the screen, as the tests of the terminal share it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.e2e.terminal import Terminal


def program(home: Path, *more: str) -> list[str]:
    """The command line of the workstation with a data directory of its own."""
    return [sys.executable, "-m", "tradetui", "run", "--home", str(home), *more]


def opened(terminal: Terminal) -> None:
    """Wait until the simulator is inside and prices come."""
    terminal.until(lambda text: "[SIM]" in text and "feed up" in text, "the workstation", 60)
    terminal.until(lambda text: re.search(r"RELIANCE +[~+p]* *[\d,]+\.\d\d", text) is not None, "prices", 60)


def command(terminal: Terminal, line: str) -> None:
    """Type a command line."""
    terminal.type(":")
    terminal.until(lambda text: "\n :_" in text, "the command line")
    terminal.type(line)
    terminal.until(lambda text: f" :{line}_" in text, "the command to be typed")
    terminal.press("Enter")


def fault(terminal: Terminal, line: str, words: str) -> None:
    """Switch a fault of the simulator inside; a busy machine may need a second try."""
    for _ in range(3):
        command(terminal, f"fault {line}")
        if words in terminal.until(
            lambda text: words in text or "timed out" in text, "the fault to be switched"
        ):
            return
    raise AssertionError(f"the fault was not switched: {line}")


def search(terminal: Terminal, words: str, symbol: str) -> None:
    """Find an instrument and take it."""
    terminal.type("/")
    terminal.until(lambda text: "Find an instrument" in text, "the search")
    terminal.type(words)
    terminal.until(lambda text: re.search(rf">{symbol} +NSE_", text) is not None, f"{symbol} to be found")
    terminal.press("Enter")
    terminal.until(lambda text: re.search(rf">{symbol} ", text) is not None, f"{symbol} to be selected")


def reviewed(
    terminal: Terminal,
    key: str,
    side: str,
    qty: int,
    symbol: str,
    *,
    price: str = "",
    stop: str = "",
    ready: str = "",
) -> None:
    """Fill in a ticket and bring it under review: a market order, or a limit order with a price.

    Side and quantity arrive in one read, on purpose. ``stop`` is that of the position; ``ready`` are the words
    that end the wait, by default those of an order that may be sent. A stop needs a price beside it.
    """
    terminal.type(f"{key}{qty}")
    terminal.until(lambda text: f"{side} {symbol}" in text and "[LIMIT" in text, "the ticket")
    if price:
        terminal.type(f"@{price}")
        terminal.until(lambda text: f"[{price}" in text, "the price")
    else:
        terminal.press("Tab", "Left")
        terminal.until(lambda text: "[MARKET" in text, "the order type to be MARKET")
    if stop:
        # From the price backwards: type, quantity, and from the end: trail, target, stop.
        terminal.press(*["Up"] * 5)
        terminal.type(stop)
        terminal.until(lambda text: f"stop [{stop}" in text, "the stop")
    terminal.press("Enter")
    terminal.until(lambda text: (ready or f"F9 = SEND {side}") in text, "the review")
    terminal.keep(f"review-{side.lower()}")


def send_market(terminal: Terminal, key: str, side: str, qty: int, symbol: str) -> None:
    """Trade at the market and see it fill."""
    reviewed(terminal, key, side, qty, symbol)
    # The send key is dead for 300 ms after the review was painted and after every press: press calmly.
    filled = f"filled {side} {qty} {symbol}"
    assert terminal.press_until("F9", lambda text: "Ticket" not in text), "the order was never sent"
    terminal.until(lambda text: filled in text, "the order to be filled")


def send_limit(terminal: Terminal, key: str, side: str, qty: int, symbol: str, price: str) -> None:
    """Send a limit order and see it rest."""
    reviewed(terminal, key, side, qty, symbol, price=price)
    rests = re.compile(rf"{side} +0/{qty} {symbol} +[\d,.]+ OPEN")
    terminal.press_until("F9", lambda text: "Ticket" not in text)
    terminal.type("6")
    terminal.until(lambda text: rests.search(text) is not None, "the order to rest")


def rows_of(text: str, symbol: str) -> list[str]:
    """Rows of the orders pane that are about an instrument."""
    return [line for line in text.splitlines() if re.search(rf"\d/\d+ {symbol} ", line)]


def order_row(terminal: Terminal, pattern: str, what: str, timeout_s: float = 40.0) -> re.Match[str]:
    """Wait for a row of the orders pane, and return what it matched."""
    line = re.compile(pattern)
    found = line.search(terminal.until(lambda text: line.search(text) is not None, what, timeout_s))
    assert found is not None
    return found


def mark_order(terminal: Terminal, pattern: str) -> None:
    """Put the cursor of the orders pane on the row that matches."""
    terminal.type("6")
    wanted = re.compile(r">" + pattern)
    assert terminal.press_until("j", lambda text: wanted.search(text) is not None), f"no row {pattern}"


def armed(terminal: Terminal, minutes: int = 30) -> None:
    """Confirm the square-off time and arm, with the end of the account that the screen shows."""
    command(terminal, "square-off ok")
    terminal.until(lambda text: "square-off time confirmed" in text, "the square-off time to be confirmed")
    command(terminal, f"arm {minutes}")
    asked = order_row(terminal, r"arms REHEARSAL orders on \S+ \*\*(\w{4})", "the question for the account")
    terminal.type(asked[1])
    terminal.press("Enter")
    terminal.until(lambda text: "REHEARSAL ARMED" in text.splitlines()[0], "the header to say ARMED")


def last_price(terminal: Terminal, symbol: str) -> float:
    """The price that the watchlist shows."""
    line = re.compile(rf"{symbol} +[~+p-]* *([\d,]+\.\d\d)")
    found = line.search(terminal.until(lambda text: line.search(text) is not None, f"a price of {symbol}"))
    assert found is not None
    return float(found[1].replace(",", ""))
