"""The instrument list: by key, by symbol, by words, by what derivatives are written on.

Kept as one SQLite file that is made once a day and opened in milliseconds: 127,000 instruments are never all
in memory as objects, only those that somebody asked for. Rows are stored in the order in which a person
would want to see them (`_order`), so ranking a search is reading in row order. Words are in a full-text index with
prefixes (`tui.md` e6).
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui.domain.errors import StorageError, UnknownInstrument
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price
from tradetui.domain.text import clean

SCHEMA_VERSION: Final = "1"

_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # rank: the order of `_order`; money in 1/10,000 rupee; expiry as an ISO date in India; sought: the symbol
    # in capitals
    """
    CREATE TABLE instruments (
        rank INTEGER PRIMARY KEY, key TEXT NOT NULL, segment TEXT NOT NULL, exchange TEXT NOT NULL,
        symbol TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, series TEXT NOT NULL,
        lot_size INTEGER NOT NULL, tick_size INTEGER NOT NULL, freeze_qty INTEGER NOT NULL, expiry TEXT,
        strike INTEGER, underlying_key TEXT NOT NULL, isin TEXT NOT NULL, exchange_token TEXT NOT NULL,
        multiplier INTEGER NOT NULL, cas_eligible INTEGER NOT NULL, short_name TEXT NOT NULL, sought TEXT NOT NULL
    )
    """,
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', detail='none', prefix='1 2 3', tokenize='unicode61')",
)
_INDEXES: Final = (
    "CREATE UNIQUE INDEX by_key ON instruments (key)",
    "CREATE INDEX by_symbol ON instruments (sought, expiry)",
    "CREATE INDEX by_isin ON instruments (isin) WHERE isin <> ''",
    "CREATE INDEX by_underlying ON instruments (underlying_key) WHERE underlying_key <> ''",
)
_COLUMNS: Final = (
    "key, segment, exchange, symbol, name, kind, series, lot_size, tick_size, freeze_qty, expiry, strike, "
    "underlying_key, isin, exchange_token, multiplier, cas_eligible, short_name"
)
_SELECT: Final = f"SELECT rank, {_COLUMNS} FROM instruments WHERE"  # noqa: S608 - constants
_ALIVE: Final = "(expiry IS NULL OR expiry >= :alive)"
_BETWEEN: Final = "sought > :low AND sought < :high"
_BY_WORDS: Final = (
    f"SELECT i.rank, {_COLUMNS} FROM words JOIN instruments AS i ON i.rank = words.rowid "  # noqa: S608 - constants
    f"WHERE words MATCH :match AND {_ALIVE} ORDER BY words.rowid LIMIT :limit"
)
_WORD = re.compile(r"[^\W_]+")
_KIND_WORDS: Final = {
    InstrumentKind.INDEX: "index",
    InstrumentKind.FUTURE: "future",
    InstrumentKind.CALL: "call option",
    InstrumentKind.PUT: "put option",
}
_SEGMENT_ORDER: Final = {
    name: at
    for at, name in enumerate(
        (
            "NSE_INDEX",
            "BSE_INDEX",
            "NSE_EQ",
            "BSE_EQ",
            "NSE_FO",
            "BSE_FO",
            "MCX_FO",
            "NCD_FO",
            "BCD_FO",
            "NSE_COM",
        )
    )
}
_COMPANY = re.compile(r"^INE...[A-Z0-9]01\w{3}$")
"""An ISIN of a company's equity shares: issuer ``INE``, security type 01."""
_CACHE: Final = 4096


def _where(condition: str, *, limited: bool = True) -> str:
    """A query for living instruments; ``condition`` is our own text, values go in as parameters."""
    limit = "LIMIT :limit" if limited else ""
    # Two steps: thousands of symbols may begin with a letter, and only ranks should be sorted then.
    ranks = f"SELECT rank FROM instruments WHERE ({condition}) AND {_ALIVE} ORDER BY rank {limit}"  # noqa: S608
    return f"{_SELECT} rank IN ({ranks}) ORDER BY rank"


def _order(instrument: Instrument, on: date) -> tuple[Any, ...]:
    """What a person wants first: indices, shares, futures by expiry, options by expiry, the rest.

    Contracts that expired before ``on`` come last.
    """
    segment = _SEGMENT_ORDER.get(instrument.segment, 99)
    expiry = instrument.expiry
    if expiry is not None:
        group = 9 if expiry < on else (4 if instrument.kind is InstrumentKind.FUTURE else 5)
        root = instrument.symbol.split(" ", 1)[0]
        return (
            group,
            expiry.toordinal(),
            segment,
            root,
            instrument.strike or 0,
            instrument.symbol,
            instrument.key,
        )
    if instrument.kind is InstrumentKind.INDEX:
        group = 0
    elif instrument.series == "EQ" and instrument.segment == "NSE_EQ":
        group = 1
    else:
        group = 2 if _COMPANY.match(instrument.isin) else 7
    return (group, 0, segment, instrument.symbol, 0, instrument.symbol, instrument.key)


class Master:
    """An instrument list, ready to be asked. Safe to use from several threads.

    Make one with `Master.build` or `Master.open`.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[str, Instrument] = {}
        self.path = path
        self.meta: Mapping[str, str] = dict(connection.execute("SELECT name, value FROM meta"))

    # ---- making and opening ------------------------------------------------------------------------------

    @classmethod
    def build(
        cls, instruments: Iterable[Instrument], on: date, path: Path | None = None, **meta: str
    ) -> Master:
        """Make a list, in memory or as a new file.

        Args:
            instruments: Each key once.
            on: The day it is for: contracts that expired before it rank last.
            path: Where to; the file must not exist. ``None`` keeps the list in memory.
            meta: Kept with the list (source, time stamps).

        Raises:
            StorageError: The file cannot be written.
        """
        try:
            if path is not None:
                path.touch(mode=0o600, exist_ok=False)
            connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            try:
                cls._fill(connection, sorted(instruments, key=lambda one: _order(one, on)), on, meta)
                if path is not None:
                    connection.close()
                    _sync(path)
                    return cls.open(path)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the instrument list cannot be written: {clean(error, 160)}") from error
        return cls(connection, None)

    @staticmethod
    def _fill(
        connection: sqlite3.Connection, ordered: list[Instrument], on: date, meta: Mapping[str, str]
    ) -> None:
        """Write everything in one transaction; nothing reads the file before it is whole."""
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in ("BEGIN", *_SCHEMA):
            connection.execute(statement)
        facts = {**meta, "schema": SCHEMA_VERSION, "on": on.isoformat(), "count": str(len(ordered))}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        marks = ", ".join("?" * 20)
        connection.executemany(
            f"INSERT INTO instruments VALUES ({marks})",  # noqa: S608 - question marks only
            (_record(rank, one) for rank, one in enumerate(ordered)),
        )
        connection.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            ((rank, _words_of(one)) for rank, one in enumerate(ordered)),
        )
        for statement in _INDEXES:
            connection.execute(statement)
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        connection.execute("COMMIT")

    @classmethod
    def open(cls, path: Path) -> Master:
        """Open a list that `build` made. Nothing is loaded until it is asked for.

        Raises:
            StorageError: There is none, it is damaged, or it was made by another version.
        """
        connection = None
        try:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            master = cls(connection, path)
            rows = connection.execute("SELECT max(rank) + 1 FROM instruments").fetchone()[0] or 0
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise StorageError(f"the instrument list cannot be read: {clean(error, 160)}") from error
        if master.meta.get("schema") != SCHEMA_VERSION or master.meta.get("count") != str(rows):
            connection.close()
            raise StorageError("the instrument list was made by another version, or is damaged")
        return master

    def close(self) -> None:
        """Close the file; the list cannot be asked any more."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        """A list that nobody holds any more lets go of its file."""
        if hasattr(self, "_connection"):
            self._connection.close()

    # ---- asking ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.meta["count"])

    def __iter__(self) -> Iterator[Instrument]:
        """Every instrument, best ranked first."""
        low = 0
        query = f"{_SELECT} rank >= :low ORDER BY rank LIMIT 2000"
        while chunk := self._fetch(query, {"low": low}):
            low = max(chunk) + 1
            yield from chunk.values()

    @property
    def on(self) -> date:
        """The day the list is for."""
        return date.fromisoformat(self.meta["on"])

    def get(self, key: str) -> Instrument | None:
        """The instrument with this key, or ``None``."""
        known = self._known.get(key)
        if known is None:
            query = f"{_SELECT} key = :key"
            known = next(iter(self._fetch(query, {"key": key}).values()), None)
            if known is None:
                return None
            if len(self._known) >= _CACHE:
                self._known.clear()
            self._known[key] = known
        return known

    def by_key(self, key: str) -> Instrument:
        """The instrument with this key.

        Raises:
            UnknownInstrument: There is none.
        """
        found = self.get(key)
        if found is None:
            raise UnknownInstrument(
                f"no instrument has the key {clean(key, 90)!r}", "tradetui instruments search"
            )
        return found

    def by_symbol(self, symbol: str, segment: str | None = None) -> Instrument:
        """The best ranked instrument with this trading symbol (or key), whatever its case.

        Args:
            symbol: ``RELIANCE``, ``nifty``, ``NIFTY 25000 CE 30 DEC 25`` or a key.
            segment: Only there (``BSE_EQ``).

        Raises:
            UnknownInstrument: There is none; names the nearest.
        """
        text = " ".join(clean(symbol, 90).split())
        if "|" in text:
            return self.by_key(text)
        where = "sought = :symbol AND (:segment IS NULL OR segment = :segment)"
        query = f"{_SELECT} {where} ORDER BY rank LIMIT 1"
        for found in self._fetch(query, {"symbol": text.upper(), "segment": segment}).values():
            return found
        near = ", ".join(one.symbol for one in self.search(text, 3))
        raise UnknownInstrument(f"no instrument is called {text!r}", f"near it: {near}" if near else "")

    def search(self, text: str, limit: int = 20, on: date | None = None) -> list[Instrument]:
        """Instruments that a few typed words can mean, best first; every word must match.

        The exact symbol (or key, or ISIN) comes first, then symbols whose first word or beginning it is, then
        those where the words occur; within each: indices, shares, near futures, near options.

        Args:
            text: What was typed so far; the last word may be unfinished.
            limit: Most results.
            on: Leave out contracts that expired before this day; the list's own day by default.
        """
        text = " ".join(clean(text, 90).split())
        words = _WORD.findall(text.lower())
        if not words or limit <= 0:
            return []
        upper = text.upper()
        alive = (on or self.on).isoformat()
        values: dict[str, Any] = {"text": upper, "alive": alive, "limit": limit, "key": text}
        whole = [f'"{word}"' for word in words]
        begun = [f'"{word}"*' for word in words]
        found: dict[int, Instrument] = {}
        for query, more in (
            (_where("sought = :text"), {}),
            (_where("key = :key OR (isin <> '' AND isin = :text)"), {}),
            (_where(_BETWEEN), {"low": f"{upper} ", "high": f"{upper}!"}),
            (_where(_BETWEEN), {"low": upper, "high": f"{upper}\U0010ffff"}),
            (_BY_WORDS, {"match": " AND ".join(whole)}),
            (_BY_WORDS, {"match": " AND ".join([*whole[:-1], begun[-1]])}),
            (_BY_WORDS, {"match": " AND ".join(begun)}),
        ):
            for rank, instrument in self._fetch(query, values | more).items():
                found.setdefault(rank, instrument)
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def derivatives_of(self, key: str, on: date | None = None) -> list[Instrument]:
        """Futures, then options, written on an instrument, by expiry and strike; expired ones left out.

        Goes by the underlying's key, because names differ between spot and contract (`upstox.md` 5).
        """
        alive = (on or self.on).isoformat()
        query = _where("underlying_key = :key AND underlying_key <> '' AND expiry IS NOT NULL", limited=False)
        return list(self._fetch(query, {"key": key, "alive": alive}).values())

    def has_derivatives(self, key: str, on: date | None = None) -> bool:
        """Whether any contract on this instrument is still alive."""
        alive = (on or self.on).isoformat()
        query = _where("underlying_key = :key AND underlying_key <> '' AND expiry IS NOT NULL")
        return bool(self._fetch(query, {"key": key, "alive": alive, "limit": 1}))

    def counts(self) -> dict[str, int]:
        """Instruments by segment."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT segment, count(*) FROM instruments GROUP BY 1 ORDER BY 1"))

    def _fetch(self, query: str, values: Mapping[str, Any]) -> dict[int, Instrument]:
        """Rank to instrument, in the query's order."""
        with self._reading() as connection:
            return {row[0]: _instrument(row) for row in connection.execute(query, values)}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; a damaged file is said in words."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StorageError(f"the instrument list cannot be read: {clean(error, 160)}") from error


def _record(rank: int, one: Instrument) -> tuple[Any, ...]:
    """An instrument as a row."""
    return (
        rank, one.key, one.segment, one.exchange, one.symbol, one.name, one.kind.value, one.series,
        one.lot_size, one.tick_size, one.freeze_qty, None if one.expiry is None else one.expiry.isoformat(),
        one.strike, one.underlying_key, one.isin, one.exchange_token, one.multiplier, int(one.cas_eligible),
        one.short_name, one.symbol.upper(),
    )  # fmt: skip


def _instrument(row: tuple[Any, ...]) -> Instrument:
    """A row as an instrument."""
    return Instrument(
        key=row[1], segment=row[2], exchange=row[3], symbol=row[4], name=row[5], kind=InstrumentKind(row[6]),
        series=row[7], lot_size=row[8], tick_size=Price(row[9]), freeze_qty=row[10],
        expiry=None if row[11] is None else date.fromisoformat(row[11]),
        strike=None if row[12] is None else Price(row[12]),
        underlying_key=row[13], isin=row[14], exchange_token=row[15], multiplier=row[16],
        cas_eligible=bool(row[17]), short_name=row[18],
    )  # fmt: skip


def _words_of(one: Instrument) -> str:
    """What the full-text index holds of an instrument."""
    parts = (
        one.symbol,
        one.name,
        one.short_name,
        one.segment,
        one.series,
        _KIND_WORDS.get(one.kind, ""),
        one.isin,
    )
    return " ".join(dict.fromkeys(_WORD.findall(" ".join(parts).lower())))


def _sync(path: Path) -> None:
    """Make a finished file durable before anybody replaces another one with it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
