"""Bad days of the feed's figures (F11, F12): volume that jumps about, and prices that are none of continuous trading."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.bad_days.test_feed import states
from tests.fixtures.engine_rig import Rig
from tests.fixtures.workstation import KEY, PLACE, Workstation, workstation
from tests.unit.exchange.support import INDEX
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import AskedQuote, FeedState, OperatorKind, QuotesEvent
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.money import to_price
from tradetui.domain.order import Product
from tradetui.pb.market_feed_v3_pb2 import Feed

MONDAY = date(2026, 11, 23)


def in_two_steps(w: Workstation, price: float, qty: int) -> None:
    """A trade as the feed may tell of it: price and time first, the day's volume in a later frame."""
    feed = Feed()
    last = feed.fullFeed.marketFF.ltpc
    last.ltp, last.cp, last.ltt, last.ltq = price, 100.0, w.market.now_ns() // 1_000_000, qty
    w.market._show(KEY, feed)


def volume(w: Workstation) -> int:
    return int(w.runtime.engine.quotes.vtt[w.runtime.engine.universe.slots[KEY]])


async def a_minute_of(w: Workstation) -> tuple[int, int]:
    """Let the minute end; volume of all finished minutes, and the day's."""
    await w.pass_time(61)
    await w.price(100.9)
    await w.pass_time(20)
    slot = w.runtime.engine.universe.slots[KEY]
    await w.until(lambda: bool(w.runtime.engine.history.candles(slot, 60)))
    bars = w.runtime.engine.history.candles(slot, 60)
    assert all(bar.volume >= 0 for bar in bars)
    return sum(bar.volume for bar in bars), volume(w)


async def test_F11_a_volume_that_comes_in_two_steps_counts_once(tmp_path: Path) -> None:
    """Price and time of a trade come in one frame, the day's volume with it in the next.

    Seen: the volume of the minute and of the day is what was traded.
    """
    async with workstation(tmp_path) as w:
        await w.price(100.1)
        start = volume(w)
        for step in range(5):
            in_two_steps(w, 100.2 + step / 10, 10)
            await w.market.publish()
            w.market.print_trade(KEY, 100.2 + step / 10, 10)
            await w.market.publish()
        await w.until(lambda: volume(w) == start + 50)
        bars, day = await a_minute_of(w)
        assert day == start + 50 + 1
        assert bars <= 50 + 1


@pytest.mark.parametrize("fault", ["duplicate", "disorder"])
async def test_F11_frames_twice_or_in_the_wrong_order_never_count_volume_twice(
    tmp_path: Path, fault: str
) -> None:
    """Every frame comes twice, or in swapped pairs.

    Seen: price and volume of the newest trade; older frames are counted as out of order and change nothing.
    """
    async with workstation(tmp_path) as w:
        await w.price(100.1)
        start = volume(w)
        w.fault(fault)
        seen = [start]
        for step in range(10):
            await w.market.sim.jump(w.market.now_ns() + 200_000_000)
            w.market.print_trade(KEY, 100.2 + step / 10, 10)
            await w.market.publish()
            seen.append(volume(w))
        w.market.sim.faults.clear()
        w.market.print_trade(KEY, 101.5, 10)
        await w.market.publish()
        await w.until(lambda: volume(w) == start + 110)
        assert seen == sorted(seen), "never negative"
        if fault == "disorder":
            assert w.runtime.engine.quotes.out_of_order > 0
        bars, day = await a_minute_of(w)
        assert day == start + 110 + 1
        assert bars <= 110 + 1
        assert FeedState.DOWN not in states(w)


async def test_F12_the_closing_auction_s_price_is_none_for_stops_and_bars(tmp_path: Path) -> None:
    """Shares with a stop that we watch; the closing auction and what follows trade far below it.

    Seen: the last price of continuous trading stays, the auction's stands apart; no bar after 15:15, and no exit.
    """
    async with workstation(tmp_path) as w:
        await w.hold(10, product=Product.DELIVERY)
        w.protect(Product.DELIVERY, stop=to_price(95))
        await w.until(lambda: bool(w.runtime.engine.desk.protection.plans))
        await w.pass_time(5 * 3600 + 14 * 60)
        await w.price(100.2)
        slot, placed = w.runtime.engine.universe.slots[KEY], w.market.asked(PLACE)
        for minutes in (2, 15, 8, 10):  # order entry, match, post-close
            await w.pass_time(minutes * 60)
            w.market.print_trade(KEY, 80.0, 500)
            before = w.runtime.frames
            await w.market.publish()
            await w.until(lambda before=before: w.runtime.frames > before)  # type: ignore[misc]
            assert w.runtime.engine.market(KEY).last == to_price(100.2)
        assert w.market.asked(PLACE) == placed
        assert w.held(Product.DELIVERY) == 10
        bars = w.runtime.engine.history.candles(slot, 60)
        assert min(bar.low for bar in bars) > 99
        assert max(bar.start_ms for bar in bars) < ns(date(2026, 11, 20), "15:15") // 1_000_000
        assert w.runtime.engine.quotes.official_close[slot] == 80.0


def a_morning() -> Rig:
    """A position with a target at 110, which we watch, that was carried into Monday, at 09:01."""
    rig = Rig()
    rig.hold(10, price=100.0, product=Product.DELIVERY)
    plan = ExitPlan(target=to_price(110.0))
    rig.ask(OperatorKind.PROTECT, instrument_key=KEY, product=Product.DELIVERY, plan=plan)
    rig.commands.clear()
    rig.now_ns = ns(MONDAY, "09:01")
    rig.time()
    return rig


def test_F12_a_price_of_the_pre_open_strikes_no_exit_and_is_in_no_bar() -> None:
    """The pre-open auction matches at 115, beyond a target of 110; continuous trading begins at 104.

    Seen: nothing is sold at 09:08 nor at 09:15; the first bar begins with the first trade of continuous trading.
    """
    rig = a_morning()
    for clock in ("09:08", "09:12"):
        rig.now_ns = ns(MONDAY, clock)
        rig.tick(115.0)
    rig.now_ns = ns(MONDAY, "09:15")
    rig.time(1.0)
    rig.tick(26_000.0, INDEX)
    assert rig.engine.market(KEY).phase == "continuous"
    assert not rig.placed(), "the pre-open's price is no reason to sell"
    rig.time(5.0)
    rig.tick(104.0)
    assert not rig.placed()
    rig.now_ns = ns(MONDAY, "09:16") + 5_000_000_000
    rig.tick(104.5)
    rig.tick(26_000.0, INDEX)
    rig.time(20.0)
    today_ms = ns(MONDAY, "09:00") // 1_000_000
    bar = next(one for one in rig.engine.history.candles(0, 60) if one.start_ms >= today_ms)
    assert (bar.open, bar.high, bar.start_ms) == (104.0, 104.0, ns(MONDAY, "09:15") // 1_000_000)


def test_F12_the_first_trade_of_continuous_trading_strikes() -> None:
    """The market opens beyond the target.

    Seen: the position is closed with the first trade of continuous trading, not before.
    """
    rig = a_morning()
    rig.now_ns = ns(MONDAY, "09:08")
    rig.tick(115.0)
    rig.now_ns = ns(MONDAY, "09:15")
    rig.time(1.0)
    rig.tick(26_000.0, INDEX)
    assert not rig.placed()
    rig.time(1.0)
    rig.tick(112.0)
    (exit_,) = rig.placed()
    assert exit_.request.is_exit


def test_F12_a_price_asked_for_in_an_auction_strikes_nothing() -> None:
    """The stream is silent, and the broker, asked by REST, tells of a trade of the pre-open.

    Seen: the price, marked as asked for; nothing is sold until a trade of continuous trading is told of.
    """
    rig = a_morning()
    rig.now_ns = ns(MONDAY, "09:20")
    rig.time()

    def told(clock: str, rupees: float) -> None:
        quote = AskedQuote(KEY, to_price(rupees), ns(MONDAY, clock) // 1_000_000)
        rig.step(QuotesEvent(rig.now_ns, (quote,)))

    told("09:08", 115.0)
    market = rig.engine.market(KEY)
    assert (market.last, market.asked, market.traded) == (to_price(115.0), True, False)
    assert not rig.placed()
    told("09:19", 112.0)
    (exit_,) = rig.placed()
    assert exit_.request.is_exit
    assert not any(
        one.start_ms >= ns(MONDAY, "09:00") // 1_000_000 for one in rig.engine.history.candles(0, 60)
    )
