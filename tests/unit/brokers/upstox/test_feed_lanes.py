"""More than one connection, where the broker's limits hold for each: keys spread, and one may fail alone."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fixtures.feed_server import PATIENCE_S, ScriptedConnection
from tests.unit.brokers.upstox.test_feed import bench, eventually
from tradetui.brokers.upstox.key_budget import KeyBudget
from tradetui.domain.events import FeedState, GapEvent
from tradetui.ports import FeedMode

FULL, LTPC = FeedMode.FULL, FeedMode.LTPC
TINY = KeyBudget({FULL: 2, LTPC: 3}, {FULL: 1, LTPC: 2}, connections=3, by_connection=True)
NAMES = [f"NSE_FO|{number}" for number in range(8)]


class Broker:
    """Answers requests on every connection, and remembers what each streams."""

    def __init__(self) -> None:
        self.lines: list[ScriptedConnection] = []
        self.modes: list[dict[str, str]] = []
        self.requests = 0

    async def act(self, connection: ScriptedConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        mine: dict[str, str] = {}
        self.lines.append(connection)
        self.modes.append(mine)
        try:
            while True:
                body: dict[str, Any] = await connection.answer()
                self.requests += 1
                for key in body["data"]["instrumentKeys"]:
                    if body["method"] == "unsub":
                        del mine[key]
                    else:
                        mine[key] = body["data"]["mode"]
        except ConnectionClosed:
            mine.clear()

    @property
    def streamed(self) -> list[str]:
        return sorted(key for mine in self.modes for key in mine)


async def test_F3_keys_beyond_one_connection_use_the_next_and_each_comes_back_alone() -> None:
    """More instruments than one connection takes; the second connection is lost.

    Seen: the feed stays up; the bars of those instruments say that they were seen in part, and they stream again.
    """
    broker = Broker()
    async with bench(budget=TINY) as b:
        b.server.acts += [broker.act] * 6
        b.feed.subscribe(dict.fromkeys(NAMES[:5], FULL))
        b.start()
        await eventually(lambda: broker.streamed == NAMES[:5])
        assert [len(mine) for mine in broker.modes] == [2, 2, 1]
        lost = next(line for line, mine in zip(broker.lines, broker.modes, strict=True) if NAMES[2] in mine)
        keys = tuple(broker.modes[broker.lines.index(lost)])
        lost.transport.abort()
        await b.sink.until(lambda: any(isinstance(event, GapEvent) for event in b.sink.events))
        (gap,) = [event for event in b.sink.events if isinstance(event, GapEvent)]
        assert gap.keys == keys
        await eventually(lambda: broker.streamed == NAMES[:5])
        assert b.sink.states == [FeedState.CONNECTING, FeedState.UP], "the others never noticed"
        assert b.feed.counters()["reconnects"] == 1
        requests = broker.requests
        b.feed.unsubscribe([NAMES[0]])
        await eventually(lambda: broker.streamed == NAMES[1:5])
        assert broker.requests == requests + 1, "no key moves without need"


async def test_F3_a_connection_that_is_refused_for_good_is_planned_without() -> None:
    """The broker lets in one connection only.

    Seen: what fits on it streams, the rest is counted as left out; the feed is up.
    """
    broker = Broker()
    async with bench(budget=TINY) as b:
        b.server.acts += [broker.act]
        b.server.statuses += [None, *[403] * 12]
        b.feed.subscribe(dict.fromkeys(NAMES[:5], FULL))
        b.start()
        await eventually(lambda: b.feed.counters()["over_limit"] == 3)
        assert broker.streamed == NAMES[:2]
        assert b.feed.over_limit_keys() == tuple(NAMES[2:5])
        assert b.sink.states == [FeedState.CONNECTING, FeedState.UP]


async def test_ending_the_feed_ends_every_connection() -> None:
    broker = Broker()
    async with bench(budget=TINY) as b:
        b.server.acts += [broker.act] * 2
        b.feed.subscribe(dict.fromkeys(NAMES[:4], FULL))
        task = b.start()
        await eventually(lambda: len(broker.streamed) == 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_S):
            for line in broker.lines:
                await line.wait_closed()
        assert [line.close_code for line in broker.lines] == [1000, 1000]
