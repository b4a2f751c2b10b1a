"""What a few typed words can mean: ranks of the instrument list, best first.

Every query ends after as many rows as are wanted, because it walks an index in the order of ranks: one letter that
begins thirty thousand symbols costs no more than a whole word.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tradetui.brokers.upstox.master_ranks import WORD, Hit, Levels, nearest_first

POOL: Final = 400
"""Matches among which the strikes near the money are picked: more than the options of one index and expiry."""

ALIVE: Final = "(expiry IS NULL OR expiry >= :alive)"
_HIT: Final = "rank, expiry, strike, underlying_key"
_ROOTS: Final = "SELECT root FROM roots WHERE root >= :low AND root < :high ORDER BY rank LIMIT :limit"
_BY_WORDS: Final = (
    f"SELECT i.{_HIT} FROM words JOIN instruments AS i ON i.rank = words.rowid "  # noqa: S608 - constants
    f"WHERE words MATCH :match AND {ALIVE} ORDER BY words.rowid LIMIT :limit"
)

_Values = Mapping[str, Any]


def _living(condition: str) -> str:
    """A query for living instruments; ``condition`` is our own text, values go in as parameters."""
    return f"SELECT {_HIT} FROM instruments WHERE ({condition}) AND {ALIVE} ORDER BY rank LIMIT :limit"  # noqa: S608


_EXACT: Final = _living("sought = :text")
_IDENTITY: Final = _living("key = :key OR (isin <> '' AND isin = :text)")
_FORMER: Final = _living("key IN (SELECT key FROM former WHERE sought = :text)")
_BETWEEN: Final = _living("sought > :low AND sought < :high")
_OF_ROOT: Final = _living("root = :root")


def find_ranks(
    connection: sqlite3.Connection, text: str, limit: int, alive: str, levels: Levels | None
) -> list[int]:
    """Ranks of what matches; every word must.

    Args:
        connection: Of the list.
        text: Cleaned, single blanks.
        limit: Most results.
        alive: ISO date: contracts that expired before it are left out.
        levels: Prices of underlyings, to show the strikes near them first.
    """
    words = WORD.findall(text.lower())
    if not words or limit <= 0:
        return []
    values = {"text": text.upper(), "key": text, "alive": alive, "limit": limit}
    ranks: dict[int, None] = {}
    for hits in _stages(connection, words, values, levels is not None):
        for rank in nearest_first(hits, levels):
            ranks.setdefault(rank)
        if len(ranks) >= limit:
            break
    return list(ranks)[:limit]


def _stages(
    connection: sqlite3.Connection, words: list[str], values: _Values, wide: bool
) -> Iterator[list[Hit]]:
    """Exact names, names of before, first words, beginnings, words anywhere; made only as far as they are needed."""

    def hits(query: str, **more: str) -> list[Hit]:
        return _hits(connection, query, {**values, **more}, wide)

    text = values["text"]
    yield hits(_EXACT)
    yield hits(_IDENTITY)
    yield hits(_FORMER)
    if " " in text:
        yield hits(_BETWEEN, low=f"{text} ", high=f"{text}!")
        yield hits(_BETWEEN, low=text, high=f"{text}\U0010ffff")
    else:
        yield hits(_OF_ROOT, root=text)
        yield _begun(connection, {**values, "low": text, "high": f"{text}\U0010ffff"}, wide)
    whole = [f'"{word}"' for word in words]
    begun = [f'"{word}"*' for word in words]
    yield hits(_BY_WORDS, match=" AND ".join(whole))
    yield hits(_BY_WORDS, match=" AND ".join([*whole[:-1], begun[-1]]))
    yield hits(_BY_WORDS, match=" AND ".join(begun))


def _hits(connection: sqlite3.Connection, query: str, values: _Values, wide: bool) -> list[Hit]:
    """Matches in order of rank: as many as are wanted, and more where the nearest strikes are to be picked."""
    found = [Hit(*row) for row in connection.execute(query, values)]
    if wide and len(found) == values["limit"] and any(hit.strike is not None for hit in found):
        found = [Hit(*row) for row in connection.execute(query, {**values, "limit": POOL})]
    return found


def _begun(connection: sqlite3.Connection, values: _Values, wide: bool) -> list[Hit]:
    """Matches of symbols that begin so.

    Of all first words that do, only as many can be in the answer as it has places: those with the best ranks.
    """
    roots = [row[0] for row in connection.execute(_ROOTS, values)]
    found = [
        (hit, root) for root in roots for hit in _hits(connection, _OF_ROOT, {**values, "root": root}, False)
    ]
    found.sort(key=lambda pair: pair[0].rank)
    shown = found[: values["limit"]]
    chains = {root for hit, root in shown if hit.strike is not None} if wide else set()
    hits = {hit for hit, root in shown if root not in chains}
    for root in chains:
        hits.update(_hits(connection, _OF_ROOT, {**values, "root": root}, True))
    return sorted(hits, key=lambda hit: hit.rank)
