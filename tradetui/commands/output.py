"""How answers are printed: one JSON object, CSV, or a table for people."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradetui.domain.errors import UsageError
from tradetui.domain.text import clean

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so would be run as a formula by a spreadsheet (`design.md` 10b)."""
_WIDEST: Final = 48


def form_of(*, as_json: bool, as_csv: bool) -> str:
    """``json``, ``csv`` or ``table``.

    Raises:
        UsageError: Both were asked for.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    return "json" if as_json else "csv" if as_csv else "table"


def show(data: Mapping[str, Any], form: str, columns: Sequence[str], empty: str = "nothing") -> None:
    """Print an answer.

    Args:
        data: The answer; what is counted stands under ``rows``. Without rows, its fields are shown one a line.
        form: ``json``, ``csv`` or ``table``.
        columns: Columns of the table; JSON and CSV have all.
        empty: What the table says when there are no rows.
    """
    rows: Sequence[Mapping[str, Any]] = data.get("rows", (data,))
    if form == "json":
        print(json.dumps(data, ensure_ascii=False))
    elif form == "csv":
        write_csv(rows, columns)
    elif "rows" in data:
        print(table(rows, columns) if rows else empty)
        print(_origin(data), file=sys.stderr)
    else:
        for name, value in data.items():
            print(f"{name:22} {_cell(value)}")


def _origin(data: Mapping[str, Any]) -> str:
    words = [str(data[name]) for name in ("source", "mode", "account", "time") if data.get(name)]
    return f"({', '.join(words)})"


def write_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows as CSV on standard output, with a head; texts that would start a formula are escaped."""
    names = list(rows[0]) if rows else list(columns)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([safe_cell(row.get(name)) for name in names])


def safe_cell(value: Any) -> Any:
    """A value as a CSV cell. Numbers stay as they are; a text never starts a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows under a head, numbers to the right."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    right = [
        any(isinstance(row.get(name), int | float) and not isinstance(row.get(name), bool) for row in rows)
        for name in columns
    ]
    widths = [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(columns)]
    lines = [[name.replace("_", " ") for name in columns], *cells]
    out = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join(out)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return indian(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | dict):
        return clean(json.dumps(value, ensure_ascii=False), 200)
    return clean(value, _WIDEST)


def indian(value: float) -> str:
    """A number with Indian digit groups (12,34,567.05), two decimals, four where two are not enough."""
    places = 2 if abs(round(value, 2) - value) < 5e-5 else 4
    whole, _, part = f"{abs(value):.{places}f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    sign = "-" if value < 0 and float(f"{abs(value):.{places}f}") else ""
    return sign + ",".join([*groups, tail]) + "." + part
