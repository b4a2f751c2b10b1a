"""The envelope every answer comes in, and the errors Upstox answers with (`upstox.md` 2.1, 6.2, 6.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

_MESSAGES = {
    "UDAPI10000": "This request is not supported by Upstox API",
    "UDAPI10005": "Too Many Request Sent",
    "UDAPI1003": "The 'order_id' is required",
    "UDAPI1004": "The 'order_type' is invalid",
    "UDAPI1007": "The 'validity' is invalid",
    "UDAPI1010": "The 'order_id' is required",
    "UDAPI1011": "The 'instrument_token' is of invalid format",
    "UDAPI1015": "The 'to_date' must be greater than or equal to 'from_date'",
    "UDAPI1017": "The 'client_id' is required",
    "UDAPI1018": "The 'redirect_uri' is required",
    "UDAPI1020": "The 'interval' is required",
    "UDAPI1021": "The 'instrument_key' is of invalid format",
    "UDAPI1022": "The 'to_date' is required",
    "UDAPI1023": "The 'order_id' is of invalid format",
    "UDAPI1024": "The 'response_type' is invalid",
    "UDAPI1026": "The 'instrument_token' is required",
    "UDAPI1027": "The 'interval' is required",
    "UDAPI1028": "The 'interval' is invalid",
    "UDAPI1033": "The 'old_product' is invalid for this position",
    "UDAPI1034": "The 'new_product' is invalid for this position",
    "UDAPI1035": "The position cannot be converted",
    "UDAPI1052": "The 'quantity' cannot be zero",
    "UDAPI1054": "The 'product' is invalid",
    "UDAPI1057": "The 'transaction_type' is invalid",
    "UDAPI1059": "The 'instrument_token' is required",
    "UDAPI1060": "The 'trigger_price' is required",
    "UDAPI1061": "The 'price' is required",
    "UDAPI1062": "The 'disclosed_quantity' is invalid",
    "UDAPI1063": "The 'is_amo' is required",
    "UDAPI1064": "The 'quantity' is required",
    "UDAPI1065": "The 'price' cannot be zero",
    "UDAPI1087": "One of either symbol/instrument_key is invalid",
    "UDAPI1088": "The 'date' is invalid",
    "UDAPI1089": "The 'exchange' is invalid",
    "UDAPI1096": "The 'quantity' must be greater than zero",
    "UDAPI1097": "The 'quantity' must be a multiple of the lot size",
    "UDAPI1098": "The 'instrument_key' is of invalid format",
    "UDAPI1099": "The 'instrument_key' is unknown",
    "UDAPI1102": "At most 20 instruments are allowed",
    "UDAPI1103": "The 'instrument_key' is given more than once",
    "UDAPI1108": "The 'segment' is invalid",
    "UDAPI1109": "No open or pending order available",
    "UDAPI1110": "Too many open orders to cancel at once",
    "UDAPI1111": "No open position available to exit",
    "UDAPI1112": "Too many open positions to exit at once",
    "UDAPI1113": "The market is closed",
    "UDAPI1114": "The request body has no orders",
    "UDAPI1115": "The 'correlation_id' is required",
    "UDAPI1116": "The 'correlation_id' may have at most 20 characters",
    "UDAPI1117": "The 'correlation_id' is given more than once",
    "UDAPI1118": "An order may be sliced into at most 25 orders",
    "UDAPI1119": "The 'tag' may have at most 40 characters",
    "UDAPI1126": "The 'type' must be SINGLE or MULTIPLE",
    "UDAPI1134": "The 'gtt_order_id' is required",
    "UDAPI1135": "The 'gtt_order_id' must begin with GTT-",
    "UDAPI1136": "A SINGLE GTT has exactly one rule",
    "UDAPI1137": "A MULTIPLE GTT has two or three rules",
    "UDAPI1141": "The ENTRY rule is mandatory",
    "UDAPI1143": "TARGET and STOPLOSS allow the trigger type IMMEDIATE only",
    "UDAPI1146": "The 'unit' is invalid",
    "UDAPI1147": "The 'interval' is invalid for this unit",
    "UDAPI1148": "The requested date range exceeds the limit for this interval",
    "UDAPI1149": "This API is available with the Plus plan only",
    "UDAPI1154": "Access to this API is restricted. Use a registered static IP",
    "UDAPI1158": "Market orders without market protection are not allowed",
    "UDAPI1159": "The 'market_protection' must be -1 or between 1 and 25",
    "UDAPI1161": "Orders on MCX are not allowed through the API",
    "UDAPI1176": "The 'market_protection' must not exceed 25",
    "UDAPI100010": "Order not found",
    "UDAPI100011": "Invalid Instrument key",
    "UDAPI100036": "Invalid Input passed to the API",
    "UDAPI100040": "This order cannot be cancelled: it is already cancelled, rejected or complete",
    "UDAPI100041": "This order cannot be modified: it is already cancelled, rejected or complete",
    "UDAPI100042": "At most 500 instrument keys are allowed",
    "UDAPI100043": "At most 500 instrument keys are allowed",
    "UDAPI100050": "Invalid token used to access API",
    "UDAPI100057": "Invalid Auth code",
    "UDAPI100059": "Either 'order_id' or 'tag' is required",
    "UDAPI100060": "Resource not Found",
    "UDAPI100068": "Check your 'client_id' and 'redirect_uri'; one or both are incorrect",
    "UDAPI100069": "Check your 'client_id' and 'client_secret'; one or both are incorrect",
    "UDAPI100070": "The 'redirect_uri' is incorrect",
    "UDAPI100072": "The Funds service is accessible from 5:30 AM to 12:00 AM IST",
    "UDAPI100074": "The Order service is accessible from 5:30 AM to 12:00 AM IST",
    "UDAPI100076": "At most 50 instrument keys are allowed",
    "UDAPI100500": "Something went wrong... please contact us",
}
"""Our wording; codes and meanings are those of `upstox.md` 6.3."""


class ApiError(Exception):
    """An answer with Upstox's error envelope; raised by handlers, turned into a reply by the middleware.

    Args:
        code: ``UDAPI...``.
        status: HTTP status.
        message: Text for the user; the code's own when left out.
        property_path: Which field is wrong.
        invalid_value: What was in it.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        status: int = 400,
        message: str = "",
        *,
        property_path: str | None = None,
        invalid_value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.headers = dict(headers or {})
        self.status = status
        self.message = message or _MESSAGES.get(code, "Invalid Input passed to the API")
        self.property_path = property_path
        self.invalid_value = invalid_value
        super().__init__(f"{code} {self.message}")

    def response(self) -> web.Response:
        """The error as Upstox sends it: every field in both spellings, no ``data``."""
        return web.json_response(
            {"status": "error", "errors": [self.item()]},
            status=self.status,
            headers=self.headers,
            dumps=dumps,
        )

    def item(self) -> dict[str, Any]:
        """The error as one row of a list of errors."""
        return {
            "errorCode": self.code,
            "message": self.message,
            "propertyPath": self.property_path,
            "invalidValue": self.invalid_value,
            "error_code": self.code,
            "property_path": self.property_path,
            "invalid_value": self.invalid_value,
        }


def dumps(value: Any) -> str:
    """Compact JSON; names of companies stay readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def success(data: Any, **extra: Any) -> web.Response:
    """``{"status": "success", "data": ...}`` with further top-level members."""
    return web.json_response({"status": "success", "data": data, **extra}, dumps=dumps)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        ApiError: The body is not a JSON object.
    """
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ApiError("UDAPI100036") from error
    if not isinstance(body, dict):
        raise ApiError("UDAPI100036")
    return body
