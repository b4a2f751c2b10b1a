"""The control listener: faults, the clock, and the exchange's own truth. Not part of Upstox's protocol.

``POST /faults {"name": .., "args": {..}}`` (``"args": {"off": true}`` switches it off), ``GET /faults``
lists them; ``POST /clock {"jump": .., "speed": ..}``; ``GET /state``; ``POST /price`` and ``POST /orders`` act as
somebody else (`hand.Hand`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tradetui.domain.calendar import IST, day_start_ns, ist_date
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.simulator.faults import COMMON, FAULTS
from tradetui.simulator.hand import Hand
from tradetui.simulator.rest.envelope import ApiError, dumps, json_body
from tradetui.simulator.state import SimState

_WALL = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$")
_SPAN = re.compile(r"^([+-]?\d+(?:\.\d+)?)\s*(s|m|h|d)?$")
_UNIT_S = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_S_NS = 1_000_000_000


Truth = Callable[[], Mapping[str, Any]]
"""Orders, fills, positions and book as the exchange has them."""

Jump = Callable[[int], Awaitable[None]]
"""Move to a moment of exchange time, UTC ns."""


class Control:
    """Handlers of the control listener.

    Args:
        state: The simulator's state.
        truth: Tells what the exchange knows.
        jump: Moves clock and market forward together.
        world: Name of the world.
        label: Tells worlds of one name apart: seed, or name of the recording.
        hand: Acts as other participants, and as the account's phone.
    """

    def __init__(self, state: SimState, truth: Truth, jump: Jump, world: str, label: str, hand: Hand) -> None:
        self._state = state
        self._clock = state.clock
        self._truth = truth
        self._jump = jump
        self._world = world
        self._label = label
        self._hand = hand

    def application(self) -> web.Application:
        """The listener's application."""
        app = web.Application(middlewares=[_plain_errors])
        app.router.add_get("/faults", self.list_faults)
        app.router.add_post("/faults", self.set_fault)
        app.router.add_get("/clock", self.show_clock)
        app.router.add_post("/clock", self.set_clock)
        app.router.add_get("/state", self.show_state)
        app.router.add_post("/price", self.set_price)
        app.router.add_post("/orders", self.act)
        return app

    async def list_faults(self, _request: web.Request) -> web.Response:
        """What is on, and the table of everything there is."""
        known = {name: {"what": kind.what, "args": {**COMMON, **kind.args}} for name, kind in FAULTS.items()}
        return _json({**self._state.faults.listing(), "known": known})

    async def set_fault(self, request: web.Request) -> web.Response:
        """Switch a fault; ``{"name": "none"}`` lifts all."""
        body = await json_body(request)
        name, args = body.get("name"), body.get("args") or {}
        if not isinstance(name, str) or not isinstance(args, dict):
            raise UsageError('faults are switched with {"name": "...", "args": {...}}')
        if name == "none":
            self._state.faults.clear()
        else:
            self._state.faults.set(name, args)
        return _json(self._state.faults.listing())

    async def show_clock(self, _request: web.Request) -> web.Response:
        """Exchange time and its pace."""
        return _json(self.clock_facts())

    async def set_clock(self, request: web.Request) -> web.Response:
        """Jump, change the pace, or both."""
        body = await json_body(request)
        unknown = set(body) - {"jump", "speed"}
        if unknown:
            raise UsageError(f"the clock has no {sorted(unknown)[0]!r}", "It has: jump, speed")
        if body.get("speed") is not None:
            self._clock.set_speed(parse_speed(body["speed"]))
        if body.get("jump") is not None:
            await self._jump(parse_jump(body["jump"], self._clock.now_ns()))
        return _json(self.clock_facts())

    async def show_state(self, _request: web.Request) -> web.Response:
        """The exchange's own truth, to compare a client's against."""
        return _json(
            {
                **self._truth(),
                "world": self._world,
                "clock": self.clock_facts(),
                "requests": dict(self._state.counts),
                "limits": self._state.limits.listing(),
                "faults": self._state.faults.listing(),
            }
        )

    async def set_price(self, request: web.Request) -> web.Response:
        """Move the market of one instrument as its other participants would (`hand.Hand.price`)."""
        return _json(self._hand.price(await json_body(request)))

    async def act(self, request: web.Request) -> web.Response:
        """Use the account from another app, or fill one of its orders (`hand.Hand.order`)."""
        return _json(self._hand.order(await json_body(request)))

    async def discovery(self, request: web.Request) -> web.Response:
        """`/.well-known/tradetui-simulator`: what a client needs to log itself in. Loopback only."""
        host = request.url.host
        if host not in ("127.0.0.1", "localhost", "::1") or request.remote not in ("127.0.0.1", "::1"):
            # A page in a browser could point its own name at this machine.
            raise web.HTTPNotFound
        app, urls = self._state.app, self._state.urls
        return _json(
            {
                "simulator": "tradetui",
                "main": urls.main,
                "order": urls.order,
                "feed": urls.feed,
                "assets": urls.assets,
                "control": urls.control,
                "api_key": app.api_key,
                "api_secret": app.api_secret,
                "redirect_uri": app.redirect_uri,
                "clock": self.clock_facts(),
                "world": self._world,
                "label": self._label,
            }
        )

    def clock_facts(self) -> dict[str, Any]:
        """Exchange time in ms, and exchange seconds per real second (0: paused; ``max``: by events)."""
        speed = self._clock.speed
        return {"now_ms": self._clock.now_ns() // 1_000_000, "speed": "max" if speed is None else speed}


def parse_speed(value: object) -> float | None:
    """A pace: a number, 0 to pause, or ``max``, which the clock calls None.

    Raises:
        UsageError: Neither.
    """
    if value == "max":
        return None
    try:
        return float(str(value))
    except ValueError as error:
        raise UsageError(f"not a speed: {value!r}", "Speeds are numbers from 0 up, or max") from error


def parse_jump(value: object, now_ns: int) -> int:
    """Where a jump leads, exchange time in ns.

    Args:
        value: ``"15:30"`` or ``"03:29:59"`` (IST, today or else the next day), an ISO date and time (IST
            when it names no zone), a span such as ``"+90s"``, ``"+5m"``, or epoch milliseconds.
        now_ns: Exchange time now.

    Raises:
        UsageError: None of these.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 10_000_000_000:
        return value * 1_000_000
    text = str(value).strip()
    if wall := _WALL.match(text):
        hours, minutes, seconds = (int(part or 0) for part in wall.groups())
        offset_ns = ((hours * 60 + minutes) * 60 + seconds) * _S_NS
        target = day_start_ns(ist_date(now_ns)) + offset_ns
        return target if target >= now_ns else target + 86_400 * _S_NS
    if span := _SPAN.match(text):
        return now_ns + round(float(span[1]) * _UNIT_S[span[2]] * _S_NS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"not a time to jump to: {value!r}", "Write 15:30, +5m, or 2026-11-20T09:15"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    return round(moment.astimezone(UTC).timestamp() * 1_000_000) * 1000


@web.middleware
async def _plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (TradeTuiError, ApiError) as error:
        return web.json_response({"error": str(error)}, status=400)


def _json(value: Mapping[str, Any]) -> web.Response:
    return web.json_response(value, dumps=dumps)
