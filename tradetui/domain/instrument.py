"""What can be watched and traded: instrument keys, segments, contract terms.

An instrument key is ``SEGMENT|id``: the ISIN for cash shares, the exchange token for derivatives, the
name for an index. Exchange tokens are reused after expiry, so a key alone never identifies a contract
across time: stored rows use an `instrument_id` (key, expiry, first seen).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tradetui.domain.errors import UnknownInstrument
from tradetui.domain.money import Price

_KEY = re.compile(r"^([A-Z_]{3,16})\|([\w &.\-]{1,64})$")


class InstrumentKind(StrEnum):
    """What sort of thing an instrument is."""

    EQUITY = "EQ"
    """A share, ETF, bond or other line of the cash segment."""
    INDEX = "INDEX"
    """A computed index: it has a level, no book, and cannot be traded."""
    FUTURE = "FUT"
    """A futures contract."""
    CALL = "CE"
    """A call option (European on Indian exchanges)."""
    PUT = "PE"
    """A put option."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the instrument master, after its units were checked.

    Attributes:
        key: Instrument key, ``SEGMENT|id``.
        segment: ``NSE_EQ``, ``NSE_FO``, ``NSE_INDEX``, ``BSE_EQ``, ``MCX_FO`` ...
        exchange: ``NSE``, ``BSE`` or ``MCX``.
        symbol: Trading symbol, the name people type.
        name: Company or contract name.
        kind: Equity, index, future, call or put.
        series: The master's own ``instrument_type``: NSE series (``EQ``, ``BE``), BSE group, or the kind.
        lot_size: Units in one lot; 1 for cash.
        tick_size: Price step in 1/10,000 rupee (the master's is in paise).
        freeze_qty: Most units one order may carry; 0 when the master gives none.
        expiry: Last trading day, for derivatives.
        strike: Strike in 1/10,000 rupee, for options.
        underlying_key: Key of what a derivative is written on.
        isin: ISIN, for cash shares.
        exchange_token: The exchange's number; reused after expiry.
        multiplier: Money per point and unit; 1 except for some commodities.
        cas_eligible: The share takes part in the closing auction session.
        short_name: Short company name, where the master has one.
        security_type: The exchange's own mark of a share: ``NORMAL``, ``SME``, ``PCA`` (periodic call auction) ...
        weekly: A weekly contract.
        mtf: The broker lends money on the share (margin trading facility).
        quote_unit: What a commodity's price is for: ``GRMS``, ``BBL`` ...
    """

    key: str
    segment: str
    exchange: str
    symbol: str
    name: str
    kind: InstrumentKind
    series: str = ""
    lot_size: int = 1
    tick_size: Price = Price(500)
    freeze_qty: int = 0
    expiry: date | None = None
    strike: Price | None = None
    underlying_key: str = ""
    isin: str = ""
    exchange_token: str = ""
    multiplier: int = 1
    cas_eligible: bool = False
    short_name: str = ""
    security_type: str = ""
    weekly: bool = False
    mtf: bool = False
    quote_unit: str = ""

    @property
    def tradable(self) -> bool:
        """Whether orders exist for it at all (an index has none)."""
        return self.kind is not InstrumentKind.INDEX

    @property
    def is_derivative(self) -> bool:
        """Future or option."""
        return self.kind in (InstrumentKind.FUTURE, InstrumentKind.CALL, InstrumentKind.PUT)

    @property
    def is_option(self) -> bool:
        """Call or put."""
        return self.kind in (InstrumentKind.CALL, InstrumentKind.PUT)

    @property
    def max_order_qty(self) -> int:
        """Most units in one order: the freeze quantity cut down to whole lots; 0 means no limit known.

        NIFTY: freeze 1,800, lot 65, so 27 lots = 1,755 units (`india-markets` fact 9).
        """
        return self.freeze_qty // self.lot_size * self.lot_size if self.freeze_qty else 0


def split_key(key: str) -> tuple[str, str]:
    """Split an instrument key into segment and id.

    Raises:
        UnknownInstrument: The text is not shaped like an instrument key.
    """
    found = _KEY.match(key)
    if found is None:
        raise UnknownInstrument(
            f"not an instrument key: {key!r}", "keys look like NSE_EQ|INE002A01018 or NSE_INDEX|Nifty 50"
        )
    return found[1], found[2]
