"""Search in a running workstation: the strikes near the last price of the underlying come first."""

from __future__ import annotations

from datetime import date

import pytest

from tests.fixtures.master_rows import NEAR, TODAY, contract, index
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.master_rows import parse_rows
from tradetui.domain.errors import UnknownInstrument
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Px
from tradetui.market.quotes import Quotes
from tradetui.market.universe import Universe
from tradetui.wiring.watchlist import choose, find, searcher


def listed() -> Master:
    rows = [index("NIFTY", "Nifty 50"), contract("NIFTY", 1, NEAR), contract("NIFTY", 2, date(2026, 12, 29))]
    rows += [
        contract("NIFTY", 100 + at, NEAR, "CE", 25_000.0 + 50 * at, underlying_key="NSE_INDEX|Nifty 50")
        for at in range(41)
    ]
    return Master.build(parse_rows(rows), TODAY)


def strikes(found: list[Instrument]) -> list[float]:
    return [one.strike / 10_000 for one in found if one.strike is not None]


def test_strikes_follow_the_last_price() -> None:
    master, universe = listed(), Universe()
    quotes = Quotes(lambda slot, day: None, 4)
    search = searcher(master, quotes, universe, TODAY)
    assert strikes(search("nifty ce", 3)) == [26_000.0, 25_950.0, 26_050.0]  # nobody knows: the middle
    slot = universe.add(master.by_symbol("NIFTY"))
    assert strikes(search("nifty ce", 3)) == [26_000.0, 25_950.0, 26_050.0]  # no price seen yet
    quotes.px[slot, Px.LTP] = 25_212.5
    assert strikes(search("nifty ce", 3)) == [25_200.0, 25_250.0, 25_150.0]
    quotes.px[slot, Px.LTP] = 26_990.0
    assert strikes(search("nifty ce", 3)) == [27_000.0, 26_950.0, 26_900.0]


def test_a_watchlist_names_the_nearest_future_and_rolls() -> None:
    master = listed()
    assert choose(master, ("NIFTY FUT",), NEAR)[0].expiry == NEAR
    assert choose(master, ("NIFTY FUT",), date(2026, 11, 25))[0].expiry == date(2026, 12, 29)
    assert find(master, "NIFTY FUT2").expiry == date(2026, 12, 29)
    with pytest.raises(UnknownInstrument, match="NIFTY FUT3"):
        find(master, "NIFTY FUT3")
