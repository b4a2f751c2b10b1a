"""What goes wrong with requests for past bars only (faults ``history-...``): behind the limits, before the endpoint."""

from __future__ import annotations

import json

from aiohttp import web
from aiohttp.typedefs import Handler

from tradetui.simulator.faults import Faults
from tradetui.simulator.rest.envelope import ApiError, dumps, success
from tradetui.simulator.rest.guard import hold, server_error, too_fast, truncated

_PAGE = "<!DOCTYPE html><html><head><title>One moment</title></head><body>Checking your browser</body></html>"


class HistoryTrouble:
    """Stands around the endpoints of past bars.

    Args:
        faults: The switchboard.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def around(self, handler: Handler) -> Handler:
        """The handler with its troubles."""

        async def troubled(request: web.Request) -> web.StreamResponse:
            faults, path = self._faults, request.path
            if faults.strike("history-hang", path):
                return await hold(faults, request)
            if struck := faults.strike("history-429", path):
                raise too_fast(float(struck["retry_after"]))
            if struck := faults.strike("history-5xx", path):
                raise ApiError("UDAPI100500", server_error(struck["status"]))
            if faults.strike("history-html", path):
                return web.Response(text=_PAGE, content_type="text/html")
            if faults.strike("history-null", path):
                return success(None)
            answer = await handler(request)
            if faults.strike("history-truncated", path):
                return truncated(answer)
            if faults.strike("history-odd", path):
                return _odd(answer)
            return answer

        return troubled


def _odd(answer: web.StreamResponse) -> web.StreamResponse:
    """The answer with a newest bar that makes no sense; as it is when it has no bars."""
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes | bytearray):
        return answer
    data = json.loads(body)
    if not data["data"]["candles"]:
        return answer
    row = data["data"]["candles"][0]
    row[2], row[3] = row[3] - 1.0, row[2] + 1.0
    return web.json_response(data, dumps=dumps)
