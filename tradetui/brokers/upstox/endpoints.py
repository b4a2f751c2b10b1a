"""The calls we make, by name: method, path, whether it changes anything, and which limit it falls under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of `upstox.md` 2.3.

    Attributes:
        method: HTTP method.
        path: Path with ``{name}`` for its parameters.
        write: It changes something at the broker: never repeated, and without a clear answer its outcome is
            unknown.
        public: No bearer is sent (`upstox.md` 1.3).
        enveloped: The answer comes as ``{"status": .., "data": ..}``; the token exchange does not.
    """

    method: str
    path: str
    write: bool = False
    public: bool = False
    enveloped: bool = True

    @property
    def is_order(self) -> bool:
        """Whether it is an order write: its own limits, and the static IP rule."""
        return self.write and "/order/" in self.path


PLACE: Final = Endpoint("POST", "/v3/order/place", write=True)
MODIFY: Final = Endpoint("PUT", "/v3/order/modify", write=True)
CANCEL: Final = Endpoint("DELETE", "/v3/order/cancel", write=True)
GTT_PLACE: Final = Endpoint("POST", "/v3/order/gtt/place", write=True)
GTT_MODIFY: Final = Endpoint("PUT", "/v3/order/gtt/modify", write=True)
GTT_CANCEL: Final = Endpoint("DELETE", "/v3/order/gtt/cancel", write=True)
GTT_BOOK: Final = Endpoint("GET", "/v3/order/gtt")
CONVERT: Final = Endpoint("PUT", "/v2/portfolio/convert-position", write=True)
ORDER_BOOK: Final = Endpoint("GET", "/v2/order/retrieve-all")
ORDER_DETAILS: Final = Endpoint("GET", "/v2/order/details")
ORDER_HISTORY: Final = Endpoint("GET", "/v2/order/history")
TRADES: Final = Endpoint("GET", "/v2/order/trades/get-trades-for-day")
ORDER_TRADES: Final = Endpoint("GET", "/v2/order/trades")
POSITIONS: Final = Endpoint("GET", "/v2/portfolio/short-term-positions")
MTF_POSITIONS: Final = Endpoint("GET", "/v3/portfolio/mtf-positions")
HOLDINGS: Final = Endpoint("GET", "/v2/portfolio/long-term-holdings")
FUNDS: Final = Endpoint("GET", "/v3/user/get-funds-and-margin")
FUNDS_V2: Final = Endpoint("GET", "/v2/user/get-funds-and-margin")
PROFILE: Final = Endpoint("GET", "/v2/user/profile")
USER_IP: Final = Endpoint("GET", "/v2/user/ip")
KILL_SWITCH: Final = Endpoint("GET", "/v2/user/kill-switch")
SET_KILL_SWITCH: Final = Endpoint("POST", "/v2/user/kill-switch", write=True)
MARGIN: Final = Endpoint("POST", "/v2/charges/margin")
"""A question, although it is posted: it changes nothing."""
BROKERAGE: Final = Endpoint("GET", "/v2/charges/brokerage")
LTP: Final = Endpoint("GET", "/v3/market-quote/ltp")
QUOTES: Final = Endpoint("GET", "/v2/market-quote/quotes")
CANDLES: Final = Endpoint(
    "GET", "/v3/historical-candle/{key}/{unit}/{interval}/{to_date}/{from_date}", public=True
)
INTRADAY_CANDLES: Final = Endpoint(
    "GET", "/v3/historical-candle/intraday/{key}/{unit}/{interval}", public=True
)
EXPIRED_EXPIRIES: Final = Endpoint("GET", "/v2/expired-instruments/expiries")
EXPIRED_OPTIONS: Final = Endpoint("GET", "/v2/expired-instruments/option/contract")
EXPIRED_FUTURES: Final = Endpoint("GET", "/v2/expired-instruments/future/contract")
EXPIRED_CANDLES: Final = Endpoint(
    "GET", "/v2/expired-instruments/historical-candle/{key}/{interval}/{to_date}/{from_date}"
)
MARKET_STATUS: Final = Endpoint("GET", "/v2/market/status/{exchange}")
HOLIDAYS: Final = Endpoint("GET", "/v2/market/holidays", public=True)
TIMINGS: Final = Endpoint("GET", "/v2/market/timings/{date}", public=True)
FEED_AUTHORIZE: Final = Endpoint("GET", "/v3/feed/market-data-feed/authorize")
PORTFOLIO_AUTHORIZE: Final = Endpoint("GET", "/v2/feed/portfolio-stream-feed/authorize")
TOKEN: Final = Endpoint(
    "POST", "/v2/login/authorization/token", write=True, public=True, enveloped=False
)  # the code is spent by the first attempt, so this is never repeated either
LOGOUT: Final = Endpoint("DELETE", "/v2/logout", write=True)
