"""Lists of instruments that have a name of their own, shipped with the date for which they hold."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NamedList:
    """A dated list.

    Attributes:
        name: As people know it.
        as_of: Date for which it holds.
        source: Where it comes from.
        symbols: NSE symbols of the cash segment.
    """

    name: str
    as_of: date
    source: str
    symbols: tuple[str, ...]


@cache
def nifty50() -> NamedList:
    """The members of the Nifty 50."""
    with Path(__file__).with_name("nifty50.toml").open("rb") as file:
        raw = tomllib.load(file)
    return NamedList(raw["name"], raw["as_of"], " ".join(raw["source"].split()), tuple(raw["symbols"]))
