"""What the broker lets an account do: segments locked by the kill switch, and addresses orders come from.

`upstox.md` 1.8 and 2.12. Pure state; the caller passes exchange time. The two endpoints use the same error
numbers for different things, so each refusal carries its own words.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tradetui.domain.calendar import ist_date
from tradetui.exchange.orders import Refusal

SEGMENTS: Final = ("NSE_EQ", "NSE_FO", "BSE_EQ", "BSE_FO", "NCD_FO", "BCD_FO", "MCX_FO")
"""Segments the kill switch knows."""
INACTIVE: Final = frozenset({"MCX_FO"})
"""Segments the simulated account never opened: they cannot be switched."""
COOLING_NS: Final = 12 * 3600 * 1_000_000_000
"""A switched-off segment stays off this long."""
_ACTIONS: Final = ("ENABLE", "DISABLE")


@dataclass(slots=True)
class _Lock:
    """A segment that takes no orders.

    Attributes:
        since_ns: When it was switched off.
        asked_on: It was switched on again, and waits for a new token.
    """

    since_ns: int
    asked_on: bool = False


class KillSwitch:
    """Which segments take no orders.

    Switching off works at once. Switching on takes a new token: until one is issued, orders stay refused.
    """

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    def refuse_order(self, segment: str) -> Refusal | None:
        """Why a segment takes no new order, or ``None``."""
        lock = self._locks.get(segment)
        if lock is None:
            return None
        words = "log in again for it to open" if lock.asked_on else "no order is taken there"
        return Refusal("UDAPI100058", f"Segment {segment} is switched off by the kill switch: {words}")

    def refuse_switch(self, changes: Sequence[tuple[str, str]], now_ns: int) -> Refusal | None:
        """Why a request of (segment, action) pairs is refused as a whole, or ``None``.

        Open positions are the caller's to check (``UDAPI1184``).
        """
        for segment, action in changes:
            if segment not in SEGMENTS:
                return Refusal("UDAPI1186", f"The 'segment' {segment!r} is invalid")
            if action not in _ACTIONS:
                return Refusal("UDAPI1188", f"The 'action' {action!r} must be ENABLE or DISABLE")
            if segment in INACTIVE:
                return Refusal("UDAPI100058", f"Segment {segment} is not active on this account")
            lock = self._locks.get(segment)
            if action == "ENABLE" and lock is not None and now_ns - lock.since_ns < COOLING_NS:
                return Refusal(
                    "UDAPI1185", f"Segment {segment} can be enabled 12 hours after it was disabled"
                )
        return None

    def switch(self, segment: str, action: str, now_ns: int) -> None:
        """Switch one segment; `refuse_switch` has passed it."""
        if action == "DISABLE":
            lock = self._locks.get(segment)
            if lock is None or lock.asked_on:
                self._locks[segment] = _Lock(now_ns)
        elif segment in self._locks:
            self._locks[segment].asked_on = True

    def token_issued(self) -> None:
        """A login: what was switched on again is open now."""
        self._locks = {name: lock for name, lock in self._locks.items() if not lock.asked_on}

    def rows(self) -> list[dict[str, object]]:
        """Every segment as the endpoint lists it."""
        return [
            {
                "segment": name,
                "segment_status": "INACTIVE" if name in INACTIVE else "ACTIVE",
                "kill_switch_enabled": name in self._locks and not self._locks[name].asked_on,
            }
            for name in SEGMENTS
        ]


class StaticIps:
    """The addresses registered for order writes.

    Args:
        primary: The address registered at the start.
    """

    def __init__(self, primary: str) -> None:
        self.primary = primary
        self.secondary: str | None = None
        self.primary_ns = 0
        self.secondary_ns = 0
        self._changed_week: tuple[int, int] | None = None

    def allows(self, address: str) -> bool:
        """Whether order writes are taken from ``address``."""
        return address in (self.primary, self.secondary)

    def refuse_change(self, primary: object, secondary: object, now_ns: int) -> Refusal | None:
        """Why a registration is refused, or ``None``: one change in a calendar week."""
        if not primary:
            return Refusal("UDAPI1182", "The 'primary_ip' is required")
        for address in (primary, secondary):
            if address is not None and not _is_address(address):
                return Refusal("UDAPI1183", f"The IP address {address!r} is invalid")
        if primary == secondary:
            return Refusal("UDAPI1184", "The 'primary_ip' and 'secondary_ip' must be different")
        if _week(now_ns) == self._changed_week:
            return Refusal("UDAPI1185", "The static IP can be changed once in a calendar week")
        return None

    def change(self, primary: str, secondary: str | None, now_ns: int) -> None:
        """Register addresses; `refuse_change` has passed them."""
        if primary != self.primary:
            self.primary_ns = now_ns
        if secondary != self.secondary:
            self.secondary_ns = now_ns
        self.primary, self.secondary = primary, secondary
        self._changed_week = _week(now_ns)


def _is_address(text: object) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return isinstance(text, str)


def _week(now_ns: int) -> tuple[int, int]:
    year, week, _ = ist_date(now_ns).isocalendar()
    return year, week
