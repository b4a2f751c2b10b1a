"""Faults on switches: everything that goes wrong with a broker, by name.

A fault is switched on from the command line (``--fault NAME``), through the control URL
(``POST /faults``), or by a test. Whoever serves a request or a stream asks `Faults` whether one strikes.
`FAULTS` documents each; every fault also takes the `COMMON` arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tradetui.domain.errors import UsageError

Value = int | float | str | bool
Args = Mapping[str, Value]

COMMON: dict[str, Value] = {"count": 0, "every": 1, "path": ""}
"""``count``: strikes before it switches itself off, 0 for no end; ``every``: strikes one in N;
``path``: strikes only requests whose path contains this text."""


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


FAULTS: dict[str, FaultKind] = {
    "drop": FaultKind(
        "cuts stream sockets: stream = market, portfolio or all; code 0 cuts without goodbye (a client sees "
        "1006), any other is sent as the close code",
        {"stream": "all", "code": 0},
        sudden=True,
    ),
    "delay": FaultKind("answers come `ms` milliseconds late", {"ms": 1000}),
    "reject": FaultKind(
        "the exchange refuses orders after they were acknowledged",
        {"message": "RMS: rule check failed on this order"},
    ),
    "duplicate": FaultKind("every frame of the streams comes twice"),
    "disorder": FaultKind("frames of the streams come in swapped pairs"),
    "malformed": FaultKind("frames of the market feed are random bytes"),
    "stall": FaultKind("the market feed goes silent while pings and pongs go on"),
    "401": FaultKind("every bearer is refused (UDAPI100050)"),
    "429": FaultKind("every request is one too many (UDAPI10005)"),
    "no-limits": FaultKind("the rate limits that always hold are lifted"),
    "single-token": FaultKind("a new token ends the old one"),
    "403-static-ip": FaultKind("order writes come from an unregistered address (UDAPI1154)"),
    "service-hours": FaultKind(
        "orders and funds are closed (UDAPI100074, UDAPI100072); with by_clock=1 only outside 05:30-24:00 IST",
        {"by_clock": 0},
    ),
    "html-403": FaultKind("the edge in front answers with an HTML page and 403"),
    "empty-400": FaultKind("400 with an empty body"),
    "hang": FaultKind(
        "the request is taken and never answered; with after=1 it takes effect first", {"after": 0}
    ),
    "lost-ack-before": FaultKind("the connection drops before an order write takes effect"),
    "lost-ack-after": FaultKind(
        "an order write takes effect, then the connection drops instead of an answer"
    ),
    "garbled-ack": FaultKind(
        "an order write takes effect, then the answer makes no sense: form = empty, html, null or 502",
        {"form": "empty"},
    ),
    "maintenance-503": FaultKind("503 from a broker under maintenance"),
    "feed-403": FaultKind("stream handshakes are refused although authorize said 200"),
    "revoke": FaultKind("ends every token given out so far, once", sudden=True),
    "broker-kill-switch": FaultKind(
        "the broker locks a segment whatever is open there: pending orders are cancelled and new ones refused "
        "until it is switched on again after 12 hours",
        {"segment": "NSE_FO"},
        sudden=True,
    ),
    "lax-protection": FaultKind("MARKET orders pass without market protection, as before April 2026"),
}
"""Every fault there is."""


class Faults:
    """The switchboard. Used on the server's loop only."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, Value]] = {}
        self._seen: dict[str, int] = {}
        self._strikes: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._sudden: dict[str, list[Callable[[Args], None]]] = {}

    def set(self, name: str, args: Args | None = None) -> None:
        """Switch a fault on, or change its arguments; ``{"off": true}`` switches it off.

        Raises:
            UsageError: No such fault or argument.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise UsageError(f"no fault named {name!r}", "Faults: " + ", ".join(sorted(FAULTS)))
        given = dict(args or {})
        if given.pop("off", False):
            self.clear(name)
            return
        known = {**COMMON, **kind.args}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise UsageError(f"fault {name!r} takes no {unknown[0]!r}", "It takes: " + ", ".join(known))
        wrong = [key for key, value in given.items() if isinstance(known[key], str) != isinstance(value, str)]
        if wrong or int(given.get("every", 1)) < 1 or int(given.get("count", 0)) < 0:
            raise UsageError(f"wrong arguments for fault {name!r}: {given}")
        full = {**known, **given}
        if kind.sudden:
            self._strikes[name] = self._strikes.get(name, 0) + 1
            for act in self._sudden.get(name, ()):
                act(full)
        else:
            self._on[name] = full
            self._seen[name] = self._strikes[name] = 0
        self._tell()

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        if name is None:
            self._on.clear()
        else:
            self._on.pop(name, None)
        self._tell()

    def active(self, name: str) -> Args | None:
        """Arguments of a fault that is on, else None. Does not count as a strike."""
        return self._on.get(name)

    def strike(self, name: str, path: str = "") -> Args | None:
        """Arguments of a fault if it hits this occasion, else None; counts towards ``count`` and ``every``."""
        args = self._on.get(name)
        if args is None or str(args["path"]) not in path:
            return None
        self._seen[name] += 1
        if self._seen[name] % int(args["every"]):
            return None
        self._strikes[name] += 1
        if args["count"] and self._strikes[name] >= int(args["count"]):
            self.clear(name)
        return args

    def on_sudden(self, name: str, act: Callable[[Args], None]) -> None:
        """Have ``act`` called whenever a sudden fault happens."""
        self._sudden.setdefault(name, []).append(act)

    async def wait_change(self) -> None:
        """Return at the next switch of any fault."""
        await self._changed.wait()

    def listing(self) -> dict[str, object]:
        """What is on, with arguments, and how often each has struck."""
        return {
            "active": {name: dict(args) for name, args in self._on.items()},
            "strikes": {name: count for name, count in self._strikes.items() if count},
        }

    def _tell(self) -> None:
        # Everybody waiting gets this change; those who wait from now on get the next.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def parse_fault(text: str) -> tuple[str, dict[str, Value]]:
    """Read ``NAME`` or ``NAME:key=value,key=value`` as given on the command line.

    Raises:
        UsageError: The text has no such form.
    """
    name, _, rest = text.partition(":")
    args: dict[str, Value] = {}
    for part in filter(None, rest.split(",")):
        key, equals, raw = part.partition("=")
        if not equals:
            raise UsageError(f"not a fault: {text!r}", "Write it as NAME or NAME:key=value,key=value")
        args[key.strip()] = _value(raw.strip())
    return name.strip(), args


def _value(raw: str) -> Value:
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return raw
