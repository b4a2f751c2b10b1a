"""The server's side of the benchmarks: the simulator with its measuring world, in a process of its own.

Run as ``python -m tradetui.commands.bench.server COUNT RATE INTO_S [open|prepared]``; with ``open`` it takes any number
of requests, with ``prepared`` its frames are ready made (`BenchFrames`), at any rate that two sockets can bear.
Prints a JSON line when it listens, its clock standing still; a line on its input starts the clock, which it answers
with both clocks. Every further line ``rate N`` begins a new schedule, which it answers with its start and its pace.
It ends with its input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
import time
from datetime import date
from typing import Final

from tradetui.commands.sim import runner_of_choice
from tradetui.domain.calendar import Calendar, Segment
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions
from tradetui.simulator.worlds.bench import BenchWorld

DAY: Final = date(2025, 12, 15)
"""An ordinary session: no expiry, no holiday next to it."""


def session_open_ns() -> int:
    """The open of that session, UTC ns: exchange time of the world's first frame."""
    window = Calendar.default().continuous(Segment.EQ_OTHER, DAY)
    assert window is not None
    return window[0]


FEEDS_A_FRAME: Final = 100
_TURNS: Final = 16
"""Frames sent one after the other by a server that is behind, before requests and pongs get a turn."""


async def _serve(count: int, rate: int, into_s: float, *, prepared: bool) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, "")

    options = SimOptions(auto_approve=True, day=DAY, bench=(count, rate), speed=0.0)
    async with SimulatorServer(options) as server:
        if prepared:
            server.venue.world.skip(session_open_ns() + 8 * 3_600_000_000_000)  # it stands still
        await server.jump(session_open_ns() + int(into_s * 1e9))
        threading.Thread(target=listen, name="stdin", daemon=True).start()
        print(json.dumps(server.ready_line()), flush=True)
        failed = asyncio.create_task(server.wait_failed())
        sender = _Sender(server, rate) if prepared else None
        while line := await _first(lines, failed):
            clock = server.state.clock
            answer: dict[str, float] = {}
            if line == "go":
                clock.set_speed(1.0)
                # Both clocks at one moment: the exchange's runs at the pace of the machine's from here on.
                answer = {"exchange_ns": clock.now_ns(), "monotonic_ns": time.monotonic_ns()}
            if sender is not None:
                answer |= sender.begin(rate if line == "go" else int(line.removeprefix("rate ")))
            print(json.dumps(answer), flush=True)
        failed.cancel()
        if sender is not None:
            sender.task.cancel()


async def _first(lines: asyncio.Queue[str], failed: asyncio.Task[None]) -> str:
    """The next line; raises what stopped the market, if that comes first."""
    line = asyncio.create_task(lines.get())
    await asyncio.wait({line, failed}, return_when=asyncio.FIRST_COMPLETED)
    if not line.done():
        line.cancel()
        failed.result()
    return await line


class _Sender:
    """Sends ready-made frames when they are due; never leaves one out, however late it is."""

    def __init__(self, server: SimulatorServer, rate: int) -> None:
        world = server.venue.world
        assert isinstance(world, BenchWorld)
        self._frames = world.prepared()
        self._server = server
        self._number = 0
        self.task: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(0))

    def begin(self, rate: int) -> dict[str, float]:
        """Start a schedule now: exchange time of its first frame, and between two."""
        self.task.cancel()
        start_ns = self._server.state.clock.now_ns()
        frame_ns = FEEDS_A_FRAME * 1e9 / rate
        self.task = asyncio.create_task(self._send(start_ns, frame_ns))
        return {"start_ns": start_ns, "frame_ns": frame_ns}

    async def _send(self, start_ns: int, frame_ns: float) -> None:
        clock, feed, turns = self._server.state.clock, self._server.feed, 0
        for number in itertools.count():
            due_ns = start_ns + round(number * frame_ns)
            data = self._frames.frame(self._number, due_ns // 1_000_000)
            self._number += 1
            early_s = (due_ns - clock.now_ns()) / 1e9
            turns += 1
            if early_s > 0 or turns == _TURNS:
                turns = 0
                await asyncio.sleep(max(early_s, 0.0))
            await feed.broadcast(data)


def _take_everything() -> None:
    """Switch the rate limits off: a day of a thousand orders is to be filled in seconds."""
    from tradetui.simulator.rest import guard, limits

    for name in ("ORDER_QUOTA", "READ_QUOTA"):
        setattr(guard, name, limits.Quota(1_000_000, 1_000_000, 1_000_000))


if __name__ == "__main__":
    if "open" in sys.argv[4:]:
        _take_everything()
    runner_of_choice()(
        _serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), prepared="prepared" in sys.argv[4:])
    )
