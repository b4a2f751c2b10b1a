"""Looks for newer dated lists while running: a file may be dropped into the folder at any hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tradetui.domain.events import Event, ListsEvent
from tradetui.domain.lists import DatedLists
from tradetui.ports import Clock

LOOK_EVERY_S: Final = 30.0
"""Real seconds between two looks at the folder."""


async def keep_lists(read: Callable[[], DatedLists], clock: Clock, take: Callable[[Event], None]) -> None:
    """Hand over the lists in force, at once and whenever they change. Runs until cancelled.

    Args:
        read: Reads the folder, for the day that the clock shows. Called on another thread.
        clock: Engine time.
        take: Takes the event.
    """
    known = DatedLists()
    while True:
        found = await asyncio.to_thread(read)
        if found != known:
            known = found
            take(ListsEvent(clock.now_ns(), found))
        await asyncio.sleep(LOOK_EVERY_S)
