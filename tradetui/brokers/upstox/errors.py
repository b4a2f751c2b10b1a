"""Upstox's error codes in our words: what they mean and how to mend them (`upstox.md` 6.2, 6.3).

Codes mean different things on different endpoints (`upstox.md` 2.12), so the table is keyed by both; a row
without an endpoint holds everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, TradeTuiError
from tradetui.domain.text import clean


class AuthRefused(AuthError):
    """The broker refused a token or credentials.

    Args:
        message: The broker's words.
        code: The broker's code.
        status: HTTP status.
        remedy: How to mend it.
    """

    def __init__(self, message: str, code: str = "", status: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code
        self.status = status


_LOG_IN: Final = "Log in again: tradetui auth"
_APP: Final = "Check the app in the Upstox developer console"
_KEYS: Final = "Compare API key, secret and redirect address with the app in the Upstox developer console"
_INSTRUMENT: Final = "Check the instrument; it may have expired or been renamed since the file was read"
_TERMS: Final = "Change the order's terms"
_FINISHED: Final = "The order is finished already; look at the order list"
_PROTECTION: Final = "Send a LIMIT order, or a MARKET order with protection of -1 or 1 to 25 percent"
_ORDER_ID: Final = "The order's id is missing or malformed; look at the order list"
_GTT: Final = "Change the GTT's rules: one ENTRY always, TARGET and STOPLOSS at most once each and only IMMEDIATE, prices above 0"
_CONVERT: Final = (
    "Delivery becomes intraday only when bought today; cover orders cannot be converted; look at the position's "
    "product and quantity"
)
_MANY: Final = "Look at the order list: nothing fits the filter, or too much at once"
_LINES: Final = "Send fewer lines at once, each with its own label"
_DATES: Final = "Check the dates and the interval that were asked for"

SHUT_CODES: Final = frozenset({"UDAPI100072", "UDAPI100074"})
"""Orders and funds are closed from midnight to 05:30 IST: neither an order nor a look at the books is answered."""

_AUTH_CODES: Final = frozenset(
    {"UDAPI100050", "UDAPI100016", "UDAPI100067", "UDAPI100069", "UDAPI100068", "UDAPI100070"}
)

_REMEDIES: Final[dict[str, str]] = {
    "UDAPI100050": _LOG_IN,
    "UDAPI100016": _KEYS,
    "UDAPI100069": _KEYS,
    "UDAPI100068": _KEYS,
    "UDAPI100070": _KEYS,
    "UDAPI100067": "A read-only token cannot do this; log in with an ordinary one: tradetui auth",
    "UDAPI100057": "The broker uses this code for a closed market too; look at the market's hours",
    "UDAPI100073": _APP + ": it is not active",
    "UDAPI1155": _APP + ": it is under review or was rejected",
    "UDAPI1157": _APP + ": it has expired",
    "UDAPI1180": _APP + ": it is not active",
    "UDAPI1154": "Orders are taken only from the static IP registered with Upstox: register this machine's "
    "public address, or go out by it (tradetui doctor shows both)",
    "UDAPI1156": "The algo name differs from the one in the developer console",
    "UDAPI100058": "No segment of the account is active: reactivate it in the Upstox app",
    "UDAPI100049": "The account's plan does not include this",
    "UDAPI1149": "This needs the broker's Plus plan",
    "UDAPI10005": "Wait a moment and look at the order list before trying again",
    "UDAPI100072": "Funds are served from 05:30 to 24:00 IST",
    "UDAPI100074": "Orders are taken from 05:30 to 24:00 IST",
    "UDAPI1113": "The market is closed",
    "UDAPI100039": "After-market orders are taken only while the market is closed",
    "UDAPI1158": _PROTECTION,
    "UDAPI1159": _PROTECTION,
    "UDAPI1176": _PROTECTION,
    "UDAPI1177": _PROTECTION,
    "UDAPI1161": "Upstox takes no MCX orders through its API",
    "UDAPI100010": "The broker does not know this order: it is not of today, or belongs to another account",
    "UDAPI100040": _FINISHED,
    "UDAPI100041": _FINISHED,
    "UDAPI1118": "Send it in smaller parts",
    "UDAPI1119": "The order's label is too long",
    "UDAPI1148": "Ask for a shorter range of dates",
    "UDAPI100500": "The broker has trouble; look at the order list before trying again",
    "UDAPI10000": "The address is wrong; check the broker's hosts in the settings",
    "UDAPI100060": "The address is wrong; check the broker's hosts in the settings",
    **dict.fromkeys(("UDAPI1026", "UDAPI1021", "UDAPI1059", "UDAPI1011", "UDAPI1098"), _INSTRUMENT),
    **dict.fromkeys(("UDAPI100011", "UDAPI1087", "UDAPI100095", "UDAPI1099"), _INSTRUMENT),
    **dict.fromkeys(("UDAPI1052", "UDAPI1064", "UDAPI1096", "UDAPI1097"), "Change the quantity"),
    **dict.fromkeys(
        ("UDAPI1004", "UDAPI1007", "UDAPI1054", "UDAPI1057", "UDAPI1060", "UDAPI1061", "UDAPI1062",
         "UDAPI1063", "UDAPI1065"),
        _TERMS,
    ),
    **dict.fromkeys(
        ("UDAPI100042", "UDAPI100043", "UDAPI100076", "UDAPI1102"), "Ask for fewer instruments at once"
    ),
    "UDAPI1103": "An instrument is named twice",
    **dict.fromkeys(("UDAPI1003", "UDAPI1010", "UDAPI1023", "UDAPI100059"), _ORDER_ID),
    **dict.fromkeys(
        ("UDAPI1126", "UDAPI1134", "UDAPI1135", "UDAPI1136", "UDAPI1137", "UDAPI1141", "UDAPI1143"), _GTT
    ),
    "UDAPI1150": "The entry has triggered: its quantity stays, and its rule may only be IMMEDIATE",
    "UDAPI1151": "Widen the trailing gap: at least a tenth of the distance between last price and stop",
    **dict.fromkeys(("UDAPI1033", "UDAPI1034", "UDAPI1035"), _CONVERT),
    **dict.fromkeys(("UDAPI1108", "UDAPI1109", "UDAPI1110", "UDAPI1111", "UDAPI1112"), _MANY),
    **dict.fromkeys(("UDAPI1114", "UDAPI1115", "UDAPI1116", "UDAPI1117"), _LINES),
    **dict.fromkeys(
        ("UDAPI1015", "UDAPI1020", "UDAPI1022", "UDAPI1088", "UDAPI1146", "UDAPI1147", "UDAPI1027", "UDAPI1028"),
        _DATES,
    ),
}  # fmt: skip

_BY_ENDPOINT: Final[dict[tuple[str, str], str]] = {
    (ep.TOKEN.path, "UDAPI100057"): "The login code was used before or is too old; start the login again",
    **{
        (ep.TOKEN.path, code): _KEYS
        for code in ("UDAPI1017", "UDAPI1018", "UDAPI1022", "UDAPI1023", "UDAPI1024")
    },
    # The same numbers mean one thing for addresses and another for the kill switch (`upstox.md` 2.12).
    (ep.USER_IP.path, "UDAPI1179"): "This account may not register static addresses by API",
    (ep.USER_IP.path, "UDAPI1180"): _APP + ": it is not active",
    (ep.USER_IP.path, "UDAPI1181"): "This kind of app has no static address",
    (ep.USER_IP.path, "UDAPI1182"): "A primary address is needed",
    (ep.USER_IP.path, "UDAPI1183"): "One of the addresses is not a valid IPv4 or IPv6 address",
    (ep.USER_IP.path, "UDAPI1184"): "Primary and secondary address must differ",
    (
        ep.USER_IP.path,
        "UDAPI1185",
    ): "The addresses can be changed once in a calendar week; try again next week",
    (ep.USER_IP.path, "UDAPI1186"): "Another change is under way; look again in a minute",
    (ep.KILL_SWITCH.path, "UDAPI1181"): "The broker does not know this segment",
    (ep.KILL_SWITCH.path, "UDAPI1184"): "Close every position in the segment first",
    (ep.KILL_SWITCH.path, "UDAPI1185"): "A segment that was switched off stays off for 12 hours",
    (
        ep.KILL_SWITCH.path,
        "UDAPI1186",
    ): "The broker does not know this segment, or the account does not have it",
    (ep.KILL_SWITCH.path, "UDAPI1187"): "Open orders could not be cancelled: cancel them, then try again",
    (ep.KILL_SWITCH.path, "UDAPI1188"): "A segment is switched with ENABLE or DISABLE only",
}


def remedy_for(path: str, code: str) -> str:
    """How to mend an error code on an endpoint; empty when we know no remedy."""
    return _BY_ENDPOINT.get((path, code)) or _REMEDIES.get(code, "")


# What the broker's risk system writes on a rejected order, which carries no code (`upstox.md` 2.7). Matched as
# lower-case text, first match wins; the broker's own words always stand before our advice.
_REJECTIONS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (
        ("margin", "insufficient", "fund", "shortfall", "balance"),
        "Add funds, free margin, or send a smaller order",
    ),
    (
        ("circuit", "price band", "price range", "dpr", "execution range"),
        "Send a price inside the day's band",
    ),
    (
        ("cdsl", "tpin", "edis", "ddpi", "poa", "authoris", "authoriz"),
        "Authorise the sale in the Upstox app (CDSL TPIN), or give a DDPI once",
    ),
    (("freeze", "maximum order quantity"), "Send it in smaller parts"),
    (("t2t", "trade to trade", "trade-to-trade", "be series"), "Only delivery is allowed here, no intraday"),
    (
        ("ban period", "in ban", "f&o ban", "mwpl"),
        "The stock is in the F&O ban: only orders that reduce a position are taken",
    ),
    (("square off", "square-off", "squareoff"), "The broker takes no new intraday orders so late in the day"),
    (("holding", "short sell", "not available for sell"), "There is not so much to sell: look at holdings"),
    (("trigger price",), "Put the trigger on the other side of the last price, or its limit nearer"),
    (("session", "market is closed", "market closed", "not allowed in this"), "Look at the market's hours"),
)


def advice(words: str) -> str:
    """What to do about an order that the broker or the exchange rejected; empty when we know nothing."""
    low = words.lower()
    return next((text for marks, text in _REJECTIONS if any(mark in low for mark in marks)), "")


def first_error(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and words of the first error in an error envelope; snake_case is read before camelCase."""
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else errors
    if not isinstance(first, Mapping):
        first = body
    code = first.get("error_code") or first.get("errorCode") or ""
    return clean(code, 40), clean(first.get("message") or "")


def refusal(endpoint: ep.Endpoint, status: int, body: Mapping[str, Any]) -> TradeTuiError:
    """The exception for a proper error envelope."""
    code, message = first_error(body)
    message = message or f"the broker refused the request (HTTP {status})"
    remedy = remedy_for(endpoint.path, code)
    if status == 401 or code in _AUTH_CODES or endpoint.path == ep.TOKEN.path:
        return AuthRefused(message, code, status, remedy or _LOG_IN)
    if status == 429 or code == "UDAPI10005":
        return RateLimited(message, code, status, remedy or _REMEDIES["UDAPI10005"])
    return BrokerError(message, code, status, remedy)
