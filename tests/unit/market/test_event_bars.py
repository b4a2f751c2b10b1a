"""Tick, volume and range bars, rule by rule, and over the recorded day."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.market.recording import CLOSE_NS, batch_of, continuous, files, frames
from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import TickBatch
from tradetui.market.event_bars import BarKind, EventBar, EventBars, parse_rule
from tradetui.market.folding import Gaps
from tradetui.market.quotes import Quotes, Trade, TradeColumns

OPEN, END = 1_000_000, 23_500_000
DAY = 86_400_000


def bounds(slot: int) -> tuple[int, int]:
    return OPEN, END


class Tape:
    """Trades of one or more instruments, written by hand."""

    def __init__(self, rule: str, gaps: Gaps | None = None) -> None:
        self.builder = EventBars(parse_rule(rule), bounds, gaps)
        self.bars: list[EventBar] = []
        self.at = OPEN + 60_000
        self.trade(100.0, 500, first=True)

    def trade(
        self, price: float, volume: int = 10, *, slot: int = 0, step: int = 1_000,
        first: bool = False, late: bool = False,
    ) -> list[EventBar]:  # fmt: skip
        self.at += step
        at = self.at - 5_000 if late else self.at
        ended = self.builder.on_trades([Trade(slot, at, price, volume, 0, first, late)])
        self.bars += ended
        return ended

    def run(self, *prices: float, volume: int = 10) -> list[EventBar]:
        for price in prices:
            self.trade(price, volume)
        return self.bars


def ohlcv(bar: EventBar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def test_rules_read_as_people_write_them() -> None:
    assert [str(parse_rule(text)) for text in ("100T", " 50000v", "2.5r")] == ["100t", "50000v", "2.5r"]
    assert parse_rule("5r").kind is BarKind.RANGE
    for wrong in ("", "100", "t", "0t", "1.5t", "-5v", "0.0r", "5x", "1e3v"):
        with pytest.raises(DomainError, match="no bars of"):
            parse_rule(wrong)


def test_a_tick_bar_ends_with_its_last_update() -> None:
    first, second = Tape("3t").run(101, 103, 102, 104, 100, 101, 105)
    assert ohlcv(first) == (101, 103, 101, 102, 30)
    assert ohlcv(second) == (104, 104, 100, 101, 30)
    assert (first.number, second.number) == (0, 1)
    assert (first.updates, first.end_ms - first.start_ms) == (3, 2_000)


def test_a_volume_bar_holds_whole_updates_and_the_next_begins_with_nothing() -> None:
    tape = Tape("100v")
    tape.trade(101, 60)
    (first,) = tape.trade(102, 250)
    assert ohlcv(first) == (101, 102, 101, 102, 310), "an update is not split: its parts have no prices"
    assert tape.trade(103, 99) == []
    (second,) = tape.trade(104, 1)
    assert ohlcv(second) == (103, 104, 103, 104, 100)


def test_a_range_bar_ends_before_it_would_be_too_wide() -> None:
    tape = Tape("1r")
    first, second = tape.run(100.0, 100.5, 101.0, 101.05, 105.0)
    assert ohlcv(first) == (100.0, 101.0, 100.0, 101.0, 30)
    assert ohlcv(second) == (101.05, 101.05, 101.05, 101.05, 10), "a jump makes no bars in between"
    forming = tape.builder.forming(0)
    assert forming is not None
    assert (forming.open, forming.number) == (105.0, 2)


def test_floats_do_not_end_a_range_bar() -> None:
    assert Tape("0.3r").run(100.0, 100.1, 100.3, 100.2) == [], "100.3 - 100.0 is a little more than 0.3"


def test_first_sight_and_what_is_outside_the_session_never_enter() -> None:
    tape = Tape("1t")
    assert tape.bars == []
    tape.at = OPEN - 10_000
    assert tape.trade(99.0) == []
    tape.at = END
    assert tape.trade(99.0) == []
    assert tape.builder.forming(0) is None


def test_late_updates_widen_and_weigh_but_neither_close_nor_end_a_bar() -> None:
    tape = Tape("2t")
    tape.trade(100.0)
    assert tape.trade(90.0, 5, late=True) == []
    (bar,) = tape.trade(101.0)
    assert ohlcv(bar) == (100.0, 101.0, 90.0, 101.0, 25)
    assert bar.updates == 3
    assert tape.trade(80.0, 5, late=True) == []
    assert tape.builder.forming(0) is None, "its bar has ended; the day has its volume"
    narrow = Tape("1r")
    narrow.trade(100.0)
    narrow.trade(95.0, 7, late=True)
    forming = narrow.builder.forming(0)
    assert forming is not None
    assert ohlcv(forming) == (100.0, 100.0, 100.0, 100.0, 17)


def test_a_gap_is_said_and_its_volume_is_the_days() -> None:
    gaps = Gaps()
    tape = Tape("2t", gaps)
    tape.trade(100.0, 10)
    gaps.mark(tape.at + 100, tape.at + 60_000)
    (bar,) = tape.trade(101.0, 9_000, step=61_000)
    assert (bar.gap, bar.volume) == (True, 10)
    tape.trade(101.0)
    (after,) = tape.trade(102.0)
    assert (after.gap, after.volume) == (False, 20)


def test_no_bar_crosses_a_night() -> None:
    today = [OPEN, END]
    builder = EventBars(parse_rule("10t"), lambda slot: (today[0], today[1]))
    assert builder.on_trades([Trade(0, OPEN + 1, 100.0, 5, 0, False, False)]) == []
    today[:] = [OPEN + DAY, END + DAY]
    (cut,) = builder.on_trades([Trade(0, OPEN + DAY + 1, 200.0, 5, 0, False, False)])
    assert (cut.close, cut.cut) == (100.0, True)
    (last,) = builder.finish()
    assert (last.open, last.number, last.cut) == (200.0, 0, True)
    assert builder.finish() == []


def test_instruments_do_not_touch_each_other() -> None:
    tape = Tape("2t")
    tape.trade(100.0, slot=0)
    tape.trade(500.0, slot=1)
    (one,) = tape.trade(101.0, slot=0)
    (other,) = tape.trade(501.0, slot=1)
    assert (one.slot, one.high, other.slot, other.low) == (0, 101.0, 1, 500.0)


trades = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(-20, 20), st.integers(0, 300), st.sampled_from([False] * 9 + [True])
    ),
    max_size=120,
)


@given(trades, st.sampled_from(["1t", "7t", "250v", "1r", "0.25r"]))
def test_bars_hold_everything_once_and_keep_their_rule(
    moves: list[tuple[int, int, int, bool]], rule: str
) -> None:
    tape = Tape(rule)
    known = {0: 100.0, 1: 100.0, 2: 100.0}
    taken = {0: 0, 1: 0, 2: 0}
    for slot, step, volume, late in moves:
        known[slot] = max(1.0, known[slot] + step * 0.05)
        forming = tape.builder.forming(slot)
        if not late or forming is not None:
            taken[slot] += volume
        tape.trade(known[slot], volume, slot=slot, late=late)
    made = tape.bars + tape.builder.finish()
    size = parse_rule(rule).size
    for bar in made:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        if rule.endswith("r"):
            assert bar.high - bar.low <= size + 1e-6
        if not bar.cut and rule.endswith("v"):
            assert bar.volume >= size
    for slot in known:
        own = [bar for bar in made if bar.slot == slot]
        assert sum(bar.volume for bar in own) == taken[slot]
        assert [bar.number for bar in own] == list(range(len(own)))


def test_columns_and_rows_build_the_same_bars() -> None:
    rng = np.random.default_rng(2)
    frames = []
    at = OPEN
    for _ in range(300):
        slots = np.sort(rng.choice(40, 25, replace=False)).astype(np.int32)
        at += 700
        frames.append(
            TradeColumns(
                slots, np.full(25, at), np.round(100 + rng.normal(0, 1, 25), 2), rng.integers(0, 50, 25),
                np.zeros(25, np.int64), np.zeros(25, np.bool_), rng.random(25) < 0.05,
            )
        )  # fmt: skip
    for rule in ("20t", "400v", "2r"):
        together, apart = EventBars(parse_rule(rule), bounds), EventBars(parse_rule(rule), bounds)
        found = [bar for frame in frames for bar in together.on_trades(frame)]
        single = [
            bar for frame in frames for row in frame.rows(frame.slot >= 0) for bar in apart.on_trades([row])
        ]
        assert found == single
        assert len(found) > 50
        assert together.finish() == apart.finish()


@pytest.fixture(scope="module")
def day(shared_data: Path) -> list[tuple[int, TickBatch]]:
    """The recorded day of the quietest of its shares."""
    (path,) = [path for path in files(shared_data) if path.name.startswith("VMM")]
    return [(frame.t_ns, batch_of(0, frame.message)) for frame in frames(path)]


def bars_of(day: list[tuple[int, TickBatch]], rule: str) -> tuple[list[EventBar], int]:
    """Bars of a day, and the volume that continuous trading had between first and last sight."""
    quotes = Quotes(continuous, 1)
    builder = EventBars(parse_rule(rule), quotes.sessions.bounds)
    out: list[EventBar] = []
    volume = 0
    for t_ns, batch in day:
        trades = quotes.apply(batch, t_ns)
        assert isinstance(trades, list)
        volume += sum(t.volume for t in trades if not t.first and t.ltt_ms * 1_000_000 < CLOSE_NS)
        out += builder.on_trades(trades)
    return out + builder.finish(), volume


@pytest.mark.parametrize("rule", ["200t", "20000v", "0.2r"])
def test_the_recorded_day_adds_up_twice_the_same(day: list[tuple[int, TickBatch]], rule: str) -> None:
    made, volume = bars_of(day, rule)
    assert made == bars_of(day, rule)[0]
    assert len(made) > 20
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(made))
    assert [bar.number for bar in made] == list(range(len(made)))
    assert sum(bar.cut for bar in made) <= 1
    assert volume > 1_000_000
    # What is late and finds no forming bar belongs to the day only: a handful of 13,641 frames.
    assert 0 <= volume - sum(bar.volume for bar in made) < volume // 1_000
    if rule == "20000v":
        assert all(bar.volume >= 20_000 or bar.cut for bar in made)
        assert max(bar.volume for bar in made) > 20_000, "conflated updates overshoot"
