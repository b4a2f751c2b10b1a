"""How far prices of one order may lie from the market and from each other: the exchanges' own distances."""

from __future__ import annotations

from typing import Final

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price, to_price

TRADE_TO_TRADE: Final = frozenset({"BE", "BZ", "ST", "T", "TS", "XT", "Z", "ZP"})
"""Series and groups settled trade by trade: delivery only, no netting (NSE BE, BZ, ST; BSE T, TS, XT, Z, ZP)."""

_LPP_PCT: Final = 40
_LPP_SMALL: Final = to_price(50)
_LPP_POINTS: Final = to_price(20)


def is_index_contract(instrument: Instrument) -> bool:
    """Whether a derivative is written on an index: settled in cash, not in shares."""
    return "_INDEX|" in instrument.underlying_key


def is_stock_derivative(instrument: Instrument) -> bool:
    """Future or option on a share: settled by delivery of the shares, and subject to the ban list."""
    return instrument.is_derivative and "_EQ|" in instrument.underlying_key


def trigger_range(instrument: Instrument, trigger: Price) -> Price:
    """Greatest distance between trigger and limit price of a stop, in 1/10,000 rupee.

    NSE options 20% or Rs 10, futures and shares 3% or Rs 1.50 (NSE/CM/57613); BSE since 9 Feb 2026 index
    futures 2% or Rs 200 (BSE 20260114-28, 20260116-61), its options as on NSE. The greater of the two holds.
    """
    if instrument.is_option:
        pct, least = 20, to_price(10)
    elif (
        instrument.exchange == "BSE"
        and instrument.kind is InstrumentKind.FUTURE
        and is_index_contract(instrument)
    ):
        pct, least = 2, to_price(200)
    else:
        pct, least = 3, to_price("1.5")
    return Price(max(trigger * pct // 100, least))


def limit_price_protection(reference: Price) -> tuple[Price, Price]:
    """Lowest and highest limit price of an option order (india-markets 2.5).

    Above Rs 50: 40% either way; up to Rs 50: Rs 20 either way. The exchange's reference is the average trade
    price of the last 30 seconds; we take the last price, which lies near it.
    """
    away = reference * _LPP_PCT // 100 if reference > _LPP_SMALL else _LPP_POINTS
    return Price(max(0, reference - away)), Price(reference + away)
