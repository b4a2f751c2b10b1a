"""Market quotes: full, LTP, OHLC, Greeks, in both versions (`upstox.md` 2.11).

Answers are keyed ``SEGMENT:SYMBOL``, not by the key that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from aiohttp import web

from tradetui.domain.calendar import IST, ist_date, ist_datetime
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import DEPTH_LEVELS, Candle
from tradetui.domain.money import to_price, to_rupees
from tradetui.pb.market_feed_v3_pb2 import OHLC, Feed, MarketFullFeed
from tradetui.simulator.marks import band_of, day_bar_of, ltpc_of
from tradetui.simulator.rest.candles import aggregate
from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.rest.keys import keys_of
from tradetui.simulator.state import SimState
from tradetui.simulator.venue import Venue

_MAX_KEYS = 500
_MAX_GREEKS = 50
_INTERVALS_S = {"I1": 60, "I30": 1800}
_YEAR = timedelta(days=365)
_NO_LEVEL = {"quantity": 0, "price": 0.0, "orders": 0}


@dataclass(frozen=True, slots=True)
class _Year:
    """Past sessions of the last 365 days: highest and lowest price in rupees, last open interest."""

    high: float
    low: float
    oi: float


Describe = Callable[[Instrument, Feed], dict[str, Any]]


class QuotesApi:
    """Handlers of ``/v2`` and ``/v3/market-quote``.

    Args:
        state: The simulator's state.
        venue: Lists the instruments and knows their state.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._clock = state.clock
        self._world = venue.world
        self._board = venue.board
        self._exchange = venue.exchange
        self._listed: Mapping[str, Instrument] = venue.instruments
        self._years: dict[tuple[str, date], _Year] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/market-quote/quotes", self.full_v2)
        router.add_get("/v3/market-quote/quotes", self.full_v3)
        router.add_get("/v2/market-quote/ltp", self.ltp_v2)
        router.add_get("/v3/market-quote/ltp", self.ltp_v3)
        router.add_get("/v2/market-quote/ohlc", self.ohlc_v2)
        router.add_get("/v3/market-quote/ohlc", self.ohlc_v3)
        router.add_get("/v3/market-quote/option-greek", self.greeks)

    async def full_v2(self, request: web.Request) -> web.Response:
        """Everything about up to 500 instruments."""
        return self._answer(
            keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100042"), self._quote
        )

    async def full_v3(self, request: web.Request) -> web.Response:
        """As v2, with the previous close, the year's range and the closing auction."""
        return self._answer(
            keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100042"), self._quote_v3
        )

    async def ltp_v2(self, request: web.Request) -> web.Response:
        """Last price only (deprecated upstream)."""
        found = keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100043")
        return self._answer(found, _ltp_v2)

    async def ltp_v3(self, request: web.Request) -> web.Response:
        """Last price, its quantity, the day's volume, the previous close."""
        found = keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100043")
        return self._answer(found, _ltp_v3)

    async def ohlc_v2(self, request: web.Request) -> web.Response:
        """One bar without volume (deprecated upstream)."""
        interval = self._interval(request)

        def describe(instrument: Instrument, feed: Feed) -> dict[str, Any]:
            bar = self._bars(instrument, feed, interval)[1] or {}
            return {
                "ohlc": {name: bar.get(name, 0.0) for name in ("open", "high", "low", "close")},
                "last_price": ltpc_of(feed).ltp,
                "instrument_token": instrument.key,
            }

        return self._answer(keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100043"), describe)

    async def ohlc_v3(self, request: web.Request) -> web.Response:
        """The forming and the previous bar; for ``1d`` there is no previous one."""
        interval = self._interval(request)

        def describe(instrument: Instrument, feed: Feed) -> dict[str, Any]:
            previous, live = self._bars(instrument, feed, interval)
            return {
                "last_price": ltpc_of(feed).ltp,
                "instrument_token": instrument.key,
                "prev_ohlc": previous,
                "live_ohlc": live,
            }

        return self._answer(keys_of(request, self._listed, limit=_MAX_KEYS, too_many="UDAPI100043"), describe)

    async def greeks(self, request: web.Request) -> web.Response:
        """Greeks of up to 50 options."""
        found = keys_of(request, self._listed, limit=_MAX_GREEKS, too_many="UDAPI100076")
        return self._answer(found, _greeks)

    def _answer(self, found: Iterable[Instrument], describe: Describe) -> web.Response:
        data = {}
        for instrument in found:
            feed = self._board.feed(instrument.key)
            if feed is not None:  # well-formed and listed, but without data: simply absent
                data[f"{instrument.segment}:{instrument.symbol}"] = describe(instrument, feed)
        return success(data)

    def _interval(self, request: web.Request) -> str:
        interval = request.query.get("interval", "")
        if not interval:
            raise ApiError("UDAPI1027", property_path="interval")
        if interval != "1d" and interval not in _INTERVALS_S:
            raise ApiError("UDAPI1028", property_path="interval", invalid_value=interval)
        return interval

    def _today(self) -> date:
        return ist_date(self._clock.now_ns())

    def _bars(
        self, instrument: Instrument, feed: Feed, interval: str
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        if interval == "1d":
            day = day_bar_of(feed)
            return None, None if day is None else _wire_bar(day)
        minutes = self._board.minutes(instrument.key, self._today())
        bars = [_candle_bar(bar) for bar in aggregate(minutes, _INTERVALS_S[interval])[-2:]]
        return (bars[0] if len(bars) == 2 else None), (bars[-1] if bars else None)

    def _quote(self, instrument: Instrument, feed: Feed) -> dict[str, Any]:
        ltpc, market, bar = ltpc_of(feed), _market(feed), day_bar_of(feed)
        oi_high, oi_low = self._board.oi_range(instrument.key)
        # What the exchange goes by now: the band of the morning may have been reset.
        band = self._exchange.reset_band_of(instrument.key, self._clock.now_ns())
        band = band or band_of(instrument, to_price(ltpc.cp or ltpc.ltp))
        moment = ist_datetime(self._clock.now_ns()).astimezone(IST)
        return {
            "ohlc": _ohlc(bar),
            "depth": _depth(market),
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "instrument_token": instrument.key,
            "symbol": instrument.symbol,
            "last_price": ltpc.ltp,
            "volume": market.vtt if market else 0,
            "average_price": market.atp if market else 0.0,
            "oi": market.oi if market else 0.0,
            "net_change": round(ltpc.ltp - ltpc.cp, 4) if ltpc.cp else 0.0,
            "total_buy_quantity": market.tbq if market else 0.0,
            "total_sell_quantity": market.tsq if market else 0.0,
            "lower_circuit_limit": to_rupees(band.low),
            "upper_circuit_limit": to_rupees(band.high),
            "last_trade_time": str(ltpc.ltt),
            "oi_day_high": oi_high,
            "oi_day_low": oi_low,
        }

    def _quote_v3(self, instrument: Instrument, feed: Feed) -> dict[str, Any]:
        quote = self._quote(instrument, feed)
        ltpc, market, bar = ltpc_of(feed), _market(feed), day_bar_of(feed)
        quote["ohlc"] = {**_ohlc(bar), "volume": bar.vol if bar else 0, "ts": bar.ts if bar else 0}
        year = self._year(instrument.key)
        return {
            **quote,
            "prev_close_price": ltpc.cp,
            "year_high": max(bar.high, year.high) if bar else year.high,
            "year_low": min(bar.low, year.low or bar.low) if bar else year.low,
            "previous_oi": year.oi,
            "cas_eligible": instrument.cas_eligible,
            "indicative_equilibrium_price": market.iep if market else 0.0,
            "reference_price": market.rp if market else 0.0,
            "indicative_equilibrium_quantity": market.ieq if market else 0,
            "indicative_imbalance_quantity_total": market.iiqTotal if market else 0,
            "indicative_imbalance_quantity_market": market.iiqM if market else 0,
        }

    def _year(self, key: str) -> _Year:
        """Worked out once a day and instrument: the past does not change."""
        today = self._today()
        found = self._years.get((key, today))
        if found is None:
            days = self._world.history(key, 86_400, today - _YEAR, today - timedelta(days=1))
            found = self._years[key, today] = _Year(
                max((bar.high for bar in days), default=0.0),
                min((bar.low for bar in days), default=0.0),
                days[-1].oi if days else 0.0,
            )
        return found


def _market(feed: Feed) -> MarketFullFeed | None:
    return feed.fullFeed.marketFF if feed.fullFeed.HasField("marketFF") else None


def _ohlc(bar: OHLC | None) -> dict[str, float]:
    if bar is None:
        return {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}
    return {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}


def _wire_bar(bar: OHLC) -> dict[str, Any]:
    return {**_ohlc(bar), "volume": bar.vol, "ts": bar.ts}


def _candle_bar(bar: Candle) -> dict[str, Any]:
    return {
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "ts": bar.start_ms,
    }


def _depth(market: MarketFullFeed | None) -> dict[str, list[dict[str, Any]]]:
    """Five rows a side, zero-filled. The feed counts no orders, so each row shows one."""
    levels = list(market.marketLevel.bidAskQuote[:DEPTH_LEVELS]) if market is not None else []
    buy = [{"quantity": row.bidQ, "price": row.bidP, "orders": 1} for row in levels if row.bidQ]
    sell = [{"quantity": row.askQ, "price": row.askP, "orders": 1} for row in levels if row.askQ]
    return {
        "buy": buy + [_NO_LEVEL] * (DEPTH_LEVELS - len(buy)),
        "sell": sell + [_NO_LEVEL] * (DEPTH_LEVELS - len(sell)),
    }


def _ltp_v2(instrument: Instrument, feed: Feed) -> dict[str, Any]:
    return {"last_price": ltpc_of(feed).ltp, "instrument_token": instrument.key}


def _ltp_v3(instrument: Instrument, feed: Feed) -> dict[str, Any]:
    ltpc, market = ltpc_of(feed), _market(feed)
    return {
        "last_price": ltpc.ltp,
        "instrument_token": instrument.key,
        "ltq": ltpc.ltq,
        "volume": market.vtt if market else 0,
        "cp": ltpc.cp,
    }


def _greeks(instrument: Instrument, feed: Feed) -> dict[str, Any]:
    market = _market(feed) or MarketFullFeed()
    greeks = market.optionGreeks
    return {
        **_ltp_v3(instrument, feed),
        "iv": market.iv,
        "vega": greeks.vega,
        "gamma": greeks.gamma,
        "theta": greeks.theta,
        "delta": greeks.delta,
        "oi": market.oi,
    }
