"""Small reads for doctor, calendar, feed, price bands and the REST fall-back for prices (`upstox.md` 2.11 to 2.15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.domain.errors import BrokerError
from tradetui.domain.events import AskedQuote, DayBand
from tradetui.domain.inquiry import StaticIp
from tradetui.domain.text import clean

MAX_KEYS: Final = 500
_BAD_KEY: Final = frozenset({"UDAPI1087", "UDAPI100095", "UDAPI100011"})


@dataclass(frozen=True, slots=True)
class LastPrice:
    """A last price by REST.

    Attributes:
        price: Last traded price, rupees.
        close: Previous session's close, rupees; 0 when not said.
        volume: Units traded today.
    """

    price: float
    close: float
    volume: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a token belongs to."""

    user_id: str
    user_name: str
    active: bool


async def feed_address(api: UpstoxApi) -> str:
    """A fresh single-use address of the market feed."""
    data = _map((await api.call(ep.FEED_AUTHORIZE)).data)
    return str(data.get("authorized_redirect_uri") or data.get("authorizedRedirectUri") or "")


async def profile(api: UpstoxApi) -> Profile:
    """Who the token belongs to."""
    data = _map((await api.call(ep.PROFILE)).data)
    return Profile(
        clean(data.get("user_id"), 40), clean(data.get("user_name"), 80), data.get("is_active") is not False
    )


async def user_ip(api: UpstoxApi) -> StaticIp:
    """The static addresses from which the broker takes orders."""
    data = _map((await api.call(ep.USER_IP)).data)
    return StaticIp(clean(data.get("primary_ip"), 60), clean(data.get("secondary_ip"), 60))


async def market_status(api: UpstoxApi, exchange: str) -> tuple[str, int]:
    """The broker's word for what an exchange does now (``NORMAL_OPEN``), and since when, epoch ms."""
    data = _map((await api.call(ep.MARKET_STATUS, path={"exchange": exchange})).data)
    return clean(data.get("status"), 40), parse.units(data.get("last_updated")) or 0


async def holidays(api: UpstoxApi) -> list[Mapping[str, Any]]:
    """This year's holidays, as `domain.calendar.from_broker` takes them."""
    return parse.rows_of((await api.call(ep.HOLIDAYS)).data)


async def timings(api: UpstoxApi, day: date) -> list[Mapping[str, Any]]:
    """Hours of a date by exchange, as `domain.calendar.from_broker` takes them; empty when all are closed."""
    return parse.rows_of((await api.call(ep.TIMINGS, path={"date": day.isoformat()})).data)


async def last_prices(api: UpstoxApi, keys: Sequence[str]) -> dict[str, LastPrice]:
    """Last prices by instrument key. Keys that the broker does not know are left out."""
    out: dict[str, LastPrice] = {}
    for row in await _quoted(api, ep.LTP, keys):
        last = parse.number(row.get("last_price"))
        if last is not None:
            out[clean(row.get("instrument_token"), 120)] = LastPrice(
                last, parse.number(row.get("cp")) or 0.0, parse.units(row.get("volume")) or 0
            )
    return out


async def asked_quotes(api: UpstoxApi, keys: Sequence[str]) -> list[AskedQuote]:
    """Last prices with the time of their trade. Keys that the broker does not know are left out.

    Raises:
        TradeTuiError: The broker refused, or cannot be reached.
    """
    out = []
    for row in await _quoted(api, ep.QUOTES, keys):
        last = parse.price(row.get("last_price"))
        if last is not None and last > 0:
            ltt_ms, volume = parse.units(row.get("last_trade_time")), parse.units(row.get("volume"))
            key = clean(row.get("instrument_token"), 120)
            out.append(AskedQuote(key, last, ltt_ms or 0, volume or 0))
    return out


async def day_bands(api: UpstoxApi, keys: Sequence[str]) -> list[DayBand]:
    """Price bands of the day. Instruments without one, and keys that the broker does not know, are left out.

    Raises:
        TradeTuiError: The broker refused, or cannot be reached.
    """
    bands = []
    for row in await _quoted(api, ep.QUOTES, keys):
        low, high = parse.price(row.get("lower_circuit_limit")), parse.price(row.get("upper_circuit_limit"))
        # Zeros stand for: none. A band that is upside down is nobody's.
        if low is not None and high and 0 <= low < high:
            bands.append(DayBand(clean(row.get("instrument_token"), 120), low, high))
    return bands


async def _quoted(api: UpstoxApi, endpoint: ep.Endpoint, keys: Sequence[str]) -> list[Mapping[str, Any]]:
    """Rows of a quote endpoint, in batches.

    One bad key makes the broker refuse the whole batch, so a refused batch is halved until the bad key stands
    alone.
    """
    rows: list[Mapping[str, Any]] = []
    batches = [list(keys[at : at + MAX_KEYS]) for at in range(0, len(keys), MAX_KEYS)]
    while batches:
        batch = batches.pop()
        try:
            data = _map((await api.call(endpoint, query=[("instrument_key", ",".join(batch))])).data)
        except BrokerError as error:
            if error.code not in _BAD_KEY:
                raise
            half = len(batch) // 2
            batches += [part for part in (batch[:half], batch[half:]) if part and len(batch) > 1]
            continue
        # The reply is keyed by symbol; the key that was asked for is inside (`upstox.md` 2.11).
        rows += [row for row in data.values() if isinstance(row, Mapping)]
    return rows


def _map(data: object) -> Mapping[str, Any]:
    return data if isinstance(data, Mapping) else {}
