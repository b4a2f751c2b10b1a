"""What every REST request passes before it reaches its handler: counting, faults, limits, the bearer.

The order is that of the real path: the network, the edge in front, the gateway, then the endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tradetui.domain.calendar import day_start_ns, ist_date
from tradetui.simulator.faults import Faults
from tradetui.simulator.rest.envelope import ApiError
from tradetui.simulator.rest.limits import ORDER_QUOTA, READ_QUOTA
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import bearer_of

_log = logging.getLogger(__name__)

MULTI_PLACE = "/v2/order/multi/place"
ORDER_WRITES = frozenset(
    (
        *(f"/{version}/order/{verb}" for version in ("v2", "v3") for verb in ("place", "modify", "cancel")),
        *(f"/v3/order/gtt/{verb}" for verb in ("place", "modify", "cancel")),
        MULTI_PLACE,
        "/v2/order/multi/cancel",
        "/v2/order/positions/exit",
    )
)
"""Endpoints that need the static IP and fall under the order limits (`upstox.md` 1.8, 6.1)."""

WRITES = ORDER_WRITES | {"/v2/portfolio/convert-position", "/v2/user/kill-switch"}
"""Endpoints whose answers get lost or garbled: whoever asked does not know whether it took effect."""

_PUBLIC_PREFIXES = (
    # The SDK sends no bearer on these, and they are public (`upstox.md` 1.3).
    "/v2/login/", "/v3/historical-candle/", "/v2/market/holidays", "/v2/market/timings/", "/.well-known/",
)  # fmt: skip
_FUNDS_SUFFIX = "/user/get-funds-and-margin"
_SERVICE_OPENS_NS = 330 * 60_000_000_000
"""Orders and funds are served from 05:30 IST to midnight (`upstox.md` 1.8)."""

_EDGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Error 1010</h1>"
    "<p>The owner of this website has banned your access based on your browser's signature.</p></body></html>"
)


class Guard:
    """The middleware of the REST listeners.

    Args:
        state: The simulator's state.
    """

    def __init__(self, state: SimState) -> None:
        self._state = state

    def middleware(self, host: str) -> Middleware:
        """The middleware for one listener, ``main`` or ``order``."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await self._pass(host, request, handler)
            except ApiError as error:
                return error.response()
            except web.HTTPException as error:
                # Unknown paths and wrong methods come back in Upstox's envelope, never in aiohttp's words.
                if error.status in (404, 405):
                    return ApiError("UDAPI10000", error.status).response()
                raise
            except (asyncio.CancelledError, ConnectionError):
                raise
            except Exception:
                _log.exception("the simulator failed on %s %s", request.method, request.path)
                return ApiError("UDAPI100500", 500).response()

        return guard

    async def _pass(self, host: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        faults, path = self._state.faults, request.path
        endpoint = _endpoint(request)
        is_write = endpoint in ORDER_WRITES
        is_doubtful = endpoint in WRITES and request.method != "GET"
        # A conversion falls under no order limit, and its answer can get lost all the same.
        changes = is_write or endpoint.endswith("/convert-position")
        self._state.counts[f"{request.method} {endpoint}"] += 1
        self._state.counts[f"host:{host}"] += 1
        self._state.limits.arrived(endpoint)
        if (hang := faults.strike("hang", path)) and not hang["after"]:
            return await hold(self._state.faults, request)
        if changes and faults.strike("lost-ack-before", path):
            return _cut(request)
        self._edge(path)
        if delay := faults.strike("delay", path):
            await asyncio.sleep(float(delay["ms"]) / 1000)
        if not any(path.startswith(prefix) for prefix in _PUBLIC_PREFIXES) and endpoint != "?":
            self._bearer(request)
        weight = await _lines(request) if endpoint == MULTI_PLACE else 1
        self._limit(endpoint, path, weight, is_write=is_write)
        if is_write:
            self._static_ip(request)
        self._service_hours(path, is_order="/order/" in path)
        answer = await handler(request)
        if is_write and (early := faults.strike("early-push", path)):
            await asyncio.sleep(float(early["ms"]) / 1000)
        if changes and faults.strike("lost-ack-after", path):
            return _cut(request)
        if is_doubtful and (garbled := faults.strike("garbled-ack", path)):
            return _garbled(str(garbled["form"]))
        if hang:
            return await hold(faults, request)
        if faults.strike("truncated", path):
            return truncated(answer)
        return answer

    def _edge(self, path: str) -> None:
        """What stands before the gateway and knows nothing of envelopes."""
        faults = self._state.faults
        if faults.strike("html-403", path):
            raise web.HTTPForbidden(text=_EDGE_PAGE, content_type="text/html")
        if faults.strike("empty-400", path):
            raise web.HTTPBadRequest(text="")
        if faults.strike("maintenance-503", path):
            raise ApiError("UDAPI100500", 503, "Service is under maintenance")
        if failed := faults.strike("5xx", path):
            raise ApiError("UDAPI100500", server_error(failed["status"]), "Something went wrong")

    def _bearer(self, request: web.Request) -> None:
        token = bearer_of(request.headers.get("Authorization", ""))
        if self._state.faults.strike("401", request.path) or not self._state.tokens.valid(token):
            raise ApiError("UDAPI100050", 401)

    def _static_ip(self, request: web.Request) -> None:
        registered = request.remote is None or self._state.static_ips.allows(request.remote)
        if self._state.faults.strike("403-static-ip", request.path) or not registered:
            raise ApiError("UDAPI1154", 403)

    def _limit(self, endpoint: str, path: str, weight: int, *, is_write: bool) -> None:
        faults = self._state.faults
        if struck := faults.strike("429", path):
            raise too_fast(float(struck["retry_after"]))
        if faults.active("no-limits") is not None:
            return
        if not self._state.limits.take(endpoint, ORDER_QUOTA if is_write else READ_QUOTA, weight):
            raise ApiError("UDAPI10005", 429)

    def _service_hours(self, path: str, *, is_order: bool) -> None:
        is_funds = path.endswith(_FUNDS_SUFFIX)
        if not (is_order or is_funds):
            return
        now_ns = self._state.clock.now_ns()
        shut = now_ns - day_start_ns(ist_date(now_ns)) < _SERVICE_OPENS_NS
        rule = self._state.faults.active("service-hours")
        if rule is not None and (shut or not rule["by_clock"]):
            shut = self._state.faults.strike("service-hours", path) is not None or shut
        if shut:
            raise ApiError("UDAPI100072" if is_funds else "UDAPI100074", 423)


def _endpoint(request: web.Request) -> str:
    """The route's template, so that every key of `/candle/{key}` counts as one endpoint; ``?`` if unknown."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "?"


async def _lines(request: web.Request) -> int:
    """How much of the order limit a multi-place uses: each of its lines (`upstox.md` 6.1, assumed).

    A batch too long to be taken at all counts as a full one, so that it is refused for its length.
    """
    try:
        body = json.loads(await request.read())
    except ValueError:
        return 1
    return min(max(1, len(body)), ORDER_QUOTA.per_s) if isinstance(body, list) else 1


async def hold(faults: Faults, request: web.Request) -> web.Response:
    """Keep the connection open and say nothing until the client leaves or the fault is lifted."""
    transport = request.transport
    while transport is not None and not transport.is_closing():
        with contextlib.suppress(TimeoutError):
            # A client that leaves wakes nobody, so look after it once a second.
            await asyncio.wait_for(faults.wait_change(), 1)
            break
    return _cut(request)


def too_fast(retry_after_s: float) -> ApiError:
    """The refusal of a request too many, with or without a word when to come again."""
    headers = {"Retry-After": f"{retry_after_s:g}"} if retry_after_s > 0 else {}
    return ApiError("UDAPI10005", 429, headers=headers)


def server_error(status: object) -> int:
    """A status of the server's own failures; 500 for anything else."""
    return int(status) if isinstance(status, int | float) and 500 <= status <= 599 else 500


def truncated(answer: web.StreamResponse) -> web.Response:
    """A good answer that ends in the middle, as a proxy in trouble hands it on: whole by its own length."""
    body = answer.body if isinstance(answer, web.Response) else None
    whole = bytes(body) if isinstance(body, bytes | bytearray) else b"{"
    return web.Response(
        status=answer.status, body=whole[: max(1, len(whole) * 2 // 3)], content_type="application/json"
    )


def _cut(request: web.Request) -> web.Response:
    """Drop the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _garbled(form: str) -> web.Response:
    """What a gateway in trouble makes of a good answer."""
    if form == "html":
        return web.Response(text=_EDGE_PAGE, content_type="text/html")
    if form == "null":
        return web.json_response({"status": "success", "data": None})
    return web.Response(status=502 if form == "502" else 200, text="")
