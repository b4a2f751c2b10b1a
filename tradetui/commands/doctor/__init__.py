"""`tradetui doctor`: look at everything that trading needs, and say how to mend what is red.

Three groups of checks (`machine`, `files`, `broker`). In each, ``look`` gathers facts and every check is a pure
function from facts to lines, listed in ``CHECKS``: a new check is a function and its name in that list.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Final, TypeVar

from tradetui import config
from tradetui.commands.doctor import broker, files, machine
from tradetui.commands.doctor.line import Light, Line
from tradetui.commands.shared import NO_URLS, Flags, Setting, prepare, token_from_pipe
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import ConfigError, TradeTuiError

Facts = TypeVar("Facts")

_SIGN: Final = {Light.GREEN: "ok", Light.YELLOW: "note", Light.RED: "RED"}
_COLOUR: Final = {Light.GREEN: "32", Light.YELLOW: "33", Light.RED: "1;31"}


def run_doctor(
    home: str | None, urls: Flags = NO_URLS, *, as_json: bool = False, token_stdin: bool = False
) -> int:
    """Check everything and print it; returns 1 when a line is red, else 0.

    Raises:
        UsageError: A token was announced and none came.
    """
    token = token_from_pipe(token_stdin, "doctor")
    lines = examine(home, urls, token)
    if as_json:
        print(json.dumps(as_data(lines)))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in lines:
            print(as_text(line, colour=colour))
    return 1 if any(line.light is Light.RED for line in lines) else 0


def examine(home: str | None, urls: Flags, token: str) -> list[Line]:
    """Every line of the report, in order."""
    trouble = ""
    place = config.home(home)
    try:
        setting = prepare(home)
        hosts = setting.hosts(urls)
    except TradeTuiError as error:
        # A broken settings file is a line of the report, not the end of it.
        trouble = str(error) if isinstance(error, ConfigError) else ""
        setting = Setting(place, config.Config())
        hosts = _hosts_or_none(setting, urls)
    found = asyncio.run(broker.look(hosts, token, live_wanted=setting.config.account.live_capital > 0))
    kept = files.look(place.data_dir, place.config_file, trouble)
    kept = files.with_list(kept, place.data_dir, found.hosts, ist_date(found.now_ns))
    return [
        *_run(machine.CHECKS, machine.look(place.data_dir)),
        *_run(files.CHECKS, kept),
        *_run(broker.CHECKS, found.facts),
    ]


def _hosts_or_none(setting: Setting, urls: Flags) -> Any:
    try:
        return setting.hosts(urls)
    except ConfigError:
        return None


def _run(checks: Iterable[Callable[[Facts], Line | list[Line]]], facts: Facts) -> list[Line]:
    lines: list[Line] = []
    for check in checks:
        found = check(facts)
        lines += [found] if isinstance(found, Line) else found
    return lines


def as_data(lines: list[Line]) -> dict[str, Any]:
    """The report for ``--json``."""
    counts = {light.value: sum(line.light is light for line in lines) for light in Light}
    return {"ok": not counts[Light.RED], **counts, "checks": [asdict(line) for line in lines]}


def as_text(line: Line, *, colour: bool) -> str:
    """One line of the report for people; the sign says it, colour only repeats it."""
    sign = f"{_SIGN[line.light]:<4}"
    if colour:
        sign = f"\x1b[{_COLOUR[line.light]}m{sign}\x1b[0m"
    text = f"{sign}  {line.name:<11} {line.words}"
    return f"{text}\n      {'':<11} -> {line.remedy}" if line.remedy else text
