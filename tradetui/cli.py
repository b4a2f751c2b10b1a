"""The command table: names, flags, exit codes. Bodies live in `commands/` and are imported when they run.

What is about orders and money has its names and flags in `commands/table.py`.

Nothing but typer and the standard library is imported here, so that ``--help`` stays fast (ADR 0003 gives the
figures). Exit codes: 0 did it, 1 did not, 2 wrong use.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tradetui import __version__
from tradetui.commands import data_table, indicators_table, instruments_table, table
from tradetui.commands import replay as replay_commands

app = typer.Typer(
    name="tradetui",
    help="A keyboard-driven trading workstation for Indian markets. `tradetui run` needs no account.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
auth_app = typer.Typer(
    help="Daily login.", no_args_is_help=False, invoke_without_command=True, rich_markup_mode=None
)
config_app = typer.Typer(help="Settings.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(auth_app, name="auth")
app.add_typer(config_app, name="config")
app.add_typer(replay_commands.app, name="replay")

Home = Annotated[
    str | None, typer.Option("--home", help="Directory for settings and data.", envvar="TRADETUI_HOME")
]
UrlMain = Annotated[
    str | None, typer.Option("--url-main", help="Base URL of REST.", envvar="TRADETUI_URL_MAIN")
]
UrlOrder = Annotated[
    str | None, typer.Option("--url-order", help="Base URL of the order host.", envvar="TRADETUI_URL_ORDER")
]
UrlFeed = Annotated[
    str | None, typer.Option("--url-feed", help="Base URL of the feeds.", envvar="TRADETUI_URL_FEED")
]
UrlAssets = Annotated[
    str | None,
    typer.Option("--url-assets", help="Base URL of instrument files.", envvar="TRADETUI_URL_ASSETS"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Read the access token from standard input, for this run only.")
]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tradetui {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    live: Annotated[bool, typer.Option("--live", help="Real orders. Starts disarmed.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="As --live, on a simulator: arming, watchdog, no real order.")
    ] = False,
    headless: Annotated[bool, typer.Option("--headless", help="No screen.")] = False,
    lasting: Annotated[str | None, typer.Option("--for", help="Stop after so long: 30s, 5m, 2h.")] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when the replayed world ends.")
    ] = False,
    as_json: AsJson = False,
    token_stdin: TokenStdin = False,
    record: Annotated[bool, typer.Option("--record", help="Record the inbox for bit-exact replay.")] = False,
    sim_seed: Annotated[int | None, typer.Option("--seed", help="Seed of the inner simulator.")] = None,
    speed: Annotated[
        str | None,
        typer.Option("--speed", help="Exchange seconds a second: inner simulator, or a replay (also max)."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the inner simulator's day and start over.")
    ] = False,
    replay: Annotated[
        str | None, typer.Option("--replay", help="A past day (2025-12-15) or a recording, paper orders.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Replay: where to begin, HH:MM.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Replay: stand still there.")] = False,
) -> None:
    """Open the workstation. Without an account it opens on a simulated exchange."""
    from tradetui.commands.run import RunOptions, run_workstation

    raise SystemExit(
        run_workstation(
            RunOptions(
                home=home,
                urls=(url_main, url_order, url_feed, url_assets),
                live=live,
                rehearse=rehearse,
                headless=headless,
                lasting=lasting,
                until_end=until_end,
                as_json=as_json,
                token_stdin=token_stdin,
                record=record,
                sim_seed=sim_seed,
                speed=speed,
                fresh=fresh,
                replay=replay,
                start=start,
                paused=paused,
            )
        )
    )


@auth_app.callback(invoke_without_command=True)
def auth(
    context: typer.Context,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    paste_code: Annotated[
        bool, typer.Option("--paste-code", help="Paste the code or redirected URL yourself.")
    ] = False,
    paste_token: Annotated[
        bool, typer.Option("--paste-token", help="Paste an access token yourself.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the login URL, do not open it.")
    ] = False,
    new_app: Annotated[bool, typer.Option("--new-app", help="Ask for API key and secret again.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the browser.")] = 300.0,
) -> None:
    """Log in for the day; `auth status` and `auth logout` for the rest."""
    if context.invoked_subcommand is not None:
        context.obj = (home, url_main, url_order)
        return
    from tradetui.commands.auth import LoginOptions, login

    raise SystemExit(
        login(
            LoginOptions(
                home=home,
                url_main=url_main,
                url_order=url_order,
                paste_code=paste_code,
                paste_token=paste_token,
                no_browser=no_browser,
                new_app=new_app,
                timeout_s=timeout_s,
            )
        )
    )


def _of_parent(context: typer.Context, index: int, own: Any) -> Any:
    """A flag given before the subcommand counts too."""
    return own if own is not None else (context.obj or (None, None, None))[index]


@auth_app.command("status")
def auth_status(
    context: typer.Context, home: Home = None, url_main: UrlMain = None, as_json: AsJson = False
) -> None:
    """Who is logged in, at which host, until when."""
    from tradetui.commands.auth import status

    raise SystemExit(status(_of_parent(context, 0, home), _of_parent(context, 1, url_main), as_json=as_json))


@auth_app.command("logout")
def auth_logout(
    context: typer.Context,
    home: Home = None,
    url_main: UrlMain = None,
    forget_app: Annotated[bool, typer.Option("--forget-app", help="Also forget API key and secret.")] = False,
) -> None:
    """End the session at the broker and forget the token."""
    from tradetui.commands.auth import logout

    raise SystemExit(
        logout(_of_parent(context, 0, home), _of_parent(context, 1, url_main), forget_app=forget_app)
    )


@app.command()
def backfill(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols or instrument keys.")] = None,
    universe: Annotated[
        str, typer.Option("--universe", help="nifty50, fno, watchlist, or a file: one symbol or key a line.")
    ] = "",
    interval: Annotated[str, typer.Option("--interval", help="1m, 3m, 5m, 15m, 30m, 1h, 1d, 1w, 1M.")] = "1m",
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; default 30 days ago.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; default today.")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="So many days up to the last, instead of --from.")] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Only list what is missing; nothing is asked of the broker.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Ask for what is stored too, and report differences.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where a stored bar differs, take the broker's.")
    ] = False,
    expired: Annotated[
        str,
        typer.Option(
            "--expired", help="Expired contracts on the symbols: futures, options, all (Plus plan)."
        ),
    ] = "",
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    events: Annotated[
        bool, typer.Option("--events", help="A JSON line for every event, the final object last.")
    ] = False,
    token_stdin: TokenStdin = False,
) -> None:
    """Fetch past candles into market.duckdb. Can be stopped or killed, and called again."""
    from tradetui.commands.backfill import BackfillOptions, run_backfill

    raise SystemExit(
        run_backfill(
            BackfillOptions(
                symbols=tuple(symbols or ()),
                universe=universe,
                interval=interval,
                first=first.date() if first else None,
                last=last.date() if last else None,
                days=days,
                check=check,
                verify=verify,
                replace=replace,
                expired=expired,
                home=home,
                urls=(url_main, url_order, url_feed, url_assets),
                as_json=as_json,
                events=events,
                token_stdin=token_stdin,
            )
        )
    )


@app.command()
def sim(
    port: Annotated[int, typer.Option("--port", help="Port of the main listener; 0 picks free ports.")] = 0,
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="The login dialog redirects at once.")
    ] = False,
    jump_to_open: Annotated[
        bool, typer.Option("--jump-to-open", help="Start in a normal session whatever the hour.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the synthetic world.")] = 1,
    variant: Annotated[
        str, typer.Option("--variant", help="Synthetic world: full, thin, wide (240 more shares), hostile.")
    ] = "full",
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Recorded feed: a file or a folder.")
    ] = None,
    instruments: Annotated[
        Path | None, typer.Option("--instruments", help="Instrument file with the terms of what is replayed.")
    ] = None,
    bars: Annotated[Path | None, typer.Option("--bars", help="Minute bars to turn into ticks.")] = None,
    speed: Annotated[str, typer.Option("--speed", help="Exchange seconds a second, or max.")] = "1",
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Fault on from the start: NAME or NAME:key=value,...")
    ] = None,
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Date of the simulated session.")
    ] = None,
    cash: Annotated[int, typer.Option("--cash", help="Opening cash of the account, rupees.")] = 1_000_000,
    state: Annotated[Path | None, typer.Option("--state", help="File that keeps account and clock.")] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Serve a simulated exchange on loopback that speaks Upstox's protocol."""
    from tradetui.commands.sim import sim_from_flags

    raise SystemExit(
        sim_from_flags(
            port=port,
            auto_approve=auto_approve,
            jump_to_open=jump_to_open,
            seed=seed,
            variant=variant,
            replay=replay,
            instruments=instruments,
            bars=bars,
            speed=speed,
            faults=tuple(fault or ()),
            day=day.date() if day else None,
            cash=cash,
            state=state,
            until_stdin_closes=until_stdin_closes,
        )
    )


@app.command()
def kill(
    flatten: Annotated[bool, typer.Option("--flatten", help="Stage 2: close positions too.")] = False,
    include: Annotated[
        str, typer.Option("--include", help="What stage 2 closes beyond intraday and F&O: delivery,mtf.")
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Take the kill file away, and do no more.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Upstox's account, whatever the last run traded on.")
    ] = False,
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    token_stdin: TokenStdin = False,
) -> None:
    """Stop trading: cancel what opens risk, and close positions with --flatten. Works without an engine."""
    from tradetui.commands.kill import KillOptions, run_kill

    raise SystemExit(
        run_kill(
            KillOptions(
                home=home,
                urls=(url_main, url_order, url_feed, url_assets),
                flatten=flatten,
                include=include,
                live=live,
                clear=clear,
                token_stdin=token_stdin,
                as_json=as_json,
            )
        )
    )


@app.command(hidden=True)
def watchdog() -> None:
    """Stand by while orders may be live; started by `run` itself."""
    from tradetui.commands.watchdog import run_watchdog

    raise SystemExit(run_watchdog())


@app.command()
def doctor(
    home: Home = None,
    url_main: UrlMain = None,
    url_order: UrlOrder = None,
    url_feed: UrlFeed = None,
    url_assets: UrlAssets = None,
    as_json: AsJson = False,
    token_stdin: TokenStdin = False,
) -> None:
    """Check everything that trading needs, and say how to mend what is red."""
    from tradetui.commands.doctor import run_doctor

    raise SystemExit(
        run_doctor(
            home, (url_main, url_order, url_feed, url_assets), as_json=as_json, token_stdin=token_stdin
        )
    )


@config_app.command("init")
def config_init(home: Home = None) -> None:
    """Write a settings file in which every line is a comment."""
    from tradetui.commands.config import init

    raise SystemExit(init(home))


@config_app.command("check")
def config_check(home: Home = None, as_json: AsJson = False) -> None:
    """Read the settings file and say what is wrong, if anything."""
    from tradetui.commands.config import check

    raise SystemExit(check(home, as_json=as_json))


@config_app.command("path")
def config_path(home: Home = None) -> None:
    """Print where the settings file and the data live."""
    from tradetui.commands.config import path

    raise SystemExit(path(home))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="One of: decode, ingest, orders, startup.")],
    instruments: Annotated[int, typer.Option("--instruments", help="Instruments streamed.")] = 2000,
    rate: Annotated[int, typer.Option("--rate", help="Updates a second; 0: the benchmark's own.")] = 0,
    mode: Annotated[str, typer.Option("--mode", help="ltpc or full.")] = "full",
    seconds: Annotated[float, typer.Option("--seconds", help="How long; 0: the benchmark's own.")] = 0.0,
    ui: Annotated[bool, typer.Option("--ui", help="With the screen painting (ingest).")] = False,
    as_json: AsJson = False,
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder to keep the figures in, NAME.json.")
    ] = None,
) -> None:
    """Measure on this machine, beside what the bare libraries need in the same run."""
    from tradetui.commands.bench import BenchOptions, run_bench

    raise SystemExit(run_bench(BenchOptions(name, instruments, rate, mode, seconds, ui, as_json, save)))


table.add_to(app)
data_table.add_to(app)
instruments_table.add_to(app)
indicators_table.add_to(app)


def main() -> None:
    """Entry point: one clear line for whatever goes wrong, never a traceback."""
    from tradetui.domain.errors import TradeTuiError

    try:
        app()
    except TradeTuiError as error:
        print(f"tradetui: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("tradetui: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader went away (`| head`): not our error, and nothing more can be printed.
        sys.stderr.close()
        raise SystemExit(1) from None
    except Exception as error:
        from tradetui.commands.crash import report

        print(f"tradetui: internal error: {report(error)}", file=sys.stderr)
        raise SystemExit(1) from None
