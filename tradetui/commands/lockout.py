"""`tradetui lockout`: Upstox's own kill switch for whole segments. A lock-out for the day, not a panic button.

It closes nothing: positions must be flat before, and once closed a segment stays closed for at least 12 hours. So it
is a command of its own that asks twice, and no key, no breaker and no watchdog ever comes by here. What stops trading
at once is `tradetui kill`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.control.client import ask
from tradetui.domain.errors import TradeTuiError, UsageError

EXPLAINED: Final = """Upstox's own kill switch closes a whole segment of your account, on every device and app:
  - it closes no position: flatten first (`tradetui kill --flatten`), or Upstox refuses;
  - open orders in the segment are cancelled by Upstox, protective stops among them;
  - it holds for at least 12 hours, and nobody, this program included, can open it earlier.
It is a lock-out for a day on which you do not want to trade any more. To stop now, use `tradetui kill`."""
_COLUMNS: Final = ("segment", "active", "closed")


@dataclass(frozen=True, slots=True)
class LockoutOptions:
    """Flags of ``tradetui lockout``; see `commands.table.lockout`."""

    home: str | None = None
    segments: tuple[str, ...] = ()
    reopen: bool = False
    as_json: bool = False


def run_lockout(options: LockoutOptions) -> int:
    """Show or set it; returns the exit code.

    Raises:
        UsageError: Something is to be closed, and there is no person at a terminal.
        TradeTuiError: Not confirmed, or the broker refused.
    """
    place = config.home(options.home)
    form = form_of(as_json=options.as_json, as_csv=False)
    data: dict[str, Any] = ask(place.data_dir, "locks")
    if options.segments:
        segments = _known(options.segments, data)
        if not options.reopen:
            _ask_twice(segments, data)
        for segment in segments:
            data = ask(place.data_dir, "set-lock", {"segment": segment, "close": not options.reopen})
    show(data, form, _COLUMNS, "the broker tells of no segments")
    wanted = {row["segment"]: row["closed"] for row in data["rows"]}
    done = all(wanted.get(one.upper()) is not options.reopen for one in options.segments)
    return 0 if done else 1


def _known(segments: tuple[str, ...], data: dict[str, Any]) -> list[str]:
    names = [row["segment"] for row in data["rows"] if row["active"]]
    for segment in segments:
        if segment.upper() not in names:
            raise UsageError(f"the account has no segment {segment!r}", f"there are: {', '.join(names)}")
    return [segment.upper() for segment in segments]


def _ask_twice(segments: list[str], data: dict[str, Any]) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("closing a segment is for a person at a terminal")
    words = " ".join(segments)
    print(EXPLAINED, file=sys.stderr)
    print(f"\nAccount: {data['account']} ({data['mode']}). To close: {words}", file=sys.stderr)
    for question, answer in (
        (f"Type the segments ({words}) to go on: ", words),
        ("Type CLOSE FOR THE DAY to do it: ", "CLOSE FOR THE DAY"),
    ):
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != answer:
            raise TradeTuiError("not confirmed: nothing was closed")
