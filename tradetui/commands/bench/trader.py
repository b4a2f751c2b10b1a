"""The trading side of ``bench orders``: `run`'s own parts at the benchmark's simulator, and a child to be killed.

Run as ``python -m tradetui.commands.bench.trader MAIN HOME COUNT``: joins what `run` joins, sends COUNT orders as
fast as it can, and prints a JSON line when the broker has taken them all; with COUNT 0, when what an earlier run
left is reconciled. It ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tradetui.domain.order import OrderRequest
    from tradetui.risk.limits import Limits
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import Parts

PATIENCE_S: Final = 120.0


async def joined(main: str, home: Path) -> Parts:
    """The parts of `run` at a simulator, with limits that let a benchmark trade and no history to load."""
    from tradetui import wiring
    from tradetui.config import Config, Home

    place = Home(home / "config", home / "data")
    parts = await wiring.join(wiring.Request(place, Config(), (main, None, None, None)))
    parts.warm_up = None
    books = parts.engine.desk.books
    books.limits = generous(books.limits)
    return parts


def generous(limits: Limits) -> Limits:
    """Limits under which some thousand small orders may rest: every rule is judged, none says no."""
    from tradetui.domain.money import to_money

    return replace(
        limits,
        capital=to_money(1_000_000_000),
        max_positions=100_000,
        max_swing_positions=100_000,
        max_intraday_positions=100_000,
        max_underlying_positions=100_000,
        max_trades_per_day=0,
        orders_per_second=1_000_000,
        quantity_warn_times=0,
        quantity_block_times=0,
        square_off_s=86_399,
    )


async def _trade(main: str, home: Path, count: int) -> None:
    from tradetui.runtime.core import Runtime

    began = time.perf_counter()
    parts = await joined(main, home)
    runtime = Runtime(parts)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen, name="stdin", daemon=True).start()
    running = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    manager = parts.engine.desk.manager
    if count:
        await _fill_the_day(runtime, count)
    async with asyncio.timeout(PATIENCE_S):
        while manager.account_trouble or not all(  # noqa: ASYNC110 - looks from outside, changes nothing
            order.broker_id and order.status.value not in ("sent", "unknown")
            for order in manager.orders.values()
        ):
            await asyncio.sleep(0.005)
    told = {"orders": len(manager.orders), "inside_s": time.perf_counter() - began}
    print(json.dumps(told), flush=True)
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    runtime.stop()
    await running


async def _fill_the_day(runtime: Runtime, count: int) -> None:
    """Send orders that rest, one share each, well below the market."""
    from tradetui.domain.events import OperatorEvent, OperatorKind

    parts, engine = runtime.parts, runtime.engine
    shares = [one for one in parts.search("BENCH", 5000) if one.segment == "NSE_EQ"][:20]
    for share in shares:
        runtime.watch(share)
    async with asyncio.timeout(PATIENCE_S):
        while any(engine.market(share.key).last is None for share in shares):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    for number in range(count):
        request = resting_order(runtime, shares[number % len(shares)].key, f"fill-{number}")
        runtime.take(OperatorEvent(parts.clock.now_ns(), OperatorKind.PLACE, request))
        if number % 20 == 19:
            await asyncio.sleep(0.05)


def resting_order(runtime: Runtime, key: str, client_id: str) -> OrderRequest:
    """A limit order for one share that will not fill."""
    from tradetui.domain.money import Price, floor_to_tick
    from tradetui.domain.order import OrderRequest, Side

    instrument, last = runtime.engine.universe.get(key), runtime.engine.market(key).last
    assert instrument is not None
    assert last is not None
    price = floor_to_tick(Price(last * 97 // 100), instrument.tick_size)
    return OrderRequest(key, Side.BUY, 1, price=price, client_id=client_id)


def _without_waiting() -> None:
    """Let the day fill faster than a broker would take orders: how long a restart takes is what is measured."""
    from tradetui import wiring
    from tradetui.brokers.upstox.governor import Governor, Window

    wide = (Window(1.1, 100_000, 100_000), Window(1800.0, 100_000, 100_000))
    setattr(wiring, Governor.__name__, partial(Governor, wide, wide))


if __name__ == "__main__":
    from tradetui.runtime.handle import loop_factory

    _without_waiting()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_trade(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
