"""Every fault there is, by name. `faults.Faults` is the switchboard; this is its label plate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = int | float | str | bool
Args = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table.

    Attributes:
        what: What happens, in one line.
        args: Its own arguments with their defaults.
        sudden: Happens once at the moment it is switched on, instead of lasting.
    """

    what: str
    args: Mapping[str, Value] = field(default_factory=dict)
    sudden: bool = False


_NETWORK: dict[str, FaultKind] = {
    "drop": FaultKind(
        "cuts stream sockets: stream = market, portfolio or all; code 0 cuts without goodbye (a client sees "
        "1006), any other is sent as the close code",
        {"stream": "all", "code": 0},
        sudden=True,
    ),
    "unreachable": FaultKind(
        "nothing listens any more: every connection is cut and new ones are refused, as in a DNS outage; the "
        "control URL stays"
    ),
    "delay": FaultKind("answers come `ms` milliseconds late", {"ms": 1000}),
    "hang": FaultKind(
        "the request is taken and never answered; with after=1 it takes effect first", {"after": 0}
    ),
    "html-403": FaultKind("the edge in front answers with an HTML page and 403"),
    "empty-400": FaultKind("400 with an empty body"),
    "maintenance-503": FaultKind("503 from a broker under maintenance"),
    "5xx": FaultKind("the server fails with `status`, before anything took effect", {"status": 500}),
    "truncated": FaultKind("answers end in the middle of their JSON, after everything took effect"),
}

_LOGIN: dict[str, FaultKind] = {
    "401": FaultKind("every bearer is refused (UDAPI100050)"),
    "429": FaultKind(
        "every request is one too many (UDAPI10005); retry_after > 0 says so in a Retry-After header, seconds",
        {"retry_after": 0},
    ),
    "no-limits": FaultKind("the rate limits that always hold are lifted"),
    "single-token": FaultKind("a new token ends the old one"),
    "revoke": FaultKind("ends every token given out so far, once", sudden=True),
    "403-static-ip": FaultKind("order writes come from an unregistered address (UDAPI1154)"),
    "service-hours": FaultKind(
        "orders and funds are closed (UDAPI100074, UDAPI100072); with by_clock=1 only outside 05:30-24:00 IST",
        {"by_clock": 0},
    ),
}

_WRITES: dict[str, FaultKind] = {
    "lost-ack-before": FaultKind("the connection drops before an order write takes effect"),
    "lost-ack-after": FaultKind(
        "an order write takes effect, then the connection drops instead of an answer"
    ),
    "garbled-ack": FaultKind(
        "an order write takes effect, then the answer makes no sense: form = empty, html, null or 502",
        {"form": "empty"},
    ),
    "early-push": FaultKind(
        "an order write takes effect and its pushes go out, and the acknowledgement comes `ms` later",
        {"ms": 200},
    ),
    "lax-protection": FaultKind("MARKET orders pass without market protection, as before April 2026"),
    "odd-row": FaultKind(
        "the first row of order book and trades is odd: form = status, enum, missing, type or nameless (no id)",
        {"form": "status"},
    ),
}

_ORDERS: dict[str, FaultKind] = {
    "reject": FaultKind(
        "the exchange refuses orders after they were acknowledged; of one instrument (key or symbol) if given. "
        "skip=2,count=1 refuses the third child of a sliced order",
        {"message": "RMS: rule check failed on this order", "instrument": ""},
    ),
    "partial": FaultKind(
        "an order finds only `percent` of its quantity in the book, and what is left waits until this is lifted",
        {"percent": 40},
    ),
    "late-cancel": FaultKind("an order fills just before its cancel arrives, which is then refused"),
    "no-fill-trigger": FaultKind(
        "the market jumps through trigger and limit of every waiting stop, by `pct` percent beyond the limit",
        {"pct": 1.0},
        sudden=True,
    ),
    "gtt-fail": FaultKind(
        "a GTT that triggers fails: its child is rejected with `message`",
        {"message": "RMS: margin exceeds: the settlement payout has emptied the account"},
    ),
    "no-ddpi": FaultKind("holdings cannot be sold: no DDPI, and no CDSL TPIN authorisation today"),
    "phone": FaultKind(
        "someone uses the same account elsewhere: action = place, modify or cancel (the newest working order)",
        {
            "action": "place",
            "instrument": "",
            "side": "BUY",
            "qty": 0,
            "price": 0.0,
            "trigger_price": 0.0,
            "product": "I",
        },
        sudden=True,
    ),
    "broker-kill-switch": FaultKind(
        "the broker locks a segment whatever is open there: pending orders are cancelled and new ones refused "
        "until it is switched on again after 12 hours",
        {"segment": "NSE_FO"},
        sudden=True,
    ),
    "square-off": FaultKind(
        "the broker closes intraday positions, at = now or a time such as 15:12 (IST), and takes no new "
        "intraday orders for the rest of the day",
        {"at": "now"},
    ),
}

_MARKET: dict[str, FaultKind] = {
    "gap": FaultKind(
        "a price jumps by `pct` percent and stays there: of one instrument (key or symbol), or of all with orders",
        {"instrument": "", "pct": -5.0},
        sudden=True,
    ),
    "halt": FaultKind(
        "trading is halted, in one instrument (key or symbol) or the whole market: orders rest, nothing matches, "
        "MARKET is refused",
        {"instrument": "", "message": "trading is halted"},
    ),
    "circuit": FaultKind(
        "an instrument is at its circuit: side = lower has no buyers, upper no sellers, and nothing trades",
        {"instrument": "", "side": "lower"},
    ),
    "auction-now": FaultKind(
        "the closing auction begins now, in one instrument or all shares: stage = ENTRY, REFERENCE or MATCH; "
        "when lifted, what was not matched is cancelled",
        {"instrument": "", "stage": "ENTRY"},
    ),
    "band-reset": FaultKind(
        "the exchange resets price bands to `pct` percent around the last price, and cancels orders outside",
        {"instrument": "", "pct": 3},
        sudden=True,
    ),
}

_STREAMS: dict[str, FaultKind] = {
    "feed-403": FaultKind("stream handshakes are refused although authorize said 200"),
    "feed-423": FaultKind("handshakes of the market feed are refused: the account is locked for streaming"),
    "feed-429": FaultKind("handshakes of the market feed are refused: too many attempts"),
    "keys-by-connection": FaultKind(
        "the feed's limits on instruments hold for each connection, not for the user"
    ),
    "portfolio-403": FaultKind("handshakes of the portfolio stream are refused although authorize said 200"),
    "duplicate": FaultKind("every frame of the streams comes twice"),
    "disorder": FaultKind("frames of the streams come in swapped pairs"),
    "malformed": FaultKind(
        "frames of the market feed are bad: form = random (bytes), truncated, huge (10 MB), enum (unknown type), "
        "nan, zero, negative or vast (prices)",
        {"form": "random"},
    ),
    "stall": FaultKind(
        "the streams go silent while pings and pongs go on; with pongs=0 the market feed does not answer pings "
        "either",
        {"pongs": 1},
    ),
    "lost-frames": FaultKind("frames of the market feed never arrive"),
    "cached-quote": FaultKind(
        "what a client hears first of an instrument is five weeks old, as a cache may give it"
    ),
    "burst": FaultKind(
        "the market feed sends the state of everything `frames` times in a row",
        {"frames": 50_000},
        sudden=True,
    ),
    "missing-fill": FaultKind(
        "the pushes of a fill (order, position, holding) are swallowed, and those before and after it come"
    ),
    "stale-push": FaultKind("after each order push the oldest push of the same order comes once more"),
    "slow-push": FaultKind("pushes of the portfolio stream come `ms` milliseconds late", {"ms": 500}),
}

_HISTORY: dict[str, FaultKind] = {
    "plus-plan": FaultKind(
        "the account has the broker's Plus plan: expired contracts are served, thirty levels stream, on five connections"
    ),
    "history-429": FaultKind(
        "requests for past bars are too many (UDAPI10005); retry_after > 0 says so in a Retry-After header, seconds",
        {"retry_after": 0},
    ),
    "history-5xx": FaultKind("requests for past bars fail with `status`", {"status": 503}),
    "history-hang": FaultKind("requests for past bars are taken and never answered"),
    "history-truncated": FaultKind("answers with past bars end in the middle of their JSON"),
    "history-html": FaultKind("the edge answers requests for past bars with a web page and 200"),
    "history-odd": FaultKind("the newest bar of an answer makes no sense: its low is above its high"),
    "history-null": FaultKind("answers with past bars hold `data: null`"),
}

FAULTS: dict[str, FaultKind] = {**_NETWORK, **_LOGIN, **_WRITES, **_ORDERS, **_MARKET, **_STREAMS, **_HISTORY}
"""Every fault there is."""
