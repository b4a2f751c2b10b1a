"""The commands about indicators: names and flags. Bodies are imported when they run."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]

indicators_app = typer.Typer(
    help="The indicators there are: list, show.", no_args_is_help=True, rich_markup_mode=None
)


@indicators_app.command("list")
def indicators_list(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words that the name or title must contain.")
    ] = None,
    family: Annotated[str, typer.Option("--family", help="Only this family: trend, momentum ...")] = "",
    on_price: Annotated[
        bool, typer.Option("--on-price", help="Only those that a chart can draw over its bars.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Names, parameters with their defaults, outputs, and how many bars each needs before its first value."""
    from tradetui.commands.indicators import run_list

    raise SystemExit(run_list(tuple(words or ()), family, on_price=on_price, as_json=as_json, as_csv=as_csv))


@indicators_app.command("show")
def indicators_show(
    text: Annotated[str, typer.Argument(help="As people write it: rsi, 'macd(12,26,9)'.")],
    as_json: AsJson = False,
) -> None:
    """Everything about one indicator, with the parameters given or the usual ones."""
    from tradetui.commands.indicators import run_show

    raise SystemExit(run_show(text, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command table."""
    app.add_typer(indicators_app, name="indicators")
