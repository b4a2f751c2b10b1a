"""Reads the dated lists of `domain/lists.py` from the data directory's folder ``lists``.

A file is named after its list and the day it is for: ``fo_ban-2026-11-23.csv``, ``.txt`` alike. The format is
in `docs/reference/lists.md`. A ban list holds for its own day only; the others until a newer one, a week at most.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from tradetui.domain.lists import NO_BAND, DatedLists
from tradetui.domain.text import clean

log = logging.getLogger(__name__)

MAX_AGE: Final = {
    "fo_ban": timedelta(0),
    "intraday": timedelta(days=7),
    "surveillance": timedelta(days=7),
    "price_bands": timedelta(days=7),
}
"""List -> how old its file may be and still count."""
MAX_BYTES: Final = 4_000_000
_NAME: Final = re.compile(r"^(fo_ban|intraday|surveillance|price_bands)-(\d{4}-\d{2}-\d{2})\.(?:csv|txt)$")
_HEADINGS: Final = frozenset({"SYMBOL", "NAME", "ISIN", "SECURITY", "SECURITIES", "SCRIP"})
_BAN_TITLE: Final = "SECURITIES IN BAN"
_Row = list[str]


def read_lists(folder: Path, today: date) -> DatedLists:
    """The lists in force on a day. A file that cannot be read is logged, and counts as missing."""
    found: dict[str, Any] = {}
    files: dict[str, str] = {}
    for name, path in _newest(folder, today).items():
        try:
            found[name] = _READERS[name](path)
        except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
            log.warning("the list %s cannot be used: %s", path.name, error)
        else:
            files[name] = path.name
    return DatedLists(**found, files=files)


def _newest(folder: Path, today: date) -> dict[str, Path]:
    """List -> the newest file that is not from the future and not too old."""
    best: dict[str, tuple[date, Path]] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return {}
    for path in paths:
        match = _NAME.match(path.name)
        if match is None:
            continue
        try:
            day = date.fromisoformat(match[2])
        except ValueError:
            log.warning("the list %s carries no date that exists", path.name)
            continue
        name = match[1]
        if timedelta(0) <= today - day <= MAX_AGE[name] and (name not in best or day > best[name][0]):
            best[name] = (day, path)
    return {name: path for name, (_, path) in best.items()}


def _rows(path: Path) -> Iterator[_Row]:
    """Rows with something in them, cleaned; headings and comments left out."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("the file is too large for a list")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        for raw in csv.reader(handle):
            row = [clean(cell).strip().upper() for cell in raw]
            if any(row) and not row[0].startswith("#") and row[0] not in _HEADINGS:
                yield row


def _name_list(path: Path) -> dict[str, str]:
    """One name a row; a running number before it, and the exchange's own title line, are left out."""
    out: dict[str, str] = {}
    for row in _rows(path):
        if row[0].startswith(_BAN_TITLE):
            continue
        cells = [cell for cell in row if cell]
        name = cells[1] if cells[0].isdigit() and len(cells) > 1 else cells[0]
        if name != "NIL" and not name.isdigit():
            out[name] = ""
    return out


def _surveillance(path: Path) -> dict[str, str]:
    """Name, measure, stage, and ``T2T`` where the stage settles trade by trade."""
    out: dict[str, str] = {}
    for row in _rows(path):
        if len(row) < 2 or not row[1]:
            raise ValueError(f"{row[0]}: the measure (ASM, GSM, ESM) is missing")
        out[row[0]] = " ".join(cell for cell in row[1:4] if cell)
    return out


def _bands(path: Path) -> dict[str, float]:
    """The exchange's own file: symbol, series, name, band; or ours: symbol, band. ``No Band`` is none."""
    out: dict[str, float] = {}
    for row in _rows(path):
        said = row[3] if len(row) >= 4 else row[1] if len(row) >= 2 else ""
        if said.startswith("NO") or not said:
            out[row[0]] = NO_BAND
            continue
        pct = float(said.rstrip("%"))
        if not 0 < pct <= 100:
            raise ValueError(f"{row[0]}: a band of {said} percent")
        out[row[0]] = pct
    return out


_READERS: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    "fo_ban": _name_list,
    "intraday": _name_list,
    "surveillance": _surveillance,
    "price_bands": _bands,
}
