"""Lists are handed over at once, and again only when they change."""

from __future__ import annotations

import asyncio

import pytest

from tradetui.clock import EventClock
from tradetui.domain.events import Event, ListsEvent
from tradetui.domain.lists import DatedLists
from tradetui.runtime import lists


async def test_a_changed_list_is_handed_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LOOK_EVERY_S", 0.0)
    first, second = DatedLists(fo_ban={}), DatedLists(fo_ban={"X": ""})
    answers = [DatedLists(), first, first, second, second, second]
    looks = 0
    done = asyncio.Event()
    taken: list[Event] = []

    def read() -> DatedLists:
        nonlocal looks
        looks += 1
        if looks >= len(answers) + 2:
            loop.call_soon_threadsafe(done.set)
        return answers[min(looks, len(answers)) - 1]

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(lists.keep_lists(read, EventClock(7), taken.append))
    await asyncio.wait_for(done.wait(), 30)
    task.cancel()
    assert taken == [ListsEvent(7, first), ListsEvent(7, second)]
