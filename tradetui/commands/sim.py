"""`tradetui sim`: the simulated broker as a program of its own.

Prints one JSON line once it can be used and then says nothing on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from tradetui.domain.errors import TradeTuiError
from tradetui.simulator.control import parse_speed
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


def sim_from_flags(
    *,
    port: int,
    auto_approve: bool,
    jump_to_open: bool,
    seed: int,
    variant: str,
    replay: Path | None,
    instruments: Path | None,
    bars: Path | None,
    speed: str,
    faults: tuple[str, ...],
    day: date | None,
    cash: int,
    state: Path | None,
    until_stdin_closes: bool,
) -> int:
    """The body of ``tradetui sim``; see `SimOptions` for what the flags mean.

    Returns:
        Exit code, as `run_sim`.
    """
    options = SimOptions(
        port=port,
        auto_approve=auto_approve,
        jump_to_open=jump_to_open,
        seed=seed,
        variant=variant,
        replay=replay,
        instruments=instruments,
        bars=bars,
        faults=faults,
        day=day,
        opening_cash=cash,
        state_file=state,
    )
    try:
        options = replace(options, speed=parse_speed(speed))
    except TradeTuiError as error:
        print(f"tradetui sim: {error}", file=sys.stderr)
        return error.exit_code
    return run_sim(options, until_stdin_closes=until_stdin_closes)


def run_sim(options: SimOptions, *, until_stdin_closes: bool = False) -> int:
    """Run a simulator until it is told to end.

    Args:
        options: How to start it.
        until_stdin_closes: Also end when standard input reaches its end, which it does when the process
            that holds the other end dies.

    Returns:
        Exit code: 0 after a signal or the end of input, 1 when it cannot start, 2 for wrong options.
    """
    try:
        runner_of_choice()(_serve(options, until_stdin_closes=until_stdin_closes))
    except TradeTuiError as error:
        print(f"tradetui sim: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


def runner_of_choice() -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs the loop: uvloop where it is installed, since a recorded day is 180,000 frames."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _serve(options: SimOptions, *, until_stdin_closes: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        watch_stdin(loop, stop)
    async with SimulatorServer(options) as server:
        print(json.dumps(server.ready_line()), flush=True)
        stopped = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(server.wait_failed())
        try:
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()  # raises what ended the market
        finally:
            stopped.cancel()
            failed.cancel()


def watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set ``stop`` when standard input ends.

    A thread, since standard input may be a file or a terminal, which event loops cannot watch.
    """

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, name="stdin-watch", daemon=True).start()
