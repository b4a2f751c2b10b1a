"""Bad days on which the feed says nothing (F1, F5, F7): whose fault a silence is, and what the gap leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bad_days.test_feed import back_up, price_is, states
from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, Workstation, running, workstation
from tradetui.domain.events import FeedEvent, FeedState
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.money import to_price
from tradetui.domain.order import OrderStatus, OrderType
from tradetui.runtime import mending, supervision
from tradetui.runtime.supervision import Silence

MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that no test waits for real seconds."""
    monkeypatch.setattr(supervision, "TURN_S", 0.02)
    monkeypatch.setattr(mending, "PACE_S", 0.0)
    monkeypatch.setattr(mending, "_TURN_S", 0.02)


async def fall_silent(w: Workstation) -> None:
    """Frames stop while pings are answered; the engine's time goes on by twenty seconds."""
    w.fault("stall")
    await w.pass_time_unheard(20)
    await w.until(lambda: w.runtime.engine.silent)


async def test_F1_a_stall_behind_which_trades_go_on_makes_the_line_anew(tmp_path: Path) -> None:
    """Frames stop while pings and pongs go on, and the market trades.

    Seen: "feed silent", new orders refused; the broker is asked by REST, which knows of newer trades: "stalled", and
      the line is made anew, once; until it speaks the price asked for stands in the watchlist.
    """
    async with workstation(tmp_path) as w:
        await w.price(100.5)
        await fall_silent(w)
        refused = w.send()
        assert "feed is down" in w.orders[refused].message
        w.market.normal(KEY, 103.0)
        await w.until(lambda: any("stalled" in event.reason for event in w.of(FeedEvent)))
        assert w.runtime.supervision.checks >= 1
        await w.until(lambda: w.runtime.engine.market(KEY).last == to_price(103.0))
        asked = w.runtime.engine.market(KEY)
        assert asked.asked or states(w)[-1] is FeedState.UP
        w.market.sim.faults.clear()
        await w.market.publish()
        await w.until(lambda: not w.runtime.engine.silent and states(w)[-1] is FeedState.UP)
        await w.price(104.0)
        assert not w.runtime.engine.market(KEY).asked
        assert w.runtime.summary()["reconnects"] == 1, "once, not again and again"


async def test_F1_a_stall_without_trades_leaves_the_line_alone(tmp_path: Path) -> None:
    """Frames stop because nothing trades, in hours in which the market is open.

    Seen: "feed silent"; the broker is asked, knows nothing newer, and the line is left alone.
    """
    async with workstation(tmp_path) as w:
        await w.price(100.5)
        await fall_silent(w)
        await w.until(lambda: w.runtime.supervision.checks >= 1 and bool(w.runtime.supervision.verdict))
        assert w.runtime.supervision.verdict == Silence.QUIET
        assert FeedState.DOWN not in states(w)
        assert w.runtime.summary()["reconnects"] == 0


async def test_F1_an_exchange_that_is_shut_against_the_calendar_causes_no_storm(tmp_path: Path) -> None:
    """The exchange is closed on a day on which the calendar has it open, and the feed says nothing.

    Seen: "feed silent", in the log "the broker says that the exchange is shut"; the line is left alone.
    """
    async with workstation(tmp_path) as w:

        async def closed(exchange: str) -> tuple[str, int]:
            return "NORMAL_CLOSE", 0

        w.runtime.supervision._status = closed
        await w.price(100.5)
        await fall_silent(w)
        await w.until(lambda: bool(w.runtime.supervision.verdict))
        assert w.runtime.supervision.verdict == Silence.SHUT
        assert w.runtime.summary()["reconnects"] == 0


async def test_F1_a_silent_evening_is_no_stall(tmp_path: Path) -> None:
    """The market has closed, and nothing comes for hours but pings.

    Seen: "feed up", its age, no alarm and no reconnect.
    """
    async with workstation(tmp_path) as w:
        await w.pass_time(6.5 * 3600)
        w.fault("stall")
        for _ in range(4):
            await w.pass_time_unheard(1800)
            assert not w.runtime.engine.silent
        assert w.runtime.supervision.checks == 0
        assert FeedState.DOWN not in states(w)


def minute(at_ms: int, low: float, high: float, volume: int) -> Candle:
    """The broker's own minute."""
    return Candle(0, 60, at_ms, low, high, low, high, volume, source=BarSource.BROKER)


async def test_F5_a_gap_is_marked_and_mended_with_the_brokers_minutes(tmp_path: Path) -> None:
    """The feed is away for two minutes in which the price jumps to 120 and back.

    Seen: the bars of the gap are marked; seconds after the minute they hold the broker's figures, the mark is gone, and
      the high of 120 that was never streamed is on the chart, also in the longer bars.
    """
    async with workstation(tmp_path) as w:
        engine = w.runtime.engine
        await w.price(100.5)
        await w.pass_time(61)
        await w.price(101.0)
        w.fault("feed-403")
        w.fault("drop", stream="market")
        await w.until(lambda: FeedState.DOWN in states(w))
        start_ms = w.market.now_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
        w.market.world.today[KEY] = [
            minute(start_ms, 100.0, 110.0, 40),
            minute(start_ms + MINUTE_MS, 110.0, 120.0, 50),
            minute(start_ms + 2 * MINUTE_MS, 101.0, 111.0, 60),
        ]
        await w.pass_time_unheard(125)
        w.market.sim.faults.clear()
        await back_up(w)
        await w.price(102.0)
        slot = engine.universe.slots[KEY]

        def bars() -> dict[int, Candle]:
            return {bar.start_ms: bar for bar in engine.history.candles(slot, 60)}

        await w.pass_time(61)
        await w.price(103.0)
        await w.pass_time(10)
        await w.until(lambda: w.runtime.mending.flagged > 0)
        await w.until(lambda: w.runtime.mending.waiting == 0)
        mended = bars()
        assert w.runtime.mending.mended > 0
        for number, high in enumerate((110.0, 120.0, 111.0)):
            bar = mended[start_ms + number * MINUTE_MS]
            assert (bar.high, bar.source, bar.gap) == (high, BarSource.BROKER, False)
        await w.pass_time(300)
        await w.price(103.5)
        await w.pass_time(10)
        await w.until(
            lambda: max((bar.high for bar in engine.history.candles(slot, 300)), default=0.0) == 120.0
        )
        store: Any = w.runtime.parts.store
        store.flush()
        kept = store.recent_bars(KEY, "1m", 10)
        assert max(bar.high for bar in kept) == 120.0


async def test_F5_the_gap_of_lost_frames_never_counts_its_volume_twice(tmp_path: Path) -> None:
    """Frames are lost on the way while the line stays up.

    Seen: the minute has the volume that was traded, all of it once.
    """
    async with workstation(tmp_path) as w:
        slot = w.runtime.engine.universe.slots[KEY]
        await w.price(100.5)
        before = int(w.runtime.engine.quotes.vtt[slot])
        w.fault("lost-frames", count=3)
        for step in range(3):
            w.market.print_trade(KEY, 101.0 + step, 7)
            await w.market.publish()
        await w.price(104.0)
        assert int(w.runtime.engine.quotes.vtt[slot]) - before == 3 * 7 + 1


async def test_F7_a_cached_quote_is_as_old_as_its_last_trade(tmp_path: Path) -> None:
    """A new subscription is answered with a quote that is five weeks old.

    Seen: the price in the watchlist is marked as old; a MARKET order is refused: "the last price is ... s old: use a LIMIT
      order". With the first price of today it is taken.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        market.fault("cached-quote", count=1)
        async with running(market, tmp_path) as w:
            old = w.runtime.engine.market(KEY)
            assert old.age_s is not None
            assert old.age_s > 30 * 86_400
            assert not old.traded, "and it is no price for stops"
            (row,) = (row for row in w.screen().watch if row.key == KEY)
            assert row.stale
            refused = w.send(price=0.0, order_type=OrderType.MARKET)
            assert w.orders[refused].status is OrderStatus.REFUSED
            assert "s old: use a LIMIT order" in w.orders[refused].message
            await w.price(100.05)
            await w.until_order(w.send(price=0.0, order_type=OrderType.MARKET), OrderStatus.FILLED)


async def test_F1_an_instrument_that_is_never_answered_is_asked_for_by_rest(tmp_path: Path) -> None:
    """One subscription is never answered, the others stream.

    Seen: in the log "the stream is silent about RELIANCE: asking by REST"; its price is there, marked as asked for, and it
      is no price for a MARKET order.
    """
    async with workstation(tmp_path) as w:
        engine = w.runtime.engine
        await w.price(100.5)
        w.fault("lost-frames")
        w.runtime.parts.feed._subscriptions._asked_s[KEY] = 0.0  # type: ignore[attr-defined]
        w.market.normal(KEY, 107.0)
        await w.until(lambda: engine.market(KEY).asked)
        assert w.runtime.supervision.asked_for == (KEY,)
        assert engine.market(KEY).last == to_price(107.0)
        (row,) = (row for row in w.screen().watch if row.key == KEY)
        assert row.asked
        w.market.sim.faults.clear()
        await price_is(w, 107.0)
        await w.price(108.0)
        assert not engine.market(KEY).asked
