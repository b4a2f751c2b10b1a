"""What every order write shares: the door's own checks, and an exchange's reply turned into an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from tradetui.domain.order import OrderRequest, OrderType
from tradetui.exchange.orders import Refusal, Reply
from tradetui.simulator.faults import Faults
from tradetui.simulator.rest.envelope import ApiError, dumps

SEGMENTS = ("NSE_EQ", "NSE_FO", "BSE_EQ", "BSE_FO", "NCD_FO", "BCD_FO", "NSE_COM", "MCX_FO")
"""Segments that orders can be filtered by and that the kill switch knows."""


def check_algo(request: web.Request) -> None:
    """Refuse an algo's name: no algo is registered with the simulated account, so any name is a wrong one.

    Raises:
        ApiError: The request names an algo.
    """
    name = request.headers.get("X-Algo-Name")
    if name:
        raise ApiError("UDAPI1156", message="Invalid algo name", invalid_value=name)


def protect(faults: Faults, terms: OrderRequest) -> OrderRequest:
    """The terms as the broker takes them: under the fault ``lax-protection`` a bare MARKET order passes."""
    bare = terms.order_type in (OrderType.MARKET, OrderType.SL_M) and terms.protection_pct == 0
    if bare and faults.strike("lax-protection"):
        return replace(terms, protection_pct=-1)
    return terms


def accepted(reply: Reply) -> str:
    """The order id of an accepted request.

    Raises:
        ApiError: It was refused.
    """
    if reply.refusal is not None:
        raise refused(reply.refusal)
    return reply.order_id


def refused(refusal: Refusal) -> ApiError:
    """A refusal as the API says it: risk control and exchange speak without a code of the API."""
    code = refusal.code if refusal.code.startswith("UDAPI") else "UDAPI100036"
    return ApiError(code, message=refusal.message)


async def json_array(request: web.Request) -> list[Any]:
    """The request's JSON array.

    Raises:
        ApiError: The body is not a JSON array.
    """
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ApiError("UDAPI100036") from error
    if not isinstance(body, list):
        raise ApiError("UDAPI100036", message="The request body must be an array")
    return body


def batch_reply(
    data: object, errors: Sequence[Mapping[str, Any]], summary: Mapping[str, int], *, done: int
) -> web.Response:
    """Answer of a call that did several things: 200 all good, 207 some failed, 400 all failed.

    Args:
        data: What was done.
        errors: What failed, one row each.
        summary: The counts.
        done: How many succeeded.
    """
    if not errors:
        word, status = "success", 200
    elif done:
        word, status = "partial_success", 207
    else:
        word, status, data = "error", 400, None
    body = {"status": word, "data": data, "errors": list(errors) or None, "summary": dict(summary)}
    return web.json_response(body, status=status, dumps=dumps)
