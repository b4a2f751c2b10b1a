"""Whose fault a silence is, who is asked for by REST, and how bars are mended, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from tests.fixtures.engine_rig import SECOND, Rig
from tests.unit.exchange.support import CALL, INDEX, SHARE
from tradetui.clock import EventClock
from tradetui.domain.errors import TransportError
from tradetui.domain.events import AskedQuote, Event, FeedState, GapEvent, QuotesEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.money import to_price
from tradetui.domain.view import Look
from tradetui.engine import Outcome
from tradetui.ports import EventSink, FeedMode, PlannedFeed
from tradetui.runtime import interest, supervision
from tradetui.runtime.interest import Interest
from tradetui.runtime.mending import TRIES, Mending
from tradetui.runtime.supervision import Silence, Supervision, judge

FULL, LTPC, D30 = FeedMode.FULL, FeedMode.LTPC, FeedMode.FULL_D30


def quote(ltt_ms: int, key: str = SHARE.key, rupees: float = 101.0) -> AskedQuote:
    return AskedQuote(key, to_price(rupees), ltt_ms)


@pytest.mark.parametrize(
    ("quotes", "words", "found"),
    [
        ([quote(20_000)], ["NORMAL_OPEN"], Silence.STALLED),
        ([quote(20_000)], ["NORMAL_CLOSE"], Silence.STALLED),
        ([quote(12_000)], ["NORMAL_OPEN"], Silence.QUIET),
        ([], ["NORMAL_CLOSE"], Silence.SHUT),
        ([], ["NORMAL_CLOSE", "NORMAL_OPEN"], Silence.QUIET),
        ([], [], Silence.QUIET),
    ],
)
def test_F1_newer_trades_are_the_only_proof_of_a_stall(
    quotes: list[AskedQuote], words: list[str], found: Silence
) -> None:
    """The stream is silent; the broker is asked for trades and for what the exchange does.

    Seen: "stalled" only where trades have happened that the stream did not bring.
    """
    assert judge(10_000, quotes, words) is found


class Planned:
    """A feed that only writes down what it is told."""

    def __init__(self, *, plus: bool = False) -> None:
        self.plus = plus
        self.follows: list[dict[str, FeedMode]] = []
        self.reasons: list[str] = []
        self.unanswered: tuple[str, ...] = ()

    async def run(self, sink: EventSink) -> None: ...

    def subscribe(self, keys: Mapping[str, FeedMode]) -> None: ...

    def unsubscribe(self, keys: Iterable[str]) -> None: ...

    def counters(self) -> Mapping[str, int]:
        return {}

    def follow(self, wanted: Mapping[str, FeedMode]) -> None:
        self.follows.append(dict(wanted))

    def allows(self, mode: FeedMode) -> bool:
        return self.plus or mode is not D30

    def silent_keys(self, after_s: float) -> tuple[str, ...]:
        return self.unanswered

    def over_limit_keys(self) -> tuple[str, ...]:
        return ()

    def deep_book(self, key: str) -> None:
        return None

    def key_use(self) -> Sequence[tuple[str, int, int]]:
        return ()

    def reconnect(self, reason: str) -> None:
        self.reasons.append(reason)


class Bench:
    """An engine, its feed, and a broker that can be asked."""

    def __init__(self, *, plus: bool = False, own: Sequence[str] = (SHARE.key,)) -> None:
        self.rig = Rig()
        self.clock = EventClock(self.rig.now_ns)
        self.feed = Planned(plus=plus)
        self.now_s = 100.0
        self.taken: list[Event] = []
        self.asked: list[tuple[str, ...]] = []
        self.answers: list[AskedQuote] = []
        self.broken = False
        engine = self.rig.engine
        assert isinstance(self.feed, PlannedFeed)
        self.interest = Interest(engine, self.feed, own, lambda: self.now_s)
        self.watch = Supervision(
            engine, self.feed, self.interest, self.clock, self.take, self.ask, self.status, lambda: self.now_s
        )

    def take(self, event: Event) -> None:
        self.taken.append(event)
        self.rig.step(event)

    async def ask(self, keys: Sequence[str]) -> Sequence[AskedQuote]:
        self.asked.append(tuple(keys))
        if self.broken:
            raise TransportError("no route")
        return [one for one in self.answers if one.instrument_key in keys]

    async def status(self, exchange: str) -> tuple[str, int]:
        return "NORMAL_OPEN", 0

    def silent(self) -> None:
        self.rig.tick(100.0)
        self.rig.time(20.0)
        assert self.rig.engine.silent


async def test_F1_a_stalled_line_is_made_anew_with_growing_pauses() -> None:
    """The line stays stalled however often it is made anew.

    Seen: a few reconnects with longer and longer pauses between them, no storm.
    """
    bench = Bench()
    bench.silent()
    bench.answers = [quote(bench.rig.now_ns // 1_000_000)]
    for _ in range(1_200):
        await bench.watch.turn()
        bench.now_s += 1.0
    assert 4 <= len(bench.feed.reasons) <= 8, "15, 30, 60, 120, 240, 300 s"
    assert bench.watch.checks == len(bench.feed.reasons)
    assert set(bench.feed.reasons) == {f"stalled: {Silence.STALLED}"}


async def test_a_broker_that_cannot_be_asked_is_no_reason_to_cut_the_line() -> None:
    bench = Bench()
    bench.silent()
    bench.broken = True
    for _ in range(60):
        await bench.watch.turn()
        bench.now_s += 1.0
    assert bench.feed.reasons == []
    assert len(bench.asked) <= 60 / supervision.REFUSED_PAUSE_S + 1


async def test_unanswered_keys_are_asked_for_by_rest_in_one_request_and_marked() -> None:
    bench = Bench(own=(CALL.key, SHARE.key, INDEX.key))
    bench.rig.tick(100.0)
    bench.feed.unanswered = (SHARE.key, CALL.key)
    bench.answers = [quote(bench.rig.now_ns // 1_000_000, CALL.key, 55.0)]
    for _ in range(10):
        await bench.watch.turn()
        bench.now_s += 1.0
    assert bench.asked == [(CALL.key, SHARE.key)] * 2, "every five seconds, the most important first"
    assert [type(event) for event in bench.taken] == [QuotesEvent] * 2
    market = bench.rig.engine.market(CALL.key)
    assert (market.last, market.asked, market.age_s) == (to_price(55.0), True, None)
    bench.feed.unanswered = ()
    bench.rig.time(1.0)
    bench.rig.tick(56.0, CALL)
    assert not bench.rig.engine.market(CALL.key).asked
    bench.now_s += 10
    await bench.watch.turn()
    assert bench.watch.asked_for == ()


async def test_while_the_feed_is_down_everything_important_is_asked_for() -> None:
    bench = Bench()
    bench.rig.tick(100.0)
    await bench.watch.turn()
    bench.rig.feed(FeedState.DOWN, "cut")
    await bench.watch.turn()
    assert bench.asked == [], "back within seconds, most times"
    bench.now_s += supervision.DOWN_S + 0.1
    await bench.watch.turn()
    assert bench.asked == [(SHARE.key,)]


async def test_nobody_is_asked_when_the_market_is_shut() -> None:
    bench = Bench()
    bench.rig.tick(100.0)
    bench.feed.unanswered = (SHARE.key,)
    bench.rig.time(8 * 3600.0)
    await bench.watch.turn()
    assert bench.asked == []


# --- what is wanted -----------------------------------------------------------------------------------


def test_what_is_held_comes_first_and_the_rest_by_price_alone() -> None:
    bench = Bench(own=(INDEX.key,))
    bench.interest.turn()
    assert bench.feed.follows[-1] == {INDEX.key: FULL, SHARE.key: LTPC, CALL.key: LTPC}
    bench.rig.hold(10, price=100.0)
    bench.interest.look(Look(selected=CALL.key))
    wanted = bench.feed.follows[-1]
    assert list(wanted) == [SHARE.key, CALL.key, INDEX.key]
    assert set(wanted.values()) == {FULL}
    told = len(bench.feed.follows)
    bench.interest.turn()
    assert len(bench.feed.follows) == told, "nothing changed, nothing said"


def test_thirty_levels_follow_the_cursor_where_the_plan_has_them() -> None:
    bench = Bench(plus=True)
    bench.interest.look(Look(selected=CALL.key))
    assert bench.feed.follows[-1][CALL.key] is D30
    bench.interest.look(Look(selected=SHARE.key))
    assert bench.feed.follows[-1] == {SHARE.key: D30, CALL.key: FULL, INDEX.key: LTPC}
    bench.now_s += interest.KEPT_S + 1
    bench.interest.turn()
    assert bench.feed.follows[-1] == {SHARE.key: D30, CALL.key: LTPC, INDEX.key: LTPC}


# --- bars ---------------------------------------------------------------------------------------------


def test_a_gap_of_some_instruments_marks_the_bars() -> None:
    rig = Rig()
    rig.minute(100.0, 101.0)
    before = rig.now_ns
    rig.now_ns += 2 * SECOND
    rig.step(GapEvent(rig.now_ns, before, (SHARE.key,)))
    (bar,) = rig.minute(102.0)
    assert bar.gap


async def test_F5_minutes_that_the_broker_lacks_keep_their_mark() -> None:
    """The broker has nothing for the minute of the gap.

    Seen: the bar stays marked; the broker is asked three times, not for ever.
    """
    rig = Rig()
    asked: list[str] = []

    async def fetch(instrument: Instrument) -> Sequence[Candle]:
        asked.append(instrument.key)
        return []

    rig.minute(100.0, 101.0)
    clock = EventClock(rig.now_ns)
    now_s = [0.0]
    made = Mending(rig.engine, clock, rig.step, None, fetch, lambda: (SHARE.key,), lambda: now_s[0])
    flagged = replace(rig.engine.history.candles(0, 60)[-1], gap=True)
    rig.engine.history.revise(flagged)
    made.heard(GapEvent(0, 0, ()), Outcome(candles=[flagged]))
    for _ in range(20):
        rig.time(30.0)
        clock.move(rig.now_ns)
        now_s[0] += 30
        await made.turn()
    assert len(asked) == TRIES
    assert (made.flagged, made.mended, made.waiting) == (1, 0, 0)
    assert rig.engine.history.candles(0, 60)[-1].gap


async def test_F5_the_most_important_instrument_is_mended_first() -> None:
    """Bars of three instruments have gaps; one of them is held.

    Seen: the held one is whole first.
    """
    rig = Rig()
    asked: list[str] = []
    kept: list[Candle] = []
    start_ms = rig.now_ns // 1_000_000 // 60_000 * 60_000

    async def fetch(instrument: Instrument) -> Sequence[Candle]:
        asked.append(instrument.key)
        return [Candle(-1, 60, start_ms, 1.0, 9.0, 1.0, 2.0, 5)]

    clock = EventClock(rig.now_ns)
    now_s = [0.0]
    made = Mending(
        rig.engine, clock, rig.step, kept.extend, fetch, lambda: (INDEX.key, CALL.key), lambda: now_s[0]
    )
    bars = [Candle(slot, 60, start_ms, 1.0, 2.0, 1.0, 2.0, 5, gap=True) for slot in range(3)]
    for bar in bars:
        rig.engine.history.append(bar)
    made.heard(GapEvent(0, 0, ()), Outcome(candles=[*bars, replace(bars[0], interval_s=300)]))
    rig.time(70.0)
    clock.move(rig.now_ns)
    for _ in range(4):
        now_s[0] += 2
        await made.turn()
    assert asked == [INDEX.key, CALL.key, SHARE.key]
    assert made.mended == 3
    for slot in range(3):
        (bar,) = rig.engine.history.candles(slot, 60)
        assert (bar.high, bar.gap, bar.source) == (9.0, False, BarSource.BROKER)
    (longer,) = rig.engine.history.candles(0, 300)
    assert (longer.high, longer.gap) == (9.0, False)
    assert {(bar.slot, bar.interval_s) for bar in kept} == {(0, 60), (1, 60), (2, 60), (0, 300)}
