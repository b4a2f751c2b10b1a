"""Asks the broker for the price bands of the day, so that the gate knows them before an order is sent.

Everything that is streamed is asked for: what is watched, held, ordered. At the start, as soon as an instrument is
new, on a new day, and every few minutes, because the bands of shares with derivatives are moved during the day.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date
from typing import Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import BandsEvent, DayBand, Event
from tradetui.domain.instrument import Instrument
from tradetui.ports import Clock

log = logging.getLogger(__name__)

READ_EVERY_S: Final = 180.0
"""Real seconds between two readings of the same bands: one request for 500 instruments."""
LOOK_EVERY_S: Final = 2.0
"""Real seconds between two looks for instruments that are new."""
RETRY_S: Final = 30.0
"""Real seconds to wait after a reading that failed."""

ReadBands = Callable[[Sequence[str]], Awaitable[Sequence[DayBand]]]


async def keep_bands(
    read: ReadBands, watched: Callable[[], Iterable[Instrument]], clock: Clock, take: Callable[[Event], None]
) -> None:
    """Hand over the price bands of the day. Runs until cancelled.

    Args:
        read: Asks for the bands of some instrument keys.
        watched: The instruments of this run by now.
        clock: Engine time.
        take: Takes the event.
    """
    loop = asyncio.get_running_loop()
    asked: dict[str, float] = {}
    day: date | None = None
    said = ""
    while True:
        now_s, today = loop.time(), ist_date(clock.now_ns())
        if today != day:
            day = today
            asked.clear()
        keys = [one.key for one in watched() if one.tradable]
        due = [key for key in keys if key not in asked or now_s - asked[key] >= READ_EVERY_S]
        pause_s = LOOK_EVERY_S
        if due:
            # Everything at once: a new instrument then costs no request of its own later.
            try:
                bands = await read(keys)
            except TradeTuiError as error:
                if said != error.message:
                    said = error.message
                    log.warning("the price bands of the day could not be read: %s", error.message)
                pause_s = RETRY_S
            else:
                said = ""
                asked.update(dict.fromkeys(keys, now_s))
                if bands:
                    take(BandsEvent(clock.now_ns(), tuple(bands)))
        await asyncio.sleep(pause_s)
