"""The server's side of ``bench ingest`` and ``bench orders``: the simulator with its measuring world, in a process of its own.

Run as ``python -m tradetui.commands.bench.server COUNT RATE INTO_S [open]``; with ``open`` it takes any number of
requests. Prints a JSON line when it listens, its clock standing still; a line on its input starts the clock, which
it answers with both clocks; it ends with its input.
"""

from __future__ import annotations

import asyncio
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

DAY: Final = date(2025, 12, 15)
"""An ordinary session: no expiry, no holiday next to it."""


def session_open_ns() -> int:
    """The open of that session, UTC ns: exchange time of the world's first frame."""
    window = Calendar.default().continuous(Segment.EQ_OTHER, DAY)
    assert window is not None
    return window[0]


async def _serve(count: int, rate: int, into_s: float) -> None:
    loop = asyncio.get_running_loop()
    go, stop = asyncio.Event(), asyncio.Event()

    def listen() -> None:
        if sys.stdin.readline():
            loop.call_soon_threadsafe(go.set)
            sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    options = SimOptions(auto_approve=True, day=DAY, bench=(count, rate), speed=0.0)
    async with SimulatorServer(options) as server:
        await server.jump(session_open_ns() + int(into_s * 1e9))
        threading.Thread(target=listen, name="stdin", daemon=True).start()
        print(json.dumps(server.ready_line()), flush=True)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(server.wait_failed())]
        starts = asyncio.create_task(go.wait())
        await asyncio.wait({*ends, starts}, return_when=asyncio.FIRST_COMPLETED)
        if go.is_set():
            clock = server.state.clock
            clock.set_speed(1.0)
            # Both clocks at one moment: the exchange's runs at the pace of the machine's from here on.
            print(
                json.dumps({"exchange_ns": clock.now_ns(), "monotonic_ns": time.monotonic_ns()}), flush=True
            )
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, starts):
            task.cancel()


def _take_everything() -> None:
    """Switch the rate limits off: a day of a thousand orders is to be filled in seconds."""
    from tradetui.simulator.rest import guard, limits

    for name in ("ORDER_QUOTA", "READ_QUOTA"):
        setattr(guard, name, limits.Quota(1_000_000, 1_000_000, 1_000_000))


if __name__ == "__main__":
    if sys.argv[4:] == ["open"]:
        _take_everything()
    runner_of_choice()(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
