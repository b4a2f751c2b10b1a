"""Bars of the days before a replayed one, out of what the installation has stored. Reads only."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradetui.domain.calendar import Calendar, day_start_ns, ist_date, segment_of
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import HistoryEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.market.warmup import fold_minutes
from tradetui.storage import reads
from tradetui.storage.store import MARKET_FILE
from tradetui.wiring.history import DAYS, SESSIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

_FOLDED: Final = (180, 300, 900, 1800, 3600)
_DAY_S: Final = 86_400
_MS: Final = 1_000_000


def market_files(data_dir: Path, account: str = "") -> list[Path]:
    """Market databases of the installation's accounts: that of ``account`` first, simulated ones last."""
    files = sorted((data_dir / "accounts").glob(f"*/{MARKET_FILE}"))
    return sorted(files, key=lambda path: (path.parent.name != account, path.parent.name.startswith("sim-")))


@contextmanager
def reading(path: Path) -> Iterator[DuckDBPyConnection | None]:
    """A market database opened for reading; ``None`` when a running engine holds it, or it cannot be read."""
    import duckdb

    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        log.info("%s is not read: %s", path.parent.name, str(error).partition("\n")[0])
        yield None
        return
    try:
        found = connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'whole'").fetchall()
        if not found:
            log.info(
                "%s has an older layout; the next run on that account brings it forward", path.parent.name
            )
        yield connection if found else None
    finally:
        connection.close()


def past_bars(
    data_dir: Path, account: str, instruments: Sequence[Instrument], t_ns: int
) -> list[HistoryEvent]:
    """History events of bars that ended before the day of ``t_ns``; empty where nothing is stored.

    Every instrument is taken from the first database that has minutes of it.
    """
    events: list[HistoryEvent] = []
    calendar, today = Calendar.default(), ist_date(t_ns)
    missing = {slot: one for slot, one in enumerate(instruments) if one.key}
    for path in market_files(data_dir, account):
        with reading(path) as connection:
            if connection is None:
                continue
            for slot, instrument in list(missing.items()):
                found = _of_one(connection, calendar, instrument, slot, today, t_ns)
                if found:
                    del missing[slot]
                    events += found
    log.info("bars of earlier days: %d of %d instruments", len(instruments) - len(missing), len(instruments))
    return sorted(events, key=lambda event: (event.slot, event.interval_s))


def _of_one(
    connection: DuckDBPyConnection,
    calendar: Calendar,
    instrument: Instrument,
    slot: int,
    today: date,
    t_ns: int,
) -> list[HistoryEvent]:
    start_ms = _midnight_ms(today)
    first_ms = _midnight_ms(today - timedelta(days=3 * SESSIONS))
    minutes = reads.recent_bars(connection, instrument, "1m", (SESSIONS + 1) * 400, start_ms, slot)
    minutes = [bar for bar in minutes if bar.start_ms >= first_ms]
    days = reads.recent_bars(connection, instrument, "1d", DAYS, start_ms, slot)

    def opens(day: date) -> int | None:
        try:
            hours = calendar.continuous(segment_of(calendar, instrument, day), day)
        except (CalendarUnknown, ValueError):
            return None
        return hours[0] // _MS if hours else None

    by_interval: dict[int, list[Candle]] = {60: minutes, _DAY_S: days}
    for interval_s in _FOLDED:
        by_interval[interval_s] = fold_minutes(minutes, interval_s, opens)
    return [
        HistoryEvent(t_ns, slot, interval_s, tuple(bars))
        for interval_s, bars in sorted(by_interval.items())
        if bars
    ]


def _midnight_ms(day: date) -> int:
    return day_start_ns(day) // _MS
