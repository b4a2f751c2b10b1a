"""Bad days of restarts (R): a process of its own is killed with SIGKILL in mid-order, and the next run takes over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.scripted_world import Market, scripted_market
from tests.fixtures.workstation import KEY, PATIENCE_S, PLACE, journal, running
from tradetui.config import Home
from tradetui.domain.events import OperatorKind
from tradetui.domain.order import OrderStatus, Side
from tradetui.domain.records import RecordKind
from tradetui.risk.facts import RiskState

CHILD = """
import asyncio, sys
from pathlib import Path
from tradetui import wiring
from tradetui.config import Config, Home, Watch
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderRequest, Side
from tradetui.runtime.core import Runtime

home, url, price, what = sys.argv[1:]
KEY = "NSE_EQ|INE002A01018"

async def main():
    settings = Config(watch=Watch(symbols=("RELIANCE",)))
    place = Home(Path(home), Path(home))
    runtime = Runtime(await wiring.join(wiring.Request(place, settings, (url, None, None, None))))
    steps = ["place", *what.split(",")]

    def hear(event, outcome):
        for record in outcome.records:
            data = record.data
            print(record.kind.value, data.get("status", data.get("state", "")), flush=True)
        orders = list(runtime.engine.desk.manager.orders.values())
        if not steps or runtime.engine.market(KEY).last is None:
            return
        now = runtime.parts.clock.now_ns()
        if steps[0] == "place":
            steps.pop(0)
            request = OrderRequest(KEY, Side.BUY, 10, price=to_price(price), client_id="c1")
            runtime.take(OperatorEvent(now, OperatorKind.PLACE, request=request))
        elif steps[0] == "cancel" and orders[0].status.value == "open":
            steps.pop(0)
            runtime.take(OperatorEvent(now, OperatorKind.CANCEL, tag=orders[0].tag))
        elif steps[0] == "modify" and orders[0].status.value == "open":
            steps.pop(0)
            runtime.take(OperatorEvent(now, OperatorKind.MODIFY, tag=orders[0].tag, price=to_price(98)))
        elif steps[0] == "kill" and orders[0].status.value == "filled":
            steps.pop(0)
            runtime.take(OperatorEvent(now, OperatorKind.KILL, note="test"))

    runtime.listeners.append(hear)
    await runtime.run()

asyncio.run(main())
"""


class Child:
    """A run of its own, in a process that is there to be killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until_said(self, *words: str) -> None:
        """Wait until the run has journaled such a record."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self._process.stdout.readline()).decode().split():
                if line == list(words):
                    return
        raise AssertionError((await self._process.stderr.read()).decode())

    async def kill(self) -> None:
        """SIGKILL; nothing is said, nothing is closed."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


@contextlib.asynccontextmanager
async def child(market: Market, home: Path, *, price: float = 99.0, what: str = "") -> AsyncIterator[Child]:
    """A run that places one order, and then does what it is told."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(home), market.sim.urls.main, str(price), what,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPO_ROOT)},
    )  # fmt: skip
    one = Child(process)
    try:
        yield one
    finally:
        await one.kill()


async def arrived(market: Market, call: str) -> None:
    """Wait until the simulator has been asked something."""
    async with asyncio.timeout(PATIENCE_S):
        while not market.asked(call):  # noqa: ASYNC110 - the server counts, it has no event for it
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("price", [99.0, 100.05])
async def test_r1_killed_right_after_an_order_was_taken_it_is_found_by_its_tag(
    tmp_path: Path, price: float
) -> None:
    """The program is killed while it waits for the answer to an order that the broker has taken.

    Seen: after the next start the order, and its fill, stand where the exchange has them; it is not sent again.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        market.fault("hang", after=1, path="/order/place")
        async with child(market, tmp_path, price=price) as one:
            await one.until_said("order", "sent")
            await arrived(market, PLACE)
            await one.kill()
        market.sim.faults.clear()
        async with running(market, tmp_path) as w:
            (tag,) = w.orders
            await w.until_order(tag, OrderStatus.OPEN if price < 100 else OrderStatus.FILLED)
            await w.until(w.agrees)
            assert not w.orders[tag].foreign
            await w.polls(2)
            assert w.agrees()
            assert (len(w.truth()), market.asked(PLACE)) == (1, 1)


async def test_r1_killed_before_the_order_took_effect_it_is_absent_in_the_end(tmp_path: Path) -> None:
    """The same, and the broker never got the order.

    Seen: unknown, and new orders in the share refused, until the books have shown three times that it is not there; then
      ABSENT. It is sent again only by you.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        market.fault("hang", path="/order/place")
        async with child(market, tmp_path) as one:
            await one.until_said("order", "sent")
            await arrived(market, PLACE)
            await one.kill()
        market.sim.faults.clear()
        async with running(market, tmp_path) as w:
            (tag,) = w.orders
            assert w.orders[tag].status is OrderStatus.UNKNOWN
            locked = w.send(qty=11)
            assert w.orders[locked].status is OrderStatus.REFUSED, "until the outcome is known"
            for _ in range(4):
                await w.pass_time(11)
            await w.until_order(tag, OrderStatus.ABSENT)
            assert (w.truth(), market.asked(PLACE)) == ([], 1)
            again = w.send()
            assert again not in (tag, locked), "tags are never used twice"
            await w.until_order(again, OrderStatus.OPEN)


@pytest.mark.parametrize("what", ["cancel", "modify"])
@pytest.mark.parametrize("after", [0, 1])
async def test_r1_killed_while_a_change_was_under_way_the_book_tells_what_became_of_it(
    tmp_path: Path, what: str, after: int
) -> None:
    """The program is killed while a cancel or a modify is under way.

    Seen: after the next start the price and the status are those of the exchange, and the change can be asked for anew.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        market.fault("hang", after=after, path=f"/order/{what}")
        async with child(market, tmp_path, what=what) as one:
            await arrived(market, {"cancel": "DELETE", "modify": "PUT"}[what] + f" /v3/order/{what}")
            await one.kill()
        market.sim.faults.clear()
        async with running(market, tmp_path) as w:
            await w.polls(2)
            await w.until(w.agrees)
            (order,) = w.orders.values()
            assert not order.cancel_pending
            assert not order.modify_pending
            price = w.truth()[0].request.price
            assert order.request.price == price
            done = what == "cancel" and after
            assert order.status is (OrderStatus.CANCELLED if done else OrderStatus.OPEN)
            if not done:
                w.ask(OperatorKind.CANCEL, tag=order.tag)  # it can be asked for anew
                await w.until_order(order.tag, OrderStatus.CANCELLED)


async def test_r1_r3_orders_fills_and_the_halt_survive_a_kill(tmp_path: Path) -> None:
    """The program is killed after a fill and a pull of the kill switch.

    Seen: the position is there, trading is still halted, the day's count goes on; an exit goes through.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with child(market, tmp_path, price=100.05, what="kill") as one:
            await one.until_said("risk", "halted")
            await one.kill()
        async with running(market, tmp_path) as w:
            await w.until(w.agrees)
            assert w.held() == 10
            desk = w.runtime.engine.desk
            assert (desk.books.state, desk.books.entries_today) == (RiskState.HALTED, 1)
            assert w.orders[w.send()].status is OrderStatus.REFUSED
            await w.until_order(w.send(Side.SELL, 10, price=99.9), OrderStatus.FILLED)
            await w.until(w.agrees)
        assert [one.kind for one in journal(w.place)].count(RecordKind.FILL) == 2


async def test_r3_trades_made_elsewhere_are_booked_once_however_often_we_start(tmp_path: Path) -> None:
    """Shares were bought from a phone before the program was started, twice.

    Seen: the position once, with the phone's trade behind it.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path / "other") as phone:
            await phone.until_order(phone.send(qty=25, price=100.3), OrderStatus.FILLED)
            await phone.until(lambda: phone.held() == 25)
        ours = tmp_path / "ours"
        for _ in range(2):
            async with running(market, ours) as w:
                await w.until(w.agrees)
                assert w.held() == 25
        kinds = [one.kind for one in journal(Home(ours, ours))]
        assert (kinds.count(RecordKind.FILL), kinds.count(RecordKind.OPENING)) == (1, 0)
