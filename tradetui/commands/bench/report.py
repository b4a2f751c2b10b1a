"""What a benchmark found, beside the machine it ran on and what bare libraries did in the same run."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tradetui import __version__
from tradetui.domain.errors import UsageError

_LIBRARIES: Final = (
    "aiohttp", "duckdb", "numpy", "polars", "protobuf", "pyarrow", "ta-lib", "textual", "typer", "uvloop", "websockets",
)  # fmt: skip


@dataclass(slots=True)
class Result:
    """One benchmark.

    Attributes:
        bench: Its name; a variant is ``ingest-ui``.
        figures: What was measured, flat; units are in the names.
        bounds: The same for bare libraries and peers, in the same run.
        limits: What a figure must not exceed; a figure beyond it makes the exit code 1.
        least: What a figure must reach; a figure below it makes the exit code 1.
        notes: What a reader must know to judge the figures, a sentence each.
    """

    bench: str
    figures: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    least: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Figures beyond their limit, figures that were never measured among them."""
        above = [name for name, most in self.limits.items() if not self.figures.get(name, math.inf) <= most]
        return above + [
            name for name, least in self.least.items() if not self.figures.get(name, -math.inf) >= least
        ]

    def as_data(self) -> dict[str, Any]:
        """The object for ``--json``."""
        return {
            "bench": self.bench,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": machine(),
            "versions": versions(),
            "figures": self.figures,
            "bounds": self.bounds,
            "limits": self.limits,
            "least": self.least,
            "notes": self.notes,
            "missed": self.missed,
        }

    def as_text(self) -> str:
        """A table for people."""
        about = machine()
        lines = [f"{self.bench} on {about['cpu']}, {about['cores']} cores, load {about['load_1m']:.2f}", ""]
        width = max(len(name) for name in (*self.figures, *self.bounds))
        for name, value in self.figures.items():
            lines.append(f"  {name:<{width}}  {number(value):>12}{self._verdict(name)}")
        if self.bounds:
            lines += ["", "  bare libraries in the same run:"]
            lines += [f"  {name:<{width}}  {number(value):>12}" for name, value in self.bounds.items()]
        if self.notes:
            lines += ["", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)

    def _verdict(self, name: str) -> str:
        """The limits of a figure in words, and whether it missed one."""
        words = [f"limit {number(self.limits[name])}"] if name in self.limits else []
        words += [f"at least {number(self.least[name])}"] if name in self.least else []
        missed = ": MISSED" if name in self.missed else ""
        return f"   ({', '.join(words)}{missed})" if words else ""


def print_result(result: Result, *, as_json: bool) -> int:
    """Print one result; returns 1 when a figure missed its limit, else 0."""
    print(json.dumps(result.as_data()) if as_json else result.as_text())
    return 1 if result.missed else 0


def save(result: Result, folder: Path) -> Path:
    """Keep a result where ``docs/reference/performance.md`` is made from, in place of the last one of its name.

    Raises:
        UsageError: The folder cannot be written.
    """
    path = folder / f"{result.bench}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result.as_data(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return path


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "load_1m": round(load, 2),
    }


def cpu_name() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of everything that matters to the figures."""
    found = {"tradetui": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def number(value: float) -> str:
    """A figure for a table: three decimals below a thousand, unless it is whole."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.3f}"
