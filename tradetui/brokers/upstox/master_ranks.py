"""In which order a person wants to see instruments, and by which words they are found.

The order is fixed when a list is made: indices, shares, futures by expiry, options by expiry and within one expiry
from the middle of the listed strikes outwards. Exchanges list strikes around the money, so the middle is close to it;
where the price of the underlying is known, `nearest_first` puts the strikes around that price first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, Final, NamedTuple

from tradetui.domain.instrument import Instrument, InstrumentKind

Levels = Callable[[str], int | None]
"""Key of an underlying to its price in 1/10,000 rupee; ``None`` where nobody knows."""

Middles = Mapping[tuple[str, str, date], int]
"""Segment, root and expiry to the middle of the listed strikes, 1/10,000 rupee."""

WORD: Final = re.compile(r"[^\W_]+")
_KIND_WORDS: Final = {
    InstrumentKind.INDEX: "index",
    InstrumentKind.FUTURE: "future",
    InstrumentKind.CALL: "call option",
    InstrumentKind.PUT: "put option",
}
_SEGMENT_ORDER: Final = {
    name: at
    for at, name in enumerate(
        (
            "NSE_INDEX",
            "BSE_INDEX",
            "NSE_EQ",
            "BSE_EQ",
            "NSE_FO",
            "BSE_FO",
            "MCX_FO",
            "NCD_FO",
            "BCD_FO",
            "NSE_COM",
        )
    )
}
_COMPANY = re.compile(r"^INE...[A-Z0-9]01\w{3}$")
"""An ISIN of a company's equity shares: issuer ``INE``, security type 01."""

_TRUSTS: Final = frozenset({"IV", "RR"})
"""Series of infrastructure and real-estate trusts: traded like shares, though not shares."""


def segment_rank(segment: str) -> int:
    """Which of several exchange segments is meant first."""
    return _SEGMENT_ORDER.get(segment, 99)


def _root(instrument: Instrument) -> str:
    return instrument.symbol.split(" ", 1)[0]


def middles_of(instruments: Iterable[Instrument]) -> Middles:
    """The middle of the listed strikes of every chain."""
    strikes: defaultdict[tuple[str, str, date], set[int]] = defaultdict(set)
    for one in instruments:
        if one.strike is not None and one.expiry is not None:
            strikes[one.segment, _root(one), one.expiry].add(one.strike)
    return {chain: sorted(listed)[len(listed) // 2] for chain, listed in strikes.items()}


def order(instrument: Instrument, on: date, middles: Middles) -> tuple[Any, ...]:
    """What a person wants first: indices, shares, futures by expiry, options by expiry, the rest.

    Contracts that expired before ``on`` come last.
    """
    segment = segment_rank(instrument.segment)
    expiry = instrument.expiry
    if expiry is not None:
        group = 9 if expiry < on else (4 if instrument.kind is InstrumentKind.FUTURE else 5)
        root, strike = _root(instrument), instrument.strike or 0
        away = abs(strike - middles.get((instrument.segment, root, expiry), strike))
        return group, expiry.toordinal(), segment, root, away, strike, instrument.symbol, instrument.key
    if instrument.kind is InstrumentKind.INDEX:
        group = 0
    elif instrument.series == "EQ" and instrument.segment == "NSE_EQ":
        group = 1
    else:
        group = 2 if _COMPANY.match(instrument.isin) or instrument.series in _TRUSTS else 7
    return group, 0, segment, instrument.symbol, 0, 0, instrument.symbol, instrument.key


class Hit(NamedTuple):
    """An instrument that matches, before anything but its place is known."""

    rank: int
    expiry: str | None
    strike: int | None
    underlying_key: str


def nearest_first(hits: Sequence[Hit], levels: Levels | None) -> list[int]:
    """Ranks in the order to show: options of one underlying and expiry by their distance from its price.

    Everything else keeps its order. Runs of one chain stay together: they stand together in the list.
    """
    if levels is None:
        return [hit.rank for hit in hits]
    ranks: list[int] = []
    for (underlying, _, is_option), run in groupby(
        hits, lambda hit: (hit.underlying_key, hit.expiry, hit.strike is not None)
    ):
        level = levels(underlying) if is_option and underlying else None
        if level is None:
            ranks += [hit.rank for hit in run]
        else:
            at: int = level
            ranks += [
                hit.rank for hit in sorted(run, key=lambda hit: (abs((hit.strike or 0) - at), hit.rank))
            ]
    return ranks


def words_of(one: Instrument) -> str:
    """What the full-text index holds of an instrument."""
    parts = (
        one.symbol,
        one.name,
        one.short_name,
        one.segment,
        one.series,
        _KIND_WORDS.get(one.kind, ""),
        one.isin,
    )
    return " ".join(dict.fromkeys(WORD.findall(" ".join(parts).lower())))
