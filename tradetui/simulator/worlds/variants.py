"""Variants of the synthetic market: which instruments it shows, and under what names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.errors import UsageError
from tradetui.simulator.worlds.companies import BANKNIFTY, NIFTY, VIX
from tradetui.simulator.worlds.daily import ASSETS, AT_NIFTY
from tradetui.simulator.worlds.inference import MasterRow
from tradetui.simulator.worlds.listing import Listing

Flags = NDArray[np.bool_]

CROWD = 240
"""Further shares of the wide variant: with the others, more than 260 instruments have months of minutes."""

_THIN_ASSETS = frozenset({NIFTY, BANKNIFTY, VIX, "NSE_EQ|INE002A01018", "NSE_EQ|INE040A01034"})

HOSTILE_NAMES = (
    "\x1b[2J\x1b[31mRED ALERT\x1b[0m",
    "[bold red]markup[/] [link=http://127.0.0.1/]click[/link]",
    "\u202egnirts desrever\u202c",
    "NUL\x00 BEL\x07 CR\r LF\n TAB\t DEL\x7f",
    "=HYPERLINK(\"http://127.0.0.1/\")",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+1)*",
    "\u2066isolate\u2069 \u200bzero\u200b width\ufeff",
    "\x9b31mC1 control\x9c \u0085",
    "🙂 wide 漢字 कंपनी " + "Z\u0301\u0302\u0303\u0304" * 6,
    "' OR 1=1; DROP TABLE instruments; --",
    "name " * 120,
    "{0.__class__} %s %(x)s ${HOME} $(id) `id`",
    "\x1b]0;title\x07\x1b]8;;http://127.0.0.1/\x07link\x1b]8;;\x07",
)  # fmt: skip
"""Text that attacks a terminal, a markup parser, a spreadsheet, a database or a layout."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant.

    Attributes:
        allowed: Which rows of a listing it shows.
        rename: What it does to a row of the instrument file.
        quiet_rows: Whether it lists what never trades.
        crowd: Further shares that have a past and do not trade today.
    """

    allowed: Callable[[Listing], Flags]
    rename: Callable[[MasterRow], MasterRow]
    quiet_rows: bool = True
    crowd: int = 0


def variant_named(name: str) -> Variant:
    """Find a variant.

    Raises:
        UsageError: There is none of that name.
    """
    match name:
        case "full":
            return Variant(_all, _as_it_is)
        case "thin":
            return Variant(_few, _as_it_is, quiet_rows=False)
        case "wide":
            return Variant(_all, _as_it_is, crowd=CROWD)
        case "hostile":
            return Variant(_all, _hostile())
        case _:
            raise UsageError(f"no synthetic world named {name!r}", "There are: full, thin, wide, hostile")


def _all(listing: Listing) -> Flags:
    return np.ones(len(listing.rows), bool)


def _few(listing: Listing) -> Flags:
    """Three indices, two shares, the index future and the two options nearest to the money."""
    shown = np.array([row["instrument_key"] in _THIN_ASSETS for row in listing.rows])
    contracts = list(enumerate(listing.contracts, len(ASSETS)))
    shown[next(at for at, contract in contracts if not contract.is_option and contract.asset == AT_NIFTY)] = (
        True
    )
    nearest = min(contract.expiry for _, contract in contracts)
    strikes = sorted(
        {contract.strike for _, contract in contracts if contract.is_option and contract.expiry == nearest}
    )
    middle = strikes[len(strikes) // 2] if strikes else 0.0
    for at, contract in contracts:
        shown[at] |= contract.expiry == nearest and contract.is_option and contract.strike == middle
    return np.asarray(shown)


def _as_it_is(row: MasterRow) -> MasterRow:
    return row


def _hostile() -> Callable[[MasterRow], MasterRow]:
    names: dict[str, str] = {}
    supply = cycle(HOSTILE_NAMES)

    def rename(row: MasterRow) -> MasterRow:
        key = row["instrument_key"]
        if key not in names:
            names[key] = next(supply)
        # The symbol keeps its beginning, so that it can still be typed.
        return row | {
            "name": names[key],
            "short_name": names[key],
            "trading_symbol": f"{row['trading_symbol']}{names[key]}",
        }

    return rename
