"""The commands about orders and money: names and flags. Bodies are imported when they run, as in `cli.py`.

Money and prices are typed in rupees. Exit codes: 0 did it, 1 did not, 2 wrong use.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

Home = Annotated[
    str | None, typer.Option("--home", help="Directory for settings and data.", envvar="TRADETUI_HOME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]
Account = Annotated[
    str, typer.Option("--account", help="Folder name of an account: read its files, whatever runs.")
]
OnlyOpen = Annotated[bool, typer.Option("--open", help="Only what still works or is held.")]
First = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="First day, IST; default the beginning."),
]
Last = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, IST; default today.")
]
Script = Annotated[str, typer.Option("--script", help="Name of the script, kept with the order.")]
Wait = Annotated[float, typer.Option("--wait", help="Longest wait for the broker's answer, seconds.")]
ProductFlag = Annotated[str, typer.Option("--product", help="I (intraday), D (delivery, carry) or MTF.")]
PriceFlag = Annotated[float | None, typer.Option("--price", help="Limit price, rupees.")]
TriggerFlag = Annotated[float | None, typer.Option("--trigger", help="Trigger price of a stop, rupees.")]
QtyFlag = Annotated[int | None, typer.Option("--qty", help="Units.")]

audit_app = typer.Typer(
    help="The journal: is it whole, what does it say.", no_args_is_help=True, rich_markup_mode=None
)


def _read(name: str, home: str | None, account: str, as_json: bool, as_csv: bool, **args: Any) -> None:
    from tradetui.commands.read import ReadOptions, run_read

    given = {key: value for key, value in args.items() if value}
    raise SystemExit(run_read(name, ReadOptions(home, account, as_json, as_csv, given)))


def _write(name: str, home: str | None, as_json: bool, as_csv: bool, **args: Any) -> None:
    from tradetui.commands.trade import WriteOptions, run_write

    raise SystemExit(run_write(name, WriteOptions(home, as_json, as_csv, args)))


def _iso(day: datetime | None) -> str:
    return day.date().isoformat() if day else ""


# --- reads --------------------------------------------------------------------------------------------


def status(home: Home = None, as_json: AsJson = False) -> None:
    """What runs, in which state, and what scripts may do."""
    _read("status", home, "", as_json, False)


def orders(
    only_open: OnlyOpen = False,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Orders of the day, oldest first."""
    _read("orders", home, account, as_json, as_csv, open=only_open)


def trades(account: Account = "", home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Trades of the day."""
    _read("trades", home, account, as_json, as_csv)


def positions(
    only_open: OnlyOpen = False,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Positions with profit, charges and ticks to breakeven, and which of them are naked."""
    _read("positions", home, account, as_json, as_csv, open=only_open)


def holdings(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Shares in the demat account."""
    _read("holdings", home, "", as_json, as_csv)


def funds(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Cash, margin in use, and the capital that limits refer to."""
    _read("funds", home, "", as_json, as_csv)


def gtts(
    only_open: OnlyOpen = False, home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """GTTs of the account."""
    _read("gtts", home, "", as_json, as_csv, open=only_open)


def naked(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Positions without full protection right now, and why."""
    _read("naked", home, "", as_json, as_csv)


def budget(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Requests used of each window of the broker's limits."""
    _read("budget", home, "", as_json, as_csv)


def risk(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """State of the risk gate, breakers, limits and what is used of each."""
    _read("risk", home, "", as_json, as_csv)


def reconcile(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Let the running engine compare its book with the broker's now, and tell what differed."""
    _read("reconcile", home, "", as_json, as_csv)


def pnl(
    first: First = None,
    last: Last = None,
    by: Annotated[str, typer.Option("--by", help="symbol, strategy or day.")] = "symbol",
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Realised profit: gross, charges, net."""
    _read("pnl", home, account, as_json, as_csv, first=_iso(first), last=_iso(last), by=by)


def slippage(
    first: First = None,
    last: Last = None,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What the road from decision to fill cost each order, and how long each step took."""
    _read("slippage", home, account, as_json, as_csv, first=_iso(first), last=_iso(last))


def charges(
    tags: Annotated[
        list[str] | None, typer.Argument(help="Orders, by tag or broker id; none for all.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Of an order not sent yet: INSTRUMENT SIDE QTY PRICE.")
    ] = False,
    product: ProductFlag = "I",
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Charges: our estimate, and beside it what the broker's own calculator says."""
    from tradetui.commands.charges import ChargesOptions, run_charges

    raise SystemExit(
        run_charges(
            ChargesOptions(
                home=home,
                account=account,
                words=tuple(tags or ()),
                preview=preview,
                product=product,
                as_json=as_json,
                as_csv=as_csv,
            )
        )
    )


# --- writes -------------------------------------------------------------------------------------------


def place(
    instrument: Annotated[str, typer.Argument(help="Symbol or instrument key.")],
    side: Annotated[str, typer.Argument(help="BUY or SELL.")],
    qty: Annotated[int, typer.Argument(help="Units, not lots.")],
    price: PriceFlag = None,
    trigger: TriggerFlag = None,
    form: Annotated[
        str, typer.Option("--type", help="MARKET, LIMIT, SL or SL-M; by default what the prices say.")
    ] = "",
    product: ProductFlag = "I",
    validity: Annotated[str, typer.Option("--validity", help="DAY or IOC.")] = "DAY",
    disclosed: Annotated[int | None, typer.Option("--disclosed", help="Units shown in the book.")] = None,
    protection: Annotated[
        int | None,
        typer.Option("--protection", help="Market protection, 1 to 25 percent; default the broker's."),
    ] = None,
    stop: Annotated[float | None, typer.Option("--stop", help="Stop of the position, rupees.")] = None,
    target: Annotated[float | None, typer.Option("--target", help="Target of the position, rupees.")] = None,
    client_id: Annotated[
        str, typer.Option("--client-id", help="A name of your own: sent again with it, it is sent once.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, kept with the order.")] = "",
    amo: Annotated[
        bool,
        typer.Option("--amo", help="The market is closed: send it for the next open (after-market order)."),
    ] = False,
    script: Script = "",
    wait: Wait = 5.0,
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Send one order through the running engine, its risk gate and the caps of scripts; wait for the answer."""
    _write(
        "place", home, as_json, as_csv, instrument=instrument, side=side, qty=qty, price=price,
        trigger_price=trigger, type=form, product=product, validity=validity, disclosed_qty=disclosed,
        protection_pct=protection, stop=stop, target=target, client_id=client_id, reason=reason, amo=amo,
        script=script, wait=wait,
    )  # fmt: skip


def modify(
    tag: Annotated[str, typer.Argument(help="The order: its tag, broker id or client id.")],
    qty: QtyFlag = None,
    price: PriceFlag = None,
    trigger: TriggerFlag = None,
    script: Script = "",
    wait: Wait = 5.0,
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Change quantity, price or trigger of a working order."""
    _write(
        "modify", home, as_json, as_csv, tag=tag, qty=qty, price=price, trigger_price=trigger, script=script,
        wait=wait,
    )  # fmt: skip


def cancel(
    tag: Annotated[str, typer.Argument(help="The order: its tag, broker id or client id.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every working order.")] = False,
    instrument: Annotated[str, typer.Option("--instrument", help="With --all: only of this one.")] = "",
    script: Script = "",
    wait: Wait = 5.0,
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Cancel an order, or all. Never needs arming."""
    _one_of("cancel", tag, everything)
    _write(
        "cancel",
        home,
        as_json,
        as_csv,
        tag=tag,
        all=everything,
        instrument=instrument,
        script=script,
        wait=wait,
    )


def exit_(
    instrument: Annotated[str, typer.Argument(help="Symbol or instrument key.")] = "",
    product: ProductFlag = "I",
    qty: QtyFlag = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every position; delivery and MTF only when included.")
    ] = False,
    include: Annotated[
        list[str] | None, typer.Option("--include", help="With --all: close these products too: D, MTF.")
    ] = None,
    script: Script = "",
    wait: Wait = 10.0,
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Close a position, or all. Never needs arming."""
    _one_of("exit", instrument, everything)
    _write(
        "exit", home, as_json, as_csv, instrument=instrument, product="" if everything else product, qty=qty,
        all=everything, include=[one.upper() for one in include or ()] or None, script=script, wait=wait,
    )  # fmt: skip


def _one_of(name: str, what: str, everything: bool) -> None:
    from tradetui.domain.errors import UsageError

    if bool(what) == everything:
        raise UsageError(f"{name} needs either one name or --all")


def arm(
    scripts: Annotated[bool, typer.Option("--scripts", help="Let scripts send orders.")] = False,
    lasting: Annotated[str, typer.Option("--for", help="For how long: 10m, 2h.")] = "10m",
    max_orders: Annotated[int, typer.Option("--max-orders", help="Orders and modifies in all.")] = 20,
    max_value: Annotated[float, typer.Option("--max-value", help="Value of one order, rupees.")] = 100_000.0,
    max_total: Annotated[
        float | None,
        typer.Option("--max-total", help="Value of all of them, rupees; default orders times value."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let scripts send orders for some minutes, within caps. A person types it, on a terminal."""
    from tradetui.commands.run import duration_s
    from tradetui.commands.trade import run_arm

    args: dict[str, Any] = {
        "minutes": duration_s(lasting) / 60, "max_orders": max_orders, "max_value": max_value,
    }  # fmt: skip
    if max_total is not None:
        args["max_total"] = max_total
    raise SystemExit(run_arm(home, args, scripts=scripts, as_json=as_json))


def disarm(
    scripts: Annotated[bool, typer.Option("--scripts", help="Only of scripts.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take arming away: of live trading and of scripts."""
    from tradetui.commands.trade import run_disarm

    raise SystemExit(run_disarm(home, only_scripts=scripts, as_json=as_json))


def lockout(
    segments: Annotated[
        list[str] | None, typer.Argument(help="Segments to close: NSE_EQ, NSE_FO, ...; none shows the state.")
    ] = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open them again, where Upstox allows it.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upstox's own kill switch for whole segments: show it, or close segments for the day. Asks twice."""
    from tradetui.commands.lockout import LockoutOptions, run_lockout

    raise SystemExit(run_lockout(LockoutOptions(home, tuple(segments or ()), reopen, as_json)))


# --- audit --------------------------------------------------------------------------------------------


@audit_app.command("verify")
def audit_verify(account: Account = "", home: Home = None, as_json: AsJson = False) -> None:
    """Check every record, the chain of hashes, and the chain from file to file."""
    from tradetui.commands.audit import run_verify

    raise SystemExit(run_verify(home, account, as_json=as_json))


@audit_app.command("export")
def audit_export(
    first: First = None,
    last: Last = None,
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    kinds: Annotated[list[str] | None, typer.Option("--kind", help="Only records of this kind.")] = None,
    account: Account = "",
    home: Home = None,
) -> None:
    """Print the journal's records, checked on the way; secrets never got into it."""
    from tradetui.commands.audit import run_export

    days = (first.date() if first else None, last.date() if last else None)
    raise SystemExit(run_export(home, account, *days, form, tuple(kinds or ())))


def add_to(app: typer.Typer) -> None:
    """Register everything of this module."""
    for command in (
        status, orders, trades, positions, holdings, funds, gtts, naked, budget, risk, reconcile, pnl, slippage, charges,
        place, modify, cancel, arm, disarm, lockout,
    ):  # fmt: skip
        app.command()(command)
    app.command("exit")(exit_)
    app.add_typer(audit_app, name="audit")
