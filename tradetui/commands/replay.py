"""`tradetui replay`: names and flags. Recordings on the disk, and steering a replay that runs.

Bodies are in `commands.recordings` and imported when they run, as in `cli.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradetui.commands.table import AsCsv, AsJson, Home

app = typer.Typer(
    help="Recordings of past days; `tradetui run --replay` plays one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Return when it has come to rest: paused, or at the end.")
]


@app.command("list")
def list_(home: Home = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """What was recorded: day, span, frames, size, and whether it is whole."""
    from tradetui.commands.recordings import show_all

    raise SystemExit(show_all(home, as_json=as_json, as_csv=as_csv))


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="A recording's name, a file, or a day such as 2025-12-15.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One recording, read through and checked: instruments, gaps, versions, damage."""
    from tradetui.commands.recordings import show_one

    raise SystemExit(show_one(what, home, as_json=as_json))


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A capture of the feed: *.jsonl.gz, *.pb.gz, or a folder.")],
    instruments: Annotated[
        Path | None, typer.Option("--instruments", help="Instrument file with the contract terms.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Turn somebody's capture of the feed into a recording."""
    from tradetui.commands.recordings import import_capture

    raise SystemExit(import_capture(source, instruments, home, as_json=as_json))


@app.command()
def status(home: Home = None, as_json: AsJson = False) -> None:
    """Where the running replay stands."""
    _steer(home, as_json, False, "status")


@app.command()
def pause(home: Home = None, as_json: AsJson = False) -> None:
    """Stand still."""
    _steer(home, as_json, True, "pause")


@app.command()
def resume(home: Home = None, as_json: AsJson = False) -> None:
    """Go on at the pace that was set."""
    _steer(home, as_json, False, "resume")


@app.command()
def step(
    how_far: Annotated[str, typer.Argument(help="frame, second or minute.")] = "frame",
    home: Home = None,
    wait: Wait = True,
    as_json: AsJson = False,
) -> None:
    """Play a little, then stand still."""
    _steer(home, as_json, wait, "step", how_far)


@app.command()
def jump(
    clock: Annotated[str, typer.Argument(help="Time of day, HH:MM or HH:MM:SS; ahead only.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run there at full speed; everything on the way happens."""
    _steer(home, as_json, False, "jump", clock)


@app.command()
def speed(
    times: Annotated[str, typer.Argument(help="Times real time, such as 10, or max.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Set the pace."""
    _steer(home, as_json, False, "speed", times)


def _steer(home: str | None, as_json: bool, wait: bool, *words: str) -> None:
    from tradetui.commands.recordings import steer

    raise SystemExit(steer(words, home, wait=wait, as_json=as_json))
