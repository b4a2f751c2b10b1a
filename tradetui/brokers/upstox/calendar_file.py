"""The broker's own holidays and timings on disk: fetched once a day, kept when they cannot be.

One file for each host, and one for all simulators together: a simulator's days must never pass for the broker's.
What comes is laid over the shipped calendar as a trial before it replaces what is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tradetui.brokers.upstox import reads
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.domain.calendar.layers import CalendarLayers, unknown_days
from tradetui.domain.errors import DomainError, StorageError, TradeTuiError
from tradetui.domain.text import clean

VERSION: Final = 1
TIMING_DAYS: Final = 7
"""Days ahead, today among them, whose timings are asked for."""
SPECIAL_DAYS: Final = 60
"""Days ahead in which announced sessions of unknown hours are asked for too."""
FETCH_S: Final = 4.0
"""Real seconds after which the last good file has to do: a start does not wait longer for days it knows."""
_KEEP_ROWS: Final = 4_000
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BrokerDays:
    """What the broker says, and when it said it.

    Attributes:
        day: IST date on which it was asked.
        holidays: Rows of ``/v2/market/holidays``.
        timings: Rows of ``/v2/market/timings`` by ISO date.
        said: Differences from the shipped calendar that the user has been told.
    """

    day: date
    holidays: Sequence[_Row]
    timings: Mapping[str, Sequence[_Row]]
    said: Sequence[str] = ()

    def text(self) -> str:
        """As `CalendarLayers` takes it."""
        return json.dumps({"holidays": list(self.holidays), "timings": dict(self.timings)}, sort_keys=True)


class CalendarFile:
    """The broker's days on disk.

    Args:
        folder: Directory for the file; made if absent, private.
        hosts: Whose days.
    """

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        local = hosts.is_loopback
        host = "simulator" if local else re.sub(r"[^a-z0-9.-]", "_", urlsplit(hosts.main).netloc.lower())
        self._source = "simulator" if local else hosts.main
        self.path = folder / f"calendar-{host}.json"

    def load(self) -> BrokerDays | None:
        """The last good word of the broker; ``None`` when there is none that can be used."""
        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            if raw["version"] != VERSION or raw["source"] != self._source:
                return None
            days = BrokerDays(
                date.fromisoformat(raw["day"]), raw["holidays"], raw["timings"], raw.get("said", ())
            )
            CalendarLayers(days.text()).calendar()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DomainError):
            return None
        return days

    def save(self, days: BrokerDays) -> None:
        """Replace the file in one step.

        Raises:
            StorageError: It cannot be written.
        """
        text = json.dumps(
            {
                "version": VERSION, "source": self._source, "day": days.day.isoformat(),
                "holidays": list(days.holidays), "timings": dict(days.timings), "said": list(days.said),
            },
            indent=1,
        )  # fmt: skip
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("x", encoding="utf-8") as handle:
                os.fchmod(handle.fileno(), 0o600)
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(self.path)
        except OSError as error:
            raise StorageError(
                f"the broker's calendar cannot be written: {clean(error.strerror, 120)}"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


async def fetch(api: UpstoxApi, today: date, old: BrokerDays | None) -> BrokerDays:
    """Ask the broker for its holidays, and for the timings of the days ahead.

    Holidays of other years that are known from earlier are kept: the broker tells one year at a time.

    Raises:
        TradeTuiError: It cannot be reached, refused, took too long, or said what cannot be right.
    """
    ahead = [today + timedelta(days=number) for number in range(TIMING_DAYS)]
    days = sorted({*ahead, *unknown_days(CalendarLayers().calendar(), today, SPECIAL_DAYS)})
    try:
        async with asyncio.timeout(FETCH_S):
            holidays, *timings = await asyncio.gather(
                reads.holidays(api), *(reads.timings(api, day) for day in days)
            )
    except TimeoutError:
        raise TradeTuiError(f"the broker's calendar did not come within {FETCH_S:g} s") from None
    years = {str(row.get("date", ""))[:4] for row in holidays}
    kept = [row for row in (old.holidays if old else ()) if str(row.get("date", ""))[:4] not in years]
    rows = sorted([*kept, *holidays], key=lambda row: str(row.get("date", "")))[-_KEEP_ROWS:]
    by_day = {day.isoformat(): list(said) for day, said in zip(days, timings, strict=True)}
    found = BrokerDays(today, [dict(row) for row in rows], by_day, tuple(old.said) if old else ())
    # On trial: a row that cannot be right must not replace what is good.
    CalendarLayers(found.text()).calendar()
    return found
