"""Profile, static IP, kill switch (`upstox.md` 2.12)."""

from __future__ import annotations

from aiohttp import web

from tradetui.domain.calendar import ist_datetime
from tradetui.simulator.login import PROFILE
from tradetui.simulator.rest.envelope import success
from tradetui.simulator.state import HOST, SimState

_SEGMENTS = ("NSE_EQ", "NSE_FO", "BSE_EQ", "BSE_FO", "NCD_FO", "BCD_FO", "MCX_FO")


class UserApi:
    """Handlers of ``/v2/user/...``.

    Args:
        state: The simulator's state.
    """

    def __init__(self, state: SimState) -> None:
        self._since = ist_datetime(state.clock.now_ns()).strftime("%Y-%m-%d %H:%M:%S")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/user/profile", self.profile)
        router.add_get("/v2/user/ip", self.addresses)
        router.add_get("/v2/user/kill-switch", self.kill_switch)

    async def profile(self, _request: web.Request) -> web.Response:
        """Who is logged in."""
        return success(PROFILE)

    async def addresses(self, _request: web.Request) -> web.Response:
        """The registered static IP: the only one that can reach a loopback server."""
        return success(
            {
                "primary_ip": HOST,
                "secondary_ip": None,
                "primary_ip_updated_at": self._since,
                "secondary_ip_updated_at": None,
            }
        )

    async def kill_switch(self, _request: web.Request) -> web.Response:
        """Every segment active, none locked out."""
        return success(
            [
                {"segment": name, "segment_status": "ACTIVE", "kill_switch_enabled": False}
                for name in _SEGMENTS
            ]
        )
