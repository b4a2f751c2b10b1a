"""Rows of Upstox's instrument file into `Instrument`s, each one checked (`upstox.md` section 5).

Units on the way in: ``tick_size`` is in paise, ``strike_price`` in rupees, ``expiry`` in epoch ms at the end
of the last trading day in India. Text is cleaned. A row that cannot be right is left out and counted by
reason; one bad row never costs the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from tradetui.domain.calendar.ist import ist_date
from tradetui.domain.errors import StorageError, UnknownInstrument
from tradetui.domain.instrument import Instrument, InstrumentKind, split_key
from tradetui.domain.money import PAISA, SCALE, Price
from tradetui.domain.text import clean

_KINDS: Final = {
    "FUT": InstrumentKind.FUTURE,
    "CE": InstrumentKind.CALL,
    "PE": InstrumentKind.PUT,
    "INDEX": InstrumentKind.INDEX,
    # The spot of a commodity: a level that derivatives refer to, and nothing that can be ordered.
    "COM": InstrumentKind.INDEX,
}
_EXCHANGES: Final = frozenset({"NSE", "BSE", "MCX", "GLOBAL"})
_MAX_TICK_PAISE: Final = 1_000_000.0
_MAX_LOT: Final = 10_000_000
_MAX_STRIKE: Final = 100_000_000.0
_FIRST_EXPIRY_MS: Final = 946_684_800_000  # 2000-01-01
_LAST_EXPIRY_MS: Final = 4_102_444_800_000  # 2100-01-01
_INDEX_TICK: Final = Price(500)


class RowRefused(ValueError):
    """A row that cannot be right; the text is the reason it is counted under."""


@dataclass(slots=True)
class RowReport:
    """What became of the rows of a file.

    Attributes:
        rows: Rows in the file.
        taken: Rows that became instruments.
        refused: Reason to number of rows left out.
    """

    rows: int = 0
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def words(self) -> str:
        """One line for a person."""
        if not self.refused:
            return f"{self.taken:,} instruments"
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.refused.most_common())
        return f"{self.taken:,} instruments; left out: {why}"


def split_rows(text: str) -> Iterator[Any]:
    """Take a JSON array apart, one element at a time, so that only one is in memory as objects.

    Raises:
        StorageError: The text is not a JSON array, or is cut short.
    """
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, 0)
    if at >= len(text) or text[at] != "[":
        raise StorageError("the instrument file is not a list")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        try:
            row, at = decode(text, at)
        except ValueError:
            raise StorageError(f"the instrument file is damaged at character {at:,}") from None
        yield row
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == "]":
            return
        if mark != ",":
            raise StorageError(f"the instrument file is cut short at character {at:,}")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    """Skip white space."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def parse_rows(rows: Iterable[Any], report: RowReport | None = None) -> Iterator[Instrument]:
    """Turn rows into instruments, leaving out and counting what cannot be right."""
    report = report if report is not None else RowReport()
    seen: set[str] = set()
    for row in rows:
        report.rows += 1
        try:
            instrument = parse_row(row)
            if instrument.key in seen:
                raise RowRefused("repeated key")
        except RowRefused as refused:
            report.refused[str(refused)] += 1
            continue
        seen.add(instrument.key)
        report.taken += 1
        yield instrument


def parse_row(row: Any) -> Instrument:
    """Turn one row of the file into an `Instrument`.

    Raises:
        RowRefused: The row cannot be right.
    """
    if not isinstance(row, Mapping):
        raise RowRefused("not an object")
    get = row.get
    key, segment, exchange, symbol = (
        get("instrument_key"),
        get("segment"),
        get("exchange"),
        get("trading_symbol"),
    )
    if not isinstance(key, str) or not isinstance(segment, str) or not isinstance(symbol, str):
        raise RowRefused("no key, segment or symbol")
    try:
        in_segment, _ = split_key(key)
    except UnknownInstrument:
        raise RowRefused("malformed key") from None
    if in_segment != segment:
        raise RowRefused("key of another segment")
    if exchange not in _EXCHANGES:
        raise RowRefused("unknown exchange")
    series = clean(get("instrument_type"), 16)
    kind = _KINDS.get(series)
    if kind is None:
        if not segment.endswith("_EQ"):
            raise RowRefused("unknown type")
        kind = InstrumentKind.EQUITY
    symbol = clean(symbol, 64).strip()
    if not symbol:
        raise RowRefused("no key, segment or symbol")
    derivative = kind in (InstrumentKind.FUTURE, InstrumentKind.CALL, InstrumentKind.PUT)
    option = derivative and kind is not InstrumentKind.FUTURE
    index = kind is InstrumentKind.INDEX
    return Instrument(
        key=key,
        segment=segment,
        exchange=exchange,
        symbol=symbol,
        name=clean(get("name"), 120).strip() or symbol,
        kind=kind,
        series=series,
        lot_size=1 if index else _whole(get("lot_size"), 1, _MAX_LOT, "bad lot size"),
        tick_size=_INDEX_TICK if index else _tick(get("tick_size")),
        freeze_qty=_whole(get("freeze_quantity") or 0, 0, 10**12, "bad freeze quantity"),
        expiry=_expiry(get("expiry")) if derivative else None,
        strike=_strike(get("strike_price")) if option else None,
        underlying_key=clean(get("underlying_key") or get("asset_key"), 90),
        isin=clean(get("isin"), 16),
        exchange_token=clean(get("exchange_token"), 24),
        multiplier=_whole(get("qty_multiplier") or 1, 1, 10**9, "bad multiplier"),
        cas_eligible=get("cas_eligible") is True,
        short_name=clean(get("short_name"), 60).strip(),
        security_type=clean(get("security_type"), 24).strip(),
        weekly=derivative and get("weekly") is True,
        mtf=get("mtf_enabled") is True,
        quote_unit=clean(get("price_quote_unit"), 16).strip(),
    )


def _whole(value: Any, low: int, high: int, reason: str) -> int:
    """A whole number, also when the file writes it as ``100.0``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RowRefused(reason)
    if value != int(value):
        raise RowRefused(reason)
    return int(value)


def _tick(paise: Any) -> Price:
    if isinstance(paise, bool) or not isinstance(paise, int | float) or not 0 < paise <= _MAX_TICK_PAISE:
        raise RowRefused("bad tick size")
    tick = round(paise * PAISA)
    if tick < 1 or abs(tick - paise * PAISA) > 1e-6 * tick:
        raise RowRefused("bad tick size")
    return Price(tick)


def _strike(rupees: Any) -> Price:
    if isinstance(rupees, bool) or not isinstance(rupees, int | float) or not 0 < rupees <= _MAX_STRIKE:
        raise RowRefused("bad strike")
    return Price(round(rupees * SCALE))


def _expiry(ms: Any) -> date:
    if isinstance(ms, bool) or not isinstance(ms, int) or not _FIRST_EXPIRY_MS <= ms < _LAST_EXPIRY_MS:
        raise RowRefused("bad expiry")
    return ist_date(ms * 1_000_000)
