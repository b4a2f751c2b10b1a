"""Scripted writes: `place`, `modify`, `cancel`, `exit`, `arm --scripts`, `disarm`. Through the running engine only."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.control.client import NoAnswer, NotRunning, ask
from tradetui.domain.errors import TradeTuiError, UsageError

_COLUMNS: Final = (
    "tag", "symbol", "side", "qty", "filled_qty", "type", "price", "trigger_price", "average_price", "product",
    "status", "message",
)  # fmt: skip
_SLACK_S: Final = 15.0
"""Longer than the engine waits for the broker: for a first price, and for a busy machine."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Flags of a scripted write.

    Attributes:
        home: Directory for settings and data.
        as_json, as_csv: Form of the output.
        args: Arguments of the request; those that were not given are left out.
    """

    home: str | None = None
    as_json: bool = False
    as_csv: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)


def run_write(name: str, options: WriteOptions) -> int:
    """Ask the running engine for a change; exit code 0 when the broker's evidence says that it was done.

    Raises:
        TradeTuiError: It was refused, or no engine runs.
    """
    form = form_of(as_json=options.as_json, as_csv=options.as_csv)
    place = config.home(options.home)
    args = {key: value for key, value in options.args.items() if value not in (None, "", False)}
    try:
        data = _asked(place, name, args)
    except TradeTuiError as error:
        if form != "json":
            raise
        # Whoever reads JSON gets its one object for a refusal, too.
        settled = not isinstance(error, NoAnswer)
        show({"done": False, "settled": settled, "words": str(error), "rows": []}, form, _COLUMNS)
        return error.exit_code
    show(data, form, _COLUMNS, "nothing to do")
    if form == "table" and data["words"]:
        print(data["words"], file=sys.stderr)
    if form == "table" and not data["settled"]:
        print("the broker has not answered yet: look with `tradetui orders`", file=sys.stderr)
    return 0 if data["done"] else 1


def _asked(place: config.Home, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return ask(place.data_dir, name, args, float(args.get("wait", 5.0)) + _SLACK_S)
    except NotRunning as error:
        raise TradeTuiError(
            f"no engine works in {place.data_dir}: nothing is sent without one",
            "start `tradetui run`; only `tradetui kill` works alone",
        ) from error


def run_arm(home: str | None, args: Mapping[str, Any], *, scripts: bool, as_json: bool) -> int:
    """Let scripts send orders for a while. A person has to say so on a terminal.

    Raises:
        UsageError: Not a terminal, or not asked for scripts.
        TradeTuiError: Not confirmed, or refused.
    """
    if not scripts:
        raise UsageError(
            "live trading itself is armed on the screen, with :arm and the minutes",
            "`tradetui arm --scripts` is about scripted orders only",
        )
    place = config.home(home)
    state = ask(place.data_dir, "status")
    _ask_person(state, args)
    by = f"uid {os.getuid()} on {_terminal()}"
    data = ask(place.data_dir, "arm-scripts", {**args, "by": by})
    show(data, form_of(as_json=as_json, as_csv=False), ())
    if data["live"] and not data["engine_armed_until"] and not as_json:
        print("the engine itself is disarmed: type :arm on its screen too", file=sys.stderr)
    return 0


def _ask_person(state: Mapping[str, Any], args: Mapping[str, Any]) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "arming is for a person at a terminal",
            "on paper and simulator, [scripts] enabled = true in the settings does without",
        )
    word = state["mode"].upper()
    print(
        f"Scripts may then send up to {args['max_orders']} orders of at most {args['max_value']:,.0f} rupees each "
        f"for {args['minutes']:g} minutes, in mode {word}"
        f"{' WITH REAL MONEY' if state['live'] and word == 'LIVE' else ''}.",
        file=sys.stderr,
    )
    print(f"Type {word} to allow it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise TradeTuiError("not confirmed: nothing was armed")


def _terminal() -> str:
    try:
        return os.ttyname(sys.stdin.fileno())
    except OSError:
        return "a terminal"


def run_disarm(home: str | None, *, only_scripts: bool, as_json: bool) -> int:
    """Take arming away: of scripts, and of live trading too unless only scripts are meant."""
    place = config.home(home)
    args = {"only_scripts": True} if only_scripts else {}
    data = ask(place.data_dir, "disarm", args)
    show(data, form_of(as_json=as_json, as_csv=False), ())
    return 0
