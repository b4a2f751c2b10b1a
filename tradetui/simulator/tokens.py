"""What the broker hands out: login codes, access tokens, and one-use tickets for its streams.

Tokens live by the exchange's clock, so that a jump to 03:30 ends them all. The one-use codes live by the
machine's: they bound a hand-over between two programs, which a fast exchange does not make any faster.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from tradetui.domain.calendar import next_token_expiry_ns

CODE_LIFE_NS = 60_000_000_000
"""Life of login and stream codes; one to two minutes on the real host (`upstox.md` 1.4, 10)."""

USER_ID = "SIM001"
"""The simulated customer's id (Upstox calls it UCC)."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A code in a redirect: who may use it, for what, until when.

    Attributes:
        purpose: ``login``, ``market`` or ``portfolio``.
        detail: What the code was asked for: the redirect URI, or the kinds of update wanted.
        expires_ns: Machine time (monotonic) after which it is worthless.
    """

    purpose: str
    detail: str
    expires_ns: int


class Tokens:
    """Every code and token the simulated broker gave out.

    Args:
        now_ns: The exchange's clock.
        monotonic_ns: The machine's.
    """

    def __init__(
        self, now_ns: Callable[[], int], *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._sign_key = secrets.token_bytes(32)
        self._live: dict[str, int] = {}
        self._tickets: dict[str, Ticket] = {}
        self._on_issue: list[Callable[[], None]] = []

    def on_issue(self, act: Callable[[], None]) -> None:
        """Have ``act`` called whenever an access token is given out."""
        self._on_issue.append(act)

    def issue_ticket(self, purpose: str, detail: str = "") -> str:
        """A new one-use code."""
        now = self._monotonic_ns()
        self._tickets = {code: one for code, one in self._tickets.items() if one.expires_ns >= now}
        code = secrets.token_hex(16)
        self._tickets[code] = Ticket(purpose, detail, now + CODE_LIFE_NS)
        return code

    def redeem_ticket(self, purpose: str, code: str) -> Ticket | None:
        """Use a code up; None if it is unknown, used, too old, or for something else."""
        ticket = self._tickets.pop(code, None)
        if ticket is None or ticket.purpose != purpose or self._monotonic_ns() > ticket.expires_ns:
            return None
        return ticket

    def issue_token(self, *, alone: bool = False) -> str:
        """A new access token, shaped and claimed as the real one (`upstox.md` 1.4).

        Args:
            alone: End all earlier tokens.
        """
        now_ns = self._now_ns()
        expires_ns = next_token_expiry_ns(now_ns)
        if alone:
            self._live.clear()
        claims = {
            "sub": USER_ID,
            "jti": secrets.token_hex(12),
            "isMultiClient": False,
            "isPlusPlan": False,
            "iat": now_ns // 1_000_000_000,
            "iss": "udapi-gateway-service",
            "exp": expires_ns // 1_000_000_000,
        }
        head = _segment({"typ": "JWT", "alg": "HS256"})
        body = f"{head}.{_segment(claims)}"
        mac = hmac.new(self._sign_key, body.encode(), hashlib.sha256).digest()
        token = f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        self._live[token] = expires_ns
        for act in self._on_issue:
            act()
        return token

    def valid(self, token: str) -> bool:
        """Whether a token may be used now."""
        expires_ns = self._live.get(token)
        if expires_ns is None:
            return False
        if self._now_ns() >= expires_ns:
            del self._live[token]
            return False
        return True

    def revoke(self, token: str | None = None) -> None:
        """End one token, or all."""
        if token is None:
            self._live.clear()
        else:
            self._live.pop(token, None)


def bearer_of(header: str) -> str:
    """The token in an ``Authorization`` header; empty if there is none."""
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _segment(value: dict[str, object]) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
