"""The whole instrument list as a DuckDB file, and what it said on earlier days.

``instruments`` holds the list of the day, every entry with every term. ``listings`` holds each state that an entry
was ever seen in here, with its first and last day: the contract that bore a token before it was given to another one,
the symbol before a rename, the lot before a revision. The file is made beside the old one and takes its place in one
step, so that whoever reads it is not disturbed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.errors import StorageError
from tradetui.domain.text import clean

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS: Final = {
    "rank": "INTEGER", "key": "VARCHAR", "segment": "VARCHAR", "exchange": "VARCHAR", "symbol": "VARCHAR",
    "name": "VARCHAR", "kind": "VARCHAR", "series": "VARCHAR", "lot_size": "BIGINT", "tick_size": "BIGINT",
    "freeze_qty": "BIGINT", "expiry": "DATE", "strike": "BIGINT", "underlying_key": "VARCHAR", "isin": "VARCHAR",
    "exchange_token": "VARCHAR", "multiplier": "BIGINT", "cas_eligible": "BOOLEAN", "short_name": "VARCHAR",
    "security_type": "VARCHAR", "weekly": "BOOLEAN", "mtf": "BOOLEAN", "quote_unit": "VARCHAR",
}  # fmt: skip
"""Columns of ``instruments`` in the order in which rows are handed in; expiry as an ISO date."""

_TERMS: Final = tuple(name for name in COLUMNS if name not in ("rank", "mtf"))
"""What makes a state: a place in the order of search is none, and lending changes daily."""

_COMMENTS: Final = {
    "rank": "place in the order in which a search shows them",
    "tick_size": "price step, 1/10,000 rupee",
    "strike": "1/10,000 rupee; NULL for what is no option",
    "freeze_qty": "most units in one order; 0 where none is told",
    "lot_size": "units in one lot",
    "expiry": "last trading day; NULL for what does not expire",
    "exchange_token": "the number of the exchange; given to another contract after expiry",
    "multiplier": "money per point and unit",
}
_CHUNK: Final = 20_000
_ARROW: Final = {
    "INTEGER": "int32",
    "BIGINT": "int64",
    "VARCHAR": "string",
    "BOOLEAN": "bool_",
    "DATE": "string",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A state in which an entry of the list was seen.

    Attributes:
        key: Instrument key.
        symbol: Trading symbol.
        name: Company or contract.
        series: Series, group or kind.
        lot_size: Units in a lot.
        tick_size: Price step, 1/10,000 rupee.
        freeze_qty: Most units in one order; 0 for none told.
        expiry: Last trading day, for contracts.
        first_day: Day of the first list that had it.
        last_day: Day of the last one; ``None`` while it is listed so.
    """

    key: str
    symbol: str
    name: str
    series: str
    lot_size: int
    tick_size: int
    freeze_qty: int
    expiry: date | None
    first_day: date
    last_day: date | None


def write_listings(path: Path, rows: Iterable[Sequence[Any]], on: date) -> None:
    """Put a new list in the place of the old one, and close what it does not say any more.

    Args:
        path: The DuckDB file; made if absent.
        rows: Every entry, with the values of `COLUMNS`.
        on: Day of the list.

    Raises:
        StorageError: It cannot be written; the old file is as it was.
    """
    import duckdb

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        if path.exists():
            shutil.copyfile(path, temporary)
        try:
            _fill(temporary, rows, on)
        except duckdb.Error:
            if not path.exists():
                raise
            # The old file is damaged, or of another layout: what it knew is lost, what is listed today is not.
            temporary.unlink(missing_ok=True)
            _fill(temporary, rows, on)
        temporary.chmod(0o600)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except (duckdb.Error, OSError) as error:
        raise StorageError(f"the table of instruments cannot be written: {clean(error, 160)}") from error
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)


def _fill(path: Path, rows: Iterable[Sequence[Any]], on: date) -> None:
    import duckdb

    settings: dict[str, Any] = {"memory_limit": "256MB", "threads": 1}
    with closing(duckdb.connect(str(path), config=settings)) as connection:
        connection.execute("BEGIN")
        _layout(connection)
        row = connection.execute("SELECT max(day) FROM lists").fetchone()
        before = row[0] if row and row[0] else on
        connection.execute("DELETE FROM instruments")
        for table in _tables(rows):
            connection.register("batch", table)
            connection.execute(
                "INSERT INTO instruments SELECT * REPLACE (CAST(expiry AS DATE) AS expiry) FROM batch"
            )
            connection.unregister("batch")
        same = " AND ".join(f"n.{name} IS NOT DISTINCT FROM l.{name}" for name in _TERMS)
        connection.execute(
            "UPDATE listings AS l SET last_day = ? WHERE last_day IS NULL "  # noqa: S608 - names of ours
            f"AND NOT EXISTS (FROM instruments AS n WHERE {same})",
            [before],
        )
        connection.execute(
            f"INSERT INTO listings SELECT {', '.join(_TERMS)}, ?, NULL FROM instruments AS n "  # noqa: S608
            "WHERE NOT EXISTS (FROM listings AS l WHERE l.key = n.key AND l.last_day IS NULL)",
            [on],
        )
        connection.execute("INSERT OR REPLACE INTO lists SELECT ?, count(*) FROM instruments", [on])
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")


def _layout(connection: DuckDBPyConnection) -> None:
    """Make what is not there yet."""
    terms = ", ".join(f"{name} {COLUMNS[name]}" for name in _TERMS)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS instruments ({columns})")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS listings ({terms}, first_day DATE NOT NULL, last_day DATE)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS lists (day DATE PRIMARY KEY, instruments BIGINT NOT NULL)")
    for table in ("instruments", "listings"):
        for name, words in _COMMENTS.items():
            if table == "instruments" or name in _TERMS:
                connection.execute(f"COMMENT ON COLUMN {table}.{name} IS '{words}'")
    connection.execute("COMMENT ON TABLE instruments IS 'The list of the day, every entry'")
    connection.execute(
        "COMMENT ON TABLE listings IS 'Every state in which an entry was seen, from first_day to last_day'"
    )


def _tables(rows: Iterable[Sequence[Any]]) -> Iterator[Any]:
    """Rows as Arrow tables of a size that fits the memory limit."""
    import pyarrow as pa

    left = iter(rows)
    while chunk := list(islice(left, _CHUNK)):
        columns = zip(*chunk, strict=True)
        yield pa.table(
            {
                name: pa.array(
                    [bool(value) for value in column] if kind == "BOOLEAN" else column,
                    getattr(pa, _ARROW[kind])(),
                )
                for (name, kind), column in zip(COLUMNS.items(), columns, strict=True)
            }
        )


def read_listings(path: Path, key: str) -> list[Listing]:
    """Every state in which a key was seen, newest first; empty where nothing is known.

    Raises:
        StorageError: There is a file, and it cannot be read.
    """
    import duckdb

    if not path.exists():
        return []
    names = "key, symbol, name, series, lot_size, tick_size, freeze_qty, expiry, first_day, last_day"
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            rows = connection.execute(
                f"SELECT {names} FROM listings WHERE key = ? "  # noqa: S608 - names of ours
                "ORDER BY last_day DESC NULLS FIRST, first_day DESC",
                [key],
            ).fetchall()
    except duckdb.Error as error:
        raise StorageError(f"the table of instruments cannot be read: {clean(error, 160)}") from error
    return [Listing(*row) for row in rows]
