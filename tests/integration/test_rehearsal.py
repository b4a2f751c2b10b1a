"""`run --live` on a simulator: everything as live, and no order is real."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, Workstation
from tests.unit.exchange.support import SHARE
from tradetui import wiring
from tradetui.brokers.upstox.hosts import LIVE
from tradetui.config import Account, Config, Home, Watch
from tradetui.domain.errors import UsageError
from tradetui.domain.events import OperatorKind
from tradetui.domain.order import OrderStatus
from tradetui.domain.view import Mode
from tradetui.runtime.core import Runtime
from tradetui.storage.lease import Holder, Lease
from tradetui.wiring.hand_over import last_run


async def test_it_starts_disarmed_needs_arming_and_sends_to_the_simulator_only(tmp_path: Path) -> None:
    async with scripted_market() as market:
        market.normal(KEY)
        settings = Config(watch=Watch(symbols=(SHARE.symbol,)))
        place, urls = Home(tmp_path, tmp_path), (market.sim.urls.main, None, None, None)
        parts = await wiring.join(wiring.Request(place, settings, urls, live=True))
        assert parts.mode is Mode.REHEARSAL
        assert parts.host.endswith("(rehearsal on a simulator)")
        assert len(parts.account.removeprefix("**")) == 4, "arming asks for its end"
        assert not parts.broker.live, "by the base URL: no order is real"
        w = Workstation(market, Runtime(parts, stay_up=True), place)
        run = asyncio.create_task(w.runtime.run())
        try:
            await w.until(lambda: w.runtime.engine.market(KEY).last is not None)
            refused = w.send()
            assert w.orders[refused].status is OrderStatus.REFUSED
            assert "arm" in w.orders[refused].message
            until_ns = parts.clock.now_ns() + 600_000_000_000
            w.ask(OperatorKind.SQUARE_OFF_OK)
            w.ask(OperatorKind.ARM, until_ns=until_ns)
            tag = w.send(qty=11)
            assert w.orders[tag].status is not OrderStatus.REFUSED, w.orders[tag].message
            await w.until_order(tag, OrderStatus.OPEN)
            w.ask(OperatorKind.KILL, note="test")
            await w.until(lambda: not w.runtime.engine.desk.manager.working())
            assert w.runtime.engine.desk.books.armed_until_ns == 0, "a kill disarms"
        finally:
            w.runtime.stop()
            await run
        where = last_run(tmp_path)
        assert where is not None
        assert (where.mode, where.main) == (Mode.REHEARSAL, market.sim.urls.main)
        lease = Lease(tmp_path)
        assert lease.look().holder is Holder.NOBODY
        lease.close()


async def test_without_live_the_same_account_needs_no_arming(tmp_path: Path) -> None:
    async with scripted_market() as market:
        market.normal(KEY)
        urls = (market.sim.urls.main, None, None, None)
        place, settings = Home(tmp_path, tmp_path), Config(watch=Watch(symbols=(SHARE.symbol,)))
        parts = await wiring.join(wiring.Request(place, settings, urls))
        assert parts.mode is Mode.SIM
        w = Workstation(market, Runtime(parts, stay_up=True), place)
        run = asyncio.create_task(w.runtime.run())
        try:
            await w.until(lambda: w.runtime.engine.market(KEY).last is not None)
            await w.until_order(w.send(), OrderStatus.OPEN)
        finally:
            w.runtime.stop()
            await run


async def test_a_rehearsal_is_never_held_at_a_real_broker(tmp_path: Path) -> None:
    settings = Config(account=Account(live_capital=100_000.0))
    urls = (LIVE.main, LIVE.order, LIVE.feed, LIVE.assets)
    with pytest.raises(UsageError, match="a rehearsal needs a simulator"):
        await wiring.join(wiring.Request(Home(tmp_path, tmp_path), settings, urls, rehearse=True))
