"""Bad days of the feed (F): the real runtime against the simulator over sockets, with the fault by its name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fixtures.workstation import KEY, Workstation, workstation
from tradetui.brokers.upstox import governor
from tradetui.domain.events import FeedEvent, FeedState
from tradetui.domain.order import OrderStatus, Side


def states(w: Workstation) -> list[FeedState]:
    return [event.state for event in w.of(FeedEvent)]


async def back_up(w: Workstation, downs: int = 1) -> None:
    """Wait until the feed has been lost so many times and is up again."""
    await w.until(lambda: states(w).count(FeedState.DOWN) >= downs and states(w)[-1] is FeedState.UP)


async def price_is(w: Workstation, rupees: float) -> None:
    await w.until(lambda: (w.runtime.engine.market(KEY).last or 0) / 10_000 == rupees)


async def test_F2_F3_a_dropped_feed_comes_back_and_asks_for_everything_again(tmp_path: Path) -> None:
    """The market data socket is cut, twice.

    Seen: "feed down", and within seconds prices again; the count of reconnects goes up.
    """
    async with workstation(tmp_path) as w:
        authorized = [call for call in w.market.sim.state.counts if "market-data-feed/authorize" in call]
        before = sum(w.market.sim.state.counts[call] for call in authorized)
        for drops in (1, 2):
            w.fault("drop", stream="market")
            await back_up(w, drops)
        w.market.normal(KEY, 101.0)
        await w.market.publish()
        await price_is(w, 101.0)
        after = sum(w.market.sim.state.counts[call] for call in authorized)
        assert after == before + 2, "a fresh address for each attempt"
        assert w.runtime.summary()["reconnects"] == 2


async def test_F2_a_stall_without_pongs_is_a_dead_line(tmp_path: Path) -> None:
    """The far end of the line is gone: nothing comes, and no ping is answered.

    Seen: "feed down: no sign of life ..., pings included", and prices again as soon as there is a far end.
    """
    async with workstation(tmp_path) as w:
        feed = w.runtime.parts.feed
        feed._ping_interval_s, feed._dead_after_s = 0.05, 0.5  # type: ignore[attr-defined]
        w.fault("drop", stream="market")
        await back_up(w)  # the new line pings that often
        w.fault("stall", pongs=0)
        await w.until(lambda: any("no sign of life" in event.reason for event in w.of(FeedEvent)))
        w.market.sim.faults.clear()
        await back_up(w, 2)
        await w.price(101.0)


async def test_F2_while_the_feed_is_down_new_risk_waits_and_an_exit_goes(tmp_path: Path) -> None:
    """The feed is cut and its new sockets are refused.

    Seen: new orders are refused with "the feed is down"; exits go; all goes on when the feed is back.
    """
    async with workstation(tmp_path) as w:
        w.send(price=100.05)
        await w.until(lambda: w.held() == 10)
        w.fault("feed-403")
        w.fault("drop", stream="market")
        await w.until(lambda: FeedState.DOWN in states(w))
        refused = w.send()
        assert w.orders[refused].status is OrderStatus.REFUSED
        assert "feed is down" in w.orders[refused].message
        await w.until_order(w.send(Side.SELL, 10, price=99.9), OrderStatus.FILLED)
        w.market.sim.faults.clear()
        await back_up(w)
        await w.until(w.agrees)
        await w.until_order(w.send(), OrderStatus.OPEN)


async def test_F4_the_snapshot_after_a_reconnect_replaces_the_book(tmp_path: Path) -> None:
    """The book changes while the feed is away.

    Seen: the five levels of the new book, none of the old.
    """
    async with workstation(tmp_path) as w:
        depth = w.runtime.engine.quotes.depth
        assert depth[0, 0].tolist() == [99.95, 99.85, 99.75, 99.65, 99.55]
        w.fault("drop", stream="market")
        w.market.book(KEY, [(90.0, 7)], [])
        await back_up(w)
        await w.until(lambda: depth[0, 0, 0] == 90.0)
        assert depth[0, 0].tolist() == [90.0, 0.0, 0.0, 0.0, 0.0], "no ghost levels"
        assert not depth[0, 2].any()


async def test_F6_malformed_frames_are_counted_and_the_last_good_value_stays(tmp_path: Path) -> None:
    """Frames that make no sense come in between.

    Seen: the last good price stays; the count of dropped frames goes up; the feed stays up.
    """
    async with workstation(tmp_path) as w:
        w.fault("malformed", count=5)
        for step in range(6):
            w.market.normal(KEY, 102.0 + step)
            await w.market.publish()
        await price_is(w, 107.0)
        assert w.runtime.parts.feed.counters()["bad_frames"] == 5
        assert w.runtime.summary()["dropped"] == 5
        assert FeedState.DOWN not in states(w)


async def test_F9_a_machine_clock_that_is_set_by_two_hours_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sets the machine's clock back by two hours, then forward by four, while the program runs.

    Seen: nothing: prices, ages, bars, orders and the polls of the account go on as before.
    """
    async with workstation(tmp_path) as w:
        clock, slot = time.time_ns, w.runtime.engine.universe.slots[KEY]
        await w.price(100.5)
        for number, hours in enumerate((-2, 2)):
            monkeypatch.setattr(time, "time_ns", lambda hours=hours: clock() + hours * 3_600_000_000_000)
            monkeypatch.setattr(time, "time", lambda hours=hours: clock() / 1e9 + hours * 3600)
            before = w.runtime.engine.now_ns
            await w.price(101.0 + number)
            tag = w.send(price=99.0 - number)
            await w.until_order(tag, OrderStatus.OPEN)
            await w.polls(2)
            await w.until(w.agrees)
            passed_s = (w.runtime.engine.now_ns - before) / 1e9
            assert 0 < passed_s < 60, "the engine's time is the exchange's"
            bars = len(w.runtime.engine.history.candles(slot, 60))
            await w.pass_time(61)
            await w.price(101.5 + number)
            await w.pass_time(20)
            await w.until(lambda bars=bars: len(w.runtime.engine.history.candles(slot, 60)) > bars)  # type: ignore[misc]
            starts = [bar.start_ms for bar in w.runtime.engine.history.candles(slot, 60)]
            assert starts == sorted(set(starts))
            assert starts[-1] * 1_000_000 < w.runtime.engine.now_ns
            assert not w.runtime.engine.silent
            assert (w.runtime.engine.market(KEY).age_s or 0) < 60
            assert FeedState.DOWN not in states(w)


REFUSALS = [("401", FeedState.REFUSED), ("429", FeedState.DOWN), ("html-403", FeedState.DOWN)]
AT_THE_DOOR = [
    ("feed-403", "refused (403)"),
    ("feed-423", "locked for streaming"),
    ("feed-429", "too many connection"),
]


@pytest.mark.parametrize(("fault", "state"), REFUSALS)
async def test_F10_each_refusal_of_a_reconnect_has_its_own_behaviour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, state: FeedState
) -> None:
    """A reconnect is refused: by the login, by the rate limit, by the edge in front.

    Seen: a refused login asks for `tradetui auth` and is not tried again; the others are tried again by themselves,
      after the pause that a 429 asks for.
    """
    monkeypatch.setattr(governor, "PAUSE_S", 0.2)  # half a minute in life
    async with workstation(tmp_path) as w:
        w.fault(fault, path="market-data-feed")
        w.fault("drop", stream="market")
        await w.until(lambda: states(w).count(FeedState.DOWN) + states(w).count(FeedState.REFUSED) >= 2)
        refused = w.send()
        assert w.orders[refused].status is OrderStatus.REFUSED
        assert states(w)[-1] in (state, FeedState.CONNECTING)
        asked = w.of(FeedEvent)[-1]
        if state is FeedState.REFUSED:
            assert "tradetui auth" in asked.reason
            return  # no use trying again without a login; the run stays up
        w.market.sim.faults.clear()
        await back_up(w, 2)


@pytest.mark.parametrize(("fault", "words"), AT_THE_DOOR)
async def test_F10_each_refusal_at_the_door_says_its_own_words_and_is_tried_again_slowly(
    tmp_path: Path, fault: str, words: str
) -> None:
    """The address was given, and the feed's own door refuses the handshake: 403, 423, 429.

    Seen: "feed down" with the reason in words, another one for each; slow attempts with a fresh address each, and
      prices again when the door opens.
    """
    async with workstation(tmp_path) as w:
        asked = [call for call in w.market.sim.state.counts if "market-data-feed/authorize" in call]
        before = sum(w.market.sim.state.counts[call] for call in asked)
        slow: list[bool] = []
        feed = w.runtime.parts.feed
        pause_s = feed._backoff.pause_s  # type: ignore[attr-defined]

        class Watched:
            def pause_s(self, failures: int, slowly: bool, chance: float) -> float:
                slow.append(slowly)
                return float(pause_s(failures, slowly, chance))

        feed._backoff = Watched()  # type: ignore[attr-defined]
        w.fault(fault, count=2)
        w.fault("drop", stream="market")
        await back_up(w, 3)
        downs = [event.reason for event in w.of(FeedEvent) if event.state is FeedState.DOWN]
        assert [words in reason for reason in downs] == [False, True, True]
        assert slow == [False, True, True], "haste would make it worse"
        assert sum(w.market.sim.state.counts[call] for call in asked) == before + 3
        await w.price(101.0)


async def test_F10_a_token_that_is_revoked_in_mid_stream_leaves_the_run_up(tmp_path: Path) -> None:
    """The token is revoked while prices stream.

    Seen: the feed is refused in words, new orders too; the program stays up and shows what it has.
    """
    async with workstation(tmp_path) as w:
        w.fault("revoke")
        w.fault("drop", stream="all")
        await w.until(lambda: FeedState.REFUSED in states(w))
        assert w.orders[w.send()].status is OrderStatus.REFUSED
        seen = w.runtime.engine.now_ns
        await w.until(lambda: w.runtime.engine.now_ns > seen)
