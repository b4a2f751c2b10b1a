"""`tradetui bench`: measure on this machine, beside what the bare libraries need in the same run.

The names of figures are an interface (`design.md` 11): add to them, do not rename them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from tradetui.domain.errors import UsageError

NAMES: Final = ("ingest", "startup", "orders")
MODES: Final = {"ltpc": 5000, "full": 2000}
"""Modes of the feed and how many instruments the broker lets one account stream in each (`upstox.md` 3.2)."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Flags of ``tradetui bench``; see `cli.bench`."""

    name: str
    instruments: int = 2000
    rate: int = 10_000
    mode: str = "full"
    seconds: float = 20.0
    as_json: bool = False


def run_bench(options: BenchOptions) -> int:
    """Measure and print; returns 1 when a figure misses its limit.

    Raises:
        UsageError: No such benchmark, or figures that make no sense.
        TradeTuiError: It cannot be run here.
    """
    check(options)
    from tradetui.commands.bench.report import print_result

    if options.name == "startup":
        from tradetui.commands.bench.startup import measure_startup

        return print_result(measure_startup(), as_json=options.as_json)
    from tradetui.commands.bench.ingest import IngestOptions, measure_ingest

    chosen = IngestOptions(options.instruments, options.rate, options.mode, options.seconds)
    if options.name == "orders":
        from tradetui.commands.bench.orders import measure_orders

        return print_result(measure_orders(chosen), as_json=options.as_json)
    return print_result(measure_ingest(chosen), as_json=options.as_json)


def check(options: BenchOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        UsageError: Says what is wrong.
    """
    if options.name not in NAMES:
        raise UsageError(f"no benchmark {json.dumps(options.name)}", f"known: {', '.join(NAMES)}")
    if options.mode not in MODES:
        raise UsageError(f"no mode {json.dumps(options.mode)}", f"known: {', '.join(MODES)}")
    most = MODES[options.mode]
    if not 1 <= options.instruments <= most:
        raise UsageError(
            f"--instruments must be 1 to {most} in mode {options.mode}", "the broker allows no more"
        )
    if not 1 <= options.rate <= 1_000_000:
        raise UsageError("--rate must be 1 to 1000000 updates a second")
    if not 1 <= options.seconds <= 3600:
        raise UsageError("--seconds must be 1 to 3600")
