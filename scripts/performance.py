"""The figures of the page on speed, made from what `tradetui bench NAME --save docs/reference/performance` kept.

One file a benchmark, replaced by its next run; nobody writes a figure by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tradetui.commands.bench import BENCHES
from tradetui.commands.bench.report import number

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "performance"
_ORDER: Final = {name: place for place, name in enumerate(BENCHES)}


def render(folder: Path = FOLDER) -> str:
    """Markdown with a part for each kept result, in the order of the benchmarks."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    kept.sort(key=lambda data: _ORDER.get(str(data["bench"]).partition("-")[0], len(_ORDER)))
    return "\n\n".join(_part(data) for data in kept) or "No benchmark has been kept yet."


def _part(data: Mapping[str, Any]) -> str:
    """One benchmark: what it shows, where it ran, its figures."""
    name, machine = data["bench"], data["machine"]
    known = BENCHES.get(str(name).partition("-")[0])
    versions = ", ".join(f"{what} {version}" for what, version in data["versions"].items())
    lines = [
        f"## {name}",
        "",
        f"{known.shows[0].upper()}{known.shows[1:]}." if known else "",
        f"Run on {data['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"load at its end {machine['load_1m']:g}. {versions}.",
        "",
        "| Figure | Value | Limit | |",
        "|---|---:|---|---|",
        *(_row(data, figure) for figure in data["figures"]),
    ]
    if data["bounds"]:
        lines += ["", "Bare libraries and peers in the same run:", "", "| Figure | Value |", "|---|---:|"]
        lines += [f"| `{figure}` | {number(value)} |" for figure, value in data["bounds"].items()]
    if data["notes"]:
        lines += ["", " ".join(data["notes"])]
    return "\n".join(lines)


def _row(data: Mapping[str, Any], figure: str) -> str:
    limits = [f"at most {number(data['limits'][figure])}"] if figure in data["limits"] else []
    limits += [f"at least {number(data['least'][figure])}"] if figure in data["least"] else []
    verdict = ("**missed**" if figure in data["missed"] else "met") if limits else ""
    return f"| `{figure}` | {number(data['figures'][figure])} | {', '.join(limits)} | {verdict} |"
