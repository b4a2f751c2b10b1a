"""Access tokens, each bound to the host that issued it (`design.md` 10b)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tradetui.brokers.upstox.hosts import FEED, MAIN, ORDER, Hosts, is_loopback_url
from tradetui.domain.calendar import ist_datetime, next_token_expiry_ns
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer and what is known about it.

    Attributes:
        secret: The bearer itself.
        issuer: `Hosts.label` of the host that issued it.
        expires_ns: When it dies, UTC ns.
        user_id: The customer's id at the broker; may be empty.
        user_name: The customer's name; may be empty.
    """

    secret: Secret
    issuer: str
    expires_ns: int
    user_id: str = ""
    user_name: str = ""

    def expired(self, now_ns: int) -> bool:
        """Whether it is of no use any more at ``now_ns``."""
        return now_ns >= self.expires_ns


def in_ist(t_ns: int) -> str:
    """An instant for people: ``Sat 21 Nov 03:30 IST``."""
    return f"{ist_datetime(t_ns):%a %d %b %H:%M} IST"


def claims_of(token: str) -> Mapping[str, Any]:
    """The claims inside a JSON web token, unverified; empty for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(raw)
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def has_plus_plan(token: AccessToken) -> bool:
    """Whether the account has the broker's paid plan, as the token itself says (`upstox.md` 1.4)."""
    return claims_of(token.secret.reveal()).get("isPlusPlan") is True


def make_token(value: str, hosts: Hosts, now_ns: int, user_id: str = "", user_name: str = "") -> AccessToken:
    """Wrap a bearer that ``hosts`` issued.

    Its expiry is read from its own claims, or else is the next 03:30 IST (`upstox.md` 1.6).
    """
    claims = claims_of(value)
    exp = claims.get("exp")
    known = isinstance(exp, int | float) and not isinstance(exp, bool) and 0 < exp < 1e11
    expires_ns = int(exp) * _NS_PER_S if known and exp is not None else next_token_expiry_ns(now_ns)
    return AccessToken(
        Secret(value),
        hosts.label,
        expires_ns,
        clean(user_id or claims.get("sub") or "", 40),
        clean(user_name, 80),
    )


def check_bound(token: AccessToken, hosts: Hosts) -> None:
    """Refuse to use a token with any base URL but those of the host that issued it.

    Upstox's token goes to Upstox's own hosts, a simulator's to this machine, any other host's to that host.

    Raises:
        AuthError: The token belongs elsewhere.
    """
    remedy = "Log in to this host: tradetui auth"
    if token.issuer != hosts.label:
        raise AuthError(
            f"this token was issued by {token.issuer}, not by {hosts.label}: it is not sent", remedy
        )
    if hosts.is_loopback:
        allowed = all(is_loopback_url(url) for url in (hosts.main, hosts.order, hosts.feed))
    else:
        live = {urlsplit(url).netloc for url in (MAIN, ORDER, FEED)}
        family = live if token.issuer in live else {token.issuer}
        # A sandbox takes orders only; market data still comes from the live hosts with a token of its own.
        allowed = {urlsplit(url).netloc.lower() for url in (hosts.main, hosts.order)} <= family
    if not allowed:
        raise AuthError(f"a token of {token.issuer} is not sent to another host", remedy)
