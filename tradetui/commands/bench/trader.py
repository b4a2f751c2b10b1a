"""The trading side of ``bench orders``: `run`'s own parts at the benchmark's simulator, and a child to be killed.

Run as ``python -m tradetui.commands.bench.trader MAIN HOME COUNT``: joins what `run` joins, sends COUNT orders as
fast as they are answered, and prints a JSON line when the broker has taken them all; with COUNT 0, under the limits
on requests that `run` has, when what an earlier run left is reconciled: the broker's book, trades and positions
have been compared and no order is in doubt. It ends with its input; what went wrong is its line then.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.domain.order import Order, OrderRequest
    from tradetui.risk.limits import Limits
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.parts import Parts

PATIENCE_S: Final = 90.0
_UNDER_WAY: Final = 8


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
    started = asyncio.create_task(runtime.started.wait())
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
        raise TradeTuiError("the run ended before it had begun")
    if count:
        await _fill_the_day(runtime, count)
    manager = parts.engine.desk.manager
    await _until(lambda: not (manager.account_trouble or _in_doubt(runtime)), lambda: _doubts(runtime))
    told = {"orders": len(manager.orders), "inside_s": time.perf_counter() - began}
    print(json.dumps(told), flush=True)
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    runtime.stop()
    await running


def _in_doubt(runtime: Runtime) -> list[Order]:
    """Orders of which the broker has not told yet what became of them."""
    orders = runtime.engine.desk.manager.orders.values()
    return [one for one in orders if one.status.value in ("intent", "sent", "unknown")]


def _doubts(runtime: Runtime) -> str:
    doubtful = _in_doubt(runtime)
    first = f"; the first is {doubtful[0].status.value}: {doubtful[0].message}" if doubtful else ""
    trouble = runtime.engine.desk.manager.account_trouble
    return f"{len(doubtful)} orders are in doubt{first}{'; ' + trouble if trouble else ''}"


async def _until(true: Callable[[], bool], words: Callable[[], str]) -> None:
    """Wait for a condition.

    Raises:
        TradeTuiError: It did not come true in time; the words say what lacked.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TradeTuiError(f"not within {PATIENCE_S:g} s: {words()}")
        await asyncio.sleep(0.005)


async def _fill_the_day(runtime: Runtime, count: int) -> None:
    """Send orders that rest, one share each, well below the market."""
    from tradetui.domain.events import OperatorEvent, OperatorKind

    parts, engine = runtime.parts, runtime.engine
    shares = [one for one in parts.search("BENCH", 5000) if one.segment == "NSE_EQ"][:20]
    for share in shares:
        runtime.watch(share)
    quoted = partial(_quoted, runtime, [share.key for share in shares])
    await _until(quoted, lambda: "there are no prices")
    for number in range(count):
        # As many under way as there are threads that send: what waits longer for one is not sent at all.
        await _until(lambda: len(_in_doubt(runtime)) < _UNDER_WAY, lambda: _doubts(runtime))
        request = resting_order(runtime, shares[number % len(shares)].key, f"fill-{number}")
        runtime.take(OperatorEvent(parts.clock.now_ns(), OperatorKind.PLACE, request))
    await _until(lambda: not _in_doubt(runtime), lambda: _doubts(runtime))
    for order in engine.desk.manager.orders.values():
        if not order.status.working:
            raise TradeTuiError(f"an order of the benchmark is {order.status.value}: {order.message}")


def _quoted(runtime: Runtime, keys: list[str]) -> bool:
    return all(runtime.engine.market(key).last is not None for key in keys)


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
    from tradetui.brokers.upstox.governor import ORDER_WINDOWS, Governor, Window

    most = max(window.limit for window in ORDER_WINDOWS)
    wide = tuple(Window(window.seconds, most, most) for window in ORDER_WINDOWS)
    setattr(wiring, Governor.__name__, partial(Governor, wide))


def _main(main: str, home: str, count: int) -> None:
    from tradetui.runtime.handle import loop_factory

    if count:
        _without_waiting()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_trade(main, Path(home), count))
    except TradeTuiError as error:
        print(json.dumps({"error": str(error)}), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
