# ruff: noqa: S608 - paths of our own; a user's text is looked into first and runs where it can change nothing
"""A user's own SQL on the stored past: one SELECT that can neither write, nor reach a file, nor run for ever.

What holds it, each by itself: the statement is parsed by the database and walked through, and any table function
that is not on a short list is refused; it runs in a read-only transaction; the database sees no file but those of
its archive and its settings are locked (`database.confine`); rows, bytes and time are bounded.

A question may name tables of both databases. It is put to the one that has them; where they are mixed, the ledger's
are copied beside the market's for that question.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.errors import StorageError, UsageError
from tradetui.storage import archive
from tradetui.storage.database import Settings, confine

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_ROWS: Final = 10_000
"""Rows of one answer; `tradetui export` has no such bound."""
MOST_BYTES: Final = 8 << 20
TIME_S: Final = 20.0
_MOST_COPIED: Final = 500_000
_FUNCTIONS: Final = frozenset(
    ("range", "generate_series", "unnest", "repeat_row", "json_each", "json_tree", "duckdb_tables", "duckdb_views",
     "duckdb_columns", "duckdb_functions")
)  # fmt: skip
"""Table functions that only compute, or tell about the tables."""
_INNER: Final = frozenset(("information_schema", "pg_catalog"))


@dataclass(frozen=True, slots=True)
class Past:
    """The two databases of an account, each on a connection of its own.

    Attributes:
        market: Of ``market.duckdb``; ``ticks`` and ``bars`` mean the whole, archive included.
        ledger: Of ``ledger.duckdb``; ``None`` when there is none.
    """

    market: DuckDBPyConnection
    ledger: DuckDBPyConnection | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question brought.

    Attributes:
        columns: Names.
        rows: Values by name, as plain data.
        more: There were more rows than asked for.
    """

    columns: list[str]
    rows: list[dict[str, Any]]
    more: bool


def ask(past: Past, text: str, most: int = 1000, timeout_s: float = TIME_S) -> Answer:
    """Answer one SELECT.

    Args:
        past: The databases.
        text: The statement; empty lists the tables.
        most: Rows of the answer.
        timeout_s: How long it may run, seconds.

    Raises:
        UsageError: It is not one SELECT, it asks for what is not allowed, or the database refuses it.
    """
    import duckdb

    if not 1 <= most <= MOST_ROWS:
        raise UsageError(f"an answer has from 1 to {MOST_ROWS} rows", "`tradetui export` has no such bound")
    if not text.strip():
        return tables(past)
    try:
        with prepared(past, text) as connection, limited(connection, timeout_s):
            # Through Arrow: DuckDB's own rows need one more library for times with a zone.
            reader = connection.sql(text).to_arrow_reader(min(most + 1, 2048))
            with contextlib.closing(reader):  # before the transaction ends
                names = _unlike(reader.schema.names)
                rows = _first_rows(reader, names, most + 1)
    except duckdb.InterruptException:
        raise UsageError(
            f"the question took longer than {timeout_s:g} s", "narrow it: name a session, or use export"
        ) from None
    except duckdb.Error as error:
        raise UsageError(f"the database says: {str(error).splitlines()[0][:300]}") from None
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows[:most]]
    return Answer(names, plain, len(rows) > most)


def tables(past: Past) -> Answer:
    """Every table and view that can be asked, with what it holds."""
    rows: list[dict[str, Any]] = []
    for name, connection in (("market", past.market), ("ledger", past.ledger)):
        if connection is None:
            continue
        found = connection.execute(
            "SELECT table_name, comment, columns FROM (SELECT table_name, comment, schema_name FROM duckdb_tables() "
            "UNION ALL SELECT view_name, comment, schema_name FROM duckdb_views() WHERE NOT internal) JOIN "
            "(SELECT table_name, schema_name, string_agg(column_name, ', ' ORDER BY column_index) AS columns "
            "FROM duckdb_columns() GROUP BY ALL) USING (table_name, schema_name) "
            "WHERE schema_name IN ('main', 'whole') AND table_name <> 'meta' "
            "QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY schema_name DESC) = 1 ORDER BY table_name"
        ).fetchall()
        rows += [
            {"table": table, "database": name, "columns": columns, "about": comment or ""}
            for table, comment, columns in found
        ]
    return Answer(["table", "database", "columns", "about"], rows, more=False)


# --- looking into the statement -----------------------------------------------------------------------


@contextlib.contextmanager
def prepared(past: Past, text: str) -> Iterator[DuckDBPyConnection]:
    """The connection on which a statement can run, in a read-only transaction.

    Raises:
        UsageError: It is not one SELECT, or it asks for what is not allowed.
    """
    named = _tables_of(past.market, text)
    of_ledger = named & _known(past.ledger) if past.ledger is not None else frozenset[str]()
    mixed = named & _known(past.market)
    connection = past.market
    if of_ledger and not mixed and past.ledger is not None:
        connection, of_ledger = past.ledger, frozenset()
    copied = []
    try:
        for name in sorted(of_ledger - mixed):
            assert past.ledger is not None
            connection.register(name, _copy(past.ledger, name))
            copied.append(name)
        connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield connection
        finally:
            with contextlib.suppress(Exception):  # an interrupted statement may have ended it already
                connection.execute("ROLLBACK")
    finally:
        for name in copied:
            connection.unregister(name)


@contextlib.contextmanager
def limited(connection: DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt whatever runs on a connection for longer than so many seconds."""
    timer = threading.Timer(timeout_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tables_of(connection: DuckDBPyConnection, text: str) -> frozenset[str]:
    """Names of the tables that a statement reads.

    Raises:
        UsageError: It is not one SELECT, or calls a table function that is not allowed.
    """
    import duckdb

    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise UsageError(f"the database says: {str(error).splitlines()[0][:300]}") from None
    if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
        raise UsageError("one SELECT is expected, and nothing else")
    row = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise UsageError("one SELECT is expected, and nothing else")
    named: set[str] = set()
    inner: set[str] = set()
    for node in _nodes(tree["statements"]):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            function = str(node.get("function", {}).get("function_name", "")).lower()
            if function not in _FUNCTIONS:
                raise UsageError(f"the table function {function[:40]} is not allowed here")
        elif kind == "SHOW_REF" and not node.get("query"):
            raise UsageError("one SELECT is expected", "`tradetui sql` alone lists the tables")
        elif kind == "BASE_TABLE" and str(node.get("schema_name", "")).lower() not in _INNER:
            named.add(str(node["table_name"]).lower())
        inner |= {str(one["key"]).lower() for one in node.get("cte_map", {}).get("map", ())}
    return frozenset(named - inner)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a tree of JSON."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield one
            todo += one.values()
        elif isinstance(one, list):
            todo += one


def _known(connection: DuckDBPyConnection) -> frozenset[str]:
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    return frozenset(row[0].lower() for row in found)


def _copy(ledger: DuckDBPyConnection, name: str) -> Any:
    ledger.execute("BEGIN TRANSACTION READ ONLY")
    try:
        table = ledger.sql(f'SELECT * FROM "{name}" LIMIT {_MOST_COPIED + 1}').to_arrow_table()
    finally:
        ledger.execute("ROLLBACK")
    if table.num_rows > _MOST_COPIED:
        raise UsageError(f"{name} is too large to be joined with market data", "ask for it by itself")
    return table


# --- the answer ---------------------------------------------------------------------------------------


def _first_rows(reader: Any, names: list[str], most: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for batch in reader:
        part = batch.slice(0, most - len(rows))
        size += part.nbytes
        if size > MOST_BYTES:
            raise UsageError(
                f"the answer is larger than {MOST_BYTES >> 20} MB", "ask for less, or use export"
            )
        columns = [column.to_pylist() for column in part.columns]
        rows += [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        if len(rows) >= most:
            break
    return rows


def _unlike(names: list[str]) -> list[str]:
    """Column names, made different where two are the same."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def _plain(value: Any) -> Any:
    """A database value as JSON data."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has no NaN and no infinity
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# --- opening ------------------------------------------------------------------------------------------


def look_at_whole(connection: DuckDBPyConnection) -> DuckDBPyConnection:
    """Let ``ticks`` and ``bars`` mean file and archive together on this connection, where the layout has that."""
    found = connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'whole'").fetchone()
    if found:
        connection.execute("SET search_path = 'whole,main'")
    return connection


@contextlib.contextmanager
def files_of(folder: Path, memory_mb: int = 256) -> Iterator[Past]:
    """The databases of an account, opened read-only; while no engine works with them.

    Raises:
        StorageError: They cannot be opened, most likely because an engine works with them.
    """
    import duckdb

    with contextlib.ExitStack() as stack:
        opened: dict[str, DuckDBPyConnection] = {}
        for name in ("market", "ledger"):
            path = folder / f"{name}.duckdb"
            if not path.exists():
                continue
            try:
                connection = duckdb.connect(
                    str(path), read_only=True, config=Settings(memory_mb=memory_mb).config()
                )
            except duckdb.Error as error:
                words = str(error).splitlines()[0][:200]
                raise StorageError(
                    f"cannot open {path.name} of {folder.name}: {words}",
                    "while an engine runs, leave --account away: then it is asked itself",
                ) from error
            stack.callback(connection.close)
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            if name == "market":
                archive.temporary_views(connection, folder / archive.FOLDER)
                look_at_whole(connection)
            confine(connection, (folder / archive.FOLDER,) if name == "market" else ())
            opened[name] = connection
        if "market" not in opened:
            raise StorageError(
                f"nothing of the market has been stored in {folder} yet", "start `tradetui run`"
            )
        yield Past(opened["market"], opened.get("ledger"))
