"""A quiet instrument is not a silent one."""

from __future__ import annotations

from tests.fixtures.engine_rig import Rig
from tests.unit.exchange.support import CALL, INDEX, SHARE
from tradetui.domain.events import FeedState


def test_F1_a_list_that_is_quiet_by_habit_raises_no_alarm() -> None:
    """One illiquid option is streamed, and says something once in two minutes.

    Seen: no "feed silent" in between, its age in the watchlist.
    """
    rig = Rig()
    alarms = 0
    for minute in range(40):
        rig.tick(50.0, CALL)
        for _ in range(120):
            rig.time(1.0)
            alarms += rig.engine.silent and minute >= 5
    assert alarms == 0
    assert rig.engine.liveness.rate(1) < 0.02


def test_F1_a_lively_list_that_falls_silent_raises_the_alarm_in_time() -> None:
    """Ticks every second, and then none.

    Seen: "feed silent" after fifteen seconds.
    """
    rig = Rig()
    for _ in range(600):
        rig.time(1.0)
        rig.tick(100.0)
    for _ in range(15):
        rig.time(1.0)
        assert not rig.engine.silent
    rig.time(1.0)
    assert rig.engine.silent
    before = rig.engine.liveness.rate(0)
    for _ in range(600):
        rig.time(1.0)
    assert rig.engine.liveness.rate(0) == before, "a stall is not learned as a habit"


def test_one_silent_instrument_among_lively_ones_is_named() -> None:
    rig = Rig()
    for second in range(600):
        rig.time(1.0)
        rig.tick(100.0)
        rig.tick(26_000.0 + second % 2, INDEX)
        if second % 100 == 0:
            rig.tick(50.0, CALL)
    assert rig.engine.liveness.silent(rig.now_ns) == ()
    for second in range(25):
        rig.time(1.0)
        rig.tick(26_000.0 + second % 2, INDEX)
    assert rig.engine.liveness.silent(rig.now_ns) == (rig.universe.slots[SHARE.key],)
    assert rig.engine.feed.state is FeedState.UP


def test_nothing_is_silent_when_the_market_is_shut() -> None:
    rig = Rig()
    for _ in range(100):
        rig.time(1.0)
        rig.tick(100.0)
    rig.time(7 * 3600.0)
    assert rig.engine.liveness.silent(rig.now_ns) == ()
    assert rig.engine.liveness.missing(rig.now_ns, 0) == 0.0
