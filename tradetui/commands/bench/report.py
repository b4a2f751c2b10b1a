"""What a benchmark found, beside the machine it ran on and what bare libraries did in the same run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tradetui import __version__

_LIBRARIES: Final = (
    "aiohttp", "duckdb", "numpy", "polars", "protobuf", "pyarrow", "ta-lib", "textual", "typer", "uvloop", "websockets",
)  # fmt: skip


@dataclass(slots=True)
class Result:
    """One benchmark.

    Attributes:
        bench: Its name.
        figures: What was measured, flat; units are in the names.
        bounds: The same for bare libraries, in the same run.
        limits: What a figure must not exceed; a figure beyond it makes the exit code 1.
    """

    bench: str
    figures: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Figures beyond their limit."""
        return [name for name, limit in self.limits.items() if not self.figures.get(name, limit + 1) <= limit]

    def as_data(self) -> dict[str, Any]:
        """The object for ``--json``."""
        return {
            "bench": self.bench,
            "machine": machine(),
            "versions": versions(),
            "figures": self.figures,
            "bounds": self.bounds,
            "limits": self.limits,
            "missed": self.missed,
        }

    def as_text(self) -> str:
        """A table for people."""
        about = machine()
        lines = [f"{self.bench} on {about['cpu']}, {about['cores']} cores, load {about['load_1m']:.2f}", ""]
        width = max(len(name) for name in (*self.figures, *self.bounds))
        for name, value in self.figures.items():
            limit = self.limits.get(name)
            words = (
                ""
                if limit is None
                else f"   (limit {_number(limit)}{': MISSED' if name in self.missed else ''})"
            )
            lines.append(f"  {name:<{width}}  {_number(value):>12}{words}")
        if self.bounds:
            lines += ["", "  bare libraries in the same run:"]
            lines += [f"  {name:<{width}}  {_number(value):>12}" for name, value in self.bounds.items()]
        return "\n".join(lines)


def print_result(result: Result, *, as_json: bool) -> int:
    """Print one result; returns 1 when a figure missed its limit, else 0."""
    print(json.dumps(result.as_data()) if as_json else result.as_text())
    return 1 if result.missed else 0


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


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.3f}"
