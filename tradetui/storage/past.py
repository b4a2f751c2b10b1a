"""The broker's past bars in bulk, and what it was asked: one transaction for both, so that a kill tears nothing.

A day whose bars are all there speaks for itself. Of a day with fewer bars than its session has minutes, `asked`
keeps how many the broker had when it was asked after the day's end: those minutes had no trade, and nobody has to
ask for them again. A day that then holds fewer bars than the broker gave has lost some, and is a hole once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradetui.domain.calendar import ist_date
from tradetui.domain.candle_block import CandleBlock
from tradetui.storage.columns import MAX_MS, MIN_MS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIGURES: Final = ("open", "high", "low", "close", "volume", "oi")
MOST_EXAMPLES: Final = 20
"""Differences of one answer that are shown one by one."""
_IST_MS: Final = 330 * 60_000
_DAY_MS: Final = 86_400_000
_STORED: Final = (
    "SELECT epoch_ms(start) AS ms, open, high, low, close, volume, oi FROM whole.bars "
    "WHERE instrument_id = ? AND \"interval\" = ? AND source = 'broker' "
    "AND start BETWEEN make_timestamptz(?) AND make_timestamptz(?) AND session BETWEEN ? AND ? ORDER BY start"
)
_DELETE: Final = (
    "DELETE FROM bars WHERE instrument_id = ? AND \"interval\" = ? AND source = 'broker' "
    "AND start BETWEEN make_timestamptz(?) AND make_timestamptz(?) "
    "AND epoch_ms(start) IN (SELECT unnest(?::BIGINT[]))"
)
_FORGET: Final = (
    'DELETE FROM history_asked WHERE instrument_id = ? AND "interval" = ? '
    "AND session IN (SELECT unnest(?::DATE[]))"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A bar that is stored with other figures than the broker gives now.

    Attributes:
        start_ms: Start of the bar, epoch ms UTC.
        stored, broker: Open, high, low, close (rupees), volume, open interest (units).
    """

    start_ms: int
    stored: tuple[float, ...]
    broker: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a block.

    Attributes:
        inserted: Bars that were not there.
        same: Already there, equal in every figure.
        different: Already there with other figures.
        replaced: Of those, how many now have the broker's figures.
        examples: The first few of the differing ones.
    """

    inserted: int = 0
    same: int = 0
    different: int = 0
    replaced: int = 0
    examples: tuple[Difference, ...] = ()


def put_block(
    connection: DuckDBPyConnection,
    number: int,
    interval: str,
    block: CandleBlock,
    asked: Mapping[date, int],
    asked_us: int,
    *,
    replace: bool = False,
) -> Put:
    """Put in the bars of one answer, and what it says about days that are not full. Inside a transaction.

    Args:
        connection: The writer's own.
        number: Id of the instrument.
        interval: Name of the interval.
        block: The answer.
        asked: Days that the answer settles although they are not full, with the number of bars it has for them.
        asked_us: When the broker was asked, epoch microseconds.
        replace: Let the broker's figures take the place of stored ones that differ; else the stored ones stay.
    """
    block = block.between(MIN_MS, MAX_MS + 1)
    put = _put_bars(connection, number, interval, block, replace) if len(block) else Put()
    if asked:
        days = sorted(asked)
        connection.execute(
            _FORGET,
            [number, interval, days],
        )
        connection.execute(
            "INSERT INTO history_asked SELECT ?, ?, unnest(?::DATE[]), make_timestamptz(?), unnest(?::INTEGER[])",
            [number, interval, days, asked_us, [asked[day] for day in days]],
        )
    return put


def _put_bars(
    connection: DuckDBPyConnection, number: int, interval: str, block: CandleBlock, replace: bool
) -> Put:
    stored = connection.execute(
        _STORED,
        [
            number,
            interval,
            int(block.start_ms[0]) * 1000,
            int(block.start_ms[-1]) * 1000,
            ist_date(int(block.start_ms[0]) * 1_000_000),
            ist_date(int(block.start_ms[-1]) * 1_000_000),
        ],
    ).fetchnumpy()
    starts = np.asarray(stored["ms"], np.int64)
    theirs = np.column_stack([np.asarray(getattr(block, name), np.float64) for name in FIGURES])
    if not len(starts):
        _insert(connection, number, interval, block, np.ones(len(block), bool))
        return Put(inserted=len(block))
    ours = np.column_stack([np.asarray(stored[name], np.float64) for name in FIGURES])
    at = np.minimum(np.searchsorted(starts, block.start_ms), len(starts) - 1)
    known = starts[at] == block.start_ms
    differs = known & (ours[at] != theirs).any(axis=1)
    if replace and differs.any():
        connection.execute(
            _DELETE,
            [
                number,
                interval,
                int(block.start_ms[0]) * 1000,
                int(block.start_ms[-1]) * 1000,
                block.start_ms[differs].tolist(),
            ],
        )
    _insert(connection, number, interval, block, ~known | differs if replace else ~known)
    different = int(differs.sum())
    examples = tuple(
        Difference(int(block.start_ms[row]), tuple(ours[at[row]].tolist()), tuple(theirs[row].tolist()))
        for row in np.flatnonzero(differs)[:MOST_EXAMPLES]
    )
    return Put(
        inserted=int((~known).sum()),
        same=int(known.sum()) - different,
        different=different,
        replaced=different if replace else 0,
        examples=examples,
    )


def _insert(
    connection: DuckDBPyConnection, number: int, interval: str, block: CandleBlock, wanted: Any
) -> None:
    """Append rows in one go: row by row it would take a hundred times as long."""
    if not wanted.any():
        return
    import pyarrow as pa

    starts = block.start_ms[wanted]
    days = ((starts + _IST_MS) // _DAY_MS).astype(np.int32)
    table = pa.table(
        {
            "start": pa.array(starts * 1000).view(pa.timestamp("us", "UTC")),
            "session": pa.array(days).view(pa.date32()),
            **{name: pa.array(getattr(block, name)[wanted]) for name in FIGURES},
        }
    )
    connection.register("past_batch", table)
    try:
        connection.execute(
            'INSERT INTO bars BY NAME SELECT ?::INTEGER AS instrument_id, ?::VARCHAR AS "interval", *, '
            "'broker' AS source, false AS gap FROM past_batch",
            [number, interval],
        )
        # A bar of an archived day that is written again stands for the one in the archive.
        connection.execute(
            "INSERT INTO superseded_bars SELECT ?::INTEGER, ?::VARCHAR, start, true FROM past_batch "
            "WHERE session IN (SELECT session FROM archive_files WHERE kind = 'bars')",
            [number, interval],
        )
    finally:
        connection.unregister("past_batch")


def asked_days(
    cursor: DuckDBPyConnection, key: str, expiry: date | None, interval: str, first: date, last: date
) -> dict[date, int]:
    """Days that are settled although they are not full, with the number of bars the broker had for them.

    Args:
        cursor: Of the market database.
        key: Instrument key.
        expiry: Which contract of a reused key.
        interval: Name of the interval.
        first: First day.
        last: Last day, included.
    """
    rows = cursor.execute(
        "SELECT session, bars FROM history_asked WHERE instrument_id = (SELECT instrument_id FROM instruments "
        'WHERE key = ? AND expiry IS NOT DISTINCT FROM ?::DATE) AND "interval" = ? AND session BETWEEN ? AND ?',
        [key, expiry, interval, first, last],
    ).fetchall()
    return dict(rows)
