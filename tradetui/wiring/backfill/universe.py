"""Which instruments a backfill is about: named ones, an index, everything with derivatives, a watchlist, a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from tradetui.brokers.upstox.instruments import Master
from tradetui.domain.errors import UnknownInstrument, UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.text import clean
from tradetui.domain.universes import nifty50
from tradetui.wiring.watchlist import choose, find

NAMES: Final = ("nifty50", "fno", "watchlist")
"""Universes by name; anything else is a file."""
MOST_LINES: Final = 20_000
_MOST_BYTES: Final = 4 << 20


@dataclass(slots=True)
class Chosen:
    """What was asked for, as far as the instrument list knows it.

    Attributes:
        instruments: Each once, in order.
        unknown: What the list does not have, in words.
        words: Where the choice comes from, for people.
    """

    instruments: list[Instrument] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    words: str = ""


def read_list(path: Path) -> list[tuple[int, str]]:
    """A universe's file: one symbol or key a line with its number; empty lines and what follows ``#`` are left out.

    Raises:
        UsageError: There is no such file, or it is none of text.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path} is too large for a list of symbols", "one symbol or key a line")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8", "one symbol or key a line") from None
    except OSError as error:
        names = ", ".join(NAMES)
        raise UsageError(
            f"no universe {str(path)!r}: {(error.strerror or str(error)).lower()}",
            f"there are {names}, or a file's path",
        ) from None
    lines = [(number, line.split("#", 1)[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    wanted = [(number, line) for number, line in lines if line]
    if not wanted:
        raise UsageError(f"{path} names no instrument", "one symbol or key a line")
    if len(wanted) > MOST_LINES:
        raise UsageError(f"{path} has more than {MOST_LINES:,} lines")
    return wanted


def from_file(master: Master, path: Path, lines: Sequence[tuple[int, str]]) -> list[Instrument]:
    """The instruments that a file names.

    Raises:
        UnknownInstrument: A line names none; the words say which line, and how many others do not either.
    """
    found: list[Instrument] = []
    wrong: list[tuple[int, UnknownInstrument]] = []
    for number, text in lines:
        try:
            found.append(find(master, text))
        except UnknownInstrument as error:
            wrong.append((number, error))
    if wrong:
        number, first = wrong[0]
        more = f" (and {len(wrong) - 1} more lines: {_numbers(wrong[1:])})" if len(wrong) > 1 else ""
        raise UnknownInstrument(f"{path.name} line {number}: {first.message}{more}", first.remedy)
    return found


def _numbers(wrong: Iterable[tuple[int, object]]) -> str:
    numbers = [str(number) for number, _ in wrong]
    return ", ".join(numbers[:8]) + (", ..." if len(numbers) > 8 else "")


def choose_universe(
    master: Master, symbols: Sequence[str], universe: str, watch: Sequence[str], today: date
) -> Chosen:
    """The instruments of a backfill: those named, and those of a universe.

    Args:
        master: The instrument list.
        symbols: Symbols or keys.
        universe: ``nifty50``, ``fno``, ``watchlist``, a file's path, or empty.
        watch: The watchlist of the settings.
        today: Today at the exchange.

    Raises:
        UnknownInstrument: A symbol, or a line of the file, names none.
        UsageError: Nothing is asked for, or there is no such file.
    """
    if not symbols and not universe:
        raise UsageError("which instruments?", "name some, or --universe nifty50, fno, watchlist or a file")
    chosen = Chosen([find(master, text) for text in symbols])
    if universe == "nifty50":
        listed = nifty50()
        chosen.words = f"{listed.name} as of {listed.as_of}"
        for symbol in listed.symbols:
            try:
                chosen.instruments.append(master.by_symbol(symbol, "NSE_EQ"))
            except UnknownInstrument:
                chosen.unknown.append(f"{symbol}: of the {chosen.words}, not in today's instrument list")
    elif universe == "fno":
        found = [master.get(key) for key in master.underlyings(today)]
        chosen.instruments += [one for one in found if one is not None]
        chosen.words = "everything with derivatives on NSE and BSE"
        if not chosen.instruments:
            raise UsageError("the instrument list has no derivatives of NSE or BSE")
    elif universe == "watchlist":
        chosen.instruments += choose(master, watch, today)
        chosen.words = "the watchlist"
    elif universe:
        path = Path(universe).expanduser()
        chosen.instruments += from_file(master, path, read_list(path))
        chosen.words = clean(path.name, 80)
    chosen.instruments = list({one.key: one for one in chosen.instruments}.values())
    return chosen
