"""Contract terms of recorded instruments: from an instrument file, or inferred from the recording itself."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import gcd
from pathlib import Path
from typing import Any

from tradetui.domain.calendar import DAY_NS, day_start_ns, ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind, split_key
from tradetui.domain.money import SCALE, Price, to_price
from tradetui.domain.text import clean
from tradetui.pb.market_feed_v3_pb2 import Feed

MasterRow = dict[str, Any]
"""One row of the instrument file, in Upstox's shape (`upstox.md` 5; tick size in paise)."""

_PAISA = SCALE // 100
_OPTION = re.compile(r"^(.+?) (\d+(?:\.\d+)?) (CE|PE) (\d{1,2} [A-Z]{3} \d{2})$")
_FUTURE = re.compile(r"^(.+?) FUT (\d{1,2} [A-Z]{3} \d{2})$")
_INDEX_KEYS = {
    "NIFTY": "NSE_INDEX|Nifty 50",
    "BANKNIFTY": "NSE_INDEX|Nifty Bank",
    "FINNIFTY": "NSE_INDEX|Nifty Fin Service",
    "SENSEX": "BSE_INDEX|SENSEX",
}
# Freeze quantities of index derivatives (`india-markets.md` 12).
_FREEZE = {"NIFTY": 1800.0, "BANKNIFTY": 600.0, "FINNIFTY": 1800.0, "SENSEX": 1000.0}
_CASH_FREEZE = 100_000.0


@dataclass(slots=True)
class Sample:
    """What the head of a recording shows of one instrument.

    Attributes:
        file_stem: Name of its file, without endings.
        tick: Greatest common divisor of the prices seen, in 1/10,000 rupee.
        lot: Greatest common divisor of the quantities seen, units.
        is_index: It came as an index.
        shared_file: The file holds other instruments too, so its name is not a symbol.
    """

    file_stem: str
    tick: int = 0
    lot: int = 0
    is_index: bool = False
    shared_file: bool = False

    def add(self, feed: Feed) -> None:
        """Take one frame in."""
        if feed.fullFeed.HasField("indexFF"):
            self.is_index = True
            return
        market = feed.fullFeed.marketFF
        self.tick = gcd(self.tick, round(market.ltpc.ltp * SCALE))
        self.lot = gcd(self.lot, market.ltpc.ltq)
        for quote in market.marketLevel.bidAskQuote:
            self.tick = gcd(self.tick, round(quote.bidP * SCALE), round(quote.askP * SCALE))
            self.lot = gcd(self.lot, quote.bidQ, quote.askQ)


def load_master(path: Path, keys: Container[str]) -> dict[str, MasterRow]:
    """The rows of an instrument file (gzip of a JSON array) whose keys are wanted.

    Raises:
        UsageError: The file is missing or not an instrument file.
    """
    try:
        with gzip.open(path, "rb") as stream:
            rows = json.load(stream)
        return {row["instrument_key"]: row for row in rows if row["instrument_key"] in keys}
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"not an instrument file: {path.name}: {error!r}") from error


def infer_terms(key: str, sample: Sample, day: date) -> MasterRow:
    """An instrument row from what a recording shows.

    The symbol is the file's name (``BANKNIFTY_59000_CE_30_DEC_25`` is an option with strike and expiry), or
    the key's id in a file of several instruments; lot and tick are the common divisors of what was seen. A
    contract without a readable name is a future that ends on ``day``, the day of the recording.
    """
    segment, ident = split_key(key)
    symbol = ident if sample.shared_file else clean(sample.file_stem.replace("_", " "))
    row: MasterRow = {
        "segment": segment,
        "name": symbol,
        "exchange": segment.partition("_")[0],
        "instrument_key": key,
        "trading_symbol": symbol,
    }
    if sample.is_index or segment.endswith("_INDEX"):
        return row | {"instrument_type": "INDEX", "exchange_token": ident}
    row |= {"tick_size": (sample.tick or 500) / _PAISA, "qty_multiplier": 1.0}
    if segment.endswith("_EQ"):
        row |= {"instrument_type": "EQ", "isin": ident, "lot_size": 1, "freeze_quantity": _CASH_FREEZE}
        return row | {"short_name": symbol, "security_type": "NORMAL", "exchange_token": ident}
    lot = sample.lot or 1
    row |= {
        "lot_size": lot,
        "minimum_lot": lot,
        "exchange_token": ident,
        "weekly": False,
        "strike_price": 0.0,
    }
    return row | _contract(symbol, sample, lot, day)


def _contract(symbol: str, sample: Sample, lot: int, day: date) -> MasterRow:
    option, future = _OPTION.match(symbol), _FUTURE.match(symbol)
    terms: MasterRow = {"instrument_type": "FUT", "freeze_quantity": float(lot * 40)}
    if option is not None:
        underlying, when = option[1], option[4]
        terms |= {"instrument_type": option[3], "strike_price": float(option[2])}
    elif future is not None:
        underlying, when = future[1], future[2]
    else:
        # Neither strike nor expiry can be read off prices: a contract that is known to live today, no more.
        return terms | {"expiry": expiry_ms(day)}
    # The locale never matters: the month is matched in English capitals.
    expiry = datetime.strptime(when.title(), "%d %b %y").date()  # noqa: DTZ007
    index_key = _INDEX_KEYS.get(underlying, "")
    return terms | {
        "name": underlying,
        "expiry": expiry_ms(expiry),
        "underlying_symbol": underlying,
        "asset_symbol": underlying,
        "underlying_key": index_key,
        "underlying_type": "INDEX" if index_key else "EQUITY",
        "freeze_quantity": _FREEZE.get(underlying, terms["freeze_quantity"]),
    }


def expiry_ms(day: date) -> int:
    """Expiry as the instrument file has it: 23:59:59 IST of the day, epoch ms."""
    return (day_start_ns(day) + DAY_NS) // 1_000_000 - 1_000


def to_instrument(row: Mapping[str, Any]) -> Instrument:
    """Read one row of the instrument file.

    Raises:
        UnknownInstrument: The key is not shaped like one.
    """
    key = row["instrument_key"]
    split_key(key)
    series = str(row.get("instrument_type", ""))
    kind = InstrumentKind(series) if series in _DERIVED else InstrumentKind.EQUITY
    strike = row.get("strike_price") or 0.0
    expiry = row.get("expiry")
    return Instrument(
        key=key,
        segment=row["segment"],
        exchange=row["exchange"],
        symbol=clean(row["trading_symbol"]),
        name=clean(row.get("name", "")),
        kind=kind,
        series=series,
        lot_size=int(row.get("lot_size") or 1),
        tick_size=Price(round(float(row.get("tick_size") or 5.0) * _PAISA)),
        freeze_qty=int(row.get("freeze_quantity") or 0),
        expiry=None if expiry is None else ist_date(int(expiry) * 1_000_000),
        strike=to_price(float(strike)) if kind in _OPTIONS else None,
        underlying_key=row.get("underlying_key", ""),
        isin=row.get("isin", ""),
        exchange_token=str(row.get("exchange_token", "")),
        multiplier=int(row.get("qty_multiplier") or 1),
        cas_eligible=bool(row.get("cas_eligible", False)),
        short_name=clean(row.get("short_name", "")),
    )


def to_row(instrument: Instrument) -> MasterRow:
    """The row of the instrument file that `to_instrument` reads as this instrument."""
    row: MasterRow = {
        "segment": instrument.segment,
        "name": instrument.name,
        "exchange": instrument.exchange,
        "instrument_key": instrument.key,
        "trading_symbol": instrument.symbol,
        "instrument_type": instrument.series or instrument.kind.value,
        "exchange_token": instrument.exchange_token or split_key(instrument.key)[1],
    }
    if instrument.kind is InstrumentKind.INDEX:
        return row
    row |= {
        "tick_size": instrument.tick_size / _PAISA,
        "lot_size": instrument.lot_size,
        "freeze_quantity": float(instrument.freeze_qty),
        "qty_multiplier": float(instrument.multiplier),
    }
    if instrument.kind is InstrumentKind.EQUITY:
        return row | {
            "isin": instrument.isin,
            "short_name": instrument.short_name or instrument.symbol,
            "security_type": "NORMAL",
            "cas_eligible": instrument.cas_eligible,
        }
    is_index = "_INDEX|" in instrument.underlying_key
    row |= {
        "minimum_lot": instrument.lot_size,
        "weekly": False,
        "strike_price": (instrument.strike or 0) / SCALE,
        "underlying_symbol": instrument.name,
        "asset_symbol": instrument.name,
        "underlying_key": instrument.underlying_key,
        "underlying_type": "INDEX" if is_index else "EQUITY",
    }
    return row if instrument.expiry is None else row | {"expiry": expiry_ms(instrument.expiry)}


_OPTIONS = (InstrumentKind.CALL, InstrumentKind.PUT)
_DERIVED = ("INDEX", "FUT", "CE", "PE")
