"""The second price band of futures: reset when the shares behind them go into the closing auction.

Futures on single stocks since 3 Aug 2026, on indices since 7 Sep 2026: 3% either way of the price at that moment,
for the rest of the session; orders outside are cancelled (NSE FAOP74467 29May26, CMTR74969).
"""

from __future__ import annotations

from datetime import date
from typing import Final

from tradetui.domain.calendar.ist import ist_date
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price, ceil_to_tick, floor_to_tick
from tradetui.exchange.rules import Band
from tradetui.exchange.sessions import Phase, PhaseOf

RESET_PCT: Final = 3
STOCKS_FROM: Final = date(2026, 8, 3)
INDICES_FROM: Final = date(2026, 9, 7)


def reset_band(instrument: Instrument, last: Price, phase_of: PhaseOf, t_ns: int) -> Band | None:
    """The band in force from now on; ``None`` while the underlying still trades, or where there is no reset."""
    segment = instrument.underlying_key.partition("|")[0]
    if instrument.segment not in ("NSE_FO", "BSE_FO") or not segment:
        return None
    is_index = segment.endswith("_INDEX")
    if ist_date(t_ns) < (INDICES_FROM if is_index else STOCKS_FROM):
        return None
    kind = InstrumentKind.INDEX if is_index else InstrumentKind.EQUITY
    name = instrument.name
    underlying = Instrument(
        instrument.underlying_key, segment, instrument.exchange, name, name, kind, cas_eligible=True
    )
    if Phase.of(phase_of(underlying, t_ns)) is Phase.CONTINUOUS:
        return None
    return band_around(last, RESET_PCT, instrument.tick_size)


def band_around(price: Price, pct: int, tick: Price) -> Band:
    """The prices within ``pct`` percent of one, on the tick."""
    away = price * pct // 100
    low = max(ceil_to_tick(Price(price - away), tick), tick)
    return Band(Price(low), floor_to_tick(Price(price + away), tick))
