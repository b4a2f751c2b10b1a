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


def search(terminal: Terminal, words: str, symbol: str) -> None:
    """Find an instrument and take it."""
    terminal.type("/")
    terminal.until(lambda text: "Find an instrument" in text, "the search")
    terminal.type(words)
    terminal.until(lambda text: re.search(rf">{symbol} +NSE_", text) is not None, f"{symbol} to be found")
    terminal.press("Enter")
    terminal.until(lambda text: re.search(rf">{symbol} ", text) is not None, f"{symbol} to be selected")


def reviewed(terminal: Terminal, key: str, side: str, qty: int, symbol: str, *, price: str = "") -> None:
    """Fill in a ticket and bring it under review: a market order, or a limit order with a price.

    Side and quantity arrive in one read, on purpose.
    """
    terminal.type(f"{key}{qty}")
    terminal.until(lambda text: f"{side} {symbol}" in text and "[LIMIT" in text, "the ticket")
    if price:
        terminal.type(f"@{price}")
        terminal.until(lambda text: f"[{price}" in text, "the price")
    else:
        terminal.press("Tab", "Left")
        terminal.until(lambda text: "[MARKET" in text, "the order type to be MARKET")
    terminal.press("Enter")
    terminal.until(lambda text: f"F9 = SEND {side}" in text, "the review")
    terminal.keep(f"review-{side.lower()}")


def send_market(terminal: Terminal, key: str, side: str, qty: int, symbol: str) -> None:
    """Trade at the market and see it fill."""
    reviewed(terminal, key, side, qty, symbol)
    # The send key is dead for 300 ms after the review was painted and after every press: press calmly.
    filled = f"filled {side} {qty} {symbol}"
    assert terminal.press_until("F9", lambda text: filled in text), "the order was never filled"


def send_limit(terminal: Terminal, key: str, side: str, qty: int, symbol: str, price: str) -> None:
    """Send a limit order and see it rest."""
    reviewed(terminal, key, side, qty, symbol, price=price)
    rests = re.compile(rf"{side} +0/{qty} {symbol} +[\d,.]+ OPEN")
    terminal.press_until("F9", lambda text: "Ticket" not in text)
    terminal.type("6")
    terminal.until(lambda text: rests.search(text) is not None, "the order to rest")


def last_price(terminal: Terminal, symbol: str) -> float:
    """The price that the watchlist shows."""
    line = re.compile(rf"{symbol} +[~+p-]* *([\d,]+\.\d\d)")
    found = line.search(terminal.until(lambda text: line.search(text) is not None, f"a price of {symbol}"))
    assert found is not None
    return float(found[1].replace(",", ""))
