"""Bad days on which the feed sends more than anybody asked for (F8), and on which more is wanted than it may send (F3)."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from tests.bad_days.test_feed import back_up, states
from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, PLACE, Workstation, running, workstation
from tests.unit.exchange.support import CALL, INDEX
from tradetui import wiring
from tradetui.domain.events import FeedState
from tradetui.domain.order import OrderStatus
from tradetui.domain.view import Look
from tradetui.runtime import interest
from tradetui.runtime.telemetry import rss_mb

BURST = 50_000
MOST_BEHIND = BURST // 20
"""Frames that may be handled while an order is on its way: a queue of frames would be ten times as long."""
MOST_MB = 64.0


async def until_frames(w: Workstation, count: int) -> None:
    """Wait for so many frames, as long as they keep coming."""
    while w.runtime.frames < count:
        next_ = min(count, w.runtime.frames + 1_000)
        await w.until(lambda next_=next_: w.runtime.frames >= next_)  # type: ignore[misc]


async def frames_to_wire(w: Workstation, price: float) -> int:
    """Frames that are handled between an order's send key and its arrival at the exchange."""
    before, asked = w.runtime.frames, w.market.asked(PLACE)
    tag = w.send(price=price)
    await w.until(lambda: w.market.asked(PLACE) > asked)
    behind = w.runtime.frames - before
    await w.until(lambda: w.orders[tag].status in (OrderStatus.OPEN, OrderStatus.FILLED))
    return behind


@pytest.mark.timeout(240)
async def test_F8_a_burst_of_fifty_thousand_frames_fills_no_memory_and_delays_no_order(
    tmp_path: Path,
) -> None:
    """The feed sends 50,000 frames as fast as the line takes them, and an order is sent in their midst.

    Seen: every frame is in the count, what was dropped is shown (nothing); the memory figure stays; the order goes before
      the frames that wait.
    """
    async with workstation(tmp_path) as w:
        w.events = deque(maxlen=100)  # type: ignore[assignment]  # the test must not be what fills the memory
        calm = await frames_to_wire(w, 98.0)
        memory = rss_mb()
        start = w.runtime.frames
        w.fault("burst", frames=BURST)
        await until_frames(w, start + BURST // 10)
        in_burst = [await frames_to_wire(w, price) for price in (97.0, 96.5, 96.0)]
        reached = w.runtime.frames
        assert reached < start + BURST, "the burst must still be going on"
        assert max(in_burst) <= max(calm, 1) + MOST_BEHIND
        await until_frames(w, start + BURST)
        assert rss_mb() - memory < MOST_MB
        health = w.screen().health
        assert health.frames >= BURST
        assert (health.dropped, health.bad_frames) == (0, 0)
        assert w.runtime.summary()["dropped"] == 0
        assert FeedState.DOWN not in states(w)
        await w.price(101.0)


async def test_F3_a_reconnect_asks_again_for_every_instrument_in_its_own_mode(tmp_path: Path) -> None:
    """Some instruments stream in full, others with their price alone; the line is cut.

    Seen: "feed down", and within seconds every price again, each in the mode it had; no limit is passed.
    """
    async with workstation(tmp_path) as w:
        for extra in (CALL, INDEX):
            found = w.runtime.parts.lookup(extra.key)
            assert found is not None
            w.market.normal(extra.key, 50.0)
            w.runtime.watch_more(found)
        w.runtime.interest.look(Look(watch=(KEY,), selected=CALL.key))
        hub = w.market.sim._feed
        assert hub is not None

        def modes() -> dict[str, str]:
            return {key: mode for one in hub._connections for key, mode in one.modes.items()}

        wanted = {KEY: "full", CALL.key: "full", INDEX.key: "ltpc"}
        await w.until(lambda: bool(w.events) and modes() == wanted)
        asked = w.market.sim.state.counts["feed:sub"]
        w.fault("drop", stream="market")
        await back_up(w)
        await w.until(lambda: modes() == wanted)
        assert w.market.sim.state.counts["feed:sub"] == asked + 2, "one request for each mode"
        assert w.market.sim.state.counts["feed:over-limit"] == 0


async def test_F3_what_nobody_looks_at_any_more_is_lowered_after_a_while(tmp_path: Path) -> None:
    """Somebody looks at an option, and away again.

    Seen: its book while it is looked at and for a minute more; then its price alone, and no old book beside it.
    """
    async with workstation(tmp_path) as w:
        now_s = [1_000.0]
        w.runtime.interest._monotonic = lambda: now_s[0]
        found = w.runtime.parts.lookup(CALL.key)
        assert found is not None
        w.market.normal(CALL.key, 50.0)
        w.runtime.interest.look(Look(selected=CALL.key))
        w.runtime.watch_more(found)
        slot = w.runtime.engine.universe.slots[CALL.key]
        depth = w.runtime.engine.quotes.depth
        await w.until(lambda: depth[slot, 0, 0] > 0)
        changes = w.market.sim.state.counts["feed:change_mode"]
        w.runtime.interest.look(Look(selected=KEY))
        now_s[0] += interest.KEPT_S - 1
        w.runtime.interest.turn()
        await w.price(100.4)
        assert w.market.sim.state.counts["feed:change_mode"] == changes, "scrolling costs no requests"
        now_s[0] += 2
        w.runtime.interest.turn()
        await w.until(lambda: depth[slot, 0, 0] == 0.0)
        assert w.market.sim.state.counts["feed:change_mode"] == changes + 1
        assert w.runtime.engine.market(CALL.key).last is not None


async def test_F3_thirty_levels_follow_the_cursor_where_the_account_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account with the paid plan; the line is cut while a book of thirty levels is looked at.

    Seen: thirty levels in the depth pane, before and after; five for everybody else.
    """
    monkeypatch.setattr(wiring, "has_plus_plan", lambda token: True)
    async with scripted_market() as market:
        market.normal(KEY)
        market.fault("plus-plan")
        async with running(market, tmp_path) as w:
            look = Look(selected=KEY)

            def levels() -> int:
                depth = w.screen(look).depth
                return len(depth.bids) if depth is not None else 0

            assert levels() == 5
            w.runtime.interest.look(look)
            await w.until(lambda: levels() == 30)
            w.fault("drop", stream="market")
            await back_up(w)
            await w.until(lambda: levels() == 30)
            assert w.runtime.engine.quotes.depth.shape[2] == 5, "what trades looks at five"
            rows = {gauge.name: gauge.text for _ in range(10) for gauge in w.screen().budgets}
            assert rows["Keys full_d30"] == "1 / 50"
