"""Every request that the control socket takes, in one table, and the console that answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradetui.control import asking, reads, replay
from tradetui.control.host import Args, Host, products, text
from tradetui.control.scripts import Scripts
from tradetui.control.writes import Writes
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.engine import Charge
from tradetui.wiring.backfill.desk import EngineBackfills

Handler = Callable[["Console", Args], Awaitable[Mapping[str, Any]]]
Relogin = Callable[[], Awaitable[str]]
"""Takes up the token that is stored now; returns words."""
Query = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Answers a question to the stored past, off the loop: name of the question and its arguments."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of request.

    Attributes:
        words: What it does.
        handler: Does it.
        changes: It changes something: orders, arming, the risk state.
        takes: Names of the arguments it knows; others are refused.
    """

    words: str
    handler: Handler
    changes: bool = False
    takes: tuple[str, ...] = ()


class Console:
    """Answers requests of other commands while the engine runs.

    Args:
        host: The running engine.
        scripts: Arming and caps of scripted orders.
        note: Writes a change of the arming into the journal; raises when it cannot.
        charge: Estimates the charges of one executed order.
        query: Answers questions to the stored past; ``None`` where nothing is stored.
        relogin: Takes up a new login; ``None`` where there is none to take.
    """

    def __init__(
        self,
        host: Host,
        scripts: Scripts,
        note: Callable[[dict[str, Any]], None],
        charge: Charge,
        query: Query | None = None,
        relogin: Relogin | None = None,
    ) -> None:
        self.host = host
        self.charge = charge
        self.writes = Writes(host, scripts, note, self._used_before)
        self.query = query
        self.relogin = relogin

    async def _used_before(self, client_id: str) -> bool:
        """Whether a client id stands in the ledger: the engine itself knows those of its own day only."""
        if self.query is None:
            return False
        return bool((await self.query("client-id", {"client_id": client_id}))["used"])

    async def answer(self, name: str, args: dict[str, Any]) -> Mapping[str, Any]:
        """Answer one request.

        Raises:
            UsageError: There is no such request, or it was asked wrongly.
            TradeTuiError: It could not be done.
        """
        asked = REQUESTS.get(name)
        if asked is None:
            raise UsageError(f"no request {name[:40]!r}", f"there are: {', '.join(REQUESTS)}")
        strange = sorted(set(args) - set(asked.takes))
        if strange:
            raise UsageError(f"{name} does not take {', '.join(one[:40] for one in strange)}")
        return await asked.handler(self, args)


def _read(function: Callable[[Host, Args], Awaitable[dict[str, Any]]]) -> Handler:
    async def handler(console: Console, args: Args) -> Mapping[str, Any]:
        return await function(console.host, args)

    return handler


async def _status(console: Console, args: Args) -> Mapping[str, Any]:
    return {**await reads.status(console.host, args), **console.writes.permission()}


async def _risk(console: Console, args: Args) -> Mapping[str, Any]:
    return {**await reads.risk(console.host, args), "scripts": console.writes.permission()}


async def _kill(console: Console, args: Args) -> Mapping[str, Any]:
    """Pull the kill switch; what follows goes on in the engine, whoever hangs up."""
    host = console.host
    include = products(args, "include")
    kind = OperatorKind.FLATTEN if args.get("flatten") else OperatorKind.KILL
    note = text(args, "note") or "kill command"
    console.writes.scripts.disarm()
    host.take(OperatorEvent(host.parts.clock.now_ns(), kind, note=note, include=include))
    desk = host.engine.desk
    return {
        "state": desk.books.state.value,
        "reason": desk.books.state_reason,
        "working_orders": sum(order.status.working for order in desk.manager.orders.values()),
        "open_positions": len(desk.portfolio.open_positions()),
    }


async def _relogin(console: Console, args: Args) -> Mapping[str, Any]:
    if console.relogin is None:
        raise TradeTuiError("this run has no login that could be renewed")
    return {"words": await console.relogin()}


def _past(name: str) -> Handler:
    async def handler(console: Console, args: Args) -> Mapping[str, Any]:
        if console.query is None:
            raise TradeTuiError("nothing is stored in this run")
        return await console.query(name, args)

    return handler


async def _charges(console: Console, args: Args) -> Mapping[str, Any]:
    """Our estimate from the ledger, the broker's own calculator beside it."""
    if console.query is None:
        raise TradeTuiError("nothing is stored in this run")
    found = dict(await console.query("charges", args))
    found["rows"], words = await asking.compare(console.host, found["rows"])
    return {**found, "broker_words": words}


def _backfills(console: Console) -> EngineBackfills:
    found = console.host.parts.backfills
    if found is None:
        raise TradeTuiError("nothing is stored in this run")
    return found


async def _backfill_start(console: Console, args: Args) -> Mapping[str, Any]:
    return _backfills(console).start(args)


async def _backfill_state(console: Console, args: Args) -> Mapping[str, Any]:
    return _backfills(console).state(args)


async def _backfill_stop(console: Console, args: Args) -> Mapping[str, Any]:
    return await _backfills(console).stop(args)


async def _backfill_check(console: Console, args: Args) -> Mapping[str, Any]:
    return await _backfills(console).check(args)


_BACKFILL: Final = (
    "symbols", "universe", "lines", "file", "interval", "first", "last", "days", "verify", "replace", "expired",
)  # fmt: skip

_TERMS: Final = (
    "instrument", "side", "qty", "product", "type", "price", "trigger_price", "validity", "disclosed_qty",
    "protection_pct", "stop", "target", "reason", "client_id", "amo", "script", "wait",
)  # fmt: skip

REQUESTS: Final[Mapping[str, Asked]] = {
    "status": Asked("what runs, and in which state", _status),
    "orders": Asked("orders of the day", _read(reads.orders), takes=("open", "tag")),
    "trades": Asked("trades of the day", _read(reads.trades)),
    "positions": Asked("positions of the day", _read(reads.positions), takes=("open",)),
    "holdings": Asked("shares in the demat account", _read(reads.holdings)),
    "funds": Asked("cash, margin in use, capital", _read(reads.funds)),
    "gtts": Asked("GTTs", _read(reads.gtts), takes=("open",)),
    "naked": Asked("positions without full protection, and why", _read(reads.naked)),
    "budget": Asked("requests used of the broker's limits", _read(reads.budget)),
    "risk": Asked("state of the gate, breakers, limits and what is used", _risk),
    "reconcile": Asked("compare with the broker's account now", _read(reads.reconcile), takes=("wait",)),
    "pnl": Asked("profit by symbol, strategy or day", _past("pnl"), takes=("first", "last", "by")),
    "slippage": Asked("decision times and slippage of orders", _past("slippage"), takes=("first", "last")),
    "charges": Asked("charges of orders, ours beside the broker's", _charges, takes=("tags",)),
    "charges-preview": Asked(
        "charges of an order not sent yet",
        lambda c, a: asking.charges_preview(c.host, a, c.charge),
        takes=("instrument", "side", "qty", "price", "product"),
    ),
    "locks": Asked("segments closed by the account's own kill switch", _read(asking.locks)),
    "set-lock": Asked(
        "close a segment at the broker, or open it",
        _read(asking.set_lock),
        changes=True,
        takes=("segment", "close"),
    ),
    "sql": Asked(
        "one SELECT on what is stored, read-only; without a statement the tables",
        _past("sql"),
        takes=("statement", "most", "seconds"),
    ),
    "export": Asked(
        "stored rows as an Arrow file in the account's folder, for `tradetui export`",
        _past("export"),
        takes=("kind", "symbols", "interval", "first_us", "last_us"),
    ),
    "check": Asked("structure and sizes of what is stored", _past("check")),
    "archive": Asked("move closed days into the archive", _past("archive"), changes=True, takes=("before",)),
    "place": Asked("send one order", lambda c, a: c.writes.place(a), changes=True, takes=_TERMS),
    "modify": Asked(
        "change a working order",
        lambda c, a: c.writes.modify(a),
        changes=True,
        takes=("tag", "qty", "price", "trigger_price", "script", "wait"),
    ),
    "cancel": Asked(
        "cancel one order, or all",
        lambda c, a: c.writes.cancel(a),
        changes=True,
        takes=("tag", "all", "instrument", "script", "wait"),
    ),
    "exit": Asked(
        "close one position, or all",
        lambda c, a: c.writes.exit(a),
        changes=True,
        takes=("instrument", "product", "qty", "all", "include", "script", "wait"),
    ),
    "arm-scripts": Asked(
        "let scripts send orders, within caps",
        lambda c, a: c.writes.arm_scripts(a),
        changes=True,
        takes=("minutes", "max_orders", "max_value", "max_total", "by"),
    ),
    "disarm": Asked(
        "take arming away", lambda c, a: c.writes.disarm(a), changes=True, takes=("only_scripts",)
    ),
    "kill": Asked(
        "the kill switch: stage 1, and stage 2 with `flatten`",
        _kill,
        changes=True,
        takes=("note", "flatten", "include"),
    ),
    "backfill-start": Asked(
        "fetch past bars into the store; gives the number of the job",
        _backfill_start,
        takes=_BACKFILL,
    ),
    "backfill-state": Asked(
        "how far a backfill is: events since a number, the summary at its end",
        _backfill_state,
        takes=("job", "since"),
    ),
    "backfill-stop": Asked("end a backfill; what came is stored", _backfill_stop, takes=("job",)),
    "backfill-check": Asked("which past bars are missing", _backfill_check, takes=_BACKFILL),
    "replay": Asked(
        "steer a replay: pause, step, jump, speed",
        _read(replay.steer),
        changes=True,
        takes=("words", "wait"),
    ),
    "relogin": Asked("take up a new login", _relogin, changes=True),
}
"""Name of the request -> what it does. Stable: other commands, and users' scripts through them, stand on it."""
