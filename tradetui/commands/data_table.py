"""The commands about what is stored: names and flags. Bodies are imported when they run, as in `cli.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

Home = Annotated[
    str | None, typer.Option("--home", help="Directory for settings and data.", envvar="TRADETUI_HOME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]
Account = Annotated[
    str, typer.Option("--account", help="Folder name of an account: read its files, whatever runs.")
]
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]

store_app = typer.Typer(
    help="The databases and the archive: size, check, archive, compact, repair.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def sql(
    statement: Annotated[
        str, typer.Argument(help="One SELECT; - reads it from standard input; left out: lists the tables.")
    ] = "",
    most: Annotated[int, typer.Option("--rows", help="Rows of the answer at most, up to 10000.")] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", help="How long it may run.")] = 20.0,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the stored past in SQL, read-only, also while `run` is active."""
    from tradetui.commands.sql import SqlOptions, run_sql

    raise SystemExit(run_sql(SqlOptions(statement, most, seconds, account, home, as_json, as_csv)))


def export(
    what: Annotated[
        str, typer.Argument(help="ticks, bars, trades, orders, positions ...; `list` tells all.")
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="File: .parquet, .csv, .arrow; - is standard output.")
    ] = "-",
    form: Annotated[
        str, typer.Option("--format", help="parquet, csv or arrow; default by the file's name, else csv.")
    ] = "",
    symbols: Annotated[
        list[str] | None, typer.Option("--symbol", help="Symbol or instrument key; may be repeated.")
    ] = None,
    interval: Annotated[str, typer.Option("--interval", help="Of bars: 1m, 5m, 1d ...; default all.")] = "",
    first: Annotated[
        datetime | None, typer.Option("--from", formats=_MOMENTS, help="From this day or moment on, IST.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=_MOMENTS, help="Up to the end of this day, or up to this moment, IST."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write stored rows to a file that other programs read."""
    from tradetui.commands.export import ExportOptions, run_export

    raise SystemExit(
        run_export(
            ExportOptions(
                what, out, form, tuple(symbols or ()), interval, first, last, force, account, home, as_json
            )
        )
    )


@store_app.command("size")
def store_size(account: Account = "", home: Home = None, as_json: AsJson = False) -> None:
    """What takes how much room."""
    from tradetui.commands.store import run_size

    raise SystemExit(run_size(home, account, as_json=as_json))


@store_app.command("check")
def store_check(
    quick: Annotated[bool, typer.Option("--quick", help="Structure and sizes only, not every byte.")] = False,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read everything that is stored and say what is damaged or missing; changes nothing."""
    from tradetui.commands.store import run_check

    raise SystemExit(run_check(home, account, quick=quick, as_json=as_json))


@store_app.command("archive")
def store_archive(
    before: Annotated[
        datetime | None,
        typer.Option(
            "--before", formats=["%Y-%m-%d"], help="Days before this one; default as set in config."
        ),
    ] = None,
    account: Account = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Move closed days of ticks and bars into Parquet files; every reader still sees them."""
    from tradetui.commands.store import run_archive

    raise SystemExit(run_archive(home, account, before.date() if before else None, as_json=as_json))


@store_app.command("compact")
def store_compact(account: Account = "", home: Home = None, as_json: AsJson = False) -> None:
    """Write market.duckdb anew without its holes, verified, and put it in the old one's place."""
    from tradetui.commands.store import run_compact

    raise SystemExit(run_compact(home, account, as_json=as_json))


@store_app.command("repair")
def store_repair(account: Account = "", home: Home = None, as_json: AsJson = False) -> None:
    """Mend what can be mended; what is damaged is set aside, never deleted."""
    from tradetui.commands.store import run_repair

    raise SystemExit(run_repair(home, account, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command table."""
    app.command()(sql)
    app.command()(export)
    app.add_typer(store_app, name="store")
