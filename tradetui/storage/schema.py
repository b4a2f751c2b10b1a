"""Versions of the two database layouts, and the way forward from older ones.

`schema.sql` is always the newest layout; a migration brings an older file to it, one version at a time, in one
transaction, after a copy of the file was put beside it. A file from a newer program is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tradetui.domain.errors import StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_META = "CREATE TABLE IF NOT EXISTS meta (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)"


@cache
def _sections() -> dict[str, str]:
    text = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    parts = text.split("-- database: ")[1:]
    return {name.strip(): body for name, _, body in (part.partition("\n") for part in parts)}


@dataclass(frozen=True, slots=True)
class Schema:
    """Layout of one database.

    Attributes:
        name: Section of `schema.sql`.
        version: Version that section stands for.
        migrations: Version -> SQL that brings a file of that version to the next one.
    """

    name: str
    version: int
    migrations: Mapping[int, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """SQL that makes the newest layout in an empty database."""
        return _sections()[self.name]


class _ToLedger2(Mapping[int, str]):
    """The ledger is made anew in its newest layout, and filled from the journal when it is next opened.

    Only what the journal does not hold is taken along: the multipliers of contracts that have expired since.
    """

    def __getitem__(self, version: int) -> str:
        if version != 1:
            raise KeyError(version)
        old = ("intents", "orders", "fills", "openings", "signals", "decisions", "journal")
        steps = [
            "CREATE TEMP TABLE kept AS SELECT instrument_key, max(multiplier) AS multiplier FROM fills "
            "WHERE multiplier <> 1 GROUP BY instrument_key",
            "DROP VIEW positions",
            *(f"DROP TABLE {name}" for name in old),
            _sections()["ledger"],
            "INSERT INTO multipliers SELECT * FROM kept",
            "DROP TABLE kept",
        ]
        return ";\n".join(steps)

    def __iter__(self) -> Iterator[int]:
        return iter((1,))

    def __len__(self) -> int:
        return 1


_TO_MARKET_2 = """
CREATE TABLE history_asked (
    instrument_id INTEGER NOT NULL,
    "interval" VARCHAR NOT NULL,
    session DATE NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    bars INTEGER NOT NULL
)
"""

LEDGER = Schema("ledger", 2, _ToLedger2())


class _ToMarket(Mapping[int, str]):
    """To layout 2: what history was asked for. To layout 3: the archive and its views. No row is touched."""

    def __getitem__(self, version: int) -> str:
        if version == 1:
            return _TO_MARKET_2
        if version == 2:
            return _sections()["market"].split("-- since market layout 3\n")[1]
        raise KeyError(version)

    def __iter__(self) -> Iterator[int]:
        return iter((1, 2))

    def __len__(self) -> int:
        return 2


MARKET = Schema("market", 3, _ToMarket())


def version_of(connection: DuckDBPyConnection) -> int:
    """Version of an open database; 0 when it has no tables of ours."""
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = 'meta'"
    ).fetchone()
    if not found or not found[0]:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def check_version(schema: Schema, version: int, where: str) -> None:
    """Refuse a file that this program cannot know.

    Raises:
        StorageError: The file is newer than the program, or no migration leads on from it.
    """
    if version > schema.version:
        raise StorageError(
            f"{where} was written by a newer tradetui (layout {version}; this one knows up to {schema.version})",
            "update tradetui, or use another directory with --home",
        )
    missing = [v for v in range(version, schema.version) if v not in schema.migrations] if version else []
    if missing:
        raise StorageError(f"{where} has layout {version}, and no way leads on from {missing[0]}")


def create(connection: DuckDBPyConnection, schema: Schema) -> None:
    """Make the newest layout in an empty database, in one transaction."""
    _in_transaction(connection, [_META, schema.sql], schema.version)


def migrate(connection: DuckDBPyConnection, schema: Schema, version: int) -> None:
    """Bring an older layout to the newest, in one transaction."""
    steps = [schema.migrations[step] for step in range(version, schema.version)]
    _in_transaction(connection, steps, schema.version)


def _in_transaction(connection: DuckDBPyConnection, steps: list[str], version: int) -> None:
    connection.execute("BEGIN")
    try:
        for step in steps:
            connection.execute(step)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", [str(version)])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
