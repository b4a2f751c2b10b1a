"""Bodies of `tradetui replay`: list, show and import recordings, steer a replay that runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.control.client import ask
from tradetui.domain.calendar import IST
from tradetui.domain.errors import UsageError
from tradetui.domain.replay import steer_of
from tradetui.wiring.recordings import Recording, describe, every, folder_of, import_market, named, of_day
from tradetui.wiring.replay import replay_home

_COLUMNS: Final = (
    "name", "date", "kind", "mode", "from", "to", "instruments", "frames", "gaps", "size_mb", "whole",
)  # fmt: skip
WAIT_S: Final = 600.0
"""Longest wait for a step or jump to come to rest, seconds."""


def row_of(one: Recording) -> dict[str, Any]:
    """A recording as it is printed. Times are UTC in ``began`` and ``ended``, India's in ``from`` and ``to``."""
    totals = one.totals
    return {
        "name": one.name,
        "date": one.day.isoformat(),
        "kind": one.kind,
        "mode": one.mode,
        "account": one.account,
        "from": _clock(totals.first_ns),
        "to": _clock(totals.last_ns),
        "began": _utc(totals.first_ns),
        "ended": _utc(totals.last_ns),
        "span_s": round((totals.last_ns - totals.first_ns) / 1e9, 3),
        "instruments": len(one.instruments),
        "frames": totals.frames,
        "records": totals.records,
        "gaps": totals.gaps,
        "longest_gap_s": round(totals.gap_ns / 1e9, 3),
        "content_mb": round(totals.content / 1e6, 2),
        "size_mb": round(one.size / 1e6, 2),
        "whole": one.whole,
        "damage": one.damage,
        "path": str(one.path),
    }


def show_all(home: str | None, *, as_json: bool, as_csv: bool) -> int:
    """Print every recording; the exit code."""
    form = form_of(as_json=as_json, as_csv=as_csv)
    place = config.home(home)
    rows = [row_of(one) for one in every(place.data_dir)]
    data = {
        "folder": str(folder_of(place.data_dir)),
        "total_mb": round(sum(row["size_mb"] for row in rows), 2),
        "rows": rows,
    }
    show(data, form, _COLUMNS, empty="nothing was recorded yet: `tradetui run --record` records a session")
    if form == "table" and rows:
        print(f"{data['total_mb']:,.1f} MB in {data['folder']}", file=sys.stderr)
    return 0


def show_one(what: str, home: str | None, *, as_json: bool) -> int:
    """Read recordings through and print what they hold; 1 when one is damaged.

    Raises:
        UsageError: There is none of that name or day.
    """
    place = config.home(home)
    found = [describe(path, deep=True) for path in _paths(place, what)]
    rows = [
        {
            **row_of(one),
            "versions": dict(one.versions),
            "instruments": [
                {
                    "key": item.key,
                    "symbol": item.symbol,
                    "lot": item.lot_size,
                    "expiry": item.expiry.isoformat() if item.expiry else "",
                }
                for item in one.instruments
            ],
        }
        for one in found
    ]
    if as_json:
        print(json.dumps({"rows": rows}, ensure_ascii=False))
    else:
        for row in rows:
            _print(row)
    return 0 if all(one.whole for one in found) else 1


def _paths(place: config.Home, what: str) -> Iterator[Path]:
    path = named(place.data_dir, what)
    if path is not None:
        yield path
        return
    try:
        day = date.fromisoformat(what)
    except ValueError:
        raise UsageError(f"no recording is called {what!r}", "`tradetui replay list` names them") from None
    recorded = of_day(place.data_dir, day)
    if not recorded:
        raise UsageError(f"nothing was recorded on {day}", "`tradetui replay list` says what was")
    yield from (one.path for one in recorded)


def _print(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name == "versions":
            value = ", ".join(f"{key} {text}" for key, text in value.items())
        if name == "instruments":
            print(f"{name:16} {len(value)}: {', '.join(item['symbol'] for item in value[:12])}", end="")
            print(", ..." if len(value) > 12 else "")
        elif value not in ("", None):
            print(f"{name:16} {value}")


def import_capture(source: Path, instruments: Path | None, home: str | None, *, as_json: bool) -> int:
    """Import a capture and print the recording that it became; the exit code."""
    place = config.home(home)
    began = time.perf_counter()
    path = import_market(place.data_dir, source, instruments)
    row = row_of(describe(path)) | {"took_s": round(time.perf_counter() - began, 2)}
    if as_json:
        print(json.dumps(row, ensure_ascii=False))
    else:
        print(
            f"{row['name']}: {row['frames']:,} frames of {row['instruments']} instruments, {row['size_mb']} MB"
        )
        print(f"play it with: tradetui run --replay {row['name']}")
    return 0


def steer(words: Sequence[str], home: str | None, *, wait: bool, as_json: bool) -> int:
    """Ask the running replay for something, and print where it stands then.

    Raises:
        UsageError: It is no such thing.
        TradeTuiError: No replay runs, or it said no.
    """
    if isinstance(said := steer_of(words), str):
        raise UsageError(said)
    place = replay_home(config.home(home))
    answer = ask(place.data_dir, "replay", {"words": list(words), "wait": wait}, WAIT_S)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"{answer['words']}; {answer['state']} at {answer['at']} of {answer['name']}")
    return 0


def _clock(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, IST).strftime("%H:%M:%S") if t_ns else ""


def _utc(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat() if t_ns else ""
