# ruff: noqa: S608 - names of ours; what a user typed is quoted and the statement is looked into before it runs
"""Take stored rows out into files that other programs read: Parquet, CSV, Arrow.

A file appears under its name only when it is whole. Where an engine holds the databases, it writes the rows as an
Arrow stream into its own folder, and the command that asked turns that into what was wanted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tradetui.domain.errors import StorageError, UsageError
from tradetui.domain.intervals import INTERVALS
from tradetui.storage import questions
from tradetui.storage.questions import Past

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: Final = ("parquet", "csv", "arrow")
SUFFIXES: Final = {".parquet": "parquet", ".csv": "csv", ".arrow": "arrow", ".feather": "arrow"}
FOLDER: Final = "exports"
TIME_S: Final = 600.0
_BATCH: Final = 65_536
_FORMULA: Final = r"^[=+\-@\t\r\n]"
"""A text that begins so would be run as a formula by a spreadsheet (`design.md` 10b)."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that can be exported.

    Attributes:
        about: What it is.
        sql: Its rows; ``{where}`` stands for the filters.
        time: Column that ``--from`` and ``--to`` look at; empty when there is none.
        key: Column with the instrument key; empty when there is none.
    """

    about: str
    sql: str
    time: str = ""
    key: str = ""


def _rupees(names: str) -> str:
    return ", ".join(f"({name} * 0.0001::DECIMAL(5, 4))::DECIMAL(24, 4) AS {name}" for name in names.split())


_SYMBOL: Final = (
    "LEFT JOIN (SELECT key, arg_max(symbol, last_seen) AS symbol FROM instruments GROUP BY key) i "
    "ON i.key = x.instrument_key"
)
_NAME: Final = "coalesce(i.symbol, x.instrument_key) AS symbol"

KINDS: Final[Mapping[str, Kind]] = {
    "ticks": Kind(
        "every stored tick, archive included",
        "SELECT i.symbol, i.key AS instrument_key, x.* EXCLUDE (instrument_id{session}) FROM ticks x "
        "JOIN instruments i ON i.instrument_id = x.instrument_id WHERE {where} ORDER BY x.engine_ts",
        "x.engine_ts",
        "i.key",
    ),
    "bars": Kind(
        "bars, one for each start: the broker's where it has one; archive included",
        "SELECT i.symbol, i.key AS instrument_key, x.* EXCLUDE (instrument_id) FROM bars x "
        "JOIN instruments i ON i.instrument_id = x.instrument_id WHERE {where} "
        'QUALIFY row_number() OVER (PARTITION BY x.instrument_id, x."interval", x.start '
        "ORDER BY (x.source = 'broker') DESC) = 1 ORDER BY symbol, instrument_key, x.start",
        "x.start",
        "i.key",
    ),
    "trades": Kind(
        "our trades; prices in rupees",
        f"SELECT x.t AS time, {_NAME}, x.instrument_key, side, qty, {_rupees('price')}, product, trade_id, "
        f"broker_id AS order_id, tag, multiplier FROM fills x {_SYMBOL} WHERE {{where}} ORDER BY x.t_ns, trade_id",
        "x.t",
        "x.instrument_key",
    ),
    "orders": Kind(
        "our orders in their last state; prices in rupees",
        f"SELECT x.created, x.updated, {_NAME}, x.* EXCLUDE (created, updated, created_ns, updated_ns, journal_day, "
        f"journal_number) REPLACE ({_rupees('price trigger_price stop target average_price')}) FROM orders x "
        f"{_SYMBOL} WHERE {{where}} ORDER BY x.created_ns, tag",
        "x.created",
        "x.instrument_key",
    ),
    "positions": Kind(
        "positions day by day; money in rupees",
        f"SELECT {_NAME}, x.* EXCLUDE (updated_ns) "
        f"REPLACE ({_rupees('average_price cost realised buy_value sell_value opening_cost')}) FROM positions x "
        f"{_SYMBOL} WHERE {{where}} ORDER BY x.day, x.instrument_key, product",
        "x.updated",
        "x.instrument_key",
    ),
    "signals": Kind(
        "signals of strategies",
        f"SELECT {_NAME}, x.* FROM signals x {_SYMBOL} WHERE {{where}} ORDER BY journal_day, journal_number",
        "x.t",
        "x.instrument_key",
    ),
    "instruments": Kind(
        "every instrument that was ever stored",
        "SELECT x.* FROM instruments x WHERE {where} ORDER BY instrument_id",
        "",
        "x.key",
    ),
    "day-stats": Kind(
        "what sessions ended with",
        "SELECT i.symbol, i.key AS instrument_key, x.* EXCLUDE (instrument_id) FROM day_stats x "
        "JOIN instruments i ON i.instrument_id = x.instrument_id WHERE {where} ORDER BY x.session, symbol",
        "x.session::TIMESTAMPTZ",
        "i.key",
    ),
    "slippage": Kind(
        "decision times of orders; prices in 1/10,000 rupee, times in ns, as stored",
        f"SELECT {_NAME}, x.* FROM order_times x {_SYMBOL} WHERE {{where}} ORDER BY decided_ns, tag",
        "x.decided",
        "x.instrument_key",
    ),
    "journal": Kind(
        "the ledger's copy of the journal",
        "SELECT x.* FROM journal x WHERE {where} ORDER BY journal_day, journal_number",
        "x.t",
        "",
    ),
}
"""Name -> what can be exported."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        kind: One of `KINDS`.
        symbols: Symbols or instrument keys; empty means all.
        interval: Of bars; empty means all.
        first_us, last_us: Epoch microseconds UTC, from and up to; 0 sets no bound.
    """

    kind: str
    symbols: tuple[str, ...] = ()
    interval: str = ""
    first_us: int = 0
    last_us: int = 0

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: Says what.
        """
        kind = KINDS.get(self.kind)
        if kind is None:
            raise UsageError(f"nothing called {self.kind[:40]!r} is stored", f"there are: {', '.join(KINDS)}")
        if self.interval and self.kind != "bars":
            raise UsageError("--interval is for bars")
        if self.symbols and not kind.key:
            raise UsageError(f"{self.kind} are not kept by symbol")
        if (self.first_us or self.last_us) and not kind.time:
            raise UsageError(f"{self.kind} have no time")
        if self.first_us and self.last_us and self.first_us >= self.last_us:
            raise UsageError("--from lies behind --to")


@contextlib.contextmanager
def rows_of(past: Past, wanted: Wanted, timeout_s: float = TIME_S) -> Iterator[pa.RecordBatchReader]:
    """The rows as a stream of Arrow batches.

    Raises:
        UsageError: It makes no sense, or nothing is stored of what is named.
        StorageError: It took too long, or the database cannot be read.
    """
    import duckdb

    wanted.check()
    kind = KINDS[wanted.kind]
    if kind.key:
        _check_symbols(past, wanted)
    if wanted.interval:
        _check_interval(past, wanted.interval)
    text = _statement(past, wanted, kind)
    try:
        with (
            questions.prepared(past, text) as connection,
            questions.limited(connection, timeout_s),
            contextlib.closing(connection.sql(text).to_arrow_reader(_BATCH)) as reader,
        ):
            yield reader
    except duckdb.InterruptException:
        raise StorageError(f"the export took longer than {timeout_s:g} s", "narrow it with --from") from None
    except duckdb.Error as error:
        raise StorageError(f"the database says: {str(error).splitlines()[0][:300]}") from error


def _statement(past: Past, wanted: Wanted, kind: Kind) -> str:
    where = []
    if wanted.symbols:
        names = ", ".join(_text(name.upper()) for name in wanted.symbols)
        keys = ", ".join(_text(name) for name in wanted.symbols)
        where.append(
            f"{kind.key} IN (SELECT key FROM instruments WHERE upper(symbol) IN ({names}) OR key IN ({keys}))"
        )
    if wanted.interval:
        where.append(f'x."interval" = {_text(wanted.interval)}')
    if wanted.first_us:
        where.append(f"{kind.time} >= make_timestamptz({int(wanted.first_us)})")
    if wanted.last_us:
        where.append(f"{kind.time} < make_timestamptz({int(wanted.last_us)})")
    session = ""
    if wanted.kind in ("ticks", "bars"):
        columns = past.market.execute(f"SELECT * FROM {wanted.kind} LIMIT 0").description or ()
        if any(column[0] == "session" for column in columns):
            session = ", session" if wanted.kind == "ticks" else ""
            if wanted.first_us:
                where.append(f"x.session >= {_day(wanted.first_us)}")
            if wanted.last_us:
                where.append(f"x.session <= {_day(wanted.last_us)}")
    return kind.sql.replace("{where}", " AND ".join(where) or "true").replace("{session}", session)


def _day(us: int) -> str:
    return f"DATE '1970-01-01' + {(us + 19_800_000_000) // 86_400_000_000}"


def _check_symbols(past: Past, wanted: Wanted) -> None:
    for name in wanted.symbols:
        found = past.market.execute(
            "SELECT 1 FROM instruments WHERE upper(symbol) = upper(?) OR key = ? LIMIT 1", [name, name]
        ).fetchone()
        if found is None:
            raise UsageError(f"nothing is stored of {name[:60]!r}", "see `tradetui export instruments`")


def _check_interval(past: Past, interval: str) -> None:
    if interval in INTERVALS:
        return
    found = past.market.execute('SELECT DISTINCT "interval" FROM bars ORDER BY ALL').fetchall()
    stored = [row[0] for row in found]
    if interval not in stored:
        raise UsageError(f"no interval {interval[:20]!r}", f"stored are: {', '.join(stored) or 'none yet'}")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


# --- writing ------------------------------------------------------------------------------------------


def write_file(
    reader: pa.RecordBatchReader, path: Path, form: str, *, replace: bool = False
) -> tuple[int, int]:
    """Write a stream of rows to a file that appears whole or not at all.

    Args:
        reader: The rows.
        path: The file.
        form: One of `FORMATS`.
        replace: Take the place of a file that is there.

    Returns:
        Rows and bytes.

    Raises:
        UsageError: The file is there already.
        StorageError: The disk refuses.
    """
    if path.exists() and not replace:
        raise UsageError(f"{path} is there already", "give another name, or --force")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                count = write_stream(reader, file, form)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            part.replace(path)
            handle = os.open(path.parent, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return count, size


def write_stream(reader: pa.RecordBatchReader, out: BinaryIO, form: str, *, piped: bool = False) -> int:
    """Write rows to an open file or pipe; returns how many.

    Args:
        reader: The rows.
        out: Where to.
        form: One of `FORMATS`.
        piped: The other end cannot seek: Arrow is written as a stream.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    count = 0
    change: Callable[[pa.RecordBatch], pa.RecordBatch] = _as_it_is
    if form == "csv":
        change = _for_csv
        writer: Any = pa.csv.CSVWriter(out, _for_csv(_empty(reader.schema)).schema)
    elif form == "parquet":
        writer = pa.parquet.ParquetWriter(out, reader.schema, compression="zstd")
    else:
        writer = pa.ipc.new_stream(out, reader.schema) if piped else pa.ipc.new_file(out, reader.schema)
    with writer:
        for batch in reader:
            writer.write_batch(change(batch))
            count += batch.num_rows
    return count


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([], one.type) for one in schema], schema=schema)


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def _for_csv(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Times as ISO texts in UTC; a text never starts a formula."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type):
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_decimal(column.type) or pa.types.is_date(column.type):
            column = column.cast(pa.string())
        elif not (pa.types.is_primitive(column.type) or pa.types.is_boolean(column.type)):
            column = column.cast(pa.string())
            risky = pc.match_substring_regex(column, _FORMULA)
            column = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


# --- beside a running engine --------------------------------------------------------------------------


def export_beside(past: Past, folder: Path, args: Mapping[str, Any]) -> dict[str, Any]:
    """Write rows as an Arrow stream into the account's folder, for the command that asked; it takes the file away.

    Args:
        past: The databases.
        folder: Directory of the account.
        args: ``kind``, ``symbols``, ``interval``, ``first_us``, ``last_us``.

    Raises:
        UsageError: It makes no sense.
        StorageError: The disk refuses.
    """
    wanted = wanted_from(args)
    place = folder / FOLDER
    path = place / f"{os.getpid()}-{next(_numbers)}.arrows"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        with rows_of(past, wanted) as reader, path.open("xb") as file:
            path.chmod(0o600)
            count = write_stream(reader, file, "arrow", piped=True)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write the export: {error.strerror}") from error
        raise
    return {"path": str(path), "exported": count}


def wanted_from(args: Mapping[str, Any]) -> Wanted:
    """What a request asks for.

    Raises:
        UsageError: A field is of the wrong kind.
    """
    symbols = args.get("symbols") or []
    if not isinstance(symbols, list) or not all(isinstance(one, str) for one in symbols):
        raise UsageError("symbols must be a list of texts")
    texts = [args.get(name, "") for name in ("kind", "interval")]
    bounds = [args.get(name, 0) for name in ("first_us", "last_us")]
    if not all(isinstance(one, str) for one in texts):
        raise UsageError("kind and interval must be texts")
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in bounds):
        raise UsageError("first_us and last_us must be whole numbers")
    return Wanted(texts[0], tuple(symbols), texts[1], *bounds)
