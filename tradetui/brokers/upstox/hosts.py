"""Where Upstox lives: the one place for base URLs.

The same client talks to Upstox, its sandbox or a simulator on this machine; only the four base URLs
differ. Whether orders are live is read off the URLs that are really used, never off a flag, and a token is
bound to the host that issued it (`Hosts.label`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tradetui.domain.errors import ConfigError, FeedError
from tradetui.domain.text import clean

MAIN: Final = "https://api.upstox.com"
ORDER: Final = "https://api-hft.upstox.com"
FEED: Final = "wss://api.upstox.com"
ASSETS: Final = "https://assets.upstox.com"
SANDBOX: Final = "https://api-sandbox.upstox.com"

FEED_AUTHORIZE_PATH: Final = "/v3/feed/market-data-feed/authorize"
"""GET with the bearer, on the main host: answers with a single-use URL of the market feed."""
FEED_PATH: Final = "/v3/feed/market-data-feed"
"""Entry of the market feed, on the feed host (redirects; the authorize call is preferred)."""
PORTFOLIO_AUTHORIZE_PATH: Final = "/v2/feed/portfolio-stream-feed/authorize"
"""GET with the bearer, on the main host: answers with a single-use URL of the portfolio stream."""
PORTFOLIO_PATH: Final = "/v2/feed/portfolio-stream-feed"
"""Entry of the portfolio stream, on the feed host."""
INSTRUMENTS_PATH: Final = "/market-quote/instruments/exchange/complete.json.gz"
"""Everything tradable, on the assets host."""

_PLAIN = {"https": "http", "wss": "ws"}


def is_loopback_host(host: str | None) -> bool:
    """Whether a host name or address can only mean this machine. Names are not resolved."""
    if not host:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Whether a URL can only lead to this machine."""
    try:
        return is_loopback_host(urlsplit(url).hostname)
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    """Split a URL; ``None`` when it cannot be one (bad port, control characters, no host)."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _checked(name: str, url: str, scheme: str) -> str:
    """Return ``url`` without a trailing slash, or refuse it in words."""
    parts = _split(url)
    remedy = f"write it like {scheme}://host or, on this machine only, {_PLAIN[scheme]}://127.0.0.1:port"
    if parts is None:
        raise ConfigError(f"the {name} address is not a URL: {clean(url, 80)!r}", remedy)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(f"the {name} address must not carry user names, queries or fragments", remedy)
    if parts.scheme == scheme or (parts.scheme == _PLAIN[scheme] and is_loopback_host(parts.hostname)):
        return url.rstrip("/")
    raise ConfigError(f"the {name} address must be encrypted ({scheme}): {clean(url, 80)!r}", remedy)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The four base URLs, checked: encrypted, unless they lead to this machine.

    Attributes:
        main: REST, everything but single orders.
        order: REST, single place, modify and cancel.
        feed: Entry of the web sockets (stands in for ``wss://api.upstox.com``).
        assets: Instrument files; no login.

    Raises:
        ConfigError: A URL is malformed, unencrypted, or some lead to this machine and others do not (a
            token of one must never reach the other).
    """

    main: str = MAIN
    order: str = ORDER
    feed: str = FEED
    assets: str = ASSETS

    def __post_init__(self) -> None:
        for item in fields(self):
            scheme = "wss" if item.name == "feed" else "https"
            object.__setattr__(self, item.name, _checked(item.name, getattr(self, item.name), scheme))
        if len({is_loopback_url(url) for url in (self.main, self.order, self.feed)}) > 1:
            raise ConfigError(
                "some of the main, order and feed addresses are on this machine and some are not",
                "give all of them, or none: a token must never travel from one to the other",
            )

    @classmethod
    def sandbox(cls) -> Hosts:
        """Upstox's own sandbox: orders and the rest on one host, market data from the live hosts."""
        return cls(main=SANDBOX, order=SANDBOX)

    @property
    def is_loopback(self) -> bool:
        """Everything that takes a token is on this machine: a simulator."""
        return is_loopback_url(self.main)

    @property
    def is_live(self) -> bool:
        """Whether an order sent to ``order`` can reach a real exchange.

        Anything that is neither this machine nor Upstox's sandbox counts as live: doubt means live.
        """
        return not is_loopback_url(self.order) and urlsplit(self.order).hostname != urlsplit(SANDBOX).hostname

    @property
    def label(self) -> str:
        """Host (and port, where one is given) of the main URL: names the issuer of a token."""
        return urlsplit(self.main).netloc.lower()

    @property
    def feed_authorize_url(self) -> str:
        """Where to ask for a market feed URL."""
        return self.main + FEED_AUTHORIZE_PATH

    @property
    def portfolio_authorize_url(self) -> str:
        """Where to ask for a portfolio stream URL."""
        return self.main + PORTFOLIO_AUTHORIZE_PATH

    @property
    def instruments_url(self) -> str:
        """Where the instrument file is."""
        return self.assets + INSTRUMENTS_PATH

    def check_stream_url(self, url: str) -> str:
        """Check a web socket URL that the broker told us to open.

        A simulator may only send us to this machine, Upstox only to an encrypted socket elsewhere.

        Returns:
            The URL unchanged.

        Raises:
            FeedError: The URL is not one we may open. Its text is not in the message: it carries a code.
        """
        parts = _split(url)
        if parts is None or parts.scheme not in ("ws", "wss"):
            raise FeedError("the broker sent us to an address that is not a web socket")
        local = is_loopback_host(parts.hostname)
        if local != self.is_loopback:
            where = "off this machine" if self.is_loopback else "to this machine"
            raise FeedError(f"the feed was redirected {where}; refused")
        if parts.scheme == "ws" and not local:
            raise FeedError("the feed was redirected to an unencrypted address; refused")
        return url


LIVE: Final = Hosts()
"""Upstox itself."""


def chosen_hosts(main: str = "", order: str = "", feed: str = "", assets: str = "") -> Hosts | None:
    """Base URLs out of those that somebody chose, empty where nothing was; ``None`` when none was.

    Never mixed with Upstox's own hosts: what was not chosen follows the main URL.

    Raises:
        ConfigError: Some were chosen, but not the main one; or one is not a URL that may be used.
    """
    if not (main or order or feed or assets):
        return None
    if not main:
        raise ConfigError("a base URL was given without the main one", "add --url-main")
    socket = main.replace("http", "ws", 1) if main.startswith("http") else main
    return Hosts(main=main, order=order or main, feed=feed or socket, assets=assets or main)
