"""The read commands: ask the running engine; where none runs, open the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.control.client import NotRunning, ask
from tradetui.domain.errors import StorageError, TradeTuiError

if TYPE_CHECKING:
    from tradetui.commands.stored import StoredAccount

Offline = Callable[["StoredAccount", Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Flags of a read command.

    Attributes:
        home: Directory for settings and data.
        account: Folder name of an account: its files are read, whatever runs.
        as_json, as_csv: Form of the output.
        args: Arguments of the request.
        timeout_s: Longest wait for the engine, seconds.
    """

    home: str | None = None
    account: str = ""
    as_json: bool = False
    as_csv: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One read command.

    Attributes:
        columns: What the table shows; JSON and CSV have all.
        empty: What the table says when there are no rows.
        offline: Answers from the files; ``None`` where only a running engine knows.
        exit_code: Exit code of an answer.
    """

    columns: tuple[str, ...] = ()
    empty: str = "nothing"
    offline: Offline | None = None
    exit_code: Callable[[Mapping[str, Any]], int] = lambda data: 0


def _pnl(stored: StoredAccount, args: Mapping[str, Any]) -> dict[str, Any]:
    from tradetui.commands.past import profit

    answer = profit(stored.ledger, stored.symbol, args, stored.charge())
    return {"source": "files", "account": stored.folder.name, **answer}


def _slippage(stored: StoredAccount, args: Mapping[str, Any]) -> dict[str, Any]:
    from tradetui.commands.past import slippage

    answer = slippage(stored.ledger, stored.symbol, args)
    return {"source": "files", "account": stored.folder.name, **answer}


def _charges(stored: StoredAccount, args: Mapping[str, Any]) -> dict[str, Any]:
    from tradetui.commands.past import charges_of

    answer = charges_of(stored.ledger, stored.symbol, args, stored.charge())
    return {"source": "files", "account": stored.folder.name, **answer}


READINGS: Final[Mapping[str, Reading]] = {
    "status": Reading(),
    "orders": Reading(
        ("tag", "created", "symbol", "side", "qty", "filled_qty", "type", "price", "trigger_price",
         "average_price", "product", "status", "source", "message"),
        "no orders",
        lambda stored, args: stored.orders(only_open=bool(args.get("open")), tag=args.get("tag", "")),
    ),
    "trades": Reading(
        ("time", "symbol", "side", "qty", "price", "product", "tag", "trade_id"),
        "no trades",
        lambda stored, args: stored.trades(),
    ),
    "positions": Reading(
        ("symbol", "product", "qty", "average_price", "last", "day_pnl", "charges", "day_net", "breakeven",
         "ticks_to_breakeven", "naked_why"),
        "no positions",
        lambda stored, args: stored.positions(only_open=bool(args.get("open"))),
    ),
    "holdings": Reading(
        ("symbol", "qty", "t1_qty", "free_qty", "average_price", "last", "value", "pnl"), "no holdings"
    ),
    "funds": Reading(),
    "gtts": Reading(
        ("tag", "symbol", "side", "qty", "product", "kind", "status", "expires", "gtt_id", "message"),
        "no GTTs",
    ),
    "naked": Reading(("symbol", "product", "qty", "why"), "every position is protected"),
    "budget": Reading(("account", "seconds", "used", "allowed", "reserve", "next_slot_s", "pause_s"), "no limits"),
    "risk": Reading(("limit", "used", "most", "unit", "latched"), "no limits"),
    "reconcile": Reading(
        ("tag", "symbol", "before", "after", "foreign"), "our orders agree with the broker's"
    ),
    "pnl": Reading(
        ("key", "orders", "fills", "turnover", "gross", "charges", "net"), "no trades in that time", _pnl
    ),
    "slippage": Reading(
        ("tag", "symbol", "side", "qty", "decided_mid", "average_price", "ticks", "spread_ticks", "cost",
         "to_wire_ms", "to_answer_ms", "to_fill_ms"),
        "no orders in that time",
        _slippage,
    ),
    "charges": Reading(
        ("tag", "symbol", "side", "qty", "price", "product", "charges", "brokers", "difference"),
        "no orders that filled",
        _charges,
    ),
}  # fmt: skip
"""Name of the request -> how it is shown."""


def run_read(name: str, options: ReadOptions) -> int:
    """Answer a read command; returns the exit code.

    Raises:
        TradeTuiError: It cannot be answered.
    """
    form = form_of(as_json=options.as_json, as_csv=options.as_csv)
    reading = READINGS[name]
    place = config.home(options.home)
    data = _answer(name, reading, place, options)
    show(data, form, reading.columns, reading.empty)
    if name == "risk" and form == "table":
        _say_state(data)
    return reading.exit_code(data)


def _answer(name: str, reading: Reading, place: config.Home, options: ReadOptions) -> Mapping[str, Any]:
    if not options.account:
        try:
            return ask(place.data_dir, name, options.args, options.timeout_s)
        except NotRunning as error:
            if reading.offline is None:
                raise TradeTuiError(
                    f"{name}: only a running engine knows, and none works in {place.data_dir}", error.remedy
                ) from None
    if reading.offline is None:
        raise StorageError(f"{name} is not kept in files: leave --account away and ask the running engine")
    from tradetui.commands.stored import StoredAccount

    with StoredAccount(place, options.account) as stored:
        return reading.offline(stored, options.args)


def _say_state(data: Mapping[str, Any]) -> None:
    reason = f": {data['reason']}" if data.get("reason") else ""
    print(f"\ntrading is {data['state']}{reason}")
    if data.get("live"):
        armed = data.get("armed_until")
        print(f"live trading is armed until {armed}" if armed else "live trading is disarmed")
    scripts = data["scripts"]
    if scripts["scripts_armed"]:
        print(
            f"scripts: {scripts['orders_used']} of {scripts['orders_most']} orders used, "
            f"until {scripts['scripts_until'] or 'the run ends'}"
        )
    else:
        print("scripts are not armed")
