"""The instrument list: by key, by symbol, by words, by what derivatives are written on.

Kept as one SQLite file that is made once a day and opened in milliseconds: 127,000 instruments are never all
in memory as objects, only those that somebody asked for. Rows are stored in the order in which a person
would want to see them (`master_ranks`), so ranking a search is reading in row order. Words are in a full-text index with
prefixes (`tui.md` e6).
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui.brokers.upstox.master_ranks import Levels, middles_of, order, segment_rank, words_of
from tradetui.brokers.upstox.master_search import ALIVE, find_ranks
from tradetui.domain.errors import StorageError, UnknownInstrument
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price
from tradetui.domain.text import clean

SCHEMA_VERSION: Final = "2"

_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # rank: the order of `master_ranks.order`; money in 1/10,000 rupee; expiry as an ISO date in India; sought: the symbol
    # in capitals; root: its first word
    """
    CREATE TABLE instruments (
        rank INTEGER PRIMARY KEY, key TEXT NOT NULL, segment TEXT NOT NULL, exchange TEXT NOT NULL,
        symbol TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, series TEXT NOT NULL,
        lot_size INTEGER NOT NULL, tick_size INTEGER NOT NULL, freeze_qty INTEGER NOT NULL, expiry TEXT,
        strike INTEGER, underlying_key TEXT NOT NULL, isin TEXT NOT NULL, exchange_token TEXT NOT NULL,
        multiplier INTEGER NOT NULL, cas_eligible INTEGER NOT NULL, short_name TEXT NOT NULL,
        security_type TEXT NOT NULL, weekly INTEGER NOT NULL, mtf INTEGER NOT NULL, quote_unit TEXT NOT NULL,
        sought TEXT NOT NULL, root TEXT NOT NULL
    )
    """,
    "CREATE TABLE roots (root TEXT PRIMARY KEY, rank INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE former (sought TEXT NOT NULL, key TEXT NOT NULL, until TEXT NOT NULL, PRIMARY KEY (sought, key)) "
    "WITHOUT ROWID",
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', detail='none', prefix='1 2 3 4 5 6', tokenize='unicode61')",
)
_INDEXES: Final = (
    "CREATE UNIQUE INDEX by_key ON instruments (key)",
    "CREATE INDEX by_symbol ON instruments (sought, expiry)",
    "CREATE INDEX by_root ON instruments (root, rank)",
    "CREATE INDEX by_isin ON instruments (isin) WHERE isin <> ''",
    "CREATE INDEX by_underlying ON instruments (underlying_key) WHERE underlying_key <> ''",
)
_COLUMNS: Final = (
    "key, segment, exchange, symbol, name, kind, series, lot_size, tick_size, freeze_qty, expiry, strike, "
    "underlying_key, isin, exchange_token, multiplier, cas_eligible, short_name, security_type, weekly, mtf, quote_unit"
)
_COLUMNS_OF_I: Final = ", ".join(f"i.{name}" for name in _COLUMNS.split(", "))
_SELECT: Final = f"SELECT rank, {_COLUMNS} FROM instruments WHERE"  # noqa: S608 - constants
_CACHE: Final = 4096
_FUTURE = re.compile(r"^(.+?) FUT([1-3])?$")


def _where(condition: str, *, limited: bool = True) -> str:
    """A query for living instruments; ``condition`` is our own text, values go in as parameters."""
    limit = "LIMIT :limit" if limited else ""
    # Two steps: thousands of symbols may begin with a letter, and only ranks should be sorted then.
    ranks = f"SELECT rank FROM instruments WHERE ({condition}) AND {ALIVE} ORDER BY rank {limit}"  # noqa: S608
    return f"{_SELECT} rank IN ({ranks}) ORDER BY rank"


@dataclass(frozen=True, slots=True)
class Former:
    """A name that an instrument bore before.

    Attributes:
        name: The trading symbol, or for a share whose ISIN changed (a split) its key.
        key: The key it has now.
        until: Day of the last list that had the old name.
    """

    name: str
    key: str
    until: date


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
        cls,
        instruments: Iterable[Instrument],
        on: date,
        path: Path | None = None,
        former: Iterable[Former] = (),
        **meta: str,
    ) -> Master:
        """Make a list, in memory or as a new file.

        Args:
            instruments: Each key once.
            on: The day it is for: contracts that expired before it rank last.
            path: Where to; the file must not exist. ``None`` keeps the list in memory.
            former: Names that instruments of the list bore before.
            meta: Kept with the list (source, time stamps).

        Raises:
            StorageError: The file cannot be written.
        """
        try:
            if path is not None:
                path.touch(mode=0o600, exist_ok=False)
            connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            try:
                listed = list(instruments)
                middles = middles_of(listed)
                listed.sort(key=lambda one: order(one, on, middles))
                cls._fill(connection, listed, on, meta)
                cls.remember(connection, former)
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
        marks = ", ".join("?" * 25)
        connection.executemany(
            f"INSERT INTO instruments VALUES ({marks})",  # noqa: S608 - question marks only
            (_record(rank, one) for rank, one in enumerate(ordered)),
        )
        connection.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            ((rank, words_of(one)) for rank, one in enumerate(ordered)),
        )
        for statement in _INDEXES:
            connection.execute(statement)
        connection.execute("INSERT INTO roots SELECT root, min(rank) FROM instruments GROUP BY root")
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        connection.execute("COMMIT")

    @staticmethod
    def remember(connection: sqlite3.Connection, former: Iterable[Former]) -> None:
        """Add names that instruments bore before; those of keys that are not in the list are left out."""
        connection.executemany(
            "INSERT OR REPLACE INTO former SELECT ?, key, ? FROM instruments WHERE key = ?",
            ((one.name.upper(), one.until.isoformat(), one.key) for one in former),
        )

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

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every entry with the columns of `storage.listings`, best ranked first."""
        with self._reading() as connection:
            yield from connection.execute(f"SELECT rank, {_COLUMNS} FROM instruments ORDER BY rank")  # noqa: S608

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

    def by_symbol(self, symbol: str, segment: str | None = None, on: date | None = None) -> Instrument:
        """The best ranked instrument with this trading symbol (or key), whatever its case.

        Args:
            symbol: ``RELIANCE``, ``nifty``, ``NIFTY 25000 CE 30 DEC 25`` or a key. ``NIFTY FUT`` is the nearest
                future on the list's day, ``NIFTY FUT2`` the next: they roll by themselves. A name that a share
                bore before is found too.
            segment: Only there (``BSE_EQ``).
            on: Day for which the nearest future is meant; the list's own by default.

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
        if (meant := self._nearest_future(text, on) or self._renamed(text, segment)) is not None:
            return meant
        near = ", ".join(one.symbol for one in self.search(text, 3))
        raise UnknownInstrument(f"no instrument is called {text!r}", f"near it: {near}" if near else "")

    def _nearest_future(self, text: str, on: date | None) -> Instrument | None:
        """``NIFTY FUT`` and ``NIFTY FUT2``: which contract that is today."""
        found = _FUTURE.match(text.upper())
        if found is None:
            return None
        number = int(found[2] or 1)
        contracts = self.contracts_on(found[1], on)
        futures = [one for one in contracts if one.kind is InstrumentKind.FUTURE]
        return futures[number - 1] if number <= len(futures) else None

    def _renamed(self, text: str, segment: str | None) -> Instrument | None:
        """The instrument that bore a name before; of several the one that bore it last."""
        where = "former.sought = :symbol AND (:segment IS NULL OR segment = :segment)"
        query = (
            f"SELECT rank, {_COLUMNS_OF_I} FROM former JOIN instruments AS i USING (key) WHERE {where} "  # noqa: S608
            "ORDER BY until DESC, rank LIMIT 1"
        )
        return next(iter(self._fetch(query, {"symbol": text.upper(), "segment": segment}).values()), None)

    def former_names(self, key: str | None = None) -> list[Former]:
        """Names that an instrument bore before, newest first; of all instruments without a key."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT sought, key, until FROM former WHERE :key IS NULL OR key = :key ORDER BY until DESC, sought",
                {"key": key},
            ).fetchall()
        return [Former(name, owner, date.fromisoformat(until)) for name, owner, until in rows]

    def search(
        self, text: str, limit: int = 20, on: date | None = None, levels: Levels | None = None
    ) -> list[Instrument]:
        """Instruments that a few typed words can mean, best first; every word must match.

        The exact symbol (or key, or ISIN) comes first, then who bore that name before, then symbols whose first
        word or beginning it is, then those where the words occur; within each: indices, shares, near futures,
        near options, and of one expiry the strikes around the money.

        Args:
            text: What was typed so far; the last word may be unfinished.
            limit: Most results.
            on: Leave out contracts that expired before this day; the list's own day by default.
            levels: Prices of underlyings; without it the money is where the middle of the listed strikes is.
        """
        text = " ".join(clean(text, 90).split())
        with self._reading() as connection:
            ranks = find_ranks(connection, text, limit, (on or self.on).isoformat(), levels)
        return self._ranked(ranks)

    def _ranked(self, ranks: Sequence[int]) -> list[Instrument]:
        """Instruments by their ranks, in the order given."""
        marks = ", ".join(map(str, ranks))
        found = self._fetch(f"{_SELECT} rank IN ({marks})", {})
        return [found[rank] for rank in ranks]

    def derivatives_of(self, key: str, on: date | None = None) -> list[Instrument]:
        """Futures, then options, written on an instrument, by expiry and strike; expired ones left out.

        Goes by the underlying's key, because names differ between spot and contract (`upstox.md` 5).
        """
        alive = (on or self.on).isoformat()
        query = _where("underlying_key = :key AND underlying_key <> '' AND expiry IS NOT NULL", limited=False)
        found = self._fetch(query, {"key": key, "alive": alive}).values()
        return sorted(found, key=_by_expiry)

    def contracts_on(self, name: str, on: date | None = None) -> list[Instrument]:
        """Living contracts on something by its symbol, as `derivatives_of`.

        Of a commodity or a currency pair the list has contracts only, or on several exchanges: then those whose
        symbol begins with the name, of the exchange segment that ranks first.
        """
        query = f"{_SELECT} sought = :symbol AND expiry IS NULL ORDER BY rank LIMIT 1"
        for underlying in self._fetch(query, {"symbol": name.upper()}).values():
            if found := self.derivatives_of(underlying.key, on):
                return found
        query = _where("root = :root AND expiry IS NOT NULL", limited=False)
        alive = (on or self.on).isoformat()
        rooted = list(self._fetch(query, {"root": name.upper(), "alive": alive}).values())
        best = min((segment_rank(one.segment) for one in rooted), default=0)
        return sorted((one for one in rooted if segment_rank(one.segment) == best), key=_by_expiry)

    def has_derivatives(self, key: str, on: date | None = None) -> bool:
        """Whether any contract on this instrument is still alive."""
        alive = (on or self.on).isoformat()
        query = _where("underlying_key = :key AND underlying_key <> '' AND expiry IS NOT NULL")
        return bool(self._fetch(query, {"key": key, "alive": alive, "limit": 1}))

    def underlyings(self, on: date | None = None) -> list[str]:
        """Keys of everything that has living derivatives on NSE or BSE: indices first, then by key.

        Args:
            on: Day on which they must live; the list's own by default.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT underlying_key FROM instruments WHERE segment IN ('NSE_FO', 'BSE_FO') "
                "AND underlying_key <> '' AND expiry >= :alive",
                {"alive": (on or self.on).isoformat()},
            ).fetchall()
        return sorted((str(row[0]) for row in rows), key=lambda key: ("_INDEX|" not in key, key))

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


def _by_expiry(one: Instrument) -> tuple[bool, date, int, bool]:
    """Futures, then options; by expiry and strike, calls first."""
    put = one.kind is InstrumentKind.PUT
    return one.is_option, one.expiry or date.max, one.strike or 0, put


def _record(rank: int, one: Instrument) -> tuple[Any, ...]:
    """An instrument as a row."""
    return (
        rank, one.key, one.segment, one.exchange, one.symbol, one.name, one.kind.value, one.series,
        one.lot_size, one.tick_size, one.freeze_qty, None if one.expiry is None else one.expiry.isoformat(),
        one.strike, one.underlying_key, one.isin, one.exchange_token, one.multiplier, int(one.cas_eligible),
        one.short_name, one.security_type, int(one.weekly), int(one.mtf), one.quote_unit, one.symbol.upper(),
        one.symbol.upper().partition(" ")[0],
    )  # fmt: skip


def _instrument(row: tuple[Any, ...]) -> Instrument:
    """A row as an instrument."""
    return Instrument(
        key=row[1], segment=row[2], exchange=row[3], symbol=row[4], name=row[5], kind=InstrumentKind(row[6]),
        series=row[7], lot_size=row[8], tick_size=Price(row[9]), freeze_qty=row[10],
        expiry=None if row[11] is None else date.fromisoformat(row[11]),
        strike=None if row[12] is None else Price(row[12]),
        underlying_key=row[13], isin=row[14], exchange_token=row[15], multiplier=row[16],
        cas_eligible=bool(row[17]), short_name=row[18], security_type=row[19], weekly=bool(row[20]),
        mtf=bool(row[21]), quote_unit=row[22],
    )  # fmt: skip


def _sync(path: Path) -> None:
    """Make a finished file durable before anybody replaces another one with it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
