"""Lists that exchanges and brokers publish by date: F&O ban, intraday shares, surveillance, price bands.

``None`` in place of a list means: none at hand, so nobody knows. Reading the files is `storage/lists.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price

NO_BAND: float = 0.0
"""Share without a fixed price band (it has derivatives)."""


@dataclass(frozen=True, slots=True)
class DatedLists:
    """The lists in force. Names are trading symbols or ISINs, in capitals.

    Attributes:
        fo_ban: Underlyings in the ban period.
        intraday: Shares in which the broker takes intraday orders.
        surveillance: Share -> measure and stage, such as ``ASM 4`` or ``GSM 2 T2T``.
        price_bands: Share -> price band in percent of the previous close; 0 for none.
        files: List -> name of the file it was read from.
    """

    fo_ban: Mapping[str, str] | None = None
    intraday: Mapping[str, str] | None = None
    surveillance: Mapping[str, str] | None = None
    price_bands: Mapping[str, float] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def banned(self, instrument: Instrument) -> bool | None:
        """Whether a derivative's underlying is in the ban period."""
        return None if self.fo_ban is None else any(name in self.fo_ban for name in _names(instrument))

    def takes_intraday(self, instrument: Instrument) -> bool | None:
        """Whether the broker takes intraday orders in a share."""
        return None if self.intraday is None else any(name in self.intraday for name in _names(instrument))

    def watched(self, instrument: Instrument) -> str | None:
        """Measure and stage of surveillance; empty for none."""
        if self.surveillance is None:
            return None
        found = (self.surveillance.get(name) for name in _names(instrument))
        return next((said for said in found if said), "")

    def band(self, instrument: Instrument, prev_close: Price | None) -> tuple[Price, Price] | None:
        """Lowest and highest price of a share's day; ``None`` where it has none or nobody knows."""
        if not self.price_bands or not prev_close or instrument.kind is not InstrumentKind.EQUITY:
            return None
        pct = next((self.price_bands[name] for name in _names(instrument) if name in self.price_bands), 0.0)
        if pct <= NO_BAND:
            return None
        tick = instrument.tick_size
        low, high = prev_close * (1 - pct / 100), prev_close * (1 + pct / 100)
        # Exchanges cut the band to whole ticks inside it.
        return Price(-(-round(low) // tick) * tick), Price(round(high) // tick * tick)


def settles_trade_by_trade(said: str) -> bool:
    """Whether a surveillance stage forces trade-for-trade settlement.

    ESM from stage 1, GSM from stage 2, long-term ASM at stage 4; an explicit ``T2T`` always does.
    """
    measure, _, rest = said.partition(" ")
    stage = next((int(word) for word in rest.split() if word.isdigit()), 0)
    least = {"ESM": 1, "GSM": 2, "ASM": 4}.get(measure)
    return "T2T" in rest.split() or (least is not None and stage >= least)


def _names(instrument: Instrument) -> tuple[str, str, str]:
    """Names under which lists may carry an instrument, or a derivative's underlying."""
    words = instrument.symbol.upper().split()
    key_id = instrument.underlying_key.partition("|")[2] if instrument.is_derivative else instrument.isin
    return words[0] if words else "", instrument.name.upper(), key_id.upper() or "?"
