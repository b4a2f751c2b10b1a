"""`tradetui bench`: measure on this machine, beside what the bare libraries need in the same run.

The names of figures are an interface (`design.md` 11): add to them, do not rename them. A benchmark is one function
``(BenchOptions) -> Result``, named in `BENCHES`; options, tables, ``--json``, ``--save`` and the page
``docs/reference/performance.md`` follow from that line.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tradetui.domain.errors import UsageError

if TYPE_CHECKING:
    from tradetui.commands.bench.report import Result

MODES: Final = {"ltpc": 5000, "full": 2000}
"""Modes of the feed and how many instruments the broker lets one account stream in each (`upstox.md` 3.2)."""


UI_RATE: Final = 10_000
"""Updates a second of ``bench ingest --ui`` when none are asked for."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark.

    Attributes:
        runs: ``module:function``; the function takes `BenchOptions` and returns a `Result`. Imported when it runs.
        shows: What it measures, one line.
        rate: Updates a second when none are asked for; 0 for a benchmark that has no rate.
        seconds: How long when nothing is asked for; 0 for a benchmark that ends by itself.
    """

    runs: str
    shows: str
    rate: int = 0
    seconds: float = 0.0


BENCHES: Final[dict[str, Bench]] = {
    "decode": Bench(
        "decode:bench", "feed frames to columns, beside the bare runtime and the official client's way"
    ),
    "ingest": Bench(
        "ingest:bench",
        "frames over loopback into state, bars and the store; --ui with the screen",
        50_000,
        60.0,
    ),
    "orders": Bench("orders:bench", "from the key to the wire, the risk gate, a restart", 10_000, 20.0),
    "indicators": Bench("indicators:bench", "minute closes of many instruments with eight indicators each"),
    "instruments": Bench("instruments:bench", "search as you type over 127,000 instruments, and a new list"),
    "replay": Bench(
        "replay:bench", "a recorded day at full speed through the whole workstation", 0, 22_500.0
    ),
    "soak": Bench("soak:bench", "eight hours of market at 100x with the screen: memory, handles", 0, 288.0),
    "store": Bench("store:bench", "ticks, frames and bars into files and back, beside the bare libraries"),
    "startup": Bench("startup:bench", "time to --help and to the first painted screen"),
}
"""Every benchmark by name, in the order of the documentation."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Flags of ``tradetui bench``; see `cli.bench`. 0 stands for the benchmark's own figure.

    Attributes:
        name: Which benchmark.
        instruments: Instruments streamed.
        rate: Updates a second.
        mode: Of the feed.
        seconds: Length of the measured stretch.
        ui: With the screen.
        as_json: Print JSON.
        save: Folder of the figures that the documentation is made from; ``None`` saves nothing.
    """

    name: str
    instruments: int = 2000
    rate: int = 0
    mode: str = "full"
    seconds: float = 0.0
    ui: bool = False
    as_json: bool = False
    save: Path | None = None


def run_bench(options: BenchOptions) -> int:
    """Measure and print; returns 1 when a figure misses its limit.

    Raises:
        UsageError: No such benchmark, or figures that make no sense.
        TradeTuiError: It cannot be run here.
    """
    check(options)
    from tradetui.commands.bench.report import print_result, save

    known = BENCHES[options.name]
    options = replace(
        options,
        rate=options.rate or (UI_RATE if options.ui else known.rate),
        seconds=options.seconds or known.seconds,
    )
    module, _, function = known.runs.partition(":")
    run = getattr(importlib.import_module(f"tradetui.commands.bench.{module}"), function)
    result = cast("Callable[[BenchOptions], Result]", run)(options)
    code = print_result(result, as_json=options.as_json)
    if options.save is not None:
        save(result, options.save)
    return code


def check(options: BenchOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        UsageError: Says what is wrong.
    """
    if options.name not in BENCHES:
        raise UsageError(f"no benchmark {json.dumps(options.name)}", f"known: {', '.join(BENCHES)}")
    if options.ui and options.name != "ingest":
        raise UsageError("--ui belongs to the benchmark ingest")
    if options.mode not in MODES:
        raise UsageError(f"no mode {json.dumps(options.mode)}", f"known: {', '.join(MODES)}")
    most = MODES[options.mode]
    if not 1 <= options.instruments <= most:
        raise UsageError(
            f"--instruments must be 1 to {most} in mode {options.mode}", "the broker allows no more"
        )
    if not (options.rate == 0 or 1 <= options.rate <= 1_000_000):
        raise UsageError("--rate must be 1 to 1000000 updates a second")
    if not (options.seconds == 0 or 1 <= options.seconds <= 86_400):
        raise UsageError("--seconds must be 1 to 86400")
