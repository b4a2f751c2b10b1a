"""Contracts of past expiries, where the account allows them (`upstox.md` 2.14): the broker's Plus plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.past_bars import patient
from tradetui.domain.errors import BrokerError, UnknownInstrument, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.text import clean

PLUS_NEEDED: Final = "UDAPI1149"
_KINDS: Final = {"FUT": InstrumentKind.FUTURE, "CE": InstrumentKind.CALL, "PE": InstrumentKind.PUT}


async def expired_contracts(
    api: UpstoxApi, underlyings: Sequence[Instrument], kinds: str, first: date, last: date, today: date
) -> list[tuple[Instrument, str]]:
    """Contracts that expired in a range of dates, with the key that the broker gives their candles by.

    Args:
        api: REST interface, logged in.
        underlyings: Written on what.
        kinds: ``futures``, ``options`` or ``all``.
        first: First expiry.
        last: Last expiry, included.
        today: Today at the exchange: an expiry of today has not expired.

    Raises:
        UsageError: The account's plan does not include it, or nothing expired in that range.
        TradeTuiError: The broker refused, or cannot be reached.
    """
    endpoints = [
        endpoint
        for name, endpoint in (("futures", ep.EXPIRED_FUTURES), ("options", ep.EXPIRED_OPTIONS))
        if kinds in (name, "all")
    ]
    out: dict[tuple[str, date | None], tuple[Instrument, str]] = {}
    for underlying in underlyings:
        for expiry in await _expiries(api, underlying, first, min(last, today)):
            if expiry >= today:
                continue
            for endpoint in endpoints:
                query = [("instrument_key", underlying.key), ("expiry_date", expiry.isoformat())]
                for row in await _rows(api, endpoint, query):
                    found = _contract(row, underlying, expiry)
                    if found is not None:
                        out.setdefault((found[0].key, expiry), found)
    if not out:
        raise UsageError(
            f"nothing expired between {first} and {last} that the broker still has",
            "it keeps about six months of expiries; MCX is not among them",
        )
    return list(out.values())


async def _expiries(api: UpstoxApi, underlying: Instrument, first: date, last: date) -> list[date]:
    data = await _read(api, ep.EXPIRED_EXPIRIES, [("instrument_key", underlying.key)])
    days = []
    for text in data if isinstance(data, list) else ():
        try:
            day = date.fromisoformat(str(text))
        except ValueError:
            continue
        if first <= day <= last:
            days.append(day)
    return sorted(days, reverse=True)


async def _rows(
    api: UpstoxApi, endpoint: ep.Endpoint, query: list[tuple[str, str]]
) -> list[Mapping[str, Any]]:
    return parse.rows_of(await _read(api, endpoint, query))


async def _read(api: UpstoxApi, endpoint: ep.Endpoint, query: list[tuple[str, str]]) -> Any:
    try:
        return await patient(lambda: api.call(endpoint, query=query))
    except BrokerError as error:
        if error.code == PLUS_NEEDED:
            raise UsageError(
                "expired contracts need the broker's Plus plan, which this account does not have",
                "leave --expired away; contracts that live are served to everybody",
            ) from None
        raise


def _contract(row: Mapping[str, Any], underlying: Instrument, expiry: date) -> tuple[Instrument, str] | None:
    """A contract of the broker's list; ``None`` where it makes no sense."""
    key = clean(row.get("instrument_key"), 120)
    parts = key.split("|")
    kind = _KINDS.get(clean(row.get("instrument_type"), 8))
    strike = parse.price(row.get("strike_price"))
    if len(parts) != 3 or kind is None or (kind is not InstrumentKind.FUTURE and not strike):
        return None
    short = "|".join(parts[:2])
    try:
        made = Instrument(
            short, parts[0], parts[0].partition("_")[0],
            clean(row.get("trading_symbol"), 80) or short,
            clean(row.get("name") or underlying.name, 80),
            kind, series=kind.value, expiry=expiry, underlying_key=underlying.key,
            exchange_token=parts[1],
        )  # fmt: skip
    except UnknownInstrument:
        return None
    lot = parse.units(row.get("lot_size")) or 1
    return replace(made, lot_size=lot, strike=strike if kind is not InstrumentKind.FUTURE else None), key
