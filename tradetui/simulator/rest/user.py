"""Profile, static IP, kill switch (`upstox.md` 2.12)."""

from __future__ import annotations

from aiohttp import web

from tradetui.domain.calendar import ist_datetime
from tradetui.domain.errors import UsageError
from tradetui.simulator.faults import Args
from tradetui.simulator.login import PROFILE
from tradetui.simulator.rest.envelope import ApiError, json_body, success
from tradetui.simulator.rest.writes import json_array, refused
from tradetui.simulator.restrictions import SEGMENTS
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue


class UserApi:
    """Handlers of ``/v2/user/...``.

    Args:
        state: The simulator's state.
        venue: Whose orders a switched-off segment cancels, and whose positions forbid it.
    """

    def __init__(self, state: SimState, venue: Venue) -> None:
        self._state = state
        self._venue = venue
        self._since = _stamp(state.clock.now_ns())
        state.faults.on_sudden("broker-kill-switch", self._pull)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        router.add_get("/v2/user/profile", self.profile)
        router.add_get("/v2/user/ip", self.addresses)
        router.add_put("/v2/user/ip", self.change_addresses)
        router.add_get("/v2/user/kill-switch", self.kill_switch)
        router.add_post("/v2/user/kill-switch", self.change_kill_switch)

    async def profile(self, _request: web.Request) -> web.Response:
        """Who is logged in."""
        return success(PROFILE)

    # --- static IP -----------------------------------------------------------------------------------

    async def addresses(self, _request: web.Request) -> web.Response:
        """The registered static IPs; at first the only one that can reach a loopback server."""
        return success(self._addresses())

    async def change_addresses(self, request: web.Request) -> web.Response:
        """Register other addresses: once a week, and every token ends with it."""
        body = await json_body(request)
        primary, secondary = body.get("primary_ip"), body.get("secondary_ip") or None
        ips, now_ns = self._state.static_ips, self._state.clock.now_ns()
        refusal = ips.refuse_change(primary, secondary, now_ns)
        if refusal is not None:
            raise refused(refusal)
        ips.change(str(primary), None if secondary is None else str(secondary), now_ns)
        self._state.tokens.revoke()
        return success({**self._addresses(), "access_tokens_invalidated": True})

    def _addresses(self) -> dict[str, str | None]:
        ips = self._state.static_ips
        return {
            "primary_ip": ips.primary,
            "secondary_ip": ips.secondary,
            "primary_ip_updated_at": _stamp(ips.primary_ns) if ips.primary_ns else self._since,
            "secondary_ip_updated_at": _stamp(ips.secondary_ns) if ips.secondary_ns else None,
        }

    # --- kill switch ---------------------------------------------------------------------------------

    async def kill_switch(self, _request: web.Request) -> web.Response:
        """Every segment, and whether it is locked out."""
        return success(self._state.kill_switch.rows())

    async def change_kill_switch(self, request: web.Request) -> web.Response:
        """Switch segments off or on: all of the request or nothing of it."""
        switch, now_ns = self._state.kill_switch, self._state.clock.now_ns()
        rows = await json_array(request)
        if not rows or not all(isinstance(row, dict) for row in rows):
            raise ApiError("UDAPI100036")
        changes = [(str(row.get("segment")), str(row.get("action"))) for row in rows]
        refusal = switch.refuse_switch(changes, now_ns)
        if refusal is not None:
            raise refused(refusal)
        off = [segment for segment, action in changes if action == "DISABLE"]
        for segment in off:
            if self._has_position(segment):
                raise ApiError(
                    "UDAPI1184", message=f"Close the open positions in {segment} first",
                    property_path="segment", invalid_value=segment,
                )  # fmt: skip
        for segment in off:
            if not self._cancel_pending(segment):
                raise ApiError("UDAPI1187", message=f"Pending orders in {segment} could not be cancelled")
        for segment, action in changes:
            switch.switch(segment, action, now_ns)
        return success(switch.rows())

    def _has_position(self, segment: str) -> bool:
        return any(
            one.qty and self._venue.instruments[one.instrument_key].segment == segment
            for one in self._venue.exchange.positions(USER_ID)
        )

    def _cancel_pending(self, segment: str) -> bool:
        """Cancel what works in a segment; whether all of it is gone."""
        pending = [
            order
            for order in self._venue.orders()
            if not order.status.terminal and self._venue.instruments[order.key].segment == segment
        ]
        return all(self._venue.cancel(order.order_id).refusal is None for order in pending)

    def _pull(self, args: Args) -> None:
        """The broker itself locks a segment, open positions or not."""
        segment = str(args["segment"])
        if segment not in SEGMENTS:
            raise UsageError(f"the kill switch has no segment {segment!r}", "It has: " + ", ".join(SEGMENTS))
        self._cancel_pending(segment)
        self._state.kill_switch.switch(segment, "DISABLE", self._state.clock.now_ns())


def _stamp(t_ns: int) -> str:
    return ist_datetime(t_ns).strftime("%Y-%m-%d %H:%M:%S")
