"""Which instruments are streamed from the start."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Final

from tradetui.brokers.upstox.instruments import Master
from tradetui.domain.errors import UnknownInstrument
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Px
from tradetui.domain.money import SCALE
from tradetui.market.quotes import Quotes
from tradetui.market.universe import Universe

WHOLE_LIST: Final = 20
"""An instrument list of at most so many entries (a recorded world) is streamed whole."""

_INDICES: Final = ("NSE_INDEX|Nifty 50", "NSE_INDEX|Nifty Bank", "NSE_INDEX|India VIX")
_SHARES: Final = (
    "RELIANCE", "HDFCBANK", "ICICIBANK", "INFY", "TCS", "BHARTIARTL", "ITC", "LT", "SBIN", "AXISBANK",
    "KOTAKBANK", "HINDUNILVR", "BAJFINANCE", "MARUTI", "SUNPHARMA", "TITAN", "NTPC", "TATASTEEL", "M&M", "WIPRO",
)  # fmt: skip
"""Well-known shares of the NIFTY 50, for a first screen; the user's own list replaces them."""


def choose(master: Master, wanted: Sequence[str], today: date, held: Iterable[str] = ()) -> list[Instrument]:
    """The instruments to stream: the user's own, else a sensible first list; what is held comes too.

    Raises:
        UnknownInstrument: A symbol of the user's list is not in the instrument list.
    """
    chosen = [find(master, text, today) for text in wanted] if wanted else _first_list(master, today)
    chosen += [found for key in held if (found := master.get(key)) is not None]
    return list({instrument.key: instrument for instrument in chosen}.values())


def searcher(
    master: Master, quotes: Quotes, universe: Universe, today: date
) -> Callable[[str, int], list[Instrument]]:
    """Search as people type, with the strikes near the last prices first."""

    def level(key: str) -> int | None:
        slot = universe.slots.get(key)
        if slot is None or slot >= quotes.capacity:
            return None
        last = quotes.px.item(slot, Px.LTP)
        return round(last * SCALE) if last > 0 else None

    return lambda text, limit: master.search(text, limit, today, level)


def find(master: Master, text: str, today: date | None = None) -> Instrument:
    """An instrument by key or symbol; ``NIFTY FUT`` is the nearest future of today.

    Raises:
        UnknownInstrument: Neither; the words name the nearest one.
    """
    if "|" in text:
        return master.by_key(text)
    try:
        return master.by_symbol(text, on=today)
    except UnknownInstrument:
        near = _nearest(master, text)
        remedy = f"did you mean {near}?" if near else "search with / on the screen"
        raise UnknownInstrument(f"no instrument called {text!r}", remedy) from None


def _nearest(master: Master, text: str) -> str:
    """The symbol most like a mistyped one, among those that begin alike; empty when none is."""
    wanted = text.upper()
    for length in range(len(wanted), 1, -1):
        symbols = [one.symbol for one in master.search(wanted[:length], 50)]
        if near := difflib.get_close_matches(wanted, symbols, 1):
            return near[0]
    return ""


def _first_list(master: Master, today: date) -> list[Instrument]:
    if len(master) <= WHOLE_LIST:
        alive = [one for one in master if one.expiry is None or one.expiry >= today]
        return sorted(alive, key=lambda one: (_rank(one), one.symbol))
    chosen = [found for key in _INDICES if (found := master.get(key)) is not None]
    for key in _INDICES[:2]:
        futures = [one for one in master.derivatives_of(key, today) if one.kind is InstrumentKind.FUTURE]
        chosen += sorted(futures, key=lambda one: one.expiry or today)[:1]
    for symbol in _SHARES:
        try:
            chosen.append(master.by_symbol(symbol, "NSE_EQ"))
        except UnknownInstrument:
            continue  # delisted or renamed since this list was written
    return chosen


def _rank(one: Instrument) -> int:
    order = (InstrumentKind.INDEX, InstrumentKind.FUTURE, InstrumentKind.EQUITY)
    return order.index(one.kind) if one.kind in order else len(order)
